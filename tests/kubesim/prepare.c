/* What the server itself puts into an object as it is created or changed: the strategies and
 * built-in admission of each kind. */
#include "common/kube/meta.h"
#include "tests/kubesim/defaults.h"
#include "tests/kubesim/normal.h"
#include "tests/kubesim/write.h"

#include <stdio.h>

static bool is_core(const struct ks_ctx *ctx, const char *kind)
{
	return !ctx->kind->custom && cox_streq(ctx->kind->names.kind, kind);
}

static void list_of(struct cox_doc *doc, struct cox_node *map, const char *key, const char *a,
		    const char *b)
{
	struct cox_node *list = cox_doc_list(doc);

	cox_list_push(doc, list, cox_doc_cstring(doc, a));
	if (b)
		cox_list_push(doc, list, cox_doc_cstring(doc, b));
	cox_map_put(doc, map, key, list);
}

static void add_finalizer(struct cox_doc *doc, struct cox_node *root, const char *finalizer)
{
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");

	if (!cox_meta_has_finalizer(root, finalizer))
		cox_list_push(doc, cox_map_edit_list(doc, metadata, "finalizers"),
			      cox_doc_cstring(doc, finalizer));
}

/* The status that an object is born with: the empty one. */
static void fresh_status(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	_cleanup_normal_ struct ks_normal normal = {.doc = doc};
	const struct cox_node *empty = NULL;

	if (ctx->kind->custom) {
		cox_map_drop(doc, root, COX_STR("status"));
		return;
	}
	if (ks_normal(&normal, NULL, ctx->kind->type, &empty, NULL) < 0)
		return;
	ks_default(doc, (struct cox_node *)empty, ctx->kind);
	if (cox_node_get(empty, "status"))
		cox_map_put(doc, root, "status", cox_node_get(empty, "status"));
	else
		cox_map_drop(doc, root, COX_STR("status"));
}

/* ---- kinds ---- */

static void job(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	const char *uid = ks_text(ctx, cox_meta_uid(root));
	const char *name = ks_text(ctx, cox_meta_name(root));

	cox_map_put_cstr(doc, cox_map_edit_map(doc, metadata, "annotations"),
			 "batch.kubernetes.io/job-tracking", "");
	if (cox_node_bool(COX_GET(spec, "manualSelector"), false))
		return;
	struct cox_node *template = cox_map_edit_map(doc, spec, "template");
	struct cox_node *inner = cox_map_edit_map(doc, template, "metadata");
	struct cox_node *holders[] = {metadata, inner};
	for (size_t i = 0; i < COX_ARRAY_LEN(holders); i++) {
		struct cox_node *labels = cox_map_edit_map(doc, holders[i], "labels");
		cox_map_put_cstr(doc, labels, "controller-uid", uid);
		cox_map_put_cstr(doc, labels, "job-name", name);
	}
	struct cox_node *selector = cox_map_edit_map(doc, spec, "selector");
	cox_map_put_cstr(doc, cox_map_edit_map(doc, selector, "matchLabels"), "controller-uid",
			 uid);
}

static void pod(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	static const char *const keys[] = {"node.kubernetes.io/not-ready",
					   "node.kubernetes.io/unreachable"};
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	struct cox_node *status = cox_map_edit_map(doc, root, "status");
	bool limits = false, requests = false;

	(void)ctx;
	struct cox_node *tolerations = cox_map_edit_list(doc, spec, "tolerations");
	for (size_t i = 0; i < COX_ARRAY_LEN(keys); i++) {
		bool has = false;
		for (size_t t = 0; t < cox_node_len(tolerations); t++)
			has = has ||
			      cox_streq(cox_node_cstr(COX_GET(cox_node_at(tolerations, t), "key"),
						      ""),
					keys[i]);
		if (has)
			continue;
		struct cox_node *t = cox_doc_map(doc);
		cox_map_put_cstr(doc, t, "key", keys[i]);
		cox_map_put_cstr(doc, t, "operator", "Exists");
		cox_map_put_cstr(doc, t, "effect", "NoExecute");
		cox_map_put_int(doc, t, "tolerationSeconds", 300);
		cox_list_push(doc, tolerations, t);
	}
	ks_def_int(doc, spec, "priority", 0);
	ks_def_str(doc, spec, "preemptionPolicy", "PreemptLowerPriority");
	COX_DOC_LIST_EACH (COX_GET(spec, "containers"), c, container) {
		limits = limits || cox_node_len(COX_GET(container, "resources", "limits"));
		requests = requests || cox_node_len(COX_GET(container, "resources", "requests"));
	}
	cox_map_put_cstr(doc, status, "qosClass", limits || requests ? "Burstable" : "BestEffort");
}

