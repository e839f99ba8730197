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

/* message: a part of what it says otherwise. Gives back the tree. */
static void assert_built(struct hub_tree *tree, const struct hub_kustomize_input *in, bool wanted,
			 const char *message)
{
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error err = COX_ERROR_INIT;
	int e = hub_kustomize_build(tree, in, &docs, &err);

	hub_tree_unref(tree);
	if ((e == 0) != wanted || (e < 0 && !strstr(err.message, message)))
		fail_msg("%s, wanted %s%s", e < 0 ? err.message : "built", wanted ? "it built" : "",
			 wanted ? "" : message);
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
	static const char *const kustomizations[][2] = {
		{"configMapGenerator: [{name: a}]\nimages: [{name: '", "'}]\n"},
		{"configMapGenerator: [{name: a}]\npatches: [{patch: '[]', target: {name: '",
		 "'}}]\n"},
		{"configMapGenerator: [{name: a}]\npatches: [{patch: '[]', target: {name: "
		 "'",
		 ".'}}]\n"},
	};

	(void)state;
	for (size_t n = COX_LIMIT_REGEX_BYTES - 1; n <= COX_LIMIT_REGEX_BYTES + 1; n++)
		for (size_t k = 0; k < COX_ARRAY_LEN(kustomizations); k++) {
			struct hub_tree *tree = hub_tree_new_memory();
			_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
			char name[COX_LIMIT_REGEX_BYTES + 2];

			memset(name, 'a', n);
			name[n - (k == 2)] = 0; /* the third has a '.' behind it */
			cox_buf_printf(&text, "%s%s%s", kustomizations[k][0], name,
				       kustomizations[k][1]);
			add(tree, "kustomization.yaml", cox_buf_cstr(&text));
			assert_built(
				tree, &(struct hub_kustomize_input){.path = ""},
				n <= COX_LIMIT_REGEX_BYTES,
				"name: the regular expression is longer than 256 bytes; write a "
				"shorter one, or several");
		}
}

/* ---- what is read ---- */

static void test_documents(void **state)
{
	(void)state;
	for (size_t n = 9; n <= 11; n++) {
		struct hub_tree *tree = hub_tree_new_memory();
		_cleanup_buf_ struct cox_buf a = COX_BUF_INIT;

		/* one of them is the patch */
		for (size_t i = 1; i < n; i++)
			cox_buf_printf(&a,
				       "---\n{apiVersion: v1, kind: Pod, metadata: {name: p%zu}}\n",
				       i);
		add(tree, "kustomization.yaml",
		    "resources: [a.yaml]\npatches: [{path: p.yaml, target: {name: p1}}]\n");
		add(tree, "a.yaml", cox_buf_cstr(&a));
		add(tree, "p.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: p1}}\n");
		assert_built(tree, &(struct hub_kustomize_input){.path = "", .max_documents = 10},
			     n <= 10,
			     "kustomization.yaml:2:11: with 'p.yaml', the build reads more than 10 "
			     "documents; divide it into several applications");
	}
}

