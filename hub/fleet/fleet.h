/* hub/fleet: the agents: how they join, what each of them is assigned, what it reported.
 *
 * It serves the agents' port (common/net/rpc.h): enrolment, Assignments.Follow, Bundles.Fetch,
 * Reports.Report, and calls Agent.Refresh. It decides nothing: hub/control says what is assigned.
 *
 * Per cluster it keeps, in memory and in the store: the binding (the key that the agent of this
 * name has), a pending token, the assignments and tombstones by application uid, and the last
 * report of each. A change to an assignment gets the next generation of its application and the
 * next position of its cluster, goes into the caller's batch, and is sent when that batch is
 * durable; an agent that follows gets what is new by position, so a change that is overtaken by a
 * newer one is never sent. Reports that are not about exactly the assigned (epoch, generation)
 * change nothing.
 *
 * Loop-owned, all of it. Pointers that are returned are good until the next call that changes the
 * thing. */
#ifndef HUB_FLEET_FLEET_H
#define HUB_FLEET_FLEET_H

#include "common/base/options.h"
#include "common/crypto/token.h"
#include "common/net/rpc.h"
#include "hub/store/store.h"
#include "proto/agent.pb-c.h"
#include "proto/assignment.pb-c.h"
#include "proto/report.pb-c.h"

#define HUB_DIGEST_BYTES 32

struct hub_fleet;

struct hub_fleet_options {
	struct cox_loop *loop;
	struct hub_store *store;
	const char *listen;		  /* HOST:PORT */
	const cox_strings *names;	  /* more names for the hub's certificate; may be NULL */
	int64_t cert_lifetime_ms;	  /* of an agent's certificate; 0: a year */
	uint32_t max_pending_per_address; /* 0: the rpc room's */
	uint32_t enrol_interval_ms;	  /* between joins from one address; 0: the rpc room's */
	uint32_t enrol_burst;		  /* so many at once after a quiet time; 0: 32 */
};

struct hub_fleet_events {
	/* A report that counts arrived. */
	void (*on_report)(void *ctx, const char *cluster, const char *app_uid);
	/* The tombstone of this application is done and gone. */
	void (*on_deleted)(void *ctx, const char *cluster, const char *app_uid);
	/* An agent came, went, or said something about its cluster. */
	void (*on_cluster)(void *ctx, const char *cluster);
};

/* Loads what the store has, makes the CAs when there are none, and listens. */
int hub_fleet_new(const struct hub_fleet_options *options, const struct hub_fleet_events *events,
		  void *ctx, struct hub_fleet **ret_fleet, struct cox_error *err);
/* Says good-bye to the agents; on_stopped follows. */
void hub_fleet_stop(struct hub_fleet *f, void (*on_stopped)(void *arg), void *arg);
/* After on_stopped, or when hub_fleet_new was all that happened and the loop runs no more. */
void hub_fleet_free(struct hub_fleet *f);
/* As bound: "127.0.0.1:40123". */
const char *hub_fleet_address(const struct hub_fleet *f);
/* Hexadecimal SHA-256 of the hub CA's public key: what an agent is told to expect. */
const char *hub_fleet_ca_pin(const struct hub_fleet *f);
/* PEM. */
const char *hub_fleet_ca(const struct hub_fleet *f);

/* ---- clusters ---- */

struct hub_cluster_state {
	bool enrolled, connected;
	uint64_t n_connections; /* since this process began, the one that is up among them */
	int64_t since_ms;	/* connected or away since then, wall clock; 0: never seen */
	int64_t last_seen_ms;	/* 0: never */
	char *kubernetes_version, *agent_version, *platform, *api_error; /* NULL: not said */
	uint64_t memory_bytes;
	bool configured;	   /* it said that the configuration is in force there */
	char *configuration_error; /* why not; NULL: not said */
	uint64_t higher_epoch;	   /* it has seen an epoch above ours; 0: no */
};

/* The cluster exists from now on (until hub_fleet_remove). */
void hub_fleet_add(struct hub_fleet *f, const char *cluster);
/* Forgets the cluster: binding, token, assignments, reports; its agent is cut off. */
void hub_fleet_remove(struct hub_fleet *f, struct hub_batch *batch, const char *cluster);
/* NULL: no such cluster. */
const struct hub_cluster_state *hub_fleet_cluster(const struct hub_fleet *f, const char *cluster);
/* Applications that are assigned to it; counts them. */
size_t hub_fleet_assignments(const struct hub_fleet *f, const char *cluster);
/* A token that lets one agent join as this cluster, once; replaces the one before. Give it to
 * nobody before the batch is durable. */
