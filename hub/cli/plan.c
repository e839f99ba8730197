/* cox appset plan, cox rollout plan: what would happen, before anything is written. */
#include "common/base/clock.h"
#include "hub/cli/app.h"

#include <stdio.h>
#include <unistd.h>

static const char *text(const struct cox_node *map, const char *key)
{
	return cox_node_cstr(cox_node_get(map, key), "");
}

static int64_t number(const struct cox_node *map, const char *key)
{
	return cox_node_int(cox_node_get(map, key), 0);
}

static const char *colour(const char *code)
{
	return cli_has_colour() ? code : "";
}

/* ---- asking ---- */

struct watch {
	struct cox_doc *plan; /* NULL: not there yet */
	bool shows, shown;    /* progress, on a terminal */
};

static void clear_progress(struct watch *w)
{
	if (w->shown)
		fprintf(stderr, "\r\033[K");
	w->shown = false;
}

static void show_progress(struct watch *w, const struct cox_node *p)
{
	int64_t all = number(p, "of");

	if (!w->shows)
		return;
	clear_progress(w);
	fprintf(stderr, "%s", text(p, "what"));
	if (all > 0)
		fprintf(stderr, " %lld of %lld", (long long)number(p, "n"), (long long)all);
	fflush(stderr);
	w->shown = true;
}

static int on_event(void *ctx, struct cox_doc *doc, struct cox_error *err)
{
	struct watch *w = ctx;
	const struct cox_node *root = cox_doc_root(doc), *failure = cox_node_get(root, "error");

	if (cox_node_get(root, "progress")) {
		show_progress(w, cox_node_get(root, "progress"));
		return 0;
	}
	if (failure)
		return cox_error(err, cox_code_parse(text(failure, "code")), "%s",
				 text(failure, "message"));
	w->plan = cox_doc_ref(doc);
	return 1;
}

static int ask(struct cli_hub *hub, const char *path, const struct cox_node *body,
	       struct cox_doc **ret_plan, struct cox_error *err)
{
	struct watch w = {.shows = isatty(STDERR_FILENO)};
	int r = cli_hub_stream(hub, "POST", path, body, on_event, &w, err);

	clear_progress(&w);
	if (r < 0)
		return r;
	if (!w.plan)
		return cox_error(err, COX_UNAVAILABLE,
				 "the hub ended before the plan was made: ask again");
	*ret_plan = w.plan;
	return 0;
}

static int put_policy(const struct cli_flags *flags, struct cox_doc *doc, struct cox_node *body,
		      struct cox_error *err)
{
	_cleanup_docs_ cox_docs docs = {0};
	int r;

	if (!flags->policy)
		return 0;
	r = cli_read_file(flags->policy, &docs, err);
	if (r < 0)
		return r;
	if (docs.n != 1 || hub_kind_of(cox_doc_root(docs.items[0])) != HUB_ROLLOUT_POLICY)
		return cox_error(err, COX_INVALID_ARGUMENT, "'%s': expected one RolloutPolicy",
				 flags->policy);
	cox_map_put(doc, body, "policy", cox_doc_clone(doc, cox_doc_root(docs.items[0])));
	return 0;
}

static int put_limits(const struct cli_flags *flags, struct cox_doc *doc, struct cox_node *body,
		      struct cox_error *err)
{
	if (flags->targets < 0)
		return cli_usage(err, "--targets takes a number from 1");
	cox_map_put_cstr(doc, body, "revision", flags->revision);
	if (flags->diff)
		cox_map_put_bool(doc, body, "diff", true);
	if (flags->targets)
		cox_map_put_int(doc, body, "targets", flags->targets);
	if (flags->target_timeout_ms)
		cox_map_put_int(doc, body, "targetTimeoutSeconds",
				(flags->target_timeout_ms + 999) / 1000);
	return put_policy(flags, doc, body, err);
}

/* One ApplicationSet; a RolloutPolicy beside it is the one to go by. */
static int put_files(const struct cli_flags *flags, struct cox_doc *doc, struct cox_node *body,
		     struct cox_error *err)
{
	_cleanup_docs_ cox_docs docs = {0};
	int r = cli_read_files(&flags->files, false, &docs, err);

