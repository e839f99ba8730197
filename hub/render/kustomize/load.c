/* Files: which a kustomization may read, and what is in them. */
#include "hub/render/kustomize/internal.h"

#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/doc/yaml.h"
#include "common/kube/meta.h"

const char *const hub_kustomize_names[] = {"kustomization.yaml", "kustomization.yml",
					   "Kustomization", NULL};

int kz_locate(struct cox_error *err, const char *file, const struct cox_node *node)
{
	const char *end, *colon;

	if (!err)
		return -COX_UNKNOWN;
	end = strchrnul(err->message, ' ');
	colon = memchr(err->message, ':', (size_t)(end - err->message));
	if (colon && colon[1] >= '0' && colon[1] <= '9')
		return -err->code;
	if (!cox_node_line(node))
		return cox_error_wrap(err, "%s", file);
	return cox_error_wrap(err, "%s:%u:%u", file, cox_node_line(node), cox_node_column(node));
}

static bool is_inside(const char *path, const char *root)
{
	size_t n = strlen(root);

	return n == 0 || (strncmp(path, root, n) == 0 && (path[n] == '/' || !path[n]));
}

static int read_path(struct kz *kz, struct hub_tree *tree, const char *path, struct cox_buf *out,
		     struct cox_error *err)
{
	size_t before = out->len;
	int e = hub_tree_read(tree, path, COX_LIMIT_FILE_BYTES, out, err);

	if (e < 0)
		return e;
	kz->n_bytes += out->len - before;
	if (kz->n_bytes > kz->in->max_bytes)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "with '%s', the files of this kustomization are larger than %zu "
				 "bytes together, each counted as often as read; divide it into "
				 "several applications",
				 path, kz->in->max_bytes);
	return 0;
}

const char *kz_file_name(struct kz *kz, const char *repo, const char *path)
{
	return repo ? kz_printf(kz, "%s//%s", repo, path) : kz_strdup(kz, path);
}

static int read_remote(const struct kz_dir *dir, const char *text, const char **ret_path,
		       struct cox_buf *out, struct cox_error *err)
{
	struct kz_place_in at;
	int e = kz_remote_find(dir, text, &at, err);

	if (e == 0 && !at.file)
		return cox_error(err, COX_INVALID_ARGUMENT, "'%s' is a directory", text);
	if (e == 0)
		e = read_path(dir->kz, at.tree, at.path, out, err);
	if (e == 0 && ret_path)
		*ret_path = kz_file_name(dir->kz, at.name, at.path);
	return e;
}

/* Links are looked through: what one of the directory leads to must be inside too. */
static int check_inside(const struct kz_dir *dir, const char *path, struct cox_error *err)
{
	_cleanup_free_ char *real = NULL, *root = NULL;
	int e = hub_tree_real(dir->tree, path, &real, err);

	if (e == 0)
		e = hub_tree_real(dir->tree, dir->path, &root, err);
	if (e < 0 || (is_inside(path, dir->path) && is_inside(real, root)))
		return e;
	return cox_error(
		err, COX_PERMISSION_DENIED,
		"file '%s' is not in or below '%s': a kustomization reads files of its own "
		"directory only; make a base of the other one",
		is_inside(path, dir->path) ? real : path, *dir->path ? dir->path : ".");
}

int kz_read(const struct kz_dir *dir, const char *text, const char **ret_path, struct cox_buf *out,
	    struct cox_error *err)
{
	_cleanup_free_ char *path = NULL;
	struct kz *kz = dir->kz;
	int e;

	if (strstr(text, "://"))
		return read_remote(dir, text, ret_path, out, err);
	e = hub_path_resolve(dir->path, cox_str(text), &path, err);
	if (e < 0)
		return e;
	if (!kz->in->load_anywhere)
		e = check_inside(dir, path, err);
	if (e == 0)
		e = read_path(kz, dir->tree, path, out, err);
	if (e == -COX_NOT_FOUND)
		return cox_error(err, COX_NOT_FOUND, "there is no file '%s'", path);
	if (e < 0)
		return e;
	if (ret_path)
		*ret_path = kz_file_name(kz, dir->repo, path);
	return 0;
}

int kz_parse(struct kz *kz, struct cox_str text, const char *name, cox_docs *ret,
	     struct cox_error *err)
{
	struct cox_yaml_options options = {.schema = COX_YAML_KUSTOMIZE,
					   .max_documents = kz->in->max_documents,
					   .account = kz->account,
					   .keep_written = true};
	size_t before = ret->n;
	int e = kz_check(kz, err);

