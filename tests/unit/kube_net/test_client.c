/* Verbs, errors, retries, the queue, tokens: against a scripted server. */
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/doc/json.h"
#include "common/kube/meta.h"
#include "scripted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const struct cox_kube_resource deployments = {"apps",	    "v1", "Deployment",
						     "deployments", true, 255};
static const struct cox_kube_resource nodes = {"", "v1", "Node", "nodes", false, 255};

struct result {
	int n_done, status;
	enum cox_kube_reason reason;
	bool terminating;
	struct cox_error error;
	struct cox_doc *doc;
	char warning[64];
};

static void done(void *arg, const struct cox_kube_answer *answer)
{
	struct result *r = arg;

	r->n_done++;
	r->status = answer->status;
	r->reason = answer->reason;
	r->terminating = answer->namespace_terminating;
	r->error = *answer->error;
	cox_doc_unref(r->doc);
	r->doc = answer->doc ? cox_doc_ref(answer->doc) : NULL;
	snprintf(r->warning, sizeof(r->warning), "%s", answer->warning ? answer->warning : "");
}

static void finish(struct result *r)
{
	wait_until(is_set, &r->n_done);
	assert_int_equal(r->n_done, 1);
}

static void ok(struct result *r)
{
	finish(r);
	if (r->error.code)
		fail_msg("%s", r->error.message);
	cox_doc_unref(r->doc);
	r->doc = NULL;
}

static void expect_seen(const char *wanted)
{
	assert_string_equal(cox_buf_cstr(&seen), wanted);
	cox_buf_clear(&seen);
	if (seen.ptr)
		seen.ptr[0] = '\0';
}

static void serve_object(void *arg, struct cox_http_request *r)
{
	(void)arg;
	cox_http_set_header(r, "Warning", "299 - \"be careful\"");
	reply_json(r, 200, "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\"}}");
}

static void verbs_become_requests(void **state)
{
	_cleanup_doc_ struct cox_doc *body = NULL;
	struct result r = {0};

	(void)state;
	scripted_start(serve_object, NULL, NULL);
	assert_int_equal(cox_json_read(COX_STR("{\"a\":1}"), "body", &body, NULL), 0);
	const struct cox_node *object = cox_doc_root(body);

	cox_kube_get(kube, &deployments, "ns", "web", done, &r);
	finish(&r);
	assert_int_equal(r.status, 200);
	assert_true(cox_str_is(cox_meta_name(cox_doc_root(r.doc)), "web"));
	assert_string_equal(r.warning, "299 - \"be careful\"");
	expect_seen("GET /apis/apps/v1/namespaces/ns/deployments/web\n");
	ok(&r);

	r.n_done = 0;
	cox_kube_get(kube, &nodes, "ns", "a/b", done, &r);
	ok(&r);
	expect_seen("GET /api/v1/nodes/a%2Fb\n");

	r.n_done = 0;
	cox_kube_list(kube, &deployments, NULL,
		      &(struct cox_kube_list_options){
			      .label_selector = "a=b,c", .limit = 50, .continue_token = "x=/"},
		      done, &r);
	ok(&r);
	expect_seen("GET /apis/apps/v1/deployments?labelSelector=a%3Db%2Cc&limit=50&"
		    "continue=x%3D%2F\n");

	r.n_done = 0;
	cox_kube_create(kube, &deployments, "ns", object, NULL, done, &r);
	ok(&r);
	expect_seen("POST /apis/apps/v1/namespaces/ns/deployments?fieldManager=coxswain "
		    "[application/json] {\"a\":1}\n");

	r.n_done = 0;
	cox_kube_apply(kube, &deployments, "ns", "web", object,
		       &(struct cox_kube_write_options){.force = true,
							.dry_run = true,
							.field_validation = "Strict",
							.field_manager = "me"},
		       done, &r);
	ok(&r);
	expect_seen("PATCH /apis/apps/v1/namespaces/ns/deployments/web?fieldManager=me&"
		    "fieldValidation=Strict&force=true&dryRun=All "
		    "[application/apply-patch+yaml] {\"a\":1}\n");

	r.n_done = 0;
	cox_kube_patch(kube, &deployments, "ns", "web", COX_PATCH_MERGE, object,
		       &(struct cox_kube_write_options){.subresource = "status", .force = true},
		       done, &r);
	ok(&r);
	expect_seen("PATCH /apis/apps/v1/namespaces/ns/deployments/web/status?"
		    "fieldManager=coxswain [application/merge-patch+json] {\"a\":1}\n");

	r.n_done = 0;
	cox_kube_update(kube, &nodes, NULL, "n", object, NULL, done, &r);
	ok(&r);
	expect_seen("PUT /api/v1/nodes/n?fieldManager=coxswain [application/json] {\"a\":1}\n");

	r.n_done = 0;
	cox_kube_delete(kube, &deployments, "ns", "web",
			&(struct cox_kube_delete_options){.propagation = "Foreground",
							  .uid = "u",
							  .resource_version = "7",
							  .grace_seconds = 0,
							  .dry_run = true},
			done, &r);
	ok(&r);
	expect_seen("DELETE /apis/apps/v1/namespaces/ns/deployments/web [application/json] "
		    "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\","
		    "\"propagationPolicy\":\"Foreground\",\"gracePeriodSeconds\":0,"
		    "\"preconditions\":{\"uid\":\"u\",\"resourceVersion\":\"7\"},"
		    "\"dryRun\":[\"All\"]}\n");

	r.n_done = 0;
	cox_kube_delete(kube, &deployments, "ns", "web", NULL, done, &r);
	ok(&r);
	expect_seen("DELETE /apis/apps/v1/namespaces/ns/deployments/web [application/json] "
		    "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\"}\n");
	scripted_stop();
}

