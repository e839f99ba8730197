/* cox app …: one Application, or the list of them. */
#include "hub/cli/app.h"
#include "common/base/clock.h"
#include "hub/cli/client.h"
#include "hub/cli/columns.h"

#include <stdio.h>
#include <time.h>

#define POLL_FIRST_MS 200
#define POLL_MOST_MS  2000

char *cli_app_path(const struct cli_flags *flags, const char *name, const char *tail)
{
	return cli_object_path("applications", true, flags->namespace, name, tail);
}

int cli_app_fetch(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
		  const char *tail, struct cox_doc **ret_doc, struct cox_error *err)
{
	_cleanup_free_ char *path = cli_app_path(flags, name, tail);

	return CLI_GET(hub, path, ret_doc, err);
}

static const char *text_at(const struct cox_node *node, const char *a, const char *b)
{
	return cox_node_cstr(b ? COX_GET(node, a, b) : COX_GET(node, a), "");
}

CLI_RUN(cli_app_list)
{
	COX_CLEANUP(cox_strings_fini) cox_strings words = {0};

	cox_vec_push(&words, cox_strdup("applications"));
	for (size_t i = 0; i < args->n; i++)
		cox_vec_push(&words, cox_strdup(args->items[i]));
	return cli_get(flags, &words, err);
}

/* ---- resources ---- */

static void print_resources(const struct cox_node *items, bool wide)
{
	_cleanup_table_ struct cli_table t = {0};

	if (cox_node_len(items) == 0) {
		fprintf(stderr, "no resources\n");
		return;
	}
	cli_table_header(&t, "KIND", "NAMESPACE", "NAME", "SYNC", "HEALTH", NULL);
	if (wide)
		cli_table_header(&t, "GROUP", "VERSION", "WAVE", "DIFFERING", NULL);
	cli_table_header(&t, "MESSAGE", NULL);
	for (size_t i = 0; i < cox_node_len(items); i++) {
		const struct cox_node *r = cox_node_at(items, i);
		const struct cox_node *differing = COX_GET(r, "differing");

		cli_cell(&t, text_at(r, "kind", NULL));
		cli_cell(&t, text_at(r, "namespace", NULL));
		cli_cell(&t, text_at(r, "name", NULL));
		cli_cell(&t, text_at(r, "status", NULL));
		cli_cell(&t, text_at(r, "health", "status"));
		if (wide) {
			_cleanup_buf_ struct cox_buf fields = COX_BUF_INIT;

			for (size_t k = 0; k < cox_node_len(differing); k++)
				cox_buf_printf(&fields, "%s%s", k ? "," : "",
					       cox_node_cstr(cox_node_at(differing, k), ""));
			cli_cell(&t, text_at(r, "group", NULL));
			cli_cell(&t, text_at(r, "version", NULL));
			cli_cellf(&t, "%lld", (long long)cox_node_int(COX_GET(r, "syncWave"), 0));
			cli_cell(&t, cox_buf_cstr(&fields));
		}
		if (cox_node_bool(COX_GET(r, "requiresPruning"), false))
			cli_cell(&t, "is no longer in Git: to be pruned");
		else
			cli_cell(&t,
				 text_at(r, COX_GET(r, "healthGuess") ? "healthGuess" : "health",
					 "message"));
	}
	cli_table_print(&t);
}

CLI_RUN(cli_app_resources)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0 && (flags->tree || flags->orphaned))
		return cli_app_tree(hub, flags, args->items[0], format, err);
	if (r == 0)
		r = cli_app_fetch(hub, flags, args->items[0], "/resources", &answer, err);
	if (r != 0)
		return r;
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, cox_doc_root(answer));
	else
		print_resources(COX_GET(cox_doc_root(answer), "items"), format == CLI_WIDE);
	return 0;
}

CLI_RUN(cli_app_manifests)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	const struct cox_node *items;
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = cli_app_fetch(hub, flags, args->items[0], "/manifests", &answer, err);
	if (r != 0)
		return r;
	items = COX_GET(cox_doc_root(answer), "items");
	if (format == CLI_JSON)
		cli_print_node(format, items);
	for (size_t i = 0; format != CLI_JSON && i < cox_node_len(items); i++) {
		printf("---\n");
		cli_print_node(CLI_YAML, cox_node_at(items, i));
	}
	return 0;
}

/* ---- get ---- */

static void line(const char *name, const char *text)
{
	if (*text)
		printf("%-14s %s\n", name, text);
}

