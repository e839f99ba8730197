/* Inside agent/jq: frames, four bytes of length (big-endian) and a text. Pure. */
#ifndef AGENT_JQ_FRAME_H
#define AGENT_JQ_FRAME_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/doc/doc.h"

#define AGENT_JQ_FRAME_MAX (16 << 20)

/* Appends. */
void agent_jq_frame_add(struct cox_buf *out, struct cox_str text);
/* The first frame of what has come. 1: *ret_text is it (a view into in), *ret_used its length with
 * the head; 0: more has to come; COX_RESOURCE_EXHAUSTED: it is too long. */
int agent_jq_frame_next(struct cox_str in, struct cox_str *ret_text, size_t *ret_used,
			struct cox_error *err);

/* What a helper answers about one expression. The document is sealed and the caller's. */
struct agent_jq_answer {
	struct cox_doc *doc;
	size_t index;
	const struct cox_node *paths; /* NULL: error says why */
	struct cox_str error;
};
/* n_objects: how many lists of paths there have to be. */
int agent_jq_answer_read(struct cox_str text, size_t n_objects, struct agent_jq_answer *ret_answer,
			 struct cox_error *err);

#endif
