#include "tests/kubesim/store.h"

#include "common/kube/meta.h"

#include <inttypes.h>
#include <stdio.h>

void ks_store_init(struct ks_store *s, size_t max_events)
{
	*s = (struct ks_store){.max_events = max_events};
	s->events = cox_new_n(struct ks_event, max_events);
}

static void object_fini(struct ks_object *o)
{
	cox_doc_unref(o->doc);
	free(o->key);
	free(o->uid);
}

static void shelf_free(void *value)
{
	struct ks_shelf *shelf = value;

	for (size_t i = 0; i < shelf->n; i++)
		object_fini(&shelf->items[i]);
	free(shelf->items);
	free(shelf->group);
	free(shelf->resource);
	free(shelf);
}

static void uid_free(void *value)
{
	struct ks_uid *uid = value;

	free(uid->key);
	free(uid);
}

static void event_fini(struct ks_event *e)
{
	cox_doc_unref(e->before);
	cox_doc_unref(e->after);
}

void ks_store_fini(struct ks_store *s)
{
	for (size_t i = 0; i < s->n_events; i++)
		event_fini(&s->events[(s->first_event + i) % s->max_events]);
	free(s->events);
	cox_map_fini_values(&s->shelves, shelf_free);
	cox_map_fini_values(&s->uids, uid_free);
}

struct ks_shelf *ks_store_shelf(struct ks_store *s, const char *group, const char *resource)
{
	_cleanup_free_ char *key = cox_asprintf("%s/%s", group, resource);
	struct ks_shelf *shelf = cox_map_get(&s->shelves, key);

	if (shelf)
		return shelf;
	shelf = cox_new(struct ks_shelf);
	shelf->group = cox_strdup(group);
	shelf->resource = cox_strdup(resource);
	shelf->rv = s->rv;
	cox_map_set(&s->shelves, key, shelf);
	return shelf;
}

size_t ks_shelf_lower(const struct ks_shelf *shelf, const char *key)
{
	size_t low = 0, high = shelf->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (strcmp(shelf->items[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct ks_object *ks_shelf_get_key(struct ks_shelf *shelf, const char *key)
{
	size_t at = ks_shelf_lower(shelf, key);

	return at < shelf->n && strcmp(shelf->items[at].key, key) == 0 ? &shelf->items[at] : NULL;
}

static char *key_of(const char *ns, const char *name)
{
	return ns && *ns ? cox_asprintf("%s/%s", ns, name) : cox_strdup(name);
}

struct ks_object *ks_shelf_get(struct ks_shelf *shelf, const char *ns, const char *name)
{
	_cleanup_free_ char *key = key_of(ns, name);

	return ks_shelf_get_key(shelf, key);
}

struct ks_object *ks_store_by_uid(struct ks_store *s, const char *uid, struct ks_shelf **ret_shelf)
{
	struct ks_uid *at = cox_map_get(&s->uids, uid);

	if (!at)
		return NULL;
	*ret_shelf = at->shelf;
	return ks_shelf_get_key(at->shelf, at->key);
}

static void push_event(struct ks_store *s, struct ks_event e)
{
	if (s->n_events == s->max_events) {
		struct ks_event *oldest = &s->events[s->first_event];
		s->lost_rv = oldest->rv;
		event_fini(oldest);
		s->first_event = (s->first_event + 1) % s->max_events;
		s->n_events--;
	}
	size_t at = (s->first_event + s->n_events++) % s->max_events;
	s->events[at] = e;
	e.shelf->rv = e.rv;
	if (s->changed)
		s->changed(s->arg, &s->events[at]);
}

const struct ks_event *ks_store_event(const struct ks_store *s, size_t i)
{
	return &s->events[(s->first_event + i) % s->max_events];
}

size_t ks_store_after(const struct ks_store *s, uint64_t rv)
{
	size_t low = 0, high = s->n_events;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (ks_store_event(s, mid)->rv <= rv)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* A copy of root with that resource version. */
static struct cox_doc *versioned(const struct cox_node *root, uint64_t rv)
{
	struct cox_doc *doc = cox_doc_new("object");
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, rv);
	cox_doc_set_root(doc, cox_doc_clone(doc, root));
	struct cox_node *own = cox_doc_root_edit(doc);
	struct cox_node *metadata = cox_map_edit_map(doc, own, "metadata");
	cox_map_put_cstr(doc, metadata, "resourceVersion", text);
	return cox_doc_seal(doc);
}

static void remember_uid(struct ks_store *s, struct ks_shelf *shelf, const struct ks_object *o)
{
	struct ks_uid *uid = cox_new(struct ks_uid);

	*uid = (struct ks_uid){.shelf = shelf, .key = cox_strdup(o->key)};
	void *old = cox_map_set(&s->uids, o->uid, uid);
	if (old)
		uid_free(old);
}

static struct ks_object *insert(struct ks_store *s, struct ks_shelf *shelf, struct cox_doc *doc,
				uint64_t rv)
{
	const struct cox_node *root = cox_doc_root(doc);
	_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(root));
	_cleanup_free_ char *name = cox_str_dup(cox_meta_name(root));
	struct ks_object o = {.doc = doc, .rv = rv, .key = key_of(ns, name)};

	o.uid = cox_str_dup(cox_meta_uid(root));
	size_t at = ks_shelf_lower(shelf, o.key);
	cox_vec_insert(shelf, at, o);
	remember_uid(s, shelf, &shelf->items[at]);
	return &shelf->items[at];
}

struct cox_doc *ks_store_put(struct ks_store *s, struct ks_shelf *shelf,
			     const struct cox_node *root)
{
	_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(root));
	_cleanup_free_ char *name = cox_str_dup(cox_meta_name(root));
	struct cox_doc *doc = versioned(root, ++s->rv);
	struct ks_object *old = ks_shelf_get(shelf, ns, name);
	struct ks_event e = {.rv = s->rv, .shelf = shelf, .after = cox_doc_ref(doc)};

	if (old) {
		e.type = KS_MODIFIED;
		e.before = old->doc;
		old->doc = doc;
		old->rv = s->rv;
	} else {
		e.type = KS_ADDED;
		insert(s, shelf, doc, s->rv);
	}
	push_event(s, e);
	return doc;
}

void ks_store_load(struct ks_store *s, struct ks_shelf *shelf, struct cox_doc *doc)
{
	struct cox_str text = cox_meta_resource_version(cox_doc_root(doc));
	uint64_t rv = strtoull(text.ptr ? text.ptr : "0", NULL, 10);

	insert(s, shelf, cox_doc_ref(doc), rv);
	if (rv > s->rv)
		s->rv = rv;
	shelf->rv = s->rv;
	s->lost_rv = s->rv;
}

void ks_store_delete(struct ks_store *s, struct ks_shelf *shelf, const char *key)
{
	struct ks_object *o = ks_shelf_get_key(shelf, key);

	if (!o)
		return;
	struct ks_event e = {.type = KS_DELETED, .rv = ++s->rv, .shelf = shelf};
	e.before = cox_doc_ref(o->doc);
	e.after = versioned(cox_doc_root(o->doc), s->rv);
	void *uid = cox_map_remove(&s->uids, o->uid);
	if (uid)
		uid_free(uid);
	object_fini(o);
	size_t at = (size_t)(o - shelf->items);
	cox_vec_remove(shelf, at);
	push_event(s, e);
}
