#include "tests/kubesim/list.h"

#include "common/base/encode.h"
#include "common/doc/json.h"
#include "common/kube/meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A watch without timeoutSeconds ends after this long. */
#define WATCH_DEFAULT_MS (45 * 60 * 1000)
#define BOOKMARK_MS	 (60 * 1000)

void ks_scope_fini(struct ks_scope *scope)
{
	cox_selector_free(scope->labels);
	cox_field_selector_free(scope->fields);
}

/* Fields that a list can be selected by, beside name and namespace. */
static const struct {
	const char *kind, *path;
} known_fields[] = {
	{"Pod", "spec.nodeName"},
	{"Pod", "spec.restartPolicy"},
	{"Pod", "spec.schedulerName"},
	{"Pod", "spec.serviceAccountName"},
	{"Pod", "status.phase"},
	{"Pod", "status.podIP"},
	{"Pod", "status.nominatedNodeName"},
	{"Pod", "spec.hostNetwork"},
	{"Event", "involvedObject.kind"},
	{"Event", "involvedObject.namespace"},
	{"Event", "involvedObject.name"},
	{"Event", "involvedObject.uid"},
	{"Event", "involvedObject.apiVersion"},
	{"Event", "involvedObject.resourceVersion"},
	{"Event", "involvedObject.fieldPath"},
	{"Event", "reason"},
	{"Event", "reportingComponent"},
	{"Event", "source"},
	{"Event", "type"},
	{"Namespace", "status.phase"},
	{"Job", "status.successful"},
	{"Secret", "type"},
	{"Node", "spec.unschedulable"},
	{"ReplicaSet", "status.replicas"},
	{"ReplicationController", "status.replicas"},
};

static bool field_is_known(const struct ks_kind *kind, struct cox_str path)
{
	if (cox_str_is(path, "metadata.name") || cox_str_is(path, "metadata.namespace"))
		return true;
	for (size_t i = 0; !kind->custom && i < COX_ARRAY_LEN(known_fields); i++)
		if (cox_streq(known_fields[i].kind, kind->names.kind) &&
		    cox_str_is(path, known_fields[i].path))
			return true;
	return false;
}

struct ks_reply ks_scope_read(struct ks_ctx *ctx, ks_param_fn *param, void *arg,
			      struct ks_scope *ret_scope)
{
	const char *labels = param(arg, "labelSelector"), *fields = param(arg, "fieldSelector");
	_cleanup_scope_ struct ks_scope scope = {.ns = ctx->ns, .name = ctx->name};
	struct cox_error err;

	if (labels && cox_selector_parse(cox_str(labels), &scope.labels, &err) < 0)
		return ks_fail(400, "BadRequest", "unable to parse requirement: %s", err.message);
	if (fields && cox_field_selector_parse(cox_str(fields), &scope.fields, &err) < 0)
		return ks_fail(400, "BadRequest", "%s", err.message);
	for (size_t i = 0; scope.fields && i < cox_field_selector_len(scope.fields); i++) {
		struct cox_str path = cox_field_selector_path(scope.fields, i);
		if (!field_is_known(ctx->kind, path))
			return ks_fail(400, "BadRequest",
				       "\"%.*s\" is not a known field selector: only "
				       "\"metadata.name\", \"metadata.namespace\"",
				       COX_STR_ARG(path));
	}
	*ret_scope = scope;
	scope = (struct ks_scope){0};
	return (struct ks_reply){0};
}

bool ks_scope_has(const struct ks_scope *scope, const struct cox_node *object)
{
	if (scope->ns && !cox_str_is(cox_meta_namespace(object), scope->ns))
		return false;
	if (scope->name && !cox_str_is(cox_meta_name(object), scope->name))
		return false;
	if (scope->labels && !cox_selector_matches(scope->labels, cox_meta_labels(object)))
		return false;
	return !scope->fields || cox_field_selector_matches(scope->fields, object);
}

/* ---- list ---- */

static char *token_write(uint64_t rv, const char *start)
{
	_cleanup_buf_ struct cox_buf plain = COX_BUF_INIT;
	struct cox_buf token = COX_BUF_INIT;

	cox_buf_printf(&plain, "{\"v\":\"meta.k8s.io/v1\",\"rv\":%" PRIu64 ",\"start\":", rv);
	cox_json_write_string(&plain, cox_str(start));
	cox_buf_putc(&plain, '}');
	cox_base64url_encode(&token, plain.ptr, plain.len);
	return cox_buf_take(&token);
}

