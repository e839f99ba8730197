#include "agent/sync/tree.h"

#include "agent/sync/app.h"
#include "agent/sync/judge.h"
#include "common/base/clock.h"

#include <inttypes.h>
#include <stdlib.h>

#define TELL_MS	   1000 /* changes of one second are told together */
#define SWEEP_MS   1000
#define SWEEPS_MAX 20 /* namespaces of a kind: from here on one list of all is cheaper */

/* ---- the table ---- */

static const struct {
	const char *group, *kind; /* any version */
	struct agent_child_kind child;
} grows[] = {
	{"apps", "Deployment", {"apps", "v1", "ReplicaSet"}},
	{"apps", "ReplicaSet", {"", "v1", "Pod"}},
	{"apps", "StatefulSet", {"", "v1", "Pod"}},
	{"apps", "StatefulSet", {"", "v1", "PersistentVolumeClaim"}},
	{"apps", "DaemonSet", {"", "v1", "Pod"}},
	{"", "ReplicationController", {"", "v1", "Pod"}},
	{"batch", "CronJob", {"batch", "v1", "Job"}},
	{"batch", "Job", {"", "v1", "Pod"}},
	{"", "Service", {"discovery.k8s.io", "v1", "EndpointSlice"}},
	{"argoproj.io", "Rollout", {"apps", "v1", "ReplicaSet"}},
	{"argoproj.io", "Rollout", {"argoproj.io", "v1alpha1", "AnalysisRun"}},
	{"argoproj.io", "CronWorkflow", {"argoproj.io", "v1alpha1", "Workflow"}},
	{"argoproj.io", "Workflow", {"", "v1", "Pod"}},
	{"cert-manager.io", "Certificate", {"cert-manager.io", "v1", "CertificateRequest"}},
	{"cert-manager.io", "CertificateRequest", {"acme.cert-manager.io", "v1", "Order"}},
	{"acme.cert-manager.io", "Order", {"acme.cert-manager.io", "v1", "Challenge"}},
	{"postgresql.cnpg.io", "Cluster", {"", "v1", "Pod"}},
	{"postgresql.cnpg.io", "Cluster", {"", "v1", "PersistentVolumeClaim"}},
};

/* "group/version/kind" */
static void split_id(const struct agent_kind *kind, struct cox_str *ret_group,
		     struct cox_str *ret_kind)
{
	struct cox_str rest = cox_str(kind->id), version;

	cox_str_split(&rest, '/', ret_group);
	cox_str_split(&rest, '/', &version);
	*ret_kind = rest;
}

void agent_tree_each_child_kind(const struct agent_kind *kind,
				void (*fn)(struct agent_engine *e,
					   const struct agent_child_kind *child, void *ctx),
				void *ctx)
{
	struct cox_str group, name;

	split_id(kind, &group, &name);
	for (size_t i = 0; i < COX_ARRAY_LEN(grows); i++)
		if (cox_str_is(group, grows[i].group) && cox_str_is(name, grows[i].kind))
			fn(kind->engine, &grows[i].child, ctx);
}

static bool is_parent_of(const struct agent_kind *parent, const struct agent_kind *kind)
{
	struct cox_str group, name, child_group, child_name;

	split_id(parent, &group, &name);
	split_id(kind, &child_group, &child_name);
	for (size_t i = 0; i < COX_ARRAY_LEN(grows); i++)
		if (cox_str_is(group, grows[i].group) && cox_str_is(name, grows[i].kind) &&
		    cox_str_is(child_group, grows[i].child.group) &&
		    cox_str_is(child_name, grows[i].child.kind))
			return true;
	return false;
}

bool agent_tree_may_list(const struct agent_kind *kind)
{
	COX_MAP_EACH (&kind->engine->kinds, slot) {
		const struct agent_kind *parent = slot->value;

		/* one that cannot be listed keeps nothing waiting */
		if (parent->resource && !parent->synced && !parent->error &&
		    is_parent_of(parent, kind))
			return false;
	}
	return true;
}

