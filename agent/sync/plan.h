/* The plan of one sync: which objects are applied and pruned, which hooks run, in which order, and
 * how far it is.
 *
 * Order: phase, then wave, then kind (Argo CD's order, B1.3 of the reference), then name; in one
 * wave what is pruned goes first. A Namespace moves ahead of the first object in it, a definition
 * of a kind ahead of the first object of it. A wave begins when everything in the one before is
 * applied and healthy, or gone, and its hooks have completed, and `wave_delay_ms` after the last of
 * it was applied. The last wave is not waited for, but for its hooks; with hooks in it, and waves
 * before it, its objects are.
 *
 * When a task of another phase has failed, and what runs in its wave is over, the owner is told
 * so (AGENT_PLAN_FAILING), keeps that, says agent_plan_fail, and then the SyncFail hooks run, wave
 * by wave; after them the plan has failed.
 *
 * The plan is a state machine without I/O and without a clock. Its owner asks agent_plan_next what
 * to do, does it, and tells what came of it (agent_plan_applied, _hook, _observed, _failed) until
 * it is over:
 *
 *	PENDING -> RUNNING -> WAITING -> DONE
 *	              \           \--> FAILED
 *	               \-> DONE, FAILED, SKIPPED
 *
 * It holds no object, only keys and indexes into what it was made from. Pure; job-local. */
#ifndef AGENT_SYNC_PLAN_H
#define AGENT_SYNC_PLAN_H

#include "agent/sync/desired.h"
#include "common/health/health.h"

enum agent_action { AGENT_ACTION_APPLY, AGENT_ACTION_PRUNE, AGENT_ACTION_HOOK };

enum agent_task_state {
	AGENT_TASK_PENDING,
	AGENT_TASK_RUNNING, /* the request is out */
	AGENT_TASK_WAITING, /* applied, not healthy yet; deleted, not gone yet; a hook at work */
	AGENT_TASK_DONE,
	AGENT_TASK_SKIPPED, /* a prune that is not permitted */
	AGENT_TASK_FAILED,
};

struct agent_task {
	enum agent_action action;
	enum agent_phase phase;
	int64_t wave;
	int rank;		 /* by kind */
	bool creates_namespace;	 /* CreateNamespace=true, no object of the bundle */
	bool skip_dry_run;	 /* waits for a namespace or kind of the same plan */
	bool needs_confirmation; /* Prune=confirm: pending until agent_plan_approve */
	bool is_replacing;	 /* its older instance is on its way out */
	char *key_text;
	struct cox_object_key key; /* views into key_text; a hook's name is its final one */
	char *version;
	size_t object; /* APPLY, HOOK: index into desired->objects; SIZE_MAX: the namespace */
	enum agent_task_state state;
	char *message; /* of what came of it; may be NULL */
};

struct agent_plan {
	COX_VEC(struct agent_task) tasks; /* in order */
	size_t fail_begin;		  /* the tasks of SyncFail come last, from here */
	bool last_has_hooks;		  /* the last wave before them */
	size_t wave_begin, wave_end;	  /* the wave that is at work */
	int64_t wave_delay_ms;
	int64_t due_ms; /* the next wave doesn't begin before; 0: the wave hasn't applied anything */
	bool approved;	/* what needs confirmation has it */
	bool failing;	/* of the tasks only those of SyncFail count from here on */
	char *reason;	/* why; NULL unless failing */
};

/* An object of the inventory that the bundle has no more. */
struct agent_extra {
	const char *key_text;
	const char *version;
	int64_t wave;
	uint32_t options; /* its own sync options */
};

struct agent_plan_input {
	const struct agent_desired *desired;
	const struct agent_extra *extras; /* live, and still carrying our marks: see I-7 */
	size_t n_extras;
	uint32_t options;      /* the application's */
	bool prune;	       /* permitted */
	bool hooks;	       /* false: a selective sync, a heal, or strategy apply */
	const char *namespace; /* the destination's, for CreateNamespace */
	bool sets_namespace;   /* managedNamespaceMetadata: applied even when it exists */
	int64_t wave_delay_ms;
	/* What the name of a hook with generateName is made of: unique for each attempt. */
	const char *revision; /* or NULL */
	int64_t started_ms;
	uint32_t attempt; /* from 1 */
	void *ctx;
	/* NULL: all are. Hooks are not asked for. */
	bool (*is_selected)(void *ctx, const char *key_text);
	/* Whether the object is known to be there; namespaces, above all. */
	bool (*is_live)(void *ctx, const char *key_text);
	/* Whether the API server knows the kind. */
	bool (*is_known)(void *ctx, struct cox_str group, struct cox_str version,
			 struct cox_str kind);
};

/* Fails when an object is of a kind that neither the API server nor a definition in the same plan
 * knows, before anything is done. */
int agent_plan_build(const struct agent_plan_input *input, struct agent_plan *ret_plan,
		     struct cox_error *err);
/* The hooks of PreDelete or PostDelete alone. */
int agent_plan_build_deletion(const struct agent_plan_input *input, enum agent_phase phase,
			      struct agent_plan *ret_plan, struct cox_error *err);
void agent_plan_fini(struct agent_plan *plan);

/* The position of a kind in the order of applying; unknown kinds come last. */
int agent_kind_rank(struct cox_str kind);

enum agent_plan_step {
	AGENT_PLAN_RUN,	      /* start the tasks from *ret_begin to *ret_end, all PENDING */
	AGENT_PLAN_WAIT,      /* for what runs, for health, for a confirmation */
	AGENT_PLAN_PAUSE,     /* until plan->due_ms */
	AGENT_PLAN_FAILING,   /* it has failed: keep that, then agent_plan_fail */
	AGENT_PLAN_SUCCEEDED, /* over */
	AGENT_PLAN_FAILED,    /* over */
};
/* Marks the tasks that it gives out as RUNNING. now_ms: of any clock that only grows. */
enum agent_plan_step agent_plan_next(struct agent_plan *plan, int64_t now_ms, size_t *ret_begin,
				     size_t *ret_end);

/* What came of task i. */
void agent_plan_applied(struct agent_plan *plan, size_t i, const struct cox_health *health);
void agent_plan_deleting(struct agent_plan *plan, size_t i);
void agent_plan_failed(struct agent_plan *plan, size_t i, const char *message);
/* Of a hook; also of one whose turn has not come, that has completed before. */
void agent_plan_hook(struct agent_plan *plan, size_t i, enum agent_hook_outcome outcome,
		     const char *message);
/* Everything seen of a live object while the plan runs: its health, or that it is gone (NULL).
 * Hooks are not among what it counts for. */
void agent_plan_observed(struct agent_plan *plan, const char *key_text,
			 const struct cox_health *health);
/* The SyncFail phase begins. reason NULL: what agent_plan_describe says. Of a plan that was made
 * anew for an attempt that had failed already: the reason kept. */
void agent_plan_fail(struct agent_plan *plan, const char *reason);
/* What needs confirmation may be pruned. */
void agent_plan_approve(struct agent_plan *plan);

/* "waiting for healthy state of apps/Deployment/web and 2 more", or the first failure. Appends. */
void agent_plan_describe(const struct agent_plan *plan, struct cox_buf *out);
size_t agent_plan_count(const struct agent_plan *plan, enum agent_task_state state);

#endif
