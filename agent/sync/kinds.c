/* Kinds: a watch for each that applications have objects of, or whose objects grow from such ones. */
#include "agent/sync/app.h"
#include "agent/sync/judge.h"

#include <stdlib.h>

static void kind_upsert(void *arg, struct cox_doc *object);
static void kind_remove(void *arg, const char *namespace, const char *name, struct cox_doc *object);
static void kind_synced(void *arg);
static void kind_failed(void *arg, const struct cox_kube_answer *answer);

/* ---- watching ---- */

uint32_t agent_kind_round(const struct agent_kind *kind)
{
	return kind->rounds + (kind->watch ? cox_watch_round(kind->watch) : 0);
}

static bool needs_whole_objects(const struct agent_kind *kind)
{
	return kind->n_holders > 0 ||
	       cox_health_has_rule(cox_str(kind->resource->group), cox_str(kind->resource->kind)) ||
	       agent_has_script(kind->engine, cox_str(kind->resource->group),
				cox_str(kind->resource->kind));
}

void agent_kind_relist(struct agent_kind *kind)
{
	kind->rounds = agent_kind_round(kind);
	cox_watch_free(kind->watch);
	kind->synced = false;
	kind->metadata_only = !needs_whole_objects(kind);
	kind->watch =
		cox_watch_new(kind->engine->o.kube, &(struct cox_watch_options){
							    .resource = kind->resource,
							    .page = AGENT_WATCH_PAGE,
							    .metadata_only = kind->metadata_only,
							    .forget = true,
							    .max_backoff_ms = 10000,
							    .upsert = kind_upsert,
							    .remove = kind_remove,
							    .synced = kind_synced,
							    .failed = kind_failed,
							    .arg = kind,
						    });
}

/* Begins to watch where it is time to, and asks for whole objects where those are needed now. */
static void adjust(struct agent_kind *kind)
{
	if (!kind->resource)
		return;
	if (kind->watch ? kind->metadata_only && needs_whole_objects(kind)
			: kind->n_holders > 0 || agent_tree_may_list(kind))
		agent_kind_relist(kind);
}

/* "group/version/kind" into its parts. */
static void find_resource(struct agent_kind *kind)
{
	struct cox_str rest = cox_str(kind->id), group, version;

	cox_str_split(&rest, '/', &group);
	cox_str_split(&rest, '/', &version);
	_cleanup_free_ char *g = cox_str_dup(group), *v = cox_str_dup(version),
			    *k = cox_str_dup(rest);
	const struct cox_kube_resource *found =
		cox_discovery_find(kind->engine->discovery, g, v, k);

	if (found)
		kind->resource = cox_kube_resource_copy(found);
}

/* Its definition went, and with it all that was of it; it may be there anew. */
static void lose(struct agent_kind *kind)
{
	kind->lost = kind->synced = false;
	kind->rounds = agent_kind_round(kind);
	cox_watch_free(TAKE(kind->watch));
	free(TAKE(kind->resource));
	free(TAKE(kind->error));
	COX_MAP_EACH (&kind->engine->keys, slot)
		for (struct agent_entry *entry = slot->value; entry; entry = entry->next) {
			if (entry->kind != kind)
				continue;
			agent_entry_doubt(entry);
			entry->resource_version = 0;
			agent_engine_queue(entry->app);
		}
}

void agent_kinds_rediscovered(struct agent_engine *e)
{
	/* first all of them: who waits for whom depends on which there are */
	COX_MAP_EACH (&e->kinds, slot) {
		struct agent_kind *kind = slot->value;

		if (kind->resource && kind->lost)
			lose(kind);
		if (!kind->resource)
			find_resource(kind);
	}
	COX_MAP_EACH (&e->kinds, slot)
		adjust(slot->value);
}

/* What waited for a list that is complete now, or that cannot be had. */
static void adjust_all(struct agent_engine *e)
{
	COX_MAP_EACH (&e->kinds, slot)
		if (!((struct agent_kind *)slot->value)->watch)
			adjust(slot->value);
}

/* ---- holding ---- */

static void follow(struct agent_engine *e, const struct agent_child_kind *child, void *ctx);
static void unfollow(struct agent_engine *e, const struct agent_child_kind *child, void *ctx);

/* It is used from now on by one more; the caller counts it and adjusts. */
static struct agent_kind *get(struct agent_engine *e, const char *id)
{
	struct agent_kind *kind = cox_map_get(&e->kinds, id);

