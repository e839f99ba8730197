/* The resource tree, and what a relist finds out, against a simulated cluster. */
#include "common/base/log.h"
#include "tests/unit/agent/sync/world.h"

#include <stdio.h>
#include <stdlib.h>

#define K(value) "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: " value "}}\n"

/* A ConfigMap of somebody else, with an owner. */
static void own_by(const char *name, const char *owner, const char *uid)
{
	_cleanup_free_ char *path = cox_asprintf(CM("%s"), name);
	_cleanup_free_ char *body = cox_asprintf(
		"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\","
		"\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","
		"\"name\":\"%s\",\"uid\":\"%s\"}]}}",
		name, owner, uid);

	if (call("POST", CM(""), "application/json", body) != 201)
		assert_int_equal(call("PATCH", path, MERGE, body), 200);
}

static char *uid_of(const char *name)
{
	_cleanup_free_ char *path = cox_asprintf(CM("%s"), name);

	assert_int_equal(call("GET", path, NULL, ""), 200);
	return cox_strdup(field("metadata", "uid", NULL));
}

static void own(const char *name, const char *owner)
{
	_cleanup_free_ char *uid = uid_of(owner);

	own_by(name, owner, uid);
}

static bool tree_is(const char *tree)
{
	return strcmp(picture("u1")->tree, tree) == 0;
}

static void test_the_tree_of_what_is_below(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = K("x")});
	WAIT("the sync", is_settled("u1"));
	call("POST", CM(""), "application/json",
	     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"foreign\"}}");
	own("f", "foreign");
	own("b", "a");
	own("c", "b");
	WAIT("what is below", tree_is("a, b of a, c of b"));
	own("b", "c"); /* in a circle: below nothing of ours */
	WAIT("the circle", tree_is(""));
	own("b", "a");
	WAIT("it to be mended", tree_is("a, b of a"));
	own("c", "a");
	WAIT("another parent", tree_is("a, c of a, b of a") || tree_is("a, b of a, c of a"));
	/* what is gone while nobody looks */
	close_engine();
	call("DELETE", CM("b"), NULL, "");
	open_engine();
	WAIT("the same after a restart", tree_is("a, c of a"));
	assert_int_equal(call("DELETE", CM("a"), NULL, ""), 200);
	WAIT("the root made anew, with nothing below",
	     is_settled("u1") && value_is(CM("a"), "k", "x") && tree_is(""));
}

static void test_the_tree_is_bounded(void **state)
{
	char name[16], before[16] = "a";

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = K("x")});
	WAIT("the sync", is_settled("u1"));
	for (int i = 1; i <= 18; i++) {
		snprintf(name, sizeof(name), "d%02d", i);
		own(name, before);
		snprintf(before, sizeof(before), "%s", name);
	}
	WAIT("sixteen below the root", picture("u1")->n_nodes == 17);
	_cleanup_free_ char *uid = uid_of("a");

	for (int i = 0; i < 485; i++) {
		snprintf(name, sizeof(name), "w%03d", i);
		own_by(name, "a", uid);
	}
	WAIT("five hundred of them",
	     picture("u1")->n_nodes == 500 && picture("u1")->n_left_out == 2);
}

static void test_orphans_are_counted_and_bounded(void **state)
{
	static const char project[] =
		"{\"apiVersion\":\"argoproj.io/v1alpha1\",\"kind\":\"AppProject\",\"metadata\":{"
		"\"name\":\"p\"},\"spec\":{\"destinations\":[{\"server\":\"*\",\"namespace\":\"*\"}"
		"],"
		"\"clusterResourceWhitelist\":[{\"group\":\"*\",\"kind\":\"*\"}],"
		"\"orphanedResources\":{\"ignore\":[{\"kind\":\"ConfigMap\",\"name\":\"x0?\"}]}}}";
	char body[128];

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = K("x")});
	WAIT("the sync", is_settled("u1"));
	for (int i = 0; i < 210; i++) {
		snprintf(body, sizeof(body),
			 "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"x%"
			 "02d\"}}",
			 i);
		assert_int_equal(call("POST", CM(""), "application/json", body), 201);
	}
	assert_false(picture("u1")->orphans_known);
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = K("x"), .project = project});
	WAIT("a look", picture("u1")->orphans_known);
	assert_int_equal(picture("u1")->n_orphans, 200); /* 210 without x00 to x09 */
	assert_int_equal(picture("u1")->orphans_total, 200);
	assert_non_null(strstr(picture("u1")->conditions,
			       "OrphanedResourceWarning: namespace 'shop' has 200 orphaned "
			       "resources: ConfigMap 'shop/x10', ConfigMap 'shop/x100', ConfigMap "
			       "'shop/x101', ..."));
	assert_int_equal(
		call("POST", CM(""), "application/json",
		     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":"
		     "\"yy\"}}"),
		201);
	assert_int_equal(agent_engine_refresh(w.engine, "u1", NULL), 0);
	WAIT("one more", picture("u1")->orphans_total == 201);
	assert_int_equal(picture("u1")->n_orphans, 200);
	/* what becomes an application's is an orphan no more, at once */
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = K("x") "- {apiVersion: v1, kind: ConfigMap, metadata: "
					      "{name: yy}}\n",
			       .project = project});
	WAIT("one less", picture("u1")->orphans_total == 200);
	bury("u1", "shop", true);
	WAIT("the end of it", picture("u1")->deleted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_the_tree_of_what_is_below),
		TEST(test_the_tree_is_bounded),
		TEST(test_orphans_are_counted_and_bounded),
	};

	cox_log_init("test", getenv("COX_TEST_LOG") ? COX_LOG_DEBUG : COX_LOG_ERROR, COX_LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
