/* generators, transformers, validators: the built-in kinds, written as objects. */
#include "hub/render/kustomize/internal.h"

#include "common/kube/meta.h"

struct plugin {
	const struct kz_dir *dir;
	const struct kz_res *plugin;
	struct kz_acc *acc;
	const struct cox_doc *doc;
	const struct cox_node *config;
	kz_specs specs;
};

static int run_namespace(struct plugin *p, struct cox_error *err)
{
	const struct cox_node *c = p->config;
	struct cox_str namespace = cox_meta_namespace(c);

	if (!namespace.len)
		return 0;
	return kz_namespace(p->dir->kz, p->acc, kz_str(p->dir->kz, namespace), &p->specs,
			    cox_node_cstr(COX_GET(c, "setRoleBindingSubjects"), ""),
			    cox_node_bool(COX_GET(c, "unsetOnly"), false), err);
}

static int run_prefix(struct plugin *p, struct cox_error *err)
{
	return kz_prefix(p->dir->kz, p->acc, cox_node_cstr(COX_GET(p->config, "prefix"), ""), false,
			 &p->specs, err);
}

static int run_suffix(struct plugin *p, struct cox_error *err)
{
	return kz_prefix(p->dir->kz, p->acc, cox_node_cstr(COX_GET(p->config, "suffix"), ""), true,
			 &p->specs, err);
}

static int run_prefix_suffix(struct plugin *p, struct cox_error *err)
{
	int e = run_prefix(p, err);

	return e < 0 ? e : run_suffix(p, err);
}

static int run_labels(struct plugin *p, struct cox_error *err)
{
	return kz_put_labels(p->dir->kz, p->acc, COX_GET(p->config, "labels"), &p->specs, err);
}

static int run_annotations(struct plugin *p, struct cox_error *err)
{
	return kz_put_labels(p->dir->kz, p->acc, COX_GET(p->config, "annotations"), &p->specs, err);
}

static int run_image(struct plugin *p, struct cox_error *err)
{
	return kz_images(p->dir->kz, p->acc, p->doc, COX_GET(p->config, "imageTag"), &p->specs,
			 err);
}

static int run_replicas(struct plugin *p, struct cox_error *err)
{
	return kz_replicas(p->dir->kz, p->acc, p->doc, COX_GET(p->config, "replica"), &p->specs,
			   err);
}

static int run_patch(struct plugin *p, struct cox_error *err)
{
	int e = kz_patch_entry(p->dir, p->acc, p->doc, p->config, false, err);

	kz_acc_drop_deleted(p->acc);
	return e;
}

static int run_json_patch(struct plugin *p, struct cox_error *err)
{
	return kz_patch_entry(p->dir, p->acc, p->doc, p->config, true, err);
}

static int run_strategic(struct plugin *p, struct cox_error *err)
{
	struct cox_doc *list;
	struct cox_node *root;

	if (COX_GET(p->config, "paths"))
		return kz_patch_strategic(p->dir, p->acc, p->doc, COX_GET(p->config, "paths"), err);
	list = kz_doc_new(p->dir->kz, cox_doc_name(p->doc));
	root = cox_doc_list(list);
	cox_list_push(
		list, root,
		cox_doc_stringf(list, "%s\n", cox_node_cstr(COX_GET(p->config, "patches"), "")));
	cox_doc_set_root(list, root);
	cox_vec_push(&p->dir->kz->docs, list);
	return kz_patch_strategic(p->dir, p->acc, list, root, err);
}

static int run_replacements(struct plugin *p, struct cox_error *err)
{
	return kz_replacements(p->dir, p->acc, p->doc, COX_GET(p->config, "replacements"), err);
}

static int run_value_add(struct plugin *p, struct cox_error *err)
{
	return kz_value_add(p->dir, p->acc, p->doc, p->config, err);
}

static int generate(struct plugin *p, bool secret, struct cox_error *err)
{
	struct kz *kz = p->dir->kz;
	struct cox_doc *args = kz_doc_new(kz, cox_doc_name(p->doc));
	struct cox_node *root = cox_doc_map(args);
	struct kz_res *r;
	int e;

	cox_vec_push(&kz->docs, args);
	COX_DOC_MAP_EACH (p->config, i, key, value)
		if (!cox_str_is(key, "metadata") && !cox_str_is(key, "kind") &&
		    !cox_str_is(key, "apiVersion"))
			cox_map_put_str(args, root, key, cox_doc_clone(args, value));
	cox_doc_set_root(args, root);
	if (!COX_GET(root, "name"))
		cox_map_put(args, root, "name", cox_doc_string(args, cox_meta_name(p->config)));
	if (!COX_GET(root, "namespace"))
		cox_map_put(args, root, "namespace",
			    cox_doc_string(args, cox_meta_namespace(p->config)));
	e = kz_generate(p->dir, args, root, NULL, secret, &r, err);
	if (e < 0)
		return e;
	kz_note_plugin_generator(kz, r, p->plugin);
	return kz_acc_absorb(kz, p->acc, r, err);
}

