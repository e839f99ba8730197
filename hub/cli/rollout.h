/* What the rollout verbs share. */
#ifndef COX_HUB_CLI_ROLLOUT_H
#define COX_HUB_CLI_ROLLOUT_H

#include "hub/cli/cli.h"
#include "hub/cli/output.h"

/* An id has no '/' and is a UUID; every other word names an ApplicationSet or an Application. */
bool cli_rollout_is_id(const char *word);
/* Its path in the API, the caller's; tail: "" or "/watch". */
char *cli_rollout_path(const struct cli_flags *flags, const char *word, const char *tail);
/* It is over, and no way back follows. *ret_failed: not with success; a way back, however it ended,
 * is none. */
bool cli_rollout_is_over(const struct cox_node *rollout, bool *ret_failed);

/* `cox rollout watch` on a terminal (watch_screen.c): the picture, redrawn in place. *ret_failed as
 * above. */
struct cli_hub;
int cli_watch_screen(struct cli_hub *hub, const char *path, bool follow, bool *ret_failed,
		     struct cox_error *err);
/* How far the hub's clock, as a document that has just come tells it to the second, is ahead of ours. */
int64_t cli_watch_ahead(const struct cox_node *rollout);
/* One picture to standard output, as of now. */
void cli_watch_once(const struct cox_node *rollout, int64_t ahead_ms);

#endif
