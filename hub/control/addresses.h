/* Which addresses the hub connects to for URLs that others chose. Refused unless a CIDR of
 * --allow-net covers them: this host (loopback, unspecified), link-local ones (where clouds keep
 * their metadata services), multicast, private networks, and what is reserved. Immutable once made; any thread. */
#ifndef HUB_CONTROL_ADDRESSES_H
#define HUB_CONTROL_ADDRESSES_H

#include "common/base/options.h"

#include <stdint.h>

struct sockaddr;

struct control_network {
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned bits;
};

struct control_addresses {
	COX_VEC(struct control_network) allowed;
};

/* cidrs: "10.0.0.0/8", "fd00::/8", a plain address; may be NULL. */
int control_addresses_init(struct control_addresses *a, const cox_strings *cidrs,
			   struct cox_error *err);
void control_addresses_fini(struct control_addresses *a);
/* 0, or -COX_PERMISSION_DENIED with a sentence. */
int control_addresses_check(const struct control_addresses *a, const char *host,
			    const struct sockaddr *address, struct cox_error *err);
/* Whether a CIDR of --allow-net covers it. */
bool control_addresses_are_allowed(const struct control_addresses *a,
				   const struct sockaddr *address);

#endif
