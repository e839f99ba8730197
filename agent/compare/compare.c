/* The walk: what is asked for against what is there. */
#include "agent/compare/walk.h"

#include "common/doc/json.h"
#include "common/kube/meta.h"

/* What only the server writes, or what names the object itself. */
static const char *const server_metadata[] = {
	"name",
	"namespace",
	"uid",
	"resourceVersion",
	"generation",
	"creationTimestamp",
	"managedFields",
	"selfLink",
	"deletionTimestamp",
	"deletionGracePeriodSeconds",
	"generateName",
};

bool agent_is_server_metadata(struct cox_str key)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(server_metadata); i++)
		if (cox_str_is(key, server_metadata[i]))
			return true;
	return false;
}

const struct cox_schema_type *agent_type_of(const struct cox_node *object)
{
	_cleanup_free_ char *group = cox_str_dup(cox_meta_group(object));
	_cleanup_free_ char *version = cox_str_dup(cox_meta_version(object));
	_cleanup_free_ char *kind = cox_str_dup(cox_meta_kind(object));
	const struct cox_schema_type *type = cox_schema_find(group, version, kind);

	return type ? type : cox_schema_any();
}

/* A difference, unless the dry run says that applying changes nothing here, or a manager that is
 * trusted has decided it. */
static void differs(struct agent_walk *w, struct agent_sides s)
{
	if (w->has_predicted && (s.predicted ? cox_node_equal(s.predicted, s.live) : !s.live))
		return;
	if (!agent_walk_is_trusted(w))
		w->differs(w, s);
}

/* ---- absent ---- */

/* Whether the server keeps no trace of a field with this value: then absent is what it looks
 * like. An empty map that is a pointer in the API ("emptyDir: {}") says something and is kept. */
static bool leaves_no_trace(const struct agent_walk *w, const struct cox_schema_type *parent,
			    struct cox_str key, const struct cox_node *node)
{
	const struct cox_schema_field *field = cox_schema_field(parent, key);
	const struct cox_schema_type *type = cox_schema_child(parent, key);

	if (cox_node_is(node, COX_NULL) || !node)
		return true;
	if (cox_node_is(node, COX_LIST))
		return cox_node_len(node) == 0;
	if (!cox_node_is(node, COX_MAP))
		return agent_is_zero(node) &&
		       (parent->kind == COX_SCHEMA_STRUCT ||
			(w->is_definition && agent_is_omitted_in_schema(key)));
	if (type->kind != COX_SCHEMA_MAP && !(field && field->always) &&
	    !(type->kind == COX_SCHEMA_ANY && agent_is_map_name(key)))
		return false;
	for (size_t i = 0; i < cox_node_len(node); i++)
		if (!leaves_no_trace(w, type, cox_node_key(node, i), cox_node_at(node, i)))
			return false;
	return true;
}

/* ---- present on both sides ---- */

static void walk_node(struct agent_walk *w, const struct cox_schema_type *type,
		      struct agent_sides s, bool strict);
static void walk_dropped(struct agent_walk *w, const struct cox_schema_type *type,
			 struct agent_sides s);

/* Null asks for nothing to be there. While our apply owns the field, what is there is what the
 * server made of that. */
static void walk_null(struct agent_walk *w, const struct cox_schema_type *type,
		      struct agent_sides s)
{
	bool is_whole = type->kind != COX_SCHEMA_STRUCT && type->kind != COX_SCHEMA_MAP &&
			!cox_schema_is_associative(type);

	if (s.set || agent_is_empty(s.live) || agent_is_zero(s.live) || !(is_whole || type->atomic))
		return;
	differs(w, s);
}

/* The type of a field, and what people write in custom resources the way core types have it. */
static const struct cox_schema_type *type_of_field(const struct agent_walk *w,
						   const struct cox_schema_type *parent,
						   struct cox_str key, const struct cox_node *value)
{
	if (w->n_steps == 0 && cox_str_is(key, "metadata"))
		return cox_schema_named("meta.v1.ObjectMeta");
	if (parent->kind == COX_SCHEMA_ANY && cox_str_is(key, "resources") &&
	    (cox_node_get(value, "limits") || cox_node_get(value, "requests")))
		return cox_schema_named("core.v1.ResourceRequirements");
	return cox_schema_child(parent, key);
}

/* Names the object, or is none of our business. */
static bool is_skipped(const struct agent_walk *w, const struct agent_sides *object,
		       struct cox_str key)
{
	if (w->n_steps == 1)
		return cox_str_is(w->steps[0].name, "metadata") && agent_is_server_metadata(key);
	if (w->n_steps > 1)
		return false;
	/* rules of an aggregated ClusterRole are the controller's to write */
	return cox_str_is(key, "apiVersion") || cox_str_is(key, "kind") ||
	       cox_str_is(key, "status") ||
	       (cox_str_is(key, "rules") &&
		cox_str_is(cox_meta_kind(object->desired), "ClusterRole") &&
		cox_node_is(cox_node_get(object->desired, "aggregationRule"), COX_MAP));
}

