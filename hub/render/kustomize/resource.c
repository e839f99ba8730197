/* Resources, their identities now and before, and lists of them. */
#include "hub/render/kustomize/internal.h"

#include "common/kube/meta.h"

#define NOWHERE "_non_namespaceable_"

const char *kz_str(struct kz *kz, struct cox_str text)
{
	return text.len ? cox_arena_strndup(&kz->arena, text.ptr, text.len) : "";
}

const char *kz_strdup(struct kz *kz, const char *text)
{
	return kz_str(kz, cox_str(text));
}

const char *kz_printf(struct kz *kz, const char *format, ...)
{
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(&b, format, args);
	va_end(args);
	return kz_str(kz, cox_buf_str(&b));
}

/* ---- identities ---- */

static bool fits(const char *value, const char *by)
{
	return !*by || strcmp(value, by) == 0;
}

bool kz_gvk_selected(const struct kz_gvk *gvk, const struct kz_gvk *by)
{
	return fits(gvk->kind, by->kind) && fits(gvk->group, by->group) &&
	       fits(gvk->version, by->version);
}

const char *kz_effective_namespace(const struct kz_id *id)
{
	if (id->gvk.cluster)
		return NOWHERE;
	return *id->namespace ? id->namespace : "default";
}

bool kz_id_equal_name(const struct kz_id *a, const struct kz_id *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->gvk.kind, b->gvk.kind) == 0 &&
	       strcmp(a->gvk.group, b->gvk.group) == 0 &&
	       strcmp(a->gvk.version, b->gvk.version) == 0;
}

bool kz_id_equal(const struct kz_id *a, const struct kz_id *b)
{
	return kz_id_equal_name(a, b) &&
	       strcmp(kz_effective_namespace(a), kz_effective_namespace(b)) == 0;
}

const char *kz_id_text(struct kz *kz, const struct kz_id *id)
{
	return kz_printf(kz, "%s '%s' (%s%s%s%s%s)", id->gvk.kind, id->name, id->gvk.group,
			 *id->gvk.group ? "/" : "", id->gvk.version,
			 *id->namespace ? ", namespace " : "", id->namespace);
}

const char *kz_place(struct kz *kz, const struct kz_res *r)
{
	uint32_t line = cox_node_line(kz_root(r));

	return line ? kz_printf(kz, "%s:%u", cox_doc_name(r->doc), line)
		    : kz_strdup(kz, cox_doc_name(r->doc));
}

/* ---- resources ---- */

/* An identity and the values that it was read from. Who is asked for it is asked again and again, and
 * mostly nothing has changed: a value is never changed, another one takes its place. */
struct kz_known {
	const struct cox_node *from[4];
	struct kz_id id;
};

static const struct kz_known nothing_known = {.id = {{"", "", ""}, "", ""}};

struct kz_res *kz_res_new(struct kz *kz, struct cox_doc *doc)
{
	struct kz_res *r = cox_arena_calloc(&kz->arena, sizeof(*r));

	r->known = cox_arena_calloc(&kz->arena, sizeof(*r->known));
	*r->known = nothing_known;
	r->doc = cox_doc_edit(doc);
	cox_doc_unref(doc);
	cox_vec_push(&kz->all, r);
	return r;
}

const struct cox_node *kz_root(const struct kz_res *r)
{
	return r->doc ? cox_doc_root(r->doc) : NULL;
}

struct kz_gvk kz_res_gvk(struct kz *kz, const struct kz_res *r)
{
	return kz_res_id(kz, r).gvk;
}

struct kz_id kz_res_id(struct kz *kz, const struct kz_res *r)
{
	const struct cox_node *root = kz_root(r), *meta = COX_GET(root, "metadata");
	struct kz_known now = {.from = {COX_GET(root, "apiVersion"), COX_GET(root, "kind"),
					COX_GET(meta, "name"), COX_GET(meta, "namespace")}};

	if (now.from[1] && memcmp(now.from, r->known->from, sizeof(now.from)) == 0)
		return r->known->id;
	now.id = (struct kz_id){{kz_str(kz, cox_meta_group(root)),
				 kz_str(kz, cox_meta_version(root)),
				 kz_str(kz, cox_meta_kind(root))},
				kz_str(kz, cox_node_written(now.from[2])),
				kz_str(kz, cox_node_str(now.from[3]))};
	now.id.gvk.cluster = kz_is_cluster_scoped(kz, &now.id.gvk);
	*r->known = now;
	return now.id;
}

