/* What the files of this room share. */
#ifndef HUB_WEB_INTERNAL_H
#define HUB_WEB_INTERNAL_H

#include "common/doc/json.h"
#include "hub/web/web.h"

#include "common/base/vec.h"
#include "common/crypto/token.h"

#define WEB_SEGMENTS 8

/* Named tokens */
#define WEB_MAX_TOKENS	     1000
#define WEB_TOKEN_NAME_MAX   63
#define WEB_TOKEN_TTL	     "90d"
#define WEB_TOKEN_MAX_TTL_MS (INT64_C(366) * 24 * 60 * 60 * 1000)
#define WEB_WHO_MAX	     (2 * WEB_TOKEN_NAME_MAX + 16)

struct web_token {
	char *name;
	uint8_t hash[COX_SHA256_BYTES];
	int64_t created_ms, expires_ms; /* wall clock */
};

struct hub_web {
	struct hub_web_options options;
	struct cox_loop *loop;
	struct hub_control *control;
	struct cox_http_server *server;
	uint8_t token_hash[COX_SHA256_BYTES]; /* the admin's */
	COX_VEC(struct web_token) tokens;     /* by name */
	struct cox_list streams;
	uint64_t requests, refused;
};

/* A request on its way through: what the path's variables were. */
struct web_call {
	struct hub_web *web;
	struct cox_http_request *request;
	const char *vars[WEB_SEGMENTS]; /* in the order of the pattern */
	size_t n_vars;
	/* Whose token it is that came with it; "" on an open route without one. Copies: a token may be
	 * revoked while its request waits for an answer. */
	char who[WEB_TOKEN_NAME_MAX + 1]; /* "admin", or a token's name */
	bool admin;
	uint8_t token[COX_SHA256_BYTES]; /* its hash */
};

typedef void web_handler(struct web_call *call);

struct web_route {
	const char *method;
	const char *pattern; /* segments; ":" stands for any */
	web_handler *handler;
	bool open; /* needs no token */
};

/* ---- answers ---- */

void web_reply_error(struct cox_http_request *request, const struct cox_error *err);
void web_reply_code(struct cox_http_request *request, enum cox_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void web_reply_node(struct cox_http_request *request, int status, const struct cox_node *node);
/* Commits the batch, and answers when it is durable. */
void web_reply_after(struct web_call *call, struct hub_batch *batch_taken, int status,
		     const struct cox_node *node);
/* The body as a document; an empty one is an empty map. */
int web_body(struct web_call *call, struct cox_doc **ret_doc, struct cox_error *err);
/* "true", "1", "" (given without a value). */
bool web_flag(struct web_call *call, const char *name);

/* ---- who asks (tokens.c) ---- */

int web_tokens_load(struct hub_web *w, char **ret_path, struct cox_error *err);
void web_tokens_fini(struct hub_web *w);
/* Fills in who the call's token says that it is; false: no token that may be used. */
bool web_authenticate(const struct hub_web *w, struct web_call *call);
/* Whether a token with this hash may (still) be used. */
bool web_token_holds(const struct hub_web *w, const uint8_t hash[COX_SHA256_BYTES]);
/* Who it is that acts, for audits: the token's name. claim: who the client says that it acts as; another
 * one than the token's is refused. The admin's token is nobody's, so with it the client's word is kept
 * as what it is: "admin (says NAME)", claim's or else user's. claim, user: may be NULL. */
int web_who(const struct web_call *call, const char *claim, const char *user,
	    char ret_who[WEB_WHO_MAX], struct cox_error *err);

/* ---- handlers ---- */

/* objects.c */
web_handler web_apply, web_list, web_get, web_delete, web_get_namespaced, web_delete_namespaced;
/* apps.c */
web_handler web_sync, web_rollback, web_refresh, web_terminate, web_resources, web_manifests,
	web_refresh_set, web_confirm_deletion, web_confirm_set, web_diff, web_tree;
/* rollouts.c */
web_handler web_rollouts, web_rollout, web_rollout_by_id, web_rollout_watch, web_rollout_act;
void web_streams_fini(struct hub_web *w);
/* plans.c */
web_handler web_plan_set, web_plan_rollout;
/* Ends those whose token holds no more. */
void web_streams_review(struct hub_web *w);
/* tokens.c */
web_handler web_token_create, web_token_list, web_token_revoke, web_whoami;
/* clusters.c */
web_handler web_cluster_add, web_cluster_token;
/* system.c */
web_handler web_healthy, web_ready, web_version, web_metrics;

#endif
