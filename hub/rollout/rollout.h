/* hub/rollout: one revision's way through all targets of an ApplicationSet, in waves. Pure: the
 * clock is a parameter, nothing is read or written, nothing is logged.
 *
 * A rollout pins what it deploys: each target's bundle digest is fixed when it starts. The shell
 * feeds it what is observed and asks it for decisions:
 *
 *	cox_rollout_new       from the plan (the waves) and the targets, pinned
 *	cox_rollout_assigned  the assignment of a target is now (epoch, generation), by an operation
 *	cox_rollout_observe   an agent's report about a target
 *	cox_rollout_step      which targets shall move to their pinned digest now
 *
 * and makes the state (cox_rollout_to_node) durable together with the assignments that carry the
 * decisions out, before anything is sent. A decision is given once.
 *
 * The rules:
 * - A wave is open when every planned target of the waves before it is Healthy. Only then do its
 *   targets move. Order follows observation, not memory: when a target of an earlier wave falls
 *   back, no further target of a later one moves until it is well again.
 * - Healthy means a report at exactly the assigned (epoch, generation), with the sync digest in
 *   force equal to the pinned one, everything Synced against it, health Healthy, and the
 *   operation that moved it (or one that came after it, to the same digest) succeeded.
 * - At most maxUpdate targets of a wave are Moving or Failed at one time.
 * - A target that cannot be rendered or assigned is Blocked: its wave does not end.
 * - A target in no step, or one whose application is synced by hand, is not planned: it does not
 *   move and holds up nobody.
 *
 * Waves follow Argo CD's RollingSync where it says something (reference: its ApplicationSet
 * progressive syncs documentation), but an operator other than In and NotIn matches nothing, and
 * no count of unplanned targets leaks into a wave's budget.
 *
 * Threads: loop-owned. Times are wall-clock milliseconds: they survive restarts and are for people;
 * only patience_ms is compared with them.
 */
#ifndef COX_HUB_ROLLOUT_ROLLOUT_H
#define COX_HUB_ROLLOUT_ROLLOUT_H

#include "common/base/map.h"
#include "common/base/rand.h"
#include "common/base/vec.h"
#include "common/doc/doc.h"

#include <stdbool.h>
#include <stdint.h>

#define COX_ROLLOUT_DIGEST    32
#define COX_ROLLOUT_MAX_WAVES 100

typedef COX_VEC(char *) cox_rollout_problems;

/* ---- the plan: what the waves are ---- */

struct cox_rollout_expression {
	char *key;
	enum { COX_ROLLOUT_IN, COX_ROLLOUT_NOT_IN, COX_ROLLOUT_NEVER } op;
	COX_VEC(char *) values;
};

struct cox_rollout_wave {
	char *name;
	COX_VEC(struct cox_rollout_expression) expressions; /* ANDed; none matches all */
	enum { COX_ROLLOUT_ALL, COX_ROLLOUT_COUNT, COX_ROLLOUT_PERCENT } max_kind;
	int64_t max_update;
};

enum cox_rollout_supersede {
	COX_SUPERSEDE_NOW,	/* a newer revision takes over at once */
	COX_SUPERSEDE_WAVE,	/* when no target is on its way, or the wave is stuck */
	COX_SUPERSEDE_FINISHED, /* when every planned target is Healthy */
};

struct cox_rollout_plan {
	COX_VEC(struct cox_rollout_wave) waves;
	enum cox_rollout_supersede supersede;
	int64_t patience_ms; /* a wave that moves nobody forward for so long counts as stuck */
	bool ordered;	     /* the plan came from a strategy: targets move without `automated` */
};

#define COX_ROLLOUT_PLAN_INIT ((struct cox_rollout_plan){0})

/* strategy: ApplicationSet's spec.strategy, NULL for none (one wave with all). What is wrong but
 * can be lived with is appended to problems as sentences (the caller's); a RollingSync without
 * steps is a failure. */
int cox_rollout_plan_parse(const struct cox_node *strategy, struct cox_rollout_plan *ret_plan,
			   cox_rollout_problems *problems, struct cox_error *err);
void cox_rollout_plan_fini(struct cox_rollout_plan *plan);
/* The first wave that the labels (a map of strings, or NULL) match; -1: none. *ret_also (may be
 * NULL) is the next one that matches too, or -1. */
int cox_rollout_plan_wave(const struct cox_rollout_plan *plan, const struct cox_node *labels,
			  int *ret_also);
/* Whether both say the same. */
bool cox_rollout_plan_equal(const struct cox_rollout_plan *a, const struct cox_rollout_plan *b);

/* ---- a rollout ---- */

enum cox_rollout_phase {
	COX_ROLLOUT_PROGRESSING,
	COX_ROLLOUT_SUCCEEDED,
	COX_ROLLOUT_SUPERSEDED,
};

enum cox_rollout_state {
	COX_TARGET_WAITING, /* its turn has not come */
	COX_TARGET_MOVING,  /* assigned, not yet observed healthy */
	COX_TARGET_HEALTHY,
	COX_TARGET_FAILED,  /* assigned; the operation failed or the health is Degraded */
	COX_TARGET_BLOCKED, /* cannot be rendered or assigned: message says why */
};

struct cox_rollout_target {
	char *uid;     /* of the Application */
	char *name;    /* NAMESPACE/NAME */
	char *cluster; /* NULL: none known */
	int wave;      /* -1: not planned */
	bool has_digest;
	uint8_t digest[COX_ROLLOUT_DIGEST]; /* pinned */
	char *revision;			    /* for people */
	enum cox_rollout_state state;
	char *message; /* NULL: nothing to say */
	int64_t since_ms;
	/* the assignment that is in force, once moved */
	uint64_t epoch, generation;
	char operation[COX_UUID_TEXT]; /* "": the agent syncs by itself */
};

