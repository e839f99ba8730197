/* The refusals that clients meet most: names, selectors, ports, what cannot be changed, and custom
 * resources that do not fit their schema. Words and order are the API server's. */
#include "common/doc/json.h"
#include "common/kube/meta.h"
#include "common/kube/selector.h"
#include "tests/kubesim/present.h"
#include "tests/kubesim/write.h"

#include <ctype.h>

#define SUBDOMAIN                                                                                  \
	"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "  \
	"or '.', and must start and end with an alphanumeric character (e.g. 'example.com', "      \
	"regex used for validation is "                                                            \
	"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define LABEL                                                                                      \
	"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "   \
	"and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "   \
	"regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define LABEL_1035                                                                                 \
	"a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with "  \
	"an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "    \
	"'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_name(struct cox_str s, bool dots)
{
	if (!s.len || s.len > (dots ? 253 : 63))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		bool edge = i == 0 || i + 1 == s.len || s.ptr[i - 1] == '.' || s.ptr[i + 1] == '.';
		if (is_alnum(s.ptr[i]) || (s.ptr[i] == '-' && !edge) ||
		    (s.ptr[i] == '.' && dots && !edge))
			continue;
		if (s.ptr[i] == '.' && dots && i > 0 && i + 1 < s.len && is_alnum(s.ptr[i - 1]) &&
		    is_alnum(s.ptr[i + 1]))
			continue;
		return false;
	}
	return true;
}

static void check_name(struct ks_ctx *ctx, const struct cox_node *root, struct ks_causes *causes)
{
	struct cox_str name = cox_meta_name(root);
	const char *kind = ctx->kind->names.kind, *why = NULL;

	if (!name.len) {
		ks_cause_add(causes, "FieldValueRequired", "metadata.name",
			     "Required value: name or generateName is required");
		return;
	}
	if (cox_str_starts(cox_str(ctx->kind->names.group), "rbac"))
		return;
	if (cox_streq(kind, "Service")) {
		if (!is_name(name, false) || isdigit((unsigned char)name.ptr[0]))
			why = LABEL_1035;
	} else if (cox_streq(kind, "Namespace")) {
		if (!is_name(name, false))
			why = LABEL;
	} else if (!is_name(name, true)) {
		why = SUBDOMAIN;
	}
	if (why)
		ks_cause_add(causes, "FieldValueInvalid", "metadata.name",
			     "Invalid value: \"%.*s\": %s", COX_STR_ARG(name), why);
}

#define LABEL_VALUE                                                                                \
	"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' "   \
	"or "                                                                                      \
	"'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "         \
	"'my_value',  or '12345', regex used for validation is "                                   \
	"'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
#define LABEL_KEY                                                                                  \
	"name part must consist of alphanumeric characters, '-', '_' or '.', and must start and "  \
	"end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex "  \
	"used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

static void check_labels(const struct cox_node *labels, const char *field, struct ks_causes *causes)
{
	COX_DOC_MAP_EACH (labels, i, key, value) {
		if (!cox_label_key_valid(key))
			ks_cause_add(causes, "FieldValueInvalid", field,
				     "Invalid value: \"%.*s\": %s", COX_STR_ARG(key), LABEL_KEY);
		if (!cox_label_value_valid(cox_node_str(value)))
			ks_cause_add(causes, "FieldValueInvalid", field,
				     "Invalid value: \"%s\": %s", cox_node_cstr(value, ""),
				     LABEL_VALUE);
	}
}

/* Fields with few values. */
static const struct {
	const char *kind, *path, *values;
} enums[] = {
	{"Service", "spec.type", "\"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\""},
	{"Service", "spec.sessionAffinity", "\"ClientIP\", \"None\""},
	{"Deployment", "spec.strategy.type", "\"Recreate\", \"RollingUpdate\""},
	{"DaemonSet", "spec.updateStrategy.type", "\"OnDelete\", \"RollingUpdate\""},
	{"StatefulSet", "spec.updateStrategy.type", "\"OnDelete\", \"RollingUpdate\""},
	{"CronJob", "spec.concurrencyPolicy", "\"Allow\", \"Forbid\", \"Replace\""},
};

static void check_enums(struct ks_ctx *ctx, const struct cox_node *root, struct ks_causes *causes)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(enums); i++) {
		_cleanup_buf_ struct cox_buf quoted = COX_BUF_INIT;
		if (!cox_streq(enums[i].kind, ctx->kind->names.kind))
			continue;
		const struct cox_node *node = ks_json_path(root, enums[i].path);
		cox_json_write(&quoted, node);
		if (cox_node_is(node, COX_STRING) && !strstr(enums[i].values, quoted.ptr))
			ks_cause_add(causes, "FieldValueNotSupported", enums[i].path,
				     "Unsupported value: %s: supported values: %s", quoted.ptr,
				     enums[i].values);
	}
}

