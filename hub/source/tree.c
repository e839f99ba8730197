#include "hub/source/tree.h"

#include "common/base/mem.h"
#include "common/base/vec.h"

void hub_tree_list_fini(struct hub_tree_list *list)
{
	COX_VEC_EACH (list, e)
		free(e->name);
	cox_vec_fini(list);
}

struct hub_tree *hub_tree_ref(struct hub_tree *t)
{
	atomic_fetch_add(&t->n_refs, 1);
	return t;
}

void hub_tree_unref(struct hub_tree *t)
{
	if (!t || atomic_fetch_sub(&t->n_refs, 1) != 1)
		return;
	free(t->name);
	t->ops->free(t);
}

/* Paths are made by hub_path_*; this is the second lock on the same door. Names inside a repository
 * may be odd, so only what a path is made of is looked at. */
static int check(const char *path, struct cox_error *err)
{
	struct cox_str rest = cox_str(path), part;
	size_t n_parts = 0;

	if (rest.len == 0)
		return 0;
	if (rest.len > HUB_LIMIT_PATH_BYTES)
		return cox_error(err, COX_INVALID_ARGUMENT, "path '%.60s...' is too long", path);
	while (cox_str_split(&rest, '/', &part)) {
		if (part.len == 0 || cox_str_is(part, ".") || cox_str_is(part, ".."))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "path '%.100s' is not in clean form", path);
		if (++n_parts > HUB_LIMIT_PATH_PARTS)
			return cox_error(err, COX_INVALID_ARGUMENT, "path '%.60s...' is too deep",
					 path);
	}
	return 0;
}

/* Where a link at `path` leads, with what stood behind it in the path. */
static int redirect(struct hub_tree *t, const char *path, const char *behind, char **ret_path,
		    struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf target = COX_BUF_INIT;
	_cleanup_free_ char *base = cox_strdup(path);
	char *slash = strrchr(base, '/');
	int r;

	r = t->ops->link(t, path, &target, err);
	if (r < 0)
		return r;
	if (slash)
		*slash = '\0';
	if (*behind) {
		cox_buf_putc(&target, '/');
		cox_buf_puts(&target, behind);
	}
	r = hub_path_resolve(slash ? base : "", cox_buf_str(&target), ret_path, err);
	if (r < 0) {
		cox_error_wrap(err, "symbolic link '%s'", path);
		if (err)
			err->code = COX_FAILED_PRECONDITION;
		return -COX_FAILED_PRECONDITION;
	}
	return 0;
}

/* The first link on the way, as the length of the path up to it; 0 when there is none. */
static int find_link(struct hub_tree *t, const char *path, size_t *ret_length,
		     struct cox_error *err)
{
	for (const char *end = path; *end;) {
		_cleanup_free_ char *prefix = NULL;
		enum hub_tree_kind kind;
		int r;

		end = strchrnul(end + (end != path), '/');
		prefix = cox_strndup(path, (size_t)(end - path));
		r = t->ops->kind(t, prefix, &kind, err);
		/* Whoever wants the whole path says better that it is missing. */
		if (r == -COX_NOT_FOUND)
			break;
		if (r < 0)
			return r;
		if (kind == HUB_TREE_LINK) {
			*ret_length = (size_t)(end - path);
			return 0;
		}
	}
	*ret_length = 0;
	return 0;
}

/* The path with all links resolved, for trees that follow them. */
static int resolve(struct hub_tree *t, const char *path, char **ret_path, struct cox_error *err)
{
	_cleanup_free_ char *now = cox_strdup(path);

	for (int n_links = 0;; n_links++) {
		_cleanup_free_ char *link = NULL;
		char *next;
		size_t length = 0;
		int r;

		r = find_link(t, now, &length, err);
		if (r < 0)
			return r;
		if (length == 0)
			break;
		if (n_links == HUB_LIMIT_LINKS)
			return cox_error(err, COX_FAILED_PRECONDITION,
					 "'%s' leads through more than %d symbolic links", path,
					 HUB_LIMIT_LINKS);
		link = cox_strndup(now, length);
		r = redirect(t, link, now[length] ? now + length + 1 : "", &next, err);
		if (r < 0)
			return r;
		free(now);
		now = next;
	}
	*ret_path = TAKE(now);
	return 0;
}

static int enter(struct hub_tree *t, const char *path, char **ret_path, struct cox_error *err)
{
	int r = check(path, err);

	if (r < 0)
		return r;
	if (t->follow_links)
		return resolve(t, path, ret_path, err);
	*ret_path = cox_strdup(path);
	return 0;
}

