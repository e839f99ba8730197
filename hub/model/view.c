#include "hub/model/view.h"

#include "common/base/encode.h"

#include "common/base/clock.h"
#include "hub/model/check.h"

int hub_view_check(const struct cox_doc *doc, enum hub_kind kind, struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc);

	if (hub_kind_of(root) != kind)
		return cox_node_error(err, doc, root, "expected kind %s of %s, got '%s' of '%s'",
				      hub_kind_info(kind)->name, hub_kind_info(kind)->api_version,
				      hub_view_text(root, "kind"),
				      hub_view_text(root, "apiVersion"));
	return hub_validate(doc, err);
}

const char *hub_view_text(const struct cox_node *map, const char *key)
{
	return cox_node_cstr(cox_node_get(map, key), "");
}

const struct cox_node *hub_view_map(const struct cox_node *node)
{
	return cox_node_is(node, COX_MAP) ? node : NULL;
}

const struct cox_node *hub_view_list(const struct cox_node *node)
{
	return cox_node_is(node, COX_LIST) ? node : NULL;
}

int64_t hub_view_duration(const struct cox_node *map, const char *key, int64_t otherwise_ms)
{
	struct cox_str text = cox_node_str(cox_node_get(map, key));
	int64_t ms;

	return text.len && cox_duration_parse(text, &ms, NULL) == 0 ? ms : otherwise_ms;
}

bool hub_view_is_deleting(const struct cox_node *root)
{
	return *cox_node_cstr(COX_GET(root, "metadata", "deletionTimestamp"), "");
}

char *hub_view_secret(const struct cox_node *root, const char *key)
{
	const struct cox_node *plain = COX_GET(root, "stringData", key);
	struct cox_buf bytes = COX_BUF_INIT;

	if (plain)
		cox_buf_puts_str(&bytes, cox_node_str(plain));
	else
		(void)cox_base64_decode(&bytes, cox_node_str(COX_GET(root, "data", key)), NULL);
	return cox_buf_take(&bytes);
}
