/* common/net/rpc.h for a hub, over simulated connections: what hub/fleet calls, and the agents' end
 * of it. Messages are packed by the sender and unpacked by the receiver, as on a wire.
 *
 * A connection is two queues in order, each with its latency. What goes wrong is what goes wrong with
 * TCP: it ends, what was under way is lost or still arrives, each side finds out in its own time, and
 * meanwhile a newer connection of the same agent may be up. Within one connection nothing is lost,
 * repeated or reordered; across connections everything is. Calls have windows: an agent that reads
 * slowly fills them, and the hub is told to wait. */
#include "tests/sim/hub/world.h"

#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum kind { K_UP, K_OPEN, K_MESSAGE, K_STATUS, K_ASK, K_ANSWER, K_CLOSE };

struct message {
	struct cox_list node;
	enum kind kind;
	unsigned call;
	enum cox_code code;
	char method[32];
	int64_t due_ms;
	struct cox_buf body;
	struct cox_rpc_call *counts; /* of whose window it is */
};

struct pipe {
	struct cox_rpc_conn *conn;
	bool to_hub;
	struct cox_list queue;
	struct cox_timer timer;
	int64_t last_ms;
};

struct cox_rpc_call {
	struct cox_rpc_conn *conn;
	struct cox_list node;
	unsigned id;
	const struct cox_rpc_method *method; /* of a served one */
	const ProtobufCMessageDescriptor *input, *output;
	void *user;
	unsigned under_way;
	bool full;
	struct cox_task writable;
	/* of one that the hub makes */
	void (*done)(void *user, const struct cox_rpc_status *status,
		     const ProtobufCMessage *response);
	struct cox_timer deadline;
};

struct cox_rpc_conn {
	struct cox_list node;
	struct cox_rpc_peer peer;
	char cluster[32];
	struct sim_agent *agent; /* NULL: its process is gone */
	void *user;
	bool hub_up;  /* the hub was told that it is up */
	bool hub_end; /* the hub's end is there */
	bool closing; /* the hub closed it */
	bool lost;    /* nothing gets through any more */
	struct pipe to_hub, to_agent;
	struct cox_list calls;
	unsigned next_ask;
	struct cox_timer hub_notices, agent_notices;
};

struct cox_rpc_server {
	const struct cox_rpc_endpoint *endpoint;
	struct cox_rpc_server_events events;
	void *ctx;
};

static struct cox_rpc_server *server; /* NULL: nobody listens */
static struct cox_list conns = {&conns, &conns};

/* ---- the end of things ---- */

static void message_free(struct message *m)
{
	if (m->counts && m->counts->under_way > 0)
		m->counts->under_way--;
	cox_list_remove(&m->node);
	cox_buf_fini(&m->body);
	free(m);
}

static void pipe_drop(struct pipe *p)
{
	COX_LIST_EACH(&p->queue, node)
	message_free(COX_LIST_ENTRY(node, struct message, node));
	cox_timer_stop(&p->timer);
}

static void conn_free(struct cox_rpc_conn *c)
{
	pipe_drop(&c->to_hub);
	pipe_drop(&c->to_agent);
	cox_timer_stop(&c->hub_notices);
	cox_timer_stop(&c->agent_notices);
	cox_list_remove(&c->node);
	free(c);
}

static void maybe_free(struct cox_rpc_conn *c)
{
	if (!c->hub_end && !c->agent)
		conn_free(c);
}

static void forget_counts(struct cox_rpc_call *call)
{
	COX_LIST_EACH(&call->conn->to_agent.queue, node)
	{
		struct message *m = COX_LIST_ENTRY(node, struct message, node);

		if (m->counts == call)
			m->counts = NULL;
	}
}

static void call_free(struct cox_rpc_call *call)
{
	forget_counts(call);
	cox_loop_unsend(w.loop, &call->writable);
	cox_timer_stop(&call->deadline);
	cox_list_remove(&call->node);
	free(call);
}

