#include "hub/rollout/forecast.h"

#include "common/base/clock.h"
#include "hub/rollout/internal.h"

struct cox_forecast {
	struct cox_rollout *r;
	struct cox_rollout_env env;
	struct cox_rollout_bucket bucket; /* a copy of env's */
	int64_t now_ms;
	COX_VEC(struct cox_forecast_blocker) blockers;
	COX_VEC(struct cox_forecast_gate) gates;
	struct cox_map starts; /* uid -> struct cox_forecast_start */
	size_t batches[COX_ROLLOUT_MAX_WAVES];
	uint64_t generation; /* of assignments that nobody makes */
	size_t steps_left;
	bool done, complete;
};

static void blocker_fini(struct cox_forecast_blocker *b)
{
	free(b->gate);
	free(b->application);
	free(b->cluster);
	free(b->message);
}

void cox_forecast_free(struct cox_forecast *f)
{
	if (!f)
		return;
	COX_VEC_EACH (&f->blockers, b)
		blocker_fini(b);
	cox_vec_fini(&f->blockers);
	COX_VEC_EACH (&f->gates, g)
		free(g->message);
	cox_vec_fini(&f->gates);
	cox_map_fini_values(&f->starts, free);
	cox_rollout_free(f->r);
	free(f);
}

/* ---- what is in the way now ---- */

/* In the way of one that is over is nothing. */
static void block(struct cox_forecast *f, int wave, const struct cox_rollout_target *t,
		  const char *gate, int64_t until_ms, char *message_taken)
{
	if (f->r->phase != COX_ROLLOUT_PROGRESSING) {
		free(message_taken);
		return;
	}
	cox_vec_push(&f->blockers,
		     ((struct cox_forecast_blocker){
			     .wave = wave,
			     .gate = cox_strdup(gate),
			     .application = cox_strdup(t ? t->name : NULL),
			     .cluster = cox_strdup(t ? t->cluster : NULL),
			     .message = message_taken,
			     .until_ms = until_ms == COX_ROLLOUT_FOREVER ? 0 : until_ms,
		     }));
}

static char *soak_text(int64_t ms)
{
	return ms % 1000
		       ? cox_asprintf("every target has to stay healthy for %lld ms", (long long)ms)
		       : cox_asprintf("every target has to stay healthy for %lld s",
				      (long long)ms / 1000);
}

static void judge_window(struct cox_forecast *f, struct cox_forecast_gate *g)
{
	struct rollout_window w;

	rollout_windows(f->r, &f->env, (size_t)g->wave, g->after, f->now_ms, &w);
	g->blocks = !w.open;
	g->until_ms = w.until_ms == COX_ROLLOUT_FOREVER ? 0 : w.until_ms;
	g->message = w.open ? cox_strdup("open now") : w.message;
}

/* A gate that has not had its turn, or is at it. */
static void judge_gate(struct cox_forecast *f, const struct cox_rollout_gate *gate,
		       const struct cox_rollout_gate_run *run, struct cox_forecast_gate *g)
{
	switch (gate->kind) {
	case COX_GATE_SOAK:
		g->message = soak_text(gate->soak_ms);
		g->until_ms = run->next_ms;
		break;
	case COX_GATE_APPROVAL:
		g->blocks = true;
		g->message = run->message
				     ? cox_strdup(run->message)
				     : cox_asprintf("needs %lld approval%s of exactly what changes",
						    (long long)gate->approvals,
						    gate->approvals == 1 ? "" : "s");
		break;
	case COX_GATE_WINDOW:
		judge_window(f, g);
		break;
	default:
		g->message =
			cox_strdup(run->message ? run->message : "is asked when its turn has come");
		break;
	}
}

static bool is_over(enum cox_gate_state state)
{
	return state == COX_GATE_PASSED || state == COX_GATE_SKIPPED;
}

