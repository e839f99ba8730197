/* Rollouts by a RolloutPolicy, through the whole hub: who is told what, and in which order. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define REPO "file:///srv/apps.git"

#define CLUSTER(name, n)                                                                           \
	"apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\nmetadata: {name: " name                 \
	", labels: {env: " name "}}\nspec: {server: 'https://" n "'}\n---\n"

static const char *const CLUSTERS =
	CLUSTER("dev", "1.1.1.1") CLUSTER("pre", "2.2.2.2") CLUSTER("prod", "3.3.3.3");

static const char *const SET =
	"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\n"
	"metadata: {name: book, annotations: {coxswain.dev/rollout-policy: staged}}\nspec:\n"
	"  generators:\n  - clusters: {}\n"
	"  template:\n    metadata: {name: '{{name}}-book'}\n"
	"    spec:\n      project: default\n"
	"      source: {repoURL: '" REPO "', targetRevision: HEAD, path: book}\n"
	"      destination: {server: '{{server}}', namespace: book}\n"
	"      syncPolicy: {automated: {prune: true, selfHeal: true}}\n";

#define POLICY(spec)                                                                               \
	"apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {name: staged}\n"       \
	"spec:\n  waves:\n"                                                                        \
	"  - {name: dev, clusters: {matchLabels: {env: dev}}}\n"                                   \
	"  - {name: pre, clusters: {names: [pre]}}\n"                                              \
	"  - {name: prod, clusters: {matchExpressions: [{key: env, operator: In, values: "         \
	"[prod]}]}}\n" spec

static const char *const names[] = {"dev", "pre", "prod"};
static const char *const apps[] = {"dev-book", "pre-book", "prod-book"};

struct world {
	struct site site;
	struct agent agents[3];
};

static void manifest(const char *commit, const char *version)
{
	_cleanup_free_ char *text = cox_asprintf("apiVersion: v1\nkind: ConfigMap\n"
						 "metadata: {name: book}\ndata: {version: '%s'}\n",
						 version);

	repo_set(REPO, commit, "book/book.yaml", text);
	repo_head(REPO, commit);
}

static int setup(void **state)
{
	struct world *w = cox_new(struct world);

	site_init(&w->site);
	site_start(&w->site);
	site_apply(&w->site, CLUSTERS);
	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *token = site_token(&w->site, names[i]);

		agent_init(&w->agents[i], &w->site, names[i]);
		agent_join(&w->agents[i], token);
		assert_true(w->agents[i].joined);
		agent_connect(&w->agents[i]);
		assert_true(w->agents[i].up);
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

static void refresh(struct world *w)
{
	assert_int_equal(hub_control_refresh(w->site.control, NULL, "dev-book", false, NULL), 0);
}

static void push(struct world *w, const char *commit, const char *version)
{
	manifest(commit, version);
	refresh(w);
}

static void wait_all(struct world *w, const char *revision)
{
	for (int i = 0; i < 3; i++)
		site_wait_status(&w->site, apps[i], "Synced", "Healthy", revision);
}

static const struct cox_rollout *rollout(struct world *w)
{
	return hub_control_rollout(w->site.control, NULL, "book");
}

struct told_digest {
	struct agent *agent;
	const char *app, *digest;
};

static bool has_digest(void *arg)
{
	const struct told_digest *h = arg;
	const struct told *t = agent_told(h->agent, h->app);

	return t && strcmp(t->digest, h->digest) == 0;
}

static bool has_another_digest(void *arg)
{
	return !has_digest(arg);
}

static void wait_digest(struct world *w, int i, const char *digest)
{
	site_wait(&w->site, has_digest, &(struct told_digest){&w->agents[i], apps[i], digest});
}

static bool way_back_is_done(void *arg)
{
	const struct cox_rollout *r = rollout(arg);

	return r && r->plan.source == COX_ROLLOUT_BACK && r->phase != COX_ROLLOUT_PROGRESSING;
}

static char *digest_of(struct world *w, int i)
{
	return cox_strdup(agent_told(&w->agents[i], apps[i])->digest);
}

static void test_order(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *first = NULL;

	site_apply(&w->site, POLICY(""));
	site_apply(&w->site, SET);
	wait_all(w, "aaaa");
	first = digest_of(w, 0);
	for (int i = 0; i < 3; i++)
		w->agents[i].hold = true;
	push(w, "bbbb", "2");
	for (int i = 0; i < 3; i++) {
		/* Those after this one have what they had, and say what they wait for. */
		for (int k = i + 1; k < 3; k++) {
			site_wait_condition(&w->site, apps[k], "Waiting", "wave");
			wait_digest(w, k, first);
		}
		site_wait(&w->site, has_another_digest,
			  &(struct told_digest){&w->agents[i], apps[i], first});
		agent_report(&w->agents[i]);
	}
	wait_all(w, "bbbb");
	assert_string_equal(rollout(w)->plan.name, "staged");
}

