/* An Application's source.kustomize: its fields are put into the root kustomization as `kustomize
 * edit` would write them, in memory (reference/argocd.md A2, B8). `version`, `kubeVersion` and
 * `apiVersions` say how Helm and which program are called, and mean nothing here. */
#include "hub/render/kustomize/internal.h"

struct edit {
	struct kz_dir *dir;
	struct cox_doc *doc;
	struct cox_node *k;
	const struct cox_node *source;
};

/* ---- $NAME and ${NAME}, of the build environment ---- */

static bool is_special(char c)
{
	return c && strchr("*#$@!?-0123456789", c);
}

static bool is_word(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* The name that begins after a '$' and how many bytes it takes; bad syntax takes bytes too, and has
 * no name. */
static size_t shell_name(const char *s, struct cox_str *ret)
{
	const char *close;
	size_t n = 0;

	*ret = COX_STR("");
	if (*s == '{') {
		if (is_special(s[1]) && s[2] == '}') {
			*ret = cox_str_n(s + 1, 1);
			return 3;
		}
		close = strchr(s, '}');
		if (!close)
			return 1;
		*ret = cox_str_n(s + 1, (size_t)(close - s - 1));
		return (size_t)(close - s) + 1;
	}
	if (is_special(*s)) {
		*ret = cox_str_n(s, 1);
		return 1;
	}
	while (is_word(s[n]))
		n++;
	*ret = cox_str_n(s, n);
	return n;
}

static int put_variable(const struct edit *e, struct cox_str name, struct cox_buf *b,
			struct cox_error *err)
{
	const struct hub_kustomize_env *env = e->dir->kz->in->env;

	if (cox_str_is(name, "$")) {
		cox_buf_putc(b, '$');
		return 0;
	}
	if (cox_str_starts(name, "KUBE_"))
		return cox_error(err, COX_UNIMPLEMENTED,
				 "source.kustomize: '%.*s' depends on the cluster, and what is "
				 "rendered is the same for all",
				 COX_STR_ARG(name));
	if (!env)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "source.kustomize: '%.*s' depends on the application; say which",
				 COX_STR_ARG(name));
	for (; env->name; env++)
		if (cox_str_is(name, env->name))
			cox_buf_puts(b, env->value);
	return 0;
}

/* In the arena. What no variable has is nothing, as with Argo CD. */
static int expand(const struct edit *e, struct cox_str text, const char **ret,
		  struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
	const char *s = kz_str(e->dir->kz, text), *dollar;
	struct cox_str name;

	for (; (dollar = strchr(s, '$')); s = dollar) {
		size_t n = shell_name(dollar + 1, &name);
		int r = 0;

		cox_buf_add(&b, s, (size_t)(dollar - s));
		if (!n)
			cox_buf_putc(&b, '$');
		else if (name.len)
			r = put_variable(e, name, &b, err);
		if (r < 0)
			return r;
		dollar += 1 + n;
	}
	cox_buf_puts(&b, s);
	*ret = kz_str(e->dir->kz, cox_buf_str(&b));
	return 0;
}

static bool has_dollar(const struct cox_node *node)
{
	for (size_t i = 0; i < cox_node_len(node); i++)
		if (strchr(cox_node_cstr(cox_node_at(node, i), ""), '$'))
			return true;
	return false;
}

bool hub_kustomize_uses_env(const struct cox_node *source)
{
	return has_dollar(COX_GET(source, "images")) ||
	       has_dollar(COX_GET(source, "commonLabels")) ||
	       (cox_node_bool(COX_GET(source, "commonAnnotationsEnvsubst"), false) &&
		has_dollar(COX_GET(source, "commonAnnotations")));
}

static void set_text(struct edit *e, const char *field)
{
	struct cox_str text = cox_node_str(COX_GET(e->source, field));

	if (text.len)
		cox_map_put(e->doc, e->k, field, cox_doc_string(e->doc, text));
}

/* ---- images: [NAME=]NEWNAME[:TAG][@DIGEST], where "*" keeps what the kustomization says ---- */

static void put_part(struct edit *e, struct cox_node *image, const struct cox_node *old,
		     const char *field, struct cox_str value)
{
	if (cox_str_is(value, "*")) {
		if (COX_GET(old, field))
			cox_map_put(e->doc, image, field,
				    cox_doc_clone(e->doc, COX_GET(old, field)));
		return;
	}
	if (value.len)
		cox_map_put(e->doc, image, field, cox_doc_string(e->doc, value));
}

static void parse_image(struct cox_str text, struct cox_str *name, struct cox_str *new_name,
			struct cox_str *tag, struct cox_str *digest)
{
	const char *equals = memchr(text.ptr, '=', text.len), *at, *slash, *colon;
	struct cox_str rest = text;