static void look_at_gate(struct cox_forecast *f, size_t wave, bool after, size_t i, bool changes)
{
	const struct cox_rollout_wave *w = &f->r->plan.waves.items[wave];
	const struct cox_rollout_wave_run *run = &f->r->waves.items[wave];
	const struct cox_rollout_gate *gate = after ? &w->after.items[i] : &w->before.items[i];
	const struct cox_rollout_gate_run *gr =
		after ? &run->after.items[i] : &run->before.items[i];
	struct cox_forecast_gate g = {
		.wave = (int)wave, .after = after, .gate = i, .state = gr->state};

	if (!changes && !is_over(g.state)) {
		g.state = COX_GATE_SKIPPED;
		g.message = cox_strdup("nothing changes in this wave");
	} else if (!is_over(g.state)) {
		judge_gate(f, gate, gr, &g);
	}
	/* behind the wave it is in nobody's way yet */
	if (after && run->phase != COX_WAVE_AFTER)
		g.blocks = false;
	if (g.blocks)
		block(f, g.wave, NULL, gate->name, g.until_ms, cox_strdup(g.message));
	cox_vec_push(&f->gates, g);
}

static void look_at_target(struct cox_forecast *f, const struct cox_rollout_target *t)
{
	bool skip = f->r->plan.offline == COX_OFFLINE_SKIP;

	if (t->state == COX_TARGET_BLOCKED)
		block(f, t->wave, t, NULL, 0,
		      cox_strdup(t->message ? t->message : "cannot be deployed"));
	else if (t->state == COX_TARGET_HEALTHY)
		return;
	else if (t->offline)
		block(f, t->wave, t, NULL, 0,
		      cox_asprintf("%s: %s", t->message ? t->message : "its cluster is away",
				   skip ? "it is not waited for, and catches up when it is back"
					: "its wave waits for it"));
	else if (t->state == COX_TARGET_WAITING && t->hold)
		block(f, t->wave, t, NULL, t->hold_until_ms, cox_strdup(t->hold));
	else if (t->state != COX_TARGET_WAITING && !t->moved)
		block(f, t->wave, t, NULL, 0,
		      cox_asprintf("does not change, and is not well: %s",
				   t->message ? t->message
					      : "its agent has said nothing of it yet"));
}

/* A wave needs one that is seen healthy. */
static void look_for_anybody(struct cox_forecast *f, size_t wave)
{
	const struct cox_rollout *r = f->r;
	size_t n = 0, there = 0;

	COX_VEC_EACH (&r->targets, t) {
		if (t->wave != (int)wave)
			continue;
		n++;
		there += !t->offline;
	}
	if (n > 0 && there == 0 && r->plan.offline == COX_OFFLINE_SKIP)
		block(f, (int)wave, NULL, NULL, 0,
		      cox_strdup("nobody of the wave is there: it needs one that is seen healthy"));
	if (n > 0 && cox_rollout_concurrency(&r->plan, wave, n) == 0)
		block(f, (int)wave, NULL, NULL, 0,
		      cox_strdup("no more than 0 at one time: its applications are synced by hand "
				 "only"));
}

static void look_at_wave(struct cox_forecast *f, size_t wave)
{
	const struct cox_rollout_wave *w = &f->r->plan.waves.items[wave];
	bool changes = false;

	COX_VEC_EACH (&f->r->targets, t)
		changes = changes ||
			  (t->wave == (int)wave && (t->state == COX_TARGET_WAITING || t->moved));
	for (size_t i = 0; i < w->before.n; i++)
		look_at_gate(f, wave, false, i, changes);
	if (changes)
		look_for_anybody(f, wave);
	COX_VEC_EACH (&f->r->targets, t)
		if (t->wave == (int)wave)
			look_at_target(f, t);
	for (size_t i = 0; i < w->after.n; i++)
		look_at_gate(f, wave, true, i, changes);
}

