/* hub/cli: the `cox` command. Verbs are rows of a table (verbs.c); each row has its words, its flags
 * and a function. Some work on files alone, the others speak the hub's REST API (hub/web/README.md)
 * through client.h.
 *
 * A verb's function returns a negative code with its error, 0, CLI_FAILED (1: what it was asked for
 * is not so; it has said why), CLI_USAGE (2, with an error: the words were wrong), or CLI_CHANGES
 * (3: of a plan, when that was asked for). These become the exit status. Single-threaded; everything is job-local. */
#ifndef COX_HUB_CLI_CLI_H
#define COX_HUB_CLI_CLI_H

#include "common/base/error.h"
#include "common/base/options.h"
#include "common/doc/doc.h"

#include <stdbool.h>
#include <stdint.h>

enum { CLI_FAILED = 1, CLI_USAGE = 2, CLI_CHANGES = 3 };

/* Every flag that any verb has; a verb's rows say which of them it takes. */
struct cli_flags {
	char *hub, *token_file; /* where the hub is, and who asks */
	char *ca_file;
	bool insecure;
	char *output; /* "", wide, json, yaml, name */
	char *namespace;
	cox_strings files;
	bool dry_run, prune, force, skip_hooks, async, hard, follow;
	bool want_sync, want_health, want_operation;
	bool tree, orphaned;
	cox_strings resources;
	char *revision, *cascade;
	int64_t timeout_ms;
	char *app, *config;
	cox_strings labels;
	char *server, *ttl, *token_out, *output_file;
	/* operations */
	char *strategy, *local, *backoff_duration, *backoff_max;
	cox_strings sync_options;
	int64_t retry_limit, backoff_factor;
	bool replace, server_side, out_of_sync_only, retry_refresh, skip_gates, hooks, wait;
	/* rollouts */
	char *as, *digest;
	bool back, once, lines;
	/* deletion */
	char *propagation;
	bool forget, yes;
	bool no_exit_code;
	/* plans */
	char *policy;
	bool diff, exit_code;
	int64_t targets, target_timeout_ms;
};

struct cox_verb {
	const char *name; /* "app list" */
	const char *args; /* "NAME…", for people */
	const char *help; /* one sentence */
	const struct cox_option *rows;
	size_t min_args, max_args;
	int (*run)(const struct cli_flags *flags, const cox_strings *args, struct cox_error *err);
};

/* Ends with a row without a name. */
extern const struct cox_verb cli_verbs[];

/* Fills err; returns CLI_USAGE. */
int cli_usage(struct cox_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define CLI_RUN(f)                                                                                 \
	int f(const struct cli_flags *flags, const cox_strings *args, struct cox_error *err)

/* offline.c, lint.c */
CLI_RUN(cli_render);
CLI_RUN(cli_kustomize_build);
CLI_RUN(cli_health);
CLI_RUN(cli_lint);
CLI_RUN(cli_appset_generate);
/* objects.c */
CLI_RUN(cli_apply);
CLI_RUN(cli_get);
CLI_RUN(cli_delete);
CLI_RUN(cli_login);
CLI_RUN(cli_version);
/* app.c */
CLI_RUN(cli_app_list);
CLI_RUN(cli_app_get);
CLI_RUN(cli_app_refresh);
CLI_RUN(cli_app_resources);
CLI_RUN(cli_app_manifests);
CLI_RUN(cli_app_wait);
/* operation.c */
CLI_RUN(cli_app_sync);
CLI_RUN(cli_app_history);
CLI_RUN(cli_app_rollback);
CLI_RUN(cli_app_terminate);
CLI_RUN(cli_app_delete);
CLI_RUN(cli_app_confirm_deletion);
/* diff.c */
CLI_RUN(cli_app_diff);
/* fleet.c */
CLI_RUN(cli_appset_list);
CLI_RUN(cli_appset_get);
CLI_RUN(cli_appset_refresh);
CLI_RUN(cli_appset_confirm);
/* rollout.c, watch.c */
CLI_RUN(cli_rollout_list);
CLI_RUN(cli_rollout_status);
CLI_RUN(cli_rollout_watch);
/* plan.c */
CLI_RUN(cli_appset_plan);
CLI_RUN(cli_rollout_plan);
/* rollout_verbs.c */
CLI_RUN(cli_rollout_pause);
CLI_RUN(cli_rollout_resume);
CLI_RUN(cli_rollout_approve);
CLI_RUN(cli_rollout_promote);
CLI_RUN(cli_rollout_abort);
CLI_RUN(cli_rollout_retry);
CLI_RUN(cli_rollout_why);
/* token.c */
CLI_RUN(cli_token_create);
CLI_RUN(cli_token_list);
CLI_RUN(cli_token_revoke);
CLI_RUN(cli_whoami);
/* fleet.c */
CLI_RUN(cli_cluster_list);
CLI_RUN(cli_cluster_get);
CLI_RUN(cli_cluster_add);
CLI_RUN(cli_cluster_token);

/* ---- files (input.c) ---- */

/* Every document of the files; "-" is standard input, a folder is its .yaml, .yml and .json files in
 * order of their names, with those of its folders when `recurse`. Documents are named by the file's
 * path. COX_INVALID_ARGUMENT when there is none. */
int cli_read_files(const cox_strings *files, bool recurse, cox_docs *ret_docs,
		   struct cox_error *err);
/* A List becomes its items. */
void cli_expand_lists(cox_docs *docs);
/* The paths alone, the caller's. */
int cli_list_files(const cox_strings *files, bool recurse, cox_strings *ret_paths,
		   struct cox_error *err);
/* JSON by its name, YAML otherwise. */
int cli_read_file(const char *path, cox_docs *ret_docs, struct cox_error *err);

/* What the Application's source, as spec.source.path in `dir`, renders to (offline.c). */
int cli_render_local(const char *dir, struct cox_doc *application, cox_docs *ret_objects,
		     struct cox_error *err);

#endif
