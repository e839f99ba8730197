/* Rollouts under chance: random policies, fleets and events, from a seed. After each event what must
 * always hold is checked from outside, by what the story knows and not by what the planner says it
 * knows; when the faults end, everybody gets what is wanted.
 *
 * COX_TEST_SEED=n plays that one story and tells it; COX_TEST_SEEDS=n plays so many. */
#include "common/base/rand.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "hub/rollout/rollout.h"
#include "tests/unit/hub/rollout/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define MAX_TARGETS 14
#define MINUTE	    60000
#define SLACK_MS    5000   /* ROLLOUT_SLACK_MS */
#define RETURN_MS   120000 /* ROLLOUT_RETURN_MS */

struct agent {
	char name[24];
	struct cox_doc *labels;
	bool there, offline, new;
	uint32_t wanted, has; /* content; 0: nothing */
	uint64_t generation;
	bool healthy_at;   /* at `has`, as far as was truly reported at this generation */
	uint32_t approved; /* content that people have let through */
	uint32_t barred;   /* content that failed here, and nobody lifted it */
	bool speaks;	   /* it says since when it is well */
	bool held;
	int64_t well_ms; /* without a break since then, in truth; 0: it is not */
	/* what it reported last at its generation */
	struct cox_rollout_report last;
	uint8_t last_digest[32];
	bool has_last;
	bool well_with[1024]; /* by content: it was reported well there once */
};

struct story {
	uint64_t seed;
	struct cox_rng rng;
	struct cox_doc *policy;
	struct cox_rollout_plan plan;
	struct agent agents[MAX_TARGETS];
	size_t n;
	struct cox_rollout *r, *reversed; /* that r is the way back of; NULL */
	int64_t now_ms, wake_ms;
	uint32_t content; /* the newest */
	bool bad[4096];	  /* contents that are never well */
	unsigned n_rollouts, n_moves, n_backs, n_done;
	bool tell, calm;
	struct cox_rollout_probe asked[8];
	size_t n_asked;
	const char *what; /* the event under way */
	struct rows rows;
	bool soaked[8][4]; /* by wave and gate */
	bool stepped;	   /* the last step has changed something */
	int64_t back_ms;   /* when the hub started that is up; 0: long ago */
	unsigned n_soaks, n_unwritten;
};

static uint64_t below(struct story *s, uint64_t n)
{
	return cox_rng_below(&s->rng, n);
}

static bool one_in(struct story *s, uint64_t n)
{
	return below(s, n) == 0;
}

__attribute__((format(printf, 2, 3))) static void broken(struct story *s, const char *format, ...)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT, json = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("r");
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(&text, format, args);
	va_end(args);
	cox_yaml_write(&json, cox_rollout_status(s->r, doc));
	fail_msg("seed %llu, after '%s': %s\n%s", (unsigned long long)s->seed, s->what,
		 cox_buf_cstr(&text), cox_buf_cstr(&json));
}

/* ---- the fleet ---- */

static void digest_of(const struct agent *a, uint32_t content, uint8_t ret[32])
{
	memset(ret, 0, 32);
	memcpy(ret, &content, sizeof(content));
	memcpy(ret + 8, a->name, strlen(a->name));
}

static uint32_t content_of(const uint8_t digest[32])
{
	uint32_t content;

	memcpy(&content, digest, sizeof(content));
	return content;
}

static struct agent *agent(struct story *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->agents[i].name, name) == 0)
			return &s->agents[i];
	return NULL;
}

