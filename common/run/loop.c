#include "common/run/loop.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/run/wheel.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct cox_loop {
	struct event_base *base;
	_Atomic pthread_t owner;
	atomic_bool stopping;
	size_t n_watches; /* cox_io and cox_signal */
	bool running;

	int timer_fd;
	struct event *timer_event;
	int64_t armed_ms; /* what timer_fd is set to; INT64_MAX: nothing */
	bool in_timers;	  /* armed again when all callbacks are through */
	struct cox_wheel wheel;

	int wake_fd;
	struct event *wake_event;
	pthread_mutex_t lock;	 /* of the two below */
	struct cox_list mailbox; /* struct cox_task */
	bool woken;		 /* wake_fd was written and not read yet */
};

#define ASSERT_OWNER(loop) COX_ASSERT(cox_loop_is_owner(loop))

bool cox_loop_is_owner(const struct cox_loop *loop)
{
	return pthread_equal(atomic_load_explicit(&loop->owner, memory_order_relaxed),
			     pthread_self());
}

void cox_loop_adopt(struct cox_loop *loop)
{
	atomic_store(&loop->owner, pthread_self());
}

void *cox_loop_base(struct cox_loop *loop)
{
	ASSERT_OWNER(loop);
	return loop->base;
}

int64_t cox_loop_now_ms(const struct cox_loop *loop)
{
	(void)loop;
	return cox_clock_ms();
}

/* ---- mailbox ---- */

static void ring(struct cox_loop *loop)
{
	uint64_t one = 1;
	ssize_t n;

	do
		n = write(loop->wake_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR); /* EAGAIN: it rings already */
}

/* With the lock held; true: the caller must ring after unlocking. */
static bool must_ring(struct cox_loop *loop)
{
	bool ring_now = !loop->woken;

	loop->woken = true;
	return ring_now;
}

static struct cox_task *next_task(struct cox_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	struct cox_task *task = COX_LIST_FIRST(&loop->mailbox, struct cox_task, node);
	if (task)
		cox_list_remove(&task->node);
	pthread_mutex_unlock(&loop->lock);
	return task;
}

static void run_task(struct cox_task *task)
{
	cox_loop_fn *fn = task->fn;
	void *arg = task->arg;

	if (task->owned)
		free(task);
	fn(arg);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct cox_loop *loop = arg;
	uint64_t count;
	size_t n = 0;

	(void)what;
	(void)!read(fd, &count, sizeof(count));
	pthread_mutex_lock(&loop->lock);
	loop->woken = false;
	COX_LIST_EACH(&loop->mailbox, node)
	n++;
	pthread_mutex_unlock(&loop->lock);

	/* Only what was there when it rang: a task that sends itself again takes turns with the
	 * sockets. What came since has rung again. */
	for (; n > 0 && !atomic_load(&loop->stopping); n--) {
		struct cox_task *task = next_task(loop);
		if (!task)
			break;
		run_task(task);
	}
	if (atomic_load(&loop->stopping))
		event_base_loopbreak(loop->base);
}

void cox_task_init(struct cox_task *task, cox_loop_fn *fn, void *arg)
{
	*task = (struct cox_task){.fn = fn, .arg = arg};
	cox_list_init(&task->node);
}

void cox_loop_send(struct cox_loop *loop, struct cox_task *task)
{
	bool ring_now = false;

	pthread_mutex_lock(&loop->lock);
	if (cox_list_is_empty(&task->node)) {
		cox_list_append(&loop->mailbox, &task->node);
		ring_now = must_ring(loop);
	}
	pthread_mutex_unlock(&loop->lock);
	if (ring_now)
		ring(loop);
}

bool cox_loop_unsend(struct cox_loop *loop, struct cox_task *task)
{
	pthread_mutex_lock(&loop->lock);
	/* A task that was only zeroed was never sent. */
	bool was_in = task->node.next && !cox_list_is_empty(&task->node);
	if (was_in)
		cox_list_remove(&task->node);
	pthread_mutex_unlock(&loop->lock);
	return was_in;
}

void cox_loop_post(struct cox_loop *loop, cox_loop_fn *fn, void *arg)
{
	struct cox_task *task = cox_new(struct cox_task);

	cox_task_init(task, fn, arg);
	task->owned = true;
	cox_loop_send(loop, task);
}

/* ---- timers ---- */

