/* From a directory to objects: what is read, and in which order it is transformed. */
#include "hub/render/kustomize/internal.h"

#include "common/base/limits.h"
#include "common/kube/meta.h"

#define LOCAL_CONFIG "config.kubernetes.io/local-config"
/* Of the version whose meaning this is: who moves here must see no difference. */
#define MANAGED_BY "kustomize-v5.8.1"

/* ---- resources, components ---- */

static int check_cycle(const struct kz_dir *dir, const struct kz_dir *sub, struct cox_error *err)
{
	const char *path = sub->path;
	int depth = 0;

	for (const struct kz_dir *d = dir; d; d = d->parent, depth++) {
		size_t n = strlen(path);

		/* a directory that holds one that is being read leads back to it */
		if (d->tree != sub->tree || strncmp(d->path, path, n) != 0 ||
		    (n && d->path[n] && d->path[n] != '/'))
			continue;
		if (n == strlen(d->path))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "a cycle: '%s' is being read already; take it out of this "
					 "list",
					 *path ? path : ".");
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "a cycle: '%s' holds '%s', which is being read; take it out of "
				 "this list",
				 *path ? path : ".", d->path);
	}
	if (depth > HUB_LIMIT_KUSTOMIZE_DEPTH)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "more than %d kustomizations inside one another; name this one "
				 "further out",
				 HUB_LIMIT_KUSTOMIZE_DEPTH);
	if (++dir->kz->n_dirs > HUB_LIMIT_KUSTOMIZE_DIRS)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "the build reads more than %d directories; divide it into several "
				 "applications",
				 HUB_LIMIT_KUSTOMIZE_DIRS);
	return 0;
}

/* What says nothing counts as not being there. */
static int check_not_empty(const struct kz_dir *dir, struct cox_error *err)
{
	COX_DOC_MAP_EACH (dir->k, i, key, value)
		if (!cox_str_is(key, "apiVersion") && !cox_str_is(key, "kind") &&
		    !(cox_node_is(value, COX_STRING) && !cox_node_str(value).len))
			return 0;
	return cox_error(err, COX_INVALID_ARGUMENT,
			 "%s: is empty; list what it is made of under `resources`", dir->file);
}

/* sub: its tree, path and origin. */
static int accumulate_dir(const struct kz_dir *dir, struct kz_acc *acc, struct kz_dir *sub,
			  bool component, struct cox_error *err)
{
	COX_CLEANUP(kz_acc_fini) struct kz_acc inner = {0};
	int e;

	sub->kz = dir->kz;
	sub->parent = dir;
	e = check_cycle(dir, sub, err);
	if (e == 0)
		e = kz_dir_load(sub, err);
	if (e == 0)
		e = kz_schema_load(sub, err);
	if (e < 0)
		return e;
	if (component != sub->component)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 component ? "'%s' is no Component; list it under resources"
					   : "'%s' is a Component; list it under components",
				 sub->file);
	e = check_not_empty(sub, err);
	if (e == 0 && component)
		return kz_accumulate(sub, acc, err);
	if (e == 0)
		e = kz_accumulate(sub, &inner, err);
	return e < 0 ? e : kz_acc_merge(dir->kz, acc, &inner, err);
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
		kz_note_file(dir, *r, text);
		e = kz_acc_append(dir->kz, acc, *r, err);
	}
	cox_vec_fini(&list);
	return e;
}

static int accumulate_remote(const struct kz_dir *dir, struct kz_acc *acc, const char *text,
			     bool component, struct cox_error *err)
{
	struct kz_place_in at;
	struct kz_dir sub;
	int e = kz_remote_find(dir, text, &at, err);

	if (e < 0)
		return e;
	if (at.file && !component)
		return accumulate_file(dir, acc, text, err);
	sub = (struct kz_dir){
		.tree = at.tree, .repo = at.name, .path = at.path, .origin = at.origin};
	return accumulate_dir(dir, acc, &sub, component, err);
}

static int accumulate_local(const struct kz_dir *dir, struct kz_acc *acc, const char *text,
			    const char *path, bool component, struct cox_error *err)
{
	struct kz_dir sub = {.tree = dir->tree,
			     .repo = dir->repo,
			     .path = path,
			     .origin = *kz_origin_below(dir, text)};
	enum hub_tree_kind kind;
	int e = hub_tree_kind(dir->tree, path, &kind, err);

	if (e == -COX_NOT_FOUND)
		return cox_error(err, COX_NOT_FOUND, "there is no file or directory '%s'", path);
	if (e < 0)
		return e;
	if (kind == HUB_TREE_DIR)
		return accumulate_dir(dir, acc, &sub, component, err);
	if (component)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "'%s' is a file; a component is a directory", path);
	return accumulate_file(dir, acc, text, err);
}

