/* cox app sync, rollback, history, terminate: operations, waited for and shown as they go. */
#include "common/base/clock.h"
#include "common/text/glob.h"
#include "hub/cli/app.h"
#include "hub/cli/columns.h"

#include <stdio.h>
#include <unistd.h>

static const char *text(const struct cox_node *map, const char *key)
{
	return cox_node_cstr(cox_node_get(map, key), "");
}

/* ---- which resources ---- */

/* GROUP:KIND:[NAMESPACE/]NAME; with '!' before it, all but this. Each part may hold '*'; an empty GROUP
 * is the core's. */
struct pattern {
	bool exclude, is_plain;
	char *group, *kind, *namespace, *name; /* namespace NULL: any */
};
typedef COX_VEC(struct pattern) patterns;

static void patterns_fini(patterns *v)
{
	COX_VEC_EACH (v, p) {
		free(p->group);
		free(p->kind);
		free(p->namespace);
		free(p->name);
	}
	cox_vec_fini(v);
}

static int read_pattern(const char *word, struct pattern *ret, struct cox_error *err)
{
	bool exclude = *word == '!';
	struct cox_str rest = cox_str(word + exclude), group, kind, part;
	bool fine = cox_str_split(&rest, ':', &group) && rest.ptr &&
		    cox_str_split(&rest, ':', &kind) && rest.ptr && kind.len && rest.len;

	if (!fine)
		return cli_usage(err, "--resource takes [!]GROUP:KIND:[NAMESPACE/]NAME, not '%s'",
				 word);
	*ret = (struct pattern){.exclude = exclude,
				.is_plain = !exclude && !strchr(word, '*'),
				.group = cox_str_dup(group),
				.kind = cox_str_dup(kind)};
	if (memchr(rest.ptr, '/', rest.len) && cox_str_split(&rest, '/', &part))
		ret->namespace = cox_str_dup(part);
	ret->name = cox_str_dup(rest);
	return 0;
}

static bool is_like(const char *pattern, const char *value)
{
	return strcmp(pattern, value) == 0 || cox_glob_matches(cox_str(pattern), 0, cox_str(value));
}

static bool pattern_matches(const struct pattern *p, const struct cox_node *r)
{
	return is_like(p->group, text(r, "group")) && is_like(p->kind, text(r, "kind")) &&
	       is_like(p->name, text(r, "name")) &&
	       (!p->namespace || is_like(p->namespace, text(r, "namespace")));
}

static void put_resource(struct cox_doc *doc, struct cox_node *list, const char *group,
			 const char *kind, const char *namespace, const char *name)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "group", group);
	cox_map_put_cstr(doc, map, "kind", kind);
	cox_map_put_cstr(doc, map, "namespace", namespace);
	cox_map_put_cstr(doc, map, "name", name);
	cox_list_push(doc, list, map);
}

/* Those that an inclusion names (all, where there is none) and no exclusion does. */
static bool is_chosen(const patterns *v, const struct cox_node *r)
{
	bool any = false, in = false, out = false;

	COX_VEC_EACH (v, p) {
		bool match = pattern_matches(p, r);

		any = any || !p->exclude;
		in = in || (!p->exclude && match);
		out = out || (p->exclude && match);
	}
	return (in || !any) && !out;
}

/* The API takes names only: what has '!' or '*' is looked up first. */
static int choose(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
		  const patterns *v, struct cox_doc *doc, struct cox_node *list,
		  struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *answer = NULL;
	const struct cox_node *items;
	int r = cli_app_fetch(hub, flags, name, "/resources", &answer, err);

	if (r < 0)
		return r;
	items = COX_GET(cox_doc_root(answer), "items");
	for (size_t i = 0; i < cox_node_len(items); i++) {
		const struct cox_node *o = cox_node_at(items, i);

		if (!cox_node_bool(cox_node_get(o, "hook"), false) && is_chosen(v, o))
			put_resource(doc, list, text(o, "group"), text(o, "kind"),
				     text(o, "namespace"), text(o, "name"));
	}
	if (!cox_node_len(list))
		return cox_error(err, COX_NOT_FOUND,
				 "application '%s' has no resource that --resource chooses", name);
	return 0;
}

static int put_resources(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
			 struct cox_doc *doc, struct cox_node *root, struct cox_error *err)
{
	COX_CLEANUP(patterns_fini) patterns v = {0};
	struct cox_node *list = cox_doc_list(doc);
	bool plain = true;
	int r = 0;

