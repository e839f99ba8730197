/* The tree itself: building, reading, sharing, editing by path copy, copies. */
#include "common/doc/doc.h"
#include "common/doc/json.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct cox_doc *json(const char *text)
{
	struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (cox_json_read(cox_str(text), "t", &doc, &err) < 0)
		fail_msg("%s", err.message);
	return doc;
}

static void assert_json(const struct cox_node *node, const char *want)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	cox_json_write(&out, node);
	assert_string_equal(cox_buf_cstr(&out), want);
}

static void builds_and_reads(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new(NULL);
	struct cox_node *root = cox_doc_map(doc), *list = cox_doc_list(doc);

	(void)state;
	cox_doc_set_root(doc, root);
	cox_map_put_cstr(doc, root, "short", "abc");
	cox_map_put_cstr(doc, root, "none", NULL);
	cox_map_put_cstr(doc, root, "long", "a text that does not fit into the node itself");
	cox_map_put_int(doc, root, "int", INT64_MIN);
	cox_map_put_bool(doc, root, "bool", true);
	cox_map_put(doc, root, "null", cox_doc_null(doc));
	cox_map_put(doc, root, "number", cox_doc_number(doc, COX_STR("1.50")));
	cox_map_put(doc, root, "format", cox_doc_stringf(doc, "%d-%s", 7, "x"));
	cox_map_put(doc, root, "list", list);
	for (int i = 0; i < 5; i++)
		cox_list_push(doc, list, cox_doc_int(doc, i));
	cox_list_insert(doc, list, 0, cox_doc_int(doc, -1));
	cox_list_drop(doc, list, 2);
	cox_list_set(doc, list, 1, cox_doc_cstring(doc, "one"));
	cox_map_put_cstr(doc, root, "short", "changed");
	assert_true(cox_map_drop(doc, root, COX_STR("null")));
	assert_false(cox_map_drop(doc, root, COX_STR("null")));
	assert_json(root,
		    "{\"short\":\"changed\",\"long\":\"a text that does not fit into the node "
		    "itself\",\"int\":-9223372036854775808,\"bool\":true,\"number\":1.50,"
		    "\"format\":\"7-x\",\"list\":[-1,\"one\",2,3,4]}");
	assert_string_equal(cox_doc_name(doc), "document");
	assert_int_equal(cox_node_int(cox_node_get(root, "int"), 0), INT64_MIN);
	assert_true(cox_node_double(COX_GET(root, "number"), 0) == 1.5);
	assert_true(cox_node_bool(COX_GET(root, "bool"), false));
	assert_int_equal(cox_node_len(COX_GET(root, "list")), 5);
	assert_int_equal(cox_node_find(root, COX_STR("int")), 2);
	assert_true(cox_str_is(cox_node_key(root, 1), "long"));
	assert_int_equal(cox_node_line(root), 0);
}

static void absent_answers(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = json("{\"a\":[1],\"s\":\"x\"}");
	const struct cox_node *root = cox_doc_root(doc);
	uint32_t line, column;

	(void)state;
	assert_int_equal(cox_node_kind(NULL), COX_ABSENT);
	assert_null(COX_GET(root, "a", "b", "c"));
	assert_null(COX_GET(NULL, "a"));
	assert_null(cox_node_at(COX_GET(root, "a"), 1));
	assert_int_equal(cox_node_int(COX_GET(root, "s"), 42), 42);
	assert_true(cox_node_bool(NULL, true));
	assert_string_equal(cox_node_str(NULL).ptr, "");
	assert_null(cox_node_cstr(root, NULL));
	assert_string_equal(cox_node_text(root).ptr, "");
	assert_int_equal(cox_node_len(COX_GET(root, "s")), 0);
	assert_int_equal(cox_node_find(NULL, COX_STR("a")), -1);
	cox_node_key_position(root, 9, &line, &column);
	assert_int_equal(line, 0);
	assert_true(cox_node_equal(NULL, NULL));
	assert_false(cox_node_equal(root, NULL));
	assert_string_equal(cox_kind_name(COX_INT), "integer");
	assert_null(cox_doc_root(NULL));
}

