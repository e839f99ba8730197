#include "tests/kubesim/patch.h"

#include <stdlib.h>

/* ---- RFC 7386 ---- */

const struct cox_node *ks_patch_merge(struct cox_doc *doc, const struct cox_node *base,
				      const struct cox_node *patch)
{
	if (!cox_node_is(patch, COX_MAP))
		return patch;
	struct cox_node *out = cox_doc_map(doc);
	COX_DOC_MAP_EACH (base, i, key, value) {
		const struct cox_node *over = cox_node_get_str(patch, key);
		if (!over)
			cox_map_put_str(doc, out, key, value);
		else if (!cox_node_is(over, COX_NULL))
			cox_map_put_str(doc, out, key, ks_patch_merge(doc, value, over));
	}
	COX_DOC_MAP_EACH (patch, j, name, added) {
		if (!cox_node_get_str(base, name) && !cox_node_is(added, COX_NULL))
			cox_map_put_str(doc, out, name, ks_patch_merge(doc, NULL, added));
	}
	return out;
}

/* ---- RFC 6902 ---- */

/* A pointer cut into its parts (RFC 6901), unescaped. */
struct pointer {
	char *parts[64];
	size_t n;
};

static void pointer_fini(struct pointer *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->parts[i]);
}

static int pointer_read(const struct cox_node *node, struct pointer *p, struct cox_error *err)
{
	struct cox_str rest = cox_node_str(node), part;

	if (!cox_node_is(node, COX_STRING) || (rest.len && rest.ptr[0] != '/'))
		return cox_error(err, COX_INVALID_ARGUMENT, "bad JSON pointer");
	if (!rest.len)
		return 0;
	rest = cox_str_n(rest.ptr + 1, rest.len - 1);
	while (cox_str_split(&rest, '/', &part)) {
		if (p->n == COX_ARRAY_LEN(p->parts))
			return cox_error(err, COX_INVALID_ARGUMENT, "JSON pointer too long");
		char *text = cox_str_dup(part), *to = text;
		for (char *c = text; *c; c++) {
			if (c[0] == '~' && (c[1] == '0' || c[1] == '1'))
				*to++ = *++c == '0' ? '~' : '/';
			else
				*to++ = *c;
		}
		*to = 0;
		p->parts[p->n++] = text;
	}
	return 0;
}

/* Index in a list of n; "-" is n. -1: none. */
static ptrdiff_t list_index(const char *part, size_t n)
{
	char *end;

	if (cox_streq(part, "-"))
		return (ptrdiff_t)n;
	long i = strtol(part, &end, 10);
	return *part && !*end && i >= 0 && (size_t)i <= n ? (ptrdiff_t)i : -1;
}

static const struct cox_node *pointer_get(const struct cox_node *node, const struct pointer *p)
{
	for (size_t i = 0; node && i < p->n; i++) {
		if (cox_node_is(node, COX_LIST)) {
			ptrdiff_t at = list_index(p->parts[i], cox_node_len(node));
			node = at < 0 ? NULL : cox_node_at(node, (size_t)at);
		} else {
			node = cox_node_get(node, p->parts[i]);
		}
	}
	return node;
}

enum edit { EDIT_ADD, EDIT_REPLACE, EDIT_REMOVE };

/* The root is doc's own all the way down. */
static int edit(struct cox_doc *doc, struct cox_node *node, const struct pointer *p, enum edit how,
		const struct cox_node *value, struct cox_error *err)
{
	const char *last = p->parts[p->n - 1];

	for (size_t i = 0; node && i + 1 < p->n; i++) {
		if (cox_node_is(node, COX_LIST)) {
			ptrdiff_t at = list_index(p->parts[i], cox_node_len(node));
			node = at < 0 || (size_t)at >= cox_node_len(node)
				       ? NULL
				       : cox_list_edit(doc, node, (size_t)at);
		} else {
			node = cox_map_edit(doc, node, p->parts[i]);
		}
	}
	if (cox_node_is(node, COX_LIST)) {
		ptrdiff_t at = list_index(last, cox_node_len(node));
		if (at < 0 || (how != EDIT_ADD && (size_t)at >= cox_node_len(node)))
			return cox_error(err, COX_NOT_FOUND, "no item '%s'", last);
		if (how == EDIT_ADD)
			cox_list_insert(doc, node, (size_t)at, value);
		else if (how == EDIT_REPLACE)
			cox_list_set(doc, node, (size_t)at, value);
		else
			cox_list_drop(doc, node, (size_t)at);
		return 0;
	}
	if (!cox_node_is(node, COX_MAP) || (how != EDIT_ADD && !cox_node_get(node, last)))
		return cox_error(err, COX_NOT_FOUND, "no field '%s'", last);
	if (how == EDIT_REMOVE)
		cox_map_drop(doc, node, cox_str(last));
	else
		cox_map_put(doc, node, last, value);
	return 0;
}

