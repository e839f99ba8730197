/* Label selectors as documents have them: {matchLabels: {…}, matchExpressions: [{key, operator,
 * values}]}; a list of expressions alone (ApplicationSet steps) as well. In, NotIn, Exists,
 * DoesNotExist. NotIn holds for a missing label. An empty selector matches everything, an absent
 * one (NULL) nothing. Unlike common/kube/selector.h nothing is compiled or judged: keys and values
 * may be any text, as an ApplicationSet's selectors on parameters have them. Pure. */
#ifndef COX_HUB_MODEL_SELECTOR_H
#define COX_HUB_MODEL_SELECTOR_H

#include "common/doc/doc.h"

#include <stdbool.h>

/* The value of a key, NULL when it has none; ctx is the caller's. */
typedef const char *(*hub_label_lookup)(void *ctx, struct cox_str key);

bool hub_selector_matches(const struct cox_node *selector, const struct cox_node *labels);
bool hub_selector_matches_with(const struct cox_node *selector, hub_label_lookup lookup, void *ctx);
/* A list of expressions, ANDed; an empty or absent list matches everything. */
bool hub_expressions_match(const struct cox_node *expressions, const struct cox_node *labels);

#endif
