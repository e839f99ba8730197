/* What is seen of the objects of applications, and what it means. */
#include "agent/sync/app.h"
#include "agent/sync/judge.h"
#include "agent/sync/migrate.h"
#include "agent/sync/verdict.h"

#include <stdlib.h>

#define RELIST_FROM  20 /* objects of a kind to be asked for: from here on one list is cheaper */
#define ASK_AGAIN_MS 5000
#define REMOVED_MAX  5000

/* ---- entries ---- */

struct agent_entry *agent_entry_get(struct agent_app *app, const char *key_text,
				    const char *version)
{
	struct agent_engine *e = app->engine;
	struct agent_entry *entry = cox_map_get(&app->entries, key_text);

	if (entry && cox_streq(entry->version, version))
		return entry;
	if (entry) { /* the same object, asked for in another version */
		bool owned = entry->owned;

		agent_entry_free(entry);
		entry = agent_entry_get(app, key_text, version);
		entry->owned = owned;
		return entry;
	}
	entry = cox_new(struct agent_entry);
	entry->app = app;
	entry->key_text = cox_strdup(key_text);
	entry->version = cox_strdup(version);
	struct cox_str rest = cox_str(entry->key_text);

	cox_str_split(&rest, '/', &entry->key.group);
	cox_str_split(&rest, '/', &entry->key.kind);
	cox_str_split(&rest, '/', &entry->key.namespace);
	entry->key.name = rest;
	entry->report = true;
	cox_map_set(&app->entries, key_text, entry);
	entry->next = cox_map_set(&e->keys, key_text, entry);
	entry->kind = agent_kind_hold(e, entry->key, version);
	return entry;
}

static void unchain(struct agent_entry *entry)
{
	struct agent_engine *e = entry->app->engine;
	struct agent_entry *first = cox_map_get(&e->keys, entry->key_text);

	if (first == entry) {
		if (entry->next)
			cox_map_set(&e->keys, entry->key_text, entry->next);
		else
			cox_map_remove(&e->keys, entry->key_text);
		return;
	}
	while (first && first->next != entry)
		first = first->next;
	if (first)
		first->next = entry->next;
}

void agent_entry_free(struct agent_entry *entry)
{
	struct agent_app *app = entry->app;

	agent_judge_drop(entry);
	agent_verdict_drop(entry);
	agent_tree_root_gone(entry);
	if (app->removed.n >= REMOVED_MAX) { /* nobody listens: everything anew, later */
		cox_strings_fini(&app->removed);
		app->want_full = true;
	}
	cox_vec_push(&app->removed, cox_asprintf("%s %s", entry->version, entry->key_text));
	app->dirty = true;
	cox_map_remove(&app->entries, entry->key_text);
	unchain(entry);
	agent_kind_release(entry->kind);
	cox_strings_fini(&entry->differing);
	free(entry->health_message);
	free(entry->comparison_error);
	free(entry->object_uid);
	free(entry->version);
	free(entry->key_text);
	free(entry);
}

void agent_entry_health(const struct agent_entry *entry, struct cox_health *ret)
{
	*ret = (struct cox_health){.status = entry->health, .guess = entry->health_guess};
	if (entry->health_message)
		snprintf(ret->message, sizeof(ret->message), "%s", entry->health_message);
}

static void set_health(struct agent_entry *entry, const struct cox_health *health)
{
	if (entry->health == health->status && entry->health_guess == health->guess &&
	    strcmp(entry->health_message ? entry->health_message : "", health->message) == 0)
		return;
	entry->health = health->status;
	entry->health_guess = health->guess;
	free(entry->health_message);
	entry->health_message = health->message[0] ? cox_strdup(health->message) : NULL;
	entry->report = true;
}

static void set_sync(struct agent_entry *entry, enum agent_sync_status sync)
{
	if (entry->sync != sync)
		entry->report = true;
	entry->sync = sync;
}

static void set_differing(struct agent_entry *entry, struct agent_difference *d)
{
	bool same = d->paths.n == entry->differing.n;

	for (size_t i = 0; same && i < d->paths.n; i++)
		same = cox_streq(d->paths.items[i], entry->differing.items[i]);
	if (same)
		return;
	cox_strings_fini(&entry->differing);
	entry->differing = d->paths;
	d->paths = (cox_strings){0};
	entry->report = true;
}

