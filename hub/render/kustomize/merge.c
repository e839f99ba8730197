/* Strategic merge by schema, as Kustomize walks it: maps key by key, lists by their merge keys where
 * the schema of Kubernetes 1.21 has them, other lists replaced; new items go in front. */
#include "hub/render/kustomize/internal.h"

struct merge {
	struct kz *kz;
	struct cox_doc *out;
	struct kz_schema schema;
	const kz_shared *shared;
	kz_writes *writes; /* over what is shared */
	bool json;	   /* the base went through JSON: its quotes say nothing */
};

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

/* The first item with a directive speaks for its list when it holds nothing else. */
static int read_list_directive(const struct merge *m, const struct cox_node *list,
			       enum directive *ret, const struct cox_node **ret_value,
			       struct cox_error *err)
{
	*ret = MERGE;
	*ret_value = NULL;
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *item = cox_node_at(list, i);

		if (!COX_GET(item, "$patch"))
			continue;
		if (cox_node_len(item) > 1)
			return 0;
		*ret_value = COX_GET(item, "$patch");
		return read_directive(m, item, ret, err);
	}
	return 0;
}

static const struct cox_node *without_directive(struct merge *m, const struct cox_node *map)
{
	struct cox_node *copy;

	if (!COX_GET(map, "$patch"))
		return map;
	copy = cox_doc_map(m->out);
	COX_DOC_MAP_EACH (map, i, key, value)
		if (!cox_str_is(key, "$patch"))
			cox_map_put_str(m->out, copy, key, value);
	return copy;
}

/* ---- the walk; a result of NULL means that there is nothing ---- */

static int merge_value(struct merge *m, const struct kz_type *type, const struct cox_node *base,
		       const struct cox_node *patch, const struct cox_node **ret,
		       struct cox_error *err);

static int walk_base(struct merge *m, const struct kz_type *type, const struct cox_node *base,
		     const struct cox_node **ret, struct cox_error *err);

static bool is_absent(const struct cox_node *node)
{
	return cox_node_kind(node) <= COX_NULL;
}

static int merge_map(struct merge *m, const struct kz_type *type, const struct cox_node *base,
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
		struct kz_type t = kz_type_child(&m->schema, type, key);

		e = change ? merge_value(m, &t, value, change, &value, err)
			   : walk_base(m, &t, value, &value, err);
		if (e < 0)
			return e;
		if (value)
			cox_map_put_str(m->out, out, key, value);
	}
	for (size_t i = 0; i < cox_node_len(patch); i++) {
		struct cox_str key = cox_node_key(patch, i);
		const struct cox_node *value;
		struct kz_type t = kz_type_child(&m->schema, type, key);

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
	struct cox_str of[KZ_MAX_KEYS];
};
typedef COX_VEC(struct values) values_vec;

