/* Gates: each a small state machine, looked at in the order of its list. */
#include "hub/rollout/internal.h"

void rollout_gate_run_fini(struct cox_rollout_gate_run *g)
{
	free(g->message);
	free(g->by);
}

int rollout_gate_set(struct cox_rollout_gate_run *g, enum cox_gate_state state, char *message_taken,
		     int64_t now_ms)
{
	bool moved = g->state != state;

	if (!moved && cox_streq(g->message, message_taken)) {
		free(message_taken);
		return 0;
	}
	free(g->message);
	g->message = message_taken;
	g->state = state;
	if (moved)
		g->since_ms = now_ms;
	return 1;
}

/* ---- by place ---- */

const struct cox_rollout_gate *cox_rollout_gate(const struct cox_rollout *r,
						const struct cox_rollout_probe *probe)
{
	const struct cox_rollout_wave *w;

	if (probe->wave >= r->plan.waves.n)
		return NULL;
	w = &r->plan.waves.items[probe->wave];
	if (probe->gate >= (probe->after ? w->after.n : w->before.n))
		return NULL;
	return probe->after ? &w->after.items[probe->gate] : &w->before.items[probe->gate];
}

struct cox_rollout_gate_run *rollout_gate_run(struct cox_rollout *r,
					      const struct cox_rollout_probe *probe)
{
	struct cox_rollout_wave_run *w;

	if (!cox_rollout_gate(r, probe))
		return NULL;
	w = &r->waves.items[probe->wave];
	return probe->after ? &w->after.items[probe->gate] : &w->before.items[probe->gate];
}

static size_t n_gates(const struct cox_rollout *r, size_t wave, bool after)
{
	return after ? r->plan.waves.items[wave].after.n : r->plan.waves.items[wave].before.n;
}

static bool is_over(const struct cox_rollout_gate_run *g)
{
	return g->state == COX_GATE_PASSED || g->state == COX_GATE_SKIPPED;
}

bool rollout_gate_at(const struct cox_rollout *r, struct cox_rollout_probe *ret_probe)
{
	struct rollout_tallies c;
	struct cox_rollout_probe p = {0};
	enum cox_wave_phase phase;

	rollout_count(r, &c);
	p.wave = rollout_front(r, &c);
	if (r->phase != COX_ROLLOUT_PROGRESSING || p.wave == r->waves.n)
		return false;
	phase = r->waves.items[p.wave].phase;
	p.after = phase == COX_WAVE_AFTER;
	if (phase != COX_WAVE_BEFORE && phase != COX_WAVE_AFTER)
		return false;
	for (; p.gate < n_gates(r, p.wave, p.after); p.gate++)
		if (!is_over(rollout_gate_run((struct cox_rollout *)r, &p))) {
			p.attempt = rollout_gate_run((struct cox_rollout *)r, &p)->attempt;
			*ret_probe = p;
			return true;
		}
	return false;
}

/* ---- the kinds ---- */

/* What a look finds; it sets next_ms, and the message of a gate that goes on running. */
struct look {
	struct rollout_step *s;
	struct cox_rollout_probe at;
	const struct cox_rollout_gate *gate;
	struct cox_rollout_gate_run *run;
};

static void say(struct look *l, enum cox_gate_state state, char *message_taken)
{
	if (rollout_gate_set(l->run, state, message_taken, l->s->now_ms))
		l->s->changed = true;
}

enum watch { WATCHED, AWAY, UNHEARD };

/* A healthy target that has yet to say what was in the meantime: it is there and its report on its
 * way, or its agent had no time yet to dial again. *ret_until_ms is lowered to the end of that. */
static bool owes_word(const struct cox_rollout *r, const struct cox_rollout_target *t,
		      int64_t now_ms, int64_t *ret_until_ms)
{
	int64_t until_ms = r->back_ms + ROLLOUT_RETURN_MS;

	if (!t->unheard || !t->offline)
		return t->unheard;
	if (r->back_ms == 0 || now_ms >= until_ms)
		return false;
	if (until_ms < *ret_until_ms)
		*ret_until_ms = until_ms;
	return true;
}

/* Since when everybody who counts is well, and somebody was there all the time to say so. With
 * `offline: wait` everybody has to be there. */
