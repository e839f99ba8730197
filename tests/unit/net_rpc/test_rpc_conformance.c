/* The conformance suite of the protocol: every case over a memory pipe, a pipe that cuts all frames
 * into pieces of 97 bytes, TCP and TLS; and where it makes a difference with the agent as the
 * caller and with the hub. */
#include "fixture.h"

#include "common/base/limits.h"
#include "common/base/mem.h"

struct scene {
	struct fixture f;
	struct end *caller, *callee;
};

static enum wire_kind kind; /* of this run of the suite */

static void scene_init(struct scene *s, bool hub_calls, const struct cox_rpc_settings *settings)
{
	fixture_init(&s->f, kind, settings);
	fixture_connect(&s->f);
	s->caller = hub_calls ? &s->f.hub : &s->f.agent;
	s->callee = hub_calls ? &s->f.agent : &s->f.hub;
}

#define BOTH_WAYS(hub_calls) for (int hub_calls = 0; hub_calls < 2; hub_calls++)

static bool is_held(void *arg)
{
	return ((struct end *)arg)->held != NULL;
}

static bool callee_ended(void *arg)
{
	return ((struct end *)arg)->n_ended > 0;
}

static uint8_t *bytes_of(size_t n)
{
	uint8_t *bytes = cox_malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
	return bytes;
}

static uint32_t sum_of(const uint8_t *bytes, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += bytes[i];
	return sum;
}

/* ---- hello ---- */

static void test_hello(void **state)
{
	const struct cox_rpc_peer *peer;
	struct scene s;

	(void)state;
	scene_init(&s, false, NULL);
	peer = cox_rpc_conn_peer(s.f.hub.conn);
	assert_string_equal(peer->instance_uuid, "agent");
	assert_string_equal(peer->software_version, "1.2.3");
	assert_int_equal(peer->version, 1);
	assert_int_equal(peer->highest_epoch, 7);
	assert_true(cox_rpc_conn_has_capability(s.f.hub.conn, "two"));
	assert_false(cox_rpc_conn_has_capability(s.f.hub.conn, "tw"));
	peer = cox_rpc_conn_peer(s.f.agent.conn);
	assert_string_equal(peer->instance_uuid, "hub");
	assert_int_equal(peer->version, 1);
	fixture_fini(&s.f);
}

static void test_no_common_version(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, kind, NULL);
	f.hub.endpoint.version_min = f.hub.endpoint.version_max = 2;
	fixture_dial(&f);
	fixture_wait(&f, both_down, &f);
	assert_false(f.agent.was_up);
	assert_true(f.agent.down.got_goaway);
	assert_int_equal(f.agent.down.goaway, COX_GOAWAY_REFUSED);
	assert_non_null(strstr(f.agent.down.error.message, "versions 1 to 1"));
	fixture_fini(&f);
}

static void test_neighbours_in_version(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, kind, NULL);
	f.hub.endpoint.version_min = 1;
	f.hub.endpoint.version_max = 3;
	f.agent.endpoint.version_min = 1;
	f.agent.endpoint.version_max = 2;
	fixture_connect(&f);
	assert_int_equal(cox_rpc_conn_peer(f.hub.conn)->version, 2);
	assert_int_equal(cox_rpc_conn_peer(f.agent.conn)->version, 2);
	fixture_fini(&f);
}

static int nobody(void *ctx, const struct cox_rpc_peer *peer, struct cox_error *err)
{
	(void)ctx;
	(void)peer;
	return cox_error(err, COX_PERMISSION_DENIED, "cluster 'dev' is banned");
}

static void test_unauthorized(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, kind, NULL);
	f.authorize = nobody;
	fixture_dial(&f);
	fixture_wait(&f, both_down, &f);
	assert_false(f.agent.was_up);
	assert_int_equal(f.agent.down.goaway, COX_GOAWAY_REFUSED);
	assert_int_equal(f.agent.down.error.code, COX_PERMISSION_DENIED);
	assert_string_equal(f.agent.down.error.message, "cluster 'dev' is banned");
	fixture_fini(&f);
}

