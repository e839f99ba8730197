/* Sync options and hook annotations, as words in tables; B2 of the reference. */
#include "agent/sync/desired.h"

#include "common/base/clock.h"

#include <stdio.h>

static const struct {
	const char *text;
	uint32_t bit;
} options[] = {
	{"Prune=false", AGENT_OPT_NO_PRUNE},
	{"Prune=confirm", AGENT_OPT_CONFIRM_PRUNE},
	{"Delete=false", AGENT_OPT_NO_DELETE},
	{"Delete=confirm", AGENT_OPT_CONFIRM_DELETE},
	{"Validate=false", AGENT_OPT_NO_VALIDATE},
	{"SkipDryRunOnMissingResource=true", AGENT_OPT_SKIP_DRY_RUN},
	{"ApplyOutOfSyncOnly=true", AGENT_OPT_OUT_OF_SYNC_ONLY},
	{"PruneLast=true", AGENT_OPT_PRUNE_LAST},
	{"Replace=true", AGENT_OPT_REPLACE},
	{"Force=true", AGENT_OPT_FORCE},
	{"FailOnSharedResource=true", AGENT_OPT_FAIL_ON_SHARED},
	{"RespectIgnoreDifferences=true", AGENT_OPT_RESPECT_IGNORE},
	{"CreateNamespace=true", AGENT_OPT_CREATE_NAMESPACE},
	{"ClientSideApplyMigration=false", AGENT_OPT_NO_MIGRATION},
	{"PrunePropagationPolicy=background", AGENT_OPT_PROPAGATE_BACKGROUND},
	{"PrunePropagationPolicy=orphan", AGENT_OPT_PROPAGATE_ORPHAN},
};

static const struct {
	const char *word;
	int phase; /* -1: a hook without phase, -2: an ordinary object, -3: skip */
} argo_hooks[] =
	{
		{"PreSync", AGENT_PHASE_PRE_SYNC},
		{"Sync", AGENT_PHASE_SYNC},
		{"PostSync", AGENT_PHASE_POST_SYNC},
		{"SyncFail", AGENT_PHASE_SYNC_FAIL},
		{"PreDelete", AGENT_PHASE_PRE_DELETE},
		{"PostDelete", AGENT_PHASE_POST_DELETE},
		{"Skip", -3},
},
  helm_hooks[] = {
	  {"pre-install", AGENT_PHASE_PRE_SYNC},
	  {"pre-upgrade", AGENT_PHASE_PRE_SYNC},
	  {"post-install", AGENT_PHASE_POST_SYNC},
	  {"post-upgrade", AGENT_PHASE_POST_SYNC},
	  {"pre-delete", AGENT_PHASE_PRE_DELETE},
	  {"post-delete", AGENT_PHASE_POST_DELETE},
	  {"crd-install", -2},
};

static const struct {
	const char *word;
	uint32_t bit;
} delete_policies[] = {
	{"HookSucceeded", AGENT_HOOK_SUCCEEDED},
	{"HookFailed", AGENT_HOOK_FAILED},
	{"BeforeHookCreation", AGENT_HOOK_BEFORE_CREATION},
	{"hook-succeeded", AGENT_HOOK_SUCCEEDED},
	{"hook-failed", AGENT_HOOK_FAILED},
	{"before-hook-creation", AGENT_HOOK_BEFORE_CREATION},
};

uint32_t agent_option_parse(struct cox_str text)
{
	text = cox_str_trim(text);
	for (size_t i = 0; i < COX_ARRAY_LEN(options); i++)
		if (cox_str_is(text, options[i].text))
			return options[i].bit;
	return 0;
}

uint32_t agent_options_parse(struct cox_str list)
{
	struct cox_str rest = list, part;
	uint32_t bits = 0;

	while (rest.ptr && cox_str_split(&rest, ',', &part))
		bits |= agent_option_parse(part);
	return bits;
}

const char *agent_phase_name(enum agent_phase phase)
{
	return (size_t)phase < COX_ARRAY_LEN(argo_hooks) - 1 ? argo_hooks[phase].word : "";
}

static void parse_delete_policy(const struct cox_node *object, struct agent_object *o)
{
	static const char *const keys[] = {"argocd.argoproj.io/hook-delete-policy",
					   "helm.sh/hook-delete-policy"};

	for (size_t k = 0; k < COX_ARRAY_LEN(keys); k++) {
		struct cox_str rest = cox_meta_annotation(object, keys[k]), part;

		while (rest.ptr && cox_str_split(&rest, ',', &part))
			for (size_t i = 0; i < COX_ARRAY_LEN(delete_policies); i++)
				if (cox_str_is(cox_str_trim(part), delete_policies[i].word))
					o->hook_delete |= delete_policies[i].bit;
	}
	if (!o->hook_delete)
		o->hook_delete = AGENT_HOOK_BEFORE_CREATION;
}

/* Argo's words; true when the annotation has a valid one. Skip beside a phase is a hook. */
static bool parse_argo(struct cox_str value, struct agent_object *o)
{
	struct cox_str rest = value, part;
	bool skip = false, valid = false;

	while (cox_str_split(&rest, ',', &part)) {
		for (size_t i = 0; i < COX_ARRAY_LEN(argo_hooks); i++) {
			if (!cox_str_is(cox_str_trim(part), argo_hooks[i].word))
				continue;
			valid = true;
			if (argo_hooks[i].phase == -3)
				skip = true;
			else
				o->hook_phases |= 1u << argo_hooks[i].phase;
		}
	}
	if (skip && !o->hook_phases)
		o->is_skipped = true;
	else
		o->is_hook = true; /* also with no valid word at all: never applied */
	return valid;
}

