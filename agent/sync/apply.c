#include "agent/sync/apply.h"

#include "agent/sync/migrate.h"
#include "agent/sync/verdict.h"
#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIES 3 /* of what changes under our hands */

/* The namespace that CreateNamespace=true makes: no marks, so that nobody prunes it. */
static struct cox_doc *namespace_object(const struct agent_app *app, struct cox_str name)
{
	const Coxswain__Assignment__V1__Policy *p = app->assignment->policy;
	struct cox_doc *doc = cox_doc_new("namespace");
	struct cox_node *root = cox_doc_map(doc), *metadata = cox_doc_map(doc);
	struct {
		const char *key;
		Coxswain__Assignment__V1__KeyValue **items;
		size_t n;
	} maps[] = {
		{"labels", p ? p->namespace_labels : NULL, p ? p->n_namespace_labels : 0},
		{"annotations", p ? p->namespace_annotations : NULL,
		 p ? p->n_namespace_annotations : 0},
	};

	cox_map_put_cstr(doc, root, "apiVersion", "v1");
	cox_map_put_cstr(doc, root, "kind", "Namespace");
	cox_map_put_str(doc, metadata, COX_STR("name"), cox_doc_string(doc, name));
	for (size_t m = 0; m < COX_ARRAY_LEN(maps); m++) {
		struct cox_node *map = cox_doc_map(doc);

		for (size_t i = 0; i < maps[m].n; i++)
			cox_map_put_cstr(doc, map, maps[m].items[i]->key, maps[m].items[i]->value);
		if (maps[m].n)
			cox_map_put(doc, metadata, maps[m].key, map);
	}
	cox_map_put(doc, root, "metadata", metadata);
	cox_doc_set_root(doc, root);
	return cox_doc_seal(doc);
}

static struct cox_doc *object_of(struct agent_operation *op, const struct agent_task *t)
{
	if (t->object == SIZE_MAX)
		return namespace_object(op->app, t->key.name);
	return cox_doc_ref(op->holder->desired.objects.items[t->object].doc);
}

uint32_t agent_task_options(const struct agent_operation *op, const struct agent_task *t)
{
	uint32_t options = agent_app_options(op->app, op->spec);

	return t->object == SIZE_MAX
		       ? options
		       : options | op->holder->desired.objects.items[t->object].options;
}

/* ---- requests ---- */

/* One of the requests that write an object; done is the last one's. */
static struct agent_call *call_new(struct agent_operation *op, size_t task, bool dry_run, int tries,
				   agent_apply_done *next, agent_apply_done *last)
{
	struct agent_call *call =
		agent_call_new(op->app, op->plan.tasks.items[task].key_text, next);

	call->task = task;
	call->dry_run = dry_run;
	call->tries = tries;
	call->last = last;
	op->n_in_flight++;
	return call;
}

static const struct cox_kube_resource *resource_of(struct agent_operation *op,
						   const struct agent_task *t)
{
	return agent_engine_resource_of(op->app->engine, t->key, t->version);
}

static struct cox_kube_write_options write_options(const struct agent_operation *op, size_t task,
						   bool dry_run)
{
	bool lax = agent_task_options(op, &op->plan.tasks.items[task]) & AGENT_OPT_NO_VALIDATE;

	return (struct cox_kube_write_options){
		.field_manager = AGENT_MANAGER,
		.field_validation = lax ? "Ignore" : "Strict",
		.dry_run = dry_run,
	};
}

enum verb { APPLY, CREATE, UPDATE };

