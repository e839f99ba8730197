/* The engine against a simulated cluster: the test is the hub. */
#include "agent/sync/engine.h"

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "common/net/rpc.h"
#include "common/run/child.h"
#include "common/zip/zip.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 30000

typedef Coxswain__Report__V1__ApplicationReport report_msg;

/* What the hub would keep of an application: its last full picture. */
struct picture {
	uint64_t sequence;
	int sync, assigned, health, phase;
	bool deleted;
	uint64_t generation;
	char message[256], conditions[2048];
	char operation[64];
	unsigned retries;
};

static struct world {
	char dir[64], kubeconfig[96], state[96], objects[96];
	struct cox_loop *loop;
	struct cox_child *kubesim;
	struct cox_timer tick;
	unsigned ticks;
	struct cox_kube *kube, *user; /* the engine's, and somebody else's */
	struct agent_store *store;
	struct agent_engine *engine;
	struct cox_map pictures; /* uid to struct picture * */
	struct cox_map dirty;
	uint64_t generation;
	unsigned script_threads;
	int wanted_health; /* of what is Synced at the last generation; 0: any */
} w;

/* ---- a hub in a few lines ---- */

static struct picture *picture(const char *uid)
{
	struct picture *p = cox_map_get(&w.pictures, uid);

	if (!p) {
		p = cox_new(struct picture);
		cox_map_set(&w.pictures, uid, p);
	}
	return p;
}

static void changed(void *ctx, const char *uid)
{
	(void)ctx;
	cox_map_set(&w.dirty, uid, &w);
}

static void read_reports(void)
{
	while (w.dirty.n) {
		_cleanup_free_ char *uid = NULL;
		struct cox_arena arena = COX_ARENA_INIT(0);
		report_msg r;

		COX_MAP_EACH (&w.dirty, slot) {
			uid = cox_strdup(slot->key);
			break;
		}
		cox_map_remove(&w.dirty, uid);
		struct picture *p = picture(uid);

		/* The acknowledgement of the report before comes as late as it can. */
		agent_engine_reported(w.engine, uid, p->sequence);
		if (agent_engine_report(w.engine, uid, true, &arena, &r) > 0) {
			COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

			if (w.wanted_health && r.generation == w.generation && r.assigned_sync == 1)
				assert_int_equal(r.health, w.wanted_health);
			p->sync = (int)r.sync;
			p->assigned = (int)r.assigned_sync;
			p->health = (int)r.health;
			p->generation = r.generation;
			p->sequence = r.sequence;
			p->deleted = r.deleted;
			p->phase = r.operation ? (int)r.operation->phase : 0;
			p->retries = r.operation ? r.operation->retry_count : 0;
			snprintf(p->operation, sizeof(p->operation), "%s",
				 r.operation ? r.operation->id : "");
			snprintf(p->message, sizeof(p->message), "%s",
				 r.operation ? r.operation->message : "");
			for (size_t i = 0; i < r.n_conditions; i++)
				cox_buf_printf(&text, "%s: %s\n", r.conditions[i]->type,
					       r.conditions[i]->message);
			snprintf(p->conditions, sizeof(p->conditions), "%s", cox_buf_cstr(&text));
			if (r.deleted)
				agent_engine_reported(w.engine, uid, r.sequence);
		}
		cox_arena_fini(&arena);
	}
}

static void tick(void *arg)
{
	(void)arg;
	w.ticks++;
	cox_timer_start(&w.tick, 5);
}

static const char *describe_all(void);

static bool has_ticked(void *arg)
{
	return w.ticks != *(unsigned *)arg;
}

static void turn(const char *what, int64_t deadline_ms)
{
	unsigned before = w.ticks;

	if (cox_loop_wait(w.loop, has_ticked, &before, PATIENCE_MS, NULL) < 0 ||
	    cox_loop_now_ms(w.loop) > deadline_ms)
		fail_msg("waited in vain for: %s (%s)", what, describe_all());
	if (w.engine)
		read_reports();
}

#define WAIT(what, condition)                                                                      \
	for (int64_t _end = cox_loop_now_ms(w.loop) + PATIENCE_MS; !(condition);)                  \
	turn(what, _end)

static const char *describe_all(void)
{
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	COX_MAP_EACH (&w.pictures, slot) {
		const struct picture *p = slot->value;

		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "%s: sync %d assigned %d health %d phase %d '%s' %s; ",
				      slot->key, p->sync, p->assigned, p->health, p->phase,
				      p->message, p->conditions);
		if (n >= sizeof(text))
			break;
	}
	return text;
}

