#include "common/net/rpc_conn.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/mem.h"

#include <stdio.h>

/* Plaintext handed to the wire at once: what is behind it can still be overtaken. */
#define SEND_BYTES (64 << 10)
/* A peer that does not take the last words is not waited for. */
#define LAST_WORDS_MS 1000
/* All connections together may hold so much that nobody has read yet; then those that hold more
 * than their share wait. */
#define BUFFERED_TOTAL	 (256 << 20)
#define BUFFERED_SHARE	 (2 << 20)
#define ENROL_MAX_BYTES	 (COX_FRAME_HEADER + (8 << 10) + 4)
#define MAX_CAPABILITIES 64
/* While credit is held back for want of memory, whether it still has to be is asked so often. */
#define HOLD_MS 100
/* Names, and TCP to one address after the other, take longer than a handshake. */
#define CONNECT_TIMES 3
#define YEAR_MS	      (365LL * 24 * 3600 * 1000)

static void task(void *arg);
static void timed_out(void *arg);
static void close_timed_out(void *arg);
static void expired(void *arg);

void cox_settings_fill(struct cox_rpc_settings *s)
{
	static const struct cox_rpc_settings defaults = {
		.stream_window = 256 << 10,
		.connection_window = 512 << 10,
		.max_streams = 256,
		.max_message_bytes = COX_LIMIT_MESSAGE_BYTES,
		.max_decode_bytes = COX_LIMIT_DECODE_BYTES,
		.send_queue_bytes = 8 << 20,
		.writable_bytes = 64 << 10,
		.handshake_ms = 5000,
		.keepalive_ms = 20000,
		.keepalive_dead_ms = 10000,
		.drain_ms = 10000,
		.max_pings_per_s = 10,
		.max_opens_per_s = 10000,
		.max_cancels_per_s = 1000,
	};
	uint32_t *to = (uint32_t *)s;
	const uint32_t *from = (const uint32_t *)&defaults;

	_Static_assert(sizeof(defaults) % sizeof(uint32_t) == 0, "settings are all uint32_t");
	for (size_t i = 0; i < sizeof(defaults) / sizeof(*to); i++)
		if (to[i] == 0)
			to[i] = from[i];
	if (s->stream_window < COX_MUX_MIN_WINDOW)
		s->stream_window = COX_MUX_MIN_WINDOW;
	if (s->connection_window < COX_MUX_MIN_WINDOW)
		s->connection_window = COX_MUX_MIN_WINDOW;
}

/* ---- the wire's side: any thread ---- */

void cox_conn_wake(struct cox_rpc_conn *conn)
{
	cox_loop_send(conn->loop, &conn->task);
}

void cox_conn_pump(struct cox_rpc_conn *conn)
{
	struct cox_buf out = COX_BUF_INIT;

	if (!conn->wire_ready || conn->sending || conn->corked || conn->wire_closed)
		return;
	if (conn->enrol) {
		out = conn->enrol_out;
		conn->enrol_out = COX_BUF_INIT;
	} else {
		cox_mux_output(&conn->mux, &out, SEND_BYTES);
	}
	if (out.len > 0) {
		conn->sending = true;
		cox_wire_send(conn->wire, &out);
	} else {
		cox_buf_fini(&out);
		/* Who joins may still be sending: a close would reset the connection and take the
		 * answer with it. That side closes when it has the answer, or the timer does. */
		if (conn->close_when_sent && !(conn->enrol && conn->is_hub))
			cox_wire_close(conn->wire);
	}
}

void cox_conn_cork(struct cox_rpc_conn *conn)
{
	pthread_mutex_lock(&conn->lock);
	conn->corked++;
	pthread_mutex_unlock(&conn->lock);
}

void cox_conn_uncork(struct cox_rpc_conn *conn)
{
	pthread_mutex_lock(&conn->lock);
	conn->corked--;
	cox_conn_pump(conn);
	pthread_mutex_unlock(&conn->lock);
}

static void on_ready(void *ctx)
{
	struct cox_rpc_conn *conn = ctx;

	pthread_mutex_lock(&conn->lock);
	conn->enrol = strcmp(cox_wire_alpn(conn->wire), COX_ALPN_ENROL) == 0;
	conn->wire_ready = true;
	cox_conn_pump(conn);
	pthread_mutex_unlock(&conn->lock);
	cox_conn_wake(conn);
}

