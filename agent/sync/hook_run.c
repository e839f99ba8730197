/* The hooks of an attempt: from what is durable of them to the end of the last. */
#include "agent/sync/hook_run.h"

#include <stdlib.h>

static struct agent_engine *engine_of(const struct agent_hook *h)
{
	return h->run->app->engine;
}

static void on_again(void *arg)
{
	agent_hook_step(arg);
}

static void on_look_again(void *arg)
{
	struct agent_hook *h = arg;

	h->look = true;
	agent_hook_step(h);
}

static void on_timeout(void *arg)
{
	struct agent_hook *h = arg;

	h->timed_out = true;
	agent_hook_step(h);
}

/* ---- life of one ---- */

static struct agent_hook *hook_new(struct agent_hooks *run, enum agent_phase phase,
				   const char *key_text, const char *version)
{
	struct agent_hook *h = cox_new(struct agent_hook);
	struct cox_loop *loop = run->app->engine->o.loop;
	struct cox_str rest;

	h->run = run;
	h->task = SIZE_MAX;
	h->phase = phase;
	h->key_text = cox_strdup(key_text);
	h->version = cox_strdup(version);
	rest = cox_str(h->key_text);
	cox_str_split(&rest, '/', &h->key.group);
	cox_str_split(&rest, '/', &h->key.kind);
	cox_str_split(&rest, '/', &h->key.namespace);
	h->key.name = rest;
	cox_timer_init(&h->again, loop, on_again, h);
	cox_timer_init(&h->look_again, loop, on_look_again, h);
	cox_timer_init(&h->timeout, loop, on_timeout, h);
	cox_vec_push(&run->items, h);
	return h;
}

/* From here on its object is watched. */
static void watch(struct agent_hook *h)
{
	struct agent_engine *e = engine_of(h);

	if (h->kind)
		return;
	h->kind = agent_kind_hold(e, h->key, h->version);
	h->next = cox_map_set(&e->hooks, h->key_text, h);
}

static void unwatch(struct agent_hook *h)
{
	struct agent_engine *e = engine_of(h);
	struct agent_hook *before = cox_map_get(&e->hooks, h->key_text);

	if (!h->kind)
		return;
	if (before == h && h->next)
		cox_map_set(&e->hooks, h->key_text, h->next);
	else if (before == h)
		cox_map_remove(&e->hooks, h->key_text);
	for (; before && before != h; before = before->next) {
		if (before->next == h) {
			before->next = h->next;
			break;
		}
	}
	agent_kind_release(h->kind);
	h->kind = NULL;
}

static void hook_free(struct agent_hook *h)
{
	agent_calls_cancel_of(engine_of(h), h);
	unwatch(h);
	cox_timer_stop(&h->again);
	cox_timer_stop(&h->look_again);
	cox_timer_stop(&h->timeout);
	cox_doc_unref(h->seen);
	cox_doc_unref(h->old);
	free(h->refusal);
	free(h->message);
	free(h->object_uid);
	free(h->version);
	free(h->key_text);
	free(h);
}

/* ---- the run ---- */

static int load_row(void *ctx, const struct agent_hook_row *row, struct cox_error *err)
{
	struct agent_hooks *run = ctx;

	(void)err;
	if (row->attempt != run->attempt)
		return 0;
	struct agent_hook *h =
		hook_new(run, (enum agent_phase)row->phase, row->key_text, row->version);

	h->state = row->state;
	h->released = row->released;
	h->gone = row->gone;
	h->hook_delete = row->hook_delete;
	h->object_uid = *row->object_uid ? cox_strdup(row->object_uid) : NULL;
	h->started_ms = row->started_ms;
	h->message = *row->message ? cox_strdup(row->message) : NULL;
	return 0;
}

static void bind_task(struct agent_hooks *run, struct agent_hook *h)
{
	for (size_t i = 0; run->plan && i < run->plan->tasks.n; i++) {
		const struct agent_task *t = &run->plan->tasks.items[i];

		if (t->action != AGENT_ACTION_HOOK || t->phase != h->phase ||
		    !cox_streq(t->key_text, h->key_text))
			continue;
		h->task = i;
		h->timeout_ms = run->holder->desired.objects.items[t->object].hook_timeout_ms;
		agent_hook_tell(h);
	}
}

