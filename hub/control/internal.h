/* What the controllers share. Loop-owned. */
#ifndef HUB_CONTROL_INTERNAL_H
#define HUB_CONTROL_INTERNAL_H

#include "common/base/map.h"
#include "common/ctl/queue.h"
#include "common/project/project.h"
#include "common/project/windows.h"
#include "common/run/pool.h"
#include "hub/control/control.h"
#include "hub/model/application.h"

/* ---- conditions ---- */

struct control_condition {
	char *type, *message;
	int64_t since_ms;
};
typedef COX_VEC(struct control_condition) control_conditions;

/* message NULL: the condition is over. true when that is news. */
bool control_condition_set(control_conditions *v, const char *type, const char *message);
const char *control_condition_get(const control_conditions *v, const char *type);
void control_conditions_fini(control_conditions *v);

/* ---- what a controller knows of an object, apart from the object ---- */

/* A repository at a revision, that some Applications follow. The queue's keys are URLs. */
struct control_repo {
	char *key; /* URL, revision and prefix */
	char *url, *revision, *tag_prefix;
	char commit[65];     /* the last that was resolved; "": none yet */
	char *error;	     /* of the last look; NULL: it went well */
	bool looked;	     /* at least once */
	bool apart;	     /* it is looked at for questions that tell nobody */
	int64_t looked_ms;   /* wall clock, of the last look that went well */
	struct cox_map apps; /* keys of the Applications that follow */
};

typedef COX_VEC(struct control_repo *) control_repos;

/* A repository at a revision that a kustomization names. */
struct control_remote {
	char *url, *revision;
	char commit[65]; /* "" while it is only asked for */
	bool used;
};
typedef COX_VEC(struct control_remote) control_remotes;

struct control_rendered {
	bool valid;		   /* what follows is known */
	int64_t generation;	   /* of the Application's spec */
	cox_strings commits;	   /* one a source */
	cox_strings remotes;	   /* commits, one for each of the app's remotes */
	char *error;		   /* NULL: there is a bundle */
	struct control_made *made; /* what came of it; NULL: nothing yet, or it failed */
	uint8_t digest[HUB_DIGEST_BYTES];
	char revision[65]; /* of the first source */
	size_t n_objects;
	cox_docs own; /* manifests that go into the hub's own store */
};

struct control_app {
	struct hub_control *control;
	char *key; /* NAMESPACE/NAME */
	char *uid;
	char *owner; /* KIND/NAMESPACE/NAME of its rollout */
	struct hub_application view;
	bool has_view;	    /* the object is valid */
	int64_t generation; /* of the view */
	char *cluster;	    /* resolved; NULL: unknown */
	char *problem;	    /* why it cannot be assigned; NULL: it can */
	bool looked;	    /* at this generation, by its controller */
	bool stale;	    /* its assignment may have to say something else */
	uint64_t heard; /* number of its cluster's connection that reported on it last; 0: none */
	int64_t well_since_ms; /* as its agent said then, by control_now_ms; 0: it did not */
	control_repos repos;   /* one a source */
	control_repos remotes; /* that the last rendering needed beside them */
	struct control_waits {
		int64_t generation;
		cox_strings commits; /* of the sources; none: it does not wait */
	} waits;      /* for remotes: what was rendered when they were found missing */
	char *denied; /* URL of one that the project does not permit */
	struct control_rendered rendered;
	struct render_job *job; /* that it waits for, perhaps with others */
	int64_t job_generation; /* of the spec that the job was asked for */
	bool own_render;	/* what it renders to depends on which Application it is */
	bool hard;		/* the next rendering takes nothing from before */
	control_conditions conditions;
	struct cox_doc *history; /* a list; NULL: empty */
	char last_history[COX_UUID_TEXT];
	struct cox_doc *note; /* what is known of the operation that was given last; NULL: none */
	struct cox_doc *pending; /* an operation that waits for manifests; NULL: none */
	bool pending_runs;	 /* its manifests are being made */
	struct control_ask *ask; /* this is no Application, but a question about one */
	bool apart;		 /* and nobody else hears of the commits that it finds */
};

/* Deletions that an ApplicationSet would make and that wait for a confirmation. */
struct control_held {
	char digest[65];  /* of exactly these, hex; "": none */
	cox_strings keys; /* of the Applications, sorted */
	size_t n_owned;	  /* of how many */
};

/* What an ApplicationSet has deleted by itself lately: its budget is one over time. */
struct control_gone {
	int64_t at_ms;
	char *uid; /* of the Application */
};
typedef COX_VEC(struct control_gone) control_gones;

