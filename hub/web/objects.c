/* Objects: apply, list, get, delete. */
#include "hub/model/kind.h"
#include "hub/web/internal.h"

#define APPLY_MAX 2000

/* ---- apply ---- */

static int flatten(struct cox_doc *body, const struct cox_node *node, cox_docs *ret,
		   struct cox_error *err)
{
	const struct cox_node *items = node;

	if (cox_node_is(node, COX_MAP)) {
		if (!cox_str_is(cox_node_str(cox_node_get(node, "kind")), "List")) {
			cox_vec_push(ret, cox_doc_view(body, node));
			return 0;
		}
		items = cox_node_get(node, "items");
	}
	if (!cox_node_is(items, COX_LIST))
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the body must be an object, a List, or an array of objects");
	if (cox_node_len(items) > APPLY_MAX)
		return cox_error(err, COX_INVALID_ARGUMENT, "at most %d objects at once",
				 APPLY_MAX);
	for (size_t i = 0; i < cox_node_len(items); i++)
		cox_vec_push(ret, cox_doc_view(body, cox_node_at(items, i)));
	return 0;
}

static struct cox_node *applied_node(struct cox_doc *doc, struct hub_control *c,
				     const struct cox_node *object, enum hub_applied applied)
{
	static const char *const words[] = {"unchanged", "created", "configured"};
	const struct hub_kind_info *info = hub_kind_info(hub_kind_of(object));
	struct cox_node *map = cox_doc_map(doc);
	const char *namespace = hub_object_namespace(object);

	cox_map_put_cstr(doc, map, "apiVersion", info->api_version);
	cox_map_put_cstr(doc, map, "kind", info->name);
	if (info->namespaced)
		cox_map_put_cstr(doc, map, "namespace",
				 *namespace ? namespace : hub_control_namespace(c));
	cox_map_put_cstr(doc, map, "name", hub_object_name(object));
	cox_map_put_cstr(doc, map, "result", words[applied]);
	return map;
}

/* Who begins the operation that an applied Application carries. */
static int initiator(const struct web_call *call, const struct cox_doc *object,
		     char ret_who[WEB_WHO_MAX], struct cox_error *err)
{
	const struct cox_node *claim =
		COX_GET(cox_doc_root(object), "operation", "initiatedBy", "username");

	if (web_who(call, cox_node_cstr(claim, NULL), NULL, ret_who, err) < 0)
		return cox_error_wrap(err, "operation.initiatedBy");
	return 0;
}

/* All are checked before any is applied. */
static int check_all(const struct web_call *call, const cox_docs *objects, struct cox_error *err)
{
	char who[WEB_WHO_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < objects->n; i++) {
		r = hub_control_check(call->web->control, objects->items[i], err);
		if (r == 0)
			r = initiator(call, objects->items[i], who, err);
		if (r < 0 && objects->n > 1)
			cox_error_wrap(err, "object %zu of %zu, '%s'", i + 1, objects->n,
				       hub_object_name(cox_doc_root(objects->items[i])));
	}
	return r < 0 ? -err->code : 0;
}

void web_apply(struct web_call *call)
{
	struct hub_control *c = call->web->control;
	COX_CLEANUP(hub_batch_free_p) struct hub_batch *batch = hub_batch_new();
	_cleanup_doc_ struct cox_doc *body = NULL, *doc = cox_doc_new("applied");
	struct cox_node *map = cox_doc_map(doc), *list = cox_doc_list(doc);
	_cleanup_docs_ cox_docs objects = {0};
	struct cox_error err = COX_ERROR_INIT;
	bool dry = web_flag(call, "dryRun");
	int r = web_body(call, &body, &err);

	if (r == 0)
		r = flatten(body, cox_doc_root(body), &objects, &err);
	if (r == 0)
		r = check_all(call, &objects, &err);
	for (size_t i = 0; r == 0 && i < objects.n; i++) {
		enum hub_applied applied = HUB_UNCHANGED;
		char who[WEB_WHO_MAX];

		if (!dry)
			r = hub_control_apply(c, batch, objects.items[i], &applied, &err);
		if (r == 0)
			r = initiator(call, objects.items[i], who, &err);
		if (r == 0 && !dry)
			hub_control_act(c, batch, objects.items[i], who);
		if (r == 0)
			cox_list_push(
				doc, list,
				applied_node(doc, c, cox_doc_root(objects.items[i]), applied));
	}
	if (r < 0) {
		/* What the checks let through can fail only for what they do not see; what went
		 * before it stands, in memory, so it must stand on the disk. */
		hub_store_commit(hub_control_store(c), TAKE(batch));
		web_reply_error(call->request, &err);
		return;
	}
	cox_map_put(doc, map, "items", list);
	web_reply_after(call, TAKE(batch), 200, map);
}

/* ---- list, get, delete ---- */

/* HUB_KIND_NONE: it has been answered, the request is gone. */
static enum hub_kind kind_of(struct web_call *call)
{
	for (int k = HUB_KIND_NONE + 1; k < HUB_N_KINDS; k++)
		if (strcmp(hub_kind_info(k)->plural, call->vars[0]) == 0)
			return k;
	web_reply_code(call->request, COX_NOT_FOUND, "no such path");
	return HUB_KIND_NONE;
}

