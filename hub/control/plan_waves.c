/* The waves of a plan: a rollout that is thrown away, as it would begin, told what is known of its targets
 * now. What it would do, and what is in its way, the engine says. */
#include "hub/control/plan.h"

#include <strings.h>

typedef COX_VEC(struct cox_rollout_member) members;

/* ---- by which plan ---- */

static void read_plan(struct control_plan *p)
{
	const struct cox_node *set = p->set ? cox_doc_root(p->set) : NULL;
	cox_rollout_problems problems = {0};
	struct cox_error err = COX_ERROR_INIT;
	int r;

	if (p->policy) {
		r = cox_rollout_plan_policy(hub_object_name(cox_doc_root(p->policy)),
					    COX_GET(cox_doc_root(p->policy), "spec"), &p->plan,
					    &err);
		p->plan.reverse_deletion =
			strcasecmp(cox_node_cstr(COX_GET(set, "spec", "strategy", "deletionOrder"),
						 ""),
				   "Reverse") == 0;
	} else {
		r = control_plan_parse(p->control, set, &p->plan, &problems, &err);
	}
	p->plan_known = r == 0;
	if (r < 0)
		p->plan_problem = cox_strdup(err.message);
	COX_VEC_EACH (&problems, text)
		cox_vec_push(&p->problems, *text);
	cox_vec_fini(&problems);
}

/* ---- the rollout under way ---- */

/* Those whose Application would be gone. */
static void drop_gone(struct cox_rollout *r, const members *v, int64_t now_ms)
{
	_cleanup_map_ struct cox_map stays = COX_MAP_INIT;

	COX_VEC_EACH (v, m)
		cox_map_set(&stays, m->uid, m);
	for (size_t i = r->targets.n; i-- > 0;) {
		_cleanup_free_ char *uid = cox_strdup(r->targets.items[i].uid);

		if (!cox_map_has(&stays, uid))
			cox_rollout_remove(r, uid, now_ms);
	}
}

static void say(struct control_plan *p, const char *begins, char *message_taken)
{
	p->rollout.begins = begins;
	p->rollout.message = message_taken;
}

static void describe(struct control_plan *p, const struct cox_rollout *r)
{
	size_t open = cox_rollout_open_wave(r);

	p->rollout.id = cox_strdup(r->id);
	p->rollout.revision = cox_strdup(r->revision);
	if (open < r->plan.waves.n)
		p->rollout.wave = cox_strdup(r->plan.waves.items[open].name);
}

static void wait_for(struct control_plan *p, const struct cox_rollout *r, int64_t again_ms)
{
	static const char *const rules[] = {
		[COX_SUPERSEDE_NOW] = "at once",
		[COX_SUPERSEDE_WAVE] = "when the wave is done, or stuck",
		[COX_SUPERSEDE_FINISHED] = "when it is finished, or stuck",
	};

	p->rollout.again_ms = again_ms == COX_ROLLOUT_FOREVER ? 0 : again_ms;
	say(p, "later",
	    cox_asprintf("takes over from the rollout under way (%s, at wave '%s') %s", r->revision,
			 p->rollout.wave ? p->rollout.wave : "", rules[r->plan.supersede]));
}

/* Whether the rollout that is there goes on with it: then it is the one to look at. */
static bool goes_on(struct control_plan *p, struct cox_rollout *now, const members *v)
{
	bool under_way = now->phase == COX_ROLLOUT_PROGRESSING;
	enum cox_rollout_difference d;

	if (cox_rollout_is_barred(now, v->items, v->n)) {
		say(p, "never",
		    cox_asprintf("it would only repeat what failed, until the content changes or "
				 "`cox rollout retry`: %s",
				 now->reason ? now->reason : "aborted"));
		return under_way;
	}
	if (now->phase == COX_ROLLOUT_ABORTED)
		return false;
	d = cox_rollout_compare(now, &p->plan, v->items, v->n);
	if (d == COX_ROLLOUT_SAME) {
		say(p, under_way ? "same" : "nothing",
		    cox_strdup(under_way ? "that is what the rollout under way deploys"
					 : "that is what the last rollout deployed"));
		return true;
	}
	if (d == COX_ROLLOUT_CONTENT || !under_way || now->plan.source != COX_ROLLOUT_POLICY)
		return false;
	COX_VEC_EACH (v, m)
		cox_rollout_join(now, m, p->now_ms);
	say(p, "joins", cox_strdup("those that are new join the rollout under way"));
	return true;
}

