#include "tests/kubesim/normal.h"

#include "common/base/encode.h"
#include "common/kube/quantity.h"

/* Empty scalars that the API keeps, because their Go fields are pointers; every other empty string
 * and false is dropped. */
static const char *const kept_strings[] = {"storageClassName", "ingressClassName",
					   "loadBalancerClass", "hostPath.type", NULL};
static const char *const kept_bools[] = {"automountServiceAccountToken",
					 "enableServiceLinks",
					 "suspend",
					 "immutable",
					 "runAsNonRoot",
					 "privileged",
					 "readOnlyRootFilesystem",
					 "allowPrivilegeEscalation",
					 "optional",
					 "controller",
					 "blockOwnerDeletion",
					 "allocateLoadBalancerNodePorts",
					 "shareProcessNamespace",
					 "hostUsers",
					 "setHostnameAsFQDN",
					 "ready",
					 "serving",
					 "terminating",
					 "manualSelector",
					 "allowVolumeExpansion",
					 "attachRequired",
					 "podInfoOnMount",
					 "requiresRepublish",
					 "storageCapacity",
					 "started",
					 "hostProcess",
					 NULL};
/* Zeros that are dropped; in a struct "…Status" nearly all are. */
static const char *const dropped_ints[] = {"minReadySeconds",
					   "observedGeneration",
					   "hostPort",
					   "initialDelaySeconds",
					   "periodSeconds",
					   "successThreshold",
					   "failureThreshold",
					   "nodePort",
					   "healthCheckNodePort",
					   "generation",
					   "count",
					   "deprecatedCount",
					   "number",
					   NULL};
static const char *const kept_status_ints[] = {"collisionCount", "ready", "terminating", NULL};
static const char *const long_ints[] = {"generation",
					"observedGeneration",
					"deletionGracePeriodSeconds",
					"terminationGracePeriodSeconds",
					"activeDeadlineSeconds",
					"runAsUser",
					"runAsGroup",
					"fsGroup",
					"tolerationSeconds",
					"expirationSeconds",
					"startingDeadlineSeconds",
					NULL};

static bool in(const char *const *list, const char *name)
{
	for (; *list; list++)
		if (cox_streq(*list, name))
			return true;
	return false;
}

/* Whether an empty value of this field disappears. */
static bool drops_empty(const struct cox_schema_type *owner, const struct cox_schema_field *field)
{
	const char *name = owner->name ? owner->name : "";

	switch (field->type->kind) {
	case COX_SCHEMA_STRING:
	case COX_SCHEMA_BYTES:
		return !in(kept_strings, field->name) &&
		       !(cox_streq(name, "core.v1.HostPathVolumeSource") &&
			 cox_streq(field->name, "type"));
	case COX_SCHEMA_BOOL:
		return !in(kept_bools, field->name);
	case COX_SCHEMA_INT:
		if (cox_streq(field->name, "timeoutSeconds"))
			return cox_streq(name, "core.v1.Probe");
		if (cox_str_ends(cox_str(name), "Status"))
			return !in(kept_status_ints, field->name);
		return in(dropped_ints, field->name);
	case COX_SCHEMA_MAP:
	case COX_SCHEMA_LIST:
		return true;
	default:
		return false;
	}
}

static bool is_empty(const struct cox_node *node)
{
	switch (cox_node_kind(node)) {
	case COX_ABSENT:
	case COX_NULL:
		return true;
	case COX_BOOL:
		return !cox_node_bool(node, false);
	case COX_INT:
		return cox_node_int(node, 0) == 0;
	case COX_STRING:
		return cox_node_str(node).len == 0;
	case COX_MAP:
	case COX_LIST:
		return cox_node_len(node) == 0;
	default:
		return false;
	}
}

static size_t path_push(struct ks_normal *s, struct cox_str name)
{
	size_t mark = s->path.len;

	if (mark)
		cox_buf_putc(&s->path, '.');
	cox_buf_puts_str(&s->path, name);
	return mark;
}

static size_t path_push_index(struct ks_normal *s, size_t i)
{
	size_t mark = s->path.len;

	cox_buf_printf(&s->path, "[%zu]", i);
	return mark;
}

static void path_pop(struct ks_normal *s, size_t mark)
{
	s->path.len = mark;
	if (s->path.ptr)
		s->path.ptr[mark] = 0;
}

/* "spec.containers[0].name" without its indexes, as Go's messages have it. */
static void plain_path(struct cox_buf *out, const char *path)
{
	for (bool inside = false; *path; path++) {
		if (*path == '[')
			inside = true;
		if (!inside)
			cox_buf_putc(out, *path);
		if (*path == ']')
			inside = false;
	}
}

static int type_error(struct ks_normal *s, const struct cox_node *value, const char *wanted,
		      struct cox_error *err)
{
	static const char *const go_kinds[] = {
		[COX_BOOL] = "bool",	 [COX_INT] = "number", [COX_FLOAT] = "number",
		[COX_STRING] = "string", [COX_MAP] = "object", [COX_LIST] = "array"};
	_cleanup_buf_ struct cox_buf path = COX_BUF_INIT;
	const char *name = s->struct_name ? s->struct_name : "";
	const char *dot = strrchr(name, '.');

