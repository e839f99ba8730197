#include "common/kube/client.h"

#include "common/base/encode.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/rand.h"
#include "common/doc/json.h"
#include "common/kube/client_private.h"
#include "common/net/http_client.h"

#include <stdio.h>
#include <string.h>

enum {
	PARALLEL = 32,
	MAX_QUEUE = 20000,
	MAX_RETRIES = 6,
	MAX_BODY = 64 << 20,
	TIMEOUT_MS = 60000,
	RETRY_BASE_MS = 500,
	MAX_PAUSE_MS = 60000, /* however long Retry-After is */
};

struct cox_kube_call {
	struct cox_list node; /* in queue, flying, pausing or failing */
	struct cox_kube *kube;
	struct cox_http_call *http; /* while flying */
	char *method, *path, *content_type, *accept;
	struct cox_buf body;
	bool raw, no_retry;
	int64_t timeout_ms;
	unsigned tries;
	bool reauthorized;
	struct cox_timer pause;
	struct cox_error early; /* why it could not even be sent */
	cox_kube_done *done;
	void *arg;
};

struct cox_kube {
	struct cox_loop *loop;
	struct cox_kubeconfig *config;
	struct cox_kube_options o;
	struct cox_http_client *http;
	struct cox_http_target target;
	struct cox_rng rng;
	struct cox_list queue, flying, pausing, failing;
	size_t n_queued, n_flying, n_pending;
	struct cox_timer fail_soon; /* for failing: done never runs inside a call */
};

static void pump(struct cox_kube *kube);

/* ---- what a Status says ---- */

static const struct {
	const char *text;
	int http;
	enum cox_kube_reason reason;
	enum cox_code code;
} reasons[] = {
	{"NotFound", 404, COX_KUBE_NOT_FOUND, COX_NOT_FOUND},
	{"AlreadyExists", 0, COX_KUBE_ALREADY_EXISTS, COX_ALREADY_EXISTS},
	{"Conflict", 409, COX_KUBE_CONFLICT, COX_ABORTED},
	{"Invalid", 422, COX_KUBE_INVALID, COX_INVALID_ARGUMENT},
	{"BadRequest", 400, COX_KUBE_BAD_REQUEST, COX_INVALID_ARGUMENT},
	{"Forbidden", 403, COX_KUBE_FORBIDDEN, COX_PERMISSION_DENIED},
	{"Unauthorized", 401, COX_KUBE_UNAUTHORIZED, COX_UNAUTHENTICATED},
	{"Expired", 410, COX_KUBE_GONE, COX_OUT_OF_RANGE},
	{"Gone", 410, COX_KUBE_GONE, COX_OUT_OF_RANGE},
	{"TooManyRequests", 429, COX_KUBE_TOO_MANY_REQUESTS, COX_RESOURCE_EXHAUSTED},
	{"ServiceUnavailable", 503, COX_KUBE_UNAVAILABLE, COX_UNAVAILABLE},
	{"Timeout", 504, COX_KUBE_TIMEOUT, COX_DEADLINE_EXCEEDED},
	{"ServerTimeout", 0, COX_KUBE_TIMEOUT, COX_UNAVAILABLE},
	{"InternalError", 500, COX_KUBE_INTERNAL, COX_INTERNAL},
	{"MethodNotAllowed", 405, COX_KUBE_NOT_SUPPORTED, COX_UNIMPLEMENTED},
	{"NotAcceptable", 406, COX_KUBE_NOT_SUPPORTED, COX_UNIMPLEMENTED},
	{"UnsupportedMediaType", 415, COX_KUBE_NOT_SUPPORTED, COX_UNIMPLEMENTED},
	{"RequestEntityTooLarge", 413, COX_KUBE_TOO_LARGE, COX_RESOURCE_EXHAUSTED},
};

enum cox_kube_reason cox_kube_read_status(const struct cox_node *status, int http_status,
					  struct cox_error *ret_error)
{
	struct cox_str reason = cox_node_str(cox_node_get(status, "reason"));
	const char *message = cox_node_cstr(cox_node_get(status, "message"), "");
	enum cox_code code = cox_code_from_http(http_status);
	enum cox_kube_reason found = COX_KUBE_NO_REASON;

