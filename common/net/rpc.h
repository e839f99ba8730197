/* Coxswain's own RPC: gRPC's meaning over one long-lived connection that the agent opened. Both
 *ends serve and call; unary, server-streaming, client-streaming and bidirectional calls, with
 *deadlines, cancellation, metadata, status codes, lanes, credit, keepalive and go-away.
 *docs/protocol.md is the wire; proto/rpc.proto its control messages; `protobuf-c` service
 *descriptors name the methods.
 *
 * Threads: everything here is called on the loop's thread, and every callback comes on it. Beneath,
 * nng's threads do TLS and framing under the connection's mutex and hand whole messages to the
 *loop. No callback is ever made from inside a function of this header: they come in a later turn of
 *the loop, in the order of the wire.
 *
 * Ownership: a connection or call is the library's; the pointer is good until its last callback
 * (on_down, on_end) returns, or until the function that gives it up (cox_rpc_call_cancel,
 * cox_rpc_call_finish, …) is called. All of those may be called inside any callback.
 *
 * A caller:
 *
 *	static const struct cox_rpc_call_events events = {.on_message = got, .on_end = ended};
 *	struct cox_rpc_call *call;
 *	cox_rpc_call_start(conn, &coxswain__bundle__v1__bundles__descriptor, "Fetch",
 *			   &(struct cox_rpc_call_options){.kind = COX_RPC_SERVER_STREAM,
 *							  .lane = COX_LANE_BULK},
 *			   &events, user, &call, err);
 *	cox_rpc_call_send_last(call, &request.base, err);
 *
 * A callee fills a struct cox_rpc_service and gives it to its endpoint.
 */
#ifndef COX_NET_RPC_H
#define COX_NET_RPC_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/rand.h"
#include "common/net/tls.h"
#include "common/run/loop.h"
#include "common/run/pool.h"
#include "proto/enrol.pb-c.h"

#include <protobuf-c/protobuf-c.h>

struct cox_rpc_conn;
struct cox_rpc_call;
struct cox_rpc_server;
struct cox_rpc_client;
struct cox_rpc_enrolment;

#define COX_RPC_VERSION_MIN 1
#define COX_RPC_VERSION_MAX 1

/* Never behind a higher one: the lane of a call is that of all its messages, both ways. */
enum cox_rpc_lane {
	COX_LANE_CONTROL = 0,	 /* small and urgent */
	COX_LANE_ASSIGNMENT = 1, /* desired state */
	COX_LANE_REPORT = 2,	 /* observed state */
	COX_LANE_BULK = 3,	 /* bundles, logs */
};

/* How many messages go each way; both ends must mean the same. */
enum cox_rpc_kind { COX_RPC_UNARY, COX_RPC_SERVER_STREAM, COX_RPC_CLIENT_STREAM, COX_RPC_BIDI };

/* How a call ended. All borrowed. */
struct cox_rpc_status {
	enum cox_code code;
	const char *message;	/* never NULL */
	struct cox_str details; /* bytes that the method defines; may be empty */
};

struct cox_rpc_pair {
	const char *key, *value;
};

/* ---- what an endpoint serves ---- */

/* on_start comes when the call opens; then on_message for each request; then on_half_close when the
 * caller has sent its last. on_end comes when the call ended without the callee's doing: cancelled,
 * deadline passed, connection lost; it is the last callback then. It does not come after
 * cox_rpc_call_finish or cox_rpc_call_reply. Any may be NULL.
 * msg is borrowed until on_message returns, unless cox_rpc_call_take_message is called. */
struct cox_rpc_method {
	const char *name; /* as the descriptor has it */
	enum cox_rpc_kind kind;
	size_t max_request_bytes; /* 0: COX_LIMIT_MESSAGE_BYTES */
	void (*on_start)(struct cox_rpc_call *call, void *ctx);
	void (*on_message)(struct cox_rpc_call *call, const ProtobufCMessage *msg);
	void (*on_half_close)(struct cox_rpc_call *call);
	void (*on_writable)(struct cox_rpc_call *call);
	void (*on_end)(struct cox_rpc_call *call, const struct cox_rpc_status *status);
};

