/* What is ignored by expression, asked of a helper that is this program started again; and what a
 * dry run is asked for. */
#include "tests/unit/agent/sync/world.h"

#include "agent/jq/jq.h"
#include "common/base/mem.h"
#include "common/doc/doc.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define SYNCED	    1
#define OUT_OF_SYNC 2
#define UNKNOWN	    0

static const char objects[] =
	"- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: one, other: two}}\n"
	"- {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1, "
	"selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: "
	"{containers: [{name: web, image: 'nginx:1'}, {name: proxy, image: 'envoy:1'}]}}}}\n";

#define WEB   "/apis/apps/v1/namespaces/shop/deployments/web"
#define MATCH "application/strategic-merge-patch+json"

static const char by_expression[] =
	"[{\"group\":\"apps\",\"kind\":\"Deployment\",\"jqPathExpressions\":"
	"[\".spec.template.spec.containers[] | select(.name == \\\"proxy\\\") | .image\"]}]";

static int setup_with_jq(void **state)
{
	if (setup(state) < 0)
		return -1;
	close_engine();
	w.jq = agent_jq_new(&(struct agent_jq_options){.loop = w.loop});
	open_engine();
	return 0;
}

static void set_image(const char *container, const char *image)
{
	_cleanup_free_ char *patch =
		cox_asprintf("{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"%s\","
			     "\"image\":\"%s\"}]}}}}",
			     container, image);

	assert_int_equal(call("PATCH", WEB, MATCH, patch), 200);
}

static void test_what_an_expression_names_is_ignored(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = objects,
			       .no_heal = true,
			       .ignore = by_expression});
	WAIT("the first sync", is_settled("u1"));
	assert_true(agent_jq_pid(w.jq) > 0);
	/* both at once: only one of them counts, and it is seen after the other */
	set_image("proxy", "envoy:2");
	set_image("web", "nginx:2");
	WAIT("drift", picture("u1")->sync == OUT_OF_SYNC);
	/* somebody ends the helper: another one goes on */
	int pid = agent_jq_pid(w.jq);

	kill(pid, SIGKILL);
	set_image("web", "nginx:1");
	WAIT("no drift", picture("u1")->sync == SYNCED);
	assert_true(agent_jq_pid(w.jq) > 0 && agent_jq_pid(w.jq) != pid);
	assert_string_equal(picture("u1")->conditions, "");
	/* no more ignored: the other one counts */
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = objects, .no_heal = true});
	WAIT("drift that was ignored",
	     picture("u1")->generation == w.generation && picture("u1")->sync == OUT_OF_SYNC);
}

static void test_self_heal_leaves_alone_what_is_ignored(void **state)
{
	(void)state;
	assign((struct assign){
		.uid = "u1", .name = "shop", .yaml = objects, .ignore = by_expression});
	WAIT("the first sync", is_settled("u1"));
	set_image("proxy", "envoy:2");
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"k\":\"drift\"}}"), 200);
	WAIT("another object to be healed", value_is(CM("a"), "k", "one"));
	assert_int_equal(call("GET", WEB, NULL, ""), 200);
	const struct cox_node *containers =
		COX_GET(cox_doc_root(answer.doc), "spec", "template", "spec", "containers");

	assert_string_equal(cox_node_cstr(cox_node_get(cox_node_at(containers, 1), "image"), ""),
			    "envoy:2");
}