static void look_at_all(struct cox_forecast *f)
{
	const struct cox_rollout *r = f->r;

	if (r->paused)
		block(f, -1, NULL, NULL, 0,
		      cox_asprintf("paused by %s%s%s", r->paused_by, r->paused_message ? ": " : "",
				   r->paused_message ? r->paused_message : ""));
	if (rollout_is_unmatched(r))
		COX_VEC_EACH (&r->targets, t)
			if (t->wave < 0 && !t->by_hand)
				block(f, -1, t, NULL, 0,
				      cox_strdup("its cluster is in no wave of the policy: that "
						 "holds all of them; give it one, or say "
						 "`unmatched: last`"));
	for (size_t i = 0; i < r->waves.n; i++)
		look_at_wave(f, i);
}

struct cox_forecast *cox_forecast_new(struct cox_rollout *rollout_taken,
				      const struct cox_rollout_env *env, int64_t now_ms)
{
	struct cox_forecast *f = cox_new(struct cox_forecast);

	f->r = rollout_taken;
	if (env)
		f->env = *env;
	if (f->env.starts) {
		f->bucket = *f->env.starts;
		f->env.starts = &f->bucket;
	}
	f->now_ms = now_ms;
	f->generation = UINT64_MAX / 2;
	f->steps_left = 16 * f->r->targets.n + 1000;
	look_at_all(f);
	return f;
}

size_t cox_forecast_n_blockers(const struct cox_forecast *f)
{
	return f->blockers.n;
}

const struct cox_forecast_blocker *cox_forecast_blocker(const struct cox_forecast *f, size_t i)
{
	return &f->blockers.items[i];
}

size_t cox_forecast_n_gates(const struct cox_forecast *f)
{
	return f->gates.n;
}

const struct cox_forecast_gate *cox_forecast_gate(const struct cox_forecast *f, size_t i)
{
	return &f->gates.items[i];
}

/* ---- as if all went well ---- */

static void make_well(struct cox_forecast *f, const char *uid)
{
	const struct cox_rollout_target *t;
	struct cox_rollout_report p = {.synced = true, .healthy = true};

	cox_rollout_reach(f->r, uid, true, NULL, f->now_ms);
	cox_rollout_assigned(f->r, uid, 1, ++f->generation, "", f->now_ms);
	t = cox_rollout_find(f->r, uid);
	if (!t)
		return;
	p.epoch = t->epoch;
	p.generation = t->generation;
	p.sync_digest = t->digest;
	cox_rollout_observe(f->r, uid, &p, f->now_ms);
}

/* true when anything was done about it. */
static bool carry_out(struct cox_forecast *f, const cox_rollout_effects *effects)
{
	bool some = false, counted[COX_ROLLOUT_MAX_WAVES] = {false};

	COX_VEC_EACH (effects, e) {
		const struct cox_rollout_target *t = &f->r->targets.items[e->target];

		if (e->kind == COX_EFFECT_MOVE) {
			struct cox_forecast_start *start = cox_new(struct cox_forecast_start);

			if (!counted[t->wave])
				f->batches[t->wave]++;
			counted[t->wave] = true;
			*start = (struct cox_forecast_start){f->batches[t->wave], f->now_ms};
			free(cox_map_set(&f->starts, t->uid, start));
			make_well(f, t->uid);
			some = true;
		}
		if (e->kind == COX_EFFECT_PROBE)
			some |= cox_rollout_answer(f->r, &e->probe, COX_ANSWER_GOOD, NULL,
						   f->now_ms);
	}
	return some;
}

static bool is_unmatched(const struct cox_rollout_target *t, int wave)
{
	return t->wave < 0 && wave < 0 && !t->by_hand;
}

static bool is_blocked(const struct cox_rollout_target *t, int wave)
{
	return t->wave == wave && t->state == COX_TARGET_BLOCKED;
}

static bool is_not_well(const struct cox_rollout_target *t, int wave)
{
	return t->wave == wave && t->state != COX_TARGET_HEALTHY;
}