/* A file, and a text in the kustomization, of a patch. */
static void test_patch(void **state)
{
	static const char patch[] = "{kind: ConfigMap, metadata: {name: a}}\n#";

	(void)state;
	for (int d = -1; d <= 1; d++) {
		struct hub_tree *tree = hub_tree_new_memory();
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

		cox_buf_puts(&text, patch);
		while (text.len < (size_t)(COX_LIMIT_FILE_BYTES + d))
			cox_buf_putc(&text, 'x');
		add(tree, "p.yaml", cox_buf_cstr(&text));
		add(tree, "kustomization.yaml",
		    "configMapGenerator: [{name: a}]\n"
		    "patches: [{path: p.yaml, target: {name: a}}]\n");
		assert_built(tree, &(struct hub_kustomize_input){.path = ""}, d <= 0,
			     "kustomization.yaml:2:18: 'p.yaml' is longer than 5242880 bytes");
	}
	for (int d = -1; d <= 1; d++) {
		struct hub_tree *tree = hub_tree_new_memory();
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
		size_t from;

		cox_buf_puts(&text, "configMapGenerator: [{name: a}]\n"
				    "patches:\n- target: {name: a}\n  patch: \"");
		from = text.len;
		cox_buf_puts(&text, "kind: ConfigMap #");
		while (text.len - from < (size_t)(COX_LIMIT_SCALAR_BYTES + d))
			cox_buf_putc(&text, 'x');
		cox_buf_puts(&text, "\"\n");
		add(tree, "kustomization.yaml", cox_buf_cstr(&text));
		/* up to the limit it is the patch that is wrong */
		assert_built(tree, &(struct hub_kustomize_input){.path = ""}, false,
			     d <= 0 ? "kustomization.yaml:4 (inline patch):1:1: metadata.name: is "
				      "required"
				    : "kustomization.yaml:4:10: text of 1048577 bytes, the limit "
				      "is 1048576");
	}
}

static void test_lists(void **state)
{
	(void)state;
	for (size_t n = HUB_LIMIT_KUSTOMIZE_LISTS - 1; n <= HUB_LIMIT_KUSTOMIZE_LISTS + 1; n++) {
		struct hub_tree *tree = hub_tree_new_memory();
		_cleanup_buf_ struct cox_buf a = COX_BUF_INIT;

		for (size_t i = 0; i < n; i++)
			cox_buf_puts(&a, "{apiVersion: v1, kind: List, items: [");
		cox_buf_puts(&a, "{apiVersion: v1, kind: Pod, metadata: {name: p}}");
		for (size_t i = 0; i < n; i++)
			cox_buf_puts(&a, "]}");
		add(tree, "kustomization.yaml", "resources: [a.yaml]\n");
		add(tree, "a.yaml", cox_buf_cstr(&a));
		assert_built(tree, &(struct hub_kustomize_input){.path = ""},
			     n <= HUB_LIMIT_KUSTOMIZE_LISTS,
			     "a.yaml:1:186: lists of objects more than 5 deep inside one another");
	}
}

/* ---- what a field's path and a configuration may be ---- */

static void test_path(void **state)
{
	(void)state;
	for (size_t n = HUB_LIMIT_KUSTOMIZE_PATH - 1; n <= HUB_LIMIT_KUSTOMIZE_PATH + 1; n++) {
		static const char *const kustomizations[][2] = {
			{"configMapGenerator: [{name: a}]\n"
			 "labels: [{pairs: {a: b}, fields: [{path: ",
			 ", create: true}]}]\n"},
			{"configMapGenerator: [{name: a}]\n"
			 "replacements: [{source: {kind: ConfigMap}, targets: [{select: {name: a}, "
			 "fieldPaths: [",
			 "], options: {create: true}}]}]\n"},
		};

		for (size_t k = 0; k < COX_ARRAY_LEN(kustomizations); k++) {
			struct hub_tree *tree = hub_tree_new_memory();
			_cleanup_buf_ struct cox_buf path = COX_BUF_INIT, text = COX_BUF_INIT;

			for (size_t i = 0; i < n; i++)
				cox_buf_puts(&path, i == 0 ? "data" : k ? ".a" : "/a");
			cox_buf_printf(&text, "%s%s%s", kustomizations[k][0], cox_buf_cstr(&path),
				       kustomizations[k][1]);
			add(tree, "kustomization.yaml", cox_buf_cstr(&text));
			assert_built(tree, &(struct hub_kustomize_input){.path = ""},
				     n <= HUB_LIMIT_KUSTOMIZE_PATH,
				     "more than 64 parts; name one that is less deep");
		}
	}
}

