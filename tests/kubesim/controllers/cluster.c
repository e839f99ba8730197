/* Namespaces and their end, custom resource definitions, garbage collection. */
#include "common/kube/meta.h"
#include "tests/kubesim/controllers/controller.h"
#include "tests/kubesim/list.h"

#define ROOT_CA "kube-root-ca.crt"
#define CA_HELP                                                                                    \
	"Contains a CA bundle that can be used to verify the kube-apiserver when using internal "  \
	"endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "  \
	"guaranteed across distributions of Kubernetes clusters."

/* ---- namespaces ---- */

static void furnish_namespace(struct kubesim *sim, const char *ns)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("namespace");

	if (!ks_live(sim, "", "ConfigMap", ns, ROOT_CA)) {
		struct cox_node *map = cox_doc_map(doc), *metadata = cox_doc_map(doc);
		struct cox_node *notes = cox_doc_map(doc), *data = cox_doc_map(doc);
		cox_map_put_cstr(doc, metadata, "name", ROOT_CA);
		cox_map_put_cstr(doc, notes, "kubernetes.io/description", CA_HELP);
		cox_map_put(doc, metadata, "annotations", notes);
		cox_map_put_cstr(doc, data, "ca.crt", "");
		cox_map_put(doc, map, "metadata", metadata);
		cox_map_put(doc, map, "data", data);
		ks_controller_create(sim, "", "ConfigMap", ns, map);
	}
	if (!ks_live(sim, "", "ServiceAccount", ns, "default")) {
		struct cox_node *account = cox_doc_map(doc), *metadata = cox_doc_map(doc);
		cox_map_put_cstr(doc, metadata, "name", "default");
		cox_map_put(doc, account, "metadata", metadata);
		ks_controller_create(sim, "", "ServiceAccount", ns, account);
	}
}

/* Deletes what is there; true when nothing is left. */
static bool empty_namespace(struct kubesim *sim, const char *ns)
{
	_cleanup_free_ char *prefix = cox_asprintf("%s/", ns);
	size_t left = 0;

	for (size_t k = 0; k < sim->kinds.n; k++) {
		struct ks_kind *kind = sim->kinds.items[k];
		cox_docs found = {0};
		if (!(kind->flags & KS_NAMESPACED))
			continue;
		for (size_t i = ks_shelf_lower(kind->shelf, prefix); i < kind->shelf->n; i++) {
			if (strncmp(kind->shelf->items[i].key, prefix, strlen(prefix)) != 0)
				break;
			cox_vec_push(&found, cox_doc_ref(kind->shelf->items[i].doc));
		}
		for (size_t i = 0; i < found.n; i++) {
			_cleanup_free_ char *name =
				cox_str_dup(cox_meta_name(cox_doc_root(found.items[i])));
			ks_controller_delete(sim, kind->names.group, kind->names.kind, ns, name,
					     "Background");
			left += ks_shelf_get(kind->shelf, ns, name) != NULL;
		}
		cox_docs_fini(&found);
	}
	return left == 0;
}

void ks_reconcile_namespace(struct kubesim *sim, const char *ns, const char *name)
{
	struct ks_shelf *shelf = ks_store_shelf(&sim->store, "", "namespaces");
	const struct cox_node *object = ks_live(sim, "", "Namespace", NULL, name);

	(void)ns;
	if (!object)
		return;
	if (!cox_meta_is_deleting(object)) {
		furnish_namespace(sim, name);
		return;
	}
	if (!empty_namespace(sim, name))
		return;
	object = ks_live(sim, "", "Namespace", NULL, name);
	if (!cox_node_len(cox_meta_finalizers(object)))
		ks_store_delete(&sim->store, shelf, name);
}

/* ---- custom resource definitions ---- */

static void establish(struct kubesim *sim, const char *name)
{
	_cleanup_edit_ struct ks_edit edit = {0};

	ks_edit_begin(&edit, sim,
		      ks_kind_of(sim, "apiextensions.k8s.io", "CustomResourceDefinition"), NULL,
		      name, "status", "kube-apiserver");
	struct cox_node *status = cox_map_edit_map(edit.doc, edit.root, "status");
	cox_map_put(edit.doc, status, "acceptedNames",
		    cox_doc_clone(edit.doc, COX_GET(edit.root, "spec", "names")));
	ks_condition_set(sim, edit.doc, status, "NamesAccepted", "True", "NoConflicts",
			 "no conflicts found", false);
	ks_condition_set(sim, edit.doc, status, "Established", "True", "InitialNamesAccepted",
			 "the initial names have been accepted", false);
	ks_edit_commit(&edit);
}