int kz_accumulate_path(const struct kz_dir *dir, struct kz_acc *acc, const char *text,
		       bool component, struct cox_error *err)
{
	_cleanup_free_ char *path = NULL;
	enum hub_tree_kind kind;
	int e;

	/* a directory may be called "git@x" */
	if (kz_is_remote(dir->kz, text) &&
	    (strstr(text, "://") || hub_path_resolve(dir->path, cox_str(text), &path, NULL) < 0 ||
	     hub_tree_kind(dir->tree, path, &kind, NULL) < 0))
		return accumulate_remote(dir, acc, text, component, err);
	free(TAKE(path));
	e = hub_path_resolve(dir->path, cox_str(text), &path, err);
	return e < 0 ? e
		     : accumulate_local(dir, acc, text, kz_strdup(dir->kz, path), component, err);
}

int kz_accumulate_list(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *paths,
		       bool components, struct cox_error *err)
{
	kz_remote_ask(dir, paths);
	for (size_t i = 0; i < cox_node_len(paths); i++) {
		const struct cox_node *item = cox_node_at(paths, i);
		int e;

		if (!cox_node_is(item, COX_STRING) || !cox_node_str(item).len)
			return cox_node_error(err, dir->doc, item, "expected a path");
		e = kz_accumulate_path(dir, acc, cox_node_cstr(item, ""), components, err);
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
		int e = kz_check(dir->kz, err);

		if (e == 0)
			e = kz_generate(dir, dir->doc, args, COX_GET(dir->k, "generatorOptions"),
					secret, &r, err);
		if (e < 0)
			return kz_locate(err, dir->file, args);
		kz_note_generator(dir, r, secret ? "SecretGenerator" : "ConfigMapGenerator");
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
			(void)cox_node_error(
				err, dir->doc, COX_GET(dir->k, names[i]),
				"%s: Helm charts are not supported by this version; commit what "
				"the chart renders, or make it an Application of its own",
				names[i]);
			if (err)
				err->code = COX_UNIMPLEMENTED;
			return -COX_UNIMPLEMENTED;
		}
	return 0;
}

int kz_accumulate(const struct kz_dir *dir, struct kz_acc *acc, struct cox_error *err)
{
	int e = refuse_helm(dir, err);

	if (e == 0)
		e = kz_accumulate_list(dir, acc, COX_GET(dir->k, "resources"), false, err);
	if (e == 0)
		e = kz_config_load(dir, acc, err);
	if (e == 0)
		e = generate_each(dir, acc, "configMapGenerator", false, err);
	if (e == 0)
		e = generate_each(dir, acc, "secretGenerator", true, err);
	if (e == 0)
		e = kz_plugins(dir, acc, "generators", err);
	if (e == 0)
		e = kz_accumulate_list(dir, acc, COX_GET(dir->k, "components"), true, err);
	if (e == 0)
		e = kz_transform(dir, acc, err);
	if (e == 0)
		e = kz_plugins(dir, acc, "transformers", err);
	if (e == 0)
		e = kz_plugins(dir, acc, "validators", err);
	if (e == 0)
		e = kz_vars_merge(dir->kz, acc, dir->doc, COX_GET(dir->k, "vars"), err);
	return e;
}

/* ---- the root ---- */

int kz_add_hashes(struct kz *kz, struct kz_acc *acc, struct cox_error *err)
{
	size_t size = 0;

	COX_VEC_EACH (&acc->res, r) {
		struct kz_id id;
		const char *hash;
		int e;

		if (!(*r)->hash)
			continue;
		e = kz_check_size(kz, *r, &size, err);
		if (e < 0)
			return e;
		hash = kz_hash(kz, *r);
		id = kz_res_id(kz, *r);
		kz_res_remember(kz, *r);
		kz_res_put_meta(*r, "name", kz_printf(kz, "%s%s", id.name, hash));
	}
	return 0;
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

/* Marks of the reference program's own way of working, in files that it wrote. It takes them out of
 * every object, and with them a map of annotations that is empty. */
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
	bool any = old && !cox_node_len(old);

	for (size_t i = 0; i < cox_node_len(old); i++)
		any = any || is_build_mark(cox_node_key(old, i));
	if (!any)
		return;
	meta = cox_map_edit(r->doc, cox_doc_root_edit(r->doc), "metadata");
	map = cox_map_edit_map(r->doc, meta, "annotations");
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
	kz_write_origin(kz, r);
	old = COX_GET(kz_root(r), "metadata", "annotations");
	for (size_t i = 0; i < cox_node_len(old); i++) {
		const struct cox_node *value = cox_node_at(old, i);

		if (cox_node_is(value, COX_MAP) || cox_node_is(value, COX_LIST) ||
		    (cox_node_is(value, COX_STRING) &&
		     cox_str_eq(cox_node_text(value), cox_node_written(value))))
			continue;
		kz_res_annotate(r, kz_str(kz, cox_node_key(old, i)),
				kz_str(kz, cox_node_written(value)));
	}
	if (!kz->managed_by)
		return;
	meta = cox_map_edit_map(r->doc, cox_doc_root_edit(r->doc), "metadata");
	cox_map_put_cstr(r->doc, cox_map_edit_map(r->doc, meta, "labels"),
			 "app.kubernetes.io/managed-by", MANAGED_BY);
}

