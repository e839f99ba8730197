/* How a targetRevision is looked up; see hub_source_resolve. */
#ifndef HUB_SOURCE_RESOLVE_H
#define HUB_SOURCE_RESOLVE_H

#include "hub/source/source.h"

/* The part of hub_source_resolve that looks at names only: the tag (full, with its prefix, borrowed
 * from tags) of the highest version that the constraint takes, NULL when none does. Pure. */
const char *hub_choose_tag(struct cox_str constraint, const char *tag_prefix,
			   const char *const *tags, size_t n_tags);

#endif
