/* A rollout as rows to keep, and back. Version 3: a head, the plan, the bars, and a row for each
 * target. What was kept before is read too: version 2, all of that in one row, and what there was
 * before versions (RollingSync only, no gates). What has its usual value is not written. */
#include "common/base/encode.h"
#include "hub/rollout/internal.h"

#define VERSION	   3
#define TARGET_ROW "t/"

static const char *const phase_names[] = {"Progressing", "Succeeded", "Superseded", "Failed",
					  "Aborted"};
static const char *const state_names[] = {"Waiting", "Moving", "Healthy", "Failed", "Blocked"};
static const char *const wave_names[] = {"Waiting", "Before", "Open", "After", "Passed"};
static const char *const gate_names[] = {"Pending", "Running", "Passed", "Failed", "Skipped"};
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

const char *cox_gate_state_name(enum cox_gate_state state)
{
	return gate_names[state];
}

/* Index of the text in a table of names, or -1. */
static int name_index(const char *const *names, size_t n, const struct cox_node *node)
{
	for (size_t i = 0; i < n; i++)
		if (cox_str_is(cox_node_str(node), names[i]))
			return (int)i;
	return -1;
}

static int bad(struct cox_error *err, const char *what)
{
	return cox_error(err, COX_DATA_LOSS, "a kept rollout is damaged: %s", what);
}

/* ---- fields, by name: what is written is what is read ---- */

enum field_kind {
	F_TEXT,	  /* char *; NULL is not written */
	F_STRING, /* char *, never NULL */
	F_NAME,	  /* the same, and it has to be there */
	F_ID,	  /* char[COX_UUID_TEXT]; "" is not written */
	F_INT,	  /* int64_t or uint64_t; 0 is not written */
	F_INDEX,  /* int, -1 when there is none */
	F_BOOL,	  /* false is not written */
	F_WORD,	  /* an enum, by the names of its values */
	F_DIGEST, /* uint8_t[COX_ROLLOUT_DIGEST]; with `has`, where that says that there is one */
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t at;
	const char *const *words;
	size_t n_words;
	size_t has; /* offset of a bool; 0: none */
};

#define FIELD(kind, name, type, member)                                                            \
	{                                                                                          \
		name, kind, offsetof(struct type, member)                                          \
	}
#define WORD(name, type, member, words)                                                            \
	{                                                                                          \
		name, F_WORD, offsetof(struct type, member), words, COX_ARRAY_LEN(words)           \
	}
#define DIGEST_IF(name, type, member, has)                                                         \
	{                                                                                          \
		name, F_DIGEST, offsetof(struct type, member), NULL, 0, offsetof(struct type, has) \
	}

#define TARGET(kind, name, member) FIELD(kind, name, cox_rollout_target, member)
static const struct field target_fields[] = {
	TARGET(F_NAME, "uid", uid),
	TARGET(F_NAME, "name", name),
	TARGET(F_TEXT, "cluster", cluster),
	TARGET(F_INDEX, "wave", wave),
	DIGEST_IF("digest", cox_rollout_target, digest, has_digest),
	TARGET(F_TEXT, "revision", revision),
	DIGEST_IF("previous", cox_rollout_target, previous, has_previous),
	TARGET(F_TEXT, "previousRevision", previous_revision),
	DIGEST_IF("found", cox_rollout_target, found, has_found),
	WORD("state", cox_rollout_target, state, state_names),
	TARGET(F_TEXT, "message", message),
	TARGET(F_TEXT, "resource", resource),
	TARGET(F_INT, "since", since_ms),
	TARGET(F_INT, "well", well_ms),
	TARGET(F_INT, "seen", seen_ms),
	TARGET(F_INT, "epoch", epoch),
	TARGET(F_INT, "generation", generation),
	TARGET(F_ID, "operation", operation),
	TARGET(F_INT, "clock", clock_ms),
	TARGET(F_INT, "online", online_ms),
	TARGET(F_TEXT, "hold", hold),
	TARGET(F_INT, "holdUntil", hold_until_ms),
	TARGET(F_BOOL, "by_hand", by_hand),
	TARGET(F_BOOL, "moved", moved),
	TARGET(F_BOOL, "forced", forced),
	TARGET(F_BOOL, "late", late),
	TARGET(F_BOOL, "excused", excused),
	TARGET(F_BOOL, "overdue", overdue),
	TARGET(F_BOOL, "approved", approved),
	TARGET(F_BOOL, "barred", barred),
	TARGET(F_BOOL, "offline", offline),
};

