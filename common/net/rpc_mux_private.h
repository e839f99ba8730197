/* What the files of the state machine share: rpc_mux.c (streams, events, calls, keepalive),
 * rpc_mux_in.c (frames that arrive), rpc_mux_out.c (frames that go). Locked as rpc_mux.h says. */
#ifndef COX_NET_RPC_MUX_PRIVATE_H
#define COX_NET_RPC_MUX_PRIVATE_H

#include "common/base/mem.h"
#include "common/net/rpc_mux.h"

/* Bytes of length ahead of a message. */
#define MUX_MESSAGE_PREFIX 4

/* ---- streams ---- */

/* With two references, the table's and the call's, and no id yet. */
struct cox_mux_stream *mux_stream_new(struct cox_mux *mux, uint8_t lane, bool ours, void *call);
void mux_unref(struct cox_mux_stream *s);
/* NULL: none is open with this id. */
struct cox_mux_stream *mux_lookup(const struct cox_mux *mux, uint32_t id);
/* Into the table; it has its id now. */
void mux_add_stream(struct cox_mux *mux, struct cox_mux_stream *s);
/* The stream is over on the wire: out of the table and the lists. The caller holds a reference of
 * its own if it goes on to use it. */
void mux_close_stream(struct cox_mux *mux, struct cox_mux_stream *s);

/* ---- events ---- */

/* Takes a reference of s (may be NULL). Not posted yet. */
struct cox_mux_event *mux_event_new(struct cox_mux *mux, enum cox_mux_event_kind kind,
				    struct cox_mux_stream *s, size_t len);
void mux_post(struct cox_mux *mux, struct cox_mux_event *event);
void mux_post_payload(struct cox_mux *mux, enum cox_mux_event_kind kind, struct cox_mux_stream *s,
		      const void *payload, size_t len);

/* ---- the way out ---- */

/* Queues a control frame. */
void mux_control(struct cox_mux *mux, uint8_t type, uint32_t stream, const void *payload,
		 size_t len);
/* Both give credit back when a quarter of a window has come together. */
void mux_return_connection_credit(struct cox_mux *mux);
void mux_return_stream_credit(struct cox_mux *mux, struct cox_mux_stream *s, uint32_t n);
/* A stream with something to send is in its lane's ready list, unless it waits for credit of its
 * own. */
void mux_update_ready(struct cox_mux *mux, struct cox_mux_stream *s);

#endif
