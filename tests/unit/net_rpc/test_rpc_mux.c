/* The frame reader and the state machine, without wires, threads or a clock. */
#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "common/net/rpc_mux.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct cox_mux_settings defaults = {
	.stream_window = 64 << 10,
	.connection_window = 128 << 10,
	.max_streams = 8,
	.max_message_bytes = 1 << 20,
	.writable_bytes = 64 << 10,
	.keepalive_ms = 20000,
	.keepalive_dead_ms = 10000,
	.max_pings_per_s = 10,
	.max_opens_per_s = 20,
	.max_cancels_per_s = 5,
};

static struct cox_mux hub, agent;
static int64_t now;

/* ---- helpers ---- */

static void start_with(const struct cox_mux_settings *settings)
{
	now = 1000000;
	cox_mux_init(&hub, settings, true, 1, now);
	cox_mux_init(&agent, settings, false, 2, now);
}

static void drop_events(struct cox_mux *mux)
{
	struct cox_list list;

	cox_list_init(&list);
	cox_mux_take_events(mux, &list);
	COX_LIST_EACH(&list, n)
	{
		struct cox_mux_event *event = COX_LIST_ENTRY(n, struct cox_mux_event, node);

		if (event->kind == COX_MUX_OPEN)
			cox_mux_release(event->stream); /* the call that is not made */
		cox_mux_event_free(event);
	}
}

/* All that `from` has to say, at most max bytes a time. */
static int carry(struct cox_mux *from, struct cox_mux *to, struct cox_error *err)
{
	int r = 0;

	while (r == 0 && cox_mux_has_output(from)) {
		COX_CLEANUP(cox_buf_fini) struct cox_buf bytes = COX_BUF_INIT;

		cox_mux_output(from, &bytes, 64 << 10);
		assert_true(bytes.len > 0);
		r = cox_mux_input(to, bytes.ptr, bytes.len, now, err);
	}
	return r;
}

static void shake_hands(void)
{
	const struct cox_mux_settings *s = &hub.settings;

	cox_mux_hello(&agent, "hi", 2);
	assert_int_equal(carry(&agent, &hub, NULL), 0);
	assert_int_equal(hub.state, COX_MUX_GREETED);
	cox_mux_welcome(&hub, "yo", 2, s->stream_window, s->connection_window, s->max_streams);
	assert_int_equal(carry(&hub, &agent, NULL), 0);
	assert_int_equal(agent.state, COX_MUX_GREETED);
	cox_mux_begin(&agent, s->stream_window, s->connection_window, s->max_streams);
	drop_events(&hub);
	drop_events(&agent);
}

static void start(void)
{
	start_with(&defaults);
	shake_hands();
}

static void stop(void)
{
	drop_events(&hub);
	drop_events(&agent);
	cox_mux_fini(&hub);
	cox_mux_fini(&agent);
}

static struct cox_mux_item *item(enum cox_mux_item_kind kind, size_t n)
{
	struct cox_mux_item *i = cox_mux_item_new(kind, n);

	memset(i->bytes, 'x', n);
	return i;
}

static struct cox_mux_stream *open_stream(struct cox_mux *mux, uint8_t lane)
{
	struct cox_mux_stream *s = cox_mux_open(mux, lane, item(COX_ITEM_OPEN, 3), 1 << 20, NULL);

	assert_non_null(s);
	return s;
}

/* The stream that the peer has for ours. */
static struct cox_mux_stream *other_side(struct cox_mux *mux, uint32_t id)
{
	for (size_t i = 0; i < mux->streams.n; i++)
		if (mux->streams.items[i]->id == id)
			return mux->streams.items[i];
	return NULL;
}

static int raw(struct cox_mux *to, uint8_t type, uint8_t flags, uint16_t aux, uint32_t stream,
	       const void *payload, size_t n, struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf bytes = COX_BUF_INIT;

	cox_frame_add(&bytes, type, flags, aux, stream, payload, n);
	return cox_mux_input(to, bytes.ptr, bytes.len, now, err);
}

