/* Rendering, in the pool: commits of the sources in, a bundle out. */
#include "hub/render/render.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/crypto/digest.h"
#include "common/doc/json.h"
#include "hub/control/made.h"
#include "hub/render/bundle.h"
#include "hub/source/tree.h"

#include <stdio.h>

/* One rendering, for all Applications that ask for the same: what enters it (made.h) and the commits
 * are its key. While it is queued or runs, what the worker needs belongs to the worker; the list of
 * those who wait is the loop's. What was rendered lately is kept, so that a hundredth cluster costs
 * nothing; and each Application keeps what was made for it, so that a commit which touches nothing of
 * what that was made from costs a look at ids. */
struct render_job {
	struct cox_job job;
	struct hub_control *control;
	struct cox_list node; /* of control's render_order, once done */
	char *key;	      /* in control's renders */
	cox_strings waiting;  /* keys of Applications */
	bool done;
	/* in */
	struct repo_sources *sources;
	struct cox_doc *doc; /* an Application with these sources */
	cox_strings commits;
	control_remotes remotes; /* that are there; the worker notes which it used */
	char *app_name;		 /* NULL: rendered for any Application */
	bool split; /* the hub's own kinds are taken out: the destination is the hub's cluster */
	struct control_made
		*before; /* of earlier commits; NULL: there is nothing, or it is not wanted */
	/* out */
	struct cox_error error;
	bool needs_app;		/* it is not the same for any */
	control_remotes needed; /* remote bases that are not there yet: nothing else counts then */
	struct control_made *made; /* the worker's until it is done; NULL: before stands */
	struct cox_buf row;
};

#define KEEP_RENDERS 256
#define KEY_END	     '\x1f' /* of the commits in a key; no text of a URL or of JSON holds it */

static void job_free(struct render_job *j)
{
	cox_list_remove(&j->node);
	cox_doc_unref(j->doc);
	cox_strings_fini(&j->waiting);
	cox_strings_fini(&j->commits);
	control_remotes_fini(&j->remotes);
	control_remotes_fini(&j->needed);
	cox_buf_fini(&j->row);
	control_made_unref(j->before);
	control_made_unref(j->made);
	free(j->app_name);
	free(j->key);
	free(j);
}

void control_rendered_fini(struct control_rendered *r)
{
	cox_strings_fini(&r->commits);
	cox_strings_fini(&r->remotes);
	cox_docs_fini(&r->own);
	control_made_unref(r->made);
	free(r->error);
	*r = (struct control_rendered){0};
}

/* ---- in the pool ---- */

static bool is_own_kind(const struct cox_node *object)
{
	enum hub_kind kind = hub_kind_of(object);

	return kind == HUB_APPLICATION || kind == HUB_APPLICATION_SET || kind == HUB_APP_PROJECT;
}

/* A source that only gives value files to others has nothing to render. */
static bool is_reference_only(const struct hub_source *s)
{
	return *s->ref && !*s->path && !*s->chart;
}

static int remote_tree(void *ctx, const char *url, const char *revision, struct hub_tree **ret_tree,
		       struct cox_error *err)
{
	struct render_job *j = ctx;
	struct control_remote *remote = control_remote_find(&j->remotes, url, revision);

	if (remote) {
		remote->used = true;
		return control_repo_tree(j->sources, remote->url, remote->commit, ret_tree, err);
	}
	if (!control_remote_find(&j->needed, url, revision))
		control_remote_add(&j->needed, url, revision, "");
	*ret_tree = NULL;
	return 0;
}

/* Appends to objects; what was read is for made. */
static int render_source(struct render_job *j, const struct hub_application *view,
			 const struct hub_source *source, const char *commit, cox_docs *objects,
			 struct cox_error *err)
{
	_cleanup_tree_ struct hub_tree *tree = NULL;
	_cleanup_rendered_ struct hub_rendered rendered = {0};
	const struct hub_render_app app = {j->app_name, view->destination.namespace, view->project,
					   commit};
	struct hub_render_options options = {.remote = remote_tree,
					     .ctx = j,
					     .app = j->app_name ? &app : NULL,
					     .ret_needs_app = &j->needs_app};
	int r = control_repo_tree(j->sources, source->repo_url, commit, &tree, err);

	if (r == 0)
		r = hub_render(tree, source, &options, &rendered, err);
	if (r < 0)
		return r;
	COX_VEC_EACH (&rendered.objects, doc) {
		if (j->split && is_own_kind(cox_doc_root(*doc)))
			cox_vec_push(&j->made->own, cox_doc_ref(*doc));
		else
			cox_vec_push(objects, cox_doc_ref(*doc));
	}
	cox_vec_push(&j->made->reads, rendered.reads);
	rendered.reads = HUB_READS_INIT;
	return 0;
}

static void add_remotes(struct render_job *j)
{
	COX_VEC_EACH (&j->remotes, r)
		if (r->used)
			control_remote_add(&j->made->remotes, r->url, r->revision, r->commit);
}

