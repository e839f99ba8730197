#include "hub/render/bundle.h"

#include "common/base/limits.h"
#include "common/base/map.h"
#include "common/doc/json.h"

/* ---- order ---- */

struct key {
	struct cox_str group, kind, namespace, name;
	size_t index; /* in the input */
};

static struct cox_str group_of(const struct cox_node *root)
{
	struct cox_str version = cox_node_str(COX_GET(root, "apiVersion"));
	const char *slash = version.len ? memchr(version.ptr, '/', version.len) : NULL;

	return slash ? (struct cox_str){version.ptr, (size_t)(slash - version.ptr)} : COX_STR("");
}

static struct key key_of(const struct cox_node *root, size_t index)
{
	return (struct key){group_of(root), cox_node_str(COX_GET(root, "kind")),
			    cox_node_str(COX_GET(root, "metadata", "namespace")),
			    cox_node_str(COX_GET(root, "metadata", "name")), index};
}

static int compare_keys(const void *x, const void *y)
{
	const struct key *a = x, *b = y;
	int c = cox_str_compare(a->group, b->group);

	if (!c)
		c = cox_str_compare(a->kind, b->kind);
	if (!c)
		c = cox_str_compare(a->namespace, b->namespace);
	/* objects that get their name from the server come last */
	if (!c && (a->name.len == 0) != (b->name.len == 0))
		return a->name.len ? -1 : 1;
	if (!c)
		c = cox_str_compare(a->name, b->name);
	if (c)
		return c;
	return a->index < b->index ? -1 : a->index > b->index;
}

static bool is_same_key(const struct key *a, const struct key *b)
{
	return a->name.len && cox_str_eq(a->group, b->group) && cox_str_eq(a->kind, b->kind) &&
	       cox_str_eq(a->namespace, b->namespace) && cox_str_eq(a->name, b->name);
}

static void warn_duplicate(struct hub_problems *warnings, const cox_docs *objects,
			   const struct key *lost, const struct key *won)
{
	const struct cox_doc *winner = objects->items[won->index];

	if (!warnings)
		return;
	hub_problem_add(warnings, HUB_WARNING, objects->items[lost->index],
			cox_doc_root(objects->items[lost->index]),
			"%.*s '%s%s%.*s' is there twice; the one at %s:%u wins",
			COX_STR_ARG(lost->kind), lost->namespace.len ? lost->namespace.ptr : "",
			lost->namespace.len ? "/" : "", COX_STR_ARG(lost->name),
			cox_doc_name(winner), cox_node_line(cox_doc_root(winner)));
}

void hub_bundle_sort(const cox_docs *objects, cox_docs *ret_sorted, struct hub_problems *warnings)
{
	COX_VEC(struct key) keys = {0};

	for (size_t i = 0; i < objects->n; i++)
		cox_vec_push(&keys, key_of(cox_doc_root(objects->items[i]), i));
	cox_vec_sort(&keys, compare_keys);
	for (size_t i = 0; i < keys.n; i++) {
		if (i + 1 < keys.n && is_same_key(&keys.items[i], &keys.items[i + 1]))
			warn_duplicate(warnings, objects, &keys.items[i], &keys.items[i + 1]);
		else
			cox_vec_push(ret_sorted, cox_doc_ref(objects->items[keys.items[i].index]));
	}
	cox_vec_fini(&keys);
}

/* ---- text ---- */

/* What a server writes into metadata, and what desired state therefore never says. */
static const char *const server_fields[] = {
	"uid",		 "resourceVersion",   "generation",	   "selfLink",
	"managedFields", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
};

static bool has_server_fields(const struct cox_node *root)
{
	const struct cox_node *metadata = COX_GET(root, "metadata");

	for (size_t i = 0; i < COX_ARRAY_LEN(server_fields); i++)
		if (cox_node_get(metadata, server_fields[i]))
			return true;
	return COX_GET(root, "status") != NULL;
}

static void write_object(struct cox_buf *out, struct cox_doc *object)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_node *root, *metadata;

	if (!has_server_fields(cox_doc_root(object))) {
		cox_json_write_canonical(out, cox_doc_root(object));
		return;
	}
	doc = cox_doc_edit(object);
	root = cox_doc_root_edit(doc);
	metadata = cox_map_edit_map(doc, root, "metadata");
	cox_map_drop(doc, root, COX_STR("status"));
	for (size_t i = 0; i < COX_ARRAY_LEN(server_fields); i++)
		cox_map_drop(doc, metadata, cox_str(server_fields[i]));
	cox_json_write_canonical(out, root);
}

static size_t count_nodes(const struct cox_node *node)
{
	size_t n = 1;

	for (size_t i = 0; i < cox_node_len(node); i++)
		n += count_nodes(cox_node_at(node, i));
	return n;
}

int hub_bundle_build(const cox_docs *objects, struct cox_buf *ret_json,
		     struct hub_problems *warnings, struct cox_error *err)
{
	_cleanup_docs_ cox_docs sorted = {0};
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	size_t n_nodes = 1;

	if (objects->n > COX_LIMIT_APP_OBJECTS)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "the application has more than %d objects", COX_LIMIT_APP_OBJECTS);
	hub_bundle_sort(objects, &sorted, warnings);
	cox_buf_putc(&out, '[');
	for (size_t i = 0; i < sorted.n; i++) {
		if (i)
			cox_buf_putc(&out, ',');
		write_object(&out, sorted.items[i]);
		n_nodes += count_nodes(cox_doc_root(sorted.items[i]));
		if (n_nodes > COX_LIMIT_DOC_NODES)
			return cox_error(err, COX_RESOURCE_EXHAUSTED,
					 "the application's manifests hold more than %d values",
					 COX_LIMIT_DOC_NODES);
		if (out.len > COX_LIMIT_APP_BYTES)
			return cox_error(err, COX_RESOURCE_EXHAUSTED,
					 "the application's manifests are larger than %d bytes",
					 COX_LIMIT_APP_BYTES);
	}
	cox_buf_putc(&out, ']');
	cox_buf_puts_str(ret_json, cox_buf_str(&out));
	return 0;
}
