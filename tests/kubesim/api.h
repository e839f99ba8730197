/* What api.c hands to its helpers. Threads: one. */
#ifndef KUBESIM_API_H
#define KUBESIM_API_H

#include "tests/kubesim/sim.h"

/* discovery.c: /api, /apis and what is below them, /version, /openapi. false: no such page. */
bool ks_discovery(struct kubesim *sim, const char *path, const char *accept,
		  struct kubesim_response *ret_response);
/* openapi.c */
bool ks_openapi(struct kubesim *sim, const char *path, const char *accept,
		struct kubesim_response *ret_response);

/* The document as a JSON body. */
void ks_respond(struct kubesim_response *response, int status, const struct cox_node *body);
void ks_respond_text(struct kubesim_response *response, int status, const char *text);

#endif
