/* What a kustomization names outside its repository: parsed here, fetched by nobody here. Whoever
 * asked for the build gives the tree, or says that it has not got it yet. */
#include "hub/render/kustomize/internal.h"

#include "hub/source/source.h"

#include <ctype.h>

struct remote {
	const char *url;      /* of the repository */
	const char *revision; /* "": its HEAD */
	const char *path;     /* in it, as written */
	bool file;	      /* the file of a repository, by its address on a web site */
};

/* ---- the text (api/internal/git/repospec.go has the grammar) ---- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'	    ? c - '0'
	       : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10
					    : -1;
}

static const char *unescape(struct kz *kz, struct cox_str s)
{
	char *text = cox_arena_strndup(&kz->arena, s.ptr, s.len), *to = text;

	for (const char *c = text; *c; c++) {
		if (*c == '%' && hex_digit(c[1]) >= 0 && hex_digit(c[2]) >= 0) {
			*to++ = (char)(hex_digit(c[1]) * 16 + hex_digit(c[2]));
			c += 2;
		} else {
			*to++ = *c == '+' ? ' ' : *c;
		}
	}
	*to = 0;
	return text;
}

/* `ref`, else `version`; timeout and submodules mean nothing to a mirror. */
static const char *query_revision(struct kz *kz, const char *query)
{
	static const char *const names[] = {"ref=", "version="};

	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++) {
		struct cox_str rest = cox_str(query), part;

		while (cox_str_split(&rest, '&', &part))
			if (cox_str_starts(part, names[i]) && part.len > strlen(names[i]))
				return unescape(kz, cox_str_n(part.ptr + strlen(names[i]),
							      part.len - strlen(names[i])));
	}
	return "";
}

static bool take_prefix(const char **text, const char *prefix)
{
	if (strncasecmp(*text, prefix, strlen(prefix)) != 0)
		return false;
	*text += strlen(prefix);
	return true;
}

static const char *nth_slash(const char *text, int n)
{
	const char *c = text;

	while (c && n-- > 0) {
		c = strchr(c, '/');
		if (c && n > 0)
			c++;
	}
	return c;
}

/* Divides "org/repo//path", "org/repo.git/path", "org/project/_git/repo/path", "org/repo/path". */
static bool split_path(struct kz *kz, const char *text, bool whole, const char **ret_repo,
		       const char **ret_path)
{
	const char *at = strstr(text, "_git/"), *end, *path;

	if (at) {
		end = strchrnul(at + 5, '/');
		path = *end ? end + 1 : end;
	} else if ((at = strstr(text, "//"))) {
		end = at;
		path = at + 2;
	} else if ((at = strstr(text, ".git"))) {
		end = path = at + 4;
	} else {
		end = whole ? text + strlen(text) : nth_slash(text, 2);
		if (!end && nth_slash(text, 1))
			end = text + strlen(text);
		if (!end)
			return false;
		path = *end ? end + 1 : end;
	}
	if (end == text)
		return false;
	*ret_repo = kz_str(kz, cox_str_n(text, (size_t)(end - text)));
	*ret_path = path + strspn(path, "/");
	return true;
}

/* A file that a web site shows out of a repository. */
static bool parse_file(struct kz *kz, const char *text, struct remote *ret)
{
	bool raw = take_prefix(&text, "https://raw.githubusercontent.com/");
	const char *slash, *rest, *end;

	if (!raw && !take_prefix(&text, "https://github.com/"))
		return false;
	slash = nth_slash(text, 2);
	if (!slash)
		return false;
	rest = slash + 1;
	if (!raw && !take_prefix(&rest, "raw/"))
		return false;
	end = strncmp(rest, "refs/", 5) == 0 ? nth_slash(rest, 3) : strchr(rest, '/');
	if (!end || !end[1])
		return false;
	ret->url = kz_printf(kz, "https://github.com/%.*s", (int)(slash - text), text);
	ret->revision = unescape(kz, cox_str_n(rest, (size_t)(end - rest)));
	ret->path = unescape(kz, cox_str_n(end + 1, strcspn(end + 1, "?")));
	ret->file = true;
	return true;
}

static bool parse_host(struct kz *kz, const char **text, const char **ret_host, bool *ret_whole)
{
	static const char *const schemes[] = {"ssh://", "https://", "http://", "file://"};
	const char *scheme = "", *user = *text, *end, *colon;
	bool github;

	(void)take_prefix(text, "git::");
	for (size_t i = 0; i < COX_ARRAY_LEN(schemes) && !*scheme; i++)
		if (take_prefix(text, schemes[i]))
			scheme = schemes[i];
	*ret_whole = strcmp(scheme, "file://") == 0;
	if (*ret_whole) {
		*ret_host = scheme;
		return true;
	}
	user = *text;
	if (isalpha((unsigned char)*user)) {
		const char *c = user;

		while (isalnum((unsigned char)*c) || *c == '-')
			c++;
		if (*c == '@')
			*text = c + 1;
	}
	user = kz_str(kz, cox_str_n(user, (size_t)(*text - user)));
	github = strncasecmp(*text, "github.com/", 11) == 0 ||
		 strncasecmp(*text, "github.com:", 11) == 0;
	if (!*scheme && !*user && !github)
		return false;
	end = strchr(*text, '/');
	colon = !*scheme ? strchr(*text, ':') : NULL;
	if (colon && colon > *text && (!end || colon < end))
		end = colon;
	if (!end || end == *text)
		return false;
	if (github)
		*ret_host = !strcmp(scheme, "ssh://") || *user
				    ? kz_printf(kz, "%sgithub.com:", user)
				    : "https://github.com/";
	else
		*ret_host = kz_printf(kz, "%s%s%.*s", scheme, user, (int)(end + 1 - *text), *text);
	*text = end + 1;
	return true;
}