/* ---- nodes ---- */

struct agent_node {
	struct agent_kind *kind;
	struct agent_node *parent;		 /* NULL: the entry itself */
	struct agent_entry *entry;		 /* the root */
	struct agent_node *first, *next, **link; /* children, siblings, who points here */
	struct agent_node *chain;
	uint64_t hash, uid_hash, resource_version;
	int64_t created_ms;
	uint32_t round;
	unsigned depth; /* 1: the entry's children */
	enum cox_health_status health;
	char *message, *info; /* NULL: none */
	char key_text[];
};

static uint64_t hash_str(struct cox_str s)
{
	return cox_hash(s.ptr, s.len);
}

static struct agent_node *find(const struct agent_tree *t, struct cox_str key_text)
{
	uint64_t hash = hash_str(key_text);

	if (!t->n)
		return NULL;
	for (struct agent_node *n = t->buckets[hash & (t->n_buckets - 1)]; n; n = n->chain)
		if (n->hash == hash && cox_str_is(key_text, n->key_text))
			return n;
	return NULL;
}

static void resize(struct agent_tree *t, size_t n_buckets)
{
	struct agent_node **buckets = cox_new_n(struct agent_node *, n_buckets);

	for (size_t i = 0; i < t->n_buckets; i++) {
		for (struct agent_node *n = t->buckets[i], *next; n; n = next) {
			struct agent_node **bucket = &buckets[n->hash & (n_buckets - 1)];

			next = n->chain;
			n->chain = *bucket;
			*bucket = n;
		}
	}
	free(t->buckets);
	t->buckets = buckets;
	t->n_buckets = n_buckets;
}

static struct agent_node *node_new(struct agent_kind *kind, struct cox_str key_text)
{
	struct agent_tree *t = &kind->engine->tree;
	struct agent_node *n = cox_calloc(1, sizeof(*n) + key_text.len + 1), **bucket;

	if (t->n >= t->n_buckets)
		resize(t, t->n_buckets ? 2 * t->n_buckets : 64);
	n->kind = kind;
	memcpy(n->key_text, key_text.ptr, key_text.len);
	n->hash = hash_str(key_text);
	bucket = &t->buckets[n->hash & (t->n_buckets - 1)];
	n->chain = *bucket;
	*bucket = n;
	t->n++;
	return n;
}

static void unlink_node(struct agent_node *n)
{
	*n->link = n->next;
	if (n->next)
		n->next->link = n->link;
}

static void link_node(struct agent_node *n, struct agent_node *parent, struct agent_entry *entry)
{
	struct agent_node **head = parent ? &parent->first : &entry->below;

	n->parent = parent;
	n->entry = entry;
	n->depth = parent ? parent->depth + 1 : 1;
	n->next = *head;
	if (n->next)
		n->next->link = &n->next;
	n->link = head;
	*head = n;
}

static void changed(struct agent_app *app)
{
	app->tree_changed = true;
	if (!app->engine->is_freed && !cox_timer_is_running(&app->engine->tree.tell))
		cox_timer_start(&app->engine->tree.tell, TELL_MS);
}

/* With all that is below it. */
static void node_free(struct agent_node *n)
{
	struct agent_tree *t = &n->kind->engine->tree;
	struct agent_node **at = &t->buckets[n->hash & (t->n_buckets - 1)];

	while (n->first)
		node_free(n->first);
	changed(n->entry->app);
	unlink_node(n);
	while (*at != n)
		at = &(*at)->chain;
	*at = n->chain;
	t->n--;
	free(n->message);
	free(n->info);
	free(n);
}

/* ---- owners ---- */

struct owner {
	struct agent_node *node;   /* NULL: the entry itself */
	struct agent_entry *entry; /* NULL: none of ours */
};

static struct agent_entry *live_entry(struct agent_engine *e, struct cox_str key_text)
{
	struct agent_entry *entry = cox_map_get_str(&e->keys, key_text);

	while (entry && !(entry->live && entry->object_uid))
		entry = entry->next;
	return entry;
}

