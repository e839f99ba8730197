/* Files and folders that a person names. */
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "common/kube/meta.h"
#include "hub/cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define MAX_DEPTH 32

static bool is_manifest(const char *name)
{
	struct cox_str s = cox_str(name);

	return cox_str_ends(s, ".yaml") || cox_str_ends(s, ".yml") || cox_str_ends(s, ".json");
}

static int list_folder(const char *dir, bool recurse, int depth, cox_strings *ret,
		       struct cox_error *err);

static int list_entry(const char *path, bool recurse, int depth, cox_strings *ret,
		      struct cox_error *err)
{
	struct stat st;

	/* a link to a folder could lead round in a circle */
	if (lstat(path, &st) < 0)
		return cox_error_sys(err, errno, "cannot read '%s'", path);
	if (S_ISDIR(st.st_mode))
		return recurse ? list_folder(path, recurse, depth + 1, ret, err) : 0;
	if (is_manifest(path))
		cox_vec_push(ret, cox_strdup(path));
	return 0;
}

static int list_folder(const char *dir, bool recurse, int depth, cox_strings *ret,
		       struct cox_error *err)
{
	struct dirent **names = NULL;
	int n, r = 0;

	if (depth > MAX_DEPTH)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "'%s' is more than %d folders deep",
				 dir, MAX_DEPTH);
	n = scandir(dir, &names, NULL, alphasort);
	if (n < 0)
		return cox_error_sys(err, errno, "cannot read '%s'", dir);
	for (int i = 0; i < n; i++) {
		if (r == 0 && names[i]->d_name[0] != '.') {
			_cleanup_free_ char *path = cox_path_join(dir, names[i]->d_name);

			r = list_entry(path, recurse, depth, ret, err);
		}
		free(names[i]);
	}
	free(names);
	return r;
}

int cli_list_files(const cox_strings *files, bool recurse, cox_strings *ret_paths,
		   struct cox_error *err)
{
	for (size_t i = 0; i < files->n; i++) {
		const char *path = files->items[i];
		struct stat st;
		int r;

		if (strcmp(path, "-") != 0 && stat(path, &st) < 0)
			return cox_error_sys(err, errno, "cannot read '%s'", path);
		if (strcmp(path, "-") == 0 || !S_ISDIR(st.st_mode)) {
			cox_vec_push(ret_paths, cox_strdup(path));
			continue;
		}
		r = list_folder(path, recurse, 0, ret_paths, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cli_read_file(const char *path, cox_docs *ret_docs, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
	struct cox_doc *doc;
	int r = cox_file_read(path, COX_LIMIT_FILE_BYTES, &text, err);

	if (r < 0)
		return r;
	if (!cox_str_ends(cox_str(path), ".json"))
		return cox_yaml_read_all(cox_buf_str(&text), name, NULL, ret_docs, err);
	r = cox_json_read(cox_buf_str(&text), name, &doc, err);
	if (r == 0)
		cox_vec_push(ret_docs, doc);
	return r;
}

int cli_read_files(const cox_strings *files, bool recurse, cox_docs *ret_docs,
		   struct cox_error *err)
{
	COX_CLEANUP(cox_strings_fini) cox_strings paths = {0};
	_cleanup_docs_ cox_docs docs = {0};
	int r;

	if (files->n == 0)
		return cli_usage(err, "name a file or a folder with -f");
	r = cli_list_files(files, recurse, &paths, err);
	for (size_t i = 0; r == 0 && i < paths.n; i++)
		r = cli_read_file(paths.items[i], &docs, err);
	if (r < 0)
		return r;
	if (docs.n == 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "no objects in '%s'", files->items[0]);
	for (size_t i = 0; i < docs.n; i++)
		cox_vec_push(ret_docs, docs.items[i]);
	docs.n = 0;
	return 0;
}

void cli_expand_lists(cox_docs *docs)
{
	cox_docs all = {0};

	for (size_t i = 0; i < docs->n; i++) {
		struct cox_doc *doc = docs->items[i];
		const struct cox_node *items = COX_GET(cox_doc_root(doc), "items");

		if (!cox_node_is(items, COX_LIST) ||
		    !cox_str_ends(cox_meta_kind(cox_doc_root(doc)), "List")) {
			cox_vec_push(&all, cox_doc_ref(doc));
			continue;
		}
		for (size_t k = 0; k < cox_node_len(items); k++)
			cox_vec_push(&all, cox_doc_view(doc, cox_node_at(items, k)));
	}
	cox_docs_fini(docs);
	*docs = all;
}
