/* From a request to an answer: paths, parameters, media types, verbs. */
#include "tests/kubesim/api.h"

#include "common/base/encode.h"
#include "common/doc/json.h"
#include "common/doc/patch.h"
#include "common/doc/yaml.h"
#include "common/kube/meta.h"
#include "common/kube/strategic.h"
#include "tests/kubesim/list.h"
#include "tests/kubesim/protobuf.h"
#include "tests/kubesim/write.h"

#include <stdio.h>

#define JSON "application/json"

struct api {
	struct ks_ctx ctx;
	const struct kubesim_request *request;
	struct kubesim_response *response;
	enum ks_form form;
	struct cox_map params; /* decoded, in the context's arena */
};

void ks_respond(struct kubesim_response *response, int status, const struct cox_node *body)
{
	response->status = status;
	response->content_type = JSON;
	cox_json_write(&response->body, body);
	cox_buf_putc(&response->body, '\n');
}

void ks_respond_text(struct kubesim_response *response, int status, const char *text)
{
	response->status = status;
	response->content_type = "text/plain; charset=utf-8";
	cox_buf_puts(&response->body, text);
}

static void respond_reply(struct kubesim_response *response, struct ks_reply reply)
{
	ks_respond(response, reply.status, cox_doc_root(reply.body));
	cox_doc_unref(reply.body);
}

static const char *param(void *arg, const char *name)
{
	struct api *api = arg;

	return cox_map_get(&api->params, name);
}

static bool param_is(struct api *api, const char *name, const char *value)
{
	return cox_streq(param(api, name), value);
}

static void read_params(struct api *api)
{
	struct cox_str rest = cox_str(api->request->query ? api->request->query : ""), pair;

	while (rest.len && cox_str_split(&rest, '&', &pair)) {
		_cleanup_buf_ struct cox_buf key = COX_BUF_INIT, value = COX_BUF_INIT;
		struct cox_str name;
		if (!cox_str_split(&pair, '=', &name) ||
		    cox_url_decode(&key, name, true, NULL) < 0 ||
		    (pair.ptr && cox_url_decode(&value, pair, true, NULL) < 0))
			continue;
		if (key.len && !cox_map_has(&api->params, key.ptr))
			cox_map_set(&api->params, key.ptr,
				    (void *)ks_text(&api->ctx, cox_buf_str(&value)));
	}
}

/* ---- the body ---- */

static bool is_type(const char *content_type, const char *want)
{
	size_t n = strlen(want);

	return content_type && strncmp(content_type, want, n) == 0 &&
	       (!content_type[n] || content_type[n] == ';' || content_type[n] == ' ');
}

static struct ks_reply unsupported(const char *offered)
{
	return ks_fail(415, "UnsupportedMediaType",
		       "the body of the request was in an unknown format - accepted media types "
		       "include: %s",
		       offered);
}

static struct ks_reply read_body(struct api *api, struct cox_doc **ret_doc)
{
	struct cox_str body = api->request->body;
	const char *type = api->request->content_type;
	struct cox_error err;
	int r;

	if (is_type(type, "application/yaml") || is_type(type, "application/apply-patch+yaml"))
		r = cox_yaml_read(body, "body", NULL, ret_doc, &err);
	else if (is_type(type, KS_PROTOBUF))
		r = ks_protobuf_read(body, ret_doc, &err);
	else
		r = cox_json_read(body, "body", ret_doc, &err);
	if (r == -COX_UNIMPLEMENTED)
		return unsupported("application/json, application/yaml");
	if (r < 0)
		return ks_fail(400, "BadRequest",
			       "the object provided is unrecognized (must be of type %s): couldn't "
			       "get version/kind; json parse error: %s",
			       api->ctx.kind->names.kind, err.message);
	return (struct ks_reply){0};
}

static struct ks_reply read_object(struct api *api, struct cox_doc **ret_doc)
{
	const char *type = api->request->content_type;

	if (type && *type && !is_type(type, JSON) && !is_type(type, "application/yaml") &&
	    !is_type(type, KS_PROTOBUF))
		return unsupported("application/json, application/yaml, "
				   "application/vnd.kubernetes.protobuf");
	return read_body(api, ret_doc);
}

/* ---- verbs ---- */

static struct ks_reply do_get(struct api *api)
{
	struct ks_object *o = ks_shelf_get(api->ctx.kind->shelf, api->ctx.ns, api->ctx.name);

	if (!o)
		return ks_fail_not_found(&api->ctx.kind->names, api->ctx.name);
	return ks_ok(200, cox_doc_ref(o->doc));
}

