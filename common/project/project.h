/* common/project: what an AppProject (argoproj.io/v1alpha1) permits: sources, destinations, kinds,
 * and the namespaces whose Applications may name it. The hub asks before it assigns, the agent
 * before it applies. Rules: reference/argocd.md A7, B7.8. Pure.
 *
 * A struct cox_project is a view: it holds one reference to its sealed document. Immutable; any
 * thread may read it. Every check gives 0, or -COX_PERMISSION_DENIED with a sentence that names
 * the project. */
#ifndef COX_PROJECT_PROJECT_H
#define COX_PROJECT_PROJECT_H

#include "common/base/error.h"
#include "common/doc/doc.h"

#include <stdbool.h>

struct cox_project {
	struct cox_doc
		*doc; /* one reference; NULL: the built-in default, which permits everything */
	const char *name;
	const struct cox_node *spec;
	bool permit_only_scoped_clusters; /* permitOnlyProjectScopedClusters */
};

int cox_project_init(struct cox_project *p, struct cox_doc *doc, struct cox_error *err);
/* What `default` means where no AppProject of that name was applied. */
void cox_project_init_default(struct cox_project *p);
void cox_project_fini(struct cox_project *p);

int cox_project_check_source(const struct cox_project *p, const char *repo_url,
			     struct cox_error *err);
/* server and name of the cluster, either may be "" when it is not known. */
int cox_project_check_destination(const struct cox_project *p, const char *server, const char *name,
				  const char *namespace, struct cox_error *err);
/* name: the object's, for clusterResourceWhitelist entries with a name. */
int cox_project_check_kind(const struct cox_project *p, const char *group, const char *kind,
			   const char *name, bool namespaced, struct cox_error *err);
/* An Application in namespace app_namespace; home: the hub's own, always permitted. */
int cox_project_check_app_namespace(const struct cox_project *p, const char *app_namespace,
				    const char *home, struct cox_error *err);

#endif
