/* The Application controller: is it allowed, where does it go, which commits, what do they say. */
#include "common/base/clock.h"
#include "hub/control/internal.h"
#include "hub/model/cluster.h"

#include <stdio.h>

/* ---- conditions ---- */

static void condition_fini(struct control_condition *x)
{
	free(x->type);
	free(x->message);
}

bool control_condition_set(control_conditions *v, const char *type, const char *message)
{
	for (size_t i = 0; i < v->n; i++) {
		struct control_condition *x = &v->items[i];

		if (strcmp(x->type, type) != 0)
			continue;
		if (!message) {
			condition_fini(x);
			cox_vec_remove(v, i);
			return true;
		}
		if (strcmp(x->message, message) == 0)
			return false;
		free(x->message);
		x->message = cox_strdup(message);
		return true;
	}
	if (!message)
		return false;
	cox_vec_push(v, (struct control_condition){cox_strdup(type), cox_strdup(message),
						   cox_clock_wall_ms()});
	return true;
}

const char *control_condition_get(const control_conditions *v, const char *type)
{
	COX_VEC_EACH (v, x)
		if (strcmp(x->type, type) == 0)
			return x->message;
	return NULL;
}

void control_conditions_fini(control_conditions *v)
{
	COX_VEC_EACH (v, x)
		condition_fini(x);
	cox_vec_fini(v);
}

/* ---- life ---- */

struct control_app *control_app(struct hub_control *c, const char *key)
{
	struct control_object *o;

	if (*key == '?')
		return control_ask_app(c, key);
	o = control_object(c, HUB_APPLICATION, key);
	return o ? o->app : NULL;
}

struct control_app *control_app_by_uid(struct hub_control *c, const char *uid)
{
	return cox_map_get(&c->uids, uid);
}

static const struct cox_node *root_of(const struct control_app *a)
{
	return cox_doc_root(control_object(a->control, HUB_APPLICATION, a->key)->doc);
}

const char *control_app_uid(const struct control_app *a)
{
	return a->uid;
}

bool control_app_is_deleting(const struct control_app *a)
{
	return COX_GET(root_of(a), "metadata", "deletionTimestamp") != NULL;
}

struct control_app *control_app_new(struct hub_control *c, const char *key)
{
	struct control_app *a = cox_new(struct control_app);

	a->control = c;
	a->key = cox_strdup(key);
	return a;
}

void control_app_free(struct control_app *a)
{
	if (!a)
		return;
	control_render_abandon(a);
	control_line_leave(a);
	control_app_leave_all(a, &a->repos);
	control_app_leave_all(a, &a->remotes);
	cox_vec_fini(&a->repos);
	cox_vec_fini(&a->remotes);
	cox_strings_fini(&a->waits.commits);
	free(a->denied);
	if (a->uid)
		cox_map_remove(&a->control->uids, a->uid);
	if (a->has_view)
		hub_application_fini(&a->view);
	control_rendered_fini(&a->rendered);
	control_conditions_fini(&a->conditions);
	cox_doc_unref(a->history);
	cox_doc_unref(a->note);
	cox_doc_unref(a->pending);
	free(a->uid);
	free(a->problem);
	free(a->cluster);
	free(a->owner);
	free(a->key);
	free(a);
}

/* An Application that an ApplicationSet made moves with it; any other is a rollout of its own. */
static char *owner_of(struct hub_control *c, const char *key, const struct cox_node *root)
{
	const struct cox_node *owners = COX_GET(root, "metadata", "ownerReferences");

	for (size_t i = 0; i < cox_node_len(owners); i++) {
		const struct cox_node *o = cox_node_at(owners, i);

		if (cox_str_is(cox_node_str(cox_node_get(o, "kind")), "ApplicationSet"))
			return cox_asprintf("ApplicationSet/%s/%s",
					    *hub_object_namespace(root) ? hub_object_namespace(root)
									: c->options.namespace,
					    cox_node_cstr(cox_node_get(o, "name"), ""));
	}
	return cox_asprintf("Application/%s", key);
}

void control_app_set(struct control_app *a, struct cox_doc *doc)
{
	const struct cox_node *root = cox_doc_root(doc);
	struct cox_error err = COX_ERROR_INIT;
	char *owner = owner_of(a->control, a->key, root);

	if (a->has_view)
		hub_application_fini(&a->view);
	control_line_leave(a);
	free(a->owner);
	a->owner = owner;
	control_line_join(a);
	a->has_view = hub_application_init(&a->view, doc, &err) == 0;
	control_condition_set(&a->conditions, "InvalidSpecError", a->has_view ? NULL : err.message);
	a->generation = cox_node_int(COX_GET(root, "metadata", "generation"), 0);
	a->looked = false;
	if (!a->uid) {
		a->uid = cox_strdup(hub_object_uid(root));
		cox_map_set(&a->control->uids, a->uid, a);
	}
}

/* ---- is it allowed, and where does it go ---- */

