/* patches, patchesStrategicMerge, patchesJson6902: which patch goes to which object. */
#include "hub/render/kustomize/internal.h"

#include "common/doc/patch.h"
#include "common/doc/yaml.h"
#include "common/kube/meta.h"

/* What a patch says, wherever it stands. */
struct source {
	struct cox_buf text;
	const char *name; /* the file, or the kustomization with "(inline)" */
};

static void source_fini(struct source *s)
{
	cox_buf_fini(&s->text);
}

/* ---- strategic merge ---- */

/* Labels and annotations of a patch with a target, and of the old field patchesStrategicMerge, are
 * texts, null too; none is no map. */
/* A date is one that is written otherwise. */
static bool is_no_text(const struct cox_node *node)
{
	return !cox_node_is(node, COX_STRING) ||
	       !cox_str_eq(cox_node_text(node), cox_node_written(node));
}

static void make_texts(struct cox_doc *patch, const char *field)
{
	struct cox_node *root = cox_doc_root_edit(patch), *meta, *map;
	const struct cox_node *from = COX_GET(root, "metadata", field);

	if (!from)
		return;
	meta = cox_map_edit_map(patch, root, "metadata");
	if (!cox_node_is(from, COX_MAP) || !cox_node_len(from)) {
		cox_map_drop(patch, meta, cox_str(field));
		return;
	}
	map = cox_map_edit_map(patch, meta, field);
	for (size_t i = 0; i < cox_node_len(map); i++)
		if (is_no_text(cox_node_at(map, i)))
			cox_map_put_str(
				patch, map, cox_node_key(map, i),
				cox_doc_string(patch, cox_node_written(cox_node_at(map, i))));
}

/* The merged document's values of r that are shared are as the patch wrote them last. */
static void spread_writes(struct kz *kz, struct kz_res *r, kz_writes *writes)
{
	for (size_t i = 0; i < writes->n; i++) {
		struct kz_written *w = &writes->items[i];

		kz_overwrite(kz, r, w->old, w->now);
		for (size_t j = i + 1; j < writes->n; j++)
			if (writes->items[j].old == w->old)
				writes->items[j].old = w->now;
	}
}

static bool has_texts_only(const struct cox_node *root, const char *field)
{
	const struct cox_node *map = COX_GET(root, "metadata", field);

	for (size_t i = 0; i < cox_node_len(map); i++)
		if (is_no_text(cox_node_at(map, i)))
			return false;
	return !map || (cox_node_is(map, COX_MAP) && cox_node_len(map));
}

/* The patch as it is merged into base: one reference to a sealed document. */
static struct cox_doc *patch_for(struct cox_doc *base, struct kz_res *patch, bool texts)
{
	const struct cox_node *version = COX_GET(cox_doc_root(base), "apiVersion");
	const struct cox_node *root = kz_root(patch);
	struct cox_doc *own;

	texts = texts && !(has_texts_only(root, "labels") && has_texts_only(root, "annotations"));
	if (!texts && version && cox_node_equal(version, COX_GET(root, "apiVersion")))
		return cox_doc_ref(kz_res_sealed(patch));
	own = cox_doc_edit(kz_res_sealed(patch));
	cox_doc_use(own, base);
	/* the object keeps its version */
	if (version)
		cox_map_put(own, cox_doc_root_edit(own), "apiVersion", version);
	else
		cox_map_drop(own, cox_doc_root_edit(own), COX_STR("apiVersion"));
	if (texts) {
		make_texts(own, "labels");
		make_texts(own, "annotations");
	}
	return cox_doc_seal(own);
}

static int apply_strategic(struct kz *kz, struct kz_res *r, struct kz_res *patch, bool texts,
			   struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *own = NULL, *base = NULL;
	struct kz_id id = kz_res_id(kz, r);
	struct cox_doc *merged = NULL;
	kz_writes writes = {0};
	struct cox_node *root;
	int e = kz_check(kz, err);

	if (e < 0)
		return e;
	kz_quote_untyped(kz, r);
	base = cox_doc_ref(kz_res_sealed(r));
	own = patch_for(base, patch, texts);
	if (patch->allow_name || patch->allow_kind)
		kz_res_remember(kz, r);
	e = kz_strategic_merge(kz, base, own, &id.gvk, &r->shared, r->json, &merged, &writes, err);
	if (e == 0)
		kz_res_replace(r, merged);
	if (e == 0 && merged)
		spread_writes(kz, r, &writes);
	cox_vec_fini(&writes);
	if (e < 0 || !merged)
		return e;
	root = cox_doc_root_edit(merged);
	if (!patch->allow_kind)
		cox_map_put_cstr(merged, root, "kind", id.gvk.kind);
	if (!patch->allow_name)
		kz_res_put_meta(r, "name", id.name);
	kz_res_put_meta(r, "namespace", id.namespace);
	return 0;
}

