/* Planted bugs: the ways in which a hub like this one has gone wrong, or could. Each is a change of
 * what one function of the hub does, made by the linker, so that the hub itself has no switch for it. */
#include "tests/sim/hub/world.h"

#include "common/ctl/stamp.h"
#include "hub/control/internal.h"
#include "hub/rollout/internal.h"

#include <string.h>

static bool stale_health, impatient, one_more, one_failure_more, no_gates, no_windows, any_approval,
	no_failures, first_wave, mixed, no_epoch, no_guard, no_pause, short_soak, always_there,
	job_again, blind_resume, unsynced, old_operation, no_bars, any_time, no_rate, no_holds,
	forgotten;

const struct sim_bug sim_bugs[] = {
	{"stale-health", "the newest report counts, whatever it is about", &stale_health},
	{"unsynced", "health counts before what it is the health of is synced", &unsynced},
	{"operation", "the operation that moved a target need not have succeeded", &old_operation},
	{"impatient", "what waits for the disk does not wait for it", &impatient},
	{"budget", "one target more than may be is on its way", &one_more},
	{"tolerance", "one more may fail than may", &one_failure_more},
	{"failures", "nothing reacts to failures", &no_failures},
	{"gates", "gates let everything pass", &no_gates},
	{"windows", "windows are always open", &no_windows},
	{"approval", "an approval counts for whatever waits now", &any_approval},
	{"soak", "a soak is a quarter of what it shall be", &short_soak},
	{"pause", "a pause is noted, and nothing is paused", &no_pause},
	{"job", "a gate's job is another one each time that it is asked for", &job_again},
	{"wave", "everybody is in the first wave", &first_wave},
	{"mixed", "a newer content joins the rollout that is under way", &mixed},
	{"bars", "what failed is deployed again", &no_bars},
	{"supersede", "a newer revision takes over at any time", &any_time},
	{"rate", "starts have no rate", &no_rate},
	{"holds", "a project's windows hold nobody", &no_holds},
	{"away", "a cluster that is away counts as there", &always_there},
	{"forgotten", "who is away when his turn has not come is a target no more", &forgotten},
	{"deletions", "deletions have no budget", &no_guard},
	{"epoch", "an older copy of the state goes on in its old epoch", &no_epoch},
	{"resume", "an agent that comes back is believed to have everything", &blind_resume},
};
const size_t sim_n_bugs = COX_ARRAY_LEN(sim_bugs);

