/* The order of things: which wave it is, who starts, when it is over. */
#include "hub/rollout/internal.h"

/* ---- counting ---- */

/* Away, and not waited for. On the way back everybody is told, wherever he is. */
bool rollout_skips(const struct cox_rollout *r, const struct cox_rollout_target *t)
{
	return t->offline && !t->awaited && r->plan.offline == COX_OFFLINE_SKIP &&
	       (t->state == COX_TARGET_MOVING ||
		(t->state == COX_TARGET_WAITING && r->plan.source != COX_ROLLOUT_BACK));
}

static bool may_start(const struct cox_rollout *r, const struct cox_rollout_target *t)
{
	return t->state == COX_TARGET_WAITING && !rollout_skips(r, t) && !t->awaited && !t->hold &&
	       (t->approved || !rollout_needs_approval(r, (size_t)t->wave));
}

/* A rollout fails by what it moved. Where it only finds somebody ill, it waits. */
static bool is_failure(const struct cox_rollout *r, const struct cox_rollout_target *t)
{
	return t->state == COX_TARGET_FAILED && !t->excused &&
	       (t->moved || r->plan.on_failure == COX_FAILURE_HOLD);
}

static void count_on_time(struct rollout_tally *c, const struct cox_rollout_target *t, bool skipped,
			  bool failure)
{
	c->on_time++;
	if (skipped) {
		c->away++;
		return;
	}
	c->waiting += t->state == COX_TARGET_WAITING;
	c->moving += t->state == COX_TARGET_MOVING ||
		     (t->state == COX_TARGET_FAILED && !t->excused && !failure);
	c->healthy += t->state == COX_TARGET_HEALTHY;
	c->holding += failure;
	c->blocked += t->state == COX_TARGET_BLOCKED;
}

void rollout_count(const struct cox_rollout *r, struct rollout_tallies *ret)
{
	memset(ret->waves, 0, (r->plan.waves.n + 1) * sizeof(ret->waves[0]));
	COX_VEC_EACH (&r->targets, t) {
		struct rollout_tally *c;
		bool skipped = rollout_skips(r, t), failure = is_failure(r, t);

		if (t->wave < 0)
			continue;
		c = &ret->waves[t->wave];
		c->n++;
		c->failed += failure;
		c->excused += t->state == COX_TARGET_FAILED && t->excused;
		c->to_change += t->state == COX_TARGET_WAITING;
		c->moved += t->moved;
		/* RollingSync counts those that failed as on their way. */
		c->in_flight +=
			(t->state == COX_TARGET_MOVING && !skipped) ||
			(t->state == COX_TARGET_FAILED && r->plan.on_failure == COX_FAILURE_HOLD);
		if (t->late)
			c->late_busy +=
				may_start(r, t) || (t->state == COX_TARGET_MOVING && !skipped);
		else
			count_on_time(c, t, skipped, failure);
	}
}

bool rollout_wave_is_done(const struct cox_rollout *r, size_t wave, const struct rollout_tally *c)
{
	if (r->plan.on_failure == COX_FAILURE_HOLD)
		return c->healthy == c->on_time;
	if (c->waiting > 0 || c->moving > 0 || c->blocked > 0)
		return false;
	if (r->plan.source == COX_ROLLOUT_BACK)
		return true;
	return c->holding <= cox_rollout_tolerance(&r->plan, wave, c->n) && c->healthy > 0;
}

size_t rollout_front(const struct cox_rollout *r, const struct rollout_tallies *c)
{
	size_t i = 0;

	while (i < r->waves.n && (c->waves[i].n == 0 || r->waves.items[i].phase == COX_WAVE_PASSED))
		i++;
	return i;
}

size_t rollout_fallen(const struct cox_rollout *r, const struct rollout_tallies *c, size_t front)
{
	if (r->plan.source == COX_ROLLOUT_BACK)
		return front;
	for (size_t i = 0; i < front; i++)
		if (c->waves[i].moving > 0 ||
		    c->waves[i].holding > cox_rollout_tolerance(&r->plan, i, c->waves[i].n))
			return i;
	return front;
}

