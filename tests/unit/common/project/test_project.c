/* What an AppProject permits. */
#include "common/doc/yaml.h"
#include "common/project/project.h"
#include "common/project/repo_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct cox_project project(const char *spec)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_project p;
	struct cox_error err;

	cox_buf_printf(&text,
		       "{apiVersion: argoproj.io/v1alpha1, kind: AppProject, metadata: {name: "
		       "web}, spec: %s}",
		       spec);
	if (cox_yaml_read(cox_buf_str(&text), "p.yaml", NULL, &doc, &err) < 0 ||
	    cox_project_init(&p, doc, &err) < 0)
		fail_msg("%s", err.message);
	return p;
}

static bool permits_source(const char *spec, const char *url)
{
	struct cox_project p = project(spec);
	int r = cox_project_check_source(&p, url, NULL);

	cox_project_fini(&p);
	assert_true(r == 0 || r == -COX_PERMISSION_DENIED);
	return r == 0;
}

static bool permits(const char *spec, const char *server, const char *name, const char *namespace)
{
	struct cox_project p = project(spec);
	int r = cox_project_check_destination(&p, server, name, namespace, NULL);

	cox_project_fini(&p);
	return r == 0;
}

static bool permits_kind(const char *spec, const char *group, const char *kind, const char *name,
			 bool namespaced)
{
	struct cox_project p = project(spec);
	int r = cox_project_check_kind(&p, group, kind, name, namespaced, NULL);

	cox_project_fini(&p);
	return r == 0;
}

static void sources(void **state)
{
	(void)state;
	assert_true(permits_source("{sourceRepos: ['*']}", "https://x/a/b"));
	assert_false(permits_source("{}", "https://x/a"));
	assert_true(permits_source("{sourceRepos: ['https://x/*']}", "https://x/a.git"));
	assert_false(permits_source("{sourceRepos: ['https://x/*']}", "https://x/a/b"));
	assert_true(permits_source("{sourceRepos: ['https://x/**']}", "https://x/a/b"));
	assert_true(permits_source("{sourceRepos: ['https://X.example/a.git']}",
				   "https://x.example/a"));
	assert_true(permits_source("{sourceRepos: ['git@github.com:org/*']}",
				   "git@github.com:org/app.git"));
	assert_false(permits_source("{sourceRepos: ['*', '!https://x/secret']}",
				    "https://x/secret.git"));
	assert_true(permits_source("{sourceRepos: ['*', '!https://x/secret']}", "https://x/open"));
	assert_false(permits_source("{sourceRepos: ['!https://x/secret']}", "https://x/open"));
}

static void destinations(void **state)
{
	static const char both[] =
		"{destinations: [{server: 'https://1.2.3.4', namespace: 'web-*'}, {name: prod, "
		"namespace: '*'}, {server: '*', namespace: '!kube-system'}]}";

	(void)state;
	assert_true(permits(both, "https://1.2.3.4", "", "web-1"));
	assert_false(permits(both, "https://1.2.3.4", "", "db"));
	assert_true(permits(both, "https://9.9.9.9", "prod", "db"));
	assert_false(permits(both, "https://9.9.9.9", "other", "db"));
	assert_false(permits(both, "https://9.9.9.9", "prod", "kube-system"));
	assert_false(permits("{destinations: [{server: '*', namespace: '*'}, {server: "
			     "'!https://bad', namespace: '*'}]}",
			     "https://bad", "", "x"));
	assert_false(permits("{}", "https://x", "x", "x"));
}

static void kinds(void **state)
{
	(void)state;
	assert_true(permits_kind("{}", "apps", "Deployment", "x", true));
	assert_false(permits_kind("{}", "", "Namespace", "x", false));
	assert_true(permits_kind("{clusterResourceWhitelist: [{group: '*', kind: '*'}]}", "",
				 "Namespace", "x", false));
	assert_true(permits_kind("{clusterResourceWhitelist: [{group: '', kind: Namespace, name: "
				 "'web-*'}]}",
				 "", "Namespace", "web-1", false));
	assert_false(permits_kind("{clusterResourceWhitelist: [{group: '', kind: Namespace, name: "
				  "'web-*'}]}",
				  "", "Namespace", "db", false));
	assert_false(permits_kind("{clusterResourceWhitelist: [{group: '*', kind: '*'}], "
				  "clusterResourceBlacklist: [{group: '', kind: Namespace}]}",
				  "", "Namespace", "x", false));
	assert_false(permits_kind("{namespaceResourceWhitelist: []}", "", "Secret", "x", true));
	assert_false(permits_kind("{namespaceResourceBlacklist: [{group: '', kind: Secret}]}", "",
				  "Secret", "x", true));
}

static void application_namespaces(void **state)
{
	struct cox_project p = project("{sourceNamespaces: ['team-*']}");
	struct cox_error err;

	(void)state;
	assert_int_equal(cox_project_check_app_namespace(&p, "argocd", "argocd", &err), 0);
	assert_int_equal(cox_project_check_app_namespace(&p, "team-a", "argocd", &err), 0);
	assert_int_equal(cox_project_check_app_namespace(&p, "other", "argocd", &err),
			 -COX_PERMISSION_DENIED);
	assert_string_equal(err.message, "project 'web' does not permit Applications in namespace "
					 "'other': add it to its sourceNamespaces");
	cox_project_fini(&p);
}

static void built_in_default_permits_everything(void **state)
{
	struct cox_project p;

	(void)state;
	cox_project_init_default(&p);
	assert_int_equal(cox_project_check_source(&p, "https://x", NULL), 0);
	assert_int_equal(cox_project_check_destination(&p, "https://x", "", "n", NULL), 0);
	assert_int_equal(cox_project_check_kind(&p, "", "Namespace", "n", false, NULL), 0);
	cox_project_fini(&p);
}

static void normal_urls(void **state)
{
	static const char *const cases[][2] = {
		{"HTTPS://User:pw@Host.Example/Path.git/", "https://host.example/Path"},
		{"git@host:a/b.git", "ssh://host/a/b"},
		{"https://host", "https://host/"},
		{"  https://host/a  ", "https://host/a"},
		{"/srv/a.git", "/srv/a.git"},
		{"", ""},
		{":", "ssh:///"},
		{"://", ":///"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *url = cox_repo_url_normal(cases[i][0]);

		assert_string_equal(url, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources),
		cmocka_unit_test(destinations),
		cmocka_unit_test(kinds),
		cmocka_unit_test(application_namespaces),
		cmocka_unit_test(built_in_default_permits_everything),
		cmocka_unit_test(normal_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