static void policy_text(struct story *s, struct cox_buf *b)
{
	static const char *const failure[] = {"pause", "rollback", "continue"};
	static const char *const offline[] = {"skip", "wait"};
	static const char *const supersede[] = {"wave", "now", "finished"};
	size_t n = 1 + below(s, 4);

	cox_buf_printf(b, "onFailure: %s\noffline: %s\nsupersede: %s\nunmatched: last\n",
		       failure[below(s, 3)], offline[below(s, 2)], supersede[below(s, 3)]);
	if (one_in(s, 4))
		cox_buf_puts(b, "startJitter: 20s\n");
	if (one_in(s, 4))
		cox_buf_puts(b, "startsPerMinute: 30\n");
	cox_buf_puts(b, "waves:\n");
	for (size_t i = 0; i < n; i++) {
		cox_buf_printf(b, "- name: w%zu\n  clusters: {matchLabels: {wave: '%zu'}}\n", i, i);
		if (one_in(s, 2))
			cox_buf_printf(b, "  maxConcurrent: %d%s\n", 1 + (int)below(s, 3),
				       one_in(s, 2) ? "0%" : "");
		if (one_in(s, 2))
			cox_buf_printf(b, "  maxFailures: %d%s\n", (int)below(s, 3),
				       one_in(s, 2) ? "0%" : "");
		if (one_in(s, 2))
			cox_buf_puts(b, "  progressDeadline: 5m\n");
		if (one_in(s, 3))
			cox_buf_printf(b, "  before: [%s%s]\n",
				       one_in(s, 2) ? "{approval: {}}, " : "",
				       one_in(s, 2) ? "{http: {url: 'https://x/', failureLimit: 2}}"
						    : "{window: {schedule: '*/10 * * * *', "
						      "duration: 5m}}");
		if (one_in(s, 2))
			cox_buf_printf(b, "  after: [%s{soak: 3m}]\n",
				       one_in(s, 3) ? "{metrics: {query: up, failureLimit: 1}}, "
						    : "");
	}
}

static void story_init(struct story *s, uint64_t seed)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_error err = COX_ERROR_INIT;

	*s = (struct story){.seed = seed, .now_ms = 1700000000000, .content = 1};
	cox_rng_init(&s->rng, seed);
	s->tell = getenv("COX_TEST_SEED") != NULL;
	policy_text(s, &text);
	if (s->tell)
		print_message("%s", cox_buf_cstr(&text));
	assert_int_equal(cox_yaml_read(cox_buf_str(&text), "policy", NULL, &s->policy, &err), 0);
	if (cox_rollout_plan_policy("p", cox_doc_root(s->policy), &s->plan, &err) < 0)
		fail_msg("%s", err.message);
	s->n = 1 + below(s, MAX_TARGETS);
	for (size_t i = 0; i < s->n; i++) {
		struct agent *a = &s->agents[i];
		char json[32];

		snprintf(a->name, sizeof(a->name), "t%02zu", i);
		snprintf(json, sizeof(json), "{\"wave\":\"%d\"}", (int)below(s, 5));
		assert_int_equal(cox_json_read(cox_str(json), "l", &a->labels, NULL), 0);
		a->there = !one_in(s, 6);
		a->offline = one_in(s, 8);
		a->speaks = !one_in(s, 4);
		a->wanted = 1;
	}
}

static void story_fini(struct story *s)
{
	for (size_t i = 0; i < s->n; i++)
		cox_doc_unref(s->agents[i].labels);
	cox_rollout_free(s->r);
	cox_rollout_free(s->reversed);
	rows_fini(&s->rows);
	cox_rollout_plan_fini(&s->plan);
	cox_doc_unref(s->policy);
}

/* ---- what must always hold ---- */

static bool is_away(const struct cox_rollout *r, const struct cox_rollout_target *t)
{
	return t->offline && r->plan.offline == COX_OFFLINE_SKIP;
}

/* Before this one starts: everybody of the waves before it is where he shall be. */
static void check_order(struct story *s, const struct cox_rollout_target *t)
{
	const struct cox_rollout *r = s->r;

	for (int w = 0; w < t->wave; w++) {
		size_t n = 0, failed = 0;

		COX_VEC_EACH (&r->targets, u)
			n += u->wave == w;
		COX_VEC_EACH (&r->targets, u) {
			if (u->wave != w || u->late || u->state == COX_TARGET_HEALTHY ||
			    u->excused || is_away(r, u))
				continue;
			if (u->state != COX_TARGET_FAILED || !u->moved)
				broken(s, "'%s' moves while '%s' of wave %d is %s", t->name,
				       u->name, w, cox_rollout_state_name(u->state));
			failed++;
		}
		if (failed > cox_rollout_tolerance(&r->plan, (size_t)w, n))
			broken(s, "'%s' moves while %zu of wave %d are failed", t->name, failed, w);
	}
}

static void check_room(struct story *s, const struct cox_rollout_target *t)
{
	size_t n = 0, moving = 0;

	COX_VEC_EACH (&s->r->targets, u) {
		n += u->wave == t->wave;
		moving += u->wave == t->wave && u->state == COX_TARGET_MOVING && u->moved &&
			  !is_away(s->r, u);
	}
	/* This one is Moving already. */
	if (moving > cox_rollout_concurrency(&s->r->plan, (size_t)t->wave, n))
		broken(s, "%zu of wave %d are on their way", moving, t->wave);
}

