/* The simulator as a whole: birth, the queue of the controllers, state on disk. */
#include "tests/kubesim/sim.h"

#include "common/doc/json.h"
#include "common/kube/meta.h"
#include "tests/kubesim/controllers/controller.h"
#include "tests/kubesim/list.h"

#include <stdio.h>

struct entry {
	int64_t due_ms;
	size_t controller;
	char *key; /* "ns/name", "/name", or a uid */
};

struct ks_queue {
	COX_VEC(struct entry) waiting; /* by due time */
	struct cox_map known;	       /* "controller key" -> due_ms + 1 */
};

const struct ks_controller ks_controllers[] = {
	{"", NULL, ks_reconcile_gc, true},
	{"", "Namespace", ks_reconcile_namespace, true},
	{"apiextensions.k8s.io", "CustomResourceDefinition", ks_reconcile_definition, true},
	{"apps", "Deployment", ks_reconcile_deployment, false},
	{"apps", "ReplicaSet", ks_reconcile_replica_set, false},
	{"apps", "StatefulSet", ks_reconcile_stateful_set, false},
	{"apps", "DaemonSet", ks_reconcile_daemon_set, false},
	{"batch", "Job", ks_reconcile_job, false},
	{"batch", "CronJob", ks_reconcile_cron_job, false},
	{"", "Pod", ks_reconcile_pod, false},
	{"", "Service", ks_reconcile_service, false},
	{"", "PersistentVolumeClaim", ks_reconcile_claim, true},
	{"", "ResourceQuota", ks_reconcile_quota, true},
	{"networking.k8s.io", "Ingress", ks_reconcile_ingress, false},
};
const size_t ks_n_controllers = COX_ARRAY_LEN(ks_controllers);

static void enqueue(struct kubesim *sim, size_t controller, const char *key, int64_t delay_ms)
{
	struct ks_queue *q = sim->queue;
	int64_t due = sim->now_ms + delay_ms;
	_cleanup_free_ char *known = cox_asprintf("%zu %s", controller, key);
	intptr_t has = (intptr_t)cox_map_get(&q->known, known);

	if (sim->no_controllers && !ks_controllers[controller].always)
		return;
	if (has && has - 1 <= due)
		return;
	cox_map_set(&q->known, known, (void *)(intptr_t)(due + 1));
	size_t at = q->waiting.n;
	while (at > 0 && q->waiting.items[at - 1].due_ms > due)
		at--;
	cox_vec_insert(
		&q->waiting, at,
		(struct entry){.due_ms = due, .controller = controller, .key = cox_strdup(key)});
}

void ks_enqueue(struct kubesim *sim, const char *group, const char *kind, const char *ns,
		const char *name, int64_t delay_ms)
{
	for (size_t i = 1; i < ks_n_controllers; i++)
		if (cox_streq(ks_controllers[i].kind, kind) &&
		    cox_streq(ks_controllers[i].group, group)) {
			_cleanup_free_ char *key = cox_asprintf("%s/%s", ns ? ns : "", name);
			enqueue(sim, i, key, delay_ms);
		}
}

void ks_enqueue_gc(struct kubesim *sim, const char *uid, int64_t delay_ms)
{
	enqueue(sim, 0, uid, delay_ms);
}

static void enqueue_object(struct kubesim *sim, const struct cox_node *object)
{
	_cleanup_free_ char *group = cox_str_dup(cox_meta_group(object));
	_cleanup_free_ char *kind = cox_str_dup(cox_meta_kind(object));
	_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(object));
	_cleanup_free_ char *name = cox_str_dup(cox_meta_name(object));

	ks_enqueue(sim, group, kind, ns, name, sim->step_ms);
}

/* Whoever made it wants to know how it goes. */
static void enqueue_owner(struct kubesim *sim, const struct cox_node *object)
{
	const struct cox_node *owner = ks_controller_of(object);
	struct cox_str group, version;

	if (!owner)
		return;
	cox_api_version_split(cox_node_str(COX_GET(owner, "apiVersion")), &group, &version);
	_cleanup_free_ char *group_text = cox_str_dup(group);
	_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(object));
	ks_enqueue(sim, group_text, cox_node_cstr(COX_GET(owner, "kind"), ""), ns,
		   cox_node_cstr(COX_GET(owner, "name"), ""), sim->step_ms);
}

