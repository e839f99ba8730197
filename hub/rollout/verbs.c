/* What people say to a rollout, and who said what when. */
#include "hub/rollout/internal.h"

void rollout_record(struct cox_rollout *r, const char *by, const char *what, int64_t now_ms,
		    const char *format, ...)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(&text, format, args);
	va_end(args);
	while (r->audit.n >= COX_ROLLOUT_MAX_AUDIT) {
		free(r->audit.items[0].by);
		free(r->audit.items[0].what);
		free(r->audit.items[0].text);
		cox_vec_remove(&r->audit, 0);
		r->n_audit_dropped++;
	}
	cox_vec_push(&r->audit, (struct cox_rollout_audit){.at_ms = now_ms,
							   .by = cox_strdup(by ? by : "?"),
							   .what = cox_strdup(what),
							   .text = cox_buf_take(&text)});
}

void rollout_unpause(struct cox_rollout *r)
{
	free(r->paused_by);
	free(r->paused_message);
	r->paused_by = r->paused_message = NULL;
	r->paused = r->paused_by_failure = false;
	r->paused_ms = 0;
}

static int check_live(const struct cox_rollout *r, struct cox_error *err)
{
	if (r->phase == COX_ROLLOUT_PROGRESSING)
		return 0;
	return cox_error(err, COX_FAILED_PRECONDITION, "the rollout is over: %s",
			 cox_rollout_phase_name(r->phase));
}

/* ---- pause, resume ---- */

int cox_rollout_pause(struct cox_rollout *r, const char *by, int64_t now_ms, struct cox_error *err)
{
	int ret = check_live(r, err);

	if (ret < 0)
		return ret;
	if (r->paused)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "the rollout is paused already, by %s", r->paused_by);
	rollout_clock(r, now_ms);
	r->paused = true;
	r->paused_ms = now_ms;
	r->paused_by = cox_strdup(by);
	rollout_record(r, by, "pause", now_ms, "the rollout");
	return 0;
}

/* A gate that failed is asked anew. */
static void renew_gate(struct cox_rollout_gate_run *g, int64_t now_ms)
{
	if (g->state != COX_GATE_FAILED)
		return;
	rollout_gate_set(g, COX_GATE_PENDING, NULL, now_ms);
	g->good = g->bad = 0;
	g->next_ms = 0;
}

static void renew_gates(struct cox_rollout *r, int64_t now_ms)
{
	COX_VEC_EACH (&r->waves, w) {
		COX_VEC_EACH (&w->before, g)
			renew_gate(g, now_ms);
		COX_VEC_EACH (&w->after, g)
			renew_gate(g, now_ms);
	}
}

int cox_rollout_resume(struct cox_rollout *r, const char *by, int64_t now_ms, struct cox_error *err)
{
	int ret = check_live(r, err);
	size_t excused = 0;

	if (ret == 0 && !r->paused)
		ret = cox_error(err, COX_FAILED_PRECONDITION, "the rollout is not paused");
	if (ret < 0)
		return ret;
	rollout_clock(r, now_ms);
	for (size_t i = 0; r->paused_by_failure && i < r->targets.n; i++) {
		const struct cox_rollout_target *t = &r->targets.items[i];

		if (t->wave < 0 || t->state != COX_TARGET_FAILED || t->excused)
			continue;
		rollout_edit(r, t)->excused = true;
		excused++;
	}
	if (r->paused_by_failure)
		renew_gates(r, now_ms);
	if (excused > 0)
		rollout_record(r, by, "resume", now_ms, "without %zu that failed", excused);
	else
		rollout_record(r, by, "resume", now_ms, "the rollout");
	rollout_unpause(r);
	return 0;
}

/* ---- promote ---- */

int cox_rollout_promote(struct cox_rollout *r, const char *by, int64_t now_ms,
			struct cox_error *err)
{
	struct cox_rollout_probe at;
	struct cox_rollout_gate_run *g;
	int ret = check_live(r, err);

	if (ret == 0 && !rollout_gate_at(r, &at))
		ret = cox_error(err, COX_FAILED_PRECONDITION, "the rollout waits at no gate");
	if (ret < 0)
		return ret;
	rollout_clock(r, now_ms);
	g = rollout_gate_run(r, &at);
	free(g->by);
	g->by = cox_strdup(by);
	rollout_gate_set(g, COX_GATE_SKIPPED, NULL, now_ms);
	g->next_ms = 0;
	if (cox_rollout_gate(r, &at)->kind == COX_GATE_APPROVAL && !at.after)
		COX_VEC_EACH (&r->targets, t)
			if (t->wave == (int)at.wave && t->state == COX_TARGET_WAITING)
				rollout_edit(r, t)->approved = true;
	rollout_record(r, by, "promote", now_ms, "gate '%s' %s wave '%s'",
		       cox_rollout_gate(r, &at)->name, at.after ? "after" : "before",
		       r->plan.waves.items[at.wave].name);
	if (r->paused_by_failure)
		rollout_unpause(r);
	return 0;
}

/* ---- abort, retry ---- */

int cox_rollout_abort(struct cox_rollout *r, const char *by, bool back, int64_t now_ms,
		      struct cox_error *err)
{
	int ret = check_live(r, err);

