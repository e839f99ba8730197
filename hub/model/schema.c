#include "hub/model/schema.h"

#define OBJECT(n, f)                                                                               \
	{                                                                                          \
		.name = (n), .type = HUB_OBJECT, .fields = (f)                                     \
	}
#define OBJECTS(n, f)                                                                              \
	{                                                                                          \
		.name = (n), .type = HUB_OBJECTS, .fields = (f)                                    \
	}
#define FIELD(n, t)                                                                                \
	{                                                                                          \
		.name = (n), .type = (t)                                                           \
	}
#define MUST(n, t)                                                                                 \
	{                                                                                          \
		.name = (n), .type = (t), .flags = HUB_REQUIRED                                    \
	}
#define ONE_OF(n, v)                                                                               \
	{                                                                                          \
		.name = (n), .type = HUB_STRING, .values = (v)                                     \
	}

const struct hub_field hub_metadata_fields[] = {
	FIELD("name", HUB_STRING),
	FIELD("generateName", HUB_STRING),
	FIELD("namespace", HUB_STRING),
	FIELD("labels", HUB_STRING_MAP),
	FIELD("annotations", HUB_STRING_MAP),
	FIELD("finalizers", HUB_STRINGS),
	FIELD("ownerReferences", HUB_ANY_LIST),
	FIELD("uid", HUB_STRING),
	FIELD("resourceVersion", HUB_STRING),
	FIELD("generation", HUB_INT),
	FIELD("creationTimestamp", HUB_STRING),
	FIELD("deletionTimestamp", HUB_STRING),
	FIELD("deletionGracePeriodSeconds", HUB_INT),
	FIELD("managedFields", HUB_ANY_LIST),
	FIELD("selfLink", HUB_STRING),
	{0},
};

#define OBJECT_FIELDS                                                                              \
	MUST("apiVersion", HUB_STRING), MUST("kind", HUB_STRING),                                  \
	{                                                                                          \
		.name = "metadata", .type = HUB_OBJECT, .flags = HUB_REQUIRED,                     \
		.fields = hub_metadata_fields                                                      \
	}

/* ---- selectors ---- */

static const struct hub_field expression_fields[] = {
	MUST("key", HUB_STRING),
	{.name = "operator",
	 .type = HUB_STRING,
	 .flags = HUB_REQUIRED,
	 .values = "In,NotIn,Exists,DoesNotExist"},
	FIELD("values", HUB_STRINGS),
	{0},
};

static const struct hub_field selector_fields[] = {
	FIELD("matchLabels", HUB_STRING_MAP),
	OBJECTS("matchExpressions", expression_fields),
	{0},
};

/* ---- Application ---- */

static const struct hub_field name_value_fields[] = {
	FIELD("name", HUB_STRING),
	FIELD("value", HUB_STRING),
	{0},
};

static const struct hub_field helm_parameter_fields[] = {
	FIELD("name", HUB_STRING),
	FIELD("value", HUB_STRING),
	FIELD("forceString", HUB_BOOL),
	{0},
};

static const struct hub_field helm_file_fields[] = {
	FIELD("name", HUB_STRING),
	FIELD("path", HUB_STRING),
	{0},
};

static const struct hub_field helm_fields[] = {
	FIELD("releaseName", HUB_STRING),
	FIELD("namespace", HUB_STRING),
	FIELD("valueFiles", HUB_STRINGS),
	FIELD("values", HUB_STRING),
	FIELD("valuesObject", HUB_ANY_MAP),
	OBJECTS("parameters", helm_parameter_fields),
	OBJECTS("fileParameters", helm_file_fields),
	FIELD("ignoreMissingValueFiles", HUB_BOOL),
	FIELD("skipCrds", HUB_BOOL),
	FIELD("skipTests", HUB_BOOL),
	FIELD("skipSchemaValidation", HUB_BOOL),
	FIELD("passCredentials", HUB_BOOL),
	FIELD("version", HUB_STRING),
	FIELD("kubeVersion", HUB_STRING),
	FIELD("apiVersions", HUB_STRINGS),
	{0},
};

static const struct hub_field kustomize_replica_fields[] = {
	MUST("name", HUB_STRING),
	MUST("count", HUB_INT_OR_STRING),
	{0},
};

