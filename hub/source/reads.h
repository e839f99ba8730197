/* What was read of a tree, and whether another tree has just the same.
 *
 *	struct hub_reads reads = HUB_READS_INIT;
 *	tree = hub_tree_recording(commit_tree, &reads);     // read it as any other tree
 *	…
 *	hub_reads_hold(&reads, newer_tree, err)             // 1: nothing of it is different there
 *
 * One entry a path, of what was asked of it: a file's content, the names in a directory (not what is
 * in them), or only whether it is there and what it is. What was looked for in vain is an entry too:
 * it may come. Checking looks up object ids in a commit and reads no content.
 *
 * Threads: a recording tree and its reads are one thread's at a time; reads that nobody adds to any
 * more are immutable. */
#ifndef COX_HUB_SOURCE_READS_H
#define COX_HUB_SOURCE_READS_H

#include "common/base/map.h"
#include "hub/source/tree.h"

enum hub_read_what {
	HUB_READ_KIND = 1, /* id: the word for what it is; "" for nothing */
	HUB_READ_LINK,	   /* id: SHA-256 of where a symbolic link leads */
	HUB_READ_NAMES,	   /* id: SHA-256 of the names and kinds in a directory */
	HUB_READ_CONTENT,  /* id: the object's, or the SHA-256 of the content */
};

struct hub_read {
	char *path; /* in the repository */
	enum hub_read_what what;
	char id[65];
};

struct hub_reads {
	struct hub_read *items; /* in order of the first look */
	size_t n, cap;
	struct cox_map by_path; /* index + 1 */
};
#define HUB_READS_INIT	((struct hub_reads){0})
#define _cleanup_reads_ __attribute__((cleanup(hub_reads_fini)))

void hub_reads_fini(struct hub_reads *r);

/* The same files, and what is looked at is added to reads, which must outlive it. One reference, the
 * caller's; it takes one of t. */
struct hub_tree *hub_tree_recording(struct hub_tree *t, struct hub_reads *reads);

/* 1: every entry is the same in t; 0: one is not. Negative: t cannot be read. */
int hub_reads_hold(const struct hub_reads *r, struct hub_tree *t, struct cox_error *err);

#endif
