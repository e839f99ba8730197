#include "tests/kubesim/protobuf.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/doc/yaml.h"

#include <stdio.h>

#define DEPTH_MAX 32

/* Fields by number, from 1; "-" for one that is not needed. As k8s.io/api's generated.proto. */
static const struct {
	const char *type, *fields;
} messages[] = {
	{"meta.v1.ObjectMeta",
	 "name generateName namespace - uid resourceVersion generation - - - labels annotations "
	 "ownerReferences finalizers"},
	{"meta.v1.OwnerReference", "kind - name uid apiVersion controller blockOwnerDeletion"},
	{"meta.v1.LabelSelector", "matchLabels matchExpressions"},
	{"meta.v1.LabelSelectorRequirement", "key operator values"},
	{"meta.v1.DeleteOptions",
	 "gracePeriodSeconds preconditions orphanDependents propagationPolicy dryRun"},
	{"meta.v1.Preconditions", "uid resourceVersion"},
	{"core.v1.Namespace", "metadata"},
	{"core.v1.ConfigMap", "metadata data binaryData immutable"},
	{"core.v1.Secret", "metadata data type stringData immutable"},
	{"core.v1.ServiceAccount",
	 "metadata secrets imagePullSecrets automountServiceAccountToken"},
	{"core.v1.LocalObjectReference", "name"},
	{"core.v1.Service", "metadata spec"},
	{"core.v1.ServiceSpec",
	 "ports selector clusterIP type externalIPs - sessionAffinity loadBalancerIP "
	 "loadBalancerSourceRanges externalName externalTrafficPolicy"},
	{"core.v1.ServicePort", "name protocol port targetPort nodePort appProtocol"},
	{"core.v1.ResourceQuota", "metadata spec"},
	{"core.v1.ResourceQuotaSpec", "hard scopes"},
	{"core.v1.Pod", "metadata spec"},
	{"core.v1.PodTemplateSpec", "metadata spec"},
	{"core.v1.PodSpec",
	 "- containers restartPolicy terminationGracePeriodSeconds activeDeadlineSeconds dnsPolicy "
	 "nodeSelector serviceAccountName serviceAccount nodeName hostNetwork hostPID hostIPC - "
	 "imagePullSecrets hostname subdomain - schedulerName initContainers"},
	{"core.v1.Container",
	 "name image command args workingDir ports env resources - - - - - imagePullPolicy - stdin "
	 "stdinOnce tty"},
	{"core.v1.ContainerPort", "name hostPort containerPort protocol hostIP"},
	{"core.v1.EnvVar", "name value"},
	{"core.v1.ResourceRequirements", "limits requests"},
	{"apps.v1.Deployment", "metadata spec"},
	{"apps.v1.DeploymentSpec",
	 "replicas selector template strategy minReadySeconds revisionHistoryLimit paused - "
	 "progressDeadlineSeconds"},
	{"apps.v1.DeploymentStrategy", "type rollingUpdate"},
	{"apps.v1.RollingUpdateDeployment", "maxUnavailable maxSurge"},
	{"batch.v1.Job", "metadata spec"},
	{"batch.v1.JobSpec",
	 "parallelism completions activeDeadlineSeconds selector manualSelector template "
	 "backoffLimit ttlSecondsAfterFinished completionMode suspend"},
	{"batch.v1.CronJob", "metadata spec"},
	{"batch.v1.CronJobSpec",
	 "schedule startingDeadlineSeconds concurrencyPolicy suspend jobTemplate "
	 "successfulJobsHistoryLimit failedJobsHistoryLimit timeZone"},
	{"batch.v1.JobTemplateSpec", "metadata spec"},
	{"rbac.v1.Role", "metadata rules"},
	{"rbac.v1.ClusterRole", "metadata rules"},
	{"rbac.v1.PolicyRule", "verbs apiGroups resources resourceNames nonResourceURLs"},
	{"rbac.v1.RoleBinding", "metadata subjects roleRef"},
	{"rbac.v1.ClusterRoleBinding", "metadata subjects roleRef"},
	{"rbac.v1.Subject", "kind apiGroup name namespace"},
	{"rbac.v1.RoleRef", "apiGroup kind name"},
	{"authorization.v1.SelfSubjectAccessReview", "metadata spec"},
	{"authorization.v1.SelfSubjectAccessReviewSpec",
	 "resourceAttributes nonResourceAttributes"},
	{"authorization.v1.ResourceAttributes",
	 "namespace verb group version resource subresource name"},
	{"authorization.v1.NonResourceAttributes", "path verb"},
	{"policy.v1.PodDisruptionBudget", "metadata spec"},
	{"policy.v1.PodDisruptionBudgetSpec", "minAvailable selector maxUnavailable"},
	{"scheduling.v1.PriorityClass",
	 "metadata value globalDefault description preemptionPolicy"},
};