static void end_call(struct cox_rpc_call *call)
{
	struct cox_rpc_status status = {.code = COX_UNAVAILABLE,
					.message = "the connection is gone",
					.details = COX_STR("")};

	if (call->done)
		call->done(call->user, &status, NULL);
	else if (call->method->on_end)
		call->method->on_end(call, &status);
	call_free(call);
}

/* The hub is told. */
static void hub_down(void *arg)
{
	struct cox_rpc_conn *c = arg;
	struct cox_rpc_down why = {.was_up = true};

	cox_timer_stop(&c->hub_notices);
	if (!c->hub_end)
		return;
	(void)cox_error(&why.error, COX_UNAVAILABLE, "the connection is gone");
	while (!cox_list_is_empty(&c->calls))
		end_call(COX_LIST_FIRST(&c->calls, struct cox_rpc_call, node));
	c->hub_end = false;
	if (c->hub_up && server)
		server->events.on_down(server->ctx, c, &why);
	c->hub_up = false;
	pipe_drop(&c->to_hub);
	if (c->lost || !c->agent)
		pipe_drop(&c->to_agent);
	maybe_free(c);
}

static void agent_down(void *arg)
{
	struct cox_rpc_conn *c = arg;
	struct sim_agent *a = c->agent;

	cox_timer_stop(&c->agent_notices);
	if (!a)
		return;
	c->agent = NULL;
	pipe_drop(&c->to_agent);
	if (a->conn == c) {
		a->conn = NULL;
		sim_agent_on_down(a);
	}
	maybe_free(c);
}

/* ---- sending ---- */

static void deliver(void *arg);

static void pipe_init(struct pipe *p, struct cox_rpc_conn *c, bool to_hub)
{
	p->conn = c;
	p->to_hub = to_hub;
	cox_list_init(&p->queue);
	cox_timer_init(&p->timer, w.loop, deliver, p);
}

static struct message *message_new(enum kind kind, unsigned call, const ProtobufCMessage *body)
{
	struct message *m = cox_new(struct message);

	m->kind = kind;
	m->call = call;
	cox_list_init(&m->node);
	if (body) {
		cox_buf_reserve(&m->body, protobuf_c_message_get_packed_size(body));
		m->body.len = protobuf_c_message_pack(body, (uint8_t *)m->body.ptr);
	}
	return m;
}

static void arm(struct pipe *p)
{
	struct message *first;
	int64_t left;

	if (cox_list_is_empty(&p->queue) || cox_timer_is_running(&p->timer))
		return;
	first = COX_LIST_FIRST(&p->queue, struct message, node);
	left = first->due_ms - virtual_now_ms();
	cox_timer_start(&p->timer, left > 0 ? left : 0);
}

static void put(struct pipe *p, struct message *m)
{
	struct cox_rpc_conn *c = p->conn;
	const struct sim_agent *a = c->agent;
	int64_t latency = a ? a->latency_ms : 1;

	w.stats.messages++;
	if (c->lost) {
		message_free(m);
		return;
	}
	m->due_ms = virtual_now_ms() + sim_between(&w.net_rng, 0, latency);
	if (m->due_ms < p->last_ms)
		m->due_ms = p->last_ms;
	p->last_ms = m->due_ms;
	cox_list_append(&p->queue, &m->node);
	arm(p);
	if (sim_strikes(w.rates.cut))
		sim_wire_cut(c, "by chance");
}

/* ---- receiving: the hub ---- */

static const struct cox_rpc_method *find_method(const char *name,
						const ProtobufCServiceDescriptor **ret_service)
{
	for (size_t i = 0; i < server->endpoint->n_services; i++) {
		const struct cox_rpc_service *s = server->endpoint->services[i];

		for (size_t k = 0; k < s->n_methods; k++)
			if (strcmp(s->methods[k].name, name) == 0) {
				*ret_service = s->descriptor;
				return &s->methods[k];
			}
	}
	return NULL;
}

static struct cox_rpc_call *call_find(struct cox_rpc_conn *c, unsigned id)
{
	COX_LIST_EACH(&c->calls, node)
	{
		struct cox_rpc_call *call = COX_LIST_ENTRY(node, struct cox_rpc_call, node);

		if (call->id == id)
			return call;
	}
	return NULL;
}

