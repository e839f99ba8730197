/* A hub and its agents under simulation, in virtual time and from one seed. README.md says what is
 * checked.
 *
 * The controllers, the fleet, the rollout engine, generators and rendering are the real ones. The
 * store, the connections, the repositories, the pools and the gates' probes are of this folder and
 * take the place of the real ones when the program is linked; agents are models.
 *
 * There is one world at a time, `w`. What goes against an invariant calls sim_fail; the first
 * failure is kept, and ends the run. Threads: one. */
#ifndef SIM_HUB_WORLD_H
#define SIM_HUB_WORLD_H

#include "common/base/map.h"
#include "common/base/vec.h"
#include "common/net/rpc.h"
#include "hub/control/control.h"
#include "hub/store/batch.h"
#include "tests/sim/virtual/virtual.h"

#define SIM_NAMESPACE  "argocd"
#define SIM_URL	       "https://git.example.com/apps.git"
#define SIM_MAX_PATHS  8
#define SIM_POLL_MS    20000
#define SIM_MINUTE_MS  INT64_C(60000)
#define SIM_HEALTHY    COXSWAIN__REPORT__V1__HEALTH__HEALTHY
#define SIM_DEGRADED   COXSWAIN__REPORT__V1__HEALTH__DEGRADED
#define SIM_PROGRESSES COXSWAIN__REPORT__V1__HEALTH__PROGRESSING
#define SIM_RUNNING    COXSWAIN__REPORT__V1__PHASE__RUNNING
#define SIM_SUCCEEDED  COXSWAIN__REPORT__V1__PHASE__SUCCEEDED
#define SIM_FAILED     COXSWAIN__REPORT__V1__PHASE__FAILED

typedef Coxswain__Assignment__V1__Change sim_change;
typedef Coxswain__Assignment__V1__Assignment sim_assignment;
typedef Coxswain__Assignment__V1__Tombstone sim_tombstone;
typedef Coxswain__Report__V1__ApplicationReport sim_report;

/* ---- what is deployed: versions of what stands in one folder of the repository ---- */

enum sim_flaw { SIM_GOOD, SIM_NEVER_HEALTHY, SIM_ILL, SIM_SYNC_FAILS, SIM_UNRENDERABLE };

struct sim_content {
	int path; /* index */
	unsigned version;
	enum sim_flaw flaw;
	unsigned of; /* the flaw shows on every of-th cluster */
};

struct sim_path {
	char name[16];
	COX_VEC(struct sim_content) versions; /* the last is at the head */
};

struct sim_commit {
	char id[41];
	struct hub_tree *tree;
	unsigned versions[SIM_MAX_PATHS];
};

/* ---- a cluster and its agent ---- */

/* One application there. What is durable is the agent's disk or the cluster itself. */
struct sim_deploy {
	struct sim_agent *agent;
	char uid[COX_UUID_TEXT];
	/* durable */
	sim_change *change; /* an assignment or a tombstone */
	uint64_t epoch, generation;
	bool has_applied, drifted;
	uint8_t applied[HUB_DIGEST_BYTES];
	char operation[COX_UUID_TEXT]; /* the last that began; "": none */
	uint8_t operation_digest[HUB_DIGEST_BYTES];
	int phase;
	struct cox_map begun; /* id of an operation -> its phase, as a pointer */
	bool is_job, deleted;
	int health; /* of the cluster's objects */
	/* not durable */
	uint64_t sequence, deleted_sequence;
	bool dirty, full, working;
	struct cox_timer work; /* the agent's */
	struct cox_timer turn; /* the cluster's: health changes */
};