	*tag = *digest = *new_name = COX_STR("");
	if (equals) {
		*name = cox_str_n(text.ptr, (size_t)(equals - text.ptr));
		rest = cox_str_n(equals + 1, (size_t)(text.ptr + text.len - equals - 1));
	}
	at = memchr(rest.ptr, '@', rest.len);
	if (at) {
		*digest = cox_str_n(at + 1, (size_t)(rest.ptr + rest.len - at - 1));
		rest.len = (size_t)(at - rest.ptr);
	}
	slash = memrchr(rest.ptr, '/', rest.len);
	colon = memrchr(rest.ptr, ':', rest.len);
	if (colon && (!slash || colon > slash)) {
		*tag = cox_str_n(colon + 1, (size_t)(rest.ptr + rest.len - colon - 1));
		rest.len = (size_t)(colon - rest.ptr);
	}
	if (equals)
		*new_name = rest;
	else
		*name = rest;
}

/* The entry of that name in a list of the kustomization, taken out of it. */
static const struct cox_node *take_named(struct edit *e, struct cox_node *list, struct cox_str name)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *it = cox_node_at(list, i);

		if (!cox_str_eq(cox_node_text(COX_GET(it, "name")), name))
			continue;
		cox_list_drop(e->doc, list, i);
		return it;
	}
	return NULL;
}

static int set_image(struct edit *e, struct cox_node *list, const struct cox_node *item,
		     struct cox_error *err)
{
	struct cox_node *image = cox_doc_map(e->doc);
	struct cox_str name, new_name, tag, digest;
	const struct cox_node *old = NULL, *one;
	const char *text = "";
	int r = expand(e, cox_node_str(item), &text, err);

	if (r < 0)
		return r;
	parse_image(cox_str(text), &name, &new_name, &tag, &digest);
	if (!name.len || (!new_name.len && !tag.len && !digest.len))
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "source.kustomize.images: '%s' must be "
				 "[NAME=]NEWNAME[:TAG][@DIGEST]",
				 text);
	while ((one = take_named(e, list, name)))
		old = one;
	cox_map_put(e->doc, image, "name", cox_doc_string(e->doc, name));
	put_part(e, image, old, "newName", new_name);
	put_part(e, image, old, "newTag", tag);
	put_part(e, image, old, "digest", digest);
	cox_list_push(e->doc, list, image);
	return 0;
}

/* The edit leaves them in the order of their names, which is that of their application. */
static void sort_images(struct edit *e, struct cox_node *list)
{
	for (size_t i = 1; i < cox_node_len(list); i++) {
		const struct cox_node *one = cox_node_at(list, i);
		size_t j = i;

		for (; j > 0; j--) {
			const struct cox_node *before = cox_node_at(list, j - 1);

			if (strcmp(cox_node_cstr(COX_GET(before, "name"), ""),
				   cox_node_cstr(COX_GET(one, "name"), "")) <= 0)
				break;
			cox_list_set(e->doc, list, j, before);
		}
		cox_list_set(e->doc, list, j, one);
	}
}

static int set_images(struct edit *e, struct cox_error *err)
{
	const struct cox_node *from = COX_GET(e->source, "images");
	struct cox_node *list;
	int r = 0;

	if (!cox_node_len(from))
		return 0;
	list = cox_map_edit_list(e->doc, e->k, "images");
	for (size_t i = 0; r == 0 && i < cox_node_len(from); i++)
		r = set_image(e, list, cox_node_at(from, i), err);
	if (r == 0)
		sort_images(e, list);
	return r;
}

static int set_replicas(struct edit *e, struct cox_error *err)
{
	const struct cox_node *from = COX_GET(e->source, "replicas");

	for (size_t i = 0; i < cox_node_len(from); i++) {
		const struct cox_node *item = cox_node_at(from, i), *count = COX_GET(item, "count");
		struct cox_node *list = cox_map_edit_list(e->doc, e->k, "replicas");
		struct cox_node *entry = cox_doc_map(e->doc);
		const char *text = kz_str(e->dir->kz, cox_node_text(count));

		if (!*text || strlen(text) > 9 || text[strspn(text, "0123456789")])
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "source.kustomize.replicas: count '%s' is no number",
					 text);
		(void)take_named(e, list, cox_node_text(COX_GET(item, "name")));
		cox_map_put(e->doc, entry, "name",
			    cox_doc_string(e->doc, cox_node_text(COX_GET(item, "name"))));
		cox_map_put_int(e->doc, entry, "count", strtol(text, NULL, 10));
		cox_list_push(e->doc, list, entry);
	}
	return 0;
}

/* ---- labels and annotations ---- */

static bool flag(const struct edit *e, const char *field)
{
	return cox_node_bool(COX_GET(e->source, field), false);
}