struct kz_id kz_res_original(struct kz *kz, const struct kz_res *r)
{
	return r->previous.n ? r->previous.items[0] : kz_res_id(kz, r);
}

void kz_forget_ids(struct kz *kz)
{
	COX_VEC_EACH (&kz->all, r)
		*(*r)->known = nothing_known;
}

struct kz_id kz_id_then(struct kz *kz, const struct kz_id *old, const struct kz_id *now)
{
	struct kz_id then = *old;

	then.gvk.group = now->gvk.group;
	then.gvk.version = now->gvk.version;
	then.gvk.cluster = strcmp(then.gvk.kind, now->gvk.kind) == 0
				   ? now->gvk.cluster
				   : kz_is_cluster_scoped(kz, &then.gvk);
	return then;
}

/* Earlier identities keep kind, name and effective namespace; group and version are always the
 * current ones. */
void kz_res_remember(struct kz *kz, struct kz_res *r)
{
	struct kz_id id = kz_res_id(kz, r);

	id.namespace = kz_effective_namespace(&id);
	cox_vec_push(&r->previous, id);
}

struct cox_doc *kz_res_sealed(struct kz_res *r)
{
	struct cox_doc *sealed = cox_doc_seal(r->doc);

	r->doc = cox_doc_edit(sealed);
	cox_doc_unref(sealed);
	return sealed; /* r->doc holds it */
}

void kz_share(struct kz_res *r, const struct cox_node *value)
{
	cox_vec_push(&r->shared, value);
}

static bool holds(struct kz *kz, const struct cox_node *node, const struct cox_node *value)
{
	kz->n_steps++;
	for (size_t i = 0; i < cox_node_len(node); i++)
		if (cox_node_at(node, i) == value || holds(kz, cox_node_at(node, i), value))
			return true;
	return false;
}

static void put_everywhere(struct kz *kz, struct cox_doc *doc, struct cox_node *node,
			   const struct cox_node *old, const struct cox_node *now)
{
	for (size_t i = 0; i < cox_node_len(node); i++) {
		struct kz_slot slot = {doc, node, {NULL, 0}, i};

		if (cox_node_is(node, COX_MAP))
			slot.key = cox_node_key(node, i);
		if (cox_node_at(node, i) == old)
			kz_slot_put(&slot, now);
		else if (holds(kz, cox_node_at(node, i), old))
			put_everywhere(kz, doc, kz_slot_edit(&slot), old, now);
	}
}

void kz_overwrite(struct kz *kz, struct kz_res *r, const struct cox_node *old,
		  const struct cox_node *now)
{
	kz->n_steps += r->shared.n;
	COX_VEC_EACH (&r->shared, value)
		if (old && *value == old) {
			*value = now;
			put_everywhere(kz, r->doc, cox_doc_root_edit(r->doc), old, now);
			return;
		}
}

const struct cox_node **kz_untyped(struct kz *kz, const struct kz_res *r,
				   const struct cox_node *value)
{
	kz->n_steps += r->untyped.n;
	COX_VEC_EACH (&r->untyped, it)
		if (*it == value)
			return it;
	return NULL;
}

void kz_quote_untyped(struct kz *kz, struct kz_res *r)
{
	size_t n = 0;

	COX_VEC_EACH (&r->untyped, it) {
		const struct cox_node *old = *it;

		if (cox_node_is(old, COX_STRING))
			r->untyped.items[n++] = old;
		else
			put_everywhere(kz, r->doc, cox_doc_root_edit(r->doc), old,
				       cox_doc_string(r->doc, cox_node_written(old)));
	}
	r->untyped.n = n;
}

struct cox_node *kz_as_read(struct cox_doc *doc, const struct cox_node *scalar)
{
	switch (cox_node_kind(scalar)) {
	case COX_NULL:
		return cox_doc_null(doc);
	case COX_BOOL:
		return cox_doc_bool(doc, cox_node_bool(scalar, false));
	case COX_STRING:
		return cox_doc_string(doc, cox_node_str(scalar));
	default:
		return cox_doc_number(doc, cox_node_text(scalar));
	}
}

static bool has_written(const struct cox_node *node)
{
	for (size_t i = 0; i < cox_node_len(node); i++)
		if (has_written(cox_node_at(node, i)))
			return true;
	return cox_node_written(node).ptr != cox_node_text(node).ptr;
}

