#include "common/kube/discovery.h"

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/kube/client_private.h"
#include "common/kube/meta.h"

#include <string.h>

enum { MIN_PAUSE_MS = 2000 };

static const char ACCEPT[] =
	"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
	"application/json";

/* One group and version, in the server's order; the preferred version of a group comes first. */
struct group_version {
	char *group, *version;
	bool failed;
	COX_VEC(struct cox_kube_resource *) resources;
	struct scan *scan; /* while it is being read */
	struct cox_kube_call *call;
};

struct table {
	COX_VEC(struct group_version *) groups;
	COX_VEC(const struct cox_kube_resource *) all; /* of groups, in order */
	struct cox_map by_kind; /* "group/version/kind", and "group//kind" for the preferred */
	COX_VEC(char *) failed;
};

/* A reading under way: the two roots, then, the older way, each group and version. */
struct scan {
	struct cox_discovery *discovery;
	struct table *table;
	struct cox_kube_call *core, *groups;
	unsigned n_open;
	struct cox_error error;
};

struct waiter {
	struct cox_list node;
	cox_discovery_done *done;
	cox_discovery_found *found;
	char *group, *version, *kind;
	void *arg;
};

struct cox_discovery {
	struct cox_kube *kube;
	struct table *table; /* NULL: never read */
	struct scan *scan;   /* NULL: none under way */
	struct cox_list waiting, calling;
	uint64_t generation;
	int64_t last_ms;
	bool *freed; /* set by whoever frees it below on the stack */
};

/* ---- tables ---- */

struct cox_kube_resource *cox_kube_resource_copy(const struct cox_kube_resource *r)
{
	const char *const texts[] = {r->group, r->version, r->kind, r->plural};
	const char *copies[4];
	size_t size = sizeof(*r);

	for (int i = 0; i < 4; i++)
		size += strlen(texts[i]) + 1;
	struct cox_kube_resource *copy = cox_malloc(size);
	char *at = (char *)(copy + 1);
	for (int i = 0; i < 4; i++) {
		size_t n = strlen(texts[i]) + 1;
		copies[i] = memcpy(at, texts[i], n);
		at += n;
	}
	*copy = *r;
	copy->group = copies[0];
	copy->version = copies[1];
	copy->kind = copies[2];
	copy->plural = copies[3];
	return copy;
}

static void free_group(struct group_version *g)
{
	COX_VEC_EACH (&g->resources, r)
		free(*r);
	cox_vec_fini(&g->resources);
	cox_kube_cancel(g->call);
	free(g->group);
	free(g->version);
	free(g);
}

static void free_table(struct table *t)
{
	if (!t)
		return;
	COX_VEC_EACH (&t->groups, g)
		free_group(*g);
	COX_VEC_EACH (&t->failed, text)
		free(*text);
	cox_vec_fini(&t->groups);
	cox_vec_fini(&t->all);
	cox_vec_fini(&t->failed);
	cox_map_fini(&t->by_kind);
	free(t);
}

static struct group_version *new_group(struct cox_str group, struct cox_str version)
{
	struct group_version *g = cox_new(struct group_version);

	g->group = cox_str_dup(group);
	g->version = cox_str_dup(version);
	return g;
}

static char *kind_key(const char *group, const char *version, const char *kind)
{
	return cox_asprintf("%s/%s/%s", group, version, kind);
}

static void index_resource(struct table *t, const struct cox_kube_resource *r)
{
	_cleanup_free_ char *exact = kind_key(r->group, r->version, r->kind);
	_cleanup_free_ char *any = kind_key(r->group, "", r->kind);

	cox_vec_push(&t->all, r);
	/* The first one stays: of two resources with one kind, and of several versions. */
	if (!cox_map_has(&t->by_kind, exact))
		cox_map_set(&t->by_kind, exact, (void *)r);
	if (!cox_map_has(&t->by_kind, any))
		cox_map_set(&t->by_kind, any, (void *)r);
}

/* What the table before knew of a group that cannot be read now. */
static void inherit(struct group_version *g, const struct table *before)
{
	for (size_t i = 0; before && i < before->groups.n; i++) {
		const struct group_version *old = before->groups.items[i];
		if (!cox_streq(old->group, g->group) || !cox_streq(old->version, g->version))
			continue;
		for (size_t k = 0; k < old->resources.n; k++)
			cox_vec_push(&g->resources,
				     cox_kube_resource_copy(old->resources.items[k]));
	}
}

static void index_table(struct table *t, const struct table *before)
{
	COX_VEC_EACH (&t->groups, at) {
		struct group_version *g = *at;
		if (g->failed) {
			cox_vec_push(&t->failed,
				     *g->group ? cox_asprintf("%s/%s", g->group, g->version)
					       : cox_strdup(g->version));
			inherit(g, before);
		}
		for (size_t i = 0; i < g->resources.n; i++)
			index_resource(t, g->resources.items[i]);
	}
}

