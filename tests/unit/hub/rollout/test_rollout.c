/* Rollouts as short scripts: a strategy, targets, and a line for each thing that happens with what
 * the planner must say to it. A fixed clock; every state is also written and read back on the way.
 */
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "hub/rollout/rollout.h"
#include "tests/unit/hub/rollout/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define ROLLING	      "type: RollingSync\nrollingSync:\n  steps:\n"
#define STEP(op, env) "  - matchExpressions: [{key: env, operator: " op ", values: [" env "]}]\n"
#define THREE_STEPS   ROLLING STEP("In", "dev") STEP("In", "pre") STEP("In", "prod")

/* A target is NAME:ENV[!][*]: '!' cannot be rendered, '*' is synced by hand. A play is a list of
 * "step:MOVED,…", "ok|slow|bad|unsynced|failed|stale NAME" (a report), "gone NAME", "hand NAME",
 * "=STATE NAME", "phase NAME", "super yes|no", "wave N NAME", "+MS". */
struct script {
	const char *name, *strategy, *targets, *play;
};

static const struct script scripts[] = {
	{"one wave moves all", NULL, "a:dev b:prod",
	 "step:a,b; ok a; step:; ok b; step:; phase Succeeded"},
	{"waves one after the other", THREE_STEPS, "a:dev b:pre c:prod",
	 "step:a; step:; slow a; step:; ok a; step:b; ok b; step:c; ok c; step:; phase Succeeded"},
	{"all of a wave before the next", THREE_STEPS, "a1:dev a2:dev b:pre",
	 "step:a1,a2; ok a2; step:; ok a1; step:b; ok b; step:; phase Succeeded"},
	{"a stale report moves nothing", THREE_STEPS, "a:dev b:pre",
	 "step:a; stale a; step:; =Moving a; ok a; step:b"},
	{"healthy but not synced is not healthy", THREE_STEPS, "a:dev b:pre",
	 "step:a; unsynced a; step:; =Moving a"},
	{"a failed sync blocks, and recovers", THREE_STEPS, "a:dev b:pre",
	 "step:a; failed a; step:; =Failed a; ok a; step:b"},
	{"degraded blocks", THREE_STEPS, "a:dev b:pre", "step:a; bad a; step:; =Failed a"},
	{"what cannot be rendered blocks its own wave only", THREE_STEPS, "a:dev b:pre! c:prod",
	 "step:a; ok a; step:; =Blocked b; =Waiting c"},
	{"the others of a blocked wave still move", THREE_STEPS, "a:dev b1:pre! b2:pre c:prod",
	 "step:a; ok a; step:b2; ok b2; step:; =Waiting c"},
	{"an empty step is passed over", THREE_STEPS, "a:dev c:prod", "step:a; ok a; step:c"},
	{"an application in no step never moves and blocks nobody", THREE_STEPS,
	 "a:dev x:lab c:prod", "step:a; ok a; step:c; ok c; step:; =Waiting x; phase Succeeded"},
	{"one that is synced by hand neither", NULL, "a:dev* b:dev",
	 "step:b; ok b; step:; =Waiting a; phase Succeeded"},
	{"falling back holds later targets", THREE_STEPS, "a:dev b:pre c:prod",
	 "step:a; ok a; step:b; slow a; ok b; step:; =Waiting c; ok a; step:c"},
	{"a target that goes frees its wave", THREE_STEPS, "a1:dev a2:dev b:pre",
	 "step:a1,a2; ok a1; step:; gone a2; step:b"},
	{"a count is the budget", ROLLING "  - maxUpdate: 2\n", "a:x b:x c:x d:x",
	 "step:a,b; step:; ok a; step:c; ok b; ok c; step:d; ok d; step:; phase Succeeded"},
	{"a percentage is rounded down", ROLLING "  - maxUpdate: 50%\n", "a:x b:x c:x",
	 "step:a; ok a; step:b"},
	{"but to no less than one", ROLLING "  - maxUpdate: 1%\n", "a:x b:x c:x", "step:a"},
	{"unless it is zero", ROLLING "  - maxUpdate: 0%\n", "a:x b:x", "step:; =Waiting a"},
	{"zero is by hand", ROLLING "  - maxUpdate: 0\n", "a:x",
	 "step:; hand a; ok a; step:; phase Succeeded"},
	{"a failed target holds its share of the budget", ROLLING "  - maxUpdate: 1\n", "a:x b:x",
	 "step:a; failed a; step:; ok a; step:b"},
	{"NotIn passes for a missing label", ROLLING STEP("NotIn", "prod") STEP("In", "prod"),
	 "a: p:prod", "step:a; ok a; step:p"},
	{"an unknown operator fails for a label that is there",
	 ROLLING STEP("Exists", "") "  - {}\n", "a:dev", "step:a; wave 1 a"},
	{"and passes for one that is not", ROLLING STEP("Exists", "") "  - {}\n",
	 "a:", "step:a; wave 0 a"},
	{"a newer revision waits for the wave", THREE_STEPS, "a:dev b:pre",
	 "super yes; step:a; super no; slow a; super no; ok a; super yes; step:b; super no"},
	{"but not for a failed one", THREE_STEPS, "a:dev b:pre", "step:a; failed a; super yes"},
	{"nor for one that gets nowhere", THREE_STEPS, "a:dev b:pre",
	 "step:a; +59999; super no; +2; super yes"},
	{"without a strategy it takes over at once", NULL, "a:dev b:pre", "step:a,b; super yes"},
};

