#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/crypto/pki.h"

#include "pki_test.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define NOW_MS	1790000000000LL /* 2026-09-21 */
#define HOUR_MS 3600000LL

struct authority {
	struct cox_key *key;
	struct cox_cert *cert;
};

static struct authority make_authority(enum cox_ca_purpose purpose)
{
	struct authority a;

	assert_int_equal(cox_ca_create(purpose, "fleet.example", NOW_MS, &a.key, &a.cert, NULL), 0);
	return a;
}

static void free_authority(struct authority *a)
{
	cox_key_free(a->key);
	cox_cert_free(a->cert);
}
#define _cleanup_authority_ COX_CLEANUP(free_authority)
#define _cleanup_key_	    COX_CLEANUP(cox_key_free_p)
#define _cleanup_cert_	    COX_CLEANUP(cox_cert_free_p)
#define _cleanup_csr_	    COX_CLEANUP(cox_csr_free_p)

static struct cox_issuer issuer(const struct authority *a)
{
	return (struct cox_issuer){
		.ca = a->cert, .key = a->key, .now_ms = NOW_MS, .lifetime_ms = 24 * HOUR_MS};
}

static struct cox_csr *make_request(const struct cox_key *key, const char *name)
{
	_cleanup_buf_ struct cox_buf der = COX_BUF_INIT;
	struct cox_csr *csr;

	assert_int_equal(cox_csr_create(key, name, &der, NULL), 0);
	assert_int_equal(cox_csr_parse(cox_buf_str(&der), &csr, NULL), 0);
	return csr;
}

/* OpenSSL's own view of a certificate. */
static X509 *native(const struct cox_cert *cert)
{
	_cleanup_buf_ struct cox_buf der = COX_BUF_INIT;
	const uint8_t *at;
	X509 *x;

	cox_cert_to_der(cert, &der);
	at = (const uint8_t *)der.ptr;
	x = d2i_X509(NULL, &at, (long)der.len);
	assert_non_null(x);
	return x;
}

void test_keys(void **state)
{
	_cleanup_key_ struct cox_key *key = NULL, *again = NULL, *none = NULL;
	_cleanup_buf_ struct cox_buf pem = COX_BUF_INIT, cut = COX_BUF_INIT, rsa = COX_BUF_INIT;
	uint8_t one[COX_SHA256_BYTES], two[COX_SHA256_BYTES];
	struct cox_error err;
	EVP_PKEY *foreign;
	BIO *bio;
	char *text;
	long n;

	(void)state;
	assert_int_equal(cox_key_generate(&key, &err), 0);
	cox_key_to_pem(key, &pem);
	assert_true(cox_str_starts(cox_buf_str(&pem), "-----BEGIN PRIVATE KEY-----\n"));
	assert_int_equal(cox_key_from_pem(cox_buf_str(&pem), &again, &err), 0);
	cox_key_pin(key, one);
	cox_key_pin(again, two);
	assert_memory_equal(one, two, sizeof(one));
	cox_buf_add(&cut, pem.ptr, pem.len / 2);
	assert_int_equal(cox_key_from_pem(cox_buf_str(&cut), &none, &err), -COX_INVALID_ARGUMENT);
	assert_int_equal(cox_key_from_pem(COX_STR(""), &none, &err), -COX_INVALID_ARGUMENT);
	/* Another kind of key. */
	foreign = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	bio = BIO_new(BIO_s_mem());
	assert_true(PEM_write_bio_PrivateKey(bio, foreign, NULL, NULL, 0, NULL, NULL));
	n = BIO_get_mem_data(bio, &text);
	assert_int_equal(cox_key_from_pem(cox_str_n(text, (size_t)n), &none, &err),
			 -COX_INVALID_ARGUMENT);
	BIO_free(bio);
	/* One behind a passphrase is refused, nobody is asked. */
	bio = BIO_new(BIO_s_mem());
	assert_true(
		PEM_write_bio_PKCS8PrivateKey(bio, foreign, EVP_aes_256_cbc(), "x", 1, NULL, NULL));
	n = BIO_get_mem_data(bio, &text);
	assert_int_equal(cox_key_from_pem(cox_str_n(text, (size_t)n), &none, &err),
			 -COX_INVALID_ARGUMENT);
	BIO_free(bio);
	EVP_PKEY_free(foreign);
	assert_null(none);
}

