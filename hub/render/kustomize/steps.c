/* The transformers of a kustomization's fields, in the order that the reference program has them. */
#include "hub/render/kustomize/internal.h"

typedef int (*step_run)(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
			struct cox_error *err);

static int run_strategic(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
			 struct cox_error *err)
{
	return kz_patch_strategic(dir, acc, dir->doc, value, err);
}

static int run_patch(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		     struct cox_error *err)
{
	return kz_patch_entry(dir, acc, dir->doc, value, false, err);
}

static int run_json(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		    struct cox_error *err)
{
	return kz_patch_entry(dir, acc, dir->doc, value, true, err);
}

static int run_namespace(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
			 struct cox_error *err)
{
	return kz_namespace(dir->kz, acc, cox_node_cstr(value, ""),
			    &acc->config.lists[KZ_NAMESPACE], "", false, err);
}

static int run_prefix(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		      struct cox_error *err)
{
	return kz_prefix(dir->kz, acc, cox_node_cstr(value, ""), false,
			 &acc->config.lists[KZ_NAME_PREFIX], err);
}

static int run_suffix(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		      struct cox_error *err)
{
	return kz_prefix(dir->kz, acc, cox_node_cstr(value, ""), true,
			 &acc->config.lists[KZ_NAME_SUFFIX], err);
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
		e = kz_specs_add(&specs, &lists[KZ_LABELS], err);
	if (cox_node_bool(COX_GET(label, "includeSelectors"), false)) {
		e = e < 0 ? e : kz_specs_add(&specs, &lists[KZ_COMMON_LABELS], err);
	} else {
		if (e == 0 && templates)
			e = kz_specs_add(&specs, &lists[KZ_TEMPLATE_LABELS], err);
		if (e == 0 && claims)
			e = kz_specs_add(&specs, &lists[KZ_CLAIM_LABELS], err);
		if (e == 0)
			e = kz_specs_merge(&specs, &meta, err);
	}
	if (e == 0)
		e = kz_put_labels(dir->kz, acc, COX_GET(label, "pairs"), &specs, err);
	cox_vec_fini(&specs);
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

static int run_replica(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		       struct cox_error *err)
{
	return kz_replicas(dir->kz, acc, dir->doc, value, &acc->config.lists[KZ_REPLICAS], err);
}

static int run_image(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_node *value,
		     struct cox_error *err)
{
	return kz_images(dir->kz, acc, dir->doc, value, &acc->config.lists[KZ_IMAGES], err);
}

static int run_replacements(const struct kz_dir *dir, struct kz_acc *acc,
			    const struct cox_node *value, struct cox_error *err)
{
	return kz_replacements(dir, acc, dir->doc, value, err);
}

static const struct step {
	const char *field;
	const char *kind; /* as a built-in plugin is called */
	step_run run;
	bool each; /* one transformer for each item, not one for the list */
} steps[] = {
	{"patchesStrategicMerge", "PatchStrategicMergeTransformer", run_strategic, false},
	{"patches", "PatchTransformer", run_patch, true},
	{"namespace", "NamespaceTransformer", run_namespace, false},
	{"namePrefix", "PrefixTransformer", run_prefix, false},
	{"nameSuffix", "SuffixTransformer", run_suffix, false},
	{"labels", "LabelTransformer", run_label, true},
	{"commonLabels", "LabelTransformer", run_common_labels, false},
	{"commonAnnotations", "AnnotationsTransformer", run_annotations, false},
	{"patchesJson6902", "PatchJson6902Transformer", run_json, true},
	{"replicas", "ReplicaCountTransformer", run_replica, true},
	{"images", "ImageTagTransformer", run_image, true},
	{"replacements", "ReplacementTransformer", run_replacements, false},
};

static int run_one(const struct kz_dir *dir, struct kz_acc *acc, const struct step *step,
		   const struct cox_node *value, struct cox_error *err)
{
	int e = step->run(dir, acc, value, err);

	if (e < 0)
		return kz_locate(err, dir->file, value);
	kz_note_transformer(dir, acc, step->kind);
	kz_acc_drop_deleted(acc);
	return 0;
}

static bool is_empty(const struct cox_node *value)
{
	return cox_node_is(value, COX_STRING) ? !cox_node_str(value).len : !cox_node_len(value);
}

int kz_transform(const struct kz_dir *dir, struct kz_acc *acc, struct cox_error *err)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(steps); i++) {
		const struct cox_node *value = COX_GET(dir->k, steps[i].field);
		size_t n = steps[i].each ? cox_node_len(value) : 1;
		int e = 0;

		/* `labels` brings the transformer of commonLabels along, idle as it is */
		if (steps[i].run == run_common_labels && is_empty(value) &&
		    !is_empty(COX_GET(dir->k, "labels")))
			kz_note_transformer(dir, acc, steps[i].kind);
		if (is_empty(value))
			continue;
		for (size_t j = 0; e == 0 && j < n; j++)
			e = run_one(dir, acc, &steps[i],
				    steps[i].each ? cox_node_at(value, j) : value, err);
		if (e < 0)
			return e;
	}
	return 0;
}
