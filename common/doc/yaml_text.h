/* What both of YAML's writers do with the characters of a text. Private to the room. */
#ifndef COX_DOC_YAML_TEXT_H
#define COX_DOC_YAML_TEXT_H

#include "common/doc/out.h"

#include <stdint.h>

/* The length of the UTF-8 sequence at p; *ret_character its code point. The text is valid. */
static inline size_t text_decode(const unsigned char *p, uint32_t *ret_character)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	uint32_t c = n == 1 ? p[0] : p[0] & (0xFFU >> (n + 1));

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3FU);
	*ret_character = c;
	return n;
}

/* Letters, digits, _ - . / : a text of these that starts with a letter or a slash is plain, unless it
 * is a word that resolves to something else. */
static inline bool text_is_simple(struct cox_str text)
{
	char c = text.len ? (char)(text.ptr[0] | 0x20) : '\0';

	if ((c < 'a' || c > 'z') && c != '/')
		return false;
	for (size_t i = 1; i < text.len; i++) {
		c = text.ptr[i];
		if ((c < 'a' || c > 'z') && (c < '-' || c > '9') && (c < 'A' || c > 'Z') &&
		    c != '_')
			return false;
	}
	return true;
}

static inline void text_indent(struct cox_buf *out, size_t n)
{
	static const char spaces[] = "                                                ";

	for (size_t part; n; n -= part) {
		part = n < sizeof(spaces) - 1 ? n : sizeof(spaces) - 1;
		out_put(out, spaces, part);
	}
}

/* The character as double quotes have it, escaped. Returns how many characters that takes. */
size_t text_escape(struct cox_buf *out, uint32_t c);

#endif
