/* hub/rollout: one revision's way through all targets of an ApplicationSet, in waves, through gates.
 * Pure: the clock is a parameter, nothing is read or written, nothing is logged.
 *
 * A rollout pins what it deploys: the waves, and each target's bundle digest, are fixed when it
 * starts. A shell drives it like this, under one owner (a loop, a lock):
 *
 *	cox_rollout_plan_…      what the waves are: RollingSync's steps, or a RolloutPolicy
 *	cox_rollout_new         from the plan and the members, pinned
 *	events                  whatever happens, in the order in which it is learnt:
 *	    cox_rollout_assigned    the assignment of a target is now (epoch, generation)
 *	    cox_rollout_observe     an agent's report about a target
 *	    cox_rollout_reach       a target's cluster came or went
 *	    cox_rollout_hold        the project's sync windows keep a target from starting, or no more
 *	    cox_rollout_join        an Application joined; cox_rollout_remove: it left
 *	    cox_rollout_answer      what a gate's probe (http, job, metrics) answered
 *	    verbs                   pause, resume, approve, promote, abort, retry
 *	cox_rollout_step        after any number of events, and when the time *ret_wake_ms has come:
 *	                        the decisions, as effects
 *
 * Effects, each given once; the shell carries them out in order:
 *	COX_EFFECT_MOVE      assign the target its pinned digest, in the same durable batch as the
 *	                     rollout's state (cox_rollout_keep), and say so with
 *	                     cox_rollout_assigned before the batch is committed. Reports count for
 *	                     the target only from then on.
 *	COX_EFFECT_PROBE     ask the gate's question, after the state is durable, and give the answer
 *	                     with the same key. A key is asked once per life of the state in memory: a
 *	                     state that was read back gives probes without an answer again with the same
 *	                     key, so an executor whose question must be asked once (a Job) derives its
 *	                     name from rollout id and key and adopts what is there.
 *	COX_EFFECT_CANCEL    nobody waits for that answer any more; one that comes is ignored.
 *	COX_EFFECT_ROLLBACK  the rollout has failed and its targets go back: call
 *	                     cox_rollout_rollback, keep both in one batch, and step the new one.
 * A rollout that is over is stepped once more, for the COX_EFFECT_CANCELs that it owes.
 *
 * What is kept of it is a few rows, one for each target among them, so that what an event costs does
 * not depend on how many targets there are: cox_rollout_keep gives those that are others than when
 * it was kept last. Targets and bars are const to everybody; the one way to change one (internal.h)
 * marks its row, so that none can be forgotten.
 *
 * The rules:
 * - A wave's gates `before` come when every wave before it has passed; then its targets move; when
 *   they are done its gates `after` come; then it has passed. Gates of a list come one after the
 *   other, except that windows are looked at for every start as well. A wave with nothing to change
 *   has no gates to go through; an empty one is passed over.
 * - Order follows observation: while a target of a wave that has passed is not well, no further
 *   target of a later one starts.
 * - Healthy means a report at exactly the assigned (epoch, generation), with the sync digest in
 *   force equal to the pinned one, everything Synced against it, health Healthy, and the operation
 *   that moved it (or one that came after it, to the same digest) succeeded.
 * - A soak counts health without a break as somebody watched it: the agent, when its reports say for
 *   how long it has been so, also while it could reach nobody; otherwise this process. What has not
 *   been said again since the connection, or this process, came back does not count.
 * - A wave is done when each of its targets is Healthy, except as many Failed ones as maxFailures
 *   (or a person) excuses and, with `offline: skip`, those that are away; at least one is Healthy.
 * - Whoever was away or joined when the wave passed is `late`: it moves when it is there, in wave
 *   order among its like, and holds up nobody; its failures count.
 * - More failures in a wave than maxFailures, or a failed gate, do what onFailure says. RollingSync
 *   knows no such thing: there a failed target holds its wave until it recovers.
 * - A target that cannot be rendered or assigned, or whose digest is barred, is Blocked: its wave
 *   does not end.
 * - A target in no wave, or one whose application is synced by hand, is not planned: it does not
 *   move and holds up nobody.
 *
 * Waves follow Argo CD's RollingSync where it says something (reference: its ApplicationSet
 * progressive syncs documentation), but no count of unplanned targets leaks into a wave's budget.
 *
 * Time: now_ms is wall-clock time that the shell makes advance steadily (the wall clock at its
 * start plus what a monotonic clock says), so that a jump forward ends no soak. A jump backwards
 * shifts every clock that runs.
 *
 * Threads: loop-owned. Cost of a step: linear in the targets.
 */