/* Methods of the descriptor that are not in the table answer unimplemented. */
struct cox_rpc_service {
	const ProtobufCServiceDescriptor *descriptor;
	const struct cox_rpc_method *methods;
	size_t n_methods;
	void *ctx; /* for on_start; also cox_rpc_call_service_ctx */
};

/* Sizes and times; zero means the default that stands beside it. */
struct cox_rpc_settings {
	uint32_t stream_window;	    /* 256 KiB that the peer may send on a stream unconsumed */
	uint32_t connection_window; /* 512 KiB */
	uint32_t max_streams;	    /* 256 calls that the peer may have open */
	uint32_t max_message_bytes; /* COX_LIMIT_MESSAGE_BYTES, either way */
	uint32_t max_decode_bytes;  /* COX_LIMIT_DECODE_BYTES for one decoded message */
	uint32_t send_queue_bytes;  /* 8 MiB: unsent bytes of one call before send refuses */
	uint32_t writable_bytes;    /* 64 KiB: above it a call is not writable */
	uint32_t handshake_ms;	    /* 5 s for TLS, authorisation and hello */
	uint32_t keepalive_ms;	    /* 20 s without a byte received: PING (spread by 20 %) */
	uint32_t keepalive_dead_ms; /* 10 s later: dead */
	uint32_t drain_ms;	    /* 10 s for open calls after a go-away */
	uint32_t max_pings_per_s;   /* 10 */
	uint32_t max_opens_per_s;   /* 10000 */
	uint32_t max_cancels_per_s; /* 1000 */
};

/* What a process says of itself and what it serves, for all its connections. Must outlive them.
 * Loop-owned; highest_epoch, assignments_digest and epoch are read when a hello is sent. */
struct cox_rpc_endpoint {
	struct cox_loop *loop;
	struct cox_rpc_settings settings;
	const struct cox_rpc_service *const *services;
	size_t n_services;
	const char *software_version;
	const char *instance_uuid;
	const char *boot_id;
	const char *const *capabilities;   /* NULL-terminated; may be NULL */
	uint32_t version_min, version_max; /* 0: COX_RPC_VERSION_MIN, _MAX */
	uint64_t highest_epoch;		   /* agent: it has seen; hub: its own */
	struct cox_str assignments_digest; /* agent */
};

/* ---- connections ---- */

struct cox_rpc_peer {
	struct cox_tls_peer tls; /* uri is the identity; zeroed over a plain pipe */
	char address[64];	 /* "192.0.2.7:41234" or "[::1]:41234" */
	uint32_t version;	 /* negotiated */
	char software_version[64];
	char instance_uuid[64];
	char boot_id[64];
	uint64_t highest_epoch; /* hub: the agent has seen; agent: the hub's own */
	uint8_t assignments_digest[32];
	bool has_assignments_digest;
};

enum cox_rpc_goaway {
	COX_GOAWAY_SHUTDOWN = 0,
	COX_GOAWAY_REAUTH = 1,
	COX_GOAWAY_DUPLICATE = 2,
	COX_GOAWAY_REBALANCE = 3,
	COX_GOAWAY_PROTOCOL_ERROR = 4,
	COX_GOAWAY_OVERLOAD = 5,
	COX_GOAWAY_REFUSED = 6,
};

/* Why a connection is gone. */
struct cox_rpc_down {
	struct cox_error error;	    /* always with a sentence */
	bool got_goaway;	    /* the peer said go away */
	enum cox_rpc_goaway goaway; /* its reason */
	uint32_t retry_after_ms;    /* connect again no sooner; 0: as the back-off says */
	bool was_up;
};

const struct cox_rpc_peer *cox_rpc_conn_peer(const struct cox_rpc_conn *conn);
bool cox_rpc_conn_has_capability(const struct cox_rpc_conn *conn, const char *name);
void cox_rpc_conn_set_user(struct cox_rpc_conn *conn, void *user);
void *cox_rpc_conn_user(const struct cox_rpc_conn *conn);
/* Up, and new calls may be started: no go-away either way, not closed. */
bool cox_rpc_conn_is_open(const struct cox_rpc_conn *conn);
/* Tells the peer to open no more calls; closes when the open ones have ended, at the latest after
 * the endpoint's drain_ms. retry_after_ms: the peer shall not come back sooner. */
