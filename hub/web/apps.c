/* Applications: sync, refresh, terminate, resources, manifests. */
#include "common/base/encode.h"
#include "hub/web/internal.h"

static const char *ns(struct web_call *call)
{
	return strcmp(call->vars[0], "-") == 0 ? NULL : call->vars[0];
}

static void reply_operation(struct web_call *call, struct hub_batch *batch_taken, const char *id,
			    const char *revision)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("operation");
	struct cox_node *map = cox_doc_map(doc), *operation = cox_doc_map(doc);

	cox_map_put_cstr(doc, operation, "id", id);
	cox_map_put(doc, map, "operation", operation);
	cox_map_put_cstr(doc, map, "revision", revision);
	web_reply_after(call, batch_taken, 200, map);
}

void web_sync(struct web_call *call)
{
	COX_CLEANUP(hub_batch_free_p) struct hub_batch *batch = hub_batch_new();
	_cleanup_doc_ struct cox_doc *body = NULL;
	_cleanup_free_ char *revision = NULL;
	struct cox_error err = COX_ERROR_INIT;
	const struct cox_node *root;
	char id[COX_UUID_TEXT];
	int r = web_body(call, &body, &err);

	if (r == 0) {
		root = cox_doc_root(body);
		r = hub_control_sync(
			call->web->control, batch, ns(call), call->vars[1],
			&(struct hub_sync_request){
				.prune = cox_node_bool(cox_node_get(root, "prune"), false),
				.dry_run = cox_node_bool(cox_node_get(root, "dryRun"), false),
				.force = cox_node_bool(cox_node_get(root, "force"), false),
				.skip_hooks = cox_node_bool(cox_node_get(root, "skipHooks"), false),
				.resources = cox_node_get(root, "resources"),
				.initiated_by = "admin"},
			id, &revision, &err);
	}
	if (r < 0)
		web_reply_error(call->request, &err);
	else
		reply_operation(call, TAKE(batch), id, revision);
}

void web_terminate(struct web_call *call)
{
	COX_CLEANUP(hub_batch_free_p) struct hub_batch *batch = hub_batch_new();
	struct cox_error err = COX_ERROR_INIT;
	char id[COX_UUID_TEXT];

	if (hub_control_terminate(call->web->control, batch, ns(call), call->vars[1], id, &err) < 0)
		web_reply_error(call->request, &err);
	else
		reply_operation(call, TAKE(batch), id, NULL);
}

static void reply_refreshing(struct web_call *call, int r, const struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("refresh");
	struct cox_node *map = cox_doc_map(doc);

	if (r < 0) {
		web_reply_error(call->request, err);
		return;
	}
	cox_map_put_cstr(doc, map, "result", "refreshing");
	web_reply_node(call->request, 200, map);
}

void web_refresh(struct web_call *call)
{
	struct cox_error err = COX_ERROR_INIT;
	int r = hub_control_refresh(call->web->control, ns(call), call->vars[1],
				    web_flag(call, "hard"), &err);

	reply_refreshing(call, r, &err);
}

void web_refresh_set(struct web_call *call)
{
	struct cox_error err = COX_ERROR_INIT;
	int r = hub_control_refresh_set(call->web->control, ns(call), call->vars[1], &err);

	reply_refreshing(call, r, &err);
}

void web_resources(struct web_call *call)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (hub_control_resources(call->web->control, ns(call), call->vars[1], &doc, &err) < 0)
		web_reply_error(call->request, &err);
	else
		web_reply_node(call->request, 200, cox_doc_root(doc));
}

/* ---- manifests: the bundle is read behind what was written before ---- */

struct reading {
	struct cox_http_request *request; /* NULL: the client went */
	char *revision;
	char hex[2 * HUB_DIGEST_BYTES + 1];
};

static void reading_gone(void *arg)
{
	((struct reading *)arg)->request = NULL;
}

static void mask(struct cox_doc *doc, struct cox_node *object, const char *field)
{
	struct cox_node *values;

	if (!cox_node_is(cox_node_get(object, field), COX_MAP))
		return;
	values = cox_map_edit_map(doc, object, field);
	for (size_t i = 0; i < cox_node_len(values); i++)
		cox_map_put_str(doc, values, cox_node_key(values, i),
				cox_doc_cstring(doc, HUB_SECRET_MASK));
}

static void reply_bundle(const struct reading *q, struct cox_doc *bundle)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("manifests");
	struct cox_node *map = cox_doc_map(doc), *items;

	cox_doc_use(doc, bundle);
	cox_doc_set_root(doc, map);
	cox_map_put_cstr(doc, map, "revision", q->revision);
	cox_map_put_cstr(doc, map, "digest", q->hex);
	cox_map_put(doc, map, "items", cox_doc_root(bundle));
	items = cox_map_edit_list(doc, map, "items");
	for (size_t i = 0; i < cox_node_len(items); i++) {
		const struct cox_node *o = cox_node_at(items, i);

		if (!cox_str_is(cox_node_str(cox_node_get(o, "kind")), "Secret") ||
		    !cox_str_is(cox_node_str(cox_node_get(o, "apiVersion")), "v1"))
			continue;
		mask(doc, cox_list_edit(doc, items, i), "data");
		mask(doc, cox_list_edit(doc, items, i), "stringData");
	}
	web_reply_node(q->request, 200, cox_doc_root(doc));
}

static void reading_done(void *arg, struct cox_buf *row, const struct cox_error *error)
{
	struct reading *q = arg;
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *bundle = NULL;
	struct cox_error err = error ? *error : COX_ERROR_INIT;
	int r = error ? -error->code : 0;

	if (q->request) {
		if (r == 0)
			r = hub_bundle_unpack(cox_buf_str(row), &json, &err);
		if (r == 0)
			r = cox_json_read(cox_buf_str(&json), "bundle", &bundle, &err);
		if (r < 0)
			web_reply_error(q->request, &err);
		else
			reply_bundle(q, bundle);
	}
	free(q->revision);
	free(q);
}

void web_manifests(struct web_call *call)
{
	const char *which = cox_http_query(call->request, "which");
	struct cox_error err = COX_ERROR_INIT;
	uint8_t digest[HUB_DIGEST_BYTES];
	char *revision = NULL;
	struct reading *q;

	if (hub_control_bundle(call->web->control, ns(call), call->vars[1],
			       cox_streq(which, "sync"), digest, &revision, &err) < 0) {
		web_reply_error(call->request, &err);
		return;
	}
	q = cox_new(struct reading);
	q->request = call->request;
	q->revision = revision;
	cox_hex_encode(digest, sizeof(digest), q->hex);
	cox_http_on_gone(call->request, reading_gone, q);
	hub_store_read(hub_control_store(call->web->control), HUB_TABLE_BUNDLE, q->hex,
		       reading_done, q);
}