void test_requests(void **state)
{
	_cleanup_key_ struct cox_key *key = NULL;
	_cleanup_csr_ struct cox_csr *csr = NULL, *none = NULL;
	_cleanup_buf_ struct cox_buf der = COX_BUF_INIT;
	uint8_t one[COX_SHA256_BYTES], two[COX_SHA256_BYTES];
	struct cox_error err;
	int n_refused = 0;

	(void)state;
	assert_int_equal(cox_key_generate(&key, &err), 0);
	assert_int_equal(cox_csr_create(key, "anything", &der, &err), 0);
	assert_int_equal(cox_csr_parse(cox_buf_str(&der), &csr, &err), 0);
	cox_key_pin(key, one);
	cox_csr_pin(csr, two);
	assert_memory_equal(one, two, sizeof(one));
	/* No altered request passes: its own signature covers all of it. */
	for (size_t i = 0; i < der.len; i++) {
		der.ptr[i] ^= 0x10;
		if (cox_csr_parse(cox_buf_str(&der), &none, &err) < 0)
			n_refused++;
		der.ptr[i] ^= 0x10;
	}
	assert_int_equal(n_refused, der.len);
	cox_buf_putc(&der, 'x');
	assert_int_equal(cox_csr_parse(cox_buf_str(&der), &none, &err), -COX_INVALID_ARGUMENT);
	cox_buf_clear(&der);
	for (int i = 0; i < COX_LIMIT_CSR_BYTES; i++)
		cox_buf_putc(&der, 'x');
	assert_int_equal(cox_csr_parse(cox_buf_str(&der), &none, &err), -COX_INVALID_ARGUMENT);
	cox_buf_putc(&der, 'x');
	assert_int_equal(cox_csr_parse(cox_buf_str(&der), &none, &err), -COX_RESOURCE_EXHAUSTED);
	assert_null(none);
}

void test_authorities(void **state)
{
	_cleanup_authority_ struct authority hub = make_authority(COX_CA_HUB);
	_cleanup_authority_ struct authority agents = make_authority(COX_CA_AGENTS);
	_cleanup_key_ struct cox_key *key = NULL;
	_cleanup_cert_ struct cox_cert *cert = NULL, *again = NULL;
	_cleanup_csr_ struct cox_csr *csr = NULL;
	_cleanup_buf_ struct cox_buf pem = COX_BUF_INIT;
	uint8_t one[COX_SHA256_BYTES], two[COX_SHA256_BYTES];
	struct cox_issuer of_hub = issuer(&hub), of_agents = issuer(&agents);
	const char *name = "hub.example";
	struct cox_error err;

	(void)state;
	assert_int_equal(cox_key_generate(&key, &err), 0);
	csr = make_request(key, "x");
	/* Neither authority signs what is the other's. */
	assert_int_equal(cox_issue_server(&of_agents, key, &name, 1, &cert, &err),
			 -COX_INVALID_ARGUMENT);
	assert_int_equal(cox_issue_client(&of_hub, csr, "fleet.example", "dev", &cert, &err),
			 -COX_INVALID_ARGUMENT);
	of_hub.key = agents.key;
	assert_int_equal(cox_issue_server(&of_hub, key, &name, 1, &cert, &err),
			 -COX_INVALID_ARGUMENT);
	assert_null(cert);
	/* The certificate reads back. */
	cox_buf_puts(&pem, "a comment before\n");
	cox_cert_to_pem(hub.cert, &pem);
	assert_int_equal(cox_cert_from_pem(cox_buf_str(&pem), &again, &err), 0);
	cox_cert_fingerprint(hub.cert, one);
	cox_cert_fingerprint(again, two);
	assert_memory_equal(one, two, sizeof(one));
	cox_cert_pin(again, one);
	cox_key_pin(hub.key, two);
	assert_memory_equal(one, two, sizeof(one));
	assert_true(cox_cert_is_of_key(again, hub.key));
	assert_false(cox_cert_is_of_key(again, agents.key));
	/* An authority is nobody's server. */
	assert_int_equal(cox_cert_verify(hub.cert, again, NOW_MS, &err), -COX_UNAUTHENTICATED);
}

