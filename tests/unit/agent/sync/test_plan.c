#include "agent/sync/plan.h"

#include "common/base/limits.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static enum agent_scope scope(void *ctx, struct cox_str group, struct cox_str version,
			      struct cox_str kind)
{
	static const char *const cluster[] = {"Namespace", "ClusterRole",
					      "CustomResourceDefinition"};

	(void)ctx;
	(void)version;
	if (cox_str_is(group, "example.com"))
		return AGENT_SCOPE_UNKNOWN;
	for (size_t i = 0; i < COX_ARRAY_LEN(cluster); i++)
		if (cox_str_is(kind, cluster[i]))
			return AGENT_SCOPE_CLUSTER;
	return AGENT_SCOPE_NAMESPACED;
}

static int build_in(const struct cox_project *project, const char *yaml, struct agent_desired *ret,
		    struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	COX_CLEANUP(cox_buf_fini) struct cox_buf json = COX_BUF_INIT;
	_cleanup_docs_ cox_docs objects = {0};

	if (cox_yaml_read(cox_str(yaml), "bundle", NULL, &doc, err) < 0)
		fail_msg("%s", err->message);
	cox_json_write_canonical(&json, cox_doc_root(doc));
	int code = agent_bundle_read(cox_buf_str(&json), &objects, err);

	return code < 0 ? code
			: agent_desired_build(
				  &objects,
				  &(struct agent_desired_input){.instance = "shop",
								.app_uid = "uid-1",
								.namespace = "web",
								.scope = scope,
								.project = project,
								.server = "https://1.1.1.1",
								.cluster = "east"},
				  ret, err);
}

static int build(const char *yaml, struct agent_desired *ret, struct cox_error *err)
{
	return build_in(NULL, yaml, ret, err);
}

static void built(const char *yaml, struct agent_desired *ret)
{
	struct cox_error err;

	if (build(yaml, ret, &err) < 0)
		fail_msg("%s", err.message);
}

