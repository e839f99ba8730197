/* The simple transformers: namespace, prefix and suffix, labels and annotations, images, replicas.
 */
#include "hub/render/kustomize/internal.h"

#include "common/kube/meta.h"
#include "common/text/regex.h"

#include <ctype.h>

static bool is_scalar(const struct cox_node *node)
{
	return !cox_node_is(node, COX_MAP) && !cox_node_is(node, COX_LIST);
}

static int set_text(void *ctx, const struct kz_slot *slot, struct cox_error *err)
{
	const char *text = ctx;

	if (!is_scalar(kz_slot_get(slot)))
		return cox_node_error(err, slot->doc, kz_slot_get(slot),
				      "expected a text to replace, got %s",
				      cox_kind_name(cox_node_kind(kz_slot_get(slot))));
	kz_slot_put(slot, cox_doc_cstring(slot->doc, text));
	return 0;
}

/* ---- namespace ---- */

static int set_if_unset(void *ctx, const struct kz_slot *slot, struct cox_error *err)
{
	return cox_node_text(kz_slot_get(slot)).len && !cox_node_is(kz_slot_get(slot), COX_NULL)
		       ? 0
		       : set_text(ctx, slot, err);
}

static bool is_binding(const char *kind)
{
	return !strcmp(kind, "RoleBinding") || !strcmp(kind, "ClusterRoleBinding");
}

static int set_subjects(struct kz *kz, struct kz_res *r, const char *namespace, const char *mode,
			kz_set set, struct cox_error *err)
{
	bool all = strcmp(mode, "allServiceAccounts") == 0;
	struct cox_node *list;
	int e = 0;

	if (strcmp(mode, "none") == 0 || !cox_node_is(COX_GET(kz_root(r), "subjects"), COX_LIST))
		return 0;
	list = cox_map_edit(r->doc, cox_doc_root_edit(r->doc), "subjects");
	for (size_t i = 0; e == 0 && i < cox_node_len(list); i++) {
		const struct cox_node *subject = cox_node_at(list, i);
		struct kz_slot slot;

		if (!cox_str_is(cox_node_str(COX_GET(subject, all ? "kind" : "name")),
				all ? "ServiceAccount" : "default"))
			continue;
		slot = (struct kz_slot){r->doc, cox_list_edit(r->doc, list, i),
					COX_STR("namespace"), 0};
		e = kz_check(kz, err);
		if (e == 0)
			e = set((void *)namespace, &slot, err);
	}
	return e;
}

static int put_namespace(struct kz *kz, struct kz_res *r, const char *namespace,
			 const kz_specs *specs, const char *subjects, kz_set set,
			 struct cox_error *err)
{
	static const struct kz_spec meta = {{"", "", ""}, "metadata/namespace", true};
	struct kz_gvk gvk = kz_res_gvk(kz, r);
	bool core = *gvk.group == 0 && strcmp(gvk.version, "v1") == 0;
	int e = 0;

	if (!gvk.cluster)
		e = kz_field(kz, r, &meta, COX_STRING, set, (void *)namespace, err);
	if (e == 0 && is_binding(gvk.kind))
		e = set_subjects(kz, r, namespace, subjects, set, err);
	COX_VEC_EACH (specs, spec) {
		if (e < 0)
			return e;
		if (!strcmp(spec->path, "metadata/namespace") ||
		    (!core && !strcmp(spec->path, "metadata/name")) ||
		    (is_binding(gvk.kind) && is_binding(spec->gvk.kind) &&
		     !strcmp(spec->path, "subjects/namespace")))
			continue;
		e = kz_field(kz, r, spec, COX_STRING, set, (void *)namespace, err);
	}
	return e;
}

int kz_set_namespace(struct kz *kz, struct kz_res *r, const char *namespace, struct cox_error *err)
{
	return put_namespace(kz, r, namespace, &(kz_specs){0}, "", set_text, err);
}

static int check_unique(struct kz *kz, const struct kz_acc *acc, struct cox_error *err)
{
	const struct kz_res *twice = kz_find_double(kz, &acc->res);
	struct kz_id id;

	if (!twice)
		return 0;
	id = kz_res_id(kz, twice);
	return cox_error(err, COX_ALREADY_EXISTS,
			 "setting the namespace makes two of %s; give one another name",
			 kz_id_text(kz, &id));
}

