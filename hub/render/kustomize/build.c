/* From a directory to objects: what is read, and in which order it is transformed. */
#include "hub/render/kustomize/internal.h"

#include "common/base/limits.h"
#include "common/kube/meta.h"

#define LOCAL_CONFIG "config.kubernetes.io/local-config"

/* ---- resources, components ---- */

static int check_cycle(const struct kz_dir *dir, const char *path, struct cox_error *err)
{
	int depth = 0;

	for (const struct kz_dir *d = dir; d; d = d->parent, depth++) {
		size_t n = strlen(path);

		/* a directory that holds one that is being read leads back to it */
		if (strncmp(d->path, path, n) == 0 && (n == 0 || d->path[n] == '/' || !d->path[n]))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "a cycle: '%s' holds or is '%s', which is being read",
					 *path ? path : ".", *d->path ? d->path : ".");
	}
	if (depth > HUB_LIMIT_KUSTOMIZE_DEPTH)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "more than %d kustomizations inside one another",
				 HUB_LIMIT_KUSTOMIZE_DEPTH);
	if (++dir->kz->n_dirs > HUB_LIMIT_KUSTOMIZE_DIRS)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "more than %d directories",
				 HUB_LIMIT_KUSTOMIZE_DIRS);
	return 0;
}

/* `openapi`: of the kustomization that says so first, from the root on. */
static int load_openapi(const struct kz_dir *dir, struct cox_error *err)
{
	const struct cox_node *path = COX_GET(dir->k, "openapi", "path");
	const struct cox_node *version = COX_GET(dir->k, "openapi", "version");
	struct cox_doc *doc;
	int e;

	if (dir->kz->schema_set)
		return 0;
	if (path && version)
		return cox_node_error(err, dir->doc, version,
				      "openapi: `version` and `path` exclude each other");
	if (version && !cox_str_is(cox_node_str(version), "v1.21.2") &&
	    !cox_str_is(cox_node_str(version), "v1212"))
		return cox_node_error(err, dir->doc, version,
				      "openapi.version: only v1.21.2 is built in");
	dir->kz->schema_set = path || version;
	if (!path)
		return 0;
	e = kz_load_yaml(dir, cox_node_cstr(path, ""), &doc, err);
	if (e < 0)
		return kz_locate(err, dir->file, path);
	cox_vec_push(&dir->kz->schema, cox_doc_ref(doc));
	return 0;
}

static const char *origin_below(const struct kz_dir *dir, const char *text)
{
	/* relative to the root kustomization, ".." resolved where that is possible */
	_cleanup_free_ char *path = NULL;
	const char *root = dir->kz->in->path;
	size_t n = strlen(root), up = 0;
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
	const char *common;

	if (hub_path_resolve(dir->path, cox_str(text), &path, NULL) < 0)
		return text;
	if (n == 0)
		return kz_strdup(dir->kz, path);
	if (strncmp(path, root, n) == 0 && (path[n] == '/' || !path[n]))
		return kz_strdup(dir->kz, path[n] ? path + n + 1 : "");
	/* climb until what is left of root holds path */
	for (common = root + n;;) {
		while (common > root && common[-1] != '/')
			common--;
		up++;
		if (strncmp(path, root, (size_t)(common - root)) == 0)
			break;
		common--;
	}
	for (size_t i = 0; i < up; i++)
		cox_buf_puts(&b, i ? "/.." : "..");
	cox_buf_printf(&b, "/%s", path + (common - root));
	return kz_str(dir->kz, cox_buf_str(&b));
}

static int accumulate_dir(const struct kz_dir *dir, struct kz_acc *acc, const char *path,
			  bool component, struct cox_error *err)
{
	struct kz *kz = dir->kz;
	struct kz_dir sub = {.kz = kz, .parent = dir, .path = path};
	COX_CLEANUP(kz_acc_fini) struct kz_acc inner = {0};
	int e = check_cycle(dir, path, err);

	if (e == 0)
		e = kz_dir_load(&sub, err);
	if (e == 0)
		e = load_openapi(&sub, err);
	if (e < 0)
		return e;
	if (component != sub.component)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 component ? "'%s' is no Component; list it under resources"
					   : "'%s' is a Component; list it under components",
				 sub.file);
	if (component)
		return kz_accumulate(&sub, acc, err);
	e = kz_accumulate(&sub, &inner, err);
	return e < 0 ? e : kz_acc_merge(kz, acc, &inner, err);
}

