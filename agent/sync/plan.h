/* The plan of one sync: which objects are applied and pruned, in which order, and how far it is.
 *
 * Order: phase, then wave, then kind (Argo CD's order, B1.3 of the reference), then name; in one
 * wave what is pruned goes first. A Namespace moves ahead of the first object in it, a definition
 * of a kind ahead of the first object of it. A wave begins when everything in the one before is
 * applied and healthy, or gone; the last wave is not waited for.
 *
 * The plan is a state machine without I/O. Its owner asks agent_plan_next what to do, does it, and
 * tells what came of it (agent_plan_applied, _observed, _gone, _failed) until it is over:
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
	AGENT_TASK_WAITING, /* applied, not healthy yet; or deleted, not gone yet */
	AGENT_TASK_DONE,
	AGENT_TASK_SKIPPED, /* a prune that is not permitted */
	AGENT_TASK_FAILED,
};

struct agent_task {
	enum agent_action action;
	enum agent_phase phase;
	int64_t wave;
	int rank;		/* by kind */
	bool creates_namespace; /* CreateNamespace=true, no object of the bundle */
	bool skip_dry_run;	/* waits for a namespace or kind of the same plan */
	char *key_text;
	struct cox_object_key key; /* views into key_text */
	char *version;
	size_t object; /* APPLY, HOOK: index into desired->objects; SIZE_MAX: the namespace */
	enum agent_task_state state;
	char *message; /* of what came of it; may be NULL */
};

struct agent_plan {
	COX_VEC(struct agent_task) tasks; /* in order */
	size_t wave_begin, wave_end;	  /* the wave that is at work */
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
	bool hooks;	       /* false: a selective sync, or strategy apply */
	const char *namespace; /* the destination's, for CreateNamespace */
	bool sets_namespace;   /* managedNamespaceMetadata: applied even when it exists */
	void *ctx;
	/* NULL: all are. */
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
void agent_plan_fini(struct agent_plan *plan);

/* The position of a kind in the order of applying; unknown kinds come last. */
int agent_kind_rank(struct cox_str kind);

enum agent_plan_step {
	AGENT_PLAN_RUN,	      /* start the tasks from *ret_begin to *ret_end, all PENDING */
	AGENT_PLAN_WAIT,      /* for what runs, or for health */
	AGENT_PLAN_SUCCEEDED, /* over */
	AGENT_PLAN_FAILED,
};
/* Marks the tasks that it gives out as RUNNING. */
enum agent_plan_step agent_plan_next(struct agent_plan *plan, size_t *ret_begin, size_t *ret_end);

/* What came of task i. */
void agent_plan_applied(struct agent_plan *plan, size_t i, const struct cox_health *health);
void agent_plan_deleting(struct agent_plan *plan, size_t i);
void agent_plan_failed(struct agent_plan *plan, size_t i, const char *message);
/* Everything seen of a live object while the plan runs: its health, or that it is gone (NULL). */
void agent_plan_observed(struct agent_plan *plan, const char *key_text,
			 const struct cox_health *health);
/* Everything that is not over begins anew: for a retry. */
void agent_plan_reset(struct agent_plan *plan);

/* "waiting for healthy state of apps/Deployment/web and 2 more", or the first failure. Appends. */
void agent_plan_describe(const struct agent_plan *plan, struct cox_buf *out);
size_t agent_plan_count(const struct agent_plan *plan, enum agent_task_state state);

#endif
