/* struct cox_map: from byte-string keys to pointers; iterates in the order of insertion, so that
 * what is computed from it is the same on every run. Keys are copied. SipHash-1-3 with a key drawn
 * at process start, so that nobody outside can choose collisions. A removed entry keeps its place
 * until the table is compacted; O(1) each way. Threads: job-local or loop-owned. */
#ifndef COX_BASE_MAP_H
#define COX_BASE_MAP_H

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cox_map_entry {
	char *key; /* terminated; NULL: removed */
	uint32_t key_len;
	uint32_t hash;
	void *value;
};

struct cox_map {
	struct cox_map_entry *entries; /* in order of insertion */
	uint32_t *slots;	       /* index + 1 into entries; 0 free */
	uint32_t n_used;	       /* entries in use or removed */
	uint32_t n;		       /* entries in use */
	uint32_t cap;		       /* room in entries */
	uint32_t n_slots;	       /* a power of two, or 0 */
};

#define COX_MAP_INIT  ((struct cox_map){0})
#define _cleanup_map_ __attribute__((cleanup(cox_map_fini)))

void cox_map_fini(struct cox_map *m);
/* As fini, and calls free_value for each value that is not NULL. */
void cox_map_fini_values(struct cox_map *m, void (*free_value)(void *));
void cox_map_clear(struct cox_map *m);

/* The value, borrowed; NULL when there is none. */
void *cox_map_get(const struct cox_map *m, const char *key);
void *cox_map_get_str(const struct cox_map *m, struct cox_str key);
bool cox_map_has(const struct cox_map *m, const char *key);
/* Sets, and returns the value that was there before (NULL when there was none). */
void *cox_map_set(struct cox_map *m, const char *key, void *value);
void *cox_map_set_str(struct cox_map *m, struct cox_str key, void *value);
/* Removes, and returns the value that was there. */
void *cox_map_remove(struct cox_map *m, const char *key);
void *cox_map_remove_str(struct cox_map *m, struct cox_str key);

/* The keyed hash itself, for tables of other shapes. Not stable across processes. */
uint64_t cox_hash(const void *bytes, size_t n);

/* e is a struct cox_map_entry * to each entry in turn. Removing the current entry is permitted,
 * inserting is not. */
#define COX_MAP_EACH(m, e)                                                                         \
	for (struct cox_map_entry *e = (m)->entries; e && e < (m)->entries + (m)->n_used; e++)     \
		if (e->key)

#endif
