/* The engine: keeps the cluster equal to what was assigned.
 *
 * It holds every application's assignment, watches the kinds that its objects are of, compares what
 * comes with what shall be, syncs when the guards say so (decide.h), prunes, heals, judges health,
 * and says when a report is worth sending. It needs no hub for any of that: what it was told last is
 * in the store, and it begins again from there.
 *
 * Of live objects nothing is kept but a summary each (status, health, names of differing fields);
 * of bundles what is needed at the moment. An object that is none of ours leaves no trace but its
 * name in the watch.
 *
 * Loop-owned. The store, the client and the loop are the caller's and outlive it. */
#ifndef AGENT_SYNC_ENGINE_H
#define AGENT_SYNC_ENGINE_H

#include "agent/sync/store.h"
#include "common/base/arena.h"
#include "common/kube/client.h"
#include "common/kube/meta.h"
#include "common/run/loop.h"
#include "proto/agent.pb-c.h"
#include "proto/assignment.pb-c.h"
#include "proto/report.pb-c.h"

struct agent_engine;

struct agent_engine_options {
	struct cox_loop *loop;
	struct agent_store *store;
	struct cox_kube *kube;
	struct agent_jq *jq;	 /* NULL: jqPathExpressions are a ComparisonError */
	int64_t wave_delay_ms;	 /* between the last apply of a wave and the next wave */
	unsigned script_threads; /* that health scripts run on; 0: they run on the loop */
	int64_t delete_retry_ms; /* before hooks of a deletion are tried again, the first time */
	int64_t hook_grace_ms;	 /* hooks of an operation that something newer takes the place of */
	/* A bundle is needed that is not in the store; asked once, and again by
	 * agent_engine_each_missing. */
	void (*want_bundle)(void *ctx, const uint8_t digest[COX_SHA256_BYTES]);
	/* The application's report may differ from the last one. */
	void (*changed)(void *ctx, const char *app_uid);
	void *ctx;
};

int agent_engine_new(const struct agent_engine_options *options, struct agent_engine **ret_engine,
		     struct cox_error *err);
/* What runs in the cluster stays as it is; an operation goes on at the next start. */
void agent_engine_free(struct agent_engine *engine);
DEFINE_CLEANUP(struct agent_engine *, agent_engine_free);

/* ---- desired state in ---- */

/* Makes the changes durable together with the position (0: none is written), then puts them in
 * force. What is older than what is here, by (epoch, generation), changes nothing. */
int agent_engine_accept(struct agent_engine *engine,
			const Coxswain__Assignment__V1__Change *const *changes, size_t n,
			uint64_t position, struct cox_error *err);
uint64_t agent_engine_position(const struct agent_engine *engine);
uint64_t agent_engine_highest_epoch(const struct agent_engine *engine);
/* common/ctl/stamp.h */
void agent_engine_digest(struct agent_engine *engine, uint8_t ret_digest[COX_SHA256_BYTES]);
/* The hub's Configuration: the SHA-256 of the body that is durable here, and of the one that is in
 * force; they differ while the durable one cannot be used, error says why. Borrowed. */
struct agent_configuration {
	const uint8_t *kept, *in_force;
	const char *error; /* "": none */
};
void agent_engine_configuration(const struct agent_engine *engine,
				struct agent_configuration *ret_configuration);
/* The bundle is in the store. */
void agent_engine_bundle_arrived(struct agent_engine *engine,
				 const uint8_t digest[COX_SHA256_BYTES]);
void agent_engine_bundle_failed(struct agent_engine *engine, const uint8_t digest[COX_SHA256_BYTES],
				const struct cox_error *why);
void agent_engine_each_missing(struct agent_engine *engine,
			       void (*each)(void *ctx, const uint8_t digest[COX_SHA256_BYTES]),
			       void *ctx);
/* Compare again now. COX_NOT_FOUND. */
int agent_engine_refresh(struct agent_engine *engine, const char *app_uid, struct cox_error *err);

/* ---- observed state out ---- */

void agent_engine_each_app(struct agent_engine *engine,
			   void (*each)(void *ctx, const char *app_uid), void *ctx);
/* What is new since the last call for this application, or everything. 1: *ret_report is filled,
 * its parts are arena's or borrowed until the next turn of the loop; 0: nothing has changed. */
int agent_engine_report(struct agent_engine *engine, const char *app_uid, bool full,
			struct cox_arena *arena,
			Coxswain__Report__V1__ApplicationReport *ret_report);
/* The hub has kept the report of that sequence: a deletion that is done is forgotten here. */
void agent_engine_reported(struct agent_engine *engine, const char *app_uid, uint64_t sequence);
/* Why the API server cannot be used at the moment, or "". */
const char *agent_engine_api_error(const struct agent_engine *engine);
/* "v1.30.2", or "" while it is unknown. */
const char *agent_engine_api_version(const struct agent_engine *engine);

/* One managed object, live and desired, as JSON with Secret values masked; either may be empty.
 * done comes once, unless the engine is freed before. COX_NOT_FOUND when it is no object of the
 * application. */
typedef void agent_resource_done(void *arg, struct cox_str live, struct cox_str desired,
				 const struct cox_error *error);
int agent_engine_resource(struct agent_engine *engine, const char *app_uid,
			  struct cox_object_key key, agent_resource_done *done, void *arg,
			  struct cox_error *err);

/* How an application's objects differ from those of a bundle's text, or of a bundle that is, or is about to
 * be, assigned, by its digest; with a frame as if it was assigned so. Reads them
 * from the API server, and where they seem to differ asks it by a dry run. done comes once, unless it is
 * cancelled; what it gets is borrowed. COX_NOT_FOUND, COX_UNAVAILABLE, COX_INVALID_ARGUMENT. */
struct agent_diff;
typedef void agent_diff_done(void *arg, const Coxswain__Agent__V1__DiffResponse *response,
			     const struct cox_error *error);
int agent_engine_diff(struct agent_engine *engine, const Coxswain__Agent__V1__DiffRequest *request,
		      agent_diff_done *done, void *arg, struct agent_diff **ret_diff,
		      struct cox_error *err);
void agent_diff_cancel(struct agent_diff *diff);

#endif
