/* A stream of JSON lines gives the same documents and refusals however it is cut. The first byte is
 * the length of the pieces. */
#include "common/doc/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const uint8_t *data, size_t size, size_t piece, struct cox_buf *out)
{
	struct cox_json_lines lines = {.max_line = 200};

	for (size_t at = 0; at < size; at += piece) {
		struct cox_doc *doc;
		struct cox_error err;
		int r;

		cox_json_lines_feed(&lines, data + at, piece < size - at ? piece : size - at);
		while ((r = cox_json_lines_next(&lines, &doc, &err))) {
			if (r < 0) {
				cox_buf_printf(out, "%s\n", err.message);
				continue;
			}
			cox_json_write(out, cox_doc_root(doc));
			cox_doc_unref(doc);
		}
	}
	cox_json_lines_fini(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct cox_buf whole = COX_BUF_INIT, pieces = COX_BUF_INIT;

	if (size < 2)
		return 0;
	run(data + 1, size - 1, size - 1, &whole);
	run(data + 1, size - 1, (size_t)data[0] % 64 + 1, &pieces);
	COX_ASSERT(cox_str_eq(cox_buf_str(&whole), cox_buf_str(&pieces)));
	return 0;
}