	for (size_t i = 0; r == 0 && i < flags->resources.n; i++) {
		struct pattern p = {0};

		r = read_pattern(flags->resources.items[i], &p, err);
		if (r == 0)
			cox_vec_push(&v, p);
		plain = plain && p.is_plain;
	}
	if (r != 0 || !v.n)
		return r;
	COX_VEC_EACH (&v, p)
		if (plain)
			put_resource(doc, list, p->group, p->kind, p->namespace, p->name);
	if (!plain)
		r = choose(hub, flags, name, &v, doc, list, err);
	cox_map_put(doc, root, "resources", list);
	return r;
}

/* ---- the request ---- */

static int put_strategy(const struct cli_flags *flags, struct cox_doc *doc, struct cox_node *root,
			struct cox_error *err)
{
	const char *strategy = flags->strategy ? flags->strategy : "";

	if (*strategy && strcmp(strategy, "apply") != 0 && strcmp(strategy, "hook") != 0)
		return cli_usage(err, "--strategy is apply or hook, not '%s'", strategy);
	cox_map_put_bool(doc, root, "skipHooks",
			 flags->skip_hooks || strcmp(strategy, "apply") == 0);
	return 0;
}

static void put_options(const struct cli_flags *flags, struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *list = cox_doc_list(doc);

	if (flags->replace)
		cox_list_push(doc, list, cox_doc_cstring(doc, "Replace=true"));
	if (flags->server_side)
		cox_list_push(doc, list, cox_doc_cstring(doc, "ServerSideApply=true"));
	if (flags->out_of_sync_only)
		cox_list_push(doc, list, cox_doc_cstring(doc, "ApplyOutOfSyncOnly=true"));
	COX_VEC_EACH (&flags->sync_options, o)
		cox_list_push(doc, list, cox_doc_cstring(doc, *o));
	if (cox_node_len(list))
		cox_map_put(doc, root, "syncOptions", list);
}

/* Without --retry-limit the Application's own retry holds. */
static int put_retry(const struct cli_flags *flags, struct cox_doc *doc, struct cox_node *root,
		     struct cox_error *err)
{
	struct cox_node *retry = cox_doc_map(doc), *backoff = cox_doc_map(doc);
	int64_t ms;

	if (!flags->retry_limit)
		return 0;
	if (flags->backoff_duration &&
	    cox_duration_parse(cox_str(flags->backoff_duration), &ms, err) < 0)
		return cli_usage(err, "--retry-backoff-duration: %s", err->message);
	if (flags->backoff_max && cox_duration_parse(cox_str(flags->backoff_max), &ms, err) < 0)
		return cli_usage(err, "--retry-backoff-max-duration: %s", err->message);
	cox_map_put_int(doc, retry, "limit", flags->retry_limit);
	cox_map_put_cstr(doc, backoff, "duration", flags->backoff_duration);
	cox_map_put_cstr(doc, backoff, "maxDuration", flags->backoff_max);
	if (flags->backoff_factor)
		cox_map_put_int(doc, backoff, "factor", flags->backoff_factor);
	cox_map_put(doc, retry, "backoff", backoff);
	if (flags->retry_refresh)
		cox_map_put_bool(doc, retry, "refresh", true);
	cox_map_put(doc, root, "retry", retry);
	return 0;
}

int cli_app_put_local(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
		      struct cox_doc *doc, struct cox_node *root, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *app = NULL;
	_cleanup_docs_ cox_docs objects = {0};
	struct cox_node *list = cox_doc_list(doc);
	int r = cli_app_fetch(hub, flags, name, "", &app, err);

	if (r == 0)
		r = cli_render_local(flags->local, app, &objects, err);
	if (r < 0)
		return r;
	COX_VEC_EACH (&objects, o)
		cox_list_push(doc, list, cox_doc_clone(doc, cox_doc_root(*o)));
	if (!cox_node_len(list))
		return cox_error(err, COX_INVALID_ARGUMENT, "no manifests in '%s'", flags->local);
	cox_map_put(doc, root, "manifests", list);
	return 0;
}

static int sync_request(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
			struct cox_doc *doc, struct cox_error *err)
{
	struct cox_node *root = cox_doc_map(doc);
	int r = put_strategy(flags, doc, root, err);

	if (r == 0 && flags->local && flags->revision)
		r = cli_usage(err, "either --local or --revision");
	if (r == 0)
		r = put_retry(flags, doc, root, err);
	if (r == 0)
		r = put_resources(hub, flags, name, doc, root, err);
	if (r == 0 && flags->local)
		r = cli_app_put_local(hub, flags, name, doc, root, err);
	if (r != 0)
		return r;
	cox_map_put_bool(doc, root, "prune", flags->prune);
	cox_map_put_bool(doc, root, "dryRun", flags->dry_run);
	cox_map_put_bool(doc, root, "force", flags->force);
	if (flags->skip_gates)
		cox_map_put_bool(doc, root, "skipGates", true);
	if (flags->revision && *flags->revision)
		cox_map_put_cstr(doc, root, "revision", flags->revision);
	put_options(flags, doc, root);
	cox_doc_set_root(doc, root);
	return 0;
}

