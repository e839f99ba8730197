/* Hooks against a simulated cluster: each runs exactly once in each attempt, whatever happens. */
#include "tests/unit/agent/sync/world.h"

#include "common/base/log.h"
#include "common/base/rand.h"

#include <stdio.h>
#include <stdlib.h>

#define JOBS	  "/apis/batch/v1/namespaces/shop/jobs"
#define JOB(name) JOBS "/" name

#define CONFIG(value)                                                                              \
	"- {apiVersion: v1, kind: ConfigMap, metadata: {name: config}, data: {k: " value "}}\n"
/* more: annotations, with a comma before */
#define HOOK(name, phases, more) NAMED("name: " name, phases, more)
#define NAMED(name, phases, more)                                                                  \
	"- {apiVersion: batch/v1, kind: Job, metadata: {" name                                     \
	", annotations: {argocd.argoproj.io/hook: '" phases "'" more                               \
	"}}, spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: " \
	"c, image: i}]}}}}\n"
#define POLICY(p) ", argocd.argoproj.io/hook-delete-policy: '" p "'"
#define FAILS	  ", kubesim.coxswain.dev/job-outcome: fail"
#define HANGS	  ", kubesim.coxswain.dev/job-outcome: hang"
#define WAVE(n)	  ", argocd.argoproj.io/sync-wave: '" n "'"
#define SLOW	  ", kubesim.coxswain.dev/job-duration: 300ms"

static const char deployment[] =
	HOOK("mute", "PreSync", "") CONFIG("one") HOOK("notify", "PostSync", "")
		HOOK("unmute", "PostSync", WAVE("1")) HOOK("report", "SyncFail", "");

static struct assign app(const char *yaml)
{
	return (struct assign){.uid = "u1", .name = "shop", .yaml = yaml, .no_heal = true};
}

/* By hand: so that it runs also when nothing differs. */
static struct assign ask(const char *yaml, const char *id)
{
	struct assign a = app(yaml);

	a.manual = true;
	a.operation = id;
	return a;
}

static bool has_ended(const char *id, int phase)
{
	const struct picture *p = picture("u1");

	return cox_streq(p->operation, id) && p->phase == phase;
}

static void expect_results(const char *wanted)
{
	if (!cox_streq(picture("u1")->results, wanted))
		fail_msg("%s", picture("u1")->results);
}

/* What was said of a hook's finalizers and its operation. */
static void expect_mark(const char *attempt, const char *operation)
{
	const struct cox_node *root = cox_doc_root(answer.doc);

	assert_false(cox_meta_has_finalizer(root, "coxswain.dev/hook-finalizer"));
	assert_true(cox_str_is(cox_meta_annotation(root, "coxswain.dev/attempt"), attempt));
	assert_true(cox_str_is(cox_meta_annotation(root, "coxswain.dev/operation"), operation));
}

static void create_namespace(void)
{
	assert_int_equal(call("POST", "/api/v1/namespaces", NULL,
			      "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{"
			      "\"name\":\"shop\"}}"),
			 201);
}

/* ---- how it goes ---- */

static void test_a_typical_deployment(void **state)
{
	(void)state;
	assign(ask(deployment, "op-1"));
	WAIT("the sync", has_ended("op-1", 3) && is_settled("u1"));
	expect_results("PreSync Namespace/shop Synced\n"
		       "PreSync Job/mute Succeeded\n"
		       "Sync ConfigMap/config Synced\n"
		       "PostSync Job/notify Succeeded\n"
		       "PostSync Job/unmute Succeeded\n");
	static const char *const names[] = {"mute", "notify", "unmute"};

	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++)
		assert_int_equal(n_created("Job", names[i]), 1);
	assert_int_equal(n_created("Job", "report"), 0);
	assert_int_equal(call("GET", JOB("mute"), NULL, ""), 200);
	expect_mark("1", "op-1");
	assert_true(cox_str_is(
		cox_meta_annotation(cox_doc_root(answer.doc), "argocd.argoproj.io/tracking-id"),
		"shop:batch/Job:shop/mute"));
	/* another operation makes them again: the older ones make place */
	assign(ask(deployment, "op-2"));
	WAIT("the second sync", has_ended("op-2", 3));
	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++)
		assert_int_equal(n_created("Job", names[i]), 2);
	assert_int_equal(call("GET", JOB("mute"), NULL, ""), 200);
	expect_mark("1", "op-2");
	/* and nothing else does: neither a look nor a restart */
	close_engine();
	open_engine();
	agent_engine_refresh(w.engine, "u1", NULL);
	WAIT("another look", is_settled("u1"));
	assert_int_equal(n_created("Job", "mute"), 2);
	assert_string_equal(picture("u1")->conditions, "");
}

