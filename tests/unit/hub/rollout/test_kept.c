/* What is kept of a rollout: which rows an event writes, what earlier versions wrote, and what is
 * missing. */
#include "common/base/file.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "hub/rollout/rollout.h"
#include "tests/unit/hub/rollout/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define KEPT "tests/unit/hub/rollout/kept/"

static const uint8_t new[32] = {1, 2, 3}, old[32] = {9};

/* ---- a rollout of n targets ---- */

struct stage {
	struct cox_rollout *r;
	struct rows rows;
	int64_t now_ms;
	size_t n;
	char (*names)[32];
	struct cox_rollout_member *members;
};

/* Half of them are in the first wave. */
static void stage_init(struct stage *s, size_t n)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_rollout_plan plan = COX_ROLLOUT_PLAN_INIT;

	*s = (struct stage){.now_ms = 1000000, .n = n};
	s->names = cox_calloc(n, sizeof(*s->names));
	s->members = cox_calloc(n, sizeof(*s->members));
	cox_buf_puts(&text, "onFailure: rollback\nwaves:\n- name: one\n  clusters: {names: [");
	for (size_t i = 0; i < n; i++) {
		snprintf(s->names[i], sizeof(s->names[i]), "t%05zu", i);
		s->members[i] = (struct cox_rollout_member){.uid = s->names[i],
							    .name = s->names[i],
							    .cluster = s->names[i],
							    .revision = "v1",
							    .digest = new,
							    .previous = old,
							    .previous_revision = "v0"};
		if (i < n / 2)
			cox_buf_printf(&text, "%s, ", s->names[i]);
	}
	cox_buf_puts(&text, "]}\n  maxFailures: 1\n- name: two\n");
	assert_int_equal(cox_yaml_read(cox_buf_str(&text), "policy", NULL, &doc, NULL), 0);
	assert_int_equal(cox_rollout_plan_policy("p", cox_doc_root(doc), &plan, NULL), 0);
	s->r = cox_rollout_new(&(struct cox_rollout_spec){.id = "id",
							  .owner = "ApplicationSet/ns/x",
							  .revision = "v1",
							  .plan = &plan,
							  .members = s->members,
							  .n_members = n},
			       s->now_ms);
	cox_rollout_plan_fini(&plan);
}

static void stage_fini(struct stage *s)
{
	cox_rollout_free(s->r);
	rows_fini(&s->rows);
	free(s->names);
	free(s->members);
}

static void step(struct stage *s)
{
	cox_rollout_effects effects = {0};

	cox_rollout_step(s->r, NULL, s->now_ms, &effects, NULL);
	COX_VEC_EACH (&effects, e)
		if (e->kind == COX_EFFECT_MOVE)
			cox_rollout_assigned(s->r, s->r->targets.items[e->target].uid, 1, 1, "",
					     s->now_ms);
	cox_vec_fini(&effects);
}

static void report(struct stage *s, size_t i, bool well)
{
	struct cox_rollout_report p = {.epoch = 1,
				       .generation = 1,
				       .sync_digest = new,
				       .synced = true,
				       .healthy = well,
				       .degraded = !well};

	s->now_ms += 1000;
	cox_rollout_observe(s->r, s->names[i], &p, s->now_ms);
	step(s);
}

/* Writes, and says how many rows that were beside the head; nothing may differ. */
static size_t written(struct stage *s)
{
	_cleanup_free_ char *differ = NULL;
	size_t n;

	rows_write(&s->rows, s->r);
	n = s->rows.n_written - 1;
	differ = rows_differ(&s->rows, s->r);
	if (differ)
		fail_msg("%s", differ);
	assert_true(cox_rollout_is_kept(s->r));
	return n;
}

/* ---- which rows ---- */