/* The next event of a kind; others before it are dropped. The caller frees it. */
static struct cox_mux_event *next_event(struct cox_mux *mux, enum cox_mux_event_kind kind)
{
	while (!cox_list_is_empty(&mux->events)) {
		struct cox_mux_event *event =
			COX_LIST_FIRST(&mux->events, struct cox_mux_event, node);

		cox_list_remove(&event->node);
		if (event->kind == kind)
			return event;
		if (event->kind == COX_MUX_OPEN)
			cox_mux_release(event->stream);
		cox_mux_event_free(event);
	}
	fail_msg("no event of kind %d", kind);
	return NULL;
}

/* ---- frames ---- */

static void test_frames_cut_anywhere(void **state)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf bytes = COX_BUF_INIT;
	struct cox_frame frame;

	(void)state;
	cox_frame_add(&bytes, COX_FRAME_PING, 0, 0, 0, "12345678", 8);
	cox_frame_add(&bytes, COX_FRAME_OPEN, COX_FLAG_END_STREAM, 3, 7, NULL, 0);
	cox_frame_add(&bytes, COX_FRAME_DATA, COX_FLAG_BEGIN, 0, 7, "\0\0\0\2ab", 6);
	for (size_t a = 0; a <= bytes.len; a++) {
		for (size_t b = a; b <= bytes.len; b++) {
			const size_t cuts[] = {0, a, b, bytes.len};
			struct cox_frame_reader reader = {0};
			int n = 0, r;

			for (int i = 0; i < 3; i++) {
				/* a copy of its own, so that reading past it is seen */
				size_t len = cuts[i + 1] - cuts[i];
				_cleanup_free_ char *part = cox_malloc(len + 1);

				memcpy(part, bytes.ptr + cuts[i], len);
				cox_frame_feed(&reader, part, len);
				while ((r = cox_frame_next(&reader, &frame, NULL)) > 0)
					n++;
				assert_int_equal(r, 0);
			}
			assert_int_equal(n, 3);
			cox_frame_reader_fini(&reader);
		}
	}
}

static void test_frame_lengths(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t max;
	} rows[] = {{COX_FRAME_DATA, COX_FRAME_MAX_DATA},
		    {COX_FRAME_HELLO, COX_FRAME_MAX_OTHER},
		    {200, COX_FRAME_MAX_OTHER}};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		for (uint32_t len = rows[i].max - 1; len <= rows[i].max + 1; len++) {
			struct cox_frame_reader reader = {0};
			struct cox_frame frame;
			uint8_t header[COX_FRAME_HEADER];
			int r;

			cox_frame_header(header, rows[i].type, 0, 0, 1, len);
			cox_frame_feed(&reader, header, sizeof(header));
			r = cox_frame_next(&reader, &frame, NULL);
			assert_int_equal(r, len > rows[i].max ? -COX_INVALID_ARGUMENT : 0);
			cox_frame_reader_fini(&reader);
		}
	}
}

/* ---- hello ---- */

static void test_nothing_before_hello(void **state)
{
	struct cox_error err;

	(void)state;
	for (uint8_t type = COX_FRAME_OPEN; type <= COX_FRAME_PONG; type++) {
		start_with(&defaults);
		assert_int_equal(raw(&hub, type, 0, 0, 1, "12345678", 8, &err),
				 -COX_INVALID_ARGUMENT);
		assert_non_null(strstr(err.message, "before the hello"));
		stop();
	}
}

