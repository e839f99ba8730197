/* Keys and certificates: what enrolment needs and nothing more.
 *
 * Two self-signed CAs that never sign for each other: one for hubs (server certificates), one for
 * agents (client certificates). A CA certificate carries its purpose as extended key usage, so that
 * a leaf of the one is worthless in the place of the other. A client certificate says who it is by
 * exactly one name, URI:spiffe://<trust domain>/cluster/<name>; of a signing request only the
 * public key is used, never its subject or extensions.
 *
 * Keys are ECDSA P-256. Serials are 128 random bits. Times are milliseconds of the wall clock
 * (certificates count whole seconds), and come as parameters.
 *
 * Ownership: everything _new-like returns is the caller's and goes back with _free.
 * Threads: all structs are immutable once made. */
#ifndef COX_CRYPTO_PKI_H
#define COX_CRYPTO_PKI_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/crypto/digest.h"

#include <stdint.h>

#define COX_LIMIT_PEM_BYTES	    (256 << 10) /* a bundle of certificates */
#define COX_LIMIT_CSR_BYTES	    8192
#define COX_CERT_BACKDATE_MS	    (5 * 60 * 1000)
#define COX_CA_LIFETIME_MS	    (10LL * 365 * 24 * 3600 * 1000)
#define COX_SERVER_CERT_LIFETIME_MS (365LL * 24 * 3600 * 1000)
#define COX_CLIENT_CERT_LIFETIME_MS (24LL * 3600 * 1000)

/* ---- private keys ---- */

struct cox_key;

int cox_key_generate(struct cox_key **ret_key, struct cox_error *err);
/* PKCS #8 or SEC 1, unencrypted, P-256 only. */
int cox_key_from_pem(struct cox_str pem, struct cox_key **ret_key, struct cox_error *err);
/* PKCS #8, appended. The buffer holds a secret then: cox_wipe it. */
void cox_key_to_pem(const struct cox_key *key, struct cox_buf *out);
/* SHA-256 of the public key's SubjectPublicKeyInfo. */
void cox_key_pin(const struct cox_key *key, uint8_t ret_pin[COX_SHA256_BYTES]);
void cox_key_free(struct cox_key *key);
DEFINE_CLEANUP(struct cox_key *, cox_key_free);

/* ---- certificates ---- */

struct cox_cert;

/* The first certificate in the text; what follows it is ignored. */
int cox_cert_from_pem(struct cox_str pem, struct cox_cert **ret_cert, struct cox_error *err);
int cox_cert_from_der(struct cox_str der, struct cox_cert **ret_cert, struct cox_error *err);
/* Appended. */
void cox_cert_to_pem(const struct cox_cert *cert, struct cox_buf *out);
void cox_cert_to_der(const struct cox_cert *cert, struct cox_buf *out);
/* SHA-256 of the whole certificate. */
void cox_cert_fingerprint(const struct cox_cert *cert, uint8_t ret_digest[COX_SHA256_BYTES]);
/* SHA-256 of its SubjectPublicKeyInfo: what `--ca-pin` compares; stays when the CA's certificate is
 * made anew with the same key. */
void cox_cert_pin(const struct cox_cert *cert, uint8_t ret_pin[COX_SHA256_BYTES]);
int64_t cox_cert_not_before_ms(const struct cox_cert *cert);
int64_t cox_cert_not_after_ms(const struct cox_cert *cert);
/* Lower-case hexadecimal; the caller's. */
char *cox_cert_serial(const struct cox_cert *cert);
/* Whether the certificate belongs to this key. */
bool cox_cert_is_of_key(const struct cox_cert *cert, const struct cox_key *key);
/* Whether it was signed by that CA, is valid at now_ms, and may be used as the CA's purpose says.
 * (TLS checks the same during its handshake; this is for what arrives otherwise.) */
int cox_cert_verify(const struct cox_cert *cert, const struct cox_cert *ca, int64_t now_ms,
		    struct cox_error *err);
/* The cluster that a client certificate is for: the part after spiffe://<trust_domain>/cluster/ of
 * its only URI name. COX_PERMISSION_DENIED when there is no such name, more than one, another trust
 * domain, or a name that is not a plain one. The text is the caller's. */
int cox_cert_cluster(const struct cox_cert *cert, const char *trust_domain, char **ret_cluster,
		     struct cox_error *err);
void cox_cert_free(struct cox_cert *cert);
DEFINE_CLEANUP(struct cox_cert *, cox_cert_free);

/* ---- signing requests ---- */

struct cox_csr;

/* A request for this key, PKCS #10, appended as DER. */
int cox_csr_create(const struct cox_key *key, const char *common_name, struct cox_buf *out_der,
		   struct cox_error *err);
/* DER, or PEM when it begins like it, at most COX_LIMIT_CSR_BYTES. Refused unless it is signed by
 * the key it holds and that key is P-256. */
int cox_csr_parse(struct cox_str text, struct cox_csr **ret_csr, struct cox_error *err);
void cox_csr_pin(const struct cox_csr *csr, uint8_t ret_pin[COX_SHA256_BYTES]);
void cox_csr_free(struct cox_csr *csr);
DEFINE_CLEANUP(struct cox_csr *, cox_csr_free);

/* ---- authorities ---- */

enum cox_ca_purpose { COX_CA_HUB, COX_CA_AGENTS };

/* A new key and its self-signed certificate, valid from five minutes before now_ms for
 * COX_CA_LIFETIME_MS. */
int cox_ca_create(enum cox_ca_purpose purpose, const char *trust_domain, int64_t now_ms,
		  struct cox_key **ret_key, struct cox_cert **ret_cert, struct cox_error *err);

struct cox_issuer {
	const struct cox_cert *ca; /* borrowed */
	const struct cox_key *key; /* borrowed; the CA's own */
	int64_t now_ms;
	int64_t lifetime_ms; /* from now_ms; cut at the CA's own end */
};

/* For a hub: extended key usage serverAuth only. Each name is a DNS name or an IP address; at least
 * one is needed. The issuer must be of purpose hub. */
int cox_issue_server(const struct cox_issuer *issuer, const struct cox_key *key,
		     const char *const *names, size_t n_names, struct cox_cert **ret_cert,
		     struct cox_error *err);
/* For the agent of a cluster: clientAuth only. The issuer must be of purpose agents; cluster must
 * be a plain name (cox_name_is_safe). */
int cox_issue_client(const struct cox_issuer *issuer, const struct cox_csr *csr,
		     const char *trust_domain, const char *cluster, struct cox_cert **ret_cert,
		     struct cox_error *err);

#endif
