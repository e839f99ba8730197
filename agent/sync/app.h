/* Inside agent/sync: the engine's own structs. All loop-owned. */
#ifndef AGENT_SYNC_APP_H
#define AGENT_SYNC_APP_H

#include "agent/sync/decide.h"
#include "agent/sync/desired.h"
#include "agent/sync/engine.h"
#include "agent/sync/orphans.h"
#include "agent/sync/plan.h"
#include "agent/sync/tree.h"
#include "common/health/health.h"
#include "common/kube/discovery.h"
#include "common/kube/watch.h"
#include "common/run/pool.h"

typedef Coxswain__Assignment__V1__Assignment agent_assignment;
typedef Coxswain__Assignment__V1__Tombstone agent_tombstone;
typedef Coxswain__Assignment__V1__Operation agent_operation_spec;

enum agent_sync_status { AGENT_SYNC_UNKNOWN, AGENT_SYNCED, AGENT_OUT_OF_SYNC };

/* A kind that some application has objects of: one watch over the whole cluster. */
struct agent_kind {
	struct agent_engine *engine;
	char *id;			    /* "group/version/kind" */
	struct cox_kube_resource *resource; /* NULL: the cluster hasn't got it */
	struct cox_watch *watch;	    /* NULL: none yet */
	bool metadata_only;		    /* the watch is */
	bool synced;
	bool lost;	    /* the cluster said that there is no such kind (any more) */
	uint32_t rounds;    /* lists of the watches before this one */
	size_t n_holders;   /* entries, and hooks at work */
	size_t n_followers; /* kinds that are used and that objects of this one grow from */
	char *error;	    /* of the last try to watch; NULL: none */
};

/* One object of an application: what shall be there, what we applied once, or both. */
struct agent_entry {
	struct agent_app *app;
	struct agent_entry *next; /* of another application, same key */
	struct agent_kind *kind;
	char *key_text;
	struct cox_object_key key;
	char *version;
	bool wanted;	/* in the bundle */
	bool owned;	/* in the inventory */
	bool evaluated; /* live and what follows are known */
	bool live, marked;
	bool terminating;    /* on its way out already */
	int64_t ask_at_ms;   /* not before, after a refusal */
	bool foreign;	     /* kubectl or Argo CD own fields of it */
	bool target_differs; /* Git wants it otherwise than the sync digest has it */
	bool shared;	     /* another application's mark is on it */
	bool ignore_health, ignore_extraneous;
	bool fetching;
	bool fetch_again; /* what it is fetched for has been overtaken: the answer counts for nothing */
	uint64_t fetch_version; /* what was known when it was asked for */
	bool deleting;		/* its deletion was asked for, for a tombstone */
	bool report;		/* changed since the last report */
	bool rejudge; /* its health was judged by scripts that are not in force any more */
	struct agent_judgement *judging; /* what was seen last is in the pool; NULL: it is not */
	char *comparison_error;		 /* why its status is unknown; NULL: it is not */
	struct agent_verdict *verdict;	 /* asked or known by a dry run; NULL: nothing is */
	uint64_t hash;			 /* of the desired object */
	uint64_t applied_hash, applied_state; /* what an apply was of, and came to; 0: none was */
	uint64_t resource_version; /* what is older is no news; of a deletion, when it is gone */
	uint32_t round;		   /* of the kind's lists, that told of it last */
	struct agent_node *below;  /* of the tree: the first of its children */
	char *object_uid;	   /* of the live object; NULL */
	int64_t wave;
	uint32_t options;      /* of the desired object, or of the inventory */
	uint32_t live_options; /* of the live object: they say what may be deleted */
	enum agent_sync_status sync;
	enum cox_health_status health, health_guess;
	char *health_message;
	cox_strings differing;
};

/* A bundle made ready for one application; counted, since an operation may hold an older one. */
struct agent_holder {
	unsigned refs;
	uint8_t digest[COX_SHA256_BYTES];
	struct agent_desired desired;
};

