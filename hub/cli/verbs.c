/* Every verb: its words, its flags, its function. The same table prints the help. */
#include "hub/cli/cli.h"

#include <stdarg.h>

#define AT(field) offsetof(struct cli_flags, field)

/* Only where the hub is and how it is trusted comes from the environment: a forgotten COX_FORCE
 * must not change what a command does. */
#define HUB_ROWS                                                                                   \
	{.name = "hub",                                                                            \
	 .kind = COX_OPT_STRING,                                                                   \
	 .offset = AT(hub),                                                                        \
	 .arg = "URL",                                                                             \
	 .help = "where the hub is",                                                               \
	 .def = "http://127.0.0.1:8080"},                                                          \
		{.name = "token-file",                                                             \
		 .kind = COX_OPT_STRING,                                                           \
		 .offset = AT(token_file),                                                         \
		 .arg = "FILE",                                                                    \
		 .help = "the token, instead of COX_TOKEN or what `cox login` keeps"},             \
		{.name = "ca-file",                                                                \
		 .kind = COX_OPT_STRING,                                                           \
		 .offset = AT(ca_file),                                                            \
		 .arg = "FILE",                                                                    \
		 .help = "the authority of the hub's https certificate, PEM"},                     \
	{                                                                                          \
		.name = "insecure", .kind = COX_OPT_BOOL, .offset = AT(insecure),                  \
		.help = "any https certificate will do"                                            \
	}
#define OUTPUT_ROW                                                                                 \
	{                                                                                          \
		.name = "output", .letter = 'o', .kind = COX_OPT_STRING, .offset = AT(output),     \
		.arg = "FORMAT", .help = "json, yaml, name or wide", .no_env = true                \
	}
#define NAMESPACE_ROW                                                                              \
	{                                                                                          \
		.name = "namespace", .letter = 'n', .kind = COX_OPT_STRING,                        \
		.offset = AT(namespace), .arg = "NS",                                              \
		.help = "of the objects; the hub's own without it", .no_env = true                 \
	}
#define FILES_ROW                                                                                  \
	{                                                                                          \
		.name = "file", .letter = 'f', .kind = COX_OPT_LIST, .offset = AT(files),          \
		.arg = "FILE|DIR|-", .help = "what to read; may be given more than once",          \
		.no_env = true                                                                     \
	}
#define FLAG_ROW(n, field, text)                                                                   \
	{                                                                                          \
		.name = (n), .kind = COX_OPT_BOOL, .offset = AT(field), .help = (text),            \
		.no_env = true                                                                     \
	}
#define TEXT_ROW(n, field, a, text)                                                                \
	{                                                                                          \
		.name = (n), .kind = COX_OPT_STRING, .offset = AT(field), .arg = (a),              \
		.help = (text), .no_env = true                                                     \
	}
#define TIMEOUT_ROW                                                                                \
	{                                                                                          \
		.name = "timeout", .kind = COX_OPT_DURATION, .offset = AT(timeout_ms),             \
		.arg = "DURATION", .help = "how long to wait", .def = "5m", .no_env = true         \
	}

static const struct cox_option no_rows[] = {{0}};
static const struct cox_option files_rows[] = {FILES_ROW, {0}};
static const struct cox_option health_rows[] = {
	FILES_ROW,
	TEXT_ROW("config", config, "FILE",
		 "a ConfigMap as argocd-cm, for the health scripts in it"),
	{0}};
static const struct cox_option generate_rows[] = {FILES_ROW, NAMESPACE_ROW, {0}};
static const struct cox_option render_rows[] = {
	TEXT_ROW("app", app, "FILE", "an Application: its source's settings, its namespace"),
	TEXT_ROW("namespace", namespace, "NS", "for namespaced objects that name none"),
	{0}};
static const struct cox_option hub_rows[] = {HUB_ROWS, {0}};
static const struct cox_option plain_rows[] = {NAMESPACE_ROW, HUB_ROWS, {0}};
static const struct cox_option output_rows[] = {OUTPUT_ROW, NAMESPACE_ROW, HUB_ROWS, {0}};
static const struct cox_option resources_rows[] = {
	FLAG_ROW("orphaned", orphaned,
		 "what is in its namespace and of no application, if its AppProject asks"),
	FLAG_ROW("tree", tree, "with what lives below them: ReplicaSets, Pods, ..."),
	OUTPUT_ROW,
	NAMESPACE_ROW,
	HUB_ROWS,
	{0}};
