/* The hub as its agents and its people see it. */
#include "fixture.h"

#include <stdlib.h>

#define REPO "file:///srv/apps.git"

static const char *const CLUSTERS = "apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\nmetadata: "
				    "{name: dev, labels: {env: dev}}\n"
				    "spec: {server: 'https://1.1.1.1'}\n---\n"
				    "apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\nmetadata: "
				    "{name: pre, labels: {env: pre}}\n"
				    "spec: {server: 'https://2.2.2.2'}\n---\n"
				    "apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\nmetadata: "
				    "{name: prod, labels: {env: prod}}\n"
				    "spec: {server: 'https://3.3.3.3'}\n";

#define SET(strategy)                                                                              \
	"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: book}\nspec:\n"  \
	"  generators:\n  - list:\n      elements:\n"                                              \
	"      - {cluster: dev, url: 'https://1.1.1.1', env: dev}\n"                               \
	"      - {cluster: prod, url: 'https://3.3.3.3', env: prod}\n"                             \
	"      - {cluster: pre, url: 'https://2.2.2.2', env: pre}\n" strategy                      \
	"  template:\n    metadata: {name: '{{cluster}}-book', labels: {env: '{{env}}'}}\n"        \
	"    spec:\n      project: default\n"                                                      \
	"      source: {repoURL: '" REPO "', targetRevision: HEAD, path: book}\n"                  \
	"      destination: {server: '{{url}}', namespace: book}\n"                                \
	"      syncPolicy: {automated: {prune: true, selfHeal: true}}\n"

#define WAVES                                                                                      \
	"  strategy:\n    type: RollingSync\n    rollingSync:\n      steps:\n"                     \
	"      - matchExpressions: [{key: env, operator: In, values: [dev]}]\n"                    \
	"      - matchExpressions: [{key: env, operator: In, values: [pre]}]\n"                    \
	"      - matchExpressions: [{key: env, operator: In, values: [prod]}]\n"

static void manifest(const char *commit, const char *version)
{
	_cleanup_free_ char *text = cox_asprintf("apiVersion: v1\nkind: ConfigMap\n"
						 "metadata: {name: book}\ndata: {version: '%s'}\n",
						 version);

	repo_set(REPO, commit, "book/book.yaml", text);
	repo_head(REPO, commit);
}

struct world {
	struct site site;
	struct agent agents[3];
};

static const char *const names[] = {"dev", "pre", "prod"};
static const char *const apps[] = {"dev-book", "pre-book", "prod-book"};

static void join(struct agent *a)
{
	_cleanup_free_ char *token = site_token(a->site, a->cluster);

	agent_join(a, token);
	assert_true(a->joined);
	agent_connect(a);
	assert_true(a->up);
}

static int setup(void **state)
{
	struct world *w = cox_new(struct world);

	site_init(&w->site);
	site_start(&w->site);
	site_apply(&w->site, CLUSTERS);
	for (int i = 0; i < 3; i++) {
		agent_init(&w->agents[i], &w->site, names[i]);
		join(&w->agents[i]);
	}
	manifest("aaaa", "1");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 3; i++)
		agent_fini(&w->agents[i]);
	site_fini(&w->site);
	free(w);
	return 0;
}

static void refresh(struct world *w, const char *app)
{
	assert_int_equal(hub_control_refresh(w->site.control, NULL, app, false, NULL), 0);
}

static void wait_all(struct world *w, const char *revision)
{
	for (int i = 0; i < 3; i++)
		site_wait_status(&w->site, apps[i], "Synced", "Healthy", revision);
}

static void test_one_push(void **state)
{
	struct world *w = *state;

	site_apply(&w->site, SET(""));
	wait_all(w, "aaaa");
	manifest("bbbb", "2");
	refresh(w, "dev-book");
	wait_all(w, "bbbb");
	for (int i = 0; i < 3; i++)
		/* Only one that asked after the first assignment got everything at once. */
		assert_true(w->agents[i].n_snapshots <= 1);
}

struct agent_has {
	struct agent *agent;
	const char *app, *not_digest;
};

static bool has_other_digest(void *arg)
{
	struct agent_has *h = arg;
	struct told *t = agent_told(h->agent, h->app);

	return t && *t->digest && strcmp(t->digest, h->not_digest) != 0;
}

