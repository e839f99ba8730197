/* One hook: what is to be done next, and what the answers mean. */
#include "agent/sync/hook_run.h"
#include "agent/sync/judge.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"

#include <stdlib.h>

#define AGAIN_BASE_MS 1000
#define AGAIN_MAX_MS  30000
/* The watch tells; this is for the case that it doesn't. */
#define LOOK_AGAIN_MS	    30000
#define LOOK_AGAIN_BLIND_MS 5000

#define ARGO_FINALIZER "argocd.argoproj.io/hook-finalizer"

static struct agent_engine *engine_of(const struct agent_hook *h)
{
	return h->run->app->engine;
}

/* ---- durable state ---- */

int agent_hook_store(const struct agent_hook *h, struct cox_error *err)
{
	return agent_store_put_hook(engine_of(h)->o.store, h->run->app->uid,
				    &(struct agent_hook_row){
					    .operation = h->run->operation,
					    .attempt = h->run->attempt,
					    .phase = (int)h->phase,
					    .key_text = h->key_text,
					    .version = h->version,
					    .object_uid = h->object_uid ? h->object_uid : "",
					    .state = h->state,
					    .released = h->released,
					    .gone = h->gone,
					    .hook_delete = h->hook_delete,
					    .started_ms = h->started_ms,
					    .message = h->message ? h->message : "",
				    },
				    err);
}

static void later(struct agent_hook *h)
{
	struct cox_rng rng;

	cox_rng_init(&rng, (uint64_t)cox_clock_us());
	cox_timer_start(&h->again,
			cox_backoff_ms(&rng, AGAIN_BASE_MS, AGAIN_MAX_MS, h->n_failures++));
}

/* false: what was to become durable has not, and is tried again later. */
static bool keep(struct agent_hook *h)
{
	struct cox_error err;

	if (agent_hook_store(h, &err) >= 0)
		return true;
	cox_log_error("cannot keep the state of a hook", COX_KV("app", agent_app_name(h->run->app)),
		      COX_KV("object", h->key_text), COX_KV_ERROR(&err));
	later(h);
	return false;
}

void agent_hook_tell(struct agent_hook *h)
{
	static const enum agent_hook_outcome outcomes[] = {
		[AGENT_HOOK_CREATED] = AGENT_OUTCOME_RUNNING,
		[AGENT_HOOK_ENDED_WELL] = AGENT_OUTCOME_SUCCEEDED,
		[AGENT_HOOK_ENDED_BADLY] = AGENT_OUTCOME_FAILED,
	};

	if (h->run->plan && h->task != SIZE_MAX && h->state != AGENT_HOOK_INTENT)
		agent_plan_hook(h->run->plan, h->task, outcomes[h->state], h->message);
	h->run->app->dirty = true;
	agent_engine_queue(h->run->app);
}

/* The outcome, durable, then told. Without an object there is nothing to be released. */
static void conclude(struct agent_hook *h, bool well, const char *message)
{
	enum agent_hook_state before = h->state;
	bool vanished = h->gone;

	free(h->message);
	h->message = cox_strdup(message);
	h->state = well ? AGENT_HOOK_ENDED_WELL : AGENT_HOOK_ENDED_BADLY;
	h->released = h->gone = vanished || !h->object_uid;
	if (!keep(h)) {
		h->state = before;
		h->released = h->gone = false;
		h->look = before == AGENT_HOOK_CREATED;
		return;
	}
	cox_timer_stop(&h->timeout);
	cox_timer_stop(&h->look_again);
	cox_log_info("hook ended", COX_KV("app", agent_app_name(h->run->app)),
		     COX_KV("object", h->key_text), COX_KV("phase", agent_phase_name(h->phase)),
		     COX_KV("outcome", well ? "succeeded" : "failed"), COX_KV("message", message));
	agent_hook_tell(h);
	agent_hook_step(h);
}

static void set_doc(struct cox_doc **slot, struct cox_doc *doc)
{
	struct cox_doc *next = doc ? cox_doc_ref(doc) : NULL;

	cox_doc_unref(*slot);
	*slot = next;
}

