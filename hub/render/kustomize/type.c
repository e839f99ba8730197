/* What Kustomize knows of the shape of objects: its schema is Kubernetes 1.21's, or that of
 * `openapi.path`. */
#include "hub/render/kustomize/internal.h"

#include "common/kube/schema.h"

/* Groups and versions that Kustomize's schema has; what is not here is merged as JSON. */
static const char *const known_versions[] = {
	"/v1",
	"admissionregistration.k8s.io/v1",
	"admissionregistration.k8s.io/v1beta1",
	"apiextensions.k8s.io/v1",
	"apiextensions.k8s.io/v1beta1",
	"apiregistration.k8s.io/v1",
	"apiregistration.k8s.io/v1beta1",
	"apps/v1",
	"authentication.k8s.io/v1",
	"authentication.k8s.io/v1beta1",
	"authorization.k8s.io/v1",
	"authorization.k8s.io/v1beta1",
	"autoscaling/v1",
	"autoscaling/v2beta1",
	"autoscaling/v2beta2",
	"batch/v1",
	"batch/v1beta1",
	"certificates.k8s.io/v1",
	"certificates.k8s.io/v1beta1",
	"coordination.k8s.io/v1",
	"coordination.k8s.io/v1beta1",
	"discovery.k8s.io/v1",
	"discovery.k8s.io/v1beta1",
	"events.k8s.io/v1",
	"events.k8s.io/v1beta1",
	"extensions/v1beta1",
	"flowcontrol.apiserver.k8s.io/v1beta1",
	"networking.k8s.io/v1",
	"networking.k8s.io/v1beta1",
	"node.k8s.io/v1",
	"node.k8s.io/v1beta1",
	"policy/v1",
	"policy/v1beta1",
	"rbac.authorization.k8s.io/v1",
	"rbac.authorization.k8s.io/v1beta1",
	"scheduling.k8s.io/v1",
	"scheduling.k8s.io/v1beta1",
	"storage.k8s.io/v1",
	"storage.k8s.io/v1beta1",
};

/* Kinds that came to those versions later. */
static const char *const newer_kinds[] = {
	"CSIStorageCapacity",
	"Eviction",
	"IPAddress",
	"JobTemplateSpec",
	"MutatingAdmissionPolicy",
	"MutatingAdmissionPolicyBinding",
	"PersistentVolumeClaimTemplate",
	"SelfSubjectReview",
	"ServiceCIDR",
	"ValidatingAdmissionPolicy",
	"ValidatingAdmissionPolicyBinding",
	"VolumeAttributesClass",
};

/* Kinds of those versions of which the table knows nothing; Kustomize merges their metadata. */
static const char *const plain_kinds[] = {
	"Binding",
	"CertificateSigningRequest",
	"Eviction",
	"FlowSchema",
	"Ingress",
	"LocalSubjectAccessReview",
	"PodSecurityPolicy",
	"PriorityLevelConfiguration",
	"Scale",
	"SelfSubjectAccessReview",
	"SelfSubjectRulesReview",
	"SubjectAccessReview",
	"TokenRequest",
	"TokenReview",
};

static bool is_in(const char *const *list, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], word) == 0)
			return true;
	return false;
}

static bool is_newer(const struct kz_gvk *gvk)
{
	bool beta = strcmp(gvk->version, "v1beta1") == 0;

	return !beta && is_in(newer_kinds, COX_ARRAY_LEN(newer_kinds), gvk->kind);
}

bool kz_is_known(struct kz *kz, const struct kz_gvk *gvk)
{
	const char *text = kz_printf(kz, "%s/%s", gvk->group, gvk->version);

	return is_in(known_versions, COX_ARRAY_LEN(known_versions), text) && !is_newer(gvk);
}

static const struct cox_node *find_definition(const struct cox_node *definitions,
					      const struct kz_gvk *gvk)
{
	for (size_t i = 0; i < cox_node_len(definitions); i++) {
		const struct cox_node *d = cox_node_at(definitions, i);
		const struct cox_node *list = COX_GET(d, "x-kubernetes-group-version-kind");

		for (size_t j = 0; j < cox_node_len(list); j++) {
			const struct cox_node *it = cox_node_at(list, j);

			if (cox_str_is(cox_node_str(COX_GET(it, "kind")), gvk->kind) &&
			    cox_str_is(cox_node_str(COX_GET(it, "version")), gvk->version) &&
			    cox_str_is(cox_node_str(COX_GET(it, "group")), gvk->group))
				return d;
		}
	}
	return NULL;
}