struct agent_told {
	struct agent *agent;
	const char *app;
	bool tombstone;
};

static bool was_told(void *arg)
{
	struct agent_told *h = arg;
	struct told *t = agent_told(h->agent, h->app);

	return t && t->tombstone == h->tombstone;
}

static struct told *wait_told(struct world *w, const char *app, bool tombstone)
{
	site_wait(&w->site, was_told, &(struct agent_told){&w->agents[0], app, tombstone});
	return agent_told(&w->agents[0], app);
}

static bool is_done(void *arg)
{
	struct world *w = arg;

	return hub_control_rollout(w->site.control, NULL, "book")->phase == COX_ROLLOUT_SUCCEEDED;
}

static void test_waves(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *before = NULL;
	const struct cox_rollout *r;

	site_apply(&w->site, SET(WAVES));
	wait_all(w, "aaaa");
	before = cox_strdup(agent_told(&w->agents[0], "dev-book")->digest);
	for (int i = 0; i < 3; i++)
		w->agents[i].hold = true;
	manifest("bbbb", "2");
	refresh(w, "prod-book");
	for (int i = 0; i < 3; i++) {
		struct agent_has has = {&w->agents[i], apps[i], before};

		/* This one is told; those after it are not, and say what they wait for. */
		site_wait(&w->site, has_other_digest, &has);
		for (int k = i + 1; k < 3; k++) {
			has = (struct agent_has){&w->agents[k], apps[k], before};
			site_wait_condition(&w->site, apps[k], "Waiting", "wave");
			assert_false(has_other_digest(&has));
			site_wait_status(&w->site, apps[k], "OutOfSync", "Healthy", "bbbb");
		}
		r = hub_control_rollout(w->site.control, NULL, "book");
		assert_int_equal(cox_rollout_open_wave(r), i);
		/* Not healthy is not enough. */
		w->agents[i].health = "Progressing";
		agent_report(&w->agents[i]);
		site_settle(&w->site);
		assert_int_equal(cox_rollout_open_wave(r), i);
		w->agents[i].health = NULL;
		agent_report(&w->agents[i]);
	}
	wait_all(w, "bbbb");
	site_wait(&w->site, is_done, w);
}

static void test_restart_in_a_wave(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *before = NULL;
	char id[COX_UUID_TEXT];
	const struct cox_rollout *r;
	size_t snapshots[3];

	site_apply(&w->site, SET(WAVES));
	wait_all(w, "aaaa");
	before = cox_strdup(agent_told(&w->agents[0], "dev-book")->digest);
	w->agents[1].hold = true;
	manifest("bbbb", "2");
	refresh(w, "prod-book");
	site_wait(&w->site, has_other_digest,
		  &(struct agent_has){&w->agents[1], "pre-book", before});
	r = hub_control_rollout(w->site.control, NULL, "book");
	memcpy(id, r->id, sizeof(id));
	for (int i = 0; i < 3; i++) {
		agent_disconnect(&w->agents[i]);
		snapshots[i] = w->agents[i].n_snapshots;
	}
	site_stop(&w->site);

	site_start(&w->site);
	r = hub_control_rollout(w->site.control, NULL, "book");
	assert_string_equal(r->id, id);
	for (int i = 0; i < 3; i++)
		agent_connect(&w->agents[i]);
	site_settle(&w->site);
	/* Nothing changed, so nothing was sent again. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(w->agents[i].n_snapshots, snapshots[i]);
	assert_string_equal(agent_told(&w->agents[2], "prod-book")->digest, before);
	w->agents[1].hold = false;
	agent_report(&w->agents[1]);
	wait_all(w, "bbbb");
	r = hub_control_rollout(w->site.control, NULL, "book");
	assert_string_equal(r->id, id);
}

#define APP(name, dest, more)                                                                      \
	"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: " name more "}\n"   \
	"spec:\n  project: default\n  source: {repoURL: '" REPO                                    \
	"', targetRevision: HEAD, path: book}\n  destination: {" dest ", namespace: book}\n"

#define AUTOMATED "  syncPolicy: {automated: {}}\n"

static void test_conditions(void **state)
{
	struct world *w = *state;

	site_apply(&w->site, APP("lost", "name: nowhere", "") AUTOMATED
		   "---\n" APP("far", "server: 'https://9.9.9.9'", "") AUTOMATED);
	site_wait_condition(&w->site, "lost", "InvalidSpecError", "nowhere");
	site_wait_condition(&w->site, "far", "InvalidSpecError", "https://9.9.9.9");
	repo_set(REPO, "broken", "book/book.yaml",
		 "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, name: b}\n");
	repo_head(REPO, "broken");
	site_apply(&w->site, APP("bad", "name: dev", "") AUTOMATED);
	site_wait_condition(&w->site, "bad", "ComparisonError", "book.yaml");
	manifest("cccc", "3");
	refresh(w, "bad");
	site_wait_status(&w->site, "bad", "Synced", "Healthy", "cccc");
	site_wait_condition(&w->site, "bad", "ComparisonError", NULL);
	/* A repository that is away for a while changes nothing but the condition. */
	repo_break(REPO, "the server is on fire");
	refresh(w, "bad");
	site_wait_condition(&w->site, "bad", "ComparisonError", "on fire");
	site_wait_status(&w->site, "bad", "Synced", "Healthy", "cccc");
	/* The cluster appears. */
	repo_break(REPO, NULL);
	site_apply(&w->site, "apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\n"
			     "metadata: {name: nowhere}\nspec: {}\n");
	site_wait_condition(&w->site, "lost", "InvalidSpecError", NULL);
	site_wait_condition(&w->site, "lost", "AgentUnavailable", "nowhere");
}