	if (e == 0)
		e = cox_yaml_read_all(text, name, &options, ret, err);
	if (e < 0)
		return e;
	kz->n_documents += ret->n - before;
	if (kz->n_documents > kz->in->max_documents)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "with '%s', the build reads more than %zu documents; divide it "
				 "into several applications",
				 name, kz->in->max_documents);
	return 0;
}

static int add_object(struct kz *kz, struct cox_doc *doc, const struct cox_node *node, kz_list *ret,
		      struct cox_error *err)
{
	const struct cox_node *name = COX_GET(node, "metadata", "name");

	if (!cox_node_is(node, COX_MAP))
		return cox_node_error(err, doc, node, "expected an object, got %s",
				      cox_kind_name(cox_node_kind(node)));
	if (!cox_meta_kind(node).len)
		return cox_node_error(err, doc, node,
				      "is not a Kubernetes object: `kind` is missing");
	if (!cox_node_text(name).len)
		return cox_node_error(err, doc, node, "metadata.name: is required");
	cox_vec_push(ret, kz_res_new(kz, node == cox_doc_root(doc) ? cox_doc_ref(doc)
								   : cox_doc_view(doc, node)));
	/* the reference program takes lists apart as JSON */
	if (node != cox_doc_root(doc))
		kz_res_as_json(ret->items[ret->n - 1]);
	return 0;
}

/* What is to be added yet: documents, and behind them what is in the lists among them. */
struct pending {
	struct cox_doc *doc;
	const struct cox_node *node;
	int depth; /* of lists around it */
};
typedef COX_VEC(struct pending) pending_queue;

static int add_items(const struct pending *list, const struct cox_node *items, pending_queue *queue,
		     struct cox_error *err)
{
	struct pending item = {list->doc, NULL, list->depth + 1};

	if (cox_node_kind(items) > COX_NULL && !cox_node_is(items, COX_LIST))
		return cox_node_error(err, list->doc, items,
				      "items: of a kind that ends in List, must be a list of "
				      "objects, got %s",
				      cox_kind_name(cox_node_kind(items)));
	if (cox_node_len(items) && item.depth > HUB_LIMIT_KUSTOMIZE_LISTS)
		return cox_node_error(err, list->doc, list->node,
				      "lists of objects more than %d deep inside one another",
				      HUB_LIMIT_KUSTOMIZE_LISTS);
	for (size_t i = 0; i < cox_node_len(items); i++) {
		item.node = cox_node_at(items, i);
		cox_vec_push(queue, item);
	}
	return 0;
}

static int add_document(struct kz *kz, const struct pending *it, pending_queue *queue, kz_list *ret,
			struct cox_error *err)
{
	const struct cox_node *node = it->node, *items = COX_GET(node, "items");

	if (cox_node_kind(node) <= COX_NULL || (cox_node_is(node, COX_MAP) && !cox_node_len(node)))
		return 0;
	if (!cox_str_ends(cox_meta_kind(node), "List") ||
	    (!items && !cox_str_is(cox_meta_kind(node), "List")))
		return add_object(kz, it->doc, node, ret, err);
	return add_items(it, items, queue, err);
}

int kz_objects(struct kz *kz, const cox_docs *docs, kz_list *ret, struct cox_error *err)
{
	pending_queue queue = {0};
	int e = 0;

	COX_VEC_EACH (docs, doc)
		cox_vec_push(&queue, ((struct pending){*doc, cox_doc_root(*doc), 0}));
	for (size_t i = 0; e == 0 && i < queue.n; i++) {
		struct pending it = queue.items[i];

		e = add_document(kz, &it, &queue, ret, err);
	}
	cox_vec_fini(&queue);
	return e;
}

int kz_resources(struct kz *kz, struct cox_str text, const char *name, kz_list *ret,
		 struct cox_error *err)
{
	_cleanup_docs_ cox_docs docs = {0};
	int e = kz_parse(kz, text, name, &docs, err);

	return e < 0 ? e : kz_objects(kz, &docs, ret, err);
}

/* The first document: what follows it counts for nothing, as with the reference program. */
static int read_first(struct kz *kz, struct cox_str text, const char *name,
		      struct cox_yaml_options options, struct cox_doc **ret, struct cox_error *err)
{
	_cleanup_docs_ cox_docs docs = {0};
	int e;

	options.account = kz->account;
	options.max_documents = kz->in->max_documents;
	e = cox_yaml_read_all(text, name, &options, &docs, err);
	if (e < 0)
		return e;
	if (!docs.n)
		return cox_error(err, COX_INVALID_ARGUMENT, "%s: is empty; it needs one document",
				 name);
	*ret = cox_doc_ref(docs.items[0]);
	cox_vec_push(&kz->docs, *ret);
	return 0;
}

