/* bench compare: 1,000 unchanged objects: Deployments, Services, ConfigMaps and Secrets as they are
 * applied, and as a server shows them with its defaults and with our managed fields.
 *
 * Method: one thread; every object is compared once a round; the median and the best of the rounds
 * are printed. Nothing here can call an API: that an unchanged application asks the server for
 * nothing is the engine's unit test. */
#include "agent/compare/compare.h"
#include "common/base/clock.h"
#include "common/doc/yaml.h"
#include "common/kube/meta.h"
#include "tests/kubesim/managed.h"

#include <stdio.h>
#include <stdlib.h>

#define N_OBJECTS 1000
#define N_ROUNDS  21

static const char *const desired_text[] = {
	"{apiVersion: apps/v1, kind: Deployment, metadata: {name: s%zu, namespace: shop, labels: "
	"{app: "
	"s%zu, tier: backend}, annotations: {example.com/owner: team}}, spec: {replicas: 2, "
	"selector: "
	"{matchLabels: {app: s}}, template: {metadata: {labels: {app: s}}, spec: {containers: "
	"[{name: "
	"server, image: 'registry.example.com/shop/s:v1', args: [--listen=:8080], ports: "
	"[{name: http, containerPort: 8080}], env: [{name: REGION, value: eu}, {name: IP, "
	"valueFrom: "
	"{fieldRef: {fieldPath: status.podIP}}}], resources: {requests: {cpu: 0.5, memory: "
	"1024Mi}, "
	"limits: {cpu: 1}}, readinessProbe: {httpGet: {path: /ready, port: http}}, volumeMounts: "
	"[{name: config, mountPath: /etc/s}]}], volumes: [{name: config, configMap: {name: "
	"s}}]}}}}",
	"{apiVersion: v1, kind: Service, metadata: {name: s%zu, namespace: shop, labels: {app: "
	"s%zu}}, "
	"spec: {selector: {app: s}, ports: [{name: http, port: 80, targetPort: http}]}}",
	"{apiVersion: v1, kind: ConfigMap, metadata: {name: s%zu, namespace: shop, labels: {app: "
	"s%zu}}, data: {a.conf: 'x = 1', b.conf: 'y = 2', LEVEL: info, REGION: eu}}",
	"{apiVersion: v1, kind: Secret, metadata: {name: s%zu, namespace: shop, labels: {app: "
	"s%zu}}, "
	"stringData: {user: alice, password: hunter2}}",
};

static const char *const live_text[] = {
	"{apiVersion: apps/v1, kind: Deployment, metadata: {name: s%zu, namespace: shop, uid: u, "
	"resourceVersion: '7', generation: 1, creationTimestamp: '2024-05-01T00:00:00Z', labels: "
	"{app: s%zu, tier: backend}, annotations: {example.com/owner: team, "
	"deployment.kubernetes.io/revision: '1'}}, spec: {replicas: 2, revisionHistoryLimit: 10, "
	"progressDeadlineSeconds: 600, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: "
	"25%%, "
	"maxUnavailable: 25%%}}, selector: {matchLabels: {app: s}}, template: {metadata: "
	"{creationTimestamp: null, labels: {app: s}}, spec: {containers: [{name: server, image: "
	"'registry.example.com/shop/s:v1', imagePullPolicy: IfNotPresent, args: [--listen=:8080], "
	"ports: [{name: http, containerPort: 8080, protocol: TCP}], env: [{name: REGION, value: "
	"eu}, "
	"{name: IP, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: status.podIP}}}], resources: "
	"{requests: {cpu: 500m, memory: 1Gi}, limits: {cpu: '1'}}, readinessProbe: {httpGet: "
	"{path: "
	"/ready, port: http, scheme: HTTP}, periodSeconds: 10, timeoutSeconds: 1, "
	"successThreshold: 1, "
	"failureThreshold: 3}, terminationMessagePath: /dev/termination-log, "
	"terminationMessagePolicy: "
	"File, volumeMounts: [{name: config, mountPath: /etc/s}]}], volumes: [{name: config, "
	"configMap: "
	"{name: s, defaultMode: 420}}], dnsPolicy: ClusterFirst, restartPolicy: Always, "
	"schedulerName: "
	"default-scheduler, securityContext: {}, terminationGracePeriodSeconds: 30}}}, status: "
	"{replicas: 2, readyReplicas: 2, observedGeneration: 1}}",
	"{apiVersion: v1, kind: Service, metadata: {name: s%zu, namespace: shop, uid: u, "
	"resourceVersion: '7', labels: {app: s%zu}}, spec: {type: ClusterIP, sessionAffinity: "
	"None, "
	"clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], selector: {app: s}, "
	"ports: "
	"[{name: http, port: 80, protocol: TCP, targetPort: http}]}}",
	"{apiVersion: v1, kind: ConfigMap, metadata: {name: s%zu, namespace: shop, uid: u, "
	"resourceVersion: '7', labels: {app: s%zu}}, data: {a.conf: 'x = 1', b.conf: 'y = 2', "
	"LEVEL: "
	"info, REGION: eu}}",
	"{apiVersion: v1, kind: Secret, metadata: {name: s%zu, namespace: shop, uid: u, "
	"resourceVersion: '7', labels: {app: s%zu}}, data: {user: YWxpY2U=, password: "
	"aHVudGVyMg==}, "
	"type: Opaque}",
};

