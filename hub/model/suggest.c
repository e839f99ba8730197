#include "hub/model/suggest.h"

#include <strings.h>

#define MAX_WORD 64

/* Levenshtein's distance with one row. */
static size_t distance(struct cox_str a, struct cox_str b)
{
	size_t row[MAX_WORD + 1];

	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
			size_t best = row[j] + 1;

			diagonal = row[j];
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = change < best ? change : best;
		}
	}
	return row[b.len];
}

void hub_suggest(struct hub_suggestion *s, struct cox_str word, const char *candidate)
{
	struct cox_str c = cox_str(candidate);
	size_t d, most = word.len / 3 < 2 ? word.len / 3 : 2;

	if (word.len == 0 || word.len > MAX_WORD || c.len > MAX_WORD)
		return;
	if (word.len == c.len && strncasecmp(word.ptr, c.ptr, c.len) == 0)
		d = 0;
	else
		d = distance(word, c);
	if (d > most || (s->best && d >= s->distance))
		return;
	s->best = candidate;
	s->distance = d;
}
