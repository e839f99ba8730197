/* Where the objects are: shelves (one a kind, whatever number of versions serve it), one counter of
 * resource versions for all of them, and the window of events that watches are fed from.
 *
 * Objects are sealed documents that share nothing with what they were made from. The window holds
 * the last `max_events` changes; who asks for older ones gets 410. Threads: one. */
#ifndef KUBESIM_STORE_H
#define KUBESIM_STORE_H

#include "common/base/map.h"
#include "common/doc/doc.h"

struct ks_object {
	struct cox_doc *doc;
	uint64_t rv;
	char *key; /* "namespace/name", or "name" */
	char *uid;
};

struct ks_shelf {
	char *group, *resource;
	struct ks_object *items; /* sorted by key */
	size_t n, cap;
	uint64_t rv; /* of the last change here */
};

enum ks_event_type { KS_ADDED, KS_MODIFIED, KS_DELETED };

struct ks_event {
	enum ks_event_type type;
	uint64_t rv;
	struct ks_shelf *shelf;
	struct cox_doc *before, *after; /* references; DELETED has its last state in both */
};

struct ks_store {
	struct cox_map shelves;	 /* "group/resource" -> struct ks_shelf * */
	struct cox_map uids;	 /* uid -> struct ks_uid * */
	struct ks_event *events; /* ring */
	size_t n_events, first_event, max_events;
	uint64_t rv;
	uint64_t lost_rv; /* the newest that fell out of the window */
	/* Called after every change; may not change the store. */
	void (*changed)(void *arg, const struct ks_event *event);
	void *arg;
};

struct ks_uid {
	struct ks_shelf *shelf;
	char *key;
};

void ks_store_init(struct ks_store *s, size_t max_events);
void ks_store_fini(struct ks_store *s);
/* Makes it when there is none. */
struct ks_shelf *ks_store_shelf(struct ks_store *s, const char *group, const char *resource);

/* The object, borrowed until the next change; NULL when there is none. */
struct ks_object *ks_shelf_get(struct ks_shelf *shelf, const char *ns, const char *name);
struct ks_object *ks_shelf_get_key(struct ks_shelf *shelf, const char *key);
/* Index of the first object whose key is >= key. */
size_t ks_shelf_lower(const struct ks_shelf *shelf, const char *key);
struct ks_object *ks_store_by_uid(struct ks_store *s, const char *uid, struct ks_shelf **ret_shelf);

/* Puts the object that root describes in place of the one with its key: gives it the next resource
 * version and returns the stored document (borrowed). */
struct cox_doc *ks_store_put(struct ks_store *s, struct ks_shelf *shelf,
			     const struct cox_node *root);
/* The same with its own resource version, without an event: for loading. */
void ks_store_load(struct ks_store *s, struct ks_shelf *shelf, struct cox_doc *doc);
/* The event shows the last state, at the version of the deletion. */
void ks_store_delete(struct ks_store *s, struct ks_shelf *shelf, const char *key);

/* Event i in order of time, i < n_events. */
const struct ks_event *ks_store_event(const struct ks_store *s, size_t i);
/* Index of the first event with a version > rv. */
size_t ks_store_after(const struct ks_store *s, uint64_t rv);

#endif