#define WRAP(type, name, ...)                                                                      \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	_Static_assert(                                                                            \
		__builtin_types_compatible_p(__typeof__(&__wrap_##name), __typeof__(&name)),       \
		#name " has changed");                                                             \
	type __wrap_##name(__VA_ARGS__)

WRAP(const hub_report *, hub_fleet_report, const struct hub_fleet *f, const char *cluster,
     const char *app_uid)
{
	return stale_health ? hub_fleet_last_report(f, cluster, app_uid)
			    : __real_hub_fleet_report(f, cluster, app_uid);
}

WRAP(int, cox_rollout_observe, struct cox_rollout *r, const char *uid,
     const struct cox_rollout_report *p, int64_t now_ms)
{
	const struct cox_rollout_target *t = cox_rollout_find(r, uid);
	struct cox_rollout_report copy = *p;

	if (stale_health && t) {
		copy.epoch = t->epoch;
		copy.generation = t->generation;
		copy.sync_digest = t->digest;
		copy.operation_digest = t->digest;
	}
	if (unsynced)
		copy.synced = true;
	if (old_operation && copy.operation_phase == COX_OP_RUNNING) {
		copy.operation_phase = COX_OP_SUCCEEDED;
		copy.operation = t ? t->operation : NULL;
	}
	return __real_cox_rollout_observe(r, uid, &copy, now_ms);
}

WRAP(void, hub_batch_after, struct hub_batch *b, void (*fn)(void *arg), void *arg,
     void (*free_arg)(void *arg))
{
	__real_hub_batch_after(b, fn, arg, free_arg);
	if (impatient && w.control)
		fn(arg);
}

WRAP(size_t, cox_rollout_concurrency, const struct cox_rollout_plan *plan, size_t wave, size_t n)
{
	return __real_cox_rollout_concurrency(plan, wave, n) + one_more;
}

WRAP(size_t, cox_rollout_tolerance, const struct cox_rollout_plan *plan, size_t wave, size_t n)
{
	return __real_cox_rollout_tolerance(plan, wave, n) + one_failure_more;
}

WRAP(bool, rollout_check_failures, struct rollout_step *s)
{
	return no_failures ? false : __real_rollout_check_failures(s);
}

WRAP(bool, rollout_gates_pass, struct rollout_step *s, size_t wave, bool after,
     ptrdiff_t *ret_failed)
{
	return no_gates || __real_rollout_gates_pass(s, wave, after, ret_failed);
}

WRAP(void, rollout_windows, const struct cox_rollout *r, const struct cox_rollout_env *env,
     size_t wave, bool after, int64_t now_ms, struct rollout_window *ret)
{
	__real_rollout_windows(r, env, wave, after, now_ms, ret);
	if (!no_windows)
		return;
	free(ret->message);
	ret->message = NULL;
	ret->open = true;
}

WRAP(int, cox_rollout_approve, struct cox_rollout *r, const char *by,
     const uint8_t digest[COX_ROLLOUT_DIGEST], int64_t now_ms, struct cox_error *err)
{
	uint8_t now[COX_ROLLOUT_DIGEST];

	for (size_t i = 0; any_approval && i < r->waves.n; i++)
		if (cox_rollout_approval_digest(r, i, now))
			return __real_cox_rollout_approve(r, by, now, now_ms, err);
	return __real_cox_rollout_approve(r, by, digest, now_ms, err);
}

WRAP(int, cox_rollout_pause, struct cox_rollout *r, const char *by, int64_t now_ms,
     struct cox_error *err)
{
	int code = __real_cox_rollout_pause(r, by, now_ms, err);

	if (no_pause)
		r->paused = false;
	return code;
}

WRAP(int, rollout_policy_parse, const struct cox_node *spec, struct cox_rollout_plan *plan,
     struct cox_error *err)
{
	int code = __real_rollout_policy_parse(spec, plan, err);

	if (code == 0 && short_soak)
		COX_VEC_EACH (&plan->waves, wave)
			COX_VEC_EACH (&wave->after, g)
				g->soak_ms /= 4;
	return code;
}

WRAP(int, cox_rollout_plan_wave, const struct cox_rollout_plan *plan,
     const struct cox_rollout_member *m, int *ret_also)
{
	int wave = __real_cox_rollout_plan_wave(plan, m, ret_also);

	return first_wave && wave > 0 ? 0 : wave;
}

WRAP(enum cox_rollout_difference, cox_rollout_compare, const struct cox_rollout *r,
     const struct cox_rollout_plan *plan, const struct cox_rollout_member *members, size_t n)
{
	enum cox_rollout_difference d = __real_cox_rollout_compare(r, plan, members, n);

	return mixed && d == COX_ROLLOUT_CONTENT ? COX_ROLLOUT_MEMBERS : d;
}

WRAP(int, cox_rollout_reach, struct cox_rollout *r, const char *uid, bool online,
     const char *message, int64_t now_ms)
{
	const struct cox_rollout_target *t = cox_rollout_find(r, uid);

	if (forgotten && !online && t && t->state == COX_TARGET_WAITING)
		return cox_rollout_remove(r, uid, now_ms);
	return __real_cox_rollout_reach(r, uid, online || always_there, message, now_ms);
}

WRAP(int, cox_rollout_hold, struct cox_rollout *r, const char *uid, const char *message,
     int64_t until_ms, int64_t now_ms)
{
	return __real_cox_rollout_hold(r, uid, no_holds ? NULL : message, until_ms, now_ms);
}

/* Neither the whole nor the target that failed itself. */
WRAP(bool, cox_rollout_is_barred, const struct cox_rollout *r,
     const struct cox_rollout_member *members, size_t n)
{
	return !no_bars && __real_cox_rollout_is_barred(r, members, n);
}

WRAP(bool, rollout_is_bar, const struct cox_rollout *r, const struct cox_rollout_target *t)
{
	return !no_bars && __real_rollout_is_bar(r, t);
}

WRAP(bool, cox_rollout_may_supersede, const struct cox_rollout *r, int64_t now_ms,
     int64_t *ret_again_ms)
{
	return __real_cox_rollout_may_supersede(r, now_ms, ret_again_ms) || any_time;
}

WRAP(bool, rollout_take_start, struct cox_rollout *r, struct cox_rollout_bucket *all,
     int64_t now_ms, int64_t *ret_again_ms)
{
	if (!no_rate)
		return __real_rollout_take_start(r, all, now_ms, ret_again_ms);
	*ret_again_ms = now_ms;
	return true;
}

WRAP(bool, control_guard_deletions, struct hub_control *c, struct hub_batch *batch,
     struct control_object *set, const cox_strings *dropped, size_t n_owned)
{
	return no_guard || __real_control_guard_deletions(c, batch, set, dropped, n_owned);
}

WRAP(int, hub_fleet_assign, struct hub_fleet *f, struct hub_batch *batch, const char *cluster,
     const hub_assignment *want)
{
	Coxswain__Assignment__V1__Operation op;
	hub_assignment copy = *want;

	if (!job_again || !want->operation ||
	    strcmp(want->operation->initiated_by, "rollout gate") != 0)
		return __real_hub_fleet_assign(f, batch, cluster, want);
	op = *want->operation;
	char id[COX_UUID_TEXT];
	cox_uuid_new(id);
	op.id = id;
	copy.operation = &op;
	return __real_hub_fleet_assign(f, batch, cluster, &copy);
}

WRAP(uint64_t, hub_store_epoch, const struct hub_store *s)
{
	return no_epoch ? 1 : __real_hub_store_epoch(s);
}

WRAP(void, cox_stamps_digest, struct cox_stamp *stamps, size_t n,
     uint8_t ret_digest[COX_SHA256_BYTES])
{
	__real_cox_stamps_digest(stamps, n, ret_digest);
	if (blind_resume)
		memset(ret_digest, 0, COX_SHA256_BYTES);
}