static void walk_field(struct agent_walk *w, const struct cox_schema_type *parent,
		       struct cox_str key, struct agent_sides s, bool strict)
{
	const char *value;
	enum agent_rule rule = agent_rule_of(parent, key, &value);
	const struct cox_schema_type *type = type_of_field(w, parent, key, s.desired);

	if (rule == AGENT_RULE_SERVER)
		return;
	agent_walk_field(w, key);
	if (!s.live || cox_node_is(s.live, COX_NULL)) {
		if (!leaves_no_trace(w, parent, key, s.desired))
			differs(w, s);
	} else if (cox_node_is(s.desired, COX_NULL)) {
		walk_null(w, type, s);
	} else if (rule != AGENT_RULE_ALLOCATED || !agent_is_zero(s.desired)) {
		if (rule == AGENT_RULE_GRANULAR) {
			static const struct cox_schema_type any = {.kind = COX_SCHEMA_ANY};

			type = &any;
		}
		walk_node(w, type, s, strict);
	}
	agent_walk_up(w);
}

/* What the live map has beyond the desired one, where the map is one value. */
static void walk_extras(struct agent_walk *w, const struct cox_schema_type *type,
			struct agent_sides s)
{
	for (size_t i = 0; i < cox_node_len(s.live); i++) {
		struct cox_str key = cox_node_key(s.live, i);
		const struct cox_node *have = cox_node_at(s.live, i);
		const char *value = NULL;
		enum agent_rule rule = agent_rule_of(type, key, &value);

		if (cox_node_get_str(s.desired, key) || rule == AGENT_RULE_SERVER ||
		    leaves_no_trace(w, type, key, have) ||
		    (rule == AGENT_RULE_DEFAULT && cox_str_is(cox_node_text(have), value)))
			continue;
		if (cox_schema_named("meta.v1.ObjectMeta") == type && agent_is_server_metadata(key))
			continue;
		agent_walk_field(w, key);
		differs(w, agent_sides_field(s, key));
		agent_walk_up(w);
	}
}

static void walk_map(struct agent_walk *w, const struct cox_schema_type *type, struct agent_sides s,
		     bool strict)
{
	/* one that our set has no parts of is one value, whoever has not told us the schema */
	strict |= type->atomic || (type->kind == COX_SCHEMA_ANY && s.set && !cox_node_len(s.set) &&
				   cox_node_len(s.desired) > 0);
	_cleanup_doc_ struct cox_doc *desired = strict ? agent_fill(type, s.desired) : NULL;
	_cleanup_doc_ struct cox_doc *live = desired ? agent_fill(type, s.live) : NULL;

	if (desired)
		s.desired = cox_doc_root(desired);
	if (live)
		s.live = cox_doc_root(live);
	if (strict)
		s.set = NULL;
	for (size_t i = 0; i < cox_node_len(s.desired); i++) {
		struct cox_str key = cox_node_key(s.desired, i);

		if (!is_skipped(w, &s, key))
			walk_field(w, type, key, agent_sides_field(s, key), strict);
	}
	if (strict)
		walk_extras(w, type, s);
	else
		walk_dropped(w, type, s);
}

/* ---- lists ---- */

static size_t position_of(const struct cox_node *list, const struct cox_node *item)
{
	size_t i = 0;

	while (i < cox_node_len(list) && cox_node_at(list, i) != item)
		i++;
	return i;
}

static void walk_keyed_list(struct agent_walk *w, const struct cox_schema_type *type,
			    struct agent_sides s)
{
	bool sequence = w->n_steps > 0 && agent_is_sequence(type, w->steps[w->n_steps - 1].name);
	bool in_order = true;
	size_t last = 0;

	for (size_t i = 0; i < cox_node_len(s.desired); i++) {
		const struct cox_node *want = cox_node_at(s.desired, i);
		struct agent_sides item = {
			.desired = want,
			.live = agent_find_item(type, s.live, want, i),
			.predicted = agent_find_item(type, s.predicted, want, i),
		};

		agent_walk_item(w, type, want);
		if (s.set)
			item.set = agent_set_child(s.set, &w->steps[w->n_steps - 1]);
		if (item.live)
			walk_node(w, type->item, item, false);
		else
			differs(w, item);
		agent_walk_up(w);
		if (sequence && item.live) {
			size_t at = position_of(s.live, item.live);

			in_order &= at >= last;
			last = at;
		}
	}
	if (!in_order)
		differs(w, s);
	walk_dropped(w, type, s);
}

