#include "common/net/tls.h"

#include "common/base/encode.h"
#include "common/base/mem.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>

/* Private keys and certificates of one side: a chain longer than this is somebody's mistake. */
#define MAX_CHAIN 8

struct cox_tls_context {
	atomic_uint refs;
	SSL_CTX *ssl;
	bool is_server;
	bool has_client_ca;
	bool has_pin;
	uint8_t pin[COX_TLS_SHA256];
	char *server_name; /* or NULL */
	uint8_t alpn[32];  /* of a client: length, name */
	size_t alpn_len;
};

struct cox_tls {
	struct cox_tls_context *context;
	SSL *ssl;
	const uint8_t *in; /* what cox_tls_input was given and OpenSSL has not read yet */
	size_t in_len;
	struct cox_buf out;
	bool ready, failed;
};

/* ---- OpenSSL's errors end here ---- */

/* The newest entry of this thread's queue as a sentence's end; clears the queue. */
static int fail_ssl(struct cox_error *err, enum cox_code code, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return cox_error(err, code, "%s: %s", what, reason ? reason : "unknown TLS error");
}

/* ---- the BIO between OpenSSL and our two buffers ---- */

static int bio_read(BIO *bio, char *to, int n)
{
	struct cox_tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	if (tls->in_len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if ((size_t)n > tls->in_len)
		n = (int)tls->in_len;
	memcpy(to, tls->in, (size_t)n);
	tls->in += n;
	tls->in_len -= (size_t)n;
	return n;
}

static int bio_write(BIO *bio, const char *from, int n)
{
	struct cox_tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (n > 0)
		cox_buf_add(&tls->out, from, (size_t)n);
	return n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;

static void bio_method_make(void)
{
	bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "coxswain");
	COX_ASSERT(bio_method);
	BIO_meth_set_read(bio_method, bio_read);
	BIO_meth_set_write(bio_method, bio_write);
	BIO_meth_set_ctrl(bio_method, bio_ctrl);
}

/* ---- contexts ---- */

/* A key with a passphrase is refused instead of asked for at the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static BIO *pem_open(struct cox_str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);

	COX_ASSERT(bio);
	return bio;
}

static X509 *pem_next_certificate(BIO *bio)
{
	X509 *cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);

	if (!cert)
		ERR_clear_error(); /* the end of the text is an error to OpenSSL */
	return cert;
}

static int load_identity(SSL_CTX *ctx, struct cox_str chain_pem, struct cox_str key_pem,
			 struct cox_error *err)
{
	BIO *bio = pem_open(chain_pem);
	EVP_PKEY *key;
	X509 *cert;
	int n = 0, ok = 1;

	while (ok && n <= MAX_CHAIN && (cert = pem_next_certificate(bio))) {
		ok = n++ == 0 ? SSL_CTX_use_certificate(ctx, cert)
			      : SSL_CTX_add1_chain_cert(ctx, cert);
		X509_free(cert);
	}
	BIO_free(bio);
	if (!ok)
		return fail_ssl(err, COX_INVALID_ARGUMENT, "cannot use the certificate");
	if (n == 0 || n > MAX_CHAIN)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 n ? "the certificate chain is longer than %d"
				   : "there is no certificate in the chain (at most %d)",
				 MAX_CHAIN);
	bio = pem_open(key_pem);
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (!key)
		return fail_ssl(err, COX_INVALID_ARGUMENT, "cannot read the private key");
	ok = SSL_CTX_use_PrivateKey(ctx, key) && SSL_CTX_check_private_key(ctx);
	EVP_PKEY_free(key);
	if (!ok)
		return fail_ssl(err, COX_INVALID_ARGUMENT, "the private key does not fit");
	return 0;
}

static int load_trust(SSL_CTX *ctx, struct cox_str ca_pem, struct cox_str crl_pem,
		      struct cox_error *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *bio = pem_open(ca_pem);
	X509_CRL *crl;
	X509 *cert;
	int n = 0, n_crl = 0;

	while (n < MAX_CHAIN && (cert = pem_next_certificate(bio))) {
		n += X509_STORE_add_cert(store, cert);
		X509_free(cert);
	}
	BIO_free(bio);
	if (n == 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "there is no CA certificate to trust");
	if (crl_pem.len == 0)
		return 0;
	bio = pem_open(crl_pem);
	while ((crl = PEM_read_bio_X509_CRL(bio, NULL, no_passphrase, NULL))) {
		n_crl += X509_STORE_add_crl(store, crl);
		X509_CRL_free(crl);
	}
	BIO_free(bio);
	ERR_clear_error();
	if (n_crl == 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "cannot read the revocation list");
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	return 0;
}

