/* The engine against a simulated cluster: the test is the hub. */
#include "tests/unit/agent/sync/world.h"

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- tests ---- */

static const char two_maps[] =
	"- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: one}}\n"
	"- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {k: two}}\n"
	"- {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1, "
	"selector: "
	"{matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: "
	"[{name: web, image: 'nginx:1'}]}}}}\n";

static void test_syncs_heals_prunes_deletes(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	assert_true(value_is(CM("a"), "k", "one"));
	assert_string_equal(field("metadata", "annotations", "coxswain.dev/app-uid"), "u1");
	assert_string_equal(field("metadata", "annotations", "argocd.argoproj.io/tracking-id"),
			    "shop:/ConfigMap:shop/a");
	/* somebody changes it, and it is put back */
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"k\":\"by hand\"}}"), 200);
	WAIT("the change to be put back", value_is(CM("a"), "k", "one"));
	/* somebody deletes it */
	assert_int_equal(call("DELETE", CM("b"), NULL, ""), 200);
	WAIT("the object to come back", value_is(CM("b"), "k", "two"));
	/* what nobody asked for, nobody touches */
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"other\":\"mine\"}}"), 200);
	/* a field and an object are dropped */
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, "
				       "data: {l: three}}\n"});
	WAIT("the second sync", is_settled("u1"));
	WAIT("the dropped object to be pruned", call("GET", CM("b"), NULL, "") == 404);
	assert_true(value_is(CM("a"), "l", "three"));
	assert_string_equal(field("data", "k", NULL), "");
	assert_string_equal(field("data", "other", NULL), "mine");
	bury("u1", "shop", true);
	WAIT("the application to be deleted", picture("u1")->deleted);
	assert_int_equal(call("GET", CM("a"), NULL, ""), 404);
	assert_int_equal(call("GET", "/api/v1/namespaces/shop", NULL, ""), 200);
}

/* The acknowledgement of what was said of a tombstone comes when a newer one is there already. */
static void test_a_newer_tombstone_is_answered(void **state)
{
	uint64_t first;

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	w.no_acks = true;
	bury("u1", "shop", true);
	WAIT("the application to be deleted", picture("u1")->deleted);
	first = picture("u1")->sequence;
	bury("u1", "shop", true);
	agent_engine_reported(w.engine, "u1", first);
	WAIT("the newer tombstone to be answered",
	     picture("u1")->deleted && picture("u1")->generation == w.generation);
	w.no_acks = false;
}

static void test_goes_on_after_a_restart(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	close_engine();
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"k\":\"by hand\"}}"), 200);
	assert_int_equal(call("DELETE", CM("b"), NULL, ""), 200);
	open_engine();
	assert_int_equal(agent_engine_position(w.engine), w.generation);
	WAIT("the object to come back", value_is(CM("b"), "k", "two"));
	WAIT("the change to be put back", value_is(CM("a"), "k", "one"));
	WAIT("peace", is_settled("u1"));
	/* what was assigned and not begun is begun */
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, "
				       "data: {k: new}}\n"});
	close_engine();
	open_engine();
	WAIT("the sync that was cut short", is_settled("u1"));
	assert_true(value_is(CM("a"), "k", "new"));
	WAIT("the dropped object to be pruned", call("GET", CM("b"), NULL, "") == 404);
}