/* Go's %#v of a map of strings. */
static void go_map(struct cox_buf *out, const struct cox_node *map)
{
	if (!map) {
		cox_buf_puts(out, "map[string]string(nil)");
		return;
	}
	cox_buf_puts(out, "map[string]string{");
	COX_DOC_MAP_EACH (map, i, key, value) {
		cox_buf_printf(out, "%s\"%.*s\":\"%s\"", i ? ", " : "", COX_STR_ARG(key),
			       cox_node_cstr(value, ""));
	}
	cox_buf_putc(out, '}');
}

static void go_selector(struct cox_buf *out, const struct cox_node *selector)
{
	cox_buf_puts(out, "v1.LabelSelector{MatchLabels:");
	go_map(out, COX_GET(selector, "matchLabels"));
	cox_buf_puts(out, ", MatchExpressions:");
	if (!COX_GET(selector, "matchExpressions"))
		cox_buf_puts(out, "[]v1.LabelSelectorRequirement(nil)}");
	else
		cox_buf_puts(out, "[]v1.LabelSelectorRequirement{...}}");
}

static void workload(struct ks_ctx *ctx, const struct cox_node *root, const struct cox_node *before,
		     struct ks_causes *causes)
{
	const struct cox_node *selector = COX_GET(root, "spec", "selector");
	const struct cox_node *labels = COX_GET(root, "spec", "template", "metadata", "labels");
	_cleanup_selector_ struct cox_selector *parsed = NULL;
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	(void)ctx;
	if (!cox_node_is(selector, COX_MAP)) {
		ks_cause_add(causes, "FieldValueRequired", "spec.selector", "Required value");
	} else if (!cox_node_len(selector)) {
		ks_cause_add(
			causes, "FieldValueInvalid", "spec.selector",
			"Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), "
			"MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: empty selector is "
			"invalid for deployment");
	}
	if (cox_selector_from_node(selector, &parsed, NULL) == 0 && parsed &&
	    !cox_selector_matches(parsed, labels)) {
		go_map(&text, labels);
		ks_cause_add(causes, "FieldValueInvalid", "spec.template.metadata.labels",
			     "Invalid value: %s: `selector` does not match template `labels`",
			     cox_buf_cstr(&text));
	}
	if (before && !cox_node_equal(selector, COX_GET(before, "spec", "selector"))) {
		cox_buf_clear(&text);
		go_selector(&text, selector);
		ks_cause_add(causes, "FieldValueInvalid", "spec.selector",
			     "Invalid value: %s: field is immutable", text.ptr);
	}
}

static void containers(const struct cox_node *spec, const char *path, struct ks_causes *causes)
{
	const struct cox_node *list = COX_GET(spec, "containers");

	if (!cox_node_len(list)) {
		_cleanup_free_ char *field = cox_asprintf("%s.containers", path);
		ks_cause_add(causes, "FieldValueRequired", field, "Required value");
	}
	COX_DOC_LIST_EACH (list, i, c) {
		_cleanup_free_ char *name = cox_asprintf("%s.containers[%zu].name", path, i);
		_cleanup_free_ char *image = cox_asprintf("%s.containers[%zu].image", path, i);
		if (!cox_node_str(COX_GET(c, "name")).len)
			ks_cause_add(causes, "FieldValueRequired", name, "Required value");
		if (!cox_node_str(COX_GET(c, "image")).len)
			ks_cause_add(causes, "FieldValueRequired", image, "Required value");
	}
}

static void template(struct ks_ctx *ctx, const struct cox_node *root, const struct cox_node *before,
		     struct ks_causes *causes)
{
	workload(ctx, root, before, causes);
	containers(COX_GET(root, "spec", "template", "spec"), "spec.template.spec", causes);
}

static void stateful_set(struct ks_ctx *ctx, const struct cox_node *root,
			 const struct cox_node *before, struct ks_causes *causes)
{
	static const char *const fixed[] = {"serviceName", "podManagementPolicy",
					    "volumeClaimTemplates", "selector"};

	template(ctx, root, NULL, causes);
	for (size_t i = 0; before && i < COX_ARRAY_LEN(fixed); i++)
		if (!cox_node_equal(COX_GET(root, "spec", fixed[i]),
				    COX_GET(before, "spec", fixed[i]))) {
			ks_cause_add(causes, "FieldValueForbidden", "spec",
				     "Forbidden: updates to statefulset spec for fields other than "
				     "'replicas', 'template', 'updateStrategy', "
				     "'persistentVolumeClaimRetentionPolicy' and "
				     "'minReadySeconds' are forbidden");
			return;
		}
}

