/* One operation: a plan, tried first, then executed wave by wave.
 *
 * begin -> dry run -> run -> clean -> over
 *            \                 \-> pause -> begin (retry: a new attempt)
 *             \-> clean
 * Durable before the first effect; every object is in the inventory before it is applied. An attempt
 * is durable before it begins, and so is that it has failed before its SyncFail hooks run. After a
 * restart the plan is made anew from what the cluster is like by then, and what is durable of hooks
 * (hook_run.h) makes it go on where it was. */
#include "agent/sync/hook_run.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/ctl/stamp.h"

#include <stdlib.h>

#define PHASE(name)	  COXSWAIN__REPORT__V1__PHASE__##name
#define API_DOWN_BASE_MS  1000
#define API_DOWN_MAX_MS	  30000
#define AUTOMATED_RETRIES 5

const char *agent_app_name(const struct agent_app *app)
{
	return app->assignment ? app->assignment->app_name : app->uid;
}

static void end(struct agent_operation *op, Coxswain__Report__V1__Phase phase, const char *message);

static struct agent_engine *engine_of(const struct agent_operation *op)
{
	return op->app->engine;
}

/* ---- durable state ---- */

static int store(struct agent_operation *op, bool running, struct cox_error *err)
{
	struct cox_arena arena = COX_ARENA_INIT(0);
	Coxswain__Report__V1__OperationState state = COXSWAIN__REPORT__V1__OPERATION_STATE__INIT;
	COX_CLEANUP(cox_buf_fini) struct cox_buf spec = COX_BUF_INIT, body = COX_BUF_INIT;

	agent_operation_state(op, &arena, &state);
	cox_buf_reserve(&spec, protobuf_c_message_get_packed_size(&op->spec->base));
	spec.len = protobuf_c_message_pack(&op->spec->base, (uint8_t *)spec.ptr);
	cox_buf_reserve(&body, protobuf_c_message_get_packed_size(&state.base));
	body.len = protobuf_c_message_pack(&state.base, (uint8_t *)body.ptr);
	cox_arena_fini(&arena);
	return agent_store_put_operation(engine_of(op)->o.store,
					 &(struct agent_operation_row){
						 .id = op->spec->id,
						 .app_uid = op->app->uid,
						 .running = running,
						 .from_hub = op->from_hub,
						 .started_ms = op->started_ms,
						 .spec = cox_buf_str(&spec),
						 .state = cox_buf_str(&body),
						 .tried = op->tried,
						 .failing = cox_str(op->failing ? op->failing : ""),
					 },
					 err);
}

static agent_operation_spec *copy_spec(const agent_operation_spec *spec)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf bytes = COX_BUF_INIT;

	cox_buf_reserve(&bytes, protobuf_c_message_get_packed_size(&spec->base));
	bytes.len = protobuf_c_message_pack(&spec->base, (uint8_t *)bytes.ptr);
	return coxswain__assignment__v1__operation__unpack(NULL, bytes.len,
							   (const uint8_t *)bytes.ptr);
}

/* What a timer was for may go on. */
static void wake(void *arg)
{
	agent_engine_queue(((struct agent_operation *)arg)->app);
}

static void resume(void *arg)
{
	struct agent_operation *op = arg;

	op->stage = AGENT_STAGE_BEGIN;
	agent_engine_queue(op->app);
}

/* Takes spec. */
static struct agent_operation *operation_new(struct agent_app *app, agent_operation_spec *spec,
					     bool from_hub, bool partial)
{
	struct agent_operation *op = cox_new(struct agent_operation);

	op->app = app;
	op->spec = spec;
	op->from_hub = from_hub;
	op->partial = partial;
	op->started_ms = cox_clock_wall_ms();
	cox_stamp_set_digest(op->digest, spec->digest.data, spec->digest.len);
	if (!agent_digest_is_set(op->digest))
		memcpy(op->digest, app->digest, COX_SHA256_BYTES);
	cox_timer_init(&op->pause, app->engine->o.loop, resume, op);
	cox_timer_init(&op->wave, app->engine->o.loop, wake, op);
	cox_timer_init(&op->grace, app->engine->o.loop, wake, op);
	return op;
}