static void on_writable(void *arg)
{
	struct cox_rpc_call *call = arg;

	if (call->method && call->method->on_writable)
		call->method->on_writable(call);
}

static struct cox_rpc_call *call_new(struct cox_rpc_conn *c, unsigned id)
{
	struct cox_rpc_call *call = cox_new(struct cox_rpc_call);

	call->conn = c;
	call->id = id;
	cox_task_init(&call->writable, on_writable, call);
	cox_timer_init(&call->deadline, w.loop, NULL, call);
	cox_list_init(&call->node);
	cox_list_append(&c->calls, &call->node);
	return call;
}

static void hub_message(struct cox_rpc_conn *c, unsigned id, struct cox_str body)
{
	struct cox_rpc_call *call = call_find(c, id);
	ProtobufCMessage *m;

	if (!call || !call->method || c->closing || body.len == 0)
		return;
	m = protobuf_c_message_unpack(call->input, NULL, body.len, (const uint8_t *)body.ptr);
	COX_ASSERT(m);
	if (strcmp(call->method->name, "Report") == 0) {
		const Coxswain__Report__V1__ReportRequest *q =
			(const Coxswain__Report__V1__ReportRequest *)m;

		if (q->body_case == COXSWAIN__REPORT__V1__REPORT_REQUEST__BODY_APPLICATION)
			sim_check_report(c, q->application);
	}
	call->method->on_message(call, m);
	protobuf_c_message_free_unpacked(m, NULL);
}

static void hub_open(struct cox_rpc_conn *c, const struct message *m)
{
	const ProtobufCServiceDescriptor *service = NULL;
	const struct cox_rpc_method *method = find_method(m->method, &service);
	const ProtobufCMethodDescriptor *d;
	struct cox_rpc_call *call;

	if (c->closing)
		return;
	COX_ASSERT(method);
	d = protobuf_c_service_descriptor_get_method_by_name(service, m->method);
	call = call_new(c, m->call);
	call->method = method;
	call->input = d->input;
	call->output = d->output;
	if (method->on_start)
		method->on_start(call, NULL);
	hub_message(c, m->call, cox_buf_str(&m->body));
}

static void hub_answer(struct cox_rpc_conn *c, const struct message *m)
{
	struct cox_rpc_call *call = call_find(c, m->call);
	struct cox_rpc_status status = {.code = m->code, .message = "", .details = COX_STR("")};
	ProtobufCMessage *body = NULL;

	if (!call || !call->done)
		return;
	if (m->code == COX_OK)
		body = protobuf_c_message_unpack(
			call->output, NULL, m->body.len,
			(const uint8_t *)cox_buf_cstr((struct cox_buf *)&m->body));
	call->done(call->user, &status, body);
	if (body)
		protobuf_c_message_free_unpacked(body, NULL);
	call_free(call);
}

static void hub_hello(struct cox_rpc_conn *c)
{
	struct cox_error err = COX_ERROR_INIT;
	struct message *m;

	if (server->events.authorize(server->ctx, &c->peer, &err) < 0) {
		sim_trace("hub: refuses %s: %s", c->cluster, err.message);
		c->closing = true;
		put(&c->to_agent, message_new(K_CLOSE, 0, NULL));
		cox_timer_start(&c->hub_notices, 0);
		return;
	}
	c->hub_up = true;
	m = message_new(K_UP, 0, NULL);
	snprintf(m->method, sizeof(m->method), "%llu",
		 (unsigned long long)server->endpoint->highest_epoch);
	put(&c->to_agent, m);
	server->events.on_up(server->ctx, c);
}

static void hub_receives(struct cox_rpc_conn *c, const struct message *m)
{
	if (!c->hub_end || !server || w.dead)
		return;
	if (m->kind == K_UP)
		hub_hello(c);
	else if (m->kind == K_OPEN)
		hub_open(c, m);
	else if (m->kind == K_MESSAGE)
		hub_message(c, m->call, cox_buf_str(&m->body));
	else if (m->kind == K_ANSWER)
		hub_answer(c, m);
	else if (m->kind == K_CLOSE)
		cox_timer_start(&c->hub_notices, 0);
}