static bool same_tables(const struct table *a, const struct table *b)
{
	if (!a || !b || a->all.n != b->all.n)
		return false;
	for (size_t i = 0; i < a->all.n; i++) {
		const struct cox_kube_resource *x = a->all.items[i], *y = b->all.items[i];
		if (strcmp(x->group, y->group) != 0 || strcmp(x->version, y->version) != 0 ||
		    strcmp(x->kind, y->kind) != 0 || strcmp(x->plural, y->plural) != 0 ||
		    x->namespaced != y->namespaced || x->verbs != y->verbs)
			return false;
	}
	return true;
}

/* ---- documents in ---- */

static const struct {
	const char *name;
	unsigned verb;
} verb_names[] = {
	{"get", COX_VERB_GET},	     {"list", COX_VERB_LIST},
	{"watch", COX_VERB_WATCH},   {"create", COX_VERB_CREATE},
	{"update", COX_VERB_UPDATE}, {"patch", COX_VERB_PATCH},
	{"delete", COX_VERB_DELETE}, {"deletecollection", COX_VERB_DELETECOLLECTION},
};

static unsigned read_verbs(const struct cox_node *list)
{
	unsigned verbs = 0;

	for (size_t i = 0; i < cox_node_len(list); i++)
		for (size_t k = 0; k < COX_ARRAY_LEN(verb_names); k++)
			if (cox_str_is(cox_node_str(cox_node_at(list, i)), verb_names[k].name))
				verbs |= verb_names[k].verb;
	return verbs;
}

static void add_resource(struct group_version *g, struct cox_str plural, struct cox_str kind,
			 bool namespaced, const struct cox_node *verbs)
{
	_cleanup_free_ char *p = cox_str_dup(plural), *k = cox_str_dup(kind);
	const struct cox_kube_resource r = {.group = g->group,
					    .version = g->version,
					    .kind = k,
					    .plural = p,
					    .namespaced = namespaced,
					    .verbs = read_verbs(verbs)};

	if (plural.len == 0 || kind.len == 0 || memchr(plural.ptr, '/', plural.len))
		return; /* a subresource, or nothing that can be called upon */
	cox_vec_push(&g->resources, cox_kube_resource_copy(&r));
}

/* An item of an APIGroupDiscoveryList: its versions, the preferred one first. */
static void read_group_discovery(struct table *t, const struct cox_node *item)
{
	struct cox_str group = cox_meta_name(item);
	const struct cox_node *versions = cox_node_get(item, "versions");

	for (size_t i = 0; i < cox_node_len(versions); i++) {
		const struct cox_node *version = cox_node_at(versions, i);
		const struct cox_node *list = cox_node_get(version, "resources");
		struct group_version *g =
			new_group(group, cox_node_str(cox_node_get(version, "version")));
		g->failed = cox_str_is(cox_node_str(cox_node_get(version, "freshness")), "Stale") &&
			    cox_node_len(list) == 0;
		for (size_t k = 0; k < cox_node_len(list); k++) {
			const struct cox_node *r = cox_node_at(list, k);
			add_resource(
				g, cox_node_str(cox_node_get(r, "resource")),
				cox_node_str(COX_GET(r, "responseKind", "kind")),
				cox_str_is(cox_node_str(cox_node_get(r, "scope")), "Namespaced"),
				cox_node_get(r, "verbs"));
		}
		cox_vec_push(&t->groups, g);
	}
}

static void read_resource_list(struct group_version *g, const struct cox_node *root)
{
	const struct cox_node *list = cox_node_get(root, "resources");

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *r = cox_node_at(list, i);
		add_resource(g, cox_node_str(cox_node_get(r, "name")),
			     cox_node_str(cox_node_get(r, "kind")),
			     cox_node_bool(cox_node_get(r, "namespaced"), false),
			     cox_node_get(r, "verbs"));
	}
}

/* ---- a scan ---- */

static void end_scan(struct scan *scan);

static void close_one(struct scan *scan)
{
	if (--scan->n_open == 0)
		end_scan(scan);
}

static void on_resource_list(void *arg, const struct cox_kube_answer *answer)
{
	struct group_version *g = arg;

	g->call = NULL;
	if (answer->error->code)
		g->failed = true;
	else
		read_resource_list(g, cox_doc_root(answer->doc));
	close_one(g->scan);
}

static void ask_group(struct scan *scan, struct cox_str group, struct cox_str version)
{
	struct group_version *g = new_group(group, version);
	_cleanup_free_ char *path =
		cox_asprintf(*g->group ? "/apis/%s/%s" : "/api%s/%s", g->group, g->version);

	g->scan = scan;
	cox_vec_push(&scan->table->groups, g);
	scan->n_open++;
	/* Not tried again: a server behind the server that is down would hold up all. */
	g->call = cox_kube_send(scan->discovery->kube,
				&(struct cox_kube_request){.method = "GET",
							   .path = path,
							   .no_retry = true,
							   .done = on_resource_list,
							   .arg = g});
}

