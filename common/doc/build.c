#include "common/base/map.h"
#include "common/doc/internal.h"

#include <stdarg.h>
#include <stdio.h>

void *doc_alloc(struct cox_doc *doc, size_t size)
{
	void *p;

	COX_ASSERT(!doc->sealed);
	p = cox_arena_alloc(&doc->arena, size);
	COX_ASSERT(p); /* the arena has no quota: the readers' limits bound what comes in */
	return p;
}

struct cox_node *doc_node(struct cox_doc *doc, enum cox_kind kind)
{
	struct cox_node *n = doc_alloc(doc, sizeof(*n));

	*n = (struct cox_node){.owner = doc->id, .kind = (uint8_t)kind};
	return n;
}

/* ---- keys ----
 *
 * A document of Kubernetes is small and its keys are mostly the same few hundred: those are made once
 * for the whole process and never freed, so that no document holds them and two documents' keys are
 * mostly equal by pointer. */

static const char *const usual_keys[] = {
	/* clang-format off */
	"apiVersion", "kind", "metadata", "name", "namespace", "labels", "annotations", "uid",
	"resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
	"deletionGracePeriodSeconds", "finalizers", "ownerReferences", "managedFields",
	"generateName", "selfLink", "spec", "status", "data", "stringData", "binaryData",
	"immutable", "type", "items", "manager", "operation", "time", "fieldsType", "fieldsV1",
	"subresource", "controller", "blockOwnerDeletion", "replicas", "selector", "matchLabels",
	"matchExpressions", "key", "operator", "values", "template", "containers",
	"initContainers", "ephemeralContainers", "image", "imagePullPolicy", "imagePullSecrets",
	"command", "args", "workingDir", "ports", "containerPort", "hostPort", "hostIP",
	"protocol", "env", "envFrom", "value", "valueFrom", "fieldRef", "fieldPath",
	"resourceFieldRef", "resource", "divisor", "configMapKeyRef", "secretKeyRef",
	"configMapRef", "secretRef", "optional", "resources", "limits", "requests", "claims",
	"cpu", "memory", "storage", "ephemeral-storage", "volumeMounts", "mountPath", "subPath",
	"readOnly", "volumes", "configMap", "secret", "secretName", "emptyDir", "medium",
	"sizeLimit", "persistentVolumeClaim", "claimName", "projected", "sources",
	"serviceAccountToken", "path", "hostPath", "defaultMode", "mode", "downwardAPI", "csi",
	"nfs", "server", "volumeClaimTemplates", "volumeName", "volumeMode", "accessModes",
	"storageClassName", "livenessProbe", "readinessProbe", "startupProbe", "httpGet",
	"tcpSocket", "exec", "grpc", "port", "host", "scheme", "httpHeaders",
	"initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold",
	"failureThreshold", "lifecycle", "preStop", "postStart", "securityContext", "runAsUser",
	"runAsGroup", "runAsNonRoot", "fsGroup", "privileged", "allowPrivilegeEscalation",
	"readOnlyRootFilesystem", "capabilities", "add", "drop", "seccompProfile",
	"seLinuxOptions", "serviceAccount", "serviceAccountName", "automountServiceAccountToken",
	"nodeName", "nodeSelector", "tolerations", "tolerationSeconds", "effect", "affinity",
	"nodeAffinity", "podAffinity", "podAntiAffinity",
	"requiredDuringSchedulingIgnoredDuringExecution",
	"preferredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms", "podAffinityTerm",
	"labelSelector", "topologyKey", "weight", "preference", "topologySpreadConstraints",
	"maxSkew", "whenUnsatisfiable", "priorityClassName", "restartPolicy", "dnsPolicy",
	"dnsConfig", "hostNetwork", "hostPID", "schedulerName", "terminationGracePeriodSeconds",
	"terminationMessagePath", "terminationMessagePolicy", "enableServiceLinks",
	"preemptionPolicy", "priority", "hostname", "subdomain", "strategy", "rollingUpdate",
	"maxSurge", "maxUnavailable", "minReadySeconds", "progressDeadlineSeconds",
	"revisionHistoryLimit", "paused", "updateStrategy", "podManagementPolicy", "partition",
	"serviceName", "clusterIP", "clusterIPs", "internalTrafficPolicy",
	"externalTrafficPolicy", "ipFamilies", "ipFamilyPolicy", "sessionAffinity",
	"loadBalancer", "ingress", "loadBalancerIP", "targetPort", "nodePort", "appProtocol",
	"publishNotReadyAddresses", "externalName", "rules", "http", "paths", "pathType",
	"backend", "service", "number", "tls", "hosts", "ingressClassName", "defaultBackend",
	"verbs", "apiGroups", "resourceNames", "nonResourceURLs", "roleRef", "apiGroup",
	"subjects", "conditions", "lastTransitionTime", "lastUpdateTime", "lastProbeTime",
	"lastHeartbeatTime", "reason", "message", "observedGeneration", "availableReplicas",
	"readyReplicas", "updatedReplicas", "unavailableReplicas", "currentReplicas",
	"fullyLabeledReplicas", "collisionCount", "currentRevision", "updateRevision", "phase",
	"podIP", "podIPs", "hostIPs", "startTime", "completionTime", "containerStatuses",
	"initContainerStatuses", "containerID", "imageID", "ready", "started", "restartCount",
	"state", "lastState", "running", "waiting", "terminated", "exitCode", "startedAt",
	"finishedAt", "qosClass", "active", "succeeded", "failed", "backoffLimit", "completions",
	"parallelism", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "schedule",
	"jobTemplate", "concurrencyPolicy", "successfulJobsHistoryLimit",
	"failedJobsHistoryLimit", "suspend", "startingDeadlineSeconds", "minAvailable",
	"podSelector", "namespaceSelector", "policyTypes", "egress", "from", "to", "ipBlock",
	"cidr", "except", "minReplicas", "maxReplicas", "metrics", "scaleTargetRef", "target",
	"averageUtilization", "group", "names", "plural", "singular", "shortNames", "listKind",
	"scope", "versions", "served", "schema", "openAPIV3Schema", "properties", "description",
	"format", "required", "enum", "default", "additionalProperties", "pattern", "minimum",
	"maximum", "maxLength", "minLength", "maxItems", "oneOf", "anyOf", "allOf", "nullable",
	"x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string",
	"x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
	"x-kubernetes-validations", "rule", "subresources", "scale", "additionalPrinterColumns",
	"jsonPath", "categories", "conversion", "webhooks", "clientConfig", "caBundle",
	"admissionReviewVersions", "sideEffects", "failurePolicy", "matchPolicy",
	"reinvocationPolicy", "object", "url", "project", "source", "repoURL", "targetRevision",
	"chart", "helm", "kustomize", "directory", "recurse", "destination", "syncPolicy",
	"automated", "prune", "selfHeal", "syncOptions", "retry", "limit", "backoff", "duration",
	"factor", "maxDuration", "generators", "list", "elements", "cluster", "clusters",
	"goTemplate", "rollingSync", "steps", "app", "version", "component", "environment",
	"tier", "app.kubernetes.io/name", "app.kubernetes.io/instance",
	"app.kubernetes.io/version", "app.kubernetes.io/component", "app.kubernetes.io/part-of",
	"app.kubernetes.io/managed-by", "helm.sh/chart", "kubernetes.io/metadata.name",
	"pod-template-hash", "kubectl.kubernetes.io/last-applied-configuration",
	"argocd.argoproj.io/tracking-id", "argocd.argoproj.io/sync-wave",
	"argocd.argoproj.io/sync-options", "argocd.argoproj.io/hook",
	"deployment.kubernetes.io/revision", "coxswain.dev/app-uid", "f:metadata", "f:labels",
	"f:annotations", "f:spec", "f:status", "f:data", ".", "f:template", "f:containers",
	"f:name", "f:image", "f:ports", "f:env", "f:resources", "f:conditions",
	/* clang-format on */
};

