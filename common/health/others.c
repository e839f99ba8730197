/* Health of what doesn't run containers itself. */
#include "common/doc/json.h"
#include "common/health/rules.h"

static bool has_load_balancer(const struct cox_node *object)
{
	return cox_node_len(COX_GET(object, "status", "loadBalancer", "ingress")) > 0;
}

void cox_health_service(const struct cox_node *object, struct cox_health *ret)
{
	struct cox_str type = cox_node_str(COX_GET(object, "spec", "type"));

	if (cox_str_is(type, "LoadBalancer") && !has_load_balancer(object))
		cox_health_say(ret, COX_HEALTH_PROGRESSING,
			       "waiting for a load balancer's address");
	else
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
}

void cox_health_ingress(const struct cox_node *object, struct cox_health *ret)
{
	if (has_load_balancer(object))
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
	else
		cox_health_say(ret, COX_HEALTH_PROGRESSING,
			       "waiting for a load balancer's address");
}

void cox_health_volume_claim(const struct cox_node *object, struct cox_health *ret)
{
	struct cox_str phase = cox_node_str(COX_GET(object, "status", "phase"));

	if (cox_str_is(phase, "Bound"))
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
	else if (cox_str_is(phase, "Pending"))
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "waiting to be bound");
	else if (cox_str_is(phase, "Lost"))
		cox_health_say(ret, COX_HEALTH_DEGRADED, "its volume is lost");
	else
		cox_health_say(ret, COX_HEALTH_UNKNOWN, "%s", "");
}

/* ---- autoscalers ---- */

static bool is_failing(const struct cox_node *condition)
{
	static const struct {
		const char *type, *reason;
	} failures[] = {
		{"AbleToScale", "FailedGetScale"},
		{"AbleToScale", "FailedUpdateScale"},
		{"ScalingActive", "FailedGetResourceMetric"},
		{"ScalingActive", "FailedGetObjectMetric"},
		{"ScalingActive", "FailedGetPodsMetric"},
		{"ScalingActive", "FailedGetExternalMetric"},
		{"ScalingActive", "FailedComputeMetricsReplicas"},
		{"ScalingActive", "InvalidSelector"},
	};

	for (size_t i = 0; i < COX_ARRAY_LEN(failures); i++)
		if (cox_str_is(cox_health_text(condition, "type"), failures[i].type) &&
		    cox_str_is(cox_health_text(condition, "reason"), failures[i].reason))
			return true;
	return false;
}

static bool is_scaling(const struct cox_node *condition)
{
	struct cox_str type = cox_health_text(condition, "type");

	return (cox_str_is(type, "AbleToScale") || cox_str_is(type, "ScalingLimited")) &&
	       cox_health_condition_is(condition, "True");
}

/* A failure anywhere counts before success anywhere. */
static void judge_autoscaler(const struct cox_node *conditions, struct cox_health *ret)
{
	for (size_t i = 0; i < cox_node_len(conditions); i++) {
		const struct cox_node *c = cox_node_at(conditions, i);

		if (is_failing(c)) {
			cox_health_quote(ret, COX_HEALTH_DEGRADED, cox_health_text(c, "message"));
			return;
		}
	}
	for (size_t i = 0; i < cox_node_len(conditions); i++) {
		const struct cox_node *c = cox_node_at(conditions, i);

		if (is_scaling(c)) {
			cox_health_quote(ret, COX_HEALTH_HEALTHY, cox_health_text(c, "message"));
			return;
		}
	}
	cox_health_say(ret, COX_HEALTH_PROGRESSING, "Waiting to Autoscale");
}

void cox_health_hpa(const struct cox_node *object, struct cox_health *ret)
{
	judge_autoscaler(COX_GET(object, "status", "conditions"), ret);
}

/* autoscaling/v1 has no conditions of its own: the server keeps them in an annotation. */
void cox_health_hpa_v1(const struct cox_node *object, struct cox_health *ret)
{
	struct cox_str text =
		cox_meta_annotation(object, "autoscaling.alpha.kubernetes.io/conditions");
	_cleanup_doc_ struct cox_doc *conditions = NULL;

	if (text.len && cox_json_read(text, "conditions", &conditions, NULL) < 0) {
		cox_health_say(ret, COX_HEALTH_UNKNOWN, "its conditions annotation is not JSON");
		return;
	}
	judge_autoscaler(conditions ? cox_doc_root(conditions) : NULL, ret);
}

/* ---- the rest ---- */

void cox_health_api_service(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *available = cox_health_condition(object, "Available");
	bool good = cox_health_condition_is(available, "True");

	if (!available)
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "waiting to be processed");
	else
		cox_health_say(ret, good ? COX_HEALTH_HEALTHY : COX_HEALTH_PROGRESSING,
			       "%.*s: %.*s", COX_STR_ARG(cox_health_text(available, "reason")),
			       COX_STR_ARG(cox_health_text(available, "message")));
}

void cox_health_disruption_budget(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *list = COX_GET(object, "status", "conditions");

	cox_health_say(ret, COX_HEALTH_PROGRESSING, "waiting for the controller");
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *c = cox_node_at(list, i);
		struct cox_str reason = cox_health_text(c, "reason");

		if (cox_health_condition_is(c, "False") &&
		    !cox_str_is(reason, "InsufficientPods")) {
			cox_health_quote(ret, COX_HEALTH_DEGRADED, reason);
			return;
		}
		cox_health_quote(ret, COX_HEALTH_HEALTHY, reason);
	}
}

/* A definition is "Installing" for a moment after its names were accepted: that is progress. */
void cox_health_definition(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *terminating = cox_health_condition(object, "Terminating");
	const struct cox_node *names = cox_health_condition(object, "NamesAccepted");
	const struct cox_node *established = cox_health_condition(object, "Established");
	const struct cox_node *violated = cox_health_condition(object, "NonStructuralSchema");
	bool pending =
		!established || cox_str_is(cox_health_text(established, "reason"), "Installing");

	if (cox_health_condition_is(terminating, "True"))
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "terminating");
	else if (cox_health_condition_is(names, "False"))
		cox_health_say(ret, COX_HEALTH_DEGRADED, "its names were not accepted: %.*s",
			       COX_STR_ARG(cox_health_text(names, "message")));
	else if (cox_health_condition_is(violated, "True"))
		cox_health_say(ret, COX_HEALTH_DEGRADED, "its schema is not structural: %.*s",
			       COX_STR_ARG(cox_health_text(violated, "message")));
	else if (cox_health_condition_is(established, "True"))
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
	else
		cox_health_say(ret, pending ? COX_HEALTH_PROGRESSING : COX_HEALTH_DEGRADED,
			       "not established%s", pending ? " yet" : "");
}

void cox_health_application_set(const struct cox_node *object, struct cox_health *ret)
{
	static const struct {
		const char *type, *status;
		enum cox_health_status health;
	} rules[] = {
		{"ErrorOccurred", "True", COX_HEALTH_DEGRADED},
		{"ResourcesUpToDate", "False", COX_HEALTH_DEGRADED},
		{"RolloutProgressing", "True", COX_HEALTH_PROGRESSING},
		{"ResourcesUpToDate", "True", COX_HEALTH_HEALTHY},
	};

	for (size_t i = 0; i < COX_ARRAY_LEN(rules); i++) {
		const struct cox_node *c = cox_health_condition(object, rules[i].type);

		if (cox_health_condition_is(c, rules[i].status)) {
			cox_health_quote(ret, rules[i].health, cox_health_text(c, "message"));
			return;
		}
	}
	cox_health_say(ret, COX_HEALTH_PROGRESSING, "waiting for the controller");
}