/* ---- evaluation ---- */

static void forget_object(struct agent_entry *entry)
{
	struct agent_app *app = entry->app;

	/* what cannot be forgotten now is forgotten when it is looked at the next time */
	if (entry->owned)
		agent_store_drop_object(app->engine->o.store, app->uid, entry->key_text, NULL);
	agent_entry_free(entry);
}

static void evaluate_gone(struct agent_entry *entry, uint64_t version)
{
	struct agent_difference none = AGENT_DIFFERENCE_INIT;

	agent_judge_drop(entry);
	agent_verdict_drop(entry);
	entry->applied_hash = 0;
	agent_tree_root_gone(entry);
	entry->rejudge = false;
	free(entry->comparison_error);
	entry->comparison_error = NULL;
	free(entry->object_uid);
	entry->object_uid = NULL;
	entry->resource_version = version;
	entry->live = entry->marked = entry->shared = false;
	entry->evaluated = true;
	set_differing(entry, &none);
	set_sync(entry, AGENT_OUT_OF_SYNC);
	set_health(entry, &(struct cox_health){.status = COX_HEALTH_MISSING});
}

static bool is_shared(const struct agent_entry *entry, const struct cox_node *live)
{
	struct cox_str uid = cox_meta_annotation(live, AGENT_APP_UID);

	return uid.len && !cox_str_is(uid, entry->app->uid) &&
	       cox_map_get_str(&entry->app->engine->apps, uid) != NULL;
}

static void evaluate_live(struct agent_entry *entry, struct cox_doc *live,
			  const struct cox_health *health, enum agent_sync_status status,
			  struct agent_difference *d)
{
	const struct cox_node *root = cox_doc_root(live);

	if (!entry->live || !cox_str_is(cox_meta_uid(root), entry->object_uid)) {
		free(entry->object_uid);
		entry->object_uid = cox_str_dup(cox_meta_uid(root));
		entry->live = true;
		agent_tree_root_appeared(entry);
	}
	entry->marked = agent_is_marked(root, entry->app->uid);
	entry->shared = is_shared(entry, root);
	entry->terminating = cox_meta_is_deleting(root);
	entry->foreign = agent_migrate_is_needed(root);
	entry->live_options =
		agent_options_parse(cox_meta_annotation(root, "argocd.argoproj.io/sync-options"));
	if (!entry->wanted) /* what was assigned and never applied says nothing of it */
		entry->wave = agent_wave_of(root);
	entry->ignore_health = cox_str_is(
		cox_meta_annotation(root, "argocd.argoproj.io/ignore-healthcheck"), "true");
	entry->ignore_extraneous = agent_ignores_extraneous(root);
	set_health(entry, health);
	set_sync(entry, status);
	set_differing(entry, d);
	entry->evaluated = entry->sync != AGENT_SYNC_UNKNOWN || entry->comparison_error;
}

uint64_t agent_version_number(const struct cox_node *object)
{
	return agent_version_of(cox_meta_resource_version(object));
}

uint64_t agent_version_of(struct cox_str text)
{
	uint64_t value = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return 0; /* opaque after all: nothing is known to be older */
		value = value * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	return value;
}

/* What is known of the object is known anew. */
/* An operation that syncs to another bundle may be applying right now what is not there yet. */
static bool may_be_applied(const struct agent_entry *entry)
{
	const struct agent_operation *op = entry->app->operation;

	return op && op->holder && agent_desired_find(&op->holder->desired, entry->key_text);
}

static void evaluated(struct agent_entry *entry, enum agent_sync_status before)
{
	struct agent_app *app = entry->app;

	agent_operation_observed(entry);
	/* what is seen for the first time is no change: a restart is no reason to try again */
	app->changed_since |= before != AGENT_SYNC_UNKNOWN && entry->sync != before;
	/* prune only what still is ours: the others leave the inventory untouched in the cluster */
	if (entry->evaluated && !entry->wanted && (app->built || app->tombstone) &&
	    (!entry->live || !entry->marked) && !may_be_applied(entry)) {
		/* who waits for its deletion waits no more: it may live on as somebody else's */
		if (app->operation && app->operation->planned)
			agent_plan_observed(&app->operation->plan, entry->key_text, NULL);
		forget_object(entry);
	}
	agent_engine_queue(app);
}

