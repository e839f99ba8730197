/* The way in: frames of the peer, checked against the protocol and its limits, become events. */
#include "common/net/rpc_mux_private.h"

static int broken(struct cox_error *err, const struct cox_frame *f, const char *what)
{
	return cox_error(err, COX_INVALID_ARGUMENT, "frame of type %u on stream %u: %s", f->type,
			 f->stream, what);
}

/* Counts against a limit for each second. */
static int churn(struct cox_mux *mux, uint32_t *count, uint32_t max, int64_t now_ms,
		 const char *what, struct cox_error *err)
{
	if (now_ms - mux->second_ms >= 1000) {
		mux->second_ms = now_ms;
		mux->n_pings = mux->n_opens = mux->n_cancels = 0;
	}
	if (++*count > max)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "more than %u %s in a second", max,
				 what);
	return 0;
}

static bool is_peers(const struct cox_mux *mux, uint32_t id)
{
	return (id & 1) == (mux->is_hub ? 1 : 0);
}

/* The stream was open once: what still comes for it is dropped. */
static bool was_open(const struct cox_mux *mux, uint32_t id)
{
	return is_peers(mux, id) ? id <= mux->highest_peer : id < mux->next_id;
}

static int in_hello(struct cox_mux *mux, const struct cox_frame *f, struct cox_error *err)
{
	bool hello = f->type == COX_FRAME_HELLO;

	if (mux->state != COX_MUX_WAIT || hello != mux->is_hub)
		return broken(err, f, "hello out of order");
	if (f->stream != 0)
		return broken(err, f, "not on stream 0");
	if (f->len > COX_MUX_MAX_STATUS)
		return broken(err, f, "too long");
	mux->state = COX_MUX_GREETED;
	mux_post_payload(mux, hello ? COX_MUX_HELLO : COX_MUX_HELLO_ACK, NULL, f->payload, f->len);
	return 0;
}

/* A refused stream was never open for us: it costs a line. Status{code: 8} and {code: 14}. */
static void refuse_stream(struct cox_mux *mux, uint32_t id, uint8_t code)
{
	uint8_t payload[2] = {0x08, code};

	mux_control(mux, COX_FRAME_STATUS, id, payload, sizeof(payload));
}

static int in_open(struct cox_mux *mux, const struct cox_frame *f, int64_t now_ms,
		   struct cox_error *err)
{
	struct cox_mux_stream *s;
	int r;

	if (f->stream == 0 || !is_peers(mux, f->stream) || f->stream <= mux->highest_peer)
		return broken(err, f, "not a new stream of yours");
	if (f->aux >= COX_MUX_LANES)
		return broken(err, f, "no such lane");
	if (f->len > COX_MUX_MAX_OPEN)
		return broken(err, f, "too long");
	r = churn(mux, &mux->n_opens, mux->settings.max_opens_per_s, now_ms, "calls", err);
	if (r < 0)
		return r;
	mux->highest_peer = f->stream;
	if (mux->goaway_sent || mux->n_theirs >= mux->settings.max_streams) {
		refuse_stream(mux, f->stream,
			      mux->goaway_sent ? COX_UNAVAILABLE : COX_RESOURCE_EXHAUSTED);
		return 0;
	}
	s = mux_stream_new(mux, (uint8_t)f->aux, false, NULL);
	s->id = f->stream;
	mux_add_stream(mux, s);
	mux->n_theirs++;
	mux->calls_in++;
	mux_post_payload(mux, COX_MUX_OPEN, s, f->payload, f->len);
	if (f->flags & COX_FLAG_END_STREAM) {
		s->peer_ended = true;
		mux_post(mux, mux_event_new(mux, COX_MUX_HALF_CLOSE, s, 0));
	}
	return 0;
}

/* Too large a message ends its call, for both sides; what still comes of it is dropped. */
static void refuse_message(struct cox_mux *mux, struct cox_mux_stream *s)
{
	static const char text[] = "a message is larger than its method allows";
	/* Status{code: 8, message: text} */
	uint8_t payload[4 + sizeof(text) - 1] = {0x08, COX_RESOURCE_EXHAUSTED, 0x12,
						 sizeof(text) - 1};

	memcpy(payload + 4, text, sizeof(text) - 1);
	mux_control(mux, s->ours ? COX_FRAME_CANCEL : COX_FRAME_STATUS, s->id, payload,
		    sizeof(payload));
	mux_post_payload(mux, s->ours ? COX_MUX_STATUS : COX_MUX_CANCEL, s, payload,
			 sizeof(payload));
	mux_close_stream(mux, s);
}

/* The first fragment announces the length, which is refused before it is believed. */
static int begin_message(struct cox_mux *mux, struct cox_mux_stream *s, const struct cox_frame *f,
			 struct cox_error *err)
{
	uint32_t len;

	if (s->partial)
		return broken(err, f, "a message begins inside another");
	if (f->len < MUX_MESSAGE_PREFIX)
		return broken(err, f, "a message without its length");
	len = cox_get_u32(f->payload);
	if (len > s->max_message) {
		refuse_message(mux, s);
		return 0;
	}
	s->partial = mux_event_new(mux, COX_MUX_MESSAGE, NULL, len);
	s->partial_got = 0;
	return 0;
}

