#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/rand.h"
#include "common/crypto/private.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <time.h>

/* What the two authorities and their leaves differ in. */
static const struct {
	const char *ca_name;
	const char *usage; /* extended; of the authority and of what it signs */
	uint32_t native_usage;
} purposes[] = {
	[COX_CA_HUB] = {"coxswain hub authority", "serverAuth", XKU_SSL_SERVER},
	[COX_CA_AGENTS] = {"coxswain agents authority", "clientAuth", XKU_SSL_CLIENT},
};

static void x509_free_p(X509 **x)
{
	X509_free(*x);
}
#define _cleanup_x509_ __attribute__((cleanup(x509_free_p)))

/* 128 random bits; the first one 0 so that it is positive, the second 1 so that it is never
 * shorter. */
static bool set_serial(X509 *x)
{
	uint8_t bytes[16];

	cox_random_bytes(bytes, sizeof(bytes));
	bytes[0] = (bytes[0] & 0x7f) | 0x40;
	return ASN1_STRING_set(X509_get_serialNumber(x), bytes, sizeof(bytes)) == 1;
}

static bool set_times(X509 *x, int64_t from_ms, int64_t to_ms)
{
	return ASN1_TIME_set(X509_getm_notBefore(x), (time_t)(from_ms / 1000)) &&
	       ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(to_ms / 1000));
}

static bool add_name(X509_NAME *name, const char *field, const char *text)
{
	return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const uint8_t *)text, -1, -1,
					  0) == 1;
}

/* The value is text of ours, never of a user: OpenSSL's syntax could be injected into. */
static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;
	bool fine;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	fine = extension && X509_add_ext(x, extension, -1);
	X509_EXTENSION_free(extension);
	return fine;
}

static int finish(X509 **x, struct cox_cert **ret_cert)
{
	struct cox_cert *cert = cox_new(struct cox_cert);

	cert->native = TAKE(*x);
	*ret_cert = cert;
	return 0;
}

int cox_ca_create(enum cox_ca_purpose purpose, const char *trust_domain, int64_t now_ms,
		  struct cox_key **ret_key, struct cox_cert **ret_cert, struct cox_error *err)
{
	COX_CLEANUP(cox_key_free_p) struct cox_key *key = NULL;
	_cleanup_x509_ X509 *x = X509_new();
	X509_NAME *name;
	int r;

	COX_ASSERT(x);
	r = cox_key_generate(&key, err);
	if (r < 0)
		return r;
	name = X509_get_subject_name(x);
	if (!X509_set_version(x, X509_VERSION_3) || !set_serial(x) ||
	    !set_times(x, now_ms - COX_CERT_BACKDATE_MS, now_ms + COX_CA_LIFETIME_MS) ||
	    !add_name(name, "O", trust_domain) ||
	    !add_name(name, "CN", purposes[purpose].ca_name) || !X509_set_issuer_name(x, name) ||
	    !X509_set_pubkey(x, key->native) ||
	    !add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
	    !add_extension(x, x, NID_key_usage, "critical,keyCertSign") ||
	    !add_extension(x, x, NID_ext_key_usage, purposes[purpose].usage) ||
	    !add_extension(x, x, NID_subject_key_identifier, "hash") ||
	    !X509_sign(x, key->native, EVP_sha256()))
		return crypto_error(err, COX_INVALID_ARGUMENT, "cannot make an authority");
	*ret_key = TAKE(key);
	return finish(&x, ret_cert);
}

static int check_issuer(const struct cox_issuer *issuer, enum cox_ca_purpose purpose,
			struct cox_error *err)
{
	if (X509_check_ca(issuer->ca->native) != 1 ||
	    X509_get_extended_key_usage(issuer->ca->native) != purposes[purpose].native_usage)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "'%s' cannot be signed by this authority",
				 purposes[purpose].usage);
	if (!cox_cert_is_of_key(issuer->ca, issuer->key))
		return cox_error(err, COX_INVALID_ARGUMENT, "the authority's key is another one");
	if (issuer->now_ms >= cox_cert_not_after_ms(issuer->ca))
		return cox_error(err, COX_FAILED_PRECONDITION, "the authority has expired");
	if (issuer->lifetime_ms <= 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "a certificate needs a lifetime");
	return 0;
}

static int issue(const struct cox_issuer *issuer, enum cox_ca_purpose purpose, EVP_PKEY *public_key,
		 const char *common_name, GENERAL_NAMES *names, struct cox_cert **ret_cert,
		 struct cox_error *err)
{
	int64_t end_ms = issuer->now_ms + issuer->lifetime_ms;
	int64_t ca_end_ms = cox_cert_not_after_ms(issuer->ca);
	X509 *ca = issuer->ca->native;
	_cleanup_x509_ X509 *x = X509_new();

