/* Documents made comparable: stringData folded, placeholders taken off. */
#include "agent/compare/compare.h"

#include "common/base/encode.h"
#include "common/kube/meta.h"

static struct cox_doc *fold_strings(struct cox_doc *object)
{
	const struct cox_node *strings = cox_node_get(cox_doc_root(object), "stringData");

	if (!strings)
		return cox_doc_ref(object);
	struct cox_doc *doc = cox_doc_edit(object);
	struct cox_node *edited = cox_doc_root_edit(doc);

	if (cox_node_is(strings, COX_MAP) && cox_node_len(strings) > 0) {
		struct cox_node *data = cox_map_edit_map(doc, edited, "data");

		for (size_t i = 0; i < cox_node_len(strings); i++) {
			COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
			struct cox_str plain = cox_node_str(cox_node_at(strings, i));

			cox_base64_encode(&text, plain.ptr, plain.len);
			cox_map_put_str(doc, data, cox_node_key(strings, i),
					cox_doc_string(doc, cox_buf_str(&text)));
		}
	}
	cox_map_drop(doc, edited, COX_STR("stringData"));
	return cox_doc_seal(doc);
}

/* ---- CA bundles that somebody in the cluster fills in ---- */

/* Empty, or a line end in base64, which generators of manifests write for it. */
static bool is_placeholder(const struct cox_node *config)
{
	const struct cox_node *bundle = cox_node_get(config, "caBundle");
	struct cox_str text = cox_node_str(bundle);

	return cox_node_is(bundle, COX_NULL) ||
	       (cox_node_is(bundle, COX_STRING) &&
		(!text.len || cox_str_is(text, "Cg==") || cox_str_is(text, "Cgo=")));
}

static struct cox_doc *drop_in_webhooks(struct cox_doc *object)
{
	const struct cox_node *hooks = cox_node_get(cox_doc_root(object), "webhooks");
	struct cox_doc *doc = NULL;

	for (size_t i = 0; i < cox_node_len(hooks); i++) {
		if (!is_placeholder(cox_node_get(cox_node_at(hooks, i), "clientConfig")))
			continue;
		if (!doc)
			doc = cox_doc_edit(object);
		struct cox_node *list = cox_map_edit(doc, cox_doc_root_edit(doc), "webhooks");
		struct cox_node *config =
			cox_map_edit(doc, cox_list_edit(doc, list, i), "clientConfig");

		cox_map_drop(doc, config, COX_STR("caBundle"));
	}
	return doc ? cox_doc_seal(doc) : cox_doc_ref(object);
}

/* In the map that the keys lead to. */
static struct cox_doc *drop_at(struct cox_doc *object, const char *const keys[], size_t n)
{
	const struct cox_node *at = cox_doc_root(object);

	for (size_t i = 0; i < n; i++)
		at = cox_node_get(at, keys[i]);
	if (!is_placeholder(at))
		return cox_doc_ref(object);
	struct cox_doc *doc = cox_doc_edit(object);
	struct cox_node *map = cox_doc_root_edit(doc);

	for (size_t i = 0; i < n; i++)
		map = cox_map_edit(doc, map, keys[i]);
	cox_map_drop(doc, map, COX_STR("caBundle"));
	return cox_doc_seal(doc);
}

static const char *const conversion[] = {"spec", "conversion", "webhook", "clientConfig"};

struct cox_doc *agent_compare_canonical(struct cox_doc *object)
{
	const struct cox_node *root = cox_doc_root(object);
	struct cox_str group = cox_meta_group(root), kind = cox_meta_kind(root);

	if (!group.len && cox_str_is(kind, "Secret"))
		return fold_strings(object);
	if (cox_str_is(group, "admissionregistration.k8s.io"))
		return drop_in_webhooks(object);
	if (cox_str_is(group, "apiextensions.k8s.io"))
		return drop_at(object, conversion, COX_ARRAY_LEN(conversion));
	if (cox_str_is(group, "apiregistration.k8s.io"))
		return drop_at(object, conversion, 1);
	return cox_doc_ref(object);
}
