#include "common/base/mem.h"
#include "common/run/pool.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct work {
	struct cox_job job;
	struct cox_pool *pool;
	uint64_t in, out;
	sem_t *gate, *begun;
	int n_done;
	enum cox_job_outcome outcome;
	bool saw_cancel;
};

static int n_done;
static struct cox_loop *loop;

static void square(void *arg)
{
	struct work *w = arg;

	w->out = w->in * w->in;
}

/* Says that it has begun, then waits to be let through. */
static void pass_gate(void *arg)
{
	struct work *w = arg;

	sem_post(w->begun);
	sem_wait(w->gate);
	w->saw_cancel = cox_job_is_cancelled(&w->job);
}

static void done(void *arg, enum cox_job_outcome outcome)
{
	struct work *w = arg;

	COX_ASSERT(cox_loop_is_owner(loop));
	w->n_done++;
	w->outcome = outcome;
	n_done++;
}

static bool n_are_done(void *arg)
{
	return n_done == *(int *)arg;
}

static int setup(void **state)
{
	(void)state;
	n_done = 0;
	return cox_loop_new(&loop, NULL);
}

static int teardown(void **state)
{
	(void)state;
	cox_loop_free(loop);
	return 0;
}

static void work_is_done_once(void **state)
{
	enum { N = 3000 };
	struct work *works = cox_new_n(struct work, N);
	_cleanup_pool_ struct cox_pool *pool = NULL;
	int n = N;

	(void)state;
	assert_int_equal(
		cox_pool_new(loop, &(struct cox_pool_options){.n_threads = 4}, &pool, NULL), 0);
	for (int i = 0; i < N; i++) {
		works[i].in = i;
		assert_int_equal(
			cox_pool_submit(pool, &works[i].job, square, done, &works[i], NULL), 0);
	}
	assert_int_equal(cox_loop_wait(loop, n_are_done, &n, 20000, NULL), 0);
	for (int i = 0; i < N; i++) {
		assert_int_equal(works[i].n_done, 1);
		assert_int_equal(works[i].outcome, COX_JOB_DONE);
		assert_int_equal(works[i].out, (uint64_t)i * i);
		assert_false(cox_job_is_busy(&works[i].job));
	}
	free(works);
}

static void again(void *arg, enum cox_job_outcome outcome)
{
	struct work *w = arg;

	done(arg, outcome);
	if (w->in-- > 1)
		COX_ASSERT(cox_pool_submit(w->pool, &w->job, square, again, w, NULL) == 0);
}

static void done_may_submit_again(void **state)
{
	_cleanup_pool_ struct cox_pool *pool = NULL;
	struct work w = {.in = 500};
	int n = 500;

	(void)state;
	assert_int_equal(cox_pool_new(loop, NULL, &pool, NULL), 0);
	w.pool = pool;
	assert_int_equal(cox_pool_submit(pool, &w.job, square, again, &w, NULL), 0);
	assert_int_equal(cox_loop_wait(loop, n_are_done, &n, 20000, NULL), 0);
}

static void queue_is_bounded_and_waiting_jobs_cancel(void **state)
{
	_cleanup_pool_ struct cox_pool *pool = NULL;
	struct work w[4] = {0};
	struct cox_error err;
	sem_t gate, begun;
	int n;

	(void)state;
	sem_init(&gate, 0, 0);
	sem_init(&begun, 0, 0);
	assert_int_equal(cox_pool_new(loop,
				      &(struct cox_pool_options){.n_threads = 1, .max_queue = 2},
				      &pool, NULL),
			 0);
	w[0].gate = &gate;
	w[0].begun = &begun;
	assert_int_equal(cox_pool_submit(pool, &w[0].job, pass_gate, done, &w[0], NULL), 0);
	sem_wait(&begun);
	for (int i = 1; i < 3; i++)
		assert_int_equal(cox_pool_submit(pool, &w[i].job, square, done, &w[i], NULL), 0);
	assert_int_equal(cox_pool_queued(pool), 2);
	assert_int_equal(cox_pool_submit(pool, &w[3].job, square, done, &w[3], &err),
			 -COX_RESOURCE_EXHAUSTED);

	cox_job_cancel(&w[1].job);
	cox_job_cancel(&w[1].job);
	assert_int_equal(w[1].n_done, 0); /* in a later turn only */
	n = 1;
	assert_int_equal(cox_loop_wait(loop, n_are_done, &n, 5000, NULL), 0);
	assert_int_equal(w[1].outcome, COX_JOB_CANCELLED);
	assert_int_equal(cox_pool_submit(pool, &w[3].job, square, done, &w[3], NULL), 0);

	cox_job_cancel(&w[0].job); /* runs: it is told, and comes to its end */
	sem_post(&gate);
	n = 4;
	assert_int_equal(cox_loop_wait(loop, n_are_done, &n, 5000, NULL), 0);
	assert_int_equal(w[0].outcome, COX_JOB_DONE);
	assert_true(w[0].saw_cancel);
	for (int i = 0; i < 4; i++)
		assert_int_equal(w[i].n_done, 1);
	sem_destroy(&gate);
	sem_destroy(&begun);
}

static void refuse_more(void *arg, enum cox_job_outcome outcome)
{
	struct work *w = arg;

	done(arg, outcome);
	COX_ASSERT(cox_pool_submit(w->pool, &w->job, square, done, w, NULL) == -COX_CANCELLED);
}

static void freeing_ends_every_job(void **state)
{
	struct cox_pool *pool;
	struct work w[3] = {0};
	sem_t gate, begun;

	(void)state;
	sem_init(&gate, 0, 0);
	sem_init(&begun, 0, 0);
	assert_int_equal(
		cox_pool_new(loop, &(struct cox_pool_options){.n_threads = 1}, &pool, NULL), 0);
	w[0].gate = &gate;
	w[0].begun = &begun;
	assert_int_equal(cox_pool_submit(pool, &w[0].job, pass_gate, done, &w[0], NULL), 0);
	sem_wait(&begun);
	for (int i = 1; i < 3; i++) {
		w[i].pool = pool;
		assert_int_equal(cox_pool_submit(pool, &w[i].job, square, refuse_more, &w[i], NULL),
				 0);
	}
	sem_post(&gate);
	cox_pool_free(pool);
	assert_int_equal(n_done, 3);
	assert_int_equal(w[0].outcome, COX_JOB_DONE);
	sem_destroy(&gate);
	sem_destroy(&begun);
}

int main(void)
{
#define POOL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		POOL_TEST(work_is_done_once),
		POOL_TEST(done_may_submit_again),
		POOL_TEST(queue_is_bounded_and_waiting_jobs_cancel),
		POOL_TEST(freeing_ends_every_job),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
