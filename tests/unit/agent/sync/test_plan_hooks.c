/* Hooks, pauses and confirmations in the plan. */
#include "agent/sync/plan.h"

#include "common/doc/json.h"
#include "common/doc/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 1000

static const struct cox_health healthy = {.status = COX_HEALTH_HEALTHY},
			       progressing = {.status = COX_HEALTH_PROGRESSING},
			       degraded = {.status = COX_HEALTH_DEGRADED, .message = "broken"};

static struct world {
	struct agent_desired d;
	struct agent_plan plan;
	struct agent_plan_input in;
	int64_t now_ms;
	size_t begin, end;
	char text[4096];
} w;

static int setup(void **state)
{
	(void)state;
	w = (struct world){.now_ms = NOW};
	w.in = (struct agent_plan_input){
		.prune = true, .hooks = true, .attempt = 1, .started_ms = 1700000000123};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	agent_plan_fini(&w.plan);
	agent_desired_fini(&w.d);
	return 0;
}

static int desire(const char *yaml, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	COX_CLEANUP(cox_buf_fini) struct cox_buf json = COX_BUF_INIT;
	_cleanup_docs_ cox_docs objects = {0};

	if (cox_yaml_read(cox_str(yaml), "bundle", NULL, &doc, err) < 0)
		fail_msg("%s", err->message);
	cox_json_write_canonical(&json, cox_doc_root(doc));
	assert_int_equal(agent_bundle_read(cox_buf_str(&json), &objects, err), 0);
	return agent_desired_build(&objects,
				   &(struct agent_desired_input){.instance = "shop",
								 .app_uid = "uid-1",
								 .namespace = "web"},
				   &w.d, err);
}

static void plan(const char *yaml)
{
	struct cox_error err = COX_ERROR_INIT;

	w.in.desired = &w.d;
	if (desire(yaml, &err) < 0 || agent_plan_build(&w.in, &w.plan, &err) < 0)
		fail_msg("%s", err.message);
}

#define META(name, more) "metadata: {name: " name ", annotations: {" more "}}}\n"
#define HOOK(name, phases, more)                                                                   \
	"- {apiVersion: batch/v1, kind: Job, " META(name,                                          \
						    "argocd.argoproj.io/hook: '" phases "'" more)
#define MAP(name, more) "- {apiVersion: v1, kind: ConfigMap, " META(name, more)
#define WAVE(n)		"argocd.argoproj.io/sync-wave: '" n "'"

static enum agent_plan_step next(void)
{
	return agent_plan_next(&w.plan, w.now_ms, &w.begin, &w.end);
}

/* The tasks that are to be run next, "a b", or what else is to be done. */
static const char *step(void)
{
	static const char *const words[] = {
		[AGENT_PLAN_WAIT] = "wait",	      [AGENT_PLAN_PAUSE] = "pause",
		[AGENT_PLAN_FAILING] = "failing",     [AGENT_PLAN_FAILED] = "failed",
		[AGENT_PLAN_SUCCEEDED] = "succeeded",
	};
	enum agent_plan_step s = next();
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;

	if (s != AGENT_PLAN_RUN)
		return words[s];
	for (size_t i = w.begin; i < w.end; i++)
		cox_buf_printf(&out, "%s%.*s", i > w.begin ? " " : "",
			       COX_STR_ARG(w.plan.tasks.items[i].key.name));
	snprintf(w.text, sizeof(w.text), "%s", cox_buf_cstr(&out));
	return w.text;
}

static const char *said(void)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;

	agent_plan_describe(&w.plan, &out);
	snprintf(w.text, sizeof(w.text), "%s", cox_buf_cstr(&out));
	return w.text;
}

static void ended(enum agent_hook_outcome outcome, const char *message)
{
	for (size_t i = w.begin; i < w.end; i++)
		agent_plan_hook(&w.plan, i, outcome, message);
}

static void applied(const struct cox_health *health)
{
	for (size_t i = w.begin; i < w.end; i++)
		agent_plan_applied(&w.plan, i, health);
}

