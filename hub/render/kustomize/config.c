/* What the transformers are told about fields: the defaults, `configurations`, `crds`. */
#include "hub/render/kustomize/internal.h"

/* The time of a merge is the square of them. */
static int too_many(struct cox_error *err)
{
	return cox_error(err, COX_RESOURCE_EXHAUSTED,
			 "more than %d field specs in one list; say less of each kind, or more of "
			 "all",
			 HUB_LIMIT_KUSTOMIZE_SPECS);
}

int kz_specs_merge(kz_specs *into, const struct kz_spec *spec, struct cox_error *err)
{
	COX_VEC_EACH (into, s) {
		if (strcmp(s->path, spec->path) != 0 || !kz_gvk_selected(&s->gvk, &spec->gvk))
			continue;
		if (s->create != spec->create)
			return cox_error(
				err, COX_INVALID_ARGUMENT,
				"two field specs for '%s' of kind '%s' differ in `create`; "
				"remove the one in your configuration",
				spec->path, spec->gvk.kind);
		return 0;
	}
	if (into->n >= HUB_LIMIT_KUSTOMIZE_SPECS)
		return too_many(err);
	cox_vec_push(into, *spec);
	return 0;
}

int kz_specs_add(kz_specs *into, const kz_specs *from, struct cox_error *err)
{
	int e = 0;

	COX_VEC_EACH (from, spec)
		if (e == 0)
			e = kz_specs_merge(into, spec, err);
	return e;
}

void kz_config_fini(struct kz_config *config)
{
	for (size_t i = 0; i < KZ_N_LISTS; i++)
		cox_vec_fini(&config->lists[i]);
	COX_VEC_EACH (&config->references, ref)
		cox_vec_fini(&ref->from);
	cox_vec_fini(&config->references);
}

static int merge_reference(struct kz_config *into, const struct kz_gvk *gvk,
			   const struct kz_spec *from, size_t n, struct cox_error *err)
{
	struct kz_reference *found = NULL;
	int e = 0;

	COX_VEC_EACH (&into->references, ref)
		if (!strcmp(ref->gvk.group, gvk->group) && !strcmp(ref->gvk.kind, gvk->kind) &&
		    !strcmp(ref->gvk.version, gvk->version))
			found = ref;
	if (!found && into->references.n >= HUB_LIMIT_KUSTOMIZE_SPECS)
		return too_many(err);
	if (!found) {
		cox_vec_push(&into->references, (struct kz_reference){.gvk = *gvk});
		found = &into->references.items[into->references.n - 1];
	}
	for (size_t i = 0; e == 0 && i < n; i++)
		e = kz_specs_merge(&found->from, &from[i], err);
	return e;
}

/* Sorted after each merge, as the reference program sorts: what is said of a kind stands before what
 * is said of all, so that a merge into an empty configuration keeps the former and drops the latter
 * (a `namePrefix` for one kind is one for this kind only). */
static void sort_specs(kz_specs *list)
{
	for (size_t i = 1; i < list->n; i++) {
		struct kz_spec one = list->items[i];
		size_t j = i;

		for (; j > 0 && kz_gvk_compare(&one.gvk, &list->items[j - 1].gvk) < 0; j--)
			list->items[j] = list->items[j - 1];
		list->items[j] = one;
	}
}

static void sort_config(struct kz_config *config)
{
	for (size_t i = 0; i < KZ_N_LISTS; i++)
		sort_specs(&config->lists[i]);
	for (size_t i = 1; i < config->references.n; i++) {
		struct kz_reference one = config->references.items[i];
		size_t j = i;

		for (; j > 0 && kz_gvk_compare(&one.gvk, &config->references.items[j - 1].gvk) < 0;
		     j--)
			config->references.items[j] = config->references.items[j - 1];
		config->references.items[j] = one;
	}
}

static int merge_lists(struct kz_config *into, const struct kz_config *from, struct cox_error *err)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < KZ_N_LISTS; i++)
		e = kz_specs_add(&into->lists[i], &from->lists[i], err);
	COX_VEC_EACH (&from->references, ref)
		if (e == 0)
			e = merge_reference(into, &ref->gvk, ref->from.items, ref->from.n, err);
	return e;
}