/* Credit for a frame: held back until its message is consumed, up to half a window for each
 * message; the rest goes back now. */
static void hold_credit(struct cox_mux *mux, struct cox_mux_stream *s, uint32_t cost)
{
	uint32_t room = mux->settings.stream_window / 2 - s->partial->cost;
	uint32_t held = cost < room ? cost : room;

	s->partial->cost += held;
	if (cost > held)
		mux_return_stream_credit(mux, s, cost - held);
}

static int take_fragment(struct cox_mux *mux, struct cox_mux_stream *s, const struct cox_frame *f,
			 struct cox_error *err)
{
	const uint8_t *bytes = f->payload;
	size_t n = f->len;
	int r;

	if (f->flags & COX_FLAG_BEGIN) {
		r = begin_message(mux, s, f, err);
		if (r < 0)
			return r;
		bytes += MUX_MESSAGE_PREFIX;
		n -= MUX_MESSAGE_PREFIX;
	}
	if (s->over)
		return 0;
	if (!s->partial)
		return broken(err, f, "a fragment of no message");
	if (n > s->partial->len - s->partial_got)
		return broken(err, f, "a message longer than it said");
	memcpy(s->partial->bytes + s->partial_got, bytes, n);
	s->partial_got += n;
	hold_credit(mux, s, f->len + COX_FRAME_HEADER);
	if (!(f->flags & COX_FLAG_END_MESSAGE))
		return 0;
	if (s->partial_got != s->partial->len)
		return broken(err, f, "a message shorter than it said");
	s->partial->stream = s;
	s->refs++;
	mux_post(mux, s->partial);
	s->partial = NULL;
	return 0;
}

static int in_stream_data(struct cox_mux *mux, struct cox_mux_stream *s, const struct cox_frame *f,
			  uint32_t cost, struct cox_error *err)
{
	int r = 0;

	if (s->peer_ended)
		return broken(err, f, "after the end of the stream");
	if (cost > s->recv_credit)
		return broken(err, f, "more than the stream's window");
	s->recv_credit -= cost;
	if (f->flags & COX_FLAG_END_STREAM)
		s->peer_ended = true;
	if (f->len > 0)
		r = take_fragment(mux, s, f, err);
	if (r == 0 && s->peer_ended && s->partial)
		r = broken(err, f, "the stream ends inside a message");
	if (r == 0 && s->peer_ended && !s->over)
		mux_post(mux, mux_event_new(mux, COX_MUX_HALF_CLOSE, s, 0));
	return r;
}

static int in_data(struct cox_mux *mux, const struct cox_frame *f, struct cox_error *err)
{
	uint32_t cost = f->len ? f->len + COX_FRAME_HEADER : 0;
	struct cox_mux_stream *s = mux_lookup(mux, f->stream);
	int r = 0;

	if (!s && !was_open(mux, f->stream))
		return broken(err, f, "no such stream");
	if (f->len == 0 && f->flags != COX_FLAG_END_STREAM)
		return broken(err, f, "empty");
	if (cost > mux->recv_credit)
		return broken(err, f, "more than the connection's window");
	mux->recv_credit -= cost;
	mux->unreturned += cost;
	if (s) {
		s->refs++;
		r = in_stream_data(mux, s, f, cost, err);
		mux_unref(s);
	}
	if (r == 0)
		mux_return_connection_credit(mux);
	return r;
}

static int in_credit(struct cox_mux *mux, const struct cox_frame *f, struct cox_error *err)
{
	struct cox_mux_stream *s = f->stream ? mux_lookup(mux, f->stream) : NULL;
	int64_t *credit = f->stream ? (s ? &s->send_credit : NULL) : &mux->send_credit;
	int64_t max = f->stream ? mux->peer_stream_window : mux->peer_connection_window;
	uint32_t delta;

	if (f->len != 4)
		return broken(err, f, "not 4 bytes");
	if (f->stream && !s && !was_open(mux, f->stream))
		return broken(err, f, "no such stream");
	delta = cox_get_u32(f->payload);
	if (!credit)
		return 0;
	if (*credit + delta > max || delta == 0)
		return broken(err, f, "more credit than was used");
	*credit += delta;
	if (s)
		mux_update_ready(mux, s);
	return 0;
}

static int in_status(struct cox_mux *mux, const struct cox_frame *f, struct cox_error *err)
{
	struct cox_mux_stream *s = mux_lookup(mux, f->stream);

	if (f->len > COX_MUX_MAX_STATUS)
		return broken(err, f, "too long");
	if (f->stream == 0 || is_peers(mux, f->stream) || !was_open(mux, f->stream))
		return broken(err, f, "no such stream of yours to answer");
	if (!s)
		return 0;
	mux_post_payload(mux, COX_MUX_STATUS, s, f->payload, f->len);
	mux_close_stream(mux, s);
	return 0;
}