	if (r != 0)
		return r;
	cli_expand_lists(&docs);
	COX_VEC_EACH (&docs, d) {
		const struct cox_node *root = cox_doc_root(*d);
		enum hub_kind kind = hub_kind_of(root);
		const char *key = kind == HUB_APPLICATION_SET  ? "object"
				  : kind == HUB_ROLLOUT_POLICY ? "policy"
							       : NULL;

		if (!key)
			return cox_error(
				err, COX_INVALID_ARGUMENT,
				"%s: a plan is of an ApplicationSet (and a RolloutPolicy), "
				"not of '%s'",
				cox_doc_name(*d), text(root, "kind"));
		if (cox_node_get(body, key))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "%s: a second %s: plan one at a time", cox_doc_name(*d),
					 text(root, "kind"));
		cox_map_put(doc, body, key, cox_doc_clone(doc, root));
	}
	if (!cox_node_get(body, "object"))
		return cox_error(err, COX_INVALID_ARGUMENT, "no ApplicationSet in '%s'",
				 flags->files.items[0]);
	return 0;
}

/* ---- for people: targets ---- */

static const char *short_of(const char *revision, char room[16])
{
	return *revision ? cli_short_revision(revision, room) : "nothing";
}

static void print_counts(const struct cox_node *n)
{
	static const struct {
		const char *key, *sign, *code, *word;
	} rows[] = {
		{"create", "+", "\033[32m", ""},	 {"update", "~", "\033[33m", ""},
		{"delete", "-", "\033[31m", ""},	 {"kept", "", "", " not pruned"},
		{"refused", "", "\033[31m", " refused"}, {"unknown", "", "", " unknown"},
	};

	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		int64_t v = number(n, rows[i].key);

		if (v == 0 && i > 2)
			continue;
		printf("  %s%s%lld%s%s", v ? colour(rows[i].code) : "", rows[i].sign, (long long)v,
		       rows[i].word, v ? colour("\033[0m") : "");
	}
}

static void print_differences(const struct cox_node *list)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		cli_print_difference(cox_node_at(list, i));
}

/* Those that the API server would not take, also when nobody asked for the differences. */
static void print_refused(const struct cox_node *list)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *o = cox_node_at(list, i);

		if (cox_node_bool(cox_node_get(o, "refused"), false))
			printf("      ! %s %s: %s\n", text(o, "kind"), text(o, "name"),
			       text(o, "message"));
	}
}

static void print_outcome(const struct cox_node *t)
{
	const char *comparison = text(t, "comparison");

	if (strcmp(comparison, "computed") == 0)
		print_counts(cox_node_get(t, "objects"));
	else if (strcmp(comparison, "unknown") == 0)
		printf("  ? %s", text(t, "why"));
	else if (strcmp(comparison, "leftOut") == 0)
		printf("  ? left out");
	else
		printf("  %s", *text(t, "state") ? "no change" : "its objects stay");
	if (strcmp(text(t, "state"), "Blocked") == 0)
		printf("  ! %s", text(t, "message"));
	if (cox_node_bool(cox_node_get(t, "truncated"), false))
		printf("  (more than is told)");
}

static int width_of(const struct cox_node *targets, const char *key)
{
	size_t width = 0;

	for (size_t i = 0; i < cox_node_len(targets); i++) {
		size_t n = strlen(text(cox_node_at(targets, i), key));

		width = n > width ? n : width;
	}
	return (int)width;
}

/* Nothing to say of it. */
static bool is_quiet(const struct cox_node *t)
{
	return *text(t, "state") && !cox_node_bool(cox_node_get(t, "moves"), false) &&
	       strcmp(text(t, "comparison"), "needless") == 0 &&
	       strcmp(text(t, "state"), "Blocked") != 0;
}

static void print_targets(const struct cox_node *targets, bool diff)
{
	int w = width_of(targets, "cluster"), v = width_of(targets, "application");
	size_t n_quiet = 0;

	for (size_t i = 0; i < cox_node_len(targets); i++) {
		const struct cox_node *t = cox_node_at(targets, i);
		int64_t batch = number(t, "batch");
		char from[16], to[16], number_text[24] = "";

		if (is_quiet(t)) {
			n_quiet++;
			continue;
		}
		if (batch)
			snprintf(number_text, sizeof(number_text), "%lld.", (long long)batch);
		printf("  %-4s%-*s  %-*s", number_text, w, text(t, "cluster"), v,
		       text(t, "application"));
		if (cox_node_bool(cox_node_get(t, "moves"), false))
			printf("  %s -> %s", short_of(text(t, "from"), from),
			       short_of(text(t, "to"), to));
		print_outcome(t);
		printf("\n");
		if (diff)
			print_differences(cox_node_get(t, "differences"));
		else
			print_refused(cox_node_get(t, "differences"));
	}
	if (n_quiet)
		printf("  %zu do not change\n", n_quiet);
}

/* ---- for people: the rest ---- */

static void print_changes(const struct cox_node *changes)
{
	for (size_t i = 0; i < cox_node_len(changes); i++) {
		const struct cox_node *c = cox_node_at(changes, i);

		printf("      %s:\n", text(c, "path"));
		cli_print_value('-', "        ", cox_node_get(c, "from"));
		cli_print_value('+', "        ", cox_node_get(c, "to"));
	}
}