static struct {
	struct doc_keys keys;
	const char *memory, *end; /* all of them lie here */
} usual;

bool doc_key_is_usual(const struct doc_key *key)
{
	return (const char *)key >= usual.memory && (const char *)key < usual.end;
}

static const struct doc_key **find_slot(const struct doc_keys *keys, uint32_t hash,
					struct cox_str text)
{
	uint32_t mask = keys->n_slots - 1, s = hash & mask;

	for (; keys->slots[s]; s = (s + 1) & mask) {
		const struct doc_key *k = keys->slots[s];

		if (k->hash == hash && k->len == text.len &&
		    memcmp(k->text, text.ptr, text.len) == 0)
			break;
	}
	return &keys->slots[s];
}

static void make_room(struct doc_keys *keys)
{
	struct doc_keys bigger = {.n = keys->n, .n_slots = keys->n_slots ? keys->n_slots * 2 : 64};

	if (keys->n * 2 < keys->n_slots)
		return;
	bigger.slots = cox_new_n(const struct doc_key *, bigger.n_slots);
	for (uint32_t i = 0; i < keys->n_slots; i++)
		if (keys->slots[i])
			*find_slot(&bigger, keys->slots[i]->hash, doc_key_str(keys->slots[i])) =
				keys->slots[i];
	free(keys->slots);
	*keys = bigger;
}

