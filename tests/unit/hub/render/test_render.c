/* hub/render beside its golden tests: the bundle's text, limits, what was read. */
#include "common/base/limits.h"
#include "common/doc/yaml.h"
#include "hub/render/bundle.h"
#include "hub/render/render.h"
#include "hub/source/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void read_all(const char *text, cox_docs *docs)
{
	struct cox_error err;

	if (cox_yaml_read_all(cox_str(text), "test.yaml", NULL, docs, &err) < 0)
		fail_msg("%s", err.message);
}

static void check_bundle(const char *yaml, const char *want)
{
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;
	_cleanup_docs_ cox_docs docs = {0};

	read_all(yaml, &docs);
	assert_int_equal(hub_bundle_build(&docs, &json, NULL, NULL), 0);
	assert_string_equal(cox_buf_cstr(&json), want);
}

static void bundle_is_canonical(void **state)
{
	(void)state;
	check_bundle("", "[]");
	check_bundle("{kind: B, apiVersion: v1, metadata: {name: x}, z: 1, a: [true, null]}\n",
		     "[{\"a\":[true,null],\"apiVersion\":\"v1\",\"kind\":\"B\",\"metadata\":{"
		     "\"name\":\"x\"},\"z\":1}]");
	/* however the files were written */
	check_bundle("{apiVersion: v1, kind: B, metadata: {name: yy}}\n---\n{metadata: {name: x}, "
		     "kind: B, apiVersion: v1}\n",
		     "[{\"apiVersion\":\"v1\",\"kind\":\"B\",\"metadata\":{\"name\":\"x\"}},{"
		     "\"apiVersion\":\"v1\",\"kind\":\"B\",\"metadata\":{\"name\":\"yy\"}}]");
}

static void bundle_leaves_out_what_servers_write(void **state)
{
	(void)state;
	check_bundle(
		"{apiVersion: v1, kind: B, metadata: {name: x, uid: u, creationTimestamp: null, "
		"labels: {a: b}}, status: {}}\n",
		"[{\"apiVersion\":\"v1\",\"kind\":\"B\",\"metadata\":{\"labels\":{\"a\":\"b\"}"
		",\"name\":\"x\"}}]");
}

static void unnamed_objects_keep_their_order(void **state)
{
	(void)state;
	check_bundle(
		"{apiVersion: v1, kind: B, metadata: {generateName: z-}}\n---\n"
		"{apiVersion: v1, kind: B, metadata: {generateName: a-}}\n---\n"
		"{apiVersion: v1, kind: B, metadata: {name: w}}\n",
		"[{\"apiVersion\":\"v1\",\"kind\":\"B\",\"metadata\":{\"name\":\"w\"}},"
		"{\"apiVersion\":\"v1\",\"kind\":\"B\",\"metadata\":{\"generateName\":\"z-\"}},"
		"{\"apiVersion\":\"v1\",\"kind\":\"B\",\"metadata\":{\"generateName\":\"a-\"}"
		"}]");
}

static void later_of_three_wins(void **state)
{
	_cleanup_problems_ struct hub_problems warnings = {0};
	_cleanup_docs_ cox_docs docs = {0}, sorted = {0};

	(void)state;
	read_all("{apiVersion: v1, kind: B, metadata: {name: x}, k: 1}\n---\n"
		 "{apiVersion: v1, kind: B, metadata: {name: x}, k: 2}\n---\n"
		 "{apiVersion: v1, kind: B, metadata: {name: x}, k: 3}\n",
		 &docs);
	hub_bundle_sort(&docs, &sorted, &warnings);
	assert_int_equal(sorted.n, 1);
	assert_int_equal(cox_node_int(COX_GET(cox_doc_root(sorted.items[0]), "k"), 0), 3);
	assert_int_equal(warnings.list.n, 2);
}

/* ---- limits ---- */