static int apply_one(struct cox_doc *doc, struct cox_node **root, const struct cox_node *step,
		     struct cox_error *err)
{
	COX_CLEANUP(pointer_fini) struct pointer path = {.n = 0}, from = {.n = 0};
	struct cox_str op = cox_node_str(COX_GET(step, "op"));
	const struct cox_node *value = COX_GET(step, "value");

	int r = pointer_read(COX_GET(step, "path"), &path, err);
	if (r < 0)
		return r;
	if (cox_str_is(op, "test"))
		return cox_node_equal(pointer_get(*root, &path), value)
			       ? 0
			       : cox_error(err, COX_FAILED_PRECONDITION, "test failed");
	if (cox_str_is(op, "move") || cox_str_is(op, "copy")) {
		r = pointer_read(COX_GET(step, "from"), &from, err);
		if (r < 0)
			return r;
		value = pointer_get(*root, &from);
		if (!value)
			return cox_error(err, COX_NOT_FOUND, "nothing at 'from'");
		value = cox_doc_clone(doc, value);
		if (cox_str_is(op, "move") && from.n)
			edit(doc, *root, &from, EDIT_REMOVE, NULL, NULL);
		op = COX_STR("add");
	}
	bool is_remove = cox_str_is(op, "remove");
	if (!is_remove && !value)
		return cox_error(err, COX_INVALID_ARGUMENT, "operation without a value");
	if (!path.n) {
		if (is_remove)
			return cox_error(err, COX_INVALID_ARGUMENT, "cannot remove the root");
		*root = cox_doc_clone(doc, value);
		return 0;
	}
	if (cox_str_is(op, "add"))
		return edit(doc, *root, &path, EDIT_ADD, value, err);
	if (cox_str_is(op, "replace"))
		return edit(doc, *root, &path, EDIT_REPLACE, value, err);
	if (is_remove)
		return edit(doc, *root, &path, EDIT_REMOVE, NULL, err);
	return cox_error(err, COX_INVALID_ARGUMENT, "unknown operation '%.*s'", COX_STR_ARG(op));
}

int ks_patch_json(struct cox_doc *doc, const struct cox_node *base, const struct cox_node *patch,
		  const struct cox_node **ret_node, struct cox_error *err)
{
	struct cox_node *root = cox_doc_clone(doc, base);

	if (!cox_node_is(patch, COX_LIST))
		return cox_error(err, COX_INVALID_ARGUMENT, "a JSON patch is a list");
	for (size_t i = 0; i < cox_node_len(patch); i++) {
		int r = apply_one(doc, &root, cox_node_at(patch, i), err);
		if (r < 0)
			return r;
	}
	*ret_node = root;
	return 0;
}

/* ---- strategic merge ---- */

#define SET_ORDER	 "$setElementOrder/"
#define DELETE_PRIMITIVE "$deleteFromPrimitiveList/"

static int strategic(struct cox_doc *doc, const struct cox_node *base, const struct cox_node *patch,
		     const struct cox_schema_type *type, bool retain_keys,
		     const struct cox_node **ret_node, struct cox_error *err);

static const struct cox_node *item_by_key(const struct cox_node *list, const char *key,
					  const struct cox_node *value, size_t *ret_at)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_node_equal(cox_node_get(cox_node_at(list, i), key), value)) {
			*ret_at = i;
			return cox_node_at(list, i);
		}
	return NULL;
}