static int run_config_map(struct plugin *p, struct cox_error *err)
{
	return generate(p, false, err);
}

static int run_secret(struct plugin *p, struct cox_error *err)
{
	return generate(p, true, err);
}

/* A service account of Kubernetes that stands for one of a cloud. */
static int run_policy(struct plugin *p, struct cox_error *err)
{
	const struct cox_node *c = p->config, *service = COX_GET(c, "kubernetesService");
	const struct cox_node *account = COX_GET(c, "serviceAccount");
	struct kz *kz = p->dir->kz;
	struct cox_doc *doc;
	struct cox_node *root, *meta;
	struct kz_res *r;

	if (!cox_str_is(cox_node_str(COX_GET(c, "cloud")), "gke"))
		return cox_node_error(err, p->doc, COX_GET(c, "cloud") ? COX_GET(c, "cloud") : c,
				      "cloud: must be gke");
	doc = kz_doc_new(kz, cox_doc_name(p->doc));
	root = cox_doc_map(doc);
	cox_doc_set_root(doc, root);
	cox_map_put_cstr(doc, root, "apiVersion", "v1");
	cox_map_put_cstr(doc, root, "kind", "ServiceAccount");
	meta = cox_map_edit_map(doc, root, "metadata");
	cox_map_put(doc, cox_map_edit_map(doc, meta, "annotations"),
		    "iam.gke.io/gcp-service-account",
		    cox_doc_stringf(doc, "%s@%s.iam.gserviceaccount.com",
				    cox_node_cstr(COX_GET(account, "name"), ""),
				    cox_node_cstr(COX_GET(account, "projectId"), "")));
	cox_map_put_cstr(doc, meta, "name", cox_node_cstr(COX_GET(service, "name"), ""));
	if (cox_node_str(COX_GET(service, "namespace")).len)
		cox_map_put_cstr(doc, meta, "namespace",
				 cox_node_cstr(COX_GET(service, "namespace"), ""));
	r = kz_res_new(kz, cox_doc_seal(doc));
	kz_note_plugin_generator(kz, r, p->plugin);
	return kz_acc_absorb(kz, p->acc, r, err);
}

static int run_hash(struct plugin *p, struct cox_error *err)
{
	return kz_add_hashes(p->dir->kz, p->acc, err);
}

static const struct {
	const char *kind;
	int (*run)(struct plugin *p, struct cox_error *err);
	bool generates;
} builtins[] = {
	{"NamespaceTransformer", run_namespace},
	{"PrefixTransformer", run_prefix},
	{"SuffixTransformer", run_suffix},
	{"PrefixSuffixTransformer", run_prefix_suffix},
	{"LabelTransformer", run_labels},
	{"AnnotationsTransformer", run_annotations},
	{"ImageTagTransformer", run_image},
	{"ReplicaCountTransformer", run_replicas},
	{"PatchTransformer", run_patch},
	{"PatchJson6902Transformer", run_json_patch},
	{"PatchStrategicMergeTransformer", run_strategic},
	{"ReplacementTransformer", run_replacements},
	{"ValueAddTransformer", run_value_add},
	{"HashTransformer", run_hash},
	{"ConfigMapGenerator", run_config_map, true},
	{"SecretGenerator", run_secret, true},
	{"IAMPolicyGenerator", run_policy, true},
};

static int run_one(const struct kz_dir *dir, struct kz_acc *acc, struct kz_res *r, bool generates,
		   struct cox_error *err)
{
	struct plugin p = {
		.dir = dir, .plugin = r, .acc = acc, .doc = r->doc, .config = kz_root(r)};
	struct kz_id id = kz_res_id(dir->kz, r);
	int e;

	for (size_t i = 0; i < COX_ARRAY_LEN(builtins); i++) {
		if (strcmp(builtins[i].kind, id.gvk.kind) != 0 ||
		    strcmp(id.gvk.version, "builtin") != 0)
			continue;
		if (builtins[i].generates != generates)
			return cox_node_error(err, r->doc, p.config,
					      "%s: is a %s; list it under %s", id.gvk.kind,
					      generates ? "transformer" : "generator",
					      generates ? "transformers" : "generators");
		e = kz_specs_read(dir->kz, COX_GET(p.config, "fieldSpecs"), &p.specs, err);
		if (e == 0)
			e = builtins[i].run(&p, err);
		acc->indexed = acc->indexed && builtins[i].generates;
		cox_vec_fini(&p.specs);
		if (e == 0 && !builtins[i].generates)
			kz_note_plugin_transformer(dir->kz, acc, r);
		return e < 0 ? kz_locate(err, cox_doc_name(r->doc), p.config) : 0;
	}
	return cox_error(err, COX_UNIMPLEMENTED,
			 "%s:%u: '%s' is not one of the built-in plugins; functions (programs and "
			 "containers) are not run",
			 cox_doc_name(r->doc), cox_node_line(kz_root(r)), id.gvk.kind);
}