	for (size_t i = 0; i < COX_ARRAY_LEN(reasons); i++) {
		/* By its number only when it has no name that is known. */
		bool same = cox_str_is(reason, reasons[i].text);
		if (!same && (found || reasons[i].http != http_status))
			continue;
		found = reasons[i].reason;
		code = reasons[i].code;
		if (same)
			break;
	}
	if (*message)
		cox_error(ret_error, code, "%s", message);
	else if (reason.len)
		cox_error(ret_error, code, "the API server answered %d (%.*s)", http_status,
			  COX_STR_ARG(reason));
	else
		cox_error(ret_error, code, "the API server answered %d", http_status);
	return found;
}

static bool has_cause(const struct cox_node *status, const char *wanted)
{
	const struct cox_node *causes = COX_GET(status, "details", "causes");

	for (size_t i = 0; i < cox_node_len(causes); i++)
		if (cox_str_is(cox_node_str(cox_node_get(cox_node_at(causes, i), "reason")),
			       wanted))
			return true;
	return false;
}

void cox_kube_read_answer(int status, struct cox_str body, bool raw, const char *what,
			  struct cox_kube_answer *ret_answer, struct cox_error *ret_error)
{
	bool good = status >= 200 && status < 300;
	struct cox_error why = COX_ERROR_INIT;
	struct cox_doc *doc = NULL;

	*ret_answer = (struct cox_kube_answer){.status = status, .body = body, .error = ret_error};
	*ret_error = COX_ERROR_INIT;
	if (!(raw && good) && body.len && cox_json_read(body, what, &doc, &why) < 0 && good) {
		cox_error(ret_error, COX_DATA_LOSS, "cannot read the API server's answer: %s",
			  why.message);
		return;
	}
	ret_answer->doc = doc;
	if (good)
		return;
	const struct cox_node *root = cox_doc_root(doc);
	ret_answer->reason = cox_kube_read_status(root, status, ret_error);
	ret_answer->namespace_terminating =
		ret_answer->reason == COX_KUBE_FORBIDDEN && has_cause(root, "NamespaceTerminating");
	if (!root && body.len) { /* a proxy's page, most likely */
		struct cox_str text = cox_str_trim(body);
		cox_error(ret_error, (enum cox_code)ret_error->code, "%s: %d: %.*s", what, status,
			  (int)(text.len < 120 ? text.len : 120), text.ptr);
	}
}

/* ---- the way of a call: queue → flying → done, or pausing → queue ---- */

static void free_call(struct cox_kube_call *call)
{
	cox_list_remove(&call->node);
	cox_timer_stop(&call->pause);
	call->kube->n_pending--;
	free(call->method);
	free(call->path);
	free(call->content_type);
	free(call->accept);
	cox_buf_fini(&call->body);
	free(call);
}

static void on_pause_over(void *arg)
{
	struct cox_kube_call *call = arg;
	struct cox_kube *kube = call->kube;

	cox_list_remove(&call->node);
	cox_list_prepend(&kube->queue, &call->node); /* it was at the front already */
	kube->n_queued++;
	pump(kube);
}

static bool wants_retry(const struct cox_kube_call *call, int status)
{
	return !call->no_retry && (status == 429 || status == 503) &&
	       call->tries <= call->kube->o.max_retries;
}

static int64_t pause_ms(struct cox_kube_call *call, const struct cox_http_answer *http)
{
	const char *after = cox_http_answer_header(http, "retry-after");
	unsigned long seconds = after ? strtoul(after, NULL, 10) : 0;

	if (seconds == 0) /* also a date, which no API server sends */
		return cox_backoff_ms(&call->kube->rng, RETRY_BASE_MS, MAX_PAUSE_MS,
				      call->tries - 1);
	if (seconds > MAX_PAUSE_MS / 1000)
		seconds = MAX_PAUSE_MS / 1000;
	/* Not all of those that were told the same at once. */
	return (int64_t)seconds * 1000 + (int64_t)cox_rng_below(&call->kube->rng, 250);
}

static void finish(struct cox_kube_call *call, struct cox_kube_answer *answer)
{
	struct cox_kube *kube = call->kube;
	struct cox_doc *doc = answer->doc;
	cox_kube_done *done = call->done;
	void *arg = call->arg;

	free_call(call);
	pump(kube); /* before done, which may free the client */
	done(arg, answer);
	cox_doc_unref(doc);
}

