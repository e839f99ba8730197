#include "common/net/http_tls.h"

#include "common/base/mem.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

struct cox_http_tls {
	SSL_CTX *ctx;
};

/* OpenSSL's reason goes into the message, on the thread that failed. */
static int fail(struct cox_error *err, const char *what, const char *path)
{
	unsigned long reason = ERR_peek_last_error();
	const char *text = reason ? ERR_reason_error_string(reason) : NULL;

	ERR_clear_error();
	return cox_error(err, COX_FAILED_PRECONDITION, "cannot %s '%s': %s", what, path,
			 text ? text : "not usable");
}

/* HTTP/1.1 is all that is spoken; say so to those who ask. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			   const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)out, out_len, ours, sizeof(ours) - 1, in,
				  in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_TLSEXT_ERR_OK;
}

static int load(SSL_CTX *ctx, const char *cert_path, const char *key_path,
		const char *client_ca_path, bool client_cert_required, struct cox_error *err)
{
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, cert_path) != 1)
		return fail(err, "use certificate", cert_path);
	if (SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) != 1)
		return fail(err, "use private key", key_path);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return fail(err, "match the certificate with private key", key_path);
	if (!client_ca_path)
		return 0;
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(client_ca_path);
	if (!names || SSL_CTX_load_verify_file(ctx, client_ca_path) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return fail(err, "use client authority", client_ca_path);
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(
		ctx, SSL_VERIFY_PEER | (client_cert_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
		NULL);
	return 0;
}

int cox_http_tls_new(const char *cert_path, const char *key_path, const char *client_ca_path,
		     bool client_cert_required, struct cox_http_tls **ret_tls,
		     struct cox_error *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int r;

	COX_ASSERT(ctx);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	r = load(ctx, cert_path, key_path, client_ca_path, client_cert_required, err);
	if (r < 0) {
		SSL_CTX_free(ctx);
		return r;
	}
	*ret_tls = cox_new(struct cox_http_tls);
	(*ret_tls)->ctx = ctx;
	return 0;
}

void cox_http_tls_free(struct cox_http_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->ctx);
	free(tls);
}

void *cox_http_tls_session(struct cox_http_tls *tls)
{
	SSL *ssl = SSL_new(tls->ctx);

	COX_ASSERT(ssl);
	return ssl;
}

void cox_http_tls_goodbye(void *session)
{
	SSL *ssl = session;

	ERR_clear_error();
	if (SSL_is_init_finished(ssl)) {
		SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
		SSL_shutdown(ssl);
	}
	ERR_clear_error();
}

bool cox_http_tls_peer_name(void *session, char *ret_name, int size)
{
	X509 *cert = SSL_get0_peer_certificate(session);

	if (!cert || SSL_get_verify_result(session) != X509_V_OK)
		return false;
	int n = X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, ret_name,
					  size);
	/* A NUL inside would make one name look like another. */
	return n > 0 && (int)strlen(ret_name) == n;
}
