/* The resource tree of an Application, out of what its agent told last. */
#include "common/base/clock.h"
#include "hub/control/internal.h"

typedef Coxswain__Report__V1__ResourceKey key_msg;
typedef Coxswain__Report__V1__ResourceStatus status_msg;
typedef Coxswain__Report__V1__TreeNode node_msg;
typedef Coxswain__Report__V1__Tree tree_msg;

static void put_text(struct cox_doc *doc, struct cox_node *map, const char *key, const char *text)
{
	if (text && *text)
		cox_map_put_cstr(doc, map, key, text);
}

static struct cox_node *put_key(struct cox_doc *doc, const key_msg *key)
{
	struct cox_node *map = cox_doc_map(doc);

	if (!key)
		return map;
	put_text(doc, map, "group", key->group);
	put_text(doc, map, "version", key->version);
	put_text(doc, map, "kind", key->kind);
	put_text(doc, map, "namespace", key->namespace_);
	put_text(doc, map, "name", key->name);
	return map;
}

static void put_health(struct cox_doc *doc, struct cox_node *map, int health, const char *message)
{
	struct cox_node *node;

	if (health == COXSWAIN__REPORT__V1__HEALTH__HEALTH_NONE)
		return;
	node = cox_doc_map(doc);
	cox_map_put_cstr(doc, node, "status", control_health_name(health));
	put_text(doc, node, "message", message);
	cox_map_put(doc, map, "health", node);
}

static int by_key(const void *a, const void *b)
{
	const key_msg *x = (*(status_msg *const *)a)->key, *y = (*(status_msg *const *)b)->key;
	int r;

	if (!x || !y)
		return (x != NULL) - (y != NULL);
	r = strcmp(x->kind, y->kind);
	if (r == 0)
		r = strcmp(x->namespace_, y->namespace_);
	if (r == 0)
		r = strcmp(x->name, y->name);
	return r ? r : strcmp(x->group, y->group);
}

/* The application's own objects: the roots. */
static void put_roots(struct cox_doc *doc, struct cox_node *list, const hub_report *r)
{
	static const char *const words[] = {"Unknown", "Synced", "OutOfSync"};
	COX_VEC(status_msg *) sorted = {0};

	for (size_t i = 0; i < r->n_resources; i++)
		cox_vec_push(&sorted, r->resources[i]);
	cox_vec_sort(&sorted, by_key);
	COX_VEC_EACH (&sorted, s) {
		struct cox_node *map = put_key(doc, (*s)->key);

		cox_map_put_bool(doc, map, "managed", true);
		cox_map_put_cstr(doc, map, "status",
				 words[(size_t)(*s)->sync < COX_ARRAY_LEN(words) ? (*s)->sync : 0]);
		put_health(doc, map, (*s)->health, (*s)->health_message);
		cox_list_push(doc, list, map);
	}
	cox_vec_fini(&sorted);
}

static void put_node(struct cox_doc *doc, struct cox_node *list, const tree_msg *tree, size_t i)
{
	const node_msg *n = tree->nodes[i];
	char created[COX_TIME_TEXT_MAX];
	struct cox_node *map, *parents;

	/* what comes from outside names only what was before it */
	if (n->managed || !n->key || n->parent == 0 || n->parent > i)
		return;
	map = put_key(doc, n->key);
	parents = cox_doc_list(doc);
	cox_list_push(doc, parents, put_key(doc, tree->nodes[n->parent - 1]->key));
	cox_map_put(doc, map, "parentRefs", parents);
	put_health(doc, map, n->health, n->health_message);
	put_text(doc, map, "info", n->info);
	if (n->created_ms > 0) {
		cox_time_format(n->created_ms, created);
		cox_map_put_cstr(doc, map, "createdAt", created);
	}
	cox_list_push(doc, list, map);
}

int hub_control_tree(struct hub_control *c, const char *namespace, const char *name,
		     struct cox_doc **ret_doc, struct cox_error *err)
{
	_cleanup_free_ char *key = control_key(c, HUB_APPLICATION, namespace, name);
	const struct control_app *a = control_app(c, key);
	const hub_report *r;
	struct cox_doc *doc;
	struct cox_node *root, *nodes;
	tree_msg *tree = NULL;

	if (!a)
		return cox_error(err, COX_NOT_FOUND, "no application '%s'", key);
	r = a->cluster ? hub_fleet_last_report(c->fleet, a->cluster, a->uid) : NULL;
	if (r && r->tree.len)
		tree = coxswain__report__v1__tree__unpack(NULL, r->tree.len, r->tree.data);
	doc = cox_doc_new("tree");
	root = cox_doc_map(doc);
	nodes = cox_doc_list(doc);
	if (r)
		put_roots(doc, nodes, r);
	for (size_t i = 0; tree && i < tree->n_nodes; i++)
		put_node(doc, nodes, tree, i);
	cox_map_put(doc, root, "nodes", nodes);
	/* an agent that tells of none, or has not told yet */
	cox_map_put_bool(doc, root, "known", tree && tree->known);
	if (tree && tree->orphans_known) {
		struct cox_node *orphans = cox_doc_list(doc);

		for (size_t i = 0; i < tree->n_orphans; i++)
			cox_list_push(doc, orphans, put_key(doc, tree->orphans[i]));
		cox_map_put(doc, root, "orphanedNodes", orphans);
		cox_map_put_int(doc, root, "orphanedTotal", tree->orphans_total);
	}
	if (tree && tree->n_left_out)
		cox_map_put_int(doc, root, "leftOut", tree->n_left_out);
	if (tree)
		coxswain__report__v1__tree__free_unpacked(tree, NULL);
	cox_doc_set_root(doc, root);
	*ret_doc = cox_doc_seal(doc);
	return 0;
}
