/* Name references: who names an object that has got another name names it anew. */
#include "hub/render/kustomize/internal.h"

#include "common/kube/meta.h"

struct fix {
	struct kz *kz;
	const struct kz_acc *acc;
	const struct cox_map *names; /* a name that one had -> kz_list of who had it */
	struct kz_res *from;	     /* who refers */
	struct kz_id from_id;
	bool from_anywhere; /* from lives in no namespace */
	const struct kz_gvk *to;
	const char *path;
};

static bool had_kind(struct kz *kz, const struct kz_res *r, const struct kz_gvk *by)
{
	COX_VEC_EACH (&r->previous, old) {
		struct kz_id id = kz_id_then(kz, old, r->now);

		if (kz_gvk_selected(&id.gvk, by))
			return true;
	}
	return false;
}

/* A binding's roleRef says which kind it means. */
static bool fits_role_ref(const struct fix *f, const struct kz_res *r)
{
	const struct cox_node *ref = COX_GET(kz_root(f->from), "roleRef");
	struct kz_gvk by;

	if (!cox_str_ends(cox_str(f->path), "roleRef/name") || !COX_GET(ref, "apiGroup") ||
	    !COX_GET(ref, "kind"))
		return true;
	by = (struct kz_gvk){cox_node_cstr(COX_GET(ref, "apiGroup"), ""), "",
			     cox_node_cstr(COX_GET(ref, "kind"), "")};
	return had_kind(f->kz, r, &by);
}

/* A RoleBinding reaches the service accounts of the namespaces that its subjects name. */
static bool binding_reaches(const struct kz_res *from, const char *namespace)
{
	const struct cox_node *subjects = COX_GET(kz_root(from), "subjects");

	if (!cox_str_is(cox_meta_kind(kz_root(from)), "RoleBinding"))
		return false;
	for (size_t i = 0; i < cox_node_len(subjects); i++) {
		const struct cox_node *s = cox_node_at(subjects, i);

		if (cox_str_is(cox_node_str(COX_GET(s, "kind")), "ServiceAccount") &&
		    COX_GET(s, "namespace") &&
		    cox_str_is(cox_node_str(COX_GET(s, "namespace")), namespace))
			return true;
	}
	return false;
}

static bool could_be_meant(const struct fix *f, const struct kz_res *r)
{
	struct kz_id id = *r->now;

	if (f->from_anywhere || id.gvk.cluster)
		return true;
	return strcmp(kz_effective_namespace(&id), kz_effective_namespace(&f->from_id)) == 0 ||
	       binding_reaches(f->from, id.namespace);
}

static bool same_namespace(const struct fix *f, const struct kz_res *r)
{
	struct kz_id id = *r->now;

	return f->from_anywhere || id.gvk.cluster || strcmp(id.gvk.kind, "ServiceAccount") == 0 ||
	       strcmp(kz_effective_namespace(&id), kz_effective_namespace(&f->from_id)) == 0;
}

/* Whether the shorter is the end of the longer; both are lists of what was added, in order. */
static bool same_ending(const char *const *a, size_t n_a, const char *const *b, size_t n_b)
{
	size_t n = n_a < n_b ? n_a : n_b;

	for (size_t i = 0; i < n; i++)
		if (strcmp(a[n_a - 1 - i], b[n_b - 1 - i]) != 0)
			return false;
	return n > 0 || (n_a == 0 && n_b == 0);
}

static bool same_affixes(const struct kz_res *a, const struct kz_res *b, bool allow_empty)
{
	bool prefix =
		same_ending(a->prefixes.items, a->prefixes.n, b->prefixes.items, b->prefixes.n);
	bool suffix =
		same_ending(a->suffixes.items, a->suffixes.n, b->suffixes.items, b->suffixes.n);

	if (allow_empty) {
		prefix = prefix || !a->prefixes.n || !b->prefixes.n;
		suffix = suffix || !a->suffixes.n || !b->suffixes.n;
	}
	return prefix && suffix;
}

static void keep_affixes(const struct fix *f, kz_list *list, bool allow_empty)
{
	size_t n = 0;

	COX_VEC_EACH (list, r)
		if (same_affixes(*r, f->from, allow_empty))
			list->items[n++] = *r;
	list->n = n;
}

