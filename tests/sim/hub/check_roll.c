/* What must always hold of rollouts. Whenever the hub keeps one, what it says of it is a claim: each
 * has to be borne out by what was reported, by what people did, or by the clock. Who starts is judged
 * by rules of our own, from the plan that was applied (scene.c), never by asking hub/rollout. */
#include "tests/sim/hub/check.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* One target, as it was first seen. */
struct pin {
	bool has_digest, was_away, joined, retried;
	int wave;
	uint8_t digest[COX_ROLLOUT_DIGEST];
	int64_t started_ms;
	bool here; /* in this look */
};

struct roll {
	char id[COX_UUID_TEXT];
	const struct sim_plan *plan; /* NULL: none of ours */
	struct cox_map pins;	     /* uid -> struct pin */
	bool fresh;  /* the hub began anew: what it says now is where we go on from */
	bool paused; /* by a person */
	int n_resumes;
	bool was_under_way, restarted, paused_by_failure, was_paused;
	bool older; /* it went back to an older copy, which knows other answers */
	size_t best[COX_ROLLOUT_MAX_WAVES];	    /* so many were healthy at most */
	int64_t progress_ms[COX_ROLLOUT_MAX_WAVES]; /* when that, or a start, was */
	COX_VEC(int64_t) starts;		    /* times, since the hub began */
	struct cox_map approvals;		    /* "WAVE/PERSON/UID/HEX" -> anything */
	struct cox_map promoted;		    /* "WAVE/AFTER/GATE" -> anything */
	struct cox_map good;			    /* "WAVE/AFTER/GATE" -> good answers in a row */
	struct cox_map passed; /* waves that were said to have passed: "WAVE" */
	struct cox_map over;   /* gates that were said to be over: "WAVE/AFTER/GATE" */
};

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

void sim_check_rolls_restart(bool restored)
{
	if (restored) /* an older copy need not know what has failed since */
		cox_map_clear(&barred);
	COX_MAP_EACH (&rolls, e) {
		struct roll *roll = e->value;

		roll->fresh = true;
		roll->older = roll->older || restored;
	}
	/* What was not durable, or an older copy does not have, is not remembered. */
	cox_map_clear(&barred);
}

static char *gate_key(size_t wave, bool after, size_t gate)
{
	return cox_asprintf("%zu/%d/%zu", wave, after, gate);
}