void agent_entry_settle(struct agent_entry *entry, struct cox_doc *live,
			const struct cox_health *health, bool current)
{
	_cleanup_difference_ struct agent_difference d = AGENT_DIFFERENCE_INIT;
	enum agent_sync_status before = entry->sync, status;

	if (agent_verdict_reach(entry, live, health, current, &status, &d) > 0)
		return;
	entry->resource_version = agent_version_number(cox_doc_root(live));
	entry->rejudge &= !current;
	evaluate_live(entry, live, health, status, &d);
	evaluated(entry, before);
}

void agent_entry_gone(struct agent_entry *entry, uint64_t version)
{
	enum agent_sync_status before = entry->sync;

	if (version && version < entry->resource_version)
		return;
	evaluate_gone(entry, version);
	evaluated(entry, before);
}

void agent_entry_evaluate(struct agent_entry *entry, struct cox_doc *live)
{
	enum agent_sync_status before = entry->sync;
	struct cox_health health;

	if (!live) {
		agent_entry_gone(entry, 0);
		return;
	}
	uint64_t version = agent_version_number(cox_doc_root(live));

	if (version && version < entry->resource_version)
		return;
	if (version && version == entry->resource_version && entry->evaluated && !entry->rejudge) {
		evaluated(entry, before);
		return;
	}
	if (agent_judge_begin(entry, live))
		return;
	agent_judge_now(entry->app->engine, live, &health);
	agent_entry_settle(entry, live, &health, true);
}

bool agent_entry_is_being_judged(const struct agent_entry *entry)
{
	return entry->judging || agent_verdict_is_pending(entry);
}

/* ---- asking ---- */

void agent_entry_ask_later(struct agent_entry *entry)
{
	entry->ask_at_ms = agent_engine_now(entry->app->engine) + ASK_AGAIN_MS;
	agent_engine_queue(entry->app); /* which asks, and sees that it is too early */
}

/* It may not be read: a condition on every application that has objects of the kind. */
static void refused(struct agent_entry *entry, const struct cox_kube_answer *answer)
{
	struct agent_kind *kind = entry->kind;

	free(kind->error);
	kind->error =
		cox_asprintf("cannot read %s: %s", kind->resource->plural, answer->error->message);
	agent_engine_queue(entry->app);
}

/* "Not found" has no version: when a watch or an apply has told of the object while it was asked for,
 * nobody knows which of the two is newer. */
static bool is_overtaken(const struct agent_entry *entry, const struct cox_kube_answer *answer)
{
	return answer->reason == COX_KUBE_NOT_FOUND && entry->live &&
	       entry->resource_version != entry->fetch_version;
}

static void fetched(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct agent_entry *entry = cox_map_get(&call->app->entries, call->key_text);

	if (!entry)
		return;
	entry->fetching = false;
	if (entry->fetch_again || is_overtaken(entry, answer)) {
		entry->fetch_again = entry->evaluated = false;
		agent_engine_queue(call->app);
		return;
	}
	if (answer->status == 0)
		agent_engine_api_failed(call->engine, answer->error->message);
	else
		agent_engine_api_works(call->engine);
	if (answer->error->code == COX_OK)
		agent_entry_evaluate(entry, answer->doc);
	else if (answer->reason == COX_KUBE_NOT_FOUND)
		agent_entry_evaluate(entry, NULL);
	else
		refused(entry, answer);
	/* neither comparable nor an error: the bundle is away; not again and again */
	entry = cox_map_get(&call->app->entries, call->key_text);
	if (entry && !entry->evaluated && !agent_entry_is_being_judged(entry))
		agent_entry_ask_later(entry);
}