struct control_object {
	enum hub_kind kind;
	char *key; /* NAMESPACE/NAME, or NAME */
	struct cox_doc *doc;
	struct control_app *app;       /* of an Application */
	control_conditions conditions; /* of an ApplicationSet */
	struct control_held held;      /* of an ApplicationSet */
	control_gones gone;	       /* of an ApplicationSet; oldest first */
	int64_t looked;		       /* generation that its controller is done with */
};

/* The newest rollout of an owner, and those before it that are over. */
struct control_line {
	char *owner;
	struct cox_rollout *current;	    /* NULL: none yet */
	COX_VEC(struct cox_rollout *) past; /* oldest first */
	char *next;			    /* revision that waits to take over; NULL: none */
	struct cox_map members;		    /* key -> struct control_app: who moves with it */
	struct cox_map news; /* key -> the same: whom something was heard of since the last look */
	bool dirty;	     /* an Application or the plan may be another one: look at all of it */
};

struct hub_control {
	struct hub_control_options options;
	struct cox_loop *loop;
	struct hub_store *store;
	struct hub_fleet *fleet;
	struct cox_pool *fetch_pool, *render_pool;
	struct cox_map objects[HUB_N_KINDS]; /* key -> struct control_object */
	struct cox_map uids;		     /* uid of an Application -> struct control_app */
	struct cox_map repos;		     /* key -> struct control_repo */
	struct cox_map lines;		     /* owner -> struct control_line */
	struct cox_map bundles;		     /* hex of what the store holds -> anything */
	struct cox_map windows;		     /* project -> struct control_windows */
	struct cox_map asks;		     /* "?N" -> struct control_ask */
	uint64_t n_asks;
	struct cox_list plans; /* of struct control_plan: under way */
	size_t n_plans;
	struct cox_map renders; /* what is rendered -> struct render_job: under way, or lately */
	struct cox_list render_order; /* of those that are done, oldest first */
	struct cox_map servers;	      /* spec.server -> its Cluster's name; "" for more than one */
	bool servers_known;
	struct cox_doc *ignored; /* list of the settings' ignored differences; NULL: none */
	struct cox_queue *sets, *apps, *repo_queue, *rollouts;
	struct cox_list watchers;
	struct cox_timer collect;
	struct cox_timer grace;
	bool agents_had_time; /* to come back since the hub started */
	int64_t clock_ms;     /* the wall clock at the start, less the monotonic clock */
	struct cox_rollout_bucket starts;
	struct cox_map zones; /* name -> struct cox_zone that a window was in */
	struct repo_sources *sources;
	struct control_gates *gates;
	struct hub_probes *probes; /* of rollouts' gates */
	int64_t resource_version;
	uint64_t renders_total, renders_reused, render_failures, resolves, resolve_failures;
	bool stopping;
};

/* ---- objects.c ---- */

struct control_object *control_object(struct hub_control *c, enum hub_kind kind, const char *key);
/* "NAMESPACE/NAME" or "NAME"; the caller's. */
char *control_key(struct hub_control *c, enum hub_kind kind, const char *namespace,
		  const char *name);
/* Puts the document as it is (metadata complete) in memory and into the batch. */
void control_object_store(struct hub_control *c, struct hub_batch *batch, enum hub_kind kind,
			  const char *key, struct cox_doc *doc_taken);
void control_object_remove(struct hub_control *c, struct hub_batch *batch, enum hub_kind kind,
			   const char *key);
int control_objects_load(struct hub_control *c, struct cox_error *err);
void control_objects_fini(struct hub_control *c);
/* The keys of a kind at this moment; each the caller's: a walk that changes the map needs them. */
void control_object_keys(struct hub_control *c, enum hub_kind kind, cox_strings *ret_keys);
/* The name of the only Cluster with this server; "" when there are more; NULL: none. */
const char *control_cluster_by_server(struct hub_control *c, const char *server);
bool control_owned_by(const struct cox_node *object, const char *set_uid);

/* ---- apps.c ---- */

enum cox_queue_result control_look_at_app(void *ctx, const char *key);
struct control_app *control_app_new(struct hub_control *c, const char *key);
void control_app_free(struct control_app *a);
/* The object changed: read it anew. */
void control_app_set(struct control_app *a, struct cox_doc *doc);
/* NULL: none. */
struct control_app *control_app(struct hub_control *c, const char *key);
struct control_app *control_app_by_uid(struct hub_control *c, const char *uid);
/* The repository does not answer, and nothing is known of it since this process began, but what was
 * assigned before stands: as long as that is so, it is what the application wants. */