/* ---- the cluster, as somebody else uses it ---- */

static struct {
	bool done;
	int status;
	struct cox_doc *doc;
} answer;

static void answered(void *arg, const struct cox_kube_answer *a)
{
	(void)arg;
	answer.done = true;
	answer.status = a->status;
	cox_doc_unref(answer.doc);
	answer.doc = a->doc ? cox_doc_ref(a->doc) : NULL;
}

static int call(const char *method, const char *path, const char *type, const char *body)
{
	answer.done = false;
	cox_kube_send(w.user, &(struct cox_kube_request){.method = method,
							 .path = path,
							 .content_type = type,
							 .body = cox_str(body),
							 .done = answered});
	WAIT("an answer of the cluster", answer.done);
	return answer.status;
}

static const char *field(const char *a, const char *b, const char *c)
{
	const struct cox_node *n = cox_node_get(cox_doc_root(answer.doc), a);

	if (b)
		n = cox_node_get(n, b);
	if (c)
		n = cox_node_get(n, c);
	return n ? cox_node_text(n).ptr : "";
}

#define CM(name) "/api/v1/namespaces/shop/configmaps/" name
#define MERGE	 "application/merge-patch+json"

static bool value_is(const char *path, const char *key, const char *value)
{
	return call("GET", path, NULL, "") == 200 && cox_streq(field("data", key, NULL), value);
}

/* ---- assignments ---- */

static void bundle(const char *yaml, uint8_t digest[COX_SHA256_BYTES])
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf json = COX_BUF_INIT, packed = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err;

	if (cox_yaml_read(cox_str(yaml), "bundle", NULL, &doc, &err) < 0)
		fail_msg("%s", err.message);
	cox_json_write_canonical(&json, cox_doc_root(doc));
	cox_sha256(cox_buf_str(&json), digest);
	cox_zip_compress(cox_buf_str(&json), 0, &packed);
	assert_int_equal(agent_store_put_bundle(w.store, digest, cox_buf_str(&packed), NULL), 0);
}

struct assign {
	const char *uid, *name, *yaml;
	bool manual, no_prune, no_heal, allow_empty, no_namespace;
	bool not_shared;
	const char *operation; /* id */
	bool dry_run;
	int64_t retry_limit;
};

static void assign(struct assign a)
{
	Coxswain__Assignment__V1__Change change = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT;
	Coxswain__Assignment__V1__Assignment m = COXSWAIN__ASSIGNMENT__V1__ASSIGNMENT__INIT;
	Coxswain__Assignment__V1__Policy policy = COXSWAIN__ASSIGNMENT__V1__POLICY__INIT;
	Coxswain__Assignment__V1__Operation op = COXSWAIN__ASSIGNMENT__V1__OPERATION__INIT;
	Coxswain__Assignment__V1__Retry retry = COXSWAIN__ASSIGNMENT__V1__RETRY__INIT;
	Coxswain__Assignment__V1__Backoff backoff = COXSWAIN__ASSIGNMENT__V1__BACKOFF__INIT;
	char *options[] = {(char *)"CreateNamespace=true", (char *)"FailOnSharedResource=true"};
	uint8_t digest[COX_SHA256_BYTES];
	const Coxswain__Assignment__V1__Change *list[] = {&change};
	struct cox_error err;

	backoff.duration_ms = 20;
	backoff.factor = 1;
	retry.limit = a.retry_limit;
	retry.backoff = &backoff;
	policy.automated = !a.manual;
	policy.prune = !a.no_prune;
	policy.self_heal = !a.no_heal;
	policy.allow_empty = a.allow_empty;
	policy.retry = &retry;
	if (!a.no_namespace) {
		policy.sync_options = options;
		policy.n_sync_options = a.not_shared ? 2 : 1;
	}
	m.app_uid = (char *)a.uid;
	m.app_name = (char *)a.name;
	m.app_namespace = (char *)"argocd";
	m.instance = (char *)a.name;
	m.destination_namespace = (char *)"shop";
	m.epoch = 1;
	m.generation = ++w.generation;
	m.policy = &policy;
	/* the digest is of what is put into the store just below; accept drops what nobody needs,
	 * so the bundle comes after it, as it does from a hub */
	bundle(a.yaml, digest);
	m.sync_digest.data = m.target_digest.data = digest;
	m.sync_digest.len = m.target_digest.len = sizeof(digest);
	if (a.operation) {
		op.id = (char *)a.operation;
		op.dry_run = a.dry_run;
		op.prune = true;
		op.initiated_by = (char *)"alice";
		m.operation = &op;
	}
	change.position = w.generation;
	change.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT;
	change.assignment = &m;
	if (agent_engine_accept(w.engine, list, 1, w.generation, &err) < 0)
		fail_msg("%s", err.message);
}