static char *target_key(const char *uid, const uint8_t *digest)
{
	char hex[2 * COX_ROLLOUT_DIGEST + 1];

	cox_hex_encode(digest, COX_ROLLOUT_DIGEST, hex);
	return cox_asprintf("%s/%s", uid, hex);
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

static bool is_over(enum cox_gate_state state)
{
	return state == COX_GATE_PASSED || state == COX_GATE_SKIPPED;
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

/* ---- one look at a rollout ---- */

struct look {
	const struct cox_rollout *r;
	struct roll *roll;
	const struct sim_plan *plan;
	sim_moves *moves;
};

static bool is_back(const struct cox_rollout *r)
{
	return r->plan.source == COX_ROLLOUT_BACK;
}

static bool is_away(const struct cox_rollout_target *t)
{
	return !t->cluster || !sim_session(t->cluster);
}

static struct sim_entry *entry_of(const struct cox_rollout_target *t)
{
	return sim_entry_find(t->cluster, t->uid);
}

/* What is assigned is what the rollout pins. */
static bool is_assigned(const struct cox_rollout_target *t, const struct sim_entry *e)
{
	return e && !e->tombstone && e->has_sync && t->has_digest &&
	       memcmp(e->sync, t->digest, sizeof(t->digest)) == 0;
}

static bool is_healthy(const struct cox_rollout_target *t)
{
	const struct sim_entry *e = entry_of(t);

	return is_assigned(t, e) && e->healthy;
}

static bool is_failed(const struct cox_rollout_target *t)
{
	const struct sim_entry *e = entry_of(t);

	return is_assigned(t, e) && (e->failed || (t->state == COX_TARGET_FAILED && t->overdue));
}

static struct sim_move *move_of(const struct look *l, const char *uid)
{
	COX_VEC_EACH (l->moves, m)
		if (strcmp(m->uid, uid) == 0)
			return m;
	return NULL;
}

static bool is_to(const struct sim_move *m, const struct cox_rollout_target *t)
{
	return t->has_digest && m->a->sync_digest.len == sizeof(t->digest) &&
	       memcmp(m->a->sync_digest.data, t->digest, sizeof(t->digest)) == 0;
}

/* Only said again in this very look, behind the starts: what he was before it (failed and excused,
 * overdue) is not to be seen any more. */
static bool is_said_again(const struct look *l, const struct cox_rollout_target *t)
{
	const struct sim_move *m = move_of(l, t->uid);

	return m && !m->sync_changed && !m->operation_changed;
}

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
	cox_map_set(&l->roll->pins, t->uid, p);
	w.stats.targets++;
	check_wave(l, t);
	return p;
}

/* ---- claims about targets ---- */

static void check_pinned(const struct cox_rollout_target *t, const struct pin *p)
{
	if (p->wave != t->wave)
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

		if (p->here || sim_app_is_gone(slot->key))
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

/* ---- who starts ---- */

static size_t share(int value, bool is_percent, size_t n, bool up)
{
	size_t part;

	if (!is_percent)
		return (size_t)value;
	part = (n * (size_t)value + (up ? 99 : 0)) / 100;
	return part;
}

static size_t tolerance(const struct sim_plan *p, int wave, size_t n)
{
	const struct sim_wave *v = wave < p->n_waves ? &p->waves[wave] : NULL;

	if (!v || v->failures < 0 || p->strategy != SIM_POLICY)
		return 0;
	return share(v->failures, v->failures_percent, n, false);
}

static size_t concurrency(const struct sim_plan *p, int wave, size_t n)
{
	const struct sim_wave *v = wave < p->n_waves ? &p->waves[wave] : NULL;
	size_t part;

	if (!v || v->concurrent < 0)
		return n;
	part = share(v->concurrent, v->concurrent_percent, n, p->strategy == SIM_POLICY);
	return v->concurrent_percent && part < 1 ? 1 : part;
}

static size_t size_of(const struct look *l, int wave)
{
	size_t n = 0;

	COX_VEC_EACH (&l->r->targets, t)
		n += t->wave == wave;
	return n;
}

/* Everybody of the waves before is where he shall be. */
static void check_order(const struct look *l, const struct cox_rollout_target *t, int wave)
{
	size_t failed = 0;

	COX_VEC_EACH (&l->r->targets, u) {
		if (u->wave != wave || u->late || u->excused || is_healthy(u) ||
		    is_said_again(l, u))
			continue;
		if (is_failed(u) && l->plan->strategy == SIM_POLICY && u->moved) {
			failed++;
			continue;
		}
		if (l->plan->skip && l->plan->strategy == SIM_POLICY && is_away(u) && !is_failed(u))
			continue;
		sim_fail("A: '%s' of wave %d starts while '%s' of wave %d is not well (%s)",
			 t->name, t->wave, u->name, wave, cox_rollout_state_name(u->state));
		return;
	}
	if (failed > tolerance(l->plan, wave, size_of(l, wave)))
		sim_fail("D: '%s' of wave %d starts while %zu of wave %d have failed", t->name,
			 t->wave, failed, wave);
}

static void check_budget(const struct look *l, int wave)
{
	size_t n = size_of(l, wave), under_way = 0, may = concurrency(l->plan, wave, n);
	bool steps = l->plan->strategy == SIM_STEPS;

	COX_VEC_EACH (&l->r->targets, u) {
		const struct sim_move *m = move_of(l, u->uid);
		bool now = m && (m->sync_changed || m->operation_changed);

		if (u->wave != wave || u->state == COX_TARGET_WAITING ||
		    u->state == COX_TARGET_BLOCKED)
			continue;
		if (is_said_again(l, u))
			continue;
		if (!now && (!is_assigned(u, entry_of(u)) || is_healthy(u) ||
			     (is_failed(u) && !steps) || (l->plan->skip && !steps && is_away(u))))
			continue;
		under_way++;
	}
	if (under_way > may)
		sim_fail("C: %zu of wave %d are on their way, %zu may", under_way, wave, may);
}

static void check_failures(const struct look *l, const struct cox_rollout_target *t)
{
	if (l->plan->strategy != SIM_POLICY || l->r->phase != COX_ROLLOUT_PROGRESSING)
		return;
	for (int v = 0; v < (int)l->r->waves.n; v++) {
		size_t failed = 0;

		COX_VEC_EACH (&l->r->targets, u)
			failed += u->wave == v && u->moved && !u->excused && is_failed(u) &&
				  !move_of(l, u->uid); /* retried, or said again */
		if (failed > tolerance(l->plan, v, size_of(l, v)) &&
		    l->r->waves.items[v].phase >= COX_WAVE_OPEN)
			sim_fail("D: '%s' starts while %zu of wave %d have failed", t->name, failed,
				 v);
	}
}

static bool is_within(const struct sim_gate *g, int64_t at_ms)
{
	int64_t since = (at_ms / 1000 * 1000 - g->from * SIM_MINUTE_MS) % (60 * SIM_MINUTE_MS);

	return since < g->length * SIM_MINUTE_MS;
}

static void check_windows(const struct look *l, const struct cox_rollout_target *t)
{
	const struct sim_wave *v = &l->plan->waves[t->wave];
	int64_t at_ms = w.hub_base_ms + virtual_now_ms();
	bool denied = false, allowed = false, allows = false;

	for (int i = 0; i < v->n_before; i++) {
		const struct sim_gate *g = &v->before[i];

		if (g->kind != SIM_WINDOW ||
		    l->r->waves.items[t->wave].before.items[i].state == COX_GATE_SKIPPED)
			continue;
		denied = denied || (g->deny && is_within(g, at_ms));
		allows = allows || !g->deny;
		allowed = allowed || (!g->deny && is_within(g, at_ms));
	}
	if (denied || (allows && !allowed))
		sim_fail("G: '%s' starts outside of its windows", t->name);
}

static int people_for(const struct look *l, const struct cox_rollout_target *t)
{
	static const char *const names[] = {"ann", "bob", "cem", "dee"};
	_cleanup_free_ char *what = target_key(t->uid, t->digest);
	int n = 0;

	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++) {
		_cleanup_free_ char *key = cox_asprintf("%s/%s", names[i], what);

		n += cox_map_has(&l->roll->approvals, key);
	}
	return n;
}

static void check_before(const struct look *l, const struct cox_rollout_target *t,
			 const struct pin *p)
{
	const struct sim_wave *v = &l->plan->waves[t->wave];

	for (int i = 0; i < v->n_before; i++) {
		_cleanup_free_ char *key = gate_key((size_t)t->wave, false, (size_t)i);
		const struct cox_rollout_gate_run *run =
			&l->r->waves.items[t->wave].before.items[i];

		if (!is_over(run->state))
			sim_fail("G: '%s' starts before gate %d of wave %d is over", t->name, i,
				 t->wave);
		if (v->before[i].kind == SIM_APPROVAL && people_for(l, t) < v->before[i].count &&
		    !cox_map_has(&l->roll->promoted, key) && !p->retried)
			sim_fail("G: '%s' starts, and %d of %d have approved it", t->name,
				 people_for(l, t), v->before[i].count);
	}
}

/* Spread over time, with a second's share at once; the hub counts anew when it begins anew. */
static void check_rate(const struct look *l)
{
	size_t may = l->plan->strategy == SIM_POLICY ? (size_t)l->plan->starts_per_minute : 0;
	size_t recent = 0;

	cox_vec_push(&l->roll->starts, virtual_now_ms());
	COX_VEC_EACH (&l->roll->starts, ms)
		recent += virtual_now_ms() - *ms < SIM_MINUTE_MS;
	if (may > 0 && recent > may + (may < 120 ? 1 : may / 60))
		sim_fail("C: %zu starts in a minute, %zu may", recent, may);
}

/* Its project's windows, which only open here. Clocks that jump are looked at when something happens. */
static void check_project(const struct look *l, const struct cox_rollout_target *t)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct sim_gate window = {.from = 10, .length = 30};

	if (!w.sets[l->plan->set].project || w.stats.jumps > 0 ||
	    hub_control_get(w.control, HUB_APP_PROJECT, NULL, "guarded", &doc, NULL) < 0 ||
	    cox_node_len(COX_GET(cox_doc_root(doc), "spec", "syncWindows")) == 0)
		return;
	if (!is_within(&window, cox_clock_wall_ms()) &&
	    !is_within(&window, cox_clock_wall_ms() - 2000))
		sim_fail("G: '%s' starts outside of its project's windows", t->name);
}