static struct ks_reply do_list(struct api *api)
{
	_cleanup_scope_ struct ks_scope scope = {0};
	bool watch = param_is(api, "watch", "true") || param_is(api, "watch", "1");
	struct ks_reply reply = ks_scope_read(&api->ctx, param, api, &scope);

	if (reply.status)
		return reply;
	if (!watch) {
		reply = ks_list(&api->ctx, &scope, api->form, param, api);
		api->form = KS_FORM_OBJECT;
		return reply;
	}
	if (param(api, "sendInitialEvents") &&
	    !param_is(api, "resourceVersionMatch", "NotOlderThan"))
		return ks_fail(
			422, "Invalid",
			"ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: "
			"resourceVersionMatch is required");
	return ks_watch_open(&api->ctx, &scope, api->form, param, api, &api->response->watch);
}

/* A kind that only asks: whoever was let in may do everything. */
static struct ks_reply review(struct cox_doc *doc, struct cox_node *root)
{
	cox_map_put_bool(doc, cox_map_edit_map(doc, root, "status"), "allowed", true);
	return ks_ok(201, cox_doc_copy(NULL, root));
}

static struct ks_reply do_create(struct api *api)
{
	_cleanup_doc_ struct cox_doc *body = NULL, *doc = cox_doc_new("object");
	struct cox_node *root;

	struct ks_reply reply = read_object(api, &body);
	if (!reply.status)
		reply = ks_decode(&api->ctx, doc, cox_doc_root(body), &root);
	if (!reply.status && (api->ctx.kind->flags & KS_CREATE_ONLY))
		return review(doc, root);
	if (!reply.status)
		reply = ks_create(&api->ctx, doc, root);
	return reply;
}

static struct ks_reply do_update(struct api *api)
{
	_cleanup_doc_ struct cox_doc *body = NULL, *doc = cox_doc_new("object");
	struct cox_node *root;

	struct ks_reply reply = read_object(api, &body);
	if (!reply.status)
		reply = ks_decode(&api->ctx, doc, cox_doc_root(body), &root);
	if (!reply.status)
		reply = ks_update(&api->ctx, doc, root);
	return reply;
}

static const char *patch_types(const struct ks_kind *kind)
{
	return kind->custom ? "application/json-patch+json, application/merge-patch+json, "
			      "application/apply-patch+yaml"
			    : "application/json-patch+json, application/merge-patch+json, "
			      "application/strategic-merge-patch+json, "
			      "application/apply-patch+yaml";
}

static struct ks_reply apply_patch(struct api *api)
{
	_cleanup_doc_ struct cox_doc *body = NULL;

	if (!api->ctx.named_manager) {
		static const struct ks_names names = {"meta.k8s.io", "PatchOptions", ""};
		_cleanup_causes_ struct ks_causes causes = {0};
		ks_cause_add(&causes, "FieldValueRequired", "fieldManager",
			     "Required value: is required for apply patch");
		return ks_fail_invalid(&names, "", &causes);
	}
	struct ks_reply reply = read_body(api, &body);
	if (!reply.status)
		reply = ks_apply(&api->ctx, cox_doc_root(body));
	return reply;
}

/* The live object with the patch on it, before decoding. */
static struct ks_reply patched(struct api *api, struct cox_doc *live, struct cox_doc *patch,
			       struct cox_doc **ret_doc)
{
	const char *type = api->request->content_type;
	struct cox_error err;
	int r = 0;

	if (is_type(type, "application/json-patch+json"))
		r = cox_json_patch(live, patch, NULL, 0, ret_doc, &err);
	else if (is_type(type, "application/merge-patch+json"))
		*ret_doc = cox_merge_patch(live, patch, NULL);
	else
		r = cox_strategic_patch(live, patch, NULL, api->ctx.kind->type, ret_doc, &err);
	if (r < 0)
		return ks_fail_bare(
			422, "Invalid",
			"the server rejected our request due to an error in our request");
	return (struct ks_reply){0};
}

static struct ks_reply do_patch(struct api *api)
{
	_cleanup_doc_ struct cox_doc *body = NULL, *live = NULL, *result = NULL;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("object");
	const char *type = api->request->content_type;
	struct cox_node *root;

