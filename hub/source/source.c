#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/vec.h"
#include "hub/source/private.h"

#include <stdarg.h>
#include <stdio.h>

int hub_git_error(struct cox_error *err, enum cox_code code, const char *format, ...)
{
	const git_error *last = git_error_last();
	char what[200];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return cox_error(err, code, "%s: %.120s", what,
			 last && last->message ? last->message : "no reason given");
}

/* ---- libgit2, once a process, and never shut down: a tree may outlive its source ---- */

static pthread_mutex_t setup_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_set_up; /* under setup_lock */

/* Nobody's configuration but ours, and what is fetched is on the disk before it is used. */
static int set_up(struct cox_error *err)
{
	static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
				     GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL};

	for (size_t i = 0; i < COX_ARRAY_LEN(levels); i++)
		git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
	/* We run nothing that a repository's owner could have planted; a volume may well belong to
	 * another user. */
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	return hub_streams_register(err);
}

static int enter_library(struct cox_error *err)
{
	int r = 0;

	pthread_mutex_lock(&setup_lock);
	if (!is_set_up) {
		if (git_libgit2_init() < 0)
			r = hub_git_error(err, COX_INTERNAL, "cannot start libgit2");
		else
			r = set_up(err);
		is_set_up = r == 0;
	}
	pthread_mutex_unlock(&setup_lock);
	return r;
}

/* ---- the source ---- */

int hub_source_open(const struct hub_source_options *options, struct hub_source **ret_source,
		    struct cox_error *err)
{
	struct hub_source *s;
	int r;

	r = cox_dir_make(options->dir, 0700, err);
	if (r == 0)
		r = enter_library(err);
	if (r < 0)
		return r;
	s = cox_new(struct hub_source);
	s->options = *options;
	s->dir = cox_strdup(options->dir);
	s->options.dir = s->dir;
	if (!s->options.max_repo_bytes)
		s->options.max_repo_bytes = HUB_LIMIT_REPO_BYTES;
	if (!s->options.fetch_timeout_ms)
		s->options.fetch_timeout_ms = HUB_FETCH_TIMEOUT_MS;
	if (!s->options.connect_timeout_ms)
		s->options.connect_timeout_ms = HUB_CONNECT_TIMEOUT_MS;
	pthread_mutex_init(&s->lock, NULL);
	r = hub_watch_start(s, err);
	if (r < 0) {
		pthread_mutex_destroy(&s->lock);
		free(s->dir);
		free(s);
		return r;
	}
	*ret_source = s;
	return 0;
}

static void free_mirror(void *p)
{
	struct mirror *m = p;

	pthread_mutex_destroy(&m->fetch_lock);
	hub_url_fini(&m->url);
	free(m->dir);
	free(m);
}

void hub_source_close(struct hub_source *s)
{
	if (!s)
		return;
	hub_watch_stop(s);
	cox_map_fini_values(&s->mirrors, free_mirror);
	pthread_mutex_destroy(&s->lock);
	free(s->dir);
	free(s);
}

/* The mirror of a URL, made known when it is not. Borrowed; lives as long as the source. */
static int find_mirror(struct hub_source *s, const char *url, struct mirror **ret_mirror,
		       struct cox_error *err)
{
	char name[COX_SHA256_TEXT];
	struct hub_url u = {0};
	struct mirror *m;
	int r;

	r = hub_url_parse(url, &u, err);
	if (r < 0)
		return r;
	if (u.scheme == HUB_URL_FILE && !s->options.allow_file) {
		hub_url_fini(&u);
		return cox_error(err, COX_PERMISSION_DENIED,
				 "repositories in files are not allowed on this hub "
				 "(--allow-file-repos)");
	}
	pthread_mutex_lock(&s->lock);
	m = cox_map_get(&s->mirrors, u.clean);
	if (m) {
		hub_url_fini(&u);
	} else {
		m = cox_new(struct mirror);
		pthread_mutex_init(&m->fetch_lock, NULL);
		m->url = u;
		cox_sha256_hex(cox_str(u.clean), name);
		m->dir = cox_path_join(s->dir, name);
		cox_map_set(&s->mirrors, u.clean, m);
	}
	pthread_mutex_unlock(&s->lock);
	*ret_mirror = m;
	return 0;
}