static void bury(const char *uid, const char *name, bool cascade)
{
	Coxswain__Assignment__V1__Change change = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT;
	Coxswain__Assignment__V1__Tombstone t = COXSWAIN__ASSIGNMENT__V1__TOMBSTONE__INIT;
	const Coxswain__Assignment__V1__Change *list[] = {&change};

	t.app_uid = (char *)uid;
	t.app_name = (char *)name;
	t.app_namespace = (char *)"argocd";
	t.epoch = 1;
	t.generation = ++w.generation;
	t.cascade = cascade;
	t.propagation = COXSWAIN__ASSIGNMENT__V1__PROPAGATION__BACKGROUND;
	change.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE;
	change.tombstone = &t;
	assert_true(agent_engine_accept(w.engine, list, 1, w.generation, NULL) >= 0);
}

static void configure(const char *body)
{
	Coxswain__Assignment__V1__Change change = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT;
	Coxswain__Assignment__V1__Configuration c = COXSWAIN__ASSIGNMENT__V1__CONFIGURATION__INIT;
	const Coxswain__Assignment__V1__Change *list[] = {&change};

	c.body.data = (uint8_t *)body;
	c.body.len = strlen(body);
	change.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_CONFIGURATION;
	change.configuration = &c;
	assert_true(agent_engine_accept(w.engine, list, 1, 0, NULL) >= 0);
}

/* The digest of what is in force. */
static bool is_configured(const char *body)
{
	struct agent_configuration c;
	uint8_t digest[COX_SHA256_BYTES];

	agent_engine_configuration(w.engine, &c);
	cox_sha256(cox_str(body), digest);
	return memcmp(c.in_force, digest, sizeof(digest)) == 0;
}

static void want_bundle(void *ctx, const uint8_t digest[COX_SHA256_BYTES])
{
	(void)ctx;
	(void)digest;
}

static void open_engine(void)
{
	struct cox_kubeconfig *config;
	struct cox_error err;

	if (agent_store_open(w.state, &w.store, &err) < 0 ||
	    cox_kubeconfig_load(w.kubeconfig, NULL, &config, &err) < 0 ||
	    cox_kube_new(w.loop, config, NULL, &w.kube, &err) < 0 ||
	    agent_engine_new(&(struct agent_engine_options){.loop = w.loop,
							    .store = w.store,
							    .kube = w.kube,
							    .script_threads = w.script_threads,
							    .want_bundle = want_bundle,
							    .changed = changed},
			     &w.engine, &err) < 0)
		fail_msg("%s", err.message);
}

/* As kill -9 would, but for the memory. */
static void close_engine(void)
{
	agent_engine_free(w.engine);
	w.engine = NULL;
	cox_kube_free(w.kube);
	agent_store_close(w.store);
	cox_map_clear(&w.dirty);
}

static bool is_settled(const char *uid)
{
	const struct picture *p = picture(uid);

	return p->generation == w.generation && p->assigned == 1 && p->health == 1 && p->phase != 1;
}

/* ---- set-up ---- */

static void kubesim_ended(void *arg, const struct cox_child_result *result)
{
	(void)arg;
	w.kubesim = NULL;
	fprintf(stderr, "kubesim ended: %.*s\n", COX_STR_ARG(result->errors));
}

static void start_kubesim(const char *listen)
{
	const char *argv[] = {KUBESIM,	    "--listen", listen,	   "--kubeconfig-out",
			      w.kubeconfig, "--data",	w.objects, NULL};
	struct cox_error err;

	if (cox_child_start(w.loop, &(struct cox_child_options){.argv = argv, .timeout_ms = -1},
			    kubesim_ended, NULL, &w.kubesim, &err) < 0)
		fail_msg("%s", err.message);
	WAIT("the simulated cluster", access(w.kubeconfig, R_OK) == 0);
}