/* An item of an APIGroupList. */
static void ask_versions(struct scan *scan, const struct cox_node *item)
{
	struct cox_str group = cox_node_str(cox_node_get(item, "name"));
	struct cox_str preferred = cox_node_str(COX_GET(item, "preferredVersion", "version"));
	const struct cox_node *versions = cox_node_get(item, "versions");

	if (preferred.len)
		ask_group(scan, group, preferred);
	for (size_t i = 0; i < cox_node_len(versions); i++) {
		struct cox_str version =
			cox_node_str(cox_node_get(cox_node_at(versions, i), "version"));
		if (version.len && !cox_str_eq(version, preferred))
			ask_group(scan, group, version);
	}
}

static void read_root(struct scan *scan, const struct cox_kube_answer *answer)
{
	const struct cox_node *root = cox_doc_root(answer->doc);
	struct cox_str kind = cox_meta_kind(root);

	if (answer->error->code) {
		scan->error = *answer->error;
		return;
	}
	if (cox_str_is(kind, "APIGroupDiscoveryList")) {
		const struct cox_node *items = cox_node_get(root, "items");
		for (size_t i = 0; i < cox_node_len(items); i++)
			read_group_discovery(scan->table, cox_node_at(items, i));
	} else if (cox_str_is(kind, "APIGroupList")) {
		const struct cox_node *groups = cox_node_get(root, "groups");
		for (size_t i = 0; i < cox_node_len(groups); i++)
			ask_versions(scan, cox_node_at(groups, i));
	} else if (cox_str_is(kind, "APIVersions")) {
		const struct cox_node *versions = cox_node_get(root, "versions");
		for (size_t i = 0; i < cox_node_len(versions); i++)
			ask_group(scan, COX_STR(""), cox_node_str(cox_node_at(versions, i)));
	} else {
		cox_error(&scan->error, COX_FAILED_PRECONDITION,
			  "this is no Kubernetes API: discovery answered a '%.*s'",
			  COX_STR_ARG(kind));
	}
}

static void ask_root(struct scan *scan, const char *path, cox_kube_done *done,
		     struct cox_kube_call **ret_call)
{
	scan->n_open++;
	*ret_call =
		cox_kube_send(scan->discovery->kube, &(struct cox_kube_request){.method = "GET",
										.path = path,
										.accept = ACCEPT,
										.done = done,
										.arg = scan});
}

static void on_groups(void *arg, const struct cox_kube_answer *answer)
{
	struct scan *scan = arg;

	scan->groups = NULL;
	read_root(scan, answer);
	close_one(scan);
}

/* The core first, so that it stands in front. */
static void on_core(void *arg, const struct cox_kube_answer *answer)
{
	struct scan *scan = arg;

	scan->core = NULL;
	read_root(scan, answer);
	if (!scan->error.code)
		ask_root(scan, "/apis", on_groups, &scan->groups);
	close_one(scan);
}

static void free_scan(struct scan *scan)
{
	if (!scan)
		return;
	cox_kube_cancel(scan->core);
	cox_kube_cancel(scan->groups);
	free_table(scan->table);
	free(scan);
}

/* ---- waiters ---- */

static void free_waiter(struct waiter *w)
{
	cox_list_remove(&w->node);
	free(w->group);
	free(w->version);
	free(w->kind);
	free(w);
}

static void say_unknown(const struct cox_discovery *d, const char *group, const char *version,
			const char *kind, struct cox_error *ret_error)
{
	const char *slash = *group && *version ? "/" : "";
	const char *in = *group || *version ? " in " : "";

	cox_error(ret_error, COX_NOT_FOUND, "the cluster has no kind '%s'%s%s%s%s%s", kind, in,
		  group, slash, version,
		  d->table && d->table->failed.n ? " (some API groups could not be read)" : "");
}

static void call_waiter(struct cox_discovery *d, struct waiter *w, const struct cox_error *error)
{
	struct waiter copy = *w;
	struct cox_error unknown = *error;

	w->group = w->version = w->kind = NULL;
	free_waiter(w);
	if (copy.done) {
		copy.done(copy.arg, error);
	} else {
		const struct cox_kube_resource *r =
			cox_discovery_find(d, copy.group, copy.version, copy.kind);
		if (!r && !error->code)
			say_unknown(d, copy.group, copy.version, copy.kind, &unknown);
		if (r)
			unknown = COX_ERROR_INIT;
		copy.found(copy.arg, r, &unknown);
	}
	free(copy.group);
	free(copy.version);
	free(copy.kind);
}

