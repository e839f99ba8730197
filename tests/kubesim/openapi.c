/* The API's description of itself, generated from the schema table: OpenAPI v3 by group and
 * version, and v2 as one document. It says what clients read from it: fields and their types, how
 * lists merge, which kinds there are, and which parameters a patch takes.
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition */
#include "tests/kubesim/api.h"
#include "tests/kubesim/protobuf.h"

#include <stdio.h>

struct spec {
	struct cox_doc *doc;
	const char *prefix; /* "#/components/schemas/" or "#/definitions/" */
	struct cox_node *schemas;
	COX_VEC(const struct cox_schema_type *) todo;
	struct cox_map seen;
};

/* "core.v1.Pod" is io.k8s.api.core.v1.Pod, "meta.v1.ObjectMeta" io.k8s.apimachinery…. */
static char *definition_name(const char *name)
{
	if (strncmp(name, "meta.", 5) == 0)
		return cox_asprintf("io.k8s.apimachinery.pkg.apis.%s", name);
	if (strncmp(name, "apiextensions.", 14) == 0)
		return cox_asprintf("io.k8s.apiextensions-apiserver.pkg.apis.%s", name);
	return cox_asprintf("io.k8s.api.%s", name);
}

static struct cox_node *type_node(struct spec *s, const struct cox_schema_type *type);

static struct cox_node *scalar_node(struct spec *s, const char *type, const char *format)
{
	struct cox_node *map = cox_doc_map(s->doc);

	cox_map_put_cstr(s->doc, map, "type", type);
	cox_map_put_cstr(s->doc, map, "format", format);
	return map;
}

static struct cox_node *list_node(struct spec *s, const struct cox_schema_type *type)
{
	static const char *const names[] = {"atomic", "set", "map"};
	struct cox_node *map = cox_doc_map(s->doc);

	cox_map_put_cstr(s->doc, map, "type", "array");
	cox_map_put(s->doc, map, "items", type_node(s, type->item));
	cox_map_put_cstr(s->doc, map, "x-kubernetes-list-type", names[type->list]);
	if (type->n_keys) {
		struct cox_node *keys = cox_doc_list(s->doc);
		for (size_t i = 0; i < type->n_keys; i++)
			cox_list_push(s->doc, keys, cox_doc_cstring(s->doc, type->keys[i]));
		cox_map_put(s->doc, map, "x-kubernetes-list-map-keys", keys);
	}
	if (type->merges) {
		cox_map_put_cstr(s->doc, map, "x-kubernetes-patch-strategy",
				 type->retain_keys ? "merge,retainKeys" : "merge");
		cox_map_put_cstr(s->doc, map, "x-kubernetes-patch-merge-key", type->merge_key);
	}
	return map;
}

static struct cox_node *ref_node(struct spec *s, const struct cox_schema_type *type)
{
	_cleanup_free_ char *name = definition_name(type->name);
	struct cox_node *map = cox_doc_map(s->doc);

	if (!cox_map_set(&s->seen, type->name, s))
		cox_vec_push(&s->todo, type);
	cox_map_put(s->doc, map, "$ref", cox_doc_stringf(s->doc, "%s%s", s->prefix, name));
	return map;
}

static struct cox_node *type_node(struct spec *s, const struct cox_schema_type *type)
{
	static const struct {
		enum cox_schema_kind kind;
		const char *type, *format;
	} scalars[] = {{COX_SCHEMA_STRING, "string", NULL},
		       {COX_SCHEMA_INT, "integer", "int64"},
		       {COX_SCHEMA_NUMBER, "number", "double"},
		       {COX_SCHEMA_BOOL, "boolean", NULL},
		       {COX_SCHEMA_TIME, "string", "date-time"},
		       {COX_SCHEMA_MICROTIME, "string", "date-time"},
		       {COX_SCHEMA_QUANTITY, "string", NULL},
		       {COX_SCHEMA_INT_OR_STRING, "string", "int-or-string"},
		       {COX_SCHEMA_BYTES, "string", "byte"}};

	for (size_t i = 0; i < COX_ARRAY_LEN(scalars); i++)
		if (scalars[i].kind == type->kind)
			return scalar_node(s, scalars[i].type, scalars[i].format);
	if (type->kind == COX_SCHEMA_LIST)
		return list_node(s, type);
	if (type->kind == COX_SCHEMA_STRUCT && type->name)
		return ref_node(s, type);
	struct cox_node *map = scalar_node(s, "object", NULL);
	if (type->kind == COX_SCHEMA_MAP)
		cox_map_put(s->doc, map, "additionalProperties", type_node(s, type->item));
	return map;
}