/* ---- the stage ---- */

struct stage {
	struct cox_rollout *r;
	struct cox_doc *labels[16];
	char names[16][64];
	size_t n;
	int64_t now_ms;
	uint64_t generation;
	struct rows rows;
};

static const uint8_t digest[32] = {1, 2, 3}, other[32] = {9};

static struct cox_rollout_member member(struct stage *s, struct cox_str word)
{
	struct cox_str name, env = word;
	struct cox_rollout_member m = {.digest = digest, .revision = "abc", .cluster = "c"};
	_cleanup_free_ char *json = NULL;

	assert_true(cox_str_split(&env, ':', &name));
	if (cox_str_ends(env, "!")) {
		m.digest = NULL;
		m.error = "no such directory";
		env.len--;
	} else if (cox_str_ends(env, "*")) {
		m.by_hand = true;
		env.len--;
	}
	json = env.len ? cox_asprintf("{\"env\": \"%.*s\"}", COX_STR_ARG(env)) : cox_strdup("{}");
	assert_int_equal(cox_json_read(cox_str(json), "labels", &s->labels[s->n], NULL), 0);
	snprintf(s->names[s->n], 64, "%.*s", COX_STR_ARG(name));
	m.uid = m.name = s->names[s->n];
	m.labels = cox_doc_root(s->labels[s->n]);
	s->n++;
	return m;
}

static int plan_from(const char *yaml, struct cox_rollout_plan *plan,
		     cox_rollout_problems *problems, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (yaml)
		assert_int_equal(cox_yaml_read(cox_str(yaml), "strategy", NULL, &doc, NULL), 0);
	return cox_rollout_plan_parse(doc ? cox_doc_root(doc) : NULL, plan, problems, err);
}

static void problems_fini(cox_rollout_problems *problems)
{
	COX_VEC_EACH (problems, p)
		free(*p);
	cox_vec_fini(problems);
}

static void stage_init(struct stage *s, const struct script *script)
{
	struct cox_rollout_plan plan = COX_ROLLOUT_PLAN_INIT;
	struct cox_rollout_member members[16];
	struct cox_str rest = cox_str(script->targets), word;
	cox_rollout_problems problems = {0};

	*s = (struct stage){.now_ms = 1000000};
	while (cox_str_split(&rest, ' ', &word)) {
		struct cox_rollout_member m = member(s, word);

		members[s->n - 1] = m;
	}
	assert_int_equal(plan_from(script->strategy, &plan, &problems, NULL), 0);
	s->r = cox_rollout_new(&(struct cox_rollout_spec){.id = "id",
							  .owner = "ApplicationSet/ns/x",
							  .revision = "abc",
							  .plan = &plan,
							  .members = members,
							  .n_members = s->n},
			       s->now_ms);
	cox_rollout_plan_fini(&plan);
	problems_fini(&problems);
}

static void stage_fini(struct stage *s)
{
	cox_rollout_free(s->r);
	rows_fini(&s->rows);
	for (size_t k = 0; k < s->n; k++)
		cox_doc_unref(s->labels[k]);
}

