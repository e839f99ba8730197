/* The validation of a whole object by the table of its kind's fields (schema.c): types, required
 * fields, enumerations, patterns, and the rules between fields. Unknown fields are warnings, with
 * "did you mean"; Argo CD accepts them, and so does the hub. Pure; any thread. */
#ifndef COX_HUB_MODEL_CHECK_H
#define COX_HUB_MODEL_CHECK_H

#include "hub/model/kind.h"
#include "hub/model/problem.h"

/* Appends to ret. HUB_KIND_NONE objects have only the shape of a Kubernetes object checked:
 * apiVersion, kind, metadata.name or generateName, maps where maps belong. */
void hub_check(const struct cox_doc *doc, struct hub_problems *ret);

/* The same for one object anywhere in doc; a List is an object like any other here. */
void hub_check_object(const struct cox_doc *doc, const struct cox_node *object,
		      struct hub_problems *ret);

/* 0, or the first error of hub_check. Warnings do not count. */
int hub_validate(const struct cox_doc *doc, struct cox_error *err);

#endif
