/* hub/store: what a hub must not forget. One interface: rows of bytes in a few tables, written in
 * batches; SQLite is the implementation here (sqlite.c), the management cluster's API another.
 *
 * The hub keeps its whole state in memory, on the loop, and this room makes it durable: a change is
 * made in memory and put into a batch at the same time; whatever the change lets out of the process
 * (a message to an agent, an answer to a person) waits for the batch. Batches are committed in the
 * order of hub_store_commit, each wholly or not at all; one thread writes, and those that wait
 * together share a transaction, so that a wave of a thousand assignments is one fsync.
 *
 * A store that cannot write is broken: it calls on_broken, commits nothing any more, and the
 * process ends, because its memory is ahead of its disk. What was promised is on the disk.
 *
 * Two hubs cannot share a state: the directory is locked, and every transaction checks that the
 * epoch is still the one that this process began with.
 *
 * Rows are sealed (common/crypto/aead.h) where their table or the caller says so: Secrets, bundle
 * bodies, CA keys. The key file stands beside the database, mode 0600; the directory is 0700.
 *
 * Threads: everything here is called on the loop's thread. */
#ifndef HUB_STORE_STORE_H
#define HUB_STORE_STORE_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/run/loop.h"

#include <stdbool.h>
#include <stdint.h>

enum hub_table {
	HUB_TABLE_META,	      /* epoch, instance, trust domain, CAs: name -> text */
	HUB_TABLE_OBJECT,     /* KIND/NAMESPACE/NAME -> JSON, without status */
	HUB_TABLE_TOKEN,      /* cluster -> JSON {hash, expires} */
	HUB_TABLE_BINDING,    /* cluster -> JSON {spki, clusterUid, enrolled} */
	HUB_TABLE_BUNDLE,     /* digest, hex -> zstd; sealed */
	HUB_TABLE_ASSIGNMENT, /* CLUSTER/APP-UID -> coxswain.assignment.v1.Change */
	HUB_TABLE_REPORT,     /* CLUSTER/APP-UID -> coxswain.report.v1.ApplicationReport, full */
	HUB_TABLE_ROLLOUT,    /* ID, and ID/ROW for what grows with the targets -> JSON */
	HUB_TABLE_HISTORY,    /* APP-UID -> JSON list */
	HUB_TABLE_GUARD,      /* uid of an ApplicationSet -> JSON list: what it deleted lately */
	HUB_N_TABLES,
};

/* ---- batches ---- */

struct hub_batch;

struct hub_batch *hub_batch_new(void);
void hub_batch_free(struct hub_batch *b);
DEFINE_CLEANUP(struct hub_batch *, hub_batch_free);
/* Bytes are copied. The last word about a key wins. */
void hub_batch_put(struct hub_batch *b, enum hub_table table, const char *key, struct cox_str body);
/* The same, encrypted at rest. */
void hub_batch_put_sealed(struct hub_batch *b, enum hub_table table, const char *key,
			  struct cox_str body);
void hub_batch_delete(struct hub_batch *b, enum hub_table table, const char *key);
/* fn(arg) runs on the loop when the batch is durable, in the order of the calls; free_arg (may be
 * NULL) always runs once, after fn or when the batch is dropped. */
void hub_batch_after(struct hub_batch *b, void (*fn)(void *arg), void *arg,
		     void (*free_arg)(void *arg));
bool hub_batch_is_empty(const struct hub_batch *b);

/* ---- the store ---- */

struct hub_store;

struct hub_store_options {
	const char *dir;
	bool restored; /* the state is an older copy: the epoch rises */
	void (*on_broken)(void *ctx, const struct cox_error *err);
	void *ctx;
};

/* SQLite in options->dir. COX_UNAVAILABLE when another hub has it. */
int hub_store_open(struct cox_loop *loop, const struct hub_store_options *options,
		   struct hub_store **ret_store, struct cox_error *err);
/* Commits what waits (its after functions do not run any more), and closes. */
void hub_store_free(struct hub_store *s);
DEFINE_CLEANUP(struct hub_store *, hub_store_free);

uint64_t hub_store_epoch(const struct hub_store *s);
/* A UUID made with the store. */
const char *hub_store_instance(const struct hub_store *s);
/* The state was made by this open. */
bool hub_store_is_new(const struct hub_store *s);
const char *hub_store_dir(const struct hub_store *s);

/* Every row of a table, unsealed, by key; fn may fail, which ends it. Reads on the calling thread:
 * for the start, before anything is committed. */
int hub_store_each(struct hub_store *s, enum hub_table table,
		   int (*fn)(void *ctx, const char *key, struct cox_str body,
			     struct cox_error *err),
		   void *ctx, struct cox_error *err);
/* The keys alone. */
int hub_store_keys(struct hub_store *s, enum hub_table table,
		   void (*fn)(void *ctx, const char *key), void *ctx, struct cox_error *err);
/* One row, at the start. Appends; COX_NOT_FOUND. */
int hub_store_get(struct hub_store *s, enum hub_table table, const char *key, struct cox_buf *out,
		  struct cox_error *err);

/* Takes the batch (also an empty one: its after functions still wait for their turn). */
void hub_store_commit(struct hub_store *s, struct hub_batch *batch_taken);
/* Reads one row behind what was committed before; done runs on the loop. body is borrowed and
 * may be taken over by cox_buf_take; NULL when err says why. */
void hub_store_read(struct hub_store *s, enum hub_table table, const char *key,
		    void (*done)(void *arg, struct cox_buf *body, const struct cox_error *err),
		    void *arg);

struct hub_store_stats {
	uint64_t batches, transactions, rows;
};
void hub_store_stats(const struct hub_store *s, struct hub_store_stats *ret_stats);

#endif