static bool is_gone(void *arg)
{
	struct site *s = arg;
	_cleanup_doc_ struct cox_doc *doc = NULL;

	return hub_control_get(s->control, HUB_APPLICATION, NULL, "one", &doc, NULL) < 0;
}

static void delete_one(struct world *w, int want)
{
	struct hub_batch *batch = hub_batch_new();

	assert_int_equal(hub_control_delete(w->site.control, batch, HUB_APPLICATION, NULL, "one",
					    HUB_DELETE_DEFAULT, NULL),
			 want);
	hub_store_commit(w->site.store, batch);
}

static void test_delete_cascades(void **state)
{
	struct world *w = *state;
	struct told *t;
	struct cox_error err = COX_ERROR_INIT;

	site_apply(&w->site,
		   APP("one", "name: dev", ", finalizers: [resources-finalizer.argocd.argoproj.io]")
			   AUTOMATED);
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
	w->agents[0].hold = true;
	delete_one(w, 1);
	site_wait_condition(&w->site, "one", "Deleting", "");
	/* Its name is not free before its objects are gone. */
	assert_int_equal(site_try_apply(&w->site, APP("one", "name: dev", ""), &err),
			 -COX_FAILED_PRECONDITION);
	t = wait_told(w, "one", true);
	assert_true(t->tombstone && t->change->tombstone->cascade);
	agent_report(&w->agents[0]);
	site_wait(&w->site, is_gone, &w->site);
}

static void test_delete_orphans(void **state)
{
	struct world *w = *state;
	struct told *t;

	site_apply(&w->site, APP("one", "name: dev", "") AUTOMATED);
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
	w->agents[0].hold = true;
	delete_one(w, 0);
	t = wait_told(w, "one", true);
	assert_true(t->tombstone && !t->change->tombstone->cascade);
	assert_true(is_gone(&w->site));
}

static void test_by_hand(void **state)
{
	struct world *w = *state;
	struct hub_batch *batch;
	char id[COX_UUID_TEXT];
	_cleanup_free_ char *revision = NULL, *phase = NULL, *seen = NULL;
	struct told *t;

	site_apply(&w->site, APP("hand", "name: dev", ""));
	site_wait_condition(&w->site, "hand", "Waiting", "cox app sync hand");
	t = wait_told(w, "hand", false);
	assert_string_equal(t->digest, "");
	batch = hub_batch_new();
	assert_int_equal(hub_control_sync(w->site.control, batch, NULL, "hand",
					  &(struct hub_sync_request){.initiated_by = "admin"}, id,
					  &revision, NULL),
			 0);
	hub_store_commit(w->site.store, batch);
	assert_string_equal(revision, "aaaa");
	site_wait_status(&w->site, "hand", "Synced", "Healthy", "aaaa");
	phase = site_status(&w->site, "hand", "operationState", "phase");
	seen = site_status(&w->site, "hand", "operationState", "id");
	assert_string_equal(phase, "Succeeded");
	assert_string_equal(seen, id);
	/* What Git says next waits for a hand again. */
	manifest("bbbb", "2");
	refresh(w, "hand");
	site_wait_status(&w->site, "hand", "OutOfSync", "Healthy", "bbbb");
}