	COX_ASSERT(x);
	if (!X509_set_version(x, X509_VERSION_3) || !set_serial(x) ||
	    !set_times(x, issuer->now_ms - COX_CERT_BACKDATE_MS,
		       end_ms < ca_end_ms ? end_ms : ca_end_ms) ||
	    !add_name(X509_get_subject_name(x), "CN", common_name) ||
	    !X509_set_issuer_name(x, X509_get_subject_name(ca)) ||
	    !X509_set_pubkey(x, public_key) ||
	    !add_extension(x, ca, NID_basic_constraints, "critical,CA:FALSE") ||
	    !add_extension(x, ca, NID_key_usage, "critical,digitalSignature") ||
	    !add_extension(x, ca, NID_ext_key_usage, purposes[purpose].usage) ||
	    !X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) ||
	    !add_extension(x, ca, NID_subject_key_identifier, "hash") ||
	    !add_extension(x, ca, NID_authority_key_identifier, "keyid:always") ||
	    !X509_sign(x, issuer->key->native, EVP_sha256()))
		return crypto_error(err, COX_INVALID_ARGUMENT, "cannot issue the certificate");
	return finish(&x, ret_cert);
}

static void push_name(GENERAL_NAMES *names, int type, int asn1_type, const void *bytes, size_t n)
{
	ASN1_STRING *text = ASN1_STRING_type_new(asn1_type);
	GENERAL_NAME *name = GENERAL_NAME_new();

	COX_ASSERT(text && name && ASN1_STRING_set(text, bytes, (int)n));
	GENERAL_NAME_set0_value(name, type, text);
	COX_ASSERT(sk_GENERAL_NAME_push(names, name));
}

static bool is_dns_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > 253 || name[0] == '-' || name[0] == '.' || strstr(name, ".."))
		return false;
	for (const char *p = name; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		      (*p >= '0' && *p <= '9') || *p == '-' || *p == '.' || *p == '_'))
			return false;
	return true;
}

static int push_host(GENERAL_NAMES *names, const char *host, struct cox_error *err)
{
	uint8_t address[16];

	if (inet_pton(AF_INET, host, address) == 1)
		push_name(names, GEN_IPADD, V_ASN1_OCTET_STRING, address, 4);
	else if (inet_pton(AF_INET6, host, address) == 1)
		push_name(names, GEN_IPADD, V_ASN1_OCTET_STRING, address, 16);
	else if (is_dns_name(host))
		push_name(names, GEN_DNS, V_ASN1_IA5STRING, host, strlen(host));
	else
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "'%s' is neither a host name nor an address", host);
	return 0;
}

int cox_issue_server(const struct cox_issuer *issuer, const struct cox_key *key,
		     const char *const *names, size_t n_names, struct cox_cert **ret_cert,
		     struct cox_error *err)
{
	GENERAL_NAMES *general;
	int r;

	r = check_issuer(issuer, COX_CA_HUB, err);
	if (r < 0)
		return r;
	if (n_names == 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "a server certificate needs a name");
	general = GENERAL_NAMES_new();
	COX_ASSERT(general);
	for (size_t i = 0; i < n_names && r == 0; i++)
		r = push_host(general, names[i], err);
	if (r == 0)
		r = issue(issuer, COX_CA_HUB, key->native, "coxswain hub", general, ret_cert, err);
	GENERAL_NAMES_free(general);
	return r;
}

int cox_issue_client(const struct cox_issuer *issuer, const struct cox_csr *csr,
		     const char *trust_domain, const char *cluster, struct cox_cert **ret_cert,
		     struct cox_error *err)
{
	_cleanup_free_ char *uri = NULL;
	GENERAL_NAMES *general;
	int r;

	r = check_issuer(issuer, COX_CA_AGENTS, err);
	if (r < 0)
		return r;
	if (!cox_name_is_safe(cluster))
		return cox_error(err, COX_INVALID_ARGUMENT, "'%s' is not a cluster's name",
				 cluster);
	if (!is_dns_name(trust_domain))
		return cox_error(err, COX_INVALID_ARGUMENT, "'%s' is not a trust domain",
				 trust_domain);
	uri = cox_asprintf("spiffe://%s/cluster/%s", trust_domain, cluster);
	general = GENERAL_NAMES_new();
	COX_ASSERT(general);
	push_name(general, GEN_URI, V_ASN1_IA5STRING, uri, strlen(uri));
	r = issue(issuer, COX_CA_AGENTS, csr->public_key, "coxswain agent", general, ret_cert, err);
	GENERAL_NAMES_free(general);
	return r;
}
