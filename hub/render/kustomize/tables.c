/* Where names, labels, images and the rest stand in the kinds of Kubernetes: the fields that
 * Kustomize knows without being told. Data; a kustomization's `configurations` adds to it. */
#include "hub/render/kustomize/internal.h"

/* The rows are nearly in the order that kz_gvk_compare gives them, so that sorting them costs little. */

/* ---- what stands in every pod, and where the kinds have theirs ---- */

#define TEMPLATE "spec/template/"
#define CRON_JOB "spec/jobTemplate/spec/template/"

#define FIELD(GROUP, VERSION, KIND, PATH)                                                          \
	{                                                                                          \
		{GROUP, VERSION, KIND}, PATH, false                                                \
	}
#define MADE(GROUP, VERSION, KIND, PATH)                                                           \
	{                                                                                          \
		{GROUP, VERSION, KIND}, PATH, true                                                 \
	}

/* A map of the metadata of all objects, and of what they make. */
#define METADATA(STATEFUL_SET, MAP)                                                                \
	MADE("", "", "Deployment", TEMPLATE "metadata/" MAP),                                      \
		MADE(STATEFUL_SET, "", "StatefulSet", TEMPLATE "metadata/" MAP),                   \
		MADE("batch", "", "CronJob", "spec/jobTemplate/metadata/" MAP),                    \
		MADE("batch", "", "CronJob", CRON_JOB "metadata/" MAP),                            \
		MADE("batch", "", "Job", TEMPLATE "metadata/" MAP),                                \
		MADE("", "v1", "ReplicationController", TEMPLATE "metadata/" MAP),                 \
		MADE("", "", "DaemonSet", TEMPLATE "metadata/" MAP),                               \
		MADE("", "", "ReplicaSet", TEMPLATE "metadata/" MAP),                              \
		MADE("", "", "", "metadata/" MAP)

#define CLAIM_LABELS MADE("apps", "", "StatefulSet", "spec/volumeClaimTemplates[]/metadata/labels")

/* The pods that a pod of KIND wants to be near to, far from, or spread among. */
#define AFFINITY(KIND)                                                                             \
	FIELD("apps", "", KIND,                                                                    \
	      TEMPLATE "spec/affinity/podAffinity/preferredDuringScheduling"                       \
		       "IgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels"),        \
		FIELD("apps", "", KIND,                                                            \
		      TEMPLATE "spec/affinity/podAffinity/requiredDuringScheduling"                \
			       "IgnoredDuringExecution/labelSelector/matchLabels"),                \
		FIELD("apps", "", KIND,                                                            \
		      TEMPLATE                                                                     \
		      "spec/affinity/podAntiAffinity/preferredDuringScheduling"                    \
		      "IgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels"),         \
		FIELD("apps", "", KIND,                                                            \
		      TEMPLATE "spec/affinity/podAntiAffinity/requiredDuringScheduling"            \
			       "IgnoredDuringExecution/labelSelector/matchLabels"),                \
		FIELD("apps", "", KIND,                                                            \
		      TEMPLATE "spec/topologySpreadConstraints/labelSelector/matchLabels")

/* POD: the path of a pod's spec. */
#define VARS(KIND, POD)                                                                            \
	FIELD("", "", KIND, POD "containers/args"), FIELD("", "", KIND, POD "containers/command"), \
		FIELD("", "", KIND, POD "containers/env/value"),                                   \
		FIELD("", "", KIND, POD "containers/volumeMounts/mountPath"),                      \
		FIELD("", "", KIND, POD "initContainers/args"),                                    \
		FIELD("", "", KIND, POD "initContainers/command"),                                 \
		FIELD("", "", KIND, POD "initContainers/env/value"),                               \
		FIELD("", "", KIND, POD "initContainers/volumeMounts/mountPath")

#define CONFIG_MAPS(VERSION, KIND, POD)                                                            \
	FIELD("", VERSION, KIND, POD "volumes/configMap/name"),                                    \
		FIELD("", VERSION, KIND, POD "containers/env/valueFrom/configMapKeyRef/name"),     \
		FIELD("", VERSION, KIND, POD "initContainers/env/valueFrom/configMapKeyRef/name"), \
		FIELD("", VERSION, KIND, POD "containers/envFrom/configMapRef/name"),              \
		FIELD("", VERSION, KIND, POD "initContainers/envFrom/configMapRef/name"),          \
		FIELD("", VERSION, KIND, POD "volumes/projected/sources/configMap/name")

