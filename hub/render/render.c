#include "hub/render/render.h"

#include "common/base/limits.h"
#include "hub/render/internal.h"
#include "hub/render/kustomize/kustomize.h"

void hub_rendered_fini(struct hub_rendered *r)
{
	cox_docs_fini(&r->objects);
	hub_reads_fini(&r->reads);
	hub_problems_fini(&r->warnings);
}

/* ---- which kind of source it is (reference/argocd.md A2, "Discovery") ---- */

static int refuse(const struct hub_render *r, const char *what, struct cox_error *err)
{
	return cox_error(err, COX_UNIMPLEMENTED,
			 "%s sources are not supported by this version (%s)", what,
			 *r->path ? r->path : "the repository's root");
}

static bool is_in_list(const struct hub_tree_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i].name, name) == 0)
			return true;
	return false;
}

static int check_explicit(const struct hub_render *r, struct cox_error *err)
{
	const struct hub_source *s = r->source;
	int n = (s->helm != NULL) + (s->kustomize != NULL) + (s->plugin != NULL) +
		s->directory.given;

	if (n > 1)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the source has more than one of directory, helm, kustomize and "
				 "plugin; keep one");
	if (*s->chart || s->helm)
		return refuse(r, "Helm", err);
	if (s->plugin)
		return refuse(r, "plugin", err);
	if (s->directory.jsonnet)
		return refuse(r, "Jsonnet", err);
	return 0;
}

/* 1: a kustomization; 0: a directory. */
static int discover(struct hub_render *r, struct cox_error *err)
{
	_cleanup_tree_list_ struct hub_tree_list list = HUB_TREE_LIST_INIT;
	int e = hub_tree_list(r->tree, r->path, &list, err);

	if (e == -COX_NOT_FOUND)
		return cox_error(err, COX_NOT_FOUND, "the repository has no directory '%s'",
				 r->path);
	if (e == 0)
		e = hub_render_override(r, &list, err);
	if (e == 0)
		e = check_explicit(r, err);
	if (e < 0)
		return e;
	if (r->source->directory.given)
		return 0;
	if (r->source->kustomize)
		return 1;
	if (is_in_list(&list, "Chart.yaml"))
		return refuse(r, "Helm", err);
	for (const char *const *name = hub_kustomize_names; *name; name++)
		if (is_in_list(&list, *name))
			return 1;
	return 0;
}

static int remote(void *ctx, const char *url, const char *revision, struct hub_tree **ret_tree,
		  struct cox_error *err)
{
	const struct hub_render *r = ctx;

	return r->options->remote(r->options->ctx, url, revision, ret_tree, err);
}

static int render_kustomization(struct hub_render *r, struct cox_error *err)
{
	const struct hub_render_app *app = r->options->app;
	const char *revision = app ? app->revision : "";
	_cleanup_free_ char *seven = cox_asprintf("%.7s", revision);
	_cleanup_free_ char *eight = cox_asprintf("%.8s", revision);
	const struct hub_kustomize_env env[] = {
		{"ARGOCD_APP_NAME", app ? app->name : ""},
		{"ARGOCD_APP_NAMESPACE", app ? app->namespace : ""},
		{"ARGOCD_APP_PROJECT_NAME", app ? app->project : ""},
		{"ARGOCD_APP_REVISION", revision},
		{"ARGOCD_APP_REVISION_SHORT", seven},
		{"ARGOCD_APP_REVISION_SHORT_8", eight},
		{"ARGOCD_APP_SOURCE_PATH", r->source->path},
		{"ARGOCD_APP_SOURCE_REPO_URL", r->source->repo_url},
		{"ARGOCD_APP_SOURCE_TARGET_REVISION", r->source->target_revision},
		{NULL, NULL},
	};
	struct hub_kustomize_input in = {.path = r->path,
					 .source = r->source->kustomize,
					 .env = app ? env : NULL,
					 .max_bytes = r->max_bytes,
					 .max_objects = r->max_objects,
					 .remote = r->options->remote ? remote : NULL,
					 .ctx = r};

	if (!app && r->options->ret_needs_app && hub_kustomize_uses_env(in.source))
		*r->options->ret_needs_app = true;
	return hub_kustomize_build(r->tree, &in, &r->out->objects, err);
}

static int render(struct hub_render *r, struct cox_error *err)
{
	int e = check_explicit(r, err);

	if (e == 0)
		e = discover(r, err);
	if (e < 0)
		return e;
	return e == 1 ? render_kustomization(r, err) : hub_render_directory(r, err);
}

int hub_render(struct hub_tree *tree, const struct hub_source *source,
	       const struct hub_render_options *options, struct hub_rendered *ret,
	       struct cox_error *err)
{
	_cleanup_rendered_ struct hub_rendered out = {0};
	_cleanup_free_ char *path = NULL;
	static const struct hub_render_options defaults = {0};
	const struct hub_render_options *o = options ? options : &defaults;
	_cleanup_tree_ struct hub_tree *recording = hub_tree_recording(tree, &out.reads);
	struct hub_render r = {
		.tree = recording,
		.source = source,
		.options = o,
		.max_bytes = o->max_bytes ? o->max_bytes : COX_LIMIT_APP_BYTES,
		.max_objects = o->max_objects ? o->max_objects : COX_LIMIT_APP_OBJECTS,
		.out = &out,
	};
	int e;

	/* a source that only names files for others renders nothing */
	if (!*source->path && !*source->chart && *source->ref) {
		*ret = (struct hub_rendered){0};
		return 0;
	}
	e = hub_path_clean(cox_str(source->path), &path, err);
	if (e < 0)
		return cox_error_wrap(err, "source.path");
	r.path = path;
	e = render(&r, err);
	hub_application_fini(&r.overridden);
	if (e < 0)
		return e;
	*ret = out;
	out = (struct hub_rendered){0};
	return 0;
}
