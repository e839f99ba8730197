/* Who owns which field: metadata.managedFields, and what a write does to it. The rules of
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/ and of
 * sigs.k8s.io/structured-merge-diff's Updater, from its description.
 *
 * A managers list is decoded from an object, changed, and written back. Everything lives in the
 * arena given. Threads: job-local. */
#ifndef KUBESIM_MANAGED_H
#define KUBESIM_MANAGED_H

#include "tests/kubesim/typed.h"

struct ks_manager {
	const char *name;	 /* field manager */
	const char *operation;	 /* "Apply", "Update" */
	const char *api_version; /* that the fields are in */
	const char *subresource; /* "" for none */
	const char *time;	 /* NULL: none */
	struct ks_set *set;
};

struct ks_managers {
	struct ks_manager *items;
	size_t n, cap;
};

/* The writer of one request. */
struct ks_writer {
	const char *name;
	const char *api_version;
	const char *subresource;    /* "" */
	const char *now;	    /* RFC 3339 */
	const struct ks_set *reset; /* paths that this endpoint never owns */
	bool force;
};

struct ks_managers ks_managers_read(struct cox_arena *arena, const struct cox_node *object);
/* A list for metadata.managedFields, or NULL when there is nothing to say. */
struct cox_node *ks_managers_write(struct cox_doc *doc, struct ks_managers *managers);
/* Same managers with the same fields; times do not count. */
bool ks_managers_equal(const struct ks_managers *a, const struct ks_managers *b);

/* A plain write: `before` became `after`. Neither holds managedFields. */
void ks_managers_update(struct cox_arena *arena, struct ks_managers *managers,
			const struct cox_node *before, const struct cox_node *after,
			const struct cox_schema_type *type, const struct ks_writer *writer);

/* A field that somebody else's apply or update holds. */
struct ks_conflict {
	const struct ks_manager *manager;
	const char *path;
};
struct ks_conflicts {
	struct ks_conflict *items;
	size_t n, cap;
};

/* A server-side apply of `config` to `live` (both without managedFields): gives the merged object,
 * a node for doc. 0; 1 when there are conflicts (ret_conflicts) and force is not set; managers are
 * undefined then. */
int ks_managers_apply(struct cox_arena *arena, struct cox_doc *doc, struct ks_managers *managers,
		      const struct cox_node *live, const struct cox_node *config,
		      const struct cox_schema_type *type, const struct ks_writer *writer,
		      const struct cox_node **ret_merged, struct ks_conflicts *ret_conflicts);

/* Takes a path away from everybody, and gives it to the writer unless give is false. */
void ks_managers_take(struct cox_arena *arena, struct ks_managers *managers,
		      const struct ks_set *set, const struct ks_writer *writer, bool give);

/* "\"creator\" using v1": what messages call a manager. Appends. */
void ks_manager_describe(struct cox_buf *out, const struct ks_manager *manager);

#endif
