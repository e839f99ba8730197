/* What an agent must not forget, in one SQLite file of --state: who it is, what it was assigned and
 * up to where, the bundles, what it has applied, which operations it has begun, which hooks.
 *
 * A call that returned 0 is durable (synchronous=FULL). Bodies and secrets are sealed with the key
 * file beside the database; the row's table and key are associated data, so that no row can take
 * another's place. Loop-owned: a write holds the loop for one fsync, and callers write what belongs
 * together in one transaction. */
#ifndef AGENT_SYNC_STORE_H
#define AGENT_SYNC_STORE_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/crypto/digest.h"
#include "common/db/db.h"

#include <stdbool.h>
#include <stdint.h>

struct agent_store;

/* dir is made with 0700 when it is missing. */
int agent_store_open(const char *dir, struct agent_store **ret_store, struct cox_error *err);
void agent_store_close(struct agent_store *store);
DEFINE_CLEANUP(struct agent_store *, agent_store_close);
/* What follows until cox_tx_commit is durable together. */
int agent_store_begin(struct agent_store *store, struct cox_tx *tx, struct cox_error *err);

/* ---- single values: identity, position ---- */

/* 1 and appended to out; 0: there is none. */
int agent_store_get(struct agent_store *store, const char *name, struct cox_buf *out,
		    struct cox_error *err);
int agent_store_put(struct agent_store *store, const char *name, struct cox_str value,
		    struct cox_error *err);
/* 0 when it was never put. */
int agent_store_get_int(struct agent_store *store, const char *name, uint64_t *ret_value,
			struct cox_error *err);
int agent_store_put_int(struct agent_store *store, const char *name, uint64_t value,
			struct cox_error *err);

/* ---- applications: an assignment or a tombstone, as the packed message ---- */

struct agent_app_row {
	const char *uid;
	bool tombstone;
	uint64_t epoch, generation;
	struct cox_str body;
};
int agent_store_put_app(struct agent_store *store, const struct agent_app_row *row,
			struct cox_error *err);
/* The application, its inventory and its operations. */
int agent_store_drop_app(struct agent_store *store, const char *uid, struct cox_error *err);
/* Every application in order of uid; negative from each ends it. */
int agent_store_each_app(struct agent_store *store,
			 int (*each)(void *ctx, const struct agent_app_row *row,
				     struct cox_error *err),
			 void *ctx, struct cox_error *err);

/* ---- bundles, as they travelled: zstd over canonical JSON ---- */

int agent_store_put_bundle(struct agent_store *store, const uint8_t digest[COX_SHA256_BYTES],
			   struct cox_str packed, struct cox_error *err);
bool agent_store_has_bundle(struct agent_store *store, const uint8_t digest[COX_SHA256_BYTES]);
/* The canonical JSON, appended; its digest is checked again. COX_NOT_FOUND. */
int agent_store_get_bundle(struct agent_store *store, const uint8_t digest[COX_SHA256_BYTES],
			   struct cox_buf *out, struct cox_error *err);
/* Drops every bundle that is not among the n digests. */
int agent_store_keep_bundles(struct agent_store *store, const uint8_t (*digests)[COX_SHA256_BYTES],
			     size_t n, struct cox_error *err);

/* ---- inventory: what was applied, or is about to be ---- */

struct agent_inventory_row {
	const char *key_text;
	const char *version;
	const char *object_uid; /* "" until the object was seen */
	int64_t wave;
	uint32_t options;
};
int agent_store_put_object(struct agent_store *store, const char *app_uid,
			   const struct agent_inventory_row *row, struct cox_error *err);
int agent_store_drop_object(struct agent_store *store, const char *app_uid, const char *key_text,
			    struct cox_error *err);
int agent_store_each_object(struct agent_store *store, const char *app_uid,
			    int (*each)(void *ctx, const struct agent_inventory_row *row,
					struct cox_error *err),
			    void *ctx, struct cox_error *err);

/* ---- operations ---- */

struct agent_operation_row {
	const char *id;
	const char *app_uid;
	bool running;
	bool from_hub; /* given by the hub; the agent's own are counted apart */
	int64_t started_ms;
	struct cox_str spec;  /* packed coxswain.assignment.v1.Operation */
	struct cox_str state; /* packed coxswain.report.v1.OperationState */
	uint32_t tried;	      /* the last attempt whose dry run is over */
	/* why that attempt has failed: its SyncFail hooks run; "": it has not */
	struct cox_str failing;
};
/* The last COX_LIMIT_AGENT_OPERATIONS of an application are kept, of the hub's and of its own each,
 * so that an id of the hub that an assignment still names is never begun again. */
int agent_store_put_operation(struct agent_store *store, const struct agent_operation_row *row,
			      struct cox_error *err);
/* 1 when this id was ever begun. */
int agent_store_has_operation(struct agent_store *store, const char *id, struct cox_error *err);
/* The one of that id; each is not called when there is none. 1: there is one. */
int agent_store_operation(struct agent_store *store, const char *id,
			  int (*each)(void *ctx, const struct agent_operation_row *row,
				      struct cox_error *err),
			  void *ctx, struct cox_error *err);
/* The last one that began; each is not called when there is none. */
int agent_store_last_operation(struct agent_store *store, const char *app_uid,
			       int (*each)(void *ctx, const struct agent_operation_row *row,
					   struct cox_error *err),
			       void *ctx, struct cox_error *err);

/* ---- hooks: each run of each, from before its object is made ---- */

enum agent_hook_state {
	AGENT_HOOK_INTENT,  /* its object may have been made */
	AGENT_HOOK_CREATED, /* it was, with object_uid */
	AGENT_HOOK_ENDED_WELL,
	AGENT_HOOK_ENDED_BADLY,
};
struct agent_hook_row {
	const char *operation; /* its id */
	uint32_t attempt;
	int phase; /* enum agent_phase */
	const char *key_text;
	const char *version;
	const char *object_uid; /* "" until it is known */
	enum agent_hook_state state;
	bool released; /* the finalizer is off, or there is no object */
	bool gone;     /* the object was deleted */
	uint32_t hook_delete;
	int64_t started_ms;  /* wall; when the object was made */
	const char *message; /* of the outcome */
};
int agent_store_put_hook(struct agent_store *store, const char *app_uid,
			 const struct agent_hook_row *row, struct cox_error *err);
/* operation NULL: of all. In the order in which they were first put. */
int agent_store_each_hook(struct agent_store *store, const char *app_uid, const char *operation,
			  int (*each)(void *ctx, const struct agent_hook_row *row,
				      struct cox_error *err),
			  void *ctx, struct cox_error *err);
/* What is known of objects that are gone, or that a later run made anew, of operations other than
 * this one. */
int agent_store_drop_old_hooks(struct agent_store *store, const char *app_uid,
			       const char *operation, struct cox_error *err);

#endif
