/* agent/compare: a desired object and the live one in, whether they agree out.
 *
 * The question is "would applying it again change anything", answered without the server: every
 * field of the desired object must be in the live one with the same meaning; what the server, its
 * controllers and other people added counts for nothing, unless our field manager owns it by apply
 * and nobody else does, which means that we applied it once and have dropped it since. A value that
 * has one owner as a whole (an atomic list or map) must be the same as a whole, but for defaults
 * that are known. How lists merge is told by the schema of built-in kinds, and for the others by
 * the managed fields of our own last apply.
 *
 * The same meaning: quantities, durations and times by value, base64 by bytes, numbers by value,
 * list items matched by the keys of the schema (containers by name, ports by number and protocol),
 * null, empty and zero like absent where the API keeps no trace of them. Never compared:
 * apiVersion, kind, what the server alone writes in metadata, and status.
 *
 * Where that says "different", a dry run may know better (a webhook or a controller has rewritten a
 * value, a default inside of an atomic list): with its outcome, `predicted`, a difference counts
 * only where the prediction differs from the live object too.
 *
 * Differences are named by field, never by value, so they may be logged and reported.
 * Pure: any thread. */
#ifndef AGENT_COMPARE_COMPARE_H
#define AGENT_COMPARE_COMPARE_H

#include "common/base/options.h"
#include "common/doc/doc.h"

#define AGENT_COMPARE_PATHS_MAX 20

/* ---- ignoreDifferences ---- */

/* What spec.ignoreDifferences says about one object. */
struct agent_ignore {
	cox_strings pointers;	 /* jsonPointers, RFC 6901 */
	cox_strings expressions; /* jqPathExpressions */
	cox_strings managers;	 /* managedFieldsManagers */
};

#define AGENT_IGNORE_INIT ((struct agent_ignore){0})
void agent_ignore_fini(struct agent_ignore *ignore);
#define _cleanup_ignore_ COX_CLEANUP(agent_ignore_fini)

/* Of the entries whose group and kind (globs), name and namespace are the object's. `entries` may
 * be NULL. *ret_ignore is begun anew. */
void agent_ignore_for(const struct cox_node *entries, const struct cox_node *object,
		      struct agent_ignore *ret_ignore);

/* The object without what the pointers name, and without the paths of `cuts`: a list of lists of
 * keys, indexes and slices ({"start": 1, "end": 3}), as jq's path(…) gives them; or NULL. One
 * reference, which may be `object`. */
struct cox_doc *agent_compare_cut(struct cox_doc *object, const struct agent_ignore *ignore,
				  const struct cox_node *cuts);

/* ---- comparing ---- */

struct agent_compare_options {
	const char *manager;		   /* our field manager */
	const struct agent_ignore *ignore; /* or NULL */
	/* what the expressions name in each of the two, or NULL */
	const struct cox_node *desired_cuts, *live_cuts;
	struct cox_doc *predicted; /* by a dry run of applying `desired`; or NULL */
	bool with_mutations;	   /* what the prediction changes beyond the wish counts too */
};

struct agent_difference {
	size_t n; /* fields that differ; 0: equal */
	cox_strings
		paths; /* the first AGENT_COMPARE_PATHS_MAX: "spec.containers[name=web].image" */
};

#define AGENT_DIFFERENCE_INIT ((struct agent_difference){0})
void agent_difference_fini(struct agent_difference *d);
#define _cleanup_difference_ COX_CLEANUP(agent_difference_fini)

/* Both sealed. d is begun anew. */
void agent_compare(struct cox_doc *desired, struct cox_doc *live,
		   const struct agent_compare_options *options, struct agent_difference *d);

/* The same with values, for people who ask what differs. Of a Secret
 * nothing is told but its type and metadata: values are runs of '+', the same for equal texts on
 * both sides and of different lengths for different ones, whose lengths tell nothing else. The
 * annotation in which kubectl keeps a whole object is masked in every kind. */
#define AGENT_VALUES_MAX 1000
struct agent_value {
	char *path;
	char *desired, *live; /* JSON; NULL: absent */
};
typedef COX_VEC(struct agent_value) agent_values;
void agent_values_fini(agent_values *values);
#define _cleanup_values_ COX_CLEANUP(agent_values_fini)
/* At most AGENT_VALUES_MAX; *ret_values is begun anew. */
void agent_compare_values(struct cox_doc *desired, struct cox_doc *live,
			  const struct agent_compare_options *options, agent_values *ret_values);

/* RespectIgnoreDifferences: the desired object with what is ignored as the live object has it, and
 * without what is ignored and not there; so that applying it changes none of that. Items of lists
 * are found by their keys where the schema knows any. The status stays out of it. One reference,
 * which may be `desired`. cuts: as in agent_compare_options, of the live and the desired object. */
struct cox_doc *agent_respect_ignored(struct cox_doc *desired, struct cox_doc *live,
				      const struct agent_ignore *ignore,
				      const struct cox_node *desired_cuts,
				      const struct cox_node *live_cuts);

/* Whether our field manager has applied this live object: only then a dry run can tell more than
 * the comparison, since before the first apply everything is still to come. */
bool agent_compare_is_managed(const struct cox_node *live, const char *manager);

/* A number for all of a live object that a comparison or a dry run depends on: equal for two
 * versions that differ in status, version numbers and times only. Differs from process to process.
 */
uint64_t agent_compare_state(const struct cox_node *live);

/* The object as the server would keep it: a Secret's stringData becomes data, so that dropping a
 * key later removes it; a CA bundle that is empty or a placeholder, for somebody to fill in, is no
 * wish and goes. One reference of the result, which may be `object` itself. */
struct cox_doc *agent_compare_canonical(struct cox_doc *object);

#endif