static void spki_digest(X509 *cert, uint8_t ret_digest[COX_TLS_SHA256])
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);

	memset(ret_digest, 0, COX_TLS_SHA256);
	if (n > 0)
		EVP_Digest(der, (size_t)n, ret_digest, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
}

/* A CA of the shown chain that meets the pin becomes the one that is trusted. */
static void trust_pinned(struct cox_tls_context *context, X509_STORE_CTX *verify,
			 STACK_OF(X509) * trusted)
{
	STACK_OF(X509) *shown = X509_STORE_CTX_get0_untrusted(verify);

	for (int i = 0; i < sk_X509_num(shown); i++) {
		X509 *cert = sk_X509_value(shown, i);
		uint8_t digest[COX_TLS_SHA256];

		spki_digest(cert, digest);
		if (X509_check_ca(cert) > 0 &&
		    CRYPTO_memcmp(digest, context->pin, sizeof(digest)) == 0)
			sk_X509_push(trusted, cert);
	}
	X509_STORE_CTX_set0_trusted_stack(verify, trusted);
}

/* OpenSSL lets a certificate without extended key usage pass for any purpose; here it must name
 * the one that it is used for. */
static int verify_peer(X509_STORE_CTX *verify, void *arg)
{
	struct cox_tls_context *context = arg;
	uint32_t want = context->is_server ? XKU_SSL_CLIENT : XKU_SSL_SERVER, usage;
	STACK_OF(X509) *trusted = NULL;
	int ok;

	if (context->has_pin) {
		trusted = sk_X509_new_null();
		COX_ASSERT(trusted);
		trust_pinned(context, verify, trusted);
	}
	ok = X509_verify_cert(verify) > 0;
	if (ok) {
		usage = X509_get_extended_key_usage(X509_STORE_CTX_get0_cert(verify));
		if (usage == UINT32_MAX || !(usage & want)) {
			X509_STORE_CTX_set_error(verify, X509_V_ERR_INVALID_PURPOSE);
			ok = 0;
		}
	}
	sk_X509_free(trusted);
	return ok;
}

/* Chooses the protocol, and with it whether a certificate is asked for: this runs before the
 * server writes its certificate request. */
static int choose_alpn(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
		       const unsigned char *offered, unsigned n, void *arg)
{
	static const unsigned char rpc[] = "\x09" COX_ALPN_RPC, enrol[] = "\x0b" COX_ALPN_ENROL;
	struct cox_tls_context *context = arg;
	unsigned char *name, len;

	if (context->has_client_ca && SSL_select_next_proto(&name, &len, rpc, sizeof(rpc) - 1,
							    offered, n) == OPENSSL_NPN_NEGOTIATED) {
		*ret_name = rpc + 1;
		*ret_len = rpc[0];
		return SSL_TLSEXT_ERR_OK;
	}
	if (SSL_select_next_proto(&name, &len, enrol, sizeof(enrol) - 1, offered, n) ==
	    OPENSSL_NPN_NEGOTIATED) {
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
		*ret_name = enrol + 1;
		*ret_len = enrol[0];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int context_new(bool is_server, struct cox_tls_context **ret_context, struct cox_error *err)
{
	struct cox_tls_context *context = cox_new(struct cox_tls_context);
	SSL_CTX *ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());

	if (!ctx) {
		free(context);
		return fail_ssl(err, COX_INTERNAL, "cannot set up TLS");
	}
	atomic_init(&context->refs, 1);
	context->is_server = is_server;
	context->ssl = ctx;
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_num_tickets(ctx, 0); /* a resumed session would skip the revocation list */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_max_cert_list(ctx, 32 << 10);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify_peer, context);
	*ret_context = context;
	return 0;
}

int cox_tls_server_new(const struct cox_tls_server_options *options,
		       struct cox_tls_context **ret_context, struct cox_error *err)
{
	COX_CLEANUP(cox_tls_context_unref_p) struct cox_tls_context *context = NULL;
	int r = context_new(true, &context, err);

	if (r == 0)
		r = load_identity(context->ssl, options->chain_pem, options->key_pem, err);
	if (r == 0 && options->client_ca_pem.len > 0) {
		r = load_trust(context->ssl, options->client_ca_pem, options->crl_pem, err);
		context->has_client_ca = true;
	}
	if (r < 0)
		return r;
	SSL_CTX_set_alpn_select_cb(context->ssl, choose_alpn, context);
	*ret_context = TAKE(context);
	return 0;
}

static bool is_address(const char *name)
{
	struct in6_addr any;

	return inet_pton(AF_INET, name, &any) == 1 || inet_pton(AF_INET6, name, &any) == 1;
}