static bool has_approval(const struct cox_rollout *r, int wave)
{
	const struct cox_rollout_wave *w = &r->plan.waves.items[wave];

	for (size_t i = 0; i < w->before.n; i++)
		if (w->before.items[i].kind == COX_GATE_APPROVAL)
			return true;
	return false;
}

static void check_move(struct story *s, const struct cox_rollout_target *t)
{
	struct agent *a = agent(s, t->name);

	if (!a || !a->there)
		broken(s, "'%s' is not there", t->name);
	if (s->r->paused)
		broken(s, "'%s' moves in a pause", t->name);
	if (s->r->plan.source == COX_ROLLOUT_BACK) {
		if (!a->well_with[content_of(t->digest) % 1024])
			broken(s, "'%s' goes back to %u, with which nobody saw it well", t->name,
			       content_of(t->digest));
		return;
	}
	check_room(s, t);
	if (!t->late)
		check_order(s, t);
	if (a->offline && is_away(s->r, t))
		broken(s, "'%s' is away and moves", t->name);
	if (has_approval(s->r, t->wave) && a->approved != content_of(t->digest))
		broken(s, "'%s' moves without an approval", t->name);
	if (a->barred == content_of(t->digest))
		broken(s, "'%s' moves to what failed there", t->name);
}

static void check_always(struct story *s)
{
	const struct cox_rollout *r = s->r;
	struct cox_rollout_why why;

	cox_rollout_why(r, &why);
	if (r->phase == COX_ROLLOUT_PROGRESSING && !*why.message)
		broken(s, "it is under way and nothing says why");
	COX_VEC_EACH (&r->targets, t) {
		const struct agent *a = agent(s, t->name);

		if (r->phase == COX_ROLLOUT_PROGRESSING && t->state == COX_TARGET_HEALTHY &&
		    !(a->has == content_of(t->digest) && a->healthy_at))
			broken(s, "'%s' is said to be healthy, which nobody saw", t->name);
	}
	if (r->phase != COX_ROLLOUT_PROGRESSING || r->paused ||
	    r->plan.source == COX_ROLLOUT_BACK || r->plan.on_failure == COX_FAILURE_CONTINUE)
		return;
	for (size_t w = 0; w < r->waves.n; w++) {
		size_t n = 0, failed = 0;

		COX_VEC_EACH (&r->targets, t) {
			n += t->wave == (int)w;
			failed += t->wave == (int)w && t->state == COX_TARGET_FAILED && t->moved &&
				  !t->excused;
		}
		if (failed > cox_rollout_tolerance(&r->plan, w, n) &&
		    r->waves.items[w].phase >= COX_WAVE_OPEN)
			broken(s, "%zu of wave %zu failed, and it goes on", failed, w);
	}
}

static void check_soak(struct story *s, int wave, int64_t soak_ms)
{
	s->n_soaks++;
	COX_VEC_EACH (&s->r->targets, t) {
		const struct agent *a = agent(s, t->name);

		if (t->wave != wave || t->late || t->state != COX_TARGET_HEALTHY || !a->speaks)
			continue;
		/* Agents that were there need their time to come back to a new hub. */
		if (t->offline && (!s->back_ms || s->now_ms - s->back_ms >= RETURN_MS))
			continue;
		if (a->well_ms == 0 || s->now_ms - a->well_ms < soak_ms - SLACK_MS)
			broken(s, "wave %d has soaked, and '%s' is well for %lld s", wave, t->name,
			       a->well_ms ? (long long)(s->now_ms - a->well_ms) / 1000 : -1);
	}
}

/* What is kept is what there is; and on with what is read back. */
static void check_kept(struct story *s)
{
	_cleanup_free_ char *lost = rows_reload(&s->rows, &s->r);

	if (lost)
		broken(s, "%s", lost);
}

/* Whoever's soak has passed was well so long, by what his agent knows. */
static void check_soaks(struct story *s)
{
	const struct cox_rollout *r = s->r;

	for (size_t w = 0; w < r->waves.n; w++)
		for (size_t i = 0; i < r->plan.waves.items[w].after.n; i++) {
			const struct cox_rollout_gate *gate =
				&r->plan.waves.items[w].after.items[i];
			bool *was = &s->soaked[w][i];
			bool passed = gate->kind == COX_GATE_SOAK &&
				      r->waves.items[w].after.items[i].state == COX_GATE_PASSED;

			if (passed && !*was)
				check_soak(s, (int)w, gate->soak_ms);
			*was = passed;
		}
}