static void test_only_what_changed(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, 100);
	assert_int_equal(written(&s), 101); /* the targets and the plan */
	step(&s);
	assert_int_equal(written(&s), 50); /* the first wave moves */
	report(&s, 3, true);
	assert_int_equal(written(&s), 1);
	report(&s, 3, true); /* the same again */
	assert_int_equal(written(&s), 0);
	cox_rollout_reach(s.r, s.names[70], true, NULL, s.now_ms);
	assert_int_equal(written(&s), 0); /* it was never away */
	cox_rollout_reach(s.r, s.names[70], false, "away", s.now_ms);
	cox_rollout_hold(s.r, s.names[71], "closed", COX_ROLLOUT_FOREVER, s.now_ms);
	assert_int_equal(written(&s), 2);
	assert_int_equal(cox_rollout_pause(s.r, "ann", s.now_ms, NULL), 0);
	assert_int_equal(written(&s), 0); /* that is in the head */
	assert_int_equal(cox_rollout_resume(s.r, "ann", s.now_ms, NULL), 0);
	report(&s, 4, false);
	report(&s, 5, false); /* one too many: it fails, and all that it pinned is barred */
	assert_int_equal(s.r->phase, COX_ROLLOUT_FAILED);
	assert_int_equal(s.r->bars.n, 100);
	assert_int_equal(written(&s), 3);
	stage_fini(&s);
}

static void test_who_joins_and_leaves(void **state)
{
	struct stage s;
	struct cox_rollout_member joins;

	(void)state;
	stage_init(&s, 10);
	written(&s);
	joins = s.members[9];
	joins.uid = joins.name = joins.cluster = "tnew";
	assert_int_equal(cox_rollout_remove(s.r, s.names[9], s.now_ms), 1);
	assert_int_equal(cox_rollout_join(s.r, &joins, s.now_ms), 1);
	assert_int_equal(written(&s), 1);
	assert_int_equal(s.rows.n_gone, 1);
	assert_false(cox_map_has(&s.rows.text, "t/t00009"));
	/* Both between two writings. */
	assert_int_equal(cox_rollout_remove(s.r, "tnew", s.now_ms), 1);
	assert_int_equal(cox_rollout_join(s.r, &joins, s.now_ms), 1);
	assert_int_equal(written(&s), 1);
	assert_int_equal(s.rows.n_gone, 0);
	stage_fini(&s);
}

/* A jump of the clock backwards is in every row. */
static void test_clock(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, 10);
	written(&s);
	s.now_ms -= 5000;
	step(&s);
	assert_int_equal(written(&s), 10);
	stage_fini(&s);
}

/* What a report writes does not grow with the targets. */
static void test_bytes(void **state)
{
	size_t bytes[2], sizes[2] = {20, 2000};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stage s;

		stage_init(&s, sizes[i]);
		step(&s);
		written(&s);
		report(&s, 1, true);
		rows_write(&s.rows, s.r);
		bytes[i] = s.rows.n_bytes;
		stage_fini(&s);
	}
	assert_in_range(bytes[1], 1, bytes[0] + 16); /* some numbers have more digits */
}

static void drop(void *ctx, const char *name, const struct cox_node *node)
{
	struct rows *k = ctx;

	assert_null(node);
	free(cox_map_remove(&k->text, name));
}

static void test_forget(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, 10);
	step(&s);
	report(&s, 1, false);
	report(&s, 2, false);
	rows_write_all(&s.rows, s.r);
	assert_int_equal(s.rows.text.n, 13);
	cox_rollout_forget(s.r, drop, &s.rows);
	assert_int_equal(s.rows.text.n, 0);
	stage_fini(&s);
	/* One that left and whose row was not deleted yet. */
	stage_init(&s, 3);
	written(&s);
	cox_rollout_remove(s.r, s.names[0], s.now_ms);
	cox_rollout_forget(s.r, drop, &s.rows);
	assert_int_equal(s.rows.text.n, 0);
	stage_fini(&s);
}

/* ---- rows that are missing, or too many ---- */

static int read_rows(const struct rows *k, struct cox_error *err)
{
	struct cox_rollout *r = NULL;
	int e;

	*err = COX_ERROR_INIT;
	e = rows_read(k, &r, err);
	cox_rollout_free(r);
	return e;
}

