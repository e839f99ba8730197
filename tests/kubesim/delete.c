/* Deletion: preconditions, propagation, finalizers, graceful deletion. */
#include "common/kube/meta.h"
#include "tests/kubesim/write.h"

#define FOREGROUND "foregroundDeletion"
#define ORPHAN	   "orphan"

enum propagation { BACKGROUND, FOREGROUND_POLICY, ORPHAN_POLICY };

/* Kinds whose deletion is answered by the object and not by a Status. */
static bool returns_object(const struct ks_kind *kind)
{
	static const char *const kinds[] = {
		"Pod",	       "PersistentVolume", "PersistentVolumeClaim",
		"PodTemplate", "ResourceQuota",	   "ServiceAccount",
		"Service"};

	for (size_t i = 0; i < COX_ARRAY_LEN(kinds); i++)
		if (!kind->custom && cox_streq(kind->names.kind, kinds[i]))
			return true;
	return false;
}

static struct ks_reply bad_policy(const char *policy)
{
	static const struct ks_names names = {"meta.k8s.io", "DeleteOptions", "deleteoptions"};
	_cleanup_causes_ struct ks_causes causes = {0};

	ks_cause_add(&causes, "FieldValueNotSupported", "propagationPolicy",
		     "Unsupported value: \"%s\": supported values: \"Foreground\", \"Background\", "
		     "\"Orphan\", \"nil\"",
		     policy);
	return ks_fail_invalid(&names, "", &causes);
}

static struct ks_reply read_policy(struct ks_ctx *ctx, const struct cox_node *options,
				   enum propagation *ret_policy)
{
	const struct cox_node *orphan = COX_GET(options, "orphanDependents");
	const char *policy = cox_node_cstr(COX_GET(options, "propagationPolicy"), NULL);

	*ret_policy = BACKGROUND;
	if (cox_node_bool(orphan, false))
		*ret_policy = ORPHAN_POLICY;
	if (policy) {
		if (cox_streq(policy, "Foreground"))
			*ret_policy = FOREGROUND_POLICY;
		else if (cox_streq(policy, "Orphan"))
			*ret_policy = ORPHAN_POLICY;
		else if (!cox_streq(policy, "Background"))
			return bad_policy(policy);
	} else if (!orphan && cox_streq(ctx->kind->names.kind, "Job") &&
		   cox_streq(ctx->kind->names.group, "batch")) {
		*ret_policy = ORPHAN_POLICY;
		cox_vec_push(
			&ctx->warnings,
			cox_strdup("child pods are preserved by default when jobs are deleted; "
				   "set propagationPolicy=Background to remove them or set "
				   "propagationPolicy=Orphan to suppress this warning"));
	}
	return (struct ks_reply){0};
}

static struct ks_reply check_preconditions(struct ks_ctx *ctx, const struct cox_node *options,
					   const struct cox_node *object)
{
	struct cox_str uid = cox_node_str(COX_GET(options, "preconditions", "uid"));
	struct cox_str rv = cox_node_str(COX_GET(options, "preconditions", "resourceVersion"));
	/* these messages speak of the kind, not of the resource */
	const struct ks_names names = {"", ctx->kind->names.kind, ctx->kind->names.kind};
	struct cox_str have = cox_meta_uid(object), have_rv = cox_meta_resource_version(object);
	_cleanup_free_ char *text = NULL;

	if (uid.len && !cox_str_eq(uid, have))
		text = cox_asprintf("the UID in the precondition (%.*s) does not match the UID in "
				    "record (%.*s). The object might have been deleted and then "
				    "recreated",
				    COX_STR_ARG(uid), COX_STR_ARG(have));
	else if (rv.len && !cox_str_eq(rv, have_rv))
		text = cox_asprintf(
			"the ResourceVersion in the precondition (%.*s) does not match "
			"the ResourceVersion in record (%.*s). The object might have been "
			"modified",
			COX_STR_ARG(rv), COX_STR_ARG(have_rv));
	return text ? ks_fail_conflict(&names, ctx->name, text) : (struct ks_reply){0};
}

static struct ks_reply success(struct ks_ctx *ctx, const struct cox_node *object)
{
	struct cox_doc *doc = cox_doc_new("status");
	struct cox_node *root = cox_doc_map(doc), *details = cox_doc_map(doc);

	cox_map_put_cstr(doc, root, "kind", "Status");
	cox_map_put_cstr(doc, root, "apiVersion", "v1");
	cox_map_put(doc, root, "metadata", cox_doc_map(doc));
	cox_map_put_cstr(doc, root, "status", "Success");
	cox_map_put_cstr(doc, details, "name", ctx->name);
	if (*ctx->kind->names.group)
		cox_map_put_cstr(doc, details, "group", ctx->kind->names.group);
	cox_map_put_cstr(doc, details, "kind", ctx->kind->names.resource);
	cox_map_put(doc, details, "uid", cox_doc_clone(doc, COX_GET(object, "metadata", "uid")));
	cox_map_put(doc, root, "details", details);
	cox_doc_set_root(doc, root);
	return ks_ok(200, doc);
}

static void set_finalizers(struct cox_doc *doc, struct cox_node *root, enum propagation policy)
{
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	const char *want = policy == FOREGROUND_POLICY ? FOREGROUND
			   : policy == ORPHAN_POLICY   ? ORPHAN
						       : NULL;
	struct cox_node *list = cox_doc_list(doc);

	COX_DOC_LIST_EACH (cox_meta_finalizers(root), i, f) {
		const char *text = cox_node_cstr(f, "");
		if (!cox_streq(text, FOREGROUND) && !cox_streq(text, ORPHAN))
			cox_list_push(doc, list, f);
	}
	if (want)
		cox_list_push(doc, list, cox_doc_cstring(doc, want));
	if (cox_node_len(list))
		cox_map_put(doc, metadata, "finalizers", list);
	else
		cox_map_drop(doc, metadata, COX_STR("finalizers"));
}

