/* Strategic merge by schema, as Kustomize walks it: maps key by key, lists by their merge keys where
 * the schema of Kubernetes 1.21 has them, other lists replaced; new items go in front. */
#include "hub/render/kustomize/internal.h"

#include "common/kube/schema.h"

#define MAX_KEYS  4
#define MAX_DEPTH 128
#define MAX_ITEMS 5000 /* of both sides of a list; the time is its square */

/* What is known of a value: a type of the table, or a schema of `openapi.path`. */
struct type {
	const struct cox_schema_type *known;
	const struct cox_node *openapi;
};

struct merge {
	struct cox_doc *out;
	const struct cox_node *definitions; /* of openapi.path; NULL: the table */
	const kz_shared *shared;
	kz_writes *writes; /* over what is shared */
	int depth;
};

struct keys {
	const char *names[MAX_KEYS];
	size_t n; /* 0: values themselves */
};

/* ---- schema ---- */

/* Groups and versions that Kustomize's schema has; what is not here is merged as JSON. */
static const char *const known_versions[] = {
	"/v1",
	"admissionregistration.k8s.io/v1",
	"admissionregistration.k8s.io/v1beta1",
	"apiextensions.k8s.io/v1",
	"apiextensions.k8s.io/v1beta1",
	"apiregistration.k8s.io/v1",
	"apiregistration.k8s.io/v1beta1",
	"apps/v1",
	"authentication.k8s.io/v1",
	"authorization.k8s.io/v1",
	"autoscaling/v1",
	"autoscaling/v2beta1",
	"autoscaling/v2beta2",
	"batch/v1",
	"batch/v1beta1",
	"certificates.k8s.io/v1",
	"certificates.k8s.io/v1beta1",
	"coordination.k8s.io/v1",
	"coordination.k8s.io/v1beta1",
	"discovery.k8s.io/v1",
	"discovery.k8s.io/v1beta1",
	"events.k8s.io/v1",
	"events.k8s.io/v1beta1",
	"extensions/v1beta1",
	"flowcontrol.apiserver.k8s.io/v1beta1",
	"networking.k8s.io/v1",
	"networking.k8s.io/v1beta1",
	"node.k8s.io/v1",
	"node.k8s.io/v1beta1",
	"policy/v1",
	"policy/v1beta1",
	"rbac.authorization.k8s.io/v1",
	"rbac.authorization.k8s.io/v1beta1",
	"scheduling.k8s.io/v1",
	"scheduling.k8s.io/v1beta1",
	"storage.k8s.io/v1",
	"storage.k8s.io/v1beta1",
};

static bool is_known(struct kz *kz, const struct kz_gvk *gvk)
{
	const char *text = kz_printf(kz, "%s/%s", gvk->group, gvk->version);

	for (size_t i = 0; i < COX_ARRAY_LEN(known_versions); i++)
		if (strcmp(known_versions[i], text) == 0)
			return true;
	return false;
}

static const struct cox_node *find_definition(const struct cox_node *definitions,
					      const struct kz_gvk *gvk)
{
	for (size_t i = 0; i < cox_node_len(definitions); i++) {
		const struct cox_node *d = cox_node_at(definitions, i);
		const struct cox_node *list = COX_GET(d, "x-kubernetes-group-version-kind");

		for (size_t j = 0; j < cox_node_len(list); j++) {
			const struct cox_node *it = cox_node_at(list, j);

			if (cox_str_is(cox_node_str(COX_GET(it, "kind")), gvk->kind) &&
			    cox_str_is(cox_node_str(COX_GET(it, "version")), gvk->version) &&
			    cox_str_is(cox_node_str(COX_GET(it, "group")), gvk->group))
				return d;
		}
	}
	return NULL;
}

static struct type resolve(const struct merge *m, const struct cox_node *schema)
{
	struct type type = {NULL, schema};

	for (int i = 0; i < 16; i++) {
		const char *ref = cox_node_cstr(COX_GET(type.openapi, "$ref"), NULL);

		if (!ref)
			break;
		ref = strncmp(ref, "#/definitions/", 14) == 0 ? ref + 14 : ref;
		type.openapi = cox_node_get(m->definitions, ref);
		/* what the file leaves to Kubernetes */
		if (!type.openapi && strncmp(ref, "io.k8s.api.", 11) == 0)
			type.known = cox_schema_named(ref + 11);
	}
	return type;
}

