/* The frame reader and the state machine behind it, as a connection drives them: foreign bytes in
 * pieces, own calls in between, control messages decoded within limits. What must hold after each
 * step is asserted; at the end nothing may be left over.
 *
 * Input: byte 0 chooses the role and the windows; then records of a length byte and so many bytes
 * for the peer, or (length 0) a byte that chooses what this side does. */
#include "common/base/mem.h"
#include "common/net/rpc_decode.h"
#include "common/net/rpc_mux.h"
#include "proto/rpc.pb-c.h"

#define MAX_OWN 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct cox_mux mux;
	struct cox_mux_stream *calls[MAX_OWN]; /* with a reference each; NULL: free */
	struct cox_list kept;		       /* messages that nobody consumed yet */
	int64_t now_ms;
	bool failed;
};

static void keep_call(struct run *run, struct cox_mux_stream *s)
{
	for (int i = 0; i < MAX_OWN; i++) {
		if (!run->calls[i]) {
			run->calls[i] = s;
			return;
		}
	}
	if (!s->ours) {
		struct cox_mux_item *status = cox_mux_item_new(COX_ITEM_STATUS, 0);

		cox_mux_finish(&run->mux, s, status, true);
	} else {
		cox_mux_cancel(&run->mux, s, NULL, 0);
	}
	cox_mux_release(s);
}

static void decode(const ProtobufCMessageDescriptor *descriptor, const struct cox_mux_event *event)
{
	struct cox_rpc_message *message;

	if (cox_rpc_decode(descriptor, event->bytes, event->len, 1 << 20, &message, NULL) == 0)
		cox_rpc_message_free(message);
}

static void greet(struct run *run)
{
	if (run->mux.state != COX_MUX_GREETED)
		return;
	if (run->mux.is_hub)
		cox_mux_welcome(&run->mux, "", 0, 64 << 10, 128 << 10, 4);
	else
		cox_mux_begin(&run->mux, 64 << 10, 128 << 10, 4);
}

static void take_events(struct run *run)
{
	struct cox_list list;

	cox_list_init(&list);
	cox_mux_take_events(&run->mux, &list);
	COX_LIST_EACH(&list, n)
	{
		struct cox_mux_event *event = COX_LIST_ENTRY(n, struct cox_mux_event, node);

		cox_list_remove(n);
		switch (event->kind) {
		case COX_MUX_HELLO:
			decode(&coxswain__rpc__v1__hello__descriptor, event);
			greet(run);
			break;
		case COX_MUX_HELLO_ACK:
			decode(&coxswain__rpc__v1__hello_ack__descriptor, event);
			break;
		case COX_MUX_OPEN:
			decode(&coxswain__rpc__v1__open__descriptor, event);
			keep_call(run, event->stream);
			break;
		case COX_MUX_STATUS:
		case COX_MUX_CANCEL:
			decode(&coxswain__rpc__v1__status__descriptor, event);
			break;
		case COX_MUX_GOAWAY:
			decode(&coxswain__rpc__v1__goaway__descriptor, event);
			break;
		case COX_MUX_MESSAGE:
			cox_list_append(&run->kept, n);
			continue;
		default:
			break;
		}
		cox_mux_event_free(event);
	}
}

static void consume(struct run *run)
{
	struct cox_mux_event *event = COX_LIST_FIRST(&run->kept, struct cox_mux_event, node);

	if (!event)
		return;
	cox_list_remove(&event->node);
	cox_mux_consumed(&run->mux, event->stream, event->cost);
	cox_mux_event_free(event);
}

static void write_out(struct run *run)
{
	struct cox_buf out = COX_BUF_INIT;
	struct cox_frame_reader reader = {0};
	struct cox_frame frame;
	int r;

	cox_mux_output(&run->mux, &out, 64 << 10);
	COX_ASSERT(out.len <= COX_MUX_MAX_CONTROL + (256 << 10));
	cox_frame_feed(&reader, out.ptr, out.len);
	while ((r = cox_frame_next(&reader, &frame, NULL)) > 0)
		;
	COX_ASSERT(r == 0 && reader.rest.len == 0); /* whole frames, all of them valid */
	cox_frame_reader_fini(&reader);
	cox_buf_fini(&out);
}

static struct cox_mux_stream *pick(struct run *run, uint8_t n)
{
	return run->calls[n % MAX_OWN];
}

