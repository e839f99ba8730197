#include "tests/kubesim/defaults.h"

#include "common/kube/meta.h"

/* Own nodes only: the normal form made every node of the object doc's own. */
#define EDIT(map, key) cox_map_edit(doc, (map), (key))

static bool absent(const struct cox_node *map, const char *key)
{
	const struct cox_node *value = cox_node_get(map, key);

	return !value || cox_node_is(value, COX_NULL);
}

void ks_def_str(struct cox_doc *doc, struct cox_node *map, const char *key, const char *value)
{
	if (absent(map, key))
		cox_map_put_cstr(doc, map, key, value);
}

void ks_def_int(struct cox_doc *doc, struct cox_node *map, const char *key, int64_t value)
{
	if (absent(map, key))
		cox_map_put_int(doc, map, key, value);
}

void ks_def_bool(struct cox_doc *doc, struct cox_node *map, const char *key, bool value)
{
	if (absent(map, key))
		cox_map_put_bool(doc, map, key, value);
}

static void def_map(struct cox_doc *doc, struct cox_node *map, const char *key)
{
	if (absent(map, key))
		cox_map_put(doc, map, key, cox_doc_map(doc));
}

/* item is doc's own, i counts. */
#define EACH_ITEM(map, key, item)                                                                  \
	for (struct cox_node *item##_list = EDIT(map, key), *item = NULL; item##_list;             \
	     item##_list = NULL)                                                                   \
		for (size_t item##_i = 0; item##_i < cox_node_len(item##_list) &&                  \
					  (item = cox_list_edit(doc, item##_list, item##_i));      \
		     item##_i++)

static bool says(const struct cox_node *map, const char *key, const char *value)
{
	return cox_streq(cox_node_cstr(cox_node_get(map, key), ""), value);
}

/* ---- pods ---- */

/* "nginx", "nginx:latest" are pulled always; a tag or a digest is not. */
static const char *pull_policy(const char *image)
{
	const char *slash = strrchr(image, '/');
	const char *tag = strchr(slash ? slash : image, ':');

	if (strchr(image, '@'))
		return "IfNotPresent";
	return !tag || cox_streq(tag, ":latest") ? "Always" : "IfNotPresent";
}

static void default_http_get(struct cox_doc *doc, struct cox_node *get)
{
	if (!get)
		return;
	ks_def_str(doc, get, "path", "/");
	ks_def_str(doc, get, "scheme", "HTTP");
}

static void default_probe(struct cox_doc *doc, struct cox_node *probe)
{
	if (!probe)
		return;
	default_http_get(doc, EDIT(probe, "httpGet"));
	if (EDIT(probe, "grpc"))
		ks_def_str(doc, EDIT(probe, "grpc"), "service", "");
	ks_def_int(doc, probe, "timeoutSeconds", 1);
	ks_def_int(doc, probe, "periodSeconds", 10);
	ks_def_int(doc, probe, "successThreshold", 1);
	ks_def_int(doc, probe, "failureThreshold", 3);
}

static void default_container(struct cox_doc *doc, struct cox_node *c, bool host_network)
{
	static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
	static const char *const hooks[] = {"postStart", "preStop"};
	struct cox_node *lifecycle = EDIT(c, "lifecycle");

	EACH_ITEM (c, "ports", port) {
		ks_def_str(doc, port, "protocol", "TCP");
		if (host_network)
			ks_def_int(doc, port, "hostPort",
				   cox_node_int(cox_node_get(port, "containerPort"), 0));
	}
	EACH_ITEM (c, "env", env) {
		struct cox_node *from = EDIT(env, "valueFrom");
		if (from && EDIT(from, "fieldRef"))
			ks_def_str(doc, EDIT(from, "fieldRef"), "apiVersion", "v1");
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(probes); i++)
		default_probe(doc, EDIT(c, probes[i]));
	for (size_t i = 0; lifecycle && i < COX_ARRAY_LEN(hooks); i++)
		if (EDIT(lifecycle, hooks[i]))
			default_http_get(doc, EDIT(EDIT(lifecycle, hooks[i]), "httpGet"));
	ks_def_str(doc, c, "terminationMessagePath", "/dev/termination-log");
	ks_def_str(doc, c, "terminationMessagePolicy", "File");
	ks_def_str(doc, c, "imagePullPolicy",
		   pull_policy(cox_node_cstr(cox_node_get(c, "image"), "")));
}

static void default_volume(struct cox_doc *doc, struct cox_node *volume)
{
	static const char *const moded[] = {"secret", "configMap", "downwardAPI", "projected"};

	if (cox_node_len(volume) == 1)
		def_map(doc, volume, "emptyDir");
	if (EDIT(volume, "hostPath"))
		ks_def_str(doc, EDIT(volume, "hostPath"), "type", "");
	for (size_t i = 0; i < COX_ARRAY_LEN(moded); i++)
		if (EDIT(volume, moded[i]))
			ks_def_int(doc, EDIT(volume, moded[i]), "defaultMode", 420);
	if (EDIT(volume, "projected"))
		EACH_ITEM (EDIT(volume, "projected"), "sources", source) {
			if (EDIT(source, "serviceAccountToken"))
				ks_def_int(doc, EDIT(source, "serviceAccountToken"),
					   "expirationSeconds", 3600);
			if (EDIT(source, "downwardAPI"))
				EACH_ITEM (EDIT(source, "downwardAPI"), "items", item)
					if (EDIT(item, "fieldRef"))
						ks_def_str(doc, EDIT(item, "fieldRef"),
							   "apiVersion", "v1");
		}
	if (EDIT(volume, "downwardAPI"))
		EACH_ITEM (EDIT(volume, "downwardAPI"), "items", item)
			if (EDIT(item, "fieldRef"))
				ks_def_str(doc, EDIT(item, "fieldRef"), "apiVersion", "v1");
}

void ks_default_pod_spec(struct cox_doc *doc, struct cox_node *spec)
{
	static const char *const lists[] = {"containers", "initContainers"};
	bool host_network = cox_node_bool(cox_node_get(spec, "hostNetwork"), false);

	for (size_t i = 0; i < COX_ARRAY_LEN(lists); i++)
		EACH_ITEM (spec, lists[i], c)
			default_container(doc, c, host_network);
	EACH_ITEM (spec, "volumes", volume)
		default_volume(doc, volume);
	ks_def_str(doc, spec, "restartPolicy", "Always");
	ks_def_int(doc, spec, "terminationGracePeriodSeconds", 30);
	ks_def_str(doc, spec, "dnsPolicy", "ClusterFirst");
	def_map(doc, spec, "securityContext");
	ks_def_str(doc, spec, "schedulerName", "default-scheduler");
}

static void default_template(struct cox_doc *doc, struct cox_node *spec)
{
	struct cox_node *template = cox_map_edit_map(doc, spec, "template");

	ks_default_pod_spec(doc, cox_map_edit_map(doc, template, "spec"));
}

/* A pod that says a limit and no request requests its limit. */
static void default_requests(struct cox_doc *doc, struct cox_node *c)
{
	struct cox_node *resources = cox_map_edit_map(doc, c, "resources");
	const struct cox_node *limits = cox_node_get(resources, "limits");

	if (!cox_node_len(limits))
		return;
	struct cox_node *requests = cox_map_edit_map(doc, resources, "requests");
	COX_DOC_MAP_EACH (limits, i, key, value)
		if (!cox_node_get_str(requests, key))
			cox_map_put_str(doc, requests, key, value);
}

static void pod(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	struct cox_node *status = cox_map_edit_map(doc, root, "status");

	EACH_ITEM (spec, "containers", c)
		default_requests(doc, c);
	ks_default_pod_spec(doc, spec);
	ks_def_bool(doc, spec, "enableServiceLinks", true);
	ks_def_str(doc, status, "phase", "Pending");
}

/* ---- apps, batch ---- */

static void deployment(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	struct cox_node *strategy = cox_map_edit_map(doc, spec, "strategy");

	default_template(doc, spec);
	ks_def_int(doc, spec, "replicas", 1);
	ks_def_str(doc, strategy, "type", "RollingUpdate");
	if (says(strategy, "type", "RollingUpdate")) {
		struct cox_node *rolling = cox_map_edit_map(doc, strategy, "rollingUpdate");
		ks_def_str(doc, rolling, "maxUnavailable", "25%");
		ks_def_str(doc, rolling, "maxSurge", "25%");
	}
	ks_def_int(doc, spec, "revisionHistoryLimit", 10);
	ks_def_int(doc, spec, "progressDeadlineSeconds", 600);
}

static void replica_set(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");

	default_template(doc, spec);
	ks_def_int(doc, spec, "replicas", 1);
}

static void claim(struct cox_doc *doc, struct cox_node *root)
{
	ks_def_str(doc, cox_map_edit_map(doc, root, "spec"), "volumeMode", "Filesystem");
	ks_def_str(doc, cox_map_edit_map(doc, root, "status"), "phase", "Pending");
}

static void stateful_set(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	struct cox_node *update = cox_map_edit_map(doc, spec, "updateStrategy");

	default_template(doc, spec);
	ks_def_str(doc, spec, "podManagementPolicy", "OrderedReady");
	ks_def_str(doc, update, "type", "RollingUpdate");
	if (says(update, "type", "RollingUpdate"))
		ks_def_int(doc, cox_map_edit_map(doc, update, "rollingUpdate"), "partition", 0);
	ks_def_int(doc, spec, "replicas", 1);
	ks_def_int(doc, spec, "revisionHistoryLimit", 10);
	EACH_ITEM (spec, "volumeClaimTemplates", item) {
		ks_def_str(doc, item, "kind", "PersistentVolumeClaim");
		ks_def_str(doc, item, "apiVersion", "v1");
		claim(doc, item);
	}
}

static void daemon_set(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	struct cox_node *update = cox_map_edit_map(doc, spec, "updateStrategy");

	default_template(doc, spec);
	ks_def_str(doc, update, "type", "RollingUpdate");
	if (says(update, "type", "RollingUpdate")) {
		struct cox_node *rolling = cox_map_edit_map(doc, update, "rollingUpdate");
		ks_def_int(doc, rolling, "maxUnavailable", 1);
		ks_def_int(doc, rolling, "maxSurge", 0);
	}
	ks_def_int(doc, spec, "revisionHistoryLimit", 10);
}

static void job(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");

	default_template(doc, spec);
	if (absent(spec, "completions") && absent(spec, "parallelism"))
		ks_def_int(doc, spec, "completions", 1);
	ks_def_int(doc, spec, "parallelism", 1);
	ks_def_int(doc, spec, "backoffLimit", 6);
	ks_def_str(doc, spec, "completionMode", "NonIndexed");
	ks_def_bool(doc, spec, "suspend", false);
}

static void cron_job(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	struct cox_node *template = cox_map_edit_map(doc, spec, "jobTemplate");

	default_template(doc, cox_map_edit_map(doc, template, "spec"));
	ks_def_str(doc, spec, "concurrencyPolicy", "Allow");
	ks_def_bool(doc, spec, "suspend", false);
	ks_def_int(doc, spec, "successfulJobsHistoryLimit", 3);
	ks_def_int(doc, spec, "failedJobsHistoryLimit", 1);
}

static void pod_template(struct cox_doc *doc, struct cox_node *root)
{
	default_template(doc, root);
}

static void replication_controller(struct cox_doc *doc, struct cox_node *root)
{
	replica_set(doc, root);
}

/* ---- core ---- */

static void service(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");

	ks_def_str(doc, spec, "sessionAffinity", "None");
	if (says(spec, "sessionAffinity", "ClientIP")) {
		struct cox_node *config = cox_map_edit_map(doc, spec, "sessionAffinityConfig");
		ks_def_int(doc, cox_map_edit_map(doc, config, "clientIP"), "timeoutSeconds", 10800);
	}
	ks_def_str(doc, spec, "type", "ClusterIP");
	EACH_ITEM (spec, "ports", port) {
		ks_def_str(doc, port, "protocol", "TCP");
		const struct cox_node *target = cox_node_get(port, "targetPort");
		if (!target || (cox_node_is(target, COX_INT) && !cox_node_int(target, 0)) ||
		    (cox_node_is(target, COX_STRING) && !cox_node_str(target).len))
			cox_map_put(doc, port, "targetPort", cox_node_get(port, "port"));
	}
	if (says(spec, "type", "NodePort") || says(spec, "type", "LoadBalancer"))
		ks_def_str(doc, spec, "externalTrafficPolicy", "Cluster");
	if (says(spec, "type", "LoadBalancer"))
		ks_def_bool(doc, spec, "allocateLoadBalancerNodePorts", true);
	if (!says(spec, "type", "ExternalName"))
		ks_def_str(doc, spec, "internalTrafficPolicy", "Cluster");
}

static void name_space(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	const char *name = cox_node_cstr(cox_node_get(metadata, "name"), "");

	if (*name)
		cox_map_put_cstr(doc, cox_map_edit_map(doc, metadata, "labels"),
				 "kubernetes.io/metadata.name", name);
	ks_def_str(doc, cox_map_edit_map(doc, root, "status"), "phase", "Active");
}

static void secret(struct cox_doc *doc, struct cox_node *root)
{
	ks_def_str(doc, root, "type", "Opaque");
}

static void volume(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");

	ks_def_str(doc, spec, "persistentVolumeReclaimPolicy", "Retain");
	ks_def_str(doc, spec, "volumeMode", "Filesystem");
	ks_def_str(doc, cox_map_edit_map(doc, root, "status"), "phase", "Pending");
	if (EDIT(spec, "hostPath"))
		ks_def_str(doc, EDIT(spec, "hostPath"), "type", "");
}

static void fill_from(struct cox_doc *doc, struct cox_node *item, const char *to, const char *from)
{
	const struct cox_node *source = cox_node_get(item, from);

	if (!cox_node_len(source))
		return;
	struct cox_node *target = cox_map_edit_map(doc, item, to);
	COX_DOC_MAP_EACH (source, i, key, value)
		if (!cox_node_get_str(target, key))
			cox_map_put_str(doc, target, key, value);
}

static void limit_range(struct cox_doc *doc, struct cox_node *root)
{
	EACH_ITEM (cox_map_edit_map(doc, root, "spec"), "limits", item)
		if (says(item, "type", "Container")) {
			fill_from(doc, item, "default", "max");
			fill_from(doc, item, "defaultRequest", "default");
			fill_from(doc, item, "defaultRequest", "min");
		}
}

static void endpoints(struct cox_doc *doc, struct cox_node *root)
{
	EACH_ITEM (root, "subsets", subset)
		EACH_ITEM (subset, "ports", port)
			ks_def_str(doc, port, "protocol", "TCP");
}

static void endpoint_slice(struct cox_doc *doc, struct cox_node *root)
{
	EACH_ITEM (root, "ports", port) {
		ks_def_str(doc, port, "name", "");
		ks_def_str(doc, port, "protocol", "TCP");
	}
}

/* ---- the rest ---- */

static void network_policy(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	static const char *const ways[] = {"ingress", "egress"};

	for (size_t i = 0; i < COX_ARRAY_LEN(ways); i++)
		EACH_ITEM (spec, ways[i], rule)
			EACH_ITEM (rule, "ports", port)
				ks_def_str(doc, port, "protocol", "TCP");
	if (!cox_node_len(cox_node_get(spec, "policyTypes"))) {
		struct cox_node *types = cox_doc_list(doc);
		cox_list_push(doc, types, cox_doc_cstring(doc, "Ingress"));
		if (cox_node_get(spec, "egress"))
			cox_list_push(doc, types, cox_doc_cstring(doc, "Egress"));
		cox_map_put(doc, spec, "policyTypes", types);
	}
}

static void autoscaler(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");

	ks_def_int(doc, spec, "minReplicas", 1);
	if (cox_node_len(cox_node_get(spec, "metrics")))
		return;
	struct cox_node *metric = cox_doc_map(doc), *resource = cox_doc_map(doc);
	struct cox_node *target = cox_doc_map(doc), *list = cox_doc_list(doc);
	cox_map_put_cstr(doc, target, "type", "Utilization");
	cox_map_put_int(doc, target, "averageUtilization", 80);
	cox_map_put_cstr(doc, resource, "name", "cpu");
	cox_map_put(doc, resource, "target", target);
	cox_map_put_cstr(doc, metric, "type", "Resource");
	cox_map_put(doc, metric, "resource", resource);
	cox_list_push(doc, list, metric);
	cox_map_put(doc, spec, "metrics", list);
}

static void role_binding(struct cox_doc *doc, struct cox_node *root)
{
	static const char group[] = "rbac.authorization.k8s.io";

	if (EDIT(root, "roleRef") && !cox_node_str(COX_GET(root, "roleRef", "apiGroup")).len)
		cox_map_put_cstr(doc, EDIT(root, "roleRef"), "apiGroup", group);
	EACH_ITEM (root, "subjects", subject)
		if (says(subject, "kind", "User") || says(subject, "kind", "Group"))
			ks_def_str(doc, subject, "apiGroup", group);
}

static void storage_class(struct cox_doc *doc, struct cox_node *root)
{
	ks_def_str(doc, root, "reclaimPolicy", "Delete");
	ks_def_str(doc, root, "volumeBindingMode", "Immediate");
}

static void priority_class(struct cox_doc *doc, struct cox_node *root)
{
	ks_def_str(doc, root, "preemptionPolicy", "PreemptLowerPriority");
}

static void webhooks(struct cox_doc *doc, struct cox_node *root)
{
	EACH_ITEM (root, "webhooks", hook) {
		struct cox_node *client = EDIT(hook, "clientConfig");
		ks_def_str(doc, hook, "failurePolicy", "Fail");
		ks_def_str(doc, hook, "matchPolicy", "Equivalent");
		def_map(doc, hook, "namespaceSelector");
		def_map(doc, hook, "objectSelector");
		ks_def_int(doc, hook, "timeoutSeconds", 10);
		if (says(root, "kind", "MutatingWebhookConfiguration"))
			ks_def_str(doc, hook, "reinvocationPolicy", "Never");
		if (client && EDIT(client, "service"))
			ks_def_int(doc, EDIT(client, "service"), "port", 443);
		EACH_ITEM (hook, "rules", rule)
			ks_def_str(doc, rule, "scope", "*");
	}
}

static void definition(struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	struct cox_node *names = cox_map_edit_map(doc, spec, "names");
	const char *kind = cox_node_cstr(cox_node_get(names, "kind"), "");
	_cleanup_free_ char *singular = cox_strdup(kind);
	_cleanup_free_ char *list = cox_asprintf("%sList", kind);

	for (char *p = singular; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
	ks_def_str(doc, names, "singular", singular);
	ks_def_str(doc, names, "listKind", list);
	if (absent(spec, "conversion"))
		cox_map_put_cstr(doc, cox_map_edit_map(doc, spec, "conversion"), "strategy",
				 "None");
}

static const struct {
	const char *kind;
	void (*fill)(struct cox_doc *doc, struct cox_node *root);
} table[] = {
	{"Pod", pod},
	{"Deployment", deployment},
	{"ReplicaSet", replica_set},
	{"StatefulSet", stateful_set},
	{"DaemonSet", daemon_set},
	{"Job", job},
	{"CronJob", cron_job},
	{"PodTemplate", pod_template},
	{"ReplicationController", replication_controller},
	{"Service", service},
	{"Namespace", name_space},
	{"Secret", secret},
	{"PersistentVolumeClaim", claim},
	{"PersistentVolume", volume},
	{"LimitRange", limit_range},
	{"Endpoints", endpoints},
	{"EndpointSlice", endpoint_slice},
	{"NetworkPolicy", network_policy},
	{"HorizontalPodAutoscaler", autoscaler},
	{"RoleBinding", role_binding},
	{"ClusterRoleBinding", role_binding},
	{"StorageClass", storage_class},
	{"PriorityClass", priority_class},
	{"MutatingWebhookConfiguration", webhooks},
	{"ValidatingWebhookConfiguration", webhooks},
	{"CustomResourceDefinition", definition},
};

/* ---- custom resources: the defaults of their schema ---- */

static void custom(struct cox_doc *doc, struct cox_node *node, const struct cox_schema_type *type)
{
	if (!node || !type)
		return;
	if (type->kind == COX_SCHEMA_STRUCT && cox_node_is(node, COX_MAP)) {
		for (size_t i = 0; i < type->n_fields; i++) {
			const struct cox_schema_field *f = &type->fields[i];
			if (f->def_node && absent(node, f->name) &&
			    !(cox_node_get(node, f->name) && f->type->nullable))
				cox_map_put(doc, node, f->name, cox_doc_clone(doc, f->def_node));
			if (!cox_streq(f->name, "metadata"))
				custom(doc, EDIT(node, f->name), f->type);
		}
	}
	if (type->kind == COX_SCHEMA_MAP && cox_node_is(node, COX_MAP))
		for (size_t i = 0; i < cox_node_len(node); i++)
			custom(doc, cox_map_edit_str(doc, node, cox_node_key(node, i)), type->item);
	if (type->kind == COX_SCHEMA_LIST && cox_node_is(node, COX_LIST))
		for (size_t i = 0; i < cox_node_len(node); i++)
			custom(doc, cox_list_edit(doc, node, i), type->item);
}

void ks_default(struct cox_doc *doc, struct cox_node *root, const struct ks_kind *kind)
{
	if (kind->custom) {
		custom(doc, root, kind->type);
		return;
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(table); i++)
		if (cox_streq(table[i].kind, kind->names.kind))
			table[i].fill(doc, root);
}
