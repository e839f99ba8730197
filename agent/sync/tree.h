/* The resource tree: what lives below an application's objects, by owner references: Deployment,
 * ReplicaSet, Pod and so on. For people; no decision is made by it.
 *
 * Which kinds are followed says a table (tree.c), for as long as some application has a kind that
 * such objects grow from; what is of a kind that is watched anyway and has an owner of ours belongs
 * to the tree too. Kinds without a health rule are watched by their metadata alone. Of an object that
 * is not below one of ours nothing is kept. Parents come first: a kind is listed when those that it
 * grows from have been; and when a parent appears later, the objects of its children's kinds in its
 * namespace are listed once more, since news of them may have come, and gone unnoticed, before. A
 * custom resource may own objects of any kind: of all kinds that are watched, then.
 *
 * An object belongs to the first application, in the order in which they were made known, that has
 * its root. ReplicaSets without replicas, which only remember a revision, are left out. Loop-owned. */
#ifndef AGENT_SYNC_TREE_H
#define AGENT_SYNC_TREE_H

#include "common/base/arena.h"
#include "common/base/map.h"
#include "common/kube/meta.h"
#include "common/run/loop.h"
#include "proto/report.pb-c.h"

#define AGENT_TREE_NODES_MAX 500 /* that are told of one application */
#define AGENT_TREE_DEPTH_MAX 16	 /* below a root; what is deeper is left out */

struct agent_app;
struct agent_engine;
struct agent_entry;
struct agent_kind;
struct agent_node;
struct agent_sweep;

struct agent_tree {
	struct agent_node **buckets; /* by key; chained */
	size_t n_buckets, n;
	struct cox_timer tell;	/* what has changed is told then */
	struct cox_timer sweep; /* begins the lists that are wanted */
	struct cox_map
		wanted; /* "kind's id namespace" to struct agent_kind: to be listed once more */
	struct agent_sweep *sweeping; /* NULL: none is under way */
};

void agent_tree_init(struct agent_engine *e);
void agent_tree_fini(struct agent_engine *e);

/* ---- kinds ---- */

/* fn for each kind whose objects grow from this one's. */
struct agent_child_kind {
	const char *group, *version, *kind;
};
void agent_tree_each_child_kind(const struct agent_kind *kind,
				void (*fn)(struct agent_engine *e,
					   const struct agent_child_kind *child, void *ctx),
				void *ctx);
/* A kind that is only followed is listed after what it grows from. */
bool agent_tree_may_list(const struct agent_kind *kind);

/* ---- what watches tell ---- */

void agent_tree_upsert(struct agent_kind *kind, const struct cox_node *object);
void agent_tree_remove(struct agent_kind *kind, const char *key_text, struct cox_str uid);
/* A list is complete: what it did not tell is gone. */
void agent_tree_listed(struct agent_kind *kind);
/* The kind is not watched any more. */
void agent_tree_kind_gone(struct agent_kind *kind);

/* It is below some application's object. */
bool agent_tree_has(const struct agent_engine *e, const char *key_text);

/* ---- roots ---- */

/* The entry's object is live, and another one than before. */
void agent_tree_root_appeared(struct agent_entry *entry);
void agent_tree_root_gone(struct agent_entry *entry);

/* ---- out ---- */

/* The packed coxswain.report.v1.Tree of an application; never empty. */
void agent_tree_pack(const struct agent_app *app, struct cox_arena *arena,
		     ProtobufCBinaryData *ret_bytes);

#endif
