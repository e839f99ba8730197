#include "hub/cli/columns.h"

#include "common/base/clock.h"
#include "hub/model/gate_secret.h"

#include <stdio.h>

typedef void cell_fn(const struct cox_node *object, struct cox_buf *out);

struct column {
	const char *header;
	cell_fn *cell;
	bool wide;
};

static void put(struct cox_buf *out, const struct cox_node *node)
{
	cox_buf_puts_str(out, cox_node_text(node));
}

/* ---- any kind ---- */

static void name_cell(const struct cox_node *o, struct cox_buf *out)
{
	cox_buf_puts(out, hub_object_name(o));
}

static void age_cell(const struct cox_node *o, struct cox_buf *out)
{
	char age[COX_TIME_TEXT_MAX];

	cli_age(COX_GET(o, "metadata", "creationTimestamp"), age);
	cox_buf_puts(out, age);
}

static void labels_cell(const struct cox_node *o, struct cox_buf *out)
{
	const struct cox_node *labels = COX_GET(o, "metadata", "labels");

	for (size_t i = 0; i < cox_node_len(labels); i++) {
		cox_buf_printf(out, "%s%.*s=", i ? "," : "", COX_STR_ARG(cox_node_key(labels, i)));
		put(out, cox_node_at(labels, i));
	}
}

void cli_condition_text(struct cox_buf *out, const struct cox_node *object)
{
	const struct cox_node *list = COX_GET(object, "status", "conditions");

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *c = cox_node_at(list, i);
		const char *state = cox_node_cstr(COX_GET(c, "status"), "True");

		/* conditions of ApplicationSets say with True or False whether they hold */
		if (strcmp(state, "True") != 0)
			continue;
		put(out, COX_GET(c, "type"));
		if (cox_node_str(COX_GET(c, "message")).len)
			cox_buf_puts(out, ": ");
		put(out, COX_GET(c, "message"));
		return;
	}
}

static void condition_cell(const struct cox_node *o, struct cox_buf *out)
{
	cli_condition_text(out, o);
}

/* ---- Application ---- */

/* The cluster that the hub found; where it found none, what the user wrote. */
const char *cli_destination(const struct cox_node *application)
{
	const struct cox_node *d = COX_GET(application, "spec", "destination");
	const char *cluster = cox_node_cstr(COX_GET(application, "status", "cluster"), "");
	const char *name = cox_node_cstr(COX_GET(d, "name"), "");

	if (*cluster)
		return cluster;
	return *name ? name : cox_node_cstr(COX_GET(d, "server"), "");
}

static const struct cox_node *source_of(const struct cox_node *app)
{
	const struct cox_node *list = COX_GET(app, "spec", "sources");

	return cox_node_len(list) ? cox_node_at(list, 0) : COX_GET(app, "spec", "source");
}

static void project_cell(const struct cox_node *o, struct cox_buf *out)
{
	const char *project = cox_node_cstr(COX_GET(o, "spec", "project"), "");

	cox_buf_puts(out, *project ? project : "default");
}

static void cluster_cell(const struct cox_node *o, struct cox_buf *out)
{
	cox_buf_puts(out, cli_destination(o));
}

static void sync_cell(const struct cox_node *o, struct cox_buf *out)
{
	const char *status = cox_node_cstr(COX_GET(o, "status", "sync", "status"), "");

	cox_buf_puts(out, *status ? status : "Unknown");
}

static void health_cell(const struct cox_node *o, struct cox_buf *out)
{
	const char *status = cox_node_cstr(COX_GET(o, "status", "health", "status"), "");

	cox_buf_puts(out, *status ? status : "Unknown");
}

static void revision_cell(const struct cox_node *o, struct cox_buf *out)
{
	const struct cox_node *sync = COX_GET(o, "status", "sync");
	const struct cox_node *list = COX_GET(sync, "revisions");
	char text[16];

	if (!cox_node_len(list))
		cox_buf_puts(out, cli_short_revision(cox_node_cstr(COX_GET(sync, "revision"), ""),
						     text));
	for (size_t i = 0; i < cox_node_len(list); i++)
		cox_buf_printf(out, "%s%s", i ? "," : "",
			       cli_short_revision(cox_node_cstr(cox_node_at(list, i), ""), text));
}

