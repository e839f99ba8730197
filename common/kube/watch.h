/* One collection, followed for ever: list it page by page, then watch it, and start over when the
 * server has forgotten where we were. Connections that break are made again from the last version
 * seen, after a growing, jittered pause when they break at once. Loop-owned.
 *
 * The watch remembers which objects exist (not their content), so that after a new list what has
 * vanished meanwhile is told as removed. Every object that comes is told; the same version may come
 * twice. With `forget` it remembers nothing, for who watches many objects and cares for few: then its
 * user finds out what has vanished, by what was not told again since the list began.
 */
#ifndef COX_KUBE_WATCH_H
#define COX_KUBE_WATCH_H

#include "common/kube/client.h"

struct cox_watch;

struct cox_watch_options {
	const struct cox_kube_resource *resource;    /* copied */
	const char *namespace;			     /* NULL or "": all */
	const char *label_selector, *field_selector; /* or NULL */
	bool metadata_only;		    /* objects have apiVersion, kind and metadata only */
	bool forget;			    /* remove is called for all deletions, told or not */
	unsigned page;			    /* objects a page of the list; 0: 50 */
	int64_t backoff_ms, max_backoff_ms; /* 0: 500 and 30000 */

	/* Sealed, borrowed (cox_doc_ref to keep), apiVersion and kind always filled in. */
	void (*upsert)(void *arg, struct cox_doc *object);
	/* Only of what was told. namespace is "" for cluster-scoped ones; object is the last state,
	 * or NULL when a new list shows that it is gone. */
	void (*remove)(void *arg, const char *namespace, const char *name, struct cox_doc *object);
	/* The list is complete, and all that vanished was removed: what was told is the whole. Called
	 * after the first list and after every new one. */
	void (*synced)(void *arg);
	/* Something failed, and will be tried again; for conditions and logs. Once for each try. */
	void (*failed)(void *arg, const struct cox_kube_answer *answer);
	void *arg;
};

/* Starts at once. remove, synced and failed may be NULL. */
struct cox_watch *cox_watch_new(struct cox_kube *kube, const struct cox_watch_options *options);
/* Also from inside its own callbacks. */
void cox_watch_free(struct cox_watch *watch);
DEFINE_CLEANUP(struct cox_watch *, cox_watch_free);
bool cox_watch_is_synced(const struct cox_watch *watch);
/* Lists that were begun, from 1: what is told belongs to this one, or to the stream after it. */
unsigned cox_watch_round(const struct cox_watch *watch);
/* resourceVersion of the last list, in synced; later of the last event. NULL: none yet. */
const char *cox_watch_version(const struct cox_watch *watch);
/* Objects that exist; 0 with forget. */
size_t cox_watch_len(const struct cox_watch *watch);
const struct cox_kube_resource *cox_watch_resource(const struct cox_watch *watch);

#endif