static enum watch well_since(const struct rollout_step *s, size_t wave, int64_t *ret_ms,
			     int64_t *ret_until_ms)
{
	bool skip = s->r->plan.offline == COX_OFFLINE_SKIP;
	int64_t well = 0, first = INT64_MAX, last = 0;
	enum watch watch = WATCHED;

	COX_VEC_EACH (&s->r->targets, t) {
		if (t->wave != (int)wave || t->late || t->state != COX_TARGET_HEALTHY)
			continue;
		if (owes_word(s->r, t, s->now_ms, ret_until_ms))
			watch = UNHEARD;
		else if (t->offline && !skip && watch == WATCHED)
			watch = AWAY;
		if (t->offline || t->unheard)
			continue;
		well = t->well_ms > well ? t->well_ms : well;
		first = t->seen_ms < first ? t->seen_ms : first;
		last = t->seen_ms > last ? t->seen_ms : last;
	}
	if (watch != WATCHED || first == INT64_MAX)
		return watch == WATCHED ? AWAY : watch;
	if (!skip)
		first = last;
	*ret_ms = well > first ? well : first;
	return WATCHED;
}

static const char *const unwatched[] = {
	[AWAY] = "a healthy cluster of the wave is away: what its agent sees meanwhile counts "
		 "when it is back",
	[UNHEARD] = "a healthy cluster of the wave has yet to say how it was in the meantime",
};

static void look_soak(struct look *l)
{
	int64_t since, end, until = COX_ROLLOUT_FOREVER;
	enum watch watch = well_since(l->s, l->at.wave, &since, &until);

	if (watch != WATCHED) {
		rollout_wake(l->s, until);
		l->run->next_ms = 0;
		say(l, COX_GATE_RUNNING, cox_strdup(unwatched[watch]));
		return;
	}
	end = since + l->gate->soak_ms;
	if (l->s->now_ms >= end) {
		l->run->next_ms = 0;
		say(l, COX_GATE_PASSED, NULL);
		return;
	}
	rollout_wake(l->s, end);
	if (l->run->next_ms != end)
		l->s->changed = true;
	l->run->next_ms = end;
	say(l, COX_GATE_RUNNING, cox_strdup("every target has to stay healthy"));
}

static void look_approval(struct look *l)
{
	struct cox_rollout_wave_run *w = &l->s->r->waves.items[l->at.wave];
	uint8_t digest[COX_ROLLOUT_DIGEST];
	_cleanup_buf_ struct cox_buf by = COX_BUF_INIT;
	int64_t n;

	if (!rollout_approval_digest(l->s->r, l->at.wave, l->at.after, digest)) {
		say(l, COX_GATE_PASSED, NULL);
		return;
	}
	n = (int64_t)rollout_approvals(w, l->gate, digest, &by);
	if (n < l->gate->approvals) {
		say(l, COX_GATE_RUNNING,
		    rollout_approved_text(l->gate, cox_buf_cstr(&by), (size_t)n));
		return;
	}
	COX_VEC_EACH (&l->s->r->targets, t)
		if (!l->at.after && t->wave == (int)l->at.wave && t->state == COX_TARGET_WAITING)
			rollout_edit(l->s->r, t)->approved = true;
	free(l->run->by);
	l->run->by = cox_buf_take(&by);
	say(l, COX_GATE_PASSED, NULL);
}

static void look_window(struct look *l)
{
	struct rollout_window w;

	rollout_windows(l->s->r, l->s->env, l->at.wave, l->at.after, l->s->now_ms, &w);
	l->run->next_ms = w.until_ms == COX_ROLLOUT_FOREVER ? 0 : w.until_ms;
	rollout_wake(l->s, w.until_ms);
	say(l, w.open ? COX_GATE_PASSED : COX_GATE_RUNNING, w.message);
}

static void look_probe(struct look *l)
{
	struct cox_rollout_gate_run *g = l->run;

	if (g->asked)
		return;
	if (g->next_ms > l->s->now_ms) {
		rollout_wake(l->s, g->next_ms);
		return;
	}
	g->asked = true;
	g->next_ms = 0;
	l->at.attempt = ++g->attempt;
	l->s->changed = true;
	cox_vec_push(l->s->effects,
		     (struct cox_rollout_effect){.kind = COX_EFFECT_PROBE, .probe = l->at});
}

static void (*const looks[])(struct look *l) = {
	[COX_GATE_SOAK] = look_soak,	 [COX_GATE_APPROVAL] = look_approval,
	[COX_GATE_WINDOW] = look_window, [COX_GATE_HTTP] = look_probe,
	[COX_GATE_JOB] = look_probe,	 [COX_GATE_METRICS] = look_probe,
};

/* ---- lists ---- */

