/* Inside of the RPC runtime: what connections, calls, server, client and enrolment share.
 *
 * struct cox_rpc_conn: a wire, a mux and the calls over it. The wire's events and the loop meet at
 * the mutex `lock`; it is held while the mux works and while bytes are handed to the wire, never
 * while a user's callback runs. nng's threads put bytes into the mux, send what it gives, and wake
 * the loop by `task` when there are events; the loop takes the events and makes the callbacks.
 *
 * States, the loop's: CONNECTING (no wire yet) → HANDSHAKE → UP → CLOSING (a last go-away leaves) →
 * gone. on_down comes when the wire has told that it is closed, or when there never was one. */
#ifndef COX_NET_RPC_CONN_H
#define COX_NET_RPC_CONN_H

#include "common/base/list.h"
#include "common/net/rpc.h"
#include "common/net/rpc_decode.h"
#include "common/net/rpc_mux.h"
#include "common/net/wire.h"
#include "proto/rpc.pb-c.h"

#include <pthread.h>

enum cox_conn_state {
	COX_CONN_CONNECTING,
	COX_CONN_HANDSHAKE,
	COX_CONN_UP,
	COX_CONN_CLOSING,
};

/* Who made the connection. The loop's. Any may be NULL but on_down. */
struct cox_conn_owner {
	int (*authorize)(void *ctx, struct cox_rpc_conn *conn, struct cox_error *err);
	void (*on_up)(void *ctx, struct cox_rpc_conn *conn);
	/* The connection is freed when this returns. */
	void (*on_down)(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why);
	/* It shall end while there is no wire: cox_conn_fail must follow, now or later. */
	void (*on_abort)(void *ctx, struct cox_rpc_conn *conn);
	/* The wire is ready with COX_ALPN_ENROL; and whenever more of it has arrived. */
	void (*on_enrol)(void *ctx, struct cox_rpc_conn *conn);
};

struct cox_rpc_conn {
	const struct cox_rpc_endpoint *endpoint;
	struct cox_rpc_settings settings; /* the endpoint's, with the defaults filled in */
	struct cox_loop *loop;
	bool is_hub;
	struct cox_wire *wire;
	struct cox_task task;

	/* under lock */
	pthread_mutex_t lock;
	struct cox_mux mux;
	bool wire_ready, wire_closed;
	bool sending;	 /* the wire has not said on_sent yet */
	unsigned corked; /* the loop is about to add more: nothing is sent until it is 0 */
	bool close_when_sent;
	bool going;   /* a go-away was said or heard: the loop looks for idleness */
	bool faulted; /* the peer broke the protocol */
	bool enrol;   /* speaks COX_ALPN_ENROL: bytes go to enrol_in */
	struct cox_buf enrol_in;
	struct cox_buf enrol_out; /* frames to be sent */
	struct cox_error fault, wire_error;

	/* the loop's */
	const struct cox_conn_owner *owner;
	void *owner_ctx;
	struct cox_list owner_node;
	enum cox_conn_state state;
	bool ready_seen;
	bool end_endless; /* we said go away: our endless calls end in the next turn */
	struct cox_rpc_peer peer;
	char *capabilities; /* "\na\nb\n" of the peer */
	struct cox_list calls, runnable;
	struct cox_timer timer;	       /* the handshake's deadline; then keepalive */
	struct cox_timer close_timer;  /* drain and last words */
	struct cox_timer expiry_timer; /* of the peer's certificate */
	struct cox_rpc_down down;
	bool has_down;
	int64_t up_ms;
	void *user;
	void *enrolment;    /* rpc_enrol.c's */
	bool enrol_counted; /* rpc_server.c's: against the limit of its address */
};

/* In CONNECTING, for at most three times the handshake's deadline. */
struct cox_rpc_conn *cox_conn_new(const struct cox_rpc_endpoint *endpoint, bool is_hub,
				  const struct cox_conn_owner *owner, void *owner_ctx);
/* Takes the wire and starts it. The handshake's deadline begins to run. */
void cox_conn_attach(struct cox_rpc_conn *conn, struct cox_wire *wire, struct cox_tls_context *tls);
/* The connection ends with this reason; a go-away is said when the wire is ready. */
void cox_conn_shutdown(struct cox_rpc_conn *conn, enum cox_rpc_goaway reason, const char *text,
		       uint32_t retry_after_ms);
/* Before there is a wire: on_down follows in a later turn. */
void cox_conn_fail(struct cox_rpc_conn *conn, const struct cox_error *why);
/* Under lock: sends what can be sent. */
void cox_conn_pump(struct cox_rpc_conn *conn);
/* What is queued between the two leaves together. Nests. */
void cox_conn_cork(struct cox_rpc_conn *conn);
void cox_conn_uncork(struct cox_rpc_conn *conn);
/* Closes when all that was handed over has left. */
void cox_conn_close_when_sent(struct cox_rpc_conn *conn);
/* The loop looks again: something became runnable, or idle. */
void cox_conn_wake(struct cox_rpc_conn *conn);
void cox_settings_fill(struct cox_rpc_settings *settings);

/* ---- calls (rpc_call.c), for the connection ---- */

/* Takes the event: of a stream, but no OPEN. */
void cox_call_event(struct cox_rpc_conn *conn, struct cox_mux_event *event);
/* Takes the OPEN event of a new stream. */
void cox_call_accept(struct cox_rpc_conn *conn, struct cox_mux_event *event);
/* Delivers what became possible by a resume. */
void cox_call_run_pending(struct cox_rpc_conn *conn);
/* Ends all calls with this. */
void cox_call_end_all(struct cox_rpc_conn *conn, enum cox_code code, const char *message);
/* Ends those of ours that are endless. */
void cox_call_end_endless(struct cox_rpc_conn *conn, const char *message);

/* A Status as bytes, the caller's. */
void cox_status_pack(struct cox_buf *out, enum cox_code code, const char *message,
		     struct cox_str details);

#endif
