/* The columns of `kubectl get`. */
#include "common/base/clock.h"
#include "common/kube/meta.h"
#include "tests/kubesim/present.h"

#include <stdio.h>

#define NAME_HELP                                                                                  \
	"Name must be unique within a namespace. Is required when creating resources, although "   \
	"some resources may allow a client to request the generation of an appropriate name "      \
	"automatically. Name is primarily intended for creation idempotence and configuration "    \
	"definition. Cannot be updated. More info: "                                               \
	"http://kubernetes.io/docs/user-guide/identifiers#names"
#define AGE_HELP                                                                                   \
	"CreationTimestamp is a timestamp representing the server time when this object was "      \
	"created. It is not guaranteed to be set in happens-before order across separate "         \
	"operations. Clients may not set this value. It is represented in RFC3339 form and is in " \
	"UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "                  \
	"https://git.k8s.io/community/contributors/devel/sig-architecture/"                        \
	"api-conventions.md#metadata"

struct cell {
	struct cox_doc *doc;
	const struct cox_node *object;
	int64_t now_ms;
};

struct column {
	const char *name;
	const char *format; /* of the definition; "name" for the first */
	int priority;
	const char *help;
	const char *path; /* a JSON path, or NULL: */
	const struct cox_node *(*cell)(const struct cell *c);
};

static const struct cox_node *text(const struct cell *c, const char *s)
{
	return cox_doc_cstring(c->doc, s);
}

static int64_t number(const struct cell *c, const char *a, const char *b)
{
	return cox_node_int(COX_GET(c->object, a, b), 0);
}

static const struct cox_node *age(const struct cell *c)
{
	char out[COX_TIME_TEXT_MAX];
	int64_t created;

	if (cox_time_parse(cox_node_str(COX_GET(c->object, "metadata", "creationTimestamp")),
			   &created, NULL) < 0)
		return text(c, "<unknown>");
	int64_t ms = c->now_ms - created;
	cox_duration_human(ms > 0 ? ms : 0, out);
	return text(c, out);
}

static const struct cox_node *data_count(const struct cell *c)
{
	return cox_doc_int(c->doc, (int64_t)(cox_node_len(COX_GET(c->object, "data")) +
					     cox_node_len(COX_GET(c->object, "binaryData"))));
}

static const struct cox_node *ready_of_replicas(const struct cell *c)
{
	return cox_doc_stringf(c->doc, "%lld/%lld", (long long)number(c, "status", "readyReplicas"),
			       (long long)number(c, "spec", "replicas"));
}

#define STATUS_INT(fn, field)                                                                      \
	static const struct cox_node *fn(const struct cell *c)                                     \
	{                                                                                          \
		return cox_doc_int(c->doc, number(c, "status", field));                            \
	}
STATUS_INT(updated, "updatedReplicas")
STATUS_INT(available, "availableReplicas")
STATUS_INT(current, "replicas")
STATUS_INT(ready, "readyReplicas")
STATUS_INT(ds_desired, "desiredNumberScheduled")
STATUS_INT(ds_current, "currentNumberScheduled")
STATUS_INT(ds_ready, "numberReady")
STATUS_INT(ds_updated, "updatedNumberScheduled")
STATUS_INT(ds_available, "numberAvailable")

static const struct cox_node *desired(const struct cell *c)
{
	return cox_doc_int(c->doc, number(c, "spec", "replicas"));
}

static const struct cox_node *joined(const struct cell *c, const struct cox_node *list,
				     const char *field)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	COX_DOC_LIST_EACH (list, i, item) {
		cox_buf_printf(&out, "%s%s", i ? "," : "",
			       cox_node_cstr(cox_node_get(item, field), ""));
	}
	return text(c, cox_buf_cstr(&out));
}

static const struct cox_node *template_names(const struct cell *c)
{
	return joined(c, COX_GET(c->object, "spec", "template", "spec", "containers"), "name");
}

static const struct cox_node *template_images(const struct cell *c)
{
	return joined(c, COX_GET(c->object, "spec", "template", "spec", "containers"), "image");
}

static const struct cox_node *map_text(const struct cell *c, const struct cox_node *map)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	COX_DOC_MAP_EACH (map, i, key, value) {
		cox_buf_printf(&out, "%s%.*s=%s", i ? "," : "", COX_STR_ARG(key),
			       cox_node_cstr(value, ""));
	}
	return text(c, out.len ? out.ptr : "<none>");
}

