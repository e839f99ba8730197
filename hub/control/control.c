#include "hub/control/control.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "hub/control/internal.h"

/* ---- what the fleet tells ---- */

static void on_report(void *ctx, const char *cluster, const char *app_uid)
{
	struct hub_control *c = ctx;
	struct control_app *a = control_app_by_uid(c, app_uid);

	if (!a && !c->stopping)
		control_gate_look(c, cluster, app_uid);
	if (!a || c->stopping)
		return;
	control_history_note(c, a);
	control_retry_refresh(c, a);
	control_rollout_heard(a, cluster);
	control_rollout_news(a);
}

static void on_deleted(void *ctx, const char *cluster, const char *app_uid)
{
	struct hub_control *c = ctx;
	struct control_app *a = control_app_by_uid(c, app_uid);

	cox_log_info("a cluster is rid of an application", COX_KV("cluster", cluster),
		     COX_KV("uid", app_uid));
	if (a && !c->stopping)
		cox_queue_add(c->apps, a->key);
}

static void look_again(void *ctx, const char *cluster, const hub_assignment *a,
		       const hub_tombstone *t)
{
	struct hub_control *c = ctx;
	struct control_app *app = a ? control_app_by_uid(c, a->app_uid) : NULL;

	(void)t;
	if (app)
		control_rollout_news(app);
	else if (control_gate_is_job(a))
		control_gate_note(c, cluster, a->app_uid);
}

static void on_cluster(void *ctx, const char *cluster)
{
	struct hub_control *c = ctx;

	if (!c->stopping && c->fleet)
		hub_fleet_each_of(c->fleet, cluster, look_again, c);
}

static const struct hub_fleet_events fleet_events = {
	.on_report = on_report, .on_deleted = on_deleted, .on_cluster = on_cluster};

/* ---- start and end ---- */

static int make_parts(struct hub_control *c, struct cox_error *err)
{
	struct hub_fleet_options fleet = c->options.fleet;
	int r;

	c->sets = cox_queue_new(
		c->loop,
		&(struct cox_queue_options){.name = "sets", .look = control_look_at_set, .ctx = c});
	c->apps = cox_queue_new(
		c->loop,
		&(struct cox_queue_options){.name = "apps", .look = control_look_at_app, .ctx = c});
	c->repo_queue =
		cox_queue_new(c->loop, &(struct cox_queue_options){.name = "repos",
								   .look = control_look_at_repo,
								   .ctx = c,
								   .base_ms = 2000,
								   .max_ms = 120000});
	c->rollouts = cox_queue_new(
		c->loop, &(struct cox_queue_options){
				 .name = "rollouts", .look = control_look_at_rollout, .ctx = c});
	cox_timer_init(&c->collect, c->loop, control_collect, c);
	cox_timer_init(&c->grace, c->loop, control_agents_had_time, c);
	/* A server that does not answer holds a thread for a while: fetches have threads of their own. */
	r = cox_pool_new(
		c->loop,
		&(struct cox_pool_options){.name = "fetch", .n_threads = 4, .max_queue = 65536},
		&c->fetch_pool, err);
	if (r == 0)
		r = cox_pool_new(c->loop,
				 &(struct cox_pool_options){.name = "render", .max_queue = 65536},
				 &c->render_pool, err);
	if (r == 0)
		r = control_repos_init(c, err);
	if (r == 0)
		r = control_gates_init(c, err);
	if (r < 0)
		return r;
	fleet.loop = c->loop;
	fleet.store = c->store;
	return hub_fleet_new(&fleet, &fleet_events, c, &c->fleet, err);
}

static int load(struct hub_control *c, struct cox_error *err)
{
	int r = control_objects_load(c, err);

	if (r == 0)
		r = control_guard_load(c, err);
	if (r == 0)
		r = control_history_load(c, err);
	if (r == 0)
		r = control_rollouts_load(c, err);
	if (r == 0)
		r = control_bundles_load(c, err);
	if (r == 0)
		control_gates_load(c);
	if (r == 0)
		control_await_agents(c);
	return r;
}

int hub_control_new(const struct hub_control_options *options, struct hub_control **ret_control,
		    struct cox_error *err)
{
	struct hub_control *c = cox_new(struct hub_control);
	int r;

	c->options = *options;
	c->loop = options->loop;
	c->store = options->store;
	c->clock_ms = cox_clock_wall_ms() - cox_clock_ms();
	c->starts.per_minute = options->starts_per_minute;
	if (!c->options.namespace)
		c->options.namespace = "argocd";
	cox_list_init(&c->watchers);
	cox_list_init(&c->render_order);
	cox_list_init(&c->plans);
	r = make_parts(c, err);
	if (r == 0)
		r = load(c, err);
	if (r < 0) {
		hub_control_free(c);
		return r;
	}
	*ret_control = c;
	return 0;
}

void hub_control_stop(struct hub_control *c, void (*on_stopped)(void *arg), void *arg)
{
	c->stopping = true;
	control_plans_end(c);
	control_asks_end(c);
	control_repos_cancel(c);
	cox_timer_stop(&c->collect);
	cox_timer_stop(&c->grace);
	hub_fleet_stop(c->fleet, on_stopped, arg);
}

void hub_control_free(struct hub_control *c)
{
	if (!c)
		return;
	c->stopping = true;
	cox_timer_stop(&c->collect);
	cox_timer_stop(&c->grace);
	control_repos_cancel(c);
	cox_pool_free(c->fetch_pool);
	cox_pool_free(c->render_pool);
	control_plans_end(c);
	control_asks_end(c);
	control_windows_fini(c);
	control_objects_fini(c);
	control_renders_fini(c);
	cox_map_fini(&c->servers);
	control_rollouts_fini(c);
	control_gates_fini(c);
	control_repos_fini(c);
	cox_queue_free(c->sets);
	cox_queue_free(c->apps);
	cox_queue_free(c->repo_queue);
	cox_queue_free(c->rollouts);
	hub_fleet_free(c->fleet);
	cox_map_fini(&c->bundles);
	control_zones_fini(c);
	cox_map_fini(&c->uids);
	cox_doc_unref(c->ignored);
	free(c);
}

struct hub_fleet *hub_control_fleet(struct hub_control *c)
{
	return c->fleet;
}

struct hub_store *hub_control_store(struct hub_control *c)
{
	return c->store;
}

const char *hub_control_namespace(const struct hub_control *c)
{
	return c->options.namespace;
}

void hub_control_stats(const struct hub_control *c, struct hub_control_stats *ret_stats)
{
	struct cox_queue *const queues[] = {c->sets, c->apps, c->repo_queue, c->rollouts};

	*ret_stats = (struct hub_control_stats){.renders = c->renders_total,
						.renders_reused = c->renders_reused,
						.render_failures = c->render_failures,
						.resolves = c->resolves,
						.resolve_failures = c->resolve_failures};
	for (int k = 0; k < HUB_N_KINDS; k++)
		ret_stats->objects[k] = c->objects[k].n;
	COX_MAP_EACH (&c->lines, slot) {
		const struct control_line *l = slot->value;

		ret_stats->rollouts_progressing +=
			l->current && l->current->phase == COX_ROLLOUT_PROGRESSING;
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(queues); i++) {
		struct cox_queue_stats s;

		cox_queue_stats(queues[i], &s);
		ret_stats->queued += s.ready + s.busy;
	}
}
