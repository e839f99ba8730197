#include "tests/kubesim/typed.h"

#include "common/base/map.h"

/* How a value of this type is walked. */
enum shape { LEAF, FIELDS, ITEMS };

static enum shape shape_of(const struct cox_schema_type *type, const struct cox_node *value)
{
	switch (type->kind) {
	case COX_SCHEMA_STRUCT:
	case COX_SCHEMA_MAP:
		return type->atomic || (value && !cox_node_is(value, COX_MAP) &&
					!cox_node_is(value, COX_NULL))
			       ? LEAF
			       : FIELDS;
	case COX_SCHEMA_LIST:
		return type->list == COX_SCHEMA_LIST_ATOMIC ||
				       (value && !cox_node_is(value, COX_LIST) &&
					!cox_node_is(value, COX_NULL))
			       ? LEAF
			       : ITEMS;
	case COX_SCHEMA_ANY:
		return cox_node_is(value, COX_MAP) ? FIELDS : LEAF;
	default:
		return LEAF;
	}
}

static void path_push(struct ks_path *path, struct cox_str step)
{
	COX_ASSERT(path->n < KS_PATH_MAX);
	path->steps[path->n++] = step;
}

/* The items of a keyed list by their steps, in order. */
struct items {
	struct cox_map map; /* step -> item */
};

static int items_read(struct cox_arena *arena, struct items *s, const struct cox_schema_type *type,
		      const struct cox_node *list, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		struct cox_str step;
		int r = ks_step_of_item(arena, type, cox_node_at(list, i), &step, err);
		if (r < 0)
			return r;
		if (cox_map_set_str(&s->map, step, (void *)cox_node_at(list, i))) {
			_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
			struct ks_path path = {.steps = {step}, .n = 1};
			ks_path_write(&text, &path);
			return cox_error(err, COX_INVALID_ARGUMENT, "duplicate entries for key %s",
					 cox_buf_cstr(&text));
		}
	}
	return 0;
}

static void items_fini(struct items *s)
{
	cox_map_fini(&s->map);
}
#define _cleanup_items_ COX_CLEANUP(items_fini)

static struct cox_str entry_key(const struct cox_map_entry *e)
{
	return cox_str_n(e->key, e->key_len);
}

/* ---- check ---- */

static int check_error(struct cox_error *err, const struct ks_path *path, const char *message)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	ks_path_write(&text, path);
	return cox_error(err, COX_INVALID_ARGUMENT, "%s: %s", cox_buf_cstr(&text), message);
}

static int check(struct cox_arena *arena, const struct cox_node *value,
		 const struct cox_schema_type *type, struct ks_path *path, struct cox_error *err)
{
	if (!value || cox_node_is(value, COX_NULL))
		return 0;
	if ((type->kind == COX_SCHEMA_STRUCT || type->kind == COX_SCHEMA_MAP) &&
	    !cox_node_is(value, COX_MAP))
		return check_error(err, path, "expected map, got something else");
	if (type->kind == COX_SCHEMA_LIST && !cox_node_is(value, COX_LIST))
		return check_error(err, path, "expected list, got something else");
	if (type->kind == COX_SCHEMA_STRUCT || type->kind == COX_SCHEMA_MAP) {
		for (size_t i = 0; i < cox_node_len(value); i++) {
			struct cox_str key = cox_node_key(value, i);
			path_push(path, ks_step_of_field(arena, key));
			if (type->kind == COX_SCHEMA_STRUCT && !type->open &&
			    !cox_schema_field(type, key))
				return check_error(err, path, "field not declared in schema");
			int r = check(arena, cox_node_at(value, i), cox_schema_child(type, key),
				      path, err);
			if (r < 0)
				return r;
			path->n--;
		}
	}
	if (type->kind == COX_SCHEMA_LIST && type->list != COX_SCHEMA_LIST_ATOMIC) {
		_cleanup_items_ struct items items = {0};
		struct cox_error inner;
		if (items_read(arena, &items, type, value, &inner) < 0)
			return check_error(err, path, inner.message);
		COX_MAP_EACH (&items.map, e) {
			path_push(path, entry_key(e));
			int r = check(arena, e->value, type->item, path, err);
			if (r < 0)
				return r;
			path->n--;
		}
	}
	return 0;
}

int ks_typed_check(struct cox_arena *arena, const struct cox_node *value,
		   const struct cox_schema_type *type, struct cox_error *err)
{
	struct ks_path path = {.n = 0};

	return check(arena, value, type, &path, err);
}

/* ---- compare ---- */

struct compare {
	struct cox_arena *arena;
	struct ks_comparison out;
	struct ks_path path;
};

static void compare(struct compare *s, const struct cox_node *a, const struct cox_node *b,
		    const struct cox_schema_type *type);

static void compare_leaf(struct compare *s, const struct cox_node *a, const struct cox_node *b)
{
	if (!a)
		ks_set_insert(s->arena, s->out.added, &s->path);
	else if (!b)
		ks_set_insert(s->arena, s->out.removed, &s->path);
	else if (!cox_node_equal(a, b))
		ks_set_insert(s->arena, s->out.modified, &s->path);
}