static int expect_name(struct cox_tls_context *context, const char *name, struct cox_error *err)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context->ssl);
	int ok = is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(param, name)
				  : X509_VERIFY_PARAM_set1_host(param, name, 0);

	if (!ok)
		return fail_ssl(err, COX_INVALID_ARGUMENT, "cannot expect the server's name");
	context->server_name = cox_strdup(name);
	return 0;
}

int cox_tls_client_new(const struct cox_tls_client_options *options,
		       struct cox_tls_context **ret_context, struct cox_error *err)
{
	COX_CLEANUP(cox_tls_context_unref_p) struct cox_tls_context *context = NULL;
	size_t n = strlen(options->alpn);
	int r;

	if (!options->ca_pin == (options->ca_pem.len == 0))
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the hub is trusted either by a CA or by a pin");
	r = context_new(false, &context, err);
	if (r < 0)
		return r;
	COX_ASSERT(n > 0 && n < sizeof(context->alpn));
	context->alpn[0] = (uint8_t)n;
	memcpy(context->alpn + 1, options->alpn, n);
	context->alpn_len = n + 1;
	if (options->ca_pin) {
		context->has_pin = true;
		memcpy(context->pin, options->ca_pin, sizeof(context->pin));
		X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context->ssl),
					    X509_V_FLAG_PARTIAL_CHAIN);
	} else {
		r = load_trust(context->ssl, options->ca_pem, (struct cox_str){0}, err);
	}
	if (r == 0 && options->chain_pem.len > 0)
		r = load_identity(context->ssl, options->chain_pem, options->key_pem, err);
	if (r == 0 && options->server_name)
		r = expect_name(context, options->server_name, err);
	if (r < 0)
		return r;
	*ret_context = TAKE(context);
	return 0;
}

struct cox_tls_context *cox_tls_context_ref(struct cox_tls_context *context)
{
	if (context)
		atomic_fetch_add(&context->refs, 1);
	return context;
}

void cox_tls_context_unref(struct cox_tls_context *context)
{
	if (!context || atomic_fetch_sub(&context->refs, 1) != 1)
		return;
	SSL_CTX_free(context->ssl);
	free(context->server_name);
	free(context);
}

int cox_tls_spki_pin(struct cox_str pem, uint8_t ret_pin[COX_TLS_SHA256], struct cox_error *err)
{
	BIO *bio = pem_open(pem);
	X509 *cert = pem_next_certificate(bio);

	BIO_free(bio);
	if (!cert)
		return cox_error(err, COX_INVALID_ARGUMENT, "there is no certificate to pin");
	spki_digest(cert, ret_pin);
	X509_free(cert);
	return 0;
}

/* ---- connections ---- */

struct cox_tls *cox_tls_new(struct cox_tls_context *context)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct cox_tls *tls = cox_new(struct cox_tls);
	BIO *bio;

	pthread_once(&once, bio_method_make);
	ERR_clear_error();
	tls->context = cox_tls_context_ref(context);
	tls->ssl = SSL_new(context->ssl);
	bio = BIO_new(bio_method);
	COX_ASSERT(tls->ssl && bio);
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	if (context->is_server) {
		SSL_set_accept_state(tls->ssl);
	} else {
		SSL_set_connect_state(tls->ssl);
		SSL_set_alpn_protos(tls->ssl, context->alpn, (unsigned)context->alpn_len);
		if (context->server_name && !is_address(context->server_name))
			SSL_set_tlsext_host_name(tls->ssl, context->server_name);
	}
	return tls;
}

void cox_tls_free(struct cox_tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	cox_buf_fini(&tls->out);
	cox_tls_context_unref(tls->context);
	free(tls);
}

static int fail_handshake(struct cox_tls *tls, struct cox_error *err)
{
	long verify = SSL_get_verify_result(tls->ssl);

	tls->failed = true;
	if (verify != X509_V_OK && tls->context->has_pin &&
	    (verify == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
	     verify == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
	     verify == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY)) {
		ERR_clear_error();
		return cox_error(err, COX_UNAUTHENTICATED,
				 "the peer shows no CA whose key has the given pin: it is another "
				 "hub, or the pin is not this hub's");
	}
	if (verify != X509_V_OK) {
		ERR_clear_error();
		return cox_error(err, COX_UNAUTHENTICATED,
				 "the peer's certificate is not accepted: %s",
				 X509_verify_cert_error_string(verify));
	}
	return fail_ssl(err, COX_UNAUTHENTICATED, "the TLS handshake failed");
}

static int handshake(struct cox_tls *tls, struct cox_error *err)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(tls->ssl);
	if (r != 1) {
		if (SSL_get_error(tls->ssl, r) == SSL_ERROR_WANT_READ)
			return 0;
		return fail_handshake(tls, err);
	}
	if (*cox_tls_alpn(tls) == '\0') {
		tls->failed = true;
		return cox_error(err, COX_UNAUTHENTICATED, "the peer speaks neither %s nor %s",
				 COX_ALPN_RPC, COX_ALPN_ENROL);
	}
	tls->ready = true;
	return 0;
}

