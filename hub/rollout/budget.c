/* How many at one time, and how fast. */
#include "hub/rollout/internal.h"

static int64_t percent(int64_t value)
{
	return value > 100 ? 100 : value;
}

size_t cox_rollout_concurrency(const struct cox_rollout_plan *plan, size_t wave, size_t n)
{
	const struct cox_rollout_amount *a = &plan->waves.items[wave].max_concurrent;
	bool up = plan->source == COX_ROLLOUT_POLICY;
	size_t share;

	if (a->kind == COX_AMOUNT_ALL)
		return n;
	if (a->kind == COX_AMOUNT_COUNT)
		return (size_t)a->value;
	if (a->value == 0)
		return 0;
	share = (n * (size_t)percent(a->value) + (up ? 99 : 0)) / 100;
	return share < 1 ? 1 : share;
}

size_t cox_rollout_tolerance(const struct cox_rollout_plan *plan, size_t wave, size_t n)
{
	const struct cox_rollout_amount *a = &plan->waves.items[wave].max_failures;

	if (a->kind == COX_AMOUNT_ALL)
		return 0;
	if (a->kind == COX_AMOUNT_COUNT)
		return (size_t)a->value;
	return n * (size_t)percent(a->value) / 100;
}

/* ---- starts over time ---- */

static double refill(double tokens, int64_t per_minute, int64_t since_ms, int64_t now_ms)
{
	double burst = per_minute < 120 ? 1 : (double)per_minute / 60;
	double all = tokens;

	if (since_ms == 0)
		return burst;
	if (now_ms > since_ms)
		all += (double)(now_ms - since_ms) * (double)per_minute / 60000;
	return all > burst ? burst : all;
}

static int64_t when(double tokens, int64_t per_minute, int64_t now_ms)
{
	double wait = (1 - tokens) * 60000 / (double)per_minute;

	return tokens >= 1 ? now_ms : now_ms + (int64_t)wait + 1;
}

bool rollout_take_start(struct cox_rollout *r, struct cox_rollout_bucket *all, int64_t now_ms,
			int64_t *ret_again_ms)
{
	int64_t own = r->plan.starts_per_minute, again = now_ms;

	if (all && all->per_minute > 0) {
		all->tokens = refill(all->tokens, all->per_minute, all->at_ms, now_ms);
		all->at_ms = now_ms;
		again = when(all->tokens, all->per_minute, now_ms);
	}
	if (own > 0) {
		int64_t at;

		r->tokens = refill(r->tokens, own, r->tokens_ms, now_ms);
		r->tokens_ms = now_ms;
		at = when(r->tokens, own, now_ms);
		again = at > again ? at : again;
	}
	*ret_again_ms = again;
	if (again > now_ms)
		return false;
	if (all && all->per_minute > 0)
		all->tokens -= 1;
	if (own > 0)
		r->tokens -= 1;
	return true;
}

/* FNV-1a: the same on every run and machine, unlike the hash of maps. */
static uint64_t mix(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3u;
	return h;
}

int64_t rollout_start_ms(const struct cox_rollout *r, const struct cox_rollout_target *t,
			 int64_t open_ms)
{
	int64_t from = t->online_ms > open_ms ? t->online_ms : open_ms;
	struct cox_rng rng;

	if (r->plan.jitter_ms <= 0)
		return from;
	cox_rng_init(&rng, mix(mix(0xcbf29ce484222325u, r->id), t->uid));
	return from + (int64_t)cox_rng_below(&rng, (uint64_t)r->plan.jitter_ms + 1);
}
