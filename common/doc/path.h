/* The place of a node in its document, as people write it: spec.containers[0].image, and
 * metadata.annotations["example.com/x"] where a key is no plain word. A path is a chain of steps on
 * the stack of whoever walks. Private to the room. */
#ifndef COX_DOC_PATH_H
#define COX_DOC_PATH_H

#include "common/doc/doc.h"

struct doc_path {
	const struct doc_path *parent; /* NULL: the root, which has no name */
	struct cox_str key;	       /* ptr NULL: a list's item */
	size_t index;
};

/* Appends; nothing for the root. */
void doc_path_write(struct cox_buf *out, const struct doc_path *path);

#endif
