/* common/doc: one document tree for YAML and JSON.
 *
 * A document (struct cox_doc) owns an arena and has a root; a node (struct cox_node) is a value in
 * it. Nodes know their line and column. Integers stay integers, the text of any other number is
 * kept as it was written, maps keep the order of insertion and have each key once.
 *
 * Life: a new document is unsealed and belongs to one job; its own nodes may be changed in place.
 * cox_doc_seal makes it immutable: from then on any thread may read it, and it is shared by
 * reference (cox_doc_ref, atomic). A node is valid as long as its document.
 *
 * Editing shares: cox_doc_edit(base) is a new, unsealed document whose root is base's. Nodes
 * that belong to another document are never changed; the *_edit functions copy the one node they
 * are asked for (shallowly) into the document and put the copy in its place, so an edit copies the
 * path and shares the rest. Whoever puts a foreign node into a document first calls cox_doc_use,
 * which keeps the foreign document alive.
 *
 * Every reading function takes NULL for "absent" and gives the absent answer, so that chains need
 * no checks: cox_node_int(COX_GET(root, "spec", "replicas"), 1).
 *
 * Cost: 32 bytes a node, 24 a map entry, 8 a list item, and the text; key lookup is linear up to 16
 * entries and by index above.
 */
#ifndef COX_DOC_DOC_H
#define COX_DOC_DOC_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cox_kind {
	COX_ABSENT = 0, /* what cox_node_kind says of NULL */
	COX_NULL,
	COX_BOOL,
	COX_INT,   /* fits int64_t */
	COX_FLOAT, /* any other number; its text is kept */
	COX_STRING,
	COX_MAP,
	COX_LIST,
};

struct cox_doc;
struct cox_node;

/* "null", "boolean", "integer", "number", "string", "map", "list"; for messages. */
const char *cox_kind_name(enum cox_kind kind);

/* ---- documents ---- */

/* name: what messages call it ("apps/web/deploy.yaml"), copied; NULL for "document". */
struct cox_doc *cox_doc_new(const char *name);
/* An unsealed document with base's root; holds a reference to base, which must be sealed. */
struct cox_doc *cox_doc_edit(struct cox_doc *base);
/* A sealed document whose root is `node` of base; holds a reference to base. */
struct cox_doc *cox_doc_view(struct cox_doc *base, const struct cox_node *node);
/* A sealed deep copy of node that shares nothing, in memory of its own size. */
struct cox_doc *cox_doc_copy(const char *name, const struct cox_node *node);
struct cox_doc *cox_doc_ref(struct cox_doc *doc);
void cox_doc_unref(struct cox_doc *doc);
DEFINE_CLEANUP(struct cox_doc *, cox_doc_unref);
#define _cleanup_doc_ COX_CLEANUP(cox_doc_unref_p)
/* Immutable from now on; returns doc. Sealing twice is harmless. */
struct cox_doc *cox_doc_seal(struct cox_doc *doc);
const char *cox_doc_name(const struct cox_doc *doc);
/* Borrowed; NULL while none was set. */
const struct cox_node *cox_doc_root(const struct cox_doc *doc);
void cox_doc_set_root(struct cox_doc *doc, const struct cox_node *node);
/* Bytes that the document's own arena holds. */
size_t cox_doc_size(const struct cox_doc *doc);
/* The document's memory is on this account (common/base/arena.h), and that of all that are edits or
 * views of it or use it, unless they are on one already. No effect on a document that is. */
struct cox_account;
void cox_doc_charge(struct cox_doc *doc, struct cox_account *account);

/* Documents in order; each element is one reference. */
typedef COX_VEC(struct cox_doc *) cox_docs;
void cox_docs_fini(cox_docs *docs);
#define _cleanup_docs_ COX_CLEANUP(cox_docs_fini)

/* ---- reading ---- */