static void test_hooks_are_left_out(void **state)
{
	struct assign a = ask(deployment, "op-1");

	(void)state;
	a.skip_hooks = true;
	assign(a);
	WAIT("the sync", has_ended("op-1", 3));
	expect_results("PreSync Namespace/shop Synced\nSync ConfigMap/config Synced\n");
	/* a selective sync and a heal run none either */
	a = ask(deployment, "op-2");
	a.only = "config";
	assign(a);
	WAIT("the selective sync", has_ended("op-2", 3));
	expect_results("Sync ConfigMap/config Synced\n");
	a = app(deployment);
	a.no_heal = false;
	assign(a);
	assert_int_equal(call("DELETE", CM("config"), NULL, ""), 200);
	WAIT("the heal", value_is(CM("config"), "k", "one"));
	WAIT("peace", is_settled("u1"));
	assert_int_equal(n_created("Job", "mute"), 0);
}

static void test_a_hook_that_fails(void **state)
{
	(void)state;
	assign(ask(HOOK("mute", "PreSync", FAILS) CONFIG("one") HOOK("notify", "PostSync", "")
			   HOOK("report", "SyncFail", ""),
		   "op-1"));
	WAIT("the failure", has_ended("op-1", 4));
	expect_results("PreSync Namespace/shop Synced\n"
		       "PreSync Job/mute Failed: Job has reached the specified backoff limit\n"
		       "SyncFail Job/report Succeeded\n");
	assert_non_null(
		strstr(picture("u1")->message,
		       "completed unsuccessfully, reason: batch/Job/mute: Job has reached"));
	assert_int_equal(n_created("Job", "mute"), 1);
	assert_int_equal(n_created("Job", "report"), 1);
	assert_int_equal(n_created("Job", "notify"), 0);
	assert_int_equal(call("GET", CM("config"), NULL, ""), 404);
}

/* What has failed is not tried again merely because the agent was restarted. */
static void test_a_restart_is_no_change(void **state)
{
	(void)state;
	assign(app(HOOK("mute", "PreSync", FAILS) CONFIG("one")));
	WAIT("the failure", picture("u1")->phase == 4);
	for (int i = 0; i < 3; i++) {
		close_engine();
		picture("u1")->assigned = 0;
		open_engine();
		WAIT("another look", picture("u1")->assigned == 2);
		assert_int_equal(picture("u1")->phase, 4);
	}
	assert_int_equal(n_created("Job", "mute"), 1);
	/* but what is assigned anew is */
	assign(app(HOOK("mute", "PreSync", "") CONFIG("two")));
	WAIT("the sync", is_settled("u1"));
}

static void test_an_object_that_fails(void **state)
{
	static const char yaml[] =
		HOOK("mute", "PreSync", "") "- {apiVersion: v1, kind: Pod, metadata: {name: bad}, "
					    "spec: {containers: [{name: "
					    "c, image: i}]}}\n" HOOK("report", "SyncFail", "");
	static const char faults[] = "{\"rules\":[{\"method\":\"PATCH\",\"path\":\"*/pods/bad*\","
				     "\"query\":\"fieldManager=*\",\"skip\":1,\"status\":403,"
				     "\"message\":\"no\"}]}";

	(void)state;
	create_namespace();
	assert_int_equal(call("PUT", "/kubesim/faults", NULL, faults), 200);
	assign(ask(yaml, "op-1"));
	WAIT("the failure", has_ended("op-1", 4));
	assert_int_equal(n_created("Job", "report"), 1);
}

/* Nothing has begun: nothing has failed that SyncFail could speak of. */
static void test_a_failed_dry_run_runs_no_hook(void **state)
{
	(void)state;
	create_namespace();
	assign(ask(HOOK("mute", "PreSync", "") "- {apiVersion: v1, kind: Service, metadata: {name: "
					       "s}, spec: {ports: [{port: "
					       "99999}]}}\n" HOOK("report", "SyncFail", ""),
		   "op-1"));
	WAIT("the failure", has_ended("op-1", 4));
	assert_non_null(strstr(picture("u1")->message, "(dry run)"));
	assert_int_equal(n_created("Job", "mute"), 0);
	assert_int_equal(n_created("Job", "report"), 0);
	/* a hook itself is tried too */
	assign(ask(HOOK("Bad_Name", "PreSync", "") CONFIG("one"), "op-2"));
	WAIT("the failure", has_ended("op-2", 4));
	assert_non_null(strstr(picture("u1")->message, "(dry run)"));
}

static void test_a_retry_is_a_new_attempt(void **state)
{
	struct assign a =
		ask(HOOK("mute", "PreSync", "") CONFIG("one") HOOK("notify", "PostSync", FAILS)
			    HOOK("report", "SyncFail", ""),
		    "op-1");

	(void)state;
	a.retry_limit = 2;
	assign(a);
	WAIT("the end", has_ended("op-1", 4) && picture("u1")->retries == 2);
	assert_int_equal(n_created("Job", "mute"), 3);
	assert_int_equal(n_created("Job", "notify"), 3);
	assert_int_equal(n_created("Job", "report"), 3);
	assert_int_equal(call("GET", JOB("report"), NULL, ""), 200);
	expect_mark("3", "op-1");
}