static void test_hello_order(void **state)
{
	(void)state;
	start_with(&defaults);
	assert_true(raw(&hub, COX_FRAME_HELLO_ACK, 0, 0, 0, NULL, 0, NULL) < 0);
	assert_true(raw(&agent, COX_FRAME_HELLO, 0, 0, 0, NULL, 0, NULL) < 0);
	stop();
	start_with(&defaults);
	assert_int_equal(raw(&hub, COX_FRAME_HELLO, 0, 0, 0, NULL, 0, NULL), 0);
	/* the agent has to wait for the answer */
	assert_true(raw(&hub, COX_FRAME_OPEN, 0, 0, 1, NULL, 0, NULL) < 0);
	stop();
}

/* What the hub says right behind its answer is there when the agent has read the windows. */
static void test_frames_behind_hello_ack(void **state)
{
	struct cox_mux_stream *s;

	(void)state;
	start_with(&defaults);
	cox_mux_hello(&agent, "hi", 2);
	assert_int_equal(carry(&agent, &hub, NULL), 0);
	cox_mux_welcome(&hub, "yo", 2, 64 << 10, 128 << 10, 8);
	s = open_stream(&hub, 1);
	{
		COX_CLEANUP(cox_buf_fini) struct cox_buf bytes = COX_BUF_INIT;

		cox_mux_output(&hub, &bytes, 64 << 10);
		assert_int_equal(cox_mux_input(&agent, bytes.ptr, bytes.len, now, NULL), 0);
		assert_int_equal(agent.state, COX_MUX_GREETED);
		assert_int_equal(agent.streams.n, 0);
		cox_mux_begin(&agent, 64 << 10, 128 << 10, 8);
		assert_int_equal(cox_mux_resume(&agent, now, NULL), 0);
	}
	assert_int_equal(agent.streams.n, 1);
	cox_mux_release(s);
	stop();
}

/* ---- streams ---- */

/* Ids grow on the wire although a later call of a lower lane goes first. */
static void test_ids_grow(void **state)
{
	struct cox_mux_stream *bulk, *urgent;

	(void)state;
	start();
	bulk = open_stream(&agent, 3);
	urgent = open_stream(&agent, 0);
	assert_int_equal(carry(&agent, &hub, NULL), 0);
	assert_int_equal(urgent->id, 1);
	assert_int_equal(bulk->id, 3);
	cox_mux_release(bulk);
	cox_mux_release(urgent);
	stop();
}

static void test_id_rules(void **state)
{
	static const struct {
		uint32_t first, second;
		bool ok;
	} rows[] = {{1, 3, true},  {1, 1001, true}, {3, 1, false},
		    {1, 1, false}, {1, 2, false},   {1, 0, false}};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		start();
		assert_int_equal(raw(&hub, COX_FRAME_OPEN, 0, 0, rows[i].first, "", 0, NULL), 0);
		assert_int_equal(raw(&hub, COX_FRAME_OPEN, 0, 0, rows[i].second, "", 0, NULL) == 0,
				 rows[i].ok);
		stop();
	}
}

static void test_max_streams(void **state)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf answer = COX_BUF_INIT;

	(void)state;
	start();
	for (uint32_t i = 0; i < defaults.max_streams; i++)
		assert_int_equal(raw(&hub, COX_FRAME_OPEN, 0, 0, 2 * i + 1, "", 0, NULL), 0);
	assert_false(cox_mux_has_output(&hub));
	assert_int_equal(raw(&hub, COX_FRAME_OPEN, 0, 0, 99, "", 0, NULL), 0);
	assert_int_equal(hub.n_theirs, defaults.max_streams);
	cox_mux_output(&hub, &answer, 1000);
	assert_int_equal(answer.ptr[3], COX_FRAME_STATUS);
	assert_int_equal(cox_get_u32((const uint8_t *)answer.ptr + 8), 99);
	/* what the refused one sends further is dropped, not held against it */
	assert_int_equal(raw(&hub, COX_FRAME_DATA, COX_FLAG_BEGIN, 0, 99, "\0\0\0\1", 4, NULL), 0);
	stop();
}

/* ---- credit ---- */

