/* The requests of an operation's tasks: trying, applying, pruning. How one object is written: apply.h. */
#include "agent/sync/apply.h"
#include "agent/sync/hook_run.h"
#include "agent/sync/judge.h"
#include "agent/sync/verdict.h"

#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIES 3 /* of what changes under our hands */

static char *describe(const struct agent_task *t, const char *what)
{
	struct cox_buf out = COX_BUF_INIT;

	cox_object_key_describe(&out, t->key);
	cox_buf_printf(&out, ": %s", what);
	return cox_buf_take(&out);
}

/* An answer that says nothing about the object: the server is not there. */
bool agent_answer_is_silence(const struct cox_kube_answer *answer)
{
	return answer->status == 0 || answer->reason == COX_KUBE_UNAVAILABLE ||
	       answer->reason == COX_KUBE_TOO_MANY_REQUESTS || answer->reason == COX_KUBE_TIMEOUT;
}

/* A server that fails is told apart from one that refuses. */
static char *answer_text(const struct cox_kube_answer *answer)
{
	return answer->status >= 500 ? cox_asprintf("the API server answers %d: %s", answer->status,
						    answer->error->message)
				     : cox_strdup(answer->error->message);
}

/* ---- the dry run ---- */

static void dry_run_done(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_operation *op = call->app->operation;

	if (!op)
		return;
	op->n_in_flight--;
	/* an older instance of a hook: it will be gone, and the server has judged the new one */
	bool is_there = op->plan.tasks.items[call->task].action == AGENT_ACTION_HOOK &&
			answer->reason == COX_KUBE_ALREADY_EXISTS;

	if (answer->error->code != COX_OK && !is_there &&
	    !agent_apply_may_force(op, call->task, answer)) {
		op->n_dry_failed++;
		if (agent_answer_is_silence(answer)) {
			op->api_down = true;
			agent_engine_api_failed(call->engine, answer->error->message);
		}
		struct agent_task *t = &op->plan.tasks.items[call->task];

		free(t->message);
		t->message = answer_text(answer);
		if (!op->dry_message)
			op->dry_message = describe(t, t->message);
	}
	agent_engine_queue(call->app);
}

static void try_hook(struct agent_operation *op, size_t i)
{
	const struct agent_task *t = &op->plan.tasks.items[i];
	const struct cox_kube_resource *r =
		agent_engine_resource_of(op->app->engine, t->key, t->version);
	_cleanup_free_ char *namespace = cox_str_dup(t->key.namespace);
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (!r)
		return;
	doc = agent_hook_object(op->hooks, i);
	struct agent_call *call = agent_call_new(op->app, t->key_text, dry_run_done);
	bool lax = agent_task_options(op, t) & AGENT_OPT_NO_VALIDATE;

	call->task = i;
	op->n_in_flight++;
	call->call = cox_kube_create(
		op->app->engine->o.kube, r, namespace, cox_doc_root(doc),
		&(struct cox_kube_write_options){.field_manager = AGENT_HOOK_MANAGER,
						 .field_validation = lax ? "Ignore" : "Strict",
						 .dry_run = true},
		agent_call_done, call);
}

void agent_tasks_dry_run(struct agent_operation *op)
{
	op->stage = AGENT_STAGE_DRY_RUN;
	op->n_dry_failed = 0;
	free(op->dry_message);
	op->dry_message = NULL;
	/* one object alone is tried by being applied */
	if (op->plan.tasks.n == 1 && !op->spec->dry_run)
		return;
	for (size_t i = 0; i < op->plan.tasks.n; i++) {
		const struct agent_task *t = &op->plan.tasks.items[i];

		if (t->skip_dry_run || t->state != AGENT_TASK_PENDING)
			continue;
		if (t->action == AGENT_ACTION_APPLY)
			agent_apply_start(op, i, true, dry_run_done);
		else if (t->action == AGENT_ACTION_HOOK)
			try_hook(op, i);
	}
}

/* ---- applying ---- */

static bool is_definition(const struct agent_task *t)
{
	return cox_str_is(t->key.group, "apiextensions.k8s.io") &&
	       cox_str_is(t->key.kind, "CustomResourceDefinition");
}

static void note_object_uid(struct agent_operation *op, const struct agent_task *t,
			    struct agent_entry *entry)
{
	struct cox_error err;

	if (!entry || !entry->owned || !entry->object_uid)
		return;
	if (agent_store_put_object(op->app->engine->o.store, op->app->uid,
				   &(struct agent_inventory_row){.key_text = t->key_text,
								 .version = t->version,
								 .object_uid = entry->object_uid,
								 .wave = entry->wave,
								 .options = entry->options},
				   &err) < 0)
		cox_log_error("cannot keep inventory", COX_KV("app", agent_app_name(op->app)),
			      COX_KV_ERROR(&err));
}