/* ---- the four kinds of call ---- */

static void test_once(void **state)
{
	static const struct cox_rpc_call_options options = {.kind = COX_RPC_UNARY,
							    .lane = COX_LANE_ASSIGNMENT};
	struct seen seen;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, NULL);
		begin(s.caller, &seen, "Once", &options);
		send_chunk(seen.call, "hello", 5, 42);
		cox_rpc_call_half_close(seen.call);
		fixture_wait(&s.f, has_ended, &seen);
		assert_int_equal(seen.code, COX_OK);
		assert_int_equal(seen.n_messages, 1);
		assert_int_equal(seen.n_bytes, 5);
		assert_int_equal(seen.last_number, 42);
		fixture_fini(&s.f);
	}
}

struct unary {
	bool done;
	enum cox_code code;
	uint64_t number;
	size_t n;
	char message[128], details[16];
};

static void unary_done(void *user, const struct cox_rpc_status *status,
		       const ProtobufCMessage *response)
{
	struct unary *u = user;

	u->done = true;
	u->code = status->code;
	snprintf(u->message, sizeof(u->message), "%s", status->message);
	snprintf(u->details, sizeof(u->details), "%.*s", COX_STR_ARG(status->details));
	assert_int_equal(response != NULL, status->code == COX_OK);
	if (response) {
		u->number = ((const chunk *)response)->size;
		u->n = ((const chunk *)response)->data.len;
	}
}

static bool unary_is_done(void *arg)
{
	return ((struct unary *)arg)->done;
}

/* Inlined in the frame that opens, at its limit, and above it. */
static void test_unary(void **state)
{
	static const size_t sizes[] = {0, 100, (16 << 10) - 8, 16 << 10, 100000};
	static const struct cox_rpc_pair code[] = {{"code", "not_found"}, {"other", "x"}};

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;
		struct unary u;
		chunk c = COXSWAIN__BUNDLE__V1__CHUNK__INIT;
		struct cox_rpc_call_options options = {.lane = COX_LANE_REPORT,
						       .deadline_ms = 20000};

		scene_init(&s, hub_calls, NULL);
		for (size_t i = 0; i < COX_ARRAY_LEN(sizes); i++) {
			_cleanup_free_ uint8_t *bytes = bytes_of(sizes[i]);

			u = (struct unary){0};
			c.data.data = bytes;
			c.data.len = sizes[i];
			c.size = 7;
			assert_int_equal(cox_rpc_call_unary(s.caller->conn, &echo_descriptor,
							    "Once", &options, &c.base, unary_done,
							    &u, NULL, NULL),
					 0);
			fixture_wait(&s.f, unary_is_done, &u);
			assert_int_equal(u.code, COX_OK);
			assert_int_equal(u.number, 7);
			assert_int_equal(u.n, sizes[i]);
		}
		options.metadata = code;
		options.n_metadata = 2;
		c.data.len = 0;
		u = (struct unary){0};
		assert_int_equal(cox_rpc_call_unary(s.caller->conn, &echo_descriptor, "Once",
						    &options, &c.base, unary_done, &u, NULL, NULL),
				 0);
		fixture_wait(&s.f, unary_is_done, &u);
		assert_int_equal(u.code, COX_NOT_FOUND);
		assert_string_equal(u.message, "as you wished");
		assert_string_equal(u.details, "details");
		fixture_fini(&s.f);
	}
}

static void test_server_stream(void **state)
{
	static const struct cox_rpc_call_options options = {.kind = COX_RPC_SERVER_STREAM,
							    .lane = COX_LANE_BULK};
	_cleanup_free_ uint8_t *bytes = bytes_of(30000);
	struct seen seen;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, NULL);
		begin(s.caller, &seen, "Spread", &options);
		send_chunk(seen.call, bytes, 30000, 100);
		cox_rpc_call_half_close(seen.call);
		fixture_wait(&s.f, has_ended, &seen);
		assert_int_equal(seen.code, COX_OK);
		assert_int_equal(seen.n_messages, 100);
		assert_int_equal(seen.n_bytes, 3000000);
		assert_int_equal(seen.last_number, 1); /* in order */
		assert_int_equal(seen.sum, sum_of(bytes, 30000) * 100);
		fixture_fini(&s.f);
	}
}

