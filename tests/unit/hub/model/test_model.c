/* hub/model beside its golden tests: kinds, views, selectors, counts, repositories. */
#include "common/base/suggest.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "hub/model/application.h"
#include "hub/model/appset.h"
#include "hub/model/check.h"
#include "hub/model/cluster.h"
#include "hub/model/policy.h"
#include "hub/model/repository.h"
#include "hub/model/selector.h"
#include "hub/model/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct cox_doc *read_yaml(const char *text)
{
	struct cox_error err;
	struct cox_doc *doc = NULL;

	if (cox_yaml_read(cox_str(text), "test.yaml", NULL, &doc, &err) < 0)
		fail_msg("%s", err.message);
	return doc;
}

/* ---- kinds ---- */

static void kinds_have_many_names(void **state)
{
	(void)state;
	assert_int_equal(hub_kind_parse("app"), HUB_APPLICATION);
	assert_int_equal(hub_kind_parse("Applications"), HUB_APPLICATION);
	assert_int_equal(hub_kind_parse("appset"), HUB_APPLICATION_SET);
	assert_int_equal(hub_kind_parse("ApplicationSet"), HUB_APPLICATION_SET);
	assert_int_equal(hub_kind_parse("proj"), HUB_APP_PROJECT);
	assert_int_equal(hub_kind_parse("cluster"), HUB_CLUSTER);
	assert_int_equal(hub_kind_parse("rolloutpolicies"), HUB_ROLLOUT_POLICY);
	assert_int_equal(hub_kind_parse("repo"), HUB_SECRET);
	assert_int_equal(hub_kind_parse("configmap"), HUB_CONFIG_MAP);
	assert_int_equal(hub_kind_parse(""), HUB_KIND_NONE);
	assert_int_equal(hub_kind_parse("ap"), HUB_KIND_NONE);
	assert_int_equal(hub_kind_parse("app,apps"), HUB_KIND_NONE);
}

static enum hub_kind kind_of(const char *text)
{
	_cleanup_doc_ struct cox_doc *doc = read_yaml(text);

	return hub_kind_of(cox_doc_root(doc));
}

static void kind_needs_group_and_label(void **state)
{
	(void)state;
	assert_int_equal(kind_of("{apiVersion: argoproj.io/v1alpha1, kind: Application}"),
			 HUB_APPLICATION);
	assert_int_equal(kind_of("{apiVersion: app.k8s.io/v1beta1, kind: Application}"),
			 HUB_KIND_NONE);
	assert_int_equal(kind_of("{apiVersion: v1, kind: Secret}"), HUB_KIND_NONE);
	assert_int_equal(kind_of("{apiVersion: v1, kind: Secret, metadata: {labels: "
				 "{argocd.argoproj.io/secret-type: cluster}}}"),
			 HUB_KIND_NONE);
	assert_int_equal(kind_of("{apiVersion: v1, kind: Secret, metadata: {labels: "
				 "{argocd.argoproj.io/secret-type: repo-creds}}}"),
			 HUB_SECRET);
}

static void key_takes_the_home_namespace(void **state)
{
	_cleanup_doc_ struct cox_doc *app = read_yaml(
		"{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: a}}");
	_cleanup_doc_ struct cox_doc *cluster = read_yaml(
		"{apiVersion: coxswain.dev/v1alpha1, kind: Cluster, metadata: {name: c, namespace: "
		"x}}");
	struct hub_key key;

	(void)state;
	assert_int_equal(hub_key_of(app, "argocd", &key, NULL), 0);
	assert_string_equal(key.namespace, "argocd");
	assert_string_equal(key.name, "a");
	assert_int_equal(hub_key_of(cluster, "argocd", &key, NULL), 0);
	assert_string_equal(key.namespace, "");
}

static void names_follow_dns(void **state)
{
	char longest[255];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[253] = 0;
	assert_true(hub_is_dns_subdomain("a"));
	assert_true(hub_is_dns_subdomain("a-1.b"));
	assert_true(hub_is_dns_subdomain(longest));
	longest[253] = 'a';
	longest[254] = 0;
	assert_false(hub_is_dns_subdomain(longest));
	assert_false(hub_is_dns_subdomain(""));
	assert_false(hub_is_dns_subdomain("a..b"));
	assert_false(hub_is_dns_subdomain("a."));
	assert_false(hub_is_dns_subdomain("-a"));
	assert_false(hub_is_dns_subdomain("A"));
	assert_false(hub_is_dns_subdomain("a_b"));
	assert_false(hub_is_dns_label("a.b"));
	assert_true(hub_is_dns_label("a-b"));
}

