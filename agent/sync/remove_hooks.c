/* The hooks of a deletion: PreDelete before the objects go, PostDelete after them. Each phase is an
 * operation of its own in the store, whose attempts are counted by its rows there: when a hook has
 * failed, all of the phase are tried again after a pause, as often as it takes. */
#include "agent/sync/hook_run.h"

#include "common/base/log.h"

#include <stdlib.h>

struct agent_removal {
	struct agent_app *app;
	enum agent_phase phase;
	char *operation;
	uint32_t attempt;
	struct agent_holder *holder;
	struct agent_plan plan;
	struct agent_hooks *hooks; /* NULL: the plan is not made */
	bool cleaning, succeeded;
	struct cox_timer pause; /* before the next attempt */
	struct cox_timer wave;
};

static void wake(void *arg)
{
	agent_engine_queue(((struct agent_removal *)arg)->app);
}

/* What generated names are made of instead of a start: it must come out the same after a restart, and
 * when the hub says more of the deletion. */
static int64_t number_of(const struct agent_app *app)
{
	uint8_t digest[COX_SHA256_BYTES];
	uint32_t number = 0;

	cox_sha256(cox_str(app->uid), digest);
	memcpy(&number, digest, sizeof(number));
	return (int64_t)number * 1000;
}

static int count_attempt(void *ctx, const struct agent_hook_row *row, struct cox_error *err)
{
	struct agent_removal *r = ctx;

	(void)err;
	if (row->attempt > r->attempt)
		r->attempt = row->attempt;
	return 0;
}

static struct agent_removal *removal_new(struct agent_app *app, enum agent_phase phase,
					 struct agent_holder *holder)
{
	struct agent_removal *r = cox_new(struct agent_removal);

	r->app = app;
	r->phase = phase;
	r->operation = cox_asprintf("delete/%s", agent_phase_name(phase));
	r->attempt = 1;
	r->holder = holder;
	cox_timer_init(&r->pause, app->engine->o.loop, wake, r);
	cox_timer_init(&r->wave, app->engine->o.loop, wake, r);
	return r;
}

static void drop_plan(struct agent_removal *r)
{
	agent_hooks_free(r->hooks);
	r->hooks = NULL;
	agent_plan_fini(&r->plan);
	r->cleaning = false;
	cox_timer_stop(&r->wave);
}

void agent_removal_free(struct agent_removal *r)
{
	if (!r)
		return;
	cox_timer_stop(&r->pause);
	drop_plan(r);
	agent_holder_unref(r->holder);
	free(r->operation);
	free(r);
}

static bool is_known(void *ctx, struct cox_str group, struct cox_str version, struct cox_str kind)
{
	return agent_engine_scope(ctx, group, version, kind) != AGENT_SCOPE_UNKNOWN;
}

static int make_plan(struct agent_removal *r, struct cox_error *err)
{
	struct agent_app *app = r->app;
	struct agent_engine *e = app->engine;
	int code = agent_store_each_hook(e->o.store, app->uid, r->operation, count_attempt, r, err);
	struct agent_plan_input in = {
		.desired = &r->holder->desired,
		.options = agent_app_options(app, NULL),
		.hooks = true,
		.wave_delay_ms = e->o.wave_delay_ms,
		.revision = app->tombstone->sync_revision,
		.started_ms = number_of(app),
		.attempt = r->attempt,
		.ctx = e,
		.is_known = is_known,
	};

	if (code >= 0) {
		in.attempt = r->attempt;
		code = agent_plan_build_deletion(&in, r->phase, &r->plan, err);
	}
	if (code < 0)
		return code;
	code = agent_hooks_new(app,
			       &(struct agent_hooks_options){.operation = r->operation,
							     .attempt = r->attempt,
							     .options = in.options,
							     .plan = &r->plan,
							     .holder = r->holder},
			       &r->hooks, err);
	if (code < 0)
		agent_plan_fini(&r->plan);
	return code;
}

/* The phase is begun again from its first hook. */
static void try_again(struct agent_removal *r, const char *why)
{
	struct agent_retry retry = {.duration_ms = r->app->engine->o.delete_retry_ms};
	_cleanup_free_ char *text =
		cox_asprintf("%s: %s; will be tried again", agent_phase_name(r->phase), why);

	agent_retry_defaults(&retry);
	cox_log_warn("hooks of a deletion failed", COX_KV("app", agent_app_name(r->app)),
		     COX_KV("error", text));
	agent_app_say_removal(r->app, text);
	cox_timer_start(&r->pause, agent_retry_delay_ms(&retry, r->attempt - 1));
}

static void say_what_is_waited_for(struct agent_removal *r)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	cox_buf_printf(&text, "%s: ", agent_phase_name(r->phase));
	agent_plan_describe(&r->plan, &text);
	agent_app_say_removal(r->app, cox_buf_cstr(&text));
}

static void begin_clean(struct agent_removal *r, bool succeeded)
{
	r->cleaning = true;
	r->succeeded = succeeded;
	agent_hooks_clean(r->hooks, succeeded);
}

