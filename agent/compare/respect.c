/* RespectIgnoreDifferences: what is ignored comes from the live object. */
#include "agent/compare/walk.h"

#include "common/doc/json.h"
#include "common/kube/meta.h"

/* One edit of the desired object, which borrows values of the live one. */
struct respect {
	struct cox_doc *doc, *live;
};

static const struct cox_schema_type *below(const struct cox_schema_type *type, struct cox_str key,
					   bool at_root)
{
	return at_root && cox_str_is(key, "metadata") ? cox_schema_named("meta.v1.ObjectMeta")
						      : cox_schema_child(type, key);
}

/* The place in `list` of the live list's item i: by its keys, or, where nothing tells items apart,
 * the same place in a list as long. -1: there is none. */
static ptrdiff_t place_of(const struct cox_schema_type *type, const struct cox_node *list,
			  const struct cox_node *live, size_t i)
{
	if (!cox_schema_is_associative(type) || !type->n_keys)
		return cox_node_len(list) == cox_node_len(live) ? (ptrdiff_t)i : -1;
	const struct cox_node *item = agent_find_item(type, list, cox_node_at(live, i), i);

	for (size_t k = 0; item && k < cox_node_len(list); k++)
		if (cox_node_at(list, k) == item)
			return (ptrdiff_t)k;
	return -1;
}

static void put_item(struct respect *r, const struct cox_schema_type *type, struct cox_node *list,
		     const struct cox_node *live, size_t i)
{
	ptrdiff_t at = place_of(type, list, live, i);

	if (at >= 0)
		cox_list_set(r->doc, list, (size_t)at, cox_node_at(live, i));
	else if (cox_schema_is_associative(type))
		cox_list_push(r->doc, list, cox_node_at(live, i));
}

/* The last step of a path: what live has there is put there. */
static void put_last(struct respect *r, const struct cox_schema_type *type, struct cox_node *node,
		     const struct cox_node *live, const struct cox_node *step)
{
	size_t begin, end;

	if (cox_node_is(live, COX_MAP) && cox_node_is(node, COX_MAP)) {
		const struct cox_node *value = cox_node_get_str(live, cox_node_str(step));

		if (value)
			cox_map_put_str(r->doc, node, cox_node_str(step), value);
	} else if (cox_node_is(live, COX_LIST) && cox_node_is(node, COX_LIST) &&
		   agent_step_range(step, cox_node_len(live), &begin, &end)) {
		for (size_t i = begin; i < end; i++)
			put_item(r, type, node, live, i);
	}
}

/* path: keys and indexes in the live object. Maps on the way are made, lists are not. */
static void put_path(struct respect *r, const struct cox_schema_type *type,
		     const struct cox_node *path)
{
	struct cox_node *node = cox_doc_root_edit(r->doc);
	const struct cox_node *live = cox_doc_root(r->live);
	size_t n = cox_node_len(path), begin, end;

	if (!n || cox_str_is(cox_node_str(cox_node_at(path, 0)), "status"))
		return;
	for (size_t k = 0; node && k + 1 < n; k++) {
		const struct cox_node *step = cox_node_at(path, k);

		if (cox_node_is(live, COX_MAP) && cox_node_is(node, COX_MAP)) {
			struct cox_str key = cox_node_str(step);
			const struct cox_node *next = cox_node_get_str(live, key);
			_cleanup_free_ char *name = cox_str_dup(key);

			type = below(type, key, k == 0);
			if (cox_node_is(next, COX_MAP))
				node = cox_map_edit_map(r->doc, node, name);
			else
				node = cox_map_edit_str(r->doc, node, key);
			live = next;
		} else if (cox_node_is(live, COX_LIST) && cox_node_is(node, COX_LIST) &&
			   cox_node_is(step, COX_INT) &&
			   agent_step_range(step, cox_node_len(live), &begin, &end)) {
			ptrdiff_t at = place_of(type, node, live, begin);

			node = at < 0 ? NULL : cox_list_edit(r->doc, node, (size_t)at);
			live = cox_node_at(live, begin);
			type = type->kind == COX_SCHEMA_LIST ? type->item : cox_schema_any();
		} else {
			return;
		}
	}
	if (node)
		put_last(r, type, node, live, cox_node_at(path, n - 1));
}