#define GATE(kind, name, member) FIELD(kind, name, cox_rollout_gate_run, member)
static const struct field gate_fields[] = {
	WORD("state", cox_rollout_gate_run, state, gate_names),
	GATE(F_INT, "since", since_ms),
	GATE(F_TEXT, "message", message),
	GATE(F_INT, "answered", answered_ms),
	GATE(F_INT, "next", next_ms),
	GATE(F_TEXT, "by", by),
	GATE(F_INT, "attempt", attempt),
	GATE(F_BOOL, "asked", asked),
	GATE(F_INT, "good", good),
	GATE(F_INT, "bad", bad),
};

#define WAVE(kind, name, member) FIELD(kind, name, cox_rollout_wave_run, member)
static const struct field wave_fields[] = {
	WORD("phase", cox_rollout_wave_run, phase, wave_names),
	WAVE(F_INT, "since", since_ms),
	WAVE(F_INT, "progress", progress_ms),
	WAVE(F_INT, "best", best),
};

static const struct field approval_fields[] = {
	FIELD(F_STRING, "by", cox_rollout_approval, by),
	FIELD(F_INT, "at", cox_rollout_approval, at_ms),
	FIELD(F_DIGEST, "digest", cox_rollout_approval, digest),
};

static const struct field audit_fields[] = {
	FIELD(F_INT, "at", cox_rollout_audit, at_ms),
	FIELD(F_STRING, "by", cox_rollout_audit, by),
	FIELD(F_STRING, "what", cox_rollout_audit, what),
	FIELD(F_STRING, "text", cox_rollout_audit, text),
};

static const struct field bar_fields[] = {
	FIELD(F_STRING, "uid", cox_rollout_bar, uid),
	FIELD(F_DIGEST, "digest", cox_rollout_bar, digest),
	FIELD(F_BOOL, "failed", cox_rollout_bar, failed),
};

#define HEAD(kind, name, member) FIELD(kind, name, cox_rollout, member)
static const struct field head_fields[] = {
	HEAD(F_ID, "id", id),
	HEAD(F_STRING, "owner", owner),
	HEAD(F_STRING, "revision", revision),
	WORD("phase", cox_rollout, phase, phase_names),
	HEAD(F_TEXT, "reason", reason),
	HEAD(F_INT, "started", started_ms),
	HEAD(F_INT, "finished", finished_ms),
	HEAD(F_INT, "last", last_ms),
	HEAD(F_ID, "reverses", reverses),
	HEAD(F_ID, "reversedBy", reversed_by),
	HEAD(F_BOOL, "rollbackDue", rollback_due),
	HEAD(F_INT, "auditDropped", n_audit_dropped),
	HEAD(F_BOOL, "barsAll", bars_all),
};

static const struct field paused_fields[] = {
	HEAD(F_STRING, "by", paused_by),
	HEAD(F_TEXT, "message", paused_message),
	HEAD(F_INT, "at", paused_ms),
	HEAD(F_BOOL, "byFailure", paused_by_failure),
};

/* ---- out ---- */

static void put_digest(struct cox_doc *doc, struct cox_node *map, const char *key,
		       const uint8_t *digest)
{
	char hex[2 * COX_ROLLOUT_DIGEST + 1];

	cox_hex_encode(digest, COX_ROLLOUT_DIGEST, hex);
	cox_map_put_cstr(doc, map, key, hex);
}

static void put_field(const struct field *f, const char *base, struct cox_doc *doc,
		      struct cox_node *map)
{
	const void *at = base + f->at;