/* An agent's machine waits after HELLO_ACK for the windows: they are read at once, on the wire's
 * thread, because the frames behind it may be here already. A message that cannot be read leaves
 * the smallest windows; the loop will close the connection over it. */
static int begin_and_resume(struct cox_rpc_conn *conn, int64_t now_ms, struct cox_error *err)
{
	const struct cox_mux_event *event =
		COX_LIST_ENTRY(conn->mux.events.prev, struct cox_mux_event, node);
	struct cox_rpc_message *message = NULL;
	const Coxswain__Rpc__V1__HelloAck *ack;
	int r;

	r = cox_rpc_decode(&coxswain__rpc__v1__hello_ack__descriptor, event->bytes, event->len,
			   COX_LIMIT_DECODE_BYTES, &message, err);
	if (r < 0)
		return r;
	ack = (const Coxswain__Rpc__V1__HelloAck *)message->base;
	cox_mux_begin(&conn->mux, ack->stream_window, ack->connection_window, ack->max_streams);
	cox_rpc_message_free(message);
	return cox_mux_resume(&conn->mux, now_ms, err);
}

static void on_enrol_bytes(struct cox_rpc_conn *conn, const uint8_t *bytes, size_t n)
{
	size_t max = conn->is_hub ? ENROL_MAX_BYTES : 2 * COX_FRAME_MAX_OTHER;

	if (conn->enrol_in.len + n > max) {
		cox_error(&conn->fault, COX_RESOURCE_EXHAUSTED, "more than %zu bytes to join", max);
		conn->faulted = true;
		return;
	}
	cox_buf_add(&conn->enrol_in, bytes, n);
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t n)
{
	struct cox_rpc_conn *conn = ctx;
	int64_t now_ms = cox_clock_ms();
	bool wake;
	int r;

	pthread_mutex_lock(&conn->lock);
	if (conn->enrol) {
		on_enrol_bytes(conn, bytes, n);
	} else if (!conn->faulted) {
		conn->mux.hold = conn->mux.buffered > BUFFERED_SHARE &&
				 cox_mux_total_buffered() > BUFFERED_TOTAL;
		r = cox_mux_input(&conn->mux, bytes, n, now_ms, &conn->fault);
		if (r == 0 && !conn->is_hub && conn->mux.state == COX_MUX_GREETED)
			r = begin_and_resume(conn, now_ms, &conn->fault);
		conn->faulted = r < 0;
		cox_conn_pump(conn);
	}
	wake = conn->enrol || conn->faulted || conn->going || !cox_list_is_empty(&conn->mux.events);
	pthread_mutex_unlock(&conn->lock);
	if (wake)
		cox_conn_wake(conn);
}

static void on_sent(void *ctx)
{
	struct cox_rpc_conn *conn = ctx;
	bool wake;

	pthread_mutex_lock(&conn->lock);
	conn->sending = false;
	cox_conn_pump(conn);
	wake = conn->going || !cox_list_is_empty(&conn->mux.events);
	pthread_mutex_unlock(&conn->lock);
	if (wake)
		cox_conn_wake(conn);
}

static void on_closed(void *ctx, const struct cox_error *why)
{
	struct cox_rpc_conn *conn = ctx;

	pthread_mutex_lock(&conn->lock);
	conn->wire_closed = true;
	conn->wire_error = *why;
	/* Inside the lock: the loop may free the connection as soon as it sees this. */
	cox_conn_wake(conn);
	pthread_mutex_unlock(&conn->lock);
}

static const struct cox_wire_events wire_events = {
	.on_ready = on_ready,
	.on_bytes = on_bytes,
	.on_sent = on_sent,
	.on_closed = on_closed,
};

/* ---- birth and death ---- */

