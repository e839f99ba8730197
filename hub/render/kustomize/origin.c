/* buildMetadata: where an object came from, and what changed it on its way, as annotations. */
#include "hub/render/kustomize/internal.h"

#include "common/doc/yaml.h"
#include "common/kube/meta.h"

#define ORIGIN		"config.kubernetes.io/origin"
#define TRANSFORMATIONS "alpha.config.kubernetes.io/transformations"

/* Two paths joined as texts: ".." takes a part away where there is one. */
const char *kz_join_text(struct kz *kz, const char *base, const char *text)
{
	struct cox_str rest = cox_str(kz_printf(kz, "%s/%s", base, text)), part;
	struct cox_buf b = COX_BUF_INIT;
	const char *joined;

	while (cox_str_split(&rest, '/', &part)) {
		const char *slash = b.len ? memrchr(b.ptr, '/', b.len) : NULL;
		size_t last = slash ? (size_t)(slash - b.ptr) + 1 : 0;

		if (!part.len || cox_str_is(part, "."))
			continue;
		if (cox_str_is(part, "..") && b.len &&
		    !cox_str_is(cox_str_n(b.ptr + last, b.len - last), "..")) {
			b.len = slash ? last - 1 : 0;
			continue;
		}
		if (b.len)
			cox_buf_putc(&b, '/');
		cox_buf_puts_str(&b, part);
	}
	joined = kz_str(kz, cox_buf_str(&b));
	cox_buf_fini(&b);
	return joined;
}

struct kz_origin *kz_origin_below(const struct kz_dir *dir, const char *text)
{
	struct kz_origin *o = cox_arena_calloc(&dir->kz->arena, sizeof(*o));

	*o = dir->origin;
	if (strstr(text, "://")) {
		o->path = text;
		return o;
	}
	o->path = kz_join_text(dir->kz, o->path, text);
	return o;
}

static struct kz_origin *configured(const struct kz_dir *dir, const char *kind)
{
	const char *slash = strrchr(dir->file, '/');
	struct kz_origin *o = kz_origin_below(dir, slash ? slash + 1 : dir->file);

	o->configured_in = o->path;
	o->path = "";
	o->api_version = "builtin";
	o->kind = kind;
	return o;
}

/* The plugin's own object says what it is called. */
static struct kz_origin *configured_by(struct kz *kz, const struct kz_res *plugin)
{
	const struct cox_node *root = kz_root(plugin);
	struct kz_origin *o = cox_arena_calloc(&kz->arena, sizeof(*o));

	if (plugin->origin)
		*o = *plugin->origin;
	o->configured_in = o->path;
	o->path = "";
	o->api_version = kz_str(kz, cox_node_str(COX_GET(root, "apiVersion")));
	o->kind = kz_str(kz, cox_meta_kind(root));
	o->name = kz_str(kz, cox_meta_name(root));
	o->namespace = kz_str(kz, cox_meta_namespace(root));
	return o;
}

static void put(struct cox_doc *doc, struct cox_node *map, const char *key, const char *text)
{
	if (text && *text)
		cox_map_put_cstr(doc, map, key, text);
}

static struct cox_node *origin_node(struct cox_doc *doc, const struct kz_origin *o)
{
	struct cox_node *map = cox_doc_map(doc), *by;

	put(doc, map, "path", o->path);
	put(doc, map, "repo", o->repo);
	put(doc, map, "ref", o->ref);
	put(doc, map, "configuredIn", o->configured_in);
	if (!o->kind)
		return map;
	by = cox_map_edit_map(doc, map, "configuredBy");
	put(doc, by, "apiVersion", o->api_version);
	put(doc, by, "kind", o->kind);
	put(doc, by, "name", o->name);
	put(doc, by, "namespace", o->namespace);
	return map;
}

static void annotate(struct kz_res *r, const char *key, struct cox_doc *doc, struct cox_node *node)
{
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;

	cox_doc_set_root(doc, node);
	cox_yaml_write(&b, node);
	kz_res_annotate(r, key, cox_buf_cstr(&b));
	cox_doc_unref(doc);
}

static void note(struct kz_acc *acc, const struct kz_origin *o)
{
	COX_VEC_EACH (&acc->res, r)
		if ((*r)->origin)
			cox_vec_push(&(*r)->changes, o);
		else
			(*r)->origin = o; /* who changed what came from nowhere has made it */
}

static bool is_tracking(const struct kz *kz)
{
	return kz->origins || kz->transformations;
}

void kz_note_file(const struct kz_dir *dir, struct kz_res *r, const char *text)
{
	if (is_tracking(dir->kz))
		r->origin = kz_origin_below(dir, text);
}

void kz_note_generator(const struct kz_dir *dir, struct kz_res *r, const char *kind)
{
	if (is_tracking(dir->kz))
		r->origin = configured(dir, kind);
}

void kz_note_plugin_generator(struct kz *kz, struct kz_res *r, const struct kz_res *plugin)
{
	if (is_tracking(kz))
		r->origin = configured_by(kz, plugin);
}

void kz_note_transformer(const struct kz_dir *dir, struct kz_acc *acc, const char *kind)
{
	if (is_tracking(dir->kz))
		note(acc, configured(dir, kind));
}

void kz_note_plugin_transformer(struct kz *kz, struct kz_acc *acc, const struct kz_res *plugin)
{
	if (is_tracking(kz))
		note(acc, configured_by(kz, plugin));
}

static void drop_annotation(struct kz_res *r, const char *key)
{
	struct cox_node *meta, *map;

	if (!cox_meta_annotation(kz_root(r), key).ptr)
		return;
	meta = cox_map_edit(r->doc, cox_doc_root_edit(r->doc), "metadata");
	map = cox_map_edit(r->doc, meta, "annotations");
	cox_map_drop(r->doc, map, cox_str(key));
	if (!cox_node_len(map))
		cox_map_drop(r->doc, meta, COX_STR("annotations"));
}

void kz_write_origin(struct kz *kz, struct kz_res *r)
{
	struct cox_doc *doc;
	struct cox_node *list;

	if (!kz->origins) {
		drop_annotation(r, ORIGIN);
	} else if (r->origin) {
		doc = kz_doc_new(kz, "origin");
		annotate(r, ORIGIN, doc, origin_node(doc, r->origin));
	}
	if (!kz->transformations) {
		drop_annotation(r, TRANSFORMATIONS);
	} else if (r->changes.n) {
		doc = kz_doc_new(kz, "transformations");
		list = cox_doc_list(doc);
		COX_VEC_EACH (&r->changes, o)
			cox_list_push(doc, list, origin_node(doc, *o));
		annotate(r, TRANSFORMATIONS, doc, list);
	}
}