static bool find_at(struct agent_engine *e, struct cox_object_key key, struct cox_str uid,
		    struct owner *ret)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	struct agent_entry *entry;
	struct agent_node *node;

	cox_object_key_write(&text, key);
	entry = live_entry(e, cox_buf_str(&text));
	if (entry && (!uid.len || cox_str_is(uid, entry->object_uid))) {
		*ret = (struct owner){.entry = entry};
		return true;
	}
	node = uid.len ? find(&e->tree, cox_buf_str(&text)) : NULL;
	if (!node || node->uid_hash != hash_str(uid) || node->depth >= AGENT_TREE_DEPTH_MAX)
		return false;
	*ret = (struct owner){.node = node, .entry = node->entry};
	return true;
}

static bool find_owner_of(struct agent_engine *e, const struct cox_node *object,
			  const struct cox_node *reference, struct owner *ret)
{
	struct cox_str version;
	struct cox_str uid = cox_node_str(cox_node_get(reference, "uid"));
	struct cox_object_key key = {.kind = cox_node_str(cox_node_get(reference, "kind")),
				     .namespace = cox_meta_namespace(object),
				     .name = cox_node_str(cox_node_get(reference, "name"))};

	cox_api_version_split(cox_node_str(cox_node_get(reference, "apiVersion")), &key.group,
			      &version);
	if (!uid.len || !key.kind.len || !key.name.len)
		return false;
	if (find_at(e, key, uid, ret))
		return true;
	key.namespace = COX_STR("");
	return cox_meta_namespace(object).len && find_at(e, key, uid, ret);
}

static bool is_claim(const struct agent_kind *kind)
{
	return cox_streq(kind->id, "/v1/PersistentVolumeClaim");
}

/* The claims of a StatefulSet's template have no owner: TEMPLATE-SET-ORDINAL. */
static bool find_set_of_claim(struct agent_engine *e, const struct cox_node *object,
			      struct owner *ret)
{
	struct cox_str name = cox_meta_name(object);
	size_t end = name.len;

	while (end > 0 && name.ptr[end - 1] >= '0' && name.ptr[end - 1] <= '9')
		end--;
	if (end == name.len || end < 4 || name.ptr[end - 1] != '-')
		return false;
	for (size_t i = 1; i + 2 < end; i++) {
		struct cox_object_key key = {.group = COX_STR("apps"),
					     .kind = COX_STR("StatefulSet"),
					     .namespace = cox_meta_namespace(object),
					     .name = cox_str_n(name.ptr + i + 1, end - i - 2)};

		if (name.ptr[i] == '-' && find_at(e, key, COX_STR(""), ret))
			return true;
	}
	return false;
}

/* A revision that is kept for its template only. */
static bool is_at_rest(const struct agent_kind *kind, const struct cox_node *object)
{
	return cox_str_ends(cox_str(kind->id), "/ReplicaSet") &&
	       cox_node_int(COX_GET(object, "spec", "replicas"), 1) == 0 &&
	       cox_node_int(COX_GET(object, "status", "replicas"), 0) == 0;
}

static bool find_owner(struct agent_kind *kind, const struct cox_node *object, struct owner *ret)
{
	const struct cox_node *references = cox_meta_owner_references(object);

	if (is_at_rest(kind, object))
		return false;
	for (size_t i = 0; i < cox_node_len(references); i++)
		if (find_owner_of(kind->engine, object, cox_node_at(references, i), ret))
			return true;
	return !cox_node_len(references) && is_claim(kind) &&
	       find_set_of_claim(kind->engine, object, ret);
}

/* ---- what is said of a node ---- */

/* "Running 1/2": the phase, and how many containers are ready. */
static char *pod_info(const struct cox_node *pod)
{
	const struct cox_node *list = COX_GET(pod, "status", "containerStatuses");
	const struct cox_node *containers = COX_GET(pod, "spec", "containers");
	struct cox_str phase = cox_node_str(COX_GET(pod, "status", "phase"));
	size_t n_ready = 0;

	for (size_t i = 0; i < cox_node_len(list); i++)
		n_ready += cox_node_bool(cox_node_get(cox_node_at(list, i), "ready"), false);
	return cox_asprintf("%.*s %zu/%zu", COX_STR_ARG(phase), n_ready, cox_node_len(containers));
}

