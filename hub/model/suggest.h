/* "did you mean": the candidate nearest to a word, by edit distance. Pure. */
#ifndef COX_HUB_MODEL_SUGGEST_H
#define COX_HUB_MODEL_SUGGEST_H

#include "common/base/buf.h"

struct hub_suggestion {
	const char *best; /* NULL: nothing is near enough */
	size_t distance;
};

/* Offers one candidate; keeps the nearest. Near enough: at most two edits, at most a third of the
 * word, or equal but for the case. Words over 64 bytes are never near. */
void hub_suggest(struct hub_suggestion *s, struct cox_str word, const char *candidate);

#endif