/* ---- the object ---- */

struct cox_doc *agent_hook_object(const struct agent_hooks *run, size_t task)
{
	const struct agent_task *t = &run->plan->tasks.items[task];
	struct cox_doc *doc = cox_doc_edit(run->holder->desired.objects.items[t->object].doc);
	struct cox_node *metadata = cox_map_edit_map(doc, cox_doc_root_edit(doc), "metadata");
	struct cox_node *annotations = cox_map_edit_map(doc, metadata, "annotations");
	struct cox_node *finalizers = cox_doc_list(doc);
	const struct cox_node *own = cox_node_get(metadata, "finalizers");
	_cleanup_free_ char *tracking = agent_tracking_id(agent_app_instance(run->app), t->key);
	char attempt[16];

	snprintf(attempt, sizeof(attempt), "%u", run->attempt);
	cox_map_put_str(doc, metadata, COX_STR("name"), cox_doc_string(doc, t->key.name));
	cox_map_drop(doc, metadata, COX_STR("generateName"));
	cox_map_put_cstr(doc, annotations, AGENT_TRACKING_ID, tracking);
	cox_map_put_cstr(doc, annotations, AGENT_APP_UID, run->app->uid);
	cox_map_put_cstr(doc, annotations, AGENT_HOOK_OPERATION, run->operation);
	cox_map_put_cstr(doc, annotations, AGENT_HOOK_ATTEMPT, attempt);
	cox_map_put_cstr(doc, annotations, AGENT_HOOK_PHASE, agent_phase_name(t->phase));
	for (size_t i = 0; i < cox_node_len(own); i++)
		cox_list_push(doc, finalizers, cox_doc_clone(doc, cox_node_at(own, i)));
	cox_list_push(doc, finalizers, cox_doc_cstring(doc, AGENT_HOOK_FINALIZER));
	cox_map_put(doc, metadata, "finalizers", finalizers);
	return cox_doc_seal(doc);
}

/* Whether the object was made for this very run. */
static bool is_mine(const struct agent_hook *h, const struct cox_node *object)
{
	char attempt[16];

	snprintf(attempt, sizeof(attempt), "%u", h->run->attempt);
	return cox_str_is(cox_meta_annotation(object, AGENT_HOOK_OPERATION), h->run->operation) &&
	       cox_str_is(cox_meta_annotation(object, AGENT_HOOK_ATTEMPT), attempt) &&
	       cox_str_is(cox_meta_annotation(object, AGENT_HOOK_PHASE),
			  agent_phase_name(h->phase)) &&
	       cox_str_is(cox_meta_annotation(object, AGENT_APP_UID), h->run->app->uid);
}

static bool is_same_object(const struct agent_hook *h, const struct cox_node *object)
{
	return h->object_uid && cox_str_is(cox_meta_uid(object), h->object_uid);
}

bool agent_hook_is_held(const struct cox_node *object)
{
	return cox_meta_has_finalizer(object, AGENT_HOOK_FINALIZER) ||
	       cox_meta_has_finalizer(object, ARGO_FINALIZER);
}

/* What has the name may go when it is a hook, or was this application's, and nobody else's now. */
static bool may_replace(const struct agent_hook *h, const struct cox_node *old,
			const char **ret_why)
{
	struct cox_str uid = cox_meta_annotation(old, AGENT_APP_UID);
	const struct agent_app *other = uid.len ? cox_map_get_str(&engine_of(h)->apps, uid) : NULL;

	*ret_why = "an object of that name belongs to another application";
	if (other && other != h->run->app && !other->tombstone)
		return false;
	*ret_why = "an object of that name is there already, and is no hook";
	return agent_is_hook(old) || (uid.len && other == h->run->app);
}

/* ---- requests ---- */

static void answered_get(struct agent_call *call, const struct cox_kube_answer *answer);
static void answered_create(struct agent_call *call, const struct cox_kube_answer *answer);
static void answered_patch(struct agent_call *call, const struct cox_kube_answer *answer);
static void answered_delete(struct agent_call *call, const struct cox_kube_answer *answer);

