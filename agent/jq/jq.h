/* agent/jq: which parts of an object a jq expression names, found out in a process of its own.
 *
 * What people write as an expression is a program: it may loop, grow, or meet a bug of the library.
 * So it runs in a helper: this very program started again (argument AGENT_JQ_HELPER) with an empty
 * environment, no files, limits on memory and on the processor, one second for each expression and
 * object. It is started at the first question, dropped when nothing was asked for a while, and
 * started again after it died. Whoever it died at is asked once more, unless time was up; who killed
 * it three times is not asked again for five minutes.
 *
 * Expressions only name places: what comes back is `path(EXPRESSION)`, for whoever asks to cut out
 * of his own copy. An expression that meets a value it cannot go into (`.a[]` where there is no a)
 * names nothing in that object, as in Argo CD. One that cannot be compiled, takes too long, needs
 * too much or names more than AGENT_JQ_PATHS_MAX places fails the whole question, and the error
 * names it.
 *
 * Design notes. One question is with the helper at a time, the others wait in order with references
 * to their documents. The conversation is frames (frame.h) of JSON over a socket pair: a question
 * {"objects": […], "expressions": […]}, then for each expression one answer {"i": index, "paths":
 * [paths of the first object, …]} or {"i": index, "error": "…"}. So when the helper dies it is known
 * which expression it was at.
 *
 * Loop-owned. */
#ifndef AGENT_JQ_JQ_H
#define AGENT_JQ_JQ_H

#include "common/base/options.h"
#include "common/doc/doc.h"
#include "common/run/loop.h"

#define AGENT_JQ_HELPER	   "jq-helper"
#define AGENT_JQ_PATHS_MAX 10000 /* of one expression in one object */

struct agent_jq;
struct agent_jq_call;

struct agent_jq_options {
	struct cox_loop *loop;
	const char *program; /* NULL: this one */
	int64_t idle_ms;     /* without a question, then the helper is dropped; 0: 60 s */
	int64_t patience_ms; /* for one answer, whoever uses the processor; 0: 10 s */
};

struct agent_jq *agent_jq_new(const struct agent_jq_options *options);
/* Drops the helper and every question without a word. NULL is fine. Not from inside a done. */
void agent_jq_free(struct agent_jq *jq);
/* Of the helper that runs; 0: none does. For tests and for the log. */
int agent_jq_pid(const struct agent_jq *jq);

/* error COX_OK: paths is a list with one item for each object: the list of the paths that the
 * expressions together name in it; sealed, borrowed (cox_doc_ref to keep). Otherwise NULL.
 * COX_INVALID_ARGUMENT: the expression is no good. COX_RESOURCE_EXHAUSTED: it needs too much.
 * COX_UNAVAILABLE: there is no helper to be had now. */
typedef void agent_jq_done(void *arg, struct cox_doc *paths, const struct cox_error *error);

/* done is called once, in a later turn of the loop. Documents are sealed and referenced. */
struct agent_jq_call *agent_jq_ask(struct agent_jq *jq, struct cox_doc *const objects[],
				   size_t n_objects, const cox_strings *expressions,
				   agent_jq_done *done, void *arg);
/* done is not called any more. NULL is fine. */
void agent_jq_cancel(struct agent_jq_call *call);

/* What the helper does; for main. Returns its exit status. */
int agent_jq_main(void);

#endif
