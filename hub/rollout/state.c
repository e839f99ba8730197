/* A rollout as a document to keep, and back. Version 2; what was kept before there was a version
 * (RollingSync only, no gates) is read too. What has its usual value is not written. */
#include "common/base/encode.h"
#include "hub/rollout/internal.h"

#define VERSION 2

static const char *const phase_names[] = {"Progressing", "Succeeded", "Superseded", "Failed",
					  "Aborted"};
static const char *const state_names[] = {"Waiting", "Moving", "Healthy", "Failed", "Blocked"};
static const char *const wave_names[] = {"Waiting", "Before", "Open", "After", "Passed"};
static const char *const source_names[] = {"atOnce", "rollingSync", "policy", "rollback"};

const char *cox_rollout_phase_name(enum cox_rollout_phase phase)
{
	return phase_names[phase];
}

const char *cox_rollout_state_name(enum cox_rollout_state state)
{
	return state_names[state];
}

const char *cox_wave_phase_name(enum cox_wave_phase phase)
{
	return wave_names[phase];
}

/* Index of the text in a table of names, or -1. */
static int name_index(const char *const *names, size_t n, const struct cox_node *node)
{
	for (size_t i = 0; i < n; i++)
		if (cox_str_is(cox_node_str(node), names[i]))
			return (int)i;
	return -1;
}
#define NAME_INDEX(names, node) name_index((names), COX_ARRAY_LEN(names), (node))

static int gate_state_index(const struct cox_node *node)
{
	for (int i = COX_GATE_PENDING; i <= COX_GATE_SKIPPED; i++)
		if (cox_str_is(cox_node_str(node), cox_gate_state_name(i)))
			return i;
	return -1;
}

/* ---- a target's flags, by name ---- */

#define FLAG(field)                                                                                \
	{                                                                                          \
#field, offsetof(struct cox_rollout_target, field)                                 \
	}
static const struct {
	const char *name;
	size_t offset;
} flags[] = {
	FLAG(by_hand), FLAG(moved),    FLAG(forced), FLAG(late),    FLAG(excused),
	FLAG(overdue), FLAG(approved), FLAG(barred), FLAG(offline),
};

static bool *flag(struct cox_rollout_target *t, size_t i)
{
	return (bool *)((char *)t + flags[i].offset);
}

/* ---- out ---- */

static void put_int(struct cox_doc *doc, struct cox_node *map, const char *key, int64_t value)
{
	if (value != 0)
		cox_map_put_int(doc, map, key, value);
}

static void put_text(struct cox_doc *doc, struct cox_node *map, const char *key, const char *text)
{
	if (text && *text)
		cox_map_put_cstr(doc, map, key, text);
}

static void put_digest(struct cox_doc *doc, struct cox_node *map, const char *key,
		       const uint8_t digest[COX_ROLLOUT_DIGEST])
{
	char hex[2 * COX_ROLLOUT_DIGEST + 1];

	cox_hex_encode(digest, COX_ROLLOUT_DIGEST, hex);
	cox_map_put_cstr(doc, map, key, hex);
}

static struct cox_node *plan_to(const struct cox_rollout_plan *plan, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "source", source_names[plan->source]);
	put_text(doc, map, "name", plan->name);
	if (plan->doc)
		cox_map_put(doc, map, "spec", cox_doc_clone(doc, cox_doc_root(plan->doc)));
	return map;
}

static struct cox_node *gate_to(const struct cox_rollout_gate_run *g, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "state", cox_gate_state_name(g->state));
	put_int(doc, map, "since", g->since_ms);
	put_text(doc, map, "message", g->message);
	put_int(doc, map, "answered", g->answered_ms);
	put_int(doc, map, "next", g->next_ms);
	put_text(doc, map, "by", g->by);
	put_int(doc, map, "attempt", g->attempt);
	if (g->asked)
		cox_map_put_bool(doc, map, "asked", true);
	put_int(doc, map, "good", g->good);
	put_int(doc, map, "bad", g->bad);
	return map;
}

