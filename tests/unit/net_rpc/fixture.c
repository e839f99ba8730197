#include "fixture.h"

#include "common/base/mem.h"

#define WAIT_MS 10000

/* ---- test.Echo ---- */

static const ProtobufCMethodDescriptor echo_methods[] = {
#define METHOD(name)                                                                               \
	{                                                                                          \
		name, &coxswain__bundle__v1__chunk__descriptor,                                    \
			&coxswain__bundle__v1__chunk__descriptor                                   \
	}
	METHOD("Bidi"), METHOD("Collect"), METHOD("Hold"),  METHOD("Nobody"),
	METHOD("Once"), METHOD("Paused"),  METHOD("Small"), METHOD("Spread"),
};
static const unsigned echo_by_name[] = {0, 1, 2, 3, 4, 5, 6, 7};

const ProtobufCServiceDescriptor echo_descriptor = {
	.magic = PROTOBUF_C__SERVICE_DESCRIPTOR_MAGIC,
	.name = "test.Echo",
	.short_name = "Echo",
	.c_name = "Test__Echo",
	.package = "test",
	.n_methods = COX_ARRAY_LEN(echo_methods),
	.methods = echo_methods,
	.method_indices_by_name = echo_by_name,
};

/* What a callee keeps of a call. */
struct work {
	struct end *end;
	unsigned n;
	uint64_t left;
	struct cox_buf data;
};

static void work_free(struct work *w)
{
	cox_buf_fini(&w->data);
	free(w);
}

static void on_start(struct cox_rpc_call *call, void *ctx)
{
	struct work *w = cox_new(struct work);

	w->end = ctx;
	w->end->n_started++;
	cox_rpc_call_set_user(call, w);
}

static void on_start_held(struct cox_rpc_call *call, void *ctx)
{
	struct end *end = ctx;

	on_start(call, ctx);
	end->held = call;
}

static void on_start_paused(struct cox_rpc_call *call, void *ctx)
{
	on_start_held(call, ctx);
	cox_rpc_call_pause(call);
}

static void on_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct work *w = cox_rpc_call_user(call);

	w->end->n_ended++;
	w->end->ended_code = status->code;
	snprintf(w->end->ended_message, sizeof(w->end->ended_message), "%s", status->message);
	if (w->end->held == call)
		w->end->held = NULL;
	work_free(w);
}

static void once_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct work *w = cox_rpc_call_user(call);
	const char *code = cox_rpc_call_metadata(call, "code");

	work_free(w);
	if (code)
		cox_rpc_call_finish_details(call, cox_code_parse(code), "as you wished",
					    cox_str("details"));
	else
		cox_rpc_call_reply(call, msg);
}

static void spread(struct cox_rpc_call *call)
{
	struct work *w = cox_rpc_call_user(call);
	chunk c = COXSWAIN__BUNDLE__V1__CHUNK__INIT;

	while (w->left > 0 && cox_rpc_call_is_writable(call)) {
		c.data.data = (uint8_t *)w->data.ptr;
		c.data.len = w->data.len;
		c.size = w->left--;
		assert_true(cox_rpc_call_send(call, &c.base, NULL) >= 0);
	}
	if (w->left == 0) {
		work_free(w);
		cox_rpc_call_finish(call, COX_OK, NULL);
	}
}

static void spread_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	const chunk *c = (const chunk *)msg;
	struct work *w = cox_rpc_call_user(call);

	w->left = c->size;
	cox_buf_add(&w->data, c->data.data, c->data.len);
	spread(call);
}

static void spread_writable(struct cox_rpc_call *call)
{
	spread(call);
}

static void collect_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct work *w = cox_rpc_call_user(call);

	(void)msg;
	w->n++;
}

static void collect_half_close(struct cox_rpc_call *call)
{
	struct work *w = cox_rpc_call_user(call);
	chunk c = COXSWAIN__BUNDLE__V1__CHUNK__INIT;

	c.size = w->n;
	work_free(w);
	cox_rpc_call_reply(call, &c.base);
}

static void bidi_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	assert_true(cox_rpc_call_send(call, msg, NULL) >= 0);
}

static void bidi_half_close(struct cox_rpc_call *call)
{
	work_free(cox_rpc_call_user(call));
	cox_rpc_call_finish(call, COX_OK, "bye");
}

static void paused_half_close(struct cox_rpc_call *call)
{
	struct end *end = cox_rpc_call_service_ctx(call);

	end->held = NULL;
	collect_half_close(call);
}