	switch (f->kind) {
	case F_TEXT:
	case F_STRING:
	case F_NAME:
		cox_map_put_cstr(doc, map, f->name, *(char *const *)at);
		break;
	case F_ID:
		if (*(const char *)at)
			cox_map_put_cstr(doc, map, f->name, at);
		break;
	case F_INT:
		if (*(const int64_t *)at != 0)
			cox_map_put_int(doc, map, f->name, *(const int64_t *)at);
		break;
	case F_INDEX:
		cox_map_put_int(doc, map, f->name, *(const int *)at);
		break;
	case F_BOOL:
		if (*(const bool *)at)
			cox_map_put_bool(doc, map, f->name, true);
		break;
	case F_WORD:
		cox_map_put_cstr(doc, map, f->name, f->words[*(const unsigned *)at]);
		break;
	case F_DIGEST:
		if (!f->has || *(const bool *)(base + f->has))
			put_digest(doc, map, f->name, at);
	}
}

static void put(const struct field *fields, size_t n, const void *base, struct cox_doc *doc,
		struct cox_node *map)
{
	for (size_t i = 0; i < n; i++)
		put_field(&fields[i], base, doc, map);
}
#define PUT(fields, base, doc, map) put((fields), COX_ARRAY_LEN(fields), (base), (doc), (map))

static struct cox_node *map_of(const struct field *fields, size_t n, const void *base,
			       struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc);

	put(fields, n, base, doc, map);
	return map;
}
#define MAP_OF(fields, base, doc) map_of((fields), COX_ARRAY_LEN(fields), (base), (doc))

/* A list of what is in a vector. */
#define LIST_OF(fields, v, doc)                                                                    \
	__extension__({                                                                            \
		struct cox_node *_list = cox_doc_list(doc);                                        \
		COX_VEC_EACH ((v), _one)                                                           \
			cox_list_push((doc), _list, MAP_OF(fields, _one, doc));                    \
		_list;                                                                             \
	})

static struct cox_node *plan_to(const struct cox_rollout_plan *plan, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "source", source_names[plan->source]);
	cox_map_put_cstr(doc, map, "name", plan->name);
	if (plan->doc)
		cox_map_put(doc, map, "spec", cox_doc_clone(doc, cox_doc_root(plan->doc)));
	return map;
}

static void put_list(struct cox_doc *doc, struct cox_node *map, const char *key,
		     struct cox_node *list)
{
	if (cox_node_len(list) > 0)
		cox_map_put(doc, map, key, list);
}

static struct cox_node *wave_to(const struct cox_rollout_wave_run *w, struct cox_doc *doc)
{
	struct cox_node *map = MAP_OF(wave_fields, w, doc);

	put_list(doc, map, "before", LIST_OF(gate_fields, &w->before, doc));
	put_list(doc, map, "after", LIST_OF(gate_fields, &w->after, doc));
	put_list(doc, map, "approvals", LIST_OF(approval_fields, &w->approvals, doc));
	return map;
}

/* All that does not grow with the targets. */
static struct cox_node *head_to(const struct cox_rollout *r, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc), *waves = cox_doc_list(doc);

	COX_VEC_EACH (&r->waves, w)
		cox_list_push(doc, waves, wave_to(w, doc));
	cox_map_put_int(doc, map, "version", VERSION);
	PUT(head_fields, r, doc, map);
	if (r->paused)
		cox_map_put(doc, map, "paused", MAP_OF(paused_fields, r, doc));
	cox_map_put(doc, map, "waves", waves);
	cox_map_put(doc, map, "audit", LIST_OF(audit_fields, &r->audit, doc));
	cox_map_put_int(doc, map, "targets", (int64_t)r->targets.n);
	cox_map_put_int(doc, map, "bars", (int64_t)r->bars.n);
	return map;
}

/* ---- rows ---- */

/* doc NULL: it goes, whatever it is. */
static void give_target(const struct cox_rollout *r, const char *uid, struct cox_doc *doc,
			cox_rollout_row *fn, void *ctx)
{
	const struct cox_rollout_target *t = doc ? rollout_target(r, uid) : NULL;
	_cleanup_free_ char *name = cox_asprintf(TARGET_ROW "%s", uid);

	fn(ctx, name, t ? MAP_OF(target_fields, t, doc) : NULL);
	if (t)
		rollout_unkept(t)->touched = false;
}

