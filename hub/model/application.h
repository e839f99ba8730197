/* Application (argoproj.io/v1alpha1): reference/argocd.md A1 to A3. A view; see kind.h. */
#ifndef COX_HUB_MODEL_APPLICATION_H
#define COX_HUB_MODEL_APPLICATION_H

#include "common/base/vec.h"
#include "hub/model/kind.h"

#include <stdint.h>

struct hub_source {
	const struct cox_node *node;
	const char *repo_url;
	const char *path; /* as written; "" and "." are the root of the tree */
	const char *chart;
	const char *target_revision; /* "HEAD" when empty */
	const char *ref;
	const char *name;
	const char *tag_prefix;
	struct {
		bool given;
		bool recurse;
		const char *include, *exclude;
		const struct cox_node *jsonnet; /* NULL when absent or empty */
	} directory;
	const struct cox_node *helm, *kustomize, *plugin; /* NULL when absent */
};

struct hub_destination {
	const char *server; /* one of server and name is "" */
	const char *name;
	const char *namespace;
};

struct hub_retry {
	bool given;
	int64_t limit; /* < 0: for ever */
	int64_t duration_ms, max_duration_ms;
	int64_t factor;
	bool refresh;
};

struct hub_sync_policy {
	bool automated; /* the block is there and enabled is not false */
	bool prune, self_heal, allow_empty;
	const struct cox_node *sync_options; /* list of strings; may be NULL */
	struct hub_retry retry;		     /* defaults of the reference where not given */
	const struct cox_node *namespace_labels, *namespace_annotations; /* maps; may be NULL */
};

/* What deleting the Application does to its objects. */
enum hub_cascade { HUB_CASCADE_NONE, HUB_CASCADE_FOREGROUND, HUB_CASCADE_BACKGROUND };

struct hub_application {
	struct cox_doc *doc; /* one reference */
	const struct cox_node *root;
	const char *name, *namespace, *uid; /* namespace as written, may be "" */
	const struct cox_node *labels, *annotations;
	const char *project;		    /* "default" when empty */
	COX_VEC(struct hub_source) sources; /* at least one */
	struct hub_destination destination;
	struct hub_sync_policy sync_policy;
	const struct cox_node *ignore_differences; /* list; may be NULL */
	int64_t revision_history_limit;		   /* 10 by default */
	enum hub_cascade cascade;
	const struct cox_node *operation; /* top level; NULL when none */
	bool deleting;			  /* metadata.deletionTimestamp is set */
};

/* Validates (hub_validate) and fills; takes its own reference to doc, which must be sealed. */
int hub_application_init(struct hub_application *app, struct cox_doc *doc, struct cox_error *err);
void hub_application_fini(struct hub_application *app);
#define _cleanup_application_ __attribute__((cleanup(hub_application_fini)))

/* syncPolicy.retry, or an operation's; NULL: the defaults. */
void hub_retry_read(const struct cox_node *node, struct hub_retry *ret_retry);
/* Whether the list of options holds this one exactly, e.g. "CreateNamespace=true". */
bool hub_sync_option_has(const struct cox_node *sync_options, const char *option);

/* https://kubernetes.default.svc or in-cluster. */
bool hub_destination_is_in_cluster(const struct hub_destination *d);

#endif