int kz_namespace(struct kz *kz, struct kz_acc *acc, const char *namespace, const kz_specs *specs,
		 const char *subjects, bool unset_only, struct cox_error *err)
{
	kz_set set = unset_only ? set_if_unset : set_text;

	COX_VEC_EACH (&acc->res, r) {
		int e = kz_check(kz, err);

		if (e < 0)
			return e;
		kz_res_remember(kz, *r);
		e = put_namespace(kz, *r, namespace, specs, subjects, set, err);
		if (e < 0)
			return e;
	}
	return check_unique(kz, acc, err);
}

/* ---- prefix and suffix ---- */

struct affix {
	const char *text;
	bool suffix;
};

static int set_affix(void *ctx, const struct kz_slot *slot, struct cox_error *err)
{
	const struct affix *a = ctx;
	struct cox_str now = cox_node_written(kz_slot_get(slot));
	const char *prefix = a->suffix ? "" : a->text, *suffix = a->suffix ? a->text : "";

	if (!is_scalar(kz_slot_get(slot)))
		return set_text((void *)a->text, slot, err);
	kz_slot_put(slot, cox_doc_stringf(slot->doc, "%s%.*s%s", prefix, COX_STR_ARG(now), suffix));
	return 0;
}

static bool keeps_its_name(const struct kz_gvk *gvk)
{
	return !strcmp(gvk->kind, "CustomResourceDefinition") || !strcmp(gvk->kind, "Namespace") ||
	       (!strcmp(gvk->kind, "APIService") && !strcmp(gvk->group, "apiregistration.k8s.io"));
}

static int affix_one(struct kz *kz, struct kz_res *r, struct affix *a, const kz_specs *specs,
		     struct cox_error *err)
{
	struct kz_id id = kz_res_original(kz, r);
	int e = 0;

	if (keeps_its_name(&id.gvk))
		return 0;
	COX_VEC_EACH (specs, spec) {
		if (!kz_gvk_selected(&id.gvk, &spec->gvk))
			continue;
		if (!strcmp(spec->path, "metadata/name") && *a->text) {
			const char *text = kz_strdup(kz, a->text);

			if (a->suffix)
				cox_vec_push(&r->suffixes, text);
			else
				cox_vec_push(&r->prefixes, text);
			kz_res_remember(kz, r);
		}
		e = kz_field(kz, r, spec, COX_STRING, set_affix, a, err);
		if (e < 0)
			return e;
	}
	return 0;
}

int kz_prefix(struct kz *kz, struct kz_acc *acc, const char *text, bool suffix,
	      const kz_specs *specs, struct cox_error *err)
{
	struct affix a = {text, suffix};
	int e = 0;

	COX_VEC_EACH (&acc->res, r)
		if (e == 0)
			e = affix_one(kz, *r, &a, specs, err);
	return e;
}

/* ---- labels and annotations ---- */

struct pairs {
	struct kz *kz;
	struct kz_res *r;
	const struct cox_node *of;
	struct cox_node **values; /* one a pair: what is new at a place is this one */
	size_t *n_places;
};

static void set_pair(struct pairs *p, size_t i, struct cox_doc *doc, struct cox_node *map)
{
	struct cox_str key = cox_node_key(p->of, i);
	const struct cox_node *old = cox_node_get_str(map, key), *now;

	if (old == p->values[i])
		return;
	if (cox_node_kind(old) > COX_NULL) {
		now = cox_doc_string(doc, cox_node_text(p->values[i]));
		cox_map_put_str(doc, map, key, now);
		kz_overwrite(p->kz, p->r, old, now);
		return;
	}
	cox_map_put_str(doc, map, key, p->values[i]);
	if (++p->n_places[i] == 2)
		kz_share(p->r, p->values[i]);
}

static int set_pairs(void *ctx, const struct kz_slot *slot, struct cox_error *err)
{
	struct pairs *p = ctx;
	struct cox_node *map = kz_slot_edit(slot);

	if (cox_node_is(map, COX_NULL)) {
		kz_slot_put(slot, cox_doc_map(slot->doc));
		map = kz_slot_edit(slot);
	}
	if (!cox_node_is(map, COX_MAP))
		return cox_node_error(err, slot->doc, map, "expected a map of labels, got %s",
				      cox_kind_name(cox_node_kind(map)));
	for (size_t i = 0; i < cox_node_len(p->of); i++)
		set_pair(p, i, slot->doc, map);
	return 0;
}

