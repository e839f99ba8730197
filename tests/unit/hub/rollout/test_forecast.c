/* What would become of a rollout if all went well: in which order, when, and what is in the way now. */
#include "common/doc/yaml.h"
#include "hub/rollout/forecast.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW    1700000000000 /* 2023-11-14T22:13:20Z, a Tuesday */
#define MINUTE 60000
#define MAX    2000

struct story {
	struct cox_rollout_plan plan;
	struct cox_rollout *r;
	struct cox_rollout_member members[MAX];
	char names[MAX][24];
	uint8_t digest[COX_ROLLOUT_DIGEST], old[COX_ROLLOUT_DIGEST];
	size_t n;
	struct cox_forecast *f;
};

static void story_init(struct story *s, const char *policy)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	*s = (struct story){.digest = {1}, .old = {2}};
	if (cox_yaml_read(cox_str(policy), "policy", NULL, &doc, &err) < 0 ||
	    cox_rollout_plan_policy("p", cox_doc_root(doc), &s->plan, &err) < 0)
		fail_msg("%s", err.message);
}

static struct cox_rollout_member *add(struct story *s, const char *cluster)
{
	struct cox_rollout_member *m = &s->members[s->n];

	snprintf(s->names[s->n], sizeof(s->names[0]), "%s", cluster);
	*m = (struct cox_rollout_member){.uid = s->names[s->n],
					 .name = s->names[s->n],
					 .cluster = s->names[s->n],
					 .revision = "new",
					 .digest = s->digest,
					 .previous = s->old,
					 .previous_revision = "old"};
	s->n++;
	return m;
}

static void begin(struct story *s)
{
	s->r = cox_rollout_new(&(struct cox_rollout_spec){.id = "",
							  .owner = "ApplicationSet/a/b",
							  .plan = &s->plan,
							  .members = s->members,
							  .n_members = s->n},
			       NOW);
}

static void look(struct story *s)
{
	s->f = cox_forecast_new(s->r, NULL, NOW);
	while (!cox_forecast_run(s->f, 3))
		;
}

static void story_fini(struct story *s)
{
	cox_forecast_free(s->f);
	cox_rollout_plan_fini(&s->plan);
}

/* "batch@minutes", "-" for one that does not start. */
static void starts(struct story *s, const char *uid, const char *wanted)
{
	const struct cox_forecast_start *start = cox_forecast_find(s->f, uid);
	char text[64] = "-";

	if (start)
		snprintf(text, sizeof(text), "%zu@%lld", start->batch,
			 (long long)(start->at_ms - NOW) / MINUTE);
	assert_string_equal(text, wanted);
}

static void starts_at_least(struct story *s, const char *uid, int minutes)
{
	const struct cox_forecast_start *start = cox_forecast_find(s->f, uid);

	assert_non_null(start);
	assert_true(start->at_ms - NOW >= minutes * MINUTE);
}

static bool blocks(struct story *s, int wave, const char *gate, const char *application,
		   const char *word)
{
	for (size_t i = 0; i < cox_forecast_n_blockers(s->f); i++) {
		const struct cox_forecast_blocker *b = cox_forecast_blocker(s->f, i);

		if (b->wave == wave && cox_streq(b->gate, gate) &&
		    cox_streq(b->application, application) && strstr(b->message, word))
			return true;
	}
	return false;
}

static void test_order_and_time(void **state)
{
	struct story s;

	(void)state;
	story_init(&s, "waves:\n- {name: one, clusters: {names: [a, b, c]}, maxConcurrent: 2,"
		       " after: [{soak: 10m}]}\n"
		       "- name: two\n  before:\n"
		       "  - window: {schedule: '0 0 * * *', duration: 1h}\n");
	for (int i = 0; i < 4; i++)
		add(&s, (const char *[]){"a", "b", "c", "d"}[i]);
	begin(&s);
	look(&s);
	assert_true(cox_forecast_is_complete(s.f));
	starts(&s, "a", "1@0");
	starts(&s, "b", "1@0");
	starts(&s, "c", "2@0");
	/* the soak is over at 22:23, the window opens at midnight */
	starts(&s, "d", "1@106");
	/* closed now, and open when its turn comes */
	assert_true(blocks(&s, 1, "window", NULL, "no window is open"));
	assert_int_equal(cox_forecast_n_blockers(s.f), 1);
	assert_int_equal(cox_forecast_n_gates(s.f), 2);
	assert_int_equal(cox_forecast_gate(s.f, 0)->state, COX_GATE_PENDING);
	assert_string_equal(cox_forecast_gate(s.f, 0)->message,
			    "every target has to stay healthy for 600 s");
	story_fini(&s);
}