static void annotations_come_and_go(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = read_yaml("{metadata: {name: a}}");
	_cleanup_doc_ struct cox_doc *with = hub_object_with_annotation(doc, "k", "v");
	_cleanup_doc_ struct cox_doc *without = hub_object_with_annotation(with, "k", NULL);
	_cleanup_doc_ struct cox_doc *same = hub_object_with_annotation(doc, "k", NULL);

	(void)state;
	assert_null(hub_object_annotation(cox_doc_root(doc), "k"));
	assert_string_equal(hub_object_annotation(cox_doc_root(with), "k"), "v");
	assert_null(hub_object_annotation(cox_doc_root(without), "k"));
	assert_true(cox_node_equal(cox_doc_root(same), cox_doc_root(doc)));
}

/* ---- views ---- */

static void application_has_defaults(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = read_yaml("apiVersion: argoproj.io/v1alpha1\n"
						      "kind: Application\n"
						      "metadata: {name: a}\n"
						      "spec:\n"
						      "  source: {repoURL: https://x, path: p}\n"
						      "  destination: {name: in-cluster}\n");
	_cleanup_application_ struct hub_application app = {0};

	(void)state;
	assert_int_equal(hub_application_init(&app, doc, NULL), 0);
	assert_string_equal(app.project, "default");
	assert_int_equal(app.sources.n, 1);
	assert_string_equal(app.sources.items[0].target_revision, "HEAD");
	assert_string_equal(app.sources.items[0].directory.include, "");
	assert_false(app.sources.items[0].directory.given);
	assert_false(app.sync_policy.automated);
	assert_false(app.sync_policy.retry.given);
	assert_int_equal(app.sync_policy.retry.duration_ms, 5000);
	assert_int_equal(app.sync_policy.retry.max_duration_ms, 180000);
	assert_int_equal(app.sync_policy.retry.factor, 2);
	assert_int_equal(app.revision_history_limit, 10);
	assert_int_equal(app.cascade, HUB_CASCADE_NONE);
	assert_true(hub_destination_is_in_cluster(&app.destination));
}

static void application_is_read(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = read_yaml(
		"apiVersion: argoproj.io/v1alpha1\n"
		"kind: Application\n"
		"metadata: {name: a, namespace: ns, uid: u, finalizers: "
		"[resources-finalizer.argocd.argoproj.io/background]}\n"
		"spec:\n"
		"  project: web\n"
		"  source: {repoURL: https://ignored, path: p}\n"
		"  sources: [{repoURL: https://one, path: p}, {repoURL: https://two, ref: v}]\n"
		"  destination: {server: https://1.2.3.4, namespace: w}\n"
		"  syncPolicy:\n"
		"    automated: {prune: true, selfHeal: true}\n"
		"    syncOptions: [CreateNamespace=true]\n"
		"    retry: {limit: -1, backoff: {duration: 1s, factor: 3, maxDuration: 1m}}\n"
		"    managedNamespaceMetadata: {labels: {a: b}}\n"
		"  revisionHistoryLimit: 0\n");
	_cleanup_application_ struct hub_application app = {0};

	(void)state;
	assert_int_equal(hub_application_init(&app, doc, NULL), 0);
	assert_int_equal(app.sources.n, 2);
	assert_string_equal(app.sources.items[0].repo_url, "https://one");
	assert_string_equal(app.sources.items[1].ref, "v");
	assert_true(app.sync_policy.automated && app.sync_policy.prune &&
		    app.sync_policy.self_heal);
	assert_true(hub_sync_option_has(app.sync_policy.sync_options, "CreateNamespace=true"));
	assert_false(hub_sync_option_has(app.sync_policy.sync_options, "CreateNamespace"));
	assert_int_equal(app.sync_policy.retry.limit, -1);
	assert_int_equal(app.sync_policy.retry.duration_ms, 1000);
	assert_int_equal(app.sync_policy.retry.factor, 3);
	assert_int_equal(cox_node_len(app.sync_policy.namespace_labels), 1);
	assert_int_equal(app.revision_history_limit, 0);
	assert_int_equal(app.cascade, HUB_CASCADE_BACKGROUND);
	assert_false(hub_destination_is_in_cluster(&app.destination));
}

