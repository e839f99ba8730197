/* What the hub may ask: the Agent service. */
#include "agent/link/internal.h"

#include <stdlib.h>

typedef Coxswain__Agent__V1__ResourceRequest resource_request;
typedef Coxswain__Agent__V1__ResourceResponse resource_response;

static void refresh(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent_link *link = cox_rpc_call_service_ctx(call);
	const Coxswain__Agent__V1__RefreshRequest *q =
		(const Coxswain__Agent__V1__RefreshRequest *)msg;
	Coxswain__Agent__V1__RefreshResponse response = COXSWAIN__AGENT__V1__REFRESH_RESPONSE__INIT;
	struct cox_error err;

	if (agent_engine_refresh(link->engine, q->app_uid, &err) < 0)
		cox_rpc_call_fail(call, &err);
	else
		cox_rpc_call_reply(call, &response.base);
}

/* A question whose answer comes from the API server; the call may be gone by then. */
struct question {
	struct cox_rpc_call *call;
};

static void answered(void *arg, struct cox_str live, struct cox_str desired,
		     const struct cox_error *error)
{
	struct question *q = arg;
	resource_response response = COXSWAIN__AGENT__V1__RESOURCE_RESPONSE__INIT;

	if (q->call) {
		cox_rpc_call_set_user(q->call, NULL);
		if (error->code != COX_OK) {
			cox_rpc_call_fail(q->call, error);
		} else {
			response.live.data = (uint8_t *)live.ptr;
			response.live.len = live.len;
			response.desired.data = (uint8_t *)desired.ptr;
			response.desired.len = desired.len;
			cox_rpc_call_reply(q->call, &response.base);
		}
	}
	free(q);
}

static void resource(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent_link *link = cox_rpc_call_service_ctx(call);
	const resource_request *r = (const resource_request *)msg;
	struct cox_object_key key = {.group = cox_str(r->group),
				     .kind = cox_str(r->kind),
				     .namespace = cox_str(r->namespace_),
				     .name = cox_str(r->name)};
	struct question *q = cox_new(struct question);
	struct cox_error err;

	q->call = call;
	if (agent_engine_resource(link->engine, r->app_uid, key, answered, q, &err) < 0) {
		free(q);
		cox_rpc_call_fail(call, &err);
		return;
	}
	cox_rpc_call_set_user(call, q);
}

static void resource_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct question *q = cox_rpc_call_user(call);

	(void)status;
	if (q)
		q->call = NULL;
}

/* ---- how all of an application's objects differ ---- */

static void diff_done(void *arg, const Coxswain__Agent__V1__DiffResponse *response,
		      const struct cox_error *error)
{
	struct cox_rpc_call *call = arg;

	cox_rpc_call_set_user(call, NULL);
	if (error->code != COX_OK)
		cox_rpc_call_fail(call, error);
	else
		cox_rpc_call_reply(call, &response->base);
}

static void diff(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent_link *link = cox_rpc_call_service_ctx(call);
	const Coxswain__Agent__V1__DiffRequest *q = (const Coxswain__Agent__V1__DiffRequest *)msg;
	struct agent_diff *d = NULL;
	struct cox_error err;

	if (agent_engine_diff(link->engine, q, diff_done, call, &d, &err) < 0)
		cox_rpc_call_fail(call, &err);
	else
		cox_rpc_call_set_user(call, d);
}

static void diff_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct agent_diff *d = cox_rpc_call_user(call);

	(void)status;
	if (d)
		agent_diff_cancel(d);
}

static const struct cox_rpc_method methods[] = {
	{.name = "Refresh",
	 .kind = COX_RPC_UNARY,
	 .max_request_bytes = 4096,
	 .on_message = refresh},
	{.name = "Resource",
	 .kind = COX_RPC_UNARY,
	 .max_request_bytes = 8192,
	 .on_message = resource,
	 .on_end = resource_end},
	{.name = "Diff", .kind = COX_RPC_UNARY, .on_message = diff, .on_end = diff_end},
};

void agent_serve_init(struct agent_link *link)
{
	link->service =
		(struct cox_rpc_service){.descriptor = &coxswain__agent__v1__agent__descriptor,
					 .methods = methods,
					 .n_methods = COX_ARRAY_LEN(methods),
					 .ctx = link};
	link->services[0] = &link->service;
	link->endpoint.services = link->services;
	link->endpoint.n_services = 1;
}
