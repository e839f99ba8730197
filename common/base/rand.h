/* Randomness from the kernel, and a seeded generator for what must be repeatable. */
#ifndef COX_BASE_RAND_H
#define COX_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* getrandom(2); never fails, never short. */
void cox_random_bytes(void *ret_bytes, size_t n);

#define COX_UUID_TEXT 37
/* A random UUID (RFC 9562, version 4) in lower case. */
void cox_uuid_new(char ret_text[COX_UUID_TEXT]);

/* xoshiro256**, Blackman and Vigna, https://prng.di.unimi.it/; for simulations and jitter, never
 * for secrets. Pure rooms take one as a parameter. */
struct cox_rng {
	uint64_t s[4];
};

void cox_rng_init(struct cox_rng *r, uint64_t seed);
uint64_t cox_rng_next(struct cox_rng *r);
/* Uniform in [0, n); n > 0. */
uint64_t cox_rng_below(struct cox_rng *r, uint64_t n);
/* base_ms * 2^attempt, at most max_ms, then uniform in [0, that]: full jitter. */
int64_t cox_backoff_ms(struct cox_rng *r, int64_t base_ms, int64_t max_ms, unsigned attempt);

#endif
