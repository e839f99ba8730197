/* struct cox_wire: ordered bytes both ways between two processes, whatever carries them: TCP or TLS
 * (stream.c), or memory (pipe.c, for tests and simulations). The conformance suite of the protocol
 * runs over each.
 *
 * Threads: events come on any thread, one reader's (on_ready, then on_bytes in order) beside one
 * writer's (on_sent); on_closed comes once, after all others have returned. None is made from
 * inside send or close. send, close, alpn and peer may be called on any thread; start and free on
 * the loop's. */
#ifndef COX_NET_WIRE_H
#define COX_NET_WIRE_H

#include "common/net/tls.h"

struct cox_wire;

struct cox_wire_events {
	void (*on_ready)(void *ctx); /* bytes may be sent; the peer is verified */
	void (*on_bytes)(void *ctx, const uint8_t *bytes, size_t n);
	void (*on_sent)(void *ctx); /* what send took has left */
	void (*on_closed)(void *ctx, const struct cox_error *why);
};

struct cox_wire_ops {
	void (*start)(struct cox_wire *wire, struct cox_tls_context *tls);
	void (*send)(struct cox_wire *wire, struct cox_buf *bytes);
	void (*close)(struct cox_wire *wire);
	void (*free)(struct cox_wire *wire);
	const char *(*alpn)(struct cox_wire *wire);
	void (*peer)(struct cox_wire *wire, struct cox_tls_peer *ret_peer);
};

struct cox_wire {
	const struct cox_wire_ops *ops;
	const struct cox_wire_events *events;
	void *ctx;
	char address[64]; /* of the peer */
};

/* Begins to read (and the TLS handshake). tls NULL: plain. */
static inline void cox_wire_start(struct cox_wire *wire, struct cox_tls_context *tls,
				  const struct cox_wire_events *events, void *ctx)
{
	wire->events = events;
	wire->ctx = ctx;
	wire->ops->start(wire, tls);
}

/* Takes what is in bytes (which is empty afterwards). Only after on_ready, and one at a time: the
 * next after on_sent. After a close it is dropped, and on_sent does not come. */
static inline void cox_wire_send(struct cox_wire *wire, struct cox_buf *bytes)
{
	wire->ops->send(wire, bytes);
}

/* on_closed follows (if it was started). Harmless when closed. */
static inline void cox_wire_close(struct cox_wire *wire)
{
	wire->ops->close(wire);
}

/* Of one that was never started, or after on_closed. */
static inline void cox_wire_free(struct cox_wire *wire)
{
	if (wire)
		wire->ops->free(wire);
}

/* "" without TLS. Static storage. */
static inline const char *cox_wire_alpn(struct cox_wire *wire)
{
	return wire->ops->alpn(wire);
}

static inline void cox_wire_peer(struct cox_wire *wire, struct cox_tls_peer *ret_peer)
{
	wire->ops->peer(wire, ret_peer);
}

#endif