static bool ip_is_none(const struct cox_node *spec)
{
	return cox_streq(cox_node_cstr(COX_GET(spec, "clusterIP"), ""), "None");
}

static void allocate_ports(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *spec)
{
	struct cox_node *ports = cox_map_edit(doc, spec, "ports");

	for (size_t i = 0; i < cox_node_len(ports); i++) {
		struct cox_node *port = cox_list_edit(doc, ports, i);
		if (!cox_node_int(COX_GET(port, "nodePort"), 0))
			cox_map_put_int(doc, port, "nodePort",
					30000 + ctx->sim->next_node_port++ % 2768);
	}
}

static void service(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	const char *type = cox_node_cstr(COX_GET(spec, "type"), "");
	char ip[24];

	if (cox_streq(type, "ExternalName"))
		return;
	if (!cox_node_str(COX_GET(spec, "clusterIP")).len) {
		uint32_t n = ctx->sim->next_ip++;
		snprintf(ip, sizeof(ip), "10.96.%u.%u", (n >> 8) & 255, n & 255);
		cox_map_put_cstr(doc, spec, "clusterIP", ip);
	}
	const char *cluster_ip = ks_text(ctx, cox_node_str(COX_GET(spec, "clusterIP")));
	if (!cox_node_len(COX_GET(spec, "clusterIPs")))
		list_of(doc, spec, "clusterIPs", cluster_ip, NULL);
	/* without an address and without a selector it could be of any family */
	bool any = ip_is_none(spec) && !cox_node_len(COX_GET(spec, "selector"));
	if (!cox_node_len(COX_GET(spec, "ipFamilies")))
		list_of(doc, spec, "ipFamilies", "IPv4", any ? "IPv6" : NULL);
	ks_def_str(doc, spec, "ipFamilyPolicy", any ? "RequireDualStack" : "SingleStack");
	bool balanced = cox_streq(type, "LoadBalancer") &&
			cox_node_bool(COX_GET(spec, "allocateLoadBalancerNodePorts"), true);
	if (cox_streq(type, "NodePort") || balanced)
		allocate_ports(ctx, doc, spec);
}

static void name_space(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	(void)ctx;
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");

	if (!cox_node_len(COX_GET(spec, "finalizers")))
		list_of(doc, spec, "finalizers", "kubernetes", NULL);
}

static void claim(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	(void)ctx;
	add_finalizer(doc, root, "kubernetes.io/pvc-protection");
}

static void volume(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	(void)ctx;
	add_finalizer(doc, root, "kubernetes.io/pv-protection");
}

static void daemon_set(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	(void)ctx;
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)cox_meta_generation(root));
	cox_map_put_cstr(doc, cox_map_edit_map(doc, metadata, "annotations"),
			 "deprecated.daemonset.template.generation", text);
}

static void definition(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	struct cox_node *status = cox_map_edit_map(doc, root, "status");
	struct cox_node *stored = cox_doc_list(doc);

	(void)ctx;
	COX_DOC_LIST_EACH (COX_GET(root, "spec", "versions"), i, v) {
		if (cox_node_bool(COX_GET(v, "storage"), false))
			cox_list_push(doc, stored, cox_doc_clone(doc, cox_node_get(v, "name")));
	}
	cox_map_put(doc, status, "storedVersions", stored);
}

static const struct {
	const char *kind;
	void (*create)(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root);
} creates[] = {
	{"Job", job},
	{"Pod", pod},
	{"Service", service},
	{"Namespace", name_space},
	{"PersistentVolumeClaim", claim},
	{"PersistentVolume", volume},
	{"DaemonSet", daemon_set},
	{"CustomResourceDefinition", definition},
};

void ks_prepare_create(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root)
{
	if (ctx->kind->flags & KS_STATUS)
		fresh_status(ctx, doc, root);
	for (size_t i = 0; i < COX_ARRAY_LEN(creates); i++)
		if (is_core(ctx, creates[i].kind))
			creates[i].create(ctx, doc, root);
}

/* ---- updates ---- */

static void keep(struct cox_doc *doc, struct cox_node *map, const struct cox_node *old,
		 const char *key)
{
	const struct cox_node *value = cox_node_get(old, key);

	if (value)
		cox_map_put(doc, map, key, cox_doc_clone(doc, value));
	else
		cox_map_drop(doc, map, cox_str(key));
}

