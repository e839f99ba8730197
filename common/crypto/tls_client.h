/* A TLS client over a connected, blocking socket, for libraries that bring their own loop (libgit2).
 * What talks in our loop uses common/net. TLS 1.2 or newer; the server's certificate and name are
 * always checked, there is no switch for that.
 *
 * Deadlines are the caller's: shutdown(2) on the socket ends every call at once.
 * Threads: one at a time. */
#ifndef COX_CRYPTO_TLS_CLIENT_H
#define COX_CRYPTO_TLS_CLIENT_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"

#include <sys/types.h>

struct cox_tls_client;

/* Shakes hands. host is a DNS name or an IP address. With ca_pem (one or more certificates) these
 * are the only ones trusted, else the system's. The socket stays the caller's. A certificate that
 * does not check out is COX_PERMISSION_DENIED and says why. */
int cox_tls_client_open(int fd, const char *host, struct cox_str ca_pem,
			struct cox_tls_client **ret_client, struct cox_error *err);
/* More than 0: bytes; 0: the server ended in good order. A connection cut without a farewell is an
 * error. */
ssize_t cox_tls_client_read(struct cox_tls_client *c, void *buffer, size_t n,
			    struct cox_error *err);
/* More than 0: bytes taken. */
ssize_t cox_tls_client_write(struct cox_tls_client *c, const void *bytes, size_t n,
			     struct cox_error *err);
/* Says farewell without waiting for the answer. */
void cox_tls_client_free(struct cox_tls_client *c);
DEFINE_CLEANUP(struct cox_tls_client *, cox_tls_client_free);

#endif
