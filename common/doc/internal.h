/* The inside of the document tree, for the files of this room only.
 *
 * A node is 32 bytes: 16 of head (owner, kind, position, length) and 16 of body. A string of up to
 * 15 bytes lives in the body, as does a number's text of up to 7; longer text lies in the arena,
 * always terminated. Which of the two it is follows from `len` alone, so copying a node is copying
 * the struct.
 *
 * owner is the id of the document that may change the node. Ids are given back when a document is
 * freed, and a node is only reachable while its document lives, so two reachable nodes with one
 * owner are of one document.
 *
 * Keys are interned, the usual ones per process and the rest per document, and carry their hash; an
 * entry holds the low 16 bits of the key's
 * length, which rejects most comparisons without touching the key. A map with room for more than
 * DOC_LINEAR entries has a table of uint32_t slots behind them: index + 1 into the entries, 0 free,
 * open addressing. It is built when entries are added, never when they are read. */
#ifndef COX_DOC_INTERNAL_H
#define COX_DOC_INTERNAL_H

#include "common/base/arena.h"
#include "common/doc/doc.h"

#include <stdatomic.h>

#define DOC_LINEAR	  16
#define DOC_INLINE_TEXT	  15
#define DOC_INLINE_NUMBER 7
#define DOC_DEPTH_MAX	  1000 /* no option allows more: readers and writers recurse */

struct doc_key {
	uint32_t hash;
	uint32_t len;
	char text[];
};

struct doc_entry {
	const struct doc_key *key;
	const struct cox_node *value;
	uint32_t line;
	uint16_t column;
	uint16_t len16;
};
_Static_assert(sizeof(struct doc_entry) == 24, "a map entry is 24 bytes");

struct cox_node {
	uint32_t owner;
	uint8_t kind;
	uint8_t style; /* DOC_WRITTEN: it is a struct doc_written; DOC_QUOTED */
	uint16_t column;
	uint32_t line;
	uint32_t len; /* bytes of text, entries, items */
	union {
		const char *text;
		char inline_text[DOC_INLINE_TEXT + 1];
		struct {
			union {
				int64_t i;
				double d;
			} value; /* COX_INT and COX_BOOL: i; COX_FLOAT: d */
			union {
				const char *text;
				char inline_text[DOC_INLINE_NUMBER + 1];
			} as;
		} number;
		struct {
			struct doc_entry *entries;
			uint32_t cap;
		} map;
		struct {
			const struct cox_node **items;
			uint32_t cap;
		} list;
	} body;
};
_Static_assert(sizeof(struct cox_node) == 32, "a node is 32 bytes");

#define DOC_WRITTEN 1
#define DOC_QUOTED  2 /* a string that the file has in quotes or as a block */

/* A scalar that its text was read as something else than it says: 1.10 is the number 1.1. */
struct doc_written {
	struct cox_node node;
	uint32_t len;
	char text[]; /* terminated */
};

/* A set of interned keys. */
struct doc_keys {
	const struct doc_key **slots;
	uint32_t n, n_slots;
};

struct cox_doc {
	atomic_uint refs;
	uint32_t id;
	bool sealed;
	const char *name;
	const struct cox_node *root;
	struct cox_arena arena;
	struct doc_keys keys;		/* while unsealed */
	COX_VEC(struct cox_doc *) uses; /* one reference each */
	struct cox_doc *next_dead;	/* while being freed */
};

static inline const char *doc_text(const struct cox_node *n)
{
	if (n->kind == COX_STRING)
		return n->len <= DOC_INLINE_TEXT ? n->body.inline_text : n->body.text;
	return n->len <= DOC_INLINE_NUMBER ? n->body.number.as.inline_text : n->body.number.as.text;
}

static inline struct cox_str doc_key_str(const struct doc_key *key)
{
	return (struct cox_str){key->text, key->len};
}

static inline bool doc_key_same(const struct doc_key *a, const struct doc_key *b)
{
	return a == b ||
	       (a->hash == b->hash && a->len == b->len && memcmp(a->text, b->text, a->len) == 0);
}

