#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/kube/kubeconfig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static char *save(const char *name, const char *text)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(cox_file_write(path, cox_str(text), 0600, NULL), 0);
	return path;
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/cox-kubeconfig-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const names[] = {"config", "ca.pem",	   "cert.pem", "key.pem",
					    "token",  "namespace", "ca.crt"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

/* One context whose cluster and user have these. */
static int parse(const char *cluster, const char *user, struct cox_kubeconfig **ret,
		 struct cox_error *err)
{
	_cleanup_free_ char *text = cox_asprintf(
		"apiVersion: v1\nkind: Config\ncurrent-context: a\n"
		"contexts:\n- {name: a, context: {cluster: c, user: u, namespace: ns}}\n"
		"clusters:\n- {name: c, cluster: {%s}}\nusers:\n- {name: u, user: {%s}}\n",
		cluster, user);

	return cox_kubeconfig_parse(cox_str(text), "config", dir, NULL, ret, err);
}

static void data_and_files(void **state)
{
	COX_CLEANUP(cox_kubeconfig_free_p) struct cox_kubeconfig *a = NULL, *b = NULL;
	struct cox_error err;
	const char *token;

	(void)state;
	save("ca.pem", "CA FILE");
	save("cert.pem", "CERT FILE");
	save("key.pem", "KEY FILE");
	if (parse("server: 'https://h:6443/', certificate-authority-data: Q0EgREFUQQ==, "
		  "certificate-authority: missing.pem, tls-server-name: x, "
		  "proxy-url: 'http://p:1', insecure-skip-tls-verify: true",
		  "token: t", &a, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(a->server, "https://h:6443");
	assert_string_equal(a->namespace, "ns");
	assert_string_equal(cox_buf_cstr(&a->ca_pem), "CA DATA");
	assert_string_equal(a->server_name, "x");
	assert_string_equal(a->proxy_url, "http://p:1");
	assert_true(a->insecure);
	assert_int_equal(cox_kubeconfig_token(a, &token, NULL), 0);
	assert_string_equal(token, "t");

	if (parse("server: 'https://h', certificate-authority: ca.pem",
		  "client-certificate: cert.pem, client-key: key.pem", &b, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(cox_buf_cstr(&b->ca_pem), "CA FILE");
	assert_string_equal(cox_buf_cstr(&b->cert_pem), "CERT FILE");
	assert_string_equal(cox_buf_cstr(&b->key_pem), "KEY FILE");
	assert_int_equal(cox_kubeconfig_token(b, &token, NULL), 0);
	assert_null(token);
}

static void a_token_file_is_read_again(void **state)
{
	COX_CLEANUP(cox_kubeconfig_free_p) struct cox_kubeconfig *c = NULL;
	struct cox_error err;
	const char *token;

	(void)state;
	save("token", "first\n");
	assert_int_equal(parse("server: 'https://h'", "tokenFile: token, token: other", &c, &err),
			 0);
	assert_int_equal(cox_kubeconfig_token(c, &token, &err), 0);
	assert_string_equal(token, "first");
	char *path = save("token", "second");
	assert_int_equal(cox_kubeconfig_token(c, &token, &err), 0);
	assert_string_equal(token, "second");
	unlink(path);
	assert_int_equal(cox_kubeconfig_token(c, &token, &err), -COX_NOT_FOUND);
	assert_non_null(strstr(err.message, "cannot read token file"));
}

static const struct {
	const char *cluster, *user, *message;
} refused[] = {
	{"server: 'https://h'", "exec: {command: aws, apiVersion: v1}",
	 "user: exec: programs that give credentials are not run here"},
	{"server: 'https://h'", "auth-provider: {name: gcp}", "auth providers are not supported"},
	{"server: 'https://h'", "username: a, password: b", "no password login"},
	{"server: 'https://h'", "client-certificate-data: YQ==", "go together"},
	{"server: 'https://h', certificate-authority: none.pem", "", "none.pem"},
	{"server: 'https://h', certificate-authority-data: '!'", "", "certificate-authority-data"},
	{"server: 'tcp://h'", "", "expected an http or https URL"},
	{"", "", "server: expected an http or https URL"},
};

static void what_cannot_be_used_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct cox_kubeconfig *c = NULL;
		struct cox_error err = COX_ERROR_INIT;
		assert_true(parse(refused[i].cluster, refused[i].user, &c, &err) < 0);
		assert_null(c);
		if (!strstr(err.message, refused[i].message))
			fail_msg("'%s' is not in: %s", refused[i].message, err.message);
	}
}

static void contexts(void **state)
{
	static const char text[] = "contexts:\n"
				   "- {name: a, context: {cluster: c}}\n"
				   "- {name: b, context: {cluster: d}}\n"
				   "- {name: e, context: {cluster: missing}}\n"
				   "clusters:\n"
				   "- {name: c, cluster: {server: 'https://c'}}\n"
				   "- {name: d, cluster: {server: 'https://d'}}\n";
	struct cox_kubeconfig *c = NULL;
	struct cox_error err;

	(void)state;
	char *path = save("config", text);
	assert_true(cox_kubeconfig_load(path, NULL, &c, &err) < 0);
	assert_non_null(strstr(err.message, "no current-context"));
	assert_true(cox_kubeconfig_load(path, "x", &c, &err) < 0);
	assert_non_null(strstr(err.message, "there is no context 'x'"));
	assert_true(cox_kubeconfig_load(path, "e", &c, &err) < 0);
	assert_non_null(strstr(err.message, "there is no cluster 'missing'"));
	assert_int_equal(cox_kubeconfig_load(path, "b", &c, &err), 0);
	assert_string_equal(c->server, "https://d");
	assert_string_equal(c->namespace, "default");
	assert_string_equal(c->context, "b");
	cox_kubeconfig_free(c);
	unlink(path);
	assert_int_equal(cox_kubeconfig_load(path, NULL, &c, &err), -COX_NOT_FOUND);
}

static void in_a_pod(void **state)
{
	struct cox_kubeconfig *c = NULL;
	struct cox_error err;
	const char *token;

	(void)state;
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(cox_kubeconfig_in_cluster(dir, &c, &err), -COX_NOT_FOUND);
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_true(cox_kubeconfig_in_cluster(dir, &c, &err) < 0);
	assert_non_null(strstr(err.message, "service account"));
	save("token", "tok");
	save("ca.crt", "CA");
	save("namespace", "coxswain\n");
	assert_int_equal(cox_kubeconfig_in_cluster(dir, &c, &err), 0);
	assert_string_equal(c->server, "https://[fd00::1]:443");
	assert_string_equal(c->namespace, "coxswain");
	assert_string_equal(cox_buf_cstr(&c->ca_pem), "CA");
	assert_int_equal(cox_kubeconfig_token(c, &token, NULL), 0);
	assert_string_equal(token, "tok");
	cox_kubeconfig_free(c);
	unsetenv("KUBERNETES_SERVICE_HOST");
}

int main(void)
{
#define CONFIG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CONFIG_TEST(data_and_files),
		CONFIG_TEST(a_token_file_is_read_again),
		CONFIG_TEST(what_cannot_be_used_is_refused),
		CONFIG_TEST(contexts),
		CONFIG_TEST(in_a_pod),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
