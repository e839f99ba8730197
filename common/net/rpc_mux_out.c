/* The way out: credit that goes back, and which stream's next frame is written. */
#include "common/net/rpc_mux_private.h"

/* Not worth a frame of its own while there is more to send. */
#define MIN_FRAGMENT 1024

void mux_control(struct cox_mux *mux, uint8_t type, uint32_t stream, const void *payload,
		 size_t len)
{
	cox_frame_add(&mux->control, type, 0, 0, stream, payload, len);
}

static void give_credit(struct cox_mux *mux, uint32_t stream, uint32_t delta)
{
	uint8_t payload[4];

	cox_put_u32(payload, delta);
	mux_control(mux, COX_FRAME_CREDIT, stream, payload, sizeof(payload));
}

void mux_return_connection_credit(struct cox_mux *mux)
{
	if (mux->hold || mux->unreturned < mux->settings.connection_window / 4)
		return;
	give_credit(mux, 0, mux->unreturned);
	mux->recv_credit += mux->unreturned;
	mux->unreturned = 0;
}

void mux_return_stream_credit(struct cox_mux *mux, struct cox_mux_stream *s, uint32_t n)
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
	mux_return_stream_credit(mux, stream, cost);
	mux_return_connection_credit(mux); /* the hold may have ended */
}

static struct cox_mux_item *head(const struct cox_mux_stream *s)
{
	return COX_LIST_FIRST(&s->items, struct cox_mux_item, node);
}

/* Bytes of payload that the message at the head still needs, its length included. */
static size_t message_left(const struct cox_mux_item *item)
{
	return item->len - item->sent + (item->sent == 0 ? MUX_MESSAGE_PREFIX : 0);
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
void mux_update_ready(struct cox_mux *mux, struct cox_mux_stream *s)
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
	mux_add_stream(mux, s);
	cox_frame_add(out, COX_FRAME_OPEN, item->end ? COX_FLAG_END_STREAM : 0, s->lane, s->id,
		      item->bytes, item->len);
	pop_item(item);
}

/* A fragment; the end of the stream rides on the last one when it comes next. */
static void write_message(struct cox_mux *mux, struct cox_mux_stream *s, struct cox_mux_item *item,
			  size_t size, struct cox_buf *out)
{
	uint8_t header[COX_FRAME_HEADER], prefix[MUX_MESSAGE_PREFIX], flags = 0;
	size_t n = size, cost = size + COX_FRAME_HEADER;
	bool begin = item->sent == 0, last;

	if (begin) {
		flags |= COX_FLAG_BEGIN;
		n -= MUX_MESSAGE_PREFIX;
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
	mux_close_stream(mux, s); /* frees the item */
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
	mux_update_ready(mux, s);
	if (s->want_writable && !s->over && cox_mux_is_writable(mux, s)) {
		s->want_writable = false;
		mux_post(mux, mux_event_new(mux, COX_MUX_WRITABLE, s, 0));
	}
	mux_unref(s);
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