static struct cox_node *struct_node(struct spec *s, const struct cox_schema_type *type)
{
	struct cox_node *map = scalar_node(s, "object", NULL);
	struct cox_node *properties = cox_doc_map(s->doc);

	for (size_t i = 0; i < type->n_fields; i++) {
		const struct cox_schema_field *f = &type->fields[i];
		struct cox_node *node = type_node(s, f->type);
		if (f->retain_keys && f->type->kind == COX_SCHEMA_STRUCT)
			cox_map_put_cstr(s->doc, node, "x-kubernetes-patch-strategy", "retainKeys");
		if (f->replace)
			cox_map_put_cstr(s->doc, node, "x-kubernetes-patch-strategy", "replace");
		cox_map_put(s->doc, properties, f->name, node);
	}
	cox_map_put(s->doc, map, "properties", properties);
	if (type->atomic)
		cox_map_put_cstr(s->doc, map, "x-kubernetes-map-type", "atomic");
	return map;
}

static struct cox_node *gvk_node(struct cox_doc *doc, const struct ks_kind *kind)
{
	struct cox_node *map = cox_doc_map(doc);

	cox_map_put_cstr(doc, map, "group", kind->names.group);
	cox_map_put_cstr(doc, map, "version", kind->version);
	cox_map_put_cstr(doc, map, "kind", kind->names.kind);
	return map;
}

/* A custom resource: its schema as it is, with its kind. */
static void put_custom(struct spec *s, const struct ks_kind *kind)
{
	struct cox_node *list = cox_doc_list(s->doc), *map;
	_cleanup_free_ char *name = cox_asprintf("com.example.%s.%s.%s", kind->names.group,
						 kind->version, kind->names.kind);

	map = kind->type->openapi ? cox_doc_clone(s->doc, kind->type->openapi)
				  : scalar_node(s, "object", NULL);
	cox_list_push(s->doc, list, gvk_node(s->doc, kind));
	cox_map_put(s->doc, map, "x-kubernetes-group-version-kind", list);
	struct cox_node *properties = cox_map_edit_map(s->doc, map, "properties");
	cox_map_put(s->doc, properties, "apiVersion", scalar_node(s, "string", NULL));
	cox_map_put(s->doc, properties, "kind", scalar_node(s, "string", NULL));
	cox_map_put(s->doc, properties, "metadata",
		    ref_node(s, cox_schema_named("meta.v1.ObjectMeta")));
	cox_map_put(s->doc, s->schemas, name, map);
}

static void put_kind(struct spec *s, const struct ks_kind *kind)
{
	if (kind->custom) {
		put_custom(s, kind);
		return;
	}
	if (!kind->type->name)
		return;
	_cleanup_free_ char *name = definition_name(kind->type->name);
	struct cox_node *map = struct_node(s, kind->type), *list = cox_doc_list(s->doc);
	cox_list_push(s->doc, list, gvk_node(s->doc, kind));
	cox_map_put(s->doc, map, "x-kubernetes-group-version-kind", list);
	cox_map_put(s->doc, s->schemas, name, map);
	cox_map_set(&s->seen, kind->type->name, s);
}

static void put_todo(struct spec *s)
{
	for (size_t i = 0; i < s->todo.n; i++) {
		_cleanup_free_ char *name = definition_name(s->todo.items[i]->name);
		if (!cox_node_get(s->schemas, name))
			cox_map_put(s->doc, s->schemas, name, struct_node(s, s->todo.items[i]));
	}
}

static struct cox_node *parameter(struct cox_doc *doc, const char *name)
{
	struct cox_node *map = cox_doc_map(doc), *schema = cox_doc_map(doc);

	cox_map_put_cstr(doc, schema, "type", "string");
	cox_map_put_cstr(doc, map, "name", name);
	cox_map_put_cstr(doc, map, "in", "query");
	cox_map_put(doc, map, "schema", schema);
	return map;
}

