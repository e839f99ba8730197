/* Hooks at work: the hooks of one attempt of an operation, each run exactly once.
 *
 * What happened to a hook is durable in the store, step by step, so that the process may die between
 * any two instructions:
 *
 *	intent      the row is there; only then is its object made, by POST
 *	created     the object is there, with this uid; its finalizer keeps it whatever deletes it
 *	ended       well or badly: what the plan is told; only then
 *	released    the finalizer is off; only then may its object be deleted
 *
 * A POST whose answer was lost is sent again: an object of that name either carries this operation,
 * attempt and phase, and is adopted, or is an older instance, and is removed first. An object that was
 * created and has vanished without an outcome has failed: it is never made again in the attempt.
 *
 * What the API server doesn't answer is asked again after a growing pause: that fails nothing.
 *
 * Loop-owned. */
#ifndef AGENT_SYNC_HOOK_RUN_H
#define AGENT_SYNC_HOOK_RUN_H

#include "agent/sync/app.h"

struct agent_hook {
	struct agent_hooks *run;
	struct agent_hook *next; /* another one with the same key, of whatever application */
	struct agent_kind *kind; /* held while its object is looked at; NULL: it isn't */
	size_t task;		 /* of the plan; SIZE_MAX: none */
	enum agent_phase phase;
	char *key_text;
	struct cox_object_key key; /* views into key_text */
	char *version;
	/* durable */
	enum agent_hook_state state;
	bool released, gone;
	uint32_t hook_delete;
	char *object_uid; /* NULL until it is known */
	int64_t started_ms;
	char *message;
	/* not durable */
	bool wanted; /* its turn has come */
	bool busy;   /* a request is out */
	bool look;   /* the object has to be asked for first */
	bool ending; /* it is not to go on */
	bool remove; /* its object is to be deleted once it is released */
	bool timed_out;
	const char *ending_message;
	char *refusal;	      /* of a creation that may have been done all the same */
	struct cox_doc *seen; /* its object */
	struct cox_doc *old;  /* what has its name and has to go first */
	unsigned n_failures;
	int64_t timeout_ms; /* 0: none */
	struct cox_timer again, look_again, timeout;
};

struct agent_hooks {
	struct agent_app *app;
	char *operation;
	uint32_t attempt;
	uint32_t options;	     /* enum agent_option */
	struct agent_plan *plan;     /* the owner's; NULL: what runs is only to be ended */
	struct agent_holder *holder; /* a reference; NULL without a plan */
	COX_VEC(struct agent_hook *) items;
};

struct agent_hooks_options {
	const char *operation; /* its id */
	uint32_t attempt;
	uint32_t options;
	struct agent_plan *plan;
	struct agent_holder *holder;
};
/* Reads what is durable of the attempt, and tells the plan. */
int agent_hooks_new(struct agent_app *app, const struct agent_hooks_options *options,
		    struct agent_hooks **ret_run, struct cox_error *err);
/* Requests that are out are dropped, as when the process dies. NULL is fine. */
void agent_hooks_free(struct agent_hooks *run);
/* Tasks of the plan that it has given out. */
void agent_hooks_start(struct agent_hooks *run, size_t begin, size_t finish_at);
/* The attempt is over: what has the delete policy for that is deleted, what still runs is ended. */
void agent_hooks_clean(struct agent_hooks *run, bool succeeded);
/* What runs is deleted, what has ended is released. message is static. */
void agent_hooks_end(struct agent_hooks *run, const char *message);
/* Whether some hook is in the middle of its work. */
bool agent_hooks_run(const struct agent_hooks *run);
/* Nothing is left to be done, after clean or end. */
bool agent_hooks_are_over(const struct agent_hooks *run);
/* What could not be done for want of discovery. */
void agent_hooks_step(struct agent_hooks *run);
/* A hook's object as it would be created; sealed, one reference, the caller's. */
struct cox_doc *agent_hook_object(const struct agent_hooks *run, size_t task);

/* ---- one of them: hook_step.c ---- */

/* Does what is to be done next, unless it waits. */
void agent_hook_step(struct agent_hook *h);
int agent_hook_store(const struct agent_hook *h, struct cox_error *err);
/* The plan is told how far it is. */
void agent_hook_tell(struct agent_hook *h);
void agent_hook_arm_timeout(struct agent_hook *h);
/* Has a finalizer that holds hooks. */
bool agent_hook_is_held(const struct cox_node *object);
/* Takes those off the object, if it still is as it was seen: a merge patch, the caller's. */
struct cox_doc *agent_hook_release_patch(const struct cox_node *object);

#endif
