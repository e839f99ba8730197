/* Limits of a build, one below, at, and one above. */
#include "common/base/limits.h"
#include "hub/render/kustomize/kustomize.h"
#include "hub/source/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void add(struct hub_tree *tree, const char *path, const char *text)
{
	assert_int_equal(hub_tree_memory_add(tree, path, cox_str(text), NULL), 0);
}

/* Gives back the tree. */
static int build(struct hub_tree *tree, const struct hub_kustomize_input *in)
{
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error err;
	int e = hub_kustomize_build(tree, in, &docs, &err);

	hub_tree_unref(tree);
	return e;
}

static int wanted(size_t n, size_t limit)
{
	return n <= limit ? 0 : -COX_RESOURCE_EXHAUSTED;
}

static void test_objects(void **state)
{
	(void)state;
	for (size_t n = 9; n <= 11; n++) {
		struct hub_tree *tree = hub_tree_new_memory();
		_cleanup_buf_ struct cox_buf k = COX_BUF_INIT;

		cox_buf_puts(&k, "configMapGenerator:\n");
		for (size_t i = 0; i < n; i++)
			cox_buf_printf(&k, "- name: c%zu\n", i);
		add(tree, "kustomization.yaml", cox_buf_cstr(&k));
		assert_int_equal(
			build(tree, &(struct hub_kustomize_input){.path = "", .max_objects = 10}),
			wanted(n, 10));
	}
}

static void test_bytes(void **state)
{
	static const char k[] = "resources: [a.yaml]\n";
	static const char a[] = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n";
	size_t all = sizeof(k) - 1 + sizeof(a) - 1;

	(void)state;
	for (size_t limit = all - 1; limit <= all + 1; limit++) {
		struct hub_tree *tree = hub_tree_new_memory();

		add(tree, "kustomization.yaml", k);
		add(tree, "a.yaml", a);
		assert_int_equal(
			build(tree, &(struct hub_kustomize_input){.path = "", .max_bytes = limit}),
			wanted(all, limit));
	}
}

/* A file is as large as a comment makes it. */
static void test_file(void **state)
{
	static const char a[] = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n#";

	(void)state;
	for (size_t n = COX_LIMIT_FILE_BYTES - 1; n <= COX_LIMIT_FILE_BYTES + 1; n++) {
		struct hub_tree *tree = hub_tree_new_memory();
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

		cox_buf_puts(&text, a);
		while (text.len < n)
			cox_buf_putc(&text, 'x');
		add(tree, "kustomization.yaml", "resources: [a.yaml]\n");
		add(tree, "a.yaml", cox_buf_cstr(&text));
		assert_int_equal(build(tree, &(struct hub_kustomize_input){.path = ""}),
				 wanted(n, COX_LIMIT_FILE_BYTES));
	}
}

static void test_depth(void **state)
{
	(void)state;
	for (size_t n = HUB_LIMIT_KUSTOMIZE_DEPTH - 1; n <= HUB_LIMIT_KUSTOMIZE_DEPTH + 1; n++) {
		struct hub_tree *tree = hub_tree_new_memory();

		/* n bases below the first */
		for (size_t i = 0; i <= n; i++) {
			_cleanup_free_ char *path = cox_asprintf("d%zu/kustomization.yaml", i);
			_cleanup_free_ char *text =
				i < n ? cox_asprintf("resources: [../d%zu]\n", i + 1)
				      : cox_strdup("resources: []\n");

			add(tree, path, text);
		}
		assert_int_equal(build(tree, &(struct hub_kustomize_input){.path = "d0"}),
				 wanted(n, HUB_LIMIT_KUSTOMIZE_DEPTH));
	}
}

static void test_directories(void **state)
{
	(void)state;
	for (size_t n = HUB_LIMIT_KUSTOMIZE_DIRS - 1; n <= HUB_LIMIT_KUSTOMIZE_DIRS + 1; n++) {
		struct hub_tree *tree = hub_tree_new_memory();
		_cleanup_buf_ struct cox_buf k = COX_BUF_INIT;

		cox_buf_puts(&k, "resources:\n");
		for (size_t i = 0; i < n; i++)
			cox_buf_puts(&k, "- ../b\n");
		add(tree, "a/kustomization.yaml", cox_buf_cstr(&k));
		add(tree, "b/kustomization.yaml", "resources: []\n");
		assert_int_equal(build(tree, &(struct hub_kustomize_input){.path = "a"}),
				 wanted(n, HUB_LIMIT_KUSTOMIZE_DIRS));
	}
}

static void test_expression(void **state)
{
	(void)state;
	for (size_t n = COX_LIMIT_REGEX_BYTES - 1; n <= COX_LIMIT_REGEX_BYTES + 1; n++) {
		struct hub_tree *tree = hub_tree_new_memory();
		char name[COX_LIMIT_REGEX_BYTES + 2];
		_cleanup_free_ char *k = NULL;

		memset(name, 'a', n);
		name[n] = 0;
		k = cox_asprintf("configMapGenerator: [{name: a}]\nimages: [{name: '%s'}]\n", name);
		add(tree, "kustomization.yaml", k);
		assert_true((build(tree, &(struct hub_kustomize_input){.path = ""}) == 0) ==
			    (n <= COX_LIMIT_REGEX_BYTES));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects),	   cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_depth),	   cmocka_unit_test(test_directories),
		cmocka_unit_test(test_expression), cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
