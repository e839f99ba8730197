/* Inside agent/compare: a walk over two objects at once, which knows where it is. */
#ifndef AGENT_COMPARE_WALK_H
#define AGENT_COMPARE_WALK_H

#include "agent/compare/compare.h"
#include "common/kube/schema.h"

struct agent_walk {
	struct cox_buf path;
	struct agent_difference *out;
};

/* Each goes one step down and gives what agent_walk_back takes. */
size_t agent_walk_key(struct agent_walk *w, struct cox_str key);
size_t agent_walk_index(struct agent_walk *w, size_t i);
size_t agent_walk_item(struct agent_walk *w, const struct cox_schema_type *type,
		       const struct cox_node *item);
void agent_walk_back(struct agent_walk *w, size_t mark);
/* The field at the path differs. */
void agent_walk_differs(struct agent_walk *w);

bool agent_walk_is_empty(const struct cox_node *node);
bool agent_walk_is_server_metadata(struct cox_str key);
const struct cox_schema_type *agent_walk_type(const struct cox_node *object);
/* The item of a keyed list whose keys are those of `like`, defaults included. */
const struct cox_node *agent_walk_find_item(const struct cox_schema_type *type,
					    const struct cox_node *list,
					    const struct cox_node *like);

/* Fields that the manager owns by apply, that are live, and that desired has no more. */
void agent_walk_owned(struct agent_walk *w, const char *manager, const struct cox_node *desired,
		      const struct cox_node *live);

#endif