static char *replica_set_info(const struct cox_node *object)
{
	return cox_asprintf("%" PRId64 "/%" PRId64,
			    cox_node_int(COX_GET(object, "status", "readyReplicas"), 0),
			    cox_node_int(COX_GET(object, "spec", "replicas"), 1));
}

static char *claim_info(const struct cox_node *object)
{
	return cox_str_dup(cox_node_str(COX_GET(object, "status", "phase")));
}

static char *info_of(const struct agent_kind *kind, const struct cox_node *object)
{
	static const struct {
		const char *id;
		char *(*fn)(const struct cox_node *object);
	} infos[] = {{"/v1/Pod", pod_info},
		     {"apps/v1/ReplicaSet", replica_set_info},
		     {"/v1/PersistentVolumeClaim", claim_info}};

	for (size_t i = 0; i < COX_ARRAY_LEN(infos); i++)
		if (cox_streq(kind->id, infos[i].id))
			return infos[i].fn(object);
	return NULL;
}

static bool set_text(char **place, char *text_taken)
{
	bool same = cox_streq(*place, text_taken);

	if (same) {
		free(text_taken);
		return false;
	}
	free(*place);
	*place = text_taken;
	return true;
}

static void describe(struct agent_node *n, const struct cox_node *object)
{
	struct cox_health h;
	bool news;

	agent_judge_briefly(n->kind->engine, object, &h);
	if (h.status == COX_HEALTH_NONE)
		h.message[0] = '\0'; /* what is guessed of kinds without a rule is no news here */
	news = n->health != h.status;
	n->health = h.status;
	news |= set_text(&n->message, h.message[0] ? cox_strdup(h.message) : NULL);
	news |= set_text(&n->info, info_of(n->kind, object));
	if (news)
		changed(n->entry->app);
}

/* ---- lists once more ---- */

/* One kind in one namespace, while its watch goes on. What that tells as deleted meanwhile is not
 * believed of a page that was read before. */
struct agent_sweep {
	struct agent_engine *engine;
	struct agent_kind *kind;
	struct cox_watch *watch;
	struct cox_map gone; /* key texts */
};

static void sweep_free(struct agent_sweep *s)
{
	cox_watch_free(s->watch);
	cox_map_fini(&s->gone);
	s->engine->tree.sweeping = NULL;
	if (s->engine->tree.wanted.n && !s->engine->is_freed)
		cox_timer_start(&s->engine->tree.sweep, 0);
	free(s);
}

static void sweep_upsert(void *arg, struct cox_doc *object)
{
	struct agent_sweep *s = arg;
	struct cox_object_key key = cox_object_key_of(cox_doc_root(object));
	_cleanup_free_ char *key_text = cox_object_key_text(key);

	if (!cox_map_has(&s->gone, key_text))
		agent_tree_upsert(s->kind, cox_doc_root(object));
}

static void sweep_synced(void *arg)
{
	sweep_free(arg);
}

static void sweep_failed(void *arg, const struct cox_kube_answer *answer)
{
	(void)answer;
	/* the next news of the objects will tell */
	sweep_free(arg);
}

static void sweep_begin(struct agent_engine *e, struct agent_kind *kind, const char *namespace)
{
	struct agent_sweep *s = cox_new(struct agent_sweep);

	s->engine = e;
	s->kind = kind;
	e->tree.sweeping = s;
	s->watch = cox_watch_new(e->o.kube,
				 &(struct cox_watch_options){.resource = kind->resource,
							     .namespace = namespace,
							     .page = AGENT_WATCH_PAGE,
							     .metadata_only = kind->metadata_only,
							     .forget = true,
							     .upsert = sweep_upsert,
							     .synced = sweep_synced,
							     .failed = sweep_failed,
							     .arg = s});
}

