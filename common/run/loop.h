/* The loop: one thread that owns sockets, timers, signals and all state that is called loop-owned.
 * libevent ends here.
 *
 * Everything but cox_loop_post, cox_loop_send, cox_loop_unsend, cox_loop_stop and cox_loop_now_ms
 * is called on the loop's thread, which is asserted: that is the thread that called cox_loop_new,
 * until another one calls cox_loop_adopt or cox_loop_run. Callbacks never block, and
 * never run the loop.
 *
 * What the loop knows of (timers, watches, signals, tasks) lives in its user's structs and must be
 * stopped or finished before those are freed; cox_loop_free asserts that no watch, signal or
 * running timer is left. A callback may stop, restart or free its own object.
 */
#ifndef COX_RUN_LOOP_H
#define COX_RUN_LOOP_H

#include "common/base/error.h"
#include "common/base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct cox_loop;

/* Ignores SIGPIPE and SIGXFSZ in the process. */
int cox_loop_new(struct cox_loop **ret_loop, struct cox_error *err);
/* NULL is fine. Tasks still in the mailbox are dropped without running; those of cox_loop_post are
 * freed, but not what their argument points at: stop the other threads first. */
void cox_loop_free(struct cox_loop *loop);
DEFINE_CLEANUP(struct cox_loop *, cox_loop_free);
#define _cleanup_loop_ COX_CLEANUP(cox_loop_free_p)
/* Runs until cox_loop_stop; the calling thread owns the loop from now on. A stop that came before
 * is honoured. */
void cox_loop_run(struct cox_loop *loop);
/* Any thread. The running cox_loop_run or cox_loop_wait returns after the current callback. */
void cox_loop_stop(struct cox_loop *loop);
/* The calling thread owns the loop from now on; nobody may be running it. */
void cox_loop_adopt(struct cox_loop *loop);
bool cox_loop_is_owner(const struct cox_loop *loop);
/* Runs until done(arg) is true, which is asked after every turn; for tests and for commands that do
 * one thing. -COX_DEADLINE_EXCEEDED after timeout_ms, -COX_CANCELLED after cox_loop_stop. */
int cox_loop_wait(struct cox_loop *loop, bool (*done)(void *arg), void *arg, int64_t timeout_ms,
		  struct cox_error *err);
/* Milliseconds of the monotonic clock, as cox_clock_ms. Any thread. */
int64_t cox_loop_now_ms(const struct cox_loop *loop);

/* ---- mailbox: any thread hands work to the loop, in order, and wakes it ---- */

typedef void cox_loop_fn(void *arg);

/* Any thread: fn(arg) will run on the loop's thread, never inside this call. */
void cox_loop_post(struct cox_loop *loop, cox_loop_fn *fn, void *arg);

/* The same without memory of its own: a task in the caller's struct, in at most one mailbox once.
 */
struct cox_task {
	struct cox_list node;
	cox_loop_fn *fn;
	void *arg;
	bool owned; /* by the loop: from cox_loop_post */
};
void cox_task_init(struct cox_task *task, cox_loop_fn *fn, void *arg);
/* Any thread. A task that is waiting already stays where it is. It may be sent again from the
 * moment its fn begins. */
void cox_loop_send(struct cox_loop *loop, struct cox_task *task);
/* Any thread: takes a task that has not begun out of the mailbox. false: it was not in there
 * (also when it was only zeroed). */
bool cox_loop_unsend(struct cox_loop *loop, struct cox_task *task);

/* ---- timers: one hierarchical wheel, 1 ms ticks, O(1) to start and stop (wheel.h) ---- */

struct cox_timer {
	struct cox_list node;
	int64_t due_ms;
	uint8_t level, slot; /* the wheel's */
	struct cox_loop *loop;
	cox_loop_fn *fn;
	void *arg;
};
void cox_timer_init(struct cox_timer *timer, struct cox_loop *loop, cox_loop_fn *fn, void *arg);
/* Fires once, delay_ms (>= 0; at most about two years) from now, never inside this call and never
 * early; a running timer is moved. */
void cox_timer_start(struct cox_timer *timer, int64_t delay_ms);
/* Harmless when it does not run, or was only zeroed. */
void cox_timer_stop(struct cox_timer *timer);
bool cox_timer_is_running(const struct cox_timer *timer);
/* Milliseconds left; 0 when due or not running. */
int64_t cox_timer_left_ms(const struct cox_timer *timer);

/* ---- file descriptors, level-triggered ---- */

enum { COX_IO_READ = 1, COX_IO_WRITE = 2 };

struct cox_io {
	struct cox_loop *loop;
	void *event;
	int fd, events;
	void (*fn)(void *arg, int events);
	void *arg;
};
/* The descriptor stays the caller's, and is closed after cox_io_fini. Watches nothing yet. */
void cox_io_init(struct cox_io *io, struct cox_loop *loop, int fd,
		 void (*fn)(void *arg, int events), void *arg);
/* Watches for these (COX_IO_*) from now on; 0: for nothing. */
int cox_io_watch(struct cox_io *io, int events, struct cox_error *err);
/* Harmless on a zeroed or finished one. */
void cox_io_fini(struct cox_io *io);

/* ---- signals ---- */

struct cox_signal {
	struct cox_loop *loop;
	void *event;
	void (*fn)(void *arg, int number);
	void *arg;
};
/* fn runs on the loop's thread, not in a signal handler. One loop of a process may do this. */
int cox_signal_start(struct cox_signal *signal, struct cox_loop *loop, int number,
		     void (*fn)(void *arg, int number), void *arg, struct cox_error *err);
void cox_signal_stop(struct cox_signal *signal);

/* libevent's struct event_base; for common/net/http_server.c and nobody else. */
void *cox_loop_base(struct cox_loop *loop);

#endif