static void test_what_is_in_the_way(void **state)
{
	struct story s;

	(void)state;
	story_init(&s, "waves:\n- {name: one, clusters: {names: [away, broken, held, ill, well]}}\n"
		       "- {name: none, clusters: {names: [gone]}}\n"
		       "- {name: hand, clusters: {names: [hand]}, maxConcurrent: 0}\n"
		       "- name: last\n  before: [{approval: {}}, {http: {url: 'https://x/'}}]\n"
		       "  after: [{approval: {}}]\n");
	add(&s, "away")->offline = true;
	add(&s, "broken")->error = "cannot render";
	add(&s, "held");
	add(&s, "ill")->at_digest = true;
	add(&s, "well");
	add(&s, "gone")->offline = true;
	add(&s, "hand");
	add(&s, "last");
	begin(&s);
	cox_rollout_reach(s.r, "away", false, "offline since noon", NOW);
	cox_rollout_hold(s.r, "held", "a sync window denies", NOW + 5 * MINUTE, NOW);
	look(&s);
	assert_true(blocks(&s, 0, NULL, "away", "offline since noon: it is not waited for"));
	assert_true(blocks(&s, 0, NULL, "broken", "cannot render"));
	assert_true(blocks(&s, 0, NULL, "held", "a sync window denies"));
	assert_true(blocks(&s, 0, NULL, "ill", "does not change, and is not well"));
	assert_true(blocks(&s, 1, NULL, NULL, "nobody of the wave is there"));
	assert_true(blocks(&s, 2, NULL, NULL, "by hand only"));
	assert_true(blocks(&s, 3, "approval", NULL, "needs 1 approval of"));
	/* what comes behind the wave is not in the way yet, and what is asked then neither */
	assert_int_equal(cox_forecast_n_blockers(s.f), 8);
	starts(&s, "well", "1@0");
	starts(&s, "held", "2@5");
	starts(&s, "last", "1@5");
	starts(&s, "away", "-");
	starts(&s, "broken", "-");
	starts(&s, "hand", "-");
	assert_true(cox_forecast_is_complete(s.f));
	story_fini(&s);
}

static void test_nobody_is_forgotten(void **state)
{
	struct story s;

	(void)state;
	story_init(&s, "offline: wait\nwaves:\n- {name: one, clusters: {names: [a, b]}}\n");
	add(&s, "a")->offline = true;
	add(&s, "b");
	add(&s, "c"); /* in no wave */
	begin(&s);
	look(&s);
	assert_true(blocks(&s, 0, NULL, "a", "its wave waits for it"));
	assert_true(blocks(&s, -1, NULL, "c", "in no wave"));
	/* if the policy said where it belongs, and a came back */
	starts(&s, "a", "1@0");
	starts(&s, "b", "1@0");
	starts(&s, "c", "-");
	story_fini(&s);
}