	if (is_type(type, "application/apply-patch+yaml"))
		return apply_patch(api);
	bool strategic = is_type(type, "application/strategic-merge-patch+json");
	if ((strategic && api->ctx.kind->custom) ||
	    (!strategic && !is_type(type, "application/json-patch+json") &&
	     !is_type(type, "application/merge-patch+json")))
		return unsupported(patch_types(api->ctx.kind));
	struct ks_reply reply = read_body(api, &body);
	if (reply.status)
		return reply;
	struct ks_object *o = ks_shelf_get(api->ctx.kind->shelf, api->ctx.ns, api->ctx.name);
	if (!o)
		return ks_fail_not_found(&api->ctx.kind->names, api->ctx.name);
	live = cox_doc_new("live");
	struct cox_node *copy = cox_doc_clone(live, cox_doc_root(o->doc));
	cox_map_put_cstr(live, copy, "apiVersion", api->ctx.kind->api_version);
	cox_doc_set_root(live, copy);
	cox_doc_seal(live);
	reply = patched(api, live, body, &result);
	if (!reply.status)
		reply = ks_decode(&api->ctx, doc, cox_doc_root(result), &root);
	if (!reply.status)
		reply = ks_update(&api->ctx, doc, root);
	return reply;
}

/* Options in the body; parameters of the query stand in for what it does not say. */
static struct ks_reply delete_options(struct api *api, struct cox_doc *doc,
				      const struct cox_node **ret_options)
{
	_cleanup_doc_ struct cox_doc *body = NULL;
	const char *policy = param(api, "propagationPolicy");
	const char *grace = param(api, "gracePeriodSeconds");

	if (api->request->body.len) {
		struct ks_reply reply = read_object(api, &body);
		if (reply.status)
			return reply;
	}
	struct cox_node *options = body && cox_node_is(cox_doc_root(body), COX_MAP)
					   ? cox_doc_clone(doc, cox_doc_root(body))
					   : cox_doc_map(doc);
	if (policy)
		cox_map_put_cstr(doc, options, "propagationPolicy", policy);
	if (grace)
		cox_map_put_int(doc, options, "gracePeriodSeconds", strtoll(grace, NULL, 10));
	if (cox_node_len(COX_GET(options, "dryRun")))
		api->ctx.dry_run = true;
	*ret_options = options;
	return (struct ks_reply){0};
}

static struct ks_reply do_delete(struct api *api)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("options");
	const struct cox_node *options;

	struct ks_reply reply = delete_options(api, doc, &options);
	return reply.status ? reply : ks_delete(&api->ctx, options);
}

static struct ks_reply do_delete_all(struct api *api)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("options");
	_cleanup_scope_ struct ks_scope scope = {0};
	const struct cox_node *options;

	struct ks_reply reply = delete_options(api, doc, &options);
	if (!reply.status)
		reply = ks_scope_read(&api->ctx, param, api, &scope);
	if (reply.status)
		return reply;
	reply = ks_list(&api->ctx, &scope, KS_FORM_OBJECT, param, api);
	if (reply.status != 200)
		return reply;
	COX_DOC_LIST_EACH (COX_GET(cox_doc_root(reply.body), "items"), i, item) {
		struct ks_ctx one;
		ks_ctx_init(&one, api->ctx.sim, api->ctx.kind,
			    api->ctx.kind->flags & KS_NAMESPACED
				    ? ks_text(&api->ctx, cox_meta_namespace(item))
				    : NULL,
			    ks_text(&api->ctx, cox_meta_name(item)));
		one.dry_run = api->ctx.dry_run;
		cox_doc_unref(ks_delete(&one, options).body);
		ks_ctx_fini(&one);
	}
	return reply;
}

/* ---- subresources ---- */

static struct ks_reply scale_of(struct api *api)
{
	struct ks_kind *kind = api->ctx.kind;
	struct ks_object *o = ks_shelf_get(kind->shelf, api->ctx.ns, api->ctx.name);
	static const char *const copied[] = {"name", "namespace", "uid", "resourceVersion",
					     "creationTimestamp"};