static void status_line(const char *name, const char *status, const char *more)
{
	_cleanup_free_ char *coloured = cli_coloured(*status ? status : "Unknown");

	printf("%-14s %s%s%s\n", name, coloured, *more ? ": " : "", more);
}

static void print_source(const struct cox_node *s)
{
	const char *revision = text_at(s, "targetRevision", NULL);

	printf("%-14s %s\n", "Source:", text_at(s, "repoURL", NULL));
	line("  path:", text_at(s, "path", NULL));
	line("  chart:", text_at(s, "chart", NULL));
	line("  revision:", *revision ? revision : "HEAD");
}

void cli_app_print_operation(const struct cox_node *state)
{
	const struct cox_node *results = COX_GET(state, "syncResult", "resources");
	char age[COX_TIME_TEXT_MAX];

	if (!cox_node_is(state, COX_MAP))
		return;
	cli_age(COX_GET(state, "finishedAt"), age);
	if (!*age)
		cli_age(COX_GET(state, "startedAt"), age);
	status_line("Operation:", text_at(state, "phase", NULL), text_at(state, "message", NULL));
	if (*age)
		printf("%-14s %s ago\n", "  when:", age);
	for (size_t i = 0; i < cox_node_len(results); i++) {
		const struct cox_node *one = cox_node_at(results, i);

		if (strcmp(text_at(one, "status", NULL), "SyncFailed") == 0)
			printf("  %s/%s: %s\n", text_at(one, "kind", NULL),
			       text_at(one, "name", NULL), text_at(one, "message", NULL));
	}
}

static void print_app(const struct cox_node *app)
{
	_cleanup_buf_ struct cox_buf policy = COX_BUF_INIT;
	const struct cox_node *status = COX_GET(app, "status");
	const struct cox_node *sources = COX_GET(app, "spec", "sources");
	const struct cox_node *conditions = COX_GET(status, "conditions");
	const char *project = text_at(COX_GET(app, "spec"), "project", NULL);

	cli_policy_text(&policy, app);
	printf("%-14s %s/%s\n", "Name:", hub_object_namespace(app), hub_object_name(app));
	line("Project:", *project ? project : "default");
	line("Cluster:", cli_destination(app));
	line("Namespace:", cox_node_cstr(COX_GET(app, "spec", "destination", "namespace"), ""));
	for (size_t i = 0; i < cox_node_len(sources); i++)
		print_source(cox_node_at(sources, i));
	if (!cox_node_len(sources))
		print_source(COX_GET(app, "spec", "source"));
	line("Policy:", cox_buf_cstr(&policy));
	status_line("Sync:", text_at(status, "sync", "status"),
		    text_at(status, "sync", "revision"));
	status_line("Health:", text_at(status, "health", "status"),
		    text_at(status, "health", "message"));
	for (size_t i = 0; i < cox_node_len(conditions); i++) {
		const struct cox_node *c = cox_node_at(conditions, i);

		printf("%-14s %s: %s\n", i ? "" : "Conditions:", text_at(c, "type", NULL),
		       text_at(c, "message", NULL));
	}
	cli_app_print_operation(COX_GET(status, "operationState"));
}

CLI_RUN(cli_app_get)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL, *resources = NULL;
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = cli_app_fetch(hub, flags, args->items[0], "", &answer, err);
	if (r != 0)
		return r;
	if (format != CLI_TABLE && format != CLI_WIDE)
		return cli_print_objects(HUB_APPLICATION, format, cox_doc_root(answer), err);
	r = cli_app_fetch(hub, flags, args->items[0], "/resources", &resources, err);
	if (r < 0)
		return r;
	print_app(cox_doc_root(answer));
	printf("\n");
	fflush(stdout);
	print_resources(COX_GET(cox_doc_root(resources), "items"), format == CLI_WIDE);
	return 0;
}

/* ---- wait ---- */

static bool is_ended(const char *phase)
{
	return strcmp(phase, "Running") != 0 && strcmp(phase, "Terminating") != 0;
}

const struct cox_node *cli_app_operation(const struct cox_node *app, const char *id)
{
	const struct cox_node *const states[] = {COX_GET(app, "status", "operationState"),
						 COX_GET(app, "status", "askedOperationState")};

	for (size_t i = 0; i < COX_ARRAY_LEN(states); i++)
		if (strcmp(text_at(states[i], "id", NULL), id) == 0)
			return states[i];
	return NULL;
}

