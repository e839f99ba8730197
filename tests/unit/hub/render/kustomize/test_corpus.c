/* Kustomizations that people run, and small cases, against what the reference program makes of
 * them: equal documents in equal order, and as `cox kustomize build` prints them equal to the byte.
 * Reads the folder COX_TEST_CORPUS/kustomize; skips without it. COX_TEST_CASE=PART runs the cases
 * whose names hold PART and prints both sides. */
#include "common/base/file.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "hub/render/kustomize/kustomize.h"
#include "hub/source/tree.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define N_CASES 142
#define N_UNIT	295 /* 37 of them are to fail */

static const char *folder, *only;
static size_t n_run, n_passed, n_equal, n_bytes;

static void write_docs(struct cox_buf *out, const cox_docs *docs)
{
	for (size_t i = 0; i < docs->n; i++) {
		if (cox_node_is(cox_doc_root(docs->items[i]), COX_NULL))
			continue;
		cox_json_write_canonical(out, cox_doc_root(docs->items[i]));
		cox_buf_putc(out, '\n');
	}
}

static void read_wanted(const char *path, struct cox_buf *out)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error err;

	if (cox_file_read(path, 64 << 20, &text, &err) < 0 ||
	    cox_yaml_read_all(cox_buf_str(&text), path, NULL, &docs, &err) < 0)
		fail_msg("%s", err.message);
	write_docs(out, &docs);
}

static bool is_equal_to_the_byte(const char *wanted, const cox_docs *docs)
{
	_cleanup_buf_ struct cox_buf want = COX_BUF_INIT, got = COX_BUF_INIT;

	for (size_t i = 0; i < docs->n; i++) {
		cox_buf_puts(&got, i ? "---\n" : "");
		cox_yaml_write_sorted(&got, cox_doc_root(docs->items[i]));
	}
	return cox_file_read(wanted, 64 << 20, &want, NULL) == 0 &&
	       cox_str_eq(cox_buf_str(&want), cox_buf_str(&got));
}

/* wanted: a file, or NULL when it must fail. */
static void run(const char *name, struct hub_tree *tree, const struct hub_kustomize_input *in,
		const char *wanted)
{
	_cleanup_buf_ struct cox_buf want = COX_BUF_INIT, got = COX_BUF_INIT;
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error err = COX_ERROR_INIT;
	bool passed;
	int e;

	if (only && !strstr(name, only))
		return;
	e = hub_kustomize_build(tree, in, &docs, &err);
	if (wanted)
		read_wanted(wanted, &want);
	write_docs(&got, &docs);
	n_run++;
	passed = wanted ? e == 0 && strcmp(cox_buf_cstr(&want), cox_buf_cstr(&got)) == 0 : e < 0;
	n_passed += passed;
	if (passed && only && e < 0)
		print_message("%s: %s\n", name, err.message);
	if (passed && !wanted)
		return;
	n_equal += passed;
	if (passed && is_equal_to_the_byte(wanted, &docs)) {
		n_bytes++;
		return;
	}
	print_message("%s %s: %s\n", passed ? "OTHER BYTES" : "DIFFERS", name,
		      e < 0 ? err.message : "");
	if (only)
		printf("--- wanted\n%s--- got\n%s", cox_buf_cstr(&want), cox_buf_cstr(&got));
}

static void test_cases(void **state)
{
	_cleanup_free_ char *table = cox_path_join(folder, "cases.tsv");
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_tree_ struct hub_tree *tree = NULL;
	struct cox_str rest, line;
	struct cox_error err;

	(void)state;
	n_run = n_passed = n_equal = n_bytes = 0;
	if (cox_file_read(table, 1 << 20, &text, &err) < 0 ||
	    hub_tree_open_dir(folder, &tree, &err) < 0)
		fail_msg("%s", err.message);
	rest = cox_buf_str(&text);
	while (cox_str_split(&rest, '\n', &line)) {
		struct cox_str id, dir = line;

		if (!line.len)
			continue;
		cox_str_split(&dir, '\t', &id);
		_cleanup_free_ char *name = cox_str_dup(id), *path = cox_str_dup(dir);
		_cleanup_free_ char *wanted = cox_asprintf("%s/expected/%s.yaml", folder, name);

		run(name, tree, &(struct hub_kustomize_input){.path = path, .max_bytes = 64 << 20},
		    wanted);
	}
	print_message("%zu of %zu kustomizations are equal, %zu to the byte\n", n_passed, n_run,
		      n_bytes);
	assert_true(only || n_run >= N_CASES);
	assert_int_equal(n_passed, n_run);
	assert_int_equal(n_bytes, n_equal);
}

static void run_unit(const char *name)
{
	_cleanup_free_ char *fs = cox_asprintf("%s/unit/%s/fs", folder, name);
	_cleanup_free_ char *meta_path = cox_asprintf("%s/unit/%s/meta.json", folder, name);
	_cleanup_free_ char *wanted = cox_asprintf("%s/unit/%s/expected.yaml", folder, name);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *meta = NULL;
	_cleanup_tree_ struct hub_tree *tree = NULL;
	_cleanup_free_ char *path = NULL;
	struct hub_kustomize_input in = {0};
	const struct cox_node *root;
	struct cox_str path_text;
	struct cox_error err;

	if (cox_file_read(meta_path, 1 << 20, &text, &err) < 0 ||
	    cox_json_read(cox_buf_str(&text), meta_path, &meta, &err) < 0 ||
	    hub_tree_open_dir(fs, &tree, &err) < 0)
		fail_msg("%s", err.message);
	root = cox_doc_root(meta);
	path_text = cox_node_str(COX_GET(root, "path"));
	if (cox_str_starts(path_text, "/"))
		path_text = cox_str_n(path_text.ptr + 1, path_text.len - 1);
	if (hub_path_clean(path_text, &path, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	in.path = path;
	in.order = cox_str_is(cox_node_str(COX_GET(root, "reorder")), "none")
			   ? HUB_KUSTOMIZE_AS_READ
			   : HUB_KUSTOMIZE_LEGACY;
	in.load_anywhere =
		cox_str_is(cox_node_str(COX_GET(root, "loadRestrictions")), "LoadRestrictionsNone");
	run(name, tree, &in, COX_GET(root, "error") ? NULL : wanted);
}

static void test_unit(void **state)
{
	_cleanup_free_ char *path = cox_path_join(folder, "unit");
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort);

	(void)state;
	n_run = n_passed = n_equal = n_bytes = 0;
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.')
			run_unit(names[i]->d_name);
		free(names[i]);
	}
	free(names);
	print_message(
		"%zu of %zu small cases are as wanted; of %zu outputs %zu are equal to the byte\n",
		n_passed, n_run, n_equal, n_bytes);
	assert_true(only || n_run >= N_UNIT);
	assert_int_equal(n_passed, n_run);
	assert_int_equal(n_bytes, n_equal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_unit),
	};
	const char *corpus = getenv("COX_TEST_CORPUS");
	_cleanup_free_ char *path = corpus ? cox_path_join(corpus, "kustomize") : NULL;
	DIR *dir = path ? opendir(path) : NULL;

	if (!dir) {
		printf("skipped: COX_TEST_CORPUS names no folder with kustomize/ in it\n");
		return 77;
	}
	closedir(dir);
	folder = path;
	only = getenv("COX_TEST_CASE");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