static size_t count_wanted(const struct agent_tree *t, const struct agent_kind *kind)
{
	size_t n = 0;

	COX_MAP_EACH (&t->wanted, slot)
		n += slot->value == kind;
	return n;
}

static void forget_wanted(struct agent_tree *t, const struct agent_kind *kind)
{
	COX_MAP_EACH (&t->wanted, slot)
		if (slot->value == kind)
			cox_map_remove(&t->wanted, slot->key);
}

/* One at a time, however many are wanted. */
static void sweep(void *arg)
{
	struct agent_engine *e = arg;
	struct agent_tree *t = &e->tree;
	struct agent_kind *kind = NULL;
	_cleanup_free_ char *key = NULL;

	if (t->sweeping)
		return;
	COX_MAP_EACH (&t->wanted, slot) {
		key = cox_strdup(slot->key);
		kind = slot->value;
		break;
	}
	if (!kind)
		return;
	if (!kind->resource) { /* the cluster has lost it since; all are listed when it is back */
		forget_wanted(t, kind);
		cox_timer_start(&t->sweep, 0);
		return;
	}
	if (count_wanted(t, kind) > SWEEPS_MAX) {
		forget_wanted(t, kind);
		agent_kind_relist(kind);
		cox_timer_start(&t->sweep, SWEEP_MS);
		return;
	}
	cox_map_remove(&t->wanted, key);
	sweep_begin(e, kind, strchr(key, ' ') + 1);
}

static void want(struct agent_kind *kind, struct cox_str namespace)
{
	struct agent_tree *t = &kind->engine->tree;

	if (!kind->synced) /* its list is yet to come */
		return;
	_cleanup_free_ char *key = cox_asprintf("%s %.*s", kind->id, COX_STR_ARG(namespace));

	cox_map_set(&t->wanted, key, kind);
	if (!cox_timer_is_running(&t->sweep) && !t->sweeping)
		cox_timer_start(&t->sweep, SWEEP_MS);
}

static void want_children(struct agent_engine *e, const struct agent_child_kind *child, void *ctx)
{
	_cleanup_free_ char *id =
		cox_asprintf("%s/%s/%s", child->group, child->version, child->kind);
	struct agent_kind *kind = cox_map_get(&e->kinds, id);

	if (kind)
		want(kind, *(const struct cox_str *)ctx);
}

/* A kind that some project brought: its controller may make objects of any kind. */
static bool is_custom(const struct agent_kind *kind)
{
	struct cox_str group, name;

	split_id(kind, &group, &name);
	return memchr(group.ptr, '.', group.len) && !cox_str_ends(group, ".k8s.io");
}

static void parent_appeared(const struct agent_kind *kind, struct cox_str namespace)
{
	agent_tree_each_child_kind(kind, want_children, &namespace);
	if (!is_custom(kind) || !namespace.len)
		return;
	COX_MAP_EACH (&kind->engine->kinds, slot) {
		struct agent_kind *other = slot->value;

		if (other->resource && other->resource->namespaced)
			want(other, namespace);
	}
}

/* ---- what watches tell ---- */