static const char *order(void)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;

	COX_VEC_EACH (&w.plan.tasks, t)
		cox_buf_printf(&out, "%s/%lld %s%.*s\n", agent_phase_name(t->phase),
			       (long long)t->wave,
			       t->action == AGENT_ACTION_PRUNE	? "-"
			       : t->action == AGENT_ACTION_HOOK ? "*"
								: "+",
			       COX_STR_ARG(t->key.name));
	snprintf(w.text, sizeof(w.text), "%s", cox_buf_cstr(&out));
	return w.text;
}

/* ---- what is in the plan ---- */

static void test_a_task_per_phase(void **state)
{
	(void)state;
	plan(MAP("config", "") HOOK("both", "PreSync,PostSync", "") HOOK("late", "PostSync",
									 ", " WAVE("2"))
		     HOOK("report", "SyncFail", "") HOOK("gone", "PreDelete,PostDelete", "")
			     HOOK("within", "Sync", ", " WAVE("-1")) HOOK("none", "Nonsense", ""));
	assert_string_equal(order(), "PreSync/0 *both\n"
				     "Sync/-1 *within\n"
				     "Sync/0 +config\n"
				     "PostSync/0 *both\n"
				     "PostSync/2 *late\n"
				     "SyncFail/0 *report\n");
	agent_plan_fini(&w.plan);
	assert_int_equal(agent_plan_build_deletion(&w.in, AGENT_PHASE_PRE_DELETE, &w.plan, NULL),
			 0);
	assert_string_equal(order(), "PreDelete/0 *gone\n");
	agent_plan_fini(&w.plan);
	w.in.hooks = false;
	assert_int_equal(agent_plan_build(&w.in, &w.plan, NULL), 0);
	assert_string_equal(order(), "Sync/0 +config\n");
}

static void test_generated_names(void **state)
{
	static const char yaml[] =
		"- {apiVersion: batch/v1, kind: Job, metadata: {generateName: mute-, annotations: "
		"{argocd.argoproj.io/hook: 'PreSync,PostSync'}}}\n"
		"- {apiVersion: batch/v1, kind: Job, metadata: {generateName: mute-, annotations: "
		"{argocd.argoproj.io/hook: PreSync}}}\n"
		"- {apiVersion: batch/v1, kind: Job, metadata: {generateName: "
		"a-name-that-is-so-long-that-nothing-fits-behind-it-any-more-, annotations: "
		"{argocd.argoproj.io/hook: SyncFail}}}\n";

	(void)state;
	w.in.revision = "0123456789abcdef";
	plan(yaml);
	assert_string_equal(order(),
			    "PreSync/0 *mute-0123456-presync-1700000000\n"
			    "PreSync/0 *mute-0123456-presync-1700000000-2\n"
			    "PostSync/0 *mute-0123456-postsync-1700000000\n"
			    "SyncFail/0 *a-name-that-is-so-long-that-nothing-0123456-syncfail-"
			    "1700000000\n");
	assert_int_equal(w.plan.tasks.items[3].key.name.len, 63);
	agent_plan_fini(&w.plan);
	/* another attempt, another name */
	w.in.attempt = 2;
	w.in.revision = "v1";
	assert_int_equal(agent_plan_build(&w.in, &w.plan, NULL), 0);
	assert_memory_equal(order(), "PreSync/0 *mute-v1-presync-1700000000-retry1\n", 45);
}

static void test_what_is_a_hook_now_is_not_pruned(void **state)
{
	struct agent_extra extras[] = {{.key_text = "batch/Job/web/a", .version = "v1"},
				       {.key_text = "batch/Job/web/b", .version = "v1"}};

	(void)state;
	w.in.extras = extras;
	w.in.n_extras = 2;
	plan(HOOK("a", "PreSync", ""));
	assert_string_equal(order(), "PreSync/0 *a\nSync/0 -b\n");
}