const hub_assignment *control_app_frozen(const struct control_app *a);
/* All that is known now went into rendered, or into a problem; or it is frozen. */
bool control_app_is_settled(const struct control_app *a);
const char *control_app_uid(const struct control_app *a);
bool control_app_is_deleting(const struct control_app *a);

/* The repositories of its sources are looked at from now on. */
void control_app_follow(struct control_app *a);
/* NULL: all of them answer. */
const char *control_app_repo_error(const struct control_app *a);
/* Of its sources and its remotes. */
bool control_app_has_commits(const struct control_app *a);
/* There is something to render, and something to be gained by it. */
bool control_app_may_render(const struct control_app *a);

/* Whether its project allows it, and where it goes: sets cluster. A failure is a problem that no commit
 * can mend. */
int control_app_place(struct control_app *a, struct cox_error *err);
/* The AppProject that it belongs to; the caller's. */
int control_app_project(const struct control_app *a, struct cox_project *ret,
			struct cox_error *err);

/* ---- remotes.c ---- */

/* Takes them off the list, and does not follow them any more unless another list has them too. */
void control_app_leave_all(struct control_app *a, control_repos *list);
void control_app_leave(struct control_app *a, struct control_repo *repo);

void control_remotes_fini(control_remotes *list);
/* URLs compared as repositories are; NULL when there is none. */
struct control_remote *control_remote_find(const control_remotes *list, const char *url,
					   const char *revision);
void control_remote_add(control_remotes *list, const char *url, const char *revision,
			const char *commit);
/* Follows what a rendering, of the sources at these commits, asked for, or says that the project forbids one of them. */
int control_remotes_need(struct control_app *a, const control_remotes *needed,
			 const cox_strings *commits, struct cox_error *err);
/* A rendering ended: those that it used (all: it failed, and may need all of them) are followed on.
 */
void control_remotes_take(struct control_app *a, const control_remotes *used, bool all);
bool control_remotes_are_current(const struct control_app *a);
/* False while what would be rendered is known to need what is not there yet. */
bool control_remotes_let_render(const struct control_app *a);
/* The project may have changed: what it forbids now is left, and rendered anew. */
void control_remotes_review(struct control_app *a);

/* ---- ask.c ---- */

/* NULL: it has been answered. */
struct control_app *control_ask_app(struct hub_control *c, const char *key);
enum cox_queue_result control_look_at_ask(struct hub_control *c, struct control_app *a);
/* All that wait are told that the hub stops. */
void control_asks_end(struct hub_control *c);
/* What a, which need be no Application that is kept, renders to at the commits that its repositories have
 * now, or at another revision (NULL: its own) of its only source. As hub_control_ask; nobody else hears
 * of these commits. made: of earlier commits, NULL: nothing. */
int control_ask_about(const struct control_app *a, const char *revision, struct control_made *made,
		      hub_control_answer *done, void *arg, struct control_ask **ret_ask,
		      struct cox_error *err);
/* Keeps a bundle, unless it is kept already. */
void control_bundle_keep(struct hub_control *c, const uint8_t digest[HUB_DIGEST_BYTES],
			 struct cox_str row);

/* ---- plan.c ---- */

/* All that wait are told that the hub stops. */
void control_plans_end(struct hub_control *c);

/* ---- windows.c ---- */

void control_windows_fini(struct hub_control *c);
/* The wall clock, as windows are judged by. */
int64_t control_wall_ms(const struct hub_control *c);
/* The annotation skip-reconcile: nothing is looked at, and nothing synced. */
bool control_app_is_paused(const struct control_app *a);
/* What the project's sync windows say now; the application has a view. */
void control_window_judge(const struct control_app *a, struct cox_window_verdict *ret);
/* Neither a window nor a pause is in the way of syncs that nobody asked for. */
bool control_may_sync_itself(const struct control_app *a);
int control_check_window(const struct control_app *a, struct cox_error *err);
/* Says it as a condition, and has the application looked at again when that may change. */
void control_window_look(struct control_app *a);

/* ---- pending.c ---- */