/* What is refused is refused before anything of the bundle is applied. */
static void test_project(void **state)
{
	static const struct {
		const char *spec, *object;
		const char *words; /* NULL: permitted */
	} cases[] = {
		{"{destinations: [{name: east, namespace: web}]}", "kind: ConfigMap", NULL},
		{"{destinations: [{server: 'https://1.1.1.1', namespace: web}]}", "kind: ConfigMap",
		 NULL},
		{"{destinations: [{name: west, namespace: web}]}", "kind: ConfigMap",
		 "namespace 'web'"},
		{"{destinations: [{name: east, namespace: other}]}", "kind: ConfigMap",
		 "does not permit namespace 'web'"},
		{"{destinations: [{name: east, namespace: '*'}, {name: east, namespace: '!web'}]}",
		 "kind: ConfigMap", "denies namespace 'web'"},
		{"{destinations: [{name: east, namespace: web}], "
		 "namespaceResourceBlacklist: [{group: '', kind: ConfigMap}]}",
		 "kind: ConfigMap", "kind 'ConfigMap'"},
		{"{destinations: [{name: east, namespace: web}]}", "kind: Namespace",
		 "clusterResourceWhitelist"},
		{"{destinations: [], clusterResourceWhitelist: [{group: '*', kind: '*'}]}",
		 "kind: Namespace", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *text =
			cox_asprintf("{metadata: {name: narrow}, spec: %s}", cases[i].spec);
		_cleanup_free_ char *bundle = cox_asprintf(
			"[{apiVersion: v1, %s, metadata: {name: a}}]", cases[i].object);
		COX_CLEANUP(cox_project_fini) struct cox_project project = {0};
		_cleanup_desired_ struct agent_desired d = {0};
		_cleanup_doc_ struct cox_doc *doc = NULL;
		struct cox_error err = COX_ERROR_INIT;

		assert_int_equal(cox_yaml_read(cox_str(text), "project", NULL, &doc, &err), 0);
		assert_int_equal(cox_project_init(&project, doc, &err), 0);
		if (!cases[i].words) {
			if (build_in(&project, bundle, &d, &err) < 0)
				fail_msg("%s", err.message);
			continue;
		}
		assert_int_equal(build_in(&project, bundle, &d, &err), -COX_PERMISSION_DENIED);
		if (!strstr(err.message, cases[i].words) || !strstr(err.message, "narrow"))
			fail_msg("%s", err.message);
	}
}

static void test_stamped(void **state)
{
	_cleanup_desired_ struct agent_desired d = {0};
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;

	(void)state;
	built("- {apiVersion: apps/v1, kind: Deployment, metadata: {name: a, uid: x, "
	      "creationTimestamp: null, annotations: "
	      "{kubectl.kubernetes.io/last-applied-configuration: secret}}, status: {}}\n"
	      "- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: r, "
	      "namespace: no}}\n"
	      "- {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: "
	      "{name: t.example.com}, spec: {group: example.com, scope: Cluster, names: {kind: "
	      "Thing}}}\n"
	      "- {apiVersion: example.com/v1, kind: Thing, metadata: {name: t}}\n"
	      "- {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: own}, stringData: "
	      "{a: "
	      "b}}\n",
	      &d);
	for (size_t i = 0; i < d.objects.n; i++) {
		cox_json_write_canonical(&out, cox_doc_root(d.objects.items[i].doc));
		cox_buf_putc(&out, '\n');
	}
	assert_string_equal(
		cox_buf_cstr(&out),
		"{\"apiVersion\":\"apps/"
		"v1\",\"kind\":\"Deployment\",\"metadata\":{\"annotations\":{"
		"\"argocd.argoproj.io/tracking-id\":\"shop:apps/Deployment:web/a\","
		"\"coxswain.dev/app-uid\":\"uid-1\"},\"name\":\"a\",\"namespace\":\"web\"}}\n"
		"{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"ClusterRole\","
		"\"metadata\":{\"annotations\":{\"argocd.argoproj.io/tracking-id\":"
		"\"shop:rbac.authorization.k8s.io/ClusterRole:/r\",\"coxswain.dev/app-uid\":"
		"\"uid-1\"},\"name\":\"r\"}}\n"
		"{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
		"\"metadata\":{\"name\":\"t.example.com\"},\"spec\":{\"group\":\"example.com\","
		"\"names\":{\"kind\":\"Thing\"},\"scope\":\"Cluster\"}}\n"
		"{\"apiVersion\":\"example.com/v1\",\"kind\":\"Thing\",\"metadata\":{"
		"\"annotations\":{\"argocd.argoproj.io/tracking-id\":\"shop:example.com/Thing:/t\","
		"\"coxswain.dev/app-uid\":\"uid-1\"},\"name\":\"t\"}}\n"
		"{\"apiVersion\":\"v1\",\"data\":{\"a\":\"Yg==\"},\"kind\":\"Secret\",\"metadata\":"
		"{"
		"\"annotations\":{\"argocd.argoproj.io/tracking-id\":\"shop:/Secret:own/s\","
		"\"coxswain.dev/app-uid\":\"uid-1\"},\"name\":\"s\",\"namespace\":\"own\"}}\n");
}

static void test_marks(void **state)
{
	static const struct {
		const char *live;
		bool marked, adoptable;
	} rows[] = {
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: n, annotations: "
		 "{argocd.argoproj.io/tracking-id: 'shop:/ConfigMap:n/a', coxswain.dev/app-uid: "
		 "u}}}",
		 true, false},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: n, annotations: "
		 "{argocd.argoproj.io/tracking-id: 'shop:/ConfigMap:n/a'}}}",
		 false, true},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: n, annotations: "
		 "{argocd.argoproj.io/tracking-id: 'other:/ConfigMap:n/a'}}}",
		 false, false},
		/* copied from its owner by an operator */
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: n, annotations: "
		 "{argocd.argoproj.io/tracking-id: 'shop:/ConfigMap:n/b', coxswain.dev/app-uid: "
		 "u}}}",
		 false, false},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: n, annotations: "
		 "{argocd.argoproj.io/tracking-id: 'shop:/ConfigMap:n/a', coxswain.dev/app-uid: "
		 "v}}}",
		 false, false},
		{"{apiVersion: v1, kind: Namespace, metadata: {name: a, annotations: "
		 "{argocd.argoproj.io/tracking-id: 'shop:/Namespace:n/a', coxswain.dev/app-uid: "
		 "u}}}",
		 true, false},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", false, false},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: "
		 "{argocd.argoproj.io/tracking-id: ':', coxswain.dev/app-uid: u}}}",
		 false, false},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		_cleanup_doc_ struct cox_doc *doc = NULL;

		assert_int_equal(cox_yaml_read(cox_str(rows[i].live), "t", NULL, &doc, NULL), 0);
		assert_int_equal(agent_is_marked(cox_doc_root(doc), "u"), rows[i].marked);
		assert_int_equal(agent_is_adoptable(cox_doc_root(doc), "shop"), rows[i].adoptable);
	}
}