static void large_maps(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("large"), *copy = NULL;
	struct cox_node *map = cox_doc_map(doc);
	char key[24];

	(void)state;
	cox_doc_set_root(doc, map);
	for (int i = 0; i < 3000; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		cox_map_put_int(doc, map, key, i);
	}
	for (int i = 0; i < 3000; i += 3) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_true(cox_map_drop(doc, map, cox_str(key)));
	}
	copy = cox_doc_copy("copy", map);
	for (int i = 0; i < 3000; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_int_equal(cox_node_int(cox_node_get(map, key), -1), i % 3 ? i : -1);
		assert_int_equal(cox_node_int(cox_node_get(cox_doc_root(copy), key), -1),
				 i % 3 ? i : -1);
	}
	assert_true(cox_node_equal(map, cox_doc_root(copy)));
}

static void edits_copy_the_path(void **state)
{
	_cleanup_doc_ struct cox_doc *base =
		json("{\"a\":{\"b\":[1,{\"c\":2}],\"k\":{}},\"z\":[]}");
	_cleanup_doc_ struct cox_doc *doc = cox_doc_edit(base);
	struct cox_node *root = cox_doc_root_edit(doc), *item;

	(void)state;
	item = cox_list_edit(doc, cox_map_edit(doc, cox_map_edit(doc, root, "a"), "b"), 1);
	cox_map_put_int(doc, item, "c", 3);
	cox_map_put_int(doc, item, "d", 4);
	assert_null(cox_map_edit(doc, root, "absent"));
	assert_null(cox_list_edit(doc, cox_map_edit(doc, root, "z"), 0));
	cox_map_put_int(doc, cox_map_edit_map(doc, root, "new"), "x", 1);
	cox_list_push(doc, cox_map_edit_list(doc, root, "z"), cox_doc_null(doc));
	assert_json(cox_doc_root(base), "{\"a\":{\"b\":[1,{\"c\":2}],\"k\":{}},\"z\":[]}");
	assert_json(cox_doc_root(doc), "{\"a\":{\"b\":[1,{\"c\":3,\"d\":4}],\"k\":{}},\"z\":[null],"
				       "\"new\":{\"x\":1}}");
	/* What was not touched is the same node, and asking twice copies once. */
	assert_ptr_equal(COX_GET(root, "a", "k"), COX_GET(cox_doc_root(base), "a", "k"));
	assert_ptr_equal(cox_map_edit(doc, root, "a"), cox_map_edit(doc, root, "a"));
	assert_ptr_equal(cox_doc_root_edit(doc), root);
}

static void outlives_its_base(void **state)
{
	struct cox_doc *base = json("{\"a\":{\"text\":\"kept alive by the one that uses it\"}}");
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("d"), *view = NULL, *copy = NULL;

	(void)state;
	cox_doc_use(doc, base);
	cox_doc_set_root(doc, cox_doc_list(doc));
	cox_list_push(doc, cox_doc_root_edit(doc), COX_GET(cox_doc_root(base), "a"));
	view = cox_doc_view(base, COX_GET(cox_doc_root(base), "a", "text"));
	copy = cox_doc_copy(NULL, cox_doc_root(base));
	cox_doc_unref(base);
	assert_json(cox_doc_root(doc), "[{\"text\":\"kept alive by the one that uses it\"}]");
	assert_json(cox_doc_root(view), "\"kept alive by the one that uses it\"");
	assert_json(cox_doc_root(copy),
		    "{\"a\":{\"text\":\"kept alive by the one that uses it\"}}");
}

/* An owner's id is given back with its document: a node of another document must never look like
 * one's own because of that. */
static void ids_are_reused_safely(void **state)
{
	_cleanup_doc_ struct cox_doc *base = json("{\"a\":{\"n\":0}}");

	(void)state;
	for (int i = 1; i < 100; i++) {
		struct cox_doc *doc = cox_doc_edit(base);

		cox_map_put_int(doc, cox_map_edit(doc, cox_doc_root_edit(doc), "a"), "n", i);
		assert_int_equal(cox_node_int(COX_GET(cox_doc_root(base), "a", "n"), -1), 0);
		cox_doc_unref(doc);
	}
}

static void long_chains_are_freed(void **state)
{
	struct cox_doc *doc = json("{\"n\":0}");

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct cox_doc *next = cox_doc_edit(doc);

		cox_map_put_int(next, cox_doc_root_edit(next), "n", i);
		cox_doc_unref(doc);
		doc = cox_doc_seal(next);
	}
	cox_doc_unref(doc);
}

