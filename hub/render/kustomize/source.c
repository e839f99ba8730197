/* An Application's source.kustomize: its fields are put into the root kustomization as `kustomize
 * edit` would write them, in memory (reference/argocd.md A2, B8). */
#include "hub/render/kustomize/internal.h"

struct edit {
	struct kz_dir *dir;
	struct cox_doc *doc;
	struct cox_node *k;
	const struct cox_node *source;
};

static void set_text(struct edit *e, const char *field)
{
	struct cox_str text = cox_node_str(COX_GET(e->source, field));

	if (text.len)
		cox_map_put(e->doc, e->k, field, cox_doc_string(e->doc, text));
}

/* ---- images: [NAME=]NEWNAME[:TAG][@DIGEST], where "*" keeps what the kustomization says ---- */

static void put_part(struct edit *e, struct cox_node *image, const struct cox_node *old,
		     const char *field, struct cox_str value)
{
	if (cox_str_is(value, "*")) {
		if (COX_GET(old, field))
			cox_map_put(e->doc, image, field,
				    cox_doc_clone(e->doc, COX_GET(old, field)));
		return;
	}
	if (value.len)
		cox_map_put(e->doc, image, field, cox_doc_string(e->doc, value));
}

static void parse_image(struct cox_str text, struct cox_str *name, struct cox_str *new_name,
			struct cox_str *tag, struct cox_str *digest)
{
	const char *equals = memchr(text.ptr, '=', text.len), *at, *slash, *colon;
	struct cox_str rest = text;

	*tag = *digest = *new_name = COX_STR("");
	if (equals) {
		*name = cox_str_n(text.ptr, (size_t)(equals - text.ptr));
		rest = cox_str_n(equals + 1, (size_t)(text.ptr + text.len - equals - 1));
	}
	at = memchr(rest.ptr, '@', rest.len);
	if (at) {
		*digest = cox_str_n(at + 1, (size_t)(rest.ptr + rest.len - at - 1));
		rest.len = (size_t)(at - rest.ptr);
	}
	slash = memrchr(rest.ptr, '/', rest.len);
	colon = memrchr(rest.ptr, ':', rest.len);
	if (colon && (!slash || colon > slash)) {
		*tag = cox_str_n(colon + 1, (size_t)(rest.ptr + rest.len - colon - 1));
		rest.len = (size_t)(colon - rest.ptr);
	}
	if (equals)
		*new_name = rest;
	else
		*name = rest;
}

/* The entry of that name in a list of the kustomization, taken out of it. */
static const struct cox_node *take_named(struct edit *e, struct cox_node *list, struct cox_str name)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *it = cox_node_at(list, i);

		if (!cox_str_eq(cox_node_text(COX_GET(it, "name")), name))
			continue;
		cox_list_drop(e->doc, list, i);
		return it;
	}
	return NULL;
}

static int set_image(struct edit *e, struct cox_node *list, const struct cox_node *item,
		     struct cox_error *err)
{
	struct cox_node *image = cox_doc_map(e->doc);
	struct cox_str name, new_name, tag, digest;
	const struct cox_node *old;

	if (!cox_node_is(item, COX_STRING) || !cox_node_str(item).len)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "source.kustomize.images: an image is [NAME=]NEWNAME[:TAG]");
	parse_image(cox_node_str(item), &name, &new_name, &tag, &digest);
	if (!name.len)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "source.kustomize.images: '%.*s' names no image",
				 COX_STR_ARG(cox_node_str(item)));
	old = take_named(e, list, name);
	cox_map_put(e->doc, image, "name", cox_doc_string(e->doc, name));
	put_part(e, image, old, "newName", new_name);
	put_part(e, image, old, "newTag", tag);
	put_part(e, image, old, "digest", digest);
	cox_list_push(e->doc, list, image);
	return 0;
}

static int set_images(struct edit *e, struct cox_error *err)
{
	const struct cox_node *from = COX_GET(e->source, "images");
	int r = 0;

	for (size_t i = 0; r == 0 && i < cox_node_len(from); i++)
		r = set_image(e, cox_map_edit_list(e->doc, e->k, "images"), cox_node_at(from, i),
			      err);
	return r;
}

static int set_replicas(struct edit *e, struct cox_error *err)
{
	const struct cox_node *from = COX_GET(e->source, "replicas");

	for (size_t i = 0; i < cox_node_len(from); i++) {
		const struct cox_node *item = cox_node_at(from, i), *count = COX_GET(item, "count");
		struct cox_node *list = cox_map_edit_list(e->doc, e->k, "replicas");
		struct cox_node *entry = cox_doc_map(e->doc);
		const char *text = kz_str(e->dir->kz, cox_node_text(count));

		if (!*text || strlen(text) > 9 || text[strspn(text, "0123456789")])
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "source.kustomize.replicas: count '%s' is no number",
					 text);
		(void)take_named(e, list, cox_node_text(COX_GET(item, "name")));
		cox_map_put(e->doc, entry, "name",
			    cox_doc_string(e->doc, cox_node_text(COX_GET(item, "name"))));
		cox_map_put_int(e->doc, entry, "count", strtol(text, NULL, 10));
		cox_list_push(e->doc, list, entry);
	}
	return 0;
}

