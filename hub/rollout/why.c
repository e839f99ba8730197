/* Why it is not moving on: one answer, the nearest cause. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "hub/rollout/internal.h"

#include <stdio.h>

/* What holds a wave up most, first. */
static const enum cox_rollout_state severity[] = {COX_TARGET_FAILED, COX_TARGET_BLOCKED,
						  COX_TARGET_MOVING};

static const struct cox_rollout_target *culprit(const struct cox_rollout *r, size_t wave,
						const struct rollout_tally *c)
{
	/* As many as the wave bears do not hold it up. */
	bool borne = c->holding > 0 && r->plan.on_failure != COX_FAILURE_HOLD &&
		     c->holding <= cox_rollout_tolerance(&r->plan, wave, c->n);

	for (size_t s = 0; s < COX_ARRAY_LEN(severity); s++)
		COX_VEC_EACH (&r->targets, t)
			if (t->wave == (int)wave && t->state == severity[s] && !t->excused &&
			    !t->late && !rollout_skips(r, t) &&
			    !(borne && t->state == COX_TARGET_FAILED && t->moved))
				return t;
	return NULL;
}

static const char *const verbs[] = {
	[COX_TARGET_WAITING] = "waits",
	[COX_TARGET_MOVING] = "is on its way",
	[COX_TARGET_HEALTHY] = "is well",
	[COX_TARGET_FAILED] = "failed",
	[COX_TARGET_BLOCKED] = "cannot be deployed",
};

__attribute__((format(printf, 2, 3))) static void say(struct cox_rollout_why *why,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->message, sizeof(why->message), format, args);
	va_end(args);
}

static void blame(const struct cox_rollout *r, const struct cox_rollout_target *t,
		  struct cox_rollout_why *why)
{
	int64_t deadline = r->plan.waves.items[t->wave].progress_deadline_ms;
	const char *message = t->message ? t->message : t->offline ? "its cluster is away" : NULL;

	why->target = t;
	why->resource = t->resource;
	why->since_ms = t->since_ms;
	if (t->state == COX_TARGET_MOVING && deadline > 0 && t->moved && !t->offline)
		why->until_ms = t->clock_ms + deadline;
	say(why, "'%s' on cluster '%s' %s%s%s", t->name, t->cluster ? t->cluster : "?",
	    verbs[t->state], message ? ": " : "", message ? message : "");
}

/* ---- the places where it can wait ---- */

static void why_paused(const struct cox_rollout *r, struct cox_rollout_why *why)
{
	why->since_ms = r->paused_ms;
	if (r->paused_by_failure)
		say(why, "paused because of a failure: %s", r->paused_message);
	else
		say(why, "paused by %s", r->paused_by);
}

static void why_unmatched(const struct cox_rollout *r, struct cox_rollout_why *why)
{
	_cleanup_buf_ struct cox_buf names = COX_BUF_INIT;
	size_t n = 0;

	COX_VEC_EACH (&r->targets, t) {
		if (t->wave >= 0 || t->by_hand)
			continue;
		/* whose cluster nobody knows: that is what is wrong with it */
		if (!t->cluster && t->message) {
			why->target = t;
			say(why, "'%s' belongs to no wave, because it has no cluster: %s", t->name,
			    t->message);
			return;
		}
		if (n++ < 10)
			cox_buf_printf(&names, "%s'%s'", names.len ? ", " : "",
				       t->cluster ? t->cluster : t->name);
	}
	if (n > 10)
		cox_buf_printf(&names, " and %zu more", n - 10);
	say(why,
	    "in no wave of the policy '%s': %s; give them one, or say `unmatched: last` in the "
	    "policy",
	    r->plan.name ? r->plan.name : "?", cox_buf_cstr(&names));
}

static void why_gate(struct cox_rollout *r, const struct cox_rollout_probe *at,
		     struct cox_rollout_why *why)
{
	const struct cox_rollout_gate_run *g = rollout_gate_run(r, at);
	uint8_t digest[COX_ROLLOUT_DIGEST];
	char hex[2 * COX_ROLLOUT_DIGEST + 1] = "";

