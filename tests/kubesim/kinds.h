/* The kinds that are served: the built-in ones from a table, custom ones from
 * CustomResourceDefinitions. A kind is one kind in one version; versions of one kind share a shelf.
 * Threads: one. */
#ifndef KUBESIM_KINDS_H
#define KUBESIM_KINDS_H

#include "common/base/arena.h"
#include "common/kube/schema.h"
#include "tests/kubesim/status.h"
#include "tests/kubesim/store.h"

enum {
	KS_NAMESPACED = 1,
	KS_STATUS = 2,	       /* has a status subresource */
	KS_SCALE = 4,	       /* has a scale subresource */
	KS_GENERATION = 8,     /* counts changes of its spec */
	KS_NO_COLLECTION = 16, /* deletecollection is not offered */
	KS_READ_ONLY = 32,
	KS_CREATE_ONLY = 64, /* asked for an answer, never kept */
};

struct ks_column {
	const char *name, *type, *format, *description, *path;
	int64_t priority;
};

struct ks_kind {
	struct ks_names names; /* group, kind, resource */
	const char *version;
	const char *list_kind, *singular;
	const char *short_names; /* "po,pods" or "" */
	const char *categories;	 /* "all" or "" */
	unsigned flags;
	char *api_version;     /* "apps/v1" */
	char *storage_version; /* the apiVersion that objects are stored with */
	const struct cox_schema_type *type;
	struct ks_shelf *shelf;
	/* custom resources */
	bool custom;
	struct cox_arena arena;
	struct cox_doc *definition;					  /* a reference */
	const char *replicas_path, *status_replicas_path, *selector_path; /* ".spec.size" */
	struct ks_column *columns;
	size_t n_columns;
};

struct ks_kinds {
	struct ks_kind **items; /* in the order of discovery */
	size_t n, cap;
};

void ks_kinds_init(struct ks_kinds *kinds, struct ks_store *store);
void ks_kinds_fini(struct ks_kinds *kinds);
/* By resource ("deployments") or by kind; NULL when it is not served. */
struct ks_kind *ks_kinds_resource(const struct ks_kinds *kinds, struct cox_str group,
				  struct cox_str version, struct cox_str resource);
struct ks_kind *ks_kinds_kind(const struct ks_kinds *kinds, struct cox_str group,
			      struct cox_str version, struct cox_str kind);
/* Any version of it. */
struct ks_kind *ks_kinds_group_kind(const struct ks_kinds *kinds, struct cox_str group,
				    struct cox_str kind);
struct ks_kind *ks_kinds_of_shelf(const struct ks_kinds *kinds, const struct ks_shelf *shelf);
bool ks_kinds_has_group(const struct ks_kinds *kinds, struct cox_str group, struct cox_str version);

/* Serves what a CustomResourceDefinition says, in place of what it said before; or stops. */
void ks_kinds_define(struct ks_kinds *kinds, struct ks_store *store, struct cox_doc *crd);
void ks_kinds_undefine(struct ks_kinds *kinds, const char *group, const char *resource);

/* Rows of discovery that are not kinds of their own: "pods/exec". */
struct ks_extra {
	const char *group_version, *name, *group, *version, *kind, *verbs;
	bool namespaced;
};
extern const struct ks_extra ks_extras[];

#endif
