/* Lists and watches: selectors, pages, resource versions. Threads: one. */
#ifndef KUBESIM_LIST_H
#define KUBESIM_LIST_H

#include "common/kube/selector.h"
#include "tests/kubesim/present.h"

/* What part of a shelf a request is about. */
struct ks_scope {
	const char *ns;	  /* NULL: all */
	const char *name; /* NULL: all */
	struct cox_selector *labels;
	struct cox_field_selector *fields;
};
void ks_scope_fini(struct ks_scope *scope);
#define _cleanup_scope_ COX_CLEANUP(ks_scope_fini)

/* Decoded parameters of the query, by name; NULL when absent. */
typedef const char *ks_param_fn(void *ctx, const char *name);

/* status 0: done. Texts of the scope are put into the context's arena. */
struct ks_reply ks_scope_read(struct ks_ctx *ctx, ks_param_fn *param, void *arg,
			      struct ks_scope *ret_scope);
bool ks_scope_has(const struct ks_scope *scope, const struct cox_node *object);

struct ks_reply ks_list(struct ks_ctx *ctx, const struct ks_scope *scope, enum ks_form form,
			ks_param_fn *param, void *arg);
/* Takes the scope's selectors. *ret_watch is open, or the reply says why not. */
struct ks_reply ks_watch_open(struct ks_ctx *ctx, struct ks_scope *scope, enum ks_form form,
			      ks_param_fn *param, void *arg, struct kubesim_watch **ret_watch);
/* Wakes every watch of that shelf. */
void ks_watches_wake(struct kubesim *sim, const struct ks_shelf *shelf);
/* Ends the watches of a kind that is served no longer. */
void ks_watches_end(struct kubesim *sim, const struct ks_shelf *shelf);

#endif