void test_server_certificate(void **state)
{
	static const char *const names[] = {"hub.example", "127.0.0.1", "::1"};
	_cleanup_authority_ struct authority hub = make_authority(COX_CA_HUB);
	_cleanup_authority_ struct authority other = make_authority(COX_CA_HUB);
	_cleanup_key_ struct cox_key *key = NULL;
	_cleanup_cert_ struct cox_cert *cert = NULL, *none = NULL;
	struct cox_issuer of_hub = issuer(&hub);
	const char *bad[] = {"", "a b", "evil,DNS:x", "-x", "a..b", "spiffe://x"};
	struct cox_error err;
	X509 *x;

	(void)state;
	assert_int_equal(cox_key_generate(&key, &err), 0);
	assert_int_equal(cox_issue_server(&of_hub, key, names, 3, &cert, &err), 0);
	x = native(cert);
	assert_int_equal(X509_check_host(x, "hub.example", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "other.example", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 0), 0);
	X509_free(x);
	assert_true(cox_cert_is_of_key(cert, key));
	assert_int_equal(cox_cert_verify(cert, hub.cert, NOW_MS, &err), 0);
	assert_int_equal(cox_cert_verify(cert, other.cert, NOW_MS, &err), -COX_UNAUTHENTICATED);
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++)
		assert_int_equal(cox_issue_server(&of_hub, key, &bad[i], 1, &none, &err),
				 -COX_INVALID_ARGUMENT);
	assert_int_equal(cox_issue_server(&of_hub, key, names, 0, &none, &err),
			 -COX_INVALID_ARGUMENT);
	assert_null(none);
}

void test_client_certificate(void **state)
{
	_cleanup_authority_ struct authority agents = make_authority(COX_CA_AGENTS);
	_cleanup_authority_ struct authority hub = make_authority(COX_CA_HUB);
	_cleanup_key_ struct cox_key *key = NULL;
	_cleanup_cert_ struct cox_cert *cert = NULL, *second = NULL;
	_cleanup_csr_ struct cox_csr *csr = NULL;
	_cleanup_free_ char *cluster = NULL, *serial = NULL, *other_serial = NULL;
	struct cox_issuer of_agents = issuer(&agents);
	struct cox_error err;
	char subject[256];
	X509 *x;

	(void)state;
	assert_int_equal(cox_key_generate(&key, &err), 0);
	/* What the request says about itself is not believed. */
	csr = make_request(key, "spiffe://fleet.example/cluster/prod");
	assert_int_equal(cox_issue_client(&of_agents, csr, "fleet.example", "dev", &cert, &err), 0);
	assert_int_equal(cox_cert_cluster(cert, "fleet.example", &cluster, &err), 0);
	assert_string_equal(cluster, "dev");
	x = native(cert);
	X509_NAME_oneline(X509_get_subject_name(x), subject, sizeof(subject));
	assert_null(strstr(subject, "prod"));
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_CLIENT);
	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0), 0);
	assert_true(X509_get_extension_flags(x) & EXFLAG_BCONS);
	X509_free(x);
	assert_int_equal(cox_cert_verify(cert, agents.cert, NOW_MS, &err), 0);
	assert_int_equal(cox_cert_verify(cert, hub.cert, NOW_MS, &err), -COX_UNAUTHENTICATED);
	assert_int_equal(cox_issue_client(&of_agents, csr, "fleet.example", "dev", &second, &err),
			 0);
	serial = cox_cert_serial(cert);
	other_serial = cox_cert_serial(second);
	assert_int_equal(strlen(serial), 32);
	assert_string_not_equal(serial, other_serial);
}

/* A client certificate by the agents' key with any names that one likes. */
static struct cox_cert *forge(const struct authority *a, const char *names)
{
	_cleanup_buf_ struct cox_buf der = COX_BUF_INIT;
	struct cox_cert *cert;
	X509 *x = native(a->cert);
	_cleanup_buf_ struct cox_buf pem = COX_BUF_INIT;
	EVP_PKEY *key;
	uint8_t *out = NULL;
	BIO *bio;
	int n;

	cox_key_to_pem(a->key, &pem);
	bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (names) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

		assert_non_null(e);
		assert_true(X509_add_ext(x, e, -1));
		X509_EXTENSION_free(e);
	}
	assert_true(X509_sign(x, key, EVP_sha256()));
	n = i2d_X509(x, &out);
	assert_int_equal(cox_cert_from_der(cox_str_n((char *)out, (size_t)n), &cert, NULL), 0);
	OPENSSL_free(out);
	EVP_PKEY_free(key);
	X509_free(x);
	return cert;
}

