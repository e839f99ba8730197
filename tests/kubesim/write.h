/* The one way into the store: decode, default, own, prepare, validate, and put. Every writer goes
 * through it, the controllers too. Threads: one. */
#ifndef KUBESIM_WRITE_H
#define KUBESIM_WRITE_H

#include "tests/kubesim/sim.h"

/* body as an object of ctx->kind in normal form, doc's own, defaults filled in. A reply with status
 * 0: done. */
struct ks_reply ks_decode(struct ks_ctx *ctx, struct cox_doc *doc, const struct cox_node *body,
			  struct cox_node **ret_root);
/* The object without managedFields, doc's own; *ret_managers (may be NULL) what they say. */
struct cox_node *ks_plain(struct ks_ctx *ctx, struct cox_doc *doc, const struct cox_node *object,
			  struct ks_managers *ret_managers);

/* Held by a definition that is going until its custom resources are gone. */
#define KS_CRD_FINALIZER "customresourcecleanup.apiextensions.k8s.io"

/* Writes. The root is decoded, doc's own and unsealed. The reply's body is what was stored. */
struct ks_reply ks_create(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root);
struct ks_reply ks_update(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root);
/* Server-side apply of a configuration as it was sent. */
struct ks_reply ks_apply(struct ks_ctx *ctx, const struct cox_node *config);
/* options: DeleteOptions, or NULL. */
struct ks_reply ks_delete(struct ks_ctx *ctx, const struct cox_node *options);
/* The scale subresource: sets the number of replicas. */
struct ks_reply ks_scale_set(struct ks_ctx *ctx, int64_t replicas);

/* For controllers: an edit of the live object. Begins with its plain form... */
struct ks_edit {
	struct ks_ctx ctx;
	struct cox_doc *doc;
	struct cox_node *root; /* doc's own; NULL: there is no such object */
};
/* sub: "" or "status". The edit is ended by ks_edit_end, whatever was found. */
void ks_edit_begin(struct ks_edit *edit, struct kubesim *sim, struct ks_kind *kind, const char *ns,
		   const char *name, const char *sub, const char *manager);
/* ...and commit writes it, when it changed. false: refused. */
bool ks_edit_commit(struct ks_edit *edit);
void ks_edit_end(struct ks_edit *edit);
#define _cleanup_edit_ COX_CLEANUP(ks_edit_end)

/* prepare.c: what the server adds by itself. */
void ks_prepare_create(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root);
void ks_prepare_update(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root,
		       const struct cox_node *live);
/* validate.c: before is NULL for a new object. */
void ks_validate(struct ks_ctx *ctx, const struct cox_node *root, const struct cox_node *before,
		 struct ks_causes *ret_causes);
/* A custom resource against its schema. */
void ks_validate_custom(const struct cox_node *node, const struct cox_schema_type *type,
			struct ks_causes *ret_causes);

#endif
