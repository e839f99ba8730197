/* What was deployed when, and which bundles are still named by anything. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/doc/json.h"
#include "hub/control/internal.h"

#include <stdio.h>

#define COLLECT_MS (10 * 60 * 1000)

/* The row is {"entries": […], "operation": {…}, "pending": {…}}; before, it was the entries alone. */
static struct cox_doc *part(struct cox_doc *doc, const struct cox_node *node)
{
	return node ? cox_doc_copy(cox_doc_name(doc), node) : NULL;
}

static int load(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	struct hub_control *c = ctx;
	struct control_app *a = control_app_by_uid(c, key);
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *root, *list;
	int r;

	if (!a)
		return 0;
	r = cox_json_read(body, "history", &doc, err);
	if (r < 0)
		return r;
	root = cox_doc_root(doc);
	list = cox_node_is(root, COX_LIST) ? root : cox_node_get(root, "entries");
	a->history = part(doc, list);
	if (cox_node_is(root, COX_MAP)) {
		a->note = part(doc, cox_node_get(root, "operation"));
		a->pending = part(doc, cox_node_get(root, "pending"));
	}
	snprintf(a->last_history, sizeof(a->last_history), "%s",
		 cox_node_cstr(cox_node_get(cox_node_at(list, cox_node_len(list) - 1), "operation"),
			       ""));
	return 0;
}

static void keep_row(struct hub_batch *batch, const struct control_app *a)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("history");
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_node *map = cox_doc_map(doc);
	struct cox_doc *const parts[] = {a->history, a->note, a->pending};
	static const char *const names[] = {"entries", "operation", "pending"};

	for (size_t i = 0; i < COX_ARRAY_LEN(parts); i++) {
		if (!parts[i])
			continue;
		cox_doc_use(doc, parts[i]);
		cox_map_put(doc, map, names[i], cox_doc_root(parts[i]));
	}
	cox_json_write(&text, map);
	hub_batch_put(batch, HUB_TABLE_HISTORY, a->uid, cox_buf_str(&text));
}

void control_note_set(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		      struct cox_doc *note_taken)
{
	(void)c;
	cox_doc_unref(a->note);
	a->note = note_taken;
	keep_row(batch, a);
}

void control_pending_set(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
			 struct cox_doc *pending_taken)
{
	(void)c;
	cox_doc_unref(a->pending);
	a->pending = pending_taken;
	keep_row(batch, a);
}

const struct cox_node *control_note(const struct control_app *a, const char *operation)
{
	const struct cox_node *note = a->note ? cox_doc_root(a->note) : NULL;

	return cox_str_is(cox_node_str(cox_node_get(note, "id")), operation) ? note : NULL;
}

const struct cox_node *control_history_entry(const struct control_app *a, int64_t id)
{
	const struct cox_node *list = a->history ? cox_doc_root(a->history) : NULL;

	if (id < 0)
		return cox_node_len(list) < 2 ? NULL : cox_node_at(list, cox_node_len(list) - 2);
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_node_int(cox_node_get(cox_node_at(list, i), "id"), -1) == id)
			return cox_node_at(list, i);
	return NULL;
}

int control_history_load(struct hub_control *c, struct cox_error *err)
{
	return hub_store_each(c->store, HUB_TABLE_HISTORY, load, c, err);
}

static void put_time(struct cox_doc *doc, struct cox_node *map, const char *key, int64_t wall_ms)
{
	char text[COX_TIME_TEXT_MAX];

	cox_time_format(wall_ms, text);
	cox_map_put_cstr(doc, map, key, text);
}

/* One source as "source", more as "sources", as the Application's own are. */
static void put_sources(struct cox_doc *doc, struct cox_node *map, const struct control_app *a,
			const struct cox_node *note, const char *hex)
{
	const struct cox_node *sources = cox_node_get(note, "sources");
	const struct cox_node *commits = cox_node_get(note, "revisions");
	struct cox_node *list = cox_doc_list(doc), *revisions = cox_doc_list(doc);
	char now[2 * HUB_DIGEST_BYTES + 1] = "";

	if (cox_node_get(note, "source"))
		cox_list_push(doc, list, cox_doc_clone(doc, cox_node_get(note, "source")));
	for (size_t i = 0; i < cox_node_len(sources); i++)
		cox_list_push(doc, list, cox_doc_clone(doc, cox_node_at(sources, i)));
	for (size_t i = 0; i < cox_node_len(commits); i++)
		cox_list_push(doc, revisions, cox_doc_clone(doc, cox_node_at(commits, i)));
	if (a->rendered.valid && !a->rendered.error)
		cox_hex_encode(a->rendered.digest, HUB_DIGEST_BYTES, now);
	if (!cox_node_len(list) && strcmp(now, hex) == 0 && a->has_view) {
		COX_VEC_EACH (&a->view.sources, s)
			cox_list_push(doc, list, cox_doc_clone(doc, s->node));
		for (size_t i = 0; !cox_node_len(commits) && i < a->rendered.commits.n; i++)
			cox_list_push(doc, revisions,
				      cox_doc_cstring(doc, a->rendered.commits.items[i]));
	}
	if (cox_node_len(list) == 1)
		cox_map_put(doc, map, "source", cox_node_at(list, 0));
	if (cox_node_len(list) > 1) {
		cox_map_put(doc, map, "sources", list);
		cox_map_put(doc, map, "revisions", revisions);
	}
}

