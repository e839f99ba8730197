#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/vec.h"
#include "hub/source/tree.h"

struct node {
	enum hub_tree_kind kind;
	struct cox_buf content; /* of a file; the target of a link */
};

/* Immutable once shared: no lock. */
struct memory_tree {
	struct hub_tree base;
	struct cox_map nodes; /* by path; directories too, but the root */
};

static void free_node(void *p)
{
	struct node *node = p;

	cox_buf_fini(&node->content);
	free(node);
}

/* The kinds of what stands above a path. */
static int check_parents(struct memory_tree *t, const char *path, struct cox_error *err)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		struct cox_str prefix = cox_str_n(path, (size_t)(slash - path));
		struct node *node = cox_map_get_str(&t->nodes, prefix);

		if (node && node->kind == HUB_TREE_LINK)
			return cox_error(err, COX_FAILED_PRECONDITION,
					 "'%.*s' is a symbolic link, which is not followed",
					 COX_STR_ARG(prefix));
		if (!node || node->kind != HUB_TREE_DIR)
			return cox_error(err, COX_NOT_FOUND, "no '%s' in %s", path, t->base.name);
	}
	return 0;
}

static int find(struct memory_tree *t, const char *path, struct node **ret_node,
		struct cox_error *err)
{
	int r = check_parents(t, path, err);
	struct node *node = NULL;

	if (r < 0)
		return r;
	node = cox_map_get(&t->nodes, path);
	if (!node)
		return cox_error(err, COX_NOT_FOUND, "no '%s' in %s", path, t->base.name);
	*ret_node = node;
	return 0;
}

static int memory_list(struct hub_tree *base, const char *path, struct hub_tree_list *ret_list,
		       struct cox_error *err)
{
	struct memory_tree *t = (struct memory_tree *)base;
	size_t n = strlen(path);

	COX_MAP_EACH (&t->nodes, e) {
		const char *name = e->key;
		struct node *node = e->value;

		if (n && (strncmp(name, path, n) != 0 || name[n] != '/'))
			continue;
		name += n ? n + 1 : 0;
		if (strchr(name, '/'))
			continue;
		if (ret_list->n == HUB_LIMIT_DIR_ENTRIES)
			return cox_error(err, COX_RESOURCE_EXHAUSTED,
					 "'%s' has more than %d entries", path,
					 HUB_LIMIT_DIR_ENTRIES);
		cox_vec_push(ret_list, (struct hub_tree_entry){cox_strdup(name), node->kind});
	}
	return 0;
}

static int memory_read(struct hub_tree *base, const char *path, size_t max_bytes,
		       struct cox_buf *out, struct cox_error *err)
{
	struct node *node = NULL;
	int r = find((struct memory_tree *)base, path, &node, err);

	if (r < 0)
		return r;
	if (node->content.len > max_bytes)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "'%s' is longer than %zu bytes", path,
				 max_bytes);
	cox_buf_puts_str(out, cox_buf_str(&node->content));
	return 0;
}

static int memory_kind(struct hub_tree *base, const char *path, enum hub_tree_kind *ret_kind,
		       struct cox_error *err)
{
	struct node *node = NULL;
	int r;

	if (!*path) {
		*ret_kind = HUB_TREE_DIR;
		return 0;
	}
	r = find((struct memory_tree *)base, path, &node, err);
	if (r == 0)
		*ret_kind = node->kind;
	return r;
}

static int memory_link(struct hub_tree *base, const char *path, struct cox_buf *out,
		       struct cox_error *err)
{
	return memory_read(base, path, HUB_LIMIT_PATH_BYTES, out, err);
}

static void memory_free(struct hub_tree *base)
{
	struct memory_tree *t = (struct memory_tree *)base;

	cox_map_fini_values(&t->nodes, free_node);
	free(t);
}

static const struct hub_tree_ops memory_ops = {
	.list = memory_list,
	.read = memory_read,
	.kind = memory_kind,
	.link = memory_link,
	.free = memory_free,
};

struct hub_tree *hub_tree_new_memory(void)
{
	struct memory_tree *t = cox_new(struct memory_tree);

	t->base.ops = &memory_ops;
	atomic_init(&t->base.n_refs, 1);
	t->base.name = cox_strdup("memory");
	return &t->base;
}

static void add_parents(struct memory_tree *t, const char *path)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		struct cox_str prefix = cox_str_n(path, (size_t)(slash - path));
		struct node *node;

		if (cox_map_get_str(&t->nodes, prefix))
			continue;
		node = cox_new(struct node);
		node->kind = HUB_TREE_DIR;
		cox_map_set_str(&t->nodes, prefix, node);
	}
}

static int add(struct hub_tree *base, const char *path, enum hub_tree_kind kind,
	       struct cox_str content, struct cox_error *err)
{
	struct memory_tree *t = (struct memory_tree *)base;
	_cleanup_free_ char *clean = NULL;
	struct node *node = NULL;
	int r;

	COX_ASSERT(base->ops == &memory_ops);
	r = hub_path_clean(cox_str(path), &clean, err);
	if (r < 0)
		return r;
	if (!*clean || strcmp(clean, path) != 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "path '%s' is not in clean form", path);
	if (cox_map_has(&t->nodes, path))
		return cox_error(err, COX_ALREADY_EXISTS, "'%s' is there already", path);
	add_parents(t, path);
	/* A file or a link in the place of a directory. */
	r = check_parents(t, path, err);
	if (r < 0)
		return cox_error(err, COX_ALREADY_EXISTS, "what is above '%s' is not a directory",
				 path);
	node = cox_new(struct node);
	node->kind = kind;
	cox_buf_puts_str(&node->content, content);
	cox_map_set(&t->nodes, path, node);
	return 0;
}

int hub_tree_memory_add(struct hub_tree *t, const char *path, struct cox_str content,
			struct cox_error *err)
{
	return add(t, path, HUB_TREE_FILE, content, err);
}

int hub_tree_memory_add_link(struct hub_tree *t, const char *path, const char *target,
			     struct cox_error *err)
{
	return add(t, path, HUB_TREE_LINK, cox_str(target), err);
}
