/* cox rollout watch: a picture on a terminal (watch_screen.c); elsewhere a line for each change, which
 * is what scripts read. */
#include "common/base/clock.h"
#include "common/base/map.h"
#include "hub/cli/client.h"
#include "hub/cli/rollout.h"
#include "hub/cli/screen.h"

#include <stdio.h>

static const char *text_at(const struct cox_node *node, const char *a, const char *b)
{
	return cox_node_cstr(b ? COX_GET(node, a, b) : COX_GET(node, a), "");
}

bool cli_rollout_is_over(const struct cox_node *r, bool *ret_failed)
{
	const char *phase = text_at(r, "phase", NULL);
	bool succeeded = strcmp(phase, "Succeeded") == 0;

	*ret_failed = false;
	if (strcmp(phase, "Progressing") == 0 || strcmp(phase, "Superseded") == 0)
		return false;
	*ret_failed = !succeeded || *text_at(r, "reverses", NULL);
	return succeeded || !*text_at(r, "reversedBy", NULL);
}

/* ---- lines ---- */

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

/* 1: what was watched for is over. */
static int on_rollout(void *ctx, struct cox_doc *doc, struct cox_error *err)
{
	const struct cox_node *r = cox_doc_root(doc), *waves = COX_GET(r, "waves");
	struct watch *w = ctx;
	bool over = cli_rollout_is_over(r, &w->failed);

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

static int watch_lines(struct cli_hub *hub, const char *path, struct watch *w,
		       struct cox_error *err)
{
	int r = cli_hub_follow(hub, path, on_rollout, w, err);

	return r == 0 ? cox_error(err, COX_UNAVAILABLE, "the hub ended the stream") : r;
}

static int once(const struct cli_flags *flags, const char *name, enum cli_format format,
		struct cox_error *err)
{
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	_cleanup_free_ char *path = cli_rollout_path(flags, name, "");
	bool failed;
	int r = cli_hub_open(flags, &hub, err);

	if (r == 0)
		r = CLI_GET(hub, path, &doc, err);
	if (r != 0)
		return r;
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, cox_doc_root(doc));
	else
		cli_watch_once(cox_doc_root(doc), cli_watch_ahead(cox_doc_root(doc)));
	(void)cli_rollout_is_over(cox_doc_root(doc), &failed);
	return failed ? CLI_FAILED : 0;
}

CLI_RUN(cli_rollout_watch)
{
	COX_CLEANUP(watch_fini) struct watch w = {.follow = flags->follow};
	_cleanup_hub_ struct cli_hub *hub = NULL;
	_cleanup_free_ char *path = cli_rollout_path(flags, args->items[0], "/watch");
	int r = cli_format_parse(flags->output, &w.format, err);

	if (r != 0)
		return r;
	if (flags->once)
		return once(flags, args->items[0], w.format, err);
	if (cli_rollout_is_id(args->items[0]))
		return cli_usage(err, "watch the ApplicationSet or the Application by its name");
	r = cli_hub_open(flags, &hub, err);
	if (r != 0)
		return r;
	if (w.format == CLI_TABLE && !flags->lines && cli_screen_is_usable())
		r = cli_watch_screen(hub, path, flags->follow, &w.failed, err);
	else
		r = watch_lines(hub, path, &w, err);
	if (r < 0 || r == CLI_USAGE)
		return r;
	return w.failed ? CLI_FAILED : 0;
}
