/* The fields of core/v1 and of the metadata that every object has. Notation: schema_table.h. */
#include "common/kube/schema_table.h"

#include <stddef.h>

/* clang-format off */
const struct cox_schema_row cox_schema_rows_core[] = {
	/* meta.v1 */
	{"meta.v1.Condition",
	 "lastTransitionTime:t message:s! observedGeneration:i reason:s! status:s!"
	 " type:s!"},
	{"meta.v1.DeleteOptions",
	 "apiVersion:s dryRun:[s] gracePeriodSeconds:i"
	 " ignoreStoreReadErrorWithClusterBreakingPotential:b kind:s orphanDependents:b"
	 " preconditions:Preconditions propagationPolicy:s"},
	{"meta.v1.LabelSelector@", "matchExpressions:[LabelSelectorRequirement] matchLabels:{s}"},
	{"meta.v1.LabelSelectorRequirement", "key:s! operator:s! values:[s]"},
	{"meta.v1.ManagedFieldsEntry",
	 "apiVersion:s fieldsType:s fieldsV1:* manager:s operation:s subresource:s time:t"},
	{"meta.v1.ObjectMeta",
	 "annotations:{s} creationTimestamp:t! deletionGracePeriodSeconds:i"
	 " deletionTimestamp:t finalizers:[s]set~ generateName:s generation:i labels:{s}"
	 " managedFields:[ManagedFieldsEntry] name:s namespace:s"
	 " ownerReferences:[OwnerReference]uid resourceVersion:s selfLink:s uid:s"},
	{"meta.v1.OwnerReference@",
	 "apiVersion:s! blockOwnerDeletion:b controller:b kind:s! name:s! uid:s!"},
	{"meta.v1.Preconditions", "resourceVersion:s uid:s"},
	/* core.v1 */
	{"core.v1.AWSElasticBlockStoreVolumeSource", "fsType:s partition:i readOnly:b volumeID:s!"},
	{"core.v1.Affinity",
	 "nodeAffinity:NodeAffinity podAffinity:PodAffinity"
	 " podAntiAffinity:PodAntiAffinity"},
	{"core.v1.AppArmorProfile", "localhostProfile:s type:s!"},
	{"core.v1.AttachedVolume", "devicePath:s! name:s!"},
	{"core.v1.AzureDiskVolumeSource",
	 "cachingMode:s=ReadWrite diskName:s! diskURI:s! fsType:s=ext4 kind:s=Shared"
	 " readOnly:b!"},
	{"core.v1.AzureFilePersistentVolumeSource",
	 "readOnly:b secretName:s! secretNamespace:s shareName:s!"},
	{"core.v1.AzureFileVolumeSource", "readOnly:b secretName:s! shareName:s!"},
	{"core.v1.CSIPersistentVolumeSource",
	 "controllerExpandSecretRef:SecretReference"
	 " controllerPublishSecretRef:SecretReference driver:s! fsType:s"
	 " nodeExpandSecretRef:SecretReference nodePublishSecretRef:SecretReference"
	 " nodeStageSecretRef:SecretReference readOnly:b volumeAttributes:{s}"
	 " volumeHandle:s!"},
	{"core.v1.CSIVolumeSource",
	 "driver:s! fsType:s nodePublishSecretRef:LocalObjectReference readOnly:b"
	 " volumeAttributes:{s}"},
	{"core.v1.Capabilities", "add:[s] drop:[s]"},
	{"core.v1.CephFSPersistentVolumeSource",
	 "monitors:[s] path:s readOnly:b secretFile:s secretRef:SecretReference user:s"},
	{"core.v1.CephFSVolumeSource",
	 "monitors:[s] path:s readOnly:b secretFile:s secretRef:LocalObjectReference"
	 " user:s"},
	{"core.v1.CinderPersistentVolumeSource",
	 "fsType:s readOnly:b secretRef:SecretReference volumeID:s!"},
	{"core.v1.CinderVolumeSource",
	 "fsType:s readOnly:b secretRef:LocalObjectReference volumeID:s!"},
	{"core.v1.ClientIPConfig", "timeoutSeconds:i"},
	{"core.v1.ClusterTrustBundleProjection",
	 "labelSelector:meta.v1.LabelSelector name:s optional:b path:s! signerName:s"
	 " user:i"},
	{"core.v1.ComponentCondition", "error:s message:s status:s! type:s!"},
	{"core.v1.ComponentStatus",
	 "apiVersion:s conditions:[ComponentCondition]type kind:s"
	 " metadata:meta.v1.ObjectMeta!"},
	{"core.v1.ConfigMap",
	 "apiVersion:s binaryData:{d} data:{s} immutable:b kind:s"
	 " metadata:meta.v1.ObjectMeta!"},
	{"core.v1.ConfigMapEnvSource", "name:s! optional:b"},
	{"core.v1.ConfigMapKeySelector@", "key:s! name:s! optional:b"},
	{"core.v1.ConfigMapNodeConfigSource",
	 "kubeletConfigKey:s! name:s! namespace:s! resourceVersion:s uid:s"},
	{"core.v1.ConfigMapProjection", "items:[KeyToPath] name:s! optional:b"},
	{"core.v1.ConfigMapVolumeSource",
	 "defaultMode:i defaultUser:i items:[KeyToPath] name:s! optional:b"},
	{"core.v1.Container",
	 "args:[s] command:[s] env:[EnvVar]name envFrom:[EnvFromSource] image:s"
	 " imagePullPolicy:s lifecycle:Lifecycle livenessProbe:Probe name:s!"
	 " ports:[ContainerPort]containerPort,protocol readinessProbe:Probe"
	 " resizePolicy:[ContainerResizePolicy] resources:ResourceRequirements!"
	 " restartPolicy:s restartPolicyRules:[ContainerRestartRule]"
	 " securityContext:SecurityContext startupProbe:Probe stdin:b stdinOnce:b"
	 " terminationMessagePath:s terminationMessagePolicy:s tty:b"
	 " volumeDevices:[VolumeDevice]devicePath volumeMounts:[VolumeMount]mountPath"
	 " workingDir:s"},
	{"core.v1.ContainerExtendedResourceRequest",
	 "containerName:s! requestName:s! resourceName:s!"},
	{"core.v1.ContainerImage", "names:[s] sizeBytes:i"},
	{"core.v1.ContainerPort", "containerPort:i! hostIP:s hostPort:i name:s protocol:s=TCP"},
	{"core.v1.ContainerResizePolicy", "resourceName:s! restartPolicy:s!"},
	{"core.v1.ContainerRestartRule", "action:s exitCodes:ContainerRestartRuleOnExitCodes"},
	{"core.v1.ContainerRestartRuleOnExitCodes", "operator:s values:[i]set"},
	{"core.v1.ContainerState",
	 "running:ContainerStateRunning terminated:ContainerStateTerminated"
	 " waiting:ContainerStateWaiting"},
	{"core.v1.ContainerStateRunning", "startedAt:t"},
	{"core.v1.ContainerStateTerminated",
	 "containerID:s exitCode:i! finishedAt:t message:s reason:s signal:i startedAt:t"},
	{"core.v1.ContainerStateWaiting", "message:s reason:s"},
	{"core.v1.ContainerStatus",
	 "allocatedResources:{q} allocatedResourcesStatus:[ResourceStatus]name~-"
	 " containerID:s image:s! imageID:s! lastState:ContainerState! name:s! ready:b!"
	 " resources:ResourceRequirements restartCount:i! started:b state:ContainerState!"
	 " stopSignal:s user:ContainerUser volumeMounts:[VolumeMountStatus]mountPath~-"},
	{"core.v1.ContainerUser", "linux:LinuxContainerUser"},
	{"core.v1.DaemonEndpoint", "Port:i!"},
	{"core.v1.DownwardAPIProjection", "items:[DownwardAPIVolumeFile]"},
	{"core.v1.DownwardAPIVolumeFile",
	 "fieldRef:ObjectFieldSelector mode:i path:s!"
	 " resourceFieldRef:ResourceFieldSelector user:i"},
	{"core.v1.DownwardAPIVolumeSource",
	 "defaultMode:i defaultUser:i items:[DownwardAPIVolumeFile]"},
	{"core.v1.EmptyDirVolumeSource", "medium:s mode:i sizeLimit:q"},
	{"core.v1.EndpointAddress@", "hostname:s ip:s! nodeName:s targetRef:ObjectReference"},
	{"core.v1.EndpointPort@", "appProtocol:s name:s port:i! protocol:s"},
	{"core.v1.EndpointSubset",
	 "addresses:[EndpointAddress] notReadyAddresses:[EndpointAddress]"
	 " ports:[EndpointPort]"},
	{"core.v1.Endpoints",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! subsets:[EndpointSubset]"},
	{"core.v1.EnvFromSource",
	 "configMapRef:ConfigMapEnvSource prefix:s secretRef:SecretEnvSource"},
	{"core.v1.EnvVar", "name:s! value:s valueFrom:EnvVarSource"},
	{"core.v1.EnvVarSource",
	 "configMapKeyRef:ConfigMapKeySelector fieldRef:ObjectFieldSelector"
	 " fileKeyRef:FileKeySelector resourceFieldRef:ResourceFieldSelector"
	 " secretKeyRef:SecretKeySelector"},
	{"core.v1.EphemeralContainer",
	 "args:[s] command:[s] env:[EnvVar]name envFrom:[EnvFromSource] image:s"
	 " imagePullPolicy:s lifecycle:Lifecycle livenessProbe:Probe name:s!"
	 " ports:[ContainerPort]containerPort,protocol~- readinessProbe:Probe"
	 " resizePolicy:[ContainerResizePolicy] resources:ResourceRequirements!"
	 " restartPolicy:s restartPolicyRules:[ContainerRestartRule]"
	 " securityContext:SecurityContext startupProbe:Probe stdin:b stdinOnce:b"
	 " targetContainerName:s terminationMessagePath:s terminationMessagePolicy:s"
	 " tty:b volumeDevices:[VolumeDevice]devicePath"
	 " volumeMounts:[VolumeMount]mountPath workingDir:s"},
	{"core.v1.EphemeralVolumeSource", "volumeClaimTemplate:PersistentVolumeClaimTemplate"},
	{"core.v1.Event",
	 "action:s apiVersion:s count:i eventTime:u firstTimestamp:t"
	 " involvedObject:ObjectReference! kind:s lastTimestamp:t message:s"
	 " metadata:meta.v1.ObjectMeta! reason:s related:ObjectReference"
	 " reportingComponent:s! reportingInstance:s! series:EventSeries"
	 " source:EventSource! type:s"},
	{"core.v1.EventSeries", "count:i lastObservedTime:u"},
	{"core.v1.EventSource", "component:s host:s"},
	{"core.v1.EvictionResponder@", "name:s! priority:i"},
	{"core.v1.ExecAction", "command:[s]"},
	{"core.v1.FCVolumeSource", "fsType:s lun:i readOnly:b targetWWNs:[s] wwids:[s]"},
	{"core.v1.FileKeySelector@", "key:s! optional:b! path:s! volumeName:s!"},
	{"core.v1.FlexPersistentVolumeSource",
	 "driver:s! fsType:s options:{s} readOnly:b secretRef:SecretReference"},
	{"core.v1.FlexVolumeSource",
	 "driver:s! fsType:s options:{s} readOnly:b secretRef:LocalObjectReference"},
	{"core.v1.FlockerVolumeSource", "datasetName:s datasetUUID:s"},
	{"core.v1.GCEPersistentDiskVolumeSource", "fsType:s partition:i pdName:s! readOnly:b"},
	{"core.v1.GRPCAction", "mode:s port:i! service:s!"},
	{"core.v1.GitRepoVolumeSource", "directory:s repository:s! revision:s"},
	{"core.v1.GlusterfsPersistentVolumeSource",
	 "endpoints:s! endpointsNamespace:s path:s! readOnly:b"},
	{"core.v1.GlusterfsVolumeSource", "endpoints:s! path:s! readOnly:b"},
	{"core.v1.HTTPGetAction",
	 "host:s httpHeaders:[HTTPHeader] path:s port:x protocol:s scheme:s"},
	{"core.v1.HTTPHeader", "name:s! value:s!"},
	{"core.v1.HostAlias", "hostnames:[s] ip:s!"},
	{"core.v1.HostIP", "ip:s!"},
	{"core.v1.HostPathVolumeSource", "path:s! type:s"},
	{"core.v1.ISCSIPersistentVolumeSource",
	 "chapAuthDiscovery:b chapAuthSession:b fsType:s initiatorName:s iqn:s!"
	 " iscsiInterface:s=default lun:i! portals:[s] readOnly:b"
	 " secretRef:SecretReference targetPortal:s!"},
	{"core.v1.ISCSIVolumeSource",
	 "chapAuthDiscovery:b chapAuthSession:b fsType:s initiatorName:s iqn:s!"
	 " iscsiInterface:s=default lun:i! portals:[s] readOnly:b"
	 " secretRef:LocalObjectReference targetPortal:s!"},
	{"core.v1.ImageVolumeSource", "pullPolicy:s reference:s"},
	{"core.v1.ImageVolumeStatus", "imageRef:s"},
	{"core.v1.KeyToPath", "key:s! mode:i path:s! user:i"},
	{"core.v1.Lifecycle", "postStart:LifecycleHandler preStop:LifecycleHandler stopSignal:s"},
	{"core.v1.LifecycleHandler",
	 "exec:ExecAction httpGet:HTTPGetAction sleep:SleepAction"
	 " tcpSocket:TCPSocketAction"},
	{"core.v1.LimitRange",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:LimitRangeSpec!"},
	{"core.v1.LimitRangeItem",
	 "default:{q} defaultRequest:{q} max:{q} maxLimitRequestRatio:{q} min:{q} type:s!"},
	{"core.v1.LimitRangeSpec", "limits:[LimitRangeItem]"},
	{"core.v1.LinuxContainerUser", "gid:i! supplementalGroups:[i] uid:i!"},
	{"core.v1.LoadBalancerIngress", "hostname:s ip:s ipMode:s ports:[PortStatus]"},
	{"core.v1.LoadBalancerStatus", "ingress:[LoadBalancerIngress]"},
	{"core.v1.LocalObjectReference@", "name:s!"},
	{"core.v1.LocalVolumeSource", "fsType:s path:s!"},
	{"core.v1.ModifyVolumeStatus", "status:s! targetVolumeAttributesClassName:s"},
	{"core.v1.NFSVolumeSource", "path:s! readOnly:b server:s!"},
	{"core.v1.Namespace",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:NamespaceSpec!"
	 " status:NamespaceStatus!"},
	{"core.v1.NamespaceCondition", "lastTransitionTime:t message:s reason:s status:s! type:s!"},
	{"core.v1.NamespaceSpec", "finalizers:[s]"},
	{"core.v1.NamespaceStatus", "conditions:[NamespaceCondition]type phase:s"},
	{"core.v1.Node",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:NodeSpec!"
	 " status:NodeStatus!"},
	{"core.v1.NodeAddress", "address:s! type:s!"},
	{"core.v1.NodeAffinity",
	 "preferredDuringSchedulingIgnoredDuringExecution:[PreferredSchedulingTerm]"
	 " requiredDuringSchedulingIgnoredDuringExecution:NodeSelector"},
	{"core.v1.NodeAllocatableMappedResources", "name:s! quantity:q"},
	{"core.v1.NodeAllocatableOverheadResources", "name:s! perContainer:q perPod:q"},
	{"core.v1.NodeAllocatableResourceClaimStatus",
	 "containers:[s]set mapping:[NodeAllocatableMappedResources]name~-"
	 " overhead:[NodeAllocatableOverheadResources]name~- resourceClaimName:s!"},
	{"core.v1.NodeCondition",
	 "lastHeartbeatTime:t lastTransitionTime:t message:s reason:s status:s! type:s!"},
	{"core.v1.NodeConfigSource", "configMap:ConfigMapNodeConfigSource"},
	{"core.v1.NodeConfigStatus",
	 "active:NodeConfigSource assigned:NodeConfigSource error:s"
	 " lastKnownGood:NodeConfigSource"},
	{"core.v1.NodeDaemonEndpoints", "kubeletEndpoint:DaemonEndpoint!"},
	{"core.v1.NodeFeatures", "supplementalGroupsPolicy:b"},
	{"core.v1.NodePodPreemptionPolicy", "disableResizePreemption:[s]set"},
	{"core.v1.NodeRuntimeHandler", "features:NodeRuntimeHandlerFeatures name:s!"},
	{"core.v1.NodeRuntimeHandlerFeatures", "recursiveReadOnlyMounts:b userNamespaces:b"},
	{"core.v1.NodeSelector@", "nodeSelectorTerms:[NodeSelectorTerm]"},
	{"core.v1.NodeSelectorRequirement", "key:s! operator:s! values:[s]"},
	{"core.v1.NodeSelectorTerm@",
	 "matchExpressions:[NodeSelectorRequirement]"
	 " matchFields:[NodeSelectorRequirement]"},
	{"core.v1.NodeSpec",
	 "configSource:NodeConfigSource externalID:s podCIDR:s podCIDRs:[s]set~"
	 " podPreemptionPolicy:NodePodPreemptionPolicy providerID:s taints:[Taint]"
	 " unschedulable:b"},
	{"core.v1.NodeStatus",
	 "addresses:[NodeAddress]type allocatable:{q} capacity:{q}"
	 " conditions:[NodeCondition]type config:NodeConfigStatus"
	 " daemonEndpoints:NodeDaemonEndpoints! declaredFeatures:[s]"
	 " features:NodeFeatures images:[ContainerImage] nodeInfo:NodeSystemInfo! phase:s"
	 " runtimeHandlers:[NodeRuntimeHandler] volumesAttached:[AttachedVolume]"
	 " volumesInUse:[s]"},
	{"core.v1.NodeSwapStatus", "capacity:i"},
	{"core.v1.NodeSystemInfo",
	 "architecture:s! bootID:s! containerRuntimeVersion:s! kernelVersion:s!"
	 " kubeProxyVersion:s! kubeletVersion:s! machineID:s! operatingSystem:s!"
	 " osImage:s! runningInUserNamespace:b swap:NodeSwapStatus systemUUID:s!"},
	{"core.v1.ObjectFieldSelector@", "apiVersion:s fieldPath:s!"},
	{"core.v1.ObjectReference@",
	 "apiVersion:s fieldPath:s kind:s name:s namespace:s resourceVersion:s uid:s"},
	{"core.v1.PersistentVolume",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:PersistentVolumeSpec!"
	 " status:PersistentVolumeStatus!"},
	{"core.v1.PersistentVolumeClaim",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta!"
	 " spec:PersistentVolumeClaimSpec! status:PersistentVolumeClaimStatus!"},
	{"core.v1.PersistentVolumeClaimCondition",
	 "lastProbeTime:t lastTransitionTime:t message:s reason:s status:s! type:s!"},
	{"core.v1.PersistentVolumeClaimSpec",
	 "accessModes:[s] dataSource:TypedLocalObjectReference"
	 " dataSourceRef:TypedObjectReference resources:VolumeResourceRequirements!"
	 " selector:meta.v1.LabelSelector storageClassName:s volumeAttributesClassName:s"
	 " volumeMode:s volumeName:s"},
	{"core.v1.PersistentVolumeClaimStatus",
	 "accessModes:[s] allocatedResourceStatuses:{s} allocatedResources:{q}"
	 " capacity:{q} conditions:[PersistentVolumeClaimCondition]type"
	 " currentVolumeAttributesClassName:s healthStatus:VolumeHealthStatus"
	 " modifyVolumeStatus:ModifyVolumeStatus phase:s"},
	{"core.v1.PersistentVolumeClaimTemplate",
	 "metadata:meta.v1.ObjectMeta! spec:PersistentVolumeClaimSpec!"},
	{"core.v1.PersistentVolumeClaimVolumeSource", "claimName:s! readOnly:b"},
	{"core.v1.PersistentVolumeSpec",
	 "accessModes:[s] awsElasticBlockStore:AWSElasticBlockStoreVolumeSource"
	 " azureDisk:AzureDiskVolumeSource azureFile:AzureFilePersistentVolumeSource"
	 " capacity:{q} cephfs:CephFSPersistentVolumeSource"
	 " cinder:CinderPersistentVolumeSource claimRef:ObjectReference"
	 " csi:CSIPersistentVolumeSource fc:FCVolumeSource"
	 " flexVolume:FlexPersistentVolumeSource flocker:FlockerVolumeSource"
	 " gcePersistentDisk:GCEPersistentDiskVolumeSource"
	 " glusterfs:GlusterfsPersistentVolumeSource hostPath:HostPathVolumeSource"
	 " iscsi:ISCSIPersistentVolumeSource local:LocalVolumeSource mountOptions:[s]"
	 " nfs:NFSVolumeSource nodeAffinity:VolumeNodeAffinity"
	 " persistentVolumeReclaimPolicy:s"
	 " photonPersistentDisk:PhotonPersistentDiskVolumeSource"
	 " portworxVolume:PortworxVolumeSource quobyte:QuobyteVolumeSource"
	 " rbd:RBDPersistentVolumeSource scaleIO:ScaleIOPersistentVolumeSource"
	 " storageClassName:s storageos:StorageOSPersistentVolumeSource"
	 " volumeAttributesClassName:s volumeMode:s"
	 " vsphereVolume:VsphereVirtualDiskVolumeSource"},
	{"core.v1.PersistentVolumeStatus", "lastPhaseTransitionTime:t message:s phase:s reason:s"},
	{"core.v1.PhotonPersistentDiskVolumeSource", "fsType:s pdID:s!"},
	{"core.v1.Pod",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:PodSpec!"
	 " status:PodStatus!"},
	{"core.v1.PodAffinity",
	 "preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]"
	 " requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]"},
	{"core.v1.PodAffinityTerm",
	 "labelSelector:meta.v1.LabelSelector matchLabelKeys:[s] mismatchLabelKeys:[s]"
	 " namespaceSelector:meta.v1.LabelSelector namespaces:[s] topologyKey:s!"},
	{"core.v1.PodAntiAffinity",
	 "preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]"
	 " requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]"},
	{"core.v1.PodCertificateProjection",
	 "certificateChainPath:s credentialBundlePath:s keyPath:s keyType:s"
	 " maxExpirationSeconds:i signerName:s user:i userAnnotations:{s}"},
	{"core.v1.PodCondition",
	 "lastProbeTime:t lastTransitionTime:t message:s observedGeneration:i reason:s"
	 " status:s! type:s!"},
	{"core.v1.PodDNSConfig", "nameservers:[s] options:[PodDNSConfigOption] searches:[s]"},
	{"core.v1.PodDNSConfigOption", "name:s value:s"},
	{"core.v1.PodExtendedResourceClaimStatus",
	 "requestMappings:[ContainerExtendedResourceRequest] resourceClaimName:s!"},
	{"core.v1.PodIP", "ip:s!"},
	{"core.v1.PodOS", "name:s!"},
	{"core.v1.PodReadinessGate", "conditionType:s!"},
	{"core.v1.PodResourceClaim", "name:s! resourceClaimName:s resourceClaimTemplateName:s"},
	{"core.v1.PodResourceClaimStatus", "name:s! resourceClaimName:s"},
	{"core.v1.PodSchedulingGate", "name:s!"},
	{"core.v1.PodSchedulingGroup", "podGroupName:s"},
	{"core.v1.PodSecurityContext",
	 "appArmorProfile:AppArmorProfile fsGroup:i fsGroupChangePolicy:s runAsGroup:i"
	 " runAsNonRoot:b runAsUser:i seLinuxChangePolicy:s seLinuxOptions:SELinuxOptions"
	 " seccompProfile:SeccompProfile supplementalGroups:[i]"
	 " supplementalGroupsPolicy:s sysctls:[Sysctl]"
	 " windowsOptions:WindowsSecurityContextOptions"},
	{"core.v1.PodSpec",
	 "activeDeadlineSeconds:i affinity:Affinity automountServiceAccountToken:b"
	 " containers:[Container]name! dnsConfig:PodDNSConfig dnsPolicy:s"
	 " enableServiceLinks:b ephemeralContainers:[EphemeralContainer]name"
	 " evictionResponders:[EvictionResponder]name~- hostAliases:[HostAlias]ip"
	 " hostIPC:b hostNetwork:b hostPID:b hostUsers:b hostname:s hostnameOverride:s"
	 " imagePullSecrets:[LocalObjectReference]name initContainers:[Container]name"
	 " nodeName:s nodeSelector:{s}@ os:PodOS overhead:{q} preemptionPolicy:s"
	 " priority:i priorityClassName:s readinessGates:[PodReadinessGate]"
	 " resourceClaims:[PodResourceClaim]name~- resources:ResourceRequirements"
	 " restartPolicy:s runtimeClassName:s schedulerName:s"
	 " schedulingGates:[PodSchedulingGate]name~- securityContext:PodSecurityContext"
	 " serviceAccount:s serviceAccountName:s setHostnameAsFQDN:b"
	 " shareProcessNamespace:b subdomain:s terminationGracePeriodSeconds:i"
	 " tolerations:[Toleration]"
	 " topologySpreadConstraints:[TopologySpreadConstraint]topologyKey,whenUnsatisfiable"
	 " volumes:[Volume]name&"},
	{"core.v1.PodStatus",
	 "allocatedResources:{q} conditions:[PodCondition]type"
	 " containerStatuses:[ContainerStatus]"
	 " ephemeralContainerStatuses:[ContainerStatus]"
	 " extendedResourceClaimStatus:PodExtendedResourceClaimStatus hostIP:s"
	 " hostIPs:[HostIP] initContainerStatuses:[ContainerStatus] message:s"
	 " nodeAllocatableResourceClaimStatuses:[NodeAllocatableResourceClaimStatus]resourceClaimName~-"
	 " nominatedNodeName:s observedGeneration:i phase:s podIP:s podIPs:[PodIP]ip"
	 " qosClass:s reason:s resize:s"
	 " resourceClaimStatuses:[PodResourceClaimStatus]name~-"
	 " resources:ResourceRequirements startTime:t"
	 " volumeHealth:[PodVolumeHealth]name~-"},
	{"core.v1.PodTemplate",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! template:PodTemplateSpec!"},
	{"core.v1.PodTemplateSpec", "metadata:meta.v1.ObjectMeta! spec:PodSpec!"},
	{"core.v1.PodVolumeHealth",
	 "healthConditions:[VolumeHealthCondition]status,reason~- lastTransitionTime:t"
	 " name:s!"},
	{"core.v1.PortStatus", "error:s port:i! protocol:s!"},
	{"core.v1.PortworxVolumeSource", "fsType:s readOnly:b volumeID:s!"},
	{"core.v1.PreferredSchedulingTerm", "preference:NodeSelectorTerm! weight:i!"},
	{"core.v1.Probe",
	 "exec:ExecAction failureThreshold:i grpc:GRPCAction httpGet:HTTPGetAction"
	 " initialDelaySeconds:i periodSeconds:i successThreshold:i"
	 " tcpSocket:TCPSocketAction terminationGracePeriodSeconds:i timeoutSeconds:i"},
	{"core.v1.ProjectedVolumeSource", "defaultMode:i defaultUser:i sources:[VolumeProjection]"},
	{"core.v1.QuobyteVolumeSource", "group:s readOnly:b registry:s! tenant:s user:s volume:s!"},
	{"core.v1.RBDPersistentVolumeSource",
	 "fsType:s image:s! keyring:s=/etc/ceph/keyring monitors:[s] pool:s=rbd"
	 " readOnly:b secretRef:SecretReference user:s=admin"},
	{"core.v1.RBDVolumeSource",
	 "fsType:s image:s! keyring:s=/etc/ceph/keyring monitors:[s] pool:s=rbd"
	 " readOnly:b secretRef:LocalObjectReference user:s=admin"},
	{"core.v1.ReplicationController",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta!"
	 " spec:ReplicationControllerSpec! status:ReplicationControllerStatus!"},
	{"core.v1.ReplicationControllerCondition",
	 "lastTransitionTime:t message:s reason:s status:s! type:s!"},
	{"core.v1.ReplicationControllerSpec",
	 "minReadySeconds:i! replicas:i=1 selector:{s}@ template:PodTemplateSpec"},
	{"core.v1.ReplicationControllerStatus",
	 "availableReplicas:i conditions:[ReplicationControllerCondition]type"
	 " fullyLabeledReplicas:i observedGeneration:i readyReplicas:i replicas:i!"},
	{"core.v1.ResourceClaim", "name:s! request:s"},
	{"core.v1.ResourceFieldSelector@", "containerName:s divisor:q resource:s!"},
	{"core.v1.ResourceHealth", "health:s message:s resourceID:s!"},
	{"core.v1.ResourceQuota",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:ResourceQuotaSpec!"
	 " status:ResourceQuotaStatus!"},
	{"core.v1.ResourceQuotaSpec", "hard:{q} scopeSelector:ScopeSelector scopes:[s]"},
	{"core.v1.ResourceQuotaStatus", "hard:{q} used:{q}"},
	{"core.v1.ResourceRequirements", "claims:[ResourceClaim]name~- limits:{q} requests:{q}"},
	{"core.v1.ResourceStatus", "name:s! resources:[ResourceHealth]resourceID~-"},
	{"core.v1.SELinuxOptions", "level:s role:s type:s user:s"},
	{"core.v1.ScaleIOPersistentVolumeSource",
	 "fsType:s=xfs gateway:s! protectionDomain:s readOnly:b secretRef:SecretReference"
	 " sslEnabled:b storageMode:s=ThinProvisioned storagePool:s system:s!"
	 " volumeName:s"},
	{"core.v1.ScaleIOVolumeSource",
	 "fsType:s=xfs gateway:s! protectionDomain:s readOnly:b"
	 " secretRef:LocalObjectReference sslEnabled:b storageMode:s=ThinProvisioned"
	 " storagePool:s system:s! volumeName:s"},
	{"core.v1.ScopeSelector@", "matchExpressions:[ScopedResourceSelectorRequirement]"},
	{"core.v1.ScopedResourceSelectorRequirement", "operator:s! scopeName:s! values:[s]"},
	{"core.v1.SeccompProfile", "localhostProfile:s type:s!"},
	{"core.v1.Secret",
	 "apiVersion:s data:{d} immutable:b kind:s metadata:meta.v1.ObjectMeta!"
	 " stringData:{s} type:s"},
	{"core.v1.SecretEnvSource", "name:s! optional:b"},
	{"core.v1.SecretKeySelector@", "key:s! name:s! optional:b"},
	{"core.v1.SecretProjection", "items:[KeyToPath] name:s! optional:b"},
	{"core.v1.SecretReference@", "name:s namespace:s"},
	{"core.v1.SecretVolumeSource",
	 "defaultMode:i defaultUser:i items:[KeyToPath] optional:b secretName:s"},
	{"core.v1.SecurityContext",
	 "allowPrivilegeEscalation:b appArmorProfile:AppArmorProfile"
	 " capabilities:Capabilities privileged:b procMount:s readOnlyRootFilesystem:b"
	 " runAsGroup:i runAsNonRoot:b runAsUser:i seLinuxOptions:SELinuxOptions"
	 " seccompProfile:SeccompProfile windowsOptions:WindowsSecurityContextOptions"},
	{"core.v1.Service",
	 "apiVersion:s kind:s metadata:meta.v1.ObjectMeta! spec:ServiceSpec!"
	 " status:ServiceStatus!"},
	{"core.v1.ServiceAccount",
	 "apiVersion:s automountServiceAccountToken:b"
	 " imagePullSecrets:[LocalObjectReference] kind:s metadata:meta.v1.ObjectMeta!"
	 " secrets:[ObjectReference]name"},
	{"core.v1.ServiceAccountTokenProjection", "audience:s expirationSeconds:i path:s! user:i"},
	{"core.v1.ServicePort",
	 "appProtocol:s name:s nodePort:i port:i! protocol:s=TCP targetPort:x"},
	{"core.v1.ServiceSpec",
	 "allocateLoadBalancerNodePorts:b clusterIP:s clusterIPs:[s] externalIPs:[s]"
	 " externalName:s externalTrafficPolicy:s healthCheckNodePort:i"
	 " internalTrafficPolicy:s ipFamilies:[s] ipFamilyPolicy:s loadBalancerClass:s"
	 " loadBalancerIP:s loadBalancerSourceRanges:[s] ports:[ServicePort]port,protocol"
	 " publishNotReadyAddresses:b selector:{s}@ sessionAffinity:s"
	 " sessionAffinityConfig:SessionAffinityConfig trafficDistribution:s type:s"},
	{"core.v1.ServiceStatus",
	 "conditions:[meta.v1.Condition]type loadBalancer:LoadBalancerStatus!"},
	{"core.v1.SessionAffinityConfig", "clientIP:ClientIPConfig"},
	{"core.v1.SleepAction", "seconds:i!"},
	{"core.v1.StorageOSPersistentVolumeSource",
	 "fsType:s readOnly:b secretRef:ObjectReference volumeName:s volumeNamespace:s"},
	{"core.v1.StorageOSVolumeSource",
	 "fsType:s readOnly:b secretRef:LocalObjectReference volumeName:s"
	 " volumeNamespace:s"},
	{"core.v1.Sysctl", "name:s! value:s!"},
	{"core.v1.TCPSocketAction", "host:s port:x"},
	{"core.v1.Taint", "effect:s! key:s! timeAdded:t value:s"},
	{"core.v1.Toleration", "effect:s key:s operator:s tolerationSeconds:i value:s"},
	{"core.v1.TopologySelectorLabelRequirement", "key:s! values:[s]"},
	{"core.v1.TopologySelectorTerm@",
	 "matchLabelExpressions:[TopologySelectorLabelRequirement]"},
	{"core.v1.TopologySpreadConstraint",
	 "labelSelector:meta.v1.LabelSelector matchLabelKeys:[s] maxSkew:i! minDomains:i"
	 " nodeAffinityPolicy:s nodeTaintsPolicy:s topologyKey:s! whenUnsatisfiable:s!"},
	{"core.v1.TypedLocalObjectReference@", "apiGroup:s kind:s! name:s!"},
	{"core.v1.TypedObjectReference", "apiGroup:s kind:s! name:s! namespace:s"},
	{"core.v1.Volume",
	 "awsElasticBlockStore:AWSElasticBlockStoreVolumeSource"
	 " azureDisk:AzureDiskVolumeSource azureFile:AzureFileVolumeSource"
	 " cephfs:CephFSVolumeSource cinder:CinderVolumeSource"
	 " configMap:ConfigMapVolumeSource csi:CSIVolumeSource"
	 " downwardAPI:DownwardAPIVolumeSource emptyDir:EmptyDirVolumeSource"
	 " ephemeral:EphemeralVolumeSource fc:FCVolumeSource flexVolume:FlexVolumeSource"
	 " flocker:FlockerVolumeSource gcePersistentDisk:GCEPersistentDiskVolumeSource"
	 " gitRepo:GitRepoVolumeSource glusterfs:GlusterfsVolumeSource"
	 " hostPath:HostPathVolumeSource image:ImageVolumeSource iscsi:ISCSIVolumeSource"
	 " name:s! nfs:NFSVolumeSource"
	 " persistentVolumeClaim:PersistentVolumeClaimVolumeSource"
	 " photonPersistentDisk:PhotonPersistentDiskVolumeSource"
	 " portworxVolume:PortworxVolumeSource projected:ProjectedVolumeSource"
	 " quobyte:QuobyteVolumeSource rbd:RBDVolumeSource scaleIO:ScaleIOVolumeSource"
	 " secret:SecretVolumeSource storageos:StorageOSVolumeSource"
	 " vsphereVolume:VsphereVirtualDiskVolumeSource"},
	{"core.v1.VolumeDevice", "devicePath:s! name:s!"},
	{"core.v1.VolumeHealthCondition", "message:s reason:s! status:s!"},
	{"core.v1.VolumeHealthStatus",
	 "healthConditions:[VolumeHealthCondition]status,reason~- lastTransitionTime:t"},
	{"core.v1.VolumeMount",
	 "bindMountOptions:[s]set mountPath:s! mountPropagation:s name:s! readOnly:b"
	 " recursiveReadOnly:s subPath:s subPathExpr:s"},
	{"core.v1.VolumeMountStatus",
	 "mountPath:s! name:s! readOnly:b recursiveReadOnly:s volumeStatus:VolumeStatus"},
	{"core.v1.VolumeNodeAffinity", "required:NodeSelector"},
	{"core.v1.VolumeProjection",
	 "clusterTrustBundle:ClusterTrustBundleProjection configMap:ConfigMapProjection"
	 " downwardAPI:DownwardAPIProjection podCertificate:PodCertificateProjection"
	 " secret:SecretProjection serviceAccountToken:ServiceAccountTokenProjection"},
	{"core.v1.VolumeResourceRequirements", "limits:{q} requests:{q}"},
	{"core.v1.VolumeStatus", "image:ImageVolumeStatus"},
	{"core.v1.VsphereVirtualDiskVolumeSource",
	 "fsType:s storagePolicyID:s storagePolicyName:s volumePath:s!"},
	{"core.v1.WeightedPodAffinityTerm", "podAffinityTerm:PodAffinityTerm! weight:i!"},
	{"core.v1.WindowsSecurityContextOptions",
	 "gmsaCredentialSpec:s gmsaCredentialSpecName:s hostProcess:b runAsUserName:s"},
	{NULL, NULL},
};
