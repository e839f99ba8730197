/* vars: $(NAME) in the fields that are said to have it. */
#include "hub/render/kustomize/internal.h"

#include "common/kube/meta.h"

static void gvk_of(struct kz *kz, const struct cox_node *ref, struct kz_gvk *ret)
{
	struct cox_str group, version;

	cox_api_version_split(cox_node_str(COX_GET(ref, "apiVersion")), &group, &version);
	if (COX_GET(ref, "group"))
		group = cox_node_str(COX_GET(ref, "group"));
	if (COX_GET(ref, "version"))
		version = cox_node_str(COX_GET(ref, "version"));
	*ret = (struct kz_gvk){kz_str(kz, group), kz_str(kz, version),
			       kz_str(kz, cox_node_str(COX_GET(ref, "kind")))};
}

static int merge_one(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
		     const struct cox_node *node, struct cox_error *err)
{
	const struct cox_node *ref = COX_GET(node, "objref");
	struct kz_var v = {
		.doc = doc,
		.node = node,
		.name = kz_str(kz, cox_node_str(COX_GET(node, "name"))),
		.path = kz_str(kz, cox_node_str(COX_GET(node, "fieldref", "fieldPath")))};
	struct kz_res *found = NULL;
	bool by_namespace;

	if (!*v.path)
		v.path = "metadata.name";
	gvk_of(kz, ref, &v.id.gvk);
	v.id.name = kz_str(kz, cox_node_str(COX_GET(ref, "name")));
	v.id.namespace = kz_str(kz, cox_node_str(COX_GET(ref, "namespace")));
	v.id.gvk.cluster = kz_is_cluster_scoped(kz, &v.id.gvk);
	by_namespace = *v.id.namespace || v.id.gvk.cluster;
	COX_VEC_EACH (&acc->res, r) {
		if (!kz_res_has_any_id(kz, *r, &v.id,
				       by_namespace ? kz_id_equal : kz_id_equal_name))
			continue;
		if (found)
			return cox_node_error(err, doc, node,
					      "var '%s': more than one object is or was %s; name "
					      "its namespace",
					      v.name, kz_id_text(kz, &v.id));
		found = *r;
	}
	COX_VEC_EACH (&acc->vars, other)
		if (strcmp(other->name, v.name) == 0)
			return cox_node_error(err, doc, node, "var '%s' is defined twice", v.name);
	if (found)
		cox_vec_push(&found->vars, v.name);
	cox_vec_push(&acc->vars, v);
	return 0;
}

int kz_vars_merge(struct kz *kz, struct kz_acc *acc, const struct cox_doc *doc,
		  const struct cox_node *vars, struct cox_error *err)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < cox_node_len(vars); i++)
		e = merge_one(kz, acc, doc, cox_node_at(vars, i), err);
	return e;
}

/* ---- values ---- */

struct value {
	const char *name;
	const struct cox_node *node; /* a scalar */
};

struct values {
	struct kz *kz;
	const struct kz_res *r; /* where they are looked for */
	COX_VEC(struct value) list;
};

/* "spec.ports[0].name" */
static int look_up(struct kz *kz, const struct cox_node *node, const char *path,
		   const struct cox_node **ret, struct cox_error *err)
{
	const char **parts = NULL;
	int e = kz_split_path(kz, path, '.', &parts, err);

	for (; e == 0 && *parts; parts++) {
		const char *bracket = strchr(*parts, '[');
		size_t n = bracket ? (size_t)(bracket - *parts) : strlen(*parts);

		if (n && cox_node_is(node, COX_LIST) && strspn(*parts, "0123456789") == n)
			node = cox_node_at(node, strtoul(*parts, NULL, 10));
		else if (n)
			node = cox_node_get_str(node, cox_str_n(*parts, n));
		while (bracket) {
			node = cox_node_at(node, strtoul(bracket + 1, NULL, 10));
			bracket = strchr(bracket + 1, '[');
		}
	}
	if (e == 0)
		*ret = node;
	return e;
}

static int find_value(struct kz *kz, const struct kz_acc *acc, const struct kz_var *v,
		      const struct cox_node **ret, struct cox_error *err)
{
	COX_VEC_EACH (&acc->res, r)
		COX_VEC_EACH (&(*r)->vars, name) {
			if (strcmp(*name, v->name) != 0)
				continue;
			if (look_up(kz, kz_root(*r), v->path, ret, err) < 0)
				return kz_locate(err, cox_doc_name(v->doc), v->node);
			if (!*ret)
				return cox_node_error(err, v->doc, v->node,
						      "var '%s': %s has no field '%s'", v->name,
						      kz_id_text(kz, &v->id), v->path);
			return 0;
		}
	return cox_node_error(err, v->doc, v->node, "var '%s': there is no %s; correct its objref",
			      v->name, kz_id_text(kz, &v->id));
}