static const struct {
	int http;
	const char *reason;
	enum cox_kube_reason wanted;
	enum cox_code code;
} failures[] = {
	{404, "NotFound", COX_KUBE_NOT_FOUND, COX_NOT_FOUND},
	{409, "AlreadyExists", COX_KUBE_ALREADY_EXISTS, COX_ALREADY_EXISTS},
	{409, "Conflict", COX_KUBE_CONFLICT, COX_ABORTED},
	{422, "Invalid", COX_KUBE_INVALID, COX_INVALID_ARGUMENT},
	{400, "BadRequest", COX_KUBE_BAD_REQUEST, COX_INVALID_ARGUMENT},
	{403, "Forbidden", COX_KUBE_FORBIDDEN, COX_PERMISSION_DENIED},
	{401, "Unauthorized", COX_KUBE_UNAUTHORIZED, COX_UNAUTHENTICATED},
	{410, "Expired", COX_KUBE_GONE, COX_OUT_OF_RANGE},
	{410, "Gone", COX_KUBE_GONE, COX_OUT_OF_RANGE},
	{500, "InternalError", COX_KUBE_INTERNAL, COX_INTERNAL},
	{500, "ServerTimeout", COX_KUBE_TIMEOUT, COX_UNAVAILABLE},
	{504, "Timeout", COX_KUBE_TIMEOUT, COX_DEADLINE_EXCEEDED},
	{405, "MethodNotAllowed", COX_KUBE_NOT_SUPPORTED, COX_UNIMPLEMENTED},
	{409, "", COX_KUBE_CONFLICT, COX_ABORTED},
	{422, "SomethingNew", COX_KUBE_INVALID, COX_INVALID_ARGUMENT},
};
static size_t failing;

static void serve_failure(void *arg, struct cox_http_request *r)
{
	(void)arg;
	reply_status(r, failures[failing].http, failures[failing].reason, "it says so");
}

static void statuses_become_errors(void **state)
{
	(void)state;
	scripted_start(serve_failure, NULL, NULL);
	for (failing = 0; failing < COX_ARRAY_LEN(failures); failing++) {
		struct result r = {0};
		cox_kube_get(kube, &nodes, NULL, "n", done, &r);
		finish(&r);
		assert_int_equal(r.status, failures[failing].http);
		assert_int_equal(r.reason, failures[failing].wanted);
		assert_int_equal(r.error.code, failures[failing].code);
		assert_string_equal(r.error.message, "it says so");
		assert_non_null(r.doc);
		cox_doc_unref(r.doc);
	}
	scripted_stop();
}