static struct type child(const struct merge *m, const struct type *type, struct cox_str key)
{
	const struct cox_node *extra;

	if (!m->definitions || type->known) {
		if (!type->known)
			return (struct type){NULL, NULL};
		return (struct type){cox_schema_child(type->known, key), NULL};
	}
	extra = cox_node_get_str(COX_GET(type->openapi, "properties"), key);
	return resolve(m, extra ? extra : COX_GET(type->openapi, "additionalProperties"));
}

static struct type item_of(const struct merge *m, const struct type *type)
{
	if (!m->definitions || type->known)
		return (struct type){type->known && type->known->kind == COX_SCHEMA_LIST
					     ? type->known->item
					     : NULL,
				     NULL};
	return resolve(m, COX_GET(type->openapi, "items"));
}

static bool known_keys(const struct cox_schema_type *t, struct keys *ret)
{
	if (!t || t->kind != COX_SCHEMA_LIST || !t->merges)
		return false;
	if (t->list == COX_SCHEMA_LIST_MAP && t->n_keys > 1 && t->n_keys <= MAX_KEYS)
		for (; ret->n < t->n_keys; ret->n++)
			ret->names[ret->n] = t->keys[ret->n];
	else if (t->merge_key)
		ret->names[ret->n++] = t->merge_key;
	return true;
}

/* Whether items of such a list are matched, and by what. */
static bool merges_items(const struct merge *m, const struct type *type, struct keys *ret)
{
	const struct cox_node *list = COX_GET(type->openapi, "x-kubernetes-list-map-keys");
	const char *strategy =
		cox_node_cstr(COX_GET(type->openapi, "x-kubernetes-patch-strategy"), "");
	const char *key =
		cox_node_cstr(COX_GET(type->openapi, "x-kubernetes-patch-merge-key"), NULL);

	ret->n = 0;
	if (!m->definitions || type->known)
		return known_keys(type->known, ret);
	if (strncmp(strategy, "merge", 5) != 0)
		return false;
	for (size_t i = 0; i < cox_node_len(list) && ret->n < MAX_KEYS; i++)
		ret->names[ret->n++] = cox_node_cstr(cox_node_at(list, i), "");
	if (!ret->n && key)
		ret->names[ret->n++] = key;
	return true;
}

/* ---- directives ---- */

enum directive { MERGE, REPLACE, DELETE };

static int read_directive(const struct merge *m, const struct cox_node *node, enum directive *ret,
			  struct cox_error *err)
{
	static const char *const names[] = {"merge", "replace", "delete"};
	const struct cox_node *value = COX_GET(node, "$patch");

	*ret = MERGE;
	if (!value)
		return 0;
	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++)
		if (cox_str_is(cox_node_text(value), names[i])) {
			*ret = (enum directive)i;
			return 0;
		}
	return cox_node_error(err, m->out, value,
			      "$patch: must be merge, replace or delete, not '%.*s'",
			      COX_STR_ARG(cox_node_text(value)));
}

/* An item that holds nothing but the directive speaks for its list. */
static int read_list_directive(const struct merge *m, const struct cox_node *list,
			       enum directive *ret, size_t *ret_skip, struct cox_error *err)
{
	*ret = MERGE;
	*ret_skip = SIZE_MAX;
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *item = cox_node_at(list, i);

		if (cox_node_len(item) != 1 || !COX_GET(item, "$patch"))
			continue;
		*ret_skip = i;
		return read_directive(m, item, ret, err);
	}
	return 0;
}

/* ---- the walk; a result of NULL means that there is nothing ---- */

static int merge_value(struct merge *m, const struct type *type, const struct cox_node *base,
		       const struct cox_node *patch, const struct cox_node **ret,
		       struct cox_error *err);

static bool is_absent(const struct cox_node *node)
{
	return cox_node_kind(node) <= COX_NULL;
}

static int merge_map(struct merge *m, const struct type *type, const struct cox_node *base,
		     const struct cox_node *patch, const struct cox_node **ret,
		     struct cox_error *err)
{
	enum directive directive;
	struct cox_node *out;
	int e = read_directive(m, patch, &directive, err);