static void test_manual_operations_run_once(void **state)
{
	(void)state;
	struct assign a = {.uid = "u1", .name = "shop", .yaml = two_maps, .manual = true};

	assign(a);
	WAIT("the comparison", picture("u1")->sync == 2);
	assert_int_equal(call("GET", "/api/v1/namespaces/shop", NULL, ""), 404);
	a.operation = "op-dry";
	a.dry_run = true;
	assign(a);
	WAIT("the dry run",
	     cox_streq(picture("u1")->operation, "op-dry") && picture("u1")->phase == 3);
	assert_int_equal(call("GET", "/api/v1/namespaces/shop", NULL, ""), 404);
	a.operation = "op-1";
	a.dry_run = false;
	assign(a);
	WAIT("the sync", is_settled("u1") && cox_streq(picture("u1")->operation, "op-1"));
	/* the same id again does nothing, also after a restart */
	assert_int_equal(call("DELETE", CM("b"), NULL, ""), 200);
	WAIT("the drift to be seen", picture("u1")->assigned == 2);
	assign(a);
	close_engine();
	open_engine();
	WAIT("the drift to be seen",
	     picture("u1")->generation == w.generation && picture("u1")->assigned == 2);
	assert_int_equal(call("GET", CM("b"), NULL, ""), 404);
	a.operation = "op-2";
	assign(a);
	WAIT("the sync", is_settled("u1"));
	assert_int_equal(call("GET", CM("b"), NULL, ""), 200);
}

static void test_old_news_change_nothing(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	uint64_t newest = w.generation;

	w.generation = newest - 1; /* assign raises it to what is here already */
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = "[]", .allow_empty = true});
	assert_int_equal(w.generation, newest);
	w.generation = newest;
	agent_engine_refresh(w.engine, "u1", NULL);
	WAIT("another look", is_settled("u1"));
	assert_int_equal(call("GET", CM("a"), NULL, ""), 200);
}

static void test_fields_of_others_move_to_us(void **state)
{
	(void)state;
	/* what `kubectl apply` made before; Argo CD and kubectl leave two more fields behind */
	assert_int_equal(call("POST", "/api/v1/namespaces", NULL,
			      "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{"
			      "\"name\":\"shop\"}}"),
			 201);
	assert_int_equal(
		call("POST",
		     "/api/v1/namespaces/shop/configmaps?fieldManager=kubectl-client-side-apply",
		     NULL,
		     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},"
		     "\"data\":{\"k\":\"old\",\"gone\":\"x\"}}"),
		201);
	assert_int_equal(
		call("PATCH", CM("a") "?fieldManager=argocd-controller&force=true",
		     "application/apply-patch+yaml",
		     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},"
		     "\"data\":{\"theirs\":\"y\"}}"),
		200);
	assert_int_equal(call("PATCH", CM("a") "?fieldManager=somebody", MERGE,
			      "{\"data\":{\"kept\":\"z\"}}"),
			 200);
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	assert_true(value_is(CM("a"), "k", "one"));
	assert_string_equal(field("data", "gone", NULL), "");
	assert_string_equal(field("data", "theirs", NULL), "");
	assert_string_equal(field("data", "kept", NULL), "z");
}

/* "127.0.0.1:PORT" of the simulated cluster. */
static char *address(void)
{
	const char *server = cox_kube_config(w.user)->server;

	return cox_strdup(strstr(server, "://") + 3);
}

static bool is_saved(const char *words)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	return cox_file_read(w.objects, 10 << 20, &text, NULL) == 0 &&
	       strstr(cox_buf_cstr(&text), words);
}

static void test_an_api_server_that_is_gone(void **state)
{
	_cleanup_free_ char *listen = address();

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	WAIT("the objects on disk", is_saved("\"two\"") && is_saved("availableReplicas"));
	cox_child_cancel(w.kubesim);
	w.kubesim = NULL;
	WAIT("the silence to be told",
	     strstr(picture("u1")->conditions, "does not answer") != NULL);
	/* what is assigned meanwhile waits, and nothing is given up */
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, "
				       "data: {k: later}}\n"});
	WAIT("the assignment to be seen", picture("u1")->generation == w.generation);
	start_kubesim(listen);
	WAIT("everything to go on", is_settled("u1"));
	assert_true(value_is(CM("a"), "k", "later"));
	assert_string_equal(picture("u1")->conditions, "");
}

