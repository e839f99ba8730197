/* A watch of a simulated API server that forgets quickly and answers badly: streams that break
 * between and inside lines, lists that fail, 410, 429, 500. Whatever happens, when the faults end the
 * watch knows what exists, in the versions in which it exists. COX_SEED picks one seed (what is decided; when
 * bytes arrive is the kernel's affair). */
#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/rand.h"
#include "common/doc/json.h"
#include "common/kube/meta.h"
#include "common/kube/watch.h"
#include "common/net/http_server.h"
#include "tests/kubesim/kubesim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { OPERATIONS = 600, NAMES = 120, WINDOW = 40, CHECK_EVERY = 100 };

static struct cox_loop *loop;
static struct cox_http_server *server;
static struct kubesim *sim;
static struct cox_kube *kube;
static struct cox_rng rng;
static bool faulty;
static int n_breaks, n_refusals, n_relists, n_told;

/* ---- the server: the simulator behind HTTP, and behind that a bad day ---- */

struct stream {
	struct cox_http_request *request;
	struct kubesim_watch *watch;
	struct cox_task task;
	struct cox_list node;
};
static struct cox_list streams;

static void free_stream(void *arg)
{
	struct stream *s = arg;

	cox_loop_unsend(loop, &s->task);
	cox_list_remove(&s->node);
	kubesim_watch_close(s->watch);
	free(s);
}

static bool chance(uint64_t one_in)
{
	return faulty && cox_rng_below(&rng, one_in) == 0;
}

static void pump(void *arg)
{
	struct stream *s = arg;
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	int over = kubesim_watch_pull(s->watch, &out);

	if (out.len && chance(5)) { /* cut anywhere, also inside a line */
		struct cox_http_request *request = s->request;
		n_breaks++;
		cox_http_write(request, cox_str_n(out.ptr, cox_rng_below(&rng, out.len + 1)));
		free_stream(s);
		cox_http_on_gone(request, NULL, NULL);
		if (cox_rng_below(&rng, 2))
			cox_http_abort(request);
		else
			cox_http_end(request);
		return;
	}
	if (out.len)
		cox_http_write(s->request, cox_buf_str(&out));
	if (!over)
		return;
	cox_http_end(s->request);
	free_stream(s);
}

static void ready(void *arg)
{
	struct stream *s = arg;

	cox_loop_send(loop, &s->task);
}

static void open_stream(struct cox_http_request *http, struct kubesim_watch *watch)
{
	struct stream *s = cox_new(struct stream);

	*s = (struct stream){.request = http, .watch = watch};
	cox_task_init(&s->task, pump, s);
	cox_list_append(&streams, &s->node);
	cox_http_on_gone(http, free_stream, s);
	cox_http_start(http, 200, "application/json");
	kubesim_watch_on_ready(watch, ready, s);
	pump(s);
}

static bool refuse(struct cox_http_request *http)
{
	static const int statuses[] = {500, 429, 410, 503, 504};
	int status = statuses[cox_rng_below(&rng, COX_ARRAY_LEN(statuses))];

	if (!chance(4))
		return false;
	n_refusals++;
	if (status == 504)
		cox_http_abort(http);
	else
		cox_http_reply(http, status, "text/plain", COX_STR("a bad day\n"));
	return true;
}

static void handle(void *arg, struct cox_http_request *http)
{
	const struct kubesim_request request = {.method = cox_http_method(http),
						.path = cox_http_path(http),
						.query = cox_http_query_string(http),
						.accept = cox_http_header(http, "accept")};
	struct kubesim_response response;

	(void)arg;
	if (refuse(http))
		return;
	kubesim_handle(sim, &request, &response);
	if (response.watch)
		open_stream(http, TAKE(response.watch));
	else
		cox_http_reply_take(http, response.status, response.content_type, &response.body);
	kubesim_response_fini(&response);
}

/* ---- changes, straight into the simulator ---- */

static void act(const char *method, const char *path, const char *type, const char *body)
{
	struct kubesim_response response;

	kubesim_handle(sim,
		       &(struct kubesim_request){.method = method,
						 .path = path,
						 .query = "",
						 .content_type = type,
						 .body = cox_str(body)},
		       &response);
	kubesim_response_fini(&response);
}

static void change(int step)
{
	char path[128], body[256];
	int i = (int)cox_rng_below(&rng, NAMES);

	snprintf(path, sizeof(path), "/api/v1/namespaces/default/configmaps/c%d", i);
	if (cox_rng_below(&rng, 3) == 0) {
		act("DELETE", path, NULL, "");
		return;
	}
	snprintf(body, sizeof(body), "{\"data\":{\"step\":\"%d\"}}", step);
	act("PATCH", path, "application/merge-patch+json", body);
	*strrchr(path, '/') = '\0';
	snprintf(body, sizeof(body),
		 "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c%d\"},"
		 "\"data\":{\"step\":\"%d\"}}",
		 i, step);
	act("POST", path, "application/json", body); /* a conflict when it is there */
}

