/* A tree of files as the renderer sees it: a commit of a repository, a local directory, or memory.
 * The renderer never learns which.
 *
 * Paths are relative to the tree's root, parts divided by '/', without "." and ".." and empty
 * parts;
 * "" is the root. What users write goes through hub_path_clean or hub_path_resolve first; they are
 * the only way from a user's text to a path, and what does not pass them reaches no file code.
 * Every function here checks its path again by the same rules.
 *
 * Symbolic links are shown by list and kind, and refused by everything that would follow one
 * (COX_FAILED_PRECONDITION, naming the link). A tree with follow_links set resolves those that stay
 * inside it, at most 40 in a row; one that leads out is refused as before. Submodules are shown and
 * refused likewise.
 *
 * Content never changes while the tree lives (memory and commits) or is as the disk has it at each
 * call (directory). Ownership: reference counted; ret_ lists and buffers are the caller's.
 * Threads: any thread may use a tree at the same time as others (each implementation locks what it
 * must); calls read files and block. */
#ifndef COX_HUB_SOURCE_TREE_H
#define COX_HUB_SOURCE_TREE_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"

#include <stdatomic.h>
#include <stdbool.h>

#define HUB_LIMIT_PATH_BYTES   4096
#define HUB_LIMIT_PATH_PARTS   128
#define HUB_LIMIT_DIR_ENTRIES  10000
#define HUB_LIMIT_TREE_ENTRIES 50000 /* of one walk */
#define HUB_LIMIT_LINKS	       40    /* followed for one path */

enum hub_tree_kind {
	HUB_TREE_FILE = 1,
	HUB_TREE_DIR,
	HUB_TREE_LINK,
	HUB_TREE_SUBMODULE,
	HUB_TREE_OTHER, /* a socket, a device: only in local directories; refused */
};

struct hub_tree_entry {
	char *name; /* one part; in a walk, the path below where the walk began */
	enum hub_tree_kind kind;
};

/* Sorted by name, byte by byte. */
struct hub_tree_list {
	struct hub_tree_entry *items;
	size_t n, cap;
};
#define HUB_TREE_LIST_INIT  ((struct hub_tree_list){0})
#define _cleanup_tree_list_ __attribute__((cleanup(hub_tree_list_fini)))

void hub_tree_list_fini(struct hub_tree_list *list);

struct hub_tree;

/* What an implementation gives; paths are clean. An implementation neither follows links nor looks
 * through them: kind says LINK for the last part, and a path that runs through a link fails with
 * COX_FAILED_PRECONDITION. */
struct hub_tree_ops {
	/* Unsorted; at most HUB_LIMIT_DIR_ENTRIES. */
	int (*list)(struct hub_tree *t, const char *path, struct hub_tree_list *ret_list,
		    struct cox_error *err);
	/* Appends; path is a plain file. */
	int (*read)(struct hub_tree *t, const char *path, size_t max_bytes, struct cox_buf *out,
		    struct cox_error *err);
	int (*kind)(struct hub_tree *t, const char *path, enum hub_tree_kind *ret_kind,
		    struct cox_error *err);
	/* The id of a plain file's content, where there is one without reading it: the same id, the
	 * same content. May be NULL. COX_FAILED_PRECONDITION when path is no plain file. */
	int (*id)(struct hub_tree *t, const char *path, char ret_id[65], struct cox_error *err);
	/* Appends the text of a link. */
	int (*link)(struct hub_tree *t, const char *path, struct cox_buf *out,
		    struct cox_error *err);
	void (*free)(struct hub_tree *t);
};

/* The part that all implementations begin with. Immutable but for the count. */
struct hub_tree {
	const struct hub_tree_ops *ops;
	atomic_int n_refs;
	bool follow_links; /* set right after making it, before it is shared */
	char *name;	   /* for messages: a URL without user information, a directory, "memory" */
	char commit[65];   /* hexadecimal; "" when the tree is not a commit */
};

struct hub_tree *hub_tree_ref(struct hub_tree *t);
void hub_tree_unref(struct hub_tree *t);
DEFINE_CLEANUP(struct hub_tree *, hub_tree_unref);
#define _cleanup_tree_ __attribute__((cleanup(hub_tree_unref_p)))

/* The entries of a directory. COX_NOT_FOUND when there is none; COX_FAILED_PRECONDITION when it is
 * a file or a link. */
int hub_tree_list(struct hub_tree *t, const char *path, struct hub_tree_list *ret_list,
		  struct cox_error *err);
/* Everything below a directory, files and links and directories, depth first, sorted by path within
 * each directory; names are paths below `path`. Links are listed, not entered. */
int hub_tree_walk(struct hub_tree *t, const char *path, struct hub_tree_list *ret_list,
		  struct cox_error *err);
/* Appends the file's content. COX_RESOURCE_EXHAUSTED when it is longer than max_bytes. */
int hub_tree_read(struct hub_tree *t, const char *path, size_t max_bytes, struct cox_buf *out,
		  struct cox_error *err);
/* COX_NOT_FOUND when there is nothing. With follow_links never HUB_TREE_LINK. */
int hub_tree_kind(struct hub_tree *t, const char *path, enum hub_tree_kind *ret_kind,
		  struct cox_error *err);

/* Where the path leads to with its links resolved, which need not be there; the path itself without
 * follow_links. The caller's. */
int hub_tree_real(struct hub_tree *t, const char *path, char **ret_path, struct cox_error *err);

/* ---- paths ---- */

/* A user's path below the root ("apps/web", "./apps//web/", ".", "") in clean form; the caller's.
 * Refused, naming what is wrong: "..", a leading '/', NUL and other control characters, a
 * backslash, text that is not UTF-8 or looks like a URL ("scheme://"), too long, too deep, and a
 * part named
 * ".git" in any case. */
int hub_path_clean(struct cox_str text, char **ret_path, struct cox_error *err);
/* The same relative to base (clean), where ".." goes up, but never above root: for what a file of
 * the tree says about its neighbours (Kustomize's "../../base"). COX_PERMISSION_DENIED when it
 * would leave the tree. */
int hub_path_resolve(const char *base, struct cox_str text, char **ret_path, struct cox_error *err);

/* ---- implementations (the one of a commit is made by hub/source/source.h) ---- */

/* A local directory. Every open is openat2 with RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS, so
 * that nothing outside is ever read, also while somebody moves things around. */
int hub_tree_open_dir(const char *dir, struct hub_tree **ret_tree, struct cox_error *err);

/* Memory, for tests and for what is generated. Adding is for its maker, before it is shared. */
struct hub_tree *hub_tree_new_memory(void);
/* Directories above come by themselves; the path must be clean, and free. */
int hub_tree_memory_add(struct hub_tree *t, const char *path, struct cox_str content,
			struct cox_error *err);
int hub_tree_memory_add_link(struct hub_tree *t, const char *path, const char *target,
			     struct cox_error *err);

#endif
