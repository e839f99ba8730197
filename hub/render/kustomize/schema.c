/* `openapi`: whose schema tells how objects are merged and which kinds live in no namespace. */
#include "hub/render/kustomize/internal.h"

#include "common/kube/meta.h"

/* Values of kz->scopes. */
#define CLUSTER	  ((void *)1)
#define NAMESPACE ((void *)2)

/* ---- namespaces ---- */

/* What lives in no namespace, of Kubernetes 1.21; an unknown kind lives in one. */
static const struct {
	const char *group, *versions, *kind;
} cluster_scoped[] = {
	{"", "v1", "ComponentStatus"},
	{"", "v1", "Namespace"},
	{"", "v1", "Node"},
	{"", "v1", "NodeProxyOptions"},
	{"", "v1", "PersistentVolume"},
	{"admissionregistration.k8s.io", "v1 v1beta1", "MutatingWebhookConfiguration"},
	{"admissionregistration.k8s.io", "v1 v1beta1", "ValidatingWebhookConfiguration"},
	{"admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"},
	{"admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding"},
	{"apiextensions.k8s.io", "v1 v1beta1", "CustomResourceDefinition"},
	{"apiregistration.k8s.io", "v1 v1beta1", "APIService"},
	{"authentication.k8s.io", "v1 v1beta1", "TokenReview"},
	{"authorization.k8s.io", "v1 v1beta1", "SelfSubjectAccessReview"},
	{"authorization.k8s.io", "v1 v1beta1", "SelfSubjectRulesReview"},
	{"authorization.k8s.io", "v1 v1beta1", "SubjectAccessReview"},
	{"certificates.k8s.io", "v1 v1beta1", "CertificateSigningRequest"},
	{"flowcontrol.apiserver.k8s.io", "v1beta1", "FlowSchema"},
	{"flowcontrol.apiserver.k8s.io", "v1beta1", "PriorityLevelConfiguration"},
	{"internal.apiserver.k8s.io", "v1alpha1", "StorageVersion"},
	{"networking.k8s.io", "v1 v1beta1", "IngressClass"},
	{"node.k8s.io", "v1 v1beta1 v1alpha1", "RuntimeClass"},
	{"policy", "v1beta1", "PodSecurityPolicy"},
	{"rbac.authorization.k8s.io", "v1 v1beta1 v1alpha1", "ClusterRole"},
	{"rbac.authorization.k8s.io", "v1 v1beta1 v1alpha1", "ClusterRoleBinding"},
	{"scheduling.k8s.io", "v1 v1beta1 v1alpha1", "PriorityClass"},
	{"storage.k8s.io", "v1 v1beta1", "CSIDriver"},
	{"storage.k8s.io", "v1 v1beta1", "CSINode"},
	{"storage.k8s.io", "v1 v1beta1", "StorageClass"},
	{"storage.k8s.io", "v1 v1beta1 v1alpha1", "VolumeAttachment"},
};

static bool has_word(const char *words, const char *word)
{
	struct cox_str rest = cox_str(words), part;

	while (cox_str_split(&rest, ' ', &part))
		if (cox_str_is(part, word))
			return true;
	return false;
}

static bool is_known_cluster_scoped(const struct kz_gvk *gvk)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(cluster_scoped); i++)
		if (strcmp(cluster_scoped[i].kind, gvk->kind) == 0 &&
		    strcmp(cluster_scoped[i].group, gvk->group) == 0 &&
		    has_word(cluster_scoped[i].versions, gvk->version))
			return true;
	return false;
}

static const char *scope_key(struct kz *kz, const char *group, const char *version,
			     const char *kind)
{
	return kz_printf(kz, "%s\n%s\n%s", group, version, kind);
}

