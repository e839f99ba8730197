/* Deletion. An Application with the finalizer goes when its cluster says that its objects are gone;
 * one without leaves them. Only a tombstone that names the uid makes an agent delete. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "hub/control/internal.h"
#include "hub/model/appset.h"

#define CASCADE_ANNOTATION "coxswain.dev/cascade"

/* What a person says about the objects, as the annotation has it; over the finalizer. */
static const char *const said_words[] = {[HUB_DELETE_CASCADE] = "true",
					 [HUB_DELETE_ORPHAN] = "false",
					 [HUB_DELETE_FOREGROUND] = "foreground",
					 [HUB_DELETE_BACKGROUND] = "background"};

/* The object with deletionTimestamp, and what a person said about its objects. */
static struct cox_doc *mark(struct cox_doc *base, enum hub_delete how)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_edit(base);
	struct cox_node *root = cox_doc_root_edit(doc);
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	char now[COX_TIME_TEXT_MAX];

	cox_time_format(cox_clock_wall_ms(), now);
	if (!cox_node_get(metadata, "deletionTimestamp"))
		cox_map_put_cstr(doc, metadata, "deletionTimestamp", now);
	if (how != HUB_DELETE_DEFAULT) {
		struct cox_node *annotations = cox_map_edit_map(doc, metadata, "annotations");

		cox_map_put_cstr(doc, annotations, CASCADE_ANNOTATION, said_words[how]);
	}
	return cox_doc_copy(cox_doc_name(base), root);
}

static enum hub_cascade cascade_of(const struct control_app *a)
{
	const struct control_object *o = control_object(a->control, HUB_APPLICATION, a->key);
	const char *said = hub_object_annotation(cox_doc_root(o->doc), CASCADE_ANNOTATION);
	enum hub_cascade declared = a->has_view ? a->view.cascade : HUB_CASCADE_NONE;

	if (cox_streq(said, said_words[HUB_DELETE_ORPHAN]))
		return HUB_CASCADE_NONE;
	if (cox_streq(said, said_words[HUB_DELETE_BACKGROUND]))
		return HUB_CASCADE_BACKGROUND;
	if (cox_streq(said, said_words[HUB_DELETE_FOREGROUND]))
		return HUB_CASCADE_FOREGROUND;
	if (cox_streq(said, said_words[HUB_DELETE_CASCADE]) && declared == HUB_CASCADE_NONE)
		return HUB_CASCADE_FOREGROUND;
	return declared;
}

/* A person's word for what asks for confirmation: not one from before the deletion was asked for. */
static bool is_approved(const struct control_app *a)
{
	const struct cox_node *root =
		cox_doc_root(control_object(a->control, HUB_APPLICATION, a->key)->doc);
	struct cox_str since = cox_node_str(COX_GET(root, "metadata", "deletionTimestamp"));
	int64_t asked_ms, approved_ms = control_deletion_approved_ms(root);

	return approved_ms && cox_time_parse(since, &asked_ms, NULL) == 0 &&
	       approved_ms >= asked_ms;
}

/* What the cluster is told. Where no agent ever was, nothing was ever applied. */
static void bury(struct hub_control *c, struct hub_batch *batch, const struct control_app *a,
		 const char *cluster)
{
	enum hub_cascade cascade = cascade_of(a);
	bool cascading =
		cascade != HUB_CASCADE_NONE && hub_fleet_cluster(c->fleet, cluster)->enrolled;

	hub_fleet_bury(c->fleet, batch, cluster, a->uid, cascading,
		       cascade == HUB_CASCADE_BACKGROUND
			       ? COXSWAIN__ASSIGNMENT__V1__PROPAGATION__BACKGROUND
		       : cascading ? COXSWAIN__ASSIGNMENT__V1__PROPAGATION__FOREGROUND
				   : COXSWAIN__ASSIGNMENT__V1__PROPAGATION__ORPHAN,
		       is_approved(a));
}

/* Whether a cluster is still to delete objects of it. What a person said meanwhile, that it may or that
 * it shall not, is said to it again. An orphaning tombstone is waited for by nobody: it stays until its
 * agent has it. */