void cli_policy_text(struct cox_buf *out, const struct cox_node *application)
{
	const struct cox_node *automated = COX_GET(application, "spec", "syncPolicy", "automated");

	if (!cox_node_is(automated, COX_MAP) ||
	    !cox_node_bool(COX_GET(automated, "enabled"), true)) {
		cox_buf_puts(out, "manual");
		return;
	}
	cox_buf_puts(out, "auto");
	if (cox_node_bool(COX_GET(automated, "prune"), false))
		cox_buf_puts(out, ",prune");
	if (cox_node_bool(COX_GET(automated, "selfHeal"), false))
		cox_buf_puts(out, ",self-heal");
}

static void policy_cell(const struct cox_node *o, struct cox_buf *out)
{
	cli_policy_text(out, o);
}

static void destination_namespace_cell(const struct cox_node *o, struct cox_buf *out)
{
	put(out, COX_GET(o, "spec", "destination", "namespace"));
}

static void repo_cell(const struct cox_node *o, struct cox_buf *out)
{
	put(out, COX_GET(source_of(o), "repoURL"));
}

static void path_cell(const struct cox_node *o, struct cox_buf *out)
{
	const struct cox_node *source = source_of(o);
	const struct cox_node *chart = COX_GET(source, "chart");

	put(out, chart ? chart : COX_GET(source, "path"));
}

static const struct column application_columns[] = {
	{"NAME", name_cell, false},
	{"PROJECT", project_cell, true},
	{"CLUSTER", cluster_cell, false},
	{"NAMESPACE", destination_namespace_cell, true},
	{"SYNC", sync_cell, false},
	{"HEALTH", health_cell, false},
	{"REVISION", revision_cell, false},
	{"POLICY", policy_cell, true},
	{"REPOSITORY", repo_cell, true},
	{"PATH", path_cell, true},
	{"AGE", age_cell, false},
	{"CONDITION", condition_cell, false},
	{0},
};

/* ---- ApplicationSet ---- */

static void strategy_cell(const struct cox_node *o, struct cox_buf *out)
{
	const char *policy = hub_object_annotation(o, HUB_POLICY_ANNOTATION);
	const char *type = cox_node_cstr(COX_GET(o, "spec", "strategy", "type"), "");
	const struct cox_node *steps = COX_GET(o, "spec", "strategy", "rollingSync", "steps");

	if (policy)
		cox_buf_printf(out, "policy %s", policy);
	else if (strcmp(type, "RollingSync") == 0)
		cox_buf_printf(out, "RollingSync, %zu steps", cox_node_len(steps));
	else
		cox_buf_puts(out, "AllAtOnce");
}

static void count_cell(const struct cox_node *o, struct cox_buf *out)
{
	const struct cox_node *status = COX_GET(o, "status");
	const struct cox_node *count = COX_GET(status, "resourcesCount");

	if (count)
		put(out, count);
	else if (status)
		cox_buf_printf(out, "%zu", cox_node_len(COX_GET(status, "resources")));
}

static void generators_cell(const struct cox_node *o, struct cox_buf *out)
{
	const struct cox_node *list = COX_GET(o, "spec", "generators");

	for (size_t i = 0; i < cox_node_len(list); i++)
		cox_buf_printf(out, "%s%.*s", i ? "," : "",
			       COX_STR_ARG(cox_node_key(cox_node_at(list, i), 0)));
}

/* An error is what a person looks for; that all is well is not. */
static void set_condition_cell(const struct cox_node *o, struct cox_buf *out)
{
	const struct cox_node *list = COX_GET(o, "status", "conditions");

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *c = cox_node_at(list, i);
		const char *type = cox_node_cstr(COX_GET(c, "type"), "");

		if (strcmp(cox_node_cstr(COX_GET(c, "status"), ""), "True") != 0 ||
		    (strcmp(type, "ErrorOccurred") != 0 &&
		     strcmp(type, "InvalidRolloutConfig") != 0))
			continue;
		cox_buf_printf(out, "%s: ", type);
		put(out, COX_GET(c, "message"));
		return;
	}
}

