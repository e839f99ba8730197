/* Gates and waves that are said to have passed, and rollouts that are said to be over. */
#include "tests/sim/hub/check_roll.h"

/* ---- gates and waves ---- */

/* Every healthy one of the wave has been so for so long. */
static void check_soak(const struct look *l, size_t wave, int64_t soak_ms)
{
	COX_VEC_EACH (&l->r->targets, t) {
		const struct sim_entry *e = entry_of(t);

		if (t->wave != (int)wave || t->late || !is_healthy(t) || is_away(t))
			continue;
		if (virtual_now_ms() - e->healthy_ms < soak_ms)
			sim_fail("G: wave %zu has soaked, and '%s' is healthy for %lld ms", wave,
				 t->name, (long long)(virtual_now_ms() - e->healthy_ms));
	}
}

static void gate_is_over(const struct look *l, size_t wave, bool after, size_t i,
			 const struct cox_rollout_gate_run *run)
{
	const struct sim_wave *v = &l->plan->waves[wave];
	const struct sim_gate *g = after ? &v->after[i] : &v->before[i];
	_cleanup_free_ char *key = gate_key(wave, after, i);

	if (run->state == COX_GATE_SKIPPED)
		return;
	if ((g->kind == SIM_HTTP || g->kind == SIM_METRICS) &&
	    (int)(size_t)cox_map_get(&l->roll->good, key) < g->count)
		sim_fail("G: gate %s has passed without %d good answers", key, g->count);
	if (g->kind == SIM_SOAK)
		check_soak(l, wave, g->soak_ms);
}

void sim_check_gates(const struct look *l)
{
	const struct cox_rollout *r = l->r;

	for (size_t v = 0; v < r->waves.n; v++)
		for (int after = 0; after < 2; after++) {
			const struct cox_rollout_wave_run *run = &r->waves.items[v];
			size_t n = after ? run->after.n : run->before.n;

			for (size_t i = 0; i < n; i++) {
				const struct cox_rollout_gate_run *g =
					after ? &run->after.items[i] : &run->before.items[i];
				_cleanup_free_ char *key = gate_key(v, after, i);
				bool was = cox_map_has(&l->roll->over, key);

				if (!is_over(g->state)) {
					cox_map_remove(&l->roll->over, key);
					continue;
				}
				cox_map_set(&l->roll->over, key, l->roll);
				if (!was && !l->roll->fresh)
					gate_is_over(l, v, after, i, g);
			}
		}
}

static void check_passed(const struct look *l, size_t wave)
{
	size_t n = 0, healthy = 0;

	COX_VEC_EACH (&l->r->targets, t) {
		n += t->wave == (int)wave;
		healthy += t->wave == (int)wave && is_healthy(t);
	}
	if (n > 0 && healthy == 0)
		sim_fail("A: wave %zu has passed, and nobody of it was seen healthy", wave);
	for (size_t i = 0; i < l->r->waves.items[wave].after.n; i++)
		if (!is_over(l->r->waves.items[wave].after.items[i].state))
			sim_fail("G: wave %zu has passed, and its gate %zu has not", wave, i);
}

void sim_check_waves(const struct look *l)
{
	for (size_t v = 0; v < l->r->waves.n; v++) {
		char key[24];
		bool passed = l->r->waves.items[v].phase == COX_WAVE_PASSED, was;

		snprintf(key, sizeof(key), "%zu", v);
		was = cox_map_has(&l->roll->passed, key);
		if (!passed)
			cox_map_remove(&l->roll->passed, key);
		else
			cox_map_set(&l->roll->passed, key, l->roll);
		if (passed && !was && !l->roll->fresh)
			check_passed(l, v);
	}
}

/* ---- its end ---- */

static bool is_under_way(const struct look *l, const struct cox_rollout_target *t)
{
	return is_assigned(t, entry_of(t)) && !is_healthy(t) && !is_failed(t) &&
	       !(l->plan->skip && l->plan->strategy == SIM_POLICY && is_away(t));
}

/* Nobody gets on any more, or somebody cannot; or a person has had a hand in it; or nobody can tell, because something was heard in this
 * very millisecond, perhaps after the hub had looked. */
