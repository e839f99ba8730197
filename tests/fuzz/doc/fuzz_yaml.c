/* Whatever is read as YAML can be written, as YAML and as JSON, and reads back equal. A float without
 * a fraction reads back as an integer, so the second reading is compared with the third. */
#include "common/doc/json.h"
#include "common/doc/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct cox_node *root, const struct cox_yaml_options *options)
{
	_cleanup_buf_ struct cox_buf yaml = COX_BUF_INIT, json = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *again = NULL, *from_json = NULL;
	struct cox_error err;

	cox_yaml_write(&yaml, root);
	/* Aliases are written out, so the limits must allow what they expand to. */
	COX_ASSERT(cox_yaml_read(cox_buf_str(&yaml), "again", options, &again, &err) == 0);
	COX_ASSERT(cox_node_equal(root, cox_doc_root(again)));
	cox_json_write_canonical(&json, root);
	COX_ASSERT(cox_json_read(cox_buf_str(&json), "json", &from_json, &err) == 0);
	COX_ASSERT(cox_node_equal(root, cox_doc_root(from_json)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cox_str text = {(const char *)data, size};

	for (int schema = 0; schema < 2; schema++) {
		struct cox_yaml_options options = {.schema = (enum cox_yaml_schema)schema,
						   .keep_empty = true};
		_cleanup_docs_ cox_docs docs = {0};
		struct cox_error err = COX_ERROR_INIT;

		if (cox_yaml_read_all(text, "fuzz", &options, &docs, &err) < 0) {
			COX_ASSERT(err.code && err.message[0] && docs.n == 0);
			continue;
		}
		COX_VEC_EACH (&docs, doc)
			check(cox_doc_root(*doc), &options);
	}
	return 0;
}
