/* Inside common/health: the rules by kind, and the words they share. */
#ifndef COX_HEALTH_RULES_H
#define COX_HEALTH_RULES_H

#include "common/health/health.h"

/* Sets status and message; too long a message is cut between characters. */
void cox_health_say(struct cox_health *h, enum cox_health_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with a text from the object, borrowed. */
void cox_health_quote(struct cox_health *h, enum cox_health_status status, struct cox_str message);
/* The first entry of status.conditions with that type, or NULL. */
const struct cox_node *cox_health_condition(const struct cox_node *object, const char *type);
bool cox_health_condition_is(const struct cox_node *condition, const char *status);
struct cox_str cox_health_text(const struct cox_node *node, const char *key);

/* The three steps of a judgement: an object that is missing or being deleted (true: judged); the
 * rules by kind, and what conditions tell where there is none. */
bool cox_health_is_going(const struct cox_node *object, struct cox_health *h);
void cox_health_by_rules(const struct cox_node *object, struct cox_health *h);
void cox_health_guess(const struct cox_node *object, struct cox_health *h);
/* table.c: the kinds of projects that many people run. false: none of them. */
bool cox_health_by_table(struct cox_str group, struct cox_str kind, const struct cox_node *object,
			 struct cox_health *h);
bool cox_health_table_has(struct cox_str group, struct cox_str kind);

typedef void cox_health_rule(const struct cox_node *object, struct cox_health *ret_health);

cox_health_rule cox_health_deployment, cox_health_replica_set, cox_health_stateful_set,
	cox_health_daemon_set, cox_health_pod, cox_health_job, cox_health_cron_job,
	cox_health_workflow;
cox_health_rule cox_health_service, cox_health_ingress, cox_health_volume_claim, cox_health_hpa,
	cox_health_hpa_v1, cox_health_api_service, cox_health_disruption_budget,
	cox_health_definition, cox_health_application_set;
/* What belongs to the tables but isn't one (projects.c). */
cox_health_rule cox_health_rollout, cox_health_child_application, cox_health_route,
	cox_health_istio, cox_health_cnpg_object, cox_health_snapshot;

#endif