static void test_rollback(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *first = NULL;

	site_apply(&w->site, POLICY("  onFailure: rollback\n"));
	site_apply(&w->site, SET);
	wait_all(w, "aaaa");
	first = digest_of(w, 0);
	w->agents[2].health = "Degraded";
	/* It is ill before it is moved; it fails only with what it gets. */
	push(w, "bbbb", "2");
	site_wait(&w->site, way_back_is_done, w);
	for (int i = 0; i < 3; i++)
		wait_digest(w, i, first);
	site_wait_condition(&w->site, "dev-book", "Waiting", "held back");
	/* Neither a look nor a restart brings back what failed. */
	w->agents[2].health = NULL;
	agent_report(&w->agents[2]);
	refresh(w);
	site_settle(&w->site);
	for (int i = 0; i < 3; i++)
		agent_disconnect(&w->agents[i]);
	site_stop(&w->site);
	site_start(&w->site);
	for (int i = 0; i < 3; i++)
		agent_connect(&w->agents[i]);
	refresh(w);
	site_settle(&w->site);
	for (int i = 0; i < 3; i++)
		wait_digest(w, i, first);
	/* What is mended goes through all waves. */
	push(w, "cccc", "3");
	wait_all(w, "cccc");
}

static void test_cluster_that_is_away_is_skipped_and_catches_up(void **state)
{
	struct world *w = *state;

	site_apply(&w->site, POLICY("  - {name: rest}\n"));
	site_apply(&w->site, SET);
	wait_all(w, "aaaa");
	/* pre is a wave of its own, of which one must be healthy: make dev and pre one. */
	site_apply(&w->site,
		   "apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\n"
		   "metadata: {name: staged}\nspec:\n  waves:\n"
		   "  - {name: first, clusters: {names: [dev, pre]}}\n  - {name: prod}\n");
	agent_disconnect(&w->agents[1]);
	push(w, "bbbb", "2");
	site_wait_status(&w->site, "prod-book", "Synced", "Healthy", "bbbb");
	site_wait_status(&w->site, "dev-book", "Synced", "Healthy", "bbbb");
	site_wait_status(&w->site, "pre-book", "OutOfSync", NULL, "bbbb");
	agent_connect(&w->agents[1]);
	wait_all(w, "bbbb");
}

static bool is_away(void *arg)
{
	struct world *w = arg;

	return !hub_fleet_cluster(hub_control_fleet(w->site.control), "pre")->connected;
}

/* It was never told anything there. */
static void test_new_target_that_is_away_is_moved_when_it_comes(void **state)
{
	struct world *w = *state;

	site_apply(&w->site,
		   "apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\n"
		   "metadata: {name: staged}\nspec:\n  waves:\n"
		   "  - {name: first, clusters: {names: [dev, pre]}}\n  - {name: prod}\n");
	agent_disconnect(&w->agents[1]);
	site_wait(&w->site, is_away, w);
	site_apply(&w->site, SET);
	site_wait_status(&w->site, "prod-book", "Synced", "Healthy", "aaaa");
	assert_null(agent_told(&w->agents[1], "pre-book"));
	agent_connect(&w->agents[1]);
	wait_all(w, "aaaa");
}

