#include "common/base/mem.h"
#include "common/crypto/private.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

int crypto_error(struct cox_error *err, enum cox_code code, const char *doing)
{
	unsigned long first = ERR_get_error();
	const char *reason = first ? ERR_reason_error_string(first) : NULL;

	ERR_clear_error();
	return cox_error(err, code, "%s: %s", doing, reason ? reason : "not what it should be");
}

bool crypto_is_p256(EVP_PKEY *key)
{
	char group[64];
	size_t n;

	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), &n) &&
	       (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

void crypto_pin(EVP_PKEY *key, uint8_t ret_pin[COX_SHA256_BYTES])
{
	uint8_t *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	COX_ASSERT(n > 0);
	cox_sha256(cox_str_n((const char *)der, (size_t)n), ret_pin);
	OPENSSL_free(der);
}

void crypto_take_bio(BIO *bio, struct cox_buf *out)
{
	char *text;
	long n = BIO_get_mem_data(bio, &text);

	cox_buf_add(out, text, (size_t)n);
}

int cox_key_generate(struct cox_key **ret_key, struct cox_error *err)
{
	EVP_PKEY *native = EVP_EC_gen("P-256");
	struct cox_key *key;

	if (!native)
		return crypto_error(err, COX_INTERNAL, "cannot generate a key");
	key = cox_new(struct cox_key);
	key->native = native;
	*ret_key = key;
	return 0;
}

/* A key with a passphrase is refused instead of asking the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *data)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)data;
	return -1;
}

int cox_key_from_pem(struct cox_str pem, struct cox_key **ret_key, struct cox_error *err)
{
	_cleanup_bio_ BIO *bio = NULL;
	struct cox_key *key;
	EVP_PKEY *native;

	if (pem.len > COX_LIMIT_PEM_BYTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "private key is longer than %d bytes",
				 COX_LIMIT_PEM_BYTES);
	bio = BIO_new_mem_buf(pem.ptr ? pem.ptr : "", (int)pem.len);
	COX_ASSERT(bio);
	native = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (!native)
		return crypto_error(err, COX_INVALID_ARGUMENT, "cannot read the private key");
	if (!crypto_is_p256(native)) {
		EVP_PKEY_free(native);
		return cox_error(err, COX_INVALID_ARGUMENT, "private key is not of type P-256");
	}
	key = cox_new(struct cox_key);
	key->native = native;
	*ret_key = key;
	return 0;
}

void cox_key_to_pem(const struct cox_key *key, struct cox_buf *out)
{
	_cleanup_bio_ BIO *bio = BIO_new(BIO_s_secmem());

	COX_ASSERT(bio &&
		   PEM_write_bio_PKCS8PrivateKey(bio, key->native, NULL, NULL, 0, NULL, NULL));
	crypto_take_bio(bio, out);
}

void cox_key_pin(const struct cox_key *key, uint8_t ret_pin[COX_SHA256_BYTES])
{
	crypto_pin(key->native, ret_pin);
}

void cox_key_free(struct cox_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->native);
	free(key);
}
