/* .argocd-source.yaml and .argocd-source-NAME.yaml: merge patches over the source that stand beside
 * what it renders (reference/argocd.md A2, "Override files"). Where to read from, and what, they
 * cannot say. */
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/doc/patch.h"
#include "common/doc/yaml.h"
#include "hub/render/internal.h"

#define PREFIX ".argocd-source"

static const char *const fixed[] = {"repoURL", "path", "chart", "targetRevision"};

static bool has_file(const struct hub_tree_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i].name, name) == 0)
			return list->items[i].kind != HUB_TREE_DIR;
	return false;
}

static bool has_any_of_apps(const struct hub_tree_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].kind != HUB_TREE_DIR &&
		    cox_str_starts(cox_str(list->items[i].name), PREFIX "-") &&
		    cox_str_ends(cox_str(list->items[i].name), ".yaml"))
			return true;
	return false;
}

/* *source becomes what is merged, sealed. */
static int merge(struct hub_render *r, const char *name, struct cox_doc **source,
		 struct cox_error *err)
{
	_cleanup_free_ char *path = *r->path ? cox_path_join(r->path, name) : cox_strdup(name);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *patch = NULL;
	struct cox_doc *merged;
	int e = hub_tree_read(r->tree, path, COX_LIMIT_FILE_BYTES, &text, err);

	if (e < 0)
		return e;
	if (!cox_str_trim(cox_buf_str(&text)).len)
		return 0;
	e = cox_yaml_read(cox_buf_str(&text), path, NULL, &patch, err);
	if (e < 0)
		return e;
	if (!cox_node_is(cox_doc_root(patch), COX_MAP))
		return cox_node_error(err, patch, cox_doc_root(patch),
				      "expected a map of the source's fields, got %s",
				      cox_kind_name(cox_node_kind(cox_doc_root(patch))));
	merged = cox_merge_patch(*source, patch, NULL);
	cox_doc_unref(*source);
	*source = merged;
	return 0;
}

/* The source as one of an Application, so that it is checked and read as any other. */
static int adopt(struct hub_render *r, struct cox_doc *source, struct cox_error *err)
{
	_cleanup_free_ char *name =
		cox_asprintf("%s%s" PREFIX "*.yaml", r->path, *r->path ? "/" : "");
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new(name);
	struct cox_node *root = cox_doc_map(doc), *spec, *own;
	int e;

	cox_doc_use(doc, source);
	cox_doc_set_root(doc, root);
	cox_map_put_cstr(doc, root, "apiVersion", "argoproj.io/v1alpha1");
	cox_map_put_cstr(doc, root, "kind", "Application");
	cox_map_put_cstr(doc, cox_map_edit_map(doc, root, "metadata"), "name", "overridden");
	spec = cox_map_edit_map(doc, root, "spec");
	cox_map_put_cstr(doc, cox_map_edit_map(doc, spec, "destination"), "name", "any");
	cox_map_put(doc, spec, "source", cox_doc_root(source));
	own = cox_map_edit_map(doc, spec, "source");
	for (size_t i = 0; i < COX_ARRAY_LEN(fixed); i++) {
		const struct cox_node *value = cox_node_get(r->source->node, fixed[i]);

		if (value)
			cox_map_put(doc, own, fixed[i], cox_doc_clone(doc, value));
		else
			cox_map_drop(doc, own, cox_str(fixed[i]));
	}
	if (!COX_GET(own, "repoURL"))
		cox_map_put_cstr(doc, own, "repoURL", "file:///");
	e = hub_application_init(&r->overridden, cox_doc_seal(doc), err);
	if (e < 0)
		return e;
	r->source = &r->overridden.sources.items[0];
	return 0;
}

int hub_render_override(struct hub_render *r, const struct hub_tree_list *list,
			struct cox_error *err)
{
	const struct hub_render_app *app = r->options->app;
	_cleanup_free_ char *own = app ? cox_asprintf(PREFIX "-%s.yaml", app->name) : NULL;
	_cleanup_doc_ struct cox_doc *source = NULL;
	int e = 0;

	if (!app && r->options->ret_needs_app && has_any_of_apps(list)) {
		*r->options->ret_needs_app = true;
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "'%s' has overrides for single applications", r->path);
	}
	if (!has_file(list, PREFIX ".yaml") && !(own && has_file(list, own)))
		return 0;
	source = r->source->node ? cox_doc_copy("source", r->source->node) : NULL;
	if (!source) {
		source = cox_doc_new("source");
		cox_doc_set_root(source, cox_doc_map(source));
		cox_doc_seal(source);
	}
	if (has_file(list, PREFIX ".yaml"))
		e = merge(r, PREFIX ".yaml", &source, err);
	if (e == 0 && own && has_file(list, own))
		e = merge(r, own, &source, err);
	return e < 0 ? e : adopt(r, source, err);
}
