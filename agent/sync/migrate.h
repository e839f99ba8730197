/* Moving field ownership to us on the first apply of an object that another tool applied before. */
#ifndef AGENT_SYNC_MIGRATE_H
#define AGENT_SYNC_MIGRATE_H

#include "common/doc/doc.h"
#include "common/kube/meta.h"

/* Whether kubectl (client-side) or Argo CD own fields of the live object. */
bool agent_migrate_is_needed(const struct cox_node *live);
/* A JSON patch that makes their fields ours, and fails with Conflict when the object has changed
 * since; the caller's, sealed. */
struct cox_doc *agent_migrate_patch(const struct cox_node *live);

#endif
