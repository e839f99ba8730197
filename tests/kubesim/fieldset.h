/* Sets of paths into an object, as managedFields holds them (FieldsV1).
 *
 * A set is a tree: an element is one step of a path in FieldsV1's own spelling ("f:spec",
 * "k:{\"name\":\"web\"}", "v:\"x\"", "i:3"), it may be a member, and it may have elements below.
 * The operations are those of sigs.k8s.io/structured-merge-diff's fieldpath.Set, from its
 * description: https://github.com/kubernetes-sigs/structured-merge-diff
 *
 * Sets live in an arena and are never freed one by one. Threads: job-local. */
#ifndef KUBESIM_FIELDSET_H
#define KUBESIM_FIELDSET_H

#include "common/base/arena.h"
#include "common/doc/doc.h"
#include "common/kube/schema.h"

struct ks_elem;

struct ks_set {
	struct ks_elem *items; /* sorted by step */
	uint32_t n, cap;
};

struct ks_elem {
	struct cox_str step;
	bool member;
	struct ks_set below;
};

/* A path on the way down. Steps are borrowed. */
#define KS_PATH_MAX 160
struct ks_path {
	struct cox_str steps[KS_PATH_MAX];
	size_t n;
};

struct ks_set *ks_set_new(struct cox_arena *arena);
bool ks_set_is_empty(const struct ks_set *set);
bool ks_set_equal(const struct ks_set *a, const struct ks_set *b);
/* The empty path is ignored. Steps are copied. */
void ks_set_insert(struct cox_arena *arena, struct ks_set *set, const struct ks_path *path);
/* Shorthand: steps up to NULL. */
void ks_set_put(struct cox_arena *arena, struct ks_set *set, ...) __attribute__((sentinel));
/* NULL when there is no such element. */
const struct ks_elem *ks_set_find(const struct ks_set *set, struct cox_str step);

struct ks_set *ks_set_union(struct cox_arena *arena, const struct ks_set *a,
			    const struct ks_set *b);
struct ks_set *ks_set_intersection(struct cox_arena *arena, const struct ks_set *a,
				   const struct ks_set *b);
/* Members of a that are no members of b. */
struct ks_set *ks_set_difference(struct cox_arena *arena, const struct ks_set *a,
				 const struct ks_set *b);
/* The same, and everything below a member of b goes too. */
struct ks_set *ks_set_recursive_difference(struct cox_arena *arena, const struct ks_set *a,
					   const struct ks_set *b);
/* Fields that the schema names and that have members below become members. */
struct ks_set *ks_set_with_named(struct cox_arena *arena, const struct ks_set *set,
				 const struct cox_schema_type *type);

/* FieldsV1. What is no set is read as an empty one. */
struct ks_set *ks_set_read(struct cox_arena *arena, const struct cox_node *fields);
struct cox_node *ks_set_write(struct cox_doc *doc, const struct ks_set *set);

/* Calls fn for every member, in order. */
void ks_set_each(const struct ks_set *set, void (*fn)(void *ctx, const struct ks_path *path),
		 void *ctx);
/* ".spec.containers[name=\"web\"].image". Appends. */
void ks_path_write(struct cox_buf *out, const struct ks_path *path);

/* The step of an item of a list that is a set or a map; the text is put into the arena. Fails when
 * a key is missing and has no default. */
int ks_step_of_item(struct cox_arena *arena, const struct cox_schema_type *list,
		    const struct cox_node *item, struct cox_str *ret_step, struct cox_error *err);
struct cox_str ks_step_of_field(struct cox_arena *arena, struct cox_str name);

#endif