void agent_operation_free(struct agent_operation *op)
{
	if (!op)
		return;
	cox_timer_stop(&op->pause);
	cox_timer_stop(&op->wave);
	cox_timer_stop(&op->grace);
	agent_hooks_free(op->hooks);
	agent_plan_fini(&op->plan);
	agent_holder_unref(op->holder);
	coxswain__assignment__v1__operation__free_unpacked(op->spec, NULL);
	cox_vec_fini(&op->establishing);
	free(op->dry_message);
	free(op->end_message);
	free(op->message);
	free(op->failing);
	free(op->attempt_message);
	free(op);
}

int agent_operation_start(struct agent_app *app, const agent_operation_spec *spec, bool from_hub,
			  bool partial, struct cox_error *err)
{
	struct agent_operation *op = operation_new(app, copy_spec(spec), from_hub, partial);
	int code = store(op, true, err);

	if (code < 0) {
		agent_operation_free(op);
		return code;
	}
	cox_log_info("operation begins", COX_KV("app", agent_app_name(app)), COX_KV("id", spec->id),
		     COX_KV("by", spec->initiated_by ? spec->initiated_by : ""),
		     COX_KV("revision", spec->revision ? spec->revision : ""));
	app->operation = op;
	app->dirty = true;
	app->changed_since = false;
	return 0;
}

/* Whether an operation that the last process did not end is still what shall be done: a newer
 * assignment may have become durable before its end did. */
static bool still_wanted(const struct agent_app *app, const agent_operation_spec *spec,
			 const Coxswain__Report__V1__OperationState *state)
{
	const agent_operation_spec *asked = app->assignment ? app->assignment->operation : NULL;

	if (!app->assignment || app->tombstone || state->digest.len != COX_SHA256_BYTES)
		return false;
	return memcmp(state->digest.data, app->digest, COX_SHA256_BYTES) == 0 ||
	       (asked && cox_streq(asked->id, spec->id));
}

/* Takes spec. */
static void go_on(struct agent_app *app, const struct agent_operation_row *row,
		  agent_operation_spec *spec, const Coxswain__Report__V1__OperationState *state)
{
	bool wanted = still_wanted(app, spec, state);
	/* a heal goes on from what is there now: who waits for its end hears of one */
	struct agent_operation *op =
		operation_new(app, spec, row->from_hub, cox_streq(spec->initiated_by, "self-heal"));

	op->started_ms = row->started_ms;
	op->retry_count = state->retry_count;
	op->tried = row->tried;
	op->failing = row->failing.len ? cox_str_dup(row->failing) : NULL;
	cox_stamp_set_digest(op->digest, state->digest.data, state->digest.len);
	app->operation = op;
	cox_log_info(wanted ? "operation goes on" : "operation is ended",
		     COX_KV("app", agent_app_name(app)), COX_KV("id", row->id));
	if (wanted) {
		app->last_full = !spec->dry_run;
		cox_stamp_set_digest(app->last_digest, state->digest.data, state->digest.len);
	} else { /* overtaken: it says nothing about what shall be now, but its hooks are there */
		op->superseded = true;
		end(op, PHASE(FAILED), "superseded while the agent was away");
	}
}

static int loaded(void *ctx, const struct agent_operation_row *row, struct cox_error *err)
{
	struct agent_app *app = ctx;
	Coxswain__Report__V1__OperationState *state = coxswain__report__v1__operation_state__unpack(
		NULL, row->state.len, (const uint8_t *)row->state.ptr);
	agent_operation_spec *spec = coxswain__assignment__v1__operation__unpack(
		NULL, row->spec.len, (const uint8_t *)row->spec.ptr);

	if (!state || !spec) {
		if (state)
			coxswain__report__v1__operation_state__free_unpacked(state, NULL);
		if (spec)
			coxswain__assignment__v1__operation__free_unpacked(spec, NULL);
		return cox_error(err, COX_DATA_LOSS, "stored operation '%s' is damaged", row->id);
	}
	if (row->running) {
		go_on(app, row, spec, state);
		coxswain__report__v1__operation_state__free_unpacked(state, NULL);
		return 0;
	}
	app->last_full = state->digest.len == COX_SHA256_BYTES && !spec->dry_run;
	cox_stamp_set_digest(app->last_digest, state->digest.data, state->digest.len);
	app->last_failed = state->phase == PHASE(FAILED) || state->phase == PHASE(ERROR);
	app->changed_since = false;
	coxswain__assignment__v1__operation__free_unpacked(spec, NULL);
	app->last_state = state;
	return 0;
}