static const struct hub_field kustomize_target_fields[] = {
	FIELD("group", HUB_STRING),
	FIELD("version", HUB_STRING),
	FIELD("kind", HUB_STRING),
	FIELD("name", HUB_STRING),
	FIELD("namespace", HUB_STRING),
	FIELD("labelSelector", HUB_STRING),
	FIELD("annotationSelector", HUB_STRING),
	{0},
};

static const struct hub_field kustomize_patch_fields[] = {
	FIELD("path", HUB_STRING),
	FIELD("patch", HUB_STRING),
	OBJECT("target", kustomize_target_fields),
	FIELD("options", HUB_ANY_MAP),
	{0},
};

static const struct hub_field kustomize_fields[] = {
	FIELD("namePrefix", HUB_STRING),
	FIELD("nameSuffix", HUB_STRING),
	FIELD("images", HUB_STRINGS),
	OBJECTS("replicas", kustomize_replica_fields),
	FIELD("namespace", HUB_STRING),
	FIELD("commonLabels", HUB_STRING_MAP),
	FIELD("forceCommonLabels", HUB_BOOL),
	FIELD("labelWithoutSelector", HUB_BOOL),
	FIELD("labelIncludeTemplates", HUB_BOOL),
	FIELD("commonAnnotations", HUB_STRING_MAP),
	FIELD("forceCommonAnnotations", HUB_BOOL),
	FIELD("commonAnnotationsEnvsubst", HUB_BOOL),
	OBJECTS("patches", kustomize_patch_fields),
	FIELD("components", HUB_STRINGS),
	FIELD("ignoreMissingComponents", HUB_BOOL),
	FIELD("version", HUB_STRING),
	FIELD("kubeVersion", HUB_STRING),
	FIELD("apiVersions", HUB_STRINGS),
	{0},
};

static const struct hub_field jsonnet_var_fields[] = {
	MUST("name", HUB_STRING),
	FIELD("value", HUB_STRING),
	FIELD("code", HUB_BOOL),
	{0},
};

static const struct hub_field jsonnet_fields[] = {
	OBJECTS("extVars", jsonnet_var_fields),
	OBJECTS("tlas", jsonnet_var_fields),
	FIELD("libs", HUB_STRINGS),
	{0},
};

static const struct hub_field directory_fields[] = {
	FIELD("recurse", HUB_BOOL),
	FIELD("include", HUB_STRING),
	FIELD("exclude", HUB_STRING),
	OBJECT("jsonnet", jsonnet_fields),
	{0},
};

static const struct hub_field plugin_parameter_fields[] = {
	FIELD("name", HUB_STRING),
	FIELD("string", HUB_STRING),
	FIELD("array", HUB_STRINGS),
	FIELD("map", HUB_STRING_MAP),
	{0},
};

static const struct hub_field plugin_fields[] = {
	FIELD("name", HUB_STRING),
	OBJECTS("env", name_value_fields),
	OBJECTS("parameters", plugin_parameter_fields),
	{0},
};

static const struct hub_field source_fields[] = {
	FIELD("repoURL", HUB_STRING),
	FIELD("path", HUB_STRING),
	FIELD("chart", HUB_STRING),
	FIELD("targetRevision", HUB_STRING),
	FIELD("ref", HUB_STRING),
	FIELD("name", HUB_STRING),
	FIELD("tagPrefix", HUB_STRING),
	OBJECT("helm", helm_fields),
	OBJECT("kustomize", kustomize_fields),
	OBJECT("directory", directory_fields),
	OBJECT("plugin", plugin_fields),
	{0},
};

static const struct hub_field sync_source_fields[] = {
	FIELD("targetBranch", HUB_STRING),
	FIELD("path", HUB_STRING),
	FIELD("repoURL", HUB_STRING),
	{0},
};

static const struct hub_field hydrate_to_fields[] = {
	FIELD("targetBranch", HUB_STRING),
	{0},
};

static const struct hub_field hydrator_fields[] = {
	OBJECT("drySource", source_fields),
	OBJECT("syncSource", sync_source_fields),
	OBJECT("hydrateTo", hydrate_to_fields),
	{0},
};