static void check_start(const struct look *l, const struct cox_rollout_target *t,
			const struct pin *p)
{
	_cleanup_free_ char *what = target_key(t->uid, t->digest);

	w.stats.moves++;
	if (cox_map_has(&barred, what) && !is_back(l->r))
		sim_fail("O: '%s' is moved to what failed there, and nobody said `retry`", t->name);
	if (t->wave >= 0)
		l->roll->progress_ms[t->wave] = virtual_now_ms();
	if (l->roll->paused && !l->roll->fresh)
		sim_fail("G: '%s' starts while the rollout is paused", t->name);
	if (t->wave < 0)
		sim_fail("A: '%s' starts, and is in no wave", t->name);
	if (!l->plan || t->wave < 0)
		return;
	/* When it is over nobody looks any more how the others are; who is late catches up. */
	for (int v = 0; v < t->wave && l->r->phase == COX_ROLLOUT_PROGRESSING; v++)
		check_order(l, t, v);
	if (l->r->phase == COX_ROLLOUT_PROGRESSING)
		check_budget(l, t->wave);
	check_failures(l, t);
	check_rate(l);
	check_project(l, t);
	if (t->wave < l->plan->n_waves) {
		check_windows(l, t);
		check_before(l, t, p);
	}
	if (l->plan->skip && l->plan->strategy == SIM_POLICY && is_away(t))
		sim_fail("A: '%s' starts while its cluster is away", t->name);
}

