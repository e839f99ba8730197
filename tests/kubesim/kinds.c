#include "tests/kubesim/kinds.h"

#include <ctype.h>

#define NS   KS_NAMESPACED
#define NSS  (KS_NAMESPACED | KS_STATUS)
#define NSSG (KS_NAMESPACED | KS_STATUS | KS_GENERATION)

static const struct {
	const char *group, *version, *resource, *kind, *short_names, *categories;
	unsigned flags;
} rows[] = {
	{"", "v1", "bindings", "Binding", "", "", NS | KS_CREATE_ONLY},
	{"", "v1", "componentstatuses", "ComponentStatus", "cs", "", KS_READ_ONLY},
	{"", "v1", "configmaps", "ConfigMap", "cm", "", NS},
	{"", "v1", "endpoints", "Endpoints", "ep", "", NS},
	{"", "v1", "events", "Event", "ev", "", NS},
	{"", "v1", "limitranges", "LimitRange", "limits", "", NS},
	{"", "v1", "namespaces", "Namespace", "ns", "", KS_STATUS | KS_NO_COLLECTION},
	{"", "v1", "nodes", "Node", "no", "", KS_STATUS},
	{"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", "", NSS},
	{"", "v1", "persistentvolumes", "PersistentVolume", "pv", "", KS_STATUS},
	{"", "v1", "pods", "Pod", "po", "all", NSS},
	{"", "v1", "podtemplates", "PodTemplate", "", "", NS},
	{"", "v1", "replicationcontrollers", "ReplicationController", "rc", "all", NSSG | KS_SCALE},
	{"", "v1", "resourcequotas", "ResourceQuota", "quota", "", NSS},
	{"", "v1", "secrets", "Secret", "", "", NS},
	{"", "v1", "serviceaccounts", "ServiceAccount", "sa", "", NS},
	{"", "v1", "services", "Service", "svc", "all", NSS},
	{"apiregistration.k8s.io", "v1", "apiservices", "APIService", "", "api-extensions",
	 KS_STATUS},
	{"apps", "v1", "controllerrevisions", "ControllerRevision", "", "", NS},
	{"apps", "v1", "daemonsets", "DaemonSet", "ds", "all", NSSG},
	{"apps", "v1", "deployments", "Deployment", "deploy", "all", NSSG | KS_SCALE},
	{"apps", "v1", "replicasets", "ReplicaSet", "rs", "all", NSSG | KS_SCALE},
	{"apps", "v1", "statefulsets", "StatefulSet", "sts", "all", NSSG | KS_SCALE},
	{"events.k8s.io", "v1", "events", "Event", "ev", "", NS},
	{"authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", "",
	 "", NS | KS_CREATE_ONLY},
	{"authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", "",
	 "", KS_CREATE_ONLY},
	{"authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", "", "",
	 KS_CREATE_ONLY},
	{"autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", "all",
	 NSS},
	{"batch", "v1", "cronjobs", "CronJob", "cj", "all", NSSG},
	{"batch", "v1", "jobs", "Job", "", "all", NSSG},
	{"networking.k8s.io", "v1", "ingressclasses", "IngressClass", "", "", KS_GENERATION},
	{"networking.k8s.io", "v1", "ingresses", "Ingress", "ing", "", NSSG},
	{"networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", "netpol", "", NSSG},
	{"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", "", NSSG},
	{"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", "", "", 0},
	{"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", "", "", 0},
	{"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", "", "", NS},
	{"rbac.authorization.k8s.io", "v1", "roles", "Role", "", "", NS},
	{"storage.k8s.io", "v1", "csidrivers", "CSIDriver", "", "", 0},
	{"storage.k8s.io", "v1", "csinodes", "CSINode", "", "", 0},
	{"storage.k8s.io", "v1", "storageclasses", "StorageClass", "sc", "", 0},
	{"storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", "", "", KS_STATUS},
	{"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations",
	 "MutatingWebhookConfiguration", "", "api-extensions", KS_GENERATION},
	{"admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations",
	 "ValidatingWebhookConfiguration", "", "api-extensions", KS_GENERATION},
	{"apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition",
	 "crd,crds", "api-extensions", KS_STATUS | KS_GENERATION},
	{"scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", "pc", "", KS_GENERATION},
	{"coordination.k8s.io", "v1", "leases", "Lease", "", "", NS},
	{"node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", "", "", 0},
	{"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", "", "", NS | KS_GENERATION},
};

