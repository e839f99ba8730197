/* The fields of the named API groups. Notation: schema_table.h. */
#include "common/kube/schema_table.h"

#include <stddef.h>

/* clang-format off */
const struct cox_schema_row cox_schema_rows_groups[] = {
	/* admissionregistration.v1 */
	{"admissionregistration.v1.MatchCondition", "expression:s! name:s!"},
	{"admissionregistration.v1.MatchResources@",
	 "excludeResourceRules:[NamedRuleWithOperations] matchPolicy:s"
	 " namespaceSelector:meta.v1.LabelSelector objectSelector:meta.v1.LabelSelector"
	 " resourceRules:[NamedRuleWithOperations]"},
	{"admissionregistration.v1.MutatingAdmissionPolicyBinding",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta!"
	 " spec:MutatingAdmissionPolicyBindingSpec!"},
	{"admissionregistration.v1.MutatingAdmissionPolicyBindingSpec",
	 "matchResources:MatchResources paramRef:ParamRef policyName:s"},
	{"admissionregistration.v1.MutatingWebhook",
	 "admissionReviewVersions:[s] clientConfig:WebhookClientConfig! failurePolicy:s"
	 " matchConditions:[MatchCondition]name~- matchPolicy:s name:s!"
	 " namespaceSelector:meta.v1.LabelSelector objectSelector:meta.v1.LabelSelector"
	 " reinvocationPolicy:s rules:[RuleWithOperations] sideEffects:s timeoutSeconds:i"},
	{"admissionregistration.v1.MutatingWebhookConfiguration",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! webhooks:[MutatingWebhook]name"},
	{"admissionregistration.v1.NamedRuleWithOperations@",
	 "apiGroups:[s] apiVersions:[s] operations:[s] resourceNames:[s] resources:[s]"
	 " scope:s"},
	{"admissionregistration.v1.ParamRef@",
	 "name:s namespace:s parameterNotFoundAction:s selector:meta.v1.LabelSelector"},
	{"admissionregistration.v1.RuleWithOperations",
	 "apiGroups:[s] apiVersions:[s] operations:[s] resources:[s] scope:s"},
	{"admissionregistration.v1.ServiceReference", "name:s! namespace:s! path:s port:i"},
	{"admissionregistration.v1.ValidatingAdmissionPolicyBinding",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta!"
	 " spec:ValidatingAdmissionPolicyBindingSpec!"},
	{"admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec",
	 "matchResources:MatchResources paramRef:ParamRef policyName:s"
	 " validationActions:[s]set"},
	{"admissionregistration.v1.ValidatingWebhook",
	 "admissionReviewVersions:[s] clientConfig:WebhookClientConfig! failurePolicy:s"
	 " matchConditions:[MatchCondition]name~- matchPolicy:s name:s!"
	 " namespaceSelector:meta.v1.LabelSelector objectSelector:meta.v1.LabelSelector"
	 " rules:[RuleWithOperations] sideEffects:s timeoutSeconds:i"},
	{"admissionregistration.v1.ValidatingWebhookConfiguration",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta!"
	 " webhooks:[ValidatingWebhook]name"},
	{"admissionregistration.v1.WebhookClientConfig",
	 "caBundle:d service:ServiceReference url:s"},
	/* apiextensions.v1 */
	{"apiextensions.v1.CustomResourceColumnDefinition",
	 "description:s format:s jsonPath:s! name:s! priority:i type:s!"},
	{"apiextensions.v1.CustomResourceConversion", "strategy:s! webhook:WebhookConversion"},
	{"apiextensions.v1.CustomResourceDefinition",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta!"
	 " spec:CustomResourceDefinitionSpec! status:CustomResourceDefinitionStatus!"},
	{"apiextensions.v1.CustomResourceDefinitionCondition",
	 "lastTransitionTime:t message:s observedGeneration:i reason:s status:s! type:s!"},
	{"apiextensions.v1.CustomResourceDefinitionNames",
	 "categories:[s] kind:s! listKind:s plural:s! shortNames:[s] singular:s"},
	{"apiextensions.v1.CustomResourceDefinitionSpec",
	 "conversion:CustomResourceConversion group:s!"
	 " names:CustomResourceDefinitionNames! preserveUnknownFields:b scope:s!"
	 " versions:[CustomResourceDefinitionVersion]!"},
	{"apiextensions.v1.CustomResourceDefinitionStatus",
	 "acceptedNames:CustomResourceDefinitionNames!"
	 " conditions:[CustomResourceDefinitionCondition]type~-! storedVersions:[s]!"},
	{"apiextensions.v1.CustomResourceDefinitionVersion",
	 "additionalPrinterColumns:[CustomResourceColumnDefinition] deprecated:b"
	 " deprecationWarning:s name:s! schema:CustomResourceValidation"
	 " selectableFields:[SelectableField] served:b! storage:b!"
	 " subresources:CustomResourceSubresources"},
	{"apiextensions.v1.CustomResourceSubresourceScale",
	 "labelSelectorPath:s specReplicasPath:s! statusReplicasPath:s!"},
	{"apiextensions.v1.CustomResourceSubresources",
	 "scale:CustomResourceSubresourceScale status:*"},
	{"apiextensions.v1.CustomResourceValidation", "openAPIV3Schema:*"},
	{"apiextensions.v1.SelectableField", "jsonPath:s!"},
	{"apiextensions.v1.ServiceReference", "name:s! namespace:s! path:s port:i"},
	{"apiextensions.v1.WebhookClientConfig", "caBundle:d service:ServiceReference url:s"},
	{"apiextensions.v1.WebhookConversion",
	 "clientConfig:WebhookClientConfig conversionReviewVersions:[s]!"},
	/* apiregistration.v1 */
	{"apiregistration.v1.APIService",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:APIServiceSpec!"
	 " status:APIServiceStatus!"},
	{"apiregistration.v1.APIServiceCondition",
	 "lastTransitionTime:t message:s reason:s status:s! type:s!"},
	{"apiregistration.v1.APIServiceSpec",
	 "caBundle:d group:s groupPriorityMinimum:i! insecureSkipTLSVerify:b"
	 " service:ServiceReference version:s versionPriority:i!"},
	{"apiregistration.v1.APIServiceStatus", "conditions:[APIServiceCondition]type"},
	{"apiregistration.v1.ServiceReference", "name:s namespace:s port:i"},
	/* apps.v1 */
	{"apps.v1.ControllerRevision",
	 "apiVersion:s data:* kind:s metadata:meta.v1.ObjectMeta! revision:i!"},
	{"apps.v1.DaemonSet",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:DaemonSetSpec!"
	 " status:DaemonSetStatus!"},
	{"apps.v1.DaemonSetCondition", "lastTransitionTime:t message:s reason:s status:s! type:s!"},
	{"apps.v1.DaemonSetSpec",
	 "minReadySeconds:i revisionHistoryLimit:i selector:meta.v1.LabelSelector!"
	 " template:core.v1.PodTemplateSpec! updateStrategy:DaemonSetUpdateStrategy!"},
	{"apps.v1.DaemonSetStatus",
	 "collisionCount:i conditions:[DaemonSetCondition]type currentNumberScheduled:i!"
	 " desiredNumberScheduled:i! numberAvailable:i numberMisscheduled:i!"
	 " numberReady:i! numberUnavailable:i observedGeneration:i"
	 " updatedNumberScheduled:i"},
	{"apps.v1.DaemonSetUpdateStrategy", "rollingUpdate:RollingUpdateDaemonSet type:s"},
	{"apps.v1.Deployment",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:DeploymentSpec!"
	 " status:DeploymentStatus!"},
	{"apps.v1.DeploymentCondition",
	 "lastTransitionTime:t lastUpdateTime:t message:s reason:s status:s! type:s!"},
	{"apps.v1.DeploymentSpec",
	 "minReadySeconds:i paused:b progressDeadlineSeconds:i replicas:i"
	 " revisionHistoryLimit:i selector:meta.v1.LabelSelector!"
	 " strategy:DeploymentStrategy&! template:core.v1.PodTemplateSpec!"},
	{"apps.v1.DeploymentStatus",
	 "availableReplicas:i collisionCount:i conditions:[DeploymentCondition]type"
	 " observedGeneration:i readyReplicas:i replicas:i terminatingReplicas:i"
	 " unavailableReplicas:i updatedReplicas:i"},
	{"apps.v1.DeploymentStrategy", "rollingUpdate:RollingUpdateDeployment type:s"},
	{"apps.v1.ReplicaSet",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:ReplicaSetSpec!"
	 " status:ReplicaSetStatus!"},
	{"apps.v1.ReplicaSetCondition",
	 "lastTransitionTime:t message:s reason:s status:s! type:s!"},
	{"apps.v1.ReplicaSetSpec",
	 "minReadySeconds:i replicas:i selector:meta.v1.LabelSelector!"
	 " template:core.v1.PodTemplateSpec!"},
	{"apps.v1.ReplicaSetStatus",
	 "availableReplicas:i conditions:[ReplicaSetCondition]type fullyLabeledReplicas:i"
	 " observedGeneration:i readyReplicas:i replicas:i! terminatingReplicas:i"},
	{"apps.v1.RollingUpdateDaemonSet", "maxSurge:x maxUnavailable:x"},
	{"apps.v1.RollingUpdateDeployment", "maxSurge:x maxUnavailable:x"},
	{"apps.v1.RollingUpdateStatefulSetStrategy", "maxUnavailable:x partition:i"},
	{"apps.v1.StatefulSet",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:StatefulSetSpec!"
	 " status:StatefulSetStatus!"},
	{"apps.v1.StatefulSetCondition",
	 "lastTransitionTime:t message:s reason:s status:s! type:s!"},
	{"apps.v1.StatefulSetOrdinals", "start:i!"},
	{"apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy", "whenDeleted:s whenScaled:s"},
	{"apps.v1.StatefulSetSpec",
	 "minReadySeconds:i ordinals:StatefulSetOrdinals"
	 " persistentVolumeClaimRetentionPolicy:StatefulSetPersistentVolumeClaimRetentionPolicy"
	 " podManagementPolicy:s replicas:i revisionHistoryLimit:i"
	 " selector:meta.v1.LabelSelector! serviceName:s!"
	 " template:core.v1.PodTemplateSpec! updateStrategy:StatefulSetUpdateStrategy!"
	 " volumeClaimTemplates:[core.v1.PersistentVolumeClaim]"},
	{"apps.v1.StatefulSetStatus",
	 "availableReplicas:i! collisionCount:i conditions:[StatefulSetCondition]type"
	 " currentReplicas:i currentRevision:s observedGeneration:i readyReplicas:i"
	 " replicas:i! updateRevision:s updatedReplicas:i"},
	{"apps.v1.StatefulSetUpdateStrategy",
	 "rollingUpdate:RollingUpdateStatefulSetStrategy type:s"},
	/* authorization.v1 */
	{"authorization.v1.LocalSubjectAccessReview",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:SubjectAccessReviewSpec!"
	 " status:SubjectAccessReviewStatus!"},
	{"authorization.v1.NonResourceAttributes", "path:s verb:s"},
	{"authorization.v1.ResourceAttributes",
	 "group:s name:s namespace:s resource:s subresource:s verb:s version:s"},
	{"authorization.v1.SelfSubjectAccessReview",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:SelfSubjectAccessReviewSpec!"
	 " status:SubjectAccessReviewStatus!"},
	{"authorization.v1.SelfSubjectAccessReviewSpec",
	 "nonResourceAttributes:NonResourceAttributes resourceAttributes:ResourceAttributes"},
	{"authorization.v1.SubjectAccessReview",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:SubjectAccessReviewSpec!"
	 " status:SubjectAccessReviewStatus!"},
	{"authorization.v1.SubjectAccessReviewSpec",
	 "extra:{*} groups:[s] nonResourceAttributes:NonResourceAttributes"
	 " resourceAttributes:ResourceAttributes uid:s user:s"},
	{"authorization.v1.SubjectAccessReviewStatus",
	 "allowed:b! denied:b evaluationError:s reason:s"},
	/* autoscaling.v1 */
	{"autoscaling.v1.CrossVersionObjectReference@", "apiVersion:s kind:s! name:s!"},
	{"autoscaling.v1.HorizontalPodAutoscaler",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta!"
	 " spec:HorizontalPodAutoscalerSpec! status:HorizontalPodAutoscalerStatus!"},
	{"autoscaling.v1.HorizontalPodAutoscalerSpec",
	 "maxReplicas:i! minReplicas:i scaleTargetRef:CrossVersionObjectReference!"
	 " targetCPUUtilizationPercentage:i"},
	{"autoscaling.v1.HorizontalPodAutoscalerStatus",
	 "currentCPUUtilizationPercentage:i currentReplicas:i! desiredReplicas:i!"
	 " lastScaleTime:t observedGeneration:i"},
	/* autoscaling.v2 */
	{"autoscaling.v2.ContainerResourceMetricSource",
	 "container:s! name:s! target:MetricTarget!"},
	{"autoscaling.v2.ContainerResourceMetricStatus",
	 "container:s! current:MetricValueStatus! name:s!"},
	{"autoscaling.v2.CrossVersionObjectReference", "apiVersion:s kind:s! name:s!"},
	{"autoscaling.v2.ExternalMetricSource", "metric:MetricIdentifier! target:MetricTarget!"},
	{"autoscaling.v2.ExternalMetricStatus",
	 "current:MetricValueStatus! metric:MetricIdentifier!"},
	{"autoscaling.v2.HPAScalingPolicy", "periodSeconds:i! type:s! value:i!"},
	{"autoscaling.v2.HPAScalingRules",
	 "policies:[HPAScalingPolicy] selectPolicy:s stabilizationWindowSeconds:i"
	 " tolerance:q"},
	{"autoscaling.v2.HorizontalPodAutoscaler",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta!"
	 " spec:HorizontalPodAutoscalerSpec! status:HorizontalPodAutoscalerStatus!"},
	{"autoscaling.v2.HorizontalPodAutoscalerBehavior",
	 "scaleDown:HPAScalingRules scaleUp:HPAScalingRules"},
	{"autoscaling.v2.HorizontalPodAutoscalerCondition",
	 "lastTransitionTime:t message:s observedGeneration:i reason:s status:s! type:s!"},
	{"autoscaling.v2.HorizontalPodAutoscalerSpec",
	 "behavior:HorizontalPodAutoscalerBehavior maxReplicas:i! metrics:[MetricSpec]"
	 " minReplicas:i scaleTargetRef:CrossVersionObjectReference!"},
	{"autoscaling.v2.HorizontalPodAutoscalerStatus",
	 "conditions:[HorizontalPodAutoscalerCondition]type~-"
	 " currentMetrics:[MetricStatus]! currentReplicas:i desiredReplicas:i!"
	 " lastScaleTime:t observedGeneration:i"},
	{"autoscaling.v2.MetricIdentifier", "name:s! selector:meta.v1.LabelSelector"},
	{"autoscaling.v2.MetricSpec",
	 "containerResource:ContainerResourceMetricSource external:ExternalMetricSource"
	 " object:ObjectMetricSource pods:PodsMetricSource resource:ResourceMetricSource"
	 " type:s!"},
	{"autoscaling.v2.MetricStatus",
	 "containerResource:ContainerResourceMetricStatus external:ExternalMetricStatus"
	 " object:ObjectMetricStatus pods:PodsMetricStatus resource:ResourceMetricStatus"
	 " type:s!"},
	{"autoscaling.v2.MetricTarget", "averageUtilization:i averageValue:q type:s! value:q"},
	{"autoscaling.v2.MetricValueStatus", "averageUtilization:i averageValue:q value:q"},
	{"autoscaling.v2.ObjectMetricSource",
	 "describedObject:CrossVersionObjectReference! metric:MetricIdentifier!"
	 " target:MetricTarget!"},
	{"autoscaling.v2.ObjectMetricStatus",
	 "current:MetricValueStatus! describedObject:CrossVersionObjectReference!"
	 " metric:MetricIdentifier!"},
	{"autoscaling.v2.PodsMetricSource", "metric:MetricIdentifier! target:MetricTarget!"},
	{"autoscaling.v2.PodsMetricStatus", "current:MetricValueStatus! metric:MetricIdentifier!"},
	{"autoscaling.v2.ResourceMetricSource", "name:s! target:MetricTarget!"},
	{"autoscaling.v2.ResourceMetricStatus", "current:MetricValueStatus! name:s!"},
	/* batch.v1 */
	{"batch.v1.CronJob",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:CronJobSpec!"
	 " status:CronJobStatus!"},
	{"batch.v1.CronJobSpec",
	 "concurrencyPolicy:s failedJobsHistoryLimit:i jobTemplate:JobTemplateSpec!"
	 " schedule:s! startingDeadlineSeconds:i successfulJobsHistoryLimit:i suspend:b"
	 " timeZone:s"},
	{"batch.v1.CronJobStatus",
	 "active:[core.v1.ObjectReference] lastScheduleTime:t lastSuccessfulTime:t"},
	{"batch.v1.Job",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:JobSpec!"
	 " status:JobStatus!"},
	{"batch.v1.JobCondition",
	 "lastProbeTime:t lastTransitionTime:t message:s reason:s status:s! type:s!"},
	{"batch.v1.JobSchedulingConfiguration",
	 "disruptionMode:*"
	 " resourceClaims:[*]"
	 " schedulingConstraints:*"
	 " schedulingPolicy:*"},
	{"batch.v1.JobSpec",
	 "activeDeadlineSeconds:i backoffLimit:i backoffLimitPerIndex:i completionMode:s"
	 " completions:i managedBy:s manualSelector:b maxFailedIndexes:i parallelism:i"
	 " podFailurePolicy:PodFailurePolicy podReplacementPolicy:s"
	 " scheduling:JobSchedulingConfiguration selector:meta.v1.LabelSelector"
	 " successPolicy:SuccessPolicy suspend:b template:core.v1.PodTemplateSpec!"
	 " ttlSecondsAfterFinished:i"},
	{"batch.v1.JobStatus",
	 "active:i completedIndexes:s completionTime:t conditions:[JobCondition]~type"
	 " failed:i failedIndexes:s ready:i startTime:t succeeded:i terminating:i"
	 " uncountedTerminatedPods:UncountedTerminatedPods"},
	{"batch.v1.JobTemplateSpec", "metadata:meta.v1.ObjectMeta! spec:JobSpec!"},
	{"batch.v1.PodFailurePolicy", "rules:[PodFailurePolicyRule]"},
	{"batch.v1.PodFailurePolicyOnExitCodesRequirement",
	 "containerName:s operator:s! values:[i]set"},
	{"batch.v1.PodFailurePolicyOnPodConditionsPattern", "status:s! type:s!"},
	{"batch.v1.PodFailurePolicyRule",
	 "action:s! onExitCodes:PodFailurePolicyOnExitCodesRequirement"
	 " onPodConditions:[PodFailurePolicyOnPodConditionsPattern]"},
	{"batch.v1.SuccessPolicy", "rules:[SuccessPolicyRule]"},
	{"batch.v1.SuccessPolicyRule", "succeededCount:i succeededIndexes:s"},
	{"batch.v1.UncountedTerminatedPods", "failed:[s]set succeeded:[s]set"},
	/* coordination.v1 */
	{"coordination.v1.Lease",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:LeaseSpec!"},
	{"coordination.v1.LeaseSpec",
	 "acquireTime:u holderIdentity:s leaseDurationSeconds:i leaseTransitions:i"
	 " preferredHolder:s renewTime:u strategy:s"},
	/* discovery.v1 */
	{"discovery.v1.Endpoint",
	 "addresses:[s]set conditions:EndpointConditions! deprecatedTopology:{s}"
	 " hints:EndpointHints hostname:s nodeName:s targetRef:core.v1.ObjectReference"
	 " zone:s"},
	{"discovery.v1.EndpointConditions", "ready:b serving:b terminating:b"},
	{"discovery.v1.EndpointHints", "forNodes:[ForNode] forZones:[ForZone]"},
	{"discovery.v1.EndpointPort@", "appProtocol:s name:s port:i protocol:s"},
	{"discovery.v1.EndpointSlice",
	 "addressType:s! apiVersion:s endpoints:[Endpoint] kind:s"
	 " metadata:meta.v1.ObjectMeta! ports:[EndpointPort]"},
	{"discovery.v1.ForNode", "name:s!"},
	{"discovery.v1.ForZone", "name:s!"},
	/* events.v1 */
	{"events.v1.Event",
	 "action:s apiVersion:s deprecatedCount:i deprecatedFirstTimestamp:t"
	 " deprecatedLastTimestamp:t deprecatedSource:core.v1.EventSource! eventTime:u"
	 " kind:s metadata:meta.v1.ObjectMeta! note:s reason:s"
	 " regarding:core.v1.ObjectReference! related:core.v1.ObjectReference"
	 " reportingController:s reportingInstance:s series:EventSeries type:s"},
	{"events.v1.EventSeries", "count:i! lastObservedTime:u"},
	/* networking.v1 */
	{"networking.v1.EmptyStatus", ""},
	{"networking.v1.HTTPIngressPath", "backend:IngressBackend! path:s pathType:s"},
	{"networking.v1.HTTPIngressRuleValue", "paths:[HTTPIngressPath]"},
	{"networking.v1.IPAddress",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:IPAddressSpec!"},
	{"networking.v1.IPAddressSpec", "parentRef:ParentReference"},
	{"networking.v1.IPBlock", "cidr:s! except:[s]"},
	{"networking.v1.Ingress",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:IngressSpec!"
	 " status:IngressStatus!"},
	{"networking.v1.IngressBackend",
	 "resource:core.v1.TypedLocalObjectReference service:IngressServiceBackend"},
	{"networking.v1.IngressClass",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:IngressClassSpec!"},
	{"networking.v1.IngressClassParametersReference",
	 "apiGroup:s kind:s! name:s! namespace:s scope:s"},
	{"networking.v1.IngressClassSpec",
	 "controller:s parameters:IngressClassParametersReference"},
	{"networking.v1.IngressLoadBalancerIngress", "hostname:s ip:s ports:[IngressPortStatus]"},
	{"networking.v1.IngressLoadBalancerStatus", "ingress:[IngressLoadBalancerIngress]"},
	{"networking.v1.IngressPortStatus", "error:s port:i! protocol:s!"},
	{"networking.v1.IngressRule", "host:s http:HTTPIngressRuleValue"},
	{"networking.v1.IngressServiceBackend", "name:s! port:ServiceBackendPort!"},
	{"networking.v1.IngressSpec",
	 "defaultBackend:IngressBackend ingressClassName:s rules:[IngressRule]"
	 " tls:[IngressTLS]"},
	{"networking.v1.IngressStatus", "loadBalancer:IngressLoadBalancerStatus!"},
	{"networking.v1.IngressTLS", "hosts:[s] secretName:s"},
	{"networking.v1.NetworkPolicy",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:NetworkPolicySpec!"
	 " status:EmptyStatus!"},
	{"networking.v1.NetworkPolicyEgressRule",
	 "ports:[NetworkPolicyPort] to:[NetworkPolicyPeer]"},
	{"networking.v1.NetworkPolicyIngressRule",
	 "from:[NetworkPolicyPeer] ports:[NetworkPolicyPort]"},
	{"networking.v1.NetworkPolicyPeer",
	 "ipBlock:IPBlock namespaceSelector:meta.v1.LabelSelector"
	 " podSelector:meta.v1.LabelSelector"},
	{"networking.v1.NetworkPolicyPort", "endPort:i port:x protocol:s"},
	{"networking.v1.NetworkPolicySpec",
	 "egress:[NetworkPolicyEgressRule] ingress:[NetworkPolicyIngressRule]"
	 " podSelector:meta.v1.LabelSelector! policyTypes:[s]"},
	{"networking.v1.ParentReference", "group:s name:s namespace:s resource:s"},
	{"networking.v1.ServiceBackendPort@", "name:s number:i"},
	{"networking.v1.ServiceCIDR",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:ServiceCIDRSpec!"
	 " status:ServiceCIDRStatus!"},
	{"networking.v1.ServiceCIDRSpec", "cidrs:[s]"},
	{"networking.v1.ServiceCIDRStatus", "conditions:[meta.v1.Condition]type~-"},
	/* node.v1 */
	{"node.v1.Overhead", "podFixed:{q}"},
	{"node.v1.RuntimeClass",
	 "apiVersion:s handler:s! kind:s metadata:meta.v1.ObjectMeta! overhead:Overhead"
	 " scheduling:Scheduling"},
	{"node.v1.Scheduling", "nodeSelector:{s}@ tolerations:[core.v1.Toleration]"},
	/* policy.v1 */
	{"policy.v1.Eviction",
	 "apiVersion:s deleteOptions:meta.v1.DeleteOptions kind:s"
	 " metadata:meta.v1.ObjectMeta!"},
	{"policy.v1.PodDisruptionBudget",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:PodDisruptionBudgetSpec!"
	 " status:PodDisruptionBudgetStatus!"},
	{"policy.v1.PodDisruptionBudgetSpec",
	 "maxUnavailable:x minAvailable:x selector:meta.v1.LabelSelector%"
	 " unhealthyPodEvictionPolicy:s"},
	{"policy.v1.PodDisruptionBudgetStatus",
	 "conditions:[meta.v1.Condition]type currentHealthy:i! desiredHealthy:i!"
	 " disruptedPods:{t} disruptionsAllowed:i! expectedPods:i! observedGeneration:i"},
	/* rbac.v1 */
	{"rbac.v1.AggregationRule", "clusterRoleSelectors:[meta.v1.LabelSelector]"},
	{"rbac.v1.ClusterRole",
	 "aggregationRule:AggregationRule apiVersion:s kind:s"
	 " metadata:meta.v1.ObjectMeta! rules:[PolicyRule]!"},
	{"rbac.v1.ClusterRoleBinding",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! roleRef:RoleRef!"
	 " subjects:[Subject]"},
	{"rbac.v1.PolicyRule",
	 "apiGroups:[s] nonResourceURLs:[s] resourceNames:[s] resources:[s] verbs:[s]!"},
	{"rbac.v1.Role", "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! rules:[PolicyRule]!"},
	{"rbac.v1.RoleBinding",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! roleRef:RoleRef!"
	 " subjects:[Subject]"},
	{"rbac.v1.RoleRef@", "apiGroup:s! kind:s! name:s!"},
	{"rbac.v1.Subject@", "apiGroup:s kind:s! name:s! namespace:s"},
	/* scheduling.v1 */
	{"scheduling.v1.PriorityClass",
	 "apiVersion:s description:s globalDefault:b kind:s metadata:meta.v1.ObjectMeta!"
	 " preemptionPolicy:s value:i!"},
	/* storage.v1 */
	{"storage.v1.CSIDriver",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:CSIDriverSpec!"},
	{"storage.v1.CSIDriverSpec",
	 "attachRequired:b fsGroupPolicy:s nodeAllocatableUpdatePeriodSeconds:i"
	 " podInfoOnMount:b preventPodSchedulingIfMissing:b requiresRepublish:b"
	 " seLinuxMount:b serviceAccountTokenInSecrets:b storageCapacity:b"
	 " tokenRequests:[TokenRequest] volumeLifecycleModes:[s]set"},
	{"storage.v1.CSINode",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:CSINodeSpec!"
	 " status:CSINodeStatus!"},
	{"storage.v1.CSINodeDriver",
	 "allocatable:VolumeNodeResources name:s! nodeID:s! topologyKeys:[s]"},
	{"storage.v1.CSINodeSpec", "drivers:[CSINodeDriver]name"},
	{"storage.v1.CSINodeStatus", "storageHealth:[StorageHealth]name~-"},
	{"storage.v1.CSIStorageCapacity",
	 "apiVersion:s capacity:q kind:s maximumVolumeSize:q metadata:meta.v1.ObjectMeta!"
	 " nodeTopology:meta.v1.LabelSelector storageClassName:s!"},
	{"storage.v1.StorageClass",
	 "allowVolumeExpansion:b allowedTopologies:[core.v1.TopologySelectorTerm]"
	 " apiVersion:s kind:s metadata:meta.v1.ObjectMeta! mountOptions:[s]"
	 " parameters:{s} provisioner:s! reclaimPolicy:s volumeBindingMode:s"},
	{"storage.v1.StorageHealth", "healthConditions:[StorageHealthCondition] name:s!"},
	{"storage.v1.StorageHealthCondition",
	 "accessMode:s lastTransitionTime:t message:s reason:s! status:s! volumeMode:s"},
	{"storage.v1.TokenRequest", "audience:s! expirationSeconds:i"},
	{"storage.v1.VolumeAttachment",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:VolumeAttachmentSpec!"
	 " status:VolumeAttachmentStatus!"},
	{"storage.v1.VolumeAttachmentSource",
	 "inlineVolumeSpec:core.v1.PersistentVolumeSpec persistentVolumeName:s"},
	{"storage.v1.VolumeAttachmentSpec",
	 "attacher:s! nodeName:s! source:VolumeAttachmentSource!"},
	{"storage.v1.VolumeAttachmentStatus",
	 "attachError:VolumeError attached:b! attachmentMetadata:{s}"
	 " detachError:VolumeError"},
	{"storage.v1.VolumeAttributesClass",
	 "apiVersion:s driverName:s! kind:s metadata:meta.v1.ObjectMeta! parameters:{s}"},
	{"storage.v1.VolumeError", "errorCode:i message:s time:t"},
	{"storage.v1.VolumeNodeResources", "count:i"},
	{NULL, NULL},
};
