/* Rendering and generating, in process, one thread: a directory of 1,000 Deployments (a file each) to
 * a bundle and its digest; an ApplicationSet of 1,000 elements to Applications. Each is done RUNS
 * times; the figures are the fastest and the median, wall time. */
#include "common/base/clock.h"
#include "common/crypto/digest.h"
#include "common/doc/yaml.h"
#include "hub/generate/generate.h"
#include "hub/render/bundle.h"
#include "hub/render/render.h"
#include "hub/source/tree.h"

#include <stdio.h>

#define N    1000
#define RUNS 11

static void die(const struct cox_error *err)
{
	fprintf(stderr, "%s\n", err->message);
	exit(1);
}

static struct hub_tree *make_tree(void)
{
	struct hub_tree *tree = hub_tree_new_memory();

	for (int i = 0; i < N; i++) {
		_cleanup_free_ char *name = cox_asprintf("app/%04d.yaml", i);
		_cleanup_free_ char *text =
			cox_asprintf("apiVersion: apps/v1\n"
				     "kind: Deployment\n"
				     "metadata:\n"
				     "  name: web-%d\n"
				     "  labels: {app: web-%d, tier: front}\n"
				     "spec:\n"
				     "  replicas: 3\n"
				     "  selector:\n"
				     "    matchLabels: {app: web-%d}\n"
				     "  template:\n"
				     "    metadata:\n"
				     "      labels: {app: web-%d, tier: front}\n"
				     "    spec:\n"
				     "      containers:\n"
				     "      - name: web\n"
				     "        image: registry.example.com/web:1.%d\n"
				     "        ports: [{containerPort: 8080, name: http}]\n"
				     "        env:\n"
				     "        - {name: A, value: \"1\"}\n"
				     "        - {name: B, value: \"2\"}\n"
				     "        resources:\n"
				     "          requests: {cpu: 100m, memory: 64Mi}\n"
				     "          limits: {memory: 128Mi}\n",
				     i, i, i, i, i);

		if (hub_tree_memory_add(tree, name, cox_str(text), NULL) < 0)
			abort();
	}
	return tree;
}

static size_t render_once(struct hub_tree *tree)
{
	_cleanup_rendered_ struct hub_rendered out = {0};
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;
	struct hub_source source = {.path = "app", .chart = "", .ref = ""};
	uint8_t digest[COX_SHA256_BYTES];
	struct cox_error err;

	source.directory.include = source.directory.exclude = "";
	if (hub_render(tree, &source, NULL, &out, &err) < 0 ||
	    hub_bundle_build(&out.objects, &json, NULL, &err) < 0)
		die(&err);
	cox_sha256(cox_buf_str(&json), digest);
	return json.len;
}

static struct hub_appset make_set(void)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct hub_appset set;
	struct cox_error err;

	cox_buf_puts(&text, "apiVersion: argoproj.io/v1alpha1\n"
			    "kind: ApplicationSet\n"
			    "metadata: {name: set, uid: u}\n"
			    "spec:\n"
			    "  template:\n"
			    "    metadata: {name: '{{cluster}}-web', labels: {env: '{{env}}'}}\n"
			    "    spec:\n"
			    "      project: default\n"
			    "      source: {repoURL: https://git.example.com/apps, path: web}\n"
			    "      destination: {server: '{{url}}', namespace: web}\n"
			    "      syncPolicy: {automated: {prune: true, selfHeal: true}}\n"
			    "  generators:\n"
			    "  - list:\n"
			    "      elements:\n");
	for (int i = 0; i < N; i++)
		cox_buf_printf(&text,
			       "      - {cluster: c%d, url: 'https://c%d.example.com', env: dev}\n",
			       i, i);
	if (cox_yaml_read(cox_buf_str(&text), "set.yaml", NULL, &doc, &err) < 0 ||
	    hub_appset_init(&set, doc, &err) < 0)
		die(&err);
	return set;
}

static size_t generate_once(const struct hub_appset *set)
{
	_cleanup_generated_ struct hub_generated out = {0};
	struct hub_generate_input in = {0};
	struct cox_error err;

	if (hub_generate(set, &in, &out, &err) < 0)
		die(&err);
	return out.applications.n;
}

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_times(const char *what, int64_t times[RUNS], const char *more)
{
	qsort(times, RUNS, sizeof(times[0]), compare_times);
	printf("%-32s fastest %6.2f ms, median %6.2f ms%s\n", what, (double)times[0] / 1000,
	       (double)times[RUNS / 2] / 1000, more);
}

int main(void)
{
	_cleanup_tree_ struct hub_tree *tree = make_tree();
	struct hub_appset set = make_set();
	int64_t renders[RUNS], generates[RUNS];
	char more[64];
	size_t bytes = 0;

	for (int i = 0; i < RUNS; i++) {
		int64_t begin = cox_clock_us();

		bytes = render_once(tree);
		renders[i] = cox_clock_us() - begin;
		begin = cox_clock_us();
		if (generate_once(&set) != N)
			abort();
		generates[i] = cox_clock_us() - begin;
	}
	snprintf(more, sizeof(more), ", bundle of %zu bytes", bytes);
	print_times("render 1,000 Deployments", renders, more);
	print_times("generate 1,000 Applications", generates, "");
	hub_appset_fini(&set);
	return 0;
}
