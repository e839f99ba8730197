#include "agent/sync/app.h"
#include "agent/sync/judge.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/ctl/stamp.h"

#include <stdlib.h>

#define PROBE_MS	2000
#define MISSING_KIND_MS 30000

static void turn(void *arg);

/* ---- small things ---- */

bool agent_digest_is_set(const uint8_t digest[COX_SHA256_BYTES])
{
	for (size_t i = 0; i < COX_SHA256_BYTES; i++)
		if (digest[i])
			return true;
	return false;
}

int64_t agent_engine_now(const struct agent_engine *e)
{
	return cox_loop_now_ms(e->o.loop);
}

struct agent_app *agent_engine_find(struct agent_engine *e, const char *uid)
{
	return cox_map_get(&e->apps, uid);
}

void agent_engine_queue(struct agent_app *app)
{
	struct agent_engine *e = app->engine;

	app->queued = true;
	if (!e->is_freed)
		cox_loop_send(e->o.loop, &e->turn);
}

void agent_app_wake(void *arg)
{
	agent_engine_queue(arg);
}

uint32_t agent_app_options(const struct agent_app *app, const agent_operation_spec *spec)
{
	const Coxswain__Assignment__V1__Policy *policy =
		app->assignment ? app->assignment->policy : NULL;
	uint32_t options = 0;

	for (size_t i = 0; policy && i < policy->n_sync_options; i++)
		options |= agent_option_parse(cox_str(policy->sync_options[i]));
	for (size_t i = 0; app->tombstone && i < app->tombstone->n_sync_options; i++)
		options |= agent_option_parse(cox_str(app->tombstone->sync_options[i]));
	for (size_t i = 0; spec && i < spec->n_sync_options; i++)
		options |= agent_option_parse(cox_str(spec->sync_options[i]));
	if (spec && spec->force)
		options |= AGENT_OPT_FORCE;
	return options;
}

/* ---- requests ---- */

struct agent_call *agent_call_new_of(struct agent_engine *e, struct agent_app *app,
				     const char *key_text,
				     void (*done)(struct agent_call *call,
						  const struct cox_kube_answer *answer))
{
	struct agent_call *call = cox_new(struct agent_call);

	call->engine = e;
	call->app = app;
	call->key_text = cox_strdup(key_text);
	call->done = done;
	cox_vec_push(&e->calls, call);
	return call;
}

struct agent_call *agent_call_new(struct agent_app *app, const char *key_text,
				  void (*done)(struct agent_call *call,
					       const struct cox_kube_answer *answer))
{
	return agent_call_new_of(app->engine, app, key_text, done);
}

static void call_free(struct agent_call *call)
{
	free(call->key_text);
	free(call);
}

void agent_call_done(void *arg, const struct cox_kube_answer *answer)
{
	struct agent_call *call = arg;
	struct agent_engine *e = call->engine;

	for (size_t i = 0; i < e->calls.n; i++) {
		if (e->calls.items[i] == call) {
			e->calls.items[i] = e->calls.items[--e->calls.n];
			break;
		}
	}
	call->done(call, answer);
	call_free(call);
}

void agent_calls_cancel(struct agent_engine *e, struct agent_app *app)
{
	for (size_t i = 0; i < e->calls.n;) {
		struct agent_call *call = e->calls.items[i];

		if (app && call->app != app) {
			i++;
			continue;
		}
		e->calls.items[i] = e->calls.items[--e->calls.n];
		cox_kube_cancel(call->call);
		call_free(call);
	}
}

void agent_calls_cancel_of(struct agent_engine *e, const void *arg)
{
	for (size_t i = 0; i < e->calls.n;) {
		struct agent_call *call = e->calls.items[i];

		if (call->arg != arg) {
			i++;
			continue;
		}
		e->calls.items[i] = e->calls.items[--e->calls.n];
		cox_kube_cancel(call->call);
		call_free(call);
	}
}

/* ---- the API server's state ---- */

void agent_engine_queue_all(struct agent_engine *e)
{
	COX_MAP_EACH (&e->apps, slot)
		agent_engine_queue(slot->value);
}

