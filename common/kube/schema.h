/* What is known of the shape of Kubernetes objects: fields, their types, and how their lists and
 * maps merge. It serves comparison (which list items are the same item), strategic merge patches,
 * server-side apply, and Kustomize. Facts as of Kubernetes 1.26 and later; the list types are those
 * of the API's OpenAPI description (x-kubernetes-list-type, -list-map-keys, -map-type,
 * x-kubernetes-patch-strategy, -patch-merge-key).
 *
 * Built-in types come from a table (schema_table.h) that is read once, at the first question, and
 * then lives as long as the process. Types of custom resources are made from their OpenAPI schema
 * into the caller's arena. Threads: any; types are immutable.
 */
#ifndef COX_KUBE_SCHEMA_H
#define COX_KUBE_SCHEMA_H

#include "common/base/arena.h"
#include "common/doc/doc.h"

enum cox_schema_kind {
	COX_SCHEMA_ANY = 0, /* unknown: scalars and lists are leaves, maps merge by key */
	COX_SCHEMA_STRING,
	COX_SCHEMA_INT,
	COX_SCHEMA_NUMBER,
	COX_SCHEMA_BOOL,
	COX_SCHEMA_TIME,
	COX_SCHEMA_MICROTIME,
	COX_SCHEMA_QUANTITY,
	COX_SCHEMA_INT_OR_STRING,
	COX_SCHEMA_BYTES, /* base64 */
	COX_SCHEMA_STRUCT,
	COX_SCHEMA_MAP,
	COX_SCHEMA_LIST,
};

enum cox_schema_list {
	COX_SCHEMA_LIST_ATOMIC = 0,
	COX_SCHEMA_LIST_SET, /* of scalars */
	COX_SCHEMA_LIST_MAP, /* of maps, by `keys` */
};

struct cox_schema_type;

struct cox_schema_field {
	const char *name;
	const struct cox_schema_type *type; /* resolved: never NULL */
	const char *def;		    /* the value of a key that is missing, or NULL */
	const struct cox_node *def_node;    /* custom resources: `default`, or NULL */
	bool always;			    /* written even when empty */
	bool retain_keys;		    /* patchStrategy retainKeys */
	bool replace;			    /* patchStrategy replace */
	bool required;			    /* custom resources */
};

struct cox_schema_type {
	enum cox_schema_kind kind;
	const char *name; /* of a STRUCT of the table, "core.v1.Container"; else NULL */
	bool atomic;	  /* STRUCT, MAP: owned and replaced as a whole */
	bool open;	  /* STRUCT of a custom resource that keeps unknown fields */
	bool nullable;
	enum cox_schema_list list;
	const char *const *keys; /* LIST_MAP */
	size_t n_keys;
	bool merges;			       /* LIST: strategic merge patch merges it, */
	const char *merge_key;		       /* by this key; NULL: a list of scalars */
	bool retain_keys;		       /* LIST: items honour $retainKeys */
	const struct cox_schema_type *item;    /* MAP, LIST */
	const struct cox_schema_field *fields; /* STRUCT, sorted by name */
	size_t n_fields;
	const struct cox_node *openapi; /* custom resources: the schema it was made from */
};

/* The type of a built-in kind; group "" for core. When that version is not in the table, another
 * version of the same group and kind. NULL when the kind is unknown. */
const struct cox_schema_type *cox_schema_find(const char *group, const char *version,
					      const char *kind);
/* By name of the table ("core.v1.PodSpec"); NULL when there is none. */
const struct cox_schema_type *cox_schema_named(const char *name);
/* COX_SCHEMA_ANY. */
const struct cox_schema_type *cox_schema_any(void);
/* The names of all structs of the table, in order; NULL past the end. */
const char *cox_schema_name_at(size_t i);

/* NULL when type is no STRUCT or has no such field. */
const struct cox_schema_field *cox_schema_field(const struct cox_schema_type *type,
						struct cox_str name);
/* The type of a child by key of a STRUCT, MAP or ANY; ANY when it is unknown. */
const struct cox_schema_type *cox_schema_child(const struct cox_schema_type *type,
					       struct cox_str name);
/* Whether items of this list are matched by key or value (a map or a set that merges). */
static inline bool cox_schema_is_associative(const struct cox_schema_type *type)
{
	return type && type->kind == COX_SCHEMA_LIST && type->list != COX_SCHEMA_LIST_ATOMIC;
}

/* The type that a CustomResourceDefinition's openAPIV3Schema describes, of a whole object
 * (apiVersion, kind and metadata are added). It points into `schema`, which must live as long;
 * NULL gives a type that keeps everything. */
const struct cox_schema_type *cox_schema_of_openapi(struct cox_arena *arena,
						    const struct cox_node *schema);

#endif
