/* From a file's text to objects (reference/argocd.md B8): documents split, lists expanded, what has
 * nothing to do with Kubernetes left out. */
#include "common/base/limits.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"
#include "hub/render/internal.h"

#define SKIP_MARK "+argocd:skip-file-rendering"

static bool has_text(struct cox_str content, const char *text)
{
	return content.len && memmem(content.ptr, content.len, text, strlen(text));
}

/* A text that says it is an object of Kubernetes, so that failing to read it must not pass. */
static bool looks_like_object(struct cox_str content)
{
	return has_text(content, "apiVersion:") && has_text(content, "kind:") &&
	       has_text(content, "metadata:");
}

static bool is_object(const struct cox_node *node)
{
	return cox_node_str(COX_GET(node, "apiVersion")).len &&
	       cox_node_str(COX_GET(node, "kind")).len;
}

static bool is_list(const struct cox_node *node)
{
	return cox_str_ends(cox_node_str(COX_GET(node, "kind")), "List") &&
	       cox_node_is(COX_GET(node, "items"), COX_LIST);
}

/* A name that YAML reads as a number or a boolean is a common slip. */
static int check_text(const struct cox_doc *doc, const struct cox_node *map, const char *key,
		      struct cox_error *err)
{
	const struct cox_node *value = cox_node_get(map, key);

	if (cox_node_kind(value) <= COX_NULL || cox_node_is(value, COX_STRING))
		return 0;
	return cox_node_error(err, doc, value, "metadata.%s: expected a string, got %s%s", key,
			      cox_kind_name(cox_node_kind(value)),
			      cox_node_len(value) ? "" : " (put it in quotes)");
}

static int check_object(const struct cox_doc *doc, const struct cox_node *node,
			struct cox_error *err)
{
	static const char *const texts[] = {"name", "generateName", "namespace"};
	const struct cox_node *metadata = COX_GET(node, "metadata");

	if (!is_object(node))
		return cox_node_error(err, doc, node,
				      "is not a Kubernetes object: it needs apiVersion and kind");
	if (!cox_node_is(metadata, COX_MAP))
		return cox_node_error(err, doc, metadata ? metadata : node,
				      "metadata: expected a map%s",
				      metadata ? "" : ", got nothing");
	for (size_t i = 0; i < COX_ARRAY_LEN(texts); i++)
		if (check_text(doc, metadata, texts[i], err) < 0)
			return -COX_INVALID_ARGUMENT;
	if (!cox_node_str(COX_GET(metadata, "name")).len &&
	    !cox_node_str(COX_GET(metadata, "generateName")).len)
		return cox_node_error(err, doc, metadata, "metadata.name: is required");
	return 0;
}

static int add_object(struct hub_render *r, struct cox_doc *doc, const struct cox_node *node,
		      struct cox_error *err)
{
	int e = check_object(doc, node, err);

	if (e < 0)
		return e;
	if (r->out->objects.n >= r->max_objects)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "'%s' has more than %zu objects",
				 r->path, r->max_objects);
	cox_vec_push(&r->out->objects,
		     node == cox_doc_root(doc) ? cox_doc_ref(doc) : cox_doc_view(doc, node));
	return 0;
}

static int add_items(struct hub_render *r, struct cox_doc *doc, const struct cox_node *list,
		     struct cox_error *err)
{
	const struct cox_node *items = COX_GET(list, "items");

	for (size_t i = 0; i < cox_node_len(items); i++) {
		int e = add_object(r, doc, cox_node_at(items, i), err);

		if (e < 0)
			return e;
	}
	return 0;
}

/* 1: the document is no object of Kubernetes. */
static int add_document(struct hub_render *r, struct cox_doc *doc, struct cox_error *err)
{
	const struct cox_node *root = cox_doc_root(doc);

	if (cox_node_kind(root) <= COX_NULL)
		return 0;
	if (is_list(root))
		return add_items(r, doc, root, err);
	if (!is_object(root) && !COX_GET(root, "apiVersion") && !COX_GET(root, "kind"))
		return 1;
	return add_object(r, doc, root, err);
}

/* Documents of a file that isn't about Kubernetes at all (a CI configuration, say) are left out;
 * one among objects is a mistake. */
static int add_documents(struct hub_render *r, const cox_docs *docs, struct cox_str content,
			 struct cox_error *err)
{
	size_t before = r->out->objects.n;

	for (size_t i = 0; i < docs->n; i++) {
		struct cox_doc *doc = docs->items[i];
		int e = add_document(r, doc, err);

		if (e < 0)
			return e;
		if (e == 1 && (r->out->objects.n > before || looks_like_object(content)))
			return check_object(doc, cox_doc_root(doc), err);
	}
	return 0;
}

/* One object, or a list of them as Jsonnet would give. */
static int render_json(struct hub_render *r, const char *path, struct cox_str content,
		       struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	int e;

	if (cox_str_trim(content).len == 0)
		return 0;
	e = cox_json_read(content, path, &doc, err);
	if (e < 0)
		return e;
	return add_document(r, doc, err) == 1 ? check_object(doc, cox_doc_root(doc), err) : 0;
}

static int render_yaml(struct hub_render *r, const char *path, struct cox_str content,
		       struct cox_error *err)
{
	static const struct cox_yaml_options options = {.max_documents = COX_LIMIT_APP_DOCS};
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_error why;
	int e = cox_yaml_read_all(content, path, &options, &docs, &why);

	if (e < 0 && e != -COX_INVALID_ARGUMENT)
		return cox_error(err, (enum cox_code) - e, "%s", why.message);
	if (e < 0 && !looks_like_object(content)) {
		hub_problem_add_at(&r->out->warnings, HUB_WARNING, path, 0, 0,
				   "left out, is no YAML and no Kubernetes object: %s",
				   why.message);
		return 0;
	}
	if (e < 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "%s", why.message);
	return add_documents(r, &docs, content, err);
}

int hub_render_file(struct hub_render *r, const char *path, struct cox_str content,
		    struct cox_error *err)
{
	if (has_text(content, SKIP_MARK))
		return 0;
	if (cox_str_ends(cox_str(path), ".json"))
		return render_json(r, path, content, err);
	return render_yaml(r, path, content, err);
}
