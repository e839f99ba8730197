/* What is rendered again when a commit comes, and what is not. */
#include "fixture.h"

#include <stdlib.h>

#define REPO	   "https://git.example.com/team/apps"
#define N_CLUSTERS 1000

#define APP(name, path, more)                                                                      \
	"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: " name "}\nspec:\n" \
	"  project: default\n"                                                                     \
	"  source: {repoURL: '" REPO "', targetRevision: HEAD, path: " path more "}\n"             \
	"  destination: {name: dev, namespace: x}\n  syncPolicy: {automated: {}}\n"

static const char *const CLUSTER = "apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\n"
				   "metadata: {name: dev}\nspec: {server: 'https://1.1.1.1'}\n";

struct world {
	struct site site;
	struct agent agent;
};

/* A whole commit: an overlay of a base with a component beside it, and a folder of manifests. */
struct commit {
	const char *id, *base, *settings, *readme, *plain;
	bool component;
};

static void push(const struct commit *c)
{
	_cleanup_free_ char *base = cox_asprintf("apiVersion: v1\nkind: ConfigMap\n"
						 "metadata: {name: base}\ndata: {version: '%s'}\n",
						 c->base);
	_cleanup_free_ char *overlay =
		cox_asprintf("resources: [../base]\nconfigMapGenerator:\n- {name: settings, "
			     "literals: [v=%s]}\n",
			     c->settings);
	_cleanup_free_ char *plain = cox_asprintf("apiVersion: v1\nkind: ConfigMap\n"
						  "metadata: {name: plain}\ndata: {v: '%s'}\n",
						  c->plain);

	repo_set(REPO, c->id, "base/kustomization.yaml", "resources: [map.yaml]\n");
	repo_set(REPO, c->id, "base/map.yaml", base);
	repo_set(REPO, c->id, "overlay/kustomization.yaml", overlay);
	repo_set(REPO, c->id, "plain/map.yaml", plain);
	repo_set(REPO, c->id, "README.md", c->readme);
	if (c->component)
		repo_set(REPO, c->id, "component/kustomization.yaml",
			 "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n"
			 "nameSuffix: -more\n");
	repo_head(REPO, c->id);
}

static const struct commit first = {"a1", "1", "1", "1", "1", false};

static int setup(void **state)
{
	struct world *w = cox_new(struct world);
	_cleanup_free_ char *token = NULL;

	site_init(&w->site);
	site_start(&w->site);
	site_apply(&w->site, CLUSTER);
	agent_init(&w->agent, &w->site, "dev");
	token = site_token(&w->site, "dev");
	agent_join(&w->agent, token);
	agent_connect(&w->agent);
	push(&first);
	site_apply(&w->site, APP("overlay", "overlay", ""));
	site_apply(&w->site, APP("plain", "plain", ""));
	site_apply(&w->site, APP("hopes", "overlay",
				 ", kustomize: {components: [../component], "
				 "ignoreMissingComponents: true}"));
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	agent_fini(&w->agent);
	site_fini(&w->site);
	repos_clear();
	free(w);
	return 0;
}

static void wait_all(struct site *s, const char *commit)
{
	static const char *const apps[] = {"overlay", "plain", "hopes"};

	for (size_t i = 0; i < COX_ARRAY_LEN(apps); i++)
		site_wait_status(s, apps[i], "Synced", "Healthy", commit);
}

static struct hub_control_stats stats_of(struct site *s)
{
	struct hub_control_stats stats;

	hub_control_stats(s->control, &stats);
	return stats;
}

/* A commit after the first: so many are rendered, the others are found to be the same. */
static void expect(struct world *w, const struct commit *c, uint64_t n_rendered)
{
	struct hub_control_stats before = stats_of(&w->site), after;

	push(c);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(
			hub_control_refresh(w->site.control, NULL,
					    (const char *const[]){"overlay", "plain", "hopes"}[i],
					    false, NULL),
			0);
	wait_all(&w->site, c->id);
	after = stats_of(&w->site);
	assert_int_equal(after.renders - before.renders, n_rendered);
	assert_int_equal(after.renders_reused - before.renders_reused, 3 - n_rendered);
}

