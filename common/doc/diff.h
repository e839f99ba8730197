/* What differs between two nodes, as a list of places that a person can read. Pure. */
#ifndef COX_DOC_DIFF_H
#define COX_DOC_DIFF_H

#include "common/doc/doc.h"

enum cox_change {
	COX_CHANGE_ADDED,   /* only in `to` */
	COX_CHANGE_REMOVED, /* only in `from` */
	COX_CHANGE_VALUE,   /* in both, and not equal */
};

struct cox_difference {
	enum cox_change change;
	char *path; /* "spec.template.spec.containers[0].image"; "" for the root */
	const struct cox_node *from, *to; /* borrowed; NULL on the side that has none */
};

typedef COX_VEC(struct cox_difference) cox_differences;
void cox_differences_fini(cox_differences *d);
#define _cleanup_differences_ COX_CLEANUP(cox_differences_fini)

/* Appends at most max differences, in the order of from's keys, then to's new ones. Maps are
 * compared by key, lists by index; a value that is of another kind or a scalar is one difference.
 * Returns false when there are more than that. Costs as much as cox_node_equal, and the paths. */
bool cox_diff(const struct cox_node *from, const struct cox_node *to, size_t max,
	      cox_differences *ret_differences);

#endif
