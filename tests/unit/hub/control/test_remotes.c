/* Remote bases and override files, from the repository that has them to the cluster. */
#include "fixture.h"

#include <stdlib.h>

#define REPO "https://git.example.com/team/apps"
#define BASE "https://git.example.com/shared/base"
#define MORE "https://git.example.com/shared/more"

static const char *const CLUSTER = "apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\n"
				   "metadata: {name: dev}\nspec: {server: 'https://1.1.1.1'}\n";

#define APP(project)                                                                               \
	"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web}\nspec:\n"      \
	"  project: " project "\n"                                                                 \
	"  source: {repoURL: '" REPO "', targetRevision: HEAD, path: web}\n"                       \
	"  destination: {name: dev, namespace: web}\n"                                             \
	"  syncPolicy: {automated: {}}\n"

#define PROJECT(repos)                                                                             \
	"apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: team}\nspec:\n"      \
	"  sourceRepos: [" repos "]\n  destinations: [{server: '*', name: '*', namespace: '*'}]\n"

struct world {
	struct site site;
	struct agent agent;
};

static void config_map(const char *url, const char *commit, const char *dir, const char *version)
{
	_cleanup_free_ char *path = cox_asprintf("%s/kustomization.yaml", dir);
	_cleanup_free_ char *text = cox_asprintf("configMapGenerator:\n- name: %s\n"
						 "  literals: [version=%s]\n",
						 dir, version);

	repo_set(url, commit, path, text);
	repo_head(url, commit);
}

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
	assert_true(w->agent.up);
	repo_set(REPO, "a1", "web/kustomization.yaml",
		 "resources:\n- " BASE "//app?ref=main\n- " MORE "/app?ref=main&timeout=10s\n");
	repo_head(REPO, "a1");
	config_map(MORE, "m1", "app", "1");
	/* two objects of one kind need two names */
	repo_set(MORE, "m2", "app/kustomization.yaml",
		 "namePrefix: more-\nconfigMapGenerator:\n- {name: app, literals: [a=b]}\n");
	repo_head(MORE, "m2");
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

struct other {
	struct agent *agent;
	char digest[200];
};

static bool has_other_digest(void *arg)
{
	struct other *o = arg;
	struct told *t = agent_told(o->agent, "web");

	return t && *t->digest && strcmp(t->digest, o->digest) != 0;
}

static void test_moves_with_its_base(void **state)
{
	struct world *w = *state;
	struct other o = {.agent = &w->agent};

	config_map(BASE, "b1", "app", "1");
	site_apply(&w->site, APP("default"));
	site_wait_status(&w->site, "web", "Synced", "Healthy", "a1");
	snprintf(o.digest, sizeof(o.digest), "%s", agent_told(&w->agent, "web")->digest);
	/* the application's own repository stays as it is */
	config_map(BASE, "b2", "app", "2");
	assert_int_equal(hub_control_refresh(w->site.control, NULL, "web", false, NULL), 0);
	site_wait(&w->site, has_other_digest, &o);
	site_wait_status(&w->site, "web", "Synced", "Healthy", "a1");
}

static void test_only_what_the_project_permits(void **state)
{
	struct world *w = *state;

	config_map(BASE, "b1", "app", "1");
	site_apply(&w->site, PROJECT("'" REPO "', '" MORE "'"));
	site_apply(&w->site, APP("team"));
	site_wait_condition(&w->site, "web", "ComparisonError",
			    "does not permit the repository '" BASE "'");
	site_settle(&w->site);
	assert_null(agent_told(&w->agent, "web"));
	site_apply(&w->site, PROJECT("'" REPO "', 'https://git.example.com/shared/*'"));
	assert_int_equal(hub_control_refresh(w->site.control, NULL, "web", false, NULL), 0);
	site_wait_status(&w->site, "web", "Synced", "Healthy", "a1");
	/* what it has stays; it is what is rendered next that fails */
	site_apply(&w->site, PROJECT("'" REPO "', '" MORE "'"));
	assert_int_equal(hub_control_refresh(w->site.control, NULL, "web", false, NULL), 0);
	site_wait_condition(&w->site, "web", "ComparisonError",
			    "does not permit the repository '" BASE "'");
}

static void test_base_that_is_not_there(void **state)
{
	struct world *w = *state;

	site_apply(&w->site, APP("default"));
	site_wait_condition(&w->site, "web", "ComparisonError", BASE);
	/* a commit that does without mends it */
	repo_set(REPO, "a2", "web/kustomization.yaml", "resources:\n- " MORE "/app?ref=main\n");
	repo_head(REPO, "a2");
	assert_int_equal(hub_control_refresh(w->site.control, NULL, "web", false, NULL), 0);
	site_wait_status(&w->site, "web", "Synced", "Healthy", "a2");
}

static void test_base_of_a_base(void **state)
{
	struct world *w = *state;

	repo_set(BASE, "b1", "app/kustomization.yaml",
		 "namePrefix: base-\nresources:\n- " MORE "//app?ref=HEAD\n");
	repo_head(BASE, "b1");
	site_apply(&w->site, APP("default"));
	site_wait_status(&w->site, "web", "Synced", "Healthy", "a1");
}

static bool other_has_other_digest(void *arg)
{
	struct agent *agent = arg;
	struct told *web = agent_told(agent, "web"), *api = agent_told(agent, "api");

	return web && api && *web->digest && *api->digest && strcmp(web->digest, api->digest) != 0;
}

/* Two Applications of one source are rendered once, unless one of them has an override file. */
static void test_overrides(void **state)
{
	struct world *w = *state;
	const char *other = APP("default");
	_cleanup_free_ char *api = NULL;

	repo_set(REPO, "a3", "web/kustomization.yaml",
		 "configMapGenerator:\n- {name: app, literals: [a=b]}\n");
	repo_head(REPO, "a3");
	site_apply(&w->site, APP("default"));
	api = cox_asprintf("%.*sapi%s", (int)(strstr(other, "name: web") + 6 - other), other,
			   strstr(other, "name: web") + 9);
	site_apply(&w->site, api);
	site_wait_status(&w->site, "web", "Synced", "Healthy", "a3");
	site_wait_status(&w->site, "api", "Synced", "Healthy", "a3");
	assert_string_equal(agent_told(&w->agent, "web")->digest,
			    agent_told(&w->agent, "api")->digest);
	repo_set(REPO, "a4", "web/kustomization.yaml",
		 "configMapGenerator:\n- {name: app, literals: [a=b]}\n");
	repo_set(REPO, "a4", "web/.argocd-source-api.yaml", "kustomize: {namePrefix: api-}\n");
	repo_head(REPO, "a4");
	assert_int_equal(hub_control_refresh(w->site.control, NULL, "web", false, NULL), 0);
	site_wait(&w->site, other_has_other_digest, &w->agent);
	site_wait_status(&w->site, "web", "Synced", "Healthy", "a4");
	site_wait_status(&w->site, "api", "Synced", "Healthy", "a4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_moves_with_its_base, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_what_the_project_permits, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_base_that_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_base_of_a_base, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overrides, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
