/* One-time and bearer tokens: 256 random bits as text. Only the SHA-256 of a token is stored; since
 * the token has full entropy, no salt and no slow hash are needed.
 *
 * Threads: any. */
#ifndef COX_CRYPTO_TOKEN_H
#define COX_CRYPTO_TOKEN_H

#include "common/crypto/digest.h"

#define COX_TOKEN_TEXT 48 /* "cox_", 43 characters of base64url, the terminator */

/* A new token, for one pair of eyes. */
void cox_token_new(char ret_text[COX_TOKEN_TEXT]);

/* Whether text looks like a token at all; says nothing about its validity. */
bool cox_token_is_shaped(struct cox_str text);

/* What to store instead of the token. */
void cox_token_hash(struct cox_str text, uint8_t ret_hash[COX_SHA256_BYTES]);

/* Whether text is the token that the hash was made of; constant time. */
bool cox_token_matches(struct cox_str text, const uint8_t hash[COX_SHA256_BYTES]);

#endif