static void task_failed(struct agent_operation *op, size_t i, const struct cox_kube_answer *answer)
{
	if (agent_answer_is_silence(answer)) {
		op->api_down = true;
		agent_engine_api_failed(op->app->engine, answer->error->message);
	}
	_cleanup_free_ char *text = answer_text(answer);

	agent_plan_failed(&op->plan, i, text);
}

/* Without a plain answer it may have been done or not, whatever was seen meanwhile. */
static void look_at_it(const struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_entry *entry = cox_map_get(&call->app->entries, call->key_text);

	if (entry && (answer->status == 0 || answer->status >= 500 || !answer->doc))
		agent_entry_doubt(entry);
}

static void applied(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_operation *op = call->app->operation;

	if (!op)
		return;
	op->n_in_flight--;
	agent_engine_queue(call->app);
	const struct agent_task *t = &op->plan.tasks.items[call->task];

	if (answer->error->code != COX_OK || !answer->doc) {
		if (agent_apply_force(op, call, answer))
			return;
		look_at_it(call, answer);
		task_failed(op, call->task, answer);
		return;
	}
	agent_engine_api_works(call->engine);
	struct agent_entry *entry = cox_map_get(&call->app->entries, call->key_text);
	bool new_object = !entry || !entry->live;
	struct cox_health health;

	if (entry) {
		if (entry->wanted &&
		    memcmp(op->holder->digest, call->app->digest, COX_SHA256_BYTES) == 0)
			agent_verdict_applied(entry, answer->doc);
		agent_entry_evaluate(entry, answer->doc);
		entry = cox_map_get(&call->app->entries, call->key_text);
	}
	agent_judge_applied(call->engine, entry, answer->doc, &health);
	if (new_object)
		note_object_uid(op, t, entry);
	if (is_definition(t) && health.status != COX_HEALTH_HEALTHY)
		cox_vec_push(&op->establishing, call->task);
	else
		agent_plan_applied(&op->plan, call->task, &health);
	if (is_definition(t) && health.status == COX_HEALTH_HEALTHY)
		agent_engine_rediscover(call->engine, 0);
}

/* Every object is in the inventory before it is applied; one commit for all that go together. */
static int keep_inventory(struct agent_operation *op, size_t begin, size_t finish_at,
			  struct cox_error *err)
{
	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;
	struct agent_store *s = op->app->engine->o.store;
	int code = agent_store_begin(s, &tx, err);

	for (size_t i = begin; code >= 0 && i < finish_at; i++) {
		const struct agent_task *t = &op->plan.tasks.items[i];

		if (t->action != AGENT_ACTION_APPLY || t->object == SIZE_MAX)
			continue;
		const struct agent_object *o = &op->holder->desired.objects.items[t->object];
		struct agent_entry *entry = cox_map_get(&op->app->entries, t->key_text);

		if (entry && entry->owned && entry->live)
			continue;
		code = agent_store_put_object(s, op->app->uid,
					      &(struct agent_inventory_row){.key_text = t->key_text,
									    .version = t->version,
									    .object_uid = "",
									    .wave = o->wave,
									    .options = o->options},
					      err);
		if (code >= 0) {
			if (!entry)
				entry = agent_entry_get(op->app, t->key_text, t->version);
			entry->owned = true;
		}
	}
	return code < 0 ? code : cox_tx_commit(&tx, err);
}

/* ---- pruning ---- */

static void prune_again(struct agent_call *call, const struct cox_kube_answer *answer);

static const char *propagation(const struct agent_operation *op)
{
	uint32_t options = agent_app_options(op->app, op->spec);

	if (options & AGENT_OPT_PROPAGATE_ORPHAN)
		return "Orphan";
	return options & AGENT_OPT_PROPAGATE_BACKGROUND ? "Background" : "Foreground";
}

static void pruned(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_operation *op = call->app->operation;

	if (!op)
		return;
	op->n_in_flight--;
	agent_engine_queue(call->app);
	const struct agent_task *t = &op->plan.tasks.items[call->task];

	if (answer->error->code == COX_OK) {
		cox_log_info("pruned", COX_KV("app", agent_app_name(call->app)),
			     COX_KV("object", t->key_text));
		struct agent_entry *entry = cox_map_get(&call->app->entries, t->key_text);

		if (entry && entry->live) {
			entry->terminating = true;
			agent_plan_deleting(&op->plan, call->task);
		} else { /* the watch was faster than this answer */
			agent_plan_applied(&op->plan, call->task,
					   &(struct cox_health){.status = COX_HEALTH_NONE});
		}
		return;
	}
	if (answer->reason == COX_KUBE_NOT_FOUND) {
		struct agent_entry *entry = cox_map_get(&call->app->entries, t->key_text);

		agent_plan_applied(&op->plan, call->task,
				   &(struct cox_health){.status = COX_HEALTH_NONE});
		if (entry)
			agent_entry_evaluate(entry, NULL);
		return;
	}
	if (answer->reason == COX_KUBE_CONFLICT && call->tries < TRIES) {
		const struct cox_kube_resource *r =
			agent_engine_resource_of(call->engine, t->key, t->version);
		struct agent_call *look = agent_call_new(call->app, t->key_text, prune_again);
		_cleanup_free_ char *namespace = cox_str_dup(t->key.namespace);
		_cleanup_free_ char *name = cox_str_dup(t->key.name);

		look->task = call->task;
		look->tries = call->tries + 1;
		op->n_in_flight++;
		look->call = cox_kube_get(call->engine->o.kube, r, namespace, name, agent_call_done,
					  look);
		return;
	}
	task_failed(op, call->task, answer);
}

