#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/doc/json.h"
#include "common/kube/client_private.h"

#include <stdio.h>

static void add_segment(struct cox_buf *out, const char *text)
{
	cox_buf_putc(out, '/');
	cox_url_encode(out, cox_str(text));
}

void cox_kube_path(struct cox_buf *out, const struct cox_kube_resource *resource,
		   const char *namespace, const char *name, const char *subresource)
{
	cox_buf_puts(out, *resource->group ? "/apis" : "/api");
	if (*resource->group)
		add_segment(out, resource->group);
	add_segment(out, resource->version);
	if (resource->namespaced && namespace && *namespace) {
		cox_buf_puts(out, "/namespaces");
		add_segment(out, namespace);
	}
	add_segment(out, resource->plural);
	if (name)
		add_segment(out, name);
	if (name && subresource)
		add_segment(out, subresource);
}

void cox_kube_param(struct cox_kube_query *query, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	cox_buf_printf(query->out, "%c%s=", query->begun ? '&' : '?', name);
	cox_url_encode(query->out, cox_str(value));
	query->begun = true;
}

struct cox_kube_call *cox_kube_get(struct cox_kube *kube, const struct cox_kube_resource *resource,
				   const char *namespace, const char *name, cox_kube_done *done,
				   void *arg)
{
	_cleanup_buf_ struct cox_buf path = COX_BUF_INIT;

	cox_kube_path(&path, resource, namespace, name, NULL);
	return cox_kube_send(kube,
			     &(struct cox_kube_request){
				     .method = "GET", .path = path.ptr, .done = done, .arg = arg});
}

struct cox_kube_call *cox_kube_list(struct cox_kube *kube, const struct cox_kube_resource *resource,
				    const char *namespace,
				    const struct cox_kube_list_options *options,
				    cox_kube_done *done, void *arg)
{
	static const struct cox_kube_list_options defaults;
	const struct cox_kube_list_options *o = options ? options : &defaults;
	_cleanup_buf_ struct cox_buf path = COX_BUF_INIT;
	struct cox_kube_query query = {.out = &path};
	char limit[16] = "";

	cox_kube_path(&path, resource, namespace, NULL, NULL);
	if (o->limit)
		snprintf(limit, sizeof(limit), "%u", o->limit);
	cox_kube_param(&query, "labelSelector", o->label_selector);
	cox_kube_param(&query, "fieldSelector", o->field_selector);
	cox_kube_param(&query, "limit", limit);
	cox_kube_param(&query, "continue", o->continue_token);
	cox_kube_param(&query, "resourceVersion", o->resource_version);
	return cox_kube_send(kube,
			     &(struct cox_kube_request){
				     .method = "GET",
				     .path = path.ptr,
				     .accept = o->metadata_only ? COX_ACCEPT_METADATA_LIST : NULL,
				     .done = done,
				     .arg = arg});
}

/* ---- writes ---- */

struct write {
	const char *method, *content_type;
	const struct cox_kube_resource *resource;
	const char *namespace, *name;
	const struct cox_node *body;
	const struct cox_kube_write_options *options;
	bool may_force;
};

static struct cox_kube_call *send_write(struct cox_kube *kube, const struct write *w,
					cox_kube_done *done, void *arg)
{
	static const struct cox_kube_write_options defaults;
	const struct cox_kube_write_options *o = w->options ? w->options : &defaults;
	_cleanup_buf_ struct cox_buf path = COX_BUF_INIT, body = COX_BUF_INIT;
	struct cox_kube_query query = {.out = &path};

	cox_kube_path(&path, w->resource, w->namespace, w->name, o->subresource);
	cox_kube_param(&query, "fieldManager", o->field_manager ? o->field_manager : "coxswain");
	cox_kube_param(&query, "fieldValidation", o->field_validation);
	cox_kube_param(&query, "force", w->may_force && o->force ? "true" : NULL);
	cox_kube_param(&query, "dryRun", o->dry_run ? "All" : NULL);
	cox_json_write(&body, w->body);
	return cox_kube_send(kube, &(struct cox_kube_request){.method = w->method,
							      .path = path.ptr,
							      .content_type = w->content_type,
							      .body = cox_buf_str(&body),
							      .done = done,
							      .arg = arg});
}