static void forget_written(struct cox_doc *doc, struct cox_node *own)
{
	for (size_t i = 0; i < cox_node_len(own); i++) {
		const struct cox_node *value = cox_node_at(own, i);
		struct kz_slot slot = {doc, own, {NULL, 0}, i};

		if (cox_node_is(own, COX_MAP))
			slot.key = cox_node_key(own, i);
		if (!has_written(value))
			continue;
		if (cox_node_len(value))
			forget_written(doc, kz_slot_edit(&slot));
		else
			kz_slot_put(&slot, kz_as_read(doc, value));
	}
}

void kz_res_as_json(struct kz_res *r)
{
	if (has_written(kz_root(r)))
		forget_written(r->doc, cox_doc_root_edit(r->doc));
	cox_vec_clear(&r->shared);
	cox_vec_clear(&r->untyped);
	r->json = true;
}

void kz_res_replace(struct kz_res *r, struct cox_doc *doc)
{
	cox_doc_unref(r->doc);
	r->doc = doc;
	*r->known = nothing_known; /* the values' memory may be used again */
}

void kz_res_put_meta(struct kz_res *r, const char *key, const char *value)
{
	struct cox_node *meta = cox_map_edit_map(r->doc, cox_doc_root_edit(r->doc), "metadata");

	if (*value)
		cox_map_put_cstr(r->doc, meta, key, value);
	else
		cox_map_drop(r->doc, meta, cox_str(key));
}

void kz_res_annotate(struct kz_res *r, const char *key, const char *value)
{
	struct cox_node *meta = cox_map_edit_map(r->doc, cox_doc_root_edit(r->doc), "metadata");

	cox_map_put_cstr(r->doc, cox_map_edit_map(r->doc, meta, "annotations"), key, value);
}

bool kz_res_has_any_id(struct kz *kz, const struct kz_res *r, const struct kz_id *id,
		       bool (*equal)(const struct kz_id *, const struct kz_id *))
{
	struct kz_id now;

	if (!r->doc)
		return false;
	now = kz_res_id(kz, r);
	COX_VEC_EACH (&r->previous, old) {
		struct kz_id then = kz_id_then(kz, old, &now);

		if (strcmp(then.namespace, NOWHERE) == 0)
			then.namespace = "";
		if (equal(&then, id))
			return true;
	}
	return equal(&now, id);
}

/* ---- lists ---- */

void kz_acc_fini(struct kz_acc *acc)
{
	cox_vec_fini(&acc->res);
	cox_map_fini(&acc->index);
	kz_config_fini(&acc->config);
	cox_vec_fini(&acc->vars);
}

static const char *id_key(struct kz *kz, const struct kz_id *id)
{
	return kz_printf(kz, "%s\n%s\n%s\n%s\n%s", id->gvk.group, id->gvk.version, id->gvk.kind,
			 kz_effective_namespace(id), id->name);
}

/* The first that is there twice, and the one that it is equal to; NULL: none. */
const struct kz_res *kz_find_double(struct kz *kz, const kz_list *list)
{
	_cleanup_map_ struct cox_map ids = COX_MAP_INIT;

	COX_VEC_EACH (list, r) {
		struct kz_id id = kz_res_id(kz, *r);

		if (cox_map_set(&ids, id_key(kz, &id), *r))
			return *r;
	}
	return NULL;
}

static void index_again(struct kz *kz, struct kz_acc *acc)
{
	cox_map_clear(&acc->index);
	COX_VEC_EACH (&acc->res, r) {
		struct kz_id id = kz_res_id(kz, *r);

		cox_map_set(&acc->index, id_key(kz, &id), *r);
	}
	acc->indexed = true;
}

int kz_acc_append(struct kz *kz, struct kz_acc *acc, struct kz_res *r, struct cox_error *err)
{
	struct kz_id id = kz_res_id(kz, r);
	size_t max = kz->in->max_objects;
	const struct kz_res *other;
	const char *key = id_key(kz, &id);
	int e = kz_check(kz, err);

	if (e < 0)
		return e;
	if (!acc->indexed)
		index_again(kz, acc);
	other = cox_map_get(&acc->index, key);
	if (other)
		return cox_error(err, COX_ALREADY_EXISTS,
				 "%s is there twice; remove one, or give one another name "
				 "(first in %s, again in %s)",
				 kz_id_text(kz, &id), kz_place(kz, other), kz_place(kz, r));
	if (acc->res.n >= max)
		return cox_error(
			err, COX_RESOURCE_EXHAUSTED,
			"with %s, there are more than %zu objects; divide them into several "
			"applications",
			kz_id_text(kz, &id), max);
	cox_vec_push(&acc->res, r);
	cox_map_set(&acc->index, key, r);
	return 0;
}

