/* Both forms of discovery give the same answers; what is down does not hold up the rest. */
#include "common/base/mem.h"
#include "common/kube/discovery.h"
#include "scripted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static bool aggregated, metrics_down, all_down, has_widgets;

#define VERBS "\"verbs\":[\"get\",\"list\",\"watch\",\"create\",\"patch\",\"delete\"]"
#define NEW_RESOURCE(plural, kind, scope)                                                          \
	"{\"resource\":\"" plural "\",\"responseKind\":{\"group\":\"\",\"version\":\"\",\"kind\":" \
	"\"" kind "\"},\"scope\":\"" scope "\"," VERBS ",\"subresources\":[{\"subresource\":"      \
	"\"status\"}]}"
#define OLD_RESOURCE(plural, kind, namespaced)                                                     \
	"{\"name\":\"" plural "\",\"namespaced\":" namespaced ",\"kind\":\"" kind "\"," VERBS "}"

static void serve_aggregated(struct cox_http_request *r)
{
	if (path_is(r, "/api")) {
		reply_json(
			r, 200,
			"{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":"
			"\"apidiscovery.k8s.io/v2\",\"items\":[{\"metadata\":{},\"versions\":[{"
			"\"version\":\"v1\",\"freshness\":\"Current\",\"resources\":[" NEW_RESOURCE(
				"pods", "Pod", "Namespaced") "," NEW_RESOURCE("nodes", "Node",
									      "Cluster") "]}]}]}");
		return;
	}
	_cleanup_free_ char *text = cox_asprintf(
		"{\"kind\":\"APIGroupDiscoveryList\",\"items\":["
		"{\"metadata\":{\"name\":\"autoscaling\"},\"versions\":["
		"{\"version\":\"v2\",\"resources\":[" NEW_RESOURCE(
			"horizontalpodautoscalers", "HorizontalPodAutoscaler",
			"Namespaced") "]},"
				      "{\"version\":\"v1\",\"resources\":[" NEW_RESOURCE(
					      "horizontalpodautoscalers", "HorizontalPodAutoscaler",
					      "Namespaced") "]}]}%s,"
							    "{\"metadata\":{\"name\":\"metrics.k8s."
							    "io\"},\"versions\":[{\"version\":"
							    "\"v1beta1\","
							    "\"freshness\":\"%s\",\"resources\":[%"
							    "s]}]}]}",
		has_widgets ? ",{\"metadata\":{\"name\":\"example.com\"},\"versions\":[{"
			      "\"version\":\"v1\",\"resources\":[" NEW_RESOURCE("widgets", "Widget",
										"Namespaced") "]}]}"
			    : "",
		metrics_down ? "Stale" : "Current",
		metrics_down ? "" : NEW_RESOURCE("pods", "PodMetrics", "Namespaced"));
	reply_json(r, 200, text);
}

static void serve_legacy(struct cox_http_request *r)
{
	static const char hpa[] = "{\"kind\":\"APIResourceList\",\"resources\":[" OLD_RESOURCE(
		"horizontalpodautoscalers", "HorizontalPodAutoscaler",
		"true") "," OLD_RESOURCE("horizontalpodautoscalers/status",
					 "HorizontalPodAutoscaler", "true") "]}";

	if (path_is(r, "/api"))
		reply_json(r, 200, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}");
	else if (path_is(r, "/api/v1"))
		reply_json(r, 200,
			   "{\"kind\":\"APIResourceList\",\"groupVersion\":\"v1\",\"resources\":"
			   "[" OLD_RESOURCE("pods", "Pod", "true") "," OLD_RESOURCE(
				   "pods/log", "Pod", "true") "," OLD_RESOURCE("nodes", "Node",
									       "false") "]}");
	else if (path_is(r, "/apis/autoscaling/v1") || path_is(r, "/apis/autoscaling/v2"))
		reply_json(r, 200, hpa);
	else if (path_is(r, "/apis/example.com/v1") && has_widgets)
		reply_json(r, 200,
			   "{\"kind\":\"APIResourceList\",\"resources\":[" OLD_RESOURCE(
				   "widgets", "Widget", "true") "]}");
	else if (path_is(r, "/apis/metrics.k8s.io/v1beta1") && !metrics_down)
		reply_json(r, 200,
			   "{\"kind\":\"APIResourceList\",\"resources\":[" OLD_RESOURCE(
				   "pods", "PodMetrics", "true") "]}");
	else if (path_is(r, "/apis"))
		reply_json(
			r, 200,
			has_widgets
				? "{\"kind\":\"APIGroupList\",\"groups\":[{\"name\":"
				  "\"autoscaling\","
				  "\"versions\":[{\"version\":\"v1\"},{\"version\":\"v2\"}],"
				  "\"preferredVersion\":{\"version\":\"v2\"}},{\"name\":"
				  "\"example.com\",\"versions\":[{\"version\":\"v1\"}]},{\"name\":"
				  "\"metrics.k8s.io\",\"versions\":[{\"version\":\"v1beta1\"}]}]}"
				: "{\"kind\":\"APIGroupList\",\"groups\":[{\"name\":"
				  "\"autoscaling\","
				  "\"versions\":[{\"version\":\"v1\"},{\"version\":\"v2\"}],"
				  "\"preferredVersion\":{\"version\":\"v2\"}},{\"name\":"
				  "\"metrics.k8s.io\",\"versions\":[{\"version\":\"v1beta1\"}]}]}");
	else
		reply_status(r, 503, "ServiceUnavailable", "not now");
}