static void job(struct ks_ctx *ctx, const struct cox_node *root, const struct cox_node *before,
		struct ks_causes *causes)
{
	const struct cox_node *template = COX_GET(root, "spec", "template");
	const char *restart = cox_node_cstr(COX_GET(template, "spec", "restartPolicy"), "");

	(void)ctx;
	containers(COX_GET(template, "spec"), "spec.template.spec", causes);
	if (cox_streq(restart, "Always"))
		ks_cause_add(causes, "FieldValueNotSupported", "spec.template.spec.restartPolicy",
			     "Required value: valid values: \"OnFailure\", \"Never\"");
	if (before && !cox_node_equal(template, COX_GET(before, "spec", "template")) &&
	    !cox_node_bool(COX_GET(before, "spec", "suspend"), false)) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
		cox_json_write(&text, template);
		ks_cause_add(causes, "FieldValueInvalid", "spec.template",
			     "Invalid value: core.PodTemplateSpec%s: field is immutable", text.ptr);
	}
	if (before &&
	    !cox_node_equal(COX_GET(root, "spec", "selector"), COX_GET(before, "spec", "selector")))
		ks_cause_add(causes, "FieldValueInvalid", "spec.selector",
			     "Invalid value: field is immutable");
}

static void pod(struct ks_ctx *ctx, const struct cox_node *root, const struct cox_node *before,
		struct ks_causes *causes)
{
	(void)ctx;
	(void)before;
	containers(COX_GET(root, "spec"), "spec", causes);
}

static void service(struct ks_ctx *ctx, const struct cox_node *root, const struct cox_node *before,
		    struct ks_causes *causes)
{
	const struct cox_node *ports = COX_GET(root, "spec", "ports");
	const struct cox_node *ip = COX_GET(root, "spec", "clusterIP");
	const char *type = cox_node_cstr(COX_GET(root, "spec", "type"), "");

	(void)ctx;
	if (!cox_node_len(ports) && !cox_streq(type, "ExternalName") &&
	    !cox_streq(cox_node_cstr(ip, ""), "None"))
		ks_cause_add(causes, "FieldValueRequired", "spec.ports", "Required value");
	COX_DOC_LIST_EACH (ports, i, port) {
		int64_t number = cox_node_int(COX_GET(port, "port"), 0);
		_cleanup_free_ char *name = cox_asprintf("spec.ports[%zu].name", i);
		_cleanup_free_ char *at = cox_asprintf("spec.ports[%zu].port", i);
		if (cox_node_len(ports) > 1 && !cox_node_str(COX_GET(port, "name")).len)
			ks_cause_add(causes, "FieldValueRequired", name, "Required value");
		if (number < 1 || number > 65535)
			ks_cause_add(causes, "FieldValueInvalid", at,
				     "Invalid value: %lld: must be between 1 and 65535, inclusive",
				     (long long)number);
	}
	const struct cox_node *old = COX_GET(before, "spec", "clusterIP");
	if (before && cox_node_str(old).len && !cox_node_equal(ip, old) &&
	    !cox_streq(type, "ExternalName")) {
		_cleanup_buf_ struct cox_buf list = COX_BUF_INIT;
		cox_buf_printf(&list, "[]string{\"%s\"}", cox_node_cstr(ip, ""));
		ks_cause_add(causes, "FieldValueInvalid", "spec.clusterIPs[0]",
			     "Invalid value: %s: may not change once set", list.ptr);
	}
}

static void role_binding(struct ks_ctx *ctx, const struct cox_node *root,
			 const struct cox_node *before, struct ks_causes *causes)
{
	(void)ctx;
	if (before && !cox_node_equal(COX_GET(root, "roleRef"), COX_GET(before, "roleRef")))
		ks_cause_add(causes, "FieldValueInvalid", "roleRef",
			     "Invalid value: rbac.RoleRef{APIGroup:\"%s\", Kind:\"%s\", "
			     "Name:\"%s\"}: cannot change roleRef",
			     cox_node_cstr(COX_GET(root, "roleRef", "apiGroup"), ""),
			     cox_node_cstr(COX_GET(root, "roleRef", "kind"), ""),
			     cox_node_cstr(COX_GET(root, "roleRef", "name"), ""));
}