static void test_delete_policies(void **state)
{
#define ALL_POLICIES(more)                                                                         \
	HOOK("after-success", "PreSync", POLICY("HookSucceeded"))                                  \
	HOOK("after-failure", "PreSync", POLICY("HookFailed"))                                     \
	HOOK("after-both", "PreSync", POLICY("HookSucceeded,HookFailed"))                          \
	HOOK("before", "PreSync", "") more
	static const struct {
		const char *name;
		int after_success, after_failure;
	} rows[] = {{"after-success", 404, 200},
		    {"after-failure", 200, 404},
		    {"after-both", 404, 404},
		    {"before", 200, 200}};

	(void)state;
	for (int fails = 0; fails < 2; fails++) {
		assign(fails ? ask(ALL_POLICIES(HOOK("broken", "PostSync", FAILS)), "op-2")
			     : ask(ALL_POLICIES(""), "op-1"));
		WAIT("the end", fails ? has_ended("op-2", 4) : has_ended("op-1", 3));
		for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
			_cleanup_free_ char *path = cox_asprintf("%s/%s", JOBS, rows[i].name);
			int wanted = fails ? rows[i].after_failure : rows[i].after_success;

			/* it may be on its way still: its pods go first */
			WAIT(rows[i].name, call("GET", path, NULL, "") == wanted);
			assert_int_equal(n_created("Job", rows[i].name), fails + 1);
		}
	}
}

static void test_one_hook_of_two_phases(void **state)
{
	(void)state;
	assign(ask(HOOK("both", "PreSync,PostSync", "") CONFIG("one"), "op-1"));
	WAIT("the sync", has_ended("op-1", 3));
	assert_int_equal(n_created("Job", "both"), 2);
	assert_int_equal(call("GET", JOB("both"), NULL, ""), 200);
	assert_true(
		cox_str_is(cox_meta_annotation(cox_doc_root(answer.doc), "coxswain.dev/hook-phase"),
			   "PostSync"));
}

static size_t n_jobs(void)
{
	assert_int_equal(call("GET", JOBS, NULL, ""), 200);
	return cox_node_len(cox_node_get(cox_doc_root(answer.doc), "items"));
}

static void test_generated_names(void **state)
{
	static const char yaml[] =
		NAMED("generateName: mute-", "PreSync", POLICY("HookFailed")) CONFIG("one")
			NAMED("generateName: broken-", "PostSync", FAILS POLICY("HookSucceeded"));
	struct assign a = ask(yaml, "op-1");

	(void)state;
	a.retry_limit = 1;
	a.revision = "0123456789";
	assign(a);
	WAIT("the end", has_ended("op-1", 4) && picture("u1")->retries == 1);
	WAIT("the failed attempts' to go", n_jobs() == 2);
	assert_non_null(strstr(picture("u1")->results, "PreSync Job/mute-0123456-presync-1"));
	assert_non_null(strstr(picture("u1")->results, "-retry1 Failed"));
}

/* ---- whatever happens ---- */

static void test_restarts_at_any_time(void **state)
{
	static const char yaml[] =
		HOOK("mute", "PreSync", SLOW) HOOK("second", "PreSync", WAVE("1")) CONFIG("one")
			HOOK("notify", "PostSync", POLICY("HookSucceeded") SLOW)
				HOOK("broken", "PostSync", FAILS WAVE("1"))
					HOOK("report", "SyncFail", SLOW);
	static const char *const names[] = {"mute", "second", "notify", "broken", "report"};
	uint64_t seed = getenv("COX_TEST_SEED") ? strtoull(getenv("COX_TEST_SEED"), NULL, 10)
						: (uint64_t)getpid();
	struct cox_rng rng;
	size_t n_restarts = 0;

	(void)state;
	printf("seed %llu\n", (unsigned long long)seed);
	cox_rng_init(&rng, seed);
	for (int round = 1; round <= 4; round++) {
		_cleanup_free_ char *id = cox_asprintf("op-%d", round);

		assign(ask(yaml, id));
		while (!has_ended(id, 4)) {
			unsigned turns = (unsigned)cox_rng_below(&rng, 8);
			int64_t end = cox_loop_now_ms(w.loop) + 30000;

			for (unsigned i = 0; i < turns; i++)
				turn("some time", end);
			close_engine();
			if (cox_rng_below(&rng, 2))
				turn("some time without", end);
			open_engine();
			n_restarts++;
			assert_true(n_restarts < 5000);
			/* now and then it gets somewhere */
			if (cox_rng_below(&rng, 4) == 0)
				for (unsigned i = 0; i < 30 && !has_ended(id, 4); i++)
					turn("some time", end);
		}
		for (size_t i = 0; i < COX_ARRAY_LEN(names); i++)
			if (n_created("Job", names[i]) != (size_t)round)
				fail_msg("%s: %zu in round %d", names[i],
					 n_created("Job", names[i]), round);
	}
	printf("%zu restarts\n", n_restarts);
}