static void serve(void *arg, struct cox_http_request *r)
{
	(void)arg;
	if (all_down)
		reply_status(r, 500, "InternalError", "down");
	else if (aggregated)
		serve_aggregated(r);
	else
		serve_legacy(r);
}

static struct cox_discovery *d;

static int begin(void **state)
{
	(void)state;
	metrics_down = all_down = has_widgets = false;
	scripted_start(serve, NULL, NULL);
	d = cox_discovery_new(kube);
	return 0;
}

static int end(void **state)
{
	(void)state;
	cox_discovery_free(d);
	scripted_stop();
	return 0;
}

static int setup_new(void **state)
{
	aggregated = true;
	return begin(state);
}

static int setup_old(void **state)
{
	aggregated = false;
	return begin(state);
}

static struct cox_error refresh_error;

static void refreshed(void *arg, const struct cox_error *error)
{
	refresh_error = *error;
	++*(int *)arg;
}

static void refresh(void)
{
	int n = 0;

	cox_discovery_refresh(d, refreshed, &n);
	assert_int_equal(n, 0);
	wait_until(is_set, &n);
	assert_int_equal(n, 1);
}

static void expect(const char *group, const char *version, const char *kind, const char *wanted)
{
	const struct cox_kube_resource *r = cox_discovery_find(d, group, version, kind);
	_cleanup_free_ char *text = r ? cox_asprintf("%s/%s/%s%s", r->group, r->version, r->plural,
						     r->namespaced ? " namespaced" : "")
				      : cox_strdup("none");

	assert_string_equal(text, wanted);
	if (r)
		assert_int_equal(r->verbs, COX_VERB_GET | COX_VERB_LIST | COX_VERB_WATCH |
						   COX_VERB_CREATE | COX_VERB_PATCH |
						   COX_VERB_DELETE);
}

static void kinds_are_found(void **state)
{
	(void)state;
	assert_false(cox_discovery_is_ready(d));
	expect("", "v1", "Pod", "none");
	refresh();
	assert_int_equal(refresh_error.code, 0);
	assert_true(cox_discovery_is_ready(d));
	expect("", "v1", "Pod", "/v1/pods namespaced");
	expect("", NULL, "Node", "/v1/nodes");
	expect("autoscaling", "v1", "HorizontalPodAutoscaler",
	       "autoscaling/v1/horizontalpodautoscalers namespaced");
	expect("autoscaling", "", "HorizontalPodAutoscaler",
	       "autoscaling/v2/horizontalpodautoscalers namespaced");
	expect("metrics.k8s.io", NULL, "PodMetrics", "metrics.k8s.io/v1beta1/pods namespaced");
	expect("apps", "v1", "Deployment", "none");
	assert_string_equal(cox_discovery_at(d, 0)->kind, "Pod");
	assert_non_null(cox_discovery_at(d, 4));
	assert_null(cox_discovery_at(d, 5));
	assert_true(cox_discovery_is_preferred(
		d, cox_discovery_find(d, "autoscaling", "v2", "HorizontalPodAutoscaler")));
	assert_false(cox_discovery_is_preferred(
		d, cox_discovery_find(d, "autoscaling", "v1", "HorizontalPodAutoscaler")));
	assert_null(cox_discovery_failed(d, 0));
	uint64_t generation = cox_discovery_generation(d);
	refresh();
	assert_int_equal(cox_discovery_generation(d), generation);
}