static int setup(void **state)
{
	struct cox_kubeconfig *config;
	struct cox_error err;

	(void)state;
	memset(&w, 0, sizeof(w));
	snprintf(w.dir, sizeof(w.dir), "/tmp/cox-engine-XXXXXX");
	if (!mkdtemp(w.dir))
		return -1;
	snprintf(w.kubeconfig, sizeof(w.kubeconfig), "%s/kubeconfig", w.dir);
	snprintf(w.state, sizeof(w.state), "%s/state", w.dir);
	snprintf(w.objects, sizeof(w.objects), "%s/objects", w.dir);
	assert_int_equal(cox_loop_new(&w.loop, NULL), 0);
	cox_timer_init(&w.tick, w.loop, tick, NULL);
	tick(NULL);
	start_kubesim("127.0.0.1:0");
	if (cox_kubeconfig_load(w.kubeconfig, NULL, &config, &err) < 0 ||
	    cox_kube_new(w.loop, config, NULL, &w.user, &err) < 0)
		fail_msg("%s", err.message);
	open_engine();
	return 0;
}

static void remove_tree(const char *path)
{
	DIR *d = opendir(path);

	for (struct dirent *e; d && (e = readdir(d));) {
		_cleanup_free_ char *name = cox_path_join(path, e->d_name);

		if (e->d_type == DT_REG)
			unlink(name);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static int teardown(void **state)
{
	(void)state;
	close_engine();
	cox_kube_free(w.user);
	if (w.kubesim)
		cox_child_cancel(w.kubesim);
	cox_timer_stop(&w.tick);
	cox_loop_free(w.loop);
	cox_map_fini_values(&w.pictures, free);
	cox_map_fini(&w.dirty);
	cox_doc_unref(answer.doc);
	answer.doc = NULL;
	remove_tree(w.state);
	remove_tree(w.dir);
	return 0;
}

/* ---- tests ---- */

static const char two_maps[] =
	"- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: one}}\n"
	"- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {k: two}}\n"
	"- {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1, "
	"selector: "
	"{matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: "
	"[{name: web, image: 'nginx:1'}]}}}}\n";

static void test_syncs_heals_prunes_deletes(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	assert_true(value_is(CM("a"), "k", "one"));
	assert_string_equal(field("metadata", "annotations", "coxswain.dev/app-uid"), "u1");
	assert_string_equal(field("metadata", "annotations", "argocd.argoproj.io/tracking-id"),
			    "shop:/ConfigMap:shop/a");
	/* somebody changes it, and it is put back */
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"k\":\"by hand\"}}"), 200);
	WAIT("the change to be put back", value_is(CM("a"), "k", "one"));
	/* somebody deletes it */
	assert_int_equal(call("DELETE", CM("b"), NULL, ""), 200);
	WAIT("the object to come back", value_is(CM("b"), "k", "two"));
	/* what nobody asked for, nobody touches */
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"other\":\"mine\"}}"), 200);
	/* a field and an object are dropped */
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, "
				       "data: {l: three}}\n"});
	WAIT("the second sync", is_settled("u1"));
	WAIT("the dropped object to be pruned", call("GET", CM("b"), NULL, "") == 404);
	assert_true(value_is(CM("a"), "l", "three"));
	assert_string_equal(field("data", "k", NULL), "");
	assert_string_equal(field("data", "other", NULL), "mine");
	bury("u1", "shop", true);
	WAIT("the application to be deleted", picture("u1")->deleted);
	assert_int_equal(call("GET", CM("a"), NULL, ""), 404);
	assert_int_equal(call("GET", "/api/v1/namespaces/shop", NULL, ""), 200);
}

static void test_goes_on_after_a_restart(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	close_engine();
	assert_int_equal(call("PATCH", CM("a"), MERGE, "{\"data\":{\"k\":\"by hand\"}}"), 200);
	assert_int_equal(call("DELETE", CM("b"), NULL, ""), 200);
	open_engine();
	assert_int_equal(agent_engine_position(w.engine), w.generation);
	WAIT("the object to come back", value_is(CM("b"), "k", "two"));
	WAIT("the change to be put back", value_is(CM("a"), "k", "one"));
	WAIT("peace", is_settled("u1"));
	/* what was assigned and not begun is begun */
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, "
				       "data: {k: new}}\n"});
	close_engine();
	open_engine();
	WAIT("the sync that was cut short", is_settled("u1"));
	assert_true(value_is(CM("a"), "k", "new"));
	WAIT("the dropped object to be pruned", call("GET", CM("b"), NULL, "") == 404);
}