/* ---- labels and annotations ---- */

static bool flag(const struct edit *e, const char *field)
{
	return cox_node_bool(COX_GET(e->source, field), false);
}

static int add_pairs(struct edit *e, const char *field, bool force, struct cox_error *err)
{
	const struct cox_node *from = COX_GET(e->source, field);
	struct cox_node *to;

	if (!cox_node_len(from))
		return 0;
	to = cox_map_edit_map(e->doc, e->k, field);
	for (size_t i = 0; i < cox_node_len(from); i++) {
		struct cox_str key = cox_node_key(from, i);

		if (cox_node_get_str(to, key) && !force)
			return cox_error(err, COX_ALREADY_EXISTS,
					 "source.kustomize.%s: the kustomization has '%.*s' "
					 "already; set force%c%s to replace it",
					 field, COX_STR_ARG(key), field[0] - 32, field + 1);
		cox_map_put_str(e->doc, to, key,
				cox_doc_string(e->doc, cox_node_text(cox_node_at(from, i))));
	}
	return 0;
}

static int add_labels(struct edit *e, struct cox_error *err)
{
	const struct cox_node *from = COX_GET(e->source, "commonLabels");
	struct cox_node *entry;

	if (!flag(e, "labelWithoutSelector"))
		return add_pairs(e, "commonLabels", flag(e, "forceCommonLabels"), err);
	if (!cox_node_len(from))
		return 0;
	entry = cox_doc_map(e->doc);
	cox_map_put(e->doc, entry, "pairs", cox_doc_clone(e->doc, from));
	if (flag(e, "labelIncludeTemplates"))
		cox_map_put_bool(e->doc, entry, "includeTemplates", true);
	cox_list_push(e->doc, cox_map_edit_list(e->doc, e->k, "labels"), entry);
	return 0;
}

static int add_annotations(struct edit *e, struct cox_error *err)
{
	const struct cox_node *from = COX_GET(e->source, "commonAnnotations");

	for (size_t i = 0; i < cox_node_len(from) && flag(e, "commonAnnotationsEnvsubst"); i++)
		if (strchr(cox_node_cstr(cox_node_at(from, i), ""), '$'))
			return cox_error(err, COX_UNIMPLEMENTED,
					 "source.kustomize.commonAnnotationsEnvsubst is not "
					 "supported by this version; write the value of '%.*s' out",
					 COX_STR_ARG(cox_node_key(from, i)));
	return add_pairs(e, "commonAnnotations", flag(e, "forceCommonAnnotations"), err);
}

/* ---- lists ---- */

static bool is_missing(const struct edit *e, const char *path)
{
	_cleanup_free_ char *clean = NULL;
	enum hub_tree_kind kind;

	return hub_path_resolve(e->dir->path, cox_str(path), &clean, NULL) == 0 &&
	       hub_tree_kind(e->dir->kz->tree, clean, &kind, NULL) == -COX_NOT_FOUND;
}

static void append(struct edit *e, const char *field, bool skip_missing)
{
	const struct cox_node *from = COX_GET(e->source, field);

	for (size_t i = 0; i < cox_node_len(from); i++) {
		const struct cox_node *item = cox_node_at(from, i);

		if (skip_missing && is_missing(e, cox_node_cstr(item, "")))
			continue;
		cox_list_push(e->doc, cox_map_edit_list(e->doc, e->k, field),
			      cox_doc_clone(e->doc, item));
	}
}

int kz_apply_source(struct kz_dir *dir, const struct cox_node *source, struct cox_error *err)
{
	struct edit e = {dir, NULL, NULL, source};
	int r;

	if (!cox_node_len(source))
		return 0;
	e.doc = cox_doc_edit(dir->doc);
	e.k = cox_doc_root_edit(e.doc);
	cox_vec_push(&dir->kz->docs, e.doc);
	set_text(&e, "namePrefix");
	set_text(&e, "nameSuffix");
	set_text(&e, "namespace");
	append(&e, "components", flag(&e, "ignoreMissingComponents"));
	append(&e, "patches", false);
	r = set_images(&e, err);
	if (r == 0)
		r = set_replicas(&e, err);
	if (r == 0)
		r = add_labels(&e, err);
	if (r == 0)
		r = add_annotations(&e, err);
	if (r < 0)
		return r;
	dir->doc = cox_doc_seal(e.doc);
	dir->k = cox_doc_root(e.doc);
	return 0;
}