static struct ks_reply token_read(struct ks_ctx *ctx, const char *token, uint64_t *ret_rv,
				  const char **ret_start)
{
	_cleanup_buf_ struct cox_buf plain = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (cox_base64_decode(&plain, cox_str(token), &err) < 0 ||
	    cox_json_read(cox_buf_str(&plain), "continue", &doc, &err) < 0 ||
	    !cox_node_is(COX_GET(cox_doc_root(doc), "start"), COX_STRING))
		return ks_fail(400, "BadRequest",
			       "invalid continue token: continue key is not valid: %s",
			       err.message);
	*ret_rv = (uint64_t)cox_node_int(COX_GET(cox_doc_root(doc), "rv"), 0);
	*ret_start = ks_text(ctx, cox_node_str(COX_GET(cox_doc_root(doc), "start")));
	if (*ret_rv < ctx->sim->store.lost_rv)
		return ks_fail(410, "Expired",
			       "The provided continue parameter is too old to display a consistent "
			       "list result. You can start a new list without the continue "
			       "parameter.");
	return (struct ks_reply){0};
}

static void put_list_meta(struct cox_doc *doc, struct cox_node *list, uint64_t rv, const char *next,
			  int64_t remaining)
{
	struct cox_node *metadata = cox_map_edit_map(doc, list, "metadata");

	cox_map_put(doc, metadata, "resourceVersion", cox_doc_stringf(doc, "%" PRIu64, rv));
	cox_map_put_cstr(doc, metadata, "continue", next);
	if (remaining > 0)
		cox_map_put_int(doc, metadata, "remainingItemCount", remaining);
}

struct ks_reply ks_list(struct ks_ctx *ctx, const struct ks_scope *scope, enum ks_form form,
			ks_param_fn *param, void *arg)
{
	const char *limit_text = param(arg, "limit"), *token = param(arg, "continue");
	const char *version = param(arg, "resourceVersion");
	struct ks_shelf *shelf = ctx->kind->shelf;
	COX_VEC(const struct cox_node *) items = {0};
	uint64_t rv = ctx->sim->store.rv;
	_cleanup_free_ char *prefix = scope->ns ? cox_asprintf("%s/", scope->ns) : NULL;
	_cleanup_free_ char *next = NULL;
	int64_t limit = limit_text ? strtoll(limit_text, NULL, 10) : 0, remaining = 0;
	const char *start = prefix;

	if (version && cox_streq(version, "0"))
		limit = 0; /* from the cache, which knows no pages */
	if (version && *version && strtoull(version, NULL, 10) > rv)
		return ks_fail_named(504, "Timeout", NULL, "", "", NULL,
				     "Too large resource version: %s, current: %" PRIu64, version,
				     rv);
	if (token && *token) {
		struct ks_reply reply = token_read(ctx, token, &rv, &start);
		if (reply.status)
			return reply;
	}
	struct cox_doc *doc = cox_doc_new("list");
	for (size_t i = start ? ks_shelf_lower(shelf, start) : 0; i < shelf->n; i++) {
		const struct ks_object *o = &shelf->items[i];
		if (prefix && strncmp(o->key, prefix, strlen(prefix)) != 0)
			break;
		if (!ks_scope_has(scope, cox_doc_root(o->doc)))
			continue;
		if (limit > 0 && (int64_t)items.n == limit) {
			if (!next)
				next = token_write(rv, o->key);
			remaining++;
			continue;
		}
		cox_doc_use(doc, o->doc);
		cox_vec_push(&items, cox_doc_root(o->doc));
	}
	struct cox_node *root =
		ks_present_list(doc, form, ctx->kind, items.items, items.n, ctx->sim->now_ms);
	bool selected = scope->labels || scope->fields;
	put_list_meta(doc, root, rv, next, selected ? 0 : remaining);
	cox_doc_set_root(doc, root);
	cox_vec_fini(&items);
	return ks_ok(200, doc);
}

/* ---- watch ---- */

struct kubesim_watch {
	struct kubesim *sim;
	struct ks_shelf *shelf;
	char *group, *version, *resource; /* the kind may be defined anew meanwhile */
	char *ns, *name;
	struct ks_scope scope; /* its texts are ns and name above */
	enum ks_form form;
	uint64_t rv; /* seen up to here */
	int64_t deadline_ms, bookmark_ms;
	bool bookmarks, initial, initial_end, ended, columns_sent;
	void (*ready)(void *arg);
	void *arg;
	bool told;
};

