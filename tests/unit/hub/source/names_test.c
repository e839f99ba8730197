/* URLs, known_hosts, and the choice of tags: what needs no server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/crypto/digest.h"
#include "hub/source/known_hosts.h"
#include "hub/source/resolve.h"
#include "hub/source/source.h"

static void test_urls(void **state)
{
	static const struct {
		const char *text, *clean;
	} fine[] = {
		{"https://github.com/org/repo", "https://github.com/org/repo"},
		{"HTTPS://GitHub.com/Org/Repo.git/", "https://github.com/Org/Repo.git"},
		{"https://git.example:8443/x", "https://git.example:8443/x"},
		{"https://[::1]:8443/x", "https://[::1]:8443/x"},
		{"ssh://git@github.com/org/repo", "ssh://git@github.com/org/repo"},
		{"ssh://github.com:2222/org/repo", "ssh://github.com:2222/org/repo"},
		{"git+ssh://git@h/x", "ssh://git@h/x"},
		{"git@github.com:org/repo.git", "git@github.com:org/repo.git"},
		{"git@github.com:/org/repo.git", "ssh://git@github.com/org/repo.git"},
		{"file:///srv/git/x.git", "file:///srv/git/x.git"},
	};
	static const char *const bad[] = {
		"",
		"-oProxyCommand=x",
		"--upload-pack=touch /tmp/x",
		"http://github.com/x",
		"git://github.com/x",
		"ftp://x/y",
		"ext::sh -c x",
		"fd::17",
		"https://user:secret@host/x",
		"https://token@host/x",
		"ssh://git:secret@host/x",
		"ssh://-oProxyCommand=x/y",
		"ssh://-x@host/y",
		"git@-oProxyCommand=x:y",
		"https://host/x?token=secret",
		"https://host/x#frag",
		"https://host",
		"https://host/",
		"https:///x",
		"https://host:0/x",
		"https://host:99999/x",
		"https://host:8a/x",
		"https://ho st/x",
		"https://host/a\nb",
		"https://host/a\\b",
		"https://\xff/x",
		"file://host/x",
		"file://../x",
		"/srv/git/x",
		"../x",
		"x",
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(fine); i++) {
		struct hub_url u = {0}, again = {0};
		struct cox_error err = COX_ERROR_INIT;

		if (hub_url_parse(fine[i].text, &u, &err) < 0)
			fail_msg("%s: %s", fine[i].text, err.message);
		assert_string_equal(u.clean, fine[i].clean);
		assert_int_equal(hub_url_parse(u.clean, &again, NULL), 0);
		assert_string_equal(again.clean, u.clean);
		hub_url_fini(&u);
		hub_url_fini(&again);
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++) {
		struct hub_url u = {0};
		struct cox_error err = COX_ERROR_INIT;

		if (hub_url_parse(bad[i], &u, &err) != -COX_INVALID_ARGUMENT)
			fail_msg("'%s' was taken", bad[i]);
		assert_null(strstr(err.message, "secret"));
		assert_null(strstr(err.message, "token@"));
	}
}

static void test_same_url(void **state)
{
	static const char *const same[][2] = {
		{"https://github.com/org/repo", "https://GITHUB.com/org/repo.git"},
		{"https://github.com/org/repo/", "https://github.com/org/repo"},
		{"git@github.com:org/repo", "ssh://git@github.com/org/repo.git"},
		{"whatever", "whatever"},
	};
	static const char *const others[][2] = {
		{"https://github.com/org/repo", "https://github.com/org/Repo"},
		{"https://github.com/org/repo", "ssh://github.com/org/repo"},
		{"https://github.com/org/repo", "https://github.com:8443/org/repo"},
		{"https://github.com/org/repo", "https://github.com.evil/org/repo"},
		{"https://github.com/org/repo", "https://github.com/org/repo2"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(same); i++)
		assert_true(hub_url_same(same[i][0], same[i][1]));
	for (size_t i = 0; i < COX_ARRAY_LEN(others); i++)
		assert_false(hub_url_same(others[i][0], others[i][1]));
}

static void test_choose_tag(void **state)
{
	static const char *const tags[] = {"v1.0.0",	"v1.2.0",      "v1.10.0",
					   "1.10.0",	"v2.0.0-rc.1", "web-1.3.0",
					   "web-9.0.0", "latest",      "v1.10"};
	static const struct {
		const char *constraint, *prefix, *wanted;
	} cases[] = {
		{"^1", "", "1.10.0"},
		{"~1.2", "", "v1.2.0"},
		{"<1.2", "", "v1.0.0"},
		{">=2", "", NULL},
		{">=2.0.0-0", "", "v2.0.0-rc.1"},
		{"*", "web-", "web-9.0.0"},
		{"1.x", "web-", "web-1.3.0"},
		{"1.x", "api-", NULL},
		{"not a constraint", "", NULL},
	};
	static const char *const reversed[] = {"v1.10", "1.10.0", "v1.10.0"};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		const char *got = hub_choose_tag(cox_str(cases[i].constraint), cases[i].prefix,
						 tags, COX_ARRAY_LEN(tags));

		if (!cox_streq(got, cases[i].wanted))
			fail_msg("'%s' chose '%s'", cases[i].constraint, got ? got : "nothing");
	}
	assert_string_equal(hub_choose_tag(COX_STR("^1"), "", reversed, 3), "1.10.0");
}

#define KEY                                                                                        \
	"\0\0\0\x0bssh-ed25519\0\0\0\x04"                                                          \
	"abcd"
#define OTHER                                                                                      \
	"\0\0\0\x0bssh-ed25519\0\0\0\x04"                                                          \
	"wxyz"
#define KEY_STR ((struct cox_str){KEY, sizeof(KEY) - 1})

static char *line(const char *prefix, const char *hosts, const char *type, struct cox_str key)
{
	struct cox_buf text = COX_BUF_INIT;

	cox_buf_printf(&text, "%s%s %s ", prefix, hosts, type);
	cox_base64_encode(&text, key.ptr, key.len);
	cox_buf_puts(&text, " a comment\n");
	return cox_buf_take(&text);
}

static int check(const char *hosts, const char *host, int port)
{
	_cleanup_free_ char *text = line("", hosts, "ssh-ed25519", KEY_STR);

	return hub_known_hosts_check(cox_str(text), host, port, KEY_STR, NULL);
}

static void test_known_hosts(void **state)
{
	_cleanup_free_ char *other =
		line("", "h", "ssh-ed25519", (struct cox_str){OTHER, sizeof(OTHER) - 1});
	_cleanup_free_ char *right = line("", "h", "ssh-ed25519", KEY_STR);
	_cleanup_free_ char *rsa = line("", "h", "ssh-rsa", COX_STR("\0\0\0\x07ssh-rsaxxxx"));
	_cleanup_free_ char *revoked = line("@revoked ", "*", "ssh-ed25519", KEY_STR);
	_cleanup_free_ char *authority = line("@cert-authority ", "*", "ssh-ed25519", KEY_STR);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_error err;

	(void)state;
	assert_int_equal(check("h", "h", 0), 0);
	assert_int_equal(check("h", "h", 22), 0);
	assert_int_equal(check("h", "H", 22), 0);
	assert_int_equal(check("h", "h", 2222), -COX_PERMISSION_DENIED);
	assert_int_equal(check("[h]:2222", "h", 2222), 0);
	assert_int_equal(check("[h]:2222", "h", 22), -COX_PERMISSION_DENIED);
	assert_int_equal(check("a,h,b", "h", 0), 0);
	assert_int_equal(check("*.example", "git.example", 0), 0);
	assert_int_equal(check("*.example,!git.example", "git.example", 0), -COX_PERMISSION_DENIED);
	assert_int_equal(check("g?t.example", "git.example", 0), 0);
	assert_int_equal(check("git.example", "git.example.evil", 0), -COX_PERMISSION_DENIED);
	assert_int_equal(hub_known_hosts_check(cox_str(other), "h", 0, KEY_STR, &err),
			 -COX_PERMISSION_DENIED);
	assert_non_null(strstr(err.message, "has changed"));
	assert_non_null(strstr(err.message, "SHA256:"));
	assert_int_equal(hub_known_hosts_check(cox_str(rsa), "h", 0, KEY_STR, &err),
			 -COX_PERMISSION_DENIED);
	assert_non_null(strstr(err.message, "other kinds"));
	assert_int_equal(hub_known_hosts_check(COX_STR(""), "h", 0, KEY_STR, &err),
			 -COX_PERMISSION_DENIED);
	assert_non_null(strstr(err.message, "not known"));
	assert_non_null(strstr(err.message, "ssh-ed25519"));
	/* Among others, with comments and broken lines; and then a revocation. */
	cox_buf_puts(&text, "# comment\n\nbroken\nh ssh-ed25519\n");
	cox_buf_printf(&text, "%s%s%s", other, rsa, right);
	assert_int_equal(hub_known_hosts_check(cox_buf_str(&text), "h", 0, KEY_STR, &err), 0);
	cox_buf_puts(&text, revoked);
	assert_int_equal(hub_known_hosts_check(cox_buf_str(&text), "h", 0, KEY_STR, &err),
			 -COX_PERMISSION_DENIED);
	assert_non_null(strstr(err.message, "revoked"));
	assert_int_equal(hub_known_hosts_check(cox_str(authority), "h", 0, KEY_STR, &err),
			 -COX_PERMISSION_DENIED);
}

static void test_hashed_known_hosts(void **state)
{
	_cleanup_buf_ struct cox_buf hosts = COX_BUF_INIT;
	uint8_t mac[COX_SHA1_BYTES];

	(void)state;
	cox_hmac_sha1(COX_STR("twenty bytes of salt"), COX_STR("[h]:2222"), mac);
	cox_buf_puts(&hosts, "|1|");
	cox_base64_encode(&hosts, "twenty bytes of salt", 20);
	cox_buf_putc(&hosts, '|');
	cox_base64_encode(&hosts, mac, sizeof(mac));
	assert_int_equal(check(cox_buf_cstr(&hosts), "h", 2222), 0);
	assert_int_equal(check(cox_buf_cstr(&hosts), "h", 22), -COX_PERMISSION_DENIED);
	assert_int_equal(check("|1|x", "h", 22), -COX_PERMISSION_DENIED);
	assert_int_equal(check("|1||", "h", 22), -COX_PERMISSION_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_same_url),
		cmocka_unit_test(test_choose_tag),
		cmocka_unit_test(test_known_hosts),
		cmocka_unit_test(test_hashed_known_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
