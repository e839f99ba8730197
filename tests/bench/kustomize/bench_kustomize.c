/* Kustomizations in process, one thread.
 *
 *	bench_kustomize               N overlays over one base (a namespace, a prefix, labels, an
 *	                              image, a ConfigMap with a hash, a strategic and a JSON patch
 *	                              over 9 objects) in one tree in memory; each is built and printed
 *	bench_kustomize ROOT DIR…     each folder below ROOT, RUNS times; the tree is opened each time,
 *	                              the files are in the page cache. A line for each: its name, the
 *	                              medians in microseconds: CPU of building, CPU of printing, wall
 *	                              time of both; then objects, bytes printed
 *
 * Memory is the growth of the peak of RSS (VmHWM) from before the first build. */
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/doc/yaml.h"
#include "hub/render/kustomize/kustomize.h"
#include "hub/source/tree.h"

#include <stdio.h>
#include <time.h>

#define N    1000
#define RUNS 11

static void die(const struct cox_error *err)
{
	fprintf(stderr, "%s\n", err->message);
	exit(1);
}

static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static long peak_kib(void)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	const char *at;

	if (cox_file_read("/proc/self/status", 1 << 16, &text, NULL) < 0)
		return 0;
	at = strstr(cox_buf_cstr(&text), "VmHWM:");
	return at ? strtol(at + 6, NULL, 10) : 0;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

struct result {
	int64_t build_us, print_us; /* CPU */
	int64_t wall_us;
	size_t n_objects, n_bytes;
};

static void build_once(struct hub_tree *tree, const char *path, struct result *ret)
{
	struct hub_kustomize_input in = {.path = path, .max_bytes = 64 << 20};
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	_cleanup_docs_ cox_docs docs = {0};
	int64_t wall = cox_clock_us(), begin = cpu_us(), built;
	struct cox_error err;

	if (hub_kustomize_build(tree, &in, &docs, &err) < 0)
		die(&err);
	built = cpu_us();
	for (size_t i = 0; i < docs.n; i++)
		cox_yaml_write_sorted(&out, cox_doc_root(docs.items[i]));
	*ret = (struct result){built - begin, cpu_us() - built, cox_clock_us() - wall, docs.n,
			       out.len};
}

/* ---- folders ---- */

static void bench_folder(const char *root, const char *dir)
{
	int64_t builds[RUNS], prints[RUNS], walls[RUNS];
	struct result r = {0};

	for (int i = 0; i < RUNS; i++) {
		_cleanup_tree_ struct hub_tree *tree = NULL;
		int64_t begin = cpu_us(), opened;
		struct cox_error err;

		if (hub_tree_open_dir(root, &tree, &err) < 0)
			die(&err);
		opened = cpu_us() - begin;
		build_once(tree, dir, &r);
		builds[i] = opened + r.build_us;
		prints[i] = r.print_us;
		walls[i] = opened + r.wall_us;
	}
	qsort(builds, RUNS, sizeof(builds[0]), compare);
	qsort(prints, RUNS, sizeof(prints[0]), compare);
	qsort(walls, RUNS, sizeof(walls[0]), compare);
	printf("%s\t%ld\t%ld\t%ld\t%zu\t%zu\n", dir, (long)builds[RUNS / 2], (long)prints[RUNS / 2],
	       (long)walls[RUNS / 2], r.n_objects, r.n_bytes);
}

/* ---- overlays ---- */

static const char base[] =
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %1$s, labels: {app: %1$s}}\n"
	"spec:\n  replicas: 2\n  selector: {matchLabels: {app: %1$s}}\n  template:\n"
	"    metadata: {labels: {app: %1$s}}\n    spec:\n      serviceAccountName: shop\n"
	"      containers:\n      - name: main\n        image: shop:1\n"
	"        ports: [{containerPort: 8080, name: http}]\n"
	"        env:\n        - {name: A, value: \"1\"}\n        - {name: B, value: \"2\"}\n"
	"        envFrom: [{configMapRef: {name: settings}}]\n"
	"        resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}\n"
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: %1$s}\n"
	"spec: {selector: {app: %1$s}, ports: [{port: 80, targetPort: http}]}\n";

static const char overlay[] =
	"resources: [../../base]\nnamespace: ns-%1$d\nnamePrefix: c%1$d-\n"
	"labels: [{pairs: {cluster: c%1$d}, includeTemplates: true}]\n"
	"images: [{name: shop, newTag: v%1$d}]\n"
	"configMapGenerator: [{name: settings, behavior: merge, literals: [CLUSTER=c%1$d]}]\n"
	"patches:\n- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n"
	"    metadata: {name: web}\n    spec: {replicas: %2$d, template: {spec: {containers: "
	"[{name: "
	"main, env: [{name: A, value: \"%1$d\"}]}]}}}\n"
	"- target: {kind: Service}\n  patch: |-\n    - op: add\n      path: /spec/type\n"
	"      value: NodePort\n";

static void add(struct hub_tree *tree, const char *path, char *text)
{
	struct cox_error err;

	if (hub_tree_memory_add(tree, path, cox_str(text), &err) < 0)
		die(&err);
	free(text);
}

static struct hub_tree *make_tree(void)
{
	static const char *const names[] = {"web", "api", "db"};
	struct hub_tree *tree = hub_tree_new_memory();

	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++) {
		_cleanup_free_ char *path = cox_asprintf("base/%s.yaml", names[i]);

		add(tree, path, cox_asprintf(base, names[i]));
	}
	add(tree, "base/more.yaml",
	    cox_strdup("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: shop}\n---\n"
		       "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop}\n"
		       "spec: {rules: [{host: shop.example.com, http: {paths: [{path: /, pathType: "
		       "Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}\n"));
	add(tree, "base/kustomization.yaml",
	    cox_strdup("resources: [web.yaml, api.yaml, db.yaml, more.yaml]\n"
		       "configMapGenerator: [{name: settings, literals: [MODE=all, LOG=info]}]\n"));
	for (int i = 0; i < N; i++) {
		_cleanup_free_ char *path = cox_asprintf("overlays/c%d/kustomization.yaml", i);

		add(tree, path, cox_asprintf(overlay, i, i % 9 + 1));
	}
	return tree;
}

static void bench_overlays(void)
{
	_cleanup_tree_ struct hub_tree *tree = make_tree();
	long before = peak_kib();
	int64_t wall = cox_clock_us(), build = 0, print = 0;
	struct result r;

	for (int i = 0; i < N; i++) {
		char path[64];

		snprintf(path, sizeof(path), "overlays/c%d", i);
		build_once(tree, path, &r);
		build += r.build_us;
		print += r.print_us;
	}
	wall = cox_clock_us() - wall;
	printf("%d overlays over one base, %zu objects each: %.0f renders a second of CPU, %.0f of "
	       "wall time; %.0f us building, %.0f us printing each; peak RSS +%ld KiB\n",
	       N, r.n_objects, N * 1e6 / (double)(build + print), N * 1e6 / (double)wall,
	       (double)build / N, (double)print / N, peak_kib() - before);
}

int main(int argc, char *argv[])
{
	long before = peak_kib();

	if (argc < 3) {
		bench_overlays();
		return 0;
	}
	for (int i = 2; i < argc; i++)
		bench_folder(argv[1], argv[i]);
	printf("peak\t%ld\n", peak_kib() - before);
	return 0;
}