static const struct cox_node *selector(const struct cell *c)
{
	return map_text(c, COX_GET(c->object, "spec", "selector", "matchLabels"));
}

static const struct cox_node *node_selector(const struct cell *c)
{
	return map_text(c, COX_GET(c->object, "spec", "template", "spec", "nodeSelector"));
}

static const struct cox_node *pod_ready(const struct cell *c)
{
	const struct cox_node *list = COX_GET(c->object, "status", "containerStatuses");
	int n = 0;

	COX_DOC_LIST_EACH (list, i, status) {
		n += cox_node_bool(COX_GET(status, "ready"), false);
	}
	return cox_doc_stringf(c->doc, "%d/%zu", n,
			       cox_node_len(COX_GET(c->object, "spec", "containers")));
}

static const struct cox_node *pod_status(const struct cell *c)
{
	const struct cox_node *list = COX_GET(c->object, "status", "containerStatuses");
	const char *phase = cox_node_cstr(COX_GET(c->object, "status", "phase"), "");
	const char *reason = cox_node_cstr(COX_GET(c->object, "status", "reason"), phase);

	COX_DOC_LIST_EACH (list, i, status) {
		reason = cox_node_cstr(COX_GET(status, "state", "waiting", "reason"), reason);
		reason = cox_node_cstr(COX_GET(status, "state", "terminated", "reason"), reason);
	}
	return text(c, cox_meta_is_deleting(c->object) ? "Terminating" : reason);
}

static const struct cox_node *pod_restarts(const struct cell *c)
{
	int64_t n = 0;

	COX_DOC_LIST_EACH (COX_GET(c->object, "status", "containerStatuses"), i, status) {
		n += cox_node_int(COX_GET(status, "restartCount"), 0);
	}
	return cox_doc_stringf(c->doc, "%lld", (long long)n);
}

static const struct cox_node *or_none(const struct cell *c, const struct cox_node *node)
{
	return cox_node_str(node).len ? node : text(c, "<none>");
}

static const struct cox_node *pod_ip(const struct cell *c)
{
	return or_none(c, COX_GET(c->object, "status", "podIP"));
}

static const struct cox_node *pod_node(const struct cell *c)
{
	return or_none(c, COX_GET(c->object, "spec", "nodeName"));
}

static const struct cox_node *svc_external(const struct cell *c)
{
	const struct cox_node *ingress = COX_GET(c->object, "status", "loadBalancer", "ingress");
	const char *type = cox_node_cstr(COX_GET(c->object, "spec", "type"), "");

	if (cox_node_len(ingress))
		return joined(c, ingress, "ip");
	return text(c, cox_streq(type, "LoadBalancer") ? "<pending>" : "<none>");
}

static const struct cox_node *svc_ports(const struct cell *c)
{
	const struct cox_node *ports = COX_GET(c->object, "spec", "ports");
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	COX_DOC_LIST_EACH (ports, i, port) {
		int64_t node_port = cox_node_int(COX_GET(port, "nodePort"), 0);
		cox_buf_printf(&out, "%s%lld", i ? "," : "",
			       (long long)cox_node_int(COX_GET(port, "port"), 0));
		if (node_port)
			cox_buf_printf(&out, ":%lld", (long long)node_port);
		cox_buf_printf(&out, "/%s", cox_node_cstr(COX_GET(port, "protocol"), ""));
	}
	return text(c, out.len ? out.ptr : "<none>");
}

static const struct cox_node *svc_selector(const struct cell *c)
{
	return map_text(c, COX_GET(c->object, "spec", "selector"));
}

static const struct cox_node *job_completions(const struct cell *c)
{
	return cox_doc_stringf(
		c->doc, "%lld/%lld", (long long)number(c, "status", "succeeded"),
		(long long)cox_node_int(COX_GET(c->object, "spec", "completions"), 1));
}

static const struct cox_node *job_duration(const struct cell *c)
{
	char out[COX_TIME_TEXT_MAX];
	int64_t start, end = c->now_ms;

	if (cox_time_parse(cox_node_str(COX_GET(c->object, "status", "startTime")), &start, NULL) <
	    0)
		return text(c, "");
	cox_time_parse(cox_node_str(COX_GET(c->object, "status", "completionTime")), &end, NULL);
	cox_duration_human(end > start ? end - start : 0, out);
	return text(c, out);
}

static const struct cox_node *cron_active(const struct cell *c)
{
	return cox_doc_int(c->doc, (int64_t)cox_node_len(COX_GET(c->object, "status", "active")));
}