static const char *fields_of(const char *type)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(messages); i++)
		if (cox_streq(messages[i].type, type))
			return messages[i].fields;
	return NULL;
}

/* ---- the wire ---- */

struct field {
	uint64_t number, varint;
	struct cox_str bytes; /* of a length-delimited one */
	unsigned wire;
};

static bool take_varint(struct cox_str *in, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && in->len; shift += 7) {
		uint8_t byte = (uint8_t)*in->ptr;
		in->ptr++;
		in->len--;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

static bool take_bytes(struct cox_str *in, uint64_t n, struct cox_str *ret)
{
	if (n > in->len)
		return false;
	*ret = cox_str_n(in->ptr, (size_t)n);
	in->ptr += n;
	in->len -= (size_t)n;
	return true;
}

/* 1: a field; 0: the end; negative: no protobuf. */
static int take_field(struct cox_str *in, struct field *f)
{
	uint64_t key;

	*f = (struct field){0};
	if (!in->len)
		return 0;
	if (!take_varint(in, &key))
		return -COX_INVALID_ARGUMENT;
	f->number = key >> 3;
	f->wire = key & 7;
	switch (f->wire) {
	case 0:
		return take_varint(in, &f->varint) ? 1 : -COX_INVALID_ARGUMENT;
	case 1:
		return take_bytes(in, 8, &f->bytes) ? 1 : -COX_INVALID_ARGUMENT;
	case 2:
		return take_varint(in, &f->varint) && take_bytes(in, f->varint, &f->bytes)
			       ? 1
			       : -COX_INVALID_ARGUMENT;
	case 5:
		return take_bytes(in, 4, &f->bytes) ? 1 : -COX_INVALID_ARGUMENT;
	default:
		return -COX_INVALID_ARGUMENT;
	}
}

/* A field of a message, the last one of that number. */
static bool find_field(struct cox_str message, uint64_t number, struct field *ret)
{
	struct field f;
	bool found = false;

	while (take_field(&message, &f) == 1)
		if (f.number == number) {
			*ret = f;
			found = true;
		}
	return found;
}

/* ---- reading ---- */

static int read_message(struct cox_doc *doc, struct cox_str in, const struct cox_schema_type *type,
			int depth, const struct cox_node **ret, struct cox_error *err);

static struct cox_node *text_node(struct cox_doc *doc, struct cox_str bytes)
{
	return cox_doc_string(doc, cox_utf8_valid(bytes, NULL) ? bytes : COX_STR(""));
}

static const struct cox_node *int_or_string(struct cox_doc *doc, struct cox_str in)
{
	struct field f;
	bool is_text = find_field(in, 1, &f) && f.varint == 1;

	if (is_text)
		return text_node(doc, find_field(in, 3, &f) ? f.bytes : COX_STR(""));
	return cox_doc_int(doc, find_field(in, 2, &f) ? (int64_t)f.varint : 0);
}

static const struct cox_node *time_node(struct cox_doc *doc, struct cox_str in)
{
	char text[COX_TIME_TEXT_MAX];
	struct field f;

	cox_time_format(find_field(in, 1, &f) ? (int64_t)f.varint * 1000 : 0, text);
	return cox_doc_cstring(doc, text);
}

static int read_value(struct cox_doc *doc, const struct field *f,
		      const struct cox_schema_type *type, int depth, const struct cox_node **ret,
		      struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct field inner;

	switch (type->kind) {
	case COX_SCHEMA_STRING:
		*ret = text_node(doc, f->bytes);
		return 0;
	case COX_SCHEMA_BYTES:
		cox_base64_encode(&text, f->bytes.ptr, f->bytes.len);
		*ret = cox_doc_string(doc, cox_buf_str(&text));
		return 0;
	case COX_SCHEMA_INT:
		*ret = cox_doc_int(doc, (int64_t)f->varint);
		return 0;
	case COX_SCHEMA_BOOL:
		*ret = cox_doc_bool(doc, f->varint);
		return 0;
	case COX_SCHEMA_QUANTITY:
		*ret = text_node(doc, find_field(f->bytes, 1, &inner) ? inner.bytes : COX_STR("0"));
		return 0;
	case COX_SCHEMA_INT_OR_STRING:
		*ret = int_or_string(doc, f->bytes);
		return 0;
	case COX_SCHEMA_TIME:
	case COX_SCHEMA_MICROTIME:
		*ret = time_node(doc, f->bytes);
		return 0;
	case COX_SCHEMA_STRUCT:
		return read_message(doc, f->bytes, type, depth + 1, ret, err);
	default:
		*ret = cox_doc_null(doc);
		return 0;
	}
}

static int put_entry(struct cox_doc *doc, struct cox_node *map, struct cox_str entry,
		     const struct cox_schema_type *item, int depth, struct cox_error *err)
{
	struct field key = {0}, value = {0};
	const struct cox_node *node;

	find_field(entry, 1, &key);
	find_field(entry, 2, &value);
	int r = read_value(doc, &value, item, depth, &node, err);
	if (r == 0 && cox_utf8_valid(key.bytes, NULL))
		cox_map_put_str(doc, map, key.bytes, node);
	return r;
}

static int put_field(struct cox_doc *doc, struct cox_node *out, const struct field *f,
		     const struct cox_schema_field *field, int depth, struct cox_error *err)
{
	const struct cox_schema_type *type = field->type;
	const struct cox_node *node;

	if (type->kind == COX_SCHEMA_MAP)
		return put_entry(doc, cox_map_edit_map(doc, out, field->name), f->bytes, type->item,
				 depth, err);
	int r = read_value(doc, f, type->kind == COX_SCHEMA_LIST ? type->item : type, depth, &node,
			   err);
	if (r < 0)
		return r;
	if (type->kind == COX_SCHEMA_LIST)
		cox_list_push(doc, cox_map_edit_list(doc, out, field->name), node);
	else
		cox_map_put(doc, out, field->name, node);
	return 0;
}

/* Name number n of the row, from 1. */
static struct cox_str field_name(const char *fields, uint64_t n)
{
	struct cox_str rest = cox_str(fields), name;

	while (n-- && cox_str_split(&rest, ' ', &name))
		if (!n)
			return name;
	return (struct cox_str){0};
}

static int read_message(struct cox_doc *doc, struct cox_str in, const struct cox_schema_type *type,
			int depth, const struct cox_node **ret, struct cox_error *err)
{
	const char *fields = type->name ? fields_of(type->name) : NULL;
	struct cox_node *out = cox_doc_map(doc);
	struct field f;
	int r;

	if (depth > DEPTH_MAX)
		return cox_error(err, COX_INVALID_ARGUMENT, "protobuf nested too deep");
	while ((r = take_field(&in, &f)) == 1) {
		struct cox_str name = fields && f.number < 64 ? field_name(fields, f.number)
							      : (struct cox_str){0};
		const struct cox_schema_field *field =
			name.ptr ? cox_schema_field(type, name) : NULL;
		if (!field)
			continue;
		int done = put_field(doc, out, &f, field, depth, err);
		if (done < 0)
			return done;
	}
	if (r < 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "malformed protobuf");
	*ret = out;
	return 0;
}

static const struct cox_schema_type *type_of(struct cox_str api_version, struct cox_str kind)
{
	struct cox_str rest = api_version, group, version;
	char names[3][128];

	if (cox_str_is(kind, "DeleteOptions"))
		return cox_schema_named("meta.v1.DeleteOptions");
	cox_str_split(&rest, '/', &group);
	version = rest.ptr ? rest : group;
	snprintf(names[0], sizeof(names[0]), "%.*s", rest.ptr ? (int)group.len : 0,
		 group.ptr ? group.ptr : "");
	snprintf(names[1], sizeof(names[1]), "%.*s", COX_STR_ARG(version));
	snprintf(names[2], sizeof(names[2]), "%.*s", COX_STR_ARG(kind));
	return cox_schema_find(names[0], names[1], names[2]);
}

int ks_protobuf_read(struct cox_str bytes, struct cox_doc **ret_doc, struct cox_error *err)
{
	static const char magic[4] = "k8s";
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("body");
	struct field meta, raw = {0}, api_version = {0}, kind = {0};
	const struct cox_node *root;

	if (bytes.len < 4 || memcmp(bytes.ptr, magic, 4) != 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "no Kubernetes protobuf");
	bytes = cox_str_n(bytes.ptr + 4, bytes.len - 4);
	if (!find_field(bytes, 1, &meta) || !find_field(meta.bytes, 2, &kind))
		return cox_error(err, COX_INVALID_ARGUMENT, "no kind in the protobuf envelope");
	find_field(meta.bytes, 1, &api_version);
	find_field(bytes, 2, &raw);
	const struct cox_schema_type *type = type_of(api_version.bytes, kind.bytes);
	if (!type || !fields_of(type->name))
		return cox_error(err, COX_UNIMPLEMENTED, "no protobuf for kind '%.*s'",
				 COX_STR_ARG(kind.bytes));
	int r = read_message(doc, raw.bytes, type, 0, &root, err);
	if (r < 0)
		return r;
	struct cox_node *own = (struct cox_node *)root;
	cox_map_put(doc, own, "apiVersion", text_node(doc, api_version.bytes));
	cox_map_put(doc, own, "kind", text_node(doc, kind.bytes));
	cox_doc_set_root(doc, own);
	*ret_doc = cox_doc_seal(TAKE(doc));
	return 0;
}

/* ---- OpenAPI v2 in gnostic's messages ---- */

static void put_varint(struct cox_buf *out, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		cox_buf_putc(out, (char)(0x80 | (value & 0x7f)));
	cox_buf_putc(out, (char)value);
}

static void put_bytes(struct cox_buf *out, unsigned number, struct cox_str bytes)
{
	put_varint(out, number << 3 | 2);
	put_varint(out, bytes.len);
	cox_buf_puts_str(out, bytes);
}

static void put_message(struct cox_buf *out, unsigned number, const struct cox_buf *message)
{
	put_bytes(out, number, cox_str_n(message->ptr ? message->ptr : "", message->len));
}

static void put_schema(struct cox_buf *out, const struct cox_node *schema);

/* NamedSchema */
static void put_named(struct cox_buf *out, unsigned number, struct cox_str name,
		      const struct cox_node *schema)
{
	_cleanup_buf_ struct cox_buf named = COX_BUF_INIT, value = COX_BUF_INIT;

	put_schema(&value, schema);
	put_bytes(&named, 1, name);
	put_message(&named, 2, &value);
	put_message(out, number, &named);
}

/* NamedAny: x-kubernetes-…, its value as YAML. */
static void put_extension(struct cox_buf *out, unsigned number, struct cox_str name,
			  const struct cox_node *value)
{
	_cleanup_buf_ struct cox_buf named = COX_BUF_INIT, any = COX_BUF_INIT, yaml = COX_BUF_INIT;

	cox_yaml_write(&yaml, value);
	put_bytes(&any, 2, cox_buf_str(&yaml));
	put_bytes(&named, 1, name);
	put_message(&named, 2, &any);
	put_message(out, number, &named);
}

static void put_schema(struct cox_buf *out, const struct cox_node *schema)
{
	COX_DOC_MAP_EACH (schema, i, key, value) {
		_cleanup_buf_ struct cox_buf inner = COX_BUF_INIT, nested = COX_BUF_INIT;
		if (cox_str_is(key, "$ref")) {
			put_bytes(out, 1, cox_node_str(value));
		} else if (cox_str_is(key, "format")) {
			put_bytes(out, 2, cox_node_str(value));
		} else if (cox_str_is(key, "description")) {
			put_bytes(out, 4, cox_node_str(value));
		} else if (cox_str_is(key, "additionalProperties") && cox_node_is(value, COX_MAP)) {
			put_schema(&nested, value);
			put_message(&inner, 1, &nested);
			put_message(out, 21, &inner);
		} else if (cox_str_is(key, "type")) {
			put_bytes(&inner, 1, cox_node_str(value));
			put_message(out, 22, &inner);
		} else if (cox_str_is(key, "items")) {
			put_schema(&nested, value);
			put_message(&inner, 1, &nested);
			put_message(out, 23, &inner);
		} else if (cox_str_is(key, "properties")) {
			COX_DOC_MAP_EACH (value, p, name, property) {
				put_named(&inner, 1, name, property);
			}
			put_message(out, 25, &inner);
		} else if (cox_str_starts(key, "x-")) {
			put_extension(out, 31, key, value);
		}
	}
}

/* NamedPathItem with its patch: the kind, and which parameters the query may have. */
static void put_path(struct cox_buf *out, struct cox_str path, const struct cox_node *item)
{
	_cleanup_buf_ struct cox_buf named = COX_BUF_INIT, value = COX_BUF_INIT,
				     patch = COX_BUF_INIT;
	const struct cox_node *operation = COX_GET(item, "patch");
	static const char gvk[] = "x-kubernetes-group-version-kind";

	COX_DOC_LIST_EACH (COX_GET(operation, "parameters"), i, parameter) {
		/* ParametersItem.parameter.non_body_parameter.query_parameter_sub_schema */
		static const unsigned wrap[] = {3, 2, 1, 8};
		struct cox_buf inner = COX_BUF_INIT;
		put_bytes(&inner, 2, COX_STR("query"));
		put_bytes(&inner, 4, cox_node_str(COX_GET(parameter, "name")));
		put_bytes(&inner, 6, COX_STR("string"));
		for (size_t w = 0; w + 1 < COX_ARRAY_LEN(wrap); w++) {
			struct cox_buf outer = COX_BUF_INIT;
			put_message(&outer, wrap[w], &inner);
			cox_buf_fini(&inner);
			inner = outer;
		}
		put_message(&patch, wrap[COX_ARRAY_LEN(wrap) - 1], &inner);
		cox_buf_fini(&inner);
	}
	put_extension(&patch, 13, cox_str(gvk), COX_GET(operation, gvk));
	put_message(&value, 8, &patch);
	put_bytes(&named, 1, path);
	put_message(&named, 2, &value);
	put_message(out, 2, &named);
}

void ks_protobuf_write_openapi(struct cox_buf *out, const struct cox_node *document)
{
	_cleanup_buf_ struct cox_buf info = COX_BUF_INIT, paths = COX_BUF_INIT;
	_cleanup_buf_ struct cox_buf definitions = COX_BUF_INIT;

	put_bytes(out, 1, cox_node_str(COX_GET(document, "swagger")));
	put_bytes(&info, 1, cox_node_str(COX_GET(document, "info", "title")));
	put_bytes(&info, 2, cox_node_str(COX_GET(document, "info", "version")));
	put_message(out, 2, &info);
	COX_DOC_MAP_EACH (COX_GET(document, "paths"), p, path, item) {
		put_path(&paths, path, item);
	}
	put_message(out, 8, &paths);
	COX_DOC_MAP_EACH (COX_GET(document, "definitions"), i, name, schema) {
		put_named(&definitions, 1, name, schema);
	}
	put_message(out, 9, &definitions);
}