	if (kind)
		return kind;
	kind = cox_new(struct agent_kind);
	kind->engine = e;
	kind->id = cox_strdup(id);
	cox_map_set(&e->kinds, id, kind);
	find_resource(kind);
	agent_tree_each_child_kind(kind, follow, NULL);
	return kind;
}

void agent_kind_free(struct agent_kind *kind)
{
	cox_watch_free(kind->watch);
	free(kind->resource);
	free(kind->error);
	free(kind->id);
	free(kind);
}

static void free_if_unused(struct agent_kind *kind)
{
	struct agent_engine *e = kind->engine;

	if (kind->n_holders + kind->n_followers > 0)
		return;
	agent_tree_kind_gone(kind);
	cox_map_remove(&e->kinds, kind->id);
	agent_tree_each_child_kind(kind, unfollow, NULL);
	agent_kind_free(kind);
}

static void follow(struct agent_engine *e, const struct agent_child_kind *child, void *ctx)
{
	_cleanup_free_ char *id =
		cox_asprintf("%s/%s/%s", child->group, child->version, child->kind);
	struct agent_kind *kind = get(e, id);

	(void)ctx;
	kind->n_followers++;
	adjust(kind);
}

static void unfollow(struct agent_engine *e, const struct agent_child_kind *child, void *ctx)
{
	_cleanup_free_ char *id =
		cox_asprintf("%s/%s/%s", child->group, child->version, child->kind);
	struct agent_kind *kind = cox_map_get(&e->kinds, id);

	(void)ctx;
	kind->n_followers--;
	free_if_unused(kind);
}

struct agent_kind *agent_kind_hold(struct agent_engine *e, struct cox_object_key key,
				   const char *version)
{
	_cleanup_free_ char *id = cox_asprintf("%.*s/%s/%.*s", COX_STR_ARG(key.group), version,
					       COX_STR_ARG(key.kind));
	struct agent_kind *kind = get(e, id);

	if (kind->n_holders++ == 0)
		adjust(kind);
	return kind;
}

void agent_kind_release(struct agent_kind *kind)
{
	kind->n_holders--;
	if (!kind->engine->is_freed)
		free_if_unused(kind);
}

/* ---- what watches tell ---- */

static char *key_text_of(const struct agent_kind *kind, const char *namespace, const char *name)
{
	return cox_asprintf("%s/%s/%s/%s", kind->resource->group, kind->resource->kind,
			    namespace ? namespace : "", name);
}

/* An object with our marks that no inventory knows: the inventory was lost. */
static struct agent_entry *recover(struct agent_kind *kind, const char *key_text,
				   const struct cox_node *object)
{
	struct agent_engine *e = kind->engine;
	struct cox_str uid = cox_meta_annotation(object, AGENT_APP_UID);
	struct agent_app *app = uid.len ? cox_map_get_str(&e->apps, uid) : NULL;

	if (!app || !agent_is_marked(object, app->uid) ||
	    cox_node_len(cox_meta_owner_references(object)) > 0)
		return NULL;
	_cleanup_free_ char *object_uid = cox_str_dup(cox_meta_uid(object));
	struct agent_inventory_row row = {
		.key_text = key_text,
		.version = kind->resource->version,
		.object_uid = object_uid,
		.wave = agent_wave_of(object),
		.options = agent_options_parse(
			cox_meta_annotation(object, "argocd.argoproj.io/sync-options")),
	};

	if (agent_store_put_object(e->o.store, app->uid, &row, NULL) < 0)
		return NULL;
	struct agent_entry *entry = agent_entry_get(app, key_text, row.version);

	entry->owned = true;
	entry->wave = row.wave;
	entry->options = row.options;
	return entry;
}

static void kind_upsert(void *arg, struct cox_doc *object)
{
	struct agent_kind *kind = arg;
	const struct cox_node *root = cox_doc_root(object);
	_cleanup_free_ char *namespace = cox_str_dup(cox_meta_namespace(root));
	_cleanup_free_ char *name = cox_str_dup(cox_meta_name(root));
	_cleanup_free_ char *key_text = key_text_of(kind, namespace, name);
	struct agent_entry *entry = cox_map_get(&kind->engine->keys, key_text);
	uint32_t round = agent_kind_round(kind);
	bool partial = kind->metadata_only;

	agent_engine_api_works(kind->engine);
	agent_tree_upsert(kind, root);
	if (!partial)
		agent_hook_seen(kind, key_text, object);
	if (!entry)
		entry = recover(kind, key_text, root);
	if (partial) /* whose object was recovered asks for the whole by itself */
		return;
	while (entry) {
		struct agent_entry *next = entry->next; /* it may be forgotten, and the kind too */

		if (entry->kind == kind) {
			entry->round = round;
			agent_entry_evaluate(entry, object);
		}
		entry = next;
	}
}