static void test_lost_answers(void **state)
{
	static const char faults[] =
		"{\"seed\":3,\"rules\":[{\"method\":\"POST\",\"path\":\"*/jobs*\","
		"\"timeoutAfterCommit\":true,\"count\":2},"
		"{\"method\":\"PATCH\",\"path\":\"*/"
		"jobs*\",\"timeoutAfterCommit\":true,\"count\":1},"
		"{\"method\":\"POST\",\"path\":\"*/jobs*\",\"status\":503,\"count\":1}]}";

	(void)state;
	create_namespace();
	assert_int_equal(call("PUT", "/kubesim/faults", NULL, faults), 200);
	assign(ask(deployment, "op-1"));
	WAIT("the sync", has_ended("op-1", 3));
	assert_int_equal(n_created("Job", "mute"), 1);
	assert_int_equal(n_created("Job", "notify"), 1);
	assert_int_equal(n_created("Job", "unmute"), 1);
}

/* A server that says 500 after it has done it. */
static void test_a_server_that_fails(void **state)
{
	static const char faults[] = "{\"rules\":[{\"method\":\"POST\",\"path\":\"*/jobs\","
				     "\"query\":\"*Strict\",\"status\":500,\"message\":\"etcd\"}]}";

	(void)state;
	create_namespace();
	assert_int_equal(call("PUT", "/kubesim/faults", NULL, faults), 200);
	assign(ask(deployment, "op-1"));
	WAIT("the failure", has_ended("op-1", 4));
	assert_non_null(strstr(picture("u1")->message, "the API server answers 500: etcd"));
	assert_int_equal(n_created("Job", "mute"), 0);
}

static const char hanging[] =
	HOOK("mute", "PreSync", HANGS) CONFIG("one") HOOK("report", "SyncFail", "");

static bool waits_for_mute(void)
{
	return strstr(picture("u1")->message, "waiting for completion of hook batch/Job/mute");
}

static void test_a_hook_that_vanishes(void **state)
{
	(void)state;
	assign(ask(hanging, "op-1"));
	WAIT("the hook to run", waits_for_mute());
	/* our finalizer holds it: only by force */
	assert_int_equal(call("PATCH", JOB("mute"), MERGE, "{\"metadata\":{\"finalizers\":null}}"),
			 200);
	call("DELETE", JOB("mute"), NULL, "{\"propagationPolicy\":\"Background\"}");
	WAIT("the failure", has_ended("op-1", 4));
	assert_non_null(strstr(picture("u1")->results,
			       "mute Failed: is missing, it might have been "
			       "deleted"));
	assert_int_equal(n_created("Job", "mute"), 1);
	assert_int_equal(n_created("Job", "report"), 1);
}

static void test_a_hook_that_vanishes_while_nobody_looks(void **state)
{
	(void)state;
	assign(ask(hanging, "op-1"));
	WAIT("the hook to run", waits_for_mute());
	close_engine();
	assert_int_equal(call("PATCH", JOB("mute"), MERGE, "{\"metadata\":{\"finalizers\":null}}"),
			 200);
	call("DELETE", JOB("mute"), NULL, "{\"propagationPolicy\":\"Background\"}");
	open_engine();
	WAIT("the failure", has_ended("op-1", 4));
	assert_non_null(strstr(picture("u1")->results, "is missing"));
	assert_int_equal(n_created("Job", "mute"), 1);
}

static void test_a_hook_that_is_deleted(void **state)
{
	(void)state;
	assign(ask(hanging, "op-1"));
	WAIT("the hook to run", waits_for_mute());
	assert_int_equal(call("DELETE", JOB("mute"), NULL, ""), 200);
	WAIT("the failure", has_ended("op-1", 4));
	assert_non_null(strstr(picture("u1")->results, "is being deleted and had not completed"));
	WAIT("its object to go", call("GET", JOB("mute"), NULL, "") == 404);
}

/* What ends and is deleted while nobody looks is held until its outcome is read. */
static void test_the_finalizer_holds_the_outcome(void **state)
{
	(void)state;
	assign(ask(HOOK("mute", "PreSync", SLOW) CONFIG("one"), "op-1"));
	WAIT("the hook to run", waits_for_mute());
	close_engine();
	WAIT("its end",
	     call("GET", JOB("mute"), NULL, "") == 200 &&
		     cox_node_int(COX_GET(cox_doc_root(answer.doc), "status", "succeeded"), 0) ==
			     1);
	call("DELETE", JOB("mute"), NULL, "{\"propagationPolicy\":\"Background\"}");
	assert_int_equal(call("GET", JOB("mute"), NULL, ""), 200);
	open_engine();
	WAIT("the sync", has_ended("op-1", 3));
	WAIT("its object to go", call("GET", JOB("mute"), NULL, "") == 404);
	assert_int_equal(n_created("Job", "mute"), 1);
}