static const struct cox_rpc_method methods[] = {
	{.name = "Once",
	 .kind = COX_RPC_UNARY,
	 .on_start = on_start,
	 .on_message = once_message,
	 .on_end = on_end},
	{.name = "Small",
	 .kind = COX_RPC_UNARY,
	 .max_request_bytes = 1000,
	 .on_start = on_start,
	 .on_message = once_message,
	 .on_end = on_end},
	{.name = "Spread",
	 .kind = COX_RPC_SERVER_STREAM,
	 .on_start = on_start,
	 .on_message = spread_message,
	 .on_writable = spread_writable,
	 .on_end = on_end},
	{.name = "Collect",
	 .kind = COX_RPC_CLIENT_STREAM,
	 .on_start = on_start,
	 .on_message = collect_message,
	 .on_half_close = collect_half_close,
	 .on_end = on_end},
	{.name = "Bidi",
	 .kind = COX_RPC_BIDI,
	 .on_start = on_start,
	 .on_message = bidi_message,
	 .on_half_close = bidi_half_close,
	 .on_end = on_end},
	{.name = "Hold", .kind = COX_RPC_BIDI, .on_start = on_start_held, .on_end = on_end},
	{.name = "Paused",
	 .kind = COX_RPC_CLIENT_STREAM,
	 .on_start = on_start_paused,
	 .on_message = collect_message,
	 .on_half_close = paused_half_close,
	 .on_end = on_end},
};

void finish_held(struct end *end, enum cox_code code)
{
	struct cox_rpc_call *call = end->held;

	assert_non_null(call);
	end->held = NULL;
	work_free(cox_rpc_call_user(call));
	cox_rpc_call_finish(call, code, "held no longer");
}

/* ---- callers ---- */

static void seen_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct seen *seen = cox_rpc_call_user(call);
	const chunk *c = (const chunk *)msg;

	seen->n_messages++;
	seen->n_bytes += c->data.len;
	seen->last_number = c->size;
	for (size_t i = 0; i < c->data.len; i++)
		seen->sum += c->data.data[i];
}

static void seen_writable(struct cox_rpc_call *call)
{
	struct seen *seen = cox_rpc_call_user(call);

	seen->writable = true;
}

static void seen_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct seen *seen = cox_rpc_call_user(call);

	assert_false(seen->ended);
	seen->ended = true;
	seen->code = status->code;
	snprintf(seen->message, sizeof(seen->message), "%s", status->message);
	seen->call = NULL;
}

const struct cox_rpc_call_events seen_events = {
	.on_message = seen_message,
	.on_writable = seen_writable,
	.on_end = seen_end,
};

bool has_ended(void *seen)
{
	return ((struct seen *)seen)->ended;
}

struct cox_rpc_call *begin(struct end *from, struct seen *seen, const char *method,
			   const struct cox_rpc_call_options *options)
{
	struct cox_error err = COX_ERROR_INIT;

	*seen = (struct seen){0};
	if (cox_rpc_call_start(from->conn, &echo_descriptor, method, options, &seen_events, seen,
			       &seen->call, &err) < 0)
		fail_msg("cannot begin '%s': %s", method, err.message);
	return seen->call;
}

void send_chunk(struct cox_rpc_call *call, const void *data, size_t n, uint64_t number)
{
	chunk c = COXSWAIN__BUNDLE__V1__CHUNK__INIT;
	struct cox_error err = COX_ERROR_INIT;

	c.data.data = (uint8_t *)data;
	c.data.len = n;
	c.size = number;
	if (cox_rpc_call_send(call, &c.base, &err) < 0)
		fail_msg("cannot send: %s", err.message);
}

/* ---- ends ---- */

static void up(void *ctx, struct cox_rpc_conn *conn)
{
	struct end *end = ctx;

	assert_null(end->conn);
	end->conn = conn;
	end->was_up = true;
}

static void down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	struct end *end = ctx;

	(void)conn;
	end->conn = NULL;
	end->is_down = true;
	end->down = *why;
}

static const struct cox_rpc_conn_events agent_events = {.on_up = up, .on_down = down};

static void hub_up(void *ctx, struct cox_rpc_conn *conn)
{
	up(&((struct fixture *)ctx)->hub, conn);
}

static void hub_down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	down(&((struct fixture *)ctx)->hub, conn, why);
}

static int hub_authorize(void *ctx, const struct cox_rpc_peer *peer, struct cox_error *err)
{
	struct fixture *f = ctx;

	return f->authorize ? f->authorize(ctx, peer, err) : 0;
}

static int hub_authorize_conn(void *ctx, struct cox_rpc_conn *conn, struct cox_error *err)
{
	return hub_authorize(((struct end *)ctx)->fixture, cox_rpc_conn_peer(conn), err);
}