/* A watch that goes on where it was says nothing: so somebody has to ask whether the server is
 * back. */
static void probed(void *arg, const struct cox_kube_answer *answer)
{
	struct agent_engine *e = arg;

	e->probe_call = NULL;
	if (answer->status != 0 && !agent_answer_is_silence(answer))
		agent_engine_api_works(e);
	else if (e->api_error)
		cox_timer_start(&e->probe, PROBE_MS);
}

static void probe(void *arg)
{
	struct agent_engine *e = arg;

	if (e->api_error && !e->probe_call)
		e->probe_call =
			cox_kube_send(e->o.kube, &(struct cox_kube_request){.method = "GET",
									    .path = "/version",
									    .no_retry = true,
									    .timeout_ms = 5000,
									    .done = probed,
									    .arg = e});
}

void agent_engine_api_failed(struct agent_engine *e, const char *message)
{
	if (!cox_timer_is_running(&e->probe) && !e->probe_call)
		cox_timer_start(&e->probe, PROBE_MS);
	if (e->api_error)
		return;
	e->api_error = cox_asprintf("the cluster's API does not answer: %s", message);
	cox_log_warn("cluster API does not answer", COX_KV("error", message));
	agent_engine_queue_all(e);
}

void agent_engine_api_works(struct agent_engine *e)
{
	if (!e->api_error)
		return;
	free(e->api_error);
	e->api_error = NULL;
	cox_log_info("cluster API answers again");
	agent_engine_queue_all(e);
}

const char *agent_engine_api_error(const struct agent_engine *engine)
{
	return engine->api_error ? engine->api_error : "";
}

const char *agent_engine_api_version(const struct agent_engine *engine)
{
	return engine->api_version ? engine->api_version : "";
}

enum agent_scope agent_engine_scope(void *ctx, struct cox_str group, struct cox_str version,
				    struct cox_str kind)
{
	struct agent_engine *e = ctx;
	_cleanup_free_ char *g = cox_str_dup(group), *v = cox_str_dup(version),
			    *k = cox_str_dup(kind);
	const struct cox_kube_resource *r = cox_discovery_find(e->discovery, g, v, k);

	if (!r)
		return AGENT_SCOPE_UNKNOWN;
	return r->namespaced ? AGENT_SCOPE_NAMESPACED : AGENT_SCOPE_CLUSTER;
}

const struct cox_kube_resource *agent_engine_resource_of(struct agent_engine *e,
							 struct cox_object_key key,
							 const char *version)
{
	_cleanup_free_ char *g = cox_str_dup(key.group), *k = cox_str_dup(key.kind);

	return cox_discovery_find(e->discovery, g, version, k);
}

static void discovered(void *arg, const struct cox_error *error)
{
	struct agent_engine *e = arg;

	e->discovering = false;
	if (error && error->code != COX_OK) {
		/* 1 s, 2 s, 4 s, … 30 s */
		int64_t delay = 1000LL
				<< (e->n_discovery_failures < 5 ? e->n_discovery_failures : 5);

		e->n_discovery_failures++;
		agent_engine_api_failed(e, error->message);
		agent_engine_rediscover(e, delay < 30000 ? delay : 30000);
		return;
	}
	e->n_discovery_failures = 0;
	e->n_discovered++;
	agent_engine_api_works(e);
	agent_kinds_rediscovered(e);
	bool first = e->discovery_generation == 0;
	bool changed = cox_discovery_generation(e->discovery) != e->discovery_generation;

	/* somebody may bring the kind that is missing */
	COX_MAP_EACH (&e->kinds, slot)
		if (!((struct agent_kind *)slot->value)->resource &&
		    ((struct agent_kind *)slot->value)->n_holders > 0)
			agent_engine_rediscover(e, MISSING_KIND_MS);

	e->discovery_generation = cox_discovery_generation(e->discovery);
	COX_MAP_EACH (&e->apps, slot) {
		struct agent_app *app = slot->value;

		app->changed_since |= changed && !first;

		/* an object's scope or kind may be known now, and its project say no to it */
		if (app->build_error.code ||
		    (changed && app->assignment && app->assignment->project_rules)) {
			app->built = false;
			agent_holder_unref(app->cache);
			app->cache = NULL;
		}
		COX_MAP_EACH (&app->entries, inner) {
			struct agent_entry *entry = inner->value;

			if (entry->kind->resource && entry->evaluated && !entry->live &&
			    !entry->kind->synced)
				entry->evaluated = false;
		}
		agent_engine_queue(app);
	}
}

