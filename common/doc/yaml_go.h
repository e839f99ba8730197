/* Texts, keys and numbers as Go's YAML (go-yaml v2, which Kustomize and Helm print with) writes them,
 * to the byte: its quotes, its lines of 80 columns, its order of keys. Where what it writes would
 * read back as something else (a key "<<", U+2028), the text is in double quotes. Private to the
 * room. */
#ifndef COX_DOC_YAML_GO_H
#define COX_DOC_YAML_GO_H

#include "common/doc/internal.h"

/* The cursor stands where the text begins. indent: the column of the map or list that the text is
 * in. one_line: a key before its ':'. */
void doc_go_string(struct cox_buf *out, struct cox_str text, size_t indent, bool one_line);
/* Whether the key stands behind a '?'. */
bool doc_go_is_long_key(struct cox_str key);
/* A COX_FLOAT: the shortest digits, with an exponent outside of 1e-4 to 1e6. */
void doc_go_float(struct cox_buf *out, const struct cox_node *number);
/* As doc_sort_entries, in Go's order: numbers inside keys by value, letters behind all else. */
size_t doc_go_sort_entries(const struct cox_node *map, doc_sorted *scratch);

#endif