static void test_refused(void **state)
{
	static const char *const rows[][2] = {
		{"{}", "bundle is no list of objects"},
		{"- 1", "object 1 of the bundle has no apiVersion or no kind"},
		{"- {apiVersion: v1, kind: ConfigMap}", "object 1 of the bundle has no name"},
		{"- {apiVersion: v1, kind: ConfigMap, metadata: {name: a/b}}",
		 "object 1 of the bundle has a slash in its name or namespace"},
		{"- {apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: "
		 "80}, "
		 "{port: 80, protocol: TCP}]}}",
		 "Service 'web/s': spec.ports: two items are '80,TCP'"},
		{"- {apiVersion: v1, kind: Pod, metadata: {name: s}, spec: {containers: [{name: a, "
		 "env: "
		 "[{name: X}, {name: X}]}]}}",
		 "Pod 'web/s': spec.containers[0].env: two items are 'X'"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		_cleanup_desired_ struct agent_desired d = {0};
		struct cox_error err;

		assert_true(build(rows[i][0], &d, &err) < 0);
		assert_string_equal(err.message, rows[i][1]);
	}
}

static void test_hooks_are_parsed(void **state)
{
	static const struct {
		const char *annotations;
		bool hook, skipped;
		uint32_t phases, policy;
	} rows[] = {
		{"{}", false, false, 0, 0},
		{"{argocd.argoproj.io/hook: PreSync}", true, false, 1, 1},
		{"{argocd.argoproj.io/hook: ' PreSync , PostSync'}", true, false, 5, 1},
		{"{argocd.argoproj.io/hook: presync}", true, false, 0, 1},
		{"{argocd.argoproj.io/hook: Skip}", false, true, 0, 0},
		{"{argocd.argoproj.io/hook: 'Skip,Sync'}", true, false, 2, 1},
		{"{argocd.argoproj.io/hook: SyncFail, argocd.argoproj.io/hook-delete-policy: "
		 "'HookSucceeded,HookFailed'}",
		 true, false, 8, 6},
		{"{helm.sh/hook: 'pre-install,post-upgrade', helm.sh/hook-delete-policy: "
		 "before-hook-creation}",
		 true, false, 5, 1},
		{"{helm.sh/hook: crd-install}", false, false, 0, 0},
		{"{helm.sh/hook: test}", true, false, 0, 1},
		{"{helm.sh/hook: pre-delete}", true, false, 16, 1},
		{"{argocd.argoproj.io/hook: Sync, helm.sh/hook: pre-install}", true, false, 2, 1},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		_cleanup_free_ char *yaml =
			cox_asprintf("{metadata: {annotations: %s}}", rows[i].annotations);
		_cleanup_doc_ struct cox_doc *doc = NULL;
		struct agent_object o = {0};

		assert_int_equal(cox_yaml_read(cox_str(yaml), "t", NULL, &doc, NULL), 0);
		assert_int_equal(agent_hook_parse(cox_doc_root(doc), &o, NULL), 0);
		if (o.is_hook != rows[i].hook || o.is_skipped != rows[i].skipped ||
		    o.hook_phases != rows[i].phases || o.hook_delete != rows[i].policy)
			fail_msg("%s", rows[i].annotations);
	}
}

/* ---- the plan ---- */

struct world {
	bool namespace_is_live;
};

static bool is_live(void *ctx, const char *key)
{
	struct world *w = ctx;

	return w->namespace_is_live && strncmp(key, "/Namespace/", 11) == 0;
}

static bool is_known(void *ctx, struct cox_str group, struct cox_str version, struct cox_str kind)
{
	(void)ctx;
	(void)version;
	(void)kind;
	return !cox_str_is(group, "example.com");
}

/* "phase/wave action key" of each task, and "!" where the dry run is skipped. */
static char *describe(const struct agent_plan *plan)
{
	struct cox_buf out = COX_BUF_INIT;

	COX_VEC_EACH (&plan->tasks, t)
		cox_buf_printf(&out, "%s/%lld %s%s%s\n", agent_phase_name(t->phase),
			       (long long)t->wave, t->action == AGENT_ACTION_PRUNE ? "-" : "+",
			       t->key_text, t->skip_dry_run ? "!" : "");
	return cox_buf_take(&out);
}

static void test_order(void **state)
{
	_cleanup_desired_ struct agent_desired d = {0};
	struct agent_plan plan = {0};
	struct world world = {0};
	struct agent_extra extras[] = {
		{.key_text = "/ConfigMap/web/first", .version = "v1", .wave = -1},
		{.key_text = "/ConfigMap/web/last", .version = "v1", .wave = 2},
		{.key_text = "/ConfigMap/web/kept", .version = "v1", .options = AGENT_OPT_NO_PRUNE},
	};

	(void)state;
	built("- {apiVersion: apps/v1, kind: Deployment, metadata: {name: z}}\n"
	      "- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n"
	      "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"
	      "- {apiVersion: example.com/v1, kind: Thing, metadata: {name: t, annotations: "
	      "{argocd.argoproj.io/sync-wave: '-1'}}}\n"
	      "- {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: "
	      "{name: t.example.com}, spec: {group: example.com, scope: Namespaced, names: {kind: "
	      "Thing}}}\n"
	      "- {apiVersion: v1, kind: Service, metadata: {name: s, annotations: "
	      "{argocd.argoproj.io/sync-wave: '3'}}}\n"
	      "- {apiVersion: batch/v1, kind: Job, metadata: {name: hook, annotations: "
	      "{argocd.argoproj.io/hook: PreSync}}}\n",
	      &d);
	struct agent_plan_input in = {.desired = &d,
				      .extras = extras,
				      .n_extras = 3,
				      .prune = true,
				      .options = AGENT_OPT_CREATE_NAMESPACE,
				      .namespace = "web",
				      .ctx = &world,
				      .is_live = is_live,
				      .is_known = is_known};

	assert_int_equal(agent_plan_build(&in, &plan, NULL), 0);
	_cleanup_free_ char *got = describe(&plan);

	assert_string_equal(got, "PreSync/0 +/Namespace//web\n"
				 "Sync/-1 -/ConfigMap/web/last\n"
				 "Sync/-1 +apiextensions.k8s.io/CustomResourceDefinition//"
				 "t.example.com\n"
				 "Sync/-1 +example.com/Thing/web/t!\n"
				 "Sync/0 -/ConfigMap/web/kept\n"
				 "Sync/0 +/ConfigMap/web/a!\n"
				 "Sync/0 +/ConfigMap/web/b!\n"
				 "Sync/0 +apps/Deployment/web/z!\n"
				 "Sync/2 -/ConfigMap/web/first\n"
				 "Sync/3 +/Service/web/s!\n");
	agent_plan_fini(&plan);
	/* the namespace is there: nothing waits for it, and pruning may be last */
	world.namespace_is_live = true;
	in.options |= AGENT_OPT_PRUNE_LAST;
	in.n_extras = 1;
	assert_int_equal(agent_plan_build(&in, &plan, NULL), 0);
	_cleanup_free_ char *again = describe(&plan);

	assert_string_equal(again, "Sync/-1 +apiextensions.k8s.io/CustomResourceDefinition//"
				   "t.example.com\n"
				   "Sync/-1 +example.com/Thing/web/t!\n"
				   "Sync/0 +/ConfigMap/web/a\n"
				   "Sync/0 +/ConfigMap/web/b\n"
				   "Sync/0 +apps/Deployment/web/z\n"
				   "Sync/3 +/Service/web/s\n"
				   "Sync/4 -/ConfigMap/web/first\n");
	agent_plan_fini(&plan);
}

static void test_unknown_kind(void **state)
{
	_cleanup_desired_ struct agent_desired d = {0};
	struct agent_plan plan = {0};
	struct cox_error err;

	(void)state;
	built("- {apiVersion: example.com/v1, kind: Thing, metadata: {name: t}}\n", &d);
	struct agent_plan_input in = {.desired = &d, .is_known = is_known};

	assert_true(agent_plan_build(&in, &plan, &err) < 0);
	assert_string_equal(err.message, "the cluster has no kind Thing in example.com/v1, which "
					 "Thing 'web/t' needs");
	in.options = AGENT_OPT_SKIP_DRY_RUN;
	assert_int_equal(agent_plan_build(&in, &plan, &err), 0);
	agent_plan_fini(&plan);
}

static const struct cox_health healthy = {.status = COX_HEALTH_HEALTHY},
			       progressing = {.status = COX_HEALTH_PROGRESSING},
			       degraded = {.status = COX_HEALTH_DEGRADED, .message = "broken"};

static void plan_of(const char *yaml, const struct agent_extra *extras, size_t n,
		    struct agent_desired *d, struct agent_plan *plan)
{
	struct agent_plan_input in = {.extras = extras, .n_extras = n, .prune = true};

	built(yaml, d);
	in.desired = d;
	assert_int_equal(agent_plan_build(&in, plan, NULL), 0);
}

static const char two_waves[] =
	"- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"
	"- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n"
	"- {apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}\n"
	"- {apiVersion: v1, kind: ConfigMap, metadata: {name: later, annotations: "
	"{argocd.argoproj.io/sync-wave: '1'}}}\n";

static void test_waves_wait_for_health(void **state)
{
	_cleanup_desired_ struct agent_desired d = {0};
	struct agent_plan plan;
	COX_CLEANUP(cox_buf_fini) struct cox_buf said = COX_BUF_INIT;
	size_t begin, end;

	(void)state;
	plan_of(two_waves, NULL, 0, &d, &plan);
	/* equal kinds at once, kinds one after the other */
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_RUN);
	assert_int_equal(end - begin, 2);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_WAIT);
	agent_plan_applied(&plan, 0, &(struct cox_health){.status = COX_HEALTH_NONE});
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_WAIT);
	agent_plan_applied(&plan, 1, &(struct cox_health){.status = COX_HEALTH_NONE});
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_RUN);
	assert_int_equal(begin, 2);
	assert_int_equal(end, 3);
	agent_plan_applied(&plan, 2, &progressing);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_WAIT);
	agent_plan_describe(&plan, &said);
	assert_string_equal(cox_buf_cstr(&said), "waiting for healthy state of apps/Deployment/d");
	/* somebody else's health doesn't count */
	agent_plan_observed(&plan, "apps/Deployment/web/other", &healthy);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_WAIT);
	agent_plan_observed(&plan, "apps/Deployment/web/d", &healthy);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_RUN);
	assert_int_equal(begin, 3);
	/* the last wave is not waited for */
	agent_plan_applied(&plan, 3, &progressing);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_SUCCEEDED);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_SUCCEEDED);
	agent_plan_fini(&plan);
}

