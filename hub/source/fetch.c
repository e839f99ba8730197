#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/vec.h"
#include "hub/source/known_hosts.h"
#include "hub/source/private.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

/* A mirror in more pieces than this is slow to open. */
#define MIRROR_PACKS_MAX 100

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* Keeps the first error that our callbacks find, and makes libgit2 give up. */
static int give_up(struct hub_fetch *f, const struct cox_error *err)
{
	if (!f->first.code)
		f->first = *err;
	return GIT_EUSER;
}

/* ---- what libgit2 asks during a fetch ---- */

static int refuse_credentials(struct hub_fetch *f)
{
	const struct hub_credentials *c = f->credentials;
	bool ssh = f->url->scheme == HUB_URL_SSH;
	struct cox_error err;

	if (f->n_asked > 1 && ssh)
		cox_error(
			&err, COX_UNAUTHENTICATED,
			"'%s' refused the ssh key (RSA keys are often refused, since they are used "
			"with SHA-1 here: prefer ed25519)",
			f->url->clean);
	else if (f->n_asked > 1 || (!ssh && c->bearer))
		cox_error(&err, COX_UNAUTHENTICATED,
			  "'%s' refused the user name, password or token", f->url->clean);
	else
		cox_error(&err, COX_UNAUTHENTICATED,
			  "'%s' wants credentials (%s), and none are configured for it",
			  f->url->clean,
			  ssh ? "an ssh key" : "a user name and a password or token");
	return give_up(f, &err);
}

static int on_credentials(git_credential **out, const char *url, const char *url_user,
			  unsigned allowed, void *payload)
{
	struct hub_fetch *f = payload;
	const struct hub_credentials *c = f->credentials;
	const char *user = c->username ? c->username : url_user;

	(void)url;
	if (allowed & GIT_CREDENTIAL_USERNAME)
		return git_credential_username_new(out, user ? user : "git");
	f->n_asked++;
	if (f->n_asked > 1)
		return refuse_credentials(f);
	if (f->url->scheme == HUB_URL_SSH && c->ssh_key &&
	    (allowed & (GIT_CREDENTIAL_SSH_KEY | GIT_CREDENTIAL_SSH_MEMORY)))
		return git_credential_ssh_key_memory_new(out, user ? user : "git", NULL, c->ssh_key,
							 c->ssh_passphrase);
	if (f->url->scheme == HUB_URL_HTTPS && c->password &&
	    (allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT))
		return git_credential_userpass_plaintext_new(out, user ? user : "git", c->password);
	return refuse_credentials(f);
}

/* Only ssh comes here; TLS is judged in the handshake. */
static int on_certificate(git_cert *cert, int valid, const char *host, void *payload)
{
	struct hub_fetch *f = payload;
	const git_cert_hostkey *key = (const git_cert_hostkey *)cert;
	const char *known = f->credentials->known_hosts;
	struct cox_error err;

	(void)valid;
	(void)host;
	if (f->url->scheme != HUB_URL_SSH || cert->cert_type != GIT_CERT_HOSTKEY_LIBSSH2 ||
	    !(key->type & GIT_CERT_SSH_RAW)) {
		cox_error(&err, COX_PERMISSION_DENIED, "'%s' shows no host key", f->url->clean);
		return give_up(f, &err);
	}
	if (hub_known_hosts_check(cox_str(or_empty(known)), f->url->host, f->url->port,
				  cox_str_n(key->hostkey, key->hostkey_len), &err) < 0)
		return give_up(f, &err);
	return 0;
}

static int check_progress(struct hub_fetch *f)
{
	struct cox_error err;

	return hub_watch_check(f, &err) < 0 ? give_up(f, &err) : 0;
}

static int on_transfer(const git_indexer_progress *stats, void *payload)
{
	struct hub_fetch *f = payload;
	struct cox_error err;

	if ((int64_t)stats->received_bytes > f->max_bytes) {
		cox_error(&err, COX_RESOURCE_EXHAUSTED, "'%s' is larger than %lld MiB",
			  f->url->clean, (long long)(f->source->options.max_repo_bytes >> 20));
		return give_up(f, &err);
	}
	return check_progress(f);
}

static int on_sideband(const char *text, int n, void *payload)
{
	(void)text;
	(void)n;
	return check_progress(payload);
}

/* ---- what went wrong, for people ---- */

