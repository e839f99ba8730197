/* Heads of HTTP/1.1 requests and chunked bodies, RFC 9112, read strictly: whatever two readers
 * could understand differently is refused. Pure; fuzzed. For http_server.c. */
#ifndef COX_NET_HTTP_PARSE_H
#define COX_NET_HTTP_PARSE_H

#include "common/base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { COX_HTTP_MAX_HEADERS = 100 };

struct cox_http_field {
	char *name, *value;
};

/* Pointers lead into the text that was parsed. */
struct cox_http_head {
	char *method, *path, *query; /* query "" when there is none */
	int minor;		     /* HTTP/1.minor */
	int64_t content_length;	     /* -1: none was given */
	bool chunked, keep_alive, expects_continue;
	struct cox_http_field fields[COX_HTTP_MAX_HEADERS];
	size_t n_fields;
};

/* text: a head with its empty line at the end, n bytes, and room for one more; it is cut into
 * terminated strings. 0, or the HTTP status to refuse it with; ret_why (static) says why. */
int cox_http_head_parse(char *text, size_t n, struct cox_http_head *ret_head, const char **ret_why);
/* Of any case; the first one, or NULL. */
const char *cox_http_head_get(const struct cox_http_head *head, const char *name);
/* Whether a comma-separated value has that token, of any case. */
bool cox_http_has_token(const char *value, const char *token);

/* A chunked body, byte for byte as it comes. Zeroed to begin with. */
struct cox_http_chunks {
	enum {
		COX_CHUNK_SIZE = 0,
		COX_CHUNK_EXTENSION,
		COX_CHUNK_SIZE_LF,
		COX_CHUNK_DATA,
		COX_CHUNK_DATA_CR,
		COX_CHUNK_DATA_LF,
		COX_CHUNK_TRAILER, /* at the start of a line */
		COX_CHUNK_TRAILER_TEXT,
		COX_CHUNK_TRAILER_LF,
		COX_CHUNK_END_LF,
		COX_CHUNK_DONE,
	} state;
	uint64_t left;
	unsigned n_digits, n_extra; /* extra: bytes of extensions and trailers */
};
/* Appends the content of up to n bytes to body. The number of bytes used, less than n only when
 * the state is COX_CHUNK_DONE; -400 for bad syntax, -413 when body would grow over max_body. */
ssize_t cox_http_chunks_feed(struct cox_http_chunks *chunks, const char *bytes, size_t n,
			     size_t max_body, struct cox_buf *body);

#endif
