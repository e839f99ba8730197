/* The rows of one rollout, as a store has them: for tests that keep it and read it back. */
#ifndef TESTS_HUB_ROLLOUT_ROWS_H
#define TESTS_HUB_ROLLOUT_ROWS_H

#include "hub/rollout/rollout.h"

struct rows {
	struct cox_map text; /* name -> JSON */
	size_t n_written;    /* by the last rows_write, the head among them; and bytes */
	size_t n_bytes, n_gone;
};

/* What has changed since it was written last. */
void rows_write(struct rows *k, struct cox_rollout *r);
/* All there is. */
void rows_write_all(struct rows *k, struct cox_rollout *r);
int rows_read(const struct rows *k, struct cox_rollout **ret_rollout, struct cox_error *err);
/* How the rows differ from all that r would write now; the caller's, NULL: not at all. */
char *rows_differ(const struct rows *k, struct cox_rollout *r);
/* Writes what has changed, reads it back, and goes on with that as the same process. A sentence
 * that says what was lost, the caller's; NULL: nothing. */
char *rows_reload(struct rows *k, struct cox_rollout **r);
/* As a process that comes after this one. */
int rows_restart(struct rows *k, struct cox_rollout **r, struct cox_error *err);
void rows_fini(struct rows *k);

#endif