void cox_rollout_keep(struct cox_rollout *r, bool all, cox_rollout_row *fn, void *ctx)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("rollout");

	if (all || r->plan_touched)
		fn(ctx, "plan", plan_to(&r->plan, doc));
	if (all || r->bars_touched)
		fn(ctx, "bars", LIST_OF(bar_fields, &r->bars, doc));
	COX_MAP_EACH (&r->touched, slot)
		if (!all || !rollout_target(r, slot->key))
			give_target(r, slot->key, doc, fn, ctx);
	for (size_t i = 0; all && i < r->targets.n; i++)
		give_target(r, r->targets.items[i].uid, doc, fn, ctx);
	fn(ctx, "", head_to(r, doc));
	cox_map_fini(&r->touched);
	r->touched = COX_MAP_INIT;
	r->plan_touched = r->bars_touched = false;
}

bool cox_rollout_is_kept(const struct cox_rollout *r)
{
	return r->touched.n == 0 && !r->plan_touched && !r->bars_touched;
}

void cox_rollout_forget(const struct cox_rollout *r, cox_rollout_row *fn, void *ctx)
{
	static const char *const others[] = {"", "plan", "bars"};

	for (size_t i = 0; i < COX_ARRAY_LEN(others); i++)
		fn(ctx, others[i], NULL);
	COX_MAP_EACH (&r->touched, slot)
		if (!rollout_target(r, slot->key))
			give_target(r, slot->key, NULL, fn, ctx);
	COX_VEC_EACH (&r->targets, t)
		give_target(r, t->uid, NULL, fn, ctx);
}

/* ---- back ---- */

static int get_word(const struct field *f, const struct cox_node *node, unsigned *ret)
{
	int i = name_index(f->words, f->n_words, node);

	if (i < 0)
		return -1;
	*ret = (unsigned)i;
	return 0;
}

static int get_digest(const struct field *f, const struct cox_node *node, char *base)
{
	if (!node)
		return f->has ? 0 : -1;
	if (f->has)
		*(bool *)(base + f->has) = true;
	return cox_hex_decode(cox_node_str(node), (uint8_t *)base + f->at, COX_ROLLOUT_DIGEST,
			      NULL);
}

/* Negative: it is not what it should be. */
static int get_field(const struct field *f, const struct cox_node *map, char *base)
{
	const struct cox_node *node = cox_node_get(map, f->name);
	void *at = base + f->at;

	if (f->kind == F_NAME && !cox_node_is(node, COX_STRING))
		return -1;
	switch (f->kind) {
	case F_NAME:
	case F_STRING:
		*(char **)at = cox_str_dup(cox_node_str(node));
		return 0;
	case F_TEXT:
		*(char **)at = cox_strdup(cox_node_cstr(node, NULL));
		return 0;
	case F_ID:
		*(char *)at = '\0';
		strncat(at, cox_node_cstr(node, ""), COX_UUID_TEXT - 1);
		return 0;
	case F_INT:
		*(int64_t *)at = cox_node_int(node, 0);
		return 0;
	case F_INDEX:
		*(int *)at = (int)cox_node_int(node, -1);
		return *(int *)at < -1 ? -1 : 0;
	case F_BOOL:
		*(bool *)at = cox_node_bool(node, false);
		return 0;
	case F_WORD:
		return get_word(f, node, at);
	case F_DIGEST:
		return get_digest(f, node, base);
	}
	return -1;
}

/* what: whose fields they are, for the error. All of them are set, whatever comes of it. */
static int get(const struct field *fields, size_t n, const struct cox_node *map, void *base,
	       const char *what, struct cox_error *err)
{
	const char *wrong = NULL;

	for (size_t i = 0; i < n; i++)
		if (get_field(&fields[i], map, base) < 0)
			wrong = fields[i].name;
	return wrong ? cox_error(err, COX_DATA_LOSS, "a kept rollout is damaged: '%s' of %s", wrong,
				 what)
		     : 0;
}
#define GET(fields, map, base, what, err)                                                          \
	get((fields), COX_ARRAY_LEN(fields), (map), (base), (what), (err))

