/* The bundle: what the renderer made, as one canonical text. A JSON array of the objects, sorted by
 * group, kind, namespace, name (bytes), each in canonical JSON (common/doc/json.h); its SHA-256 is
 * the bundle's name. Tracking marks, the destination's namespace and labels are the agent's to
 * stamp; `status` and the server's own metadata (uid, resourceVersion, generation,
 * creationTimestamp, managedFields, selfLink) are not desired state and are left out. Pure. */
#ifndef COX_HUB_RENDER_BUNDLE_H
#define COX_HUB_RENDER_BUNDLE_H

#include "common/doc/doc.h"
#include "hub/model/problem.h"

/* Appends to ret_json. Two objects with one group, kind, namespace and name: the later one wins,
 * with a warning (warnings may be NULL). An object without a name but with generateName keeps its
 * place after the named ones of its kind, in order of appearance.
 * COX_RESOURCE_EXHAUSTED over COX_LIMIT_APP_BYTES, COX_LIMIT_APP_OBJECTS or COX_LIMIT_DOC_NODES: who
 * gets the bundle reads it as one document. */
int hub_bundle_build(const cox_docs *objects, struct cox_buf *ret_json,
		     struct hub_problems *warnings, struct cox_error *err);
/* The same order and the same winners, without the text; the references are the caller's. */
void hub_bundle_sort(const cox_docs *objects, cox_docs *ret_sorted, struct hub_problems *warnings);

#endif