static bool has_value(const struct cox_schema_type *item, const struct cox_node *list,
		      const struct cox_node *value)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (agent_equal_scalar(item, value, cox_node_at(list, i)))
			return true;
	return false;
}

static void walk_set_list(struct agent_walk *w, const struct cox_schema_type *type,
			  struct agent_sides s)
{
	for (size_t i = 0; i < cox_node_len(s.desired); i++)
		if (!has_value(type->item, s.live, cox_node_at(s.desired, i))) {
			differs(w, s);
			return;
		}
	walk_dropped(w, type, s);
}

/* A walk that only counts. */
static void count(struct agent_walk *w, struct agent_sides s)
{
	(void)s;
	++*(size_t *)w->arg;
}

static bool is_same(const struct agent_walk *w, const struct cox_schema_type *type,
		    const struct cox_node *want, const struct cox_node *have)
{
	size_t n = 0;
	struct agent_walk *probe = cox_new(struct agent_walk);

	probe->options = w->options;
	probe->differs = count;
	probe->arg = &n;
	agent_walk_index(probe, 0);
	agent_walk_index(probe, 0);
	walk_node(probe, type, (struct agent_sides){.desired = want, .live = have}, true);
	cox_buf_fini(&probe->path);
	free(probe);
	return n == 0;
}

/* Lists that the server sorts: each item has its match somewhere. */
static void walk_unordered(struct agent_walk *w, const struct cox_schema_type *item,
			   struct agent_sides s)
{
	size_t n = cox_node_len(s.live);
	_cleanup_free_ bool *taken = cox_calloc(n + 1, sizeof(*taken));

	for (size_t i = 0; i < cox_node_len(s.desired); i++) {
		size_t k = 0;

		while (k < n && (taken[k] || !is_same(w, item, cox_node_at(s.desired, i),
						      cox_node_at(s.live, k))))
			k++;
		if (k == n) {
			differs(w, s);
			return;
		}
		taken[k] = true;
	}
}

/* One value: item by item, nothing more and nothing less. */
static void walk_whole_list(struct agent_walk *w, const struct cox_schema_type *type,
			    struct agent_sides s)
{
	const struct cox_schema_type *item =
		type->kind == COX_SCHEMA_LIST ? type->item : cox_schema_any();

	if (cox_node_len(s.desired) != cox_node_len(s.live)) {
		differs(w, s);
		return;
	}
	if (agent_is_unordered(item)) {
		walk_unordered(w, item, s);
		return;
	}
	for (size_t i = 0; i < cox_node_len(s.desired); i++) {
		struct agent_sides child = {
			.desired = cox_node_at(s.desired, i),
			.live = cox_node_at(s.live, i),
			.predicted = cox_node_is(s.predicted, COX_LIST)
					     ? cox_node_at(s.predicted, i)
					     : NULL,
		};

		agent_walk_index(w, i);
		walk_node(w, item, child, true);
		agent_walk_up(w);
	}
}

#define KEYS_MAX 8

/* A list of a kind that we have no schema of: our own set tells how the server sees it. */
static bool guess_list(const struct cox_node *set, const char *keys[KEYS_MAX],
		       struct cox_doc **ret_doc, struct cox_schema_type *ret_type)
{
	static const struct cox_schema_type any = {.kind = COX_SCHEMA_ANY};
	struct cox_str key = cox_node_len(set) ? cox_node_key(set, 0) : COX_STR("");

	for (size_t i = 1; i < cox_node_len(set) && cox_str_is(key, "."); i++)
		key = cox_node_key(set, i);
	*ret_type = (struct cox_schema_type){.kind = COX_SCHEMA_LIST, .item = &any};
	if (cox_str_starts(key, "v:")) {
		ret_type->list = COX_SCHEMA_LIST_SET;
		return true;
	}
	if (!cox_str_starts(key, "k:") ||
	    cox_json_read(cox_str_n(key.ptr + 2, key.len - 2), "key", ret_doc, NULL) < 0)
		return false;
	const struct cox_node *like = cox_doc_root(*ret_doc);

	if (!cox_node_is(like, COX_MAP) || !cox_node_len(like) || cox_node_len(like) > KEYS_MAX)
		return false;
	for (size_t i = 0; i < cox_node_len(like); i++)
		keys[i] = cox_node_key(like, i).ptr;
	ret_type->list = COX_SCHEMA_LIST_MAP;
	ret_type->keys = keys;
	ret_type->n_keys = cox_node_len(like);
	return true;
}

static void walk_list(struct agent_walk *w, const struct cox_schema_type *type,
		      struct agent_sides s, bool strict)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const char *keys[KEYS_MAX];
	struct cox_schema_type guessed;

	if (!strict && type->kind == COX_SCHEMA_ANY && guess_list(s.set, keys, &doc, &guessed))
		type = &guessed;
	if (strict || !cox_schema_is_associative(type))
		walk_whole_list(w, type, s);
	else if (type->list == COX_SCHEMA_LIST_SET)
		walk_set_list(w, type, s);
	else
		walk_keyed_list(w, type, s);
}