	if (!o)
		return ks_fail_not_found(&kind->names, api->ctx.name);
	const struct cox_node *object = cox_doc_root(o->doc);
	struct cox_doc *doc = cox_doc_new("scale");
	struct cox_node *root = cox_doc_map(doc), *metadata = cox_doc_map(doc);
	struct cox_node *spec = cox_doc_map(doc), *status = cox_doc_map(doc);
	cox_map_put_cstr(doc, root, "kind", "Scale");
	cox_map_put_cstr(doc, root, "apiVersion", "autoscaling/v1");
	for (size_t i = 0; i < COX_ARRAY_LEN(copied); i++)
		if (COX_GET(object, "metadata", copied[i]))
			cox_map_put(doc, metadata, copied[i],
				    cox_doc_clone(doc, COX_GET(object, "metadata", copied[i])));
	const char *wanted = kind->custom ? kind->replicas_path : ".spec.replicas";
	const char *have = kind->custom ? kind->status_replicas_path : ".status.replicas";
	cox_map_put_int(doc, spec, "replicas", cox_node_int(ks_json_path(object, wanted), 0));
	cox_map_put_int(doc, status, "replicas", cox_node_int(ks_json_path(object, have), 0));
	if (kind->custom && *kind->selector_path) {
		cox_map_put_cstr(doc, status, "selector",
				 cox_node_cstr(ks_json_path(object, kind->selector_path), NULL));
	} else if (!kind->custom) {
		_cleanup_selector_ struct cox_selector *selector = NULL;
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
		if (cox_selector_from_node(COX_GET(object, "spec", "selector"), &selector, NULL) ==
		    0)
			cox_selector_write(&text, selector);
		if (text.len)
			cox_map_put_cstr(doc, status, "selector", text.ptr);
	}
	cox_map_put(doc, root, "metadata", metadata);
	cox_map_put(doc, root, "spec", spec);
	cox_map_put(doc, root, "status", status);
	cox_doc_set_root(doc, root);
	return ks_ok(200, doc);
}

static struct ks_reply do_scale(struct api *api, const char *method)
{
	_cleanup_doc_ struct cox_doc *body = NULL, *result = NULL;
	struct ks_reply reply = scale_of(api);
	const struct cox_node *node;

	if (cox_streq(method, "GET") || reply.status != 200)
		return reply;
	const struct cox_node *live = cox_doc_root(reply.body);
	struct ks_reply bad = read_body(api, &body);
	node = cox_doc_root(body);
	if (!bad.status && cox_streq(method, "PATCH")) {
		bad = patched(api, reply.body, body, &result);
		node = cox_doc_root(result);
	}
	struct cox_str rv = cox_meta_resource_version(node);
	if (!bad.status && rv.len && !cox_str_eq(rv, cox_meta_resource_version(live)))
		bad = ks_fail_conflict(&api->ctx.kind->names, api->ctx.name,
				       "the object has been modified; please apply your changes to "
				       "the latest version and try again");
	if (!bad.status)
		bad = ks_scale_set(&api->ctx, cox_node_int(COX_GET(node, "spec", "replicas"), 0));
	/* the result of a patch may share with what it was made from, and holds on to it */
	cox_doc_unref(reply.body);
	if (bad.status >= 300)
		return bad;
	cox_doc_unref(bad.body);
	return scale_of(api);
}

static struct ks_reply pod_log(struct api *api)
{
	struct ks_reply reply = do_get(api);

	if (reply.status != 200)
		return reply;
	const struct cox_node *pod = cox_doc_root(reply.body);
	bool runs = cox_node_str(COX_GET(pod, "spec", "nodeName")).len;
	if (runs)
		cox_buf_printf(&api->response->body, "%s: started\n", api->ctx.name);
	api->response->status = runs ? 200 : 204;
	api->response->content_type = runs ? "text/plain" : NULL;
	cox_doc_unref(reply.body);
	return (struct ks_reply){0};
}

static struct ks_reply evict(struct api *api)
{
	return ks_delete(&api->ctx, NULL);
}

/* ---- routing ---- */

static struct ks_reply not_found(void)
{
	return ks_fail_bare(404, "NotFound", "the server could not find the requested resource");
}

static struct ks_reply not_allowed(void)
{
	return ks_fail_bare(405, "MethodNotAllowed",
			    "the server does not allow this method on the requested resource");
}

static struct ks_reply sub_route(struct api *api, const char *method)
{
	const char *sub = api->ctx.sub;
	unsigned flags = api->ctx.kind->flags;
	bool is_pod = !api->ctx.kind->custom && cox_streq(api->ctx.kind->names.kind, "Pod");

	if (cox_streq(sub, "scale") && (flags & KS_SCALE))
		return do_scale(api, method);
	if (is_pod && cox_streq(sub, "log") && cox_streq(method, "GET"))
		return pod_log(api);
	if (is_pod && cox_streq(sub, "eviction") && cox_streq(method, "POST"))
		return evict(api);
	bool finalize =
		cox_streq(sub, "finalize") && cox_streq(api->ctx.kind->names.kind, "Namespace");
	bool status = cox_streq(sub, "status") && (flags & KS_STATUS);
	bool ephemeral = is_pod && cox_streq(sub, "ephemeralcontainers");
	if (!finalize && !status && !ephemeral)
		return not_found();
	if (cox_streq(method, "GET"))
		return do_get(api);
	if (cox_streq(method, "PUT"))
		return do_update(api);
	if (cox_streq(method, "PATCH") && !finalize)
		return do_patch(api);
	return not_allowed();
}