/* Every task of phase Sync counts for PruneLast: hooks, and what is pruned itself. */
static void test_prune_last_is_after_all_of_sync(void **state)
{
	struct agent_extra extras[] = {{.key_text = "/ConfigMap/web/x", .version = "v1", .wave = 7},
				       {.key_text = "/ConfigMap/web/y",
					.version = "v1",
					.wave = -2,
					.options = AGENT_OPT_PRUNE_LAST}};

	(void)state;
	w.in.extras = extras;
	w.in.n_extras = 2;
	plan(MAP("a", WAVE("3")) HOOK("h", "Sync", ", " WAVE("5"))
		     HOOK("p", "PostSync", ", " WAVE("9")));
	assert_string_equal(order(),
			    "Sync/-2 -x\nSync/3 +a\nSync/5 *h\nSync/8 -y\nPostSync/9 *p\n");
}

static void test_bad_timeout(void **state)
{
	struct cox_error err;

	(void)state;
	assert_true(desire(HOOK("h", "Sync", ", coxswain.dev/hook-timeout: soon"), &err) < 0);
	assert_string_equal(err.message, "Job 'h': annotation coxswain.dev/hook-timeout is "
					 "'soon', expected a duration such as 5m");
	assert_int_equal(desire(HOOK("h", "Sync", ", coxswain.dev/hook-timeout: 1m30s"), &err), 0);
	assert_int_equal(w.d.objects.items[0].hook_timeout_ms, 90000);
}

/* ---- how it goes ---- */

static const char deployment[] =
	HOOK("mute", "PreSync", "") MAP("config", "") HOOK("notify", "PostSync", "")
		HOOK("unmute", "PostSync", ", " WAVE("1")) HOOK("report", "SyncFail", "");

static void test_phases_one_after_the_other(void **state)
{
	(void)state;
	plan(deployment);
	assert_string_equal(step(), "mute");
	assert_string_equal(step(), "wait");
	ended(AGENT_OUTCOME_RUNNING, NULL);
	assert_string_equal(step(), "wait");
	assert_string_equal(said(), "waiting for completion of hook batch/Job/mute");
	/* what is seen of objects of that name says nothing about a hook */
	agent_plan_observed(&w.plan, "batch/Job/web/mute", &healthy);
	assert_string_equal(step(), "wait");
	ended(AGENT_OUTCOME_SUCCEEDED, "Job completed");
	assert_string_equal(step(), "config");
	applied(&progressing);
	assert_string_equal(step(), "wait");
	agent_plan_observed(&w.plan, "/ConfigMap/web/config", &healthy);
	assert_string_equal(step(), "notify");
	ended(AGENT_OUTCOME_SUCCEEDED, NULL);
	assert_string_equal(step(), "unmute");
	/* also in the last wave a hook is waited for */
	ended(AGENT_OUTCOME_RUNNING, NULL);
	assert_string_equal(step(), "wait");
	ended(AGENT_OUTCOME_SUCCEEDED, NULL);
	assert_string_equal(step(), "succeeded");
	assert_string_equal(step(), "succeeded");
}

static void test_a_failed_hook(void **state)
{
	(void)state;
	plan(deployment);
	assert_string_equal(step(), "mute");
	ended(AGENT_OUTCOME_FAILED, "backoff limit");
	assert_string_equal(step(), "failing");
	assert_string_equal(step(), "failing");
	agent_plan_fail(&w.plan, NULL);
	assert_string_equal(step(), "report");
	ended(AGENT_OUTCOME_RUNNING, NULL);
	assert_string_equal(step(), "wait");
	assert_string_equal(said(), "batch/Job/mute: backoff limit; waiting for completion of "
				    "hook batch/Job/report");
	ended(AGENT_OUTCOME_SUCCEEDED, NULL);
	assert_string_equal(step(), "failed");
	assert_string_equal(said(), "batch/Job/mute: backoff limit");
}

static void test_a_failed_hook_of_sync_fail(void **state)
{
	(void)state;
	plan(MAP("config", "") HOOK("report", "SyncFail", "")
		     HOOK("second", "SyncFail", ", " WAVE("1")));
	assert_string_equal(step(), "config");
	agent_plan_failed(&w.plan, w.begin, "denied");
	assert_string_equal(step(), "failing");
	agent_plan_fail(&w.plan, NULL);
	assert_string_equal(step(), "report");
	ended(AGENT_OUTCOME_FAILED, "no route");
	assert_string_equal(step(), "failed");
	assert_string_equal(said(),
			    "ConfigMap/config: denied; SyncFail: batch/Job/report: no route");
}

