#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/ctl/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct world {
	struct cox_loop *loop;
	struct cox_queue *queue;
	char log[4096];
	int n_looks, want_looks;
	enum cox_queue_result answer;
	const char *add_meanwhile;
};

static enum cox_queue_result look(void *ctx, const char *key)
{
	struct world *w = ctx;
	size_t n = strlen(w->log);

	snprintf(w->log + n, sizeof(w->log) - n, "%s ", key);
	w->n_looks++;
	if (w->add_meanwhile) {
		const char *next = w->add_meanwhile;

		w->add_meanwhile = NULL;
		cox_queue_add(w->queue, next);
	}
	return w->answer;
}

static int setup(void **state)
{
	struct world *w = cox_new(struct world);

	assert_int_equal(cox_loop_new(&w->loop, NULL), 0);
	w->queue = cox_queue_new(
		w->loop, &(struct cox_queue_options){
				 .look = look, .ctx = w, .base_ms = 2, .max_ms = 8, .seed = 1});
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	cox_queue_free(w->queue);
	cox_loop_free(w->loop);
	free(w);
	return 0;
}

static bool has_looked(void *arg)
{
	struct world *w = arg;

	return w->n_looks >= w->want_looks;
}

static void wait_looks(struct world *w, int n)
{
	w->want_looks = n;
	assert_int_equal(cox_loop_wait(w->loop, has_looked, w, 10000, NULL), 0);
}

static void test_once_each_in_order(void **state)
{
	struct world *w = *state;

	cox_queue_add(w->queue, "a");
	cox_queue_add(w->queue, "b");
	cox_queue_add(w->queue, "a");
	assert_int_equal(w->n_looks, 0);
	wait_looks(w, 2);
	assert_string_equal(w->log, "a b ");
}

static void test_dirty_while_looking(void **state)
{
	struct world *w = *state;

	w->add_meanwhile = "a";
	cox_queue_add(w->queue, "a");
	wait_looks(w, 2);
	assert_string_equal(w->log, "a a ");
}

static void test_dirty_while_busy(void **state)
{
	struct world *w = *state;

	w->answer = COX_QUEUE_BUSY;
	cox_queue_add(w->queue, "a");
	wait_looks(w, 1);
	cox_queue_add(w->queue, "a");
	cox_queue_add(w->queue, "b");
	wait_looks(w, 2);
	assert_string_equal(w->log, "a b ");
	cox_queue_done(w->queue, "a", COX_QUEUE_OK);
	wait_looks(w, 3);
	assert_string_equal(w->log, "a b a ");
	cox_queue_done(w->queue, "a", COX_QUEUE_OK);
	cox_queue_done(w->queue, "b", COX_QUEUE_OK);
}

static void test_retries_until_it_works(void **state)
{
	struct world *w = *state;
	struct cox_queue_stats stats;

	w->answer = COX_QUEUE_RETRY;
	cox_queue_add(w->queue, "a");
	wait_looks(w, 4);
	w->answer = COX_QUEUE_OK;
	wait_looks(w, 5);
	cox_queue_stats(w->queue, &stats);
	assert_int_equal(stats.retries, 4);
	assert_int_equal(stats.ready + stats.busy + stats.delayed, 0);
}

static void test_the_earliest_time_wins(void **state)
{
	struct world *w = *state;
	struct cox_queue_stats stats;

	cox_queue_add_after(w->queue, "late", 3600 * 1000);
	cox_queue_add_after(w->queue, "late", 1);
	cox_queue_add_after(w->queue, "late", 3600 * 1000);
	wait_looks(w, 1);
	cox_queue_stats(w->queue, &stats);
	assert_int_equal(stats.delayed, 0);
	/* Adding now does not wait for the time. */
	cox_queue_add_after(w->queue, "x", 3600 * 1000);
	cox_queue_add(w->queue, "x");
	wait_looks(w, 2);
	cox_queue_stats(w->queue, &stats);
	assert_int_equal(stats.delayed, 0);
}

static void test_forget(void **state)
{
	struct world *w = *state;
	struct cox_queue_stats stats;

	cox_queue_add_after(w->queue, "x", 3600 * 1000);
	cox_queue_forget(w->queue, "x");
	cox_queue_forget(w->queue, "never added");
	cox_queue_stats(w->queue, &stats);
	assert_int_equal(stats.delayed, 0);
}

static void test_many_keys_share_the_loop(void **state)
{
	struct world *w = *state;
	char key[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "%d", i);
		cox_queue_add(w->queue, key);
	}
	wait_looks(w, 1);
	/* One turn looks at no more than a burst of them. */
	assert_int_equal(w->n_looks, COX_QUEUE_BURST);
	wait_looks(w, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once_each_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dirty_while_looking, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dirty_while_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retries_until_it_works, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_earliest_time_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_keys_share_the_loop, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
