/* Repositories at a revision: one watch for all Applications that follow it, so that they all see
 * one commit at one time. Fetched in the pool, polled with jitter. Questions that must tell nobody what
 * they saw (a plan) have watches of their own, apart from those. */
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "hub/control/addresses.h"
#include "hub/control/internal.h"
#include "hub/model/repository.h"
#include "hub/source/source.h"

#include <stdio.h>

#define POLL_MS		120000
#define POLL_JITTER_MS	60000
#define KNOWN_HOSTS_MAX (1 << 20)

/* What workers need, and may use at the same time as the loop. */
struct repo_sources {
	struct hub_source *source;
	struct control_addresses allowed; /* immutable */
};

/* What one look at a repository asks: all revisions of it that anybody follows, so that a push is seen
 * by all of them in one turn of the loop, and a rollout never pins half of it. */
struct repo_ask {
	char *key, *revision, *tag_prefix;
	struct cox_error error;
	struct hub_revision resolved;
};

#define APART '?' /* no URL begins so */

/* While it is queued or runs, all of it belongs to the worker. */
struct repo_job {
	struct cox_job job;
	struct hub_control *control;
	struct repo_sources *sources;
	char *key; /* the queue's: the URL, or APART and the URL */
	const char *url;
	char *known_hosts;
	struct hub_repository credentials;
	bool has_credentials;
	COX_VEC(struct repo_ask) asks;
	bool failed; /* one of them at least */
};

/* ---- credentials ---- */

static bool is_below(const char *url, const char *prefix)
{
	size_t n = strlen(prefix);

	while (n > 0 && prefix[n - 1] == '/')
		n--;
	return n > 0 && strncmp(url, prefix, n) == 0 && (url[n] == '\0' || url[n] == '/');
}

/* A repository's own Secret, else the longest template that its URL begins with. */
static bool find_credentials(struct hub_control *c, const char *url, struct hub_repository *ret)
{
	size_t best = 0;
	bool found = false;

	COX_MAP_EACH (&c->objects[HUB_SECRET], slot) {
		struct hub_repository repo = {0};
		bool exact, wins;

		if (hub_repository_init(&repo, ((struct control_object *)slot->value)->doc, NULL) <
		    0)
			continue;
		exact = !repo.is_template && hub_url_same(repo.url, url);
		wins = exact ||
		       (repo.is_template && is_below(url, repo.url) && strlen(repo.url) > best);
		if (!wins) {
			hub_repository_fini(&repo);
			continue;
		}
		if (found)
			hub_repository_fini(ret);
		*ret = repo;
		found = true;
		best = exact ? SIZE_MAX : strlen(repo.url);
		if (exact)
			break;
	}
	return found;
}

/* ---- in the pool ---- */

static const char *given(const char *text)
{
	return text && *text ? text : NULL;
}

static int fetch(struct repo_job *j, struct cox_error *err)
{
	struct hub_credentials use = {.known_hosts = given(j->known_hosts)};

	if (j->has_credentials) {
		use.username = given(j->credentials.username);
		use.password = given(j->credentials.password);
		use.bearer = given(j->credentials.bearer_token);
		use.tls_ca = given(j->credentials.tls_ca);
		use.ssh_key = given(j->credentials.ssh_private_key);
	}
	return hub_source_fetch(j->sources->source, j->url, &use, err);
}

static void work(void *arg)
{
	struct repo_job *j = arg;
	struct cox_error err = COX_ERROR_INIT;
	int fetched = fetch(j, &err);

	COX_VEC_EACH (&j->asks, ask) {
		int r = fetched;

		if (fetched < 0)
			ask->error = err;
		else
			r = hub_source_resolve(j->sources->source, j->url, ask->revision,
					       ask->tag_prefix, &ask->resolved, &ask->error);
		if (r >= 0)
			ask->error = COX_ERROR_INIT;
		j->failed = j->failed || r < 0;
	}
}

/* ---- on the loop ---- */

static void job_free(struct repo_job *j)
{
	COX_VEC_EACH (&j->asks, ask) {
		free(ask->key);
		free(ask->revision);
		free(ask->tag_prefix);
	}
	cox_vec_fini(&j->asks);
	if (j->has_credentials)
		hub_repository_fini(&j->credentials);
	free(j->known_hosts);
	free(j->key);
	free(j);
}

static void tell_apps(struct hub_control *c, const struct control_repo *r)
{
	COX_MAP_EACH (&r->apps, slot)
		cox_queue_add(c->apps, slot->key);
}

static int64_t next_poll(const struct hub_control *c)
{
	int64_t poll = c->options.poll_ms ? c->options.poll_ms : POLL_MS;
	uint32_t random;

	cox_random_bytes(&random, sizeof(random));
	return poll + random % (poll < POLL_JITTER_MS ? poll / 2 + 1 : POLL_JITTER_MS);
}

static void looked(struct hub_control *c, struct control_repo *r, const struct repo_ask *ask)
{
	bool news = !r->looked;

	r->looked = true;
	c->resolves++;
	if (ask->error.code) {
		c->resolve_failures++;
		if (!cox_streq(r->error, ask->error.message)) {
			cox_log_warn("cannot look at a repository", COX_KV_URL("url", r->url),
				     COX_KV("revision", r->revision), COX_KV_ERROR(&ask->error));
			free(r->error);
			r->error = cox_strdup(ask->error.message);
			news = true;
		}
	} else {
		news = news || r->error || strcmp(r->commit, ask->resolved.commit) != 0;
		free(r->error);
		r->error = NULL;
		snprintf(r->commit, sizeof(r->commit), "%s", ask->resolved.commit);
		r->looked_ms = cox_clock_wall_ms();
	}
	if (news)
		tell_apps(c, r);
}

