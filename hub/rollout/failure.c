/* When it goes wrong: deadlines, budgets, and the way back. */
#include "common/base/clock.h"
#include "hub/rollout/internal.h"

void rollout_end(struct cox_rollout *r, enum cox_rollout_phase phase, char *reason_taken,
		 int64_t now_ms)
{
	/* a way back goes on saying what it came from */
	if (reason_taken || r->plan.source != COX_ROLLOUT_BACK) {
		free(r->reason);
		r->reason = reason_taken;
	}
	r->phase = phase;
	r->finished_ms = now_ms;
	rollout_unpause(r);
}

/* ---- deadlines ---- */

static void overdue(struct cox_rollout *r, const struct cox_rollout_target *t, int64_t now_ms)
{
	rollout_edit(r, t)->overdue = true;
	rollout_set(r, t, COX_TARGET_FAILED,
		    cox_asprintf(ROLLOUT_OVERDUE "%s%s", t->message ? ": " : "",
				 t->message ? t->message : ""),
		    now_ms);
}

/* The clock of one that is away stands still; it begins anew when it is back. */
void rollout_check_deadlines(struct rollout_step *s)
{
	COX_VEC_EACH (&s->r->targets, t) {
		int64_t deadline;

		if (t->wave < 0 || t->state != COX_TARGET_MOVING || t->offline || !t->moved)
			continue;
		deadline = s->r->plan.waves.items[t->wave].progress_deadline_ms;
		if (deadline == 0)
			continue;
		if (s->now_ms - t->clock_ms < deadline) {
			rollout_wake(s, t->clock_ms + deadline);
			continue;
		}
		overdue(s->r, t, s->now_ms);
		s->changed = true;
	}
}

/* ---- what onFailure says ---- */

bool rollout_is_bar(const struct cox_rollout *r, const struct cox_rollout_target *t)
{
	COX_VEC_EACH (&r->bars, b)
		if (b->failed && t->has_digest && strcmp(b->uid, t->uid) == 0 &&
		    memcmp(b->digest, t->digest, sizeof(t->digest)) == 0)
			return true;
	return false;
}

void rollout_bar_all(struct cox_rollout *r)
{
	rollout_unbar(r);
	COX_VEC_EACH (&r->targets, t) {
		struct cox_rollout_bar b = {
			.failed = t->barred || (t->state == COX_TARGET_FAILED && !t->excused)};

		if (t->wave < 0 || !t->has_digest)
			continue;
		b.uid = cox_strdup(t->uid);
		memcpy(b.digest, t->digest, sizeof(b.digest));
		rollout_bar_add(r, b);
	}
	r->bars_all = true;
}

static bool returns(const struct cox_rollout_target *t)
{
	return t->wave >= 0 && t->moved && t->has_previous &&
	       memcmp(t->previous, t->digest, sizeof(t->digest)) != 0;
}

bool rollout_has_way_back(const struct cox_rollout *r)
{
	COX_VEC_EACH (&r->targets, t)
		if (returns(t))
			return true;
	return false;
}

static void pause_failed(struct rollout_step *s, const char *reason)
{
	struct cox_rollout *r = s->r;

	r->paused = r->paused_by_failure = true;
	r->paused_ms = s->now_ms;
	r->paused_by = cox_strdup(ROLLOUT_ENGINE);
	r->paused_message = cox_strdup(reason);
	rollout_record(r, ROLLOUT_ENGINE, "pause", s->now_ms, "%s", reason);
}

static void roll_back(struct rollout_step *s, const char *reason)
{
	struct cox_rollout *r = s->r;

	rollout_record(r, ROLLOUT_ENGINE, "rollback", s->now_ms, "%s", reason);
	rollout_bar_all(r);
	rollout_end(r, COX_ROLLOUT_FAILED, cox_strdup(reason), s->now_ms);
	r->rollback_due = rollout_has_way_back(r);
	if (r->rollback_due)
		cox_vec_push(s->effects, (struct cox_rollout_effect){.kind = COX_EFFECT_ROLLBACK});
}

/* true when the rollout goes no further. */
static bool react(struct rollout_step *s, const char *reason)
{
	s->changed = true;
	if (s->r->plan.on_failure == COX_FAILURE_ROLLBACK) {
		roll_back(s, reason);
		return true;
	}
	if (s->r->plan.on_failure == COX_FAILURE_PAUSE) {
		pause_failed(s, reason);
		return true;
	}
	rollout_record(s->r, ROLLOUT_ENGINE, "continue", s->now_ms, "%s", reason);
	return false;
}

static char *reason_of(const struct cox_rollout *r, size_t wave, size_t failed, size_t may)
{
	const char *name = r->plan.waves.items[wave].name;

	COX_VEC_EACH (&r->targets, t)
		if (t->wave == (int)wave && t->state == COX_TARGET_FAILED && !t->excused &&
		    t->moved)
			return cox_asprintf("%zu of wave '%s' failed, %zu may: '%s' on cluster "
					    "'%s': %s",
					    failed, name, may, t->name,
					    t->cluster ? t->cluster : "?",
					    t->message ? t->message : "");
	return cox_asprintf("%zu of wave '%s' failed", failed, name);
}

bool rollout_check_failures(struct rollout_step *s)
{
	struct cox_rollout *r = s->r;

	if (r->plan.source != COX_ROLLOUT_POLICY)
		return false;
	for (size_t i = 0; i < r->waves.n; i++) {
		const struct rollout_tally *c = &s->c.waves[i];
		size_t may = cox_rollout_tolerance(&r->plan, i, c->n);
		_cleanup_free_ char *reason = NULL;

		/* Nobody has been sent there yet: what is failed was so by a person's hand. */
		if (c->failed <= may || r->waves.items[i].phase < COX_WAVE_OPEN)
			continue;
		reason = reason_of(r, i, c->failed, may);
		if (react(s, reason))
			return true;
		COX_VEC_EACH (&r->targets, t)
			if (t->wave == (int)i && t->state == COX_TARGET_FAILED && t->moved)
				rollout_edit(r, t)->excused = true;
		rollout_count(r, &s->c);
	}
	return false;
}