#ifndef COX_HUB_ROLLOUT_ROLLOUT_H
#define COX_HUB_ROLLOUT_ROLLOUT_H

#include "common/base/map.h"
#include "common/base/rand.h"
#include "common/base/vec.h"
#include "common/doc/doc.h"
#include "common/kube/selector.h"
#include "common/text/cron.h"

#include <stdbool.h>
#include <stdint.h>

#define COX_ROLLOUT_DIGEST    32
#define COX_ROLLOUT_MAX_WAVES 100
#define COX_ROLLOUT_MAX_GATES 20  /* in one list */
#define COX_ROLLOUT_MAX_AUDIT 200 /* older entries go, their number is kept */
#define COX_ROLLOUT_FOREVER   INT64_MAX

typedef COX_VEC(char *) cox_rollout_problems;

/* ---- the plan: what the waves are ---- */

enum cox_gate_kind {
	COX_GATE_SOAK,
	COX_GATE_APPROVAL,
	COX_GATE_WINDOW,
	COX_GATE_HTTP, /* from here on: asked by the shell */
	COX_GATE_JOB,
	COX_GATE_METRICS,
};

struct cox_rollout_gate {
	enum cox_gate_kind kind;
	char *name;		     /* "soak", "approval", … unless the policy names it */
	const struct cox_node *spec; /* what the policy says of it, for executors; the plan's */
	int64_t soak_ms;	     /* SOAK */
	int64_t approvals;	     /* APPROVAL: how many people */
	struct {		     /* WINDOW */
		bool deny;
		struct cox_cron cron;
		char *schedule, *zone; /* as written; IANA name, "" for UTC */
		int64_t duration_ms;
	} window;
	/* HTTP, JOB, METRICS: passed after so many good answers in a row, failed when more bad ones
	 * than the limit came (-1: never) */
	int64_t interval_ms, successes, failure_limit;
};

struct cox_rollout_amount {
	enum { COX_AMOUNT_ALL, COX_AMOUNT_COUNT, COX_AMOUNT_PERCENT } kind;
	int64_t value;
};

/* RollingSync's. */
struct cox_rollout_expression {
	char *key;
	enum { COX_ROLLOUT_IN, COX_ROLLOUT_NOT_IN, COX_ROLLOUT_OTHER_OP } op;
	COX_VEC(char *) values;
};

struct cox_rollout_wave {
	char *name;
	/* a step: on the Application's labels; ANDed; none matches all */
	COX_VEC(struct cox_rollout_expression) expressions;
	/* a policy's wave: on the Cluster's labels (NULL: not asked), or on its name */
	struct cox_selector *selector;
	COX_VEC(char *) names;
	bool unmatched; /* the wave of those in no other */

	struct cox_rollout_amount max_concurrent; /* maxUpdate */
	struct cox_rollout_amount max_failures;
	int64_t progress_deadline_ms; /* 0: none */
	COX_VEC(struct cox_rollout_gate) before, after;
};

enum cox_rollout_source {
	COX_ROLLOUT_AT_ONCE, /* one wave with all; targets move by their own sync policy */
	COX_ROLLOUT_STEPS,   /* strategy.rollingSync */
	COX_ROLLOUT_POLICY,  /* a RolloutPolicy */
	COX_ROLLOUT_BACK,    /* the way back of one that failed */
};

enum cox_rollout_supersede {
	COX_SUPERSEDE_NOW,	/* a newer revision takes over at once */
	COX_SUPERSEDE_WAVE,	/* when no wave is half done, or the open one is stuck */
	COX_SUPERSEDE_FINISHED, /* when every planned target is Healthy, or it is stuck */
};

enum cox_rollout_on_failure {
	COX_FAILURE_HOLD, /* RollingSync: a failed target holds its wave until it recovers */
	COX_FAILURE_PAUSE,
	COX_FAILURE_ROLLBACK,
	COX_FAILURE_CONTINUE,
};

