#include "tests/unit/agent/sync/world.h"

#include "agent/jq/jq.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "common/net/rpc.h"
#include "common/run/child.h"
#include "common/zip/zip.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE_MS 30000

typedef Coxswain__Report__V1__ApplicationReport report_msg;

struct world w;

/* ---- a hub in a few lines ---- */

struct picture *picture(const char *uid)
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

static void write_results(struct picture *p, const Coxswain__Report__V1__OperationState *op)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	for (size_t i = 0; op && i < op->n_results; i++) {
		const Coxswain__Report__V1__ResourceResult *r = op->results[i];

		cox_buf_printf(&text, "%s %s/%s %s%s%s\n", r->sync_phase, r->key->kind,
			       r->key->name,
			       r->hook_phase && *r->hook_phase ? r->hook_phase : r->status,
			       r->message && *r->message ? ": " : "", r->message ? r->message : "");
	}
	snprintf(p->results, sizeof(p->results), "%s", cox_buf_cstr(&text));
}

static void read_tree(struct picture *p, ProtobufCBinaryData bytes)
{
	Coxswain__Report__V1__Tree *t =
		coxswain__report__v1__tree__unpack(NULL, bytes.len, bytes.data);
	size_t n = 0;

	assert_non_null(t);
	assert_true(t->known);
	p->tree[0] = '\0';
	for (size_t i = 0; i < t->n_nodes && n < sizeof(p->tree); i++) {
		const Coxswain__Report__V1__TreeNode *node = t->nodes[i];

		assert_true(node->parent <= i && (node->parent > 0 || node->managed));
		n += (size_t)snprintf(p->tree + n, sizeof(p->tree) - n, "%s%s%s%s", i ? ", " : "",
				      node->key->name, node->parent ? " of " : "",
				      node->parent ? t->nodes[node->parent - 1]->key->name : "");
	}
	p->n_nodes = (unsigned)t->n_nodes;
	p->n_left_out = t->n_left_out;
	p->orphans_known = t->orphans_known;
	p->n_orphans = (unsigned)t->n_orphans;
	p->orphans_total = t->orphans_total;
	coxswain__report__v1__tree__free_unpacked(t, NULL);
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
		if (!w.no_acks)
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
			read_tree(p, r.tree);
			snprintf(p->deletion, sizeof(p->deletion), "%s",
				 r.deletion_message ? r.deletion_message : "");
			p->phase = r.operation ? (int)r.operation->phase : 0;
			p->retries = r.operation ? r.operation->retry_count : 0;
			snprintf(p->operation, sizeof(p->operation), "%s",
				 r.operation ? r.operation->id : "");
			snprintf(p->message, sizeof(p->message), "%s",
				 r.operation ? r.operation->message : "");
			for (size_t i = 0; i < r.n_conditions; i++)
				cox_buf_printf(&text, "%s: %s\n", r.conditions[i]->type,
					       r.conditions[i]->message);
			write_results(p, r.operation);
			snprintf(p->conditions, sizeof(p->conditions), "%s", cox_buf_cstr(&text));
			if (r.deleted && !w.no_acks)
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

static bool has_ticked(void *arg)
{
	return w.ticks != *(unsigned *)arg;
}

void turn(const char *what, int64_t deadline_ms)
{
	unsigned before = w.ticks;

	if (cox_loop_wait(w.loop, has_ticked, &before, PATIENCE_MS, NULL) < 0 ||
	    cox_loop_now_ms(w.loop) > deadline_ms)
		fail_msg("waited in vain for: %s (%s)", what, describe_all());
	if (w.engine)
		read_reports();
}

const char *describe_all(void)
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

struct answer answer;

static void answered(void *arg, const struct cox_kube_answer *a)
{
	(void)arg;
	answer.done = true;
	answer.status = a->status;
	cox_doc_unref(answer.doc);
	answer.doc = a->doc ? cox_doc_ref(a->doc) : NULL;
}

int call(const char *method, const char *path, const char *type, const char *body)
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

const char *field(const char *a, const char *b, const char *c)
{
	const struct cox_node *n = cox_node_get(cox_doc_root(answer.doc), a);

	if (b)
		n = cox_node_get(n, b);
	if (c)
		n = cox_node_get(n, c);
	return n ? cox_node_text(n).ptr : "";
}

size_t n_created(const char *kind, const char *name)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	struct cox_str rest, line;
	size_t n = 0;

	if (cox_file_read(w.audit, 100 << 20, &text, NULL) < 0)
		fail_msg("no audit");
	rest = cox_buf_str(&text);
	while (cox_str_split(&rest, '\n', &line)) {
		_cleanup_doc_ struct cox_doc *doc = NULL;

		/* the last line may be being written */
		if (cox_json_read(line, "audit", &doc, NULL) < 0)
			continue;
		const struct cox_node *root = cox_doc_root(doc), *o = cox_node_get(root, "object");

		n += cox_str_is(cox_node_str(cox_node_get(root, "verb")), "create") &&
		     cox_str_is(cox_node_str(cox_node_get(o, "kind")), kind) &&
		     cox_str_is(cox_meta_name(o), name);
	}
	return n;
}

bool value_is(const char *path, const char *key, const char *value)
{
	return call("GET", path, NULL, "") == 200 && cox_streq(field("data", key, NULL), value);
}

/* ---- assignments ---- */

