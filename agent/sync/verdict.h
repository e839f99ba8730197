/* Whether an object is as it shall be: the comparison, and where it says "different" of an object
 * that we have applied, a dry run of applying it again, which may know better.
 *
 * Expressions of ignoreDifferences are run by agent/jq first; what they name is cut out before the
 * comparison. One that is no good, or needs too much, leaves the object's status unknown, and
 * entry->comparison_error says why: nothing is healed by a guess.
 *
 * Answers come later, and until then the entry says what it said before: status, health and version
 * go together, as in judge.h. Of versions that come meanwhile the newest is kept. A question is
 * asked once for one state of the two objects (agent_compare_state: what the server alone writes,
 * status above all, is no part of it), and what an apply has just answered is no question at all;
 * so an unchanged application costs no request. A dry run that is refused leaves what the
 * comparison said; one that gets no answer is asked again later.
 *
 * Annotation argocd.argoproj.io/compare-options of an object: ServerSideDiff=false: the comparison
 * alone decides; IncludeMutationWebhook=true: what the dry run changes beyond the wish counts too;
 * IgnoreExtraneous: the object does not count when the bundle has it no more. */
#ifndef AGENT_SYNC_VERDICT_H
#define AGENT_SYNC_VERDICT_H

#include "agent/compare/compare.h"
#include "agent/sync/app.h"

/* 0: *ret_status and *d say it. 1: later; agent_entry_settle is called again then. */
int agent_verdict_reach(struct agent_entry *entry, struct cox_doc *live,
			const struct cox_health *health, bool current,
			enum agent_sync_status *ret_status, struct agent_difference *d);
/* An apply of what is wanted now has answered with this: nothing is left to be done. */
void agent_verdict_applied(struct agent_entry *entry, struct cox_doc *live);
/* An answer is awaited. */
bool agent_verdict_is_pending(const struct agent_entry *entry);
/* Nothing that was asked or known counts any more: the object or the entry is gone, or the rules
 * are others. */
void agent_verdict_drop(struct agent_entry *entry);

/* RespectIgnoreDifferences: the object as it is to be written over the live one
 * (agent_respect_ignored), one reference. Fails where expressions say what is ignored and their
 * answer about these two is not there (yet). */
int agent_verdict_respect(struct agent_app *app, const char *key_text, struct cox_doc *desired,
			  struct cox_doc *live, struct cox_doc **ret_doc, struct cox_error *err);

bool agent_ignores_extraneous(const struct cox_node *object);

#endif