enum cox_rollout_offline { COX_OFFLINE_WAIT, COX_OFFLINE_SKIP };

struct cox_rollout_plan {
	enum cox_rollout_source source;
	char *name;	     /* the policy's; NULL */
	struct cox_doc *doc; /* what it was made of, sealed; one reference */
	COX_VEC(struct cox_rollout_wave) waves;
	enum cox_rollout_supersede supersede;
	enum cox_rollout_on_failure on_failure;
	enum cox_rollout_offline offline;
	bool unmatched_last; /* otherwise a target in no wave holds the rollout at its start */
	int64_t patience_ms; /* a wave that moves nobody forward for so long counts as stuck */
	int64_t jitter_ms;   /* starts inside a wave are spread over so long */
	int64_t starts_per_minute; /* of this rollout; 0: no limit */
	bool ordered;		   /* targets move without `automated`: all but AT_ONCE */
	bool reverse_deletion;	   /* strategy.deletionOrder: Reverse */
};

#define COX_ROLLOUT_PLAN_INIT ((struct cox_rollout_plan){0})

/* strategy: ApplicationSet's spec.strategy, NULL for none (one wave with all). What is wrong but
 * can be lived with is appended to problems (may be NULL) as sentences (the caller's); a
 * RollingSync without steps is a failure. */
int cox_rollout_plan_parse(const struct cox_node *strategy, struct cox_rollout_plan *ret_plan,
			   cox_rollout_problems *problems, struct cox_error *err);
/* spec: a RolloutPolicy's spec. Time zones are not looked up here: see cox_rollout_env. */
int cox_rollout_plan_policy(const char *name, const struct cox_node *spec,
			    struct cox_rollout_plan *ret_plan, struct cox_error *err);
void cox_rollout_plan_fini(struct cox_rollout_plan *plan);
/* Whether both say the same. */
bool cox_rollout_plan_equal(const struct cox_rollout_plan *a, const struct cox_rollout_plan *b);

/* What the shell knows of a target when a rollout starts, or when it joins. Borrowed. */
struct cox_rollout_member {
	const char *uid, *name, *cluster, *revision;
	const struct cox_node *labels;	       /* the Application's */
	const struct cox_node *cluster_labels; /* the Cluster's */
	const uint8_t *digest;		       /* NULL: could not be rendered */
	const char *error; /* why it cannot be rendered or assigned; NULL: it can */
	bool by_hand;	   /* no automated sync and no strategy: a person syncs it */
	/* the assignment in force, when its sync digest is the pinned one already */
	bool at_digest;
	uint64_t epoch, generation;
	const char *operation; /* that moved it there and was not seen to succeed; or NULL */
	/* the sync digest in force otherwise: what a rollback returns to; NULL: none */
	const uint8_t *previous;
	const char *previous_revision;
	bool offline; /* its agent is away */
	bool awaited; /* or is expected back any moment, see cox_rollout_await */
};

/* The first wave that the member is in; -1: none. *ret_also (may be NULL) is the next one that
 * matches too, or -1. A policy's last wave for the unmatched counts. by_hand is not looked at. */
int cox_rollout_plan_wave(const struct cox_rollout_plan *plan, const struct cox_rollout_member *m,
			  int *ret_also);

/* deletionOrder: Reverse. Appends the indexes of those of the members (all that still exist) whose
 * deletion may begin now: the last wave's first, one at a time (`deleting` says which are on their
 * way), those in no wave at once. Without Reverse: all. */
typedef COX_VEC(size_t) cox_rollout_indexes;
void cox_rollout_plan_deletions(const struct cox_rollout_plan *plan,
				const struct cox_rollout_member *members, const bool *deleting,
				size_t n, cox_rollout_indexes *ret_now);

/* How many of n targets an amount is. Concurrency: ALL is n; a percentage is rounded up for a
 * policy, down (but to no less than 1) for RollingSync; 0 and 0% are 0: by hand only. Failures: a
 * percentage is rounded down; not given is 0. */
size_t cox_rollout_concurrency(const struct cox_rollout_plan *plan, size_t wave, size_t n);
size_t cox_rollout_tolerance(const struct cox_rollout_plan *plan, size_t wave, size_t n);

/* ---- a rollout ---- */