struct sim_agent {
	char name[32];
	int index;
	int env;
	bool in; /* in the sets that select, by the label that was applied last */
	/* durable */
	uint64_t position, highest_epoch;
	struct cox_map deploys; /* uid -> struct sim_deploy */
	struct cox_map bundles; /* hex -> anything */
	/* the process */
	bool running, up, doomed; /* doomed: dead, as soon as the loop comes round */
	char boot[COX_UUID_TEXT];
	struct cox_rpc_conn *conn; /* its end of one; NULL: none */
	unsigned next_call;
	struct cox_map fetching;      /* hex -> struct sim_fetch */
	COX_VEC(sim_change *) staged; /* received, not on the disk */
	uint64_t staged_position;
	bool in_snapshot;
	struct cox_timer restart, redial, intake, pump, kill;
	/* its network */
	bool partitioned;
	int64_t latency_ms;
	unsigned window; /* messages that may be under way in one call */
	bool flaps;	 /* its health does, in the chaos */
};

/* ---- what goes wrong ---- */

struct sim_rates {
	/* per thousand */
	int cut;	 /* of messages: the connection ends */
	int agent_crash; /* of agents' durable steps */
	int hub_crash;	 /* of commits, before or after */
	int fetch_error; /* of looks at the repository */
	int probe_bad, probe_none;
	int drift;
	int64_t store_ms; /* a commit takes up to so long */
	int64_t pool_ms, healthy_ms;
	bool restores, jumps, flaps;
};

struct sim_stats {
	uint64_t steps, effects, commits, rows, crashes, agent_crashes, restores, cuts, messages;
	uint64_t reports, changes, moves, rollouts, rollbacks, claims, probes, jobs, people,
		refused;
	uint64_t git, joins, leaves, jumps, approvals, deletions, targets, whys, agents;
	uint64_t virtual_ms;
};

struct sim_options {
	uint64_t seed;
	bool trace;
	bool calm;	      /* no faults but the one below */
	bool all_sizes;	      /* up to 500 agents */
	uint64_t crash_after; /* the hub dies right after that many commits; 0: not */
	bool late;	      /* after what waited for that commit ran */
};

/* ---- what people want: sets of applications, and the waves that they go in ---- */

enum sim_gate_kind { SIM_SOAK, SIM_APPROVAL, SIM_WINDOW, SIM_HTTP, SIM_JOB, SIM_METRICS };
struct sim_gate {
	enum sim_gate_kind kind;
	int64_t soak_ms;
	int count; /* people, successes */
	int limit; /* of failures; -1: not given */
	bool deny; /* a window: from minute `from` of each hour, for so many minutes */
	int from, length;
	int cluster; /* a job's */
};

#define SIM_MAX_WAVES 4
#define SIM_MAX_GATES 3
enum sim_select { SIM_BY_LABEL, SIM_BY_NAME, SIM_REST };
struct sim_wave {
	enum sim_select select;
	unsigned envs;	 /* 1 << environment */
	int first, last; /* by name: these clusters */
	int concurrent;	 /* -1: all */
	bool concurrent_percent;
	int failures;
	bool failures_percent;
	int64_t deadline_ms; /* 0: none */
	int n_before, n_after;
	struct sim_gate before[SIM_MAX_GATES], after[SIM_MAX_GATES];
};

enum sim_strategy { SIM_AT_ONCE, SIM_STEPS, SIM_POLICY };
enum { SIM_PAUSE, SIM_ROLLBACK, SIM_CONTINUE };
enum { SIM_NOW, SIM_WAVE, SIM_FINISHED };
/* One version of what a set goes by; its number is in the names of its waves. */
struct sim_plan {
	int set, version;
	enum sim_strategy strategy;
	int n_waves;
	struct sim_wave waves[SIM_MAX_WAVES];
	int on_failure, supersede;
	bool skip, unmatched_last;
	int64_t jitter_ms;
	int starts_per_minute;
};

#define SIM_MAX_SETS 3
struct sim_set {
	bool by_list, automated, cascade, project, by_selector;
	COX_VEC(struct sim_plan *) plans; /* the last one was applied last */
};

extern const char *const sim_envs[3];

