/* Memory that never fails: every size from outside is bounded at its door, so running out is a
 * defect of the machine; the process ends in an orderly way (what is durable stays intact).
 * All results are the caller's and go back with free(). Threads: any. */
#ifndef COX_BASE_MEM_H
#define COX_BASE_MEM_H

#include <stddef.h>
#include <string.h>

void *cox_malloc(size_t size) __attribute__((malloc, returns_nonnull));
void *cox_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
/* n * size is checked for overflow. */
void *cox_realloc(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
/* NULL gives NULL. */
char *cox_strdup(const char *s);
char *cox_strndup(const char *s, size_t n);
char *cox_asprintf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

#define cox_new(T)	((T *)cox_calloc(1, sizeof(T)))
#define cox_new_n(T, n) ((T *)cox_calloc((n), sizeof(T)))

/* The program's end when an invariant of its own is broken: prints and aborts. */
void cox_bug(const char *file, int line, const char *what) __attribute__((noreturn, cold));
#define COX_ASSERT(condition)                                                                      \
	do {                                                                                       \
		if (__builtin_expect(!(condition), 0))                                             \
			cox_bug(__FILE__, __LINE__, #condition);                                   \
	} while (0)

/* NULL-safe string equality. */
static inline int cox_streq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

#endif