enum cox_rollout_phase {
	COX_ROLLOUT_PROGRESSING,
	COX_ROLLOUT_SUCCEEDED,	/* late targets may still move */
	COX_ROLLOUT_SUPERSEDED, /* a newer one took over */
	/* onFailure: rollback; or it came to its end with too many failed, and late targets may still
	 * move, as above */
	COX_ROLLOUT_FAILED,
	COX_ROLLOUT_ABORTED, /* by a person */
};

enum cox_rollout_state {
	COX_TARGET_WAITING, /* its turn has not come */
	COX_TARGET_MOVING,  /* assigned, not yet observed healthy */
	COX_TARGET_HEALTHY,
	COX_TARGET_FAILED,  /* assigned; the operation failed, Degraded, or past its deadline */
	COX_TARGET_BLOCKED, /* cannot be rendered or assigned, or is barred: message says why */
};

struct cox_rollout_target {
	char *uid;     /* of the Application */
	char *name;    /* NAMESPACE/NAME */
	char *cluster; /* NULL: none known */
	int wave;      /* -1: not planned */
	bool has_digest, has_previous;
	uint8_t digest[COX_ROLLOUT_DIGEST];   /* pinned */
	uint8_t previous[COX_ROLLOUT_DIGEST]; /* what it returns to */
	/* what it had when the rollout began, where an earlier one left that half done: no place to
	 * return to */
	bool has_found;
	uint8_t found[COX_ROLLOUT_DIGEST];
	char *revision, *previous_revision; /* for people */
	enum cox_rollout_state state;
	char *message;	/* NULL: nothing to say */
	char *resource; /* that the message is about; NULL */
	int64_t since_ms;
	int64_t well_ms; /* healthy without a break since then; 0: it is not */
	int64_t seen_ms; /* and somebody was there to say so since then, never before well_ms */
	/* the assignment that is in force, once moved */
	uint64_t epoch, generation;
	char operation[COX_UUID_TEXT]; /* "": the agent syncs by itself */

	bool by_hand;  /* not planned, because a person syncs it */
	bool moved;    /* this rollout assigned it its digest: a rollback takes it back */
	bool forced;   /* a person moved it past its gate */
	bool late;     /* its wave had passed without it */
	bool excused;  /* failed, and a person (or onFailure: continue) goes on without it */
	bool overdue;  /* failed by its progress deadline */
	bool approved; /* as part of what an approval named */
	bool barred;   /* Blocked because it failed at this digest before */
	bool offline;
	bool awaited;	   /* offline, but not skipped: not kept */
	int64_t clock_ms;  /* its progress deadline counts from here */
	int64_t online_ms; /* when it came back; 0: it was never away */
	char *hold;	   /* why it may not start (sync windows); NULL: it may */
	int64_t hold_until_ms;

	/* not kept */
	bool unheard; /* since its cluster was away, or since it was read back */
	bool touched; /* its row is to be written */
};

enum cox_gate_state {
	COX_GATE_PENDING, /* its turn has not come */
	COX_GATE_RUNNING, /* looked at now */
	COX_GATE_PASSED,
	COX_GATE_FAILED,
	COX_GATE_SKIPPED, /* by a person, or because nothing changes */
};

/* What is known of one gate, beside the plan's struct cox_rollout_gate of the same index. */
struct cox_rollout_gate_run {
	enum cox_gate_state state;
	int64_t since_ms;    /* of the state */
	char *message;	     /* the last answer; NULL */
	int64_t answered_ms; /* 0: none */
	int64_t next_ms;     /* the next try, the end of the soak, the window's next edge; 0: none
				is known */
	char *by;	     /* who approved or skipped it */
	int64_t attempt;     /* of the probe that is, or was, asked last */
	bool asked;	     /* and has not answered */
	int64_t good, bad;   /* answers: good ones in a row, bad ones in all */
};

enum cox_wave_phase {
	COX_WAVE_WAITING,
	COX_WAVE_BEFORE, /* at its gates before */
	COX_WAVE_OPEN,	 /* its targets move */
	COX_WAVE_AFTER,	 /* its targets are done; at its gates after */
	COX_WAVE_PASSED,
};

struct cox_rollout_approval {
	char *by;
	uint8_t digest[COX_ROLLOUT_DIGEST];
	int64_t at_ms;
};

