/* What the files of the checks on rollouts share: what is known of a rollout besides what the hub says of
 * it, and one look at it. check_roll.c: what people do, and claims about targets; check_start.c: who starts;
 * check_wave.c: gates, waves, and the end. */
#ifndef SIM_HUB_CHECK_ROLL_H
#define SIM_HUB_CHECK_ROLL_H

#include "tests/sim/hub/check.h"

#include "common/base/encode.h"
#include "common/base/mem.h"

#include <stdio.h>

/* One target, as it was first seen. */
struct pin {
	bool has_digest, was_away, joined, retried;
	int wave;
	uint8_t digest[COX_ROLLOUT_DIGEST];
	int64_t started_ms;
	bool homeless; /* nobody knew its cluster: it joins anew when somebody does */
	bool here;     /* in this look */
};

struct roll {
	char id[COX_UUID_TEXT];
	const struct sim_plan *plan; /* NULL: none of ours */
	struct cox_map pins;	     /* uid -> struct pin */
	bool fresh;  /* the hub began anew: what it says now is where we go on from */
	bool paused; /* by a person */
	int n_resumes;
	bool was_under_way, restarted, paused_by_failure, was_paused;
	size_t best[COX_ROLLOUT_MAX_WAVES];	    /* so many were healthy at most */
	int64_t progress_ms[COX_ROLLOUT_MAX_WAVES]; /* when that, or a start, was */
	COX_VEC(int64_t) starts;		    /* times, since the hub began */
	struct cox_map approvals;		    /* "WAVE/PERSON/UID/HEX" -> anything */
	struct cox_map promoted;		    /* "WAVE/AFTER/GATE" -> anything */
	struct cox_map good;			    /* "WAVE/AFTER/GATE" -> good answers in a row */
	struct cox_map passed; /* waves that were said to have passed: "WAVE" */
	struct cox_map over;   /* gates that were said to be over: "WAVE/AFTER/GATE" */
};

static inline char *gate_key(size_t wave, bool after, size_t gate)
{
	return cox_asprintf("%zu/%d/%zu", wave, after, gate);
}

/* "UID/HEX" of what a target is pinned to. */
static inline char *target_key(const char *uid, const uint8_t *digest)
{
	char hex[2 * COX_ROLLOUT_DIGEST + 1];

	cox_hex_encode(digest, COX_ROLLOUT_DIGEST, hex);
	return cox_asprintf("%s/%s", uid, hex);
}

static inline bool is_over(enum cox_gate_state state)
{
	return state == COX_GATE_PASSED || state == COX_GATE_SKIPPED;
}

struct look {
	const struct cox_rollout *r;
	struct roll *roll;
	const struct sim_plan *plan;
	sim_moves *moves;
};

static inline bool is_back(const struct cox_rollout *r)
{
	return r->plan.source == COX_ROLLOUT_BACK;
}

static inline bool is_away(const struct cox_rollout_target *t)
{
	return !t->cluster || !sim_session(t->cluster);
}

static inline struct sim_entry *entry_of(const struct cox_rollout_target *t)
{
	return sim_entry_find(t->cluster, t->uid);
}

/* What is assigned is what the rollout pins. */
static inline bool is_assigned(const struct cox_rollout_target *t, const struct sim_entry *e)
{
	return e && !e->tombstone && e->has_sync && t->has_digest &&
	       memcmp(e->sync, t->digest, sizeof(t->digest)) == 0;
}

static inline bool is_healthy(const struct cox_rollout_target *t)
{
	const struct sim_entry *e = entry_of(t);

	return is_assigned(t, e) && e->healthy;
}

static inline bool is_failed(const struct cox_rollout_target *t)
{
	const struct sim_entry *e = entry_of(t);

	return is_assigned(t, e) && (e->failed || (t->state == COX_TARGET_FAILED && t->overdue));
}

static inline struct sim_move *move_of(const struct look *l, const char *uid)
{
	COX_VEC_EACH (l->moves, m)
		if (strcmp(m->uid, uid) == 0)
			return m;
	return NULL;
}

static inline bool is_to(const struct sim_move *m, const struct cox_rollout_target *t)
{
	return t->has_digest && m->a->sync_digest.len == sizeof(t->digest) &&
	       memcmp(m->a->sync_digest.data, t->digest, sizeof(t->digest)) == 0;
}

/* Only said again in this very look, behind the starts: what he was before it (failed and excused,
 * overdue) is not to be seen any more. */
static inline bool is_said_again(const struct look *l, const struct cox_rollout_target *t)
{
	const struct sim_move *m = move_of(l, t->uid);

	return m && !m->sync_changed && !m->operation_changed;
}

/* Failed there, and everything went back for it. */
bool sim_is_barred(const struct cox_rollout_target *t);
void sim_bar(const struct cox_rollout_target *t);

/* check_start.c */
size_t sim_tolerance(const struct sim_plan *p, int wave, size_t n);
size_t sim_size_of(const struct look *l, int wave);
void sim_check_starts(const struct look *l);

/* check_wave.c */
void sim_check_gates(const struct look *l);
void sim_check_waves(const struct look *l);
void sim_check_end(const struct look *l);
/* When something got better in a wave. */
void sim_note_progress(const struct look *l);

#endif
