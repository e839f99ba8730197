/* What differs, with values; and what is ignored, taken over from the live object. */
#include "agent/compare/compare.h"

#include "common/doc/json.h"
#include "common/doc/yaml.h"

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
		fail_msg("%s: %s", yaml, err.message);
	return doc;
}

/* "path: desired -> live" a line; "-" for absent. */
static char *values_of(const char *desired_yaml, const char *live_yaml)
{
	_cleanup_doc_ struct cox_doc *desired = parse(desired_yaml), *live = parse(live_yaml);
	_cleanup_values_ agent_values values = {0};
	struct cox_buf out = COX_BUF_INIT;

	agent_compare_values(desired, live, &(struct agent_compare_options){.manager = "coxswain"},
			     &values);
	COX_VEC_EACH (&values, v)
		cox_buf_printf(&out, "%s: %s -> %s\n", v->path, v->desired ? v->desired : "-",
			       v->live ? v->live : "-");
	return cox_buf_take(&out);
}

static const struct {
	const char *what, *desired, *live, *wanted;
} rows[] = {
	{"values as they are", "{apiVersion: v1, kind: ConfigMap, data: {a: x, b: z}}",
	 "{apiVersion: v1, kind: ConfigMap, data: {a: w}}",
	 "data.a: \"x\" -> \"w\"\ndata.b: \"z\" -> -\n"},
	{"whole items", "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: i}]}}",
	 "{apiVersion: v1, kind: Pod, spec: {containers: []}}",
	 "spec.containers[name=a]: {\"name\":\"a\",\"image\":\"i\"} -> -\n"},
	{"equal secrets have equal masks, others have not, and no length tells anything",
	 "{apiVersion: v1, kind: Secret, stringData: {a: one, b: two, c: three, d: "
	 "a-very-long-secret}}",
	 "{apiVersion: v1, kind: Secret, data: {a: dHdv, b: b25l, c: eA==, d: ''}}",
	 "data.a: \"++++++++\" -> \"+++++++++\"\ndata.b: \"+++++++++\" -> \"++++++++\"\n"
	 "data.c: \"++++++++++\" -> \"+++++++++++\"\ndata.d: \"++++++++++++\" -> "
	 "\"+++++++++++++\"\n"},
	{"a Secret's whole map", "{apiVersion: v1, kind: Secret, data: {a: dHdv}}",
	 "{apiVersion: v1, kind: Secret}", "data: {\"a\":\"++++++++\"} -> -\n"},
	{"a Secret's type and labels are no secret",
	 "{apiVersion: v1, kind: Secret, type: a, metadata: {labels: {l: x}, annotations: {z: x}}}",
	 "{apiVersion: v1, kind: Secret, type: b, metadata: {labels: {l: w}, annotations: {z: w}}}",
	 "type: \"a\" -> \"b\"\nmetadata.labels.l: \"x\" -> \"w\"\n"
	 "metadata.annotations.z: \"x\" -> \"w\"\n"},
	{"kubectl's copy is one",
	 "{apiVersion: v1, kind: Secret, metadata: {annotations: "
	 "{kubectl.kubernetes.io/last-applied-configuration: hunter2}}}",
	 "{apiVersion: v1, kind: Secret, metadata: {annotations: {z: w}}}",
	 "metadata.annotations[\"kubectl.kubernetes.io/last-applied-configuration\"]: \"++++++++\" "
	 "-> "
	 "-\n"},
	{"annotations as a whole may hold it",
	 "{apiVersion: v1, kind: Secret, metadata: {annotations: {z: hunter2}}}",
	 "{apiVersion: v1, kind: Secret, metadata: {name: a}}",
	 "metadata.annotations: {\"z\":\"++++++++\"} -> -\n"},
	{"what nobody expects in a Secret is one",
	 "{apiVersion: v1, kind: Secret, other: {z: [hunter2]}}", "{apiVersion: v1, kind: Secret}",
	 "other: {\"z\":\"++++++++\"} -> -\n"},
	{"a Secret of another group is none",
	 "{apiVersion: example.com/v1, kind: Secret, data: {a: x}}",
	 "{apiVersion: example.com/v1, kind: Secret, data: {a: w}}", "data.a: \"x\" -> \"w\"\n"},
};

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_free_ char *got = values_of(rows[i].desired, rows[i].live);

		if (strcmp(got, rows[i].wanted) != 0)
			fail_msg("%s: got '%s', wanted '%s'", rows[i].what, got, rows[i].wanted);
	}
}

