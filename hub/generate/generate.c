#include "hub/generate/generate.h"

#include "common/base/limits.h"
#include "common/base/map.h"
#include "common/doc/yaml.h"
#include "hub/generate/fasttemplate.h"
#include "hub/generate/merge.h"
#include "hub/generate/params.h"
#include "hub/model/check.h"

void hub_generated_fini(struct hub_generated *g)
{
	cox_docs_fini(&g->applications);
	hub_problems_fini(&g->problems);
}

/* ---- one Application ---- */

static void put_owner(struct cox_doc *doc, struct cox_node *metadata, const struct hub_appset *set)
{
	struct cox_node *list, *owner;

	if (!*set->uid)
		return;
	list = cox_doc_list(doc);
	owner = cox_doc_map(doc);
	cox_map_put_cstr(doc, owner, "apiVersion", hub_kind_info(HUB_APPLICATION_SET)->api_version);
	cox_map_put_cstr(doc, owner, "kind", hub_kind_info(HUB_APPLICATION_SET)->name);
	cox_map_put_cstr(doc, owner, "name", set->name);
	cox_map_put_cstr(doc, owner, "uid", set->uid);
	cox_map_put_bool(doc, owner, "controller", true);
	cox_map_put_bool(doc, owner, "blockOwnerDeletion", true);
	cox_list_push(doc, list, owner);
	cox_map_put(doc, metadata, "ownerReferences", list);
}

static void put_if_filled(struct cox_doc *doc, struct cox_node *map, const char *key,
			  const struct cox_node *value)
{
	if (cox_node_len(value))
		cox_map_put(doc, map, key, value);
}

/* Applications land in the set's own namespace, whatever the template says. */
static const struct cox_node *make_metadata(struct cox_doc *doc, const struct hub_appset *set,
					    const char *namespace, const struct cox_node *rendered)
{
	struct cox_node *metadata = cox_doc_map(doc);
	const struct cox_node *finalizers = COX_GET(rendered, "finalizers");

	cox_map_put_cstr(doc, metadata, "name", cox_node_cstr(COX_GET(rendered, "name"), ""));
	cox_map_put_cstr(doc, metadata, "namespace", namespace);
	put_if_filled(doc, metadata, "labels", COX_GET(rendered, "labels"));
	put_if_filled(doc, metadata, "annotations", COX_GET(rendered, "annotations"));
	if (!cox_node_len(finalizers) && !set->preserve_resources) {
		struct cox_node *list = cox_doc_list(doc);

		cox_list_push(doc, list, cox_doc_cstring(doc, HUB_FINALIZER));
		finalizers = list;
	}
	put_if_filled(doc, metadata, "finalizers", finalizers);
	put_owner(doc, metadata, set);
	return metadata;
}

/* templatePatch is one text: rendered, read, laid over the Application. It may not move the
 * project. */
static int apply_patch(struct cox_doc *doc, const struct hub_appset *set,
		       const struct cox_map *params, struct cox_node *root, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *patch = NULL;
	const struct cox_node *project = COX_GET(root, "spec", "project"), *merged;
	int r;

	hub_fasttemplate(&text, cox_str(set->template_patch), params);
	if (cox_str_trim(cox_buf_str(&text)).len == 0)
		return 0;
	r = cox_yaml_read(cox_buf_str(&text), "spec.templatePatch", NULL, &patch, err);
	if (r < 0)
		return r;
	if (!cox_node_is(cox_doc_root(patch), COX_MAP))
		return cox_error(err, COX_INVALID_ARGUMENT, "spec.templatePatch: expected a map");
	cox_doc_use(doc, patch);
	merged = hub_merge_patch(doc, root, cox_doc_root(patch));
	for (size_t i = 0; i < cox_node_len(merged); i++)
		cox_map_put_str(doc, root, cox_node_key(merged, i), cox_node_at(merged, i));
	if (project)
		cox_map_put(doc, cox_map_edit_map(doc, root, "spec"), "project", project);
	return 0;
}

static int build(const struct hub_appset *set, const char *namespace, const struct hub_params *p,
		 struct cox_doc **ret_doc, struct cox_error *err)
{
	_cleanup_free_ char *name = cox_asprintf("%s: %s", cox_doc_name(set->doc), p->path);
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new(name);
	const struct cox_node *template, *rendered, *spec;
	struct cox_node *root = cox_doc_map(doc);
	int r;

