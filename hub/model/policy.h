/* RolloutPolicy (coxswain.dev/v1alpha1, cluster-scoped): waves, gates, budgets. A view; see kind.h.
 * What it means is hub/rollout's. */
#ifndef COX_HUB_MODEL_POLICY_H
#define COX_HUB_MODEL_POLICY_H

#include "common/base/vec.h"
#include "hub/model/appset.h"
#include "hub/model/kind.h"

#include <stdint.h>

#define HUB_MAX_APPROVERS 50 /* of one gate */

enum hub_gate_kind {
	HUB_GATE_SOAK,
	HUB_GATE_APPROVAL,
	HUB_GATE_HTTP,
	HUB_GATE_WINDOW,
	HUB_GATE_JOB,
	HUB_GATE_METRICS,
};

struct hub_gate {
	enum hub_gate_kind kind;
	const struct cox_node *node;
	int64_t soak_ms;       /* SOAK */
	const char *url;       /* HTTP */
	const char *schedule;  /* WINDOW: cron, five fields */
	int64_t duration_ms;   /* WINDOW */
	const char *time_zone; /* WINDOW; "UTC" by default */
};
typedef COX_VEC(struct hub_gate) hub_gates;

struct hub_wave {
	const char *name;
	const struct cox_node *clusters; /* label selector on the Cluster's labels */
	hub_gates before, after;
	struct hub_count max_concurrent; /* not given: the whole wave */
	struct hub_count max_failures;	 /* not given: 0 */
	int64_t progress_deadline_ms;	 /* 0: none */
};

enum hub_on_failure { HUB_FAILURE_PAUSE, HUB_FAILURE_ROLLBACK, HUB_FAILURE_CONTINUE };
enum hub_offline { HUB_OFFLINE_SKIP, HUB_OFFLINE_WAIT };
enum hub_supersede { HUB_SUPERSEDE_WAVE, HUB_SUPERSEDE_NOW, HUB_SUPERSEDE_FINISHED };

struct hub_policy {
	struct cox_doc *doc; /* one reference */
	const struct cox_node *root;
	const char *name;
	const struct cox_node
		*selector; /* on the ApplicationSet's labels; NULL: by annotation only */
	COX_VEC(struct hub_wave) waves;
	enum hub_on_failure on_failure;
	enum hub_offline offline;
	enum hub_supersede supersede;
};

/* Validates (hub_validate) and fills; takes its own reference to doc, which must be sealed. */
int hub_policy_init(struct hub_policy *policy, struct cox_doc *doc, struct cox_error *err);
void hub_policy_fini(struct hub_policy *policy);
#define _cleanup_policy_ __attribute__((cleanup(hub_policy_fini)))

#endif