static void test_limit_of_values(void **state)
{
	(void)state;
	for (size_t n = AGENT_VALUES_MAX - 1; n <= AGENT_VALUES_MAX + 1; n++) {
		COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
		_cleanup_values_ agent_values values = {0};

		cox_buf_puts(&text, "{apiVersion: v1, kind: ConfigMap, data: {");
		for (size_t i = 0; i < n; i++)
			cox_buf_printf(&text, "k%zu: x, ", i);
		cox_buf_puts(&text, "}}");
		_cleanup_doc_ struct cox_doc *desired = parse(cox_buf_cstr(&text));
		_cleanup_doc_ struct cox_doc *live =
			parse("{apiVersion: v1, kind: ConfigMap, data: {a: w}}");

		agent_compare_values(desired, live,
				     &(struct agent_compare_options){.manager = "coxswain"},
				     &values);
		assert_int_equal(values.n, n < AGENT_VALUES_MAX ? n : AGENT_VALUES_MAX);
	}
}

/* ---- what is ignored comes from the live object ---- */

#define POD(body)      "{apiVersion: v1, kind: Pod, spec: {" body "}}"
#define POD_JSON(body) "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{" body "}}"
#define CR(body)       "{apiVersion: example.com/v1, kind: Widget, spec: {" body "}}"
#define CR_JSON(body)  "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"spec\":{" body "}}"

static const struct {
	const char *what, *desired, *live, *ignore, *desired_cuts, *live_cuts, *wanted;
} taken[] = {
	{"nothing is ignored", POD("a: 1"), POD("a: 2"), "{}", "[]", "[]", POD_JSON("\"a\":1")},
	{"a value", POD("a: 1, b: 1"), POD("a: 2, b: 2"), "{jsonPointers: [/spec/a]}", "[]", "[]",
	 POD_JSON("\"b\":1,\"a\":2")},
	{"what is not there goes", POD("a: 1, b: 1"), POD("b: 2"), "{jsonPointers: [/spec/a]}",
	 "[]", "[]", POD_JSON("\"b\":1")},
	{"what only the live object has comes, with the maps above it", POD("b: 1"),
	 POD("b: 2, m: {x: {c: 3, d: 4}}"), "{jsonPointers: [/spec/m/x/c]}", "[]", "[]",
	 POD_JSON("\"b\":1,\"m\":{\"x\":{\"c\":3}}")},
	{"an item by its key", POD("containers: [{name: a, image: i}, {name: b, image: j}]"),
	 POD("containers: [{name: x, image: k}, {name: b, image: w}, {name: a, image: v}]"), "{}",
	 "[[spec, containers, 1, image]]", "[[spec, containers, 1, image]]",
	 POD_JSON("\"containers\":[{\"name\":\"a\",\"image\":\"i\"},{\"name\":\"b\",\"image\":"
		  "\"w\"}]")},
	{"an item that only the live object has, as a whole", POD("containers: [{name: a}]"),
	 POD("containers: [{name: proxy, image: k}, {name: a}]"), "{}", "[]",
	 "[[spec, containers, 0]]",
	 POD_JSON("\"containers\":[{\"name\":\"a\"},{\"name\":\"proxy\",\"image\":\"k\"}]")},
	{"a field of an item that only the live object has stays there",
	 POD("containers: [{name: a}]"), POD("containers: [{name: proxy, image: k}, {name: a}]"),
	 "{}", "[]", "[[spec, containers, 0, image]]",
	 POD_JSON("\"containers\":[{\"name\":\"a\"}]")},
	{"a slice", POD("containers: [{name: a, image: i}, {name: b, image: j}]"),
	 POD("containers: [{name: a, image: v}, {name: b, image: w}]"), "{}", "[]",
	 "[[spec, containers, {start: 1, end: null}]]",
	 POD_JSON("\"containers\":[{\"name\":\"a\",\"image\":\"i\"},{\"name\":\"b\",\"image\":"
		  "\"w\"}]")},
	{"items that nothing tells apart, in lists as long", CR("l: [{a: 1}, {a: 2}]"),
	 CR("l: [{a: 3}, {a: 4}]"), "{jsonPointers: [/spec/l/1/a]}", "[]", "[]",
	 CR_JSON("\"l\":[{\"a\":1},{\"a\":4}]")},
	{"and in others not", CR("l: [{a: 1}]"), CR("l: [{a: 3}, {a: 4}]"),
	 "{jsonPointers: [/spec/l/1/a]}", "[]", "[]", CR_JSON("\"l\":[{\"a\":1}]")},
	{"status stays out", POD("a: 1"),
	 "{apiVersion: v1, kind: Pod, spec: {a: 2}, status: {p: 1}}",
	 "{jsonPointers: [/status, /status/p]}", "[]", "[]", POD_JSON("\"a\":1")},
	{"what a trusted manager owns, where we want it too",
	 POD("a: 1, b: 1, containers: [{name: c, image: i, command: [x]}]"),
	 "{apiVersion: v1, kind: Pod, metadata: {managedFields: [{manager: tuner, operation: "
	 "Update, "
	 "fieldsV1: {'f:spec': {'f:a': {}, 'f:z': {}, 'f:containers': {'k:{\"name\":\"c\"}': {'.': "
	 "{}, 'f:image': {}}}}}}]}, spec: {a: 2, b: 2, z: 2, containers: [{name: o}, {name: c, "
	 "image: j}]}}",
	 "{managedFieldsManagers: [tuner]}", "[]", "[]",
	 POD_JSON("\"a\":2,\"b\":1,\"containers\":[{\"name\":\"c\",\"image\":\"j\",\"command\":["
		  "\"x\"]}]")},
};