	*ret = NULL;
	if (e < 0 || directive == DELETE)
		return e;
	if (directive == REPLACE)
		base = NULL;
	out = cox_doc_map(m->out);
	for (size_t i = 0; i < cox_node_len(base); i++) {
		struct cox_str key = cox_node_key(base, i);
		const struct cox_node *value = cox_node_at(base, i);
		const struct cox_node *change = cox_node_get_str(patch, key);
		struct type t = child(m, type, key);

		if (change)
			e = merge_value(m, &t, value, change, &value, err);
		if (e < 0)
			return e;
		if (value)
			cox_map_put_str(m->out, out, key, value);
	}
	for (size_t i = 0; i < cox_node_len(patch); i++) {
		struct cox_str key = cox_node_key(patch, i);
		const struct cox_node *value;
		struct type t = child(m, type, key);

		if (cox_str_is(key, "$patch") || cox_node_get_str(base, key))
			continue;
		e = merge_value(m, &t, NULL, cox_node_at(patch, i), &value, err);
		if (e < 0)
			return e;
		if (value)
			cox_map_put_str(m->out, out, key, value);
	}
	*ret = out;
	return 0;
}

/* ---- lists whose items have keys ----
 *
 * Step by step as the reference program goes, because what it makes of items that lack one of
 * several keys (a port without a protocol) is nobody's design, and what people run. */

typedef COX_VEC(const struct cox_node *) items_vec;

/* What the keys of an item are; "" for one that it lacks. */
struct values {
	struct cox_str of[MAX_KEYS];
};
typedef COX_VEC(struct values) values_vec;

static struct cox_str value_of(const struct cox_node *item, const char *key)
{
	return cox_node_text(COX_GET(item, key));
}

static bool has_key(const struct cox_node *item, const char *key)
{
	return !is_absent(COX_GET(item, key));
}

static bool is_empty_map(const struct cox_node *node)
{
	return cox_node_is(node, COX_MAP) && !cox_node_len(node);
}

/* The first item with these values, of those that are not ""; NULL: none. */
static const struct cox_node **find_item(const struct keys *keys, items_vec *list,
					 const struct values *values)
{
	bool any = false;

	for (size_t k = 0; k < keys->n; k++)
		any = any || values->of[k].len;
	for (size_t i = 0; any && i < list->n; i++) {
		bool same = true;

		for (size_t k = 0; same && k < keys->n; k++)
			same = !values->of[k].len ||
			       cox_str_eq(value_of(list->items[i], keys->names[k]), values->of[k]);
		if (same)
			return &list->items[i];
	}
	return NULL;
}

/* Whether an item is meant by the first n of the keys; a value of "" is any. */
static bool is_meant(const struct keys *keys, const struct cox_node *item,
		     const struct values *values, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (!has_key(item, keys->names[k]) ||
		    (values->of[k].len &&
		     !cox_str_eq(value_of(item, keys->names[k]), values->of[k])))
			return false;
	return n > 0;
}

/* Puts item (NULL: nothing) in the place of all that are meant; at the end when there are none. */
static void set_item(const struct keys *keys, items_vec *list, const struct cox_node *item,
		     const struct values *values, size_t n_values)
{
	bool found = false;
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct cox_node *it = list->items[i];
		bool meant = is_meant(keys, it, values, n_values);

		found = found || meant;
		if (is_absent(it) || is_empty_map(it) || (meant && !item) ||
		    (!meant && n_values == 0))
			continue;
		list->items[n++] = meant ? item : it;
	}
	list->n = n;
	if (item && !found)
		cox_vec_push(list, item);
}

static void add_values(const struct keys *keys, const items_vec *list, values_vec *to)
{
	COX_VEC_EACH (list, item) {
		struct values v = {0};
		bool seen = false;

		for (size_t k = 0; k < keys->n; k++)
			v.of[k] = value_of(*item, keys->names[k]);
		for (size_t i = 0; !seen && i < to->n; i++) {
			seen = true;
			for (size_t k = 0; seen && k < keys->n; k++)
				seen = cox_str_eq(to->items[i].of[k], v.of[k]);
		}
		if (!seen)
			cox_vec_push(to, v);
	}
}

/* Two that are equal but for what one of them lacks; *ret has it all. */
static bool fits(const struct keys *keys, const struct values *a, const struct values *b,
		 struct values *ret)
{
	bool common = false;