/* An entry is a path, or objects themselves. */
static int gather(const struct kz_dir *dir, struct kz_acc *plugins, const struct cox_node *item,
		  struct cox_error *err)
{
	const char *text = cox_node_cstr(item, "");
	kz_list inline_list = {0};
	int e = 0;

	if (!strchr(text, '\n') && !strchr(text, '{')) {
		e = kz_accumulate_path(dir, plugins, text, false, err);
		return e < 0 ? kz_locate(err, dir->file, item) : 0;
	}
	e = kz_resources(dir->kz, cox_node_str(item),
			 kz_printf(dir->kz, "%s:%u (inline)", dir->file, cox_node_line(item)),
			 &inline_list, err);
	COX_VEC_EACH (&inline_list, r) {
		kz_note_file(dir, *r,
			     strrchr(dir->file, '/') ? strrchr(dir->file, '/') + 1 : dir->file);
		if (e == 0)
			e = kz_acc_append(dir->kz, plugins, *r, err);
	}
	cox_vec_fini(&inline_list);
	return e;
}

/* ---- validators: transformers that may change nothing but this label ---- */

#define VALIDATED_BY "validated-by"

/* One reference. */
static struct cox_doc *without_label(struct cox_doc *doc)
{
	struct cox_doc *own;
	struct cox_node *meta, *labels;

	if (!COX_GET(cox_doc_root(doc), "metadata", "labels", VALIDATED_BY))
		return cox_doc_ref(doc);
	own = cox_doc_edit(doc);
	meta = cox_map_edit(own, cox_doc_root_edit(own), "metadata");
	labels = cox_map_edit(own, meta, "labels");
	cox_map_drop(own, labels, COX_STR(VALIDATED_BY));
	if (!cox_node_len(labels))
		cox_map_drop(own, meta, COX_STR("labels"));
	return cox_doc_seal(own);
}

static void take_all(const struct kz_acc *acc, cox_docs *ret)
{
	COX_VEC_EACH (&acc->res, r)
		cox_vec_push(ret, without_label(kz_res_sealed(*r)));
}

static int check_unchanged(struct kz *kz, const struct kz_acc *acc, const cox_docs *before,
			   const struct kz_res *plugin, struct cox_error *err)
{
	struct kz_id by = kz_res_id(kz, plugin);

	for (size_t i = 0; i < before->n; i++) {
		struct kz_res *r = i < acc->res.n ? acc->res.items[i] : NULL;
		_cleanup_doc_ struct cox_doc *now = r ? without_label(kz_res_sealed(r)) : NULL;

		if (now && cox_node_equal(cox_doc_root(now), cox_doc_root(before->items[i])))
			continue;
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "%s: the validator '%s' changes %s:%u; list it under transformers",
				 kz_place(kz, plugin), by.name, cox_doc_name(before->items[i]),
				 cox_node_line(cox_doc_root(before->items[i])));
	}
	return 0;
}

static int validate(const struct kz_dir *dir, struct kz_acc *acc, struct kz_res *plugin,
		    struct cox_error *err)
{
	_cleanup_docs_ cox_docs before = {0};
	int e;

	take_all(acc, &before);
	e = run_one(dir, acc, plugin, false, err);
	return e < 0 ? e : check_unchanged(dir->kz, acc, &before, plugin, err);
}

int kz_plugins(const struct kz_dir *dir, struct kz_acc *acc, const char *field,
	       struct cox_error *err)
{
	const struct cox_node *list = COX_GET(dir->k, field);
	COX_CLEANUP(kz_acc_fini) struct kz_acc plugins = {0};
	bool validators = strcmp(field, "validators") == 0;
	int e = 0;

	for (size_t i = 0; e == 0 && i < cox_node_len(list); i++)
		e = gather(dir, &plugins, cox_node_at(list, i), err);
	COX_VEC_EACH (&plugins.res, r)
		if (e == 0)
			e = validators
				    ? validate(dir, acc, *r, err)
				    : run_one(dir, acc, *r, strcmp(field, "generators") == 0, err);
	return e;
}