static void on_answer(void *arg, const struct cox_http_answer *http, const struct cox_error *error)
{
	struct cox_kube_call *call = arg;
	struct cox_kube *kube = call->kube;
	struct cox_kube_answer answer = {.error = error};
	struct cox_error read_error;

	call->http = NULL;
	kube->n_flying--;
	cox_list_remove(&call->node);
	if (!error->code && wants_retry(call, http->status)) {
		cox_list_append(&kube->pausing, &call->node);
		cox_timer_start(&call->pause, pause_ms(call, http));
		pump(kube);
		return;
	}
	/* A token that was replaced between our look at its file and the server's. */
	if (!error->code && http->status == 401 && kube->config->token_path &&
	    !call->reauthorized) {
		call->reauthorized = true;
		kube->config->token_stamp[0] = 0;
		on_pause_over(call);
		return;
	}
	if (!error->code) {
		cox_kube_read_answer(http->status, http->body, call->raw, call->path, &answer,
				     &read_error);
		answer.warning = cox_http_answer_header(http, "warning");
	}
	finish(call, &answer);
}

static void fail_later(struct cox_kube_call *call)
{
	cox_list_remove(&call->node);
	cox_list_append(&call->kube->failing, &call->node);
	if (!cox_timer_is_running(&call->kube->fail_soon))
		cox_timer_start(&call->kube->fail_soon, 0);
}

static void on_fail_soon(void *arg)
{
	struct cox_kube *kube = arg;
	struct cox_kube_call *call = COX_LIST_FIRST(&kube->failing, struct cox_kube_call, node);

	if (!call)
		return;
	struct cox_error error = call->early;
	struct cox_kube_answer answer = {.error = &error};
	cox_list_remove(&call->node);
	if (!cox_list_is_empty(&kube->failing))
		cox_timer_start(&kube->fail_soon, 0);
	finish(call, &answer);
}

static void fly(struct cox_kube_call *call)
{
	struct cox_kube *kube = call->kube;
	char type[160], accept[256];
	const char *headers[] = {accept, call->content_type ? type : NULL, NULL};

	snprintf(type, sizeof(type), "Content-Type: %s",
		 call->content_type ? call->content_type : "");
	snprintf(accept, sizeof(accept), "Accept: %s", call->accept);
	struct cox_http_send send = {
		.method = call->method,
		.headers = headers,
		.body = cox_buf_str(&call->body),
		.total_timeout_ms = call->timeout_ms,
		.max_body = kube->o.max_body,
		.done = on_answer,
		.arg = call,
	};
	call->tries++;
	if (cox_kube_http_send(kube, call->path, &send, &call->http, &call->early) < 0) {
		fail_later(call);
		return;
	}
	kube->n_flying++;
	cox_list_append(&kube->flying, &call->node);
}

static void pump(struct cox_kube *kube)
{
	struct cox_kube_call *call;

	while (kube->n_flying < kube->o.parallel &&
	       (call = COX_LIST_FIRST(&kube->queue, struct cox_kube_call, node))) {
		cox_list_remove(&call->node);
		kube->n_queued--;
		fly(call);
	}
}

struct cox_kube_call *cox_kube_send(struct cox_kube *kube, const struct cox_kube_request *r)
{
	COX_ASSERT(cox_loop_is_owner(kube->loop));
	struct cox_kube_call *call = cox_new(struct cox_kube_call);

	call->kube = kube;
	call->method = cox_strdup(r->method);
	call->path = cox_strdup(r->path);
	call->content_type = cox_strdup(r->content_type);
	if (r->body.len && !r->content_type)
		call->content_type = cox_strdup("application/json");
	call->accept = cox_strdup(r->accept ? r->accept : "application/json");
	cox_buf_add(&call->body, r->body.ptr, r->body.len);
	call->raw = r->raw;
	call->no_retry = r->no_retry;
	call->timeout_ms = r->timeout_ms ? r->timeout_ms : kube->o.timeout_ms;
	call->done = r->done;
	call->arg = r->arg;
	cox_list_init(&call->node);
	cox_timer_init(&call->pause, kube->loop, on_pause_over, call);
	kube->n_pending++;
	if (kube->n_queued >= kube->o.max_queue) {
		cox_error(&call->early, COX_RESOURCE_EXHAUSTED,
			  "%zu calls to the API server are waiting already", kube->n_queued);
		fail_later(call);
		return call;
	}
	cox_list_append(&kube->queue, &call->node);
	kube->n_queued++;
	pump(kube);
	return call;
}

