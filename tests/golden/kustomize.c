/* tests/golden/kustomize: a case is a small repository; the kustomization of its folder app/ is
 * built. `want` is what Kustomize 5 prints for it (written by the script `wanted` there), or our own
 * error where it fails: equal to the byte. */
#include "hub/render/kustomize/kustomize.h"
#include "common/base/cleanup.h"
#include "common/doc/yaml.h"
#include "hub/source/tree.h"
#include "tests/golden/golden.h"

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
	for (size_t i = 0; i < docs.n; i++) {
		cox_buf_puts(ret_text, i ? "---\n" : "");
		cox_yaml_write_sorted(ret_text, cox_doc_root(docs.items[i]));
	}
}

int main(int argc, char *argv[])
{
	return golden_run("tests/golden/kustomize", argc > 1 ? argv[1] : NULL, run_kustomize);
}
