/* Gates' Secrets: where they may be sent, what they add, and that nothing of them comes back; then
 * over real TLS. */
#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "common/doc/yaml.h"
#include "common/net/http_server.h"
#include "hub/probe/probe.h"
#include "tests/unit/net_http/certificates.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct hub_probe_names names = {
	.rollout = "r-1", .revision = "abc", .application_set = "shop", .wave = "prod"};

static struct cox_doc *read_yaml(const char *yaml)
{
	struct cox_doc *doc = NULL;
	struct cox_error err;

	if (cox_yaml_read(cox_str(yaml), "yaml", NULL, &doc, &err) < 0)
		fail_msg("%s", err.message);
	return doc;
}

static void read_secret(const char *data, struct hub_gate_secret *ret)
{
	_cleanup_free_ char *yaml =
		cox_asprintf("{metadata: {name: checks}, stringData: {%s}}", data);
	_cleanup_doc_ struct cox_doc *doc = read_yaml(yaml);
	struct cox_error err;

	if (hub_gate_secret_read(ret, cox_doc_root(doc), &err) < 0)
		fail_msg("%s", err.message);
}

/* ---- where to ---- */

static void test_where_to(void **state)
{
	static const struct {
		const char *hosts, *url, *want; /* NULL: it may go there */
	} cases[] = {
		{"a.example.com", "https://a.example.com", NULL},
		{"a.example.com", "https://a.example.com/x?y#z", NULL},
		{"a.example.com", "https://a.example.com?y", NULL},
		{"a.example.com", "https://A.Example.COM:443/", NULL},
		{"A.EXAMPLE.com:8443", "https://a.example.com:8443/", NULL},
		{"b, a.example.com", "https://a.example.com/", NULL},
		{"[2001:DB8::1]:8443", "https://[2001:db8::1]:8443/", NULL},
		{"a.example.com", "http://a.example.com/", "sent with https alone"},
		{"a.example.com", "HTTPS://a.example.com/", "sent with https alone"},
		{"a.example.com", "ftp://a.example.com/", "sent with https alone"},
		{"a.example.com", "https://b.example.com/",
		 "may not be sent to 'b.example.com:443'"},
		{"a.example.com", "https://a.example.com:8443/", "to 'a.example.com:8443'"},
		{"a.example.com:8443", "https://a.example.com/", "to 'a.example.com:443'"},
		{"a.example.com", "https://a.example.com./", "to 'a.example.com.:443'"},
		{"a.example.com", "https://x.a.example.com/", "to 'x.a.example.com:443'"},
		{"a.example.com", "https://a.example.com.evil.example/", "may not be sent"},
		{"a.example.com", "https://a.example.com@evil.example/", "is no HOST"},
		{"a.example.com", "https://evil.example\\@a.example.com/", "is no HOST"},
		{"a.example.com", "https://u:p@a.example.com/", "is no HOST"},
		{"a.example.com", "https://a.example.com\\.evil.example/", "is no HOST"},
		{"a.example.com", "https://a.example.com%2eevil.example/", "is no HOST"},
		{"a.example.com", "https://a.example.com:443:80/", "is no HOST"},
		{"a.example.com", "https://a.example.com:/", "is no HOST"},
		{"a.example.com", "https://a.example.com:0443/", "is no HOST"},
		{"a.example.com", "https://a.example.com:65536/", "is no HOST"},
		{"a.example.com", "https:///a.example.com", "is no HOST"},
		{"a.example.com", "https://a.example.com\t/", "is no HOST"},
		{"a.example.com", "https://\xd0\xb0.example.com/", "is no HOST"},
		{"a.example.com", "https://[a.example.com]/", "may not be sent"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_gate_secret_ struct hub_gate_secret secret = {0};
		_cleanup_free_ char *data =
			cox_asprintf("hosts: '%s', bearerToken: t0ken", cases[i].hosts);
		struct cox_error err = COX_ERROR_INIT;
		int r;

		read_secret(data, &secret);
		r = hub_gate_secret_check_url(&secret, cases[i].url, &err);
		if (cases[i].want ? r == 0 || !strstr(err.message, cases[i].want) : r < 0)
			fail_msg("%s: %d %s", cases[i].url, r, err.message);
	}
}

/* ---- what it adds ---- */

static void test_what_it_adds(void **state)
{
	static const struct {
		const char *data, *spec, *want;
	} cases[] = {
		{"bearerToken: ' t0ken\n'", "", "Authorization: Bearer t0ken\n"},
		{"username: ann, password: 's3 cret'", "",
		 "Authorization: Basic YW5uOnMzIGNyZXQ=\n"},
		{"headers: \"X-Api-Key:  k3y \\n\\nX-Team: blue\"", "headers: {X-Wave: '1'}",
		 "X-Api-Key: k3y\nX-Team: blue\n"},
		{"bearerToken: t0ken", "headers: {authorization: mine}",
		 "error: headers.authorization: not beside `auth`: its secret gives it"},
		{"headers: 'X-Api-Key: k3y'", "headers: {x-api-key: mine}",
		 "error: headers.x-api-key: not beside `auth`: its secret gives it"},
		{"bearerToken: t0ken", "headers: {HOST: evil.example}",
		 "error: headers.HOST: not beside `auth`"},
		{"ca.crt: pem", "headers: {Authorization: mine}", ""},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_gate_secret_ struct hub_gate_secret secret = {0};
		_cleanup_free_ char *data = cox_asprintf("hosts: a, %s", cases[i].data);
		_cleanup_free_ char *yaml =
			cox_asprintf("{url: 'https://a/{{wave}}', %s}", cases[i].spec);
		_cleanup_doc_ struct cox_doc *doc = read_yaml(yaml);
		struct cox_rollout_gate gate = {.kind = COX_GATE_HTTP, .spec = cox_doc_root(doc)};
		COX_CLEANUP(hub_question_fini) struct hub_question q = {0};
		_cleanup_buf_ struct cox_buf got = COX_BUF_INIT;
		struct cox_error err;

		read_secret(data, &secret);
		if (hub_question_make(&gate, &names, &q, &err) < 0)
			fail_msg("%s", err.message);
		if (probe_auth(&secret, &q, &err) < 0)
			cox_buf_printf(&got, "error: %s", err.message);
		COX_VEC_EACH (&q.secret_headers, h)
			cox_buf_printf(&got, "%s\n", *h);
		assert_string_equal(cox_buf_cstr(&got), cases[i].want);
	}
}

static void test_what_is_hidden(void **state)
{
	static const struct {
		const char *data, *answer, *want;
	} cases[] = {
		{"bearerToken: t0ken", "a t0ken, Bearer t0ken, t0kent0ken",
		 "a ++++++++, ++++++++, ++++++++++++++++"},
		{"bearerToken: t0k", "t0k, Bearer t0k", "t0k, ++++++++"}, /* too short to be one */
		{"username: ann, password: s3cret", "ann s3cret YW5uOnMzY3JldA== Basic x",
		 "ann ++++++++ ++++++++ Basic x"},
		{"username: ann, password: 'a\"b\\c'", "[\"a\\\"b\\\\c\", 'a\"b\\c']",
		 "[\"++++++++\", '++++++++']"},
		{"headers: 'X-Key: k3yk3y'", "k3yk3y k3yk3", "++++++++ k3yk3"},
		{"ca.crt: pem!", "pem!", "pem!"}, /* nothing secret */
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_gate_secret_ struct hub_gate_secret secret = {0};
		_cleanup_free_ char *data = cox_asprintf("hosts: a, %s", cases[i].data);
		COX_CLEANUP(hub_question_fini)
		struct hub_question q = {.url = cox_strdup("https://a")};
		_cleanup_buf_ struct cox_buf got = COX_BUF_INIT;

		read_secret(data, &secret);
		assert_int_equal(probe_auth(&secret, &q, NULL), 0);
		hub_question_mask(&q, cox_str(cases[i].answer), &got);
		assert_string_equal(cox_buf_cstr(&got), cases[i].want);
	}
}

/* ---- over TLS ---- */

static struct certificates certs;
static struct cox_loop *loop;
static struct cox_http_server *server, *open_server;
static struct hub_probes *probes;
static struct hub_gate_secret kept;
static bool has_secret;
static int n_answers, n_requests;
static enum cox_rollout_answer last_answer;
static char last_message[300];

static bool may_connect(void *ctx, const struct sockaddr *address, bool open)
{
	(void)ctx;
	(void)address;
	(void)open;
	return true;
}

static void answered(void *ctx, const char *rollout, const struct cox_rollout_probe *at,
		     enum cox_rollout_answer answer, const char *message)
{
	(void)ctx;
	(void)rollout;
	(void)at;
	n_answers++;
	last_answer = answer;
	snprintf(last_message, sizeof(last_message), "%s", message);
}

/* Says back what it was sent: the worst that it can do. */
static void handle(void *arg, struct cox_http_request *r)
{
	_cleanup_buf_ struct cox_buf body = COX_BUF_INIT;
	const char *header = cox_http_header(r, "Authorization");

	(void)arg;
	n_requests++;
	if (!header) {
		cox_http_reply(r, 401, NULL, COX_STR(""));
		return;
	}
	cox_buf_printf(&body, "{\"you\":\"%s\"}", header);
	cox_http_reply_take(r, 200, "application/json", &body);
}

/* As hub/control gives it; a copy of what the test keeps. */
static int secret_of(void *ctx, const char *name, struct hub_gate_secret *ret,
		     struct cox_error *err)
{
	(void)ctx;
	if (!has_secret || strcmp(name, "checks") != 0)
		return cox_error(err, COX_NOT_FOUND, "there is no secret '%s'", name);
	*ret = (struct hub_gate_secret){.name = cox_strdup(kept.name),
					.bearer_token = cox_strdup(kept.bearer_token),
					.username = cox_strdup(kept.username),
					.password = cox_strdup(kept.password),
					.ca = cox_strdup(kept.ca)};
	COX_VEC_EACH (&kept.hosts, h)
		cox_vec_push(&ret->hosts, cox_strdup(*h));
	return 0;
}

static int set_up(void **state)
{
	struct cox_error err;

	(void)state;
	certificates_init(&certs);
	n_answers = n_requests = 0;
	has_secret = false;
	if (cox_loop_new(&loop, &err) < 0 ||
	    cox_http_server_new(
		    loop,
		    &(struct cox_http_server_options){.listen = "127.0.0.1:0",
						      .handler = handle,
						      .cert_path = certs.server_cert_path,
						      .key_path = certs.server_key_path},
		    &server, &err) < 0 ||
	    cox_http_server_new(
		    loop,
		    &(struct cox_http_server_options){.listen = "127.0.0.1:0", .handler = handle},
		    &open_server, &err) < 0 ||
	    hub_probes_new(&(struct hub_probes_options){.loop = loop,
							.may_connect = may_connect,
							.answered = answered,
							.secret = secret_of},
			   &probes, &err) < 0)
		fail_msg("%s", err.message);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	hub_probes_free(probes);
	cox_http_server_free(server);
	cox_http_server_free(open_server);
	cox_loop_free(loop);
	hub_gate_secret_fini(&kept);
	certificates_fini(&certs);
	return 0;
}

/* hosts: of the Secret; its ca.crt is the server's authority when trusted. */
static void keep(const char *hosts, const char *data, bool trusted)
{
	_cleanup_free_ char *text = cox_asprintf("hosts: '%s', %s", hosts, data);

	hub_gate_secret_fini(&kept);
	read_secret(text, &kept);
	if (trusted) {
		free(kept.ca);
		kept.ca = cox_strdup(cox_buf_cstr(&certs.server_ca));
	}
	has_secret = true;
}

static bool has_answer(void *arg)
{
	return n_answers >= *(int *)arg;
}

/* Asks, waits, and says "good: …". */
static const char *ask(const char *scheme, const char *address, const char *more)
{
	static const char *const words[] = {"good", "bad", "none"};
	static char text[400];
	_cleanup_free_ char *spec = cox_asprintf(
		"{url: '%s://%s/', auth: {secretRef: {name: checks}}, %s}", scheme, address, more);
	_cleanup_doc_ struct cox_doc *doc = read_yaml(spec);
	int want = n_answers + 1;
	struct cox_error err;

	hub_probe_ask(probes,
		      &(struct cox_rollout_gate){.kind = COX_GATE_HTTP, .spec = cox_doc_root(doc)},
		      &names, &(struct cox_rollout_probe){.attempt = want});
	if (cox_loop_wait(loop, has_answer, &want, 30000, &err) < 0)
		fail_msg("%s", err.message);
	snprintf(text, sizeof(text), "%s: %s", words[last_answer], last_message);
	return text;
}

static void test_asking(void **state)
{
	const char *address = cox_http_server_address(server);
	_cleanup_free_ char *named =
		cox_asprintf("localhost:%u", (unsigned)cox_http_server_port(server));

	(void)state;
	assert_string_equal(ask("https", address, ""),
			    "none: cannot be asked: auth: there is no secret 'checks'");
	keep(address, "bearerToken: c4nary", true);
	assert_string_equal(ask("https", address, ""), "good: answered with status 200");
	/* what comes back is not shown, nor compared with */
	assert_string_equal(ask("https", address, "json: {pointer: /you, equals: x}"),
			    "bad: '/you' is \"++++++++\", wanted \"x\"");
	assert_string_equal(ask("https", address, "json: {pointer: /you, equals: Bearer c4nary}"),
			    "bad: '/you' is \"++++++++\", wanted \"Bearer c4nary\"");
	assert_string_equal(ask("https", address, "json: {pointer: /none, equals: x}"),
			    "bad: the answer has nothing at '/none': no key 'none'");
	keep(address, "username: ann, password: c4nary", true);
	assert_string_equal(ask("https", address, "json: {pointer: /you, equals: x}"),
			    "bad: '/you' is \"++++++++\", wanted \"x\"");
	assert_int_equal(n_requests, 5);
	/* not to another name of the same server */
	assert_non_null(strstr(ask("https", named, ""), "none: cannot be asked: "));
	assert_non_null(
		strstr(last_message, "auth: secret 'checks' may not be sent to 'localhost:"));
	assert_int_equal(n_requests, 5);
}

static void test_without_trust(void **state)
{
	const char *address = cox_http_server_address(server);
	const char *open_address = cox_http_server_address(open_server);

	(void)state;
	/* a server that nobody vouches for gets nothing */
	keep(address, "bearerToken: c4nary", false);
	assert_non_null(strstr(ask("https", address, ""), "none: cannot be asked: "));
	assert_null(strstr(last_message, "c4nary"));
	/* nor does one that is spoken to in the clear */
	keep(open_address, "bearerToken: c4nary", true);
	assert_string_equal(
		ask("http", open_address, ""),
		"none: cannot be asked: auth: secret 'checks' is sent with https alone");
	assert_int_equal(n_requests, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where_to),
		cmocka_unit_test(test_what_it_adds),
		cmocka_unit_test(test_what_is_hidden),
		cmocka_unit_test_setup_teardown(test_asking, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_trust, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