static void test_client_stream(void **state)
{
	static const struct cox_rpc_call_options options = {.kind = COX_RPC_CLIENT_STREAM,
							    .lane = COX_LANE_REPORT};
	struct seen seen;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, NULL);
		begin(s.caller, &seen, "Collect", &options);
		for (int i = 0; i < 1000; i++)
			send_chunk(seen.call, "x", 1, 1);
		cox_rpc_call_half_close(seen.call);
		fixture_wait(&s.f, has_ended, &seen);
		assert_int_equal(seen.code, COX_OK);
		assert_int_equal(seen.n_messages, 1);
		assert_int_equal(seen.last_number, 1000);
		fixture_fini(&s.f);
	}
}

static bool five_came(void *arg)
{
	return ((struct seen *)arg)->n_messages >= 5;
}

static void test_bidi(void **state)
{
	static const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI};
	struct seen seen;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, NULL);
		begin(s.caller, &seen, "Bidi", &options);
		for (uint64_t i = 0; i < 5; i++)
			send_chunk(seen.call, "", 0, i);
		fixture_wait(&s.f, five_came, &seen);
		assert_false(seen.ended);
		assert_int_equal(seen.last_number, 4);
		send_chunk(seen.call, "abc", 3, 9);
		cox_rpc_call_half_close(seen.call);
		assert_int_equal(cox_rpc_call_send(seen.call,
						   &(chunk)COXSWAIN__BUNDLE__V1__CHUNK__INIT.base,
						   NULL),
				 -COX_FAILED_PRECONDITION);
		fixture_wait(&s.f, has_ended, &seen);
		assert_int_equal(seen.n_messages, 6);
		assert_int_equal(seen.code, COX_OK);
		assert_string_equal(seen.message, "bye");
		fixture_fini(&s.f);
	}
}

/* Many at once, from both ends, on all lanes. */
static void test_many(void **state)
{
	enum { N = 100 };
	static struct seen seen[2 * N];
	struct scene s;

	(void)state;
	scene_init(&s, false, NULL);
	for (int i = 0; i < 2 * N; i++) {
		struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI,
						       .lane = (enum cox_rpc_lane)(i % 4)};
		_cleanup_free_ uint8_t *bytes = bytes_of((size_t)i * 100);

		begin(i % 2 ? s.caller : s.callee, &seen[i], "Bidi", &options);
		send_chunk(seen[i].call, bytes, (size_t)i * 100, (uint64_t)i);
		cox_rpc_call_half_close(seen[i].call);
	}
	for (int i = 0; i < 2 * N; i++) {
		fixture_wait(&s.f, has_ended, &seen[i]);
		assert_int_equal(seen[i].code, COX_OK);
		assert_int_equal(seen[i].n_bytes, i * 100);
		assert_int_equal(seen[i].last_number, i);
	}
	fixture_fini(&s.f);
}

/* ---- endings ---- */

static void test_unimplemented(void **state)
{
	static const struct cox_rpc_call_options options = {.kind = COX_RPC_UNARY};
	struct seen seen;
	struct scene s;

	(void)state;
	scene_init(&s, true, NULL);
	begin(s.caller, &seen, "Nobody", &options);
	fixture_wait(&s.f, has_ended, &seen);
	assert_int_equal(seen.code, COX_UNIMPLEMENTED);
	assert_string_equal(seen.message, "no method 'test.Echo/Nobody'");
	fixture_fini(&s.f);
}