void web_list(struct web_call *call)
{
	enum hub_kind kind = kind_of(call);
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("list");
	struct cox_node *map = cox_doc_map(doc), *list = cox_doc_list(doc);
	_cleanup_docs_ cox_docs objects = {0};
	const char *namespace;

	if (kind == HUB_KIND_NONE)
		return;
	namespace = cox_http_query(call->request, "namespace");
	if (cox_streq(namespace, "-"))
	namespace = hub_control_namespace(call->web->control);
	hub_control_list(call->web->control, kind, namespace, &objects);
	COX_VEC_EACH (&objects, o) {
		cox_doc_use(doc, *o);
		cox_list_push(doc, list, cox_doc_root(*o));
	}
	cox_map_put_cstr(doc, map, "apiVersion", hub_kind_info(kind)->api_version);
	cox_map_put(doc, map, "kind", cox_doc_stringf(doc, "%sList", hub_kind_info(kind)->name));
	cox_map_put(doc, map, "items", list);
	web_reply_node(call->request, 200, map);
}

static const char *namespace_of(const char *text)
{
	return strcmp(text, "-") == 0 ? NULL : text;
}

/* false: it has been answered. */
static bool check_scope(struct web_call *call, enum hub_kind kind, bool namespaced)
{
	if (hub_kind_info(kind)->namespaced == namespaced)
		return true;
	web_reply_code(call->request, COX_NOT_FOUND, "%s are named by %s",
		       hub_kind_info(kind)->plural, namespaced ? "NAME" : "NAMESPACE/NAME");
	return false;
}

static void get(struct web_call *call, const char *namespace, const char *name, bool namespaced)
{
	enum hub_kind kind = kind_of(call);
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (kind == HUB_KIND_NONE || !check_scope(call, kind, namespaced))
		return;
	if (hub_control_get(call->web->control, kind, namespace, name, &doc, &err) < 0)
		web_reply_error(call->request, &err);
	else
		web_reply_node(call->request, 200, cox_doc_root(doc));
}

void web_get(struct web_call *call)
{
	get(call, NULL, call->vars[1], false);
}

void web_get_namespaced(struct web_call *call)
{
	get(call, namespace_of(call->vars[1]), call->vars[2], true);
}

/* ?cascade=true|false, ?propagationPolicy=foreground|background|orphan */
static int how_of(struct web_call *call, enum hub_delete *ret, struct cox_error *err)
{
	static const struct {
		const char *word;
		enum hub_delete how;
	} words[] = {{"foreground", HUB_DELETE_FOREGROUND},
		     {"background", HUB_DELETE_BACKGROUND},
		     {"orphan", HUB_DELETE_ORPHAN}};
	const char *cascade = cox_http_query(call->request, "cascade");
	const char *policy = cox_http_query(call->request, "propagationPolicy");

	*ret = !cascade			   ? HUB_DELETE_DEFAULT
	       : web_flag(call, "cascade") ? HUB_DELETE_CASCADE
					   : HUB_DELETE_ORPHAN;
	if (!policy || *ret == HUB_DELETE_ORPHAN)
		return 0;
	for (size_t i = 0; i < COX_ARRAY_LEN(words); i++)
		if (strcmp(words[i].word, policy) == 0) {
			*ret = words[i].how;
			return 0;
		}
	return cox_error(err, COX_INVALID_ARGUMENT,
			 "propagationPolicy: foreground, background or orphan, not '%s'", policy);
}

static void remove_object(struct web_call *call, const char *namespace, const char *name,
			  bool namespaced)
{
	struct hub_control *c = call->web->control;
	enum hub_kind kind = kind_of(call);
	COX_CLEANUP(hub_batch_free_p) struct hub_batch *batch = NULL;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("deleted");
	struct cox_node *map = cox_doc_map(doc);
	struct cox_error err = COX_ERROR_INIT;
	enum hub_delete how = HUB_DELETE_DEFAULT;
	int r;

	if (kind == HUB_KIND_NONE || !check_scope(call, kind, namespaced))
		return;
	batch = hub_batch_new();
	r = how_of(call, &how, &err);
	if (r == 0 && web_flag(call, "forget"))
		r = kind == HUB_APPLICATION
			    ? hub_control_forget(c, batch, namespace, name, how, call->who, &err)
			    : cox_error(&err, COX_INVALID_ARGUMENT,
					"only applications can be forgotten");
	else if (r == 0)
		r = hub_control_delete(c, batch, kind, namespace, name, how, &err);
	if (r < 0) {
		web_reply_error(call->request, &err);
		return;
	}
	cox_map_put_cstr(doc, map, "result",
			 r != 0			    ? "deleting"
			 : web_flag(call, "forget") ? "forgotten"
						    : "deleted");
	web_reply_after(call, TAKE(batch), 200, map);
}

void web_delete(struct web_call *call)
{
	remove_object(call, NULL, call->vars[1], false);
}

void web_delete_namespaced(struct web_call *call)
{
	remove_object(call, namespace_of(call->vars[1]), call->vars[2], true);
}