static const struct cox_node *cron_suspend(const struct cell *c)
{
	return text(c,
		    cox_node_bool(COX_GET(c->object, "spec", "suspend"), false) ? "True" : "False");
}

static const struct cox_node *ns_status(const struct cell *c)
{
	return COX_GET(c->object, "status", "phase");
}

static const struct cox_node *node_status(const struct cell *c)
{
	return text(c, "Ready");
}

static const struct cox_node *sa_secrets(const struct cell *c)
{
	return cox_doc_int(c->doc, (int64_t)cox_node_len(COX_GET(c->object, "secrets")));
}

static const struct cox_node *crd_created(const struct cell *c)
{
	return COX_GET(c->object, "metadata", "creationTimestamp");
}

static const struct cox_node *ingress_hosts(const struct cell *c)
{
	const struct cox_node *rules = COX_GET(c->object, "spec", "rules");

	return cox_node_len(rules) ? joined(c, rules, "host") : text(c, "*");
}

static const struct cox_node *pvc_capacity(const struct cell *c)
{
	const struct cox_node *n = COX_GET(c->object, "status", "capacity", "storage");

	return n ? n : text(c, "");
}

#define NAME                                                                                       \
	{                                                                                          \
		"Name", "name", 0, NAME_HELP, ".metadata.name", NULL                               \
	}
#define AGE                                                                                        \
	{                                                                                          \
		"Age", "", 0, AGE_HELP, NULL, age                                                  \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL, NULL, 0, NULL, NULL, NULL                                                    \
	}