static void test_stream_window(void **state)
{
	uint8_t *payload = cox_malloc(COX_FRAME_MAX_DATA);
	const size_t n = 8192 - COX_FRAME_HEADER; /* eight frames are the window to the byte */
	int r = 0;

	(void)state;
	start();
	memset(payload, 0, COX_FRAME_MAX_DATA);
	cox_put_u32(payload, (uint32_t)n - 4);
	assert_int_equal(raw(&hub, COX_FRAME_OPEN, 0, 0, 1, "", 0, NULL), 0);
	for (int i = 0; r == 0 && i < 8; i++)
		r = raw(&hub, COX_FRAME_DATA, COX_FLAG_BEGIN | COX_FLAG_END_MESSAGE, 0, 1, payload,
			n, NULL);
	assert_int_equal(r, 0);
	assert_int_equal(other_side(&hub, 1)->recv_credit, 0);
	/* a message of one byte more */
	assert_true(raw(&hub, COX_FRAME_DATA, COX_FLAG_BEGIN | COX_FLAG_END_MESSAGE, 0, 1,
			"\0\0\0\0", 4, NULL) < 0);
	free(payload);
	stop();
}

static void test_consumption_gives_credit(void **state)
{
	struct cox_mux_stream *s;
	struct cox_mux_event *event;
	unsigned n = 0;

	(void)state;
	start();
	s = open_stream(&agent, 2);
	for (int i = 0; i < 100; i++)
		cox_mux_send(&agent, s, item(COX_ITEM_MESSAGE, 10000));
	assert_int_equal(carry(&agent, &hub, NULL), 0);
	assert_in_range(s->unsent, 900000, 1000000 - 1);
	for (int round = 0; n < 100; round++) {
		struct cox_list list;

		assert_in_range(round, 0, 100);
		cox_list_init(&list);
		cox_mux_take_events(&hub, &list);
		COX_LIST_EACH(&list, node)
		{
			event = COX_LIST_ENTRY(node, struct cox_mux_event, node);
			if (event->kind == COX_MUX_MESSAGE) {
				n++;
				cox_mux_consumed(&hub, event->stream, event->cost);
			} else if (event->kind == COX_MUX_OPEN) {
				cox_mux_release(event->stream);
			}
			cox_mux_event_free(event);
		}
		assert_int_equal(carry(&hub, &agent, NULL), 0);
		assert_int_equal(carry(&agent, &hub, NULL), 0);
	}
	assert_int_equal(s->unsent, 0);
	assert_int_equal(hub.buffered, 0);
	cox_mux_release(s);
	stop();
}

/* A message larger than all windows arrives without anybody consuming anything. */
static void test_message_larger_than_window(void **state)
{
	struct cox_mux_stream *s;
	struct cox_mux_event *event;

	(void)state;
	start();
	s = open_stream(&agent, 3);
	cox_mux_send(&agent, s, item(COX_ITEM_MESSAGE, 1 << 20));
	for (int i = 0; i < 200; i++) {
		assert_int_equal(carry(&agent, &hub, NULL), 0);
		assert_int_equal(carry(&hub, &agent, NULL), 0);
	}
	event = next_event(&hub, COX_MUX_MESSAGE);
	assert_int_equal(event->len, 1 << 20);
	assert_in_range(event->cost, 1, defaults.stream_window / 2);
	cox_mux_event_free(event);
	cox_mux_release(s);
	stop();
}

static void test_credit_overflow(void **state)
{
	(void)state;
	start();
	assert_true(raw(&hub, COX_FRAME_CREDIT, 0, 0, 0, "\0\0\0\1", 4, NULL) < 0);
	stop();
	start();
	assert_int_equal(raw(&hub, COX_FRAME_OPEN, 0, 0, 1, "", 0, NULL), 0);
	assert_true(raw(&hub, COX_FRAME_CREDIT, 0, 0, 1, "\xff\xff\xff\xff", 4, NULL) < 0);
	stop();
}

