/* Health of kinds whose rule is more than a row of table.c. */
#include "common/health/rules.h"

#include <stdlib.h>

static void wait_observed(struct cox_health *ret)
{
	cox_health_say(ret, COX_HEALTH_PROGRESSING,
		       "waiting for the controller to see the newest specification");
}

/* ---- Argo ---- */

/* The number of a text, or -1. */
static int64_t text_number(struct cox_str text)
{
	char *end;
	int64_t n;

	if (!text.len)
		return -1;
	n = strtoll(text.ptr, &end, 10);
	return end == text.ptr + text.len ? n : -1;
}

/* status.observedGeneration is a string; of the first versions it was a hash. */
static bool rollout_is_observed(const struct cox_node *object)
{
	const struct cox_node *status = cox_node_get(object, "status");
	int64_t seen = text_number(cox_node_text(cox_node_get(status, "observedGeneration")));
	struct cox_str workload =
		cox_meta_annotation(object, "rollout.argoproj.io/workload-generation");

	if (!cox_node_is(status, COX_MAP))
		return false;
	if (seen >= 0 && seen < cox_meta_generation(object))
		return false;
	if (!COX_GET(object, "spec", "workloadRef") || !workload.len)
		return true;
	return cox_str_eq(workload,
			  cox_node_text(cox_node_get(status, "workloadObservedGeneration")));
}

void cox_health_rollout(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *status = cox_node_get(object, "status");
	struct cox_str phase = cox_health_text(status, "phase");
	struct cox_str message = cox_health_text(status, "message");
	const struct cox_node *invalid = cox_health_condition(object, "InvalidSpec");
	bool paused = cox_node_bool(COX_GET(object, "spec", "paused"), false) ||
		      cox_node_len(cox_node_get(status, "pauseConditions")) > 0;
	enum cox_health_status health = cox_health_parse(phase);

	if (!rollout_is_observed(object))
		wait_observed(ret);
	else if (cox_str_is(phase, "Paused"))
		cox_health_quote(ret, COX_HEALTH_SUSPENDED, message);
	else if (health != COX_HEALTH_NONE)
		cox_health_quote(ret, health, message);
	else if (phase.len)
		cox_health_quote(ret, COX_HEALTH_UNKNOWN, phase);
	else if (cox_health_condition_is(invalid, "True"))
		cox_health_quote(ret, COX_HEALTH_DEGRADED, cox_health_text(invalid, "message"));
	else if (paused)
		cox_health_say(ret, COX_HEALTH_SUSPENDED, "paused");
	else
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "waiting for the controller");
}

/* Only told, never counted: health.h says why. */
void cox_health_child_application(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *health = COX_GET(object, "status", "health");

	ret->guess = cox_health_parse(cox_health_text(health, "status"));
	if (ret->guess != COX_HEALTH_NONE)
		cox_health_say(ret, COX_HEALTH_NONE, "not judged: its own health is %s",
			       cox_health_name(ret->guess));
}

/* ---- Istio ---- */

void cox_health_istio(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *list = COX_GET(object, "status", "validationMessages");

	for (size_t i = 0; cox_node_is(list, COX_LIST) && i < cox_node_len(list); i++) {
		const struct cox_node *m = cox_node_at(list, i);
		struct cox_str name = cox_health_text(cox_node_get(m, "type"), "name");

		if (!cox_str_is(cox_health_text(m, "level"), "ERROR"))
			continue;
		ret->guess = COX_HEALTH_DEGRADED;
		cox_health_say(ret, COX_HEALTH_NONE, "not judged: its analysis has an error: %.*s",
			       COX_STR_ARG(name));
		return;
	}
}

/* ---- Gateway API ---- */

static bool is_behind(const struct cox_node *condition, const struct cox_node *object)
{
	return cox_node_int(cox_node_get(condition, "observedGeneration"), INT64_MAX) <
	       cox_meta_generation(object);
}

/* One parent's answer; keeps the worst. */
static void judge_parent(const struct cox_node *object, const struct cox_node *parent,
			 struct cox_health *worst)
{
	const struct cox_node *list = cox_node_get(parent, "conditions");
	struct cox_health h = {.status = COX_HEALTH_PROGRESSING};

	cox_health_say(&h, COX_HEALTH_PROGRESSING, "waiting for a gateway to accept it");
	for (size_t i = 0; cox_node_is(list, COX_LIST) && i < cox_node_len(list); i++) {
		const struct cox_node *c = cox_node_at(list, i);
		struct cox_str type = cox_health_text(c, "type");
		struct cox_str reason = cox_health_text(c, "reason");
		bool accepted = cox_str_is(type, "Accepted");

		if (!accepted && !cox_str_is(type, "ResolvedRefs"))
			continue;
		if (is_behind(c, object)) {
			wait_observed(&h);
			break;
		}
		if (cox_health_condition_is(c, "False")) {
			cox_health_quote(&h,
					 cox_str_is(reason, "Pending") ? COX_HEALTH_PROGRESSING
								       : COX_HEALTH_DEGRADED,
					 cox_health_text(c, "message"));
			break;
		}
		if (accepted && cox_health_condition_is(c, "True"))
			cox_health_say(&h, COX_HEALTH_HEALTHY, "%s", "");
	}
	if (h.status > worst->status)
		*worst = h;
}

/* Every parent must have accepted it. */
void cox_health_route(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *parents = COX_GET(object, "status", "parents");

	if (!cox_node_is(parents, COX_LIST) || cox_node_len(parents) == 0)
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "waiting for a gateway to accept it");
	else
		for (size_t i = 0; i < cox_node_len(parents); i++)
			judge_parent(object, cox_node_at(parents, i), ret);
}

/* ---- databases and disks ---- */

/* Database, Publication, Subscription of CloudNativePG. */
void cox_health_cnpg_object(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *status = cox_node_get(object, "status");
	const struct cox_node *applied = cox_node_get(status, "applied");

	if (cox_node_int(cox_node_get(status, "observedGeneration"), INT64_MAX) <
	    cox_meta_generation(object))
		wait_observed(ret);
	else if (!cox_node_is(applied, COX_BOOL))
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "waiting for the controller");
	else if (cox_node_bool(applied, false))
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
	else
		cox_health_quote(ret, COX_HEALTH_DEGRADED, cox_health_text(status, "message"));
}

void cox_health_snapshot(const struct cox_node *object, struct cox_health *ret)
{
	const struct cox_node *status = cox_node_get(object, "status");
	const struct cox_node *error = cox_node_get(status, "error");

	if (cox_node_bool(cox_node_get(status, "readyToUse"), false))
		cox_health_say(ret, COX_HEALTH_HEALTHY, "%s", "");
	else if (cox_node_is(error, COX_MAP))
		cox_health_quote(ret, COX_HEALTH_DEGRADED, cox_health_text(error, "message"));
	else
		cox_health_say(ret, COX_HEALTH_PROGRESSING, "waiting for the snapshot");
}