struct target {
	struct agent_call *call;
	struct cox_kube *kube;
	const struct cox_kube_resource *resource;
	char *namespace, *name;
};

static void target_fini(struct target *t)
{
	free(t->namespace);
	free(t->name);
}

static struct target target_of(struct agent_hook *h,
			       void (*done)(struct agent_call *call,
					    const struct cox_kube_answer *answer))
{
	struct target t = {.call = agent_call_new(h->run->app, h->key_text, done),
			   .kube = engine_of(h)->o.kube,
			   .resource = agent_engine_resource_of(engine_of(h), h->key, h->version),
			   .namespace = cox_str_dup(h->key.namespace),
			   .name = cox_str_dup(h->key.name)};

	t.call->arg = h;
	h->busy = true;
	return t;
}

static void send_get(struct agent_hook *h)
{
	COX_CLEANUP(target_fini) struct target t = target_of(h, answered_get);

	h->look = false;
	t.call->call =
		cox_kube_get(t.kube, t.resource, t.namespace, t.name, agent_call_done, t.call);
}

static void send_create(struct agent_hook *h)
{
	COX_CLEANUP(target_fini) struct target t = target_of(h, answered_create);
	_cleanup_doc_ struct cox_doc *doc = agent_hook_object(h->run, h->task);
	const struct agent_object *o =
		&h->run->holder->desired.objects.items[h->run->plan->tasks.items[h->task].object];
	bool lax = (h->run->options | o->options) & AGENT_OPT_NO_VALIDATE;

	t.call->call = cox_kube_create(
		t.kube, t.resource, t.namespace, cox_doc_root(doc),
		&(struct cox_kube_write_options){.field_manager = AGENT_HOOK_MANAGER,
						 .field_validation = lax ? "Ignore" : "Strict"},
		agent_call_done, t.call);
}

struct cox_doc *agent_hook_release_patch(const struct cox_node *object)
{
	struct cox_doc *doc = cox_doc_new("patch");
	struct cox_node *root = cox_doc_map(doc), *metadata = cox_doc_map(doc);
	struct cox_node *left = cox_doc_list(doc);
	const struct cox_node *have = cox_meta_finalizers(object);

	for (size_t i = 0; i < cox_node_len(have); i++) {
		struct cox_str name = cox_node_str(cox_node_at(have, i));

		if (!cox_str_is(name, AGENT_HOOK_FINALIZER) && !cox_str_is(name, ARGO_FINALIZER))
			cox_list_push(doc, left, cox_doc_string(doc, name));
	}
	cox_map_put_str(doc, metadata, COX_STR("resourceVersion"),
			cox_doc_string(doc, cox_meta_resource_version(object)));
	cox_map_put(doc, metadata, "finalizers", cox_node_len(left) ? left : cox_doc_null(doc));
	cox_map_put(doc, root, "metadata", metadata);
	cox_doc_set_root(doc, root);
	return doc;
}

static void send_release(struct agent_hook *h, const struct cox_node *object)
{
	COX_CLEANUP(target_fini) struct target t = target_of(h, answered_patch);
	_cleanup_doc_ struct cox_doc *doc = agent_hook_release_patch(object);

	t.call->call = cox_kube_patch(
		t.kube, t.resource, t.namespace, t.name, COX_PATCH_MERGE, cox_doc_root(doc),
		&(struct cox_kube_write_options){.field_manager = AGENT_HOOK_MANAGER},
		agent_call_done, t.call);
}

/* Foreground: the object stays until its pods are gone, so that the next one of the name does not
 * begin beside them. */
static void send_delete(struct agent_hook *h, const char *uid)
{
	COX_CLEANUP(target_fini) struct target t = target_of(h, answered_delete);
	struct cox_kube_delete_options options = COX_KUBE_DELETE_OPTIONS;

	options.propagation = "Foreground";
	options.uid = uid;
	t.call->call = cox_kube_delete(t.kube, t.resource, t.namespace, t.name, &options,
				       agent_call_done, t.call);
}