enum agent_stage {
	AGENT_STAGE_BEGIN, /* waits for its bundle and for discovery */
	AGENT_STAGE_DRY_RUN,
	AGENT_STAGE_RUN,
	AGENT_STAGE_CLEAN, /* the attempt is over but for its hooks' objects */
	AGENT_STAGE_PAUSE, /* before the next try */
};

struct agent_operation {
	struct agent_app *app;
	agent_operation_spec *spec;
	bool from_hub, partial; /* partial: only what is out of sync, a self-heal */
	uint8_t digest[COX_SHA256_BYTES];
	enum agent_stage stage;
	struct agent_holder *holder;
	struct agent_plan plan;
	struct agent_hooks *hooks; /* of this attempt; NULL before the plan is made */
	bool planned;
	uint32_t tried;		/* the last attempt whose dry run is over; durable */
	char *failing;		/* why this attempt has failed; durable before SyncFail begins */
	bool attempt_succeeded; /* in AGENT_STAGE_CLEAN */
	char *attempt_message;
	bool namespace_known, namespace_is_live; /* the one that CreateNamespace makes */
	bool superseded;    /* cut short by something newer: says nothing about its bundle */
	uint64_t kinds_due; /* waits for this discovery, by number; 0: for none */
	size_t n_in_flight;
	size_t n_dry_failed;
	char *dry_message;	      /* of the first that failed */
	COX_VEC(size_t) establishing; /* tasks: definitions that were applied */
	bool ending;		      /* no new request; over when none is in flight */
	Coxswain__Report__V1__Phase end_phase;
	char *end_message;
	bool api_down;	    /* the last failure was no answer: doesn't count as a try */
	int64_t started_ms; /* wall */
	uint32_t retry_count, pauses;
	struct cox_timer pause;
	struct cox_timer wave;	/* until the next one may begin */
	struct cox_timer grace; /* while it runs, hooks of an operation that was superseded go on */
	char *message;
};

struct agent_app {
	struct agent_engine *engine;
	char *uid;
	agent_assignment *assignment; /* the last; NULL: only a tombstone is known */
	agent_tombstone *tombstone;   /* or NULL */
	uint64_t epoch, generation;
	uint8_t digest
		[COX_SHA256_BYTES]; /* compared with: sync digest, else target's; zeros: none */
	uint8_t target[COX_SHA256_BYTES]; /* what Git wants */
	bool target_compared;
	bool built;		       /* the entries are those of digest */
	struct cox_error build_error;  /* code 0: none */
	struct cox_error bundle_error; /* why the bundle cannot be fetched */
	cox_strings warnings;
	struct cox_map entries; /* key text to struct agent_entry * */
	struct agent_holder *cache;
	struct agent_operation *operation;
	/* the last operation that ended; state is kept for reports */
	Coxswain__Report__V1__OperationState *last_state;
	/* the last one of the hub's that ended; NULL: none */
	Coxswain__Report__V1__OperationState *asked_state;
	bool last_full, last_failed, changed_since;
	uint8_t last_digest[COX_SHA256_BYTES];
	uint32_t heals;
	int64_t last_heal_ms;
	char *refused;	    /* by the guards: a SyncError */
	char *ended_by_hub; /* id of the operation that the hub asked for last and that is over */
	bool queued;
	struct cox_timer wake;
	/* removal */
	bool deleted;
	uint64_t deleted_sequence; /* of the first report that said so; 0: none did */
	char *deletion_message;
	struct agent_removal *removal; /* its hooks at work; NULL: none */
	int removal_phase;	       /* enum agent_phase: those before have completed */
	unsigned n_leftovers;	       /* requests for what hooks left behind */
	bool leftovers_gone;
	/* reports */
	uint64_t sequence;
	bool want_full, dirty;
	bool tree_changed;	   /* since the last report */
	struct agent_asked *asked; /* for orphaned resources; NULL: the project does not */
	cox_strings removed;	   /* key texts, with "version " before */
	uint64_t summary;	   /* hash of what was last noted */
	int64_t well_since_ms;	   /* steady clock; 0: it is not well (ApplicationReport.well_ms) */
	uint8_t well_digest[COX_SHA256_BYTES]; /* what was in force then */
};

