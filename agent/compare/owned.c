/* What we applied once and dropped since: the manager's fieldsV1 set, walked beside both objects.
 * The set's keys: "f:name" a field, "k:{…}" a list item by its keys, "v:…" an item by its value,
 * "i:N" by its index, "." the thing itself.
 * https://github.com/kubernetes-sigs/structured-merge-diff/blob/master/fieldpath/serialize-pe.go */
#include "common/doc/json.h"
#include "common/kube/meta.h"

#include "agent/compare/walk.h"

struct owned {
	struct agent_walk *walk;
	bool is_root, is_metadata;
};

static void walk_set(struct owned o, const struct cox_schema_type *type, const struct cox_node *set,
		     const struct cox_node *desired, const struct cox_node *live);

/* One that the set does not speak about, because others decide. */
static bool is_skipped(const struct owned *o, struct cox_str name)
{
	if (o->is_root)
		return cox_str_is(name, "status") || cox_str_is(name, "apiVersion") ||
		       cox_str_is(name, "kind");
	return o->is_metadata && agent_walk_is_server_metadata(name);
}

static void walk_field(struct owned o, const struct cox_schema_type *type, struct cox_str name,
		       const struct cox_node *inner, const struct cox_node *desired,
		       const struct cox_node *live)
{
	const struct cox_node *want = cox_node_get_str(desired, name);
	const struct cox_node *have = cox_node_get_str(live, name);

	if (!have || is_skipped(&o, name))
		return;
	bool metadata = o.is_root && cox_str_is(name, "metadata");
	size_t mark = agent_walk_key(o.walk, name);
	const struct cox_schema_type *child =
		metadata ? cox_schema_named("meta.v1.ObjectMeta") : cox_schema_child(type, name);

	if (cox_node_len(inner) > 0) {
		struct owned next = {.walk = o.walk, .is_metadata = metadata};

		walk_set(next, child, inner, want, have);
	} else if (!want && !agent_walk_is_empty(have)) {
		agent_walk_differs(o.walk);
	}
	agent_walk_back(o.walk, mark);
}

static void walk_item(struct owned o, const struct cox_schema_type *type, struct cox_str keys,
		      const struct cox_node *inner, const struct cox_node *desired,
		      const struct cox_node *live)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (!cox_schema_is_associative(type) || cox_json_read(keys, "keys", &doc, NULL) < 0)
		return;
	const struct cox_node *like = cox_doc_root(doc);
	const struct cox_node *have = agent_walk_find_item(type, live, like);

	if (!have)
		return;
	const struct cox_node *want = agent_walk_find_item(type, desired, like);
	size_t mark = agent_walk_item(o.walk, type, like);

	if (!want)
		agent_walk_differs(o.walk);
	else
		walk_set((struct owned){.walk = o.walk}, type->item, inner, want, have);
	agent_walk_back(o.walk, mark);
}

static bool has_value(const struct cox_node *list, const struct cox_node *value)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_node_equal(cox_node_at(list, i), value))
			return true;
	return false;
}

static void walk_value(struct owned o, struct cox_str text, const struct cox_node *desired,
		       const struct cox_node *live)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (cox_json_read(text, "value", &doc, NULL) < 0)
		return;
	if (has_value(live, cox_doc_root(doc)) && !has_value(desired, cox_doc_root(doc)))
		agent_walk_differs(o.walk);
}

static void walk_set(struct owned o, const struct cox_schema_type *type, const struct cox_node *set,
		     const struct cox_node *desired, const struct cox_node *live)
{
	for (size_t i = 0; i < cox_node_len(set); i++) {
		struct cox_str key = cox_node_key(set, i);
		const struct cox_node *inner = cox_node_at(set, i);

		if (key.len < 2 || key.ptr[1] != ':')
			continue;
		struct cox_str rest = cox_str_n(key.ptr + 2, key.len - 2);

		if (key.ptr[0] == 'f')
			walk_field(o, type, rest, inner, desired, live);
		else if (key.ptr[0] == 'k')
			walk_item(o, type, rest, inner, desired, live);
		else if (key.ptr[0] == 'v')
			walk_value(o, rest, desired, live);
	}
}

void agent_walk_owned(struct agent_walk *w, const char *manager, const struct cox_node *desired,
		      const struct cox_node *live)
{
	const struct cox_node *list = cox_meta_managed_fields(live);
	const struct cox_schema_type *type = agent_walk_type(desired);

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *entry = cox_node_at(list, i);

		if (!cox_str_is(cox_node_str(cox_node_get(entry, "manager")), manager) ||
		    !cox_str_is(cox_node_str(cox_node_get(entry, "operation")), "Apply") ||
		    cox_node_str(cox_node_get(entry, "subresource")).len)
			continue;
		walk_set((struct owned){.walk = w, .is_root = true}, type,
			 cox_node_get(entry, "fieldsV1"), desired, live);
	}
}
