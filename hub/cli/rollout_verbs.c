/* cox rollout pause|resume|approve|promote|abort|retry|why: what a person does to a rollout. */
#include "common/base/clock.h"
#include "hub/cli/cli.h"
#include "hub/cli/client.h"
#include "hub/cli/output.h"
#include "hub/cli/rollout.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

static const char *text_at(const struct cox_node *node, const char *key)
{
	return cox_node_cstr(cox_node_get(node, key), "");
}

/* Who this machine says that acts: what the hub notes down with a token that is nobody's. */
static const char *user(void)
{
	const struct passwd *pw = getpwuid(getuid());

	return pw && pw->pw_name && *pw->pw_name ? pw->pw_name : NULL;
}

static void print_field(const char *label, const char *text)
{
	if (*text)
		printf("%-10s %s\n", label, text);
}

static void print_time(const char *label, const struct cox_node *time)
{
	int64_t then, ms;
	char span[COX_TIME_TEXT_MAX];

	if (!cox_node_str(time).len || cox_time_parse(cox_node_str(time), &then, NULL) < 0)
		return;
	ms = cox_clock_wall_ms() - then;
	cox_duration_human(ms < 0 ? -ms : ms, span);
	printf("%-10s %s (%s%s%s)\n", label, cox_node_cstr(time, ""), ms < 0 ? "in " : "", span,
	       ms < 0 ? "" : " ago");
}

/* The sentence; what it is made of, for whom it is too long. */
static void print_why(const struct cox_node *rollout, bool fields)
{
	const struct cox_node *why = cox_node_get(rollout, "why");
	const char *reason = text_at(rollout, "reason");

	if (!*text_at(why, "text")) {
		printf("%s: %s\n", text_at(rollout, "phase"),
		       *reason ? reason : "nothing is in the way");
		return;
	}
	printf("%s\n", text_at(why, "text"));
	if (!fields)
		return;
	printf("\n");
	print_field("Wave:", text_at(why, "wave"));
	print_field("Gate:", text_at(why, "gate"));
	print_field("Cluster:", text_at(why, "cluster"));
	print_field("Target:", text_at(why, "application"));
	print_field("Resource:", text_at(why, "resource"));
	print_field("Message:", text_at(why, "message"));
	print_time("Since:", cox_node_get(why, "since"));
	print_time("Until:", cox_node_get(why, "until"));
}

static int get(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
	       struct cox_doc **ret_doc, struct cox_error *err)
{
	_cleanup_free_ char *path = cli_object_path("rollouts", true, flags->namespace, name, "");

	return CLI_GET(hub, path, ret_doc, err);
}

struct deed {
	const char *verb, *done; /* "pause", "paused" */
};

/* The verb, about exactly the rollout that seen is of. digest may be NULL. */
static int act(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
	       const struct deed *deed, const struct cox_node *seen, const char *digest,
	       enum cli_format format, struct cox_error *err)
{
	_cleanup_free_ char *tail = cox_asprintf("/%s", deed->verb);
	_cleanup_free_ char *path = cli_object_path("rollouts", true, flags->namespace, name, tail);
	_cleanup_doc_ struct cox_doc *body = cox_doc_new("body"), *answer = NULL;
	struct cox_node *map = cox_doc_map(body);
	int r;

	cox_map_put_cstr(body, map, "by", flags->as);
	cox_map_put_cstr(body, map, "user", user());
	cox_map_put_cstr(body, map, "id", text_at(seen, "id"));
	cox_map_put_cstr(body, map, "digest", digest);
	if (flags->back)
		cox_map_put_bool(body, map, "back", true);
	r = cli_hub_call(hub, "POST", path, map, &answer, err);
	if (r < 0)
		return r;
	if (format == CLI_JSON || format == CLI_YAML) {
		cli_print_node(format, cox_doc_root(answer));
		return 0;
	}
	printf("%s: %s\n", name, deed->done);
	print_why(cox_doc_root(answer), false);
	return 0;
}

/* The hub, and the rollout as it is now. */
static int see(const struct cli_flags *flags, const char *name, enum cli_format *ret_format,
	       struct cli_hub **ret_hub, struct cox_doc **ret_seen, struct cox_error *err)
{
	int r = cli_format_parse(flags->output, ret_format, err);

	if (r == 0 && cli_rollout_is_id(name))
		r = cli_usage(err, "name the ApplicationSet or the Application, not the rollout");
	if (r == 0)
		r = cli_hub_open(flags, ret_hub, err);
	if (r == 0)
		r = get(*ret_hub, flags, name, ret_seen, err);
	return r;
}

static int plain(const struct cli_flags *flags, const cox_strings *args, const struct deed *deed,
		 struct cox_error *err)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *seen = NULL;
	enum cli_format format;
	int r = see(flags, args->items[0], &format, &hub, &seen, err);

	if (r != 0)
		return r;
	return act(hub, flags, args->items[0], deed, cox_doc_root(seen), NULL, format, err);
}

CLI_RUN(cli_rollout_pause)
{
	return plain(flags, args, &(struct deed){"pause", "paused"}, err);
}

CLI_RUN(cli_rollout_resume)
{
	return plain(flags, args, &(struct deed){"resume", "goes on"}, err);
}

CLI_RUN(cli_rollout_promote)
{
	return plain(flags, args, &(struct deed){"promote", "goes on without its gate"}, err);
}

CLI_RUN(cli_rollout_abort)
{
	return plain(flags, args, &(struct deed){"abort", "aborted"}, err);
}

CLI_RUN(cli_rollout_retry)
{
	return plain(flags, args, &(struct deed){"retry", "tried again"}, err);
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
	enum cli_format format;
	int r = see(flags, args->items[0], &format, &hub, &seen, err);

	if (r != 0)
		return r;
	wave = find_wave(cox_doc_root(seen), name);
	if (!wave)
		return cox_error(err, COX_FAILED_PRECONDITION, "%s%s%s waits for an approval",
				 name ? "no wave '" : "nothing", name ? name : "", name ? "'" : "");
	if (format != CLI_JSON && format != CLI_YAML)
		print_changes(wave);
	if (flags->digest && strcmp(flags->digest, text_at(wave, "approvalDigest")) != 0)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "what would change is no longer what digest %.12s names",
				 flags->digest);
	return act(hub, flags, args->items[0], &(struct deed){"approve", "approved"},
		   cox_doc_root(seen), text_at(wave, "approvalDigest"), format, err);
}

/* ---- why ---- */

CLI_RUN(cli_rollout_why)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *seen = NULL, *none = cox_doc_new("why");
	const struct cox_node *why;
	enum cli_format format;
	int r = see(flags, args->items[0], &format, &hub, &seen, err);

	if (r != 0)
		return r;
	why = cox_node_get(cox_doc_root(seen), "why");
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, why ? why : cox_doc_map(none));
	else
		print_why(cox_doc_root(seen), true);
	return 0;
}