enum cox_kind cox_node_kind(const struct cox_node *node);
static inline bool cox_node_is(const struct cox_node *node, enum cox_kind kind)
{
	return cox_node_kind(node) == kind;
}

/* The values of a node of that kind, or `otherwise` for every other kind and NULL. */
bool cox_node_bool(const struct cox_node *node, bool otherwise);
int64_t cox_node_int(const struct cox_node *node, int64_t otherwise);
/* COX_INT and COX_FLOAT. */
double cox_node_double(const struct cox_node *node, double otherwise);
/* Terminated, may hold NUL bytes inside; an empty string (ptr "") for all but COX_STRING. */
struct cox_str cox_node_str(const struct cox_node *node);
/* Terminated text of a COX_STRING, else `otherwise`. */
const char *cox_node_cstr(const struct cox_node *node, const char *otherwise);
/* A number as it was written, a string's text, "true", "false", "null"; "" for map and list. */
struct cox_str cox_node_text(const struct cox_node *node);
/* The same as it stands in the file, where the reader kept it (cox_yaml_options.keep_written): 1.10,
 * 0777, 2020-01-01, ~. */
struct cox_str cox_node_written(const struct cox_node *node);
/* Whether the file has the string in quotes, or as a block; kept with the same option. */
bool cox_node_quoted(const struct cox_node *node);

/* Entries of a map or items of a list; 0 otherwise. */
size_t cox_node_len(const struct cox_node *node);
/* Item i of a list, value i of a map; NULL past the end. */
const struct cox_node *cox_node_at(const struct cox_node *node, size_t i);
/* Key i of a map. */
struct cox_str cox_node_key(const struct cox_node *map, size_t i);
/* NULL when node is no map or has no such key. */
const struct cox_node *cox_node_get(const struct cox_node *map, const char *key);
const struct cox_node *cox_node_get_str(const struct cox_node *map, struct cox_str key);
/* Index of the key, or -1. */
ptrdiff_t cox_node_find(const struct cox_node *map, struct cox_str key);
/* Walks keys until NULL. */
const struct cox_node *cox_node_walk(const struct cox_node *node, ...) __attribute__((sentinel));
#define COX_GET(node, ...) cox_node_walk((node), __VA_ARGS__, (char *)NULL)

/* From 1; 0: the node was not read from a text. */
uint32_t cox_node_line(const struct cox_node *node);
uint32_t cox_node_column(const struct cox_node *node);
/* Position of key i of a map. */
void cox_node_key_position(const struct cox_node *map, size_t i, uint32_t *ret_line,
			   uint32_t *ret_column);