/* What else runs in the wave is not left alone: SyncFail begins after it. */
static void test_failure_waits_for_hooks_that_run(void **state)
{
	(void)state;
	plan(HOOK("a", "PreSync", "") HOOK("b", "PreSync", "") HOOK("report", "SyncFail", ""));
	assert_string_equal(step(), "a b");
	agent_plan_hook(&w.plan, 0, AGENT_OUTCOME_FAILED, "broken");
	agent_plan_hook(&w.plan, 1, AGENT_OUTCOME_RUNNING, NULL);
	assert_string_equal(step(), "wait");
	agent_plan_hook(&w.plan, 1, AGENT_OUTCOME_SUCCEEDED, NULL);
	assert_string_equal(step(), "failing");
}

static void test_without_sync_fail_it_fails_at_once(void **state)
{
	(void)state;
	plan(HOOK("a", "PreSync", "") MAP("config", ""));
	assert_string_equal(step(), "a");
	ended(AGENT_OUTCOME_FAILED, NULL);
	assert_string_equal(step(), "failed");
	assert_string_equal(said(), "batch/Job/a");
}

/* After a restart: what has completed is told before anything is begun. */
static void test_resumed(void **state)
{
	(void)state;
	plan(deployment);
	agent_plan_hook(&w.plan, 0, AGENT_OUTCOME_SUCCEEDED, "Job completed");
	agent_plan_hook(&w.plan, 2, AGENT_OUTCOME_SUCCEEDED, NULL);
	assert_string_equal(step(), "config");
	applied(&healthy);
	assert_string_equal(step(), "unmute");
	ended(AGENT_OUTCOME_SUCCEEDED, NULL);
	assert_string_equal(step(), "succeeded");
}

static void test_resumed_while_it_was_failing(void **state)
{
	(void)state;
	plan(deployment);
	agent_plan_hook(&w.plan, 0, AGENT_OUTCOME_SUCCEEDED, NULL);
	agent_plan_fail(&w.plan, "ConfigMap/config: denied");
	assert_string_equal(step(), "report");
	ended(AGENT_OUTCOME_SUCCEEDED, NULL);
	assert_string_equal(step(), "failed");
	assert_string_equal(said(), "ConfigMap/config: denied");
}

/* B1.5: with a hook in it, and more than one wave in all, the last wave waits for its objects. */
static void test_objects_beside_a_hook_in_the_last_wave(void **state)
{
	(void)state;
	plan(MAP("first", WAVE("-1")) MAP("config", "") HOOK("h", "Sync", ""));
	assert_string_equal(step(), "first");
	applied(&healthy);
	assert_string_equal(step(), "config");
	applied(&progressing);
	assert_string_equal(step(), "h");
	ended(AGENT_OUTCOME_SUCCEEDED, NULL);
	assert_string_equal(step(), "wait");
	agent_plan_observed(&w.plan, "/ConfigMap/web/config", &degraded);
	assert_string_equal(step(), "failed");
}

static void test_objects_beside_a_hook_in_the_only_wave(void **state)
{
	(void)state;
	plan(MAP("config", "") HOOK("h", "Sync", ""));
	assert_string_equal(step(), "config");
	applied(&degraded);
	assert_string_equal(step(), "h");
	ended(AGENT_OUTCOME_SUCCEEDED, NULL);
	assert_string_equal(step(), "succeeded");
}

static void test_an_older_instance_is_waited_for(void **state)
{
	(void)state;
	plan(HOOK("h", "Sync", ""));
	assert_string_equal(step(), "h");
	w.plan.tasks.items[0].is_replacing = true;
	assert_string_equal(step(), "wait");
	assert_string_equal(said(), "waiting for deletion of hook batch/Job/h");
	ended(AGENT_OUTCOME_RUNNING, NULL);
	assert_string_equal(said(), "waiting for completion of hook batch/Job/h");
}

/* ---- the pause between waves ---- */