static struct cox_str value_of(const struct cox_node *item, const char *key)
{
	return cox_node_written(COX_GET(item, key));
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
static const struct cox_node **find_item(const struct kz_keys *keys, items_vec *list,
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
static bool is_meant(const struct kz_keys *keys, const struct cox_node *item,
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
static void set_item(const struct kz_keys *keys, items_vec *list, const struct cox_node *item,
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

static void add_values(const struct kz_keys *keys, const items_vec *list, values_vec *to)
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
static bool fits(const struct kz_keys *keys, const struct values *a, const struct values *b,
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

static void complete_values(const struct kz_keys *keys, values_vec *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct values at_first = all->items[i], whole;

		for (size_t j = 0; j < all->n; j++)
			if (fits(keys, &at_first, &all->items[j], &whole))
				all->items[i] = all->items[j] = whole;
	}
}

/* Drops the keys that no item has; all of them stay when none has any. */
static void drop_unused_keys(struct kz_keys *keys, values_vec *all)
{
	struct kz_keys used = {.n = 0};
	size_t from[KZ_MAX_KEYS];

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
static void add_base(const struct kz_keys *keys, items_vec *list, const items_vec *base)
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

/* A directive counts once: whoever comes by the item again finds it without. */
static int merge_item(struct merge *m, const struct kz_type *type, const struct cox_node **base,
		      const struct cox_node **patch, const struct cox_node **ret,
		      struct cox_error *err)
{
	bool same = base && patch && *base == *patch;
	const struct cox_node *change;
	enum directive directive;
	int e;

	*ret = NULL;
	if (!patch && !base)
		return 0;
	if (!patch) {
		e = walk_base(m, type, *base, ret, err);
		if (e == 0)
			*base = *ret;
		return e;
	}
	change = *patch;
	e = read_directive(m, change, &directive, err);
	if (e < 0)
		return e;
	*patch = without_directive(m, change);
	if (same)
		*base = *patch;
	e = merge_value(m, type, base && !same ? *base : NULL, change, ret, err);
	/* what is replaced is not changed where it stands */
	if (e == 0 && base && *ret && directive != REPLACE)
		*base = *ret;
	return e;
}

/* directive: of items that were for the list itself, not for it to have. */
static void gather(const struct cox_node *list, const struct cox_node *directive, items_vec *ret)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *item = cox_node_at(list, i);
		const struct cox_node *own = COX_GET(item, "$patch");

		if (!directive || !own || !cox_str_eq(cox_node_text(own), cox_node_text(directive)))
			cox_vec_push(ret, item);
	}
}

/* Lists of maps. */
static int merge_keyed(struct merge *m, const struct kz_type *type, struct kz_keys keys,
		       items_vec *base, items_vec *patch, items_vec *out, struct cox_error *err)
{
	struct kz_type item_type = kz_type_item(&m->schema, type);
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
			bool seen = is_absent(*item) || COX_GET(*item, "$patch");

			for (size_t j = 0; !seen && j < out->n; j++)
				seen = cox_str_eq(cox_node_written(*item),
						  cox_node_written(out->items[j]));
			if (!seen)
				cox_vec_push(out, *item);
		}
}

/* Each item is compared with each. */
static void count_pairs(struct merge *m, size_t n)
{
	if (n <= HUB_LIMIT_KUSTOMIZE_ITEMS)
		m->kz->n_steps += n * n / 2;
}

static int merge_items(struct merge *m, const struct kz_type *type, const struct kz_keys *keys,
		       const struct cox_node *base, const struct cox_node *patch,
		       const struct cox_node *directive, struct cox_node *ret,
		       struct cox_error *err)
{
	items_vec b = {0}, p = {0}, out = {0};
	int e = 0;

	gather(patch, directive, &p);
	gather(base, NULL, &b);
	count_pairs(m, b.n + p.n);
	if (b.n + p.n > HUB_LIMIT_KUSTOMIZE_ITEMS) /* the time is its square */
		e = cox_error(err, COX_RESOURCE_EXHAUSTED,
			      "a list of more than %d items, those of the patch included, is not "
			      "merged by their keys; use a JSON patch",
			      HUB_LIMIT_KUSTOMIZE_ITEMS);
	else if (keys->n)
		/* without a base the patch is merged with itself */
		e = merge_keyed(m, type, *keys, base ? &b : &p, &p, &out, err);
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

static int merge_list(struct merge *m, const struct kz_type *type, const struct cox_node *base,
		      const struct cox_node *patch, const struct cox_node **ret,
		      struct cox_error *err)
{
	enum directive directive = MERGE;
	const struct cox_node *text = NULL;
	struct kz_keys keys;
	struct cox_node *out;
	int e = 0;

	*ret = patch;
	if (!kz_type_merges(&m->schema, type, &keys))
		return 0;
	/* where there is no list, nothing is said about it */
	if (base)
		e = read_list_directive(m, patch, &directive, &text, err);
	*ret = NULL;
	if (e < 0 || directive == DELETE)
		return e;
	out = cox_doc_list(m->out);
	e = merge_items(m, type, &keys, directive == REPLACE ? NULL : base, patch, text, out, err);
	if (e == 0)
		*ret = out;
	return e;
}

/* ---- what the patch does not name is walked too ---- */

/* Whether each item has the keys that any has, and no two have the same. */
static bool is_regular(const struct kz_keys *all, const struct cox_node *list)
{
	struct kz_keys keys = {.n = 0};
	size_t n = cox_node_len(list);

	for (size_t k = 0; k < all->n; k++) {
		size_t have = 0;

		for (size_t i = 0; i < n; i++)
			have += value_of(cox_node_at(list, i), all->names[k]).len > 0;
		if (have && have < n)
			return false;
		if (have)
			keys.names[keys.n++] = all->names[k];
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++) {
			size_t k = 0;

			while (k < keys.n &&
			       cox_str_eq(value_of(cox_node_at(list, i), keys.names[k]),
					  value_of(cox_node_at(list, j), keys.names[k])))
				k++;
			if (k == keys.n)
				return false;
		}
	return keys.n > 0 || n == 0;
}

static bool is_set(const struct cox_node *list)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		if (is_absent(cox_node_at(list, i)))
			return false;
		for (size_t j = 0; j < i; j++)
			if (cox_str_eq(cox_node_written(cox_node_at(list, i)),
				       cox_node_written(cox_node_at(list, j))))
				return false;
	}
	return true;
}

static int walk_items(struct merge *m, const struct kz_type *item, const struct cox_node *base,
		      const struct cox_node **ret, struct cox_error *err)
{
	struct cox_node *copy = NULL;

	for (size_t i = 0; i < cox_node_len(base); i++) {
		const struct cox_node *value = cox_node_at(base, i), *walked;
		int e = walk_base(m, item, value, &walked, err);

		if (e < 0)
			return e;
		if (walked != value && !copy) {
			copy = cox_doc_list(m->out);
			for (size_t j = 0; j < cox_node_len(base); j++)
				cox_list_push(m->out, copy, cox_node_at(base, j));
		}
		if (walked != value)
			cox_list_set(m->out, copy, i, walked);
	}
	*ret = copy ? copy : base;
	return 0;
}

static int walk_list(struct merge *m, const struct kz_type *type, const struct cox_node *base,
		     const struct cox_node **ret, struct cox_error *err)
{
	struct kz_type item = kz_type_item(&m->schema, type);
	struct cox_node *out;
	struct kz_keys keys;
	int e;

	*ret = base;
	if (!kz_type_merges(&m->schema, type, &keys) ||
	    cox_node_len(base) > HUB_LIMIT_KUSTOMIZE_ITEMS)
		return 0;
	count_pairs(m, cox_node_len(base));
	if (!keys.n && is_set(base))
		return 0;
	if (keys.n && is_regular(&keys, base))
		return walk_items(m, &item, base, ret, err);
	out = cox_doc_list(m->out);
	e = merge_items(m, type, &keys, base, NULL, NULL, out, err);
	if (e == 0)
		*ret = out;
	return e;
}

/* Lists with keys lose what has the same keys; all else stays as it is. */
static int walk_base(struct merge *m, const struct kz_type *type, const struct cox_node *base,
		     const struct cox_node **ret, struct cox_error *err)
{
	struct cox_node *copy = NULL;

	*ret = base;
	if (!type->known && !type->openapi && !type->object)
		return 0;
	if (cox_node_is(base, COX_LIST))
		return walk_list(m, type, base, ret, err);
	for (size_t i = 0; cox_node_is(base, COX_MAP) && i < cox_node_len(base); i++) {
		const struct cox_node *value = cox_node_at(base, i), *walked;
		struct kz_type t;
		int e;

		if (!cox_node_is(value, COX_MAP) && !cox_node_is(value, COX_LIST))
			continue;
		t = kz_type_child(&m->schema, type, cox_node_key(base, i));
		e = walk_base(m, &t, value, &walked, err);
		if (e < 0)
			return e;
		if (walked == value)
			continue;
		if (!copy) {
			copy = cox_doc_map(m->out);
			for (size_t j = 0; j < cox_node_len(base); j++)
				cox_map_put_str(m->out, copy, cox_node_key(base, j),
						cox_node_at(base, j));
		}
		cox_map_put_str(m->out, copy, cox_node_key(base, i), walked);
	}
	if (copy)
		*ret = copy;
	return 0;
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

/* A text that was made here is in quotes where it must be. */
static bool needs_quotes(struct merge *m, const struct cox_node *text)
{
	return !cox_node_is(kz_plain(m->out, cox_node_str(text)), COX_STRING) ||
	       memchr(cox_node_str(text).ptr, '\n', cox_node_str(text).len);
}

/* The reference program keeps the quotes of what was there: a number in their place is a text. */
static const struct cox_node *keep_style(struct merge *m, const struct cox_node *base,
					 const struct cox_node *patch)
{
	bool is_text = cox_node_is(patch, COX_STRING) &&
		       cox_str_eq(cox_node_text(patch), cox_node_written(patch));
	bool quoted = cox_node_quoted(base) && !m->json;

	if (!base)
		return patch;
	if (!is_text && (quoted || (cox_node_is(base, COX_STRING) && needs_quotes(m, base))))
		patch = cox_doc_string(m->out, cox_node_written(patch));
	return quoted == cox_node_quoted(patch) ? patch : cox_doc_quote(m->out, patch, quoted);
}

static int merge_value(struct merge *m, const struct kz_type *type, const struct cox_node *base,
		       const struct cox_node *patch, const struct cox_node **ret,
		       struct cox_error *err)
{
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
		*ret = keep_style(m, base, patch);
		note_write(m, base, *ret);
		return 0;
	}
	return cox_node_is(patch, COX_MAP) ? merge_map(m, type, base, patch, ret, err)
					   : merge_list(m, type, base, patch, ret, err);
}

int kz_strategic_merge(struct kz *kz, struct cox_doc *base, struct cox_doc *patch,
		       const struct kz_gvk *gvk, const kz_shared *shared, bool json,
		       struct cox_doc **ret, kz_writes *ret_writes, struct cox_error *err)
{
	struct merge m = {.kz = kz,
			  .json = json,
			  .out = kz_doc_new(kz, cox_doc_name(patch)),
			  .shared = shared,
			  .writes = ret_writes};
	const struct cox_node *root = NULL;
	struct kz_type type;
	int e;

	type = kz_type_of(kz, gvk, &m.schema);
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
