/* The protocol's state machine: many streams over one ordered pair of byte streams. Bytes in, bytes
 * out, time as a parameter; no socket, no clock, no thread, no protobuf. What arrived comes out as
 * a list of events. One end is the hub, the other the agent; the machine is the same but for who
 * says hello first and who opens even ids.
 *
 * Threads: locked by its owner (rpc_conn.c: the connection's mutex), but for the fields of a stream
 * that are marked as the loop's.
 *
 * Streams are counted: one reference for the table while the stream is open on the wire, one for
 * each event that names it, one for the call above (taken with COX_MUX_OPEN or by cox_mux_open,
 * given back by cox_mux_release).
 *
 * Sending: each stream has a queue of items (open, messages, end, status). cox_mux_output fills a
 * buffer: control frames first, then lane by lane the streams that have something to send and the
 * credit for it, in turn, a frame of at most 16 KiB each. Ids are given when the OPEN is written,
 * so that they grow on the wire whatever the lanes do.
 *
 * Credit: a DATA frame costs its payload and 12 bytes of its stream's and the connection's window;
 * one without payload is free. The connection's credit goes back as soon as a frame is taken; a
 * stream's when its message is consumed, but of one message never more than half a window is held
 * back, so that a message larger than the window can arrive. Both go back by quarters of a window.
 * Reports and bulk leave the last eighth and quarter of the connection's window to the lanes below
 * them. */
#ifndef COX_NET_RPC_MUX_H
#define COX_NET_RPC_MUX_H

#include "common/base/list.h"
#include "common/base/rand.h"
#include "common/base/vec.h"
#include "common/net/rpc_frame.h"

enum { COX_MUX_LANES = 4 };

struct cox_mux_settings {
	uint32_t stream_window, connection_window; /* what the peer may send */
	uint32_t max_streams;			   /* the peer may have open */
	uint32_t max_message_bytes;
	uint32_t writable_bytes;
	uint32_t keepalive_ms, keepalive_dead_ms;
	uint32_t max_pings_per_s, max_opens_per_s, max_cancels_per_s;
};

#define COX_MUX_MIN_WINDOW   (16 << 10)
#define COX_MUX_MAX_WINDOW   (64 << 20)
#define COX_MUX_MAX_OPEN     (34 << 10)	 /* payload of an OPEN: metadata and an inline request */
#define COX_MUX_MAX_STATUS   (16 << 10)	 /* payload of a STATUS or CANCEL */
#define COX_MUX_MAX_CONTROL  (512 << 10) /* control frames that wait; more closes the connection */
#define COX_MUX_INLINE_BYTES (16 << 10)

enum cox_mux_event_kind {
	COX_MUX_HELLO,	    /* payload; the owner answers with cox_mux_welcome */
	COX_MUX_HELLO_ACK,  /* payload; the owner answers with cox_mux_begin */
	COX_MUX_OPEN,	    /* payload; stream, with a reference for the call */
	COX_MUX_MESSAGE,    /* a whole message; cox_mux_consumed(cost) when it is used */
	COX_MUX_HALF_CLOSE, /* the peer sends no more */
	COX_MUX_STATUS,	    /* payload; the stream is over */
	COX_MUX_CANCEL,	    /* payload; the stream is over */
	COX_MUX_LOST,	    /* the stream never reached the peer, who goes away; it is over */
	COX_MUX_WRITABLE,
	COX_MUX_GOAWAY, /* payload */
};

struct cox_mux_event {
	struct cox_list node;
	struct cox_mux *mux; /* whose buffered bytes it counts in */
	enum cox_mux_event_kind kind;
	struct cox_mux_stream *stream; /* with a reference; NULL for those of the connection */
	uint32_t cost;		       /* of a message: stream credit that is held back */
	size_t len;
	uint8_t bytes[];
};

enum cox_mux_item_kind { COX_ITEM_OPEN, COX_ITEM_MESSAGE, COX_ITEM_END, COX_ITEM_STATUS };

struct cox_mux_item {
	struct cox_list node;
	enum cox_mux_item_kind kind;
	bool end; /* OPEN: half-closes at once */
	size_t len, sent;
	uint8_t bytes[];
};

struct cox_mux_stream {
	struct cox_list node; /* in a ready list of the mux, or in none */
	unsigned refs;
	uint32_t id; /* 0: its OPEN was not written yet */
	uint8_t lane;
	bool ours;    /* we opened it */
	bool over;    /* nothing more comes or goes */
	bool inlined; /* its request travelled in the OPEN */
	bool ended;   /* an end or a status is queued or sent: no more messages from us */
	bool peer_ended;
	bool want_writable;
	/* sending */
	struct cox_list items;
	size_t unsent; /* bytes of messages in items */
	int64_t send_credit;
	/* receiving */
	int64_t recv_credit;	       /* what the peer may still send */
	uint32_t unreturned;	       /* consumed, and not yet given back */
	struct cox_mux_event *partial; /* the message that is arriving */
	size_t partial_got;
	size_t max_message;
	void *call; /* the loop's */
};

enum cox_mux_state {
	COX_MUX_WAIT,	 /* for the peer's first frame */
	COX_MUX_GREETED, /* the owner holds a HELLO or HELLO_ACK event */
	COX_MUX_UP,
	COX_MUX_FAILED, /* input is ignored; what is queued still goes out */
};

