#include "common/base/rand.h"

#include "common/base/encode.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

void cox_random_bytes(void *ret_bytes, size_t n)
{
	char *p = ret_bytes;

	while (n) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		COX_ASSERT(got > 0);
		p += got;
		n -= (size_t)got;
	}
}

void cox_uuid_new(char ret_text[COX_UUID_TEXT])
{
	uint8_t b[16];
	char h[33];

	cox_random_bytes(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	cox_hex_encode(b, sizeof(b), h);
	snprintf(ret_text, COX_UUID_TEXT, "%.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12, h + 16,
		 h + 20);
}

void cox_rng_init(struct cox_rng *r, uint64_t seed)
{
	/* SplitMix64 spreads the seed, as the authors advise. */
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15ULL;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
		r->s[i] = z ^ (z >> 31);
	}
}

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

uint64_t cox_rng_next(struct cox_rng *r)
{
	uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

uint64_t cox_rng_below(struct cox_rng *r, uint64_t n)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;

	COX_ASSERT(n > 0);
	do
		x = cox_rng_next(r);
	while (x >= limit);
	return x % n;
}

int64_t cox_backoff_ms(struct cox_rng *r, int64_t base_ms, int64_t max_ms, unsigned attempt)
{
	int64_t ceiling = base_ms;

	for (unsigned i = 0; i < attempt && ceiling < max_ms; i++)
		ceiling *= 2;
	if (ceiling > max_ms)
		ceiling = max_ms;
	return (int64_t)cox_rng_below(r, (uint64_t)ceiling + 1);
}