static const struct {
	const char *says; /* a part of libgit2's sentence */
	enum cox_code code;
	const char *means;
} sentences[] = {
	{"status code: 401", COX_UNAUTHENTICATED, "user name, password or token was refused"},
	{"status code: 403", COX_PERMISSION_DENIED, "the server forbids it"},
	{"status code: 404", COX_NOT_FOUND,
	 "repository not found, or not visible without "
	 "credentials"},
	{"status code: 410", COX_NOT_FOUND, "repository is gone"},
	{"status code: 429", COX_RESOURCE_EXHAUSTED, "the server wants fewer requests"},
	{"status code: 30", COX_FAILED_PRECONDITION,
	 "the server redirects elsewhere, which is not "
	 "followed: use the final URL"},
	{"status code: 5", COX_UNAVAILABLE, "the server has a problem of its own"},
	{"redirect", COX_FAILED_PRECONDITION,
	 "the server redirects elsewhere, which is not "
	 "followed: use the final URL"},
	{"failed to resolve path", COX_NOT_FOUND, "repository not found"},
	{"could not find repository", COX_NOT_FOUND, "repository not found"},
	{"Failed to authenticate SSH session", COX_UNAUTHENTICATED, "the ssh key was refused"},
	{"authentication", COX_UNAUTHENTICATED, "authentication failed"},
	{"not found", COX_NOT_FOUND, "repository not found"},
	{"does not exist", COX_NOT_FOUND, "repository not found"},
	{"does not appear to be a git repository", COX_NOT_FOUND, "repository not found"},
	{"could not read from remote", COX_NOT_FOUND,
	 "repository not found, or not readable with "
	 "these credentials"},
	{"early EOF", COX_NOT_FOUND,
	 "the server ended without an answer: repository not found, or "
	 "not readable with these credentials"},
	{"unexpected EOF", COX_UNAVAILABLE, "the connection was cut"},
	{"No space left", COX_RESOURCE_EXHAUSTED, "no space left on the hub's disk"},
};

static int fetch_error(struct hub_fetch *f, int git_code, struct cox_error *err)
{
	const git_error *last = git_error_last();
	const char *says = last && last->message ? last->message : "no reason given";
	struct cox_error stopped;

	/* The watchdog's reason is the reason of all that came after it. */
	if (hub_watch_check(f, &stopped) < 0)
		return cox_error(err, (enum cox_code)stopped.code, "%s", stopped.message);
	if (f->first.code)
		return cox_error(err, (enum cox_code)f->first.code, "cannot fetch '%s': %s",
				 f->url->clean, f->first.message);
	if (git_code == GIT_EAUTH)
		return cox_error(err, COX_UNAUTHENTICATED,
				 "cannot fetch '%s': authentication failed (%.80s)", f->url->clean,
				 says);
	for (size_t i = 0; i < COX_ARRAY_LEN(sentences); i++)
		if (strstr(says, sentences[i].says))
			return cox_error(err, sentences[i].code, "cannot fetch '%s': %s",
					 f->url->clean, sentences[i].means);
	return cox_error(err, COX_UNAVAILABLE, "cannot fetch '%s': %.100s", f->url->clean, says);
}

/* ---- references ---- */

static bool is_wanted(const char *name)
{
	size_t n = strlen(name);

	return (strncmp(name, "refs/heads/", 11) == 0 || strncmp(name, "refs/tags/", 10) == 0) &&
	       !(n > 3 && strcmp(name + n - 3, "^{}") == 0);
}

/* 1 when some reference here is not what it is there. */
static int compare_refs(git_repository *repo, const git_remote_head **heads, size_t n)
{
	size_t n_wanted = 0;
	git_strarray names = {0};
	int changed = 0;

	for (size_t i = 0; i < n && !changed; i++) {
		git_oid here;

		if (!is_wanted(heads[i]->name))
			continue;
		n_wanted++;
		if (git_reference_name_to_id(&here, repo, heads[i]->name) < 0 ||
		    !git_oid_equal(&here, &heads[i]->oid))
			changed = 1;
	}
	if (!changed && git_reference_list(&names, repo) == 0) {
		changed = names.count != n_wanted;
		git_strarray_dispose(&names);
	}
	return changed;
}

static int drop_refs(git_repository *repo, const struct cox_map *kept)
{
	git_strarray names = {0};
	int r = git_reference_list(&names, repo);

	for (size_t i = 0; i < names.count && r == 0; i++)
		if (!cox_map_has(kept, names.strings[i]))
			r = git_reference_remove(repo, names.strings[i]);
	git_strarray_dispose(&names);
	return r;
}

/* Deletions first: "a" may have made room for "a/b". */
static int move_refs(git_repository *repo, const git_remote_head **heads, size_t n)
{
	struct cox_map kept = COX_MAP_INIT;
	int r;

	for (size_t i = 0; i < n; i++)
		if (is_wanted(heads[i]->name))
			cox_map_set(&kept, heads[i]->name, (void *)heads[i]);
	r = drop_refs(repo, &kept);
	COX_MAP_EACH (&kept, e) {
		const git_remote_head *head = e->value;
		git_reference *ref = NULL;
		git_oid here;

		if (r < 0)
			break;
		if (git_reference_name_to_id(&here, repo, e->key) == 0 &&
		    git_oid_equal(&here, &head->oid))
			continue;
		r = git_reference_create(&ref, repo, e->key, &head->oid, 1, NULL);
		git_reference_free(ref);
	}
	cox_map_fini(&kept);
	return r;
}

