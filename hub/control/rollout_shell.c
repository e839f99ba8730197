/* What the rollout controller tells the planner: waves, members, reports, time. */
#include "common/base/clock.h"
#include "hub/control/internal.h"
#include "hub/model/policy.h"

#include <strings.h>

#define AGENTS_GRACE_MS 60000

/* ---- time ---- */

int64_t control_now_ms(const struct hub_control *c)
{
	return c->clock_ms + cox_clock_ms() + c->options.clock_skew_ms;
}

int control_zone(void *ctx, const char *name, const struct cox_zone **ret_zone,
		 struct cox_error *err)
{
	struct hub_control *c = ctx;
	struct cox_zone *zone = cox_map_get(&c->zones, name);
	int r;

	if (!zone) {
		r = cox_zone_open(name, &zone, err);
		if (r < 0)
			return r;
		cox_map_set(&c->zones, name, zone);
	}
	*ret_zone = zone;
	return 0;
}

static void zone_free(void *zone)
{
	cox_zone_free(zone);
}

void control_zones_fini(struct hub_control *c)
{
	cox_map_fini_values(&c->zones, zone_free);
}

/* ---- the plan ---- */

/* The policy whose selector the set's labels match; of several, the first by name. */
static const struct control_object *policy_by_selector(struct hub_control *c,
						       const struct cox_node *labels)
{
	const struct control_object *best = NULL;

	COX_MAP_EACH (&c->objects[HUB_ROLLOUT_POLICY], slot) {
		const struct control_object *o = slot->value;
		const struct cox_node *node = COX_GET(cox_doc_root(o->doc), "spec", "selector");
		_cleanup_selector_ struct cox_selector *selector = NULL;

		if (!node || cox_selector_from_node(node, &selector, NULL) < 0 ||
		    !cox_selector_matches(selector, labels))
			continue;
		if (!best || strcmp(o->key, best->key) < 0)
			best = o;
	}
	return best;
}

int control_policy_of(struct hub_control *c, const struct cox_node *set,
		      const struct control_object **ret_policy, struct cox_error *err)
{
	const char *name = hub_object_annotation(set, HUB_POLICY_ANNOTATION);

	if (!name || !*name) {
		*ret_policy = policy_by_selector(c, COX_GET(set, "metadata", "labels"));
		return 0;
	}
	*ret_policy = control_object(c, HUB_ROLLOUT_POLICY, name);
	if (*ret_policy)
		return 0;
	return cox_error(err, COX_NOT_FOUND,
			 "there is no RolloutPolicy '%s', which %s names: no rollout begins", name,
			 HUB_POLICY_ANNOTATION);
}

int control_plan_parse(struct hub_control *c, const struct cox_node *set,
		       struct cox_rollout_plan *ret_plan, cox_rollout_problems *problems,
		       struct cox_error *err)
{
	const struct control_object *policy = NULL;
	int r = control_policy_of(c, set, &policy, err);

	if (r < 0)
		return r;
	if (policy) {
		r = cox_rollout_plan_policy(policy->key, COX_GET(cox_doc_root(policy->doc), "spec"),
					    ret_plan, err);
		if (r == 0)
			ret_plan->reverse_deletion =
				strcasecmp(cox_node_cstr(COX_GET(set, "spec", "strategy",
								 "deletionOrder"),
							 ""),
					   "Reverse") == 0;
		return r;
	}
	return cox_rollout_plan_parse(COX_GET(set, "spec", "strategy"), ret_plan, problems, err);
}

int control_plan_check(struct hub_control *c, const char *owner, struct cox_rollout_plan *ret_plan,
		       struct cox_error *err)
{
	const struct control_object *set = NULL;
	const struct cox_node *root = NULL;
	int r;

	if (strncmp(owner, "ApplicationSet/", 15) == 0)
		set = control_object(c, HUB_APPLICATION_SET, owner + 15);
	if (set)
		root = cox_doc_root(set->doc);
	/* A strategy that cannot be read moves nobody; one whose set was not expanded yet neither. */
	r = control_plan_parse(c, root, ret_plan, NULL, err);
	if (r < 0)
		return r;
	if (set && set->looked != cox_node_int(COX_GET(root, "metadata", "generation"), 0))
		return cox_error(err, COX_UNAVAILABLE,
				 "its ApplicationSet was changed just now, and is being looked at");
	return 0;
}

int control_plan_of(struct hub_control *c, const char *owner, struct cox_rollout_plan *ret_plan)
{
	return control_plan_check(c, owner, ret_plan, NULL) < 0;
}

/* ---- reports ---- */

/* By coxswain.report.v1.Phase. */
static const int phases[] = {COX_OP_NONE,      COX_OP_RUNNING, COX_OP_RUNNING,
			     COX_OP_SUCCEEDED, COX_OP_FAILED,  COX_OP_FAILED};

void control_rollout_heard(struct control_app *a, const char *cluster)
{
	const struct hub_cluster_state *s = hub_fleet_cluster(a->control->fleet, cluster);
	const hub_report *r = hub_fleet_report(a->control->fleet, cluster, a->uid);

	a->heard = s ? s->n_connections : 0;
	a->well_since_ms = r && r->well_ms > 0 ? control_now_ms(a->control) - r->well_ms : 0;
}

/* By the connection that is up now. */
static bool is_heard(const struct control_app *a)
{
	const struct hub_cluster_state *s = hub_fleet_cluster(a->control->fleet, a->cluster);

	return s && s->connected && a->heard == s->n_connections;
}