/* What cannot be compared is not healed by a guess, and the expression is named. */
static void test_a_bad_expression(void **state)
{
	static const struct {
		const char *ignore, *why;
	} bad[] = {
		{"[{\"kind\":\"ConfigMap\",\"jqPathExpressions\":[\".data.other\",\".data[\"]}]",
		 "ComparisonError: ignoreDifferences: jqPathExpression '.data[': syntax error"},
		{"[{\"kind\":\"ConfigMap\",\"jqPathExpressions\":[\"def f: f; f\"]}]",
		 "ComparisonError: ignoreDifferences: jqPathExpression 'def f: f; f': it took more "
		 "than a second"},
	};

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = objects});
	WAIT("the first sync", is_settled("u1"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assign((struct assign){
			.uid = "u1", .name = "shop", .yaml = objects, .ignore = bad[i].ignore});
		WAIT("the condition", strstr(picture("u1")->conditions, bad[i].why));
		assert_int_equal(picture("u1")->sync, UNKNOWN);
	}
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"k\":\"drift\"}}"), 200);
	/* a good one again: then the drift is seen, and healed */
	assert_true(value_is(CM("a"), "k", "drift"));
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = objects,
			       .ignore = "[{\"kind\":\"ConfigMap\",\"jqPathExpressions\":"
					 "[\".data.other\"]}]"});
	WAIT("the healing", value_is(CM("a"), "k", "one"));
	WAIT("no condition", picture("u1")->conditions[0] == '\0');
}

static void test_without_jq(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = objects});
	WAIT("the first sync", is_settled("u1"));
	assign((struct assign){
		.uid = "u1", .name = "shop", .yaml = objects, .ignore = by_expression});
	WAIT("the condition",
	     strstr(picture("u1")->conditions, "jqPathExpressions cannot be used here"));
	assert_int_equal(picture("u1")->sync, UNKNOWN);
}

/* ---- dry runs ---- */

/* The server fills in `mode`, inside of a list that has one owner as a whole. */
static const char definition[] =
	"- {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: "
	"routes.example.com}, spec: {group: example.com, scope: Namespaced, names: {kind: Route, "
	"plural: routes, singular: route}, versions: [{name: v1, served: true, storage: true, "
	"schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: "
	"{rules: {type: array, items: {type: object, properties: {host: {type: string}, mode: "
	"{type: string, default: auto}}}}}}}}}}]}}\n";
static const char route[] =
	"- {apiVersion: example.com/v1, kind: Route, metadata: {name: r}, spec: "
	"{rules: [{host: a}]}}\n";

#define ROUTE "/apis/example.com/v1/namespaces/shop/routes/r"

static size_t n_dry_runs(void)
{
	assert_int_equal(call("GET", "/kubesim/faults", NULL, ""), 200);
	return (size_t)cox_node_int(
		COX_GET(cox_node_at(cox_node_get(cox_doc_root(answer.doc), "rules"), 0), "matched"),
		-1);
}

static void count_dry_runs(void)
{
	assert_int_equal(call("PUT", "/kubesim/faults", NULL,
			      "{\"rules\":[{\"method\":\"PATCH\",\"query\":\"*dryRun*\","
			      "\"probability\":0}]}"),
			 200);
}

/* A tick after which everything that the watches told before has been looked at. */
static void drift_is_seen(void)
{
	static unsigned n;
	_cleanup_free_ char *patch = cox_asprintf("{\"data\":{\"k\":\"drift %u\"}}", n++);

	assert_int_equal(call("PATCH", CM("a"), MERGE, patch), 200);
	WAIT("drift", picture("u1")->sync == OUT_OF_SYNC);
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"k\":\"one\"}}"), 200);
	WAIT("no drift", picture("u1")->sync == SYNCED);
}

