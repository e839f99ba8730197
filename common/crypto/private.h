/* What the files of this room share; nobody else includes it (it opens the door to OpenSSL). */
#ifndef COX_CRYPTO_PRIVATE_H
#define COX_CRYPTO_PRIVATE_H

#include "common/crypto/pki.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

struct cox_key {
	EVP_PKEY *native;
};

struct cox_cert {
	X509 *native;
};

struct cox_csr {
	X509_REQ *native;
	EVP_PKEY *public_key;
};

static inline void bio_free_p(BIO **b)
{
	BIO_free(*b);
}
#define _cleanup_bio_ __attribute__((cleanup(bio_free_p)))

/* Fills err with what OpenSSL says now, behind "doing: ", and empties its queue. */
int crypto_error(struct cox_error *err, enum cox_code code, const char *doing);
bool crypto_is_p256(EVP_PKEY *key);
/* SHA-256 over the SubjectPublicKeyInfo. */
void crypto_pin(EVP_PKEY *key, uint8_t ret_pin[COX_SHA256_BYTES]);
/* Appends what was written into a memory BIO. */
void crypto_take_bio(BIO *bio, struct cox_buf *out);

#endif
