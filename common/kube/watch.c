#include "common/kube/watch.h"

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/doc/json.h"
#include "common/kube/client_private.h"
#include "common/kube/discovery.h"
#include "common/kube/meta.h"

#include <stdio.h>
#include <string.h>

enum {
	PAGE = 50,
	BACKOFF_MS = 500,
	MAX_BACKOFF_MS = 30000,
	WATCH_MIN_S = 300, /* the server ends a watch after this to twice this, at random */
	WATCH_GRACE_MS = 30000,
	LONG_ENOUGH_MS = 5000, /* a stream that lived so long broke for reasons of its own */
};

/* LIST: a page is asked for. WATCH: a stream is open. PAUSE: timer, then the one that `listed`
 * says. Moves: LIST → LIST … → WATCH → WATCH …; any failure → PAUSE; 410 → LIST from the start. */
struct cox_watch {
	struct cox_kube *kube;
	struct cox_watch_options o;
	struct cox_kube_resource *resource;
	char *namespace, *label_selector, *field_selector;
	struct cox_kube_call *list;
	struct cox_http_call *stream;
	struct cox_timer pause;
	bool listed;	      /* version is where to go on watching */
	bool synced;	      /* some list was complete */
	bool expired;	      /* the stream said 410 */
	char *continue_token; /* of the list that is under way */
	char *version;	      /* resourceVersion */
	uintptr_t round;      /* of lists, from 1 */
	struct cox_map known; /* "namespace/name" → round in which it was last seen */
	struct cox_json_lines lines;
	unsigned n_failures;
	int64_t opened_ms;
	bool *freed; /* set when it was freed inside a callback */
};

static void ask(struct cox_watch *w);

/* ---- objects out ---- */

/* A copy of its own size with apiVersion and kind in front: items of a list have none. */
static struct cox_doc *complete_object(const struct cox_watch *w, const struct cox_node *item)
{
	const struct cox_kube_resource *r = w->resource;
	struct cox_doc *doc = cox_doc_new("object");
	struct cox_node *root = cox_doc_map(doc);

	cox_map_put(doc, root, "apiVersion",
		    cox_doc_stringf(doc, "%s%s%s", r->group, *r->group ? "/" : "", r->version));
	cox_map_put_cstr(doc, root, "kind", r->kind);
	for (size_t i = 0; i < cox_node_len(item); i++) {
		struct cox_str key = cox_node_key(item, i);
		if (!cox_str_is(key, "apiVersion") && !cox_str_is(key, "kind"))
			cox_map_put_str(doc, root, key, cox_doc_clone(doc, cox_node_at(item, i)));
	}
	cox_doc_set_root(doc, root);
	return cox_doc_seal(doc);
}

