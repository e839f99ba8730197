/* The agents' port. A connection counts as pending, in all and for its address, from the accept
 * until its hellos are exchanged or it joined; what is over a cap is closed unheard.
 *
 * When many come at once (the hub was restarted), those over the cap of all may wait for a place
 * instead, unread and in order: to be turned away and come again after a pause costs everybody more
 * than a short wait does. For its address one that waits counts as pending. Loop-owned. */
#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/net/rpc_conn.h"
#include "common/net/rpc_enrol.h"
#include "common/net/stream.h"

/* Addresses that are remembered; at that many the idle ones are swept. */
#define MAX_ADDRESSES 4096
/* Whoever waited so long has too little left of its own deadline. */
#define WAIT_MS 3000

/* What is known of an address without its port. */
struct source {
	uint32_t pending;     /* with those that wait */
	int64_t enrol_due_ms; /* when its attempts to join are forgotten; 0: none */
};

struct waiting {
	struct cox_list node;
	struct cox_wire *wire;
	int64_t since_ms;
};

struct cox_rpc_server {
	const struct cox_rpc_endpoint *endpoint;
	struct cox_rpc_server_options options;
	struct cox_rpc_server_events events;
	void *ctx;
	struct cox_tls_context *tls;
	struct cox_listener *listener;
	char *address;
	struct cox_list pending, up; /* of connections */
	struct cox_list waiting;     /* the oldest first */
	struct cox_task admit;
	struct cox_map sources;
	struct cox_rpc_server_stats stats;
	bool stopping;
	void (*on_stopped)(void *arg);
	void *stopped_arg;
};

/* ---- addresses ---- */

static struct cox_str host_of(const char *address)
{
	const char *colon = strrchr(address, ':');

	return cox_str_n(address, colon ? (size_t)(colon - address) : strlen(address));
}

static void sweep_sources(struct cox_rpc_server *server, int64_t now_ms)
{
	COX_MAP_EACH (&server->sources, e) {
		struct source *s = e->value;

		if (s->pending == 0 && now_ms >= s->enrol_due_ms) {
			cox_map_remove_str(&server->sources, cox_str_n(e->key, e->key_len));
			free(s);
		}
	}
}

static struct source *source_of(struct cox_rpc_server *server, const char *address)
{
	struct cox_str host = host_of(address);
	struct source *s = cox_map_get_str(&server->sources, host);

	if (s)
		return s;
	if (server->sources.n >= MAX_ADDRESSES)
		sweep_sources(server, cox_clock_ms());
	s = cox_new(struct source);
	cox_map_set_str(&server->sources, host, s);
	return s;
}

static void leave_source(struct cox_rpc_server *server, const char *address)
{
	struct source *s = source_of(server, address);

	COX_ASSERT(s->pending > 0);
	if (--s->pending == 0 && s->enrol_due_ms == 0) {
		cox_map_remove_str(&server->sources, host_of(address));
		free(s);
	}
}

static void leave_pending(struct cox_rpc_server *server, struct cox_rpc_conn *conn)
{
	COX_ASSERT(server->stats.pending > 0);
	server->stats.pending--;
	leave_source(server, conn->peer.address);
	cox_list_remove(&conn->owner_node);
	if (server->stats.waiting > 0)
		cox_loop_send(server->endpoint->loop, &server->admit);
}

/* ---- waiting for a place ---- */

static struct cox_wire *wait_end(struct cox_rpc_server *server, struct waiting *w)
{
	struct cox_wire *wire = w->wire;

	server->stats.waiting--;
	cox_list_remove(&w->node);
	free(w);
	return wire;
}

static void turn_away(struct cox_rpc_server *server, struct waiting *w)
{
	struct cox_wire *wire = wait_end(server, w);

	leave_source(server, wire->address);
	cox_wire_free(wire);
}

/* ---- the end ---- */

static void finish_stop(struct cox_rpc_server *server)
{
	void (*on_stopped)(void *) = server->on_stopped;
	void *arg = server->stopped_arg;

	if (!server->stopping || server->listener || !cox_list_is_empty(&server->pending) ||
	    !cox_list_is_empty(&server->up))
		return;
	cox_map_fini_values(&server->sources, free);
	cox_tls_context_unref(server->tls);
	free(server->address);
	free(server);
	if (on_stopped)
		on_stopped(arg);
}

