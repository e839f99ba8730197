#include "agent/link/internal.h"

#include "common/base/log.h"

#include <stdlib.h>

static void dial_again(void *arg)
{
	struct agent_link *link = arg;

	if (link->stopping)
		return;
	if (!link->identity.chain_pem)
		agent_link_join(link);
	else
		agent_link_dial(link);
}

int agent_link_new(const struct agent_link_options *options, struct agent_link **ret_link,
		   struct cox_error *err)
{
	struct agent_link *link = cox_new(struct agent_link);

	link->o = *options;
	cox_uuid_new(link->boot_id);
	cox_rpc_backoff_init(&link->backoff);
	cox_timer_init(&link->redial, options->loop, dial_again, link);
	cox_task_init(&link->pump, agent_reports_pump, link);
	agent_follow_init(link);
	int code = agent_identity_load(link, err);

	if (code < 0) {
		agent_link_free(link);
		return code;
	}
	link->endpoint.loop = options->loop;
	link->endpoint.software_version = COX_VERSION;
	link->endpoint.instance_uuid = link->instance_uuid;
	link->endpoint.boot_id = link->boot_id;
	agent_serve_init(link);
	*ret_link = link;
	return 0;
}

static void free_message(struct cox_rpc_message **m)
{
	cox_rpc_message_free(*m);
}

void agent_link_free(struct agent_link *link)
{
	if (!link)
		return;
	cox_timer_stop(&link->redial);
	cox_timer_stop(&link->pulse);
	cox_loop_unsend(link->o.loop, &link->pump);
	cox_loop_unsend(link->o.loop, &link->commit);
	if (link->uid_call)
		cox_kube_cancel(link->uid_call);
	agent_fetches_fini(link);
	COX_VEC_EACH (&link->changes, m)
		free_message(m);
	cox_vec_fini(&link->changes);
	cox_map_fini(&link->dirty);
	cox_map_fini(&link->full);
	cox_tls_context_unref(link->tls);
	agent_identity_fini(&link->identity);
	free(link->cluster_uid);
	free(link->told_error);
	free(link);
}

bool agent_link_is_up(const struct agent_link *link)
{
	return link->up;
}

/* ---- the connection ---- */

static void want_missing(void *ctx, const uint8_t digest[COX_SHA256_BYTES])
{
	agent_link_want_bundle(ctx, digest);
}

static void on_up(void *ctx, struct cox_rpc_conn *conn)
{
	struct agent_link *link = ctx;
	const struct cox_rpc_peer *peer = cox_rpc_conn_peer(conn);
	struct cox_error err;

	cox_rpc_backoff_up(&link->backoff, cox_loop_now_ms(link->o.loop));
	if (peer->highest_epoch < agent_engine_highest_epoch(link->engine)) {
		cox_log_error("the hub is older than one that this agent has obeyed: an "
			      "administrator must start it with --restored",
			      COX_KV_INT("hub_epoch", (int64_t)peer->highest_epoch),
			      COX_KV_INT("seen_epoch",
					 (int64_t)agent_engine_highest_epoch(link->engine)));
		cox_rpc_conn_close(conn, COX_GOAWAY_REFUSED, "the hub's epoch is in the past");
		return;
	}
	link->up = true;
	cox_log_info("connected to the hub", COX_KV("hub", peer->address));
	if (agent_follow_start(link, &err) < 0 || agent_reports_start(link, &err) < 0) {
		cox_log_warn("cannot follow the hub", COX_KV_ERROR(&err));
		cox_rpc_conn_close(conn, COX_GOAWAY_SHUTDOWN, "cannot follow");
		return;
	}
	agent_engine_each_missing(link->engine, want_missing, link);
	agent_fetches_start(link);
}

static void on_down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	struct agent_link *link = ctx;

	(void)conn;
	link->conn = NULL;
	link->up = false;
	agent_follow_down(link);
	agent_reports_down(link);
	agent_fetches_down(link);
	if (link->stopping) {
		if (link->stopped)
			link->stopped(link->stopped_arg);
		return;
	}
	int64_t delay = cox_rpc_backoff_next_ms(&link->backoff, why, cox_loop_now_ms(link->o.loop));

	cox_log_warn(why->was_up ? "lost the hub" : "cannot connect to the hub",
		     COX_KV("hub", link->o.hub), COX_KV("error", why->error.message),
		     COX_KV_INT("retry_ms", delay));
	cox_timer_start(&link->redial, delay);
}

static const struct cox_rpc_conn_events events = {.on_up = on_up, .on_down = on_down};

static int make_tls(struct agent_link *link, struct cox_error *err)
{
	struct cox_tls_client_options options = {
		.alpn = COX_ALPN_RPC,
		.ca_pem = cox_str(link->identity.hub_ca_pem),
		.chain_pem = cox_str(link->identity.chain_pem),
		.key_pem = cox_str(link->identity.key_pem),
	};

	return link->tls ? 0 : cox_tls_client_new(&options, &link->tls, err);
}

void agent_link_dial(struct agent_link *link)
{
	struct cox_error err;

	if (link->conn || link->stopping)
		return;
	agent_engine_digest(link->engine, link->digest);
	link->endpoint.highest_epoch = agent_engine_highest_epoch(link->engine);
	link->endpoint.assignments_digest =
		cox_str_n((const char *)link->digest, sizeof(link->digest));
	int code = make_tls(link, &err);

	if (code == 0)
		code = cox_rpc_dial(&link->endpoint,
				    &(struct cox_rpc_dial_options){.address = link->o.hub,
								   .tls = link->tls,
								   .pool = link->o.pool},
				    &events, link, &link->conn, &err);
	if (code < 0) {
		cox_log_error("cannot connect to the hub", COX_KV_ERROR(&err));
		cox_timer_start(&link->redial, 5000);
	}
}

void agent_link_start(struct agent_link *link, struct agent_engine *engine)
{
	link->engine = engine;
	dial_again(link);
}

void agent_link_stop(struct agent_link *link, void (*stopped)(void *arg), void *arg)
{
	link->stopping = true;
	link->stopped = stopped;
	link->stopped_arg = arg;
	cox_timer_stop(&link->redial);
	if (link->conn)
		cox_rpc_conn_close(link->conn, COX_GOAWAY_SHUTDOWN, "the agent stops");
	else if (!link->joining || link->uid_call)
		stopped(arg);
	/* else the attempt to join ends first, in a few seconds at most */
}