static void test_failed_wave_and_its_mending(void **state)
{
	struct world *w = *state;
	struct cox_rollout_why why;

	site_apply(&w->site, SET(WAVES));
	wait_all(w, "aaaa");
	w->agents[0].phase = "ConfigMap 'book': admission denied";
	manifest("bbbb", "2");
	refresh(w, "dev-book");
	site_wait_condition(&w->site, "dev-book", "Waiting", NULL);
	site_wait_condition(&w->site, "pre-book", "Waiting", "admission denied");
	cox_rollout_why(hub_control_rollout(w->site.control, NULL, "book"), &why);
	assert_int_equal(why.wave, 0);
	assert_string_equal(why.target->cluster, "dev");
	/* The mended revision does not wait for the failed one. */
	w->agents[0].phase = NULL;
	manifest("cccc", "3");
	refresh(w, "dev-book");
	wait_all(w, "cccc");
}

static void test_why_names_the_resource(void **state)
{
	struct world *w = *state;
	struct cox_rollout_why why;

	site_apply(&w->site, SET(WAVES));
	wait_all(w, "aaaa");
	w->agents[0].health = "Degraded";
	w->agents[0].ill = "front";
	manifest("bbbb", "2");
	refresh(w, "dev-book");
	site_wait_condition(&w->site, "pre-book", "Waiting", "Deployment 'shop/front'");
	cox_rollout_why(hub_control_rollout(w->site.control, NULL, "book"), &why);
	assert_string_equal(why.target->cluster, "dev");
	assert_non_null(why.resource);
	assert_string_equal(why.resource, "Deployment shop/front");
}

static void test_dropped_element(void **state)
{
	struct world *w = *state;

	site_apply(&w->site, SET(""));
	wait_all(w, "aaaa");
	site_apply(
		&w->site,
		"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: book}\n"
		"spec:\n  generators:\n  - list:\n      elements:\n"
		"      - {cluster: dev, url: 'https://1.1.1.1', env: dev}\n"
		"  template:\n    metadata: {name: '{{cluster}}-book', labels: {env: '{{env}}'}}\n"
		"    spec:\n      project: default\n      source: {repoURL: '" REPO
		"', targetRevision: HEAD, path: book}\n"
		"      destination: {server: '{{url}}', namespace: book}\n"
		"      syncPolicy: {automated: {prune: true, selfHeal: true}}\n");
	site_wait_status(&w->site, "pre-book", "", "", "");
	site_wait_status(&w->site, "prod-book", "", "", "");
	site_wait_status(&w->site, "dev-book", "Synced", "Healthy", "aaaa");
	site_settle(&w->site);
}

static void test_tokens(void **state)
{
	struct world *w = *state;
	struct agent other;
	_cleanup_free_ char *token = site_token(&w->site, "dev");

	/* Once only, and only for its name. */
	agent_init(&other, &w->site, "pre");
	agent_join(&other, token);
	assert_true(other.refused);
	agent_fini(&other);
	agent_init(&other, &w->site, "dev");
	agent_join(&other, token);
	assert_true(other.joined);
	agent_join(&other, token);
	assert_true(other.refused);
	agent_fini(&other);
	/* The key before is worthless now. */
	agent_disconnect(&w->agents[0]);
	agent_connect(&w->agents[0]);
	assert_false(w->agents[0].up);
}

static void test_newest_session_wins(void **state)
{
	struct world *w = *state;
	struct agent twin;

	agent_init(&twin, &w->site, "dev");
	cox_buf_puts_str(&twin.chain, cox_buf_str(&w->agents[0].chain));
	cox_buf_puts_str(&twin.key, cox_buf_str(&w->agents[0].key));
	cox_buf_puts_str(&twin.hub_ca, cox_buf_str(&w->agents[0].hub_ca));
	agent_connect(&twin);
	assert_true(twin.up);
	site_apply(&w->site, APP("one", "name: dev", "") AUTOMATED);
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
	assert_true(w->agents[0].down);
	assert_non_null(agent_told(&twin, "one"));
	agent_fini(&twin);
}