static struct cox_node *entry(struct cox_doc *doc, const struct control_app *a, int64_t id,
			      const char *revision, const Coxswain__Report__V1__OperationState *op)
{
	static const char *const kept[] = {"local", "rollbackTo", "gatesSkipped", "forced"};
	struct cox_node *map = cox_doc_map(doc), *by = cox_doc_map(doc);
	const struct cox_node *note = control_note(a, op->id);
	char hex[2 * HUB_DIGEST_BYTES + 1];

	cox_hex_encode(op->digest.data, HUB_DIGEST_BYTES, hex);
	cox_map_put_int(doc, map, "id", id);
	cox_map_put_cstr(doc, map, "revision", revision);
	put_time(doc, map, "deployStartedAt", op->started_ms);
	put_time(doc, map, "deployedAt", op->finished_ms);
	if (strcmp(op->initiated_by, "automated") == 0 ||
	    strcmp(op->initiated_by, "rollout") == 0 || strcmp(op->initiated_by, "rollback") == 0)
		cox_map_put_bool(doc, by, "automated", true);
	if (strcmp(op->initiated_by, "automated") != 0)
		cox_map_put_cstr(doc, by, "username", op->initiated_by);
	cox_map_put(doc, map, "initiatedBy", by);
	put_sources(doc, map, a, note, hex);
	cox_map_put_cstr(doc, map, "digest", hex);
	cox_map_put_cstr(doc, map, "operation", op->id);
	for (size_t i = 0; i < COX_ARRAY_LEN(kept); i++)
		if (cox_node_get(note, kept[i]))
			cox_map_put(doc, map, kept[i],
				    cox_doc_clone(doc, cox_node_get(note, kept[i])));
	return map;
}

static bool is_noted(const struct cox_node *list, const char *operation)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_str_is(cox_node_str(cox_node_get(cox_node_at(list, i), "operation")),
			       operation))
			return true;
	return false;
}

/* Whole syncs only: not dry runs, not parts, and of the agent's own not those that only healed. */
static bool counts(const struct control_app *a, const hub_assignment *have,
		   const Coxswain__Report__V1__OperationState *op)
{
	const struct cox_node *list = a->history ? cox_doc_root(a->history) : NULL;
	const struct cox_node *last = cox_node_at(list, cox_node_len(list) - 1);
	char hex[2 * HUB_DIGEST_BYTES + 1];

	if (!op || op->phase != COXSWAIN__REPORT__V1__PHASE__SUCCEEDED ||
	    op->digest.len != HUB_DIGEST_BYTES || strcmp(op->id, a->last_history) == 0 ||
	    is_noted(list, op->id))
		return false;
	if (have->operation && strcmp(have->operation->id, op->id) == 0)
		return !have->operation->dry_run && have->operation->n_resources == 0 &&
		       !have->operation->terminate;
	cox_hex_encode(op->digest.data, HUB_DIGEST_BYTES, hex);
	return cox_node_len(list) == 0 ||
	       !cox_str_is(cox_node_str(cox_node_get(last, "digest")), hex);
}

static void note(struct hub_control *c, struct control_app *a, const hub_assignment *have,
		 const Coxswain__Report__V1__OperationState *op)
{
	int64_t limit = a->has_view ? a->view.revision_history_limit : 10, id = 0;
	const struct cox_node *old = a->history ? cox_doc_root(a->history) : NULL;
	struct cox_doc *doc = cox_doc_new("history");
	struct cox_node *list = cox_doc_list(doc);
	struct hub_batch *batch = hub_batch_new();
	size_t n = cox_node_len(old), skip = 0;

	if (n > 0)
		id = cox_node_int(cox_node_get(cox_node_at(old, n - 1), "id"), 0) + 1;
	if ((int64_t)n >= limit)
		skip = n + 1 - (size_t)(limit > 0 ? limit : 0);
	for (size_t i = skip; i < n; i++)
		cox_list_push(doc, list, cox_doc_clone(doc, cox_node_at(old, i)));
	if (limit > 0)
		cox_list_push(doc, list, entry(doc, a, id, have->sync_revision, op));
	cox_doc_set_root(doc, list);
	cox_doc_seal(doc);
	cox_doc_unref(a->history);
	a->history = doc;
	snprintf(a->last_history, sizeof(a->last_history), "%.36s", op->id);
	keep_row(batch, a);
	hub_store_commit(c->store, batch);
}