static void test_timeout(void **state)
{
	(void)state;
	assign(ask(HOOK("mute", "PreSync", HANGS ", coxswain.dev/hook-timeout: 200ms")
			   CONFIG("one"),
		   "op-1"));
	WAIT("the hook to run", waits_for_mute());
	close_engine();
	open_engine();
	WAIT("the failure", has_ended("op-1", 4));
	assert_non_null(strstr(picture("u1")->results,
			       "did not complete within 200ms (coxswain.dev/hook-timeout)"));
	WAIT("its object to go", call("GET", JOB("mute"), NULL, "") == 404);
	assert_int_equal(n_created("Job", "mute"), 1);
}

/* ---- cut short ---- */

static void test_terminate(void **state)
{
	struct assign a = ask(hanging, "op-1");

	(void)state;
	assign(a);
	WAIT("the hook to run", waits_for_mute());
	a.terminate = true;
	w.hook_grace_ms = 60000; /* for what is superseded, and not for this */
	close_engine();
	open_engine();
	assign(a);
	WAIT("the end", has_ended("op-1", 4));
	assert_string_equal(picture("u1")->message, "Operation terminated");
	assert_non_null(strstr(picture("u1")->results, "PreSync Job/mute Failed: Terminated"));
	WAIT("its object to go", call("GET", JOB("mute"), NULL, "") == 404);
	assert_int_equal(n_created("Job", "report"), 0);
}

static void test_superseded(void **state)
{
	(void)state;
	assign(app(hanging));
	WAIT("the hook to run", waits_for_mute());
	assign(app(HOOK("mute", "PreSync", "") CONFIG("two") HOOK("report", "SyncFail", "")));
	WAIT("the newer one", is_settled("u1") && value_is(CM("config"), "k", "two"));
	assert_int_equal(n_created("Job", "mute"), 2);
	assert_int_equal(n_created("Job", "report"), 0);
}

/* What runs is let go on as long as it may, and then makes place. */
static void test_superseded_with_grace(void **state)
{
	(void)state;
	w.hook_grace_ms = 30000;
	close_engine();
	open_engine();
	assign(app(HOOK("mute", "PreSync", SLOW) CONFIG("one")));
	WAIT("the hook to run", waits_for_mute());
	assign(app(HOOK("other", "PreSync", "") CONFIG("two")));
	WAIT("the newer one", is_settled("u1") && value_is(CM("config"), "k", "two"));
	/* it was not cut short */
	assert_int_equal(call("GET", JOB("mute"), NULL, ""), 200);
	assert_int_equal(cox_node_int(COX_GET(cox_doc_root(answer.doc), "status", "succeeded"), 0),
			 1);
	assert_false(
		cox_meta_has_finalizer(cox_doc_root(answer.doc), "coxswain.dev/hook-finalizer"));
}

static void test_superseded_while_the_agent_was_away(void **state)
{
	(void)state;
	assign(app(hanging));
	WAIT("the hook to run", waits_for_mute());
	assign(app(CONFIG("two")));
	/* before the end of the old operation is durable */
	close_engine();
	open_engine();
	WAIT("the newer one", is_settled("u1") && value_is(CM("config"), "k", "two"));
	WAIT("the older one's hook to go", call("GET", JOB("mute"), NULL, "") == 404);
}

static void test_deleted_meanwhile(void **state)
{
	(void)state;
	assign(app(hanging));
	WAIT("the hook to run", waits_for_mute());
	bury("u1", "shop", true);
	WAIT("the deletion", picture("u1")->deleted);
	WAIT("its object to go", call("GET", JOB("mute"), NULL, "") == 404);
}

/* ---- what was there before ---- */

#define OLD_JOB(more)                                                                              \
	"{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"mute\"" more       \
	"},\"spec\":{\"template\":{\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{"        \
	"\"name\":\"c\",\"image\":\"old\"}]}}}}"

static void test_one_of_argo_cd_makes_place(void **state)
{
	(void)state;
	create_namespace();
	assert_int_equal(call("POST", JOBS, NULL,
			      OLD_JOB(",\"annotations\":{\"argocd.argoproj.io/hook\":\"PreSync\"},"
				      "\"finalizers\":[\"argocd.argoproj.io/hook-finalizer\"]")),
			 201);
	assign(ask(deployment, "op-1"));
	WAIT("the sync", has_ended("op-1", 3));
	assert_int_equal(n_created("Job", "mute"), 2);
}

