/* Remote bases: which repository, revision and path a text means, and what is read of it. */
#include "hub/render/kustomize/kustomize.h"
#include "hub/source/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct asked {
	char text[400]; /* "URL REVISION" of all that was asked for */
	size_t n;
	struct hub_tree *tree; /* the answer; NULL: not there yet */
};

static int answer(void *ctx, const char *url, const char *revision, struct hub_tree **ret_tree,
		  struct cox_error *err)
{
	struct asked *a = ctx;
	size_t n = strlen(a->text);

	(void)err;
	snprintf(a->text + n, sizeof(a->text) - n, "%s%s %s", n ? "\n" : "", url, revision);
	a->n++;
	*ret_tree = a->tree ? hub_tree_ref(a->tree) : NULL;
	return 0;
}

static struct hub_tree *tree_of(const char *const *files)
{
	struct hub_tree *tree = hub_tree_new_memory();

	for (; *files; files += 2)
		assert_int_equal(hub_tree_memory_add(tree, files[0], cox_str(files[1]), NULL), 0);
	return tree;
}

/* Builds "app", whose one resource is `text`. */
static int build(struct asked *a, const char *text, cox_docs *docs, struct cox_error *err)
{
	_cleanup_free_ char *k = cox_asprintf("resources:\n- '%s'\n", text);
	_cleanup_tree_ struct hub_tree *tree =
		tree_of((const char *const[]){"app/kustomization.yaml", k, NULL});
	struct hub_kustomize_input in = {.path = "app", .remote = answer, .ctx = a};

	return hub_kustomize_build(tree, &in, docs, err);
}

#define MAP    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
#define KUSTOM "resources: [a.yaml]\n"

static const char *const base[] = {
	"a.yaml",   MAP, "kustomization.yaml", KUSTOM, "p/kustomization.yaml",	 KUSTOM,
	"p/a.yaml", MAP, "p/q/a.yaml",	       MAP,    "p/q/kustomization.yaml", KUSTOM,
	NULL};

static void test_texts(void **state)
{
	static const char *const texts[][2] = {
		{"https://github.com/org/repo//p?ref=v1", "https://github.com/org/repo v1"},
		{"https://github.com/org/repo/p?ref=v1", "https://github.com/org/repo v1"},
		{"https://github.com/org/repo", "https://github.com/org/repo "},
		{"https://github.com/org/repo.git//p/q?ref=main",
		 "https://github.com/org/repo.git main"},
		{"https://github.com/org/repo.git?ref=main",
		 "https://github.com/org/repo.git main"},
		{"github.com/org/repo//p?ref=v1", "https://github.com/org/repo v1"},
		{"github.com/org/repo/p/q?timeout=90s&submodules=false&ref=v1",
		 "https://github.com/org/repo v1"},
		{"GitHub.com/org/repo?version=v2", "https://github.com/org/repo v2"},
		{"github.com/org/repo?version=v2&ref=v3", "https://github.com/org/repo v3"},
		{"git::https://git.example.com/a/b//p?ref=x", "https://git.example.com/a/b x"},
		{"https://git.example.com/a/b/c/d.git//p?ref=x",
		 "https://git.example.com/a/b/c/d.git x"},
		{"https://git.example.com:8443/a/b/p", "https://git.example.com:8443/a/b "},
		{"https://dev.azure.com/org/project/_git/repo/p?version=main",
		 "https://dev.azure.com/org/project/_git/repo main"},
		{"git@github.com:org/repo//p?ref=v1", "git@github.com:org/repo v1"},
		{"git@github.com:org/repo.git?ref=v1", "git@github.com:org/repo.git v1"},
		{"ssh://git@github.com/org/repo//p?ref=v1", "git@github.com:org/repo v1"},
		{"ssh://git@git.example.com:2222/org/repo.git//p?ref=v1",
		 "ssh://git@git.example.com:2222/org/repo.git v1"},
		{"git@git.example.com:org/repo.git/p?ref=v1",
		 "git@git.example.com:org/repo.git v1"},
		{"file:///srv/repo.git//p?ref=v1", "file:///srv/repo.git v1"},
		{"https://github.com/org/repo//p?ref=feature%2Fx",
		 "https://github.com/org/repo feature/x"},
		{"https://raw.githubusercontent.com/org/repo/v1/p/a.yaml",
		 "https://github.com/org/repo v1"},
		{"https://raw.githubusercontent.com/org/repo/refs/heads/main/a.yaml",
		 "https://github.com/org/repo refs/heads/main"},
		{"https://github.com/org/repo/raw/v1/p/q/a.yaml", "https://github.com/org/repo v1"},
	};
	_cleanup_tree_ struct hub_tree *tree = tree_of(base);

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(texts); i++) {
		struct asked a = {.tree = tree};
		_cleanup_docs_ cox_docs docs = {0};
		struct cox_error err;

		if (build(&a, texts[i][0], &docs, &err) < 0)
			fail_msg("%s: %s", texts[i][0], err.message);
		assert_string_equal(a.text, texts[i][1]);
		assert_int_equal(docs.n, 1);
	}
}