static void test_pause(void **state)
{
	(void)state;
	w.in.wave_delay_ms = 2000;
	plan(MAP("a", WAVE("1")) MAP("b", WAVE("2")) MAP("c", WAVE("3")));
	assert_string_equal(step(), "a");
	applied(&healthy);
	assert_string_equal(step(), "pause");
	assert_int_equal(w.plan.due_ms, NOW + 2000);
	w.now_ms = NOW + 1999;
	assert_string_equal(step(), "pause");
	/* a controller has seen the change only now */
	agent_plan_observed(&w.plan, "/ConfigMap/web/a", &progressing);
	assert_string_equal(step(), "wait");
	w.now_ms = NOW + 2000;
	assert_string_equal(step(), "wait");
	agent_plan_observed(&w.plan, "/ConfigMap/web/a", &healthy);
	assert_string_equal(step(), "b");
	/* what takes longer than the pause needs none after it */
	applied(&progressing);
	w.now_ms += 5000;
	agent_plan_observed(&w.plan, "/ConfigMap/web/b", &healthy);
	assert_string_equal(step(), "c");
	/* nothing comes after the last wave */
	applied(&progressing);
	assert_string_equal(step(), "succeeded");
}

static void test_no_pause_after_what_was_done_before(void **state)
{
	(void)state;
	w.in.wave_delay_ms = 2000;
	w.in.options = AGENT_OPT_CREATE_NAMESPACE;
	w.in.namespace = "web";
	plan(HOOK("h", "PreSync", ", " WAVE("1")) MAP("a", ""));
	assert_string_equal(step(), "web");
	applied(&healthy);
	agent_plan_hook(&w.plan, 1, AGENT_OUTCOME_SUCCEEDED, NULL);
	assert_string_equal(step(), "a");
}

/* ---- confirmation ---- */

static void test_confirmation(void **state)
{
	struct agent_extra extras[] = {{.key_text = "/ConfigMap/web/x", .version = "v1"},
				       {.key_text = "/ConfigMap/web/y",
					.version = "v1",
					.options = AGENT_OPT_CONFIRM_PRUNE}};

	(void)state;
	w.in.extras = extras;
	w.in.n_extras = 2;
	plan(MAP("first", WAVE("-1")) MAP("a", ""));
	assert_string_equal(step(), "first");
	applied(&healthy);
	/* of the wave nothing is done before */
	assert_string_equal(step(), "wait");
	assert_string_equal(said(), "waiting for pruning confirmation of ConfigMap/y");
	agent_plan_approve(&w.plan);
	assert_string_equal(step(), "x y");
	agent_plan_applied(&w.plan, 1, &(struct cox_health){0});
	agent_plan_applied(&w.plan, 2, &(struct cox_health){0});
	assert_string_equal(step(), "a");
	agent_plan_fini(&w.plan);
	/* where pruning is not permitted, there is nothing to confirm */
	w.in.prune = false;
	assert_int_equal(agent_plan_build(&w.in, &w.plan, NULL), 0);
	assert_string_equal(step(), "first");
	applied(&healthy);
	assert_string_equal(step(), "a");
}

/* ---- completion ---- */

