/* Encryption at rest: AES-256-GCM with a key from a file beside the database.
 *
 * A sealed text is: version (1 byte, now 1), nonce (12 random bytes), ciphertext, tag (16 bytes);
 * COX_SEAL_OVERHEAD longer than the plain text. The associated data is not stored: whoever unseals
 * gives the same again (a row's table and key, so that no row can be moved under another name).
 * Random nonces bound one key to 2^32 sealed texts, which no store of ours comes near.
 *
 * Threads: struct cox_sealer is immutable; any thread may use it at the same time. */
#ifndef COX_CRYPTO_AEAD_H
#define COX_CRYPTO_AEAD_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"

#include <stdint.h>

#define COX_SEAL_KEY_BYTES 32
#define COX_SEAL_OVERHEAD  29

struct cox_sealer;

/* The key in the file at path: 0 when it was there, 1 when it was made now (0600, durable before
 * this returns; of two processes that make it at once, both end up with the same key). A file that
 * others can read, or that holds no key, is refused. With must_exist, a missing file is
 * COX_NOT_FOUND: a database that is there already cannot be read with a new key. */
int cox_sealer_open(const char *path, bool must_exist, struct cox_sealer **ret_sealer,
		    struct cox_error *err);
/* From bytes: for tests and for a key that comes from elsewhere. */
struct cox_sealer *cox_sealer_new(const uint8_t key[COX_SEAL_KEY_BYTES]);
/* Wipes the key. */
void cox_sealer_free(struct cox_sealer *s);
DEFINE_CLEANUP(struct cox_sealer *, cox_sealer_free);

/* Appends the sealed text to out. */
void cox_seal(const struct cox_sealer *s, struct cox_str plain, struct cox_str associated,
	      struct cox_buf *out);
/* Appends the plain text to out; COX_DATA_LOSS when it was altered, is of another key or of other
 * associated data (which of these cannot be told), or too short. */
int cox_unseal(const struct cox_sealer *s, struct cox_str sealed, struct cox_str associated,
	       struct cox_buf *out, struct cox_error *err);

#endif
