#include "common/net/rpc_mux.h"

#include "common/base/mem.h"

#include <stdatomic.h>

/* Own unary requests in OPEN frames at once: those are outside the windows. */
#define MAX_INLINE 64
/* Not worth a frame of its own while there is more to send. */
#define MIN_FRAGMENT   1024
#define MESSAGE_PREFIX 4

static atomic_size_t total_buffered;

size_t cox_mux_total_buffered(void)
{
	return atomic_load_explicit(&total_buffered, memory_order_relaxed);
}

/* ---- streams ---- */

static void unref(struct cox_mux_stream *s)
{
	COX_ASSERT(s->refs > 0);
	if (--s->refs > 0)
		return;
	COX_LIST_EACH(&s->items, n)
	free(COX_LIST_ENTRY(n, struct cox_mux_item, node));
	if (s->partial)
		cox_mux_event_free(s->partial);
	free(s);
}

void cox_mux_release(struct cox_mux_stream *stream)
{
	unref(stream);
}

static struct cox_mux_stream *stream_new(struct cox_mux *mux, uint8_t lane, bool ours, void *call)
{
	struct cox_mux_stream *s = cox_new(struct cox_mux_stream);

	cox_list_init(&s->node);
	cox_list_init(&s->items);
	s->refs = 2; /* the table's and the call's */
	s->lane = lane;
	s->ours = ours;
	s->call = call;
	s->send_credit = mux->peer_stream_window;
	s->recv_credit = mux->settings.stream_window;
	s->max_message = mux->settings.max_message_bytes;
	return s;
}

