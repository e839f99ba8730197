/* Inside of the RPC runtime: dials for a connection of any owner. Loop-owned. */
#ifndef COX_NET_RPC_CLIENT_H
#define COX_NET_RPC_CLIENT_H

#include "common/net/rpc_conn.h"

/* owner's on_abort is not used. on_down comes for the connection if this returns 0. */
int cox_client_dial(const struct cox_rpc_endpoint *endpoint,
		    const struct cox_rpc_dial_options *options, const struct cox_conn_owner *owner,
		    void *owner_ctx, struct cox_rpc_conn **ret_conn, struct cox_error *err);

#endif
