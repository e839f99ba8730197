/* agent/link: the connection to the hub.
 *
 * Joins once (one-time token, the agent's own key, a signing request), then keeps one connection:
 * follows its assignments from the position it has durably, acknowledges what is on disk, fetches
 * the bundles it needs, sends reports (each application's newest state, never a queue of old ones),
 * and serves the hub's questions. When the connection breaks it is made again, after a jittered
 * pause; nothing here matters to what the engine does meanwhile.
 *
 * Loop-owned. The loop, pool, store, kube client and engine are the caller's and outlive it. */
#ifndef AGENT_LINK_LINK_H
#define AGENT_LINK_LINK_H

#include "agent/sync/engine.h"
#include "agent/sync/store.h"
#include "common/run/pool.h"

struct agent_link;

struct agent_link_options {
	struct cox_loop *loop;
	struct cox_pool *pool;
	struct agent_store *store;
	struct cox_kube *kube; /* for the cluster's uid when joining */
	const char *cluster;
	const char *hub;	/* HOST:PORT */
	const char *token_file; /* needed until joined; read again at every try */
	const char *ca_pin;	/* SHA-256 of the hub's CA key, hexadecimal; needed until joined */
};

int agent_link_new(const struct agent_link_options *options, struct agent_link **ret_link,
		   struct cox_error *err);
/* From now on it may connect. engine must not be freed before the link. */
void agent_link_start(struct agent_link *link, struct agent_engine *engine);
/* For the engine's events. */
void agent_link_want_bundle(struct agent_link *link, const uint8_t digest[COX_SHA256_BYTES]);
void agent_link_changed(struct agent_link *link, const char *app_uid);
/* Says goodbye, then calls stopped, which may free the link. */
void agent_link_stop(struct agent_link *link, void (*stopped)(void *arg), void *arg);
void agent_link_free(struct agent_link *link);
bool agent_link_is_up(const struct agent_link *link);

#endif
