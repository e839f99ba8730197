/* TLS 1.3 with memory buffers: bytes from the wire in, plaintext out, and back. OpenSSL's TLS ends
 * here. No resumption (it would skip revocation), no renegotiation, no earlier version.
 *
 * struct cox_tls_context: keys, certificates and trust of one side; immutable, counted, any thread.
 * To rotate, make a new one and swap it: connections that exist keep theirs.
 * struct cox_tls: one connection; locked by whoever owns it (stream.c: the wire's mutex).
 */
#ifndef COX_NET_TLS_H
#define COX_NET_TLS_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define COX_TLS_SHA256 32
#define COX_ALPN_RPC   "cox-rpc/1"
#define COX_ALPN_ENROL "cox-enrol/1"

struct cox_tls_context;

/* The hub's side of the agents' port. All PEM. A client that offers COX_ALPN_RPC must show a
 * certificate that client_ca_pem (may hold several CAs) issued for client authentication; one that
 * offers COX_ALPN_ENROL need not; without either protocol the handshake fails. */
struct cox_tls_server_options {
	struct cox_str chain_pem; /* the hub's certificate, then its CA, so that a pin can be met */
	struct cox_str key_pem;
	struct cox_str client_ca_pem; /* empty: enrolment only */
	struct cox_str crl_pem;	      /* may be empty */
};
int cox_tls_server_new(const struct cox_tls_server_options *options,
		       struct cox_tls_context **ret_context, struct cox_error *err);

/* The agent's side. The hub is trusted by ca_pem, or, for enrolment, by ca_pin: the SHA-256 of the
 * SubjectPublicKeyInfo of a CA certificate in the chain that the hub shows. Exactly one of the two.
 * The hub's certificate must be for server authentication, and for server_name when that is set. */
struct cox_tls_client_options {
	const char *alpn; /* COX_ALPN_RPC or COX_ALPN_ENROL */
	struct cox_str ca_pem;
	const uint8_t *ca_pin;	  /* COX_TLS_SHA256 bytes, or NULL */
	const char *server_name;  /* DNS name or address to be found in the certificate; or NULL */
	struct cox_str chain_pem; /* the agent's certificate; empty for enrolment */
	struct cox_str key_pem;
};
int cox_tls_client_new(const struct cox_tls_client_options *options,
		       struct cox_tls_context **ret_context, struct cox_error *err);

struct cox_tls_context *cox_tls_context_ref(struct cox_tls_context *context);
void cox_tls_context_unref(struct cox_tls_context *context);
DEFINE_CLEANUP(struct cox_tls_context *, cox_tls_context_unref);

/* SHA-256 of the SubjectPublicKeyInfo of the first certificate in pem: what --ca-pin takes. */
int cox_tls_spki_pin(struct cox_str pem, uint8_t ret_pin[COX_TLS_SHA256], struct cox_error *err);

/* Who is at the other end, from the certificate that was verified; zeroed when none was shown. */
struct cox_tls_peer {
	char uri[256]; /* the subject alternative name of type URI; or "" */
	char fingerprint[COX_TLS_SHA256 * 2 + 1]; /* SHA-256 of the certificate, hex */
	char spki[COX_TLS_SHA256 * 2 + 1];	  /* SHA-256 of its public key info, hex */
	char serial[48];			  /* hex */
	int64_t not_after_ms;			  /* wall clock */
};

struct cox_tls;

/* Either side of a connection; holds its own reference of the context. */
struct cox_tls *cox_tls_new(struct cox_tls_context *context);
void cox_tls_free(struct cox_tls *tls);
/* Takes ciphertext from the wire, does what the handshake needs, and appends plaintext to plain.
 * Returns 0, or 1 when the peer ended the connection in an orderly way. Whatever it returns, what
 * cox_tls_output gives must still be sent: it may hold the alert. */
int cox_tls_input(struct cox_tls *tls, const void *bytes, size_t n, struct cox_buf *plain,
		  struct cox_error *err);
/* Encrypts n bytes; only when ready. */
int cox_tls_write(struct cox_tls *tls, const void *bytes, size_t n, struct cox_error *err);
/* Begins the handshake of a client; a server waits for input. */
int cox_tls_start(struct cox_tls *tls, struct cox_error *err);
/* Ciphertext for the wire; the caller takes it (cox_buf_take or swap) and sends it. */
struct cox_buf *cox_tls_output(struct cox_tls *tls);
/* The handshake is done and the peer verified. */
bool cox_tls_is_ready(const struct cox_tls *tls);
/* COX_ALPN_RPC, COX_ALPN_ENROL, or "" before the handshake. Static storage. */
const char *cox_tls_alpn(const struct cox_tls *tls);
void cox_tls_peer(const struct cox_tls *tls, struct cox_tls_peer *ret_peer);

#endif
