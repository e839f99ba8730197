/* Patches whose meaning needs no schema: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396).
 * Strategic merge, which knows Kubernetes' list keys, is common/kube's.
 *
 * base and patch are sealed; the result is a new sealed document that shares with both what did not
 * change and keeps them alive. All or nothing: a failed patch gives no document. Pure. */
#ifndef COX_DOC_PATCH_H
#define COX_DOC_PATCH_H

#include "common/doc/doc.h"

enum {
	/* `replace` of a key that a map does not have adds it (RFC 6902, 4.3, forbids that). */
	COX_PATCH_REPLACE_ADDS = 1,
	/* Indexes below zero count from the end, and `test` takes a missing member for null. */
	COX_PATCH_LENIENT = 2,
};
/* What Kustomize does (evanphx/json-patch v4). */
#define COX_PATCH_KUSTOMIZE (COX_PATCH_REPLACE_ADDS | COX_PATCH_LENIENT)

/* ops: the list of operations, a node of patch; NULL for its root. Errors name the operation where
 * it stands in the patch: "patch.yaml:3:3: replace '/spec/x': no key 'x'"; COX_NOT_FOUND for what
 * is not there, COX_FAILED_PRECONDITION for a `test` that does not hold, else COX_INVALID_ARGUMENT.
 * The result may be no deeper than COX_LIMIT_JSON_DEPTH, and `copy` may add COX_LIMIT_DOC_NODES
 * nodes. */
int cox_json_patch(struct cox_doc *base, struct cox_doc *patch, const struct cox_node *ops,
		   unsigned flags, struct cox_doc **ret_doc, struct cox_error *err);

/* merge: a node of patch; NULL for its root. Cannot fail. One reference, the caller's. */
struct cox_doc *cox_merge_patch(struct cox_doc *base, struct cox_doc *patch,
				const struct cox_node *merge);

#endif