static void compare_step(struct compare *s, struct cox_str step, const struct cox_node *a,
			 const struct cox_node *b, const struct cox_schema_type *type)
{
	path_push(&s->path, step);
	compare(s, a, b, type);
	s->path.n--;
}

static void compare_fields(struct compare *s, const struct cox_node *a, const struct cox_node *b,
			   const struct cox_schema_type *type)
{
	for (size_t i = 0; i < cox_node_len(a); i++) {
		struct cox_str key = cox_node_key(a, i);
		compare_step(s, ks_step_of_field(s->arena, key), cox_node_at(a, i),
			     cox_node_get_str(b, key), cox_schema_child(type, key));
	}
	for (size_t i = 0; i < cox_node_len(b); i++) {
		struct cox_str key = cox_node_key(b, i);
		if (!cox_node_get_str(a, key))
			compare_step(s, ks_step_of_field(s->arena, key), NULL, cox_node_at(b, i),
				     cox_schema_child(type, key));
	}
}

static int compare_items(struct compare *s, const struct cox_node *a, const struct cox_node *b,
			 const struct cox_schema_type *type)
{
	_cleanup_items_ struct items in_a = {0}, in_b = {0};

	if (items_read(s->arena, &in_a, type, a, NULL) < 0 ||
	    items_read(s->arena, &in_b, type, b, NULL) < 0)
		return -COX_INVALID_ARGUMENT;
	COX_MAP_EACH (&in_a.map, e)
		compare_step(s, entry_key(e), e->value, cox_map_get_str(&in_b.map, entry_key(e)),
			     type->item);
	COX_MAP_EACH (&in_b.map, e)
		if (!cox_map_get_str(&in_a.map, entry_key(e)))
			compare_step(s, entry_key(e), NULL, e->value, type->item);
	return 0;
}

static void compare(struct compare *s, const struct cox_node *a, const struct cox_node *b,
		    const struct cox_schema_type *type)
{
	enum shape shape = shape_of(type, a), other = shape_of(type, b);

	/* nothing on either side is a leaf, which keeps null and {} apart */
	if (cox_node_len(a) == 0 && cox_node_len(b) == 0)
		shape = LEAF;
	if (!a || cox_node_is(a, COX_NULL))
		shape = shape == LEAF && cox_node_len(b) ? other : shape;
	else if (b && !cox_node_is(b, COX_NULL) && other != shape)
		shape = LEAF;
	if (shape == LEAF || (shape == ITEMS && compare_items(s, a, b, type) < 0)) {
		compare_leaf(s, a, b);
		return;
	}
	if (shape == FIELDS)
		compare_fields(s, a, b, type);
	if (!a)
		ks_set_insert(s->arena, s->out.added, &s->path);
	else if (!b)
		ks_set_insert(s->arena, s->out.removed, &s->path);
}

struct ks_comparison ks_typed_compare(struct cox_arena *arena, const struct cox_node *before,
				      const struct cox_node *after,
				      const struct cox_schema_type *type)
{
	struct compare s = {.arena = arena,
			    .out = {.added = ks_set_new(arena),
				    .modified = ks_set_new(arena),
				    .removed = ks_set_new(arena)}};

	compare(&s, before, after, type);
	return s.out;
}

/* ---- fields ---- */

static void fields_below(struct cox_arena *arena, const struct cox_node *value,
			 const struct cox_schema_type *type, struct ks_path *path,
			 struct ks_set *out)
{
	enum shape shape = shape_of(type, value);
	_cleanup_items_ struct items items = {0};

	if (shape == ITEMS && items_read(arena, &items, type, value, NULL) < 0)
		shape = LEAF;
	if (shape == LEAF)
		ks_set_insert(arena, out, path);
	if (shape == ITEMS)
		COX_MAP_EACH (&items.map, e) {
			path_push(path, entry_key(e));
			fields_below(arena, e->value, type->item, path, out);
			ks_set_insert(arena, out, path);
			path->n--;
		}
	if (shape == FIELDS)
		for (size_t i = 0; i < cox_node_len(value); i++) {
			struct cox_str key = cox_node_key(value, i);
			const struct cox_node *child = cox_node_at(value, i);
			path_push(path, ks_step_of_field(arena, key));
			fields_below(arena, child, cox_schema_child(type, key), path, out);
			if (cox_node_is(child, COX_NULL) ||
			    (cox_node_is(child, COX_MAP) && !cox_node_len(child)) ||
			    !cox_schema_field(type, key))
				ks_set_insert(arena, out, path);
			path->n--;
		}
}

struct ks_set *ks_typed_fields(struct cox_arena *arena, const struct cox_node *value,
			       const struct cox_schema_type *type)
{
	struct ks_set *out = ks_set_new(arena);
	struct ks_path path = {.n = 0};

	fields_below(arena, value, type, &path, out);
	return out;
}

/* ---- merge ---- */

