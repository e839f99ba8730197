/* cox rollout …: where one revision is on its way through the waves, and why. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/map.h"
#include "hub/cli/cli.h"
#include "hub/cli/client.h"
#include "hub/cli/output.h"

#include <stdio.h>

static const char *text_at(const struct cox_node *node, const char *a, const char *b)
{
	return cox_node_cstr(b ? COX_GET(node, a, b) : COX_GET(node, a), "");
}

/* An id has no '/' and is a UUID; every other word names an ApplicationSet or an Application. */
static bool is_id(const char *word)
{
	return strlen(word) == 36 && strspn(word, "0123456789abcdef-") == 36;
}

static char *rollout_path(const struct cli_flags *flags, const char *word, const char *tail)
{
	return cli_object_path("rollouts", !is_id(word), flags->namespace, word, tail);
}

/* ---- list ---- */

static size_t count(const struct cox_node *rollout, const char *state, size_t *ret_all)
{
	const struct cox_node *waves = COX_GET(rollout, "waves");
	size_t n = 0;

	*ret_all = 0;
	for (size_t i = 0; i < cox_node_len(waves); i++) {
		const struct cox_node *targets = COX_GET(cox_node_at(waves, i), "targets");

		*ret_all += cox_node_len(targets);
		for (size_t k = 0; k < cox_node_len(targets); k++)
			n += strcmp(text_at(cox_node_at(targets, k), "state", NULL), state) == 0;
	}
	return n;
}

static const char *current_wave(const struct cox_node *rollout)
{
	const struct cox_node *waves = COX_GET(rollout, "waves");

	for (size_t i = 0; i < cox_node_len(waves); i++)
		if (strcmp(text_at(cox_node_at(waves, i), "state", NULL), "Done") != 0)
			return text_at(cox_node_at(waves, i), "name", NULL);
	return "";
}

static void print_list(const struct cox_node *items)
{
	_cleanup_table_ struct cli_table t = {0};

	if (cox_node_len(items) == 0) {
		fprintf(stderr, "no rollouts\n");
		return;
	}
	cli_table_header(&t, "OF", "REVISION", "PHASE", "WAVE", "HEALTHY", "STARTED", "ID", NULL);
	for (size_t i = 0; i < cox_node_len(items); i++) {
		const struct cox_node *r = cox_node_at(items, i);
		char age[COX_TIME_TEXT_MAX], revision[16];
		size_t all, healthy = count(r, "Healthy", &all);

		cli_age(COX_GET(r, "startedAt"), age);
		cli_cell(&t, text_at(r, "owner", "name"));
		cli_cell(&t, cli_short_revision(text_at(r, "revision", NULL), revision));
		cli_cell(&t, text_at(r, "phase", NULL));
		cli_cell(&t, current_wave(r));
		cli_cellf(&t, "%zu/%zu", healthy, all);
		cli_cellf(&t, "%s%s", age, *age ? " ago" : "");
		cli_cell(&t, text_at(r, "id", NULL));
	}
	cli_table_print(&t);
}

CLI_RUN(cli_rollout_list)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	_cleanup_buf_ struct cox_buf path = COX_BUF_INIT;
	const char *namespace = flags->namespace ? flags->namespace : "-";
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	cox_buf_puts(&path, "/api/v1/rollouts");
	if (args->n) {
		cox_buf_puts(&path, "?owner=ApplicationSet/");
		cox_url_encode(&path, cox_str(namespace));
		cox_buf_putc(&path, '/');
		cox_url_encode(&path, cox_str(args->items[0]));
	}
	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = CLI_GET(hub, cox_buf_cstr(&path), &answer, err);
	if (r != 0)
		return r;
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, cox_doc_root(answer));
	else
		print_list(COX_GET(cox_doc_root(answer), "items"));
	return 0;
}

/* ---- status ---- */

static void add_targets(struct cli_table *t, const char *wave, const struct cox_node *targets)
{
	for (size_t i = 0; i < cox_node_len(targets); i++) {
		const struct cox_node *one = cox_node_at(targets, i);
		char age[COX_TIME_TEXT_MAX], revision[16];

		cli_age(COX_GET(one, "since"), age);
		cli_cell(t, wave);
		cli_cell(t, text_at(one, "application", NULL));
		cli_cell(t, text_at(one, "cluster", NULL));
		cli_cell(t, text_at(one, "state", NULL));
		cli_cell(t, cli_short_revision(text_at(one, "revision", NULL), revision));
		cli_cell(t, age);
		cli_cell(t, text_at(one, "message", NULL));
	}
}

static void print_why(const struct cox_node *why)
{
	if (*text_at(why, "text", NULL))
		printf("%-10s %s\n", "Waiting:", text_at(why, "text", NULL));
}

