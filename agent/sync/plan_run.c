/* The plan at work: which tasks are next, and what comes of them. */
#include "agent/sync/plan.h"

#include <stdlib.h>

static bool same_wave(const struct agent_task *a, const struct agent_task *b)
{
	return a->phase == b->phase && a->wave == b->wave;
}

/* Runs of the same action and kind go together; pruning all at once. */
static bool same_run(const struct agent_task *a, const struct agent_task *b)
{
	if (a->action != b->action)
		return false;
	return a->action == AGENT_ACTION_PRUNE ||
	       (cox_str_eq(a->key.kind, b->key.kind) && cox_str_eq(a->key.group, b->key.group));
}

/* The end of what is to be done as things are. */
static size_t limit_of(const struct agent_plan *plan)
{
	return plan->failing ? plan->tasks.n : plan->fail_begin;
}

static void find_wave(struct agent_plan *plan, size_t begin)
{
	size_t end = begin, limit = limit_of(plan);

	while (end < limit && same_wave(&plan->tasks.items[begin], &plan->tasks.items[end]))
		end++;
	plan->wave_begin = begin;
	plan->wave_end = end;
	plan->due_ms = 0;
}

struct wave_state {
	bool running, waiting, hook_waiting, failed, prune_failed, unconfirmed;
	size_t first_pending;
};

static struct wave_state look(const struct agent_plan *plan)
{
	struct wave_state s = {.first_pending = SIZE_MAX};

	for (size_t i = plan->wave_begin; i < plan->wave_end; i++) {
		const struct agent_task *t = &plan->tasks.items[i];
		bool waiting = t->state == AGENT_TASK_WAITING;
		bool pending = t->state == AGENT_TASK_PENDING;
		bool failed = t->state == AGENT_TASK_FAILED;

		s.running |= t->state == AGENT_TASK_RUNNING;
		s.waiting |= waiting;
		s.hook_waiting |= waiting && t->action == AGENT_ACTION_HOOK;
		s.failed |= failed;
		s.prune_failed |= failed && t->action == AGENT_ACTION_PRUNE;
		s.unconfirmed |= pending && t->needs_confirmation && !plan->approved;
		if (pending && s.first_pending == SIZE_MAX)
			s.first_pending = i;
	}
	return s;
}

/* Of the run that begins at `first`. */
static void give_out(struct agent_plan *plan, size_t first, int64_t now_ms, size_t *ret_begin,
		     size_t *ret_end)
{
	size_t end = first;

	while (end < plan->wave_end && plan->tasks.items[end].state == AGENT_TASK_PENDING &&
	       same_run(&plan->tasks.items[first], &plan->tasks.items[end])) {
		struct agent_task *t = &plan->tasks.items[end++];

		t->state = AGENT_TASK_RUNNING;
		/* nobody has to react to the namespace before the next wave may begin */
		if (!t->creates_namespace)
			plan->due_ms = now_ms + plan->wave_delay_ms;
	}
	*ret_begin = first;
	*ret_end = end;
}

/* The wave has failed, and nothing of it runs. */
static enum agent_plan_step after_failure(const struct agent_plan *plan)
{
	if (plan->failing || plan->fail_begin == plan->tasks.n)
		return AGENT_PLAN_FAILED;
	return AGENT_PLAN_FAILING;
}

enum agent_plan_step agent_plan_next(struct agent_plan *plan, int64_t now_ms, size_t *ret_begin,
				     size_t *ret_end)
{
	for (;;) {
		size_t limit = limit_of(plan);
		enum agent_plan_step over =
			plan->failing ? AGENT_PLAN_FAILED : AGENT_PLAN_SUCCEEDED;

		if (plan->wave_end == plan->wave_begin) {
			if (plan->wave_end == limit)
				return over;
			find_wave(plan, plan->wave_end);
		}
		struct wave_state s = look(plan);

		if (s.running)
			return AGENT_PLAN_WAIT;
		if (s.first_pending != SIZE_MAX && !s.prune_failed) {
			if (s.unconfirmed)
				return AGENT_PLAN_WAIT;
			give_out(plan, s.first_pending, now_ms, ret_begin, ret_end);
			return AGENT_PLAN_RUN;
		}
		if (s.failed)
			return s.hook_waiting ? AGENT_PLAN_WAIT : after_failure(plan);
		if (s.waiting)
			return AGENT_PLAN_WAIT;
		if (plan->wave_end == limit)
			return over;
		if (now_ms < plan->due_ms)
			return AGENT_PLAN_PAUSE;
		find_wave(plan, plan->wave_end);
	}
}

