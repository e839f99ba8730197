/* agent/compare: a desired object and the live one in, whether they agree out.
 *
 * The question is "did the cluster keep what we asked for": every field of the desired object must
 * be in the live one with the same meaning; what the server and its controllers added counts for
 * nothing, unless our field manager owns it, which means that we applied it once and have dropped
 * it since. The same meaning: quantities and times by value, base64 by bytes, numbers by value,
 * list items matched by the keys of the schema (containers by name, ports by number and protocol),
 * null and empty like absent. Never compared: apiVersion, kind, what the server alone writes in
 * metadata, and status.
 *
 * ignoreDifferences: entries whose group and kind (globs), name and namespace match; their
 * jsonPointers (RFC 6901) are cut out of both sides first.
 *
 * Differences are named by field, never by value, so they may be logged and reported.
 * Pure: any thread. */
#ifndef AGENT_COMPARE_COMPARE_H
#define AGENT_COMPARE_COMPARE_H

#include "common/base/options.h"
#include "common/doc/doc.h"

#define AGENT_COMPARE_PATHS_MAX 20

struct agent_compare_options {
	const char *manager;	       /* our field manager */
	const struct cox_node *ignore; /* spec.ignoreDifferences, or NULL */
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

/* The object as the server would keep it: a Secret's stringData becomes data, so that dropping a
 * key later removes it. One reference of the result, which may be `object` itself. */
struct cox_doc *agent_compare_canonical(struct cox_doc *object);

/* The object without what the entries of `ignore` name; one reference, which may be `object`. */
struct cox_doc *agent_compare_without_ignored(struct cox_doc *object,
					      const struct cox_node *ignore);

#endif