void control_history_note(struct hub_control *c, struct control_app *a)
{
	const hub_assignment *have =
		a->cluster ? hub_fleet_assignment(c->fleet, a->cluster, a->uid) : NULL;
	const hub_report *r = a->cluster ? hub_fleet_report(c->fleet, a->cluster, a->uid) : NULL;
	/* in the order in which they ended */
	const Coxswain__Report__V1__OperationState *const ended[] = {r ? r->asked : NULL,
								     r ? r->operation : NULL};

	for (size_t i = 0; have && i < COX_ARRAY_LEN(ended); i++)
		if (counts(a, have, ended[i]))
			note(c, a, have, ended[i]);
}

/* ---- bundles that nothing names ---- */

static void mark(struct cox_map *used, const uint8_t *digest, size_t n)
{
	char hex[2 * HUB_DIGEST_BYTES + 1];

	if (n != HUB_DIGEST_BYTES)
		return;
	cox_hex_encode(digest, n, hex);
	cox_map_set(used, hex, used);
}

static void mark_assigned(void *ctx, const char *cluster, const hub_assignment *a,
			  const hub_tombstone *t)
{
	(void)cluster;
	if (a) {
		mark(ctx, a->target_digest.data, a->target_digest.len);
		mark(ctx, a->sync_digest.data, a->sync_digest.len);
		if (a->operation)
			mark(ctx, a->operation->digest.data, a->operation->digest.len);
	}
	if (t)
		mark(ctx, t->hooks_digest.data, t->hooks_digest.len);
}

static void mark_rollout(void *ctx, const struct cox_rollout *r)
{
	COX_VEC_EACH (&r->targets, t) {
		if (!cox_rollout_may_move(r, t))
			continue;
		if (t->has_digest)
			mark(ctx, t->digest, sizeof(t->digest));
		if (t->has_previous)
			mark(ctx, t->previous, sizeof(t->previous));
	}
}

static void mark_apps(struct hub_control *c, struct cox_map *used)
{
	COX_MAP_EACH (&c->objects[HUB_APPLICATION], slot) {
		const struct control_app *a = ((struct control_object *)slot->value)->app;
		const struct cox_node *list = a->history ? cox_doc_root(a->history) : NULL;

		if (a->rendered.valid && !a->rendered.error)
			mark(used, a->rendered.digest, sizeof(a->rendered.digest));
		for (size_t i = 0; i < cox_node_len(list); i++)
			cox_map_set_str(used,
					cox_node_str(cox_node_get(cox_node_at(list, i), "digest")),
					used);
	}
}

void control_collect(void *arg)
{
	struct hub_control *c = arg;
	_cleanup_map_ struct cox_map used = COX_MAP_INIT;
	struct hub_batch *batch = hub_batch_new();
	int64_t n = 0;

	hub_fleet_each(c->fleet, mark_assigned, &used);
	hub_control_each_rollout(c, mark_rollout, &used);
	mark_apps(c, &used);
	COX_MAP_EACH (&c->bundles, slot) {
		_cleanup_free_ char *hex = NULL;

		if (cox_map_has(&used, slot->key))
			continue;
		hex = cox_strdup(slot->key);
		hub_batch_delete(batch, HUB_TABLE_BUNDLE, hex);
		cox_map_remove(&c->bundles, hex);
		n++;
	}
	if (n > 0)
		cox_log_info("bundles that nothing names are dropped", COX_KV_INT("bundles", n));
	hub_store_commit(c->store, batch);
	cox_timer_start(&c->collect, COLLECT_MS);
}

static void note_bundle(void *ctx, const char *key)
{
	struct hub_control *c = ctx;

	cox_map_set(&c->bundles, key, c);
}

int control_bundles_load(struct hub_control *c, struct cox_error *err)
{
	int r = hub_store_keys(c->store, HUB_TABLE_BUNDLE, note_bundle, c, err);

	if (r < 0)
		return r;
	cox_timer_start(&c->collect, COLLECT_MS);
	return 0;
}