	cox_doc_use(doc, set->doc);
	template = hub_merge_filled(doc, set->template, p->override);
	r = hub_fasttemplate_node(doc, set->doc, template, &p->values, &rendered, err);
	if (r < 0)
		return r;
	cox_map_put_cstr(doc, root, "apiVersion", hub_kind_info(HUB_APPLICATION)->api_version);
	cox_map_put_cstr(doc, root, "kind", hub_kind_info(HUB_APPLICATION)->name);
	cox_map_put(doc, root, "metadata",
		    make_metadata(doc, set, namespace, COX_GET(rendered, "metadata")));
	spec = COX_GET(rendered, "spec");
	cox_map_put(doc, root, "spec", spec ? spec : cox_doc_map(doc));
	r = apply_patch(doc, set, &p->values, root, err);
	if (r < 0)
		return r;
	cox_doc_set_root(doc, root);
	*ret_doc = cox_doc_seal(TAKE(doc));
	return 0;
}

/* ---- all of them ---- */

static void report(struct hub_generated *out, const struct hub_appset *set,
		   const struct hub_params *p, const char *message)
{
	hub_problem_add(&out->problems, HUB_ERROR, set->doc, p->place, "%s: %s", p->path, message);
}

/* The first error only, without the position, which means nothing in what was generated. */
static bool report_invalid(struct hub_generated *out, const struct hub_appset *set,
			   const struct hub_params *p, const struct cox_doc *app)
{
	_cleanup_problems_ struct hub_problems problems = {0};
	_cleanup_free_ char *message = NULL;
	const char *name = hub_object_name(cox_doc_root(app));

	hub_check(app, &problems);
	COX_VEC_EACH (&problems.list, it) {
		if (it->severity != HUB_ERROR)
			continue;
		message = cox_asprintf("Application '%s': %s", name, it->message);
		report(out, set, p, message);
		return true;
	}
	return false;
}

static void add_one(struct hub_generated *out, const struct hub_appset *set, const char *namespace,
		    const struct hub_params *p, struct cox_map *names)
{
	_cleanup_doc_ struct cox_doc *app = NULL;
	_cleanup_free_ char *message = NULL;
	struct cox_error err;
	const struct hub_params *first;
	const char *name;

	if (build(set, namespace, p, &app, &err) < 0) {
		report(out, set, p, err.message);
		out->incomplete = true;
		return;
	}
	name = hub_object_name(cox_doc_root(app));
	if (!*name) {
		report(out, set, p, "the Application has no name (spec.template.metadata.name)");
		out->incomplete = true;
		return;
	}
	first = cox_map_get(names, name);
	if (first) {
		message =
			cox_asprintf("Application '%s' has the name of the one that %s made; it is "
				     "left out",
				     name, first->path);
		report(out, set, p, message);
		return;
	}
	if (report_invalid(out, set, p, app)) {
		out->incomplete = true;
		return;
	}
	cox_map_set(names, name, (void *)p);
	cox_vec_push(&out->applications, TAKE(app));
}

static int refuse_unsupported(const struct hub_appset *set, struct cox_error *err)
{
	if (set->go_template)
		return cox_node_error(err, set->doc, COX_GET(set->root, "spec", "goTemplate"),
				      "spec.goTemplate: Go templates are not supported by this "
				      "version; without it, {{key}} is");
	return 0;
}

int hub_generate(const struct hub_appset *set, const struct hub_generate_input *in,
		 struct hub_generated *ret, struct cox_error *err)
{
	COX_CLEANUP(hub_params_list_fini) hub_params_list params = {0};
	_cleanup_map_ struct cox_map names = COX_MAP_INIT;
	struct hub_generated out = {0};
	struct hub_generator_ctx ctx = {.set = set, .in = in, .out = &params};
	const char *namespace = set->namespace;
	int r = refuse_unsupported(set, err);

	if (r < 0)
		return r;
	ctx.max = in->max_apps ? in->max_apps : COX_LIMIT_APPSET_APPS;
	if (!*namespace)
	namespace = in->home_namespace ? in->home_namespace : "argocd";
	for (size_t i = 0; i < cox_node_len(set->generators); i++) {
		r = hub_generator_run(&ctx, cox_node_at(set->generators, i), i, err);
		if (r < 0)
			return r;
	}
	COX_VEC_EACH (&params, p)
		add_one(&out, set, namespace, p, &names);
	*ret = out;
	return 0;
}