static bool is_held(void *arg)
{
	struct world *w = arg;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *list;

	if (hub_control_get(w->site.control, HUB_APPLICATION_SET, NULL, "book", &doc, NULL) < 0)
		return false;
	list = COX_GET(cox_doc_root(doc), "status", "conditions");
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_str_is(cox_node_str(cox_node_get(cox_node_at(list, i), "type")),
			       "InvalidRolloutConfig"))
			return strstr(
				cox_node_cstr(cox_node_get(cox_node_at(list, i), "message"), ""),
				"no RolloutPolicy 'staged'");
	return false;
}

static void test_policy_that_is_missing_moves_nobody(void **state)
{
	struct world *w = *state;

	site_apply(&w->site, SET);
	site_wait(&w->site, is_held, w);
	site_settle(&w->site);
	for (int i = 0; i < 3; i++) {
		const struct told *t = agent_told(&w->agents[i], apps[i]);

		assert_true(!t || !*t->digest);
	}
	site_apply(&w->site, POLICY(""));
	wait_all(w, "aaaa");
}

static bool names_the_unmatched(void *arg)
{
	const struct cox_rollout *r = rollout(arg);
	struct cox_rollout_why why = {0};

	if (r)
		cox_rollout_why(r, &why);
	return strstr(why.message, "'pre', 'prod'") != NULL;
}

static void test_clusters_in_no_wave_hold_the_start(void **state)
{
	struct world *w = *state;

	site_apply(&w->site, "apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\n"
			     "metadata: {name: staged}\nspec:\n  waves:\n"
			     "  - {name: dev, clusters: {names: [dev]}}\n");
	site_apply(&w->site, SET);
	site_wait(&w->site, names_the_unmatched, w);
	site_apply(&w->site, "apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\n"
			     "metadata: {name: staged}\nspec:\n  unmatched: last\n  waves:\n"
			     "  - {name: dev, clusters: {names: [dev]}}\n");
	wait_all(w, "aaaa");
}

static void test_soak_and_window(void **state)
{
	struct world *w = *state;

	site_apply(&w->site,
		   "apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\n"
		   "metadata: {name: staged}\nspec:\n  waves:\n"
		   "  - name: dev\n    clusters: {names: [dev]}\n    after: [{soak: 1s}]\n"
		   "  - name: rest\n    before:\n"
		   "    - window: {schedule: '* * * * *', duration: 1h, timeZone: Europe/Paris}\n");
	site_apply(&w->site, SET);
	wait_all(w, "aaaa");
	assert_int_equal(rollout(w)->waves.items[0].after.items[0].state, COX_GATE_PASSED);
	assert_int_equal(rollout(w)->waves.items[1].before.items[0].state, COX_GATE_PASSED);
}

static bool is_gone(void *arg)
{
	struct world *w = arg;
	_cleanup_doc_ struct cox_doc *doc = NULL;

	return hub_control_get(w->site.control, HUB_APPLICATION_SET, NULL, "book", &doc, NULL) < 0;
}

static bool is_buried(void *arg)
{
	const struct told_digest *h = arg;
	const struct told *t = agent_told(h->agent, h->app);

	return t && t->tombstone;
}

static void test_deletion_in_reverse(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *set = cox_asprintf("%s  strategy: {deletionOrder: Reverse}\n", SET);
	struct hub_batch *batch;

	site_apply(&w->site, POLICY(""));
	site_apply(&w->site, set);
	wait_all(w, "aaaa");
	for (int i = 0; i < 3; i++)
		w->agents[i].hold = true;
	batch = hub_batch_new();
	assert_true(hub_control_delete(w->site.control, batch, HUB_APPLICATION_SET, NULL, "book",
				       HUB_DELETE_DEFAULT, NULL) > 0);
	hub_store_commit(w->site.store, batch);
	for (int i = 2; i >= 0; i--) {
		site_wait(&w->site, is_buried, &(struct told_digest){&w->agents[i], apps[i], ""});
		site_settle(&w->site);
		for (int k = 0; k < i; k++)
			assert_false(is_buried(&(struct told_digest){&w->agents[k], apps[k], ""}));
		agent_report(&w->agents[i]);
	}
	site_wait(&w->site, is_gone, w);
}