size_t cox_rollout_open_wave(const struct cox_rollout *r)
{
	struct rollout_tallies c;

	rollout_count(r, &c);
	return rollout_fallen(r, &c, rollout_front(r, &c));
}

/* ---- starting ---- */

static void start(struct rollout_step *s, size_t i)
{
	struct cox_rollout_target *t = rollout_edit(s->r, &s->r->targets.items[i]);

	t->epoch = t->generation = 0;
	t->operation[0] = '\0';
	t->moved = true;
	t->overdue = t->excused = false;
	t->clock_ms = s->now_ms;
	s->r->waves.items[t->wave].progress_ms = s->now_ms;
	rollout_set(s->r, t, COX_TARGET_MOVING, NULL, s->now_ms);
	cox_vec_push(s->effects, (struct cox_rollout_effect){.kind = COX_EFFECT_MOVE, .target = i});
	s->changed = true;
}

/* The windows before a wave are looked at for each start; what they say is kept with them. */
static bool in_window(struct rollout_step *s, size_t wave)
{
	const struct cox_rollout_wave *w = &s->r->plan.waves.items[wave];
	struct rollout_window window;

	rollout_windows(s->r, s->env, wave, false, s->now_ms, &window);
	rollout_wake(s, window.until_ms);
	for (size_t i = 0; i < w->before.n; i++) {
		struct cox_rollout_gate_run *g = &s->r->waves.items[wave].before.items[i];

		if (w->before.items[i].kind != COX_GATE_WINDOW || g->state != COX_GATE_PASSED)
			continue;
		g->next_ms = window.until_ms == COX_ROLLOUT_FOREVER ? 0 : window.until_ms;
		if (rollout_gate_set(g, COX_GATE_PASSED, cox_strdup(window.message), s->now_ms))
			s->changed = true;
	}
	free(window.message);
	return window.open;
}

/* Those of the wave that are late, or those that are not, as far as there is room. true: some. */
static bool start_some(struct rollout_step *s, size_t wave, bool late)
{
	bool some = false;
	struct cox_rollout *r = s->r;
	struct rollout_tally *c = &s->c.waves[wave];
	size_t budget = cox_rollout_concurrency(&r->plan, wave, c->n);
	int64_t at;

	if (c->to_change == 0 || !in_window(s, wave))
		return false;
	for (size_t i = 0; i < r->targets.n && c->in_flight < budget; i++) {
		const struct cox_rollout_target *t = &r->targets.items[i];

		if (t->wave != (int)wave || t->late != late || t->state != COX_TARGET_WAITING)
			continue;
		if (t->hold)
			rollout_wake(s, t->hold_until_ms);
		if (!may_start(r, t))
			continue;
		at = rollout_start_ms(r, t, r->waves.items[wave].since_ms);
		if (at <= s->now_ms &&
		    !rollout_take_start(r, s->env ? s->env->starts : NULL, s->now_ms, &at)) {
			rollout_wake(s, at);
			return some;
		}
		if (at > s->now_ms) {
			rollout_wake(s, at);
			continue;
		}
		start(s, i);
		c->in_flight++;
		some = true;
	}
	return some;
}

/* In wave order among themselves, and not past a wave that is not well. */
static bool start_late(struct rollout_step *s, size_t front)
{
	size_t fallen = rollout_fallen(s->r, &s->c, front);

	for (size_t i = 0; i <= fallen && i < front; i++)
		if (s->c.waves[i].late_busy > 0)
			return start_some(s, i, true);
	return false;
}

/* ---- from phase to phase ---- */

void rollout_enter(struct cox_rollout *r, size_t wave, enum cox_wave_phase phase, int64_t now_ms)
{
	r->waves.items[wave].phase = phase;
	r->waves.items[wave].since_ms = now_ms;
}

