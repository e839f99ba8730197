#include "common/base/options.h"
#include "common/doc/yaml.h"
#include "hub/generate/fasttemplate.h"
#include "hub/generate/params.h"
#include "hub/model/selector.h"

/* ---- parameter sets ---- */

void hub_params_set(struct hub_params *p, const char *key, const char *value)
{
	free(cox_map_set(&p->values, key, cox_strdup(value)));
}

void hub_params_fini(struct hub_params *p)
{
	cox_map_fini_values(&p->values, free);
	free(p->path);
}

void hub_params_list_fini(hub_params_list *list)
{
	COX_VEC_EACH (list, p)
		hub_params_fini(p);
	cox_vec_fini(list);
}

static const char *lookup_param(void *ctx, struct cox_str key)
{
	return cox_map_get_str(ctx, key);
}

/* Takes p's content when the generator's selector takes it; drops it otherwise. */
static int emit(const struct hub_generator_ctx *ctx, const struct cox_node *generator,
		struct hub_params *p, struct cox_error *err)
{
	const struct cox_node *selector = COX_GET(generator, "selector");

	if (cox_node_is(selector, COX_MAP) &&
	    !hub_selector_matches_with(selector, lookup_param, &p->values)) {
		hub_params_fini(p);
		return 0;
	}
	if (ctx->out->n >= ctx->max) {
		hub_params_fini(p);
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "ApplicationSet '%s' generates more than %zu Applications",
				 ctx->set->name, ctx->max);
	}
	cox_vec_push(ctx->out, *p);
	return 0;
}

/* ---- list ---- */

static int set_text(struct hub_params *p, const struct cox_doc *doc, const char *key,
		    const struct cox_node *value, struct cox_error *err)
{
	if (!cox_node_is(value, COX_STRING))
		return cox_node_error(err, doc, value,
				      "%s.%s: expected a string, got %s (put it in quotes)",
				      p->path, key, cox_kind_name(cox_node_kind(value)));
	if (memchr(cox_node_str(value).ptr, 0, cox_node_str(value).len))
		return cox_node_error(err, doc, value, "%s.%s: must not hold a NUL character",
				      p->path, key);
	hub_params_set(p, key, cox_node_str(value).ptr);
	return 0;
}