const struct doc_key *doc_keys_add(struct doc_keys *keys, const struct doc_key *key)
{
	const struct doc_key **slot;

	make_room(keys);
	slot = find_slot(keys, key->hash, doc_key_str(key));
	if (!*slot) {
		*slot = key;
		keys->n++;
	}
	return *slot;
}

void doc_keys_fini(struct doc_keys *keys)
{
	free(keys->slots);
	*keys = (struct doc_keys){0};
}

static struct doc_key *fill_key(void *memory, uint32_t hash, struct cox_str text)
{
	struct doc_key *key = memory;

	key->hash = hash;
	key->len = (uint32_t)text.len;
	if (text.len)
		memcpy(key->text, text.ptr, text.len);
	key->text[text.len] = '\0';
	return key;
}

static size_t key_size(size_t len)
{
	return (sizeof(struct doc_key) + len + 1 + 7) & ~(size_t)7;
}

void doc_make_usual_keys(void)
{
	size_t size = 0;
	char *p;

	for (size_t i = 0; i < COX_ARRAY_LEN(usual_keys); i++)
		size += key_size(strlen(usual_keys[i]));
	p = cox_calloc(1, size);
	usual.memory = p;
	usual.end = p + size;
	for (size_t i = 0; i < COX_ARRAY_LEN(usual_keys); i++) {
		struct cox_str text = cox_str(usual_keys[i]);

		doc_keys_add(&usual.keys,
			     fill_key(p, (uint32_t)cox_hash(text.ptr, text.len), text));
		p += key_size(text.len);
	}
}

const struct doc_key *doc_intern(struct cox_doc *doc, struct cox_str text)
{
	uint32_t hash = (uint32_t)cox_hash(text.ptr, text.len);
	const struct doc_key **slot = find_slot(&usual.keys, hash, text);

	if (*slot)
		return *slot;
	make_room(&doc->keys);
	slot = find_slot(&doc->keys, hash, text);
	if (!*slot) {
		*slot = fill_key(doc_alloc(doc, sizeof(**slot) + text.len + 1), hash, text);
		doc->keys.n++;
	}
	return *slot;
}

/* The document's own key of the same text, without hashing again. */
static const struct doc_key *adopt_key(struct cox_doc *doc, const struct doc_key *theirs)
{
	size_t size = sizeof(*theirs) + theirs->len + 1;
	const struct doc_key **slot;

	if (doc_key_is_usual(theirs))
		return theirs;
	make_room(&doc->keys);
	slot = find_slot(&doc->keys, theirs->hash, doc_key_str(theirs));
	if (!*slot) {
		*slot = memcpy(doc_alloc(doc, size), theirs, size);
		doc->keys.n++;
	}
	return *slot;
}

/* ---- scalars ---- */

static void copy_text(struct cox_doc *doc, char *room, size_t room_len, const char **ret_text,
		      struct cox_str text)
{
	char *to = text.len <= room_len ? room : doc_alloc(doc, text.len + 1);

	if (text.len)
		memcpy(to, text.ptr, text.len);
	to[text.len] = '\0';
	if (to != room)
		*ret_text = to;
}

void doc_set_text(struct cox_doc *doc, struct cox_node *n, struct cox_str text)
{
	COX_ASSERT(text.len < UINT32_MAX);
	n->len = (uint32_t)text.len;
	copy_text(doc, n->body.inline_text, DOC_INLINE_TEXT, &n->body.text, text);
}

void doc_set_number_text(struct cox_doc *doc, struct cox_node *n, struct cox_str text)
{
	n->len = (uint32_t)text.len;
	copy_text(doc, n->body.number.as.inline_text, DOC_INLINE_NUMBER, &n->body.number.as.text,
		  text);
}

struct cox_node *cox_doc_null(struct cox_doc *doc)
{
	return doc_node(doc, COX_NULL);
}

struct cox_node *cox_doc_bool(struct cox_doc *doc, bool value)
{
	struct cox_node *n = doc_node(doc, COX_BOOL);