static bool is_pending(struct hub_control *c, struct hub_batch *batch, const struct control_app *a)
{
	bool pending = false;

	COX_MAP_EACH (&c->objects[HUB_CLUSTER], slot) {
		const hub_tombstone *t = hub_fleet_tombstone(c->fleet, slot->key, a->uid);

		if (!t || !t->cascade)
			continue;
		bury(c, batch, a, slot->key);
		t = hub_fleet_tombstone(c->fleet, slot->key, a->uid);
		pending = pending || t->cascade;
	}
	return pending;
}

bool control_app_delete_step(struct hub_control *c, struct hub_batch *batch, struct control_app *a)
{
	const char *cluster = hub_fleet_cluster_of(c->fleet, a->uid);
	_cleanup_free_ char *key = cox_strdup(a->key);

	if (cluster)
		bury(c, batch, a, cluster);
	if (is_pending(c, batch, a))
		return false;
	cox_log_info("application deleted", COX_KV("application", key));
	control_object_remove(c, batch, HUB_APPLICATION, key);
	return true;
}

int hub_control_forget(struct hub_control *c, struct hub_batch *batch, const char *namespace,
		       const char *name, enum hub_delete how, const char *by, struct cox_error *err)
{
	struct control_app *a = NULL;
	_cleanup_free_ char *key = NULL;
	const char *cluster;
	int r = control_find(c, namespace, name, &a, err);

	if (r < 0)
		return r;
	key = cox_strdup(a->key);
	control_object_store(c, batch, HUB_APPLICATION, key,
			     mark(control_object(c, HUB_APPLICATION, key)->doc, how));
	cluster = hub_fleet_cluster_of(c->fleet, a->uid);
	if (cluster)
		bury(c, batch, a, cluster);
	else
		is_pending(c, batch, a);
	cox_log_warn(
		"application forgotten: its objects are its cluster's to delete, if that returns",
		COX_KV("application", key), COX_KV("uid", a->uid),
		COX_KV("cluster", cluster ? cluster : ""), COX_KV("by", by));
	control_object_remove(c, batch, HUB_APPLICATION, key);
	return 0;
}

int hub_control_confirm_deletion(struct hub_control *c, struct hub_batch *batch,
				 const char *namespace, const char *name, const char *by,
				 struct cox_error *err)
{
	struct control_app *a = NULL;
	_cleanup_free_ char *key = NULL;
	char now[COX_TIME_TEXT_MAX];
	int r = control_find(c, namespace, name, &a, err);

	if (r < 0)
		return r;
	key = cox_strdup(a->key);
	/* The next second: what was asked for in this one is meant too. */
	cox_time_format(cox_clock_wall_ms() + 999, now);
	cox_log_info("deletion confirmed", COX_KV("application", key), COX_KV("by", by));
	control_object_store(
		c, batch, HUB_APPLICATION, key,
		hub_object_with_annotation(control_object(c, HUB_APPLICATION, key)->doc,
					   CONTROL_APPROVED_ANNOTATION, now));
	return 0;
}

/* Takes the owner away, so that an Application outlives its set. */
static struct cox_doc *disown(struct cox_doc *base)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_edit(base);
	struct cox_node *root = cox_doc_root_edit(doc);
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");

	cox_map_drop(doc, metadata, COX_STR("ownerReferences"));
	return cox_doc_copy(cox_doc_name(base), root);
}