#define SECRETS(VERSION, KIND, POD)                                                                \
	FIELD("", VERSION, KIND, POD "volumes/secret/secretName"),                                 \
		FIELD("", VERSION, KIND, POD "containers/env/valueFrom/secretKeyRef/name"),        \
		FIELD("", VERSION, KIND, POD "initContainers/env/valueFrom/secretKeyRef/name"),    \
		FIELD("", VERSION, KIND, POD "containers/envFrom/secretRef/name"),                 \
		FIELD("", VERSION, KIND, POD "initContainers/envFrom/secretRef/name"),             \
		FIELD("", VERSION, KIND, POD "imagePullSecrets/name"),                             \
		FIELD("", VERSION, KIND, POD "volumes/projected/sources/secret/name")

/* What a pod names once. */
#define POD_FIELD(PATH)                                                                            \
	FIELD("", "", "Deployment", TEMPLATE "spec/" PATH),                                        \
		FIELD("", "", "StatefulSet", TEMPLATE "spec/" PATH),                               \
		FIELD("", "", "CronJob", CRON_JOB "spec/" PATH),                                   \
		FIELD("", "", "DaemonSet", TEMPLATE "spec/" PATH),                                 \
		FIELD("", "", "Job", TEMPLATE "spec/" PATH), FIELD("", "", "Pod", "spec/" PATH),   \
		FIELD("", "", "ReplicationController", TEMPLATE "spec/" PATH)

/* ---- what the transformers change ---- */

const struct kz_spec kz_default_specs[KZ_N_LISTS][80] = {
	[KZ_NAME_PREFIX] = {FIELD("", "", "", "metadata/name")},
	[KZ_NAME_SUFFIX] = {FIELD("", "", "", "metadata/name")},
	[KZ_NAMESPACE] =
		{
			MADE("", "", "Namespace", "metadata/name"),
			MADE("apiregistration.k8s.io", "", "APIService", "spec/service/namespace"),
			FIELD("apiextensions.k8s.io", "", "CustomResourceDefinition",
			      "spec/conversion/webhook/clientConfig/service/namespace"),
		},
	[KZ_COMMON_LABELS] =
		{
			MADE("", "v1", "Service", "spec/selector"),
			MADE("", "v1", "ReplicationController", "spec/selector"),
			MADE("", "", "Deployment", "spec/selector/matchLabels"),
			AFFINITY("Deployment"),
			MADE("", "", "ReplicaSet", "spec/selector/matchLabels"),
			MADE("", "", "DaemonSet", "spec/selector/matchLabels"),
			MADE("apps", "", "StatefulSet", "spec/selector/matchLabels"),
			AFFINITY("StatefulSet"),
			FIELD("batch", "", "Job", "spec/selector/matchLabels"),
			FIELD("batch", "", "CronJob", "spec/jobTemplate/spec/selector/matchLabels"),
			FIELD("policy", "", "PodDisruptionBudget", "spec/selector/matchLabels"),
			FIELD("networking.k8s.io", "", "NetworkPolicy",
			      "spec/podSelector/matchLabels"),
			FIELD("networking.k8s.io", "", "NetworkPolicy",
			      "spec/ingress/from/podSelector/matchLabels"),
			FIELD("networking.k8s.io", "", "NetworkPolicy",
			      "spec/egress/to/podSelector/matchLabels"),
			METADATA("apps", "labels"),
			CLAIM_LABELS,
		},
	[KZ_TEMPLATE_LABELS] = {METADATA("apps", "labels")},
	[KZ_CLAIM_LABELS] = {CLAIM_LABELS},
	[KZ_COMMON_ANNOTATIONS] = {METADATA("", "annotations")},
	[KZ_VAR_REFERENCE] =
		{
			FIELD("", "", "Service", "spec/ports/port"),
			FIELD("", "", "Service", "spec/ports/targetPort"),
			FIELD("", "", "PersistentVolume", "spec/nfs/server"),
			VARS("Deployment", TEMPLATE "spec/"),
			FIELD("", "", "Deployment", TEMPLATE "spec/volumes/nfs/server"),
			FIELD("", "", "Deployment", TEMPLATE "metadata/annotations"),
			VARS("StatefulSet", TEMPLATE "spec/"),
			FIELD("", "", "StatefulSet", "spec/volumeClaimTemplates/spec/nfs/server"),
			VARS("CronJob", CRON_JOB "spec/"),
			FIELD("", "", "CronJob", CRON_JOB "volumes/nfs/server"),
			VARS("DaemonSet", TEMPLATE "spec/"),
			FIELD("", "", "DaemonSet", TEMPLATE "spec/volumes/nfs/server"),
			FIELD("", "", "Ingress", "spec/rules/host"),
			FIELD("", "", "Ingress", "spec/tls/hosts"),
			FIELD("", "", "Ingress", "spec/tls/secretName"),
			VARS("Job", TEMPLATE "spec/"),
			FIELD("", "", "Job", TEMPLATE "spec/volumes/nfs/server"),
			VARS("Pod", "spec/"),
			FIELD("", "", "Pod", "spec/volumes/nfs/server"),
			VARS("ReplicaSet", TEMPLATE "spec/"),
			FIELD("", "", "ReplicaSet", TEMPLATE "spec/volumes/nfs/server"),
			FIELD("", "", "", "metadata/labels"),
			FIELD("", "", "", "metadata/annotations"),
		},
	[KZ_IMAGES] =
		{
			MADE("", "", "", "spec/containers[]/image"),
			MADE("", "", "", "spec/initContainers[]/image"),
			MADE("", "", "", TEMPLATE "spec/containers[]/image"),
			MADE("", "", "", TEMPLATE "spec/initContainers[]/image"),
		},
	[KZ_REPLICAS] =
		{
			MADE("", "", "Deployment", "spec/replicas"),
			MADE("", "", "ReplicationController", "spec/replicas"),
			MADE("", "", "ReplicaSet", "spec/replicas"),
			MADE("", "", "StatefulSet", "spec/replicas"),
		},
};

