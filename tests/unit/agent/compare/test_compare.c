#include "agent/compare/compare.h"

#include "common/base/file.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "common/kube/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct cox_doc *parse(const char *yaml)
{
	struct cox_doc *doc;
	struct cox_error err;

	if (cox_yaml_read(cox_str(yaml), "test", NULL, &doc, &err) < 0)
		fail_msg("%s", err.message);
	return doc;
}

/* The paths that differ, joined by spaces; "" for equal. */
static char *differences(const char *desired_yaml, const char *live_yaml, const char *ignore_yaml)
{
	_cleanup_doc_ struct cox_doc *desired = parse(desired_yaml), *live = parse(live_yaml);
	_cleanup_doc_ struct cox_doc *ignore = parse(ignore_yaml ? ignore_yaml : "[]");
	_cleanup_difference_ struct agent_difference d = AGENT_DIFFERENCE_INIT;
	_cleanup_ignore_ struct agent_ignore ignored = AGENT_IGNORE_INIT;
	struct cox_buf out = COX_BUF_INIT;

	agent_ignore_for(cox_doc_root(ignore), cox_doc_root(desired), &ignored);
	agent_compare(desired, live,
		      &(struct agent_compare_options){.manager = "coxswain", .ignore = &ignored},
		      &d);
	for (size_t i = 0; i < d.paths.n; i++)
		cox_buf_printf(&out, "%s%s", i ? " " : "", d.paths.items[i]);
	return cox_buf_take(&out);
}