static bool parse(struct kz *kz, const char *text, struct remote *ret)
{
	const char *mark = strchrnul(text, '?'), *host, *repo, *path;
	const char *rest = kz_str(kz, cox_str_n(text, (size_t)(mark - text)));
	bool whole;

	*ret = (struct remote){0};
	if (*text == '/')
		return false;
	if (parse_file(kz, text, ret))
		return true;
	if (!parse_host(kz, &rest, &host, &whole) || !split_path(kz, rest, whole, &repo, &path))
		return false;
	ret->url = kz_printf(kz, "%s%s", host, repo);
	ret->revision = query_revision(kz, *mark ? mark + 1 : "");
	ret->path = path;
	return true;
}

bool kz_is_remote(struct kz *kz, const char *text)
{
	struct remote remote;

	return strstr(text, "://") || parse(kz, text, &remote);
}

/* ---- the tree ---- */

static bool is_download(const char *text)
{
	const char *path = cox_str_starts(cox_str(text), "http") ? strstr(text, "://") : NULL;

	return path &&
	       (strstr(path, "/releases/download/") || cox_str_ends(cox_str(text), ".yaml") ||
		cox_str_ends(cox_str(text), ".yml") || cox_str_ends(cox_str(text), ".json"));
}

static struct kz_repository *known(struct kz *kz, const struct remote *remote)
{
	COX_VEC_EACH (&kz->repositories, r)
		if (hub_url_same(r->url, remote->url) && strcmp(r->revision, remote->revision) == 0)
			return r;
	return NULL;
}

static int get_tree(struct kz *kz, const struct remote *remote, struct hub_tree **ret,
		    struct cox_error *err)
{
	struct kz_repository *have = known(kz, remote);
	struct hub_tree *tree = NULL;
	int e;

	if (have) {
		*ret = have->tree;
		return 0;
	}
	if (!kz->in->remote)
		return cox_error(
			err, COX_UNIMPLEMENTED,
			"'%s' is another repository, which only a hub fetches; use a local "
			"path",
			remote->url);
	if (kz->repositories.n >= HUB_LIMIT_KUSTOMIZE_REMOTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "more than %d remote repositories",
				 HUB_LIMIT_KUSTOMIZE_REMOTES);
	e = kz->in->remote(kz->in->ctx, remote->url, remote->revision, &tree, err);
	if (e < 0)
		return e;
	if (!tree)
		return cox_error(err, COX_UNAVAILABLE, "waiting for repository '%s'", remote->url);
	cox_vec_push(&kz->repositories,
		     (struct kz_repository){remote->url, remote->revision, tree});
	*ret = tree;
	return 0;
}

int kz_remote_find(const struct kz_dir *dir, const char *text, struct kz_place_in *ret,
		   struct cox_error *err)
{
	_cleanup_free_ char *path = NULL;
	struct remote remote;
	enum hub_tree_kind kind;
	int e;

	if (!parse(dir->kz, text, &remote) || (is_download(text) && !remote.file))
		return cox_error(err, COX_UNIMPLEMENTED,
				 "'%s' is a download: only repositories are fetched; copy the file "
				 "into this one, or name a repository and a path in it",
				 text);
	if (strncmp(remote.url, "http://", 7) == 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "'%s': http is not secure; use https",
				 remote.url);
	e = get_tree(dir->kz, &remote, &ret->tree, err);
	if (e == 0)
		e = hub_path_clean(cox_str(remote.path), &path, err);
	if (e == 0)
		e = hub_tree_kind(ret->tree, path, &kind, err);
	if (e == -COX_NOT_FOUND)
		return cox_error(err, COX_NOT_FOUND, "repository '%s' has no '%s'%s%s", remote.url,
				 path, *remote.revision ? " at " : "", remote.revision);
	if (e < 0)
		return e;
	if ((kind == HUB_TREE_FILE) != remote.file)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 remote.file
					 ? "'%s' in '%s' is a directory, not a file"
					 : "'%s' in '%s' is a file; a remote base is a directory",
				 path, remote.url);
	ret->path = kz_strdup(dir->kz, path);
	ret->name = remote.url;
	ret->file = remote.file;
	ret->origin =
		(struct kz_origin){.path = remote.path, .repo = remote.url, .ref = remote.revision};
	return 0;
}

/* What a list asks for is asked for at once, so that they are fetched together. */
void kz_remote_ask(const struct kz_dir *dir, const struct cox_node *paths)
{
	for (size_t i = 0; i < cox_node_len(paths) && dir->kz->in->remote; i++) {
		const char *text = cox_node_cstr(cox_node_at(paths, i), "");
		struct hub_tree *tree;
		struct remote remote;

		if (strstr(text, "://") && parse(dir->kz, text, &remote) &&
		    strncmp(remote.url, "http://", 7) != 0 && (!is_download(text) || remote.file))
			(void)get_tree(dir->kz, &remote, &tree, NULL);
	}
}