/* ---- receiving: the agent ---- */

static void agent_receives(struct cox_rpc_conn *c, const struct message *m)
{
	struct sim_agent *a = c->agent;

	if (!a || a->conn != c)
		return;
	if (m->kind == K_UP)
		sim_agent_on_up(a, strtoull(m->method, NULL, 10));
	else if (m->kind == K_MESSAGE)
		sim_agent_on_message(a, m->call, cox_buf_str(&m->body));
	else if (m->kind == K_STATUS)
		sim_agent_on_status(a, m->call, m->code);
	else if (m->kind == K_ASK)
		sim_agent_on_ask(a, m->call, m->method, cox_buf_str(&m->body));
	else if (m->kind == K_CLOSE)
		cox_timer_start(&c->agent_notices, 0);
}

static void deliver(void *arg)
{
	struct pipe *p = arg;
	struct cox_rpc_conn *c = p->conn;
	struct message *m;

	if (cox_list_is_empty(&p->queue))
		return;
	m = COX_LIST_FIRST(&p->queue, struct message, node);
	cox_list_remove(&m->node);
	if (m->counts) {
		m->counts->under_way--;
		if (m->counts->full && c->agent && m->counts->under_way < c->agent->window) {
			m->counts->full = false;
			cox_loop_send(w.loop, &m->counts->writable);
		}
		m->counts = NULL;
	}
	arm(p);
	/* neither end frees the connection from inside: that takes a timer */
	if (p->to_hub)
		hub_receives(c, m);
	else
		agent_receives(c, m);
	message_free(m);
}

/* ---- the agent's end ---- */

void sim_dial(struct sim_agent *a)
{
	struct cox_rpc_conn *c;

	if (!server || w.dead || a->partitioned) {
		sim_agent_on_down(a);
		return;
	}
	c = cox_new(struct cox_rpc_conn);
	c->agent = a;
	c->hub_end = true;
	snprintf(c->cluster, sizeof(c->cluster), "%s", a->name);
	snprintf(c->peer.tls.uri, sizeof(c->peer.tls.uri), "%s", a->name);
	snprintf(c->peer.address, sizeof(c->peer.address), "192.0.2.1:%d", a->index);
	snprintf(c->peer.boot_id, sizeof(c->peer.boot_id), "%s", a->boot);
	c->peer.highest_epoch = a->highest_epoch;
	c->next_ask = 2;
	cox_list_init(&c->calls);
	cox_list_init(&c->node);
	pipe_init(&c->to_hub, c, true);
	pipe_init(&c->to_agent, c, false);
	cox_timer_init(&c->hub_notices, w.loop, hub_down, c);
	cox_timer_init(&c->agent_notices, w.loop, agent_down, c);
	cox_list_append(&conns, &c->node);
	a->conn = c;
	put(&c->to_hub, message_new(K_UP, 0, NULL));
}

void sim_wire_send(struct cox_rpc_conn *c, unsigned call, const ProtobufCMessage *m)
{
	put(&c->to_hub, message_new(K_MESSAGE, call, m));
}

void sim_wire_open(struct cox_rpc_conn *c, unsigned call, const char *method,
		   const ProtobufCMessage *first)
{
	struct message *m = message_new(K_OPEN, call, first);

	snprintf(m->method, sizeof(m->method), "%s", method);
	put(&c->to_hub, m);
}

void sim_wire_answer(struct cox_rpc_conn *c, unsigned call, enum cox_code code,
		     const ProtobufCMessage *body)
{
	struct message *m = message_new(K_ANSWER, call, body);

	m->code = code;
	put(&c->to_hub, m);
}

void sim_wire_close(struct cox_rpc_conn *c, const char *why)
{
	sim_trace("%s: closes: %s", c->cluster, why);
	put(&c->to_hub, message_new(K_CLOSE, 0, NULL));
	cox_timer_start(&c->agent_notices, 0);
}