static int accumulate_file(const struct kz_dir *dir, struct kz_acc *acc, const char *text,
			   struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf content = COX_BUF_INIT;
	const char *path;
	kz_list list = {0};
	int e = kz_read(dir, text, &path, &content, err);

	if (e == 0)
		e = kz_resources(dir->kz, cox_buf_str(&content), path, &list, err);
	COX_VEC_EACH (&list, r) {
		if (e < 0)
			break;
		if (dir->kz->origins)
			kz_res_annotate(*r, "config.kubernetes.io/origin",
					kz_printf(dir->kz, "path: %s\n", origin_below(dir, text)));
		e = kz_acc_append(dir->kz, acc, *r, err);
	}
	cox_vec_fini(&list);
	return e;
}

static int accumulate_path(const struct kz_dir *dir, struct kz_acc *acc, const char *text,
			   bool component, struct cox_error *err)
{
	_cleanup_free_ char *path = NULL;
	enum hub_tree_kind kind;
	int e;

	if (kz_is_remote(text) &&
	    (strstr(text, "://") || hub_path_resolve(dir->path, cox_str(text), &path, NULL) < 0 ||
	     hub_tree_kind(dir->kz->tree, path, &kind, NULL) < 0))
		return cox_error(err, COX_UNIMPLEMENTED,
				 "remote base '%s' is not fetched by this version; copy it into "
				 "the repository",
				 text);
	free(TAKE(path));
	e = hub_path_resolve(dir->path, cox_str(text), &path, err);
	if (e == 0)
		e = hub_tree_kind(dir->kz->tree, path, &kind, err);
	if (e == -COX_NOT_FOUND) {
		if (dir->kz->in->note_read)
			dir->kz->in->note_read(dir->kz->in->ctx, path, (struct cox_str){NULL, 0});
		return cox_error(err, COX_NOT_FOUND, "there is no file or directory '%s'", path);
	}
	if (e < 0)
		return e;
	if (kind == HUB_TREE_DIR)
		return accumulate_dir(dir, acc, kz_strdup(dir->kz, path), component, err);
	if (component)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "'%s' is a file; a component is a directory", path);
	return accumulate_file(dir, acc, text, err);
}

int kz_accumulate_list(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *paths,
		       bool components, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(paths); i++) {
		const struct cox_node *item = cox_node_at(paths, i);
		int e;

		if (!cox_node_is(item, COX_STRING) || !cox_node_str(item).len)
			return cox_node_error(err, dir->doc, item, "expected a path");
		e = accumulate_path(dir, acc, cox_node_cstr(item, ""), components, err);
		if (e < 0)
			return kz_locate(err, dir->file, item);
	}
	return 0;
}

/* ---- generators ---- */

static int generate_each(const struct kz_dir *dir, struct kz_acc *acc, const char *field,
			 bool secret, struct cox_error *err)
{
	const struct cox_node *list = COX_GET(dir->k, field);

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *args = cox_node_at(list, i);
		struct kz_res *r;
		int e = kz_generate(dir, dir->doc, args, COX_GET(dir->k, "generatorOptions"),
				    secret, &r, err);

		if (e < 0)
			return e;
		if (dir->kz->origins)
			kz_res_annotate(
				r, "config.kubernetes.io/origin",
				kz_printf(dir->kz,
					  "configuredIn: %s\nconfiguredBy:\n  apiVersion: "
					  "builtin\n  kind: %s\n",
					  origin_below(dir, strrchr(dir->file, '/')
								    ? strrchr(dir->file, '/') + 1
								    : dir->file),
					  secret ? "SecretGenerator" : "ConfigMapGenerator"));
		e = kz_acc_absorb(dir->kz, acc, r, err);
		if (e < 0)
			return kz_locate(err, dir->file, args);
	}
	return 0;
}

static int refuse_helm(const struct kz_dir *dir, struct cox_error *err)
{
	static const char *const names[] = {"helmCharts", "helmChartInflationGenerator"};

	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++)
		if (cox_node_len(COX_GET(dir->k, names[i]))) {
			(void)cox_node_error(err, dir->doc, COX_GET(dir->k, names[i]),
					     "%s: Helm charts are not supported by this version",
					     names[i]);
			if (err)
				err->code = COX_UNIMPLEMENTED;
			return -COX_UNIMPLEMENTED;
		}
	return 0;
}

/* ---- transformers, in the order that the reference program has them ---- */

struct step {
	const char *field;
	int (*run)(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		   struct cox_error *err);
};