static const struct hub_field destination_fields[] = {
	FIELD("server", HUB_STRING),
	FIELD("name", HUB_STRING),
	FIELD("namespace", HUB_STRING),
	{0},
};

static const struct hub_field automated_fields[] = {
	FIELD("enabled", HUB_BOOL),
	FIELD("prune", HUB_BOOL),
	FIELD("selfHeal", HUB_BOOL),
	FIELD("allowEmpty", HUB_BOOL),
	{0},
};

static const struct hub_field backoff_fields[] = {
	FIELD("duration", HUB_DURATION),
	FIELD("factor", HUB_INT),
	FIELD("maxDuration", HUB_DURATION),
	{0},
};

static const struct hub_field retry_fields[] = {
	FIELD("limit", HUB_INT),
	OBJECT("backoff", backoff_fields),
	FIELD("refresh", HUB_BOOL),
	{0},
};

static const struct hub_field namespace_metadata_fields[] = {
	FIELD("labels", HUB_STRING_MAP),
	FIELD("annotations", HUB_STRING_MAP),
	{0},
};

static const struct hub_field sync_policy_fields[] = {
	OBJECT("automated", automated_fields),
	FIELD("syncOptions", HUB_STRINGS),
	OBJECT("retry", retry_fields),
	OBJECT("managedNamespaceMetadata", namespace_metadata_fields),
	{0},
};

static const struct hub_field ignore_fields[] = {
	FIELD("group", HUB_STRING),
	MUST("kind", HUB_STRING),
	FIELD("name", HUB_STRING),
	FIELD("namespace", HUB_STRING),
	FIELD("jsonPointers", HUB_STRINGS),
	FIELD("jqPathExpressions", HUB_STRINGS),
	FIELD("managedFieldsManagers", HUB_STRINGS),
	{0},
};

static const struct hub_field application_spec_fields[] = {
	FIELD("project", HUB_STRING),
	OBJECT("source", source_fields),
	OBJECTS("sources", source_fields),
	OBJECT("sourceHydrator", hydrator_fields),
	{.name = "destination",
	 .type = HUB_OBJECT,
	 .flags = HUB_REQUIRED,
	 .fields = destination_fields},
	OBJECT("syncPolicy", sync_policy_fields),
	OBJECTS("ignoreDifferences", ignore_fields),
	OBJECTS("info", name_value_fields),
	FIELD("revisionHistoryLimit", HUB_INT),
	{0},
};

static const struct hub_field application_fields[] = {
	OBJECT_FIELDS,
	{.name = "spec",
	 .type = HUB_OBJECT,
	 .flags = HUB_REQUIRED,
	 .fields = application_spec_fields},
	FIELD("operation", HUB_ANY_MAP),
	FIELD("status", HUB_ANY_MAP),
	{0},
};

/* ---- ApplicationSet ---- */

static const struct hub_field template_metadata_fields[] = {
	FIELD("name", HUB_STRING),	  FIELD("namespace", HUB_STRING),
	FIELD("labels", HUB_STRING_MAP),  FIELD("annotations", HUB_STRING_MAP),
	FIELD("finalizers", HUB_STRINGS), {0},
};

static const struct hub_field template_fields[] = {
	{.name = "metadata",
	 .type = HUB_OBJECT,
	 .flags = HUB_TEMPLATED,
	 .fields = template_metadata_fields},
	{.name = "spec",
	 .type = HUB_OBJECT,
	 .flags = HUB_TEMPLATED,
	 .fields = application_spec_fields},
	{0},
};

static const struct hub_field list_fields[] = {
	FIELD("elements", HUB_ANY_LIST),
	FIELD("elementsYaml", HUB_STRING),
	OBJECT("template", template_fields),
	{0},
};

static const struct hub_field clusters_fields[] = {
	OBJECT("selector", selector_fields),
	FIELD("values", HUB_STRING_MAP),
	FIELD("flatList", HUB_BOOL),
	OBJECT("template", template_fields),
	{0},
};

static const struct hub_field git_path_fields[] = {
	MUST("path", HUB_STRING),
	FIELD("exclude", HUB_BOOL),
	{0},
};