static void equality(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		{"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true},
		{"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
		{"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
		{"[1,2]", "[2,1]", false},
		{"1", "1.0", false},
		{"1.0", "1.00", true},
		{"1e2", "100.0", true},
		{"\"1\"", "1", false},
		{"null", "false", false},
		{"true", "true", true},
		{"true", "false", false},
		{"\"a\\u0000b\"", "\"a\\u0000c\"", false},
		{"\"0123456789abcdef\"", "\"0123456789abcdef\"", true},
		{"\"0123456789abcde\"", "\"0123456789abcdf\"", false},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_doc_ struct cox_doc *a = json(cases[i].a), *b = json(cases[i].b);

		if (cox_node_equal(cox_doc_root(a), cox_doc_root(b)) != cases[i].equal)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
	}
}

static void errors_have_positions(void **state)
{
	_cleanup_doc_ struct cox_doc *doc =
		json("{\n  \"spec\": {\n    \"replicas\": \"x\"\n  }\n}");
	struct cox_error err;
	uint32_t line, column;

	(void)state;
	assert_int_equal(cox_node_error(&err, doc, COX_GET(cox_doc_root(doc), "spec", "replicas"),
					"spec.replicas: expected %s", "an integer"),
			 -COX_INVALID_ARGUMENT);
	assert_string_equal(err.message, "t:3:17: spec.replicas: expected an integer");
	cox_node_error(&err, doc, NULL, "no root");
	assert_string_equal(err.message, "t: no root");
	cox_node_key_position(COX_GET(cox_doc_root(doc), "spec"), 0, &line, &column);
	assert_int_equal(line, 3);
	assert_int_equal(column, 5);
}

static void copies_are_compact(void **state)
{
	_cleanup_doc_ struct cox_doc *doc =
		json("{\"items\":[{\"name\":\"a\",\"n\":123456789},{\"name\":\"b\"}]}");
	_cleanup_doc_ struct cox_doc *copy = cox_doc_copy("c", cox_doc_root(doc));

	(void)state;
	assert_true(cox_node_equal(cox_doc_root(doc), cox_doc_root(copy)));
	assert_true(cox_doc_size(copy) <= cox_doc_size(doc));
	assert_int_equal(cox_node_column(COX_GET(cox_doc_root(copy), "items")), 10);
}

static void *read_and_share(void *shared)
{
	struct cox_doc *doc = shared;

	for (int i = 0; i < 2000; i++) {
		struct cox_doc *edit = cox_doc_edit(doc);

		cox_map_put_int(edit, cox_doc_root_edit(edit), "n", i);
		if (cox_node_int(COX_GET(cox_doc_root(edit), "k20"), 0) != 20)
			abort();
		cox_doc_unref(edit);
	}
	cox_doc_unref(doc);
	return NULL;
}

static void sealed_documents_cross_threads(void **state)
{
	struct cox_doc *doc = cox_doc_new("shared");
	struct cox_node *root = cox_doc_map(doc);
	pthread_t threads[3];
	char key[16];

	(void)state;
	cox_doc_set_root(doc, root);
	for (int i = 0; i < 40; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		cox_map_put_int(doc, root, key, i);
	}
	cox_doc_seal(doc);
	for (size_t i = 0; i < COX_ARRAY_LEN(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, read_and_share, cox_doc_ref(doc)), 0);
	cox_doc_unref(doc);
	for (size_t i = 0; i < COX_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
}

static void loops_over_all(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = json("{\"a\":1,\"b\":[2,3],\"c\":4}");
	int64_t sum = 0;
	size_t n = 0;

	(void)state;
	COX_DOC_MAP_EACH (cox_doc_root(doc), i, key, value) {
		assert_int_equal(key.len, 1);
		sum += cox_node_int(value, 0);
		COX_DOC_LIST_EACH (value, j, item)
			sum += cox_node_int(item, 0);
		n++;
	}
	assert_int_equal(sum, 10);
	assert_int_equal(n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_and_reads),
		cmocka_unit_test(absent_answers),
		cmocka_unit_test(large_maps),
		cmocka_unit_test(edits_copy_the_path),
		cmocka_unit_test(outlives_its_base),
		cmocka_unit_test(ids_are_reused_safely),
		cmocka_unit_test(long_chains_are_freed),
		cmocka_unit_test(equality),
		cmocka_unit_test(errors_have_positions),
		cmocka_unit_test(copies_are_compact),
		cmocka_unit_test(sealed_documents_cross_threads),
		cmocka_unit_test(loops_over_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