/* ConfigMap, Secret: `immutable` means it. */
static void immutable(struct ks_ctx *ctx, const struct cox_node *root,
		      const struct cox_node *before, struct ks_causes *causes)
{
	static const char *const parts[] = {"data", "binaryData"};

	if (cox_streq(ctx->kind->names.kind, "Secret") && before &&
	    !cox_node_equal(COX_GET(root, "type"), COX_GET(before, "type")))
		ks_cause_add(causes, "FieldValueInvalid", "type",
			     "Invalid value: \"%s\": field is immutable",
			     cox_node_cstr(COX_GET(root, "type"), ""));
	if (!cox_node_bool(COX_GET(before, "immutable"), false))
		return;
	if (!cox_node_bool(COX_GET(root, "immutable"), false))
		ks_cause_add(causes, "FieldValueForbidden", "immutable",
			     "Forbidden: field is immutable when `immutable` is set");
	for (size_t i = 0; i < COX_ARRAY_LEN(parts); i++)
		if (!cox_node_equal(COX_GET(root, parts[i]), COX_GET(before, parts[i])))
			ks_cause_add(causes, "FieldValueForbidden", parts[i],
				     "Forbidden: field is immutable when `immutable` is set");
}

static const struct {
	const char *kind;
	void (*check)(struct ks_ctx *ctx, const struct cox_node *root,
		      const struct cox_node *before, struct ks_causes *causes);
} checks[] = {
	{"Deployment", template},
	{"ReplicaSet", template},
	{"DaemonSet", template},
	{"StatefulSet", stateful_set},
	{"Job", job},
	{"Pod", pod},
	{"Service", service},
	{"RoleBinding", role_binding},
	{"ClusterRoleBinding", role_binding},
	{"ConfigMap", immutable},
	{"Secret", immutable},
};

/* What the scale subresource would read must be a number. */
static void scale_path(struct ks_ctx *ctx, const struct cox_node *root, struct ks_causes *causes)
{
	const char *path = ctx->kind->flags & KS_SCALE ? ctx->kind->replicas_path : NULL;
	const struct cox_node *node = path ? ks_json_path(root, path) : NULL;

	if (cox_node_is(node, COX_STRING))
		ks_cause_add(causes, "FieldValueInvalid", path,
			     "Invalid value: 0: %s accessor error: %s is of the type string, "
			     "expected int64",
			     path, cox_node_cstr(node, ""));
}

void ks_validate(struct ks_ctx *ctx, const struct cox_node *root, const struct cox_node *before,
		 struct ks_causes *ret_causes)
{
	if (!before)
		check_name(ctx, root, ret_causes);
	check_labels(cox_meta_labels(root), "metadata.labels", ret_causes);
	if (ctx->kind->custom) {
		ks_validate_custom(root, ctx->kind->type, ret_causes);
		scale_path(ctx, root, ret_causes);
		return;
	}
	if (cox_streq(ctx->sub, "status"))
		return;
	check_enums(ctx, root, ret_causes);
	check_labels(COX_GET(root, "spec", "template", "metadata", "labels"),
		     "spec.template.metadata.labels", ret_causes);
	for (size_t i = 0; i < COX_ARRAY_LEN(checks); i++)
		if (cox_streq(checks[i].kind, ctx->kind->names.kind))
			checks[i].check(ctx, root, before, ret_causes);
}

/* ---- custom resources ---- */

static const char *json_type(const struct cox_node *node)
{
	static const char *const names[] = {
		[COX_NULL] = "null",	[COX_BOOL] = "boolean",	 [COX_INT] = "integer",
		[COX_FLOAT] = "number", [COX_STRING] = "string", [COX_MAP] = "object",
		[COX_LIST] = "array"};

	return names[cox_node_kind(node)];
}

static bool type_fits(const char *wanted, const struct cox_node *node)
{
	if (cox_streq(wanted, "number"))
		return cox_node_is(node, COX_INT) || cox_node_is(node, COX_FLOAT);
	return cox_streq(wanted, json_type(node));
}

static void custom(const struct cox_node *node, const struct cox_schema_type *type,
		   const char *path, struct ks_causes *causes);

static void custom_bounds(const struct cox_node *node, const struct cox_node *s, const char *path,
			  struct ks_causes *causes)
{
	const struct cox_node *minimum = COX_GET(s, "minimum"), *maximum = COX_GET(s, "maximum");
	const struct cox_node *values = COX_GET(s, "enum");
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT, list = COX_BUF_INIT;
	double number = cox_node_double(node, 0);
	bool allowed = !values;

