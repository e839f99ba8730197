/* Where a walk is, as text and as steps; sets of fields. */
#include "agent/compare/walk.h"

#include "common/doc/json.h"

/* ---- the path as text ---- */

static bool is_plain_key(struct cox_str key)
{
	for (size_t i = 0; i < key.len; i++)
		if (strchr(".[]\"/", key.ptr[i]) || (unsigned char)key.ptr[i] < 0x20)
			return false;
	return key.len > 0;
}

static void down(struct agent_walk *w, struct agent_step step)
{
	COX_ASSERT(w->n_steps < AGENT_WALK_DEPTH_MAX);
	w->mark[w->n_steps] = w->path.len;
	w->steps[w->n_steps++] = step;
}

void agent_walk_field(struct agent_walk *w, struct cox_str key)
{
	down(w, (struct agent_step){.kind = AGENT_STEP_FIELD, .name = key});
	if (is_plain_key(key)) {
		if (w->path.len)
			cox_buf_putc(&w->path, '.');
		cox_buf_puts_str(&w->path, key);
		return;
	}
	cox_buf_puts(&w->path, "[\"");
	for (size_t i = 0; i < key.len; i++)
		cox_buf_putc(&w->path, (unsigned char)key.ptr[i] < 0x20 ? '?' : key.ptr[i]);
	cox_buf_puts(&w->path, "\"]");
}

void agent_walk_index(struct agent_walk *w, size_t i)
{
	down(w, (struct agent_step){.kind = AGENT_STEP_INDEX});
	cox_buf_printf(&w->path, "[%zu]", i);
}

/* "[name=web]", by the keys of the item that are there. */
void agent_walk_item(struct agent_walk *w, const struct cox_schema_type *list,
		     const struct cox_node *item)
{
	bool first = true;

	down(w, (struct agent_step){.kind = AGENT_STEP_ITEM, .list = list, .node = item});
	cox_buf_putc(&w->path, '[');
	for (size_t i = 0; i < list->n_keys; i++) {
		const struct cox_node *value = cox_node_get(item, list->keys[i]);

		if (!value)
			continue;
		cox_buf_printf(&w->path, "%s%s=%.*s", first ? "" : ",", list->keys[i],
			       COX_STR_ARG(cox_node_text(value)));
		first = false;
	}
	cox_buf_putc(&w->path, ']');
}

void agent_walk_up(struct agent_walk *w)
{
	w->path.len = w->mark[--w->n_steps];
	if (w->path.ptr)
		w->path.ptr[w->path.len] = '\0';
}

/* ---- sets ---- */

static const struct cox_node *set_field(const struct cox_node *set, struct cox_str name)
{
	for (size_t i = 0; i < cox_node_len(set); i++) {
		struct cox_str key = cox_node_key(set, i);

		if (key.len == name.len + 2 && key.ptr[0] == 'f' && key.ptr[1] == ':' &&
		    memcmp(key.ptr + 2, name.ptr, name.len) == 0)
			return cox_node_at(set, i);
	}
	return NULL;
}

/* The value of a key field of a list item, or its default; both may be absent. */
static bool same_key(const struct cox_schema_type *list, const char *key, const struct cox_node *a,
		     const struct cox_node *b)
{
	const struct cox_schema_field *field = cox_schema_field(list->item, cox_str(key));
	const struct cox_node *x = cox_node_get(a, key), *y = cox_node_get(b, key);
	struct cox_str def = cox_str(field && field->def ? field->def : "");
	struct cox_str s = x ? cox_node_text(x) : def, t = y ? cox_node_text(y) : def;

	return cox_str_eq(s, t);
}

bool agent_is_same_item(const struct cox_schema_type *list, const struct cox_node *a,
			const struct cox_node *b)
{
	for (size_t k = 0; k < list->n_keys; k++)
		if (!same_key(list, list->keys[k], a, b))
			return false;
	return true;
}

