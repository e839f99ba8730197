#include "hub/rollout/internal.h"

#include <stdio.h>

/* What holds a wave up most, first. */
static const enum cox_rollout_state severity[] = {COX_TARGET_FAILED, COX_TARGET_BLOCKED,
						  COX_TARGET_MOVING};

static const struct cox_rollout_target *culprit(const struct cox_rollout *r, int wave)
{
	for (size_t s = 0; s < COX_ARRAY_LEN(severity); s++)
		COX_VEC_EACH (&r->targets, t)
			if (t->wave == wave && t->state == severity[s])
				return t;
	return NULL;
}

static const struct {
	const char *verb; /* "%s <verb>" */
} verbs[] = {
	[COX_TARGET_WAITING] = {"waits"},
	[COX_TARGET_MOVING] = {"is on its way"},
	[COX_TARGET_HEALTHY] = {"is well"},
	[COX_TARGET_FAILED] = {"failed"},
	[COX_TARGET_BLOCKED] = {"cannot be deployed"},
};

void cox_rollout_why(const struct cox_rollout *r, struct cox_rollout_why *ret_why)
{
	struct cox_rollout_why why = {.wave = -1, .since_ms = r->started_ms};
	size_t open = cox_rollout_open_wave(r);
	const struct cox_rollout_target *t;

	if (r->phase != COX_ROLLOUT_PROGRESSING || open == r->plan.waves.n) {
		*ret_why = why;
		return;
	}
	why.wave = (int)open;
	t = why.target = culprit(r, (int)open);
	if (t) {
		why.since_ms = t->since_ms;
		snprintf(why.message, sizeof(why.message), "'%s' on cluster '%s' %s%s%s", t->name,
			 t->cluster ? t->cluster : "?", verbs[t->state].verb,
			 t->message ? ": " : "", t->message ? t->message : "");
	} else if (rollout_budget(&r->plan.waves.items[open], 1) == 0) {
		snprintf(why.message, sizeof(why.message),
			 "maxUpdate of '%s' is 0: its applications are synced by hand only",
			 r->plan.waves.items[open].name);
	} else {
		snprintf(why.message, sizeof(why.message), "'%s' is about to start",
			 r->plan.waves.items[open].name);
	}
	*ret_why = why;
}

char *cox_rollout_waits(const struct cox_rollout *r, const char *uid)
{
	const struct cox_rollout_target *t = cox_rollout_find(r, uid);
	struct cox_rollout_why why;

	if (!t || r->phase != COX_ROLLOUT_PROGRESSING || t->state != COX_TARGET_WAITING)
		return NULL;
	if (t->wave < 0)
		return cox_strdup("the application is in no step of the strategy and is synced by "
				  "hand only");
	cox_rollout_why(r, &why);
	if (why.wave >= t->wave)
		return cox_asprintf("waiting for its turn in wave %d of %zu ('%s'): %s",
				    t->wave + 1, r->plan.waves.n, r->plan.waves.items[t->wave].name,
				    why.message);
	return cox_asprintf("waiting for wave %d of %zu ('%s'); wave %d ('%s') is not done: %s",
			    t->wave + 1, r->plan.waves.n, r->plan.waves.items[t->wave].name,
			    why.wave + 1, why.wave < 0 ? "" : r->plan.waves.items[why.wave].name,
			    why.message);
}