	why->gate = cox_rollout_gate(r, at);
	why->since_ms = g->since_ms;
	why->until_ms = g->next_ms;
	if (why->gate->kind == COX_GATE_APPROVAL &&
	    rollout_approval_digest(r, at->wave, at->after, digest))
		cox_hex_encode(digest, sizeof(digest), hex);
	say(why, "gate '%s' %s the wave: %s%s%s", why->gate->name, at->after ? "after" : "before",
	    g->message			   ? g->message
	    : g->asked			   ? "asked, and not answered yet"
	    : g->state == COX_GATE_PENDING ? "its turn comes now"
					   : "looked at",
	    *hex ? "; what waits is " : "", hex);
}

/* A window that closed when its wave was open already. */
static bool why_window(const struct cox_rollout *r, size_t open, struct cox_rollout_why *why)
{
	const struct cox_rollout_wave *w = &r->plan.waves.items[open];

	for (size_t i = 0; i < w->before.n; i++) {
		const struct cox_rollout_gate_run *g = &r->waves.items[open].before.items[i];

		if (w->before.items[i].kind != COX_GATE_WINDOW || !g->message ||
		    g->state != COX_GATE_PASSED)
			continue;
		why->gate = &w->before.items[i];
		why->until_ms = g->next_ms;
		say(why, "gate '%s' before the wave: %s", why->gate->name, g->message);
		return true;
	}
	return false;
}

/* Nobody of the open wave is on his way: what keeps those that wait? */
static void why_not_started(const struct cox_rollout *r, size_t open, struct cox_rollout_why *why)
{
	const struct cox_rollout_wave *w = &r->plan.waves.items[open];
	size_t n = 0, healthy = 0, left = 0;

	if (why_window(r, open, why))
		return;
	COX_VEC_EACH (&r->targets, t) {
		if (t->wave != (int)open)
			continue;
		n++;
		healthy += t->state == COX_TARGET_HEALTHY;
		if (t->state != COX_TARGET_WAITING || rollout_skips(r, t))
			continue;
		left++;
		if (t->awaited) {
			why->target = t;
			say(why, "'%s' on cluster '%s' waits: %s", t->name,
			    t->cluster ? t->cluster : "?", t->message ? t->message : "");
			return;
		}
		if (t->hold) {
			why->target = t;
			why->until_ms =
				t->hold_until_ms == COX_ROLLOUT_FOREVER ? 0 : t->hold_until_ms;
			say(why, "'%s' on cluster '%s' may not start: %s", t->name,
			    t->cluster ? t->cluster : "?", t->hold);
			return;
		}
		if (!t->approved && rollout_needs_approval(r, open)) {
			why->target = t;
			say(why, "'%s' on cluster '%s' joined after the approval, and needs one",
			    t->name, t->cluster ? t->cluster : "?");
			return;
		}
	}
	if (cox_rollout_concurrency(&r->plan, open, n) == 0)
		say(why,
		    r->plan.source == COX_ROLLOUT_STEPS
			    ? "maxUpdate of '%s' is 0: its applications are synced by hand only"
			    : "maxConcurrent of '%s' is 0: its applications are synced by hand "
			      "only",
		    w->name);
	else if (left == 0 && healthy == 0)
		say(why,
		    "of the %zu of '%s' those that are left have failed or are away: a wave needs "
		    "one "
		    "that was seen healthy",
		    n, w->name);
	else
		say(why, "'%s' is about to start", w->name);
}

static void why_open(const struct cox_rollout *r, size_t open, const struct rollout_tally *c,
		     struct cox_rollout_why *why)
{
	const struct cox_rollout_target *t = culprit(r, open, c);

	if (t) {
		blame(r, t, why);
		return;
	}
	why->since_ms = r->waves.items[open].since_ms;
	why_not_started(r, open, why);
}

static void why_late(const struct cox_rollout *r, struct cox_rollout_why *why)
{
	COX_VEC_EACH (&r->targets, t)
		if (t->late && !rollout_skips(r, t) &&
		    (t->state == COX_TARGET_WAITING || t->state == COX_TARGET_MOVING)) {
			why->wave = t->wave;
			blame(r, t, why);
			return;
		}
}

