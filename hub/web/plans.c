/* Plans: what would happen, before anything is written. Answered whole when the plan is made, or, to
 * who takes an event stream, with what it is at meanwhile. */
#include "common/base/clock.h"
#include "hub/web/internal.h"

#define HEARTBEAT_MS 15000
#define PROGRESS_MS  100       /* between two of them */
#define PIECE_BYTES  (1 << 20) /* written at once */

struct planning {
	struct cox_http_request *request;
	struct cox_loop *loop;
	struct control_plan *plan; /* NULL: it is over */
	bool streams, started;
	struct cox_timer heartbeat;
	int64_t told_ms;
	struct cox_buf out; /* what is left to be written, from sent on */
	size_t sent;
};

static void planning_free(struct planning *q)
{
	cox_timer_stop(&q->heartbeat);
	cox_buf_fini(&q->out);
	free(q);
}

static void gone(void *arg)
{
	struct planning *q = arg;

	if (q->plan)
		hub_control_plan_cancel(q->plan);
	planning_free(q);
}

/* ---- the stream ---- */

static void start(struct planning *q)
{
	if (q->started)
		return;
	q->started = true;
	cox_http_set_header(q->request, "Cache-Control", "no-store");
	cox_http_start(q->request, 200, "text/event-stream");
}

static void beat(void *arg)
{
	struct planning *q = arg;

	start(q);
	cox_http_write(q->request, COX_STR(": still here\n\n"));
	cox_timer_start(&q->heartbeat, HEARTBEAT_MS);
}

static void write_event(struct cox_buf *out, const struct cox_node *node)
{
	cox_buf_puts(out, "data: ");
	cox_json_write(out, node);
	cox_buf_puts(out, "\n\n");
}

static void tell(void *arg, const char *what, size_t n, size_t all)
{
	struct planning *q = arg;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_node *map, *progress;

	if (!q->streams || cox_clock_ms() - q->told_ms < PROGRESS_MS)
		return;
	q->told_ms = cox_clock_ms();
	doc = cox_doc_new("progress");
	map = cox_doc_map(doc);
	progress = cox_doc_map(doc);
	cox_map_put_cstr(doc, progress, "what", what);
	cox_map_put_int(doc, progress, "n", (int64_t)n);
	cox_map_put_int(doc, progress, "of", (int64_t)all);
	cox_map_put(doc, map, "progress", progress);
	write_event(&text, map);
	start(q);
	cox_http_write(q->request, cox_buf_str(&text));
	cox_timer_start(&q->heartbeat, HEARTBEAT_MS);
}

/* As fast as the reader takes it. */
static void write_on(void *arg)
{
	struct planning *q = arg;
	struct cox_http_request *request = q->request;

	while (q->sent < q->out.len) {
		size_t n = q->out.len - q->sent;
		int r = cox_http_write(request, cox_str_n(q->out.ptr + q->sent,
							  n < PIECE_BYTES ? n : PIECE_BYTES));

		if (r < 0) /* it is cut off, and gone will be called */
			return;
		q->sent += n < PIECE_BYTES ? n : PIECE_BYTES;
		if (r > 0 && q->sent < q->out.len) {
			cox_http_on_drain(request, write_on, q);
			return;
		}
	}
	cox_http_on_gone(request, NULL, NULL);
	planning_free(q);
	cox_http_end(request);
}

static void end_stream(struct planning *q, const char *key, const struct cox_node *node)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("event");
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put(doc, map, key, node);
	cox_timer_stop(&q->heartbeat);
	write_event(&q->out, map);
	start(q);
	write_on(q);
}

static void end_stream_with(struct planning *q, const struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("error");
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "code", cox_code_name(err->code));
	cox_map_put_cstr(doc, map, "message", err->message);
	end_stream(q, "error", map);
}

/* ---- the answer ---- */

static void made(void *arg, const struct cox_doc *answer, const struct cox_error *err)
{
	struct planning *q = arg;
	struct cox_http_request *request = q->request;

	q->plan = NULL;
	if (q->streams && answer) {
		end_stream(q, "plan", cox_doc_root(answer));
	} else if (q->streams) {
		end_stream_with(q, err);
	} else {
		cox_http_on_gone(request, NULL, NULL);
		planning_free(q);
		if (answer)
			web_reply_node(request, 200, cox_doc_root(answer));
		else
			web_reply_error(request, err);
	}
}

static bool takes_stream(struct web_call *call)
{
	const char *accept = cox_http_header(call->request, "Accept");

	return accept && strstr(accept, "text/event-stream") != NULL;
}