static void test_manual_operations_run_once(void **state)
{
	(void)state;
	struct assign a = {.uid = "u1", .name = "shop", .yaml = two_maps, .manual = true};

	assign(a);
	WAIT("the comparison", picture("u1")->sync == 2);
	assert_int_equal(call("GET", "/api/v1/namespaces/shop", NULL, ""), 404);
	a.operation = "op-dry";
	a.dry_run = true;
	assign(a);
	WAIT("the dry run",
	     cox_streq(picture("u1")->operation, "op-dry") && picture("u1")->phase == 3);
	assert_int_equal(call("GET", "/api/v1/namespaces/shop", NULL, ""), 404);
	a.operation = "op-1";
	a.dry_run = false;
	assign(a);
	WAIT("the sync", is_settled("u1") && cox_streq(picture("u1")->operation, "op-1"));
	/* the same id again does nothing, also after a restart */
	assert_int_equal(call("DELETE", CM("b"), NULL, ""), 200);
	WAIT("the drift to be seen", picture("u1")->assigned == 2);
	assign(a);
	close_engine();
	open_engine();
	WAIT("the drift to be seen",
	     picture("u1")->generation == w.generation && picture("u1")->assigned == 2);
	assert_int_equal(call("GET", CM("b"), NULL, ""), 404);
	a.operation = "op-2";
	assign(a);
	WAIT("the sync", is_settled("u1"));
	assert_int_equal(call("GET", CM("b"), NULL, ""), 200);
}

static void test_old_news_change_nothing(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	uint64_t newest = w.generation;

	w.generation = newest - 1; /* assign raises it to what is here already */
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = "[]", .allow_empty = true});
	assert_int_equal(w.generation, newest);
	w.generation = newest;
	agent_engine_refresh(w.engine, "u1", NULL);
	WAIT("another look", is_settled("u1"));
	assert_int_equal(call("GET", CM("a"), NULL, ""), 200);
}

static void test_fields_of_others_move_to_us(void **state)
{
	(void)state;
	/* what `kubectl apply` made before; Argo CD and kubectl leave two more fields behind */
	assert_int_equal(call("POST", "/api/v1/namespaces", NULL,
			      "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{"
			      "\"name\":\"shop\"}}"),
			 201);
	assert_int_equal(
		call("POST",
		     "/api/v1/namespaces/shop/configmaps?fieldManager=kubectl-client-side-apply",
		     NULL,
		     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},"
		     "\"data\":{\"k\":\"old\",\"gone\":\"x\"}}"),
		201);
	assert_int_equal(
		call("PATCH", CM("a") "?fieldManager=argocd-controller&force=true",
		     "application/apply-patch+yaml",
		     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},"
		     "\"data\":{\"theirs\":\"y\"}}"),
		200);
	assert_int_equal(call("PATCH", CM("a") "?fieldManager=somebody", MERGE,
			      "{\"data\":{\"kept\":\"z\"}}"),
			 200);
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	assert_true(value_is(CM("a"), "k", "one"));
	assert_string_equal(field("data", "gone", NULL), "");
	assert_string_equal(field("data", "theirs", NULL), "");
	assert_string_equal(field("data", "kept", NULL), "z");
}

/* "127.0.0.1:PORT" of the simulated cluster. */
static char *address(void)
{
	const char *server = cox_kube_config(w.user)->server;

	return cox_strdup(strstr(server, "://") + 3);
}

static bool is_saved(const char *words)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	return cox_file_read(w.objects, 10 << 20, &text, NULL) == 0 &&
	       strstr(cox_buf_cstr(&text), words);
}

static void test_an_api_server_that_is_gone(void **state)
{
	_cleanup_free_ char *listen = address();

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	WAIT("the objects on disk", is_saved("\"two\"") && is_saved("availableReplicas"));
	cox_child_cancel(w.kubesim);
	w.kubesim = NULL;
	WAIT("the silence to be told",
	     strstr(picture("u1")->conditions, "does not answer") != NULL);
	/* what is assigned meanwhile waits, and nothing is given up */
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, "
				       "data: {k: later}}\n"});
	WAIT("the assignment to be seen", picture("u1")->generation == w.generation);
	start_kubesim(listen);
	WAIT("everything to go on", is_settled("u1"));
	assert_true(value_is(CM("a"), "k", "later"));
	assert_string_equal(picture("u1")->conditions, "");
}