static int render(struct render_job *j, const struct hub_application *view, struct cox_error *err)
{
	_cleanup_docs_ cox_docs objects = {0};
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < view->sources.n; i++)
		if (is_reference_only(&view->sources.items[i]))
			cox_vec_push(&j->made->reads, HUB_READS_INIT);
		else
			r = render_source(j, view, &view->sources.items[i], j->commits.items[i],
					  &objects, err);
	if (r == 0)
		r = hub_bundle_build(&objects, &json, NULL, err);
	if (r < 0)
		return r;
	add_remotes(j);
	j->made->n_objects = objects.n;
	control_images(&objects, &j->made->images);
	cox_sha256(cox_buf_str(&json), j->made->digest);
	hub_bundle_pack(cox_buf_str(&json), &j->row);
	return 0;
}

static int find_out(struct render_job *j, struct cox_error *err)
{
	_cleanup_application_ struct hub_application view = {0};
	int r = hub_application_init(&view, j->doc, err);

	if (r < 0)
		return r;
	if (j->before && control_made_holds(j->before, j->sources, &view, &j->commits, &j->remotes))
		return 0;
	j->made = cox_new(struct control_made);
	j->made->n_refs = 1;
	return render(j, &view, err);
}

static void work(void *arg)
{
	struct render_job *j = arg;

	if (find_out(j, &j->error) == 0)
		j->error = COX_ERROR_INIT;
}

/* ---- on the loop ---- */

bool control_render_is_current(const struct control_app *a)
{
	const struct control_rendered *r = &a->rendered;

	if (!r->valid || r->generation != a->generation || r->commits.n != a->repos.n)
		return false;
	for (size_t i = 0; i < a->repos.n; i++)
		if (strcmp(r->commits.items[i], a->repos.items[i]->commit) != 0)
			return false;
	return control_remotes_are_current(a);
}

static struct control_made *made_of(const struct render_job *j)
{
	return j->made ? j->made : j->before;
}

/* The bundle may have been collected since it was made. */
static bool has_bundle(const struct hub_control *c, const struct control_made *made)
{
	char hex[2 * HUB_DIGEST_BYTES + 1];

	cox_hex_encode(made->digest, sizeof(made->digest), hex);
	return cox_map_has(&c->bundles, hex);
}

static void take(struct control_app *a, const struct render_job *j, int64_t generation)
{
	struct control_rendered *r = &a->rendered;

	control_rendered_fini(r);
	r->valid = true;
	r->generation = generation;
	COX_VEC_EACH (&j->commits, commit)
		cox_vec_push(&r->commits, cox_strdup(*commit));
	if (r->commits.n > 0)
		snprintf(r->revision, sizeof(r->revision), "%s", r->commits.items[0]);
	control_remotes_take(a, &j->remotes, j->error.code != 0);
	if (j->error.code) {
		r->error = cox_strdup(j->error.message);
		cox_log_warn("cannot render", COX_KV("application", a->key),
			     COX_KV("revision", r->revision), COX_KV_ERROR(&j->error));
		return;
	}
	r->made = control_made_ref(made_of(j));
	memcpy(r->digest, r->made->digest, sizeof(r->digest));
	r->n_objects = r->made->n_objects;
	COX_VEC_EACH (&r->made->own, doc)
		cox_vec_push(&r->own, cox_doc_ref(*doc));
}

static void forget(struct hub_control *c, struct render_job *j)
{
	cox_map_remove(&c->renders, j->key);
	job_free(j);
}

static void keep(struct hub_control *c, struct render_job *j)
{
	size_t n = 0;

	cox_list_append(&c->render_order, &j->node);
	COX_LIST_EACH(&c->render_order, node)
	n++;
	if (n > KEEP_RENDERS)
		forget(c, COX_LIST_FIRST(&c->render_order, struct render_job, node));
}

/* The outcome, or what is needed for one. */
static void settle(struct control_app *a, struct render_job *j)
{
	if (j->needs_app && !j->app_name) {
		a->own_render = true;
		return;
	}
	if (!j->needed.n) {
		take(a, j, a->job_generation);
		return;
	}
	/* all that the first rendering asked for is fetched, then it is rendered again */
	if (control_remotes_need(a, &j->needed, &j->commits, &j->error) < 0)
		take(a, j, a->job_generation);
}

/* Whether those who wait are to have the outcome. */
static bool succeed(struct render_job *j, enum cox_job_outcome outcome)
{
	struct hub_control *c = j->control;

	if (outcome != COX_JOB_DONE || c->stopping)
		return false;
	if (j->error.code) {
		c->renders_total++;
		c->render_failures += !j->needed.n && !j->needs_app;
		return true;
	}
	if (!j->made) {
		c->renders_reused++;
		return has_bundle(c, j->before);
	}
	c->renders_total++;
	control_bundle_keep(c, j->made->digest, cox_buf_str(&j->row));
	return true;
}

