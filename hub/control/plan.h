/* A plan: what would happen, before anything is written. Inside hub/control.
 *
 * A plan is one question that lives until it is answered or given up. It goes through its phases by
 * itself, on the loop:
 *
 *	collect    which Applications there would be (plan_apps.c): what the set generates, beside what
 *		   it has, or what a rollout's owner has
 *	render     each at the commits that the repositories have now, or at another revision (ask.c)
 *	compare    each whose objects would change, by the agent of its cluster (plan_agents.c): comparison
 *		   and dry run, in the frame that its assignment would have
 *	forecast   a throw-away rollout of them all, by the engine (hub/rollout/forecast.h, plan_waves.c)
 *	answer     as a document (plan_answer.c, hub/web/README.md)
 *
 * Nothing that is kept is touched: candidates are views of their own that no controller knows. What was
 * rendered stays in the cache of bundles until the next collection.
 *
 * Bounded: so many plans at one time, renderings and comparisons at one time, comparisons in all, time of
 * a comparison and of the plan. Loop-owned, all of it. */
#ifndef HUB_CONTROL_PLAN_H
#define HUB_CONTROL_PLAN_H

#include "common/doc/diff.h"
#include "hub/control/internal.h"
#include "hub/rollout/forecast.h"

#define PLANS_MAX	   8	      /* at one time */
#define PLAN_RENDERINGS	   64	      /* of one plan at one time */
#define PLAN_COMPARISONS   16	      /* the same */
#define PLAN_PER_CLUSTER   2	      /* of them by one agent */
#define PLAN_STEPS	   8	      /* of a forecast in one turn of the loop */
#define PLAN_CHANGES_MAX   50	      /* of one Application that are told */
#define PLAN_OBJECTS_BYTES (16 << 20) /* of differences that are told field by field */

enum plan_action {
	PLAN_UNCHANGED,
	PLAN_CREATE,
	PLAN_UPDATE,
	PLAN_DELETE,
	PLAN_HELD, /* would be deleted, but for the budget; as it stays, it is there a second time */
	PLAN_KEPT,    /* is not produced any more, and stays */
	PLAN_REFUSED, /* message says why: the name is another's, … */
};

enum plan_comparison {
	PLAN_NEEDLESS, /* its objects stay as they are */
	PLAN_WANTED,
	PLAN_ASKED,
	PLAN_ANSWERED,
	PLAN_UNKNOWN,  /* message says why */
	PLAN_LEFT_OUT, /* beyond the limit */
};

struct plan_counts {
	size_t create, update, remove, keep, refused, unknown, compared;
};

struct plan_question;

/* One Application of a plan. */
struct plan_app {
	struct control_plan *plan;
	enum plan_action action;
	char *message;		   /* about the action; NULL */
	struct cox_doc *old, *doc; /* as it is, as it would be; NULL: it is not */
	cox_differences changes;   /* between them */
	bool more_changes;
	char *leaves; /* the cluster that it would leave; NULL */
	/* As its controller would see it. No controller does: it is in no map. */
	struct control_app app;
	bool placed;
	bool is_member; /* of the rollout */
	bool unlisted;	/* another one tells of it as an Application */
	struct control_ask *ask;
	bool rendered; /* or it need not be */

	enum plan_comparison comparison;
	char *why_unknown;
	struct plan_question *question; /* on its way */
	struct plan_counts counts;
	struct cox_doc *objects; /* a list; NULL: not kept */
	bool truncated;

	/* of the throw-away rollout, as it would begin */
	int wave; /* -1: in none */
	enum cox_rollout_state state;
	bool moves, offline, late;
	char *state_message;
	char *previous_revision;
};

struct plan_wave {
	size_t n, n_moves;
};

struct control_plan {
	struct cox_list node;
	struct hub_control *control;
	struct cox_timer go, deadline;
	hub_control_plan_done *done;
	hub_control_plan_progress *progress;
	void *arg;
	bool late;
	bool (*phase)(struct control_plan *p); /* true: go on with the next */
	int64_t now_ms;			       /* when the forecast was made */

	/* what was asked */
	char *owner;		/* KIND/NAMESPACE/NAME */
	struct cox_doc *set;	/* the ApplicationSet as it would be; NULL: a lone Application */
	struct cox_doc *policy; /* NULL: whichever it follows */
	char *revision;		/* NULL: the Applications' own */
	bool from_set;		/* expand it; otherwise: what its owner has */
	bool tells_objects;
	size_t max_comparisons;
	int64_t comparison_ms;

	COX_VEC(struct plan_app *) apps; /* by key */
	struct control_verdict deletions;
	bool deletions_known;
	cox_strings problems; /* of the set, as sentences */

	size_t next, n_rendering, n_rendered, n_to_render;
	size_t n_comparing, n_compared, n_to_compare, n_left_out, n_unknown;
	size_t n_bytes;	     /* of objects that are kept */
	struct cox_map busy; /* cluster -> how many comparisons it is at */
	/* the bundle that was read last: clusters mostly share one */
	struct cox_buf bundle;
	uint8_t bundle_digest[HUB_DIGEST_BYTES];
	bool has_bundle;

	/* the forecast */
	struct cox_rollout_plan plan;
	bool plan_known;
	char *plan_problem; /* why not */
	struct cox_rollout_env env;
	COX_VEC(struct plan_wave) waves;
	struct cox_forecast *forecast;
	struct {
		const char *begins; /* "now", "later", "joins", "same", "nothing", "never" */
		char *message;
		int64_t again_ms;	    /* 0: not known */
		char *id, *wave, *revision; /* of the rollout under way; NULL: none is */
	} rollout;
};

/* ---- plan.c ---- */

/* Looks for what to do next, in the next turn of the loop. */
void plan_go(struct control_plan *p);
__attribute__((format(printf, 2, 3))) void plan_app_say(struct plan_app *x, const char *format,
							...);
/* Appends; doc becomes its Application, NULL: it only goes. */
struct plan_app *plan_app_add(struct control_plan *p, const char *key, enum plan_action action,
			      struct cox_doc *old, struct cox_doc *doc);
/* Its objects are, or will be, somebody's to look after. */
static inline bool plan_app_stays(const struct plan_app *x)
{
	return x->action == PLAN_UNCHANGED || x->action == PLAN_CREATE ||
	       x->action == PLAN_UPDATE || x->action == PLAN_KEPT;
}

/* ---- plan_apps.c ---- */

int plan_collect(struct control_plan *p, struct cox_error *err);

/* ---- plan_agents.c ---- */

/* Says for each Application whether its agent is to be asked. */
void plan_choose(struct control_plan *p);
/* Asks as many as may be asked now; true when none is left. */
bool plan_compare(struct control_plan *p);
/* Nobody waits for it any more. */
void plan_question_drop(struct plan_question *q);

/* ---- plan_waves.c ---- */

/* Makes the throw-away rollout, and its forecast. */
void plan_waves(struct control_plan *p);

/* ---- plan_answer.c ---- */

struct cox_doc *plan_answer(const struct control_plan *p);

#endif
