/* hub/web: the REST API over HTTP (README.md has the table of routes), a translation of requests into
 * calls of hub/control and nothing more. Every route but the health ones needs a bearer token, the
 * admin's or a named one (tokens.c); what is in no table is refused. An answer to a change waits until the change is durable.
 *
 * Loop-owned. */
#ifndef HUB_WEB_WEB_H
#define HUB_WEB_WEB_H

#include "common/net/http_server.h"
#include "hub/control/control.h"

struct hub_web;

struct hub_web_options {
	struct cox_loop *loop;
	struct hub_control *control;
	const char *listen;		  /* HOST:PORT */
	const char *cert_path, *key_path; /* PEM; NULL: plain HTTP */
	size_t max_tokens;		  /* named ones; 0: 1000 */
	const char *advertise; /* where agents reach the hub; NULL: the fleet's own address */
};

/* Makes the initial admin token when there is none: *ret_token_path (may be NULL; the caller's) is
 * the file that it was written to then, else NULL. */
int hub_web_new(const struct hub_web_options *options, struct hub_web **ret_web,
		char **ret_token_path, struct cox_error *err);
void hub_web_free(struct hub_web *w);
DEFINE_CLEANUP(struct hub_web *, hub_web_free);
const char *hub_web_address(const struct hub_web *w);

#endif