void cox_rpc_conn_goaway(struct cox_rpc_conn *conn, enum cox_rpc_goaway reason, const char *text,
			 uint32_t retry_after_ms);
/* Closes now (a go-away with the reason is tried first, without waiting). on_down follows. */
void cox_rpc_conn_close(struct cox_rpc_conn *conn, enum cox_rpc_goaway reason, const char *text);
/* Bytes and calls, for metrics. */
struct cox_rpc_conn_stats {
	uint64_t bytes_in, bytes_out; /* frames, before TLS */
	uint64_t calls_in, calls_out;
	uint32_t calls_open;
	int64_t rtt_us; /* of the last PING; 0: none yet */
	int64_t up_ms;	/* since when, cox_clock_ms; 0: not up */
};
void cox_rpc_conn_stats(const struct cox_rpc_conn *conn, struct cox_rpc_conn_stats *ret_stats);

/* ---- calls, both sides ---- */

struct cox_rpc_call_options {
	enum cox_rpc_kind kind;
	enum cox_rpc_lane lane;
	uint32_t deadline_ms; /* from now; 0: none */
	const struct cox_rpc_pair *metadata;
	size_t n_metadata;	   /* at most 32; 16 KiB together with the method's name */
	size_t max_response_bytes; /* 0: COX_LIMIT_MESSAGE_BYTES */
	/* Has no end of its own, as a watch: is cancelled (on_end with COX_UNAVAILABLE) as soon as
	 * either side says go away, instead of being waited for. */
	bool endless;
};

/* on_end always comes, last, and once, unless cox_rpc_call_cancel was called. Any may be NULL. */
struct cox_rpc_call_events {
	void (*on_message)(struct cox_rpc_call *call, const ProtobufCMessage *msg);
	void (*on_writable)(struct cox_rpc_call *call);
	void (*on_end)(struct cox_rpc_call *call, const struct cox_rpc_status *status);
};

/* method is the name in the descriptor. -COX_UNAVAILABLE when the connection is not open,
 * -COX_RESOURCE_EXHAUSTED when the peer allows no more streams. events must outlive the call. */
int cox_rpc_call_start(struct cox_rpc_conn *conn, const ProtobufCServiceDescriptor *service,
		       const char *method, const struct cox_rpc_call_options *options,
		       const struct cox_rpc_call_events *events, void *user,
		       struct cox_rpc_call **ret_call, struct cox_error *err);
/* A unary call in one: a request of up to 16 KiB travels in the frame that opens the stream.
 * ret_call may be NULL. done gets the response (NULL unless status is OK), and is not called after
 * cox_rpc_call_cancel. */
int cox_rpc_call_unary(struct cox_rpc_conn *conn, const ProtobufCServiceDescriptor *service,
		       const char *method, const struct cox_rpc_call_options *options,
		       const ProtobufCMessage *request,
		       void (*done)(void *user, const struct cox_rpc_status *status,
				    const ProtobufCMessage *response),
		       void *user, struct cox_rpc_call **ret_call, struct cox_error *err);

enum { COX_RPC_FULL = 1 };
/* Queues a message (packed inside the call: msg stays the caller's). 0; COX_RPC_FULL: it was taken,
 * and no more should be sent until on_writable; -COX_RESOURCE_EXHAUSTED: not taken, the queue is at
 * its limit or the message too large; -COX_FAILED_PRECONDITION after a half-close. A call that has
 * ended meanwhile takes and drops it: on_end is on its way. */
int cox_rpc_call_send(struct cox_rpc_call *call, const ProtobufCMessage *msg,
		      struct cox_error *err);
/* Send and half-close. */
int cox_rpc_call_send_last(struct cox_rpc_call *call, const ProtobufCMessage *msg,
			   struct cox_error *err);
