/* JSON pointers, RFC 6901: "/spec/containers/0/image"; "~1" is a slash in a key, "~0" a tilde, ""
 * the whole document. Changes copy the path and share the rest, as every edit does.
 *
 * Errors: COX_NOT_FOUND when a step is not there, COX_INVALID_ARGUMENT when the pointer is
 * malformed or a step meets a scalar; both name the pointer and the step: "'/spec/x/y': no key
 * 'x'". A failed change leaves the document equal to what it was. Pure. */
#ifndef COX_DOC_POINTER_H
#define COX_DOC_POINTER_H

#include "common/doc/doc.h"

enum {
	/* add, replace: maps that are missing on the way are made */
	COX_POINTER_CREATE = 1,
	/* replace: a missing key of a map is added */
	COX_POINTER_UPSERT = 2,
	/* an index of -1 is the last item, -2 the one before, as some JSON Patch libraries have it
	 */
	COX_POINTER_NEGATIVE = 4,
};

int cox_pointer_get(const struct cox_node *root, struct cox_str pointer, unsigned flags,
		    const struct cox_node **ret_node, struct cox_error *err);
/* In a map: puts, whether the key is there or not. In a list: inserts before the index, or appends
 * for "-" and for the list's length. "" sets the root. value: doc's, or of a used document. */
int cox_pointer_add(struct cox_doc *doc, struct cox_str pointer, const struct cox_node *value,
		    unsigned flags, struct cox_error *err);
/* What the pointer names must be there. */
int cox_pointer_replace(struct cox_doc *doc, struct cox_str pointer, const struct cox_node *value,
			unsigned flags, struct cox_error *err);
int cox_pointer_remove(struct cox_doc *doc, struct cox_str pointer, unsigned flags,
		       struct cox_error *err);
/* Appends "/" and the key with its escapes, to build a pointer. */
void cox_pointer_push(struct cox_buf *pointer, struct cox_str key);

#endif
