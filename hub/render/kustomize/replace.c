/* replacements: a value of one object, copied to fields of others. */
#include "hub/render/kustomize/internal.h"

#include "common/base/limits.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "common/kube/meta.h"
#include "common/text/regex.h"

#include <ctype.h>

struct options {
	struct cox_str delimiter;
	int64_t index;
	bool create;
};

static struct options read_options(const struct cox_node *node)
{
	return (struct options){cox_node_str(COX_GET(node, "delimiter")),
				cox_node_int(COX_GET(node, "index"), 0),
				cox_node_bool(COX_GET(node, "create"), false)};
}

/* What is null because a text that was put there reads so is something. */
static bool is_nothing(struct kz *kz, const struct kz_res *r, const struct cox_node *node)
{
	return cox_node_kind(node) <= COX_NULL && !(node && kz_untyped(kz, r, node));
}

static bool is_scalar(const struct cox_node *node)
{
	return !cox_node_is(node, COX_MAP) && !cox_node_is(node, COX_LIST);
}

/* The part that rest begins with; false behind the last one. */
static bool take_part(struct cox_str *rest, struct cox_str delimiter, struct cox_str *ret)
{
	const char *at;

	if (!rest->ptr)
		return false;
	at = memmem(rest->ptr, rest->len, delimiter.ptr, delimiter.len);
	*ret = cox_str_n(rest->ptr, at ? (size_t)(at - rest->ptr) : rest->len);
	*rest = at ? cox_str_n(at + delimiter.len, rest->len - ret->len - delimiter.len)
		   : (struct cox_str){NULL, 0};
	return true;
}

/* Part i of a text; false past its end. */
static bool find_part(struct cox_str text, struct cox_str delimiter, int64_t i, struct cox_str *ret)
{
	do {
		if (!take_part(&text, delimiter, ret))
			return false;
	} while (i-- > 0);
	return true;
}

/* old with text in the place of a part: before all for an index below zero, behind all past the end.
 */
static void put_part(struct cox_buf *out, const struct options *options, struct cox_str old,
		     struct cox_str text)
{
	struct cox_str rest = old, part;
	int64_t i = 0;

	if (options->index < 0) {
		cox_buf_puts_str(out, text);
		cox_buf_puts_str(out, options->delimiter);
	}
	for (; take_part(&rest, options->delimiter, &part); i++) {
		if (i)
			cox_buf_puts_str(out, options->delimiter);
		cox_buf_puts_str(out, i == options->index ? text : part);
	}
	if (options->index >= i) {
		cox_buf_puts_str(out, options->delimiter);
		cox_buf_puts_str(out, text);
	}
}

/* ---- paths ---- */

struct write {
	struct kz *kz;
	size_t depth; /* that the value would reach to: of the path and itself */
	struct kz_res *r;
	const struct cox_node *value; /* a node of a document that `doc` uses */
	bool untyped;		      /* the value; see kz_untyped */
	struct options options;
	size_t n;		     /* places written */
	const struct cox_node *made; /* the field that was made for the value last; NULL: none */
	int level;		     /* of texts inside texts */
};

static int write_at(struct write *w, const char **parts, const struct kz_slot *slot,
		    struct cox_error *err);

/* "[name=web]" divided; ptr of key is NULL when part is none. */
static void split_match(const char *part, struct cox_str *key, struct cox_str *value)
{
	size_t n = strlen(part);
	const char *equals = strchr(part, '=');

	*key = *value = (struct cox_str){NULL, 0};
	if (n < 3 || part[0] != '[' || part[n - 1] != ']' || !equals)
		return;
	*key = cox_str_n(part + 1, (size_t)(equals - part - 1));
	*value = cox_str_n(equals + 1, (size_t)(part + n - 1 - equals - 1));
}

static bool is_index(const char *part)
{
	return *part && part[strspn(part, "0123456789")] == 0;
}