static int run_strategic(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
			 struct cox_error *err)
{
	return kz_patch_strategic(dir, acc, dir->doc, value, err);
}

static int run_patches(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		       struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(value); i++) {
		int e = kz_patch_entry(dir, acc, dir->doc, cox_node_at(value, i), false, err);

		if (e < 0)
			return e;
		kz_acc_drop_deleted(acc);
	}
	return 0;
}

static int run_json(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		    struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(value); i++) {
		int e = kz_patch_entry(dir, acc, dir->doc, cox_node_at(value, i), true, err);

		if (e < 0)
			return e;
	}
	return 0;
}

static int run_namespace(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
			 struct cox_error *err)
{
	if (!cox_node_str(value).len)
		return 0;
	return kz_namespace(dir->kz, acc, cox_node_cstr(value, ""),
			    &acc->config.lists[KZ_NAMESPACE], "", false, err);
}

static int run_prefix(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		      struct cox_error *err)
{
	if (!cox_node_str(value).len)
		return 0;
	return kz_prefix(dir->kz, acc, cox_node_cstr(value, ""), false,
			 &acc->config.lists[KZ_NAME_PREFIX], err);
}

static int run_suffix(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		      struct cox_error *err)
{
	if (!cox_node_str(value).len)
		return 0;
	return kz_prefix(dir->kz, acc, cox_node_cstr(value, ""), true,
			 &acc->config.lists[KZ_NAME_SUFFIX], err);
}

static int add_specs(kz_specs *to, const kz_specs *from, struct cox_error *err)
{
	COX_VEC_EACH (from, spec)
		if (kz_specs_merge(to, spec, err) < 0)
			return -COX_INVALID_ARGUMENT;
	return 0;
}

static int run_label(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *label,
		     struct cox_error *err)
{
	static const struct kz_spec meta = {{"", "", ""}, "metadata/labels", true};
	bool templates = cox_node_bool(COX_GET(label, "includeTemplates"), false);
	bool claims = cox_node_bool(COX_GET(label, "includeVolumeClaimTemplates"), false);
	const kz_specs *lists = acc->config.lists;
	kz_specs specs = {0};
	int e = kz_specs_read(dir->kz, COX_GET(label, "fields"), &specs, err);

	if (e == 0)
		e = add_specs(&specs, &lists[KZ_LABELS], err);
	if (cox_node_bool(COX_GET(label, "includeSelectors"), false)) {
		e = e < 0 ? e : add_specs(&specs, &lists[KZ_COMMON_LABELS], err);
	} else {
		if (e == 0 && templates)
			e = add_specs(&specs, &lists[KZ_TEMPLATE_LABELS], err);
		if (e == 0 && claims)
			e = add_specs(&specs, &lists[KZ_CLAIM_LABELS], err);
		if (e == 0)
			e = kz_specs_merge(&specs, &meta, err);
	}
	if (e == 0)
		e = kz_put_labels(dir->kz, acc, COX_GET(label, "pairs"), &specs, err);
	cox_vec_fini(&specs);
	return e;
}

static int run_labels(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		      struct cox_error *err)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < cox_node_len(value); i++)
		e = run_label(dir, acc, cox_node_at(value, i), err);
	return e;
}

static int run_common_labels(const struct kz_dir *dir, struct kz_acc *acc,
			     const struct cox_node *value, struct cox_error *err)
{
	return kz_put_labels(dir->kz, acc, value, &acc->config.lists[KZ_COMMON_LABELS], err);
}

static int run_annotations(const struct kz_dir *dir, struct kz_acc *acc,
			   const struct cox_node *value, struct cox_error *err)
{
	return kz_put_labels(dir->kz, acc, value, &acc->config.lists[KZ_COMMON_ANNOTATIONS], err);
}

static int run_replicas(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
			struct cox_error *err)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < cox_node_len(value); i++)
		e = kz_replicas(dir->kz, acc, dir->doc, cox_node_at(value, i),
				&acc->config.lists[KZ_REPLICAS], err);
	return e;
}

static int run_images(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		      struct cox_error *err)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < cox_node_len(value); i++)
		e = kz_images(dir->kz, acc, dir->doc, cox_node_at(value, i),
			      &acc->config.lists[KZ_IMAGES], err);
	return e;
}

static int run_replacements(const struct kz_dir *dir, struct kz_acc *acc,
			    const struct cox_node *value, struct cox_error *err)
{
	return kz_replacements(dir, acc, dir->doc, value, err);
}