#define CONTROL_REFRESH_ANNOTATION     "argocd.argoproj.io/refresh"
#define CONTROL_APPROVED_ANNOTATION    "argocd.argoproj.io/deletion-approved"
#define CONTROL_REFRESH_SET_ANNOTATION "argocd.argoproj.io/application-set-refresh"
/* Begins the operation that waits, if there is one and its time has come. */
void control_pending_step(struct hub_control *c, struct control_app *a);
/* With retry.refresh an operation that fails and is tried again is tried with the newest revision. */
void control_retry_refresh(struct hub_control *c, struct control_app *a);

/* ---- operations.c ---- */

/* How the operation that the assignment carries goes; NULL: its agent has not said. */
const Coxswain__Report__V1__OperationState *control_asked_state(const hub_assignment *have,
								const hub_report *report);

int control_find(struct hub_control *c, const char *namespace, const char *name,
		 struct control_app **ret_app, struct cox_error *err);
/* Whether the application's cluster can be given work. */
int control_check_ready(const struct control_app *a, struct cox_error *err);

/* ---- repos.c ---- */

int control_repos_init(struct hub_control *c, struct cox_error *err);
void control_repos_fini(struct hub_control *c);
/* Running fetches end soon. */
void control_repos_cancel(struct hub_control *c);
enum cox_queue_result control_look_at_repo(void *ctx, const char *key);
struct control_repo *control_repo_follow(struct control_app *a, const char *url,
					 const char *revision, const char *tag_prefix);
void control_repo_leave(struct hub_control *c, struct control_repo *r, const char *app_key);
/* The tree at a commit that was resolved before. In the pool; blocks. */
struct hub_tree;
int control_repo_tree(struct repo_sources *s, const char *url, const char *commit,
		      struct hub_tree **ret_tree, struct cox_error *err);
/* Credentials changed. */
void control_repos_reload(struct hub_control *c);

/* ---- render.c ---- */

/* Renders the Application at the commits of its repos. 0: under way, the app is looked at again
 * when it is done; 1: the same was rendered before, rendered says what came of it. */
int control_render_start(struct control_app *a, struct cox_error *err);
/* The Application goes, or does not want it any more. */
void control_render_abandon(struct control_app *a);
bool control_render_is_current(const struct control_app *a);
void control_renders_fini(struct hub_control *c);
void control_rendered_fini(struct control_rendered *r);

/* ---- sets.c ---- */

enum cox_queue_result control_look_at_set(void *ctx, const char *key);
struct hub_appset;
struct hub_generated;
/* What the set says with the clusters that there are. *ret_unread (the caller's): a Cluster that cannot be
 * read; NULL: all can. */
int control_set_generate(struct hub_control *c, const struct hub_appset *set,
			 struct hub_generated *ret, char **ret_unread, struct cox_error *err);
/* Keys of the Applications that are its own; each the caller's. */
void control_set_owned(struct hub_control *c, const char *set_uid, cox_strings *ret_keys);

/* ---- guard.c ---- */

/* Whether the Applications that the set does not produce any more (keys; n_owned: of how many that are
 * its own) may be deleted: no more than its budget, those that are on their way and those that went
 * within the last hour among them, or exactly what a person confirmed. true: what goes by the budget is
 * in the batch, which must be committed with the deletions. false: none may; the set's conditions say
 * so, and held is what waits. */
bool control_guard_deletions(struct hub_control *c, struct hub_batch *batch,
			     struct control_object *set, const cox_strings *dropped,
			     size_t n_owned);
/* What went lately, of sets that were loaded before. */
int control_guard_load(struct hub_control *c, struct cox_error *err);
/* The set goes. */
void control_guard_forget(struct hub_batch *batch, const struct control_object *set);
/* The same, looked at only, of the set as it is, or would be. set: what is known of it, or NULL. */
struct control_verdict {
	cox_strings fresh; /* that would be deleted now, sorted */
	size_t n_going;	   /* that are on their way already */
	size_t n_gone;	   /* that went by the budget within the hour */
	size_t n_owned;
	int64_t room_ms; /* when time alone makes room; 0: never */
	int64_t budget;
	char digest[65]; /* of fresh */
	bool held;	 /* none of them is deleted before somebody confirms that */
	char *problem;	 /* what is wrong with the budget; NULL */
};
void control_verdict_fini(struct control_verdict *v);
void control_guard_judge(struct hub_control *c, const struct cox_doc *doc,
			 const struct control_object *set, const cox_strings *dropped,
			 size_t n_owned, struct control_verdict *ret);
/* The set would delete nothing. */
void control_guard_clear(struct control_object *set);
/* {"digest", "count", "applications"}; NULL: nothing waits. */
struct cox_node *control_held_status(const struct control_held *h, struct cox_doc *doc);
void control_held_fini(struct control_held *h);
void control_gones_fini(control_gones *v);

