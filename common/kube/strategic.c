#include "common/kube/strategic.h"

#define SET_ORDER	 "$setElementOrder/"
#define DELETE_PRIMITIVE "$deleteFromPrimitiveList/"

static int strategic(struct cox_doc *doc, const struct cox_node *base, const struct cox_node *patch,
		     const struct cox_schema_type *type, const struct cox_node **ret_node,
		     struct cox_error *err);

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
		int r = strategic(doc, old, item, type->item, &item, err);
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
				 ret_node, err);
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
		     const struct cox_schema_type *type, const struct cox_node **ret_node,
		     struct cox_error *err)
{
	const struct cox_node *retain = cox_node_get(patch, "$retainKeys");
	struct cox_node *out = cox_doc_map(doc);

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

int cox_strategic_patch(struct cox_doc *base, struct cox_doc *patch, const struct cox_node *node,
			const struct cox_schema_type *type, struct cox_doc **ret_doc,
			struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new(cox_doc_name(base));
	const struct cox_node *root;

	cox_doc_use(doc, base);
	cox_doc_use(doc, patch);
	int r = strategic(doc, cox_doc_root(base), node ? node : cox_doc_root(patch), type, &root,
			  err);
	if (r < 0)
		return r;
	cox_doc_set_root(doc, root);
	*ret_doc = cox_doc_seal(TAKE(doc));
	return 0;
}
