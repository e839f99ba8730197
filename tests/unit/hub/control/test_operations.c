/* Sync windows, pauses, operations that are applied, history and rollback, as agents see them. */
#include "fixture.h"

#include "common/base/clock.h"

#include <stdlib.h>

#define REPO "file:///srv/apps.git"

#define APP(more, policy)                                                                          \
	"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: web\n" more       \
	"spec:\n  project: shop\n"                                                                 \
	"  source: {repoURL: '" REPO "', targetRevision: HEAD, path: web}\n"                       \
	"  destination: {name: dev, namespace: web}\n"                                             \
	"  syncPolicy: {" policy "}\n"
#define AUTOMATED "automated: {prune: true, selfHeal: true}"

#define PROJECT(windows)                                                                           \
	"apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: shop}\n"             \
	"spec:\n  sourceRepos: ['*']\n  destinations: [{name: '*', namespace: '*'}]\n"             \
	"  syncWindows: [" windows "]\n"
#define DENY "{kind: deny, schedule: '0 12 * * *', duration: 1h, applications: ['*']}"

static void commit(const char *id)
{
	_cleanup_free_ char *text = cox_asprintf("apiVersion: v1\nkind: ConfigMap\n"
						 "metadata: {name: web}\ndata: {commit: '%s'}\n",
						 id);

	repo_set(REPO, id, "web/web.yaml", text);
	repo_head(REPO, id);
}

struct world {
	struct site site;
	struct agent agent;
};

static int setup(void **state)
{
	struct world *w = cox_new(struct world);
	_cleanup_free_ char *token = NULL;

	site_init(&w->site);
	site_start(&w->site);
	site_apply(&w->site, "apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\n"
			     "metadata: {name: dev}\nspec: {server: 'https://1.1.1.1'}\n");
	site_apply(&w->site, PROJECT(""));
	agent_init(&w->agent, &w->site, "dev");
	token = site_token(&w->site, "dev");
	agent_join(&w->agent, token);
	agent_connect(&w->agent);
	commit("aaaa");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	agent_fini(&w->agent);
	site_fini(&w->site);
	free(w);
	return 0;
}

static const Coxswain__Assignment__V1__Assignment *told(struct world *w)
{
	const struct told *t = agent_told(&w->agent, "web");

	return t && !t->tombstone ? t->change->assignment : NULL;
}

static bool is_automated(void *arg)
{
	const Coxswain__Assignment__V1__Assignment *a = told(arg);

	return a && a->policy->automated;
}

static bool is_held(void *arg)
{
	return told(arg) && !is_automated(arg);
}

static void refresh(struct world *w)
{
	assert_int_equal(hub_control_refresh(w->site.control, NULL, "web", false, NULL), 0);
}

static int sync_web(struct world *w, const struct hub_sync_request *request, struct cox_error *err)
{
	struct hub_batch *batch = hub_batch_new();
	_cleanup_free_ char *revision = NULL;
	char id[COX_UUID_TEXT];
	int r = hub_control_sync(w->site.control, batch, NULL, "web", request, id, &revision, err);

	hub_store_commit(w->site.store, batch);
	return r;
}

/* So that the hub takes it for that time of today. */
static void set_clock(struct world *w, int hour, int minute, int second)
{
	int64_t day = 24 * 3600 * 1000, now;

	agent_disconnect(&w->agent);
	site_stop(&w->site);
	now = cox_clock_wall_ms();
	w->site.clock_skew_ms =
		now / day * day - now + ((int64_t)(hour * 60 + minute) * 60 + second) * 1000;
	site_start(&w->site);
	agent_connect(&w->agent);
}

