/* Binding maps to structs by tables. */
#include "common/doc/bind.h"
#include "common/doc/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
	const char *name;
	int64_t port;
};

struct thing {
	const char *name;
	struct cox_str text;
	bool on, has_on;
	int64_t replicas, timeout_ms;
	double ratio;
	int color;
	struct cox_bind_strings args;
	const struct cox_node *labels, *any, *map, *list;
	struct item nested;
	struct cox_bind_objects items;
};

static const struct cox_bind_field item_fields[] = {
	COX_BIND(struct item, name, "name", STRING, .flags = COX_BIND_REQUIRED),
	COX_BIND(struct item, port, "port", INT, .min = 1, .max = 65535),
};
static const struct cox_bind_table item_table = COX_BIND_TABLE(struct item, item_fields);

static const char *const colors[] = {"red", "green", "blue", NULL};
static const struct cox_bind_field thing_fields[] = {
	COX_BIND(struct thing, name, "name", STRING),
	COX_BIND(struct thing, text, "text", STR),
	COX_BIND(struct thing, on, "on", BOOL, .has = offsetof(struct thing, has_on)),
	COX_BIND(struct thing, replicas, "replicas", INT),
	COX_BIND(struct thing, timeout_ms, "timeout", DURATION, .min = 1000, .max = 60000),
	COX_BIND(struct thing, ratio, "ratio", DOUBLE),
	COX_BIND(struct thing, color, "color", ENUM, .values = colors),
	COX_BIND(struct thing, args, "args", STRINGS),
	COX_BIND(struct thing, labels, "labels", STRING_MAP),
	COX_BIND(struct thing, any, "any", NODE),
	COX_BIND(struct thing, map, "map", MAP),
	COX_BIND(struct thing, list, "list", LIST),
	COX_BIND(struct thing, nested, "nested", OBJECT, .table = &item_table),
	COX_BIND(struct thing, items, "items", OBJECTS, .table = &item_table),
	COX_BIND_SKIP("ignored"),
};
static const struct cox_bind_table thing_table = COX_BIND_TABLE(struct thing, thing_fields);

static struct cox_doc *yaml(const char *text)
{
	struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (cox_yaml_read(cox_str(text), "t.yaml", NULL, &doc, &err) < 0)
		fail_msg("%s", err.message);
	return doc;
}

static void binds(void **state)
{
	_cleanup_doc_ struct cox_doc *doc =
		yaml("name: web\ntext: abc\n'on': true\nreplicas: 3\ntimeout: 1m\nratio: 2\n"
		     "color: blue\nargs: [a, b]\nlabels: {x: '1'}\nany: 7\nmap: {}\nlist: []\n"
		     "nested: {name: nn, port: 80}\nitems:\n- name: a\n- {name: b, port: 443}\n"
		     "ignored: {}\nmore: 1\n");
	struct cox_arena arena = COX_ARENA_INIT(0);
	struct thing t = {.replicas = 9};
	const struct item *items;

	(void)state;
	assert_int_equal(cox_bind(doc, cox_doc_root(doc), &thing_table, 0, NULL, &arena, &t, NULL),
			 0);
	assert_string_equal(t.name, "web");
	assert_true(cox_str_is(t.text, "abc"));
	assert_true(t.on && t.has_on);
	assert_int_equal(t.replicas, 3);
	assert_int_equal(t.timeout_ms, 60000);
	assert_true(t.ratio == 2.0);
	assert_int_equal(t.color, 2);
	assert_int_equal(t.args.n, 2);
	assert_string_equal(t.args.items[1], "b");
	assert_int_equal(cox_node_len(t.labels), 1);
	assert_int_equal(cox_node_int(t.any, 0), 7);
	assert_non_null(t.map);
	assert_non_null(t.list);
	assert_int_equal(t.nested.port, 80);
	assert_int_equal(t.items.n, 2);
	items = t.items.items;
	assert_string_equal(items[0].name, "a");
	assert_int_equal(items[0].port, 0);
	assert_int_equal(items[1].port, 443);
	cox_arena_fini(&arena);
}