static void test_deadline(void **state)
{
	static const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI,
							    .deadline_ms = 30};
	struct seen seen;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, NULL);
		begin(s.caller, &seen, "Hold", &options);
		fixture_wait(&s.f, has_ended, &seen);
		assert_int_equal(seen.code, COX_DEADLINE_EXCEEDED);
		fixture_wait(&s.f, callee_ended, s.callee);
		assert_int_equal(s.callee->ended_code, COX_DEADLINE_EXCEEDED);
		fixture_fini(&s.f);
	}
}

static void test_cancel(void **state)
{
	static const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI};
	struct seen seen;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, NULL);
		begin(s.caller, &seen, "Hold", &options);
		fixture_wait(&s.f, is_held, s.callee);
		cox_rpc_call_cancel(seen.call);
		fixture_wait(&s.f, callee_ended, s.callee);
		assert_int_equal(s.callee->ended_code, COX_CANCELLED);
		assert_false(seen.ended); /* who cancels is not called */
		fixture_fini(&s.f);
	}
}

/* Before its OPEN has left, and again and again: nothing is left behind. */
static void test_cancel_at_once(void **state)
{
	static const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI};
	struct cox_rpc_conn_stats stats;
	struct seen seen;
	struct scene s;

	(void)state;
	scene_init(&s, false, NULL);
	for (int i = 0; i < 100; i++) {
		begin(s.caller, &seen, "Collect", &options);
		send_chunk(seen.call, "abc", 3, 0);
		cox_rpc_call_cancel(seen.call);
	}
	begin(s.caller, &seen, "Collect", &(struct cox_rpc_call_options){COX_RPC_CLIENT_STREAM});
	cox_rpc_call_half_close(seen.call);
	fixture_wait(&s.f, has_ended, &seen);
	assert_int_equal(seen.code, COX_OK);
	cox_rpc_conn_stats(s.callee->conn, &stats);
	assert_int_equal(stats.calls_open, 0);
	fixture_fini(&s.f);
}

/* The callee ends a call whose caller is still sending. */
static void test_callee_ends_early(void **state)
{
	static const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI};
	_cleanup_free_ uint8_t *bytes = bytes_of(100000);
	struct seen seen;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, NULL);
		begin(s.caller, &seen, "Hold", &options);
		send_chunk(seen.call, bytes, 100000, 0);
		fixture_wait(&s.f, is_held, s.callee);
		finish_held(s.callee, COX_ABORTED);
		send_chunk(seen.call, bytes, 100000, 0);
		fixture_wait(&s.f, has_ended, &seen);
		assert_int_equal(seen.code, COX_ABORTED);
		fixture_fini(&s.f);
	}
}

static void test_wrong_number_of_requests(void **state)
{
	static const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI};
	struct seen none, two;
	struct scene s;

	(void)state;
	scene_init(&s, false, NULL);
	begin(s.caller, &none, "Once", &options);
	cox_rpc_call_half_close(none.call);
	begin(s.caller, &two, "Spread", &options);
	send_chunk(two.call, "x", 1, 1000000);
	send_chunk(two.call, "x", 1, 1000000);
	fixture_wait(&s.f, has_ended, &none);
	fixture_wait(&s.f, has_ended, &two);
	assert_int_equal(none.code, COX_INVALID_ARGUMENT);
	assert_int_equal(two.code, COX_INVALID_ARGUMENT);
	fixture_fini(&s.f);
}

/* ---- limits ---- */

/* The envelope of a chunk with n bytes of data and no numbers. */
static size_t chunk_overhead(size_t n)
{
	chunk c = COXSWAIN__BUNDLE__V1__CHUNK__INIT;
	_cleanup_free_ uint8_t *bytes = bytes_of(n);

	c.data.data = bytes;
	c.data.len = n;
	return coxswain__bundle__v1__chunk__get_packed_size(&c) - n;
}

