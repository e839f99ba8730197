/* Wires over TCP, with TLS or without, by nng's streams; nng ends here.
 *
 * A stream is locked by its own mutex, which is taken after the mutex of the connection above and
 * never while an event is made. At most one receive and one send are under way in nng; a send takes
 * all that is encrypted by then, so that small frames share a record. An idle stream holds 4 KiB;
 * buffers grow to 64 KiB under load and go when drained. nng's timers are never used.
 *
 * The order of the end, which nng needs: close; both operations have returned; on_closed; then
 * free, on the loop. Listeners and dialers are loop-owned. */
#ifndef COX_NET_STREAM_H
#define COX_NET_STREAM_H

#include "common/net/wire.h"
#include "common/run/loop.h"

struct cox_listener;

/* address: "HOST:PORT", "[ADDRESS]:PORT", ":PORT". on_accept gives a wire that is not started, the
 * callee's. Listens with a backlog of 4096 (as far as the system lets). When descriptors run out,
 * accepting rests for 100 ms. */
int cox_listener_new(struct cox_loop *loop, const char *address,
		     void (*on_accept)(void *ctx, struct cox_wire *wire), void *ctx,
		     struct cox_listener **ret_listener, struct cox_error *err);
/* With the port that was bound. */
const char *cox_listener_address(const struct cox_listener *listener);
/* No on_accept any more; frees itself in a later turn, then calls on_stopped (may be NULL). */
void cox_listener_stop(struct cox_listener *listener, void (*on_stopped)(void *ctx), void *ctx);

struct cox_dial;

/* Connects to a literal address ("192.0.2.7:443", "[::1]:443"). done comes once, in a later turn,
 * with a wire that is not started, or NULL and the reason. The dial is gone after done. */
int cox_dial_start(struct cox_loop *loop, const char *address,
		   void (*done)(void *ctx, struct cox_wire *wire, const struct cox_error *why),
		   void *ctx, struct cox_dial **ret_dial, struct cox_error *err);
/* done follows, with a reason. */
void cox_dial_cancel(struct cox_dial *dial);

#endif