/* Calls into the user's code; false: the watch is gone afterwards. */
#define CALL(w, function, ...)                                                                     \
	({                                                                                         \
		bool _freed = false;                                                               \
		bool *_outer = (w)->freed;                                                         \
		(w)->freed = &_freed;                                                              \
		if ((w)->o.function)                                                               \
			(w)->o.function((w)->o.arg, ##__VA_ARGS__);                                \
		if (!_freed)                                                                       \
			(w)->freed = _outer;                                                       \
		else if (_outer)                                                                   \
			*_outer = true;                                                            \
		!_freed;                                                                           \
	})

static char *key_of(const struct cox_node *item)
{
	return cox_asprintf("%.*s/%.*s", COX_STR_ARG(cox_meta_namespace(item)),
			    COX_STR_ARG(cox_meta_name(item)));
}

static bool tell_upsert(struct cox_watch *w, const struct cox_node *item)
{
	_cleanup_free_ char *key = key_of(item);
	_cleanup_doc_ struct cox_doc *doc = complete_object(w, item);

	if (!w->o.forget)
		cox_map_set(&w->known, key, (void *)w->round);
	return CALL(w, upsert, doc);
}

static bool tell_remove(struct cox_watch *w, const char *key, struct cox_doc *doc)
{
	/* A copy: the key is in the map, or the callback may end the watch. */
	_cleanup_free_ char *namespace = cox_strdup(key);
	char *slash = strchr(namespace, '/');

	*slash = '\0';
	/* One that came and went between the pages of a list was never told of. */
	if (!w->o.forget && !cox_map_remove(&w->known, key))
		return true;
	return CALL(w, remove, namespace, slash + 1, doc);
}

/* After a whole list: what it did not have is gone. */
static bool remove_vanished(struct cox_watch *w)
{
	COX_VEC(char *) gone = {0};
	bool alive = true;

	COX_MAP_EACH (&w->known, e) {
		if ((uintptr_t)e->value != w->round)
			cox_vec_push(&gone, cox_strdup(e->key));
	}
	COX_VEC_EACH (&gone, key) {
		if (alive)
			alive = tell_remove(w, *key, NULL);
		free(*key);
	}
	cox_vec_fini(&gone);
	return alive;
}

/* ---- failures ---- */

static void set_text(char **place, struct cox_str text)
{
	free(*place);
	*place = text.len ? cox_str_dup(text) : NULL;
}

static void relist(struct cox_watch *w)
{
	w->listed = false;
	set_text(&w->continue_token, COX_STR(""));
}

static void on_pause_over(void *arg)
{
	ask(arg);
}

static void pause_then_ask(struct cox_watch *w)
{
	int64_t delay = cox_backoff_ms(cox_kube_rng(w->kube), w->o.backoff_ms, w->o.max_backoff_ms,
				       w->n_failures);

	w->n_failures++;
	cox_timer_start(&w->pause, delay);
}

static void fail(struct cox_watch *w, const struct cox_kube_answer *answer)
{
	if (answer->reason == COX_KUBE_GONE)
		relist(w);
	pause_then_ask(w);
	CALL(w, failed, answer);
}

/* ---- the list ---- */

static void on_list(void *arg, const struct cox_kube_answer *answer)
{
	struct cox_watch *w = arg;
	const struct cox_node *root = cox_doc_root(answer->doc);
	const struct cox_node *items = cox_node_get(root, "items");

	w->list = NULL;
	if (answer->error->code) {
		fail(w, answer);
		return;
	}
	for (size_t i = 0; i < cox_node_len(items); i++)
		if (!tell_upsert(w, cox_node_at(items, i)))
			return;
	set_text(&w->version, cox_node_str(COX_GET(root, "metadata", "resourceVersion")));
	set_text(&w->continue_token, cox_node_str(COX_GET(root, "metadata", "continue")));
	if (w->continue_token) {
		ask(w);
		return;
	}
	w->listed = true;
	w->n_failures = 0;
	if (!remove_vanished(w))
		return;
	w->synced = true;
	if (CALL(w, synced))
		ask(w);
}

/* ---- the stream ---- */

static bool on_error_event(struct cox_watch *w, const struct cox_node *status)
{
	struct cox_error error = COX_ERROR_INIT;
	int code = (int)cox_node_int(cox_node_get(status, "code"), 500);
	struct cox_kube_answer answer = {.status = code, .error = &error};

	answer.reason = cox_kube_read_status(status, code, &error);
	cox_http_cancel(TAKE(w->stream));
	if (answer.reason == COX_KUBE_GONE && !w->expired) {
		/* Nothing is wrong; it was away for too long. */
		w->expired = true;
		relist(w);
		pause_then_ask(w);
		return false;
	}
	fail(w, &answer);
	return false;
}

/* false: stop reading; the watch may be gone, or another stream be open. */
static bool on_watch_event(struct cox_watch *w, const struct cox_node *event)
{
	struct cox_str type = cox_node_str(cox_node_get(event, "type"));
	const struct cox_node *object = cox_node_get(event, "object");
	struct cox_str version = cox_meta_resource_version(object);

	if (cox_str_is(type, "ERROR"))
		return on_error_event(w, object);
	if (version.len)
		set_text(&w->version, version);
	w->n_failures = 0;
	w->expired = false;
	if (cox_str_is(type, "ADDED") || cox_str_is(type, "MODIFIED"))
		return tell_upsert(w, object);
	if (cox_str_is(type, "DELETED")) {
		_cleanup_free_ char *key = key_of(object);
		_cleanup_doc_ struct cox_doc *doc = complete_object(w, object);
		return tell_remove(w, key, doc);
	}
	return true; /* BOOKMARK, or what later servers invent */
}

static int on_stream_bytes(void *arg, const void *bytes, size_t n)
{
	struct cox_watch *w = arg;
	struct cox_error error = COX_ERROR_INIT;
	struct cox_doc *doc;
	int r;

	cox_json_lines_feed(&w->lines, bytes, n);
	while ((r = cox_json_lines_next(&w->lines, &doc, &error)) > 0) {
		bool go_on = on_watch_event(w, cox_doc_root(doc));
		cox_doc_unref(doc);
		if (!go_on) /* w may be gone, and its stream was cancelled */
			return 0;
	}
	if (r == 0)
		return 0;
	/* What was lost could be anything. */
	struct cox_kube_answer answer = {.error = &error};
	cox_http_cancel(TAKE(w->stream));
	relist(w);
	fail(w, &answer);
	return 0;
}

static void on_stream_end(void *arg, const struct cox_http_answer *http,
			  const struct cox_error *error)
{
	struct cox_watch *w = arg;
	struct cox_kube_answer answer = {.error = error};
	struct cox_error read_error;
	int64_t lived_ms = cox_loop_now_ms(cox_kube_loop(w->kube)) - w->opened_ms;

	w->stream = NULL;
	if (!error->code && http->status >= 200 && http->status < 300) {
		/* The server's own time is up; a server that ends them all at once is broken. */
		if (lived_ms >= LONG_ENOUGH_MS)
			ask(w);
		else
			pause_then_ask(w);
		return;
	}
	if (lived_ms >= LONG_ENOUGH_MS)
		w->n_failures = 0;
	if (!error->code)
		cox_kube_read_answer(http->status, http->body, false, "watch", &answer,
				     &read_error);
	struct cox_doc *doc = answer.doc;
	fail(w, &answer);
	cox_doc_unref(doc);
}

static void open_stream(struct cox_watch *w)
{
	_cleanup_buf_ struct cox_buf path = COX_BUF_INIT;
	struct cox_kube_query query = {.out = &path};
	uint64_t seconds = WATCH_MIN_S + cox_rng_below(cox_kube_rng(w->kube), WATCH_MIN_S);
	char text[24];
	struct cox_error error;
	struct cox_http_send send = {
		.method = "GET",
		.headers = (const char *const[]){w->o.metadata_only ? "Accept: " COX_ACCEPT_METADATA
								    : "Accept: application/json",
						 NULL},
		.total_timeout_ms = (int64_t)seconds * 1000 + WATCH_GRACE_MS,
		.on_bytes = on_stream_bytes,
		.done = on_stream_end,
		.arg = w,
	};

	snprintf(text, sizeof(text), "%llu", (unsigned long long)seconds);
	cox_kube_path(&path, w->resource, w->namespace, NULL, NULL);
	cox_kube_param(&query, "watch", "true");
	cox_kube_param(&query, "allowWatchBookmarks", "true");
	cox_kube_param(&query, "resourceVersion", w->version);
	cox_kube_param(&query, "timeoutSeconds", text);
	cox_kube_param(&query, "labelSelector", w->label_selector);
	cox_kube_param(&query, "fieldSelector", w->field_selector);
	cox_json_lines_fini(&w->lines);
	w->lines = (struct cox_json_lines){0};
	w->opened_ms = cox_loop_now_ms(cox_kube_loop(w->kube));
	if (cox_kube_http_send(w->kube, path.ptr, &send, &w->stream, &error) < 0) {
		struct cox_kube_answer answer = {.error = &error};
		fail(w, &answer);
	}
}

static void ask(struct cox_watch *w)
{
	if (w->listed) {
		open_stream(w);
		return;
	}
	if (!w->continue_token)
		w->round++;
	const struct cox_kube_list_options options = {
		.label_selector = w->label_selector,
		.field_selector = w->field_selector,
		.limit = w->o.page,
		.continue_token = w->continue_token,
		.metadata_only = w->o.metadata_only,
	};
	w->list = cox_kube_list(w->kube, w->resource, w->namespace, &options, on_list, w);
}

/* ---- what others call ---- */

struct cox_watch *cox_watch_new(struct cox_kube *kube, const struct cox_watch_options *options)
{
	struct cox_watch *w = cox_new(struct cox_watch);

	w->kube = kube;
	w->o = *options;
	w->o.page = options->page ? options->page : PAGE;
	w->o.backoff_ms = options->backoff_ms ? options->backoff_ms : BACKOFF_MS;
	w->o.max_backoff_ms = options->max_backoff_ms ? options->max_backoff_ms : MAX_BACKOFF_MS;
	w->resource = cox_kube_resource_copy(options->resource);
	w->namespace = cox_strdup(options->namespace);
	w->label_selector = cox_strdup(options->label_selector);
	w->field_selector = cox_strdup(options->field_selector);
	w->o.resource = w->resource;
	cox_timer_init(&w->pause, cox_kube_loop(kube), on_pause_over, w);
	ask(w);
	return w;
}

void cox_watch_free(struct cox_watch *w)
{
	if (!w)
		return;
	if (w->freed)
		*w->freed = true;
	cox_kube_cancel(w->list);
	cox_http_cancel(w->stream);
	cox_timer_stop(&w->pause);
	cox_map_fini(&w->known);
	cox_json_lines_fini(&w->lines);
	free(w->continue_token);
	free(w->version);
	free(w->namespace);
	free(w->label_selector);
	free(w->field_selector);
	free(w->resource);
	free(w);
}

bool cox_watch_is_synced(const struct cox_watch *w)
{
	return w->synced;
}

unsigned cox_watch_round(const struct cox_watch *w)
{
	return (unsigned)w->round;
}

const char *cox_watch_version(const struct cox_watch *w)
{
	return w->version;
}

size_t cox_watch_len(const struct cox_watch *w)
{
	return w->known.n;
}

const struct cox_kube_resource *cox_watch_resource(const struct cox_watch *w)
{
	return w->resource;
}