struct cox_rpc_conn *cox_conn_new(const struct cox_rpc_endpoint *endpoint, bool is_hub,
				  const struct cox_conn_owner *owner, void *owner_ctx)
{
	struct cox_rpc_conn *conn = cox_new(struct cox_rpc_conn);
	const struct cox_rpc_settings *s = &conn->settings;
	uint64_t seed;

	conn->endpoint = endpoint;
	conn->settings = endpoint->settings;
	cox_settings_fill(&conn->settings);
	conn->loop = endpoint->loop;
	conn->is_hub = is_hub;
	conn->owner = owner;
	conn->owner_ctx = owner_ctx;
	pthread_mutex_init(&conn->lock, NULL);
	cox_random_bytes(&seed, sizeof(seed));
	cox_mux_init(&conn->mux,
		     &(struct cox_mux_settings){
			     .stream_window = s->stream_window,
			     .connection_window = s->connection_window,
			     .max_streams = s->max_streams,
			     .max_message_bytes = s->max_message_bytes,
			     .writable_bytes = s->writable_bytes,
			     .keepalive_ms = s->keepalive_ms,
			     .keepalive_dead_ms = s->keepalive_dead_ms,
			     .max_pings_per_s = s->max_pings_per_s,
			     .max_opens_per_s = s->max_opens_per_s,
			     .max_cancels_per_s = s->max_cancels_per_s,
		     },
		     is_hub, seed, cox_clock_ms());
	cox_list_init(&conn->owner_node);
	cox_list_init(&conn->calls);
	cox_list_init(&conn->runnable);
	cox_task_init(&conn->task, task, conn);
	cox_timer_init(&conn->timer, conn->loop, timed_out, conn);
	cox_timer_init(&conn->close_timer, conn->loop, close_timed_out, conn);
	cox_timer_init(&conn->expiry_timer, conn->loop, expired, conn);
	cox_timer_start(&conn->timer, (int64_t)CONNECT_TIMES * s->handshake_ms);
	return conn;
}

static void send_hello(struct cox_rpc_conn *conn)
{
	const struct cox_rpc_endpoint *e = conn->endpoint;
	Coxswain__Rpc__V1__Hello hello = COXSWAIN__RPC__V1__HELLO__INIT;
	uint8_t *bytes;
	size_t n;

	hello.version_min = e->version_min ? e->version_min : COX_RPC_VERSION_MIN;
	hello.version_max = e->version_max ? e->version_max : COX_RPC_VERSION_MAX;
	hello.software_version = (char *)(e->software_version ? e->software_version : "");
	hello.instance_uuid = (char *)(e->instance_uuid ? e->instance_uuid : "");
	hello.boot_id = (char *)(e->boot_id ? e->boot_id : "");
	hello.capabilities = (char **)e->capabilities;
	while (e->capabilities && e->capabilities[hello.n_capabilities])
		hello.n_capabilities++;
	hello.stream_window = conn->settings.stream_window;
	hello.connection_window = conn->settings.connection_window;
	hello.max_streams = conn->settings.max_streams;
	hello.keepalive_ms = conn->settings.keepalive_ms;
	hello.highest_epoch = e->highest_epoch;
	hello.assignments_digest.data = (uint8_t *)e->assignments_digest.ptr;
	hello.assignments_digest.len = e->assignments_digest.len;
	n = coxswain__rpc__v1__hello__get_packed_size(&hello);
	bytes = cox_malloc(n + 1);
	coxswain__rpc__v1__hello__pack(&hello, bytes);
	cox_mux_hello(&conn->mux, bytes, n);
	free(bytes);
}

void cox_conn_attach(struct cox_rpc_conn *conn, struct cox_wire *wire, struct cox_tls_context *tls)
{
	COX_ASSERT(!conn->wire);
	conn->wire = wire;
	conn->state = COX_CONN_HANDSHAKE;
	cox_timer_start(&conn->timer, conn->settings.handshake_ms);
	memcpy(conn->peer.address, wire->address, sizeof(conn->peer.address));
	if (!conn->is_hub)
		send_hello(conn);
	cox_wire_start(wire, tls, &wire_events, conn);
}

static void conn_free(struct cox_rpc_conn *conn)
{
	cox_timer_stop(&conn->timer);
	cox_timer_stop(&conn->close_timer);
	cox_timer_stop(&conn->expiry_timer);
	cox_wire_free(conn->wire); /* waits for the wire's last callback to return */
	cox_loop_unsend(conn->loop, &conn->task);
	cox_list_remove(&conn->owner_node);
	cox_mux_fini(&conn->mux);
	cox_buf_fini(&conn->enrol_in);
	cox_buf_fini(&conn->enrol_out);
	free(conn->capabilities);
	pthread_mutex_destroy(&conn->lock);
	free(conn);
}

