/* Applications of applications: manifests of the hub's own kinds, destined for the cluster that the
 * hub is in, go into the hub's own store. They carry the tracking annotation, and the uid of the
 * Application that brought them, so that only what it brought is pruned. */
#include "common/base/log.h"
#include "hub/control/internal.h"

#define TRACKING "argocd.argoproj.io/tracking-id"
#define APP_UID	 "coxswain.dev/app-uid"

static const struct cox_node *default_namespace(struct hub_control *c, const struct control_app *a,
						struct cox_doc *doc)
{
	const char *namespace = a->view.destination.namespace;

	return cox_doc_cstring(doc, *namespace ? namespace : c->options.namespace);
}

/* As it goes into the store. */
static struct cox_doc *stamp(struct hub_control *c, const struct control_app *a,
			     struct cox_doc *base)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_edit(base);
	struct cox_node *root = cox_doc_root_edit(doc);
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	struct cox_node *annotations;

	if (!cox_node_get(metadata, "namespace"))
		cox_map_put(doc, metadata, "namespace", default_namespace(c, a, doc));
	annotations = cox_map_edit_map(doc, metadata, "annotations");
	cox_map_put(doc, annotations, TRACKING,
		    cox_doc_stringf(doc, "%s:%s/%s:%s/%s", a->view.name, HUB_GROUP_ARGO,
				    hub_kind_info(hub_kind_of(root))->name,
				    hub_object_namespace(root), hub_object_name(root)));
	cox_map_put_cstr(doc, annotations, APP_UID, a->uid);
	return cox_doc_copy(cox_doc_name(base), root);
}

static char *key_of(struct hub_control *c, const struct cox_doc *doc)
{
	const struct cox_node *root = cox_doc_root(doc);

	return control_key(c, hub_kind_of(root), hub_object_namespace(root), hub_object_name(root));
}

static int permitted(struct hub_control *c, const struct control_app *a,
		     const struct cox_node *object, struct cox_error *err)
{
	_cleanup_free_ char *key =
		control_key(c, HUB_APP_PROJECT, c->options.namespace, a->view.project);
	const struct control_object *o = control_object(c, HUB_APP_PROJECT, key);
	COX_CLEANUP(cox_project_fini) struct cox_project project = {0};
	const struct hub_destination *d = &a->view.destination;
	int r = 0;

	if (o)
		r = cox_project_init(&project, o->doc, err);
	else
		cox_project_init_default(&project);
	if (r == 0)
		r = cox_project_check_kind(&project, HUB_GROUP_ARGO,
					   hub_kind_info(hub_kind_of(object))->name,
					   hub_object_name(object), true, err);
	return r < 0 ? r
		     : cox_project_check_destination(&project, d->server, d->name,
						     hub_object_namespace(object), err);
}

static void apply_one(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		      struct cox_doc *base, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = stamp(c, a, base);
	enum hub_applied applied = HUB_UNCHANGED;
	struct cox_error one = COX_ERROR_INIT;
	int r = permitted(c, a, cox_doc_root(doc), &one);

	if (r == 0)
		r = hub_control_apply(c, batch, doc, &applied, &one);
	if (r < 0 && !err->code)
		*err = one;
}

static const enum hub_kind own_kinds[] = {HUB_APPLICATION, HUB_APPLICATION_SET, HUB_APP_PROJECT};

static bool is_wanted(struct hub_control *c, const struct control_app *a, enum hub_kind kind,
		      const char *key)
{
	COX_VEC_EACH (&a->rendered.own, doc) {
		_cleanup_doc_ struct cox_doc *stamped = NULL;
		_cleanup_free_ char *wanted = NULL;

		if (hub_kind_of(cox_doc_root(*doc)) != kind)
			continue;
		stamped = stamp(c, a, *doc);
		wanted = key_of(c, stamped);
		if (strcmp(wanted, key) == 0)
			return true;
	}
	return false;
}

/* What this Application brought and does not say any more. It never prunes itself. */
static void prune(struct hub_control *c, struct hub_batch *batch, const struct control_app *a)
{
	_cleanup_free_ char *self = cox_strdup(a->key);

	for (size_t k = 0; k < COX_ARRAY_LEN(own_kinds); k++) {
		COX_CLEANUP(cox_strings_fini) cox_strings keys = {0};

		control_object_keys(c, own_kinds[k], &keys);
		COX_VEC_EACH (&keys, key) {
			const struct control_object *o = control_object(c, own_kinds[k], *key);
			const struct cox_node *root = o ? cox_doc_root(o->doc) : NULL;

			if (!o || !cox_streq(hub_object_annotation(root, APP_UID), a->uid) ||
			    (own_kinds[k] == HUB_APPLICATION && strcmp(*key, self) == 0) ||
			    is_wanted(c, a, own_kinds[k], *key))
				continue;
			cox_log_info("pruned from the hub's own store", COX_KV("object", *key),
				     COX_KV("application", self));
			hub_control_delete(c, batch, own_kinds[k], hub_object_namespace(root),
					   hub_object_name(root), HUB_DELETE_DEFAULT, NULL);
		}
	}
}

void control_own_apply(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		       bool by_hand)
{
	struct cox_error err = COX_ERROR_INIT;
	_cleanup_docs_ cox_docs own = {0};

	if (!a->has_view || a->problem || control_app_is_deleting(a) || !a->rendered.valid ||
	    a->rendered.error || !hub_destination_is_in_cluster(&a->view.destination))
		return;
	if (!by_hand && (!a->view.sync_policy.automated || !control_may_sync_itself(a)))
		return;
	/* Applying may free or change what is walked over: keep the documents. */
	COX_VEC_EACH (&a->rendered.own, doc)
		cox_vec_push(&own, cox_doc_ref(*doc));
	COX_VEC_EACH (&own, doc)
		apply_one(c, batch, a, *doc, &err);
	control_condition_set(&a->conditions, "SyncError", err.code ? err.message : NULL);
	if (a->view.sync_policy.prune || by_hand)
		prune(c, batch, a);
}

bool control_own_is_synced(struct hub_control *c, const struct control_app *a)
{
	COX_VEC_EACH (&a->rendered.own, doc) {
		_cleanup_doc_ struct cox_doc *stamped = stamp(c, a, *doc);
		_cleanup_free_ char *key = key_of(c, stamped);
		const struct control_object *o =
			control_object(c, hub_kind_of(cox_doc_root(stamped)), key);

		if (!o || !cox_node_equal(cox_node_get(cox_doc_root(o->doc), "spec"),
					  cox_node_get(cox_doc_root(stamped), "spec")))
			return false;
	}
	return true;
}