static struct ks_reply watch_version(struct ks_ctx *ctx, const char *version, uint64_t *ret_rv)
{
	char *end;
	uint64_t rv = strtoull(version, &end, 10);

	if (*end)
		return ks_fail(400, "BadRequest", "Invalid value: \"%s\": resourceVersion: %s",
			       version, "strconv.ParseUint: parsing: invalid syntax");
	if (rv > ctx->sim->store.rv + 1000000)
		rv = ctx->sim->store.rv;
	*ret_rv = rv;
	return (struct ks_reply){0};
}

struct ks_reply ks_watch_open(struct ks_ctx *ctx, struct ks_scope *scope, enum ks_form form,
			      ks_param_fn *param, void *arg, struct kubesim_watch **ret_watch)
{
	const char *version = param(arg, "resourceVersion");
	const char *timeout = param(arg, "timeoutSeconds");
	const char *bookmarks = param(arg, "allowWatchBookmarks");
	const char *initial = param(arg, "sendInitialEvents");
	int64_t seconds = timeout ? strtoll(timeout, NULL, 10) : 0;
	bool from_state = !version || !*version || cox_streq(version, "0");
	uint64_t rv = ctx->sim->store.rv;

	if (version && *version) {
		struct ks_reply reply = watch_version(ctx, version, &rv);
		if (reply.status)
			return reply;
	}
	struct kubesim_watch *w = cox_new(struct kubesim_watch);
	*w = (struct kubesim_watch){
		.sim = ctx->sim,
		.shelf = ctx->kind->shelf,
		.group = cox_strdup(ctx->kind->names.group),
		.version = cox_strdup(ctx->kind->version),
		.resource = cox_strdup(ctx->kind->names.resource),
		.ns = cox_strdup(scope->ns),
		.name = cox_strdup(scope->name),
		.form = form,
		.rv = from_state ? ctx->sim->store.rv : rv,
		.initial = from_state || cox_streq(initial, "true"),
		.initial_end = cox_streq(initial, "true"),
		.bookmarks = cox_streq(bookmarks, "true") || cox_streq(bookmarks, "1"),
		.deadline_ms = ctx->sim->now_ms + (seconds > 0 ? seconds * 1000 : WATCH_DEFAULT_MS),
		.bookmark_ms = ctx->sim->now_ms + BOOKMARK_MS};
	w->scope = (struct ks_scope){
		.ns = w->ns, .name = w->name, .labels = scope->labels, .fields = scope->fields};
	if (w->initial)
		w->rv = ctx->sim->store.rv;
	scope->labels = NULL;
	scope->fields = NULL;
	cox_vec_push(&ctx->sim->watches, w);
	*ret_watch = w;
	return (struct ks_reply){0};
}

void kubesim_watch_close(struct kubesim_watch *w)
{
	if (!w)
		return;
	for (size_t i = 0; w->sim && i < w->sim->watches.n; i++)
		if (w->sim->watches.items[i] == w) {
			cox_vec_remove(&w->sim->watches, i);
			break;
		}
	ks_scope_fini(&w->scope);
	free(w->group);
	free(w->version);
	free(w->resource);
	free(w->ns);
	free(w->name);
	free(w);
}

void kubesim_watch_on_ready(struct kubesim_watch *w, void (*fn)(void *arg), void *arg)
{
	w->ready = fn;
	w->arg = arg;
}

int64_t kubesim_watch_deadline_ms(const struct kubesim_watch *w)
{
	return w->deadline_ms;
}

static void wake(struct kubesim_watch *w)
{
	if (w->ready && !w->told) {
		w->told = true;
		w->ready(w->arg);
	}
}

void ks_watches_wake(struct kubesim *sim, const struct ks_shelf *shelf)
{
	COX_VEC_EACH (&sim->watches, w)
		if ((*w)->shelf == shelf)
			wake(*w);
}

void ks_watches_end(struct kubesim *sim, const struct ks_shelf *shelf)
{
	COX_VEC_EACH (&sim->watches, w)
		if ((*w)->shelf == shelf) {
			(*w)->ended = true;
			wake(*w);
		}
}