/* ---- waiting, and showing what comes ---- */

struct progress {
	const char *operation;
	cox_strings lines; /* what was said of each resource last */
	size_t n_said;
};

/* "Sync  apps/Deployment shop/web  Synced  …" */
static char *result_line(const struct cox_node *r)
{
	const char *group = text(r, "group"), *namespace = text(r, "namespace");
	const char *phase = text(r, "hookPhase"), *message = text(r, "message");

	return cox_asprintf("%-9s %s%s%s %s%s%s  %s%s%s", text(r, "syncPhase"), group,
			    *group ? "/" : "", text(r, "kind"), namespace, *namespace ? "/" : "",
			    text(r, "name"), *phase ? phase : text(r, "status"),
			    *message ? ": " : "", message);
}

static void show_progress(void *ctx, const struct cox_node *app)
{
	struct progress *p = ctx;
	const struct cox_node *results =
		COX_GET(cli_app_operation(app, p->operation), "syncResult", "resources");

	for (size_t i = 0; i < cox_node_len(results); i++) {
		_cleanup_free_ char *line = result_line(cox_node_at(results, i));
		bool said = false;

		COX_VEC_EACH (&p->lines, l)
			said = said || strcmp(*l, line) == 0;
		if (said)
			continue;
		printf("  %s\n", line);
		cox_vec_push(&p->lines, TAKE(line));
	}
	fflush(stdout);
}

static int wait_for_operation(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
			      const char *id, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *app = NULL;
	struct progress progress = {.operation = id};
	struct cli_app_goal goal = {.operation = id, .on_look = show_progress, .ctx = &progress};
	const struct cox_node *state;
	int r = cli_app_wait_for(hub, flags, name, &goal, cox_clock_ms() + flags->timeout_ms, &app,
				 err);

	cox_strings_fini(&progress.lines);
	if (r < 0)
		return r;
	state = cli_app_operation(cox_doc_root(app), id);
	cli_app_print_operation(state);
	return strcmp(text(state, "phase"), "Succeeded") == 0 ? 0 : CLI_FAILED;
}

static int begin(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
		 const char *tail, const struct cox_node *request, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *answer = NULL;
	_cleanup_free_ char *path = cli_app_path(flags, name, tail);
	const char *id, *to;
	char revision[16];
	int r = cli_hub_call(hub, "POST", path, request, &answer, err);

	if (r < 0)
		return r;
	id = cox_node_cstr(COX_GET(cox_doc_root(answer), "operation", "id"), "");
	to = text(cox_doc_root(answer), "revision");
	printf("%s: operation %s to %s\n", name, id,
	       *to ? cli_short_revision(to, revision) : "other manifests");
	fflush(stdout);
	return flags->async ? 0 : wait_for_operation(hub, flags, name, id, err);
}

CLI_RUN(cli_app_sync)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *request = cox_doc_new("request");
	int r = cli_hub_open(flags, &hub, err);

	if (r == 0)
		r = sync_request(hub, flags, args->items[0], request, err);
	return r != 0 ? r : begin(hub, flags, args->items[0], "/sync", cox_doc_root(request), err);
}

/* ---- history, rollback ---- */

static void print_history(const struct cox_node *list)
{
	_cleanup_table_ struct cli_table t = {0};

	cli_table_header(&t, "ID", "DATE", "REVISION", "BY", "BUNDLE", "NOTE", NULL);
	for (size_t i = cox_node_len(list); i-- > 0;) {
		const struct cox_node *e = cox_node_at(list, i);
		const struct cox_node *by = cox_node_get(e, "initiatedBy");
		const struct cox_node *back = cox_node_get(e, "rollbackTo");
		const char *who = text(by, "username");
		char revision[16];

		cli_cellf(&t, "%lld", (long long)cox_node_int(cox_node_get(e, "id"), 0));
		cli_cell(&t, text(e, "deployedAt"));
		cli_cell(&t, cli_short_revision(text(e, "revision"), revision));
		cli_cell(&t, *who ? who : "automated");
		cli_cellf(&t, "%.12s", text(e, "digest"));
		if (back)
			cli_cellf(&t, "rollback to %lld%s", (long long)cox_node_int(back, 0),
				  cox_node_bool(cox_node_get(e, "forced"), false) ? ", forced"
										  : "");
		else if (cox_node_bool(cox_node_get(e, "local"), false))
			cli_cell(&t, "local manifests");
		else
			cli_cell(&t, cox_node_bool(cox_node_get(e, "gatesSkipped"), false)
					     ? "gates skipped"
					     : "");
	}
	cli_table_print(&t);
}

