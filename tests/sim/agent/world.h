/* One agent under simulation: its engine, its store, a cluster, a hub and other people, all in
 * virtual time and from one seed. README.md says what is checked.
 *
 * There is one world at a time, `w`. What goes against an invariant calls sim_fail; the first
 * failure is kept, and ends the run. Threads: one. */
#ifndef SIM_AGENT_WORLD_H
#define SIM_AGENT_WORLD_H

#include "agent/sync/desired.h"
#include "agent/sync/engine.h"
#include "common/base/map.h"
#include "common/base/options.h"
#include "common/base/vec.h"
#include "tests/sim/virtual/virtual.h"

/* ---- what is deployed ---- */

enum sim_kind {
	SIM_CONFIG_MAP,
	SIM_SECRET,
	SIM_DEPLOYMENT,
	SIM_JOB,
	SIM_NAMESPACE,
	SIM_DEFINITION,
	SIM_WIDGET,
	SIM_KINDS
};
struct sim_kind_info {
	const char *group, *version, *kind, *plural;
	bool namespaced;
};
extern const struct sim_kind_info sim_kinds[SIM_KINDS];

struct sim_object {
	char *key; /* "group/Kind/namespace/name" */
	enum sim_kind kind;
	char *namespace, *name;
	int64_t wave;
	bool no_prune, no_delete;
	uint32_t hook;	     /* 1 << enum agent_phase, where it is one */
	bool flawed;	     /* never healthy, or it fails */
	struct cox_doc *doc; /* as in the bundle, with its namespace */
};

struct sim_bundle {
	uint8_t digest[COX_SHA256_BYTES];
	struct cox_buf packed;
	COX_VEC(struct sim_object) objects;
	bool flawed; /* one of its objects is */
};
const struct sim_object *sim_bundle_find(const struct sim_bundle *b, const char *key);

/* ---- the hub's side of an application ---- */

struct sim_operation {
	char id[COX_UUID_TEXT]; /* "": none */
	bool prune, dry_run, terminate, selective;
	int64_t retry_limit;
};

/* What an assignment or a tombstone comes to. */
struct sim_order {
	uint64_t epoch, generation; /* 0: nothing yet */
	struct sim_bundle *bundle;  /* to be synced to; of a tombstone, with its hooks */
	char operation[COX_UUID_TEXT];
	bool tombstone, cascade;
};

/* What one object of the running operation has been through. */
struct sim_progress {
	bool applied, healthy;
};

struct sim_app {
	char uid[COX_UUID_TEXT], name[16], namespace[16];
	uint64_t epoch, generation, position;
	struct sim_bundle *target, *sync;
	bool automated, prune, self_heal, allow_empty;
	bool create_namespace, out_of_sync_only;
	struct sim_operation op;
	bool tombstone, cascade, background;
	struct cox_buf change;		    /* the last, packed */
	bool gone;			    /* reported as deleted */
	bool helped;			    /* synced by hand in the calm */
	struct sim_order offered, accepted; /* to the agent, by the agent */
	bool late; /* something that a killed agent had sent arrived after it was gone */
	/* the newest report */
	uint64_t seen_generation, sequence;
	int seen_sync, seen_health, seen_phase;
	int64_t ill_ms; /* when a report said last that it is not well; steady clock */
	char seen_operation[COX_UUID_TEXT], seen_message[256], seen_conditions[512];
	/* the operation that the agent runs, as the checks follow it */
	char running[COX_UUID_TEXT];
	uint8_t running_digest[COX_SHA256_BYTES];
	uint32_t attempt, pauses;
	struct cox_map progress;  /* key to struct sim_progress * */
	struct cox_map requested; /* hash of each write of the attempt */
};

/* ---- what goes wrong ---- */

/* Per thousand requests, unless it says otherwise. */
struct sim_rates {
	int too_many, internal, unavailable, timeout, lost, answer_lost, hang, answer_hang, torn;
	int conflict, forbidden, denied;
	int watch_cut, watch_torn, watch_gone;
	int store; /* writes of the agent's disk */
	int64_t latency_ms, lag_ms;
	bool cut_arrives; /* what a killed agent had sent may still arrive */
};

struct sim_stats {
	uint64_t steps, requests, writes, effects, commits, changes, reports, checks, crashes;
	uint64_t faults, store_faults, operations, assignments, tombstones, stale, others;
	uint64_t applies, deletes, waves, synced, hooks, virtual_ms;
};

/* ---- the world ---- */

struct sim_options {
	uint64_t seed;
	bool trace;
	bool calm;	      /* no faults, no other people, no crash but the one below */
	uint64_t crash_after; /* dies right after that many effects; 0: not */
	bool land;	      /* what it had sent by then arrives, or does not */
};