int kz_load_yaml(const struct kz_dir *dir, const char *text, struct cox_doc **ret,
		 struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf content = COX_BUF_INIT;
	const char *path;
	int e = kz_read(dir, text, &path, &content, err);

	return e < 0 ? e
		     : read_first(dir->kz, cox_buf_str(&content), path,
				  (struct cox_yaml_options){0}, ret, err);
}

/* ---- kustomization.yaml ---- */

static int check_kind(struct kz_dir *dir, struct cox_error *err)
{
	const struct cox_node *kind = COX_GET(dir->k, "kind");
	const struct cox_node *version = COX_GET(dir->k, "apiVersion");
	const char *want = "kustomize.config.k8s.io/v1beta1";

	dir->component = cox_str_is(cox_node_str(kind), "Component");
	if (kind && !dir->component && !cox_str_is(cox_node_str(kind), "Kustomization"))
		return cox_node_error(err, dir->doc, kind,
				      "kind: must be Kustomization or Component");
	if (dir->component)
		want = "kustomize.config.k8s.io/v1alpha1";
	if (version && !cox_str_is(cox_node_str(version), want))
		return cox_node_error(err, dir->doc, version, "apiVersion: must be %s for a %s",
				      want, dir->component ? "Component" : "Kustomization");
	return 0;
}

static int find_file(struct kz_dir *dir, struct cox_buf *content, struct cox_error *err)
{
	const char *found = NULL;

	for (const char *const *name = hub_kustomize_names; *name; name++) {
		_cleanup_free_ char *path =
			*dir->path ? cox_path_join(dir->path, *name) : cox_strdup(*name);
		_cleanup_buf_ struct cox_buf one = COX_BUF_INIT;
		int e = read_path(dir->kz, dir->tree, path, &one, err);

		if (e == -COX_NOT_FOUND)
			continue;
		if (e < 0)
			return e;
		if (found)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "'%s' and '%s' are both there; keep one", found, path);
		found = kz_file_name(dir->kz, dir->repo, path);
		cox_buf_puts_str(content, cox_buf_str(&one));
	}
	if (!found)
		return cox_error(err, COX_NOT_FOUND,
				 "'%s' has no kustomization.yaml, kustomization.yml or "
				 "Kustomization",
				 *dir->path ? dir->path : ".");
	dir->file = found;
	return 0;
}

/* `bases` are resources, `imageTags` images. */
static void fold(struct cox_doc *doc, struct cox_node *k, const char *old, const char *name)
{
	const struct cox_node *from = COX_GET(k, old);
	struct cox_node *list;

	if (!from)
		return;
	list = cox_map_edit_list(doc, k, name);
	for (size_t i = 0; i < cox_node_len(from); i++)
		cox_list_push(doc, list, cox_node_at(from, i));
}

static void fold_old(struct kz_dir *dir)
{
	struct cox_doc *doc = cox_doc_edit(dir->doc);

	fold(doc, cox_doc_root_edit(doc), "bases", "resources");
	fold(doc, cox_doc_root_edit(doc), "imageTags", "images");
	cox_vec_push(&dir->kz->docs, doc);
	dir->doc = cox_doc_seal(doc);
}

int kz_dir_load(struct kz_dir *dir, struct cox_error *err)
{
	/* the reference program reads this one file so; of a key that is there twice the last counts */
	static const struct cox_yaml_options options = {.last_key_wins = true};
	_cleanup_buf_ struct cox_buf content = COX_BUF_INIT;
	struct cox_doc *doc = NULL;
	int e = find_file(dir, &content, err);

	if (e == 0)
		e = read_first(dir->kz, cox_buf_str(&content), dir->file, options, &doc, err);
	if (e < 0)
		return e;
	if (!cox_node_is(cox_doc_root(doc), COX_MAP))
		return cox_node_error(err, doc, cox_doc_root(doc),
				      "expected a map, got %s: a kustomization is a map with "
				      "`resources`",
				      cox_kind_name(cox_node_kind(cox_doc_root(doc))));
	e = kz_check_shape(dir->kz, &doc, err);
	if (e < 0)
		return e;
	dir->doc = doc;
	if (COX_GET(cox_doc_root(doc), "bases") || COX_GET(cox_doc_root(doc), "imageTags"))
		fold_old(dir);
	dir->k = cox_doc_root(dir->doc);
	return check_kind(dir, err);
}