static void run(struct agent_removal *r)
{
	int64_t now = agent_engine_now(r->app->engine);
	size_t begin, finish_at;

	while (!r->cleaning) {
		switch (agent_plan_next(&r->plan, now, &begin, &finish_at)) {
		case AGENT_PLAN_RUN:
			agent_hooks_start(r->hooks, begin, finish_at);
			break;
		case AGENT_PLAN_PAUSE:
			if (!cox_timer_is_running(&r->wave))
				cox_timer_start(&r->wave, r->plan.due_ms - now);
			return;
		case AGENT_PLAN_WAIT:
			say_what_is_waited_for(r);
			return;
		case AGENT_PLAN_SUCCEEDED:
			begin_clean(r, true);
			return;
		case AGENT_PLAN_FAILING:
		case AGENT_PLAN_FAILED:
			begin_clean(r, false);
			return;
		}
	}
}

/* After the pause it is a new attempt: its rows in the store make it one. */
static void end_attempt(struct agent_removal *r)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf why = COX_BUF_INIT;

	agent_plan_describe(&r->plan, &why);
	try_again(r, cox_buf_cstr(&why));
	drop_plan(r);
	r->attempt++;
}

static bool step(struct agent_removal *r)
{
	struct cox_error err;

	if (cox_timer_is_running(&r->pause))
		return false;
	if (!r->hooks && make_plan(r, &err) < 0) {
		agent_engine_rediscover(r->app->engine, 30000);
		try_again(r, err.message);
		return false;
	}
	agent_hooks_step(r->hooks);
	run(r);
	if (!r->cleaning || !agent_hooks_are_over(r->hooks))
		return false;
	if (r->succeeded)
		return true;
	end_attempt(r);
	return false;
}

/* The bundle's objects; 0, or 1 when there is nothing to be run. */
static int hold(struct agent_app *app, struct agent_holder **ret_holder)
{
	uint8_t digest[COX_SHA256_BYTES];
	struct cox_error err;

	if (app->tombstone->hooks_digest.len != COX_SHA256_BYTES)
		return 1;
	memcpy(digest, app->tombstone->hooks_digest.data, sizeof(digest));
	int code = agent_app_hold(app, digest, ret_holder, &err);

	if (code == -COX_UNAVAILABLE) {
		_cleanup_free_ char *text =
			app->bundle_error.code
				? cox_asprintf("cannot fetch the bundle with its hooks: %s",
					       app->bundle_error.message)
				: cox_strdup("waiting for the bundle with its hooks");

		agent_app_say_removal(app, text);
		return code;
	}
	if (code < 0) {
		/* nothing can have been applied of it either, and the deletion has to end */
		cox_log_warn("hooks of a deletion cannot be run",
			     COX_KV("app", agent_app_name(app)), COX_KV_ERROR(&err));
		return 1;
	}
	return 0;
}

static bool has_hooks(const struct agent_holder *h, enum agent_phase phase)
{
	COX_VEC_EACH (&h->desired.objects, o)
		if (o->is_hook && (o->hook_phases & 1u << phase))
			return true;
	return false;
}

bool agent_removal_hooks(struct agent_app *app, enum agent_phase phase)
{
	struct agent_removal *r = app->removal;
	struct agent_holder *h = NULL;

	if (app->removal_phase > (int)phase)
		return true;
	if (r && r->phase != phase) {
		agent_removal_free(r);
		app->removal = r = NULL;
	}
	if (!r) {
		int code = hold(app, &h);

		if (code < 0)
			return false;
		if (code > 0 || !has_hooks(h, phase)) {
			agent_holder_unref(h);
			app->removal_phase = (int)phase + 1;
			return true;
		}
		app->removal = r = removal_new(app, phase, h);
	}
	if (!step(r))
		return false;
	cox_log_info("hooks of a deletion have completed", COX_KV("app", agent_app_name(app)),
		     COX_KV("phase", agent_phase_name(phase)));
	agent_removal_free(r);
	app->removal = NULL;
	app->removal_phase = (int)phase + 1;
	return true;
}

/* Some hook of the deletion that is not over, also from before a restart; NULL: none. */
static struct agent_removal *find_unended(struct agent_app *app)
{
	static const enum agent_phase phases[] = {AGENT_PHASE_PRE_DELETE, AGENT_PHASE_POST_DELETE};

	for (size_t i = 0; i < COX_ARRAY_LEN(phases); i++) {
		struct agent_removal *r = removal_new(app, phases[i], NULL);
		struct cox_error err;

		if (agent_store_each_hook(app->engine->o.store, app->uid, r->operation,
					  count_attempt, r, &err) >= 0 &&
		    agent_hooks_new(app,
				    &(struct agent_hooks_options){.operation = r->operation,
								  .attempt = r->attempt},
				    &r->hooks, &err) >= 0 &&
		    !agent_hooks_are_over(r->hooks))
			return r;
		agent_removal_free(r);
	}
	return NULL;
}

bool agent_removal_end(struct agent_app *app)
{
	struct agent_removal *r = app->removal;

	if (r && r->hooks) {
		agent_hooks_end(r->hooks, "Terminated");
		if (!agent_hooks_are_over(r->hooks))
			return false;
	}
	agent_removal_free(r);
	app->removal = find_unended(app);
	if (app->removal)
		agent_hooks_end(app->removal->hooks, "Terminated");
	return !app->removal;
}
