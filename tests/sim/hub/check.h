/* What the files of the checker share: what the hub has said and heard, as seen from outside. */
#ifndef SIM_HUB_CHECK_H
#define SIM_HUB_CHECK_H

#include "tests/sim/hub/world.h"

#include <string.h>

/* One application on one cluster: what the hub assigned last (it may not be durable yet), and what
 * the newest report about exactly that said. */
struct sim_entry {
	char cluster[32], uid[COX_UUID_TEXT];
	uint64_t epoch, generation;
	bool tombstone, has_sync, is_job;
	uint8_t sync[HUB_DIGEST_BYTES];
	char operation[COX_UUID_TEXT], by[32];
	/* reports */
	char boot[64];
	uint64_t sequence;
	bool healthy, failed;
	int64_t healthy_ms; /* without a break since then */
	/* what else was so in this millisecond: the hub has looked at one of these */
	int64_t at_ms;
	bool was_healthy, was_failed;
};

/* A change of assignment in a batch. */
struct sim_move {
	struct sim_entry *before; /* NULL: there was none */
	char cluster[32], uid[COX_UUID_TEXT];
	const sim_assignment *a;
	bool sync_changed, operation_changed, justified;
};
typedef COX_VEC(struct sim_move) sim_moves;

/* Whether an operation of this initiator is a rollout's, there or back. */
static inline bool sim_is_of_rollout(const char *by)
{
	return strcmp(by, "rollout") == 0 || strcmp(by, "rollback") == 0;
}

struct sim_entry *sim_entry_find(const char *cluster, const char *uid);
/* No Application has this uid, or its deletion was asked for. */
bool sim_app_is_gone(const char *uid);
bool sim_was_healthy(struct sim_entry *e);
bool sim_was_failed(struct sim_entry *e);

/* check_roll.c: the rollout's row is in a batch with these moves, before they are in the entries. */
void sim_check_rollout(const struct cox_rollout *r, sim_moves *moves);
void sim_check_rolls_close(void);
void sim_check_rolls_restart(void);
bool sim_is_by_hand(const char *operation, bool *ret_past_gates);

#endif