static void test_specs(void **state)
{
	static const char *const heads[] = {
		"varReference:\n",
		"nameReference:\n- kind: X\n  fieldSpecs:\n",
	};

	(void)state;
	for (size_t n = HUB_LIMIT_KUSTOMIZE_SPECS - 1; n <= HUB_LIMIT_KUSTOMIZE_SPECS + 1; n++)
		for (size_t k = 0; k < COX_ARRAY_LEN(heads); k++) {
			struct hub_tree *tree = hub_tree_new_memory();
			_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
			/* varReference has some from the start */
			size_t have = k ? 0 : 72;

			cox_buf_puts(&text, heads[k]);
			for (size_t i = have; i < n; i++)
				cox_buf_printf(&text, "  - {kind: X, path: spec/p%zu}\n", i);
			add(tree, "c.yaml", cox_buf_cstr(&text));
			add(tree, "kustomization.yaml",
			    "configMapGenerator: [{name: a}]\nconfigurations: [c.yaml]\n");
			assert_built(
				tree, &(struct hub_kustomize_input){.path = ""},
				n <= HUB_LIMIT_KUSTOMIZE_SPECS,
				"more than 2000 field specs in one list; say less of each kind");
		}
}

/* ---- what is made ---- */

static void test_items(void **state)
{
	(void)state;
	for (size_t n = HUB_LIMIT_KUSTOMIZE_ITEMS - 1; n <= HUB_LIMIT_KUSTOMIZE_ITEMS + 1; n++) {
		struct hub_tree *tree = hub_tree_new_memory();
		_cleanup_buf_ struct cox_buf a = COX_BUF_INIT;

		cox_buf_puts(&a,
			     "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  volumes:\n");
		for (size_t i = 1; i < n; i++)
			cox_buf_printf(&a, "  - {name: v%zu}\n", i);
		add(tree, "a.yaml", cox_buf_cstr(&a));
		add(tree, "kustomization.yaml",
		    "resources: [a.yaml]\npatches:\n- patch: |-\n    {apiVersion: v1, kind: Pod, "
		    "metadata: {name: p}, spec: {volumes: [{name: v}]}}\n");
		assert_built(tree, &(struct hub_kustomize_input){.path = ""},
			     n <= HUB_LIMIT_KUSTOMIZE_ITEMS,
			     "kustomization.yaml:3:3: a list of more than 5000 items, those of the "
			     "patch included, is not merged by their keys; use a JSON patch");
	}
}

static void add_text(struct hub_tree *tree, size_t n, const char *kustomization)
{
	_cleanup_buf_ struct cox_buf a = COX_BUF_INIT;

	cox_buf_puts(&a,
		     "{apiVersion: x/v1, kind: X, metadata: {name: a}, spec: {v: 1234567890, t: '");
	cox_buf_puts(&a, "$(V)");
	for (size_t i = 4; i < n; i++)
		cox_buf_putc(&a, 'x');
	cox_buf_puts(&a, "'}}\n");
	add(tree, "a.yaml", cox_buf_cstr(&a));
	add(tree, "c.yaml", "varReference: [{kind: X, path: spec/t}]\n");
	add(tree, "kustomization.yaml", kustomization);
}

static void test_text(void **state)
{
	(void)state;
	for (size_t n = COX_LIMIT_SCALAR_BYTES - 1; n <= COX_LIMIT_SCALAR_BYTES + 1; n++) {
		struct hub_tree *tree = hub_tree_new_memory();

		/* four bytes become ten */
		add_text(tree, n - 6,
			 "resources: [a.yaml]\nconfigurations: [c.yaml]\nvars: [{name: V, objref: "
			 "{apiVersion: x/v1, kind: X, name: a}, fieldref: {fieldPath: spec.v}}]\n");
		assert_built(
			tree, &(struct hub_kustomize_input){.path = ""},
			n <= COX_LIMIT_SCALAR_BYTES,
			"a.yaml:1:1: a text would have more than 1048576 bytes; put less into it");
		/* and eleven are put behind it */
		tree = hub_tree_new_memory();
		add_text(tree, n - 11,
			 "resources: [a.yaml]\nreplacements: [{source: {kind: X, fieldPath: "
			 "spec.v}, "
			 "targets: [{select: {kind: X}, fieldPaths: [spec.t], options: {delimiter: "
			 "'/', "
			 "index: 1}}]}]\n");
		assert_built(tree, &(struct hub_kustomize_input){.path = ""},
			     n <= COX_LIMIT_SCALAR_BYTES,
			     "kustomization.yaml:2:15: a text would have more than 1048576 bytes");
	}
}

