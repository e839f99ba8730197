/* What shall be: a bundle's objects, made into the objects that are applied.
 *
 * A bundle holds what the renderer made and nothing else. Here each object gets the destination's
 * namespace when it is namespaced and has none, the tracking annotation, the application's uid;
 * what only a server writes is taken off it; a Secret's stringData becomes data. Hooks are told
 * apart: they are never applied as ordinary objects.
 *
 * A definition of a kind (CustomResourceDefinition) gets no marks: it is compared and applied while
 * it is in the bundle, and never pruned.
 *
 * Pure: what the cluster's API knows comes as a function. Immutable once built; any thread. */
#ifndef AGENT_SYNC_DESIRED_H
#define AGENT_SYNC_DESIRED_H

#include "common/base/map.h"
#include "common/base/options.h"
#include "common/doc/doc.h"
#include "common/health/health.h"
#include "common/kube/meta.h"
#include "common/project/project.h"

#include <stdint.h>

#define AGENT_TRACKING_ID "argocd.argoproj.io/tracking-id"
#define AGENT_APP_UID	  "coxswain.dev/app-uid"
#define AGENT_MANAGER	  "coxswain"
/* Of the objects that are made for hooks: an object that is no hook any more is taken over. */
#define AGENT_HOOK_MANAGER "coxswain-hooks"
/* What a hook's object says of the run that it was made for; it has all three or none. */
#define AGENT_HOOK_OPERATION "coxswain.dev/operation"
#define AGENT_HOOK_ATTEMPT   "coxswain.dev/attempt"
#define AGENT_HOOK_PHASE     "coxswain.dev/hook-phase"
/* Holds a hook's object until its outcome is durable. */
#define AGENT_HOOK_FINALIZER "coxswain.dev/hook-finalizer"
#define AGENT_HOOK_TIMEOUT   "coxswain.dev/hook-timeout"

/* Sync options, of an application (syncPolicy.syncOptions) or of one object (annotation
 * argocd.argoproj.io/sync-options); A3 of the reference. */
enum agent_option {
	AGENT_OPT_NO_PRUNE = 1 << 0,
	AGENT_OPT_CONFIRM_PRUNE = 1 << 1,
	AGENT_OPT_NO_DELETE = 1 << 2,
	AGENT_OPT_CONFIRM_DELETE = 1 << 3,
	AGENT_OPT_NO_VALIDATE = 1 << 4,
	AGENT_OPT_SKIP_DRY_RUN = 1 << 5, /* SkipDryRunOnMissingResource */
	AGENT_OPT_OUT_OF_SYNC_ONLY = 1 << 6,
	AGENT_OPT_PRUNE_LAST = 1 << 7,
	AGENT_OPT_REPLACE = 1 << 8,
	AGENT_OPT_FORCE = 1 << 9,
	AGENT_OPT_FAIL_ON_SHARED = 1 << 10,
	AGENT_OPT_RESPECT_IGNORE = 1 << 11,
	AGENT_OPT_CREATE_NAMESPACE = 1 << 12,
	AGENT_OPT_PROPAGATE_BACKGROUND = 1 << 13,
	AGENT_OPT_PROPAGATE_ORPHAN = 1 << 14,
	AGENT_OPT_NO_MIGRATION = 1 << 15, /* ClientSideApplyMigration=false */
};
/* The bit of one option as it is written ("Prune=false"); 0 for what is unknown or a default. */
uint32_t agent_option_parse(struct cox_str text);
/* Those of a comma-separated list. */
uint32_t agent_options_parse(struct cox_str list);

enum agent_phase {
	AGENT_PHASE_PRE_SYNC,
	AGENT_PHASE_SYNC,
	AGENT_PHASE_POST_SYNC,
	AGENT_PHASE_SYNC_FAIL,
	AGENT_PHASE_PRE_DELETE,
	AGENT_PHASE_POST_DELETE,
};
const char *agent_phase_name(enum agent_phase phase);

enum agent_hook_delete {
	AGENT_HOOK_BEFORE_CREATION = 1 << 0,
	AGENT_HOOK_SUCCEEDED = 1 << 1,
	AGENT_HOOK_FAILED = 1 << 2,
};

