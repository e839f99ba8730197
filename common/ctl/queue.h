/* A keyed work queue on the loop: what every level-triggered controller here is made of. Keys
 * travel, events do not: adding a key says "look at this again", and a look re-reads the world.
 *
 * - A key waits at most once, however often it is added.
 * - One look per key at a time; a key added while it is being looked at is looked at again.
 * - A look that fails is tried again after base_ms, doubling up to max_ms, with jitter; a success
 *   forgets the failures.
 * - A key may have a next due time (cox_queue_add_after); the earliest one wins.
 *
 * A look either ends inside the call, or goes on (a job in the pool) and is ended later by
 * cox_queue_done. Keys are looked at from the loop, never inside cox_queue_add, at most
 * COX_QUEUE_BURST a turn, so that a thousand dirty keys do not hold up a socket.
 *
 * Loop-owned, all of it. */
#ifndef COX_CTL_QUEUE_H
#define COX_CTL_QUEUE_H

#include "common/base/cleanup.h"
#include "common/run/loop.h"

#include <stddef.h>

#define COX_QUEUE_BURST 64

struct cox_queue;

enum cox_queue_result {
	COX_QUEUE_RETRY = -1, /* failed: again after the back-off */
	COX_QUEUE_OK = 0,
	COX_QUEUE_BUSY = 1, /* goes on; cox_queue_done will follow */
};

struct cox_queue_options {
	const char *name; /* for metrics */
	enum cox_queue_result (*look)(void *ctx, const char *key);
	void *ctx;
	int64_t base_ms, max_ms; /* 0: 1 s, 5 min */
	uint64_t seed;		 /* of the jitter; 0: drawn from the kernel */
};

struct cox_queue *cox_queue_new(struct cox_loop *loop, const struct cox_queue_options *options);
/* Looks that go on must have ended. */
void cox_queue_free(struct cox_queue *q);
DEFINE_CLEANUP(struct cox_queue *, cox_queue_free);

void cox_queue_add(struct cox_queue *q, const char *key);
/* No later than delay_ms from now. */
void cox_queue_add_after(struct cox_queue *q, const char *key, int64_t delay_ms);
/* The look of a key that answered BUSY has ended; result is OK or RETRY. */
void cox_queue_done(struct cox_queue *q, const char *key, enum cox_queue_result result);
/* Forgets failures and the due time; a look that goes on is not disturbed. */
void cox_queue_forget(struct cox_queue *q, const char *key);

/* For metrics and tests. */
struct cox_queue_stats {
	size_t ready, busy, delayed;
	uint64_t looks, retries;
};
void cox_queue_stats(const struct cox_queue *q, struct cox_queue_stats *ret_stats);

#endif