static void test_refused(void **state)
{
	static const struct {
		const char *spec, *said;
	} rows[] = {
		{"  - {name: x, before: [{http: {url: 'https://x/', interval: 1ms}}]}\n",
		 "interval"},
		{"  - {name: x, before: [{window: {schedule: '61 * * * *', duration: 1h}}]}\n",
		 "61"},
		{"  - {name: x, before: [{soak: 1m}]}\n", "soak"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		_cleanup_free_ char *yaml =
			cox_asprintf("apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\n"
				     "metadata: {name: staged}\nspec:\n  waves:\n%s",
				     rows[i].spec);
		struct cox_error err = COX_ERROR_INIT;

		assert_true(site_try_apply(&w->site, yaml, &err) < 0);
		if (!strstr(err.message, rows[i].said))
			fail_msg("%s", err.message);
	}
}

/* ---- a gate's Secret ---- */

#define SECRET(labels, data)                                                                       \
	"apiVersion: v1\nkind: Secret\nmetadata: {name: checks, labels: {" labels                  \
	"}}\nstringData: {" data "}\n"
#define OURS "coxswain.dev/secret-type: gate-credentials"

struct said {
	struct world *world;
	const char *text;
};

static bool says(void *arg)
{
	const struct said *q = arg;
	const struct cox_rollout *r = hub_control_rollout(q->world->site.control, NULL, "book");
	struct cox_rollout_why why;

	if (!r)
		return false;
	cox_rollout_why(r, &why);
	return why.gate && strstr(why.message, q->text);
}

static void wait_said(struct world *w, const char *text)
{
	site_wait(&w->site, says, &(struct said){w, text});
}

/* The next try is an hour away: whatever is asked again is because the Secret changed. */
static void test_secret_of_a_gate(void **state)
{
	struct world *w = *state;
	struct hub_batch *batch;

	site_apply(&w->site,
		   "apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\n"
		   "metadata: {name: staged}\nspec:\n  waves:\n"
		   "  - {name: all, before: [{http: {url: 'https://127.0.0.1:1/', interval: 1h, "
		   "auth: {secretRef: {name: checks}}}}]}\n");
	site_apply(&w->site, SET);
	wait_said(w, "cannot be asked: auth: there is no secret 'argocd/checks'");
	site_apply(&w->site, SECRET("argocd.argoproj.io/secret-type: repository",
				    "url: 'https://127.0.0.1:1/', hosts: '127.0.0.1:1', "
				    "bearerToken: c4nary"));
	wait_said(w, "auth: secret 'argocd/checks' has not the label");
	site_apply(&w->site, SECRET(OURS, "hosts: checks.example.com, bearerToken: c4nary"));
	wait_said(w, "auth: secret 'checks' may not be sent to '127.0.0.1:1'");
	site_apply(&w->site, SECRET(OURS, "hosts: '127.0.0.1:1', bearerToken: c4nary"));
	wait_said(w, "connecting to this address is not allowed");
	batch = hub_batch_new();
	assert_int_equal(hub_control_delete(w->site.control, batch, HUB_SECRET, NULL, "checks",
					    HUB_DELETE_DEFAULT, NULL),
			 0);
	hub_store_commit(w->site.store, batch);
	wait_said(w, "there is no secret 'argocd/checks'");
	/* and nobody moved */
	for (int i = 0; i < 3; i++) {
		const struct told *t = agent_told(&w->agents[i], apps[i]);

		assert_true(!t || !*t->digest);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_order),
		TEST(test_rollback),
		TEST(test_cluster_that_is_away_is_skipped_and_catches_up),
		TEST(test_new_target_that_is_away_is_moved_when_it_comes),
		TEST(test_policy_that_is_missing_moves_nobody),
		TEST(test_clusters_in_no_wave_hold_the_start),
		TEST(test_soak_and_window),
		TEST(test_deletion_in_reverse),
		TEST(test_refused),
		TEST(test_secret_of_a_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