/* Through its rows and back, as another process: nothing may be lost. */
static void reload(struct stage *s)
{
	_cleanup_free_ char *lost = rows_reload(&s->rows, &s->r);
	struct cox_error err = COX_ERROR_INIT;

	if (lost)
		fail_msg("%s", lost);
	if (rows_restart(&s->rows, &s->r, &err) < 0)
		fail_msg("%s", err.message);
}

static void do_step(struct stage *s, struct cox_str want)
{
	cox_rollout_effects effects = {0};
	_cleanup_buf_ struct cox_buf said = COX_BUF_INIT;

	cox_rollout_step(s->r, NULL, s->now_ms, &effects, NULL);
	COX_VEC_EACH (&effects, e) {
		const char *uid = s->r->targets.items[e->target].uid;

		cox_buf_printf(&said, "%s%s", said.len ? "," : "", uid);
		cox_rollout_assigned(s->r, uid, 1, ++s->generation, "op", s->now_ms);
	}
	cox_vec_fini(&effects);
	if (!cox_str_is(want, cox_buf_cstr(&said)))
		fail_msg("moved '%s' instead of '%.*s'", cox_buf_cstr(&said), COX_STR_ARG(want));
}

static const struct {
	const char *verb;
	bool synced, healthy, degraded, failed, stale;
} sayings[] = {
	{"ok", .synced = true, .healthy = true},
	{"slow", .synced = true},
	{"bad", .synced = true, .degraded = true},
	{"unsynced", .healthy = true},
	{"failed", .healthy = true, .failed = true},
	{"stale", .synced = true, .healthy = true, .stale = true},
};

static bool say(struct stage *s, struct cox_str verb, const char *uid)
{
	const struct cox_rollout_target *t = cox_rollout_find(s->r, uid);

	for (size_t i = 0; i < COX_ARRAY_LEN(sayings); i++) {
		struct cox_rollout_report p = {
			.epoch = t->epoch,
			.generation = t->generation - sayings[i].stale,
			.sync_digest = digest,
			.synced = sayings[i].synced,
			.healthy = sayings[i].healthy,
			.degraded = sayings[i].degraded,
			.health = "Progressing",
			.message = "Deployment 'x'",
			.operation_phase = sayings[i].failed ? COX_OP_FAILED : COX_OP_SUCCEEDED,
			.operation = "op",
			.operation_digest = digest};

		if (!cox_str_is(verb, sayings[i].verb))
			continue;
		cox_rollout_observe(s->r, uid, &p, s->now_ms);
		return true;
	}
	return false;
}

static void check_state(struct stage *s, struct cox_str want, const char *uid)
{
	const struct cox_rollout_target *t = cox_rollout_find(s->r, uid);

	if (!cox_str_is(want, cox_rollout_state_name(t->state)))
		fail_msg("'%s' is %s (%s), not %.*s", uid, cox_rollout_state_name(t->state),
			 t->message ? t->message : "", COX_STR_ARG(want));
}

static void play_one(struct stage *s, struct cox_str line)
{
	struct cox_str rest = line, verb;
	_cleanup_free_ char *what = NULL;

	if (cox_str_starts(line, "step:")) {
		do_step(s, cox_str_n(line.ptr + 5, line.len - 5));
		return;
	}
	if (cox_str_starts(line, "+")) {
		s->now_ms += strtoll(line.ptr + 1, NULL, 10);
		return;
	}
	assert_true(cox_str_split(&rest, ' ', &verb));
	what = cox_str_dup(rest);
	if (cox_str_is(verb, "phase"))
		assert_string_equal(cox_rollout_phase_name(s->r->phase), what);
	else if (cox_str_is(verb, "gone"))
		assert_int_equal(cox_rollout_remove(s->r, what, s->now_ms), 1);
	else if (cox_str_is(verb, "hand"))
		cox_rollout_assigned(s->r, what, 1, ++s->generation, "op", s->now_ms);
	else if (cox_str_is(verb, "super"))
		assert_int_equal(cox_rollout_may_supersede(s->r, s->now_ms, NULL),
				 strcmp(what, "yes") == 0);
	else if (cox_str_is(verb, "wave"))
		assert_int_equal(cox_rollout_find(s->r, strchr(what, ' ') + 1)->wave, atoi(what));
	else if (cox_str_starts(verb, "="))
		check_state(s, cox_str_n(verb.ptr + 1, verb.len - 1), what);
	else if (!say(s, verb, what))
		fail_msg("bad line '%.*s'", COX_STR_ARG(line));
}

