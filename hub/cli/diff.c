/* cox app diff: how an Application's objects differ from what Git wants, or from another revision, or from
 * somebody's own files. */
#include "common/doc/yaml.h"
#include "hub/cli/app.h"
#include "hub/cli/output.h"

#include <stdio.h>

static const char *text(const struct cox_node *map, const char *key)
{
	return cox_node_cstr(cox_node_get(map, key), "");
}

static const char *colour(const char *code)
{
	return cli_has_colour() ? code : "";
}

void cli_print_value(char sign, const char *indent, const struct cox_node *value)
{
	_cleanup_buf_ struct cox_buf yaml = COX_BUF_INIT;
	struct cox_str rest, line;

	if (!value)
		return;
	cox_yaml_write(&yaml, value);
	rest = cox_str_trim(cox_buf_str(&yaml));
	while (cox_str_split(&rest, '\n', &line))
		printf("%s%c %s%.*s%s\n", colour(sign == '+' ? "\033[32m" : "\033[31m"), sign,
		       indent, COX_STR_ARG(line), colour("\033[0m"));
}

void cli_print_difference(const struct cox_node *o)
{
	const char *group = text(o, "group"), *namespace = text(o, "namespace");
	const char *state = text(o, "state");
	const struct cox_node *fields = cox_node_get(o, "fields");
	int64_t differing = cox_node_int(cox_node_get(o, "differing"), 0);

	printf("===== %s%s%s %s%s%s ======\n", group, *group ? "/" : "", text(o, "kind"), namespace,
	       *namespace ? "/" : "", text(o, "name"));
	if (strcmp(state, "Absent") == 0)
		cli_print_value('+', "", cox_node_get(o, "desired"));
	else if (strcmp(state, "Extra") == 0)
		printf("%s- is not wanted any more: %s%s\n", colour("\033[31m"),
		       cox_node_bool(cox_node_get(o, "kept"), false) ? "stays all the same"
								     : "to be pruned",
		       colour("\033[0m"));
	else if (strcmp(state, "Unknown") == 0)
		printf("! %s\n", text(o, "message"));
	for (size_t i = 0; i < cox_node_len(fields); i++) {
		const struct cox_node *f = cox_node_at(fields, i);

		printf("  %s:\n", text(f, "path"));
		cli_print_value('-', "    ", cox_node_get(f, "live"));
		cli_print_value('+', "    ", cox_node_get(f, "desired"));
	}
	if (cox_node_bool(cox_node_get(o, "refused"), false))
		printf("! %s\n", text(o, "message"));
	if (differing)
		printf("  and more: %lld fields differ\n", (long long)differing);
}

static int diff_request(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
			struct cox_doc *doc, struct cox_error *err)
{
	struct cox_node *root = cox_doc_map(doc);
	int r = 0;

	if (flags->local && flags->revision)
		return cli_usage(err, "either --local or --revision");
	if (flags->local)
		r = cli_app_put_local(hub, flags, name, doc, root, err);
	if (flags->revision)
		cox_map_put_cstr(doc, root, "revision", flags->revision);
	cox_doc_set_root(doc, root);
	return r;
}

/* Objects that could not be looked at make no difference, but no certainty either. */
static int failures(const struct cox_node *items, struct cox_error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < cox_node_len(items); i++)
		n += strcmp(text(cox_node_at(items, i), "state"), "Unknown") == 0;
	return n ? cox_error(err, COX_UNAVAILABLE, "%zu objects could not be looked at", n) : 0;
}

CLI_RUN(cli_app_diff)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *request = cox_doc_new("request"), *answer = NULL;
	_cleanup_free_ char *path = cli_app_path(flags, args->items[0], "/diff");
	const struct cox_node *items;
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = diff_request(hub, flags, args->items[0], request, err);
	if (r == 0)
		r = cli_hub_call(hub, "POST", path, cox_doc_root(request), &answer, err);
	if (r != 0)
		return r;
	items = COX_GET(cox_doc_root(answer), "items");
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, cox_doc_root(answer));
	for (size_t i = 0; format != CLI_JSON && format != CLI_YAML && i < cox_node_len(items); i++)
		cli_print_difference(cox_node_at(items, i));
	fflush(stdout);
	if (cox_node_bool(COX_GET(cox_doc_root(answer), "truncated"), false))
		fprintf(stderr, "there are more differences than are shown\n");
	r = failures(items, err);
	if (r < 0)
		return r;
	return cox_node_len(items) > 0 && !flags->no_exit_code ? CLI_FAILED : 0;
}
