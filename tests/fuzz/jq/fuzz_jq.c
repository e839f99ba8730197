/* What a helper that runs other people's programs may send: frames, in pieces, and the answers in
 * them. However it is cut, the same frames come out. */
#include "agent/jq/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Frames of what has come so far; takes them out. */
static size_t take_frames(struct cox_buf *in, uint64_t *sum)
{
	struct cox_str text;
	size_t used, n = 0;

	while (agent_jq_frame_next(cox_buf_str(in), &text, &used, NULL) == 1) {
		struct agent_jq_answer a;
		struct cox_error err = COX_ERROR_INIT;

		COX_ASSERT(used == text.len + 4 && used <= in->len);
		for (size_t i = 0; i < text.len; i++)
			*sum = *sum * 31 + (unsigned char)text.ptr[i];
		if (agent_jq_answer_read(text, 2, &a, &err) == 0) {
			COX_ASSERT(a.paths ? cox_node_len(a.paths) == 2 : a.error.len > 0);
			cox_doc_unref(a.doc);
		} else {
			COX_ASSERT(err.message[0]);
		}
		cox_buf_consume(in, used);
		n++;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf whole = COX_BUF_INIT, pieces = COX_BUF_INIT;
	uint64_t a = 0, b = 0;
	size_t n = 0, m = 0;

	cox_buf_add(&whole, data, size);
	n = take_frames(&whole, &a);
	for (size_t i = 0; i < size; i++) {
		cox_buf_add(&pieces, data + i, 1);
		m += take_frames(&pieces, &b);
	}
	COX_ASSERT(n == m && a == b);
	return 0;
}