/* ---- applications of applications ---- */

#define CHILD(name)                                                                                \
	"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: " name            \
	"\n  finalizers: [resources-finalizer.argocd.argoproj.io]\nspec:\n  project: default\n"    \
	"  source: {repoURL: '" REPO "', targetRevision: HEAD, path: book}\n"                      \
	"  destination: {name: dev, namespace: " name "}\n" AUTOMATED

#define PARENT_BY_HAND                                                                             \
	"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: hand}\n"            \
	"spec:\n  project: default\n  source: {repoURL: 'file:///srv/parents.git', path: apps}\n"  \
	"  destination: {name: in-cluster}\n"

#define PARENT                                                                                     \
	"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: parent}\n"          \
	"spec:\n  project: default\n  source: {repoURL: 'file:///srv/parents.git', "               \
	"targetRevision: "                                                                         \
	"HEAD, path: apps}\n  destination: {server: 'https://kubernetes.default.svc'}\n"           \
	"  syncPolicy: {automated: {prune: true}}\n"

static bool child_is_gone(void *arg)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	return hub_control_get(((struct site *)arg)->control, HUB_APPLICATION, NULL, "two", &doc,
			       NULL) < 0;
}

static void test_app_of_apps(void **state)
{
	struct world *w = *state;

	repo_set("file:///srv/parents.git", "p1", "apps/one.yaml", CHILD("one"));
	repo_set("file:///srv/parents.git", "p1", "apps/two.yaml", CHILD("two"));
	repo_set("file:///srv/parents.git", "p2", "apps/one.yaml", CHILD("one"));
	repo_head("file:///srv/parents.git", "p1");
	site_apply(&w->site, PARENT);
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
	site_wait_status(&w->site, "two", "Synced", "Healthy", "aaaa");
	site_wait_status(&w->site, "parent", "Synced", "Healthy", "p1");
	repo_head("file:///srv/parents.git", "p2");
	refresh(w, "parent");
	/* The agent says that the objects are gone, then the child goes. */
	site_wait(&w->site, child_is_gone, &w->site);
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
	/* What is not the hub's own has no cluster to go to. */
	repo_set("file:///srv/parents.git", "p3", "apps/map.yaml",
		 "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n");
	repo_head("file:///srv/parents.git", "p3");
	refresh(w, "parent");
	site_wait_condition(&w->site, "parent", "InvalidSpecError", "--in-cluster");
}

static void test_app_of_apps_by_hand(void **state)
{
	struct world *w = *state;
	struct hub_batch *batch;
	char id[COX_UUID_TEXT];
	_cleanup_free_ char *revision = NULL;

	repo_set("file:///srv/parents.git", "p1", "apps/one.yaml", CHILD("one"));
	repo_head("file:///srv/parents.git", "p1");
	site_apply(&w->site, PARENT_BY_HAND);
	site_wait_status(&w->site, "hand", "OutOfSync", "Healthy", "p1");
	assert_true(is_gone(&w->site));
	batch = hub_batch_new();
	assert_int_equal(hub_control_sync(w->site.control, batch, NULL, "hand",
					  &(struct hub_sync_request){.initiated_by = "admin"}, id,
					  &revision, NULL),
			 0);
	hub_store_commit(w->site.store, batch);
	assert_string_equal(revision, "p1");
	site_wait_status(&w->site, "hand", "Synced", "Healthy", "p1");
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
}

/* ---- what is said of secrets ---- */

static void test_secrets_stay(void **state)
{
	struct world *w = *state;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_free_ char *command = NULL;

	site_apply(
		&w->site,
		"apiVersion: v1\nkind: Secret\nmetadata:\n  name: repo\n"
		"  labels: {argocd.argoproj.io/secret-type: repository}\n"
		"  annotations: {kubectl.kubernetes.io/last-applied-configuration: canary-word}\n"
		"stringData: {url: 'https://git.example.com/x.git', password: canary-word}\n");
	site_settle(&w->site);
	assert_int_equal(hub_control_get(w->site.control, HUB_SECRET, NULL, "repo", &doc, NULL), 0);
	cox_yaml_write(&text, cox_doc_root(doc));
	assert_null(strstr(cox_buf_cstr(&text), "canary-word"));
	assert_non_null(strstr(cox_buf_cstr(&text), "++++++++"));
	command = cox_asprintf("grep -qr canary-word '%s'", w->site.dir);
	assert_int_not_equal(system(command), 0);
}