/* The one object that has, or had, the patch's identity. */
static int find_target(struct kz *kz, struct kz_acc *acc, const struct kz_res *patch,
		       struct kz_res **ret, struct cox_error *err)
{
	struct kz_id id = kz_res_id(kz, patch);
	const char *name = cox_doc_name(patch->doc);

	*ret = NULL;
	kz->n_steps += acc->res.n;
	COX_VEC_EACH (&acc->res, r) {
		if (!kz_res_has_any_id(kz, *r, &id, kz_id_equal))
			continue;
		if (*ret)
			return cox_error(err, COX_FAILED_PRECONDITION,
					 "%s: more than one object is or was %s; give the patch a "
					 "target",
					 name, kz_id_text(kz, &id));
		*ret = *r;
	}
	if (!*ret)
		return cox_error(err, COX_NOT_FOUND,
				 "%s:%u: the patch fits nothing: there is no %s; correct its "
				 "apiVersion, kind, name or namespace, or give it a target",
				 name, cox_node_line(kz_root(patch)), kz_id_text(kz, &id));
	return 0;
}

static int patch_by_identity(struct kz *kz, struct kz_acc *acc, const kz_list *patches, bool texts,
			     struct cox_error *err)
{
	COX_VEC_EACH (patches, patch) {
		struct kz_res *target;
		int e = find_target(kz, acc, *patch, &target, err);

		if (e == 0)
			e = apply_strategic(kz, target, *patch, texts, err);
		if (e < 0)
			return e;
	}
	return 0;
}

/* A patch may have given several targets one name. */
static int check_unique(struct kz *kz, const struct kz_acc *acc, const kz_list *selected,
			const struct source *s, struct cox_error *err)
{
	COX_VEC_EACH (selected, r) {
		struct kz_id id = kz_res_id(kz, *r);

		if (kz_check(kz, err) < 0)
			return -COX_RESOURCE_EXHAUSTED;
		kz->n_steps += acc->res.n;
		COX_VEC_EACH (&acc->res, other) {
			struct kz_id it = {0};

			if (*other != *r && (*other)->doc && (*r)->doc)
				it = kz_res_id(kz, *other);
			if (it.name && kz_id_equal(&id, &it))
				return cox_error(err, COX_ALREADY_EXISTS,
						 "%s: the patch makes two of %s; narrow its target",
						 s->name, kz_id_text(kz, &id));
		}
	}
	return 0;
}

static int patch_selected(struct kz *kz, const struct kz_acc *acc, const kz_list *selected,
			  const kz_list *patches, const struct source *s, struct cox_error *err)
{
	if (patches->n > 1)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "%s: a strategic merge patch with a target must be one document",
				 s->name);
	COX_VEC_EACH (selected, r) {
		int e = apply_strategic(kz, *r, patches->items[0], true, err);

		if (e < 0)
			return e;
	}
	if (patches->n && (patches->items[0]->allow_name || patches->items[0]->allow_kind))
		return check_unique(kz, acc, selected, s, err);
	return 0;
}

/* ---- JSON 6902 ---- */

static int apply_json(struct kz *kz, struct kz_res *r, struct cox_doc *patch, struct cox_error *err)
{
	struct kz_id id = kz_res_id(kz, r);
	struct cox_doc *result;
	int e = kz_check(kz, err);

	if (e < 0)
		return e;
	kz_res_remember(kz, r);
	e = cox_json_patch(kz_res_sealed(r), patch, NULL, COX_PATCH_KUSTOMIZE, &result, err);
	if (e < 0)
		return cox_error_wrap(err, "cannot patch %s", kz_id_text(kz, &id));
	kz_res_replace(r, cox_doc_edit(result));
	kz_res_as_json(r);
	cox_doc_unref(result);
	return 0;
}

static int patch_json(struct kz *kz, const kz_list *selected, const struct source *s,
		      struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *patch = NULL;
	int e = cox_yaml_read(cox_buf_str(&s->text), s->name,
			      &(struct cox_yaml_options){.account = kz->account}, &patch, err);

	COX_VEC_EACH (selected, r)
		if (e == 0)
			e = apply_json(kz, *r, patch, err);
	return e;
}

/* ---- entries ---- */

