/* The three patches: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7386), and strategic merge patch
 * (https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/ and
 * the notes on its directives in the kubernetes community's design proposals).
 *
 * Each gives a new root for `doc`, which must be using the documents of its inputs; nothing given
 * is changed. Threads: pure. */
#ifndef KUBESIM_PATCH_H
#define KUBESIM_PATCH_H

#include "common/kube/schema.h"

int ks_patch_json(struct cox_doc *doc, const struct cox_node *base, const struct cox_node *patch,
		  const struct cox_node **ret_node, struct cox_error *err);
const struct cox_node *ks_patch_merge(struct cox_doc *doc, const struct cox_node *base,
				      const struct cox_node *patch);
int ks_patch_strategic(struct cox_doc *doc, const struct cox_node *base,
		       const struct cox_node *patch, const struct cox_schema_type *type,
		       const struct cox_node **ret_node, struct cox_error *err);

#endif