/* The table first: what a schema says of Kubernetes' own kinds changes nothing. */
bool kz_is_cluster_scoped(struct kz *kz, const struct kz_gvk *gvk)
{
	if (is_known_cluster_scoped(gvk))
		return true;
	return kz->scopes.n && !kz_is_known(kz, gvk) &&
	       cox_map_get(&kz->scopes, scope_key(kz, gvk->group, gvk->version, gvk->kind)) ==
		       CLUSTER;
}

/* A kind that any path reads inside a namespace lives in one. */
static void read_paths(struct kz *kz, const struct cox_node *paths)
{
	COX_DOC_MAP_EACH (paths, i, path, value) {
		const struct cox_node *gvk =
			COX_GET(value, "get", "x-kubernetes-group-version-kind");
		bool inside = memmem(path.ptr, path.len, "namespaces/{namespace}",
				     strlen("namespaces/{namespace}"));
		const char *key = scope_key(kz, cox_node_cstr(COX_GET(gvk, "group"), ""),
					    cox_node_cstr(COX_GET(gvk, "version"), ""),
					    cox_node_cstr(COX_GET(gvk, "kind"), ""));

		if (gvk && (inside || !cox_map_get(&kz->scopes, key)))
			cox_map_set(&kz->scopes, key, inside ? NAMESPACE : CLUSTER);
	}
}

/* ---- the file ---- */

static int check_schema(const struct cox_doc *doc, struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc),
			      *definitions = COX_GET(root, "definitions");

	if (!cox_node_is(root, COX_MAP))
		return cox_node_error(err, doc, root,
				      "expected a map with `definitions`, as `kustomize openapi "
				      "fetch` gives it, got %s",
				      cox_kind_name(cox_node_kind(root)));
	if (definitions && !cox_node_is(definitions, COX_MAP))
		return cox_node_error(err, doc, definitions, "definitions: expected a map, got %s",
				      cox_kind_name(cox_node_kind(definitions)));
	COX_DOC_MAP_EACH (definitions, i, name, value)
		if (!cox_node_is(value, COX_MAP))
			return cox_node_error(
				err, doc, value,
				"definitions.%.*s: expected a schema, which is a map, "
				"got %s",
				COX_STR_ARG(name), cox_kind_name(cox_node_kind(value)));
	return 0;
}

/* The reference program has put off reading its own schema when it was asked about a kind that it does
 * not know, and reads it beside the given one then. */
static bool was_asked_about_unknown_kinds(struct kz *kz)
{
	COX_VEC_EACH (&kz->all, r) {
		struct kz_gvk gvk = (*r)->doc ? kz_res_gvk(kz, *r) : (struct kz_gvk){"", "", ""};

		if (*gvk.kind && !kz_is_known(kz, &gvk))
			return true;
	}
	return false;
}

int kz_schema_load(const struct kz_dir *dir, struct cox_error *err)
{
	const struct cox_node *path = COX_GET(dir->k, "openapi", "path");
	const struct cox_node *version = COX_GET(dir->k, "openapi", "version");
	struct kz *kz = dir->kz;
	struct cox_doc *doc;
	int e;

	if (kz->schema_set)
		return 0;
	if (path && version)
		return cox_node_error(err, dir->doc, version,
				      "openapi: `version` and `path` exclude each other");
	if (version && !cox_str_is(cox_node_str(version), "v1.21.2") &&
	    !cox_str_is(cox_node_str(version), "v1212"))
		return cox_node_error(err, dir->doc, version,
				      "openapi.version: only v1.21.2 is built in; give a `path` "
				      "for another schema");
	kz->schema_set = path || version;
	if (!path)
		return 0;
	e = kz_load_yaml(dir, cox_node_cstr(path, ""), &doc, err);
	if (e == 0)
		e = check_schema(doc, err);
	if (e < 0)
		return kz_locate(err, dir->file, path);
	kz->schema_adds = was_asked_about_unknown_kinds(kz);
	kz->schema = cox_doc_ref(doc);
	read_paths(kz, COX_GET(cox_doc_root(doc), "paths"));
	kz_forget_ids(kz);
	return 0;
}
