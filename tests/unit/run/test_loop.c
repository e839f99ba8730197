#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/run/loop.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static struct cox_loop *loop;

static int setup(void **state)
{
	(void)state;
	return cox_loop_new(&loop, NULL);
}

static int teardown(void **state)
{
	(void)state;
	cox_loop_free(loop);
	return 0;
}

static bool is_set(void *arg)
{
	return *(bool *)arg;
}

static void set(void *arg)
{
	*(bool *)arg = true;
}

enum { N_THREADS = 4, N_POSTS = 5000 };

struct poster {
	pthread_t thread;
	int next; /* on the loop: what must come next from this one */
};

static struct poster posters[N_THREADS];
static int n_seen;

struct message {
	struct poster *from;
	int number;
};

static void receive(void *arg)
{
	struct message *m = arg;

	COX_ASSERT(cox_loop_is_owner(loop));
	COX_ASSERT(m->from->next++ == m->number);
	free(m);
	if (++n_seen == N_THREADS * N_POSTS)
		cox_loop_stop(loop);
}

static void *post_many(void *arg)
{
	for (int i = 0; i < N_POSTS; i++) {
		struct message *m = cox_new(struct message);
		*m = (struct message){arg, i};
		cox_loop_post(loop, receive, m);
	}
	return NULL;
}

static void posts_arrive_once_and_in_order(void **state)
{
	(void)state;
	for (int i = 0; i < N_THREADS; i++)
		pthread_create(&posters[i].thread, NULL, post_many, &posters[i]);
	cox_loop_run(loop);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(posters[i].thread, NULL);
	assert_int_equal(n_seen, N_THREADS * N_POSTS);
}

static void a_task_waits_once_and_can_be_taken_back(void **state)
{
	struct cox_task task;
	bool ran = false, end = false;

	(void)state;
	cox_task_init(&task, set, &ran);
	cox_loop_send(loop, &task);
	cox_loop_send(loop, &task);
	assert_true(cox_loop_unsend(loop, &task));
	assert_false(cox_loop_unsend(loop, &task));
	cox_loop_post(loop, set, &end);
	assert_int_equal(cox_loop_wait(loop, is_set, &end, 5000, NULL), 0);
	assert_false(ran);
}

static struct cox_task self;
static int n_self;

static void send_self(void *arg)
{
	n_self++;
	if (!*(bool *)arg)
		cox_loop_send(loop, &self);
}

/* A task that always sends itself again starves neither timers nor descriptors. */
static void a_busy_task_takes_turns(void **state)
{
	struct cox_timer timer;
	bool fired = false;

	(void)state;
	cox_task_init(&self, send_self, &fired);
	cox_timer_init(&timer, loop, set, &fired);
	cox_timer_start(&timer, 20);
	cox_loop_send(loop, &self);
	assert_int_equal(cox_loop_wait(loop, is_set, &fired, 5000, NULL), 0);
	assert_true(n_self > 1);
	cox_loop_unsend(loop, &self);
}

struct tick {
	struct cox_timer timer;
	int64_t wanted_ms, fired_ms;
	int n, order;
};

static int n_ticks;

static void on_tick(void *arg)
{
	struct tick *t = arg;

	t->fired_ms = cox_clock_ms();
	t->n++;
	t->order = n_ticks++;
}

static bool five_ticks(void *arg)
{
	(void)arg;
	return n_ticks == 5;
}

static void timers_fire_in_order_and_never_early(void **state)
{
	static const int delays[] = {70, 0, 10, 200, 66};
	static const int order[] = {3, 0, 1, 4, 2};
	struct tick ticks[5] = {0};

	(void)state;
	for (int i = 0; i < 5; i++) {
		cox_timer_init(&ticks[i].timer, loop, on_tick, &ticks[i]);
		cox_timer_start(&ticks[i].timer, 100000);
		ticks[i].wanted_ms = cox_clock_ms() + delays[i];
		cox_timer_start(&ticks[i].timer, delays[i]);
		assert_true(cox_timer_is_running(&ticks[i].timer));
		assert_true(cox_timer_left_ms(&ticks[i].timer) <= delays[i] + 1);
	}
	assert_int_equal(cox_loop_wait(loop, five_ticks, NULL, 10000, NULL), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ticks[i].n, 1);
		assert_int_equal(ticks[i].order, order[i]);
		assert_true(ticks[i].fired_ms >= ticks[i].wanted_ms);
		assert_false(cox_timer_is_running(&ticks[i].timer));
	}
}