void cox_kube_cancel(struct cox_kube_call *call)
{
	if (!call)
		return;
	struct cox_kube *kube = call->kube;
	COX_ASSERT(cox_loop_is_owner(kube->loop));
	if (call->http) {
		cox_http_cancel(call->http);
		kube->n_flying--;
	} else if (!cox_timer_is_running(&call->pause) && !call->early.code) {
		kube->n_queued--;
	}
	free_call(call);
	pump(kube);
}

size_t cox_kube_pending(const struct cox_kube *kube)
{
	return kube->n_pending;
}

/* ---- the client ---- */

int cox_kube_http_send(struct cox_kube *kube, const char *path, struct cox_http_send *send,
		       struct cox_http_call **ret_call, struct cox_error *err)
{
	_cleanup_free_ char *url = cox_asprintf("%s%s", kube->config->server, path);
	int r = cox_kubeconfig_token(kube->config, &send->bearer_token, err);

	if (r < 0)
		return r;
	send->url = url;
	send->target = &kube->target;
	return cox_http_send(kube->http, send, ret_call, err);
}

static void set_target(struct cox_http_target *t, const struct cox_kubeconfig *c)
{
	t->ca_data = cox_buf_str(&c->ca_pem);
	t->cert_data = cox_buf_str(&c->cert_pem);
	t->key_data = cox_buf_str(&c->key_pem);
	t->server_name = c->server_name;
	t->proxy_url = c->proxy_url;
	t->insecure = c->insecure;
}

int cox_kube_new(struct cox_loop *loop, struct cox_kubeconfig *config,
		 const struct cox_kube_options *options, struct cox_kube **ret_kube,
		 struct cox_error *err)
{
	struct cox_http_client *http;
	struct cox_kube *kube;
	uint64_t seed;
	/* Watches of HTTP/1.1 servers hold a connection each, besides the calls. */
	struct cox_http_client_options o = {.max_per_host = 512, .max_total = 512};
	int r = cox_http_client_new(loop, &o, &http, err);

	if (r < 0) {
		cox_kubeconfig_free(config);
		return r;
	}
	kube = cox_new(struct cox_kube);
	kube->loop = loop;
	kube->config = config;
	kube->http = http;
	if (options)
		kube->o = *options;
#define DEFAULT(field, value) kube->o.field = kube->o.field ? kube->o.field : (value)
	DEFAULT(parallel, PARALLEL);
	DEFAULT(max_queue, MAX_QUEUE);
	DEFAULT(max_retries, MAX_RETRIES);
	DEFAULT(max_body, MAX_BODY);
	DEFAULT(timeout_ms, TIMEOUT_MS);
#undef DEFAULT
	set_target(&kube->target, config);
	cox_random_bytes(&seed, sizeof(seed));
	cox_rng_init(&kube->rng, seed);
	cox_list_init(&kube->queue);
	cox_list_init(&kube->flying);
	cox_list_init(&kube->pausing);
	cox_list_init(&kube->failing);
	cox_timer_init(&kube->fail_soon, loop, on_fail_soon, kube);
	*ret_kube = kube;
	return 0;
}

static void cancel_all(struct cox_list *calls)
{
	struct cox_kube_call *call;

	while ((call = COX_LIST_FIRST(calls, struct cox_kube_call, node)))
		cox_kube_cancel(call);
}

void cox_kube_free(struct cox_kube *kube)
{
	if (!kube)
		return;
	cancel_all(&kube->queue); /* first, or they would take the place of those in flight */
	cancel_all(&kube->pausing);
	cancel_all(&kube->failing);
	cancel_all(&kube->flying);
	cox_timer_stop(&kube->fail_soon);
	cox_http_client_free(kube->http);
	cox_kubeconfig_free(kube->config);
	free(kube);
}

const struct cox_kubeconfig *cox_kube_config(const struct cox_kube *kube)
{
	return kube->config;
}

struct cox_loop *cox_kube_loop(struct cox_kube *kube)
{
	return kube->loop;
}

struct cox_rng *cox_kube_rng(struct cox_kube *kube)
{
	return &kube->rng;
}