const struct cox_node *agent_find_item(const struct cox_schema_type *list,
				       const struct cox_node *items, const struct cox_node *like,
				       size_t hint)
{
	if (!cox_node_is(items, COX_LIST))
		return NULL;
	if (hint < cox_node_len(items) && agent_is_same_item(list, cox_node_at(items, hint), like))
		return cox_node_at(items, hint);
	for (size_t i = 0; i < cox_node_len(items); i++)
		if (agent_is_same_item(list, cox_node_at(items, i), like))
			return cox_node_at(items, i);
	return NULL;
}

static bool matches_step(struct cox_str key, const struct agent_step *step)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	char wanted = step->kind == AGENT_STEP_ITEM ? 'k' : 'v';

	if (key.len < 3 || key.ptr[0] != wanted || key.ptr[1] != ':' ||
	    cox_json_read(cox_str_n(key.ptr + 2, key.len - 2), "key", &doc, NULL) < 0)
		return false;
	return step->kind == AGENT_STEP_ITEM
		       ? agent_is_same_item(step->list, cox_doc_root(doc), step->node)
		       : cox_node_equal(cox_doc_root(doc), step->node);
}

const struct cox_node *agent_set_child(const struct cox_node *set, const struct agent_step *step)
{
	if (step->kind == AGENT_STEP_FIELD)
		return set_field(set, step->name);
	if (step->kind == AGENT_STEP_INDEX)
		return NULL;
	for (size_t i = 0; i < cox_node_len(set); i++)
		if (matches_step(cox_node_key(set, i), step))
			return cox_node_at(set, i);
	return NULL;
}

/* The steps lead to a member of the set, or to something below a member that has no parts. */
static bool set_covers(const struct cox_node *set, const struct agent_walk *w)
{
	for (size_t i = 0; i < w->n_steps; i++) {
		set = agent_set_child(set, &w->steps[i]);
		if (!set)
			return false;
		if (cox_node_len(set) == 0)
			return true;
	}
	return true;
}

bool agent_walk_is_trusted(const struct agent_walk *w)
{
	const struct agent_ignore *ignore = w->options->ignore;

	for (size_t i = 0; ignore && ignore->managers.n && i < cox_node_len(w->managed); i++) {
		const struct cox_node *entry = cox_node_at(w->managed, i);
		struct cox_str name = cox_node_str(cox_node_get(entry, "manager"));

		for (size_t k = 0; k < ignore->managers.n; k++)
			if (cox_str_is(name, ignore->managers.items[k]) &&
			    set_covers(cox_node_get(entry, "fieldsV1"), w))
				return true;
	}
	return false;
}

static bool is_ours(const struct cox_node *entry, const char *manager)
{
	return cox_str_is(cox_node_str(cox_node_get(entry, "manager")), manager) &&
	       cox_str_is(cox_node_str(cox_node_get(entry, "operation")), "Apply") &&
	       cox_node_str(cox_node_get(entry, "subresource")).len == 0;
}

bool agent_walk_is_shared(const struct agent_walk *w)
{
	for (size_t i = 0; i < cox_node_len(w->managed); i++) {
		const struct cox_node *entry = cox_node_at(w->managed, i);

		if (!is_ours(entry, w->options->manager) &&
		    set_covers(cox_node_get(entry, "fieldsV1"), w))
			return true;
	}
	return false;
}

const struct cox_node *agent_applied_set(const struct cox_node *managed, const char *manager)
{
	for (size_t i = 0; i < cox_node_len(managed); i++)
		if (is_ours(cox_node_at(managed, i), manager))
			return cox_node_get(cox_node_at(managed, i), "fieldsV1");
	return NULL;
}

struct agent_sides agent_sides_field(struct agent_sides s, struct cox_str key)
{
	return (struct agent_sides){
		.desired = cox_node_get_str(s.desired, key),
		.live = cox_node_get_str(s.live, key),
		.predicted = cox_node_get_str(s.predicted, key),
		.set = set_field(s.set, key),
	};
}
