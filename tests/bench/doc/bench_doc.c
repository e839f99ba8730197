/* bench doc: the document tree on a file of about 1 MB that looks like a rendered application:
 * Deployments, Services and ConfigMaps, one YAML document each.
 *
 * Method: one thread; each step is run for at least `rounds` rounds on the same input, and the median
 * and the best are printed, with throughput by the median over the size of the text that the step
 * reads or writes. Memory is what the documents' arenas handed out, divided by their nodes. */
#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/doc/diff.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct bench {
	struct cox_buf yaml, json; /* the input; json: one text a line */
	cox_docs a, b;		   /* the same, read twice */
	struct cox_buf out;
	size_t sum; /* so that nothing is optimized away */
};

static void make_input(struct cox_buf *out, size_t n_objects)
{
	for (size_t i = 0; i < n_objects; i++) {
		cox_buf_printf(
			out,
			"---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n"
			"  name: service-%zu\n  namespace: team-%zu\n  labels:\n"
			"    app.kubernetes.io/name: service-%zu\n"
			"    app.kubernetes.io/part-of: shop\n    tier: backend\n"
			"  annotations:\n    example.com/owner: \"team %zu\"\nspec:\n"
			"  replicas: %zu\n  revisionHistoryLimit: 3\n  selector:\n"
			"    matchLabels:\n      app.kubernetes.io/name: service-%zu\n"
			"  template:\n    metadata:\n      labels:\n"
			"        app.kubernetes.io/name: service-%zu\n    spec:\n"
			"      securityContext: {runAsNonRoot: true, runAsUser: 10001}\n"
			"      containers:\n      - name: server\n"
			"        image: registry.example.com/shop/service-%zu:v1.%zu.0\n"
			"        args:\n        - --listen=:8080\n        - --log-level=info\n"
			"        ports:\n        - name: http\n          containerPort: 8080\n"
			"          protocol: TCP\n        env:\n        - name: DATABASE_URL\n"
			"          valueFrom:\n            secretKeyRef:\n"
			"              name: service-%zu-db\n              key: url\n"
			"        - name: REGION\n          value: eu-west-1\n"
			"        resources:\n          requests: {cpu: 100m, memory: 128Mi}\n"
			"          limits: {cpu: \"1\", memory: 512Mi}\n"
			"        readinessProbe:\n          httpGet: {path: /ready, port: http}\n"
			"          periodSeconds: 5\n          timeoutSeconds: 2\n"
			"        volumeMounts:\n        - name: config\n"
			"          mountPath: /etc/service\n      volumes:\n"
			"      - name: config\n        configMap: {name: service-%zu-config}\n"
			"---\napiVersion: v1\nkind: Service\nmetadata:\n  name: service-%zu\n"
			"  namespace: team-%zu\nspec:\n  selector:\n"
			"    app.kubernetes.io/name: service-%zu\n  ports:\n"
			"  - {name: http, port: 80, targetPort: http}\n"
			"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n"
			"  name: service-%zu-config\n  namespace: team-%zu\ndata:\n"
			"  timeout: \"30\"\n  service.ini: |\n    [server]\n"
			"    listen = 8080\n    workers = %zu\n\n    [cache]\n    size = 64m\n",
			i, i % 7, i, i % 7, i % 5 + 1, i, i, i, i % 90, i, i, i, i % 7, i, i, i % 7,
			i % 16);
	}
}

static size_t count_nodes(const struct cox_node *node)
{
	size_t n = 1;

	for (size_t i = 0; i < cox_node_len(node); i++)
		n += count_nodes(cox_node_at(node, i));
	return n;
}