/* While memory is short nothing of the connection's window comes back; afterwards all of it does. */
static void test_hold(void **state)
{
	struct cox_mux_stream *s;

	(void)state;
	start();
	hub.hold = true;
	s = open_stream(&agent, 0);
	cox_mux_send(&agent, s, item(COX_ITEM_MESSAGE, 50000));
	assert_int_equal(carry(&agent, &hub, NULL), 0);
	assert_int_equal(carry(&hub, &agent, NULL), 0);
	assert_true(agent.send_credit < (128 << 10) - 50000);
	hub.hold = false;
	assert_int_equal(cox_mux_tick(&hub, now, NULL), 0);
	assert_int_equal(carry(&hub, &agent, NULL), 0);
	assert_int_equal(agent.send_credit, 128 << 10);
	cox_mux_release(s);
	stop();
}

/* ---- lanes ---- */

/* Of what waits, the lowest lane is written first; streams of one lane take turns. */
static void test_lane_order(void **state)
{
	static const uint8_t lanes[] = {3, 2, 3, 1, 0};
	struct cox_mux_stream *streams[COX_ARRAY_LEN(lanes)];
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;
	struct cox_frame_reader reader = {0};
	struct cox_frame frame;
	uint8_t order[64];
	size_t n = 0;

	(void)state;
	start();
	for (size_t i = 0; i < COX_ARRAY_LEN(lanes); i++) {
		streams[i] = open_stream(&agent, lanes[i]);
		cox_mux_send(&agent, streams[i], item(COX_ITEM_MESSAGE, 20000));
	}
	cox_mux_output(&agent, &out, 1 << 20);
	cox_frame_feed(&reader, out.ptr, out.len);
	while (cox_frame_next(&reader, &frame, NULL) > 0)
		if (frame.type == COX_FRAME_DATA)
			order[n++] = (uint8_t)frame.stream;
	/* ids in the order of the lanes: 1 is lane 0, 3 lane 1, 5 lane 2, 7 and 9 lane 3 */
	assert_int_equal(n, 10);
	assert_memory_equal(order, "\x1\x1\x3\x3\x5\x5\x7\x9\x7\x9", 10);
	for (size_t i = 0; i < COX_ARRAY_LEN(lanes); i++)
		cox_mux_release(streams[i]);
	stop();
}

/* Bulk leaves a quarter of the connection's window to those below it. */
static void test_headroom(void **state)
{
	struct cox_mux_stream *bulk[4], *urgent;

	(void)state;
	start();
	hub.hold = true; /* no connection credit comes back */
	for (int i = 0; i < 4; i++) {
		bulk[i] = open_stream(&agent, 3);
		cox_mux_send(&agent, bulk[i], item(COX_ITEM_MESSAGE, 60000));
	}
	assert_int_equal(carry(&agent, &hub, NULL), 0);
	assert_true(agent.send_credit >= (128 << 10) / 4);
	urgent = open_stream(&agent, 1);
	cox_mux_send(&agent, urgent, item(COX_ITEM_MESSAGE, 30000));
	assert_int_equal(carry(&agent, &hub, NULL), 0);
	assert_int_equal(urgent->unsent, 0);
	for (int i = 0; i < 4; i++)
		cox_mux_release(bulk[i]);
	cox_mux_release(urgent);
	stop();
}

/* ---- messages ---- */

static void test_bad_messages(void **state)
{
	static const struct {
		const char *what;
		uint8_t flags;
		const char *payload;
		size_t n;
	} rows[] = {
		{"no length", COX_FLAG_BEGIN | COX_FLAG_END_MESSAGE, "\0\0\0", 3},
		{"longer than it said", COX_FLAG_BEGIN, "\0\0\0\1ab", 6},
		{"shorter than it said", COX_FLAG_BEGIN | COX_FLAG_END_MESSAGE, "\0\0\0\2a", 5},
		{"fragment of nothing", 0, "abc", 3},
		{"empty", 0, "", 0},
		{"stream ends inside", COX_FLAG_BEGIN | COX_FLAG_END_STREAM, "\0\0\0\2a", 5},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		start();
		assert_int_equal(raw(&hub, COX_FRAME_OPEN, 0, 0, 1, "", 0, NULL), 0);
		if (raw(&hub, COX_FRAME_DATA, rows[i].flags, 0, 1, rows[i].payload, rows[i].n,
			NULL) == 0)
			fail_msg("%s", rows[i].what);
		stop();
	}
}

