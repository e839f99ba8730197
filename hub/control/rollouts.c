/* The rollout controller: the one place where assignments are written. It feeds the planner, and
 * carries its decisions out in the batch that makes them durable. */
#include "common/base/log.h"
#include "hub/control/internal.h"

#include <stdio.h>

#define KEEP_PAST	10
#define ROLLOUT_RETRIES 5 /* as automated syncs have */

/* ---- one look ---- */

struct look {
	struct hub_control *c;
	struct control_line *line;
	struct hub_batch *batch;
	struct cox_rollout_plan plan;
	int64_t now_ms;
	bool keep;    /* the rollout's row is to be written */
	bool changed; /* somebody wants to know */
};

bool control_is_by_hand(const struct control_app *a, bool ordered)
{
	return !a->has_view || (!ordered && !a->view.sync_policy.automated) ||
	       control_app_is_paused(a) || (!a->cluster && !a->problem);
}

static void feed_all(struct look *l, const struct cox_map *apps)
{
	if (!l->line->current)
		return;
	COX_MAP_EACH (apps, slot)
		if (control_rollout_feed(l->c, l->line->current, slot->value, l->now_ms))
			l->changed = true;
}

/* Nobody moves who was paused before his turn came: he joins again, in no wave. */
static bool stays_in(const struct look *l, const struct cox_rollout_target *t)
{
	const struct control_app *a = control_app_by_uid(l->c, t->uid);

	if (!a || control_app_is_deleting(a) || strcmp(a->owner, l->line->owner) != 0)
		return false;
	/* What it was sent is in another cluster: it joins as somebody else. */
	if (a->cluster && !cox_streq(a->cluster, t->cluster))
		return false;
	return t->wave < 0 || t->state != COX_TARGET_WAITING || !a->has_view ||
	       !control_app_is_paused(a);
}

/* Targets whose Application is gone do not hold up the others. */
static void drop_gone(struct look *l)
{
	struct cox_rollout *r = l->line->current;

	for (size_t i = r->targets.n; i-- > 0;) {
		_cleanup_free_ char *uid = NULL;

		if (stays_in(l, &r->targets.items[i]))
			continue;
		uid = cox_strdup(r->targets.items[i].uid);
		if (cox_rollout_remove(r, uid, l->now_ms))
			l->keep = l->changed = true;
	}
}

typedef COX_VEC(struct cox_rollout_member) members;

/* A policy says of those in no wave that they hold up all. */
static bool has_planned(const struct look *l, const members *v)
{
	COX_VEC_EACH (v, m)
		if (!m->by_hand && (l->plan.source == COX_ROLLOUT_POLICY ||
				    cox_rollout_plan_wave(&l->plan, m, NULL) >= 0))
			return true;
	return false;
}

/* The commits, abbreviated, each once. The caller's. */
static char *revision_of(const members *v)
{
	_cleanup_map_ struct cox_map seen = COX_MAP_INIT;
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	COX_VEC_EACH (v, m) {
		char brief[13] = "";

		snprintf(brief, sizeof(brief), "%.12s", m->revision ? m->revision : "");
		if (!*brief || cox_map_has(&seen, brief))
			continue;
		if (seen.n < 3)
			cox_buf_printf(&text, "%s%s", seen.n ? ", " : "", brief);
		else if (seen.n == 3)
			cox_buf_puts(&text, ", …");
		cox_map_set(&seen, brief, (void *)v);
	}
	return cox_buf_take(&text);
}

/* What a rollout that is over has asked and nobody waits for. */
static void cancel_gates(struct look *l)
{
	cox_rollout_effects effects = {0};

	cox_rollout_step(l->line->current, NULL, l->now_ms, &effects, NULL);
	COX_VEC_EACH (&effects, e)
		if (e->kind == COX_EFFECT_CANCEL)
			control_gate_cancel(l->c, l->batch, l->line->current, &e->probe);
	cox_vec_fini(&effects);
}

static void retire(struct look *l)
{
	struct control_line *line = l->line;

	if (!line->current)
		return;
	cox_rollout_supersede(line->current, l->now_ms);
	cancel_gates(l);
	control_rollout_keep(l->batch, line->current);
	cox_vec_push(&line->past, line->current);
	line->current = NULL;
	while (line->past.n > KEEP_PAST) {
		control_rollout_forget(l->batch, line->past.items[0]);
		cox_rollout_free(line->past.items[0]);
		cox_vec_remove(&line->past, 0);
	}
}

/* What the present rollout is the way back of; NULL: it is none. */
static const struct cox_rollout *reversed(const struct control_line *line)
{
	COX_VEC_EACH (&line->past, r)
		if (line->current && strcmp((*r)->id, line->current->reverses) == 0)
			return *r;
	return NULL;
}

/* The newest one of a line is told by its start when the hub begins anew, also when the wall clock was set
 * back in between. */