	n->body.number.value.i = value;
	return n;
}

void doc_set_int(struct cox_doc *doc, struct cox_node *n, int64_t value)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%lld", (long long)value);

	n->kind = COX_INT;
	n->body.number.value.i = value;
	doc_set_number_text(doc, n, cox_str_n(text, (size_t)len));
}

bool doc_set_number(struct cox_doc *doc, struct cox_node *n, struct cox_str text)
{
	int form = doc_number_form(text);
	int64_t value;

	if (form == 1 && doc_parse_int(text, &value)) {
		n->kind = COX_INT;
		n->body.number.value.i = value;
		doc_set_number_text(doc, n, value ? text : COX_STR("0"));
		return true;
	}
	n->kind = COX_FLOAT;
	n->body.number.value.d = 0;
	doc_set_number_text(doc, n, text);
	return form && doc_parse_double(doc_text(n), &n->body.number.value.d);
}

struct cox_node *cox_doc_int(struct cox_doc *doc, int64_t value)
{
	struct cox_node *n = doc_node(doc, COX_INT);

	doc_set_int(doc, n, value);
	return n;
}

struct cox_node *cox_doc_number(struct cox_doc *doc, struct cox_str text)
{
	struct cox_node *n = doc_node(doc, COX_FLOAT);
	bool is_number = doc_set_number(doc, n, text);

	COX_ASSERT(is_number);
	return n;
}

struct cox_node *cox_doc_string(struct cox_doc *doc, struct cox_str text)
{
	struct cox_node *n = doc_node(doc, COX_STRING);

	doc_set_text(doc, n, text);
	return n;
}

struct cox_node *cox_doc_cstring(struct cox_doc *doc, const char *text)
{
	return cox_doc_string(doc, cox_str(text));
}

struct cox_node *cox_doc_stringf(struct cox_doc *doc, const char *format, ...)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(&text, format, args);
	va_end(args);
	return cox_doc_string(doc, cox_buf_str(&text));
}

/* ---- maps ---- */

struct cox_node *cox_doc_map(struct cox_doc *doc)
{
	return doc_node(doc, COX_MAP);
}

/* Room for cap entries; those that are there are kept. */
static void map_reserve(struct cox_doc *doc, struct cox_node *map, size_t cap)
{
	struct doc_entry *entries = doc_alloc(doc, doc_map_bytes(cap));

	if (map->len)
		memcpy(entries, map->body.map.entries, map->len * sizeof(*entries));
	map->body.map.entries = entries;
	map->body.map.cap = (uint32_t)cap;
	if (cap > DOC_LINEAR)
		doc_map_index(map);
}