static void a_group_that_is_down_is_remembered(void **state)
{
	(void)state;
	metrics_down = true;
	refresh();
	assert_int_equal(refresh_error.code, 0);
	assert_string_equal(cox_discovery_failed(d, 0), "metrics.k8s.io/v1beta1");
	expect("metrics.k8s.io", NULL, "PodMetrics", "none");
	expect("", "v1", "Pod", "/v1/pods namespaced");
	metrics_down = false;
	refresh();
	assert_null(cox_discovery_failed(d, 0));
	metrics_down = true;
	refresh();
	assert_non_null(cox_discovery_failed(d, 0));
	expect("metrics.k8s.io", NULL, "PodMetrics", "metrics.k8s.io/v1beta1/pods namespaced");
}

static void a_server_that_is_down_changes_nothing(void **state)
{
	(void)state;
	all_down = true;
	refresh();
	assert_int_equal(refresh_error.code, COX_INTERNAL);
	assert_false(cox_discovery_is_ready(d));
	all_down = false;
	refresh();
	all_down = true;
	refresh();
	assert_int_equal(refresh_error.code, COX_INTERNAL);
	expect("", "v1", "Pod", "/v1/pods namespaced");
}

struct lookup {
	int n_done;
	char plural[32];
	struct cox_error error;
};

static void found(void *arg, const struct cox_kube_resource *resource,
		  const struct cox_error *error)
{
	struct lookup *l = arg;

	l->n_done++;
	snprintf(l->plural, sizeof(l->plural), "%s", resource ? resource->plural : "none");
	l->error = *error;
}

static void unknown_kinds_are_looked_for(void **state)
{
	struct lookup a = {0}, b = {0}, c = {0}, e = {0};

	(void)state;
	cox_discovery_lookup(d, "", NULL, "Pod", found, &a);
	cox_discovery_lookup(d, "example.com", "v1", "Widget", found, &b);
	wait_until(is_set, &a.n_done);
	wait_until(is_set, &b.n_done);
	assert_string_equal(a.plural, "pods");
	assert_string_equal(b.plural, "none");
	assert_int_equal(b.error.code, COX_NOT_FOUND);
	assert_string_equal(b.error.message, "the cluster has no kind 'Widget' in example.com/v1");
	assert_int_equal(n_seen("GET /api\n"), 1); /* together */
	has_widgets = true;
	cox_discovery_lookup(d, "example.com", "v1", "Widget", found, &c);
	assert_string_equal(c.plural, "none"); /* it was read just now */
	refresh();
	cox_discovery_lookup(d, "example.com", "v1", "Widget", found, &e);
	assert_string_equal(e.plural, "widgets");
	assert_int_equal(a.n_done + b.n_done + c.n_done + e.n_done, 4);
}

static void whoever_forgets_is_not_called(void **state)
{
	struct lookup a = {0}, b = {0};

	(void)state;
	cox_discovery_lookup(d, "", NULL, "Pod", found, &a);
	cox_discovery_lookup(d, "", NULL, "Pod", found, &b);
	cox_discovery_forget(d, &a);
	wait_until(is_set, &b.n_done);
	assert_int_equal(a.n_done, 0);
	cox_discovery_lookup(d, "x", NULL, "Y", found, &a);
	cox_discovery_refresh(d, NULL, NULL);
	/* and is freed with a refresh under way */
}

static void free_it(void *arg, const struct cox_error *error)
{
	(void)error;
	cox_discovery_free(d);
	d = NULL;
	*(int *)arg = 1;
}

static void may_be_freed_by_whom_it_calls(void **state)
{
	struct lookup later = {0};
	int gone = 0;

	(void)state;
	cox_discovery_refresh(d, free_it, &gone);
	cox_discovery_lookup(d, "", NULL, "Pod", found, &later);
	wait_until(is_set, &gone);
	assert_int_equal(later.n_done, 0);
}

int main(void)
{
#define BOTH(f)                                                                                    \
	cmocka_unit_test_setup_teardown(f, setup_new, end),                                        \
		cmocka_unit_test_setup_teardown(f, setup_old, end)
	const struct CMUnitTest tests[] = {
		BOTH(kinds_are_found),
		BOTH(a_group_that_is_down_is_remembered),
		BOTH(a_server_that_is_down_changes_nothing),
		BOTH(unknown_kinds_are_looked_for),
		BOTH(whoever_forgets_is_not_called),
		BOTH(may_be_freed_by_whom_it_calls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