static struct cox_doc *make(const char *format, size_t i)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	struct cox_doc *doc;
	struct cox_error err;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	cox_buf_printf(&text, format, i, i);
#pragma GCC diagnostic pop
	if (cox_yaml_read(cox_buf_str(&text), "object", NULL, &doc, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	return doc;
}

/* As if we had applied it. */
static struct cox_doc *owned(struct cox_doc *live, struct cox_doc *desired)
{
	struct cox_arena arena = COX_ARENA_INIT(0);
	const struct cox_node *root = cox_doc_root(desired);
	_cleanup_doc_ struct cox_doc *canonical = agent_compare_canonical(desired);
	_cleanup_free_ char *group = cox_str_dup(cox_meta_group(root));
	_cleanup_free_ char *version = cox_str_dup(cox_meta_version(root));
	_cleanup_free_ char *kind = cox_str_dup(cox_meta_kind(root));
	_cleanup_free_ char *api = cox_str_dup(cox_meta_api_version(root));
	struct ks_manager us = {
		.name = "coxswain",
		.operation = "Apply",
		.api_version = api,
		.subresource = "",
		.set = ks_typed_fields(&arena, cox_doc_root(canonical),
				       cox_schema_find(group, version, kind)),
	};
	struct ks_managers managers = {.items = &us, .n = 1, .cap = 1};
	_cleanup_doc_ struct cox_doc *doc = cox_doc_edit(live);
	struct cox_node *metadata = cox_map_edit_map(doc, cox_doc_root_edit(doc), "metadata");

	cox_map_put(doc, metadata, "managedFields", ks_managers_write(doc, &managers));
	cox_doc_seal(doc);
	cox_arena_fini(&arena);
	return cox_doc_copy("live", cox_doc_root(doc));
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	static struct cox_doc *desired[N_OBJECTS], *live[N_OBJECTS];
	struct agent_compare_options options = {.manager = "coxswain"};
	int64_t us[N_ROUNDS];
	size_t kinds = COX_ARRAY_LEN(desired_text), n_differ = 0;

	for (size_t i = 0; i < N_OBJECTS; i++) {
		_cleanup_doc_ struct cox_doc *plain = make(live_text[i % kinds], i);

		desired[i] = make(desired_text[i % kinds], i);
		live[i] = owned(plain, desired[i]);
	}
	for (size_t round = 0; round < N_ROUNDS; round++) {
		int64_t begin = cox_clock_us();

		for (size_t i = 0; i < N_OBJECTS; i++) {
			_cleanup_difference_ struct agent_difference d = AGENT_DIFFERENCE_INIT;

			agent_compare(desired[i], live[i], &options, &d);
			if (d.n && !n_differ)
				fprintf(stderr, "object %zu: %s\n", i, d.paths.items[0]);
			n_differ += d.n;
		}
		us[round] = cox_clock_us() - begin;
	}
	qsort(us, N_ROUNDS, sizeof(*us), by_value);
	printf("%d unchanged objects: median %.2f ms, best %.2f ms, %.2f us an object, %zu "
	       "differ\n",
	       N_OBJECTS, (double)us[N_ROUNDS / 2] / 1e3, (double)us[0] / 1e3,
	       (double)us[N_ROUNDS / 2] / N_OBJECTS, n_differ);
	for (size_t i = 0; i < N_OBJECTS; i++) {
		cox_doc_unref(desired[i]);
		cox_doc_unref(live[i]);
	}
	return n_differ != 0;
}