int agent_operation_load(struct agent_app *app, struct cox_error *err)
{
	int code = agent_store_last_operation(app->engine->o.store, app->uid, loaded, app, err);

	return code < 0 ? code : 0;
}

/* ---- the end ---- */

void agent_operation_asked(struct agent_app *app, struct cox_str state)
{
	if (app->asked_state)
		coxswain__report__v1__operation_state__free_unpacked(app->asked_state, NULL);
	app->asked_state = coxswain__report__v1__operation_state__unpack(
		NULL, state.len, (const uint8_t *)state.ptr);
}

static void keep_last(struct agent_operation *op)
{
	struct agent_app *app = op->app;
	struct cox_arena arena = COX_ARENA_INIT(0);
	Coxswain__Report__V1__OperationState state = COXSWAIN__REPORT__V1__OPERATION_STATE__INIT;
	COX_CLEANUP(cox_buf_fini) struct cox_buf body = COX_BUF_INIT;

	agent_operation_state(op, &arena, &state);
	cox_buf_reserve(&body, protobuf_c_message_get_packed_size(&state.base));
	body.len = protobuf_c_message_pack(&state.base, (uint8_t *)body.ptr);
	cox_arena_fini(&arena);
	if (app->last_state)
		coxswain__report__v1__operation_state__free_unpacked(app->last_state, NULL);
	app->last_state = coxswain__report__v1__operation_state__unpack(NULL, body.len,
									(const uint8_t *)body.ptr);
	if (op->from_hub)
		agent_operation_asked(app, cox_buf_str(&body));
	/* what was superseded says nothing about its bundle */
	bool counts = !op->spec->dry_run && op->spec->n_resources == 0 && !op->superseded;

	if (counts) {
		app->last_full = true;
		memcpy(app->last_digest, op->digest, COX_SHA256_BYTES);
		app->last_failed = op->end_phase != PHASE(SUCCEEDED);
		app->changed_since = false;
	}
}

/* What was not forgotten while it may have been applied. */
static void look_again(struct agent_app *app, const struct agent_operation *op)
{
	if (!op->holder || memcmp(op->digest, app->digest, COX_SHA256_BYTES) == 0)
		return;
	COX_MAP_EACH (&app->entries, slot) {
		struct agent_entry *entry = slot->value;

		if (!entry->wanted && (!entry->live || !entry->marked))
			agent_entry_doubt(entry);
	}
}

static void finish(struct agent_operation *op)
{
	struct agent_app *app = op->app;
	struct cox_error err;
	static const char *const words[] = {"",		 "running", "terminating",
					    "succeeded", "failed",  "error"};

	cox_timer_stop(&op->pause);
	if (store(op, false, &err) < 0 ||
	    agent_store_drop_old_hooks(engine_of(op)->o.store, app->uid, op->spec->id, &err) < 0)
		cox_log_error("cannot keep the end of an operation",
			      COX_KV("app", agent_app_name(app)), COX_KV_ERROR(&err));
	cox_log_info("operation ended", COX_KV("app", agent_app_name(app)),
		     COX_KV("id", op->spec->id), COX_KV("phase", words[op->end_phase]),
		     COX_KV("message", op->end_message ? op->end_message : ""));
	keep_last(op);
	if (op->from_hub) {
		free(app->ended_by_hub);
		app->ended_by_hub = cox_strdup(op->spec->id);
	}
	app->operation = NULL;
	app->dirty = true;
	look_again(app, op);
	agent_operation_free(op);
	agent_engine_queue(app);
}

static void end(struct agent_operation *op, Coxswain__Report__V1__Phase phase, const char *message)
{
	if (op->ending)
		return;
	op->ending = true;
	op->end_phase = phase;
	op->end_message = cox_strdup(message);
}