static void test_judged_by_completion(void **state)
{
#define JOB "apiVersion: batch/v1, kind: Job"
#define POD "apiVersion: v1, kind: Pod"
	static const struct {
		const char *object;
		enum agent_hook_outcome outcome;
		const char *message;
	} rows[] = {
		{"{" JOB "}", AGENT_OUTCOME_RUNNING, ""},
		{"{" JOB
		 ", status: {conditions: [{type: Complete, status: 'True', message: done}]}}",
		 AGENT_OUTCOME_SUCCEEDED, "done"},
		{"{" JOB ", status: {conditions: [{type: Complete, status: 'False'}]}}",
		 AGENT_OUTCOME_RUNNING, ""},
		{"{" JOB
		 ", status: {conditions: [{type: Failed, status: 'True', message: limit}]}}",
		 AGENT_OUTCOME_FAILED, "limit"},
		{"{" JOB ", status: {conditions: [{type: FailureTarget, status: 'True'}]}}",
		 AGENT_OUTCOME_RUNNING, ""},
		{"{" JOB ", status: {conditions: [{type: Suspended, status: 'True'}]}}",
		 AGENT_OUTCOME_RUNNING, ""},
		/* resumed is not complete */
		{"{" JOB ", status: {conditions: [{type: Suspended, status: 'False', reason: "
		 "JobResumed}]}}",
		 AGENT_OUTCOME_RUNNING, ""},
		{"{" POD ", spec: {restartPolicy: Never}, status: {phase: Running}}",
		 AGENT_OUTCOME_RUNNING, ""},
		{"{" POD ", spec: {restartPolicy: Never}, status: {phase: Succeeded}}",
		 AGENT_OUTCOME_SUCCEEDED, ""},
		{"{" POD
		 ", spec: {restartPolicy: Never}, status: {phase: Failed, message: evicted}}",
		 AGENT_OUTCOME_FAILED, "evicted"},
		{"{apiVersion: argoproj.io/v1alpha1, kind: Workflow}", AGENT_OUTCOME_RUNNING, ""},
		{"{apiVersion: argoproj.io/v1alpha1, kind: Workflow, status: {phase: Running}}",
		 AGENT_OUTCOME_RUNNING, ""},
		{"{apiVersion: argoproj.io/v1alpha1, kind: Workflow, status: {phase: Succeeded}}",
		 AGENT_OUTCOME_SUCCEEDED, ""},
		{"{apiVersion: argoproj.io/v1alpha1, kind: Workflow, status: {phase: Error, "
		 "message: "
		 "oops}}",
		 AGENT_OUTCOME_FAILED, "oops"},
		{"{apiVersion: v1, kind: ConfigMap}", AGENT_OUTCOME_SUCCEEDED, ""},
		/* a version that nobody knows is Unknown */
		{"{apiVersion: apps/v9, kind: Deployment}", AGENT_OUTCOME_FAILED, NULL},
		/* on its way out: its own outcome counts, and without one nobody will bring it */
		{"{" JOB ", metadata: {deletionTimestamp: x, finalizers: "
		 "[coxswain.dev/hook-finalizer]}, status: {conditions: [{type: Complete, status: "
		 "'True'}]}}",
		 AGENT_OUTCOME_SUCCEEDED, ""},
		{"{" JOB ", metadata: {deletionTimestamp: x, finalizers: "
		 "[coxswain.dev/hook-finalizer]}}",
		 AGENT_OUTCOME_FAILED, "is being deleted and had not completed"},
		{"{" POD ", metadata: {deletionTimestamp: x, finalizers: "
		 "[coxswain.dev/hook-finalizer]}, spec: {restartPolicy: Never}, status: {phase: "
		 "Succeeded}}",
		 AGENT_OUTCOME_SUCCEEDED, ""},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		_cleanup_doc_ struct cox_doc *doc = NULL;
		char message[COX_HEALTH_MESSAGE_MAX];

		assert_int_equal(cox_yaml_read(cox_str(rows[i].object), "t", NULL, &doc, NULL), 0);
		struct cox_health health;

		cox_health_assess(cox_doc_root(doc), &health);
		if (agent_hook_judge(cox_doc_root(doc), &health, message) != rows[i].outcome ||
		    (rows[i].message && strcmp(message, rows[i].message) != 0))
			fail_msg("%s: '%s'", rows[i].object, message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_a_task_per_phase),
		TEST(test_generated_names),
		TEST(test_what_is_a_hook_now_is_not_pruned),
		TEST(test_prune_last_is_after_all_of_sync),
		TEST(test_bad_timeout),
		TEST(test_phases_one_after_the_other),
		TEST(test_a_failed_hook),
		TEST(test_a_failed_hook_of_sync_fail),
		TEST(test_failure_waits_for_hooks_that_run),
		TEST(test_without_sync_fail_it_fails_at_once),
		TEST(test_resumed),
		TEST(test_resumed_while_it_was_failing),
		TEST(test_objects_beside_a_hook_in_the_last_wave),
		TEST(test_objects_beside_a_hook_in_the_only_wave),
		TEST(test_an_older_instance_is_waited_for),
		TEST(test_pause),
		TEST(test_no_pause_after_what_was_done_before),
		TEST(test_confirmation),
		TEST(test_judged_by_completion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