const struct ks_extra ks_extras[] = {
	{"v1", "namespaces/finalize", "", "", "Namespace", "update", false},
	{"v1", "nodes/proxy", "", "", "NodeProxyOptions", "create,delete,get,patch,update", false},
	{"v1", "pods/attach", "", "", "PodAttachOptions", "create,get", true},
	{"v1", "pods/binding", "", "", "Binding", "create", true},
	{"v1", "pods/ephemeralcontainers", "", "", "Pod", "get,patch,update", true},
	{"v1", "pods/eviction", "policy", "v1", "Eviction", "create", true},
	{"v1", "pods/exec", "", "", "PodExecOptions", "create,get", true},
	{"v1", "pods/log", "", "", "Pod", "get", true},
	{"v1", "pods/portforward", "", "", "PodPortForwardOptions", "create,get", true},
	{"v1", "pods/proxy", "", "", "PodProxyOptions", "create,delete,get,patch,update", true},
	{"v1", "serviceaccounts/token", "authentication.k8s.io", "v1", "TokenRequest", "create",
	 true},
	{"v1", "services/proxy", "", "", "ServiceProxyOptions", "create,delete,get,patch,update",
	 true},
	{NULL, NULL, NULL, NULL, NULL, NULL, false},
};

static char *lower(const char *s)
{
	char *copy = cox_strdup(s);

	for (char *p = copy; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

static const char *keep(struct cox_arena *arena, const char *s)
{
	return cox_arena_strndup(arena, s, strlen(s));
}

/* A kind with its names in its own arena. */
static struct ks_kind *kind_new(struct ks_kinds *kinds, struct ks_store *store, const char *group,
				const char *version, const char *resource, const char *kind)
{
	struct ks_kind *k = cox_new(struct ks_kind);
	_cleanup_free_ char *singular = lower(kind);
	_cleanup_free_ char *list = cox_asprintf("%sList", kind);

	k->names = (struct ks_names){.group = keep(&k->arena, group),
				     .kind = keep(&k->arena, kind),
				     .resource = keep(&k->arena, resource)};
	k->version = keep(&k->arena, version);
	k->singular = keep(&k->arena, singular);
	k->list_kind = keep(&k->arena, list);
	k->short_names = k->categories = "";
	k->api_version = *group ? cox_asprintf("%s/%s", group, version) : cox_strdup(version);
	k->storage_version = cox_strdup(k->api_version);
	k->shelf = ks_store_shelf(store, group, resource);
	cox_vec_push(kinds, k);
	return k;
}

static void kind_free(struct ks_kind *k)
{
	cox_arena_fini(&k->arena);
	cox_doc_unref(k->definition);
	free(k->api_version);
	free(k->storage_version);
	free(k);
}

void ks_kinds_init(struct ks_kinds *kinds, struct ks_store *store)
{
	*kinds = (struct ks_kinds){0};
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		struct ks_kind *k = kind_new(kinds, store, rows[i].group, rows[i].version,
					     rows[i].resource, rows[i].kind);
		k->short_names = rows[i].short_names;
		k->categories = rows[i].categories;
		k->flags = rows[i].flags;
		k->type = cox_schema_find(rows[i].group, rows[i].version, rows[i].kind);
		if (!k->type)
			k->type = cox_schema_any();
	}
}

void ks_kinds_fini(struct ks_kinds *kinds)
{
	COX_VEC_EACH (kinds, k)
		kind_free(*k);
	cox_vec_fini(kinds);
}

struct ks_kind *ks_kinds_resource(const struct ks_kinds *kinds, struct cox_str group,
				  struct cox_str version, struct cox_str resource)
{
	COX_VEC_EACH (kinds, k)
		if (cox_str_is(group, (*k)->names.group) && cox_str_is(version, (*k)->version) &&
		    cox_str_is(resource, (*k)->names.resource))
			return *k;
	return NULL;
}

struct ks_kind *ks_kinds_kind(const struct ks_kinds *kinds, struct cox_str group,
			      struct cox_str version, struct cox_str kind)
{
	COX_VEC_EACH (kinds, k)
		if (cox_str_is(group, (*k)->names.group) && cox_str_is(version, (*k)->version) &&
		    cox_str_is(kind, (*k)->names.kind))
			return *k;
	return NULL;
}

struct ks_kind *ks_kinds_group_kind(const struct ks_kinds *kinds, struct cox_str group,
				    struct cox_str kind)
{
	COX_VEC_EACH (kinds, k)
		if (cox_str_is(group, (*k)->names.group) && cox_str_is(kind, (*k)->names.kind))
			return *k;
	return NULL;
}

struct ks_kind *ks_kinds_of_shelf(const struct ks_kinds *kinds, const struct ks_shelf *shelf)
{
	struct ks_kind *found = NULL;

	COX_VEC_EACH (kinds, k)
		if ((*k)->shelf == shelf &&
		    (!found || cox_streq((*k)->api_version, (*k)->storage_version)))
			found = *k;
	return found;
}

bool ks_kinds_has_group(const struct ks_kinds *kinds, struct cox_str group, struct cox_str version)
{
	COX_VEC_EACH (kinds, k)
		if (cox_str_is(group, (*k)->names.group) &&
		    (!version.ptr || cox_str_is(version, (*k)->version)))
			return true;
	return false;
}

/* ---- custom resources ---- */

static const char *joined(struct cox_arena *arena, const struct cox_node *list)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	COX_DOC_LIST_EACH (list, i, item)
		cox_buf_printf(&text, "%s%s", i ? "," : "", cox_node_cstr(item, ""));
	return keep(arena, cox_buf_cstr(&text));
}

