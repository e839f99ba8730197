/* Joining, over COX_ALPN_ENROL: one DATA frame with an EnrolRequest, one with an EnrolResponse and
 * a STATUS, or the STATUS alone. Inside of the RPC runtime; loop-owned. */
#ifndef COX_NET_RPC_ENROL_H
#define COX_NET_RPC_ENROL_H

#include "common/net/rpc_conn.h"

/* The hub's side, for its connection's on_enrol. Calls on_request once, when the request is whole.
 * The connection is closed for whoever does not keep to the protocol. */
void cox_enrol_serve(struct cox_rpc_conn *conn,
		     void (*on_request)(void *ctx, struct cox_rpc_enrolment *enrolment,
					const Coxswain__Enrol__V1__EnrolRequest *request,
					const char *peer_address),
		     void *ctx);
/* The connection is gone: an answer that comes later is dropped. */
void cox_enrol_conn_gone(struct cox_rpc_conn *conn);
/* Answers with a status and closes, before there was a request. */
void cox_enrol_turn_away(struct cox_rpc_conn *conn, enum cox_code code, const char *message);

#endif
