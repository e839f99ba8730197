#include "hub/model/settings.h"

#include "common/base/suggest.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "common/health/custom.h"
#include "hub/model/rules.h"

#define BLOCK  "resource.customizations"
#define HEALTH "resource.customizations.health."
#define IGNORE "resource.customizations.ignoreDifferences."
#define LIBS   "resource.customizations.useOpenLibs."

/* ---- keys that mean nothing here ---- */

/* Argo CD's; "." at the end stands for what follows it. A name that is none of these is most likely
 * a slip. */
static const char *const foreign_keys[] = {
	"accounts.",
	"admin.enabled",
	"additionalUrls",
	"application.allowedNodeLabels",
	"application.instanceLabelKey",
	"application.links",
	"application.resourceTrackingMethod",
	"application.sync.impersonation.enabled",
	"application.sync.impersonation.enforced",
	"application.sync.requireOverridePrivilegeForRevisionSync",
	"cluster.inClusterEnabled",
	"commit.author.email",
	"commit.author.name",
	"dex.auth.connectorId",
	"dex.config",
	"exec.enabled",
	"exec.shells",
	"extension.config",
	"extension.config.",
	"ga.anonymizeusers",
	"ga.trackingid",
	"globalProjects",
	"helm.enable",
	"helm.valuesFileSchemes",
	"help.chatText",
	"help.chatUrl",
	"help.download.",
	"installationID",
	"jsonnet.enable",
	"kustomize.buildOptions",
	"kustomize.buildOptions.",
	"kustomize.enable",
	"kustomize.path.",
	"oidc.config",
	"oidc.tls.insecure.skip.verify",
	"passwordPattern",
	"project.links",
	"resource.compareoptions",
	"resource.customLabels",
	"resource.customizations.actions.",
	"resource.customizations.ignoreResourceUpdates.",
	"resource.customizations.knownTypeFields.",
	"resource.excludeEventLabelKeys",
	"resource.exclusions",
	"resource.ignoreResourceUpdatesEnabled",
	"resource.includeEventLabelKeys",
	"resource.inclusions",
	"resource.links",
	"resource.respectRBAC",
	"resource.sensitive.mask.annotations",
	"server.maxPodLogsToRender",
	"server.rbac.rollback.enforce.enable",
	"sourceHydrator.commitMessageTemplate",
	"sourceHydrator.readmeMessageTemplate",
	"statusbadge.enabled",
	"statusbadge.url",
	"timeout.hard.reconciliation",
	"timeout.reconciliation",
	"timeout.reconciliation.jitter",
	"ui.bannercontent",
	"ui.bannerpermanent",
	"ui.bannerposition",
	"ui.bannerurl",
	"ui.cssurl",
	"ui.loginButtonText",
	"url",
	"users.anonymous.enabled",
	"users.session.duration",
	"webhook.maxPayloadSizeMB",
	"webhook.refresh.jitter",
	"webhook.refresh.threshold",
};

static bool is_key(struct cox_str key, const char *pattern)
{
	size_t n = strlen(pattern);

	return pattern[n - 1] == '.' ? cox_str_starts(key, pattern) && key.len > n
				     : cox_str_is(key, pattern);
}

static void warn_key(struct hub_check *c, const struct cox_node *value, struct cox_str key)
{
	static const char *const ours[] = {BLOCK, HEALTH, IGNORE, LIBS};
	struct cox_suggestion near = {0};

	for (size_t i = 0; i < COX_ARRAY_LEN(foreign_keys); i++) {
		if (is_key(key, foreign_keys[i])) {
			hub_check_warning(c, value, "is kept, and not acted on by this version");
			return;
		}
		cox_suggest(&near, key, foreign_keys[i]);
	}
	/* of a key with a kind at its end, what is before it */
	for (size_t i = 0; i < COX_ARRAY_LEN(ours); i++) {
		size_t n = strlen(ours[i]);

		cox_suggest(&near, cox_str_n(key.ptr, key.len < n ? key.len : n), ours[i]);
	}
	hub_check_warning(c, value, "unknown key%s%s%s", near.best ? ", did you mean '" : "",
			  near.best ? near.best : "", near.best ? "'?" : "");
}

/* ---- ignored differences ---- */

static const char *const ignore_fields[] = {"jsonPointers", "jqPathExpressions",
					    "managedFieldsManagers"};

static void check_ignored_map(struct hub_check *c, const struct cox_node *at,
			      const struct cox_node *map)
{
	if (!cox_node_is(map, COX_MAP)) {
		hub_check_error(c, at, "is a %s instead of a map with %s, %s or %s",
				cox_kind_name(cox_node_kind(map)), ignore_fields[0],
				ignore_fields[1], ignore_fields[2]);
		return;
	}
	for (size_t i = 0; i < cox_node_len(map); i++) {
		const struct cox_node *list = cox_node_at(map, i);
		struct cox_str key = cox_node_key(map, i);
		bool known = false, fine = cox_node_is(list, COX_LIST);

		for (size_t k = 0; k < COX_ARRAY_LEN(ignore_fields); k++)
			known |= cox_str_is(key, ignore_fields[k]);
		if (!known) {
			hub_check_warning(c, at, "unknown field '%.*s'", COX_STR_ARG(key));
			continue;
		}
		for (size_t k = 0; fine && k < cox_node_len(list); k++)
			fine = cox_node_is(cox_node_at(list, k), COX_STRING);
		if (!fine)
			hub_check_error(c, at, "'%.*s' is not a list of strings", COX_STR_ARG(key));
	}
}

