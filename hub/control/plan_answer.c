/* A plan for people and scripts: hub/web/README.md says what is in it. */
#include "hub/control/plan.h"

#include "common/base/clock.h"
#include "common/base/encode.h"

#include <stdio.h>

static const char *const action_names[] = {
	[PLAN_UNCHANGED] = "unchanged", [PLAN_CREATE] = "create", [PLAN_UPDATE] = "update",
	[PLAN_DELETE] = "delete",	[PLAN_HELD] = "held",	  [PLAN_KEPT] = "kept",
	[PLAN_REFUSED] = "refused",
};

static const char *const comparison_names[] = {
	[PLAN_NEEDLESS] = "needless", [PLAN_WANTED] = "unknown",  [PLAN_ASKED] = "unknown",
	[PLAN_ANSWERED] = "computed", [PLAN_UNKNOWN] = "unknown", [PLAN_LEFT_OUT] = "leftOut",
};

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

static void put_count(struct cox_doc *doc, struct cox_node *map, const char *key, size_t n)
{
	cox_map_put_int(doc, map, key, (int64_t)n);
}

/* ---- targets ---- */

static void put_objects(struct cox_doc *doc, struct cox_node *map, const struct plan_app *x)
{
	const struct plan_counts *n = &x->counts;
	struct cox_node *counts = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "comparison", comparison_names[x->comparison]);
	cox_map_put_cstr(doc, map, "why", x->why_unknown);
	if (x->comparison != PLAN_ANSWERED)
		return;
	put_count(doc, counts, "create", n->create);
	put_count(doc, counts, "update", n->update);
	put_count(doc, counts, "delete", n->remove);
	put_count(doc, counts, "kept", n->keep);
	put_count(doc, counts, "refused", n->refused);
	put_count(doc, counts, "unknown", n->unknown);
	put_count(doc, counts, "compared", n->compared);
	cox_map_put(doc, map, "objects", counts);
	put_true(doc, map, "truncated", x->truncated);
	if (!x->objects)
		return;
	cox_doc_use(doc, x->objects);
	cox_map_put(doc, map, "differences", cox_doc_root(x->objects));
}

static void put_start(struct cox_doc *doc, struct cox_node *map, const struct plan_app *x)
{
	const struct cox_forecast_start *start =
		x->plan->forecast && x->moves ? cox_forecast_find(x->plan->forecast, x->app.uid)
					      : NULL;

	if (!start)
		return;
	put_count(doc, map, "batch", start->batch);
	put_time(doc, map, "earliest", start->at_ms);
}

static struct cox_node *target_node(struct cox_doc *doc, const struct plan_app *x)
{
	struct cox_node *map = cox_doc_map(doc);
	const struct control_rendered *r = &x->app.rendered;

	cox_map_put_cstr(doc, map, "application", x->app.key);
	cox_map_put_cstr(doc, map, "cluster", x->app.cluster);
	cox_map_put_cstr(doc, map, "action", action_names[x->action]);
	if (x->is_member)
		cox_map_put_cstr(doc, map, "state", cox_rollout_state_name(x->state));
	put_true(doc, map, "moves", x->moves);
	put_start(doc, map, x);
	cox_map_put_cstr(doc, map, "from", x->previous_revision);
	cox_map_put_cstr(doc, map, "to", r->valid && !r->error ? r->revision : NULL);
	cox_map_put_cstr(doc, map, "message", x->app.problem ? x->app.problem : x->state_message);
	put_true(doc, map, "offline", x->offline);
	put_true(doc, map, "late", x->late);
	put_objects(doc, map, x);
	return map;
}

/* ---- Applications ---- */

static struct cox_node *changes_node(struct cox_doc *doc, const struct plan_app *x)
{
	struct cox_node *list = cox_doc_list(doc);

	COX_VEC_EACH (&x->changes, d) {
		struct cox_node *map = cox_doc_map(doc);

		cox_map_put_cstr(doc, map, "path", d->path);
		if (d->from)
			cox_map_put(doc, map, "from", cox_doc_clone(doc, d->from));
		if (d->to)
			cox_map_put(doc, map, "to", cox_doc_clone(doc, d->to));
		cox_list_push(doc, list, map);
	}
	return list;
}

