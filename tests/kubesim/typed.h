/* Objects seen through their schema: which paths an object has, what differs between two of them,
 * how one is laid over another, and how paths are taken out. The walks of
 * sigs.k8s.io/structured-merge-diff's typed package, from its description, with the item order of
 * Kubernetes 1.26 (what was there first, then what is new).
 *
 * Results are nodes for `doc`, which must be using (cox_doc_use) the documents of its inputs.
 * Threads: job-local. */
#ifndef KUBESIM_TYPED_H
#define KUBESIM_TYPED_H

#include "tests/kubesim/fieldset.h"

struct ks_comparison {
	struct ks_set *added, *modified, *removed;
};

/* Checks that every field is in the schema and that keyed lists have each key once. On failure the
 * message is the API server's (".spec.foo: field not declared in schema"). */
int ks_typed_check(struct cox_arena *arena, const struct cox_node *value,
		   const struct cox_schema_type *type, struct cox_error *err);

struct ks_comparison ks_typed_compare(struct cox_arena *arena, const struct cox_node *before,
				      const struct cox_node *after,
				      const struct cox_schema_type *type);

/* The paths that value speaks of. */
struct ks_set *ks_typed_fields(struct cox_arena *arena, const struct cox_node *value,
			       const struct cox_schema_type *type);

/* over laid over base. */
const struct cox_node *ks_typed_merge(struct cox_arena *arena, struct cox_doc *doc,
				      const struct cox_node *base, const struct cox_node *over,
				      const struct cox_schema_type *type);

/* value without the members of set. Emptied maps and lists become null. */
const struct cox_node *ks_typed_remove(struct cox_arena *arena, struct cox_doc *doc,
				       const struct cox_node *value, const struct ks_set *set,
				       const struct cox_schema_type *type);

#endif