struct world {
	struct sim_options o;
	struct cox_rng rng, net_rng, step_rng;
	struct cox_loop *loop;
	/* the hub; NULL: it is down */
	struct hub_control *control;
	struct hub_store *store;
	int64_t hub_base_ms; /* its steady wall clock, less the monotonic one */
	bool dead, starting;
	struct cox_timer hub_restart, hub_kill;
	struct cox_map backup; /* of the store; empty: none was made */
	bool has_backup, restore_next;
	/* Git */
	struct sim_path paths[SIM_MAX_PATHS];
	int n_paths;
	COX_VEC(struct sim_commit) commits;
	bool git_down;
	/* agents */
	COX_VEC(struct sim_agent *) agents;
	struct sim_rates rates;
	/* people */
	int n_sets, n_lone, n_clusters;
	struct sim_set sets[SIM_MAX_SETS];
	int lone_on[SIM_MAX_PATHS]; /* cluster */
	struct cox_timer people, faults, pulse;
	int actions_left;
	/* phases of a run */
	int64_t chaos_until_ms, calm_ms, settled_ms, quiet_ms;
	bool calm, quiet;
	uint64_t quiet_changes;
	char failure[1024];
	struct sim_stats stats;
};
extern struct world w;

/* Runs one seed to its end. false: w.failure says what was found. */
bool sim_run(const struct sim_options *options);
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* percent of the time */
bool sim_chance(struct cox_rng *rng, int percent);
bool sim_strikes(int per_thousand);
int64_t sim_between(struct cox_rng *rng, int64_t low, int64_t high);
/* For people; good for four calls. */
const char *sim_brief(const uint8_t *digest);
/* The hub is killed when the loop comes round; what it does until then is lost. */
void sim_hub_kill(const char *why);

/* ---- repos.c ---- */
void sim_repos_open(void);
void sim_repos_close(void);
/* A new version of some paths; all of them good when `mend`. */
void sim_repos_commit(bool mend);
const struct sim_content *sim_content_of(int path, unsigned version);
/* What a bundle was rendered from; NULL: a job. */
const struct sim_content *sim_content_by_digest(const uint8_t digest[HUB_DIGEST_BYTES]);
void sim_bundle_learn(const char *hex, struct cox_str row);
bool sim_is_flawed_on(const struct sim_content *c, const struct sim_agent *a);

/* ---- store.c ---- */
/* The rows, by table, of what is durable: "T/KEY" to struct cox_buf. */
struct cox_buf *sim_row(enum hub_table table, const char *key);
void sim_rows_each(enum hub_table table,
		   void (*fn)(void *ctx, const char *key, struct cox_str body), void *ctx);
void sim_store_backup(void);
void sim_store_restore(void);
void sim_store_wipe(void);
/* Reads that wait are answered with an error: their askers are going. */
void sim_store_abandon(struct hub_store *s);

/* ---- wire.c: connections ---- */
void sim_dial(struct sim_agent *a);
/* The agent's end. */
void sim_wire_send(struct cox_rpc_conn *c, unsigned call, const ProtobufCMessage *m);
void sim_wire_open(struct cox_rpc_conn *c, unsigned call, const char *method,
		   const ProtobufCMessage *first);
void sim_wire_answer(struct cox_rpc_conn *c, unsigned call, enum cox_code code,
		     const ProtobufCMessage *m);
void sim_wire_close(struct cox_rpc_conn *c, const char *why);
/* The agent's process is gone; what it sent may still arrive. */
void sim_wire_abandon(struct cox_rpc_conn *c);
/* The network ends it; both sides find out in their own time. */
void sim_wire_cut(struct cox_rpc_conn *c, const char *why);
/* The hub's process is gone. */
void sim_wire_hub_gone(void);
void sim_wire_close_all(void);
/* The connection that the hub listens to; NULL: none. */
struct cox_rpc_conn *sim_session(const char *cluster);
const char *sim_conn_cluster(const struct cox_rpc_conn *c);
const char *sim_conn_boot(const struct cox_rpc_conn *c);

