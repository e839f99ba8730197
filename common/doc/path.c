#include "common/doc/path.h"
#include "common/doc/json.h"

static bool is_word(struct cox_str key)
{
	for (size_t i = 0; i < key.len; i++) {
		char c = key.ptr[i];

		if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '-' &&
		    c != '$' && (c < '0' || c > '9'))
			return false;
	}
	return key.len > 0;
}

void doc_path_write(struct cox_buf *out, const struct doc_path *path)
{
	if (!path || !path->parent)
		return;
	doc_path_write(out, path->parent);
	if (!path->key.ptr) {
		cox_buf_printf(out, "[%zu]", path->index);
	} else if (is_word(path->key)) {
		if (path->parent->parent)
			cox_buf_putc(out, '.');
		cox_buf_puts_str(out, path->key);
	} else {
		cox_buf_putc(out, '[');
		cox_json_write_string(out, path->key);
		cox_buf_putc(out, ']');
	}
}
