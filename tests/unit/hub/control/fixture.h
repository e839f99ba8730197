/* A hub in this process, with the real store, fleet and controllers; repositories that are memory; and
 * agents that speak the real protocol over TLS, with nothing behind them. */
#ifndef TESTS_HUB_CONTROL_FIXTURE_H
#define TESTS_HUB_CONTROL_FIXTURE_H

#include "common/base/map.h"
#include "common/doc/yaml.h"
#include "common/net/rpc.h"
#include "hub/control/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct site {
	struct cox_loop *loop;
	struct cox_pool *pool;
	char *dir;
	struct hub_store *store;
	struct hub_control *control;
	const char *in_cluster;
	int64_t clock_skew_ms; /* of the next start */
	int64_t agents_grace_ms;
	bool broken, stopped, restored;
};

void site_init(struct site *s);
void site_start(struct site *s);
/* Orderly; the state stays. */
void site_stop(struct site *s);
void site_fini(struct site *s);
/* Runs the loop until it is true. */
void site_wait(struct site *s, bool (*is)(void *arg), void *arg);
/* Lets everything that is ready happen. */
void site_settle(struct site *s);
/* Applies YAML documents; commits. */
void site_apply(struct site *s, const char *yaml);
int site_try_apply(struct site *s, const char *yaml, struct cox_error *err);
/* A field of an Application's status: "sync.status"; the caller's, "" when absent. */
char *site_status(struct site *s, const char *app, const char *first, const char *second);
/* The message of a condition; the caller's, NULL: none. */
char *site_condition(struct site *s, const char *app, const char *type);
void site_wait_status(struct site *s, const char *app, const char *sync, const char *health,
		      const char *revision);
void site_wait_condition(struct site *s, const char *app, const char *type, const char *word);

/* ---- repositories ---- */

void repo_set(const char *url, const char *commit, const char *path, const char *text);
void repo_head(const char *url, const char *commit);
void repo_break(const char *url, const char *message); /* NULL: mended */
void repos_clear(void);

/* ---- agents ---- */

struct told {
	char *app, *digest; /* name; sync digest, hex, "" for none */
	bool tombstone;
	uint64_t reported; /* sequence */
	Coxswain__Assignment__V1__Change *change;
};

struct agent {
	struct site *site;
	char *cluster;
	struct cox_rpc_endpoint endpoint;
	char boot[COX_UUID_TEXT];
	struct cox_buf chain, key, hub_ca;
	struct cox_rpc_conn *conn;
	struct cox_rpc_call *follow, *reports;
	bool joined, refused, up, live, down;
	struct cox_map told; /* app uid -> struct told */
	uint64_t position, sequence, acked_sequence;
	size_t n_changes, n_snapshots, n_want_full;
	bool hold; /* says nothing by itself */
	/* the cluster's configuration: the digest of what it has (NULL: it is too old to have one), and
	 * what it was sent last, with how often */
	const uint8_t *configuration_digest;
	struct cox_buf configuration;
	size_t n_configurations;
	struct cox_buf tree; /* of every report: a packed Tree, or anything */
	const char *health;  /* what it finds: NULL is Healthy */
	int64_t well_ms;     /* for how long, as it says; 0: it does not */
	const char *ill;    /* the Deployment in shop that has that health; NULL: none is told of */
	const char *phase;  /* of operations: NULL is Succeeded */
	struct cox_buf log; /* "dev:APP=abcd " for each sync digest that it was told */
	/* Agent/Diff: a bundle's objects are Absent, one more is Different, two are Extra, one of them is kept;
	 * of an application that goes both are Extra */
	struct cox_rpc_service service;
	const struct cox_rpc_service *services[1];
	bool old;		    /* and knows no frames */
	bool hold_diffs;	    /* answers none, until agent_answer */
	size_t bulk;		    /* bytes of the first of these objects; 0: few */
	size_t n_diffs, most_diffs; /* how many there were, and at one time */
	COX_VEC(struct asked_diff *) asked;
	char frame[256]; /* of the last: "instance namespace deletion options" */
};

void agent_init(struct agent *a, struct site *s, const char *cluster);
void agent_join(struct agent *a, const char *token);
/* The token of the cluster, from the hub; the caller's. */
char *site_token(struct site *s, const char *cluster);
void agent_connect(struct agent *a);
void agent_disconnect(struct agent *a);
/* Reports what it has, about every application. */
void agent_report(struct agent *a);
/* Answers what it was asked for, and what it holds. */
void agent_answer(struct agent *a);
/* It lost its disk. */
void agent_forget(struct agent *a);
void agent_fini(struct agent *a);
struct told *agent_told(struct agent *a, const char *app);

#endif