static void serve_odd(void *arg, struct cox_http_request *r)
{
	(void)arg;
	if (path_is(r, "/api/v1/nodes/terminating"))
		reply_json(r, 403,
			   "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"no\","
			   "\"details\":{\"causes\":[{\"reason\":\"NamespaceTerminating\"}]}}");
	else if (path_is(r, "/api/v1/nodes/page"))
		cox_http_reply(r, 502, "text/html", COX_STR("<h1>Bad Gateway</h1>\n"));
	else if (path_is(r, "/api/v1/nodes/broken"))
		cox_http_reply(r, 200, "application/json", COX_STR("{\"kind\":"));
	else
		cox_http_reply(r, 200, "text/plain", COX_STR("ok"));
}

static void odd_answers(void **state)
{
	struct result a = {0}, b = {0}, c = {0}, d = {0};

	(void)state;
	scripted_start(serve_odd, NULL, NULL);
	cox_kube_get(kube, &nodes, NULL, "terminating", done, &a);
	finish(&a);
	assert_int_equal(a.reason, COX_KUBE_FORBIDDEN);
	assert_true(a.terminating);
	cox_kube_get(kube, &nodes, NULL, "page", done, &b);
	finish(&b);
	assert_int_equal(b.error.code, COX_UNAVAILABLE);
	assert_string_equal(b.error.message, "/api/v1/nodes/page: 502: <h1>Bad Gateway</h1>");
	assert_null(b.doc);
	cox_kube_get(kube, &nodes, NULL, "broken", done, &c);
	finish(&c);
	assert_int_equal(c.error.code, COX_DATA_LOSS);
	cox_kube_send(
		kube,
		&(struct cox_kube_request){
			.method = "GET", .path = "/healthz", .raw = true, .done = done, .arg = &d});
	finish(&d);
	assert_int_equal(d.error.code, 0);
	cox_doc_unref(a.doc);
	scripted_stop();
}

static int n_busy; /* answers to come of "too busy" */
static int busy_status;
static const char *retry_after;

static void serve_busy(void *arg, struct cox_http_request *r)
{
	(void)arg;
	if (n_busy-- <= 0) {
		reply_json(r, 200, "{\"kind\":\"Node\"}");
		return;
	}
	if (retry_after)
		cox_http_set_header(r, "Retry-After", retry_after);
	reply_status(r, busy_status, busy_status == 429 ? "TooManyRequests" : "ServiceUnavailable",
		     "later");
}

static void busy_servers_are_asked_again(void **state)
{
	struct result a = {0}, b = {0}, c = {0};

	(void)state;
	scripted_start(serve_busy, NULL, &(struct cox_kube_options){.max_retries = 2});
	n_busy = 1;
	busy_status = 429;
	retry_after = "1";
	int64_t start_ms = cox_clock_ms();
	cox_kube_get(kube, &nodes, NULL, "n", done, &a);
	ok(&a);
	assert_true(cox_clock_ms() - start_ms >= 1000);
	assert_int_equal(n_seen("GET"), 2);

	n_busy = 9;
	busy_status = 503;
	retry_after = NULL;
	cox_kube_get(kube, &nodes, NULL, "n", done, &b);
	finish(&b);
	assert_int_equal(b.reason, COX_KUBE_UNAVAILABLE);
	assert_int_equal(b.error.code, COX_UNAVAILABLE);
	assert_int_equal(n_seen("GET"), 2 + 3);

	cox_kube_send(
		kube,
		&(struct cox_kube_request){
			.method = "GET", .path = "/x", .no_retry = true, .done = done, .arg = &c});
	finish(&c);
	assert_int_equal(n_seen("GET /x"), 1);
	cox_doc_unref(b.doc);
	cox_doc_unref(c.doc);
	scripted_stop();
}

enum { MAX_HELD = 64 };
static struct cox_http_request *held[MAX_HELD];
static int n_held, wanted_held;

static void forget_held(void *arg)
{
	*(struct cox_http_request **)arg = NULL;
}

static void hold(void *arg, struct cox_http_request *r)
{
	(void)arg;
	held[n_held] = r;
	cox_http_on_gone(r, forget_held, &held[n_held]);
	n_held++;
}

static bool are_held(void *arg)
{
	(void)arg;
	return n_held == wanted_held;
}

static void wait_held(int n)
{
	wanted_held = n;
	wait_until(are_held, NULL);
}

static bool is_idle(void *arg)
{
	(void)arg;
	return cox_kube_pending(kube) == 0;
}