static void hash_field(struct cox_sha256 *state, const char *text)
{
	uint64_t n = text ? strlen(text) + 1 : 0;

	cox_sha256_update(state, cox_str_n((const char *)&n, sizeof(n)));
	cox_sha256_update(state, cox_str(text ? text : ""));
}

/* Two that differ in any of their credentials do not share a fetch. */
static void hash_credentials(const struct hub_credentials *c, uint8_t ret_who[COX_SHA256_BYTES])
{
	static const struct hub_credentials none;
	struct cox_sha256 state = COX_SHA256_INIT;

	if (!c)
		c = &none;
	cox_sha256_init(&state);
	hash_field(&state, c->username);
	hash_field(&state, c->password);
	hash_field(&state, c->bearer);
	hash_field(&state, c->tls_ca);
	hash_field(&state, c->ssh_key);
	hash_field(&state, c->ssh_passphrase);
	hash_field(&state, c->known_hosts);
	cox_sha256_final(&state, ret_who);
}

/* With fetch_lock: somebody's fetch began after ticket was drawn, with the same credentials, and
 * went well. */
static bool is_served(struct hub_source *s, struct mirror *m, uint64_t ticket, const uint8_t *who,
		      uint64_t *ret_covers, int *ret_result)
{
	bool served;

	pthread_mutex_lock(&s->lock);
	served = m->n_served >= ticket && memcmp(m->last_who, who, COX_SHA256_BYTES) == 0;
	*ret_covers = m->n_asked;
	*ret_result = m->last_result;
	pthread_mutex_unlock(&s->lock);
	return served;
}