/* ---- what is to be done next ---- */

static void wait_for_news(struct agent_hook *h)
{
	bool blind = !h->kind || !h->kind->synced || h->kind->error || h->old;

	cox_timer_start(&h->look_again, blind ? LOOK_AGAIN_BLIND_MS : LOOK_AGAIN_MS);
}

/* An older instance: first its finalizers go, then it, and then it has to be gone. */
static void step_old(struct agent_hook *h)
{
	const struct cox_node *old = cox_doc_root(h->old);
	_cleanup_free_ char *uid = cox_str_dup(cox_meta_uid(old));

	if (h->run->plan && h->task != SIZE_MAX)
		h->run->plan->tasks.items[h->task].is_replacing = true;
	h->run->app->dirty = true;
	if (agent_hook_is_held(old))
		send_release(h, old);
	else if (!cox_meta_is_deleting(old))
		send_delete(h, uid);
	else
		wait_for_news(h);
}

static void step_intent(struct agent_hook *h)
{
	if (h->look || h->ending)
		send_get(h);
	else if (h->old)
		step_old(h);
	else
		send_create(h);
}

static void step_created(struct agent_hook *h)
{
	if (h->ending || h->timed_out) {
		_cleanup_free_ char *text = NULL;
		char timeout[COX_TIME_TEXT_MAX];

		cox_duration_format(h->timeout_ms, timeout);
		text = h->ending ? cox_strdup(h->ending_message)
				 : cox_asprintf("did not complete within %s (%s)", timeout,
						AGENT_HOOK_TIMEOUT);
		h->remove = true;
		conclude(h, false, text);
	} else if (h->look) {
		send_get(h);
	} else {
		wait_for_news(h);
	}
}

static void step_ended(struct agent_hook *h)
{
	const struct cox_node *object = h->seen ? cox_doc_root(h->seen) : NULL;

	bool is_done = h->released && !(h->remove && !h->gone);

	if (!is_done && (h->look || (!h->released && !object))) {
		send_get(h);
	} else if (!h->released && agent_hook_is_held(object)) {
		send_release(h, object);
	} else if (!h->released) {
		h->released = true;
		h->released = keep(h);
		agent_engine_queue(h->run->app); /* which may wait for it */
		if (h->released)
			step_ended(h);
	} else if (h->remove && !h->gone) {
		send_delete(h, h->object_uid);
	}
}

/* Of one that has ended: nothing is left to be done. */
static void note_gone(struct agent_hook *h)
{
	h->released = h->gone = true;
	h->released = h->gone = keep(h);
	agent_engine_queue(h->run->app); /* which may wait for it */
}

/* A kind that the cluster hasn't got any more has no objects. */
static void step_without_kind(struct agent_hook *h)
{
	if (h->state == AGENT_HOOK_INTENT) {
		conclude(h, false, "the cluster does not have this kind");
	} else if (h->state == AGENT_HOOK_CREATED) {
		conclude(h, false, "the cluster does not have this kind any more");
	} else if (!h->released || (h->remove && !h->gone)) {
		note_gone(h);
	}
}

void agent_hook_step(struct agent_hook *h)
{
	static void (*const steps[])(struct agent_hook *) = {
		[AGENT_HOOK_INTENT] = step_intent,
		[AGENT_HOOK_CREATED] = step_created,
		[AGENT_HOOK_ENDED_WELL] = step_ended,
		[AGENT_HOOK_ENDED_BADLY] = step_ended,
	};

	if (!h->wanted || h->busy || cox_timer_is_running(&h->again) ||
	    !cox_discovery_is_ready(engine_of(h)->discovery))
		return;
	if (!agent_engine_resource_of(engine_of(h), h->key, h->version))
		step_without_kind(h);
	else
		steps[h->state](h);
}

/* ---- answers ---- */