static const struct column appset_columns[] = {
	{"NAME", name_cell, false},
	{"STRATEGY", strategy_cell, false},
	{"GENERATORS", generators_cell, true},
	{"APPLICATIONS", count_cell, false},
	{"AGE", age_cell, false},
	{"CONDITION", set_condition_cell, false},
	{0},
};

/* ---- the others ---- */

static void description_cell(const struct cox_node *o, struct cox_buf *out)
{
	put(out, COX_GET(o, "spec", "description"));
}

static void sources_cell(const struct cox_node *o, struct cox_buf *out)
{
	cox_buf_printf(out, "%zu", cox_node_len(COX_GET(o, "spec", "sourceRepos")));
}

static void destinations_cell(const struct cox_node *o, struct cox_buf *out)
{
	cox_buf_printf(out, "%zu", cox_node_len(COX_GET(o, "spec", "destinations")));
}

static const struct column project_columns[] = {
	{"NAME", name_cell, false},
	{"SOURCES", sources_cell, false},
	{"DESTINATIONS", destinations_cell, false},
	{"AGE", age_cell, false},
	{"DESCRIPTION", description_cell, false},
	{0},
};

static void server_cell(const struct cox_node *o, struct cox_buf *out)
{
	put(out, COX_GET(o, "spec", "server"));
}

static void connected_cell(const struct cox_node *o, struct cox_buf *out)
{
	cox_buf_puts(out, cox_node_bool(COX_GET(o, "status", "connected"), false) ? "yes" : "no");
}

static void since_cell(const struct cox_node *o, struct cox_buf *out)
{
	bool connected = cox_node_bool(COX_GET(o, "status", "connected"), false);
	char age[COX_TIME_TEXT_MAX];

	cli_age(COX_GET(o, "status", connected ? "since" : "lastSeen"), age);
	if (*age)
		cox_buf_puts(out, age);
	else if (!cox_node_bool(COX_GET(o, "status", "enrolled"), false))
		cox_buf_puts(out, "never joined");
}

static void kubernetes_cell(const struct cox_node *o, struct cox_buf *out)
{
	put(out, COX_GET(o, "status", "kubernetesVersion"));
}

static void agent_cell(const struct cox_node *o, struct cox_buf *out)
{
	put(out, COX_GET(o, "status", "agentVersion"));
}

static void api_error_cell(const struct cox_node *o, struct cox_buf *out)
{
	put(out, COX_GET(o, "status", "apiError"));
}

static const struct column cluster_columns[] = {
	{"NAME", name_cell, false},
	{"SERVER", server_cell, false},
	{"CONNECTED", connected_cell, false},
	{"SINCE", since_cell, false},
	{"KUBERNETES", kubernetes_cell, false},
	{"AGENT", agent_cell, true},
	{"LABELS", labels_cell, false},
	{"AGE", age_cell, true},
	{"PROBLEM", api_error_cell, false},
	{0},
};

static void waves_cell(const struct cox_node *o, struct cox_buf *out)
{
	const struct cox_node *waves = COX_GET(o, "spec", "waves");

	for (size_t i = 0; i < cox_node_len(waves); i++) {
		cox_buf_puts(out, i ? " > " : "");
		put(out, COX_GET(cox_node_at(waves, i), "name"));
	}
}

static void failure_cell(const struct cox_node *o, struct cox_buf *out)
{
	const char *text = cox_node_cstr(COX_GET(o, "spec", "onFailure"), "");

	cox_buf_puts(out, *text ? text : "pause");
}

static const struct column policy_columns[] = {
	{"NAME", name_cell, false},
	{"WAVES", waves_cell, false},
	{"ON-FAILURE", failure_cell, false},
	{"AGE", age_cell, false},
	{0},
};

static void secret_type_cell(const struct cox_node *o, struct cox_buf *out)
{
	const char *type = hub_object_label(o, hub_is_gate_secret(o) ? HUB_OUR_SECRET_TYPE_LABEL
								     : HUB_SECRET_TYPE_LABEL);

	cox_buf_puts(out, type ? type : "");
}

