/* hub/control: the controllers. They watch the objects that people apply and tie the pure rooms
 * together: expand an ApplicationSet, resolve and render an Application, feed the rollout planner,
 * write assignments, and say what became of it all.
 *
 * Level-triggered: each controller has a keyed queue (common/ctl/queue.h), looks at one key at a time,
 * re-reads the world, and may run at any time, twice, or after a restart:
 *
 *	sets      ApplicationSet -> Applications (hub/generate)
 *	repos     repository and revision -> commit (hub/source, in the pool), polled
 *	apps      Application -> project, cluster, commits -> bundle (hub/render, in the pool)
 *	rollouts  ApplicationSet or lone Application -> rollout -> assignments (hub/rollout, hub/fleet)
 *
 * Whatever changes goes into one batch of the store and is sent when that is durable. An error
 * becomes a condition on the object that it is about; everything else goes on.
 *
 * Loop-owned, all of it. Documents that are given back are sealed, one reference, the caller's. */
#ifndef HUB_CONTROL_CONTROL_H
#define HUB_CONTROL_CONTROL_H

#include "common/base/options.h"
#include "common/doc/doc.h"
#include "hub/fleet/fleet.h"
#include "hub/model/kind.h"
#include "hub/rollout/rollout.h"
#include "hub/store/store.h"

struct hub_control;

struct hub_control_options {
	struct cox_loop *loop;
	struct hub_store *store;
	const char *namespace;	/* the home namespace */
	const char *in_cluster; /* cluster that in-cluster destinations mean; NULL: none */
	bool allow_file_repos;
	const cox_strings *allow_net; /* CIDRs; may be NULL */
	int64_t poll_ms;	      /* between looks at a repository; 0: 120 s */
	int64_t starts_per_minute;    /* of targets, over all rollouts; 0: no limit */
	/* How long after a start one whose agent has not come back yet is not away: 0: a minute. */
	int64_t agents_grace_ms;
	int64_t clock_skew_ms;		/* added to the wall clock of sync windows, for tests */
	struct hub_fleet_options fleet; /* loop and store are filled in */
};

/* Loads the state and begins. */
int hub_control_new(const struct hub_control_options *options, struct hub_control **ret_control,
		    struct cox_error *err);
/* Says good-bye to the agents, then calls on_stopped. */
void hub_control_stop(struct hub_control *c, void (*on_stopped)(void *arg), void *arg);
/* After on_stopped, and before the store is freed. */
void hub_control_free(struct hub_control *c);

struct hub_fleet *hub_control_fleet(struct hub_control *c);
struct hub_store *hub_control_store(struct hub_control *c);
const char *hub_control_namespace(const struct hub_control *c);

/* ---- objects; namespace "" or NULL: the home namespace ---- */

enum hub_applied { HUB_UNCHANGED, HUB_CREATED, HUB_CONFIGURED };

/* Whether it could be applied now: valid, one of our kinds, not being deleted. */
int hub_control_check(struct hub_control *c, struct cox_doc *object, struct cox_error *err);
/* Creates or replaces; the batch is the caller's to commit. status in the object is ignored. */
int hub_control_apply(struct hub_control *c, struct hub_batch *batch, struct cox_doc *object,
		      enum hub_applied *ret_applied, struct cox_error *err);
/* What an object that was just applied asks for besides what it says: its operation, a refresh. by: who
 * it is that applied it. */
void hub_control_act(struct hub_control *c, struct hub_batch *batch, struct cox_doc *object,
		     const char *by);
/* With status. */
int hub_control_get(struct hub_control *c, enum hub_kind kind, const char *namespace,
		    const char *name, struct cox_doc **ret_doc, struct cox_error *err);
/* Sorted by namespace and name; namespace NULL: all. */
void hub_control_list(struct hub_control *c, enum hub_kind kind, const char *namespace,
		      cox_docs *ret_docs);

/* What becomes of an Application's objects; default: as its finalizer says. */
enum hub_delete {
	HUB_DELETE_DEFAULT,
	HUB_DELETE_CASCADE,
	HUB_DELETE_ORPHAN,
	HUB_DELETE_FOREGROUND,
	HUB_DELETE_BACKGROUND
};
/* 0: gone; 1: it goes when its clusters say that its objects are gone. */
int hub_control_delete(struct hub_control *c, struct hub_batch *batch, enum hub_kind kind,
		       const char *namespace, const char *name, enum hub_delete how,
		       struct cox_error *err);

/* The cluster is gone, it seems for good: the Application goes at once. Its agent, should it ever
 * return, finds the tombstone and does what it says. */
int hub_control_forget(struct hub_control *c, struct hub_batch *batch, const char *namespace,
		       const char *name, enum hub_delete how, const char *by,
		       struct cox_error *err);