static int put_labels_of(struct kz *kz, struct kz_res *r, const struct cox_node *pairs,
			 const kz_specs *specs, struct cox_error *err)
{
	size_t n = cox_node_len(pairs);
	struct pairs p = {.kz = kz, .r = r, .of = pairs};

	p.values = cox_arena_calloc(&kz->arena, n * sizeof(struct cox_node *));
	p.n_places = cox_arena_calloc(&kz->arena, n * sizeof(*p.n_places));
	for (size_t i = 0; i < n; i++)
		p.values[i] =
			cox_doc_string(r->doc, cox_node_is(cox_node_at(pairs, i), COX_NULL)
						       ? COX_STR("")
						       : cox_node_text(cox_node_at(pairs, i)));
	COX_VEC_EACH (specs, spec) {
		int e = kz_field(kz, r, spec, COX_MAP, set_pairs, &p, err);

		if (e < 0)
			return e;
	}
	return 0;
}

int kz_put_labels(struct kz *kz, struct kz_acc *acc, const struct cox_node *pairs,
		  const kz_specs *specs, struct cox_error *err)
{
	if (!cox_node_len(pairs))
		return 0;
	COX_VEC_EACH (&acc->res, r) {
		int e = put_labels_of(kz, *r, pairs, specs, err);

		if (e < 0)
			return e;
	}
	return 0;
}

/* ---- images ---- */

struct image {
	struct kz *kz;
	struct cox_regex *name;
	const char *new_name, *new_tag, *digest, *tag_suffix;
};

/* "host:5000/name:tag@algorithm:digest": a colon before the first slash belongs to the host. */
static void split_image(struct cox_str image, struct cox_str *name, struct cox_str *tag,
			struct cox_str *digest)
{
	const char *end = image.ptr + image.len, *from = memchr(image.ptr, '/', image.len);
	const char *at, *colon;

	if (!from)
		from = image.ptr;
	at = memchr(from, '@', (size_t)(end - from));
	colon = memchr(from, ':', (size_t)((at ? at : end) - from));
	*tag = *digest = COX_STR("");
	if (at)
		*digest = cox_str_n(at + 1, (size_t)(end - at - 1));
	if (colon)
		*tag = cox_str_n(colon + 1, (size_t)((at ? at : end) - colon - 1));
	*name = cox_str_n(image.ptr, (size_t)((colon ? colon : at ? at : end) - image.ptr));
}

/* Whether s is nothing but "(:tag)?(@digest)?". */
static bool is_image_end(struct cox_str s)
{
	const char *c = s.ptr, *end = s.ptr + s.len;

	if (c < end && *c == ':')
		for (c++; c < end && (isalnum((unsigned char)*c) || strchr("_.{}-", *c));)
			c++;
	if (c < end && *c == '@') {
		/* letters and digits, in parts between single separators */
		do {
			const char *part = ++c;

			while (c < end && isalnum((unsigned char)*c))
				c++;
			if (c == part)
				return false;
		} while (c < end && strchr(".+_-", *c));
		if (c == end || *c++ != ':')
			return false;
		while (c < end && (isalnum((unsigned char)*c) || strchr("_.{}-", *c)))
			c++;
	}
	return c == end;
}

/* The name is a regular expression, for all that stands before a tag and a digest. */
static int image_matches(const struct cox_regex *name, struct cox_str image, struct cox_error *err)
{
	for (size_t i = 0; i <= image.len; i++) {
		int e;

		if (!is_image_end(cox_str_n(image.ptr + i, image.len - i)))
			continue;
		e = cox_regex_match(name, cox_str_n(image.ptr, i), NULL, 0, err);
		if (e != 0)
			return e;
	}
	return 0;
}

static int set_image(void *ctx, const struct kz_slot *slot, struct cox_error *err)
{
	const struct image *im = ctx;
	struct cox_str value = cox_node_str(kz_slot_get(slot)), name, tag, digest;
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
	int e;

	if (!cox_node_is(kz_slot_get(slot), COX_STRING))
		return 0;
	e = image_matches(im->name, value, err);
	if (e <= 0)
		return e;
	split_image(value, &name, &tag, &digest);
	cox_buf_puts_str(&b, *im->new_name ? cox_str(im->new_name) : name);
	if (*im->new_tag || *im->digest) {
		tag = cox_str(im->new_tag);
		digest = cox_str(im->digest);
	} else if (*im->tag_suffix) {
		digest = COX_STR("");
	}
	if (tag.len || (*im->tag_suffix && !*im->new_tag && !*im->digest)) {
		cox_buf_printf(&b, ":%.*s", COX_STR_ARG(tag));
		if (!*im->new_tag && !*im->digest)
			cox_buf_puts(&b, im->tag_suffix);
	}
	if (digest.len)
		cox_buf_printf(&b, "@%.*s", COX_STR_ARG(digest));
	kz_slot_put(slot, cox_doc_string(slot->doc, cox_buf_str(&b)));
	return 0;
}