/* Deletes the custom resources; true when none is left. */
static bool empty_shelf(struct kubesim *sim, struct ks_kind *kind)
{
	cox_docs found = {0};

	for (size_t i = 0; i < kind->shelf->n; i++)
		cox_vec_push(&found, cox_doc_ref(kind->shelf->items[i].doc));
	for (size_t i = 0; i < found.n; i++) {
		const struct cox_node *o = cox_doc_root(found.items[i]);
		_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(o));
		_cleanup_free_ char *name = cox_str_dup(cox_meta_name(o));
		ks_controller_delete(sim, kind->names.group, kind->names.kind, *ns ? ns : NULL,
				     name, "Background");
	}
	cox_docs_fini(&found);
	return kind->shelf->n == 0;
}

static void end_definition(struct kubesim *sim, const struct cox_node *crd, const char *name)
{
	const char *group = cox_node_cstr(COX_GET(crd, "spec", "group"), "");
	const char *plural = cox_node_cstr(COX_GET(crd, "spec", "names", "plural"), "");
	struct ks_kind *kind = ks_kinds_group_kind(
		&sim->kinds, cox_str(group), cox_node_str(COX_GET(crd, "spec", "names", "kind")));
	_cleanup_edit_ struct ks_edit edit = {0};

	if (kind && kind->custom && !empty_shelf(sim, kind)) {
		ks_enqueue(sim, "apiextensions.k8s.io", "CustomResourceDefinition", NULL, name, 20);
		return;
	}
	if (kind && kind->custom)
		ks_watches_end(sim, kind->shelf);
	ks_kinds_undefine(&sim->kinds, group, plural);
	ks_edit_begin(&edit, sim,
		      ks_kind_of(sim, "apiextensions.k8s.io", "CustomResourceDefinition"), NULL,
		      name, "", "kube-apiserver");
	struct cox_node *metadata = cox_map_edit_map(edit.doc, edit.root, "metadata");
	struct cox_node *kept = cox_doc_list(edit.doc);
	COX_DOC_LIST_EACH (cox_meta_finalizers(crd), i, f) {
		if (!cox_streq(cox_node_cstr(f, ""), KS_CRD_FINALIZER))
			cox_list_push(edit.doc, kept, cox_doc_clone(edit.doc, f));
	}
	cox_map_put(edit.doc, metadata, "finalizers", kept);
	ks_edit_commit(&edit);
}

void ks_reconcile_definition(struct kubesim *sim, const char *ns, const char *name)
{
	_cleanup_doc_ struct cox_doc *doc =
		ks_live_ref(sim, "apiextensions.k8s.io", "CustomResourceDefinition", NULL, name);

	(void)ns;
	if (!doc)
		return;
	const struct cox_node *crd = cox_doc_root(doc);
	if (cox_meta_is_deleting(crd)) {
		end_definition(sim, crd, name);
		return;
	}
	struct ks_kind *kind =
		ks_kinds_group_kind(&sim->kinds, cox_node_str(COX_GET(crd, "spec", "group")),
				    cox_node_str(COX_GET(crd, "spec", "names", "kind")));
	if (!kind ||
	    cox_meta_generation(cox_doc_root(kind->definition)) != cox_meta_generation(crd))
		ks_kinds_define(&sim->kinds, &sim->store, doc);
	establish(sim, name);
}

/* ---- garbage collection ---- */

static void drop_finalizer(struct kubesim *sim, struct ks_kind *kind, const char *ns,
			   const char *name, const char *finalizer)
{
	_cleanup_edit_ struct ks_edit edit = {0};

	ks_edit_begin(&edit, sim, kind, ns, name, "", KS_MANAGER);
	if (!edit.root)
		return;
	struct cox_node *metadata = cox_map_edit_map(edit.doc, edit.root, "metadata");
	struct cox_node *kept = cox_doc_list(edit.doc);
	COX_DOC_LIST_EACH (cox_meta_finalizers(edit.root), i, f) {
		if (!cox_streq(cox_node_cstr(f, ""), finalizer))
			cox_list_push(edit.doc, kept, cox_doc_clone(edit.doc, f));
	}
	cox_map_put(edit.doc, metadata, "finalizers", kept);
	ks_edit_commit(&edit);
}

static void drop_owner(struct kubesim *sim, struct ks_kind *kind, const struct cox_node *object,
		       struct cox_str uid)
{
	_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(object));
	_cleanup_free_ char *name = cox_str_dup(cox_meta_name(object));
	_cleanup_edit_ struct ks_edit edit = {0};

	ks_edit_begin(&edit, sim, kind, ns, name, "", KS_MANAGER);
	if (!edit.root)
		return;
	struct cox_node *metadata = cox_map_edit_map(edit.doc, edit.root, "metadata");
	struct cox_node *kept = cox_doc_list(edit.doc);
	COX_DOC_LIST_EACH (cox_meta_owner_references(edit.root), i, ref) {
		if (!cox_str_eq(cox_node_str(COX_GET(ref, "uid")), uid))
			cox_list_push(edit.doc, kept, cox_doc_clone(edit.doc, ref));
	}
	cox_map_put(edit.doc, metadata, "ownerReferences", kept);
	ks_edit_commit(&edit);
}

