#include "common/ctl/stamp.h"

#include <stdlib.h>

int cox_stamp_order(uint64_t epoch_a, uint64_t generation_a, uint64_t epoch_b,
		    uint64_t generation_b)
{
	if (epoch_a != epoch_b)
		return epoch_a < epoch_b ? -1 : 1;
	return (generation_a > generation_b) - (generation_a < generation_b);
}

static int by_uid(const void *a, const void *b)
{
	return cox_str_compare(((const struct cox_stamp *)a)->app_uid,
			       ((const struct cox_stamp *)b)->app_uid);
}

static void add_integer(struct cox_sha256 *hash, uint64_t value, size_t n_bytes)
{
	char bytes[8];

	for (size_t i = 0; i < n_bytes; i++)
		bytes[i] = (char)(value >> (8 * (n_bytes - 1 - i)));
	cox_sha256_update(hash, cox_str_n(bytes, n_bytes));
}

void cox_stamps_digest(struct cox_stamp *stamps, size_t n, uint8_t ret_digest[COX_SHA256_BYTES])
{
	struct cox_sha256 hash = COX_SHA256_INIT;

	if (n > 1)
		qsort(stamps, n, sizeof(*stamps), by_uid);
	cox_sha256_init(&hash);
	for (size_t i = 0; i < n; i++) {
		const struct cox_stamp *s = &stamps[i];

		add_integer(&hash, s->app_uid.len, 4);
		cox_sha256_update(&hash, s->app_uid);
		add_integer(&hash, s->tombstone ? 2 : 1, 1);
		add_integer(&hash, s->epoch, 8);
		add_integer(&hash, s->generation, 8);
		cox_sha256_update(&hash,
				  cox_str_n((const char *)s->target_digest, COX_SHA256_BYTES));
		cox_sha256_update(&hash, cox_str_n((const char *)s->sync_digest, COX_SHA256_BYTES));
	}
	cox_sha256_final(&hash, ret_digest);
}

void cox_stamp_set_digest(uint8_t ret_digest[COX_SHA256_BYTES], const uint8_t *bytes, size_t n)
{
	if (n == COX_SHA256_BYTES)
		memcpy(ret_digest, bytes, n);
	else
		memset(ret_digest, 0, COX_SHA256_BYTES);
}