/* What a client leaves out of a Service keeps its value. */
static void service_update(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root,
			   const struct cox_node *live)
{
	static const char *const kept[] = {"clusterIP", "clusterIPs", "ipFamilies",
					   "ipFamilyPolicy", "healthCheckNodePort"};
	struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
	const struct cox_node *old = COX_GET(live, "spec");
	struct cox_node *ports = cox_map_edit(doc, spec, "ports");

	if (cox_streq(cox_node_cstr(COX_GET(spec, "type"), ""), "ExternalName"))
		return;
	for (size_t i = 0; i < COX_ARRAY_LEN(kept); i++)
		if (!cox_node_get(spec, kept[i]))
			keep(doc, spec, old, kept[i]);
	for (size_t i = 0; i < cox_node_len(ports); i++) {
		struct cox_node *port = cox_list_edit(doc, ports, i);
		COX_DOC_LIST_EACH (COX_GET(old, "ports"), j, other) {
			if (cox_node_equal(COX_GET(other, "port"), COX_GET(port, "port")) &&
			    cox_node_equal(COX_GET(other, "protocol"), COX_GET(port, "protocol")) &&
			    !cox_node_get(port, "nodePort") && cox_node_get(other, "nodePort") &&
			    !cox_streq(cox_node_cstr(COX_GET(spec, "type"), ""), "ClusterIP"))
				keep(doc, port, other, "nodePort");
		}
	}
	service(ctx, doc, root);
}

static void status_update(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root,
			  const struct cox_node *live)
{
	struct cox_node *metadata = cox_map_edit_map(doc, root, "metadata");

	COX_DOC_MAP_EACH (live, i, key, value) {
		if (!cox_str_is(key, "metadata") && !cox_str_is(key, "status"))
			cox_map_put_str(doc, root, key, cox_doc_clone(doc, value));
	}
	if (!ctx->kind->custom) {
		keep(doc, metadata, COX_GET(live, "metadata"), "labels");
		return;
	}
	static const char *const kept[] = {"labels", "annotations", "finalizers",
					   "ownerReferences"};
	for (size_t i = 0; i < COX_ARRAY_LEN(kept); i++)
		keep(doc, metadata, COX_GET(live, "metadata"), kept[i]);
}

void ks_prepare_update(struct ks_ctx *ctx, struct cox_doc *doc, struct cox_node *root,
		       const struct cox_node *live)
{
	if (cox_streq(ctx->sub, "status")) {
		status_update(ctx, doc, root, live);
		return;
	}
	if (ctx->kind->flags & KS_STATUS)
		keep(doc, root, live, "status");
	if (is_core(ctx, "Service"))
		service_update(ctx, doc, root, live);
	if (is_core(ctx, "Namespace") && !cox_streq(ctx->sub, "finalize"))
		keep(doc, root, live, "spec");
	if (is_core(ctx, "Job")) {
		struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
		if (!cox_node_get(spec, "selector"))
			keep(doc, spec, COX_GET(live, "spec"), "selector");
		/* the labels that select its pods cannot be taken away from its template */
		struct cox_node *template = cox_map_edit_map(doc, spec, "template");
		struct cox_node *inner = cox_map_edit_map(doc, template, "metadata");
		struct cox_node *labels = cox_map_edit_map(doc, inner, "labels");
		COX_DOC_MAP_EACH (COX_GET(live, "spec", "template", "metadata", "labels"), i, key,
				  value) {
			if (!cox_node_get_str(labels, key) &&
			    (cox_str_is(key, "controller-uid") || cox_str_is(key, "job-name")))
				cox_map_put_str(doc, labels, key, cox_doc_clone(doc, value));
		}
	}
	if (is_core(ctx, "PersistentVolumeClaim")) {
		struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
		static const char *const kept[] = {"volumeName", "storageClassName"};
		for (size_t i = 0; i < COX_ARRAY_LEN(kept); i++)
			if (!cox_node_get(spec, kept[i]))
				keep(doc, spec, COX_GET(live, "spec"), kept[i]);
	}
	if (is_core(ctx, "Pod")) {
		struct cox_node *spec = cox_map_edit_map(doc, root, "spec");
		static const char *const kept[] = {"nodeName", "tolerations", "priority",
						   "preemptionPolicy"};
		for (size_t i = 0; i < COX_ARRAY_LEN(kept); i++)
			if (!cox_node_get(spec, kept[i]))
				keep(doc, spec, COX_GET(live, "spec"), kept[i]);
	}
}