/* In most cases the kernel says so at once; else the keepalive finds out. */
static int64_t notice_ms(void)
{
	return w.calm || sim_chance(&w.net_rng, 60) ? sim_between(&w.net_rng, 0, 50)
						    : sim_between(&w.net_rng, 0, 45000);
}

static void notice(struct cox_timer *t)
{
	if (!cox_timer_is_running(t))
		cox_timer_start(t, notice_ms());
}

void sim_wire_abandon(struct cox_rpc_conn *c)
{
	if (c->agent && c->agent->conn == c)
		c->agent->conn = NULL;
	c->agent = NULL;
	pipe_drop(&c->to_agent);
	notice(&c->hub_notices);
}

void sim_wire_cut(struct cox_rpc_conn *c, const char *why)
{
	if (c->lost)
		return;
	w.stats.cuts++;
	sim_trace("%s: the connection is cut, %s", c->cluster, why);
	c->lost = true;
	if (sim_chance(&w.net_rng, 50))
		pipe_drop(&c->to_hub);
	if (sim_chance(&w.net_rng, 50))
		pipe_drop(&c->to_agent);
	notice(&c->hub_notices);
	if (c->agent)
		notice(&c->agent_notices);
}

/* What the hub had sent may still arrive. */
void sim_wire_hub_gone(void)
{
	COX_LIST_EACH(&conns, node)
	{
		struct cox_rpc_conn *c = COX_LIST_ENTRY(node, struct cox_rpc_conn, node);

		while (!cox_list_is_empty(&c->calls))
			end_call(COX_LIST_FIRST(&c->calls, struct cox_rpc_call, node));
		c->hub_end = c->hub_up = false;
		c->user = NULL;
		cox_timer_stop(&c->hub_notices);
		pipe_drop(&c->to_hub);
		c->lost = true;
		if (c->agent)
			notice(&c->agent_notices);
		maybe_free(c);
	}
}

void sim_wire_close_all(void)
{
	COX_LIST_EACH(&conns, node)
	{
		struct cox_rpc_conn *c = COX_LIST_ENTRY(node, struct cox_rpc_conn, node);

		while (!cox_list_is_empty(&c->calls))
			call_free(COX_LIST_FIRST(&c->calls, struct cox_rpc_call, node));
		if (c->agent && c->agent->conn == c)
			c->agent->conn = NULL;
		conn_free(c);
	}
}

const char *sim_conn_cluster(const struct cox_rpc_conn *c)
{
	return c->cluster;
}

const char *sim_conn_boot(const struct cox_rpc_conn *c)
{
	return c->peer.boot_id;
}

/* The newest that the hub was told of, and was not told that it is gone. */
struct cox_rpc_conn *sim_session(const char *cluster)
{
	struct cox_rpc_conn *newest = NULL;

	COX_LIST_EACH(&conns, node)
	{
		struct cox_rpc_conn *c = COX_LIST_ENTRY(node, struct cox_rpc_conn, node);

		if (c->hub_up && !c->closing && strcmp(c->cluster, cluster) == 0)
			newest = c;
	}
	return newest;
}

/* ---- the interface: connections ---- */

const struct cox_rpc_peer *cox_rpc_conn_peer(const struct cox_rpc_conn *c)
{
	return &c->peer;
}

void cox_rpc_conn_set_user(struct cox_rpc_conn *c, void *user)
{
	c->user = user;
}

void *cox_rpc_conn_user(const struct cox_rpc_conn *c)
{
	return c->user;
}

bool cox_rpc_conn_is_open(const struct cox_rpc_conn *c)
{
	return c->hub_up && !c->closing;
}

void cox_rpc_conn_close(struct cox_rpc_conn *c, enum cox_rpc_goaway reason, const char *text)
{
	(void)reason;
	sim_trace("hub: closes a connection of %s: %s", c->cluster, text);
	c->closing = true;
	put(&c->to_agent, message_new(K_CLOSE, 0, NULL));
	cox_timer_start(&c->hub_notices, 0);
}

/* ---- the interface: calls ---- */

struct cox_rpc_conn *cox_rpc_call_conn(const struct cox_rpc_call *call)
{
	return call->conn;
}