static void test_what_is_no_hook_stays(void **state)
{
	(void)state;
	create_namespace();
	assert_int_equal(call("POST", JOBS, NULL, OLD_JOB("")), 201);
	assign(ask(deployment, "op-1"));
	WAIT("the failure", has_ended("op-1", 4));
	assert_non_null(strstr(picture("u1")->results,
			       "an object of that name is there already, and is no hook"));
	assert_int_equal(call("GET", JOB("mute"), NULL, ""), 200);
}

/* An object of the application becomes a hook, and the other way round. */
static void test_objects_turn_into_hooks_and_back(void **state)
{
#define SPEC                                                                                       \
	"spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: c, "  \
	"image: i}]}}}}\n"
	static const char ordinary[] =
		"- {apiVersion: batch/v1, kind: Job, metadata: {name: mute}, " SPEC CONFIG("one");

	(void)state;
	assign(app(ordinary));
	WAIT("the first sync", is_settled("u1"));
	assign(app(HOOK("mute", "PreSync", "") CONFIG("two")));
	WAIT("the second sync", is_settled("u1") && value_is(CM("config"), "k", "two"));
	assert_int_equal(n_created("Job", "mute"), 2);
	assert_int_equal(call("GET", JOB("mute"), NULL, ""), 200);
	assign(app(ordinary));
	WAIT("the third sync", is_settled("u1") && value_is(CM("config"), "k", "one"));
	assert_int_equal(call("GET", JOB("mute"), NULL, ""), 200);
	assert_null(cox_meta_annotation(cox_doc_root(answer.doc), "coxswain.dev/hook-phase").ptr);
	/* it is ours again, and pruned as such */
	assign(app(CONFIG("three")));
	WAIT("the fourth sync", is_settled("u1") && value_is(CM("config"), "k", "three"));
	WAIT("it to be pruned", call("GET", JOB("mute"), NULL, "") == 404);
}

/* ---- confirmation ---- */

static void test_prune_waits_for_confirmation(void **state)
{
	static const char keep[] =
		"- {apiVersion: v1, kind: ConfigMap, metadata: {name: other, "
		"annotations: {argocd.argoproj.io/sync-options: Prune=confirm}}}\n";
	_cleanup_free_ char *both = cox_asprintf("%s%s", CONFIG("one"), keep);
	struct assign a = app(both);

	(void)state;
	assign(a);
	WAIT("the first sync", is_settled("u1"));
	a.yaml = CONFIG("two");
	a.deletion_approved_ms = 1000; /* long ago */
	assign(a);
	WAIT("the question",
	     strstr(picture("u1")->message, "waiting for pruning confirmation of ConfigMap/other"));
	assert_true(value_is(CM("config"), "k", "one"));
	a.deletion_approved_ms = INT64_MAX;
	assign(a);
	WAIT("the pruning", call("GET", CM("other"), NULL, "") == 404);
	WAIT("the second sync", is_settled("u1") && value_is(CM("config"), "k", "two"));
}

/* ---- deletion ---- */

static bool is_gone(const char *path)
{
	return call("GET", path, NULL, "") == 404;
}

static void test_deletion_hooks(void **state)
{
	static const char yaml[] =
		CONFIG("one") HOOK("backup", "PreDelete", "") HOOK("second", "PreDelete", WAVE("1"))
			HOOK("bye", "PostDelete", POLICY("HookSucceeded"))
				HOOK("mute", "PreSync", "");

	(void)state;
	assign(ask(yaml, "op-1"));
	WAIT("the sync", has_ended("op-1", 3) && is_settled("u1"));
	assert_int_equal(n_created("Job", "backup"), 0);
	bury_with_hooks("u1", "shop", yaml, false);
	WAIT("the deletion", picture("u1")->deleted);
	assert_int_equal(n_created("Job", "backup"), 1);
	assert_int_equal(n_created("Job", "second"), 1);
	assert_int_equal(n_created("Job", "bye"), 1);
	assert_int_equal(n_created("Job", "mute"), 1);
	assert_true(is_gone(CM("config")));
	/* what hooks left behind goes too */
	WAIT("the hooks' objects to go",
	     is_gone(JOB("backup")) && is_gone(JOB("mute")) && is_gone(JOB("bye")));
}

/* A server that is busy with the object says 409: that is no other object of the name. */
static void test_a_policy_whose_deletion_meets_a_conflict(void **state)
{
	static const char faults[] = "{\"rules\":[{\"method\":\"DELETE\",\"path\":\"*/jobs/mute\","
				     "\"status\":409,\"count\":1}]}";

	(void)state;
	create_namespace();
	assert_int_equal(call("PUT", "/kubesim/faults", NULL, faults), 200);
	assign(ask(CONFIG("one") HOOK("mute", "PreSync", POLICY("HookSucceeded")), "op-1"));
	WAIT("the sync", has_ended("op-1", 3));
	WAIT("the hook's object to go", is_gone(JOB("mute")));
}