/* What a missing part is made as, by the part that follows. */
static const struct cox_node *make_part(struct write *w, struct cox_doc *doc, const char *next)
{
	struct cox_str key, match;

	if (!next && is_scalar(w->value))
		return w->made = cox_doc_string(doc, COX_STR(""));
	if (!next)
		return cox_node_is(w->value, COX_MAP) ? cox_doc_map(doc) : cox_doc_list(doc);
	split_match(next, &key, &match);
	return key.ptr || is_index(next) ? cox_doc_list(doc) : cox_doc_map(doc);
}

const struct cox_node *kz_plain(struct cox_doc *doc, struct cox_str text)
{
	static const struct cox_yaml_options options = {
		.schema = COX_YAML_KUSTOMIZE, .keep_empty = true, .keep_written = true};
	_cleanup_doc_ struct cox_doc *plain = NULL;
	const struct cox_node *value;

	for (size_t i = 0; i < text.len; i++)
		if (!strchr("+-._:~", text.ptr[i]) && !isalnum((unsigned char)text.ptr[i]))
			return cox_doc_string(doc, text);
	if (!text.len || cox_yaml_read(text, "value", &options, &plain, NULL) < 0)
		return cox_doc_string(doc, text);
	value = cox_doc_root(plain);
	return is_scalar(value) ? cox_doc_clone(doc, value) : cox_doc_string(doc, text);
}

/* The target keeps its type, so that the text must be of it. */
static int put_typed(const struct kz_slot *slot, struct cox_str text, struct cox_error *err)
{
	const struct cox_node *now = kz_slot_get(slot);
	const struct cox_node *value = kz_plain(slot->doc, text);
	enum cox_kind kind = cox_node_kind(now), got = cox_node_kind(value);

	if (kind == COX_STRING) {
		kz_slot_put(slot, cox_doc_string(slot->doc, text));
		return 0;
	}
	if (got != kind && !(kind == COX_FLOAT && got == COX_INT))
		return cox_node_error(
			err, slot->doc, now,
			"replacements: '%.*s' is no %s, as this field is; put the field "
			"in quotes to make it a text",
			text.len > 60 ? 60 : (int)text.len, text.ptr, cox_kind_name(kind));
	kz_slot_put(slot, value);
	return 0;
}

static int put_value(struct write *w, const struct kz_slot *slot, struct cox_error *err)
{
	const struct cox_node *now = kz_slot_get(slot);
	const struct cox_node **untyped = kz_untyped(w->kz, w->r, now);
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
	/* of a map or a list nothing is left where a text was */
	struct cox_str text = cox_node_written(w->value);

	w->n++;
	if (w->options.delimiter.len) {
		if (!is_scalar(now) || !is_scalar(w->value))
			return cox_node_error(err, slot->doc, now,
					      "options.delimiter needs a text to divide");
		put_part(&b, &w->options, cox_node_written(now), text);
		text = cox_buf_str(&b);
		if (kz_check_text(text.len, err) < 0)
			return -COX_RESOURCE_EXHAUSTED;
	}
	if (!is_scalar(now)) {
		kz_slot_put(slot, cox_doc_clone(slot->doc, w->value));
		if (w->untyped && slot->doc == w->r->doc)
			cox_vec_push(&w->r->untyped, kz_slot_get(slot));
		return 0;
	}
	if (now != w->made && !untyped)
		return put_typed(slot, text, err);
	kz_slot_put(slot, kz_plain(slot->doc, text));
	if (untyped)
		*untyped = kz_slot_get(slot);
	else if (slot->doc == w->r->doc)
		cox_vec_push(&w->r->untyped, kz_slot_get(slot));
	return 0;
}

static int set_value(struct write *w, const struct kz_slot *slot, struct cox_error *err)
{
	const struct cox_node *old = kz_slot_get(slot);
	int e = kz_check(w->kz, err);

	if (e == 0 && w->depth > COX_LIMIT_JSON_DEPTH)
		e = cox_node_error(err, slot->doc, old,
				   "replacements: the value would be nested deeper than %d",
				   COX_LIMIT_JSON_DEPTH);
	if (e == 0)
		e = put_value(w, slot, err);
	if (e == 0 && slot->doc == w->r->doc)
		kz_overwrite(w->kz, w->r, old, kz_slot_get(slot));
	return e;
}

