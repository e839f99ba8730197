/* The values that the API server fills in when an object does not say them.
 * https://kubernetes.io/docs/reference/kubernetes-api/ Threads: pure. */
#ifndef KUBESIM_DEFAULTS_H
#define KUBESIM_DEFAULTS_H

#include "tests/kubesim/kinds.h"

/* root: a normal object (normal.h), doc's own. */
void ks_default(struct cox_doc *doc, struct cox_node *root, const struct ks_kind *kind);
/* The same for a pod template or a pod's spec. */
void ks_default_pod_spec(struct cox_doc *doc, struct cox_node *spec);

/* Small things for whoever builds objects: put only what is absent. */
void ks_def_str(struct cox_doc *doc, struct cox_node *map, const char *key, const char *value);
void ks_def_int(struct cox_doc *doc, struct cox_node *map, const char *key, int64_t value);
void ks_def_bool(struct cox_doc *doc, struct cox_node *map, const char *key, bool value);

#endif
