/* TLS for the HTTP server: a context from files, a session for each connection, handed to libevent
 * as an opaque pointer. TLS 1.2 and 1.3, no resumption, no renegotiation. Loop-owned. For
 * http_server.c. */
#ifndef COX_NET_HTTP_TLS_H
#define COX_NET_HTTP_TLS_H

#include "common/base/error.h"

#include <stdbool.h>

struct cox_http_tls;

/* client_ca_path may be NULL: no certificate is asked for. */
int cox_http_tls_new(const char *cert_path, const char *key_path, const char *client_ca_path,
		     bool client_cert_required, struct cox_http_tls **ret_tls,
		     struct cox_error *err);
void cox_http_tls_free(struct cox_http_tls *tls);
/* An SSL * of a server, for bufferevent_openssl_socket_new, which takes it over. */
void *cox_http_tls_session(struct cox_http_tls *tls);
/* Sends close_notify, if that can be done without waiting. */
void cox_http_tls_goodbye(void *session);
/* The common name of the client's verified certificate; false when there is none. */
bool cox_http_tls_peer_name(void *session, char *ret_name, int size);

#endif