static void changed(void *arg, const struct ks_event *e)
{
	struct kubesim *sim = arg;
	const struct cox_node *after = cox_doc_root(e->after);
	const char *uid = cox_node_cstr(COX_GET(after, "metadata", "uid"), "");

	static const char *const verbs[] = {
		[KS_ADDED] = "create", [KS_MODIFIED] = "update", [KS_DELETED] = "delete"};

	if (sim->on_change)
		sim->on_change(sim->on_change_arg, verbs[e->type], after);
	ks_watches_wake(sim, e->shelf);
	if (e->type == KS_DELETED)
		ks_forget_marks(sim, uid);
	enqueue_object(sim, after);
	enqueue_owner(sim, after);
	/* what is gone, going, or may hang on something that is gone */
	if (e->type == KS_DELETED || cox_meta_is_deleting(after) ||
	    (e->type == KS_ADDED && cox_node_len(cox_meta_owner_references(after))))
		ks_enqueue_gc(sim, uid, sim->step_ms);
	COX_DOC_LIST_EACH (cox_meta_owner_references(after), i, ref) {
		if (e->type == KS_DELETED)
			ks_enqueue_gc(sim, cox_node_cstr(COX_GET(ref, "uid"), ""), sim->step_ms);
	}
	/* a namespace that is going waits for what is in it */
	if (e->type == KS_DELETED && cox_meta_namespace(after).len) {
		_cleanup_free_ char *ns = cox_str_dup(cox_meta_namespace(after));
		const struct cox_node *home = ks_live(sim, "", "Namespace", NULL, ns);
		if (home && cox_meta_is_deleting(home))
			ks_enqueue(sim, "", "Namespace", NULL, ns, sim->step_ms);
	}
}

int64_t kubesim_run(struct kubesim *sim, int64_t wall_ms)
{
	struct ks_queue *q = sim->queue;

	if (wall_ms > sim->now_ms)
		sim->now_ms = wall_ms;
	while (q->waiting.n && q->waiting.items[0].due_ms <= sim->now_ms) {
		struct entry e = q->waiting.items[0];
		_cleanup_free_ char *key = e.key;
		_cleanup_free_ char *known = cox_asprintf("%zu %s", e.controller, key);
		cox_vec_remove(&q->waiting, 0);
		intptr_t due = (intptr_t)cox_map_get(&q->known, known);
		/* an earlier visit was put in before this one, and took its place */
		if (due - 1 != e.due_ms)
			continue;
		cox_map_remove(&q->known, known);
		const struct ks_controller *c = &ks_controllers[e.controller];
		char *slash = c->kind ? strchr(key, '/') : NULL;
		if (slash)
			*slash = 0;
		c->reconcile(sim, slash && *key ? key : NULL, slash ? slash + 1 : key);
	}
	int64_t next = q->waiting.n ? q->waiting.items[0].due_ms - sim->now_ms : -1;
	COX_VEC_EACH (&sim->watches, w) {
		int64_t left = kubesim_watch_deadline_ms(*w) - sim->now_ms;
		if (left < 0)
			left = 0;
		next = next < 0 || left < next ? left : next;
	}
	return next;
}

/* ---- birth ---- */

static void create_text(struct kubesim *sim, const char *group, const char *kind, const char *ns,
			const char *json)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	COX_ASSERT(cox_json_read(cox_str(json), "birth", &doc, NULL) == 0);
	COX_ASSERT(ks_controller_create(sim, group, kind, ns, cox_doc_root(doc)) < 300);
}

/* What every cluster has. */
static void furnish(struct kubesim *sim)
{
	static const char *const namespaces[] = {"default", "kube-system", "kube-public",
						 "kube-node-lease"};
	_cleanup_free_ char *node = cox_asprintf(
		"{\"metadata\":{\"name\":\"%s-node\",\"labels\":{\"kubernetes.io/os\":\"linux\"}},"
		"\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
		"\"nodeInfo\":{\"kubeletVersion\":\"v1.26.0\"}}}",
		sim->name);

	for (size_t i = 0; i < COX_ARRAY_LEN(namespaces); i++) {
		_cleanup_free_ char *text =
			cox_asprintf("{\"metadata\":{\"name\":\"%s\"}}", namespaces[i]);
		create_text(sim, "", "Namespace", NULL, text);
	}
	create_text(sim, "", "Node", NULL, node);
	create_text(
		sim, "", "Service", "default",
		"{\"metadata\":{\"name\":\"kubernetes\",\"labels\":{\"component\":\"apiserver\","
		"\"provider\":\"kubernetes\"}},\"spec\":{\"clusterIP\":\"10.96.0.1\",\"ports\":"
		"[{\"name\":\"https\",\"port\":443,\"targetPort\":6443}]}}");
}

struct kubesim *kubesim_new(const struct kubesim_options *options, int64_t wall_ms)
{
	struct kubesim *sim = cox_new(struct kubesim);
	uint64_t seed = options->seed;