static void end_init(struct fixture *f, struct end *end, const struct cox_rpc_settings *settings,
		     const char *name)
{
	static const char *const capabilities[] = {"one", "two", NULL};
	static const struct cox_rpc_service *hub_services[1], *agent_services[1];
	const struct cox_rpc_service **services = end == &f->hub ? hub_services : agent_services;

	*end = (struct end){.fixture = f};
	end->service = (struct cox_rpc_service){
		.descriptor = &echo_descriptor,
		.methods = methods,
		.n_methods = COX_ARRAY_LEN(methods),
		.ctx = end,
	};
	services[0] = &end->service;
	end->endpoint = (struct cox_rpc_endpoint){
		.loop = f->loop,
		.services = services,
		.n_services = 1,
		.software_version = "1.2.3",
		.instance_uuid = name,
		.boot_id = "boot",
		.capabilities = capabilities,
		.highest_epoch = 7,
	};
	if (settings)
		end->endpoint.settings = *settings;
}

void fixture_init(struct fixture *f, enum wire_kind kind, const struct cox_rpc_settings *settings)
{
	*f = (struct fixture){.kind = kind};
	assert_int_equal(cox_loop_new(&f->loop, NULL), 0);
	end_init(f, &f->hub, settings, "hub");
	end_init(f, &f->agent, settings, "agent");
	if (kind == WIRE_TLS) {
		f->hub_tls = test_hub_tls();
		f->agent_tls = test_agent_tls();
	}
}

static void dial_pipe(struct fixture *f)
{
	static const struct cox_conn_owner hub_owner = {
		.authorize = hub_authorize_conn, .on_up = up, .on_down = down};
	static const struct cox_conn_owner agent_owner = {.on_up = up, .on_down = down};

	cox_pipe_new(f->loop, f->kind == WIRE_PIECES ? 97 : 0, &f->pipe_hub, &f->pipe_agent);
	cox_conn_attach(cox_conn_new(&f->hub.endpoint, true, &hub_owner, &f->hub), f->pipe_hub,
			NULL);
	cox_conn_attach(cox_conn_new(&f->agent.endpoint, false, &agent_owner, &f->agent),
			f->pipe_agent, NULL);
}

static void start_server(struct fixture *f)
{
	struct cox_rpc_server_options options = {.listen = "127.0.0.1:0", .tls = f->hub_tls};
	struct cox_rpc_server_events events = {
		.authorize = hub_authorize, .on_up = hub_up, .on_down = hub_down};
	struct cox_error err = COX_ERROR_INIT;

	if (cox_rpc_server_new(&f->hub.endpoint, &options, &events, f, &f->server, &err) < 0)
		fail_msg("%s", err.message);
}

void fixture_dial(struct fixture *f)
{
	struct cox_rpc_dial_options options = {.tls = f->agent_tls};
	struct cox_rpc_conn *conn;

	if (f->kind == WIRE_PIPE || f->kind == WIRE_PIECES) {
		dial_pipe(f);
		return;
	}
	if (!f->server)
		start_server(f);
	options.address = cox_rpc_server_address(f->server);
	assert_int_equal(
		cox_rpc_dial(&f->agent.endpoint, &options, &agent_events, &f->agent, &conn, NULL),
		0);
}

static bool both_up(void *arg)
{
	struct fixture *f = arg;

	return f->hub.conn && f->agent.conn;
}

bool both_down(void *arg)
{
	struct fixture *f = arg;

	return !f->hub.conn && !f->agent.conn && f->agent.is_down &&
	       (f->hub.is_down || !f->hub.was_up);
}

void fixture_connect(struct fixture *f)
{
	fixture_dial(f);
	fixture_wait(f, both_up, f);
}

void fixture_wait(struct fixture *f, bool (*done)(void *arg), void *arg)
{
	struct cox_error err = COX_ERROR_INIT;

	if (cox_loop_wait(f->loop, done, arg, WAIT_MS, &err) < 0)
		fail_msg("waited in vain: %s (hub: %s) (agent: %s)", err.message,
			 f->hub.down.error.message, f->agent.down.error.message);
}

static void stopped(void *arg)
{
	*(bool *)arg = true;
}

static bool is_set(void *arg)
{
	return *(bool *)arg;
}

void fixture_fini(struct fixture *f)
{
	if (f->agent.conn)
		cox_rpc_conn_close(f->agent.conn, COX_GOAWAY_SHUTDOWN, "the test is over");
	if (f->hub.conn)
		cox_rpc_conn_close(f->hub.conn, COX_GOAWAY_SHUTDOWN, "the test is over");
	fixture_wait(f, both_down, f);
	if (f->server) {
		cox_rpc_server_stop(f->server, 0, stopped, &f->server_stopped);
		fixture_wait(f, is_set, &f->server_stopped);
	}
	cox_tls_context_unref(f->hub_tls);
	cox_tls_context_unref(f->agent_tls);
	cox_loop_free(f->loop);
}