ptrdiff_t doc_map_fill(struct cox_doc *doc, struct cox_node *map, const struct doc_entry *entries,
		       size_t n)
{
	struct doc_entry *own;

	if (!n)
		return -1;
	own = doc_alloc(doc, doc_map_bytes(n));
	memcpy(own, entries, n * sizeof(*own));
	map->body.map.entries = own;
	map->body.map.cap = map->len = (uint32_t)n;
	if (n > DOC_LINEAR)
		return doc_map_index(map);
	for (size_t i = 1; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (own[i].key == own[j].key)
				return (ptrdiff_t)i;
	return -1;
}

static void assert_own(const struct cox_doc *doc, const struct cox_node *node, enum cox_kind kind)
{
	COX_ASSERT(!doc->sealed && node->owner == doc->id && node->kind == kind);
}

static void map_append(struct cox_doc *doc, struct cox_node *map, struct doc_entry entry)
{
	if (map->len == map->body.map.cap)
		map_reserve(doc, map, map->len ? (size_t)map->len * 2 : 4);
	map->body.map.entries[map->len++] = entry;
	if (map->body.map.cap > DOC_LINEAR)
		doc_map_index_last(map);
}

void cox_map_put_str(struct cox_doc *doc, struct cox_node *map, struct cox_str key,
		     const struct cox_node *value)
{
	ptrdiff_t i;

	assert_own(doc, map, COX_MAP);
	COX_ASSERT(value);
	i = cox_node_find(map, key);
	if (i >= 0)
		map->body.map.entries[i].value = value;
	else
		map_append(doc, map,
			   (struct doc_entry){.key = doc_intern(doc, key),
					      .value = value,
					      .len16 = (uint16_t)key.len});
}

void cox_map_put(struct cox_doc *doc, struct cox_node *map, const char *key,
		 const struct cox_node *value)
{
	cox_map_put_str(doc, map, cox_str(key), value);
}

void cox_map_put_cstr(struct cox_doc *doc, struct cox_node *map, const char *key, const char *text)
{
	if (text)
		cox_map_put(doc, map, key, cox_doc_cstring(doc, text));
}

void cox_map_put_int(struct cox_doc *doc, struct cox_node *map, const char *key, int64_t value)
{
	cox_map_put(doc, map, key, cox_doc_int(doc, value));
}

void cox_map_put_bool(struct cox_doc *doc, struct cox_node *map, const char *key, bool value)
{
	cox_map_put(doc, map, key, cox_doc_bool(doc, value));
}

bool cox_map_drop(struct cox_doc *doc, struct cox_node *map, struct cox_str key)
{
	struct doc_entry *e = map->body.map.entries;
	ptrdiff_t i;

	assert_own(doc, map, COX_MAP);
	i = cox_node_find(map, key);
	if (i < 0)
		return false;
	memmove(&e[i], &e[i + 1], (map->len - (size_t)i - 1) * sizeof(*e));
	map->len--;
	if (map->body.map.cap > DOC_LINEAR)
		doc_map_index(map);
	return true;
}

/* ---- lists ---- */

struct cox_node *cox_doc_list(struct cox_doc *doc)
{
	return doc_node(doc, COX_LIST);
}

static void list_reserve(struct cox_doc *doc, struct cox_node *list, size_t cap)
{
	const struct cox_node **items = doc_alloc(doc, cap * sizeof(*items));

	if (list->len)
		memcpy(items, list->body.list.items, list->len * sizeof(*items));
	list->body.list.items = items;
	list->body.list.cap = (uint32_t)cap;
}

void doc_list_fill(struct cox_doc *doc, struct cox_node *list, const struct cox_node *const *items,
		   size_t n)
{
	if (!n)
		return;
	list_reserve(doc, list, n);
	memcpy(list->body.list.items, items, n * sizeof(*items));
	list->len = (uint32_t)n;
}

void cox_list_insert(struct cox_doc *doc, struct cox_node *list, size_t i,
		     const struct cox_node *value)
{
	const struct cox_node **items;

	assert_own(doc, list, COX_LIST);
	COX_ASSERT(value && i <= list->len);
	if (list->len == list->body.list.cap)
		list_reserve(doc, list, list->len ? (size_t)list->len * 2 : 4);
	items = list->body.list.items;
	memmove(&items[i + 1], &items[i], (list->len - i) * sizeof(*items));
	items[i] = value;
	list->len++;
}

void cox_list_push(struct cox_doc *doc, struct cox_node *list, const struct cox_node *value)
{
	cox_list_insert(doc, list, list->len, value);
}

void cox_list_set(struct cox_doc *doc, struct cox_node *list, size_t i,
		  const struct cox_node *value)
{
	assert_own(doc, list, COX_LIST);
	COX_ASSERT(value && i < list->len);
	list->body.list.items[i] = value;
}

void cox_list_drop(struct cox_doc *doc, struct cox_node *list, size_t i)
{
	const struct cox_node **items = list->body.list.items;

	assert_own(doc, list, COX_LIST);
	COX_ASSERT(i < list->len);
	memmove(&items[i], &items[i + 1], (list->len - i - 1) * sizeof(*items));
	list->len--;
}

/* ---- copies ---- */

static struct cox_node *clone_map(struct cox_doc *doc, struct cox_node *to,
				  const struct cox_node *from)
{
	struct doc_entry *entries;

	if (!from->len)
		return to;
	entries = doc_alloc(doc, doc_map_bytes(from->len));
	for (uint32_t i = 0; i < from->len; i++) {
		entries[i] = from->body.map.entries[i];
		entries[i].key = adopt_key(doc, entries[i].key);
		entries[i].value = cox_doc_clone(doc, entries[i].value);
	}
	to->body.map.entries = entries;
	to->body.map.cap = from->len;
	if (from->len > DOC_LINEAR)
		doc_map_index(to);
	return to;
}

static struct cox_node *clone_list(struct cox_doc *doc, struct cox_node *to,
				   const struct cox_node *from)
{
	const struct cox_node **items;

	if (!from->len)
		return to;
	items = doc_alloc(doc, from->len * sizeof(*items));
	for (uint32_t i = 0; i < from->len; i++)
		items[i] = cox_doc_clone(doc, from->body.list.items[i]);
	to->body.list.items = items;
	to->body.list.cap = from->len;
	return to;
}

struct cox_node *doc_keep_written(struct cox_doc *doc, const struct cox_node *n,
				  struct cox_str text)
{
	struct doc_written *w = doc_alloc(doc, sizeof(*w) + text.len + 1);

	w->node = *n;
	w->node.style |= DOC_WRITTEN;
	w->len = (uint32_t)text.len;
	memcpy(w->text, text.ptr, text.len);
	w->text[text.len] = '\0';
	return &w->node;
}

struct cox_node *cox_doc_clone(struct cox_doc *doc, const struct cox_node *node)
{
	struct cox_node *to = node->style & DOC_WRITTEN
				      ? doc_keep_written(doc, node, cox_node_written(node))
				      : doc_alloc(doc, sizeof(*to));
	struct cox_str text = cox_node_text(node);

	if (!(node->style & DOC_WRITTEN))
		*to = *node;
	to->owner = doc->id;
	switch (node->kind) {
	case COX_STRING:
		doc_set_text(doc, to, text);
		return to;
	case COX_INT:
	case COX_FLOAT:
		doc_set_number_text(doc, to, text);
		return to;
	case COX_MAP:
		to->body.map.cap = 0;
		return clone_map(doc, to, node);
	case COX_LIST:
		to->body.list.cap = 0;
		return clone_list(doc, to, node);
	default:
		return to;
	}
}

struct cox_node *cox_doc_quote(struct cox_doc *doc, const struct cox_node *node, bool quoted)
{
	struct cox_node *to = cox_doc_clone(doc, node);

	to->style = (uint8_t)((to->style & ~DOC_QUOTED) | (quoted ? DOC_QUOTED : 0));
	return to;
}

/* The node if it is doc's own, else a copy that has its own entries or items and shares what they
 * name. A little room is added: whoever copies is about to put something in. */
static struct cox_node *own(struct cox_doc *doc, const struct cox_node *node)
{
	struct cox_node *to;

	COX_ASSERT(!doc->sealed);
	if (node->owner == doc->id)
		return (struct cox_node *)node;
	to = doc_alloc(doc, sizeof(*to));
	*to = *node;
	to->owner = doc->id;
	to->style &= (uint8_t)~DOC_WRITTEN;
	if (to->kind == COX_MAP)
		map_reserve(doc, to, (size_t)to->len + 2);
	else if (to->kind == COX_LIST)
		list_reserve(doc, to, (size_t)to->len + 2);
	return to;
}

/* ---- editing ---- */

struct cox_node *cox_doc_root_edit(struct cox_doc *doc)
{
	struct cox_node *root = doc->root ? own(doc, doc->root) : NULL;

	if (root)
		doc->root = root;
	return root;
}

struct cox_node *cox_map_edit_str(struct cox_doc *doc, struct cox_node *map, struct cox_str key)
{
	ptrdiff_t i;
	struct cox_node *value;

	assert_own(doc, map, COX_MAP);
	i = cox_node_find(map, key);
	if (i < 0)
		return NULL;
	value = own(doc, map->body.map.entries[i].value);
	map->body.map.entries[i].value = value;
	return value;
}

struct cox_node *cox_map_edit(struct cox_doc *doc, struct cox_node *map, const char *key)
{
	return cox_map_edit_str(doc, map, cox_str(key));
}

static struct cox_node *edit_kind(struct cox_doc *doc, struct cox_node *map, const char *key,
				  enum cox_kind kind)
{
	struct cox_node *value;

	if (cox_node_is(cox_node_get(map, key), kind))
		return cox_map_edit(doc, map, key);
	value = doc_node(doc, kind);
	cox_map_put(doc, map, key, value);
	return value;
}

struct cox_node *cox_map_edit_map(struct cox_doc *doc, struct cox_node *map, const char *key)
{
	return edit_kind(doc, map, key, COX_MAP);
}

struct cox_node *cox_map_edit_list(struct cox_doc *doc, struct cox_node *map, const char *key)
{
	return edit_kind(doc, map, key, COX_LIST);
}

struct cox_node *cox_list_edit(struct cox_doc *doc, struct cox_node *list, size_t i)
{
	struct cox_node *value;

	assert_own(doc, list, COX_LIST);
	if (i >= list->len)
		return NULL;
	value = own(doc, list->body.list.items[i]);
	list->body.list.items[i] = value;
	return value;
}
