/* Regular expressions that users write, by PCRE2 (its only door) within RE2's language: what Go's
 * regexp has no word for (back references, look-around, atomic and possessive forms, recursion,
 * conditions, callouts) is refused, so that an expression means here what it means in Argo CD.
 * Matching is bounded in steps and depth; beyond that it is an error, not a "no".
 * Threads: struct cox_regex is immutable. */
#ifndef COX_TEXT_REGEX_H
#define COX_TEXT_REGEX_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/limits.h" /* COX_LIMIT_REGEX_BYTES */

#define COX_LIMIT_REGEX_STEPS	   200000
#define COX_LIMIT_REGEX_DEPTH	   2000
#define COX_LIMIT_REGEX_GROUPS	   32
#define COX_LIMIT_REGEX_TEXT_BYTES (1 << 20)

struct cox_regex;

enum cox_regex_flags {
	COX_REGEX_ANCHORED = 1, /* the whole text must match, not a part of it */
	COX_REGEX_CASELESS = 2,
};

int cox_regex_compile(struct cox_str pattern, unsigned flags, struct cox_regex **ret_regex,
		      struct cox_error *err);
/* 1 on a match, 0 on none. groups (may be NULL) gets the whole match at 0 and then the groups,
 * borrowed from text; a group that took no part has ptr NULL. Negative: the text is longer than
 * COX_LIMIT_REGEX_TEXT_BYTES or not UTF-8 (COX_INVALID_ARGUMENT), or the expression takes too long
 * on it (COX_RESOURCE_EXHAUSTED). */
int cox_regex_match(const struct cox_regex *regex, struct cox_str text, struct cox_str *groups,
		    size_t n_groups, struct cox_error *err);
/* Including group 0. */
size_t cox_regex_n_groups(const struct cox_regex *regex);
/* The name of a group, borrowed; NULL when it has none. */
const char *cox_regex_group_name(const struct cox_regex *regex, size_t group);
void cox_regex_free(struct cox_regex *regex);
DEFINE_CLEANUP(struct cox_regex *, cox_regex_free);

/* Whether text matches; a bad pattern or one that takes too long is a failure. */
int cox_regex_matches(struct cox_str pattern, unsigned flags, struct cox_str text,
		      struct cox_error *err);

#endif
