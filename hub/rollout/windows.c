/* Windows in time: those of one list decide together, as an AppProject's sync windows do. One that
 * denies and is open closes; else one that allows and is open opens; else those that allow, if there
 * are any, close. */
#include "common/base/clock.h"
#include "hub/rollout/internal.h"

#define LOOK_AGAIN_MS 60000

struct sum {
	bool denied, allowed, allows, unknown;
	int64_t denied_until_ms, until_ms;
	const struct cox_rollout_gate *deny;
	struct cox_error err;
};

static int zone_of(const struct cox_rollout_env *env, const char *name,
		   const struct cox_zone **ret_zone, struct cox_error *err)
{
	*ret_zone = NULL;
	if (!*name || strcmp(name, "UTC") == 0)
		return 0;
	if (!env || !env->zone)
		return cox_error(err, COX_NOT_FOUND, "no time zones are known here");
	return env->zone(env->ctx, name, ret_zone, err);
}

static void add(struct sum *sum, const struct cox_rollout_gate *g,
		const struct cox_rollout_env *env, int64_t now_ms)
{
	const struct cox_zone *zone = NULL;
	int64_t edge_s = COX_ROLLOUT_FOREVER, edge_ms;
	bool in;

	if (zone_of(env, g->window.zone, &zone, &sum->err) < 0) {
		sum->unknown = true;
		return;
	}
	in = cox_cron_is_within(&g->window.cron, zone, g->window.duration_ms / 1000, now_ms / 1000,
				&edge_s);
	edge_ms = edge_s == COX_ROLLOUT_FOREVER ? COX_ROLLOUT_FOREVER : edge_s * 1000;
	if (edge_ms < sum->until_ms)
		sum->until_ms = edge_ms;
	if (g->window.deny) {
		if (in && !sum->denied)
			sum->deny = g;
		sum->denied = sum->denied || in;
		return;
	}
	sum->allows = true;
	sum->allowed = sum->allowed || in;
}

static char *closed_until(const struct sum *sum)
{
	char text[COX_TIME_TEXT_MAX] = "";

	if (sum->until_ms != COX_ROLLOUT_FOREVER)
		cox_time_format(sum->until_ms, text);
	if (sum->unknown)
		return cox_strdup(sum->err.message);
	if (sum->denied)
		return cox_asprintf("closed by the window '%s' that denies%s%s",
				    sum->deny->window.schedule,
				    *text ? "; looked at again at " : "", text);
	return cox_asprintf("no window is open%s%s", *text ? "; looked at again at " : "", text);
}

void rollout_windows(const struct cox_rollout *r, const struct cox_rollout_env *env, size_t wave,
		     bool after, int64_t now_ms, struct rollout_window *ret)
{
	const struct cox_rollout_wave *w = &r->plan.waves.items[wave];
	const struct cox_rollout_wave_run *run = &r->waves.items[wave];
	size_t n = after ? w->after.n : w->before.n;
	struct sum sum = {.until_ms = COX_ROLLOUT_FOREVER};

	for (size_t i = 0; i < n; i++) {
		const struct cox_rollout_gate *g = after ? &w->after.items[i] : &w->before.items[i];
		const struct cox_rollout_gate_run *gr =
			after ? &run->after.items[i] : &run->before.items[i];

		/* Skipped because nothing changed, or by a person: it does not count any more. */
		if (g->kind == COX_GATE_WINDOW && gr->state != COX_GATE_SKIPPED)
			add(&sum, g, env, now_ms);
	}
	*ret = (struct rollout_window){.until_ms = sum.until_ms};
	if (sum.unknown && now_ms + LOOK_AGAIN_MS < ret->until_ms)
		ret->until_ms = now_ms + LOOK_AGAIN_MS;
	ret->open = !sum.unknown && !sum.denied && (sum.allowed || !sum.allows);
	if (!ret->open)
		ret->message = closed_until(&sum);
}