static int finish_all(const struct kz_dir *root, struct kz_acc *acc, struct cox_error *err)
{
	struct kz *kz = root->kz;
	size_t size = 0;
	int e = kz_add_hashes(kz, acc, err);

	if (e == 0)
		e = kz_fix_names(kz, acc, err);
	if (e == 0)
		e = kz_vars_resolve(kz, acc, err);
	if (e < 0)
		return e;
	drop_local(acc);
	e = kz_sort(kz, acc, root->doc, COX_GET(root->k, "sortOptions"), err);
	COX_VEC_EACH (&acc->res, r) {
		if (e == 0)
			e = kz_check(kz, err);
		if (e < 0)
			return e;
		finish(kz, *r);
		e = kz_check_size(kz, *r, &size, err);
	}
	return e;
}

static int build_root(struct kz *kz, struct kz_acc *acc, struct cox_error *err)
{
	struct kz_dir root = {
		.kz = kz, .tree = kz->tree, .path = kz->in->path, .origin = {.path = ""}};
	int e = kz_dir_load(&root, err);

	if (e == 0)
		e = kz_apply_source(&root, kz->in->source, err);
	if (e == 0)
		e = check_not_empty(&root, err);
	if (e == 0)
		e = kz_schema_load(&root, err);
	if (e < 0)
		return e;
	kz->origins = has_text(COX_GET(root.k, "buildMetadata"), "originAnnotations");
	kz->transformations = has_text(COX_GET(root.k, "buildMetadata"), "transformerAnnotations");
	kz->managed_by = has_text(COX_GET(root.k, "buildMetadata"), "managedByLabel");
	e = kz_accumulate(&root, acc, err);
	if (e == 0)
		e = finish_all(&root, acc, err);
	return e < 0 ? kz_locate(err, root.file, NULL) : 0;
}

static void set_limits(struct hub_kustomize_input *in)
{
	const struct {
		size_t *limit, otherwise;
	} limits[] = {
		{&in->max_bytes, COX_LIMIT_APP_BYTES},
		{&in->max_objects, COX_LIMIT_APP_OBJECTS},
		{&in->max_documents, COX_LIMIT_APP_DOCS},
		{&in->max_memory, HUB_LIMIT_KUSTOMIZE_MEMORY},
		{&in->max_steps, HUB_LIMIT_KUSTOMIZE_STEPS},
	};

	for (size_t i = 0; i < COX_ARRAY_LEN(limits); i++)
		if (!*limits[i].limit)
			*limits[i].limit = limits[i].otherwise;
}

static void kz_fini(struct kz *kz)
{
	COX_VEC_EACH (&kz->all, r) {
		cox_doc_unref((*r)->doc);
		cox_vec_fini(&(*r)->previous);
		cox_vec_fini(&(*r)->prefixes);
		cox_vec_fini(&(*r)->suffixes);
		cox_vec_fini(&(*r)->vars);
		cox_vec_fini(&(*r)->shared);
		cox_vec_fini(&(*r)->untyped);
		cox_vec_fini(&(*r)->changes);
	}
	cox_vec_fini(&kz->all);
	cox_docs_fini(&kz->docs);
	cox_doc_unref(kz->schema);
	cox_map_fini(&kz->scopes);
	COX_VEC_EACH (&kz->repositories, r)
		hub_tree_unref(r->tree);
	cox_vec_fini(&kz->repositories);
	kz_config_fini(&kz->defaults);
	cox_arena_fini(&kz->arena);
	cox_account_unref(kz->account);
}

int hub_kustomize_build(struct hub_tree *tree, const struct hub_kustomize_input *input,
			cox_docs *ret_objects, struct cox_error *err)
{
	struct hub_kustomize_input in = *input;
	COX_CLEANUP(kz_fini) struct kz kz = {.tree = tree, .in = &in, .account = cox_account_new()};
	COX_CLEANUP(kz_acc_fini) struct kz_acc acc = {0};
	int e;

	set_limits(&in);
	cox_arena_charge(&kz.arena, kz.account);
	e = build_root(&kz, &acc, err);
	if (e < 0)
		return e;
	COX_VEC_EACH (&acc.res, r)
		cox_vec_push(ret_objects, cox_doc_ref(cox_doc_seal((*r)->doc)));
	return 0;
}