int hub_fleet_token(struct hub_fleet *f, struct hub_batch *batch, const char *cluster,
		    int64_t ttl_ms, char ret_token[COX_TOKEN_TEXT], int64_t *ret_expires_ms,
		    struct cox_error *err);
size_t hub_fleet_connected(const struct hub_fleet *f);

/* ---- desired state ---- */

typedef Coxswain__Assignment__V1__Assignment hub_assignment;
typedef Coxswain__Assignment__V1__Tombstone hub_tombstone;
typedef Coxswain__Report__V1__ApplicationReport hub_report;

/* NULL: none. */
const hub_assignment *hub_fleet_assignment(const struct hub_fleet *f, const char *cluster,
					   const char *app_uid);
const hub_tombstone *hub_fleet_tombstone(const struct hub_fleet *f, const char *cluster,
					 const char *app_uid);
/* The cluster that has an assignment of this application; NULL: none. Tombstones do not count. */
const char *hub_fleet_cluster_of(const struct hub_fleet *f, const char *app_uid);
/* want's epoch and generation are ignored: 1 when it differs from what is assigned and got the next
 * ones, 0 when it says the same. The cluster must exist. */
int hub_fleet_assign(struct hub_fleet *f, struct hub_batch *batch, const char *cluster,
		     const hub_assignment *want);
/* In place of the assignment: the application shall go. approved: also what asks for confirmation
 * (Delete=confirm). 0 when there was nothing assigned. */
int hub_fleet_bury(struct hub_fleet *f, struct hub_batch *batch, const char *cluster,
		   const char *app_uid, bool cascade,
		   Coxswain__Assignment__V1__Propagation propagation, bool approved);
/* The last report at the assigned generation with all resources; NULL: none yet. */
const hub_report *hub_fleet_report(const struct hub_fleet *f, const char *cluster,
				   const char *app_uid);
/* The last report whatever its generation was. */
const hub_report *hub_fleet_last_report(const struct hub_fleet *f, const char *cluster,
					const char *app_uid);
/* What every agent shall know besides its assignments (coxswain.assignment.v1.Configuration), ""
 * for nothing. In force, and on its way to the agents, when the batch is durable; batch NULL: now. */
void hub_fleet_configure(struct hub_fleet *f, struct hub_batch *batch, struct cox_str body);
/* Asks the agent to compare again; nothing when it is away. */
void hub_fleet_refresh(struct hub_fleet *f, const char *cluster, const char *app_uid);
/* What an agent is asked to compare. */
struct hub_fleet_question {
	const char *app_uid;
	const uint8_t *digest;	/* of an assigned bundle; or */
	struct cox_str objects; /* a bundle's text */
	/* as if it was assigned so, with objects; NULL: as it is assigned */
	const Coxswain__Agent__V1__Frame *frame;
	int64_t deadline_ms; /* 0: a minute */
};
typedef void hub_fleet_diff_done(void *arg, const Coxswain__Agent__V1__DiffResponse *response,
				 const struct cox_error *err);
/* Asks the agent how an application's objects differ. done comes later, once; the response is borrowed, NULL
 * with an error. -COX_UNAVAILABLE while the agent is away, and no done. */
int hub_fleet_diff(struct hub_fleet *f, const char *cluster,
		   const struct hub_fleet_question *question, hub_fleet_diff_done *done, void *arg,
		   struct cox_error *err);
void hub_fleet_each(const struct hub_fleet *f,
		    void (*fn)(void *ctx, const char *cluster, const hub_assignment *a,
			       const hub_tombstone *t),
		    void *ctx);
/* The same of one cluster. fn must not change the assignments. */
void hub_fleet_each_of(const struct hub_fleet *f, const char *cluster,
		       void (*fn)(void *ctx, const char *cluster, const hub_assignment *a,
				  const hub_tombstone *t),
		       void *ctx);

/* ---- bundles ---- */

/* The row of a bundle: its size, then zstd. json is the canonical text. Any thread. */
void hub_bundle_pack(struct cox_str json, struct cox_buf *out_row);
int hub_bundle_unpack(struct cox_str row, struct cox_buf *out_json, struct cox_error *err);

struct hub_fleet_stats {
	uint64_t changes_sent, acks, reports, reports_stale, bundles_sent, enrolled, enrol_refused;
};
void hub_fleet_stats(const struct hub_fleet *f, struct hub_fleet_stats *ret_stats);

#endif
