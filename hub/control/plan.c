/* The life of a plan: what is asked, its phases one after the other, its end. */
#include "hub/control/plan.h"

#include "common/base/log.h"
#include "hub/control/made.h"

/* ---- life ---- */

static void app_free(struct plan_app *x)
{
	struct control_app *a = &x->app;

	if (x->ask)
		hub_control_ask_cancel(x->ask);
	plan_question_drop(x->question);
	cox_differences_fini(&x->changes);
	if (a->has_view)
		hub_application_fini(&a->view);
	control_rendered_fini(&a->rendered);
	free(a->key);
	free(a->uid);
	free(a->owner);
	free(a->cluster);
	free(a->problem);
	cox_doc_unref(x->old);
	cox_doc_unref(x->doc);
	cox_doc_unref(x->objects);
	free(x->message);
	free(x->leaves);
	free(x->why_unknown);
	free(x->state_message);
	free(x->previous_revision);
	free(x);
}

static void plan_free(struct control_plan *p)
{
	cox_list_remove(&p->node);
	p->control->n_plans--;
	cox_timer_stop(&p->go);
	cox_timer_stop(&p->deadline);
	COX_VEC_EACH (&p->apps, x)
		app_free(*x);
	cox_vec_fini(&p->apps);
	cox_forecast_free(p->forecast);
	cox_rollout_plan_fini(&p->plan);
	control_verdict_fini(&p->deletions);
	cox_strings_fini(&p->problems);
	cox_vec_fini(&p->waves);
	cox_map_fini(&p->busy);
	cox_buf_fini(&p->bundle);
	cox_doc_unref(p->set);
	cox_doc_unref(p->policy);
	free(p->rollout.message);
	free(p->rollout.id);
	free(p->rollout.wave);
	free(p->rollout.revision);
	free(p->plan_problem);
	free(p->revision);
	free(p->owner);
	free(p);
}

void hub_control_plan_cancel(struct control_plan *p)
{
	plan_free(p);
}

static void fail(struct control_plan *p, const struct cox_error *err)
{
	p->done(p->arg, NULL, err);
	plan_free(p);
}

void control_plans_end(struct hub_control *c)
{
	struct cox_error err;

	(void)cox_error(&err, COX_UNAVAILABLE, "the hub is stopping");
	while (!cox_list_is_empty(&c->plans))
		fail(COX_LIST_FIRST(&c->plans, struct control_plan, node), &err);
}

void plan_go(struct control_plan *p)
{
	if (!cox_timer_is_running(&p->go))
		cox_timer_start(&p->go, 0);
}

static void tell(struct control_plan *p, const char *what, size_t n, size_t all)
{
	if (p->progress)
		p->progress(p->arg, what, n, all);
}

/* ---- the Applications ---- */

void plan_app_say(struct plan_app *x, const char *format, ...)
{
	struct cox_buf text = COX_BUF_INIT;
	va_list args;

	if (x->message)
		cox_buf_printf(&text, "%s; ", x->message);
	va_start(args, format);
	cox_buf_vprintf(&text, format, args);
	va_end(args);
	free(x->message);
	x->message = cox_buf_take(&text);
}

static void set_problem(struct plan_app *x, const char *text)
{
	free(x->app.problem);
	x->app.problem = cox_strdup(text);
}

/* Where it is, or would be. */
static void place(struct plan_app *x)
{
	struct control_app *a = &x->app;
	const char *now = hub_fleet_cluster_of(a->control->fleet, a->uid);
	struct cox_error err = COX_ERROR_INIT;

	if (!plan_app_stays(x)) {
		a->cluster = cox_strdup(now);
		return;
	}
	if (control_app_place(a, &err) < 0) {
		set_problem(x, err.message);
		return;
	}
	if (now && a->cluster && strcmp(now, a->cluster) != 0)
		x->leaves = cox_strdup(now);
}

struct plan_app *plan_app_add(struct control_plan *p, const char *key, enum plan_action action,
			      struct cox_doc *old, struct cox_doc *doc)
{
	struct plan_app *x = cox_new(struct plan_app);
	struct control_app *a = &x->app;
	struct cox_error err = COX_ERROR_INIT;

	x->plan = p;
	x->action = action;
	x->wave = -1;
	x->old = old ? cox_doc_ref(old) : NULL;
	x->doc = doc ? cox_doc_ref(doc) : NULL;
	a->control = p->control;
	a->key = cox_strdup(key);
	a->owner = cox_strdup(p->owner);
	/* what is not there yet has no uid: nobody else has this one */
	a->uid = old && action != PLAN_CREATE ? cox_strdup(hub_object_uid(cox_doc_root(old)))
					      : cox_asprintf("new:%s", key);
	cox_vec_push(&p->apps, x);
	a->has_view = hub_application_init(&a->view, doc ? doc : old, &err) == 0;
	if (a->has_view)
		place(x);
	else
		set_problem(x, err.message);
	x->is_member = plan_app_stays(x);
	if (x->is_member && a->has_view && control_app_is_paused(a))
		plan_app_say(x, "paused: the annotation skip-reconcile says so");
	return x;
}