static const struct cox_option apply_rows[] = {
	FILES_ROW,  FLAG_ROW("dry-run", dry_run, "say what would be done, and do nothing"),
	OUTPUT_ROW, NAMESPACE_ROW,
	HUB_ROWS,   {0}};
#define CASCADE_ROWS                                                                               \
	TEXT_ROW("cascade", cascade, "true|false",                                                 \
		 "delete an Application's objects too; without it, as its finalizer says"),        \
		TEXT_ROW("propagation-policy", propagation, "foreground|background|orphan",        \
			 "how the cluster deletes them"),                                          \
		FLAG_ROW("forget", forget,                                                         \
			 "do not wait for a cluster that is gone; its agent does it, should it "   \
			 "return")
static const struct cox_option delete_rows[] = {CASCADE_ROWS, NAMESPACE_ROW, HUB_ROWS, {0}};
#define ASYNC_ROW FLAG_ROW("async", async, "do not wait for its end")
static const struct cox_option sync_rows[] = {
	TEXT_ROW("revision", revision, "REV", "to this one, instead of the Application's own"),
	TEXT_ROW("local", local, "DIR",
		 "to what is in this directory, instead of spec.source.path"),
	{.name = "resource",
	 .kind = COX_OPT_LIST,
	 .offset = AT(resources),
	 .arg = "GROUP:KIND:[NS/]NAME",
	 .help = "only this, or with '!' all but this; parts may hold '*'; may be given more than "
		 "once",
	 .no_env = true},
	FLAG_ROW("prune", prune, "delete what is no longer in Git"),
	FLAG_ROW("dry-run", dry_run, "change nothing"),
	FLAG_ROW("force", force, "delete and make anew what cannot be changed"),
	FLAG_ROW("replace", replace, "replace objects instead of applying them"),
	FLAG_ROW("server-side", server_side,
		 "apply on the server's side, whatever the Application says"),
	FLAG_ROW("apply-out-of-sync-only", out_of_sync_only, "leave alone what is Synced"),
	{.name = "sync-option",
	 .kind = COX_OPT_LIST,
	 .offset = AT(sync_options),
	 .arg = "NAME=VALUE",
	 .help = "besides the Application's own; may be given more than once",
	 .no_env = true},
	TEXT_ROW("strategy", strategy, "apply|hook", "apply runs no hooks"),
	FLAG_ROW("skip-hooks", skip_hooks, "run no hooks"),
	FLAG_ROW("skip-gates", skip_gates,
		 "although the rollout has not come to its wave; the history says so"),
	{.name = "retry-limit",
	 .kind = COX_OPT_INT,
	 .offset = AT(retry_limit),
	 .arg = "N",
	 .help = "try again so often when it fails, -1 for ever; without it, as the Application "
		 "says",
	 .no_env = true},
	TEXT_ROW("retry-backoff-duration", backoff_duration, "DURATION",
		 "before the first of them"),
	TEXT_ROW("retry-backoff-max-duration", backoff_max, "DURATION", "at most, before any"),
	{.name = "retry-backoff-factor",
	 .kind = COX_OPT_INT,
	 .offset = AT(backoff_factor),
	 .arg = "N",
	 .help = "so many times longer before each next",
	 .no_env = true},
	FLAG_ROW("retry-refresh", retry_refresh, "try the newest revision, not the same again"),
	ASYNC_ROW,
	TIMEOUT_ROW,
	NAMESPACE_ROW,
	HUB_ROWS,
	{0}};
static const struct cox_option rollback_rows[] = {
	FLAG_ROW("prune", prune, "delete what was not there then"),
	FLAG_ROW("dry-run", dry_run, "change nothing"),
	FLAG_ROW("hooks", hooks, "run the hooks of that time too"),
	FLAG_ROW("force", force,
		 "although it is synced by itself (it stays back until the next revision), or a "
		 "rollout is under way"),
	ASYNC_ROW,
	TIMEOUT_ROW,
	NAMESPACE_ROW,
	HUB_ROWS,
	{0}};