static void add_gates(struct cli_table *t, const struct cox_node *wave, const char *key)
{
	const struct cox_node *gates = COX_GET(wave, key);

	for (size_t i = 0; i < cox_node_len(gates); i++) {
		const struct cox_node *g = cox_node_at(gates, i);
		char age[COX_TIME_TEXT_MAX];

		cli_age(COX_GET(g, "since"), age);
		cli_cell(t, text_at(wave, "name", NULL));
		cli_cellf(t, "%s: %s", key, text_at(g, "name", NULL));
		cli_cell(t, text_at(g, "state", NULL));
		cli_cell(t, age);
		cli_cell(t, text_at(g, "next", NULL));
		cli_cellf(t, "%s%s%s", text_at(g, "message", NULL),
			  *text_at(g, "by", NULL) ? " by " : "", text_at(g, "by", NULL));
	}
}

static void print_gates(const struct cox_node *waves)
{
	_cleanup_table_ struct cli_table t = {0};
	bool any = false;

	cli_table_header(&t, "WAVE", "GATE", "STATE", "SINCE", "NEXT", "MESSAGE", NULL);
	for (size_t i = 0; i < cox_node_len(waves); i++) {
		const struct cox_node *wave = cox_node_at(waves, i);

		any |= cox_node_len(COX_GET(wave, "before")) + cox_node_len(COX_GET(wave, "after"));
		add_gates(&t, wave, "before");
		add_gates(&t, wave, "after");
	}
	if (!any)
		return;
	cli_table_print(&t);
	printf("\n");
}

static void print_reason(const struct cox_node *r)
{
	const char *reason = text_at(r, "reason", NULL), *back = text_at(r, "reversedBy", NULL);

	if (*reason)
		printf("%-10s %s\n", "Reason:", reason);
	if (*text_at(r, "reverses", NULL))
		printf("%-10s rollout %s\n", "Reverses:", text_at(r, "reverses", NULL));
	if (*back)
		printf("%-10s rollout %s\n", "Taken back:", back);
	if (*text_at(r, "paused", "by"))
		printf("%-10s by %s: %s\n", "Paused:", text_at(r, "paused", "by"),
		       text_at(r, "paused", "message"));
}

static void print_status(const struct cox_node *r)
{
	_cleanup_table_ struct cli_table t = {0};
	_cleanup_free_ char *phase = cli_coloured(text_at(r, "phase", NULL));
	const struct cox_node *waves = COX_GET(r, "waves");
	char revision[16], age[COX_TIME_TEXT_MAX];

	cli_age(COX_GET(r, "startedAt"), age);
	printf("%-10s %s %s/%s\n", "Rollout:", text_at(r, "owner", "kind"),
	       text_at(r, "owner", "namespace"), text_at(r, "owner", "name"));
	printf("%-10s %s\n",
	       "Revision:", cli_short_revision(text_at(r, "revision", NULL), revision));
	printf("%-10s %s%s%s%s\n", "Phase:", phase, *age ? ", started " : "", age,
	       *age ? " ago" : "");
	if (*text_at(r, "next", NULL))
		printf("%-10s %s\n",
		       "Next:", cli_short_revision(text_at(r, "next", NULL), revision));
	print_reason(r);
	print_why(COX_GET(r, "why"));
	printf("\n");
	print_gates(waves);
	cli_table_header(&t, "WAVE", "APPLICATION", "CLUSTER", "STATE", "REVISION", "SINCE",
			 "MESSAGE", NULL);
	for (size_t i = 0; i < cox_node_len(waves); i++) {
		const struct cox_node *wave = cox_node_at(waves, i);
		_cleanup_free_ char *name = cox_asprintf("%s (%s)", text_at(wave, "name", NULL),
							 text_at(wave, "state", NULL));

		add_targets(&t, name, COX_GET(wave, "targets"));
	}
	add_targets(&t, "in no wave", COX_GET(r, "unplanned"));
	cli_table_print(&t);
}

CLI_RUN(cli_rollout_status)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *answer = NULL;
	_cleanup_free_ char *path = rollout_path(flags, args->items[0], "");
	enum cli_format format;
	int r = cli_format_parse(flags->output, &format, err);

	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = CLI_GET(hub, path, &answer, err);
	if (r != 0)
		return r;
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, cox_doc_root(answer));
	else
		print_status(cox_doc_root(answer));
	return 0;
}

/* ---- watch ---- */

struct watch {
	bool follow;
	enum cli_format format;
	struct cox_map states; /* application -> the line that was printed last */
	char *rollout;	       /* id and phase that were printed last */
	char *why;	       /* what it waited for */
	bool failed;
};