static void say(struct agent_task *t, const char *message)
{
	char *copy = message && *message ? cox_strdup(message) : NULL;

	free(t->message);
	t->message = copy;
}

static void judge(struct agent_task *t, const struct cox_health *health)
{
	switch (health->status) {
	case COX_HEALTH_NONE:
	case COX_HEALTH_HEALTHY:
		t->state = AGENT_TASK_DONE;
		break;
	case COX_HEALTH_DEGRADED:
		t->state = AGENT_TASK_FAILED;
		say(t, health->message[0] ? health->message : "degraded");
		break;
	default:
		t->state = AGENT_TASK_WAITING;
		break;
	}
}

/* Whether the health of what is applied in the wave of task i counts. Of the last wave nothing is
 * waited for, so that what is degraded there doesn't fail the sync either: its health says it. But
 * a hook keeps the last wave open, and then, unless it is the only one, its objects count too. */
static bool is_gated(const struct agent_plan *plan, size_t i)
{
	const struct agent_task *tasks = plan->tasks.items;
	size_t limit = limit_of(plan);

	if (!same_wave(&tasks[i], &tasks[limit - 1]))
		return true;
	return plan->last_has_hooks && !same_wave(&tasks[0], &tasks[plan->tasks.n - 1]);
}

void agent_plan_applied(struct agent_plan *plan, size_t i, const struct cox_health *health)
{
	struct agent_task *t = &plan->tasks.items[i];

	if (t->action == AGENT_ACTION_APPLY && is_gated(plan, i))
		judge(t, health);
	else
		t->state = AGENT_TASK_DONE;
}

void agent_plan_deleting(struct agent_plan *plan, size_t i)
{
	plan->tasks.items[i].state = AGENT_TASK_WAITING;
}

void agent_plan_failed(struct agent_plan *plan, size_t i, const char *message)
{
	plan->tasks.items[i].state = AGENT_TASK_FAILED;
	say(&plan->tasks.items[i], message);
}

void agent_plan_hook(struct agent_plan *plan, size_t i, enum agent_hook_outcome outcome,
		     const char *message)
{
	static const enum agent_task_state states[] = {
		[AGENT_OUTCOME_RUNNING] = AGENT_TASK_WAITING,
		[AGENT_OUTCOME_SUCCEEDED] = AGENT_TASK_DONE,
		[AGENT_OUTCOME_FAILED] = AGENT_TASK_FAILED,
	};
	struct agent_task *t = &plan->tasks.items[i];

	t->state = states[outcome];
	t->is_replacing = false;
	say(t, message);
}

/* While the wave is open, what was healthy once may turn out to be otherwise: a controller may see
 * the change only after we saw the object. */
void agent_plan_observed(struct agent_plan *plan, const char *key_text,
			 const struct cox_health *health)
{
	for (size_t i = plan->wave_begin; i < plan->wave_end; i++) {
		struct agent_task *t = &plan->tasks.items[i];
		bool again = t->state == AGENT_TASK_DONE && t->action == AGENT_ACTION_APPLY &&
			     is_gated(plan, i);

		if ((t->state != AGENT_TASK_WAITING && !again) || t->action == AGENT_ACTION_HOOK ||
		    !cox_streq(t->key_text, key_text))
			continue;
		if (t->action == AGENT_ACTION_PRUNE) {
			if (!health)
				t->state = AGENT_TASK_DONE;
		} else if (!health) {
			agent_plan_failed(plan, i, "is missing, it might have been deleted");
		} else {
			judge(t, health);
		}
	}
}

