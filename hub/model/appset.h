/* ApplicationSet (argoproj.io/v1alpha1): reference/argocd.md A6, B6. A view; see kind.h. What the
 * generators mean is hub/generate's. */
#ifndef COX_HUB_MODEL_APPSET_H
#define COX_HUB_MODEL_APPSET_H

#include "common/base/vec.h"
#include "hub/model/kind.h"

#include <stdint.h>

/* An amount that is a number or a percentage of something. */
struct hub_count {
	bool given, percent;
	int64_t value;
};

/* "25%", 3 or "3". COX_INVALID_ARGUMENT otherwise; an absent node gives given = false. */
int hub_count_parse(const struct cox_doc *doc, const struct cox_node *node,
		    struct hub_count *ret_count, struct cox_error *err);
/* Percentages are rounded down, but to no less than 1 unless they are 0%; `otherwise` when not
 * given. */
int64_t hub_count_of(const struct hub_count *count, int64_t total, int64_t otherwise);

struct hub_step {
	const struct cox_node *expressions; /* on the Application's labels; may be NULL: all */
	struct hub_count max_update;	    /* not given: the whole step */
};

struct hub_appset {
	struct cox_doc *doc; /* one reference */
	const struct cox_node *root;
	const char *name, *namespace, *uid;
	const struct cox_node *labels, *annotations;
	const struct cox_node *generators; /* list */
	const struct cox_node *template;   /* map */
	const char *template_patch;
	bool go_template;
	const struct cox_node *go_template_options; /* list; may be NULL */
	bool apply_nested_selectors;

	bool rolling_sync; /* strategy.type RollingSync */
	COX_VEC(struct hub_step) steps;
	bool deletion_reverse;	    /* strategy.deletionOrder Reverse */
	const char *rollout_policy; /* the annotation; "" when none */

	bool may_update, may_delete; /* syncPolicy.applicationsSync; creating is always permitted */
	bool preserve_resources;     /* syncPolicy.preserveResourcesOnDeletion */
	const struct cox_node *preserved_annotations, *preserved_labels; /* lists; may be NULL */
	const struct cox_node *ignore_application_differences;		 /* list; may be NULL */
	bool deleting;
};

/* Validates (hub_validate) and fills; takes its own reference to doc, which must be sealed. */
int hub_appset_init(struct hub_appset *set, struct cox_doc *doc, struct cox_error *err);
void hub_appset_fini(struct hub_appset *set);
#define _cleanup_appset_ __attribute__((cleanup(hub_appset_fini)))

/* Index of the first step that an Application with these labels is in; -1: none. */
int hub_appset_step_of(const struct hub_appset *set, const struct cox_node *labels);

#endif
