/* Health, with people's scripts: the cluster's configuration and what is judged by it.
 *
 * Rules are cheap and run on the loop; a script may burn a second, so it runs in the pool, one run
 * for each object, and what was seen of the object counts only when its verdict is there: until
 * then the entry says what it said before, status and health and version together. So a new version
 * of an object never goes with an old version's health. Of versions that come meanwhile the newest
 * is kept and judged next. Without a pool (tests, simulations) scripts run at once. */
#ifndef AGENT_SYNC_JUDGE_H
#define AGENT_SYNC_JUDGE_H

#include "agent/sync/app.h"

/* ---- the configuration ---- */

/* Puts what the store has in force. A body that cannot be read keeps what was in force before. */
void agent_configuration_load(struct agent_engine *e);
/* Into the caller's transaction. */
int agent_configuration_store(struct agent_engine *e, struct cox_str body, struct cox_error *err);
void agent_configuration_free(struct agent_engine *e);

/* Somebody wrote a script for the kind. */
bool agent_has_script(const struct agent_engine *e, struct cox_str group, struct cox_str kind);

/* ---- objects ---- */

/* Of the tree: no decision hangs on it, and there may be many, so a script gets little time, on the
 * loop. */
void agent_judge_briefly(struct agent_engine *e, const struct cox_node *object,
			 struct cox_health *ret_health);

/* true: the verdict comes later, agent_entry_settle is called with it. */
bool agent_judge_begin(struct agent_entry *entry, struct cox_doc *live);
/* On the loop, now: by the rules, or by a script where there is no pool. */
void agent_judge_now(struct agent_engine *e, struct cox_doc *live, struct cox_health *ret_health);
/* What a request has just answered: its health as far as it is known. entry may be NULL. */
void agent_judge_applied(struct agent_engine *e, const struct agent_entry *entry,
			 struct cox_doc *live, struct cox_health *ret_health);
/* An object with another uid than this is being judged: what is told of this one is old news. */
bool agent_judge_is_of_another(const struct agent_entry *entry, struct cox_str uid);
/* Nothing comes of what is being judged: the object or the entry is gone. */
void agent_judge_drop(struct agent_entry *entry);

#endif