static struct cox_timer victim;

static void stop_victim(void *arg)
{
	cox_timer_stop(&victim);
	set(arg);
}

static void a_callback_may_stop_a_timer_that_is_due(void **state)
{
	struct cox_timer killer, later;
	bool killed = false, fired = false, end = false;

	(void)state;
	cox_timer_init(&killer, loop, stop_victim, &killed);
	cox_timer_init(&victim, loop, set, &fired);
	cox_timer_init(&later, loop, set, &end);
	cox_timer_start(&killer, 0);
	cox_timer_start(&victim, 0);
	while (cox_timer_left_ms(&victim) > 0) /* both are due in one turn */
		sched_yield();
	cox_timer_start(&later, 1);
	assert_int_equal(cox_loop_wait(loop, is_set, &end, 5000, NULL), 0);
	assert_true(killed);
	assert_false(fired);
}

static void waiting_has_a_deadline(void **state)
{
	bool never = false;
	struct cox_error err;

	(void)state;
	assert_int_equal(cox_loop_wait(loop, is_set, &never, 10, &err), -COX_DEADLINE_EXCEEDED);
	assert_int_equal(err.code, COX_DEADLINE_EXCEEDED);
	cox_loop_stop(loop);
	assert_int_equal(cox_loop_wait(loop, is_set, &never, 5000, &err), -COX_CANCELLED);
}

static int seen_events;

static void on_event(void *arg, int events)
{
	seen_events |= events;
	set(arg);
}

static void descriptors_are_watched(void **state)
{
	struct cox_io io;
	bool seen = false;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	cox_io_init(&io, loop, fds[0], on_event, &seen);
	assert_int_equal(cox_io_watch(&io, COX_IO_READ, NULL), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(cox_loop_wait(loop, is_set, &seen, 5000, NULL), 0);
	assert_int_equal(seen_events, COX_IO_READ);
	seen = false;
	assert_int_equal(cox_io_watch(&io, 0, NULL), 0);
	assert_int_equal(cox_loop_wait(loop, is_set, &seen, 20, NULL), -COX_DEADLINE_EXCEEDED);
	cox_io_fini(&io);
	cox_io_init(&io, loop, fds[1], on_event, &seen);
	assert_int_equal(cox_io_watch(&io, COX_IO_WRITE, NULL), 0);
	assert_int_equal(cox_loop_wait(loop, is_set, &seen, 5000, NULL), 0);
	assert_int_equal(seen_events, COX_IO_READ | COX_IO_WRITE);
	cox_io_fini(&io);
	close(fds[0]);
	close(fds[1]);
}

static int seen_signal;

static void on_number(void *arg, int number)
{
	seen_signal = number;
	set(arg);
}

static void signals_come_to_the_loop(void **state)
{
	struct cox_signal s;
	bool seen = false;

	(void)state;
	assert_int_equal(cox_signal_start(&s, loop, SIGUSR1, on_number, &seen, NULL), 0);
	raise(SIGUSR1);
	assert_int_equal(cox_loop_wait(loop, is_set, &seen, 5000, NULL), 0);
	assert_int_equal(seen_signal, SIGUSR1);
	cox_signal_stop(&s);
	raise(SIGPIPE); /* ignored */
}

static void *run_it(void *arg)
{
	(void)arg;
	cox_loop_run(loop);
	return NULL;
}

static void runs_on_another_thread_and_stops(void **state)
{
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, run_it, NULL);
	cox_loop_stop(loop); /* before or after it began: both end it */
	pthread_join(thread, NULL);
	assert_false(cox_loop_is_owner(loop));
	cox_loop_adopt(loop);
	assert_true(cox_loop_is_owner(loop));
}

int main(void)
{
#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		LOOP_TEST(posts_arrive_once_and_in_order),
		LOOP_TEST(a_task_waits_once_and_can_be_taken_back),
		LOOP_TEST(a_busy_task_takes_turns),
		LOOP_TEST(timers_fire_in_order_and_never_early),
		LOOP_TEST(a_callback_may_stop_a_timer_that_is_due),
		LOOP_TEST(waiting_has_a_deadline),
		LOOP_TEST(descriptors_are_watched),
		LOOP_TEST(signals_come_to_the_loop),
		LOOP_TEST(runs_on_another_thread_and_stops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