/* Names that are nearly right, after CVE-2026-4740 of OCM: only the exact one is somebody. */
void test_identity(void **state)
{
	static const char *const refused[] = {
		NULL,
		"DNS:dev",
		"URI:spiffe://fleet.example/cluster/",
		"URI:spiffe://fleet.example/cluster/dev/",
		"URI:spiffe://fleet.example/cluster/dev/admin",
		"URI:spiffe://fleet.example/cluster/..",
		"URI:spiffe://fleet.example/cluster/DEV",
		"URI:spiffe://fleet.example/cluster/d v",
		"URI:spiffe://fleet.example/cluster/dev:x",
		"URI:spiffe://fleet.example/cluster/d%65v",
		"URI:spiffe://fleet.example/clusters/dev",
		"URI:spiffe://fleet.example.evil/cluster/dev",
		"URI:spiffe://evil.fleet.example/cluster/dev",
		"URI:SPIFFE://fleet.example/cluster/dev",
		"URI: spiffe://fleet.example/cluster/dev/x",
		"URI:http://fleet.example/cluster/dev",
		"URI:spiffe://fleet.example/cluster/dev,URI:spiffe://fleet.example/cluster/prod",
		"URI:spiffe://fleet.example/cluster/dev,DNS:hub",
		"email:spiffe@fleet.example",
	};
	_cleanup_authority_ struct authority agents = make_authority(COX_CA_AGENTS);
	_cleanup_free_ char *cluster = NULL;
	struct cox_error err;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(refused); i++) {
		_cleanup_cert_ struct cox_cert *cert = forge(&agents, refused[i]);

		assert_int_equal(cox_cert_cluster(cert, "fleet.example", &cluster, &err),
				 -COX_PERMISSION_DENIED);
		assert_null(cluster);
	}
	{
		_cleanup_cert_ struct cox_cert *cert =
			forge(&agents, "URI:spiffe://fleet.example/cluster/dev");

		assert_int_equal(cox_cert_cluster(cert, "fleet.example", &cluster, &err), 0);
		assert_string_equal(cluster, "dev");
	}
	{
		_cleanup_key_ struct cox_key *key = NULL;
		_cleanup_csr_ struct cox_csr *csr = NULL;
		_cleanup_cert_ struct cox_cert *cert = NULL;
		struct cox_issuer of_agents = issuer(&agents);
		static const char *const names[] = {"", "..", "a/b", "A", "a b", "-a", "a,URI:b"};

		assert_int_equal(cox_key_generate(&key, &err), 0);
		csr = make_request(key, "x");
		for (size_t i = 0; i < COX_ARRAY_LEN(names); i++)
			assert_int_equal(cox_issue_client(&of_agents, csr, "fleet.example",
							  names[i], &cert, &err),
					 -COX_INVALID_ARGUMENT);
		assert_int_equal(cox_issue_client(&of_agents, csr, "a/b", "dev", &cert, &err),
				 -COX_INVALID_ARGUMENT);
	}
}

void test_lifetimes(void **state)
{
	_cleanup_authority_ struct authority agents = make_authority(COX_CA_AGENTS);
	_cleanup_key_ struct cox_key *key = NULL;
	_cleanup_csr_ struct cox_csr *csr = NULL;
	_cleanup_cert_ struct cox_cert *cert = NULL, *late = NULL;
	struct cox_issuer of_agents = issuer(&agents);
	int64_t ca_end_ms = cox_cert_not_after_ms(agents.cert);
	struct cox_error err;

	(void)state;
	assert_int_equal(cox_key_generate(&key, &err), 0);
	csr = make_request(key, "x");
	assert_int_equal(cox_issue_client(&of_agents, csr, "fleet.example", "dev", &cert, &err), 0);
	assert_true(cox_cert_not_before_ms(cert) == NOW_MS - 5 * 60 * 1000);
	assert_true(cox_cert_not_after_ms(cert) == NOW_MS + 24 * HOUR_MS);
	assert_true(ca_end_ms == NOW_MS + COX_CA_LIFETIME_MS);
	assert_int_equal(cox_cert_verify(cert, agents.cert, NOW_MS - 5 * 60 * 1000, &err), 0);
	assert_int_equal(cox_cert_verify(cert, agents.cert, NOW_MS - 5 * 60 * 1000 - 1000, &err),
			 -COX_UNAUTHENTICATED);
	assert_int_equal(cox_cert_verify(cert, agents.cert, NOW_MS + 24 * HOUR_MS - 1000, &err), 0);
	assert_int_equal(cox_cert_verify(cert, agents.cert, NOW_MS + 24 * HOUR_MS + 1000, &err),
			 -COX_UNAUTHENTICATED);
	/* A leaf does not outlive its authority. */
	of_agents.now_ms = ca_end_ms - HOUR_MS;
	assert_int_equal(cox_issue_client(&of_agents, csr, "fleet.example", "dev", &late, &err), 0);
	assert_true(cox_cert_not_after_ms(late) == ca_end_ms);
	of_agents.now_ms = ca_end_ms;
	cox_cert_free(TAKE(late));
	assert_int_equal(cox_issue_client(&of_agents, csr, "fleet.example", "dev", &late, &err),
			 -COX_FAILED_PRECONDITION);
}