/* Index of the stream, or where it belongs. */
static size_t find(const struct cox_mux *mux, uint32_t id)
{
	size_t low = 0, high = mux->streams.n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (mux->streams.items[mid]->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct cox_mux_stream *lookup(const struct cox_mux *mux, uint32_t id)
{
	size_t i = find(mux, id);

	return i < mux->streams.n && mux->streams.items[i]->id == id ? mux->streams.items[i] : NULL;
}

static void table_add(struct cox_mux *mux, struct cox_mux_stream *s)
{
	cox_vec_insert(&mux->streams, find(mux, s->id), s);
}

static void drop_items(struct cox_mux_stream *s)
{
	COX_LIST_EACH(&s->items, n)
	free(COX_LIST_ENTRY(n, struct cox_mux_item, node));
	cox_list_init(&s->items);
	s->unsent = 0;
}

/* The stream is over on the wire: out of the table and the lists. The caller holds a reference of
 * its own if it goes on to use it. */
static void close_stream(struct cox_mux *mux, struct cox_mux_stream *s)
{
	if (s->over)
		return;
	s->over = true;
	cox_list_remove(&s->node);
	drop_items(s);
	if (s->partial)
		cox_mux_event_free(TAKE(s->partial));
	if (s->ours)
		mux->n_ours--;
	else
		mux->n_theirs--;
	if (s->inlined)
		mux->n_inline--;
	if (s->id)
		cox_vec_remove(&mux->streams, find(mux, s->id));
	unref(s);
}

/* ---- events ---- */

static struct cox_mux_event *event_new(struct cox_mux *mux, enum cox_mux_event_kind kind,
				       struct cox_mux_stream *s, size_t len)
{
	struct cox_mux_event *event = cox_malloc(sizeof(*event) + len);

	mux->buffered += sizeof(*event) + len;
	atomic_fetch_add_explicit(&total_buffered, sizeof(*event) + len, memory_order_relaxed);
	event->mux = mux;
	cox_list_init(&event->node);
	event->kind = kind;
	event->stream = s;
	event->cost = 0;
	event->len = len;
	if (s)
		s->refs++;
	return event;
}

static void post(struct cox_mux *mux, struct cox_mux_event *event)
{
	cox_list_append(&mux->events, &event->node);
}

static void post_payload(struct cox_mux *mux, enum cox_mux_event_kind kind,
			 struct cox_mux_stream *s, const void *payload, size_t len)
{
	struct cox_mux_event *event = event_new(mux, kind, s, len);

	if (len)
		memcpy(event->bytes, payload, len);
	post(mux, event);
}

void cox_mux_event_free(struct cox_mux_event *event)
{
	size_t size = sizeof(*event) + event->len;

	event->mux->buffered -= size;
	atomic_fetch_sub_explicit(&total_buffered, size, memory_order_relaxed);
	if (event->stream)
		unref(event->stream);
	free(event);
}

void cox_mux_take_events(struct cox_mux *mux, struct cox_list *list)
{
	COX_LIST_EACH(&mux->events, n)
	{
		cox_list_remove(n);
		cox_list_append(list, n);
	}
}

/* ---- begin and end ---- */

void cox_mux_init(struct cox_mux *mux, const struct cox_mux_settings *settings, bool is_hub,
		  uint64_t seed, int64_t now_ms)
{
	memset(mux, 0, sizeof(*mux));
	mux->settings = *settings;
	mux->is_hub = is_hub;
	mux->next_id = is_hub ? 2 : 1;
	for (int lane = 0; lane < COX_MUX_LANES; lane++)
		cox_list_init(&mux->ready[lane]);
	cox_list_init(&mux->events);
	cox_rng_init(&mux->rng, seed);
	mux->last_recv_ms = now_ms;
	/* Spread by a fifth, so that a thousand connections do not ping in step. */
	mux->keepalive_ms = settings->keepalive_ms -
			    (int64_t)cox_rng_below(&mux->rng, settings->keepalive_ms / 5 + 1);
}

void cox_mux_abandon(struct cox_mux *mux)
{
	while (mux->streams.n > 0)
		close_stream(mux, mux->streams.items[mux->streams.n - 1]);
	/* What has no id yet is in the ready lists only. */
	for (int lane = 0; lane < COX_MUX_LANES; lane++)
		COX_LIST_EACH(&mux->ready[lane], n)
	close_stream(mux, COX_LIST_ENTRY(n, struct cox_mux_stream, node));
	mux->state = COX_MUX_FAILED;
}

void cox_mux_fini(struct cox_mux *mux)
{
	cox_mux_abandon(mux);
	COX_LIST_EACH(&mux->events, n)
	cox_mux_event_free(COX_LIST_ENTRY(n, struct cox_mux_event, node));
	cox_list_init(&mux->events);
	cox_vec_fini(&mux->streams);
	cox_buf_fini(&mux->control);
	cox_frame_reader_fini(&mux->reader);
}

/* ---- the way out ---- */

static void control(struct cox_mux *mux, uint8_t type, uint32_t stream, const void *payload,
		    size_t len)
{
	cox_frame_add(&mux->control, type, 0, 0, stream, payload, len);
}

static void give_credit(struct cox_mux *mux, uint32_t stream, uint32_t delta)
{
	uint8_t payload[4];

	cox_put_u32(payload, delta);
	control(mux, COX_FRAME_CREDIT, stream, payload, sizeof(payload));
}

static void return_connection_credit(struct cox_mux *mux)
{
	if (mux->hold || mux->unreturned < mux->settings.connection_window / 4)
		return;
	give_credit(mux, 0, mux->unreturned);
	mux->recv_credit += mux->unreturned;
	mux->unreturned = 0;
}

static void return_stream_credit(struct cox_mux *mux, struct cox_mux_stream *s, uint32_t n)
{
	s->unreturned += n;
	if (s->over || s->peer_ended || s->unreturned < mux->settings.stream_window / 4)
		return;
	give_credit(mux, s->id, s->unreturned);
	s->recv_credit += s->unreturned;
	s->unreturned = 0;
}

void cox_mux_consumed(struct cox_mux *mux, struct cox_mux_stream *stream, uint32_t cost)
{
	return_stream_credit(mux, stream, cost);
	return_connection_credit(mux); /* the hold may have ended */
}

static struct cox_mux_item *head(const struct cox_mux_stream *s)
{
	return COX_LIST_FIRST(&s->items, struct cox_mux_item, node);
}

/* Bytes of payload that the message at the head still needs, its length included. */
static size_t message_left(const struct cox_mux_item *item)
{
	return item->len - item->sent + (item->sent == 0 ? MESSAGE_PREFIX : 0);
}

/* Payload of the next frame that credit allows; 0: none now. */
static size_t fragment_size(const struct cox_mux_item *item, int64_t credit)
{
	size_t n = message_left(item);

	if (n > COX_FRAME_MAX_DATA)
		n = COX_FRAME_MAX_DATA;
	if ((int64_t)n + COX_FRAME_HEADER <= credit)
		return n;
	if (credit < MIN_FRAGMENT + COX_FRAME_HEADER || n <= MIN_FRAGMENT)
		return 0;
	return (size_t)credit - COX_FRAME_HEADER;
}

/* Of the connection's window, what this lane leaves to those below it. */
static int64_t headroom(const struct cox_mux *mux, int lane)
{
	static const int divisor[COX_MUX_LANES] = {0, 0, 8, 4};

	return divisor[lane] ? mux->peer_connection_window / divisor[lane] : 0;
}

/* A stream with something to send is in its lane's ready list, unless it waits for credit of its
 * own. */
static void update_ready(struct cox_mux *mux, struct cox_mux_stream *s)
{
	const struct cox_mux_item *item = head(s);
	bool ready = !s->over && item &&
		     (item->kind != COX_ITEM_MESSAGE || fragment_size(item, s->send_credit) > 0);

	if (!ready)
		cox_list_remove(&s->node);
	else if (cox_list_is_empty(&s->node))
		cox_list_append(&mux->ready[s->lane], &s->node);
}

/* The size of the payload that the stream's head may send now, SIZE_MAX: nothing. */
static size_t sendable(const struct cox_mux *mux, const struct cox_mux_stream *s, int lane)
{
	const struct cox_mux_item *item = head(s);
	int64_t credit = mux->send_credit - headroom(mux, lane);
	size_t n;

	if (item->kind != COX_ITEM_MESSAGE)
		return item->len;
	n = fragment_size(item, credit < s->send_credit ? credit : s->send_credit);
	return n ? n : SIZE_MAX;
}

static struct cox_mux_stream *next_stream(const struct cox_mux *mux, size_t *ret_size)
{
	for (int lane = 0; lane < COX_MUX_LANES; lane++) {
		COX_LIST_EACH(&mux->ready[lane], n)
		{
			struct cox_mux_stream *s = COX_LIST_ENTRY(n, struct cox_mux_stream, node);

			*ret_size = sendable(mux, s, lane);
			if (*ret_size != SIZE_MAX)
				return s;
		}
	}
	return NULL;
}

static void pop_item(struct cox_mux_item *item)
{
	cox_list_remove(&item->node);
	free(item);
}

static void write_open(struct cox_mux *mux, struct cox_mux_stream *s, struct cox_mux_item *item,
		       struct cox_buf *out)
{
	s->id = mux->next_id;
	mux->next_id += 2;
	mux->calls_out++;
	table_add(mux, s);
	cox_frame_add(out, COX_FRAME_OPEN, item->end ? COX_FLAG_END_STREAM : 0, s->lane, s->id,
		      item->bytes, item->len);
	pop_item(item);
}

/* A fragment; the end of the stream rides on the last one when it comes next. */
static void write_message(struct cox_mux *mux, struct cox_mux_stream *s, struct cox_mux_item *item,
			  size_t size, struct cox_buf *out)
{
	uint8_t header[COX_FRAME_HEADER], prefix[MESSAGE_PREFIX], flags = 0;
	size_t n = size, cost = size + COX_FRAME_HEADER;
	bool begin = item->sent == 0, last;

	if (begin) {
		flags |= COX_FLAG_BEGIN;
		n -= MESSAGE_PREFIX;
		cox_put_u32(prefix, (uint32_t)item->len);
	}
	last = item->sent + n == item->len;
	if (last) {
		const struct cox_mux_item *next =
			item->node.next == &s->items
				? NULL
				: COX_LIST_ENTRY(item->node.next, struct cox_mux_item, node);

		flags |= COX_FLAG_END_MESSAGE;
		if (next && next->kind == COX_ITEM_END) {
			flags |= COX_FLAG_END_STREAM;
			pop_item(COX_LIST_ENTRY(item->node.next, struct cox_mux_item, node));
		}
	}
	cox_frame_header(header, COX_FRAME_DATA, flags, 0, s->id, (uint32_t)size);
	cox_buf_add(out, header, sizeof(header));
	if (begin)
		cox_buf_add(out, prefix, sizeof(prefix));
	cox_buf_add(out, item->bytes + item->sent, n);
	/* A begun message of no bytes has sent == 0 still, but is popped below. */
	item->sent += n;
	s->unsent -= n;
	s->send_credit -= (int64_t)cost;
	mux->send_credit -= (int64_t)cost;
	if (last)
		pop_item(item);
}

static void write_status(struct cox_mux *mux, struct cox_mux_stream *s, struct cox_mux_item *item,
			 struct cox_buf *out)
{
	cox_frame_add(out, COX_FRAME_STATUS, 0, 0, s->id, item->bytes, item->len);
	close_stream(mux, s); /* frees the item */
}

static void write_item(struct cox_mux *mux, struct cox_mux_stream *s, size_t size,
		       struct cox_buf *out)
{
	struct cox_mux_item *item = head(s);

	s->refs++;
	switch (item->kind) {
	case COX_ITEM_OPEN:
		write_open(mux, s, item, out);
		break;
	case COX_ITEM_MESSAGE:
		write_message(mux, s, item, size, out);
		break;
	case COX_ITEM_END:
		cox_frame_add(out, COX_FRAME_DATA, COX_FLAG_END_STREAM, 0, s->id, NULL, 0);
		pop_item(item);
		break;
	case COX_ITEM_STATUS:
		write_status(mux, s, item, out);
		break;
	}
	cox_list_remove(&s->node); /* to the end of its lane: each in turn */
	update_ready(mux, s);
	if (s->want_writable && !s->over && cox_mux_is_writable(mux, s)) {
		s->want_writable = false;
		post(mux, event_new(mux, COX_MUX_WRITABLE, s, 0));
	}
	unref(s);
}

bool cox_mux_has_output(const struct cox_mux *mux)
{
	size_t size;

	return mux->control.len > 0 ||
	       (mux->state == COX_MUX_UP && next_stream(mux, &size) != NULL);
}

void cox_mux_output(struct cox_mux *mux, struct cox_buf *out, size_t max)
{
	size_t start = out->len, size;
	struct cox_mux_stream *s;

	if (mux->control.len > 0) {
		cox_buf_add(out, mux->control.ptr, mux->control.len);
		cox_buf_fini(&mux->control);
	}
	while (mux->state == COX_MUX_UP && out->len < max && (s = next_stream(mux, &size)))
		write_item(mux, s, size, out);
	mux->bytes_out += out->len - start;
}

/* ---- the way in ---- */

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
	post_payload(mux, hello ? COX_MUX_HELLO : COX_MUX_HELLO_ACK, NULL, f->payload, f->len);
	return 0;
}

/* A refused stream was never open for us: it costs a line. Status{code: 8} and {code: 14}. */
static void refuse_stream(struct cox_mux *mux, uint32_t id, uint8_t code)
{
	uint8_t payload[2] = {0x08, code};

	control(mux, COX_FRAME_STATUS, id, payload, sizeof(payload));
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
	s = stream_new(mux, (uint8_t)f->aux, false, NULL);
	s->id = f->stream;
	table_add(mux, s);
	mux->n_theirs++;
	mux->calls_in++;
	post_payload(mux, COX_MUX_OPEN, s, f->payload, f->len);
	if (f->flags & COX_FLAG_END_STREAM) {
		s->peer_ended = true;
		post(mux, event_new(mux, COX_MUX_HALF_CLOSE, s, 0));
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
	control(mux, s->ours ? COX_FRAME_CANCEL : COX_FRAME_STATUS, s->id, payload,
		sizeof(payload));
	post_payload(mux, s->ours ? COX_MUX_STATUS : COX_MUX_CANCEL, s, payload, sizeof(payload));
	close_stream(mux, s);
}

/* The first fragment announces the length, which is refused before it is believed. */
static int begin_message(struct cox_mux *mux, struct cox_mux_stream *s, const struct cox_frame *f,
			 struct cox_error *err)
{
	uint32_t len;

	if (s->partial)
		return broken(err, f, "a message begins inside another");
	if (f->len < MESSAGE_PREFIX)
		return broken(err, f, "a message without its length");
	len = cox_get_u32(f->payload);
	if (len > s->max_message) {
		refuse_message(mux, s);
		return 0;
	}
	s->partial = event_new(mux, COX_MUX_MESSAGE, NULL, len);
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
		return_stream_credit(mux, s, cost - held);
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
		bytes += MESSAGE_PREFIX;
		n -= MESSAGE_PREFIX;
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
	post(mux, s->partial);
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
		post(mux, event_new(mux, COX_MUX_HALF_CLOSE, s, 0));
	return r;
}

static int in_data(struct cox_mux *mux, const struct cox_frame *f, struct cox_error *err)
{
	uint32_t cost = f->len ? f->len + COX_FRAME_HEADER : 0;
	struct cox_mux_stream *s = lookup(mux, f->stream);
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
		unref(s);
	}
	if (r == 0)
		return_connection_credit(mux);
	return r;
}

static int in_credit(struct cox_mux *mux, const struct cox_frame *f, struct cox_error *err)
{
	struct cox_mux_stream *s = f->stream ? lookup(mux, f->stream) : NULL;
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
		update_ready(mux, s);
	return 0;
}

static int in_status(struct cox_mux *mux, const struct cox_frame *f, struct cox_error *err)
{
	struct cox_mux_stream *s = lookup(mux, f->stream);

	if (f->len > COX_MUX_MAX_STATUS)
		return broken(err, f, "too long");
	if (f->stream == 0 || is_peers(mux, f->stream) || !was_open(mux, f->stream))
		return broken(err, f, "no such stream of yours to answer");
	if (!s)
		return 0;
	post_payload(mux, COX_MUX_STATUS, s, f->payload, f->len);
	close_stream(mux, s);
	return 0;
}

static int in_cancel(struct cox_mux *mux, const struct cox_frame *f, int64_t now_ms,
		     struct cox_error *err)
{
	struct cox_mux_stream *s = lookup(mux, f->stream);
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
	post_payload(mux, COX_MUX_CANCEL, s, f->payload, f->len);
	refuse_stream(mux, s->id, COX_CANCELLED);
	close_stream(mux, s);
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
		control(mux, COX_FRAME_PONG, 0, f->payload, f->len);
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
			post(mux, event_new(mux, COX_MUX_LOST, s, 0));
			close_stream(mux, s);
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
	post_payload(mux, COX_MUX_GOAWAY, NULL, f->payload, f->len);
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

/* ---- keepalive ---- */

int cox_mux_tick(struct cox_mux *mux, int64_t now_ms, struct cox_error *err)
{
	static const uint8_t payload[8];

	return_connection_credit(mux);
	if (mux->state != COX_MUX_UP)
		return 0;
	if (mux->ping_out && mux->last_recv_ms > mux->ping_sent_ms)
		mux->ping_out = false; /* any byte is a sign of life */
	if (mux->ping_out) {
		if (now_ms - mux->ping_sent_ms < mux->settings.keepalive_dead_ms)
			return 0;
		return cox_error(err, COX_UNAVAILABLE, "the peer was silent for %lld ms",
				 (long long)(now_ms - mux->last_recv_ms));
	}
	if (now_ms - mux->last_recv_ms < mux->keepalive_ms)
		return 0;
	mux->ping_out = true;
	mux->ping_sent_ms = now_ms;
	control(mux, COX_FRAME_PING, 0, payload, sizeof(payload));
	return 0;
}

int64_t cox_mux_due_ms(const struct cox_mux *mux)
{
	if (mux->ping_out && mux->last_recv_ms <= mux->ping_sent_ms)
		return mux->ping_sent_ms + mux->settings.keepalive_dead_ms;
	return mux->last_recv_ms + mux->keepalive_ms;
}

/* ---- hello and go-away ---- */

void cox_mux_hello(struct cox_mux *mux, const void *payload, size_t len)
{
	control(mux, COX_FRAME_HELLO, 0, payload, len);
}

static uint32_t window_of(uint32_t said)
{
	if (said < COX_MUX_MIN_WINDOW)
		return COX_MUX_MIN_WINDOW;
	return said > COX_MUX_MAX_WINDOW ? COX_MUX_MAX_WINDOW : said;
}

void cox_mux_begin(struct cox_mux *mux, uint32_t stream_window, uint32_t connection_window,
		   uint32_t max_streams)
{
	if (mux->state != COX_MUX_GREETED)
		return;
	mux->peer_stream_window = window_of(stream_window);
	mux->peer_connection_window = window_of(connection_window);
	mux->peer_max_streams = max_streams;
	mux->send_credit = mux->peer_connection_window;
	mux->recv_credit = mux->settings.connection_window;
	mux->state = COX_MUX_UP;
}

void cox_mux_welcome(struct cox_mux *mux, const void *payload, size_t len, uint32_t stream_window,
		     uint32_t connection_window, uint32_t max_streams)
{
	control(mux, COX_FRAME_HELLO_ACK, 0, payload, len);
	cox_mux_begin(mux, stream_window, connection_window, max_streams);
}

void cox_mux_goaway(struct cox_mux *mux, const void *payload, size_t len, bool final)
{
	if (!mux->goaway_sent || final)
		control(mux, COX_FRAME_GOAWAY, 0, payload, len);
	mux->goaway_sent = true;
	if (final)
		mux->state = COX_MUX_FAILED;
}

bool cox_mux_is_idle(const struct cox_mux *mux)
{
	return mux->n_ours == 0 && mux->n_theirs == 0 && !cox_mux_has_output(mux);
}

/* ---- what the calls do ---- */

struct cox_mux_item *cox_mux_item_new(enum cox_mux_item_kind kind, size_t len)
{
	struct cox_mux_item *item = cox_malloc(sizeof(*item) + len);

	cox_list_init(&item->node);
	item->kind = kind;
	item->end = false;
	item->len = len;
	item->sent = 0;
	return item;
}

static void queue(struct cox_mux *mux, struct cox_mux_stream *s, struct cox_mux_item *item)
{
	cox_list_append(&s->items, &item->node);
	update_ready(mux, s);
}

struct cox_mux_stream *cox_mux_open(struct cox_mux *mux, uint8_t lane, struct cox_mux_item *open,
				    size_t max_message, void *call)
{
	struct cox_mux_stream *s;

	if (mux->state != COX_MUX_UP || mux->goaway_got || mux->n_ours >= mux->peer_max_streams ||
	    mux->next_id + 2 * mux->n_ours > COX_FRAME_MAX_STREAM - 2) {
		free(open);
		return NULL;
	}
	s = stream_new(mux, lane, true, call);
	s->max_message = max_message;
	s->ended = open->end;
	if (open->end) {
		s->inlined = true;
		mux->n_inline++;
	}
	mux->n_ours++;
	queue(mux, s, open);
	return s;
}

bool cox_mux_may_inline(const struct cox_mux *mux)
{
	return mux->n_inline < MAX_INLINE;
}

void cox_mux_send(struct cox_mux *mux, struct cox_mux_stream *stream, struct cox_mux_item *item)
{
	if (stream->over || stream->ended) {
		free(item);
		return;
	}
	stream->unsent += item->len;
	queue(mux, stream, item);
	if (!cox_mux_is_writable(mux, stream))
		stream->want_writable = true;
}

void cox_mux_end(struct cox_mux *mux, struct cox_mux_stream *stream)
{
	if (stream->over || stream->ended)
		return;
	stream->ended = true;
	queue(mux, stream, cox_mux_item_new(COX_ITEM_END, 0));
}

void cox_mux_finish(struct cox_mux *mux, struct cox_mux_stream *stream, struct cox_mux_item *item,
		    bool at_once)
{
	COX_ASSERT(!stream->ours);
	if (stream->over || stream->ended) {
		free(item);
		return;
	}
	stream->ended = true;
	stream->want_writable = false;
	if (at_once)
		drop_items(stream);
	queue(mux, stream, item);
}

void cox_mux_cancel(struct cox_mux *mux, struct cox_mux_stream *stream, const void *payload,
		    size_t len)
{
	if (stream->over)
		return;
	if (stream->id)
		control(mux, COX_FRAME_CANCEL, stream->id, payload, len);
	close_stream(mux, stream);
}

bool cox_mux_is_writable(const struct cox_mux *mux, const struct cox_mux_stream *stream)
{
	return stream->unsent < mux->settings.writable_bytes;
}
