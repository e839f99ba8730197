/* What the files of this room share: a member is a cluster, an entry is one application on it. */
#ifndef HUB_FLEET_INTERNAL_H
#define HUB_FLEET_INTERNAL_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/crypto/pki.h"
#include "hub/fleet/fleet.h"
#include "proto/agent.pb-c.h"
#include "proto/bundle.pb-c.h"

#define FLEET_PATH_MAX 512 /* "CLUSTER/UID" */

typedef Coxswain__Assignment__V1__Change fleet_change;

/* One application on one cluster. The change holds an assignment or a tombstone. */
struct fleet_entry {
	struct cox_list node; /* in the member's order of positions */
	char *uid;
	fleet_change *change;
	/* the last report, with all resources; NULL: none */
	hub_report *report;
	char boot[64];
};

struct fleet_member {
	struct hub_fleet *fleet;
	char *name;
	struct cox_map entries;			/* uid -> struct fleet_entry */
	struct cox_list order;			/* of entries by position, oldest first */
	uint64_t position;			/* the last one given out */
	uint64_t durable;			/* the last one on the disk */
	char binding[2 * COX_SHA256_BYTES + 1]; /* SPKI of the agent's key; "": none */
	char cluster_uid[64];
	bool has_token;
	uint8_t token_hash[COX_SHA256_BYTES];
	int64_t token_expires_ms;
	struct hub_cluster_state state;
	/* the session; NULL: away */
	struct cox_rpc_conn *conn;
	struct cox_rpc_call *follow;
	struct cox_rpc_call *reports;
	bool takes_configuration;
	uint8_t configuration[COX_SHA256_BYTES]; /* digest of what it has, or was sent */
	bool live;     /* the follower got its snapshot or its differences */
	uint64_t sent; /* position */
	/* of the process that connected last, and of the one before: who comes back after another
	 * is a second agent with the same identity */
	char boot[64], other_boot[64];
};

struct fleet_cached {
	struct cox_list node; /* least recently used first */
	char digest[2 * HUB_DIGEST_BYTES + 1];
	struct cox_buf row;
	unsigned users; /* fetches that send from it */
};

struct hub_fleet {
	struct hub_fleet_options options;
	struct hub_fleet_events events;
	void *ctx;
	struct cox_loop *loop;
	struct hub_store *store;
	struct cox_map members;	 /* name -> struct fleet_member */
	struct cox_map assigned; /* uid -> the struct fleet_member that has the assignment */
	struct cox_rpc_endpoint endpoint;
	struct cox_rpc_server *server;
	char *address;
	char boot[COX_UUID_TEXT];
	char *trust_domain;
	struct cox_key *hub_key, *agents_key;
	struct cox_cert *hub_ca, *agents_ca;
	char *hub_ca_pem;
	char pin[COX_SHA256_TEXT];
	size_t n_connected;
	struct hub_fleet_stats stats;
	struct cox_buf configuration;
	uint8_t configuration_digest[COX_SHA256_BYTES];
	/* reports that came in this turn of the loop, to be written and acknowledged together */
	struct hub_batch *reports;
	struct cox_task flush;
	/* bundles that were fetched lately */
	struct cox_list cache;
	struct cox_map cached; /* hex -> struct fleet_cached */
	size_t cache_bytes;
	void (*on_stopped)(void *arg);
	void *stopped_arg;
};

struct fleet_member *fleet_member(const struct hub_fleet *f, const char *cluster);
struct fleet_entry *fleet_entry(const struct fleet_member *m, const char *uid);
void fleet_entry_free(struct fleet_member *m, struct fleet_entry *e);
/* "CLUSTER/UID" */
void fleet_path(char ret_path[FLEET_PATH_MAX], const char *cluster, const char *uid);
/* Keeps the highest position of the member when its entry goes. */
void fleet_keep_position(struct hub_batch *batch, const struct fleet_member *m);
const hub_assignment *fleet_entry_assignment(const struct fleet_entry *e);
const hub_tombstone *fleet_entry_tombstone(const struct fleet_entry *e);
void fleet_entry_order(const struct fleet_entry *e, uint64_t *ret_epoch, uint64_t *ret_generation);

/* pki.c */
int fleet_pki_load(struct hub_fleet *f, struct cox_error *err);
int fleet_pki_tls(struct hub_fleet *f, struct cox_tls_context **ret_tls, struct cox_error *err);
int fleet_authorize(void *ctx, const struct cox_rpc_peer *peer, struct cox_error *err);
/* The member that this identity names; NULL: none. */
struct fleet_member *fleet_identify(const struct hub_fleet *f, const char *uri);
void fleet_enrol(void *ctx, struct cox_rpc_enrolment *enrolment,
		 const Coxswain__Enrol__V1__EnrolRequest *request, const char *peer_address);
int fleet_tokens_load(struct hub_fleet *f, struct cox_error *err);

/* follow.c */
extern const struct cox_rpc_service fleet_assignments_service, fleet_bundles_service;
/* Sends what the follower has not got and the disk has. */
void fleet_push(struct fleet_member *m);
void fleet_cache_fini(struct hub_fleet *f);

/* Sends the configuration to a follower that takes one and has another. */
void fleet_push_configuration(struct fleet_member *m);

/* report.c */
extern const struct cox_rpc_service fleet_reports_service;
void fleet_flush_reports(void *arg);
int fleet_reports_load(struct hub_fleet *f, struct cox_error *err);

/* A deep copy by packing; the caller's, for protobuf_c_message_free_unpacked. */
void *fleet_copy(const ProtobufCMessage *message);

#endif
