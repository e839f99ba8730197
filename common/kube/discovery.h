/* Which kinds a cluster serves, and where. Read by aggregated discovery (two requests; servers from
 * 1.26 on) or the older way of one request for each group and version. A group that cannot be
 * read, because the server behind it is down, is noted and its kinds are unknown or stay what they
 * were; everything else goes on. Loop-owned.
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 */
#ifndef COX_KUBE_DISCOVERY_H
#define COX_KUBE_DISCOVERY_H

#include "common/kube/client.h"

struct cox_discovery;

/* Empty until it was refreshed. */
struct cox_discovery *cox_discovery_new(struct cox_kube *kube);
/* Outstanding done functions are not called. */
void cox_discovery_free(struct cox_discovery *discovery);
DEFINE_CLEANUP(struct cox_discovery *, cox_discovery_free);
#define _cleanup_discovery_ COX_CLEANUP(cox_discovery_free_p)

typedef void cox_discovery_done(void *arg, const struct cox_error *error);
/* Reads all anew. Whoever asks while that is under way joins it. error: nothing could be read, and
 * what was known is kept. */
void cox_discovery_refresh(struct cox_discovery *discovery, cox_discovery_done *done, void *arg);
/* Drops a done of refresh or lookup with that arg that was not called yet. */
void cox_discovery_forget(struct cox_discovery *discovery, void *arg);
/* Some refresh has succeeded. */
bool cox_discovery_is_ready(const struct cox_discovery *discovery);
/* Grows with every change of what is known. */
uint64_t cox_discovery_generation(const struct cox_discovery *discovery);

/* NULL when unknown. version NULL or "": the one that the server prefers. Borrowed until the next
 * refresh has ended; see cox_kube_resource_copy. */
const struct cox_kube_resource *cox_discovery_find(const struct cox_discovery *discovery,
						   const char *group, const char *version,
						   const char *kind);
/* The same, and an unknown kind makes it refresh first, at most once in two seconds, since a CRD may
 * just have been made. done's resource is NULL when it stays unknown; error says why. May call done
 * at once. */
typedef void cox_discovery_found(void *arg, const struct cox_kube_resource *resource,
				 const struct cox_error *error);
void cox_discovery_lookup(struct cox_discovery *discovery, const char *group, const char *version,
			  const char *kind, cox_discovery_found *done, void *arg);

/* All, each version of each kind, in the server's order; NULL past the end. */
const struct cox_kube_resource *cox_discovery_at(const struct cox_discovery *discovery, size_t i);
/* Whether it is the version that the server prefers among those that have the kind. */
bool cox_discovery_is_preferred(const struct cox_discovery *discovery,
				const struct cox_kube_resource *resource);
/* Groups and versions that could not be read: "metrics.k8s.io/v1beta1"; NULL past the end. */
const char *cox_discovery_failed(const struct cox_discovery *discovery, size_t i);

/* A copy in one block of memory, for free(). */
struct cox_kube_resource *cox_kube_resource_copy(const struct cox_kube_resource *resource);

#endif
