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

static void wait_another(struct world *w, int i, const char *digest)
{
	site_wait(&w->site, has_another_digest,
		  &(struct told_digest){&w->agents[i], apps[i], digest});
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

static int sync_by_hand(struct world *w, int i, bool skip_gates, struct cox_error *err)
{
	struct hub_batch *batch = hub_batch_new();
	_cleanup_free_ char *revision = NULL;
	char id[COX_UUID_TEXT];
	int r = hub_control_sync(
		w->site.control, batch, NULL, apps[i],
		&(struct hub_sync_request){.initiated_by = "ann", .skip_gates = skip_gates}, id,
		&revision, err);

	hub_store_commit(w->site.store, batch);
	return r;
}

static bool says_who(const struct cox_rollout *r, const char *by, const char *what)
{
	COX_VEC_EACH (&r->audit, a)
		if (strcmp(a->by, by) == 0 && strcmp(a->what, what) == 0)
			return true;
	return false;
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

/* What failed, or was aborted, comes to nobody by a sync that names no gate. */
static void test_sync_by_hand_of_what_is_barred(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *first = NULL;
	struct cox_error err;

	site_apply(&w->site, POLICY("  onFailure: rollback\n"));
	site_apply(&w->site, SET);
	wait_all(w, "aaaa");
	first = digest_of(w, 0);
	w->agents[1].health = "Degraded";
	push(w, "bbbb", "2");
	site_wait(&w->site, way_back_is_done, w);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sync_by_hand(w, i, false, &err), -COX_FAILED_PRECONDITION);
		if (!strstr(err.message, "held back"))
			fail_msg("%s", err.message);
	}
	site_settle(&w->site);
	for (int i = 0; i < 3; i++)
		wait_digest(w, i, first);
	assert_false(says_who(rollout(w), "ann", "sync"));
	assert_int_equal(sync_by_hand(w, 2, true, &err), 0);
	site_wait(&w->site, has_another_digest,
		  &(struct told_digest){&w->agents[2], apps[2], first});
	assert_true(says_who(rollout(w), "ann", "sync"));
	/* again what it has: that is no gate's business */
	assert_int_equal(sync_by_hand(w, 2, false, &err), 0);
	wait_digest(w, 0, first);
}