static void test_window_closes_and_opens(void **state)
{
	struct world *w = *state;
	struct hub_sync_request by_hand = {.initiated_by = "admin"};
	struct cox_error err;

	site_apply(&w->site, APP("", AUTOMATED));
	site_wait_status(&w->site, "web", "Synced", "Healthy", "aaaa");
	assert_true(is_automated(w));
	set_clock(w, 12, 30, 0);
	site_apply(&w->site, PROJECT(DENY));
	site_wait_condition(&w->site, "web", "SyncWindow", "denies syncs now");
	site_wait(&w->site, is_held, w);
	refresh(w);
	site_wait_status(&w->site, "web", "Synced", "Healthy", "aaaa");
	assert_int_equal(sync_web(w, &by_hand, &err), -COX_FAILED_PRECONDITION);
	assert_non_null(strstr(err.message, "denies syncs now"));
	by_hand.dry_run = true;
	assert_int_equal(sync_web(w, &by_hand, &err), 0);
	/* a moment before it ends: nothing but time is needed */
	set_clock(w, 12, 59, 59);
	site_wait(&w->site, is_automated, w);
	site_wait_status(&w->site, "web", "Synced", "Healthy", "aaaa");
	/* and a moment before it begins */
	set_clock(w, 11, 59, 59);
	site_wait(&w->site, is_held, w);
	site_wait_condition(&w->site, "web", "SyncWindow", "denies syncs now");
	by_hand.dry_run = false;
	site_apply(&w->site, PROJECT("{kind: deny, schedule: '0 12 * * *', duration: 1h, "
				     "applications: ['*'], manualSync: true}"));
	site_settle(&w->site);
	assert_int_equal(sync_web(w, &by_hand, &err), 0);
}

static void test_pause(void **state)
{
	struct world *w = *state;
	struct cox_error err;

	site_apply(&w->site, APP("", AUTOMATED));
	site_wait_status(&w->site, "web", "Synced", "Healthy", "aaaa");
	site_apply(&w->site,
		   APP("  annotations: {argocd.argoproj.io/skip-reconcile: 'true'}\n", AUTOMATED));
	site_wait_condition(&w->site, "web", "Paused", "skip-reconcile");
	site_wait(&w->site, is_held, w);
	/* the agent of this test reports once: not to be lost with the connection */
	site_wait_status(&w->site, "web", "Synced", "Healthy", "aaaa");
	commit("bbbb");
	refresh(w);
	assert_int_equal(sync_web(w, &(struct hub_sync_request){.initiated_by = "admin"}, &err),
			 -COX_FAILED_PRECONDITION);
	/* also over a restart */
	agent_disconnect(&w->agent);
	site_stop(&w->site);
	site_start(&w->site);
	agent_connect(&w->agent);
	site_wait_condition(&w->site, "web", "Paused", "skip-reconcile");
	assert_false(is_automated(w));
	site_wait_status(&w->site, "web", "Synced", "Healthy", "aaaa");
	site_apply(&w->site, APP("", AUTOMATED));
	site_wait(&w->site, is_automated, w);
	site_wait_status(&w->site, "web", "Synced", "Healthy", "bbbb");
}

/* As the REST API does after an apply. */
static void apply_and_act(struct world *w, const char *yaml)
{
	_cleanup_docs_ cox_docs docs = {0};
	struct hub_batch *batch = hub_batch_new();
	enum hub_applied applied;
	struct cox_error err;

	assert_int_equal(cox_yaml_read_all(cox_str(yaml), "applied", NULL, &docs, &err), 0);
	COX_VEC_EACH (&docs, doc) {
		if (hub_control_apply(w->site.control, batch, *doc, &applied, &err) < 0)
			fail_msg("%s", err.message);
		hub_control_act(w->site.control, batch, *doc, "ann");
	}
	hub_store_commit(w->site.store, batch);
}