struct cox_rollout_reader {
	struct cox_rollout *r;
	int64_t version;	   /* 0: no head yet */
	struct cox_doc *waves;	   /* they are read when the plan is known */
	int64_t n_targets, n_bars; /* by the head */
	bool has_plan;
};

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
		long long max = (long long)cox_node_int(cox_node_get(wave, "maxUpdate"), 0);
		struct cox_node *step = cox_doc_map(doc);

		cox_map_put(doc, step, "matchExpressions",
			    cox_doc_clone(doc, cox_node_get(wave, "matchExpressions")));
		if (strcmp(kind, "all") != 0)
			cox_map_put(doc, step, "maxUpdate",
				    cox_doc_stringf(doc, "%lld%s", max,
						    strcmp(kind, "percent") == 0 ? "%" : ""));
		cox_list_push(doc, steps, step);
	}
	cox_map_put_cstr(doc, map, "type", "RollingSync");
	cox_map_put(doc, rolling, "steps", steps);
	cox_map_put(doc, map, "rollingSync", rolling);
	cox_doc_set_root(doc, map);
	return cox_doc_seal(doc);
}

static int plan_from(struct cox_rollout_reader *q, const struct cox_node *node, int64_t version,
		     struct cox_error *err)
{
	int source =
		name_index(source_names, COX_ARRAY_LEN(source_names), cox_node_get(node, "source"));
	const struct cox_node *spec = cox_node_get(node, "spec");
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (q->has_plan)
		return bad(err, "two plans");
	if (version == 1) {
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
	if (rollout_plan_make(source, cox_node_cstr(cox_node_get(node, "name"), NULL), doc,
			      &q->r->plan, NULL, err) < 0)
		return cox_error_wrap(err, "a kept rollout is damaged");
	q->has_plan = true;
	return 0;
}

static int gates_from(const struct cox_node *list, struct cox_rollout_gate_run *gates, size_t n,
		      struct cox_error *err)
{
	int r = cox_node_len(list) == n ? 0 : bad(err, "the gates of a wave");

	for (size_t i = 0; r == 0 && i < n; i++)
		r = GET(gate_fields, cox_node_at(list, i), &gates[i], "a gate", err);
	return r;
}

static int wave_from(const struct cox_node *node, struct cox_rollout_wave_run *w,
		     struct cox_error *err)
{
	const struct cox_node *approvals = cox_node_get(node, "approvals");
	int r = GET(wave_fields, node, w, "a wave", err);

	if (r == 0)
		r = gates_from(cox_node_get(node, "before"), w->before.items, w->before.n, err);
	if (r == 0)
		r = gates_from(cox_node_get(node, "after"), w->after.items, w->after.n, err);
	for (size_t i = 0; r == 0 && i < cox_node_len(approvals); i++) {
		struct cox_rollout_approval a = {0};

		r = GET(approval_fields, cox_node_at(approvals, i), &a, "an approval", err);
		cox_vec_push(&w->approvals, a);
	}
	return r;
}

/* What version 2 said in another way. */
static void mend_target(const struct cox_node *node, struct cox_rollout_target *t)
{
	const struct cox_node *set = cox_node_get(node, "flags");

	for (size_t i = 0; i < cox_node_len(set); i++)
		for (size_t k = 0; k < COX_ARRAY_LEN(target_fields); k++)
			if (target_fields[k].kind == F_BOOL &&
			    cox_str_is(cox_node_str(cox_node_at(set, i)), target_fields[k].name))
				*(bool *)((char *)t + target_fields[k].at) = true;
	if (t->state != COX_TARGET_HEALTHY || t->well_ms != 0)
		return;
	t->well_ms = t->since_ms;
	t->seen_ms = t->online_ms > t->since_ms ? t->online_ms : t->since_ms;
}

static int target_from(struct cox_rollout_reader *q, const struct cox_node *node,
		       struct cox_error *err)
{
	struct cox_rollout_target t = {.unheard = true};
	int r = GET(target_fields, node, &t, "a target", err);

	mend_target(node, &t);
	if (!t.uid)
		t.uid = cox_strdup("");
	rollout_target_add(q->r, t);
	return r;
}

static int targets_from(struct cox_rollout_reader *q, const struct cox_node *list,
			struct cox_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cox_node_len(list); i++)
		r = target_from(q, cox_node_at(list, i), err);
	return r;
}