/* What this side does of its own accord. */
static void act(struct run *run, uint8_t what)
{
	struct cox_mux *mux = &run->mux;
	struct cox_mux_stream *s = pick(run, what >> 3);
	struct cox_mux_item *item;

	switch (what & 7) {
	case 0:
		item = cox_mux_item_new(COX_ITEM_OPEN, 4);
		memset(item->bytes, 0, 4);
		item->end = what >> 7;
		s = cox_mux_open(mux, (what >> 3) & 3, item, 100000, NULL);
		if (s)
			keep_call(run, s);
		break;
	case 1:
		if (s) {
			item = cox_mux_item_new(COX_ITEM_MESSAGE, (size_t)what * 200);
			memset(item->bytes, 0, item->len);
			cox_mux_send(mux, s, item);
		}
		break;
	case 2:
		if (s && s->ours)
			cox_mux_end(mux, s);
		break;
	case 3:
		if (!s)
			break;
		run->calls[(what >> 3) % MAX_OWN] = NULL;
		if (s->ours) {
			cox_mux_cancel(mux, s, NULL, 0);
		} else {
			item = cox_mux_item_new(COX_ITEM_STATUS, 0);
			cox_mux_finish(mux, s, item, what >> 7);
		}
		cox_mux_release(s);
		break;
	case 4:
		write_out(run);
		break;
	case 5:
		consume(run);
		break;
	case 6:
		run->now_ms += what * 100;
		cox_mux_tick(mux, run->now_ms, NULL);
		break;
	case 7:
		if (what == 0xff)
			cox_mux_goaway(mux, "", 0, false);
		mux->hold = what >> 7;
		break;
	}
}

static void check(const struct run *run)
{
	const struct cox_mux *mux = &run->mux;

	COX_ASSERT(mux->recv_credit >= 0 &&
		   mux->recv_credit + mux->unreturned <= mux->settings.connection_window);
	COX_ASSERT(mux->n_theirs <= mux->settings.max_streams);
	for (size_t i = 0; i < mux->streams.n; i++) {
		const struct cox_mux_stream *s = mux->streams.items[i];

		COX_ASSERT(s->id != 0 && !s->over && s->refs > 0);
		COX_ASSERT(i == 0 || mux->streams.items[i - 1]->id < s->id);
		COX_ASSERT(s->recv_credit >= 0 &&
			   s->recv_credit + s->unreturned <= mux->settings.stream_window);
		COX_ASSERT(s->send_credit <= mux->peer_stream_window);
		COX_ASSERT(!s->partial || s->partial_got <= s->partial->len);
	}
}

static void input(struct run *run, const uint8_t *bytes, size_t n)
{
	/* a copy of its own size, so that reading past it is seen */
	uint8_t *copy = cox_malloc(n ? n : 1);
	int r;

	memcpy(copy, bytes, n);
	r = cox_mux_input(&run->mux, copy, n, run->now_ms, NULL);
	if (r == 0 && !run->mux.is_hub && run->mux.state == COX_MUX_GREETED) {
		greet(run);
		r = cox_mux_resume(&run->mux, run->now_ms, NULL);
	}
	if (r < 0) {
		COX_ASSERT(run->mux.state == COX_MUX_FAILED);
		run->failed = true;
	}
	free(copy);
}

static void run_init(struct run *run, uint8_t choice)
{
	memset(run, 0, sizeof(*run));
	cox_list_init(&run->kept);
	run->now_ms = 1000;
	cox_mux_init(&run->mux,
		     &(struct cox_mux_settings){
			     .stream_window = choice & 2 ? 16 << 10 : 64 << 10,
			     .connection_window = choice & 4 ? 16 << 10 : 128 << 10,
			     .max_streams = 4,
			     .max_message_bytes = 100000,
			     .writable_bytes = 4096,
			     .keepalive_ms = 20000,
			     .keepalive_dead_ms = 10000,
			     .max_pings_per_s = 10,
			     .max_opens_per_s = 50,
			     .max_cancels_per_s = 20,
		     },
		     choice & 1, choice, run->now_ms);
	if (!run->mux.is_hub)
		cox_mux_hello(&run->mux, "", 0);
}

static void run_fini(struct run *run)
{
	COX_LIST_EACH(&run->kept, n)
	cox_mux_event_free(COX_LIST_ENTRY(n, struct cox_mux_event, node));
	for (int i = 0; i < MAX_OWN; i++)
		if (run->calls[i])
			cox_mux_release(run->calls[i]);
	cox_mux_fini(&run->mux);
	COX_ASSERT(run->mux.buffered == 0);
	COX_ASSERT(cox_mux_total_buffered() == 0);
	COX_ASSERT(run->mux.n_ours == 0 && run->mux.n_theirs == 0 && run->mux.n_inline == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run;

	if (size == 0)
		return 0;
	run_init(&run, data[0]);
	data++;
	size--;
	while (size >= 2 && !run.failed) {
		size_t n = data[0];

		if (n == 0) {
			act(&run, data[1]);
			n = 1;
		} else {
			if (n > size - 1)
				n = size - 1;
			input(&run, data + 1, n);
		}
		data += 1 + n;
		size -= 1 + n;
		take_events(&run);
		check(&run);
	}
	write_out(&run);
	run_fini(&run);
	return 0;
}