struct agent_engine {
	struct agent_engine_options o;
	struct cox_discovery *discovery;
	struct cox_map apps;   /* uid to struct agent_app * */
	struct cox_map kinds;  /* id to struct agent_kind * */
	struct cox_map keys;   /* key text to the first struct agent_entry * */
	struct cox_map hooks;  /* key text to the first struct agent_hook * that is watched */
	struct cox_task turn;  /* reconciles what is queued */
	struct cox_timer idle; /* drops cached bundles */
	struct cox_timer rediscover;
	bool discovering;
	unsigned n_discovery_failures;
	uint64_t n_discovered; /* discoveries that came to an end */
	uint64_t position, highest_epoch;
	/* verdict.c */
	COX_VEC(struct agent_entry *) to_try; /* in order */
	struct cox_task try_turn;
	/* judge.c */
	struct agent_scripts *scripts;
	struct cox_pool *judges; /* NULL: no script ran yet */
	uint8_t configuration_kept[COX_SHA256_BYTES], configuration_digest[COX_SHA256_BYTES];
	char *configuration_error; /* why what is kept is not in force; NULL: it is */
	char *api_error, *api_version;
	struct cox_kube_call *version_call; /* NULL: answered */
	struct cox_kube_call *probe_call;
	struct cox_timer probe; /* runs while the API server does not answer */
	struct cox_doc *blank;
	COX_VEC(struct agent_diff *) diffs; /* diff.c */
	COX_VEC(void *) calls;		    /* struct agent_call *, of the engine's own requests */
	struct agent_tree tree;
	struct agent_orphans orphans;
	uint64_t discovery_generation;
	bool is_freed;
};

/* ---- engine.c ---- */
void agent_engine_queue(struct agent_app *app); /* reconcile soon */
void agent_engine_api_failed(struct agent_engine *e, const char *message);
void agent_engine_api_works(struct agent_engine *e);
bool agent_digest_is_set(const uint8_t digest[COX_SHA256_BYTES]);
enum agent_scope agent_engine_scope(void *ctx, struct cox_str group, struct cox_str version,
				    struct cox_str kind);
/* NULL: unknown to the cluster. */
const struct cox_kube_resource *agent_engine_resource_of(struct agent_engine *e,
							 struct cox_object_key key,
							 const char *version);
void agent_engine_rediscover(struct agent_engine *e, int64_t delay_ms);
struct agent_app *agent_engine_find(struct agent_engine *e, const char *uid);
uint32_t agent_app_options(const struct agent_app *app, const agent_operation_spec *spec);
int64_t agent_engine_now(const struct agent_engine *e);

void agent_engine_queue_all(struct agent_engine *e);
void agent_app_wake(void *arg); /* a timer's */

/* ---- intake.c ---- */
void agent_app_free(struct agent_app *app);
int agent_engine_put_in_force(struct agent_engine *e, const char *uid, bool tombstone,
			      struct cox_str body, struct cox_error *err);

/* A request for an entry or an operation's task that is cancelled when its owner goes. */
struct agent_call {
	struct agent_engine *engine;
	struct agent_app *app;
	struct cox_kube_call *call;
	void (*done)(struct agent_call *call, const struct cox_kube_answer *answer);
	char *key_text;
	size_t task;
	int tries;
	agent_resource_done *look_done; /* of agent_engine_resource */
	bool is_diff;			/* arg is diff.c's */
	bool dry_run;			/* apply.c's, and what ends the writing */
	void (*last)(struct agent_call *call, const struct cox_kube_answer *answer);
	void *arg;
};
struct agent_call *agent_call_new(struct agent_app *app, const char *key_text,
				  void (*done)(struct agent_call *call,
					       const struct cox_kube_answer *answer));
/* The same; app may be NULL: it is about none that is assigned. */
struct agent_call *agent_call_new_of(struct agent_engine *e, struct agent_app *app,
				     const char *key_text,
				     void (*done)(struct agent_call *call,
						  const struct cox_kube_answer *answer));