static void test_missing(void **state)
{
	static const struct {
		const char *row, *says;
	} rows[] = {
		{"", "no head"}, {"plan", "no plan"}, {"bars", "bars"}, {"t/t00001", "9 of 10"}};
	struct cox_error err;
	struct stage s;

	(void)state;
	stage_init(&s, 10);
	step(&s);
	report(&s, 1, false);
	report(&s, 2, false);
	written(&s);
	assert_int_equal(read_rows(&s.rows, &err), 0);
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		char *text = cox_map_remove(&s.rows.text, rows[i].row);

		assert_non_null(text);
		assert_int_equal(read_rows(&s.rows, &err), -COX_DATA_LOSS);
		assert_non_null(strstr(err.message, rows[i].says));
		cox_map_set(&s.rows.text, rows[i].row, text);
		assert_int_equal(read_rows(&s.rows, &err), 0);
	}
	cox_map_set(&s.rows.text, "t/again", cox_strdup(cox_map_get(&s.rows.text, "t/t00001")));
	free(cox_map_remove(&s.rows.text, "t/t00002"));
	assert_int_equal(read_rows(&s.rows, &err), -COX_DATA_LOSS);
	assert_non_null(strstr(err.message, "twice"));
	free(cox_map_remove(&s.rows.text, "t/again"));
	cox_map_set(&s.rows.text, "else", cox_strdup("{}"));
	assert_int_equal(read_rows(&s.rows, &err), -COX_DATA_LOSS);
	assert_non_null(strstr(err.message, "'else'"));
	stage_fini(&s);
}

/* ---- version 2: one row with everything ---- */

static struct cox_rollout *read_old(const char *name, struct rows *k)
{
	_cleanup_free_ char *path = cox_asprintf(KEPT "%s", name);
	struct cox_buf text = COX_BUF_INIT;
	struct cox_rollout *r = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (cox_file_read(path, 1 << 20, &text, &err) < 0)
		fail_msg("%s", err.message);
	cox_map_set(&k->text, "", cox_buf_take(&text));
	if (rows_read(k, &r, &err) < 0)
		fail_msg("%s", err.message);
	return r;
}

/* All is there, and written anew at once. */
static void test_version_2(void **state)
{
	struct stage s = {.now_ms = 1060000};
	const struct cox_rollout_target *t;
	_cleanup_free_ char *lost = NULL;

	(void)state;
	s.r = read_old("version-2-under-way.json", &s.rows);
	assert_string_equal(s.r->id, "0f");
	assert_string_equal(s.r->paused_by, "bob");
	assert_int_equal(s.r->audit.n, 2);
	assert_int_equal(s.r->waves.items[0].phase, COX_WAVE_AFTER);
	assert_int_equal(s.r->waves.items[0].best, 1);
	assert_int_equal(s.r->waves.items[0].after.items[0].next_ms, 1620000);
	assert_string_equal(s.r->waves.items[1].approvals.items[0].by, "ann");
	t = cox_rollout_find(s.r, "a");
	assert_true(t->moved && t->has_previous && !t->offline);
	assert_int_equal(t->state, COX_TARGET_HEALTHY);
	assert_int_equal(t->well_ms, 1020000);
	assert_int_equal(t->seen_ms, 1020000);
	assert_int_equal(t->generation, 7);
	assert_string_equal(t->operation, "op1");
	t = cox_rollout_find(s.r, "b");
	assert_string_equal(t->resource, "Deployment web");
	assert_string_equal(cox_rollout_find(s.r, "c")->hold, "closed");
	assert_int_equal(cox_rollout_find(s.r, "c")->hold_until_ms, COX_ROLLOUT_FOREVER);
	assert_false(cox_rollout_is_kept(s.r));
	assert_int_equal(written(&s), 5); /* plan, bars, and three targets */
	lost = rows_reload(&s.rows, &s.r);
	assert_null(lost);
	assert_int_equal(cox_rollout_resume(s.r, "bob", s.now_ms, NULL), 0);
	rows_fini(&s.rows);
	cox_rollout_free(s.r);
}

static void test_version_2_aborted(void **state)
{
	struct stage s = {.now_ms = 1070000};
	struct cox_rollout *back;

	(void)state;
	s.r = read_old("version-2-aborted.json", &s.rows);
	assert_int_equal(s.r->phase, COX_ROLLOUT_ABORTED);
	assert_string_equal(s.r->reason, "aborted by eve");
	assert_true(s.r->rollback_due);
	assert_int_equal(s.r->bars.n, 3);
	assert_true(s.r->bars.items[1].failed && !s.r->bars.items[0].failed);
	assert_true(s.r->bars_all);
	assert_int_equal(written(&s), 5);
	back = cox_rollout_rollback(s.r, "r2", s.now_ms);
	assert_int_equal(back->targets.n, 2); /* what was moved */
	cox_rollout_free(back);
	rows_fini(&s.rows);
	cox_rollout_free(s.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_changed),
		cmocka_unit_test(test_who_joins_and_leaves),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_version_2),
		cmocka_unit_test(test_version_2_aborted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
