/* Ownership on the first apply: the fields that `kubectl apply` (client-side) or Argo CD own move to
 * our field manager, so that what the bundle has no more goes away instead of staying behind as
 * nobody's. Pure. The set's form is fieldsV1, a map of maps: its union is a deep merge. */
#include "agent/sync/migrate.h"

#include "agent/sync/desired.h"

static const struct {
	const char *manager;
	const char *operation; /* NULL: either */
} foreign[] = {
	{"kubectl-client-side-apply", "Update"},
	{"argocd-controller", NULL},
	{AGENT_HOOK_MANAGER, NULL}, /* ours, while the object was a hook */
};

static struct cox_str text(const struct cox_node *entry, const char *key)
{
	return cox_node_str(cox_node_get(entry, key));
}

static bool is_main(const struct cox_node *entry)
{
	return text(entry, "subresource").len == 0;
}

static bool is_foreign(const struct cox_node *entry)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(foreign); i++)
		if (is_main(entry) && cox_str_is(text(entry, "manager"), foreign[i].manager) &&
		    (!foreign[i].operation ||
		     cox_str_is(text(entry, "operation"), foreign[i].operation)))
			return true;
	return false;
}

static bool is_ours(const struct cox_node *entry)
{
	return is_main(entry) && cox_str_is(text(entry, "manager"), AGENT_MANAGER) &&
	       cox_str_is(text(entry, "operation"), "Apply");
}

bool agent_migrate_is_needed(const struct cox_node *live)
{
	const struct cox_node *list = cox_meta_managed_fields(live);

	for (size_t i = 0; i < cox_node_len(list); i++)
		if (is_foreign(cox_node_at(list, i)))
			return true;
	return false;
}

static void merge(struct cox_doc *doc, struct cox_node *into, const struct cox_node *from)
{
	for (size_t i = 0; i < cox_node_len(from); i++) {
		struct cox_str key = cox_node_key(from, i);
		const struct cox_node *value = cox_node_at(from, i);

		if (!cox_node_get_str(into, key))
			cox_map_put_str(doc, into, key, cox_doc_clone(doc, value));
		else if (cox_node_is(value, COX_MAP))
			merge(doc, cox_map_edit_str(doc, into, key), value);
	}
}

static struct cox_node *operation(struct cox_doc *doc, const char *op, const char *path,
				  const struct cox_node *value)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "op", op);
	cox_map_put_cstr(doc, map, "path", path);
	cox_map_put(doc, map, "value", value);
	return map;
}

struct cox_doc *agent_migrate_patch(const struct cox_node *live)
{
	struct cox_doc *doc = cox_doc_new("ownership");
	const struct cox_node *list = cox_meta_managed_fields(live), *first = NULL;
	struct cox_node *patch = cox_doc_list(doc), *kept = cox_doc_list(doc);
	struct cox_node *fields = cox_doc_map(doc), *entry = cox_doc_map(doc);

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *e = cox_node_at(list, i);

		if (!is_foreign(e) && !is_ours(e)) {
			cox_list_push(doc, kept, cox_doc_clone(doc, e));
			continue;
		}
		if (!first || is_ours(e))
			first = e;
		merge(doc, fields, cox_node_get(e, "fieldsV1"));
	}
	cox_map_put_cstr(doc, entry, "manager", AGENT_MANAGER);
	cox_map_put_cstr(doc, entry, "operation", "Apply");
	cox_map_put(doc, entry, "apiVersion", cox_doc_string(doc, text(first, "apiVersion")));
	if (text(first, "time").len)
		cox_map_put(doc, entry, "time", cox_doc_string(doc, text(first, "time")));
	cox_map_put_cstr(doc, entry, "fieldsType", "FieldsV1");
	cox_map_put(doc, entry, "fieldsV1", fields);
	cox_list_push(doc, kept, entry);
	cox_list_push(doc, patch, operation(doc, "replace", "/metadata/managedFields", kept));
	cox_list_push(doc, patch,
		      operation(doc, "replace", "/metadata/resourceVersion",
				cox_doc_string(doc, cox_meta_resource_version(live))));
	cox_doc_set_root(doc, patch);
	return cox_doc_seal(doc);
}
