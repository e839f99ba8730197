/* Rollouts: list, get, and the stream of what changes. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "hub/web/internal.h"

#define HEARTBEAT_MS 15000
/* A watcher gets no more than four pictures a second, and of one that takes long to draw no more
 * than a twentieth of the time; what changes meanwhile is in the next. */
#define PACE_MS	   250
#define PACE_SHARE 20

struct listing {
	struct hub_control *control;
	struct cox_doc *doc;
	struct cox_node *list;
	const char *owner;
};

static void list_one(void *ctx, const struct cox_rollout *r)
{
	struct listing *l = ctx;

	if (l->owner && strcmp(l->owner, r->owner) != 0)
		return;
	cox_list_push(l->doc, l->list, hub_control_rollout_status(l->control, r, l->doc));
}

/* KIND/NAMESPACE/NAME, with "-" for the home namespace; the caller's. */
static char *owner_of(struct web_call *call)
{
	const char *said = cox_http_query(call->request, "owner");
	const char *at = said ? strstr(said, "/-/") : NULL;

	if (!at)
		return cox_strdup(said);
	return cox_asprintf("%.*s/%s/%s", (int)(at - said), said,
			    hub_control_namespace(call->web->control), at + 3);
}

void web_rollouts(struct web_call *call)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("rollouts");
	_cleanup_free_ char *owner = owner_of(call);
	struct cox_node *map = cox_doc_map(doc);
	struct listing l = {.control = call->web->control,
			    .doc = doc,
			    .list = cox_doc_list(doc),
			    .owner = owner};

	hub_control_each_rollout(call->web->control, list_one, &l);
	cox_map_put(doc, map, "items", l.list);
	web_reply_node(call->request, 200, map);
}

/* With the hub's own time: what counts down at the reader's is counted by one clock. */
static struct cox_node *status(struct hub_web *w, const struct cox_rollout *r, struct cox_doc *doc)
{
	struct cox_node *map = hub_control_rollout_status(w->control, r, doc);
	char now[COX_TIME_TEXT_MAX];

	cox_time_format(cox_clock_wall_ms(), now);
	cox_map_put_cstr(doc, map, "at", now);
	return map;
}

static void reply(struct web_call *call, const struct cox_rollout *r, const char *name)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("rollout");

	if (r)
		web_reply_node(call->request, 200, status(call->web, r, doc));
	else
		web_reply_code(call->request, COX_NOT_FOUND, "no rollout of '%s'", name);
}

static const char *ns(struct web_call *call)
{
	return strcmp(call->vars[0], "-") == 0 ? NULL : call->vars[0];
}

void web_rollout(struct web_call *call)
{
	reply(call, hub_control_rollout(call->web->control, ns(call), call->vars[1]),
	      call->vars[1]);
}

void web_rollout_by_id(struct web_call *call)
{
	reply(call, hub_control_rollout_by_id(call->web->control, call->vars[0]), call->vars[0]);
}

/* ---- what a person does to one ---- */

static int read_digest(const struct cox_node *node, uint8_t ret[COX_ROLLOUT_DIGEST],
		       struct cox_error *err)
{
	if (cox_hex_decode(cox_node_str(node), ret, COX_ROLLOUT_DIGEST, err) < 0)
		return cox_error_wrap(err, "digest");
	return 0;
}

static void act(struct web_call *call, const struct cox_node *body)
{
	COX_CLEANUP(hub_batch_free_p) struct hub_batch *batch = hub_batch_new();
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("rollout");
	const struct cox_node *digest = cox_node_get(body, "digest");
	uint8_t approved[COX_ROLLOUT_DIGEST];
	const struct cox_rollout *r = NULL;
	struct cox_error err = COX_ERROR_INIT;
	char who[WEB_WHO_MAX];
	struct hub_rollout_order order = {
		.verb = call->vars[2],
		.by = who,
		.id = cox_node_cstr(cox_node_get(body, "id"), NULL),
		.back = cox_node_bool(cox_node_get(body, "back"), false),
	};

	if (web_who(call, cox_node_cstr(cox_node_get(body, "by"), NULL),
		    cox_node_cstr(cox_node_get(body, "user"), NULL), who, &err) < 0 ||
	    (digest && read_digest(digest, approved, &err) < 0)) {
		web_reply_error(call->request, &err);
		return;
	}
	order.digest = digest ? approved : NULL;
	if (hub_control_rollout_act(call->web->control, batch, ns(call), call->vars[1], &order, &r,
				    &err) < 0)
		web_reply_error(call->request, &err);
	else
		web_reply_after(call, TAKE(batch), 200, status(call->web, r, doc));
}

void web_rollout_act(struct web_call *call)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (!hub_control_is_rollout_verb(call->vars[2]))
		web_reply_code(call->request, COX_NOT_FOUND, "no such path");
	else if (web_body(call, &doc, &err) < 0)
		web_reply_error(call->request, &err);
	else
		act(call, cox_doc_root(doc));
}