static void test_one_that_is_under_way(void **state)
{
	struct story s;
	struct cox_rollout_report well = {
		.epoch = 1, .generation = 1, .synced = true, .healthy = true};
	cox_rollout_effects effects = {0};

	(void)state;
	story_init(&s, "waves:\n- {name: one, clusters: {names: [a]}}\n"
		       "- {name: two, before: [{approval: {count: 2}}]}\n");
	add(&s, "a");
	add(&s, "b");
	begin(&s);
	cox_rollout_step(s.r, NULL, NOW, &effects, NULL);
	assert_int_equal(effects.n, 1);
	cox_rollout_assigned(s.r, "a", 1, 1, "", NOW);
	well.sync_digest = s.digest;
	cox_rollout_observe(s.r, "a", &well, NOW);
	cox_rollout_step(s.r, NULL, NOW, &effects, NULL);
	assert_int_equal(effects.n, 1);
	cox_rollout_pause(s.r, "me", NOW, NULL);
	look(&s);
	assert_true(blocks(&s, -1, NULL, NULL, "paused by me"));
	assert_true(blocks(&s, 1, "approval", NULL, "nobody has approved it yet"));
	starts(&s, "a", "-");
	starts(&s, "b", "1@0");
	cox_vec_fini(&effects);
	story_fini(&s);
}

/* One at a time, at a pace: as many steps as it takes, and no more than it may take at once. */
static void test_many(void **state)
{
	struct story *s = cox_new(struct story);
	size_t n = 0;

	(void)state;
	story_init(s, "startsPerMinute: 60\nwaves:\n- {name: one, maxConcurrent: 1}\n");
	for (int i = 0; i < MAX; i++) {
		char name[24];

		snprintf(name, sizeof(name), "c%04d", i);
		add(s, name);
	}
	begin(s);
	s->f = cox_forecast_new(s->r, NULL, NOW);
	assert_false(cox_forecast_run(s->f, 10));
	assert_false(cox_forecast_is_complete(s->f));
	while (!cox_forecast_run(s->f, 10))
		n++;
	assert_true(n >= MAX / 10);
	assert_true(cox_forecast_is_complete(s->f));
	starts(s, "c0000", "1@0");
	starts(s, "c1999", "2000@33");
	story_fini(s);
	free(s);
}

static char *status_of(const struct cox_rollout *r)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("r");
	struct cox_buf text = COX_BUF_INIT;

	cox_yaml_write(&text, cox_rollout_status(r, doc));
	return cox_buf_take(&text);
}

/* What is done to a copy is done to nobody. */
static void test_copy(void **state)
{
	struct story s;
	cox_rollout_effects effects = {0};
	struct cox_rollout *copy;
	_cleanup_free_ char *before = NULL, *after = NULL, *same = NULL;

	(void)state;
	story_init(&s, "waves:\n- {name: one, clusters: {names: [a]}, after: [{soak: 1m}]}\n"
		       "- {name: two, before: [{approval: {}}]}\n");
	add(&s, "a");
	add(&s, "b")->error = "cannot render";
	begin(&s);
	cox_rollout_step(s.r, NULL, NOW, &effects, NULL);
	cox_rollout_pause(s.r, "me", NOW, NULL);
	before = status_of(s.r);
	copy = cox_rollout_copy(s.r);
	same = status_of(copy);
	assert_string_equal(same, before);
	cox_rollout_resume(copy, "you", NOW, NULL);
	cox_rollout_remove(copy, "a", NOW);
	cox_rollout_free(copy);
	after = status_of(s.r);
	assert_string_equal(after, before);
	look(&s);
	cox_vec_fini(&effects);
	story_fini(&s);
}

/* Others' starts count, and are not taken from them. */
static void test_starts_of_all(void **state)
{
	struct cox_rollout_bucket starts = {.per_minute = 60, .at_ms = NOW};
	struct cox_rollout_env env = {.starts = &starts};
	struct story s;

	(void)state;
	story_init(&s, "waves:\n- {name: one}\n");
	for (int i = 0; i < 200; i++) {
		char name[24];

		snprintf(name, sizeof(name), "c%04d", i);
		add(&s, name);
	}
	begin(&s);
	s.f = cox_forecast_new(s.r, &env, NOW);
	while (!cox_forecast_run(s.f, 8))
		;
	assert_true(cox_forecast_is_complete(s.f));
	starts_at_least(&s, "c0199", 3);
	assert_true(starts.tokens == 0 && starts.at_ms == NOW);
	story_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_time),
		cmocka_unit_test(test_what_is_in_the_way),
		cmocka_unit_test(test_nobody_is_forgotten),
		cmocka_unit_test(test_one_that_is_under_way),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_starts_of_all),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