struct agent_object {
	char *key_text;
	struct cox_object_key key; /* views into key_text */
	char *version;
	struct cox_doc *doc; /* sealed, as it is applied */
	int64_t wave;
	uint32_t options; /* enum agent_option */
	bool namespaced;
	bool is_hook;		 /* never an ordinary object, even with no phase left */
	bool is_skipped;	 /* hook: Skip alone */
	uint32_t hook_phases;	 /* 1 << enum agent_phase */
	uint32_t hook_delete;	 /* enum agent_hook_delete */
	int64_t hook_timeout_ms; /* 0: none */
};

/* Fills in what the hook annotations of Argo CD and Helm say; the rest of *o stays. Fails when the
 * hook's timeout is no duration. */
int agent_hook_parse(const struct cox_node *object, struct agent_object *o, struct cox_error *err);
/* Whether a live object says of itself that it is a hook: by Argo CD's, Helm's or our annotation. */
bool agent_is_hook(const struct cox_node *object);

enum agent_hook_outcome {
	AGENT_OUTCOME_RUNNING,
	AGENT_OUTCOME_SUCCEEDED,
	AGENT_OUTCOME_FAILED,
};
/* How far a live hook is. A Job counts by its conditions Complete and Failed, a resumed one too; a
 * Pod and an Argo Workflow by their phase; other kinds by their health, Degraded and Unknown being
 * failures; a kind without health is done by being there. What is being deleted and has not
 * completed has failed: nobody works on it any more. health: the object's, by rule or script.
 * ret_message: COX_HEALTH_MESSAGE_MAX. */
enum agent_hook_outcome agent_hook_judge(const struct cox_node *live,
					 const struct cox_health *health, char *ret_message);

struct agent_desired {
	COX_VEC(struct agent_object) objects; /* ordinary ones and hooks, in the bundle's order */
	struct cox_map by_key;		      /* key text to index + 1; hooks are not in it */
	cox_strings warnings;		      /* a key twice, for a condition */
};

enum agent_scope { AGENT_SCOPE_UNKNOWN = 0, AGENT_SCOPE_NAMESPACED, AGENT_SCOPE_CLUSTER };

struct agent_desired_input {
	const char *instance; /* first part of the tracking id */
	const char *app_uid;
	const char *namespace; /* the destination's; may be "" */
	/* What the API server says of a kind; unknown kinds are looked for among the definitions of
	 * the bundle, and count as namespaced after that. */
	enum agent_scope (*scope)(void *ctx, struct cox_str group, struct cox_str version,
				  struct cox_str kind);
	void *ctx;
	/* What the application may have here; NULL: everything. */
	const struct cox_project *project;
	const char *server, *cluster; /* as the project's destinations name this cluster */
};

/* The objects of a bundle, a JSON list, each in a document of its own: a bundle may be larger than
 * what one document may hold. At most COX_LIMIT_APP_OBJECTS. */
int agent_bundle_read(struct cox_str text, cox_docs *ret_objects, struct cox_error *err);
/* On failure the sentence names the object. */
int agent_desired_build(const cox_docs *bundle, const struct agent_desired_input *input,
			struct agent_desired *ret_desired, struct cox_error *err);
void agent_desired_fini(struct agent_desired *d);
#define _cleanup_desired_ COX_CLEANUP(agent_desired_fini)
/* NULL when there is no such ordinary object. */
const struct agent_object *agent_desired_find(const struct agent_desired *d, const char *key_text);
/* Objects that are no hooks and not skipped. */
size_t agent_desired_count(const struct agent_desired *d);

/* "<instance>:<group>/<kind>:<namespace>/<name>"; the caller's. */
char *agent_tracking_id(const char *instance, struct cox_object_key key);
/* Whether a live object carries the marks of this application and means itself by them. */
bool agent_is_marked(const struct cox_node *live, const char *app_uid);
/* The same of what a run of one of its hooks made. */
bool agent_is_hook_of(const struct cox_node *live, const char *app_uid);
/* Whether it carries this instance's tracking id, naming itself, and nobody's uid: to be adopted.
 */
bool agent_is_adoptable(const struct cox_node *live, const char *instance);
/* The sync wave: argocd.argoproj.io/sync-wave, else helm.sh/hook-weight, else 0. */
int64_t agent_wave_of(const struct cox_node *object);

#endif
