/* A stranger's repository of many files, and the kustomization in its folder app/ (or at its top).
 * The input is an archive: a line "== PATH" begins a file, what follows up to the next such line is
 * its content; app/source.yaml is an Application's source.kustomize. Building fails by an error or
 * gives objects that read back as they were written, and the same ones when built again. */
#include "common/base/mem.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "hub/render/kustomize/kustomize.h"
#include "hub/source/tree.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT   (1 << 17)
#define MAX_FILES   64
#define MAX_BYTES   (1 << 20)
#define MAX_OBJECTS 500

static void add_file(struct hub_tree *tree, struct cox_str path, const char *begin, const char *end)
{
	_cleanup_free_ char *clean = NULL;

	if (hub_path_clean(path, &clean, NULL) == 0 && *clean)
		(void)hub_tree_memory_add(tree, clean, cox_str_n(begin, (size_t)(end - begin)),
					  NULL);
}

static void read_archive(struct hub_tree *tree, struct cox_str text)
{
	struct cox_str rest = text, line, path = {NULL, 0};
	const char *begin = NULL;
	int n = 0;

	while (rest.ptr && n < MAX_FILES) {
		const char *at = rest.ptr;

		if (!cox_str_split(&rest, '\n', &line))
			break;
		if (!cox_str_starts(line, "== "))
			continue;
		if (path.ptr)
			add_file(tree, path, begin, at);
		n++;
		path = cox_str_n(line.ptr + 3, line.len - 3);
		begin = line.ptr + line.len < text.ptr + text.len ? line.ptr + line.len + 1
								  : text.ptr + text.len;
	}
	if (path.ptr && begin)
		add_file(tree, path, begin, text.ptr + text.len);
}

static int build(struct hub_tree *tree, const struct cox_node *source, struct cox_buf *canonical,
		 cox_docs *docs)
{
	struct hub_kustomize_input in = {
		.source = source, .max_bytes = MAX_BYTES, .max_objects = MAX_OBJECTS};
	enum hub_tree_kind kind;
	int r;

	in.path = hub_tree_kind(tree, "app", &kind, NULL) == 0 ? "app" : "";
	r = hub_kustomize_build(tree, &in, docs, NULL);
	for (size_t i = 0; r == 0 && i < docs->n; i++) {
		cox_json_write_canonical(canonical, cox_doc_root(docs->items[i]));
		cox_buf_putc(canonical, '\n');
	}
	return r;
}

static void check_reads_back(const cox_docs *docs)
{
	static const struct cox_yaml_options options = {.schema = COX_YAML_KUSTOMIZE};

	for (size_t i = 0; i < docs->n; i++) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
		_cleanup_doc_ struct cox_doc *again = NULL;
		struct cox_error err;

		cox_yaml_write_sorted(&text, cox_doc_root(docs->items[i]));
		if (cox_yaml_read(cox_buf_str(&text), "again", &options, &again, &err) < 0)
			COX_ASSERT(err.code == COX_RESOURCE_EXHAUSTED);
		else
			COX_ASSERT(
				cox_node_equal(cox_doc_root(docs->items[i]), cox_doc_root(again)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_tree_ struct hub_tree *tree = hub_tree_new_memory();
	_cleanup_buf_ struct cox_buf first = COX_BUF_INIT, second = COX_BUF_INIT,
				     text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *source = NULL;
	_cleanup_docs_ cox_docs docs = {0}, again = {0};
	int r;

	if (size > MAX_INPUT)
		return 0;
	read_archive(tree, cox_str_n((const char *)data, size));
	if (hub_tree_read(tree, "app/source.yaml", MAX_INPUT, &text, NULL) == 0)
		(void)cox_yaml_read(cox_buf_str(&text), "source.yaml", NULL, &source, NULL);
	r = build(tree, source ? cox_doc_root(source) : NULL, &first, &docs);
	if (r < 0) {
		COX_ASSERT(docs.n == 0);
		return 0;
	}
	check_reads_back(&docs);
	COX_ASSERT(build(tree, source ? cox_doc_root(source) : NULL, &second, &again) == 0);
	COX_ASSERT(cox_str_eq(cox_buf_str(&first), cox_buf_str(&second)));
	return 0;
}
