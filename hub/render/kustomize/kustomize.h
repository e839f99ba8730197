/* hub/render/kustomize: what Kustomize 5 would build, read straight from a tree: no checkout, no
 * temporary file, no child process. Pure but for the tree that it reads.
 *
 * Meaning: kustomize.config.k8s.io/v1beta1 Kustomization and v1alpha1 Component, as the reference
 * program (5.8) has it, mistakes included where people's names depend on them (the hash suffix).
 * kustomization.yaml is read with COX_YAML_KUBERNETES, resources and patches with
 * COX_YAML_KUSTOMIZE. Refused with a sentence that says so: helmCharts, plugins that are programs,
 * downloads (a URL that names no repository).
 *
 * Remote bases ("https://host/org/repo//path?ref=v1", "github.com/org/repo/path?ref=v1",
 * "git@host:org/repo//path", "ssh://…"; files of raw.githubusercontent.com) are read from trees that
 * `remote` gives; nothing is fetched here. What they name is relative to them, and stays in their
 * repository.
 *
 * Errors name the file, line and column inside the repository. A failure gives no objects.
 * Threads: any, one call a build; nothing is kept between builds. */
#ifndef COX_HUB_RENDER_KUSTOMIZE_KUSTOMIZE_H
#define COX_HUB_RENDER_KUSTOMIZE_KUSTOMIZE_H

#include "common/doc/doc.h"

struct hub_tree; /* hub/source/tree.h */

#define HUB_LIMIT_KUSTOMIZE_DEPTH   32	 /* kustomizations inside one another */
#define HUB_LIMIT_KUSTOMIZE_REMOTES 50	 /* repositories, at revisions, of one build */
#define HUB_LIMIT_KUSTOMIZE_DIRS    1000 /* directories of one build, each counted as often as used */
#define HUB_LIMIT_KUSTOMIZE_MEMORY  (256 << 20) /* bytes that a build's documents hold */
#define HUB_LIMIT_KUSTOMIZE_STEPS   100000000	/* objects compared, fields changed: some seconds */
#define HUB_LIMIT_KUSTOMIZE_PATH    64		/* parts of a field's path */
#define HUB_LIMIT_KUSTOMIZE_SPECS   2000	/* field specs of one list of the configuration */
#define HUB_LIMIT_KUSTOMIZE_LISTS   5		/* List kinds inside one another */
#define HUB_LIMIT_KUSTOMIZE_TEXTS   8		/* JSON or YAML in texts inside one another */
#define HUB_LIMIT_KUSTOMIZE_ITEMS   5000	/* of both sides of a list that is merged by keys */

enum hub_kustomize_order {
	HUB_KUSTOMIZE_LEGACY = 0, /* what `kustomize build` does without sortOptions */
	HUB_KUSTOMIZE_AS_READ,	  /* order of resources, unless sortOptions says otherwise */
};

/* A variable of Argo CD's build environment (ARGOCD_APP_NAME, …). */
struct hub_kustomize_env {
	const char *name, *value;
};

struct hub_kustomize_input {
	const char *path; /* of the directory, clean */
	/* An Application's source.kustomize, or NULL: its fields are put into the kustomization as
	 * `kustomize edit` would. */
	const struct cox_node *source;
	/* For source's images, labels and annotations; ends with name NULL. NULL: there is no
	 * application, and what names a variable fails. */
	const struct hub_kustomize_env *env;
	enum hub_kustomize_order order;
	bool load_anywhere; /* files may be outside their kustomization's directory */
	/* 0: COX_LIMIT_APP_BYTES, _OBJECTS, _DOCS, and HUB_LIMIT_KUSTOMIZE_MEMORY, _STEPS */
	size_t max_bytes, max_objects, max_documents, max_memory, max_steps;
	/* The tree of a repository at a revision ("" for its HEAD): one reference; NULL with 0 when
	 * it is not there yet, and the build fails with COX_UNAVAILABLE. It may be asked again
	 * for the same. NULL:
	 * remote bases are refused. */
	int (*remote)(void *ctx, const char *url, const char *revision, struct hub_tree **ret_tree,
		      struct cox_error *err);
	void *ctx;
};

/* "kustomization.yaml" and its two other names, then NULL. */
extern const char *const hub_kustomize_names[];

/* Whether what source (as above) says depends on env. */
bool hub_kustomize_uses_env(const struct cox_node *source);

/* Appends sealed documents in order. On failure ret_objects is as before. */
int hub_kustomize_build(struct hub_tree *tree, const struct hub_kustomize_input *input,
			cox_docs *ret_objects, struct cox_error *err);

#endif
