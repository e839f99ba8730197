/* What hub and agent compare to know that they agree on desired state: one stamp an application,
 * and a digest over all of them (coxswain.assignment.v1.Resume.digest, the hello's
 * assignments_digest).
 *
 * The digest is SHA-256 over the stamps in order of app_uid (by bytes), each as
 *	u32 length of app_uid, app_uid, u8 1 (assignment) or 2 (tombstone), u64 epoch,
 *	u64 generation, target digest (32 bytes), sync digest (32 bytes)
 * integers big-endian, digests all zero where there is none. A tombstone counts until it is done
 * (reported as deleted) and forgotten on both sides. Of no stamps it is SHA-256 of nothing.
 * Pure; any thread. */
#ifndef COX_CTL_STAMP_H
#define COX_CTL_STAMP_H

#include "common/base/buf.h"
#include "common/crypto/digest.h"

#include <stdbool.h>
#include <stdint.h>

struct cox_stamp {
	struct cox_str app_uid; /* borrowed */
	bool tombstone;
	uint64_t epoch, generation;
	uint8_t target_digest[COX_SHA256_BYTES];
	uint8_t sync_digest[COX_SHA256_BYTES];
};

/* <0, 0, >0: (epoch, generation) of a before, equal to or after b's. */
int cox_stamp_order(uint64_t epoch_a, uint64_t generation_a, uint64_t epoch_b,
		    uint64_t generation_b);
/* Sorts the stamps. */
void cox_stamps_digest(struct cox_stamp *stamps, size_t n, uint8_t ret_digest[COX_SHA256_BYTES]);
/* A digest as a message has it; zeros when it hasn't 32 bytes. */
void cox_stamp_set_digest(uint8_t ret_digest[COX_SHA256_BYTES], const uint8_t *bytes, size_t n);

#endif
