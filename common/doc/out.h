/* Appending to a buffer without a call for every piece, and the scan for what JSON must escape.
 * A writer ends with out_end, which terminates the buffer. Private to the room. */
#ifndef COX_DOC_OUT_H
#define COX_DOC_OUT_H

#include "common/base/buf.h"

#include <stdint.h>

static inline char *out_room(struct cox_buf *out, size_t n)
{
	if (out->cap - out->len <= n)
		cox_buf_reserve(out, n);
	return out->ptr + out->len;
}

static inline void out_put(struct cox_buf *out, const char *bytes, size_t n)
{
	char *to = out_room(out, n);

	if (n)
		memcpy(to, bytes, n);
	out->len += n;
}

static inline void out_char(struct cox_buf *out, char c)
{
	*out_room(out, 1) = c;
	out->len++;
}

static inline void out_end(struct cox_buf *out)
{
	*out_room(out, 0) = '\0';
}

#define OUT_EACH(byte) (0x0101010101010101ULL * (byte))

/* A byte with its high bit set for each quote, backslash or control character in the word; there may
 * be false ones behind the first true one (the usual subtraction borrows). */
static inline uint64_t out_specials(uint64_t w)
{
	uint64_t quote = w ^ OUT_EACH('"'), slash = w ^ OUT_EACH('\\');

	return (((quote - OUT_EACH(1)) & ~quote) | ((slash - OUT_EACH(1)) & ~slash) |
		((w - OUT_EACH(0x20)) & ~w)) &
	       OUT_EACH(0x80);
}

/* The next quote, backslash or control character, or the end. */
static inline const char *out_next_special(const char *p, const char *end)
{
	while (end - p >= 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		if (out_specials(w))
			break;
		p += 8;
	}
	while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
		p++;
	return p;
}

#endif
