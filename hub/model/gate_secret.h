/* What a gate's question may carry: a Secret of the hub's home namespace with the label
 * coxswain.dev/secret-type: gate-credentials. It says itself where it may be sent to, so that whoever
 * writes a policy cannot have it sent elsewhere. The decoded values are the struct's own, and wiped when
 * it goes; they must not reach a log or a message.
 *
 *	hosts           HOST or HOST:PORT, separated by white space or commas; 443 without a port
 *	bearerToken     Authorization: Bearer …
 *	username        with password: Authorization: Basic …
 *	headers         a line each, "Name: value"
 *	ca.crt          PEM, instead of the system's authorities
 */
#ifndef COX_HUB_MODEL_GATE_SECRET_H
#define COX_HUB_MODEL_GATE_SECRET_H

#include "common/base/options.h"
#include "hub/model/kind.h"

#define HUB_OUR_SECRET_TYPE_LABEL "coxswain.dev/secret-type"
#define HUB_GATE_CREDENTIALS	  "gate-credentials"
#define HUB_MAX_GATE_HOSTS	  32
#define HUB_MAX_GATE_HEADERS	  16
#define HUB_MAX_GATE_VALUE	  8192 /* bytes of a token, a name, a password, a header's line */

struct hub_gate_secret {
	char *name;
	cox_strings hosts;  /* "host:port", lower case */
	char *bearer_token; /* "": none, as the others */
	char *username, *password;
	cox_strings headers; /* "Name: value" */
	char *ca;
};

/* By its label. */
bool hub_is_gate_secret(const struct cox_node *object);
/* The values of the Secret's `data` and `stringData`; says what is wrong without saying what is in
 * it. */
int hub_gate_secret_read(struct hub_gate_secret *secret, const struct cox_node *object,
			 struct cox_error *err);
void hub_gate_secret_fini(struct hub_gate_secret *secret);
#define _cleanup_gate_secret_ __attribute__((cleanup(hub_gate_secret_fini)))

/* "checks.example.com:443" of "Checks.example.com", the caller's. Nothing but letters, digits, '.', '-'
 * and a port, or an address in brackets: what two readers could take for two hosts is refused. */
int hub_gate_host(struct cox_str authority, char **ret_host, struct cox_error *err);
/* The same of an https URL; COX_PERMISSION_DENIED for any other scheme, and for a host that the Secret
 * does not name. */
int hub_gate_secret_check_url(const struct hub_gate_secret *secret, const char *url,
			      struct cox_error *err);

/* A header's name is a token of RFC 9110. */
bool hub_is_header_name(struct cox_str name);

#endif
