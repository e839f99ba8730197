/* The live picture of a rollout. The hub's events bring the document; between them the clocks go on by
 * themselves, every second. When the hub goes away the last picture stays, says so, and the hub is
 * asked for again until it answers. */
#include "common/base/clock.h"
#include "hub/cli/client.h"
#include "hub/cli/picture.h"
#include "hub/cli/rollout.h"
#include "hub/cli/screen.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DRAW_DELAY_MS	   30 /* a wave of changes is one drawing */
#define AGAIN_MS	   1000
#define CLOCK_TOLERANCE_MS 2000
#define BACK_MS		   5000 /* so long it is said that the hub is back */

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};

struct view {
	struct cli_hub *hub;
	struct cox_loop *loop;
	struct cox_doc *doc; /* NULL: none yet */
	bool follow, over, failed, colour, unicode, quit;
	int caught; /* the signal that ends it; 0: none */
	bool lost;
	int64_t lost_ms, back_ms; /* wall clock */
	int64_t ahead_ms;	  /* so far is the hub's clock ahead of ours */
	char *reason;
	struct cox_timer tick, again;
	bool again_due;
	struct cox_io keys;
	struct cox_signal handlers[COX_ARRAY_LEN(signals)];
};

/* ---- drawing ---- */

/* What may be the document's way to us is no difference. */
int64_t cli_watch_ahead(const struct cox_node *rollout)
{
	int64_t at_ms, now_ms = cox_clock_wall_ms();

	if (cox_time_parse(cox_node_str(cox_node_get(rollout, "at")), &at_ms, NULL) < 0)
		return 0;
	if (at_ms <= now_ms && now_ms - at_ms < CLOCK_TOLERANCE_MS)
		return 0;
	return at_ms - now_ms;
}

static char *note_of(const struct view *v, int64_t now_ms)
{
	char since[COX_TIME_TEXT_MAX];

	if (v->lost) {
		cox_duration_human(now_ms - v->lost_ms, since);
		return cox_asprintf("the hub is away for %s, trying again: %s", since, v->reason);
	}
	if (v->back_ms && now_ms - v->back_ms < BACK_MS)
		return cox_strdup("the hub is back");
	return cox_strdup("q or Ctrl-C ends the watch, not the rollout");
}

static const struct cox_node *rollout_of(const struct view *v)
{
	return v->doc ? cox_doc_root(v->doc) : NULL;
}

static void draw(void *arg)
{
	struct view *v = arg;
	int64_t now_ms = cox_clock_wall_ms();
	_cleanup_free_ char *note = note_of(v, now_ms);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cli_picture_style style = {.now_ms = now_ms + v->ahead_ms,
					  .colour = v->colour,
					  .unicode = v->unicode,
					  .note = note};

	cli_screen_size(&style.width, &style.height);
	cli_picture(&text, rollout_of(v), &style);
	cli_screen_show(cox_buf_str(&text), style.height);
	cox_timer_start(&v->tick, 1000 - now_ms % 1000);
}

static void draw_soon(struct view *v)
{
	if (!cox_timer_is_running(&v->tick) || cox_timer_left_ms(&v->tick) > DRAW_DELAY_MS)
		cox_timer_start(&v->tick, DRAW_DELAY_MS);
}

void cli_watch_once(const struct cox_node *rollout, int64_t ahead_ms)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cli_picture_style style = {.now_ms = cox_clock_wall_ms() + ahead_ms,
					  .colour = cli_has_colour(),
					  .unicode = cli_screen_is_unicode()};
	size_t lines;

	cli_screen_size(&style.width, &lines);
	cli_picture(&text, rollout, &style);
	fwrite(cox_buf_cstr(&text), 1, text.len, stdout);
	fflush(stdout);
}

/* ---- what happens ---- */

static int on_rollout(void *ctx, struct cox_doc *doc, struct cox_error *err)
{
	struct view *v = ctx;

	(void)err;
	cox_doc_unref(v->doc);
	v->doc = cox_doc_ref(doc);
	v->ahead_ms = cli_watch_ahead(cox_doc_root(doc));
	if (v->lost)
		v->back_ms = cox_clock_wall_ms();
	v->lost = false;
	v->over = cli_rollout_is_over(cox_doc_root(doc), &v->failed) && !v->follow;
	draw_soon(v);
	return v->over;
}

static void leave(struct view *v)
{
	v->quit = true;
	cli_hub_leave(v->hub, 1);
}

