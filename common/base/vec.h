/* A growing array of any type, in one macro and no void pointers.
 *
 *	COX_VEC(struct task) tasks = {0};
 *	cox_vec_push(&tasks, (struct task){...});
 *	COX_VEC_EACH(&tasks, t) run(t);
 *	cox_vec_fini(&tasks);
 *
 * Elements are not destroyed for you. Pushing moves the array: keep indexes, not pointers. */
#ifndef COX_BASE_VEC_H
#define COX_BASE_VEC_H

#include "common/base/mem.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define COX_VEC(T)                                                                                 \
	struct {                                                                                   \
		T *items;                                                                          \
		size_t n, cap;                                                                     \
	}

#define cox_vec_reserve(v, want)                                                                   \
	do {                                                                                       \
		size_t _want = (want);                                                             \
		if (_want > (v)->cap) {                                                            \
			size_t _cap = (v)->cap ? (v)->cap * 2 : 8;                                 \
			if (_cap < _want)                                                          \
				_cap = _want;                                                      \
			(v)->items = cox_realloc((v)->items, _cap, sizeof(*(v)->items));           \
			(v)->cap = _cap;                                                           \
		}                                                                                  \
	} while (0)

#define cox_vec_push(v, ...)                                                                       \
	do {                                                                                       \
		cox_vec_reserve((v), (v)->n + 1);                                                  \
		(v)->items[(v)->n++] = (__VA_ARGS__);                                              \
	} while (0)

/* Removes element i, keeping the order of the rest. */
#define cox_vec_remove(v, i)                                                                       \
	do {                                                                                       \
		size_t _i = (i);                                                                   \
		memmove(&(v)->items[_i], &(v)->items[_i + 1],                                      \
			((v)->n - _i - 1) * sizeof(*(v)->items));                                  \
		(v)->n--;                                                                          \
	} while (0)

#define cox_vec_insert(v, i, ...)                                                                  \
	do {                                                                                       \
		size_t _i = (i);                                                                   \
		cox_vec_reserve((v), (v)->n + 1);                                                  \
		memmove(&(v)->items[_i + 1], &(v)->items[_i],                                      \
			((v)->n - _i) * sizeof(*(v)->items));                                      \
		(v)->items[_i] = (__VA_ARGS__);                                                    \
		(v)->n++;                                                                          \
	} while (0)

#define cox_vec_clear(v) ((void)((v)->n = 0))

#define cox_vec_fini(v)                                                                            \
	do {                                                                                       \
		free((v)->items);                                                                  \
		(v)->items = NULL;                                                                 \
		(v)->n = (v)->cap = 0;                                                             \
	} while (0)

#define cox_vec_sort(v, compare)                                                                   \
	do {                                                                                       \
		if ((v)->n > 1)                                                                    \
			qsort((v)->items, (v)->n, sizeof(*(v)->items), (compare));                 \
	} while (0)

/* p is a pointer to each element in turn. */
#define COX_VEC_EACH(v, p)                                                                         \
	for (__typeof__(&*(v)->items) p = (v)->items; p && p < (v)->items + (v)->n; p++)

#endif
