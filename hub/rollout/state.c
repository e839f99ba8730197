/* A rollout as a document: the whole state to keep, and the view for people. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "hub/rollout/internal.h"

static const char *const phase_names[] = {"Progressing", "Succeeded", "Superseded"};
static const char *const state_names[] = {"Waiting", "Moving", "Healthy", "Failed", "Blocked"};
static const char *const op_names[] = {"In", "NotIn", "Never"};
static const char *const supersede_names[] = {"now", "wave", "finished"};
static const char *const max_names[] = {"all", "count", "percent"};

const char *cox_rollout_phase_name(enum cox_rollout_phase phase)
{
	return phase_names[phase];
}

const char *cox_rollout_state_name(enum cox_rollout_state state)
{
	return state_names[state];
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

/* ---- out ---- */

static struct cox_node *expression_to(const struct cox_rollout_expression *e, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc), *values = cox_doc_list(doc);

	COX_VEC_EACH (&e->values, v)
		cox_list_push(doc, values, cox_doc_cstring(doc, *v));
	cox_map_put_cstr(doc, map, "key", e->key);
	cox_map_put_cstr(doc, map, "operator", op_names[e->op]);
	cox_map_put(doc, map, "values", values);
	return map;
}

static struct cox_node *plan_to(const struct cox_rollout_plan *plan, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc), *waves = cox_doc_list(doc);

	COX_VEC_EACH (&plan->waves, w) {
		struct cox_node *wave = cox_doc_map(doc), *expressions = cox_doc_list(doc);

		COX_VEC_EACH (&w->expressions, e)
			cox_list_push(doc, expressions, expression_to(e, doc));
		cox_map_put_cstr(doc, wave, "name", w->name);
		cox_map_put_cstr(doc, wave, "maxKind", max_names[w->max_kind]);
		cox_map_put_int(doc, wave, "maxUpdate", w->max_update);
		cox_map_put(doc, wave, "matchExpressions", expressions);
		cox_list_push(doc, waves, wave);
	}
	cox_map_put(doc, map, "waves", waves);
	cox_map_put_cstr(doc, map, "supersede", supersede_names[plan->supersede]);
	cox_map_put_int(doc, map, "patienceMs", plan->patience_ms);
	cox_map_put_bool(doc, map, "ordered", plan->ordered);
	return map;
}

static struct cox_node *target_to(const struct cox_rollout_target *t, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc);
	char hex[2 * COX_ROLLOUT_DIGEST + 1];

	cox_map_put_cstr(doc, map, "uid", t->uid);
	cox_map_put_cstr(doc, map, "name", t->name);
	cox_map_put_cstr(doc, map, "cluster", t->cluster);
	cox_map_put_int(doc, map, "wave", t->wave);
	if (t->has_digest) {
		cox_hex_encode(t->digest, sizeof(t->digest), hex);
		cox_map_put_cstr(doc, map, "digest", hex);
	}
	cox_map_put_cstr(doc, map, "revision", t->revision);
	cox_map_put_cstr(doc, map, "state", state_names[t->state]);
	cox_map_put_cstr(doc, map, "message", t->message);
	cox_map_put_int(doc, map, "since", t->since_ms);
	cox_map_put_int(doc, map, "epoch", (int64_t)t->epoch);
	cox_map_put_int(doc, map, "generation", (int64_t)t->generation);
	cox_map_put_cstr(doc, map, "operation", t->operation);
	return map;
}

struct cox_node *cox_rollout_to_node(const struct cox_rollout *r, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc), *targets = cox_doc_list(doc);

	COX_VEC_EACH (&r->targets, t)
		cox_list_push(doc, targets, target_to(t, doc));
	cox_map_put_cstr(doc, map, "id", r->id);
	cox_map_put_cstr(doc, map, "owner", r->owner);
	cox_map_put_cstr(doc, map, "revision", r->revision);
	cox_map_put_cstr(doc, map, "phase", phase_names[r->phase]);
	cox_map_put_int(doc, map, "started", r->started_ms);
	cox_map_put_int(doc, map, "finished", r->finished_ms);
	cox_map_put(doc, map, "plan", plan_to(&r->plan, doc));
	cox_map_put(doc, map, "targets", targets);
	return map;
}