/* true: it says nothing about the object, and is asked again later. */
static bool is_silent(struct agent_hook *h, const struct cox_kube_answer *answer)
{
	h->busy = false;
	if (!agent_answer_is_silence(answer)) {
		agent_engine_api_works(engine_of(h));
		return false;
	}
	agent_engine_api_failed(engine_of(h), answer->error->message);
	later(h);
	return true;
}

static void judge(struct agent_hook *h)
{
	char message[COX_HEALTH_MESSAGE_MAX];
	struct cox_health health;
	enum agent_hook_outcome outcome;

	agent_judge_now(engine_of(h), h->seen, &health);
	outcome = agent_hook_judge(cox_doc_root(h->seen), &health, message);
	if (outcome == AGENT_OUTCOME_RUNNING)
		agent_hook_step(h);
	else
		conclude(h, outcome == AGENT_OUTCOME_SUCCEEDED, message);
}

void agent_hook_arm_timeout(struct agent_hook *h)
{
	int64_t gone_ms = cox_clock_wall_ms() - h->started_ms;

	if (!h->timeout_ms || cox_timer_is_running(&h->timeout))
		return;
	/* the wall clock may have been moved while nobody ran */
	if (gone_ms < 0)
		gone_ms = 0;
	cox_timer_start(&h->timeout, gone_ms < h->timeout_ms ? h->timeout_ms - gone_ms : 0);
}

/* Its object is there: by our request, or by one whose answer was lost. */
static void created(struct agent_hook *h, struct cox_doc *object, int64_t started_ms)
{
	free(h->object_uid);
	h->object_uid = cox_str_dup(cox_meta_uid(cox_doc_root(object)));
	h->started_ms = started_ms;
	h->state = AGENT_HOOK_CREATED;
	if (!keep(h)) { /* it will be found again */
		h->state = AGENT_HOOK_INTENT;
		h->look = true;
		free(h->object_uid);
		h->object_uid = NULL;
		return;
	}
	set_doc(&h->seen, object);
	set_doc(&h->old, NULL);
	h->n_failures = 0;
	agent_hook_arm_timeout(h);
	cox_log_info("hook begins", COX_KV("app", agent_app_name(h->run->app)),
		     COX_KV("object", h->key_text), COX_KV("phase", agent_phase_name(h->phase)),
		     COX_KV("operation", h->run->operation),
		     COX_KV_INT("attempt", (int64_t)h->run->attempt));
	agent_hook_tell(h);
	judge(h);
}

static void answered_create(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_hook *h = call->arg;

	if (is_silent(h, answer))
		return;
	if (answer->error->code == COX_OK && answer->doc) {
		created(h, answer->doc, cox_clock_wall_ms());
		return;
	}
	if (answer->reason == COX_KUBE_ALREADY_EXISTS) {
		h->look = true;
		agent_hook_step(h);
		return;
	}
	if (answer->reason == COX_KUBE_CONFLICT) { /* of something beside it: a quota */
		later(h);
		return;
	}
	if (answer->status >= 400 && answer->status < 500) {
		conclude(h, false, answer->error->message);
		return;
	}
	/* a server that fails may have done it before, and one whose answer is torn has */
	free(h->refusal);
	h->refusal = cox_asprintf("the API server answers %d: %s", answer->status,
				  answer->error->message);
	h->look = true;
	agent_hook_step(h);
}

/* No object of the name. */
static void found_none(struct agent_hook *h)
{
	switch (h->state) {
	case AGENT_HOOK_INTENT:
		set_doc(&h->old, NULL);
		if (h->ending)
			conclude(h, false, h->ending_message);
		else if (h->refusal)
			conclude(h, false, h->refusal);
		else
			agent_hook_step(h);
		return;
	case AGENT_HOOK_CREATED:
		h->gone = true;
		conclude(h, false, "is missing, it might have been deleted");
		return;
	default:
		note_gone(h);
	}
}