/* For cox_kube_*; frees the call after its done. */
void agent_call_done(void *arg, const struct cox_kube_answer *answer);
void agent_calls_cancel(struct agent_engine *e, struct agent_app *app); /* app NULL: all */
void agent_calls_cancel_of(struct agent_engine *e, const void *arg);

/* ---- bundle.c ---- */
/* The desired objects of that digest, one reference. COX_UNAVAILABLE while the bundle or discovery
 * is not there. */
int agent_app_hold(struct agent_app *app, const uint8_t digest[COX_SHA256_BYTES],
		   struct agent_holder **ret_holder, struct cox_error *err);
/* What a bundle's objects are put into. */
struct agent_frame {
	const char *instance, *namespace;
	const Coxswain__Assignment__V1__ProjectRules *rules; /* NULL: everything is permitted */
};
/* The objects of a bundle as an application of that uid would apply them. */
int agent_frame_desire(struct agent_engine *e, const struct agent_frame *frame, const char *app_uid,
		       const cox_docs *objects, struct agent_desired *ret_desired,
		       struct cox_error *err);
/* The same as this application would; it has an assignment. */
int agent_app_desire(struct agent_app *app, const cox_docs *objects,
		     struct agent_desired *ret_desired, struct cox_error *err);
struct agent_holder *agent_holder_ref(struct agent_holder *h);
void agent_holder_unref(struct agent_holder *h);
/* Marks what Git wants otherwise than the cluster shall have it, while the target waits. */
void agent_app_compare_target(struct agent_app *app);
/* The first part of its tracking ids. */
const char *agent_app_instance(const struct agent_app *app);
/* Makes the entries those of app->digest. */
void agent_app_build(struct agent_app *app);

/* ---- observe.c ---- */
struct agent_entry *agent_entry_get(struct agent_app *app, const char *key_text,
				    const char *version);
void agent_entry_free(struct agent_entry *entry);
/* What is live now; NULL: nothing. Newer than what was told before, by resourceVersion. */
void agent_entry_evaluate(struct agent_entry *entry, struct cox_doc *live);
/* version: of its deletion, so that an answer that is older does not bring it back; 0: unknown. */
void agent_entry_gone(struct agent_entry *entry, uint64_t version);
/* What agent_entry_evaluate does when the health is known. current: it was judged by the scripts that
 * are in force. */
void agent_entry_settle(struct agent_entry *entry, struct cox_doc *live,
			const struct cox_health *health, bool current);
/* It was seen; what there is to say of it is on its way. */
bool agent_entry_is_being_judged(const struct agent_entry *entry);
void agent_entry_health(const struct agent_entry *entry, struct cox_health *ret);
/* resourceVersion as a number; 0: it is none. */
uint64_t agent_version_of(struct cox_str text);
uint64_t agent_version_number(const struct cox_node *object);
/* Asks the server; agent_entry_evaluate follows. */
void agent_entry_fetch(struct agent_entry *entry);
/* Not before a while, after no answer or a refusal. */
void agent_entry_ask_later(struct agent_entry *entry);
/* What is known of it may be wrong by now, and so may be what is being fetched. */
void agent_entry_doubt(struct agent_entry *entry);
/* The same as agent_entry_fetch, but not before ask_at_ms: the application wakes then. */
void agent_entry_ask(struct agent_entry *entry);
/* Asks for what is not evaluated: of kinds that are being listed the list will tell. */
void agent_app_observe(struct agent_app *app);
bool agent_app_is_observed(const struct agent_app *app);
enum agent_sync_status agent_app_status(const struct agent_app *app);
void agent_app_health(const struct agent_app *app, struct cox_health *ret);

/* ---- kinds.c ---- */
#define AGENT_WATCH_PAGE 50

/* The kind, watched as long as somebody holds it. */
struct agent_kind *agent_kind_hold(struct agent_engine *e, struct cox_object_key key,
				   const char *version);
