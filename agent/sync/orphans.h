/* Orphaned resources: what is in an application's destination namespace and belongs to no
 * application, where the application's AppProject asks for it (spec.orphanedResources).
 *
 * Every namespaced kind of such a namespace is listed now and then, by metadata alone, one page of
 * one kind at a time: a watch of each would hold a connection for ever, for news that nobody waits
 * for. Left out: what has an owner, what an application has or its tree shows, what another Argo CD
 * tracks, the kinds that only come and go (Events, Endpoints, Leases ...), and what Kubernetes itself
 * puts into each namespace. What belongs to an application by now is left out when it is told, so
 * only what is new in the namespace waits for the next look. Loop-owned. */
#ifndef AGENT_SYNC_ORPHANS_H
#define AGENT_SYNC_ORPHANS_H

#include "common/base/map.h"
#include "common/run/loop.h"
#include "proto/report.pb-c.h"

#define AGENT_ORPHANS_KEPT 1000 /* of a namespace; more are counted */
#define AGENT_ORPHANS_TOLD 200	/* of an application; more are counted */

struct agent_app;
struct agent_engine;
struct agent_entry;
struct agent_look;

struct agent_orphans {
	struct cox_map namespaces; /* name to struct agent_namespace * */
	struct cox_timer due;
	struct agent_look *looking; /* NULL: nothing is looked at */
};

void agent_orphans_init(struct agent_engine *e);
void agent_orphans_fini(struct agent_engine *e);
/* The application's assignment is another one, or there is none any more. */
void agent_orphans_asked(struct agent_app *app);
/* The application goes. */
void agent_orphans_drop(struct agent_app *app);
/* What it is may have been an orphan. */
void agent_orphans_adopted(const struct agent_entry *entry);
/* Its namespace is looked at now. */
void agent_orphans_refresh(struct agent_app *app);
/* Its namespace was looked at, in full or as far as it may be. */
bool agent_orphans_known(const struct agent_app *app);

/* One that the application is told of; key_text is borrowed until the next turn. */
typedef void agent_orphan_fn(void *ctx, const char *version, const char *key_text);
/* fn (may be NULL) for up to AGENT_ORPHANS_TOLD; how many there are. */
size_t agent_orphans_each(const struct agent_app *app, agent_orphan_fn *fn, void *ctx);
/* The warning, if the project wants one and there is a reason; the caller's, else NULL. */
char *agent_orphans_warning(const struct agent_app *app);

#endif