/* Started by the engine: its operation, or a new content where agents sync by themselves. */
static bool is_start(const struct look *l, const struct sim_move *m)
{
	const Coxswain__Assignment__V1__Operation *op = m->a->operation;

	if (!l->r->plan.ordered)
		return m->sync_changed && !(op && m->operation_changed);
	return op && m->operation_changed && sim_is_of_rollout(op->initiated_by);
}

/* One that ends in the very step in which it starts somebody (a way back that waits for nobody, a gate
 * that fails behind it) has not noted the stamp. */
static bool is_of(const struct look *l, const struct cox_rollout_target *t,
		  const struct sim_move *m)
{
	if (!cox_streq(t->cluster, m->cluster))
		return false;
	if (t->epoch == m->a->epoch && t->generation == m->a->generation)
		return true;
	return l->r->phase != COX_ROLLOUT_PROGRESSING && t->state == COX_TARGET_MOVING &&
	       t->generation == 0 && is_to(m, t);
}

static void check_starts(const struct look *l)
{
	COX_VEC_EACH (l->moves, m) {
		const struct cox_rollout_target *t = cox_rollout_find(l->r, m->uid);
		struct pin *p = t ? cox_map_get(&l->roll->pins, t->uid) : NULL;

		if (!t || !is_start(l, m) || !is_of(l, t, m))
			continue;
		if (!is_to(m, t)) {
			sim_fail("B: '%s' is moved to %s, pinned is %s", t->name,
				 m->a->sync_digest.len ? sim_brief(m->a->sync_digest.data) : "none",
				 t->has_digest ? sim_brief(t->digest) : "none");
			continue;
		}
		m->justified = true;
		check_start(l, t, p);
	}
}

/* ---- gates and waves ---- */

/* Every healthy one of the wave has been so for so long. */
static void check_soak(const struct look *l, size_t wave, int64_t soak_ms)
{
	COX_VEC_EACH (&l->r->targets, t) {
		const struct sim_entry *e = entry_of(t);

		if (t->wave != (int)wave || t->late || !is_healthy(t) || is_away(t))
			continue;
		if (virtual_now_ms() - e->healthy_ms < soak_ms)
			sim_fail("G: wave %zu has soaked, and '%s' is healthy for %lld ms", wave,
				 t->name, (long long)(virtual_now_ms() - e->healthy_ms));
	}
}

