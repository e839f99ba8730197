/* A stranger's repository: a file of any content, under a YAML and a JSON name. Rendering must not
 * fail in any way but by an error, and what it gives must be a bundle that reads back as it was
 * written, whatever the order of the objects. */
#include "common/base/mem.h"
#include "common/doc/json.h"
#include "hub/render/bundle.h"
#include "hub/render/render.h"
#include "hub/source/tree.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bundle(const cox_docs *objects)
{
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT, again = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err;

	if (hub_bundle_build(objects, &json, NULL, NULL) < 0)
		return;
	if (cox_json_read(cox_buf_str(&json), "bundle", &doc, &err) < 0)
		COX_ASSERT(!"a bundle that cannot be read");
	cox_json_write_canonical(&again, cox_doc_root(doc));
	COX_ASSERT(cox_str_eq(cox_buf_str(&json), cox_buf_str(&again)));
	COX_ASSERT(cox_node_len(cox_doc_root(doc)) <= objects->n);
}

static void render(const char *name, struct cox_str content)
{
	_cleanup_tree_ struct hub_tree *tree = hub_tree_new_memory();
	_cleanup_rendered_ struct hub_rendered out = {0};
	struct hub_source source = {.path = "", .chart = "", .ref = ""};

	source.directory.include = source.directory.exclude = "";
	COX_ASSERT(hub_tree_memory_add(tree, name, content, NULL) == 0);
	if (hub_render(tree, &source, NULL, &out, NULL) == 0)
		check_bundle(&out.objects);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cox_str content = cox_str_n((const char *)data, size);

	if (size > 1 << 16)
		return 0;
	render("a.yaml", content);
	render("a.json", content);
	return 0;
}