static const struct step steps[] = {
	{"patchesStrategicMerge", run_strategic},
	{"patches", run_patches},
	{"namespace", run_namespace},
	{"namePrefix", run_prefix},
	{"nameSuffix", run_suffix},
	{"labels", run_labels},
	{"commonLabels", run_common_labels},
	{"commonAnnotations", run_annotations},
	{"patchesJson6902", run_json},
	{"replicas", run_replicas},
	{"images", run_images},
	{"replacements", run_replacements},
};

static int transform(const struct kz_dir *dir, struct kz_acc *acc, struct cox_error *err)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(steps); i++) {
		const struct cox_node *value = COX_GET(dir->k, steps[i].field);
		int e = value ? steps[i].run(dir, acc, value, err) : 0;

		if (e < 0)
			return kz_locate(err, dir->file, value);
		kz_acc_drop_deleted(acc);
	}
	return 0;
}

int kz_accumulate(const struct kz_dir *dir, struct kz_acc *acc, struct cox_error *err)
{
	COX_CLEANUP(kz_config_fini) struct kz_config config = {0};
	int e = refuse_helm(dir, err);

	if (e == 0)
		e = kz_accumulate_list(dir, acc, COX_GET(dir->k, "resources"), false, err);
	if (e == 0)
		e = kz_config_default(&config, err);
	if (e == 0)
		e = kz_config_load(dir, &config, err);
	if (e == 0)
		e = kz_config_merge(&acc->config, &config, err);
	if (e == 0)
		e = generate_each(dir, acc, "configMapGenerator", false, err);
	if (e == 0)
		e = generate_each(dir, acc, "secretGenerator", true, err);
	if (e == 0)
		e = kz_plugins(dir, acc, "generators", err);
	if (e == 0)
		e = kz_accumulate_list(dir, acc, COX_GET(dir->k, "components"), true, err);
	if (e == 0)
		e = transform(dir, acc, err);
	if (e == 0)
		e = kz_plugins(dir, acc, "transformers", err);
	if (e == 0)
		e = kz_plugins(dir, acc, "validators", err);
	if (e == 0)
		e = kz_vars_merge(dir->kz, acc, dir->doc, COX_GET(dir->k, "vars"), err);
	return e;
}

/* ---- the root ---- */

static void add_hashes(struct kz *kz, struct kz_acc *acc)
{
	COX_VEC_EACH (&acc->res, r) {
		struct kz_id id;
		const char *hash;

		if (!(*r)->hash)
			continue;
		hash = kz_hash(kz, *r);
		id = kz_res_id(kz, *r);
		kz_res_remember(kz, *r);
		kz_res_put_meta(*r, "name", kz_printf(kz, "%s%s", id.name, hash));
	}
}

static void drop_local(struct kz_acc *acc)
{
	size_t n = 0;

	COX_VEC_EACH (&acc->res, r) {
		struct cox_str mark = cox_meta_annotation(kz_root(*r), LOCAL_CONFIG);

		if (!mark.ptr || cox_str_is(mark, "false"))
			acc->res.items[n++] = *r;
	}
	acc->res.n = n;
}

static bool has_text(const struct cox_node *list, const char *text)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_str_is(cox_node_str(cox_node_at(list, i)), text))
			return true;
	return false;
}

static int check_not_empty(const struct kz_dir *dir, struct cox_error *err)
{
	static const char *const idle[] = {"apiVersion",      "kind",	     "metadata",
					   "buildMetadata",   "sortOptions", "openapi",
					   "generatorOptions"};
	size_t n = cox_node_len(dir->k);

	for (size_t i = 0; i < COX_ARRAY_LEN(idle); i++)
		n -= COX_GET(dir->k, idle[i]) != NULL;
	if (n == 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "%s: names nothing to build",
				 dir->file);
	return 0;
}

static int build_root(struct kz *kz, struct kz_acc *acc, struct cox_error *err)
{
	struct kz_dir root = {.kz = kz, .path = kz->in->path};
	int e = kz_dir_load(&root, err);

	if (e == 0)
		e = kz_apply_source(&root, kz->in->source, err);
	if (e == 0)
		e = check_not_empty(&root, err);
	if (e == 0)
		e = load_openapi(&root, err);
	if (e < 0)
		return e;
	kz->origins = has_text(COX_GET(root.k, "buildMetadata"), "originAnnotations");
	kz->transformations = has_text(COX_GET(root.k, "buildMetadata"), "transformerAnnotations");
	kz->managed_by = has_text(COX_GET(root.k, "buildMetadata"), "managedByLabel");
	e = kz_accumulate(&root, acc, err);
	if (e < 0)
		return e;
	add_hashes(kz, acc);
	e = kz_fix_names(kz, acc, err);
	if (e == 0)
		e = kz_vars_resolve(kz, acc, err);
	if (e < 0)
		return e;
	drop_local(acc);
	return kz_sort(kz, acc, root.doc, COX_GET(root.k, "sortOptions"), err);
}