static void listener_stopped(void *ctx)
{
	struct cox_rpc_server *server = ctx;

	server->listener = NULL;
	finish_stop(server);
}

void cox_rpc_server_stop(struct cox_rpc_server *server, uint32_t retry_after_ms,
			 void (*on_stopped)(void *arg), void *arg)
{
	COX_ASSERT(!server->stopping);
	server->stopping = true;
	cox_loop_unsend(server->endpoint->loop, &server->admit);
	COX_LIST_EACH(&server->waiting, n)
	turn_away(server, COX_LIST_ENTRY(n, struct waiting, node));
	server->on_stopped = on_stopped;
	server->stopped_arg = arg;
	COX_LIST_EACH(&server->pending, n)
	cox_conn_shutdown(COX_LIST_ENTRY(n, struct cox_rpc_conn, owner_node), COX_GOAWAY_SHUTDOWN,
			  "the hub is stopping", retry_after_ms);
	COX_LIST_EACH(&server->up, n)
	cox_rpc_conn_goaway(COX_LIST_ENTRY(n, struct cox_rpc_conn, owner_node), COX_GOAWAY_SHUTDOWN,
			    "the hub is stopping", retry_after_ms);
	cox_listener_stop(server->listener, listener_stopped, server);
}

/* ---- connections ---- */

static int authorize(void *ctx, struct cox_rpc_conn *conn, struct cox_error *err)
{
	struct cox_rpc_server *server = ctx;

	if (server->stopping)
		return cox_error(err, COX_UNAVAILABLE, "the hub is stopping");
	if (server->tls && conn->peer.tls.uri[0] == '\0')
		return cox_error(err, COX_UNAUTHENTICATED,
				 "the certificate names nobody: it needs one URI as subject "
				 "alternative name");
	if (!server->events.authorize)
		return 0;
	return server->events.authorize(server->ctx, &conn->peer, err);
}

static void on_up(void *ctx, struct cox_rpc_conn *conn)
{
	struct cox_rpc_server *server = ctx;

	leave_pending(server, conn);
	cox_list_append(&server->up, &conn->owner_node);
	server->stats.connections++;
	if (server->events.on_up)
		server->events.on_up(server->ctx, conn);
}

static void count_failure(struct cox_rpc_server *server, const struct cox_rpc_down *why)
{
	if (why->error.code == COX_DEADLINE_EXCEEDED)
		server->stats.handshake_timeout++;
	else
		server->stats.handshake_failed++;
}

static void on_down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	struct cox_rpc_server *server = ctx;

	cox_enrol_conn_gone(conn);
	if (why->was_up) {
		server->stats.connections--;
		if (server->events.on_down)
			server->events.on_down(server->ctx, conn, why);
		cox_list_remove(&conn->owner_node);
	} else {
		if (!conn->enrol)
			count_failure(server, why);
		leave_pending(server, conn);
	}
	finish_stop(server);
}

/* The generic cell rate algorithm (ITU-T I.371): due is when the address would be quiet again. */
static bool enrol_is_too_soon(const struct cox_rpc_server *server, const struct source *s,
			      int64_t now_ms)
{
	const struct cox_rpc_server_options *o = &server->options;

	return s->enrol_due_ms - now_ms > (int64_t)o->enrol_interval_ms * (o->enrol_burst - 1);
}

static void on_enrol(void *ctx, struct cox_rpc_conn *conn)
{
	struct cox_rpc_server *server = ctx;
	struct source *s = source_of(server, conn->peer.address);
	int64_t now_ms = cox_clock_ms();

	if (!conn->enrol_counted) {
		conn->enrol_counted = true;
		if (enrol_is_too_soon(server, s, now_ms)) {
			server->stats.enrol_limited++;
			cox_enrol_turn_away(conn, COX_RESOURCE_EXHAUSTED,
					    "too many attempts to join from this address, try "
					    "again in a moment");
			return;
		}
		s->enrol_due_ms = (s->enrol_due_ms > now_ms ? s->enrol_due_ms : now_ms) +
				  server->options.enrol_interval_ms;
	}
	cox_enrol_serve(conn, server->events.on_enrol, server->ctx);
}