static void print_application(const struct cox_node *a)
{
	static const struct {
		const char *action, *sign, *code;
	} signs[] = {{"create", "+", "\033[32m"}, {"update", "~", "\033[33m"},
		     {"delete", "-", "\033[31m"}, {"held", "-", "\033[33m"},
		     {"kept", "=", ""},		  {"refused", "!", "\033[31m"}};
	const char *action = text(a, "action"), *message = text(a, "message"), *sign = " ",
		   *code = "";

	if (strcmp(action, "unchanged") == 0 && !*message)
		return;
	for (size_t i = 0; i < COX_ARRAY_LEN(signs); i++)
		if (strcmp(signs[i].action, action) == 0) {
			sign = signs[i].sign;
			code = signs[i].code;
		}
	printf("  %s%s %-9s%s %s%s%s", colour(code), sign, action, *code ? colour("\033[0m") : "",
	       text(a, "application"), *text(a, "cluster") ? " on " : "", text(a, "cluster"));
	if (*text(a, "leaves"))
		printf(" (leaves %s, where its objects stay)", text(a, "leaves"));
	printf("%s%s\n", *message ? ": " : "", message);
	print_changes(cox_node_get(a, "changes"));
}

static void print_applications(const struct cox_node *plan)
{
	const struct cox_node *apps = cox_node_get(plan, "applications");
	const struct cox_node *d = cox_node_get(plan, "deletions");

	for (size_t i = 0; i < cox_node_len(apps); i++)
		print_application(cox_node_at(apps, i));
	if (cox_node_bool(cox_node_get(d, "held"), false))
		printf("  %lld of %lld would be deleted, the budget is %lld in an hour, "
		       "%lld used up: none is, until `cox "
		       "appset confirm %s --digest %s`\n",
		       (long long)number(d, "count"), (long long)number(d, "of"),
		       (long long)number(d, "budget"), (long long)number(d, "gone"),
		       text(cox_node_get(plan, "owner"), "name"), text(d, "digest"));
}

static void print_gates(const struct cox_node *wave, const char *key)
{
	const struct cox_node *gates = cox_node_get(wave, key);

	for (size_t i = 0; i < cox_node_len(gates); i++) {
		const struct cox_node *g = cox_node_at(gates, i);

		printf("  %-6s %s: %s%s\n", key, text(g, "name"),
		       cox_node_bool(cox_node_get(g, "blocks"), false) ? "! " : "",
		       *text(g, "message") ? text(g, "message") : text(g, "state"));
	}
}

static void print_wave(const struct cox_node *wave, size_t i, size_t n, const char *at, bool diff)
{
	const struct cox_node *targets = cox_node_get(wave, "targets");
	const char *most = text(wave, "maxConcurrent");
	const char *earliest = text(cox_node_at(targets, 0), "earliest");

	if (!*most)
		most = text(wave, "maxUpdate");
	printf("\nwave %zu of %zu '%s': %lld of %zu move", i + 1, n, text(wave, "name"),
	       (long long)number(wave, "changes"), cox_node_len(targets));
	if (*most)
		printf(", %s at one time", most);
	if (strcmp(earliest, at) > 0)
		printf(", not before %s", earliest);
	printf("\n");
	print_gates(wave, "before");
	print_targets(targets, diff);
	print_gates(wave, "after");
}

static void print_blockers(const struct cox_node *list)
{
	if (cox_node_len(list))
		printf("\nin the way now:\n");
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *b = cox_node_at(list, i);

		printf("  ! ");
		if (*text(b, "wave"))
			printf("wave '%s': ", text(b, "wave"));
		if (*text(b, "gate"))
			printf("gate '%s': ", text(b, "gate"));
		if (*text(b, "application"))
			printf("%s%s%s: ", text(b, "application"),
			       *text(b, "cluster") ? " on " : "", text(b, "cluster"));
		printf("%s", text(b, "message"));
		if (*text(b, "until") && !strstr(text(b, "message"), text(b, "until")))
			printf(" (until %s)", text(b, "until"));
		printf("\n");
	}
}

