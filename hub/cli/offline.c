/* Verbs that need no hub: what it would make of these files. */
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/doc/yaml.h"
#include "common/health/custom.h"
#include "common/kube/schema.h"
#include "hub/cli/cli.h"
#include "hub/cli/output.h"
#include "hub/generate/generate.h"
#include "hub/render/bundle.h"
#include "hub/render/kustomize/kustomize.h"
#include "hub/render/render.h"
#include "hub/source/tree.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void print_stream(const cox_docs *docs)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	for (size_t i = 0; i < docs->n; i++) {
		cox_buf_puts(&out, "---\n");
		cox_yaml_write(&out, cox_doc_root(docs->items[i]));
	}
	fwrite(cox_buf_cstr(&out), 1, out.len, stdout);
}

/* As Kustomize prints: keys in order, "---" between documents. */
static void print_sorted_stream(const cox_docs *docs)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	for (size_t i = 0; i < docs->n; i++) {
		if (i)
			cox_buf_puts(&out, "---\n");
		cox_yaml_write_sorted(&out, cox_doc_root(docs->items[i]));
	}
	fwrite(cox_buf_cstr(&out), 1, out.len, stdout);
}

static void print_problems(const char *kind, const struct hub_problems *problems)
{
	COX_VEC_EACH (&problems->list, p) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

		hub_problem_print(&text, p);
		fprintf(stderr, "%s: %s\n", kind, cox_buf_cstr(&text));
	}
}

/* ---- cox render ---- */

/* The cluster-scoped kinds of Kubernetes itself. Of a custom kind only its cluster knows. */
static const char *const cluster_kinds[] = {
	"APIService",
	"CSIDriver",
	"CSINode",
	"CertificateSigningRequest",
	"ClusterRole",
	"ClusterRoleBinding",
	"ComponentStatus",
	"CustomResourceDefinition",
	"FlowSchema",
	"IngressClass",
	"MutatingWebhookConfiguration",
	"Namespace",
	"Node",
	"PersistentVolume",
	"PriorityClass",
	"PriorityLevelConfiguration",
	"RuntimeClass",
	"StorageClass",
	"ValidatingAdmissionPolicy",
	"ValidatingAdmissionPolicyBinding",
	"ValidatingWebhookConfiguration",
	"VolumeAttachment",
};

static bool takes_namespace(const struct cox_node *root)
{
	_cleanup_free_ char *group = cox_str_dup(cox_meta_group(root));
	_cleanup_free_ char *version = cox_str_dup(cox_meta_version(root));
	_cleanup_free_ char *kind = cox_str_dup(cox_meta_kind(root));

	if (cox_meta_namespace(root).len || !cox_schema_find(group, version, kind))
		return false;
	for (size_t i = 0; i < COX_ARRAY_LEN(cluster_kinds); i++)
		if (strcmp(cluster_kinds[i], kind) == 0)
			return false;
	return true;
}

static void put_namespaces(cox_docs *objects, const char *namespace)
{
	for (size_t i = 0; i < objects->n; i++) {
		struct cox_doc *with;

		if (!takes_namespace(cox_doc_root(objects->items[i])))
			continue;
		with = hub_object_with_namespace(objects->items[i], namespace);
		cox_doc_unref(objects->items[i]);
		objects->items[i] = with;
	}
}

static int read_application(const char *path, struct hub_application *ret, struct cox_error *err)
{
	_cleanup_docs_ cox_docs docs = {0};
	int r = cli_read_file(path, &docs, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < docs.n; i++)
		if (hub_kind_of(cox_doc_root(docs.items[i])) == HUB_APPLICATION)
			return hub_application_init(ret, docs.items[i], err);
	return cox_error(err, COX_INVALID_ARGUMENT, "no Application in '%s'", path);
}