static void keeps_defaults(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = yaml("name: null\nreplicas:\n");
	struct thing t = {.name = "default", .replicas = 2, .nested = {.port = 5}};

	(void)state;
	assert_int_equal(cox_bind(doc, cox_doc_root(doc), &thing_table, COX_BIND_STRICT, NULL, NULL,
				  &t, NULL),
			 0);
	assert_string_equal(t.name, "default");
	assert_int_equal(t.replicas, 2);
	assert_int_equal(t.nested.port, 5);
	assert_false(t.has_on);
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"name: 1", "t.yaml:1:7: spec.name: expected a string, found an integer"},
		{"name: \"a\\0b\"", "t.yaml:1:7: spec.name: text with a NUL inside"},
		{"replicas: x", "t.yaml:1:11: spec.replicas: expected an integer, found a string"},
		{"replicas: 1.5",
		 "t.yaml:1:11: spec.replicas: expected an integer, found a fraction"},
		{"'on': 'true'", "t.yaml:1:7: spec.on: expected true or false, found a string"},
		{"timeout: 5",
		 "t.yaml:1:10: spec.timeout: expected a duration like \"1m30s\", found "
		 "an integer"},
		{"timeout: 5x", "t.yaml:1:10: spec.timeout: expected a duration like \"1m30s\", "
				"found '5x'"},
		{"timeout: 0s", "t.yaml:1:10: spec.timeout: expected at least 1s"},
		{"timeout: 1h", "t.yaml:1:10: spec.timeout: expected at most 1m0s"},
		{"color: pink",
		 "t.yaml:1:8: spec.color: expected red, green or blue, found 'pink'"},
		{"color: 1",
		 "t.yaml:1:8: spec.color: expected red, green or blue, found an integer"},
		{"args: a", "t.yaml:1:7: spec.args: expected a list of strings, found a string"},
		{"args: [a, 1]", "t.yaml:1:11: spec.args[1]: expected a string, found an integer"},
		{"labels: {a: 1}",
		 "t.yaml:1:13: spec.labels.a: expected a string, found an integer"},
		{"labels: {a.b/c: 1}",
		 "t.yaml:1:17: spec.labels[\"a.b/c\"]: expected a string, found an integer"},
		{"map: []", "t.yaml:1:6: spec.map: expected a map, found a list"},
		{"list: {}", "t.yaml:1:7: spec.list: expected a list, found a map"},
		{"nested: {port: 1}", "t.yaml:1:9: spec.nested.name: is required"},
		{"nested: {name: ''}", "t.yaml:1:16: spec.nested.name: must not be empty"},
		{"nested: {name: a, port: 0}",
		 "t.yaml:1:25: spec.nested.port: expected at least 1"},
		{"items:\n- {name: a, port: 65536}",
		 "t.yaml:2:19: spec.items[0].port: expected at most 65535"},
		{"items: [1]", "t.yaml:1:9: spec.items[0]: expected a map, found an integer"},
		{"- a", "t.yaml:1:1: spec: expected a map, found a list"},
		{"replcias: 1",
		 "t.yaml:1:1: spec.replcias: unknown field, did you mean 'replicas'?"},
		{"items:\n- name: a\n  prot: 1",
		 "t.yaml:3:3: spec.items[0].prot: unknown field, did you mean 'port'?"},
		{"zzzzzzzz: 1", "t.yaml:1:1: spec.zzzzzzzz: unknown field"},
		{"Name: a", "t.yaml:1:1: spec.Name: unknown field, did you mean 'name'?"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_doc_ struct cox_doc *doc = yaml(cases[i].text);
		struct cox_arena arena = COX_ARENA_INIT(0);
		struct thing t = {.replicas = 4}, before = t;
		struct cox_error err;

		assert_int_equal(cox_bind(doc, cox_doc_root(doc), &thing_table, COX_BIND_STRICT,
					  "spec", &arena, &t, &err),
				 -COX_INVALID_ARGUMENT);
		assert_string_equal(err.message, cases[i].message);
		assert_memory_equal(&t, &before, sizeof(t));
		cox_arena_fini(&arena);
	}
}

static void any_case(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = yaml("NAME: a\nReplicas: 3\n");
	struct thing t = {0};

	(void)state;
	assert_int_equal(cox_bind(doc, cox_doc_root(doc), &thing_table,
				  COX_BIND_STRICT | COX_BIND_ANY_CASE, NULL, NULL, &t, NULL),
			 0);
	assert_string_equal(t.name, "a");
	assert_int_equal(t.replicas, 3);
}

static void nothing(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = yaml("a: 1");
	struct thing t = {0};
	struct cox_error err;

	(void)state;
	assert_int_equal(cox_bind(doc, NULL, &thing_table, 0, NULL, NULL, &t, &err),
			 -COX_INVALID_ARGUMENT);
	assert_string_equal(err.message, "t.yaml: expected a map, found nothing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binds),   cmocka_unit_test(keeps_defaults),
		cmocka_unit_test(refuses), cmocka_unit_test(any_case),
		cmocka_unit_test(nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