/* Marks of the reference program's own way of working, in files that it wrote. */
static bool is_build_mark(struct cox_str key)
{
	static const char *const marks[] = {
		"config.kubernetes.io/path",
		"config.kubernetes.io/index",
		"config.kubernetes.io/id",
		"config.k8s.io/id",
	};

	for (size_t i = 0; i < COX_ARRAY_LEN(marks); i++)
		if (cox_str_is(key, marks[i]))
			return true;
	return cox_str_starts(key, "internal.config.kubernetes.io/");
}

static void drop_build_marks(struct kz_res *r)
{
	const struct cox_node *old = COX_GET(kz_root(r), "metadata", "annotations");
	struct cox_node *meta, *map;
	bool any = false;

	for (size_t i = 0; i < cox_node_len(old); i++)
		any = any || is_build_mark(cox_node_key(old, i));
	if (!any)
		return;
	meta = cox_map_edit(r->doc, cox_doc_root_edit(r->doc), "metadata");
	map = cox_map_edit(r->doc, meta, "annotations");
	for (size_t i = cox_node_len(map); i-- > 0;)
		if (is_build_mark(cox_node_key(map, i)))
			cox_map_drop(r->doc, map, cox_node_key(map, i));
	if (!cox_node_len(map))
		cox_map_drop(r->doc, meta, COX_STR("annotations"));
}

/* Annotations are texts, whatever they were written as. */
static void finish(struct kz *kz, struct kz_res *r)
{
	const struct cox_node *old;
	struct cox_node *meta;

	drop_build_marks(r);
	old = COX_GET(kz_root(r), "metadata", "annotations");
	for (size_t i = 0; i < cox_node_len(old); i++) {
		if (!cox_node_is(cox_node_at(old, i), COX_BOOL) &&
		    !cox_node_is(cox_node_at(old, i), COX_INT) &&
		    !cox_node_is(cox_node_at(old, i), COX_FLOAT))
			continue;
		kz_res_annotate(r, kz_str(kz, cox_node_key(old, i)),
				kz_str(kz, cox_node_text(cox_node_at(old, i))));
	}
	if (!kz->managed_by)
		return;
	meta = cox_map_edit_map(r->doc, cox_doc_root_edit(r->doc), "metadata");
	cox_map_put_cstr(r->doc, cox_map_edit_map(r->doc, meta, "labels"),
			 "app.kubernetes.io/managed-by", "coxswain");
}

static void kz_fini(struct kz *kz)
{
	COX_VEC_EACH (&kz->all, r) {
		cox_doc_unref((*r)->doc);
		cox_vec_fini(&(*r)->previous);
		cox_vec_fini(&(*r)->prefixes);
		cox_vec_fini(&(*r)->suffixes);
		cox_vec_fini(&(*r)->vars);
	}
	cox_vec_fini(&kz->all);
	cox_docs_fini(&kz->docs);
	cox_docs_fini(&kz->schema);
	cox_arena_fini(&kz->arena);
}

int hub_kustomize_build(struct hub_tree *tree, const struct hub_kustomize_input *input,
			cox_docs *ret_objects, struct cox_error *err)
{
	struct hub_kustomize_input in = *input;
	COX_CLEANUP(kz_fini) struct kz kz = {.tree = tree, .in = &in};
	COX_CLEANUP(kz_acc_fini) struct kz_acc acc = {0};
	int e;

	if (!in.max_bytes)
		in.max_bytes = COX_LIMIT_APP_BYTES;
	if (!in.max_objects)
		in.max_objects = COX_LIMIT_APP_OBJECTS;
	e = build_root(&kz, &acc, err);
	if (e < 0)
		return e;
	COX_VEC_EACH (&acc.res, r) {
		finish(&kz, *r);
		cox_vec_push(ret_objects, cox_doc_ref(cox_doc_seal((*r)->doc)));
	}
	return 0;
}