/* A hook in the middle of its work is let go on for a while when something newer is to come, but not
 * when a person said that it shall end. */
void agent_operation_end(struct agent_app *app, bool superseded, const char *message)
{
	struct agent_operation *op = app->operation;

	if (!op)
		return;
	if (!superseded && cox_timer_is_running(&op->grace)) {
		cox_timer_stop(&op->grace);
		agent_engine_queue(app);
	}
	/* who waits for its end asks for it again and again */
	if (op->ending)
		return;
	if (superseded && !app->tombstone)
		cox_timer_start(&op->grace, engine_of(op)->o.hook_grace_ms);
	op->superseded = superseded;
	end(op, PHASE(FAILED), message);
	agent_engine_queue(app);
}

/* ---- retries ---- */

static struct agent_retry retry_of(const struct agent_operation *op)
{
	const Coxswain__Assignment__V1__Retry *given = op->spec->retry;
	bool automated = !op->from_hub;
	struct agent_retry r = {.limit = given ? given->limit : automated ? AUTOMATED_RETRIES : 0};

	if (given && given->backoff) {
		r.duration_ms = given->backoff->duration_ms;
		r.factor = given->backoff->factor;
		r.max_duration_ms = given->backoff->max_duration_ms;
	}
	agent_retry_defaults(&r);
	return r;
}

static void pause_for(struct agent_operation *op, int64_t delay_ms)
{
	op->stage = AGENT_STAGE_PAUSE;
	op->app->dirty = true;
	cox_timer_start(&op->pause, delay_ms);
}

/* The next try begins from what is there then. */
static void again(struct agent_operation *op)
{
	cox_timer_stop(&op->wave);
	agent_hooks_free(op->hooks);
	op->hooks = NULL;
	agent_plan_fini(&op->plan);
	op->planned = false;
	op->namespace_known = false;
	op->kinds_due = 0;
	op->n_dry_failed = 0;
	cox_vec_clear(&op->establishing);
}

/* What is durable of the attempt's hooks, for a plan or only to end them. */
static int load_hooks(struct agent_operation *op, struct cox_error *err)
{
	return agent_hooks_new(op->app,
			       &(struct agent_hooks_options){
				       .operation = op->spec->id,
				       .attempt = op->retry_count + 1,
				       .options = agent_app_options(op->app, op->spec),
				       .plan = op->planned ? &op->plan : NULL,
				       .holder = op->planned ? op->holder : NULL,
			       },
			       &op->hooks, err);
}

/* The attempt is over, but for the objects of its hooks. */
static void begin_clean(struct agent_operation *op, bool succeeded, const char *message)
{
	struct cox_error err;

	if (op->stage == AGENT_STAGE_CLEAN || op->ending)
		return;
	if (!op->hooks && load_hooks(op, &err) < 0) {
		end(op, PHASE(ERROR), err.message);
		return;
	}
	op->stage = AGENT_STAGE_CLEAN;
	op->attempt_succeeded = succeeded;
	free(op->attempt_message);
	op->attempt_message = cox_strdup(message);
	op->app->dirty = true;
	agent_hooks_clean(op->hooks, succeeded);
}

/* The API server is away: that is no failure of the attempt, which begins again where it was. */
static void wait_for_api(struct agent_operation *op, const char *message)
{
	struct cox_rng rng;

	op->api_down = false;
	free(op->message);
	op->message = cox_strdup(message);
	cox_rng_init(&rng, (uint64_t)cox_clock_us());
	pause_for(op, cox_backoff_ms(&rng, API_DOWN_BASE_MS, API_DOWN_MAX_MS, op->pauses++));
	again(op);
}

static void failed(struct agent_operation *op, const char *message)
{
	if (op->ending)
		return;
	if (op->api_down)
		wait_for_api(op, message);
	else
		begin_clean(op, false, message);
}

