/* What travels beside assignments and statuses: the clusters' configuration out, resource trees in. */
#include "fixture.h"

#include "common/crypto/digest.h"

#include <stdlib.h>

#define REPO "file:///srv/apps.git"

#define APP                                                                                        \
	"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: web\n"            \
	"spec:\n  project: default\n"                                                              \
	"  source: {repoURL: '" REPO "', targetRevision: HEAD, path: web}\n"                       \
	"  destination: {name: dev, namespace: web}\n"                                             \
	"  syncPolicy: {automated: {}}\n"

#define SETTINGS(script)                                                                           \
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\n"                           \
	"data: {url: 'https://x', resource.customizations.health.Lamp: '" script "'}\n"
#define BODY(script) "{\"data\":{\"resource.customizations.health.Lamp\":\"" script "\"}}"

struct world {
	struct site site;
	struct agent agent;
	const char *wanted;
};

static int setup(void **state)
{
	struct world *w = cox_new(struct world);

	site_init(&w->site);
	site_start(&w->site);
	site_apply(&w->site, "apiVersion: coxswain.dev/v1alpha1\nkind: Cluster\n"
			     "metadata: {name: dev}\nspec: {server: 'https://1.1.1.1'}\n");
	agent_init(&w->agent, &w->site, "dev");
	_cleanup_free_ char *token = site_token(&w->site, "dev");

	agent_join(&w->agent, token);
	repo_set(REPO, "aaaa", "web/web.yaml",
		 "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n");
	repo_head(REPO, "aaaa");
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

/* ---- configuration ---- */

static bool has_wanted(void *arg)
{
	struct world *w = arg;

	return w->agent.n_configurations > 0 &&
	       cox_str_is(cox_buf_str(&w->agent.configuration), w->wanted);
}

static void wait_configuration(struct world *w, const char *body)
{
	w->wanted = body;
	site_wait(&w->site, has_wanted, w);
}

static void reconnect(struct world *w, const char *body)
{
	static uint8_t digest[COX_SHA256_BYTES];

	if (w->agent.conn)
		agent_disconnect(&w->agent);
	w->agent.n_configurations = 0;
	if (body)
		cox_sha256(cox_str(body), digest);
	w->agent.configuration_digest = body ? digest : NULL;
	agent_connect(&w->agent);
}

static void settings_reach_agents(void **state)
{
	struct world *w = *state;

	reconnect(w, "");
	site_settle(&w->site);
	assert_int_equal(w->agent.n_configurations, 0); /* nothing, and it has nothing */
	site_apply(&w->site, SETTINGS("return {}"));
	wait_configuration(w, BODY("return {}"));
	/* what agents do not act on is no news to them */
	site_apply(&w->site, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\n"
			     "data: {resource.customizations.health.Lamp: 'return {}'}\n");
	site_apply(&w->site, SETTINGS("return nil"));
	wait_configuration(w, BODY("return nil"));
	assert_int_equal(w->agent.n_configurations, 2);
	/* who comes back with it is sent nothing, who has another one is, also by a hub that was
	 * started again, and one that is too old never */
	reconnect(w, BODY("return nil"));
	site_settle(&w->site);
	assert_int_equal(w->agent.n_configurations, 0);
	agent_disconnect(&w->agent);
	site_stop(&w->site);
	site_start(&w->site);
	reconnect(w, BODY("return {}"));
	wait_configuration(w, BODY("return nil"));
	reconnect(w, NULL);
	site_settle(&w->site);
	assert_int_equal(w->agent.n_configurations, 0);
	/* none any more */
	struct hub_batch *batch = hub_batch_new();

	reconnect(w, BODY("return nil"));
	assert_int_equal(hub_control_delete(w->site.control, batch, HUB_CONFIG_MAP, NULL,
					    "argocd-cm", HUB_DELETE_DEFAULT, NULL),
			 0);
	hub_store_commit(w->site.store, batch);
	wait_configuration(w, "");
}

static void settings_are_refused(void **state)
{
	struct world *w = *state;
	struct cox_error err;

	assert_true(site_try_apply(&w->site, SETTINGS("return ]"), &err) < 0);
	assert_non_null(strstr(err.message, "Lamp"));
	assert_true(site_try_apply(&w->site,
				   "apiVersion: v1\nkind: ConfigMap\n"
				   "metadata: {name: argocd-cm, namespace: team}\n",
				   &err) < 0);
	assert_non_null(strstr(err.message, "namespace 'argocd'"));
	assert_true(site_try_apply(&w->site,
				   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n",
				   &err) < 0);
}

/* ---- trees ---- */

struct fake_node {
	const char *name; /* NULL: no key */
	uint32_t parent;
	bool managed;
};

static void put_tree(struct cox_buf *out, const struct fake_node *nodes, size_t n)
{
	Coxswain__Report__V1__Tree tree = COXSWAIN__REPORT__V1__TREE__INIT;
	Coxswain__Report__V1__TreeNode items[8], *list[8];
	Coxswain__Report__V1__ResourceKey keys[8];

	for (size_t i = 0; i < n; i++) {
		coxswain__report__v1__tree_node__init(&items[i]);
		coxswain__report__v1__resource_key__init(&keys[i]);
		keys[i].kind = (char *)"Pod";
		keys[i].name = (char *)nodes[i].name;
		items[i].key = nodes[i].name ? &keys[i] : NULL;
		items[i].parent = nodes[i].parent;
		items[i].managed = nodes[i].managed;
		items[i].health = 99;
		list[i] = &items[i];
	}
	tree.known = true;
	tree.nodes = list;
	tree.n_nodes = n;
	cox_buf_clear(out);
	cox_buf_reserve(out, coxswain__report__v1__tree__get_packed_size(&tree));
	out->len = coxswain__report__v1__tree__pack(&tree, (uint8_t *)out->ptr);
}

/* "a<b c<b": name and parent of each node. */
static char *tree_of(struct world *w)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_buf text = COX_BUF_INIT;
	const struct cox_node *nodes;

	assert_int_equal(hub_control_tree(w->site.control, NULL, "web", &doc, NULL), 0);
	nodes = COX_GET(cox_doc_root(doc), "nodes");
	for (size_t i = 0; i < cox_node_len(nodes); i++) {
		const struct cox_node *parent =
			cox_node_at(COX_GET(cox_node_at(nodes, i), "parentRefs"), 0);

		cox_buf_printf(&text, "%s%s<%s", i ? " " : "",
			       cox_node_cstr(COX_GET(cox_node_at(nodes, i), "name"), ""),
			       cox_node_cstr(COX_GET(parent, "name"), ""));
	}
	return text.len ? cox_buf_take(&text) : cox_strdup("");
}

