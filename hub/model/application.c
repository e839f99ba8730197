#include "hub/model/application.h"

#include "common/base/clock.h"
#include "hub/model/check.h"
#include "hub/model/view.h"

#define DEFAULT_HISTORY	   10
#define DEFAULT_BACKOFF_MS 5000
#define DEFAULT_MAX_MS	   (3 * 60 * 1000)
#define DEFAULT_FACTOR	   2

static void read_source(const struct cox_node *node, struct hub_source *s)
{
	const struct cox_node *directory = hub_view_map(COX_GET(node, "directory"));
	const struct cox_node *jsonnet = hub_view_map(COX_GET(directory, "jsonnet"));

	*s = (struct hub_source){
		.node = node,
		.repo_url = hub_view_text(node, "repoURL"),
		.path = hub_view_text(node, "path"),
		.chart = hub_view_text(node, "chart"),
		.target_revision = hub_view_text(node, "targetRevision"),
		.ref = hub_view_text(node, "ref"),
		.name = hub_view_text(node, "name"),
		.tag_prefix = hub_view_text(node, "tagPrefix"),
		.helm = hub_view_map(COX_GET(node, "helm")),
		.kustomize = hub_view_map(COX_GET(node, "kustomize")),
		.plugin = hub_view_map(COX_GET(node, "plugin")),
	};
	if (!*s->target_revision)
		s->target_revision = "HEAD";
	s->directory.given = directory != NULL;
	s->directory.recurse = cox_node_bool(COX_GET(directory, "recurse"), false);
	s->directory.include = hub_view_text(directory, "include");
	s->directory.exclude = hub_view_text(directory, "exclude");
	s->directory.jsonnet = cox_node_len(jsonnet) ? jsonnet : NULL;
}

/* A list wins when it is not empty. A hydrated source is the branch that it is synced from. */
static void read_sources(struct hub_application *app, const struct cox_node *spec)
{
	const struct cox_node *list = COX_GET(spec, "sources");
	const struct cox_node *hydrator = hub_view_map(COX_GET(spec, "sourceHydrator"));
	struct hub_source s;

	for (size_t i = 0; i < cox_node_len(list); i++) {
		read_source(cox_node_at(list, i), &s);
		cox_vec_push(&app->sources, s);
	}
	if (app->sources.n)
		return;
	if (hydrator && !hub_view_map(COX_GET(spec, "source"))) {
		read_source(COX_GET(hydrator, "drySource"), &s);
		s.path = hub_view_text(COX_GET(hydrator, "syncSource"), "path");
		s.target_revision = hub_view_text(COX_GET(hydrator, "syncSource"), "targetBranch");
		if (*hub_view_text(COX_GET(hydrator, "syncSource"), "repoURL"))
			s.repo_url = hub_view_text(COX_GET(hydrator, "syncSource"), "repoURL");
	} else {
		read_source(COX_GET(spec, "source"), &s);
	}
	cox_vec_push(&app->sources, s);
}

void hub_retry_read(const struct cox_node *node, struct hub_retry *retry)
{
	const struct cox_node *backoff = COX_GET(node, "backoff");

	retry->given = hub_view_map(node) != NULL;
	retry->limit = cox_node_int(COX_GET(node, "limit"), 0);
	retry->duration_ms = hub_view_duration(backoff, "duration", DEFAULT_BACKOFF_MS);
	retry->max_duration_ms = hub_view_duration(backoff, "maxDuration", DEFAULT_MAX_MS);
	retry->factor = cox_node_int(COX_GET(backoff, "factor"), DEFAULT_FACTOR);
	retry->refresh = cox_node_bool(COX_GET(node, "refresh"), false);
}

static void read_sync_policy(const struct cox_node *node, struct hub_sync_policy *p)
{
	const struct cox_node *automated = hub_view_map(COX_GET(node, "automated"));

	p->automated = automated && cox_node_bool(COX_GET(automated, "enabled"), true);
	p->prune = cox_node_bool(COX_GET(automated, "prune"), false);
	p->self_heal = cox_node_bool(COX_GET(automated, "selfHeal"), false);
	p->allow_empty = cox_node_bool(COX_GET(automated, "allowEmpty"), false);
	p->sync_options = hub_view_list(COX_GET(node, "syncOptions"));
	p->namespace_labels = hub_view_map(COX_GET(node, "managedNamespaceMetadata", "labels"));
	p->namespace_annotations =
		hub_view_map(COX_GET(node, "managedNamespaceMetadata", "annotations"));
	hub_retry_read(COX_GET(node, "retry"), &p->retry);
}

static enum hub_cascade read_cascade(const struct cox_node *finalizers)
{
	enum hub_cascade cascade = HUB_CASCADE_NONE;

	for (size_t i = 0; i < cox_node_len(finalizers); i++) {
		const char *f = cox_node_cstr(cox_node_at(finalizers, i), "");

		if (strcmp(f, HUB_FINALIZER) == 0 || strcmp(f, HUB_FINALIZER "/foreground") == 0)
			return HUB_CASCADE_FOREGROUND;
		if (strcmp(f, HUB_FINALIZER "/background") == 0)
			cascade = HUB_CASCADE_BACKGROUND;
	}
	return cascade;
}

int hub_application_init(struct hub_application *app, struct cox_doc *doc, struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc), *spec = COX_GET(root, "spec");
	const struct cox_node *destination = COX_GET(spec, "destination");
	int r = hub_view_check(doc, HUB_APPLICATION, err);

	if (r < 0)
		return r;
	*app = (struct hub_application){
		.doc = cox_doc_ref(doc),
		.root = root,
		.name = hub_object_name(root),
		.namespace = hub_object_namespace(root),
		.uid = hub_object_uid(root),
		.labels = hub_view_map(COX_GET(root, "metadata", "labels")),
		.annotations = hub_view_map(COX_GET(root, "metadata", "annotations")),
		.project = hub_view_text(spec, "project"),
		.destination = {.server = hub_view_text(destination, "server"),
				.name = hub_view_text(destination, "name"),
				.namespace = hub_view_text(destination, "namespace")},
		.ignore_differences = hub_view_list(COX_GET(spec, "ignoreDifferences")),
		.revision_history_limit =
			cox_node_int(COX_GET(spec, "revisionHistoryLimit"), DEFAULT_HISTORY),
		.cascade = read_cascade(COX_GET(root, "metadata", "finalizers")),
		.operation = hub_view_map(COX_GET(root, "operation")),
		.deleting = hub_view_is_deleting(root),
	};
	if (!*app->project)
		app->project = "default";
	read_sources(app, spec);
	read_sync_policy(COX_GET(spec, "syncPolicy"), &app->sync_policy);
	return 0;
}

void hub_application_fini(struct hub_application *app)
{
	cox_vec_fini(&app->sources);
	cox_doc_unref(app->doc);
	*app = (struct hub_application){0};
}

bool hub_sync_option_has(const struct cox_node *options, const char *option)
{
	for (size_t i = 0; i < cox_node_len(options); i++)
		if (strcmp(cox_node_cstr(cox_node_at(options, i), ""), option) == 0)
			return true;
	return false;
}

bool hub_destination_is_in_cluster(const struct hub_destination *d)
{
	return strcmp(d->server, "https://kubernetes.default.svc") == 0 ||
	       strcmp(d->name, "in-cluster") == 0;
}
