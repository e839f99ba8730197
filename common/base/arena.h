/* struct cox_arena: memory for one unit of work, freed all at once. Chunks double from 1 KiB to
 * 256 KiB. A quota bounds what input from outside may make us hold: cox_arena_alloc returns NULL
 * past it (the only allocator in the house that may), and the reader turns that into an error.
 * Built with COX_ARENA_MALLOC every object is its own malloc, so that sanitizers see each one.
 * Threads: job-local until its content is sealed, immutable then.
 *
 * struct cox_account: what several arenas hold together. Each that is charged to one counts its memory
 * there, and takes it off again with its end. Nothing is refused by it: who does the work asks
 * between its steps. Shared by reference; any thread. */
#ifndef COX_BASE_ARENA_H
#define COX_BASE_ARENA_H

#include <stddef.h>

struct cox_arena_chunk;
struct cox_account;

struct cox_arena {
	struct cox_arena_chunk *chunks;
	char *next, *end;
	size_t used;		     /* bytes handed out */
	size_t quota;		     /* 0: none */
	struct cox_account *account; /* one reference; NULL: none */
};

#define COX_ARENA_INIT(quota_bytes) ((struct cox_arena){.quota = (quota_bytes)})

void cox_arena_fini(struct cox_arena *a);
/* What the arena holds, and will hold, is on the account's; at most once an arena. */
void cox_arena_charge(struct cox_arena *a, struct cox_account *account);
/* 8-byte aligned, not zeroed. NULL past the quota. */
void *cox_arena_alloc(struct cox_arena *a, size_t size);
/* Zeroed. */
void *cox_arena_calloc(struct cox_arena *a, size_t size);
/* The next allocations, up to size bytes in all, come from one chunk of just that size: for what is
 * measured first and built then. Only on an arena that has handed out nothing yet. */
void cox_arena_reserve(struct cox_arena *a, size_t size);
/* A terminated copy of n bytes. */
char *cox_arena_strndup(struct cox_arena *a, const char *s, size_t n);

struct cox_account *cox_account_new(void);
struct cox_account *cox_account_ref(struct cox_account *account);
void cox_account_unref(struct cox_account *account);
/* Bytes, as they were taken from the system. */
size_t cox_account_held(const struct cox_account *account);

#endif
