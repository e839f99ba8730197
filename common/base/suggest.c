#include "common/base/suggest.h"

#include <ctype.h>
#include <stdbool.h>

#define MAX_WORD 64

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits from a to b: insert, delete, replace, swap two neighbours; without regard to case.
 * Optimal string alignment, after Damerau 1964, with three rows. */
static size_t distance(struct cox_str a, struct cox_str b)
{
	size_t rows[3][MAX_WORD + 1];

	for (size_t j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3],
		       *two_above = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			bool equal = same(a.ptr[i - 1], b.ptr[j - 1]);

			row[j] = least(above[j - 1] + !equal, least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && same(a.ptr[i - 1], b.ptr[j - 2]) &&
			    same(a.ptr[i - 2], b.ptr[j - 1]))
				row[j] = least(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[a.len % 3][b.len];
}

void cox_suggest(struct cox_suggestion *s, struct cox_str word, const char *candidate)
{
	struct cox_str c = cox_str(candidate);
	size_t d, most = word.len / 3 < 2 ? word.len / 3 : 2;

	if (word.len == 0 || word.len > MAX_WORD || c.len > MAX_WORD)
		return;
	d = distance(word, c);
	if (d > most || (s->best && d >= s->distance))
		return;
	s->best = candidate;
	s->distance = d;
}
