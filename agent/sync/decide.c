#include "agent/sync/decide.h"

#define HEAL_BASE_MS 2000
#define HEAL_MAX_MS  (300 * 1000)
#define PRUNE_FREE   10 /* objects */
#define PRUNE_SHARE  30 /* percent */

bool agent_prune_is_safe(size_t n_extra, size_t n_owned)
{
	return n_extra <= PRUNE_FREE || n_extra * 100 <= n_owned * PRUNE_SHARE;
}

/* 0, 2 s, 6 s, 18 s, … */
static int64_t heal_delay_ms(uint32_t heals)
{
	int64_t delay = HEAL_BASE_MS;

	if (heals == 0)
		return 0;
	for (uint32_t i = 1; i < heals && delay < HEAL_MAX_MS; i++)
		delay *= 3;
	return delay < HEAL_MAX_MS ? delay : HEAL_MAX_MS;
}

int agent_check_prune(size_t n_extra, size_t n_wanted, size_t n_owned, bool allow_empty,
		      struct cox_error *err)
{
	if (n_extra == 0)
		return 0;
	if (!allow_empty && n_wanted == 0)
		return cox_error(
			err, COX_FAILED_PRECONDITION,
			"the sync would delete all %zu objects: set automated.allowEmpty to "
			"permit it",
			n_extra);
	if (!agent_prune_is_safe(n_extra, n_owned))
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "the sync would delete %zu of %zu objects: start it by hand, with "
				 "prune",
				 n_extra, n_owned);
	return 0;
}

static enum agent_decision guard_prune(const struct agent_situation *s, enum agent_decision then,
				       struct cox_error *err)
{
	if (s->prune &&
	    agent_check_prune(s->n_extra, s->n_wanted, s->n_owned, s->allow_empty, err) < 0)
		return AGENT_DO_REFUSE;
	return then;
}

enum agent_decision agent_decide(const struct agent_situation *s, int64_t now_ms,
				 int64_t *ret_due_ms, struct cox_error *err)
{
	if (!s->automated || s->is_deleting || s->operation_runs || !s->has_digest ||
	    !s->out_of_sync)
		return AGENT_DO_NOTHING;
	if (s->n_out_of_sync == 0 && (!s->prune || s->n_extra == 0))
		return AGENT_DO_NOTHING; /* all that differs merely needs pruning, which is not to be */
	if (!s->synced_before)
		return guard_prune(s, AGENT_DO_SYNC, err);
	if (s->last_failed) {
		if (s->changed_since)
			return guard_prune(s, AGENT_DO_SYNC, err);
		cox_error(err, COX_FAILED_PRECONDITION, "%s",
			  s->last_message && *s->last_message ? s->last_message
							      : "the last sync failed");
		return AGENT_DO_REFUSE;
	}
	if (!s->self_heal)
		return AGENT_DO_NOTHING;
	int64_t due = s->last_heal_ms + heal_delay_ms(s->heals);

	if (s->heals > 0 && now_ms < due) {
		*ret_due_ms = due;
		return AGENT_DO_WAIT;
	}
	return guard_prune(s, AGENT_DO_HEAL, err);
}

void agent_retry_defaults(struct agent_retry *r)
{
	if (r->duration_ms <= 0)
		r->duration_ms = 5000;
	if (r->factor <= 0)
		r->factor = 2;
	if (r->max_duration_ms <= 0)
		r->max_duration_ms = 180 * 1000;
}

int64_t agent_retry_delay_ms(const struct agent_retry *r, uint32_t retry_count)
{
	int64_t delay = r->duration_ms;

	for (uint32_t i = 0; i < retry_count && delay < r->max_duration_ms; i++)
		delay *= r->factor;
	return delay < r->max_duration_ms ? delay : r->max_duration_ms;
}
