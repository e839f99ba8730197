/* cox token …: named tokens, each of which is a person or a pipeline. cox whoami. */
#include "common/base/clock.h"
#include "common/base/file.h"
#include "hub/cli/cli.h"
#include "hub/cli/client.h"
#include "hub/cli/output.h"

#include <stdio.h>

static const char *text_at(const struct cox_node *node, const char *key)
{
	return cox_node_cstr(cox_node_get(node, key), "");
}

static int revoke_token(struct cli_hub *hub, const char *name, struct cox_error *err)
{
	_cleanup_free_ char *path = cli_object_path("tokens", false, NULL, name, "");

	return cli_hub_call(hub, "DELETE", path, NULL, NULL, err);
}

/* ---- create ---- */

/* The answer without what only the file may hold. */
static void print_without_token(enum cli_format format, struct cox_doc *answer)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_edit(answer);

	cox_map_drop(doc, cox_doc_root_edit(doc), COX_STR("token"));
	cli_print_node(format, cox_doc_root(doc));
}

/* Into the file that was asked for and nowhere else; else alone on standard output, for $(…). */
static int hand_over(struct cli_hub *hub, const struct cli_flags *flags, enum cli_format format,
		     struct cox_doc *answer, struct cox_error *err)
{
	const struct cox_node *a = cox_doc_root(answer);
	const char *name = text_at(a, "name"), *path = flags->output_file;
	bool structured = format == CLI_JSON || format == CLI_YAML;
	_cleanup_free_ char *line = cox_asprintf("%s\n", text_at(a, "token"));
	int r = path ? cox_file_write(path, cox_str(line), 0600, err) : 0;

	if (path)
		explicit_bzero(line, strlen(line));
	if (r < 0) { /* a token that nobody has seen is of no use */
		(void)revoke_token(hub, name, NULL);
		return cox_error_wrap(err, "the token is revoked again");
	}
	if (structured && path)
		print_without_token(format, answer);
	else if (structured)
		cli_print_node(format, a);
	else if (path)
		printf("token '%s' is in '%s', and good until %s\n", name, path,
		       text_at(a, "expires"));
	else
		printf("%s", line);
	if (!structured && !path)
		fprintf(stderr, "token '%s' is good until %s, and is not shown again\n", name,
			text_at(a, "expires"));
	return 0;
}

CLI_RUN(cli_token_create)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *request = cox_doc_new("request"), *answer = NULL;
	struct cox_node *body = cox_doc_map(request);
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r != 0)
		return r;
	cox_map_put_cstr(request, body, "name", args->items[0]);
	cox_map_put_cstr(request, body, "ttl", flags->ttl);
	r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = cli_hub_call(hub, "POST", "/api/v1/tokens", body, &answer, err);
	return r < 0 ? r : hand_over(hub, flags, format, answer, err);
}

/* ---- list, revoke ---- */

static void print_tokens(const struct cox_node *items)
{
	_cleanup_table_ struct cli_table t = {0};

	if (cox_node_len(items) == 0) {
		fprintf(stderr, "no tokens but the admin's\n");
		return;
	}
	cli_table_header(&t, "NAME", "AGE", "EXPIRES", NULL);
	for (size_t i = 0; i < cox_node_len(items); i++) {
		const struct cox_node *one = cox_node_at(items, i);
		char age[COX_TIME_TEXT_MAX];

		cli_age(cox_node_get(one, "created"), age);
		cli_cell(&t, text_at(one, "name"));
		cli_cell(&t, age);
		cli_cellf(&t, "%s%s", text_at(one, "expires"),
			  cox_node_bool(cox_node_get(one, "expired"), false) ? " (expired)" : "");
	}
	cli_table_print(&t);
}

CLI_RUN(cli_token_list)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	const struct cox_node *items;
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	(void)args;
	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = CLI_GET(hub, "/api/v1/tokens", &answer, err);
	if (r != 0)
		return r;
	items = cox_node_get(cox_doc_root(answer), "items");
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, cox_doc_root(answer));
	else if (format == CLI_NAME)
		for (size_t i = 0; i < cox_node_len(items); i++)
			printf("%s\n", text_at(cox_node_at(items, i), "name"));
	else
		print_tokens(items);
	return 0;
}

CLI_RUN(cli_token_revoke)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	int r = cli_hub_open(flags, &hub, err);

	for (size_t i = 0; r == 0 && i < args->n; i++) {
		r = revoke_token(hub, args->items[i], err);
		if (r == 0)
			printf("%s: revoked\n", args->items[i]);
	}
	return r;
}

/* ---- whoami ---- */

CLI_RUN(cli_whoami)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	(void)args;
	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = CLI_GET(hub, "/api/v1/whoami", &answer, err);
	if (r != 0)
		return r;
	if (format == CLI_JSON || format == CLI_YAML) {
		cli_print_node(format, cox_doc_root(answer));
		return 0;
	}
	printf("%s", text_at(cox_doc_root(answer), "name"));
	if (*text_at(cox_doc_root(answer), "expires"))
		printf(", until %s", text_at(cox_doc_root(answer), "expires"));
	printf("\n");
	return 0;
}