static void test_sync_by_hand_while_the_policy_is_missing(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *first = NULL;
	struct hub_batch *batch;
	struct cox_error err;

	site_apply(&w->site, POLICY(""));
	site_apply(&w->site, SET);
	wait_all(w, "aaaa");
	first = digest_of(w, 2);
	batch = hub_batch_new();
	hub_control_delete(w->site.control, batch, HUB_ROLLOUT_POLICY, NULL, "staged",
			   HUB_DELETE_DEFAULT, NULL);
	hub_store_commit(w->site.store, batch);
	push(w, "bbbb", "2");
	site_wait_status(&w->site, apps[2], "OutOfSync", NULL, "bbbb");
	assert_int_equal(sync_by_hand(w, 2, false, &err), -COX_NOT_FOUND);
	assert_non_null(strstr(err.message, "no RolloutPolicy 'staged'"));
	site_settle(&w->site);
	wait_digest(w, 2, first);
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

static bool is_on_dev(void *arg)
{
	struct world *w = arg;
	const struct told *t = agent_told(&w->agents[0], apps[1]);

	return t && !t->tombstone;
}

/* The set sends an Application to another cluster in the middle of its move, and back: it is moved anew. */
static void test_another_cluster_midway(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *first = NULL;
	const char *at = strstr(SET, "'{{server}}'");
	_cleanup_free_ char *strayed =
		cox_asprintf("%.*s'https://1.1.1.1'%s", (int)(at - SET), SET, at + 12);

	site_apply(&w->site, "apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\n"
			     "metadata: {name: staged}\nspec:\n  waves:\n  - {name: all}\n");
	site_apply(&w->site, SET);
	wait_all(w, "aaaa");
	first = digest_of(w, 1);
	for (int i = 0; i < 3; i++)
		w->agents[i].hold = true;
	push(w, "bbbb", "2");
	wait_another(w, 1, first);
	site_apply(&w->site, strayed);
	site_wait(&w->site, is_on_dev, w);
	site_apply(&w->site, SET);
	for (int i = 0; i < 3; i++)
		w->agents[i].hold = false;
	for (int i = 0; i < 3; i++)
		agent_report(&w->agents[i]);
	wait_all(w, "bbbb");
}

static void restart_with(struct world *w, int agent)
{
	for (int i = 0; i < 3; i++)
		agent_disconnect(&w->agents[i]);
	site_stop(&w->site);
	site_start(&w->site);
	agent_connect(&w->agents[agent]);
	agent_report(&w->agents[agent]);
}

/* The hub is started anew in the middle of a wave: who comes back first must not end it for those who
 * are about to. */
static void test_restart_passes_no_wave(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *first = NULL, *second = NULL;

	site_apply(&w->site,
		   "apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\n"
		   "metadata: {name: staged}\nspec:\n  waves:\n"
		   "  - {name: first, clusters: {names: [dev, pre]}}\n  - {name: prod}\n");
	site_apply(&w->site, SET);
	wait_all(w, "aaaa");
	first = digest_of(w, 2);
	for (int i = 0; i < 3; i++)
		w->agents[i].hold = true;
	push(w, "bbbb", "2");
	wait_another(w, 0, first);
	wait_another(w, 1, first);
	w->agents[0].hold = false;
	restart_with(w, 0);
	agent_connect(&w->agents[2]);
	site_wait_status(&w->site, apps[0], "Synced", "Healthy", "bbbb");
	site_settle(&w->site);
	wait_digest(w, 2, first);
	assert_int_equal(rollout(w)->waves.items[0].phase, COX_WAVE_OPEN);
	agent_connect(&w->agents[1]);
	w->agents[1].hold = w->agents[2].hold = false;
	agent_report(&w->agents[1]);
	wait_all(w, "bbbb");
	/* after a while who did not come is away */
	w->agents[1].hold = true;
	push(w, "cccc", "3");
	second = digest_of(w, 2);
	wait_another(w, 1, second);
	w->site.agents_grace_ms = 100;
	restart_with(w, 0);
	agent_connect(&w->agents[2]);
	site_wait_status(&w->site, apps[2], "Synced", "Healthy", "cccc");
}

static bool is_away(void *arg)
{
	struct world *w = arg;

	return !hub_fleet_cluster(hub_control_fleet(w->site.control), "pre")->connected;
}

/* skip-reconcile of one whose turn in the open wave has not come: the wave goes on without it. */
static void test_paused_before_its_turn(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *first = NULL;
	_cleanup_free_ char *set = cox_asprintf(
		"%s  preservedFields: {annotations: [argocd.argoproj.io/skip-reconcile]}\n", SET);

	site_apply(&w->site, "apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\n"
			     "metadata: {name: staged}\nspec:\n  waves:\n"
			     "  - {name: all, maxConcurrent: 1}\n");
	site_apply(&w->site, set);
	wait_all(w, "aaaa");
	first = digest_of(w, 1);
	for (int i = 0; i < 3; i++)
		w->agents[i].hold = true;
	push(w, "bbbb", "2");
	wait_another(w, 0, first);
	site_apply(&w->site,
		   "apiVersion: argoproj.io/v1alpha1\nkind: Application\n"
		   "metadata: {name: pre-book, annotations: {argocd.argoproj.io/skip-reconcile: "
		   "'true'}}\nspec:\n  project: default\n"
		   "  source: {repoURL: '" REPO "', targetRevision: HEAD, path: book}\n"
		   "  destination: {server: 'https://2.2.2.2', namespace: book}\n"
		   "  syncPolicy: {automated: {prune: true, selfHeal: true}}\n");
	site_wait_condition(&w->site, "pre-book", "Paused", "skip-reconcile");
	for (int i = 0; i < 3; i++)
		w->agents[i].hold = false;
	agent_report(&w->agents[0]);
	site_wait_status(&w->site, "prod-book", "Synced", "Healthy", "bbbb");
	site_settle(&w->site);
	wait_digest(w, 1, first);
	assert_int_equal(rollout(w)->phase, COX_ROLLOUT_SUCCEEDED);
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

/* What a rollout pinned is how it goes on, whatever has become of its policy. */
static void test_policy_that_goes_midway(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *dev = NULL, *pre = NULL;
	struct hub_batch *batch = hub_batch_new();
	const struct told *t;

	site_apply(&w->site, POLICY(""));
	site_apply(&w->site, SET);
	wait_all(w, "aaaa");
	dev = digest_of(w, 0);
	pre = digest_of(w, 1);
	w->agents[0].hold = true;
	push(w, "bbbb", "2");
	site_wait(&w->site, has_another_digest, &(struct told_digest){&w->agents[0], apps[0], dev});
	assert_int_equal(hub_control_delete(w->site.control, batch, HUB_ROLLOUT_POLICY, NULL,
					    "staged", HUB_DELETE_DEFAULT, NULL),
			 0);
	hub_store_commit(w->site.store, batch);
	site_wait(&w->site, is_held, w);
	agent_report(&w->agents[0]);
	site_wait(&w->site, has_another_digest, &(struct told_digest){&w->agents[1], apps[1], pre});
	t = agent_told(&w->agents[1], apps[1]);
	assert_non_null(t->change->assignment->operation);
	assert_string_equal(t->change->assignment->operation->initiated_by, "rollout");
	wait_all(w, "bbbb");
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

/* ---- a soak while the hub, or the link, is away ---- */

#define MINUTE_MS 60000

static const struct cox_rollout_gate_run *soak(struct world *w)
{
	const struct cox_rollout *r = rollout(w);

	return r ? &r->waves.items[0].after.items[0] : NULL;
}

static bool is_soaking(void *arg)
{
	const struct cox_rollout_gate_run *g = soak(arg);

	return g && g->state == COX_GATE_RUNNING && g->next_ms != 0;
}

static bool has_soaked(void *arg)
{
	return soak(arg)->state == COX_GATE_PASSED;
}

static bool is_unheard(void *arg)
{
	const struct cox_rollout_gate_run *g = soak(arg);

	return g && g->message && strstr(g->message, "has yet to say");
}

static void begin_soak(struct world *w)
{
	w->agents[0].well_ms = 1;
	site_apply(&w->site,
		   "apiVersion: coxswain.dev/v1alpha1\nkind: RolloutPolicy\n"
		   "metadata: {name: staged}\nspec:\n  waves:\n"
		   "  - name: dev\n    clusters: {names: [dev]}\n    after: [{soak: 10m}]\n"
		   "  - name: rest\n");
	site_apply(&w->site, SET);
	site_wait(&w->site, is_soaking, w);
}

static void restart_after(struct world *w, int64_t ms)
{
	for (int i = 0; i < 3; i++)
		agent_disconnect(&w->agents[i]);
	site_stop(&w->site);
	w->site.clock_skew_ms += ms;
	site_start(&w->site);
	site_wait(&w->site, is_unheard, w);
}

/* As an agent begins a connection: with all it has. */
static void come_back(struct world *w, int i, int64_t well_ms)
{
	w->agents[i].well_ms = well_ms;
	agent_connect(&w->agents[i]);
	agent_report(&w->agents[i]);
}

static void test_soak_goes_on_while_the_hub_is_away(void **state)
{
	struct world *w = *state;

	begin_soak(w);
	restart_after(w, 15 * MINUTE_MS);
	/* Connected is not heard: what is kept of it says nothing of these minutes. */
	agent_connect(&w->agents[0]);
	agent_connect(&w->agents[1]);
	agent_connect(&w->agents[2]);
	site_settle(&w->site);
	assert_true(is_unheard(w));
	agent_disconnect(&w->agents[0]);
	come_back(w, 0, 15 * MINUTE_MS);
	wait_all(w, "aaaa");
	assert_true(has_soaked(w));
}

static void test_soak_knows_of_what_the_hub_did_not_see(void **state)
{
	struct world *w = *state;
	int64_t left_ms;

	begin_soak(w);
	restart_after(w, 15 * MINUTE_MS);
	come_back(w, 0, 3 * MINUTE_MS);
	come_back(w, 1, 0);
	come_back(w, 2, 0);
	site_wait(&w->site, is_soaking, w);
	left_ms = soak(w)->next_ms - rollout(w)->last_ms;
	assert_in_range(left_ms, 6 * MINUTE_MS, 7 * MINUTE_MS);
	/* An agent that does not say how it was: what is not known is not counted. */
	restart_after(w, 8 * MINUTE_MS);
	come_back(w, 0, 0);
	site_wait(&w->site, is_soaking, w);
	left_ms = soak(w)->next_ms - rollout(w)->last_ms;
	assert_in_range(left_ms, 9 * MINUTE_MS, 10 * MINUTE_MS);
	assert_string_equal(agent_told(&w->agents[1], "pre-book")->digest, "");
}

/* The same hub: only the link breaks. */
static void test_soak_goes_on_over_a_broken_link(void **state)
{
	struct world *w = *state;
	int64_t end_ms;

	begin_soak(w);
	end_ms = soak(w)->next_ms;
	agent_disconnect(&w->agents[0]);
	agent_connect(&w->agents[0]);
	site_wait(&w->site, is_unheard, w);
	w->agents[0].well_ms = MINUTE_MS;
	agent_report(&w->agents[0]);
	site_wait(&w->site, is_soaking, w);
	assert_int_equal(soak(w)->next_ms, end_ms);
}

/* A soak that is kept is kept where nothing else changes. */
static void test_soak_is_kept(void **state)
{
	struct world *w = *state;
	int64_t end_ms;

	begin_soak(w);
	end_ms = soak(w)->next_ms;
	restart_after(w, MINUTE_MS);
	come_back(w, 0, MINUTE_MS + 1);
	site_wait(&w->site, is_soaking, w);
	assert_int_equal(soak(w)->next_ms, end_ms);
}

/* ---- rows ---- */

struct row_count {
	size_t heads, targets, others;
};

static int count_row(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	struct row_count *n = ctx;

	(void)body;
	(void)err;
	if (!strchr(key, '/'))
		n->heads++;
	else if (strstr(key, "/t/"))
		n->targets++;
	else
		n->others++;
	return 0;
}

static struct row_count count_rows(struct world *w)
{
	struct row_count n = {0};

	/* Behind what is on its way. */
	for (int i = 0; i < 3; i++)
		agent_disconnect(&w->agents[i]);
	site_stop(&w->site);
	site_start(&w->site);
	assert_int_equal(hub_store_each(w->site.store, HUB_TABLE_ROLLOUT, count_row, &n, NULL), 0);
	return n;
}

static bool is_gone(void *arg)
{
	struct world *w = arg;
	_cleanup_doc_ struct cox_doc *doc = NULL;

	return hub_control_get(w->site.control, HUB_APPLICATION_SET, NULL, "book", &doc, NULL) < 0;
}

/* Each rollout has its rows, and they go with it. */
static void test_rows(void **state)
{
	struct world *w = *state;
	struct row_count n;
	struct hub_batch *batch;

	site_apply(&w->site, POLICY(""));
	site_apply(&w->site, SET);
	wait_all(w, "aaaa");
	n = count_rows(w);
	assert_int_equal(n.heads, 1);
	assert_int_equal(n.targets, 3);
	assert_int_equal(n.others, 1); /* the plan */
	for (int i = 0; i < 3; i++)
		come_back(w, i, 0);
	for (int i = 0; i < 12; i++) {
		char commit[8], version[8];

		snprintf(commit, sizeof(commit), "c%02d", i);
		snprintf(version, sizeof(version), "%d", i + 10);
		push(w, commit, version);
		wait_all(w, commit);
	}
	n = count_rows(w);
	assert_int_equal(n.heads, 11); /* the present one and ten that are over */
	assert_int_equal(n.targets, 33);
	for (int i = 0; i < 3; i++)
		come_back(w, i, 0);
	batch = hub_batch_new();
	assert_true(hub_control_delete(w->site.control, batch, HUB_APPLICATION_SET, NULL, "book",
				       HUB_DELETE_DEFAULT, NULL) >= 0);
	hub_store_commit(w->site.store, batch);
	site_wait(&w->site, is_gone, w);
	site_settle(&w->site);
	n = count_rows(w);
	assert_int_equal(n.heads + n.targets + n.others, 0);
}

/* What an earlier hub kept, one row a rollout: it goes on, and is kept in rows. */
static void test_old_rows(void **state)
{
	struct world *w = *state;
	static const char old[] =
		"{\"version\":2,\"id\":\"%s\",\"owner\":\"ApplicationSet/argocd/book\","
		"\"revision\":\"v0\",\"phase\":\"Superseded\",\"started\":%d,\"last\":2,"
		"\"plan\":{\"source\":\"atOnce\"},\"waves\":[{\"phase\":\"Open\"}],"
		"\"targets\":[{\"uid\":\"a\",\"name\":\"a\",\"wave\":0,"
		"\"state\":\"Waiting\"},{\"uid\":\"b\",\"name\":\"b\",\"wave\":0,"
		"\"state\":\"Waiting\"}],\"audit\":[],\"bars\":[]}";
	struct hub_batch *batch = hub_batch_new();
	struct row_count n;

	site_apply(&w->site, POLICY(""));
	site_apply(&w->site, SET);
	wait_all(w, "aaaa");
	for (int i = 1; i <= 2; i++) {
		char id[COX_UUID_TEXT];
		_cleanup_free_ char *text = NULL;

		snprintf(id, sizeof(id), "00000000-0000-0000-0000-00000000000%d", i);
		text = cox_asprintf(old, id, i);
		hub_batch_put(batch, HUB_TABLE_ROLLOUT, id, cox_str(text));
	}
	hub_store_commit(w->site.store, batch);
	n = count_rows(w); /* read, and written anew */
	assert_int_equal(n.heads, 3);
	site_settle(&w->site);
	n = count_rows(w);
	assert_int_equal(n.heads, 3);
	assert_int_equal(n.targets, 3 + 2 * 2);
	assert_int_equal(n.others, 1 + 2 * 2);
	assert_non_null(
		hub_control_rollout_by_id(w->site.control, "00000000-0000-0000-0000-000000000001"));
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
		TEST(test_sync_by_hand_of_what_is_barred),
		TEST(test_sync_by_hand_while_the_policy_is_missing),
		TEST(test_cluster_that_is_away_is_skipped_and_catches_up),
		TEST(test_new_target_that_is_away_is_moved_when_it_comes),
		TEST(test_paused_before_its_turn),
		TEST(test_restart_passes_no_wave),
		TEST(test_another_cluster_midway),
		TEST(test_policy_that_is_missing_moves_nobody),
		TEST(test_policy_that_goes_midway),
		TEST(test_clusters_in_no_wave_hold_the_start),
		TEST(test_soak_and_window),
		TEST(test_soak_goes_on_while_the_hub_is_away),
		TEST(test_soak_knows_of_what_the_hub_did_not_see),
		TEST(test_soak_goes_on_over_a_broken_link),
		TEST(test_soak_is_kept),
		TEST(test_rows),
		TEST(test_old_rows),
		TEST(test_deletion_in_reverse),
		TEST(test_refused),
		TEST(test_secret_of_a_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
