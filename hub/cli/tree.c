/* cox app resources --tree, --orphaned: what lives below an Application's objects, and beside them. */
#include "common/base/map.h"
#include "hub/cli/app.h"
#include "hub/cli/cli.h"

#include <stdio.h>

#define DEPTH_MAX 64

typedef COX_VEC(const struct cox_node *) children;

struct tree {
	struct cox_map below; /* key -> children */
	struct cli_table table;
};

static const char *text(const struct cox_node *node, const char *a, const char *b)
{
	return cox_node_cstr(b ? COX_GET(node, a, b) : COX_GET(node, a), "");
}

static char *key_of(const struct cox_node *node)
{
	return cox_asprintf("%s/%s/%s/%s", text(node, "group", NULL), text(node, "kind", NULL),
			    text(node, "namespace", NULL), text(node, "name", NULL));
}

static void free_children(void *p)
{
	children *list = p;

	cox_vec_fini(list);
	free(list);
}

static int by_name(const void *a, const void *b)
{
	const struct cox_node *x = *(const struct cox_node *const *)a;
	const struct cox_node *y = *(const struct cox_node *const *)b;
	int r = strcmp(text(x, "kind", NULL), text(y, "kind", NULL));

	return r ? r : strcmp(text(x, "name", NULL), text(y, "name", NULL));
}

static void collect(struct tree *t, const struct cox_node *nodes)
{
	for (size_t i = 0; i < cox_node_len(nodes); i++) {
		const struct cox_node *node = cox_node_at(nodes, i);
		const struct cox_node *parent = cox_node_at(COX_GET(node, "parentRefs"), 0);
		_cleanup_free_ char *key = parent ? key_of(parent) : NULL;
		children *list = key ? cox_map_get(&t->below, key) : NULL;

		if (!key)
			continue;
		if (!list) {
			list = cox_new(children);
			cox_map_set(&t->below, key, list);
		}
		cox_vec_push(list, node);
	}
	COX_MAP_EACH (&t->below, slot) {
		children *list = slot->value;

		cox_vec_sort(list, by_name);
	}
}

static void put_row(struct tree *t, const struct cox_node *node, const char *lines)
{
	const char *namespace = text(node, "namespace", NULL);

	cli_cellf(&t->table, "%s%s %s%s%s", lines, text(node, "kind", NULL), namespace,
		  *namespace ? "/" : "", text(node, "name", NULL));
	cli_cell(&t->table, text(node, "status", NULL));
	cli_cell(&t->table, text(node, "health", "status"));
	cli_cell(&t->table, text(node, "info", NULL));
	cli_cell(&t->table, text(node, "health", "message"));
}

static void put_below(struct tree *t, const struct cox_node *node, const char *indent, int depth)
{
	_cleanup_free_ char *key = key_of(node);
	const children *list = cox_map_get(&t->below, key);

	for (size_t i = 0; list && depth < DEPTH_MAX && i < list->n; i++) {
		bool last = i + 1 == list->n;
		_cleanup_free_ char *lines = cox_asprintf("%s%s", indent, last ? "└─ " : "├─ ");
		_cleanup_free_ char *deeper = cox_asprintf("%s%s", indent, last ? "   " : "│  ");

		put_row(t, list->items[i], lines);
		put_below(t, list->items[i], deeper, depth + 1);
	}
}

static void print_tree(const struct cox_node *answer)
{
	struct tree t = {0};
	const struct cox_node *nodes = COX_GET(answer, "nodes");
	int64_t left_out = cox_node_int(COX_GET(answer, "leftOut"), 0);

	if (cox_node_len(nodes) == 0)
		fprintf(stderr, "no resources\n");
	else if (!cox_node_bool(COX_GET(answer, "known"), false))
		fprintf(stderr, "the cluster's agent has not told what is below these\n");
	collect(&t, nodes);
	cli_table_header(&t.table, "RESOURCE", "SYNC", "HEALTH", "INFO", "MESSAGE", NULL);
	for (size_t i = 0; i < cox_node_len(nodes); i++) {
		const struct cox_node *node = cox_node_at(nodes, i);

		if (cox_node_len(COX_GET(node, "parentRefs")) > 0)
			continue;
		put_row(&t, node, "");
		put_below(&t, node, "", 0);
	}
	if (cox_node_len(nodes) > 0)
		cli_table_print(&t.table);
	if (left_out > 0)
		printf("… and %lld more\n", (long long)left_out);
	cli_table_fini(&t.table);
	cox_map_fini_values(&t.below, free_children);
}

static void print_orphans(const struct cox_node *answer)
{
	_cleanup_table_ struct cli_table t = {0};
	const struct cox_node *list = COX_GET(answer, "orphanedNodes");
	int64_t total = cox_node_int(COX_GET(answer, "orphanedTotal"), 0);

	if (!list)
		fprintf(stderr, "nothing is known of orphaned resources: the AppProject has to ask "
				"for them (spec.orphanedResources), and the cluster's agent to "
				"look\n");
	else if (cox_node_len(list) == 0)
		fprintf(stderr, "no orphaned resources\n");
	if (cox_node_len(list) == 0)
		return;
	cli_table_header(&t, "GROUP", "KIND", "NAMESPACE", "NAME", NULL);
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *node = cox_node_at(list, i);

		cli_cell(&t, text(node, "group", NULL));
		cli_cell(&t, text(node, "kind", NULL));
		cli_cell(&t, text(node, "namespace", NULL));
		cli_cell(&t, text(node, "name", NULL));
	}
	cli_table_print(&t);
	if (total > (int64_t)cox_node_len(list))
		printf("… and %lld more\n", (long long)(total - (int64_t)cox_node_len(list)));
}

int cli_app_tree(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
		 enum cli_format format, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *answer = NULL;
	int r = cli_app_fetch(hub, flags, name, "/resource-tree", &answer, err);

	if (r != 0)
		return r;
	if (format == CLI_JSON || format == CLI_YAML)
		cli_print_node(format, cox_doc_root(answer));
	else if (flags->orphaned)
		print_orphans(cox_doc_root(answer));
	else
		print_tree(cox_doc_root(answer));
	return 0;
}
