/* "did you mean": the candidate nearest to a word, by edit distance (a swap of neighbours is one
 * edit, case does not count). Pure. */
#ifndef COX_BASE_SUGGEST_H
#define COX_BASE_SUGGEST_H

#include "common/base/buf.h"

struct cox_suggestion {
	const char *best; /* NULL: nothing is near enough */
	size_t distance;
};

/* Offers one candidate; keeps the nearest. Near enough: at most two edits, at most a third of the
 * word, or equal but for the case. Words over 64 bytes are never near. */
void cox_suggest(struct cox_suggestion *s, struct cox_str word, const char *candidate);

#endif