struct cox_rollout_wave_run {
	enum cox_wave_phase phase;
	int64_t since_ms;
	int64_t progress_ms; /* when a target started, or more were healthy than ever before */
	int64_t best;	     /* so many */
	COX_VEC(struct cox_rollout_gate_run) before, after; /* as the plan's */
	COX_VEC(struct cox_rollout_approval) approvals;
};

struct cox_rollout_audit {
	int64_t at_ms;
	char *by;   /* a person; "coxswain" for the engine itself */
	char *what; /* "pause", "approve", "sync", "failure", "rollback", … */
	char *text; /* a sentence */
};

/* What is not deployed again by itself. */
struct cox_rollout_bar {
	char *uid;
	uint8_t digest[COX_ROLLOUT_DIGEST];
	bool failed; /* at this target; otherwise it was only part of what failed */
};

struct cox_rollout {
	char id[COX_UUID_TEXT];
	char *owner;	/* KIND/NAMESPACE/NAME */
	char *revision; /* for people */
	enum cox_rollout_phase phase;
	char *reason; /* of a phase that is no success, or of a rollback; NULL */
	int64_t started_ms, finished_ms;
	char reverses[COX_UUID_TEXT];	 /* BACK: the rollout that failed; "" */
	char reversed_by[COX_UUID_TEXT]; /* the rollback; "" */
	bool rollback_due;		 /* COX_EFFECT_ROLLBACK was or will be given */
	bool paused, paused_by_failure;
	char *paused_by, *paused_message; /* NULL when not paused */
	int64_t paused_ms;

	struct cox_rollout_plan plan;
	COX_VEC(struct cox_rollout_wave_run) waves;	  /* as plan.waves */
	COX_VEC(const struct cox_rollout_target) targets; /* by name */
	struct cox_map by_uid;				  /* uid -> index + 1 */
	COX_VEC(struct cox_rollout_audit) audit;
	int64_t n_audit_dropped;
	COX_VEC(const struct cox_rollout_bar) bars;
	bool bars_all; /* they are all that was pinned when it failed, and not only some from before */
	int64_t last_ms; /* the latest now_ms */

	/* not kept */
	double tokens; /* of plan.starts_per_minute */
	int64_t tokens_ms;
	bool ask_again;	 /* read back: probes without an answer are to be given again */
	int64_t back_ms; /* when it was read back; 0: it began here; -1: at the next event */
	/* rows that are others than those that were kept */
	struct cox_map touched; /* uids of targets, also of those that left */
	bool plan_touched, bars_touched;
};

struct cox_rollout_spec {
	const char *id, *owner, *revision;
	const struct cox_rollout_plan *plan; /* copied */
	const struct cox_rollout_member *members;
	size_t n_members;
	/* The rollout that this one takes over from, or NULL: a target that it left half done keeps
	 * what that one would have returned to, and bars go on until their digest changes. */
	const struct cox_rollout *before;
	/* What that is the way back of (its `reverses`), or NULL: it knows of targets that did not go
	 * back, and were left half done all the same. */
	const struct cox_rollout *reversed;
};

struct cox_rollout *cox_rollout_new(const struct cox_rollout_spec *spec, int64_t now_ms);
/* The way back of a rollout that failed or was aborted (COX_EFFECT_ROLLBACK): every target that it
 * moved returns to what it had, the last wave first; no gates, no waiting for who is away (it is
 * assigned what it shall find), failures do not stop it. Its bars are what failed. */
struct cox_rollout *cox_rollout_rollback(struct cox_rollout *failed, const char *id,
					 int64_t now_ms);
void cox_rollout_free(struct cox_rollout *r);
DEFINE_CLEANUP(struct cox_rollout *, cox_rollout_free);

/* What has become of what the rollout pinned. */
enum cox_rollout_difference {
	COX_ROLLOUT_SAME,
	COX_ROLLOUT_MEMBERS, /* only that some joined or left: cox_rollout_join, _remove */
	COX_ROLLOUT_CONTENT, /* another content, or another plan: a new rollout */
};
enum cox_rollout_difference cox_rollout_compare(const struct cox_rollout *r,
						const struct cox_rollout_plan *plan,
						const struct cox_rollout_member *members, size_t n);
/* Whether a new rollout of these members would only repeat what failed or was aborted: none of
 * those that both know has another digest than it had then. */