static void rediscover(void *arg)
{
	struct agent_engine *e = arg;

	if (e->discovering) {
		cox_timer_start(&e->rediscover, 10);
		return;
	}
	e->discovering = true;
	cox_discovery_refresh(e->discovery, discovered, e);
}

void agent_engine_rediscover(struct agent_engine *e, int64_t delay_ms)
{
	/* what is under way may have begun before the change that is looked for: again, after it */
	if (!cox_timer_is_running(&e->rediscover) || cox_timer_left_ms(&e->rediscover) > delay_ms)
		cox_timer_start(&e->rediscover, delay_ms);
}

static void got_version(void *arg, const struct cox_kube_answer *answer)
{
	struct agent_engine *e = arg;

	e->version_call = NULL;
	if (answer->error->code == COX_OK && answer->doc)
		e->api_version = cox_str_dup(
			cox_node_str(cox_node_get(cox_doc_root(answer->doc), "gitVersion")));
}

/* ---- reconcile ---- */

/* Another application of the same name is not gone yet. */
static bool must_wait(const struct agent_app *app)
{
	COX_MAP_EACH (&app->engine->apps, slot) {
		const struct agent_app *other = slot->value;

		if (other != app && other->tombstone && !other->deleted &&
		    other->tombstone->cascade &&
		    cox_streq(other->tombstone->app_name, app->assignment->app_name) &&
		    cox_streq(other->tombstone->app_namespace, app->assignment->app_namespace))
			return true;
	}
	return false;
}

static int take_asked(void *ctx, const struct agent_operation_row *row, struct cox_error *err)
{
	(void)err;
	if (!row->running)
		agent_operation_asked(ctx, row->state);
	return 0;
}

static bool is_begun(struct agent_app *app, const char *id)
{
	if (cox_streq(app->ended_by_hub, id))
		return true;
	if (agent_store_operation(app->engine->o.store, id, take_asked, app, NULL) <= 0)
		return false;
	free(app->ended_by_hub);
	app->ended_by_hub = cox_strdup(id);
	return true;
}

/* What the hub asks to be done once. true when that has the turn. */
static bool hub_operation(struct agent_app *app)
{
	const agent_operation_spec *spec = app->assignment->operation;
	struct agent_operation *op = app->operation;
	struct cox_error err;

	if (!spec || !spec->id || !*spec->id)
		return false;
	if (spec->terminate) {
		if (op && cox_streq(op->spec->id, spec->id))
			agent_operation_end(app, false, "Operation terminated");
		return false;
	}
	if (op && cox_streq(op->spec->id, spec->id))
		return true;
	if (is_begun(app, spec->id))
		return false;
	if (op) { /* its own makes place */
		agent_operation_end(app, true, "superseded by an operation of the hub");
		return true;
	}
	if (agent_operation_start(app, spec, true, false, &err) < 0)
		cox_log_error("cannot begin operation", COX_KV("app", app->assignment->app_name),
			      COX_KV_ERROR(&err));
	return true;
}