/* The newest run of the name made nothing: what is there is of the one before. */
static void test_a_deletion_after_a_refused_hook(void **state)
{
	static const char faults[] = "{\"rules\":[{\"method\":\"POST\",\"path\":\"*/jobs\","
				     "\"query\":\"*Strict\",\"status\":403}]}";
	static const char yaml[] = CONFIG("one") HOOK("mute", "PreSync", "");

	(void)state;
	assign(ask(yaml, "op-1"));
	WAIT("the sync", has_ended("op-1", 3) && is_settled("u1"));
	assert_int_equal(call("PUT", "/kubesim/faults", NULL, faults), 200);
	assign(ask(yaml, "op-2"));
	WAIT("the refusal", has_ended("op-2", 4));
	assert_int_equal(call("PUT", "/kubesim/faults", NULL, "{\"rules\":[]}"), 200);
	assert_int_equal(call("GET", JOB("mute"), NULL, ""), 200);
	bury("u1", "shop", true);
	WAIT("the deletion", picture("u1")->deleted);
	assert_true(is_gone(JOB("mute")));
}

/* Somebody has made the object his own. */
static void test_a_deletion_leaves_what_was_a_hook(void **state)
{
	static const char yaml[] = CONFIG("one") HOOK("mute", "PreSync", "");

	(void)state;
	assign(ask(yaml, "op-1"));
	WAIT("the sync", has_ended("op-1", 3) && is_settled("u1"));
	assert_int_equal(call("PATCH", JOB("mute"), MERGE,
			      "{\"metadata\":{\"annotations\":{\"coxswain.dev/app-uid\":null}}}"),
			 200);
	bury("u1", "shop", true);
	WAIT("the deletion", picture("u1")->deleted);
	assert_true(is_gone(CM("config")));
	assert_int_equal(call("GET", JOB("mute"), NULL, ""), 200);
}

static void test_objects_wait_for_pre_delete(void **state)
{
	static const char yaml[] =
		CONFIG("one") HOOK("backup", "PreDelete", HANGS) HOOK("bye", "PostDelete", "");

	(void)state;
	assign(app(yaml));
	WAIT("the sync", is_settled("u1"));
	bury_with_hooks("u1", "shop", yaml, false);
	WAIT("the hook to run",
	     strstr(picture("u1")->deletion,
		    "PreDelete: waiting for completion of hook batch/Job/backup"));
	/* also one that is told nothing but the tombstone */
	close_engine();
	open_engine();
	WAIT("the hook to be waited for",
	     strstr(picture("u1")->deletion, "waiting for completion"));
	assert_true(value_is(CM("config"), "k", "one"));
	assert_int_equal(n_created("Job", "bye"), 0);
	assert_int_equal(n_created("Job", "backup"), 1);
	/* somebody changes his mind while the agent is away: the objects stay, the hook goes */
	close_engine();
	open_engine();
	bury("u1", "shop", false);
	WAIT("the end", picture("u1")->deleted);
	WAIT("the hook's object to go", call("GET", JOB("backup"), NULL, "") == 404);
	assert_true(value_is(CM("config"), "k", "one"));
}

static void test_deletion_hooks_are_tried_again(void **state)
{
	static const char yaml[] = CONFIG("one") HOOK("backup", "PreDelete", FAILS);

	(void)state;
	assign(app(yaml));
	WAIT("the sync", is_settled("u1"));
	bury_with_hooks("u1", "shop", yaml, false);
	WAIT("the failure to be told",
	     strstr(picture("u1")->deletion, "PreDelete: batch/Job/backup: Job has reached the "
					     "specified backoff limit; will be tried again"));
	WAIT("another attempt", n_created("Job", "backup") >= 3);
	assert_true(value_is(CM("config"), "k", "one"));
	bury("u1", "shop", false); /* somebody gives it up */
	WAIT("the end", picture("u1")->deleted);
}

static void test_restarts_during_a_deletion(void **state)
{
	static const char yaml[] = CONFIG("one") HOOK("backup", "PreDelete", SLOW)
		HOOK("second", "PreDelete", WAVE("1"))
			HOOK("bye", "PostDelete", SLOW POLICY("HookSucceeded"));
	static const char *const names[] = {"backup", "second", "bye"};
	uint64_t seed = getenv("COX_TEST_SEED") ? strtoull(getenv("COX_TEST_SEED"), NULL, 10)
						: (uint64_t)getpid();
	struct cox_rng rng;
	size_t n_restarts = 0;

	(void)state;
	printf("seed %llu\n", (unsigned long long)seed);
	cox_rng_init(&rng, seed);
	assign(app(yaml));
	WAIT("the sync", is_settled("u1"));
	bury_with_hooks("u1", "shop", yaml, false);
	while (!picture("u1")->deleted) {
		int64_t end = cox_loop_now_ms(w.loop) + 30000;
		unsigned turns = (unsigned)cox_rng_below(&rng, 30);

		for (unsigned i = 0; i < turns && !picture("u1")->deleted; i++)
			turn("some time", end);
		if (picture("u1")->deleted)
			break;
		close_engine();
		open_engine();
		assert_true(n_restarts++ < 5000);
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++)
		assert_int_equal(n_created("Job", names[i]), 1);
	assert_true(is_gone(CM("config")));
	printf("%zu restarts\n", n_restarts);
}