/* A value of 60 levels is copied to a path of 60 parts, and from there on. */
static void test_value_depth(void **state)
{
	(void)state;
	for (size_t n = COX_LIMIT_JSON_DEPTH - 1; n <= COX_LIMIT_JSON_DEPTH + 1; n++) {
		struct hub_tree *tree = hub_tree_new_memory();
		_cleanup_buf_ struct cox_buf k = COX_BUF_INIT;

		cox_buf_puts(&k, "resources: [a.yaml]\nreplacements:\n");
		for (size_t step = 0; step < 2; step++) {
			/* the first: 60 + 60; the second: those 120 again and its own */
			size_t parts = step ? n - 119 : 60;

			cox_buf_printf(
				&k,
				"- source: {kind: X, fieldPath: %s}\n  targets:\n  - select: "
				"{kind: X}\n    options: {create: true}\n    fieldPaths: [%c",
				step ? "b" : "x", step ? 'c' : 'b');
			for (size_t i = 1; i < parts; i++)
				cox_buf_puts(&k, ".a");
			cox_buf_puts(&k, "]\n");
		}
		add(tree, "kustomization.yaml", cox_buf_cstr(&k));
		cox_buf_clear(&k);
		cox_buf_puts(&k, "{apiVersion: x/v1, kind: X, metadata: {name: a}, x: ");
		for (size_t i = 0; i < 120; i++)
			cox_buf_puts(&k, i < 60 ? "[" : "]");
		cox_buf_puts(&k, "}\n");
		add(tree, "a.yaml", cox_buf_cstr(&k));
		assert_built(tree, &(struct hub_kustomize_input){.path = ""},
			     n <= COX_LIMIT_JSON_DEPTH,
			     "replacements: the value would be nested deeper than 128");
	}
}

/* YAML in a text of YAML in a text: further in than the limit nobody looks. */
static void test_texts(void **state)
{
	(void)state;
	for (size_t n = HUB_LIMIT_KUSTOMIZE_TEXTS - 1; n <= HUB_LIMIT_KUSTOMIZE_TEXTS + 1; n++) {
		struct hub_tree *tree = hub_tree_new_memory();
		_cleanup_buf_ struct cox_buf a = COX_BUF_INIT, k = COX_BUF_INIT;

		cox_buf_puts(&a, "apiVersion: x/v1\nkind: X\nmetadata: {name: a}\n");
		cox_buf_puts(&k, "resources: [a.yaml]\nreplacements: [{source: {kind: X}, targets: "
				 "[{select: {kind: X}, fieldPaths: [a");
		for (size_t i = 0; i < n; i++) {
			cox_buf_printf(&a, "%*sa: |\n", (int)i, "");
			cox_buf_puts(&k, ".a");
		}
		cox_buf_printf(&a, "%*sa: old\n", (int)n, "");
		cox_buf_puts(&k, "]}]}]\n");
		add(tree, "a.yaml", cox_buf_cstr(&a));
		add(tree, "kustomization.yaml", cox_buf_cstr(&k));
		assert_built(tree, &(struct hub_kustomize_input){.path = ""},
			     n <= HUB_LIMIT_KUSTOMIZE_TEXTS, "has no field 'a.a.a.a.a.a.a.a.a.a'");
	}
}

/* ---- memory and steps: the least that a build takes is found, and is where it fails ---- */

static const char doubling[] = /* a value that is copied into itself, again and again */
	"- source: {kind: X, fieldPath: spec}\n  targets: [{select: {kind: X}, fieldPaths: "
	"[spec.a%d], "
	"options: {create: true}}]\n";

