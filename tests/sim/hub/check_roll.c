/* What must always hold of rollouts. Whenever the hub keeps one, what it says of it is a claim: each
 * has to be borne out by what was reported, by what people did, or by the clock. Who starts is judged
 * by rules of our own, from the plan that was applied (scene.c), never by asking hub/rollout. */
#include "tests/sim/hub/check_roll.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static struct cox_map rolls;  /* id -> struct roll */
static struct cox_map looked; /* hex of an approval's digest -> struct cox_map * of "UID/HEX" */
static struct cox_map synced; /* operation -> "" or "past": by a person */
static const struct cox_rollout *before_verb;
static struct cox_map before_gates; /* "WAVE/AFTER/GATE": was not over */
static struct cox_map barred;	    /* "UID/HEX": failed there, and everything went back for it */

/* ---- life ---- */

static void roll_free(void *p)
{
	struct roll *r = p;

	cox_map_fini_values(&r->pins, free);
	cox_map_fini(&r->approvals);
	cox_map_fini(&r->promoted);
	cox_map_fini(&r->good);
	cox_map_fini(&r->passed);
	cox_map_fini(&r->over);
	cox_vec_fini(&r->starts);
	free(r);
}

static void looked_free(void *p)
{
	cox_map_fini(p);
	free(p);
}

void sim_check_rolls_close(void)
{
	cox_map_fini_values(&rolls, roll_free);
	cox_map_fini_values(&looked, looked_free);
	cox_map_fini(&synced);
	cox_map_fini(&before_gates);
	cox_map_fini(&barred);
	rolls = looked = synced = before_gates = barred = COX_MAP_INIT;
}

void sim_check_rolls_restart(void)
{
	COX_MAP_EACH (&rolls, e)
		((struct roll *)e->value)->fresh = true;
	/* What was not durable, or an older copy does not have, is not remembered. */
	cox_map_clear(&barred);
}

/* ---- what people do ---- */

void sim_check_looked(const struct cox_rollout *r, size_t wave,
		      const uint8_t digest[COX_ROLLOUT_DIGEST])
{
	char hex[2 * COX_ROLLOUT_DIGEST + 1];
	struct cox_map *set;

	cox_hex_encode(digest, COX_ROLLOUT_DIGEST, hex);
	if (cox_map_has(&looked, hex))
		return;
	set = cox_new(struct cox_map);
	COX_VEC_EACH (&r->targets, t) {
		_cleanup_free_ char *key = target_key(t->uid, t->digest);

		if (t->wave == (int)wave && t->has_digest)
			cox_map_set(set, key, set);
	}
	cox_map_set(&looked, hex, set);
}

void sim_check_synced(const char *operation, bool past_gates)
{
	cox_map_set(&synced, operation, past_gates ? (void *)"past" : (void *)"");
}

bool sim_is_by_hand(const char *operation, bool *ret_past_gates)
{
	const char *how = cox_map_get(&synced, operation);

	*ret_past_gates = how && *how;
	return how != NULL;
}

typedef void gate_fn(struct roll *roll, const struct cox_rollout *r, size_t wave, bool after,
		     size_t i, const struct cox_rollout_gate_run *run);

static void each_gate(struct roll *roll, const struct cox_rollout *r, gate_fn *fn)
{
	for (size_t v = 0; v < r->waves.n; v++) {
		const struct cox_rollout_wave_run *run = &r->waves.items[v];

		for (size_t i = 0; i < run->before.n; i++)
			fn(roll, r, v, false, i, &run->before.items[i]);
		for (size_t i = 0; i < run->after.n; i++)
			fn(roll, r, v, true, i, &run->after.items[i]);
	}
}

static void note_gate(struct roll *roll, const struct cox_rollout *r, size_t wave, bool after,
		      size_t i, const struct cox_rollout_gate_run *run)
{
	_cleanup_free_ char *key = gate_key(wave, after, i);

	(void)roll;
	(void)r;
	if (!is_over(run->state))
		cox_map_set(&before_gates, key, &before_gates);
}

void sim_check_before_verb(const struct cox_rollout *r)
{
	cox_map_clear(&before_gates);
	before_verb = r;
	if (r)
		each_gate(NULL, r, note_gate);
}

static void promote_gate(struct roll *roll, const struct cox_rollout *r, size_t wave, bool after,
			 size_t i, const struct cox_rollout_gate_run *run)
{
	_cleanup_free_ char *key = gate_key(wave, after, i);

	(void)r;
	if (run->state == COX_GATE_SKIPPED && cox_map_has(&before_gates, key))
		cox_map_set(&roll->promoted, key, roll);
}