static void done(void *arg, enum cox_job_outcome outcome)
{
	struct render_job *j = arg;
	struct hub_control *c = j->control;
	bool counts = succeed(j, outcome);

	j->done = true;
	if (j->made)
		j->made->what = cox_strdup(strrchr(j->key, KEY_END) + 1);
	COX_VEC_EACH (&j->waiting, key) {
		struct control_app *a = control_app(c, *key);

		if (!a || a->job != j)
			continue;
		a->job = NULL;
		/* What was rendered stands even when something newer is known already: it is
		 * compared with the world again by the look that follows. */
		if (counts)
			settle(a, j);
		else
			a->hard = true;
		if (!c->stopping)
			cox_queue_add(c->apps, *key);
	}
	cox_strings_fini(&j->waiting);
	cox_buf_fini(&j->row);
	/* A failure may pass: a disk that was full, a mirror that was damaged. */
	if (counts && !j->error.code)
		keep(c, j);
	else
		forget(c, j);
}

/* Everything that the outcome depends on: the commits, then what enters. The caller's. */
static char *key_of(const struct control_app *a, const char *what)
{
	struct cox_buf key = COX_BUF_INIT;

	COX_VEC_EACH (&a->repos, r)
		cox_buf_printf(&key, "%s\n", (*r)->commit);
	COX_VEC_EACH (&a->remotes, r)
		cox_buf_printf(&key, "%s\n%s\n%s\n", (*r)->url, (*r)->revision, (*r)->commit);
	cox_buf_printf(&key, "%c%s", KEY_END, what);
	return cox_buf_take(&key);
}

/* What was made for it before, of the same but for the commits. */
static struct control_made *before_of(const struct control_app *a, const char *what, bool hard)
{
	struct control_made *made = a->rendered.made;

	if (hard || !made || strcmp(made->what, what) != 0 || !has_bundle(a->control, made))
		return NULL;
	return control_made_ref(made);
}

/* As Argo CD names it in the names of override files; the caller's. */
static char *instance_name(const struct control_app *a)
{
	const char *namespace = hub_object_namespace(a->view.root);

	if (!*namespace || strcmp(namespace, a->control->options.namespace) == 0)
		return cox_strdup(a->view.name);
	return cox_asprintf("%s_%s", namespace, a->view.name);
}

static int start(struct control_app *a, char *key_taken, bool split, struct control_made *before,
		 struct cox_error *err)
{
	struct hub_control *c = a->control;
	struct render_job *j = cox_new(struct render_job);
	int r;

	j->control = c;
	j->key = key_taken;
	cox_list_init(&j->node);
	j->sources = c->sources;
	j->doc = cox_doc_ref(a->view.doc);
	j->split = split;
	j->before = before;
	if (a->own_render)
		j->app_name = instance_name(a);
	COX_VEC_EACH (&a->repos, repo)
		cox_vec_push(&j->commits, cox_strdup((*repo)->commit));
	COX_VEC_EACH (&a->remotes, repo)
		if ((*repo)->commit[0])
			control_remote_add(&j->remotes, (*repo)->url, (*repo)->revision,
					   (*repo)->commit);
	r = cox_pool_submit(c->render_pool, &j->job, work, done, j, err);
	if (r < 0) {
		job_free(j);
		return r;
	}
	cox_map_set(&c->renders, j->key, j);
	cox_vec_push(&j->waiting, cox_strdup(a->key));
	a->job = j;
	return 0;
}

int control_render_start(struct control_app *a, struct cox_error *err)
{
	struct hub_control *c = a->control;
	bool split = hub_destination_is_in_cluster(&a->view.destination) ||
		     (a->cluster && cox_streq(a->cluster, c->options.in_cluster));
	_cleanup_free_ char *what = control_made_what(a, split), *key = key_of(a, what);
	struct render_job *j = cox_map_get(&c->renders, key);
	bool hard = a->hard;

	if (j && j->done && hard) {
		forget(c, j);
		j = NULL;
	}
	a->hard = false;
	a->job_generation = a->generation;
	if (j && j->done) {
		if (has_bundle(c, made_of(j))) {
			take(a, j, a->generation);
			return 1;
		}
		forget(c, j);
		j = NULL;
	}
	if (!j)
		return start(a, TAKE(key), split, before_of(a, what, hard), err);
	cox_vec_push(&j->waiting, cox_strdup(a->key));
	a->job = j;
	return 0;
}

void control_render_abandon(struct control_app *a)
{
	/* Others may wait for it; it finds out by itself that this one does not any more. */
	a->job = NULL;
}

void control_renders_fini(struct hub_control *c)
{
	COX_LIST_EACH(&c->render_order, node)
	job_free(COX_LIST_ENTRY(node, struct render_job, node));
	cox_map_fini(&c->renders);
}
