/* The REST API over real HTTP: every route once, and what strangers get. */
#include "common/base/file.h"
#include "common/doc/json.h"
#include "common/net/http_client.h"
#include "hub/web/web.h"
#include "tests/unit/hub/control/fixture.h"

#include <stdio.h>

#define REPO "file:///srv/apps.git"

struct world {
	struct site site;
	struct hub_web *web;
	struct cox_http_client *client;
	char token[COX_TOKEN_TEXT + 2];
	/* the last answer */
	bool done;
	int status;
	struct cox_doc *doc;
	char *text;
};

static int setup(void **state)
{
	struct world *w = cox_new(struct world);
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct cox_buf token = COX_BUF_INIT;
	struct cox_error err = COX_ERROR_INIT;

	site_init(&w->site);
	site_start(&w->site);
	if (hub_web_new(&(struct hub_web_options){.loop = w->site.loop,
						  .control = w->site.control,
						  .listen = "127.0.0.1:0"},
			&w->web, &path, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(cox_file_read(path, 1000, &token, NULL), 0);
	snprintf(w->token, sizeof(w->token), "%.*s",
		 COX_STR_ARG(cox_str_trim(cox_buf_str(&token))));
	assert_int_equal(cox_http_client_new(w->site.loop, NULL, &w->client, NULL), 0);
	repo_set(REPO, "aaaa", "book/book.yaml",
		 "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: canary}\n---\n"
		 "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n");
	repo_head(REPO, "aaaa");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	cox_http_client_free(w->client);
	hub_web_free(w->web);
	site_fini(&w->site);
	cox_doc_unref(w->doc);
	free(w->text);
	free(w);
	return 0;
}

static void answered(void *arg, const struct cox_http_answer *answer, const struct cox_error *err)
{
	struct world *w = arg;

	if (!answer->status)
		fail_msg("%s", err->message);
	w->status = answer->status;
	free(w->text);
	w->text = cox_str_dup(answer->body);
	cox_doc_unref(w->doc);
	w->doc = NULL;
	cox_json_read(answer->body, "answer", &w->doc, NULL);
	w->done = true;
}

static bool is_done(void *arg)
{
	return ((struct world *)arg)->done;
}

static void send_as(struct world *w, const char *token, const char *method, const char *path,
		    const char *body)
{
	_cleanup_free_ char *url = cox_asprintf("http://%s%s", hub_web_address(w->web), path);
	struct cox_http_call *call;
	struct cox_error err = COX_ERROR_INIT;

	w->done = false;
	if (cox_http_send(w->client,
			  &(struct cox_http_send){.method = method,
						  .url = url,
						  .bearer_token = token,
						  .body = cox_str(body),
						  .done = answered,
						  .arg = w},
			  &call, &err) < 0)
		fail_msg("%s", err.message);
	site_wait(&w->site, is_done, w);
}

static void ask(struct world *w, int want, const char *method, const char *path, const char *body)
{
	send_as(w, w->token, method, path, body);
	if (w->status != want)
		fail_msg("%s %s: %d %s", method, path, w->status, w->text);
}

static const char *field(struct world *w, const char *a, const char *b)
{
	return b ? cox_node_cstr(COX_GET(cox_doc_root(w->doc), a, b), "")
		 : cox_node_cstr(cox_node_get(cox_doc_root(w->doc), a), "");
}

static const struct cox_node *item(struct world *w, size_t i)
{
	return cox_node_at(cox_node_get(cox_doc_root(w->doc), "items"), i);
}

#define APP(name)                                                                                  \
	"{\"apiVersion\": \"argoproj.io/v1alpha1\", \"kind\": \"Application\", \"metadata\": "     \
	"{\"name\": \"" name                                                                       \
	"\"}, \"spec\": {\"project\": \"default\", \"source\": {\"repoURL\": "                     \
	"\"" REPO "\", \"path\": \"book\"}, \"destination\": {\"name\": \"dev\", \"namespace\": "  \
	"\"x\"}, \"syncPolicy\": {\"automated\": {}}}}"

static void test_strangers(void **state)
{
	static const char *const closed[] = {
		"/metrics",	   "/api/v1/version", "/api/v1/applications",
		"/api/v1/secrets", "/api/v1/nothing", "/"};
	struct world *w = *state;

	for (size_t i = 0; i < COX_ARRAY_LEN(closed); i++) {
		send_as(w, NULL, "GET", closed[i], NULL);
		assert_int_equal(w->status, 401);
		send_as(w, "cox_0000000000000000000000000000000000000000000", "GET", closed[i],
			NULL);
		assert_int_equal(w->status, 401);
	}
	send_as(w, NULL, "POST", "/api/v1/apply", APP("a"));
	assert_int_equal(w->status, 401);
	send_as(w, NULL, "GET", "/healthz", NULL);
	assert_int_equal(w->status, 200);
	send_as(w, NULL, "GET", "/readyz", NULL);
	assert_int_equal(w->status, 200);
	ask(w, 404, "GET", "/api/v1/nothing", NULL);
	ask(w, 404, "GET", "/", NULL);
	ask(w, 501, "PUT", "/api/v1/version", NULL);
}

static void test_objects(void **state)
{
	struct world *w = *state;

	ask(w, 200, "POST", "/api/v1/clusters",
	    "{\"name\": \"dev\", \"server\": \"https://1.1.1.1\", \"labels\": {\"env\": \"dev\"}}");
	assert_string_equal(field(w, "cluster", NULL), "dev");
	assert_int_equal(strlen(field(w, "caPin", NULL)), 64);
	assert_true(strlen(field(w, "token", NULL)) > 40);
	ask(w, 200, "POST", "/api/v1/clusters/dev/token?ttl=1h", NULL);
	ask(w, 404, "POST", "/api/v1/clusters/none/token", NULL);
	ask(w, 400, "POST", "/api/v1/clusters/dev/token?ttl=1000h", NULL);
	ask(w, 200, "GET", "/api/v1/clusters/dev", NULL);
	assert_string_equal(field(w, "spec", "server"), "https://1.1.1.1");

	ask(w, 200, "POST", "/api/v1/apply?dryRun=true", APP("a"));
	ask(w, 404, "GET", "/api/v1/applications/-/a", NULL);
	assert_string_equal(field(w, "code", NULL), "not_found");
	ask(w, 200, "POST", "/api/v1/apply", "[" APP("a") "," APP("b") "]");
	assert_string_equal(cox_node_cstr(cox_node_get(item(w, 0), "result"), ""), "created");
	ask(w, 200, "POST", "/api/v1/apply", APP("a"));
	assert_string_equal(cox_node_cstr(cox_node_get(item(w, 0), "result"), ""), "unchanged");
	ask(w, 200, "GET", "/api/v1/applications/argocd/a", NULL);
	assert_string_equal(field(w, "kind", NULL), "Application");
	assert_string_equal(field(w, "metadata", "namespace"), "argocd");
	ask(w, 200, "GET", "/api/v1/applications", NULL);
	assert_string_equal(field(w, "kind", NULL), "ApplicationList");
	assert_non_null(item(w, 1));
	ask(w, 200, "GET", "/api/v1/applications?namespace=other", NULL);
	assert_null(item(w, 0));
	ask(w, 404, "GET", "/api/v1/applications/a", NULL);
	ask(w, 200, "DELETE", "/api/v1/applications/-/b", NULL);
	ask(w, 404, "DELETE", "/api/v1/applications/-/b", NULL);
}

/* One that is refused takes the others with it. */
static void test_refusals(void **state)
{
	struct world *w = *state;

	ask(w, 400, "POST", "/api/v1/apply", "{\"a\": ");
	ask(w, 400, "POST", "/api/v1/apply", "7");
	ask(w, 400, "POST", "/api/v1/apply",
	    "[" APP("a") ", {\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": "
			 "\"p\"}}]");
	assert_non_null(strstr(field(w, "message", NULL), "Pod"));
	ask(w, 404, "GET", "/api/v1/applications/-/a", NULL);
	ask(w, 400, "POST", "/api/v1/apply",
	    "{\"apiVersion\": \"argoproj.io/v1alpha1\", \"kind\": \"Application\", \"metadata\": "
	    "{\"name\": \"x\"}, \"spec\": {}}");
	ask(w, 404, "POST", "/api/v1/applications/-/none/sync", "{}");
	ask(w, 404, "POST", "/api/v1/applications/-/none/sync", "{\"revision\": \"main\"}");
	ask(w, 400, "POST", "/api/v1/applications/-/none/sync",
	    "{\"revision\": \"main\", \"manifests\": [{}]}");
	ask(w, 404, "POST", "/api/v1/applications/-/none/rollback", "{\"id\": 1}");
	ask(w, 404, "POST", "/api/v1/applications/-/none/diff", "{}");
	ask(w, 404, "POST", "/api/v1/applications/-/none/confirm-deletion", NULL);
	ask(w, 404, "DELETE", "/api/v1/applications/-/none?forget=true", NULL);
	ask(w, 400, "DELETE", "/api/v1/applications/-/none?propagationPolicy=often", NULL);
	ask(w, 400, "DELETE", "/api/v1/clusters/none?forget=true", NULL);
	ask(w, 404, "POST", "/api/v1/applications/-/none/refresh", NULL);
	ask(w, 404, "GET", "/api/v1/rollouts/-/none", NULL);
}

static void test_application(void **state)
{
	struct world *w = *state;
	struct agent dev;
	_cleanup_free_ char *token = NULL, *path = NULL;

	ask(w, 200, "POST", "/api/v1/clusters", "{\"name\": \"dev\"}");
	token = cox_strdup(field(w, "token", NULL));
	agent_init(&dev, &w->site, "dev");
	agent_join(&dev, token);
	assert_true(dev.joined);
	agent_connect(&dev);
	ask(w, 200, "POST", "/api/v1/apply", APP("a"));
	site_wait_status(&w->site, "a", "Synced", "Healthy", "aaaa");
	ask(w, 200, "GET", "/api/v1/applications/-/a/manifests", NULL);
	assert_string_equal(field(w, "revision", NULL), "aaaa");
	assert_null(strstr(w->text, "canary"));
	assert_non_null(strstr(w->text, "++++++++"));
	assert_non_null(item(w, 1));
	ask(w, 200, "GET", "/api/v1/applications/-/a/resources", NULL);
	ask(w, 200, "POST", "/api/v1/applications/-/a/refresh?hard=true", NULL);
	ask(w, 200, "POST", "/api/v1/applications/-/a/sync", "{\"prune\": true}");
	assert_int_equal(strlen(field(w, "operation", "id")), 36);
	ask(w, 400, "POST", "/api/v1/applications/-/a/sync", "{\"resources\": [{\"kind\": \"\"}]}");
	ask(w, 412, "POST", "/api/v1/applications/-/a/terminate", NULL);
	ask(w, 200, "GET", "/api/v1/rollouts", NULL);
	path = cox_asprintf("/api/v1/rollouts/%s",
			    cox_node_cstr(cox_node_get(item(w, 0), "id"), ""));
	ask(w, 200, "GET", path, NULL);
	ask(w, 200, "GET", "/api/v1/rollouts/-/a", NULL);
	assert_string_equal(field(w, "owner", "name"), "a");
	ask(w, 200, "GET", "/metrics", NULL);
	assert_non_null(strstr(w->text, "coxswain_agents_connected 1\n"));
	agent_fini(&dev);
}

/* ---- the stream ---- */

static struct cox_buf heard;

static int hear(void *arg, const void *bytes, size_t n)
{
	(void)arg;
	cox_buf_add(&heard, bytes, n);
	return 0;
}

static void stream_ended(void *arg, const struct cox_http_answer *answer,
			 const struct cox_error *err)
{
	(void)arg;
	(void)answer;
	(void)err;
}

static bool heard_it(void *arg)
{
	return heard.ptr && strstr(heard.ptr, arg);
}

static void test_watch(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *url =
		cox_asprintf("http://%s/api/v1/rollouts/-/a/watch", hub_web_address(w->web));
	struct cox_http_call *call;

	heard = COX_BUF_INIT;
	/* What does not exist is not waited for; what has no rollout yet, is. */
	ask(w, 404, "GET", "/api/v1/rollouts/-/a/watch", NULL);
	ask(w, 200, "POST", "/api/v1/apply", APP("a"));
	assert_int_equal(cox_http_send(w->client,
				       &(struct cox_http_send){.method = "GET",
							       .url = url,
							       .bearer_token = w->token,
							       .on_bytes = hear,
							       .total_timeout_ms = -1,
							       .done = stream_ended,
							       .arg = w},
				       &call, NULL),
			 0);
	site_wait(&w->site, heard_it, (void *)": still here\n\n");
	ask(w, 200, "POST", "/api/v1/clusters", "{\"name\": \"dev\"}");
	site_wait(&w->site, heard_it, (void *)"event: rollout\ndata: {");
	site_wait(&w->site, heard_it, (void *)"\"phase\":\"Progressing\"");
	site_wait(&w->site, heard_it, (void *)"no agent has joined");
	cox_http_cancel(call);
	cox_buf_fini(&heard);
}

/* ---- plans ---- */

static void plan_ended(void *arg, const struct cox_http_answer *answer, const struct cox_error *err)
{
	(void)answer;
	(void)err;
	((struct world *)arg)->done = true;
}

#define SET(name)                                                                                  \
	"{\"apiVersion\": \"argoproj.io/v1alpha1\", \"kind\": \"ApplicationSet\", "                \
	"\"metadata\": {\"name\": \"" name "\"}, \"spec\": {\"generators\": [{\"list\": "          \
	"{\"elements\": [{\"cluster\": \"dev\"}]}}], \"template\": {\"metadata\": {\"name\": "     \
	"\"{{cluster}}-" name "\"}, \"spec\": {\"project\": \"default\", \"source\": "             \
	"{\"repoURL\": \"" REPO                                                                    \
	"\", \"path\": \"book\"}, \"destination\": {\"name\": \"dev\", \"namespace\": \"x\"}}}}}"

static void test_plans(void **state)
{
	static const char *const stream[] = {"Accept: text/event-stream", NULL};
	struct world *w = *state;
	_cleanup_free_ char *url =
		cox_asprintf("http://%s/api/v1/rollouts/-/a/plan", hub_web_address(w->web));
	struct cox_http_call *call;

	ask(w, 200, "POST", "/api/v1/clusters", "{\"name\": \"dev\"}");
	/* the object itself, or with what is asked for beside it */
	ask(w, 200, "POST", "/api/v1/applicationsets/plan", SET("b"));
	assert_string_equal(field(w, "owner", "name"), "b");
	assert_string_equal(field(w, "rollout", "begins"), "nothing");
	assert_non_null(strstr(w->text, "no agent has joined"));
	ask(w, 200, "POST", "/api/v1/applicationsets/plan",
	    "{\"diff\": true, \"targets\": 1, \"object\": " SET("b") "}");
	ask(w, 404, "GET", "/api/v1/applicationsets/-/b", NULL);
	ask(w, 404, "POST", "/api/v1/applicationsets/plan", "{\"name\": \"b\"}");
	ask(w, 400, "POST", "/api/v1/applicationsets/plan", "{}");
	ask(w, 400, "POST", "/api/v1/applicationsets/plan", "{\"object\": 7}");
	ask(w, 400, "POST", "/api/v1/applicationsets/plan", APP("a"));
	ask(w, 400, "POST", "/api/v1/applicationsets/plan", "{\"name\": \"b\", \"targets\": 0}");
	ask(w, 400, "POST", "/api/v1/applicationsets/plan", SET("Not A Name"));
	ask(w, 404, "POST", "/api/v1/rollouts/-/a/plan", NULL);
	ask(w, 200, "POST", "/api/v1/apply", APP("a"));
	ask(w, 200, "POST", "/api/v1/rollouts/-/a/plan", NULL);
	assert_string_equal(field(w, "owner", "kind"), "Application");
	ask(w, 400, "POST", "/api/v1/rollouts/-/a/plan", "{\"policy\": " APP("a") "}");
	ask(w, 400, "POST", "/api/v1/rollouts/-/a/plan", "{\"targetTimeoutSeconds\": 301}");
	/* with what it is at meanwhile, for who wants that */
	heard = COX_BUF_INIT;
	for (int i = 0; i < 2; i++) {
		w->done = false;
		assert_int_equal(cox_http_send(w->client,
					       &(struct cox_http_send){.method = "POST",
								       .url = url,
								       .headers = stream,
								       .bearer_token = w->token,
								       .on_bytes = hear,
								       .done = plan_ended,
								       .arg = w},
					       &call, NULL),
				 0);
		if (i == 0) { /* one who does not wait for it */
			site_settle(&w->site);
			if (!w->done)
				cox_http_cancel(call);
			cox_buf_clear(&heard);
		}
	}
	site_wait(&w->site, is_done, w);
	assert_non_null(strstr(heard.ptr, "data: {\"plan\":{"));
	assert_non_null(strstr(heard.ptr, "data: {\"progress\":{\"what\":\"rendering\""));
	cox_buf_fini(&heard);
}

static void test_token_stays(void **state)
{
	struct world *w = *state;
	char *path = NULL;

	hub_web_free(w->web);
	site_stop(&w->site);
	site_start(&w->site);
	assert_int_equal(hub_web_new(&(struct hub_web_options){.loop = w->site.loop,
							       .control = w->site.control,
							       .listen = "127.0.0.1:0"},
				     &w->web, &path, NULL),
			 0);
	assert_null(path);
	ask(w, 200, "GET", "/api/v1/version", NULL);
	assert_string_equal(field(w, "namespace", NULL), "argocd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_objects, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_application, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plans, setup, teardown),
		cmocka_unit_test_setup_teardown(test_token_stays, setup, teardown),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	cox_net_fini();
	return failed;
}