static void test_shared_objects_are_told_and_may_be_refused(void **state)
{
	static const char yaml[] =
		"- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: theirs}}\n";

	(void)state;
	assign((struct assign){.uid = "u1", .name = "first", .yaml = two_maps, .no_heal = true});
	WAIT("the first application", is_settled("u1"));
	assign((struct assign){.uid = "u2", .name = "second", .yaml = yaml, .not_shared = true});
	WAIT("the refusal", strstr(picture("u2")->conditions, "FailOnSharedResource") != NULL);
	assert_true(value_is(CM("a"), "k", "one"));
	assign((struct assign){.uid = "u2", .name = "second", .yaml = yaml});
	WAIT("the second application", is_settled("u2"));
	WAIT("the warning", strstr(picture("u1")->conditions, "SharedResourceWarning") != NULL);
	assert_true(value_is(CM("a"), "k", "theirs"));
}

static void test_guards_against_emptying(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = "[]"});
	WAIT("the refusal", strstr(picture("u1")->conditions, "allowEmpty") != NULL);
	assert_int_equal(call("GET", CM("a"), NULL, ""), 200);
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = "[]", .allow_empty = true});
	WAIT("the pruning", call("GET", CM("a"), NULL, "") == 404);
}

static void test_only_what_is_ours_is_pruned(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	/* somebody takes b away from us */
	assert_int_equal(call("PATCH", CM("b"), MERGE,
			      "{\"metadata\":{\"annotations\":{\"coxswain.dev/app-uid\":\"other\","
			      "\"argocd.argoproj.io/tracking-id\":\"x:/ConfigMap:shop/b\"}}}"),
			 200);
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .no_heal = true,
			       .yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, "
				       "data: {k: one}}\n"});
	WAIT("the second sync", is_settled("u1"));
	/* it may have been ours again before the new bundle came; then it is pruned rightly */
	if (call("GET", CM("b"), NULL, "") == 200)
		assert_string_equal(field("metadata", "annotations", "coxswain.dev/app-uid"),
				    "other");
}

static void test_kinds_that_come_with_the_bundle(void **state)
{
	static const char yaml[] =
		"- {apiVersion: example.com/v1, kind: Thing, metadata: {name: t}, spec: {size: "
		"3}}\n"
		"- {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: "
		"{name: things.example.com}, spec: {group: example.com, scope: Namespaced, names: "
		"{kind: Thing, listKind: ThingList, plural: things, singular: thing}, versions: "
		"[{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, "
		"properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}]}}\n";

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = yaml, .retry_limit = 3});
	WAIT("the sync", is_settled("u1"));
	assert_int_equal(call("GET", "/apis/example.com/v1/namespaces/shop/things/t", NULL, ""),
			 200);
}

static void test_failures_are_sentences(void **state)
{
	(void)state;
	assign((struct assign){
		.uid = "u1",
		.name = "shop",
		.yaml = "- {apiVersion: example.com/v1, kind: Nothing, metadata: {name: t}}\n"});
	WAIT("the unknown kind to be told",
	     strstr(picture("u1")->conditions, "no kind Nothing in example.com/v1") != NULL);
	assign((struct assign){
		.uid = "u2",
		.name = "good",
		.yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: g}}\n"});
	WAIT("the other application", is_settled("u2"));
	assign((struct assign){
		.uid = "u1",
		.name = "shop",
		.retry_limit = 1,
		.yaml = "- {apiVersion: v1, kind: Service, metadata: {name: s}, spec: "
			"{ports: [{port: 99999}]}}\n"
			"- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n"});
	WAIT("the refusal to be told", picture("u1")->phase == 4 && picture("u1")->retries == 1);
	assert_non_null(strstr(picture("u1")->conditions, "SyncError: "));
	assert_non_null(strstr(picture("u1")->conditions, "Service 'shop/s'"));
	/* the dry run failed: nothing else was applied */
	assert_int_equal(call("GET", CM("c"), NULL, ""), 404);
	assign((struct assign){
		.uid = "u1",
		.name = "shop",
		.yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n"});
	WAIT("recovery", is_settled("u1"));
	assert_string_equal(picture("u1")->conditions, "");
}

#define K(value) "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: " value "}}\n"
#define BY_K                                                                                       \
	"{\"data\":{\"resource.customizations.health.ConfigMap\":\"return {status = obj.data.k, "  \
	"message = 'k says so'}\"}}"
#define BY_NAME                                                                                    \
	"{\"data\":{\"resource.customizations.health.ConfigMap\":\"return {status = "              \
	"'Suspended'}\"}}"

static void judge_by_scripts(void)
{
	configure(BY_K);
	assert_true(is_configured(BY_K));
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = K("Healthy")});
	WAIT("the first sync", is_settled("u1"));
	/* what is Synced at a generation has the health of its own version, never of one before */
	for (int i = 0; i < 10; i++) {
		w.wanted_health = i % 2 ? 1 : 5;
		assign((struct assign){
			.uid = "u1", .name = "shop", .yaml = i % 2 ? K("Healthy") : K("Degraded")});
		WAIT("its health", picture("u1")->generation == w.generation &&
					   picture("u1")->assigned == 1 &&
					   picture("u1")->health == w.wanted_health);
	}
	w.wanted_health = 0;
	/* another script: nothing happens in the cluster, and everything is judged again */
	configure(BY_NAME);
	WAIT("the other script", picture("u1")->health == 2);
	/* one that cannot be used is kept, and changes nothing */
	struct agent_configuration c;

	configure("[");
	assert_true(is_configured(BY_NAME));
	agent_engine_configuration(w.engine, &c);
	assert_true(c.error[0] != '\0' && memcmp(c.kept, c.in_force, COX_SHA256_BYTES) != 0);
	configure(BY_NAME);
	agent_engine_configuration(w.engine, &c);
	assert_string_equal(c.error, "");
	close_engine();
	picture("u1")->health = 0;
	open_engine();
	assert_true(is_configured(BY_NAME));
	WAIT("the same after a restart", picture("u1")->health == 2);
	configure("");
	WAIT("no health at all", picture("u1")->health == 1);
}