/* ---- the shell ---- */

static void step(struct story *s);

static void note_bars(struct story *s)
{
	COX_VEC_EACH (&s->r->bars, b) {
		struct agent *a = agent(s, b->uid);

		if (a && b->failed)
			a->barred = content_of(b->digest);
	}
}

/* Another rollout is looked at from now on. */
static void begin(struct story *s)
{
	rows_fini(&s->rows);
	cox_rollout_free(s->reversed);
	s->reversed = NULL;
	memset(s->soaked, 0, sizeof(s->soaked));
	s->n_asked = 0;
}

static void carry_out(struct story *s, const struct cox_rollout_effect *e)
{
	char id[COX_UUID_TEXT];
	struct cox_rollout *back;

	if (e->kind == COX_EFFECT_MOVE) {
		const struct cox_rollout_target *t = &s->r->targets.items[e->target];
		struct agent *a = agent(s, t->name);

		check_move(s, t);
		if (s->tell)
			print_message("    move %s to %u\n", t->name, content_of(t->digest));
		a->has = content_of(t->digest);
		a->generation++;
		a->healthy_at = false;
		a->well_ms = 0;
		a->has_last = false;
		s->n_moves++;
		cox_rollout_assigned(s->r, t->uid, 1, a->generation, "", s->now_ms);
	} else if (e->kind == COX_EFFECT_PROBE) {
		assert_true(s->n_asked < 8);
		s->asked[s->n_asked++] = e->probe;
	} else if (e->kind == COX_EFFECT_ROLLBACK) {
		note_bars(s);
		snprintf(id, sizeof(id), "r%u", ++s->n_rollouts);
		back = cox_rollout_rollback(s->r, id, s->now_ms);
		if (s->tell)
			print_message("  %s\n", back->reason);
		begin(s);
		s->reversed = s->r;
		s->r = back;
		s->n_backs++;
		step(s);
	}
}

static void step(struct story *s)
{
	cox_rollout_effects effects = {0};

	s->stepped |= cox_rollout_step(s->r, NULL, s->now_ms, &effects, &s->wake_ms) > 0;
	COX_VEC_EACH (&effects, e)
		carry_out(s, e);
	cox_vec_clear(&effects);
	cox_rollout_step(s->r, NULL, s->now_ms, &effects, &s->wake_ms);
	if (effects.n > 0)
		broken(s, "asked twice it decides twice");
	cox_vec_fini(&effects);
}

static struct cox_rollout_member member(const struct agent *a, uint8_t wanted[32], uint8_t has[32])
{
	digest_of(a, a->wanted, wanted);
	digest_of(a, a->has, has);
	return (struct cox_rollout_member){
		.uid = a->name,
		.name = a->name,
		.cluster = a->name,
		.revision = "rev",
		.cluster_labels = cox_doc_root(a->labels),
		.digest = wanted,
		.previous = a->has ? has : NULL,
		.previous_revision = "old",
		.at_digest = a->has == a->wanted,
		.epoch = 1,
		.generation = a->generation,
		.offline = a->offline,
	};
}

static void new_rollout(struct story *s, const struct cox_rollout_member *m, size_t n)
{
	char id[COX_UUID_TEXT];
	struct cox_rollout *r;

	snprintf(id, sizeof(id), "r%u", ++s->n_rollouts);
	r = cox_rollout_new(&(struct cox_rollout_spec){.id = id,
						       .owner = "ApplicationSet/ns/x",
						       .plan = &s->plan,
						       .members = m,
						       .n_members = n,
						       .before = s->r,
						       .reversed = s->reversed},
			    s->now_ms);
	if (s->r)
		cox_rollout_supersede(s->r, s->now_ms);
	cox_rollout_free(s->r);
	s->r = r;
	begin(s);
	for (size_t i = 0; i < s->n; i++)
		s->agents[i].approved = 0;
	if (s->tell)
		print_message("  rollout %s\n", id);
}