static int fetch_as(struct hub_source *s, struct mirror *m, uint64_t ticket,
		    const struct hub_credentials *credentials, struct cox_error *err)
{
	uint8_t who[COX_SHA256_BYTES];
	uint64_t covers;
	int r;

	hash_credentials(credentials, who);
	if (is_served(s, m, ticket, who, &covers, &r))
		return r;
	r = hub_mirror_fetch(s, m, credentials, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	m->n_served = covers;
	m->last_result = r;
	memcpy(m->last_who, who, sizeof(who));
	pthread_mutex_unlock(&s->lock);
	return r;
}

int hub_source_fetch(struct hub_source *s, const char *url,
		     const struct hub_credentials *credentials, struct cox_error *err)
{
	struct mirror *m = NULL;
	uint64_t ticket;
	int r;

	r = find_mirror(s, url, &m, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	ticket = ++m->n_asked;
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_lock(&m->fetch_lock);
	r = fetch_as(s, m, ticket, credentials, err);
	pthread_mutex_unlock(&m->fetch_lock);
	return r;
}

static int open_bare(const struct mirror *m, git_repository **ret_repo, struct cox_error *err)
{
	if (git_repository_open_bare(ret_repo, m->dir) < 0)
		return cox_error(err, COX_NOT_FOUND, "'%s' has not been fetched yet", m->url.clean);
	return 0;
}

int hub_mirror_find(struct hub_source *s, const char *url, struct mirror **ret_mirror,
		    git_repository **ret_repo, struct cox_error *err)
{
	int r = find_mirror(s, url, ret_mirror, err);

	return r < 0 ? r : open_bare(*ret_mirror, ret_repo, err);
}

static int parse_commit(const char *commit, git_oid *ret_id, struct cox_error *err)
{
	if (strlen(commit) != GIT_OID_HEXSZ || git_oid_fromstr(ret_id, commit) < 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "'%.64s' is not a commit's full name",
				 commit);
	return 0;
}

int hub_source_tree(struct hub_source *s, const char *url, const char *commit,
		    struct hub_tree **ret_tree, struct cox_error *err)
{
	_cleanup_repo_ git_repository *repo = NULL;
	struct mirror *m;
	git_oid id;
	int r;

	r = parse_commit(commit, &id, err);
	if (r == 0)
		r = hub_mirror_find(s, url, &m, &repo, err);
	return r < 0 ? r : hub_tree_open_commit(TAKE(repo), m->url.clean, &id, ret_tree, err);
}

void hub_commit_fini(struct hub_commit *c)
{
	free(c->author);
	free(c->message);
	*c = (struct hub_commit){0};
}

#define MESSAGE_MAX 4096

/* At most n bytes, whole characters, and nothing that is not UTF-8. */
static char *as_utf8(const char *text, size_t max)
{
	size_t n = text ? strnlen(text, max) : 0, bad;
	char *copy = cox_strndup(text ? text : "", n);

	while (!cox_utf8_valid(cox_str(copy), &bad))
		copy[bad] = bad + 4 > n ? '\0' : '?';
	return copy;
}

int hub_source_commit(struct hub_source *s, const char *url, const char *commit,
		      struct hub_commit *ret_commit, struct cox_error *err)
{
	_cleanup_repo_ git_repository *repo = NULL;
	struct hub_commit c = {0};
	_cleanup_free_ char *author = NULL;
	const git_signature *who;
	git_commit *object;
	struct mirror *m;
	git_oid id;
	int r;

	r = parse_commit(commit, &id, err);
	if (r == 0)
		r = hub_mirror_find(s, url, &m, &repo, err);
	if (r < 0)
		return r;
	if (git_commit_lookup(&object, repo, &id) < 0)
		return cox_error(err, COX_NOT_FOUND, "no commit %s in '%s'", commit, m->url.clean);
	who = git_commit_author(object);
	author = cox_asprintf("%.200s <%.200s>", who ? who->name : "", who ? who->email : "");
	memcpy(c.commit, commit, GIT_OID_HEXSZ);
	c.author = as_utf8(author, strlen(author));
	c.message = as_utf8(git_commit_message(object), MESSAGE_MAX);
	c.time_ms = (int64_t)git_commit_time(object) * 1000;
	git_commit_free(object);
	*ret_commit = c;
	return 0;
}

void hub_ref_list_fini(struct hub_ref_list *list)
{
	COX_VEC_EACH (list, ref)
		free(ref->name);
	cox_vec_fini(list);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct hub_ref *)a)->name, ((const struct hub_ref *)b)->name);
}

static void add_ref(git_repository *repo, const char *name, struct hub_ref_list *list)
{
	_cleanup_ref_ git_reference *ref = NULL;
	_cleanup_object_ git_object *commit = NULL;
	struct hub_ref one = {0};

	/* A tag of something else than a commit is nothing to deploy. */
	if (git_reference_lookup(&ref, repo, name) < 0 ||
	    git_reference_peel(&commit, ref, GIT_OBJECT_COMMIT) < 0)
		return;
	one.name = cox_strdup(name);
	git_oid_tostr(one.commit, sizeof(one.commit), git_object_id(commit));
	cox_vec_push(list, one);
}

int hub_source_refs(struct hub_source *s, const char *url, struct hub_ref_list *ret_list,
		    struct cox_error *err)
{
	_cleanup_repo_ git_repository *repo = NULL;
	struct hub_ref_list list = HUB_REF_LIST_INIT;
	git_strarray names = {0};
	struct mirror *m;
	int r;

	r = hub_mirror_find(s, url, &m, &repo, err);
	if (r < 0)
		return r;
	if (git_reference_list(&names, repo) < 0)
		return hub_git_error(err, COX_DATA_LOSS, "cannot list references of '%s'",
				     m->url.clean);
	for (size_t i = 0; i < names.count; i++)
		add_ref(repo, names.strings[i], &list);
	git_strarray_dispose(&names);
	cox_vec_sort(&list, by_name);
	*ret_list = list;
	return 0;
}
