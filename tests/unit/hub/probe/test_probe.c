/* Questions and what answers mean, in tables; then over real sockets. */
#include "hub/probe/probe.h"

#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "common/doc/yaml.h"
#include "common/net/http_server.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct hub_probe_names names = {
	.rollout = "r-1", .revision = "abc/1 2", .application_set = "shop", .wave = "prod"};

static struct cox_doc *read_spec(const char *yaml)
{
	struct cox_doc *doc = NULL;
	struct cox_error err;

	if (cox_yaml_read(cox_str(yaml), "gate", NULL, &doc, &err) < 0)
		fail_msg("%s", err.message);
	return doc;
}

/* ---- questions ---- */

static void test_questions(void **state)
{
	static const struct {
		enum cox_gate_kind kind;
		const char *spec;
		const char *want; /* "METHOD URL", headers, body; "error: …" */
	} cases[] = {
		{COX_GATE_HTTP, "{url: 'https://x.example/ready?rev={{revision}}'}",
		 "GET https://x.example/ready?rev=abc%2F1%202 10000"},
		{COX_GATE_HTTP, "{url: 'https://x.example/{{ wave }}/{{rollout}}', timeout: 3s}",
		 "GET https://x.example/prod/r-1 3000"},
		{COX_GATE_HTTP,
		 "{url: 'https://x', method: POST, body: 'go {{revision}} of {{applicationSet}}', "
		 "headers: {X-Wave: 'w {{wave}}', Accept: '*/*'}}",
		 "POST https://x 10000\nX-Wave: w prod\nAccept: */*\ngo abc/1 2 of shop"},
		{COX_GATE_HTTP, "{url: 'https://x/{{cluster}}'}",
		 "error: url: '{{cluster}}' is none of {{rollout}}, {{revision}}, "
		 "{{applicationSet}}, {{wave}}"},
		{COX_GATE_HTTP, "{url: 'https://x/{{wave'}", "error: url: '{{' without '}}'"},
		{COX_GATE_HTTP, "{url: 'https://x', method: DELETE}",
		 "error: method: 'DELETE' is none of GET, HEAD, POST"},
		{COX_GATE_HTTP, "{url: 'https://x', headers: {A: \"b\\nEvil: c\"}}",
		 "error: headers.A: a header is one line"},
		{COX_GATE_HTTP, "{url: 'https://x', headers: {'Host: evil': b}}",
		 "error: headers: 'Host: evil' is no header's name"},
		{COX_GATE_HTTP, "{url: 'https://x', json: {pointer: status, equals: 1}}",
		 "error: json.pointer: 'status' does not begin with '/'"},
		{COX_GATE_HTTP, "{url: 'https://x', json: {pointer: /status}}",
		 "error: json: needs `equals`"},
		{COX_GATE_HTTP, "{url: 'https://x', timeout: 61s}",
		 "error: timeout: expected 1ms to 60s"},
		{COX_GATE_HTTP, "{url: 'https://x', timeout: 60s}", "GET https://x 60000"},
		{COX_GATE_METRICS,
		 "{address: 'https://prom.example/', query: 'sum(up{job=\"{{wave}}\"}) / 2', "
		 "condition: '>= 1'}",
		 "GET https://prom.example/api/v1/query?query="
		 "sum%28up%7Bjob%3D%22prod%22%7D%29%20%2F%202 10000"},
		{COX_GATE_METRICS,
		 "{address: 'https://prom.example', query: up, condition: 'about 1'}",
		 "error: condition: 'about 1', expected an operator and a number, as '< 0.01'"},
		{COX_GATE_METRICS,
		 "{address: 'https://prom.example', query: up, condition: '< NaN'}",
		 "error: condition: '< NaN', expected an operator and a number, as '< 0.01'"},
		{COX_GATE_METRICS, "{address: 'https://prom.example', query: '', condition: '< 1'}",
		 "error: query: is empty"},
		{COX_GATE_METRICS, "{query: up, condition: '< 1'}", "error: address: is empty"},
		{COX_GATE_SOAK, "5m", "error: a gate 'soak' asks no URL"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_doc_ struct cox_doc *doc = read_spec(cases[i].spec);
		struct cox_rollout_gate gate = {.kind = cases[i].kind, .spec = cox_doc_root(doc)};
		COX_CLEANUP(hub_question_fini) struct hub_question q = {0};
		_cleanup_buf_ struct cox_buf got = COX_BUF_INIT;
		struct cox_error err;

		if (hub_question_make(&gate, &names, &q, &err) < 0) {
			cox_buf_printf(&got, "error: %s", err.message);
		} else {
			cox_buf_printf(&got, "%s %s %lld", q.method, q.url,
				       (long long)q.timeout_ms);
			COX_VEC_EACH (&q.headers, h)
				cox_buf_printf(&got, "\n%s", *h);
			if (q.body)
				cox_buf_printf(&got, "\n%s", q.body);
		}
		assert_string_equal(cox_buf_cstr(&got), cases[i].want);
	}
}

/* ---- answers ---- */

#define VECTOR(items)                                                                              \
	"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" items "]}}"
#define SAMPLE(value) "{\"metric\":{},\"value\":[1700000000.1,\"" value "\"]}"

static void test_answers(void **state)
{
	static const char *const words[] = {"good", "bad", "none"};
	static const struct {
		enum cox_gate_kind kind;
		const char *spec;
		int status;
		const char *body;
		const char *want;
	} cases[] = {
		{COX_GATE_HTTP, "{}", 200, "", "good: answered with status 200"},
		{COX_GATE_HTTP, "{}", 204, "", "good: answered with status 204"},
		{COX_GATE_HTTP, "{}", 301, "", "bad: answered with status 301"},
		{COX_GATE_HTTP, "{}", 503, "", "bad: answered with status 503"},
		{COX_GATE_HTTP, "{expectedStatus: 404}", 404, "", "good: answered with status 404"},
		{COX_GATE_HTTP, "{expectedStatus: [200, 418]}", 418, "",
		 "good: answered with status 418"},
		{COX_GATE_HTTP, "{expectedStatus: [200, 418]}", 201, "",
		 "bad: answered with status 201"},
		{COX_GATE_HTTP, "{json: {pointer: /a/0, equals: ready}}", 200,
		 "{\"a\":[\"ready\"]}", "good: '/a/0' is \"ready\""},
		{COX_GATE_HTTP, "{json: {pointer: /a, equals: true}}", 200, "{\"a\":\"true\"}",
		 "bad: '/a' is \"true\", wanted true"},
		{COX_GATE_HTTP, "{json: {pointer: /a, equals: true}}", 500, "{\"a\":true}",
		 "bad: answered with status 500"},
		{COX_GATE_HTTP, "{json: {pointer: /b, equals: 1}}", 200, "{\"a\":1}",
		 "bad: the answer has nothing at '/b': no key 'b'"},
		{COX_GATE_HTTP, "{json: {pointer: '', equals: {a: 1}}}", 200, "{\"a\":1}",
		 "good: '' is {\"a\":1}"},
		{COX_GATE_HTTP, "{json: {pointer: /a, equals: 1}}", 200, "<html>",
		 "bad: the answer is no JSON: answer:1:1: expected a value, found '<'"},
		{COX_GATE_METRICS, "{condition: '< 0.01'}", 200, VECTOR(SAMPLE("0.005")),
		 "good: 0.005, wanted < 0.01"},
		{COX_GATE_METRICS, "{condition: '< 0.01'}", 200, VECTOR(SAMPLE("0.01")),
		 "bad: 0.01, wanted < 0.01"},
		{COX_GATE_METRICS, "{condition: '<=0.01'}", 200, VECTOR(SAMPLE("0.01")),
		 "good: 0.01, wanted <=0.01"},
		{COX_GATE_METRICS, "{condition: '> 1e3'}", 200, VECTOR(SAMPLE("1e+06")),
		 "good: 1e+06, wanted > 1e3"},
		{COX_GATE_METRICS, "{condition: '>= 1'}", 200, VECTOR(SAMPLE("+Inf")),
		 "good: +Inf, wanted >= 1"},
		{COX_GATE_METRICS, "{condition: '!= 1'}", 200, VECTOR(SAMPLE("NaN")),
		 "bad: NaN, wanted != 1"},
		{COX_GATE_METRICS, "{condition: '== 2'}", 200, VECTOR(SAMPLE("2")),
		 "good: 2, wanted == 2"},
		{COX_GATE_METRICS, "{condition: '< 1'}", 200, VECTOR(SAMPLE("0") "," SAMPLE("3")),
		 "bad: 3, wanted < 1"},
		{COX_GATE_METRICS, "{condition: '< 1'}", 200, VECTOR(""),
		 "none: the query has no result"},
		{COX_GATE_METRICS, "{condition: '< 1'}", 200,
		 "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"0\"]}"
		 "}",
		 "good: 0, wanted < 1"},
		{COX_GATE_METRICS, "{condition: '< 1'}", 200,
		 "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}",
		 "none: the query gives a matrix, expected a scalar or a vector"},
		{COX_GATE_METRICS, "{condition: '< 1'}", 400,
		 "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"parse error\"}",
		 "none: the query fails (status 400): parse error"},
		{COX_GATE_METRICS, "{condition: '< 1'}", 502, "Bad Gateway",
		 "none: answered with status 502 and no JSON"},
		{COX_GATE_METRICS, "{condition: '< 1'}", 200, VECTOR("{\"value\":[1]}"),
		 "none: the answer has a sample without a number"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_doc_ struct cox_doc *doc = read_spec(cases[i].spec);
		struct cox_rollout_gate gate = {.kind = cases[i].kind, .spec = cox_doc_root(doc)};
		_cleanup_buf_ struct cox_buf got = COX_BUF_INIT, message = COX_BUF_INIT;
		enum cox_rollout_answer answer = hub_question_judge(
			&gate, cases[i].status, cox_str(cases[i].body), &message);

		cox_buf_printf(&got, "%s: %s", words[answer], cox_buf_cstr(&message));
		assert_string_equal(cox_buf_cstr(&got), cases[i].want);
	}
}

/* ---- over sockets ---- */

static struct cox_loop *loop;
static struct cox_http_server *server;
static struct hub_probes *probes;
static bool permit_open, permit_secure;
static int n_answers;
static enum cox_rollout_answer last_answer;
static char last_message[300], last_key[80];

static bool may_connect(void *ctx, const struct sockaddr *address, bool open)
{
	(void)ctx;
	assert_int_equal(address->sa_family, AF_INET);
	return open ? permit_open : permit_secure;
}

static void answered(void *ctx, const char *rollout, const struct cox_rollout_probe *at,
		     enum cox_rollout_answer answer, const char *message)
{
	(void)ctx;
	n_answers++;
	last_answer = answer;
	snprintf(last_message, sizeof(last_message), "%s", message);
	snprintf(last_key, sizeof(last_key), "%s %zu %d %zu %lld", rollout, at->wave, at->after,
		 at->gate, (long long)at->attempt);
}

static void handle(void *arg, struct cox_http_request *r)
{
	_cleanup_buf_ struct cox_buf body = COX_BUF_INIT;
	const char *wave = cox_http_header(r, "x-wave");

	(void)arg;
	if (cox_streq(cox_http_path(r), "/moved")) {
		cox_http_set_header(r, "Location", "/ready");
		cox_http_reply(r, 302, NULL, COX_STR(""));
		return;
	}
	if (cox_streq(cox_http_path(r), "/large")) {
		cox_buf_reserve(&body, HUB_PROBE_MAX_BODY + 1);
		memset(body.ptr, 'x', HUB_PROBE_MAX_BODY + 1);
		body.len = HUB_PROBE_MAX_BODY + 1;
		cox_http_reply_take(r, 200, "text/plain", &body);
		return;
	}
	cox_buf_printf(&body,
		       "{\"method\":\"%s\",\"path\":\"%s\",\"wave\":\"%s\",\"body\":\"%.*s\"}",
		       cox_http_method(r), cox_http_path(r), wave ? wave : "",
		       COX_STR_ARG(cox_http_body(r)));
	cox_http_reply_take(r, 200, "application/json", &body);
}

static int set_up(void **state)
{
	struct cox_error err;

	(void)state;
	n_answers = 0;
	permit_open = permit_secure = true;
	if (cox_loop_new(&loop, &err) < 0 ||
	    cox_http_server_new(
		    loop,
		    &(struct cox_http_server_options){.listen = "127.0.0.1:0", .handler = handle},
		    &server, &err) < 0 ||
	    hub_probes_new(&(struct hub_probes_options){.loop = loop,
							.may_connect = may_connect,
							.answered = answered},
			   &probes, &err) < 0)
		fail_msg("%s", err.message);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	hub_probes_free(probes);
	cox_http_server_free(server);
	cox_loop_free(loop);
	return 0;
}

static bool has_answer(void *arg)
{
	return n_answers >= *(int *)arg;
}

static void ask_at(enum cox_gate_kind kind, const char *spec, const struct cox_rollout_probe *at)
{
	_cleanup_doc_ struct cox_doc *doc = read_spec(spec);

	hub_probe_ask(probes, &(struct cox_rollout_gate){.kind = kind, .spec = cox_doc_root(doc)},
		      &names, at);
}

/* Asks, waits, and says "good: …". */
static const char *ask(enum cox_gate_kind kind, const char *format, const char *address)
{
	static const char *const words[] = {"good", "bad", "none"};
	static char text[400];
	_cleanup_buf_ struct cox_buf spec = COX_BUF_INIT;
	const char *mark = strstr(format, "ADDRESS");
	int want = n_answers + 1;
	struct cox_error err;

	cox_buf_add(&spec, format, (size_t)(mark - format));
	cox_buf_puts(&spec, address);
	cox_buf_puts(&spec, mark + strlen("ADDRESS"));
	ask_at(kind, cox_buf_cstr(&spec), &(struct cox_rollout_probe){.wave = 1, .attempt = want});
	assert_int_equal(n_answers, want - 1);
	if (cox_loop_wait(loop, has_answer, &want, 30000, &err) < 0)
		fail_msg("%s", err.message);
	snprintf(text, sizeof(text), "%s: %s", words[last_answer], last_message);
	return text;
}

static void test_asking(void **state)
{
	const char *address = cox_http_server_address(server);

	(void)state;
	assert_string_equal(ask(COX_GATE_HTTP, "{url: 'http://ADDRESS/ready'}", address),
			    "good: answered with status 200");
	assert_string_equal(last_key, "r-1 1 0 0 1");
	assert_string_equal(
		ask(COX_GATE_HTTP,
		    "{url: 'http://ADDRESS/{{wave}}', method: POST, headers: {X-Wave: "
		    "'{{wave}}'}, body: 'go', json: {pointer: '', equals: {method: POST, "
		    "path: /prod, wave: prod, body: go}}}",
		    address),
		"good: '' is {\"method\":\"POST\",\"path\":\"/prod\",\"wave\":\"prod\","
		"\"body\":\"go\"}");
	/* where it leads may be somewhere else: not followed */
	assert_string_equal(ask(COX_GATE_HTTP, "{url: 'http://ADDRESS/moved'}", address),
			    "bad: answered with status 302");
	assert_non_null(strstr(ask(COX_GATE_HTTP, "{url: 'http://ADDRESS/large'}", address),
			       "none: cannot be asked: "));
	assert_string_equal(ask(COX_GATE_HTTP, "{url: 'file:///etc/hostname#ADDRESS'}", address),
			    "none: cannot be asked: the URL begins neither with https:// nor with "
			    "http://");
	assert_string_equal(ask(COX_GATE_HTTP, "{url: 'http://ADDRESS/', method: PUT}", address),
			    "none: cannot be asked: method: 'PUT' is none of GET, HEAD, POST");
	assert_int_equal(hub_probes_running(probes), 0);
}

static void test_addresses_that_are_refused(void **state)
{
	const char *address = cox_http_server_address(server);

	(void)state;
	permit_open = false;
	assert_non_null(strstr(ask(COX_GATE_HTTP, "{url: 'http://ADDRESS/ready'}", address),
			       "none: cannot be asked: "));
	permit_open = true;
	permit_secure = false;
	assert_non_null(strstr(ask(COX_GATE_HTTP, "{url: 'https://ADDRESS/ready'}", address),
			       "none: cannot be asked: "));
	assert_int_equal(cox_http_server_connections(server), 0);
}

/* The same key twice is one question; a cancelled one is not answered. */
static void test_once_and_cancelled(void **state)
{
	struct cox_rollout_probe first = {.attempt = 1}, second = {.attempt = 2};
	_cleanup_free_ char *spec =
		cox_asprintf("{url: 'http://%s/'}", cox_http_server_address(server));
	int want = 1;
	struct cox_error err;

	(void)state;
	ask_at(COX_GATE_HTTP, spec, &first);
	ask_at(COX_GATE_HTTP, spec, &second);
	ask_at(COX_GATE_HTTP, spec, &second);
	assert_int_equal(hub_probes_running(probes), 2);
	hub_probe_cancel(probes, "r-1", &first);
	hub_probe_cancel(probes, "another", &second);
	assert_int_equal(hub_probes_running(probes), 1);
	if (cox_loop_wait(loop, has_answer, &want, 30000, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(last_key, "r-1 0 0 0 2");
	/* one that could not be sent is cancelled as well */
	ask_at(COX_GATE_HTTP, "{url: 'ftp://x'}", &first);
	hub_probe_cancel(probes, "r-1", &first);
	ask_at(COX_GATE_HTTP, spec, &first); /* freed while it is under way */
	assert_int_equal(n_answers, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_answers),
		cmocka_unit_test_setup_teardown(test_asking, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_addresses_that_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_once_and_cancelled, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