static struct hub_tree *doubling_tree(int n)
{
	struct hub_tree *tree = hub_tree_new_memory();
	_cleanup_buf_ struct cox_buf k = COX_BUF_INIT;

	cox_buf_puts(&k, "resources: [a.yaml]\nreplacements:\n");
	for (int i = 0; i < n; i++)
		cox_buf_printf(&k, doubling, i);
	add(tree, "app/kustomization.yaml", cox_buf_cstr(&k));
	add(tree, "app/a.yaml", "{apiVersion: x/v1, kind: X, metadata: {name: a}, spec: {b: c}}\n");
	return tree;
}

static size_t find_least(size_t offset, size_t low, size_t high)
{
	while (low < high) {
		struct hub_kustomize_input in = {.path = "app"};
		size_t middle = low + (high - low) / 2;

		memcpy((char *)&in + offset, &middle, sizeof(middle));
		if (build(doubling_tree(10), &in) == 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void check_edge(size_t offset, size_t most, const char *what)
{
	size_t least = find_least(offset, 1, most);

	assert_true(least > 20 && least < most);
	for (size_t limit = least - 1; limit <= least + 1; limit++) {
		struct hub_kustomize_input in = {.path = "app"};
		_cleanup_free_ char *message =
			cox_asprintf("the build takes more than %zu %s; divide it into several "
				     "applications",
				     limit, what);

		memcpy((char *)&in + offset, &limit, sizeof(limit));
		assert_built(doubling_tree(10), &in, limit >= least, message);
	}
}

static void test_memory(void **state)
{
	(void)state;
	check_edge(offsetof(struct hub_kustomize_input, max_memory), 16 << 20, "bytes of memory");
	assert_built(
		doubling_tree(40), &(struct hub_kustomize_input){.path = "app"}, false,
		"app/kustomization.yaml:3:1: the build takes more than 268435456 bytes of memory; "
		"divide it into several applications");
}

static void test_steps(void **state)
{
	(void)state;
	check_edge(offsetof(struct hub_kustomize_input, max_steps), 1 << 20, "steps");
}

/* What stands at many places is little in memory and much when it is written. */
static void test_written(void **state)
{
	_cleanup_buf_ struct cox_buf a = COX_BUF_INIT, k = COX_BUF_INIT;
	struct hub_tree *tree = hub_tree_new_memory();

	(void)state;
	cox_buf_puts(&k, "resources: [a.yaml]\npatches:\n- target: {kind: X}\n  patch: |-\n");
	for (int i = 0; i < 300; i++)
		cox_buf_printf(&k, "    - {op: copy, from: /t, path: /t%d}\n", i);
	cox_buf_puts(&a, "{apiVersion: x/v1, kind: X, metadata: {name: a}, t: ");
	for (int i = 0; i < 1000000; i++)
		cox_buf_putc(&a, 'x');
	cox_buf_puts(&a, "}\n");
	add(tree, "kustomization.yaml", cox_buf_cstr(&k));
	add(tree, "a.yaml", cox_buf_cstr(&a));
	assert_built(tree, &(struct hub_kustomize_input){.path = ""}, false,
		     "what is built has more than 268435456 bytes; divide it into several "
		     "applications");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects),	    cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_depth),	    cmocka_unit_test(test_directories),
		cmocka_unit_test(test_expression),  cmocka_unit_test(test_file),
		cmocka_unit_test(test_documents),   cmocka_unit_test(test_patch),
		cmocka_unit_test(test_lists),	    cmocka_unit_test(test_path),
		cmocka_unit_test(test_specs),	    cmocka_unit_test(test_items),
		cmocka_unit_test(test_text),	    cmocka_unit_test(test_texts),
		cmocka_unit_test(test_value_depth), cmocka_unit_test(test_memory),
		cmocka_unit_test(test_steps),	    cmocka_unit_test(test_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