static void walk_node(struct agent_walk *w, const struct cox_schema_type *type,
		      struct agent_sides s, bool strict)
{
	if (cox_node_is(s.desired, COX_MAP) && cox_node_is(s.live, COX_MAP))
		walk_map(w, type, s, strict);
	else if (cox_node_is(s.desired, COX_LIST) && cox_node_is(s.live, COX_LIST))
		walk_list(w, type, s, strict);
	else if (agent_is_empty(s.desired) && agent_is_empty(s.live))
		return;
	else if (!agent_equal_scalar(type, s.desired, s.live))
		differs(w, s);
}

/* ---- what we applied once and ask for no more ---- */

static void drop_field(struct agent_walk *w, const struct cox_schema_type *type,
		       struct cox_str name, struct agent_sides s)
{
	if (s.desired || agent_is_empty(s.live) || is_skipped(w, &s, name))
		return;
	const struct cox_schema_type *child = type_of_field(w, type, name, s.live);

	agent_walk_field(w, name);
	/* a part of it may be another one's: only ours goes */
	if (cox_node_len(s.set) > 0 && !child->atomic)
		walk_dropped(w, child, s);
	else if (!agent_walk_is_shared(w))
		differs(w, s);
	agent_walk_up(w);
}

static void drop_item(struct agent_walk *w, const struct cox_schema_type *type,
		      const struct cox_node *like, struct agent_sides s, const struct cox_node *set)
{
	struct agent_sides item = {
		.desired = agent_find_item(type, s.desired, like, 0),
		.live = agent_find_item(type, s.live, like, 0),
		.predicted = agent_find_item(type, s.predicted, like, 0),
		.set = set,
	};

	if (item.desired || !item.live)
		return;
	agent_walk_item(w, type, like);
	if (agent_walk_is_shared(w))
		walk_dropped(w, type->item, item);
	else
		differs(w, item);
	agent_walk_up(w);
}

static void drop_value(struct agent_walk *w, const struct cox_node *value, struct agent_sides s)
{
	const struct cox_schema_type *any = cox_schema_any();

	if (!has_value(any, s.live, value) || has_value(any, s.desired, value))
		return;
	if (w->n_steps >= AGENT_WALK_DEPTH_MAX)
		return;
	/* for the look into the sets of others only: people read the list's own path */
	size_t mark = w->path.len;

	w->mark[w->n_steps] = mark;
	w->steps[w->n_steps++] = (struct agent_step){.kind = AGENT_STEP_VALUE, .node = value};
	bool shared = agent_walk_is_shared(w);

	agent_walk_up(w);
	if (!shared)
		differs(w, s);
}

static void walk_dropped(struct agent_walk *w, const struct cox_schema_type *type,
			 struct agent_sides s)
{
	_cleanup_doc_ struct cox_doc *guess = NULL;
	const char *keys[KEYS_MAX];
	struct cox_schema_type guessed;

	if (type->kind == COX_SCHEMA_ANY && guess_list(s.set, keys, &guess, &guessed))
		type = &guessed;
	for (size_t i = 0; i < cox_node_len(s.set); i++) {
		struct cox_str key = cox_node_key(s.set, i);
		_cleanup_doc_ struct cox_doc *doc = NULL;

		if (key.len < 2 || key.ptr[1] != ':')
			continue;
		struct cox_str rest = cox_str_n(key.ptr + 2, key.len - 2);

		if (key.ptr[0] == 'f') {
			drop_field(w, type, rest, agent_sides_field(s, rest));
			continue;
		}
		if (cox_json_read(rest, "key", &doc, NULL) < 0)
			continue;
		if (key.ptr[0] == 'v')
			drop_value(w, cox_doc_root(doc), s);
		else if (key.ptr[0] == 'k' && cox_schema_is_associative(type) && type->n_keys)
			drop_item(w, type, cox_doc_root(doc), s, cox_node_at(s.set, i));
	}
}

/* ---- whole objects ---- */

void agent_walk_objects(struct agent_walk *w, const struct cox_node *desired,
			const struct cox_node *live, const struct cox_node *predicted)
{
	w->managed = cox_meta_managed_fields(live);
	w->has_predicted = predicted != NULL;
	w->is_definition = cox_str_is(cox_meta_kind(desired), "CustomResourceDefinition");
	walk_map(w, agent_type_of(desired),
		 (struct agent_sides){
			 .desired = desired,
			 .live = live,
			 .predicted = predicted,
			 .set = agent_applied_set(w->managed, w->options->manager),
		 },
		 false);
}
