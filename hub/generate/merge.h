/* The two merges of this room. Private to it. */
#ifndef COX_HUB_GENERATE_MERGE_H
#define COX_HUB_GENERATE_MERGE_H

#include "common/doc/doc.h"

/* over's non-empty fields on base: maps deep, lists as a whole; "", 0, false, null, [] and {} are
 * empty. Either may be NULL. A node of doc, or base or over themselves, whose documents doc must
 * use. */
const struct cox_node *hub_merge_filled(struct cox_doc *doc, const struct cox_node *base,
					const struct cox_node *over);

/* RFC 7386: maps deep, null removes, everything else replaces. */
const struct cox_node *hub_merge_patch(struct cox_doc *doc, const struct cox_node *base,
				       const struct cox_node *patch);

#endif