/* ---- moving ---- */

static bool has_epitaph(void *arg)
{
	struct told *t = agent_told(arg, "one");

	return t == NULL || t->tombstone;
}

static void test_another_cluster(void **state)
{
	struct world *w = *state;

	site_apply(&w->site, APP("one", "name: dev", "") AUTOMATED);
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
	w->agents[0].hold = true;
	site_apply(&w->site, APP("one", "name: pre", "") AUTOMATED);
	site_wait(&w->site, has_epitaph, &w->agents[0]);
	/* What it left behind stays there. */
	assert_false(agent_told(&w->agents[0], "one")->change->tombstone->cascade);
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
	assert_non_null(agent_told(&w->agents[1], "one"));
}

/* A changed policy is a new generation at the same digest, and starts no rollout. */
static void test_policy_change(void **state)
{
	struct world *w = *state;
	char id[COX_UUID_TEXT];
	uint64_t generation;

	site_apply(&w->site, APP("one", "name: dev", "") AUTOMATED);
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
	generation = agent_told(&w->agents[0], "one")->change->assignment->generation;
	memcpy(id, hub_control_rollout(w->site.control, NULL, "one")->id, sizeof(id));
	site_apply(&w->site,
		   APP("one", "name: dev", "") "  syncPolicy: {automated: {selfHeal: true}}\n");
	site_wait_status(&w->site, "one", "OutOfSync", NULL, NULL);
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
	assert_int_equal(agent_told(&w->agents[0], "one")->change->assignment->generation,
			 generation + 1);
	assert_true(agent_told(&w->agents[0], "one")->change->assignment->policy->self_heal);
	assert_string_equal(hub_control_rollout(w->site.control, NULL, "one")->id, id);
}

/* ---- resuming ---- */

static bool has_snapshot(void *arg)
{
	struct agent *a = arg;

	return a->n_snapshots > 0 && agent_told(a, "one") && agent_told(a, "two");
}

static void test_resumes(void **state)
{
	struct world *w = *state;
	struct agent *dev = &w->agents[0];
	size_t n, snapshots;

	site_apply(&w->site, APP("one", "name: dev", "") AUTOMATED
		   "---\n" APP("two", "name: dev", "") AUTOMATED);
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
	site_wait_status(&w->site, "two", "Synced", "Healthy", "aaaa");
	/* Nothing new: nothing is sent. */
	agent_disconnect(dev);
	n = dev->n_changes;
	snapshots = dev->n_snapshots;
	agent_connect(dev);
	site_settle(&w->site);
	assert_int_equal(dev->n_changes, n);
	/* Something new: only that. */
	agent_disconnect(dev);
	site_wait_condition(&w->site, "one", "AgentUnavailable", "offline since");
	site_apply(&w->site,
		   APP("one", "name: dev", "") "  syncPolicy: {automated: {prune: true}}\n");
	site_settle(&w->site);
	agent_connect(dev);
	site_wait_status(&w->site, "one", "Synced", "Healthy", "aaaa");
	assert_int_equal(dev->n_changes, n + 1);
	assert_int_equal(dev->n_snapshots, snapshots);
	/* A position that this hub never gave: everything. */
	agent_disconnect(dev);
	dev->position += 1000;
	agent_forget(dev);
	dev->n_snapshots = 0;
	agent_connect(dev);
	site_wait(&w->site, has_snapshot, dev);
	assert_non_null(agent_told(dev, "one"));
	assert_non_null(agent_told(dev, "two"));
}

/* ---- one push is seen as one ---- */

/* The first wave follows HEAD, the others `main`: two names of one commit. Whatever order they are looked
 * at in, no wave gets the push before the one before it has it. */