static bool is_empty(const struct kz_config *config)
{
	size_t n = config->references.n;

	for (size_t i = 0; i < KZ_N_LISTS; i++)
		n += config->lists[i].n;
	return n == 0;
}

static void copy_specs(kz_specs *to, const kz_specs *from)
{
	COX_VEC_EACH (from, spec)
		cox_vec_push(to, *spec);
}

static void copy(struct kz_config *to, const struct kz_config *from)
{
	for (size_t i = 0; i < KZ_N_LISTS; i++)
		copy_specs(&to->lists[i], &from->lists[i]);
	COX_VEC_EACH (&from->references, ref) {
		struct kz_reference one = {.gvk = ref->gvk};

		copy_specs(&one.from, &ref->from);
		cox_vec_push(&to->references, one);
	}
	to->plain = from->plain;
}

int kz_config_merge(struct kz_config *into, const struct kz_config *from, struct cox_error *err)
{
	int e;

	/* nearly all are plain: nothing is compared then */
	if (is_empty(from) || (into->plain && from->plain))
		return 0;
	if (from->plain && is_empty(into)) {
		copy(into, from);
		return 0;
	}
	into->plain = false;
	e = merge_lists(into, from, err);
	sort_config(into);
	return e;
}

/* Made once a build. */
static const struct kz_config *defaults(struct kz *kz)
{
	struct kz_config *config = &kz->defaults;

	if (config->plain)
		return config;
	for (size_t i = 0; i < KZ_N_LISTS; i++)
		for (const struct kz_spec *s = kz_default_specs[i]; s->path; s++)
			cox_vec_push(&config->lists[i], *s);
	for (size_t i = 0; i < kz_n_default_references; i++) {
		const struct kz_default_reference *ref = &kz_default_references[i];
		struct kz_reference one = {.gvk = ref->gvk};

		for (const struct kz_spec *s = ref->from; s->path; s++)
			cox_vec_push(&one.from, *s);
		cox_vec_push(&config->references, one);
	}
	sort_config(config);
	config->plain = true;
	return config;
}

/* ---- configurations ---- */

static struct kz_gvk read_gvk(struct kz *kz, const struct cox_node *node)
{
	return (struct kz_gvk){kz_str(kz, cox_node_str(COX_GET(node, "group"))),
			       kz_str(kz, cox_node_str(COX_GET(node, "version"))),
			       kz_str(kz, cox_node_str(COX_GET(node, "kind")))};
}

static const char *const spec_fields[] = {"group", "version", "kind", "path", "create", NULL};

static int check_fields(const struct cox_doc *doc, const struct cox_node *map,
			const char *const *known, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(map); i++) {
		const char *const *k = known;

		while (*k && !cox_str_is(cox_node_key(map, i), *k))
			k++;
		if (!*k)
			return cox_node_error(err, doc, cox_node_at(map, i),
					      "unknown field '%.*s' of a field spec",
					      COX_STR_ARG(cox_node_key(map, i)));
	}
	return 0;
}

int kz_specs_read(struct kz *kz, const struct cox_node *list, kz_specs *ret, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *item = cox_node_at(list, i);
		struct kz_spec spec = {read_gvk(kz, item),
				       kz_str(kz, cox_node_str(COX_GET(item, "path"))),
				       cox_node_bool(COX_GET(item, "create"), false)};
		int e = kz_specs_merge(ret, &spec, err);

		if (e < 0)
			return e;
	}
	return 0;
}

static const struct {
	const char *field;
	enum kz_config_list list;
} config_fields[] = {
	{"namePrefix", KZ_NAME_PREFIX},
	{"nameSuffix", KZ_NAME_SUFFIX},
	{"namespace", KZ_NAMESPACE},
	{"commonLabels", KZ_COMMON_LABELS},
	{"labels", KZ_LABELS},
	{"templateLabels", KZ_TEMPLATE_LABELS},
	{"volumeClaimTemplateLabels", KZ_CLAIM_LABELS},
	{"commonAnnotations", KZ_COMMON_ANNOTATIONS},
	{"varReference", KZ_VAR_REFERENCE},
	{"images", KZ_IMAGES},
	{"replicas", KZ_REPLICAS},
};