static void test_respect_ignored(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		_cleanup_doc_ struct cox_doc *desired = parse(taken[i].desired);
		_cleanup_doc_ struct cox_doc *live = parse(taken[i].live);
		_cleanup_doc_ struct cox_doc *entry = parse(taken[i].ignore);
		_cleanup_doc_ struct cox_doc *desired_cuts = parse(taken[i].desired_cuts);
		_cleanup_doc_ struct cox_doc *live_cuts = parse(taken[i].live_cuts);
		_cleanup_doc_ struct cox_doc *entries = cox_doc_new("ignore");
		_cleanup_ignore_ struct agent_ignore ignore = AGENT_IGNORE_INIT;
		COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
		struct cox_node *list = cox_doc_list(entries),
				*one = cox_doc_clone(entries, cox_doc_root(entry));

		cox_map_put_cstr(entries, one, "group", "*");
		cox_map_put_cstr(entries, one, "kind", "*");
		cox_list_push(entries, list, one);
		agent_ignore_for(list, cox_doc_root(desired), &ignore);
		_cleanup_doc_ struct cox_doc *got =
			agent_respect_ignored(desired, live, &ignore, cox_doc_root(desired_cuts),
					      cox_doc_root(live_cuts));

		cox_json_write(&text, cox_doc_root(got));
		if (strcmp(cox_buf_cstr(&text), taken[i].wanted) != 0)
			fail_msg("%s: got %s, wanted %s", taken[i].what, cox_buf_cstr(&text),
				 taken[i].wanted);
	}
}

/* ---- paths of jq ---- */

static const struct {
	const char *object, *cuts, *wanted;
} cut[] = {
	{"{a: [0, 1, 2, 3, 4]}", "[[a, 1], [a, 3]]", "{\"a\":[0,2,4]}"},
	{"{a: [0, 1, 2, 3, 4]}", "[[a, 3], [a, 1], [a, 3]]", "{\"a\":[0,2,4]}"},
	{"{a: [0, 1, 2, 3, 4]}", "[[a, -1]]", "{\"a\":[0,1,2,3]}"},
	{"{a: [0, 1, 2, 3, 4]}", "[[a, {start: 1, end: 3}]]", "{\"a\":[0,3,4]}"},
	{"{a: [0, 1, 2, 3, 4]}", "[[a, {start: null, end: -2}]]", "{\"a\":[3,4]}"},
	{"{a: [0]}", "[[a, 7], [a, -7], [b], [a, b], [a, 0, 0], []]", "{\"a\":[0]}"},
	{"{a: {b: 1, c: 2}}", "[[a], [a, b]]", "{}"},
	{"{a: [{b: 1, c: 2}, {b: 3}]}", "[[a, 0, b], [a, 0], [a, 1, b]]", "{\"a\":[{}]}"},
};

static void test_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		_cleanup_doc_ struct cox_doc *object = parse(cut[i].object);
		_cleanup_doc_ struct cox_doc *cuts = parse(cut[i].cuts);
		_cleanup_doc_ struct cox_doc *got =
			agent_compare_cut(object, NULL, cox_doc_root(cuts));
		COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

		cox_json_write(&text, cox_doc_root(got));
		if (strcmp(cox_buf_cstr(&text), cut[i].wanted) != 0)
			fail_msg("%s: got %s, wanted %s", cut[i].cuts, cox_buf_cstr(&text),
				 cut[i].wanted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_limit_of_values),
		cmocka_unit_test(test_respect_ignored),
		cmocka_unit_test(test_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