/* Into a map of the kustomization; force: what is there may be replaced. */
static int add_pairs(struct edit *e, const char *field, struct cox_node *to, bool substitute,
		     bool force, struct cox_error *err)
{
	const struct cox_node *from = COX_GET(e->source, field);

	for (size_t i = 0; i < cox_node_len(from); i++) {
		struct cox_str key = cox_node_key(from, i);
		struct cox_str value = cox_node_text(cox_node_at(from, i));
		const char *text;
		int r = 0;

		if (cox_node_get_str(to, key) && !force)
			return cox_error(err, COX_ALREADY_EXISTS,
					 "source.kustomize.%s: the kustomization has '%.*s' "
					 "already; set force%c%s to replace it",
					 field, COX_STR_ARG(key), field[0] - 32, field + 1);
		if (substitute)
			r = expand(e, value, &text, err);
		if (r < 0)
			return r;
		cox_map_put_str(e->doc, to, key,
				substitute ? cox_doc_cstring(e->doc, text)
					   : cox_doc_string(e->doc, value));
	}
	return 0;
}

/* The first entry of `labels` that says the same of selectors and templates, or a new one. */
static struct cox_node *label_entry(struct edit *e, bool templates)
{
	struct cox_node *list = cox_map_edit_list(e->doc, e->k, "labels"), *entry;

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *it = cox_node_at(list, i);

		if (!cox_node_bool(COX_GET(it, "includeSelectors"), false) &&
		    cox_node_bool(COX_GET(it, "includeTemplates"), false) == templates)
			return cox_list_edit(e->doc, list, i);
	}
	entry = cox_doc_map(e->doc);
	if (templates)
		cox_map_put_bool(e->doc, entry, "includeTemplates", true);
	cox_list_push(e->doc, list, entry);
	return entry;
}

static int add_labels(struct edit *e, struct cox_error *err)
{
	struct cox_node *to;

	if (!cox_node_len(COX_GET(e->source, "commonLabels")))
		return 0;
	to = flag(e, "labelWithoutSelector")
		     ? cox_map_edit_map(e->doc, label_entry(e, flag(e, "labelIncludeTemplates")),
					"pairs")
		     : cox_map_edit_map(e->doc, e->k, "commonLabels");
	return add_pairs(e, "commonLabels", to, true, flag(e, "forceCommonLabels"), err);
}

static int add_annotations(struct edit *e, struct cox_error *err)
{
	if (!cox_node_len(COX_GET(e->source, "commonAnnotations")))
		return 0;
	return add_pairs(
		e, "commonAnnotations", cox_map_edit_map(e->doc, e->k, "commonAnnotations"),
		flag(e, "commonAnnotationsEnvsubst"), flag(e, "forceCommonAnnotations"), err);
}

/* ---- lists ---- */

static bool is_missing(const struct edit *e, const char *path)
{
	_cleanup_free_ char *clean = NULL;
	enum hub_tree_kind kind;

	return hub_path_resolve(e->dir->path, cox_str(path), &clean, NULL) == 0 &&
	       hub_tree_kind(e->dir->kz->tree, clean, &kind, NULL) == -COX_NOT_FOUND;
}

static bool is_listed(const struct cox_node *list, const struct cox_node *item)
{
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_node_equal(cox_node_at(list, i), item))
			return true;
	return false;
}

static void append(struct edit *e, const char *field, bool skip_missing, bool once)
{
	const struct cox_node *from = COX_GET(e->source, field);

	for (size_t i = 0; i < cox_node_len(from); i++) {
		const struct cox_node *item = cox_node_at(from, i);

		if (skip_missing && is_missing(e, cox_node_cstr(item, "")))
			continue;
		if (once && is_listed(COX_GET(e->k, field), item))
			continue;
		cox_list_push(e->doc, cox_map_edit_list(e->doc, e->k, field),
			      cox_doc_clone(e->doc, item));
	}
}

int kz_apply_source(struct kz_dir *dir, const struct cox_node *source, struct cox_error *err)
{
	struct edit e = {dir, NULL, NULL, source};
	int r;

	if (!cox_node_len(source))
		return 0;
	e.doc = cox_doc_edit(dir->doc);
	e.k = cox_doc_root_edit(e.doc);
	cox_vec_push(&dir->kz->docs, e.doc);
	set_text(&e, "namePrefix");
	set_text(&e, "nameSuffix");
	set_text(&e, "namespace");
	append(&e, "components", flag(&e, "ignoreMissingComponents"), true);
	append(&e, "patches", false, false);
	r = set_images(&e, err);
	if (r == 0)
		r = set_replicas(&e, err);
	if (r == 0)
		r = add_labels(&e, err);
	if (r == 0)
		r = add_annotations(&e, err);
	if (r < 0)
		return r;
	dir->doc = cox_doc_seal(e.doc);
	dir->k = cox_doc_root(e.doc);
	return 0;
}
