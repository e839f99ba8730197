/* tests/golden/appset: input.yaml holds one ApplicationSet, and the Clusters that there are. `want`
 * is what hub_generate makes of it: the Applications, then the problems; or the error. */
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/doc/yaml.h"
#include "hub/generate/generate.h"
#include "tests/golden/golden.h"

#include <stdio.h>

#define MAX_CLUSTERS 16

struct input {
	struct hub_appset set;
	struct hub_cluster clusters[MAX_CLUSTERS];
	const struct hub_cluster *pointers[MAX_CLUSTERS];
	size_t n_clusters;
	size_t max_apps;
};

static void input_fini(struct input *in)
{
	if (in->set.doc)
		hub_appset_fini(&in->set);
	for (size_t i = 0; i < in->n_clusters; i++)
		hub_cluster_fini(&in->clusters[i]);
}

static int read_document(struct input *in, struct cox_doc *doc, struct cox_error *err)
{
	const char *max;
	int r;

	if (hub_kind_of(cox_doc_root(doc)) == HUB_CLUSTER) {
		if (in->n_clusters == MAX_CLUSTERS)
			return cox_error(err, COX_RESOURCE_EXHAUSTED, "too many clusters");
		r = hub_cluster_init(&in->clusters[in->n_clusters], doc, err);
		if (r < 0)
			return r;
		in->pointers[in->n_clusters] = &in->clusters[in->n_clusters];
		in->n_clusters++;
		return 0;
	}
	r = hub_appset_init(&in->set, doc, err);
	if (r < 0)
		return r;
	max = hub_object_annotation(in->set.root, "test/max-apps");
	in->max_apps = max ? (size_t)atoi(max) : 0;
	return 0;
}

static int read_input(const char *dir, struct input *in, struct cox_error *err)
{
	_cleanup_free_ char *path = cox_path_join(dir, "input.yaml");
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_docs_ cox_docs docs = {0};
	int r = cox_file_read(path, 1 << 20, &text, err);

	if (r == 0)
		r = cox_yaml_read_all(cox_buf_str(&text), "input.yaml", NULL, &docs, err);
	for (size_t i = 0; r == 0 && i < docs.n; i++)
		r = read_document(in, docs.items[i], err);
	if (r == 0 && !in->set.doc)
		r = cox_error(err, COX_INVALID_ARGUMENT, "no ApplicationSet");
	return r;
}

static void run_appset(const char *dir, struct cox_buf *ret_text)
{
	COX_CLEANUP(input_fini) struct input in = {0};
	_cleanup_generated_ struct hub_generated out = {0};
	struct cox_error err;
	int r = read_input(dir, &in, &err);
	struct hub_generate_input params = {
		.clusters = in.pointers, .n_clusters = in.n_clusters, .max_apps = in.max_apps};

	if (r == 0)
		r = hub_generate(&in.set, &params, &out, &err);
	if (r < 0) {
		cox_buf_printf(ret_text, "error: %s\n", err.message);
		return;
	}
	for (size_t i = 0; i < out.applications.n; i++) {
		cox_buf_puts(ret_text, "---\n");
		cox_yaml_write(ret_text, cox_doc_root(out.applications.items[i]));
	}
	COX_VEC_EACH (&out.problems.list, p) {
		cox_buf_puts(ret_text, "# problem: ");
		hub_problem_print(ret_text, p);
		cox_buf_putc(ret_text, '\n');
	}
}

int main(int argc, char *argv[])
{
	return golden_run("tests/golden/appset", argc > 1 ? argv[1] : NULL, run_appset);
}