/* Much larger than the windows, at the limit, just under and over. */
static void test_message_size(void **state)
{
	const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI, .lane = COX_LANE_BULK};
	const struct cox_rpc_settings settings = {.stream_window = 32 << 10,
						  .connection_window = 64 << 10,
						  .max_message_bytes = 1 << 20};
	size_t limit = (1 << 20) - chunk_overhead(1 << 20);
	_cleanup_free_ uint8_t *bytes = bytes_of(limit + 1);
	chunk c = COXSWAIN__BUNDLE__V1__CHUNK__INIT;
	struct seen seen;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, &settings);
		begin(s.caller, &seen, "Bidi", &options);
		send_chunk(seen.call, bytes, limit - 1, 0);
		send_chunk(seen.call, bytes, limit, 0);
		c.data.data = bytes;
		c.data.len = limit + 1;
		assert_int_equal(cox_rpc_call_send(seen.call, &c.base, NULL),
				 -COX_RESOURCE_EXHAUSTED);
		cox_rpc_call_half_close(seen.call);
		fixture_wait(&s.f, has_ended, &seen);
		assert_int_equal(seen.code, COX_OK);
		assert_int_equal(seen.n_messages, 2);
		assert_int_equal(seen.n_bytes, 2 * limit - 1);
		assert_int_equal(seen.sum, sum_of(bytes, limit - 1) + sum_of(bytes, limit));
		fixture_fini(&s.f);
	}
}

/* A peer that takes less than we send: the call ends, the connection stays. */
static void test_message_too_large_for_peer(void **state)
{
	const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI};
	const struct cox_rpc_call_options small = {.kind = COX_RPC_BIDI,
						   .max_response_bytes = 1000};
	_cleanup_free_ uint8_t *bytes = bytes_of(2000);
	size_t limit = 1000 - chunk_overhead(900);
	struct seen fits, over, answer;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, NULL);
		begin(s.caller, &fits, "Small", &options);
		send_chunk(fits.call, bytes, limit, 0);
		begin(s.caller, &over, "Small", &options);
		send_chunk(over.call, bytes, limit + 1, 0);
		begin(s.caller, &answer, "Bidi", &small);
		send_chunk(answer.call, bytes, 2000, 0);
		fixture_wait(&s.f, has_ended, &fits);
		fixture_wait(&s.f, has_ended, &over);
		fixture_wait(&s.f, has_ended, &answer);
		assert_int_equal(fits.code, COX_OK);
		assert_int_equal(over.code, COX_RESOURCE_EXHAUSTED);
		assert_int_equal(answer.code, COX_RESOURCE_EXHAUSTED);
		assert_non_null(s.caller->conn);
		fixture_fini(&s.f);
	}
}

static void test_max_streams(void **state)
{
	enum { N = 5 };
	const struct cox_rpc_settings settings = {.max_streams = N};
	const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI};
	struct seen seen[N + 1];
	struct cox_error err;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, &settings);
		for (int i = 0; i < N; i++)
			begin(s.caller, &seen[i], "Bidi", &options);
		assert_int_equal(cox_rpc_call_start(s.caller->conn, &echo_descriptor, "Bidi",
						    &options, &seen_events, &seen[N], &seen[N].call,
						    &err),
				 -COX_RESOURCE_EXHAUSTED);
		cox_rpc_call_half_close(seen[0].call);
		fixture_wait(&s.f, has_ended, &seen[0]);
		begin(s.caller, &seen[N], "Bidi", &options);
		cox_rpc_call_half_close(seen[N].call);
		fixture_wait(&s.f, has_ended, &seen[N]);
		assert_int_equal(seen[N].code, COX_OK);
		for (int i = 1; i < N; i++)
			cox_rpc_call_cancel(seen[i].call);
		fixture_fini(&s.f);
	}
}