static void test_only_what_is_touched(void **state)
{
	struct world *w = *state;
	char before[200];

	wait_all(&w->site, "a1");
	assert_int_equal(stats_of(&w->site).renders, 3);
	snprintf(before, sizeof(before), "%s", agent_told(&w->agent, "overlay")->digest);
	/* nothing that anybody reads; the bundle is the same, the revision is not */
	expect(w, &(struct commit){"a2", "1", "1", "2", "1", false}, 0);
	assert_string_equal(agent_told(&w->agent, "overlay")->digest, before);
	/* what two of them read */
	expect(w, &(struct commit){"a3", "2", "1", "2", "1", false}, 2);
	assert_string_not_equal(agent_told(&w->agent, "overlay")->digest, before);
	/* what one reads */
	expect(w, &(struct commit){"a4", "2", "1", "2", "2", false}, 1);
	/* what one looked for in vain */
	expect(w, &(struct commit){"a5", "2", "1", "2", "2", true}, 1);
	/* and back: each is compared with what it was rendered from last */
	expect(w, &(struct commit){"a6", "2", "1", "2", "2", false}, 1);
	expect(w, &(struct commit){"a7", "2", "1", "3", "2", false}, 0);
}

static void test_hard_refresh_renders(void **state)
{
	struct world *w = *state;
	struct hub_control_stats before;

	wait_all(&w->site, "a1");
	before = stats_of(&w->site);
	push(&(struct commit){"a2", "1", "1", "2", "1", false});
	assert_int_equal(hub_control_refresh(w->site.control, NULL, "plain", true, NULL), 0);
	wait_all(&w->site, "a2");
	assert_true(stats_of(&w->site).renders > before.renders);
}

struct many {
	struct site *site;
	const char *commit;
	size_t at;
};

/* Each once, in order: what one has been seen to have does not go away. */
static bool all_have(void *arg)
{
	struct many *m = arg;

	for (; m->at < N_CLUSTERS; m->at++) {
		char name[32];
		_cleanup_free_ char *revision = NULL;

		snprintf(name, sizeof(name), "app-c%zu", m->at);
		revision = site_status(m->site, name, "sync", "revision");
		if (strcmp(revision, m->commit) != 0)
			return false;
	}
	return true;
}

static void test_one_rendering_for_all_clusters(void **state)
{
	struct world *w = *state;
	_cleanup_buf_ struct cox_buf clusters = COX_BUF_INIT;
	struct many m = {.site = &w->site, .commit = "a1"};
	uint64_t before;

	wait_all(&w->site, "a1");
	before = stats_of(&w->site).renders;
	for (int i = 0; i < N_CLUSTERS; i++)
		cox_buf_printf(&clusters,
			       "---\napiVersion: coxswain.dev/v1alpha1\nkind: Cluster\n"
			       "metadata: {name: c%d, labels: {fleet: big}}\n"
			       "spec: {server: 'https://c%d.example.com'}\n",
			       i, i);
	site_apply(&w->site, cox_buf_cstr(&clusters));
	site_apply(&w->site,
		   "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\n"
		   "metadata: {name: all}\nspec:\n  generators:\n"
		   "  - clusters: {selector: {matchLabels: {fleet: big}}}\n"
		   "  template:\n    metadata: {name: 'app-{{name}}'}\n    spec:\n"
		   "      project: default\n"
		   "      source: {repoURL: '" REPO "', targetRevision: HEAD, path: overlay}\n"
		   "      destination: {server: '{{server}}', namespace: x}\n");
	site_wait(&w->site, all_have, &m);
	/* the application 'overlay' had it rendered already */
	assert_int_equal(stats_of(&w->site).renders - before, 0);
	push(&(struct commit){"b1", "9", "9", "9", "1", false});
	assert_int_equal(hub_control_refresh(w->site.control, NULL, "app-c0", false, NULL), 0);
	m = (struct many){.site = &w->site, .commit = "b1"};
	site_wait(&w->site, all_have, &m);
	/* the thousand and 'overlay' as one, 'hopes' as another; 'plain' is as it was */
	wait_all(&w->site, "b1");
	assert_int_equal(stats_of(&w->site).renders - before, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_what_is_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hard_refresh_renders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_rendering_for_all_clusters, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