/* The YAML in a value; NULL with the problem said. An empty one is NULL without. */
static struct cox_doc *read_value(struct hub_check *c, const struct cox_node *value)
{
	struct cox_doc *doc = NULL;
	struct cox_error err;

	if (cox_str_trim(cox_node_str(value)).len == 0)
		return NULL;
	if (cox_yaml_read(cox_node_str(value), "value", NULL, &doc, &err) < 0) {
		if (c)
			hub_check_error(c, value, "%s", err.message);
		return NULL;
	}
	return doc;
}

/* "all", "group_Kind" or "Kind", as group and kind. */
static void split_name(struct cox_str name, struct cox_str *ret_group, struct cox_str *ret_kind)
{
	*ret_group = COX_STR("");
	*ret_kind = name;
	if (cox_str_is(name, "all")) {
		*ret_group = *ret_kind = COX_STR("*");
		return;
	}
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] != '_' && name.ptr[i] != '/')
			continue;
		*ret_group = cox_str_n(name.ptr, i);
		*ret_kind = cox_str_n(name.ptr + i + 1, name.len - i - 1);
		return;
	}
}

static void check_ignored(struct hub_check *c, const struct cox_node *value, struct cox_str name)
{
	_cleanup_doc_ struct cox_doc *doc = read_value(c, value);
	struct cox_str group, kind;

	split_name(name, &group, &kind);
	if (!kind.len)
		hub_check_error(c, value, "the key doesn't end in <group>_<Kind>, <Kind> or all");
	if (doc)
		check_ignored_map(c, value, cox_doc_root(doc));
}

/* ---- health ---- */

static void check_script(struct hub_check *c, const struct cox_node *value, struct cox_str script)
{
	struct cox_error err;

	if (cox_health_script_check(script, &err) < 0)
		hub_check_error(c, value, "%s", err.message);
}

/* ---- the block of all kinds ---- */

static void check_kind(struct hub_check *c, const struct cox_node *at, struct cox_str key,
		       const struct cox_node *map)
{
	size_t mark = hub_path_push(c, key);

	if (!cox_node_is(map, COX_MAP)) {
		hub_check_error(c, at, "is a %s instead of a map",
				cox_kind_name(cox_node_kind(map)));
		hub_path_pop(c, mark);
		return;
	}
	for (size_t i = 0; i < cox_node_len(map); i++) {
		const struct cox_node *value = cox_node_at(map, i);
		size_t below = hub_path_push(c, cox_node_key(map, i));

		if (cox_str_is(cox_node_key(map, i), "health.lua"))
			check_script(c, at, cox_node_str(value));
		else if (cox_str_is(cox_node_key(map, i), "ignoreDifferences"))
			check_ignored(c, value, key);
		else if (!cox_str_is(cox_node_key(map, i), "health.lua.useOpenLibs"))
			hub_check_warning(c, at, "is kept, and not acted on by this version");
		else if (cox_node_bool(value, false))
			hub_check_error(c, at,
					"health scripts run in a sandbox, without more "
					"libraries: remove this");
		hub_path_pop(c, below);
	}
	hub_path_pop(c, mark);
}

static void check_block(struct hub_check *c, const struct cox_node *value)
{
	_cleanup_doc_ struct cox_doc *doc = read_value(c, value);
	const struct cox_node *root = cox_doc_root(doc);

	if (root && !cox_node_is(root, COX_MAP) && !cox_node_is(root, COX_NULL))
		hub_check_error(c, value, "is a %s instead of a map of kinds",
				cox_kind_name(cox_node_kind(root)));
	else
		for (size_t i = 0; i < cox_node_len(root); i++)
			check_kind(c, value, cox_node_key(root, i), cox_node_at(root, i));
}

/* ---- all of it ---- */

static struct cox_str after(struct cox_str key, const char *prefix)
{
	size_t n = strlen(prefix);

	return cox_str_n(key.ptr + n, key.len - n);
}

static void check_key(struct hub_check *c, struct cox_str key, const struct cox_node *value)
{
	if (cox_str_is(key, BLOCK))
		check_block(c, value);
	else if (cox_str_starts(key, HEALTH))
		check_script(c, value, cox_node_str(value));
	else if (cox_str_starts(key, IGNORE))
		check_ignored(c, value, after(key, IGNORE));
	else if (!cox_str_starts(key, LIBS))
		warn_key(c, value, key);
	else if (!cox_str_is(cox_str_trim(cox_node_str(value)), "false"))
		hub_check_error(c, value,
				"health scripts run in a sandbox, without more "
				"libraries: remove this key");
}

