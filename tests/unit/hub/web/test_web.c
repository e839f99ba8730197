/* The REST API over real HTTP: every route once, and what strangers get. */
#include "common/base/file.h"
#include "common/doc/json.h"
#include "common/net/http_client.h"
#include "hub/web/internal.h"
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
						  .listen = "127.0.0.1:0",
						  .max_tokens = 3},
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

#define APP_WITH(name, more)                                                                       \
	"{\"apiVersion\": \"argoproj.io/v1alpha1\", \"kind\": \"Application\", \"metadata\": "     \
	"{\"name\": \"" name "\"}, \"spec\": {\"source\": {\"repoURL\": \"" REPO                   \
	"\", \"path\": \"book\"}, \"destination\": {\"name\": \"dev\"}}, " more "}"
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
		"/api/v1/secrets", "/api/v1/nothing", "/",
		"/api/v1/tokens",  "/api/v1/whoami"};
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
	ask(w, 200, "GET", "/api/v1/rollouts?owner=Application/-/a", NULL);
	assert_non_null(item(w, 0));
	ask(w, 200, "GET", "/api/v1/rollouts?owner=Application/-/b", NULL);
	assert_null(item(w, 0));
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

static size_t n_events(void)
{
	size_t n = 0;

	for (const char *at = cox_buf_cstr(&heard); (at = strstr(at, "event: rollout\n")); at++)
		n++;
	return n;
}