static struct cox_node *application_node(struct cox_doc *doc, const struct plan_app *x)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "application", x->app.key);
	cox_map_put_cstr(doc, map, "cluster", x->app.cluster);
	cox_map_put_cstr(doc, map, "action", action_names[x->action]);
	cox_map_put_cstr(doc, map, "message", x->message);
	cox_map_put_cstr(doc, map, "leaves", x->leaves);
	if (x->changes.n > 0)
		cox_map_put(doc, map, "changes", changes_node(doc, x));
	put_true(doc, map, "moreChanges", x->more_changes);
	return map;
}

static struct cox_node *deletions_node(struct cox_doc *doc, const struct control_verdict *v)
{
	struct cox_node *map = cox_doc_map(doc);

	put_count(doc, map, "count", v->fresh.n);
	put_count(doc, map, "going", v->n_going);
	put_count(doc, map, "gone", v->n_gone);
	put_count(doc, map, "of", v->n_owned);
	cox_map_put_int(doc, map, "budget", v->budget);
	cox_map_put_bool(doc, map, "held", v->held);
	if (v->held)
		cox_map_put_cstr(doc, map, "digest", v->digest);
	put_time(doc, map, "until", v->room_ms);
	return map;
}

/* ---- waves ---- */

static void put_amount(struct cox_doc *doc, struct cox_node *map, const char *key,
		       const struct cox_rollout_amount *a)
{
	if (a->kind != COX_AMOUNT_ALL)
		cox_map_put(doc, map, key,
			    cox_doc_stringf(doc, "%lld%s", (long long)a->value,
					    a->kind == COX_AMOUNT_PERCENT ? "%" : ""));
}

static struct cox_node *gate_node(struct cox_doc *doc, const struct control_plan *p,
				  const struct cox_forecast_gate *g)
{
	const struct cox_rollout_wave *w = &p->plan.waves.items[g->wave];
	const struct cox_rollout_gate *gate =
		g->after ? &w->after.items[g->gate] : &w->before.items[g->gate];
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "name", gate->name);
	cox_map_put_cstr(doc, map, "kind", cox_gate_kind_name(gate->kind));
	cox_map_put_cstr(doc, map, "state", cox_gate_state_name(g->state));
	put_true(doc, map, "blocks", g->blocks);
	cox_map_put_cstr(doc, map, "message", g->message);
	put_time(doc, map, "until", g->until_ms);
	return map;
}

static void put_gates(struct cox_doc *doc, struct cox_node *map, const struct control_plan *p,
		      size_t wave, bool after)
{
	struct cox_node *list = cox_doc_list(doc);

	for (size_t i = 0; i < cox_forecast_n_gates(p->forecast); i++) {
		const struct cox_forecast_gate *g = cox_forecast_gate(p->forecast, i);

		if (g->wave == (int)wave && g->after == after)
			cox_list_push(doc, list, gate_node(doc, p, g));
	}
	if (cox_node_len(list))
		cox_map_put(doc, map, after ? "after" : "before", list);
}

static struct cox_node *blocker_node(struct cox_doc *doc, const struct control_plan *p,
				     const struct cox_forecast_blocker *b)
{
	struct cox_node *map = cox_doc_map(doc);

	if (b->wave >= 0)
		cox_map_put_cstr(doc, map, "wave", p->plan.waves.items[b->wave].name);
	cox_map_put_cstr(doc, map, "gate", b->gate);
	cox_map_put_cstr(doc, map, "application", b->application);
	cox_map_put_cstr(doc, map, "cluster", b->cluster);
	cox_map_put_cstr(doc, map, "message", b->message);
	put_time(doc, map, "until", b->until_ms);
	return map;
}

static int by_start(const void *a, const void *b)
{
	const struct plan_app *x = *(struct plan_app *const *)a, *y = *(struct plan_app *const *)b;
	const struct cox_forecast *f = x->plan->forecast;
	const struct cox_forecast_start *s = x->moves ? cox_forecast_find(f, x->app.uid) : NULL;
	const struct cox_forecast_start *t = y->moves ? cox_forecast_find(f, y->app.uid) : NULL;
	size_t m = s ? s->batch : SIZE_MAX, n = t ? t->batch : SIZE_MAX;

	return m != n ? (m > n) - (m < n) : strcmp(x->app.key, y->app.key);
}

static struct cox_node *targets_node(struct cox_doc *doc, const struct control_plan *p, int wave)
{
	struct cox_node *list = cox_doc_list(doc);
	COX_VEC(struct plan_app *) all = {0};

	COX_VEC_EACH (&p->apps, x)
		if ((*x)->is_member && (*x)->wave == wave)
			cox_vec_push(&all, *x);
	if (p->forecast)
		cox_vec_sort(&all, by_start);
	COX_VEC_EACH (&all, x)
		cox_list_push(doc, list, target_node(doc, *x));
	cox_vec_fini(&all);
	return list;
}