static struct ks_reply route(struct api *api)
{
	static const struct {
		const char *method;
		bool named;
		struct ks_reply (*run)(struct api *api);
	} verbs[] = {
		{"GET", true, do_get},
		{"PUT", true, do_update},
		{"PATCH", true, do_patch},
		{"DELETE", true, do_delete},
		{"GET", false, do_list},
		{"POST", false, do_create},
		{"DELETE", false, do_delete_all},
	};
	const char *method = api->request->method;
	bool watch = param_is(api, "watch", "true") || param_is(api, "watch", "1");
	bool named = api->ctx.name && !(watch && cox_streq(method, "GET"));

	if (*api->ctx.sub)
		return sub_route(api, method);
	if (cox_streq(method, "DELETE") && !named && (api->ctx.kind->flags & KS_NO_COLLECTION))
		return not_allowed();
	/* across all namespaces one can only look */
	if ((api->ctx.kind->flags & KS_NAMESPACED) && !api->ctx.ns &&
	    (named || !cox_streq(method, "GET")))
		return named ? not_found() : not_allowed();
	for (size_t i = 0; i < COX_ARRAY_LEN(verbs); i++)
		if (cox_streq(verbs[i].method, method) && verbs[i].named == named)
			return verbs[i].run(api);
	return not_allowed();
}

/* Segments of the path, decoded, in the arena. */
static size_t split_path(struct api *api, const char **ret_parts, size_t max)
{
	struct cox_str rest = cox_str(api->request->path), part;
	size_t n = 0;

	while (cox_str_split(&rest, '/', &part)) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
		if (!part.len || n == max || cox_url_decode(&text, part, false, NULL) < 0)
			continue;
		ret_parts[n++] = ks_text(&api->ctx, cox_buf_str(&text));
	}
	return n;
}

/* Finds kind, namespace, name and subresource. 0; 1: no such group; 2: no such resource. */
static int locate(struct api *api)
{
	const char *parts[10];
	size_t n = split_path(api, parts, COX_ARRAY_LEN(parts)), at;
	struct cox_str group = COX_STR(""), version;
	struct ks_kinds *kinds = &api->ctx.sim->kinds;

	if (n >= 3 && cox_streq(parts[0], "api")) {
		version = cox_str(parts[1]);
		at = 2;
	} else if (n >= 4 && cox_streq(parts[0], "apis")) {
		group = cox_str(parts[1]);
		version = cox_str(parts[2]);
		at = 3;
	} else {
		return 1;
	}
	if (!ks_kinds_has_group(kinds, group, version))
		return 1;
	if (n - at >= 3 && cox_streq(parts[at], "namespaces") &&
	    !(!group.len && n - at == 3 &&
	      (cox_streq(parts[at + 2], "status") || cox_streq(parts[at + 2], "finalize")))) {
		api->ctx.ns = parts[at + 1];
		at += 2;
	}
	api->ctx.kind = ks_kinds_resource(kinds, group, version, cox_str(parts[at]));
	if (!api->ctx.kind || (api->ctx.ns && !(api->ctx.kind->flags & KS_NAMESPACED)))
		return 2;
	if (at + 1 < n)
		api->ctx.name = parts[at + 1];
	if (at + 2 < n)
		api->ctx.sub = parts[at + 2];
	return at + 3 < n ? 2 : 0;
}

static void read_manager(struct api *api)
{
	const char *given = param(api, "fieldManager");
	const char *agent = api->request->user_agent;

	if (given && *given) {
		api->ctx.manager = given;
		api->ctx.named_manager = true;
	} else if (agent && *agent && *agent != '/') {
		api->ctx.manager = ks_text(&api->ctx, cox_str_n(agent, strcspn(agent, "/")));
	}
}

static void read_common(struct api *api)
{
	const char *validation = param(api, "fieldValidation");

	read_manager(api);
	api->ctx.dry_run = param_is(api, "dryRun", "All");
	api->ctx.force = param_is(api, "force", "true");
	if (cox_streq(validation, "Strict"))
		api->ctx.validation = KS_VALIDATE_STRICT;
	if (cox_streq(validation, "Ignore"))
		api->ctx.validation = KS_VALIDATE_IGNORE;
}