static struct cox_node *wave_to(const struct cox_rollout_wave_run *w, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc), *before = cox_doc_list(doc);
	struct cox_node *after = cox_doc_list(doc), *approvals = cox_doc_list(doc);

	COX_VEC_EACH (&w->before, g)
		cox_list_push(doc, before, gate_to(g, doc));
	COX_VEC_EACH (&w->after, g)
		cox_list_push(doc, after, gate_to(g, doc));
	COX_VEC_EACH (&w->approvals, a) {
		struct cox_node *one = cox_doc_map(doc);

		cox_map_put_cstr(doc, one, "by", a->by);
		cox_map_put_int(doc, one, "at", a->at_ms);
		put_digest(doc, one, "digest", a->digest);
		cox_list_push(doc, approvals, one);
	}
	cox_map_put_cstr(doc, map, "phase", wave_names[w->phase]);
	put_int(doc, map, "since", w->since_ms);
	put_int(doc, map, "progress", w->progress_ms);
	put_int(doc, map, "best", w->best);
	cox_map_put(doc, map, "before", before);
	cox_map_put(doc, map, "after", after);
	cox_map_put(doc, map, "approvals", approvals);
	return map;
}

static struct cox_node *target_to(const struct cox_rollout_target *t, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc), *set = cox_doc_list(doc);

	cox_map_put_cstr(doc, map, "uid", t->uid);
	cox_map_put_cstr(doc, map, "name", t->name);
	cox_map_put_cstr(doc, map, "cluster", t->cluster);
	cox_map_put_int(doc, map, "wave", t->wave);
	if (t->has_digest)
		put_digest(doc, map, "digest", t->digest);
	cox_map_put_cstr(doc, map, "revision", t->revision);
	if (t->has_previous)
		put_digest(doc, map, "previous", t->previous);
	cox_map_put_cstr(doc, map, "previousRevision", t->previous_revision);
	cox_map_put_cstr(doc, map, "state", state_names[t->state]);
	cox_map_put_cstr(doc, map, "message", t->message);
	cox_map_put_cstr(doc, map, "resource", t->resource);
	cox_map_put_int(doc, map, "since", t->since_ms);
	put_int(doc, map, "epoch", (int64_t)t->epoch);
	put_int(doc, map, "generation", (int64_t)t->generation);
	put_text(doc, map, "operation", t->operation);
	put_int(doc, map, "clock", t->clock_ms);
	put_int(doc, map, "online", t->online_ms);
	cox_map_put_cstr(doc, map, "hold", t->hold);
	put_int(doc, map, "holdUntil", t->hold_until_ms);
	for (size_t i = 0; i < COX_ARRAY_LEN(flags); i++)
		if (*flag((struct cox_rollout_target *)t, i))
			cox_list_push(doc, set, cox_doc_cstring(doc, flags[i].name));
	if (cox_node_len(set) > 0)
		cox_map_put(doc, map, "flags", set);
	return map;
}

static struct cox_node *audit_to(const struct cox_rollout *r, struct cox_doc *doc)
{
	struct cox_node *list = cox_doc_list(doc);

	COX_VEC_EACH (&r->audit, a) {
		struct cox_node *one = cox_doc_map(doc);

		cox_map_put_int(doc, one, "at", a->at_ms);
		cox_map_put_cstr(doc, one, "by", a->by);
		cox_map_put_cstr(doc, one, "what", a->what);
		cox_map_put_cstr(doc, one, "text", a->text);
		cox_list_push(doc, list, one);
	}
	return list;
}

static struct cox_node *bars_to(const struct cox_rollout *r, struct cox_doc *doc)
{
	struct cox_node *list = cox_doc_list(doc);

	COX_VEC_EACH (&r->bars, b) {
		struct cox_node *one = cox_doc_map(doc);

		cox_map_put_cstr(doc, one, "uid", b->uid);
		put_digest(doc, one, "digest", b->digest);
		cox_map_put_bool(doc, one, "failed", b->failed);
		cox_list_push(doc, list, one);
	}
	return list;
}

static struct cox_node *paused_to(const struct cox_rollout *r, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "by", r->paused_by);
	cox_map_put_cstr(doc, map, "message", r->paused_message);
	cox_map_put_int(doc, map, "at", r->paused_ms);
	cox_map_put_bool(doc, map, "byFailure", r->paused_by_failure);
	return map;
}