static struct cox_node *wave_node(struct cox_doc *doc, const struct control_plan *p, size_t i)
{
	const struct cox_rollout_wave *w = &p->plan.waves.items[i];
	bool policy = p->plan.source == COX_ROLLOUT_POLICY;
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "name", w->name);
	put_count(doc, map, "changes", p->waves.items[i].n_moves);
	put_amount(doc, map, policy ? "maxConcurrent" : "maxUpdate", &w->max_concurrent);
	put_amount(doc, map, "maxFailures", &w->max_failures);
	put_gates(doc, map, p, i, false);
	put_gates(doc, map, p, i, true);
	cox_map_put(doc, map, "targets", targets_node(doc, p, (int)i));
	return map;
}

/* What no rollout would be told of. */
static void put_refused(struct cox_doc *doc, struct cox_node *list, const struct control_plan *p)
{
	if (p->plan_problem) {
		struct cox_node *map = cox_doc_map(doc);

		cox_map_put_cstr(doc, map, "message", p->plan_problem);
		cox_list_push(doc, list, map);
	}
	COX_VEC_EACH (&p->apps, x) {
		struct cox_node *map;

		if ((*x)->action != PLAN_REFUSED)
			continue;
		map = cox_doc_map(doc);
		cox_map_put_cstr(doc, map, "application", (*x)->app.key);
		cox_map_put_cstr(doc, map, "cluster", (*x)->app.cluster);
		cox_map_put_cstr(doc, map, "message", (*x)->message);
		cox_list_push(doc, list, map);
	}
}

static void put_waves(struct cox_doc *doc, struct cox_node *map, const struct control_plan *p)
{
	struct cox_node *waves = cox_doc_list(doc), *blockers = cox_doc_list(doc);

	put_refused(doc, blockers, p);
	for (size_t i = 0; p->forecast && i < p->waves.n; i++)
		cox_list_push(doc, waves, wave_node(doc, p, i));
	for (size_t i = 0; p->forecast && i < cox_forecast_n_blockers(p->forecast); i++)
		cox_list_push(doc, blockers,
			      blocker_node(doc, p, cox_forecast_blocker(p->forecast, i)));
	cox_map_put(doc, map, "waves", waves);
	cox_map_put(doc, map, "unplanned", targets_node(doc, p, -1));
	cox_map_put(doc, map, "blockers", blockers);
}

static struct cox_node *rollout_node(struct cox_doc *doc, const struct control_plan *p)
{
	struct cox_node *map = cox_doc_map(doc), *now;

	cox_map_put_cstr(doc, map, "begins", p->rollout.begins);
	cox_map_put_cstr(doc, map, "message", p->rollout.message);
	put_time(doc, map, "until", p->rollout.again_ms);
	if (p->rollout.id) {
		now = cox_doc_map(doc);
		cox_map_put_cstr(doc, now, "id", p->rollout.id);
		cox_map_put_cstr(doc, now, "revision", p->rollout.revision);
		cox_map_put_cstr(doc, now, "wave", p->rollout.wave);
		cox_map_put(doc, map, "underWay", now);
	}
	return map;
}

/* ---- the sum ---- */

/* Targets that leave: in no wave, and no members. */
static struct cox_node *leaving_node(struct cox_doc *doc, const struct control_plan *p)
{
	struct cox_node *list = cox_doc_list(doc);

	COX_VEC_EACH (&p->apps, x)
		if ((*x)->action == PLAN_DELETE || (*x)->action == PLAN_HELD)
			cox_list_push(doc, list, target_node(doc, *x));
	return list;
}

static bool changes_objects(const struct plan_app *x)
{
	const struct plan_counts *n = &x->counts;

	return x->comparison == PLAN_ANSWERED && n->create + n->update + n->remove > 0;
}

