/* hub/fleet's pki.c without certificates: who connects is who it says, and a cluster's first
 * connection is its joining. What is bound is kept, as the real one keeps it. */
#include "tests/sim/hub/world.h"

#include "hub/fleet/internal.h"

#include <stdio.h>

int fleet_pki_load(struct hub_fleet *f, struct cox_error *err)
{
	(void)err;
	f->trust_domain = cox_strdup("sim");
	f->hub_ca_pem = cox_strdup("");
	return 0;
}

int fleet_pki_tls(struct hub_fleet *f, struct cox_tls_context **ret_tls, struct cox_error *err)
{
	(void)f;
	(void)err;
	*ret_tls = NULL;
	return 0;
}

struct fleet_member *fleet_identify(const struct hub_fleet *f, const char *uri)
{
	return fleet_member(f, uri);
}

int fleet_authorize(void *ctx, const struct cox_rpc_peer *peer, struct cox_error *err)
{
	struct hub_fleet *f = ctx;
	struct fleet_member *m = fleet_identify(f, peer->tls.uri);
	struct hub_batch *batch;

	if (!m)
		return cox_error(err, COX_PERMISSION_DENIED, "no cluster '%s'", peer->tls.uri);
	if (m->binding[0])
		return 0;
	snprintf(m->binding, sizeof(m->binding), "bound");
	batch = hub_batch_new();
	hub_batch_put(batch, HUB_TABLE_BINDING, m->name, COX_STR("{}"));
	hub_store_commit(f->store, batch);
	return 0;
}

void fleet_enrol(void *ctx, struct cox_rpc_enrolment *enrolment,
		 const Coxswain__Enrol__V1__EnrolRequest *request, const char *peer_address)
{
	(void)ctx;
	(void)enrolment;
	(void)request;
	(void)peer_address;
}

static int load_binding(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	struct fleet_member *m;

	(void)body;
	(void)err;
	hub_fleet_add(ctx, key);
	m = fleet_member(ctx, key);
	snprintf(m->binding, sizeof(m->binding), "bound");
	return 0;
}

int fleet_tokens_load(struct hub_fleet *f, struct cox_error *err)
{
	return hub_store_each(f->store, HUB_TABLE_BINDING, load_binding, f, err);
}

int hub_fleet_token(struct hub_fleet *f, struct hub_batch *batch, const char *cluster,
		    int64_t ttl_ms, char ret_token[COX_TOKEN_TEXT], int64_t *ret_expires_ms,
		    struct cox_error *err)
{
	(void)f;
	(void)batch;
	(void)ttl_ms;
	(void)ret_token;
	(void)ret_expires_ms;
	return cox_error(err, COX_UNIMPLEMENTED, "cluster '%s' joins without a token", cluster);
}