static const struct value *find(const struct values *values, struct cox_str name)
{
	COX_VEC_EACH (&values->list, v)
		if (cox_str_is(name, v->name))
			return v;
	return NULL;
}

/* $(NAME) becomes the value, $$ one dollar; what is unknown stays. A text that is nothing but one
 * reference takes the value's type. */
static int expand(const struct values *values, const struct kz_slot *slot, struct cox_error *err)
{
	struct cox_str text = cox_node_str(kz_slot_get(slot));
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
	int e = kz_check(values->kz, err);

	if (e < 0 || !text.len || !memchr(text.ptr, '$', text.len))
		return e;
	for (size_t i = 0; e == 0 && i < text.len; i++) {
		const char *close;
		const struct value *v;
		struct cox_str name;

		if (text.ptr[i] != '$' || i + 1 >= text.len) {
			cox_buf_putc(&b, text.ptr[i]);
			continue;
		}
		if (text.ptr[i + 1] == '$') {
			cox_buf_putc(&b, '$');
			i++;
			continue;
		}
		close = text.ptr[i + 1] == '(' ? memchr(text.ptr + i, ')', text.len - i) : NULL;
		if (!close) {
			cox_buf_putc(&b, '$');
			cox_buf_putc(&b, text.ptr[++i]);
			continue;
		}
		name = cox_str_n(text.ptr + i + 2, (size_t)(close - text.ptr) - i - 2);
		v = find(values, name);
		if (v && name.len + 3 == text.len) {
			kz_slot_put(slot, cox_doc_clone(slot->doc, v->node));
			return 0;
		}
		if (v)
			cox_buf_puts_str(&b, cox_node_text(v->node));
		else
			cox_buf_printf(&b, "$(%.*s)", COX_STR_ARG(name));
		e = kz_check_text(b.len, err);
		i = (size_t)(close - text.ptr);
	}
	if (e == 0)
		e = kz_check_text(b.len, err);
	if (e == 0)
		kz_slot_put(slot, cox_doc_string(slot->doc, cox_buf_str(&b)));
	return e;
}

/* What was made of a text is one again. */
static const struct cox_node *get_value(const struct values *values, const struct kz_slot *slot)
{
	COX_VEC_EACH (&values->r->untyped, node)
		if (*node == kz_slot_get(slot) && !cox_node_is(*node, COX_STRING))
			kz_slot_put(slot, cox_doc_string(slot->doc, cox_node_written(*node)));
	return kz_slot_get(slot);
}

static int set_value(void *ctx, const struct kz_slot *slot, struct cox_error *err)
{
	const struct values *values = ctx;
	const struct cox_node *value = get_value(values, slot);
	struct cox_node *own;
	int e = 0;

	if (cox_node_is(value, COX_STRING))
		return expand(values, slot, err);
	if (!cox_node_is(value, COX_MAP) && !cox_node_is(value, COX_LIST))
		return 0;
	own = kz_slot_edit(slot);
	for (size_t i = 0; e == 0 && i < cox_node_len(own); i++) {
		struct kz_slot at = {slot->doc, own, {NULL, 0}, i};
		const struct cox_node *item;

		if (cox_node_is(own, COX_MAP))
			at.key = cox_node_key(own, i);
		item = get_value(values, &at);
		if (cox_node_is(item, COX_STRING))
			e = expand(values, &at, err);
		else if (cox_node_is(own, COX_LIST))
			return cox_node_error(err, slot->doc, item,
					      "vars: expected a string in this list, got %s",
					      cox_kind_name(cox_node_kind(item)));
	}
	return e;
}

int kz_vars_resolve(struct kz *kz, struct kz_acc *acc, struct cox_error *err)
{
	struct values values = {.kz = kz};
	struct cox_doc *doc = NULL;
	int e = 0;

	if (!acc->vars.n)
		return 0;
	doc = kz_doc_new(kz, "vars");
	cox_vec_push(&kz->docs, doc);
	COX_VEC_EACH (&acc->vars, v) {
		const struct cox_node *node = NULL;

		e = find_value(kz, acc, v, &node, err);
		if (e < 0)
			break;
		if (!cox_node_is(node, COX_MAP) && !cox_node_is(node, COX_LIST))
			cox_vec_push(&values.list, (struct value){v->name, kz_as_read(doc, node)});
	}
	COX_VEC_EACH (&acc->res, r) {
		values.r = *r;
		COX_VEC_EACH (&acc->config.lists[KZ_VAR_REFERENCE], spec)
			if (e == 0 &&
			    (e = kz_field(kz, *r, spec, COX_ABSENT, set_value, &values, err)) < 0)
				kz_locate(err, cox_doc_name((*r)->doc), kz_root(*r));
	}
	cox_vec_fini(&values.list);
	return e;
}
