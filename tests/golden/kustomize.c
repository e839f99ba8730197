/* tests/golden/kustomize: a case is a small repository; the kustomization of its folder app/ is
 * built. `want` is what Kustomize 5 prints for it (written by the script `wanted` there), or our own
 * error where it fails. Equal documents in equal order are what is wanted; how many are equal to the
 * byte is counted beside. */
#include "hub/render/kustomize/kustomize.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "hub/source/tree.h"
#include "tests/golden/golden.h"

#include <stdio.h>

static size_t n_built, n_bytes_equal;

static void write_canonical(struct cox_buf *out, const cox_docs *docs)
{
	for (size_t i = 0; i < docs->n; i++) {
		cox_json_write_canonical(out, cox_doc_root(docs->items[i]));
		cox_buf_putc(out, '\n');
	}
}

static bool same_documents(const struct cox_buf *want, const cox_docs *got)
{
	static const struct cox_yaml_options options = {.schema = COX_YAML_KUSTOMIZE};
	_cleanup_buf_ struct cox_buf a = COX_BUF_INIT, b = COX_BUF_INIT;
	_cleanup_docs_ cox_docs docs = {0};

	if (cox_yaml_read_all(cox_buf_str(want), "want", &options, &docs, NULL) < 0)
		return false;
	write_canonical(&a, &docs);
	write_canonical(&b, got);
	return cox_str_eq(cox_buf_str(&a), cox_buf_str(&b));
}

/* Gives the wanted text itself when it says the same; nothing of that when it is written anew. */
static void write_result(const char *dir, const cox_docs *docs, struct cox_buf *ret_text)
{
	_cleanup_free_ char *path = cox_path_join(dir, "want");
	_cleanup_buf_ struct cox_buf want = COX_BUF_INIT;

	for (size_t i = 0; i < docs->n; i++) {
		cox_buf_puts(ret_text, i ? "---\n" : "");
		cox_yaml_write_sorted(ret_text, cox_doc_root(docs->items[i]));
	}
	if (getenv("COX_GOLDEN_WRITE") || cox_file_read(path, 1 << 20, &want, NULL) < 0)
		return;
	n_built++;
	if (cox_str_eq(cox_buf_str(&want), cox_buf_str(ret_text))) {
		n_bytes_equal++;
	} else if (same_documents(&want, docs)) {
		ret_text->len = 0;
		cox_buf_puts_str(ret_text, cox_buf_str(&want));
	}
}

static void run_kustomize(const char *dir, struct cox_buf *ret_text)
{
	struct hub_kustomize_input in = {.path = "app"};
	_cleanup_tree_ struct hub_tree *tree = NULL;
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error err;
	int r = hub_tree_open_dir(dir, &tree, &err);

	if (r == 0)
		r = hub_kustomize_build(tree, &in, &docs, &err);
	if (r < 0)
		cox_buf_printf(ret_text, "error: %s\n", err.message);
	else
		write_result(dir, &docs, ret_text);
}

int main(int argc, char *argv[])
{
	int status = golden_run("tests/golden/kustomize", argc > 1 ? argv[1] : NULL, run_kustomize);

	printf("%zu of %zu outputs are equal to the byte\n", n_bytes_equal, n_built);
	return status;
}