/* ---- who names whom ---- */

#define RBAC	  "rbac.authorization.k8s.io"
#define ADMISSION "admissionregistration.k8s.io"
#define SCALED	  FIELD("", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name")

const struct kz_default_reference kz_default_references[] = {
	{{"storage.k8s.io", "v1", "StorageClass"},
	 {
		 FIELD("", "", "PersistentVolume", "spec/storageClassName"),
		 FIELD("", "", "PersistentVolumeClaim", "spec/storageClassName"),
		 FIELD("", "", "StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName"),
	 }},
	{{"", "v1", "ServiceAccount"},
	 {
		 FIELD(RBAC, "", "RoleBinding", "subjects"),
		 FIELD(RBAC, "", "ClusterRoleBinding", "subjects"),
		 POD_FIELD("serviceAccountName"),
	 }},
	{{RBAC, "", "Role"}, {FIELD(RBAC, "", "RoleBinding", "roleRef/name")}},
	{{RBAC, "", "ClusterRole"},
	 {
		 FIELD(RBAC, "", "RoleBinding", "roleRef/name"),
		 FIELD(RBAC, "", "ClusterRoleBinding", "roleRef/name"),
	 }},
	{{"", "v1", "ConfigMap"},
	 {
		 FIELD("", "", "Role", "rules/resourceNames"),
		 FIELD("", "", "ClusterRole", "rules/resourceNames"),
		 CONFIG_MAPS("", "Deployment", TEMPLATE "spec/"),
		 CONFIG_MAPS("", "StatefulSet", TEMPLATE "spec/"),
		 CONFIG_MAPS("", "CronJob", CRON_JOB "spec/"),
		 CONFIG_MAPS("v1", "Pod", "spec/"),
		 CONFIG_MAPS("", "DaemonSet", TEMPLATE "spec/"),
		 FIELD("", "", "Ingress",
		       "metadata/annotations/nginx.ingress.kubernetes.io\\/"
		       "fastcgi-params-configmap"),
		 CONFIG_MAPS("", "Job", TEMPLATE "spec/"),
		 FIELD("", "", "Node", "spec/configSource/configMap"),
		 CONFIG_MAPS("", "PodTemplate", "template/spec/"),
		 CONFIG_MAPS("", "ReplicaSet", TEMPLATE "spec/"),
	 }},
	{{"", "v1", "Secret"},
	 {
		 FIELD("", "", "StorageClass", "parameters/secretName"),
		 FIELD("", "", "StorageClass", "parameters/adminSecretName"),
		 FIELD("", "", "StorageClass", "parameters/userSecretName"),
		 FIELD("", "", "StorageClass", "parameters/secretRef"),
		 FIELD("", "", "ServiceAccount", "imagePullSecrets/name"),
		 FIELD("", "", "Role", "rules/resourceNames"),
		 FIELD("", "", "ClusterRole", "rules/resourceNames"),
		 FIELD("serving.knative.dev", "v1", "Service",
		       TEMPLATE "spec/containers/env/valueFrom/secretKeyRef/name"),
		 FIELD("", "", "PersistentVolume", "spec/azureFile/secretName"),
		 SECRETS("", "Deployment", TEMPLATE "spec/"),
		 SECRETS("", "StatefulSet", TEMPLATE "spec/"),
		 SECRETS("", "CronJob", CRON_JOB "spec/"),
		 SECRETS("v1", "Pod", "spec/"),
		 SECRETS("", "DaemonSet", TEMPLATE "spec/"),
		 FIELD("", "", "Ingress", "spec/tls/secretName"),
		 FIELD("", "", "Ingress",
		       "metadata/annotations/ingress.kubernetes.io\\/auth-secret"),
		 FIELD("", "", "Ingress",
		       "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret"),
		 FIELD("", "", "Ingress",
		       "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret"),
		 SECRETS("", "Job", TEMPLATE "spec/"),
		 SECRETS("", "PodTemplate", "template/spec/"),
		 SECRETS("", "ReplicaSet", TEMPLATE "spec/"),
	 }},
	{{"", "v1", "Service"},
	 {
		 FIELD("apps", "", "StatefulSet", "spec/serviceName"),
		 FIELD("", "", "Ingress", "spec/rules/http/paths/backend/serviceName"),
		 FIELD("", "", "Ingress", "spec/backend/serviceName"),
		 FIELD("", "", "Ingress", "spec/rules/http/paths/backend/service/name"),
		 FIELD("", "", "Ingress", "spec/defaultBackend/service/name"),
		 FIELD("apiregistration.k8s.io", "", "APIService", "spec/service/name"),
		 FIELD(ADMISSION, "", "ValidatingWebhookConfiguration",
		       "webhooks/clientConfig/service"),
		 FIELD(ADMISSION, "", "MutatingWebhookConfiguration",
		       "webhooks/clientConfig/service"),
	 }},
	{{"scheduling.k8s.io", "v1", "PriorityClass"}, {POD_FIELD("priorityClassName")}},
	{{"", "v1", "PersistentVolume"},
	 {
		 FIELD("", "", "PersistentVolumeClaim", "spec/volumeName"),
		 FIELD("", "", "ClusterRole", "rules/resourceNames"),
	 }},
	{{"", "v1", "PersistentVolumeClaim"},
	 {POD_FIELD("volumes/persistentVolumeClaim/claimName")}},
	{{"", "", "Deployment"}, {SCALED}},
	{{"", "", "StatefulSet"}, {SCALED}},
	{{ADMISSION, "", "ValidatingAdmissionPolicy"},
	 {FIELD(ADMISSION, "", "ValidatingAdmissionPolicyBinding", "spec/policyName")}},
	{{"networking.k8s.io/v1", "v1", "IngressClass"},
	 {FIELD("", "", "Ingress", "spec/ingressClassName")}},
	{{"", "", "ReplicaSet"}, {SCALED}},
	{{"", "", "ReplicationController"}, {SCALED}},
};
const size_t kz_n_default_references = COX_ARRAY_LEN(kz_default_references);
