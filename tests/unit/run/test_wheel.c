/* The timer wheel against a plain sorted expectation, in virtual time. */
#include "common/base/mem.h"
#include "common/base/rand.h"
#include "common/run/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct cox_timer at(int64_t due_ms)
{
	return (struct cox_timer){.due_ms = due_ms};
}

static void fires_at_its_millisecond(void **state)
{
	static const int64_t delays[] = {1,    2,      63,	64,	  65,	      4095,
					 4096, 262144, 9999999, 16777217, 5000000000, 1LL << 40};
	struct cox_wheel wheel;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(delays); i++) {
		int64_t start = 1234567;
		struct cox_timer timer = at(start + delays[i]);

		cox_wheel_init(&wheel, start);
		cox_wheel_add(&wheel, &timer);
		cox_wheel_advance(&wheel, timer.due_ms - 1);
		assert_null(cox_wheel_take(&wheel));
		cox_wheel_advance(&wheel, timer.due_ms);
		assert_ptr_equal(cox_wheel_take(&wheel), &timer);
		assert_null(cox_wheel_take(&wheel));
		assert_int_equal(cox_wheel_next_ms(&wheel), INT64_MAX);
	}
}

static void removes_from_any_place(void **state)
{
	struct cox_wheel wheel;
	struct cox_timer a = at(1005), b = at(1005), c = at(90000);

	(void)state;
	cox_wheel_init(&wheel, 1000);
	cox_wheel_add(&wheel, &a);
	cox_wheel_add(&wheel, &b);
	cox_wheel_add(&wheel, &c);
	cox_wheel_remove(&wheel, &a);
	assert_true(cox_wheel_next_ms(&wheel) <= 1005);
	cox_wheel_remove(&wheel, &c);
	cox_wheel_advance(&wheel, 2000);
	cox_wheel_remove(&wheel, &b); /* due already, not taken */
	assert_null(cox_wheel_take(&wheel));
	assert_int_equal(cox_wheel_next_ms(&wheel), INT64_MAX);
}

static void what_is_due_waits_a_millisecond(void **state)
{
	struct cox_wheel wheel;
	struct cox_timer timer = at(500);

	(void)state;
	cox_wheel_init(&wheel, 1000);
	cox_wheel_add(&wheel, &timer);
	assert_int_equal(cox_wheel_next_ms(&wheel), 1001);
	cox_wheel_advance(&wheel, 1000);
	assert_null(cox_wheel_take(&wheel));
	cox_wheel_advance(&wheel, 1001);
	assert_ptr_equal(cox_wheel_take(&wheel), &timer);
}

/* Random starts, stops and jumps; whoever sleeps until cox_wheel_next_ms misses nothing. */
static void agrees_with_a_list(void **state)
{
	enum { N = 2000, STEPS = 20000 };
	struct cox_timer *timers = cox_new_n(struct cox_timer, N);
	struct cox_wheel wheel;
	struct cox_rng rng;
	int64_t now = 777;

	(void)state;
	cox_rng_init(&rng, 42);
	cox_wheel_init(&wheel, now);
	for (size_t i = 0; i < N; i++)
		cox_list_init(&timers[i].node);
	for (int step = 0; step < STEPS; step++) {
		struct cox_timer *t = &timers[cox_rng_below(&rng, N)];
		if (!cox_list_is_empty(&t->node)) {
			cox_wheel_remove(&wheel, t);
		} else {
			t->due_ms = now + 1 +
				    (int64_t)(cox_rng_next(&rng) >> (34 + cox_rng_below(&rng, 29)));
			cox_wheel_add(&wheel, t);
		}
		if (step % 5)
			continue;
		int64_t first = INT64_MAX;
		for (size_t i = 0; i < N; i++)
			if (!cox_list_is_empty(&timers[i].node) && timers[i].due_ms < first)
				first = timers[i].due_ms;
		int64_t next = cox_wheel_next_ms(&wheel);
		assert_true(next <= first && (first == INT64_MAX || next > now));
		now = cox_rng_below(&rng, 4) || next == INT64_MAX
			      ? now + (int64_t)cox_rng_below(&rng, 300)
			      : next;
		cox_wheel_advance(&wheel, now);
		int64_t last = 0;
		for (struct cox_timer *due; (due = cox_wheel_take(&wheel));) {
			assert_true(due->due_ms <= now && due->due_ms >= last);
			last = due->due_ms;
		}
		for (size_t i = 0; i < N; i++)
			assert_true(cox_list_is_empty(&timers[i].node) || timers[i].due_ms > now);
	}
	free(timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_at_its_millisecond),
		cmocka_unit_test(removes_from_any_place),
		cmocka_unit_test(what_is_due_waits_a_millisecond),
		cmocka_unit_test(agrees_with_a_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