static bool is_directive(const struct cox_node *map, const char *what)
{
	return cox_streq(cox_node_cstr(cox_node_get(map, "$patch"), ""), what);
}

/* Where an item stands in a list, by key or by value; -1: nowhere. */
static ptrdiff_t position(const struct cox_node *list, const char *key, const struct cox_node *item)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *other = cox_node_at(list, i);
		if (key ? cox_node_equal(cox_node_get(other, key), cox_node_get(item, key))
			: cox_node_equal(other, item))
			return (ptrdiff_t)i;
	}
	return -1;
}

/* $setElementOrder: the items that it names in its order, the others where they stood among them.
 */
static const struct cox_node *reorder(struct cox_doc *doc, const struct cox_node *list,
				      const struct cox_node *order, const struct cox_node *before,
				      const char *key)
{
	struct cox_node *named = cox_doc_list(doc), *others = cox_doc_list(doc);
	struct cox_node *out = cox_doc_list(doc);
	size_t i = 0, j = 0;

	for (size_t k = 0; k < cox_node_len(order); k++) {
		ptrdiff_t at = position(list, key, cox_node_at(order, k));
		if (at >= 0)
			cox_list_push(doc, named, cox_node_at(list, (size_t)at));
	}
	for (size_t k = 0; k < cox_node_len(list); k++)
		if (position(order, key, cox_node_at(list, k)) < 0)
			cox_list_push(doc, others, cox_node_at(list, k));
	while (i < cox_node_len(named) || j < cox_node_len(others)) {
		const struct cox_node *x = cox_node_at(named, i), *y = cox_node_at(others, j);
		ptrdiff_t in_x = x ? position(before, key, x) : -1;
		ptrdiff_t in_y = y ? position(before, key, y) : -1;
		if (!x || (y && in_x >= 0 && in_y >= 0 && in_y < in_x)) {
			cox_list_push(doc, out, y);
			j++;
		} else {
			cox_list_push(doc, out, x);
			i++;
		}
	}
	return out;
}

static int merge_keyed(struct cox_doc *doc, const struct cox_node *base,
		       const struct cox_node *patch, const struct cox_schema_type *type,
		       const struct cox_node **ret_node, struct cox_error *err)
{
	const char *key = type->merge_key;
	struct cox_node *out = cox_doc_list(doc);
	bool replace = false;

	for (size_t i = 0; i < cox_node_len(patch); i++)
		replace = replace || is_directive(cox_node_at(patch, i), "replace");
	for (size_t i = 0; !replace && i < cox_node_len(base); i++)
		cox_list_push(doc, out, cox_node_at(base, i));
	for (size_t i = 0; i < cox_node_len(patch); i++) {
		const struct cox_node *item = cox_node_at(patch, i);
		const struct cox_node *value = cox_node_get(item, key), *old;
		size_t at;
		if (is_directive(item, "replace"))
			continue;
		if (!value)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "map: %s does not contain declared merge key: %s", "item",
					 key);
		old = item_by_key(out, key, value, &at);
		if (is_directive(item, "delete")) {
			for (; old; old = item_by_key(out, key, value, &at))
				cox_list_drop(doc, out, at);
			continue;
		}
		int r = strategic(doc, old, item, type->item, type->retain_keys, &item, err);
		if (r < 0)
			return r;
		if (old)
			cox_list_set(doc, out, at, item);
		else
			cox_list_push(doc, out, item);
	}
	*ret_node = reorder(doc, out, patch, base, key);
	return 0;
}

static const struct cox_node *merge_scalars(struct cox_doc *doc, const struct cox_node *base,
					    const struct cox_node *patch)
{
	struct cox_node *out = cox_doc_list(doc);
	const struct cox_node *lists[] = {base, patch};

	for (size_t l = 0; l < 2; l++)
		for (size_t i = 0; i < cox_node_len(lists[l]); i++)
			if (position(out, NULL, cox_node_at(lists[l], i)) < 0)
				cox_list_push(doc, out, cox_node_at(lists[l], i));
	return out;
}

