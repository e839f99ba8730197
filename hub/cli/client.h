/* The hub, as a verb sees it: one call after the other, each waited for. A loop of its own runs
 * underneath (common/net/http_client.h). Job-local. */
#ifndef COX_HUB_CLI_CLIENT_H
#define COX_HUB_CLI_CLIENT_H

#include "common/run/loop.h"
#include "hub/cli/cli.h"

struct cli_hub;

/* From --hub or COX_HUB, COX_TOKEN, or what `cox login` wrote. Connects to nothing yet. */
int cli_hub_open(const struct cli_flags *flags, struct cli_hub **ret_hub, struct cox_error *err);
void cli_hub_close(struct cli_hub *hub);
DEFINE_CLEANUP(struct cli_hub *, cli_hub_close);
#define _cleanup_hub_ COX_CLEANUP(cli_hub_close_p)

const char *cli_hub_url(const struct cli_hub *hub);
/* Instead of the one that was found; copied. */
void cli_hub_set_token(struct cli_hub *hub, const char *token);

/* body: a node to be sent as JSON, or NULL. *ret_doc (ret_doc may be NULL) is the sealed answer, the
 * caller's. A refusal by the hub is its own code and sentence. */
int cli_hub_call(struct cli_hub *hub, const char *method, const char *path,
		 const struct cox_node *body, struct cox_doc **ret_doc, struct cox_error *err);
#define CLI_GET(hub, path, ret, err) cli_hub_call((hub), "GET", (path), NULL, (ret), (err))

/* Follows an event stream: calls on_event with each event's data until that gives non-zero, which
 * is the result, or the stream ends: 0. */
int cli_hub_follow(struct cli_hub *hub, const char *path,
		   int (*on_event)(void *ctx, struct cox_doc *doc, struct cox_error *err),
		   void *ctx, struct cox_error *err);

/* The same of any method; body may be NULL. A plan may be large. */
int cli_hub_stream(struct cli_hub *hub, const char *method, const char *path,
		   const struct cox_node *body,
		   int (*on_event)(void *ctx, struct cox_doc *doc, struct cox_error *err),
		   void *ctx, struct cox_error *err);
/* From a callback on the hub's loop: ends the cli_hub_follow that runs, with that result. */
void cli_hub_leave(struct cli_hub *hub, int result);
/* Where calls run; for timers and signals beside them. */
struct cox_loop *cli_hub_loop(struct cli_hub *hub);

/* "/api/v1/applications/-/web/sync": the path of an object, each part encoded. name may be
 * "NAMESPACE/NAME"; namespace NULL: "-". kind_plural is as in the table of kinds. tail: "" or
 * "/sync". The caller's. */
char *cli_object_path(const char *kind_plural, bool namespaced, const char *namespace,
		      const char *name, const char *tail);

/* ---- credentials (credentials.c) ---- */

/* The token for this hub in the file of `cox login`; *ret_token NULL when there is none. */
int cli_credentials_find(const char *url, char **ret_token, struct cox_error *err);
/* Writes it, mode 0600. *ret_path is the caller's. */
int cli_credentials_store(const char *url, const char *token, char **ret_path,
			  struct cox_error *err);

#endif