static int bars_from(struct cox_rollout_reader *q, const struct cox_node *list,
		     struct cox_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cox_node_len(list); i++) {
		struct cox_rollout_bar b = {0};

		r = GET(bar_fields, cox_node_at(list, i), &b, "a bar", err);
		rollout_bar_add(q->r, b);
	}
	return r;
}

static int audit_from(struct cox_rollout_reader *q, const struct cox_node *list,
		      struct cox_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cox_node_len(list) && i < COX_ROLLOUT_MAX_AUDIT; i++) {
		struct cox_rollout_audit a = {0};

		r = GET(audit_fields, cox_node_at(list, i), &a, "its audit", err);
		cox_vec_push(&q->r->audit, a);
	}
	return r;
}

/* Versions 1 and 2: the rest is in the same row. */
static int rest_from(struct cox_rollout_reader *q, const struct cox_node *node,
		     struct cox_error *err)
{
	const struct cox_node *targets = cox_node_get(node, "targets");
	const struct cox_node *bars = cox_node_get(node, "bars");
	int r = plan_from(q, cox_node_get(node, "plan"), q->version, err);

	q->n_targets = (int64_t)cox_node_len(targets);
	q->n_bars = (int64_t)cox_node_len(bars);
	if (r == 0)
		r = bars_from(q, bars, err);
	/* It did not say; but whoever failed, or goes back, barred all. */
	q->r->bars_all = q->n_bars > 0 &&
			 (q->r->phase == COX_ROLLOUT_FAILED || q->r->phase == COX_ROLLOUT_ABORTED ||
			  q->r->plan.source == COX_ROLLOUT_BACK);
	return r == 0 ? targets_from(q, targets, err) : r;
}

static int head_from(struct cox_rollout_reader *q, const struct cox_node *node,
		     struct cox_error *err)
{
	const struct cox_node *paused = cox_node_get(node, "paused");
	int r;

	if (q->version)
		return bad(err, "two heads");
	q->version = cox_node_int(cox_node_get(node, "version"), 1);
	if (q->version > VERSION)
		return cox_error(err, COX_UNIMPLEMENTED,
				 "a kept rollout is of version %lld, which a newer hub wrote",
				 (long long)q->version);
	r = GET(head_fields, node, q->r, "its head", err);
	if (r == 0 && paused)
		r = GET(paused_fields, paused, q->r, "its pause", err);
	q->r->paused = paused != NULL;
	if (r == 0)
		r = audit_from(q, cox_node_get(node, "audit"), err);
	if (cox_node_get(node, "waves"))
		q->waves = cox_doc_copy("waves", cox_node_get(node, "waves"));
	q->n_targets = cox_node_int(cox_node_get(node, "targets"), -1);
	q->n_bars = cox_node_int(cox_node_get(node, "bars"), -1);
	return r == 0 && q->version < VERSION ? rest_from(q, node, err) : r;
}

struct cox_rollout_reader *cox_rollout_reader_new(void)
{
	struct cox_rollout_reader *q = cox_new(struct cox_rollout_reader);

	q->r = cox_new(struct cox_rollout);
	q->r->ask_again = true;
	q->r->back_ms = -1;
	return q;
}

void cox_rollout_reader_free(struct cox_rollout_reader *q)
{
	if (!q)
		return;
	cox_rollout_free(q->r);
	cox_doc_unref(q->waves);
	free(q);
}

int cox_rollout_read(struct cox_rollout_reader *q, const char *name, const struct cox_node *node,
		     struct cox_error *err)
{
	if (!*name)
		return head_from(q, node, err);
	if (strcmp(name, "plan") == 0)
		return plan_from(q, node, VERSION, err);
	if (strcmp(name, "bars") == 0)
		return bars_from(q, node, err);
	if (strncmp(name, TARGET_ROW, strlen(TARGET_ROW)) == 0)
		return target_from(q, node, err);
	return cox_error(err, COX_DATA_LOSS, "a kept rollout is damaged: a row '%s'", name);
}