static int in_cancel(struct cox_mux *mux, const struct cox_frame *f, int64_t now_ms,
		     struct cox_error *err)
{
	struct cox_mux_stream *s = mux_lookup(mux, f->stream);
	int r;

	if (f->len > COX_MUX_MAX_STATUS)
		return broken(err, f, "too long");
	if (f->stream == 0 || !is_peers(mux, f->stream) || !was_open(mux, f->stream))
		return broken(err, f, "no such stream of yours to cancel");
	r = churn(mux, &mux->n_cancels, mux->settings.max_cancels_per_s, now_ms, "cancels", err);
	if (r < 0)
		return r;
	if (!s)
		return 0;
	mux_post_payload(mux, COX_MUX_CANCEL, s, f->payload, f->len);
	refuse_stream(mux, s->id, COX_CANCELLED);
	mux_close_stream(mux, s);
	return 0;
}

static int in_ping(struct cox_mux *mux, const struct cox_frame *f, int64_t now_ms,
		   struct cox_error *err)
{
	int r;

	if (f->len != 8 || f->stream != 0)
		return broken(err, f, "not 8 bytes on stream 0");
	r = churn(mux, &mux->n_pings, mux->settings.max_pings_per_s, now_ms, "pings", err);
	if (r == 0)
		mux_control(mux, COX_FRAME_PONG, 0, f->payload, f->len);
	return r;
}

static int in_pong(struct cox_mux *mux, const struct cox_frame *f, int64_t now_ms,
		   struct cox_error *err)
{
	if (f->len != 8 || f->stream != 0)
		return broken(err, f, "not 8 bytes on stream 0");
	if (mux->ping_out)
		mux->rtt_us = (now_ms - mux->ping_sent_ms) * 1000;
	mux->ping_out = false;
	return 0;
}

/* Streams whose OPEN was not written will not be: the peer takes no more. */
static void lose_unopened(struct cox_mux *mux)
{
	for (int lane = 0; lane < COX_MUX_LANES; lane++) {
		COX_LIST_EACH(&mux->ready[lane], n)
		{
			struct cox_mux_stream *s = COX_LIST_ENTRY(n, struct cox_mux_stream, node);

			if (s->id)
				continue;
			mux_post(mux, mux_event_new(mux, COX_MUX_LOST, s, 0));
			mux_close_stream(mux, s);
		}
	}
}

static int in_goaway(struct cox_mux *mux, const struct cox_frame *f, struct cox_error *err)
{
	if (f->stream != 0 || f->len > COX_MUX_MAX_STATUS)
		return broken(err, f, "not a go-away");
	if (mux->goaway_got)
		return 0;
	mux->goaway_got = true;
	mux_post_payload(mux, COX_MUX_GOAWAY, NULL, f->payload, f->len);
	lose_unopened(mux);
	return 0;
}

static int in_frame(struct cox_mux *mux, const struct cox_frame *f, int64_t now_ms,
		    struct cox_error *err)
{
	if (f->type >= COX_FRAME_EXTENSION)
		return 0;
	if (f->type == COX_FRAME_HELLO || f->type == COX_FRAME_HELLO_ACK)
		return in_hello(mux, f, err);
	if (f->type == COX_FRAME_GOAWAY)
		return in_goaway(mux, f, err);
	if (mux->state != COX_MUX_UP)
		return broken(err, f, "before the hello");
	switch (f->type) {
	case COX_FRAME_OPEN:
		return in_open(mux, f, now_ms, err);
	case COX_FRAME_DATA:
		return in_data(mux, f, err);
	case COX_FRAME_CREDIT:
		return in_credit(mux, f, err);
	case COX_FRAME_STATUS:
		return in_status(mux, f, err);
	case COX_FRAME_CANCEL:
		return in_cancel(mux, f, now_ms, err);
	case COX_FRAME_PING:
		return in_ping(mux, f, now_ms, err);
	case COX_FRAME_PONG:
		return in_pong(mux, f, now_ms, err);
	}
	return broken(err, f, "unknown type");
}

int cox_mux_resume(struct cox_mux *mux, int64_t now_ms, struct cox_error *err)
{
	struct cox_frame frame;
	int r = 0;

	/* After HELLO_ACK the owner has to tell the windows first. */
	while (r == 0 && (mux->is_hub || mux->state != COX_MUX_GREETED) &&
	       (r = cox_frame_next(&mux->reader, &frame, err)) > 0)
		r = in_frame(mux, &frame, now_ms, err);
	if (r == 0 && mux->control.len > COX_MUX_MAX_CONTROL)
		r = cox_error(err, COX_RESOURCE_EXHAUSTED,
			      "the peer asks for answers and does not read them");
	if (r < 0)
		mux->state = COX_MUX_FAILED;
	return r;
}

int cox_mux_input(struct cox_mux *mux, const void *bytes, size_t n, int64_t now_ms,
		  struct cox_error *err)
{
	mux->bytes_in += n;
	mux->last_recv_ms = now_ms;
	if (mux->state == COX_MUX_FAILED)
		return 0;
	cox_frame_feed(&mux->reader, bytes, n);
	return cox_mux_resume(mux, now_ms, err);
}