/* The server's HEAD: a branch's name where it says so, else the commit. 1: it moved. */
static int move_head(git_repository *repo, const git_remote_head **heads, size_t n)
{
	_cleanup_ref_ git_reference *old = NULL, *ref = NULL;
	const char *now;

	if (n == 0 || strcmp(heads[0]->name, "HEAD") != 0)
		return 0;
	if (git_reference_lookup(&old, repo, "HEAD") < 0)
		old = NULL;
	now = heads[0]->symref_target;
	if (now) {
		if (old && cox_streq(git_reference_symbolic_target(old), now))
			return 0;
		return git_reference_symbolic_create(&ref, repo, "HEAD", now, 1, NULL) < 0 ? -1 : 1;
	}
	if (old && git_reference_target(old) &&
	    git_oid_equal(git_reference_target(old), &heads[0]->oid))
		return 0;
	return git_reference_create(&ref, repo, "HEAD", &heads[0]->oid, 1, NULL) < 0 ? -1 : 1;
}

/* ---- the fetch ---- */

static int update(struct hub_fetch *f, git_repository *repo, git_remote *remote,
		  const git_fetch_options *options, struct cox_error *err)
{
	static char branches[] = "+refs/heads/*:refs/heads/*", tags[] = "+refs/tags/*:refs/tags/*";
	char *specs[] = {branches, tags};
	git_strarray wanted = {.strings = specs, .count = 2};
	const git_remote_head **heads;
	int changed, moved, r;
	size_t n;

	r = git_remote_ls(&heads, &n, remote);
	if (r < 0)
		return fetch_error(f, r, err);
	if (n > HUB_LIMIT_REFS)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "'%s' has more than %d references",
				 f->url->clean, HUB_LIMIT_REFS);
	changed = compare_refs(repo, heads, n);
	if (changed) {
		r = git_remote_download(remote, &wanted, options);
		if (r < 0)
			return fetch_error(f, r, err);
		/* The list belongs to the connection, which the download may have renewed. */
		r = git_remote_ls(&heads, &n, remote);
		if (r < 0)
			return fetch_error(f, r, err);
		if (move_refs(repo, heads, n) < 0)
			return hub_git_error(err, COX_DATA_LOSS, "cannot store references of '%s'",
					     f->url->clean);
	}
	moved = move_head(repo, heads, n);
	if (moved < 0)
		return hub_git_error(err, COX_DATA_LOSS, "cannot store HEAD of '%s'",
				     f->url->clean);
	return changed || moved;
}

static void set_callbacks(git_remote_callbacks *c, struct hub_fetch *f)
{
	c->credentials = on_credentials;
	if (f->url->scheme == HUB_URL_SSH)
		c->certificate_check = on_certificate;
	c->transfer_progress = on_transfer;
	c->sideband_progress = on_sideband;
	c->payload = f;
}

static int talk(struct hub_fetch *f, git_repository *repo, struct cox_error *err)
{
	git_remote_create_options create = GIT_REMOTE_CREATE_OPTIONS_INIT;
	git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
	_cleanup_free_ char *bearer = NULL;
	char *headers[1];
	git_remote *remote;
	int r;

	create.repository = repo;
	create.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
	if (git_remote_create_with_opts(&remote, f->url->clean, &create) < 0)
		return hub_git_error(err, COX_INVALID_ARGUMENT, "cannot use '%s'", f->url->clean);
	set_callbacks(&options.callbacks, f);
	options.proxy_opts.type = GIT_PROXY_NONE;
	options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
	options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	options.update_fetchhead = 0;
	if (f->credentials->bearer && f->url->scheme == HUB_URL_HTTPS) {
		bearer = cox_asprintf("Authorization: Bearer %s", f->credentials->bearer);
		headers[0] = bearer;
		options.custom_headers = (git_strarray){.strings = headers, .count = 1};
	}
	{
		git_remote_connect_options connect = GIT_REMOTE_CONNECT_OPTIONS_INIT;

		connect.callbacks = options.callbacks;
		connect.proxy_opts = options.proxy_opts;
		connect.follow_redirects = options.follow_redirects;
		connect.custom_headers = options.custom_headers;
		r = git_remote_connect_ext(remote, GIT_DIRECTION_FETCH, &connect);
	}
	r = r < 0 ? fetch_error(f, r, err) : update(f, repo, remote, &options, err);
	git_remote_disconnect(remote);
	git_remote_free(remote);
	if (bearer)
		cox_wipe(bearer, strlen(bearer));
	return r;
}

/* ---- the mirror on the disk ---- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* nftw has no argument for its callback. */
static _Thread_local struct {
	int64_t n_bytes;
	int n_packs;
} measured;

