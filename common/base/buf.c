#include "common/base/buf.h"
#include "common/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int cox_str_compare(struct cox_str a, struct cox_str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int r = n ? memcmp(a.ptr, b.ptr, n) : 0;

	if (r)
		return r;
	return a.len < b.len ? -1 : a.len > b.len;
}

bool cox_str_starts(struct cox_str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.len >= n && (n == 0 || memcmp(s.ptr, prefix, n) == 0);
}

bool cox_str_ends(struct cox_str s, const char *suffix)
{
	size_t n = strlen(suffix);

	return s.len >= n && (n == 0 || memcmp(s.ptr + s.len - n, suffix, n) == 0);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct cox_str cox_str_trim(struct cox_str s)
{
	while (s.len && is_space(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

bool cox_str_split(struct cox_str *rest, char separator, struct cox_str *ret_part)
{
	const char *end;

	if (!rest->ptr)
		return false;
	end = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
	if (!end) {
		*ret_part = *rest;
		*rest = (struct cox_str){NULL, 0};
		return true;
	}
	*ret_part = (struct cox_str){rest->ptr, (size_t)(end - rest->ptr)};
	rest->len -= ret_part->len + 1;
	rest->ptr = end + 1;
	return true;
}

char *cox_str_dup(struct cox_str s)
{
	char *copy = cox_malloc(s.len + 1);

	if (s.len)
		memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return copy;
}

/* The length of the UTF-8 sequence at p (RFC 3629, table of section 4), or 0. */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
	unsigned char low = 0x80, high = 0xBF;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if (len > n)
		return 0;
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	return len;
}

bool cox_utf8_valid(struct cox_str s, size_t *ret_offset)
{
	const unsigned char *p = (const unsigned char *)s.ptr;

	for (size_t i = 0; i < s.len;) {
		uint64_t eight;
		size_t n;

		/* Most text is ASCII: eight bytes at a time. */
		if (s.len - i >= sizeof(eight)) {
			memcpy(&eight, p + i, sizeof(eight));
			if (!(eight & 0x8080808080808080ULL)) {
				i += sizeof(eight);
				continue;
			}
		}
		n = utf8_sequence(p + i, s.len - i);
		if (!n) {
			if (ret_offset)
				*ret_offset = i;
			return false;
		}
		i += n;
	}
	return true;
}

void cox_buf_fini(struct cox_buf *b)
{
	free(b->ptr);
	*b = COX_BUF_INIT;
}

void cox_buf_reserve(struct cox_buf *b, size_t more)
{
	size_t want = b->len + more + 1;

	if (want <= b->cap)
		return;
	b->cap = b->cap * 2 > want ? b->cap * 2 : want < 32 ? 32 : want;
	b->ptr = cox_realloc(b->ptr, b->cap, 1);
}

void cox_buf_add(struct cox_buf *b, const void *bytes, size_t n)
{
	cox_buf_reserve(b, n);
	if (n)
		memcpy(b->ptr + b->len, bytes, n);
	b->len += n;
	b->ptr[b->len] = '\0';
}

void cox_buf_putc(struct cox_buf *b, char c)
{
	cox_buf_add(b, &c, 1);
}

void cox_buf_puts(struct cox_buf *b, const char *s)
{
	cox_buf_add(b, s, strlen(s));
}

void cox_buf_puts_str(struct cox_buf *b, struct cox_str s)
{
	cox_buf_add(b, s.ptr, s.len);
}

void cox_buf_vprintf(struct cox_buf *b, const char *format, va_list args)
{
	va_list again;
	int n;

	va_copy(again, args);
	cox_buf_reserve(b, 64);
	n = vsnprintf(b->ptr + b->len, b->cap - b->len, format, args);
	COX_ASSERT(n >= 0);
	if ((size_t)n >= b->cap - b->len) {
		cox_buf_reserve(b, (size_t)n);
		vsnprintf(b->ptr + b->len, b->cap - b->len, format, again);
	}
	va_end(again);
	b->len += (size_t)n;
}

void cox_buf_printf(struct cox_buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(b, format, args);
	va_end(args);
}

void cox_buf_clear(struct cox_buf *b)
{
	b->len = 0;
	if (b->ptr)
		b->ptr[0] = '\0';
}

void cox_buf_consume(struct cox_buf *b, size_t n)
{
	COX_ASSERT(n <= b->len);
	if (!n)
		return;
	memmove(b->ptr, b->ptr + n, b->len - n + 1);
	b->len -= n;
}

char *cox_buf_take(struct cox_buf *b)
{
	char *s;

	cox_buf_reserve(b, 0);
	b->ptr[b->len] = '\0';
	s = b->ptr;
	*b = COX_BUF_INIT;
	return s;
}

const char *cox_buf_cstr(const struct cox_buf *b)
{
	return b->len ? b->ptr : "";
}
