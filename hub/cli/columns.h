/* Which columns a kind's table has. */
#ifndef COX_HUB_CLI_COLUMNS_H
#define COX_HUB_CLI_COLUMNS_H

#include "hub/cli/output.h"
#include "hub/model/kind.h"

/* Prints the objects of a list, or the one object, in the format. */
int cli_print_objects(enum hub_kind kind, enum cli_format format, const struct cox_node *answer,
		      struct cox_error *err);

/* The cluster's name, or its server where it has none. Borrowed. */
const char *cli_destination(const struct cox_node *application);
/* "auto, prune, self-heal" */
void cli_policy_text(struct cox_buf *out, const struct cox_node *application);
/* The first condition, "Type: message", or "". */
void cli_condition_text(struct cox_buf *out, const struct cox_node *object);

#endif
