/* What the verbs about Applications share. Private to the room. */
#ifndef COX_HUB_CLI_APP_H
#define COX_HUB_CLI_APP_H

#include "hub/cli/client.h"
#include "hub/cli/output.h"
#include "hub/model/kind.h"

/* "/api/v1/applications/-/NAME" + tail; the caller's. */
char *cli_app_path(const struct cli_flags *flags, const char *name, const char *tail);
int cli_app_fetch(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
		  const char *tail, struct cox_doc **ret_doc, struct cox_error *err);

struct cli_app_goal {
	bool sync, health, no_operation;
	bool gone; /* it is there no more: *ret_app stays as it is */
	const char *revision;
	const char *operation; /* id of the operation that shall have ended; NULL: any */
	void (*on_look)(void *ctx, const struct cox_node *app); /* each time; may be NULL */
	void *ctx;
};
/* COX_DEADLINE_EXCEEDED, with what it looks like instead, at until_ms (cox_clock_ms). */
int cli_app_wait_for(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
		     const struct cli_app_goal *goal, int64_t until_ms, struct cox_doc **ret_app,
		     struct cox_error *err);
/* Puts what --local renders to into the request, as "manifests". */
int cli_app_put_local(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
		      struct cox_doc *doc, struct cox_node *root, struct cox_error *err);
/* POSTs to each, and says that it is `done`. */
int cli_app_post_each(const struct cli_flags *flags, const cox_strings *args, const char *tail,
		      const char *done, struct cox_error *err);
/* Asks the hub to delete it, as the flags say; prints what came of it. CLI_USAGE for wrong flags. */
int cli_delete_object(struct cli_hub *hub, const struct cli_flags *flags,
		      const struct hub_kind_info *info, const char *name, struct cox_error *err);
/* diff.c: one object's differences, as the hub tells them; a value as YAML, each line behind the sign. */
void cli_print_difference(const struct cox_node *object);
void cli_print_value(char sign, const char *indent, const struct cox_node *value);
/* The state of the operation of that id; NULL: nothing is known of it. */
const struct cox_node *cli_app_operation(const struct cox_node *app, const char *id);
/* tree.c: /resource-tree, printed. */
int cli_app_tree(struct cli_hub *hub, const struct cli_flags *flags, const char *name,
		 enum cli_format format, struct cox_error *err);
/* status.operationState, for people. */
void cli_app_print_operation(const struct cox_node *state);

#endif