static void flights_are_bounded_and_in_order(void **state)
{
	struct result r[10] = {0};
	struct cox_kube_call *calls[10];
	char name[8];

	(void)state;
	n_held = 0;
	scripted_start(hold, NULL, &(struct cox_kube_options){.parallel = 3, .max_queue = 6});
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		calls[i] = cox_kube_get(kube, &nodes, NULL, name, done, &r[i]);
	}
	assert_int_equal(r[9].n_done, 0); /* too many, but never at once */
	finish(&r[9]);
	assert_int_equal(r[9].error.code, COX_RESOURCE_EXHAUSTED);
	wait_held(3);
	assert_int_equal(cox_kube_pending(kube), 9);

	cox_kube_cancel(calls[4]); /* waits */
	cox_kube_cancel(calls[1]); /* flies: makes place for n3 */
	wait_held(4);
	assert_string_equal(cox_http_path(held[3]), "/api/v1/nodes/n3");
	for (int i = 0; i < n_held; i++) {
		if (!held[i]) /* n1, cancelled */
			continue;
		reply_json(TAKE(held[i]), 200, "{}");
		if (n_held < 8)
			wait_held(n_held + 1);
	}
	wait_until(is_idle, NULL);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(r[i].n_done, i != 1 && i != 4);
		cox_doc_unref(r[i].doc);
	}
	assert_int_equal(n_seen("nodes/n4"), 0);
	scripted_stop();
}

static void freeing_cancels_all(void **state)
{
	struct result r[5] = {0};

	(void)state;
	n_held = 0;
	scripted_start(hold, NULL, &(struct cox_kube_options){.parallel = 2});
	for (int i = 0; i < 5; i++)
		cox_kube_get(kube, &nodes, NULL, "n", done, &r[i]);
	wait_held(2);
	scripted_stop();
	for (int i = 0; i < 5; i++)
		assert_int_equal(r[i].n_done, 0);
	assert_null(held[0]);
}

static const char *good_token;

static void serve_token(void *arg, struct cox_http_request *r)
{
	const char *authorization = cox_http_header(r, "authorization");

	(void)arg;
	if (authorization && strcmp(authorization, good_token) == 0)
		reply_json(r, 200, "{}");
	else
		reply_status(r, 401, "Unauthorized", "who are you");
}

static void tokens_change(void **state)
{
	char path[] = "/tmp/cox-token-XXXXXX";
	struct result a = {0}, b = {0}, c = {0};
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	assert_int_equal(cox_file_write(path, COX_STR("one\n"), 0600, NULL), 0);
	_cleanup_free_ char *user = cox_asprintf("tokenFile: '%s'", path);
	scripted_start(serve_token, user, NULL);
	good_token = "Bearer one";
	cox_kube_get(kube, &nodes, NULL, "n", done, &a);
	ok(&a);
	good_token = "Bearer two";
	assert_int_equal(cox_file_write(path, COX_STR("two\n"), 0600, NULL), 0);
	cox_kube_get(kube, &nodes, NULL, "n", done, &b);
	ok(&b);
	assert_int_equal(n_seen("GET"), 2);
	good_token = "Bearer three";
	cox_kube_get(kube, &nodes, NULL, "n", done, &c);
	finish(&c);
	assert_int_equal(c.reason, COX_KUBE_UNAUTHORIZED);
	assert_int_equal(n_seen("GET"), 4); /* once more, and no more */
	cox_doc_unref(c.doc);
	scripted_stop();
	unlink(path);
}

static void free_in_done(void *arg, const struct cox_kube_answer *answer)
{
	(void)answer;
	cox_kube_free(kube);
	kube = NULL;
	*(int *)arg = 1;
}

static void the_client_may_go_inside_a_done(void **state)
{
	int gone = 0;

	(void)state;
	scripted_start(serve_object, NULL, NULL);
	cox_kube_get(kube, &nodes, NULL, "n", free_in_done, &gone);
	wait_until(is_set, &gone);
	scripted_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs_become_requests),
		cmocka_unit_test(statuses_become_errors),
		cmocka_unit_test(odd_answers),
		cmocka_unit_test(busy_servers_are_asked_again),
		cmocka_unit_test(flights_are_bounded_and_in_order),
		cmocka_unit_test(freeing_cancels_all),
		cmocka_unit_test(tokens_change),
		cmocka_unit_test(the_client_may_go_inside_a_done),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