static const struct hub_field git_fields[] = {
	MUST("repoURL", HUB_STRING),
	FIELD("revision", HUB_STRING),
	OBJECTS("directories", git_path_fields),
	OBJECTS("files", git_path_fields),
	FIELD("pathParamPrefix", HUB_STRING),
	FIELD("values", HUB_STRING_MAP),
	FIELD("requeueAfterSeconds", HUB_INT),
	OBJECT("template", template_fields),
	{0},
};

static const struct hub_field generator_fields[11];

static const struct hub_field matrix_fields[] = {
	OBJECTS("generators", generator_fields),
	OBJECT("template", template_fields),
	{0},
};

static const struct hub_field merge_fields[] = {
	OBJECTS("generators", generator_fields),
	MUST("mergeKeys", HUB_STRINGS),
	OBJECT("template", template_fields),
	{0},
};

static const struct hub_field generator_fields[11] = {
	OBJECT("list", list_fields),
	OBJECT("clusters", clusters_fields),
	OBJECT("git", git_fields),
	OBJECT("matrix", matrix_fields),
	OBJECT("merge", merge_fields),
	FIELD("scmProvider", HUB_ANY_MAP),
	FIELD("pullRequest", HUB_ANY_MAP),
	FIELD("clusterDecisionResource", HUB_ANY_MAP),
	FIELD("plugin", HUB_ANY_MAP),
	OBJECT("selector", selector_fields),
	{0},
};

static const struct hub_field step_fields[] = {
	OBJECTS("matchExpressions", expression_fields),
	FIELD("maxUpdate", HUB_INT_OR_STRING),
	{0},
};

static const struct hub_field rolling_sync_fields[] = {
	OBJECTS("steps", step_fields),
	{0},
};

static const struct hub_field strategy_fields[] = {
	ONE_OF("type", "AllAtOnce,RollingSync"),
	OBJECT("rollingSync", rolling_sync_fields),
	FIELD("deletionOrder", HUB_STRING),
	{0},
};

static const struct hub_field set_sync_policy_fields[] = {
	ONE_OF("applicationsSync", "create-only,create-update,create-delete,sync"),
	FIELD("preserveResourcesOnDeletion", HUB_BOOL),
	{0},
};

static const struct hub_field preserved_fields[] = {
	FIELD("annotations", HUB_STRINGS),
	FIELD("labels", HUB_STRINGS),
	{0},
};

static const struct hub_field set_ignore_fields[] = {
	FIELD("name", HUB_STRING),
	FIELD("jsonPointers", HUB_STRINGS),
	FIELD("jqPathExpressions", HUB_STRINGS),
	{0},
};

static const struct hub_field appset_spec_fields[] = {
	{.name = "generators",
	 .type = HUB_OBJECTS,
	 .flags = HUB_REQUIRED,
	 .fields = generator_fields},
	{.name = "template", .type = HUB_OBJECT, .flags = HUB_REQUIRED, .fields = template_fields},
	FIELD("templatePatch", HUB_STRING),
	FIELD("goTemplate", HUB_BOOL),
	FIELD("goTemplateOptions", HUB_STRINGS),
	FIELD("applyNestedSelectors", HUB_BOOL),
	OBJECT("strategy", strategy_fields),
	OBJECT("syncPolicy", set_sync_policy_fields),
	OBJECT("preservedFields", preserved_fields),
	OBJECTS("ignoreApplicationDifferences", set_ignore_fields),
	{0},
};

static const struct hub_field appset_fields[] = {
	OBJECT_FIELDS,
	{.name = "spec", .type = HUB_OBJECT, .flags = HUB_REQUIRED, .fields = appset_spec_fields},
	FIELD("status", HUB_ANY_MAP),
	{0},
};

/* ---- AppProject ---- */

static const struct hub_field project_kind_fields[] = {
	FIELD("group", HUB_STRING),
	FIELD("kind", HUB_STRING),
	FIELD("name", HUB_STRING),
	{0},
};

static const struct hub_field jwt_fields[] = {
	FIELD("iat", HUB_INT),
	FIELD("exp", HUB_INT),
	FIELD("id", HUB_STRING),
	{0},
};

