/* common/health: an object in, its health out; and the health of an application from its objects'.
 *
 * The rules are Argo CD's: Deployment, ReplicaSet, StatefulSet, DaemonSet, Pod, Job, CronJob,
 * Service, Ingress, PersistentVolumeClaim, HorizontalPodAutoscaler, PodDisruptionBudget,
 * APIService, CustomResourceDefinition, Argo Workflow, ApplicationSet; and a table (table.c) for what
 * people run: cert-manager, Argo Rollouts, Crossplane, Flux, Knative, CloudNativePG, Gateway API,
 * External Secrets, Prometheus operator, KEDA, Sealed Secrets and more. A kind with a rule of
 * Kubernetes itself in a version that the rule doesn't know is Unknown, with a message that says so.
 * Scripts of the user come before all rules: custom.h.
 *
 * A kind without a rule has no health (COX_HEALTH_NONE): it is neither good nor bad, is left out of
 * every sum, and no wave waits for it. What its status.conditions and observedGeneration seem to
 * say is given beside it and never counts: `guess`, and a message that begins with "not judged: ".
 * Who wants it to count writes a script. The same holds for two kinds that Argo CD leaves out on
 * purpose: an Application inside an application (a sick child must not keep its parent from being
 * mended), and Istio's configuration, where an analysis message often only means "not yet".
 *
 * Deviations, on purpose: a Job that was suspended and resumed is Progressing until it is complete
 * (Argo CD calls it healthy while it runs).
 *
 * Pure: no clock, no I/O; any thread. Never fails: what is malformed reads as absent. */
#ifndef COX_HEALTH_HEALTH_H
#define COX_HEALTH_HEALTH_H

#include "common/base/buf.h"
#include "common/doc/doc.h"
#include "common/kube/meta.h"

#include <stdint.h>

/* Best to worst; the numbers are those of coxswain.report.v1.Health. */
enum cox_health_status {
	COX_HEALTH_NONE = 0,
	COX_HEALTH_HEALTHY = 1,
	COX_HEALTH_SUSPENDED = 2,
	COX_HEALTH_PROGRESSING = 3,
	COX_HEALTH_MISSING = 4,
	COX_HEALTH_DEGRADED = 5,
	COX_HEALTH_UNKNOWN = 6,
};

#define COX_HEALTH_MESSAGE_MAX 256

struct cox_health {
	enum cox_health_status status;
	char message[COX_HEALTH_MESSAGE_MAX]; /* "" when there is nothing to say; UTF-8 */
	/* With COX_HEALTH_NONE only: what the object's conditions seem to say (below). */
	enum cox_health_status guess;
};

/* "Healthy", …; "" for COX_HEALTH_NONE. */
const char *cox_health_name(enum cox_health_status status);
/* COX_HEALTH_NONE for a word that is none. */
enum cox_health_status cox_health_parse(struct cox_str name);
enum cox_health_status cox_health_worse(enum cox_health_status a, enum cox_health_status b);

/* The health of a live object. NULL is Missing. */
void cox_health_assess(const struct cox_node *object, struct cox_health *ret_health);
/* Whether a rule exists for the kind. */
bool cox_health_has_rule(struct cox_str group, struct cox_str kind);

/* The sum over an application's objects: the worst, with the names of up to three that are. */
struct cox_health_sum {
	enum cox_health_status worst;
	size_t n_wanted; /* objects that shall be there */
	size_t n_live;	 /* of those, the ones that are */
	size_t n_worst;
	struct cox_buf causes;
};

#define COX_HEALTH_SUM_INIT ((struct cox_health_sum){.worst = COX_HEALTH_HEALTHY})
void cox_health_sum_fini(struct cox_health_sum *sum);
/* One object that shall be there: its key, what is live (NULL: missing) and the health assessed
 * of it. Hooks and objects that are skipped are not added at all. An object with
 * argocd.argoproj.io/ignore-healthcheck: "true" counts as live and for nothing else; a missing one
 * alone doesn't lower the sum; a child Application that is Missing or Unknown is left out. */
void cox_health_sum_add(struct cox_health_sum *sum, struct cox_object_key key,
			const struct cox_node *live, const struct cox_health *health);
/* Missing when objects are wanted and none of them is live. */
void cox_health_sum_result(const struct cox_health_sum *sum, struct cox_health *ret_health);

#endif