/* ---- what trusted managers own ---- */

static void put_set(struct respect *r, const struct cox_schema_type *type, struct cox_node *node,
		    const struct cox_node *live, const struct cox_node *set, bool at_root);

static void put_field(struct respect *r, const struct cox_schema_type *type, struct cox_node *node,
		      const struct cox_node *live, struct cox_str key, const struct cox_node *inner,
		      bool at_root)
{
	const struct cox_node *value = cox_node_get_str(live, key);

	if (!value || !cox_node_get_str(node, key) || (at_root && cox_str_is(key, "status")))
		return;
	if (cox_node_len(inner) == 0)
		cox_map_put_str(r->doc, node, key, value);
	else
		put_set(r, below(type, key, at_root), cox_map_edit_str(r->doc, node, key), value,
			inner, false);
}

static void put_set(struct respect *r, const struct cox_schema_type *type, struct cox_node *node,
		    const struct cox_node *live, const struct cox_node *set, bool at_root)
{
	for (size_t i = 0; i < cox_node_len(set); i++) {
		struct cox_str key = cox_node_key(set, i);
		_cleanup_doc_ struct cox_doc *keys = NULL;

		if (key.len < 2 || key.ptr[1] != ':')
			continue;
		struct cox_str rest = cox_str_n(key.ptr + 2, key.len - 2);

		if (key.ptr[0] == 'f') {
			put_field(r, type, node, live, rest, cox_node_at(set, i), at_root);
			continue;
		}
		if (key.ptr[0] != 'k' || !cox_schema_is_associative(type) || !type->n_keys ||
		    cox_json_read(rest, "key", &keys, NULL) < 0)
			continue;
		for (size_t k = 0; k < cox_node_len(live); k++) {
			const struct cox_node *item = cox_node_at(live, k);
			ptrdiff_t at = place_of(type, node, live, k);

			if (at >= 0 && agent_is_same_item(type, item, cox_doc_root(keys)))
				put_set(r, type->item, cox_list_edit(r->doc, node, (size_t)at),
					item, cox_node_at(set, i), false);
		}
	}
}

static void put_trusted(struct respect *r, const struct cox_schema_type *type,
			const cox_strings *managers)
{
	const struct cox_node *live = cox_doc_root(r->live);
	const struct cox_node *list = cox_meta_managed_fields(live);

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *entry = cox_node_at(list, i);
		struct cox_str name = cox_node_str(cox_node_get(entry, "manager"));

		for (size_t k = 0; k < managers->n; k++)
			if (cox_str_is(name, managers->items[k]))
				put_set(r, type, cox_doc_root_edit(r->doc), live,
					cox_node_get(entry, "fieldsV1"), true);
	}
}

struct cox_doc *agent_respect_ignored(struct cox_doc *desired, struct cox_doc *live,
				      const struct agent_ignore *ignore,
				      const struct cox_node *desired_cuts,
				      const struct cox_node *live_cuts)
{
	_cleanup_doc_ struct cox_doc *cut = agent_compare_cut(desired, ignore, desired_cuts);
	_cleanup_doc_ struct cox_doc *pointers =
		agent_pointers_as_paths(cox_doc_root(live), &ignore->pointers);
	const struct cox_schema_type *type = agent_type_of(cox_doc_root(desired));
	const struct cox_node *lists[] = {live_cuts, cox_doc_root(pointers)};
	struct respect r = {.doc = cox_doc_edit(cut), .live = live};

	cox_doc_use(r.doc, live);
	for (size_t l = 0; l < COX_ARRAY_LEN(lists); l++)
		for (size_t i = 0; i < cox_node_len(lists[l]); i++)
			put_path(&r, type, cox_node_at(lists[l], i));
	put_trusted(&r, type, &ignore->managers);
	return cox_doc_seal(r.doc);
}