/* ---- rendering ---- */

static void take_rendering(struct plan_app *x, const struct hub_bundle_at *bundle,
			   const struct cox_error *err)
{
	struct control_app *a = &x->app;
	struct control_rendered *r = &a->rendered;

	x->rendered = true;
	x->plan->n_rendered++;
	r->valid = true;
	if (!bundle) {
		r->error = cox_strdup(err->message);
		set_problem(x, err->message);
		return;
	}
	memcpy(r->digest, bundle->digest, sizeof(r->digest));
	strncat(r->revision, bundle->revision, sizeof(r->revision) - 1);
	r->n_objects = bundle->n_objects;
	if (!a->cluster && r->n_objects > 0)
		set_problem(x, "spec.destination: the hub was not told which cluster it runs in: "
			       "start it with --in-cluster NAME, or name a registered cluster");
}

static void rendered(void *arg, const struct hub_bundle_at *bundle, const struct cox_error *err)
{
	struct plan_app *x = arg;

	x->ask = NULL;
	x->plan->n_rendering--;
	take_rendering(x, bundle, err);
	plan_go(x->plan);
}

static bool needs_rendering(const struct plan_app *x)
{
	return plan_app_stays(x) && x->app.has_view && !x->app.problem &&
	       !control_app_is_paused(&x->app);
}

static void begin_rendering(struct plan_app *x)
{
	const struct control_app *known = control_app_by_uid(x->app.control, x->app.uid);
	struct cox_error err = COX_ERROR_INIT;

	if (control_ask_about(&x->app, x->plan->revision, known ? known->rendered.made : NULL,
			      rendered, x, &x->ask, &err) < 0)
		take_rendering(x, NULL, &err);
	else
		x->plan->n_rendering++;
}

/* true when all is rendered. */
static bool render(struct control_plan *p)
{
	while (p->next < p->apps.n && p->n_rendering < PLAN_RENDERINGS) {
		struct plan_app *x = p->apps.items[p->next++];

		if (needs_rendering(x))
			begin_rendering(x);
	}
	if (p->n_to_render)
		tell(p, "rendering", p->n_rendered, p->n_to_render);
	return p->next == p->apps.n && p->n_rendering == 0;
}

/* ---- phases: each is entered again until it is over ---- */

static bool answer(struct control_plan *p)
{
	_cleanup_doc_ struct cox_doc *doc = plan_answer(p);

	p->done(p->arg, doc, NULL);
	plan_free(p);
	return false;
}

static bool look_ahead(struct control_plan *p)
{
	if (p->forecast && !p->late && !cox_forecast_run(p->forecast, PLAN_STEPS)) {
		plan_go(p);
		return false;
	}
	p->phase = answer;
	return true;
}

static bool compare(struct control_plan *p)
{
	bool over = plan_compare(p);

	if (p->n_to_compare)
		tell(p, "asking agents", p->n_compared, p->n_to_compare);
	if (!over)
		return false;
	tell(p, "looking ahead", 0, 0);
	p->phase = look_ahead;
	return true;
}

static bool all_rendered(struct control_plan *p)
{
	if (!render(p))
		return false;
	plan_waves(p);
	plan_choose(p);
	p->phase = compare;
	return true;
}

static void go(void *arg)
{
	struct control_plan *p = arg;

	while (p->phase(p))
		;
}

/* It has taken too long: what is not known by now stays unknown. */
static void late(void *arg)
{
	struct control_plan *p = arg;
	struct cox_error err;

	p->late = true;
	(void)cox_error(&err, COX_DEADLINE_EXCEEDED, "the plan has taken too long");
	COX_VEC_EACH (&p->apps, slot) {
		struct plan_app *x = *slot;

		if (x->ask) {
			hub_control_ask_cancel(TAKE(x->ask));
			p->n_rendering--;
		}
		if (needs_rendering(x) && !x->rendered)
			take_rendering(x, NULL, &err);
	}
	p->next = p->phase == all_rendered ? p->apps.n : p->next;
	plan_go(p);
}

/* ---- the question ---- */

static int check_policy(struct hub_control *c, struct cox_doc *policy, struct cox_error *err)
{
	if (hub_kind_of(cox_doc_root(policy)) != HUB_ROLLOUT_POLICY)
		return cox_error(err, COX_INVALID_ARGUMENT, "policy: is no RolloutPolicy, but '%s'",
				 cox_node_cstr(cox_node_get(cox_doc_root(policy), "kind"), "?"));
	return hub_control_check(c, policy, err) < 0 ? cox_error_wrap(err, "policy") : 0;
}

static int check_limits(const struct hub_plan_request *q, struct cox_error *err)
{
	if (q->max_targets < 0 || q->max_targets > HUB_PLAN_TARGETS_MAX)
		return cox_error(err, COX_INVALID_ARGUMENT, "targets: from 1 to %d",
				 HUB_PLAN_TARGETS_MAX);
	if (q->target_ms < 0 || q->target_ms > HUB_PLAN_TARGET_MAX_MS)
		return cox_error(err, COX_INVALID_ARGUMENT, "targetTimeout: at most %d seconds",
				 HUB_PLAN_TARGET_MAX_MS / 1000);
	return 0;
}