static int render_limited(size_t n_objects, size_t max_objects, size_t max_bytes, size_t *ret_n)
{
	_cleanup_tree_ struct hub_tree *tree = hub_tree_new_memory();
	_cleanup_rendered_ struct hub_rendered out = {0};
	struct hub_source source = {.path = ".", .chart = "", .ref = ""};
	struct hub_render_options limits = {max_bytes, max_objects};
	int r;

	source.directory.include = source.directory.exclude = "";
	for (size_t i = 0; i < n_objects; i++) {
		_cleanup_free_ char *name = cox_asprintf("%zu.yaml", i);
		_cleanup_free_ char *text = cox_asprintf(
			"{apiVersion: v1, kind: ConfigMap, metadata: {name: n%zu}}\n", i);

		assert_int_equal(hub_tree_memory_add(tree, name, cox_str(text), NULL), 0);
	}
	r = hub_render(tree, &source, &limits, &out, NULL);
	*ret_n = out.objects.n;
	return r;
}

static void objects_are_limited(void **state)
{
	size_t n;

	(void)state;
	assert_int_equal(render_limited(3, 4, 0, &n), 0);
	assert_int_equal(render_limited(4, 4, 0, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(render_limited(5, 4, 0, &n), -COX_RESOURCE_EXHAUSTED);
	assert_int_equal(n, 0);
}

static void bytes_are_limited(void **state)
{
	/* each of these files has 56 bytes */
	size_t n, bytes = strlen("{apiVersion: v1, kind: ConfigMap, metadata: {name: n0}}\n");

	(void)state;
	assert_int_equal(render_limited(2, 0, 2 * bytes + 1, &n), 0);
	assert_int_equal(render_limited(2, 0, 2 * bytes, &n), 0);
	assert_int_equal(render_limited(2, 0, 2 * bytes - 1, &n), -COX_RESOURCE_EXHAUSTED);
}

static void bundles_are_limited(void **state)
{
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;
	_cleanup_docs_ cox_docs docs = {0};

	(void)state;
	read_all("{apiVersion: v1, kind: B, metadata: {name: x}}\n", &docs);
	for (size_t i = 1; i < COX_LIMIT_APP_OBJECTS; i++)
		cox_vec_push(&docs, cox_doc_ref(docs.items[0]));
	assert_int_equal(hub_bundle_build(&docs, &json, NULL, NULL), 0);
	cox_vec_push(&docs, cox_doc_ref(docs.items[0]));
	assert_int_equal(hub_bundle_build(&docs, &json, NULL, NULL), -COX_RESOURCE_EXHAUSTED);
}

/* ---- what was read ---- */

static char *read_ids(const char *a, const char *more_name)
{
	_cleanup_tree_ struct hub_tree *tree = hub_tree_new_memory();
	_cleanup_rendered_ struct hub_rendered out = {0};
	struct hub_source source = {.path = "app", .chart = "", .ref = ""};
	struct cox_buf ids = COX_BUF_INIT;

	source.directory.include = source.directory.exclude = "";
	assert_int_equal(hub_tree_memory_add(tree, "app/a.yaml", cox_str(a), NULL), 0);
	assert_int_equal(hub_tree_memory_add(tree, more_name, COX_STR("x"), NULL), 0);
	assert_int_equal(hub_render(tree, &source, NULL, &out, NULL), 0);
	COX_VEC_EACH (&out.reads, read)
		cox_buf_printf(&ids, "%s=%s\n", read->path, read->id);
	return cox_buf_take(&ids);
}

static void read_set_changes_with_what_matters(void **state)
{
	_cleanup_free_ char *one = read_ids("a: b\n", "other/x.yaml");
	_cleanup_free_ char *same = read_ids("a: b\n", "elsewhere/y.yaml");
	_cleanup_free_ char *content = read_ids("a: c\n", "other/x.yaml");
	_cleanup_free_ char *listing = read_ids("a: b\n", "app/readme.md");

	(void)state;
	assert_string_equal(one, same);
	assert_string_not_equal(one, content);
	assert_string_not_equal(one, listing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bundle_is_canonical),
		cmocka_unit_test(bundle_leaves_out_what_servers_write),
		cmocka_unit_test(unnamed_objects_keep_their_order),
		cmocka_unit_test(later_of_three_wins),
		cmocka_unit_test(objects_are_limited),
		cmocka_unit_test(bytes_are_limited),
		cmocka_unit_test(bundles_are_limited),
		cmocka_unit_test(read_set_changes_with_what_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
