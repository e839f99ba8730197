/* cox appset …, cox cluster … */
#include "common/base/encode.h"
#include "common/base/file.h"
#include "hub/cli/cli.h"
#include "hub/cli/client.h"
#include "hub/cli/columns.h"

#include <stdio.h>

static int get_kind(const char *kind, const struct cli_flags *flags, const cox_strings *args,
		    struct cox_error *err)
{
	COX_CLEANUP(cox_strings_fini) cox_strings words = {0};

	cox_vec_push(&words, cox_strdup(kind));
	for (size_t i = 0; i < args->n; i++)
		cox_vec_push(&words, cox_strdup(args->items[i]));
	return cli_get(flags, &words, err);
}

/* ---- ApplicationSets ---- */

CLI_RUN(cli_appset_list)
{
	return get_kind("applicationsets", flags, args, err);
}

static void print_generated(const struct cox_node *status)
{
	_cleanup_table_ struct cli_table t = {0};
	const struct cox_node *list = COX_GET(status, "resources");

	if (cox_node_len(list) == 0)
		return;
	cli_table_header(&t, "APPLICATION", "SYNC", "HEALTH", NULL);
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *r = cox_node_at(list, i);

		cli_cell(&t, cox_node_cstr(COX_GET(r, "name"), ""));
		cli_cell(&t, cox_node_cstr(COX_GET(r, "status"), ""));
		cli_cell(&t, cox_node_cstr(COX_GET(r, "health", "status"), ""));
	}
	printf("\n");
	cli_table_print(&t);
}

static void print_conditions(const struct cox_node *status)
{
	const struct cox_node *list = COX_GET(status, "conditions");

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *c = cox_node_at(list, i);

		printf("%-20s %-6s %s\n", cox_node_cstr(COX_GET(c, "type"), ""),
		       cox_node_cstr(COX_GET(c, "status"), ""),
		       cox_node_cstr(COX_GET(c, "message"), ""));
	}
}

CLI_RUN(cli_appset_get)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	_cleanup_free_ char *path =
		cli_object_path("applicationsets", true, flags->namespace, args->items[0], "");
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = CLI_GET(hub, path, &answer, err);
	if (r == 0)
		r = cli_print_objects(HUB_APPLICATION_SET, format, cox_doc_root(answer), err);
	if (r != 0 || (format != CLI_TABLE && format != CLI_WIDE))
		return r;
	if (cox_node_len(COX_GET(cox_doc_root(answer), "status", "conditions")))
		printf("\n");
	print_conditions(COX_GET(cox_doc_root(answer), "status"));
	print_generated(COX_GET(cox_doc_root(answer), "status"));
	return 0;
}

CLI_RUN(cli_appset_refresh)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	int r = cli_hub_open(flags, &hub, err);

	for (size_t i = 0; r == 0 && i < args->n; i++) {
		_cleanup_free_ char *path = cli_object_path(
			"applicationsets", true, flags->namespace, args->items[i], "/refresh");

		r = cli_hub_call(hub, "POST", path, NULL, NULL, err);
		if (r == 0)
			printf("%s: refreshing\n", args->items[i]);
	}
	return r;
}

CLI_RUN(cli_appset_confirm)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("request");
	_cleanup_free_ char *path = cli_object_path("applicationsets", true, flags->namespace,
						    args->items[0], "/confirm-deletion");
	struct cox_node *body = cox_doc_map(doc);
	int r;

	if (!flags->digest)
		return cli_usage(err, "--digest must say what may be deleted: see the condition "
				      "DeletionHeld of `cox appset get`");
	cox_map_put_cstr(doc, body, "digest", flags->digest);
	r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = cli_hub_call(hub, "POST", path, body, NULL, err);
	if (r == 0)
		printf("%s: deletion confirmed\n", args->items[0]);
	return r;
}

/* ---- clusters ---- */

CLI_RUN(cli_cluster_list)
{
	return get_kind("clusters", flags, args, err);
}

CLI_RUN(cli_cluster_get)
{
	return get_kind("clusters", flags, args, err);
}

/* The token is what lets an agent in: into a file of the caller's, or onto the screen with the
 * command that uses it. */
static int print_join(const struct cli_flags *flags, const struct cox_node *a,
		      struct cox_error *err)
{
	const char *cluster = cox_node_cstr(COX_GET(a, "cluster"), "");
	const char *token = cox_node_cstr(COX_GET(a, "token"), "");
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r != 0)
		return r;
	if (flags->token_out) {
		r = cox_file_write(flags->token_out, cox_str(token), 0600, err);
		if (r < 0)
			return r;
	}
	if (format == CLI_JSON || format == CLI_YAML) {
		cli_print_node(format, a);
		return 0;
	}
	if (format == CLI_NAME) {
		printf("cluster.%s/%s\n", HUB_GROUP_OURS, cluster);
		return 0;
	}
	printf("cluster '%s' may join until %s, once, with\n\n", cluster,
	       cox_node_cstr(COX_GET(a, "expires"), "?"));
	printf("  cox-agent --cluster %s --hub %s \\\n    --ca-pin %s \\\n    --state DIR "
	       "--token-file %s\n",
	       cluster, cox_node_cstr(COX_GET(a, "hub"), "HOST:PORT"),
	       cox_node_cstr(COX_GET(a, "caPin"), ""),
	       flags->token_out ? flags->token_out : "FILE");
	if (!flags->token_out)
		printf("\nwhere FILE holds this token:\n\n  %s\n", token);
	return 0;
}

static int put_labels(struct cox_doc *doc, struct cox_node *map, const cox_strings *labels,
		      struct cox_error *err)
{
	for (size_t i = 0; i < labels->n; i++) {
		struct cox_str rest = cox_str(labels->items[i]), key;

		if (!cox_str_split(&rest, '=', &key) || !rest.ptr || !key.len)
			return cli_usage(err, "--label takes KEY=VALUE, not '%s'",
					 labels->items[i]);
		cox_map_put_str(doc, map, key, cox_doc_string(doc, rest));
	}
	return 0;
}

CLI_RUN(cli_cluster_add)
{
	_cleanup_doc_ struct cox_doc *request = cox_doc_new("request"), *answer = NULL;
	struct cox_node *root = cox_doc_map(request), *labels = cox_doc_map(request);
	_cleanup_hub_ struct cli_hub *hub = NULL;
	int r = put_labels(request, labels, &flags->labels, err);

	if (r != 0)
		return r;
	cox_map_put_cstr(request, root, "name", args->items[0]);
	cox_map_put_cstr(request, root, "server", flags->server);
	if (flags->labels.n)
		cox_map_put(request, root, "labels", labels);
	cox_doc_set_root(request, root);
	r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = cli_hub_call(hub, "POST", "/api/v1/clusters", root, &answer, err);
	return r < 0 ? r : print_join(flags, cox_doc_root(answer), err);
}

CLI_RUN(cli_cluster_token)
{
	_cleanup_doc_ struct cox_doc *answer = NULL;
	_cleanup_buf_ struct cox_buf tail = COX_BUF_INIT;
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_free_ char *path = NULL;
	int r;

	cox_buf_puts(&tail, "/token");
	if (flags->ttl) {
		cox_buf_puts(&tail, "?ttl=");
		cox_url_encode(&tail, cox_str(flags->ttl));
	}
	path = cli_object_path("clusters", false, NULL, args->items[0], cox_buf_cstr(&tail));
	r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = cli_hub_call(hub, "POST", path, NULL, &answer, err);
	return r < 0 ? r : print_join(flags, cox_doc_root(answer), err);
}
