/* A rollout for people: the REST API's view. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "hub/rollout/internal.h"

static void put_time(struct cox_doc *doc, struct cox_node *map, const char *key, int64_t wall_ms)
{
	char text[COX_TIME_TEXT_MAX];

	if (wall_ms <= 0 || wall_ms == COX_ROLLOUT_FOREVER)
		return;
	cox_time_format(wall_ms, text);
	cox_map_put_cstr(doc, map, key, text);
}

static void put_true(struct cox_doc *doc, struct cox_node *map, const char *key, bool value)
{
	if (value)
		cox_map_put_bool(doc, map, key, true);
}

static struct cox_node *target_status(const struct cox_rollout_target *t, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "application", t->name);
	cox_map_put_cstr(doc, map, "cluster", t->cluster);
	cox_map_put_cstr(doc, map, "state", cox_rollout_state_name(t->state));
	cox_map_put_cstr(doc, map, "revision", t->revision);
	cox_map_put_cstr(doc, map, "previousRevision", t->previous_revision);
	cox_map_put_cstr(doc, map, "message",
			 t->hold && t->state == COX_TARGET_WAITING ? t->hold : t->message);
	cox_map_put_cstr(doc, map, "resource", t->resource);
	put_time(doc, map, "since", t->since_ms);
	put_true(doc, map, "moved", t->moved);
	put_true(doc, map, "forced", t->forced);
	put_true(doc, map, "late", t->late);
	put_true(doc, map, "excused", t->excused);
	put_true(doc, map, "offline", t->offline);
	put_true(doc, map, "barred", t->barred);
	return map;
}

static struct cox_node *gate_status(const struct cox_rollout_gate *gate,
				    const struct cox_rollout_gate_run *g, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "name", gate->name);
	cox_map_put_cstr(doc, map, "kind", cox_gate_kind_name(gate->kind));
	cox_map_put_cstr(doc, map, "state", cox_gate_state_name(g->state));
	put_time(doc, map, "since", g->since_ms);
	cox_map_put_cstr(doc, map, "message", g->message);
	cox_map_put_cstr(doc, map, "by", g->by);
	put_time(doc, map, "answeredAt", g->answered_ms);
	put_time(doc, map, "next", g->next_ms);
	if (g->attempt > 0)
		cox_map_put_int(doc, map, "attempt", g->attempt);
	return map;
}

static void put_amount(struct cox_doc *doc, struct cox_node *map, const char *key,
		       const struct cox_rollout_amount *a)
{
	if (a->kind != COX_AMOUNT_ALL)
		cox_map_put(doc, map, key,
			    cox_doc_stringf(doc, "%lld%s", (long long)a->value,
					    a->kind == COX_AMOUNT_PERCENT ? "%" : ""));
}

static void put_gates(const struct cox_rollout *r, size_t wave, bool after, struct cox_doc *doc,
		      struct cox_node *map)
{
	const struct cox_rollout_wave *w = &r->plan.waves.items[wave];
	const struct cox_rollout_wave_run *run = &r->waves.items[wave];
	struct cox_node *list = cox_doc_list(doc);

	for (size_t i = 0; i < (after ? w->after.n : w->before.n); i++)
		cox_list_push(doc, list,
			      after ? gate_status(&w->after.items[i], &run->after.items[i], doc)
				    : gate_status(&w->before.items[i], &run->before.items[i], doc));
	if (cox_node_len(list) > 0)
		cox_map_put(doc, map, after ? "after" : "before", list);
}

static void wave_status(const struct cox_rollout *r, size_t i, size_t open, struct cox_doc *doc,
			struct cox_node *waves)
{
	const struct cox_rollout_wave *w = &r->plan.waves.items[i];
	struct cox_node *map = cox_doc_map(doc), *targets = cox_doc_list(doc);
	bool policy = r->plan.source == COX_ROLLOUT_POLICY;
	uint8_t digest[COX_ROLLOUT_DIGEST];
	char hex[2 * COX_ROLLOUT_DIGEST + 1];

	cox_map_put_cstr(doc, map, "name", w->name);
	cox_map_put_cstr(doc, map, "state", i < open ? "Done" : i == open ? "Open" : "Waiting");
	cox_map_put_cstr(doc, map, "phase", cox_wave_phase_name(r->waves.items[i].phase));
	put_time(doc, map, "since", r->waves.items[i].since_ms);
	put_amount(doc, map, policy ? "maxConcurrent" : "maxUpdate", &w->max_concurrent);
	put_amount(doc, map, "maxFailures", &w->max_failures);
	put_gates(r, i, false, doc, map);
	put_gates(r, i, true, doc, map);
	if (cox_rollout_approval_digest(r, i, digest)) {
		cox_hex_encode(digest, sizeof(digest), hex);
		cox_map_put_cstr(doc, map, "approvalDigest", hex);
	}
	COX_VEC_EACH (&r->targets, t)
		if (t->wave == (int)i)
			cox_list_push(doc, targets, target_status(t, doc));
	cox_map_put(doc, map, "targets", targets);
	cox_list_push(doc, waves, map);
}

static struct cox_node *owner_status(const char *owner, struct cox_doc *doc)
{
	struct cox_str rest = cox_str(owner), part;
	struct cox_node *map = cox_doc_map(doc);
	static const char *const keys[] = {"kind", "namespace", "name"};

	for (size_t i = 0; i < 3 && cox_str_split(&rest, '/', &part); i++)
		cox_map_put(doc, map, keys[i], cox_doc_string(doc, part));
	return map;
}

static struct cox_node *why_status(const struct cox_rollout *r, const struct cox_rollout_why *why,
				   struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (why->wave >= 0)
		cox_map_put_cstr(doc, map, "wave", r->plan.waves.items[why->wave].name);
	if (why->gate)
		cox_map_put_cstr(doc, map, "gate", why->gate->name);
	if (why->target) {
		cox_map_put_cstr(doc, map, "application", why->target->name);
		cox_map_put_cstr(doc, map, "cluster", why->target->cluster);
	}
	cox_map_put_cstr(doc, map, "resource", why->resource);
	cox_map_put_cstr(doc, map, "message", why->message);
	put_time(doc, map, "since", why->since_ms);
	put_time(doc, map, "until", why->until_ms);
	cox_rollout_why_text(r, why, &text);
	cox_map_put_cstr(doc, map, "text", cox_buf_cstr(&text));
	return map;
}

static struct cox_node *audit_status(const struct cox_rollout *r, struct cox_doc *doc)
{
	struct cox_node *list = cox_doc_list(doc);

	COX_VEC_EACH (&r->audit, a) {
		struct cox_node *one = cox_doc_map(doc);

		put_time(doc, one, "at", a->at_ms);
		cox_map_put_cstr(doc, one, "by", a->by);
		cox_map_put_cstr(doc, one, "what", a->what);
		cox_map_put_cstr(doc, one, "text", a->text);
		cox_list_push(doc, list, one);
	}
	return list;
}

static void put_paused(const struct cox_rollout *r, struct cox_doc *doc, struct cox_node *map)
{
	struct cox_node *paused = cox_doc_map(doc);

	if (!r->paused)
		return;
	cox_map_put_cstr(doc, paused, "by", r->paused_by);
	cox_map_put_cstr(doc, paused, "message", r->paused_message);
	put_time(doc, paused, "since", r->paused_ms);
	cox_map_put(doc, map, "paused", paused);
}

struct cox_node *cox_rollout_status(const struct cox_rollout *r, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc), *waves = cox_doc_list(doc);
	struct cox_node *unplanned = cox_doc_list(doc);
	size_t open = cox_rollout_open_wave(r);
	struct cox_rollout_why why;

	cox_map_put_cstr(doc, map, "id", r->id);
	cox_map_put(doc, map, "owner", owner_status(r->owner, doc));
	cox_map_put_cstr(doc, map, "policy", r->plan.name);
	cox_map_put_cstr(doc, map, "revision", r->revision);
	cox_map_put_cstr(doc, map, "phase", cox_rollout_phase_name(r->phase));
	cox_map_put_cstr(doc, map, "reason", r->reason);
	if (*r->reverses)
		cox_map_put_cstr(doc, map, "reverses", r->reverses);
	if (*r->reversed_by)
		cox_map_put_cstr(doc, map, "reversedBy", r->reversed_by);
	put_paused(r, doc, map);
	put_time(doc, map, "startedAt", r->started_ms);
	put_time(doc, map, "finishedAt", r->finished_ms);
	for (size_t i = 0; i < r->plan.waves.n; i++)
		wave_status(r, i, open, doc, waves);
	cox_map_put(doc, map, "waves", waves);
	COX_VEC_EACH (&r->targets, t)
		if (t->wave < 0)
			cox_list_push(doc, unplanned, target_status(t, doc));
	cox_map_put(doc, map, "unplanned", unplanned);
	cox_rollout_why(r, &why);
	if (*why.message)
		cox_map_put(doc, map, "why", why_status(r, &why, doc));
	if (r->audit.n > 0)
		cox_map_put(doc, map, "audit", audit_status(r, doc));
	return map;
}