static const char *node_text(struct cox_arena *arena, const struct cox_node *node)
{
	return keep(arena, cox_node_cstr(node, ""));
}

static void read_columns(struct ks_kind *k, const struct cox_node *list)
{
	k->columns = cox_arena_calloc(&k->arena, (cox_node_len(list) + 1) * sizeof(*k->columns));
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *c = cox_node_at(list, i);
		struct ks_column *column = &k->columns[k->n_columns++];
		column->name = node_text(&k->arena, COX_GET(c, "name"));
		column->type = node_text(&k->arena, COX_GET(c, "type"));
		column->format = node_text(&k->arena, COX_GET(c, "format"));
		column->path = node_text(&k->arena, COX_GET(c, "jsonPath"));
		column->description = node_text(&k->arena, COX_GET(c, "description"));
		column->priority = cox_node_int(COX_GET(c, "priority"), 0);
	}
}

static void define_version(struct ks_kinds *kinds, struct ks_store *store, struct cox_doc *crd,
			   const struct cox_node *v, const char *storage)
{
	const struct cox_node *spec = COX_GET(cox_doc_root(crd), "spec");
	const struct cox_node *names = COX_GET(spec, "names");
	const struct cox_node *scale = COX_GET(v, "subresources", "scale");
	const char *group = cox_node_cstr(COX_GET(spec, "group"), "");
	struct ks_kind *k = kind_new(kinds, store, group, cox_node_cstr(COX_GET(v, "name"), ""),
				     cox_node_cstr(COX_GET(names, "plural"), ""),
				     cox_node_cstr(COX_GET(names, "kind"), ""));

	k->custom = true;
	k->definition = cox_doc_ref(crd);
	k->flags = KS_GENERATION;
	if (cox_streq(cox_node_cstr(COX_GET(spec, "scope"), ""), "Namespaced"))
		k->flags |= KS_NAMESPACED;
	if (COX_GET(v, "subresources", "status"))
		k->flags |= KS_STATUS;
	if (scale)
		k->flags |= KS_SCALE;
	k->replicas_path = node_text(&k->arena, COX_GET(scale, "specReplicasPath"));
	k->status_replicas_path = node_text(&k->arena, COX_GET(scale, "statusReplicasPath"));
	k->selector_path = node_text(&k->arena, COX_GET(scale, "labelSelectorPath"));
	k->short_names = joined(&k->arena, COX_GET(names, "shortNames"));
	k->categories = joined(&k->arena, COX_GET(names, "categories"));
	if (COX_GET(names, "singular"))
		k->singular = node_text(&k->arena, COX_GET(names, "singular"));
	if (COX_GET(names, "listKind"))
		k->list_kind = node_text(&k->arena, COX_GET(names, "listKind"));
	free(k->storage_version);
	k->storage_version = cox_asprintf("%s/%s", group, storage);
	k->type = cox_schema_of_openapi(&k->arena, COX_GET(v, "schema", "openAPIV3Schema"));
	read_columns(k, COX_GET(v, "additionalPrinterColumns"));
}

void ks_kinds_define(struct ks_kinds *kinds, struct ks_store *store, struct cox_doc *crd)
{
	const struct cox_node *spec = COX_GET(cox_doc_root(crd), "spec");
	const struct cox_node *versions = COX_GET(spec, "versions");
	const char *storage = "";

	ks_kinds_undefine(kinds, cox_node_cstr(COX_GET(spec, "group"), ""),
			  cox_node_cstr(COX_GET(spec, "names", "plural"), ""));
	COX_DOC_LIST_EACH (versions, i, v)
		if (cox_node_bool(COX_GET(v, "storage"), false))
			storage = cox_node_cstr(COX_GET(v, "name"), "");
	COX_DOC_LIST_EACH (versions, j, version)
		if (cox_node_bool(COX_GET(version, "served"), false))
			define_version(kinds, store, crd, version, storage);
}

void ks_kinds_undefine(struct ks_kinds *kinds, const char *group, const char *resource)
{
	for (size_t i = kinds->n; i-- > 0;) {
		struct ks_kind *k = kinds->items[i];
		if (k->custom && cox_streq(k->names.group, group) &&
		    cox_streq(k->names.resource, resource)) {
			kind_free(k);
			cox_vec_remove(kinds, i);
		}
	}
}
