#include "hub/model/rules.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/suggest.h"
#include "common/project/windows.h"
#include "common/text/cron.h"
#include "hub/model/appset.h"
#include "hub/model/gate_secret.h"

#include <stdarg.h>
#include <strings.h>

static const char *text_of(const struct cox_node *map, const char *key)
{
	return cox_node_cstr(cox_node_get(map, key), "");
}

void hub_check_bad(struct hub_check *c, const struct cox_node *map, const char *key,
		   const char *format, ...)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	const struct cox_node *value = cox_node_get(map, key);
	size_t mark = hub_path_push(c, cox_str(key));
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(&text, format, args);
	va_end(args);
	hub_check_error(c, value ? value : map, "%s", cox_buf_cstr(&text));
	hub_path_pop(c, mark);
}

/* ---- Application ---- */

/* Names of sync options, by the reference's A3. */
static const char *const sync_options[] = {
	"Prune",
	"Delete",
	"Validate",
	"SkipDryRunOnMissingResource",
	"ApplyOutOfSyncOnly",
	"PrunePropagationPolicy",
	"PruneLast",
	"Replace",
	"Force",
	"ServerSideApply",
	"ClientSideApplyMigration",
	"FailOnSharedResource",
	"RespectIgnoreDifferences",
	"CreateNamespace",
};

static bool climbs_out(const char *path)
{
	struct cox_str rest = cox_str(path), part;

	while (rest.len && cox_str_split(&rest, '/', &part))
		if (cox_str_is(part, ".."))
			return true;
	return false;
}

static void check_source(struct hub_check *c, const struct cox_node *source)
{
	const char *path = text_of(source, "path"), *chart = text_of(source, "chart");

	if (!*text_of(source, "repoURL"))
		hub_check_bad(c, source, "repoURL", "must not be empty");
	if (*path && *chart)
		hub_check_error(c, source, "has both a path and a chart; keep one");
	if (!*path && !*chart && !*text_of(source, "ref"))
		hub_check_error(c, source,
				"needs a path (of a Git repository) or a chart (of a "
				"Helm repository)");
	if (path[0] == '/')
		hub_check_bad(c, source, "path", "must be relative to the repository's root");
	if (climbs_out(path))
		hub_check_bad(c, source, "path", "must not leave the repository");
}

static void check_sources(struct hub_check *c, const struct cox_node *spec)
{
	const struct cox_node *sources = COX_GET(spec, "sources");
	const struct cox_node *source = COX_GET(spec, "source");
	size_t mark;

	for (size_t i = 0; i < cox_node_len(sources); i++) {
		size_t at;

		mark = hub_path_push(c, COX_STR("sources"));
		at = hub_path_push_index(c, i);
		check_source(c, cox_node_at(sources, i));
		hub_path_pop(c, at);
		hub_path_pop(c, mark);
	}
	if (cox_node_len(sources) || COX_GET(spec, "sourceHydrator"))
		return;
	if (!cox_node_is(source, COX_MAP)) {
		hub_check_error(c, spec, "needs a source or sources");
		return;
	}
	mark = hub_path_push(c, COX_STR("source"));
	check_source(c, source);
	hub_path_pop(c, mark);
}

static void check_destination(struct hub_check *c, const struct cox_node *spec)
{
	const struct cox_node *d = COX_GET(spec, "destination");
	size_t mark = hub_path_push(c, COX_STR("destination"));

	if (cox_node_is(d, COX_MAP)) {
		bool server = *text_of(d, "server"), name = *text_of(d, "name");

		if (server && name)
			hub_check_error(c, d, "has both a server and a name; keep one");
		if (!server && !name)
			hub_check_error(c, d, "needs the server or the name of a cluster");
	}
	hub_path_pop(c, mark);
}