/* What asks for a word before it is pruned or deleted has it. */
int hub_control_confirm_deletion(struct hub_control *c, struct hub_batch *batch,
				 const char *namespace, const char *name, const char *by,
				 struct cox_error *err);

/* The ApplicationSet deletes what it holds back (beyond its budget), if that is still exactly what digest
 * (hex, of its status.heldDeletions) names; COX_FAILED_PRECONDITION otherwise. */
int hub_control_confirm_set(struct hub_control *c, struct hub_batch *batch, const char *namespace,
			    const char *name, const char *digest, const char *by,
			    struct cox_error *err);

/* ---- applications ---- */

/* A bundle that is not what Git wants now. */
struct hub_bundle_at {
	uint8_t digest[HUB_DIGEST_BYTES];
	const char *revision;	    /* for people; "": none */
	struct cox_doc *sources;    /* a list, as rendered; NULL: not from a repository */
	const cox_strings *commits; /* one a source; NULL with that */
	size_t n_objects;
};

struct hub_sync_request {
	bool prune, dry_run, force, skip_hooks;
	bool skip_gates;		     /* before its wave has come; recorded */
	const struct cox_node *resources;    /* list of {group, kind, namespace, name}; NULL: all */
	const struct cox_node *sync_options; /* list of strings, besides the Application's own */
	const struct cox_node *retry; /* as syncPolicy.retry; NULL: as the Application says */
	const struct cox_node *infos; /* list of {name, value}; NULL */
	const char *initiated_by;
	const struct hub_bundle_at *at; /* to this; NULL: to what Git wants */
	bool local;			/* which came from somebody's own files */
};
int hub_control_sync(struct hub_control *c, struct hub_batch *batch, const char *namespace,
		     const char *name, const struct hub_sync_request *request,
		     char ret_operation[COX_UUID_TEXT], char **ret_revision, struct cox_error *err);
/* Whether automated syncs would undo a sync to anything but what Git wants. */
int hub_control_check_by_hand(struct hub_control *c, const char *namespace, const char *name,
			      const char *what, struct cox_error *err);
int hub_control_terminate(struct hub_control *c, struct hub_batch *batch, const char *namespace,
			  const char *name, const char *by, char ret_operation[COX_UUID_TEXT],
			  struct cox_error *err);

struct hub_rollback_request {
	int64_t id; /* of the history; -1: the one before the newest */
	bool prune, dry_run, hooks;
	bool force; /* although automated syncs are on, or a rollout is under way; recorded */
	const char *initiated_by;
};
int hub_control_rollback(struct hub_control *c, struct hub_batch *batch, const char *namespace,
			 const char *name, const struct hub_rollback_request *request,
			 char ret_operation[COX_UUID_TEXT], char **ret_revision,
			 struct cox_error *err);

/* What an Application renders to at other revisions. The answer comes later, once, on the loop, unless it
 * is cancelled: a bundle that is kept, until the next collection; or an error. */
struct control_ask;
typedef void hub_control_answer(void *arg, const struct hub_bundle_at *bundle,
				const struct cox_error *err);
/* which: {"revision"} of the only source, or {"revisions", "sourcePositions" (from 1)}. */
int hub_control_ask(struct hub_control *c, const char *namespace, const char *name,
		    const struct cox_node *which, hub_control_answer *done, void *arg,
		    struct control_ask **ret_ask, struct cox_error *err);
void hub_control_ask_cancel(struct control_ask *ask);
/* Keeps manifests that somebody has as a bundle: objects of doc, or their JSON as text. */
int hub_control_local(struct hub_control *c, struct cox_doc *doc, const struct cox_node *manifests,
		      uint8_t ret_digest[HUB_DIGEST_BYTES], struct cox_error *err);
/* How its objects differ from what they shall be, as its agent finds it. body: {"revision" | "revisions",
 * "sourcePositions" | "manifests"}, nothing: what Git wants. done comes later, once: {"items",
 * "compared", "truncated"} (hub/web/README.md), borrowed; or NULL and an error. */
typedef void hub_control_diff_done(void *arg, const struct cox_doc *answer,
				   const struct cox_error *err);
int hub_control_diff(struct hub_control *c, const char *namespace, const char *name,
		     struct cox_doc *body, hub_control_diff_done *done, void *arg,
		     struct cox_error *err);
int hub_control_refresh(struct hub_control *c, const char *namespace, const char *name, bool hard,
			struct cox_error *err);
int hub_control_refresh_set(struct hub_control *c, const char *namespace, const char *name,
			    struct cox_error *err);
/* {"items": […]} */
int hub_control_resources(struct hub_control *c, const char *namespace, const char *name,
			  struct cox_doc **ret_doc, struct cox_error *err);
