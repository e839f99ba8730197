#include "hub/model/cluster.h"

#include "hub/model/view.h"

int hub_cluster_init(struct hub_cluster *cluster, struct cox_doc *doc, struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc);
	int r = hub_view_check(doc, HUB_CLUSTER, err);

	if (r < 0)
		return r;
	*cluster = (struct hub_cluster){
		.doc = cox_doc_ref(doc),
		.root = root,
		.name = hub_object_name(root),
		.server = hub_view_text(COX_GET(root, "spec"), "server"),
		.project = hub_view_text(COX_GET(root, "spec"), "project"),
		.labels = hub_view_map(COX_GET(root, "metadata", "labels")),
		.annotations = hub_view_map(COX_GET(root, "metadata", "annotations")),
		.deleting = hub_view_is_deleting(root),
	};
	return 0;
}

void hub_cluster_fini(struct hub_cluster *cluster)
{
	cox_doc_unref(cluster->doc);
	*cluster = (struct hub_cluster){0};
}

struct cox_doc *hub_cluster_new(const char *name, const char *server, char *const *labels,
				size_t n_labels)
{
	struct cox_doc *doc = cox_doc_new(name);
	struct cox_node *root = cox_doc_map(doc), *metadata = cox_doc_map(doc);
	struct cox_node *map = cox_doc_map(doc), *spec = cox_doc_map(doc);

	for (size_t i = 0; i < n_labels; i++) {
		struct cox_str rest = cox_str(labels[i]), key;

		if (cox_str_split(&rest, '=', &key) && rest.ptr)
			cox_map_put_str(doc, map, key, cox_doc_string(doc, rest));
	}
	cox_map_put_cstr(doc, metadata, "name", name);
	if (n_labels)
		cox_map_put(doc, metadata, "labels", map);
	cox_map_put_cstr(doc, spec, "server", server && *server ? server : NULL);
	cox_map_put_cstr(doc, root, "apiVersion", hub_kind_info(HUB_CLUSTER)->api_version);
	cox_map_put_cstr(doc, root, "kind", hub_kind_info(HUB_CLUSTER)->name);
	cox_map_put(doc, root, "metadata", metadata);
	cox_map_put(doc, root, "spec", spec);
	cox_doc_set_root(doc, root);
	return cox_doc_seal(doc);
}