static void situation(const struct agent_app *app, struct agent_situation *s)
{
	uint32_t options = agent_app_options(app, NULL);
	const Coxswain__Assignment__V1__Policy *p = app->assignment->policy;

	*s = (struct agent_situation){
		.automated = p && p->automated,
		.prune = p && p->prune,
		.self_heal = p && p->self_heal,
		.allow_empty = p && p->allow_empty,
		.is_deleting = app->tombstone != NULL,
		.operation_runs = app->operation != NULL,
		.has_digest = app->built && app->assignment->sync_digest.len == COX_SHA256_BYTES,
		.out_of_sync = agent_app_status(app) == AGENT_OUT_OF_SYNC,
		.synced_before = app->last_full &&
				 memcmp(app->last_digest, app->digest, COX_SHA256_BYTES) == 0,
		.last_failed = app->last_failed,
		.last_message = app->last_state ? app->last_state->message : NULL,
		.changed_since = app->changed_since,
		.heals = app->heals,
		.last_heal_ms = app->last_heal_ms,
	};
	COX_MAP_EACH (&app->entries, slot) {
		const struct agent_entry *entry = slot->value;

		s->n_wanted += entry->wanted;
		s->n_out_of_sync += entry->wanted && entry->sync != AGENT_SYNCED;
		/* what may not be pruned, and what goes already, is nobody's work */
		s->n_extra += !entry->wanted && entry->live && !entry->terminating &&
			      !((entry->live_options | options) & AGENT_OPT_NO_PRUNE);
		s->n_owned += entry->owned;
	}
}

static void set_refused(struct agent_app *app, const char *message)
{
	if (cox_streq(app->refused, message))
		return;
	free(app->refused);
	app->refused = cox_strdup(message);
	app->dirty = true;
}

/* After five minutes without one, healing begins without a pause again. */
#define HEALS_FORGOTTEN_MS (5 * 60 * 1000)

static void automated_sync(struct agent_app *app)
{
	struct agent_engine *e = app->engine;
	struct agent_situation s;
	struct cox_error err = COX_ERROR_INIT;
	int64_t due = 0, now = agent_engine_now(e);
	agent_operation_spec spec = COXSWAIN__ASSIGNMENT__V1__OPERATION__INIT;
	char id[COX_UUID_TEXT];

	if (app->heals && now - app->last_heal_ms > HEALS_FORGOTTEN_MS)
		app->heals = 0;
	situation(app, &s);
	enum agent_decision decision = agent_decide(&s, now, &due, &err);

	set_refused(app, decision == AGENT_DO_REFUSE ? err.message : NULL);
	if (decision == AGENT_DO_WAIT)
		cox_timer_start(&app->wake, due - now > 0 ? due - now : 1);
	if (decision != AGENT_DO_SYNC && decision != AGENT_DO_HEAL)
		return;
	cox_uuid_new(id);
	spec.id = id;
	spec.prune = s.prune;
	spec.initiated_by = (char *)(decision == AGENT_DO_HEAL ? "self-heal" : "automated");
	spec.retry = app->assignment->policy->retry;
	spec.revision = app->assignment->sync_revision;
	if (decision == AGENT_DO_HEAL) {
		app->heals++;
		app->last_heal_ms = now;
	}
	if (agent_operation_start(app, &spec, false, decision == AGENT_DO_HEAL, &err) < 0)
		cox_log_error("cannot begin sync", COX_KV("app", app->assignment->app_name),
			      COX_KV_ERROR(&err));
}

static void reconcile(struct agent_app *app)
{
	static const char waits[] =
		"waiting for the deletion of the application that had this name before";

	if (app->tombstone) {
		if (app->operation)
			agent_operation_step(app);
		if (!app->operation)
			agent_app_remove_step(app);
		return;
	}
	if (!app->assignment)
		return;
	agent_app_build(app);
	agent_app_compare_target(app);
	agent_app_observe(app);
	if (app->operation)
		agent_operation_step(app);
	if (must_wait(app)) {
		set_refused(app, waits);
		return;
	}
	if (cox_streq(app->refused, waits))
		set_refused(app, NULL);
	if (!hub_operation(app) && !app->operation && !app->engine->api_error)
		automated_sync(app);
	if (app->operation)
		agent_operation_step(app);
}

static void turn(void *arg)
{
	struct agent_engine *e = arg;
	COX_VEC(struct agent_app *) queued = {0};

	COX_MAP_EACH (&e->apps, slot) {
		struct agent_app *app = slot->value;

		if (app->queued)
			cox_vec_push(&queued, app);
	}
	COX_VEC_EACH (&queued, slot) {
		(*slot)->queued = false;
		reconcile(*slot);
		agent_app_note(*slot);
	}
	cox_vec_fini(&queued);
}