/* As it would be kept: under the uid that it has, or one that nothing bears. */
static int read_object(struct control_plan *p, struct cox_doc *object, struct cox_error *err)
{
	struct hub_control *c = p->control;
	const struct control_object *old;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	_cleanup_free_ char *key = NULL;
	struct cox_node *root, *metadata;
	char uid[COX_UUID_TEXT];
	struct hub_key name;
	int r;

	if (hub_kind_of(cox_doc_root(object)) != HUB_APPLICATION_SET)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "a plan is of an ApplicationSet, not of '%s'",
				 cox_node_cstr(cox_node_get(cox_doc_root(object), "kind"), "?"));
	r = hub_control_check(c, object, err);
	if (r == 0)
		r = hub_key_of(object, c->options.namespace, &name, err);
	if (r < 0)
		return r;
	key = control_key(c, HUB_APPLICATION_SET, name.namespace, name.name);
	old = control_object(c, HUB_APPLICATION_SET, key);
	doc = cox_doc_edit(object);
	root = cox_doc_root_edit(doc);
	metadata = cox_map_edit_map(doc, root, "metadata");
	cox_uuid_new(uid);
	cox_map_drop(doc, root, COX_STR("status"));
	cox_map_put_cstr(doc, metadata, "namespace", name.namespace);
	cox_map_put_cstr(doc, metadata, "uid", old ? hub_object_uid(cox_doc_root(old->doc)) : uid);
	p->set = cox_doc_copy(name.name, root);
	p->owner = cox_asprintf("ApplicationSet/%s", key);
	p->from_set = true;
	return 0;
}

static int read_name(struct control_plan *p, const struct hub_plan_request *q,
		     struct cox_error *err)
{
	struct hub_control *c = p->control;
	_cleanup_free_ char *key = control_key(c, HUB_APPLICATION_SET, q->namespace, q->name);
	const struct control_object *set = control_object(c, HUB_APPLICATION_SET, key);
	const struct control_app *a = q->set ? NULL : control_app(c, key);

	if (!set && !a)
		return cox_error(err, COX_NOT_FOUND, "no %s '%s'",
				 q->set ? "applicationset" : "ApplicationSet or Application", key);
	/* An Application of a set moves with the set. */
	if (!set && strncmp(a->owner, "ApplicationSet/", 15) == 0)
		set = control_object(c, HUB_APPLICATION_SET, a->owner + 15);
	if (set && COX_GET(cox_doc_root(set->doc), "metadata", "deletionTimestamp"))
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "applicationset '%s' is being deleted", set->key);
	p->set = set ? cox_doc_ref(set->doc) : NULL;
	p->owner = set ? cox_asprintf("ApplicationSet/%s", set->key) : cox_strdup(a->owner);
	p->from_set = q->set;
	return 0;
}

static int read_request(struct control_plan *p, const struct hub_plan_request *q,
			struct cox_error *err)
{
	int r = check_limits(q, err);

	if (r == 0 && q->policy)
		r = check_policy(p->control, q->policy, err);
	if (r == 0)
		r = q->object ? read_object(p, q->object, err) : read_name(p, q, err);
	if (r < 0)
		return r;
	p->policy = q->policy ? cox_doc_ref(q->policy) : NULL;
	p->revision = q->revision && *q->revision ? cox_strdup(q->revision) : NULL;
	p->tells_objects = q->objects;
	p->max_comparisons = q->max_targets ? (size_t)q->max_targets : HUB_PLAN_TARGETS;
	p->comparison_ms = q->target_ms ? q->target_ms : HUB_PLAN_TARGET_MS;
	return plan_collect(p, err);
}

int hub_control_plan(struct hub_control *c, const struct hub_plan_request *request,
		     hub_control_plan_done *done, hub_control_plan_progress *progress, void *arg,
		     struct control_plan **ret_plan, struct cox_error *err)
{
	struct control_plan *p;
	int r;

	if (c->n_plans >= PLANS_MAX)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "%d plans are being made already: ask again in a while",
				 PLANS_MAX);
	p = cox_new(struct control_plan);
	p->control = c;
	p->done = done;
	p->progress = progress;
	p->arg = arg;
	p->phase = all_rendered;
	cox_timer_init(&p->go, c->loop, go, p);
	cox_timer_init(&p->deadline, c->loop, late, p);
	cox_list_append(&c->plans, &p->node);
	c->n_plans++;
	r = read_request(p, request, err);
	if (r < 0) {
		plan_free(p);
		return r;
	}
	COX_VEC_EACH (&p->apps, x)
		p->n_to_render += needs_rendering(*x);
	cox_timer_start(&p->deadline, request->total_ms ? request->total_ms : HUB_PLAN_MS);
	plan_go(p);
	*ret_plan = p;
	return 0;
}