/* Memory of the document; never NULL. */
void *doc_alloc(struct cox_doc *doc, size_t size);
struct cox_node *doc_node(struct cox_doc *doc, enum cox_kind kind);
static inline struct cox_node *doc_node_at(struct cox_doc *doc, enum cox_kind kind, uint32_t line,
					   size_t column)
{
	struct cox_node *n = doc_node(doc, kind);

	n->line = line;
	n->column = column > UINT16_MAX ? UINT16_MAX : (uint16_t)column;
	return n;
}
/* A copy of the scalar that keeps this text. */
struct cox_node *doc_keep_written(struct cox_doc *doc, const struct cox_node *n,
				  struct cox_str text);
void doc_set_text(struct cox_doc *doc, struct cox_node *n, struct cox_str text);
void doc_set_number_text(struct cox_doc *doc, struct cox_node *n, struct cox_str text);

void doc_set_int(struct cox_doc *doc, struct cox_node *n, int64_t value);
/* COX_INT where it is an integer that fits, else COX_FLOAT; false when text is no JSON number or
 * past a double's range. */
bool doc_set_number(struct cox_doc *doc, struct cox_node *n, struct cox_str text);

/* The document's own key of that text. */
const struct doc_key *doc_intern(struct cox_doc *doc, struct cox_str text);
/* Whether the key is one of the process's, which every document may name. */
bool doc_key_is_usual(const struct doc_key *key);
/* Makes them: once, before the first document. */
void doc_make_usual_keys(void);
void doc_keys_fini(struct doc_keys *keys);
/* The set's key of that text: `key` itself when there was none. */
const struct doc_key *doc_keys_add(struct doc_keys *keys, const struct doc_key *key);

/* Bytes of the body of a map with room for cap entries. */
size_t doc_map_bytes(size_t cap);
/* Makes the map's body out of n entries whose keys are interned in one document. Returns -1, or
 * the index of the first entry whose key an earlier one has (the body is unusable then). */
ptrdiff_t doc_map_fill(struct cox_doc *doc, struct cox_node *map, const struct doc_entry *entries,
		       size_t n);
void doc_list_fill(struct cox_doc *doc, struct cox_node *list, const struct cox_node *const *items,
		   size_t n);
/* Builds the table of a map with cap over DOC_LINEAR. Returns as doc_map_fill. */
ptrdiff_t doc_map_index(struct cox_node *map);
/* Adds the last entry to the table of such a map. */
void doc_map_index_last(struct cox_node *map);
/* Index of the key in the map, or -1. */
ptrdiff_t doc_map_find(const struct cox_node *map, const struct doc_key *key);

/* Numbers (number.c). A JSON number's grammar: 1 an integer's, 2 another's, 0 none. */
int doc_number_form(struct cox_str text);
/* Decimal, of either sign; false when it does not fit. */
bool doc_parse_int(struct cox_str text, int64_t *ret_value);
/* Terminated text; false when it is past a double's range. */
bool doc_parse_double(const char *text, double *ret_value);
/* The shortest decimal that reads back equal, as JSON and as Go writes it: plain between 1e-6 and
 * 1e21, with an exponent outside. Returns its length; ret_text has room for DOC_DOUBLE_TEXT. */
#define DOC_DOUBLE_TEXT 40
size_t doc_format_double(double value, char ret_text[DOC_DOUBLE_TEXT]);

/* A map's entries ordered by the bytes of their keys: pushed on *scratch, which the caller cuts
 * back to the length it had. Returns the index of the first. */
typedef COX_VEC(const struct doc_entry *) doc_sorted;
size_t doc_sort_entries(const struct cox_node *map, doc_sorted *scratch);
/* The same in another order; compare gets pointers to two pointers to entries. */
typedef int (*doc_compare)(const void *a, const void *b);
size_t doc_sort_entries_by(const struct cox_node *map, doc_sorted *scratch, doc_compare compare);

#endif