static void check_sync_option(struct hub_check *c, const struct cox_node *option)
{
	struct cox_str rest = cox_node_str(option), name;
	struct cox_suggestion near = {0};

	if (!cox_str_split(&rest, '=', &name))
		return;
	for (size_t i = 0; i < COX_ARRAY_LEN(sync_options); i++) {
		if (cox_str_is(name, sync_options[i])) {
			if (!rest.ptr)
				hub_check_warning(c, option, "'%.*s' has no effect without '=...'",
						  COX_STR_ARG(name));
			return;
		}
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(sync_options); i++)
		cox_suggest(&near, name, sync_options[i]);
	hub_check_warning(c, option, "unknown sync option '%.*s'%s%s%s", COX_STR_ARG(name),
			  near.best ? ", did you mean '" : "", near.best ? near.best : "",
			  near.best ? "'?" : "");
}

static void check_sync_options(struct hub_check *c, const struct cox_node *spec)
{
	const struct cox_node *list = COX_GET(spec, "syncPolicy", "syncOptions");
	size_t mark = hub_path_push(c, COX_STR("syncPolicy.syncOptions"));

	for (size_t i = 0; i < cox_node_len(list); i++) {
		size_t at = hub_path_push_index(c, i);

		if (!strstr(cox_node_cstr(cox_node_at(list, i), ""), "{{"))
			check_sync_option(c, cox_node_at(list, i));
		hub_path_pop(c, at);
	}
	hub_path_pop(c, mark);
}

static void check_application(struct hub_check *c, const struct cox_node *root)
{
	const struct cox_node *spec = COX_GET(root, "spec");
	size_t mark = hub_path_push(c, COX_STR("spec"));

	if (cox_node_is(spec, COX_MAP)) {
		check_sources(c, spec);
		check_destination(c, spec);
		check_sync_options(c, spec);
		if (cox_node_int(COX_GET(spec, "revisionHistoryLimit"), 0) < 0)
			hub_check_bad(c, spec, "revisionHistoryLimit", "must not be negative");
	}
	hub_path_pop(c, mark);
}

/* ---- ApplicationSet ---- */

static const char *const generator_names[] = {
	"list",	       "clusters", "git",
	"matrix",      "merge",	   "scmProvider",
	"pullRequest", "plugin",   "clusterDecisionResource",
};

static void check_generators(struct hub_check *c, const struct cox_node *list)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *g = cox_node_at(list, i);
		size_t mark = hub_path_push_index(c, i);
		size_t n = 0;

		for (size_t k = 0; k < COX_ARRAY_LEN(generator_names); k++)
			n += cox_node_kind(cox_node_get(g, generator_names[k])) > COX_NULL;
		if (cox_node_is(g, COX_MAP) && n != 1)
			hub_check_error(c, g,
					n ? "has more than one generator; put each in an item "
					    "of its own"
					  : "has no generator (list, clusters, git, …)");
		hub_path_pop(c, mark);
	}
}

static void check_count(struct hub_check *c, const struct cox_node *map, const char *key)
{
	const struct cox_node *node = cox_node_get(map, key);
	struct hub_count count;

	if ((cox_node_is(node, COX_STRING) || cox_node_is(node, COX_INT)) &&
	    hub_count_parse(c->doc, node, &count, NULL) < 0)
		hub_check_bad(c, map, key, "expected a number or a percentage, not negative");
}

static void check_step_operators(struct hub_check *c, const struct cox_node *expressions)
{
	size_t mark = hub_path_push(c, COX_STR("matchExpressions"));

	for (size_t i = 0; i < cox_node_len(expressions); i++) {
		const struct cox_node *e = cox_node_at(expressions, i);
		const char *op = text_of(e, "operator");
		size_t at = hub_path_push_index(c, i);

		if (strcmp(op, "Exists") == 0 || strcmp(op, "DoesNotExist") == 0)
			hub_check_bad(c, e, "operator", "steps take In and NotIn only");
		hub_path_pop(c, at);
	}
	hub_path_pop(c, mark);
}