void agent_tree_upsert(struct agent_kind *kind, const struct cox_node *object)
{
	struct agent_engine *e = kind->engine;
	struct agent_tree *t = &e->tree;
	COX_CLEANUP(cox_buf_fini) struct cox_buf key_text = COX_BUF_INIT;
	uint64_t version = agent_version_number(object);
	struct owner owner = {0};
	struct agent_node *n;
	bool found = cox_node_len(cox_meta_owner_references(object)) > 0 || is_claim(kind);

	if (!found && !t->n)
		return;
	cox_object_key_write(&key_text, cox_object_key_of(object));
	n = find(t, cox_buf_str(&key_text));
	/* old news, or the same object by another version of its kind */
	if (n && (n->kind != kind || (version && version < n->resource_version)))
		return;
	/* an application's own object is a root, whoever owns it */
	found = found && !cox_map_get_str(&e->keys, cox_buf_str(&key_text)) &&
		find_owner(kind, object, &owner);
	if (n && !(found && n->uid_hash == hash_str(cox_meta_uid(object)) &&
		   n->parent == owner.node && n->entry == owner.entry)) {
		node_free(n);
		n = NULL;
		/* the owner may have been below it, in a circle */
		found = found && find_owner(kind, object, &owner);
	}
	if (!found)
		return;
	bool is_new = !n;

	if (is_new) {
		n = node_new(kind, cox_buf_str(&key_text));
		n->uid_hash = hash_str(cox_meta_uid(object));
		cox_time_parse(cox_node_str(COX_GET(object, "metadata", "creationTimestamp")),
			       &n->created_ms, NULL);
		link_node(n, owner.node, owner.entry);
		changed(owner.entry->app);
	}
	n->round = agent_kind_round(kind);
	n->resource_version = version;
	describe(n, object);
	if (is_new)
		parent_appeared(kind, cox_meta_namespace(object));
}

void agent_tree_remove(struct agent_kind *kind, const char *key_text, struct cox_str uid)
{
	struct agent_tree *t = &kind->engine->tree;
	struct agent_node *n = find(t, cox_str(key_text));

	if (t->sweeping && t->sweeping->kind == kind)
		cox_map_set(&t->sweeping->gone, key_text, t);
	if (n && !(uid.len && n->uid_hash != hash_str(uid)))
		node_free(n);
}

/* The first node of the kind that fits, from bucket *at on. */
static struct agent_node *next_of(struct agent_tree *t, const struct agent_kind *kind,
				  bool old_only, size_t *at)
{
	for (; *at < t->n_buckets; ++*at)
		for (struct agent_node *n = t->buckets[*at]; n; n = n->chain)
			if (n->kind == kind && !(old_only && n->round == agent_kind_round(kind)))
				return n;
	return NULL;
}

static void free_nodes(struct agent_kind *kind, bool old_only)
{
	struct agent_tree *t = &kind->engine->tree;
	struct agent_node *n;
	size_t at = 0;

	while ((n = next_of(t, kind, old_only, &at)))
		node_free(n);
}

void agent_tree_listed(struct agent_kind *kind)
{
	free_nodes(kind, true);
}

void agent_tree_kind_gone(struct agent_kind *kind)
{
	struct agent_tree *t = &kind->engine->tree;

	free_nodes(kind, false);
	forget_wanted(t, kind);
	if (t->sweeping && t->sweeping->kind == kind)
		sweep_free(t->sweeping);
}

bool agent_tree_has(const struct agent_engine *e, const char *key_text)
{
	return find(&e->tree, cox_str(key_text)) != NULL;
}

/* ---- roots ---- */

void agent_tree_root_appeared(struct agent_entry *entry)
{
	struct agent_node *n = find(&entry->app->engine->tree, cox_str(entry->key_text));

	agent_tree_root_gone(entry); /* what was below another object of that name */
	if (n)
		node_free(n);
	parent_appeared(entry->kind, entry->key.namespace);
	changed(entry->app);
	agent_orphans_adopted(entry);
}

void agent_tree_root_gone(struct agent_entry *entry)
{
	while (entry->below)
		node_free(entry->below);
}

/* ---- out ---- */

typedef Coxswain__Report__V1__TreeNode node_msg;
typedef Coxswain__Report__V1__ResourceKey key_msg;

struct packing {
	struct cox_arena *arena;
	node_msg *items[AGENT_TREE_NODES_MAX];
	size_t n, n_left_out;
};

static char *text(struct packing *p, struct cox_str s)
{
	return cox_arena_strndup(p->arena, s.ptr ? s.ptr : "", s.len);
}

static key_msg *key_of(struct packing *p, struct cox_object_key key, const char *version)
{
	key_msg *k = cox_arena_calloc(p->arena, sizeof(*k));

	coxswain__report__v1__resource_key__init(k);
	k->group = text(p, key.group);
	k->version = text(p, cox_str(version));
	k->kind = text(p, key.kind);
	k->namespace_ = text(p, key.namespace);
	k->name = text(p, key.name);
	return k;
}