struct cox_node *cox_rollout_to_node(const struct cox_rollout *r, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc), *targets = cox_doc_list(doc);
	struct cox_node *waves = cox_doc_list(doc);

	COX_VEC_EACH (&r->targets, t)
		cox_list_push(doc, targets, target_to(t, doc));
	COX_VEC_EACH (&r->waves, w)
		cox_list_push(doc, waves, wave_to(w, doc));
	cox_map_put_int(doc, map, "version", VERSION);
	cox_map_put_cstr(doc, map, "id", r->id);
	cox_map_put_cstr(doc, map, "owner", r->owner);
	cox_map_put_cstr(doc, map, "revision", r->revision);
	cox_map_put_cstr(doc, map, "phase", phase_names[r->phase]);
	cox_map_put_cstr(doc, map, "reason", r->reason);
	cox_map_put_int(doc, map, "started", r->started_ms);
	put_int(doc, map, "finished", r->finished_ms);
	put_int(doc, map, "last", r->last_ms);
	put_text(doc, map, "reverses", r->reverses);
	put_text(doc, map, "reversedBy", r->reversed_by);
	if (r->rollback_due)
		cox_map_put_bool(doc, map, "rollbackDue", true);
	if (r->paused)
		cox_map_put(doc, map, "paused", paused_to(r, doc));
	cox_map_put(doc, map, "plan", plan_to(&r->plan, doc));
	cox_map_put(doc, map, "waves", waves);
	cox_map_put(doc, map, "targets", targets);
	cox_map_put(doc, map, "audit", audit_to(r, doc));
	put_int(doc, map, "auditDropped", r->n_audit_dropped);
	cox_map_put(doc, map, "bars", bars_to(r, doc));
	return map;
}

/* ---- back ---- */

static char *text_dup(const struct cox_node *map, const char *key)
{
	return cox_strdup(cox_node_cstr(cox_node_get(map, key), NULL));
}

/* Never NULL. */
static char *must_dup(const struct cox_node *map, const char *key)
{
	return cox_str_dup(cox_node_str(cox_node_get(map, key)));
}

static int64_t get_int(const struct cox_node *map, const char *key)
{
	return cox_node_int(cox_node_get(map, key), 0);
}

static void get_id(const struct cox_node *map, const char *key, char ret[COX_UUID_TEXT])
{
	ret[0] = '\0';
	strncat(ret, cox_node_cstr(cox_node_get(map, key), ""), COX_UUID_TEXT - 1);
}

static int bad(struct cox_error *err, const char *what)
{
	return cox_error(err, COX_DATA_LOSS, "a kept rollout is damaged: %s", what);
}

/* 1: there is one. */
static int get_digest(const struct cox_node *map, const char *key,
		      uint8_t ret_digest[COX_ROLLOUT_DIGEST], struct cox_error *err)
{
	const struct cox_node *node = cox_node_get(map, key);

	if (!node)
		return 0;
	if (cox_hex_decode(cox_node_str(node), ret_digest, COX_ROLLOUT_DIGEST, NULL) < 0)
		return bad(err, "a digest");
	return 1;
}

/* What there was before version 2, as the strategy that it was made of. */
static struct cox_doc *old_strategy(const struct cox_node *plan)
{
	struct cox_doc *doc = cox_doc_new("strategy");
	struct cox_node *map = cox_doc_map(doc), *steps = cox_doc_list(doc);
	struct cox_node *rolling = cox_doc_map(doc);
	const struct cox_node *waves = cox_node_get(plan, "waves");

	for (size_t i = 0; i < cox_node_len(waves); i++) {
		const struct cox_node *wave = cox_node_at(waves, i);
		const char *kind = cox_node_cstr(cox_node_get(wave, "maxKind"), "all");
		struct cox_node *step = cox_doc_map(doc);

		cox_map_put(doc, step, "matchExpressions",
			    cox_doc_clone(doc, cox_node_get(wave, "matchExpressions")));
		if (strcmp(kind, "all") != 0)
			cox_map_put(doc, step, "maxUpdate",
				    cox_doc_stringf(doc, "%lld%s",
						    (long long)get_int(wave, "maxUpdate"),
						    strcmp(kind, "percent") == 0 ? "%" : ""));
		cox_list_push(doc, steps, step);
	}
	cox_map_put_cstr(doc, map, "type", "RollingSync");
	cox_map_put(doc, rolling, "steps", steps);
	cox_map_put(doc, map, "rollingSync", rolling);
	cox_doc_set_root(doc, map);
	return cox_doc_seal(doc);
}

