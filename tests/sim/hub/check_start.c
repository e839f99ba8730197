/* Who starts: in his turn, within the budgets, when nothing is in the way. */
#include "tests/sim/hub/check_roll.h"

#include "common/base/clock.h"

static size_t share(int value, bool is_percent, size_t n, bool up)
{
	size_t part;

	if (!is_percent)
		return (size_t)value;
	part = (n * (size_t)value + (up ? 99 : 0)) / 100;
	return part;
}

size_t sim_tolerance(const struct sim_plan *p, int wave, size_t n)
{
	const struct sim_wave *v = wave < p->n_waves ? &p->waves[wave] : NULL;

	if (!v || v->failures < 0 || p->strategy != SIM_POLICY)
		return 0;
	return share(v->failures, v->failures_percent, n, false);
}

static size_t concurrency(const struct sim_plan *p, int wave, size_t n)
{
	const struct sim_wave *v = wave < p->n_waves ? &p->waves[wave] : NULL;
	size_t part;

	if (!v || v->concurrent < 0)
		return n;
	part = share(v->concurrent, v->concurrent_percent, n, p->strategy == SIM_POLICY);
	return v->concurrent_percent && part < 1 ? 1 : part;
}

size_t sim_size_of(const struct look *l, int wave)
{
	size_t n = 0;

	COX_VEC_EACH (&l->r->targets, t)
		n += t->wave == wave;
	return n;
}

/* Everybody of the waves before is where he shall be. */
static void check_order(const struct look *l, const struct cox_rollout_target *t, int wave)
{
	size_t failed = 0;

	COX_VEC_EACH (&l->r->targets, u) {
		if (u->wave != wave || u->late || u->excused || is_healthy(u) ||
		    is_said_again(l, u))
			continue;
		if (is_failed(u) && l->plan->strategy == SIM_POLICY && u->moved) {
			failed++;
			continue;
		}
		if (l->plan->skip && l->plan->strategy == SIM_POLICY && is_away(u) && !is_failed(u))
			continue;
		sim_fail("A: '%s' of wave %d starts while '%s' of wave %d is not well (%s)",
			 t->name, t->wave, u->name, wave, cox_rollout_state_name(u->state));
		return;
	}
	if (failed > sim_tolerance(l->plan, wave, sim_size_of(l, wave)))
		sim_fail("D: '%s' of wave %d starts while %zu of wave %d have failed", t->name,
			 t->wave, failed, wave);
}

static void check_budget(const struct look *l, int wave)
{
	size_t n = sim_size_of(l, wave), under_way = 0, may = concurrency(l->plan, wave, n);
	bool steps = l->plan->strategy == SIM_STEPS;

	COX_VEC_EACH (&l->r->targets, u) {
		const struct sim_move *m = move_of(l, u->uid);
		bool now = m && (m->sync_changed || m->operation_changed);

		if (u->wave != wave || u->state == COX_TARGET_WAITING ||
		    u->state == COX_TARGET_BLOCKED)
			continue;
		if (is_said_again(l, u))
			continue;
		if (!now && (!is_assigned(u, entry_of(u)) || is_healthy(u) ||
			     (is_failed(u) && !steps) || (l->plan->skip && !steps && is_away(u))))
			continue;
		under_way++;
	}
	if (under_way > may)
		sim_fail("C: %zu of wave %d are on their way, %zu may", under_way, wave, may);
}

static void check_failures(const struct look *l, const struct cox_rollout_target *t)
{
	if (l->plan->strategy != SIM_POLICY || l->r->phase != COX_ROLLOUT_PROGRESSING)
		return;
	for (int v = 0; v < (int)l->r->waves.n; v++) {
		size_t failed = 0;

		COX_VEC_EACH (&l->r->targets, u)
			failed += u->wave == v && u->moved && !u->excused && is_failed(u) &&
				  u->state != COX_TARGET_WAITING &&
				  !move_of(l, u->uid); /* retried, or said again */
		if (failed > sim_tolerance(l->plan, v, sim_size_of(l, v)) &&
		    l->r->waves.items[v].phase >= COX_WAVE_OPEN)
			sim_fail("D: '%s' starts while %zu of wave %d have failed", t->name, failed,
				 v);
	}
}

static bool is_within(const struct sim_gate *g, int64_t at_ms)
{
	int64_t since = (at_ms / 1000 * 1000 - g->from * SIM_MINUTE_MS) % (60 * SIM_MINUTE_MS);

	return since < g->length * SIM_MINUTE_MS;
}

static void check_windows(const struct look *l, const struct cox_rollout_target *t)
{
	const struct sim_wave *v = &l->plan->waves[t->wave];
	int64_t at_ms = w.hub_base_ms + virtual_now_ms();
	bool denied = false, allowed = false, allows = false;

	for (int i = 0; i < v->n_before; i++) {
		const struct sim_gate *g = &v->before[i];

		if (g->kind != SIM_WINDOW ||
		    l->r->waves.items[t->wave].before.items[i].state == COX_GATE_SKIPPED)
			continue;
		denied = denied || (g->deny && is_within(g, at_ms));
		allows = allows || !g->deny;
		allowed = allowed || (!g->deny && is_within(g, at_ms));
	}
	if (denied || (allows && !allowed))
		sim_fail("G: '%s' starts outside of its windows", t->name);
}

static int people_for(const struct look *l, const struct cox_rollout_target *t)
{
	static const char *const names[] = {"ann", "bob", "cem", "dee"};
	_cleanup_free_ char *what = target_key(t->uid, t->digest);
	int n = 0;

	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++) {
		_cleanup_free_ char *key = cox_asprintf("%s/%s", names[i], what);

		n += cox_map_has(&l->roll->approvals, key);
	}
	return n;
}

