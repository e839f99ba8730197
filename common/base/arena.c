#include "common/base/arena.h"
#include "common/base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#ifndef COX_ARENA_MALLOC
#define COX_ARENA_MALLOC 0
#endif

#define CHUNK_MIN ((size_t)1024)
#define CHUNK_MAX ((size_t)256 * 1024)

struct cox_arena_chunk {
	struct cox_arena_chunk *next;
	size_t size;
	char bytes[] __attribute__((aligned(16)));
};

struct cox_account {
	atomic_uint refs;
	atomic_size_t held;
};

struct cox_account *cox_account_new(void)
{
	struct cox_account *account = cox_new(struct cox_account);

	atomic_init(&account->refs, 1);
	return account;
}

struct cox_account *cox_account_ref(struct cox_account *account)
{
	atomic_fetch_add_explicit(&account->refs, 1, memory_order_relaxed);
	return account;
}

void cox_account_unref(struct cox_account *account)
{
	if (account && atomic_fetch_sub_explicit(&account->refs, 1, memory_order_acq_rel) == 1)
		free(account);
}

size_t cox_account_held(const struct cox_account *account)
{
	return atomic_load_explicit(&account->held, memory_order_relaxed);
}

static size_t held_by(const struct cox_arena_chunk *c)
{
	return sizeof(*c) + c->size;
}

void cox_arena_charge(struct cox_arena *a, struct cox_account *account)
{
	size_t held = 0;

	COX_ASSERT(!a->account);
	a->account = cox_account_ref(account);
	for (struct cox_arena_chunk *c = a->chunks; c; c = c->next)
		held += held_by(c);
	atomic_fetch_add_explicit(&account->held, held, memory_order_relaxed);
}

void cox_arena_fini(struct cox_arena *a)
{
	size_t held = 0;

	for (struct cox_arena_chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		held += held_by(c);
		free(c);
	}
	if (a->account)
		atomic_fetch_sub_explicit(&a->account->held, held, memory_order_relaxed);
	cox_account_unref(a->account);
	*a = COX_ARENA_INIT(a->quota);
}

static struct cox_arena_chunk *new_chunk(struct cox_arena *a, size_t size)
{
	struct cox_arena_chunk *c = cox_malloc(sizeof(*c) + size);

	c->size = size;
	if (a->account)
		atomic_fetch_add_explicit(&a->account->held, held_by(c), memory_order_relaxed);
	return c;
}

static struct cox_arena_chunk *add_chunk(struct cox_arena *a, size_t size)
{
	struct cox_arena_chunk *c = new_chunk(a, size);

	c->next = a->chunks;
	a->chunks = c;
	return c;
}

void *cox_arena_alloc(struct cox_arena *a, size_t size)
{
	size_t want, chunk;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	want = (size + 7) & ~(size_t)7;
	if (a->quota && (want > a->quota || a->used > a->quota - want))
		return NULL;
	a->used += want;
	if (COX_ARENA_MALLOC)
		return add_chunk(a, size ? size : 1)->bytes;
	if ((size_t)(a->end - a->next) >= want && a->next) {
		p = a->next;
		a->next += want;
		return p;
	}
	chunk = a->chunks ? a->chunks->size * 2 : CHUNK_MIN;
	if (chunk > CHUNK_MAX)
		chunk = CHUNK_MAX;
	/* A large object gets a chunk of its own, and the open one stays open. */
	if (want > chunk / 4 && a->next) {
		struct cox_arena_chunk *open = a->chunks, *own = new_chunk(a, want);

		own->next = open->next;
		open->next = own;
		return own->bytes;
	}
	if (chunk < want)
		chunk = want;
	a->next = add_chunk(a, chunk)->bytes;
	a->end = a->next + chunk;
	p = a->next;
	a->next += want;
	return p;
}

void cox_arena_reserve(struct cox_arena *a, size_t size)
{
	COX_ASSERT(!a->chunks);
	if (COX_ARENA_MALLOC || !size)
		return;
	a->next = add_chunk(a, size)->bytes;
	a->end = a->next + size;
}

void *cox_arena_calloc(struct cox_arena *a, size_t size)
{
	void *p = cox_arena_alloc(a, size);

	return p ? memset(p, 0, size) : NULL;
}

char *cox_arena_strndup(struct cox_arena *a, const char *s, size_t n)
{
	char *copy = cox_arena_alloc(a, n + 1);

	if (!copy)
		return NULL;
	if (n)
		memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}