static void print_head(const struct cox_node *plan)
{
	const struct cox_node *owner = cox_node_get(plan, "owner"),
			      *s = cox_node_get(plan, "summary");
	const struct cox_node *r = cox_node_get(plan, "rollout"),
			      *apps = cox_node_get(s, "applications");
	char revision[16];

	printf("plan of %s %s/%s", text(owner, "kind"), text(owner, "namespace"),
	       text(owner, "name"));
	if (*text(plan, "revision"))
		printf(" at %s", cli_short_revision(text(plan, "revision"), revision));
	if (*text(plan, "policy"))
		printf(", by policy '%s'", text(plan, "policy"));
	printf(": %lld application%s; objects: +%lld ~%lld -%lld\n", (long long)number(s, "moves"),
	       number(s, "moves") == 1 ? " moves" : "s move", (long long)number(s, "create"),
	       (long long)number(s, "update"), (long long)number(s, "delete"));
	printf("applications: +%lld ~%lld -%lld, %lld unchanged\n",
	       (long long)number(apps, "create"), (long long)number(apps, "update"),
	       (long long)number(apps, "delete"), (long long)number(apps, "unchanged"));
	printf("rollout: %s%s%s%s\n", text(r, "message"), *text(r, "until") ? " (" : "",
	       text(r, "until"), *text(r, "until") ? " at the latest)" : "");
}

static void print_plan(const struct cox_node *plan, bool diff)
{
	const struct cox_node *waves = cox_node_get(plan, "waves");
	const struct cox_node *problems = cox_node_get(plan, "problems");
	const struct cox_node *others[] = {cox_node_get(plan, "unplanned"),
					   cox_node_get(plan, "leaving")};
	static const char *const titles[] = {"in no wave", "deleted, or held back"};

	print_head(plan);
	for (size_t i = 0; i < cox_node_len(problems); i++)
		printf("  ! %s\n", cox_node_cstr(cox_node_at(problems, i), ""));
	print_applications(plan);
	for (size_t i = 0; i < cox_node_len(waves); i++)
		print_wave(cox_node_at(waves, i), i, cox_node_len(waves), text(plan, "at"), diff);
	for (size_t i = 0; i < COX_ARRAY_LEN(others); i++) {
		if (!cox_node_len(others[i]))
			continue;
		printf("\n%s:\n", titles[i]);
		print_targets(others[i], diff);
	}
	print_blockers(cox_node_get(plan, "blockers"));
}

static void warn(const struct cox_node *plan)
{
	const struct cox_node *s = cox_node_get(plan, "summary");
	int64_t unknown = number(s, "notComputed"), left = number(s, "leftOut");

	if (unknown)
		fprintf(stderr, "%lld target%s could not be computed\n", (long long)unknown,
			unknown == 1 ? "" : "s");
	if (left)
		fprintf(stderr,
			"%lld target%s left out: no more than %lld are asked about, unless "
			"--targets says so\n",
			(long long)left, left == 1 ? " is" : "s are",
			(long long)number(plan, "limit"));
}

/* ---- the verbs ---- */

static int show(const struct cli_flags *flags, const struct cox_node *plan, enum cli_format format,
		struct cox_error *err)
{
	const struct cox_node *s = cox_node_get(plan, "summary");

	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, plan);
	else
		print_plan(plan, flags->diff);
	fflush(stdout);
	warn(plan);
	if (!flags->exit_code)
		return 0;
	if (cox_node_bool(cox_node_get(plan, "changes"), true))
		return CLI_CHANGES;
	if (number(s, "notComputed") + number(s, "leftOut") > 0)
		return cox_error(err, COX_UNAVAILABLE, "nobody can say whether anything changes");
	return 0;
}

static int run(const struct cli_flags *flags, const char *path, struct cox_doc *doc,
	       struct cox_node *body, struct cox_error *err)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r == 0)
		r = put_limits(flags, doc, body, err);
	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = ask(hub, path, body, &answer, err);
	if (r != 0)
		return r;
	return show(flags, cox_node_get(cox_doc_root(answer), "plan"), format, err);
}

CLI_RUN(cli_appset_plan)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("request");
	struct cox_node *body = cox_doc_map(doc);
	const char *name = args->n ? args->items[0] : NULL,
		   *slash = name ? strchr(name, '/') : NULL;
	int r = 0;

	if (!name == !flags->files.n)
		return cli_usage(err, "either the NAME of one that is applied, or -f FILE");
	if (name) {
		cox_map_put_cstr(doc, body, "namespace", flags->namespace);
		if (slash)
			cox_map_put(doc, body, "namespace",
				    cox_doc_string(doc, cox_str_n(name, (size_t)(slash - name))));
		cox_map_put_cstr(doc, body, "name", slash ? slash + 1 : name);
	} else {
		r = put_files(flags, doc, body, err);
	}
	return r == 0 ? run(flags, "/api/v1/applicationsets/plan", doc, body, err) : r;
}

CLI_RUN(cli_rollout_plan)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("request");
	_cleanup_free_ char *path =
		cli_object_path("rollouts", true, flags->namespace, args->items[0], "/plan");

	return run(flags, path, doc, cox_doc_map(doc), err);
}