static void automated_can_be_switched_off(void **state)
{
	_cleanup_doc_ struct cox_doc *doc =
		read_yaml("apiVersion: argoproj.io/v1alpha1\n"
			  "kind: Application\n"
			  "metadata: {name: a}\n"
			  "spec:\n"
			  "  source: {repoURL: https://x, path: p}\n"
			  "  destination: {name: c}\n"
			  "  syncPolicy: {automated: {enabled: false, prune: true}}\n");
	_cleanup_application_ struct hub_application app = {0};

	(void)state;
	assert_int_equal(hub_application_init(&app, doc, NULL), 0);
	assert_false(app.sync_policy.automated);
}

static void view_refuses_other_kinds(void **state)
{
	_cleanup_doc_ struct cox_doc *doc =
		read_yaml("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}");
	struct hub_application app;
	struct cox_error err;

	(void)state;
	assert_int_equal(hub_application_init(&app, doc, &err), -COX_INVALID_ARGUMENT);
	assert_non_null(strstr(err.message, "expected kind Application"));
}

static void errors_are_counted(void **state)
{
	_cleanup_doc_ struct cox_doc *doc =
		read_yaml("{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: "
			  "a}, spec: {}}");
	struct cox_error err;

	(void)state;
	assert_int_equal(hub_validate(doc, &err), -COX_INVALID_ARGUMENT);
	assert_string_equal(err.message,
			    "test.yaml:1:82: spec.destination: is required (and 1 more)");
}

static void appset_steps_are_found(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = read_yaml(
		"apiVersion: argoproj.io/v1alpha1\n"
		"kind: ApplicationSet\n"
		"metadata: {name: a, annotations: {coxswain.dev/rollout-policy: staged}}\n"
		"spec:\n"
		"  generators: [{list: {elements: []}}]\n"
		"  template: {metadata: {name: x}, spec: {}}\n"
		"  syncPolicy: {applicationsSync: create-update}\n"
		"  strategy:\n"
		"    type: RollingSync\n"
		"    deletionOrder: reverse\n"
		"    rollingSync:\n"
		"      steps:\n"
		"      - matchExpressions: [{key: env, operator: In, values: [dev]}]\n"
		"      - matchExpressions: [{key: env, operator: NotIn, values: [dev]}]\n"
		"        maxUpdate: 25%\n");
	_cleanup_doc_ struct cox_doc *dev = read_yaml("{env: dev}"), *prod = read_yaml("{env: x}");
	_cleanup_appset_ struct hub_appset set = {0};

	(void)state;
	assert_int_equal(hub_appset_init(&set, doc, NULL), 0);
	assert_true(set.rolling_sync && set.deletion_reverse);
	assert_true(set.may_update);
	assert_false(set.may_delete);
	assert_string_equal(set.rollout_policy, "staged");
	assert_int_equal(set.steps.n, 2);
	assert_false(set.steps.items[0].max_update.given);
	assert_int_equal(hub_count_of(&set.steps.items[1].max_update, 10, 10), 2);
	assert_int_equal(hub_appset_step_of(&set, cox_doc_root(dev)), 0);
	assert_int_equal(hub_appset_step_of(&set, cox_doc_root(prod)), 1);
	assert_int_equal(hub_appset_step_of(&set, NULL), 1); /* NotIn holds for a missing label */
}