/* ---- the watch, and the truth ---- */

static struct cox_map told; /* name → resourceVersion, ours */

static void on_upsert(void *arg, struct cox_doc *object)
{
	const struct cox_node *root = cox_doc_root(object);

	(void)arg;
	n_told++;
	free(cox_map_set_str(&told, cox_meta_name(root),
			     cox_str_dup(cox_meta_resource_version(root))));
}

static void on_remove(void *arg, const char *namespace, const char *name, struct cox_doc *object)
{
	char *old = cox_map_remove(&told, name);

	(void)arg;
	(void)namespace;
	(void)object;
	COX_ASSERT(old);
	free(old);
}

static void on_synced(void *arg)
{
	(void)arg;
	n_relists++;
}

static bool agrees(void *arg)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct kubesim_response response;
	bool same;

	(void)arg;
	kubesim_handle(sim,
		       &(struct kubesim_request){.method = "GET",
						 .path = "/api/v1/namespaces/default/configmaps",
						 .query = ""},
		       &response);
	assert_int_equal(cox_json_read(cox_buf_str(&response.body), "list", &doc, NULL), 0);
	kubesim_response_fini(&response);
	const struct cox_node *items = cox_node_get(cox_doc_root(doc), "items");
	same = told.n == cox_node_len(items);
	for (size_t i = 0; same && i < cox_node_len(items); i++) {
		const struct cox_node *item = cox_node_at(items, i);
		const char *version = cox_map_get_str(&told, cox_meta_name(item));
		same = version && cox_str_is(cox_meta_resource_version(item), version);
	}
	return same;
}

static bool has_told(void *arg)
{
	return n_told != *(int *)arg;
}

/* Until the watch tells something, or for a little while: it may have nothing to tell. */
static void give_time(void)
{
	int before = n_told;

	cox_loop_wait(loop, has_told, &before, 5, NULL);
}

static void start(uint64_t seed)
{
	struct cox_kubeconfig *config;
	const struct cox_http_server_options o = {.listen = "127.0.0.1:0", .handler = handle};

	cox_rng_init(&rng, seed);
	cox_list_init(&streams);
	assert_int_equal(cox_loop_new(&loop, NULL), 0);
	sim = kubesim_new(&(struct kubesim_options){.max_events = WINDOW,
						    .seed = seed,
						    .no_controllers = true},
			  cox_clock_wall_ms());
	assert_int_equal(cox_http_server_new(loop, &o, &server, NULL), 0);
	_cleanup_free_ char *text =
		cox_asprintf("current-context: a\n"
			     "contexts: [{name: a, context: {cluster: c}}]\n"
			     "clusters: [{name: c, cluster: {server: 'http://%s'}}]\n",
			     cox_http_server_address(server));
	assert_int_equal(cox_kubeconfig_parse(cox_str(text), "test", NULL, NULL, &config, NULL), 0);
	/* The client's own patience would hide the faults. */
	assert_int_equal(cox_kube_new(loop, config, &(struct cox_kube_options){.max_retries = 1},
				      &kube, NULL),
			 0);
}

static void follow(uint64_t seed)
{
	static const struct cox_kube_resource maps = {"",	    "v1", "ConfigMap",
						      "configmaps", true, 255};

	n_breaks = n_refusals = n_relists = 0;
	start(seed);
	struct cox_watch *watch =
		cox_watch_new(kube, &(struct cox_watch_options){.resource = &maps,
								.namespace = "default",
								.page = 7,
								.backoff_ms = 1,
								.max_backoff_ms = 4,
								.upsert = on_upsert,
								.remove = on_remove,
								.synced = on_synced});
	for (int step = 1; step <= OPERATIONS; step++) {
		faulty = step % CHECK_EVERY != 0;
		change(step);
		if (cox_rng_below(&rng, 2))
			give_time();
		if (!faulty && cox_loop_wait(loop, agrees, NULL, 20000, NULL) < 0)
			fail_msg("seed %llu, step %d: the watch does not know what exists",
				 (unsigned long long)seed, step);
	}
	print_message("seed %llu: %d streams broken, %d requests refused, %d lists\n",
		      (unsigned long long)seed, n_breaks, n_refusals, n_relists);
	cox_watch_free(watch);
	cox_kube_free(kube);
	cox_http_server_free(server);
	kubesim_free(sim);
	cox_loop_free(loop);
	cox_map_fini_values(&told, free);
	told = COX_MAP_INIT;
}

static void knows_what_exists_when_the_faults_end(void **state)
{
	const char *one = getenv("COX_SEED");
	int total = 0;

	(void)state;
	if (one) {
		follow(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= 3; seed++) {
		follow(seed);
		total += n_breaks;
	}
	assert_true(total > 50); /* or it tries nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(knows_what_exists_when_the_faults_end)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
