#include "agent/jq/frame.h"

#include "common/doc/json.h"

void agent_jq_frame_add(struct cox_buf *out, struct cox_str text)
{
	uint32_t n = (uint32_t)text.len;
	unsigned char head[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
				 (unsigned char)(n >> 8), (unsigned char)n};

	cox_buf_add(out, head, sizeof(head));
	cox_buf_puts_str(out, text);
}

int agent_jq_frame_next(struct cox_str in, struct cox_str *ret_text, size_t *ret_used,
			struct cox_error *err)
{
	const unsigned char *p = (const unsigned char *)in.ptr;

	if (in.len < 4)
		return 0;
	size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];

	if (n > AGENT_JQ_FRAME_MAX)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "a frame of %zu bytes", n);
	if (in.len - 4 < n)
		return 0;
	*ret_text = cox_str_n(in.ptr + 4, n);
	*ret_used = 4 + n;
	return 1;
}

/* Paths are lists of keys, indexes and slices. */
static bool is_path(const struct cox_node *path)
{
	if (!cox_node_is(path, COX_LIST))
		return false;
	for (size_t i = 0; i < cox_node_len(path); i++) {
		enum cox_kind kind = cox_node_kind(cox_node_at(path, i));

		if (kind != COX_STRING && kind != COX_INT && kind != COX_MAP && kind != COX_NULL)
			return false;
	}
	return true;
}

static bool is_answer(const struct cox_node *paths, size_t n_objects)
{
	if (!cox_node_is(paths, COX_LIST) || cox_node_len(paths) != n_objects)
		return false;
	for (size_t i = 0; i < n_objects; i++) {
		const struct cox_node *list = cox_node_at(paths, i);

		if (!cox_node_is(list, COX_LIST))
			return false;
		for (size_t k = 0; k < cox_node_len(list); k++)
			if (!is_path(cox_node_at(list, k)))
				return false;
	}
	return true;
}

int agent_jq_answer_read(struct cox_str text, size_t n_objects, struct agent_jq_answer *ret_answer,
			 struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	int code = cox_json_read(text, "answer", &doc, err);

	if (code < 0)
		return code;
	const struct cox_node *root = cox_doc_root(doc), *paths = cox_node_get(root, "paths");
	int64_t index = cox_node_int(cox_node_get(root, "i"), -1);
	struct cox_str error = cox_node_str(cox_node_get(root, "error"));

	if (index < 0 || (paths ? !is_answer(paths, n_objects) : !error.len))
		return cox_error(err, COX_INVALID_ARGUMENT, "not an answer");
	*ret_answer = (struct agent_jq_answer){
		.doc = TAKE(doc), .index = (size_t)index, .paths = paths, .error = error};
	return 0;
}