static void policy_is_read(void **state)
{
	_cleanup_doc_ struct cox_doc *doc =
		read_yaml("apiVersion: coxswain.dev/v1alpha1\n"
			  "kind: RolloutPolicy\n"
			  "metadata: {name: staged}\n"
			  "spec:\n"
			  "  waves:\n"
			  "  - {name: dev, clusters: {matchLabels: {a: b}}, after: [{soak: 2m}]}\n"
			  "  - name: prod\n"
			  "    maxConcurrent: 25%\n"
			  "    maxFailures: 2\n"
			  "    progressDeadline: 10m\n"
			  "    before:\n"
			  "    - approval: {}\n"
			  "    - http: {url: 'https://x'}\n"
			  "    - window: {schedule: '0 9 * * 1-5', duration: 8h}\n"
			  "  onFailure: rollback\n"
			  "  offline: wait\n"
			  "  supersede: finished\n");
	struct hub_policy p;

	(void)state;
	assert_int_equal(hub_policy_init(&p, doc, NULL), 0);
	assert_int_equal(p.waves.n, 2);
	assert_int_equal(p.waves.items[0].after.items[0].kind, HUB_GATE_SOAK);
	assert_int_equal(p.waves.items[0].after.items[0].soak_ms, 120000);
	assert_int_equal(p.waves.items[1].before.n, 3);
	assert_int_equal(p.waves.items[1].before.items[0].kind, HUB_GATE_APPROVAL);
	assert_string_equal(p.waves.items[1].before.items[1].url, "https://x");
	assert_int_equal(p.waves.items[1].before.items[2].duration_ms, 8 * 3600 * 1000);
	assert_string_equal(p.waves.items[1].before.items[2].time_zone, "UTC");
	assert_int_equal(p.waves.items[1].progress_deadline_ms, 600000);
	assert_int_equal(p.waves.items[1].max_failures.value, 2);
	assert_int_equal(p.on_failure, HUB_FAILURE_ROLLBACK);
	assert_int_equal(p.offline, HUB_OFFLINE_WAIT);
	assert_int_equal(p.supersede, HUB_SUPERSEDE_FINISHED);
	hub_policy_fini(&p);
}

static void cluster_is_made_and_read(void **state)
{
	char first[] = "env=dev", second[] = "a.b/c=", *labels[] = {first, second};
	_cleanup_doc_ struct cox_doc *doc = hub_cluster_new("dev", "https://1.2.3.4", labels, 2);
	struct hub_cluster cluster;

	(void)state;
	assert_int_equal(hub_cluster_init(&cluster, doc, NULL), 0);
	assert_string_equal(cluster.name, "dev");
	assert_string_equal(cluster.server, "https://1.2.3.4");
	assert_string_equal(cox_node_cstr(COX_GET(cluster.labels, "env"), ""), "dev");
	assert_string_equal(cox_node_cstr(COX_GET(cluster.labels, "a.b/c"), "no"), "");
	hub_cluster_fini(&cluster);
}

/* ---- counts ---- */

static int count_of(const char *yaml, int64_t total, int64_t *ret)
{
	_cleanup_doc_ struct cox_doc *doc = read_yaml(yaml);
	struct hub_count count;
	int r = hub_count_parse(doc, cox_doc_root(doc), &count, NULL);

	if (r == 0)
		*ret = hub_count_of(&count, total, -7);
	return r;
}

static void counts_and_percentages(void **state)
{
	static const struct {
		const char *text;
		int64_t total, want; /* -1: refused */
	} cases[] = {
		{"3", 10, 3},	  {"'3'", 10, 3},   {"25%", 10, 2},
		{"25%", 3, 1},	  {"0%", 10, 0},    {"0", 10, 0},
		{"100%", 7, 7},	  {"200%", 7, 14},  {"-1", 10, -1},
		{"'-1'", 10, -1}, {"'%'", 10, -1},  {"half", 10, -1},
		{"1.5", 10, -1},  {"' 3'", 10, -1}, {"1000000000000", 1, 1000000000000},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		int64_t n = -1;

		(void)count_of(cases[i].text, cases[i].total, &n);
		if (n != cases[i].want)
			fail_msg("'%s' of %ld: %ld, not %ld", cases[i].text, (long)cases[i].total,
				 (long)n, (long)cases[i].want);
	}
}

/* ---- selectors ---- */

static bool matches(const char *selector, const char *labels)
{
	_cleanup_doc_ struct cox_doc *s = read_yaml(selector), *l = read_yaml(labels);

	return hub_selector_matches(cox_doc_root(s), cox_doc_root(l));
}

