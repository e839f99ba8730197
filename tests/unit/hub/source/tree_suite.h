/* The conformance suite of struct hub_tree: what every implementation must do, run over each. */
#ifndef TREE_SUITE_H
#define TREE_SUITE_H

#include "hub/source/tree.h"

/* The content that the suite expects; a fixture puts exactly this into its kind of tree. */
struct tree_item {
	const char *path;
	const char *content; /* of a file */
	const char *target;  /* of a link */
};
extern const struct tree_item tree_items[];
extern const size_t n_tree_items;

/* Runs all checks over a tree with that content. */
void tree_suite(struct hub_tree *t);

#endif