static bool all_the_same(const kz_list *list, bool with_namespace)
{
	struct kz_id first = *list->items[0]->now;

	COX_VEC_EACH (list, r) {
		struct kz_id id = *(*r)->now;

		if (strcmp(id.name, first.name) != 0 ||
		    (with_namespace && strcmp(id.namespace, first.namespace) != 0))
			return false;
	}
	return true;
}

static const char *original_namespace(const struct kz_res *r)
{
	return r->previous.n ? r->previous.items[0].namespace : kz_effective_namespace(r->now);
}

/* Those of a namespace, by what it was and else by what it is. */
static void keep_namespace(const struct fix *f, kz_list *list, const kz_list *all,
			   const char *namespace)
{
	bool was = false;
	size_t n = 0;

	f->kz->n_steps += all->n;
	COX_VEC_EACH (all, r)
		was = was ||
		      (could_be_meant(f, *r) && strcmp(original_namespace(*r), namespace) == 0);
	COX_VEC_EACH (list, r) {
		const char *it = was ? original_namespace(*r) : kz_effective_namespace((*r)->now);

		if (strcmp(it, namespace) == 0)
			list->items[n++] = *r;
	}
	list->n = n;
}

/* namespace: NULL for any. *ret is NULL when nothing is meant. */
static int choose(const struct fix *f, const char *name, const char *namespace, bool with_namespace,
		  struct kz_res **ret, struct cox_error *err)
{
	const kz_list *had = cox_map_get(f->names, name);
	kz_list list = {0};
	int e = 0;

	*ret = NULL;
	if (!had)
		return 0;
	f->kz->n_steps += had->n;
	COX_VEC_EACH (had, r)
		if (had_kind(f->kz, *r, f->to) && fits_role_ref(f, *r) && could_be_meant(f, *r) &&
		    same_namespace(f, *r))
			cox_vec_push(&list, *r);
	if (namespace)
		keep_namespace(f, &list, &f->acc->res, namespace);
	if (list.n > 1) {
		keep_affixes(f, &list, true);
		if (list.n > 1)
			keep_affixes(f, &list, false);
	}
	if (list.n > 1 && !all_the_same(&list, with_namespace)) {
		struct kz_id a = *list.items[0]->now, b = *list.items[1]->now;

		e = cox_error(err, COX_FAILED_PRECONDITION,
			      "%s: '%s' at %s of %s can mean %s and %s; name the namespace, or "
			      "give them different names",
			      kz_place(f->kz, f->from), name, f->path,
			      kz_id_text(f->kz, &f->from_id), kz_id_text(f->kz, &a),
			      kz_id_text(f->kz, &b));
	}
	if (e == 0 && list.n)
		*ret = list.items[0];
	cox_vec_fini(&list);
	return e;
}

static int set_scalar(const struct fix *f, const struct kz_slot *slot, struct cox_error *err)
{
	const char *name = kz_str(f->kz, cox_node_written(kz_slot_get(slot)));
	struct kz_res *to = NULL;
	int e = kz_check(f->kz, err);
	struct kz_id id;

	if (e == 0)
		e = choose(f, name, NULL, false, &to, err);

	if (e < 0 || !to)
		return e;
	id = *to->now;
	if (strcmp(id.name, name) != 0)
		kz_slot_put(slot, cox_doc_cstring(slot->doc, id.name));
	return 0;
}

static int set_map(const struct fix *f, const struct kz_slot *slot, struct cox_error *err)
{
	const struct cox_node *name = COX_GET(kz_slot_get(slot), "name");
	const struct cox_node *namespace = COX_GET(kz_slot_get(slot), "namespace");
	struct cox_node *map;
	struct kz_res *to;
	struct kz_id id;
	int e;

	if (!name)
		return cox_node_error(err, slot->doc, kz_slot_get(slot),
				      "a name reference leads here, but there is no `name`");
	e = choose(f, kz_str(f->kz, cox_node_written(name)),
		   namespace ? kz_str(f->kz, cox_node_str(namespace)) : NULL, true, &to, err);
	if (e < 0 || !to)
		return e;
	id = *to->now;
	if (cox_str_is(cox_node_text(name), id.name) && !*id.namespace)
		return 0;
	map = kz_slot_edit(slot);
	cox_map_put_cstr(slot->doc, map, "name", id.name);
	if (*id.namespace)
		cox_map_put_cstr(slot->doc, map, "namespace", id.namespace);
	return 0;
}

