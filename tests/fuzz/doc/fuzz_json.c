/* Whatever is read as JSON can be written in every form and reads back equal; its canonical form is a
 * fixed point; a copy and an edit that changes nothing are equal to it. */
#include "common/doc/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct cox_node *root,
		  void (*write)(struct cox_buf *, const struct cox_node *))
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT, twice = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *again = NULL;
	struct cox_error err;

	write(&text, root);
	COX_ASSERT(cox_json_read(cox_buf_str(&text), "again", &again, &err) == 0);
	COX_ASSERT(cox_node_equal(root, cox_doc_root(again)));
	write(&twice, cox_doc_root(again));
	COX_ASSERT(cox_str_eq(cox_buf_str(&text), cox_buf_str(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_doc_ struct cox_doc *doc = NULL, *copy = NULL, *edit = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (cox_json_read(cox_str_n((const char *)data, size), "fuzz", &doc, &err) < 0) {
		COX_ASSERT(err.code && err.message[0]);
		return 0;
	}
	check(cox_doc_root(doc), cox_json_write);
	check(cox_doc_root(doc), cox_json_write_canonical);
	check(cox_doc_root(doc), cox_json_write_pretty);
	check(cox_doc_root(doc), cox_json_write_go);
	copy = cox_doc_copy("copy", cox_doc_root(doc));
	COX_ASSERT(cox_node_equal(cox_doc_root(doc), cox_doc_root(copy)));
	edit = cox_doc_edit(copy);
	cox_doc_root_edit(edit);
	COX_ASSERT(cox_node_equal(cox_doc_root(doc), cox_doc_root(edit)));
	return 0;
}