	if (ret == 0 && back && r->plan.source == COX_ROLLOUT_BACK)
		ret = cox_error(err, COX_FAILED_PRECONDITION,
				"this is the way back already: abort it where it is");
	if (ret < 0)
		return ret;
	rollout_clock(r, now_ms);
	rollout_record(r, by, "abort", now_ms, "%s", back ? "and back" : "where it is");
	if (r->plan.source != COX_ROLLOUT_BACK)
		rollout_bar_all(r);
	rollout_end(r, COX_ROLLOUT_ABORTED, cox_asprintf("aborted by %s", by), now_ms);
	r->rollback_due = back && rollout_has_way_back(r);
	r->ask_again = r->rollback_due; /* the next step says so */
	return 0;
}

static void again(struct cox_rollout *r, const struct cox_rollout_target *old, int64_t now_ms)
{
	struct cox_rollout_target *t = rollout_edit(r, old);

	rollout_set(r, t, COX_TARGET_WAITING, NULL, now_ms);
	t->overdue = t->excused = false;
	t->approved = true; /* for the same content */
	t->late = r->plan.source == COX_ROLLOUT_POLICY &&
		  r->waves.items[t->wave].phase == COX_WAVE_PASSED;
}

/* A failed one waits for its turn again; in a wave that has passed, that is at once. */
static size_t again_all(struct cox_rollout *r, int64_t now_ms)
{
	size_t n = 0;

	COX_VEC_EACH (&r->targets, t) {
		if (t->wave < 0 || t->state != COX_TARGET_FAILED || !t->has_digest)
			continue;
		again(r, t, now_ms);
		n++;
	}
	return n;
}

static bool has_failed_gate(const struct cox_rollout *r)
{
	COX_VEC_EACH (&r->waves, w) {
		COX_VEC_EACH (&w->before, g)
			if (g->state == COX_GATE_FAILED)
				return true;
		COX_VEC_EACH (&w->after, g)
			if (g->state == COX_GATE_FAILED)
				return true;
	}
	return false;
}

static size_t unbar(struct cox_rollout *r, int64_t now_ms)
{
	size_t n = r->bars.n;

	rollout_unbar(r);
	COX_VEC_EACH (&r->targets, t)
		if (t->barred && t->state == COX_TARGET_BLOCKED) {
			rollout_edit(r, t)->barred = false;
			rollout_set(r, t, COX_TARGET_WAITING, NULL, now_ms);
		}
	return n;
}

/* Nobody listened while it was over: who was well then has to be seen so again. */
static void reopen(struct cox_rollout *r, int64_t now_ms)
{
	COX_VEC_EACH (&r->targets, t)
		if (t->state == COX_TARGET_HEALTHY)
			rollout_set(r, t, COX_TARGET_MOVING,
				    cox_strdup("not seen since the rollout ended"), now_ms);
	free(r->reason);
	r->reason = NULL;
	r->phase = COX_ROLLOUT_PROGRESSING;
	r->finished_ms = 0;
}

int cox_rollout_retry(struct cox_rollout *r, const char *by, int64_t now_ms, struct cox_error *err)
{
	bool gates = has_failed_gate(r), reopens = rollout_may_reopen(r);
	/* Who failed may have left since: then there is still a pause to end. */
	bool paused = r->phase == COX_ROLLOUT_PROGRESSING && r->paused_by_failure;
	size_t n = 0, bars;

	rollout_clock(r, now_ms);
	bars = unbar(r, now_ms);
	if (reopens)
		reopen(r, now_ms);
	if (r->phase == COX_ROLLOUT_PROGRESSING) {
		n = again_all(r, now_ms);
		if (gates)
			renew_gates(r, now_ms);
		if (r->paused_by_failure)
			rollout_unpause(r);
	}
	if (n == 0 && bars == 0 && !gates && !reopens && !paused)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "nothing has failed, and nothing is barred");
	rollout_record(r, by, "retry", now_ms, "%zu that failed, %zu that were barred", n, bars);
	return 0;
}

/* ---- by hand ---- */

int cox_rollout_may_sync(struct cox_rollout *r, const char *uid, bool force, const char *by,
			 int64_t now_ms, struct cox_error *err)
{
	const struct cox_rollout_target *t = rollout_target(r, uid);
	const struct cox_rollout_wave_run *w;
	_cleanup_free_ char *waits = NULL;

	if (!t || !rollout_is_live(r) || t->wave < 0 || t->moved ||
	    (t->state != COX_TARGET_WAITING && !t->barred))
		return 0;
	w = &r->waves.items[t->wave];
	/* In an open wave only its budget keeps it, or the person that it waits for. */
	if (w->phase >= COX_WAVE_OPEN && !t->barred && !r->paused &&
	    (t->approved || !rollout_needs_approval(r, (size_t)t->wave)))
		return 0;
	waits = cox_rollout_waits(r, uid);
	if (!force)
		return cox_error(err, COX_FAILED_PRECONDITION, "application '%s' is %s", t->name,
				 waits	     ? waits
				 : t->barred ? t->message
					     : "waiting for its wave");
	rollout_clock(r, now_ms);
	rollout_edit(r, t)->forced = true;
	rollout_record(r, by, "sync", now_ms, "'%s' past its gate: %s", t->name,
		       waits	   ? waits
		       : t->barred ? t->message
				   : "its wave has not come");
	return 0;
}

void cox_rollout_record_sync(struct cox_rollout *r, const char *name, const char *by,
			     const char *why, int64_t now_ms)
{
	rollout_clock(r, now_ms);
	rollout_record(r, by, "sync", now_ms, "'%s' past its gate: %s", name, why);
}
