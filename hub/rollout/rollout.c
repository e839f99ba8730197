#include "hub/rollout/rollout.h"

#include "hub/rollout/internal.h"

/* ---- life ---- */

static void target_fini(struct cox_rollout_target *t)
{
	free(t->uid);
	free(t->name);
	free(t->cluster);
	free(t->revision);
	free(t->message);
}

void cox_rollout_free(struct cox_rollout *r)
{
	if (!r)
		return;
	COX_VEC_EACH (&r->targets, t)
		target_fini(t);
	cox_vec_fini(&r->targets);
	cox_map_fini(&r->by_uid);
	cox_rollout_plan_fini(&r->plan);
	free(r->owner);
	free(r->revision);
	free(r);
}

static int by_name(const void *a, const void *b)
{
	const struct cox_rollout_target *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static struct cox_rollout_target target_from(const struct cox_rollout_plan *plan,
					     const struct cox_rollout_member *m, int64_t now_ms)
{
	struct cox_rollout_target t = {
		.uid = cox_strdup(m->uid),
		.name = cox_strdup(m->name),
		.cluster = cox_strdup(m->cluster),
		.revision = cox_strdup(m->revision),
		.wave = m->by_hand ? -1 : cox_rollout_plan_wave(plan, m->labels, NULL),
		.has_digest = m->digest != NULL,
		.since_ms = now_ms,
	};

	if (m->digest)
		memcpy(t.digest, m->digest, sizeof(t.digest));
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

struct cox_rollout *cox_rollout_new(const struct cox_rollout_spec *spec, int64_t now_ms)
{
	struct cox_rollout *r = cox_new(struct cox_rollout);

	strncat(r->id, spec->id, sizeof(r->id) - 1);
	r->owner = cox_strdup(spec->owner);
	r->revision = cox_strdup(spec->revision ? spec->revision : "");
	r->started_ms = now_ms;
	rollout_plan_copy(spec->plan, &r->plan);
	for (size_t i = 0; i < spec->n_members; i++)
		cox_vec_push(&r->targets, target_from(&r->plan, &spec->members[i], now_ms));
	cox_vec_sort(&r->targets, by_name);
	rollout_index(r);
	return r;
}

void rollout_index(struct cox_rollout *r)
{
	cox_map_clear(&r->by_uid);
	for (size_t i = 0; i < r->targets.n; i++)
		cox_map_set(&r->by_uid, r->targets.items[i].uid, (void *)(i + 1));
}

static struct cox_rollout_target *find(struct cox_rollout *r, const char *uid)
{
	size_t i = (size_t)cox_map_get(&r->by_uid, uid);

	return i ? &r->targets.items[i - 1] : NULL;
}

const struct cox_rollout_target *cox_rollout_find(const struct cox_rollout *r, const char *uid)
{
	return find((struct cox_rollout *)r, uid);
}

/* ---- what happens to a target ---- */

/* The one place where a target's state changes; takes message. 1 when it did. */
static int target_set(struct cox_rollout_target *t, enum cox_rollout_state state,
		      char *message_taken, int64_t now_ms)
{
	bool moved = t->state != state;

	if (!moved && cox_streq(t->message, message_taken)) {
		free(message_taken);
		return 0;
	}
	free(t->message);
	t->message = message_taken;
	t->state = state;
	if (moved)
		t->since_ms = now_ms;
	return 1;
}

void cox_rollout_assigned(struct cox_rollout *r, const char *uid, uint64_t epoch,
			  uint64_t generation, const char *operation, int64_t now_ms)
{
	struct cox_rollout_target *t = find(r, uid);

	if (!t || r->phase != COX_ROLLOUT_PROGRESSING)
		return;
	t->epoch = epoch;
	t->generation = generation;
	if (operation) {
		t->operation[0] = '\0';
		strncat(t->operation, operation, sizeof(t->operation) - 1);
	}
	if (t->state != COX_TARGET_MOVING)
		target_set(t, COX_TARGET_MOVING, NULL, now_ms);
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

int cox_rollout_observe(struct cox_rollout *r, const char *uid, const struct cox_rollout_report *p,
			int64_t now_ms)
{
	struct cox_rollout_target *t = find(r, uid);

	if (!t || r->phase != COX_ROLLOUT_PROGRESSING || !is_current(t, p))
		return 0;
	if (operation_failed(t, p))
		return target_set(t, COX_TARGET_FAILED,
				  sentence("the sync failed", p->operation_message), now_ms);
	if (!p->synced)
		return target_set(t, COX_TARGET_MOVING,
				  p->operation_phase == COX_OP_RUNNING
					  ? sentence("syncing", p->operation_message)
					  : sentence("not synced yet", p->message),
				  now_ms);
	if (p->degraded)
		return target_set(t, COX_TARGET_FAILED, sentence("Degraded", p->message), now_ms);
	if (!operation_done(t, p))
		return target_set(t, COX_TARGET_MOVING,
				  sentence("its sync is not finished", p->operation_message),
				  now_ms);
	if (!p->healthy)
		return target_set(t, COX_TARGET_MOVING,
				  sentence(p->health ? p->health : "health unknown", p->message),
				  now_ms);
	return target_set(t, COX_TARGET_HEALTHY, NULL, now_ms);
}

int cox_rollout_note(struct cox_rollout *r, const char *uid, const char *message, int64_t now_ms)
{
	struct cox_rollout_target *t = find(r, uid);

	if (!t || r->phase != COX_ROLLOUT_PROGRESSING || t->state != COX_TARGET_MOVING)
		return 0;
	return target_set(t, COX_TARGET_MOVING, cox_strdup(message), now_ms);
}

int cox_rollout_remove(struct cox_rollout *r, const char *uid, int64_t now_ms)
{
	struct cox_rollout_target *t = find(r, uid);

	(void)now_ms;
	if (!t || r->phase != COX_ROLLOUT_PROGRESSING)
		return 0;
	target_fini(t);
	cox_vec_remove(&r->targets, (size_t)(t - r->targets.items));
	rollout_index(r);
	return 1;
}

/* ---- waves ---- */

struct tally {
	size_t n, waiting, moving, healthy, failed, blocked;
};

static struct tally count(const struct cox_rollout *r, size_t wave)
{
	struct tally c = {0};

	COX_VEC_EACH (&r->targets, t) {
		if (t->wave != (int)wave)
			continue;
		c.n++;
		c.waiting += t->state == COX_TARGET_WAITING;
		c.moving += t->state == COX_TARGET_MOVING;
		c.healthy += t->state == COX_TARGET_HEALTHY;
		c.failed += t->state == COX_TARGET_FAILED;
		c.blocked += t->state == COX_TARGET_BLOCKED;
	}
	return c;
}

size_t cox_rollout_open_wave(const struct cox_rollout *r)
{
	size_t w = 0;

	for (; w < r->plan.waves.n; w++) {
		struct tally c = count(r, w);

		if (c.healthy < c.n)
			break;
	}
	return w;
}

size_t rollout_budget(const struct cox_rollout_wave *w, size_t n_targets)
{
	int64_t share;

	if (w->max_kind == COX_ROLLOUT_ALL)
		return n_targets;
	if (w->max_kind == COX_ROLLOUT_COUNT)
		return (size_t)w->max_update;
	if (w->max_update == 0)
		return 0;
	share = (int64_t)n_targets * (w->max_update > 100 ? 100 : w->max_update) / 100;
	return share < 1 ? 1 : (size_t)share;
}

int cox_rollout_step(struct cox_rollout *r, int64_t now_ms, cox_rollout_moves *moves)
{
	size_t open = cox_rollout_open_wave(r), budget, used;
	struct tally c;
	int changed = 0;

	if (r->phase != COX_ROLLOUT_PROGRESSING)
		return 0;
	if (open == r->plan.waves.n) {
		r->phase = COX_ROLLOUT_SUCCEEDED;
		r->finished_ms = now_ms;
		return 1;
	}
	c = count(r, open);
	budget = rollout_budget(&r->plan.waves.items[open], c.n);
	used = c.moving + c.failed;
	for (size_t i = 0; i < r->targets.n && used < budget; i++) {
		struct cox_rollout_target *t = &r->targets.items[i];

		if (t->wave != (int)open || t->state != COX_TARGET_WAITING)
			continue;
		t->epoch = t->generation = 0;
		t->operation[0] = '\0';
		changed |= target_set(t, COX_TARGET_MOVING, NULL, now_ms);
		cox_vec_push(moves, i);
		used++;
	}
	return changed;
}

/* The last time that a target of the wave moved forward. */
static int64_t last_progress(const struct cox_rollout *r, size_t wave)
{
	int64_t last = r->started_ms;

	COX_VEC_EACH (&r->targets, t)
		if (t->wave == (int)wave && t->since_ms > last)
			last = t->since_ms;
	return last;
}

bool cox_rollout_may_supersede(const struct cox_rollout *r, int64_t now_ms, int64_t *ret_again_ms)
{
	size_t open = cox_rollout_open_wave(r);
	int64_t again = INT64_MAX, due;
	struct tally c;
	bool may = true;

	if (r->phase == COX_ROLLOUT_PROGRESSING && open < r->plan.waves.n &&
	    r->plan.supersede != COX_SUPERSEDE_NOW) {
		c = count(r, open);
		due = last_progress(r, open) + r->plan.patience_ms;
		may = c.failed > 0 || c.blocked > 0 || now_ms >= due;
		if (r->plan.supersede == COX_SUPERSEDE_WAVE)
			may = may || (c.moving == 0 && c.healthy == 0);
		if (!may)
			again = due;
	}
	if (ret_again_ms)
		*ret_again_ms = again;
	return may;
}

void cox_rollout_supersede(struct cox_rollout *r, int64_t now_ms)
{
	if (r->phase != COX_ROLLOUT_PROGRESSING)
		return;
	r->phase = COX_ROLLOUT_SUPERSEDED;
	r->finished_ms = now_ms;
}