static const struct cox_node *merge(struct cox_arena *arena, struct cox_doc *doc,
				    const struct cox_node *a, const struct cox_node *b,
				    const struct cox_schema_type *type);

static const struct cox_node *merge_fields(struct cox_arena *arena, struct cox_doc *doc,
					   const struct cox_node *a, const struct cox_node *b,
					   const struct cox_schema_type *type)
{
	struct cox_node *out = cox_doc_map(doc);

	for (size_t i = 0; i < cox_node_len(a); i++) {
		struct cox_str key = cox_node_key(a, i);
		cox_map_put_str(doc, out, key,
				merge(arena, doc, cox_node_at(a, i), cox_node_get_str(b, key),
				      cox_schema_child(type, key)));
	}
	for (size_t i = 0; i < cox_node_len(b); i++)
		if (!cox_node_get_str(a, cox_node_key(b, i)))
			cox_map_put_str(doc, out, cox_node_key(b, i), cox_node_at(b, i));
	return out;
}

static const struct cox_node *merge_items(struct cox_arena *arena, struct cox_doc *doc,
					  const struct cox_node *a, const struct cox_node *b,
					  const struct cox_schema_type *type)
{
	_cleanup_items_ struct items in_a = {0}, in_b = {0};
	struct cox_node *out;

	if (items_read(arena, &in_a, type, a, NULL) < 0 ||
	    items_read(arena, &in_b, type, b, NULL) < 0)
		return b;
	out = cox_doc_list(doc);
	COX_MAP_EACH (&in_a.map, e)
		cox_list_push(doc, out,
			      merge(arena, doc, e->value, cox_map_get_str(&in_b.map, entry_key(e)),
				    type->item));
	COX_MAP_EACH (&in_b.map, e)
		if (!cox_map_get_str(&in_a.map, entry_key(e)))
			cox_list_push(doc, out, e->value);
	return out;
}

static const struct cox_node *merge(struct cox_arena *arena, struct cox_doc *doc,
				    const struct cox_node *a, const struct cox_node *b,
				    const struct cox_schema_type *type)
{
	if (!b)
		return a;
	if (!a || (!cox_node_len(a) && !cox_node_len(b)))
		return b;
	enum shape shape = shape_of(type, cox_node_len(a) ? a : b);
	if (shape == FIELDS && shape_of(type, b) == FIELDS)
		return merge_fields(arena, doc, a, b, type);
	if (shape == ITEMS && shape_of(type, b) == ITEMS)
		return merge_items(arena, doc, a, b, type);
	return b;
}

const struct cox_node *ks_typed_merge(struct cox_arena *arena, struct cox_doc *doc,
				      const struct cox_node *base, const struct cox_node *over,
				      const struct cox_schema_type *type)
{
	return merge(arena, doc, base, over, type);
}

/* ---- remove ---- */

static const struct cox_node *remove_fields(struct cox_arena *arena, struct cox_doc *doc,
					    const struct cox_node *value, const struct ks_set *set,
					    const struct cox_schema_type *type)
{
	struct cox_node *out = cox_doc_map(doc);

	for (size_t i = 0; i < cox_node_len(value); i++) {
		struct cox_str key = cox_node_key(value, i);
		const struct cox_node *child = cox_node_at(value, i);
		const struct ks_elem *e = ks_set_find(set, ks_step_of_field(arena, key));
		if (e && e->member)
			continue;
		if (e && !ks_set_is_empty(&e->below))
			child = ks_typed_remove(arena, doc, child, &e->below,
						cox_schema_child(type, key));
		cox_map_put_str(doc, out, key, child);
	}
	return cox_node_len(out) ? out : cox_doc_null(doc);
}

static const struct cox_node *remove_items(struct cox_arena *arena, struct cox_doc *doc,
					   const struct cox_node *value, const struct ks_set *set,
					   const struct cox_schema_type *type)
{
	struct cox_node *out = cox_doc_list(doc);

	for (size_t i = 0; i < cox_node_len(value); i++) {
		const struct cox_node *item = cox_node_at(value, i);
		const struct ks_elem *e = NULL;
		struct cox_str step;
		if (ks_step_of_item(arena, type, item, &step, NULL) == 0)
			e = ks_set_find(set, step);
		if (e && e->member)
			continue;
		if (e && !ks_set_is_empty(&e->below))
			item = ks_typed_remove(arena, doc, item, &e->below, type->item);
		cox_list_push(doc, out, item);
	}
	return cox_node_len(out) ? out : cox_doc_null(doc);
}

const struct cox_node *ks_typed_remove(struct cox_arena *arena, struct cox_doc *doc,
				       const struct cox_node *value, const struct ks_set *set,
				       const struct cox_schema_type *type)
{
	if (!cox_node_len(value) || ks_set_is_empty(set))
		return value;
	switch (shape_of(type, value)) {
	case FIELDS:
		return remove_fields(arena, doc, value, set, type);
	case ITEMS:
		return remove_items(arena, doc, value, set, type);
	default:
		return value;
	}
}
