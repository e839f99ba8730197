/* What the files of this room share. */
#ifndef COX_HUB_ROLLOUT_INTERNAL_H
#define COX_HUB_ROLLOUT_INTERNAL_H

#include "hub/rollout/rollout.h"

/* ---- plan.c, policy.c ---- */

#define ROLLOUT_PATIENCE_MS 60000

void rollout_plan_copy(const struct cox_rollout_plan *plan, struct cox_rollout_plan *ret_copy);
/* spec: what the plan is made of, sealed; a reference is taken. */
int rollout_plan_make(enum cox_rollout_source source, const char *name, struct cox_doc *spec,
		      struct cox_rollout_plan *ret_plan, cox_rollout_problems *problems,
		      struct cox_error *err);
int rollout_policy_parse(const struct cox_node *spec, struct cox_rollout_plan *plan,
			 struct cox_error *err);
/* An integer, or a percentage. -1: it is neither. An absent node is ALL. */
int rollout_amount_parse(const struct cox_node *node, struct cox_rollout_amount *ret_amount);
void rollout_gate_fini(struct cox_rollout_gate *g);

/* ---- rollout.c: targets ---- */

/* NULL: there is none. */
const struct cox_rollout_target *rollout_target(const struct cox_rollout *r, const char *uid);
/* The target, to be changed: its row is to be written. The only way to change one. */
struct cox_rollout_target *rollout_edit(struct cox_rollout *r, const struct cox_rollout_target *t);
/* The target, to change what is not kept. */
struct cox_rollout_target *rollout_unkept(const struct cox_rollout_target *t);
/* In no order, and not to be found: rollout_index comes when all are there. */
void rollout_target_add(struct cox_rollout *r, struct cox_rollout_target taken);
/* Takes out all of whom `drops` says so; false: there were none. */
bool rollout_drop(struct cox_rollout *r,
		  bool (*drops)(const struct cox_rollout_target *t, int wave), int wave);
/* Sorts them, and finds them again. */
void rollout_index(struct cox_rollout *r);
void rollout_bar_add(struct cox_rollout *r, struct cox_rollout_bar taken);
/* The one place where a target's state changes; takes message. 1 when it did. */
int rollout_set(struct cox_rollout *r, const struct cox_rollout_target *t,
		enum cox_rollout_state state, char *message_taken, int64_t now_ms);
/* Runs of gates for each wave of the plan. */
void rollout_waves_init(struct cox_rollout *r);
/* A jump backwards shifts every clock that runs. Every event begins with it. */
void rollout_clock(struct cox_rollout *r, int64_t now_ms);
/* It came to its end, and who is late still moves: also where a policy goes on although some failed. */
static inline bool rollout_ran_out(const struct cox_rollout *r)
{
	return r->phase == COX_ROLLOUT_SUCCEEDED ||
	       (r->phase == COX_ROLLOUT_FAILED && r->plan.source == COX_ROLLOUT_POLICY &&
		r->plan.on_failure == COX_FAILURE_CONTINUE);
}

/* Under way, or at its end with somebody late. */
static inline bool rollout_is_live(const struct cox_rollout *r)
{
	return r->phase == COX_ROLLOUT_PROGRESSING || rollout_ran_out(r);
}
/* It has failed where it is, with nothing to return to or by `continue`: retry goes on from there. */
static inline bool rollout_may_reopen(const struct cox_rollout *r)
{
	return r->phase == COX_ROLLOUT_FAILED && r->plan.source != COX_ROLLOUT_BACK &&
	       !r->rollback_due && !*r->reversed_by;
}

/* ---- waves.c ---- */

/* One wave's targets by what they are. */
struct rollout_tally {
	/* late ones too */
	size_t n;
	size_t failed;	  /* not excused */
	size_t excused;	  /* failed, and gone on without */
	size_t in_flight; /* what maxConcurrent counts */
	size_t to_change; /* waiting for their start, whatever keeps them */
	size_t moved;	  /* by this rollout */
	size_t late_busy; /* late, there, free to start, and not at its end */
	/* the others */
	size_t on_time, waiting, moving, away, healthy, holding, blocked;
};

struct rollout_tallies {
	struct rollout_tally waves[COX_ROLLOUT_MAX_WAVES + 1];
};

void rollout_count(const struct cox_rollout *r, struct rollout_tallies *ret);
/* Each target is where it shall be, as far as the plan asks. */
bool rollout_wave_is_done(const struct cox_rollout *r, size_t wave, const struct rollout_tally *c);
/* The first wave that has not passed and is not empty. */
size_t rollout_front(const struct cox_rollout *r, const struct rollout_tallies *c);
/* The first wave before `front` whose targets are not well; front when there is none. */
size_t rollout_fallen(const struct cox_rollout *r, const struct rollout_tallies *c, size_t front);
/* Whether the target waits for somebody who is away, or is skipped. */
bool rollout_skips(const struct cox_rollout *r, const struct cox_rollout_target *t);
void rollout_enter(struct cox_rollout *r, size_t wave, enum cox_wave_phase phase, int64_t now_ms);

/* ---- what a step has at hand ---- */

struct rollout_step {
	struct cox_rollout *r;
	const struct cox_rollout_env *env;
	int64_t now_ms, wake_ms;
	cox_rollout_effects *effects;
	bool changed;
	struct rollout_tallies c;
};