static bool tree_is_wanted(void *arg)
{
	struct world *w = arg;
	_cleanup_free_ char *text = tree_of(w);

	return cox_streq(text, w->wanted);
}

static void report_tree(struct world *w, const char *wanted)
{
	agent_report(&w->agent);
	w->wanted = wanted;
	site_wait(&w->site, tree_is_wanted, w);
}

static void trees_are_not_trusted(void **state)
{
	struct world *w = *state;
	static const struct fake_node fine[] = {{"root", 0, true}, {"a", 1, 0}, {"b", 2, 0}},
				      bad[] = {{"root", 0, true},      {"ahead", 4, 0},
					       {"itself", 3, 0},       {"none", 0, 0},
					       {NULL, 1, 0},	       {"a", 1, 0},
					       {"far", 4000000000u, 0}};
	_cleanup_doc_ struct cox_doc *doc = NULL;

	put_tree(&w->agent.tree, fine, COX_ARRAY_LEN(fine));
	agent_connect(&w->agent);
	site_apply(&w->site, APP);
	site_wait_status(&w->site, "web", "Synced", "Healthy", "aaaa");
	report_tree(w, "a<root b<a");
	put_tree(&w->agent.tree, bad, COX_ARRAY_LEN(bad));
	report_tree(w, "a<root");
	/* no message at all, and one that is longer than any agent's */
	cox_buf_clear(&w->agent.tree);
	cox_buf_puts(&w->agent.tree, "\x12\xff\xff\xff\xff\x7f garbage");
	report_tree(w, "");
	put_tree(&w->agent.tree, fine, COX_ARRAY_LEN(fine));
	report_tree(w, "a<root b<a");
	for (size_t i = 0; i < (512 << 10); i += 4)
		cox_buf_puts(&w->agent.tree, "\x12\x02\x18\x01");
	report_tree(w, "");
	assert_int_equal(hub_control_tree(w->site.control, NULL, "none", &doc, NULL),
			 -COX_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(settings_reach_agents, setup, teardown),
		cmocka_unit_test_setup_teardown(settings_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(trees_are_not_trusted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
