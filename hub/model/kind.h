/* The kinds that the hub itself keeps, and what every object has: key, labels, annotations,
 * finalizers. The table of kinds serves the store, the API's routes, `cox get KIND` and lint.
 *
 * The views of hub/model (hub_application and so on) are read-only: each holds one reference to its
 * sealed document and borrows strings and nodes from it. Strings are never NULL: "" where absent.
 * A view is immutable once made; any thread may read it. */
#ifndef COX_HUB_MODEL_KIND_H
#define COX_HUB_MODEL_KIND_H

#include "common/base/error.h"
#include "common/doc/doc.h"

#include <stdbool.h>

enum hub_kind {
	HUB_KIND_NONE = 0, /* none of ours */
	HUB_APPLICATION,
	HUB_APPLICATION_SET,
	HUB_APP_PROJECT,
	HUB_CLUSTER,
	HUB_ROLLOUT_POLICY,
	HUB_SECRET, /* only with the label argocd.argoproj.io/secret-type, of a type that we keep, or
		       with coxswain.dev/secret-type: gate_secret.h */
	HUB_CONFIG_MAP, /* only argocd-cm: settings.h */
	HUB_N_KINDS,
};

#define HUB_GROUP_ARGO	      "argoproj.io"
#define HUB_GROUP_OURS	      "coxswain.dev"
#define HUB_SECRET_TYPE_LABEL "argocd.argoproj.io/secret-type"

/* What is shown in the place of a secret's value, and never taken for one. */
#define HUB_SECRET_MASK	      "++++++++"
#define HUB_POLICY_ANNOTATION "coxswain.dev/rollout-policy"
#define HUB_SETTINGS_NAME     "argocd-cm"
#define HUB_FINALIZER	      "resources-finalizer.argocd.argoproj.io"

struct hub_kind_info {
	enum hub_kind kind;
	const char *group, *version, *api_version; /* "argoproj.io", "v1alpha1", both with '/' */
	const char *name;			   /* "Application" */
	const char *singular;			   /* "application" */
	const char *plural;			   /* "applications" */
	const char *shorts;			   /* "app,apps": what else `cox get` takes */
	bool namespaced;
};

/* NULL for HUB_KIND_NONE and what is out of range. */
const struct hub_kind_info *hub_kind_info(enum hub_kind kind);
/* What an object is, by apiVersion, kind, and for a Secret its label; HUB_KIND_NONE otherwise. */
enum hub_kind hub_kind_of(const struct cox_node *object);
/* By any name that a person types: "app", "applications", "Application", "appset", … */
enum hub_kind hub_kind_parse(const char *text);

/* ---- metadata ---- */

struct hub_key {
	enum hub_kind kind;
	const char *namespace; /* "" for cluster-scoped kinds */
	const char *name;
};

/* Borrowed from the object. namespace: home when the object names none and its kind has one. */
int hub_key_of(const struct cox_doc *doc, const char *home_namespace, struct hub_key *ret_key,
	       struct cox_error *err);
const char *hub_object_name(const struct cox_node *object);
const char *hub_object_namespace(const struct cox_node *object);
const char *hub_object_uid(const struct cox_node *object);
/* NULL when absent. */
const char *hub_object_label(const struct cox_node *object, const char *key);
const char *hub_object_annotation(const struct cox_node *object, const char *key);

/* RFC 1123: a DNS subdomain (253) and a DNS label (63). */
bool hub_is_dns_subdomain(const char *name);
bool hub_is_dns_label(const char *name);

/* A deep enough edit of any object, sealed, the caller's: metadata.labels[key] = value and the
 * like are made with cox_doc_edit; these are the ones that the store needs. NULL value removes. */
struct cox_doc *hub_object_with_namespace(struct cox_doc *doc, const char *namespace);
struct cox_doc *hub_object_with_annotation(struct cox_doc *doc, const char *key, const char *value);

#endif
