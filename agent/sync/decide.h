/* Whether an application is to be synced by itself now, and how: the guards of automated sync and
 * self-heal (B7.2 of the reference), retries (B7.3). Pure: time is a parameter. */
#ifndef AGENT_SYNC_DECIDE_H
#define AGENT_SYNC_DECIDE_H

#include "common/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum agent_decision {
	AGENT_DO_NOTHING,
	AGENT_DO_SYNC,	/* everything */
	AGENT_DO_HEAL,	/* only what is out of sync */
	AGENT_DO_WAIT,	/* until *ret_due_ms */
	AGENT_DO_REFUSE /* a SyncError condition says why */
};

struct agent_situation {
	bool automated, prune, self_heal, allow_empty;
	bool is_deleting; /* a tombstone is at work */
	bool operation_runs;
	bool has_digest;      /* there is something to sync to, and it is here */
	bool out_of_sync;     /* observed, against the sync digest; unknown is not enough */
	size_t n_wanted;      /* objects of the bundle */
	size_t n_out_of_sync; /* of those */
	size_t n_extra;	      /* to be pruned */
	size_t n_owned;	      /* in the inventory */
	bool synced_before;   /* the last operation was for this digest, */
	bool last_failed;     /* and failed */
	const char *last_message;
	bool changed_since; /* something changed since it failed */
	uint32_t heals;	    /* self-heals of this digest so far */
	int64_t last_heal_ms;
};

enum agent_decision agent_decide(const struct agent_situation *s, int64_t now_ms,
				 int64_t *ret_due_ms, struct cox_error *err);

/* Objects that may be pruned by an automated sync: all but more than ten that are also more than
 * 30 % of the inventory (I-7). */
bool agent_prune_is_safe(size_t n_extra, size_t n_owned);

/* Whether a sync that nobody started by hand may prune so many: not all of them unless that is
 * permitted, and no more than is safe. */
int agent_check_prune(size_t n_extra, size_t n_wanted, size_t n_owned, bool allow_empty,
		      struct cox_error *err);

struct agent_retry {
	int64_t limit; /* < 0: for ever */
	int64_t duration_ms, factor, max_duration_ms;
};
/* Zeros become 5 s, 2 and 3 min. */
void agent_retry_defaults(struct agent_retry *r);
/* The wait before retry number `retry_count` (from 1). */
int64_t agent_retry_delay_ms(const struct agent_retry *r, uint32_t retry_count);

#endif