static const struct cox_option diff_rows[] = {
	TEXT_ROW("revision", revision, "REV", "from this one, instead of the Application's own"),
	TEXT_ROW("local", local, "DIR",
		 "from what is in this directory, instead of spec.source.path"),
	FLAG_ROW("no-exit-code", no_exit_code, "status 0 also where something differs"),
	OUTPUT_ROW,
	NAMESPACE_ROW,
	HUB_ROWS,
	{0}};
static const struct cox_option app_delete_rows[] = {CASCADE_ROWS,
						    {.name = "yes",
						     .letter = 'y',
						     .kind = COX_OPT_BOOL,
						     .offset = AT(yes),
						     .help = "do not ask",
						     .no_env = true},
						    FLAG_ROW("wait", wait, "until it is gone"),
						    TIMEOUT_ROW,
						    NAMESPACE_ROW,
						    HUB_ROWS,
						    {0}};
static const struct cox_option terminate_rows[] = {
	FLAG_ROW("wait", wait, "for its end"), TIMEOUT_ROW, NAMESPACE_ROW, HUB_ROWS, {0}};
static const struct cox_option refresh_rows[] = {
	FLAG_ROW("hard", hard, "render again, even if the commit is the same"),
	NAMESPACE_ROW,
	HUB_ROWS,
	{0}};
static const struct cox_option wait_rows[] = {
	FLAG_ROW("sync", want_sync, "for Synced (without any of the three: for all of them)"),
	FLAG_ROW("health", want_health, "for Healthy"),
	FLAG_ROW("operation", want_operation, "for the end of what runs"),
	TEXT_ROW("revision", revision, "COMMIT", "and for this revision, or what it begins with"),
	TIMEOUT_ROW,
	NAMESPACE_ROW,
	HUB_ROWS,
	{0}};
static const struct cox_option watch_rows[] = {
	FLAG_ROW("follow", follow, "stay when it is over, and show the next"),
	FLAG_ROW("once", once, "one picture of what is now; status 1 if it has failed"),
	FLAG_ROW("lines", lines, "a line for each change, on a terminal too"),
	OUTPUT_ROW,
	NAMESPACE_ROW,
	HUB_ROWS,
	{0}};
#define PLAN_ROWS                                                                                  \
	TEXT_ROW("revision", revision, "REV", "as if the repositories were at this one"),          \
		TEXT_ROW("policy", policy, "FILE",                                                 \
			 "as this RolloutPolicy would have it, instead of the one that it "        \
			 "follows"),                                                               \
		FLAG_ROW("diff", diff, "every object, field by field"),                            \
		FLAG_ROW("exit-code", exit_code,                                                   \
			 "status 3 when anything would change, 0 when nothing would"),             \
		{.name = "targets",                                                                \
		 .kind = COX_OPT_INT,                                                              \
		 .offset = AT(targets),                                                            \
		 .arg = "N",                                                                       \
		 .help = "so many clusters' agents are asked, the first waves first; 200 without " \
			 "it",                                                                     \
		 .no_env = true},                                                                  \
		{.name = "target-timeout",                                                         \
		 .kind = COX_OPT_DURATION,                                                         \
		 .offset = AT(target_timeout_ms),                                                  \
		 .arg = "DURATION",                                                                \
		 .help = "an agent has so long for one of them; 30s without it",                   \
		 .no_env = true},                                                                  \
		OUTPUT_ROW, NAMESPACE_ROW, HUB_ROWS
static const struct cox_option appset_plan_rows[] = {FILES_ROW, PLAN_ROWS, {0}};
static const struct cox_option rollout_plan_rows[] = {PLAN_ROWS, {0}};
#define AS_ROW                                                                                     \
	TEXT_ROW("as", as, "NAME",                                                                 \
		 "who does it, with the admin's token; with a named one it must be its name")
static const struct cox_option act_rows[] = {AS_ROW, OUTPUT_ROW, NAMESPACE_ROW, HUB_ROWS, {0}};
static const struct cox_option abort_rows[] = {
	FLAG_ROW("back", back, "and return what it has moved, the last wave first"),
	AS_ROW,
	OUTPUT_ROW,
	NAMESPACE_ROW,
	HUB_ROWS,
	{0}};
static const struct cox_option approve_rows[] = {
	TEXT_ROW("digest", digest, "SHA256",
		 "only what this names (approvalDigest of `cox rollout status -o yaml`)"),
	AS_ROW,
	OUTPUT_ROW,
	NAMESPACE_ROW,
	HUB_ROWS,
	{0}};