static void test_applied_operation(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *phase = NULL;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *operation;

	/* with the Application itself, before anything is known of it */
	apply_and_act(w, APP("", "") "operation: {initiatedBy: {username: bob}, info: [{name: why, "
				     "value: because}], sync: {prune: true, syncStrategy: {apply: "
				     "{}}, syncOptions: [Replace=true]}}\n");
	site_wait_status(&w->site, "web", "Synced", "Healthy", "aaaa");
	phase = site_status(&w->site, "web", "operationState", "phase");
	assert_string_equal(phase, "Succeeded");
	assert_int_equal(hub_control_get(w->site.control, HUB_APPLICATION, NULL, "web", &doc, NULL),
			 0);
	assert_null(cox_node_get(cox_doc_root(doc), "operation"));
	operation = COX_GET(cox_doc_root(doc), "status", "operationState", "operation");
	assert_string_equal(cox_node_cstr(COX_GET(operation, "initiatedBy", "username"), ""),
			    "ann");
	assert_true(cox_node_bool(COX_GET(operation, "sync", "prune"), false));
	assert_true(cox_node_is(COX_GET(operation, "sync", "syncStrategy", "apply"), COX_MAP));
	assert_int_equal(cox_node_len(COX_GET(operation, "info")), 1);
	assert_true(told(w)->operation->skip_hooks);
	assert_string_equal(told(w)->operation->sync_options[0], "Replace=true");
	/* what cannot be done says so */
	apply_and_act(w, APP("", "") "operation: {sync: {revision: nowhere}}\n");
	site_wait_condition(&w->site, "web", "OperationError", "nowhere");
	/* and the annotation looks at the repository, and is not kept */
	commit("bbbb");
	apply_and_act(w, APP("  annotations: {argocd.argoproj.io/refresh: hard}\n", ""));
	site_wait_status(&w->site, "web", "OutOfSync", "Healthy", "bbbb");
	cox_doc_unref(TAKE(doc));
	assert_int_equal(hub_control_get(w->site.control, HUB_APPLICATION, NULL, "web", &doc, NULL),
			 0);
	assert_null(COX_GET(cox_doc_root(doc), "metadata", "annotations"));
}

/* ---- an ApplicationSet in waves ---- */

static const char *const clusters[] = {"dev", "pre", "prod"};
static const char *const members[] = {"dev-web", "pre-web", "prod-web"};

#define WAVE(n) "      - matchExpressions: [{key: env, operator: In, values: [" n "]}]\n"
static const char *const SET =
	"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: web}\nspec:\n"
	"  generators:\n  - list: {elements: [{env: dev}, {env: pre}, {env: prod}]}\n"
	"  strategy:\n    type: RollingSync\n    rollingSync:\n      steps:\n" WAVE("dev")
		WAVE("pre") WAVE(
			"prod") "  template:\n"
				"    metadata: {name: '{{env}}-web', labels: {env: '{{env}}'}}\n"
				"    spec:\n      project: shop\n"
				"      source: {repoURL: '" REPO
				"', targetRevision: HEAD, path: web}\n"
				"      destination: {name: '{{env}}', namespace: web}\n"
				"      syncPolicy: {automated: {}}\n";

struct fleet {
	struct site site;
	struct agent agents[3];
};

static int setup_waves(void **state)
{
	struct fleet *f = cox_new(struct fleet);

	site_init(&f->site);
	site_start(&f->site);
	site_apply(&f->site, PROJECT(""));
	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *yaml = cox_asprintf(
			"apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\nmetadata: {name: %s}\n"
			"spec: {server: 'https://%d.1.1.1'}\n",
			clusters[i], i + 1);
		_cleanup_free_ char *token = NULL;

		site_apply(&f->site, yaml);
		agent_init(&f->agents[i], &f->site, clusters[i]);
		token = site_token(&f->site, clusters[i]);
		agent_join(&f->agents[i], token);
		agent_connect(&f->agents[i]);
	}
	commit("aaaa");
	*state = f;
	return 0;
}

static int teardown_waves(void **state)
{
	struct fleet *f = *state;

	for (int i = 0; i < 3; i++)
		agent_fini(&f->agents[i]);
	site_fini(&f->site);
	free(f);
	return 0;
}

struct at {
	struct fleet *fleet;
	int member;
	const char *digest; /* NULL: any other than `other` */
	const char *other;
};

static bool is_at(void *arg)
{
	const struct at *at = arg;
	const struct told *t = agent_told(&at->fleet->agents[at->member], members[at->member]);

	if (!t || !*t->digest)
		return false;
	return at->digest ? strcmp(t->digest, at->digest) == 0 : strcmp(t->digest, at->other) != 0;
}

