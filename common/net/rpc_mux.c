#include "common/net/rpc_mux_private.h"

#include <stdatomic.h>

/* Own unary requests in OPEN frames at once: those are outside the windows. */
#define MAX_INLINE 64

static atomic_size_t total_buffered;

size_t cox_mux_total_buffered(void)
{
	return atomic_load_explicit(&total_buffered, memory_order_relaxed);
}

/* ---- streams ---- */

void mux_unref(struct cox_mux_stream *s)
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
	mux_unref(stream);
}

struct cox_mux_stream *mux_stream_new(struct cox_mux *mux, uint8_t lane, bool ours, void *call)
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

struct cox_mux_stream *mux_lookup(const struct cox_mux *mux, uint32_t id)
{
	size_t i = find(mux, id);

	return i < mux->streams.n && mux->streams.items[i]->id == id ? mux->streams.items[i] : NULL;
}

void mux_add_stream(struct cox_mux *mux, struct cox_mux_stream *s)
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
void mux_close_stream(struct cox_mux *mux, struct cox_mux_stream *s)
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
	mux_unref(s);
}

/* ---- events ---- */

struct cox_mux_event *mux_event_new(struct cox_mux *mux, enum cox_mux_event_kind kind,
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

void mux_post(struct cox_mux *mux, struct cox_mux_event *event)
{
	cox_list_append(&mux->events, &event->node);
}

void mux_post_payload(struct cox_mux *mux, enum cox_mux_event_kind kind, struct cox_mux_stream *s,
		      const void *payload, size_t len)
{
	struct cox_mux_event *event = mux_event_new(mux, kind, s, len);

	if (len)
		memcpy(event->bytes, payload, len);
	mux_post(mux, event);
}

void cox_mux_event_free(struct cox_mux_event *event)
{
	size_t size = sizeof(*event) + event->len;

	event->mux->buffered -= size;
	atomic_fetch_sub_explicit(&total_buffered, size, memory_order_relaxed);
	if (event->stream)
		mux_unref(event->stream);
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
		mux_close_stream(mux, mux->streams.items[mux->streams.n - 1]);
	/* What has no id yet is in the ready lists only. */
	for (int lane = 0; lane < COX_MUX_LANES; lane++)
		COX_LIST_EACH(&mux->ready[lane], n)
	mux_close_stream(mux, COX_LIST_ENTRY(n, struct cox_mux_stream, node));
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

/* ---- keepalive ---- */

int cox_mux_tick(struct cox_mux *mux, int64_t now_ms, struct cox_error *err)
{
	static const uint8_t payload[8];

	mux_return_connection_credit(mux);
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
	mux_control(mux, COX_FRAME_PING, 0, payload, sizeof(payload));
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
	mux_control(mux, COX_FRAME_HELLO, 0, payload, len);
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
	mux_control(mux, COX_FRAME_HELLO_ACK, 0, payload, len);
	cox_mux_begin(mux, stream_window, connection_window, max_streams);
}

void cox_mux_goaway(struct cox_mux *mux, const void *payload, size_t len, bool final)
{
	if (!mux->goaway_sent || final)
		mux_control(mux, COX_FRAME_GOAWAY, 0, payload, len);
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
	mux_update_ready(mux, s);
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
	s = mux_stream_new(mux, lane, true, call);
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
		mux_control(mux, COX_FRAME_CANCEL, stream->id, payload, len);
	mux_close_stream(mux, stream);
}

bool cox_mux_is_writable(const struct cox_mux *mux, const struct cox_mux_stream *stream)
{
	return stream->unsent < mux->settings.writable_bytes;
}
