/* ValueAddTransformer: one text, put into fields that a path leads to; or, as a part, into the path
 * that such a field holds. */
#include "hub/render/kustomize/internal.h"

struct add {
	struct kz *kz;
	struct kz_res *r;
	const char *value;
	int64_t position; /* among the parts of the field's text, from 1; 0: in place of it */
};

/* ---- a part of a path ---- */

/* part before the position-th of text's, behind all of them when there are fewer. */
static const char *insert_part(struct kz *kz, struct cox_str text, int64_t position,
			       const char *part)
{
	bool absolute = cox_str_starts(text, "/");
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
	struct cox_str rest = text, one;
	int64_t i = 1;

	while (cox_str_starts(rest, "/"))
		rest = cox_str_n(rest.ptr + 1, rest.len - 1);
	while (rest.len && cox_str_split(&rest, '/', &one)) {
		if (i++ == position)
			cox_buf_printf(&b, "%s/", part);
		cox_buf_printf(&b, "%.*s/", COX_STR_ARG(one));
	}
	if (i <= position)
		cox_buf_puts(&b, part);
	return kz_printf(kz, "%s%s", absolute ? "/" : "", kz_join_text(kz, "", cox_buf_cstr(&b)));
}

/* ---- the way to the field ---- */

static int add_at(struct add *a, const char **parts, const struct kz_slot *slot,
		  struct cox_error *err);

static const char **without_empty(const char **parts)
{
	size_t n = 0;

	for (size_t i = 0; parts[i]; i++)
		if (*parts[i])
			parts[n++] = parts[i];
	parts[n] = NULL;
	return parts;
}

static bool is_index(const char *part)
{
	return part[strspn(part, "0123456789")] == 0;
}

static bool is_match(const char *part)
{
	return *part == '[' && cox_str_ends(cox_str(part), "]");
}

/* What a missing value becomes, by the part that leads into it. */
static const struct cox_node *make(struct cox_doc *doc, const char *next)
{
	if (!next)
		return cox_doc_null(doc);
	return is_match(next) || is_index(next) ? cox_doc_list(doc) : cox_doc_map(doc);
}

/* "[key=value]": the first such item, made when there is none; without a key it is the item itself. */
static int add_matching(struct add *a, const char **parts, struct cox_doc *doc,
			struct cox_node *list, struct cox_error *err)
{
	const char *equals = strchr(*parts, '=');
	struct kz_slot slot = {doc, list, {NULL, 0}, 0};
	struct cox_str key, value;
	struct cox_node *made;

	if (!equals)
		return cox_node_error(err, doc, list, "'%s' must be [KEY=VALUE]", *parts);
	key = cox_str_n(*parts + 1, (size_t)(equals - *parts) - 1);
	value = cox_str_n(equals + 1, strlen(equals) - 2);
	for (; slot.index < cox_node_len(list); slot.index++) {
		const struct cox_node *item = kz_slot_get(&slot);

		if (key.len ? cox_node_get_str(item, key) != NULL : !cox_node_len(item))
			if (cox_str_eq(cox_node_text(key.len ? cox_node_get_str(item, key) : item),
				       value))
				return add_at(a, parts + 1, &slot, err);
	}
	made = key.len ? cox_doc_map(doc) : cox_doc_string(doc, value);
	if (key.len)
		cox_map_put_str(doc, made, key, kz_plain(doc, value));
	cox_list_push(doc, list, made);
	return add_at(a, parts + 1, &slot, err);
}

static int add_in_list(struct add *a, const char **parts, struct cox_doc *doc,
		       struct cox_node *list, struct cox_error *err)
{
	struct kz_slot slot = {doc, list, {NULL, 0}, cox_node_len(list) - 1};

	if (is_match(*parts))
		return add_matching(a, parts, doc, list, err);
	if (!is_index(*parts) && strcmp(*parts, "-") != 0)
		return cox_node_error(err, doc, list,
				      "'%s' leads into a list; use [KEY=VALUE], an index or -",
				      *parts);
	if (is_index(*parts))
		slot.index = strtoul(*parts, NULL, 10);
	/* what is not there has no place to be made at */
	return slot.index < cox_node_len(list) ? add_at(a, parts + 1, &slot, err) : 0;
}

static int add_in_map(struct add *a, const char **parts, struct cox_doc *doc, struct cox_node *map,
		      struct cox_error *err)
{
	struct kz_slot slot = {doc, map, cox_str(*parts), 0};

	if (is_match(*parts) || is_index(*parts) || strcmp(*parts, "-") == 0)
		return cox_node_error(err, doc, map, "'%s' leads into a list, but this is a map",
				      *parts);
	if (!kz_slot_get(&slot))
		kz_slot_put(&slot, make(doc, parts[1]));
	return add_at(a, parts + 1, &slot, err);
}

