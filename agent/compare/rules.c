/* What the schema alone does not tell: defaults inside of atomic values, which have no owner of
 * their own; fields that only the server writes; lists whose order means something, or nothing. */
#include "agent/compare/walk.h"

static const struct {
	const char *type, *field;
	enum agent_rule rule;
	const char *value;
} rows[] = {
	/* https://github.com/kubernetes/kubernetes/tree/master/pkg/apis, defaults.go of each */
	{"core.v1.ObjectFieldSelector", "apiVersion", AGENT_RULE_DEFAULT, "v1"},
	{"core.v1.ResourceFieldSelector", "divisor", AGENT_RULE_DEFAULT, "0"},
	{"core.v1.EndpointPort", "protocol", AGENT_RULE_DEFAULT, "TCP"},
	{"core.v1.ServiceAccountTokenProjection", "expirationSeconds", AGENT_RULE_DEFAULT, "3600"},
	{"core.v1.PersistentVolumeClaimSpec", "volumeMode", AGENT_RULE_DEFAULT, "Filesystem"},
	{"discovery.v1.EndpointPort", "protocol", AGENT_RULE_DEFAULT, "TCP"},
	{"networking.v1.NetworkPolicyPort", "protocol", AGENT_RULE_DEFAULT, "TCP"},
	{"rbac.v1.RoleRef", "apiGroup", AGENT_RULE_DEFAULT, "rbac.authorization.k8s.io"},
	{"rbac.v1.Subject", "apiGroup", AGENT_RULE_DEFAULT, "rbac.authorization.k8s.io"},
	{"admissionregistration.v1.RuleWithOperations", "scope", AGENT_RULE_DEFAULT, "*"},
	{"admissionregistration.v1.NamedRuleWithOperations", "scope", AGENT_RULE_DEFAULT, "*"},
	{"batch.v1.PodFailurePolicyOnPodConditionsPattern", "status", AGENT_RULE_DEFAULT, "True"},
	/* a claim inside of a StatefulSet: servers write these three or leave them out */
	{"core.v1.PersistentVolumeClaim", "apiVersion", AGENT_RULE_SERVER, NULL},
	{"core.v1.PersistentVolumeClaim", "kind", AGENT_RULE_SERVER, NULL},
	{"core.v1.PersistentVolumeClaim", "status", AGENT_RULE_SERVER, NULL},
	{"core.v1.ServiceSpec", "clusterIP", AGENT_RULE_ALLOCATED, NULL},
	{"core.v1.ServiceSpec", "healthCheckNodePort", AGENT_RULE_ALLOCATED, NULL},
	{"core.v1.ServicePort", "nodePort", AGENT_RULE_ALLOCATED, NULL},
	{"core.v1.PersistentVolumeSpec", "claimRef", AGENT_RULE_GRANULAR, NULL},
};

enum agent_rule agent_rule_of(const struct cox_schema_type *type, struct cox_str field,
			      const char **ret_value)
{
	if (type->kind != COX_SCHEMA_STRUCT || !type->name)
		return AGENT_RULE_NONE;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++)
		if (cox_str_is(field, rows[i].field) && strcmp(type->name, rows[i].type) == 0) {
			*ret_value = rows[i].value;
			return rows[i].rule;
		}
	return AGENT_RULE_NONE;
}

static bool is_one_of(struct cox_str text, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (cox_str_is(text, names[i]))
			return true;
	return false;
}

bool agent_is_unordered(const struct cox_schema_type *item)
{
	static const char *const names[] = {"core.v1.EndpointSubset", "core.v1.EndpointAddress",
					    "core.v1.EndpointPort"};

	return item->name && is_one_of(cox_str(item->name), names, COX_ARRAY_LEN(names));
}

/* One starts after the other; one may refer to those before it. */
bool agent_is_sequence(const struct cox_schema_type *list, struct cox_str field)
{
	return list->item->name && (cox_str_is(field, "initContainers") ||
				    strcmp(list->item->name, "core.v1.EnvVar") == 0);
}

bool agent_is_map_name(struct cox_str field)
{
	static const char *const names[] = {"labels",	    "annotations", "matchLabels",
					    "nodeSelector", "limits",	   "requests"};

	return is_one_of(field, names, COX_ARRAY_LEN(names));
}

bool agent_is_omitted_in_schema(struct cox_str field)
{
	static const char *const names[] = {
		"description",
		"type",
		"format",
		"title",
		"pattern",
		"nullable",
		"uniqueItems",
		"exclusiveMaximum",
		"exclusiveMinimum",
		"x-kubernetes-embedded-resource",
		"x-kubernetes-int-or-string",
	};

	return is_one_of(field, names, COX_ARRAY_LEN(names));
}

/* Quantities of `from` that `to` has not got. */
static void fill_map(struct cox_doc *doc, struct cox_node *item, const char *to, const char *from)
{
	const struct cox_node *given = cox_node_get(item, from);

	if (!cox_node_len(given))
		return;
	struct cox_node *map = cox_map_edit_map(doc, item, to);

	for (size_t i = 0; i < cox_node_len(given); i++)
		if (!cox_node_get_str(map, cox_node_key(given, i)))
			cox_map_put_str(doc, map, cox_node_key(given, i), cox_node_at(given, i));
}

struct cox_doc *agent_fill(const struct cox_schema_type *type, const struct cox_node *desired)
{
	if (!type->name || strcmp(type->name, "core.v1.LimitRangeItem") != 0 ||
	    !cox_str_is(cox_node_str(cox_node_get(desired, "type")), "Container"))
		return NULL;
	struct cox_doc *doc = cox_doc_new("limits");
	struct cox_node *item = cox_doc_clone(doc, desired);

	fill_map(doc, item, "default", "max");
	fill_map(doc, item, "defaultRequest", "default");
	fill_map(doc, item, "defaultRequest", "min");
	cox_doc_set_root(doc, item);
	return cox_doc_seal(doc);
}