struct dependent {
	struct ks_kind *kind;
	struct cox_doc *doc;
	bool blocks;
};

typedef COX_VEC(struct dependent) dependents;

static void find_dependents(struct kubesim *sim, const char *uid, dependents *ret_found)
{
	for (size_t k = 0; k < sim->kinds.n; k++) {
		struct ks_kind *kind = sim->kinds.items[k];
		if (ks_kinds_of_shelf(&sim->kinds, kind->shelf) != kind)
			continue;
		for (size_t i = 0; i < kind->shelf->n; i++) {
			struct cox_doc *doc = kind->shelf->items[i].doc;
			COX_DOC_LIST_EACH (cox_meta_owner_references(cox_doc_root(doc)), r, ref) {
				if (cox_streq(cox_node_cstr(COX_GET(ref, "uid"), ""), uid))
					cox_vec_push(
						ret_found,
						(struct dependent){
							.kind = kind,
							.doc = cox_doc_ref(doc),
							.blocks = cox_node_bool(
								COX_GET(ref, "blockOwnerDeletion"),
								false)});
			}
		}
	}
}

static void dependents_fini(dependents *found)
{
	COX_VEC_EACH (found, d)
		cox_doc_unref(d->doc);
	cox_vec_fini(found);
}

static void collect(struct kubesim *sim, const struct dependent *d, const char *policy)
{
	const struct cox_node *object = cox_doc_root(d->doc);
	_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(object));
	_cleanup_free_ char *name = cox_str_dup(cox_meta_name(object));

	ks_controller_delete(sim, d->kind->names.group, d->kind->names.kind, *ns ? ns : NULL, name,
			     policy);
}

/* An owner that is still there, whoever it is. */
static bool has_owner(struct kubesim *sim, const struct cox_node *object)
{
	struct ks_shelf *shelf;

	COX_DOC_LIST_EACH (cox_meta_owner_references(object), i, ref) {
		if (ks_store_by_uid(&sim->store, cox_node_cstr(COX_GET(ref, "uid"), ""), &shelf))
			return true;
	}
	return false;
}

/* The object by that uid is gone: so is what had no other owner. */
static void owner_gone(struct kubesim *sim, const char *uid)
{
	COX_CLEANUP(dependents_fini) dependents found = {0};

	find_dependents(sim, uid, &found);
	COX_VEC_EACH (&found, d) {
		if (has_owner(sim, cox_doc_root(d->doc)))
			drop_owner(sim, d->kind, cox_doc_root(d->doc), cox_str(uid));
		else
			collect(sim, d, "Background");
	}
}

/* The object waits for its dependents, one way or the other. */
static void owner_waits(struct kubesim *sim, struct ks_kind *kind, const struct cox_node *owner,
			const char *uid)
{
	COX_CLEANUP(dependents_fini) dependents found = {0};
	_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(owner));
	_cleanup_free_ char *name = cox_str_dup(cox_meta_name(owner));
	size_t blocking = 0;

	find_dependents(sim, uid, &found);
	if (cox_meta_has_finalizer(owner, "orphan")) {
		COX_VEC_EACH (&found, d)
			drop_owner(sim, d->kind, cox_doc_root(d->doc), cox_str(uid));
		drop_finalizer(sim, kind, ns, name, "orphan");
		return;
	}
	COX_VEC_EACH (&found, d) {
		blocking += d->blocks;
		if (!cox_meta_is_deleting(cox_doc_root(d->doc)))
			collect(sim, d, d->blocks ? "Foreground" : "Background");
	}
	if (!blocking)
		drop_finalizer(sim, kind, ns, name, "foregroundDeletion");
	else
		ks_enqueue_gc(sim, uid, sim->step_ms * 2);
}

void ks_reconcile_gc(struct kubesim *sim, const char *ns, const char *uid)
{
	struct ks_shelf *shelf;
	struct ks_object *o = ks_store_by_uid(&sim->store, uid, &shelf);

	(void)ns;
	if (!o) {
		owner_gone(sim, uid);
		return;
	}
	_cleanup_doc_ struct cox_doc *doc = cox_doc_ref(o->doc);
	const struct cox_node *object = cox_doc_root(doc);
	struct ks_kind *kind = ks_kinds_of_shelf(&sim->kinds, shelf);
	if (!kind)
		return;
	if (cox_meta_is_deleting(object)) {
		if (cox_meta_has_finalizer(object, "orphan") ||
		    cox_meta_has_finalizer(object, "foregroundDeletion"))
			owner_waits(sim, kind, object, uid);
		return;
	}
	if (cox_node_len(cox_meta_owner_references(object)) && !has_owner(sim, object)) {
		struct dependent self = {.kind = kind, .doc = doc};
		collect(sim, &self, "Background");
	}
}
