#include "common/base/clock.h"
#include "common/base/mem.h"
#include "hub/source/private.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

static void stop(struct hub_fetch *f, enum cox_code why)
{
	if (f->stop_code)
		return;
	f->stop_code = why;
	/* Whatever waits on the socket returns now. The fetching thread closes it, under our lock. */
	if (f->fd >= 0)
		shutdown(f->fd, SHUT_RDWR);
}

/* Stops what is due; the time of what is due next, INT64_MAX when nothing is. */
static int64_t stop_due(struct hub_source *s)
{
	int64_t now_ms = cox_clock_ms(), next_ms = INT64_MAX;

	for (struct cox_list *at = s->watched.next; at != &s->watched; at = at->next) {
		struct hub_fetch *f = COX_LIST_ENTRY(at, struct hub_fetch, in_watch);

		if (s->cancelled)
			stop(f, COX_CANCELLED);
		else if (f->deadline_ms <= now_ms)
			stop(f, COX_DEADLINE_EXCEEDED);
		if (!f->stop_code && f->deadline_ms < next_ms)
			next_ms = f->deadline_ms;
	}
	return next_ms;
}

static void *watch(void *arg)
{
	struct hub_source *s = arg;

	pthread_mutex_lock(&s->watch_lock);
	while (!s->closing) {
		int64_t next_ms = stop_due(s);
		struct timespec until = {.tv_sec = next_ms / 1000,
					 .tv_nsec = next_ms % 1000 * 1000000 + 999999};

		if (next_ms == INT64_MAX)
			pthread_cond_wait(&s->watch_changed, &s->watch_lock);
		else
			pthread_cond_timedwait(&s->watch_changed, &s->watch_lock, &until);
	}
	pthread_mutex_unlock(&s->watch_lock);
	return NULL;
}

int hub_watch_start(struct hub_source *s, struct cox_error *err)
{
	pthread_condattr_t attributes;
	int sys;

	cox_list_init(&s->watched);
	pthread_mutex_init(&s->watch_lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&s->watch_changed, &attributes);
	pthread_condattr_destroy(&attributes);
	sys = pthread_create(&s->watchdog, NULL, watch, s);
	if (sys) {
		pthread_mutex_destroy(&s->watch_lock);
		pthread_cond_destroy(&s->watch_changed);
		return cox_error_sys(err, sys, "cannot start the watchdog of fetches");
	}
	return 0;
}

void hub_watch_stop(struct hub_source *s)
{
	pthread_mutex_lock(&s->watch_lock);
	COX_ASSERT(cox_list_is_empty(&s->watched));
	s->closing = true;
	pthread_cond_signal(&s->watch_changed);
	pthread_mutex_unlock(&s->watch_lock);
	pthread_join(s->watchdog, NULL);
	pthread_mutex_destroy(&s->watch_lock);
	pthread_cond_destroy(&s->watch_changed);
}

void hub_source_cancel(struct hub_source *s)
{
	pthread_mutex_lock(&s->watch_lock);
	s->cancelled = true;
	pthread_cond_signal(&s->watch_changed);
	pthread_mutex_unlock(&s->watch_lock);
}

void hub_watch_begin(struct hub_fetch *f)
{
	struct hub_source *s = f->source;

	pthread_mutex_lock(&s->watch_lock);
	f->fd = -1;
	f->stop_code = s->cancelled ? COX_CANCELLED : 0;
	cox_list_append(&s->watched, &f->in_watch);
	pthread_cond_signal(&s->watch_changed);
	pthread_mutex_unlock(&s->watch_lock);
}

void hub_watch_end(struct hub_fetch *f)
{
	struct hub_source *s = f->source;

	pthread_mutex_lock(&s->watch_lock);
	cox_list_remove(&f->in_watch);
	pthread_mutex_unlock(&s->watch_lock);
}

int hub_watch_socket(struct hub_fetch *f, int fd)
{
	struct hub_source *s = f->source;
	int code;

	pthread_mutex_lock(&s->watch_lock);
	f->fd = fd;
	code = f->stop_code;
	pthread_mutex_unlock(&s->watch_lock);
	return -code;
}

int hub_watch_check(struct hub_fetch *f, struct cox_error *err)
{
	struct hub_source *s = f->source;
	int code;

	pthread_mutex_lock(&s->watch_lock);
	if (!f->stop_code && f->deadline_ms <= cox_clock_ms())
		f->stop_code = COX_DEADLINE_EXCEEDED;
	code = f->stop_code;
	pthread_mutex_unlock(&s->watch_lock);
	if (code == COX_DEADLINE_EXCEEDED)
		return cox_error(err, COX_DEADLINE_EXCEEDED, "fetch of '%s' took too long",
				 f->url->clean);
	if (code)
		return cox_error(err, COX_CANCELLED, "fetch of '%s' was cancelled", f->url->clean);
	return 0;
}