static void end_scan(struct scan *scan)
{
	struct cox_discovery *d = scan->discovery;
	struct cox_error error = scan->error;
	struct table *before = NULL;
	struct waiter *w;
	bool freed = false;

	d->scan = NULL;
	d->last_ms = cox_loop_now_ms(cox_kube_loop(d->kube));
	if (!error.code) {
		index_table(scan->table, d->table);
		if (!same_tables(scan->table, d->table))
			d->generation++;
		before = d->table;
		d->table = TAKE(scan->table);
	}
	free_scan(scan);
	COX_LIST_EACH(&d->waiting, node)
	{
		cox_list_remove(node);
		cox_list_append(&d->calling, node);
	}
	d->freed = &freed;
	while (!freed && (w = COX_LIST_FIRST(&d->calling, struct waiter, node)))
		call_waiter(d, w, &error);
	if (!freed)
		d->freed = NULL;
	/* Whoever held a resource of the old table was told by now. */
	free_table(before);
}

static void start_scan(struct cox_discovery *d)
{
	if (d->scan)
		return;
	d->scan = cox_new(struct scan);
	d->scan->discovery = d;
	d->scan->table = cox_new(struct table);
	ask_root(d->scan, "/api", on_core, &d->scan->core);
}

static struct waiter *add_waiter(struct cox_discovery *d, void *arg)
{
	struct waiter *w = cox_new(struct waiter);

	w->arg = arg;
	cox_list_append(&d->waiting, &w->node);
	return w;
}

/* ---- what others call ---- */

struct cox_discovery *cox_discovery_new(struct cox_kube *kube)
{
	struct cox_discovery *d = cox_new(struct cox_discovery);

	d->kube = kube;
	cox_list_init(&d->waiting);
	cox_list_init(&d->calling);
	return d;
}

static void drop_waiters(struct cox_list *list, const void *arg, bool all)
{
	COX_LIST_EACH(list, node)
	{
		struct waiter *w = COX_LIST_ENTRY(node, struct waiter, node);
		if (all || w->arg == arg)
			free_waiter(w);
	}
}

void cox_discovery_free(struct cox_discovery *d)
{
	if (!d)
		return;
	if (d->freed)
		*d->freed = true;
	drop_waiters(&d->waiting, NULL, true);
	drop_waiters(&d->calling, NULL, true);
	free_scan(d->scan);
	free_table(d->table);
	free(d);
}

void cox_discovery_forget(struct cox_discovery *d, void *arg)
{
	drop_waiters(&d->waiting, arg, false);
	drop_waiters(&d->calling, arg, false);
}

void cox_discovery_refresh(struct cox_discovery *d, cox_discovery_done *done, void *arg)
{
	if (done)
		add_waiter(d, arg)->done = done;
	start_scan(d);
}

bool cox_discovery_is_ready(const struct cox_discovery *d)
{
	return d->table;
}

uint64_t cox_discovery_generation(const struct cox_discovery *d)
{
	return d->generation;
}

const struct cox_kube_resource *cox_discovery_find(const struct cox_discovery *d, const char *group,
						   const char *version, const char *kind)
{
	_cleanup_free_ char *key = kind_key(group, version ? version : "", kind);

	return d->table ? cox_map_get(&d->table->by_kind, key) : NULL;
}

void cox_discovery_lookup(struct cox_discovery *d, const char *group, const char *version,
			  const char *kind, cox_discovery_found *done, void *arg)
{
	const struct cox_kube_resource *r = cox_discovery_find(d, group, version, kind);
	struct cox_error error = COX_ERROR_INIT;
	int64_t age_ms = cox_loop_now_ms(cox_kube_loop(d->kube)) - d->last_ms;

	version = version ? version : "";
	if (r) {
		done(arg, r, &error);
		return;
	}
	if (d->table && !d->scan && age_ms < MIN_PAUSE_MS) {
		say_unknown(d, group, version, kind, &error);
		done(arg, NULL, &error);
		return;
	}
	struct waiter *w = add_waiter(d, arg);
	w->found = done;
	w->group = cox_strdup(group);
	w->version = cox_strdup(version);
	w->kind = cox_strdup(kind);
	start_scan(d);
}

const struct cox_kube_resource *cox_discovery_at(const struct cox_discovery *d, size_t i)
{
	return d->table && i < d->table->all.n ? d->table->all.items[i] : NULL;
}

bool cox_discovery_is_preferred(const struct cox_discovery *d,
				const struct cox_kube_resource *resource)
{
	return cox_discovery_find(d, resource->group, NULL, resource->kind) == resource;
}

const char *cox_discovery_failed(const struct cox_discovery *d, size_t i)
{
	return d->table && i < d->table->failed.n ? d->table->failed.items[i] : NULL;
}
