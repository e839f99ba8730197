/* Maps of a document to C structs and back to sense: a static table says which key goes to which
 * member, and as what.
 *
 *	struct source { const char *repo_url; int64_t timeout_ms; bool shallow; };
 *	static const struct cox_bind_field source_fields[] = {
 *		COX_BIND(struct source, repo_url, "repoURL", STRING, .flags = COX_BIND_REQUIRED),
 *		COX_BIND(struct source, timeout_ms, "timeout", DURATION, .min = 1000),
 *		COX_BIND(struct source, shallow, "shallow", BOOL),
 *	};
 *	static const struct cox_bind_table source_table = COX_BIND_TABLE(struct source,
 *source_fields);
 *
 * A member keeps what it held when its key is absent or null: put the defaults there first. On
 * failure the struct is as it was. Strings and nodes are borrowed from the document; arrays lie in
 * the arena that the caller gives.
 *
 * Errors: COX_INVALID_ARGUMENT, "apps/web.yaml:12:7: spec.replicas: expected an integer, found a
 * string"; the first one found, in the order of the table, unknown keys last. Pure; threads: any.
 */
#ifndef COX_DOC_BIND_H
#define COX_DOC_BIND_H

#include "common/base/arena.h"
#include "common/doc/doc.h"

enum cox_bind_type {
	COX_BIND_STRING = 1, /* const char *; a text with NUL inside is refused */
	COX_BIND_STR,	     /* struct cox_str */
	COX_BIND_BOOL,	     /* bool */
	COX_BIND_INT,	     /* int64_t, from min to max */
	COX_BIND_DOUBLE,     /* double, of any number */
	COX_BIND_DURATION,   /* int64_t in milliseconds, from min to max; Go's syntax, "1m30s" */
	COX_BIND_ENUM,	     /* int: index into values */
	COX_BIND_STRINGS,    /* struct cox_bind_strings */
	COX_BIND_STRING_MAP, /* const struct cox_node *: a map, all its values strings */
	COX_BIND_NODE,	     /* const struct cox_node *: anything */
	COX_BIND_MAP,	     /* const struct cox_node *: a map */
	COX_BIND_LIST,	     /* const struct cox_node *: a list */
	COX_BIND_OBJECT,     /* a struct, in place, bound by table */
	COX_BIND_OBJECTS,    /* struct cox_bind_objects: a list of maps, bound by table */
};

struct cox_bind_strings {
	const char **items;
	size_t n;
};

struct cox_bind_objects {
	void *items; /* an array of the table's structs, zeroed before each was bound */
	size_t n;
};

enum {
	COX_BIND_REQUIRED = 1, /* must be there, not null; a string or list not empty */
	COX_BIND_IGNORED =
		2, /* known, not bound: strict mode takes it; the member is not written */
};

struct cox_bind_table;

struct cox_bind_field {
	const char *name;
	enum cox_bind_type type;
	unsigned flags;
	size_t offset, size;
	size_t has; /* offset of a bool that is set when the key was there; 0: none */
	const struct cox_bind_table *table;
	const char *const *values; /* ends with NULL */
	int64_t min, max;	   /* both 0: any */
};

struct cox_bind_table {
	const struct cox_bind_field *fields;
	size_t n_fields;
	size_t size; /* of the struct */
};

#define COX_BIND(S, member, key, type_, ...)                                                       \
	{                                                                                          \
		.name = (key), .type = COX_BIND_##type_, .offset = offsetof(S, member),            \
		.size = sizeof(((S *)0)->member), __VA_ARGS__                                      \
	}
/* A key that is known and not wanted. */
#define COX_BIND_SKIP(key)                                                                         \
	{                                                                                          \
		.name = (key), .type = COX_BIND_NODE, .flags = COX_BIND_IGNORED                    \
	}
#define COX_BIND_TABLE(S, array)                                                                   \
	{                                                                                          \
		.fields = (array), .n_fields = COX_ARRAY_LEN(array), .size = sizeof(S)             \
	}

enum {
	COX_BIND_STRICT = 1,   /* a key that the table does not name is an error, with a guess at
				* what was meant */
	COX_BIND_ANY_CASE = 2, /* keys match without regard to ASCII case, as Go's JSON decoder does
				* it; an exact match goes first */
};

/* node: a map of doc. path: what messages call it ("spec"), NULL for the root. arena may be NULL
 * when the table has neither STRINGS nor OBJECTS. */
int cox_bind(const struct cox_doc *doc, const struct cox_node *node,
	     const struct cox_bind_table *table, unsigned flags, const char *path,
	     struct cox_arena *arena, void *ret_struct, struct cox_error *err);

#endif