/* As a report says it now, by the steady clock; 0: it is not. A millisecond is one of rounding. */
static int64_t well_since(void)
{
	struct cox_arena arena = COX_ARENA_INIT(0);
	Coxswain__Report__V1__ApplicationReport r;
	int64_t well_ms;

	assert_int_equal(agent_engine_report(w.engine, "u1", true, &arena, &r), 1);
	well_ms = r.well_ms;
	cox_arena_fini(&arena);
	return well_ms ? cox_clock_ms() - well_ms + 1 : 0;
}

static void test_tells_since_when_it_is_well(void **state)
{
	_cleanup_free_ char *listen = address();
	int64_t first, then;

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	assert_int_equal(well_since(), 0);
	WAIT("the first sync", is_settled("u1"));
	first = well_since();
	assert_true(first != 0);
	/* it stays so while nothing happens, also when the policy becomes another one */
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps, .retry_limit = 3});
	WAIT("the other policy", picture("u1")->generation == w.generation && is_settled("u1"));
	assert_in_range(well_since(), first - 1, first + 1);
	/* what is put back was ill */
	then = cox_clock_ms();
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"k\":\"by hand\"}}"), 200);
	WAIT("the change to be put back", value_is(CM("a"), "k", "one"));
	WAIT("peace", is_settled("u1") && well_since() != 0);
	assert_true(well_since() >= then);
	/* other content */
	then = cox_clock_ms();
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, "
				       "data: {k: new}}\n"});
	WAIT("the second sync", is_settled("u1") && value_is(CM("a"), "k", "new"));
	assert_true(well_since() >= then);
	/* nobody watched */
	close_engine();
	then = cox_clock_ms();
	open_engine();
	WAIT("the restart", is_settled("u1") && well_since() != 0);
	assert_true(well_since() >= then);
	/* nor can anybody where there is no answer */
	WAIT("the objects on disk", is_saved("\"new\""));
	cox_child_cancel(w.kubesim);
	w.kubesim = NULL;
	WAIT("the silence to be told",
	     strstr(picture("u1")->conditions, "does not answer") != NULL);
	assert_int_equal(well_since(), 0);
	then = cox_clock_ms();
	start_kubesim(listen);
	WAIT("everything to go on", is_settled("u1") && well_since() != 0);
	assert_true(well_since() >= then);
}

static void test_shared_objects_are_told_and_may_be_refused(void **state)
{
	static const char yaml[] =
		"- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: theirs}}\n";

	(void)state;
	assign((struct assign){.uid = "u1", .name = "first", .yaml = two_maps, .no_heal = true});
	WAIT("the first application", is_settled("u1"));
	assign((struct assign){.uid = "u2", .name = "second", .yaml = yaml, .not_shared = true});
	WAIT("the refusal", strstr(picture("u2")->conditions, "FailOnSharedResource") != NULL);
	assert_true(value_is(CM("a"), "k", "one"));
	assign((struct assign){.uid = "u2", .name = "second", .yaml = yaml});
	WAIT("the second application", is_settled("u2"));
	WAIT("the warning", strstr(picture("u1")->conditions, "SharedResourceWarning") != NULL);
	assert_true(value_is(CM("a"), "k", "theirs"));
}

static void test_guards_against_emptying(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = "[]"});
	WAIT("the refusal", strstr(picture("u1")->conditions, "allowEmpty") != NULL);
	assert_int_equal(call("GET", CM("a"), NULL, ""), 200);
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = "[]", .allow_empty = true});
	WAIT("the pruning", call("GET", CM("a"), NULL, "") == 404);
}