static bool pass_time(struct cox_forecast *f, int64_t wake_ms)
{
	if (wake_ms == COX_ROLLOUT_FOREVER || wake_ms <= f->now_ms)
		return false;
	f->now_ms = wake_ms;
	return true;
}

/* Waits for a gate that time opens; the others are seen to. */
static bool pass_gate(struct cox_forecast *f, int64_t wake_ms)
{
	struct cox_rollout_probe at;

	if (!rollout_gate_at(f->r, &at))
		return pass_time(f, wake_ms);
	if (cox_rollout_gate(f->r, &at)->kind != COX_GATE_APPROVAL && pass_time(f, wake_ms))
		return true;
	return cox_rollout_promote(f->r, ROLLOUT_ENGINE, f->now_ms, NULL) == 0;
}

/* Whatever keeps this one keeps others of its wave: all of them at once. */
static bool help_wave(struct cox_forecast *f, int wave, enum cox_rollout_state state)
{
	if (state == COX_TARGET_BLOCKED)
		return rollout_drop(f->r, is_blocked, wave);
	for (size_t i = 0; i < f->r->targets.n; i++) {
		const struct cox_rollout_target *t = &f->r->targets.items[i];

		if (t->wave == wave && t->state == state)
			make_well(f, t->uid);
	}
	return true;
}

static bool help_target(struct cox_forecast *f, const struct cox_rollout_target *t)
{
	uint8_t digest[COX_ROLLOUT_DIGEST];

	if (t->state != COX_TARGET_WAITING)
		return help_wave(f, t->wave, t->state);
	if (t->hold) {
		pass_time(f, t->hold_until_ms);
		cox_rollout_hold(f->r, t->uid, NULL, 0, f->now_ms);
		return true;
	}
	return cox_rollout_approval_digest(f->r, (size_t)t->wave, digest) &&
	       cox_rollout_approve(f->r, ROLLOUT_ENGINE, digest, f->now_ms, NULL) == 0;
}

/* Does away with what is in the way; false: it cannot. */
static bool unblock(struct cox_forecast *f, int64_t wake_ms)
{
	struct cox_rollout_why why;

	if (f->r->paused)
		return cox_rollout_resume(f->r, ROLLOUT_ENGINE, f->now_ms, NULL) == 0;
	if (rollout_is_unmatched(f->r))
		return rollout_drop(f->r, is_unmatched, -1);
	cox_rollout_why(f->r, &why);
	if (why.gate && pass_gate(f, wake_ms))
		return true;
	if (why.target && help_target(f, why.target))
		return true;
	/* nobody can say when the rest of the wave would move */
	return pass_time(f, wake_ms) ||
	       rollout_drop(f->r, is_not_well, (int)cox_rollout_open_wave(f->r));
}

static void step(struct cox_forecast *f)
{
	cox_rollout_effects effects = {0};
	int64_t wake_ms = COX_ROLLOUT_FOREVER;
	bool goes_on;

	cox_rollout_step(f->r, &f->env, f->now_ms, &effects, &wake_ms);
	goes_on = carry_out(f, &effects);
	cox_vec_fini(&effects);
	if (goes_on)
		return;
	if (f->r->phase != COX_ROLLOUT_PROGRESSING) {
		f->done = true;
		f->complete = f->r->phase == COX_ROLLOUT_SUCCEEDED;
		return;
	}
	if (f->steps_left-- == 0 || !unblock(f, wake_ms))
		f->done = true;
}

bool cox_forecast_run(struct cox_forecast *f, size_t max_steps)
{
	if (f->r->phase != COX_ROLLOUT_PROGRESSING)
		f->done = true;
	for (size_t i = 0; i < max_steps && !f->done; i++)
		step(f);
	return f->done;
}

const struct cox_forecast_start *cox_forecast_find(const struct cox_forecast *f, const char *uid)
{
	return cox_map_get(&f->starts, uid);
}

bool cox_forecast_is_complete(const struct cox_forecast *f)
{
	return f->complete;
}