static void watch_fini(struct watch *w)
{
	cox_map_fini_values(&w->states, free);
	free(w->rollout);
	free(w->why);
}

static void print_stamped(const char *text)
{
	char now[COX_TIME_TEXT_MAX];

	cox_time_format(cox_clock_wall_ms(), now);
	/* the time of the day is what a person looks for */
	printf("%.8s  %s\n", now + 11, text);
	fflush(stdout);
}

static void watch_target(struct watch *w, const char *wave, const struct cox_node *target)
{
	_cleanup_free_ char *state = cli_coloured(text_at(target, "state", NULL));
	const char *message = text_at(target, "message", NULL);
	char revision[16];
	char *text =
		cox_asprintf("%-10s %s on %s: %s at %s%s%s", wave,
			     text_at(target, "application", NULL), text_at(target, "cluster", NULL),
			     state, cli_short_revision(text_at(target, "revision", NULL), revision),
			     *message ? ": " : "", message);
	const char *key = text_at(target, "application", NULL);

	if (cox_streq(cox_map_get(&w->states, key), text)) {
		free(text);
		return;
	}
	print_stamped(text);
	free(cox_map_set(&w->states, key, text));
}

static void watch_phase(struct watch *w, const struct cox_node *r)
{
	_cleanup_free_ char *phase = cli_coloured(text_at(r, "phase", NULL));
	char revision[16];
	char *key = cox_asprintf("%s %s", text_at(r, "id", NULL), text_at(r, "phase", NULL));
	char *text = cox_asprintf("%-10s %s of %s", phase, text_at(r, "owner", "name"),
				  cli_short_revision(text_at(r, "revision", NULL), revision));

	if (!cox_streq(w->rollout, key)) {
		print_stamped(text);
		free(w->rollout);
		w->rollout = TAKE(key);
	}
	free(key);
	free(text);
}

static void watch_why(struct watch *w, const struct cox_node *r)
{
	const char *text = text_at(r, "why", "text");
	_cleanup_free_ char *line = NULL;

	if (!*text || cox_streq(w->why, text))
		return;
	line = cox_asprintf("%-10s %s", "waits", text);
	print_stamped(line);
	free(w->why);
	w->why = cox_strdup(text);
}

/* Over, and no way back follows. */
static bool is_over(struct watch *w, const struct cox_node *r)
{
	const char *phase = text_at(r, "phase", NULL);

	if (strcmp(phase, "Progressing") == 0 || strcmp(phase, "Superseded") == 0)
		return false;
	w->failed = strcmp(phase, "Succeeded") != 0 || *text_at(r, "reverses", NULL);
	return strcmp(phase, "Succeeded") == 0 || !*text_at(r, "reversedBy", NULL);
}

/* 1: what was watched for is over. */
static int on_rollout(void *ctx, struct cox_doc *doc, struct cox_error *err)
{
	const struct cox_node *r = cox_doc_root(doc), *waves = COX_GET(r, "waves");
	struct watch *w = ctx;
	bool over = is_over(w, r);

	(void)err;
	if (w->format == CLI_JSON || w->format == CLI_YAML) {
		if (w->format == CLI_YAML)
			printf("---\n");
		cli_print_node(w->format, r);
		fflush(stdout);
		return over && !w->follow;
	}
	if (!over)
		watch_phase(w, r);
	for (size_t i = 0; i < cox_node_len(waves); i++) {
		const struct cox_node *wave = cox_node_at(waves, i);
		const struct cox_node *targets = COX_GET(wave, "targets");

		for (size_t k = 0; k < cox_node_len(targets); k++)
			watch_target(w, text_at(wave, "name", NULL), cox_node_at(targets, k));
	}
	watch_why(w, r);
	if (over)
		watch_phase(w, r);
	return over && !w->follow;
}

CLI_RUN(cli_rollout_watch)
{
	COX_CLEANUP(watch_fini) struct watch w = {.follow = flags->follow};
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_free_ char *path = rollout_path(flags, args->items[0], "/watch");
	int r = cli_format_parse(flags->output, &w.format, err);

	if (is_id(args->items[0]))
		return cli_usage(err, "watch the ApplicationSet or the Application by its name");
	if (r == 0)
		r = cli_hub_open(flags, &hub, err);
	if (r == 0)
		r = cli_hub_follow(hub, path, on_rollout, &w, err);
	if (r == 0)
		return cox_error(err, COX_UNAVAILABLE, "the hub ended the stream");
	if (r < 0 || r == CLI_USAGE)
		return r;
	return w.failed ? CLI_FAILED : 0;
}