static void plan(struct web_call *call, const struct hub_plan_request *request)
{
	struct planning *q = cox_new(struct planning);
	struct cox_error err = COX_ERROR_INIT;

	q->request = call->request;
	q->loop = call->web->loop;
	q->streams = takes_stream(call);
	cox_timer_init(&q->heartbeat, q->loop, beat, q);
	if (hub_control_plan(call->web->control, request, made, tell, q, &q->plan, &err) < 0) {
		planning_free(q);
		web_reply_error(call->request, &err);
		return;
	}
	cox_http_on_gone(call->request, gone, q);
	if (q->streams)
		cox_timer_start(&q->heartbeat, HEARTBEAT_MS);
}

/* ---- the question ---- */

static int read_object(struct cox_doc *body, const char *key, struct cox_doc **ret,
		       struct cox_error *err)
{
	const struct cox_node *node = cox_node_get(cox_doc_root(body), key);

	if (!node || cox_node_is(node, COX_NULL))
		return 0;
	if (!cox_node_is(node, COX_MAP))
		return cox_error(err, COX_INVALID_ARGUMENT, "%s: must be an object, not a %s", key,
				 cox_kind_name(cox_node_kind(node)));
	*ret = cox_doc_view(body, node);
	return 0;
}

static int read_number(const struct cox_node *root, const char *key, int64_t *ret,
		       struct cox_error *err)
{
	const struct cox_node *node = cox_node_get(root, key);

	if (node && (!cox_node_is(node, COX_INT) || cox_node_int(node, 0) < 1))
		return cox_error(err, COX_INVALID_ARGUMENT, "%s: expected a number from 1", key);
	*ret = cox_node_int(node, 0);
	return 0;
}

/* What both questions may say. *ret_policy is the caller's. */
static int read_request(struct cox_doc *body, struct hub_plan_request *q,
			struct cox_doc **ret_policy, struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(body);
	int64_t timeout_s = 0;
	int r = read_object(body, "policy", ret_policy, err);

	if (r == 0)
		r = read_number(root, "targets", &q->max_targets, err);
	if (r == 0)
		r = read_number(root, "targetTimeoutSeconds", &timeout_s, err);
	q->policy = *ret_policy;
	q->revision = cox_node_cstr(cox_node_get(root, "revision"), NULL);
	q->objects = cox_node_bool(cox_node_get(root, "diff"), false);
	q->target_ms = timeout_s < INT32_MAX ? timeout_s * 1000 : INT64_MAX;
	return r;
}

static int plan_set(struct web_call *call, struct cox_doc *body, struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(body);
	_cleanup_doc_ struct cox_doc *object = NULL, *policy = NULL;
	struct hub_plan_request q = {.set = true};
	int r = read_object(body, "object", &object, err);

	if (r < 0)
		return r;
	if (cox_node_get(root, "kind")) {
		object = cox_doc_view(body, root);
	} else {
		r = read_request(body, &q, &policy, err);
		q.namespace = cox_node_cstr(cox_node_get(root, "namespace"), NULL);
		q.name = cox_node_cstr(cox_node_get(root, "name"), "");
	}
	if (r == 0 && !object && !*q.name)
		r = cox_error(err, COX_INVALID_ARGUMENT,
			      "the body must be an ApplicationSet, or say 'object' or 'name'");
	if (r < 0)
		return r;
	q.object = object;
	if (q.namespace && strcmp(q.namespace, "-") == 0)
		q.namespace = NULL;
	plan(call, &q);
	return 0;
}

void web_plan_set(struct web_call *call)
{
	_cleanup_doc_ struct cox_doc *body = NULL;
	struct cox_error err = COX_ERROR_INIT;
	int r = web_body(call, &body, &err);

	if (r == 0)
		r = plan_set(call, body, &err);
	if (r < 0)
		web_reply_error(call->request, &err);
}

void web_plan_rollout(struct web_call *call)
{
	_cleanup_doc_ struct cox_doc *body = NULL, *policy = NULL;
	struct hub_plan_request q = {.namespace =
					     strcmp(call->vars[0], "-") == 0 ? NULL : call->vars[0],
				     .name = call->vars[1]};
	struct cox_error err = COX_ERROR_INIT;
	int r = web_body(call, &body, &err);

	if (r == 0)
		r = read_request(body, &q, &policy, &err);
	if (r < 0)
		web_reply_error(call->request, &err);
	else
		plan(call, &q);
}