void agent_plan_approve(struct agent_plan *plan)
{
	plan->approved = true;
}

void agent_plan_fail(struct agent_plan *plan, const char *reason)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	if (!reason)
		agent_plan_describe(plan, &text);
	plan->reason = cox_strdup(reason ? reason : cox_buf_cstr(&text));
	plan->failing = true;
	plan->wave_begin = plan->wave_end = plan->fail_begin;
	plan->due_ms = 0;
}

size_t agent_plan_count(const struct agent_plan *plan, enum agent_task_state state)
{
	size_t n = 0;

	COX_VEC_EACH (&plan->tasks, t)
		n += t->state == state;
	return n;
}

/* ---- in words ---- */

static void describe_key(struct cox_buf *out, struct cox_object_key key)
{
	if (key.group.len)
		cox_buf_printf(out, "%.*s/", COX_STR_ARG(key.group));
	cox_buf_printf(out, "%.*s/%.*s", COX_STR_ARG(key.kind), COX_STR_ARG(key.name));
}

/* What is waited for; NULL: nothing. */
static const char *waits_for(const struct agent_plan *plan, const struct agent_task *t)
{
	if (t->state == AGENT_TASK_RUNNING && t->is_replacing)
		return t->action == AGENT_ACTION_HOOK ? "waiting for deletion of hook "
						      : "waiting for deletion of ";
	if (t->state == AGENT_TASK_PENDING && t->needs_confirmation && !plan->approved)
		return "waiting for pruning confirmation of ";
	if (t->state != AGENT_TASK_WAITING)
		return NULL;
	if (t->action == AGENT_ACTION_HOOK)
		return "waiting for completion of hook ";
	return t->action == AGENT_ACTION_PRUNE ? "waiting for deletion of "
					       : "waiting for healthy state of ";
}

static void describe_waiting(const struct agent_plan *plan, struct cox_buf *out)
{
	const struct agent_task *first = NULL;
	size_t n = 0;

	for (size_t i = plan->wave_begin; i < plan->wave_end; i++) {
		const struct agent_task *t = &plan->tasks.items[i];

		if (!waits_for(plan, t))
			continue;
		first = first ? first : t;
		n++;
	}
	if (!first)
		return;
	if (out->len)
		cox_buf_puts(out, "; ");
	cox_buf_puts(out, waits_for(plan, first));
	describe_key(out, first->key);
	if (n > 1)
		cox_buf_printf(out, " and %zu more %s%s", n - 1,
			       first->action == AGENT_ACTION_HOOK ? "hook" : "resource",
			       n == 2 ? "" : "s");
}

/* The failures from task `begin` on. */
static void describe_failures(const struct agent_plan *plan, size_t begin, struct cox_buf *out)
{
	const struct agent_task *first = NULL;
	size_t n = 0;

	for (size_t i = begin; i < plan->tasks.n; i++) {
		const struct agent_task *t = &plan->tasks.items[i];

		if (t->state != AGENT_TASK_FAILED)
			continue;
		first = first ? first : t;
		n++;
	}
	if (!first)
		return;
	describe_key(out, first->key);
	if (first->message)
		cox_buf_printf(out, ": %s", first->message);
	if (n > 1)
		cox_buf_printf(out, " and %zu more failure%s", n - 1, n == 2 ? "" : "s");
}

void agent_plan_describe(const struct agent_plan *plan, struct cox_buf *out)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	if (plan->failing) {
		COX_CLEANUP(cox_buf_fini) struct cox_buf more = COX_BUF_INIT;

		cox_buf_puts(&text, plan->reason);
		describe_failures(plan, plan->fail_begin, &more);
		if (more.len)
			cox_buf_printf(&text, "; SyncFail: %s", cox_buf_cstr(&more));
	} else {
		describe_failures(plan, 0, &text);
	}
	if (!text.len || plan->failing)
		describe_waiting(plan, &text);
	cox_buf_puts_str(out, cox_buf_str(&text));
}