struct cox_kube_call *cox_kube_create(struct cox_kube *kube,
				      const struct cox_kube_resource *resource,
				      const char *namespace, const struct cox_node *object,
				      const struct cox_kube_write_options *options,
				      cox_kube_done *done, void *arg)
{
	const struct write w = {.method = "POST",
				.content_type = "application/json",
				.resource = resource,
				.namespace = namespace,
				.body = object,
				.options = options};

	return send_write(kube, &w, done, arg);
}

struct cox_kube_call *cox_kube_update(struct cox_kube *kube,
				      const struct cox_kube_resource *resource,
				      const char *namespace, const char *name,
				      const struct cox_node *object,
				      const struct cox_kube_write_options *options,
				      cox_kube_done *done, void *arg)
{
	const struct write w = {.method = "PUT",
				.content_type = "application/json",
				.resource = resource,
				.namespace = namespace,
				.name = name,
				.body = object,
				.options = options};

	return send_write(kube, &w, done, arg);
}

/* JSON is YAML, which is what the content type of apply says. */
struct cox_kube_call *cox_kube_apply(struct cox_kube *kube,
				     const struct cox_kube_resource *resource,
				     const char *namespace, const char *name,
				     const struct cox_node *object,
				     const struct cox_kube_write_options *options,
				     cox_kube_done *done, void *arg)
{
	const struct write w = {.method = "PATCH",
				.content_type = "application/apply-patch+yaml",
				.resource = resource,
				.namespace = namespace,
				.name = name,
				.body = object,
				.options = options,
				.may_force = true};

	return send_write(kube, &w, done, arg);
}

struct cox_kube_call *cox_kube_patch(struct cox_kube *kube,
				     const struct cox_kube_resource *resource,
				     const char *namespace, const char *name,
				     enum cox_kube_patch_type type, const struct cox_node *patch,
				     const struct cox_kube_write_options *options,
				     cox_kube_done *done, void *arg)
{
	static const char *const types[] = {
		[COX_PATCH_MERGE] = "application/merge-patch+json",
		[COX_PATCH_JSON] = "application/json-patch+json",
		[COX_PATCH_STRATEGIC] = "application/strategic-merge-patch+json",
	};
	const struct write w = {.method = "PATCH",
				.content_type = types[type],
				.resource = resource,
				.namespace = namespace,
				.name = name,
				.body = patch,
				.options = options};

	return send_write(kube, &w, done, arg);
}

struct cox_kube_call *cox_kube_delete(struct cox_kube *kube,
				      const struct cox_kube_resource *resource,
				      const char *namespace, const char *name,
				      const struct cox_kube_delete_options *options,
				      cox_kube_done *done, void *arg)
{
	const struct cox_kube_delete_options defaults = COX_KUBE_DELETE_OPTIONS;
	const struct cox_kube_delete_options *o = options ? options : &defaults;
	_cleanup_buf_ struct cox_buf path = COX_BUF_INIT, body = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("DeleteOptions");
	struct cox_node *root = cox_doc_map(doc);

	cox_map_put_cstr(doc, root, "apiVersion", "v1");
	cox_map_put_cstr(doc, root, "kind", "DeleteOptions");
	cox_map_put_cstr(doc, root, "propagationPolicy", o->propagation);
	if (o->grace_seconds >= 0)
		cox_map_put_int(doc, root, "gracePeriodSeconds", o->grace_seconds);
	if (o->uid || o->resource_version) {
		struct cox_node *preconditions = cox_doc_map(doc);
		cox_map_put_cstr(doc, preconditions, "uid", o->uid);
		cox_map_put_cstr(doc, preconditions, "resourceVersion", o->resource_version);
		cox_map_put(doc, root, "preconditions", preconditions);
	}
	if (o->dry_run) {
		struct cox_node *all = cox_doc_list(doc);
		cox_list_push(doc, all, cox_doc_cstring(doc, "All"));
		cox_map_put(doc, root, "dryRun", all);
	}
	cox_json_write(&body, root);
	cox_kube_path(&path, resource, namespace, name, NULL);
	return cox_kube_send(kube, &(struct cox_kube_request){.method = "DELETE",
							      .path = path.ptr,
							      .content_type = "application/json",
							      .body = cox_buf_str(&body),
							      .done = done,
							      .arg = arg});
}