static void test_failures(void **state)
{
	_cleanup_desired_ struct agent_desired d = {0};
	struct agent_plan plan;
	COX_CLEANUP(cox_buf_fini) struct cox_buf said = COX_BUF_INIT;
	size_t begin, end;

	(void)state;
	plan_of(two_waves, NULL, 0, &d, &plan);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_RUN);
	agent_plan_failed(&plan, 0, "denied");
	agent_plan_applied(&plan, 1, &healthy);
	/* later kinds of the wave are still tried, later waves are not */
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_RUN);
	assert_int_equal(begin, 2);
	agent_plan_applied(&plan, 2, &degraded);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_FAILED);
	agent_plan_describe(&plan, &said);
	assert_string_equal(cox_buf_cstr(&said), "ConfigMap/a: denied and 1 more failure");
	agent_plan_fini(&plan);
	agent_desired_fini(&d);
	d = (struct agent_desired){0};
	/* what was applied and vanishes */
	plan_of(two_waves, NULL, 0, &d, &plan);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_RUN);
		for (size_t k = begin; k < end; k++)
			agent_plan_applied(&plan, k, k == 2 ? &progressing : &healthy);
	}
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_WAIT);
	agent_plan_observed(&plan, "apps/Deployment/web/d", NULL);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_FAILED);
	agent_plan_fini(&plan);
}

