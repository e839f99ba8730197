/* Label selectors, in the grammar of a query string ("env in (dev,prod),tier!=web,!canary,x>3") and
 * as a LabelSelector object (matchLabels, matchExpressions); and field selectors in the form that
 * every server understands ("metadata.name=web,status.phase!=Running").
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
 * A selector is immutable once made and the maker's to free. Threads: any may match. */
#ifndef COX_KUBE_SELECTOR_H
#define COX_KUBE_SELECTOR_H

#include "common/base/buf.h"
#include "common/doc/doc.h"

enum cox_selector_op {
	COX_SELECT_IN,	   /* = and == too */
	COX_SELECT_NOT_IN, /* != too: also matches what hasn't the key */
	COX_SELECT_EXISTS,
	COX_SELECT_NOT_EXISTS,
	COX_SELECT_GREATER, /* integers */
	COX_SELECT_LESS,
};

struct cox_selector;

/* An empty text selects everything. */
int cox_selector_parse(struct cox_str text, struct cox_selector **ret_selector,
		       struct cox_error *err);
/* A LabelSelector. NULL or null selects nothing, as Kubernetes has it; {} selects everything. */
int cox_selector_from_node(const struct cox_node *label_selector,
			   struct cox_selector **ret_selector, struct cox_error *err);
/* A plain map of labels, each of which must be equal (Service.spec.selector). */
int cox_selector_from_labels(const struct cox_node *labels, struct cox_selector **ret_selector,
			     struct cox_error *err);
/* A list of {key, operator, values} as matchExpressions has it, alone. */
int cox_selector_from_expressions(const struct cox_node *list, struct cox_selector **ret_selector,
				  struct cox_error *err);
void cox_selector_free(struct cox_selector *selector);
DEFINE_CLEANUP(struct cox_selector *, cox_selector_free);
#define _cleanup_selector_ COX_CLEANUP(cox_selector_free_p)

/* labels: a map of strings, or NULL for none. */
bool cox_selector_matches(const struct cox_selector *selector, const struct cox_node *labels);
/* The same on labels that live elsewhere: get gives the value, ptr NULL when there is none. */
bool cox_selector_matches_with(const struct cox_selector *selector,
			       struct cox_str (*get)(void *ctx, struct cox_str key), void *ctx);
/* Selects everything. */
bool cox_selector_is_empty(const struct cox_selector *selector);
/* The query string, values and keys as they were given. Appends. */
void cox_selector_write(struct cox_buf *out, const struct cox_selector *selector);

/* Whether text may be a label's key ("example.com/env") or a label's value. */
bool cox_label_key_valid(struct cox_str key);
bool cox_label_value_valid(struct cox_str value);

struct cox_field_selector;

/* Terms "path=value", "path==value", "path!=value", all of which must hold; \, \= and \\ escape in
 * values. An empty text selects everything. */
int cox_field_selector_parse(struct cox_str text, struct cox_field_selector **ret_selector,
			     struct cox_error *err);
void cox_field_selector_free(struct cox_field_selector *selector);
DEFINE_CLEANUP(struct cox_field_selector *, cox_field_selector_free);
#define _cleanup_field_selector_ COX_CLEANUP(cox_field_selector_free_p)
/* A field that is not there counts as "". */
bool cox_field_selector_matches(const struct cox_field_selector *selector,
				const struct cox_node *object);
size_t cox_field_selector_len(const struct cox_field_selector *selector);
/* Path of term i, for a server that supports only some fields. */
struct cox_str cox_field_selector_path(const struct cox_field_selector *selector, size_t i);
/* The value that the field at path must be equal to; ptr NULL when no term demands one. */
struct cox_str cox_field_selector_wanted(const struct cox_field_selector *selector,
					 const char *path);

#endif
