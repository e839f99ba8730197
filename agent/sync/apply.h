/* How one object of an operation is written.
 *
 * Server-side apply, forced, by our field manager; before the first one the fields of
 * kubectl-client-side-apply and of Argo CD move to it, unless ClientSideApplyMigration=false. What
 * ServerSideApply says makes no difference: there is no client-side apply here.
 *
 *	Replace=true   the object is created, or put in the place of what is there (PUT)
 *	Force=true     what the server refuses to change is deleted and made anew, if it is ours; with
 *	               Replace=true that is done at once. The deletion is awaited.
 *	RespectIgnoreDifferences=true   what ignoreDifferences names is written as it is there now
 *	Validate=false   unknown fields are no error
 *
 * What needs a look at the live object asks the server for it, and tries again when that has changed
 * in between. Loop-owned. */
#ifndef AGENT_SYNC_APPLY_H
#define AGENT_SYNC_APPLY_H

#include "agent/sync/app.h"

typedef void agent_apply_done(struct agent_call *call, const struct cox_kube_answer *answer);

/* The application's, the operation's and the object's own. */
uint32_t agent_task_options(const struct agent_operation *op, const struct agent_task *t);
/* Counts in op->n_in_flight until done, which gets the last answer with call->task, and has to
 * count it off. false: the server does not know the kind. */
bool agent_apply_start(struct agent_operation *op, size_t task, bool dry_run,
		       agent_apply_done *done);
/* Whether that refusal is one that Force=true gets over. */
bool agent_apply_may_force(const struct agent_operation *op, size_t task,
			   const struct cox_kube_answer *answer);
/* If so, the deletion begins, of what call could not write: the task is_replacing until the object
 * is gone. */
bool agent_apply_force(struct agent_operation *op, const struct agent_call *call,
		       const struct cox_kube_answer *answer);

#endif