/* Ctrl-Z: the terminal is given back for as long as the process sleeps. */
static void sleep_now(struct view *v)
{
	cli_screen_leave();
	kill(getpid(), SIGSTOP);
	cli_screen_enter();
	draw(v);
}

static void on_signal(void *arg, int number)
{
	struct view *v = arg;

	if (number == SIGWINCH) {
		draw(v);
	} else if (number == SIGTSTP) {
		sleep_now(v);
	} else {
		v->caught = number;
		leave(v);
	}
}

static void on_key(void *arg, int events)
{
	struct view *v = arg;
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	(void)events;
	if (n <= 0)
		cox_io_fini(&v->keys);
	for (ssize_t i = 0; i < n; i++)
		if (keys[i] == 'q' || keys[i] == 'Q')
			leave(v);
}

static void on_again(void *arg)
{
	((struct view *)arg)->again_due = true;
}

static bool is_time(void *arg)
{
	const struct view *v = arg;

	return v->again_due || v->quit;
}

/* ---- from the beginning to the end ---- */

static int begin(struct view *v, struct cox_error *err)
{
	int r = 0;

	v->loop = cli_hub_loop(v->hub);
	v->colour = cli_has_colour();
	v->unicode = cli_screen_is_unicode();
	cox_timer_init(&v->tick, v->loop, draw, v);
	cox_timer_init(&v->again, v->loop, on_again, v);
	cox_io_init(&v->keys, v->loop, STDIN_FILENO, on_key, v);
	for (size_t i = 0; r == 0 && i < COX_ARRAY_LEN(signals); i++)
		r = cox_signal_start(&v->handlers[i], v->loop, signals[i], on_signal, v, err);
	/* a file that cannot be watched has no keys to press */
	if (r == 0 && isatty(STDIN_FILENO))
		(void)cox_io_watch(&v->keys, COX_IO_READ, NULL);
	return r;
}

static void end(struct view *v)
{
	cli_screen_leave();
	for (size_t i = 0; i < COX_ARRAY_LEN(signals); i++)
		if (v->handlers[i].event)
			cox_signal_stop(&v->handlers[i]);
	cox_io_fini(&v->keys);
	cox_timer_stop(&v->tick);
	cox_timer_stop(&v->again);
}

/* Something that passes by itself, of a hub that was there already. */
static bool is_passing(const struct view *v, int r, const struct cox_error *err)
{
	return r == 0 ||
	       (v->doc && (err->code == COX_UNAVAILABLE || err->code == COX_DEADLINE_EXCEEDED ||
			   err->code == COX_UNKNOWN || err->code == COX_ABORTED));
}

static int wait_for_hub(struct view *v, int r, const struct cox_error *why, struct cox_error *err)
{
	if (!v->lost)
		v->lost_ms = cox_clock_wall_ms();
	v->lost = true;
	free(v->reason);
	v->reason = cox_strdup(r == 0 ? "it ended the stream" : why->message);
	draw(v);
	v->again_due = false;
	cox_timer_start(&v->again, AGAIN_MS);
	return cox_loop_wait(v->loop, is_time, v, INT64_C(1) << 32, err);
}

static int follow(struct view *v, const char *path, struct cox_error *err)
{
	int r = begin(v, err);

	if (r < 0)
		return r;
	cli_screen_enter();
	draw(v);
	while (!v->over && !v->quit) {
		struct cox_error why = COX_ERROR_INIT;

		r = cli_hub_follow(v->hub, path, on_rollout, v, &why);
		if (v->over || v->quit)
			return 0;
		if (!is_passing(v, r, &why)) {
			*err = why;
			return r;
		}
		r = wait_for_hub(v, r, &why, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cli_watch_screen(struct cli_hub *hub, const char *path, bool stay, bool *ret_failed,
		     struct cox_error *err)
{
	struct view v = {.hub = hub, .follow = stay};
	int r = follow(&v, path, err);

	end(&v);
	/* what was seen last stays on the terminal */
	if (r == 0 && v.doc)
		cli_watch_once(cox_doc_root(v.doc), v.ahead_ms);
	*ret_failed = v.over && v.failed;
	cox_doc_unref(v.doc);
	free(v.reason);
	if (v.caught) {
		signal(v.caught, SIG_DFL);
		raise(v.caught);
	}
	return r < 0 ? r : 0;
}
