#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/crypto/private.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <time.h>

static int wrap(X509 *native, struct cox_cert **ret_cert, struct cox_error *err)
{
	struct cox_cert *cert;

	if (!native)
		return crypto_error(err, COX_INVALID_ARGUMENT, "cannot read the certificate");
	cert = cox_new(struct cox_cert);
	cert->native = native;
	*ret_cert = cert;
	return 0;
}

int cox_cert_from_pem(struct cox_str pem, struct cox_cert **ret_cert, struct cox_error *err)
{
	_cleanup_bio_ BIO *bio = NULL;

	if (pem.len > COX_LIMIT_PEM_BYTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "certificate is longer than %d bytes",
				 COX_LIMIT_PEM_BYTES);
	bio = BIO_new_mem_buf(pem.ptr ? pem.ptr : "", (int)pem.len);
	COX_ASSERT(bio);
	return wrap(PEM_read_bio_X509(bio, NULL, NULL, NULL), ret_cert, err);
}

int cox_cert_from_der(struct cox_str der, struct cox_cert **ret_cert, struct cox_error *err)
{
	const uint8_t *at = (const uint8_t *)der.ptr;
	X509 *native;

	if (der.len > COX_LIMIT_PEM_BYTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "certificate is longer than %d bytes",
				 COX_LIMIT_PEM_BYTES);
	native = at ? d2i_X509(NULL, &at, (long)der.len) : NULL;
	if (native && at != (const uint8_t *)der.ptr + der.len) {
		X509_free(native);
		return cox_error(err, COX_INVALID_ARGUMENT, "something follows the certificate");
	}
	return wrap(native, ret_cert, err);
}

void cox_cert_to_pem(const struct cox_cert *cert, struct cox_buf *out)
{
	_cleanup_bio_ BIO *bio = BIO_new(BIO_s_mem());

	COX_ASSERT(bio && PEM_write_bio_X509(bio, cert->native));
	crypto_take_bio(bio, out);
}

void cox_cert_to_der(const struct cox_cert *cert, struct cox_buf *out)
{
	uint8_t *der = NULL;
	int n = i2d_X509(cert->native, &der);

	COX_ASSERT(n > 0);
	cox_buf_add(out, der, (size_t)n);
	OPENSSL_free(der);
}

void cox_cert_fingerprint(const struct cox_cert *cert, uint8_t ret_digest[COX_SHA256_BYTES])
{
	COX_ASSERT(X509_digest(cert->native, EVP_sha256(), ret_digest, NULL));
}

void cox_cert_pin(const struct cox_cert *cert, uint8_t ret_pin[COX_SHA256_BYTES])
{
	EVP_PKEY *key = X509_get0_pubkey(cert->native);

	/* A certificate whose key is of no known kind has the pin that no key has. */
	memset(ret_pin, 0, COX_SHA256_BYTES);
	if (key)
		crypto_pin(key, ret_pin);
	ERR_clear_error();
}

static int64_t to_ms(const ASN1_TIME *t)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(t, &tm))
		return 0;
	return (int64_t)timegm(&tm) * 1000;
}

int64_t cox_cert_not_before_ms(const struct cox_cert *cert)
{
	return to_ms(X509_get0_notBefore(cert->native));
}

int64_t cox_cert_not_after_ms(const struct cox_cert *cert)
{
	return to_ms(X509_get0_notAfter(cert->native));
}

char *cox_cert_serial(const struct cox_cert *cert)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert->native);
	size_t n = (size_t)ASN1_STRING_length(serial);
	char *text = cox_malloc(2 * n + 1);

	cox_hex_encode(ASN1_STRING_get0_data(serial), n, text);
	return text;
}

bool cox_cert_is_of_key(const struct cox_cert *cert, const struct cox_key *key)
{
	EVP_PKEY *own = X509_get0_pubkey(cert->native);

	return own && EVP_PKEY_eq(own, key->native) == 1;
}

/* The purpose that a CA of ours carries; -1 for any other certificate. */
static int purpose_of(X509 *ca)
{
	uint32_t usage = X509_get_extended_key_usage(ca);

	if (usage == XKU_SSL_SERVER)
		return X509_PURPOSE_SSL_SERVER;
	if (usage == XKU_SSL_CLIENT)
		return X509_PURPOSE_SSL_CLIENT;
	return -1;
}

static int verify_in(X509_STORE_CTX *context, X509_STORE *store, const struct cox_cert *cert,
		     const struct cox_cert *ca, int64_t now_ms, struct cox_error *err)
{
	X509_VERIFY_PARAM *param;
	int purpose = purpose_of(ca->native);

	if (purpose < 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the authority's certificate has neither purpose");
	COX_ASSERT(X509_STORE_add_cert(store, ca->native) &&
		   X509_STORE_CTX_init(context, store, cert->native, NULL));
	param = X509_STORE_CTX_get0_param(context);
	X509_VERIFY_PARAM_set_time(param, (time_t)(now_ms / 1000));
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
	X509_VERIFY_PARAM_set_purpose(param, purpose);
	if (X509_verify_cert(context) == 1)
		return 0;
	return cox_error(err, COX_UNAUTHENTICATED, "certificate is not valid: %s",
			 X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
}

int cox_cert_verify(const struct cox_cert *cert, const struct cox_cert *ca, int64_t now_ms,
		    struct cox_error *err)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_STORE *store = X509_STORE_new();
	int r;

	COX_ASSERT(context && store);
	r = verify_in(context, store, cert, ca, now_ms, err);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	ERR_clear_error();
	return r;
}

static int cluster_of(const GENERAL_NAMES *names, const char *trust_domain, char **ret_cluster,
		      struct cox_error *err)
{
	_cleanup_free_ char *prefix = cox_asprintf("spiffe://%s/cluster/", trust_domain);
	_cleanup_free_ char *cluster = NULL;
	const ASN1_IA5STRING *uri;
	struct cox_str text;

	if (sk_GENERAL_NAME_num(names) != 1 || sk_GENERAL_NAME_value(names, 0)->type != GEN_URI)
		return cox_error(err, COX_PERMISSION_DENIED,
				 "client certificate needs exactly one name, a URI");
	uri = sk_GENERAL_NAME_value(names, 0)->d.uniformResourceIdentifier;
	text = cox_str_n((const char *)ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri));
	if (!cox_str_starts(text, prefix))
		return cox_error(err, COX_PERMISSION_DENIED,
				 "client certificate is not of trust domain '%s'", trust_domain);
	text.ptr += strlen(prefix);
	text.len -= strlen(prefix);
	cluster = cox_str_dup(text);
	/* A NUL inside would make the two lengths differ. */
	if (strlen(cluster) != text.len || !cox_name_is_safe(cluster))
		return cox_error(err, COX_PERMISSION_DENIED,
				 "client certificate names no plain cluster");
	*ret_cluster = TAKE(cluster);
	return 0;
}

int cox_cert_cluster(const struct cox_cert *cert, const char *trust_domain, char **ret_cluster,
		     struct cox_error *err)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert->native, NID_subject_alt_name, NULL, NULL);
	int r;

	if (!names) {
		ERR_clear_error();
		return cox_error(err, COX_PERMISSION_DENIED, "client certificate has no name");
	}
	r = cluster_of(names, trust_domain, ret_cluster, err);
	GENERAL_NAMES_free(names);
	return r;
}

void cox_cert_free(struct cox_cert *cert)
{
	if (!cert)
		return;
	X509_free(cert->native);
	free(cert);
}