static int ask_sync(struct fleet *f, int member, bool skip_gates, struct cox_error *err)
{
	struct hub_batch *batch = hub_batch_new();
	_cleanup_free_ char *revision = NULL;
	char id[COX_UUID_TEXT];
	int r = hub_control_sync(
		f->site.control, batch, NULL, members[member],
		&(struct hub_sync_request){.initiated_by = "admin", .skip_gates = skip_gates}, id,
		&revision, err);

	hub_store_commit(f->site.store, batch);
	return r;
}

static int ask_rollback(struct fleet *f, int member, bool force, struct cox_error *err)
{
	struct hub_batch *batch = hub_batch_new();
	_cleanup_free_ char *revision = NULL;
	char id[COX_UUID_TEXT];
	int r = hub_control_rollback(
		f->site.control, batch, NULL, members[member],
		&(struct hub_rollback_request){.id = 0, .force = force, .initiated_by = "admin"},
		id, &revision, err);

	hub_store_commit(f->site.store, batch);
	return r;
}

struct mark {
	struct fleet *fleet;
	int member;
	const char *key;
};

/* The newest entry of the history has it. */
static bool has_mark(void *arg)
{
	const struct mark *m = arg;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *list;

	assert_int_equal(hub_control_get(m->fleet->site.control, HUB_APPLICATION, NULL,
					 members[m->member], &doc, NULL),
			 0);
	list = COX_GET(cox_doc_root(doc), "status", "history");
	return cox_node_get(cox_node_at(list, cox_node_len(list) - 1), m->key) != NULL;
}

static void test_gates_and_the_fence(void **state)
{
	struct fleet *f = *state;
	_cleanup_free_ char *first = NULL, *second = NULL;
	struct cox_error err;

	site_apply(&f->site, SET);
	for (int i = 0; i < 3; i++)
		site_wait_status(&f->site, members[i], "Synced", "Healthy", "aaaa");
	first = cox_strdup(agent_told(&f->agents[0], members[0])->digest);

	/* the first wave is on its way */
	f->agents[0].hold = true;
	commit("bbbb");
	assert_int_equal(hub_control_refresh(f->site.control, NULL, members[0], false, NULL), 0);
	site_wait(&f->site, is_at, &(struct at){f, 0, NULL, first});
	second = cox_strdup(agent_told(&f->agents[0], members[0])->digest);
	site_wait_condition(&f->site, members[2], "Waiting", "wave");

	/* the third is not its turn: refused, or done and written down */
	assert_int_equal(ask_sync(f, 2, false, &err), -COX_FAILED_PRECONDITION);
	assert_non_null(strstr(err.message, "wave"));
	assert_int_equal(ask_sync(f, 2, true, &err), 0);
	site_wait(&f->site, is_at, &(struct at){f, 2, second, NULL});
	site_wait_status(&f->site, members[2], "Synced", "Healthy", "bbbb");
	site_wait(&f->site, has_mark, &(struct mark){f, 2, "gatesSkipped"});
	assert_true(is_at(&(struct at){f, 1, first, NULL}));

	/* the first is taken back: whatever it says then, the second wave does not open */
	assert_int_equal(ask_rollback(f, 0, false, &err), -COX_FAILED_PRECONDITION);
	assert_int_equal(ask_rollback(f, 0, true, &err), 0);
	site_wait(&f->site, is_at, &(struct at){f, 0, first, NULL});
	f->agents[0].hold = false;
	agent_report(&f->agents[0]);
	site_wait(&f->site, has_mark, &(struct mark){f, 0, "rollbackTo"});
	site_settle(&f->site);
	assert_true(is_at(&(struct at){f, 1, first, NULL}));

	/* and when it is brought back, everything goes on */
	assert_int_equal(ask_sync(f, 0, false, &err), 0);
	for (int i = 0; i < 3; i++)
		site_wait_status(&f->site, members[i], "Synced", "Healthy", "bbbb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_window_closes_and_opens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_applied_operation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gates_and_the_fence, setup_waves,
						teardown_waves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