static void test_one_dry_run_for_one_state(void **state)
{
	_cleanup_free_ char *yaml = cox_asprintf("%s%s%s", definition, route, objects);

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = yaml, .no_heal = true});
	WAIT("the first sync", is_settled("u1"));
	count_dry_runs();
	/* what the apply came to is known, and what others write into the rest is no question */
	for (int i = 0; i < 3; i++)
		assert_int_equal(call("PATCH", ROUTE "/status", MERGE, "{\"status\":{}}"), 404);
	assert_int_equal(
		call("PATCH", CM("a"), MERGE, "{\"metadata\":{\"labels\":{\"team\":\"x\"}}}"), 200);
	drift_is_seen();
	assert_int_equal(n_dry_runs(), 1); /* the drift's */
	/* the same drift again is known */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"k\":\"same\"}}"), 200);
		WAIT("drift", picture("u1")->sync == OUT_OF_SYNC);
		assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"k\":\"one\"}}"), 200);
		WAIT("no drift", picture("u1")->sync == SYNCED);
	}
	assert_int_equal(n_dry_runs(), 2);
	/* another field of the route: a state that nobody knows, so it is asked, once */
	assert_int_equal(
		call("PATCH", ROUTE, MERGE, "{\"metadata\":{\"labels\":{\"team\":\"x\"}}}"), 200);
	WAIT("a dry run of the route", n_dry_runs() == 3);
	drift_is_seen();
	assert_int_equal(n_dry_runs(), 4);
	/* after a restart nothing is known: one for the route, none for the others */
	close_engine();
	open_engine();
	WAIT("a dry run of the route", n_dry_runs() == 5);
	WAIT("the picture", picture("u1")->sync == SYNCED);
	drift_is_seen();
	assert_int_equal(n_dry_runs(), 6);
	/* real drift inside of the list */
	assert_int_equal(call("PATCH", ROUTE, MERGE, "{\"spec\":{\"rules\":[{\"host\":\"b\"}]}}"),
			 200);
	WAIT("drift of the route", picture("u1")->sync == OUT_OF_SYNC);
	assert_int_equal(n_dry_runs(), 7);
}

/* No answer: what the comparison said until there is one, which is asked for by itself. */
static void test_a_dry_run_without_an_answer(void **state)
{
	_cleanup_free_ char *yaml = cox_asprintf("%s%s%s", definition, route, objects);

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = yaml, .no_heal = true});
	WAIT("the first sync", is_settled("u1"));
	assert_int_equal(call("PUT", "/kubesim/faults", NULL,
			      "{\"rules\":[{\"method\":\"PATCH\",\"query\":\"*dryRun*\","
			      "\"drop\":true}]}"),
			 200);
	assert_int_equal(
		call("PATCH", ROUTE, MERGE, "{\"metadata\":{\"labels\":{\"team\":\"x\"}}}"), 200);
	WAIT("what the comparison says", picture("u1")->sync == OUT_OF_SYNC);
	assert_int_equal(call("PUT", "/kubesim/faults", NULL, "{\"rules\":[]}"), 200);
	WAIT("the answer", picture("u1")->sync == SYNCED);
}

static void test_extraneous_objects_that_do_not_count(void **state)
{
	(void)state;
	assign((struct assign){
		.uid = "u1",
		.name = "shop",
		.no_prune = true,
		.yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"
			"- {apiVersion: v1, kind: ConfigMap, metadata: {name: x, "
			"annotations: {argocd.argoproj.io/compare-options: "
			"IgnoreExtraneous}}}\n"
			"- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n"});
	WAIT("the first sync", is_settled("u1"));
	assign((struct assign){
		.uid = "u1",
		.name = "shop",
		.no_prune = true,
		.yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"
			"- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n"});
	WAIT("the one that does not count", is_settled("u1"));
	assign((struct assign){
		.uid = "u1",
		.name = "shop",
		.no_prune = true,
		.yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"});
	WAIT("the one that counts",
	     picture("u1")->generation == w.generation && picture("u1")->sync == OUT_OF_SYNC);
	assert_int_equal(call("GET", CM("x"), NULL, ""), 200);
}

int main(int argc, char **argv)
{
#define TEST(name, up) cmocka_unit_test_setup_teardown(name, up, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_an_expression_names_is_ignored, setup_with_jq),
		TEST(test_self_heal_leaves_alone_what_is_ignored, setup_with_jq),
		TEST(test_a_bad_expression, setup_with_jq),
		TEST(test_without_jq, setup),
		TEST(test_one_dry_run_for_one_state, setup),
		TEST(test_a_dry_run_without_an_answer, setup),
		TEST(test_extraneous_objects_that_do_not_count, setup),
	};

	if (argc == 2 && strcmp(argv[1], AGENT_JQ_HELPER) == 0)
		return agent_jq_main();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