/* A new attempt, durable before it begins: its hooks run again. */
static void try_again(struct agent_operation *op, const struct agent_retry *r)
{
	struct cox_error err;

	op->retry_count++;
	free(op->failing);
	op->failing = NULL;
	if (store(op, true, &err) < 0) {
		end(op, PHASE(ERROR), err.message);
		return;
	}
	free(op->message);
	op->message = cox_strdup(op->attempt_message);
	cox_log_warn("sync failed, will be tried again", COX_KV("app", agent_app_name(op->app)),
		     COX_KV_INT("retry", op->retry_count), COX_KV("error", op->message));
	pause_for(op, agent_retry_delay_ms(r, op->retry_count));
	again(op);
}

static void attempt_is_over(struct agent_operation *op)
{
	struct agent_retry r = retry_of(op);

	if (op->attempt_succeeded)
		end(op, PHASE(SUCCEEDED), op->attempt_message);
	else if (r.limit < 0 || op->retry_count < (uint64_t)r.limit)
		try_again(op, &r);
	else
		end(op, PHASE(FAILED), op->attempt_message);
}

/* ---- planning ---- */

static bool selected(void *ctx, const char *key_text)
{
	const struct agent_operation *op = ctx;
	const struct agent_entry *entry = cox_map_get(&op->app->entries, key_text);
	struct cox_object_key key;

	if (op->partial)
		return entry && entry->sync != AGENT_SYNCED;
	/* what is in sync and not healthy yet is waited for: it may be this operation's own work */
	if ((agent_app_options(op->app, op->spec) & AGENT_OPT_OUT_OF_SYNC_ONLY) && entry &&
	    entry->sync == AGENT_SYNCED &&
	    (entry->health == COX_HEALTH_NONE || entry->health == COX_HEALTH_HEALTHY))
		return false;
	if (op->spec->n_resources == 0)
		return true;
	if (cox_object_key_parse(cox_str(key_text), &key, NULL) < 0)
		return false;
	for (size_t i = 0; i < op->spec->n_resources; i++) {
		const Coxswain__Assignment__V1__ResourceSelector *r = op->spec->resources[i];

		if (cox_str_is(key.group, r->group) && cox_str_is(key.kind, r->kind) &&
		    cox_str_is(key.name, r->name) &&
		    (!r->namespace_ || !*r->namespace_ || cox_str_is(key.namespace, r->namespace_)))
			return true;
	}
	return false;
}

/* Whether a namespace or a definition is there already. */
static bool is_live(void *ctx, const char *key_text)
{
	const struct agent_operation *op = ctx;
	const struct agent_entry *entry = cox_map_get(&op->app->entries, key_text);

	if (entry)
		return entry->live;
	return op->namespace_is_live && strncmp(key_text, "/Namespace//", 12) == 0 &&
	       cox_streq(key_text + 12, op->app->assignment->destination_namespace);
}

static bool is_known(void *ctx, struct cox_str group, struct cox_str version, struct cox_str kind)
{
	const struct agent_operation *op = ctx;

	return agent_engine_scope(engine_of(op), group, version, kind) != AGENT_SCOPE_UNKNOWN;
}

static int make_plan(struct agent_operation *op, struct cox_error *err)
{
	struct agent_app *app = op->app;
	const Coxswain__Assignment__V1__Policy *policy = app->assignment->policy;
	COX_VEC(struct agent_extra) extras = {0};

	COX_MAP_EACH (&app->entries, slot) {
		const struct agent_entry *entry = slot->value;

		/* pruned is what is in the inventory, still ours, and not in this bundle */
		if (entry->owned && entry->live && entry->marked && !entry->terminating &&
		    !agent_desired_find(&op->holder->desired, entry->key_text))
			cox_vec_push(&extras, (struct agent_extra){.key_text = entry->key_text,
								   .version = entry->version,
								   .wave = entry->wave,
								   .options = entry->live_options});
	}
	struct agent_plan_input in = {
		.desired = &op->holder->desired,
		.extras = extras.items,
		.n_extras = extras.n,
		.options = agent_app_options(app, op->spec),
		.prune = op->spec->prune,
		.hooks = !op->partial && !op->spec->skip_hooks && op->spec->n_resources == 0,
		.wave_delay_ms = engine_of(op)->o.wave_delay_ms,
		.revision = op->spec->revision,
		.started_ms = op->started_ms,
		.attempt = op->retry_count + 1,
		.namespace = app->assignment->destination_namespace,
		.sets_namespace =
			policy && (policy->n_namespace_labels || policy->n_namespace_annotations),
		.ctx = op,
		.is_selected = selected,
		.is_live = is_live,
		.is_known = is_known,
	};

	/* but a heal makes it again when somebody deleted it */
	if (op->spec->n_resources > 0)
		in.options &= ~(uint32_t)AGENT_OPT_CREATE_NAMESPACE;
	int code = agent_plan_build(&in, &op->plan, err);

	cox_vec_fini(&extras);
	op->planned = code == 0;
	return code;
}