void agent_entry_fetch(struct agent_entry *entry)
{
	struct agent_app *app = entry->app;
	_cleanup_free_ char *namespace = cox_str_dup(entry->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(entry->key.name);
	struct agent_call *call = agent_call_new(app, entry->key_text, fetched);

	entry->fetching = true;
	entry->fetch_version = entry->resource_version;
	call->call = cox_kube_get(app->engine->o.kube, entry->kind->resource, namespace, name,
				  agent_call_done, call);
}

/* Nothing is known of it, or no health by the scripts in force, and nothing is on its way. */
static bool has_to_be_asked_for(const struct agent_entry *entry)
{
	return (!entry->evaluated || entry->rejudge) && !entry->fetching &&
	       !agent_entry_is_being_judged(entry);
}

void agent_entry_doubt(struct agent_entry *entry)
{
	entry->evaluated = false;
	entry->fetch_again = entry->fetching;
}

void agent_entry_ask(struct agent_entry *entry)
{
	struct agent_app *app = entry->app;
	int64_t left = entry->ask_at_ms - agent_engine_now(app->engine);

	if (entry->fetching)
		return;
	if (left <= 0)
		agent_entry_fetch(entry);
	else if (!cox_timer_is_running(&app->wake) || cox_timer_left_ms(&app->wake) > left)
		cox_timer_start(&app->wake, left);
}

void agent_app_observe(struct agent_app *app)
{
	_cleanup_map_ struct cox_map counts = COX_MAP_INIT;
	COX_VEC(struct agent_entry *) unknown = {0};

	if (!app->built)
		return;
	COX_MAP_EACH (&app->entries, slot) {
		struct agent_entry *entry = slot->value;
		struct agent_kind *kind = entry->kind;

		if (!has_to_be_asked_for(entry))
			continue;
		if (!kind->resource)
			cox_vec_push(&unknown, entry);
		else if (kind->synced)
			cox_map_set(&counts, kind->id,
				    (void *)((uintptr_t)cox_map_get(&counts, kind->id) + 1));
	}
	COX_MAP_EACH (&counts, slot)
		if ((uintptr_t)slot->value > RELIST_FROM)
			agent_kind_relist(cox_map_get(&app->engine->kinds, slot->key));
	COX_MAP_EACH (&app->entries, slot) {
		struct agent_entry *entry = slot->value;

		if (has_to_be_asked_for(entry) && entry->kind->resource && entry->kind->synced)
			agent_entry_ask(entry);
	}
	/* of a kind that the cluster hasn't got there is no object */
	COX_VEC_EACH (&unknown, entry)
		agent_entry_evaluate(*entry, NULL);
	if (unknown.n)
		agent_engine_rediscover(app->engine, 30000);
	cox_vec_fini(&unknown);
}

/* ---- sums ---- */

bool agent_app_is_observed(const struct agent_app *app)
{
	if (!app->built)
		return false;
	COX_MAP_EACH (&app->entries, slot)
		if (!((struct agent_entry *)slot->value)->evaluated)
			return false;
	return true;
}

enum agent_sync_status agent_app_status(const struct agent_app *app)
{
	enum agent_sync_status status = AGENT_SYNCED;

	if (!agent_app_is_observed(app))
		return AGENT_SYNC_UNKNOWN;
	COX_MAP_EACH (&app->entries, slot) {
		const struct agent_entry *entry = slot->value;

		if (entry->sync == AGENT_SYNCED || (!entry->wanted && entry->ignore_extraneous))
			continue;
		if (entry->sync == AGENT_SYNC_UNKNOWN) /* cannot be compared */
			return AGENT_SYNC_UNKNOWN;
		status = AGENT_OUT_OF_SYNC;
	}
	return status;
}

void agent_app_health(const struct agent_app *app, struct cox_health *ret)
{
	COX_CLEANUP(cox_health_sum_fini) struct cox_health_sum sum = COX_HEALTH_SUM_INIT;
	const struct cox_node *there = cox_doc_root(app->engine->blank);

	if (!agent_app_is_observed(app)) {
		*ret = (struct cox_health){.status = COX_HEALTH_UNKNOWN};
		return;
	}
	COX_MAP_EACH (&app->entries, slot) {
		const struct agent_entry *entry = slot->value;
		struct cox_health h;

		agent_entry_health(entry, &h);
		if (entry->ignore_health)
			h.status = COX_HEALTH_NONE;
		if (entry->wanted || entry->live)
			cox_health_sum_add(&sum, entry->key, entry->live ? there : NULL, &h);
	}
	cox_health_sum_result(&sum, ret);
}