static void consider(struct story *s)
{
	static uint8_t wanted[MAX_TARGETS][32], has[MAX_TARGETS][32];
	struct cox_rollout_member m[MAX_TARGETS];
	enum cox_rollout_difference d;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->agents[i].there) {
			m[n] = member(&s->agents[i], wanted[n], has[n]);
			n++;
		}
	if (!s->r) {
		new_rollout(s, m, n);
		return;
	}
	if (cox_rollout_is_barred(s->r, m, n))
		return;
	d = cox_rollout_compare(s->r, &s->plan, m, n);
	if (d == COX_ROLLOUT_SAME && s->r->phase != COX_ROLLOUT_ABORTED)
		return;
	if (d == COX_ROLLOUT_MEMBERS && s->r->phase == COX_ROLLOUT_PROGRESSING) {
		for (size_t i = 0; i < n; i++)
			cox_rollout_join(s->r, &m[i], s->now_ms);
		return;
	}
	if (cox_rollout_may_supersede(s->r, s->now_ms, NULL))
		new_rollout(s, m, n);
}

/* ---- events ---- */

static void report(struct story *s, struct agent *a, bool stale)
{
	uint8_t digest[32];
	bool well = !s->bad[a->has % 4096] && (s->calm || !one_in(s, 5));
	struct cox_rollout_report p = {.epoch = 1,
				       .generation = a->generation - stale,
				       .sync_digest = digest,
				       .synced = s->calm || !one_in(s, 6),
				       .healthy = well,
				       .degraded = !well && one_in(s, 3),
				       .health = "Progressing"};

	if (a->has == 0 || a->offline || !a->there)
		return;
	digest_of(a, a->has, digest);
	if (!stale) {
		a->healthy_at = p.synced && p.healthy;
		a->well_with[a->has % 1024] |= a->healthy_at;
		a->well_ms = !a->healthy_at ? 0 : a->well_ms ? a->well_ms : s->now_ms;
		p.well_since_ms = a->speaks ? a->well_ms : 0;
		a->last = p;
		a->has_last = true;
		memcpy(a->last_digest, digest, sizeof(digest));
	}
	cox_rollout_observe(s->r, a->name, &p, s->now_ms);
}

/* Ill for a moment, and well again. */
static void flap(struct story *s, struct agent *a)
{
	if (a->well_ms)
		a->well_ms = s->now_ms;
}

static void approve(struct story *s)
{
	for (size_t w = 0; w < s->r->waves.n; w++) {
		uint8_t digest[32];

		if (!cox_rollout_approval_digest(s->r, w, digest) || (!s->calm && one_in(s, 2)))
			continue;
		COX_VEC_EACH (&s->r->targets, t)
			if (t->wave == (int)w && t->state == COX_TARGET_WAITING)
				agent(s, t->name)->approved = content_of(t->digest);
		if (s->tell)
			print_message("    approve wave %zu\n", w);
		assert_int_equal(cox_rollout_approve(s->r, "ann", digest, s->now_ms, NULL), 0);
	}
}

static bool is_skipped(const struct story *s, size_t wave)
{
	const struct cox_rollout_wave *w = &s->r->plan.waves.items[wave];

	for (size_t i = 0; i < w->before.n; i++)
		if (w->before.items[i].kind == COX_GATE_APPROVAL)
			return s->r->waves.items[wave].before.items[i].state == COX_GATE_SKIPPED;
	return false;
}

/* Who skips an approval lets those through who wait for it then. */
static void promote(struct story *s)
{
	bool before[8];

	for (size_t w = 0; w < s->r->waves.n; w++)
		before[w] = is_skipped(s, w);
	if (cox_rollout_promote(s->r, "ann", s->now_ms, NULL) < 0)
		return;
	COX_VEC_EACH (&s->r->targets, t)
		if (t->wave >= 0 && is_skipped(s, (size_t)t->wave) && !before[t->wave] &&
		    t->state == COX_TARGET_WAITING)
			agent(s, t->name)->approved = content_of(t->digest);
}

static void answer(struct story *s)
{
	struct cox_rollout_probe p;

	if (s->n_asked == 0)
		return;
	p = s->asked[0];
	memmove(s->asked, s->asked + 1, --s->n_asked * sizeof(p));
	cox_rollout_answer(s->r, &p, s->calm ? COX_ANSWER_GOOD : (int)below(s, 3), "said",
			   s->now_ms);
}