static void set_down(struct cox_rpc_conn *conn, const struct cox_error *why)
{
	if (!conn->has_down)
		conn->down.error = *why;
	conn->has_down = true;
}

/* The wire is closed, or there is none: everything above is told, the connection is gone. */
static void go_down(struct cox_rpc_conn *conn)
{
	pthread_mutex_lock(&conn->lock);
	cox_mux_abandon(&conn->mux);
	pthread_mutex_unlock(&conn->lock);
	conn->state = COX_CONN_CLOSING;
	set_down(conn, conn->faulted ? &conn->fault : &conn->wire_error);
	if (conn->down.error.code == COX_OK)
		cox_error(&conn->down.error, COX_UNAVAILABLE, "the connection is closed");
	cox_call_end_all(conn, COX_UNAVAILABLE, conn->down.error.message);
	conn->owner->on_down(conn->owner_ctx, conn, &conn->down);
	conn_free(conn);
}

void cox_conn_fail(struct cox_rpc_conn *conn, const struct cox_error *why)
{
	COX_ASSERT(!conn->wire);
	set_down(conn, why);
	pthread_mutex_lock(&conn->lock);
	conn->wire_closed = true;
	pthread_mutex_unlock(&conn->lock);
	cox_conn_wake(conn);
}

void cox_conn_close_when_sent(struct cox_rpc_conn *conn)
{
	conn->state = COX_CONN_CLOSING;
	cox_timer_start(&conn->close_timer, LAST_WORDS_MS);
	pthread_mutex_lock(&conn->lock);
	conn->close_when_sent = true;
	cox_conn_pump(conn);
	pthread_mutex_unlock(&conn->lock);
}

static void goaway(struct cox_rpc_conn *conn, enum cox_rpc_goaway reason, const char *text,
		   uint32_t retry_after_ms, bool final)
{
	Coxswain__Rpc__V1__Goaway g = COXSWAIN__RPC__V1__GOAWAY__INIT;
	uint8_t *bytes;
	size_t n;

	g.reason = (Coxswain__Rpc__V1__GoawayReason)reason;
	g.text = (char *)(text ? text : "");
	g.last_stream = conn->mux.highest_peer;
	g.drain_ms = final ? 0 : conn->settings.drain_ms;
	g.retry_after_ms = retry_after_ms;
	n = coxswain__rpc__v1__goaway__get_packed_size(&g);
	bytes = cox_malloc(n + 1);
	coxswain__rpc__v1__goaway__pack(&g, bytes);
	cox_mux_goaway(&conn->mux, bytes, n, final);
	free(bytes);
}

void cox_conn_shutdown(struct cox_rpc_conn *conn, enum cox_rpc_goaway reason, const char *text,
		       uint32_t retry_after_ms)
{
	struct cox_error why;

	if (conn->state == COX_CONN_CLOSING)
		return;
	cox_error(&why, COX_CANCELLED, "%s", text && *text ? text : "closed on this side");
	set_down(conn, &why);
	if (conn->state == COX_CONN_CONNECTING) {
		conn->state = COX_CONN_CLOSING;
		conn->owner->on_abort(conn->owner_ctx, conn);
		return;
	}
	pthread_mutex_lock(&conn->lock);
	if (!conn->enrol)
		goaway(conn, reason, text, retry_after_ms, true);
	if (!conn->wire_ready)
		cox_wire_close(conn->wire);
	pthread_mutex_unlock(&conn->lock);
	cox_conn_close_when_sent(conn);
}

/* ---- hello ---- */

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static void keep_capabilities(struct cox_rpc_conn *conn, char **names, size_t n)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;

	cox_buf_putc(&text, '\n');
	for (size_t i = 0; i < n && i < MAX_CAPABILITIES; i++)
		cox_buf_printf(&text, "%.64s\n", names[i]);
	free(conn->capabilities);
	conn->capabilities = cox_buf_take(&text);
}

