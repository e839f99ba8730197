/* JSON in and out: RFC 8259 to the letter. Duplicate keys are refused, as are depth, nodes and
 * scalars over the limit (common/base/limits.h), and numbers past a double's range; numbers keep
 * their text, so 1e2 and 100 stay what they were (-0 is 0). An escaped surrogate without its other
 * half becomes U+FFFD, as in Go. A byte order mark at the start is skipped. Columns count bytes.
 * Every refusal is COX_INVALID_ARGUMENT, "name:line:column: ...". Threads: any, one call a text. */
#ifndef COX_DOC_JSON_H
#define COX_DOC_JSON_H

#include "common/doc/doc.h"

/* One text, one sealed document. */
int cox_json_read(struct cox_str text, const char *name, struct cox_doc **ret_doc,
		  struct cox_error *err);

struct cox_json_options {
	/* 0: COX_LIMIT_JSON_DEPTH, _DOC_NODES, _SCALAR_BYTES, _DOC_TEXT_BYTES */
	size_t max_depth, max_nodes, max_scalar, max_bytes;
	uint32_t line; /* the number of the first line; 0: 1 */
};
/* The same with other limits, for what comes from a peer that is trusted further. */
int cox_json_read_with(struct cox_str text, const char *name,
		       const struct cox_json_options *options, struct cox_doc **ret_doc,
		       struct cox_error *err);

/* Texts one a line, as a Kubernetes watch sends them: feed bytes as they come, take documents as
 * they are complete. Zeroed is ready; name and max_line may be set before the first feed.
 * Loop-owned or job-local. */
struct cox_json_lines {
	struct cox_buf pending;
	size_t start,
		scanned;  /* offsets into pending: of the first line, of what has no line feed */
	size_t max_line;  /* 0: COX_LIMIT_FILE_BYTES */
	const char *name; /* borrowed; what documents and messages say; NULL: "stream" */
	uint32_t line;	  /* lines taken so far: the documents' positions go on counting */
	bool skipping;	  /* inside a line that was too long */
};
void cox_json_lines_fini(struct cox_json_lines *s);
void cox_json_lines_feed(struct cox_json_lines *s, const void *bytes, size_t n);
/* 1 and a sealed document; 0 when more bytes are needed; negative when a line is no JSON (it is
 * skipped) or too long. Blank lines are skipped. */
int cox_json_lines_next(struct cox_json_lines *s, struct cox_doc **ret_doc, struct cox_error *err);

/* All append. Compact, keys in document order. */
void cox_json_write(struct cox_buf *out, const struct cox_node *node);
/* As Go's encoding/json does with sorted maps: canonical, and <, >, &, U+2028 and U+2029 escaped.
 */
void cox_json_write_go(struct cox_buf *out, const struct cox_node *node);
/* For digests, after RFC 8785: compact, keys sorted by bytes of their UTF-8, shortest escapes;
 * numbers as their text was, since 64-bit integers do not survive that RFC's doubles. */
void cox_json_write_canonical(struct cox_buf *out, const struct cox_node *node);
/* Two spaces, for people. */
void cox_json_write_pretty(struct cox_buf *out, const struct cox_node *node);
/* A JSON string literal with its quotes. */
void cox_json_write_string(struct cox_buf *out, struct cox_str text);

#endif