static bool item_matches(const struct cox_node *item, struct cox_str key, struct cox_str pattern)
{
	const struct cox_node *value = key.len ? cox_node_get_str(item, key) : item;

	if (!value || !is_scalar(value))
		return false;
	return cox_regex_matches(pattern, 0, cox_node_written(value), NULL) == 1;
}

static int write_matching(struct write *w, const char **parts, struct cox_doc *doc,
			  struct cox_node *list, struct cox_str key, struct cox_str pattern,
			  struct cox_error *err)
{
	bool found = false;
	int e = 0;

	for (size_t i = 0; e == 0 && i < cox_node_len(list); i++) {
		struct kz_slot item = {doc, list, {NULL, 0}, i};

		if (!item_matches(cox_node_at(list, i), key, pattern))
			continue;
		found = true;
		e = write_at(w, parts + 1, &item, err);
	}
	if (e == 0 && !found && w->options.create) {
		struct kz_slot item = {doc, list, {NULL, 0}, cox_node_len(list)};
		const struct cox_node *plain = kz_plain(doc, pattern);
		struct cox_node *map = key.len ? cox_doc_map(doc) : NULL;

		if (map)
			cox_map_put_str(doc, map, key, plain);
		else
			w->made = plain;
		if (doc == w->r->doc)
			cox_vec_push(&w->r->untyped, plain);
		cox_list_push(doc, list, map ? map : plain);
		e = write_at(w, parts + 1, &item, err);
	}
	return e;
}

static int write_list(struct write *w, const char **parts, struct cox_doc *doc,
		      struct cox_node *list, struct cox_error *err)
{
	struct cox_str key, pattern;
	int e = 0;

	split_match(*parts, &key, &pattern);
	if (key.ptr)
		return write_matching(w, parts, doc, list, key, pattern, err);
	if (is_index(*parts)) {
		struct kz_slot item = {doc, list, {NULL, 0}, strtoul(*parts, NULL, 10)};

		if (item.index == cox_node_len(list) && w->options.create)
			cox_list_push(doc, list, make_part(w, doc, parts[1]));
		if (item.index >= cox_node_len(list))
			return cox_node_error(err, doc, list,
					      "there is no item %s in a list of %zu", *parts,
					      cox_node_len(list));
		return write_at(w, parts + 1, &item, err);
	}
	if (strcmp(*parts, "*") != 0)
		return cox_node_error(err, doc, list,
				      "'%s' leads into a list; use *, an index or "
				      "[key=value]",
				      *parts);
	for (size_t i = 0; e == 0 && i < cox_node_len(list); i++) {
		struct kz_slot item = {doc, list, {NULL, 0}, i};

		e = write_at(w, parts + 1, &item, err);
	}
	return e;
}

static int write_map(struct write *w, const char **parts, struct cox_doc *doc, struct cox_node *map,
		     struct cox_error *err)
{
	struct kz_slot slot = {doc, map, cox_str(*parts), 0};

	if (strcmp(*parts, "*") == 0 && !cox_node_get(map, "*"))
		return cox_node_error(
			err, doc, map,
			"replacements: '*' stands for the items of a list, and this is "
			"a map; name a key");
	if (is_nothing(w->kz, w->r, kz_slot_get(&slot))) {
		if (!w->options.create)
			return 0;
		kz_slot_put(&slot, make_part(w, doc, parts[1]));
	}
	return write_at(w, parts + 1, &slot, err);
}

/* A text that is JSON or YAML itself: the path goes on inside. */
static int write_inside(struct write *w, const char **parts, const struct kz_slot *slot,
			struct cox_error *err)
{
	struct cox_str text = cox_node_str(kz_slot_get(slot)), trimmed = cox_str_trim(text);
	_cleanup_doc_ struct cox_doc *inner = NULL, *holder = NULL;
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
	struct cox_yaml_options options = {.schema = COX_YAML_KUSTOMIZE};
	struct cox_node *root;
	size_t before = w->n;
	bool json;
	int e;