/* What the new one says wins over what the old one said; that becomes texts. A null is an empty one in
 * data, and in labels and annotations as it was written. */
static void merge_maps(struct kz *kz, struct kz_res *into, const struct kz_res *r,
		       const char *parent, const char *key)
{
	const struct cox_node *old = kz_root(r);
	const struct cox_node *from = parent ? COX_GET(old, parent, key) : COX_GET(old, key);
	struct cox_node *at = cox_doc_root_edit(into->doc);

	if (!cox_node_len(from))
		return;
	if (parent)
		at = cox_map_edit_map(into->doc, at, parent);
	at = cox_map_edit_map(into->doc, at, key);
	for (size_t i = 0; i < cox_node_len(from); i++) {
		const struct cox_node *value = cox_node_at(from, i);
		bool empty = !parent && cox_node_is(value, COX_NULL) && !kz_untyped(kz, r, value);

		if (!cox_node_get_str(at, cox_node_key(from, i)))
			cox_map_put_str(into->doc, at, cox_node_key(from, i),
					cox_doc_string(into->doc, empty ? COX_STR("")
									: cox_node_written(value)));
	}
}

static void take_over(struct kz *kz, struct kz_res *old, struct kz_res *new, bool data)
{
	struct cox_doc *sealed = kz_res_sealed(old);
	struct kz_id id = kz_res_id(kz, old);

	cox_doc_use(new->doc, sealed);
	merge_maps(kz, new, old, "metadata", "labels");
	merge_maps(kz, new, old, "metadata", "annotations");
	kz_res_put_meta(new, "name", id.name);
	kz_res_put_meta(new, "namespace", id.namespace);
	if (data) {
		merge_maps(kz, new, old, NULL, "data");
		merge_maps(kz, new, old, NULL, "binaryData");
	}
	kz_res_replace(old, cox_doc_edit(cox_doc_seal(new->doc)));
	if (!data || !old->origin)
		old->origin = new->origin;
	old->hash = old->hash && new->hash;
}

int kz_acc_absorb(struct kz *kz, struct kz_acc *acc, struct kz_res *r, struct cox_error *err)
{
	struct kz_id id = kz_res_id(kz, r);
	struct kz_res *found = NULL;

	kz->n_steps += acc->res.n;
	COX_VEC_EACH (&acc->res, it) {
		if (!kz_res_has_any_id(kz, *it, &id, kz_id_equal))
			continue;
		if (found)
			return cox_error(err, COX_FAILED_PRECONDITION,
					 "more than one resource is or was %s; name a namespace",
					 kz_id_text(kz, &id));
		found = *it;
	}
	if (!found && r->behavior >= KZ_REPLACE)
		return cox_error(
			err, COX_NOT_FOUND,
			"there is no %s to %s; use `behavior: create`, or correct the name",
			kz_id_text(kz, &id), r->behavior == KZ_MERGE ? "merge into" : "replace");
	if (!found)
		return kz_acc_append(kz, acc, r, err);
	if (r->behavior < KZ_REPLACE)
		return cox_error(err, COX_ALREADY_EXISTS,
				 "%s exists already; say `behavior: merge` or `replace`",
				 kz_id_text(kz, &id));
	take_over(kz, found, r, r->behavior == KZ_MERGE);
	return 0;
}

int kz_acc_merge(struct kz *kz, struct kz_acc *acc, struct kz_acc *other, struct cox_error *err)
{
	COX_VEC_EACH (&other->res, r) {
		int e = kz_acc_append(kz, acc, *r, err);

		if (e < 0)
			return e;
	}
	COX_VEC_EACH (&other->vars, v) {
		COX_VEC_EACH (&acc->vars, w)
			if (strcmp(v->name, w->name) == 0)
				return cox_error(err, COX_ALREADY_EXISTS,
						 "var '%s' is defined twice", v->name);
		cox_vec_push(&acc->vars, *v);
	}
	return kz_config_merge(&acc->config, &other->config, err);
}

void kz_acc_drop_deleted(struct kz_acc *acc)
{
	size_t n = 0;

	acc->indexed = false;

	COX_VEC_EACH (&acc->res, r)
		if ((*r)->doc && cox_node_len(kz_root(*r)))
			acc->res.items[n++] = *r;
	acc->res.n = n;
}