static void approved(struct roll *roll, const struct hub_rollout_order *o)
{
	char hex[2 * COX_ROLLOUT_DIGEST + 1];
	const struct cox_map *set;

	cox_hex_encode(o->digest, COX_ROLLOUT_DIGEST, hex);
	set = cox_map_get(&looked, hex);
	if (!set) {
		sim_fail("J: an approval of what nobody was shown is accepted");
		return;
	}
	COX_MAP_EACH (set, e) {
		_cleanup_free_ char *key = cox_asprintf("%s/%s", o->by, e->key);

		cox_map_set(&roll->approvals, key, roll);
	}
}

void sim_check_verb(const struct cox_rollout *r, const struct hub_rollout_order *o)
{
	struct roll *roll = cox_map_get(&rolls, r->id);

	if (!roll || before_verb != r)
		return;
	if (strcmp(o->verb, "pause") == 0)
		roll->paused = roll->was_paused = true;
	if (strcmp(o->verb, "resume") == 0) {
		roll->paused = false;
		roll->n_resumes++;
	}
	if (strcmp(o->verb, "retry") == 0) {
		COX_MAP_EACH (&roll->pins, e)
			((struct pin *)e->value)->retried = true;
		cox_map_clear(&barred); /* of others too: what they forgot is not looked for */
	}
	if (strcmp(o->verb, "promote") == 0)
		each_gate(roll, r, promote_gate);
	if (strcmp(o->verb, "approve") == 0)
		approved(roll, o);
}

void sim_check_answer(const char *rollout, const struct cox_rollout_probe *at,
		      enum cox_rollout_answer answer)
{
	struct roll *roll = cox_map_get(&rolls, rollout);
	_cleanup_free_ char *key = gate_key(at->wave, at->after, at->gate);
	size_t n;

	if (!roll || answer == COX_ANSWER_NONE)
		return;
	n = (size_t)cox_map_get(&roll->good, key);
	cox_map_set(&roll->good, key, answer == COX_ANSWER_GOOD ? (void *)(n + 1) : NULL);
}

/* ---- what is barred ---- */

bool sim_is_barred(const struct cox_rollout_target *t)
{
	_cleanup_free_ char *what = target_key(t->uid, t->digest);

	return cox_map_has(&barred, what);
}

void sim_bar(const struct cox_rollout_target *t)
{
	_cleanup_free_ char *what = target_key(t->uid, t->digest);

	cox_map_set(&barred, what, &barred);
}

/* ---- in which wave ---- */

static bool matches(const struct sim_wave *v, const struct sim_agent *a, int env)
{
	if (v->select == SIM_BY_LABEL)
		return env >= 0 && v->envs & 1u << env;
	return v->select == SIM_REST || (a->index >= v->first && a->index <= v->last);
}

/* By the labels that the hub has at this moment; -1: none. */
static int env_of(const struct look *l, const struct cox_rollout_target *t)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *label;
	const char *name = strchr(t->name, '/') + 1;
	int r = l->plan->strategy == SIM_STEPS
			? hub_control_get(w.control, HUB_APPLICATION, NULL, name, &doc, NULL)
			: hub_control_get(w.control, HUB_CLUSTER, NULL, t->cluster, &doc, NULL);

	if (r < 0)
		return -1;
	label = COX_GET(cox_doc_root(doc), "metadata", "labels", "env");
	for (int e = 0; e < 3; e++)
		if (cox_str_is(cox_node_str(label), sim_envs[e]))
			return e;
	return -1;
}

static void check_wave(const struct look *l, const struct cox_rollout_target *t)
{
	const struct sim_agent *a = t->cluster ? sim_agent_find(t->cluster) : NULL;
	int wave = -1, env;

	if (!l->plan || t->by_hand || !a)
		return;
	env = env_of(l, t);
	for (int i = 0; i < l->plan->n_waves && wave < 0; i++)
		if (matches(&l->plan->waves[i], a, env))
			wave = i;
	if (wave < 0 && l->plan->unmatched_last)
		wave = l->plan->n_waves;
	if (t->wave != wave)
		sim_fail("A: '%s' is planned for wave %d, by the plan it is in %d", t->name,
			 t->wave, wave);
}

static struct pin *pin_make(const struct look *l, const struct cox_rollout_target *t, bool first)
{
	struct pin *p = cox_new(struct pin);

	p->wave = t->wave;
	p->has_digest = t->has_digest;
	memcpy(p->digest, t->digest, sizeof(p->digest));
	p->joined = !first;
	p->homeless = !t->cluster;
	cox_map_set(&l->roll->pins, t->uid, p);
	w.stats.targets++;
	check_wave(l, t);
	return p;
}

