/* An intrusive, circular, doubly linked list. A node that is in no list points at itself, so that
 * removing twice is harmless. Threads: whatever the owner's are. */
#ifndef COX_BASE_LIST_H
#define COX_BASE_LIST_H

#include "common/base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct cox_list {
	struct cox_list *next, *prev;
};

static inline void cox_list_init(struct cox_list *l)
{
	l->next = l->prev = l;
}

static inline bool cox_list_is_empty(const struct cox_list *l)
{
	return l->next == l;
}

/* Puts node at the end of the list. */
static inline void cox_list_append(struct cox_list *list, struct cox_list *node)
{
	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;
}

static inline void cox_list_prepend(struct cox_list *list, struct cox_list *node)
{
	cox_list_append(list->next, node);
}

static inline void cox_list_remove(struct cox_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	cox_list_init(node);
}

#define COX_LIST_ENTRY(node, type, member) COX_CONTAINER_OF(node, type, member)
/* The first entry, or NULL. */
#define COX_LIST_FIRST(list, type, member)                                                         \
	(cox_list_is_empty(list) ? NULL : COX_LIST_ENTRY((list)->next, type, member))
/* n is a struct cox_list * to each node; the current one may be removed. */
#define COX_LIST_EACH(list, n)                                                                     \
	for (struct cox_list *n = (list)->next, *n##_next = n->next; n != (list);                  \
	     n = n##_next, n##_next = n->next)

#endif