static int merge_value(struct cox_doc *doc, const struct cox_node *base,
		       const struct cox_node *patch, const struct cox_schema_type *type,
		       const struct cox_schema_field *field, const struct cox_node **ret_node,
		       struct cox_error *err)
{
	if (cox_node_is(patch, COX_MAP) && !(field && field->replace))
		return strategic(doc, cox_node_is(base, COX_MAP) ? base : NULL, patch, type,
				 field && field->retain_keys, ret_node, err);
	*ret_node = patch;
	if (cox_node_is(patch, COX_LIST) && type->kind == COX_SCHEMA_LIST && type->merges) {
		if (type->merge_key)
			return merge_keyed(doc, base, patch, type, ret_node, err);
		*ret_node = merge_scalars(doc, base, patch);
	}
	return 0;
}

/* Directives that stand beside the list that they speak of. */
static void beside(struct cox_doc *doc, struct cox_node *out, const struct cox_node *base,
		   const struct cox_node *patch, const struct cox_schema_type *type)
{
	COX_DOC_MAP_EACH (patch, i, key, value) {
		bool is_order = cox_str_starts(key, SET_ORDER);
		if (!is_order && !cox_str_starts(key, DELETE_PRIMITIVE))
			continue;
		size_t skip = is_order ? strlen(SET_ORDER) : strlen(DELETE_PRIMITIVE);
		struct cox_str name = cox_str_n(key.ptr + skip, key.len - skip);
		const struct cox_schema_type *child = cox_schema_child(type, name);
		const struct cox_node *list = cox_node_get_str(out, name);
		if (!list)
			continue;
		if (is_order) {
			const char *by = child->kind == COX_SCHEMA_LIST ? child->merge_key : NULL;
			list = reorder(doc, list, value, cox_node_get_str(base, name), by);
		} else {
			struct cox_node *kept = cox_doc_list(doc);
			for (size_t k = 0; k < cox_node_len(list); k++)
				if (position(value, NULL, cox_node_at(list, k)) < 0)
					cox_list_push(doc, kept, cox_node_at(list, k));
			list = kept;
		}
		cox_map_put_str(doc, out, name, list);
	}
}

static int strategic(struct cox_doc *doc, const struct cox_node *base, const struct cox_node *patch,
		     const struct cox_schema_type *type, bool retain_keys,
		     const struct cox_node **ret_node, struct cox_error *err)
{
	const struct cox_node *retain = cox_node_get(patch, "$retainKeys");
	struct cox_node *out = cox_doc_map(doc);

	(void)retain_keys;
	if (is_directive(patch, "replace"))
		base = NULL;
	if (is_directive(patch, "delete")) {
		*ret_node = out;
		return 0;
	}
	for (size_t i = 0; i < cox_node_len(base); i++) {
		const struct cox_node *name = cox_doc_string(doc, cox_node_key(base, i));
		if (!retain || position(retain, NULL, name) >= 0)
			cox_map_put_str(doc, out, cox_node_key(base, i), cox_node_at(base, i));
	}
	for (size_t i = 0; i < cox_node_len(patch); i++) {
		struct cox_str key = cox_node_key(patch, i);
		const struct cox_node *value = cox_node_at(patch, i);
		if (key.len && key.ptr[0] == '$')
			continue;
		if (cox_node_is(value, COX_NULL)) {
			cox_map_drop(doc, out, key);
			continue;
		}
		if (is_directive(value, "delete")) {
			cox_map_put_str(doc, out, key, cox_doc_map(doc));
			continue;
		}
		int r = merge_value(doc, cox_node_get_str(out, key), value,
				    cox_schema_child(type, key), cox_schema_field(type, key),
				    &value, err);
		if (r < 0)
			return r;
		cox_map_put_str(doc, out, key, value);
	}
	beside(doc, out, base, patch, type);
	*ret_node = out;
	return 0;
}

int ks_patch_strategic(struct cox_doc *doc, const struct cox_node *base,
		       const struct cox_node *patch, const struct cox_schema_type *type,
		       const struct cox_node **ret_node, struct cox_error *err)
{
	return strategic(doc, base, patch, type, false, ret_node, err);
}