static bool observe(struct cox_rollout *rollout, const struct control_app *a, const hub_report *r,
		    int64_t now_ms)
{
	const Coxswain__Report__V1__OperationState *op = r->operation;
	_cleanup_free_ char *worst = control_worst(r), *resource = control_worst_resource(r);
	struct cox_rollout_report p = {
		.epoch = r->epoch,
		.generation = r->generation,
		.sync_digest = r->sync_digest.len == HUB_DIGEST_BYTES ? r->sync_digest.data : NULL,
		.synced = r->assigned_sync == COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED,
		.healthy = r->health == COXSWAIN__REPORT__V1__HEALTH__HEALTHY,
		.degraded = r->health == COXSWAIN__REPORT__V1__HEALTH__DEGRADED,
		.kept = !is_heard(a),
		.well_since_ms = a->well_since_ms,
		.health = control_health_name(r->health),
		.resource = resource,
		.message = worst	     ? worst
			   : r->n_conditions ? r->conditions[0]->message
					     : NULL,
	};

	if (op) {
		p.operation = op->id;
		p.operation_digest = op->digest.len == HUB_DIGEST_BYTES ? op->digest.data : NULL;
		p.operation_message = op->message;
		p.operation_phase = phases[op->phase < COX_ARRAY_LEN(phases) ? op->phase : 0];
	}
	return cox_rollout_observe(rollout, a->uid, &p, now_ms);
}

/* A wave's target does not start while its project's windows are closed for syncs that nobody asked
 * for. Where there are no waves the agent keeps to the windows, by the policy that it was given. */
static bool hold(struct hub_control *c, struct cox_rollout *r, const struct control_app *a,
		 int64_t now_ms)
{
	struct cox_window_verdict v;
	int64_t until_ms = COX_ROLLOUT_FOREVER;

	if (!r->plan.ordered || !a->has_view)
		return false;
	control_window_judge(a, &v);
	if (v.until_ms != INT64_MAX)
		until_ms = now_ms + v.until_ms - control_wall_ms(c);
	return cox_rollout_hold(r, a->uid, v.automated ? NULL : v.message, until_ms, now_ms);
}

/* false: nobody can say yet. Agents do not all come back in the moment in which the hub starts, and a
 * wave must not pass without those who are about to. */
bool control_is_away(struct hub_control *c, const char *cluster, char **ret_away)
{
	const struct hub_cluster_state *s = hub_fleet_cluster(c->fleet, cluster);

	if (s && s->enrolled && !s->connected && s->since_ms == 0 && !c->agents_had_time)
		return false;
	*ret_away = control_away(c, cluster);
	return true;
}

void control_agents_had_time(void *arg)
{
	struct hub_control *c = arg;

	c->agents_had_time = true;
	COX_MAP_EACH (&c->lines, slot)
		control_rollout_dirty(c, slot->key);
}

void control_await_agents(struct hub_control *c)
{
	int64_t grace_ms = c->options.agents_grace_ms;

	cox_timer_start(&c->grace, grace_ms ? grace_ms : AGENTS_GRACE_MS);
}

bool control_rollout_feed(struct hub_control *c, struct cox_rollout *r, const struct control_app *a,
			  int64_t now_ms)
{
	const hub_report *report;
	_cleanup_free_ char *away = NULL;
	bool news = false;

	if (!a->cluster)
		return false;
	report = hub_fleet_report(c->fleet, a->cluster, a->uid);
	if (report)
		news = observe(r, a, report, now_ms);
	if (!control_is_away(c, a->cluster, &away))
		news |= cox_rollout_await(r, a->uid, now_ms) > 0;
	else
		news |= cox_rollout_reach(r, a->uid, away == NULL, away, now_ms) > 0;
	return hold(c, r, a, now_ms) || news;
}

/* ---- members ---- */

static const struct cox_node *cluster_labels(struct hub_control *c, const char *cluster)
{
	const struct control_object *o = cluster ? control_object(c, HUB_CLUSTER, cluster) : NULL;

	return o ? COX_GET(cox_doc_root(o->doc), "metadata", "labels") : NULL;
}

struct cox_rollout_member control_rollout_member(struct hub_control *c, const struct control_app *a,
						 bool ordered)
{
	const hub_assignment *have =
		a->cluster ? hub_fleet_assignment(c->fleet, a->cluster, a->uid) : NULL;
	_cleanup_free_ char *away = NULL;
	bool known = !a->cluster || control_is_away(c, a->cluster, &away);
	struct cox_rollout_member m = {
		.uid = a->uid,
		.name = a->key,
		.cluster = a->cluster,
		.revision = a->rendered.revision,
		.labels = a->has_view ? a->view.labels : NULL,
		.cluster_labels = cluster_labels(c, a->cluster),
		.digest = a->rendered.valid && !a->rendered.error ? a->rendered.digest : NULL,
		.error = a->problem,
		.by_hand = control_is_by_hand(a, ordered),
		.offline = away != NULL,
		.awaited = !known,
	};

	if (control_app_frozen(a)) {
		m.digest = have->target_digest.data;
		m.revision = have->target_revision;
	}
	if (a->problem)
		m.digest = NULL;
	if (!have || have->sync_digest.len != HUB_DIGEST_BYTES)
		return m;
	m.previous = have->sync_digest.data;
	m.previous_revision = have->sync_revision;
	if (m.digest && memcmp(have->sync_digest.data, m.digest, HUB_DIGEST_BYTES) == 0) {
		m.at_digest = true;
		m.epoch = have->epoch;
		m.generation = have->generation;
		if (have->operation && (strcmp(have->operation->initiated_by, "rollout") == 0 ||
					strcmp(have->operation->initiated_by, "rollback") == 0))
			m.operation = have->operation->id;
	}
	return m;
}