static int read_checked(struct kz *kz, const struct cox_doc *doc, const struct cox_node *list,
			kz_specs *ret, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (check_fields(doc, cox_node_at(list, i), spec_fields, err) < 0)
			return -COX_INVALID_ARGUMENT;
	return kz_specs_read(kz, list, ret, err);
}

static int read_references(struct kz *kz, struct kz_config *config, const struct cox_doc *doc,
			   const struct cox_node *list, struct cox_error *err)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < cox_node_len(list); i++) {
		const struct cox_node *item = cox_node_at(list, i);
		struct kz_gvk gvk = read_gvk(kz, item);
		kz_specs from = {0};

		e = read_checked(kz, doc, COX_GET(item, "fieldSpecs"), &from, err);
		if (e == 0)
			e = merge_reference(config, &gvk, from.items, from.n, err);
		cox_vec_fini(&from);
	}
	return e;
}

static int read_configuration(struct kz *kz, struct kz_config *config, const struct cox_doc *doc,
			      struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc);
	int e = 0;

	for (size_t i = 0; e == 0 && i < cox_node_len(root); i++) {
		struct cox_str key = cox_node_key(root, i);
		const struct cox_node *value = cox_node_at(root, i);
		size_t j = 0;

		while (j < COX_ARRAY_LEN(config_fields) && !cox_str_is(key, config_fields[j].field))
			j++;
		if (j < COX_ARRAY_LEN(config_fields))
			e = read_checked(kz, doc, value, &config->lists[config_fields[j].list],
					 err);
		else if (cox_str_is(key, "nameReference"))
			e = read_references(kz, config, doc, value, err);
		else if (!cox_str_is(key, "apiVersion") && !cox_str_is(key, "kind") &&
			 !cox_str_is(key, "metadata"))
			return cox_node_error(err, doc, value,
					      "'%.*s' is no field of a transformer configuration",
					      COX_STR_ARG(key));
	}
	return e;
}

/* ---- crds: OpenAPI definitions that say where names and labels are ---- */

static const char *join(struct kz *kz, const char *path, struct cox_str key)
{
	return kz_printf(kz, "%s%s%.*s", path, *path ? "/" : "", COX_STR_ARG(key));
}

static int read_definition(struct kz *kz, struct kz_config *config, const struct cox_node *all,
			   const struct cox_node *api, const char *kind, const char *path,
			   int depth, struct cox_error *err)
{
	const struct cox_node *properties = COX_GET(api, "Schema", "properties");
	int e = 0;

	if (!properties)
		properties = COX_GET(api, "schema", "properties");
	if (depth > 16)
		return 0;
	for (size_t i = 0; e == 0 && i < cox_node_len(properties); i++) {
		const struct cox_node *p = cox_node_at(properties, i);
		const char *at = join(kz, path, cox_node_key(properties, i));
		struct kz_spec spec = {{"", "", kind}, at, false};
		const struct cox_node *ref_kind = COX_GET(p, "x-kubernetes-object-ref-kind");
		const struct cox_node *ref_version =
			COX_GET(p, "x-kubernetes-object-ref-api-version");

		if (COX_GET(p, "x-kubernetes-annotation"))
			e = kz_specs_merge(&config->lists[KZ_COMMON_ANNOTATIONS], &spec, err);
		if (e == 0 && COX_GET(p, "x-kubernetes-label-selector"))
			e = kz_specs_merge(&config->lists[KZ_COMMON_LABELS], &spec, err);
		if (e == 0 && COX_GET(p, "x-kubernetes-identity"))
			e = kz_specs_merge(&config->lists[KZ_NAME_PREFIX], &spec, err);
		if (e == 0 && ref_kind && ref_version) {
			const struct cox_node *key = COX_GET(p, "x-kubernetes-object-ref-name-key");
			struct kz_gvk gvk = {"", kz_str(kz, cox_node_str(ref_version)),
					     kz_str(kz, cox_node_str(ref_kind))};

			spec.path = join(kz, at, key ? cox_node_str(key) : COX_STR("name"));
			e = merge_reference(config, &gvk, &spec, 1, err);
		}
		if (e == 0 && COX_GET(p, "$ref"))
			e = read_definition(kz, config, all,
					    cox_node_get_str(all, cox_node_str(COX_GET(p, "$ref"))),
					    kind, at, depth + 1, err);
	}
	return e;
}

