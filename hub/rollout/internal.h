/* What the files of this room share. */
#ifndef COX_HUB_ROLLOUT_INTERNAL_H
#define COX_HUB_ROLLOUT_INTERNAL_H

#include "hub/rollout/rollout.h"

void rollout_plan_copy(const struct cox_rollout_plan *plan, struct cox_rollout_plan *ret_copy);
/* The targets are others, or in other places, from now on. */
void rollout_index(struct cox_rollout *r);
/* How many targets of the wave may be on their way at one time. */
size_t rollout_budget(const struct cox_rollout_wave *w, size_t n_targets);

#endif