void bundle(const char *yaml, uint8_t digest[COX_SHA256_BYTES])
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

void assign(struct assign a)
{
	Coxswain__Assignment__V1__Change change = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT;
	Coxswain__Assignment__V1__Assignment m = COXSWAIN__ASSIGNMENT__V1__ASSIGNMENT__INIT;
	Coxswain__Assignment__V1__Policy policy = COXSWAIN__ASSIGNMENT__V1__POLICY__INIT;
	Coxswain__Assignment__V1__ProjectRules rules =
		COXSWAIN__ASSIGNMENT__V1__PROJECT_RULES__INIT;
	Coxswain__Assignment__V1__Operation op = COXSWAIN__ASSIGNMENT__V1__OPERATION__INIT;
	Coxswain__Assignment__V1__Retry retry = COXSWAIN__ASSIGNMENT__V1__RETRY__INIT;
	Coxswain__Assignment__V1__Backoff backoff = COXSWAIN__ASSIGNMENT__V1__BACKOFF__INIT;
	Coxswain__Assignment__V1__ResourceSelector only =
		COXSWAIN__ASSIGNMENT__V1__RESOURCE_SELECTOR__INIT;
	Coxswain__Assignment__V1__ResourceSelector *selected = &only;
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
	policy.deletion_approved_ms = a.deletion_approved_ms;
	policy.ignore_differences.data = (uint8_t *)a.ignore; /* JSON */
	policy.ignore_differences.len = a.ignore ? strlen(a.ignore) : 0;
	m.sync_revision = (char *)a.revision;
	rules.project.data = (uint8_t *)a.project;
	rules.project.len = a.project ? strlen(a.project) : 0;
	rules.server = (char *)"https://here.example.com";
	if (a.project)
		m.project_rules = &rules;
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
		op.skip_hooks = a.skip_hooks;
		only.kind = (char *)"ConfigMap";
		only.name = (char *)a.only;
		op.resources = &selected;
		op.n_resources = a.only != NULL;
		op.terminate = a.terminate;
		op.revision = (char *)a.revision;
		op.retry = &retry;
		op.prune = true;
		op.initiated_by = (char *)(a.by ? a.by : "alice");
		m.operation = &op;
	}
	change.position = w.generation;
	change.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT;
	change.assignment = &m;
	if (agent_engine_accept(w.engine, list, 1, w.generation, &err) < 0)
		fail_msg("%s", err.message);
}

static void bury_as(const char *uid, const char *name, bool cascade, const char *hooks,
		    bool approved)
{
	uint8_t digest[COX_SHA256_BYTES];
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
	t.instance = (char *)name;
	t.destination_namespace = (char *)"shop";
	t.deletion_approved = approved;
	if (hooks) {
		bundle(hooks, digest);
		t.hooks_digest.data = digest;
		t.hooks_digest.len = sizeof(digest);
	}
	change.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE;
	change.tombstone = &t;
	assert_true(agent_engine_accept(w.engine, list, 1, w.generation, NULL) >= 0);
}

void bury(const char *uid, const char *name, bool cascade)
{
	bury_as(uid, name, cascade, NULL, false);
}

void bury_with_hooks(const char *uid, const char *name, const char *yaml, bool approved)
{
	bury_as(uid, name, true, yaml, approved);
}

void configure(const char *body)
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
bool is_configured(const char *body)
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

void open_engine(void)
{
	struct cox_kubeconfig *config;
	struct cox_error err;

	if (agent_store_open(w.state, &w.store, &err) < 0 ||
	    cox_kubeconfig_load(w.kubeconfig, NULL, &config, &err) < 0 ||
	    cox_kube_new(w.loop, config, NULL, &w.kube, &err) < 0 ||
	    agent_engine_new(&(struct agent_engine_options){.loop = w.loop,
							    .store = w.store,
							    .kube = w.kube,
							    .jq = w.jq,
							    .script_threads = w.script_threads,
							    .wave_delay_ms = w.wave_delay_ms,
							    .delete_retry_ms = 20,
							    .hook_grace_ms = w.hook_grace_ms,
							    .want_bundle = want_bundle,
							    .changed = changed},
			     &w.engine, &err) < 0)
		fail_msg("%s", err.message);
}

/* As kill -9 would, but for the memory. */
void close_engine(void)
{
	agent_engine_free(w.engine);
	w.engine = NULL;
	cox_kube_free(w.kube);
	agent_store_close(w.store);
	cox_map_clear(&w.dirty);
}

bool is_settled(const char *uid)
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

void start_kubesim(const char *listen)
{
	const char *argv[] = {KUBESIM,	    "--listen", listen,	   "--kubeconfig-out",
			      w.kubeconfig, "--data",	w.objects, "--audit",
			      w.audit,	    NULL};
	struct cox_error err;

	if (cox_child_start(w.loop, &(struct cox_child_options){.argv = argv, .timeout_ms = -1},
			    kubesim_ended, NULL, &w.kubesim, &err) < 0)
		fail_msg("%s", err.message);
	WAIT("the simulated cluster", access(w.kubeconfig, R_OK) == 0);
}

int setup(void **state)
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
	snprintf(w.audit, sizeof(w.audit), "%s/audit", w.dir);
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

void remove_tree(const char *path)
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

int teardown(void **state)
{
	(void)state;
	close_engine();
	agent_jq_free(w.jq);
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