/* ---- the door ---- */

static struct ks_reply who_are_you(struct api *api)
{
	struct ks_kind *kind = api->ctx.kind;
	const char *name = api->ctx.name ? api->ctx.name : "";

	const char *ns = api->ctx.ns;

	/* a namespace is in itself */
	if (kind && !ns && cox_streq(kind->names.kind, "Namespace") && *name)
		ns = name;
	if (!kind)
		return ks_fail(403, "Forbidden",
			       "forbidden: User \"system:anonymous\" cannot get path \"%s\"",
			       api->request->path);
	return ks_fail_named(
		403, "Forbidden", &kind->names, kind->names.resource, name, NULL,
		"%s \"%s\" is forbidden: User \"system:anonymous\" cannot get resource "
		"\"%s\" in API group \"%s\"%s%s%s",
		kind->names.resource, name, kind->names.resource, kind->names.group,
		ns ? " in the namespace \"" : "", ns ? ns : "", ns ? "\"" : "");
}

static bool is_known(const struct kubesim *sim, const char *authorization)
{
	static const char bearer[] = "Bearer ";

	if (!sim->token)
		return true;
	return authorization && strncmp(authorization, bearer, strlen(bearer)) == 0 &&
	       cox_streq(authorization + strlen(bearer), sim->token);
}

static bool is_health(const char *path)
{
	static const char *const paths[] = {"/healthz", "/livez", "/readyz"};

	for (size_t i = 0; i < COX_ARRAY_LEN(paths); i++)
		if (strncmp(path, paths[i], strlen(paths[i])) == 0)
			return true;
	return false;
}

static void answer(struct api *api, struct ks_reply reply)
{
	struct kubesim_response *out = api->response;

	for (size_t i = 0; i < api->ctx.warnings.n; i++) {
		cox_buf_puts(&out->warnings, "299 - ");
		cox_json_write_string(&out->warnings, cox_str(api->ctx.warnings.items[i]));
		cox_buf_putc(&out->warnings, '\n');
	}
	if (!reply.status) {
		if (out->watch) {
			out->status = 200;
			out->content_type = JSON;
		}
		return;
	}
	const struct cox_node *root = cox_doc_root(reply.body);
	bool is_object = reply.status < 300 && api->ctx.kind &&
			 cox_str_is(cox_meta_kind(root), api->ctx.kind->names.kind) &&
			 !cox_streq(api->ctx.sub, "scale");
	if (!is_object) {
		respond_reply(out, reply);
		return;
	}
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("answer");
	cox_doc_use(doc, reply.body);
	ks_respond(out, reply.status,
		   ks_present(doc, api->form, api->ctx.kind, root, api->ctx.sim->now_ms, true));
	cox_doc_unref(reply.body);
}

void kubesim_handle(struct kubesim *sim, const struct kubesim_request *request,
		    struct kubesim_response *ret_response)
{
	struct api api = {.request = request, .response = ret_response};

	*ret_response = (struct kubesim_response){0};
	ks_ctx_init(&api.ctx, sim, NULL, NULL, NULL);
	read_params(&api);
	int where = locate(&api);
	if (is_health(request->path)) {
		ks_respond_text(ret_response, 200, "ok");
	} else if (!is_known(sim, request->authorization)) {
		answer(&api, who_are_you(&api));
	} else if (where == 1) {
		if (!ks_discovery(sim, request->path, request->accept, ret_response))
			ks_respond_text(ret_response, 404, "404 page not found\n");
	} else if (where == 2) {
		answer(&api, not_found());
	} else {
		read_common(&api);
		api.form = ks_form_of(request->accept);
		if (api.form == KS_FORM_NONE)
			answer(&api,
			       ks_fail_bare(406, "NotAcceptable",
					    "406: Not Acceptable\n\nAvailable representations: "
					    "application/json, application/yaml, "
					    "application/vnd.kubernetes.protobuf, "
					    "application/json;stream=watch, "
					    "application/vnd.kubernetes.protobuf;stream=watch"));
		else
			answer(&api, route(&api));
	}
	cox_map_fini(&api.params);
	ks_ctx_fini(&api.ctx);
}

void kubesim_response_fini(struct kubesim_response *response)
{
	cox_buf_fini(&response->body);
	cox_buf_fini(&response->warnings);
	kubesim_watch_close(response->watch);
	response->watch = NULL;
}