	if (!trimmed.len || w->level >= HUB_LIMIT_KUSTOMIZE_TEXTS ||
	    cox_yaml_read(text, "text", &options, &inner, NULL) < 0 ||
	    is_scalar(cox_doc_root(inner)))
		return 0;
	json = *trimmed.ptr == '{' || *trimmed.ptr == '[';
	holder = kz_doc_new(w->kz, "text");
	cox_doc_use(holder, inner);
	root = cox_doc_list(holder);
	cox_doc_set_root(holder, root);
	cox_list_push(holder, root, cox_doc_root(inner));
	w->level++;
	e = write_at(w, parts, &(struct kz_slot){holder, root, {NULL, 0}, 0}, err);
	w->level--;
	if (e < 0 || w->n == before)
		return e;
	if (json && memchr(text.ptr, '\n', text.len) && memmem(text.ptr, text.len, "  ", 2))
		cox_json_write_pretty(&b, cox_node_at(root, 0));
	else if (json)
		cox_json_write_go(&b, cox_node_at(root, 0));
	else
		cox_yaml_write(&b, cox_node_at(root, 0));
	kz_slot_put(slot, cox_doc_string(slot->doc, cox_str_trim(cox_buf_str(&b))));
	return 0;
}

static int write_at(struct write *w, const char **parts, const struct kz_slot *slot,
		    struct cox_error *err)
{
	const struct cox_node *now = kz_slot_get(slot);

	if (!*parts)
		return set_value(w, slot, err);
	if (cox_node_is(now, COX_MAP))
		return write_map(w, parts, slot->doc, kz_slot_edit(slot), err);
	if (cox_node_is(now, COX_LIST))
		return write_list(w, parts, slot->doc, kz_slot_edit(slot), err);
	return cox_node_is(now, COX_STRING) ? write_inside(w, parts, slot, err) : 0;
}

/* ---- the source ---- */

static int look_up(struct kz *kz, const struct cox_node *node, const char *path,
		   const struct cox_node **ret, struct cox_error *err)
{
	const char **parts = NULL;
	int e = kz_split_smart(kz, path, '.', &parts, err);

	for (; e == 0 && node && *parts; parts++) {
		struct cox_str key, value;
		const struct cox_node *next = NULL;

		split_match(*parts, &key, &value);
		if (cox_node_is(node, COX_MAP)) {
			next = cox_node_get(node, *parts);
		} else if (is_index(*parts)) {
			next = cox_node_at(node, strtoul(*parts, NULL, 10));
		} else if (strcmp(*parts, "-") == 0 && cox_node_len(node)) {
			next = cox_node_at(node, cox_node_len(node) - 1);
		} else if (key.ptr) {
			for (size_t i = 0; !next && i < cox_node_len(node); i++) {
				const struct cox_node *it = cox_node_at(node, i);
				const struct cox_node *have =
					key.len ? cox_node_get_str(it, key) : it;

				if (have && cox_str_eq(cox_node_written(have), value))
					next = it;
			}
		}
		node = next;
	}
	if (e == 0)
		*ret = node;
	return e;
}

static bool fits(struct cox_str want, const char *have)
{
	return !want.len || cox_str_is(want, have);
}

static bool id_fits(const struct cox_node *s, const struct kz_id *id)
{
	struct cox_str ns = cox_node_str(COX_GET(s, "namespace"));

	return fits(cox_node_str(COX_GET(s, "group")), id->gvk.group) &&
	       fits(cox_node_str(COX_GET(s, "version")), id->gvk.version) &&
	       fits(cox_node_str(COX_GET(s, "kind")), id->gvk.kind) &&
	       fits(cox_node_str(COX_GET(s, "name")), id->name) &&
	       (!ns.len || cox_str_is(ns, kz_effective_namespace(id)));
}

/* All identities, the current one last. */
static struct kz_id id_at(struct kz *kz, const struct kz_res *r, size_t i)
{
	struct kz_id now = kz_res_id(kz, r);

	return i < r->previous.n ? kz_id_then(kz, &r->previous.items[i], &now) : now;
}