static void come_up(struct cox_rpc_conn *conn)
{
	int64_t left_ms = conn->peer.tls.not_after_ms - cox_clock_wall_ms(), due_ms;

	conn->state = COX_CONN_UP;
	conn->up_ms = cox_clock_ms();
	conn->down.was_up = true;
	pthread_mutex_lock(&conn->lock);
	due_ms = cox_mux_due_ms(&conn->mux) - conn->up_ms;
	pthread_mutex_unlock(&conn->lock);
	cox_timer_start(&conn->timer, due_ms > 1 ? due_ms : 1);
	if (conn->peer.tls.not_after_ms && left_ms < YEAR_MS)
		cox_timer_start(&conn->expiry_timer, left_ms > 0 ? left_ms : 0);
	if (conn->owner->on_up)
		conn->owner->on_up(conn->owner_ctx, conn);
}

static void refuse(struct cox_rpc_conn *conn, enum cox_rpc_goaway reason,
		   const struct cox_error *why)
{
	set_down(conn, why);
	cox_conn_shutdown(conn, reason, why->message, 0);
}

/* The highest version that both speak. */
static int choose_version(struct cox_rpc_conn *conn, const Coxswain__Rpc__V1__Hello *hello,
			  struct cox_error *err)
{
	const struct cox_rpc_endpoint *e = conn->endpoint;
	uint32_t min = e->version_min ? e->version_min : COX_RPC_VERSION_MIN;
	uint32_t max = e->version_max ? e->version_max : COX_RPC_VERSION_MAX;

	conn->peer.version = hello->version_max < max ? hello->version_max : max;
	if (conn->peer.version < min || conn->peer.version < hello->version_min)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "the agent speaks versions %u to %u of the protocol, the hub "
				 "%u to %u",
				 hello->version_min, hello->version_max, min, max);
	return 0;
}

static void welcome(struct cox_rpc_conn *conn, const Coxswain__Rpc__V1__Hello *hello)
{
	const struct cox_rpc_endpoint *e = conn->endpoint;
	Coxswain__Rpc__V1__HelloAck ack = COXSWAIN__RPC__V1__HELLO_ACK__INIT;
	uint8_t *bytes;
	size_t n;

	ack.version = conn->peer.version;
	ack.software_version = (char *)(e->software_version ? e->software_version : "");
	ack.instance_uuid = (char *)(e->instance_uuid ? e->instance_uuid : "");
	ack.boot_id = (char *)(e->boot_id ? e->boot_id : "");
	ack.capabilities = (char **)e->capabilities;
	while (e->capabilities && e->capabilities[ack.n_capabilities])
		ack.n_capabilities++;
	ack.stream_window = conn->settings.stream_window;
	ack.connection_window = conn->settings.connection_window;
	ack.max_streams = conn->settings.max_streams;
	ack.keepalive_ms = conn->settings.keepalive_ms;
	ack.epoch = e->highest_epoch;
	n = coxswain__rpc__v1__hello_ack__get_packed_size(&ack);
	bytes = cox_malloc(n + 1);
	coxswain__rpc__v1__hello_ack__pack(&ack, bytes);
	pthread_mutex_lock(&conn->lock);
	cox_mux_welcome(&conn->mux, bytes, n, hello->stream_window, hello->connection_window,
			hello->max_streams);
	cox_conn_pump(conn);
	pthread_mutex_unlock(&conn->lock);
	free(bytes);
}

static void got_hello(struct cox_rpc_conn *conn, const ProtobufCMessage *msg)
{
	const Coxswain__Rpc__V1__Hello *hello = (const Coxswain__Rpc__V1__Hello *)msg;
	struct cox_rpc_peer *peer = &conn->peer;
	struct cox_error err;

	copy_text(peer->software_version, sizeof(peer->software_version), hello->software_version);
	copy_text(peer->instance_uuid, sizeof(peer->instance_uuid), hello->instance_uuid);
	copy_text(peer->boot_id, sizeof(peer->boot_id), hello->boot_id);
	peer->highest_epoch = hello->highest_epoch;
	peer->has_assignments_digest =
		hello->assignments_digest.len == sizeof(peer->assignments_digest);
	if (peer->has_assignments_digest)
		memcpy(peer->assignments_digest, hello->assignments_digest.data,
		       sizeof(peer->assignments_digest));
	keep_capabilities(conn, hello->capabilities, hello->n_capabilities);
	if (choose_version(conn, hello, &err) < 0 ||
	    (conn->owner->authorize && conn->owner->authorize(conn->owner_ctx, conn, &err) < 0)) {
		refuse(conn, COX_GOAWAY_REFUSED, &err);
		return;
	}
	if (conn->state != COX_CONN_HANDSHAKE)
		return; /* authorize closed it */
	welcome(conn, hello);
	come_up(conn);
}