static void read_yaml(struct bench *b)
{
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error err;

	if (cox_yaml_read_all(cox_buf_str(&b->yaml), "bench.yaml", NULL, &docs, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	b->sum += docs.n;
}

static void read_json(struct bench *b)
{
	struct cox_json_lines lines = {0};
	struct cox_doc *doc;

	cox_json_lines_feed(&lines, b->json.ptr, b->json.len);
	while (cox_json_lines_next(&lines, &doc, NULL) > 0) {
		b->sum += cox_doc_size(doc);
		cox_doc_unref(doc);
	}
	cox_json_lines_fini(&lines);
}

static void compare(struct bench *b)
{
	for (size_t i = 0; i < b->a.n; i++)
		b->sum += cox_node_equal(cox_doc_root(b->a.items[i]), cox_doc_root(b->b.items[i]));
}

static void diff(struct bench *b)
{
	cox_differences found = {0};

	for (size_t i = 0; i < b->a.n; i++)
		b->sum += cox_diff(cox_doc_root(b->a.items[i]), cox_doc_root(b->b.items[i]), 100,
				   &found);
	cox_differences_fini(&found);
}

static void write_with(struct bench *b, void (*write)(struct cox_buf *, const struct cox_node *))
{
	cox_buf_clear(&b->out);
	for (size_t i = 0; i < b->a.n; i++)
		write(&b->out, cox_doc_root(b->a.items[i]));
}

static void write_json(struct bench *b)
{
	write_with(b, cox_json_write);
}

static void write_canonical(struct bench *b)
{
	write_with(b, cox_json_write_canonical);
}

static void write_yaml(struct bench *b)
{
	write_with(b, cox_yaml_write);
}

static void copy(struct bench *b)
{
	for (size_t i = 0; i < b->a.n; i++) {
		struct cox_doc *doc = cox_doc_copy(NULL, cox_doc_root(b->a.items[i]));

		b->sum += cox_doc_size(doc);
		cox_doc_unref(doc);
	}
}

static void edit(struct bench *b)
{
	for (size_t i = 0; i < b->a.n; i++) {
		struct cox_doc *doc = cox_doc_edit(b->a.items[i]);
		struct cox_node *metadata =
			cox_map_edit_map(doc, cox_doc_root_edit(doc), "metadata");

		cox_map_put_cstr(doc, cox_map_edit_map(doc, metadata, "annotations"),
				 "argocd.argoproj.io/tracking-id", "shop:apps/Deployment:x/y");
		b->sum += cox_doc_size(cox_doc_seal(doc));
		cox_doc_unref(doc);
	}
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void run(struct bench *b, const char *name, void (*step)(struct bench *), size_t rounds,
		size_t bytes)
{
	double *times = cox_new_n(double, rounds);

	step(b);
	for (size_t i = 0; i < rounds; i++) {
		double start = seconds();

		step(b);
		times[i] = seconds() - start;
	}
	qsort(times, rounds, sizeof(*times), compare_doubles);
	printf("%-16s median %8.3f ms  best %8.3f ms  %7.1f MB/s\n", name, times[rounds / 2] * 1e3,
	       times[0] * 1e3, (double)bytes / 1e6 / times[rounds / 2]);
	free(times);
}

static void memory(struct bench *b)
{
	size_t n_nodes = 0, n_bytes = 0, n_copy = 0, held = mallinfo2().uordblks;
	_cleanup_docs_ cox_docs copies = {0};

	for (size_t i = 0; i < b->a.n; i++) {
		struct cox_doc *doc = cox_doc_copy(NULL, cox_doc_root(b->a.items[i]));

		n_nodes += count_nodes(cox_doc_root(doc));
		n_bytes += cox_doc_size(b->a.items[i]);
		n_copy += cox_doc_size(doc);
		cox_vec_push(&copies, doc);
	}
	held = mallinfo2().uordblks - held;
	printf("%zu documents, %zu nodes; bytes a node: %.1f as read, %.1f copied (%.1f of heap)\n",
	       b->a.n, n_nodes, (double)n_bytes / (double)n_nodes, (double)n_copy / (double)n_nodes,
	       (double)held / (double)n_nodes);
}

int main(int argc, char *argv[])
{
	size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 41;
	struct bench b = {0};

	make_input(&b.yaml, 430);
	for (int i = 0; i < 2; i++)
		if (cox_yaml_read_all(cox_buf_str(&b.yaml), "bench.yaml", NULL, i ? &b.b : &b.a,
				      NULL) < 0)
			return 1;
	COX_VEC_EACH (&b.a, doc) {
		cox_json_write(&b.json, cox_doc_root(*doc));
		cox_buf_putc(&b.json, '\n');
	}
	printf("input: %zu bytes of YAML, %zu of JSON, %zu rounds\n", b.yaml.len, b.json.len,
	       rounds);
	memory(&b);
	run(&b, "read yaml", read_yaml, rounds, b.yaml.len);
	run(&b, "read json", read_json, rounds, b.json.len);
	run(&b, "equal", compare, rounds, b.json.len);
	run(&b, "diff", diff, rounds, b.json.len);
	run(&b, "write json", write_json, rounds, b.json.len);
	run(&b, "write canonical", write_canonical, rounds, b.json.len);
	run(&b, "write yaml", write_yaml, rounds, b.yaml.len);
	run(&b, "copy", copy, rounds, b.json.len);
	run(&b, "edit one key", edit, rounds, b.json.len);
	cox_docs_fini(&b.a);
	cox_docs_fini(&b.b);
	cox_buf_fini(&b.yaml);
	cox_buf_fini(&b.json);
	cox_buf_fini(&b.out);
	return b.sum == 0;
}