static int no_definitions(const struct cox_doc *doc, const struct cox_node *node,
			  struct cox_error *err)
{
	return cox_node_error(
		err, doc, node,
		"crds: expected a map of OpenAPI definitions, each a map with `Schema`, "
		"got %s; a CustomResourceDefinition belongs under resources",
		cox_kind_name(cox_node_kind(node)));
}

static int read_crds(struct kz *kz, struct kz_config *config, const struct cox_doc *doc,
		     struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc);
	int e = 0;

	if (!cox_node_is(root, COX_MAP))
		return no_definitions(doc, root, err);
	for (size_t i = 0; i < cox_node_len(root); i++)
		if (!cox_node_is(cox_node_at(root, i), COX_MAP))
			return no_definitions(doc, cox_node_at(root, i), err);
	for (size_t i = 0; e == 0 && i < cox_node_len(root); i++) {
		const struct cox_node *api = cox_node_at(root, i);
		const struct cox_node *properties = COX_GET(api, "Schema", "properties");
		const char *name = kz_str(kz, cox_node_key(root, i));
		const char *dot = strrchr(name, '.');

		if (!properties)
			properties = COX_GET(api, "schema", "properties");
		if (COX_GET(properties, "kind") && COX_GET(properties, "apiVersion") &&
		    COX_GET(properties, "metadata"))
			e = read_definition(kz, config, root, api, dot ? dot + 1 : name, "", 0,
					    err);
	}
	return e;
}

typedef int (*reader)(struct kz *kz, struct kz_config *config, const struct cox_doc *doc,
		      struct cox_error *err);

/* The files of a field, together. */
static int load_each(const struct kz_dir *dir, struct kz_config *config, const char *field,
		     reader read, struct cox_error *err)
{
	const struct cox_node *list = COX_GET(dir->k, field);
	int e = 0;

	for (size_t i = 0; e == 0 && i < cox_node_len(list); i++) {
		COX_CLEANUP(kz_config_fini) struct kz_config one = {0};
		struct cox_doc *doc = NULL;

		e = kz_load_yaml(dir, cox_node_cstr(cox_node_at(list, i), ""), &doc, err);
		if (e < 0)
			return kz_locate(err, dir->file, cox_node_at(list, i));
		e = read(dir->kz, &one, doc, err);
		sort_config(&one);
		if (e == 0)
			e = kz_config_merge(config, &one, err);
		if (e < 0)
			return kz_locate(err, dir->file, cox_node_at(list, i));
	}
	return e;
}

int kz_config_load(const struct kz_dir *dir, struct kz_acc *acc, struct cox_error *err)
{
	COX_CLEANUP(kz_config_fini) struct kz_config config = {0}, own = {0}, crds = {0};
	const struct kz_config *whole = defaults(dir->kz);
	int e = load_each(dir, &own, "configurations", read_configuration, err);

	if (e == 0 && !is_empty(&own)) {
		copy(&config, whole);
		whole = &config;
		e = kz_config_merge(&config, &own, err);
	}
	if (e == 0)
		e = kz_config_merge(&acc->config, whole, err);
	if (e < 0)
		return kz_locate(err, dir->file, COX_GET(dir->k, "configurations"));
	e = load_each(dir, &crds, "crds", read_crds, err);
	return e < 0 ? e : kz_config_merge(&acc->config, &crds, err);
}