static void check_steps(struct hub_check *c, const struct cox_node *spec)
{
	const struct cox_node *strategy = COX_GET(spec, "strategy");
	const struct cox_node *steps = COX_GET(strategy, "rollingSync", "steps");
	size_t mark = hub_path_push(c, COX_STR("strategy.rollingSync.steps"));

	if (strcmp(text_of(strategy, "type"), "RollingSync") == 0 && cox_node_len(steps) == 0)
		hub_check_error(c, strategy, "RollingSync needs at least one step");
	for (size_t i = 0; i < cox_node_len(steps); i++) {
		const struct cox_node *step = cox_node_at(steps, i);
		size_t at = hub_path_push_index(c, i);

		check_count(c, step, "maxUpdate");
		check_step_operators(c, COX_GET(step, "matchExpressions"));
		hub_path_pop(c, at);
	}
	hub_path_pop(c, mark);
}

static void check_deletion_order(struct hub_check *c, const struct cox_node *spec)
{
	const struct cox_node *strategy = COX_GET(spec, "strategy");
	const char *text = text_of(strategy, "deletionOrder");
	size_t mark = hub_path_push(c, COX_STR("strategy"));

	if (*text && strcasecmp(text, "AllAtOnce") != 0 && strcasecmp(text, "Reverse") != 0)
		hub_check_bad(c, strategy, "deletionOrder", "'%s' is not one of AllAtOnce, Reverse",
			      text);
	hub_path_pop(c, mark);
}

static void check_appset(struct hub_check *c, const struct cox_node *root)
{
	const struct cox_node *spec = COX_GET(root, "spec");
	size_t mark = hub_path_push(c, COX_STR("spec"));

	if (cox_node_is(spec, COX_MAP)) {
		size_t at = hub_path_push(c, COX_STR("generators"));

		check_generators(c, COX_GET(spec, "generators"));
		hub_path_pop(c, at);
		check_steps(c, spec);
		check_deletion_order(c, spec);
		at = hub_path_push(c, COX_STR("template.spec"));
		check_sync_options(c, COX_GET(spec, "template", "spec"));
		hub_path_pop(c, at);
	}
	hub_path_pop(c, mark);
}

/* ---- RolloutPolicy ---- */

static void check_gates(struct hub_check *c, const struct cox_node *wave, const char *key)
{
	const struct cox_node *gates = cox_node_get(wave, key);
	size_t mark = hub_path_push(c, cox_str(key)), n_approvals = 0;

	for (size_t i = 0; i < cox_node_len(gates); i++) {
		const struct cox_node *g = cox_node_at(gates, i);
		size_t at = hub_path_push_index(c, i);

		hub_check_gate(c, g, strcmp(key, "before") == 0);
		if (cox_node_find(g, COX_STR("approval")) >= 0 && n_approvals++ > 0)
			hub_check_error(c, g, "is a second approval: `count` asks for more people");
		hub_path_pop(c, at);
	}
	hub_path_pop(c, mark);
}

static void check_wave_clusters(struct hub_check *c, const struct cox_node *wave)
{
	const struct cox_node *clusters = COX_GET(wave, "clusters");

	if (COX_GET(clusters, "names") &&
	    (COX_GET(clusters, "matchLabels") || COX_GET(clusters, "matchExpressions")))
		hub_check_bad(c, wave, "clusters",
			      "names and labels together are not clear: give one of them");
	if (cox_node_is(COX_GET(clusters, "names"), COX_LIST) &&
	    cox_node_len(COX_GET(clusters, "names")) == 0)
		hub_check_bad(
			c, wave, "clusters",
			"names are an empty list, which means no cluster: leave the field out for "
			"all that are in no wave before");
}

static bool wave_name_taken(const struct cox_node *waves, size_t i)
{
	const char *name = text_of(cox_node_at(waves, i), "name");

	for (size_t k = 0; k < i; k++)
		if (*name && strcmp(text_of(cox_node_at(waves, k), "name"), name) == 0)
			return true;
	return false;
}