/* ---- claims about targets ---- */

static void check_pinned(const struct cox_rollout_target *t, const struct pin *p)
{
	if (p->wave != t->wave && !p->homeless)
		sim_fail("B: '%s' goes from wave %d to %d within a rollout", t->name, p->wave,
			 t->wave);
	if (p->has_digest != t->has_digest ||
	    (t->has_digest && memcmp(p->digest, t->digest, sizeof(p->digest)) != 0))
		sim_fail("B: '%s' is pinned to %s, then to %s", t->name, sim_brief(p->digest),
			 sim_brief(t->digest));
}

static int64_t deadline_of(const struct look *l, const struct cox_rollout_target *t)
{
	if (is_back(l->r))
		return l->r->plan.waves.items[t->wave].progress_deadline_ms;
	return l->plan && t->wave < l->plan->n_waves ? l->plan->waves[t->wave].deadline_ms : 0;
}

static void check_state(const struct look *l, const struct cox_rollout_target *t,
			const struct pin *p)
{
	struct sim_entry *e = entry_of(t);
	bool moved_now = move_of(l, t->uid) != NULL;
	int64_t deadline;

	if (moved_now) /* judged by itself */
		return;
	if (t->state == COX_TARGET_HEALTHY && !(is_assigned(t, e) && sim_was_healthy(e)))
		sim_fail("E: '%s' is said to be healthy, and no report at (%llu, %llu) says so",
			 t->name, (unsigned long long)t->epoch, (unsigned long long)t->generation);
	if (t->state != COX_TARGET_FAILED || (is_assigned(t, e) && sim_was_failed(e)))
		return;
	deadline = t->wave >= 0 ? deadline_of(l, t) : 0;
	if (!t->overdue || deadline == 0 || virtual_now_ms() - p->started_ms < deadline)
		sim_fail("E: '%s' is said to have failed (%s), and nothing says so", t->name,
			 t->message ? t->message : "");
}

static void check_flags(const struct look *l, const struct cox_rollout_target *t,
			const struct pin *p)
{
	if (t->late && !p->was_away && !p->joined && !p->retried)
		sim_fail("A: '%s' counts as late, and was there all the time", t->name);
	if (t->excused && l->roll->n_resumes == 0 && !is_back(l->r) &&
	    !(l->plan && l->plan->on_failure == SIM_CONTINUE))
		sim_fail("D: '%s' is excused by nobody", t->name);
}

static void check_targets(const struct look *l, bool first)
{
	COX_MAP_EACH (&l->roll->pins, e)
		((struct pin *)e->value)->here = false;
	COX_VEC_EACH (&l->r->targets, t) {
		struct pin *p = cox_map_get(&l->roll->pins, t->uid);
		struct sim_move *m = move_of(l, t->uid);

		if (!p)
			p = pin_make(l, t, first);
		p->here = true;
		if (is_away(t))
			p->was_away = true;
		check_pinned(t, p);
		/* Who is on his way already has no longer for being told again by a person. */
		if (m && is_to(m, t) && t->state == COX_TARGET_MOVING &&
		    (m->sync_changed || (m->operation_changed &&
					 strcmp(m->a->operation->initiated_by, "rollout") == 0))) {
			p->started_ms = virtual_now_ms();
		}
		w.stats.claims++;
		if (l->r->phase != COX_ROLLOUT_PROGRESSING)
			continue;
		check_state(l, t, p);
		check_flags(l, t, p);
	}
}

/* Who was a target stays one, unless its Application left. */
static void check_nobody_lost(const struct look *l)
{
	if (l->roll->fresh || l->r->phase != COX_ROLLOUT_PROGRESSING)
		return;
	COX_MAP_EACH (&l->roll->pins, slot) {
		const struct pin *p = slot->value;

		if (p->here || p->homeless || sim_app_is_gone(slot->key))
			continue;
		sim_fail("F: target %s is lost", slot->key);
	}
}

/* One content for all that render the same folder. */
static void check_one_content(const struct look *l)
{
	const struct sim_content *first = NULL;

	if (is_back(l->r))
		return;
	COX_VEC_EACH (&l->r->targets, t) {
		const struct sim_content *c =
			t->has_digest && t->wave >= 0 ? sim_content_by_digest(t->digest) : NULL;

		if (first && c && c->version != first->version)
			sim_fail("B: a rollout of version %u has version %u for '%s'",
				 first->version, c->version, t->name);
		first = first ? first : c;
	}
}

/* ---- the whole ---- */

