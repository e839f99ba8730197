/* What becomes of each request: a mix that is drawn anew for every seed, so that some see one kind
 * of fault only and some see all of them. */
#include "tests/sim/agent/world.h"

#include <stdio.h>
#include <string.h>

/* Most kinds are absent in most seeds. */
static int rate(int percent, int most)
{
	return sim_chance(&w.net_rng, percent) ? (int)sim_between(&w.net_rng, 1, most) : 0;
}

void sim_faults_draw(void)
{
	struct sim_rates *r = &w.rates;

	r->latency_ms = sim_between(&w.net_rng, 1, sim_chance(&w.net_rng, 20) ? 2000 : 40);
	r->lag_ms = sim_chance(&w.net_rng, 30) ? sim_between(&w.net_rng, 1, 5000) : 5;
	if (w.o.calm)
		return;
	r->too_many = rate(25, 60);
	r->internal = rate(25, 60);
	r->unavailable = rate(25, 60);
	r->timeout = rate(20, 30);
	r->lost = rate(25, 60);
	r->answer_lost = rate(30, 80);
	r->hang = rate(12, 15);
	r->answer_hang = rate(12, 15);
	r->torn = rate(20, 30);
	r->conflict = rate(20, 60);
	r->forbidden = rate(15, 30);
	r->denied = rate(15, 30);
	r->watch_cut = rate(40, 400);
	r->watch_torn = rate(30, 300);
	r->watch_gone = rate(30, 300);
	r->store = rate(15, 40);
	r->cut_arrives = sim_chance(&w.net_rng, 50);
}

static bool strikes(int per_thousand)
{
	return per_thousand && (int)cox_rng_below(&w.net_rng, 1000) < per_thousand;
}

static bool answer(struct virtual_fate *fate, int status, const char *reason)
{
	fate->status = status;
	fate->reason = reason;
	return true;
}

static bool strike_watch(struct virtual_fate *fate)
{
	const struct sim_rates *r = &w.rates;

	fate->watch_expires = strikes(r->watch_gone);
	fate->watch_torn = strikes(r->watch_torn);
	if (fate->watch_expires || strikes(r->watch_cut))
		fate->watch_ms = sim_between(&w.net_rng, 1, 20000);
	if (fate->watch_torn || strikes(r->watch_cut))
		fate->watch_events = (int)sim_between(&w.net_rng, 0, 6);
	return fate->watch_ms || fate->watch_events >= 0;
}

static bool is_write(const struct virtual_request *r)
{
	return strcmp(r->method, "GET") != 0;
}

static bool strike(const struct virtual_request *q, struct virtual_fate *fate)
{
	const struct sim_rates *r = &w.rates;

	if (*w.refused_plural && strstr(q->path, w.refused_plural))
		return answer(fate, 403, "Forbidden");
	if (strikes(r->too_many)) {
		fate->retry_after_s = (int)sim_between(&w.net_rng, 0, 3);
		return answer(fate, 429, "TooManyRequests");
	}
	if (strikes(r->internal))
		return answer(fate, 500, "InternalError");
	if (strikes(r->unavailable))
		return answer(fate, 503, "ServiceUnavailable");
	if (strikes(r->timeout))
		return answer(fate, 504, "Timeout");
	if (strikes(r->lost))
		return fate->lost = true;
	if (strikes(r->answer_lost))
		return fate->answer_lost = true;
	if (strikes(r->hang))
		return fate->hangs = true;
	if (strikes(r->answer_hang))
		return fate->answer_hangs = true;
	if (strikes(r->torn) && !q->streams)
		return fate->answer_torn = true;
	if (is_write(q) && strikes(r->conflict))
		return answer(fate, 409, "Conflict");
	if (is_write(q) && strikes(r->denied))
		return answer(fate, 400, "BadRequest");
	if (strikes(r->forbidden)) /* a quota, or rights that come and go */
		return answer(fate, 403, "Forbidden");
	return q->streams && strike_watch(fate);
}

void sim_fate(void *ctx, const struct virtual_request *r, struct virtual_fate *fate)
{
	(void)ctx;
	w.stats.requests++;
	if (w.dead) { /* the process is gone: nothing leaves it any more */
		fate->lost = true;
		return;
	}
	w.stats.writes += is_write(r);
	sim_check_sent(r);
	fate->there_ms = sim_between(&w.net_rng, 0, w.rates.latency_ms);
	fate->back_ms = sim_between(&w.net_rng, 0, w.rates.latency_ms);
	fate->watch_lag_ms = sim_between(&w.net_rng, 0, w.rates.lag_ms);
	fate->cut_arrives = w.rates.cut_arrives || w.o.crash_after;
	if (w.calm || w.o.calm)
		;
	else if (w.outage)
		fate->lost = true;
	else
		w.stats.faults += strike(r, fate);
	sim_trace("agent: #%llu %s %s%s%s -> %d%s%s%s%s%s", (unsigned long long)r->id, r->method,
		  r->path, *r->query ? "?" : "", r->query, fate->status, fate->lost ? " lost" : "",
		  fate->answer_lost ? " answer lost" : "", fate->hangs ? " hangs" : "",
		  fate->answer_hangs ? " answer hangs" : "", fate->answer_torn ? " torn" : "");
}