	cox_json_write(&text, node);
	if (minimum && cox_node_double(node, 1e300) < cox_node_double(minimum, 0))
		ks_cause_add(
			causes, "FieldValueInvalid", path,
			"Invalid value: %s: %s in body should be greater than or equal to %.*s",
			text.ptr, path, COX_STR_ARG(cox_node_text(minimum)));
	if (maximum && number > cox_node_double(maximum, 0))
		ks_cause_add(causes, "FieldValueInvalid", path,
			     "Invalid value: %s: %s in body should be less than or equal to %.*s",
			     text.ptr, path, COX_STR_ARG(cox_node_text(maximum)));
	COX_DOC_LIST_EACH (values, i, value) {
		allowed = allowed || cox_node_equal(value, node);
		cox_buf_puts(&list, i ? ", " : "");
		cox_json_write(&list, value);
	}
	if (!allowed)
		ks_cause_add(causes, "FieldValueNotSupported", path,
			     "Unsupported value: %s: supported values: %s", text.ptr,
			     cox_buf_cstr(&list));
	struct cox_str str = cox_node_str(node);
	int64_t min_length = cox_node_int(COX_GET(s, "minLength"), 0);
	int64_t max_length = cox_node_int(COX_GET(s, "maxLength"), INT64_MAX);
	if (cox_node_is(node, COX_STRING) && (int64_t)str.len < min_length)
		ks_cause_add(causes, "FieldValueInvalid", path,
			     "Invalid value: %s: %s in body should be at least %lld chars long",
			     text.ptr, path, (long long)min_length);
	if (cox_node_is(node, COX_STRING) && (int64_t)str.len > max_length)
		ks_cause_add(causes, "FieldValueTooLong", path,
			     "Too long: may not be longer than %lld", (long long)max_length);
}

static void custom_fields(const struct cox_node *node, const struct cox_schema_type *type,
			  const char *path, struct ks_causes *causes)
{
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct cox_schema_field *f = &type->fields[i];
		const struct cox_node *child = cox_node_get(node, f->name);
		_cleanup_free_ char *at =
			*path ? cox_asprintf("%s.%s", path, f->name) : cox_strdup(f->name);
		if (!child && f->required)
			ks_cause_add(causes, "FieldValueRequired", at, "Required value");
		if (child && !(cox_streq(f->name, "metadata") && !*path))
			custom(child, f->type, at, causes);
	}
}

static void custom(const struct cox_node *node, const struct cox_schema_type *type,
		   const char *path, struct ks_causes *causes)
{
	const struct cox_node *s = type->openapi;
	const char *wanted = cox_node_cstr(COX_GET(s, "type"), "");

	if (cox_node_is(node, COX_NULL) && type->nullable)
		return;
	if (*wanted && !type_fits(wanted, node)) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
		cox_json_write_string(&text, cox_str(json_type(node)));
		ks_cause_add(causes, "FieldValueTypeInvalid", path,
			     "Invalid value: %s: %s in body must be of type %s: %s", text.ptr, path,
			     wanted, text.ptr);
		return;
	}
	custom_bounds(node, s, path, causes);
	if (type->kind == COX_SCHEMA_STRUCT)
		custom_fields(node, type, path, causes);
	if (type->kind == COX_SCHEMA_LIST)
		COX_DOC_LIST_EACH (node, i, item) {
			_cleanup_free_ char *at = cox_asprintf("%s[%zu]", path, i);
			custom(item, type->item, at, causes);
		}
	if (type->kind == COX_SCHEMA_MAP)
		COX_DOC_MAP_EACH (node, m, key, value) {
			_cleanup_free_ char *at = cox_asprintf("%s.%.*s", path, COX_STR_ARG(key));
			custom(value, type->item, at, causes);
		}
}

void ks_validate_custom(const struct cox_node *node, const struct cox_schema_type *type,
			struct ks_causes *ret_causes)
{
	struct ks_causes rest = {0};
	size_t kept = ret_causes->n;

	custom_fields(node, type, "", ret_causes);
	/* what is not among the values that are offered is said last */
	for (size_t i = kept; i < ret_causes->n; i++) {
		if (cox_streq(ret_causes->items[i].reason, "FieldValueNotSupported"))
			cox_vec_push(&rest, ret_causes->items[i]);
		else
			ret_causes->items[kept++] = ret_causes->items[i];
	}
	ret_causes->n = kept;
	for (size_t i = 0; i < rest.n; i++)
		cox_vec_push(ret_causes, rest.items[i]);
	cox_vec_fini(&rest);
}
