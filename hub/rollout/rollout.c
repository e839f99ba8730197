/* The life of a rollout, and what is told to it about its targets. */
#include "hub/rollout/rollout.h"

#include "common/base/clock.h"
#include "hub/rollout/internal.h"

static void target_fini(const struct cox_rollout_target *t)
{
	free(t->uid);
	free(t->name);
	free(t->cluster);
	free(t->revision);
	free(t->previous_revision);
	free(t->message);
	free(t->resource);
	free(t->hold);
}

static void wave_run_fini(struct cox_rollout_wave_run *w)
{
	COX_VEC_EACH (&w->before, g)
		rollout_gate_run_fini(g);
	cox_vec_fini(&w->before);
	COX_VEC_EACH (&w->after, g)
		rollout_gate_run_fini(g);
	cox_vec_fini(&w->after);
	COX_VEC_EACH (&w->approvals, a)
		free(a->by);
	cox_vec_fini(&w->approvals);
}

/* ---- the only ways to change targets and bars ---- */

/* The same vector, of what may be changed. */
typedef COX_VEC(struct cox_rollout_target) target_vec;
typedef COX_VEC(struct cox_rollout_bar) bar_vec;

static target_vec *targets(struct cox_rollout *r)
{
	return (target_vec *)&r->targets;
}

static void touch(struct cox_rollout *r, struct cox_rollout_target *t)
{
	if (t->touched)
		return;
	t->touched = true;
	cox_map_set(&r->touched, t->uid, r);
}

struct cox_rollout_target *rollout_unkept(const struct cox_rollout_target *t)
{
	return (struct cox_rollout_target *)t;
}

struct cox_rollout_target *rollout_edit(struct cox_rollout *r, const struct cox_rollout_target *t)
{
	touch(r, rollout_unkept(t));
	return rollout_unkept(t);
}

void rollout_target_add(struct cox_rollout *r, struct cox_rollout_target taken)
{
	taken.touched = false;
	touch(r, &taken);
	cox_vec_push(targets(r), taken);
}

bool rollout_drop(struct cox_rollout *r,
		  bool (*drops)(const struct cox_rollout_target *t, int wave), int wave)
{
	target_vec *v = targets(r);
	size_t n = 0, before = v->n;

	for (size_t i = 0; i < before; i++) {
		if (!drops(&v->items[i], wave)) {
			v->items[n++] = v->items[i];
			continue;
		}
		touch(r, &v->items[i]);
		target_fini(&v->items[i]);
	}
	v->n = n;
	rollout_index(r);
	return n < before;
}

void rollout_bar_add(struct cox_rollout *r, struct cox_rollout_bar taken)
{
	cox_vec_push((bar_vec *)&r->bars, taken);
	r->bars_touched = true;
}

void rollout_unbar(struct cox_rollout *r)
{
	r->bars_touched = r->bars_touched || r->bars.n > 0;
	r->bars_all = false;
	COX_VEC_EACH (&r->bars, b)
		free(b->uid);
	cox_vec_fini((bar_vec *)&r->bars);
}

/* ---- life ---- */

void cox_rollout_free(struct cox_rollout *r)
{
	if (!r)
		return;
	COX_VEC_EACH (&r->targets, t)
		target_fini(t);
	cox_vec_fini(targets(r));
	cox_map_fini(&r->touched);
	COX_VEC_EACH (&r->waves, w)
		wave_run_fini(w);
	cox_vec_fini(&r->waves);
	COX_VEC_EACH (&r->audit, a) {
		free(a->by);
		free(a->what);
		free(a->text);
	}
	cox_vec_fini(&r->audit);
	rollout_unbar(r);
	cox_map_fini(&r->by_uid);
	cox_rollout_plan_fini(&r->plan);
	free(r->paused_by);
	free(r->paused_message);
	free(r->owner);
	free(r->revision);
	free(r->reason);
	free(r);
}