static void send_prune(struct agent_operation *op, size_t i, int tries)
{
	const struct agent_task *t = &op->plan.tasks.items[i];
	struct agent_entry *entry = cox_map_get(&op->app->entries, t->key_text);
	const struct cox_kube_resource *r =
		agent_engine_resource_of(op->app->engine, t->key, t->version);

	/* it changed hands, or went, since the plan was made */
	if (!entry || !entry->live || !entry->marked || entry->wanted || !r) {
		agent_plan_applied(&op->plan, i, &(struct cox_health){.status = COX_HEALTH_NONE});
		return;
	}
	_cleanup_free_ char *namespace = cox_str_dup(t->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(t->key.name);
	char version[24];
	struct agent_call *call = agent_call_new(op->app, t->key_text, pruned);
	struct cox_kube_delete_options options = COX_KUBE_DELETE_OPTIONS;

	snprintf(version, sizeof(version), "%llu", (unsigned long long)entry->resource_version);
	options.propagation = propagation(op);
	options.uid = entry->object_uid;
	options.resource_version = entry->resource_version ? version : NULL;
	call->task = i;
	call->tries = tries;
	op->n_in_flight++;
	call->call = cox_kube_delete(op->app->engine->o.kube, r, namespace, name, &options,
				     agent_call_done, call);
}

/* It changed since we looked: look again, and delete only what still is ours. */
static void prune_again(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_operation *op = call->app->operation;

	if (!op)
		return;
	op->n_in_flight--;
	agent_engine_queue(call->app);
	if (op->ending) /* nothing new is begun */
		return;
	struct agent_entry *entry = cox_map_get(&call->app->entries, call->key_text);

	if (answer->error->code != COX_OK && answer->reason != COX_KUBE_NOT_FOUND) {
		task_failed(op, call->task, answer);
		return;
	}
	if (entry)
		agent_entry_evaluate(entry, answer->error->code == COX_OK ? answer->doc : NULL);
	send_prune(op, call->task, call->tries);
}

void agent_tasks_start(struct agent_operation *op, size_t begin, size_t finish_at)
{
	struct cox_error err;

	if (keep_inventory(op, begin, finish_at, &err) < 0) {
		for (size_t i = begin; i < finish_at; i++)
			agent_plan_failed(&op->plan, i, err.message);
		return;
	}
	for (size_t i = begin; i < finish_at; i++) {
		struct agent_task *t = &op->plan.tasks.items[i];

		if (t->action == AGENT_ACTION_PRUNE)
			send_prune(op, i, 0);
		else if (!agent_apply_start(op, i, false, applied))
			agent_plan_failed(&op->plan, i, "the cluster does not have this kind yet");
	}
}

/* What had to be deleted first is gone: now it is made anew. */
void agent_tasks_check_forced(struct agent_operation *op)
{
	if (op->ending)
		return;
	for (size_t i = op->plan.wave_begin; i < op->plan.wave_end; i++) {
		struct agent_task *t = &op->plan.tasks.items[i];
		const struct agent_entry *entry = cox_map_get(&op->app->entries, t->key_text);

		if (t->action != AGENT_ACTION_APPLY || t->state != AGENT_TASK_RUNNING ||
		    !t->is_replacing || !entry || !entry->evaluated || entry->live)
			continue;
		t->is_replacing = false;
		if (!agent_apply_start(op, i, false, applied))
			agent_plan_failed(&op->plan, i, "the cluster does not have this kind yet");
	}
}

/* Definitions count as applied once the server serves their kind. */
void agent_tasks_check_definitions(struct agent_operation *op)
{
	for (size_t i = 0; i < op->establishing.n;) {
		size_t task = op->establishing.items[i];
		const struct agent_task *t = &op->plan.tasks.items[task];
		const struct agent_entry *entry = cox_map_get(&op->app->entries, t->key_text);

		if (entry && entry->live && entry->health == COX_HEALTH_PROGRESSING) {
			i++;
			continue;
		}
		struct cox_health health = {.status = COX_HEALTH_HEALTHY};

		if (!entry || !entry->live)
			agent_plan_failed(&op->plan, task,
					  "is missing, it might have been deleted");
		else if (entry->health == COX_HEALTH_DEGRADED)
			agent_plan_failed(&op->plan, task,
					  entry->health_message ? entry->health_message
								: "degraded");
		else
			agent_plan_applied(&op->plan, task, &health);
		cox_vec_remove(&op->establishing, i);
		agent_engine_rediscover(op->app->engine, 0);
	}
}