static bool is_planned(const struct control_plan *p, const members *v)
{
	COX_VEC_EACH (v, m)
		if (!m->by_hand && (p->plan.source == COX_ROLLOUT_POLICY ||
				    cox_rollout_plan_wave(&p->plan, m, NULL) >= 0))
			return true;
	return false;
}

/* The rollout that there would be; now (NULL: none) is the newest that there is. */
static struct cox_rollout *next_rollout(struct control_plan *p, struct cox_rollout *now,
					const members *v)
{
	struct cox_rollout_spec spec = {.id = "",
					.owner = p->owner,
					.plan = &p->plan,
					.members = v->items,
					.n_members = v->n,
					.before = now};
	int64_t again_ms = COX_ROLLOUT_FOREVER;

	if (now && now->phase == COX_ROLLOUT_PROGRESSING)
		describe(p, now);
	if (now)
		drop_gone(now, v, p->now_ms);
	if (now && goes_on(p, now, v))
		return now;
	if (p->rollout.begins)
		return cox_rollout_new(&spec, p->now_ms);
	if (!is_planned(p, v))
		say(p, "nothing", cox_strdup("none of it is synced by a rollout"));
	else if (now && !cox_rollout_may_supersede(now, p->now_ms, &again_ms))
		wait_for(p, now, again_ms);
	else if (p->rollout.id)
		say(p, "now",
		    cox_asprintf("takes over from the rollout under way (%s) at once",
				 now->revision));
	else
		say(p, "now", cox_strdup("begins at once"));
	return cox_rollout_new(&spec, p->now_ms);
}

/* ---- what is noted of it ---- */

static void note_targets(struct control_plan *p, const struct cox_rollout *r)
{
	for (size_t i = 0; i < r->plan.waves.n; i++)
		cox_vec_push(&p->waves, (struct plan_wave){0});
	COX_VEC_EACH (&p->apps, slot) {
		struct plan_app *x = *slot;
		const struct cox_rollout_target *t =
			x->is_member ? cox_rollout_find(r, x->app.uid) : NULL;

		if (!t)
			continue;
		x->wave = t->wave;
		x->state = t->state;
		x->offline = t->offline;
		x->late = t->late;
		x->moves = t->wave >= 0 && t->state == COX_TARGET_WAITING;
		x->state_message = cox_strdup(
			t->hold && t->state == COX_TARGET_WAITING ? t->hold : t->message);
		if (t->wave < 0)
			continue;
		p->waves.items[t->wave].n++;
		p->waves.items[t->wave].n_moves += x->moves;
	}
}

static void note_previous(struct plan_app *x)
{
	const struct control_app *a = &x->app;
	const char *cluster = hub_fleet_cluster_of(a->control->fleet, a->uid);
	const hub_assignment *have =
		cluster ? hub_fleet_assignment(a->control->fleet, cluster, a->uid) : NULL;

	if (have && have->sync_digest.len == HUB_DIGEST_BYTES)
		x->previous_revision = cox_strdup(have->sync_revision);
}

static void collect_members(struct control_plan *p, members *v)
{
	COX_VEC_EACH (&p->apps, slot) {
		note_previous(*slot);
		if ((*slot)->is_member)
			cox_vec_push(v, control_rollout_member(p->control, &(*slot)->app,
							       p->plan.ordered));
	}
}

void plan_waves(struct control_plan *p)
{
	struct hub_control *c = p->control;
	const struct control_line *line = cox_map_get(&c->lines, p->owner);
	struct cox_rollout *now = line && line->current ? cox_rollout_copy(line->current) : NULL,
			   *r;
	members v = {0};

	p->now_ms = control_now_ms(c);
	p->env = (struct cox_rollout_env){.zone = control_zone, .ctx = c, .starts = &c->starts};
	read_plan(p);
	collect_members(p, &v);
	if (p->plan_known) {
		r = next_rollout(p, now, &v);
		COX_VEC_EACH (&p->apps, x)
			if ((*x)->is_member)
				control_rollout_feed(c, r, &(*x)->app, p->now_ms);
		note_targets(p, r);
		if (r == now)
			now = NULL;
		p->forecast = cox_forecast_new(r, &p->env, p->now_ms);
	} else {
		say(p, "never", cox_strdup(p->plan_problem));
	}
	cox_rollout_free(now);
	cox_vec_fini(&v);
}
