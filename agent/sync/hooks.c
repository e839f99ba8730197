/* Sync options and hook annotations, as words in tables; B2 of the reference. */
#include "agent/sync/desired.h"

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

void agent_hook_parse(const struct cox_node *object, struct agent_object *o)
{
	struct cox_str argo = cox_meta_annotation(object, "argocd.argoproj.io/hook");
	struct cox_str helm = cox_meta_annotation(object, "helm.sh/hook");

	if (argo.ptr && !parse_argo(argo, o) && helm.ptr)
		o->is_hook = false;
	if (!o->is_hook && !o->is_skipped && helm.ptr)
		parse_helm(helm, o);
	if (o->is_hook)
		parse_delete_policy(object, o);
}