int cox_tls_start(struct cox_tls *tls, struct cox_error *err)
{
	return handshake(tls, err);
}

/* Room to read one record's plaintext at a time. */
#define READ_CHUNK (16 << 10)

int cox_tls_input(struct cox_tls *tls, const void *bytes, size_t n, struct cox_buf *plain,
		  struct cox_error *err)
{
	int r, why;

	if (tls->failed)
		return cox_error(err, COX_UNAVAILABLE, "the TLS connection has failed");
	tls->in = bytes;
	tls->in_len = n;
	if (!tls->ready) {
		r = handshake(tls, err);
		if (r < 0 || !tls->ready)
			return r;
	}
	for (;;) {
		ERR_clear_error();
		cox_buf_reserve(plain, READ_CHUNK);
		r = SSL_read(tls->ssl, plain->ptr + plain->len, READ_CHUNK);
		if (r <= 0)
			break;
		plain->len += (size_t)r;
	}
	why = SSL_get_error(tls->ssl, r);
	if (why == SSL_ERROR_WANT_READ)
		return 0;
	tls->failed = true;
	if (why == SSL_ERROR_ZERO_RETURN)
		return 1;
	return fail_ssl(err, COX_UNAVAILABLE, "the peer broke off TLS");
}

int cox_tls_write(struct cox_tls *tls, const void *bytes, size_t n, struct cox_error *err)
{
	const uint8_t *at = bytes;

	if (!tls->ready || tls->failed)
		return cox_error(err, COX_UNAVAILABLE, "the TLS connection is not ready");
	while (n > 0) {
		int r;

		ERR_clear_error();
		r = SSL_write(tls->ssl, at, (int)(n < READ_CHUNK ? n : READ_CHUNK));
		if (r <= 0) {
			tls->failed = true;
			return fail_ssl(err, COX_UNAVAILABLE, "cannot encrypt");
		}
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

struct cox_buf *cox_tls_output(struct cox_tls *tls)
{
	return &tls->out;
}

bool cox_tls_is_ready(const struct cox_tls *tls)
{
	return tls->ready;
}

const char *cox_tls_alpn(const struct cox_tls *tls)
{
	const unsigned char *name;
	unsigned n;

	SSL_get0_alpn_selected(tls->ssl, &name, &n);
	if (cox_str_is(cox_str_n((const char *)name, n), COX_ALPN_RPC))
		return COX_ALPN_RPC;
	if (cox_str_is(cox_str_n((const char *)name, n), COX_ALPN_ENROL))
		return COX_ALPN_ENROL;
	return "";
}

/* The one URI among the subject's alternative names; none when there are several, or one that
 * holds what a comparison could be fooled by. */
static void peer_uri(X509 *cert, char *ret_uri, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int n_uris = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const char *text;
		size_t n;

		if (name->type != GEN_URI)
			continue;
		text = (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
		n = (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier);
		if (n < size && !memchr(text, '\0', n)) {
			memcpy(ret_uri, text, n);
			ret_uri[n] = '\0';
		}
		n_uris++;
	}
	if (n_uris != 1)
		*ret_uri = '\0';
	GENERAL_NAMES_free(names);
}

static int64_t asn1_time_ms(const ASN1_TIME *time)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;

	ASN1_TIME_diff(&days, &seconds, epoch, time);
	ASN1_TIME_free(epoch);
	return ((int64_t)days * 86400 + seconds) * 1000;
}

void cox_tls_peer(const struct cox_tls *tls, struct cox_tls_peer *ret_peer)
{
	X509 *cert = SSL_get0_peer_certificate(tls->ssl);
	uint8_t digest[COX_TLS_SHA256];
	BIGNUM *serial;
	char *hex;

	memset(ret_peer, 0, sizeof(*ret_peer));
	if (!cert || !tls->ready)
		return;
	peer_uri(cert, ret_peer->uri, sizeof(ret_peer->uri));
	if (X509_digest(cert, EVP_sha256(), digest, NULL))
		cox_hex_encode(digest, sizeof(digest), ret_peer->fingerprint);
	spki_digest(cert, digest);
	cox_hex_encode(digest, sizeof(digest), ret_peer->spki);
	serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	hex = serial ? BN_bn2hex(serial) : NULL;
	if (hex && strlen(hex) < sizeof(ret_peer->serial))
		memcpy(ret_peer->serial, hex, strlen(hex) + 1);
	OPENSSL_free(hex);
	BN_free(serial);
	ret_peer->not_after_ms = asn1_time_ms(X509_get0_notAfter(cert));
	ERR_clear_error();
}