/* A rollout's sync is nobody's by hand: what guards automated ones guards it too. Its way back, which
 * may have much to prune, says that it is one. */
static int check_prunes(const struct agent_operation *op, struct cox_error *err)
{
	const Coxswain__Assignment__V1__Policy *policy = op->app->assignment->policy;
	size_t n_extra = 0, n_wanted = 0, n_owned = 0;

	if (!op->from_hub || op->spec->dry_run || !cox_streq(op->spec->initiated_by, "rollout"))
		return 0;
	COX_VEC_EACH (&op->plan.tasks, t)
		n_extra += t->action == AGENT_ACTION_PRUNE && t->state == AGENT_TASK_PENDING;
	COX_VEC_EACH (&op->holder->desired.objects, object)
		n_wanted += !object->is_hook;
	COX_MAP_EACH (&op->app->entries, slot)
		n_owned += ((const struct agent_entry *)slot->value)->owned;
	return agent_check_prune(n_extra, n_wanted, n_owned, policy && policy->allow_empty, err);
}

static bool has_hooks(const struct agent_operation *op)
{
	COX_VEC_EACH (&op->plan.tasks, t)
		if (t->action == AGENT_ACTION_HOOK)
			return true;
	return false;
}

/* What has passed it is not tried again after a restart: its failure would mean something else. */
static int keep_tried(struct agent_operation *op, struct cox_error *err)
{
	if (!has_hooks(op))
		return 0;
	op->tried = op->retry_count + 1;
	return store(op, true, err);
}

static void end_dry_run(struct agent_operation *op)
{
	struct cox_error err;

	if (op->n_dry_failed) {
		_cleanup_free_ char *message =
			cox_asprintf("one or more objects failed to apply (dry run): %s%s",
				     op->dry_message ? op->dry_message : "",
				     op->n_dry_failed > 1 ? " and others" : "");

		failed(op, message);
		return;
	}
	if (op->spec->dry_run) {
		for (size_t i = 0; i < op->plan.tasks.n; i++)
			op->plan.tasks.items[i].state = AGENT_TASK_DONE;
		end(op, PHASE(SUCCEEDED), "successfully synced (dry run)");
		return;
	}
	if (keep_tried(op, &err) < 0) {
		end(op, PHASE(ERROR), err.message);
		return;
	}
	op->stage = AGENT_STAGE_RUN;
}

/* ---- running ---- */

static bool needs_unknown_kind(const struct agent_operation *op, size_t begin, size_t finish_at)
{
	for (size_t i = begin; i < finish_at; i++) {
		const struct agent_task *t = &op->plan.tasks.items[i];

		if (t->action != AGENT_ACTION_PRUNE &&
		    !agent_engine_resource_of(engine_of(op), t->key, t->version))
			return true;
	}
	return false;
}

/* A kind that the plan itself defines is known only after another discovery, which wakes us: true,
 * and the tasks are to be started later. After one that began now it is known or it is missing. */
static bool waits_for_kinds(struct agent_operation *op, size_t begin, size_t finish_at)
{
	struct agent_engine *e = engine_of(op);

	if (!needs_unknown_kind(op, begin, finish_at)) {
		op->kinds_due = 0;
		return false;
	}
	if (!op->kinds_due) {
		op->kinds_due = e->n_discovered + (e->discovering ? 2 : 1);
		agent_engine_rediscover(e, 0);
	}
	if (e->n_discovered >= op->kinds_due) {
		op->kinds_due = 0;
		return false;
	}
	for (size_t i = begin; i < finish_at; i++)
		op->plan.tasks.items[i].state = AGENT_TASK_PENDING;
	return true;
}

