#include "common/base/limits.h"
#include "common/doc/json.h"

void cox_json_lines_fini(struct cox_json_lines *s)
{
	cox_buf_fini(&s->pending);
	*s = (struct cox_json_lines){.max_line = s->max_line, .name = s->name};
}

void cox_json_lines_feed(struct cox_json_lines *s, const void *bytes, size_t n)
{
	/* What was taken is moved away once it is the larger part, so that each byte is moved once
	 * or twice however many lines a feed brings. */
	if (s->start > s->pending.len / 2) {
		cox_buf_consume(&s->pending, s->start);
		s->scanned -= s->start;
		s->start = 0;
	}
	cox_buf_add(&s->pending, bytes, n);
}

/* Drops what there is of a line that is longer than the limit. */
static int drop_long(struct cox_json_lines *s, size_t max, struct cox_error *err)
{
	bool first = !s->skipping;

	cox_buf_clear(&s->pending);
	s->start = s->scanned = 0;
	s->skipping = true;
	if (!first)
		return 0;
	return cox_error(err, COX_INVALID_ARGUMENT, "%s:%u: line of more than %zu bytes",
			 s->name ? s->name : "stream", s->line + 1, max);
}

/* 1 and the next complete line without its line feed; 0 when there is none yet. */
static int next_line(struct cox_json_lines *s, struct cox_str *ret_line, struct cox_error *err)
{
	size_t max = s->max_line ? s->max_line : COX_LIMIT_FILE_BYTES, start = s->start;
	size_t left = s->pending.len - s->scanned;
	const char *feed = left ? memchr(s->pending.ptr + s->scanned, '\n', left) : NULL;

	if (!feed) {
		s->scanned = s->pending.len;
		return s->skipping || s->pending.len - start > max ? drop_long(s, max, err) : 0;
	}
	*ret_line = cox_str_n(s->pending.ptr + start, (size_t)(feed - s->pending.ptr) - start);
	s->start = s->scanned = start + ret_line->len + 1;
	s->line++;
	if (s->skipping) {
		s->skipping = false;
		*ret_line = COX_STR("");
	} else if (ret_line->len > max) {
		return cox_error(err, COX_INVALID_ARGUMENT, "%s:%u: line of more than %zu bytes",
				 s->name ? s->name : "stream", s->line, max);
	}
	return 1;
}

int cox_json_lines_next(struct cox_json_lines *s, struct cox_doc **ret_doc, struct cox_error *err)
{
	struct cox_str line;
	int r;

	while ((r = next_line(s, &line, err)) > 0) {
		struct cox_json_options options = {.line = s->line, .max_bytes = line.len};

		if (!cox_str_trim(line).len)
			continue;
		r = cox_json_read_with(line, s->name ? s->name : "stream", &options, ret_doc, err);
		return r < 0 ? r : 1;
	}
	return r;
}