static int find_source(struct kz *kz, const struct kz_acc *acc, const struct cox_doc *doc,
		       const struct cox_node *source, struct kz_res **ret, struct cox_error *err)
{
	*ret = NULL;
	COX_VEC_EACH (&acc->res, r) {
		bool found = false;

		if (kz_check(kz, err) < 0)
			return -COX_RESOURCE_EXHAUSTED;
		for (size_t i = 0; i <= (*r)->previous.n; i++) {
			struct kz_id id = id_at(kz, *r, i);

			found = found || id_fits(source, &id);
		}
		if (found && *ret)
			return cox_node_error(err, doc, source,
					      "replacements: more than one object is the source; "
					      "say which by kind, name and namespace");
		if (found)
			*ret = *r;
	}
	if (!*ret)
		return cox_node_error(err, doc, source,
				      "replacements: no object is the source; correct "
				      "its kind, name or namespace");
	return 0;
}

struct value {
	const struct cox_node *node; /* in a document that the build keeps */
	bool untyped;		     /* see kz_untyped */
};

static int find_value(struct kz *kz, const struct kz_acc *acc, const struct cox_doc *doc,
		      const struct cox_node *item, struct value *ret, struct cox_error *err)
{
	const struct cox_node *source = COX_GET(item, "source"), *node = NULL;
	struct options options = read_options(COX_GET(source, "options"));
	const char *path = cox_node_cstr(COX_GET(source, "fieldPath"), "metadata.name");
	struct cox_doc *keep = kz_doc_new(kz, "value");
	struct kz_res *r;
	struct cox_str part;
	int e;

	cox_vec_push(&kz->docs, keep);
	if (COX_GET(item, "sourceValue") && source)
		return cox_node_error(err, doc, item,
				      "replacements: source and sourceValue exclude each other");
	if (COX_GET(item, "sourceValue")) {
		ret->node = cox_doc_string(keep, cox_node_text(COX_GET(item, "sourceValue")));
		return 0;
	}
	e = find_source(kz, acc, doc, source, &r, err);
	if (e == 0)
		e = look_up(kz, kz_root(r), *path ? path : "metadata.name", &node, err);
	if (e < 0)
		return e;
	if (is_nothing(kz, r, node) || (!is_scalar(node) && !cox_node_len(node)))
		return cox_node_error(err, doc, source,
				      "replacements: the source has nothing at '%s'", path);
	if (!options.delimiter.len) {
		ret->node = cox_doc_clone(keep, node);
		ret->untyped = kz_untyped(kz, r, node) != NULL;
		return 0;
	}
	if (!is_scalar(node) || options.index < 0 ||
	    !find_part(cox_node_written(node), options.delimiter, options.index, &part))
		return cox_node_error(err, doc, source,
				      "replacements: options.index is past the parts of '%s'",
				      path);
	ret->node = cox_doc_string(keep, part);
	return 0;
}

/* ---- the targets ---- */

typedef COX_VEC(struct kz_selector) selectors;

static void selectors_fini(selectors *list)
{
	COX_VEC_EACH (list, s)
		kz_selector_fini(s);
	cox_vec_fini(list);
}

/* What a target selects at 0, what it rejects behind. */
static int read_selectors(const struct cox_doc *doc, const struct cox_node *target, selectors *ret,
			  struct cox_error *err)
{
	const struct cox_node *reject = COX_GET(target, "reject");

	for (size_t i = 0; i <= cox_node_len(reject); i++) {
		struct kz_selector one;
		int e = kz_selector_read(
			doc, i ? cox_node_at(reject, i - 1) : COX_GET(target, "select"), &one, err);

		if (e < 0)
			return e;
		cox_vec_push(ret, one);
	}
	return 0;
}

/* By any identity that r has or had. */
static int selects_any_id(struct kz *kz, const struct kz_selector *s, const struct kz_res *r,
			  struct cox_error *err)
{
	int e = kz_check(kz, err);

	for (size_t i = 0; e == 0 && i <= r->previous.n; i++) {
		struct kz_id id = id_at(kz, r, i);

		e = kz_selects_id(s, &id, err);
	}
	return e;
}