CLI_RUN(cli_render)
{
	_cleanup_application_ struct hub_application app = {0};
	_cleanup_problems_ struct hub_problems duplicates = {0};
	_cleanup_rendered_ struct hub_rendered out = {0};
	_cleanup_tree_ struct hub_tree *tree = NULL;
	_cleanup_docs_ cox_docs sorted = {0};
	struct hub_source source = {.repo_url = "", .chart = "", .ref = "", .target_revision = ""};
	const char *namespace = flags->namespace;
	struct hub_render_options options = {0};
	struct hub_render_app for_app;
	int r = 0;

	source.directory.include = source.directory.exclude = "";
	if (flags->app) {
		r = read_application(flags->app, &app, err);
		if (r < 0)
			return r;
		source = app.sources.items[0];
		if (!namespace && *app.destination.namespace)
		namespace = app.destination.namespace;
	}
	/* DIR is what spec.source.path would lead to */
	source.path = ".";
	options.app = flags->app ? &for_app : NULL;
	for_app = (struct hub_render_app){flags->app ? app.name : "", namespace ? namespace : "",
					  flags->app ? app.project : "",
					  source.target_revision ? source.target_revision : ""};
	r = hub_tree_open_dir(args->items[0], &tree, err);
	if (r == 0)
		r = hub_render(tree, &source, &options, &out, err);
	if (r < 0)
		return r;
	if (namespace)
		put_namespaces(&out.objects, namespace);
	hub_bundle_sort(&out.objects, &sorted, &duplicates);
	print_problems("warning", &out.warnings);
	print_problems("warning", &duplicates);
	print_stream(&sorted);
	return 0;
}

/* ---- cox kustomize build ---- */

/* The tree is the repository that the directory is in (the nearest directory above with a .git), so
 * that bases beside it are found; without one, all files of this machine, as Kustomize has it. */
static int open_around(const char *dir, struct hub_tree **ret_tree, char **ret_path,
		       struct cox_error *err)
{
	_cleanup_free_ char *real = realpath(dir, NULL), *root = NULL;
	const char *path;
	int r;

	if (!real)
		return cox_error_sys(err, errno, "cannot open '%s'", dir);
	root = cox_strdup(real);
	for (;;) {
		_cleanup_free_ char *git = cox_path_join(root, ".git");
		char *slash = strrchr(root, '/');

		if (access(git, F_OK) == 0)
			break;
		if (!slash || slash == root) {
			root[1] = 0;
			break;
		}
		*slash = 0;
	}
	path = real + strlen(root);
	*ret_path = cox_strdup(path + strspn(path, "/"));
	r = hub_tree_open_dir(root, ret_tree, err);
	if (r == 0)
		(*ret_tree)->follow_links = true;
	return r;
}

CLI_RUN(cli_kustomize_build)
{
	_cleanup_tree_ struct hub_tree *tree = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_docs_ cox_docs docs = {0};
	struct hub_kustomize_input in = {0};
	int r = open_around(args->n ? args->items[0] : ".", &tree, &path, err);

	(void)flags;
	in.path = path;
	if (r == 0)
		r = hub_kustomize_build(tree, &in, &docs, err);
	if (r < 0)
		return r;
	print_sorted_stream(&docs);
	return 0;
}

/* ---- cox app sync --local ---- */

int cli_render_local(const char *dir, struct cox_doc *application, cox_docs *ret_objects,
		     struct cox_error *err)
{
	_cleanup_application_ struct hub_application app = {0};
	_cleanup_rendered_ struct hub_rendered out = {0};
	_cleanup_tree_ struct hub_tree *tree = NULL;
	_cleanup_free_ char *path = NULL;
	struct hub_source source;
	int r = hub_application_init(&app, application, err);

	if (r < 0)
		return r;
	if (app.sources.n != 1)
		return cox_error(err, COX_UNIMPLEMENTED,
				 "application '%s' has %zu sources: one directory cannot stand for "
				 "all of them",
				 app.name, app.sources.n);
	source = app.sources.items[0];
	r = open_around(dir, &tree, &path, err);
	if (r < 0)
		return r;
	source.path = path;
	r = hub_render(tree, &source, NULL, &out, err);
	if (r < 0)
		return r;
	print_problems("warning", &out.warnings);
	COX_VEC_EACH (&out.objects, o)
		cox_vec_push(ret_objects, cox_doc_ref(*o));
	return 0;
}

/* ---- cox health ---- */

static void print_health(const struct cox_health_custom *custom, const struct cox_node *object)
{
	struct cox_health_run run = {.wall_ms = cox_clock_wall_ms(), .now_ms = cox_clock_ms};
	struct cox_health health;
	const char *name;

	cox_health_assess_custom(custom, object, &run, &health);
	name = cox_health_name(health.status);
	for (char *c = health.message; *c; c++)
		if (*c == '\n' || *c == '\t' || *c == '\r')
			*c = ' ';
	printf("%s\t%.*s/%.*s\t%s\n", *name ? name : "-", COX_STR_ARG(cox_meta_kind(object)),
	       COX_STR_ARG(cox_meta_name(object)), health.message);
}