static void start_after_all(const struct control_line *line, struct cox_rollout *r)
{
	COX_VEC_EACH (&line->past, p)
		if (r->started_ms <= (*p)->started_ms)
			r->started_ms = (*p)->started_ms + 1;
}

static void begin(struct look *l, const members *v, const char *revision)
{
	char id[COX_UUID_TEXT];
	struct cox_rollout *r;

	cox_uuid_new(id);
	r = cox_rollout_new(&(struct cox_rollout_spec){.id = id,
						       .owner = l->line->owner,
						       .revision = revision,
						       .plan = &l->plan,
						       .members = v->items,
						       .n_members = v->n,
						       .before = l->line->current,
						       .reversed = reversed(l->line)},
			    l->now_ms);
	retire(l);
	start_after_all(l->line, r);
	l->line->current = r;
	cox_log_info("rollout begins", COX_KV("owner", l->line->owner), COX_KV("id", id),
		     COX_KV("revision", revision), COX_KV_INT("targets", (int64_t)v->n));
	l->keep = l->changed = true;
}

static void set_next(struct look *l, const char *revision)
{
	if (cox_streq(l->line->next, revision))
		return;
	free(l->line->next);
	l->line->next = cox_strdup(revision);
	l->changed = true;
}

/* Everybody has said what they want; nobody moves on half of a revision. */
static bool all_settled(const struct look *l)
{
	COX_MAP_EACH (&l->line->members, slot)
		if (!control_app_is_deleting(slot->value) && !control_app_is_settled(slot->value))
			return false;
	return true;
}

/* Everybody was looked at since the hub began, or since he came: before that nobody knows where he goes,
 * what was heard of him is not told to the rollout, and a move would be lost on him. */
static bool all_placed(const struct look *l)
{
	COX_MAP_EACH (&l->line->members, slot) {
		const struct control_app *a = slot->value;

		if (!a->looked && !a->cluster && !control_app_is_deleting(a))
			return false;
	}
	return true;
}

/* Some joined; who left was dropped before. Once it is over, who joins is a rollout's worth. */
static bool join(struct look *l, const members *v)
{
	struct cox_rollout *r = l->line->current;

	if (r->phase != COX_ROLLOUT_PROGRESSING || r->plan.source != COX_ROLLOUT_POLICY)
		return false;
	COX_VEC_EACH (v, m) {
		if (!cox_rollout_join(r, m, l->now_ms))
			continue;
		/* What holds him (his project's windows) is to be known before he may start. */
		control_rollout_feed(l->c, r, control_app_by_uid(l->c, m->uid), l->now_ms);
		l->keep = l->changed = true;
	}
	return true;
}

/* Whether it is what the rollout pins, or would only do again what failed. */
static bool stays(struct look *l, const members *v)
{
	const struct cox_rollout *r = l->line->current;
	enum cox_rollout_difference d;

	if (!r)
		return false;
	if (cox_rollout_is_barred(r, v->items, v->n))
		return true;
	if (r->phase == COX_ROLLOUT_ABORTED)
		return false;
	d = cox_rollout_compare(r, &l->plan, v->items, v->n);
	return d == COX_ROLLOUT_SAME || (d == COX_ROLLOUT_MEMBERS && join(l, v));
}

/* Compares what the Applications want now with what is pinned. */
static void consider(struct look *l)
{
	struct cox_rollout *current = l->line->current;
	members v = {0};
	_cleanup_free_ char *revision = NULL;
	int64_t again_ms = INT64_MAX;

	if (!all_settled(l))
		return;
	COX_MAP_EACH (&l->line->members, slot)
		if (!control_app_is_deleting(slot->value))
			cox_vec_push(&v,
				     control_rollout_member(l->c, slot->value, l->plan.ordered));
	revision = revision_of(&v);
	if (stays(l, &v)) {
		set_next(l, NULL);
	} else if (!has_planned(l, &v)) {
		if (current && current->phase == COX_ROLLOUT_PROGRESSING) {
			retire(l);
			l->changed = true;
		}
		set_next(l, NULL);
	} else if (!current || cox_rollout_may_supersede(current, l->now_ms, &again_ms)) {
		set_next(l, NULL);
		begin(l, &v, revision);
	} else {
		set_next(l, revision);
		if (again_ms != INT64_MAX)
			cox_queue_add_after(l->c->rollouts, l->line->owner,
					    again_ms - l->now_ms + 1);
	}
	cox_vec_fini(&v);
}

