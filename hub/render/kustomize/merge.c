/* Strategic merge by schema, as Kustomize walks it: maps key by key, lists by their merge keys where
 * the schema of Kubernetes 1.21 has them, other lists replaced; new items go in front. */
#include "hub/render/kustomize/internal.h"

#include "common/kube/schema.h"

#define MAX_KEYS  4
#define MAX_DEPTH 128

/* What is known of a value: a type of the table, or a schema of `openapi.path`. */
struct type {
	const struct cox_schema_type *known;
	const struct cox_node *openapi;
};

struct merge {
	struct cox_doc *out;
	const struct cox_node *definitions; /* of openapi.path; NULL: the table */
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

/* Items are the same when all keys that both have are equal, and one at least is. */
static bool same_item(const struct keys *keys, const struct cox_node *a, const struct cox_node *b)
{
	bool one = false;

	if (!keys->n)
		return cox_str_eq(cox_node_text(a), cox_node_text(b));
	for (size_t i = 0; i < keys->n; i++) {
		const struct cox_node *x = COX_GET(a, keys->names[i]);
		const struct cox_node *y = COX_GET(b, keys->names[i]);

		if (x && y && !cox_str_eq(cox_node_text(x), cox_node_text(y)))
			return false;
		one = one || (x && y);
	}
	return one;
}

static ptrdiff_t find_item(const struct keys *keys, const struct cox_node *list,
			   const struct cox_node *item, const bool *taken)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (!taken[i] && same_item(keys, cox_node_at(list, i), item))
			return (ptrdiff_t)i;
	return -1;
}

static bool is_empty_map(const struct cox_node *node)
{
	return cox_node_is(node, COX_MAP) && !cox_node_len(node);
}

/* How many of a list's keys any of its items has. */
static size_t count_keys_used(const struct keys *keys, const struct cox_node *a,
			      const struct cox_node *b)
{
	size_t n = 0;

	for (size_t k = 0; k < keys->n; k++) {
		bool used = false;

		for (size_t i = 0; i < cox_node_len(a); i++)
			used = used ||
			       cox_node_text(COX_GET(cox_node_at(a, i), keys->names[k])).len;
		for (size_t i = 0; i < cox_node_len(b); i++)
			used = used ||
			       cox_node_text(COX_GET(cox_node_at(b, i), keys->names[k])).len;
		n += used;
	}
	return n;
}

static void push_item(struct merge *m, struct cox_node *out, const struct cox_node *value)
{
	if (value && !is_empty_map(value))
		cox_list_push(m->out, out, value);
}

/* What the patch names comes first, in its order, then the rest; but with more than one key only
 * what is new comes first, and what was there keeps its place. */
static int merge_items(struct merge *m, const struct type *type, const struct keys *keys,
		       const struct cox_node *base, const struct cox_node *patch, size_t skip,
		       struct cox_node *out, struct cox_error *err)
{
	struct type item_type = item_of(m, type);
	bool keep_places = keys->n > 1 && count_keys_used(keys, base, patch) > 1;
	_cleanup_free_ bool *taken = cox_new_n(bool, cox_node_len(base) + 1);
	_cleanup_free_ const struct cox_node **values =
		cox_new_n(const struct cox_node *, cox_node_len(base) + 1);

	for (size_t i = 0; i < cox_node_len(patch); i++) {
		const struct cox_node *item = cox_node_at(patch, i), *value;
		ptrdiff_t at;
		int e;

		if (i == skip)
			continue;
		at = find_item(keys, base, item, taken);
		e = merge_value(m, &item_type, at < 0 ? NULL : cox_node_at(base, (size_t)at), item,
				&value, err);
		if (e < 0)
			return e;
		if (at >= 0) {
			taken[at] = true;
			values[at] = value;
		}
		if (at < 0 || !keep_places)
			push_item(m, out, value);
	}
	for (size_t i = 0; i < cox_node_len(base); i++)
		if (!taken[i])
			cox_list_push(m->out, out, cox_node_at(base, i));
		else if (keep_places)
			push_item(m, out, values[i]);
	return 0;
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
	if (is_scalar(patch))
		return 0;
	if (m->depth >= MAX_DEPTH)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "a patch deeper than %d", MAX_DEPTH);
	m->depth++;
	e = cox_node_is(patch, COX_MAP) ? merge_map(m, type, base, patch, ret, err)
					: merge_list(m, type, base, patch, ret, err);
	m->depth--;
	return e;
}

int kz_strategic_merge(struct kz *kz, struct cox_doc *base, struct cox_doc *patch,
		       const struct kz_gvk *gvk, struct cox_doc **ret, struct cox_error *err)
{
	struct merge m = {.out = cox_doc_new(cox_doc_name(patch))};
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