static void test_message_limit(void **state)
{
	(void)state;
	for (uint32_t len = (1 << 20) - 1; len <= (1 << 20) + 1; len++) {
		uint8_t prefix[4];

		start();
		cox_put_u32(prefix, len);
		assert_int_equal(raw(&hub, COX_FRAME_OPEN, 0, 0, 1, "", 0, NULL), 0);
		assert_int_equal(raw(&hub, COX_FRAME_DATA, COX_FLAG_BEGIN, 0, 1, prefix, 4, NULL),
				 0);
		/* over it the call is over, and the connection goes on */
		assert_int_equal(hub.n_theirs, len > 1 << 20 ? 0 : 1);
		assert_int_equal(hub.state, COX_MUX_UP);
		if (len > 1 << 20)
			cox_mux_event_free(next_event(&hub, COX_MUX_CANCEL));
		stop();
	}
}

/* ---- churn ---- */

static void test_churn(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t limit;
	} rows[] = {{COX_FRAME_PING, 10}, {COX_FRAME_OPEN, 20}, {COX_FRAME_CANCEL, 5}};
	struct cox_error err;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		for (int limit_broken = 0; limit_broken < 2; limit_broken++) {
			uint32_t id = 1;
			int r = 0;

			start();
			if (rows[i].type == COX_FRAME_CANCEL)
				assert_int_equal(raw(&hub, COX_FRAME_OPEN, 0, 0, 1, "", 0, NULL),
						 0);
			for (uint32_t n = 0; r == 0 && n < 2 * rows[i].limit + 2; n++) {
				bool ping = rows[i].type == COX_FRAME_PING;

				if (n == rows[i].limit && !limit_broken)
					now += 1000; /* spread over two seconds it is fine */
				if (n == 2 * rows[i].limit && !limit_broken)
					break;
				r = raw(&hub, rows[i].type, 0, 0, ping ? 0 : id, "12345678",
					ping ? 8 : 0, &err);
				if (rows[i].type == COX_FRAME_OPEN)
					id += 2;
			}
			assert_int_equal(r, limit_broken ? -COX_RESOURCE_EXHAUSTED : 0);
			stop();
		}
	}
}

/* Who asks for answers and does not read them is let go. */
static void test_unread_answers(void **state)
{
	struct cox_mux_settings settings = defaults;
	int r = 0, n = 0;

	(void)state;
	settings.max_pings_per_s = 1 << 30;
	start_with(&settings);
	shake_hands();
	while (r == 0 && n++ < 100000)
		r = raw(&hub, COX_FRAME_PING, 0, 0, 0, "12345678", 8, NULL);
	assert_int_equal(r, -COX_RESOURCE_EXHAUSTED);
	assert_in_range(hub.control.len, COX_MUX_MAX_CONTROL, COX_MUX_MAX_CONTROL + 64);
	stop();
}

/* ---- keepalive, in virtual time ---- */