static const struct column plain[] = {
	NAME,
	{"Created At", "", 0, AGE_HELP, NULL, crd_created},
	END,
};
static const struct column name_age[] = {NAME, AGE, END};
static const struct column deployments[] = {
	NAME,
	{"Ready", "", 0, "Number of the pod with ready state", NULL, ready_of_replicas},
	{"Up-to-date", "", 0,
	 "Total number of non-terminated pods targeted by this deployment that have the desired "
	 "template spec.",
	 NULL, updated},
	{"Available", "", 0,
	 "Total number of available pods (ready for at least minReadySeconds) targeted by this "
	 "deployment.",
	 NULL, available},
	AGE,
	{"Containers", "", 1, "Names of each container in the template.", NULL, template_names},
	{"Images", "", 1, "Images referenced by each container in the template.", NULL,
	 template_images},
	{"Selector", "", 1,
	 "Label selector for pods. Existing ReplicaSets whose pods are selected by this will be "
	 "the ones affected by this deployment.",
	 NULL, selector},
	END,
};
static const struct column replica_sets[] = {
	NAME,
	{"Desired", "", 0, "Number of desired pods.", NULL, desired},
	{"Current", "", 0, "Number of pods.", NULL, current},
	{"Ready", "", 0, "Number of ready pods.", NULL, ready},
	AGE,
	{"Containers", "", 1, "Names of each container in the template.", NULL, template_names},
	{"Images", "", 1, "Images referenced by each container in the template.", NULL,
	 template_images},
	{"Selector", "", 1, "Label selector over pods.", NULL, selector},
	END,
};
static const struct column stateful_sets[] = {
	NAME,
	{"Ready", "", 0, "Number of ready pods of the desired ones.", NULL, ready_of_replicas},
	AGE,
	{"Containers", "", 1, "Names of each container in the template.", NULL, template_names},
	{"Images", "", 1, "Images referenced by each container in the template.", NULL,
	 template_images},
	END,
};
static const struct column daemon_sets[] = {
	NAME,
	{"Desired", "", 0, "Number of nodes that should run the pod.", NULL, ds_desired},
	{"Current", "", 0, "Number of nodes that run at least one.", NULL, ds_current},
	{"Ready", "", 0, "Number of nodes with a ready one.", NULL, ds_ready},
	{"Up-to-date", "", 0, "Number of nodes with the current template.", NULL, ds_updated},
	{"Available", "", 0, "Number of nodes with an available one.", NULL, ds_available},
	{"Node Selector", "", 0, "Which nodes run the pod.", NULL, node_selector},
	AGE,
	END,
};
static const struct column pods[] = {
	NAME,
	{"Ready", "", 0, "Number of ready containers of all.", NULL, pod_ready},
	{"Status", "", 0, "The phase, or why it is not running.", NULL, pod_status},
	{"Restarts", "", 0, "How often containers were restarted.", NULL, pod_restarts},
	AGE,
	{"IP", "", 1, "The pod's address.", NULL, pod_ip},
	{"Node", "", 1, "Where it runs.", NULL, pod_node},
	END,
};
static const struct column services[] = {
	NAME,
	{"Type", "", 0, "How it is reached.", ".spec.type", NULL},
	{"Cluster-IP", "", 0, "The address inside the cluster.", ".spec.clusterIP", NULL},
	{"External-IP", "", 0, "The addresses outside.", NULL, svc_external},
	{"Port(s)", "", 0, "The ports.", NULL, svc_ports},
	AGE,
	{"Selector", "", 1, "The labels of its pods.", NULL, svc_selector},
	END,
};
static const struct column jobs[] = {
	NAME,
	{"Completions", "", 0, "Pods that succeeded of those wanted.", NULL, job_completions},
	{"Duration", "", 0, "How long it ran.", NULL, job_duration},
	AGE,
	END,
};
static const struct column cron_jobs[] = {
	NAME,
	{"Schedule", "", 0, "When it runs.", ".spec.schedule", NULL},
	{"Suspend", "", 0, "Whether it is held.", NULL, cron_suspend},
	{"Active", "", 0, "Jobs that run now.", NULL, cron_active},
	{"Last Schedule", "", 0, "When it last ran.", ".status.lastScheduleTime", NULL},
	AGE,
	END,
};
static const struct column config_maps[] = {
	NAME,
	{"Data", "", 0,
	 "Data contains the configuration data. Each key must consist of alphanumeric characters, "
	 "'-', '_' or '.'. Values with non-UTF-8 byte sequences must use the BinaryData field. The "
	 "keys stored in Data must not overlap with the keys in the BinaryData field, this is "
	 "enforced during validation process.",
	 NULL, data_count},
	AGE,
	END,
};
static const struct column secrets[] = {
	NAME,
	{"Type", "", 0, "What kind of secret it is.", ".type", NULL},
	{"Data", "", 0, "Number of entries.", NULL, data_count},
	AGE,
	END,
};
static const struct column namespaces[] = {
	NAME,
	{"Status", "", 0, "The phase.", NULL, ns_status},
	AGE,
	END,
};
static const struct column nodes[] = {
	NAME, {"Status", "", 0, "Whether it is ready.", NULL, node_status},
	AGE,  {"Version", "", 0, "Of the kubelet.", ".status.nodeInfo.kubeletVersion", NULL},
	END,
};
static const struct column service_accounts[] = {
	NAME,
	{"Secrets", "", 0, "Number of secrets.", NULL, sa_secrets},
	AGE,
	END,
};
static const struct column ingresses[] = {
	NAME,
	{"Class", "", 0, "The ingress class.", ".spec.ingressClassName", NULL},
	{"Hosts", "", 0, "The hosts of its rules.", NULL, ingress_hosts},
	AGE,
	END,
};
static const struct column claims[] = {
	NAME,
	{"Status", "", 0, "The phase.", ".status.phase", NULL},
	{"Volume", "", 0, "The volume that it is bound to.", ".spec.volumeName", NULL},
	{"Capacity", "", 0, "What it has.", NULL, pvc_capacity},
	{"StorageClass", "", 0, "The storage class.", ".spec.storageClassName", NULL},
	AGE,
	END,
};
static const struct column events[] = {
	{"Last Seen", "", 0, "When it last happened.", NULL, age},
	{"Type", "", 0, "Normal or Warning.", ".type", NULL},
	{"Reason", "", 0, "One word.", ".reason", NULL},
	{"Object", "", 0, "What it is about.", ".involvedObject.name", NULL},
	{"Message", "", 0, "A sentence.", ".message", NULL},
	END,
};

static const struct {
	const char *kind;
	const struct column *columns;
} tables[] = {
	{"Deployment", deployments},
	{"ReplicaSet", replica_sets},
	{"ReplicationController", replica_sets},
	{"StatefulSet", stateful_sets},
	{"DaemonSet", daemon_sets},
	{"Pod", pods},
	{"Service", services},
	{"Job", jobs},
	{"CronJob", cron_jobs},
	{"ConfigMap", config_maps},
	{"Secret", secrets},
	{"Namespace", namespaces},
	{"Node", nodes},
	{"ServiceAccount", service_accounts},
	{"Ingress", ingresses},
	{"PersistentVolumeClaim", claims},
	{"Event", events},
	{"CustomResourceDefinition", plain},
	{"Role", plain},
	{"ClusterRole", plain},
};