/* {values: {k: v}} becomes values.k. */
static int set_values(struct hub_params *p, const struct cox_doc *doc,
		      const struct cox_node *values, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(values); i++) {
		_cleanup_free_ char *key =
			cox_asprintf("values.%.*s", COX_STR_ARG(cox_node_key(values, i)));
		int r = set_text(p, doc, key, cox_node_at(values, i), err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int fill_element(struct hub_params *p, const struct cox_doc *doc,
			const struct cox_node *element, struct cox_error *err)
{
	if (!cox_node_is(element, COX_MAP))
		return cox_node_error(err, doc, element, "%s: expected a map, got %s", p->path,
				      cox_kind_name(cox_node_kind(element)));
	for (size_t i = 0; i < cox_node_len(element); i++) {
		_cleanup_free_ char *key = cox_str_dup(cox_node_key(element, i));
		const struct cox_node *value = cox_node_at(element, i);
		int r;

		if (strcmp(key, "values") == 0 && cox_node_is(value, COX_MAP))
			r = set_values(p, doc, value, err);
		else
			r = set_text(p, doc, key, value, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* base: where the elements' own lines count from; NULL when they are lines of doc. */
static int run_elements(const struct hub_generator_ctx *ctx, const struct cox_node *generator,
			const struct cox_doc *doc, const struct cox_node *elements,
			const struct cox_node *place, const char *path, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(elements); i++) {
		const struct cox_node *element = cox_node_at(elements, i);
		struct hub_params p = {
			.place = place ? place : element,
			.path = cox_asprintf("%s[%zu]", path, i),
			.override = COX_GET(generator, "list", "template"),
		};
		int r = fill_element(&p, doc, element, err);

		if (r < 0) {
			hub_params_fini(&p);
			return r;
		}
		r = emit(ctx, generator, &p, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_elements_yaml(const struct hub_generator_ctx *ctx, const struct cox_node *generator,
			     const struct cox_node *text, const char *path, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	_cleanup_free_ char *name = cox_asprintf("%s: %s", cox_doc_name(ctx->set->doc), path);
	int r;

	if (cox_str_trim(cox_node_str(text)).len == 0)
		return 0;
	r = cox_yaml_read(cox_node_str(text), name, NULL, &doc, err);
	if (r < 0)
		return r;
	if (!cox_node_is(cox_doc_root(doc), COX_LIST))
		return cox_node_error(err, ctx->set->doc, text, "%s: expected a list, got %s", path,
				      cox_kind_name(cox_node_kind(cox_doc_root(doc))));
	return run_elements(ctx, generator, doc, cox_doc_root(doc), text, path, err);
}

static int run_list(const struct hub_generator_ctx *ctx, const struct cox_node *generator,
		    const char *path, struct cox_error *err)
{
	const struct cox_node *list = COX_GET(generator, "list");
	_cleanup_free_ char *elements = cox_asprintf("%s.elements", path);
	_cleanup_free_ char *yaml = cox_asprintf("%s.elementsYaml", path);
	int r = run_elements(ctx, generator, ctx->set->doc, COX_GET(list, "elements"), NULL,
			     elements, err);

	return r < 0 ? r
		     : run_elements_yaml(ctx, generator, COX_GET(list, "elementsYaml"), yaml, err);
}

/* ---- clusters ---- */

/* Lower case, '-' for what no name may hold, at most 253, no '-' or '.' at the ends. */
static char *normalized(const char *name)
{
	struct cox_buf out = COX_BUF_INIT;
	size_t skip = 0;

	for (; *name && out.len < 253; name++) {
		char c = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;
		bool fine =
			(c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';

		cox_buf_putc(&out, fine ? c : '-');
	}
	while (out.len && strchr("-.", out.ptr[out.len - 1]))
		out.ptr[--out.len] = 0;
	while (skip < out.len && strchr("-.", out.ptr[skip]))
		skip++;
	cox_buf_consume(&out, skip);
	return cox_buf_take(&out);
}

static void set_metadata(struct hub_params *p, const char *prefix, const struct cox_node *map)
{
	for (size_t i = 0; i < cox_node_len(map); i++) {
		_cleanup_free_ char *key =
			cox_asprintf("%s.%.*s", prefix, COX_STR_ARG(cox_node_key(map, i)));

		hub_params_set(p, key, cox_node_cstr(cox_node_at(map, i), ""));
	}
}

/* values may use the set's other parameters, but not one another. */
static void set_rendered_values(struct hub_params *p, const struct cox_node *values)
{
	cox_strings rendered = {0};

	for (size_t i = 0; i < cox_node_len(values); i++) {
		struct cox_buf text = COX_BUF_INIT;

		hub_fasttemplate(&text, cox_node_str(cox_node_at(values, i)), &p->values);
		cox_vec_push(&rendered, cox_buf_take(&text));
	}
	for (size_t i = 0; i < rendered.n; i++) {
		_cleanup_free_ char *key =
			cox_asprintf("values.%.*s", COX_STR_ARG(cox_node_key(values, i)));

		hub_params_set(p, key, rendered.items[i]);
	}
	cox_strings_fini(&rendered);
}

static void fill_cluster(struct hub_params *p, const struct hub_cluster *cluster,
			 const struct cox_node *values)
{
	_cleanup_free_ char *normal = normalized(cluster->name);

	hub_params_set(p, "name", cluster->name);
	hub_params_set(p, "nameNormalized", normal);
	hub_params_set(p, "server", cluster->server);
	hub_params_set(p, "project", cluster->project);
	set_metadata(p, "metadata.labels", cluster->labels);
	set_metadata(p, "metadata.annotations", cluster->annotations);
	set_rendered_values(p, values);
}

static int run_clusters(const struct hub_generator_ctx *ctx, const struct cox_node *generator,
			const char *path, struct cox_error *err)
{
	const struct cox_node *spec = COX_GET(generator, "clusters");
	const struct cox_node *selector = COX_GET(spec, "selector");

	if (cox_node_bool(COX_GET(spec, "flatList"), false))
		return cox_node_error(err, ctx->set->doc, COX_GET(spec, "flatList"),
				      "%s.flatList: is not supported by this version", path);
	for (size_t i = 0; i < ctx->in->n_clusters; i++) {
		const struct hub_cluster *cluster = ctx->in->clusters[i];
		struct hub_params p = {.place = spec, .override = COX_GET(spec, "template")};
		int r;

		if (cluster->deleting || (cox_node_is(selector, COX_MAP) &&
					  !hub_selector_matches(selector, cluster->labels)))
			continue;
		p.path = cox_asprintf("%s (cluster '%s')", path, cluster->name);
		fill_cluster(&p, cluster, COX_GET(spec, "values"));
		r = emit(ctx, generator, &p, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- all ---- */

static const struct {
	const char *name;
	int (*run)(const struct hub_generator_ctx *ctx, const struct cox_node *generator,
		   const char *path, struct cox_error *err);
} generators[] = {
	{"list", run_list},    {"clusters", run_clusters},
	{"git", NULL},	       {"matrix", NULL},
	{"merge", NULL},       {"scmProvider", NULL},
	{"pullRequest", NULL}, {"clusterDecisionResource", NULL},
	{"plugin", NULL},
};

int hub_generator_run(const struct hub_generator_ctx *ctx, const struct cox_node *generator,
		      size_t index, struct cox_error *err)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(generators); i++) {
		const struct cox_node *node = cox_node_get(generator, generators[i].name);
		_cleanup_free_ char *path = NULL;

		if (cox_node_kind(node) <= COX_NULL)
			continue;
		path = cox_asprintf("spec.generators[%zu].%s", index, generators[i].name);
		if (!generators[i].run)
			return cox_node_error(err, ctx->set->doc, node,
					      "%s: this generator is not supported by this version "
					      "(list and clusters are)",
					      path);
		return generators[i].run(ctx, generator, path, err);
	}
	return cox_node_error(err, ctx->set->doc, generator,
			      "spec.generators[%zu]: has no generator", index);
}