struct world {
	struct sim_options o;
	struct cox_rng rng, net_rng, step_rng;
	struct cox_loop *loop;
	struct kubesim *cluster;
	char dir[64];
	/* the agent */
	struct agent_store *store;
	struct cox_kube *kube;
	struct agent_engine *engine; /* NULL: it is down */
	bool dead;		     /* nothing that it does has any effect any more */
	int tx_depth;
	uint64_t last_position; /* that it said it has */
	struct cox_timer restart, pulse;
	/* the hub */
	COX_VEC(struct sim_app *) apps;
	COX_VEC(struct sim_bundle *) bundles;
	COX_VEC(struct cox_buf) old_changes;
	bool hub_up;
	uint64_t position, epoch;
	struct cox_timer deliver, report, act;
	struct cox_map dirty, wanted;
	/* the cluster */
	struct sim_rates rates;
	struct cox_timer others, outage_begin, outage_end;
	bool outage;
	char refused_plural[32]; /* nobody may touch these at the moment */
	struct cox_map history;	 /* "key@version" to struct cox_doc * */
	struct cox_map sent;	 /* request id to struct sim_sent * */
	struct cox_map deletes;	 /* what was sent already, by hash */
	struct cox_map runs;	 /* of hooks: "operation attempt phase key" to struct sim_run * */
	struct cox_map begun;	 /* operation id to struct sim_begun * */
	unsigned n_strangers;
	COX_VEC(char *) strangers; /* paths of objects that nobody may touch */
	COX_VEC(char *) finalized; /* paths of objects that others hold */
	/* phases of a run */
	int64_t chaos_until_ms, calm_ms, quiet_ms;
	int actions_left, crashes_left, others_left;
	struct cox_timer crash;
	bool calm, quiet;
	uint64_t quiet_writes;
	char failure[1024];
	struct sim_stats stats;
	int64_t started_ms; /* the agent that is up; steady clock */
};
extern struct world w;

/* Runs one seed to its end. false: w.failure says what was found. */
bool sim_run(const struct sim_options *options);
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* percent of the time */
bool sim_chance(struct cox_rng *rng, int percent);
int64_t sim_between(struct cox_rng *rng, int64_t low, int64_t high);
struct sim_app *sim_app_find(struct cox_str uid);

/* ---- scene.c: bundles ---- */
struct sim_bundle *sim_bundle_make(const char *app_name, const char *namespace);
struct sim_bundle *sim_bundle_by_digest(const uint8_t digest[COX_SHA256_BYTES]);
void sim_bundles_free(void);

/* ---- hub.c ---- */
void sim_hub_open(void);
void sim_hub_close(void);
void sim_hub_agent_up(void);
void sim_hub_agent_down(void);
/* The last word: every application shall be synced. */
void sim_hub_settle(void);
void sim_hub_terminate(struct sim_app *app);
/* By hand, once, of what failed on the way into the calm. */
void sim_hub_sync(struct sim_app *app);
void sim_hub_want_bundle(void *ctx, const uint8_t digest[COX_SHA256_BYTES]);
void sim_hub_changed(void *ctx, const char *uid);

/* ---- others.c ---- */
void sim_others_open(void);
void sim_others_close(void);
/* Those who hold objects let go. */
void sim_others_settle(void);

/* ---- faults.c ---- */
void sim_faults_draw(void);
void sim_fate(void *ctx, const struct virtual_request *r, struct virtual_fate *fate);

/* ---- truth.c: what is really there ---- */
/* Borrowed until the next change; NULL. */
const struct cox_node *sim_live(const char *key);
int sim_ask(const char *method, const char *path, const char *content_type, const char *manager,
	    const char *body);
/* "group/Kind/namespace/name" of a request's path, or NULL: it names no object that we know. */
char *sim_key_of_path(const char *path);
void sim_path_of(const struct sim_object *o, struct cox_buf *out);
/* Every field of wanted is in live, and equal. */
bool sim_holds(const struct cox_node *live, const struct cox_node *wanted);
bool sim_is_healthy(const struct cox_node *live);
/* Carries the marks of the application, and means itself by them. */
bool sim_is_marked(const struct cox_node *live, const struct sim_app *app);

/* ---- check.c: what must always hold ---- */
void sim_check_sent(const struct virtual_request *r);
void sim_check_arrives(void *ctx, const struct virtual_request *r, bool cut);
void sim_check_done(void *ctx, const struct virtual_request *r, int status);
void sim_check_change(void *arg, const char *verb, const struct cox_node *object);
void sim_check_report(struct sim_app *app, const Coxswain__Report__V1__ApplicationReport *r);
void sim_check_restarted(void);
void sim_check_offer(struct sim_app *app);
/* must: the agent said that it is durable. */
void sim_check_accepted(struct sim_app *app, bool must);
void sim_check_dump(void);
void sim_check_fini(void);

/* ---- hooks.c: what must always hold of hooks ---- */
/* Whether some bundle has a hook of that name. */
bool sim_is_hook(const char *key);
void sim_hook_changed(const char *verb, const struct cox_node *object, const char *key);
void sim_check_create(const struct virtual_request *r);
/* Every hook of the phase succeeded in the operation's newest attempt. */
bool sim_hooks_succeeded(const struct sim_bundle *b, const char *operation, int phase,
			 const char **ret_missing);
/* The same of any operation, for the hooks of a deletion. */
bool sim_hooks_ran(const struct sim_bundle *b, const struct sim_app *app, int phase,
		   const char **ret_missing);
void sim_check_hooks_fini(void);
/* Every object of the bundle was applied in the attempt that runs, and healthy after that. */
const char *sim_unhealthy(struct sim_app *app, const struct sim_bundle *b);
struct sim_app *sim_app_of_hook(const struct cox_node *object);

/* ---- end.c: what must hold at the end ---- */
/* false: ret_why says what is still to come. */
bool sim_is_settled(struct sim_app *app, char *ret_why, size_t size);
void sim_check_end(void);

/* ---- effects.c: the agent's disk ---- */
/* Something that a crash cannot undo; the agent may die of it. */
void sim_effect(const char *what);

/* ---- bugs.c ---- */
struct sim_bug {
	const char *name, *what;
	bool *on;
};
extern const struct sim_bug sim_bugs[];
extern const size_t sim_n_bugs;

#endif
