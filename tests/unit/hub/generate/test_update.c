/* What becomes of an Application that exists when its set says something else. */
#include "common/doc/yaml.h"
#include "hub/generate/generate.h"

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

static struct hub_appset make_set(const char *more)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct hub_appset set;
	struct cox_error err;

	cox_buf_printf(&text,
		       "{apiVersion: argoproj.io/v1alpha1, kind: ApplicationSet, metadata: {name: "
		       "s}, spec: {generators: [{list: {elements: []}}], template: {}%s}}",
		       more);
	doc = read_yaml(cox_buf_cstr(&text));
	if (hub_appset_init(&set, doc, &err) < 0)
		fail_msg("%s", err.message);
	return set;
}

/* The update of `live` by `wanted`, as YAML with sorted keys. */
static void check_update(const char *more, const char *live, const char *wanted, const char *want)
{
	_cleanup_doc_ struct cox_doc *a = read_yaml(live), *b = read_yaml(wanted);
	_cleanup_doc_ struct cox_doc *w = read_yaml(want), *updated = NULL;
	struct hub_appset set = make_set(more);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	updated = hub_generate_update(&set, a, b);
	cox_yaml_write_sorted(&text, cox_doc_root(updated));
	if (!cox_node_equal(cox_doc_root(updated), cox_doc_root(w)))
		fail_msg("got:\n%s", cox_buf_cstr(&text));
	assert_int_equal(hub_generate_is_same(&set, a, b),
			 cox_node_equal(cox_doc_root(a), cox_doc_root(w)));
	assert_true(hub_generate_is_same(&set, updated, b));
	hub_appset_fini(&set);
}

static void spec_is_replaced_and_the_rest_stays(void **state)
{
	(void)state;
	check_update("",
		     "{metadata: {name: a, uid: u}, spec: {a: 1, b: 2}, status: {s: 1}, "
		     "operation: {o: 1}}",
		     "{metadata: {name: a}, spec: {a: 3}}",
		     "{metadata: {name: a, uid: u}, spec: {a: 3}, status: {s: 1}, operation: {o: "
		     "1}}");
}

static void labels_not_in_the_template_go(void **state)
{
	(void)state;
	check_update("", "{metadata: {name: a, labels: {x: y, k: l}}, spec: {}}",
		     "{metadata: {name: a, labels: {k: m}}, spec: {}}",
		     "{metadata: {name: a, labels: {k: m}}, spec: {}}");
	check_update("", "{metadata: {name: a, labels: {x: y}}, spec: {}}",
		     "{metadata: {name: a}, spec: {}}", "{metadata: {name: a}, spec: {}}");
}

static void preserved_fields_stay(void **state)
{
	(void)state;
	check_update(
		", preservedFields: {labels: [x], annotations: [p]}",
		"{metadata: {name: a, labels: {x: y}, annotations: {p: q, r: s}}, spec: {}}",
		"{metadata: {name: a, labels: {x: other, n: new}}, spec: {}}",
		"{metadata: {name: a, labels: {x: y, n: new}, annotations: {p: q}}, spec: {}}");
}

static void foreign_annotations_stay(void **state)
{
	(void)state;
	check_update("",
		     "{metadata: {name: a, annotations: {argocd.argoproj.io/refresh: normal, "
		     "notified.notifications.argoproj.io: n, x: y}}, spec: {}}",
		     "{metadata: {name: a}, spec: {}}",
		     "{metadata: {name: a, annotations: {argocd.argoproj.io/refresh: normal, "
		     "notified.notifications.argoproj.io: n}}, spec: {}}");
}

static void hook_finalizers_stay(void **state)
{
	(void)state;
	check_update("",
		     "{metadata: {name: a, finalizers: "
		     "[post-delete-finalizer.argocd.argoproj.io/cleanup, other]}, spec: {}}",
		     "{metadata: {name: a, finalizers: [resources-finalizer.argocd.argoproj.io]}, "
		     "spec: {}}",
		     "{metadata: {name: a, finalizers: [resources-finalizer.argocd.argoproj.io, "
		     "post-delete-finalizer.argocd.argoproj.io/cleanup]}, spec: {}}");
}

static void ignored_differences_stay(void **state)
{
	static const char more[] =
		", ignoreApplicationDifferences: [{jsonPointers: [/spec/source/targetRevision, "
		"/spec/a~1b, /spec/gone]}, {name: other, jsonPointers: [/spec/x]}]";

	(void)state;
	check_update(more,
		     "{metadata: {name: a}, spec: {source: {targetRevision: v1, path: p}, a/b: 1, "
		     "x: 1}}",
		     "{metadata: {name: a}, spec: {source: {targetRevision: HEAD, path: q}, a/b: "
		     "2, x: 2, gone: 1}}",
		     "{metadata: {name: a}, spec: {source: {targetRevision: v1, path: q}, a/b: 1, "
		     "x: 2}}");
}

static void equal_ones_are_the_same(void **state)
{
	(void)state;
	check_update("", "{metadata: {name: a, uid: u, labels: {k: v}}, spec: {a: {b: [1]}}}",
		     "{metadata: {labels: {k: v}, name: a}, spec: {a: {b: [1]}}}",
		     "{metadata: {name: a, uid: u, labels: {k: v}}, spec: {a: {b: [1]}}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spec_is_replaced_and_the_rest_stays),
		cmocka_unit_test(labels_not_in_the_template_go),
		cmocka_unit_test(preserved_fields_stay),
		cmocka_unit_test(foreign_annotations_stay),
		cmocka_unit_test(hook_finalizers_stay),
		cmocka_unit_test(ignored_differences_stay),
		cmocka_unit_test(equal_ones_are_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
