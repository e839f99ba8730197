/* JSON in and out: RFC 8259 to the letter. Duplicate keys are refused, as are depth, nodes and
 * scalars over the limit (common/base/limits.h); numbers keep their text, so 1e2 and 100 stay what
 * they were. */
#ifndef COX_DOC_JSON_H
#define COX_DOC_JSON_H

#include "common/doc/doc.h"

/* One text, one sealed document. */
int cox_json_read(struct cox_str text, const char *name, struct cox_doc **ret_doc,
		  struct cox_error *err);

/* Texts one a line, as a Kubernetes watch sends them: feed bytes as they come, take documents as
 * they are complete. Loop-owned or job-local. */
struct cox_json_lines {
	struct cox_buf pending;
	size_t scanned;
	size_t max_line; /* 0: COX_LIMIT_FILE_BYTES */
};
void cox_json_lines_fini(struct cox_json_lines *s);
void cox_json_lines_feed(struct cox_json_lines *s, const void *bytes, size_t n);
/* 1 and a sealed document; 0 when more bytes are needed; negative when a line is no JSON (it is
 * skipped) or too long. Blank lines are skipped. */
int cox_json_lines_next(struct cox_json_lines *s, struct cox_doc **ret_doc, struct cox_error *err);

/* All append. Compact, keys in document order. */
void cox_json_write(struct cox_buf *out, const struct cox_node *node);
/* For digests, after RFC 8785: compact, keys sorted by bytes of their UTF-8, shortest escapes;
 * numbers as their text was, since 64-bit integers do not survive that RFC's doubles. */
void cox_json_write_canonical(struct cox_buf *out, const struct cox_node *node);
/* Two spaces, for people. */
void cox_json_write_pretty(struct cox_buf *out, const struct cox_node *node);
/* A JSON string literal with its quotes. */
void cox_json_write_string(struct cox_buf *out, struct cox_str text);

#endif