static void test_send_queue(void **state)
{
	const struct cox_rpc_settings settings = {.send_queue_bytes = 300 << 10,
						  .stream_window = 16 << 10};
	const struct cox_rpc_call_options options = {.kind = COX_RPC_CLIENT_STREAM};
	_cleanup_free_ uint8_t *bytes = bytes_of(100 << 10);
	chunk c = COXSWAIN__BUNDLE__V1__CHUNK__INIT;
	struct cox_error err;
	struct seen seen;
	struct scene s;
	int r, n = 0;

	(void)state;
	scene_init(&s, false, &settings);
	begin(s.caller, &seen, "Paused", &options);
	fixture_wait(&s.f, is_held, s.callee);
	c.data.data = bytes;
	c.data.len = 100 << 10;
	/* Two are below the limit, and one may arrive meanwhile, however small the window. */
	while ((r = cox_rpc_call_send(seen.call, &c.base, &err)) >= 0)
		assert_in_range(++n, 1, 4);
	assert_in_range(n, 2, 4);
	assert_int_equal(r, -COX_RESOURCE_EXHAUSTED);
	assert_in_range(cox_rpc_call_unsent(seen.call), 90 << 10, 300 << 10);
	cox_rpc_call_cancel(seen.call);
	fixture_fini(&s.f);
}

/* ---- credit and lanes ---- */

static bool is_writable_again(void *arg)
{
	return ((struct seen *)arg)->writable;
}

/* A callee that does not read stops its caller, and nobody else. */
static void test_credit(void **state)
{
	const struct cox_rpc_call_options options = {.kind = COX_RPC_CLIENT_STREAM,
						     .lane = COX_LANE_REPORT};
	_cleanup_free_ uint8_t *bytes = bytes_of(10000);
	struct seen stalled, other;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		unsigned n = 0;
		struct scene s;

		scene_init(&s, hub_calls, NULL);
		begin(s.caller, &stalled, "Paused", &options);
		fixture_wait(&s.f, is_held, s.callee);
		while (cox_rpc_call_unsent(stalled.call) < 1 << 20) {
			send_chunk(stalled.call, bytes, 10000, 0);
			n++;
		}
		assert_false(cox_rpc_call_is_writable(stalled.call));
		for (int i = 0; i < 3; i++) {	  /* each larger than a window */
			stalled.writable = false; /* it may have been until the windows closed */
			begin(s.caller, &other, "Collect", &options);
			for (int k = 0; k < 60; k++)
				send_chunk(other.call, bytes, 10000, 0);
			cox_rpc_call_half_close(other.call);
			fixture_wait(&s.f, has_ended, &other);
			assert_int_equal(other.code, COX_OK);
			assert_int_equal(other.last_number, 60);
		}
		assert_false(stalled.writable);
		assert_true(cox_rpc_call_unsent(stalled.call) > (1 << 20) - (300 << 10));
		cox_rpc_call_resume(s.callee->held);
		fixture_wait(&s.f, is_writable_again, &stalled);
		cox_rpc_call_half_close(stalled.call);
		fixture_wait(&s.f, has_ended, &stalled);
		assert_int_equal(stalled.code, COX_OK);
		assert_int_equal(stalled.last_number, n);
		fixture_fini(&s.f);
	}
}

/* A small call finishes while bulk flows, long before the bulk does. */
static void test_lanes(void **state)
{
	const struct cox_rpc_call_options bulk = {.kind = COX_RPC_SERVER_STREAM,
						  .lane = COX_LANE_BULK};
	const struct cox_rpc_call_options small = {.kind = COX_RPC_UNARY,
						   .lane = COX_LANE_ASSIGNMENT};
	_cleanup_free_ uint8_t *bytes = bytes_of(60000);
	struct seen a, b;
	unsigned before;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, NULL);
		begin(s.caller, &a, "Spread", &bulk);
		send_chunk(a.call, bytes, 60000, 300);
		cox_rpc_call_half_close(a.call);
		fixture_wait(&s.f, five_came, &a);
		before = a.n_messages;
		begin(s.caller, &b, "Once", &small);
		send_chunk(b.call, "x", 1, 0);
		cox_rpc_call_half_close(b.call);
		fixture_wait(&s.f, has_ended, &b);
		assert_int_equal(b.code, COX_OK);
		/* What was in flight may come first: some windows, not all. */
		assert_in_range(a.n_messages, before, before + (4 * (512 << 10)) / 60000);
		fixture_wait(&s.f, has_ended, &a);
		assert_int_equal(a.n_messages, 300);
		fixture_fini(&s.f);
	}
}

