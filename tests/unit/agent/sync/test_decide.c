#include "agent/sync/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct agent_situation drifted = {
	.automated = true,
	.prune = true,
	.self_heal = true,
	.has_digest = true,
	.out_of_sync = true,
	.n_wanted = 5,
	.n_out_of_sync = 1,
	.n_owned = 5,
	.synced_before = true,
};

#define WITH(...)                                                                                  \
	({                                                                                         \
		struct agent_situation s = drifted;                                                \
		struct agent_situation *p = &s;                                                    \
		(void)p;                                                                           \
		__VA_ARGS__;                                                                       \
		s;                                                                                 \
	})

static enum agent_decision decide(struct agent_situation s)
{
	int64_t due = 0;
	struct cox_error err;

	return agent_decide(&s, 1000000, &due, &err);
}

static void test_guards(void **state)
{
	(void)state;
	assert_int_equal(decide(drifted), AGENT_DO_HEAL);
	assert_int_equal(decide(WITH(p->automated = false)), AGENT_DO_NOTHING);
	assert_int_equal(decide(WITH(p->is_deleting = true)), AGENT_DO_NOTHING);
	assert_int_equal(decide(WITH(p->operation_runs = true)), AGENT_DO_NOTHING);
	assert_int_equal(decide(WITH(p->has_digest = false)), AGENT_DO_NOTHING);
	assert_int_equal(decide(WITH(p->out_of_sync = false)), AGENT_DO_NOTHING);
	assert_int_equal(decide(WITH(p->prune = false, p->n_out_of_sync = 0, p->n_extra = 2)),
			 AGENT_DO_NOTHING);
	assert_int_equal(decide(WITH(p->synced_before = false)), AGENT_DO_SYNC);
	assert_int_equal(decide(WITH(p->synced_before = false, p->self_heal = false)),
			 AGENT_DO_SYNC);
	assert_int_equal(decide(WITH(p->self_heal = false)), AGENT_DO_NOTHING);
	assert_int_equal(decide(WITH(p->last_failed = true)), AGENT_DO_REFUSE);
	assert_int_equal(decide(WITH(p->last_failed = true, p->changed_since = true)),
			 AGENT_DO_SYNC);
}

static void test_prune_guards(void **state)
{
	(void)state;
	assert_int_equal(decide(WITH(p->n_wanted = 0, p->n_out_of_sync = 0, p->n_extra = 5)),
			 AGENT_DO_REFUSE);
	assert_int_equal(decide(WITH(p->n_wanted = 0, p->n_out_of_sync = 0, p->n_extra = 5,
				     p->allow_empty = true)),
			 AGENT_DO_HEAL);
	/* 10 always pass; 11 only as 30 % or less */
	assert_true(agent_prune_is_safe(10, 10));
	assert_false(agent_prune_is_safe(11, 36));
	assert_true(agent_prune_is_safe(11, 37));
	assert_true(agent_prune_is_safe(300, 1000));
	assert_false(agent_prune_is_safe(301, 1000));
	assert_int_equal(decide(WITH(p->n_extra = 11, p->n_owned = 16)), AGENT_DO_REFUSE);
	assert_int_equal(decide(WITH(p->n_extra = 11, p->n_owned = 16, p->prune = false)),
			 AGENT_DO_HEAL);
}

static void test_heal_backs_off(void **state)
{
	static const int64_t waits[] = {0, 2000, 6000, 18000, 54000, 162000, 300000, 300000};

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		struct agent_situation s = drifted;
		int64_t due = -1;

		s.heals = i;
		s.last_heal_ms = 5000;
		if (i > 0) {
			assert_int_equal(agent_decide(&s, 5000 + waits[i] - 1, &due, NULL),
					 AGENT_DO_WAIT);
			assert_int_equal(due, 5000 + waits[i]);
		}
		assert_int_equal(agent_decide(&s, 5000 + waits[i], &due, NULL), AGENT_DO_HEAL);
	}
}

static void test_retry(void **state)
{
	struct agent_retry r = {0};

	(void)state;
	agent_retry_defaults(&r);
	assert_int_equal(agent_retry_delay_ms(&r, 1), 10000);
	assert_int_equal(agent_retry_delay_ms(&r, 2), 20000);
	assert_int_equal(agent_retry_delay_ms(&r, 5), 160000);
	assert_int_equal(agent_retry_delay_ms(&r, 6), 180000);
	assert_int_equal(agent_retry_delay_ms(&r, 4000000), 180000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guards),
		cmocka_unit_test(test_prune_guards),
		cmocka_unit_test(test_heal_backs_off),
		cmocka_unit_test(test_retry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
