/* replacements: a value of one object, copied to fields of others. */
#include "hub/render/kustomize/internal.h"

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

static bool is_scalar(const struct cox_node *node)
{
	return !cox_node_is(node, COX_MAP) && !cox_node_is(node, COX_LIST);
}

/* Part i of a text; -1 past its end. */
static int text_part(struct cox_str text, struct cox_str delimiter, int64_t i, struct cox_str *ret)
{
	for (;; i--) {
		const char *at = memmem(text.ptr, text.len, delimiter.ptr, delimiter.len);

		*ret = cox_str_n(text.ptr, at ? (size_t)(at - text.ptr) : text.len);
		if (i == 0)
			return 0;
		if (!at)
			return -1;
		text.len -= (size_t)(at - text.ptr) + delimiter.len;
		text.ptr = at + delimiter.len;
	}
}

/* ---- paths ---- */

struct write {
	struct kz *kz;
	struct kz_res *r;
	const struct cox_node *value; /* a node of a document that `doc` uses */
	struct options options;
	size_t n;		     /* places written */
	const struct cox_node *made; /* the field that was made for the value last; NULL: none */
	bool annotation;	     /* which is a text, whatever it looks like */
	int depth;
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
	static const struct cox_yaml_options options = {.schema = COX_YAML_KUSTOMIZE,
							.keep_empty = true};
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

static int put_value(struct write *w, const struct kz_slot *slot, struct cox_error *err)
{
	const struct cox_node *now = kz_slot_get(slot);
	struct cox_str text = cox_node_text(w->value), old = cox_node_text(now), part;
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;

	w->n++;
	if (w->options.delimiter.len) {
		struct cox_str d = w->options.delimiter;
		bool done = false;

		if (!is_scalar(now) || !is_scalar(w->value))
			return cox_node_error(err, slot->doc, now,
					      "options.delimiter needs a text to divide");
		if (w->options.index < 0) {
			cox_buf_puts_str(&b, text);
			cox_buf_puts_str(&b, d);
		}
		for (int64_t i = 0; text_part(old, d, i, &part) == 0; i++) {
			if (i)
				cox_buf_puts_str(&b, d);
			cox_buf_puts_str(&b, i == w->options.index ? text : part);
			done = done || i == w->options.index;
		}
		if (!done && w->options.index >= 0) {
			cox_buf_puts_str(&b, d);
			cox_buf_puts_str(&b, text);
		}
		text = cox_buf_str(&b);
	}
	if (!is_scalar(now) || (!is_scalar(w->value) && !w->options.delimiter.len)) {
		kz_slot_put(slot, cox_doc_clone(slot->doc, w->value));
		return 0;
	}
	if (now == w->made && !w->annotation) {
		kz_slot_put(slot, kz_plain(slot->doc, text));
		return 0;
	}
	/* the target keeps its type where the text can be of that type */
	if (cox_node_is(now, COX_STRING) || cox_node_is(w->value, COX_STRING) ||
	    w->options.delimiter.len) {
		struct cox_doc *plain = NULL;

		if (!cox_node_is(now, COX_STRING) &&
		    cox_yaml_read(text, "value",
				  &(struct cox_yaml_options){.schema = COX_YAML_KUSTOMIZE}, &plain,
				  NULL) == 0 &&
		    cox_node_kind(cox_doc_root(plain)) == cox_node_kind(now))
			kz_slot_put(slot, cox_doc_clone(slot->doc, cox_doc_root(plain)));
		else
			kz_slot_put(slot, cox_doc_string(slot->doc, text));
		cox_doc_unref(plain);
		return 0;
	}
	kz_slot_put(slot, cox_doc_clone(slot->doc, w->value));
	return 0;
}

static int set_value(struct write *w, const struct kz_slot *slot, struct cox_error *err)
{
	const struct cox_node *old = kz_slot_get(slot);
	int e = put_value(w, slot, err);

	if (e == 0 && slot->doc == w->r->doc)
		kz_overwrite(w->r, old, kz_slot_get(slot));
	return e;
}

static bool item_matches(const struct cox_node *item, struct cox_str key, struct cox_str pattern)
{
	const struct cox_node *value = key.len ? cox_node_get_str(item, key) : item;

	if (!value || !is_scalar(value))
		return false;
	return cox_regex_matches(pattern, 0, cox_node_text(value), NULL) == 1;
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
		struct cox_node *made = key.len ? cox_doc_map(doc) : cox_doc_string(doc, pattern);

		if (key.len)
			cox_map_put_str(doc, made, key, cox_doc_string(doc, pattern));
		cox_list_push(doc, list, made);
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
	int e = 0;

	if (strcmp(*parts, "*") == 0 && !cox_node_get(map, "*")) {
		for (size_t i = 0; e == 0 && i < cox_node_len(map); i++) {
			slot.key = cox_node_key(map, i);
			e = write_at(w, parts + 1, &slot, err);
		}
		return e;
	}
	if (cox_node_kind(kz_slot_get(&slot)) <= COX_NULL) {
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

	if (!trimmed.len || ++w->depth > 8 ||
	    cox_yaml_read(text, "text", &options, &inner, NULL) < 0 ||
	    is_scalar(cox_doc_root(inner)))
		return 0;
	json = *trimmed.ptr == '{' || *trimmed.ptr == '[';
	holder = cox_doc_new("text");
	cox_doc_use(holder, inner);
	root = cox_doc_list(holder);
	cox_doc_set_root(holder, root);
	cox_list_push(holder, root, cox_doc_root(inner));
	e = write_at(w, parts, &(struct kz_slot){holder, root, {NULL, 0}, 0}, err);
	w->depth--;
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

static const struct cox_node *look_up(struct kz *kz, const struct cox_node *node, const char *path)
{
	const char **parts = kz_split_smart(kz, path, '.');

	for (; node && *parts; parts++) {
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

				if (have && cox_str_eq(cox_node_text(have), value))
					next = it;
			}
		}
		node = next;
	}
	return node;
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
	struct kz_id now = kz_res_id(kz, r), id = now;

	if (i < r->previous.n) {
		id = r->previous.items[i];
		id.gvk.group = now.gvk.group;
		id.gvk.version = now.gvk.version;
	}
	return id;
}

static int find_source(struct kz *kz, const struct kz_acc *acc, const struct cox_doc *doc,
		       const struct cox_node *source, struct kz_res **ret, struct cox_error *err)
{
	*ret = NULL;
	COX_VEC_EACH (&acc->res, r) {
		bool found = false;

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

/* The value, in a document that the build keeps. */
static int find_value(struct kz *kz, const struct kz_acc *acc, const struct cox_doc *doc,
		      const struct cox_node *item, const struct cox_node **ret,
		      struct cox_error *err)
{
	const struct cox_node *source = COX_GET(item, "source"), *node;
	struct options options = read_options(COX_GET(source, "options"));
	const char *path = cox_node_cstr(COX_GET(source, "fieldPath"), "metadata.name");
	struct cox_doc *keep = cox_doc_new("value");
	struct kz_res *r;
	struct cox_str part;
	int e;

	cox_vec_push(&kz->docs, keep);
	if (COX_GET(item, "sourceValue") && source)
		return cox_node_error(err, doc, item,
				      "replacements: source and sourceValue exclude each other");
	if (COX_GET(item, "sourceValue")) {
		*ret = cox_doc_string(keep, cox_node_text(COX_GET(item, "sourceValue")));
		return 0;
	}
	e = find_source(kz, acc, doc, source, &r, err);
	if (e < 0)
		return e;
	node = look_up(kz, kz_root(r), *path ? path : "metadata.name");
	if (cox_node_kind(node) <= COX_NULL || (!is_scalar(node) && !cox_node_len(node)))
		return cox_node_error(err, doc, source,
				      "replacements: the source has nothing at '%s'", path);
	if (!options.delimiter.len) {
		*ret = cox_doc_clone(keep, node);
		return 0;
	}
	if (!is_scalar(node) || options.index < 0 ||
	    text_part(cox_node_text(node), options.delimiter, options.index, &part) < 0)
		return cox_node_error(err, doc, source,
				      "replacements: options.index is past the parts of '%s'",
				      path);
	*ret = cox_doc_string(keep, part);
	return 0;
}

/* ---- the targets ---- */

static int is_rejected(struct kz *kz, const struct cox_doc *doc, const struct cox_node *target,
		       const struct kz_res *r, struct cox_error *err)
{
	const struct cox_node *list = COX_GET(target, "reject");

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *reject = cox_node_at(list, i);
		bool by_label =
			COX_GET(reject, "labelSelector") || COX_GET(reject, "annotationSelector");
		bool by_id = cox_node_len(reject) >
			     (size_t)((COX_GET(reject, "labelSelector") != 0) +
				      (COX_GET(reject, "annotationSelector") != 0));
		int e = by_label ? kz_matches_labels(doc, reject, r, err) : 0;

		if (e != 0)
			return e;
		for (size_t j = 0; by_id && j <= r->previous.n; j++) {
			struct kz_id id = id_at(kz, r, j);

			e = kz_selects(doc, reject, &id, err);
			if (e != 0)
				return e;
		}
	}
	return 0;
}

/* 1: r is a target. */
static int is_target(struct kz *kz, const struct cox_doc *doc, const struct cox_node *target,
		     const struct kz_res *r, struct cox_error *err)
{
	const struct cox_node *select = COX_GET(target, "select");
	int e = kz_matches_labels(doc, select, r, err);

	if (e <= 0)
		return e;
	e = is_rejected(kz, doc, target, r, err);
	if (e != 0)
		return e < 0 ? e : 0;
	for (size_t i = 0; i <= r->previous.n; i++) {
		struct kz_id id = id_at(kz, r, i);

		e = kz_selects(doc, select, &id, err);
		if (e != 0)
			return e;
	}
	return 0;
}

static int write_paths(struct kz *kz, struct kz_res *r, const struct cox_doc *doc,
		       const struct cox_node *target, const struct cox_node *value,
		       struct cox_error *err)
{
	const struct cox_node *paths = COX_GET(target, "fieldPaths");
	size_t n = cox_node_len(paths);

	for (size_t i = 0; i < (n ? n : 1); i++) {
		const char *path = n ? cox_node_cstr(cox_node_at(paths, i), "") : "metadata.name";
		struct write w = {.kz = kz,
				  .r = r,
				  .annotation = strncmp(path, "metadata.annotations.", 21) == 0,
				  .value = value,
				  .options = read_options(COX_GET(target, "options"))};
		struct kz_id id = kz_res_id(kz, r);
		int e = write_map(&w, kz_split_smart(kz, path, '.'), r->doc,
				  cox_doc_root_edit(r->doc), err);

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

static int replace_one(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
		       const struct cox_node *item, struct cox_error *err)
{
	const struct cox_node *targets = COX_GET(item, "targets"), *value = NULL;
	int e;

	if ((!COX_GET(item, "source") && !COX_GET(item, "sourceValue")) || !targets)
		return cox_node_error(err, doc, item,
				      "replacements: needs a source and at least one target");
	e = find_value(kz, acc, doc, item, &value, err);
	for (size_t i = 0; e == 0 && i < cox_node_len(targets); i++) {
		const struct cox_node *target = cox_node_at(targets, i);

		if (!COX_GET(target, "select"))
			return cox_node_error(err, doc, target,
					      "replacements: a target needs `select`");
		COX_VEC_EACH (&acc->res, r) {
			e = is_target(kz, doc, target, *r, err);
			if (e > 0)
				e = write_paths(kz, *r, doc, target, value, err);
			if (e < 0)
				return e;
		}
	}
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
