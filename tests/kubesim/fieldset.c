#include "tests/kubesim/fieldset.h"

#include "common/doc/json.h"

#include <stdarg.h>

struct ks_set *ks_set_new(struct cox_arena *arena)
{
	return cox_arena_calloc(arena, sizeof(struct ks_set));
}

/* Where the step is, or would be. */
static uint32_t search(const struct ks_set *set, struct cox_str step, bool *ret_found)
{
	uint32_t low = 0, high = set->n;

	*ret_found = false;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		int order = cox_str_compare(set->items[mid].step, step);
		if (order == 0) {
			*ret_found = true;
			return mid;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct ks_elem *insert_at(struct cox_arena *arena, struct ks_set *set, uint32_t at)
{
	if (set->n == set->cap) {
		uint32_t cap = set->cap ? set->cap * 2 : 4;
		struct ks_elem *items = cox_arena_alloc(arena, cap * sizeof(*items));
		if (set->n)
			memcpy(items, set->items, set->n * sizeof(*items));
		set->items = items;
		set->cap = cap;
	}
	memmove(&set->items[at + 1], &set->items[at], (set->n - at) * sizeof(*set->items));
	set->n++;
	set->items[at] = (struct ks_elem){0};
	return &set->items[at];
}

static struct ks_elem *elem(struct cox_arena *arena, struct ks_set *set, struct cox_str step)
{
	bool found;
	uint32_t at = search(set, step, &found);

	if (found)
		return &set->items[at];
	struct ks_elem *e = insert_at(arena, set, at);
	e->step = cox_str_n(cox_arena_strndup(arena, step.ptr, step.len), step.len);
	return e;
}

const struct ks_elem *ks_set_find(const struct ks_set *set, struct cox_str step)
{
	bool found;
	uint32_t at = search(set, step, &found);

	return found ? &set->items[at] : NULL;
}

bool ks_set_is_empty(const struct ks_set *set)
{
	for (uint32_t i = 0; set && i < set->n; i++)
		if (set->items[i].member || !ks_set_is_empty(&set->items[i].below))
			return false;
	return true;
}

void ks_set_insert(struct cox_arena *arena, struct ks_set *set, const struct ks_path *path)
{
	for (size_t i = 0; i < path->n; i++) {
		struct ks_elem *e = elem(arena, set, path->steps[i]);
		if (i + 1 == path->n)
			e->member = true;
		set = &e->below;
	}
}

void ks_set_put(struct cox_arena *arena, struct ks_set *set, ...)
{
	struct ks_path path = {.n = 0};
	va_list args;

	va_start(args, set);
	for (const char *step; (step = va_arg(args, const char *));)
		path.steps[path.n++] = cox_str(step);
	va_end(args);
	ks_set_insert(arena, set, &path);
}

/* ---- algebra: one walk over two sorted lists ---- */

enum op { OP_UNION, OP_INTERSECTION, OP_DIFFERENCE, OP_RECURSIVE };

static void combine(struct cox_arena *arena, enum op op, const struct ks_set *a,
		    const struct ks_set *b, struct ks_set *out);

static void append(struct cox_arena *arena, struct ks_set *out, struct ks_elem e)
{
	if (e.member || e.below.n)
		*insert_at(arena, out, out->n) = e;
}

static void combine_pair(struct cox_arena *arena, enum op op, const struct ks_elem *x,
			 const struct ks_elem *y, struct ks_set *out)
{
	struct ks_elem e = {.step = x->step};

	switch (op) {
	case OP_UNION:
		e.member = x->member || y->member;
		break;
	case OP_INTERSECTION:
		e.member = x->member && y->member;
		break;
	case OP_RECURSIVE:
		if (y->member)
			return;
		/* fall through */
	case OP_DIFFERENCE:
		e.member = x->member && !y->member;
		break;
	}
	combine(arena, op, &x->below, &y->below, &e.below);
	append(arena, out, e);
}

static void combine(struct cox_arena *arena, enum op op, const struct ks_set *a,
		    const struct ks_set *b, struct ks_set *out)
{
	uint32_t i = 0, j = 0;

	while (i < a->n || j < b->n) {
		int order = i == a->n	? 1
			    : j == b->n ? -1
					: cox_str_compare(a->items[i].step, b->items[j].step);
		if (order == 0) {
			combine_pair(arena, op, &a->items[i++], &b->items[j++], out);
		} else if (order < 0) {
			if (op != OP_INTERSECTION)
				append(arena, out, a->items[i]);
			i++;
		} else {
			if (op == OP_UNION)
				append(arena, out, b->items[j]);
			j++;
		}
	}
}

static struct ks_set *combined(struct cox_arena *arena, enum op op, const struct ks_set *a,
			       const struct ks_set *b)
{
	struct ks_set *out = ks_set_new(arena);

	combine(arena, op, a, b, out);
	return out;
}

struct ks_set *ks_set_union(struct cox_arena *arena, const struct ks_set *a, const struct ks_set *b)
{
	return combined(arena, OP_UNION, a, b);
}

struct ks_set *ks_set_intersection(struct cox_arena *arena, const struct ks_set *a,
				   const struct ks_set *b)
{
	return combined(arena, OP_INTERSECTION, a, b);
}

struct ks_set *ks_set_difference(struct cox_arena *arena, const struct ks_set *a,
				 const struct ks_set *b)
{
	return combined(arena, OP_DIFFERENCE, a, b);
}

struct ks_set *ks_set_recursive_difference(struct cox_arena *arena, const struct ks_set *a,
					   const struct ks_set *b)
{
	return combined(arena, OP_RECURSIVE, a, b);
}

bool ks_set_equal(const struct ks_set *a, const struct ks_set *b)
{
	uint32_t i = 0, j = 0;

	for (;;) {
		while (i < a->n && !a->items[i].member && ks_set_is_empty(&a->items[i].below))
			i++;
		while (j < b->n && !b->items[j].member && ks_set_is_empty(&b->items[j].below))
			j++;
		if (i == a->n || j == b->n)
			return i == a->n && j == b->n;
		const struct ks_elem *x = &a->items[i++], *y = &b->items[j++];
		if (!cox_str_eq(x->step, y->step) || x->member != y->member ||
		    !ks_set_equal(&x->below, &y->below))
			return false;
	}
}

static const struct cox_schema_type *below_type(const struct cox_schema_type *type,
						struct cox_str step)
{
	if (step.len > 2 && step.ptr[0] == 'f')
		return cox_schema_child(type, cox_str_n(step.ptr + 2, step.len - 2));
	if (type && type->kind == COX_SCHEMA_LIST)
		return type->item;
	return cox_schema_any();
}

static void with_named(struct cox_arena *arena, const struct ks_set *set,
		       const struct cox_schema_type *type, struct ks_set *out)
{
	for (uint32_t i = 0; i < set->n; i++) {
		const struct ks_elem *e = &set->items[i];
		struct ks_elem copy = {.step = e->step, .member = e->member};
		with_named(arena, &e->below, below_type(type, e->step), &copy.below);
		if (copy.below.n && cox_str_starts(e->step, "f:") &&
		    cox_schema_field(type, cox_str_n(e->step.ptr + 2, e->step.len - 2)))
			copy.member = true;
		append(arena, out, copy);
	}
}

struct ks_set *ks_set_with_named(struct cox_arena *arena, const struct ks_set *set,
				 const struct cox_schema_type *type)
{
	struct ks_set *out = ks_set_new(arena);

	with_named(arena, set, type, out);
	return out;
}

/* ---- FieldsV1 ---- */

static void read_below(struct cox_arena *arena, const struct cox_node *fields, struct ks_set *out,
		       size_t depth)
{
	if (depth > KS_PATH_MAX - 2)
		return;
	COX_DOC_MAP_EACH (fields, i, key, value) {
		if (!cox_str_is(key, ".")) {
			struct ks_elem *e = elem(arena, out, key);
			bool is_leaf = !cox_node_len(value);
			e->member = is_leaf || cox_node_get(value, ".");
			read_below(arena, value, &e->below, depth + 1);
		}
	}
}

struct ks_set *ks_set_read(struct cox_arena *arena, const struct cox_node *fields)
{
	struct ks_set *set = ks_set_new(arena);

	read_below(arena, fields, set, 0);
	return set;
}

struct cox_node *ks_set_write(struct cox_doc *doc, const struct ks_set *set)
{
	struct cox_node *map = cox_doc_map(doc);

	for (uint32_t i = 0; i < set->n; i++) {
		const struct ks_elem *e = &set->items[i];
		if (ks_set_is_empty(&e->below)) {
			if (e->member)
				cox_map_put_str(doc, map, e->step, cox_doc_map(doc));
			continue;
		}
		struct cox_node *below = ks_set_write(doc, &e->below);
		if (e->member)
			cox_map_put(doc, below, ".", cox_doc_map(doc));
		cox_map_put_str(doc, map, e->step, below);
	}
	return map;
}

static void each(const struct ks_set *set, struct ks_path *path,
		 void (*fn)(void *ctx, const struct ks_path *path), void *ctx)
{
	if (path->n == KS_PATH_MAX)
		return;
	path->n++;
	for (uint32_t i = 0; i < set->n; i++) {
		path->steps[path->n - 1] = set->items[i].step;
		if (set->items[i].member)
			fn(ctx, path);
		each(&set->items[i].below, path, fn, ctx);
	}
	path->n--;
}

void ks_set_each(const struct ks_set *set, void (*fn)(void *ctx, const struct ks_path *path),
		 void *ctx)
{
	struct ks_path path = {.n = 0};

	each(set, &path, fn, ctx);
}

void ks_path_write(struct cox_buf *out, const struct ks_path *path)
{
	for (size_t i = 0; i < path->n; i++) {
		struct cox_str step = path->steps[i];
		struct cox_str text = cox_str_n(step.ptr + 2, step.len - 2);
		_cleanup_doc_ struct cox_doc *key = NULL;
		switch (step.ptr[0]) {
		case 'f':
			cox_buf_putc(out, '.');
			cox_buf_puts_str(out, text);
			break;
		case 'v':
			cox_buf_puts(out, "[=");
			cox_buf_puts_str(out, text);
			cox_buf_putc(out, ']');
			break;
		case 'k':
			if (cox_json_read(text, "key", &key, NULL) < 0)
				break;
			cox_buf_putc(out, '[');
			COX_DOC_MAP_EACH (cox_doc_root(key), k, name, value) {
				cox_buf_printf(out, "%s%.*s=", k ? "," : "", COX_STR_ARG(name));
				cox_json_write(out, value);
			}
			cox_buf_putc(out, ']');
			break;
		default:
			cox_buf_printf(out, "[%.*s]", COX_STR_ARG(text));
		}
	}
}

/* ---- steps ---- */

struct cox_str ks_step_of_field(struct cox_arena *arena, struct cox_str name)
{
	char *text = cox_arena_alloc(arena, name.len + 3);

	memcpy(text, "f:", 2);
	memcpy(text + 2, name.ptr, name.len);
	text[name.len + 2] = 0;
	return cox_str_n(text, name.len + 2);
}

static int key_step(const struct cox_schema_type *list, const struct cox_node *item,
		    struct cox_buf *text, struct cox_error *err)
{
	const char *names[8];
	size_t n = list->n_keys < 8 ? list->n_keys : 8;

	if (!cox_node_is(item, COX_MAP))
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "associative list with keys may not have non-map elements");
	/* by name, as FieldsV1 writes them */
	for (size_t i = 0; i < n; i++) {
		size_t at = i;
		for (; at && strcmp(names[at - 1], list->keys[i]) > 0; at--)
			names[at] = names[at - 1];
		names[at] = list->keys[i];
	}
	cox_buf_puts(text, "k:{");
	for (size_t i = 0; i < n; i++) {
		const struct cox_node *value = cox_node_get(item, names[i]);
		const struct cox_schema_field *field =
			cox_schema_field(list->item, cox_str(names[i]));
		if (i)
			cox_buf_putc(text, ',');
		cox_json_write_string(text, cox_str(names[i]));
		cox_buf_putc(text, ':');
		if (value)
			cox_json_write(text, value);
		else if (field && field->def)
			cox_json_write_string(text, cox_str(field->def));
		else if (field && field->def_node)
			cox_json_write(text, field->def_node);
		else if (field && field->always && field->type->kind == COX_SCHEMA_STRING)
			cox_buf_puts(text, "\"\"");
		else if (field && field->always && field->type->kind == COX_SCHEMA_INT)
			cox_buf_puts(text, "0");
		else
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "associative list with keys has an element that omits key "
					 "field \"%s\" (and doesn't have default value)",
					 names[i]);
	}
	cox_buf_putc(text, '}');
	return 0;
}

int ks_step_of_item(struct cox_arena *arena, const struct cox_schema_type *list,
		    const struct cox_node *item, struct cox_str *ret_step, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (list->list == COX_SCHEMA_LIST_MAP) {
		int r = key_step(list, item, &text, err);
		if (r < 0)
			return r;
	} else {
		if (cox_node_is(item, COX_MAP) || cox_node_is(item, COX_LIST))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "set lists may not have maps or lists as elements");
		cox_buf_puts(&text, "v:");
		cox_json_write(&text, item);
	}
	*ret_step = cox_str_n(cox_arena_strndup(arena, text.ptr, text.len), text.len);
	return 0;
}