static const struct hub_field role_fields[] = {
	MUST("name", HUB_STRING),	  FIELD("description", HUB_STRING),
	FIELD("policies", HUB_STRINGS),	  FIELD("groups", HUB_STRINGS),
	OBJECTS("jwtTokens", jwt_fields), {0},
};

static const struct hub_field window_fields[] = {
	ONE_OF("kind", "allow,deny"),	  FIELD("schedule", HUB_STRING),
	FIELD("duration", HUB_DURATION),  FIELD("applications", HUB_STRINGS),
	FIELD("namespaces", HUB_STRINGS), FIELD("clusters", HUB_STRINGS),
	FIELD("manualSync", HUB_BOOL),	  FIELD("timeZone", HUB_STRING),
	FIELD("andOperator", HUB_BOOL),	  FIELD("description", HUB_STRING),
	FIELD("syncOverrun", HUB_BOOL),	  {0},
};

static const struct hub_field orphaned_fields[] = {
	FIELD("warn", HUB_BOOL),
	OBJECTS("ignore", project_kind_fields),
	{0},
};

static const struct hub_field signature_key_fields[] = {
	MUST("keyID", HUB_STRING),
	{0},
};

static const struct hub_field service_account_fields[] = {
	FIELD("server", HUB_STRING),
	FIELD("namespace", HUB_STRING),
	FIELD("defaultServiceAccount", HUB_STRING),
	{0},
};

static const struct hub_field project_spec_fields[] = {
	FIELD("description", HUB_STRING),
	FIELD("sourceRepos", HUB_STRINGS),
	OBJECTS("destinations", destination_fields),
	OBJECTS("clusterResourceWhitelist", project_kind_fields),
	OBJECTS("clusterResourceBlacklist", project_kind_fields),
	OBJECTS("namespaceResourceWhitelist", project_kind_fields),
	OBJECTS("namespaceResourceBlacklist", project_kind_fields),
	FIELD("sourceNamespaces", HUB_STRINGS),
	OBJECTS("roles", role_fields),
	OBJECTS("syncWindows", window_fields),
	OBJECT("orphanedResources", orphaned_fields),
	OBJECTS("signatureKeys", signature_key_fields),
	FIELD("sourceIntegrity", HUB_ANY_MAP),
	FIELD("permitOnlyProjectScopedClusters", HUB_BOOL),
	OBJECTS("destinationServiceAccounts", service_account_fields),
	{0},
};

static const struct hub_field project_fields[] = {
	OBJECT_FIELDS,
	{.name = "spec", .type = HUB_OBJECT, .flags = HUB_REQUIRED, .fields = project_spec_fields},
	FIELD("status", HUB_ANY_MAP),
	{0},
};

/* ---- Cluster, RolloutPolicy ---- */

static const struct hub_field cluster_spec_fields[] = {
	FIELD("server", HUB_STRING),
	FIELD("project", HUB_STRING),
	{0},
};

static const struct hub_field cluster_fields[] = {
	OBJECT_FIELDS,
	OBJECT("spec", cluster_spec_fields),
	FIELD("status", HUB_ANY_MAP),
	{0},
};

static const struct hub_field gate_approval_fields[] = {
	FIELD("count", HUB_INT),
	FIELD("approvers", HUB_STRINGS),
	{0},
};

static const struct hub_field gate_window_fields[] = {
	ONE_OF("kind", "allow,deny"),
	MUST("schedule", HUB_STRING),
	MUST("duration", HUB_DURATION),
	FIELD("timeZone", HUB_STRING),
	{0},
};

static const struct hub_field gate_json_fields[] = {
	MUST("pointer", HUB_STRING),
	FIELD("equals", HUB_ANY),
	{0},
};

static const struct hub_field secret_ref_fields[] = {MUST("name", HUB_STRING), {0}};

static const struct hub_field gate_auth_fields[] = {
	{.name = "secretRef",
	 .type = HUB_OBJECT,
	 .flags = HUB_REQUIRED,
	 .fields = secret_ref_fields},
	{0},
};

#define PROBE_FIELDS                                                                               \
	FIELD("timeout", HUB_DURATION), FIELD("interval", HUB_DURATION),                           \
		FIELD("successes", HUB_INT), FIELD("failureLimit", HUB_INT),                       \
		OBJECT("auth", gate_auth_fields)

