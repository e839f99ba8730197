/* The small controllers: what moves objects as a cluster would. Each is a table row with a
 * reconcile function; keys wait in one queue by the time they are due, each once. A reconcile reads
 * the world anew and may run at any time and twice. Threads: one. */
#ifndef KUBESIM_CONTROLLERS_CONTROLLER_H
#define KUBESIM_CONTROLLERS_CONTROLLER_H

#include "tests/kubesim/write.h"

#define KS_MANAGER "kube-controller-manager"
#define KS_KUBELET "kubelet"

/* What annotations say about how things go; README.md documents them. */
#define KS_ANNOTATION	       "kubesim.coxswain.dev/"
#define KS_READY_AFTER	       KS_ANNOTATION "ready-after"
#define KS_NEVER_READY	       KS_ANNOTATION "never-ready"
#define KS_CRASH	       KS_ANNOTATION "crash"
#define KS_JOB_OUTCOME	       KS_ANNOTATION "job-outcome"
#define KS_JOB_DURATION	       KS_ANNOTATION "job-duration"
#define KS_LB_AFTER	       KS_ANNOTATION "load-balancer-after"
#define KS_PVC_AFTER	       KS_ANNOTATION "bound-after"
#define KS_PVC_NEVER	       KS_ANNOTATION "never-bound"
#define KS_DEFAULT_READY_MS    100
#define KS_DEFAULT_JOB_MS      200
#define KS_DEFAULT_PROVIDER_MS 50

struct ks_controller {
	const char *group, *kind; /* what its keys name; kind NULL: keys are uids (gc) */
	void (*reconcile)(struct kubesim *sim, const char *ns, const char *name);
	bool always; /* also without controllers */
};

extern const struct ks_controller ks_controllers[];
extern const size_t ks_n_controllers;

/* Looks at the object again, not before delay_ms from now. */
void ks_enqueue(struct kubesim *sim, const char *group, const char *kind, const char *ns,
		const char *name, int64_t delay_ms);
void ks_enqueue_gc(struct kubesim *sim, const char *uid, int64_t delay_ms);

/* ---- helpers of controllers ---- */

struct ks_kind *ks_kind_of(struct kubesim *sim, const char *group, const char *kind);
/* The root of a live object, borrowed until the next write; NULL. */
const struct cox_node *ks_live(struct kubesim *sim, const char *group, const char *kind,
			       const char *ns, const char *name);
/* The same with a reference, which survives writes. */
struct cox_doc *ks_live_ref(struct kubesim *sim, const char *group, const char *kind,
			    const char *ns, const char *name);
/* Live objects of a kind in a namespace whose controller has this uid; references. */
void ks_owned(struct kubesim *sim, const char *group, const char *kind, const char *ns,
	      struct cox_str uid, cox_docs *ret_docs);
/* The ownerReference of the object's controller, or NULL. */
const struct cox_node *ks_controller_of(const struct cox_node *object);
/* Puts ownerReferences that make owner its controller. */
void ks_put_owner(struct cox_doc *doc, struct cox_node *object, const struct cox_node *owner);
/* Creates; root is doc's own and not yet decoded. Gives the reply's status. */
int ks_controller_create(struct kubesim *sim, const char *group, const char *kind, const char *ns,
			 const struct cox_node *root);
void ks_controller_delete(struct kubesim *sim, const char *group, const char *kind, const char *ns,
			  const char *name, const char *policy);

/* An annotation of the object, else of the objects above it; ptr NULL. */
struct cox_str ks_wish(struct kubesim *sim, const struct cox_node *object, const char *annotation);
int64_t ks_wish_ms(struct kubesim *sim, const struct cox_node *object, const char *annotation,
		   int64_t otherwise);
bool ks_wish_true(struct kubesim *sim, const struct cox_node *object, const char *annotation);

/* Milliseconds since this was first asked for the object; it is forgotten when the object goes.
 * Times in objects have only seconds. */
int64_t ks_since(struct kubesim *sim, const struct cox_node *object, const char *tag);
void ks_forget_marks(struct kubesim *sim, const char *uid);
int64_t ks_time_of(const struct cox_node *node); /* wall ms of an RFC 3339 text, or 0 */
void ks_put_now(struct kubesim *sim, struct cox_doc *doc, struct cox_node *map, const char *key);
/* "web-" + 10 letters that are a hash of the node. */
void ks_template_hash(const struct cox_node *node, char ret_text[16]);
/* A condition by type in map's list "conditions"; made when absent. */
struct cox_node *ks_condition(struct cox_doc *doc, struct cox_node *status, const char *type);
/* Sets one; times are touched only when something changed. A Deployment's condition has also
 * lastUpdateTime. true: it changed. */
bool ks_condition_set(struct kubesim *sim, struct cox_doc *doc, struct cox_node *status,
		      const char *type, const char *value, const char *reason, const char *message,
		      bool with_update_time);
/* An integer or a percentage of n; round up or down. */
int64_t ks_int_or_percent(const struct cox_node *node, int64_t n, bool up, int64_t otherwise);
/* Puts n when it is not 0, removes the field otherwise. */
void ks_put_count(struct cox_doc *doc, struct cox_node *map, const char *key, int64_t n);
bool ks_pod_is_ready(const struct cox_node *pod);
/* Neither finished nor going. */
bool ks_pod_is_active(const struct cox_node *pod);
/* A pod from a template, owned by owner, told by component. name NULL: generated. */
int ks_pod_create(struct kubesim *sim, const struct cox_node *owner,
		  const struct cox_node *template, const char *name, const char *hash_label,
		  const char *hash, const char *component);
/* Deletes a pod of owner's. */
void ks_pod_delete(struct kubesim *sim, const struct cox_node *owner, const struct cox_node *pod,
		   const char *component);

/* An Event about the object; the oldest go when there are many. */
void ks_tell(struct kubesim *sim, const struct cox_node *object, const char *component,
	     const char *reason, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ---- the controllers ---- */

void ks_reconcile_namespace(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_definition(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_gc(struct kubesim *sim, const char *ns, const char *uid);
void ks_reconcile_deployment(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_replica_set(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_stateful_set(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_daemon_set(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_job(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_cron_job(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_pod(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_service(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_claim(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_quota(struct kubesim *sim, const char *ns, const char *name);
void ks_reconcile_ingress(struct kubesim *sim, const char *ns, const char *name);

#endif