/* The caller sends no more. */
void cox_rpc_call_half_close(struct cox_rpc_call *call);
/* Less than writable_bytes wait to be sent. After a false, on_writable tells when it turns true. */
bool cox_rpc_call_is_writable(const struct cox_rpc_call *call);
/* Bytes taken and not yet on their way. */
size_t cox_rpc_call_unsent(const struct cox_rpc_call *call);

/* Caller: gives the call up; the callee is told. No callback follows, the pointer is dead. */
void cox_rpc_call_cancel(struct cox_rpc_call *call);
/* Callee: ends the call after what was sent before. No callback follows, the pointer is dead.
 * message may be NULL; details may be empty. */
void cox_rpc_call_finish(struct cox_rpc_call *call, enum cox_code code, const char *message);
void cox_rpc_call_finish_details(struct cox_rpc_call *call, enum cox_code code, const char *message,
				 struct cox_str details);
/* Callee: finish with what an error says. */
void cox_rpc_call_fail(struct cox_rpc_call *call, const struct cox_error *error);
/* Callee of a unary or client-streaming call: send one message and finish with OK. */
void cox_rpc_call_reply(struct cox_rpc_call *call, const ProtobufCMessage *msg);

/* Stops on_message (and the peer, by credit) until resumed; both sides. A message being delivered
 * counts as consumed when its on_message returns. */
void cox_rpc_call_pause(struct cox_rpc_call *call);
void cox_rpc_call_resume(struct cox_rpc_call *call);

/* Inside on_message only: the message becomes the caller's, for cox_rpc_message_free. */
struct cox_rpc_message {
	const ProtobufCMessage *base;
};
struct cox_rpc_message *cox_rpc_call_take_message(struct cox_rpc_call *call);
void cox_rpc_message_free(struct cox_rpc_message *message);
DEFINE_CLEANUP(struct cox_rpc_message *, cox_rpc_message_free);

struct cox_rpc_conn *cox_rpc_call_conn(const struct cox_rpc_call *call);
void cox_rpc_call_set_user(struct cox_rpc_call *call, void *user);
void *cox_rpc_call_user(const struct cox_rpc_call *call);
void *cox_rpc_call_service_ctx(const struct cox_rpc_call *call);
/* "coxswain.report.v1.Reports/Report" */
const char *cox_rpc_call_method(const struct cox_rpc_call *call);
/* Of the caller's metadata; NULL: none. */
const char *cox_rpc_call_metadata(const struct cox_rpc_call *call, const char *key);
/* Milliseconds left; INT64_MAX: no deadline. */
int64_t cox_rpc_call_left_ms(const struct cox_rpc_call *call);

/* ---- the hub's side: one port for agents ---- */

struct cox_rpc_server_events {
	/* After the certificate was verified, before the hello is answered. 0: welcome; negative:
	 * refused, the peer gets the sentence. peer->version and what follows are not set yet.
	 * NULL: everybody with a valid certificate. */
	int (*authorize)(void *ctx, const struct cox_rpc_peer *peer, struct cox_error *err);
	/* Hellos are exchanged. Another connection of the same identity may be up: newest wins is
	 * for this callback to do, by cox_rpc_conn_close(old, COX_GOAWAY_DUPLICATE, …). */
	void (*on_up)(void *ctx, struct cox_rpc_conn *conn);
	/* After on_end of all its calls. Only for connections that were up. */
	void (*on_down)(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why);
	/* A join. Answer, now or later, by cox_rpc_enrolment_reply or _refuse, exactly once;
	 * request is borrowed until this returns. NULL: enrolment is refused. */
	void (*on_enrol)(void *ctx, struct cox_rpc_enrolment *enrolment,
			 const Coxswain__Enrol__V1__EnrolRequest *request,
			 const char *peer_address);
};