static void test_scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(scripts); i++) {
		struct cox_str rest = cox_str(scripts[i].play), line;
		struct stage s;

		print_message("%s\n", scripts[i].name);
		stage_init(&s, &scripts[i]);
		while (cox_str_split(&rest, ';', &line)) {
			reload(&s);
			play_one(&s, cox_str_trim(line));
		}
		stage_fini(&s);
	}
}

/* ---- what operations mean ---- */

static void one_moved(struct stage *s)
{
	static const struct script script = {.targets = "a:dev"};

	stage_init(s, &script);
	do_step(s, COX_STR("a"));
}

static void test_operations(void **state)
{
	static const struct {
		const char *operation;
		int phase;
		const uint8_t *digest;
		const char *want;
	} rows[] = {
		{NULL, COX_OP_NONE, NULL, "Moving"}, /* not begun */
		{"op", COX_OP_RUNNING, digest, "Moving"},
		{"op", COX_OP_SUCCEEDED, digest, "Healthy"},
		{"op", COX_OP_FAILED, digest, "Failed"},
		{"old", COX_OP_SUCCEEDED, other, "Moving"}, /* of what was before */
		{"old", COX_OP_FAILED, other, "Moving"},
		{"heal", COX_OP_SUCCEEDED, digest, "Healthy"}, /* one that came after ours */
		{"heal", COX_OP_RUNNING, digest, "Moving"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		struct cox_rollout_report p = {.epoch = 1,
					       .generation = 1,
					       .sync_digest = digest,
					       .synced = true,
					       .healthy = true,
					       .operation = rows[i].operation,
					       .operation_phase = rows[i].phase,
					       .operation_digest = rows[i].digest};
		struct stage s;

		one_moved(&s);
		cox_rollout_observe(s.r, "a", &p, 5);
		check_state(&s, cox_str(rows[i].want), "a");
		stage_fini(&s);
	}
}

static void test_fences(void **state)
{
	const struct cox_rollout_report good = {.epoch = 1,
						.generation = 1,
						.sync_digest = digest,
						.synced = true,
						.healthy = true,
						.operation = "op",
						.operation_digest = digest,
						.operation_phase = COX_OP_SUCCEEDED};
	struct cox_rollout_report p = good;
	struct stage s;

	(void)state;
	one_moved(&s);
	p.epoch = 2;
	assert_int_equal(cox_rollout_observe(s.r, "a", &p, 5), 0);
	p = good;
	p.generation = 2;
	assert_int_equal(cox_rollout_observe(s.r, "a", &p, 5), 0);
	p = good;
	p.sync_digest = other;
	assert_int_equal(cox_rollout_observe(s.r, "a", &p, 5), 0);
	assert_int_equal(cox_rollout_observe(s.r, "nobody", &good, 5), 0);
	/* A new generation of the same move (its policy changed) is what counts from then on. */
	cox_rollout_assigned(s.r, "a", 1, 2, NULL, 5);
	assert_int_equal(cox_rollout_observe(s.r, "a", &good, 5), 0);
	p = good;
	p.generation = 2;
	assert_int_equal(cox_rollout_observe(s.r, "a", &p, 5), 1);
	check_state(&s, COX_STR("Healthy"), "a");
	stage_fini(&s);
}

/* ---- what earlier versions kept ---- */

static const char *const OLD =
	"{\"id\":\"0f\",\"owner\":\"ApplicationSet/ns/"
	"x\",\"revision\":\"abc\",\"phase\":\"Progressing\","
	"\"started\":1000,\"finished\":0,\"plan\":{\"waves\":[{\"name\":\"step "
	"1\",\"maxKind\":\"count\","
	"\"maxUpdate\":1,\"matchExpressions\":[{\"key\":\"env\",\"operator\":\"In\",\"values\":["
	"\"dev\"]}]},"
	"{\"name\":\"step 2\",\"maxKind\":\"all\",\"maxUpdate\":0,\"matchExpressions\":[]}],"
	"\"supersede\":\"wave\",\"patienceMs\":60000,\"ordered\":true},"
	"\"targets\":[{\"uid\":\"a\",\"name\":\"a\",\"cluster\":\"c\",\"wave\":0,\"digest\":"
	"\"0102030000000000000000000000000000000000000000000000000000000000\",\"revision\":\"abc\","
	"\"state\":\"Healthy\",\"since\":1000,\"epoch\":1,\"generation\":7,\"operation\":\"op\"},"
	"{\"uid\":\"b\",\"name\":\"b\",\"cluster\":\"c\",\"wave\":1,\"digest\":"
	"\"0102030000000000000000000000000000000000000000000000000000000000\",\"revision\":\"abc\","
	"\"state\":\"Waiting\",\"since\":1000,\"epoch\":0,\"generation\":0,\"operation\":\"\"}]}";

static struct cox_rollout *read_kept(const char *json, struct cox_error *err)
{
	struct rows rows = {0};
	struct cox_rollout *r = NULL;
	int e;

	cox_map_set(&rows.text, "", cox_strdup(json));
	e = rows_read(&rows, &r, err);
	rows_fini(&rows);
	return e < 0 ? NULL : r;
}

static void test_old_state(void **state)
{
	struct stage s = {.now_ms = 2000, .generation = 7};
	struct cox_rollout_plan plan = COX_ROLLOUT_PLAN_INIT;

	(void)state;
	s.r = read_kept(OLD, NULL);
	assert_non_null(s.r);
	/* The same strategy is no other plan, now that it is read from its own text. */
	assert_int_equal(plan_from("type: RollingSync\nrollingSync:\n  steps:\n"
				   "  - {maxUpdate: 1, matchExpressions: [{key: env, operator: In, "
				   "values: [dev]}]}\n  - {}\n",
				   &plan, NULL, NULL),
			 0);
	assert_true(cox_rollout_plan_equal(&s.r->plan, &plan));
	assert_false(cox_rollout_is_kept(s.r));
	do_step(&s, COX_STR("b"));
	reload(&s);
	assert_true(say(&s, COX_STR("ok"), "b"));
	do_step(&s, COX_STR(""));
	assert_int_equal(s.r->phase, COX_ROLLOUT_SUCCEEDED);
	cox_rollout_plan_fini(&plan);
	stage_fini(&s);
}

static void test_damaged_state(void **state)
{
	static const char *const rows[] = {
		"{}",
		"{\"phase\":\"Over\"}",
		"{\"phase\":\"Progressing\",\"version\":2}",
		"{\"phase\":\"Progressing\",\"version\":3}",
		"{\"phase\":\"Progressing\",\"version\":2,\"plan\":{\"source\":\"policy\",\"spec\":"
		"{}}}",
		"{\"phase\":\"Progressing\",\"version\":2,\"plan\":{\"source\":\"atOnce\"},"
		"\"waves\":[]}",
		"{\"phase\":\"Progressing\",\"version\":2,\"plan\":{\"source\":\"atOnce\"},"
		"\"waves\":[{\"phase\":\"Nowhere\"}]}",
		"{\"phase\":\"Progressing\",\"version\":2,\"plan\":{\"source\":\"atOnce\"},"
		"\"targets\":[{\"uid\":\"a\",\"name\":\"a\",\"wave\":1,\"state\":\"Waiting\"}]}",
		"{\"phase\":\"Progressing\",\"version\":2,\"plan\":{\"source\":\"atOnce\"},"
		"\"targets\":[{\"uid\":\"a\",\"name\":\"a\",\"wave\":0,\"state\":\"Waiting\","
		"\"digest\":\"xyz\"}]}",
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		struct cox_error err = COX_ERROR_INIT;

		if (read_kept(rows[i], &err))
			fail_msg("row %zu is read", i);
		assert_true(err.code == COX_DATA_LOSS || err.code == COX_INVALID_ARGUMENT ||
			    err.code == COX_UNIMPLEMENTED);
	}
}

/* ---- limits ---- */

static int policy_of(size_t n_waves, size_t n_gates)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_rollout_plan plan = COX_ROLLOUT_PLAN_INIT;
	int r;

	cox_buf_puts(&text, "waves:\n");
	for (size_t i = 0; i < n_waves; i++) {
		cox_buf_printf(&text, "- name: w%zu\n  after: [", i);
		for (size_t k = 0; k < n_gates; k++)
			cox_buf_puts(&text, "{soak: 1m}, ");
		cox_buf_puts(&text, "]\n");
	}
	assert_int_equal(cox_yaml_read(cox_buf_str(&text), "policy", NULL, &doc, NULL), 0);
	r = cox_rollout_plan_policy("p", cox_doc_root(doc), &plan, NULL);
	cox_rollout_plan_fini(&plan);
	return r;
}