static int plan_from(const struct cox_node *node, int64_t version, struct cox_rollout_plan *plan,
		     struct cox_error *err)
{
	int source = NAME_INDEX(source_names, cox_node_get(node, "source"));
	const struct cox_node *spec = cox_node_get(node, "spec");
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (version < VERSION) {
		bool ordered = cox_node_bool(cox_node_get(node, "ordered"), false);

		if (cox_node_len(cox_node_get(node, "waves")) == 0)
			return bad(err, "its waves");
		source = ordered ? COX_ROLLOUT_STEPS : COX_ROLLOUT_AT_ONCE;
		doc = ordered ? old_strategy(node) : NULL;
	} else if (spec) {
		doc = cox_doc_copy("plan", spec);
	}
	if (source < 0 || (!doc && source != COX_ROLLOUT_AT_ONCE))
		return bad(err, "its plan");
	if (rollout_plan_make(source, cox_node_cstr(cox_node_get(node, "name"), NULL), doc, plan,
			      NULL, err) < 0)
		return cox_error_wrap(err, "a kept rollout is damaged");
	return 0;
}

static int gate_from(const struct cox_node *node, struct cox_rollout_gate_run *g,
		     struct cox_error *err)
{
	int state = gate_state_index(cox_node_get(node, "state"));

	if (state < 0)
		return bad(err, "a gate");
	*g = (struct cox_rollout_gate_run){
		.state = state,
		.since_ms = get_int(node, "since"),
		.message = text_dup(node, "message"),
		.answered_ms = get_int(node, "answered"),
		.next_ms = get_int(node, "next"),
		.by = text_dup(node, "by"),
		.attempt = get_int(node, "attempt"),
		.asked = cox_node_bool(cox_node_get(node, "asked"), false),
		.good = get_int(node, "good"),
		.bad = get_int(node, "bad"),
	};
	return 0;
}

static int wave_from(const struct cox_node *node, struct cox_rollout_wave_run *w,
		     struct cox_error *err)
{
	const struct cox_node *before = cox_node_get(node, "before");
	const struct cox_node *after = cox_node_get(node, "after");
	const struct cox_node *approvals = cox_node_get(node, "approvals");
	int phase = NAME_INDEX(wave_names, cox_node_get(node, "phase"));
	int r = 0;

	if (phase < 0 || cox_node_len(before) != w->before.n || cox_node_len(after) != w->after.n)
		return bad(err, "a wave");
	w->phase = phase;
	w->since_ms = get_int(node, "since");
	w->progress_ms = get_int(node, "progress");
	w->best = get_int(node, "best");
	for (size_t i = 0; r == 0 && i < w->before.n; i++)
		r = gate_from(cox_node_at(before, i), &w->before.items[i], err);
	for (size_t i = 0; r == 0 && i < w->after.n; i++)
		r = gate_from(cox_node_at(after, i), &w->after.items[i], err);
	for (size_t i = 0; r == 0 && i < cox_node_len(approvals); i++) {
		const struct cox_node *one = cox_node_at(approvals, i);
		struct cox_rollout_approval a = {.by = must_dup(one, "by"),
						 .at_ms = get_int(one, "at")};

		r = get_digest(one, "digest", a.digest, err) == 1 ? 0 : bad(err, "an approval");
		cox_vec_push(&w->approvals, a);
	}
	return r;
}

static int target_from(const struct cox_node *node, struct cox_rollout *r, struct cox_error *err)
{
	int state = NAME_INDEX(state_names, cox_node_get(node, "state")), has, had;
	int64_t wave = cox_node_int(cox_node_get(node, "wave"), -1);
	const struct cox_node *set = cox_node_get(node, "flags");
	struct cox_rollout_target t = {0};

	if (state < 0 || wave < -1 || wave >= (int64_t)r->plan.waves.n ||
	    !cox_node_is(cox_node_get(node, "uid"), COX_STRING) ||
	    !cox_node_is(cox_node_get(node, "name"), COX_STRING))
		return bad(err, "a target");
	has = get_digest(node, "digest", t.digest, err);
	had = get_digest(node, "previous", t.previous, err);
	if (has < 0 || had < 0)
		return has < 0 ? has : had;
	t.has_digest = has == 1;
	t.has_previous = had == 1;
	t.state = state;
	t.wave = (int)wave;
	t.uid = text_dup(node, "uid");
	t.name = text_dup(node, "name");
	t.cluster = text_dup(node, "cluster");
	t.revision = text_dup(node, "revision");
	t.previous_revision = text_dup(node, "previousRevision");
	t.message = text_dup(node, "message");
	t.resource = text_dup(node, "resource");
	t.since_ms = get_int(node, "since");
	t.epoch = (uint64_t)get_int(node, "epoch");
	t.generation = (uint64_t)get_int(node, "generation");
	get_id(node, "operation", t.operation);
	t.clock_ms = get_int(node, "clock");
	t.online_ms = get_int(node, "online");
	t.hold = text_dup(node, "hold");
	t.hold_until_ms = get_int(node, "holdUntil");
	for (size_t i = 0; i < cox_node_len(set); i++)
		for (size_t k = 0; k < COX_ARRAY_LEN(flags); k++)
			if (cox_str_is(cox_node_str(cox_node_at(set, i)), flags[k].name))
				*flag(&t, k) = true;
	cox_vec_push(&r->targets, t);
	return 0;
}

