#include "agent/sync/desired.h"

#include "agent/compare/compare.h"
#include "common/base/limits.h"
#include "common/doc/json.h"
#include "common/kube/schema.h"

#include <errno.h>
#include <stdlib.h>

static const char *const dropped_metadata[] = {
	"creationTimestamp", "managedFields", "resourceVersion",   "uid",
	"generation",	     "selfLink",      "deletionTimestamp",
};

void agent_desired_fini(struct agent_desired *d)
{
	COX_VEC_EACH (&d->objects, o) {
		free(o->key_text);
		free(o->version);
		cox_doc_unref(o->doc);
	}
	cox_vec_fini(&d->objects);
	cox_map_fini(&d->by_key);
	cox_strings_fini(&d->warnings);
}

const struct agent_object *agent_desired_find(const struct agent_desired *d, const char *key_text)
{
	uintptr_t index = (uintptr_t)cox_map_get(&d->by_key, key_text);

	return index ? &d->objects.items[index - 1] : NULL;
}

size_t agent_desired_count(const struct agent_desired *d)
{
	return d->by_key.n;
}

/* ---- marks ---- */

char *agent_tracking_id(const char *instance, struct cox_object_key key)
{
	return cox_asprintf("%s:%.*s/%.*s:%.*s/%.*s", instance, COX_STR_ARG(key.group),
			    COX_STR_ARG(key.kind), COX_STR_ARG(key.namespace),
			    COX_STR_ARG(key.name));
}

/* The part of a tracking id behind the instance names the object that carries it. An operator that
 * copies annotations onto what it makes fails this. An id of a cluster-wide object may carry the
 * destination's namespace. */
static bool names_itself(struct cox_str id, struct cox_object_key key, struct cox_str *ret_instance)
{
	const char *colon = id.len ? memchr(id.ptr, ':', id.len) : NULL;

	if (!colon)
		return false;
	*ret_instance = cox_str_n(id.ptr, (size_t)(colon - id.ptr));
	struct cox_str rest = cox_str_n(colon + 1, id.len - ret_instance->len - 1);
	struct cox_str group, kind, namespace;

	if (!cox_str_split(&rest, '/', &group) || !cox_str_split(&rest, ':', &kind) ||
	    !cox_str_split(&rest, '/', &namespace) || !rest.ptr)
		return false;
	return cox_str_eq(group, key.group) && cox_str_eq(kind, key.kind) &&
	       cox_str_eq(rest, key.name) &&
	       (!key.namespace.len || cox_str_eq(namespace, key.namespace));
}

bool agent_is_marked(const struct cox_node *live, const char *app_uid)
{
	struct cox_str instance;

	/* hooks belong to operations, not to the application's state: nobody prunes them */
	return cox_str_is(cox_meta_annotation(live, AGENT_APP_UID), app_uid) &&
	       !cox_meta_annotation(live, AGENT_HOOK_PHASE).ptr &&
	       names_itself(cox_meta_annotation(live, AGENT_TRACKING_ID), cox_object_key_of(live),
			    &instance);
}

bool agent_is_hook_of(const struct cox_node *live, const char *app_uid)
{
	struct cox_str instance;

	return cox_str_is(cox_meta_annotation(live, AGENT_APP_UID), app_uid) &&
	       cox_meta_annotation(live, AGENT_HOOK_OPERATION).len &&
	       cox_meta_annotation(live, AGENT_HOOK_ATTEMPT).len &&
	       cox_meta_annotation(live, AGENT_HOOK_PHASE).len &&
	       names_itself(cox_meta_annotation(live, AGENT_TRACKING_ID), cox_object_key_of(live),
			    &instance);
}

bool agent_is_adoptable(const struct cox_node *live, const char *instance)
{
	struct cox_str found;

	return !cox_meta_annotation(live, AGENT_APP_UID).ptr && !agent_is_hook(live) &&
	       names_itself(cox_meta_annotation(live, AGENT_TRACKING_ID), cox_object_key_of(live),
			    &found) &&
	       cox_str_is(found, instance);
}

static bool parse_wave(struct cox_str text, int64_t *ret)
{
	_cleanup_free_ char *copy = cox_str_dup(cox_str_trim(text));
	char *end;

	errno = 0;
	long long value = strtoll(copy, &end, 10);

	if (!*copy || *end || errno || value < INT32_MIN || value > INT32_MAX)
		return false;
	*ret = value;
	return true;
}

int64_t agent_wave_of(const struct cox_node *object)
{
	int64_t wave = 0;

	if (!parse_wave(cox_meta_annotation(object, "argocd.argoproj.io/sync-wave"), &wave))
		parse_wave(cox_meta_annotation(object, "helm.sh/hook-weight"), &wave);
	return wave;
}