static void keys_cell(const struct cox_node *o, struct cox_buf *out)
{
	const struct cox_node *data = COX_GET(o, "data");

	if (!data)
		data = COX_GET(o, "stringData");
	for (size_t i = 0; i < cox_node_len(data); i++)
		cox_buf_printf(out, "%s%.*s", i ? "," : "", COX_STR_ARG(cox_node_key(data, i)));
}

static const struct column secret_columns[] = {
	{"NAME", name_cell, false},
	{"TYPE", secret_type_cell, false},
	{"KEYS", keys_cell, false},
	{"AGE", age_cell, false},
	{0},
};

static const struct column config_map_columns[] = {
	{"NAME", name_cell, false},
	{"KEYS", keys_cell, false},
	{"AGE", age_cell, false},
	{0},
};

static const struct column *const columns[HUB_N_KINDS] = {
	[HUB_APPLICATION] = application_columns, [HUB_APPLICATION_SET] = appset_columns,
	[HUB_APP_PROJECT] = project_columns,	 [HUB_CLUSTER] = cluster_columns,
	[HUB_ROLLOUT_POLICY] = policy_columns,	 [HUB_SECRET] = secret_columns,
	[HUB_CONFIG_MAP] = config_map_columns,
};

/* ---- printing ---- */

/* A column that is empty in every row tells nothing: the last one, of problems, is left out then. */
static bool is_shown(const struct column *c, enum cli_format format, const struct cox_node *items)
{
	if (c->wide && format != CLI_WIDE)
		return false;
	if (strcmp(c->header, "CONDITION") != 0 && strcmp(c->header, "PROBLEM") != 0)
		return true;
	for (size_t i = 0; i < cox_node_len(items); i++) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

		c->cell(cox_node_at(items, i), &text);
		if (text.len)
			return true;
	}
	return false;
}

static bool has_several_namespaces(const struct cox_node *items)
{
	for (size_t i = 1; i < cox_node_len(items); i++)
		if (strcmp(hub_object_namespace(cox_node_at(items, 0)),
			   hub_object_namespace(cox_node_at(items, i))) != 0)
			return true;
	return false;
}

static void print_table(enum hub_kind kind, enum cli_format format, const struct cox_node *items)
{
	_cleanup_table_ struct cli_table table = {0};
	const struct column *shown[16];
	bool namespaces = has_several_namespaces(items);
	size_t n = 0;

	for (const struct column *c = columns[kind]; c->header; c++)
		if (is_shown(c, format, items))
			shown[n++] = c;
	if (namespaces)
		cli_table_header(&table, "IN", NULL);
	for (size_t k = 0; k < n; k++)
		cli_table_header(&table, shown[k]->header, NULL);
	for (size_t i = 0; i < cox_node_len(items); i++) {
		if (namespaces)
			cli_cell(&table, hub_object_namespace(cox_node_at(items, i)));
		for (size_t k = 0; k < n; k++) {
			_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

			shown[k]->cell(cox_node_at(items, i), &text);
			cli_cell(&table, cox_buf_cstr(&text));
		}
	}
	cli_table_print(&table);
}

static void print_name(enum hub_kind kind, const struct cox_node *object)
{
	const struct hub_kind_info *info = hub_kind_info(kind);

	printf("%s%s%s/%s\n", info->singular, *info->group ? "." : "", info->group,
	       hub_object_name(object));
}

int cli_print_objects(enum hub_kind kind, enum cli_format format, const struct cox_node *answer,
		      struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *items = COX_GET(answer, "items");

	(void)err;
	if (format == CLI_JSON || format == CLI_YAML) {
		cli_print_node(format, answer);
		return 0;
	}
	if (!cox_node_is(items, COX_LIST)) {
		struct cox_node *list;

		doc = cox_doc_new(NULL);
		list = cox_doc_list(doc);
		cox_list_push(doc, list, answer);
		items = list;
	}
	if (format == CLI_NAME) {
		for (size_t i = 0; i < cox_node_len(items); i++)
			print_name(kind, cox_node_at(items, i));
		return 0;
	}
	if (cox_node_len(items) == 0)
		fprintf(stderr, "no %s\n", hub_kind_info(kind)->plural);
	else
		print_table(kind, format, items);
	return 0;
}