static void test_keepalive(void **state)
{
	int64_t silent_since = 1000000;
	struct cox_error err;

	(void)state;
	start();
	now = cox_mux_due_ms(&hub) - 1;
	assert_in_range(now - silent_since, 15999, 20000);
	assert_int_equal(cox_mux_tick(&hub, now, &err), 0);
	assert_false(cox_mux_has_output(&hub));
	now++;
	assert_int_equal(cox_mux_tick(&hub, now, &err), 0);
	assert_true(cox_mux_has_output(&hub));
	now += 5;
	assert_int_equal(carry(&hub, &agent, NULL), 0);
	assert_int_equal(carry(&agent, &hub, NULL), 0);
	assert_false(hub.ping_out);
	assert_int_equal(hub.rtt_us, 5000);
	/* now it stays silent */
	now = cox_mux_due_ms(&hub);
	assert_int_equal(cox_mux_tick(&hub, now, &err), 0);
	assert_true(hub.ping_out);
	assert_int_equal(cox_mux_due_ms(&hub), now + 10000);
	now += 9999;
	assert_int_equal(cox_mux_tick(&hub, now, &err), 0);
	now += 1;
	assert_int_equal(cox_mux_tick(&hub, now, &err), -COX_UNAVAILABLE);
	assert_non_null(strstr(err.message, "silent for"));
	stop();
}

/* Any byte is a sign of life, not only the PONG. */
static void test_keepalive_any_byte(void **state)
{
	(void)state;
	start();
	now = cox_mux_due_ms(&hub);
	assert_int_equal(cox_mux_tick(&hub, now, NULL), 0);
	now += 9000;
	assert_int_equal(cox_mux_input(&hub, "\0", 1, now, NULL), 0); /* of a slow frame */
	now += 1000;
	assert_int_equal(cox_mux_tick(&hub, now, NULL), 0);
	assert_false(hub.ping_out);
	stop();
}

/* ---- go-away ---- */

static void test_goaway(void **state)
{
	struct cox_mux_stream *sent, *unsent;
	struct cox_mux_event *event;

	(void)state;
	start();
	sent = open_stream(&agent, 1);
	assert_int_equal(carry(&agent, &hub, NULL), 0);
	unsent = open_stream(&agent, 1);
	cox_mux_goaway(&hub, "", 0, false);
	assert_int_equal(carry(&hub, &agent, NULL), 0);
	event = next_event(&agent, COX_MUX_GOAWAY);
	cox_mux_event_free(event);
	event = next_event(&agent, COX_MUX_LOST);
	assert_ptr_equal(event->stream, unsent);
	cox_mux_event_free(event);
	assert_false(sent->over);
	assert_null(cox_mux_open(&agent, 0, item(COX_ITEM_OPEN, 0), 1, NULL));
	/* an OPEN that crossed the go-away is refused, softly */
	assert_int_equal(raw(&hub, COX_FRAME_OPEN, 0, 0, 99, "", 0, NULL), 0);
	assert_int_equal(hub.n_theirs, 1);
	cox_mux_release(sent);
	cox_mux_release(unsent);
	stop();
}

static void test_extension_is_skipped(void **state)
{
	(void)state;
	start();
	assert_int_equal(raw(&hub, 128, 0xff, 0xffff, 12345, "future", 6, NULL), 0);
	assert_int_equal(raw(&hub, 255, 0, 0, 0, NULL, 0, NULL), 0);
	assert_true(raw(&hub, 127, 0, 0, 0, NULL, 0, NULL) < 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_cut_anywhere),
		cmocka_unit_test(test_frame_lengths),
		cmocka_unit_test(test_nothing_before_hello),
		cmocka_unit_test(test_hello_order),
		cmocka_unit_test(test_frames_behind_hello_ack),
		cmocka_unit_test(test_ids_grow),
		cmocka_unit_test(test_id_rules),
		cmocka_unit_test(test_max_streams),
		cmocka_unit_test(test_stream_window),
		cmocka_unit_test(test_consumption_gives_credit),
		cmocka_unit_test(test_message_larger_than_window),
		cmocka_unit_test(test_credit_overflow),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_lane_order),
		cmocka_unit_test(test_headroom),
		cmocka_unit_test(test_bad_messages),
		cmocka_unit_test(test_message_limit),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_unread_answers),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_keepalive_any_byte),
		cmocka_unit_test(test_goaway),
		cmocka_unit_test(test_extension_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