static void check_policy(struct hub_check *c, const struct cox_node *root)
{
	const struct cox_node *waves = COX_GET(root, "spec", "waves");
	size_t mark = hub_path_push(c, COX_STR("spec"));

	hub_check_at_least(c, COX_GET(root, "spec"), "startsPerMinute", 0);
	hub_path_pop(c, mark);
	mark = hub_path_push(c, COX_STR("spec.waves"));

	for (size_t i = 0; i < cox_node_len(waves); i++) {
		const struct cox_node *wave = cox_node_at(waves, i);
		size_t at = hub_path_push_index(c, i);

		if (wave_name_taken(waves, i))
			hub_check_bad(c, wave, "name", "another wave is called '%s'",
				      text_of(wave, "name"));
		check_wave_clusters(c, wave);
		check_count(c, wave, "maxConcurrent");
		check_count(c, wave, "maxFailures");
		check_gates(c, wave, "before");
		check_gates(c, wave, "after");
		hub_path_pop(c, at);
	}
	hub_path_pop(c, mark);
}

/* ---- Secret ---- */

/* What `cox get secrets -o yaml` printed, applied again, would take the values' place. */
static void check_no_masks(struct hub_check *c, const struct cox_node *root, const char *field)
{
	const struct cox_node *values = cox_node_get(root, field);
	size_t mark = hub_path_push(c, cox_str(field));

	for (size_t i = 0; i < cox_node_len(values); i++) {
		const struct cox_node *value = cox_node_at(values, i);
		size_t at = hub_path_push(c, cox_node_key(values, i));

		if (cox_str_is(cox_node_text(value), HUB_SECRET_MASK))
			hub_check_error(c, value,
					"is the mask that is shown in the place of a value, not a "
					"value: apply the file that holds the secret itself");
		hub_path_pop(c, at);
	}
	hub_path_pop(c, mark);
}

static void check_gate_keys(struct hub_check *c, const struct cox_node *root, const char *field)
{
	static const char *const keys[] = {"hosts",    "bearerToken", "username",
					   "password", "headers",     "ca.crt"};
	const struct cox_node *values = cox_node_get(root, field);
	size_t mark = hub_path_push(c, cox_str(field));

	for (size_t i = 0; i < cox_node_len(values); i++) {
		struct cox_str key = cox_node_key(values, i);
		struct cox_suggestion near = {0};
		bool known = false;

		for (size_t k = 0; k < COX_ARRAY_LEN(keys); k++) {
			known |= cox_str_is(key, keys[k]);
			cox_suggest(&near, key, keys[k]);
		}
		if (!known)
			hub_check_warning(c, cox_node_at(values, i), "unknown key '%.*s'%s%s%s",
					  COX_STR_ARG(key), near.best ? ", did you mean '" : "",
					  near.best ? near.best : "", near.best ? "'?" : "");
	}
	hub_path_pop(c, mark);
}

static void check_gate_secret(struct hub_check *c, const struct cox_node *root)
{
	_cleanup_gate_secret_ struct hub_gate_secret secret = {0};
	struct cox_error err;

	if (hub_object_label(root, HUB_SECRET_TYPE_LABEL))
		hub_check_error(c, root,
				"is of two types, by " HUB_SECRET_TYPE_LABEL
				" and " HUB_OUR_SECRET_TYPE_LABEL "; keep one");
	if (hub_gate_secret_read(&secret, root, &err) < 0)
		hub_check_error(c, root, "%s", err.message);
	check_gate_keys(c, root, "data");
	check_gate_keys(c, root, "stringData");
}