static int by_name(const void *a, const void *b)
{
	const struct cox_rollout_target *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void set_digest(bool *ret_has, uint8_t *ret, const uint8_t *digest)
{
	*ret_has = digest != NULL;
	if (digest)
		memcpy(ret, digest, COX_ROLLOUT_DIGEST);
}

static struct cox_rollout_target target_from(const struct cox_rollout_plan *plan,
					     const struct cox_rollout_member *m, int64_t now_ms)
{
	struct cox_rollout_target t = {
		.uid = cox_strdup(m->uid),
		.name = cox_strdup(m->name),
		.cluster = cox_strdup(m->cluster),
		.revision = cox_strdup(m->revision),
		.wave = m->by_hand ? -1 : cox_rollout_plan_wave(plan, m, NULL),
		.since_ms = now_ms,
		.clock_ms = now_ms,
		.offline = m->offline || m->awaited,
		.awaited = m->awaited,
		.by_hand = m->by_hand,
	};

	set_digest(&t.has_digest, t.digest, m->digest);
	if (!m->at_digest) {
		set_digest(&t.has_previous, t.previous, m->previous);
		t.previous_revision = cox_strdup(m->previous ? m->previous_revision : NULL);
	}
	if (m->error || !m->digest) {
		t.state = COX_TARGET_BLOCKED;
		t.message = cox_strdup(m->error ? m->error : "its manifests could not be rendered");
	} else if (m->at_digest) {
		t.state = COX_TARGET_MOVING;
		t.epoch = m->epoch;
		t.generation = m->generation;
		if (m->operation)
			strncat(t.operation, m->operation, sizeof(t.operation) - 1);
	}
	return t;
}

static bool is_at(const struct cox_rollout_target *t, const struct cox_rollout_target *b)
{
	return t->has_digest && b->has_digest &&
	       memcmp(t->digest, b->digest, sizeof(t->digest)) == 0;
}

/* It was moved to what it is at still, in a wave that has not passed: it owes the gates behind it. */
static bool owes_gates(const struct cox_rollout_target *t, const struct cox_rollout *before,
		       const struct cox_rollout_target *b)
{
	return t->state == COX_TARGET_MOVING && b->moved && b->wave >= 0 && is_at(t, b) &&
	       before->plan.source == COX_ROLLOUT_POLICY &&
	       before->waves.items[b->wave].phase != COX_WAVE_PASSED;
}

static bool is_half_done(const struct cox_rollout_target *b, const uint8_t *have)
{
	if (b->state == COX_TARGET_HEALTHY)
		return false;
	/* It did not come to it; but what it found there an earlier one had left so. */
	return b->moved ||
	       (b->has_found && have && memcmp(have, b->found, COX_ROLLOUT_DIGEST) == 0);
}

/* Under way to the same for everybody: only the plan is another one, or who is in which wave. */
static bool is_same_content(const struct cox_rollout_spec *spec)
{
	const struct cox_rollout *before = spec->before;

	if (!before || before->phase != COX_ROLLOUT_PROGRESSING ||
	    before->plan.source != COX_ROLLOUT_POLICY)
		return false;
	for (size_t i = 0; i < spec->n_members; i++) {
		const struct cox_rollout_target *b = cox_rollout_find(before, spec->members[i].uid);
		const uint8_t *digest = spec->members[i].digest;

		if (b && b->has_digest &&
		    (!digest || memcmp(b->digest, digest, sizeof(b->digest)) != 0))
			return false;
	}
	return true;
}

static void take_previous(struct cox_rollout_target *t, const uint8_t *digest, const char *revision)
{
	set_digest(&t->has_previous, t->previous, digest);
	free(t->previous_revision);
	t->previous_revision = cox_strdup(revision);
}

/* What the rollout before left half done is no place to return to, also when there was nothing before
 * that; what failed neither, when its way back was cut short. same: as is_same_content. */
static void inherit(struct cox_rollout_target *t, const struct cox_rollout_spec *spec, bool same)
{
	const struct cox_rollout *before = spec->before;
	const struct cox_rollout_target *b = before ? cox_rollout_find(before, t->uid) : NULL;
	bool there = t->state == COX_TARGET_MOVING;
	const uint8_t *have = there ? t->digest : t->has_previous ? t->previous : NULL;
	/* Also one who is still where the way back was to take him from. */
	bool back = b && before->plan.source == COX_ROLLOUT_BACK && (!there || !is_at(t, b));
	bool owes = b && owes_gates(t, before, b);

	/* it goes back with the others, when it comes to that */
	if (b && same && there && rollout_returns(b))
		take_previous(t, b->previous, b->previous_revision);
	if (!b && spec->reversed)
		b = cox_rollout_find(spec->reversed, t->uid);
	if (!b || (!back && !owes && !is_half_done(b, have)))
		return;
	set_digest(&t->has_found, t->found, have);
	if (there) /* nobody has seen it well there, or it owes gates */
		t->moved = true;
	if (back)
		take_previous(t, b->digest, b->revision);
	else
		take_previous(t, b->has_previous ? b->previous : NULL, b->previous_revision);
}

/* Who has it already is not sent there again. */
static void bar(struct cox_rollout *r, struct cox_rollout_target *t)
{
	if (t->wave < 0 || t->state != COX_TARGET_WAITING || !rollout_is_bar(r, t))
		return;
	free(t->message);
	t->state = COX_TARGET_BLOCKED;
	t->barred = true;
	t->message = cox_strdup("failed with this content before: it is barred until it changes, "
				"or until `retry`");
}

void rollout_waves_init(struct cox_rollout *r)
{
	COX_VEC_EACH (&r->plan.waves, w) {
		struct cox_rollout_wave_run run = {.since_ms = r->started_ms};

		for (size_t i = 0; i < w->before.n; i++)
			cox_vec_push(&run.before,
				     (struct cox_rollout_gate_run){.since_ms = r->started_ms});
		for (size_t i = 0; i < w->after.n; i++)
			cox_vec_push(&run.after,
				     (struct cox_rollout_gate_run){.since_ms = r->started_ms});
		cox_vec_push(&r->waves, run);
	}
}

struct cox_rollout *cox_rollout_new(const struct cox_rollout_spec *spec, int64_t now_ms)
{
	struct cox_rollout *r = cox_new(struct cox_rollout);
	bool same = is_same_content(spec);

	strncat(r->id, spec->id, sizeof(r->id) - 1);
	r->owner = cox_strdup(spec->owner);
	r->revision = cox_strdup(spec->revision ? spec->revision : "");
	r->started_ms = r->last_ms = now_ms;
	r->plan_touched = true;
	rollout_plan_copy(spec->plan, &r->plan);
	rollout_waves_init(r);
	for (size_t i = 0; spec->before && i < spec->before->bars.n; i++) {
		struct cox_rollout_bar b = spec->before->bars.items[i];

		if (!b.failed)
			continue;
		b.uid = cox_strdup(b.uid);
		rollout_bar_add(r, b);
	}
	for (size_t i = 0; i < spec->n_members; i++) {
		struct cox_rollout_target t = target_from(&r->plan, &spec->members[i], now_ms);

		inherit(&t, spec, same);
		bar(r, &t);
		rollout_target_add(r, t);
	}
	rollout_index(r);
	return r;
}

void rollout_index(struct cox_rollout *r)
{
	cox_vec_sort(targets(r), by_name);
	cox_map_clear(&r->by_uid);
	for (size_t i = 0; i < r->targets.n; i++)
		cox_map_set(&r->by_uid, r->targets.items[i].uid, (void *)(i + 1));
}

const struct cox_rollout_target *rollout_target(const struct cox_rollout *r, const char *uid)
{
	size_t i = (size_t)cox_map_get(&r->by_uid, uid);

	return i ? &r->targets.items[i - 1] : NULL;
}

const struct cox_rollout_target *cox_rollout_find(const struct cox_rollout *r, const char *uid)
{
	return rollout_target(r, uid);
}

/* ---- time ---- */

static void shift(int64_t *ms, int64_t by)
{
	if (*ms != 0)
		*ms -= by;
}

static void shift_gate(struct cox_rollout_gate_run *g, int64_t by)
{
	shift(&g->since_ms, by);
	shift(&g->answered_ms, by);
	shift(&g->next_ms, by);
}

void rollout_clock(struct cox_rollout *r, int64_t now_ms)
{
	int64_t by = r->last_ms - now_ms;

	r->last_ms = now_ms;
	if (r->back_ms < 0)
		r->back_ms = now_ms;
	if (by <= 0)
		return;
	COX_VEC_EACH (&r->targets, old) {
		struct cox_rollout_target *t = rollout_edit(r, old);

		shift(&t->since_ms, by);
		shift(&t->well_ms, by);
		shift(&t->seen_ms, by);
		shift(&t->clock_ms, by);
		shift(&t->online_ms, by);
	}
	COX_VEC_EACH (&r->waves, w) {
		shift(&w->since_ms, by);
		shift(&w->progress_ms, by);
		COX_VEC_EACH (&w->before, g)
			shift_gate(g, by);
		COX_VEC_EACH (&w->after, g)
			shift_gate(g, by);
	}
	shift(&r->paused_ms, by);
	shift(&r->back_ms, by);
	r->tokens_ms = now_ms;
}

/* ---- what happens to a target ---- */

int rollout_set(struct cox_rollout *r, const struct cox_rollout_target *old,
		enum cox_rollout_state state, char *message_taken, int64_t now_ms)
{
	struct cox_rollout_target *t;
	bool moved = old->state != state;

	if (!moved && cox_streq(old->message, message_taken)) {
		free(message_taken);
		return 0;
	}
	t = rollout_edit(r, old);
	if (moved && t->state == COX_TARGET_HEALTHY)
		t->clock_ms = now_ms; /* it fell back: it has as long again to get well */
	free(t->message);
	t->message = message_taken;
	t->state = state;
	if (moved)
		t->since_ms = now_ms;
	if (state == COX_TARGET_HEALTHY)
		t->overdue = t->excused = t->late = false;
	else
		t->well_ms = t->seen_ms = 0;
	return 1;
}

static int set_resource(struct cox_rollout *r, const struct cox_rollout_target *old,
			const char *resource)
{
	struct cox_rollout_target *t;

	if (cox_streq(old->resource, resource))
		return 0;
	t = rollout_edit(r, old);
	free(t->resource);
	t->resource = cox_strdup(resource);
	return 1;
}

/* When all is done only those who are late are still on their way. */
static bool listens(const struct cox_rollout *r, const struct cox_rollout_target *t)
{
	return r->phase == COX_ROLLOUT_PROGRESSING || (rollout_ran_out(r) && t->late);
}

bool cox_rollout_may_move(const struct cox_rollout *r, const struct cox_rollout_target *t)
{
	return listens(r, t) || r->rollback_due || rollout_may_reopen(r);
}

void cox_rollout_assigned(struct cox_rollout *r, const char *uid, uint64_t epoch,
			  uint64_t generation, const char *operation, int64_t now_ms)
{
	const struct cox_rollout_target *old = rollout_target(r, uid);
	struct cox_rollout_target *t;

	if (!old || !listens(r, old))
		return;
	rollout_clock(r, now_ms);
	t = rollout_edit(r, old);
	t->epoch = epoch;
	t->generation = generation;
	t->moved = true;
	if (operation) {
		t->operation[0] = '\0';
		strncat(t->operation, operation, sizeof(t->operation) - 1);
	}
	if (t->state == COX_TARGET_MOVING)
		return;
	rollout_set(r, t, COX_TARGET_MOVING, NULL, now_ms);
	t->clock_ms = now_ms;
	t->overdue = t->barred = false;
	/* Said again with another stamp it is no other try: whom a person goes on without stays so. */
	if (operation)
		t->excused = false;
}

static bool digest_is(const struct cox_rollout_target *t, const uint8_t *digest)
{
	return t->has_digest && digest && memcmp(t->digest, digest, sizeof(t->digest)) == 0;
}

static bool is_current(const struct cox_rollout_target *t, const struct cox_rollout_report *p)
{
	return t->generation != 0 && p->epoch == t->epoch && p->generation == t->generation &&
	       digest_is(t, p->sync_digest);
}

/* Whether the operation that moved the target is behind it: it succeeded itself, or another one to
 * the same digest did (an agent that was away reports only its newest). */
static bool operation_done(const struct cox_rollout_target *t, const struct cox_rollout_report *p)
{
	bool ours = t->operation[0] && cox_streq(t->operation, p->operation);
	bool here = ours || digest_is(t, p->operation_digest);

	if (t->operation[0] || here)
		return here && p->operation_phase == COX_OP_SUCCEEDED;
	return true;
}

static bool operation_failed(const struct cox_rollout_target *t, const struct cox_rollout_report *p)
{
	return p->operation_phase == COX_OP_FAILED &&
	       (digest_is(t, p->operation_digest) ||
		(t->operation[0] && cox_streq(t->operation, p->operation)));
}

static char *sentence(const char *what, const char *why)
{
	return why && *why ? cox_asprintf("%s: %s", what, why) : cox_strdup(what);
}

/* What a report makes of a target. */
struct verdict {
	enum cox_rollout_state state;
	char *message;	      /* whoever asked for it has it */
	const char *resource; /* that it is about; NULL */
};

/* Not well, and not failed by itself: late it may be. */
static struct verdict not_yet(const struct cox_rollout_target *t, const char *what, const char *why,
			      const char *resource)
{
	_cleanup_free_ char *text = sentence(what, why);

	if (t->overdue)
		return (struct verdict){COX_TARGET_FAILED, sentence(ROLLOUT_OVERDUE, text),
					resource};
	return (struct verdict){COX_TARGET_MOVING, TAKE(text), resource};
}

static struct verdict judge(const struct cox_rollout_target *t, const struct cox_rollout_report *p)
{
	if (operation_failed(t, p))
		return (struct verdict){COX_TARGET_FAILED,
					sentence("the sync failed", p->operation_message), NULL};
	if (!p->synced && p->operation_phase == COX_OP_RUNNING)
		return not_yet(t, "syncing", p->operation_message, NULL);
	if (!p->synced)
		return not_yet(t, "not synced yet", p->message, p->resource);
	if (p->degraded)
		return (struct verdict){COX_TARGET_FAILED, sentence("Degraded", p->message),
					p->resource};
	if (!operation_done(t, p))
		return not_yet(t, "its sync is not finished", p->operation_message, p->resource);
	if (!p->healthy)
		return not_yet(t, p->health ? p->health : "health unknown", p->message,
			       p->resource);
	return (struct verdict){COX_TARGET_HEALTHY, NULL, NULL};
}

/* A target that is Healthy, and since when it is, as far as somebody watched. floor_ms: what it was
 * then it was not well. */
static void watch(struct cox_rollout *r, const struct cox_rollout_target *old,
		  const struct cox_rollout_report *p, int64_t floor_ms, int64_t now_ms)
{
	int64_t well = old->well_ms, seen = old->seen_ms, said = p->kept ? 0 : p->well_since_ms;
	struct cox_rollout_target *t;

	said = said > now_ms ? now_ms : said;
	if (well == 0) {
		well = seen = said == 0 ? now_ms : said > floor_ms ? said : floor_ms;
	} else if (said > well + ROLLOUT_SLACK_MS) {
		well = seen = said; /* a break that nobody told of */
	} else if (said != 0) {
		seen = well;
	} else if (old->unheard && !p->kept) {
		seen = now_ms;
	}
	if (!p->kept)
		rollout_unkept(old)->unheard = false;
	if (well == old->well_ms && seen == old->seen_ms)
		return;
	t = rollout_edit(r, old);
	t->well_ms = well;
	t->seen_ms = seen;
}

int cox_rollout_observe(struct cox_rollout *r, const char *uid, const struct cox_rollout_report *p,
			int64_t now_ms)
{
	const struct cox_rollout_target *t = rollout_target(r, uid);
	struct verdict v;
	int64_t before_ms;
	int news;

	if (!t || !listens(r, t) || !is_current(t, p))
		return 0;
	rollout_clock(r, now_ms);
	before_ms = t->since_ms;
	v = judge(t, p);
	news = set_resource(r, t, v.resource);
	news |= rollout_set(r, t, v.state, v.message, now_ms);
	if (v.state == COX_TARGET_HEALTHY)
		watch(r, t, p, before_ms, now_ms);
	else if (!p->kept)
		rollout_unkept(t)->unheard = false;
	return news;
}

int cox_rollout_reach(struct cox_rollout *r, const char *uid, bool online, const char *message,
		      int64_t now_ms)
{
	const struct cox_rollout_target *t = rollout_target(r, uid);
	bool news;

	if (!t || !rollout_is_live(r))
		return 0;
	rollout_clock(r, now_ms);
	news = t->offline == online || t->awaited;
	if (t->offline == online)
		rollout_edit(r, t)->offline = !online;
	rollout_unkept(t)->awaited = false;
	if (!online)
		rollout_unkept(t)->unheard = true;
	if (news && online) {
		rollout_edit(r, t)->online_ms = now_ms;
		rollout_edit(r, t)->clock_ms = now_ms;
		if (t->state == COX_TARGET_MOVING || t->state == COX_TARGET_WAITING)
			rollout_set(r, t, t->state, NULL, now_ms);
		return 1;
	}
	if (!online && (t->state == COX_TARGET_MOVING || t->state == COX_TARGET_WAITING))
		news |= rollout_set(r, t, t->state,
				    cox_strdup(message ? message : "its cluster is away"), now_ms);
	return news;
}

int cox_rollout_await(struct cox_rollout *r, const char *uid, int64_t now_ms)
{
	const struct cox_rollout_target *t = rollout_target(r, uid);

	if (!t || !rollout_is_live(r) || t->awaited)
		return 0;
	rollout_clock(r, now_ms);
	if (!t->offline)
		rollout_edit(r, t)->offline = true;
	rollout_unkept(t)->awaited = rollout_unkept(t)->unheard = true;
	if (t->state == COX_TARGET_MOVING || t->state == COX_TARGET_WAITING)
		rollout_set(r, t, t->state,
			    cox_strdup("its agent has not come back since the hub started"),
			    now_ms);
	return 1;
}

int cox_rollout_hold(struct cox_rollout *r, const char *uid, const char *message, int64_t until_ms,
		     int64_t now_ms)
{
	const struct cox_rollout_target *old = rollout_target(r, uid);
	struct cox_rollout_target *t;

	if (!old || !rollout_is_live(r))
		return 0;
	rollout_clock(r, now_ms);
	if (cox_streq(old->hold, message) && (!message || old->hold_until_ms == until_ms))
		return 0;
	t = rollout_edit(r, old);
	free(t->hold);
	t->hold = cox_strdup(message);
	t->hold_until_ms = message ? until_ms : 0;
	return 1;
}

int cox_rollout_note(struct cox_rollout *r, const char *uid, const char *message, int64_t now_ms)
{
	const struct cox_rollout_target *t = rollout_target(r, uid);

	if (!t || !rollout_is_live(r) || t->state != COX_TARGET_MOVING)
		return 0;
	rollout_clock(r, now_ms);
	return rollout_set(r, t, COX_TARGET_MOVING, cox_strdup(message), now_ms);
}

/* ---- who joins and leaves ---- */

int cox_rollout_join(struct cox_rollout *r, const struct cox_rollout_member *m, int64_t now_ms)
{
	struct cox_rollout_target t;

	if (r->phase != COX_ROLLOUT_PROGRESSING || r->plan.source == COX_ROLLOUT_BACK ||
	    rollout_target(r, m->uid))
		return 0;
	rollout_clock(r, now_ms);
	t = target_from(&r->plan, m, now_ms);
	bar(r, &t);
	t.late = r->plan.source == COX_ROLLOUT_POLICY && t.wave >= 0 &&
		 r->waves.items[t.wave].phase == COX_WAVE_PASSED;
	rollout_target_add(r, t);
	rollout_index(r);
	rollout_record(r, ROLLOUT_ENGINE, "join", now_ms, "'%s' joined%s%s", m->name,
		       t.wave < 0 ? ", in no wave" : " wave ",
		       t.wave < 0 ? "" : r->plan.waves.items[t.wave].name);
	return 1;
}

int cox_rollout_remove(struct cox_rollout *r, const char *uid, int64_t now_ms)
{
	const struct cox_rollout_target *t = rollout_target(r, uid);

	if (!t || !rollout_is_live(r))
		return 0;
	rollout_clock(r, now_ms);
	rollout_record(r, ROLLOUT_ENGINE, "leave", now_ms, "'%s' left", t->name);
	rollout_edit(r, t);
	target_fini(t);
	cox_vec_remove(targets(r), (size_t)(t - r->targets.items));
	rollout_index(r);
	return 1;
}

enum cox_rollout_difference cox_rollout_compare(const struct cox_rollout *r,
						const struct cox_rollout_plan *plan,
						const struct cox_rollout_member *members, size_t n)
{
	size_t known = 0;

	if (!cox_rollout_plan_equal(&r->plan, plan))
		return COX_ROLLOUT_CONTENT;
	for (size_t i = 0; i < n; i++) {
		const struct cox_rollout_member *m = &members[i];
		const struct cox_rollout_target *t = cox_rollout_find(r, m->uid);

		if (!t)
			continue;
		known++;
		if (t->wave != (m->by_hand ? -1 : cox_rollout_plan_wave(plan, m, NULL)) ||
		    t->has_digest != (m->digest != NULL) || !cox_streq(t->cluster, m->cluster) ||
		    (m->digest && !digest_is(t, m->digest)))
			return COX_ROLLOUT_CONTENT;
	}
	return known == n && known == r->targets.n ? COX_ROLLOUT_SAME : COX_ROLLOUT_MEMBERS;
}