static void put(struct add *a, const struct kz_slot *slot)
{
	const struct cox_node *now = kz_slot_get(slot);
	struct cox_str old = cox_node_is(now, COX_NULL) ? COX_STR("") : cox_node_written(now), text;
	bool quoted;

	text = cox_str(a->position ? insert_part(a->kz, old, a->position, a->value) : a->value);
	/* what is in quotes is a text */
	quoted = cox_node_is(now, COX_STRING) &&
		 ((cox_node_quoted(now) && !a->r->json) ||
		  !cox_node_is(kz_plain(slot->doc, old), COX_STRING));
	if (quoted)
		kz_slot_put(slot, cox_doc_string(slot->doc, text));
	else
		kz_slot_put(slot, kz_plain(slot->doc, text));
	if (!quoted)
		cox_vec_push(&a->r->untyped, kz_slot_get(slot));
	kz_overwrite(a->kz, a->r, now, kz_slot_get(slot));
}

static int add_at(struct add *a, const char **parts, const struct kz_slot *slot,
		  struct cox_error *err)
{
	const struct cox_node *now = kz_slot_get(slot);
	int e = kz_check(a->kz, err);

	if (e < 0)
		return e;
	if (*parts && cox_node_is(now, COX_MAP))
		return add_in_map(a, parts, slot->doc, kz_slot_edit(slot), err);
	if (*parts && cox_node_is(now, COX_LIST))
		return add_in_list(a, parts, slot->doc, kz_slot_edit(slot), err);
	if (*parts && cox_node_is(now, COX_NULL))
		return 0;
	if (*parts)
		return cox_node_error(err, slot->doc, now,
				      "expected a map or a list on the way to '%s', got %s", *parts,
				      cox_kind_name(cox_node_kind(now)));
	if (cox_node_is(now, COX_MAP) || cox_node_is(now, COX_LIST))
		return cox_node_error(err, slot->doc, now, "expected a text to replace, got %s",
				      cox_kind_name(cox_node_kind(now)));
	put(a, slot);
	return 0;
}

/* ---- targets ---- */

static int add_to(struct add *a, const char *path, struct cox_error *err)
{
	const char **parts;
	int e;

	if (strcmp(path, "metadata/namespace") == 0)
		return kz_set_namespace(a->kz, a->r, a->value, err);
	e = kz_split_path(a->kz, path, '/', &parts, err);
	if (e < 0 || !*without_empty(parts))
		return e;
	return add_in_map(a, parts, a->r->doc, cox_doc_root_edit(a->r->doc), err);
}

static int add_to_targets(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
			  const struct cox_node *targets, const char *value, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(targets); i++) {
		const struct cox_node *target = cox_node_at(targets, i);
		const struct cox_node *selector = COX_GET(target, "selector");
		const char *path = cox_node_cstr(COX_GET(target, "fieldPath"), "");
		int64_t position = cox_node_int(COX_GET(target, "filePathPosition"), 0);
		kz_list selected = {0};
		int e;

		if (!*path)
			return cox_node_error(err, doc, target, "a target needs a fieldPath");
		if (position < 0)
			return cox_node_error(err, doc, COX_GET(target, "filePathPosition"),
					      "filePathPosition: counts from 1; it cannot be "
					      "negative");
		e = kz_select(kz, &acc->res, doc, selector, &selected, err);
		COX_VEC_EACH (&selected, r)
			if (e == 0)
				e = add_to(&(struct add){kz, *r, value, position}, path, err);
		cox_vec_fini(&selected);
		if (e < 0)
			return e;
	}
	return 0;
}

int kz_value_add(const struct kz_dir *dir, struct kz_acc *acc, const struct cox_doc *doc,
		 const struct cox_node *config, struct cox_error *err)
{
	const struct cox_node *targets = COX_GET(config, "targets"), *more = NULL;
	const struct cox_node *path = COX_GET(config, "targetFilePath");
	const char *slash = strrchr(dir->path, '/');
	struct cox_str value = cox_str_trim(cox_node_str(COX_GET(config, "value")));
	const char *text = value.len ? kz_str(dir->kz, value) : slash ? slash + 1 : dir->path;
	struct cox_doc *file = NULL;
	int e = 0;

	if (COX_GET(config, "value") && !cox_node_is(COX_GET(config, "value"), COX_STRING))
		return cox_node_error(err, doc, COX_GET(config, "value"),
				      "value: must be a string; put it in quotes");
	if (path)
		e = kz_load_yaml(dir, cox_node_cstr(path, ""), &file, err);
	if (e < 0)
		return kz_locate(err, cox_doc_name(doc), path);
	if (path)
		more = COX_GET(cox_doc_root(file), "targets");
	if (!cox_node_len(targets) && !cox_node_len(more))
		return cox_node_error(err, doc, config, "needs at least one target");
	e = add_to_targets(dir->kz, acc, doc, targets, text, err);
	return e < 0 ? e : add_to_targets(dir->kz, acc, file, more, text, err);
}