static void test_prune_runs_first(void **state)
{
	_cleanup_desired_ struct agent_desired d = {0};
	struct agent_plan plan;
	struct agent_extra extras[] = {{.key_text = "/ConfigMap/web/x", .version = "v1"},
				       {.key_text = "/Secret/web/y", .version = "v1"}};
	size_t begin, end;

	(void)state;
	plan_of(two_waves, extras, 2, &d, &plan);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_RUN);
	assert_int_equal(end - begin, 2); /* whatever their kinds */
	agent_plan_deleting(&plan, 0);
	agent_plan_failed(&plan, 1, "forbidden");
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_FAILED);
	agent_plan_fini(&plan);
	agent_desired_fini(&d);
	d = (struct agent_desired){0};
	plan_of(two_waves, extras, 2, &d, &plan);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_RUN);
	agent_plan_deleting(&plan, 0);
	agent_plan_deleting(&plan, 1);
	/* what is being deleted does not keep the wave's applies, but the next wave */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_RUN);
		for (size_t k = begin; k < end; k++)
			agent_plan_applied(&plan, k, &healthy);
	}
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_WAIT);
	agent_plan_observed(&plan, "/ConfigMap/web/x", NULL);
	agent_plan_observed(&plan, "/Secret/web/y", NULL);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_RUN);
	agent_plan_fini(&plan);
}