CLI_RUN(cli_app_history)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *app = NULL;
	const struct cox_node *list;
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = cli_app_fetch(hub, flags, args->items[0], "", &app, err);
	if (r != 0)
		return r;
	list = COX_GET(cox_doc_root(app), "status", "history");
	if (format == CLI_JSON || format == CLI_YAML) {
		_cleanup_doc_ struct cox_doc *empty = cox_doc_new("history");

		cli_print_node(format, list ? list : cox_doc_list(empty));
	} else if (format == CLI_NAME) {
		for (size_t i = 0; i < cox_node_len(list); i++)
			printf("%lld\n", (long long)cox_node_int(
						 cox_node_get(cox_node_at(list, i), "id"), 0));
	} else if (cox_node_len(list) == 0) {
		fprintf(stderr, "nothing was deployed yet\n");
	} else {
		print_history(list);
	}
	return 0;
}

CLI_RUN(cli_app_rollback)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("request");
	struct cox_node *root = cox_doc_map(doc);
	int r = cli_hub_open(flags, &hub, err);

	if (r < 0)
		return r;
	if (args->n > 1) {
		char *end;
		long long id = strtoll(args->items[1], &end, 10);

		if (*end || end == args->items[1] || id < 0)
			return cli_usage(err,
					 "'%s' is no id of the history: see `cox app history "
					 "%s`",
					 args->items[1], args->items[0]);
		cox_map_put_int(doc, root, "id", id);
	}
	cox_map_put_bool(doc, root, "prune", flags->prune);
	cox_map_put_bool(doc, root, "dryRun", flags->dry_run);
	cox_map_put_bool(doc, root, "hooks", flags->hooks);
	cox_map_put_bool(doc, root, "force", flags->force);
	cox_doc_set_root(doc, root);
	return begin(hub, flags, args->items[0], "/rollback", root, err);
}

/* ---- terminate ---- */

CLI_RUN(cli_app_terminate)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	int r = cli_hub_open(flags, &hub, err);

	for (size_t i = 0; r == 0 && i < args->n; i++) {
		_cleanup_free_ char *path = cli_app_path(flags, args->items[i], "/terminate");
		_cleanup_doc_ struct cox_doc *answer = NULL, *app = NULL;
		struct cli_app_goal goal = {0};

		r = cli_hub_call(hub, "POST", path, NULL, &answer, err);
		if (r < 0)
			return r;
		printf("%s: terminating\n", args->items[i]);
		fflush(stdout);
		if (!flags->wait)
			continue;
		goal.operation =
			cox_node_cstr(COX_GET(cox_doc_root(answer), "operation", "id"), "");
		r = cli_app_wait_for(hub, flags, args->items[i], &goal,
				     cox_clock_ms() + flags->timeout_ms, &app, err);
		if (r == 0)
			cli_app_print_operation(
				cli_app_operation(cox_doc_root(app), goal.operation));
	}
	return r;
}

/* ---- delete ---- */

static int ask_first(const struct cli_flags *flags, const cox_strings *names, struct cox_error *err)
{
	char answer[16] = "";

	if (flags->yes)
		return 0;
	if (!isatty(STDIN_FILENO))
		return cli_usage(err, "this deletes: say --yes");
	for (size_t i = 0; i < names->n; i++)
		fprintf(stderr, "%s%s", i ? ", " : "delete ", names->items[i]);
	fprintf(stderr, "%s? [y/N] ", flags->forget ? ", and forget" : "");
	if (!fgets(answer, sizeof(answer), stdin) || (*answer != 'y' && *answer != 'Y'))
		return cox_error(err, COX_CANCELLED, "nothing was deleted");
	return 0;
}

static int wait_until_gone(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
			   int64_t until_ms, struct cox_error *err)
{
	struct cli_app_goal goal = {.gone = true};
	_cleanup_doc_ struct cox_doc *app = NULL;

	return cli_app_wait_for(hub, flags, name, &goal, until_ms, &app, err);
}

CLI_RUN(cli_app_delete)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	int64_t until_ms = cox_clock_ms() + flags->timeout_ms;
	int r = ask_first(flags, args, err);

	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	for (size_t i = 0; r == 0 && i < args->n; i++)
		r = cli_delete_object(hub, flags, hub_kind_info(HUB_APPLICATION), args->items[i],
				      err);
	for (size_t i = 0; r == 0 && flags->wait && i < args->n; i++)
		r = wait_until_gone(hub, flags, args->items[i], until_ms, err);
	return r;
}

CLI_RUN(cli_app_confirm_deletion)
{
	return cli_app_post_each(flags, args, "/confirm-deletion", "deletion confirmed", err);
}