static void selectors_match(void **state)
{
	(void)state;
	assert_true(matches("{}", "{a: b}"));
	assert_false(hub_selector_matches(NULL, NULL));
	assert_true(matches("{matchLabels: {a: b}}", "{a: b, c: d}"));
	assert_false(matches("{matchLabels: {a: b}}", "{a: c}"));
	assert_false(matches("{matchLabels: {a: b}}", "{}"));
	assert_true(
		matches("{matchExpressions: [{key: a, operator: In, values: [x, b]}]}", "{a: b}"));
	assert_false(matches("{matchExpressions: [{key: a, operator: In, values: [x]}]}", "{}"));
	assert_true(matches("{matchExpressions: [{key: a, operator: NotIn, values: [x]}]}", "{}"));
	assert_true(matches("{matchExpressions: [{key: a, operator: Exists}]}", "{a: b}"));
	assert_false(matches("{matchExpressions: [{key: a, operator: DoesNotExist}]}", "{a: b}"));
	assert_false(matches(
		"{matchLabels: {a: b}, matchExpressions: [{key: c, operator: Exists}]}", "{a: b}"));
	assert_false(
		matches("{matchExpressions: [{key: a, operator: Gt, values: ['1']}]}", "{a: '2'}"));
}

/* ---- suggestions ---- */

static const char *suggestion(const char *word)
{
	struct cox_suggestion near = {0};

	cox_suggest(&near, cox_str(word), "destination");
	cox_suggest(&near, cox_str(word), "source");
	cox_suggest(&near, cox_str(word), "sources");
	return near.best;
}

static void suggestions_are_near(void **state)
{
	(void)state;
	assert_string_equal(suggestion("sorce"), "source");
	assert_string_equal(suggestion("SOURCES"), "sources");
	assert_string_equal(suggestion("destinatoin"), "destination");
	assert_null(suggestion("project"));
	assert_null(suggestion("so"));
	assert_null(suggestion(""));
}

/* ---- repositories ---- */

static struct hub_repository repository(const char *type, const char *fields)
{
	_cleanup_free_ char *text =
		cox_asprintf("{apiVersion: v1, kind: Secret, metadata: {name: r, labels: "
			     "{argocd.argoproj.io/secret-type: %s}}, %s}",
			     type, fields);
	_cleanup_doc_ struct cox_doc *doc = read_yaml(text);
	struct hub_repository repo;
	struct cox_error err;

	if (hub_repository_init(&repo, doc, &err) < 0)
		fail_msg("%s", err.message);
	return repo;
}

static void repository_is_decoded(void **state)
{
	struct hub_repository r =
		repository("repository", "data: {url: aHR0cHM6Ly94, username: dQ==, insecure: "
					 "dHJ1ZQ==, password: bm8=}, stringData: {password: p}");

	(void)state;
	assert_string_equal(r.url, "https://x");
	assert_string_equal(r.username, "u");
	assert_string_equal(r.password, "p"); /* stringData wins */
	assert_string_equal(r.type, "git");
	assert_true(r.insecure);
	assert_false(r.is_template);
	hub_repository_fini(&r);
	hub_repository_fini(&r);
}

static void urls_have_one_spelling(void **state)
{
	(void)state;
	assert_true(hub_repository_same_url("https://Git.Example.com/a/b.git",
					    "https://git.example.com/a/b/"));
	assert_true(hub_repository_same_url("git@github.com:a/b.git", "ssh://git@github.com/a/b"));
	assert_true(hub_repository_same_url("https://user@x/a", "https://x/a"));
	assert_false(hub_repository_same_url("https://x/a", "https://x/A"));
	assert_false(hub_repository_same_url("https://x/a", "ssh://x/a"));
	assert_true(hub_repository_same_url("/srv/git/a/", "/srv/git/a"));
}

static void longest_prefix_gives_credentials(void **state)
{
	struct hub_repository repos[] = {
		repository("repo-creds", "stringData: {url: 'https://x', username: all}"),
		repository("repo-creds", "stringData: {url: 'https://x/team', username: team}"),
		repository("repository", "stringData: {url: 'https://x/team/app'}"),
		repository("repository", "stringData: {url: 'https://x/team/own', username: own}"),
	};
	const struct hub_repository *r;

	(void)state;
	assert_ptr_equal(hub_repository_find(repos, 4, "https://x/team/app.git"), &repos[2]);
	assert_ptr_equal(hub_repository_find(repos, 4, "https://x/team/other"), &repos[1]);
	assert_ptr_equal(hub_repository_find(repos, 4, "https://x/teams/other"), &repos[0]);
	assert_null(hub_repository_find(repos, 4, "https://y/team"));
	r = hub_repository_credentials(repos, 4, "https://x/team/app");
	assert_string_equal(r->username, "team");
	r = hub_repository_credentials(repos, 4, "https://x/team/own");
	assert_string_equal(r->username, "own");
	for (size_t i = 0; i < 4; i++)
		hub_repository_fini(&repos[i]);
}