/* i: size_t; key: struct cox_str; value: const struct cox_node *. */
#define COX_DOC_MAP_EACH(map, i, k, v)                                                             \
	for (size_t i = 0, i##_n = cox_node_is((map), COX_MAP) ? cox_node_len(map) : 0; i < i##_n; \
	     i++)                                                                                  \
		for (struct cox_str k = cox_node_key((map), i), *k##_once = &k; k##_once;          \
		     k##_once = NULL)                                                              \
			for (const struct cox_node *v = cox_node_at((map), i), **v##_once = &v;    \
			     v##_once; v##_once = NULL)
#define COX_DOC_LIST_EACH(list, i, v)                                                              \
	for (size_t i = 0, i##_n = cox_node_is((list), COX_LIST) ? cox_node_len(list) : 0;         \
	     i < i##_n; i++)                                                                       \
		for (const struct cox_node *v = cox_node_at((list), i), **v##_once = &v; v##_once; \
		     v##_once = NULL)
/* `break` inside these leaves only the innermost binding; to stop early use goto or return, or the
 * plain functions. */

/* Levels of maps and lists in node (0: a scalar), and at most `most` + 1. */
size_t cox_node_height(const struct cox_node *node, size_t most);

/* Deep equality of values: key order does not count, positions do not count, numbers are equal by
 * value (1 and 1.0 are not: an integer is not a float). NULL equals NULL only. */
bool cox_node_equal(const struct cox_node *a, const struct cox_node *b);

/* Fills err with "name:line:column: message", or "name: message" without a position. Returns
 * -COX_INVALID_ARGUMENT. */
int cox_node_error(struct cox_error *err, const struct cox_doc *doc, const struct cox_node *node,
		   const char *format, ...) __attribute__((format(printf, 4, 5), cold));

/* ---- building; doc is unsealed ---- */

struct cox_node *cox_doc_null(struct cox_doc *doc);
struct cox_node *cox_doc_bool(struct cox_doc *doc, bool value);
struct cox_node *cox_doc_int(struct cox_doc *doc, int64_t value);
/* text: a number as JSON writes it; an integer that fits becomes COX_INT. Asserts that it is one.
 */
struct cox_node *cox_doc_number(struct cox_doc *doc, struct cox_str text);
struct cox_node *cox_doc_string(struct cox_doc *doc, struct cox_str text);
struct cox_node *cox_doc_cstring(struct cox_doc *doc, const char *text);
struct cox_node *cox_doc_stringf(struct cox_doc *doc, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
struct cox_node *cox_doc_map(struct cox_doc *doc);
struct cox_node *cox_doc_list(struct cox_doc *doc);
/* A deep copy of a node of any document into this one. */
struct cox_node *cox_doc_clone(struct cox_doc *doc, const struct cox_node *node);
/* A copy for which cox_node_quoted says that. */
struct cox_node *cox_doc_quote(struct cox_doc *doc, const struct cox_node *node, bool quoted);
/* doc keeps `other` alive, so that other's nodes may be put into doc's maps and lists. */
void cox_doc_use(struct cox_doc *doc, struct cox_doc *other);

/* The map or list must be doc's own (made by it, or given by an *_edit function); value may be
 * doc's or that of a used document. A key that exists keeps its place and gets the new value. */
void cox_map_put(struct cox_doc *doc, struct cox_node *map, const char *key,
		 const struct cox_node *value);
void cox_map_put_str(struct cox_doc *doc, struct cox_node *map, struct cox_str key,
		     const struct cox_node *value);
/* Shorthands for the usual scalars; text NULL puts nothing. */
void cox_map_put_cstr(struct cox_doc *doc, struct cox_node *map, const char *key, const char *text);
void cox_map_put_int(struct cox_doc *doc, struct cox_node *map, const char *key, int64_t value);
void cox_map_put_bool(struct cox_doc *doc, struct cox_node *map, const char *key, bool value);
/* false when there was no such key. */
bool cox_map_drop(struct cox_doc *doc, struct cox_node *map, struct cox_str key);
void cox_list_push(struct cox_doc *doc, struct cox_node *list, const struct cox_node *value);
void cox_list_insert(struct cox_doc *doc, struct cox_node *list, size_t i,
		     const struct cox_node *value);
void cox_list_set(struct cox_doc *doc, struct cox_node *list, size_t i,
		  const struct cox_node *value);
void cox_list_drop(struct cox_doc *doc, struct cox_node *list, size_t i);

/* ---- editing by path copy ---- */

/* The root as doc's own, copied shallowly if it is not; NULL when there is none. */
struct cox_node *cox_doc_root_edit(struct cox_doc *doc);
/* The value of the key as doc's own; NULL when absent. */
struct cox_node *cox_map_edit(struct cox_doc *doc, struct cox_node *map, const char *key);
struct cox_node *cox_map_edit_str(struct cox_doc *doc, struct cox_node *map, struct cox_str key);
/* The same; where there is no value, or one of another kind, an empty map or list takes its
 * place. */
struct cox_node *cox_map_edit_map(struct cox_doc *doc, struct cox_node *map, const char *key);
struct cox_node *cox_map_edit_list(struct cox_doc *doc, struct cox_node *map, const char *key);
struct cox_node *cox_list_edit(struct cox_doc *doc, struct cox_node *list, size_t i);

#endif