/* ret_cluster: the Cluster, or NULL when the destination is the hub itself and nobody said which
 * cluster that is. */
static int find_cluster(struct hub_control *c, const struct hub_destination *d,
			const struct cox_node **ret_cluster, struct cox_error *err)
{
	const char *name = d->name, *by_server;
	const struct control_object *o;

	if (hub_destination_is_in_cluster(d)) {
		name = c->options.in_cluster;
		if (!name || !*name) {
			*ret_cluster = NULL;
			return 0;
		}
	}
	if (*name) {
		o = control_object(c, HUB_CLUSTER, name);
		if (!o)
			return cox_error(err, COX_NOT_FOUND,
					 "spec.destination: no cluster '%s' is registered: "
					 "`cox cluster add %s` makes it known",
					 name, name);
		*ret_cluster = cox_doc_root(o->doc);
		return 0;
	}
	by_server = control_cluster_by_server(c, d->server);
	if (!by_server)
		return cox_error(err, COX_NOT_FOUND,
				 "spec.destination: no registered cluster has the server '%s': "
				 "`cox cluster add NAME --server %s` makes it known",
				 d->server, d->server);
	if (!*by_server)
		return cox_error(
			err, COX_FAILED_PRECONDITION,
			"spec.destination: more than one cluster has the server '%s': name "
			"one by spec.destination.name",
			d->server);
	*ret_cluster = cox_doc_root(control_object(c, HUB_CLUSTER, by_server)->doc);
	return 0;
}

int control_app_project(const struct control_app *a, struct cox_project *ret, struct cox_error *err)
{
	struct hub_control *c = a->control;
	_cleanup_free_ char *key =
		control_key(c, HUB_APP_PROJECT, c->options.namespace, a->view.project);
	const struct control_object *o = control_object(c, HUB_APP_PROJECT, key);

	if (o)
		return cox_project_init(ret, o->doc, err);
	if (strcmp(a->view.project, "default") != 0)
		return cox_error(err, COX_NOT_FOUND, "spec.project: no AppProject '%s'",
				 a->view.project);
	cox_project_init_default(ret);
	return 0;
}

static int check_project(struct control_app *a, const struct cox_node *cluster,
			 struct cox_error *err)
{
	struct hub_control *c = a->control;
	const char *scope = cox_node_cstr(COX_GET(cluster, "spec", "project"), "");
	const char *server = cox_node_cstr(COX_GET(cluster, "spec", "server"), "");
	COX_CLEANUP(cox_project_fini) struct cox_project project = {0};
	const struct hub_destination *d = &a->view.destination;
	int r = control_app_project(a, &project, err);

	if (r == 0)
		r = cox_project_check_app_namespace(&project, hub_object_namespace(a->view.root),
						    c->options.namespace, err);
	COX_VEC_EACH (&a->view.sources, s)
		if (r == 0)
			r = cox_project_check_source(&project, s->repo_url, err);
	if (r == 0)
		r = cox_project_check_destination(&project, *d->server ? d->server : server,
						  cluster ? hub_object_name(cluster) : d->name,
						  d->namespace, err);
	if (r == 0 && cluster && *scope && strcmp(scope, a->view.project) != 0)
		r = cox_error(err, COX_PERMISSION_DENIED, "cluster '%s' belongs to project '%s'",
			      hub_object_name(cluster), scope);
	if (r == 0 && cluster && project.permit_only_scoped_clusters && !*scope)
		r = cox_error(err, COX_PERMISSION_DENIED,
			      "project '%s' permits only its own clusters, and '%s' is not one",
			      a->view.project, hub_object_name(cluster));
	return r;
}

int control_app_place(struct control_app *a, struct cox_error *err)
{
	const struct cox_node *cluster = NULL;
	int r;

	free(a->cluster);
	a->cluster = NULL;
	if (!a->has_view)
		return cox_error(err, COX_INVALID_ARGUMENT, "%s",
				 control_condition_get(&a->conditions, "InvalidSpecError"));
	r = find_cluster(a->control, &a->view.destination, &cluster, err);
	if (r == 0)
		r = check_project(a, cluster, err);
	if (r == 0 && cluster)
		a->cluster = cox_strdup(hub_object_name(cluster));
	return r;
}

/* ---- which commits ---- */

static bool repo_is(const struct control_repo *r, const struct hub_source *s)
{
	return strcmp(r->url, s->repo_url) == 0 && strcmp(r->revision, s->target_revision) == 0 &&
	       strcmp(r->tag_prefix, s->tag_prefix) == 0;
}

void control_app_follow(struct control_app *a)
{
	bool same = a->repos.n == a->view.sources.n;

	for (size_t i = 0; same && i < a->repos.n; i++)
		same = repo_is(a->repos.items[i], &a->view.sources.items[i]);
	if (same)
		return;
	control_app_leave_all(a, &a->repos);
	COX_VEC_EACH (&a->view.sources, s)
		cox_vec_push(&a->repos, control_repo_follow(a, s->repo_url, s->target_revision,
							    s->tag_prefix));
}