	plain_path(&path, cox_buf_cstr(&s->path));
	return cox_error(err, COX_INVALID_ARGUMENT,
			 "json: cannot unmarshal %s into Go struct field %s.%s of type %s",
			 go_kinds[cox_node_kind(value)], dot ? dot + 1 : name, cox_buf_cstr(&path),
			 wanted);
}

static const char *go_int(struct ks_normal *s)
{
	const char *dot = strrchr(cox_buf_cstr(&s->path), '.');

	return dot && in(long_ints, dot + 1) ? "int64" : "int32";
}

static int quantity(struct ks_normal *s, const struct cox_node *value,
		    const struct cox_node **ret_node, struct cox_error *err)
{
	struct cox_quantity q;
	char text[COX_QUANTITY_TEXT_MAX];

	if (cox_node_is(value, COX_MAP) || cox_node_is(value, COX_LIST) ||
	    cox_quantity_parse(cox_node_text(value), &q, NULL) < 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "quantities must match the regular expression "
				 "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
	cox_quantity_write(q, text);
	*ret_node = cox_doc_cstring(s->doc, text);
	return 0;
}

static int scalar(struct ks_normal *s, const struct cox_node *value,
		  const struct cox_schema_type *type, const struct cox_node **ret_node,
		  struct cox_error *err)
{
	enum cox_kind kind = cox_node_kind(value);

	switch (type->kind) {
	case COX_SCHEMA_STRING:
	case COX_SCHEMA_BYTES:
	case COX_SCHEMA_TIME:
	case COX_SCHEMA_MICROTIME:
		if (kind != COX_STRING)
			return type_error(s, value,
					  type->kind == COX_SCHEMA_BYTES ? "[]uint8" : "string",
					  err);
		break;
	case COX_SCHEMA_INT:
		if (kind != COX_INT)
			return type_error(s, value, go_int(s), err);
		break;
	case COX_SCHEMA_NUMBER:
		if (kind != COX_INT && kind != COX_FLOAT)
			return type_error(s, value, "float64", err);
		break;
	case COX_SCHEMA_BOOL:
		if (kind != COX_BOOL)
			return type_error(s, value, "bool", err);
		break;
	case COX_SCHEMA_INT_OR_STRING:
		if (kind != COX_INT && kind != COX_STRING)
			return type_error(s, value, "int32", err);
		break;
	case COX_SCHEMA_QUANTITY:
		return quantity(s, value, ret_node, err);
	default:
		break;
	}
	*ret_node = cox_doc_clone(s->doc, value);
	return 0;
}

static int list(struct ks_normal *s, const struct cox_node *value,
		const struct cox_schema_type *type, const struct cox_node **ret_node,
		struct cox_error *err)
{
	struct cox_node *out = cox_doc_list(s->doc);

	if (!cox_node_is(value, COX_LIST))
		return type_error(s, value, "[]", err);
	for (size_t i = 0; i < cox_node_len(value); i++) {
		const struct cox_node *item = cox_node_at(value, i);
		size_t mark = path_push_index(s, i);
		if (!cox_node_is(item, COX_NULL)) {
			int r = ks_normal(s, item, type->item, &item, err);
			if (r < 0)
				return r;
			cox_list_push(s->doc, out, item);
		}
		path_pop(s, mark);
	}
	*ret_node = out;
	return 0;
}

static int map(struct ks_normal *s, const struct cox_node *value,
	       const struct cox_schema_type *type, const struct cox_node **ret_node,
	       struct cox_error *err)
{
	struct cox_node *out = cox_doc_map(s->doc);

	if (!cox_node_is(value, COX_MAP))
		return type_error(s, value, "map[string]string", err);
	for (size_t i = 0; i < cox_node_len(value); i++) {
		const struct cox_node *child = cox_node_at(value, i);
		/* Go's message does not name the key of a map */
		if (cox_node_is(child, COX_NULL) && type->item->kind == COX_SCHEMA_STRING) {
			child = cox_doc_cstring(s->doc, "");
		} else {
			int r = ks_normal(s, child, type->item, &child, err);
			if (r < 0)
				return r;
		}
		cox_map_put_str(s->doc, out, cox_node_key(value, i), child);
	}
	*ret_node = out;
	return 0;
}

static void note_unknown(struct ks_normal *s, struct cox_str name)
{
	size_t mark = path_push(s, name);

	cox_vec_push(&s->unknown, cox_strdup(cox_buf_cstr(&s->path)));
	path_pop(s, mark);
}

/* What the API writes for a field that was not given, although it was not given. */
static int absent_field(struct ks_normal *s, const struct cox_schema_field *field,
			const struct cox_node **ret_node, struct cox_error *err)
{
	switch (field->type->kind) {
	case COX_SCHEMA_STRUCT:
		if (!field->type->atomic || cox_str_starts(cox_str(field->type->name), "core") ||
		    cox_str_starts(cox_str(field->type->name), "rbac"))
			return ks_normal(s, NULL, field->type, ret_node, err);
		break;
	case COX_SCHEMA_STRING:
		*ret_node = cox_doc_cstring(s->doc, "");
		return 0;
	case COX_SCHEMA_INT:
		*ret_node = cox_doc_int(s->doc, 0);
		return 0;
	case COX_SCHEMA_BOOL:
		*ret_node = cox_doc_bool(s->doc, false);
		return 0;
	default:
		break;
	}
	*ret_node = cox_doc_null(s->doc);
	return 0;
}

static int known_field(struct ks_normal *s, const struct cox_schema_type *type,
		       const struct cox_schema_field *field, const struct cox_node *value,
		       struct cox_node *out, struct cox_error *err)
{
	const struct cox_node *node = NULL;
	size_t mark = path_push(s, cox_str(field->name));
	const char *outer = s->struct_name;

	if (type->name)
		s->struct_name = type->name;
	if (!value || cox_node_is(value, COX_NULL)) {
		if (field->always && absent_field(s, field, &node, err) < 0)
			return -err->code;
		if (s->custom && value && !node)
			node = cox_doc_null(s->doc);
	} else {
		int r = ks_normal(s, value, field->type, &node, err);
		if (r < 0)
			return r;
		if (!field->always && type->name && drops_empty(type, field) && is_empty(node))
			node = NULL;
	}
	if (node)
		cox_map_put(s->doc, out, field->name, node);
	s->struct_name = outer;
	path_pop(s, mark);
	return 0;
}

/* stringData becomes data, serviceAccountName is also written under its old name. */
static void convert(struct ks_normal *s, const struct cox_schema_type *type, struct cox_node *out)
{
	if (cox_streq(type->name, "core.v1.Secret") && cox_node_get(out, "stringData")) {
		const struct cox_node *texts = cox_node_get(out, "stringData");
		struct cox_node *data = cox_map_edit_map(s->doc, out, "data");
		COX_DOC_MAP_EACH (texts, i, key, value) {
			_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
			struct cox_str plain = cox_node_str(value);
			cox_base64_encode(&text, plain.ptr, plain.len);
			cox_map_put_str(s->doc, data, key,
					cox_doc_string(s->doc, cox_buf_str(&text)));
		}
		cox_map_drop(s->doc, out, COX_STR("stringData"));
	}
	if (cox_streq(type->name, "core.v1.PodSpec")) {
		const char *name = cox_node_cstr(COX_GET(out, "serviceAccountName"), NULL);
		const char *old = cox_node_cstr(COX_GET(out, "serviceAccount"), NULL);
		cox_map_put_cstr(s->doc, out, "serviceAccountName", name ? name : old);
		cox_map_put_cstr(s->doc, out, "serviceAccount", name ? name : old);
	}
}

static int fields(struct ks_normal *s, const struct cox_node *value,
		  const struct cox_schema_type *type, const struct cox_node **ret_node,
		  struct cox_error *err)
{
	struct cox_node *out = cox_doc_map(s->doc);

	if (value && !cox_node_is(value, COX_MAP))
		return type_error(s, value, type->name ? type->name : "object", err);
	for (size_t i = 0; i < cox_node_len(value); i++) {
		struct cox_str key = cox_node_key(value, i);
		const struct cox_schema_field *field = cox_schema_field(type, key);
		if (field) {
			int r = known_field(s, type, field, cox_node_at(value, i), out, err);
			if (r < 0)
				return r;
		} else if (type->open) {
			cox_map_put_str(s->doc, out, key,
					cox_doc_clone(s->doc, cox_node_at(value, i)));
		} else {
			note_unknown(s, key);
		}
	}
	for (size_t i = 0; i < type->n_fields; i++)
		if (type->fields[i].always && !cox_node_get(value, type->fields[i].name)) {
			int r = known_field(s, type, &type->fields[i], NULL, out, err);
			if (r < 0)
				return r;
		}
	if (type->name)
		convert(s, type, out);
	*ret_node = out;
	return 0;
}

int ks_normal(struct ks_normal *s, const struct cox_node *value, const struct cox_schema_type *type,
	      const struct cox_node **ret_node, struct cox_error *err)
{
	struct cox_error ignored;

	if (!err)
		err = &ignored;
	switch (type->kind) {
	case COX_SCHEMA_STRUCT:
		return fields(s, value, type, ret_node, err);
	case COX_SCHEMA_MAP:
		if (s->custom && !cox_node_is(value, COX_MAP))
			break;
		return map(s, value, type, ret_node, err);
	case COX_SCHEMA_LIST:
		if (s->custom && !cox_node_is(value, COX_LIST))
			break;
		return list(s, value, type, ret_node, err);
	case COX_SCHEMA_ANY:
		break;
	default:
		/* a custom resource is checked against its schema later, with other words */
		if (!s->custom)
			return scalar(s, value, type, ret_node, err);
	}
	*ret_node = cox_doc_clone(s->doc, value);
	return 0;
}

void ks_normal_fini(struct ks_normal *s)
{
	cox_strings_fini(&s->unknown);
	cox_buf_fini(&s->path);
}
