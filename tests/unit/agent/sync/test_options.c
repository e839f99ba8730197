/* How an object is written: what Replace, Force, RespectIgnoreDifferences and
 * ClientSideApplyMigration mean, against a simulated cluster. */
#include "world.h"

#include "common/base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>

static const char frozen[] = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: "
			     "one}, immutable: true}\n";

/* A ConfigMap with that option, value, and more of its top level. */
static const char *map(const char *option, const char *value, const char *more)
{
	static char text[600];

	snprintf(text, sizeof(text),
		 "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: "
		 "{argocd.argoproj.io/sync-options: '%s'}}, data: {k: %s}%s}\n",
		 option, value, more);
	return text;
}

static char *uid_of(const char *path)
{
	assert_int_equal(call("GET", path, NULL, ""), 200);
	return cox_strdup(field("metadata", "uid", NULL));
}

static void sync_to(const char *yaml)
{
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = yaml});
	WAIT("the sync", is_settled("u1"));
}

static void add_a_key(void)
{
	assert_int_equal(call("PATCH", CM("a") "?fieldManager=somebody", MERGE,
			      "{\"data\":{\"theirs\":\"x\"}}"),
			 200);
}

static void test_replace(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	(void)state;
	sync_to(map("Replace=true", "one", ""));
	before = uid_of(CM("a"));
	add_a_key();
	sync_to(map("Replace=true", "two", ""));
	assert_true(value_is(CM("a"), "k", "two"));
	/* an apply would have left it alone */
	assert_string_equal(field("data", "theirs", NULL), "");
	after = uid_of(CM("a"));
	assert_string_equal(before, after);
	/* and with it gone, it is made again */
	assert_int_equal(call("DELETE", CM("a"), NULL, ""), 200);
	WAIT("the object to come back", call("GET", CM("a"), NULL, "") == 200);
	WAIT("peace", is_settled("u1"));
}

static void test_what_cannot_be_changed(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	(void)state;
	sync_to(frozen);
	before = uid_of(CM("a"));
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = map("Prune=true", "two", ", immutable: true")});
	WAIT("the refusal", picture("u1")->phase == 4);
	assert_non_null(strstr(picture("u1")->message, "immutable"));
	after = uid_of(CM("a"));
	assert_string_equal(before, after);
	assert_true(value_is(CM("a"), "k", "one"));
	/* a look is no reason to try what has failed again: nothing has changed */
	_cleanup_free_ char *operation = cox_strdup(picture("u1")->operation);
	uint64_t told = picture("u1")->sequence;

	assert_int_equal(agent_engine_refresh(w.engine, "u1", NULL), 0);
	WAIT("another look", picture("u1")->sequence > told && picture("u1")->assigned == 2);
	assert_string_equal(picture("u1")->operation, operation);
}

static void test_force(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	(void)state;
	sync_to(frozen);
	before = uid_of(CM("a"));
	sync_to(map("Force=true", "two", ", immutable: true"));
	assert_true(value_is(CM("a"), "k", "two"));
	after = uid_of(CM("a"));
	assert_string_not_equal(before, after);
	/* what can be changed is changed */
	sync_to(map("Force=true", "two", ", immutable: true, binaryData: {}"));
	free(before);
	before = uid_of(CM("a"));
	assert_string_equal(before, after);
}

/* Something holds the old one: the operation waits, and a restart of the agent changes nothing. */
static void test_force_waits(void **state)
{
	(void)state;
	sync_to(frozen);
	assert_int_equal(call("PATCH", CM("a"), MERGE,
			      "{\"metadata\":{\"finalizers\":[\"example.com/hold\"]}}"),
			 200);
	WAIT("peace", is_settled("u1"));
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = map("Force=true", "two", ", immutable: true")});
	WAIT("the deletion", call("GET", CM("a"), NULL, "") == 200 &&
				     *field("metadata", "deletionTimestamp", NULL));
	close_engine();
	open_engine();
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"metadata\":{\"finalizers\":null}}"),
			 200);
	WAIT("the object anew", value_is(CM("a"), "k", "two"));
	WAIT("peace", is_settled("u1"));
}

/* Only what bears our marks is deleted. */
static void test_force_spares_others(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	(void)state;
	assert_int_equal(call("POST", "/api/v1/namespaces", NULL,
			      "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{"
			      "\"name\":\"shop\"}}"),
			 201);
	assert_int_equal(
		call("POST", "/api/v1/namespaces/shop/configmaps", NULL,
		     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":"
		     "\"a\"},\"data\":{\"k\":\"theirs\"},\"immutable\":true}"),
		201);
	before = uid_of(CM("a"));
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = map("Force=true", "two", ", immutable: true")});
	WAIT("the refusal", picture("u1")->phase == 4);
	after = uid_of(CM("a"));
	assert_string_equal(before, after);
}

static void test_replace_by_force(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	(void)state;
	sync_to(map("Replace=true,Force=true", "one", ""));
	before = uid_of(CM("a"));
	sync_to(map("Replace=true,Force=true", "two", ""));
	assert_true(value_is(CM("a"), "k", "two"));
	after = uid_of(CM("a"));
	assert_string_not_equal(before, after);
}

static void test_respect_ignored(void **state)
{
	static const char ignore[] = "[{\"kind\":\"ConfigMap\",\"jsonPointers\":[\"/data/k\"]}]";
	struct assign a = {.uid = "u1", .name = "shop", .ignore = ignore};

	(void)state;
	/* a new object is made as Git has it */
	a.yaml = map("RespectIgnoreDifferences=true", "one", "");
	assign(a);
	WAIT("the first sync", is_settled("u1"));
	assert_true(value_is(CM("a"), "k", "one"));
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"k\":\"by hand\"}}"), 200);
	a.yaml = map("RespectIgnoreDifferences=true", "two, other: new", "");
	assign(a);
	WAIT("the second sync", is_settled("u1") && value_is(CM("a"), "other", "new"));
	assert_true(value_is(CM("a"), "k", "by hand"));
	/* without it the sync writes what Git has */
	a.yaml = map("Prune=true", "three, other: newer", "");
	assign(a);
	WAIT("the third sync", is_settled("u1") && value_is(CM("a"), "other", "newer"));
	assert_true(value_is(CM("a"), "k", "three"));
}

static void test_no_migration(void **state)
{
	(void)state;
	assert_int_equal(call("POST", "/api/v1/namespaces", NULL,
			      "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{"
			      "\"name\":\"shop\"}}"),
			 201);
	assert_int_equal(
		call("POST",
		     "/api/v1/namespaces/shop/configmaps?fieldManager=kubectl-client-side-apply",
		     NULL,
		     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},"
		     "\"data\":{\"k\":\"old\",\"stays\":\"x\"}}"),
		201);
	sync_to(map("ClientSideApplyMigration=false", "one", ""));
	assert_true(value_is(CM("a"), "k", "one"));
	assert_string_equal(field("data", "stays", NULL), "x");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_replace),
		TEST(test_what_cannot_be_changed),
		TEST(test_force),
		TEST(test_force_waits),
		TEST(test_force_spares_others),
		TEST(test_replace_by_force),
		TEST(test_respect_ignored),
		TEST(test_no_migration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