static void move(struct look *l, const struct cox_rollout_target *t)
{
	struct control_app *a = control_app_by_uid(l->c, t->uid);
	Coxswain__Assignment__V1__Operation op = COXSWAIN__ASSIGNMENT__V1__OPERATION__INIT;
	_cleanup_free_ char *away = NULL;
	/* The rollout's own, not what its owner has by now: a way back is ordered, whatever that is. */
	bool ordered = l->line->current->plan.ordered;
	const hub_assignment *now;
	struct control_retry retry;
	char id[COX_UUID_TEXT];

	if (!a || !a->has_view || !a->cluster)
		return;
	/* Without a strategy the agent syncs by itself, by the guards of automated syncs. With one it
	 * is told to, because then targets move also where nothing is automated. */
	cox_uuid_new(id);
	op.id = id;
	op.digest.data = (uint8_t *)t->digest;
	op.digest.len = sizeof(t->digest);
	op.prune = a->view.sync_policy.automated && a->view.sync_policy.prune;
	op.initiated_by = (char *)(l->line->current->plan.source == COX_ROLLOUT_BACK ? "rollback"
										     : "rollout");
	op.retry = control_retry_of(&a->view, ROLLOUT_RETRIES, &retry);
	op.revision = t->revision;
	control_assign(l->c, l->batch, a, t->digest, t->revision, ordered ? &op : NULL);
	now = hub_fleet_assignment(l->c->fleet, a->cluster, a->uid);
	cox_rollout_assigned(l->line->current, a->uid, now->epoch, now->generation,
			     ordered ? id : "", l->now_ms);
	/* Who is away says nothing about it: this does. */
	if (control_is_away(l->c, a->cluster, &away))
		cox_rollout_reach(l->line->current, a->uid, away == NULL, away, l->now_ms);
	if (away)
		cox_rollout_note(l->line->current, a->uid, away, l->now_ms);
}

/* The rollout failed: the way back takes its place. */
static void turn_back(struct look *l)
{
	struct cox_rollout *failed = l->line->current;
	char id[COX_UUID_TEXT];

	cox_uuid_new(id);
	l->line->current = cox_rollout_rollback(failed, id, l->now_ms);
	control_rollout_keep(l->batch, failed);
	cox_vec_push(&l->line->past, failed);
	start_after_all(l->line, l->line->current);
	cox_log_warn("rollout goes back", COX_KV("owner", failed->owner), COX_KV("id", failed->id),
		     COX_KV("by", id), COX_KV("reason", failed->reason));
	l->keep = l->changed = true;
}

static void step(struct look *l);

/* Effects of one step; a rollback is the last of them. */
static void carry_out(struct look *l, const cox_rollout_effects *effects)
{
	COX_VEC_EACH (effects, e) {
		if (e->kind == COX_EFFECT_MOVE)
			move(l, &l->line->current->targets.items[e->target]);
		if (e->kind == COX_EFFECT_PROBE)
			control_gate_ask(l->c, l->batch, l->line->current, &e->probe);
		if (e->kind == COX_EFFECT_CANCEL)
			control_gate_cancel(l->c, l->batch, l->line->current, &e->probe);
		if (e->kind == COX_EFFECT_ROLLBACK) {
			turn_back(l);
			step(l);
			return;
		}
	}
}

static void log_end(const struct cox_rollout *r)
{
	if (r->phase == COX_ROLLOUT_SUCCEEDED)
		cox_log_info("rollout done", COX_KV("owner", r->owner), COX_KV("id", r->id),
			     COX_KV("revision", r->revision));
	if (r->phase == COX_ROLLOUT_FAILED)
		cox_log_warn("rollout failed", COX_KV("owner", r->owner), COX_KV("id", r->id),
			     COX_KV("revision", r->revision), COX_KV("reason", r->reason));
}

static void step(struct look *l)
{
	cox_rollout_effects effects = {0};
	struct cox_rollout *r = l->line->current;
	struct cox_rollout_env env = {.zone = control_zone, .ctx = l->c, .starts = &l->c->starts};
	bool under_way = r && r->phase == COX_ROLLOUT_PROGRESSING;
	int64_t wake_ms = COX_ROLLOUT_FOREVER;

	if (!r)
		return;
	if (cox_rollout_step(r, &env, l->now_ms, &effects, &wake_ms))
		l->keep = l->changed = true;
	if (under_way)
		log_end(r);
	/* A hold that has run out is lifted by the look at its Application, a moment after this one: not at
	 * once again, or nothing else gets its turn before the clock moves on. */
	if (wake_ms != COX_ROLLOUT_FOREVER)
		cox_queue_add_after(l->c->rollouts, l->line->owner,
				    wake_ms > l->now_ms ? wake_ms - l->now_ms : 1);
	carry_out(l, &effects);
	cox_vec_fini(&effects);
}