bool rollout_gates_pass(struct rollout_step *s, size_t wave, bool after, ptrdiff_t *ret_failed)
{
	for (size_t i = 0; i < n_gates(s->r, wave, after); i++) {
		struct look l = {.s = s, .at = {.wave = wave, .after = after, .gate = i}};

		l.gate = cox_rollout_gate(s->r, &l.at);
		l.run = rollout_gate_run(s->r, &l.at);
		if (is_over(l.run))
			continue;
		if (l.run->state == COX_GATE_PENDING) {
			rollout_gate_set(l.run, COX_GATE_RUNNING, NULL, s->now_ms);
			s->changed = true;
		}
		if (l.run->state == COX_GATE_RUNNING)
			looks[l.gate->kind](&l);
		if (l.run->state == COX_GATE_FAILED) {
			*ret_failed = (ptrdiff_t)i;
			return false;
		}
		if (l.run->state == COX_GATE_RUNNING)
			return false;
	}
	return true;
}

void rollout_gates_skip(struct rollout_step *s, size_t wave, bool after, const char *message)
{
	for (size_t i = 0; i < n_gates(s->r, wave, after); i++) {
		struct cox_rollout_probe at = {.wave = wave, .after = after, .gate = i};
		struct cox_rollout_gate_run *g = rollout_gate_run(s->r, &at);

		if (is_over(g))
			continue;
		rollout_gate_set(g, COX_GATE_SKIPPED, cox_strdup(message), s->now_ms);
		g->next_ms = 0;
		s->changed = true;
	}
}

static void sweep(struct rollout_step *s, struct cox_rollout_probe at)
{
	struct cox_rollout_gate_run *g = rollout_gate_run(s->r, &at);

	at.attempt = g->attempt;
	if (!g->asked)
		return;
	if (g->state != COX_GATE_RUNNING || s->r->phase != COX_ROLLOUT_PROGRESSING) {
		g->asked = false;
		s->changed = true;
		cox_vec_push(s->effects,
			     (struct cox_rollout_effect){.kind = COX_EFFECT_CANCEL, .probe = at});
	} else if (s->r->ask_again) {
		cox_vec_push(s->effects,
			     (struct cox_rollout_effect){.kind = COX_EFFECT_PROBE, .probe = at});
	}
}

void rollout_gates_sweep(struct rollout_step *s)
{
	for (size_t w = 0; w < s->r->waves.n; w++)
		for (int after = 0; after <= 1; after++)
			for (size_t i = 0; i < n_gates(s->r, w, after); i++)
				sweep(s, (struct cox_rollout_probe){
						 .wave = w, .after = after, .gate = i});
}

int cox_rollout_gate_note(struct cox_rollout *r, const struct cox_rollout_probe *probe,
			  const char *message, int64_t now_ms)
{
	struct cox_rollout_gate_run *g = rollout_gate_run(r, probe);

	if (!g || !g->asked || g->attempt != probe->attempt || g->state != COX_GATE_RUNNING)
		return 0;
	return rollout_gate_set(g, COX_GATE_RUNNING, cox_strdup(message), now_ms);
}

int cox_rollout_answer(struct cox_rollout *r, const struct cox_rollout_probe *probe,
		       enum cox_rollout_answer answer, const char *message, int64_t now_ms)
{
	struct cox_rollout_gate_run *g = rollout_gate_run(r, probe);
	const struct cox_rollout_gate *gate = cox_rollout_gate(r, probe);
	enum cox_gate_state state = COX_GATE_RUNNING;

	if (!g || !g->asked || g->attempt != probe->attempt || g->state != COX_GATE_RUNNING ||
	    r->phase != COX_ROLLOUT_PROGRESSING)
		return 0;
	rollout_clock(r, now_ms);
	g->asked = false;
	g->answered_ms = now_ms;
	g->next_ms = now_ms + gate->interval_ms;
	if (answer == COX_ANSWER_GOOD && ++g->good >= gate->successes)
		state = COX_GATE_PASSED;
	if (answer == COX_ANSWER_BAD) {
		g->good = 0;
		g->bad++;
		if (gate->failure_limit >= 0 && g->bad > gate->failure_limit)
			state = COX_GATE_FAILED;
	}
	if (state != COX_GATE_RUNNING)
		g->next_ms = 0;
	rollout_gate_set(g, state, cox_strdup(message), now_ms);
	return 1;
}

int cox_rollout_hurry(struct cox_rollout *r, const struct cox_rollout_probe *probe, int64_t now_ms)
{
	struct cox_rollout_gate_run *g = rollout_gate_run(r, probe);

	if (!g || g->asked || g->state != COX_GATE_RUNNING || g->next_ms <= now_ms ||
	    cox_rollout_gate(r, probe)->kind < COX_GATE_HTTP)
		return 0;
	rollout_clock(r, now_ms);
	g->next_ms = now_ms;
	return 1;
}
