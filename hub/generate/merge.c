#include "hub/generate/merge.h"

static bool is_empty(const struct cox_node *node)
{
	switch (cox_node_kind(node)) {
	case COX_BOOL:
		return !cox_node_bool(node, false);
	case COX_INT:
	case COX_FLOAT:
		return cox_node_double(node, 0) == 0;
	case COX_STRING:
		return cox_node_str(node).len == 0;
	case COX_MAP:
	case COX_LIST:
		return cox_node_len(node) == 0;
	default:
		return true;
	}
}

static struct cox_node *shallow(struct cox_doc *doc, const struct cox_node *map)
{
	struct cox_node *copy = cox_doc_map(doc);

	if (cox_node_is(map, COX_MAP))
		for (size_t i = 0; i < cox_node_len(map); i++)
			cox_map_put_str(doc, copy, cox_node_key(map, i), cox_node_at(map, i));
	return copy;
}

const struct cox_node *hub_merge_filled(struct cox_doc *doc, const struct cox_node *base,
					const struct cox_node *over)
{
	struct cox_node *map;

	if (is_empty(over))
		return base;
	if (!cox_node_is(base, COX_MAP) || !cox_node_is(over, COX_MAP))
		return over;
	map = shallow(doc, base);
	for (size_t i = 0; i < cox_node_len(over); i++) {
		struct cox_str key = cox_node_key(over, i);
		const struct cox_node *value =
			hub_merge_filled(doc, cox_node_get_str(map, key), cox_node_at(over, i));

		if (value)
			cox_map_put_str(doc, map, key, value);
	}
	return map;
}

const struct cox_node *hub_merge_patch(struct cox_doc *doc, const struct cox_node *base,
				       const struct cox_node *patch)
{
	struct cox_node *map;

	if (!cox_node_is(patch, COX_MAP))
		return patch;
	map = shallow(doc, base);
	for (size_t i = 0; i < cox_node_len(patch); i++) {
		struct cox_str key = cox_node_key(patch, i);
		const struct cox_node *value = cox_node_at(patch, i);

		if (cox_node_is(value, COX_NULL))
			cox_map_drop(doc, map, key);
		else
			cox_map_put_str(doc, map, key,
					hub_merge_patch(doc, cox_node_get_str(map, key), value));
	}
	return map;
}