static bool is_stuck(const struct look *l, int wave, size_t failed)
{
	int64_t patience = l->plan->strategy == SIM_STEPS ? SIM_MINUTE_MS : 10 * SIM_MINUTE_MS;
	int64_t last = 0;

	for (size_t v = 0; v < l->r->waves.n; v++)
		last = l->roll->progress_ms[v] > last ? l->roll->progress_ms[v] : last;
	if (l->roll->paused_by_failure ||
	    failed > sim_tolerance(l->plan, wave, sim_size_of(l, wave)) ||
	    virtual_now_ms() - last >= patience || last == virtual_now_ms())
		return true;
	COX_VEC_EACH (&l->r->targets, t) {
		const struct sim_entry *e = entry_of(t);

		if ((t->wave == wave && t->state == COX_TARGET_BLOCKED) || t->wave < 0 ||
		    (e && e->operation[0] && strcmp(e->by, "rollout") != 0))
			return true;
	}
	return false;
}

/* A newer one takes over in the middle of a wave only where the policy says so. Those of later waves who
 * are on their way were sent there by hand. */
static void check_superseded(const struct look *l)
{
	const struct sim_set *set = &w.sets[l->plan->set];
	size_t under_way = 0, left = 0, front = 0;

	/* Who got well in a pause is noted behind it, perhaps behind this. */
	if (l->roll->was_paused)
		return;
	/* Nothing moves by itself any more. */
	if (!set->automated && set->plans.items[set->plans.n - 1]->strategy == SIM_AT_ONCE)
		return;
	while (front + 1 < l->r->waves.n && (l->r->waves.items[front].phase == COX_WAVE_PASSED ||
					     sim_size_of(l, (int)front) == 0))
		front++;
	for (size_t v = 0; v <= front; v++) {
		size_t failed = 0;

		COX_VEC_EACH (&l->r->targets, t) {
			if (t->wave != (int)v || t->late)
				continue;
			under_way += is_under_way(l, t);
			failed += is_failed(t) && !t->excused;
		}
		if (is_stuck(l, (int)v, failed))
			return;
	}
	COX_VEC_EACH (&l->r->targets, t)
		left += t->state == COX_TARGET_WAITING && t->wave >= 0 && !is_away(t) && !t->late;
	if (under_way > 0 ||
	    (l->plan->supersede == SIM_FINISHED && left > 0 && l->plan->strategy == SIM_POLICY))
		sim_fail("M: rollout %s is superseded with %zu under way and %zu to come; wave %zu "
			 "got "
			 "on %lld ms ago",
			 l->r->id, under_way, left, front,
			 (long long)(virtual_now_ms() - l->roll->progress_ms[front]));
}

/* Everybody was told to go back, also who is away. */
static void check_is_back(const struct look *l)
{
	COX_VEC_EACH (&l->r->targets, t) {
		const struct sim_move *m = move_of(l, t->uid);

		if (!is_assigned(t, entry_of(t)) && !(m && is_to(m, t)))
			sim_fail("P: everything is said to be back, and '%s' is not", t->name);
	}
}

static void note_bars(const struct look *l)
{
	COX_VEC_EACH (&l->r->targets, t)
		if (t->wave >= 0 && t->state == COX_TARGET_FAILED && !t->excused && is_failed(t))
			sim_bar(t);
}

void sim_check_end(const struct look *l)
{
	bool ended = l->roll->was_under_way && l->r->phase != COX_ROLLOUT_PROGRESSING;

	l->roll->was_under_way = l->r->phase == COX_ROLLOUT_PROGRESSING;
	if (!ended || l->roll->fresh)
		return;
	if (is_back(l->r) &&
	    (l->r->phase == COX_ROLLOUT_SUCCEEDED || l->r->phase == COX_ROLLOUT_FAILED))
		check_is_back(l);
	if (l->plan && l->plan->on_failure == SIM_ROLLBACK && l->plan->strategy == SIM_POLICY &&
	    l->r->phase == COX_ROLLOUT_FAILED)
		note_bars(l);
	if (l->plan && l->r->phase == COX_ROLLOUT_SUPERSEDED &&
	    (l->plan->supersede != SIM_NOW || l->plan->strategy == SIM_STEPS) &&
	    !l->roll->restarted)
		check_superseded(l);
}

void sim_note_progress(const struct look *l)
{
	for (size_t v = 0; v < l->r->waves.n; v++) {
		size_t n = 0;

		COX_VEC_EACH (&l->r->targets, t)
			n += t->wave == (int)v && !t->late && is_healthy(t);
		if (n <= l->roll->best[v] && l->roll->progress_ms[v])
			continue;
		l->roll->best[v] = n > l->roll->best[v] ? n : l->roll->best[v];
		l->roll->progress_ms[v] = virtual_now_ms();
	}
}