static bool write_object(struct agent_operation *op, size_t task, enum verb verb,
			 struct cox_doc *doc, bool dry_run, int tries, agent_apply_done *next,
			 agent_apply_done *last)
{
	const struct agent_task *t = &op->plan.tasks.items[task];
	struct cox_kube_write_options options = write_options(op, task, dry_run);
	struct cox_kube *kube = op->app->engine->o.kube;
	const struct cox_kube_resource *r = resource_of(op, t);
	_cleanup_free_ char *namespace = cox_str_dup(t->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(t->key.name);
	struct agent_call *call;

	if (!r)
		return false;
	call = call_new(op, task, dry_run, tries, next, last);
	options.force = verb == APPLY;
	if (verb == APPLY)
		call->call = cox_kube_apply(kube, r, namespace, name, cox_doc_root(doc), &options,
					    agent_call_done, call);
	else if (verb == CREATE)
		call->call = cox_kube_create(kube, r, namespace, cox_doc_root(doc), &options,
					     agent_call_done, call);
	else
		call->call = cox_kube_update(kube, r, namespace, name, cox_doc_root(doc), &options,
					     agent_call_done, call);
	return true;
}

/* ---- with a look at what is there ---- */

/* NULL: nothing is to follow, because the operation is gone or ends. */
static struct agent_operation *goes_on(struct agent_call *call)
{
	struct agent_operation *op = call->app->operation;

	if (!op || !op->ending)
		return op;
	op->n_in_flight--;
	agent_engine_queue(call->app);
	return NULL;
}

static bool look(struct agent_operation *op, size_t task, bool dry_run, int tries,
		 agent_apply_done *last);

/* The next step could not be begun. */
static void give_up(struct agent_operation *op, size_t task, const char *message)
{
	agent_plan_failed(&op->plan, task, message);
	agent_engine_queue(op->app);
}

static void lost_kind(struct agent_operation *op, size_t task)
{
	give_up(op, task, "the cluster does not have this kind any more");
}

/* It has changed since we looked. */
static bool look_again(struct agent_operation *op, const struct agent_call *call,
		       const struct cox_kube_answer *answer)
{
	bool changed = answer->reason == COX_KUBE_CONFLICT ||
		       answer->reason == COX_KUBE_ALREADY_EXISTS ||
		       answer->reason == COX_KUBE_NOT_FOUND;

	return changed && call->tries < TRIES &&
	       look(op, call->task, call->dry_run, call->tries + 1, call->last);
}

/* Of an update, a creation, or a move of fields, which need the object to be as it was seen. */
static void written(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_operation *op = goes_on(call);

	if (!op)
		return;
	if (answer->error->code != COX_OK && look_again(op, call, answer))
		op->n_in_flight--;
	else
		call->last(call, answer);
}

static void migrated(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_operation *op = goes_on(call);
	_cleanup_doc_ struct cox_doc *doc = NULL;
	bool sent;

	if (!op)
		return;
	if (answer->error->code != COX_OK) {
		written(call, answer);
		return;
	}
	op->n_in_flight--;
	const struct agent_task *t = &op->plan.tasks.items[call->task];

	/* what is ignored is looked at again: it may be nobody's now */
	if (agent_task_options(op, t) & AGENT_OPT_RESPECT_IGNORE) {
		sent = look(op, call->task, false, call->tries + 1, call->last);
	} else {
		doc = object_of(op, t);
		sent = write_object(op, call->task, APPLY, doc, false, call->tries, call->last,
				    call->last);
	}
	if (!sent)
		lost_kind(op, call->task);
}

/* Makes the fields of others ours, so that what the bundle has no more goes away. */
static bool migrate(struct agent_operation *op, const struct agent_call *before,
		    const struct cox_node *live)
{
	const struct agent_task *t = &op->plan.tasks.items[before->task];
	const struct cox_kube_resource *r = resource_of(op, t);
	_cleanup_doc_ struct cox_doc *patch = agent_migrate_patch(live);
	_cleanup_free_ char *namespace = cox_str_dup(t->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(t->key.name);
	struct agent_call *call;

	if (!r)
		return false;
	call = call_new(op, before->task, false, before->tries, migrated, before->last);
	call->call = cox_kube_patch(
		op->app->engine->o.kube, r, namespace, name, COX_PATCH_JSON, cox_doc_root(patch),
		&(struct cox_kube_write_options){.field_manager = AGENT_MANAGER}, agent_call_done,
		call);
	return true;
}

/* The object in the place of that version of the live one. */
static struct cox_doc *at_version(struct cox_doc *doc, const struct cox_node *live)
{
	struct cox_doc *copy = cox_doc_edit(doc);
	struct cox_node *root = cox_doc_root_edit(copy);

	cox_map_put_str(copy, cox_map_edit_map(copy, root, "metadata"), COX_STR("resourceVersion"),
			cox_doc_string(copy, cox_meta_resource_version(live)));
	return cox_doc_seal(copy);
}

static bool begin_deletion(struct agent_operation *op, const struct agent_call *before,
			   agent_apply_done *last);

/* There is such an object: the rest of what the options ask for. */
static bool write_over(struct agent_operation *op, const struct agent_call *call,
		       struct cox_doc *doc, const struct cox_node *live)
{
	uint32_t options = agent_task_options(op, &op->plan.tasks.items[call->task]);
	_cleanup_doc_ struct cox_doc *put = NULL;

	if (!(options & AGENT_OPT_REPLACE)) {
		bool foreign = !call->dry_run && !(options & AGENT_OPT_NO_MIGRATION) &&
			       agent_migrate_is_needed(live);

		return foreign ? migrate(op, call, live)
			       : write_object(op, call->task, APPLY, doc, call->dry_run,
					      call->tries, call->last, call->last);
	}
	if ((options & AGENT_OPT_FORCE) && !call->dry_run && begin_deletion(op, call, call->last))
		return true;
	put = at_version(doc, live);
	return write_object(op, call->task, UPDATE, put, call->dry_run, call->tries, written,
			    call->last);
}

static bool write_new(struct agent_operation *op, const struct agent_call *call,
		      struct cox_doc *doc)
{
	bool replace =
		agent_task_options(op, &op->plan.tasks.items[call->task]) & AGENT_OPT_REPLACE;

	return write_object(op, call->task, replace ? CREATE : APPLY, doc, call->dry_run,
			    call->tries, replace ? written : call->last, call->last);
}

static void seen(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_operation *op = goes_on(call);
	_cleanup_doc_ struct cox_doc *doc = NULL, *respectful = NULL;
	struct cox_error err;
	bool sent;

	if (!op)
		return;
	if (answer->error->code != COX_OK && answer->reason != COX_KUBE_NOT_FOUND) {
		call->last(call, answer);
		return;
	}
	op->n_in_flight--;
	agent_engine_queue(call->app);
	const struct agent_task *t = &op->plan.tasks.items[call->task];

	doc = object_of(op, t);
	if (answer->error->code == COX_OK && t->object != SIZE_MAX &&
	    (agent_task_options(op, t) & AGENT_OPT_RESPECT_IGNORE)) {
		if (agent_verdict_respect(op->app, t->key_text, doc, answer->doc, &respectful,
					  &err) < 0) {
			give_up(op, call->task, err.message);
			return;
		}
	}
	sent = answer->error->code == COX_OK ? write_over(op, call, respectful ? respectful : doc,
							  cox_doc_root(answer->doc))
					     : write_new(op, call, doc);
	if (!sent)
		lost_kind(op, call->task);
}

static bool look(struct agent_operation *op, size_t task, bool dry_run, int tries,
		 agent_apply_done *last)
{
	const struct agent_task *t = &op->plan.tasks.items[task];
	const struct cox_kube_resource *r = resource_of(op, t);
	_cleanup_free_ char *namespace = cox_str_dup(t->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(t->key.name);
	struct agent_call *call;

	if (!r)
		return false;
	call = call_new(op, task, dry_run, tries, seen, last);
	call->call =
		cox_kube_get(op->app->engine->o.kube, r, namespace, name, agent_call_done, call);
	return true;
}

bool agent_apply_start(struct agent_operation *op, size_t task, bool dry_run,
		       agent_apply_done *done)
{
	const struct agent_task *t = &op->plan.tasks.items[task];
	const struct agent_entry *entry = cox_map_get(&op->app->entries, t->key_text);
	uint32_t options = agent_task_options(op, t);
	bool foreign = entry && entry->live && entry->foreign && !dry_run &&
		       !(options & AGENT_OPT_NO_MIGRATION);
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (foreign || (options & (AGENT_OPT_REPLACE | AGENT_OPT_RESPECT_IGNORE)))
		return look(op, task, dry_run, 0, done);
	doc = object_of(op, t);
	return write_object(op, task, APPLY, doc, dry_run, 0, done, done);
}

/* ---- Force=true ---- */

/* What is there, when it is ours to delete. */
static struct agent_entry *deletable(const struct agent_operation *op, size_t task)
{
	struct agent_entry *entry =
		cox_map_get(&op->app->entries, op->plan.tasks.items[task].key_text);

	return entry && entry->live && entry->marked && entry->object_uid ? entry : NULL;
}

bool agent_apply_may_force(const struct agent_operation *op, size_t task,
			   const struct cox_kube_answer *answer)
{
	const struct agent_task *t = &op->plan.tasks.items[task];

	return t->action == AGENT_ACTION_APPLY && answer->reason == COX_KUBE_INVALID &&
	       (agent_task_options(op, t) & AGENT_OPT_FORCE) && deletable(op, task);
}

static void deletion_begun(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_operation *op = goes_on(call);
	struct agent_task *t;

	if (!op)
		return;
	t = &op->plan.tasks.items[call->task];
	if (answer->error->code == COX_OK) { /* the watch tells when it is gone */
		op->n_in_flight--;
		agent_engine_queue(call->app);
		return;
	}
	t->is_replacing = false;
	written(call, answer);
}

static bool begin_deletion(struct agent_operation *op, const struct agent_call *before,
			   agent_apply_done *last)
{
	struct agent_task *t = &op->plan.tasks.items[before->task];
	const struct cox_kube_resource *r = resource_of(op, t);
	const struct agent_entry *entry = deletable(op, before->task);
	struct cox_kube_delete_options options = COX_KUBE_DELETE_OPTIONS;
	_cleanup_free_ char *namespace = cox_str_dup(t->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(t->key.name);
	char version[24];
	struct agent_call *call;

	if (!r || !entry)
		return false;
	cox_log_info("deleted to be made anew", COX_KV("app", agent_app_name(op->app)),
		     COX_KV("object", t->key_text));
	snprintf(version, sizeof(version), "%llu", (unsigned long long)entry->resource_version);
	options.propagation = "Foreground";
	options.uid = entry->object_uid;
	options.resource_version = entry->resource_version ? version : NULL;
	t->is_replacing = true;
	call = call_new(op, before->task, false, before->tries, deletion_begun, last);
	call->call = cox_kube_delete(op->app->engine->o.kube, r, namespace, name, &options,
				     agent_call_done, call);
	return true;
}

bool agent_apply_force(struct agent_operation *op, const struct agent_call *call,
		       const struct cox_kube_answer *answer)
{
	return !op->ending && agent_apply_may_force(op, call->task, answer) &&
	       begin_deletion(op, call, call->last);
}