/* ---- one object ---- */

static bool is_definition(struct cox_object_key key)
{
	return cox_str_is(key.group, "apiextensions.k8s.io") &&
	       cox_str_is(key.kind, "CustomResourceDefinition");
}

/* A definition of the kind in the bundle itself. */
static enum agent_scope scope_in_bundle(const cox_docs *bundle, struct cox_str group,
					struct cox_str kind)
{
	for (size_t i = 0; i < bundle->n; i++) {
		const struct cox_node *o = cox_doc_root(bundle->items[i]);

		if (!is_definition(cox_object_key_of(o)) ||
		    !cox_str_eq(cox_node_str(COX_GET(o, "spec", "group")), group) ||
		    !cox_str_eq(cox_node_str(COX_GET(o, "spec", "names", "kind")), kind))
			continue;
		return cox_str_is(cox_node_str(COX_GET(o, "spec", "scope")), "Cluster")
			       ? AGENT_SCOPE_CLUSTER
			       : AGENT_SCOPE_NAMESPACED;
	}
	return AGENT_SCOPE_UNKNOWN;
}

static void stamp(struct cox_doc *doc, struct agent_object *o,
		  const struct agent_desired_input *input)
{
	struct cox_node *root = cox_doc_root_edit(doc);
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");

	cox_map_drop(doc, root, COX_STR("status"));
	for (size_t i = 0; i < COX_ARRAY_LEN(dropped_metadata); i++)
		cox_map_drop(doc, metadata, cox_str(dropped_metadata[i]));
	if (o->namespaced)
		cox_map_put_str(doc, metadata, COX_STR("namespace"),
				cox_doc_string(doc, o->key.namespace));
	else
		cox_map_drop(doc, metadata, COX_STR("namespace"));
	struct cox_node *annotations = cox_map_edit_map(doc, metadata, "annotations");

	cox_map_drop(doc, annotations, COX_STR("kubectl.kubernetes.io/last-applied-configuration"));
	if (!is_definition(o->key) && o->key.name.len) {
		_cleanup_free_ char *id = agent_tracking_id(input->instance, o->key);

		cox_map_put_cstr(doc, annotations, AGENT_TRACKING_ID, id);
		cox_map_put_cstr(doc, annotations, AGENT_APP_UID, input->app_uid);
	}
	if (cox_node_len(annotations) == 0)
		cox_map_drop(doc, metadata, COX_STR("annotations"));
}

/* Keys that two items of a keyed list share: the server would take either. */
static int check_lists(const struct cox_schema_type *type, const struct cox_node *node,
		       struct cox_buf *path, struct cox_error *err);

static int check_keyed(const struct cox_schema_type *type, const struct cox_node *list,
		       const struct cox_buf *path, struct cox_error *err)
{
	_cleanup_map_ struct cox_map seen = COX_MAP_INIT;

	for (size_t i = 0; i < cox_node_len(list); i++) {
		COX_CLEANUP(cox_buf_fini) struct cox_buf key = COX_BUF_INIT;
		const struct cox_node *item = cox_node_at(list, i);

		for (size_t k = 0; k < type->n_keys; k++) {
			const struct cox_node *value = cox_node_get(item, type->keys[k]);
			const struct cox_schema_field *field =
				cox_schema_field(type->item, cox_str(type->keys[k]));

			if (k)
				cox_buf_putc(&key, ',');
			if (value)
				cox_buf_puts_str(&key, cox_node_text(value));
			else if (field && field->def)
				cox_buf_puts(&key, field->def);
		}
		if (cox_map_set(&seen, cox_buf_cstr(&key), (void *)1))
			return cox_error(err, COX_INVALID_ARGUMENT, "%s: two items are '%s'",
					 cox_buf_cstr(path), cox_buf_cstr(&key));
	}
	return 0;
}

static int check_child(const struct cox_schema_type *type, const struct cox_node *node,
		       struct cox_buf *path, const char *format, struct cox_str key, size_t i,
		       struct cox_error *err)
{
	size_t mark = path->len;

	if (format)
		cox_buf_printf(path, "[%zu]", i);
	else
		cox_buf_printf(path, "%s%.*s", mark ? "." : "", COX_STR_ARG(key));
	int code = check_lists(type, node, path, err);

	path->len = mark;
	return code;
}

static int check_lists(const struct cox_schema_type *type, const struct cox_node *node,
		       struct cox_buf *path, struct cox_error *err)
{
	int code = 0;