	for (size_t k = 0; k < keys->n; k++) {
		bool same = cox_str_eq(a->of[k], b->of[k]);

		if (!same && a->of[k].len && b->of[k].len)
			return false;
		common = common || same;
		ret->of[k] = a->of[k].len ? a->of[k] : b->of[k];
	}
	return common;
}

static void complete_values(const struct keys *keys, values_vec *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct values at_first = all->items[i], whole;

		for (size_t j = 0; j < all->n; j++)
			if (fits(keys, &at_first, &all->items[j], &whole))
				all->items[i] = all->items[j] = whole;
	}
}

/* Drops the keys that no item has; all of them stay when none has any. */
static void drop_unused_keys(struct keys *keys, values_vec *all)
{
	struct keys used = {.n = 0};
	size_t from[MAX_KEYS];

	for (size_t k = 0; k < keys->n; k++) {
		bool any = false;

		COX_VEC_EACH (all, v)
			any = any || v->of[k].len;
		if (!any)
			continue;
		from[used.n] = k;
		used.names[used.n++] = keys->names[k];
	}
	if (!used.n)
		return;
	COX_VEC_EACH (all, v)
		for (size_t k = 0; k < used.n; k++)
			v->of[k] = v->of[from[k]];
	*keys = used;
}

/* What was there, behind what was merged or is new, or in its place. */
static void add_base(const struct keys *keys, items_vec *list, const items_vec *base)
{
	COX_VEC_EACH (base, item) {
		struct values values = {0};
		size_t n = 0;

		for (size_t k = 0; k < keys->n; k++) {
			if (has_key(*item, keys->names[k]))
				values.of[n++] = value_of(*item, keys->names[k]);
			else
				cox_vec_push(list, *item);
		}
		if (keys->n > 1)
			set_item(keys, list, NULL, &values, n);
		set_item(keys, list, *item, &values, n);
	}
}

static int merge_item(struct merge *m, const struct type *type, const struct cox_node **base,
		      const struct cox_node **patch, const struct cox_node **ret,
		      struct cox_error *err)
{
	enum directive directive;
	int e;

	*ret = base ? *base : NULL;
	if (!patch)
		return 0;
	e = read_directive(m, *patch, &directive, err);
	if (e == 0)
		e = merge_value(m, type, base && *base != *patch ? *base : NULL, *patch, ret, err);
	/* what is replaced is not changed where it stands */
	if (e == 0 && base && *ret && directive != REPLACE)
		*base = *ret;
	return e;
}

static void gather(const struct cox_node *list, size_t skip, items_vec *ret)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (i != skip)
			cox_vec_push(ret, cox_node_at(list, i));
}

/* Lists of maps. */
static int merge_keyed(struct merge *m, const struct type *type, struct keys keys, items_vec *base,
		       items_vec *patch, items_vec *out, struct cox_error *err)
{
	struct type item_type = item_of(m, type);
	values_vec all = {0};
	int e = 0;

	add_values(&keys, patch, &all);
	add_values(&keys, base, &all);
	if (keys.n > 1)
		complete_values(&keys, &all);
	drop_unused_keys(&keys, &all);
	for (size_t i = 0; e == 0 && i < all.n; i++) {
		const struct values *values = &all.items[i];
		const struct cox_node *value;

		e = merge_item(m, &item_type, find_item(&keys, base, values),
			       find_item(&keys, patch, values), &value, err);
		if (e == 0 && (!value || is_empty_map(value)))
			set_item(&keys, base, NULL, values, keys.n);
		else if (e == 0)
			set_item(&keys, out, value, values, keys.n);
	}
	if (e == 0)
		add_base(&keys, out, base);
	cox_vec_fini(&all);
	return e;
}

/* Lists of texts and numbers that are sets. */
static void merge_set(const items_vec *base, const items_vec *patch, items_vec *out)
{
	for (size_t i = 0; i < 2; i++)
		COX_VEC_EACH (i ? base : patch, item) {
			bool seen = is_absent(*item);

			for (size_t j = 0; !seen && j < out->n; j++)
				seen = cox_str_eq(cox_node_text(*item),
						  cox_node_text(out->items[j]));
			if (!seen)
				cox_vec_push(out, *item);
		}
}

static int merge_items(struct merge *m, const struct type *type, const struct keys *keys,
		       const struct cox_node *base, const struct cox_node *patch, size_t skip,
		       struct cox_node *ret, struct cox_error *err)
{
	items_vec b = {0}, p = {0}, out = {0};
	int e = 0;

