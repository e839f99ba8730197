/* The engine, a simulated cluster, and a hub in a few lines, which is the test. */
#ifndef TESTS_AGENT_WORLD_H
#define TESTS_AGENT_WORLD_H

#include "agent/sync/engine.h"
#include "common/base/map.h"
#include "common/run/child.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What the hub would keep of an application: its last full picture. */
struct picture {
	uint64_t sequence;
	int sync, assigned, health, phase;
	bool deleted;
	uint64_t generation;
	char message[512], conditions[2048], deletion[512];
	char results
		[2048]; /* "PreSync Job/mute Succeeded: message" a line: phase, object, hook phase
			     * or else status */
	char operation[64];
	unsigned retries;
	char tree[512]; /* "a, b of a, c of b", what fits */
	unsigned n_nodes, n_left_out;
	bool orphans_known;
	unsigned n_orphans, orphans_total;
};

extern struct world {
	char dir[64], kubeconfig[96], state[96], objects[96], audit[96];
	struct cox_loop *loop;
	struct cox_child *kubesim;
	struct cox_timer tick;
	unsigned ticks;
	struct cox_kube *kube, *user; /* the engine's, and somebody else's */
	struct agent_store *store;
	struct agent_jq *jq; /* the test's, or NULL */
	struct agent_engine *engine;
	struct cox_map pictures; /* uid to struct picture * */
	struct cox_map dirty;
	uint64_t generation;
	unsigned script_threads;
	int64_t wave_delay_ms, hook_grace_ms;
	bool no_acks;	   /* reports are not acknowledged */
	int wanted_health; /* of what is Synced at the last generation; 0: any */
} w;

/* For each test. */
int setup(void **state);
int teardown(void **state);
void open_engine(void);
/* As kill -9 would, but for the memory. */
void close_engine(void);
void start_kubesim(const char *listen);
void remove_tree(const char *path);

/* ---- waiting ---- */

const char *describe_all(void);
void turn(const char *what, int64_t deadline_ms);
#define WAIT(what, condition)                                                                      \
	for (int64_t _end = cox_loop_now_ms(w.loop) + 30000; !(condition);)                        \
	turn(what, _end)

/* ---- the cluster, as somebody else uses it ---- */

extern struct answer {
	bool done;
	int status;
	struct cox_doc *doc;
} answer;

/* The status; the body is in answer. */
int call(const char *method, const char *path, const char *type, const char *body);
/* Of the answer; "" when it is not there. b and c may be NULL. */
const char *field(const char *a, const char *b, const char *c);
bool value_is(const char *path, const char *key, const char *value);
/* How often an object was made since the cluster began, as its audit says. */
size_t n_created(const char *kind, const char *name);

#define CM(name) "/api/v1/namespaces/shop/configmaps/" name
#define MERGE	 "application/merge-patch+json"

/* ---- the hub ---- */

struct picture *picture(const char *uid);
/* Synced and Healthy at the newest generation, with no operation at work. */
bool is_settled(const char *uid);
/* Into the store, as if it had been fetched. */
void bundle(const char *yaml, uint8_t digest[COX_SHA256_BYTES]);
struct assign {
	const char *uid, *name, *yaml;
	bool manual, no_prune, no_heal, allow_empty, no_namespace;
	bool not_shared;
	const char *operation; /* id */
	const char *by;	       /* NULL: alice */
	bool dry_run, skip_hooks, terminate;
	const char *only; /* a selective sync: the name of a ConfigMap */
	const char *revision;
	int64_t retry_limit;
	const char *project; /* an AppProject as JSON; NULL: none */
	int64_t deletion_approved_ms;
	const char *ignore; /* ignoreDifferences, as JSON */
};

void assign(struct assign a);
void bury(const char *uid, const char *name, bool cascade);
/* With the hooks of a bundle; the tombstone is all that the agent has then. */
void bury_with_hooks(const char *uid, const char *name, const char *yaml, bool approved);
void configure(const char *body);
bool is_configured(const char *body);

#endif