static struct cox_node *summary_node(struct cox_doc *doc, const struct control_plan *p,
				     bool *ret_changes)
{
	struct cox_node *map = cox_doc_map(doc), *apps = cox_doc_map(doc);
	struct plan_counts sum = {0};
	size_t by_action[COX_ARRAY_LEN(action_names)] = {0}, moves = 0, computed = 0;
	bool changes = false;

	COX_VEC_EACH (&p->apps, slot) {
		const struct plan_app *x = *slot;

		by_action[x->action] += !x->unlisted;
		moves += x->moves;
		computed += x->comparison == PLAN_ANSWERED;
		changes |= x->moves || changes_objects(x) || x->action == PLAN_CREATE ||
			   x->action == PLAN_UPDATE || x->action == PLAN_DELETE ||
			   x->action == PLAN_HELD;
		/* of what is held nothing happens by itself */
		if (x->action == PLAN_HELD)
			continue;
		sum.create += x->counts.create;
		sum.update += x->counts.update;
		sum.remove += x->counts.remove;
		sum.refused += x->counts.refused;
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(action_names); i++)
		put_count(doc, apps, action_names[i], by_action[i]);
	cox_map_put(doc, map, "applications", apps);
	put_count(doc, map, "moves", moves);
	put_count(doc, map, "create", sum.create);
	put_count(doc, map, "update", sum.update);
	put_count(doc, map, "delete", sum.remove);
	put_count(doc, map, "refused", sum.refused);
	put_count(doc, map, "computed", computed);
	put_count(doc, map, "notComputed", p->n_unknown);
	put_count(doc, map, "leftOut", p->n_left_out);
	*ret_changes = changes;
	return map;
}

/* The commits that it is about, each once, abbreviated; the caller's. */
static char *revisions_of(const struct control_plan *p)
{
	_cleanup_map_ struct cox_map seen = COX_MAP_INIT;
	struct cox_buf text = COX_BUF_INIT;

	COX_VEC_EACH (&p->apps, slot) {
		char brief[13] = "";

		snprintf(brief, sizeof(brief), "%.12s", (*slot)->app.rendered.revision);
		if (!*brief || cox_map_has(&seen, brief) || seen.n > 3)
			continue;
		cox_buf_printf(&text, "%s%s", seen.n ? ", " : "", seen.n < 3 ? brief : "…");
		cox_map_set(&seen, brief, slot);
	}
	return cox_buf_take(&text);
}

static struct cox_node *owner_node(struct cox_doc *doc, const char *owner)
{
	static const char *const keys[] = {"kind", "namespace", "name"};
	struct cox_node *map = cox_doc_map(doc);
	struct cox_str rest = cox_str(owner), part;

	for (size_t i = 0; i < COX_ARRAY_LEN(keys) && cox_str_split(&rest, '/', &part); i++)
		cox_map_put(doc, map, keys[i], cox_doc_string(doc, part));
	return map;
}

static void put_applications(struct cox_doc *doc, struct cox_node *map,
			     const struct control_plan *p)
{
	struct cox_node *apps = cox_doc_list(doc), *problems = cox_doc_list(doc);

	COX_VEC_EACH (&p->apps, x)
		if (!(*x)->unlisted)
			cox_list_push(doc, apps, application_node(doc, *x));
	COX_VEC_EACH (&p->problems, text)
		cox_list_push(doc, problems, cox_doc_cstring(doc, *text));
	cox_map_put(doc, map, "applications", apps);
	if (cox_node_len(problems))
		cox_map_put(doc, map, "problems", problems);
	if (p->deletions_known && p->deletions.fresh.n + p->deletions.n_going > 0)
		cox_map_put(doc, map, "deletions", deletions_node(doc, &p->deletions));
}

struct cox_doc *plan_answer(const struct control_plan *p)
{
	struct cox_doc *doc = cox_doc_new("plan");
	struct cox_node *map = cox_doc_map(doc), *summary;
	_cleanup_free_ char *revisions = revisions_of(p);
	bool changes = false;

	summary = summary_node(doc, p, &changes);
	cox_map_put(doc, map, "owner", owner_node(doc, p->owner));
	cox_map_put_cstr(doc, map, "policy", p->plan.name);
	cox_map_put_cstr(doc, map, "revision", revisions);
	put_time(doc, map, "at", p->now_ms);
	cox_map_put_bool(doc, map, "changes", changes);
	cox_map_put(doc, map, "summary", summary);
	cox_map_put(doc, map, "rollout", rollout_node(doc, p));
	put_applications(doc, map, p);
	put_waves(doc, map, p);
	cox_map_put(doc, map, "leaving", leaving_node(doc, p));
	put_count(doc, map, "limit", p->max_comparisons);
	put_true(doc, map, "late", p->late);
	if (p->forecast && p->rollout.begins && strcmp(p->rollout.begins, "nothing") != 0)
		cox_map_put_bool(doc, map, "foreseen", cox_forecast_is_complete(p->forecast));
	cox_doc_set_root(doc, map);
	return cox_doc_seal(doc);
}