/* ---- settings ---- */

static void settings_are_of_one_name(void **state)
{
	(void)state;
	assert_int_equal(kind_of("{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-cm}}"),
			 HUB_CONFIG_MAP);
	assert_int_equal(kind_of("{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-cms}}"),
			 HUB_KIND_NONE);
	assert_int_equal(kind_of("{apiVersion: v1, kind: ConfigMap}"), HUB_KIND_NONE);
}

static const char settings[] =
	"apiVersion: v1\n"
	"kind: ConfigMap\n"
	"metadata: {name: argocd-cm}\n"
	"data:\n"
	"  url: https://cd.example.com\n"
	"  resource.customizations.health.example.com_Lamp: return nil\n"
	"  resource.customizations.health.Pod: ''\n"
	"  resource.customizations.ignoreDifferences.all: 'managedFieldsManagers: [m]'\n"
	"  resource.customizations.ignoreDifferences.apps_Deployment: 'jsonPointers: [/a, /b]'\n"
	"  resource.customizations.ignoreDifferences.Secret: ''\n"
	"  resource.customizations: |\n"
	"    '*.example.com/*': {health.lua: 'return {}', actions: x}\n"
	"    Pod: {ignoreDifferences: 'jqPathExpressions: [.spec]'}\n";

static void agents_get_what_they_act_on(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = read_yaml(settings);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT, none = COX_BUF_INIT;

	(void)state;
	hub_settings_for_agents(cox_doc_root(doc), &text);
	assert_string_equal(
		cox_buf_cstr(&text),
		"{\"data\":{\"resource.customizations.health.example.com_Lamp\":\"return nil\","
		"\"resource.customizations\":\"{\\\"*.example.com/*\\\":{\\\"health.lua\\\":"
		"\\\"return {}\\\"}}\"}}");
	hub_settings_for_agents(NULL, &none);
	assert_int_equal(none.len, 0);
}

static void ignored_differences_are_collected(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = read_yaml(settings), *out = cox_doc_new("out");
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	(void)state;
	cox_json_write(&text, hub_settings_ignored(cox_doc_root(doc), out));
	assert_string_equal(
		cox_buf_cstr(&text),
		"[{\"group\":\"\",\"kind\":\"Pod\",\"jqPathExpressions\":[\".spec\"]},"
		"{\"group\":\"*\",\"kind\":\"*\",\"managedFieldsManagers\":[\"m\"]},"
		"{\"group\":\"apps\",\"kind\":\"Deployment\",\"jsonPointers\":[\"/a\",\"/b\"]}]");
	assert_null(hub_settings_ignored(NULL, out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_have_many_names),
		cmocka_unit_test(kind_needs_group_and_label),
		cmocka_unit_test(key_takes_the_home_namespace),
		cmocka_unit_test(names_follow_dns),
		cmocka_unit_test(annotations_come_and_go),
		cmocka_unit_test(application_has_defaults),
		cmocka_unit_test(application_is_read),
		cmocka_unit_test(automated_can_be_switched_off),
		cmocka_unit_test(view_refuses_other_kinds),
		cmocka_unit_test(errors_are_counted),
		cmocka_unit_test(appset_steps_are_found),
		cmocka_unit_test(policy_is_read),
		cmocka_unit_test(cluster_is_made_and_read),
		cmocka_unit_test(counts_and_percentages),
		cmocka_unit_test(selectors_match),
		cmocka_unit_test(suggestions_are_near),
		cmocka_unit_test(repository_is_decoded),
		cmocka_unit_test(urls_have_one_spelling),
		cmocka_unit_test(longest_prefix_gives_credentials),
		cmocka_unit_test(settings_are_of_one_name),
		cmocka_unit_test(agents_get_what_they_act_on),
		cmocka_unit_test(ignored_differences_are_collected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