static void done(void *arg, enum cox_job_outcome outcome)
{
	struct repo_job *j = arg;
	struct hub_control *c = j->control;
	bool counts = outcome == COX_JOB_DONE && !c->stopping;

	COX_VEC_EACH (&j->asks, ask) {
		struct control_repo *r = cox_map_get(&c->repos, ask->key);

		if (r && counts)
			looked(c, r, ask);
	}
	cox_queue_done(c->repo_queue, j->key, counts && j->failed ? COX_QUEUE_RETRY : COX_QUEUE_OK);
	if (counts && !j->failed)
		cox_queue_add_after(c->repo_queue, j->key, next_poll(c));
	job_free(j);
}

static char *known_hosts(struct hub_control *c)
{
	_cleanup_free_ char *own = cox_path_join(hub_store_dir(c->store), "known_hosts");
	const char *const paths[] = {own, "/etc/ssh/ssh_known_hosts"};
	struct cox_buf text = COX_BUF_INIT;

	for (size_t i = 0; i < COX_ARRAY_LEN(paths); i++)
		if (cox_file_read(paths[i], KNOWN_HOSTS_MAX, &text, NULL) == 0)
			cox_buf_putc(&text, '\n');
	return cox_buf_take(&text);
}

enum cox_queue_result control_look_at_repo(void *ctx, const char *key)
{
	struct hub_control *c = ctx;
	struct repo_job *j = cox_new(struct repo_job);
	bool apart = *key == APART;
	const char *url = key + apart;

	COX_MAP_EACH (&c->repos, slot) {
		const struct control_repo *r = slot->value;
		struct repo_ask ask = {0};

		if (r->apart != apart || strcmp(r->url, url) != 0)
			continue;
		ask.key = cox_strdup(slot->key);
		ask.revision = cox_strdup(r->revision);
		ask.tag_prefix = cox_strdup(r->tag_prefix);
		cox_vec_push(&j->asks, ask);
	}
	if (j->asks.n == 0 || c->stopping) {
		job_free(j);
		return COX_QUEUE_OK;
	}
	j->control = c;
	j->sources = c->sources;
	j->key = cox_strdup(key);
	j->url = j->key + apart;
	j->known_hosts = known_hosts(c);
	j->has_credentials = find_credentials(c, url, &j->credentials);
	if (cox_pool_submit(c->fetch_pool, &j->job, work, done, j, NULL) < 0) {
		job_free(j);
		return COX_QUEUE_RETRY;
	}
	return COX_QUEUE_BUSY;
}

struct control_repo *control_repo_follow(struct control_app *a, const char *url,
					 const char *revision, const char *tag_prefix)
{
	static const char mark[] = {APART, 0};
	struct hub_control *c = a->control;
	/* None of the three holds a line feed: the model refuses control characters. */
	_cleanup_free_ char *key =
		cox_asprintf("%s%s\n%s\n%s", a->apart ? mark : "", url, revision, tag_prefix);
	_cleanup_free_ char *queue_key = cox_asprintf("%s%s", a->apart ? mark : "", url);
	struct control_repo *r = cox_map_get(&c->repos, key);

	if (!r) {
		r = cox_new(struct control_repo);
		r->key = cox_strdup(key);
		r->url = cox_strdup(url);
		r->revision = cox_strdup(revision);
		r->tag_prefix = cox_strdup(tag_prefix);
		r->apart = a->apart;
		cox_map_set(&c->repos, key, r);
		cox_queue_add(c->repo_queue, queue_key);
	}
	cox_map_set(&r->apps, a->key, r);
	return r;
}

static void repo_free(void *p)
{
	struct control_repo *r = p;

	cox_map_fini(&r->apps);
	free(r->tag_prefix);
	free(r->revision);
	free(r->error);
	free(r->url);
	free(r->key);
	free(r);
}

void control_repo_leave(struct hub_control *c, struct control_repo *r, const char *app_key)
{
	cox_map_remove(&r->apps, app_key);
	if (r->apps.n > 0)
		return;
	cox_map_remove(&c->repos, r->key);
	repo_free(r);
}

void control_repos_reload(struct hub_control *c)
{
	COX_MAP_EACH (&c->repos, slot)
		cox_queue_add(c->repo_queue, ((struct control_repo *)slot->value)->url);
}

int control_repo_tree(struct repo_sources *s, const char *url, const char *commit,
		      struct hub_tree **ret_tree, struct cox_error *err)
{
	return hub_source_tree(s->source, url, commit, ret_tree, err);
}

static int check_address(void *arg, const char *host, const struct sockaddr *address,
			 struct cox_error *err)
{
	return control_addresses_check(arg, host, address, err);
}

int control_repos_init(struct hub_control *c, struct cox_error *err)
{
	_cleanup_free_ char *dir = cox_path_join(hub_store_dir(c->store), "repositories");
	struct repo_sources *s = cox_new(struct repo_sources);
	int r;

	c->sources = s;
	r = control_addresses_init(&s->allowed, c->options.allow_net, err);
	if (r < 0)
		return r;
	return hub_source_open(
		&(struct hub_source_options){.dir = dir,
					     .allow_file = c->options.allow_file_repos,
					     .check_address = check_address,
					     .check_address_arg = &s->allowed},
		&s->source, err);
}

void control_repos_cancel(struct hub_control *c)
{
	if (c->sources && c->sources->source)
		hub_source_cancel(c->sources->source);
}

void control_repos_fini(struct hub_control *c)
{
	cox_map_fini_values(&c->repos, repo_free);
	if (!c->sources)
		return;
	hub_source_close(c->sources->source);
	control_addresses_fini(&c->sources->allowed);
	free(c->sources);
	c->sources = NULL;
}