/* A rollout's sync is guarded as an automated one is; its way back, and a person's, are not. */
static void test_rollouts_are_guarded_against_emptying(void **state)
{
	struct assign empty = {
		.uid = "u1", .name = "shop", .yaml = "[]", .operation = "op-1", .by = "rollout"};

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	assign(empty);
	WAIT("the refusal",
	     cox_streq(picture("u1")->operation, "op-1") && picture("u1")->phase == 4);
	assert_int_equal(call("GET", CM("a"), NULL, ""), 200);
	/* the same again, by hand */
	empty.operation = "op-2";
	empty.by = NULL;
	assign(empty);
	WAIT("the pruning by hand", call("GET", CM("a"), NULL, "") == 404);
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the objects to be there again", is_settled("u1"));
	empty.operation = "op-3";
	empty.by = "rollback";
	assign(empty);
	WAIT("the pruning on the way back", call("GET", CM("a"), NULL, "") == 404);
}

static void test_only_what_is_ours_is_pruned(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	/* somebody takes b away from us */
	assert_int_equal(call("PATCH", CM("b"), MERGE,
			      "{\"metadata\":{\"annotations\":{\"coxswain.dev/app-uid\":\"other\","
			      "\"argocd.argoproj.io/tracking-id\":\"x:/ConfigMap:shop/b\"}}}"),
			 200);
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .no_heal = true,
			       .yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, "
				       "data: {k: one}}\n"});
	WAIT("the second sync", is_settled("u1"));
	/* it may have been ours again before the new bundle came; then it is pruned rightly */
	if (call("GET", CM("b"), NULL, "") == 200)
		assert_string_equal(field("metadata", "annotations", "coxswain.dev/app-uid"),
				    "other");
}

static void test_kinds_that_come_with_the_bundle(void **state)
{
	static const char yaml[] =
		"- {apiVersion: example.com/v1, kind: Thing, metadata: {name: t}, spec: {size: "
		"3}}\n"
		"- {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: "
		"{name: things.example.com}, spec: {group: example.com, scope: Namespaced, names: "
		"{kind: Thing, listKind: ThingList, plural: things, singular: thing}, versions: "
		"[{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, "
		"properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}]}}\n";

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = yaml, .retry_limit = 3});
	WAIT("the sync", is_settled("u1"));
	assert_int_equal(call("GET", "/apis/example.com/v1/namespaces/shop/things/t", NULL, ""),
			 200);
}

static void test_failures_are_sentences(void **state)
{
	(void)state;
	assign((struct assign){
		.uid = "u1",
		.name = "shop",
		.yaml = "- {apiVersion: example.com/v1, kind: Nothing, metadata: {name: t}}\n"});
	WAIT("the unknown kind to be told",
	     strstr(picture("u1")->conditions, "no kind Nothing in example.com/v1") != NULL);
	assign((struct assign){
		.uid = "u2",
		.name = "good",
		.yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: g}}\n"});
	WAIT("the other application", is_settled("u2"));
	assign((struct assign){
		.uid = "u1",
		.name = "shop",
		.retry_limit = 1,
		.yaml = "- {apiVersion: v1, kind: Service, metadata: {name: s}, spec: "
			"{ports: [{port: 99999}]}}\n"
			"- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n"});
	WAIT("the refusal to be told", picture("u1")->phase == 4 && picture("u1")->retries == 1);
	assert_non_null(strstr(picture("u1")->conditions, "SyncError: "));
	assert_non_null(strstr(picture("u1")->conditions, "Service 'shop/s'"));
	/* the dry run failed: nothing else was applied */
	assert_int_equal(call("GET", CM("c"), NULL, ""), 404);
	assign((struct assign){
		.uid = "u1",
		.name = "shop",
		.yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n"});
	WAIT("recovery", is_settled("u1"));
	assert_string_equal(picture("u1")->conditions, "");
}

#define K(value) "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: " value "}}\n"
#define BY_K                                                                                       \
	"{\"data\":{\"resource.customizations.health.ConfigMap\":\"return {status = obj.data.k, "  \
	"message = 'k says so'}\"}}"
#define BY_NAME                                                                                    \
	"{\"data\":{\"resource.customizations.health.ConfigMap\":\"return {status = "              \
	"'Suspended'}\"}}"

static void judge_by_scripts(void)
{
	configure(BY_K);
	assert_true(is_configured(BY_K));
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = K("Healthy")});
	WAIT("the first sync", is_settled("u1"));
	/* what is Synced at a generation has the health of its own version, never of one before */
	for (int i = 0; i < 10; i++) {
		w.wanted_health = i % 2 ? 1 : 5;
		assign((struct assign){
			.uid = "u1", .name = "shop", .yaml = i % 2 ? K("Healthy") : K("Degraded")});
		WAIT("its health", picture("u1")->generation == w.generation &&
					   picture("u1")->assigned == 1 &&
					   picture("u1")->health == w.wanted_health);
	}
	w.wanted_health = 0;
	/* another script: nothing happens in the cluster, and everything is judged again */
	configure(BY_NAME);
	WAIT("the other script", picture("u1")->health == 2);
	/* one that cannot be used is kept, and changes nothing */
	struct agent_configuration c;

	configure("[");
	assert_true(is_configured(BY_NAME));
	agent_engine_configuration(w.engine, &c);
	assert_true(c.error[0] != '\0' && memcmp(c.kept, c.in_force, COX_SHA256_BYTES) != 0);
	configure(BY_NAME);
	agent_engine_configuration(w.engine, &c);
	assert_string_equal(c.error, "");
	close_engine();
	picture("u1")->health = 0;
	open_engine();
	assert_true(is_configured(BY_NAME));
	WAIT("the same after a restart", picture("u1")->health == 2);
	configure("");
	WAIT("no health at all", picture("u1")->health == 1);
}

