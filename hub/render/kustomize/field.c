/* Field specs: from "spec/template/spec/containers/image" to places in a document. */
#include "hub/render/kustomize/internal.h"

#include "common/kube/meta.h"

const struct cox_node *kz_slot_get(const struct kz_slot *slot)
{
	return slot->key.ptr ? cox_node_get_str(slot->parent, slot->key)
			     : cox_node_at(slot->parent, slot->index);
}

void kz_slot_put(const struct kz_slot *slot, const struct cox_node *value)
{
	if (slot->key.ptr)
		cox_map_put_str(slot->doc, slot->parent, slot->key, value);
	else
		cox_list_set(slot->doc, slot->parent, slot->index, value);
}

struct cox_node *kz_slot_edit(const struct kz_slot *slot)
{
	return slot->key.ptr ? cox_map_edit_str(slot->doc, slot->parent, slot->key)
			     : cox_list_edit(slot->doc, slot->parent, slot->index);
}

static const char **split(struct kz *kz, const char *path, char delimiter)
{
	size_t n = 2, len = strlen(path);
	const char **parts;
	char *text;

	for (const char *c = path; *c; c++)
		n += *c == delimiter;
	parts = cox_arena_calloc(&kz->arena, n * sizeof(*parts));
	text = cox_arena_strndup(&kz->arena, path, len);
	n = 0;
	if (*text == delimiter)
		text++;
	for (char *from = text, *to = text, *start = text;; from++) {
		if (*from == '\\' && from[1] == delimiter) {
			*to++ = *++from;
			continue;
		}
		if (*from && *from != delimiter) {
			*to++ = *from;
			continue;
		}
		bool end = !*from;

		*to = 0;
		parts[n++] = start;
		if (end)
			return parts;
		start = to = from + 1;
	}
}

/* Whoever walks a path does so by recursion. */
static int check_parts(const char **parts, const char *path, struct cox_error *err)
{
	for (size_t n = 0; parts[n]; n++)
		if (n == HUB_LIMIT_KUSTOMIZE_PATH)
			return cox_error(err, COX_RESOURCE_EXHAUSTED,
					 "'%.40s...': the path of a field has more than %d parts; "
					 "name one that is less deep",
					 path, HUB_LIMIT_KUSTOMIZE_PATH);
	return 0;
}

int kz_split_path(struct kz *kz, const char *path, char delimiter, const char ***ret,
		  struct cox_error *err)
{
	const char **parts = split(kz, path, delimiter);
	int e = check_parts(parts, path, err);

	if (e == 0)
		*ret = parts;
	return e;
}

/* "[b=c" and "d]" together again: the parts from *i on up to one that ends with ']'. */
static const char *join_bracket(struct kz *kz, const char **parts, size_t *i, char delimiter)
{
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;

	cox_buf_puts(&b, parts[*i]);
	while (parts[*i + 1] && !cox_str_ends(cox_buf_str(&b), "]")) {
		cox_buf_putc(&b, delimiter);
		cox_buf_puts(&b, parts[++*i]);
	}
	/* without a key it is a name with the delimiter in it */
	if (!memchr(b.ptr, '=', b.len))
		return kz_str(kz, cox_str_n(b.ptr + 1, b.len - 1 - (b.ptr[b.len - 1] == ']')));
	return kz_str(kz, cox_buf_str(&b));
}

int kz_split_smart(struct kz *kz, const char *path, char delimiter, const char ***ret,
		   struct cox_error *err)
{
	const char **parts = split(kz, path, delimiter);
	size_t n = 0;
	int e;

	for (size_t i = 0; parts[i]; i++) {
		const char *part = parts[i];

		if (*part == '[' && !cox_str_ends(cox_str(part), "]"))
			part = join_bracket(kz, parts, &i, delimiter);
		parts[n++] = part;
	}
	parts[n] = NULL;
	e = check_parts(parts, path, err);
	if (e == 0)
		*ret = parts;
	return e;
}

struct walk {
	struct kz *kz;
	struct cox_doc *doc;
	const struct kz_spec *spec;
	enum cox_kind create;
	kz_set set;
	void *ctx;
};

static int walk_value(const struct walk *w, const char **parts, const struct kz_slot *slot,
		      struct cox_error *err);

static const struct cox_node *fresh(struct cox_doc *doc, enum cox_kind kind)
{
	return kind == COX_MAP	  ? cox_doc_map(doc)
	       : kind == COX_LIST ? cox_doc_list(doc)
				  : cox_doc_cstring(doc, "");
}

static int walk_key(const struct walk *w, const char **parts, struct cox_node *map,
		    struct cox_error *err)
{
	size_t len = strlen(*parts);
	bool is_list = len > 2 && strcmp(*parts + len - 2, "[]") == 0;
	struct cox_str key = cox_str_n(*parts, is_list ? len - 2 : len);
	const struct cox_node *value = cox_node_get_str(map, key);
	struct kz_slot slot = {w->doc, map, key, 0};
	enum cox_kind kind = COX_ABSENT;

	if (is_list)
		kind = COX_LIST;
	else if (w->spec->create && w->create)
		kind = parts[1] ? COX_MAP : w->create;
	if (!value && (is_list || kind == COX_ABSENT))
		return 0;
	if (!value || (cox_node_is(value, COX_NULL) && kind != COX_ABSENT))
		kz_slot_put(&slot, fresh(w->doc, kind));
	return walk_value(w, parts + 1, &slot, err);
}

static int walk_value(const struct walk *w, const char **parts, const struct kz_slot *slot,
		      struct cox_error *err)
{
	const struct cox_node *value = kz_slot_get(slot);
	struct cox_node *own;
	int e = kz_check(w->kz, err);

	if (e < 0)
		return e;
	if (!*parts)
		return w->set(w->ctx, slot, err);
	if (cox_node_kind(value) <= COX_NULL)
		return 0;
	if (!cox_node_is(value, COX_MAP) && !cox_node_is(value, COX_LIST))
		return cox_node_error(err, w->doc, value,
				      "expected a map or a list on the way of '%s', got %s",
				      w->spec->path, cox_kind_name(cox_node_kind(value)));
	own = kz_slot_edit(slot);
	if (cox_node_is(own, COX_MAP))
		return walk_key(w, parts, own, err);
	for (size_t i = 0; e == 0 && i < cox_node_len(own); i++) {
		struct kz_slot item = {w->doc, own, {NULL, 0}, i};

		e = walk_value(w, parts, &item, err);
	}
	return e;
}

static bool fits(struct cox_str value, const char *by)
{
	return !*by || cox_str_is(value, by);
}

static bool is_selected(const struct cox_node *root, const struct kz_gvk *by)
{
	return fits(cox_meta_kind(root), by->kind) && fits(cox_meta_group(root), by->group) &&
	       fits(cox_meta_version(root), by->version);
}

int kz_field(struct kz *kz, struct kz_res *r, const struct kz_spec *spec, enum cox_kind create,
	     kz_set set, void *ctx, struct cox_error *err)
{
	struct walk w = {kz, r->doc, spec, create, set, ctx};
	const char **parts;
	int e;

	/* most specs are for other kinds: that must cost nothing */
	if (!is_selected(kz_root(r), &spec->gvk))
		return 0;
	e = kz_split_path(kz, spec->path, '/', &parts, err);
	return e < 0 ? e : walk_key(&w, parts, cox_doc_root_edit(r->doc), err);
}
