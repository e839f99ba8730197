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

/* ---- sync ---- */

/* A sync whose manifests are made first. */
struct asked {
	struct web_call
		call; /* its request and variables are copies; request NULL: the client went */
	char *namespace, *name;
	struct cox_doc *body;
	struct control_ask *ask;
};

static void asked_free(struct asked *q)
{
	cox_doc_unref(q->body);
	free(q->namespace);
	free(q->name);
	free(q);
}
DEFINE_CLEANUP(struct asked *, asked_free);

static bool flag(const struct cox_node *map, const char *key)
{
	return cox_node_bool(cox_node_get(map, key), false);
}

/* strategy: {apply: {force}} or {hook: {force}}; syncOptions: a list, or {items: list}; these and
 * retryStrategy are Argo CD's names. */
static struct hub_sync_request sync_request(const struct web_call *call,
					    const struct cox_node *root)
{
	const struct cox_node *apply = COX_GET(root, "strategy", "apply");
	const struct cox_node *hook = COX_GET(root, "strategy", "hook");
	const struct cox_node *options = cox_node_get(root, "syncOptions");
	const struct cox_node *retry = cox_node_get(root, "retryStrategy");

	return (struct hub_sync_request){
		.prune = flag(root, "prune"),
		.dry_run = flag(root, "dryRun"),
		.force = flag(root, "force") || flag(apply, "force") || flag(hook, "force"),
		.skip_hooks = flag(root, "skipHooks") || cox_node_is(apply, COX_MAP),
		.skip_gates = flag(root, "skipGates"),
		.resources = cox_node_get(root, "resources"),
		.sync_options =
			cox_node_is(options, COX_MAP) ? cox_node_get(options, "items") : options,
		.retry = retry ? retry : cox_node_get(root, "retry"),
		.infos = cox_node_get(root, "infos"),
		.initiated_by = call->who};
}

static void sync_to(struct web_call *call, const char *namespace, const char *name,
		    const struct hub_sync_request *request)
{
	COX_CLEANUP(hub_batch_free_p) struct hub_batch *batch = hub_batch_new();
	_cleanup_free_ char *revision = NULL;
	struct cox_error err = COX_ERROR_INIT;
	char id[COX_UUID_TEXT];

	if (hub_control_sync(call->web->control, batch, namespace, name, request, id, &revision,
			     &err) < 0)
		web_reply_error(call->request, &err);
	else
		reply_operation(call, TAKE(batch), id, revision);
}

static void asked_gone(void *arg)
{
	struct asked *q = arg;

	hub_control_ask_cancel(q->ask);
	asked_free(q);
}

static void asked_answered(void *arg, const struct hub_bundle_at *bundle,
			   const struct cox_error *err)
{
	COX_CLEANUP(asked_free_p) struct asked *q = arg;
	struct hub_sync_request request = sync_request(&q->call, cox_doc_root(q->body));

	cox_http_on_gone(q->call.request, NULL, NULL);
	if (!bundle) {
		web_reply_error(q->call.request, err);
		return;
	}
	request.at = bundle;
	sync_to(&q->call, q->namespace, q->name, &request);
}

/* Whether the body names a revision that is not the Application's own. */
static bool is_elsewhere(const struct cox_node *root)
{
	return *cox_node_cstr(cox_node_get(root, "revision"), "") ||
	       cox_node_len(cox_node_get(root, "revisions")) > 0;
}

static int sync_to_revision(struct web_call *call, struct cox_doc *body, struct cox_error *err)
{
	struct hub_control *c = call->web->control;
	COX_CLEANUP(asked_free_p) struct asked *q = cox_new(struct asked);
	int r = flag(cox_doc_root(body), "dryRun")
			? 0
			: hub_control_check_by_hand(c, ns(call), call->vars[1], "another revision",
						    err);

	if (r < 0)
		return r;
	q->call = *call;
	q->namespace = cox_strdup(ns(call));
	q->name = cox_strdup(call->vars[1]);
	q->body = cox_doc_ref(body);
	r = hub_control_ask(c, ns(call), call->vars[1], cox_doc_root(body), asked_answered, q,
			    &q->ask, err);
	if (r < 0)
		return r;
	cox_http_on_gone(call->request, asked_gone, q);
	q = NULL;
	return 0;
}

static int sync_to_local(struct web_call *call, struct cox_doc *body, struct cox_error *err)
{
	struct hub_control *c = call->web->control;
	const struct cox_node *root = cox_doc_root(body);
	struct hub_sync_request request = sync_request(call, root);
	struct hub_bundle_at at = {.revision = ""};
	int r = request.dry_run ? 0
				: hub_control_check_by_hand(c, ns(call), call->vars[1],
							    "local manifests", err);

	if (r == 0)
		r = hub_control_local(c, body, cox_node_get(root, "manifests"), at.digest, err);
	if (r < 0)
		return r;
	request.at = &at;
	request.local = true;
	sync_to(call, ns(call), call->vars[1], &request);
	return 0;
}