static inline void rollout_wake(struct rollout_step *s, int64_t at_ms)
{
	if (at_ms < s->wake_ms)
		s->wake_ms = at_ms;
}

/* ---- gates.c, windows.c ---- */

/* Looks at the list's gates in order: true when each has passed or was skipped. A failed one sets
 * *ret_failed to its index (or leaves it). */
bool rollout_gates_pass(struct rollout_step *s, size_t wave, bool after, ptrdiff_t *ret_failed);
void rollout_gates_skip(struct rollout_step *s, size_t wave, bool after, const char *message);
/* 1 when the run's state or message changed; takes message. */
int rollout_gate_set(struct cox_rollout_gate_run *g, enum cox_gate_state state, char *message_taken,
		     int64_t now_ms);
/* Gives up probes that nobody waits for any more; after a read back, asks the others again. */
void rollout_gates_sweep(struct rollout_step *s);
/* The gate that the rollout waits at; false: none. */
bool rollout_gate_at(const struct cox_rollout *r, struct cox_rollout_probe *ret_probe);
struct cox_rollout_gate_run *rollout_gate_run(struct cox_rollout *r,
					      const struct cox_rollout_probe *probe);
void rollout_gate_run_fini(struct cox_rollout_gate_run *g);

struct rollout_window {
	bool open;
	int64_t until_ms; /* when it may be otherwise; COX_ROLLOUT_FOREVER */
	char *message;	  /* why it is closed; the caller's */
};
/* What the windows of one list say together, those that were skipped left out; open when there are
 * none. */
void rollout_windows(const struct cox_rollout *r, const struct cox_rollout_env *env, size_t wave,
		     bool after, int64_t now_ms, struct rollout_window *ret);

/* ---- approval.c ---- */

/* Whether a start in the wave takes an approval: it has such a gate before it, not skipped. */
bool rollout_needs_approval(const struct cox_rollout *r, size_t wave);
/* What an approval of the wave, before or after it, is bound to; false: nothing to approve. */
bool rollout_approval_digest(const struct cox_rollout *r, size_t wave, bool after,
			     uint8_t ret_digest[COX_ROLLOUT_DIGEST]);
/* How many people have approved the digest, of those whose approval counts for the gate. names (may be
 * NULL): who, appended. */
size_t rollout_approvals(const struct cox_rollout_wave_run *run,
			 const struct cox_rollout_gate *gate,
			 const uint8_t digest[COX_ROLLOUT_DIGEST], struct cox_buf *names);
/* The gate's message about them, the caller's. */
char *rollout_approved_text(const struct cox_rollout_gate *gate, const char *names, size_t n);
/* What is in the way of the rollout: nothing is unmatched. */
bool rollout_is_unmatched(const struct cox_rollout *r);

/* ---- budget.c ---- */

/* Takes a start out of both buckets; false when there is none, and *ret_again_ms is when. */
bool rollout_take_start(struct cox_rollout *r, struct cox_rollout_bucket *all, int64_t now_ms,
			int64_t *ret_again_ms);
/* When the target may start, in a wave that opened at open_ms. */
int64_t rollout_start_ms(const struct cox_rollout *r, const struct cox_rollout_target *t,
			 int64_t open_ms);

/* ---- failure.c ---- */

#define ROLLOUT_OVERDUE "not well by its progress deadline"
/* A rollout that was read back waits so long for the agents of healthy targets to be back: their
 * dialling comes to rest at a minute. Then they are away like others. */
#define ROLLOUT_RETURN_MS 120000
/* Of what two clocks say of one moment, the way of a report included. */
#define ROLLOUT_SLACK_MS 5000
/* Targets past their deadline fail. */
void rollout_check_deadlines(struct rollout_step *s);
/* Does what onFailure says when a wave has more failures than it may; true when the rollout goes no
 * further now. */
bool rollout_check_failures(struct rollout_step *s);
/* The same for a gate. */
bool rollout_gate_failed(struct rollout_step *s, const struct cox_rollout_probe *probe);
/* Ends the rollout; takes reason. */
void rollout_end(struct cox_rollout *r, enum cox_rollout_phase phase, char *reason_taken,
		 int64_t now_ms);
/* Nothing is barred any more. */
void rollout_unbar(struct cox_rollout *r);
bool rollout_is_bar(const struct cox_rollout *r, const struct cox_rollout_target *t);
/* It is over (or the way back of one that is), and what it was about is not deployed anew by itself. */
bool rollout_holds_back(const struct cox_rollout *r);
/* What is pinned is not deployed again by itself. */
void rollout_bar_all(struct cox_rollout *r);
/* Whether it has another bundle to return to. */
bool rollout_returns(const struct cox_rollout_target *t);
/* Whether there is a target to return. */
bool rollout_has_way_back(const struct cox_rollout *r);

/* ---- verbs.c ---- */

#define ROLLOUT_ENGINE "coxswain"
void rollout_record(struct cox_rollout *r, const char *by, const char *what, int64_t now_ms,
		    const char *format, ...) __attribute__((format(printf, 5, 6)));
void rollout_unpause(struct cox_rollout *r);

#endif
