/* bench kube KUBECONFIG [N]: our client of the API against a server that runs already (kubesim, or a
 * real one with nothing to lose in the namespace "default").
 *
 * Method: discovery; then N (1000) ConfigMaps made by server-side apply with 32 calls in flight while
 * a watch follows the collection; time until the last answer, and until the watch has told all; the
 * same applied again unchanged; then deleted. */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/kube/discovery.h"
#include "common/kube/meta.h"
#include "common/kube/watch.h"

#include <stdio.h>
#include <stdlib.h>

static struct cox_loop *loop;
static struct cox_kube *kube;
static int n, n_done, n_failed, n_told, n_gone;
static bool synced, discovered;

static void die(const char *what, const struct cox_error *err)
{
	fprintf(stderr, "%s: %s\n", what, err->message);
	exit(1);
}

static void done(void *arg, const struct cox_kube_answer *answer)
{
	(void)arg;
	n_done++;
	if (answer->error->code && n_failed++ == 0)
		fprintf(stderr, "%s\n", answer->error->message);
}

static bool is_ours(struct cox_str name)
{
	return cox_str_starts(name, "bench-kube-");
}

static void on_upsert(void *arg, struct cox_doc *object)
{
	(void)arg;
	n_told += is_ours(cox_meta_name(cox_doc_root(object)));
}

static void on_remove(void *arg, const char *namespace, const char *name, struct cox_doc *object)
{
	(void)arg;
	(void)namespace;
	(void)object;
	n_gone += is_ours(cox_str(name));
}

static void on_synced(void *arg)
{
	(void)arg;
	synced = true;
}

static void on_discovered(void *arg, const struct cox_error *error)
{
	(void)arg;
	if (error->code)
		die("discovery", error);
	discovered = true;
}

static bool is_set(void *arg)
{
	return *(bool *)arg;
}

static bool all_done(void *arg)
{
	(void)arg;
	return n_done == n;
}

static bool all_told(void *arg)
{
	(void)arg;
	return n_told >= n;
}

static bool all_gone(void *arg)
{
	(void)arg;
	return n_gone >= n;
}

static void wait_for(bool (*what)(void *arg), void *arg)
{
	struct cox_error err;

	if (cox_loop_wait(loop, what, arg, 120000, &err) < 0)
		die("bench", &err);
}

static void apply_all(const struct cox_kube_resource *resource)
{
	for (int i = 0; i < n; i++) {
		_cleanup_doc_ struct cox_doc *doc = cox_doc_new("object");
		_cleanup_free_ char *name = cox_asprintf("bench-kube-%d", i);
		struct cox_node *root = cox_doc_map(doc), *meta = cox_doc_map(doc);
		struct cox_node *data = cox_doc_map(doc);
		cox_map_put_cstr(doc, root, "apiVersion", "v1");
		cox_map_put_cstr(doc, root, "kind", "ConfigMap");
		cox_map_put_cstr(doc, meta, "name", name);
		cox_map_put_cstr(doc, meta, "namespace", "default");
		cox_map_put(doc, root, "metadata", meta);
		cox_map_put_cstr(doc, data, "key", name);
		cox_map_put(doc, root, "data", data);
		cox_kube_apply(kube, resource, "default", name, root,
			       &(struct cox_kube_write_options){.force = true}, done, NULL);
	}
}

static void delete_all(const struct cox_kube_resource *resource)
{
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *name = cox_asprintf("bench-kube-%d", i);
		cox_kube_delete(kube, resource, "default", name, NULL, done, NULL);
	}
}

static double seconds_since(int64_t start_us)
{
	return (double)(cox_clock_us() - start_us) / 1e6;
}

int main(int argc, char **argv)
{
	struct cox_kubeconfig *config;
	struct cox_error err;

	if (argc < 2) {
		fprintf(stderr, "usage: bench_kube KUBECONFIG [N]\n");
		return 2;
	}
	n = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1000;
	if (cox_loop_new(&loop, &err) < 0 ||
	    cox_kubeconfig_load(argv[1], NULL, &config, &err) < 0 ||
	    cox_kube_new(loop, config, NULL, &kube, &err) < 0)
		die("bench", &err);

	int64_t start_us = cox_clock_us();
	struct cox_discovery *discovery = cox_discovery_new(kube);
	cox_discovery_refresh(discovery, on_discovered, NULL);
	wait_for(is_set, &discovered);
	size_t n_kinds = 0;
	while (cox_discovery_at(discovery, n_kinds))
		n_kinds++;
	printf("discovery           %8.1f ms, %zu resources\n", seconds_since(start_us) * 1e3,
	       n_kinds);
	const struct cox_kube_resource *maps = cox_discovery_find(discovery, "", NULL, "ConfigMap");
	COX_ASSERT(maps);

	struct cox_watch *watch = cox_watch_new(kube, &(struct cox_watch_options){
							      .resource = maps,
							      .namespace = "default",
							      .upsert = on_upsert,
							      .remove = on_remove,
							      .synced = on_synced,
						      });
	wait_for(is_set, &synced);
	start_us = cox_clock_us();
	apply_all(maps);
	wait_for(all_done, NULL);
	printf("apply %5d, new    %8.3f s (%d failed)\n", n, seconds_since(start_us), n_failed);
	wait_for(all_told, NULL);
	printf("the watch told all  %8.3f s\n", seconds_since(start_us));
	n_done = 0;
	start_us = cox_clock_us();
	apply_all(maps);
	wait_for(all_done, NULL);
	printf("apply %5d, equal  %8.3f s (%d failed)\n", n, seconds_since(start_us), n_failed);
	n_done = 0;
	start_us = cox_clock_us();
	delete_all(maps);
	wait_for(all_done, NULL);
	wait_for(all_gone, NULL);
	printf("delete %5d        %8.3f s (%d failed)\n", n, seconds_since(start_us), n_failed);
	cox_watch_free(watch);
	cox_discovery_free(discovery);
	cox_kube_free(kube);
	cox_loop_free(loop);
	return n_failed ? 1 : 0;
}