enum { SIM_CALL_FOLLOW = 1, SIM_CALL_REPORT = 3, SIM_CALL_FETCH = 5 };

/* ---- agents.c ---- */
struct sim_agent *sim_agent_find(const char *name);
struct sim_agent *sim_agent_make(const char *name, int index);
void sim_agent_start(struct sim_agent *a);
void sim_agent_kill(struct sim_agent *a);
void sim_agents_close(void);
void sim_agents_calm(void);
void sim_agent_on_up(struct sim_agent *a, uint64_t hub_epoch);
void sim_agent_on_down(struct sim_agent *a);
void sim_agent_on_message(struct sim_agent *a, unsigned call, struct cox_str body);
void sim_agent_on_status(struct sim_agent *a, unsigned call, enum cox_code code);
void sim_agent_on_ask(struct sim_agent *a, unsigned call, const char *method, struct cox_str body);
bool sim_deploy_is_well(const struct sim_deploy *d);
/* Somebody changed its objects behind our back. */
void sim_deploy_drift(struct sim_deploy *d);

/* ---- scene.c ---- */
void sim_scene_draw(void);
/* Everything that exists from the beginning, applied to the hub that runs. */
void sim_scene_apply(void);
/* 0, or the error's code; commits. */
int sim_apply(const char *yaml, struct cox_error *err);
void sim_scene_close(void);
/* Applies the Cluster with its agent's labels. */
int sim_cluster_apply(const struct sim_agent *a);
/* Draws and applies another version of a set's plan. */
void sim_plan_edit(int set);
int sim_set_apply(int set);
int sim_lone_apply(int i);
int sim_project_apply(bool open);
/* The version that a rollout goes by; NULL: it has no waves of ours. */
const struct sim_plan *sim_plan_of(const struct cox_rollout *r);

/* ---- people.c ---- */
void sim_people_open(void);
void sim_people_apply_all(void);
void sim_people_close(void);
void sim_people_calm(void);
/* What somebody does who wants it to end: approves, resumes, confirms. */
void sim_people_help(void);

/* ---- check.c: what must always hold ---- */
void sim_check_close(void);
/* The hub asked for this to be kept, and acts on it from now on. */
void sim_check_commit(const struct hub_batch *b);
/* The hub begins anew, with what is durable. */
void sim_check_starting(void);
void sim_check_sent(const char *cluster, const sim_change *change);
void sim_check_report(const struct cox_rpc_conn *c, const sim_report *r);
void sim_check_response(const char *cluster, const char *boot,
			const Coxswain__Report__V1__ReportResponse *r);
void sim_check_always(void);
/* Into the trace: the rollouts as they are. */
void sim_check_tell(void);
/* What people did, and it was accepted. */
void sim_check_before_verb(const struct cox_rollout *r);
void sim_check_verb(const struct cox_rollout *r, const struct hub_rollout_order *o);
void sim_check_looked(const struct cox_rollout *r, size_t wave,
		      const uint8_t digest[COX_ROLLOUT_DIGEST]);
void sim_check_synced(const char *operation, bool past_gates);
void sim_check_confirmed(int set, const struct cox_doc *set_with_status);
/* An agent begins the operation of a job's application. */
void sim_check_job(const struct sim_agent *a, const char *app_name, const char *operation);
/* A gate's question was answered. */
void sim_check_answer(const char *rollout, const struct cox_rollout_probe *at,
		      enum cox_rollout_answer answer);

/* ---- end.c: what must hold at the end ---- */
/* false: ret_why says what is still to come. */
bool sim_is_settled(char *ret_why, size_t size);
/* Its policy does not sync it, and it is not where Git is. */
bool sim_app_wants_hand(const char *name);

/* ---- bugs.c ---- */
struct sim_bug {
	const char *name, *what;
	bool *on;
};
extern const struct sim_bug sim_bugs[];
extern const size_t sim_n_bugs;

#endif