/* {"nodes": […]}: the same objects, and what lives below them. */
int hub_control_tree(struct hub_control *c, const char *namespace, const char *name,
		     struct cox_doc **ret_doc, struct cox_error *err);
/* The digest and revision of the target's or the synced bundle. */
int hub_control_bundle(struct hub_control *c, const char *namespace, const char *name, bool synced,
		       uint8_t ret_digest[HUB_DIGEST_BYTES], char **ret_revision,
		       struct cox_error *err);

/* ---- rollouts ---- */

/* The newest of the ApplicationSet of that name, else of the Application; NULL: none. */
const struct cox_rollout *hub_control_rollout(struct hub_control *c, const char *namespace,
					      const char *name);
const struct cox_rollout *hub_control_rollout_by_id(struct hub_control *c, const char *id);
/* fn for each, newest first. */
void hub_control_each_rollout(struct hub_control *c,
			      void (*fn)(void *ctx, const struct cox_rollout *r), void *ctx);
/* The status with "next" when a newer revision waits. */
struct cox_node *hub_control_rollout_status(struct hub_control *c, const struct cox_rollout *r,
					    struct cox_doc *doc);

/* What a person does to the newest rollout of that name (as hub_control_rollout): pause, resume,
 * approve, promote, abort, retry; what each means says hub/rollout/rollout.h. Recorded in its audit
 * with who did it. COX_FAILED_PRECONDITION when there is nothing to do it to. */
struct hub_rollout_order {
	const char *verb, *by;
	const char *id;	       /* only while this is the newest rollout; NULL: whichever is */
	const uint8_t *digest; /* approve: of what is approved */
	bool back;	       /* abort: and return what was moved */
};
int hub_control_rollout_act(struct hub_control *c, struct hub_batch *batch, const char *namespace,
			    const char *name, const struct hub_rollout_order *order,
			    const struct cox_rollout **ret_rollout, struct cox_error *err);
bool hub_control_is_rollout_verb(const char *name);

/* ---- plans: what would happen, before anything is written (docs/rollouts.md) ---- */

#define HUB_PLAN_TARGETS       200   /* that agents are asked about, unless more are wanted */
#define HUB_PLAN_TARGETS_MAX   10000 /* at most */
#define HUB_PLAN_TARGET_MS     30000 /* an agent has for one of them */
#define HUB_PLAN_MS	       (10 * 60 * 1000)
#define HUB_PLAN_TARGET_MAX_MS (5 * 60 * 1000)

struct hub_plan_request {
	/* An ApplicationSet that is not applied yet, or another version of one that is; or */
	struct cox_doc *object;
	/* the ApplicationSet of that name (set), else what is rolled out by that name */
	const char *namespace, *name;
	bool set;
	struct cox_doc *policy; /* a RolloutPolicy to go by; NULL: the one that it follows */
	const char *revision;	/* NULL: what the Applications say */
	bool objects;		/* field by field, and not only how many */
	int64_t max_targets;	/* 0: HUB_PLAN_TARGETS */
	int64_t target_ms;	/* 0: HUB_PLAN_TARGET_MS */
	int64_t total_ms;	/* for all of it; 0: HUB_PLAN_MS */
};
struct control_plan;
/* {…} of hub/web/README.md, borrowed; NULL with an error. */
typedef void hub_control_plan_done(void *arg, const struct cox_doc *answer,
				   const struct cox_error *err);
/* "rendering", "asking agents", "looking ahead"; so many of so many. */
typedef void hub_control_plan_progress(void *arg, const char *what, size_t n, size_t all);
/* done comes later, once, unless it is cancelled. progress may be NULL. What request borrows is needed
 * only during the call. COX_RESOURCE_EXHAUSTED while too many plans are made. */
int hub_control_plan(struct hub_control *c, const struct hub_plan_request *request,
		     hub_control_plan_done *done, hub_control_plan_progress *progress, void *arg,
		     struct control_plan **ret_plan, struct cox_error *err);
void hub_control_plan_cancel(struct control_plan *plan);

/* Told, on the loop, that the rollout of this owner (KIND/NAMESPACE/NAME) changed, durably. */
struct hub_watcher {
	struct cox_list node;
	void (*fn)(void *ctx, const char *owner);
	void *ctx;
};
void hub_control_watch(struct hub_control *c, struct hub_watcher *w);
void hub_control_unwatch(struct hub_watcher *w);

/* ---- figures ---- */

struct hub_control_stats {
	size_t objects[HUB_N_KINDS];
	size_t rollouts_progressing;
	uint64_t renders, renders_reused, render_failures, resolves, resolve_failures;
	size_t queued;
};
void hub_control_stats(const struct hub_control *c, struct hub_control_stats *ret_stats);

#endif