/* Of the built-in schema, by the name that references have for it. */
static const struct cox_schema_type *find_built_in(const char *ref)
{
	static const char *const prefixes[] = {"io.k8s.api.", "io.k8s.apimachinery.pkg.apis."};

	for (size_t i = 0; i < COX_ARRAY_LEN(prefixes); i++)
		if (strncmp(ref, prefixes[i], strlen(prefixes[i])) == 0)
			return cox_schema_named(ref + strlen(prefixes[i]));
	return NULL;
}

static struct kz_type resolve(const struct kz_schema *schemas, const struct cox_node *schema)
{
	struct kz_type type = {NULL, schema, false};

	for (int i = 0; i < 16; i++) {
		const char *ref = cox_node_cstr(COX_GET(type.openapi, "$ref"), NULL);

		if (!ref)
			break;
		ref = strncmp(ref, "#/definitions/", 14) == 0 ? ref + 14 : ref;
		type.openapi = cox_node_get(schemas->definitions, ref);
		if (!type.openapi && schemas->adds)
			type.known = find_built_in(ref);
	}
	return type;
}

struct kz_type kz_type_child(const struct kz_schema *schemas, const struct kz_type *type,
			     struct cox_str key)
{
	const struct cox_schema_type *known;
	const struct cox_node *extra;

	if (type->object && cox_str_is(key, "metadata"))
		return (struct kz_type){cox_schema_named("meta.v1.ObjectMeta"), NULL, false};
	if (!schemas->definitions || type->known) {
		if (!type->known)
			return (struct kz_type){0};
		known = cox_schema_child(type->known, key);
		return (struct kz_type){.known = known->kind == COX_SCHEMA_ANY ? NULL : known};
	}
	extra = cox_node_get_str(COX_GET(type->openapi, "properties"), key);
	return resolve(schemas, extra ? extra : COX_GET(type->openapi, "additionalProperties"));
}

struct kz_type kz_type_item(const struct kz_schema *schemas, const struct kz_type *type)
{
	if (!schemas->definitions || type->known)
		return (struct kz_type){.known = type->known && type->known->kind == COX_SCHEMA_LIST
							 ? type->known->item
							 : NULL};
	return resolve(schemas, COX_GET(type->openapi, "items"));
}

static bool known_keys(const struct cox_schema_type *t, struct kz_keys *ret)
{
	if (!t || t->kind != COX_SCHEMA_LIST || !t->merges)
		return false;
	if (t->list == COX_SCHEMA_LIST_MAP && t->n_keys > 1 && t->n_keys <= KZ_MAX_KEYS)
		for (; ret->n < t->n_keys; ret->n++)
			ret->names[ret->n] = t->keys[ret->n];
	else if (t->merge_key)
		ret->names[ret->n++] = t->merge_key;
	return true;
}

/* Whether items of such a list are matched, and by what. */
bool kz_type_merges(const struct kz_schema *schemas, const struct kz_type *type,
		    struct kz_keys *ret)
{
	const struct cox_node *list = COX_GET(type->openapi, "x-kubernetes-list-map-keys");
	const char *strategy =
		cox_node_cstr(COX_GET(type->openapi, "x-kubernetes-patch-strategy"), "");
	const char *key =
		cox_node_cstr(COX_GET(type->openapi, "x-kubernetes-patch-merge-key"), NULL);

	ret->n = 0;
	if (!schemas->definitions || type->known)
		return known_keys(type->known, ret);
	if (strncmp(strategy, "merge", 5) != 0)
		return false;
	for (size_t i = 0; i < cox_node_len(list) && ret->n < KZ_MAX_KEYS; i++)
		ret->names[ret->n++] = cox_node_cstr(cox_node_at(list, i), "");
	if (!ret->n && key)
		ret->names[ret->n++] = key;
	return true;
}

struct kz_type kz_type_of(struct kz *kz, const struct kz_gvk *gvk, struct kz_schema *ret_schema)
{
	struct kz_type type = {0};

	*ret_schema = (struct kz_schema){COX_GET(cox_doc_root(kz->schema), "definitions"),
					 !kz->schema || kz->schema_adds};
	type.openapi = find_definition(ret_schema->definitions, gvk);
	if (type.openapi || !ret_schema->adds || !kz_is_known(kz, gvk))
		return type;
	type.known = cox_schema_find(gvk->group, gvk->version, gvk->kind);
	type.object = !type.known && is_in(plain_kinds, COX_ARRAY_LEN(plain_kinds), gvk->kind);
	return type;
}
