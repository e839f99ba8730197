/* Cluster (coxswain.dev/v1alpha1, cluster-scoped): a registered target with labels. A view; see
 * kind.h. */
#ifndef COX_HUB_MODEL_CLUSTER_H
#define COX_HUB_MODEL_CLUSTER_H

#include "hub/model/kind.h"

struct hub_cluster {
	struct cox_doc *doc; /* one reference */
	const struct cox_node *root;
	const char *name;
	const char *server;			     /* spec.server, may be "" */
	const char *project;			     /* spec.project, may be "": every project's */
	const struct cox_node *labels, *annotations; /* maps; may be NULL */
	bool deleting;
};

/* Validates (hub_validate) and fills; takes its own reference to doc, which must be sealed. */
int hub_cluster_init(struct hub_cluster *cluster, struct cox_doc *doc, struct cox_error *err);
void hub_cluster_fini(struct hub_cluster *cluster);
#define _cleanup_cluster_ __attribute__((cleanup(hub_cluster_fini)))

/* A new Cluster, sealed, the caller's. labels: "key=value" texts, checked by the caller. */
struct cox_doc *hub_cluster_new(const char *name, const char *server, char *const *labels,
				size_t n_labels);

#endif