bool cox_rollout_is_barred(const struct cox_rollout *r, const struct cox_rollout_member *members,
			   size_t n);

/* ---- events ---- */

/* The assignment of the target is now (epoch, generation), still at the pinned digest; operation:
 * the one that it carries, "" for none, NULL to leave it. A target that was Waiting or Blocked
 * becomes Moving (a person synced it). */
void cox_rollout_assigned(struct cox_rollout *r, const char *uid, uint64_t epoch,
			  uint64_t generation, const char *operation, int64_t now_ms);

/* What an agent observed. Borrowed. */
struct cox_rollout_report {
	uint64_t epoch, generation;
	const uint8_t *sync_digest; /* in force; NULL: none */
	bool synced;		    /* against the sync digest */
	bool healthy, degraded;
	const char *health;   /* "Progressing", for people */
	const char *resource; /* the one that the message is about, or NULL */
	const char *message;  /* what it says, or NULL */
	/* told by a connection before the one that is up now, or to a process before this one: it
	 * counts, but says nothing of the time since */
	bool kept;
	/* Synced and Healthy without a break since then, as its agent watched it; 0: it does not say */
	int64_t well_since_ms;
	enum { COX_OP_NONE, COX_OP_RUNNING, COX_OP_SUCCEEDED, COX_OP_FAILED } operation_phase;
	const char *operation;		 /* id, or NULL */
	const uint8_t *operation_digest; /* NULL: none */
	const char *operation_message;
};

/* Each of these gives 1 when anything changed, 0 otherwise. A report about an unknown target, or
 * one that is stale, changes nothing. */
int cox_rollout_observe(struct cox_rollout *r, const char *uid,
			const struct cox_rollout_report *report, int64_t now_ms);
/* message: why it is away, for people; NULL when it is there. */
int cox_rollout_reach(struct cox_rollout *r, const char *uid, bool online, const char *message,
		      int64_t now_ms);
/* The hub has only just started, and nobody can say yet whether the target's cluster is away: it is not
 * moved, its clocks stand still, and its wave waits for it until cox_rollout_reach says which. */
int cox_rollout_await(struct cox_rollout *r, const char *uid, int64_t now_ms);
/* message: why the target may not start before until_ms (COX_ROLLOUT_FOREVER: not known), or NULL:
 * it may. */
int cox_rollout_hold(struct cox_rollout *r, const char *uid, const char *message, int64_t until_ms,
		     int64_t now_ms);
/* Says why a target that is Moving is not getting on, when no report can. */
int cox_rollout_note(struct cox_rollout *r, const char *uid, const char *message, int64_t now_ms);
/* An Application joined while the rollout is under way. It goes with its wave, with the digest that
 * it has now: only while cox_rollout_compare says MEMBERS is that the rollout's content. */
int cox_rollout_join(struct cox_rollout *r, const struct cox_rollout_member *m, int64_t now_ms);
int cox_rollout_remove(struct cox_rollout *r, const char *uid, int64_t now_ms);

struct cox_rollout_probe {
	size_t wave;
	bool after; /* otherwise: before */
	size_t gate;
	int64_t attempt; /* from 1, never given twice for one gate */
};
enum cox_rollout_answer {
	COX_ANSWER_GOOD,
	COX_ANSWER_BAD,
	COX_ANSWER_NONE, /* it could not be asked: tried again, counts for nothing */
};
int cox_rollout_answer(struct cox_rollout *r, const struct cox_rollout_probe *probe,
		       enum cox_rollout_answer answer, const char *message, int64_t now_ms);
/* The gate's next try is due now: what kept it from being asked may be gone. 1: it waited for it. */
int cox_rollout_hurry(struct cox_rollout *r, const struct cox_rollout_probe *probe, int64_t now_ms);
/* What is known of a question that was asked and is not answered; NULL: nothing. 1 when it is news. */
int cox_rollout_gate_note(struct cox_rollout *r, const struct cox_rollout_probe *probe,
			  const char *message, int64_t now_ms);
/* The gate of a probe; NULL when there is none. */
const struct cox_rollout_gate *cox_rollout_gate(const struct cox_rollout *r,
						const struct cox_rollout_probe *probe);

