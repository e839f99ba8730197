/* struct cox_buf: a growing byte string, always NUL-terminated once anything was put in.
 * struct cox_str: a borrowed view of bytes, not terminated. Threads: job-local. */
#ifndef COX_BASE_BUF_H
#define COX_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct cox_str {
	const char *ptr;
	size_t len;
};

#define COX_STR(literal) ((struct cox_str){("" literal), sizeof(literal) - 1})
/* For "%.*s". */
#define COX_STR_ARG(s) ((int)(s).len), ((s).ptr ? (s).ptr : "")

static inline struct cox_str cox_str(const char *s)
{
	return (struct cox_str){s, s ? strlen(s) : 0};
}

static inline struct cox_str cox_str_n(const char *s, size_t n)
{
	return (struct cox_str){s, n};
}

static inline bool cox_str_eq(struct cox_str a, struct cox_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool cox_str_is(struct cox_str a, const char *s)
{
	return cox_str_eq(a, cox_str(s));
}

/* <0, 0, >0 by bytes, then by length. */
int cox_str_compare(struct cox_str a, struct cox_str b);
bool cox_str_starts(struct cox_str s, const char *prefix);
bool cox_str_ends(struct cox_str s, const char *suffix);
/* Without ASCII white space at both ends. */
struct cox_str cox_str_trim(struct cox_str s);
/* Cuts the text up to the first separator off *rest; false when *rest is used up (ptr NULL).
 * "a,,b" gives "a", "", "b"; "" gives one "". */
bool cox_str_split(struct cox_str *rest, char separator, struct cox_str *ret_part);
/* A terminated copy, the caller's. */
char *cox_str_dup(struct cox_str s);
/* Valid UTF-8 as RFC 3629 has it: no surrogates, nothing over U+10FFFF, no overlong form. On
 * failure *ret_offset (may be NULL) is the offset of the first bad byte. */
bool cox_utf8_valid(struct cox_str s, size_t *ret_offset);

struct cox_buf {
	char *ptr;
	size_t len, cap;
};

#define COX_BUF_INIT  ((struct cox_buf){0})
#define _cleanup_buf_ __attribute__((cleanup(cox_buf_fini)))

void cox_buf_fini(struct cox_buf *b);
/* Room for `more` bytes and the terminator. */
void cox_buf_reserve(struct cox_buf *b, size_t more);
void cox_buf_add(struct cox_buf *b, const void *bytes, size_t n);
void cox_buf_putc(struct cox_buf *b, char c);
void cox_buf_puts(struct cox_buf *b, const char *s);
void cox_buf_puts_str(struct cox_buf *b, struct cox_str s);
void cox_buf_printf(struct cox_buf *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void cox_buf_vprintf(struct cox_buf *b, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
/* Length 0, memory kept. */
void cox_buf_clear(struct cox_buf *b);
/* Removes the first n bytes. */
void cox_buf_consume(struct cox_buf *b, size_t n);
/* The terminated string, the caller's (free()); the buffer is empty afterwards. Never NULL. */
char *cox_buf_take(struct cox_buf *b);
/* Borrowed, terminated, never NULL. */
const char *cox_buf_cstr(const struct cox_buf *b);

static inline struct cox_str cox_buf_str(const struct cox_buf *b)
{
	return (struct cox_str){b->ptr, b->len};
}

#endif