static const struct cox_conn_owner server_owner = {
	.authorize = authorize,
	.on_up = on_up,
	.on_down = on_down,
	.on_enrol = on_enrol,
};

static void begin(struct cox_rpc_server *server, struct cox_wire *wire)
{
	struct cox_rpc_conn *conn = cox_conn_new(server->endpoint, true, &server_owner, server);

	server->stats.pending++;
	cox_list_append(&server->pending, &conn->owner_node);
	cox_conn_attach(conn, wire, server->tls);
}

static void admit(void *arg)
{
	struct cox_rpc_server *server = arg;
	int64_t now_ms = cox_clock_ms();

	while (server->stats.waiting > 0 && server->stats.pending < server->options.max_pending) {
		struct waiting *w = COX_LIST_FIRST(&server->waiting, struct waiting, node);

		if (now_ms - w->since_ms <= WAIT_MS) {
			begin(server, wait_end(server, w));
			continue;
		}
		server->stats.refused_full++;
		turn_away(server, w);
	}
}

static void wait_begin(struct cox_rpc_server *server, struct cox_wire *wire)
{
	struct waiting *w = cox_new(struct waiting);

	w->wire = wire;
	w->since_ms = cox_clock_ms();
	cox_list_init(&w->node);
	cox_list_append(&server->waiting, &w->node);
	server->stats.waiting++;
}

static void on_accept(void *ctx, struct cox_wire *wire)
{
	struct cox_rpc_server *server = ctx;
	const struct cox_rpc_server_options *o = &server->options;
	const struct cox_rpc_server_stats *now = &server->stats;
	bool is_full = now->pending >= o->max_pending || now->waiting > 0;
	struct source *source;

	server->stats.accepted++;
	if (server->stopping || (is_full && now->waiting >= o->max_waiting) ||
	    now->pending + now->waiting + now->connections >= o->max_connections) {
		server->stats.refused_full++;
		cox_wire_free(wire);
		return;
	}
	source = source_of(server, wire->address);
	if (source->pending >= o->max_pending_per_address) {
		server->stats.refused_address++;
		cox_wire_free(wire);
		return;
	}
	source->pending++;
	if (is_full)
		wait_begin(server, wire);
	else
		begin(server, wire);
}

/* ---- the beginning ---- */

int cox_rpc_server_new(const struct cox_rpc_endpoint *endpoint,
		       const struct cox_rpc_server_options *options,
		       const struct cox_rpc_server_events *events, void *ctx,
		       struct cox_rpc_server **ret_server, struct cox_error *err)
{
	struct cox_rpc_server *server = cox_new(struct cox_rpc_server);
	struct cox_rpc_server_options *o = &server->options;
	int r;

	server->endpoint = endpoint;
	*o = *options;
	o->max_pending = o->max_pending ? o->max_pending : 256;
	o->max_pending_per_address = o->max_pending_per_address ? o->max_pending_per_address : 64;
	o->enrol_interval_ms = o->enrol_interval_ms ? o->enrol_interval_ms : 1000;
	o->enrol_burst = o->enrol_burst ? o->enrol_burst : 1;
	o->max_connections = o->max_connections ? o->max_connections : 20000;
	if (events)
		server->events = *events;
	server->ctx = ctx;
	cox_list_init(&server->pending);
	cox_list_init(&server->up);
	cox_list_init(&server->waiting);
	cox_task_init(&server->admit, admit, server);
	r = cox_listener_new(endpoint->loop, options->listen, on_accept, server, &server->listener,
			     err);
	if (r < 0) {
		free(server);
		return r;
	}
	server->tls = cox_tls_context_ref(options->tls);
	server->address = cox_strdup(cox_listener_address(server->listener));
	*ret_server = server;
	return 0;
}

const char *cox_rpc_server_address(const struct cox_rpc_server *server)
{
	return server->address;
}

void cox_rpc_server_set_tls(struct cox_rpc_server *server, struct cox_tls_context *tls)
{
	cox_tls_context_ref(tls);
	cox_tls_context_unref(server->tls);
	server->tls = tls;
}

void cox_rpc_server_stats(const struct cox_rpc_server *server,
			  struct cox_rpc_server_stats *ret_stats)
{
	*ret_stats = server->stats;
}