static void kind_remove(void *arg, const char *namespace, const char *name, struct cox_doc *object)
{
	struct agent_kind *kind = arg;
	_cleanup_free_ char *key_text = key_text_of(kind, namespace, name);
	struct agent_entry *entry = cox_map_get(&kind->engine->keys, key_text);
	struct cox_str uid = cox_meta_uid(object ? cox_doc_root(object) : NULL);
	uint64_t version = object ? agent_version_number(cox_doc_root(object)) : 0;

	agent_tree_remove(kind, key_text, uid);
	agent_hook_vanished(kind, key_text);
	while (entry) {
		struct agent_entry *next = entry->next;

		/* news of one that was replaced meanwhile is no news */
		if (entry->kind == kind &&
		    !(uid.len && entry->object_uid && !cox_str_is(uid, entry->object_uid)) &&
		    !agent_judge_is_of_another(entry, uid))
			agent_entry_gone(entry, version);
		entry = next;
	}
}

/* A list is complete and did not tell of an object that was live: it is gone, unless what is known of
 * it is newer than the list. */
static bool has_vanished(const struct agent_entry *entry, uint32_t round, const char *version)
{
	uint64_t listed = version ? agent_version_of(cox_str(version)) : 0;

	return entry->live && entry->round != round && !agent_entry_is_being_judged(entry) &&
	       (!listed || entry->resource_version <= listed);
}

/* Hooks look for themselves: what a new list did not tell of may have gone unseen. */
static void look_at_hooks(struct agent_kind *kind)
{
	struct agent_engine *e = kind->engine;
	COX_CLEANUP(cox_strings_fini) cox_strings keys = {0};
	_cleanup_free_ char *id = cox_strdup(kind->id);

	COX_MAP_EACH (&e->hooks, slot)
		cox_vec_push(&keys, cox_strdup(slot->key));
	COX_VEC_EACH (&keys, key)
		if (cox_map_get(&e->kinds, id) == kind)
			agent_hook_vanished(kind, *key);
}

static void kind_synced(void *arg)
{
	struct agent_kind *kind = arg;
	struct agent_engine *e = kind->engine;
	COX_VEC(struct agent_entry *) missing = {0}, vanished = {0};
	uint32_t round = agent_kind_round(kind);
	_cleanup_free_ char *id = cox_strdup(kind->id);

	kind->synced = true;
	kind->lost = false;
	free(kind->error);
	kind->error = NULL;
	agent_engine_api_works(e);
	agent_tree_listed(kind);
	adjust_all(e);
	COX_MAP_EACH (&e->keys, slot)
		for (struct agent_entry *entry = slot->value; entry; entry = entry->next) {
			if (entry->kind != kind || entry->fetching)
				continue;
			/* what the list did not tell is not there */
			if (!entry->evaluated && !agent_entry_is_being_judged(entry) &&
			    entry->app->built)
				cox_vec_push(&missing, entry);
			else if (has_vanished(entry, round, cox_watch_version(kind->watch)))
				cox_vec_push(&vanished, entry);
		}
	COX_VEC_EACH (&missing, entry) {
		struct agent_app *app = (*entry)->app;

		if ((*entry)->resource_version) /* told, but not comparable yet */
			agent_app_observe(app);
		else
			agent_entry_evaluate(*entry, NULL);
	}
	COX_VEC_EACH (&vanished, entry) {
		if ((*entry)->resource_version)
			agent_entry_evaluate(*entry, NULL);
		else /* versions that are no numbers: who knows what is newer */
			agent_entry_fetch(*entry);
	}
	cox_vec_fini(&missing);
	cox_vec_fini(&vanished);
	/* last: what a hook does may end what holds the kind */
	if (round > 1 && cox_map_has(&e->kinds, id))
		look_at_hooks(kind);
}

static void kind_failed(void *arg, const struct cox_kube_answer *answer)
{
	struct agent_kind *kind = arg;
	struct agent_engine *e = kind->engine;

	if (answer->status == 0) {
		agent_engine_api_failed(e, answer->error->message);
		return;
	}
	free(kind->error);
	kind->error =
		cox_asprintf("cannot watch %s: %s", kind->resource->plural, answer->error->message);
	if (answer->reason == COX_KUBE_NOT_FOUND) {
		kind->lost = true;
		agent_engine_rediscover(e, 1000);
	}
	adjust_all(e);
	COX_MAP_EACH (&e->apps, slot)
		agent_engine_queue(slot->value);
}