static void test_refused(void **state)
{
	static const char *const texts[][2] = {
		{"http://github.example.com/org/repo", "http is not secure"},
		{"https://example.com/a.yaml", "is a download"},
		{"https://github.com/org/repo/releases/download/v1/a.yaml", "is a download"},
		{"https://github.com/org/repo//gone?ref=v1",
		 "repository 'https://github.com/org/repo' has no 'gone' at v1"},
		{"https://github.com/org/repo//p/../..?ref=v1", ".."},
		{"https://github.com/org/repo//a.txt?ref=v1", "has no 'a.txt'"},
		{"https://raw.githubusercontent.com/org/repo/v1/p", "is a directory, not a file"},
		{"https://raw.githubusercontent.com/org/repo/v1/gone.yaml", "has no 'gone.yaml'"},
		{"https://github.com/org", "is a download"},
	};
	_cleanup_tree_ struct hub_tree *tree = tree_of(base);

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(texts); i++) {
		struct asked a = {.tree = tree};
		_cleanup_docs_ cox_docs docs = {0};
		struct cox_error err = COX_ERROR_INIT;

		assert_true(build(&a, texts[i][0], &docs, &err) < 0);
		if (!strstr(err.message, texts[i][1]) ||
		    strncmp(err.message, "app/kustomization.yaml:2:3: ", 28) != 0)
			fail_msg("%s: %s", texts[i][0], err.message);
	}
}

static int run(const char *const *remote, const char *const *local, struct asked *a, cox_docs *docs,
	       struct cox_error *err)
{
	_cleanup_tree_ struct hub_tree *tree = tree_of(local);
	struct hub_kustomize_input in = {.path = "app", .remote = answer, .ctx = a};
	int e;

	a->tree = remote ? tree_of(remote) : NULL;
	e = hub_kustomize_build(tree, &in, docs, err);
	hub_tree_unref(a->tree);
	return e;
}

static void test_asks_for_all_at_once(void **state)
{
	static const char *const local[] = {"app/kustomization.yaml",
					    "resources:\n- https://h.example.com/a/b//c?ref=1\n"
					    "- https://h.example.com/d/e//f?ref=2\n",
					    NULL};
	struct asked a = {0};
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error err;

	(void)state;
	assert_int_equal(run(NULL, local, &a, &docs, &err), -COX_UNAVAILABLE);
	assert_non_null(strstr(a.text, "https://h.example.com/a/b 1"));
	assert_non_null(strstr(a.text, "https://h.example.com/d/e 2"));
	assert_int_equal(docs.n, 0);
}

static void test_stays_in_its_repository(void **state)
{
	static const char *const local[] = {"app/kustomization.yaml",
					    "resources:\n- https://h.example.com/a/b//c?ref=1\n",
					    "secret.yaml", MAP, NULL};
	static const char *const remote[] = {"c/kustomization.yaml",
					     "resources:\n- ../../secret.yaml\n", NULL};
	static const char *const cycle[] = {
		"c/kustomization.yaml", "resources:\n- ../d\n", "d/kustomization.yaml",
		"resources:\n- https://h.example.com/a/b//c?ref=1\n", NULL};
	struct asked a = {0};
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error err;

	(void)state;
	assert_true(run(remote, local, &a, &docs, &err) < 0);
	assert_string_equal(err.message,
			    "app/kustomization.yaml:2:3: "
			    "https://h.example.com/a/b//c/kustomization.yaml:2:3: path "
			    "'../../secret.yaml' leads out of the repository");
	assert_true(run(cycle, local, &a, &docs, &err) < 0);
	assert_non_null(strstr(err.message, "a cycle: 'c' is being read already"));
}

static void test_other_fields(void **state)
{
	static const char *const local[] = {
		"app/kustomization.yaml",
		"components:\n- https://h.example.com/a/b//c?ref=1\n"
		"configMapGenerator:\n- name: m\n  files:\n"
		"  - a=https://raw.githubusercontent.com/a/b/v1/c/data\n"
		"  options: {disableNameSuffixHash: true}\n",
		NULL};
	static const char *const remote[] = {
		"c/kustomization.yaml",
		"apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: x-\n",
		"c/data", "text", NULL};
	struct asked a = {0};
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error err;
	const struct cox_node *root;

	(void)state;
	if (run(remote, local, &a, &docs, &err) < 0)
		fail_msg("%s", err.message);
	root = cox_doc_root(docs.items[0]);
	assert_string_equal(cox_node_cstr(COX_GET(root, "metadata", "name"), ""), "x-m");
	assert_string_equal(cox_node_cstr(COX_GET(root, "data", "a"), ""), "text");
}

static void test_limit(void **state)
{
	static const char *const remote[] = {"kustomization.yaml", "resources: []\n", NULL};
	struct asked a = {0};
	struct cox_error err;

	(void)state;
	for (size_t n = HUB_LIMIT_KUSTOMIZE_REMOTES - 1; n <= HUB_LIMIT_KUSTOMIZE_REMOTES + 1;
	     n++) {
		_cleanup_buf_ struct cox_buf k = COX_BUF_INIT;
		_cleanup_docs_ cox_docs docs = {0};
		const char *local[] = {"app/kustomization.yaml", NULL, NULL};
		int e;

		cox_buf_puts(&k, "resources:\n");
		for (size_t i = 0; i < n; i++)
			cox_buf_printf(&k, "- https://h.example.com/a/b%zu\n", i);
		local[1] = cox_buf_cstr(&k);
		a.text[0] = 0;
		e = run(remote, local, &a, &docs, &err);
		assert_int_equal(e, n <= HUB_LIMIT_KUSTOMIZE_REMOTES ? 0 : -COX_RESOURCE_EXHAUSTED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_asks_for_all_at_once),
		cmocka_unit_test(test_stays_in_its_repository),
		cmocka_unit_test(test_other_fields),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