struct cox_rpc_server_options {
	const char *listen;		  /* "127.0.0.1:0", "[::]:8443", ":8443" */
	struct cox_tls_context *tls;	  /* NULL: plain TCP, for tests */
	uint32_t max_pending;		  /* 256 connections in their handshake */
	uint32_t max_pending_per_address; /* 64, with those that wait */
	uint32_t max_waiting;		  /* 0: so many more wait, unread, for a place */
	uint32_t enrol_interval_ms;	  /* 1000: one attempt so often per address */
	uint32_t enrol_burst;		  /* 1: so many at once, when it was quiet before */
	uint32_t max_connections;	  /* 0: 20000 */
};

int cox_rpc_server_new(const struct cox_rpc_endpoint *endpoint,
		       const struct cox_rpc_server_options *options,
		       const struct cox_rpc_server_events *events, void *ctx,
		       struct cox_rpc_server **ret_server, struct cox_error *err);
/* "127.0.0.1:40123", with the port that was bound. */
const char *cox_rpc_server_address(const struct cox_rpc_server *server);
/* New connections use it from now on. */
void cox_rpc_server_set_tls(struct cox_rpc_server *server, struct cox_tls_context *tls);
/* Accepts no more, sends go-away SHUTDOWN to all, waits for them to drain, frees itself, then calls
 * on_stopped. retry_after_ms as in cox_rpc_conn_goaway. */
void cox_rpc_server_stop(struct cox_rpc_server *server, uint32_t retry_after_ms,
			 void (*on_stopped)(void *arg), void *arg);
struct cox_rpc_server_stats {
	uint32_t pending, waiting, connections;
	uint64_t accepted, refused_full, refused_address, handshake_failed, handshake_timeout;
	uint64_t enrol_limited;
};
void cox_rpc_server_stats(const struct cox_rpc_server *server,
			  struct cox_rpc_server_stats *ret_stats);

void cox_rpc_enrolment_reply(struct cox_rpc_enrolment *enrolment,
			     const Coxswain__Enrol__V1__EnrolResponse *response);
void cox_rpc_enrolment_refuse(struct cox_rpc_enrolment *enrolment, enum cox_code code,
			      const char *message);

/* ---- the agent's side ---- */

/* One connection attempt. Names are resolved in the pool, addresses tried in turn. */
struct cox_rpc_dial_options {
	const char *address;	     /* "hub.example.com:8443" */
	struct cox_tls_context *tls; /* NULL: plain TCP, for tests */
	struct cox_pool *pool;
};
/* on_up when hellos are exchanged; on_down always, last and once, also when the dial failed. */
struct cox_rpc_conn_events {
	void (*on_up)(void *ctx, struct cox_rpc_conn *conn);
	void (*on_down)(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why);
};
int cox_rpc_dial(const struct cox_rpc_endpoint *endpoint,
		 const struct cox_rpc_dial_options *options,
		 const struct cox_rpc_conn_events *events, void *ctx,
		 struct cox_rpc_conn **ret_conn, struct cox_error *err);

/* When to dial again: full jitter, 0.5 s doubling to 60 s, begun anew after 60 s up, never sooner
 * than the peer asked. */
struct cox_rpc_backoff {
	struct cox_rng rng;
	unsigned attempt;
	int64_t up_since_ms; /* 0: not up */
};
void cox_rpc_backoff_init(struct cox_rpc_backoff *backoff);
void cox_rpc_backoff_up(struct cox_rpc_backoff *backoff, int64_t now_ms);
int64_t cox_rpc_backoff_next_ms(struct cox_rpc_backoff *backoff, const struct cox_rpc_down *why,
				int64_t now_ms);

/* Joins: one request, one answer, the connection closes. tls is a client context for
 * COX_ALPN_ENROL. done comes once; response is NULL unless status is OK, borrowed. */
int cox_rpc_enrol(struct cox_loop *loop, const struct cox_rpc_dial_options *options,
		  const Coxswain__Enrol__V1__EnrolRequest *request,
		  void (*done)(void *ctx, const struct cox_rpc_status *status,
			       const Coxswain__Enrol__V1__EnrolResponse *response),
		  void *ctx, struct cox_error *err);

/* Ends nng's threads; from main, after every server, connection and dial is gone, before exit. For
 * tests and sanitizers; optional elsewhere. */
void cox_net_fini(void);

#endif
