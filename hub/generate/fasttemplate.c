#include "hub/generate/fasttemplate.h"

void hub_fasttemplate(struct cox_buf *out, struct cox_str text, const struct cox_map *params)
{
	struct cox_str rest = text;

	while (rest.len) {
		const char *open = memmem(rest.ptr, rest.len, "{{", 2), *close;
		struct cox_str tag;
		const char *value;
		size_t before;

		if (!open)
			break;
		before = (size_t)(open - rest.ptr);
		close = memmem(open + 2, rest.len - before - 2, "}}", 2);
		if (!close)
			break;
		tag = (struct cox_str){open + 2, (size_t)(close - open) - 2};
		cox_buf_add(out, rest.ptr, before);
		value = cox_map_get_str(params, cox_str_trim(tag));
		if (value)
			cox_buf_puts(out, value);
		else
			cox_buf_add(out, open, (size_t)(close - open) + 2);
		rest = (struct cox_str){close + 2, rest.len - before - tag.len - 4};
	}
	cox_buf_puts_str(out, rest);
}

static const struct cox_node *render_string(struct cox_doc *doc, const struct cox_node *node,
					    const struct cox_map *params)
{
	struct cox_str text = cox_node_str(node);
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	hub_fasttemplate(&out, text, params);
	return cox_doc_string(doc, cox_buf_str(&out));
}

static int render_map(struct cox_doc *doc, const struct cox_doc *origin,
		      const struct cox_node *node, const struct cox_map *params,
		      const struct cox_node **ret_node, struct cox_error *err)
{
	struct cox_node *map = cox_doc_map(doc);

	for (size_t i = 0; i < cox_node_len(node); i++) {
		_cleanup_buf_ struct cox_buf key = COX_BUF_INIT;
		const struct cox_node *value;
		int r;

		hub_fasttemplate(&key, cox_node_key(node, i), params);
		if (cox_node_find(map, cox_buf_str(&key)) >= 0)
			return cox_node_error(err, origin, cox_node_at(node, i),
					      "two keys become '%s'", cox_buf_cstr(&key));
		r = hub_fasttemplate_node(doc, origin, cox_node_at(node, i), params, &value, err);
		if (r < 0)
			return r;
		cox_map_put_str(doc, map, cox_buf_str(&key), value);
	}
	*ret_node = map;
	return 0;
}

static int render_list(struct cox_doc *doc, const struct cox_doc *origin,
		       const struct cox_node *node, const struct cox_map *params,
		       const struct cox_node **ret_node, struct cox_error *err)
{
	struct cox_node *list = cox_doc_list(doc);

	for (size_t i = 0; i < cox_node_len(node); i++) {
		const struct cox_node *value;
		int r = hub_fasttemplate_node(doc, origin, cox_node_at(node, i), params, &value,
					      err);

		if (r < 0)
			return r;
		cox_list_push(doc, list, value);
	}
	*ret_node = list;
	return 0;
}

/* As deep as the document is, which its reader bounds. */
int hub_fasttemplate_node(struct cox_doc *doc, const struct cox_doc *origin,
			  const struct cox_node *node, const struct cox_map *params,
			  const struct cox_node **ret_node, struct cox_error *err)
{
	switch (cox_node_kind(node)) {
	case COX_MAP:
		return render_map(doc, origin, node, params, ret_node, err);
	case COX_LIST:
		return render_list(doc, origin, node, params, ret_node, err);
	case COX_STRING:
		*ret_node = render_string(doc, node, params);
		return 0;
	default:
		*ret_node = cox_doc_clone(doc, node);
		return 0;
	}
}