/* The rollout counts reports at the assignment that is in force, whoever wrote it. */
static void follow_assignment(struct look *l, struct control_app *a)
{
	const hub_assignment *have = hub_fleet_assignment(l->c->fleet, a->cluster, a->uid);
	struct cox_rollout *r = l->line->current;
	const struct cox_rollout_target *t = r ? cox_rollout_find(r, a->uid) : NULL;

	if (!t || !t->has_digest || have->sync_digest.len != sizeof(t->digest) ||
	    memcmp(t->digest, have->sync_digest.data, sizeof(t->digest)) != 0 ||
	    (t->epoch == have->epoch && t->generation == have->generation))
		return;
	cox_rollout_assigned(r, a->uid, have->epoch, have->generation, NULL, l->now_ms);
	/* What was reported at that may be there already, and nothing more may come. */
	control_rollout_news(a);
	l->keep = true;
}

/* Policy, target digest and the like of everybody, the sync digest as it is. */
static void refresh_assignments(struct look *l)
{
	COX_MAP_EACH (&l->line->members, slot) {
		struct control_app *a = slot->value;
		const hub_assignment *have;
		const uint8_t *digest;

		if (!a->stale || control_app_is_deleting(a) || !a->has_view || !a->cluster ||
		    a->problem || !a->rendered.valid)
			continue;
		a->stale = false;
		have = hub_fleet_assignment(l->c->fleet, a->cluster, a->uid);
		if (!have && a->rendered.error)
			continue;
		digest = have && have->sync_digest.len == HUB_DIGEST_BYTES ? have->sync_digest.data
									   : NULL;
		control_assign(l->c, l->batch, a, digest, have ? have->sync_revision : NULL, NULL);
		follow_assignment(l, a);
	}
}

/* What an earlier version kept is kept anew. */
static void renew(struct look *l)
{
	COX_VEC_EACH (&l->line->past, r)
		if (!cox_rollout_is_kept(*r))
			control_rollout_keep(l->batch, *r);
	if (l->line->current && !cox_rollout_is_kept(l->line->current))
		l->keep = true;
}

/* Whether something may begin. A report alone begins nothing, and what waits for its turn is looked at
 * when that has come: so a report costs nothing that grows with the policy or the members. */
static bool may_begin(const struct look *l)
{
	const struct cox_rollout *current = l->line->current;
	int64_t again_ms;

	if (l->line->dirty || !l->line->next || !current)
		return l->line->dirty || l->line->next;
	if (cox_rollout_may_supersede(current, l->now_ms, &again_ms))
		return true;
	if (again_ms != COX_ROLLOUT_FOREVER)
		cox_queue_add_after(l->c->rollouts, l->line->owner, again_ms - l->now_ms + 1);
	return false;
}

/* Everything that depends on the Applications' specs, when one of them may be another. */
static void refresh(struct look *l, bool placed)
{
	refresh_assignments(l);
	if (placed)
		renew(l);
	COX_MAP_EACH (&l->line->members, slot)
		control_own_apply(l->c, l->batch, slot->value, false);
}

/* Something waits to take over. When the present one has just ended, it may; when that got to another
 * place, it is asked for again. (As long as somebody is not settled, the look at him leads here again.) */
static void look_again(const struct look *l, bool under_way)
{
	const struct control_line *line = l->line;

	if (!line->next || !line->current)
		return;
	if (under_way && line->current->phase != COX_ROLLOUT_PROGRESSING)
		control_rollout_dirty(l->c, line->owner);
	else if (l->changed)
		cox_queue_add(l->c->rollouts, line->owner);
}

static void look(struct look *l)
{
	struct control_line *line = l->line;
	const struct cox_rollout *before = line->current;
	bool under_way = before && before->phase == COX_ROLLOUT_PROGRESSING;
	bool placed = all_placed(l), known;

	if (before && line->dirty)
		drop_gone(l);
	feed_all(l, line->dirty ? &line->members : &line->news);
	cox_map_clear(&line->news);
	known = may_begin(l) && control_plan_of(l->c, line->owner, &l->plan) == 0;
	if (known)
		consider(l);
	if (line->current != before)
		feed_all(l, &line->members);
	if (placed)
		step(l);
	if (line->dirty)
		refresh(l, placed);
	/* The look at an Application that is not placed yet leads here again. */
	line->dirty = (!known && line->dirty) || !placed;
	if (l->keep && line->current)
		control_rollout_keep(l->batch, line->current);
	if (l->changed)
		control_notify(l->c, l->batch, line->owner);
	look_again(l, under_way);
}

enum cox_queue_result control_look_at_rollout(void *ctx, const char *owner)
{
	struct hub_control *c = ctx;
	struct look l = {.c = c, .line = control_line(c, owner), .now_ms = control_now_ms(c)};

	if (control_line_is_over(c, l.line)) {
		control_line_drop(c, l.line);
		return COX_QUEUE_OK;
	}
	l.batch = hub_batch_new();
	look(&l);
	hub_store_commit(c->store, l.batch);
	cox_rollout_plan_fini(&l.plan);
	return COX_QUEUE_OK;
}
