/* The template engine that ApplicationSets use unless goTemplate is set: `{{key}}` in any string or
 * map key becomes the parameter of that name; white space around the key does not count; a key that
 * no parameter has stays as it was written. Not recursive. Pure. */
#ifndef COX_HUB_GENERATE_FASTTEMPLATE_H
#define COX_HUB_GENERATE_FASTTEMPLATE_H

#include "common/base/buf.h"
#include "common/base/map.h"
#include "common/doc/doc.h"

/* Parameters: key -> char *. */
void hub_fasttemplate(struct cox_buf *out, struct cox_str text, const struct cox_map *params);
/* A rendered copy of node, made in doc. Two keys that become one: COX_INVALID_ARGUMENT. */
int hub_fasttemplate_node(struct cox_doc *doc, const struct cox_doc *origin,
			  const struct cox_node *node, const struct cox_map *params,
			  const struct cox_node **ret_node, struct cox_error *err);

#endif