/* Verbs, each recorded with `by`; COX_FAILED_PRECONDITION when there is nothing to do it to.
 * pause: no starts, no gates, no reaction to failures until resume. */
int cox_rollout_pause(struct cox_rollout *r, const char *by, int64_t now_ms, struct cox_error *err);
/* Goes on. After a pause by failure: without the targets that have failed, and failed gates are
 * asked anew. */
int cox_rollout_resume(struct cox_rollout *r, const char *by, int64_t now_ms,
		       struct cox_error *err);
/* digest: what a wave's approval gate asks for, see cox_rollout_approval_digest. It may come before
 * the wave's turn. Another digest is refused and said so. by: who it is; in "NAME (says WHO)" what
 * stands in parentheses is hearsay, and makes no other person of NAME. COX_PERMISSION_DENIED for one
 * that is not among the gate's approvers. */
int cox_rollout_approve(struct cox_rollout *r, const char *by,
			const uint8_t digest[COX_ROLLOUT_DIGEST], int64_t now_ms,
			struct cox_error *err);
/* Ends the soak, or skips the gate, that the rollout waits at. */
int cox_rollout_promote(struct cox_rollout *r, const char *by, int64_t now_ms,
			struct cox_error *err);
/* Ends the rollout; back: and returns every target that it moved. What it pinned is barred. */
int cox_rollout_abort(struct cox_rollout *r, const char *by, bool back, int64_t now_ms,
		      struct cox_error *err);
/* While it is under way: failed targets are moved anew, failed gates asked anew, a pause by failure
 * ends. One that has failed without a way back goes on from where it is. Any other that is over:
 * lifts what is barred, so that a new rollout may begin. */
int cox_rollout_retry(struct cox_rollout *r, const char *by, int64_t now_ms, struct cox_error *err);
/* Whether a person may sync the target to its pinned digest now. Past its gate only with `force`,
 * which is recorded; otherwise COX_FAILED_PRECONDITION says what it waits for. */
int cox_rollout_may_sync(struct cox_rollout *r, const char *uid, bool force, const char *by,
			 int64_t now_ms, struct cox_error *err);
/* A person synced the application although no rollout that is under way lets it have that; why: what
 * was in the way. For the audit of the newest one. */
void cox_rollout_record_sync(struct cox_rollout *r, const char *name, const char *by,
			     const char *why, int64_t now_ms);

/* ---- decisions ---- */

/* Starts over all rollouts; the shell's, one for all. Starts are spread: no more than a second's
 * share at once. */
struct cox_rollout_bucket {
	int64_t per_minute; /* 0: no limit */
	double tokens;
	int64_t at_ms;
};

struct cox_rollout_env {
	/* The zone by its IANA name, borrowed; -COX_NOT_FOUND and so on: its windows are closed and
	 * the gate says why. *ret_zone NULL is UTC. NULL: only UTC is known. */
	int (*zone)(void *ctx, const char *name, const struct cox_zone **ret_zone,
		    struct cox_error *err);
	void *ctx;
	struct cox_rollout_bucket *starts; /* NULL: no limit */
};

struct cox_rollout_effect {
	enum {
		COX_EFFECT_MOVE,
		COX_EFFECT_PROBE,
		COX_EFFECT_CANCEL,
		COX_EFFECT_ROLLBACK,
	} kind;
	size_t target;			/* MOVE: index */
	struct cox_rollout_probe probe; /* PROBE, CANCEL */
};
typedef COX_VEC(struct cox_rollout_effect) cox_rollout_effects;

/* Appends what shall be done now, and sets the phase. env may be NULL. 1 when the state changed, 0
 * otherwise. *ret_wake_ms (may be NULL) is when time alone could change the answer;
 * COX_ROLLOUT_FOREVER: never. */
int cox_rollout_step(struct cox_rollout *r, const struct cox_rollout_env *env, int64_t now_ms,
		     cox_rollout_effects *effects, int64_t *ret_wake_ms);

/* Whether a newer revision may take over now; otherwise *ret_again_ms (may be NULL) is when time
 * alone could change the answer, COX_ROLLOUT_FOREVER: never. */
bool cox_rollout_may_supersede(const struct cox_rollout *r, int64_t now_ms, int64_t *ret_again_ms);
void cox_rollout_supersede(struct cox_rollout *r, int64_t now_ms);

/* ---- asking ---- */