static void test_two_names_of_one_commit(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *before = NULL;

	site_apply(
		&w->site,
		"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: book}\n"
		"spec:\n  generators:\n  - list:\n      elements:\n"
		"      - {cluster: dev, env: dev, rev: HEAD}\n"
		"      - {cluster: pre, env: pre, rev: main}\n"
		"      - {cluster: prod, env: prod, rev: main}\n" WAVES
		"  template:\n    metadata: {name: '{{cluster}}-book', labels: {env: '{{env}}'}}\n"
		"    spec:\n      project: default\n      source: {repoURL: '" REPO
		"', targetRevision: '{{rev}}', path: book}\n"
		"      destination: {name: '{{cluster}}', namespace: book}\n"
		"      syncPolicy: {automated: {}}\n");
	wait_all(w, "aaaa");
	before = cox_strdup(agent_told(&w->agents[0], "dev-book")->digest);
	w->agents[0].hold = true;
	manifest("bbbb", "2");
	refresh(w, "prod-book");
	site_wait(&w->site, has_other_digest,
		  &(struct agent_has){&w->agents[0], "dev-book", before});
	site_settle(&w->site);
	for (int i = 1; i < 3; i++)
		assert_string_equal(agent_told(&w->agents[i], apps[i])->digest, before);
	w->agents[0].hold = false;
	agent_report(&w->agents[0]);
	wait_all(w, "bbbb");
}

/* A hub that comes back while a repository is away: what it knew stands, and what others ask for
 * goes on. */
static void test_restart_without_a_repository(void **state)
{
	struct world *w = *state;
	char id[COX_UUID_TEXT];

	repo_set("file:///srv/other.git", "oooo", "book/book.yaml",
		 "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n");
	repo_head("file:///srv/other.git", "oooo");
	site_apply(
		&w->site,
		"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: book}\n"
		"spec:\n  generators:\n  - list:\n      elements:\n"
		"      - {cluster: dev, repo: apps}\n      - {cluster: pre, repo: other}\n"
		"  template:\n    metadata: {name: '{{cluster}}-book'}\n"
		"    spec:\n      project: default\n"
		"      source: {repoURL: 'file:///srv/{{repo}}.git', path: book}\n"
		"      destination: {name: '{{cluster}}', namespace: book}\n"
		"      syncPolicy: {automated: {}}\n");
	site_wait_status(&w->site, "dev-book", "Synced", "Healthy", "aaaa");
	site_wait_status(&w->site, "pre-book", "Synced", "Healthy", "oooo");
	memcpy(id, hub_control_rollout(w->site.control, NULL, "book")->id, sizeof(id));
	for (int i = 0; i < 3; i++)
		agent_disconnect(&w->agents[i]);
	site_stop(&w->site);
	repo_break("file:///srv/other.git", "nobody home");
	site_start(&w->site);
	for (int i = 0; i < 3; i++)
		agent_connect(&w->agents[i]);
	site_wait_condition(&w->site, "pre-book", "ComparisonError", "nobody home");
	site_wait_status(&w->site, "pre-book", "Synced", "Healthy", "oooo");
	assert_string_equal(hub_control_rollout(w->site.control, NULL, "book")->id, id);
	manifest("bbbb", "2");
	refresh(w, "dev-book");
	site_wait_status(&w->site, "dev-book", "Synced", "Healthy", "bbbb");
	site_wait_status(&w->site, "pre-book", "Synced", "Healthy", "oooo");
}

/* ---- the end of things ---- */

static bool has_no_rollout(void *arg)
{
	return hub_control_rollout(((struct site *)arg)->control, NULL, "one") == NULL;
}

static void test_delete_where_nobody_joined(void **state)
{
	struct world *w = *state;

	site_apply(&w->site, "apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\n"
			     "metadata: {name: silent}\nspec: {}\n");
	site_apply(&w->site,
		   APP("one", "name: silent",
		       ", finalizers: [resources-finalizer.argocd.argoproj.io]") AUTOMATED);
	site_wait_condition(&w->site, "one", "AgentUnavailable", "no agent has joined");
	delete_one(w, 0);
	assert_true(is_gone(&w->site));
	site_wait(&w->site, has_no_rollout, &w->site);
}

static int delete_set(struct world *w)
{
	struct hub_batch *batch = hub_batch_new();
	int r = hub_control_delete(w->site.control, batch, HUB_APPLICATION_SET, NULL, "book",
				   HUB_DELETE_DEFAULT, NULL);

	hub_store_commit(w->site.store, batch);
	return r;
}

static bool set_is_gone(void *arg)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	return hub_control_get(((struct site *)arg)->control, HUB_APPLICATION_SET, NULL, "book",
			       &doc, NULL) < 0;
}