static int read_source(const struct kz_dir *dir, const struct cox_doc *doc,
		       const struct cox_node *entry, struct source *s, struct cox_error *err)
{
	const struct cox_node *path = COX_GET(entry, "path"), *patch = COX_GET(entry, "patch");
	struct cox_str inline_text = cox_str_trim(cox_node_str(patch));
	int e;

	if (!patch)
		patch = COX_GET(entry, "jsonOp");
	inline_text = cox_str_trim(cox_node_str(patch));
	if ((inline_text.len != 0) == (cox_node_str(path).len != 0))
		return cox_node_error(err, doc, entry, "a patch needs one of `path` and `patch`");
	if (inline_text.len) {
		cox_buf_puts_str(&s->text, cox_node_str(patch));
		s->name = kz_printf(dir->kz, "%s:%u (inline patch)", cox_doc_name(doc),
				    cox_node_line(patch));
		return 0;
	}
	e = kz_read(dir, cox_node_cstr(path, ""), &s->name, &s->text, err);
	if (e < 0)
		return kz_locate(err, cox_doc_name(doc), path);
	return 0;
}

int kz_patch_entry(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_doc *doc,
		   const struct cox_node *entry, bool json_only, struct cox_error *err)
{
	COX_CLEANUP(source_fini) struct source s = {0};
	_cleanup_docs_ cox_docs docs = {0};
	const struct cox_node *target = COX_GET(entry, "target");
	const struct cox_node *options = COX_GET(entry, "options");
	kz_list patches = {0}, selected = {0};
	struct kz *kz = dir->kz;
	int e = read_source(dir, doc, entry, &s, err);
	bool is_json;

	if (e == 0)
		e = kz_parse(kz, cox_buf_str(&s.text), s.name, &docs, err);
	if (e < 0)
		return e;
	is_json = docs.n == 1 && cox_node_is(cox_doc_root(docs.items[0]), COX_LIST);
	if (is_json && !target)
		return cox_node_error(err, doc, entry, "a JSON patch needs a target");
	if (json_only && !is_json)
		return cox_node_error(err, doc, entry, "expected a list of JSON patch operations");
	if (target)
		e = kz_select(kz, &acc->res, doc, target, &selected, err);
	if (e == 0 && is_json)
		e = patch_json(kz, &selected, &s, err);
	if (e == 0 && !is_json)
		e = kz_objects(kz, &docs, &patches, err);
	COX_VEC_EACH (&patches, p) {
		(*p)->allow_name = cox_node_bool(COX_GET(options, "allowNameChange"), false);
		(*p)->allow_kind = cox_node_bool(COX_GET(options, "allowKindChange"), false);
	}
	if (e == 0 && !is_json && patches.n)
		e = target ? patch_selected(kz, acc, &selected, &patches, &s, err)
			   : patch_by_identity(kz, acc, &patches, false, err);
	cox_vec_fini(&patches);
	cox_vec_fini(&selected);
	return e;
}

/* Each text is a patch itself, or the path of one. */
static int read_text(const struct kz_dir *dir, const struct cox_doc *doc,
		     const struct cox_node *item, kz_list *ret, struct cox_error *err)
{
	COX_CLEANUP(source_fini) struct source s = {0};
	size_t before = ret->n;
	int e;

	if (strchr(cox_node_cstr(item, ""), '\n') || strchr(cox_node_cstr(item, ""), '{')) {
		const char *name = kz_printf(dir->kz, "%s:%u (inline patch)", cox_doc_name(doc),
					     cox_node_line(item));

		return kz_resources(dir->kz, cox_node_str(item), name, ret, err);
	}
	e = kz_read(dir, cox_node_cstr(item, ""), &s.name, &s.text, err);
	if (e < 0)
		return kz_locate(err, cox_doc_name(doc), item);
	ret->n = before;
	return kz_resources(dir->kz, cox_buf_str(&s.text), s.name, ret, err);
}

int kz_patch_strategic(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_doc *doc,
		       const struct cox_node *texts, struct cox_error *err)
{
	kz_list patches = {0};
	int e = 0;

	if (!cox_node_len(texts))
		return 0;
	for (size_t i = 0; e == 0 && i < cox_node_len(texts); i++)
		e = read_text(dir, doc, cox_node_at(texts, i), &patches, err);
	if (e == 0 && !patches.n)
		e = cox_node_error(err, doc, texts, "the patches are empty");
	for (size_t i = 0; e == 0 && i < patches.n; i++) {
		kz_list one = {&patches.items[i], 1, 1};

		e = patch_by_identity(dir->kz, acc, &one, true, err);
		kz_acc_drop_deleted(acc);
	}
	cox_vec_fini(&patches);
	return e;
}
