/* Semantic versions (semver.org 2.0.0) and constraints over them in the language of Helm and Argo
 * CD (that of Masterminds' semver): `=1.2.3`, `!=`, `>`, `<`, `>=`, `<=`, `~1.2`, `^1.2.3`,
 * wildcards (`1.2.x`, `*`), hyphens (`1.2 - 1.4.5`), a comma or a space as "and", `||` as "or".
 * A version with a prerelease fulfils an "and" group only when one of that group's own parts names
 * a prerelease.
 * Threads: immutable once parsed. */
#ifndef COX_TEXT_SEMVER_H
#define COX_TEXT_SEMVER_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"

#include <stdint.h>

#define COX_LIMIT_SEMVER_BYTES	   256
#define COX_LIMIT_CONSTRAINT_BYTES 512

struct cox_semver {
	uint64_t major, minor, patch;
	struct cox_str pre, build; /* borrowed from the text that was parsed */
};

/* Lenient as users are: a leading 'v', and a missing minor or patch is 0. */
int cox_semver_parse(struct cox_str text, struct cox_semver *ret_version, struct cox_error *err);
/* To the letter: three numbers without leading zeros, no 'v'. */
int cox_semver_parse_strict(struct cox_str text, struct cox_semver *ret_version,
			    struct cox_error *err);
/* <0, 0, >0 by precedence; build metadata does not count. */
int cox_semver_compare(const struct cox_semver *a, const struct cox_semver *b);

struct cox_constraint;

int cox_constraint_parse(struct cox_str text, struct cox_constraint **ret_constraint,
			 struct cox_error *err);
bool cox_constraint_check(const struct cox_constraint *constraint,
			  const struct cox_semver *version);
void cox_constraint_free(struct cox_constraint *constraint);
DEFINE_CLEANUP(struct cox_constraint *, cox_constraint_free);

/* Whether a targetRevision is meant as a constraint rather than a name: it parses as one and is not
 * a plain version. */
bool cox_constraint_is(struct cox_str text);

#endif