static void test_scripts_judge(void **state)
{
	(void)state;
	judge_by_scripts();
}

static void test_scripts_judge_beside_the_loop(void **state)
{
	(void)state;
	close_engine();
	w.script_threads = 1;
	open_engine();
	judge_by_scripts();
	/* objects and the engine go while scripts run */
	configure(BY_K);
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = K("Suspended")});
	bury("u1", "shop", true);
	WAIT("the end of it", picture("u1")->deleted);
	assign((struct assign){.uid = "u2", .name = "more", .yaml = K("Healthy")});
	WAIT("the object", call("GET", CM("a"), NULL, "") == 200);
}

/* A wave waits for a script's verdict on what was applied before it. */
static void test_scripts_gate_waves(void **state)
{
	static const char yaml[] =
		"- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: x}}\n"
		"- {apiVersion: v1, kind: Secret, metadata: {name: s, annotations: "
		"{argocd.argoproj.io/sync-wave: '1'}}}\n";

	(void)state;
	for (unsigned threads = 0; threads < 2; threads++) {
		close_engine();
		w.script_threads = threads;
		open_engine();
		configure("{\"data\":{\"resource.customizations.health.ConfigMap\":\"if "
			  "obj.data.go then "
			  "return {status = 'Healthy'} end return {status = 'Progressing'}\"}}");
		assign((struct assign){.uid = threads ? "u2" : "u1",
				       .name = threads ? "two" : "one",
				       .yaml = yaml});
		WAIT("the wave to wait", strstr(picture(threads ? "u2" : "u1")->message,
						"waiting for healthy") != NULL);
		assert_int_equal(call("GET", "/api/v1/namespaces/shop/secrets/s", NULL, ""), 404);
		call("PATCH", CM("a"), MERGE, "{\"data\":{\"go\":\"1\"}}");
		WAIT("the next wave", is_settled(threads ? "u2" : "u1"));
		assert_int_equal(call("GET", "/api/v1/namespaces/shop/secrets/s", NULL, ""), 200);
		bury(threads ? "u2" : "u1", threads ? "two" : "one", true);
		WAIT("the end of it", picture(threads ? "u2" : "u1")->deleted);
	}
}