static void tell_again(struct story *s, struct agent *a)
{
	struct cox_rollout_report p = a->last;

	p.kept = true;
	p.sync_digest = a->last_digest;
	if (a->has_last)
		cox_rollout_observe(s->r, a->name, &p, s->now_ms);
}

/* The hub's process dies, and another one has what was written; what it was told since, it is told
 * again, as the reports have it. Meanwhile it may go ill for a moment where nobody hears of it. */
static void restart(struct story *s)
{
	struct cox_error err = COX_ERROR_INIT;

	if (rows_restart(&s->rows, &s->r, &err) < 0)
		broken(s, "%s", err.message);
	s->n_asked = 0;
	s->now_ms += one_in(s, 2) ? (int64_t)below(s, 5 * MINUTE) : 0;
	s->back_ms = s->now_ms;
	for (size_t i = 0; i < s->n; i++) {
		struct agent *a = &s->agents[i];

		if (one_in(s, 3))
			flap(s, a);
		tell_again(s, a);
		cox_rollout_reach(s->r, a->name, false, "away", s->now_ms);
		if (!a->offline && !one_in(s, 4))
			cox_rollout_reach(s->r, a->name, true, NULL, s->now_ms);
		else if (!a->offline)
			a->offline = true; /* it does not come back at once */
		cox_rollout_hold(s->r, a->name, a->held ? "held" : NULL, COX_ROLLOUT_FOREVER,
				 s->now_ms);
	}
	/* One is heard before the others. */
	if (one_in(s, 2))
		report(s, &s->agents[below(s, s->n)], false);
}

static void commit(struct story *s, bool good)
{
	bool all = good || one_in(s, 2);

	s->content++;
	s->bad[s->content % 4096] = !good && one_in(s, 3);
	for (size_t i = 0; i < s->n; i++)
		if (all || one_in(s, 3))
			s->agents[i].wanted = s->content;
}

static void retry(struct story *s)
{
	if (cox_rollout_retry(s->r, "ann", s->now_ms, NULL) < 0)
		return;
	/* As the hub does before it steps: who left while it was over is not there any more. */
	for (size_t i = 0; i < s->n; i++)
		if (!s->agents[i].there)
			cox_rollout_remove(s->r, s->agents[i].name, s->now_ms);
	for (size_t i = 0; i < s->n; i++) {
		struct agent *a = &s->agents[i];
		const struct cox_rollout_target *t = cox_rollout_find(s->r, a->name);

		a->barred = 0;
		/* For the same content nobody is asked again. */
		if (t && t->approved && t->state == COX_TARGET_WAITING)
			a->approved = content_of(t->digest);
	}
}

static void toggle_there(struct story *s, struct agent *a)
{
	a->there = !a->there;
	if (s->tell)
		print_message("    %s %s\n", a->name, a->there ? "joins" : "leaves");
	if (!a->there) {
		cox_rollout_remove(s->r, a->name, s->now_ms);
		a->has = 0; /* it is deleted there */
		a->healthy_at = a->has_last = false;
		a->well_ms = 0;
		memset(a->well_with, 0, sizeof(a->well_with));
		a->barred = 0;
	}
}

static void toggle_offline(struct story *s, struct agent *a)
{
	a->offline = !a->offline;
	if (!a->offline && one_in(s, 3))
		flap(s, a);
	cox_rollout_reach(s->r, a->name, !a->offline, "away", s->now_ms);
}

/* How long something is so is nothing that the wall clock says. */
static void set_back(struct story *s, int64_t by_ms)
{
	s->now_ms -= by_ms;
	s->back_ms -= s->back_ms ? by_ms : 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->agents[i].well_ms)
			s->agents[i].well_ms -= by_ms;
}