/* All in one turn of the loop: whoever watches has the last of them, and not each. */
static void many_changes(struct world *w)
{
	struct hub_batch *batch = hub_batch_new();
	const struct cox_rollout *r;

	cox_buf_clear(&heard);
	for (int i = 0; i < 21; i++) {
		struct hub_rollout_order order = {.verb = i % 2 ? "resume" : "pause",
						  .by = i == 20 ? "the last" : "somebody"};

		assert_int_equal(hub_control_rollout_act(w->site.control, batch, NULL, "a", &order,
							 &r, NULL),
				 0);
	}
	hub_store_commit(w->site.store, batch);
	site_wait(&w->site, heard_it, (void *)"\"paused\":{\"by\":\"the last\"");
	assert_in_range(n_events(), 1, 3);
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
	many_changes(w);
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

/* ---- named tokens ---- */

/* One by the admin; the caller's. */
static char *token_new(struct world *w, const char *body)
{
	ask(w, 200, "POST", "/api/v1/tokens", body);
	return cox_strdup(field(w, "token", NULL));
}

static void ask_as(struct world *w, const char *token, int want, const char *method,
		   const char *path, const char *body)
{
	send_as(w, token, method, path, body);
	if (w->status != want)
		fail_msg("%s %s: %d %s", method, path, w->status, w->text);
}

static void test_tokens(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *ann = token_new(w, "{\"name\": \"ann\"}"), *again = NULL;

	assert_true(cox_token_is_shaped(cox_str(ann)));
	ask_as(w, ann, 200, "GET", "/api/v1/whoami", NULL);
	assert_string_equal(field(w, "name", NULL), "ann");
	assert_false(cox_node_bool(cox_node_get(cox_doc_root(w->doc), "admin"), true));
	ask(w, 200, "GET", "/api/v1/whoami", NULL);
	assert_string_equal(field(w, "name", NULL), "admin");
	/* everything but tokens */
	ask_as(w, ann, 200, "GET", "/metrics", NULL);
	ask_as(w, ann, 200, "POST", "/api/v1/apply", APP("a"));
	ask_as(w, ann, 403, "GET", "/api/v1/tokens", NULL);
	ask_as(w, ann, 403, "POST", "/api/v1/tokens", "{\"name\": \"bob\"}");
	ask_as(w, ann, 403, "DELETE", "/api/v1/tokens/ann", NULL);
	assert_non_null(strstr(w->text, "that of 'ann'"));
	/* it is shown once, and its name is taken */
	ask(w, 200, "GET", "/api/v1/tokens", NULL);
	assert_int_equal(cox_node_len(cox_node_get(cox_doc_root(w->doc), "items")), 1);
	assert_null(strstr(w->text, ann));
	assert_null(strstr(w->text, "hash"));
	ask(w, 409, "POST", "/api/v1/tokens", "{\"name\": \"ann\"}");
	/* gone at once; a new one of that name is another one */
	ask(w, 200, "DELETE", "/api/v1/tokens/ann", NULL);
	ask_as(w, ann, 401, "GET", "/api/v1/whoami", NULL);
	ask(w, 404, "DELETE", "/api/v1/tokens/ann", NULL);
	again = token_new(w, "{\"name\": \"ann\"}");
	ask_as(w, ann, 401, "GET", "/api/v1/whoami", NULL);
	ask_as(w, again, 200, "GET", "/api/v1/whoami", NULL);
}

static void test_token_limits(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"name\": \"\"}",
		"{\"name\": \"admin\"}",
		"{\"name\": \"coxswain\"}",
		"{\"name\": \"automated\"}",
		"{\"name\": \"rollout\"}",
		"{\"name\": \"Ann\"}",
		"{\"name\": \"ann \"}",
		"{\"name\": \"-ann\"}",
		"{\"name\": \"ann.\"}",
		"{\"name\": \"a/b\"}",
		"{\"name\": \"admin (says ann)\"}",
		"{\"name\": \"gr\u00f6\u00dfe\"}",
		"{\"name\": \"ann\", \"ttl\": \"0s\"}",
		"{\"name\": \"ann\", \"ttl\": \"-1h\"}",
		"{\"name\": \"ann\", \"ttl\": \"367d\"}",
		"{\"name\": \"ann\", \"ttl\": \"8784h0m1s\"}",
		"{\"name\": \"ann\", \"ttl\": \"99999999999999999999d\"}",
		"{\"name\": \"ann\", \"ttl\": \"soon\"}",
	};
	struct world *w = *state;
	_cleanup_free_ char *longest = NULL, *longer = NULL, *expired = NULL;
	char name[WEB_TOKEN_NAME_MAX + 2];

	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++)
		ask(w, 400, "POST", "/api/v1/tokens", bad[i]);
	memset(name, 'a', sizeof(name));
	name[WEB_TOKEN_NAME_MAX + 1] = 0;
	longer = cox_asprintf("{\"name\": \"%s\"}", name);
	ask(w, 400, "POST", "/api/v1/tokens", longer);
	name[WEB_TOKEN_NAME_MAX] = 0;
	longest = cox_asprintf("{\"name\": \"%s\", \"ttl\": \"366d\"}", name);
	ask(w, 200, "POST", "/api/v1/tokens", longest);
	/* three may be, and an expired one gives way to its successor alone */
	expired = token_new(w, "{\"name\": \"b@example.com\", \"ttl\": \"1ms\"}");
	ask(w, 200, "POST", "/api/v1/tokens", "{\"name\": \"c_1\", \"ttl\": \"8784h\"}");
	ask(w, 429, "POST", "/api/v1/tokens", "{\"name\": \"d\"}");
	do
		send_as(w, expired, "GET", "/api/v1/whoami", NULL);
	while (w->status == 200);
	assert_int_equal(w->status, 401);
	ask(w, 200, "GET", "/api/v1/tokens", NULL);
	assert_true(cox_node_bool(cox_node_get(item(w, 1), "expired"), false));
	ask(w, 429, "POST", "/api/v1/tokens", "{\"name\": \"d\"}");
	ask(w, 200, "POST", "/api/v1/tokens", "{\"name\": \"b@example.com\"}");
	ask(w, 200, "DELETE", "/api/v1/tokens/b%40example.com", NULL);
	ask(w, 200, "POST", "/api/v1/tokens", "{\"name\": \"d\"}");
}