static const struct hub_field gate_http_fields[] = {
	MUST("url", HUB_STRING),
	ONE_OF("method", "GET,HEAD,POST"),
	FIELD("headers", HUB_STRING_MAP),
	FIELD("body", HUB_STRING),
	FIELD("expectedStatus", HUB_ANY),
	OBJECT("json", gate_json_fields),
	PROBE_FIELDS,
	{0},
};

static const struct hub_field gate_job_fields[] = {
	MUST("cluster", HUB_STRING),
	FIELD("namespace", HUB_STRING),
	FIELD("template", HUB_ANY_MAP),
	FIELD("timeout", HUB_DURATION),
	{0},
};

static const struct hub_field gate_metrics_fields[] = {
	MUST("address", HUB_STRING),
	MUST("query", HUB_STRING),
	MUST("condition", HUB_STRING),
	PROBE_FIELDS,
	{0},
};

static const struct hub_field gate_fields[] = {
	FIELD("name", HUB_STRING),
	FIELD("soak", HUB_DURATION),
	OBJECT("approval", gate_approval_fields),
	OBJECT("window", gate_window_fields),
	OBJECT("http", gate_http_fields),
	OBJECT("job", gate_job_fields),
	OBJECT("metrics", gate_metrics_fields),
	{0},
};

static const struct hub_field wave_clusters_fields[] = {
	FIELD("matchLabels", HUB_STRING_MAP),
	OBJECTS("matchExpressions", expression_fields),
	FIELD("names", HUB_STRINGS),
	{0},
};

static const struct hub_field wave_fields[] = {
	MUST("name", HUB_STRING),
	OBJECT("clusters", wave_clusters_fields),
	OBJECTS("before", gate_fields),
	OBJECTS("after", gate_fields),
	FIELD("maxConcurrent", HUB_INT_OR_STRING),
	FIELD("maxFailures", HUB_INT_OR_STRING),
	FIELD("progressDeadline", HUB_DURATION),
	{0},
};

static const struct hub_field policy_spec_fields[] = {
	OBJECT("selector", selector_fields),
	{.name = "waves", .type = HUB_OBJECTS, .flags = HUB_REQUIRED, .fields = wave_fields},
	ONE_OF("unmatched", "error,last"),
	ONE_OF("onFailure", "rollback,pause,continue"),
	ONE_OF("offline", "skip,wait"),
	ONE_OF("supersede", "now,wave,finished"),
	FIELD("startJitter", HUB_DURATION),
	FIELD("startsPerMinute", HUB_INT),
	{0},
};

static const struct hub_field policy_fields[] = {
	OBJECT_FIELDS,
	{.name = "spec", .type = HUB_OBJECT, .flags = HUB_REQUIRED, .fields = policy_spec_fields},
	FIELD("status", HUB_ANY_MAP),
	{0},
};

/* ---- Secret ---- */

static const struct hub_field secret_fields[] = {
	OBJECT_FIELDS,
	FIELD("type", HUB_STRING),
	FIELD("data", HUB_STRING_MAP),
	FIELD("stringData", HUB_STRING_MAP),
	FIELD("immutable", HUB_BOOL),
	{0},
};

/* ---- ConfigMap ---- */

static const struct hub_field config_map_fields[] = {
	OBJECT_FIELDS,
	FIELD("data", HUB_STRING_MAP),
	FIELD("binaryData", HUB_STRING_MAP),
	FIELD("immutable", HUB_BOOL),
	{0},
};

const struct hub_field *hub_schema(enum hub_kind kind)
{
	static const struct hub_field *const tables[HUB_N_KINDS] = {
		[HUB_APPLICATION] = application_fields, [HUB_APPLICATION_SET] = appset_fields,
		[HUB_APP_PROJECT] = project_fields,	[HUB_CLUSTER] = cluster_fields,
		[HUB_ROLLOUT_POLICY] = policy_fields,	[HUB_SECRET] = secret_fields,
		[HUB_CONFIG_MAP] = config_map_fields,
	};

	return kind > HUB_KIND_NONE && kind < HUB_N_KINDS ? tables[kind] : NULL;
}
