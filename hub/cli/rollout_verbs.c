/* cox rollout pause|resume|approve|promote|abort|retry|why: what a person does to a rollout. */
#include "hub/cli/cli.h"
#include "hub/cli/client.h"
#include "hub/cli/output.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

static const char *text_at(const struct cox_node *node, const char *key)
{
	return cox_node_cstr(cox_node_get(node, key), "");
}

/* Who it is that acts: for the audit, as this machine knows them. */
static const char *who(const struct cli_flags *flags)
{
	const struct passwd *pw;

	if (flags->as && *flags->as)
		return flags->as;
	pw = getpwuid(getuid());
	return pw && pw->pw_name && *pw->pw_name ? pw->pw_name : "admin";
}

static void print_why(const struct cox_node *rollout)
{
	const char *text = text_at(cox_node_get(rollout, "why"), "text");

	if (*text)
		printf("%s\n", text);
	else
		printf("%s: nothing is in the way\n", text_at(rollout, "phase"));
}

static int get(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
	       struct cox_doc **ret_doc, struct cox_error *err)
{
	_cleanup_free_ char *path = cli_object_path("rollouts", true, flags->namespace, name, "");

	return CLI_GET(hub, path, ret_doc, err);
}

/* The verb, about exactly the rollout that seen is of. digest may be NULL. */
static int act(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
	       const char *verb, const struct cox_node *seen, const char *digest,
	       struct cox_error *err)
{
	_cleanup_free_ char *tail = cox_asprintf("/%s", verb);
	_cleanup_free_ char *path = cli_object_path("rollouts", true, flags->namespace, name, tail);
	_cleanup_doc_ struct cox_doc *body = cox_doc_new("body"), *answer = NULL;
	struct cox_node *map = cox_doc_map(body);
	int r;

	cox_map_put_cstr(body, map, "by", who(flags));
	cox_map_put_cstr(body, map, "id", text_at(seen, "id"));
	cox_map_put_cstr(body, map, "digest", digest);
	if (flags->back)
		cox_map_put_bool(body, map, "back", true);
	r = cli_hub_call(hub, "POST", path, map, &answer, err);
	if (r == 0)
		print_why(cox_doc_root(answer));
	return r;
}

static int plain(const struct cli_flags *flags, const cox_strings *args, const char *verb,
		 struct cox_error *err)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *seen = NULL;
	int r = cli_hub_open(flags, &hub, err);

	if (r == 0)
		r = get(hub, flags, args->items[0], &seen, err);
	if (r == 0)
		r = act(hub, flags, args->items[0], verb, cox_doc_root(seen), NULL, err);
	return r;
}

CLI_RUN(cli_rollout_pause)
{
	return plain(flags, args, "pause", err);
}

CLI_RUN(cli_rollout_resume)
{
	return plain(flags, args, "resume", err);
}

CLI_RUN(cli_rollout_promote)
{
	return plain(flags, args, "promote", err);
}

CLI_RUN(cli_rollout_abort)
{
	return plain(flags, args, "abort", err);
}

CLI_RUN(cli_rollout_retry)
{
	return plain(flags, args, "retry", err);
}

/* ---- approve ---- */

/* The wave that waits for an approval: of that name, or the first. */
static const struct cox_node *find_wave(const struct cox_node *rollout, const char *name)
{
	const struct cox_node *waves = cox_node_get(rollout, "waves");

	for (size_t i = 0; i < cox_node_len(waves); i++) {
		const struct cox_node *wave = cox_node_at(waves, i);

		if (*text_at(wave, "approvalDigest") &&
		    (!name || strcmp(name, text_at(wave, "name")) == 0))
			return wave;
	}
	return NULL;
}

static void print_changes(const struct cox_node *wave)
{
	const struct cox_node *targets = cox_node_get(wave, "targets");
	_cleanup_table_ struct cli_table t = {0};
	char from[16], to[16];

	cli_table_header(&t, "APPLICATION", "CLUSTER", "FROM", "TO", NULL);
	for (size_t i = 0; i < cox_node_len(targets); i++) {
		const struct cox_node *one = cox_node_at(targets, i);
		const char *before = text_at(one, "previousRevision");

		if (strcmp(text_at(one, "state"), "Waiting") != 0)
			continue;
		cli_cell(&t, text_at(one, "application"));
		cli_cell(&t, text_at(one, "cluster"));
		cli_cell(&t, *before ? cli_short_revision(before, from) : "nothing");
		cli_cell(&t, cli_short_revision(text_at(one, "revision"), to));
	}
	printf("wave '%s':\n", text_at(wave, "name"));
	cli_table_print(&t);
}

CLI_RUN(cli_rollout_approve)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *seen = NULL;
	const char *name = args->n > 1 ? args->items[1] : NULL;
	const struct cox_node *wave;
	int r = cli_hub_open(flags, &hub, err);

	if (r == 0)
		r = get(hub, flags, args->items[0], &seen, err);
	if (r != 0)
		return r;
	wave = find_wave(cox_doc_root(seen), name);
	if (!wave)
		return cox_error(err, COX_FAILED_PRECONDITION, "%s%s%s waits for an approval",
				 name ? "no wave '" : "nothing", name ? name : "", name ? "'" : "");
	print_changes(wave);
	if (flags->digest && strcmp(flags->digest, text_at(wave, "approvalDigest")) != 0)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "what would change is no longer what digest %.12s names",
				 flags->digest);
	return act(hub, flags, args->items[0], "approve", cox_doc_root(seen),
		   text_at(wave, "approvalDigest"), err);
}

/* ---- why ---- */

CLI_RUN(cli_rollout_why)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *seen = NULL;
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = get(hub, flags, args->items[0], &seen, err);
	if (r != 0)
		return r;
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, cox_node_get(cox_doc_root(seen), "why"));
	else
		print_why(cox_doc_root(seen));
	return 0;
}