static const struct {
	const char *what, *desired, *live, *ignore, *wanted;
} rows[] = {
	{"what the server adds counts for nothing",
	 "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: '1'}}",
	 "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, uid: u, labels: {l: m}}, data: {x: "
	 "'1', w: '2'}}",
	 NULL, ""},
	{"a value", "{apiVersion: v1, kind: ConfigMap, data: {x: '1'}}",
	 "{apiVersion: v1, kind: ConfigMap, data: {x: '2'}}", NULL, "data.x"},
	{"a key that is gone", "{apiVersion: v1, kind: ConfigMap, data: {x: '1', y.z/a: '2'}}",
	 "{apiVersion: v1, kind: ConfigMap, data: {x: '1'}}", NULL, "data[\"y.z/a\"]"},
	{"an annotation", "{apiVersion: v1, kind: ConfigMap, metadata: {annotations: {a.b/c: x}}}",
	 "{apiVersion: v1, kind: ConfigMap, metadata: {annotations: {a.b/c: y}}}", NULL,
	 "metadata.annotations[\"a.b/c\"]"},
	{"status is nobody's wish", "{apiVersion: v1, kind: Pod, status: {phase: Running}}",
	 "{apiVersion: v1, kind: Pod, status: {phase: Failed}}", NULL, ""},
	{"null, empty and zero are like absent",
	 "{apiVersion: apps/v1, kind: Deployment, metadata: {creationTimestamp: null, labels: {}}, "
	 "spec: {paused: false, minReadySeconds: 0, template: {spec: {volumes: [], nodeSelector: "
	 "{}, "
	 "hostNetwork: false, containers: [{name: a, resources: {}}]}}}, status: {}}",
	 "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: [{name: "
	 "a}]}}}}",
	 NULL, ""},
	{"false is not absent in a custom resource",
	 "{apiVersion: example.com/v1, kind: Thing, spec: {use: false}}",
	 "{apiVersion: example.com/v1, kind: Thing, spec: {}}", NULL, "spec.use"},
	{"list items go by their keys",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: i}, {name: b, image: "
	 "j}]}}",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: b, image: j}, {name: x}, {name: "
	 "a, "
	 "image: k}]}}",
	 NULL, "spec.containers[name=a].image"},
	{"an item that is gone",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a}, {name: b}]}}",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a}]}}", NULL,
	 "spec.containers[name=b]"},
	{"a key's default counts",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, ports: [{containerPort: "
	 "80}]}]}}",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, ports: [{containerPort: 80, "
	 "protocol: TCP}]}]}}",
	 NULL, ""},
	{"quantities by value",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, resources: {limits: {cpu: 0.5, "
	 "memory: 1024Mi}}}]}}",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, resources: {limits: {cpu: "
	 "500m, "
	 "memory: 1Gi}}}]}}",
	 NULL, ""},
	{"quantities that differ",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, resources: {limits: {cpu: "
	 "1}}}]}}",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, resources: {limits: {cpu: "
	 "100m}}}]}}",
	 NULL, "spec.containers[name=a].resources.limits.cpu"},
	{"an atomic list as a whole",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, args: [x, y]}]}}",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, args: [x]}]}}", NULL,
	 "spec.containers[name=a].args"},
	{"stringData is data",
	 "{apiVersion: v1, kind: Secret, stringData: {a: b}, data: {c: 'ZA=='}}",
	 "{apiVersion: v1, kind: Secret, data: {a: 'Yg==', c: 'ZA=='}, type: Opaque}", NULL, ""},
	{"a Secret's value, without it", "{apiVersion: v1, kind: Secret, stringData: {a: b}}",
	 "{apiVersion: v1, kind: Secret, data: {a: 'Yw=='}}", NULL, "data.a"},
	{"what we applied and dropped since", "{apiVersion: v1, kind: ConfigMap, data: {x: '1'}}",
	 "{apiVersion: v1, kind: ConfigMap, metadata: {managedFields: [{manager: coxswain, "
	 "operation: "
	 "Apply, fieldsV1: {'f:data': {'f:x': {}, 'f:w': {}}}}]}, data: {x: '1', w: '2', z: '3'}}",
	 NULL, "data.w"},
	{"what another one owns", "{apiVersion: v1, kind: ConfigMap, data: {x: '1'}}",
	 "{apiVersion: v1, kind: ConfigMap, metadata: {managedFields: [{manager: kubectl, "
	 "operation: "
	 "Apply, fieldsV1: {'f:data': {'f:w': {}}}}, {manager: coxswain, operation: Update, "
	 "fieldsV1: "
	 "{'f:data': {'f:w': {}}}}]}, data: {x: '1', w: '2'}}",
	 NULL, ""},
	{"an item that we applied and dropped since",
	 "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a}]}}",
	 "{apiVersion: v1, kind: Pod, metadata: {managedFields: [{manager: coxswain, operation: "
	 "Apply, "
	 "fieldsV1: {'f:spec': {'f:containers': {'k:{\"name\":\"a\"}': {'.': {}, 'f:name': {}}, "
	 "'k:{\"name\":\"b\"}': {'.': {}, 'f:name': {}}}}}}]}, spec: {containers: [{name: a}, "
	 "{name: "
	 "b}]}}",
	 NULL, "spec.containers[name=b]"},
	{"a value of a set that we dropped since",
	 "{apiVersion: v1, kind: ConfigMap, metadata: {finalizers: [x]}}",
	 "{apiVersion: v1, kind: ConfigMap, metadata: {finalizers: [x, w], managedFields: "
	 "[{manager: "
	 "coxswain, operation: Apply, fieldsV1: {'f:metadata': {'f:finalizers': {'v:\"x\"': {}, "
	 "'v:\"w\"': {}}}}}]}}",
	 NULL, "metadata.finalizers"},
	{"told to ignore",
	 "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 1, "
	 "minReadySeconds: 5}}",
	 "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 7, "
	 "minReadySeconds: 6}}",
	 "[{group: apps, kind: Deploy*, jsonPointers: [/spec/replicas, /spec/nothing/there]}]",
	 "spec.minReadySeconds"},
	{"told to ignore another one",
	 "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 1}}",
	 "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 7}}",
	 "[{group: apps, kind: Deployment, name: b, jsonPointers: [/spec/replicas]}]",
	 "spec.replicas"},
	{"pointers have escapes and indexes",
	 "{apiVersion: v1, kind: Pod, metadata: {annotations: {a/b: '1'}}, spec: {containers: "
	 "[{name: "
	 "a, image: i}]}}",
	 "{apiVersion: v1, kind: Pod, metadata: {annotations: {a/b: '2'}}, spec: {containers: "
	 "[{name: "
	 "a, image: j}]}}",
	 "[{group: '', kind: Pod, jsonPointers: ['/metadata/annotations/a~1b', "
	 "/spec/containers/0/image]}]",
	 ""},
	{"rules of an aggregated role are the controller's",
	 "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, aggregationRule: "
	 "{clusterRoleSelectors: []}, rules: [{verbs: [get]}]}",
	 "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, aggregationRule: "
	 "{clusterRoleSelectors: []}, rules: []}",
	 NULL, ""},
	{"another kind of value", "{apiVersion: v1, kind: ConfigMap, data: {x: '1'}}",
	 "{apiVersion: v1, kind: ConfigMap, data: {x: {}}}", NULL, "data.x"},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_free_ char *got =
			differences(rows[i].desired, rows[i].live, rows[i].ignore);

		if (strcmp(got, rows[i].wanted) != 0)
			fail_msg("%s: got '%s', wanted '%s'", rows[i].what, got, rows[i].wanted);
	}
}

static void test_limit_of_paths(void **state)
{
	(void)state;
	for (size_t n = AGENT_COMPARE_PATHS_MAX - 1; n <= AGENT_COMPARE_PATHS_MAX + 1; n++) {
		COX_CLEANUP(cox_buf_fini) struct cox_buf desired = COX_BUF_INIT;
		_cleanup_difference_ struct agent_difference d = AGENT_DIFFERENCE_INIT;

		cox_buf_puts(&desired, "{apiVersion: v1, kind: ConfigMap, data: {");
		for (size_t i = 0; i < n; i++)
			cox_buf_printf(&desired, "k%zu: x, ", i);
		cox_buf_puts(&desired, "}}");
		_cleanup_doc_ struct cox_doc *want = parse(cox_buf_cstr(&desired));
		_cleanup_doc_ struct cox_doc *have =
			parse("{apiVersion: v1, kind: ConfigMap, data: {z: y}}");

		agent_compare(want, have, &(struct agent_compare_options){.manager = "coxswain"},
			      &d);
		assert_int_equal(d.n, n);
		assert_int_equal(d.paths.n,
				 n < AGENT_COMPARE_PATHS_MAX ? n : AGENT_COMPARE_PATHS_MAX);
	}
}

/* What a real API server made of minimal objects must be equal to them, and after one scalar of the
 * live object was changed, different: so that "equal" means something. */
static bool change_one(struct cox_doc *doc, struct cox_node *live, const struct cox_node *desired)
{
	for (size_t i = 0; i < cox_node_len(desired); i++) {
		struct cox_str key = cox_node_key(desired, i);
		const struct cox_node *want = cox_node_at(desired, i);

		if (cox_str_is(key, "apiVersion") || cox_str_is(key, "kind") ||
		    cox_str_is(key, "name") || cox_str_is(key, "namespace") ||
		    cox_str_is(key, "stringData"))
			continue;
		if (cox_node_is(want, COX_MAP)) {
			struct cox_node *inner = cox_map_edit_str(doc, live, key);

			if (inner && change_one(doc, inner, want))
				return true;
		} else if (cox_node_is(want, COX_STRING) || cox_node_is(want, COX_INT)) {
			cox_map_put_str(doc, live, key, cox_doc_cstring(doc, "changed by hand"));
			return true;
		}
	}
	return false;
}

static void check_step(const struct cox_node *step)
{
	const struct cox_node *body = COX_GET(step, "request", "body");
	const struct cox_node *answer = COX_GET(step, "response", "body");
	const char *note = cox_node_cstr(cox_node_get(step, "note"), "");
	struct agent_compare_options options = {.manager = "cox"};
	_cleanup_difference_ struct agent_difference d = AGENT_DIFFERENCE_INIT;
	_cleanup_doc_ struct cox_doc *desired = cox_doc_copy("desired", body);
	_cleanup_doc_ struct cox_doc *live = cox_doc_copy("live", answer);

	agent_compare(desired, live, &options, &d);
	if (d.n)
		fail_msg("%s: %zu differ, the first is %s", note, d.n, d.paths.items[0]);
	_cleanup_doc_ struct cox_doc *edited = cox_doc_edit(live);

	if (!change_one(edited, cox_doc_root_edit(edited), cox_doc_root(desired)))
		return;
	cox_doc_seal(edited);
	agent_compare(desired, edited, &options, &d);
	if (!d.n)
		fail_msg("%s: a changed field went unnoticed", note);
}

static void test_corpus(void **state)
{
	const char *folder = getenv("COX_TEST_CORPUS");
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err;
	size_t n = 0;

	(void)state;
	if (!folder) {
		print_message("skipped: COX_TEST_CORPUS is not set\n");
		skip();
	}
	_cleanup_free_ char *path = cox_path_join(folder, "kube/defaults.json");

	if (cox_file_read(path, 10 << 20, &text, &err) < 0 ||
	    cox_json_read(cox_buf_str(&text), "defaults.json", &doc, &err) < 0)
		fail_msg("%s", err.message);
	const struct cox_node *steps = cox_node_get(cox_doc_root(doc), "steps");

	for (size_t i = 0; i < cox_node_len(steps); i++) {
		const struct cox_node *step = cox_node_at(steps, i);

		if (!cox_str_is(cox_node_str(COX_GET(step, "request", "method")), "PATCH"))
			continue;
		check_step(step);
		n++;
	}
	assert_true(n >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_limit_of_paths),
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