	if (!seed)
		cox_random_bytes(&seed, sizeof(seed));
	sim->name = cox_strdup(options->name ? options->name : "kubesim");
	sim->token = cox_strdup(options->token);
	sim->now_ms = wall_ms;
	sim->step_ms = options->step_ms ? options->step_ms : 5;
	sim->no_controllers = options->no_controllers;
	sim->no_kubelet = options->no_kubelet;
	sim->on_change = options->on_change;
	sim->on_change_arg = options->on_change_arg;
	sim->next_ip = 2;
	cox_rng_init(&sim->rng, seed);
	sim->queue = cox_new(struct ks_queue);
	ks_store_init(&sim->store, options->max_events ? options->max_events : 4096);
	sim->store.rv = 100;
	sim->store.lost_rv = 100;
	ks_kinds_init(&sim->kinds, &sim->store);
	sim->store.changed = changed;
	sim->store.arg = sim;
	furnish(sim);
	return sim;
}

void kubesim_free(struct kubesim *sim)
{
	if (!sim)
		return;
	COX_VEC_EACH (&sim->queue->waiting, e)
		free(e->key);
	cox_vec_fini(&sim->queue->waiting);
	cox_map_fini(&sim->queue->known);
	free(sim->queue);
	cox_map_fini(&sim->marks);
	sim->store.changed = NULL;
	while (sim->watches.n)
		kubesim_watch_close(sim->watches.items[0]);
	cox_vec_fini(&sim->watches);
	ks_kinds_fini(&sim->kinds);
	ks_store_fini(&sim->store);
	free(sim->name);
	free(sim->token);
	free(sim);
}

/* ---- state on disk ---- */

uint64_t kubesim_version(const struct kubesim *sim)
{
	return sim->store.rv;
}

size_t kubesim_object_count(const struct kubesim *sim)
{
	size_t n = 0;

	COX_MAP_EACH (&sim->store.shelves, e)
		n += ((struct ks_shelf *)e->value)->n;
	return n;
}

void kubesim_save(const struct kubesim *sim, struct cox_buf *out)
{
	cox_buf_printf(out, "{\"kubesim\":1,\"resourceVersion\":%llu,\"nextIP\":%u}\n",
		       (unsigned long long)sim->store.rv, sim->next_ip);
	COX_MAP_EACH (&sim->store.shelves, e) {
		const struct ks_shelf *shelf = e->value;
		for (size_t i = 0; i < shelf->n; i++) {
			cox_json_write(out, cox_doc_root(shelf->items[i].doc));
			cox_buf_putc(out, '\n');
		}
	}
}

static void forget_all(struct kubesim *sim)
{
	uint64_t rv = sim->store.rv;
	size_t max_events = sim->store.max_events;

	ks_kinds_fini(&sim->kinds);
	ks_store_fini(&sim->store);
	ks_store_init(&sim->store, max_events);
	sim->store.rv = rv;
	ks_kinds_init(&sim->kinds, &sim->store);
	sim->store.changed = changed;
	sim->store.arg = sim;
}

static int load_object(struct kubesim *sim, struct cox_doc *doc, struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc);
	struct ks_kind *kind =
		ks_kinds_group_kind(&sim->kinds, cox_meta_group(root), cox_meta_kind(root));

	if (!kind)
		return cox_error(err, COX_NOT_FOUND, "no kind '%.*s'",
				 COX_STR_ARG(cox_meta_kind(root)));
	ks_store_load(&sim->store, kind->shelf, doc);
	if (cox_streq(kind->names.kind, "CustomResourceDefinition"))
		ks_kinds_define(&sim->kinds, &sim->store, doc);
	enqueue_object(sim, root);
	return 0;
}

int kubesim_load(struct kubesim *sim, struct cox_str text, struct cox_error *err)
{
	/* definitions first, so that their objects find their kinds */
	for (int pass = 0; pass < 2; pass++) {
		struct cox_str rest = text, line;
		for (size_t n = 1; rest.ptr && cox_str_split(&rest, '\n', &line); n++) {
			_cleanup_doc_ struct cox_doc *doc = NULL;
			if (!line.len)
				continue;
			if (cox_json_read(line, "data", &doc, err) < 0)
				return cox_error_wrap(err, "line %zu", n);
			const struct cox_node *root = cox_doc_root(doc);
			if (n == 1 && pass == 0) {
				forget_all(sim);
				sim->next_ip = (uint32_t)cox_node_int(COX_GET(root, "nextIP"), 2);
				sim->store.rv =
					(uint64_t)cox_node_int(COX_GET(root, "resourceVersion"), 1);
				sim->store.lost_rv = sim->store.rv;
			}
			bool is_definition =
				cox_str_is(cox_meta_kind(root), "CustomResourceDefinition");
			if (n == 1 || is_definition != (pass == 0))
				continue;
			if (load_object(sim, doc, err) < 0)
				return cox_error_wrap(err, "line %zu", n);
		}
	}
	return 0;
}