/* Without gates a wave has passed only as long as it is well. */
static void reopen(struct rollout_step *s)
{
	struct cox_rollout *r = s->r;

	if (r->plan.on_failure != COX_FAILURE_HOLD)
		return;
	for (size_t i = 0; i < r->waves.n; i++)
		if (r->waves.items[i].phase == COX_WAVE_PASSED &&
		    !rollout_wave_is_done(r, i, &s->c.waves[i])) {
			rollout_enter(r, i, COX_WAVE_OPEN, s->now_ms);
			s->changed = true;
		}
}

static bool enter(struct rollout_step *s, size_t wave, enum cox_wave_phase phase)
{
	rollout_enter(s->r, wave, phase, s->now_ms);
	s->changed = true;
	return true;
}

static bool gates(struct rollout_step *s, size_t wave, bool after)
{
	ptrdiff_t failed = -1;
	struct cox_rollout_probe probe = {.wave = wave, .after = after};

	if (rollout_gates_pass(s, wave, after, &failed))
		return true;
	probe.gate = (size_t)failed;
	return failed >= 0 && !rollout_gate_failed(s, &probe) && gates(s, wave, after);
}

static bool in_waiting(struct rollout_step *s, size_t wave, bool held)
{
	return !held && enter(s, wave, COX_WAVE_BEFORE);
}

static bool in_before(struct rollout_step *s, size_t wave, bool held)
{
	(void)held;
	if (s->c.waves[wave].to_change == 0)
		rollout_gates_skip(s, wave, false, "nothing changes in this wave");
	if (!gates(s, wave, false))
		return false;
	s->r->waves.items[wave].progress_ms = s->now_ms;
	return enter(s, wave, COX_WAVE_OPEN);
}

static bool in_open(struct rollout_step *s, size_t wave, bool held)
{
	/* Who was told counts from now on: look again. */
	if (!held && start_some(s, wave, false))
		return true;
	return rollout_wave_is_done(s->r, wave, &s->c.waves[wave]) &&
	       enter(s, wave, COX_WAVE_AFTER);
}

/* Health without a break: the soak begins anew when the wave is well again. */
static void interrupt(struct cox_rollout *r, size_t wave, int64_t now_ms)
{
	const struct cox_rollout_wave *w = &r->plan.waves.items[wave];

	for (size_t i = 0; i < w->after.n; i++) {
		struct cox_rollout_gate_run *g = &r->waves.items[wave].after.items[i];

		if (w->after.items[i].kind == COX_GATE_SOAK && g->state != COX_GATE_SKIPPED) {
			rollout_gate_set(g, COX_GATE_PENDING, NULL, now_ms);
			g->next_ms = 0;
		}
	}
}

static bool in_after(struct rollout_step *s, size_t wave, bool held)
{
	struct cox_rollout *r = s->r;

	(void)held;
	if (!rollout_wave_is_done(r, wave, &s->c.waves[wave])) {
		interrupt(r, wave, s->now_ms);
		return enter(s, wave, COX_WAVE_OPEN);
	}
	if (s->c.waves[wave].moved == 0)
		rollout_gates_skip(s, wave, true, "nothing changed in this wave");
	if (!gates(s, wave, true))
		return false;
	COX_VEC_EACH (&r->targets, t)
		if (t->wave == (int)wave && r->plan.on_failure != COX_FAILURE_HOLD &&
		    rollout_skips(r, t))
			rollout_edit(r, t)->late = true;
	return enter(s, wave, COX_WAVE_PASSED);
}

static bool (*const phases[])(struct rollout_step *s, size_t wave, bool held) = {
	[COX_WAVE_WAITING] = in_waiting,
	[COX_WAVE_BEFORE] = in_before,
	[COX_WAVE_OPEN] = in_open,
	[COX_WAVE_AFTER] = in_after,
};

/* ---- the step ---- */

/* How many are failed for good, in waves that bear fewer. */
static size_t too_many(const struct cox_rollout *r, const struct rollout_tallies *all)
{
	size_t n = 0;

	for (size_t i = 0; i < r->waves.n; i++) {
		const struct rollout_tally *c = &all->waves[i];
		size_t failed =
			c->failed + (r->plan.on_failure == COX_FAILURE_CONTINUE ? c->excused : 0);

		if (r->plan.source == COX_ROLLOUT_BACK ||
		    failed > cox_rollout_tolerance(&r->plan, i, c->n))
			n += failed;
	}
	return n;
}