/* What asks for confirmation has it when a person gave it in the second that the operation began,
 * or later. */
static bool is_approved(const struct agent_operation *op)
{
	const agent_assignment *a = op->app->assignment;

	return a && a->policy &&
	       a->policy->deletion_approved_ms >= op->started_ms - op->started_ms % 1000;
}

/* The SyncFail hooks begin, once that is durable. */
static void begin_to_fail(struct agent_operation *op)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf why = COX_BUF_INIT;
	struct cox_error err;

	agent_plan_describe(&op->plan, &why);
	if (op->api_down) {
		wait_for_api(op, cox_buf_cstr(&why));
		return;
	}
	free(op->failing);
	op->failing = cox_strdup(cox_buf_cstr(&why));
	if (store(op, true, &err) < 0)
		end(op, PHASE(ERROR), err.message);
	else
		agent_plan_fail(&op->plan, op->failing);
}

static void run_failed(struct agent_operation *op)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf why = COX_BUF_INIT;

	cox_buf_puts(&why, "one or more synchronization tasks completed unsuccessfully, reason: ");
	agent_plan_describe(&op->plan, &why);
	failed(op, cox_buf_cstr(&why));
}

static void start_tasks(struct agent_operation *op, size_t begin, size_t finish_at)
{
	if (op->plan.tasks.items[begin].action == AGENT_ACTION_HOOK)
		agent_hooks_start(op->hooks, begin, finish_at);
	else
		agent_tasks_start(op, begin, finish_at);
}

static void wait_for_wave(struct agent_operation *op)
{
	if (!cox_timer_is_running(&op->wave))
		cox_timer_start(&op->wave, op->plan.due_ms - agent_engine_now(engine_of(op)));
}

static void run(struct agent_operation *op)
{
	size_t begin = 0, finish_at = 0;

	if (is_approved(op))
		agent_plan_approve(&op->plan);
	agent_tasks_check_definitions(op);
	agent_tasks_check_forced(op);
	while (!op->ending && op->stage == AGENT_STAGE_RUN) {
		switch (agent_plan_next(&op->plan, agent_engine_now(engine_of(op)), &begin,
					&finish_at)) {
		case AGENT_PLAN_RUN:
			if (waits_for_kinds(op, begin, finish_at))
				return;
			start_tasks(op, begin, finish_at);
			if (op->n_in_flight)
				return;
			break;
		case AGENT_PLAN_WAIT:
			return;
		case AGENT_PLAN_PAUSE:
			wait_for_wave(op);
			return;
		case AGENT_PLAN_SUCCEEDED:
			begin_clean(op, true,
				    op->partial ? "successfully healed"
						: "successfully synced (all tasks run)");
			return;
		case AGENT_PLAN_FAILING:
			begin_to_fail(op);
			break;
		case AGENT_PLAN_FAILED:
			run_failed(op);
			return;
		}
	}
}

/* Whether the namespace that CreateNamespace=true would make is there; asked once a try. */
static void got_namespace(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_operation *op = call->app->operation;

	if (!op)
		return;
	op->n_in_flight--;
	op->namespace_known = true;
	op->namespace_is_live = answer->error->code == COX_OK;
	if (agent_answer_is_silence(answer)) {
		op->api_down = true;
		agent_engine_api_failed(call->engine, answer->error->message);
		failed(op, answer->error->message);
	}
	agent_engine_queue(call->app);
}

static bool knows_namespace(struct agent_operation *op)
{
	const char *name = op->app->assignment->destination_namespace;
	static const struct cox_kube_resource namespaces = {
		.group = "", .version = "v1", .kind = "Namespace", .plural = "namespaces"};

	if (op->namespace_known || !name || !*name ||
	    !(agent_app_options(op->app, op->spec) & AGENT_OPT_CREATE_NAMESPACE))
		return true;
	if (op->n_in_flight)
		return false;
	struct agent_call *call = agent_call_new(op->app, "", got_namespace);

	op->n_in_flight++;
	call->call =
		cox_kube_get(engine_of(op)->o.kube, &namespaces, NULL, name, agent_call_done, call);
	return false;
}