/* A rollout that waits for its cluster: something to steer. */
static void test_who(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *ann = token_new(w, "{\"name\": \"ann\"}"), *claim = NULL;
	char name[WEB_TOKEN_NAME_MAX + 2];

	ask(w, 200, "POST", "/api/v1/clusters", "{\"name\": \"dev\"}");
	ask(w, 200, "POST", "/api/v1/apply", APP("a"));
	do
		send_as(w, w->token, "GET", "/api/v1/rollouts/-/a", NULL);
	while (w->status == 404);
	/* a named token is that person, whatever the client says of itself */
	ask_as(w, ann, 403, "POST", "/api/v1/rollouts/-/a/pause", "{\"by\": \"bob\"}");
	assert_non_null(strstr(w->text, "this token is that of 'ann': it cannot act as 'bob'"));
	ask_as(w, ann, 200, "POST", "/api/v1/rollouts/-/a/pause", "{\"user\": \"root\"}");
	assert_string_equal(field(w, "paused", "by"), "ann");
	ask_as(w, ann, 200, "POST", "/api/v1/rollouts/-/a/resume", "{\"by\": \"ann\"}");
	/* the admin's is nobody's: the client's word is kept as what it is */
	ask(w, 200, "POST", "/api/v1/rollouts/-/a/pause", "{\"by\": \"ann\", \"user\": \"root\"}");
	assert_string_equal(field(w, "paused", "by"), "admin (says ann)");
	ask(w, 200, "POST", "/api/v1/rollouts/-/a/resume", "{\"user\": \"root\"}");
	ask(w, 200, "POST", "/api/v1/rollouts/-/a/pause", "{\"user\": \"DOMAIN\\nroot\"}");
	assert_string_equal(field(w, "paused", "by"), "admin");
	ask(w, 200, "POST", "/api/v1/rollouts/-/a/resume", "{}");
	ask(w, 200, "POST", "/api/v1/rollouts/-/a/pause", "{}");
	assert_string_equal(field(w, "paused", "by"), "admin");
	ask(w, 400, "POST", "/api/v1/rollouts/-/a/resume", "{\"by\": \"a\\nb\"}");
	memset(name, 'a', sizeof(name));
	name[WEB_TOKEN_NAME_MAX + 1] = 0;
	claim = cox_asprintf("{\"by\": \"%s\"}", name);
	ask(w, 400, "POST", "/api/v1/rollouts/-/a/resume", claim);
	claim[strlen(claim) - 3] = '"';
	claim[strlen(claim) - 2] = '}';
	claim[strlen(claim) - 1] = 0;
	ask(w, 200, "POST", "/api/v1/rollouts/-/a/resume", claim);
	/* an operation that comes with its Application */
	ask_as(w, ann, 403, "POST", "/api/v1/apply",
	       APP_WITH("a", "\"operation\": {\"sync\": {}, \"initiatedBy\": {\"username\": "
			     "\"bob\"}}"));
	assert_non_null(strstr(w->text, "operation.initiatedBy: this token is that of 'ann'"));
}

static bool has_ended(void *arg)
{
	return *(bool *)arg;
}

static void ended(void *arg, const struct cox_http_answer *answer, const struct cox_error *err)
{
	(void)answer;
	(void)err;
	*(bool *)arg = true;
}

static void test_revoked_stream(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *ann = token_new(w, "{\"name\": \"ann\"}");
	_cleanup_free_ char *bob = token_new(w, "{\"name\": \"bob\"}");
	_cleanup_free_ char *url =
		cox_asprintf("http://%s/api/v1/rollouts/-/a/watch", hub_web_address(w->web));
	const char *tokens[] = {ann, bob};
	struct cox_http_call *calls[2];
	bool over[2] = {false, false};

	ask(w, 200, "POST", "/api/v1/apply", APP("a"));
	for (size_t i = 0; i < 2; i++) {
		heard = COX_BUF_INIT;
		assert_int_equal(cox_http_send(w->client,
					       &(struct cox_http_send){.method = "GET",
								       .url = url,
								       .bearer_token = tokens[i],
								       .on_bytes = hear,
								       .total_timeout_ms = -1,
								       .done = ended,
								       .arg = &over[i]},
					       &calls[i], NULL),
				 0);
		site_wait(&w->site, heard_it, (void *)"\n\n");
		cox_buf_fini(&heard);
	}
	heard = COX_BUF_INIT;
	ask(w, 200, "DELETE", "/api/v1/tokens/ann", NULL);
	site_wait(&w->site, has_ended, &over[0]);
	/* and nobody else's */
	ask(w, 200, "POST", "/api/v1/clusters", "{\"name\": \"dev\"}");
	site_wait(&w->site, heard_it, (void *)"event: rollout\ndata: {");
	assert_false(over[1]);
	cox_http_cancel(calls[1]);
	cox_buf_fini(&heard);
}

static void test_tokens_stay(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *ann = token_new(w, "{\"name\": \"ann\"}");
	_cleanup_free_ char *bob = token_new(w, "{\"name\": \"bob\"}");

	ask(w, 200, "DELETE", "/api/v1/tokens/bob", NULL);
	hub_web_free(w->web);
	site_stop(&w->site);
	site_start(&w->site);
	assert_int_equal(hub_web_new(&(struct hub_web_options){.loop = w->site.loop,
							       .control = w->site.control,
							       .listen = "127.0.0.1:0"},
				     &w->web, NULL, NULL),
			 0);
	ask_as(w, ann, 200, "GET", "/api/v1/whoami", NULL);
	assert_string_equal(field(w, "name", NULL), "ann");
	ask_as(w, bob, 401, "GET", "/api/v1/whoami", NULL);
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
		cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_token_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who, setup, teardown),
		cmocka_unit_test_setup_teardown(test_revoked_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tokens_stay, setup, teardown),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	cox_net_fini();
	return failed;
}