void cox_rpc_call_set_user(struct cox_rpc_call *call, void *user)
{
	call->user = user;
}

void *cox_rpc_call_user(const struct cox_rpc_call *call)
{
	return call->user;
}

bool cox_rpc_call_is_writable(const struct cox_rpc_call *call)
{
	const struct sim_agent *a = call->conn->agent;

	if (!a || call->under_way < a->window)
		return true;
	((struct cox_rpc_call *)call)->full = true;
	return false;
}

int cox_rpc_call_send(struct cox_rpc_call *call, const ProtobufCMessage *msg, struct cox_error *err)
{
	struct message *m;
	unsigned id = call->id;

	(void)err;
	if (w.dead || call->conn->lost)
		return 0;
	if (id == SIM_CALL_FOLLOW)
		sim_check_sent(call->conn->cluster, (const sim_change *)msg);
	else if (id == SIM_CALL_REPORT)
		sim_check_response(call->conn->cluster, call->conn->peer.boot_id,
				   (const Coxswain__Report__V1__ReportResponse *)msg);
	m = message_new(K_MESSAGE, id, msg);
	m->counts = call;
	call->under_way++;
	put(&call->conn->to_agent, m);
	return cox_rpc_call_is_writable(call) ? 0 : COX_RPC_FULL;
}

void cox_rpc_call_finish(struct cox_rpc_call *call, enum cox_code code, const char *message)
{
	struct message *m = message_new(K_STATUS, call->id, NULL);

	(void)message;
	m->code = code;
	put(&call->conn->to_agent, m);
	call_free(call);
}

static void deadline(void *arg)
{
	struct cox_rpc_call *call = arg;
	struct cox_rpc_status status = {.code = COX_DEADLINE_EXCEEDED,
					.message = "it took too long",
					.details = COX_STR("")};

	call->done(call->user, &status, NULL);
	call_free(call);
}

int cox_rpc_call_unary(struct cox_rpc_conn *c, const ProtobufCServiceDescriptor *service,
		       const char *method, const struct cox_rpc_call_options *options,
		       const ProtobufCMessage *request,
		       void (*done)(void *user, const struct cox_rpc_status *status,
				    const ProtobufCMessage *response),
		       void *user, struct cox_rpc_call **ret_call, struct cox_error *err)
{
	struct cox_rpc_call *call;
	struct message *m;

	if (!cox_rpc_conn_is_open(c))
		return cox_error(err, COX_UNAVAILABLE, "the connection is not open");
	call = call_new(c, c->next_ask += 2);
	call->output = protobuf_c_service_descriptor_get_method_by_name(service, method)->output;
	call->done = done;
	call->user = user;
	cox_timer_init(&call->deadline, w.loop, deadline, call);
	cox_timer_start(&call->deadline, options->deadline_ms);
	m = message_new(K_ASK, call->id, request);
	snprintf(m->method, sizeof(m->method), "%s", method);
	put(&c->to_agent, m);
	if (ret_call)
		*ret_call = call;
	return 0;
}

/* ---- the interface: the server ---- */

int cox_rpc_server_new(const struct cox_rpc_endpoint *endpoint,
		       const struct cox_rpc_server_options *options,
		       const struct cox_rpc_server_events *events, void *ctx,
		       struct cox_rpc_server **ret_server, struct cox_error *err)
{
	(void)options;
	(void)err;
	server = cox_new(struct cox_rpc_server);
	server->endpoint = endpoint;
	server->events = *events;
	server->ctx = ctx;
	*ret_server = server;
	return 0;
}

const char *cox_rpc_server_address(const struct cox_rpc_server *s)
{
	(void)s;
	return "192.0.2.0:8443";
}

/* Only ever on the way out of a process that is dead already. */
void cox_rpc_server_stop(struct cox_rpc_server *s, uint32_t retry_after_ms,
			 void (*on_stopped)(void *arg), void *arg)
{
	(void)retry_after_ms;
	sim_wire_hub_gone();
	free(s);
	server = NULL;
	on_stopped(arg);
}
