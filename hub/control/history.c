/* What was deployed when, and which bundles are still named by anything. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/doc/json.h"
#include "hub/control/internal.h"

#include <stdio.h>

#define COLLECT_MS (10 * 60 * 1000)

static int load(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	struct hub_control *c = ctx;
	struct control_app *a = control_app_by_uid(c, key);
	struct cox_doc *doc = NULL;
	const struct cox_node *list;
	int r;

	if (!a)
		return 0;
	r = cox_json_read(body, "history", &doc, err);
	if (r < 0)
		return r;
	a->history = doc;
	list = cox_doc_root(doc);
	snprintf(a->last_history, sizeof(a->last_history), "%s",
		 cox_node_cstr(cox_node_get(cox_node_at(list, cox_node_len(list) - 1), "operation"),
			       ""));
	return 0;
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

static struct cox_node *entry(struct cox_doc *doc, int64_t id, const char *revision,
			      const Coxswain__Report__V1__OperationState *op)
{
	struct cox_node *map = cox_doc_map(doc), *by = cox_doc_map(doc);
	char hex[2 * HUB_DIGEST_BYTES + 1];

	cox_hex_encode(op->digest.data, HUB_DIGEST_BYTES, hex);
	cox_map_put_int(doc, map, "id", id);
	cox_map_put_cstr(doc, map, "revision", revision);
	put_time(doc, map, "deployStartedAt", op->started_ms);
	put_time(doc, map, "deployedAt", op->finished_ms);
	if (strcmp(op->initiated_by, "automated") == 0)
		cox_map_put_bool(doc, by, "automated", true);
	else
		cox_map_put_cstr(doc, by, "username", op->initiated_by);
	cox_map_put(doc, map, "initiatedBy", by);
	cox_map_put_cstr(doc, map, "digest", hex);
	cox_map_put_cstr(doc, map, "operation", op->id);
	return map;
}

/* Whole syncs only: not dry runs, not parts, and of the agent's own not those that only healed. */
static bool counts(const struct control_app *a, const hub_assignment *have, const hub_report *r)
{
	const Coxswain__Report__V1__OperationState *op = r->operation;
	const struct cox_node *list = a->history ? cox_doc_root(a->history) : NULL;
	const struct cox_node *last = cox_node_at(list, cox_node_len(list) - 1);
	char hex[2 * HUB_DIGEST_BYTES + 1];

	if (!op || op->phase != COXSWAIN__REPORT__V1__PHASE__SUCCEEDED ||
	    op->digest.len != HUB_DIGEST_BYTES || strcmp(op->id, a->last_history) == 0)
		return false;
	if (have->operation && strcmp(have->operation->id, op->id) == 0)
		return !have->operation->dry_run && have->operation->n_resources == 0 &&
		       !have->operation->terminate;
	cox_hex_encode(op->digest.data, HUB_DIGEST_BYTES, hex);
	return cox_node_len(list) == 0 ||
	       !cox_str_is(cox_node_str(cox_node_get(last, "digest")), hex);
}

void control_history_note(struct hub_control *c, struct control_app *a)
{
	const hub_assignment *have =
		a->cluster ? hub_fleet_assignment(c->fleet, a->cluster, a->uid) : NULL;
	const hub_report *r = a->cluster ? hub_fleet_report(c->fleet, a->cluster, a->uid) : NULL;
	int64_t limit = a->has_view ? a->view.revision_history_limit : 10;
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	const struct cox_node *old;
	struct cox_doc *doc;
	struct cox_node *list;
	struct hub_batch *batch;
	int64_t id = 0;
	size_t skip;

	if (!have || !r || !counts(a, have, r))
		return;
	old = a->history ? cox_doc_root(a->history) : NULL;
	if (cox_node_len(old) > 0)
		id = cox_node_int(cox_node_get(cox_node_at(old, cox_node_len(old) - 1), "id"), 0) +
		     1;
	doc = cox_doc_new("history");
	list = cox_doc_list(doc);
	skip = (int64_t)cox_node_len(old) >= limit ? cox_node_len(old) + 1 - (size_t)limit : 0;
	for (size_t i = skip; i < cox_node_len(old); i++)
		cox_list_push(doc, list, cox_doc_clone(doc, cox_node_at(old, i)));
	if (limit > 0)
		cox_list_push(doc, list, entry(doc, id, have->sync_revision, r->operation));
	cox_doc_set_root(doc, list);
	cox_doc_seal(doc);
	cox_doc_unref(a->history);
	a->history = doc;
	snprintf(a->last_history, sizeof(a->last_history), "%.36s", r->operation->id);
	cox_json_write(&text, list);
	batch = hub_batch_new();
	hub_batch_put(batch, HUB_TABLE_HISTORY, a->uid, cox_buf_str(&text));
	hub_store_commit(c->store, batch);
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
	if (r->phase != COX_ROLLOUT_PROGRESSING)
		return;
	COX_VEC_EACH (&r->targets, t)
		if (t->has_digest)
			mark(ctx, t->digest, sizeof(t->digest));
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