/* With deletionOrder: Reverse the last wave's go first, one at a time; who is on his way goes on. */
static bool delete_children(struct hub_control *c, struct hub_batch *batch,
			    const struct cox_node *set, const cox_strings *keys)
{
	COX_CLEANUP(cox_rollout_plan_fini) struct cox_rollout_plan plan = COX_ROLLOUT_PLAN_INIT;
	_cleanup_free_ struct cox_rollout_member *members =
		cox_calloc(keys->n + 1, sizeof(*members));
	_cleanup_free_ bool *deleting = cox_calloc(keys->n + 1, sizeof(*deleting));
	cox_rollout_indexes now = {0};
	bool waits = false;

	for (size_t i = 0; i < keys->n; i++) {
		const struct control_app *a = control_app(c, keys->items[i]);

		members[i] = control_rollout_member(c, a, true);
		deleting[i] = control_app_is_deleting(a);
		if (deleting[i])
			cox_vec_push(&now, i);
	}
	/* Waves that cannot be read order nothing. */
	(void)control_plan_parse(c, set, &plan, NULL, NULL);
	cox_rollout_plan_deletions(&plan, members, deleting, keys->n, &now);
	waits = now.n < keys->n;
	COX_VEC_EACH (&now, i) {
		const struct control_object *o =
			control_object(c, HUB_APPLICATION, keys->items[*i]);
		const struct cox_node *child = cox_doc_root(o->doc);

		if (hub_control_delete(c, batch, HUB_APPLICATION, hub_object_namespace(child),
				       hub_object_name(child), HUB_DELETE_DEFAULT, NULL) > 0)
			waits = true;
	}
	cox_vec_fini(&now);
	return waits;
}

bool control_set_delete_step(struct hub_control *c, struct hub_batch *batch,
			     struct control_object *set)
{
	COX_CLEANUP(cox_strings_fini) cox_strings keys = {0}, children = {0};
	_cleanup_appset_ struct hub_appset view = {0};
	_cleanup_free_ char *key = cox_strdup(set->key);
	_cleanup_doc_ struct cox_doc *doc = cox_doc_ref(set->doc);
	const struct cox_node *root = cox_doc_root(doc);
	const char *said = hub_object_annotation(root, CASCADE_ANNOTATION);
	bool keep = hub_appset_init(&view, doc, NULL) == 0 && !view.may_delete;

	keep = (keep && !cox_streq(said, "true")) || cox_streq(said, "false");
	control_object_keys(c, HUB_APPLICATION, &keys);
	COX_VEC_EACH (&keys, k) {
		struct control_object *o = control_object(c, HUB_APPLICATION, *k);

		if (!control_owned_by(cox_doc_root(o->doc), hub_object_uid(root)))
			continue;
		if (keep)
			control_object_store(c, batch, HUB_APPLICATION, *k, disown(o->doc));
		else
			cox_vec_push(&children, cox_strdup(*k));
	}
	if (delete_children(c, batch, root, &children))
		return false;
	control_object_remove(c, batch, HUB_APPLICATION_SET, key);
	return true;
}

static int cluster_in_use(struct hub_control *c, const char *name, struct cox_error *err)
{
	COX_MAP_EACH (&c->objects[HUB_APPLICATION], slot) {
		const struct control_app *a = ((struct control_object *)slot->value)->app;

		if (hub_fleet_assignment(c->fleet, name, a->uid))
			return cox_error(err, COX_FAILED_PRECONDITION,
					 "cluster '%s' still has application '%s': delete that "
					 "first",
					 name, a->key);
	}
	return 0;
}

int hub_control_delete(struct hub_control *c, struct hub_batch *batch, enum hub_kind kind,
		       const char *namespace, const char *name, enum hub_delete how,
		       struct cox_error *err)
{
	_cleanup_free_ char *key = control_key(c, kind, namespace, name);
	struct control_object *o = control_object(c, kind, key);
	int r;

	if (!o)
		return cox_error(err, COX_NOT_FOUND, "no %s '%s'", hub_kind_info(kind)->singular,
				 key);
	if (kind == HUB_CLUSTER) {
		r = cluster_in_use(c, key, err);
		if (r < 0)
			return r;
	}
	if (kind != HUB_APPLICATION && kind != HUB_APPLICATION_SET) {
		control_object_remove(c, batch, kind, key);
		return 0;
	}
	if (!COX_GET(cox_doc_root(o->doc), "metadata", "deletionTimestamp") ||
	    how != HUB_DELETE_DEFAULT)
		control_object_store(c, batch, kind, key, mark(o->doc, how));
	if (kind == HUB_APPLICATION)
		return control_app_delete_step(c, batch, o->app) ? 0 : 1;
	return control_set_delete_step(c, batch, o) ? 0 : 1;
}