/* A definition holds itself, and says why. */
static void hold_definition(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	struct cox_node *status = cox_map_edit_map(doc, root, "status");
	struct cox_node *c = cox_doc_map(doc);

	cox_list_push(doc, cox_map_edit_list(doc, metadata, "finalizers"),
		      cox_doc_cstring(doc, KS_CRD_FINALIZER));
	cox_map_put_cstr(doc, c, "type", "Terminating");
	cox_map_put_cstr(doc, c, "status", "True");
	cox_map_put_cstr(doc, c, "lastTransitionTime", ks_now(ctx));
	cox_map_put_cstr(doc, c, "reason", "InstanceDeletionPending");
	cox_map_put_cstr(doc, c, "message",
			 "CustomResourceDefinition marked for deletion; CustomResource deletion "
			 "will begin soon");
	cox_list_push(doc, cox_map_edit_list(doc, status, "conditions"), c);
}

/* Seconds that the object stays after it was asked to go; only a pod that runs somewhere does. */
static int64_t grace_of(struct ks_ctx *ctx, const struct cox_node *options,
			const struct cox_node *object)
{
	const struct cox_node *given = COX_GET(options, "gracePeriodSeconds");
	const char *phase = cox_node_cstr(COX_GET(object, "status", "phase"), "");

	if (ctx->kind->custom || !cox_streq(ctx->kind->names.kind, "Pod") ||
	    !cox_node_str(COX_GET(object, "spec", "nodeName")).len ||
	    cox_streq(phase, "Succeeded") || cox_streq(phase, "Failed"))
		return 0;
	return cox_node_int(
		given, cox_node_int(COX_GET(object, "spec", "terminationGracePeriodSeconds"), 30));
}

struct ks_reply ks_delete(struct ks_ctx *ctx, const struct cox_node *options)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("delete");
	struct ks_kind *kind = ctx->kind;
	enum propagation policy;

	struct ks_reply reply = read_policy(ctx, options, &policy);
	if (reply.status)
		return reply;
	struct ks_object *o = ks_shelf_get(kind->shelf, ctx->ns, ctx->name);
	if (!o)
		return ks_fail_not_found(&kind->names, ctx->name);
	const struct cox_node *live = cox_doc_root(o->doc);
	reply = check_preconditions(ctx, options, live);
	if (reply.status)
		return reply;

	bool is_namespace = !kind->custom && cox_streq(kind->names.kind, "Namespace");
	struct cox_node *root = cox_doc_clone(doc, live);
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	bool is_definition =
		!kind->custom && cox_streq(kind->names.kind, "CustomResourceDefinition");
	if (is_definition && !cox_meta_has_finalizer(live, KS_CRD_FINALIZER))
		hold_definition(ctx, doc, root);
	else if (!is_namespace && !is_definition)
		set_finalizers(doc, root, policy);
	int64_t grace = grace_of(ctx, options, live);
	bool waits = cox_node_len(cox_meta_finalizers(root)) || grace > 0 ||
		     (is_namespace && cox_node_len(COX_GET(root, "spec", "finalizers")));
	if (!waits) {
		struct cox_doc *last = cox_doc_ref(o->doc);
		reply = returns_object(kind) ? ks_ok(200, cox_doc_ref(last)) : success(ctx, live);
		if (!ctx->dry_run)
			ks_store_delete(&ctx->sim->store, kind->shelf, o->key);
		if (returns_object(kind) && !ctx->dry_run) {
			/* shown as the deletion left it */
			const struct ks_event *e =
				ks_store_event(&ctx->sim->store, ctx->sim->store.n_events - 1);
			cox_doc_unref(reply.body);
			reply.body = cox_doc_ref(e->after);
		}
		cox_doc_unref(last);
		return reply;
	}
	if (cox_meta_is_deleting(live)) {
		int64_t left =
			cox_node_int(COX_GET(live, "metadata", "deletionGracePeriodSeconds"), 0);
		if (grace >= left &&
		    cox_node_equal(cox_meta_finalizers(root), cox_meta_finalizers(live)))
			return ks_ok(200, cox_doc_ref(o->doc));
	} else {
		cox_map_put_cstr(doc, metadata, "deletionTimestamp", ks_now(ctx));
		if (cox_meta_generation(live) > 0 && !is_definition)
			cox_map_put_int(doc, metadata, "generation", cox_meta_generation(live) + 1);
	}
	if (!is_namespace && !is_definition)
		cox_map_put_int(doc, metadata, "deletionGracePeriodSeconds", grace);
	if (is_namespace)
		cox_map_put_cstr(doc, cox_map_edit_map(doc, root, "status"), "phase",
				 "Terminating");
	if (ctx->dry_run)
		return ks_ok(200, cox_doc_copy(NULL, root));
	/* the entries of managedFields that lost their field go with it */
	struct ks_managers managers = ks_managers_read(&ctx->arena, root);
	struct cox_node *list = ks_managers_write(doc, &managers);
	if (list)
		cox_map_put(doc, metadata, "managedFields", list);
	return ks_ok(200, cox_doc_ref(ks_store_put(&ctx->sim->store, kind->shelf, root)));
}
