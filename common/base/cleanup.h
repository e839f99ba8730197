/* Scope-bound ownership: acquire with a cleanup, hand over with TAKE.
 *
 *	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
 *	_cleanup_free_ char *name = cox_strdup("x");
 *	*ret_name = TAKE(name);
 */
#ifndef COX_BASE_CLEANUP_H
#define COX_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/* COX_CLEANUP(f): calls f(&variable) when the variable leaves its scope. */
#define COX_CLEANUP(f) __attribute__((cleanup(f)))

/* DEFINE_CLEANUP(T *, f): defines f_p(T **) that calls f(*p) when it is not NULL. */
#define DEFINE_CLEANUP(type, func)                                                                 \
	static inline __attribute__((unused)) void func##_p(type *p)                               \
	{                                                                                          \
		if (*p)                                                                            \
			func(*p);                                                                  \
	}                                                                                          \
	_Static_assert(1, "")

/* TAKE(p): the value of p, and p is NULL from now on. */
#define TAKE(p)                                                                                    \
	({                                                                                         \
		__typeof__(p) *_take_p = &(p);                                                     \
		__typeof__(p) _take_v = *_take_p;                                                  \
		*_take_p = NULL;                                                                   \
		_take_v;                                                                           \
	})

static inline void cox_free_p(void *p)
{
	free(*(void **)p);
}
#define _cleanup_free_ COX_CLEANUP(cox_free_p)

static inline void cox_close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define _cleanup_close_ COX_CLEANUP(cox_close_p)

/* TAKE_FD(fd): the descriptor, and fd is -1 from now on. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int _take_fd = (fd);                                                               \
		(fd) = -1;                                                                         \
		_take_fd;                                                                          \
	})

#define COX_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define COX_CONTAINER_OF(ptr, type, member)                                                        \
	((type *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

#endif