static void found(struct agent_hook *h, struct cox_doc *object)
{
	const struct cox_node *root = cox_doc_root(object);
	int64_t started_ms = cox_clock_wall_ms();
	const char *why;

	if (h->state != AGENT_HOOK_INTENT) {
		if (!is_same_object(h, root)) {
			found_none(h);
			return;
		}
		set_doc(&h->seen, object);
		if (h->state == AGENT_HOOK_CREATED)
			judge(h);
		else
			agent_hook_step(h);
		return;
	}
	if (is_mine(h, root)) {
		cox_time_parse(cox_node_str(COX_GET(root, "metadata", "creationTimestamp")),
			       &started_ms, NULL);
		created(h, object, started_ms);
	} else if (h->ending) {
		conclude(h, false, h->ending_message);
	} else if (!may_replace(h, root, &why)) {
		conclude(h, false, why);
	} else {
		set_doc(&h->old, object);
		agent_hook_step(h);
	}
}

static void answered_get(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_hook *h = call->arg;

	h->look = true; /* unless this says it */
	if (is_silent(h, answer))
		return;
	h->look = false;
	if (answer->error->code == COX_OK && answer->doc) {
		found(h, answer->doc);
	} else if (answer->reason == COX_KUBE_NOT_FOUND) {
		found_none(h);
	} else { /* it may not be read, at the moment: that is no outcome */
		cox_log_warn("cannot read a hook", COX_KV("object", h->key_text),
			     COX_KV("error", answer->error->message));
		h->look = true;
		later(h);
	}
}

/* After a release or a deletion: what is there is looked at, unless there is nothing. */
static void look_at_once(struct agent_hook *h, const struct cox_kube_answer *answer)
{
	if (answer->reason == COX_KUBE_NOT_FOUND) {
		found_none(h);
		return;
	}
	h->look = true;
	if (answer->error->code == COX_OK || answer->reason == COX_KUBE_CONFLICT) {
		agent_hook_step(h);
		return;
	}
	cox_log_warn("cannot change a hook", COX_KV("object", h->key_text),
		     COX_KV("error", answer->error->message));
	later(h);
}

static void answered_patch(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_hook *h = call->arg;

	if (is_silent(h, answer))
		return;
	if (answer->error->code != COX_OK || !answer->doc) {
		look_at_once(h, answer);
		return;
	}
	set_doc(h->state == AGENT_HOOK_INTENT ? &h->old : &h->seen, answer->doc);
	agent_hook_step(h);
}

static void answered_delete(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_hook *h = call->arg;

	if (is_silent(h, answer))
		return;
	if (h->state == AGENT_HOOK_INTENT) {
		look_at_once(h, answer);
		return;
	}
	/* gone, or on its way */
	if (answer->error->code == COX_OK || answer->reason == COX_KUBE_NOT_FOUND) {
		note_gone(h);
		return;
	}
	if (answer->reason == COX_KUBE_CONFLICT) { /* another one has the name, or it's busy */
		h->look = true;
		later(h);
		return;
	}
	cox_log_warn("cannot delete a hook", COX_KV("object", h->key_text),
		     COX_KV("error", answer->error->message));
	later(h);
}

/* ---- what watches tell ---- */

void agent_hook_seen(struct agent_kind *kind, const char *key_text, struct cox_doc *object)
{
	struct agent_hook *h = cox_map_get(&kind->engine->hooks, key_text);

	for (; h; h = h->next) {
		if (h->kind != kind || h->state != AGENT_HOOK_CREATED)
			continue;
		if (is_same_object(h, cox_doc_root(object))) {
			set_doc(&h->seen, object);
			judge(h);
		} else { /* of before it, or after it */
			h->look = true;
			agent_hook_step(h);
		}
	}
}

void agent_hook_vanished(struct agent_kind *kind, const char *key_text)
{
	struct agent_hook *h = cox_map_get(&kind->engine->hooks, key_text);

	for (; h; h = h->next) {
		if (h->kind != kind || h->state > AGENT_HOOK_CREATED)
			continue;
		h->look |= h->state == AGENT_HOOK_CREATED || h->old;
		agent_hook_step(h);
	}
}