void hub_check_settings(struct hub_check *c, const struct cox_node *root)
{
	_cleanup_health_custom_ struct cox_health_custom *custom = NULL;
	const struct cox_node *data = cox_node_get(root, "data");
	size_t mark = hub_path_push(c, COX_STR("data")), bytes = 0;
	struct cox_error err;

	for (size_t i = 0; cox_node_is(data, COX_MAP) && i < cox_node_len(data); i++) {
		const struct cox_node *value = cox_node_at(data, i);
		size_t at = hub_path_push(c, cox_node_key(data, i));

		bytes += cox_node_str(value).len;
		if (cox_node_is(value, COX_STRING)) /* the rest is said by the fields' types */
			check_key(c, cox_node_key(data, i), value);
		hub_path_pop(c, at);
	}
	if (bytes > HUB_LIMIT_SETTINGS_BYTES)
		hub_check_error(c, data, "the values are longer than %d bytes",
				HUB_LIMIT_SETTINGS_BYTES);
	/* names of kinds, patterns, how many: what the agents would say */
	if (c->out->n_errors == 0 && cox_health_custom_new(root, &custom, &err) < 0)
		hub_check_error(c, data, "%s", err.message);
	hub_path_pop(c, mark);
}

/* ---- what comes of it ---- */

/* The block's kinds with their scripts and nothing else. */
static void put_block(struct cox_doc *doc, struct cox_node *data, const struct cox_node *value)
{
	_cleanup_doc_ struct cox_doc *block = read_value(NULL, value);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_node *kinds = cox_doc_map(doc);
	const struct cox_node *root = cox_doc_root(block);

	for (size_t i = 0; i < cox_node_len(root); i++) {
		const struct cox_node *script = cox_node_get(cox_node_at(root, i), "health.lua");
		struct cox_node *kind;

		if (!cox_node_is(script, COX_STRING))
			continue;
		kind = cox_doc_map(doc);
		cox_map_put(doc, kind, "health.lua", cox_doc_clone(doc, script));
		cox_map_put_str(doc, kinds, cox_node_key(root, i), kind);
	}
	if (cox_node_len(kinds) == 0)
		return;
	cox_json_write(&text, kinds); /* which is YAML as well */
	cox_map_put(doc, data, BLOCK, cox_doc_string(doc, cox_buf_str(&text)));
}

void hub_settings_for_agents(const struct cox_node *config_map, struct cox_buf *out)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("settings");
	struct cox_node *root = cox_doc_map(doc), *kept = cox_doc_map(doc);
	const struct cox_node *data = cox_node_get(config_map, "data");

	for (size_t i = 0; cox_node_is(data, COX_MAP) && i < cox_node_len(data); i++) {
		struct cox_str key = cox_node_key(data, i);
		const struct cox_node *value = cox_node_at(data, i);

		if (cox_str_is(key, BLOCK))
			put_block(doc, kept, value);
		else if (cox_str_starts(key, HEALTH) && cox_str_trim(cox_node_str(value)).len)
			cox_map_put_str(doc, kept, key, cox_doc_clone(doc, value));
	}
	if (cox_node_len(kept) == 0)
		return;
	cox_map_put(doc, root, "data", kept);
	cox_json_write(out, root);
}

static void push_ignored(struct cox_doc *doc, struct cox_node *list, struct cox_str name,
			 const struct cox_node *value)
{
	_cleanup_doc_ struct cox_doc *rules = read_value(NULL, value);
	struct cox_node *entry = cox_doc_map(doc);
	struct cox_str group, kind;
	bool any = false;

	split_name(name, &group, &kind);
	cox_map_put(doc, entry, "group", cox_doc_string(doc, group));
	cox_map_put(doc, entry, "kind", cox_doc_string(doc, kind));
	for (size_t i = 0; i < COX_ARRAY_LEN(ignore_fields); i++) {
		const struct cox_node *field = cox_node_get(cox_doc_root(rules), ignore_fields[i]);

		if (cox_node_len(field) == 0)
			continue;
		cox_map_put(doc, entry, ignore_fields[i], cox_doc_clone(doc, field));
		any = true;
	}
	if (any)
		cox_list_push(doc, list, entry);
}

struct cox_node *hub_settings_ignored(const struct cox_node *config_map, struct cox_doc *doc)
{
	const struct cox_node *data = cox_node_get(config_map, "data");
	_cleanup_doc_ struct cox_doc *block = read_value(NULL, cox_node_get(data, BLOCK));
	const struct cox_node *kinds = cox_doc_root(block);
	struct cox_node *list = cox_doc_list(doc);

	for (size_t i = 0; i < cox_node_len(kinds); i++) {
		const struct cox_node *value =
			cox_node_get(cox_node_at(kinds, i), "ignoreDifferences");

		if (value)
			push_ignored(doc, list, cox_node_key(kinds, i), value);
	}
	for (size_t i = 0; cox_node_is(data, COX_MAP) && i < cox_node_len(data); i++)
		if (cox_str_starts(cox_node_key(data, i), IGNORE))
			push_ignored(doc, list, after(cox_node_key(data, i), IGNORE),
				     cox_node_at(data, i));
	return cox_node_len(list) > 0 ? list : NULL;
}