static void test_scripts_judge(void **state)
{
	(void)state;
	judge_by_scripts();
}

static void test_scripts_judge_beside_the_loop(void **state)
{
	(void)state;
	close_engine();
	w.script_threads = 1;
	open_engine();
	judge_by_scripts();
	/* objects and the engine go while scripts run */
	configure(BY_K);
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = K("Suspended")});
	bury("u1", "shop", true);
	WAIT("the end of it", picture("u1")->deleted);
	assign((struct assign){.uid = "u2", .name = "more", .yaml = K("Healthy")});
	WAIT("the object", call("GET", CM("a"), NULL, "") == 200);
}

/* A wave waits for a script's verdict on what was applied before it. */
static void test_scripts_gate_waves(void **state)
{
	static const char yaml[] =
		"- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: x}}\n"
		"- {apiVersion: v1, kind: Secret, metadata: {name: s, annotations: "
		"{argocd.argoproj.io/sync-wave: '1'}}}\n";

	(void)state;
	for (unsigned threads = 0; threads < 2; threads++) {
		close_engine();
		w.script_threads = threads;
		open_engine();
		configure("{\"data\":{\"resource.customizations.health.ConfigMap\":\"if "
			  "obj.data.go then "
			  "return {status = 'Healthy'} end return {status = 'Progressing'}\"}}");
		assign((struct assign){.uid = threads ? "u2" : "u1",
				       .name = threads ? "two" : "one",
				       .yaml = yaml});
		WAIT("the wave to wait", strstr(picture(threads ? "u2" : "u1")->message,
						"waiting for healthy") != NULL);
		assert_int_equal(call("GET", "/api/v1/namespaces/shop/secrets/s", NULL, ""), 404);
		call("PATCH", CM("a"), MERGE, "{\"data\":{\"go\":\"1\"}}");
		WAIT("the next wave", is_settled(threads ? "u2" : "u1"));
		assert_int_equal(call("GET", "/api/v1/namespaces/shop/secrets/s", NULL, ""), 200);
		bury(threads ? "u2" : "u1", threads ? "two" : "one", true);
		WAIT("the end of it", picture(threads ? "u2" : "u1")->deleted);
	}
}

static void test_waves(void **state)
{
	static const char yaml[] =
		"- {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: "
		"1, "
		"selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, "
		"spec: "
		"{containers: [{name: web, image: 'nginx:1'}]}}}}\n"
		"- {apiVersion: v1, kind: ConfigMap, metadata: {name: later, annotations: "
		"{argocd.argoproj.io/sync-wave: '1'}}}\n";

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = yaml});
	WAIT("the second wave", call("GET", CM("later"), NULL, "") == 200);
	/* the first wave was healthy before */
	assert_int_equal(call("GET", "/apis/apps/v1/namespaces/shop/deployments/web", NULL, ""),
			 200);
	assert_string_equal(field("status", "availableReplicas", NULL), "1");
	WAIT("peace", is_settled("u1"));
}

