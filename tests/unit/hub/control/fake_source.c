/* hub/source/source.h over memory: what a repository holds is what the test says. */
#include "fixture.h"
#include "hub/source/source.h"

#include <pthread.h>
#include <stdio.h>

struct commit {
	char id[65];
	struct hub_tree *tree;
};

struct repo {
	char url[256], head[65], error[200];
	struct commit commits[16];
	size_t n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct repo repos[8];
static size_t n_repos;

static struct repo *repo_of(const char *url)
{
	for (size_t i = 0; i < n_repos; i++)
		if (strcmp(repos[i].url, url) == 0)
			return &repos[i];
	return NULL;
}

static struct repo *repo_make(const char *url)
{
	struct repo *r = repo_of(url);

	if (r)
		return r;
	assert_true(n_repos < COX_ARRAY_LEN(repos));
	r = &repos[n_repos++];
	snprintf(r->url, sizeof(r->url), "%s", url);
	return r;
}

static struct commit *commit_of(struct repo *r, const char *id)
{
	for (size_t i = 0; r && i < r->n; i++)
		if (strcmp(r->commits[i].id, id) == 0)
			return &r->commits[i];
	return NULL;
}

void repo_set(const char *url, const char *commit, const char *path, const char *text)
{
	struct repo *r;
	struct commit *c;

	pthread_mutex_lock(&lock);
	r = repo_make(url);
	c = commit_of(r, commit);
	if (!c) {
		assert_true(r->n < COX_ARRAY_LEN(r->commits));
		c = &r->commits[r->n++];
		snprintf(c->id, sizeof(c->id), "%s", commit);
		c->tree = hub_tree_new_memory();
	}
	assert_int_equal(hub_tree_memory_add(c->tree, path, cox_str(text), NULL), 0);
	pthread_mutex_unlock(&lock);
}

void repo_head(const char *url, const char *commit)
{
	pthread_mutex_lock(&lock);
	snprintf(repo_make(url)->head, 65, "%s", commit);
	pthread_mutex_unlock(&lock);
}

void repo_break(const char *url, const char *message)
{
	pthread_mutex_lock(&lock);
	snprintf(repo_make(url)->error, sizeof(repos[0].error), "%s", message ? message : "");
	pthread_mutex_unlock(&lock);
}

void repos_clear(void)
{
	for (size_t i = 0; i < n_repos; i++)
		for (size_t k = 0; k < repos[i].n; k++)
			hub_tree_unref(repos[i].commits[k].tree);
	memset(repos, 0, sizeof(repos));
	n_repos = 0;
}

int hub_source_open(const struct hub_source_options *options, struct hub_source **ret_source,
		    struct cox_error *err)
{
	(void)options;
	(void)err;
	*ret_source = (struct hub_source *)repos;
	return 0;
}

void hub_source_cancel(struct hub_source *s)
{
	(void)s;
}

void hub_source_close(struct hub_source *s)
{
	(void)s;
}

int hub_source_fetch(struct hub_source *s, const char *url,
		     const struct hub_credentials *credentials, struct cox_error *err)
{
	struct repo *r;
	int e = 1;

	(void)s;
	(void)credentials;
	pthread_mutex_lock(&lock);
	r = repo_of(url);
	if (!r)
		e = cox_error(err, COX_NOT_FOUND, "no repository at '%s'", url);
	else if (r->error[0])
		e = cox_error(err, COX_UNAVAILABLE, "%s", r->error);
	pthread_mutex_unlock(&lock);
	return e;
}

int hub_source_resolve(struct hub_source *s, const char *url, const char *revision,
		       const char *tag_prefix, struct hub_revision *ret_revision,
		       struct cox_error *err)
{
	struct repo *r;
	int e = 0;

	(void)s;
	(void)tag_prefix;
	pthread_mutex_lock(&lock);
	r = repo_of(url);
	if (!r || !r->head[0] || (strcmp(revision, "HEAD") != 0 && strcmp(revision, "main") != 0))
		e = cox_error(err, COX_NOT_FOUND, "no revision '%s'", revision);
	else
		snprintf(ret_revision->commit, sizeof(ret_revision->commit), "%s", r->head);
	pthread_mutex_unlock(&lock);
	return e;
}

int hub_source_tree(struct hub_source *s, const char *url, const char *commit,
		    struct hub_tree **ret_tree, struct cox_error *err)
{
	struct commit *c;
	int e = 0;

	(void)s;
	pthread_mutex_lock(&lock);
	c = commit_of(repo_of(url), commit);
	if (c)
		*ret_tree = hub_tree_ref(c->tree);
	else
		e = cox_error(err, COX_NOT_FOUND, "no commit '%s'", commit);
	pthread_mutex_unlock(&lock);
	return e;
}

bool hub_url_same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}