static void check_before(const struct look *l, const struct cox_rollout_target *t,
			 const struct pin *p)
{
	const struct sim_wave *v = &l->plan->waves[t->wave];

	for (int i = 0; i < v->n_before; i++) {
		_cleanup_free_ char *key = gate_key((size_t)t->wave, false, (size_t)i);
		const struct cox_rollout_gate_run *run =
			&l->r->waves.items[t->wave].before.items[i];

		if (!is_over(run->state))
			sim_fail("G: '%s' starts before gate %d of wave %d is over", t->name, i,
				 t->wave);
		if (v->before[i].kind == SIM_APPROVAL && people_for(l, t) < v->before[i].count &&
		    !cox_map_has(&l->roll->promoted, key) && !p->retried)
			sim_fail("G: '%s' starts, and %d of %d have approved it", t->name,
				 people_for(l, t), v->before[i].count);
	}
}

/* Spread over time, with a second's share at once; the hub counts anew when it begins anew. */
static void check_rate(const struct look *l)
{
	size_t may = l->plan->strategy == SIM_POLICY ? (size_t)l->plan->starts_per_minute : 0;
	size_t recent = 0;

	cox_vec_push(&l->roll->starts, virtual_now_ms());
	COX_VEC_EACH (&l->roll->starts, ms)
		recent += virtual_now_ms() - *ms < SIM_MINUTE_MS;
	if (may > 0 && recent > may + (may < 120 ? 1 : may / 60))
		sim_fail("C: %zu starts in a minute, %zu may", recent, may);
}

/* Its project's windows, which only open here. Clocks that jump are looked at when something happens. */
static void check_project(const struct look *l, const struct cox_rollout_target *t)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct sim_gate window = {.from = 10, .length = 30};

	if (!w.sets[l->plan->set].project || w.stats.jumps > 0 ||
	    hub_control_get(w.control, HUB_APP_PROJECT, NULL, "guarded", &doc, NULL) < 0 ||
	    cox_node_len(COX_GET(cox_doc_root(doc), "spec", "syncWindows")) == 0)
		return;
	if (!is_within(&window, cox_clock_wall_ms()) &&
	    !is_within(&window, cox_clock_wall_ms() - 2000))
		sim_fail("G: '%s' starts outside of its project's windows", t->name);
}

static void check_start(const struct look *l, const struct cox_rollout_target *t,
			const struct pin *p)
{
	w.stats.moves++;
	if (sim_is_barred(t) && !is_back(l->r))
		sim_fail("O: '%s' is moved to what failed there, and nobody said `retry`", t->name);
	if (t->wave >= 0)
		l->roll->progress_ms[t->wave] = virtual_now_ms();
	if (l->roll->paused && !l->roll->fresh)
		sim_fail("G: '%s' starts while the rollout is paused", t->name);
	if (t->wave < 0)
		sim_fail("A: '%s' starts, and is in no wave", t->name);
	if (!l->plan || t->wave < 0)
		return;
	/* When it is over nobody looks any more how the others are; who is late catches up. */
	for (int v = 0; v < t->wave && l->r->phase == COX_ROLLOUT_PROGRESSING; v++)
		check_order(l, t, v);
	if (l->r->phase == COX_ROLLOUT_PROGRESSING)
		check_budget(l, t->wave);
	check_failures(l, t);
	check_rate(l);
	check_project(l, t);
	if (t->wave < l->plan->n_waves) {
		check_windows(l, t);
		check_before(l, t, p);
	}
	if (l->plan->skip && l->plan->strategy == SIM_POLICY && is_away(t))
		sim_fail("A: '%s' starts while its cluster is away", t->name);
}

/* Started by the engine: its operation, or a new content where agents sync by themselves. */
static bool is_start(const struct look *l, const struct sim_move *m)
{
	const Coxswain__Assignment__V1__Operation *op = m->a->operation;

	if (!l->r->plan.ordered)
		return m->sync_changed && !(op && m->operation_changed);
	return op && m->operation_changed && sim_is_of_rollout(op->initiated_by);
}

/* One that ends in the very step in which it starts somebody (a way back that waits for nobody, a gate
 * that fails behind it) has not noted the stamp. */
static bool is_of(const struct look *l, const struct cox_rollout_target *t,
		  const struct sim_move *m)
{
	if (!cox_streq(t->cluster, m->cluster))
		return false;
	if (t->epoch == m->a->epoch && t->generation == m->a->generation)
		return true;
	return l->r->phase != COX_ROLLOUT_PROGRESSING && t->state == COX_TARGET_MOVING &&
	       t->generation == 0 && is_to(m, t);
}

void sim_check_starts(const struct look *l)
{
	COX_VEC_EACH (l->moves, m) {
		const struct cox_rollout_target *t = cox_rollout_find(l->r, m->uid);
		struct pin *p = t ? cox_map_get(&l->roll->pins, t->uid) : NULL;

		if (!t || !is_start(l, m) || !is_of(l, t, m))
			continue;
		if (!is_to(m, t)) {
			sim_fail("B: '%s' is moved to %s, pinned is %s", t->name,
				 m->a->sync_digest.len ? sim_brief(m->a->sync_digest.data) : "none",
				 t->has_digest ? sim_brief(t->digest) : "none");
			continue;
		}
		m->justified = true;
		check_start(l, t, p);
	}
}
