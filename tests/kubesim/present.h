/* How an object is shown: as it is, as metadata only, or as a row of a table; by what the client
 * accepts.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
 * Threads: job-local. */
#ifndef KUBESIM_PRESENT_H
#define KUBESIM_PRESENT_H

#include "tests/kubesim/sim.h"

enum ks_form { KS_FORM_OBJECT = 0, KS_FORM_TABLE, KS_FORM_PARTIAL, KS_FORM_NONE };

/* What an Accept header asks for; KS_FORM_NONE: nothing that is offered. NULL asks
 * for the object. */
enum ks_form ks_form_of(const char *accept);

/* One object in that form, a node of doc (which uses the object's document). version: the
 * apiVersion to show. */
const struct cox_node *ks_present(struct cox_doc *doc, enum ks_form form,
				  const struct ks_kind *kind, const struct cox_node *object,
				  int64_t now_ms, bool with_columns);
/* A list of them; items are roots of objects. */
struct cox_node *ks_present_list(struct cox_doc *doc, enum ks_form form, const struct ks_kind *kind,
				 const struct cox_node *const *items, size_t n, int64_t now_ms);

/* table.c */
struct cox_node *ks_table_columns(struct cox_doc *doc, const struct ks_kind *kind);
struct cox_node *ks_table_cells(struct cox_doc *doc, const struct ks_kind *kind,
				const struct cox_node *object, int64_t now_ms);
/* ".spec.size", ".status.conditions[?(@.type=='Ready')].status"; NULL when there is none. */
const struct cox_node *ks_json_path(const struct cox_node *object, const char *path);

#endif