static void got_hello_ack(struct cox_rpc_conn *conn, const ProtobufCMessage *msg)
{
	const Coxswain__Rpc__V1__HelloAck *ack = (const Coxswain__Rpc__V1__HelloAck *)msg;
	const struct cox_rpc_endpoint *e = conn->endpoint;
	uint32_t min = e->version_min ? e->version_min : COX_RPC_VERSION_MIN;
	uint32_t max = e->version_max ? e->version_max : COX_RPC_VERSION_MAX;
	struct cox_rpc_peer *peer = &conn->peer;
	struct cox_error err;

	if (ack->version < min || ack->version > max) {
		cox_error(&err, COX_FAILED_PRECONDITION,
			  "the hub chose version %u of the protocol, offered were %u to %u",
			  ack->version, min, max);
		refuse(conn, COX_GOAWAY_PROTOCOL_ERROR, &err);
		return;
	}
	peer->version = ack->version;
	copy_text(peer->software_version, sizeof(peer->software_version), ack->software_version);
	copy_text(peer->instance_uuid, sizeof(peer->instance_uuid), ack->instance_uuid);
	copy_text(peer->boot_id, sizeof(peer->boot_id), ack->boot_id);
	peer->highest_epoch = ack->epoch;
	keep_capabilities(conn, ack->capabilities, ack->n_capabilities);
	come_up(conn);
}

static void got_goaway(struct cox_rpc_conn *conn, const ProtobufCMessage *msg)
{
	const Coxswain__Rpc__V1__Goaway *g = (const Coxswain__Rpc__V1__Goaway *)msg;
	const char *text = g->text && *g->text ? g->text : "the peer goes away";
	enum cox_code code = g->reason == COXSWAIN__RPC__V1__GOAWAY_REASON__REFUSED
				     ? COX_PERMISSION_DENIED
				     : COX_UNAVAILABLE;
	struct cox_error why;

	conn->down.got_goaway = true;
	conn->down.goaway = (enum cox_rpc_goaway)g->reason;
	conn->down.retry_after_ms = g->retry_after_ms;
	cox_error(&why, code, "%s", text);
	set_down(conn, &why);
	pthread_mutex_lock(&conn->lock);
	conn->going = true;
	pthread_mutex_unlock(&conn->lock);
	cox_call_end_endless(conn, text);
	if (conn->state == COX_CONN_UP && !cox_timer_is_running(&conn->close_timer))
		cox_timer_start(&conn->close_timer, conn->settings.drain_ms);
}

/* ---- the loop's side ---- */

static void control_event(struct cox_rpc_conn *conn, const struct cox_mux_event *event)
{
	static const struct {
		const ProtobufCMessageDescriptor *descriptor;
		void (*got)(struct cox_rpc_conn *conn, const ProtobufCMessage *msg);
	} kinds[] = {
		[COX_MUX_HELLO] = {&coxswain__rpc__v1__hello__descriptor, got_hello},
		[COX_MUX_HELLO_ACK] = {&coxswain__rpc__v1__hello_ack__descriptor, got_hello_ack},
		[COX_MUX_GOAWAY] = {&coxswain__rpc__v1__goaway__descriptor, got_goaway},
	};
	struct cox_rpc_message *message = NULL;
	struct cox_error err;

	if (cox_rpc_decode(kinds[event->kind].descriptor, event->bytes, event->len,
			   conn->settings.max_decode_bytes, &message, &err) < 0) {
		refuse(conn, COX_GOAWAY_PROTOCOL_ERROR, &err);
		return;
	}
	kinds[event->kind].got(conn, message->base);
	cox_rpc_message_free(message);
}