/* ---- the stream ---- */

struct stream {
	struct cox_list node; /* of the web's streams */
	struct hub_web *web;
	struct cox_http_request *request;
	struct hub_watcher watcher;
	struct cox_timer heartbeat, pace;
	bool stale; /* something has changed since it was sent last */
	char *namespace, *name;
	uint8_t token[COX_SHA256_BYTES]; /* its hash: who may read */
};

static void stream_free(struct stream *s)
{
	cox_list_remove(&s->node);
	hub_control_unwatch(&s->watcher);
	cox_timer_stop(&s->heartbeat);
	cox_timer_stop(&s->pace);
	free(s->namespace);
	free(s->name);
	free(s);
}

static void stream_gone(void *arg)
{
	stream_free(arg);
}

/* Its token was revoked, or has expired. */
static void stream_end(struct stream *s)
{
	struct cox_http_request *request = s->request;

	cox_http_on_gone(request, NULL, NULL);
	stream_free(s);
	cox_http_end(request);
}

/* A reader that is too slow is cut off by the server, which calls stream_gone later. s may be gone
 * afterwards. */
static void stream_write(struct stream *s, struct cox_str text)
{
	if (!web_token_holds(s->web, s->token)) {
		stream_end(s);
		return;
	}
	cox_http_write(s->request, text);
	cox_timer_start(&s->heartbeat, HEARTBEAT_MS);
}

static void stream_send(struct stream *s, const struct cox_rollout *r)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("rollout");
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	int64_t start_us = cox_clock_us(), pace_ms;

	cox_buf_puts(&text, "event: rollout\ndata: ");
	cox_json_write(&text, status(s->web, r, doc));
	cox_buf_puts(&text, "\n\n");
	pace_ms = (cox_clock_us() - start_us) * PACE_SHARE / 1000;
	s->stale = false;
	cox_timer_start(&s->pace, pace_ms > PACE_MS ? pace_ms : PACE_MS);
	stream_write(s, cox_buf_str(&text));
}

static void stream_changed(void *ctx, const char *owner)
{
	struct stream *s = ctx;
	const struct cox_rollout *r = hub_control_rollout(s->web->control, s->namespace, s->name);

	if (!r || strcmp(r->owner, owner) != 0)
		return;
	if (cox_timer_is_running(&s->pace))
		s->stale = true;
	else
		stream_send(s, r);
}

static void stream_pace(void *arg)
{
	struct stream *s = arg;
	const struct cox_rollout *r = hub_control_rollout(s->web->control, s->namespace, s->name);

	if (s->stale && r)
		stream_send(s, r);
}

static void stream_beat(void *arg)
{
	stream_write(arg, COX_STR(": still here\n\n"));
}

/* Something that may get a rollout, even if it has none yet. */
static bool may_roll(struct web_call *call)
{
	static const enum hub_kind kinds[] = {HUB_APPLICATION_SET, HUB_APPLICATION};

	for (size_t i = 0; i < COX_ARRAY_LEN(kinds); i++) {
		_cleanup_doc_ struct cox_doc *doc = NULL;

		if (hub_control_get(call->web->control, kinds[i], ns(call), call->vars[1], &doc,
				    NULL) == 0)
			return true;
	}
	return false;
}

void web_rollout_watch(struct web_call *call)
{
	const struct cox_rollout *r =
		hub_control_rollout(call->web->control, ns(call), call->vars[1]);
	struct stream *s;

	if (!r && !may_roll(call)) {
		web_reply_code(call->request, COX_NOT_FOUND,
			       "no ApplicationSet or Application '%s'", call->vars[1]);
		return;
	}
	s = cox_new(struct stream);
	s->web = call->web;
	s->request = call->request;
	memcpy(s->token, call->token, sizeof(s->token));
	s->namespace = cox_strdup(ns(call));
	s->name = cox_strdup(call->vars[1]);
	s->watcher.fn = stream_changed;
	s->watcher.ctx = s;
	cox_list_append(&call->web->streams, &s->node);
	hub_control_watch(call->web->control, &s->watcher);
	cox_timer_init(&s->heartbeat, call->web->loop, stream_beat, s);
	cox_timer_init(&s->pace, call->web->loop, stream_pace, s);
	cox_http_on_gone(call->request, stream_gone, s);
	cox_http_set_header(call->request, "Cache-Control", "no-store");
	cox_http_start(call->request, 200, "text/event-stream");
	if (r)
		stream_send(s, r);
	else
		stream_beat(s);
}

void web_streams_fini(struct hub_web *w)
{
	COX_LIST_EACH(&w->streams, node)
	stream_free(COX_LIST_ENTRY(node, struct stream, node));
}

void web_streams_review(struct hub_web *w)
{
	COX_LIST_EACH(&w->streams, node)
	{
		struct stream *s = COX_LIST_ENTRY(node, struct stream, node);

		if (!web_token_holds(w, s->token))
			stream_end(s);
	}
}