static int set_containers(struct cox_doc *doc, struct cox_node *list, struct image *im,
			  struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		struct kz_slot slot;
		int e;

		if (!COX_GET(cox_node_at(list, i), "image"))
			continue;
		slot = (struct kz_slot){doc, cox_list_edit(doc, list, i), COX_STR("image"), 0};
		e = kz_check(im->kz, err);
		if (e == 0)
			e = set_image(im, &slot, err);
		if (e < 0)
			return e;
	}
	return 0;
}

static bool is_container_list(struct cox_str key)
{
	return cox_str_is(key, "containers") || cox_str_is(key, "initContainers");
}

/* Lists of containers, wherever they are: custom resources have them too. */
static int walk_images(struct cox_doc *doc, struct cox_node *node, struct image *im,
		       struct cox_error *err)
{
	bool is_map = cox_node_is(node, COX_MAP);
	int e = kz_check(im->kz, err);

	for (size_t i = 0; e == 0 && i < cox_node_len(node); i++) {
		const struct cox_node *child = cox_node_at(node, i);
		struct cox_node *own;

		if (is_scalar(child))
			continue;
		own = is_map ? cox_map_edit_str(doc, node, cox_node_key(node, i))
			     : cox_list_edit(doc, node, i);
		e = walk_images(doc, own, im, err);
		if (e == 0 && is_map && is_container_list(cox_node_key(node, i)) &&
		    cox_node_is(own, COX_LIST))
			e = set_containers(doc, own, im, err);
	}
	return e;
}

int kz_images(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
	      const struct cox_node *image, const kz_specs *specs, struct cox_error *err)
{
	struct image im = {kz,
			   NULL,
			   cox_node_cstr(COX_GET(image, "newName"), ""),
			   kz_str(kz, cox_node_text(COX_GET(image, "newTag"))),
			   cox_node_cstr(COX_GET(image, "digest"), ""),
			   cox_node_cstr(COX_GET(image, "tagSuffix"), "")};
	const char *name = cox_node_cstr(COX_GET(image, "name"), "");
	int e = cox_regex_compile(cox_str(name), COX_REGEX_ANCHORED, &im.name, err);

	if (e < 0)
		return cox_error_wrap(err, "%s:%u:%u: images: name", cox_doc_name(doc),
				      cox_node_line(image), cox_node_column(image));
	COX_VEC_EACH (&acc->res, r) {
		if (e < 0)
			break;
		if (cox_str_is(cox_meta_kind(kz_root(*r)), "CustomResourceDefinition"))
			continue;
		COX_VEC_EACH (specs, spec)
			if (e == 0)
				e = kz_field(kz, *r, spec, COX_ABSENT, set_image, &im, err);
		if (e == 0)
			e = walk_images((*r)->doc, cox_doc_root_edit((*r)->doc), &im, err);
	}
	cox_regex_free(im.name);
	return e;
}

/* ---- replicas ---- */

static int set_count(void *ctx, const struct kz_slot *slot, struct cox_error *err)
{
	(void)err;
	kz_slot_put(slot, cox_doc_number(slot->doc, cox_node_text(ctx)));
	return 0;
}

static bool is_or_was(struct kz *kz, const struct kz_res *r, const char *name,
		      const struct kz_gvk *by)
{
	struct kz_id now = kz_res_id(kz, r);

	if (strcmp(now.name, name) == 0 && kz_gvk_selected(&now.gvk, by))
		return true;
	COX_VEC_EACH (&r->previous, id)
		if (strcmp(id->name, name) == 0 && kz_gvk_selected(&id->gvk, by))
			return true;
	return false;
}

int kz_replicas(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
		const struct cox_node *replica, const kz_specs *specs, struct cox_error *err)
{
	const char *name = kz_str(kz, cox_node_text(COX_GET(replica, "name")));
	const struct cox_node *count = COX_GET(replica, "count");
	bool found = false;

	if (!cox_node_is(count, COX_INT))
		return cox_node_error(err, doc, replica, "replicas: count of '%s' must be a number",
				      name);
	COX_VEC_EACH (specs, spec)
		COX_VEC_EACH (&acc->res, r) {
			int e = kz_check(kz, err);

			if (e < 0)
				return e;
			if (!is_or_was(kz, *r, name, &spec->gvk))
				continue;
			found = true;
			e = kz_field(kz, *r, spec, COX_STRING, set_count, (void *)count, err);
			if (e < 0)
				return e;
		}
	if (!found)
		return cox_node_error(err, doc, replica,
				      "replicas: nothing with replicas is called '%s'", name);
	return 0;
}