static void check_secret(struct hub_check *c, const struct cox_node *root)
{
	const struct cox_node *data = COX_GET(root, "data");
	size_t mark = hub_path_push(c, COX_STR("data"));

	for (size_t i = 0; i < cox_node_len(data); i++) {
		_cleanup_buf_ struct cox_buf bytes = COX_BUF_INIT;
		size_t at = hub_path_push(c, cox_node_key(data, i));

		if (cox_node_is(cox_node_at(data, i), COX_STRING) &&
		    cox_base64_decode(&bytes, cox_node_str(cox_node_at(data, i)), NULL) < 0)
			hub_check_error(c, cox_node_at(data, i),
					"is not base64; plain text belongs "
					"in stringData");
		if (bytes.ptr)
			explicit_bzero(bytes.ptr, bytes.len);
		hub_path_pop(c, at);
	}
	hub_path_pop(c, mark);
	if (hub_is_gate_secret(root))
		check_gate_secret(c, root);
	else if (!COX_GET(data, "url") && !COX_GET(root, "stringData", "url"))
		hub_check_error(c, root, "needs a url in data or stringData");
	check_no_masks(c, root, "data");
	check_no_masks(c, root, "stringData");
}

/* ---- AppProject ---- */

static void check_project(struct hub_check *c, const struct cox_node *root)
{
	const struct cox_node *spec = COX_GET(root, "spec"),
			      *windows = COX_GET(spec, "syncWindows");
	size_t in_spec = hub_path_push(c, COX_STR("spec"));
	size_t in_list = hub_path_push(c, COX_STR("syncWindows"));
	struct cox_error err;

	if (cox_node_len(windows) > COX_LIMIT_SYNC_WINDOWS)
		hub_check_error(c, windows, "at most %d sync windows", COX_LIMIT_SYNC_WINDOWS);
	for (size_t i = 0; cox_node_is(windows, COX_LIST) && i < cox_node_len(windows); i++) {
		const struct cox_node *w = cox_node_at(windows, i);
		size_t at = hub_path_push_index(c, i);
		struct cox_cron cron;

		if (cox_node_is(w, COX_MAP) &&
		    cox_cron_parse(cox_str(text_of(w, "schedule")), &cron, &err) < 0)
			hub_check_error(c, w, "%s", err.message);
		hub_path_pop(c, at);
	}
	hub_path_pop(c, in_list);
	hub_path_pop(c, in_spec);
}

/* ---- all kinds ---- */

static void check_name(struct hub_check *c, enum hub_kind kind, const struct cox_node *root)
{
	const struct cox_node *metadata = COX_GET(root, "metadata"), *name;

	if (!cox_node_is(metadata, COX_MAP))
		return;
	name = COX_GET(metadata, "name");
	if (!*text_of(metadata, "name"))
		hub_check_error(c, name ? name : metadata, "metadata.name: is required");
	else if (cox_node_str(name).len > 253)
		hub_check_error(c, name, "metadata.name: is longer than 253 characters");
	else if (!hub_is_dns_subdomain(text_of(metadata, "name")))
		hub_check_error(c, name,
				"metadata.name: '%s' is not a name: lower-case letters, digits, "
				"'-' and '.', a letter or digit at both "
				"ends",
				text_of(metadata, "name"));
	if (*text_of(metadata, "namespace") && !hub_is_dns_label(text_of(metadata, "namespace")))
		hub_check_error(c, COX_GET(metadata, "namespace"),
				"metadata.namespace: '%s' is not a namespace's name",
				text_of(metadata, "namespace"));
	if (*text_of(metadata, "namespace") && !hub_kind_info(kind)->namespaced)
		hub_check_warning(c, COX_GET(metadata, "namespace"),
				  "metadata.namespace: a %s belongs to no namespace",
				  hub_kind_info(kind)->name);
}

void hub_check_rules(struct hub_check *c, enum hub_kind kind, const struct cox_node *root)
{
	static void (*const rules[HUB_N_KINDS])(struct hub_check *, const struct cox_node *) = {
		[HUB_APPLICATION] = check_application, [HUB_APPLICATION_SET] = check_appset,
		[HUB_APP_PROJECT] = check_project,     [HUB_ROLLOUT_POLICY] = check_policy,
		[HUB_SECRET] = check_secret,	       [HUB_CONFIG_MAP] = hub_check_settings,
	};

	check_name(c, kind, root);
	if (rules[kind])
		rules[kind](c, root);
}