static void test_waves(void **state)
{
	static const char yaml[] =
		"- {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: "
		"1, "
		"selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, "
		"spec: "
		"{containers: [{name: web, image: 'nginx:1'}]}}}}\n"
		"- {apiVersion: v1, kind: ConfigMap, metadata: {name: later, annotations: "
		"{argocd.argoproj.io/sync-wave: '1'}}}\n";

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = yaml});
	WAIT("the second wave", call("GET", CM("later"), NULL, "") == 200);
	/* the first wave was healthy before */
	assert_int_equal(call("GET", "/apis/apps/v1/namespaces/shop/deployments/web", NULL, ""),
			 200);
	assert_string_equal(field("status", "availableReplicas", NULL), "1");
	WAIT("peace", is_settled("u1"));
}

static struct {
	bool done;
	char live[4096], desired[4096];
} looked;

static void look_done(void *arg, struct cox_str live, struct cox_str desired,
		      const struct cox_error *error)
{
	(void)arg;
	assert_int_equal(error->code, COX_OK);
	snprintf(looked.live, sizeof(looked.live), "%.*s", COX_STR_ARG(live));
	snprintf(looked.desired, sizeof(looked.desired), "%.*s", COX_STR_ARG(desired));
	looked.done = true;
}

static void test_secrets_are_masked(void **state)
{
	struct cox_object_key key = {.group = COX_STR(""),
				     .kind = COX_STR("Secret"),
				     .namespace = COX_STR("shop"),
				     .name = COX_STR("s")};

	(void)state;
	assign((struct assign){
		.uid = "u1",
		.name = "shop",
		.yaml = "- {apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {p: "
			"canary}}\n"});
	WAIT("the sync", is_settled("u1"));
	assert_int_equal(call("GET", "/api/v1/namespaces/shop/secrets/s", NULL, ""), 200);
	assert_string_equal(field("data", "p", NULL), "Y2FuYXJ5");
	assert_int_equal(agent_engine_resource(w.engine, "u1", key, look_done, NULL, NULL), 0);
	WAIT("the answer", looked.done);
	assert_non_null(strstr(looked.live, "\"p\":\"++++++++\""));
	assert_non_null(strstr(looked.desired, "\"p\":\"++++++++\""));
	assert_null(strstr(looked.live, "Y2FuYXJ5"));
	assert_null(strstr(looked.desired, "Y2FuYXJ5"));
	key.name = COX_STR("other");
	assert_int_equal(agent_engine_resource(w.engine, "u1", key, look_done, NULL, NULL),
			 -COX_NOT_FOUND);
}

static void test_a_lost_inventory_is_rebuilt(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	close_engine();
	remove_tree(w.state);
	open_engine();
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, "
				       "data: {k: one}}\n"});
	WAIT("what is known by its marks only to be pruned",
	     is_settled("u1") && call("GET", CM("b"), NULL, "") == 404);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_syncs_heals_prunes_deletes),
		TEST(test_a_newer_tombstone_is_answered),
		TEST(test_goes_on_after_a_restart),
		TEST(test_manual_operations_run_once),
		TEST(test_old_news_change_nothing),
		TEST(test_fields_of_others_move_to_us),
		TEST(test_an_api_server_that_is_gone),
		TEST(test_tells_since_when_it_is_well),
		TEST(test_shared_objects_are_told_and_may_be_refused),
		TEST(test_guards_against_emptying),
		TEST(test_rollouts_are_guarded_against_emptying),
		TEST(test_only_what_is_ours_is_pruned),
		TEST(test_kinds_that_come_with_the_bundle),
		TEST(test_failures_are_sentences),
		TEST(test_scripts_judge),
		TEST(test_scripts_judge_beside_the_loop),
		TEST(test_scripts_gate_waves),
		TEST(test_waves),
		TEST(test_secrets_are_masked),
		TEST(test_a_lost_inventory_is_rebuilt),
	};

	cox_log_init("test", getenv("COX_TEST_LOG") ? COX_LOG_DEBUG : COX_LOG_ERROR, COX_LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
