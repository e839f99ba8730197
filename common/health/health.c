#include "common/health/health.h"

#include "common/health/rules.h"

#include <stdarg.h>
#include <stdio.h>

#define HOOK_FINALIZER	   "argocd.argoproj.io/hook-finalizer"
#define OUR_HOOK_FINALIZER "coxswain.dev/hook-finalizer"
#define IGNORE_HEALTHCHECK "argocd.argoproj.io/ignore-healthcheck"
#define CAUSES_MAX	   3

static const char *const names[] = {
	[COX_HEALTH_NONE] = "",
	[COX_HEALTH_HEALTHY] = "Healthy",
	[COX_HEALTH_SUSPENDED] = "Suspended",
	[COX_HEALTH_PROGRESSING] = "Progressing",
	[COX_HEALTH_MISSING] = "Missing",
	[COX_HEALTH_DEGRADED] = "Degraded",
	[COX_HEALTH_UNKNOWN] = "Unknown",
};

/* Which rule judges which kind. `versions` are those that the rule knows, separated by spaces. */
static const struct row {
	const char *group, *kind, *versions;
	cox_health_rule *rule;
} rows[] = {
	{"apps", "Deployment", "v1", cox_health_deployment},
	{"apps", "ReplicaSet", "v1", cox_health_replica_set},
	{"apps", "StatefulSet", "v1", cox_health_stateful_set},
	{"apps", "DaemonSet", "v1", cox_health_daemon_set},
	{"", "Pod", "v1", cox_health_pod},
	{"", "Service", "v1", cox_health_service},
	{"", "PersistentVolumeClaim", "v1", cox_health_volume_claim},
	{"batch", "Job", "v1", cox_health_job},
	{"batch", "CronJob", "v1 v1beta1", cox_health_cron_job},
	{"networking.k8s.io", "Ingress", "v1 v1beta1", cox_health_ingress},
	{"extensions", "Ingress", "v1beta1", cox_health_ingress},
	{"autoscaling", "HorizontalPodAutoscaler", "v1", cox_health_hpa_v1},
	{"autoscaling", "HorizontalPodAutoscaler", "v2 v2beta1 v2beta2", cox_health_hpa},
	{"policy", "PodDisruptionBudget", "v1 v1beta1", cox_health_disruption_budget},
	{"apiregistration.k8s.io", "APIService", "v1 v1beta1", cox_health_api_service},
	{"apiextensions.k8s.io", "CustomResourceDefinition", "v1 v1beta1", cox_health_definition},
	{"argoproj.io", "Workflow", "v1alpha1", cox_health_workflow},
	{"argoproj.io", "ApplicationSet", "v1alpha1", cox_health_application_set},
};

const char *cox_health_name(enum cox_health_status status)
{
	return (size_t)status < COX_ARRAY_LEN(names) ? names[status] : "Unknown";
}

enum cox_health_status cox_health_parse(struct cox_str name)
{
	for (size_t i = 1; i < COX_ARRAY_LEN(names); i++)
		if (cox_str_is(name, names[i]))
			return (enum cox_health_status)i;
	return COX_HEALTH_NONE;
}

enum cox_health_status cox_health_worse(enum cox_health_status a, enum cox_health_status b)
{
	return a > b ? a : b;
}

/* ---- words of the rules ---- */

/* Cuts back to the last whole character. */
static void cut_to_utf8(char *text)
{
	size_t bad;

	if (!cox_utf8_valid(cox_str(text), &bad))
		text[bad] = '\0';
}

void cox_health_say(struct cox_health *h, enum cox_health_status status, const char *format, ...)
{
	va_list args;

	h->status = status;
	va_start(args, format);
	vsnprintf(h->message, sizeof(h->message), format, args);
	va_end(args);
	cut_to_utf8(h->message);
}

void cox_health_quote(struct cox_health *h, enum cox_health_status status, struct cox_str message)
{
	cox_health_say(h, status, "%.*s", COX_STR_ARG(message));
}

const struct cox_node *cox_health_condition(const struct cox_node *object, const char *type)
{
	const struct cox_node *list = COX_GET(object, "status", "conditions");

	for (size_t i = 0; cox_node_is(list, COX_LIST) && i < cox_node_len(list); i++) {
		const struct cox_node *condition = cox_node_at(list, i);

		if (cox_str_is(cox_health_text(condition, "type"), type))
			return condition;
	}
	return NULL;
}

bool cox_health_condition_is(const struct cox_node *condition, const char *status)
{
	return cox_str_is(cox_health_text(condition, "status"), status);
}

struct cox_str cox_health_text(const struct cox_node *node, const char *key)
{
	return cox_node_str(cox_node_get(node, key));
}