static int set_one(const struct fix *f, const struct kz_slot *slot, struct cox_error *err)
{
	const struct cox_node *value = kz_slot_get(slot);

	if (cox_node_kind(value) <= COX_NULL)
		return 0;
	if (cox_node_is(value, COX_MAP))
		return set_map(f, slot, err);
	if (cox_node_is(value, COX_LIST))
		return cox_node_error(err, slot->doc, value,
				      "a name reference leads to a list of "
				      "lists");
	return set_scalar(f, slot, err);
}

static int set_reference(void *ctx, const struct kz_slot *slot, struct cox_error *err)
{
	const struct fix *f = ctx;
	struct cox_node *list;

	if (!cox_node_is(kz_slot_get(slot), COX_LIST))
		return set_one(f, slot, err);
	list = kz_slot_edit(slot);
	for (size_t i = 0; i < cox_node_len(list); i++) {
		struct kz_slot item = {slot->doc, list, {NULL, 0}, i};
		int e = set_one(f, &item, err);

		if (e < 0)
			return e;
	}
	return 0;
}

static int check_subjects(struct kz *kz, const struct kz_res *r, struct cox_error *err)
{
	const struct cox_node *list = COX_GET(kz_root(r), "subjects");
	struct kz_id id = kz_res_id(kz, r);

	if (!cox_str_is(cox_meta_kind(kz_root(r)), "RoleBinding"))
		return 0;
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *s = cox_node_at(list, i), *ns = COX_GET(s, "namespace");

		if (ns && !cox_node_is(ns, COX_STRING) &&
		    cox_str_is(cox_node_str(COX_GET(s, "kind")), "ServiceAccount"))
			return cox_node_error(err, r->doc, ns,
					      "a subject of %s has a blank namespace",
					      kz_id_text(kz, &id));
	}
	return 0;
}

static int fix_one(struct kz *kz, struct kz_acc *acc, const struct cox_map *names, struct kz_res *r,
		   struct cox_error *err)
{
	struct fix f = {.kz = kz, .acc = acc, .names = names, .from = r, .from_id = *r->now};
	struct kz_id original = r->previous.n ? r->previous.items[0] : *r->now;
	int e = check_subjects(kz, r, err);

	f.from_anywhere = f.from_id.gvk.cluster;
	if (r->previous.n)
		original = kz_id_then(kz, &original, r->now);
	COX_VEC_EACH (&acc->config.references, ref)
		COX_VEC_EACH (&ref->from, spec) {
			struct kz_spec any = {{"", "", ""}, spec->path, spec->create};

			if (e < 0)
				return e;
			if (!kz_gvk_selected(&original.gvk, &spec->gvk))
				continue;
			f.to = &ref->gvk;
			f.path = spec->path;
			e = kz_field(kz, r, &any, COX_ABSENT, set_reference, &f, err);
		}
	return e;
}

static void note_name(struct cox_map *names, const char *name, struct kz_res *r)
{
	kz_list *list = cox_map_get(names, name);

	if (!list) {
		list = cox_new(kz_list);
		cox_map_set(names, name, list);
	}
	if (!list->n || list->items[list->n - 1] != r)
		cox_vec_push(list, r);
}

static void list_free(void *p)
{
	kz_list *list = p;

	cox_vec_fini(list);
	free(list);
}

int kz_fix_names(struct kz *kz, struct kz_acc *acc, struct cox_error *err)
{
	struct cox_map names = COX_MAP_INIT;
	int e = 0;

	COX_VEC_EACH (&acc->res, r) {
		struct kz_id *now = cox_arena_calloc(&kz->arena, sizeof(*now));

		*now = kz_res_id(kz, *r);
		(*r)->now = now;
		COX_VEC_EACH (&(*r)->previous, id)
			note_name(&names, id->name, *r);
	}
	COX_VEC_EACH (&acc->res, r)
		if (e == 0)
			e = fix_one(kz, acc, &names, *r, err);
	cox_map_fini_values(&names, list_free);
	return e;
}