static void test_what_is_left_out_is_told(void **state)
{
	static const char yaml[] =
		"- {apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: "
		"{argocd.argoproj.io/sync-options: Replace=true}}}\n"
		"- {apiVersion: batch/v1, kind: Job, metadata: {name: mute, annotations: "
		"{argocd.argoproj.io/hook: PreSync}}, spec: {template: {spec: {restartPolicy: "
		"Never, "
		"containers: [{name: c, image: i}]}}}}\n";

	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = yaml});
	WAIT("peace", is_settled("u1"));
	WAIT("the warning",
	     strstr(picture("u1")->conditions, "UnsupportedWarning: hooks are not run: ") != NULL);
	assert_non_null(strstr(picture("u1")->conditions, "shop/mute"));
	assert_non_null(strstr(picture("u1")->conditions, "Replace=true is not acted on"));
	assert_int_equal(call("GET", "/apis/batch/v1/namespaces/shop/jobs/mute", NULL, ""), 404);
}

static struct {
	bool done;
	char live[4096], desired[4096];
} looked;

static void look_done(void *arg, struct cox_str live, struct cox_str desired,
		      const struct cox_error *error)
{
	(void)arg;
	assert_int_equal(error->code, COX_OK);
	snprintf(looked.live, sizeof(looked.live), "%.*s", COX_STR_ARG(live));
	snprintf(looked.desired, sizeof(looked.desired), "%.*s", COX_STR_ARG(desired));
	looked.done = true;
}

static void test_secrets_are_masked(void **state)
{
	struct cox_object_key key = {.group = COX_STR(""),
				     .kind = COX_STR("Secret"),
				     .namespace = COX_STR("shop"),
				     .name = COX_STR("s")};

	(void)state;
	assign((struct assign){
		.uid = "u1",
		.name = "shop",
		.yaml = "- {apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {p: "
			"canary}}\n"});
	WAIT("the sync", is_settled("u1"));
	assert_int_equal(call("GET", "/api/v1/namespaces/shop/secrets/s", NULL, ""), 200);
	assert_string_equal(field("data", "p", NULL), "Y2FuYXJ5");
	assert_int_equal(agent_engine_resource(w.engine, "u1", key, look_done, NULL, NULL), 0);
	WAIT("the answer", looked.done);
	assert_non_null(strstr(looked.live, "\"p\":\"++++++++\""));
	assert_non_null(strstr(looked.desired, "\"p\":\"++++++++\""));
	assert_null(strstr(looked.live, "Y2FuYXJ5"));
	assert_null(strstr(looked.desired, "Y2FuYXJ5"));
	key.name = COX_STR("other");
	assert_int_equal(agent_engine_resource(w.engine, "u1", key, look_done, NULL, NULL),
			 -COX_NOT_FOUND);
}

static void test_a_lost_inventory_is_rebuilt(void **state)
{
	(void)state;
	assign((struct assign){.uid = "u1", .name = "shop", .yaml = two_maps});
	WAIT("the first sync", is_settled("u1"));
	close_engine();
	remove_tree(w.state);
	open_engine();
	assign((struct assign){.uid = "u1",
			       .name = "shop",
			       .yaml = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, "
				       "data: {k: one}}\n"});
	WAIT("what is known by its marks only to be pruned",
	     is_settled("u1") && call("GET", CM("b"), NULL, "") == 404);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_syncs_heals_prunes_deletes),
		TEST(test_goes_on_after_a_restart),
		TEST(test_manual_operations_run_once),
		TEST(test_old_news_change_nothing),
		TEST(test_fields_of_others_move_to_us),
		TEST(test_an_api_server_that_is_gone),
		TEST(test_shared_objects_are_told_and_may_be_refused),
		TEST(test_guards_against_emptying),
		TEST(test_only_what_is_ours_is_pruned),
		TEST(test_kinds_that_come_with_the_bundle),
		TEST(test_failures_are_sentences),
		TEST(test_scripts_judge),
		TEST(test_scripts_judge_beside_the_loop),
		TEST(test_scripts_gate_waves),
		TEST(test_waves),
		TEST(test_what_is_left_out_is_told),
		TEST(test_secrets_are_masked),
		TEST(test_a_lost_inventory_is_rebuilt),
	};

	cox_log_init("test", getenv("COX_TEST_LOG") ? COX_LOG_DEBUG : COX_LOG_ERROR, COX_LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
