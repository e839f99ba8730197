/* What the views of all kinds read their fields with. Private to the room. */
#ifndef COX_HUB_MODEL_VIEW_H
#define COX_HUB_MODEL_VIEW_H

#include "hub/model/kind.h"

#include <stdint.h>

/* Is it of that kind, and valid? */
int hub_view_check(const struct cox_doc *doc, enum hub_kind kind, struct cox_error *err);
/* "" when absent. */
const char *hub_view_text(const struct cox_node *map, const char *key);
/* The node if it is of that kind, else NULL. */
const struct cox_node *hub_view_map(const struct cox_node *node);
const struct cox_node *hub_view_list(const struct cox_node *node);
/* Milliseconds; otherwise_ms when absent, empty or no duration. */
int64_t hub_view_duration(const struct cox_node *map, const char *key, int64_t otherwise_ms);
/* The value of a Secret's key, the caller's, never NULL. A key in stringData wins over one in data. */
char *hub_view_secret(const struct cox_node *root, const char *key);
bool hub_view_is_deleting(const struct cox_node *root);

#endif