static void test_deletion_waits_for_its_bundle(void **state)
{
	static const char hooks[] = CONFIG("one") HOOK("backup", "PreDelete", "");
	uint8_t digest[COX_SHA256_BYTES];
	struct cox_error why;

	(void)state;
	assign(app(CONFIG("one")));
	WAIT("the sync", is_settled("u1"));
	bury_with_hooks("u1", "shop", hooks, false);
	assert_int_equal(agent_store_keep_bundles(w.store, NULL, 0, NULL), 0);
	WAIT("the bundle to be missed",
	     cox_streq(picture("u1")->deletion, "waiting for the bundle with its hooks"));
	bundle(hooks, digest);
	assert_int_equal(agent_store_keep_bundles(w.store, NULL, 0, NULL), 0);
	cox_error(&why, COX_NOT_FOUND, "no such bundle");
	agent_engine_bundle_failed(w.engine, digest, &why);
	WAIT("the reason", cox_streq(picture("u1")->deletion,
				     "cannot fetch the bundle with its hooks: no such bundle"));
	assert_true(value_is(CM("config"), "k", "one"));
	bundle(hooks, digest);
	agent_engine_bundle_arrived(w.engine, digest);
	WAIT("the deletion", picture("u1")->deleted);
	assert_int_equal(n_created("Job", "backup"), 1);
}

static void test_deletion_waits_for_confirmation(void **state)
{
	static const char yaml[] = CONFIG(
		"one") "- {apiVersion: v1, kind: ConfigMap, metadata: {name: other, "
		       "annotations: {argocd.argoproj.io/sync-options: Delete=confirm}}}\n" HOOK(
			       "backup", "PreDelete", "");

	(void)state;
	assign(app(yaml));
	WAIT("the sync", is_settled("u1"));
	bury_with_hooks("u1", "shop", yaml, false);
	WAIT("the question", cox_streq(picture("u1")->deletion, "waiting for deletion confirmation "
								"of ConfigMap 'shop/other'"));
	close_engine();
	open_engine();
	WAIT("the question", strstr(picture("u1")->deletion, "waiting for deletion confirmation"));
	/* nothing goes before, and nothing runs */
	assert_true(value_is(CM("config"), "k", "one"));
	assert_int_equal(n_created("Job", "backup"), 0);
	bury_with_hooks("u1", "shop", yaml, true);
	WAIT("the deletion", picture("u1")->deleted);
	assert_true(is_gone(CM("config")) && is_gone(CM("other")));
	assert_int_equal(n_created("Job", "backup"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_a_typical_deployment),
		TEST(test_hooks_are_left_out),
		TEST(test_a_hook_that_fails),
		TEST(test_a_restart_is_no_change),
		TEST(test_an_object_that_fails),
		TEST(test_a_failed_dry_run_runs_no_hook),
		TEST(test_a_retry_is_a_new_attempt),
		TEST(test_delete_policies),
		TEST(test_one_hook_of_two_phases),
		TEST(test_generated_names),
		TEST(test_restarts_at_any_time),
		TEST(test_lost_answers),
		TEST(test_a_server_that_fails),
		TEST(test_a_hook_that_vanishes),
		TEST(test_a_hook_that_vanishes_while_nobody_looks),
		TEST(test_a_hook_that_is_deleted),
		TEST(test_the_finalizer_holds_the_outcome),
		TEST(test_timeout),
		TEST(test_terminate),
		TEST(test_superseded),
		TEST(test_superseded_with_grace),
		TEST(test_superseded_while_the_agent_was_away),
		TEST(test_deleted_meanwhile),
		TEST(test_one_of_argo_cd_makes_place),
		TEST(test_what_is_no_hook_stays),
		TEST(test_objects_turn_into_hooks_and_back),
		TEST(test_prune_waits_for_confirmation),
		TEST(test_deletion_hooks),
		TEST(test_a_policy_whose_deletion_meets_a_conflict),
		TEST(test_a_deletion_after_a_refused_hook),
		TEST(test_a_deletion_leaves_what_was_a_hook),
		TEST(test_objects_wait_for_pre_delete),
		TEST(test_deletion_hooks_are_tried_again),
		TEST(test_restarts_during_a_deletion),
		TEST(test_deletion_waits_for_its_bundle),
		TEST(test_deletion_waits_for_confirmation),
	};

	cox_log_init("test", getenv("COX_TEST_LOG") ? COX_LOG_DEBUG : COX_LOG_ERROR, COX_LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