static const char *event(struct story *s)
{
	struct agent *a = &s->agents[below(s, s->n)];

	switch (below(s, 40)) {
	case 0:
		toggle_offline(s, a);
		return "offline";
	case 1:
		toggle_there(s, a);
		return "there";
	case 2:
		commit(s, false);
		return "commit";
	case 3:
		restart(s);
		return "restart";
	case 4:
		cox_rollout_pause(s->r, "ann", s->now_ms, NULL);
		return "pause";
	case 5:
	case 6:
		cox_rollout_resume(s->r, "ann", s->now_ms, NULL);
		return "resume";
	case 7:
		promote(s);
		return "promote";
	case 8:
		if (one_in(s, 3))
			cox_rollout_abort(s->r, "ann", one_in(s, 2), s->now_ms, NULL);
		return "abort";
	case 9:
		retry(s);
		return "retry";
	case 10:
	case 11:
	case 12:
		approve(s);
		return "approve";
	case 13:
	case 14:
	case 15:
	case 16:
		answer(s);
		return "answer";
	case 17:
		set_back(s, (int64_t)below(s, 10 * MINUTE));
		return "clock set back";
	case 18:
		report(s, a, true);
		return "stale report";
	case 19:
		a->held = one_in(s, 2);
		cox_rollout_hold(s->r, a->name, a->held ? "held" : NULL, COX_ROLLOUT_FOREVER,
				 s->now_ms);
		return "hold";
	case 20:
	case 21:
	case 22:
	case 23:
	case 24:
		if (s->wake_ms != COX_ROLLOUT_FOREVER && s->wake_ms > s->now_ms)
			s->now_ms = s->wake_ms;
		else
			s->now_ms += (int64_t)below(s, 3 * MINUTE);
		return "time";
	default:
		report(s, a, false);
		return "report";
	}
}

static void after(struct story *s)
{
	consider(s);
	step(s);
	check_always(s);
	check_soaks(s);
	if (one_in(s, 4))
		check_kept(s);
	else if (s->stepped || strcmp(s->what, "report") != 0 || one_in(s, 2))
		rows_write(&s->rows, s->r);
	else
		s->n_unwritten++; /* as the hub, where a report decides nothing */
	s->stepped = false;
}

/* ---- the end ---- */

static bool is_all_well(const struct story *s)
{
	if (s->r->phase == COX_ROLLOUT_PROGRESSING)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (s->agents[i].there && (s->agents[i].has != s->agents[i].wanted))
			return false;
	return true;
}

static void calm_down(struct story *s)
{
	s->calm = true;
	s->what = "the end of faults";
	for (size_t i = 0; i < s->n; i++) {
		s->agents[i].offline = s->agents[i].held = false;
		cox_rollout_reach(s->r, s->agents[i].name, true, NULL, s->now_ms);
		cox_rollout_hold(s->r, s->agents[i].name, NULL, 0, s->now_ms);
	}
	commit(s, true);
}

static void help(struct story *s)
{
	cox_rollout_resume(s->r, "ann", s->now_ms, NULL);
	approve(s);
	while (s->n_asked > 0)
		answer(s);
	for (size_t i = 0; i < s->n; i++)
		report(s, &s->agents[i], false);
	if (s->wake_ms != COX_ROLLOUT_FOREVER && s->wake_ms > s->now_ms)
		s->now_ms = s->wake_ms;
	else
		s->now_ms += MINUTE;
}

static void play(uint64_t seed, struct story *sum)
{
	struct story s;

	story_init(&s, seed);
	s.what = "the start";
	consider(&s);
	after(&s);
	for (int i = 0; i < 250; i++) {
		s.what = event(&s);
		if (s.tell)
			print_message("%lld %s\n", (long long)(s.now_ms / 1000 % 100000), s.what);
		after(&s);
	}
	calm_down(&s);
	for (int i = 0; i < 400 && !is_all_well(&s); i++) {
		after(&s);
		help(&s);
		after(&s);
	}
	if (!is_all_well(&s))
		broken(&s, "the faults are over, and it does not come to its end");
	sum->n_moves += s.n_moves;
	sum->n_backs += s.n_backs;
	sum->n_soaks += s.n_soaks;
	sum->n_unwritten += s.n_unwritten;
	story_fini(&s);
}

static void test_stories(void **state)
{
	const char *one = getenv("COX_TEST_SEED"), *many = getenv("COX_TEST_SEEDS");
	uint64_t n = many ? strtoull(many, NULL, 10) : 400;
	struct story sum = {0};

	(void)state;
	if (one) {
		play(strtoull(one, NULL, 10), &sum);
		return;
	}
	for (uint64_t seed = 1; seed <= n; seed++)
		play(seed, &sum);
	print_message("%llu stories, %u moves, %u ways back, %u soaks, %u reports unwritten\n",
		      (unsigned long long)n, sum.n_moves, sum.n_backs, sum.n_soaks,
		      sum.n_unwritten);
	assert_true(sum.n_moves > 0 &&
		    (n < 100 || (sum.n_backs > 0 && sum.n_soaks > 0 && sum.n_unwritten > 0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_stories)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