/* ---- rollouts.c, lines.c, rollout_shell.c ---- */

/* Wall-clock time that does not jump while the process lives: rollouts count with it. */
int64_t control_now_ms(const struct hub_control *c);
/* The environment that the planner asks. */
int control_zone(void *ctx, const char *name, const struct cox_zone **ret_zone,
		 struct cox_error *err);
void control_zones_fini(struct hub_control *c);
/* The RolloutPolicy that the set names, or whose selector is its; NULL: none. */
int control_policy_of(struct hub_control *c, const struct cox_node *set,
		      const struct control_object **ret_policy, struct cox_error *err);
/* The plan of a set; NULL: of what belongs to none. As cox_rollout_plan_parse. */
int control_plan_parse(struct hub_control *c, const struct cox_node *set,
		       struct cox_rollout_plan *ret_plan, cox_rollout_problems *problems,
		       struct cox_error *err);
/* What the owner's waves are. 0: *ret_plan is the caller's; 1: nobody can say yet. */
int control_plan_of(struct hub_control *c, const char *owner, struct cox_rollout_plan *ret_plan);
/* A report about a has come. */
void control_rollout_heard(struct control_app *a, const char *cluster);
/* The same, and what is wrong when it cannot be known. ret_plan is to be ended in any case. */
int control_plan_check(struct hub_control *c, const char *owner, struct cox_rollout_plan *ret_plan,
		       struct cox_error *err);
/* What the agent says of a, and whether it can, goes into r. true: something changed. */
bool control_rollout_feed(struct hub_control *c, struct cox_rollout *r, const struct control_app *a,
			  int64_t now_ms);
struct cox_rollout_member control_rollout_member(struct hub_control *c, const struct control_app *a,
						 bool ordered);

enum cox_queue_result control_look_at_rollout(void *ctx, const char *owner);
int control_rollouts_load(struct hub_control *c, struct cox_error *err);
void control_rollouts_fini(struct hub_control *c);
struct control_line *control_line(struct hub_control *c, const char *owner);
/* Something that the owner's assignments depend on may have changed. */
void control_rollout_dirty(struct hub_control *c, const char *owner);
/* Something was heard of the application's cluster. */
void control_rollout_news(struct control_app *a);
void control_line_join(struct control_app *a);
void control_line_leave(struct control_app *a);
/* The application's target of the rollout that is under way; NULL: none. */
const struct cox_rollout_target *control_target(struct hub_control *c, const struct control_app *a,
						struct cox_rollout **ret_rollout);
/* Puts what has changed of it since it was kept last into the batch, which must be committed. */
/* The owner and its Applications are gone: the line's rollouts go too. */
bool control_line_is_over(struct hub_control *c, const struct control_line *line);
void control_line_drop(struct hub_control *c, struct control_line *line);
/* Deletes its rows. */
void control_rollout_forget(struct hub_batch *batch, const struct cox_rollout *r);
void control_rollout_keep(struct hub_batch *batch, struct cox_rollout *r);
/* What the worst object of a report says; the caller's, NULL when none says anything. */
char *control_worst(const hub_report *r);
/* Which object that is ("Kind namespace/name"); the caller's, NULL when none is worst. */
char *control_worst_resource(const hub_report *r);
/* Why nothing can be heard of the cluster ("…offline since…"); the caller's; NULL: it is there. */
char *control_away(struct hub_control *c, const char *cluster);
/* The same for rollouts; false: nobody can say yet, because the hub has only just started. */
bool control_is_away(struct hub_control *c, const char *cluster, char **ret_away);
/* The hub starts: agents get some time to come back. */
void control_await_agents(struct hub_control *c);
void control_agents_had_time(void *arg);
/* Tells the watchers when the batch is durable. */
void control_notify(struct hub_control *c, struct hub_batch *batch, const char *owner);
/* How often an operation is tried again: as the Application says, limit times when it does not. The
 * message borrows from storage. */
struct control_retry {
	Coxswain__Assignment__V1__Retry retry;
	Coxswain__Assignment__V1__Backoff backoff;
};
Coxswain__Assignment__V1__Retry *control_retry_of(const struct hub_application *view, int limit,
						  struct control_retry *storage);
/* When a person said that what asks for confirmation may be deleted; 0: never. */
int64_t control_deletion_approved_ms(const struct cox_node *application);
/* Writes the assignment as it shall be now. sync_digest NULL: none yet. operation NULL: what is there
 * stays while the sync digest stays. 1 when that changed anything. */