static void tell(const struct look *l)
{
	const struct cox_rollout *r = l->r;

	sim_trace("check: rollout %s of %s, %s, plan version %d%s%s", r->id, r->owner,
		  cox_rollout_phase_name(r->phase), l->plan ? l->plan->version : -1,
		  r->paused ? ", paused" : "", l->roll->fresh ? ", fresh" : "");
	for (size_t v = 0; v < r->waves.n; v++)
		sim_trace("check:   wave %zu is %s", v,
			  cox_wave_phase_name(r->waves.items[v].phase));
	COX_VEC_EACH (&r->targets, t) {
		const struct sim_entry *e = entry_of(t);

		sim_trace("check:   %s wave %d %s%s%s%s%s%s%s, pinned %s at (%llu, %llu); assigned "
			  "%s at (%llu, %llu) %s%s%s%s",
			  t->name, t->wave, cox_rollout_state_name(t->state),
			  t->moved ? " moved" : "", t->late ? " late" : "",
			  t->excused ? " excused" : "", t->overdue ? " overdue" : "",
			  t->offline ? " offline" : "", t->by_hand ? " by hand" : "",
			  t->has_digest ? sim_brief(t->digest) : "-", (unsigned long long)t->epoch,
			  (unsigned long long)t->generation,
			  e && e->has_sync ? sim_brief(e->sync) : "-",
			  (unsigned long long)(e ? e->epoch : 0),
			  (unsigned long long)(e ? e->generation : 0), e ? e->by : "",
			  e && e->healthy ? " healthy" : "", e && e->failed ? " failed" : "",
			  is_away(t) ? " away" : "");
	}
}

static struct roll *roll_make(const struct cox_rollout *r)
{
	struct roll *roll = cox_new(struct roll);

	memcpy(roll->id, r->id, sizeof(roll->id));
	roll->plan = sim_plan_of(r);
	cox_map_set(&rolls, r->id, roll);
	w.stats.rollouts++;
	w.stats.rollbacks += is_back(r);
	sim_trace("check: rollout %.8s of %s, source %d, %zu targets", r->id, r->owner,
		  (int)r->plan.source, r->targets.n);
	return roll;
}

/* An answer that was not durable is not remembered. */
static void adopt_gate(struct roll *roll, const struct cox_rollout *r, size_t wave, bool after,
		       size_t i, const struct cox_rollout_gate_run *run)
{
	_cleanup_free_ char *key = gate_key(wave, after, i);

	(void)r;
	cox_map_set(&roll->good, key, (void *)(size_t)run->good);
}

static void sync_with(struct roll *roll, const struct cox_rollout *r)
{
	if (!roll->fresh)
		return;
	each_gate(roll, r, adopt_gate);
	roll->paused = r->paused && !r->paused_by_failure;
	roll->was_under_way = r->phase == COX_ROLLOUT_PROGRESSING;
	roll->restarted = true;
	roll->starts.n = 0;
}

void sim_check_rollout(const struct cox_rollout *r, sim_moves *moves)
{
	struct roll *roll = cox_map_get(&rolls, r->id);
	bool first = !roll, had_failed = *w.failure != 0;
	struct look l;

	if (first)
		roll = roll_make(r);
	sync_with(roll, r);
	l = (struct look){.r = r, .roll = roll, .plan = roll->plan, .moves = moves};
	if (!l.plan &&
	    (r->plan.source == COX_ROLLOUT_POLICY || r->plan.source == COX_ROLLOUT_STEPS))
		sim_fail("B: rollout %s goes by a plan that nobody applied", r->id);
	check_targets(&l, first);
	check_nobody_lost(&l);
	check_one_content(&l);
	sim_check_starts(&l);
	if (l.plan && r->phase == COX_ROLLOUT_PROGRESSING) {
		sim_check_gates(&l);
		sim_check_waves(&l);
	}
	/* What was heard in this look was no progress yet when the older one was asked. */
	sim_check_end(&l);
	sim_note_progress(&l);
	roll->paused_by_failure = r->paused_by_failure; /* its end takes it away */
	if (*w.failure && !had_failed)
		tell(&l);
	roll->fresh = false;
}

static void tell_one(void *ctx, const struct cox_rollout *r)
{
	struct roll *roll = cox_map_get(&rolls, r->id);
	struct look l = {.r = r, .roll = roll, .plan = roll ? roll->plan : NULL};

	(void)ctx;
	if (roll && (r->phase == COX_ROLLOUT_PROGRESSING ||
		     r == hub_control_rollout(w.control, NULL, strrchr(r->owner, '/') + 1)))
		tell(&l);
}

void sim_check_tell(void)
{
	if (w.control && w.o.trace)
		hub_control_each_rollout(w.control, tell_one, NULL);
}