int hub_tree_real(struct hub_tree *t, const char *path, char **ret_path, struct cox_error *err)
{
	return enter(t, path, ret_path, err);
}

static const struct {
	enum hub_tree_kind kind;
	const char *what;
} not_followed[] = {
	{HUB_TREE_LINK, "is a symbolic link, which is not followed"},
	{HUB_TREE_SUBMODULE, "is a submodule, which is not followed"},
	{HUB_TREE_OTHER, "is neither a file nor a directory"},
	{HUB_TREE_DIR, "is a directory"},
	{HUB_TREE_FILE, "is a file, not a directory"},
};

static int expect(struct hub_tree *t, const char *path, enum hub_tree_kind wanted,
		  struct cox_error *err)
{
	enum hub_tree_kind kind;
	int r = t->ops->kind(t, path, &kind, err);

	if (r < 0 || kind == wanted)
		return r;
	for (size_t i = 0; i < COX_ARRAY_LEN(not_followed); i++)
		if (not_followed[i].kind == kind)
			return cox_error(err, COX_FAILED_PRECONDITION, "'%s' %s", path,
					 not_followed[i].what);
	return cox_error(err, COX_INTERNAL, "'%s' is of unknown kind", path);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct hub_tree_entry *)a)->name,
		      ((const struct hub_tree_entry *)b)->name);
}

static int list_resolved(struct hub_tree *t, const char *path, struct hub_tree_list *ret_list,
			 struct cox_error *err)
{
	_cleanup_tree_list_ struct hub_tree_list list = HUB_TREE_LIST_INIT;
	int r;

	r = expect(t, path, HUB_TREE_DIR, err);
	if (r < 0)
		return r;
	r = t->ops->list(t, path, &list, err);
	if (r < 0)
		return r;
	cox_vec_sort(&list, by_name);
	*ret_list = list;
	list = HUB_TREE_LIST_INIT;
	return 0;
}

int hub_tree_list(struct hub_tree *t, const char *path, struct hub_tree_list *ret_list,
		  struct cox_error *err)
{
	_cleanup_free_ char *real = NULL;
	int r = enter(t, path, &real, err);

	return r < 0 ? r : list_resolved(t, real, ret_list, err);
}

static int walk(struct hub_tree *t, const char *root, const char *below, int depth,
		struct hub_tree_list *out, struct cox_error *err)
{
	_cleanup_free_ char *dir = cox_asprintf("%s%s%s", root, *root && *below ? "/" : "", below);
	_cleanup_tree_list_ struct hub_tree_list here = HUB_TREE_LIST_INIT;
	int r;

	if (depth > HUB_LIMIT_PATH_PARTS || strlen(dir) > HUB_LIMIT_PATH_BYTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "'%.80s...' is too deep", dir);
	r = list_resolved(t, dir, &here, err);
	if (r < 0)
		return r;
	COX_VEC_EACH (&here, e) {
		char *name = cox_asprintf("%s%s%s", below, *below ? "/" : "", e->name);

		cox_vec_push(out, (struct hub_tree_entry){.name = name, .kind = e->kind});
		if (out->n > HUB_LIMIT_TREE_ENTRIES)
			return cox_error(err, COX_RESOURCE_EXHAUSTED,
					 "'%s' has more than %d entries", root,
					 HUB_LIMIT_TREE_ENTRIES);
		if (e->kind != HUB_TREE_DIR)
			continue;
		r = walk(t, root, name, depth + 1, out, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int hub_tree_walk(struct hub_tree *t, const char *path, struct hub_tree_list *ret_list,
		  struct cox_error *err)
{
	_cleanup_tree_list_ struct hub_tree_list list = HUB_TREE_LIST_INIT;
	_cleanup_free_ char *real = NULL;
	int r = enter(t, path, &real, err);

	if (r == 0)
		r = walk(t, real, "", 0, &list, err);
	if (r < 0)
		return r;
	*ret_list = list;
	list = HUB_TREE_LIST_INIT;
	return 0;
}

int hub_tree_read(struct hub_tree *t, const char *path, size_t max_bytes, struct cox_buf *out,
		  struct cox_error *err)
{
	_cleanup_free_ char *real = NULL;
	int r = enter(t, path, &real, err);

	if (r == 0)
		r = expect(t, real, HUB_TREE_FILE, err);
	return r < 0 ? r : t->ops->read(t, real, max_bytes, out, err);
}

int hub_tree_kind(struct hub_tree *t, const char *path, enum hub_tree_kind *ret_kind,
		  struct cox_error *err)
{
	_cleanup_free_ char *real = NULL;
	int r = enter(t, path, &real, err);

	return r < 0 ? r : t->ops->kind(t, real, ret_kind, err);
}
