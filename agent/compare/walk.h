/* Inside agent/compare: a walk over two objects at once, which knows where it is.
 *
 * Where it is, is known twice: as text for people, and as steps, which can be looked up in any
 * manager's set of fields (fieldsV1). The set's keys: "f:name" a field, "k:{…}" a list item by its
 * keys, "v:…" an item by its value, "." the thing itself.
 * https://github.com/kubernetes-sigs/structured-merge-diff/blob/master/fieldpath/serialize-pe.go */
#ifndef AGENT_COMPARE_WALK_H
#define AGENT_COMPARE_WALK_H

#include "agent/compare/compare.h"
#include "common/kube/schema.h"

/* One place in up to four documents; NULL where it is absent. */
struct agent_sides {
	const struct cox_node *desired, *live;
	const struct cox_node *predicted; /* of the dry run */
	const struct cox_node *set;	  /* what our manager owns here, as fieldsV1 */
};

enum agent_step_kind { AGENT_STEP_FIELD, AGENT_STEP_ITEM, AGENT_STEP_VALUE, AGENT_STEP_INDEX };

struct agent_step {
	enum agent_step_kind kind;
	struct cox_str name;		    /* FIELD */
	const struct cox_schema_type *list; /* ITEM: its keys */
	const struct cox_node *node;	    /* ITEM: any item with the keys; VALUE */
};

#define AGENT_WALK_DEPTH_MAX 160

struct agent_walk {
	struct cox_buf path;
	struct agent_step steps[AGENT_WALK_DEPTH_MAX];
	size_t n_steps, mark[AGENT_WALK_DEPTH_MAX];
	const struct agent_compare_options *options;
	const struct cox_node *managed; /* the live object's managedFields */
	bool has_predicted, is_definition;
	/* called for what differs */
	void (*differs)(struct agent_walk *w, struct agent_sides s);
	void *arg;
};

/* Each goes one step down; agent_walk_up undoes the last. */
void agent_walk_field(struct agent_walk *w, struct cox_str key);
void agent_walk_index(struct agent_walk *w, size_t i);
void agent_walk_item(struct agent_walk *w, const struct cox_schema_type *list,
		     const struct cox_node *item);
void agent_walk_up(struct agent_walk *w);

/* The sides at the field `key` of where s is. */
struct agent_sides agent_sides_field(struct agent_sides s, struct cox_str key);

/* The part of a set at one step below; NULL: the set does not speak of it. */
const struct cox_node *agent_set_child(const struct cox_node *set, const struct agent_step *step);
/* Whether another manager than ours owns where the walk is, or something above it as a whole. */
bool agent_walk_is_shared(const struct agent_walk *w);
/* Whether a manager of managedFieldsManagers does, by whatever operation. */
bool agent_walk_is_trusted(const struct agent_walk *w);
bool agent_is_same_item(const struct cox_schema_type *list, const struct cox_node *a,
			const struct cox_node *b);
/* The item of a keyed list whose keys are those of `like`, defaults included; `hint` is where it
 * would be if the order is the same. */
const struct cox_node *agent_find_item(const struct cox_schema_type *list,
				       const struct cox_node *items, const struct cox_node *like,
				       size_t hint);

/* ---- values ---- */

/* null, or an empty map or list. */
bool agent_is_empty(const struct cox_node *node);
/* "", 0, false. */
bool agent_is_zero(const struct cox_node *node);
bool agent_equal_scalar(const struct cox_schema_type *type, const struct cox_node *a,
			const struct cox_node *b);

/* ---- rules ---- */

enum agent_rule {
	AGENT_RULE_NONE,
	AGENT_RULE_DEFAULT,   /* the server fills it in with a known value */
	AGENT_RULE_SERVER,    /* the server's alone */
	AGENT_RULE_ALLOCATED, /* zero asks the server to choose */
	AGENT_RULE_GRANULAR,  /* its parts have owners, whatever the schema says */
};
enum agent_rule agent_rule_of(const struct cox_schema_type *type, struct cox_str field,
			      const char **ret_value);
/* Whether the order of this list counts for nothing though it is atomic: the server sorts it. */
bool agent_is_unordered(const struct cox_schema_type *item);
/* Whether the order of a list with keys is part of what is asked for. */
bool agent_is_sequence(const struct cox_schema_type *list, struct cox_str field);
/* The object as the server fills it in, where a part of it decides about another part of the same
 * atomic value; NULL: as it is. One reference. */
struct cox_doc *agent_fill(const struct cox_schema_type *type, const struct cox_node *desired);
/* Whether a field of a custom resource can only be a map of strings. */
bool agent_is_map_name(struct cox_str field);
/* Whether a field of a definition's schema is left out when it is zero. */
bool agent_is_omitted_in_schema(struct cox_str field);

/* ---- ignore.c ---- */

/* The items of a list of n that a step of a path means: an index or a slice. false: none. */
bool agent_step_range(const struct cox_node *step, size_t n, size_t *ret_begin, size_t *ret_end);
/* Those that exist in the object, as lists of keys and indexes; one reference. */
struct cox_doc *agent_pointers_as_paths(const struct cox_node *object, const cox_strings *pointers);

/* ---- difference.c ---- */

/* fn is called for what differs, with ignored fields cut out. */
void agent_compare_walk(struct cox_doc *desired, struct cox_doc *live,
			const struct agent_compare_options *options,
			void (*fn)(struct agent_walk *w, struct agent_sides s), void *arg);

/* ---- compare.c ---- */

const struct cox_schema_type *agent_type_of(const struct cox_node *object);
bool agent_is_server_metadata(struct cox_str key);
/* The fieldsV1 of a manager's apply; NULL: it never applied. */
const struct cox_node *agent_applied_set(const struct cox_node *managed, const char *manager);
/* Calls w->differs, with the path in w->path, for whatever differs. */
void agent_walk_objects(struct agent_walk *w, const struct cox_node *desired,
			const struct cox_node *live, const struct cox_node *predicted);

#endif
