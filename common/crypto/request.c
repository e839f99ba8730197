#include "common/base/mem.h"
#include "common/crypto/private.h"

#include <openssl/err.h>
#include <openssl/pem.h>

int cox_csr_create(const struct cox_key *key, const char *common_name, struct cox_buf *out_der,
		   struct cox_error *err)
{
	X509_REQ *req = X509_REQ_new();
	uint8_t *der = NULL;
	X509_NAME *name;
	int n = -1;

	COX_ASSERT(req);
	name = X509_REQ_get_subject_name(req);
	if (X509_REQ_set_version(req, X509_REQ_VERSION_1) &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)common_name, -1,
				       -1, 0) &&
	    X509_REQ_set_pubkey(req, key->native) && X509_REQ_sign(req, key->native, EVP_sha256()))
		n = i2d_X509_REQ(req, &der);
	X509_REQ_free(req);
	if (n <= 0)
		return crypto_error(err, COX_INVALID_ARGUMENT, "cannot make a signing request");
	cox_buf_add(out_der, der, (size_t)n);
	OPENSSL_free(der);
	return 0;
}

static X509_REQ *read_request(struct cox_str text)
{
	const uint8_t *at = (const uint8_t *)text.ptr;
	X509_REQ *req;

	if (cox_str_starts(text, "-----BEGIN")) {
		_cleanup_bio_ BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);

		return PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	}
	req = at ? d2i_X509_REQ(NULL, &at, (long)text.len) : NULL;
	if (req && at != (const uint8_t *)text.ptr + text.len) {
		X509_REQ_free(req);
		return NULL;
	}
	return req;
}

int cox_csr_parse(struct cox_str text, struct cox_csr **ret_csr, struct cox_error *err)
{
	COX_CLEANUP(cox_csr_free_p) struct cox_csr *csr = NULL;

	if (text.len > COX_LIMIT_CSR_BYTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "signing request is longer than %d bytes", COX_LIMIT_CSR_BYTES);
	csr = cox_new(struct cox_csr);
	csr->native = read_request(text);
	if (!csr->native)
		return crypto_error(err, COX_INVALID_ARGUMENT, "cannot read the signing request");
	csr->public_key = X509_REQ_get_pubkey(csr->native);
	if (!csr->public_key || !crypto_is_p256(csr->public_key)) {
		ERR_clear_error();
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "signing request's key is not of type P-256");
	}
	if (X509_REQ_verify(csr->native, csr->public_key) != 1) {
		ERR_clear_error();
		return cox_error(err, COX_UNAUTHENTICATED,
				 "signing request is not signed by its own key");
	}
	*ret_csr = TAKE(csr);
	return 0;
}

void cox_csr_pin(const struct cox_csr *csr, uint8_t ret_pin[COX_SHA256_BYTES])
{
	crypto_pin(csr->public_key, ret_pin);
}

void cox_csr_free(struct cox_csr *csr)
{
	if (!csr)
		return;
	EVP_PKEY_free(csr->public_key);
	X509_REQ_free(csr->native);
	free(csr);
}
