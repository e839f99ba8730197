#include "common/crypto/tls_client.h"

#include "common/base/mem.h"
#include "common/crypto/private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/socket.h>

struct cox_tls_client {
	SSL_CTX *context;
	SSL *native;
};

/* ---- the socket as OpenSSL sees it: like its own, but a peer that is gone raises no signal ---- */

static int socket_write(BIO *bio, const char *bytes, int n)
{
	ssize_t put;

	BIO_clear_retry_flags(bio);
	do
		put = send((int)(intptr_t)BIO_get_data(bio), bytes, (size_t)n, MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	return (int)put;
}

static int socket_read(BIO *bio, char *buffer, int n)
{
	ssize_t got;

	BIO_clear_retry_flags(bio);
	do
		got = recv((int)(intptr_t)BIO_get_data(bio), buffer, (size_t)n, 0);
	while (got < 0 && errno == EINTR);
	return (int)got;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static pthread_once_t method_made = PTHREAD_ONCE_INIT;

static void make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "cox socket");
	COX_ASSERT(method && BIO_meth_set_write(method, socket_write) &&
		   BIO_meth_set_read(method, socket_read) &&
		   BIO_meth_set_ctrl(method, socket_control));
}

static BIO *socket_bio(int fd)
{
	BIO *bio;

	pthread_once(&method_made, make_method);
	bio = BIO_new(method);
	COX_ASSERT(bio);
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	return bio;
}

/* ---- whom to trust ---- */

static int trust_pem(SSL_CTX *context, struct cox_str pem, struct cox_error *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	_cleanup_bio_ BIO *bio = NULL;
	int n = 0;

	if (pem.len > COX_LIMIT_PEM_BYTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "authorities' certificates are longer than %d bytes",
				 COX_LIMIT_PEM_BYTES);
	bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	COX_ASSERT(bio);
	for (;;) {
		X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

		if (!x)
			break;
		X509_STORE_add_cert(store, x);
		X509_free(x);
		n++;
	}
	ERR_clear_error();
	if (n == 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the authorities' text holds no PEM certificate");
	/* Somebody who trusts an intermediate, or just the server's own, means it. */
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	return 0;
}

static bool expect_host(SSL *native, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(native);
	unsigned char address[16];

	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(native, host) == 1 && SSL_set_tlsext_host_name(native, host) == 1;
}

static int handshake_error(SSL *native, const char *host, struct cox_error *err)
{
	long verdict = SSL_get_verify_result(native);
	char doing[200];

	if (verdict != X509_V_OK) {
		ERR_clear_error();
		return cox_error(err, COX_PERMISSION_DENIED,
				 "certificate of '%s' is not trusted: %s", host,
				 X509_verify_cert_error_string(verdict));
	}
	if (ERR_peek_error() == 0)
		return cox_error(err, COX_UNAVAILABLE,
				 "'%s' closed the connection in the TLS "
				 "handshake",
				 host);
	snprintf(doing, sizeof(doing), "TLS handshake with '%.150s' failed", host);
	return crypto_error(err, COX_UNAVAILABLE, doing);
}

int cox_tls_client_open(int fd, const char *host, struct cox_str ca_pem,
			struct cox_tls_client **ret_client, struct cox_error *err)
{
	COX_CLEANUP(cox_tls_client_free_p)
	struct cox_tls_client *c = cox_new(struct cox_tls_client);
	BIO *bio;
	int r;

	ERR_clear_error();
	c->context = SSL_CTX_new(TLS_client_method());
	COX_ASSERT(c->context && SSL_CTX_set_min_proto_version(c->context, TLS1_2_VERSION));
	SSL_CTX_set_verify(c->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_options(c->context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(c->context, SSL_SESS_CACHE_OFF);
	if (ca_pem.len) {
		r = trust_pem(c->context, ca_pem, err);
		if (r < 0)
			return r;
	} else {
		SSL_CTX_set_default_verify_paths(c->context);
	}
	c->native = SSL_new(c->context);
	COX_ASSERT(c->native);
	if (!expect_host(c->native, host))
		return cox_error(err, COX_INVALID_ARGUMENT, "'%s' is not a host name", host);
	bio = socket_bio(fd);
	SSL_set_bio(c->native, bio, bio);
	if (SSL_connect(c->native) != 1)
		return handshake_error(c->native, host, err);
	*ret_client = TAKE(c);
	return 0;
}

static ssize_t io_error(struct cox_tls_client *c, int r, const char *doing, struct cox_error *err)
{
	int why = SSL_get_error(c->native, r);

	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (ERR_peek_error() == 0)
		return cox_error(err, COX_UNAVAILABLE, "%s: the connection was cut", doing);
	return crypto_error(err, COX_UNAVAILABLE, doing);
}

ssize_t cox_tls_client_read(struct cox_tls_client *c, void *buffer, size_t n, struct cox_error *err)
{
	int r;

	ERR_clear_error();
	r = SSL_read(c->native, buffer, n < INT_MAX ? (int)n : INT_MAX);
	return r > 0 ? r : io_error(c, r, "cannot read from the server", err);
}

ssize_t cox_tls_client_write(struct cox_tls_client *c, const void *bytes, size_t n,
			     struct cox_error *err)
{
	int r;

	if (n == 0)
		return 0;
	ERR_clear_error();
	r = SSL_write(c->native, bytes, n < INT_MAX ? (int)n : INT_MAX);
	if (r > 0)
		return r;
	r = (int)io_error(c, r, "cannot write to the server", err);
	return r < 0 ? r : cox_error(err, COX_UNAVAILABLE, "the server closed the connection");
}

void cox_tls_client_free(struct cox_tls_client *c)
{
	if (!c)
		return;
	if (c->native && SSL_is_init_finished(c->native))
		SSL_shutdown(c->native);
	SSL_free(c->native);
	SSL_CTX_free(c->context);
	ERR_clear_error();
	free(c);
}