static void test_empty(void **state)
{
	_cleanup_desired_ struct agent_desired d = {0};
	struct agent_plan plan;
	size_t begin, end;

	(void)state;
	plan_of("[]", NULL, 0, &d, &plan);
	assert_int_equal(agent_plan_next(&plan, 0, &begin, &end), AGENT_PLAN_SUCCEEDED);
	agent_plan_fini(&plan);
}

static int read_bundle(struct cox_str text)
{
	_cleanup_docs_ cox_docs objects = {0};
	int code = agent_bundle_read(text, &objects, NULL);

	return code < 0 ? code : (int)objects.n;
}

static void test_bundles_are_read_object_by_object(void **state)
{
	static const struct {
		const char *text;
		int n; /* < 0: refused */
	} rows[] = {
		{"[]", 0},	    {" [ ] ", 0},
		{"[{}]", 1},	    {"[{},{\"a\":[1,{\"b\":\"],\\\"},{\"}]}]", 2},
		{"[1,\"x\"]", 2}, /* no objects: for the builder to refuse */
		{"", -1},	    {"[", -1},
		{"{}", -1},	    {"[{}", -1},
		{"[{},]", -1},	    {"[,{}]", -1},
		{"[{}{}]", -1},	    {"[{}]]", -1},
		{"[{\"a\":1]", -1}, {"[{}],[{}]", -1},
		{"[\"\\]", -1},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		int n = read_bundle(cox_str(rows[i].text));

		if (rows[i].n < 0 ? n >= 0 : n != rows[i].n)
			fail_msg("'%s': %d", rows[i].text, n);
	}
	for (int n = COX_LIMIT_APP_OBJECTS - 1; n <= COX_LIMIT_APP_OBJECTS + 1; n++) {
		COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

		for (int i = 0; i < n; i++)
			cox_buf_puts(&text, i ? ",{}" : "[{}");
		cox_buf_putc(&text, ']');
		assert_int_equal(read_bundle(cox_buf_str(&text)),
				 n <= COX_LIMIT_APP_OBJECTS ? n : -COX_RESOURCE_EXHAUSTED);
	}
}

static void test_options(void **state)
{
	(void)state;
	assert_int_equal(agent_options_parse(COX_STR("Prune=false, PruneLast=true,Nonsense=1")),
			 AGENT_OPT_NO_PRUNE | AGENT_OPT_PRUNE_LAST);
	assert_int_equal(agent_options_parse((struct cox_str){0}), 0);
	assert_int_equal(agent_option_parse(COX_STR("CreateNamespace=false")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_project),
		cmocka_unit_test(test_stamped),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_hooks_are_parsed),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_unknown_kind),
		cmocka_unit_test(test_waves_wait_for_health),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_prune_runs_first),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_bundles_are_read_object_by_object),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