void web_sync(struct web_call *call)
{
	_cleanup_doc_ struct cox_doc *body = NULL;
	struct cox_error err = COX_ERROR_INIT;
	const struct cox_node *root;
	struct hub_sync_request request;
	int r = web_body(call, &body, &err);

	root = r == 0 ? cox_doc_root(body) : NULL;
	if (r == 0 && cox_node_len(cox_node_get(root, "manifests")) > 0) {
		r = is_elsewhere(root) ? cox_error(&err, COX_INVALID_ARGUMENT,
						   "either manifests or a revision")
				       : sync_to_local(call, body, &err);
	} else if (r == 0 && is_elsewhere(root)) {
		r = sync_to_revision(call, body, &err);
	} else if (r == 0) {
		request = sync_request(call, root);
		sync_to(call, ns(call), call->vars[1], &request);
	}
	if (r < 0)
		web_reply_error(call->request, &err);
}

void web_rollback(struct web_call *call)
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
		r = hub_control_rollback(call->web->control, batch, ns(call), call->vars[1],
					 &(struct hub_rollback_request){
						 .id = cox_node_int(cox_node_get(root, "id"), -1),
						 .prune = flag(root, "prune"),
						 .dry_run = flag(root, "dryRun"),
						 .hooks = flag(root, "hooks"),
						 .force = flag(root, "force"),
						 .initiated_by = call->who},
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

	if (hub_control_terminate(call->web->control, batch, ns(call), call->vars[1], call->who, id,
				  &err) < 0)
		web_reply_error(call->request, &err);
	else
		reply_operation(call, TAKE(batch), id, NULL);
}

void web_confirm_deletion(struct web_call *call)
{
	COX_CLEANUP(hub_batch_free_p) struct hub_batch *batch = hub_batch_new();
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("confirmed");
	struct cox_node *map = cox_doc_map(doc);
	struct cox_error err = COX_ERROR_INIT;

	if (hub_control_confirm_deletion(call->web->control, batch, ns(call), call->vars[1],
					 call->who, &err) < 0) {
		web_reply_error(call->request, &err);
		return;
	}
	cox_map_put_cstr(doc, map, "result", "confirmed");
	web_reply_after(call, TAKE(batch), 200, map);
}

void web_confirm_set(struct web_call *call)
{
	COX_CLEANUP(hub_batch_free_p) struct hub_batch *batch = hub_batch_new();
	_cleanup_doc_ struct cox_doc *body = NULL, *doc = cox_doc_new("confirmed");
	struct cox_node *map = cox_doc_map(doc);
	struct cox_error err = COX_ERROR_INIT;
	const char *digest;
	int r = web_body(call, &body, &err);

	digest = r == 0 ? cox_node_cstr(COX_GET(cox_doc_root(body), "digest"), "") : "";
	if (r == 0 && !*digest)
		r = cox_error(
			&err, COX_INVALID_ARGUMENT,
			"'digest' must name what may be deleted: status.heldDeletions.digest");
	if (r == 0)
		r = hub_control_confirm_set(call->web->control, batch, ns(call), call->vars[1],
					    digest, "admin", &err);
	if (r < 0) {
		web_reply_error(call->request, &err);
		return;
	}
	cox_map_put_cstr(doc, map, "result", "confirmed");
	web_reply_after(call, TAKE(batch), 200, map);
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

static void reply_seen(struct web_call *call,
		       int (*see)(struct hub_control *c, const char *namespace, const char *name,
				  struct cox_doc **ret_doc, struct cox_error *err))
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (see(call->web->control, ns(call), call->vars[1], &doc, &err) < 0)
		web_reply_error(call->request, &err);
	else
		web_reply_node(call->request, 200, cox_doc_root(doc));
}

void web_resources(struct web_call *call)
{
	reply_seen(call, hub_control_resources);
}

void web_tree(struct web_call *call)
{
	reply_seen(call, hub_control_tree);
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

/* ---- diff ---- */

struct comparing {
	struct cox_http_request *request; /* NULL: the client went */
};

static void comparing_gone(void *arg)
{
	((struct comparing *)arg)->request = NULL;
}

static void compared(void *arg, const struct cox_doc *answer, const struct cox_error *err)
{
	struct comparing *q = arg;

	if (q->request) {
		cox_http_on_gone(q->request, NULL, NULL);
		if (answer)
			web_reply_node(q->request, 200, cox_doc_root(answer));
		else
			web_reply_error(q->request, err);
	}
	free(q);
}

void web_diff(struct web_call *call)
{
	_cleanup_doc_ struct cox_doc *body = NULL;
	struct cox_error err = COX_ERROR_INIT;
	struct comparing *q = cox_new(struct comparing);
	int r = web_body(call, &body, &err);

	q->request = call->request;
	cox_http_on_gone(call->request, comparing_gone, q);
	if (r == 0)
		r = hub_control_diff(call->web->control, ns(call), call->vars[1], body, compared, q,
				     &err);
	if (r < 0) {
		cox_http_on_gone(call->request, NULL, NULL);
		web_reply_error(call->request, &err);
		free(q);
	}
}