static void test_delete_set(void **state)
{
	struct world *w = *state;

	site_apply(&w->site, SET(WAVES));
	wait_all(w, "aaaa");
	for (int i = 0; i < 3; i++)
		w->agents[i].hold = true;
	assert_int_equal(delete_set(w), 1);
	for (int i = 0; i < 3; i++) {
		assert_false(set_is_gone(&w->site));
		site_wait(&w->site, was_told, &(struct agent_told){&w->agents[i], apps[i], true});
		assert_true(agent_told(&w->agents[i], apps[i])->change->tombstone->cascade);
		agent_report(&w->agents[i]);
	}
	site_wait(&w->site, set_is_gone, &w->site);
}

/* ---- an older copy of the state ---- */

static void shell(const char *format, const char *dir)
{
	_cleanup_buf_ struct cox_buf command = COX_BUF_INIT;

	for (const char *p = format; *p; p++) {
		if (*p == '@')
			cox_buf_puts(&command, dir);
		else
			cox_buf_putc(&command, *p);
	}
	assert_int_equal(system(cox_buf_cstr(&command)), 0);
}

static void test_restored(void **state)
{
	struct world *w = *state;
	const Coxswain__Assignment__V1__Assignment *a;

	site_apply(&w->site, SET(WAVES));
	wait_all(w, "aaaa");
	for (int i = 0; i < 3; i++)
		agent_disconnect(&w->agents[i]);
	site_stop(&w->site);
	shell("cp -r '@' '@.copy'", w->site.dir);
	site_start(&w->site);
	for (int i = 0; i < 3; i++)
		agent_connect(&w->agents[i]);
	manifest("bbbb", "2");
	refresh(w, "dev-book");
	wait_all(w, "bbbb");
	manifest("cccc", "3");
	refresh(w, "dev-book");
	wait_all(w, "cccc");
	for (int i = 0; i < 3; i++)
		agent_disconnect(&w->agents[i]);
	site_stop(&w->site);
	shell("rm -rf '@' && mv '@.copy' '@'", w->site.dir);
	w->site.restored = true;
	site_start(&w->site);
	for (int i = 0; i < 3; i++)
		agent_connect(&w->agents[i]);
	wait_all(w, "cccc");
	a = agent_told(&w->agents[2], "prod-book")->change->assignment;
	assert_int_equal(a->epoch, 2);
	manifest("dddd", "4");
	refresh(w, "dev-book");
	wait_all(w, "dddd");
}

/* An application that leaves a cluster and comes back goes on counting: an agent that has not heard yet
 * that it is rid of it would take what is below for something old. */
static void test_back_in_a_cluster(void **state)
{
	static const char *const where[] = {"dev", "pre", "dev"};
	struct world *w = *state;
	uint64_t before = 0;

	for (size_t i = 0; i < COX_ARRAY_LEN(where); i++) {
		_cleanup_free_ char *yaml = cox_asprintf(
			"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: "
			"nomad}\nspec:\n  project: default\n  source: {repoURL: '" REPO
			"', targetRevision: HEAD, path: book}\n  destination: {name: %s, "
			"namespace: nomad}\n  syncPolicy: {automated: {}}\n",
			where[i]);
		struct agent *a = &w->agents[strcmp(where[i], "pre") == 0];
		const struct told *t;

		site_apply(&w->site, yaml);
		site_settle(&w->site);
		site_wait(&w->site, has_other_digest,
			  &(struct agent_has){.agent = a, .app = "nomad", .not_digest = ""});
		site_wait_status(&w->site, "nomad", "Synced", "Healthy", "aaaa");
		t = agent_told(a, "nomad");
		if (a == &w->agents[0]) {
			assert_true(t->change->assignment->generation > before);
			before = t->change->assignment->generation;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_push, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart_in_a_wave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conditions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delete_cascades, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delete_orphans, setup, teardown),
		cmocka_unit_test_setup_teardown(test_by_hand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed_wave_and_its_mending, setup, teardown),
		cmocka_unit_test_setup_teardown(test_why_names_the_resource, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dropped_element, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newest_session_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_app_of_apps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_app_of_apps_by_hand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_secrets_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_cluster, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policy_change, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resumes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_names_of_one_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart_without_a_repository, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delete_where_nobody_joined, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delete_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restored, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back_in_a_cluster, setup, teardown),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	cox_net_fini();
	return failed;
}