static void parse_helm(struct cox_str value, struct agent_object *o)
{
	struct cox_str rest = value, part;
	bool ordinary = false;

	while (cox_str_split(&rest, ',', &part)) {
		for (size_t i = 0; i < COX_ARRAY_LEN(helm_hooks); i++) {
			if (!cox_str_is(cox_str_trim(part), helm_hooks[i].word))
				continue;
			if (helm_hooks[i].phase == -2)
				ordinary = true;
			else
				o->hook_phases |= 1u << helm_hooks[i].phase;
		}
	}
	o->is_hook = o->hook_phases || !ordinary;
}

static int parse_timeout(const struct cox_node *object, struct agent_object *o,
			 struct cox_error *err)
{
	struct cox_str text = cox_meta_annotation(object, AGENT_HOOK_TIMEOUT);

	if (!text.ptr)
		return 0;
	if (cox_duration_parse(cox_str_trim(text), &o->hook_timeout_ms, NULL) < 0 ||
	    o->hook_timeout_ms <= 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "annotation %s is '%.*s', expected a duration such as 5m",
				 AGENT_HOOK_TIMEOUT, COX_STR_ARG(text));
	return 0;
}

int agent_hook_parse(const struct cox_node *object, struct agent_object *o, struct cox_error *err)
{
	struct cox_str argo = cox_meta_annotation(object, "argocd.argoproj.io/hook");
	struct cox_str helm = cox_meta_annotation(object, "helm.sh/hook");

	if (argo.ptr && !parse_argo(argo, o) && helm.ptr)
		o->is_hook = false;
	if (!o->is_hook && !o->is_skipped && helm.ptr)
		parse_helm(helm, o);
	if (!o->is_hook)
		return 0;
	parse_delete_policy(object, o);
	return parse_timeout(object, o, err);
}

bool agent_is_hook(const struct cox_node *object)
{
	return cox_meta_annotation(object, "argocd.argoproj.io/hook").ptr ||
	       cox_meta_annotation(object, "helm.sh/hook").ptr ||
	       cox_meta_annotation(object, AGENT_HOOK_PHASE).ptr;
}

/* ---- how far it is ---- */

static bool job_condition(const struct cox_node *job, const char *type, struct cox_str *ret_message)
{
	const struct cox_node *list = COX_GET(job, "status", "conditions");

	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *c = cox_node_at(list, i);

		if (!cox_str_is(cox_node_str(cox_node_get(c, "type")), type) ||
		    !cox_str_is(cox_node_str(cox_node_get(c, "status")), "True"))
			continue;
		*ret_message = cox_node_str(cox_node_get(c, "message"));
		return true;
	}
	return false;
}

static enum agent_hook_outcome judge_job(const struct cox_node *job, char *ret_message)
{
	static const struct {
		const char *condition;
		enum agent_hook_outcome outcome;
	} ends[] = {{"Failed", AGENT_OUTCOME_FAILED}, {"Complete", AGENT_OUTCOME_SUCCEEDED}};
	struct cox_str message;

	for (size_t i = 0; i < COX_ARRAY_LEN(ends); i++) {
		if (!job_condition(job, ends[i].condition, &message))
			continue;
		snprintf(ret_message, COX_HEALTH_MESSAGE_MAX, "%.*s", COX_STR_ARG(message));
		return ends[i].outcome;
	}
	return AGENT_OUTCOME_RUNNING;
}

static enum agent_hook_outcome judge_health(const struct cox_health *health, char *ret_message)
{
	switch (health->status) {
	case COX_HEALTH_NONE:
	case COX_HEALTH_HEALTHY:
		snprintf(ret_message, COX_HEALTH_MESSAGE_MAX, "%s",
			 health->status == COX_HEALTH_NONE ? "" : health->message);
		return AGENT_OUTCOME_SUCCEEDED;
	case COX_HEALTH_DEGRADED:
	case COX_HEALTH_UNKNOWN:
		snprintf(ret_message, COX_HEALTH_MESSAGE_MAX, "%s",
			 health->message[0] ? health->message : cox_health_name(health->status));
		return AGENT_OUTCOME_FAILED;
	default:
		return AGENT_OUTCOME_RUNNING;
	}
}

enum agent_hook_outcome agent_hook_judge(const struct cox_node *live,
					 const struct cox_health *health, char *ret_message)
{
	bool job =
		cox_str_is(cox_meta_group(live), "batch") && cox_str_is(cox_meta_kind(live), "Job");

	ret_message[0] = '\0';
	enum agent_hook_outcome outcome =
		job ? judge_job(live, ret_message) : judge_health(health, ret_message);

	if (outcome != AGENT_OUTCOME_RUNNING || !cox_meta_is_deleting(live))
		return outcome;
	snprintf(ret_message, COX_HEALTH_MESSAGE_MAX, "is being deleted and had not completed");
	return AGENT_OUTCOME_FAILED;
}