static const struct cox_option confirm_rows[] = {
	TEXT_ROW("digest", digest, "SHA256",
		 "what may be deleted, as its condition DeletionHeld says"),
	NAMESPACE_ROW,
	HUB_ROWS,
	{0}};
#define TOKEN_OUT_ROW TEXT_ROW("token-out", token_out, "FILE", "write the token there, mode 0600")
static const struct cox_option add_rows[] = {
	TEXT_ROW("server", server, "URL", "by which destinations name it, besides its name"),
	{.name = "label",
	 .letter = 'l',
	 .kind = COX_OPT_LIST,
	 .offset = AT(labels),
	 .arg = "KEY=VALUE",
	 .help = "may be given more than once",
	 .no_env = true},
	TOKEN_OUT_ROW,
	OUTPUT_ROW,
	HUB_ROWS,
	{0}};
static const struct cox_option token_rows[] = {
	TEXT_ROW("ttl", ttl, "DURATION", "how long it may be used"),
	TOKEN_OUT_ROW,
	OUTPUT_ROW,
	HUB_ROWS,
	{0}};

static const struct cox_option token_create_rows[] = {
	TEXT_ROW("ttl", ttl, "DURATION", "how long it may be used, as 12h or 90d; 90d without it"),
	TEXT_ROW("output-file", output_file, "FILE",
		 "write the token there, mode 0600, instead of to standard output"),
	OUTPUT_ROW,
	HUB_ROWS,
	{0}};
static const struct cox_option token_list_rows[] = {OUTPUT_ROW, HUB_ROWS, {0}};

#define MANY SIZE_MAX

