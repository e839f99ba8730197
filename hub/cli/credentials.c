/* What `cox login` keeps: a JSON object from the hub's address to a token, in
 * $XDG_CONFIG_HOME/coxswain/credentials.json or ~/.config/coxswain/credentials.json, mode 0600. */
#include "common/base/file.h"
#include "common/doc/json.h"
#include "hub/cli/client.h"

#include <sys/stat.h>

#define MAX_FILE (1 << 20)

static int folder_path(char **ret_path, struct cox_error *err)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (config && *config == '/')
		*ret_path = cox_asprintf("%s/coxswain", config);
	else if (home && *home)
		*ret_path = cox_asprintf("%s/.config/coxswain", home);
	else
		return cox_error(err, COX_NOT_FOUND, "no HOME to keep credentials in");
	return 0;
}

/* Others must not be able to read it. */
static int check_mode(const char *path, struct cox_error *err)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & 077))
		return cox_error(err, COX_PERMISSION_DENIED,
				 "'%s' can be read by others: chmod 600 it", path);
	return 0;
}

/* *ret_doc NULL when there is no file. */
static int load(const char *path, struct cox_doc **ret_doc, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	int r = cox_file_read(path, MAX_FILE, &text, err);

	if (r == -COX_NOT_FOUND) {
		*ret_doc = NULL;
		return 0;
	}
	if (r == 0)
		r = check_mode(path, err);
	if (r == 0)
		r = cox_json_read(cox_buf_str(&text), path, ret_doc, err);
	if (text.ptr)
		explicit_bzero(text.ptr, text.len);
	return r;
}

int cli_credentials_find(const char *url, char **ret_token, struct cox_error *err)
{
	_cleanup_free_ char *folder = NULL, *path = NULL;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	int r;

	*ret_token = NULL;
	if (folder_path(&folder, NULL) < 0)
		return 0;
	path = cox_path_join(folder, "credentials.json");
	r = load(path, &doc, err);
	if (r == 0)
		*ret_token = cox_strdup(cox_node_cstr(
			COX_GET(doc ? cox_doc_root(doc) : NULL, "tokens", url), NULL));
	return r;
}

int cli_credentials_store(const char *url, const char *token, char **ret_path,
			  struct cox_error *err)
{
	_cleanup_free_ char *folder = NULL, *path = NULL;
	_cleanup_doc_ struct cox_doc *old = NULL, *doc = NULL;
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_node *root;
	int r = folder_path(&folder, err);

	if (r < 0)
		return r;
	path = cox_path_join(folder, "credentials.json");
	r = load(path, &old, err);
	if (r < 0)
		return r;
	doc = old ? cox_doc_edit(old) : cox_doc_new(path);
	if (!old)
		cox_doc_set_root(doc, cox_doc_map(doc));
	root = cox_doc_root_edit(doc);
	cox_map_put_cstr(doc, cox_map_edit_map(doc, root, "tokens"), url, token);
	cox_json_write_pretty(&text, root);
	cox_buf_putc(&text, '\n');
	r = cox_dir_make(folder, 0700, err);
	if (r == 0)
		r = cox_file_write(path, cox_buf_str(&text), 0600, err);
	if (text.ptr)
		explicit_bzero(text.ptr, text.len);
	if (r == 0)
		*ret_path = TAKE(path);
	return r;
}