/* 1: r is a target. */
static int is_target(struct kz *kz, const selectors *all, const struct kz_res *r,
		     struct cox_error *err)
{
	if (!kz_selects_labels(&all->items[0], r))
		return 0;
	for (size_t i = 1; i < all->n; i++) {
		const struct kz_selector *s = &all->items[i];
		int e = s->by_map && kz_selects_labels(s, r);

		if (e == 0 && s->by_id)
			e = selects_any_id(kz, s, r, err);
		if (e != 0)
			return e < 0 ? e : 0;
	}
	return selects_any_id(kz, &all->items[0], r, err);
}

static int write_paths(struct kz *kz, struct kz_res *r, const struct cox_doc *doc,
		       const struct cox_node *target, const struct value *value,
		       struct cox_error *err)
{
	const struct cox_node *paths = COX_GET(target, "fieldPaths");
	size_t n = cox_node_len(paths);

	for (size_t i = 0; i < (n ? n : 1); i++) {
		const char *path = n ? cox_node_cstr(cox_node_at(paths, i), "") : "metadata.name";
		struct write w = {.kz = kz,
				  .r = r,
				  .value = value->node,
				  .untyped = value->untyped,
				  .depth = cox_node_height(value->node, COX_LIMIT_JSON_DEPTH),
				  .options = read_options(COX_GET(target, "options"))};
		struct kz_id id = kz_res_id(kz, r);
		const char **parts = NULL;
		int e = kz_split_smart(kz, path, '.', &parts, err);

		for (size_t j = 0; e == 0 && parts[j]; j++)
			w.depth++;
		if (e == 0)
			e = write_map(&w, parts, r->doc, cox_doc_root_edit(r->doc), err);
		if (e < 0)
			return e;
		if (!w.n)
			return cox_node_error(err, doc, n ? cox_node_at(paths, i) : target,
					      "replacements: %s has no field '%s'; use "
					      "options.create, or correct the path",
					      kz_id_text(kz, &id), path);
	}
	return 0;
}

static int replace_target(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
			  const struct cox_node *target, const struct value *value,
			  struct cox_error *err)
{
	COX_CLEANUP(selectors_fini) selectors all = {0};
	int e;

	if (!COX_GET(target, "select"))
		return cox_node_error(err, doc, target, "replacements: a target needs `select`");
	e = read_selectors(doc, target, &all, err);
	COX_VEC_EACH (&acc->res, r) {
		if (e < 0)
			return e;
		e = is_target(kz, &all, *r, err);
		if (e > 0)
			e = write_paths(kz, *r, doc, target, value, err);
	}
	return e;
}

static int replace_one(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
		       const struct cox_node *item, struct cox_error *err)
{
	const struct cox_node *targets = COX_GET(item, "targets");
	struct value value = {0};
	int e;

	if ((!COX_GET(item, "source") && !COX_GET(item, "sourceValue")) || !targets)
		return cox_node_error(err, doc, item,
				      "replacements: needs a source and at least one target");
	e = find_value(kz, acc, doc, item, &value, err);
	for (size_t i = 0; e == 0 && i < cox_node_len(targets); i++)
		e = replace_target(kz, acc, doc, cox_node_at(targets, i), &value, err);
	return e;
}

int kz_replacements(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_doc *doc,
		    const struct cox_node *list, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *item = cox_node_at(list, i);
		const struct cox_node *path = COX_GET(item, "path");
		struct cox_doc *file;
		int e;

		if (!path) {
			e = replace_one(dir->kz, acc, doc, item, err);
		} else {
			e = kz_load_yaml(dir, cox_node_cstr(path, ""), &file, err);
			if (e == 0 && cox_node_is(cox_doc_root(file), COX_LIST))
				e = kz_replacements(dir, acc, file, cox_doc_root(file), err);
			else if (e == 0)
				e = replace_one(dir->kz, acc, file, cox_doc_root(file), err);
		}
		if (e < 0)
			return path ? kz_locate(err, cox_doc_name(doc), path) : e;
	}
	return 0;
}