/* It is over, and what it was about is not deployed anew by itself. */
static void why_barred(const struct cox_rollout *r, struct cox_rollout_why *why)
{
	if (!rollout_holds_back(r))
		return;
	why->since_ms = r->finished_ms;
	say(why, "its content is held back until it changes, or until `retry`: %s",
	    r->reason ? r->reason : "it failed");
}

void cox_rollout_why(const struct cox_rollout *r, struct cox_rollout_why *ret_why)
{
	struct cox_rollout_why why = {.wave = -1, .since_ms = r->started_ms};
	struct cox_rollout_probe at;
	struct rollout_tallies c;
	size_t open, front;

	*ret_why = why;
	if (r->phase != COX_ROLLOUT_PROGRESSING) {
		why_barred(r, ret_why);
		return;
	}
	rollout_count(r, &c);
	front = rollout_front(r, &c);
	open = rollout_fallen(r, &c, front);
	if (open < r->waves.n)
		why.wave = (int)open;
	if (r->paused)
		why_paused(r, &why);
	else if (rollout_is_unmatched(r))
		why_unmatched(r, &why);
	else if (open == r->waves.n)
		why_late(r, &why);
	else if (open < front)
		why_open(r, open, &c.waves[open], &why);
	else if (rollout_gate_at(r, &at))
		why_gate((struct cox_rollout *)r, &at, &why);
	else
		why_open(r, open, &c.waves[open], &why);
	*ret_why = why;
}

void cox_rollout_why_text(const struct cox_rollout *r, const struct cox_rollout_why *why,
			  struct cox_buf *out)
{
	char time[COX_TIME_TEXT_MAX];

	if (!*why->message) {
		cox_buf_puts(out, r->reason ? r->reason : "nothing is in the way");
		return;
	}
	if (why->wave >= 0)
		cox_buf_printf(out, "wave %d of %zu ('%s'): ", why->wave + 1, r->plan.waves.n,
			       r->plan.waves.items[why->wave].name);
	cox_buf_puts(out, why->message);
	if (why->since_ms > 0) {
		cox_time_format(why->since_ms, time);
		cox_buf_printf(out, "; since %s", time);
	}
	if (why->until_ms > 0) {
		cox_time_format(why->until_ms, time);
		cox_buf_printf(out, ", until %s", time);
	}
}

/* What the bars of a rollout that is over say of the target. */
static char *barred(const struct cox_rollout *r, const char *uid)
{
	bool joined = !cox_rollout_find(r, uid) && rollout_holds_back(r);

	/* Who joined since then would get nothing else. */
	COX_VEC_EACH (&r->bars, b)
		if (joined || strcmp(b->uid, uid) == 0)
			return cox_asprintf("held back, until it changes or until `retry` of the "
					    "rollout: %s",
					    r->reason ? r->reason : "it failed");
	return NULL;
}

char *cox_rollout_waits(const struct cox_rollout *r, const char *uid)
{
	const struct cox_rollout_target *t = cox_rollout_find(r, uid);
	struct cox_rollout_why why;

	if (t && t->wave < 0 && t->state == COX_TARGET_WAITING)
		return cox_asprintf("the application is in no %s and is synced by hand only",
				    r->plan.source == COX_ROLLOUT_POLICY
					    ? "wave of the rollout policy"
					    : "step of the strategy");
	if (r->phase != COX_ROLLOUT_PROGRESSING)
		return barred(r, uid);
	if (!t || t->state != COX_TARGET_WAITING)
		return NULL;
	cox_rollout_why(r, &why);
	if (why.wave < 0 || why.wave >= t->wave)
		return cox_asprintf("waiting for its turn in wave %d of %zu ('%s'): %s",
				    t->wave + 1, r->plan.waves.n, r->plan.waves.items[t->wave].name,
				    why.message);
	return cox_asprintf("waiting for wave %d of %zu ('%s'); wave %d ('%s') is not done: %s",
			    t->wave + 1, r->plan.waves.n, r->plan.waves.items[t->wave].name,
			    why.wave + 1, r->plan.waves.items[why.wave].name, why.message);
}