const struct cox_rollout_target *cox_rollout_find(const struct cox_rollout *r, const char *uid);
/* Whether what the target is to get, or would return to, may still be assigned by this rollout: its
 * bundles are to be kept. */
bool cox_rollout_may_move(const struct cox_rollout *r, const struct cox_rollout_target *t);
/* The first wave that is not done; the number of waves when all are. */
size_t cox_rollout_open_wave(const struct cox_rollout *r);
/* SHA-256 over what will change in the wave: each target that is to move and was not approved yet.
 * false: nothing waits for an approval there. */
bool cox_rollout_approval_digest(const struct cox_rollout *r, size_t wave,
				 uint8_t ret_digest[COX_ROLLOUT_DIGEST]);

struct cox_rollout_why {
	int wave; /* -1: nothing is in the way, or it is not a wave (paused: see message) */
	const struct cox_rollout_gate *gate;	 /* NULL: no gate */
	const struct cox_rollout_target *target; /* NULL: none in particular */
	const char *resource;			 /* NULL; the target's */
	char message[512];			 /* "": nothing is in the way */
	int64_t since_ms, until_ms;		 /* until: 0 when not known */
};
/* Why the rollout is not moving on. Borrows from r. */
void cox_rollout_why(const struct cox_rollout *r, struct cox_rollout_why *ret_why);
/* For people: "wave 2 of 3 ('prod'), gate 'approval': … since …, until …". Appends. */
void cox_rollout_why_text(const struct cox_rollout *r, const struct cox_rollout_why *why,
			  struct cox_buf *out);
/* The sentence that a target that was not moved yet owes its reader ("waiting for wave 2 of 3
 * ('step 2'): …"), or that its newest content is barred; the caller's; NULL when it waits for
 * nothing. */
char *cox_rollout_waits(const struct cox_rollout *r, const char *uid);

const char *cox_rollout_phase_name(enum cox_rollout_phase phase);
const char *cox_rollout_state_name(enum cox_rollout_state state);
const char *cox_wave_phase_name(enum cox_wave_phase phase);
const char *cox_gate_state_name(enum cox_gate_state state);
const char *cox_gate_kind_name(enum cox_gate_kind kind);

/* ---- keeping ---- */

/* A row by its name within the rollout: "" is the head, which is always given, "plan", "bars", and
 * "t/UID" for each target. node NULL: the row goes. */
typedef void cox_rollout_row(void *ctx, const char *name, const struct cox_node *node);
/* Gives each row that is another than when this was called last; all: every row there is. The rows
 * go into one batch, or what is kept is half of it. */
void cox_rollout_keep(struct cox_rollout *r, bool all, cox_rollout_row *fn, void *ctx);
/* Nothing but the head is to be written. */
bool cox_rollout_is_kept(const struct cox_rollout *r);
/* Every row that may have been kept, to be deleted: node is NULL. */
void cox_rollout_forget(const struct cox_rollout *r, cox_rollout_row *fn, void *ctx);

/* Reads rows in any order. What earlier versions kept, one row with everything, is read too, and
 * the first cox_rollout_keep gives all of it anew. */
struct cox_rollout_reader;
struct cox_rollout_reader *cox_rollout_reader_new(void);
void cox_rollout_reader_free(struct cox_rollout_reader *reader);
DEFINE_CLEANUP(struct cox_rollout_reader *, cox_rollout_reader_free);
int cox_rollout_read(struct cox_rollout_reader *reader, const char *name,
		     const struct cox_node *node, struct cox_error *err);
/* All rows were read: COX_DATA_LOSS when one is missing. The reader is of no use afterwards. */
int cox_rollout_read_end(struct cox_rollout_reader *reader, struct cox_rollout **ret_rollout,
			 struct cox_error *err);
/* What is not kept, but for what waits to be: for tests that read a rollout back and go on as the
 * same process. */
void cox_rollout_go_on(struct cox_rollout *to, const struct cox_rollout *from);

/* The same in memory, to be thrown away: what is done to it is done to nobody. */
struct cox_rollout *cox_rollout_copy(const struct cox_rollout *r);

/* As people and the REST API see it (hub/web/README.md). */
struct cox_node *cox_rollout_status(const struct cox_rollout *r, struct cox_doc *doc);

#endif