	if (cox_node_is(node, COX_MAP)) {
		for (size_t i = 0; code == 0 && i < cox_node_len(node); i++) {
			struct cox_str key = cox_node_key(node, i);

			code = check_child(cox_schema_child(type, key), cox_node_at(node, i), path,
					   NULL, key, 0, err);
		}
		return code;
	}
	if (!cox_node_is(node, COX_LIST) || type->kind != COX_SCHEMA_LIST)
		return 0;
	if (type->list == COX_SCHEMA_LIST_MAP && type->n_keys)
		code = check_keyed(type, node, path, err);
	for (size_t i = 0; code == 0 && i < cox_node_len(node); i++)
		code = check_child(type->item, cox_node_at(node, i), path, "[]", COX_STR(""), i,
				   err);
	return code;
}

static int check_object(const struct agent_object *o, struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf path = COX_BUF_INIT, subject = COX_BUF_INIT;
	_cleanup_free_ char *group = cox_str_dup(o->key.group), *kind = cox_str_dup(o->key.kind);
	const struct cox_schema_type *type = cox_schema_find(group, o->version, kind);
	int code;

	if (!type)
		return 0;
	code = check_lists(type, cox_doc_root(o->doc), &path, err);
	if (code < 0) {
		cox_object_key_describe(&subject, o->key);
		return cox_error_wrap(err, "%s", cox_buf_cstr(&subject));
	}
	return 0;
}

static int bad_object(size_t i, const char *what, struct cox_error *err)
{
	return cox_error(err, COX_INVALID_ARGUMENT, "object %zu of the bundle %s", i + 1, what);
}

/* Fills o but for its document; the namespace is decided here. */
static int identify(const cox_docs *bundle, const struct cox_node *node, size_t i,
		    const struct agent_desired_input *input, struct agent_object *o,
		    struct cox_error *err)
{
	struct cox_object_key key = cox_object_key_of(node);
	struct cox_str version = cox_meta_version(node);
	enum agent_scope scope;

	if (!cox_node_is(node, COX_MAP) || !key.kind.len || !version.len)
		return bad_object(i, "has no apiVersion or no kind", err);
	if (!key.name.len && !(o->is_hook && cox_meta_generate_name(node).len))
		return bad_object(i, "has no name", err);
	scope = input->scope ? input->scope(input->ctx, key.group, version, key.kind)
			     : AGENT_SCOPE_UNKNOWN;
	if (scope == AGENT_SCOPE_UNKNOWN)
		scope = scope_in_bundle(bundle, key.group, key.kind);
	o->namespaced = scope != AGENT_SCOPE_CLUSTER;
	if (!o->namespaced)
		key.namespace = COX_STR("");
	else if (!key.namespace.len)
		key.namespace = cox_str(input->namespace);
	if (o->namespaced && !key.namespace.len)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "%.*s '%.*s' has no namespace, and neither has the destination",
				 COX_STR_ARG(key.kind), COX_STR_ARG(key.name));
	if (memchr(key.name.ptr, '/', key.name.len) ||
	    memchr(key.namespace.ptr, '/', key.namespace.len))
		return bad_object(i, "has a slash in its name or namespace", err);
	o->key_text = cox_object_key_text(key);
	o->version = cox_str_dup(version);
	struct cox_str rest = cox_str(o->key_text);

	cox_str_split(&rest, '/', &o->key.group);
	cox_str_split(&rest, '/', &o->key.kind);
	cox_str_split(&rest, '/', &o->key.namespace);
	o->key.name = rest;
	return 0;
}

/* The hub has asked for the destination; only here is it known where each object goes, and whether
 * its kind is namespaced. */
static int check_project(const struct agent_object *o, const struct agent_desired_input *input,
			 struct cox_error *err)
{
	_cleanup_free_ char *group = cox_str_dup(o->key.group), *kind = cox_str_dup(o->key.kind);
	_cleanup_free_ char *namespace = cox_str_dup(o->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(o->key.name);
	COX_CLEANUP(cox_buf_fini) struct cox_buf subject = COX_BUF_INIT;
	int code;

	if (!input->project)
		return 0;
	code = cox_project_check_kind(input->project, group, kind, name, o->namespaced, err);
	if (code == 0 && o->namespaced)
		code = cox_project_check_destination(input->project, input->server, input->cluster,
						     namespace, err);
	if (code == 0)
		return 0;
	cox_object_key_describe(&subject, o->key);
	return cox_error_wrap(err, "%s", cox_buf_cstr(&subject));
}

static void keep(struct agent_desired *d, struct agent_object *o)
{
	uintptr_t old = 0;

	cox_vec_push(&d->objects, *o);
	if (o->is_hook || o->is_skipped)
		return;
	old = (uintptr_t)cox_map_set(&d->by_key, o->key_text, (void *)(uintptr_t)d->objects.n);
	if (!old)
		return;
	/* the last one wins; the one before counts no more */
	COX_CLEANUP(cox_buf_fini) struct cox_buf subject = COX_BUF_INIT;

	d->objects.items[old - 1].is_skipped = true;
	cox_object_key_describe(&subject, o->key);
	cox_vec_push(&d->warnings, cox_asprintf("%s appears more than once; the last one is used",
						cox_buf_cstr(&subject)));
}

static int build_one(const cox_docs *bundle, size_t i, const struct agent_desired_input *input,
		     struct agent_desired *d, struct cox_error *err)
{
	const struct cox_node *node = cox_doc_root(bundle->items[i]);
	_cleanup_doc_ struct cox_doc *canonical = NULL, *edit = NULL;
	struct agent_object o = {0};
	int code = agent_hook_parse(node, &o, err);