/* The scripts of the one ConfigMap in the file. */
static int read_health_config(const char *path, struct cox_health_custom **ret_custom,
			      struct cox_error *err)
{
	_cleanup_docs_ cox_docs docs = {0};
	const struct cox_node *found = NULL;
	int r = cli_read_file(path, &docs, err);

	if (r < 0)
		return r;
	cli_expand_lists(&docs);
	for (size_t i = 0; i < docs.n; i++) {
		const struct cox_node *root = cox_doc_root(docs.items[i]);

		if (!cox_str_is(cox_meta_kind(root), "ConfigMap"))
			continue;
		if (found)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "'%s' has more than one ConfigMap", path);
		found = root;
	}
	if (!found)
		return cox_error(err, COX_INVALID_ARGUMENT, "no ConfigMap in '%s'", path);
	r = cox_health_custom_new(found, ret_custom, err);
	return r < 0 ? cox_error_wrap(err, "'%s'", path) : 0;
}

CLI_RUN(cli_health)
{
	_cleanup_health_custom_ struct cox_health_custom *custom = NULL;
	_cleanup_docs_ cox_docs docs = {0};
	int r = cli_read_files(&flags->files, false, &docs, err);

	(void)args;
	if (r == 0 && flags->config && *flags->config)
		r = read_health_config(flags->config, &custom, err);
	if (r != 0)
		return r;
	cli_expand_lists(&docs);
	for (size_t i = 0; i < docs.n; i++)
		print_health(custom, cox_doc_root(docs.items[i]));
	return 0;
}

/* ---- cox appset generate ---- */

typedef COX_VEC(struct hub_cluster *) clusters_vec;

static void clusters_fini(clusters_vec *v)
{
	COX_VEC_EACH (v, c) {
		hub_cluster_fini(*c);
		free(*c);
	}
	cox_vec_fini(v);
}

static int add_cluster(clusters_vec *clusters, struct cox_doc *doc, struct cox_error *err)
{
	_cleanup_free_ struct hub_cluster *cluster = cox_new(struct hub_cluster);
	int r = hub_cluster_init(cluster, doc, err);

	if (r == 0)
		cox_vec_push(clusters, TAKE(cluster));
	return r;
}

static int generate_one(struct cox_doc *doc, const clusters_vec *clusters, const char *namespace,
			struct cox_error *err)
{
	_cleanup_generated_ struct hub_generated out = {0};
	_cleanup_appset_ struct hub_appset set = {0};
	struct hub_generate_input in = {.clusters =
						(const struct hub_cluster *const *)clusters->items,
					.n_clusters = clusters->n,
					.home_namespace = namespace};
	int r = hub_appset_init(&set, doc, err);

	if (r == 0)
		r = hub_generate(&set, &in, &out, err);
	if (r < 0)
		return r;
	print_stream(&out.applications);
	print_problems("problem", &out.problems);
	return out.problems.n_errors ? CLI_FAILED : 0;
}

CLI_RUN(cli_appset_generate)
{
	COX_CLEANUP(clusters_fini) clusters_vec clusters = {0};
	_cleanup_docs_ cox_docs docs = {0};
	size_t n_sets = 0;
	int r = cli_read_files(&flags->files, false, &docs, err), failed = 0;

	(void)args;
	for (size_t i = 0; r == 0 && i < docs.n; i++)
		if (hub_kind_of(cox_doc_root(docs.items[i])) == HUB_CLUSTER)
			r = add_cluster(&clusters, docs.items[i], err);
	for (size_t i = 0; r == 0 && i < docs.n; i++) {
		if (hub_kind_of(cox_doc_root(docs.items[i])) != HUB_APPLICATION_SET)
			continue;
		n_sets++;
		r = generate_one(docs.items[i], &clusters, flags->namespace, err);
		if (r == CLI_FAILED) {
			failed = CLI_FAILED;
			r = 0;
		}
	}
	if (r == 0 && n_sets == 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "no ApplicationSet in '%s'",
				 flags->files.items[0]);
	return r ? r : failed;
}