/* Whoever fell back when his wave had passed, and went away, is late like those who were away then:
 * nobody else is listened to when it is over, and one who is on his way for ever would hold up all who
 * catch up behind him. */
static void leave_late(struct rollout_step *s)
{
	COX_VEC_EACH (&s->r->targets, t)
		if (t->wave >= 0 && s->r->plan.source == COX_ROLLOUT_POLICY &&
		    rollout_skips(s->r, t))
			rollout_edit(s->r, t)->late = true;
}

static char *failed_at_the_end(const struct cox_rollout *r, size_t n)
{
	bool back = r->plan.source == COX_ROLLOUT_BACK && r->reason;

	COX_VEC_EACH (&r->targets, t)
		if (t->wave >= 0 && t->state == COX_TARGET_FAILED)
			return cox_asprintf(
				"%s%sit came to its end with %zu failed: '%s' on cluster "
				"'%s': %s",
				back ? r->reason : "", back ? "; " : "", n, t->name,
				t->cluster ? t->cluster : "?", t->message ? t->message : "");
	return cox_asprintf("it came to its end with %zu failed", n);
}

/* It has come to its end. */
static void end(struct cox_rollout *r, const struct rollout_tallies *c, int64_t now_ms)
{
	size_t n = too_many(r, c);

	if (n == 0)
		rollout_end(r, COX_ROLLOUT_SUCCEEDED, NULL, now_ms);
	else
		rollout_end(r, COX_ROLLOUT_FAILED, failed_at_the_end(r, n), now_ms);
}

static void finish(struct rollout_step *s)
{
	for (size_t i = 0; i < s->r->waves.n; i++)
		if (s->c.waves[i].late_busy > 0)
			return;
	leave_late(s);
	end(s->r, &s->c, s->now_ms);
	s->changed = true;
}

/* At its start, a target that is in no wave holds all: nobody knows when it shall move. */
bool rollout_is_unmatched(const struct cox_rollout *r)
{
	if (r->plan.source != COX_ROLLOUT_POLICY || r->waves.n == 0)
		return false;
	COX_VEC_EACH (&r->waves, w)
		if (w->phase != COX_WAVE_WAITING)
			return false;
	COX_VEC_EACH (&r->targets, t)
		if (t->wave < 0 && !t->by_hand)
			return true;
	return false;
}

/* Only what was never reached before is progress: health that comes and goes is none. */
static void note_progress(struct rollout_step *s)
{
	for (size_t i = 0; i < s->r->waves.n; i++) {
		struct cox_rollout_wave_run *w = &s->r->waves.items[i];
		int64_t healthy = (int64_t)s->c.waves[i].healthy;

		if (healthy <= w->best)
			continue;
		w->best = healthy;
		w->progress_ms = s->now_ms;
		s->changed = true;
	}
}

/* One thing at a time; true: look again. */
static bool advance(struct rollout_step *s)
{
	struct cox_rollout *r = s->r;
	size_t front, fallen;

	rollout_count(r, &s->c);
	note_progress(s);
	reopen(s);
	front = rollout_front(r, &s->c);
	if (r->phase == COX_ROLLOUT_PROGRESSING && rollout_check_failures(s))
		return false;
	if (rollout_is_unmatched(r))
		return false;
	if (start_late(s, front))
		return true;
	if (r->phase != COX_ROLLOUT_PROGRESSING)
		return false;
	fallen = rollout_fallen(r, &s->c, front);
	if (front < r->waves.n)
		return phases[r->waves.items[front].phase](s, front, fallen < front);
	rollout_count(r, &s->c);
	if (fallen == front)
		finish(s);
	return false;
}