struct cox_rollout {
	char id[COX_UUID_TEXT];
	char *owner;	/* KIND/NAMESPACE/NAME */
	char *revision; /* for people */
	enum cox_rollout_phase phase;
	int64_t started_ms, finished_ms;
	struct cox_rollout_plan plan;
	COX_VEC(struct cox_rollout_target) targets; /* by name */
	struct cox_map by_uid;			    /* uid -> index + 1 */
};

/* What the shell knows of a target when a rollout starts. Borrowed. */
struct cox_rollout_member {
	const char *uid, *name, *cluster, *revision;
	const struct cox_node *labels;
	const uint8_t *digest; /* NULL: could not be rendered */
	const char *error;     /* why it cannot be rendered or assigned; NULL: it can */
	bool by_hand;	       /* no automated sync and no strategy: a person syncs it */
	/* the assignment in force, when its sync digest is the pinned one already */
	bool at_digest;
	uint64_t epoch, generation;
	const char *operation; /* that moved it there and was not seen to succeed; or NULL */
};

struct cox_rollout_spec {
	const char *id, *owner, *revision;
	const struct cox_rollout_plan *plan; /* copied */
	const struct cox_rollout_member *members;
	size_t n_members;
};

struct cox_rollout *cox_rollout_new(const struct cox_rollout_spec *spec, int64_t now_ms);
void cox_rollout_free(struct cox_rollout *r);
DEFINE_CLEANUP(struct cox_rollout *, cox_rollout_free);

/* The assignment of the target is now (epoch, generation), still at the pinned digest; operation:
 * the one that it carries, NULL to leave it. A target that was Waiting or Blocked becomes Moving
 * (a person synced it). */
void cox_rollout_assigned(struct cox_rollout *r, const char *uid, uint64_t epoch,
			  uint64_t generation, const char *operation, int64_t now_ms);

/* What an agent observed. Borrowed. */
struct cox_rollout_report {
	uint64_t epoch, generation;
	const uint8_t *sync_digest; /* in force; NULL: none */
	bool synced;		    /* against the sync digest */
	bool healthy, degraded;
	const char *health;  /* "Progressing", for people */
	const char *message; /* a resource and what it says, or NULL */
	enum { COX_OP_NONE, COX_OP_RUNNING, COX_OP_SUCCEEDED, COX_OP_FAILED } operation_phase;
	const char *operation;		 /* id, or NULL */
	const uint8_t *operation_digest; /* NULL: none */
	const char *operation_message;
};

/* 1 when the target's state or message changed, 0 otherwise; a report about an unknown target, or
 * one that is stale, changes nothing. */
int cox_rollout_observe(struct cox_rollout *r, const char *uid,
			const struct cox_rollout_report *report, int64_t now_ms);
/* Says why a target that is Moving is not getting on, when no report can (its agent is away).
 * 1 when that is news. */
int cox_rollout_note(struct cox_rollout *r, const char *uid, const char *message, int64_t now_ms);
/* The application is gone. 1 when it was a target. */
int cox_rollout_remove(struct cox_rollout *r, const char *uid, int64_t now_ms);

typedef COX_VEC(size_t) cox_rollout_moves; /* indexes of targets */

/* Appends the targets that shall be assigned their pinned digest now; they are Moving from now on,
 * and a report counts for them only after cox_rollout_assigned. Sets the phase. 1 when anything
 * changed, 0 otherwise. */
int cox_rollout_step(struct cox_rollout *r, int64_t now_ms, cox_rollout_moves *moves);

/* Whether a newer revision may take over now; otherwise *ret_again_ms (may be NULL) is when time
 * alone could change the answer, INT64_MAX: never. */
bool cox_rollout_may_supersede(const struct cox_rollout *r, int64_t now_ms, int64_t *ret_again_ms);
void cox_rollout_supersede(struct cox_rollout *r, int64_t now_ms);

/* ---- asking ---- */

const struct cox_rollout_target *cox_rollout_find(const struct cox_rollout *r, const char *uid);
/* The first wave that is not done; the number of waves when all are. */
size_t cox_rollout_open_wave(const struct cox_rollout *r);

struct cox_rollout_why {
	int wave;				 /* -1: nothing is in the way */
	const struct cox_rollout_target *target; /* NULL: none in particular */
	char message[512];
	int64_t since_ms;
};
/* Why the rollout is not moving on. */
void cox_rollout_why(const struct cox_rollout *r, struct cox_rollout_why *ret_why);
/* The sentence that a target that was not moved yet owes its reader ("waiting for wave 2 of 3
 * ('step 2'): …"); the caller's; NULL when it waits for nothing. */
char *cox_rollout_waits(const struct cox_rollout *r, const char *uid);

const char *cox_rollout_phase_name(enum cox_rollout_phase phase);
const char *cox_rollout_state_name(enum cox_rollout_state state);

/* The whole state, to keep; and back. */
struct cox_node *cox_rollout_to_node(const struct cox_rollout *r, struct cox_doc *doc);
int cox_rollout_from_node(const struct cox_node *node, struct cox_rollout **ret_rollout,
			  struct cox_error *err);
/* As people and the REST API see it (hub/web/README.md). */
struct cox_node *cox_rollout_status(const struct cox_rollout *r, struct cox_doc *doc);

#endif