const struct cox_verb cli_verbs[] = {
	{"apply", "-f FILE|DIR|-",
	 "create or update Applications, ApplicationSets, AppProjects, Clusters, "
	 "RolloutPolicies, Secrets of repositories and gates, settings (argocd-cm)",
	 apply_rows, 0, 0, cli_apply},
	{"get", "KIND [NAME]", "show objects that the hub keeps", output_rows, 1, 2, cli_get},
	{"delete", "KIND NAME...", "delete objects", delete_rows, 2, MANY, cli_delete},
	{"app list", "", "every Application, its state and where it runs", output_rows, 0, 0,
	 cli_app_list},
	{"app get", "NAME", "one Application: state, conditions, resources", output_rows, 1, 1,
	 cli_app_get},
	{"app sync", "NAME", "bring the cluster to what Git says, now", sync_rows, 1, 1,
	 cli_app_sync},
	{"app refresh", "NAME...", "look at the repository now", refresh_rows, 1, MANY,
	 cli_app_refresh},
	{"app history", "NAME", "what was deployed when, by whom", output_rows, 1, 1,
	 cli_app_history},
	{"app rollback", "NAME [ID]",
	 "deploy again what the history has under this id; without one, what was before",
	 rollback_rows, 1, 2, cli_app_rollback},
	{"app diff", "NAME", "what a sync would change, - live and + wanted; status 1 if anything",
	 diff_rows, 1, 1, cli_app_diff},
	{"app delete", "NAME...", "delete an Application, and, as its finalizer says, its objects",
	 app_delete_rows, 1, MANY, cli_app_delete},
	{"app confirm-deletion", "NAME...", "let it prune and delete what asks for a word first",
	 plain_rows, 1, MANY, cli_app_confirm_deletion},
	{"app terminate", "NAME...", "end the operation that runs", terminate_rows, 1, MANY,
	 cli_app_terminate},
	{"app resources", "NAME", "the objects of an Application, each with its state",
	 resources_rows, 1, 1, cli_app_resources},
	{"app manifests", "NAME", "what the hub rendered for it", output_rows, 1, 1,
	 cli_app_manifests},
	{"app wait", "NAME...", "wait until it is Synced and Healthy", wait_rows, 1, MANY,
	 cli_app_wait},
	{"appset list", "", "every ApplicationSet", output_rows, 0, 0, cli_appset_list},
	{"appset get", "NAME", "one ApplicationSet, and the Applications that it made", output_rows,
	 1, 1, cli_appset_get},
	{"appset refresh", "NAME...", "generate, and look at the repositories, now", plain_rows, 1,
	 MANY, cli_appset_refresh},
	{"appset confirm", "NAME",
	 "let it delete what is held back because it is beyond its budget", confirm_rows, 1, 1,
	 cli_appset_confirm},
	{"appset plan", "[NAME] [-f FILE]",
	 "what an ApplicationSet would do: applications, objects in each cluster, waves; writes "
	 "nothing",
	 appset_plan_rows, 0, 1, cli_appset_plan},
	{"appset generate", "-f FILE",
	 "the Applications that an ApplicationSet makes; Clusters in the files are the fleet",
	 generate_rows, 0, 0, cli_appset_generate},
	{"rollout list", "[APPLICATIONSET]", "rollouts, the newest first", output_rows, 0, 1,
	 cli_rollout_list},
	{"rollout status", "NAME", "how far the newest rollout is, and what it waits for",
	 output_rows, 1, 1, cli_rollout_status},
	{"rollout watch", "NAME", "its waves, live, until it is over; status 1 if it fails",
	 watch_rows, 1, 1, cli_rollout_watch},
	{"rollout why", "NAME",
	 "what it waits for: wave, gate, cluster, resource, since when, until when", output_rows, 1,
	 1, cli_rollout_why},
	{"rollout plan", "NAME",
	 "what its next rollout would do: objects in each cluster, waves, what is in the way; "
	 "writes nothing",
	 rollout_plan_rows, 1, 1, cli_rollout_plan},
	{"rollout pause", "NAME",
	 "no starts and no gates until resume, of a newer revision neither", act_rows, 1, 1,
	 cli_rollout_pause},
	{"rollout resume", "NAME", "go on; without those that failed, if a failure paused it",
	 act_rows, 1, 1, cli_rollout_resume},
	{"rollout approve", "NAME [WAVE]",
	 "say yes to what the wave would change now (printed first)", approve_rows, 1, 2,
	 cli_rollout_approve},
	{"rollout promote", "NAME", "end the soak, or skip the gate, that it waits at", act_rows, 1,
	 1, cli_rollout_promote},
	{"rollout abort", "NAME", "end it; what it deploys is not deployed again by itself",
	 abort_rows, 1, 1, cli_rollout_abort},
	{"rollout retry", "NAME", "try anew what failed, or permit again what was aborted",
	 act_rows, 1, 1, cli_rollout_retry},
	{"cluster list", "", "every cluster, and whether its agent is connected", output_rows, 0, 0,
	 cli_cluster_list},
	{"cluster get", "NAME", "one cluster", output_rows, 1, 1, cli_cluster_get},
	{"cluster add", "NAME", "register a cluster; prints what its agent needs to join", add_rows,
	 1, 1, cli_cluster_add},
	{"cluster token", "NAME", "a new one-time token for its agent", token_rows, 1, 1,
	 cli_cluster_token},
	{"token create", "NAME", "a token that acts as NAME; for the admin's token alone",
	 token_create_rows, 1, 1, cli_token_create},
	{"token list", "", "the named tokens", token_list_rows, 0, 0, cli_token_list},
	{"token revoke", "NAME...", "refuse them from now on", hub_rows, 1, MANY, cli_token_revoke},
	{"whoami", "", "as whom the hub knows your token", token_list_rows, 0, 0, cli_whoami},
	{"login", "", "keep a token, read from --token-file or standard input, for this hub",
	 hub_rows, 0, 0, cli_login},
	{"version", "", "the versions of this program and of the hub", hub_rows, 0, 0, cli_version},
	{"render", "DIR", "what the hub would deploy from this directory, as a YAML stream",
	 render_rows, 1, 1, cli_render},
	{"kustomize build", "[DIR]", "what Kustomize would build from this directory", no_rows, 0,
	 1, cli_kustomize_build},
	{"health", "-f FILE", "the health of each object: STATUS, KIND/NAME, message", health_rows,
	 0, 0, cli_health},
	{"lint", "-f FILE|DIR", "every problem of the files, as file:line:column: message",
	 files_rows, 0, 0, cli_lint},
	{0},
};

int cli_usage(struct cox_error *err, const char *format, ...)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(&text, format, args);
	va_end(args);
	(void)cox_error(err, COX_INVALID_ARGUMENT, "%s", cox_buf_cstr(&text));
	return CLI_USAGE;
}