static void arm(struct cox_loop *loop, int64_t at_ms)
{
	struct itimerspec when = {0};

	if (at_ms == loop->armed_ms)
		return;
	loop->armed_ms = at_ms;
	if (at_ms != INT64_MAX) {
		when.it_value.tv_sec = at_ms / 1000;
		when.it_value.tv_nsec = at_ms % 1000 * 1000000;
	}
	COX_ASSERT(timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct cox_loop *loop = arg;
	struct cox_timer *timer;
	uint64_t count;

	(void)what;
	(void)!read(fd, &count, sizeof(count));
	loop->armed_ms = INT64_MAX;
	loop->in_timers = true;
	cox_wheel_advance(&loop->wheel, cox_clock_ms());
	while (!atomic_load(&loop->stopping) && (timer = cox_wheel_take(&loop->wheel)))
		timer->fn(timer->arg);
	loop->in_timers = false;
	arm(loop, cox_wheel_next_ms(&loop->wheel));
}

void cox_timer_init(struct cox_timer *timer, struct cox_loop *loop, cox_loop_fn *fn, void *arg)
{
	*timer = (struct cox_timer){.loop = loop, .fn = fn, .arg = arg};
	cox_list_init(&timer->node);
}

void cox_timer_start(struct cox_timer *timer, int64_t delay_ms)
{
	struct cox_loop *loop = timer->loop;

	ASSERT_OWNER(loop);
	COX_ASSERT(delay_ms >= 0 && delay_ms < INT64_C(1) << 37);
	cox_timer_stop(timer);
	/* Rounded up, so that it never fires early. */
	timer->due_ms = (cox_clock_us() + 999) / 1000 + delay_ms;
	cox_wheel_add(&loop->wheel, timer);
	if (!loop->in_timers && cox_wheel_next_ms(&loop->wheel) < loop->armed_ms)
		arm(loop, cox_wheel_next_ms(&loop->wheel));
}

bool cox_timer_is_running(const struct cox_timer *timer)
{
	return timer->node.next && !cox_list_is_empty(&timer->node);
}

void cox_timer_stop(struct cox_timer *timer)
{
	if (!cox_timer_is_running(timer))
		return;
	ASSERT_OWNER(timer->loop);
	cox_wheel_remove(&timer->loop->wheel, timer);
}

int64_t cox_timer_left_ms(const struct cox_timer *timer)
{
	int64_t left = cox_timer_is_running(timer) ? timer->due_ms - cox_clock_ms() : 0;

	return left > 0 ? left : 0;
}

/* ---- descriptors and signals ---- */

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct cox_io *io = arg;

	(void)fd;
	io->fn(io->arg, (what & EV_READ ? COX_IO_READ : 0) | (what & EV_WRITE ? COX_IO_WRITE : 0));
}

void cox_io_init(struct cox_io *io, struct cox_loop *loop, int fd,
		 void (*fn)(void *arg, int events), void *arg)
{
	ASSERT_OWNER(loop);
	*io = (struct cox_io){.loop = loop, .fd = fd, .fn = fn, .arg = arg};
}

int cox_io_watch(struct cox_io *io, int events, struct cox_error *err)
{
	short what = (events & COX_IO_READ ? EV_READ : 0) | (events & COX_IO_WRITE ? EV_WRITE : 0);

	ASSERT_OWNER(io->loop);
	if (events == io->events)
		return 0;
	if (!io->event) {
		io->event = event_new(io->loop->base, io->fd, what | EV_PERSIST, on_io, io);
		COX_ASSERT(io->event);
		io->loop->n_watches++;
	} else {
		event_del(io->event);
		event_assign(io->event, io->loop->base, io->fd, what | EV_PERSIST, on_io, io);
	}
	io->events = 0;
	if (what && event_add(io->event, NULL) < 0)
		return cox_error_sys(err, errno, "cannot watch descriptor %d", io->fd);
	io->events = events;
	return 0;
}

void cox_io_fini(struct cox_io *io)
{
	if (!io->event)
		return;
	ASSERT_OWNER(io->loop);
	event_free(io->event);
	io->event = NULL;
	io->events = 0;
	io->loop->n_watches--;
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct cox_signal *s = arg;

	(void)what;
	s->fn(s->arg, (int)number);
}

int cox_signal_start(struct cox_signal *s, struct cox_loop *loop, int number,
		     void (*fn)(void *arg, int number), void *arg, struct cox_error *err)
{
	ASSERT_OWNER(loop);
	struct event *event = evsignal_new(loop->base, number, on_signal, s);
	COX_ASSERT(event);
	if (event_add(event, NULL) < 0) {
		event_free(event);
		return cox_error_sys(err, errno, "cannot watch for signal %d", number);
	}
	*s = (struct cox_signal){.loop = loop, .event = event, .fn = fn, .arg = arg};
	loop->n_watches++;
	return 0;
}