static void test_limits(void **state)
{
	static const struct script script = {.targets = "a:dev"};
	struct stage s;

	(void)state;
	assert_int_equal(policy_of(COX_ROLLOUT_MAX_WAVES - 1, 1), 0);
	assert_int_equal(policy_of(COX_ROLLOUT_MAX_WAVES, 1), -COX_INVALID_ARGUMENT);
	assert_int_equal(policy_of(1, COX_ROLLOUT_MAX_GATES), 0);
	assert_int_equal(policy_of(1, COX_ROLLOUT_MAX_GATES + 1), -COX_INVALID_ARGUMENT);
	stage_init(&s, &script);
	for (int i = 0; i < COX_ROLLOUT_MAX_AUDIT / 2 + 1; i++) {
		assert_int_equal(cox_rollout_pause(s.r, "ann", 5, NULL), 0);
		assert_int_equal(cox_rollout_resume(s.r, "bob", 5, NULL), 0);
		reload(&s);
	}
	assert_int_equal(s.r->audit.n, COX_ROLLOUT_MAX_AUDIT);
	assert_int_equal(s.r->n_audit_dropped, 2);
	stage_fini(&s);
}

/* ---- plans ---- */

static void test_plan_problems(void **state)
{
	static const struct {
		const char *strategy, *problem, *error;
	} rows[] = {
		{"type: RollingSync\n", NULL, "at least one step"},
		{"type: RollingSync\nrollingSync: {steps: []}\n", NULL, "at least one step"},
		{"type: Canary\n", NULL, "Canary"},
		{ROLLING "  - maxUpdate: many\n", "'many'", NULL},
		{ROLLING "  - maxUpdate: -1\n", "'-1'", NULL},
		{ROLLING STEP("Exists", "x"), "Exists", NULL},
		{"type: AllAtOnce\n", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		struct cox_rollout_plan plan = COX_ROLLOUT_PLAN_INIT;
		cox_rollout_problems problems = {0};
		struct cox_error err = COX_ERROR_INIT;
		int r = plan_from(rows[i].strategy, &plan, &problems, &err);

		assert_int_equal(r < 0, rows[i].error != NULL);
		if (rows[i].error)
			assert_non_null(strstr(err.message, rows[i].error));
		assert_int_equal(problems.n, rows[i].problem ? 1 : 0);
		if (rows[i].problem)
			assert_non_null(strstr(problems.items[0], rows[i].problem));
		cox_rollout_plan_fini(&plan);
		problems_fini(&problems);
	}
}

static void test_why(void **state)
{
	static const struct script script = {.strategy = THREE_STEPS,
					     .targets = "a:dev b:pre c:prod"};
	_cleanup_free_ char *text = NULL;
	struct cox_rollout_why why;
	struct stage s;

	(void)state;
	stage_init(&s, &script);
	do_step(&s, COX_STR("a"));
	assert_true(say(&s, COX_STR("bad"), "a"));
	cox_rollout_why(s.r, &why);
	assert_int_equal(why.wave, 0);
	assert_string_equal(why.target->name, "a");
	assert_non_null(strstr(why.message, "Deployment 'x'"));
	text = cox_rollout_waits(s.r, "c");
	assert_string_equal(text,
			    "waiting for wave 3 of 3 ('step 3'); wave 1 ('step 1') is not done: "
			    "'a' on cluster 'c' failed: Degraded: Deployment 'x'");
	assert_null(cox_rollout_waits(s.r, "a"));
	stage_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),	      cmocka_unit_test(test_operations),
		cmocka_unit_test(test_fences),	      cmocka_unit_test(test_plan_problems),
		cmocka_unit_test(test_why),	      cmocka_unit_test(test_old_state),
		cmocka_unit_test(test_damaged_state), cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