/* ---- back ---- */

static char *text_dup(const struct cox_node *node)
{
	return cox_strdup(cox_node_cstr(node, NULL));
}

static int bad(struct cox_error *err, const char *what)
{
	return cox_error(err, COX_DATA_LOSS, "a kept rollout is damaged: %s", what);
}

static int plan_from(const struct cox_node *node, struct cox_rollout_plan *plan,
		     struct cox_error *err)
{
	const struct cox_node *waves = cox_node_get(node, "waves");
	int supersede = NAME_INDEX(supersede_names, cox_node_get(node, "supersede"));

	if (supersede < 0)
		return bad(err, "supersede");
	plan->supersede = supersede;
	plan->patience_ms = cox_node_int(cox_node_get(node, "patienceMs"), 0);
	plan->ordered = cox_node_bool(cox_node_get(node, "ordered"), false);
	for (size_t i = 0; i < cox_node_len(waves); i++) {
		const struct cox_node *wave = cox_node_at(waves, i);
		const struct cox_node *list = cox_node_get(wave, "matchExpressions");
		int kind = NAME_INDEX(max_names, cox_node_get(wave, "maxKind"));
		struct cox_rollout_wave *w;

		if (kind < 0)
			return bad(err, "maxKind");
		cox_vec_push(
			&plan->waves,
			(struct cox_rollout_wave){
				.name = cox_str_dup(cox_node_str(cox_node_get(wave, "name"))),
				.max_kind = kind,
				.max_update = cox_node_int(cox_node_get(wave, "maxUpdate"), 0)});
		w = &plan->waves.items[plan->waves.n - 1];
		for (size_t k = 0; k < cox_node_len(list); k++) {
			const struct cox_node *from = cox_node_at(list, k);
			const struct cox_node *values = cox_node_get(from, "values");
			int op = NAME_INDEX(op_names, cox_node_get(from, "operator"));
			struct cox_rollout_expression e = {0};

			if (op < 0)
				return bad(err, "operator");
			e.op = op;
			e.key = cox_str_dup(cox_node_str(cox_node_get(from, "key")));
			for (size_t v = 0; v < cox_node_len(values); v++)
				cox_vec_push(&e.values,
					     cox_str_dup(cox_node_str(cox_node_at(values, v))));
			cox_vec_push(&w->expressions, e);
		}
	}
	return 0;
}

static int target_from(const struct cox_node *node, struct cox_rollout *r, struct cox_error *err)
{
	int state = NAME_INDEX(state_names, cox_node_get(node, "state"));
	const struct cox_node *digest = cox_node_get(node, "digest");
	int64_t wave = cox_node_int(cox_node_get(node, "wave"), -1);
	struct cox_rollout_target t = {.has_digest = digest != NULL};

	if (state < 0 || wave < -1 || wave >= (int64_t)r->plan.waves.n ||
	    !cox_node_is(cox_node_get(node, "uid"), COX_STRING) ||
	    !cox_node_is(cox_node_get(node, "name"), COX_STRING))
		return bad(err, "a target");
	if (digest && cox_hex_decode(cox_node_str(digest), t.digest, sizeof(t.digest), NULL) < 0)
		return bad(err, "a digest");
	t.state = state;
	t.wave = (int)wave;
	t.uid = text_dup(cox_node_get(node, "uid"));
	t.name = text_dup(cox_node_get(node, "name"));
	t.cluster = text_dup(cox_node_get(node, "cluster"));
	t.revision = text_dup(cox_node_get(node, "revision"));
	t.message = text_dup(cox_node_get(node, "message"));
	t.since_ms = cox_node_int(cox_node_get(node, "since"), 0);
	t.epoch = (uint64_t)cox_node_int(cox_node_get(node, "epoch"), 0);
	t.generation = (uint64_t)cox_node_int(cox_node_get(node, "generation"), 0);
	strncat(t.operation, cox_node_cstr(cox_node_get(node, "operation"), ""),
		sizeof(t.operation) - 1);
	cox_vec_push(&r->targets, t);
	return 0;
}