static int waves_end(struct cox_rollout_reader *q, struct cox_error *err)
{
	const struct cox_node *list = q->waves ? cox_doc_root(q->waves) : NULL;
	struct cox_rollout *r = q->r;
	int ret = 0;

	rollout_waves_init(r);
	if (q->version == 1)
		return 0;
	if (cox_node_len(list) != r->waves.n)
		return bad(err, "its waves");
	for (size_t i = 0; ret == 0 && i < r->waves.n; i++)
		ret = wave_from(cox_node_at(list, i), &r->waves.items[i], err);
	return ret;
}

static int targets_end(struct cox_rollout_reader *q, struct cox_error *err)
{
	struct cox_rollout *r = q->r;

	if ((int64_t)r->targets.n != q->n_targets || (int64_t)r->bars.n != q->n_bars)
		return cox_error(err, COX_DATA_LOSS,
				 "a kept rollout is damaged: it has %zu of %lld targets, %zu of "
				 "%lld bars",
				 r->targets.n, (long long)q->n_targets, r->bars.n,
				 (long long)q->n_bars);
	COX_VEC_EACH (&r->targets, t) {
		if (t->wave >= (int)r->plan.waves.n)
			return bad(err, "'wave' of a target");
		/* A target that was assigned was moved by the rollout, as far as was known then. */
		if (q->version == 1)
			rollout_unkept(t)->moved = t->generation != 0;
	}
	rollout_index(r);
	return r->by_uid.n == r->targets.n ? 0 : bad(err, "a target that is there twice");
}

/* What was read in the present form needs no writing. */
static void settle(struct cox_rollout_reader *q)
{
	struct cox_rollout *r = q->r;

	r->plan_touched = r->bars_touched = q->version < VERSION;
	if (q->version < VERSION)
		return;
	cox_map_fini(&r->touched);
	r->touched = COX_MAP_INIT;
	COX_VEC_EACH (&r->targets, t)
		rollout_unkept(t)->touched = false;
}

int cox_rollout_read_end(struct cox_rollout_reader *q, struct cox_rollout **ret_rollout,
			 struct cox_error *err)
{
	int r = 0;

	if (!q->version)
		r = bad(err, "it has no head");
	if (r == 0 && !q->has_plan)
		r = bad(err, "it has no plan");
	if (r == 0)
		r = waves_end(q, err);
	if (r == 0)
		r = targets_end(q, err);
	if (r < 0)
		return r;
	settle(q);
	*ret_rollout = TAKE(q->r);
	return 0;
}

void cox_rollout_go_on(struct cox_rollout *to, const struct cox_rollout *from)
{
	to->ask_again = from->ask_again;
	to->back_ms = from->back_ms;
	to->tokens = from->tokens;
	to->tokens_ms = from->tokens_ms;
	COX_VEC_EACH (&to->targets, t) {
		const struct cox_rollout_target *f = rollout_target(from, t->uid);

		rollout_unkept(t)->unheard = f && f->unheard;
		rollout_unkept(t)->awaited = f && f->awaited;
	}
}

/* ---- a copy, to be thrown away ---- */

static int copy_rows(struct cox_rollout_reader *q, const struct cox_rollout *r)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("copy");
	int e = cox_rollout_read(q, "plan", plan_to(&r->plan, doc), NULL);

	if (e == 0)
		e = cox_rollout_read(q, "bars", LIST_OF(bar_fields, &r->bars, doc), NULL);
	for (size_t i = 0; e == 0 && i < r->targets.n; i++)
		e = cox_rollout_read(q, TARGET_ROW,
				     MAP_OF(target_fields, &r->targets.items[i], doc), NULL);
	return e == 0 ? cox_rollout_read(q, "", head_to(r, doc), NULL) : e;
}

struct cox_rollout *cox_rollout_copy(const struct cox_rollout *r)
{
	COX_CLEANUP(cox_rollout_reader_free_p)
	struct cox_rollout_reader *q = cox_rollout_reader_new();
	struct cox_rollout *copy = NULL;

	/* It is written and read by the same tables. */
	if (copy_rows(q, r) < 0 || cox_rollout_read_end(q, &copy, NULL) < 0)
		abort();
	cox_rollout_go_on(copy, r);
	return copy;
}
