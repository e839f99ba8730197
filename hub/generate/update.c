#include "hub/generate/generate.h"

/* Annotations of a live Application that are not the template's to remove. */
static const char *const foreign_annotations[] = {
	"notified.notifications.argoproj.io",
	"argocd.argoproj.io/refresh",
	"argocd.argoproj.io/hydrate",
};

/* Finalizers that belong to hooks of the deletion. */
static const char *const hook_finalizers[] = {
	"pre-delete-finalizer.argocd.argoproj.io",
	"post-delete-finalizer.argocd.argoproj.io",
};

static bool is_in(struct cox_str text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (cox_str_is(text, words[i]))
			return true;
	return false;
}

static bool is_listed(struct cox_str text, const struct cox_node *list)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_str_eq(text, cox_node_str(cox_node_at(list, i))))
			return true;
	return false;
}

/* A map of the generated object, and what of the live one stays. */
static void put_map(struct cox_doc *doc, struct cox_node *metadata, const char *key,
		    const struct cox_node *wanted, const struct cox_node *preserved,
		    const char *const *foreign, size_t n_foreign)
{
	const struct cox_node *live = cox_node_get(metadata, key);
	struct cox_node *map = cox_doc_map(doc);

	for (size_t i = 0; i < cox_node_len(live); i++) {
		struct cox_str k = cox_node_key(live, i);

		if (is_listed(k, preserved) || is_in(k, foreign, n_foreign))
			cox_map_put_str(doc, map, k, cox_node_at(live, i));
	}
	for (size_t i = 0; i < cox_node_len(wanted); i++) {
		struct cox_str k = cox_node_key(wanted, i);

		if (!is_listed(k, preserved) || !cox_node_get_str(map, k))
			cox_map_put_str(doc, map, k, cox_node_at(wanted, i));
	}
	if (cox_node_len(map))
		cox_map_put(doc, metadata, key, map);
	else
		cox_map_drop(doc, metadata, cox_str(key));
}

static bool is_hook_finalizer(struct cox_str text)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(hook_finalizers); i++)
		if (cox_str_starts(text, hook_finalizers[i]))
			return true;
	return false;
}

static void put_finalizers(struct cox_doc *doc, struct cox_node *metadata,
			   const struct cox_node *wanted)
{
	const struct cox_node *live = cox_node_get(metadata, "finalizers");
	struct cox_node *list = cox_doc_list(doc);

	for (size_t i = 0; i < cox_node_len(wanted); i++)
		cox_list_push(doc, list, cox_node_at(wanted, i));
	for (size_t i = 0; i < cox_node_len(live); i++)
		if (is_hook_finalizer(cox_node_str(cox_node_at(live, i))) &&
		    !is_listed(cox_node_str(cox_node_at(live, i)), list))
			cox_list_push(doc, list, cox_node_at(live, i));
	if (cox_node_len(list))
		cox_map_put(doc, metadata, "finalizers", list);
	else
		cox_map_drop(doc, metadata, COX_STR("finalizers"));
}

/* ---- ignoreApplicationDifferences ---- */

/* One part of a JSON pointer, unescaped; false at its end. */
static bool next_part(struct cox_str *rest, struct cox_buf *part)
{
	struct cox_str raw;

	if (!rest->ptr || !cox_str_split(rest, '/', &raw))
		return false;
	cox_buf_clear(part);
	for (size_t i = 0; i < raw.len; i++) {
		bool escape = raw.ptr[i] == '~' && i + 1 < raw.len;

		if (escape && raw.ptr[i + 1] == '1')
			cox_buf_putc(part, '/');
		else if (escape && raw.ptr[i + 1] == '0')
			cox_buf_putc(part, '~');
		else {
			cox_buf_putc(part, raw.ptr[i]);
			escape = false;
		}
		i += escape;
	}
	return true;
}

/* The value at the pointer in `to` becomes what it is in `from`. Lists are wholes: a pointer into
 * one restores the list. */
static void restore(struct cox_doc *doc, struct cox_node *to, const struct cox_node *from,
		    struct cox_str pointer)
{
	_cleanup_buf_ struct cox_buf part = COX_BUF_INIT;
	struct cox_str rest = pointer;

	if (!cox_str_starts(pointer, "/"))
		return;
	rest = (struct cox_str){pointer.ptr + 1, pointer.len - 1};
	while (next_part(&rest, &part)) {
		const struct cox_node *live = cox_node_get_str(from, cox_buf_str(&part));

		if (rest.ptr && cox_node_is(live, COX_MAP)) {
			to = cox_map_edit_map(doc, to, cox_buf_cstr(&part));
			from = live;
			continue;
		}
		if (live)
			cox_map_put_str(doc, to, cox_buf_str(&part), live);
		else if (!rest.ptr)
			cox_map_drop(doc, to, cox_buf_str(&part));
		return;
	}
}

static void restore_ignored(struct cox_doc *doc, struct cox_node *root, const struct cox_node *live,
			    const struct hub_appset *set)
{
	const struct cox_node *rules = set->ignore_application_differences;

	for (size_t i = 0; i < cox_node_len(rules); i++) {
		const struct cox_node *rule = cox_node_at(rules, i);
		const struct cox_node *pointers = COX_GET(rule, "jsonPointers");
		const char *name = cox_node_cstr(COX_GET(rule, "name"), "");

		if (*name && strcmp(name, hub_object_name(live)) != 0)
			continue;
		for (size_t k = 0; k < cox_node_len(pointers); k++)
			restore(doc, root, live, cox_node_str(cox_node_at(pointers, k)));
	}
}

/* ---- the update ---- */

struct cox_doc *hub_generate_update(const struct hub_appset *set, struct cox_doc *existing,
				    struct cox_doc *generated)
{
	struct cox_doc *doc = cox_doc_edit(existing);
	const struct cox_node *live = cox_doc_root(existing), *wanted = cox_doc_root(generated);
	struct cox_node *root = cox_doc_root_edit(doc);
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	const struct cox_node *owners = COX_GET(wanted, "metadata", "ownerReferences");

	cox_doc_use(doc, generated);
	put_map(doc, metadata, "labels", COX_GET(wanted, "metadata", "labels"),
		set->preserved_labels, NULL, 0);
	put_map(doc, metadata, "annotations", COX_GET(wanted, "metadata", "annotations"),
		set->preserved_annotations, foreign_annotations,
		COX_ARRAY_LEN(foreign_annotations));
	put_finalizers(doc, metadata, COX_GET(wanted, "metadata", "finalizers"));
	if (owners)
		cox_map_put(doc, metadata, "ownerReferences", owners);
	cox_map_put(doc, root, "spec", COX_GET(wanted, "spec"));
	restore_ignored(doc, root, live, set);
	return cox_doc_seal(doc);
}

bool hub_generate_is_same(const struct hub_appset *set, struct cox_doc *existing,
			  struct cox_doc *generated)
{
	_cleanup_doc_ struct cox_doc *updated = hub_generate_update(set, existing, generated);

	return cox_node_equal(cox_doc_root(updated), cox_doc_root(existing));
}