int cox_rollout_from_node(const struct cox_node *node, struct cox_rollout **ret_rollout,
			  struct cox_error *err)
{
	COX_CLEANUP(cox_rollout_free_p) struct cox_rollout *r = cox_new(struct cox_rollout);
	const struct cox_node *targets = cox_node_get(node, "targets");
	int phase = NAME_INDEX(phase_names, cox_node_get(node, "phase"));
	int ret;

	if (phase < 0)
		return bad(err, "phase");
	strncat(r->id, cox_node_cstr(cox_node_get(node, "id"), ""), sizeof(r->id) - 1);
	r->owner = cox_str_dup(cox_node_str(cox_node_get(node, "owner")));
	r->revision = cox_str_dup(cox_node_str(cox_node_get(node, "revision")));
	r->phase = phase;
	r->started_ms = cox_node_int(cox_node_get(node, "started"), 0);
	r->finished_ms = cox_node_int(cox_node_get(node, "finished"), 0);
	ret = plan_from(cox_node_get(node, "plan"), &r->plan, err);
	for (size_t i = 0; ret == 0 && i < cox_node_len(targets); i++)
		ret = target_from(cox_node_at(targets, i), r, err);
	if (ret < 0)
		return ret;
	rollout_index(r);
	*ret_rollout = TAKE(r);
	return 0;
}

/* ---- for people ---- */

static void put_time(struct cox_doc *doc, struct cox_node *map, const char *key, int64_t wall_ms)
{
	char text[COX_TIME_TEXT_MAX];

	if (wall_ms == 0)
		return;
	cox_time_format(wall_ms, text);
	cox_map_put_cstr(doc, map, key, text);
}

static struct cox_node *target_status(const struct cox_rollout_target *t, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "application", t->name);
	cox_map_put_cstr(doc, map, "cluster", t->cluster);
	cox_map_put_cstr(doc, map, "state", state_names[t->state]);
	cox_map_put_cstr(doc, map, "revision", t->revision);
	cox_map_put_cstr(doc, map, "message", t->message);
	put_time(doc, map, "since", t->since_ms);
	return map;
}

static void wave_status(const struct cox_rollout *r, size_t i, size_t open, struct cox_doc *doc,
			struct cox_node *waves)
{
	const struct cox_rollout_wave *w = &r->plan.waves.items[i];
	struct cox_node *map = cox_doc_map(doc), *targets = cox_doc_list(doc);

	cox_map_put_cstr(doc, map, "name", w->name);
	cox_map_put_cstr(doc, map, "state", i < open ? "Done" : i == open ? "Open" : "Waiting");
	if (w->max_kind == COX_ROLLOUT_COUNT)
		cox_map_put(doc, map, "maxUpdate",
			    cox_doc_stringf(doc, "%lld", (long long)w->max_update));
	if (w->max_kind == COX_ROLLOUT_PERCENT)
		cox_map_put(doc, map, "maxUpdate",
			    cox_doc_stringf(doc, "%lld%%", (long long)w->max_update));
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

struct cox_node *cox_rollout_status(const struct cox_rollout *r, struct cox_doc *doc)
{
	struct cox_node *map = cox_doc_map(doc), *waves = cox_doc_list(doc);
	struct cox_node *unplanned = cox_doc_list(doc);
	size_t open = cox_rollout_open_wave(r);
	struct cox_rollout_why why;

	cox_map_put_cstr(doc, map, "id", r->id);
	cox_map_put(doc, map, "owner", owner_status(r->owner, doc));
	cox_map_put_cstr(doc, map, "revision", r->revision);
	cox_map_put_cstr(doc, map, "phase", phase_names[r->phase]);
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
	if (why.wave >= 0) {
		struct cox_node *said = cox_doc_map(doc);

		cox_map_put_cstr(doc, said, "wave", r->plan.waves.items[why.wave].name);
		if (why.target) {
			cox_map_put_cstr(doc, said, "application", why.target->name);
			cox_map_put_cstr(doc, said, "cluster", why.target->cluster);
		}
		cox_map_put_cstr(doc, said, "message", why.message);
		put_time(doc, said, "since", why.since_ms);
		cox_map_put(doc, map, "why", said);
	}
	return map;
}
