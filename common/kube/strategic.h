/* Strategic merge patch: a merge patch that knows, from the schema, which lists are merged by a key,
 * and that has directives ($patch, $retainKeys, $setElementOrder/x, $deleteFromPrimitiveList/x).
 * https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/ and
 * the notes on its directives in the Kubernetes community's design proposals (cli/preserve-order…).
 *
 * base and patch are sealed; the result is a new sealed document that shares with both and keeps
 * them alive. Pure. */
#ifndef COX_KUBE_STRATEGIC_H
#define COX_KUBE_STRATEGIC_H

#include "common/kube/schema.h"

/* node: of patch; NULL for its root. type: of base's root; cox_schema_any() for an unknown kind,
 * whose lists are replaced then. COX_INVALID_ARGUMENT when an item of a keyed list lacks its key. */
int cox_strategic_patch(struct cox_doc *base, struct cox_doc *patch, const struct cox_node *node,
			const struct cox_schema_type *type, struct cox_doc **ret_doc,
			struct cox_error *err);

#endif
