/* hub/generate: an ApplicationSet and the clusters in, Applications out. Pure.
 *
 * Generators: list (elements, elementsYaml) and clusters; each with `template` and `selector`.
 * templatePatch is laid over as RFC 7386 has it. The other generators and goTemplate are refused
 * with a sentence that names the field's place.
 * Rules of parameters and rendering: reference/argocd.md B6.1 to B6.5.
 *
 * A failure (negative) means that nothing is known: the caller leaves existing Applications alone.
 * A parameter set whose Application is invalid, or has a name that an earlier one has, is left out
 * and reported in `problems`; the others stand. */
#ifndef COX_HUB_GENERATE_GENERATE_H
#define COX_HUB_GENERATE_GENERATE_H

#include "common/base/vec.h"
#include "common/doc/doc.h"
#include "hub/model/appset.h"
#include "hub/model/cluster.h"
#include "hub/model/problem.h"

struct hub_generate_input {
	const struct hub_cluster *const *clusters; /* for the clusters generator */
	size_t n_clusters;
	const char *home_namespace; /* of an ApplicationSet that names none; NULL: "argocd" */
	size_t max_apps;	    /* 0: COX_LIMIT_APPSET_APPS */
};

struct hub_generated {
	/* Sealed, in the order of generation: apiVersion, kind, metadata {name, namespace, labels,
	 * annotations, finalizers, ownerReferences when the set has a uid}, spec. */
	cox_docs applications;
	struct hub_problems problems;
	/* An Application is missing from the list because it was invalid: until that is mended,
	 * nothing that exists may be deleted for not being in the list. */
	bool incomplete;
};

int hub_generate(const struct hub_appset *set, const struct hub_generate_input *in,
		 struct hub_generated *ret, struct cox_error *err);
void hub_generated_fini(struct hub_generated *g);
#define _cleanup_generated_ __attribute__((cleanup(hub_generated_fini)))

/* Whether an existing Application already says what the generated one does: spec, labels,
 * annotations, finalizers and ownerReferences, each by value, but what the set preserves, status
 * and operation. */
bool hub_generate_is_same(const struct hub_appset *set, struct cox_doc *existing,
			  struct cox_doc *generated);
/* The existing Application with what the generated one says put in; keeps uid, status, operation,
 * preserved fields and the annotations that belong to others (B6.2). Sealed, the caller's. */
struct cox_doc *hub_generate_update(const struct hub_appset *set, struct cox_doc *existing,
				    struct cox_doc *generated);

#endif