int cox_rollout_step(struct cox_rollout *r, const struct cox_rollout_env *env, int64_t now_ms,
		     cox_rollout_effects *effects, int64_t *ret_wake_ms)
{
	struct rollout_step s = {.r = r,
				 .env = env,
				 .now_ms = now_ms,
				 .wake_ms = COX_ROLLOUT_FOREVER,
				 .effects = effects};

	rollout_clock(r, now_ms);
	if (r->ask_again && r->rollback_due && r->phase != COX_ROLLOUT_PROGRESSING)
		cox_vec_push(effects, (struct cox_rollout_effect){.kind = COX_EFFECT_ROLLBACK});
	if (rollout_is_live(r) && !r->paused) {
		rollout_check_deadlines(&s);
		while (advance(&s))
			;
	}
	rollout_gates_sweep(&s);
	r->ask_again = false;
	if (ret_wake_ms)
		*ret_wake_ms = s.wake_ms;
	return s.changed;
}

/* ---- making room for a newer revision ---- */

/* *ret_due_ms: when it counts as stuck, if nothing happens until then. */
static bool is_stuck(const struct cox_rollout *r, size_t open, const struct rollout_tally *c,
		     int64_t now_ms, int64_t *ret_due_ms)
{
	int64_t last;

	*ret_due_ms = COX_ROLLOUT_FOREVER;
	if (r->paused_by_failure || c->blocked > 0 || rollout_is_unmatched(r) ||
	    c->holding > cox_rollout_tolerance(&r->plan, open, c->n))
		return true;
	if (r->paused || r->waves.items[open].phase == COX_WAVE_BEFORE ||
	    r->waves.items[open].phase == COX_WAVE_AFTER)
		return false;
	last = r->waves.items[open].progress_ms;
	if (last == 0)
		last = r->waves.items[open].since_ms;
	*ret_due_ms = last + r->plan.patience_ms;
	return now_ms >= *ret_due_ms;
}

bool cox_rollout_may_supersede(const struct cox_rollout *r, int64_t now_ms, int64_t *ret_again_ms)
{
	struct rollout_tallies all;
	size_t open;
	int64_t again = COX_ROLLOUT_FOREVER;
	bool may = true;

	if (ret_again_ms)
		*ret_again_ms = COX_ROLLOUT_FOREVER;
	/* Who pauses wants nothing to move, whatever its name. */
	if (r->phase == COX_ROLLOUT_PROGRESSING && r->paused && !r->paused_by_failure)
		return false;
	rollout_count(r, &all);
	open = rollout_fallen(r, &all, rollout_front(r, &all));
	if (r->phase == COX_ROLLOUT_PROGRESSING && open < r->plan.waves.n &&
	    r->plan.supersede != COX_SUPERSEDE_NOW) {
		const struct rollout_tally *c = &all.waves[open];

		may = is_stuck(r, open, c, now_ms, &again);
		if (r->plan.supersede == COX_SUPERSEDE_WAVE)
			may = may || rollout_wave_is_done(r, open, c) || c->moved == 0 ||
			      (c->moving == 0 && c->healthy == 0);
		if (may)
			again = COX_ROLLOUT_FOREVER;
	}
	if (ret_again_ms)
		*ret_again_ms = again;
	return may;
}

/* The last report may just have come. */
static bool is_done(const struct cox_rollout *r, const struct rollout_tallies *c)
{
	for (size_t i = 0; i < r->waves.n; i++)
		if (c->waves[i].n > 0 && r->waves.items[i].phase != COX_WAVE_PASSED &&
		    (r->plan.waves.items[i].after.n > 0 ||
		     !rollout_wave_is_done(r, i, &c->waves[i])))
			return false;
	return rollout_fallen(r, c, r->waves.n) == r->waves.n;
}

void cox_rollout_supersede(struct cox_rollout *r, int64_t now_ms)
{
	struct rollout_tallies c;

	if (r->phase != COX_ROLLOUT_PROGRESSING)
		return;
	rollout_clock(r, now_ms);
	rollout_count(r, &c);
	if (is_done(r, &c))
		end(r, &c, now_ms);
	else
		rollout_end(r, COX_ROLLOUT_SUPERSEDED, NULL, now_ms);
}