static void audit_from(const struct cox_node *list, struct cox_rollout *r)
{
	for (size_t i = 0; i < cox_node_len(list) && i < COX_ROLLOUT_MAX_AUDIT; i++) {
		const struct cox_node *one = cox_node_at(list, i);

		cox_vec_push(&r->audit, (struct cox_rollout_audit){.at_ms = get_int(one, "at"),
								   .by = must_dup(one, "by"),
								   .what = must_dup(one, "what"),
								   .text = must_dup(one, "text")});
	}
}

static int bars_from(const struct cox_node *list, struct cox_rollout *r, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *one = cox_node_at(list, i);
		struct cox_rollout_bar b = {
			.failed = cox_node_bool(cox_node_get(one, "failed"), false)};

		if (get_digest(one, "digest", b.digest, NULL) != 1)
			return bad(err, "a bar");
		b.uid = must_dup(one, "uid");
		cox_vec_push(&r->bars, b);
	}
	return 0;
}

static int waves_from(const struct cox_node *list, int64_t version, struct cox_rollout *r,
		      struct cox_error *err)
{
	int ret = 0;

	rollout_waves_init(r);
	if (version < VERSION) {
		/* A target that was assigned then was moved by the rollout, as far as is known. */
		COX_VEC_EACH (&r->targets, t)
			t->moved = t->generation != 0;
		return 0;
	}
	if (cox_node_len(list) != r->waves.n)
		return bad(err, "its waves");
	for (size_t i = 0; ret == 0 && i < r->waves.n; i++)
		ret = wave_from(cox_node_at(list, i), &r->waves.items[i], err);
	return ret;
}

static void paused_from(const struct cox_node *node, struct cox_rollout *r)
{
	if (!node)
		return;
	r->paused = true;
	r->paused_by = must_dup(node, "by");
	r->paused_message = text_dup(node, "message");
	r->paused_ms = get_int(node, "at");
	r->paused_by_failure = cox_node_bool(cox_node_get(node, "byFailure"), false);
}

int cox_rollout_from_node(const struct cox_node *node, struct cox_rollout **ret_rollout,
			  struct cox_error *err)
{
	COX_CLEANUP(cox_rollout_free_p) struct cox_rollout *r = cox_new(struct cox_rollout);
	const struct cox_node *targets = cox_node_get(node, "targets");
	int phase = NAME_INDEX(phase_names, cox_node_get(node, "phase"));
	int64_t version = cox_node_int(cox_node_get(node, "version"), 1);
	int ret;

	if (phase < 0)
		return bad(err, "phase");
	if (version > VERSION)
		return cox_error(err, COX_UNIMPLEMENTED,
				 "a kept rollout is of version %lld, which a newer hub wrote",
				 (long long)version);
	get_id(node, "id", r->id);
	get_id(node, "reverses", r->reverses);
	get_id(node, "reversedBy", r->reversed_by);
	r->owner = must_dup(node, "owner");
	r->revision = must_dup(node, "revision");
	r->reason = text_dup(node, "reason");
	r->phase = phase;
	r->started_ms = get_int(node, "started");
	r->finished_ms = get_int(node, "finished");
	r->last_ms = get_int(node, "last");
	r->n_audit_dropped = get_int(node, "auditDropped");
	r->rollback_due = cox_node_bool(cox_node_get(node, "rollbackDue"), false);
	r->ask_again = true;
	paused_from(cox_node_get(node, "paused"), r);
	audit_from(cox_node_get(node, "audit"), r);
	ret = plan_from(cox_node_get(node, "plan"), version, &r->plan, err);
	for (size_t i = 0; ret == 0 && i < cox_node_len(targets); i++)
		ret = target_from(cox_node_at(targets, i), r, err);
	if (ret == 0)
		ret = waves_from(cox_node_get(node, "waves"), version, r, err);
	if (ret == 0)
		ret = bars_from(cox_node_get(node, "bars"), r, err);
	if (ret < 0)
		return ret;
	rollout_index(r);
	*ret_rollout = TAKE(r);
	return 0;
}