void cox_signal_stop(struct cox_signal *s)
{
	if (!s->event)
		return;
	ASSERT_OWNER(s->loop);
	event_free(s->event);
	s->event = NULL;
	s->loop->n_watches--;
}

/* ---- the loop ---- */

static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config) {
		/* The base is touched by its own thread only; other threads ring. */
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	return base;
}

static struct event *watch_own(struct cox_loop *loop, int fd, event_callback_fn fn)
{
	struct event *event = event_new(loop->base, fd, EV_READ | EV_PERSIST, fn, loop);

	COX_ASSERT(event);
	COX_ASSERT(event_add(event, NULL) == 0);
	return event;
}

int cox_loop_new(struct cox_loop **ret_loop, struct cox_error *err)
{
	struct event_base *base = new_base();

	if (!base)
		return cox_error_sys(err, errno, "cannot make an event loop");
	int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (wake_fd < 0 || timer_fd < 0) {
		int sys = errno;
		cox_close_p(&wake_fd);
		cox_close_p(&timer_fd);
		event_base_free(base);
		return cox_error_sys(err, sys, "cannot make an event loop");
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failed write, not our end */

	struct cox_loop *loop = cox_new(struct cox_loop);
	loop->base = base;
	loop->wake_fd = wake_fd;
	loop->timer_fd = timer_fd;
	loop->armed_ms = INT64_MAX;
	pthread_mutex_init(&loop->lock, NULL);
	cox_list_init(&loop->mailbox);
	cox_wheel_init(&loop->wheel, cox_clock_ms());
	cox_loop_adopt(loop);
	loop->wake_event = watch_own(loop, wake_fd, on_wake);
	loop->timer_event = watch_own(loop, timer_fd, on_timer);
	*ret_loop = loop;
	return 0;
}

void cox_loop_free(struct cox_loop *loop)
{
	if (!loop)
		return;
	ASSERT_OWNER(loop);
	COX_ASSERT(loop->n_watches == 0);
	COX_ASSERT(cox_wheel_next_ms(&loop->wheel) == INT64_MAX);
	COX_LIST_EACH(&loop->mailbox, node)
	{
		struct cox_task *task = COX_LIST_ENTRY(node, struct cox_task, node);
		cox_list_remove(node);
		if (task->owned)
			free(task);
	}
	event_free(loop->wake_event);
	event_free(loop->timer_event);
	event_base_free(loop->base);
	close(loop->wake_fd);
	close(loop->timer_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

void cox_loop_stop(struct cox_loop *loop)
{
	atomic_store(&loop->stopping, true);
	if (cox_loop_is_owner(loop))
		event_base_loopbreak(loop->base);
	ring(loop);
}

static void begin_running(struct cox_loop *loop)
{
	COX_ASSERT(!loop->running); /* not from inside a callback */
	cox_loop_adopt(loop);
	loop->running = true;
	/* A stop may have left tasks behind. */
	pthread_mutex_lock(&loop->lock);
	bool left = !cox_list_is_empty(&loop->mailbox);
	loop->woken = left;
	pthread_mutex_unlock(&loop->lock);
	if (left)
		ring(loop);
}

void cox_loop_run(struct cox_loop *loop)
{
	begin_running(loop);
	while (!atomic_load(&loop->stopping))
		COX_ASSERT(event_base_loop(loop->base, 0) >= 0);
	atomic_store(&loop->stopping, false);
	loop->running = false;
}

static void expire(void *arg)
{
	*(bool *)arg = true;
}

int cox_loop_wait(struct cox_loop *loop, bool (*done)(void *arg), void *arg, int64_t timeout_ms,
		  struct cox_error *err)
{
	struct cox_timer deadline;
	bool expired = false;
	bool is_done;

	begin_running(loop);
	cox_timer_init(&deadline, loop, expire, &expired);
	cox_timer_start(&deadline, timeout_ms);
	while (!(is_done = done(arg)) && !expired && !atomic_load(&loop->stopping))
		COX_ASSERT(event_base_loop(loop->base, EVLOOP_ONCE) >= 0);
	cox_timer_stop(&deadline);
	loop->running = false;
	if (is_done)
		return 0;
	if (atomic_exchange(&loop->stopping, false))
		return cox_error(err, COX_CANCELLED, "the loop was stopped");
	return cox_error(err, COX_DEADLINE_EXCEEDED, "still waiting after %lld ms",
			 (long long)timeout_ms);
}