int control_assign(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		   const uint8_t *sync_digest, const char *sync_revision,
		   Coxswain__Assignment__V1__Operation *operation);
/* Asks the agent of a's cluster how the objects there differ from those of a bundle's text, as if a was
 * assigned so; deletion: as if it was to go, with all its objects. As hub_fleet_diff. */
int control_ask_agent(const struct control_app *a, bool deletion, struct cox_str objects,
		      int64_t deadline_ms, hub_fleet_diff_done *done, void *arg,
		      struct cox_error *err);
/* One object's differences, for people (hub/web/README.md). */
struct cox_node *control_difference_node(struct cox_doc *doc,
					 const Coxswain__Agent__V1__ObjectDifference *o);
/* Whether the application's rollouts move it by themselves. */
bool control_is_by_hand(const struct control_app *a, bool ordered);

/* ---- gates.c ---- */

int control_gates_init(struct hub_control *c, struct cox_error *err);
/* Everything else is loaded: jobs that nobody waits for go. */
void control_gates_load(struct hub_control *c);
void control_gates_fini(struct hub_control *c);
/* Asks when the batch, which keeps the rollout's state, is durable. */
void control_gate_ask(struct hub_control *c, struct hub_batch *batch, const struct cox_rollout *r,
		      const struct cox_rollout_probe *at);
/* Nobody waits for the answer any more. */
void control_gate_cancel(struct hub_control *c, struct hub_batch *batch,
			 const struct cox_rollout *r, const struct cox_rollout_probe *at);
/* A Secret was applied or deleted: gates that carry it are asked again at once. */
void control_gates_secret_changed(struct hub_control *c, const char *key);
/* Whether the assignment is of a gate's job. */
bool control_gate_is_job(const hub_assignment *a);
/* Something was heard of it; nothing when it is none. */
void control_gate_look(struct hub_control *c, const char *cluster, const char *uid);
/* Who waits for it hears how it is getting on. Changes no assignment. */
void control_gate_note(struct hub_control *c, const char *cluster, const char *uid);
/* The cluster is removed, with what was asked of it. */
void control_gate_cluster_gone(struct hub_control *c, const char *cluster);

/* ---- delete.c ---- */

/* Carries the deletion of an Application on; true when it is gone. */
bool control_app_delete_step(struct hub_control *c, struct hub_batch *batch, struct control_app *a);
/* The same of an ApplicationSet. */
bool control_set_delete_step(struct hub_control *c, struct hub_batch *batch,
			     struct control_object *set);

/* ---- history.c ---- */

int control_history_load(struct hub_control *c, struct cox_error *err);
/* Takes a finished sync into the history. */
void control_history_note(struct hub_control *c, struct control_app *a);
/* The operation that was given, {id, digest, operation, source(s), …}: for its state and its place in the
 * history. NULL: none. */
void control_note_set(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		      struct cox_doc *note_taken);
/* The note about the operation of that id; NULL: nothing more is known of it. */
const struct cox_node *control_note(const struct control_app *a, const char *operation);
void control_pending_set(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
			 struct cox_doc *pending_taken);
/* The entry of that id, the one before the newest for -1; NULL: none. */
const struct cox_node *control_history_entry(const struct control_app *a, int64_t id);
/* Drops the bundles that nothing names any more. */
void control_collect(void *arg);
int control_bundles_load(struct hub_control *c, struct cox_error *err);

/* ---- own.c ---- */

/* Applies the manifests that are destined for the hub itself. */
void control_own_apply(struct hub_control *c, struct hub_batch *batch, struct control_app *a,
		       bool by_hand);
/* Whether they are all there as rendered. */
bool control_own_is_synced(struct hub_control *c, const struct control_app *a);

/* ---- settings.c ---- */

/* argocd-cm may be another one: agents get what they act on when the batch is durable (NULL: it is
 * already), and applications are looked at again where their ignored differences change. */
void control_settings_read(struct hub_control *c, struct hub_batch *batch);
/* An Application's ignoreDifferences with those of the settings behind them, as JSON; nothing when
 * there are none. */
void control_settings_ignored(const struct hub_control *c, const struct cox_node *own,
			      struct cox_buf *out);

/* ---- status.c ---- */

/* "Healthy", by coxswain.report.v1.Health. */
const char *control_health_name(int health);

/* The object with its status. */
struct cox_doc *control_with_status(struct hub_control *c, const struct control_object *o);

#endif