static void gate_is_over(const struct look *l, size_t wave, bool after, size_t i,
			 const struct cox_rollout_gate_run *run)
{
	const struct sim_wave *v = &l->plan->waves[wave];
	const struct sim_gate *g = after ? &v->after[i] : &v->before[i];
	_cleanup_free_ char *key = gate_key(wave, after, i);

	if (run->state == COX_GATE_SKIPPED)
		return;
	if ((g->kind == SIM_HTTP || g->kind == SIM_METRICS) && !l->roll->older &&
	    (int)(size_t)cox_map_get(&l->roll->good, key) < g->count)
		sim_fail("G: gate %s has passed without %d good answers", key, g->count);
	if (g->kind == SIM_SOAK)
		check_soak(l, wave, g->soak_ms);
}

static void check_gates(const struct look *l)
{
	const struct cox_rollout *r = l->r;

	for (size_t v = 0; v < r->waves.n; v++)
		for (int after = 0; after < 2; after++) {
			const struct cox_rollout_wave_run *run = &r->waves.items[v];
			size_t n = after ? run->after.n : run->before.n;

			for (size_t i = 0; i < n; i++) {
				const struct cox_rollout_gate_run *g =
					after ? &run->after.items[i] : &run->before.items[i];
				_cleanup_free_ char *key = gate_key(v, after, i);
				bool was = cox_map_has(&l->roll->over, key);

				if (!is_over(g->state)) {
					cox_map_remove(&l->roll->over, key);
					continue;
				}
				cox_map_set(&l->roll->over, key, l->roll);
				if (!was && !l->roll->fresh)
					gate_is_over(l, v, after, i, g);
			}
		}
}

static void check_passed(const struct look *l, size_t wave)
{
	size_t n = 0, healthy = 0;

	COX_VEC_EACH (&l->r->targets, t) {
		n += t->wave == (int)wave;
		healthy += t->wave == (int)wave && is_healthy(t);
	}
	if (n > 0 && healthy == 0)
		sim_fail("A: wave %zu has passed, and nobody of it was seen healthy", wave);
	for (size_t i = 0; i < l->r->waves.items[wave].after.n; i++)
		if (!is_over(l->r->waves.items[wave].after.items[i].state))
			sim_fail("G: wave %zu has passed, and its gate %zu has not", wave, i);
}

static void check_waves(const struct look *l)
{
	for (size_t v = 0; v < l->r->waves.n; v++) {
		char key[24];
		bool passed = l->r->waves.items[v].phase == COX_WAVE_PASSED, was;

		snprintf(key, sizeof(key), "%zu", v);
		was = cox_map_has(&l->roll->passed, key);
		if (!passed)
			cox_map_remove(&l->roll->passed, key);
		else
			cox_map_set(&l->roll->passed, key, l->roll);
		if (passed && !was && !l->roll->fresh)
			check_passed(l, v);
	}
}

/* ---- its end ---- */

static bool is_under_way(const struct look *l, const struct cox_rollout_target *t)
{
	return is_assigned(t, entry_of(t)) && !is_healthy(t) && !is_failed(t) &&
	       !(l->plan->skip && l->plan->strategy == SIM_POLICY && is_away(t));
}

/* Nobody gets on any more, or somebody cannot; or a person has had a hand in it; or nobody can tell, because something was heard in this
 * very millisecond, perhaps after the hub had looked. */
static bool is_stuck(const struct look *l, int wave, size_t failed)
{
	int64_t patience = l->plan->strategy == SIM_STEPS ? SIM_MINUTE_MS : 10 * SIM_MINUTE_MS;
	int64_t last = 0;

	for (size_t v = 0; v < l->r->waves.n; v++)
		last = l->roll->progress_ms[v] > last ? l->roll->progress_ms[v] : last;
	if (l->roll->paused_by_failure || failed > tolerance(l->plan, wave, size_of(l, wave)) ||
	    virtual_now_ms() - last >= patience || last == virtual_now_ms())
		return true;
	COX_VEC_EACH (&l->r->targets, t) {
		const struct sim_entry *e = entry_of(t);

		if ((t->wave == wave && t->state == COX_TARGET_BLOCKED) || t->wave < 0 ||
		    (e && e->operation[0] && strcmp(e->by, "rollout") != 0))
			return true;
	}
	return false;
}