int agent_hooks_new(struct agent_app *app, const struct agent_hooks_options *options,
		    struct agent_hooks **ret_run, struct cox_error *err)
{
	struct agent_hooks *run = cox_new(struct agent_hooks);

	run->app = app;
	run->operation = cox_strdup(options->operation);
	run->attempt = options->attempt;
	run->options = options->options;
	run->plan = options->plan;
	run->holder = options->holder ? agent_holder_ref(options->holder) : NULL;
	int code = agent_store_each_hook(app->engine->o.store, app->uid, options->operation,
					 load_row, run, err);

	if (code < 0) {
		agent_hooks_free(run);
		return code;
	}
	COX_VEC_EACH (&run->items, item) {
		struct agent_hook *h = *item;

		bind_task(run, h);
		/* one that was only intended waits for its turn */
		h->wanted = h->state != AGENT_HOOK_INTENT;
		if (h->state != AGENT_HOOK_CREATED) {
			agent_hook_step(h);
			continue;
		}
		h->look = true;
		watch(h);
		agent_hook_arm_timeout(h);
		agent_hook_step(h);
	}
	*ret_run = run;
	return 0;
}

void agent_hooks_free(struct agent_hooks *run)
{
	if (!run)
		return;
	COX_VEC_EACH (&run->items, h)
		hook_free(*h);
	cox_vec_fini(&run->items);
	agent_holder_unref(run->holder);
	free(run->operation);
	free(run);
}

static struct agent_hook *hook_of(struct agent_hooks *run, size_t task)
{
	const struct agent_task *t = &run->plan->tasks.items[task];

	COX_VEC_EACH (&run->items, h)
		if ((*h)->task == task)
			return *h;
	const struct agent_object *o = &run->holder->desired.objects.items[t->object];
	struct agent_hook *h = hook_new(run, t->phase, t->key_text, t->version);

	h->task = task;
	h->hook_delete = o->hook_delete;
	h->timeout_ms = o->hook_timeout_ms;
	return h;
}

void agent_hooks_start(struct agent_hooks *run, size_t begin, size_t finish_at)
{
	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;
	struct cox_error err;
	int code = agent_store_begin(run->app->engine->o.store, &tx, &err);

	for (size_t i = begin; code >= 0 && i < finish_at; i++)
		code = agent_hook_store(hook_of(run, i), &err);
	if (code >= 0)
		code = cox_tx_commit(&tx, &err);
	for (size_t i = begin; i < finish_at; i++) {
		struct agent_hook *h = hook_of(run, i);

		if (code < 0) {
			agent_plan_failed(run->plan, i, err.message);
			continue;
		}
		h->wanted = true;
		watch(h);
		agent_hook_step(h);
	}
}

static void end_one(struct agent_hook *h, const char *message)
{
	h->wanted = true;
	if (h->state <= AGENT_HOOK_CREATED) {
		h->ending = true;
		h->ending_message = message;
	}
	agent_hook_step(h);
}

void agent_hooks_end(struct agent_hooks *run, const char *message)
{
	COX_VEC_EACH (&run->items, h)
		end_one(*h, message);
}

void agent_hooks_clean(struct agent_hooks *run, bool succeeded)
{
	uint32_t policy = succeeded ? AGENT_HOOK_SUCCEEDED : AGENT_HOOK_FAILED;

	COX_VEC_EACH (&run->items, item) {
		struct agent_hook *h = *item;

		h->remove |= (h->hook_delete & policy) != 0;
		end_one(h, "ended, because the sync has failed");
	}
}

bool agent_hooks_run(const struct agent_hooks *run)
{
	COX_VEC_EACH (&run->items, item) {
		const struct agent_hook *h = *item;

		if (h->state == AGENT_HOOK_CREATED || (h->state == AGENT_HOOK_INTENT && h->busy))
			return true;
	}
	return false;
}

bool agent_hooks_are_over(const struct agent_hooks *run)
{
	COX_VEC_EACH (&run->items, item) {
		const struct agent_hook *h = *item;

		if (h->busy || h->state <= AGENT_HOOK_CREATED || !h->released ||
		    (h->remove && !h->gone))
			return false;
	}
	return true;
}

void agent_hooks_step(struct agent_hooks *run)
{
	COX_VEC_EACH (&run->items, h)
		if (!cox_timer_is_running(&(*h)->look_again))
			agent_hook_step(*h);
}