/* ---- one object ---- */

static bool has_word(const char *words, struct cox_str word)
{
	struct cox_str rest = cox_str(words), part;

	while (cox_str_split(&rest, ' ', &part))
		if (cox_str_eq(part, word))
			return true;
	return false;
}

/* The row for the object; *ret_known tells whether the kind has a rule in any version. */
static const struct row *find_row(struct cox_str group, struct cox_str kind, struct cox_str version,
				  bool *ret_known)
{
	*ret_known = false;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		if (!cox_str_is(group, rows[i].group) || !cox_str_is(kind, rows[i].kind))
			continue;
		*ret_known = true;
		if (has_word(rows[i].versions, version))
			return &rows[i];
	}
	return NULL;
}

bool cox_health_has_rule(struct cox_str group, struct cox_str kind)
{
	bool known;

	find_row(group, kind, COX_STR(""), &known);
	return known || cox_health_table_has(group, kind);
}

bool cox_health_is_going(const struct cox_node *object, struct cox_health *h)
{
	if (!object) {
		h->status = COX_HEALTH_MISSING;
		return true;
	}
	if (!cox_meta_is_deleting(object) || cox_meta_has_finalizer(object, HOOK_FINALIZER) ||
	    cox_meta_has_finalizer(object, OUR_HOOK_FINALIZER))
		return false;
	cox_health_say(h, COX_HEALTH_PROGRESSING, "Pending deletion");
	return true;
}

void cox_health_by_rules(const struct cox_node *object, struct cox_health *h)
{
	struct cox_str group = cox_meta_group(object), kind = cox_meta_kind(object);
	bool known;
	const struct row *row = find_row(group, kind, cox_meta_version(object), &known);

	if (row)
		row->rule(object, h);
	else if (known)
		cox_health_say(h, COX_HEALTH_UNKNOWN, "no health rule for %.*s %.*s",
			       COX_STR_ARG(cox_meta_api_version(object)), COX_STR_ARG(kind));
	else if (!cox_health_by_table(group, kind, object, h))
		cox_health_guess(object, h);
}

void cox_health_assess(const struct cox_node *object, struct cox_health *ret_health)
{
	struct cox_health h = {.status = COX_HEALTH_NONE};

	if (!cox_health_is_going(object, &h))
		cox_health_by_rules(object, &h);
	*ret_health = h;
}

/* ---- the sum ---- */

void cox_health_sum_fini(struct cox_health_sum *sum)
{
	cox_buf_fini(&sum->causes);
}

static bool is_child_application(struct cox_object_key key)
{
	return cox_str_is(key.group, "argoproj.io") && cox_str_is(key.kind, "Application");
}

static void add_cause(struct cox_health_sum *sum, struct cox_object_key key,
		      const struct cox_health *health)
{
	if (sum->n_worst++ >= CAUSES_MAX)
		return;
	if (sum->causes.len)
		cox_buf_puts(&sum->causes, "; ");
	cox_object_key_describe(&sum->causes, key);
	if (health->message[0])
		cox_buf_printf(&sum->causes, ": %s", health->message);
}

void cox_health_sum_add(struct cox_health_sum *sum, struct cox_object_key key,
			const struct cox_node *live, const struct cox_health *health)
{
	sum->n_wanted++;
	if (!live)
		return;
	sum->n_live++;
	if (health->status == COX_HEALTH_NONE ||
	    cox_str_is(cox_meta_annotation(live, IGNORE_HEALTHCHECK), "true"))
		return;
	if (is_child_application(key) &&
	    (health->status == COX_HEALTH_MISSING || health->status == COX_HEALTH_UNKNOWN))
		return;
	if (health->status < sum->worst)
		return;
	if (health->status > sum->worst) {
		sum->worst = health->status;
		sum->n_worst = 0;
		cox_buf_clear(&sum->causes);
	}
	if (health->status != COX_HEALTH_HEALTHY)
		add_cause(sum, key, health);
}

void cox_health_sum_result(const struct cox_health_sum *sum, struct cox_health *ret_health)
{
	struct cox_health h = {.status = sum->worst};

	if (sum->n_wanted > 0 && sum->n_live == 0) {
		cox_health_say(&h, COX_HEALTH_MISSING, "none of %zu objects exists", sum->n_wanted);
	} else if (sum->n_worst > CAUSES_MAX) {
		cox_health_say(&h, sum->worst, "%s; and %zu more", cox_buf_cstr(&sum->causes),
			       sum->n_worst - CAUSES_MAX);
	} else {
		cox_health_say(&h, sum->worst, "%s", cox_buf_cstr(&sum->causes));
	}
	*ret_health = h;
}