	if (code < 0) {
		COX_CLEANUP(cox_buf_fini) struct cox_buf subject = COX_BUF_INIT;

		cox_object_key_describe(&subject, cox_object_key_of(node));
		return cox_error_wrap(err, "%s", cox_buf_cstr(&subject));
	}
	code = identify(bundle, node, i, input, &o, err);
	if (code == 0)
		code = check_project(&o, input, err);
	if (code < 0)
		goto fail;
	o.wave = agent_wave_of(node);
	o.options =
		agent_options_parse(cox_meta_annotation(node, "argocd.argoproj.io/sync-options"));
	if (cox_str_is(cox_meta_annotation(node, "helm.sh/resource-policy"), "keep"))
		o.options |= AGENT_OPT_NO_PRUNE | AGENT_OPT_NO_DELETE;
	canonical = agent_compare_canonical(bundle->items[i]);
	edit = cox_doc_edit(canonical);
	stamp(edit, &o, input);
	cox_doc_seal(edit);
	/* a copy of its own size, so that what it was made from need not stay */
	o.doc = cox_doc_copy(o.key_text, cox_doc_root(edit));
	code = check_object(&o, err);
	if (code < 0)
		goto fail;
	keep(d, &o);
	return 0;
fail:
	free(o.key_text);
	free(o.version);
	cox_doc_unref(o.doc);
	return code;
}

int agent_desired_build(const cox_docs *bundle, const struct agent_desired_input *input,
			struct agent_desired *ret_desired, struct cox_error *err)
{
	_cleanup_desired_ struct agent_desired d = {0};

	for (size_t i = 0; i < bundle->n; i++) {
		int code = build_one(bundle, i, input, &d, err);

		if (code < 0)
			return code;
	}
	*ret_desired = d;
	d = (struct agent_desired){0};
	return 0;
}

/* ---- reading a bundle ---- */

/* The end of the value that begins at `at`: its brackets are balanced, or the text is over. What is
 * between is for the reader to judge. */
static size_t value_end(struct cox_str text, size_t at)
{
	size_t depth = 0;
	bool in_string = false;

	for (; at < text.len; at++) {
		char c = text.ptr[at];

		if (in_string) {
			if (c == '\\')
				at++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"')
			in_string = true;
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth-- == 0)
			return at;
		else if (c == ',' && depth == 0)
			return at;
	}
	return text.len;
}

int agent_bundle_read(struct cox_str text, cox_docs *ret_objects, struct cox_error *err)
{
	_cleanup_docs_ cox_docs objects = {0};
	struct cox_str rest = cox_str_trim(text);

	if (rest.len < 2 || rest.ptr[0] != '[' || rest.ptr[rest.len - 1] != ']')
		return cox_error(err, COX_INVALID_ARGUMENT, "bundle is no list of objects");
	rest = cox_str_n(rest.ptr + 1, rest.len - 2);
	if (cox_str_trim(rest).len == 0) {
		*ret_objects = objects;
		return 0;
	}
	for (size_t at = 0; at <= rest.len;) {
		size_t end = value_end(rest, at);
		struct cox_doc *doc = NULL;

		if (objects.n >= COX_LIMIT_APP_OBJECTS)
			return cox_error(err, COX_RESOURCE_EXHAUSTED,
					 "bundle has more than %d objects", COX_LIMIT_APP_OBJECTS);
		int code = cox_json_read(cox_str_n(rest.ptr + at, end - at), "object", &doc, err);

		if (code < 0)
			return cox_error_wrap(err, "object %zu of the bundle", objects.n + 1);
		cox_vec_push(&objects, doc);
		if (end < rest.len && rest.ptr[end] != ',')
			return cox_error(err, COX_INVALID_ARGUMENT, "bundle is no list of objects");
		at = end + 1;
	}
	*ret_objects = objects;
	objects = (cox_docs){0};
	return 0;
}