/* FailOnSharedResource=true: nothing is touched that another application applied. */
static int check_shared(const struct agent_operation *op, struct cox_error *err)
{
	if (!(agent_app_options(op->app, op->spec) & AGENT_OPT_FAIL_ON_SHARED))
		return 0;
	COX_MAP_EACH (&op->app->entries, slot) {
		const struct agent_entry *entry = slot->value;
		COX_CLEANUP(cox_buf_fini) struct cox_buf subject = COX_BUF_INIT;

		if (!entry->shared || !entry->wanted)
			continue;
		cox_object_key_describe(&subject, entry->key);
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "%s belongs to another application too (FailOnSharedResource)",
				 cox_buf_cstr(&subject));
	}
	return 0;
}

/* Bundle, discovery, observation: everything that a plan is made of. true when it is made. */
static bool prepare(struct agent_operation *op)
{
	struct agent_app *app = op->app;
	struct cox_error err;

	if (!op->holder) {
		int code = agent_app_hold(app, op->digest, &op->holder, &err);

		if (code == -COX_UNAVAILABLE)
			return false;
		if (code < 0) {
			end(op, PHASE(ERROR), err.message);
			return false;
		}
	}
	if (!agent_app_is_observed(app) || !knows_namespace(op))
		return false;
	if (check_shared(op, &err) < 0) {
		failed(op, err.message);
		return false;
	}
	if (make_plan(op, &err) < 0) {
		agent_engine_rediscover(engine_of(op), 30000);
		failed(op, err.message);
		return false;
	}
	if (check_prunes(op, &err) < 0) {
		end(op, PHASE(FAILED), err.message);
		return false;
	}
	if (load_hooks(op, &err) < 0) {
		end(op, PHASE(ERROR), err.message);
		return false;
	}
	if (op->failing)
		agent_plan_fail(&op->plan, op->failing);
	return true;
}

/* What runs of hooks goes on in the time that it has; after that it is ended. */
static void end_hooks(struct agent_operation *op)
{
	struct cox_error err;

	if (!op->hooks && load_hooks(op, &err) < 0) {
		cox_log_error("cannot read the state of hooks",
			      COX_KV("app", agent_app_name(op->app)), COX_KV_ERROR(&err));
		return;
	}
	if (op->end_phase == PHASE(FAILED) && cox_timer_is_running(&op->grace) &&
	    !op->app->tombstone && agent_hooks_run(op->hooks))
		return;
	agent_hooks_end(op->hooks, "Terminated");
}

void agent_operation_step(struct agent_app *app)
{
	struct agent_operation *op = app->operation;

	if (!op->ending && op->stage == AGENT_STAGE_PAUSE)
		return;
	if (!op->ending && op->stage == AGENT_STAGE_BEGIN && !op->planned && prepare(op)) {
		if (op->tried == op->retry_count + 1)
			op->stage = AGENT_STAGE_RUN;
		else
			agent_tasks_dry_run(op);
	}
	if (!op->ending && op->planned && op->stage == AGENT_STAGE_DRY_RUN && !op->n_in_flight)
		end_dry_run(op);
	if (!op->ending && op->planned && op->stage == AGENT_STAGE_RUN)
		run(op);
	if (op->hooks)
		agent_hooks_step(op->hooks);
	if (!op->ending && op->stage == AGENT_STAGE_CLEAN && agent_hooks_are_over(op->hooks))
		attempt_is_over(op);
	if (op->ending && op->n_in_flight == 0)
		end_hooks(op);
	if (op->ending && op->n_in_flight == 0 && (!op->hooks || agent_hooks_are_over(op->hooks)))
		finish(op);
}

void agent_operation_observed(struct agent_entry *entry)
{
	struct agent_operation *op = entry->app->operation;
	struct cox_health health;

	if (!op || !op->planned)
		return;
	agent_entry_health(entry, &health);
	agent_plan_observed(&op->plan, entry->key_text, entry->live ? &health : NULL);
}