	gather(patch, skip, &p);
	/* without a base the patch is merged with itself */
	gather(base ? base : patch, base ? SIZE_MAX : skip, &b);
	if (b.n + p.n > MAX_ITEMS)
		e = cox_error(err, COX_RESOURCE_EXHAUSTED,
			      "a list of more than %d items is not merged by their keys",
			      MAX_ITEMS);
	else if (keys->n)
		e = merge_keyed(m, type, *keys, &b, &p, &out, err);
	else
		merge_set(&b, &p, &out);
	if (e == 0)
		COX_VEC_EACH (&out, item)
			cox_list_push(m->out, ret, *item);
	cox_vec_fini(&out);
	cox_vec_fini(&p);
	cox_vec_fini(&b);
	return e;
}

static int merge_list(struct merge *m, const struct type *type, const struct cox_node *base,
		      const struct cox_node *patch, const struct cox_node **ret,
		      struct cox_error *err)
{
	enum directive directive;
	struct keys keys;
	struct cox_node *out;
	size_t skip;
	int e;

	*ret = patch;
	if (!merges_items(m, type, &keys))
		return 0;
	e = read_list_directive(m, patch, &directive, &skip, err);
	*ret = NULL;
	if (e < 0 || directive == DELETE)
		return e;
	out = cox_doc_list(m->out);
	e = merge_items(m, type, &keys, directive == REPLACE ? NULL : base, patch, skip, out, err);
	if (e == 0)
		*ret = out;
	return e;
}

static bool is_scalar(const struct cox_node *node)
{
	return !cox_node_is(node, COX_MAP) && !cox_node_is(node, COX_LIST);
}

static void note_write(struct merge *m, const struct cox_node *base, const struct cox_node *patch)
{
	COX_VEC_EACH (m->shared, value)
		if (*value == base)
			cox_vec_push(m->writes, (struct kz_written){base, patch});
}

static int merge_value(struct merge *m, const struct type *type, const struct cox_node *base,
		       const struct cox_node *patch, const struct cox_node **ret,
		       struct cox_error *err)
{
	int e;

	if (is_absent(patch)) {
		*ret = NULL;
		return 0;
	}
	if (is_absent(base))
		base = NULL;
	if (base && (is_scalar(base) != is_scalar(patch) ||
		     (!is_scalar(base) && cox_node_kind(base) != cox_node_kind(patch))))
		return cox_node_error(
			err, m->out, patch, "the patch has a %s where the object has a %s",
			cox_kind_name(cox_node_kind(patch)), cox_kind_name(cox_node_kind(base)));
	*ret = patch;
	if (is_scalar(patch)) {
		note_write(m, base, patch);
		return 0;
	}
	if (m->depth >= MAX_DEPTH)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "a patch deeper than %d", MAX_DEPTH);
	m->depth++;
	e = cox_node_is(patch, COX_MAP) ? merge_map(m, type, base, patch, ret, err)
					: merge_list(m, type, base, patch, ret, err);
	m->depth--;
	return e;
}

int kz_strategic_merge(struct kz *kz, struct cox_doc *base, struct cox_doc *patch,
		       const struct kz_gvk *gvk, const kz_shared *shared, struct cox_doc **ret,
		       kz_writes *ret_writes, struct cox_error *err)
{
	struct merge m = {
		.out = cox_doc_new(cox_doc_name(patch)), .shared = shared, .writes = ret_writes};
	const struct cox_node *root = NULL;
	struct type type = {NULL, NULL};
	int e;

	if (kz->schema.n)
		m.definitions =
			COX_GET(cox_doc_root(kz->schema.items[kz->schema.n - 1]), "definitions");
	if (m.definitions)
		type.openapi = find_definition(m.definitions, gvk);
	else if (is_known(kz, gvk))
		type.known = cox_schema_find(gvk->group, gvk->version, gvk->kind);
	cox_doc_use(m.out, base);
	cox_doc_use(m.out, patch);
	e = merge_value(&m, &type, cox_doc_root(base), cox_doc_root(patch), &root, err);
	if (e < 0 || !cox_node_len(root)) {
		cox_doc_unref(m.out);
		if (e == 0)
			*ret = NULL;
		return e;
	}
	cox_doc_set_root(m.out, root);
	*ret = m.out;
	return 0;
}