/* ---- the end of a connection ---- */

static bool cannot_open(void *arg)
{
	return !cox_rpc_conn_is_open(((struct end *)arg)->conn);
}

static void test_goaway(void **state)
{
	const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI};
	const struct cox_rpc_call_options endless = {.kind = COX_RPC_BIDI, .endless = true};
	struct seen seen, watch;
	struct cox_error err;

	(void)state;
	BOTH_WAYS(hub_goes)
	{
		struct scene s;

		scene_init(&s, !hub_goes, NULL);
		begin(s.caller, &watch, "Hold", &endless);
		fixture_wait(&s.f, is_held, s.callee);
		begin(s.caller, &seen, "Hold", &options);
		send_chunk(seen.call, "x", 1, 1);
		finish_held(s.callee, COX_OK); /* of the watch, which is begun again */
		fixture_wait(&s.f, has_ended, &watch);
		fixture_wait(&s.f, is_held, s.callee);
		begin(s.caller, &watch, "Bidi", &endless);
		cox_rpc_conn_goaway(s.callee->conn, COX_GOAWAY_REBALANCE, "elsewhere", 1234);
		assert_false(cox_rpc_conn_is_open(s.callee->conn));
		fixture_wait(&s.f, cannot_open, s.caller);
		assert_int_equal(cox_rpc_call_start(s.caller->conn, &echo_descriptor, "Bidi",
						    &options, &seen_events, &seen, &seen.call,
						    &err),
				 -COX_UNAVAILABLE);
		fixture_wait(&s.f, has_ended, &watch);
		assert_int_equal(watch.code, COX_UNAVAILABLE);
		assert_false(seen.ended); /* what was open may finish */
		finish_held(s.callee, COX_OK);
		fixture_wait(&s.f, has_ended, &seen);
		assert_int_equal(seen.code, COX_OK);
		fixture_wait(&s.f, both_down, &s.f);
		assert_true(s.caller->down.got_goaway);
		assert_int_equal(s.caller->down.goaway, COX_GOAWAY_REBALANCE);
		assert_int_equal(s.caller->down.retry_after_ms, 1234);
		assert_string_equal(s.caller->down.error.message, "elsewhere");
		fixture_fini(&s.f);
	}
}

/* Calls that do not end are ended when the time to drain is over. */
static void test_goaway_drain(void **state)
{
	const struct cox_rpc_settings settings = {.drain_ms = 30};
	const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI};
	struct seen seen;
	struct scene s;

	(void)state;
	scene_init(&s, false, &settings);
	begin(s.caller, &seen, "Hold", &options);
	fixture_wait(&s.f, is_held, s.callee);
	cox_rpc_conn_goaway(s.callee->conn, COX_GOAWAY_SHUTDOWN, "", 0);
	fixture_wait(&s.f, both_down, &s.f);
	assert_true(seen.ended);
	assert_int_equal(seen.code, COX_UNAVAILABLE);
	assert_int_equal(s.callee->n_ended, 1);
	assert_int_equal(s.callee->ended_code, COX_UNAVAILABLE);
	fixture_fini(&s.f);
}

static void test_close(void **state)
{
	const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI};
	struct seen seen;

	(void)state;
	BOTH_WAYS(hub_calls)
	{
		struct scene s;

		scene_init(&s, hub_calls, NULL);
		begin(s.caller, &seen, "Hold", &options);
		fixture_wait(&s.f, is_held, s.callee);
		cox_rpc_conn_close(s.callee->conn, COX_GOAWAY_DUPLICATE, "another came");
		assert_false(seen.ended);
		fixture_wait(&s.f, both_down, &s.f);
		assert_int_equal(seen.code, COX_UNAVAILABLE);
		assert_int_equal(s.callee->ended_code, COX_UNAVAILABLE);
		assert_int_equal(s.caller->down.goaway, COX_GOAWAY_DUPLICATE);
		assert_true(s.caller->down.was_up);
		fixture_fini(&s.f);
	}
}