static void free_event(struct cox_rpc_conn *conn, struct cox_mux_event *event)
{
	pthread_mutex_lock(&conn->lock);
	cox_mux_event_free(event);
	pthread_mutex_unlock(&conn->lock);
}

static void handle_event(struct cox_rpc_conn *conn, struct cox_mux_event *event)
{
	bool dead = conn->state == COX_CONN_CLOSING;

	if (event->kind == COX_MUX_HELLO || event->kind == COX_MUX_HELLO_ACK ||
	    event->kind == COX_MUX_GOAWAY) {
		if (!dead)
			control_event(conn, event);
		free_event(conn, event);
	} else if (event->kind == COX_MUX_OPEN) {
		cox_call_accept(conn, event);
	} else {
		cox_call_event(conn, event);
	}
}

static void check_ready(struct cox_rpc_conn *conn, bool ready, bool enrol)
{
	if (!ready || conn->state != COX_CONN_HANDSHAKE)
		return;
	if (!conn->ready_seen) {
		conn->ready_seen = true;
		cox_wire_peer(conn->wire, &conn->peer.tls);
	}
	if (!enrol)
		return;
	if (conn->owner->on_enrol)
		conn->owner->on_enrol(conn->owner_ctx, conn);
	else
		cox_wire_close(conn->wire);
}

/* After a go-away: when the last call has ended the connection does. */
static void check_idle(struct cox_rpc_conn *conn)
{
	bool idle;

	if (conn->state != COX_CONN_UP || !cox_list_is_empty(&conn->calls))
		return;
	pthread_mutex_lock(&conn->lock);
	idle = conn->going && cox_mux_is_idle(&conn->mux) && !conn->sending;
	pthread_mutex_unlock(&conn->lock);
	if (idle)
		cox_conn_shutdown(conn, COX_GOAWAY_SHUTDOWN, "", 0);
}

static void task(void *arg)
{
	struct cox_rpc_conn *conn = arg;
	struct cox_list events;
	bool closed, faulted, ready, enrol, hold;

	cox_list_init(&events);
	pthread_mutex_lock(&conn->lock);
	cox_mux_take_events(&conn->mux, &events);
	closed = conn->wire_closed;
	faulted = conn->faulted;
	ready = conn->wire_ready;
	enrol = conn->enrol;
	hold = conn->mux.hold;
	conn->corked++; /* all that the callbacks send leaves together */
	pthread_mutex_unlock(&conn->lock);

	if (!faulted)
		check_ready(conn, ready, enrol);
	while (!cox_list_is_empty(&events)) {
		struct cox_mux_event *event = COX_LIST_FIRST(&events, struct cox_mux_event, node);

		cox_list_remove(&event->node);
		handle_event(conn, event);
	}
	if (conn->end_endless) {
		conn->end_endless = false;
		cox_call_end_endless(conn, conn->down.error.message);
	}
	cox_call_run_pending(conn);
	cox_conn_uncork(conn);
	if (closed) {
		go_down(conn);
		return;
	}
	if (faulted && conn->state != COX_CONN_CLOSING)
		refuse(conn,
		       conn->fault.code == COX_RESOURCE_EXHAUSTED ? COX_GOAWAY_OVERLOAD
								  : COX_GOAWAY_PROTOCOL_ERROR,
		       &conn->fault);
	if (hold && conn->state == COX_CONN_UP && cox_timer_left_ms(&conn->timer) > HOLD_MS)
		cox_timer_start(&conn->timer, HOLD_MS);
	check_idle(conn);
}

