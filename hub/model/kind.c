#include "hub/model/kind.h"

#include "hub/model/gate_secret.h"

#include <strings.h>

static const struct hub_kind_info kinds[HUB_N_KINDS] = {
	[HUB_APPLICATION] = {HUB_APPLICATION, "argoproj.io", "v1alpha1", "argoproj.io/v1alpha1",
			     "Application", "application", "applications", "app,apps", true},
	[HUB_APPLICATION_SET] = {HUB_APPLICATION_SET, "argoproj.io", "v1alpha1",
				 "argoproj.io/v1alpha1", "ApplicationSet", "applicationset",
				 "applicationsets", "appset,appsets", true},
	[HUB_APP_PROJECT] = {HUB_APP_PROJECT, "argoproj.io", "v1alpha1", "argoproj.io/v1alpha1",
			     "AppProject", "appproject", "appprojects",
			     "appproj,appprojs,project,projects,proj", true},
	[HUB_CLUSTER] = {HUB_CLUSTER, "coxswain.dev", "v1alpha1", "coxswain.dev/v1alpha1",
			 "Cluster", "cluster", "clusters", "", false},
	[HUB_ROLLOUT_POLICY] = {HUB_ROLLOUT_POLICY, "coxswain.dev", "v1alpha1",
				"coxswain.dev/v1alpha1", "RolloutPolicy", "rolloutpolicy",
				"rolloutpolicies", "policy,policies,rp", false},
	[HUB_SECRET] = {HUB_SECRET, "", "v1", "v1", "Secret", "secret", "secrets",
			"repo,repos,repository,repositories", true},
	[HUB_CONFIG_MAP] = {HUB_CONFIG_MAP, "", "v1", "v1", "ConfigMap", "configmap", "configmaps",
			    "cm,settings", true},
};

/* Secrets of other types (clusters' credentials above all) are not the hub's to keep. */
static const char *const secret_types[] = {"repository", "repo-creds"};

const struct hub_kind_info *hub_kind_info(enum hub_kind kind)
{
	return kind > HUB_KIND_NONE && kind < HUB_N_KINDS ? &kinds[kind] : NULL;
}

static bool is_kept_secret(const struct cox_node *object)
{
	const char *type = hub_object_label(object, HUB_SECRET_TYPE_LABEL);

	for (size_t i = 0; i < COX_ARRAY_LEN(secret_types); i++)
		if (cox_streq(type, secret_types[i]))
			return true;
	return hub_is_gate_secret(object);
}

enum hub_kind hub_kind_of(const struct cox_node *object)
{
	const char *version = cox_node_cstr(COX_GET(object, "apiVersion"), "");
	const char *name = cox_node_cstr(COX_GET(object, "kind"), "");

	for (int k = HUB_KIND_NONE + 1; k < HUB_N_KINDS; k++) {
		if (!cox_streq(kinds[k].name, name) || !cox_streq(kinds[k].api_version, version))
			continue;
		if ((k == HUB_SECRET && !is_kept_secret(object)) ||
		    (k == HUB_CONFIG_MAP && strcmp(hub_object_name(object), HUB_SETTINGS_NAME)))
			return HUB_KIND_NONE;
		return (enum hub_kind)k;
	}
	return HUB_KIND_NONE;
}

static bool is_one_of(const char *list, const char *text)
{
	struct cox_str rest = cox_str(list), part;
	size_t n = strlen(text);

	while (rest.len && cox_str_split(&rest, ',', &part))
		if (part.len == n && strncasecmp(part.ptr, text, n) == 0)
			return true;
	return false;
}

enum hub_kind hub_kind_parse(const char *text)
{
	for (int k = HUB_KIND_NONE + 1; k < HUB_N_KINDS; k++)
		if (strcasecmp(kinds[k].singular, text) == 0 ||
		    strcasecmp(kinds[k].plural, text) == 0 || is_one_of(kinds[k].shorts, text))
			return (enum hub_kind)k;
	return HUB_KIND_NONE;
}

/* ---- metadata ---- */

const char *hub_object_name(const struct cox_node *object)
{
	return cox_node_cstr(COX_GET(object, "metadata", "name"), "");
}

const char *hub_object_namespace(const struct cox_node *object)
{
	return cox_node_cstr(COX_GET(object, "metadata", "namespace"), "");
}

const char *hub_object_uid(const struct cox_node *object)
{
	return cox_node_cstr(COX_GET(object, "metadata", "uid"), "");
}

const char *hub_object_label(const struct cox_node *object, const char *key)
{
	return cox_node_cstr(COX_GET(object, "metadata", "labels", key), NULL);
}

const char *hub_object_annotation(const struct cox_node *object, const char *key)
{
	return cox_node_cstr(COX_GET(object, "metadata", "annotations", key), NULL);
}

int hub_key_of(const struct cox_doc *doc, const char *home_namespace, struct hub_key *ret_key,
	       struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc);
	enum hub_kind kind = hub_kind_of(root);
	const char *name = hub_object_name(root), *namespace = hub_object_namespace(root);

	if (kind == HUB_KIND_NONE)
		return cox_node_error(err, doc, root, "kind '%s' of '%s' is not one the hub keeps",
				      cox_node_cstr(COX_GET(root, "kind"), ""),
				      cox_node_cstr(COX_GET(root, "apiVersion"), ""));
	if (!*name)
		return cox_node_error(err, doc, root, "metadata.name: must not be empty");
	if (!kinds[kind].namespaced)
	namespace = "";
	else if (!*namespace) namespace = home_namespace;
	*ret_key = (struct hub_key){kind, namespace, name};
	return 0;
}

static bool is_dns_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_label(struct cox_str s, size_t max)
{
	if (s.len == 0 || s.len > max || !is_dns_char(s.ptr[0]) || !is_dns_char(s.ptr[s.len - 1]))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_dns_char(s.ptr[i]) && s.ptr[i] != '-')
			return false;
	return true;
}

bool hub_is_dns_label(const char *name)
{
	return is_label(cox_str(name), 63);
}

bool hub_is_dns_subdomain(const char *name)
{
	struct cox_str rest = cox_str(name), part;

	if (rest.len == 0 || rest.len > 253)
		return false;
	while (rest.ptr && cox_str_split(&rest, '.', &part))
		if (!is_label(part, 253))
			return false;
	return true;
}

struct cox_doc *hub_object_with_namespace(struct cox_doc *doc, const char *namespace)
{
	struct cox_doc *edit = cox_doc_edit(doc);
	struct cox_node *root = cox_doc_root_edit(edit);

	cox_map_put_cstr(edit, cox_map_edit_map(edit, root, "metadata"), "namespace", namespace);
	return cox_doc_seal(edit);
}

struct cox_doc *hub_object_with_annotation(struct cox_doc *doc, const char *key, const char *value)
{
	struct cox_doc *edit = cox_doc_edit(doc);
	struct cox_node *metadata = cox_map_edit_map(edit, cox_doc_root_edit(edit), "metadata");

	if (value)
		cox_map_put_cstr(edit, cox_map_edit_map(edit, metadata, "annotations"), key, value);
	else if (COX_GET(metadata, "annotations", key))
		cox_map_drop(edit, cox_map_edit_map(edit, metadata, "annotations"), cox_str(key));
	return cox_doc_seal(edit);
}