static void write_event(struct cox_buf *out, const char *type, const struct cox_node *object)
{
	cox_buf_printf(out, "{\"type\":\"%s\",\"object\":", type);
	cox_json_write(out, object);
	cox_buf_puts(out, "}\n");
}

static void emit(struct kubesim_watch *w, struct ks_kind *kind, struct cox_buf *out,
		 const char *type, const struct cox_node *object, uint64_t rv)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("event");
	struct cox_node *copy = (struct cox_node *)object;

	/* what left the selector is shown as it was, at the version of its leaving */
	if (rv) {
		copy = cox_doc_clone(doc, object);
		cox_map_put(doc, cox_map_edit_map(doc, copy, "metadata"), "resourceVersion",
			    cox_doc_stringf(doc, "%" PRIu64, rv));
	}
	write_event(out, type,
		    ks_present(doc, w->form, kind, copy, w->sim->now_ms, !w->columns_sent));
	w->columns_sent = true;
}

static void emit_change(struct kubesim_watch *w, struct ks_kind *kind, struct cox_buf *out,
			const struct ks_event *e)
{
	const struct cox_node *before = e->type == KS_ADDED ? NULL : cox_doc_root(e->before);
	const struct cox_node *after = cox_doc_root(e->after);
	bool was = before && ks_scope_has(&w->scope, before);
	bool is = e->type != KS_DELETED && ks_scope_has(&w->scope, after);

	if (is)
		emit(w, kind, out, was ? "MODIFIED" : "ADDED", after, 0);
	else if (was && e->type == KS_DELETED)
		emit(w, kind, out, "DELETED", after, 0);
	else if (was)
		emit(w, kind, out, "DELETED", before, e->rv);
}

static void emit_bookmark(struct kubesim_watch *w, struct ks_kind *kind, struct cox_buf *out,
			  bool initial_end)
{
	cox_buf_printf(out,
		       "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s\","
		       "\"metadata\":{\"resourceVersion\":\"%" PRIu64
		       "\",\"creationTimestamp\":null%s}}}\n",
		       w->form == KS_FORM_PARTIAL ? "PartialObjectMetadata" : kind->names.kind,
		       w->form == KS_FORM_PARTIAL ? "meta.k8s.io/v1" : kind->api_version, w->rv,
		       initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}"
				   : "");
	w->bookmark_ms = w->sim->now_ms + BOOKMARK_MS;
}

static int expired(struct kubesim_watch *w, struct cox_buf *out)
{
	cox_buf_printf(out,
		       "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\","
		       "\"metadata\":{},\"status\":\"Failure\",\"message\":\"too old resource "
		       "version: %" PRIu64 " (%" PRIu64
		       ")\",\"reason\":\"Expired\",\"code\":410}}\n",
		       w->rv, w->sim->store.lost_rv);
	return 1;
}

int kubesim_watch_pull(struct kubesim_watch *w, struct cox_buf *out)
{
	struct kubesim *sim = w->sim;
	struct ks_kind *kind = ks_kinds_resource(&sim->kinds, cox_str(w->group),
						 cox_str(w->version), cox_str(w->resource));

	w->told = false;
	if (!kind || w->ended)
		return 1;
	if (w->initial) {
		w->initial = false;
		w->rv = sim->store.rv;
		for (size_t i = 0; i < w->shelf->n; i++) {
			const struct ks_object *o = &w->shelf->items[i];
			if (o->rv <= w->rv && ks_scope_has(&w->scope, cox_doc_root(o->doc)))
				emit(w, kind, out, "ADDED", cox_doc_root(o->doc), 0);
		}
		if (w->initial_end)
			emit_bookmark(w, kind, out, true);
	}
	if (w->rv < sim->store.lost_rv)
		return expired(w, out);
	for (size_t i = ks_store_after(&sim->store, w->rv); i < sim->store.n_events; i++) {
		const struct ks_event *e = ks_store_event(&sim->store, i);
		if (e->shelf == w->shelf)
			emit_change(w, kind, out, e);
	}
	if (w->rv < sim->store.rv)
		w->rv = sim->store.rv;
	if (w->bookmarks && sim->now_ms >= w->bookmark_ms)
		emit_bookmark(w, kind, out, false);
	if (sim->now_ms < w->deadline_ms)
		return 0;
	if (w->bookmarks)
		emit_bookmark(w, kind, out, false);
	return 1;
}
