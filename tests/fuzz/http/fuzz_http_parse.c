/* A head, and after it a chunked body. What was taken must be what a second reader would take: no
 * control characters, no two lengths; and a body must not depend on how its bytes were cut. */
#include "common/base/mem.h"
#include "common/net/http_parse.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MAX_BODY = 1 << 16 };

static void check_head(const struct cox_http_head *head)
{
	COX_ASSERT(head->path[0] == '/' || !strcmp(head->path, "*"));
	COX_ASSERT(!(head->chunked && head->content_length >= 0));
	for (size_t i = 0; i < head->n_fields; i++) {
		COX_ASSERT(!strpbrk(head->fields[i].name, " \t\r\n:"));
		COX_ASSERT(!strpbrk(head->fields[i].value, "\r\n"));
	}
}

static ssize_t feed(const char *bytes, size_t n, size_t step, struct cox_buf *body)
{
	struct cox_http_chunks chunks = {0};
	size_t at = 0;

	while (at < n && chunks.state != COX_CHUNK_DONE) {
		ssize_t r = cox_http_chunks_feed(&chunks, bytes + at, n - at < step ? n - at : step,
						 MAX_BODY, body);
		COX_ASSERT(body->len <= MAX_BODY);
		if (r < 0)
			return r;
		at += (size_t)r;
	}
	return (ssize_t)at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *bytes = (const char *)data;
	const char *end = n ? memmem(bytes, n, "\r\n\r\n", 4) : NULL;
	size_t head_n = end ? (size_t)(end + 4 - bytes) : n;
	_cleanup_buf_ struct cox_buf whole = COX_BUF_INIT, single = COX_BUF_INIT;
	char *text = cox_malloc(head_n + 1);
	struct cox_http_head head;
	const char *why;

	if (head_n)
		memcpy(text, bytes, head_n);
	text[head_n] = '\0';
	if (cox_http_head_parse(text, head_n, &head, &why) == 0)
		check_head(&head);
	free(text);

	ssize_t a = feed(bytes + head_n, n - head_n, SIZE_MAX, &whole);
	ssize_t b = feed(bytes + head_n, n - head_n, 1, &single);
	COX_ASSERT(a == b && cox_str_eq(cox_buf_str(&whole), cox_buf_str(&single)));
	return 0;
}
