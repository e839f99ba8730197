/* The rules between fields, by kind, and what they share with the walk over the tables. Private to
 * the room. */
#ifndef COX_HUB_MODEL_RULES_H
#define COX_HUB_MODEL_RULES_H

#include "hub/model/kind.h"
#include "hub/model/problem.h"

struct hub_field;

struct hub_check {
	const struct cox_doc *doc;
	struct hub_problems *out;
	struct cox_buf path; /* of the field that is looked at */
	bool in_template;
};

/* Both give what hub_path_pop wants. */
size_t hub_path_push(struct hub_check *c, struct cox_str key);
size_t hub_path_push_index(struct hub_check *c, size_t i);
void hub_path_pop(struct hub_check *c, size_t mark);
/* At node, with the path before the message. */
void hub_check_error(struct hub_check *c, const struct cox_node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void hub_check_warning(struct hub_check *c, const struct cox_node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* An error at the field, or at what should have it; the path gets the field's name. */
void hub_check_bad(struct hub_check *c, const struct cox_node *map, const char *key,
		   const char *format, ...) __attribute__((format(printf, 4, 5)));
void hub_check_fields(struct hub_check *c, const struct cox_node *map,
		      const struct hub_field *fields);

/* gates.c */
void hub_check_gate(struct hub_check *c, const struct cox_node *gate, bool before);
void hub_check_at_least(struct hub_check *c, const struct cox_node *map, const char *key,
			int64_t min);

/* settings.c */
void hub_check_settings(struct hub_check *c, const struct cox_node *root);
void hub_check_rules(struct hub_check *c, enum hub_kind kind, const struct cox_node *root);

#endif