static int survey_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)ftw;
	if (flag == FTW_F && cox_str_ends(cox_str(path), ".lock")) {
		(void)unlink(path);
	} else if (flag == FTW_F) {
		measured.n_bytes += st->st_size;
		measured.n_packs += cox_str_ends(cox_str(path), ".pack");
	}
	return 0;
}

/* How large the mirror is. Locks in it are nobody's: nobody else writes here, and we hold the mirror's own,
 * so whoever had them was killed. They go, as nothing can be stored while they are there. */
static void survey(const char *dir)
{
	measured.n_bytes = 0;
	measured.n_packs = 0;
	nftw(dir, survey_one, 16, FTW_PHYS);
}

static int remove_dir(const char *dir, struct cox_error *err)
{
	if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
		return cox_error_sys(err, errno, "cannot remove '%s'", dir);
	return 0;
}

static int make_mirror(const struct hub_url *url, const char *dir, git_repository **ret_repo,
		       struct cox_error *err)
{
	git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
	int r;

	r = remove_dir(dir, err);
	if (r == 0)
		r = cox_dir_make(dir, 0700, err);
	if (r < 0)
		return r;
	options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR;
	options.description = url->clean;
	if (git_repository_init_ext(ret_repo, dir, &options) < 0)
		return hub_git_error(err, COX_INTERNAL, "cannot make the mirror of '%s'",
				     url->clean);
	return 0;
}

/* Opens a mirror that is sound, within its limit, and not in too many pieces (each fetch adds a
 * pack); false when it is to be built anew. */
static bool open_sound(struct hub_source *s, const struct mirror *m, git_repository **ret_repo)
{
	if (access(m->dir, F_OK) < 0)
		return false;
	survey(m->dir);
	return measured.n_bytes <= s->options.max_repo_bytes &&
	       measured.n_packs <= MIRROR_PACKS_MAX &&
	       git_repository_open_bare(ret_repo, m->dir) == 0;
}

/* Puts the new mirror into the old one's place in one step. */
static int replace_mirror(const struct mirror *m, const char *fresh, struct cox_error *err)
{
	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, m->dir, RENAME_EXCHANGE) == 0)
		return remove_dir(fresh, err);
	if (errno == ENOENT && rename(fresh, m->dir) == 0)
		return 0;
	return cox_error_sys(err, errno, "cannot replace the mirror of '%s'", m->url.clean);
}

static int fetch_into(struct hub_source *s, const struct mirror *m, git_repository *repo,
		      int64_t max_bytes, const struct hub_credentials *credentials,
		      struct cox_error *err)
{
	static const struct hub_credentials none;
	struct hub_fetch f = {
		.source = s,
		.url = &m->url,
		.credentials = credentials ? credentials : &none,
		.deadline_ms = cox_clock_ms() + s->options.fetch_timeout_ms,
		.max_bytes = max_bytes,
	};
	int r;

	hub_watch_begin(&f);
	hub_fetch_now = &f;
	r = hub_watch_check(&f, err);
	if (r == 0)
		r = talk(&f, repo, err);
	hub_fetch_now = NULL;
	hub_watch_end(&f);
	return r;
}

/* Beside the old one, which serves until the new one is complete. */
static int build_anew(struct hub_source *s, const struct mirror *m,
		      const struct hub_credentials *credentials, struct cox_error *err)
{
	_cleanup_free_ char *fresh = cox_asprintf("%s.new", m->dir);
	_cleanup_repo_ git_repository *repo = NULL;
	int r;

	r = make_mirror(&m->url, fresh, &repo, err);
	if (r == 0)
		r = fetch_into(s, m, repo, s->options.max_repo_bytes, credentials, err);
	if (r >= 0)
		r = replace_mirror(m, fresh, err);
	if (r < 0) {
		remove_dir(fresh, NULL);
		return r;
	}
	return 1;
}

int hub_mirror_fetch(struct hub_source *s, struct mirror *m,
		     const struct hub_credentials *credentials, struct cox_error *err)
{
	_cleanup_repo_ git_repository *repo = NULL;

	if (!open_sound(s, m, &repo))
		return build_anew(s, m, credentials, err);
	return fetch_into(s, m, repo, s->options.max_repo_bytes - measured.n_bytes, credentials,
			  err);
}

int hub_source_forget(struct hub_source *s, const char *url, struct cox_error *err)
{
	struct hub_url u = {0};
	char name[COX_SHA256_TEXT];
	_cleanup_free_ char *dir = NULL;
	int r;

	r = hub_url_parse(url, &u, err);
	if (r < 0)
		return r;
	cox_sha256_hex(cox_str(u.clean), name);
	dir = cox_path_join(s->dir, name);
	hub_url_fini(&u);
	return remove_dir(dir, err);
}
