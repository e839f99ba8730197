/* What an operation tells of itself: to the hub, and to the store. */
#include "agent/sync/hook_run.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

#define PHASE(name) COXSWAIN__REPORT__V1__PHASE__##name

static Coxswain__Report__V1__ResourceResult *add_result(Coxswain__Report__V1__OperationState *s,
							struct cox_arena *arena,
							struct cox_object_key key,
							const char *version, enum agent_phase phase,
							const char *message)
{
	Coxswain__Report__V1__ResourceKey *k = cox_arena_calloc(arena, sizeof(*k));
	Coxswain__Report__V1__ResourceResult *r = cox_arena_calloc(arena, sizeof(*r));

	coxswain__report__v1__resource_result__init(r);
	coxswain__report__v1__resource_key__init(k);
	k->group = cox_arena_strndup(arena, key.group.ptr, key.group.len);
	k->version = cox_arena_strndup(arena, version, strlen(version));
	k->kind = cox_arena_strndup(arena, key.kind.ptr, key.kind.len);
	k->namespace_ = cox_arena_strndup(arena, key.namespace.ptr, key.namespace.len);
	k->name = cox_arena_strndup(arena, key.name.ptr, key.name.len);
	r->key = k;
	r->sync_phase = (char *)agent_phase_name(phase);
	r->message = message ? cox_arena_strndup(arena, message, strlen(message)) : (char *)"";
	s->results[s->n_results++] = r;
	return r;
}

static void add_task_result(Coxswain__Report__V1__OperationState *s, struct cox_arena *arena,
			    const struct agent_task *t)
{
	Coxswain__Report__V1__ResourceResult *r =
		add_result(s, arena, t->key, t->version, t->phase, t->message);

	if (t->action == AGENT_ACTION_HOOK)
		r->hook_phase = (char *)(t->state == AGENT_TASK_FAILED ? "Failed"
					 : t->state == AGENT_TASK_DONE ? "Succeeded"
								       : "Running");
	if (t->state == AGENT_TASK_FAILED)
		r->status = (char *)"SyncFailed";
	else if (t->action == AGENT_ACTION_PRUNE)
		r->status = (char *)(t->state == AGENT_TASK_SKIPPED ? "PruneSkipped" : "Pruned");
	else
		r->status = (char *)"Synced";
}

/* Of a hook that no plan knows: it was made before a restart, and is only to be ended. */
static void add_hook_result(Coxswain__Report__V1__OperationState *s, struct cox_arena *arena,
			    const struct agent_hook *h)
{
	Coxswain__Report__V1__ResourceResult *r =
		add_result(s, arena, h->key, h->version, h->phase, h->message);

	r->hook_phase = (char *)(h->state == AGENT_HOOK_ENDED_BADLY  ? "Failed"
				 : h->state == AGENT_HOOK_ENDED_WELL ? "Succeeded"
								     : "Running");
	r->status = (char *)(h->state == AGENT_HOOK_ENDED_BADLY ? "SyncFailed" : "Synced");
}

static void add_results(Coxswain__Report__V1__OperationState *s, struct cox_arena *arena,
			const struct agent_operation *op)
{
	size_t n_hooks = op->hooks ? op->hooks->items.n : 0;

	s->results =
		cox_arena_calloc(arena, (op->plan.tasks.n + n_hooks + 1) * sizeof(*s->results));
	COX_VEC_EACH (&op->plan.tasks, t)
		if (t->state != AGENT_TASK_PENDING && t->state != AGENT_TASK_RUNNING &&
		    s->n_results < COX_LIMIT_REPEATED)
			add_task_result(s, arena, t);
	for (size_t i = 0; i < n_hooks; i++) {
		const struct agent_hook *h = op->hooks->items.items[i];

		if (h->task == SIZE_MAX && s->n_results < COX_LIMIT_REPEATED)
			add_hook_result(s, arena, h);
	}
}

static bool is_over(const struct agent_operation *op)
{
	return op->ending && op->n_in_flight == 0 &&
	       (!op->hooks || agent_hooks_are_over(op->hooks));
}

void agent_operation_state(const struct agent_operation *op, struct cox_arena *arena,
			   Coxswain__Report__V1__OperationState *s)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	coxswain__report__v1__operation_state__init(s);
	s->id = op->spec->id;
	s->phase = is_over(op) ? op->end_phase : op->ending ? PHASE(TERMINATING) : PHASE(RUNNING);
	if (op->ending)
		cox_buf_puts(&text, op->end_message);
	else if (op->stage == AGENT_STAGE_PAUSE)
		cox_buf_printf(&text, "%s; will be tried again", op->message);
	else if (op->planned)
		agent_plan_describe(&op->plan, &text);
	s->message = cox_arena_strndup(arena, cox_buf_cstr(&text), text.len);
	s->started_ms = op->started_ms;
	s->finished_ms = is_over(op) ? cox_clock_wall_ms() : 0;
	s->retry_count = op->retry_count;
	s->attempt = op->retry_count + 1;
	s->digest.data = (uint8_t *)op->digest;
	s->digest.len = COX_SHA256_BYTES;
	s->initiated_by = op->spec->initiated_by;
	add_results(s, arena, op);
}
