/* common/run/loop.h in virtual time: a mailbox and timers, nothing else. */
#include "tests/sim/virtual/private.h"

#include "common/base/mem.h"
#include "common/run/wheel.h"

#include <stdlib.h>

struct cox_loop {
	struct cox_wheel wheel;
	struct cox_list mailbox; /* struct cox_task */
};

static void missing(const char *what)
{
	cox_bug(__FILE__, __LINE__, what);
}

int cox_loop_new(struct cox_loop **ret_loop, struct cox_error *err)
{
	struct cox_loop *loop = cox_new(struct cox_loop);

	(void)err;
	cox_wheel_init(&loop->wheel, virtual_now_ms());
	cox_list_init(&loop->mailbox);
	*ret_loop = loop;
	return 0;
}

void cox_loop_free(struct cox_loop *loop)
{
	if (!loop)
		return;
	COX_ASSERT(cox_list_is_empty(&loop->mailbox));
	COX_ASSERT(cox_wheel_next_ms(&loop->wheel) == INT64_MAX);
	free(loop);
}

bool cox_loop_is_owner(const struct cox_loop *loop)
{
	(void)loop;
	return true;
}

void cox_loop_adopt(struct cox_loop *loop)
{
	(void)loop;
}

int64_t cox_loop_now_ms(const struct cox_loop *loop)
{
	(void)loop;
	return virtual_now_ms();
}

/* ---- mailbox ---- */

void cox_task_init(struct cox_task *task, cox_loop_fn *fn, void *arg)
{
	*task = (struct cox_task){.fn = fn, .arg = arg};
	cox_list_init(&task->node);
}

void cox_loop_send(struct cox_loop *loop, struct cox_task *task)
{
	if (cox_list_is_empty(&task->node))
		cox_list_append(&loop->mailbox, &task->node);
}

bool cox_loop_unsend(struct cox_loop *loop, struct cox_task *task)
{
	bool was_in = task->node.next && !cox_list_is_empty(&task->node);

	(void)loop;
	if (was_in)
		cox_list_remove(&task->node);
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

void cox_timer_init(struct cox_timer *timer, struct cox_loop *loop, cox_loop_fn *fn, void *arg)
{
	*timer = (struct cox_timer){.loop = loop, .fn = fn, .arg = arg};
	cox_list_init(&timer->node);
}

void cox_timer_start(struct cox_timer *timer, int64_t delay_ms)
{
	COX_ASSERT(delay_ms >= 0 && delay_ms < INT64_C(1) << 37);
	cox_timer_stop(timer);
	timer->due_ms = virtual_now_ms() + delay_ms;
	cox_wheel_add(&timer->loop->wheel, timer);
}

bool cox_timer_is_running(const struct cox_timer *timer)
{
	return timer->node.next && !cox_list_is_empty(&timer->node);
}

void cox_timer_stop(struct cox_timer *timer)
{
	if (cox_timer_is_running(timer))
		cox_wheel_remove(&timer->loop->wheel, timer);
}

int64_t cox_timer_left_ms(const struct cox_timer *timer)
{
	int64_t left = cox_timer_is_running(timer) ? timer->due_ms - virtual_now_ms() : 0;

	return left > 0 ? left : 0;
}

/* ---- one step ---- */

int64_t virtual_next_ms(struct cox_loop *loop)
{
	return cox_list_is_empty(&loop->mailbox) ? cox_wheel_next_ms(&loop->wheel)
						 : virtual_now_ms();
}

static void run_task(struct cox_loop *loop)
{
	struct cox_task *task = COX_LIST_FIRST(&loop->mailbox, struct cox_task, node);
	cox_loop_fn *fn = task->fn;
	void *arg = task->arg;

	cox_list_remove(&task->node);
	if (task->owned)
		free(task);
	fn(arg);
}

bool virtual_step(struct cox_loop *loop, struct cox_rng *rng)
{
	bool has_task = !cox_list_is_empty(&loop->mailbox);
	struct cox_timer *timer;

	cox_wheel_advance(&loop->wheel, virtual_now_ms());
	if (has_task && (cox_list_is_empty(&loop->wheel.due) || cox_rng_below(rng, 2))) {
		run_task(loop);
		return true;
	}
	while (cox_list_is_empty(&loop->wheel.due)) {
		int64_t next = cox_wheel_next_ms(&loop->wheel);

		if (next == INT64_MAX)
			return false;
		/* an inner level of the wheel may be emptied before anything is due */
		virtual_set_now(next);
		cox_wheel_advance(&loop->wheel, next);
	}
	timer = cox_wheel_take(&loop->wheel);
	timer->fn(timer->arg);
	return true;
}

/* ---- what there is none of in here ---- */

void cox_loop_run(struct cox_loop *loop)
{
	(void)loop;
	missing("a virtual loop is stepped, not run");
}

void cox_loop_stop(struct cox_loop *loop)
{
	(void)loop;
	missing("a virtual loop is stepped, not stopped");
}

int cox_loop_wait(struct cox_loop *loop, bool (*done)(void *arg), void *arg, int64_t timeout_ms,
		  struct cox_error *err)
{
	(void)loop;
	(void)done;
	(void)arg;
	(void)timeout_ms;
	missing("nothing waits on a virtual loop");
	return cox_error(err, COX_UNIMPLEMENTED, "not here");
}

void *cox_loop_base(struct cox_loop *loop)
{
	(void)loop;
	missing("a virtual loop has no libevent");
	return NULL;
}

void cox_io_init(struct cox_io *io, struct cox_loop *loop, int fd,
		 void (*fn)(void *arg, int events), void *arg)
{
	*io = (struct cox_io){.loop = loop, .fd = fd, .fn = fn, .arg = arg};
}

int cox_io_watch(struct cox_io *io, int events, struct cox_error *err)
{
	(void)io;
	(void)events;
	missing("a virtual loop has no descriptors");
	return cox_error(err, COX_UNIMPLEMENTED, "not here");
}

void cox_io_fini(struct cox_io *io)
{
	io->events = 0;
}

int cox_signal_start(struct cox_signal *signal, struct cox_loop *loop, int number,
		     void (*fn)(void *arg, int number), void *arg, struct cox_error *err)
{
	(void)signal;
	(void)loop;
	(void)number;
	(void)fn;
	(void)arg;
	missing("a virtual loop has no signals");
	return cox_error(err, COX_UNIMPLEMENTED, "not here");
}

void cox_signal_stop(struct cox_signal *signal)
{
	(void)signal;
}