static bool is_reached(const struct cli_app_goal *g, const struct cox_node *app)
{
	const struct cox_node *status = COX_GET(app, "status");
	const struct cox_node *state = COX_GET(status, "operationState");
	const char *revision = text_at(status, "sync", "revision");

	if (g->operation) {
		const struct cox_node *own = cli_app_operation(app, g->operation);

		if (!own || !is_ended(text_at(own, "phase", NULL)))
			return false;
	}
	if (g->sync && strcmp(text_at(status, "sync", "status"), "Synced") != 0)
		return false;
	if (g->health && strcmp(text_at(status, "health", "status"), "Healthy") != 0)
		return false;
	if (g->no_operation && !is_ended(text_at(state, "phase", NULL)))
		return false;
	return !g->revision || strncmp(revision, g->revision, strlen(g->revision)) == 0;
}

static void pause_ms(int64_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static int timed_out(const struct cox_node *app, const char *name, int64_t timeout_ms,
		     struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf why = COX_BUF_INIT;
	char text[COX_TIME_TEXT_MAX];

	cli_condition_text(&why, app);
	cox_duration_human(timeout_ms, text);
	return cox_error(err, COX_DEADLINE_EXCEEDED, "application '%s' is %s and %s after %s%s%s",
			 name, cox_node_cstr(COX_GET(app, "status", "sync", "status"), "Unknown"),
			 cox_node_cstr(COX_GET(app, "status", "health", "status"), "Unknown"), text,
			 why.len ? ": " : "", cox_buf_cstr(&why));
}

/* The REST API has no watch of Applications, so this one asks, ever more slowly. */
int cli_app_wait_for(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
		     const struct cli_app_goal *goal, int64_t until_ms, struct cox_doc **ret_app,
		     struct cox_error *err)
{
	int64_t delay_ms = POLL_FIRST_MS;

	for (;;) {
		_cleanup_doc_ struct cox_doc *app = NULL;
		int r = cli_app_fetch(hub, flags, name, "", &app, err);

		if (r == -COX_NOT_FOUND && goal->gone)
			return 0;
		if (r < 0)
			return r;
		if (goal->on_look)
			goal->on_look(goal->ctx, cox_doc_root(app));
		if (!goal->gone && is_reached(goal, cox_doc_root(app))) {
			*ret_app = TAKE(app);
			return 0;
		}
		if (cox_clock_ms() >= until_ms)
			return timed_out(cox_doc_root(app), name, flags->timeout_ms, err);
		pause_ms(delay_ms);
		delay_ms = delay_ms * 3 / 2 < POLL_MOST_MS ? delay_ms * 3 / 2 : POLL_MOST_MS;
	}
}

static void print_reached(const struct cox_node *app)
{
	const struct cox_node *status = COX_GET(app, "status");
	char revision[16];

	printf("%s: %s, %s, at %s\n", hub_object_name(app), text_at(status, "sync", "status"),
	       text_at(status, "health", "status"),
	       cli_short_revision(text_at(status, "sync", "revision"), revision));
}

CLI_RUN(cli_app_wait)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	bool any = flags->want_sync || flags->want_health || flags->want_operation;
	struct cli_app_goal goal = {.sync = flags->want_sync || !any,
				    .health = flags->want_health || !any,
				    .no_operation = flags->want_operation || !any,
				    .revision = flags->revision};
	int64_t until_ms = cox_clock_ms() + flags->timeout_ms;
	int r = cli_hub_open(flags, &hub, err);

	for (size_t i = 0; r == 0 && i < args->n; i++) {
		_cleanup_doc_ struct cox_doc *app = NULL;

		r = cli_app_wait_for(hub, flags, args->items[i], &goal, until_ms, &app, err);
		if (r == 0)
			print_reached(cox_doc_root(app));
	}
	return r;
}

/* ---- refresh ---- */

int cli_app_post_each(const struct cli_flags *flags, const cox_strings *args, const char *tail,
		      const char *done, struct cox_error *err)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	int r = cli_hub_open(flags, &hub, err);

	for (size_t i = 0; r == 0 && i < args->n; i++) {
		_cleanup_free_ char *path = cli_app_path(flags, args->items[i], tail);

		r = cli_hub_call(hub, "POST", path, NULL, NULL, err);
		if (r == 0)
			printf("%s: %s\n", args->items[i], done);
	}
	return r;
}

CLI_RUN(cli_app_refresh)
{
	return cli_app_post_each(flags, args, flags->hard ? "/refresh?hard=true" : "/refresh",
				 "refreshing", err);
}