/* NULL: there is no more room. */
static node_msg *put(struct packing *p, struct cox_object_key key, const struct agent_kind *kind)
{
	node_msg *m;

	if (p->n >= AGENT_TREE_NODES_MAX) {
		p->n_left_out++;
		return NULL;
	}
	m = cox_arena_calloc(p->arena, sizeof(*m));
	coxswain__report__v1__tree_node__init(m);
	m->key = key_of(p, key, kind->resource ? kind->resource->version : "");
	p->items[p->n++] = m;
	return m;
}

static void put_below(struct packing *p, const struct agent_node *first, size_t parent)
{
	for (const struct agent_node *n = first; n; n = n->next) {
		struct cox_object_key key;
		node_msg *m;

		cox_object_key_parse(cox_str(n->key_text), &key, NULL);
		m = put(p, key, n->kind);
		if (m) {
			m->parent = (uint32_t)parent;
			m->health = (Coxswain__Report__V1__Health)n->health;
			m->health_message = n->message ? n->message : (char *)"";
			m->info = n->info ? n->info : (char *)"";
			m->created_ms = n->created_ms;
		}
		put_below(p, n->first, p->n);
	}
}

struct orphaning {
	struct packing *p;
	key_msg *items[AGENT_ORPHANS_TOLD];
	size_t n;
};

static void put_orphan(void *ctx, const char *version, const char *key_text)
{
	struct orphaning *o = ctx;
	struct cox_object_key key;

	cox_object_key_parse(cox_str(key_text), &key, NULL);
	o->items[o->n++] = key_of(o->p, key, version);
}

void agent_tree_pack(const struct agent_app *app, struct cox_arena *arena,
		     ProtobufCBinaryData *ret_bytes)
{
	struct packing *p = cox_arena_calloc(arena, sizeof(*p));
	Coxswain__Report__V1__Tree tree = COXSWAIN__REPORT__V1__TREE__INIT;

	p->arena = arena;
	COX_MAP_EACH (&app->entries, slot) {
		const struct agent_entry *entry = slot->value;
		node_msg *m;

		if (!entry->below)
			continue;
		m = put(p, entry->key, entry->kind);
		if (m)
			m->managed = true;
		put_below(p, entry->below, p->n);
	}
	tree.known = true;
	tree.nodes = p->items;
	tree.n_nodes = p->n;
	tree.n_left_out = (uint32_t)p->n_left_out;
	struct orphaning o = {.p = p};

	tree.orphans_known = agent_orphans_known(app);
	tree.orphans_total = (uint32_t)agent_orphans_each(app, put_orphan, &o);
	tree.orphans = o.items;
	tree.n_orphans = o.n;
	ret_bytes->len = coxswain__report__v1__tree__get_packed_size(&tree);
	ret_bytes->data = cox_arena_calloc(arena, ret_bytes->len);
	coxswain__report__v1__tree__pack(&tree, ret_bytes->data);
}

/* ---- life ---- */

static void tell(void *arg)
{
	struct agent_engine *e = arg;

	COX_MAP_EACH (&e->apps, slot) {
		struct agent_app *app = slot->value;

		if (!app->tree_changed)
			continue;
		app->dirty = true;
		agent_app_note(app);
	}
}

void agent_tree_init(struct agent_engine *e)
{
	cox_timer_init(&e->tree.tell, e->o.loop, tell, e);
	cox_timer_init(&e->tree.sweep, e->o.loop, sweep, e);
}

void agent_tree_fini(struct agent_engine *e)
{
	struct agent_tree *t = &e->tree;

	cox_timer_stop(&t->tell);
	cox_timer_stop(&t->sweep);
	if (t->sweeping)
		sweep_free(t->sweeping);
	cox_map_fini(&t->wanted);
	free(t->buckets);
}
