/* OpenSSH's known_hosts: is this the key of that host? The format is sshd(8)'s "SSH_KNOWN_HOSTS FILE
 * FORMAT": host patterns with '*', '?' and '!', "[host]:port", hashed names, @revoked. Certificate
 * authorities (@cert-authority) are not used: libssh2 does not show certificates. Pure. */
#ifndef COX_HUB_SOURCE_KNOWN_HOSTS_H
#define COX_HUB_SOURCE_KNOWN_HOSTS_H

#include "common/base/buf.h"
#include "common/base/error.h"

#define HUB_LIMIT_KNOWN_HOSTS_BYTES (1 << 20)

/* 0 when known_hosts lists exactly this key (the wire form that the server showed) for the host.
 * COX_PERMISSION_DENIED otherwise, and says whether the host is unknown, has another key, shows a
 * kind of key that is not listed, or a revoked one, with the key's fingerprint. */
int hub_known_hosts_check(struct cox_str known_hosts, const char *host, int port,
			  struct cox_str key, struct cox_error *err);

#endif
