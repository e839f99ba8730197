/* hub/render: a tree and a source in, manifests out. Pure but for the tree that it reads.
 *
 * This version renders directories (reference/argocd.md A2, B8): .yaml, .yml and .json files in
 * lexical order of their paths, `recurse`, `include` and `exclude` globs, several documents a file,
 * List kinds expanded; and kustomizations (hub/render/kustomize). A path with a Chart.yaml is
 * refused with a sentence that says so, as are Jsonnet and plugins. What .argocd-source.yaml and
 * .argocd-source-NAME.yaml say in the path is laid over the source first.
 *
 * Errors name the file, line and column inside the repository. A failure gives no objects: an
 * incomplete rendering must not be mistaken for a small one. */
#ifndef COX_HUB_RENDER_RENDER_H
#define COX_HUB_RENDER_RENDER_H

#include "common/base/vec.h"
#include "common/doc/doc.h"
#include "hub/model/application.h"
#include "hub/model/problem.h"
#include "hub/source/reads.h"

struct hub_rendered {
	cox_docs objects; /* sealed; the root is one object; in order of file and document */
	/* Of the tree: another one that these hold in renders to the same. What remote bases hold
	 * is not among them; their commits say it. */
	struct hub_reads reads;
	struct hub_problems warnings;
};

/* The Application that it is rendered for: its override file, and Argo CD's build environment. */
struct hub_render_app {
	const char *name;      /* NAMESPACE_NAME outside of the hub's home namespace */
	const char *namespace; /* of the destination */
	const char *project;
	const char *revision; /* a commit */
};

struct hub_render_options {
	size_t max_bytes, max_objects; /* 0: COX_LIMIT_APP_BYTES, COX_LIMIT_APP_OBJECTS */
	/* Trees of remote bases, as hub_kustomize_input has it; NULL: they are refused. */
	int (*remote)(void *ctx, const char *url, const char *revision, struct hub_tree **ret_tree,
		      struct cox_error *err);
	void *ctx;
	/* NULL: what it would be for any Application. Where that differs by Application,
	 * *ret_needs_app (may be NULL) becomes true and the rendering fails. */
	const struct hub_render_app *app;
	bool *ret_needs_app;
};

/* options may be NULL. */
int hub_render(struct hub_tree *tree, const struct hub_source *source,
	       const struct hub_render_options *options, struct hub_rendered *ret,
	       struct cox_error *err);
void hub_rendered_fini(struct hub_rendered *r);
#define _cleanup_rendered_ __attribute__((cleanup(hub_rendered_fini)))

#endif
