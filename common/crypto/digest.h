/* SHA-256 and HMAC, by OpenSSL (this room and common/net/tls.c are its doors). Nothing here fails:
 * the algorithms are built in, and a process that cannot have them cannot start.
 *
 * Threads: functions any; struct cox_sha256 is job-local. */
#ifndef COX_CRYPTO_DIGEST_H
#define COX_CRYPTO_DIGEST_H

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COX_SHA256_BYTES 32
#define COX_SHA256_TEXT	 65 /* 64 lower-case digits and the terminator */

/* One shot. */
void cox_sha256(struct cox_str bytes, uint8_t ret_digest[COX_SHA256_BYTES]);
void cox_sha256_hex(struct cox_str bytes, char ret_text[COX_SHA256_TEXT]);

/* Piece by piece: init, update as often as needed, then final or final_hex once. A state that is
 * given up before its final goes to cox_sha256_fini, which takes finished ones too. */
struct cox_sha256 {
	void *context;
};
#define COX_SHA256_INIT ((struct cox_sha256){0})

void cox_sha256_init(struct cox_sha256 *s);
void cox_sha256_update(struct cox_sha256 *s, struct cox_str bytes);
void cox_sha256_final(struct cox_sha256 *s, uint8_t ret_digest[COX_SHA256_BYTES]);
void cox_sha256_final_hex(struct cox_sha256 *s, char ret_text[COX_SHA256_TEXT]);
void cox_sha256_fini(struct cox_sha256 *s);

/* RFC 2104 with SHA-256. */
void cox_hmac_sha256(struct cox_str key, struct cox_str bytes, uint8_t ret_mac[COX_SHA256_BYTES]);

/* HMAC with SHA-1: for nothing but the hashed host names of OpenSSH's known_hosts. */
#define COX_SHA1_BYTES 20
void cox_hmac_sha1(struct cox_str key, struct cox_str bytes, uint8_t ret_mac[COX_SHA1_BYTES]);

/* Equality in a time that depends on the lengths only. */
bool cox_equal_secret(struct cox_str a, struct cox_str b);

/* Overwrites what was secret, in a way that the compiler keeps. */
void cox_wipe(void *bytes, size_t n);

#endif