struct cox_mux {
	struct cox_mux_settings settings;
	bool is_hub;
	enum cox_mux_state state;
	struct cox_frame_reader reader;
	COX_VEC(struct cox_mux_stream *) streams; /* those with an id, open; by id */
	struct cox_list ready[COX_MUX_LANES];	  /* streams with items and credit of their own */
	struct cox_list events;
	struct cox_buf control;
	size_t control_sent; /* bytes of control that are written already */
	uint32_t next_id, highest_peer;
	uint32_t n_ours, n_theirs, n_inline; /* open streams; ours includes those without id */
	/* windows */
	int64_t send_credit, recv_credit;
	uint32_t unreturned;
	uint32_t peer_stream_window, peer_connection_window, peer_max_streams;
	bool hold; /* the owner is short of memory: connection credit is not given back */
	/* going away */
	bool goaway_sent, goaway_got;
	/* keepalive */
	struct cox_rng rng;
	int64_t last_recv_ms, keepalive_ms, ping_sent_ms;
	bool ping_out;
	int64_t rtt_us;
	/* churn within the current second */
	int64_t second_ms;
	uint32_t n_pings, n_opens, n_cancels;
	/* figures */
	uint64_t bytes_in, bytes_out, calls_in, calls_out;
	size_t buffered; /* bytes in events that were not freed */
};

void cox_mux_init(struct cox_mux *mux, const struct cox_mux_settings *settings, bool is_hub,
		  uint64_t seed, int64_t now_ms);
void cox_mux_fini(struct cox_mux *mux);

/* Bytes in events of all machines of the process. Any thread. */
size_t cox_mux_total_buffered(void);

/* Bytes of the peer. An agent's machine stops after HELLO_ACK (state COX_MUX_GREETED): the owner
 * reads the windows in its event, calls cox_mux_begin, and goes on with cox_mux_resume before bytes
 * are gone. Negative: the peer broke the protocol or a limit; the owner says go away and
 * closes. Events before the fault are still good. */
int cox_mux_input(struct cox_mux *mux, const void *bytes, size_t n, int64_t now_ms,
		  struct cox_error *err);
int cox_mux_resume(struct cox_mux *mux, int64_t now_ms, struct cox_error *err);
bool cox_mux_has_output(const struct cox_mux *mux);
/* Appends frames to out until it holds about max bytes or nothing can be sent. */
void cox_mux_output(struct cox_mux *mux, struct cox_buf *out, size_t max);
/* Keepalive. 0; -COX_UNAVAILABLE: the peer is dead. */
int cox_mux_tick(struct cox_mux *mux, int64_t now_ms, struct cox_error *err);
/* When to tick next. */
int64_t cox_mux_due_ms(const struct cox_mux *mux);
/* Moves the events to the end of list. Each goes back by cox_mux_event_free, under the lock. */
void cox_mux_take_events(struct cox_mux *mux, struct cox_list *list);
void cox_mux_event_free(struct cox_mux_event *event);

/* The agent's first frame. */
void cox_mux_hello(struct cox_mux *mux, const void *payload, size_t len);
/* The hub answers, and both are up. */
void cox_mux_welcome(struct cox_mux *mux, const void *payload, size_t len, uint32_t stream_window,
		     uint32_t connection_window, uint32_t max_streams);
/* The agent has its answer: up. */
void cox_mux_begin(struct cox_mux *mux, uint32_t stream_window, uint32_t connection_window,
		   uint32_t max_streams);
/* Queues GOAWAY; final: input is ignored from now on. */
void cox_mux_goaway(struct cox_mux *mux, const void *payload, size_t len, bool final);
/* No stream is open and nothing waits to be written. */
bool cox_mux_is_idle(const struct cox_mux *mux);
/* All streams are over without a word to the peer; the events that were not taken stay. */
void cox_mux_abandon(struct cox_mux *mux);

struct cox_mux_item *cox_mux_item_new(enum cox_mux_item_kind kind, size_t len);
/* A stream of ours with its OPEN item, which is taken; a reference for the call. NULL when the peer
 * allows no more (the item is freed then). */
struct cox_mux_stream *cox_mux_open(struct cox_mux *mux, uint8_t lane, struct cox_mux_item *open,
				    size_t max_message, void *call);
/* Whether another OPEN may carry its request: those are outside the windows, so they are few. */
bool cox_mux_may_inline(const struct cox_mux *mux);
/* Takes item, a MESSAGE. Dropped when the stream is over. */
void cox_mux_send(struct cox_mux *mux, struct cox_mux_stream *stream, struct cox_mux_item *item);
/* Our last message was sent. */
void cox_mux_end(struct cox_mux *mux, struct cox_mux_stream *stream);
/* Callee: takes item, a STATUS; at_once: before what waits, which is dropped. */
void cox_mux_finish(struct cox_mux *mux, struct cox_mux_stream *stream, struct cox_mux_item *item,
		    bool at_once);
/* Caller: gives the stream up; payload is a Status. */
void cox_mux_cancel(struct cox_mux *mux, struct cox_mux_stream *stream, const void *payload,
		    size_t len);
void cox_mux_consumed(struct cox_mux *mux, struct cox_mux_stream *stream, uint32_t cost);
bool cox_mux_is_writable(const struct cox_mux *mux, const struct cox_mux_stream *stream);
/* Gives the call's reference back. */
void cox_mux_release(struct cox_mux_stream *stream);

#endif