void agent_kind_release(struct agent_kind *kind);
/* Without a look at what holds it: the engine goes. */
void agent_kind_free(struct agent_kind *kind);
/* Lists all anew, then watches on. */
void agent_kind_relist(struct agent_kind *kind);
/* The list that what is told now belongs to. */
uint32_t agent_kind_round(const struct agent_kind *kind);
/* After a discovery: kinds that were unknown begin to be watched. */
void agent_kinds_rediscovered(struct agent_engine *e);

/* ---- verdict.c ---- */
void agent_verdicts_turn(void *engine); /* a task's: sends what is to be tried */

/* ---- operate.c ---- */
int agent_operation_start(struct agent_app *app, const agent_operation_spec *spec, bool from_hub,
			  bool partial, struct cox_error *err);
/* At the start of the process: goes on with what was running. */
int agent_operation_load(struct agent_app *app, struct cox_error *err);
/* Keeps how an operation of the hub's ended, packed: the hub wants to know, whatever comes after. */
void agent_operation_asked(struct agent_app *app, struct cox_str state);
void agent_operation_step(struct agent_app *app);
/* Fails it as soon as nothing is in flight. */
void agent_operation_end(struct agent_app *app, bool superseded, const char *message);
/* Without a word: the engine is freed or the application is gone. */
void agent_operation_free(struct agent_operation *op);
void agent_operation_observed(struct agent_entry *entry);
/* operation_state.c: fills state from what runs. */
void agent_operation_state(const struct agent_operation *op, struct cox_arena *arena,
			   Coxswain__Report__V1__OperationState *state);

const char *agent_app_name(const struct agent_app *app);

/* ---- task.c ---- */
/* Sends every task that can be tried; what fails is counted in n_dry_failed. */
void agent_tasks_dry_run(struct agent_operation *op);
/* The tasks from begin to finish_at go out; the plan is told what comes of them. */
void agent_tasks_start(struct agent_operation *op, size_t begin, size_t finish_at);
void agent_tasks_check_forced(struct agent_operation *op);
/* Definitions count as applied once the server serves their kind. */
void agent_tasks_check_definitions(struct agent_operation *op);
/* An answer that says nothing about the object: the server is not there. */
bool agent_answer_is_silence(const struct cox_kube_answer *answer);

/* ---- hook_step.c; the rest is in hook_run.h ---- */
/* What a watch tells of an object, for the hooks that wait for it. */
void agent_hook_seen(struct agent_kind *kind, const char *key_text, struct cox_doc *object);
void agent_hook_vanished(struct agent_kind *kind, const char *key_text);

/* ---- remove.c ---- */
void agent_app_remove_step(struct agent_app *app);
/* What people are told of the deletion; NULL: nothing. */
void agent_app_say_removal(struct agent_app *app, const char *message);

/* ---- remove_hooks.c ---- */
/* true when the hooks of that phase have completed, or there are none. */
bool agent_removal_hooks(struct agent_app *app, enum agent_phase phase);
/* true when no hook of the deletion runs any more: what runs is ended. */
bool agent_removal_end(struct agent_app *app);
void agent_removal_free(struct agent_removal *removal);

/* ---- leftovers.c ---- */
/* true when no object is left of hooks that ran before, in syncs and before the deletion. */
bool agent_removal_leftovers(struct agent_app *app);

/* ---- report.c ---- */
/* Queues a report if the summary differs from the last one. */
void agent_app_note(struct agent_app *app);

/* ---- report.c ---- */
/* A core Secret. */
bool agent_is_secret(const struct cox_node *object);
/* The object as JSON, a Secret's values masked (marked where `other` has another one), without what
 * only a server writes for itself. */
void agent_object_write(struct cox_buf *out, struct cox_doc *object, const struct cox_node *other);

/* ---- diff.c ---- */
/* The application is going: its diffs end with an error. app NULL: all of them, with the engine. */
void agent_diffs_end(struct agent_engine *e, struct agent_app *app);
/* Something was assigned, or a bundle has come, or could not be fetched (NULL: not that). */
void agent_diffs_look(struct agent_engine *e, const uint8_t failed[COX_SHA256_BYTES],
		      const struct cox_error *why);

#endif