struct pinged {
	struct cox_rpc_conn *conn;
	uint64_t bytes_in;
};

static bool has_more_bytes(void *arg)
{
	struct pinged *p = arg;
	struct cox_rpc_conn_stats stats;

	cox_rpc_conn_stats(p->conn, &stats);
	return stats.bytes_in >= p->bytes_in + 2 * (COX_FRAME_HEADER + 8);
}

/* Silence is broken by pings, and a peer that answers lives on. */
static void test_keepalive(void **state)
{
	const struct cox_rpc_settings settings = {
		.keepalive_ms = 5, .keepalive_dead_ms = 400, .max_pings_per_s = 1000};
	struct cox_rpc_conn_stats stats;
	struct pinged p;
	struct scene s;

	(void)state;
	scene_init(&s, false, &settings);
	cox_rpc_conn_stats(s.f.agent.conn, &stats);
	p = (struct pinged){s.f.agent.conn, stats.bytes_in};
	fixture_wait(&s.f, has_more_bytes, &p);
	assert_non_null(s.f.hub.conn);
	fixture_fini(&s.f);
}

static void test_bad_frames(void **state)
{
	/* each: what a peer may not do once it is up */
	static const struct {
		const char *what;
		uint8_t bytes[24];
		size_t n;
	} rows[] = {
		{"unknown type", {0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 0}, 12},
		{"type 0", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12},
		{"reserved byte", {0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0}, 12},
		{"too long DATA", {0, 0x40, 1, 4, 1, 0, 0, 0, 0, 0, 0, 1}, 12},
		{"too long OPEN", {0x01, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 1}, 12},
		{"hello again", {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, 12},
		{"even id of an agent", {0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2}, 12},
		{"no such lane", {0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1}, 12},
		{"data on nothing", {0, 0, 1, 4, 1, 0, 0, 0, 0, 0, 0, 1, 0}, 13},
		{"status for nothing", {0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 2}, 12},
		{"cancel of nothing", {0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1}, 12},
		{"too much credit", {0, 0, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 16},
		{"short ping", {0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 13},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		struct cox_rpc_conn *agent;
		struct scene s;

		scene_init(&s, false, NULL);
		agent = s.f.agent.conn;
		pthread_mutex_lock(&agent->lock);
		cox_buf_add(&agent->mux.control, rows[i].bytes, rows[i].n);
		cox_conn_pump(agent);
		pthread_mutex_unlock(&agent->lock);
		fixture_wait(&s.f, both_down, &s.f);
		if (s.f.agent.down.goaway != COX_GOAWAY_PROTOCOL_ERROR)
			fail_msg("%s: %s", rows[i].what, s.f.agent.down.error.message);
		assert_true(s.f.agent.down.got_goaway);
		fixture_fini(&s.f);
	}
}

static int teardown(void **state)
{
	(void)state;
	test_pki_free();
	cox_net_fini();
	return 0;
}

int main(void)
{
	static const char *const names[] = {"pipe", "pieces", "tcp", "tls"};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_no_common_version),
		cmocka_unit_test(test_neighbours_in_version),
		cmocka_unit_test(test_unauthorized),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_unary),
		cmocka_unit_test(test_server_stream),
		cmocka_unit_test(test_client_stream),
		cmocka_unit_test(test_bidi),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_unimplemented),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_at_once),
		cmocka_unit_test(test_callee_ends_early),
		cmocka_unit_test(test_wrong_number_of_requests),
		cmocka_unit_test(test_message_size),
		cmocka_unit_test(test_message_too_large_for_peer),
		cmocka_unit_test(test_max_streams),
		cmocka_unit_test(test_send_queue),
		cmocka_unit_test(test_credit),
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_goaway),
		cmocka_unit_test(test_goaway_drain),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_bad_frames),
	};
	int failed = 0;

	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++) {
		kind = (enum wire_kind)i;
		failed += cmocka_run_group_tests_name(names[i], tests, NULL, NULL);
	}
	teardown(NULL);
	return failed;
}