bool rollout_gate_failed(struct rollout_step *s, const struct cox_rollout_probe *probe)
{
	const struct cox_rollout_gate *gate = cox_rollout_gate(s->r, probe);
	struct cox_rollout_gate_run *run = rollout_gate_run(s->r, probe);
	_cleanup_free_ char *reason = cox_asprintf(
		"gate '%s' %s wave '%s' failed%s%s", gate->name, probe->after ? "after" : "before",
		s->r->plan.waves.items[probe->wave].name, run->message ? ": " : "",
		run->message ? run->message : "");

	if (react(s, reason))
		return true;
	free(run->by);
	run->by = cox_strdup(ROLLOUT_ENGINE);
	rollout_gate_set(run, COX_GATE_SKIPPED, cox_strdup(reason), s->now_ms);
	return false;
}

/* ---- the way back ---- */

static void back_plan(const struct cox_rollout *failed, struct cox_rollout_plan *ret)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("rollback");
	struct cox_node *spec = cox_doc_map(doc), *waves = cox_doc_list(doc);
	struct cox_error err = COX_ERROR_INIT;

	for (size_t i = failed->plan.waves.n; i-- > 0;) {
		const struct cox_rollout_wave *w = &failed->plan.waves.items[i];
		struct cox_node *wave = cox_doc_map(doc);

		cox_map_put_cstr(doc, wave, "name", w->name);
		if (w->progress_deadline_ms > 0)
			cox_map_put(
				doc, wave, "progressDeadline",
				cox_doc_stringf(doc, "%lldms", (long long)w->progress_deadline_ms));
		cox_list_push(doc, waves, wave);
	}
	cox_map_put(doc, spec, "waves", waves);
	cox_map_put_cstr(doc, spec, "onFailure", "continue");
	cox_map_put_cstr(doc, spec, "offline", "skip");
	cox_map_put_cstr(doc, spec, "supersede", "wave");
	cox_map_put_int(doc, spec, "startsPerMinute", failed->plan.starts_per_minute);
	cox_doc_set_root(doc, spec);
	cox_doc_seal(doc);
	/* It is written above, in words that the reader knows. */
	if (rollout_plan_make(COX_ROLLOUT_BACK, failed->plan.name, doc, ret, NULL, &err) < 0)
		abort();
}

static struct cox_rollout_target back_target(const struct cox_rollout *failed,
					     const struct cox_rollout_target *t, int64_t now_ms)
{
	struct cox_rollout_target b = {
		.uid = cox_strdup(t->uid),
		.name = cox_strdup(t->name),
		.cluster = cox_strdup(t->cluster),
		.revision = cox_strdup(t->previous_revision),
		.wave = (int)failed->plan.waves.n - 1 - t->wave,
		.has_digest = true,
		.since_ms = now_ms,
		.clock_ms = now_ms,
		.offline = t->offline,
	};

	memcpy(b.digest, t->previous, sizeof(b.digest));
	return b;
}

struct cox_rollout *cox_rollout_rollback(struct cox_rollout *failed, const char *id, int64_t now_ms)
{
	struct cox_rollout *r = cox_new(struct cox_rollout);

	strncat(r->id, id, sizeof(r->id) - 1);
	memcpy(r->reverses, failed->id, sizeof(r->reverses));
	r->owner = cox_strdup(failed->owner);
	r->reason = cox_asprintf("back from %s: %s", failed->revision,
				 failed->reason ? failed->reason : "aborted");
	r->started_ms = r->last_ms = now_ms;
	r->plan_touched = true;
	back_plan(failed, &r->plan);
	rollout_waves_init(r);
	COX_VEC_EACH (&failed->targets, t)
		if (returns(t))
			rollout_target_add(r, back_target(failed, t, now_ms));
	rollout_index(r);
	r->revision = cox_asprintf("%.12s", r->targets.n > 0 && r->targets.items[0].revision
						    ? r->targets.items[0].revision
						    : "");
	COX_VEC_EACH (&failed->bars, b) {
		struct cox_rollout_bar copy = *b;

		copy.uid = cox_strdup(b->uid);
		rollout_bar_add(r, copy);
	}
	r->bars_all = failed->bars_all;
	rollout_record(r, ROLLOUT_ENGINE, "begin", now_ms, "%s", r->reason);
	failed->rollback_due = false;
	memcpy(failed->reversed_by, r->id, sizeof(r->id));
	return r;
}

bool rollout_holds_back(const struct cox_rollout *r)
{
	return r->bars_all || (r->phase == COX_ROLLOUT_FAILED && r->bars.n > 0);
}

bool cox_rollout_is_barred(const struct cox_rollout *r, const struct cox_rollout_member *members,
			   size_t n)
{
	_cleanup_map_ struct cox_map digests = COX_MAP_INIT;
	size_t known = 0;

	if (!r->bars_all)
		return false;
	COX_VEC_EACH (&r->bars, b)
		cox_map_set(&digests, b->uid, (void *)b);
	for (size_t i = 0; i < n; i++) {
		const struct cox_rollout_bar *b = cox_map_get(&digests, members[i].uid);

		if (!b)
			continue;
		known++;
		if (!members[i].digest ||
		    memcmp(members[i].digest, b->digest, sizeof(b->digest)) != 0)
			return false;
	}
	return known > 0;
}
