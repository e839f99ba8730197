/* What the files of this room share. */
#ifndef HUB_WEB_INTERNAL_H
#define HUB_WEB_INTERNAL_H

#include "common/doc/json.h"
#include "hub/web/web.h"

#define WEB_SEGMENTS 8

struct hub_web {
	struct hub_web_options options;
	struct cox_loop *loop;
	struct hub_control *control;
	struct cox_http_server *server;
	uint8_t token_hash[COX_SHA256_BYTES];
	struct cox_list streams;
	uint64_t requests, refused;
};

/* A request on its way through: what the path's variables were. */
struct web_call {
	struct hub_web *web;
	struct cox_http_request *request;
	const char *vars[WEB_SEGMENTS]; /* in the order of the pattern */
	size_t n_vars;
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
/* clusters.c */
web_handler web_cluster_add, web_cluster_token;
/* system.c */
web_handler web_healthy, web_ready, web_version, web_metrics;

#endif
