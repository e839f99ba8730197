/* Inside agent/link. All loop-owned. */
#ifndef AGENT_LINK_INTERNAL_H
#define AGENT_LINK_INTERNAL_H

#include "agent/link/link.h"
#include "common/base/map.h"
#include "common/base/rand.h"
#include "common/crypto/pki.h"
#include "common/net/rpc.h"
#include "proto/agent.pb-c.h"
#include "proto/bundle.pb-c.h"

struct agent_identity {
	char *key_pem, *chain_pem, *hub_ca_pem; /* chain NULL: not joined yet */
};

struct agent_fetch {
	struct agent_link *link;
	uint8_t digest[COX_SHA256_BYTES];
	struct cox_rpc_call *call; /* NULL: waits */
	struct cox_buf packed;
	struct cox_timer retry;
	unsigned tries;
};

struct agent_link {
	struct agent_link_options o;
	struct agent_engine *engine;
	struct agent_identity identity;
	struct cox_rpc_endpoint endpoint;
	const struct cox_rpc_service *services[1];
	struct cox_rpc_service service;
	char instance_uuid[COX_UUID_TEXT], boot_id[COX_UUID_TEXT];
	uint8_t digest[COX_SHA256_BYTES];
	struct cox_tls_context *tls;
	struct cox_rpc_conn *conn; /* NULL: none is tried */
	bool up, stopping, joining;
	struct cox_rpc_backoff backoff;
	struct cox_timer redial;
	char *cluster_uid;
	struct cox_kube_call *uid_call;
	/* follow.c */
	struct cox_rpc_call *follow;
	COX_VEC(struct cox_rpc_message *) changes; /* since the last turn */
	uint64_t snapshot_position;
	bool in_snapshot;
	struct cox_task commit;
	struct cox_map fetches; /* digest as text to struct agent_fetch * */
	unsigned n_fetching;
	/* reports.c */
	struct cox_rpc_call *reports;
	struct cox_map dirty; /* uids */
	bool all_full;	      /* the hub knows nothing of this connection yet */
	struct cox_map full;  /* uids that the hub wants in full */
	struct cox_task pump;
	struct cox_timer pulse;
	char *told_error;			      /* api_error of the last ClusterReport */
	uint8_t told_configuration[COX_SHA256_BYTES]; /* of the last ClusterReport: in force */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* ---- link.c ---- */
void agent_link_dial(struct agent_link *link);

/* ---- join.c ---- */
/* Reads what is stored; 1 when joined. */
int agent_identity_load(struct agent_link *link, struct cox_error *err);
void agent_identity_fini(struct agent_identity *identity);
void agent_link_join(struct agent_link *link);

/* ---- follow.c ---- */
void agent_follow_init(struct agent_link *link);
int agent_follow_start(struct agent_link *link, struct cox_error *err);
void agent_follow_down(struct agent_link *link);
void agent_fetches_start(struct agent_link *link);
void agent_fetches_down(struct agent_link *link);
void agent_fetches_fini(struct agent_link *link);

/* ---- reports.c ---- */
int agent_reports_start(struct agent_link *link, struct cox_error *err);
void agent_reports_down(struct agent_link *link);
void agent_reports_pump(void *arg);
/* Tells the hub what configuration is in force, if that is news. */
void agent_reports_configured(struct agent_link *link);

/* ---- serve.c ---- */
void agent_serve_init(struct agent_link *link);

#endif