static void timed_out(void *arg)
{
	struct cox_rpc_conn *conn = arg;
	int64_t now_ms = cox_clock_ms(), due_ms;
	struct cox_error why;
	int r;

	if (conn->state == COX_CONN_CONNECTING || conn->state == COX_CONN_HANDSHAKE) {
		cox_error(&why, COX_DEADLINE_EXCEEDED,
			  conn->wire ? "no handshake within %u ms" : "no connection within %u ms",
			  conn->settings.handshake_ms * (conn->wire ? 1 : CONNECT_TIMES));
		refuse(conn, COX_GOAWAY_SHUTDOWN, &why);
		return;
	}
	if (conn->state != COX_CONN_UP)
		return;
	pthread_mutex_lock(&conn->lock);
	conn->mux.hold = conn->mux.hold && conn->mux.buffered > BUFFERED_SHARE &&
			 cox_mux_total_buffered() > BUFFERED_TOTAL;
	r = cox_mux_tick(&conn->mux, now_ms, &why);
	due_ms = conn->mux.hold ? HOLD_MS : cox_mux_due_ms(&conn->mux) - now_ms;
	cox_conn_pump(conn);
	if (r < 0)
		cox_wire_close(conn->wire); /* nobody is there to hear a go-away */
	pthread_mutex_unlock(&conn->lock);
	if (r < 0)
		set_down(conn, &why);
	else
		cox_timer_start(&conn->timer, due_ms > 1 ? due_ms : 1);
}

static void close_timed_out(void *arg)
{
	struct cox_rpc_conn *conn = arg;

	if (conn->state == COX_CONN_UP)
		cox_conn_shutdown(conn, COX_GOAWAY_SHUTDOWN, "the time to drain is over", 0);
	else
		cox_wire_close(conn->wire);
}

static void expired(void *arg)
{
	struct cox_rpc_conn *conn = arg;

	cox_rpc_conn_goaway(conn, COX_GOAWAY_REAUTH, "the certificate has ended", 0);
}

/* ---- what users call ---- */

const struct cox_rpc_peer *cox_rpc_conn_peer(const struct cox_rpc_conn *conn)
{
	return &conn->peer;
}

bool cox_rpc_conn_has_capability(const struct cox_rpc_conn *conn, const char *name)
{
	_cleanup_free_ char *line = cox_asprintf("\n%s\n", name);

	return conn->capabilities && strstr(conn->capabilities, line);
}

void cox_rpc_conn_set_user(struct cox_rpc_conn *conn, void *user)
{
	conn->user = user;
}

void *cox_rpc_conn_user(const struct cox_rpc_conn *conn)
{
	return conn->user;
}

bool cox_rpc_conn_is_open(const struct cox_rpc_conn *conn)
{
	bool going;

	if (conn->state != COX_CONN_UP)
		return false;
	pthread_mutex_lock((pthread_mutex_t *)&conn->lock);
	going = conn->going || conn->mux.state != COX_MUX_UP;
	pthread_mutex_unlock((pthread_mutex_t *)&conn->lock);
	return !going;
}

void cox_rpc_conn_goaway(struct cox_rpc_conn *conn, enum cox_rpc_goaway reason, const char *text,
			 uint32_t retry_after_ms)
{
	struct cox_error why;

	if (conn->state != COX_CONN_UP) {
		cox_conn_shutdown(conn, reason, text, retry_after_ms);
		return;
	}
	cox_error(&why, COX_CANCELLED, "%s", text && *text ? text : "going away");
	set_down(conn, &why);
	conn->end_endless = true;
	pthread_mutex_lock(&conn->lock);
	conn->going = true;
	goaway(conn, reason, text, retry_after_ms, false);
	cox_conn_pump(conn);
	pthread_mutex_unlock(&conn->lock);
	cox_timer_start(&conn->close_timer, conn->settings.drain_ms);
	cox_conn_wake(conn);
}

void cox_rpc_conn_close(struct cox_rpc_conn *conn, enum cox_rpc_goaway reason, const char *text)
{
	cox_conn_shutdown(conn, reason, text, 0);
}

void cox_rpc_conn_stats(const struct cox_rpc_conn *conn, struct cox_rpc_conn_stats *ret_stats)
{
	const struct cox_mux *mux = &conn->mux;

	pthread_mutex_lock((pthread_mutex_t *)&conn->lock);
	*ret_stats = (struct cox_rpc_conn_stats){
		.bytes_in = mux->bytes_in,
		.bytes_out = mux->bytes_out,
		.calls_in = mux->calls_in,
		.calls_out = mux->calls_out,
		.calls_open = mux->n_ours + mux->n_theirs,
		.rtt_us = mux->rtt_us,
		.up_ms = conn->up_ms,
	};
	pthread_mutex_unlock((pthread_mutex_t *)&conn->lock);
}
