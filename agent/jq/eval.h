/* Inside agent/jq: the door to libjq. It runs in the helper only; it may end the process at any
 * expression, and is meant to. */
#ifndef AGENT_JQ_EVAL_H
#define AGENT_JQ_EVAL_H

#include "common/base/buf.h"

/* A question as JSON; calls `answer` with the JSON of one answer for each expression. -1: it is no
 * question. */
int agent_jq_eval(struct cox_str question, void (*answer)(void *arg, struct cox_str json),
		  void *arg);

#endif
