#include "tests/kubesim/present.h"

#include "common/kube/meta.h"

static bool param_is(struct cox_str params, const char *want)
{
	struct cox_str part;

	while (cox_str_split(&params, ';', &part))
		if (cox_str_is(cox_str_trim(part), want))
			return true;
	return false;
}

enum ks_form ks_form_of(const char *accept)
{
	static const char *const types[] = {"application/json", "application/yaml", "*/*",
					    "application/*"};
	struct cox_str rest = cox_str(accept ? accept : "*/*"), item;

	if (!*rest.ptr)
		return KS_FORM_OBJECT;
	while (cox_str_split(&rest, ',', &item)) {
		struct cox_str params = cox_str_trim(item), type;
		cox_str_split(&params, ';', &type);
		type = cox_str_trim(type);
		bool known = false;
		for (size_t i = 0; i < COX_ARRAY_LEN(types); i++)
			known = known || cox_str_is(type, types[i]);
		if (!known)
			continue;
		if (!params.ptr)
			return KS_FORM_OBJECT;
		bool meta = param_is(params, "g=meta.k8s.io");
		if (meta && param_is(params, "as=Table"))
			return KS_FORM_TABLE;
		if (meta && (param_is(params, "as=PartialObjectMetadata") ||
			     param_is(params, "as=PartialObjectMetadataList")))
			return KS_FORM_PARTIAL;
		/* as something that is not offered: try the next */
		if (!memmem(item.ptr, item.len, "as=", 3))
			return KS_FORM_OBJECT;
	}
	return KS_FORM_NONE;
}

static struct cox_node *partial(struct cox_doc *doc, const struct cox_node *object)
{
	struct cox_node *out = cox_doc_map(doc);

	cox_map_put_cstr(doc, out, "kind", "PartialObjectMetadata");
	cox_map_put_cstr(doc, out, "apiVersion", "meta.k8s.io/v1");
	cox_map_put(doc, out, "metadata", cox_node_get(object, "metadata"));
	return out;
}

static void push_row(struct cox_doc *doc, struct cox_node *rows, const struct ks_kind *kind,
		     const struct cox_node *object, int64_t now_ms)
{
	struct cox_node *row = cox_doc_map(doc);

	cox_map_put(doc, row, "cells", ks_table_cells(doc, kind, object, now_ms));
	cox_map_put(doc, row, "object", partial(doc, object));
	cox_list_push(doc, rows, row);
}

static struct cox_node *table(struct cox_doc *doc, const struct ks_kind *kind, bool with_columns)
{
	struct cox_node *out = cox_doc_map(doc);

	cox_map_put_cstr(doc, out, "kind", "Table");
	cox_map_put_cstr(doc, out, "apiVersion", "meta.k8s.io/v1");
	cox_map_put(doc, out, "metadata", cox_doc_map(doc));
	cox_map_put(doc, out, "columnDefinitions",
		    with_columns ? ks_table_columns(doc, kind) : cox_doc_null(doc));
	return out;
}

/* The object in the version that was asked for. */
static const struct cox_node *in_version(struct cox_doc *doc, const struct ks_kind *kind,
					 const struct cox_node *object)
{
	if (cox_str_is(cox_meta_api_version(object), kind->api_version))
		return object;
	struct cox_node *copy = cox_doc_clone(doc, object);
	cox_map_put_cstr(doc, copy, "apiVersion", kind->api_version);
	return copy;
}

const struct cox_node *ks_present(struct cox_doc *doc, enum ks_form form,
				  const struct ks_kind *kind, const struct cox_node *object,
				  int64_t now_ms, bool with_columns)
{
	if (form == KS_FORM_PARTIAL)
		return partial(doc, object);
	if (form == KS_FORM_OBJECT)
		return in_version(doc, kind, object);
	struct cox_node *out = table(doc, kind, with_columns);
	struct cox_node *rows = cox_doc_list(doc);
	push_row(doc, rows, kind, object, now_ms);
	cox_map_put(doc, out, "rows", rows);
	cox_map_put(doc, cox_map_edit_map(doc, out, "metadata"), "resourceVersion",
		    COX_GET(object, "metadata", "resourceVersion"));
	return out;
}

static struct cox_node *list_item(struct cox_doc *doc, const struct ks_kind *kind,
				  const struct cox_node *object)
{
	struct cox_node *item = cox_doc_map(doc);

	COX_DOC_MAP_EACH (object, i, key, value) {
		if (!cox_str_is(key, "apiVersion") && !cox_str_is(key, "kind"))
			cox_map_put_str(doc, item, key, value);
	}
	if (kind->custom) {
		cox_map_put_cstr(doc, item, "apiVersion", kind->api_version);
		cox_map_put_cstr(doc, item, "kind", kind->names.kind);
	}
	return item;
}

struct cox_node *ks_present_list(struct cox_doc *doc, enum ks_form form, const struct ks_kind *kind,
				 const struct cox_node *const *items, size_t n, int64_t now_ms)
{
	struct cox_node *list = cox_doc_list(doc), *out;

	if (form == KS_FORM_TABLE) {
		out = table(doc, kind, true);
		for (size_t i = 0; i < n; i++)
			push_row(doc, list, kind, items[i], now_ms);
		cox_map_put(doc, out, "rows", list);
		return out;
	}
	out = cox_doc_map(doc);
	bool is_partial = form == KS_FORM_PARTIAL;
	cox_map_put_cstr(doc, out, "kind",
			 is_partial ? "PartialObjectMetadataList" : kind->list_kind);
	cox_map_put_cstr(doc, out, "apiVersion", is_partial ? "meta.k8s.io/v1" : kind->api_version);
	cox_map_put(doc, out, "metadata", cox_doc_map(doc));
	for (size_t i = 0; i < n; i++)
		cox_list_push(doc, list,
			      is_partial ? partial(doc, items[i]) : list_item(doc, kind, items[i]));
	cox_map_put(doc, out, "items", list);
	return out;
}