static const struct column *columns_of(const struct ks_kind *kind)
{
	for (size_t i = 0; !kind->custom && i < COX_ARRAY_LEN(tables); i++)
		if (cox_streq(tables[i].kind, kind->names.kind))
			return tables[i].columns;
	return name_age;
}

static void push_column(struct cox_doc *doc, struct cox_node *list, const char *name,
			const char *type, const char *format, const char *help, int64_t priority)
{
	struct cox_node *column = cox_doc_map(doc);

	cox_map_put_cstr(doc, column, "name", name);
	cox_map_put_cstr(doc, column, "type", type);
	cox_map_put_cstr(doc, column, "format", format);
	cox_map_put_cstr(doc, column, "description", help);
	cox_map_put_int(doc, column, "priority", priority);
	cox_list_push(doc, list, column);
}

struct cox_node *ks_table_columns(struct cox_doc *doc, const struct ks_kind *kind)
{
	struct cox_node *list = cox_doc_list(doc);

	if (!kind->custom || !kind->n_columns) {
		for (const struct column *c = columns_of(kind); c->name; c++)
			push_column(doc, list, c->name, "string", c->format, c->help, c->priority);
		return list;
	}
	push_column(doc, list, "Name", "string", "name", NAME_HELP, 0);
	for (size_t i = 0; i < kind->n_columns; i++) {
		const struct ks_column *c = &kind->columns[i];
		_cleanup_free_ char *help = cox_asprintf(
			"Custom resource definition column (in JSONPath format): %s", c->path);
		push_column(doc, list, c->name, c->type, c->format,
			    *c->description ? c->description : help, c->priority);
	}
	return list;
}

static const struct cox_node *custom_cell(const struct cell *c, const struct ks_column *column)
{
	const struct cox_node *node = ks_json_path(c->object, column->path);
	char out[COX_TIME_TEXT_MAX];
	int64_t when;

	if (!node)
		return cox_doc_null(c->doc);
	if (cox_streq(column->type, "date") &&
	    cox_time_parse(cox_node_str(node), &when, NULL) == 0) {
		cox_duration_human(c->now_ms > when ? c->now_ms - when : 0, out);
		return text(c, out);
	}
	return node;
}

struct cox_node *ks_table_cells(struct cox_doc *doc, const struct ks_kind *kind,
				const struct cox_node *object, int64_t now_ms)
{
	const struct cell c = {.doc = doc, .object = object, .now_ms = now_ms};
	struct cox_node *cells = cox_doc_list(doc);

	if (!kind->custom || !kind->n_columns) {
		for (const struct column *column = columns_of(kind); column->name; column++) {
			const struct cox_node *node = column->path
							      ? ks_json_path(object, column->path)
							      : column->cell(&c);
			cox_list_push(doc, cells, node ? node : text(&c, ""));
		}
		return cells;
	}
	cox_list_push(doc, cells, COX_GET(object, "metadata", "name"));
	for (size_t i = 0; i < kind->n_columns; i++)
		cox_list_push(doc, cells, custom_cell(&c, &kind->columns[i]));
	return cells;
}

/* "[?(@.type=="Ready")]" on a list, "[0]", or nothing. */
static const struct cox_node *json_path_index(const struct cox_node *node, struct cox_str inside)
{
	char field[64], value[128];
	char copy[256];

	snprintf(copy, sizeof(copy), "%.*s", COX_STR_ARG(inside));
	if (sscanf(copy, "?(@.%63[^=!]==%*1[\"']%127[^\"']", field, value) == 2) {
		COX_DOC_LIST_EACH (node, i, item) {
			if (cox_streq(cox_node_cstr(cox_node_get(item, field), ""), value))
				return item;
		}
		return NULL;
	}
	return cox_node_at(node, (size_t)strtoul(copy, NULL, 10));
}

const struct cox_node *ks_json_path(const struct cox_node *object, const char *path)
{
	while (object && *path) {
		if (*path == '.') {
			path++;
		} else if (*path == '[') {
			const char *end = strchr(path, ']');
			if (!end)
				return NULL;
			object = json_path_index(object,
						 cox_str_n(path + 1, (size_t)(end - path - 1)));
			path = end + 1;
		} else {
			char key[256];
			size_t n = 0;
			for (; *path && *path != '.' && *path != '['; path++) {
				if (*path == '\\' && path[1])
					path++;
				if (n + 1 < sizeof(key))
					key[n++] = *path;
			}
			object = cox_node_get_str(object, cox_str_n(key, n));
		}
	}
	return object;
}