static void put_path(struct cox_doc *doc, struct cox_node *paths, const struct ks_kind *kind)
{
	static const char *const names[] = {"dryRun", "fieldManager", "fieldValidation", "force"};
	static const char *const types[] = {
		"application/apply-patch+yaml", "application/json-patch+json",
		"application/merge-patch+json", "application/strategic-merge-patch+json"};
	struct cox_node *item = cox_doc_map(doc), *patch = cox_doc_map(doc);
	struct cox_node *list = cox_doc_list(doc), *consumes = cox_doc_list(doc);
	struct cox_node *body = cox_doc_map(doc), *content = cox_doc_map(doc);

	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++)
		cox_list_push(doc, list, parameter(doc, names[i]));
	for (size_t i = 0; i < COX_ARRAY_LEN(types) - kind->custom; i++) {
		cox_list_push(doc, consumes, cox_doc_cstring(doc, types[i]));
		cox_map_put(doc, content, types[i], cox_doc_map(doc));
	}
	cox_map_put(doc, body, "content", content);
	cox_map_put(doc, patch, "consumes", consumes);
	cox_map_put(doc, patch, "requestBody", body);
	cox_map_put(doc, patch, "parameters", list);
	cox_map_put_cstr(doc, patch, "x-kubernetes-action", "patch");
	cox_map_put(doc, patch, "x-kubernetes-group-version-kind", gvk_node(doc, kind));
	cox_map_put(doc, patch, "responses", cox_doc_map(doc));
	cox_map_put(doc, item, "patch", patch);
	_cleanup_free_ char *path = cox_asprintf(
		"/%s/%s%s/%s/{name}", *kind->names.group ? "apis" : "api", kind->api_version,
		kind->flags & KS_NAMESPACED ? "/namespaces/{namespace}" : "", kind->names.resource);
	cox_map_put(doc, paths, path, item);
}

static void put_info(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *info = cox_doc_map(doc);

	cox_map_put_cstr(doc, info, "title", "Kubernetes");
	cox_map_put_cstr(doc, info, "version", "v1.26.0+kubesim");
	cox_map_put(doc, root, "info", info);
}

/* api_version NULL: every kind. */
static void spec(struct kubesim *sim, const char *api_version, bool v3, bool protobuf,
		 struct kubesim_response *response)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("openapi");
	struct cox_node *root = cox_doc_map(doc), *paths = cox_doc_map(doc);
	struct spec s = {.doc = doc,
			 .prefix = v3 ? "#/components/schemas/" : "#/definitions/",
			 .schemas = cox_doc_map(doc)};

	for (size_t i = 0; i < sim->kinds.n; i++) {
		const struct ks_kind *kind = sim->kinds.items[i];
		if (api_version && !cox_streq(kind->api_version, api_version))
			continue;
		put_kind(&s, kind);
		put_path(doc, paths, kind);
	}
	put_todo(&s);
	cox_map_put_cstr(doc, root, v3 ? "openapi" : "swagger", v3 ? "3.0.0" : "2.0");
	put_info(doc, root);
	cox_map_put(doc, root, "paths", paths);
	if (v3) {
		struct cox_node *components = cox_doc_map(doc);
		cox_map_put(doc, components, "schemas", s.schemas);
		cox_map_put(doc, root, "components", components);
	} else {
		cox_map_put(doc, root, "definitions", s.schemas);
	}
	if (protobuf) {
		ks_protobuf_write_openapi(&response->body, root);
		response->status = 200;
		/* "@" is asked for, but is no media type: newer servers answer with a dot */
		response->content_type =
			"application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
	} else {
		ks_respond(response, 200, root);
	}
	cox_vec_fini(&s.todo);
	cox_map_fini(&s.seen);
}

static void index_v3(struct kubesim *sim, struct kubesim_response *response)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("openapi");
	struct cox_node *root = cox_doc_map(doc), *paths = cox_doc_map(doc);

	for (size_t i = 0; i < sim->kinds.n; i++) {
		const struct ks_kind *kind = sim->kinds.items[i];
		_cleanup_free_ char *path = cox_asprintf(
			"%s/%s", *kind->names.group ? "apis" : "api", kind->api_version);
		struct cox_node *entry = cox_doc_map(doc);
		cox_map_put(doc, entry, "serverRelativeURL",
			    cox_doc_stringf(doc, "/openapi/v3/%s", path));
		cox_map_put(doc, paths, path, entry);
	}
	cox_map_put(doc, root, "paths", paths);
	ks_respond(response, 200, root);
}

bool ks_openapi(struct kubesim *sim, const char *path, const char *accept,
		struct kubesim_response *ret_response)
{
	static const char v3[] = "/openapi/v3/";

	if (cox_streq(path, "/openapi/v2")) {
		bool protobuf = accept && strstr(accept, "com.github.proto-openapi.spec.v2");
		spec(sim, NULL, false, protobuf, ret_response);
		return true;
	}
	if (cox_streq(path, "/openapi/v3")) {
		index_v3(sim, ret_response);
		return true;
	}
	if (strncmp(path, v3, strlen(v3)) != 0)
		return false;
	path += strlen(v3);
	path += strncmp(path, "apis/", 5) == 0 ? 5 : strncmp(path, "api/", 4) == 0 ? 4 : 0;
	spec(sim, path, true, false, ret_response);
	return true;
}