const char *control_app_repo_error(const struct control_app *a)
{
	COX_VEC_EACH (&a->repos, r)
		if ((*r)->error)
			return (*r)->error;
	COX_VEC_EACH (&a->remotes, r)
		if ((*r)->error)
			return (*r)->error;
	return NULL;
}

bool control_app_has_commits(const struct control_app *a)
{
	COX_VEC_EACH (&a->repos, r)
		if (!(*r)->commit[0])
			return false;
	COX_VEC_EACH (&a->remotes, r)
		if (!(*r)->commit[0])
			return false;
	return true;
}

bool control_app_may_render(const struct control_app *a)
{
	COX_VEC_EACH (&a->repos, r)
		if (!(*r)->commit[0])
			return false;
	return control_remotes_let_render(a);
}

/* ---- the controller ---- */

static void set_problem(struct control_app *a, const char *text)
{
	char *copy = cox_strdup(text);

	free(a->problem);
	a->problem = copy;
}

const hub_assignment *control_app_frozen(const struct control_app *a)
{
	const hub_assignment *have;

	if (!a->cluster || a->rendered.valid)
		return NULL;
	if (!control_app_is_paused(a) && (control_app_has_commits(a) || !control_app_repo_error(a)))
		return NULL;
	have = hub_fleet_assignment(a->control->fleet, a->cluster, a->uid);
	return have && have->target_digest.len == HUB_DIGEST_BYTES ? have : NULL;
}

bool control_app_is_settled(const struct control_app *a)
{
	if (!a->looked)
		return false;
	if (control_app_is_paused(a))
		return true;
	return control_app_frozen(a) || a->problem ||
	       (control_app_has_commits(a) && control_render_is_current(a));
}

/* What the repositories and the rendering say, as a condition; and as a problem where nothing is
 * there to go on with. */
static void judge(struct control_app *a)
{
	const char *error = control_app_repo_error(a);

	if (!error && a->rendered.valid && a->rendered.error)
		error = a->rendered.error;
	control_condition_set(&a->conditions, "ComparisonError", error);
	if (a->rendered.valid && control_render_is_current(a) && a->rendered.error)
		set_problem(a, a->rendered.error);
	else if (!control_app_has_commits(a) && control_app_repo_error(a) &&
		 !hub_fleet_cluster_of(a->control->fleet, a->uid))
		set_problem(a, control_app_repo_error(a));
	else if (!a->cluster && a->rendered.valid && a->rendered.n_objects > 0)
		set_problem(a, "spec.destination: the hub was not told which cluster it runs in: "
			       "start it with --in-cluster NAME, or name a registered cluster");
	else
		set_problem(a, NULL);
	if (!a->cluster)
		control_condition_set(&a->conditions, "InvalidSpecError",
				      a->problem && !error ? a->problem : NULL);
}

static enum cox_queue_result look(struct control_app *a)
{
	struct cox_error err = COX_ERROR_INIT;
	int r = control_app_place(a, &err);

	if (r < 0) {
		control_condition_set(&a->conditions, "InvalidSpecError", err.message);
		set_problem(a, err.message);
		a->looked = true;
		return COX_QUEUE_OK;
	}
	control_condition_set(&a->conditions, "InvalidSpecError", NULL);
	control_window_look(a);
	control_condition_set(&a->conditions, "Paused",
			      control_app_is_paused(a) ? "the annotation skip-reconcile says so"
						       : NULL);
	if (control_app_is_paused(a)) {
		control_app_leave_all(a, &a->repos);
		control_app_leave_all(a, &a->remotes);
		a->looked = true;
		return COX_QUEUE_OK;
	}
	control_app_follow(a);
	control_remotes_review(a);
	judge(a);
	a->looked = true;
	if (!control_app_may_render(a) || control_render_is_current(a) || a->job)
		return COX_QUEUE_OK;
	r = control_render_start(a, &err);
	if (r < 0) {
		control_condition_set(&a->conditions, "UnknownError", err.message);
		return COX_QUEUE_RETRY;
	}
	if (r > 0)
		judge(a);
	control_condition_set(&a->conditions, "UnknownError", NULL);
	return COX_QUEUE_OK;
}

enum cox_queue_result control_look_at_app(void *ctx, const char *key)
{
	struct hub_control *c = ctx;
	struct control_app *a = control_app(c, key);
	enum cox_queue_result result;

	if (!a || c->stopping)
		return COX_QUEUE_OK;
	if (a->ask)
		return control_look_at_ask(c, a);
	if (control_app_is_deleting(a)) {
		struct hub_batch *batch = hub_batch_new();

		control_app_delete_step(c, batch, a);
		hub_store_commit(c->store, batch);
		return COX_QUEUE_OK;
	}
	result = look(a);
	a->stale = true;
	control_pending_step(c, a);
	control_retry_refresh(c, a);
	control_rollout_dirty(c, a->owner);
	return result;
}
