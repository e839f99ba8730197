/* Globs as Argo CD's users write them (directory.include, sourceRepos, destinations, sync windows).
 *
 *	*	any characters but the separator	**	any characters
 *	?	one character but the separator		\x	x itself
 *	[abc] [a-z] [!a-z]	one character of, or not of, a set
 *	{a,b*,{c,d}}		one of several patterns; nested
 *
 * Argo CD matches directory.include and exclude without a separator (`*` crosses '/'), and
 * sourceRepos with '/'. The whole text must match. Characters are UTF-8; a byte that is no UTF-8
 * counts as a character of its own.
 *
 * The time to match is pattern length times text length, whatever the pattern: it is run as a set
 *of states (K. Thompson, "Regular Expression Search Algorithm", 1968), never by backtracking.
 * Threads: struct cox_glob is immutable. */
#ifndef COX_TEXT_GLOB_H
#define COX_TEXT_GLOB_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"

#define COX_LIMIT_GLOB_BYTES 1024
#define COX_LIMIT_GLOB_DEPTH 8 /* of { } */

struct cox_glob;

/* separator '\0': none. COX_INVALID_ARGUMENT says what is wrong with the pattern and where. */
int cox_glob_compile(struct cox_str pattern, char separator, struct cox_glob **ret_glob,
		     struct cox_error *err);
bool cox_glob_match(const struct cox_glob *glob, struct cox_str text);
void cox_glob_free(struct cox_glob *glob);
DEFINE_CLEANUP(struct cox_glob *, cox_glob_free);

/* Both in one; a bad pattern matches nothing, as in Argo CD. */
bool cox_glob_matches(struct cox_str pattern, char separator, struct cox_str text);

#endif
