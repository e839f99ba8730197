/* The directory source: which files, in which order. */
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/text/glob.h"
#include "hub/render/internal.h"

static const char *const extensions[] = {".yaml", ".yml", ".json"};

static bool has_manifest_extension(const char *name)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(extensions); i++)
		if (cox_str_ends(cox_str(name), extensions[i]))
			return true;
	return false;
}

struct filter {
	struct cox_glob *include, *exclude; /* NULL: none */
};

static void filter_fini(struct filter *f)
{
	cox_glob_free(f->include);
	cox_glob_free(f->exclude);
}

static int compile(const char *pattern, const char *field, struct cox_glob **ret,
		   struct cox_error *err)
{
	if (!*pattern)
		return 0;
	if (cox_glob_compile(cox_str(pattern), 0, ret, err) < 0)
		return cox_error_wrap(err, "source.directory.%s", field);
	return 0;
}

static bool takes(const struct filter *f, const char *name)
{
	if (f->exclude && cox_glob_match(f->exclude, cox_str(name)))
		return false;
	return !f->include || cox_glob_match(f->include, cox_str(name));
}

static int list_files(struct hub_render *r, struct hub_tree_list *ret, struct cox_error *err)
{
	if (r->source->directory.recurse)
		return hub_tree_walk(r->tree, r->path, ret, err);
	return hub_tree_list(r->tree, r->path, ret, err);
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct hub_tree_entry *)a)->name,
		      ((const struct hub_tree_entry *)b)->name);
}

static int render_entry(struct hub_render *r, const char *name, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf content = COX_BUF_INIT;
	_cleanup_free_ char *path = *r->path ? cox_path_join(r->path, name) : cox_strdup(name);
	int e = hub_tree_read(r->tree, path, COX_LIMIT_FILE_BYTES, &content, err);

	if (e < 0)
		return e;
	r->n_bytes += content.len;
	if (r->n_bytes > r->max_bytes)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "the manifests of '%s' are larger than %zu bytes together",
				 r->path, r->max_bytes);
	return hub_render_file(r, path, cox_buf_str(&content), err);
}

/* A link that has a manifest's name is refused, not skipped: who put it there wanted its objects.
 */
static int check_kind(const struct hub_render *r, const struct hub_tree_entry *entry,
		      struct cox_error *err)
{
	if (entry->kind == HUB_TREE_LINK)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "'%s/%s' is a symbolic link; links are not followed", r->path,
				 entry->name);
	if (entry->kind == HUB_TREE_OTHER)
		return cox_error(err, COX_FAILED_PRECONDITION, "'%s/%s' is not a plain file",
				 r->path, entry->name);
	return 0;
}

/* What cannot be entered is not silently nothing: somebody may count on what is behind it. */
static void warn_not_entered(struct hub_render *r, const struct hub_tree_entry *entry)
{
	const char *what = entry->kind == HUB_TREE_LINK ? "a symbolic link" : "a submodule";

	if (!r->source->directory.recurse ||
	    (entry->kind != HUB_TREE_LINK && entry->kind != HUB_TREE_SUBMODULE))
		return;
	hub_problem_add_at(&r->out->warnings, HUB_WARNING, *r->path ? r->path : ".", 0, 0,
			   "'%s' is %s; it is not entered", entry->name, what);
}

int hub_render_directory(struct hub_render *r, struct cox_error *err)
{
	_cleanup_tree_list_ struct hub_tree_list list = HUB_TREE_LIST_INIT;
	COX_CLEANUP(filter_fini) struct filter filter = {0};
	int e = compile(r->source->directory.include, "include", &filter.include, err);

	if (e == 0)
		e = compile(r->source->directory.exclude, "exclude", &filter.exclude, err);
	if (e == 0)
		e = list_files(r, &list, err);
	if (e < 0)
		return e;
	cox_vec_sort(&list, compare_entries);
	for (size_t i = 0; i < list.n; i++) {
		const struct hub_tree_entry *entry = &list.items[i];

		if (entry->kind == HUB_TREE_DIR)
			continue;
		if (entry->kind == HUB_TREE_SUBMODULE || !has_manifest_extension(entry->name) ||
		    !takes(&filter, entry->name)) {
			warn_not_entered(r, entry);
			continue;
		}
		e = check_kind(r, entry, err);
		if (e == 0)
			e = render_entry(r, entry->name, err);
		if (e < 0)
			return e;
	}
	return 0;
}