/* A newer one takes over in the middle of a wave only where the policy says so. Those of later waves who
 * are on their way were sent there by hand. */
static void check_superseded(const struct look *l)
{
	const struct sim_set *set = &w.sets[l->plan->set];
	size_t under_way = 0, left = 0, front = 0;

	/* Who got well in a pause is noted behind it, perhaps behind this. */
	if (l->roll->was_paused)
		return;
	/* Nothing moves by itself any more. */
	if (!set->automated && set->plans.items[set->plans.n - 1]->strategy == SIM_AT_ONCE)
		return;
	while (front + 1 < l->r->waves.n &&
	       (l->r->waves.items[front].phase == COX_WAVE_PASSED || size_of(l, (int)front) == 0))
		front++;
	for (size_t v = 0; v <= front; v++) {
		size_t failed = 0;

		COX_VEC_EACH (&l->r->targets, t) {
			if (t->wave != (int)v || t->late)
				continue;
			under_way += is_under_way(l, t);
			failed += is_failed(t) && !t->excused;
		}
		if (is_stuck(l, (int)v, failed))
			return;
	}
	COX_VEC_EACH (&l->r->targets, t)
		left += t->state == COX_TARGET_WAITING && t->wave >= 0 && !is_away(t) && !t->late;
	if (under_way > 0 ||
	    (l->plan->supersede == SIM_FINISHED && left > 0 && l->plan->strategy == SIM_POLICY))
		sim_fail("M: rollout %s is superseded with %zu under way and %zu to come; wave %zu "
			 "got "
			 "on %lld ms ago",
			 l->r->id, under_way, left, front,
			 (long long)(virtual_now_ms() - l->roll->progress_ms[front]));
}

/* Everybody was told to go back, also who is away. */
static void check_is_back(const struct look *l)
{
	COX_VEC_EACH (&l->r->targets, t) {
		const struct sim_move *m = move_of(l, t->uid);

		if (!is_assigned(t, entry_of(t)) && !(m && is_to(m, t)))
			sim_fail("P: everything is said to be back, and '%s' is not", t->name);
	}
}

static void note_bars(const struct look *l)
{
	COX_VEC_EACH (&l->r->targets, t) {
		_cleanup_free_ char *what = target_key(t->uid, t->digest);

		if (t->wave >= 0 && t->state == COX_TARGET_FAILED && !t->excused && is_failed(t))
			cox_map_set(&barred, what, &barred);
	}
}

static void check_end(const struct look *l)
{
	bool ended = l->roll->was_under_way && l->r->phase != COX_ROLLOUT_PROGRESSING;

	l->roll->was_under_way = l->r->phase == COX_ROLLOUT_PROGRESSING;
	if (!ended || l->roll->fresh)
		return;
	if (is_back(l->r) &&
	    (l->r->phase == COX_ROLLOUT_SUCCEEDED || l->r->phase == COX_ROLLOUT_FAILED))
		check_is_back(l);
	if (l->plan && l->plan->on_failure == SIM_ROLLBACK && l->plan->strategy == SIM_POLICY &&
	    l->r->phase == COX_ROLLOUT_FAILED)
		note_bars(l);
	if (l->plan && l->r->phase == COX_ROLLOUT_SUPERSEDED &&
	    (l->plan->supersede != SIM_NOW || l->plan->strategy == SIM_STEPS) &&
	    !l->roll->restarted)
		check_superseded(l);
}

static void note_progress(const struct look *l)
{
	for (size_t v = 0; v < l->r->waves.n; v++) {
		size_t n = 0;

		COX_VEC_EACH (&l->r->targets, t)
			n += t->wave == (int)v && !t->late && is_healthy(t);
		if (n <= l->roll->best[v] && l->roll->progress_ms[v])
			continue;
		l->roll->best[v] = n > l->roll->best[v] ? n : l->roll->best[v];
		l->roll->progress_ms[v] = virtual_now_ms();
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
	check_starts(&l);
	if (l.plan && r->phase == COX_ROLLOUT_PROGRESSING) {
		check_gates(&l);
		check_waves(&l);
	}
	/* What was heard in this look was no progress yet when the older one was asked. */
	check_end(&l);
	note_progress(&l);
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