/* Bundles and kinds of live objects are read again when they are needed. */
static void idle(void *arg)
{
	struct agent_engine *e = arg;

	COX_MAP_EACH (&e->apps, slot) {
		struct agent_app *app = slot->value;

		agent_holder_unref(app->cache);
		app->cache = NULL;
	}
}

/* ---- life ---- */

static int load_app(void *ctx, const struct agent_app_row *row, struct cox_error *err)
{
	return agent_engine_put_in_force(ctx, row->uid, row->tombstone, row->body, err);
}

static int load_object(void *ctx, const struct agent_inventory_row *row, struct cox_error *err)
{
	struct agent_entry *entry = agent_entry_get(ctx, row->key_text, row->version);

	(void)err;
	entry->owned = true;
	entry->wave = row->wave;
	entry->options = row->options;
	return 0;
}

static int load(struct agent_engine *e, struct cox_error *err)
{
	int code = agent_store_get_int(e->o.store, "position", &e->position, err);

	if (code >= 0)
		code = agent_store_get_int(e->o.store, "highest_epoch", &e->highest_epoch, err);
	agent_configuration_load(e);
	if (code >= 0)
		code = agent_store_each_app(e->o.store, load_app, e, err);
	COX_MAP_EACH (&e->apps, slot) {
		struct agent_app *app = slot->value;

		if (code >= 0)
			code = agent_store_each_object(e->o.store, app->uid, load_object, app, err);
		if (code >= 0)
			code = agent_operation_load(app, err);
	}
	return code;
}

int agent_engine_new(const struct agent_engine_options *options, struct agent_engine **ret_engine,
		     struct cox_error *err)
{
	struct agent_engine *e = cox_new(struct agent_engine);

	e->o = *options;
	e->discovery = cox_discovery_new(options->kube);
	e->blank = cox_doc_new("blank");
	cox_doc_set_root(e->blank, cox_doc_map(e->blank));
	cox_doc_seal(e->blank);
	cox_task_init(&e->turn, turn, e);
	cox_task_init(&e->try_turn, agent_verdicts_turn, e);
	agent_tree_init(e);
	agent_orphans_init(e);
	cox_timer_init(&e->idle, options->loop, idle, e);
	cox_timer_init(&e->rediscover, options->loop, rediscover, e);
	cox_timer_init(&e->probe, options->loop, probe, e);
	int code = load(e, err);

	if (code < 0) {
		agent_engine_free(e);
		return code;
	}
	rediscover(e);
	e->version_call = cox_kube_send(
		options->kube,
		&(struct cox_kube_request){
			.method = "GET", .path = "/version", .done = got_version, .arg = e});
	*ret_engine = e;
	return 0;
}

void agent_engine_free(struct agent_engine *e)
{
	if (!e)
		return;
	e->is_freed = true;
	agent_diffs_end(e, NULL);
	agent_calls_cancel(e, NULL);
	cox_kube_cancel(e->version_call);
	cox_kube_cancel(e->probe_call);
	cox_timer_stop(&e->probe);
	cox_loop_unsend(e->o.loop, &e->turn);
	cox_loop_unsend(e->o.loop, &e->try_turn);
	cox_timer_stop(&e->idle);
	cox_timer_stop(&e->rediscover);
	COX_MAP_EACH (&e->apps, slot)
		agent_app_free(slot->value);
	cox_map_fini(&e->apps);
	agent_tree_fini(e);
	agent_orphans_fini(e);
	COX_MAP_EACH (&e->kinds, slot)
		agent_kind_free(slot->value);
	cox_map_fini(&e->kinds);
	cox_map_fini(&e->keys);
	cox_map_fini(&e->hooks);
	agent_configuration_free(e);
	cox_discovery_free(e->discovery);
	cox_doc_unref(e->blank);
	cox_vec_fini(&e->diffs);
	cox_vec_fini(&e->calls);
	cox_vec_fini(&e->to_try);
	free(e->api_error);
	free(e->api_version);
	free(e);
}
