/* Calls: what a stream of the mux means to its two users. Loop-owned, but for the stream, which is
 * the mux's and is touched under the connection's lock only.
 *
 * Events of a call are delivered in order from its queue; a pause leaves them there. A callback may
 * end the call: `dead` then keeps the memory until the callback has returned. */
#include "common/net/rpc_conn.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/mem.h"

#include <stdio.h>

#define MAX_METADATA	   32
#define MAX_METADATA_BYTES (16 << 10)

struct cox_rpc_call {
	struct cox_rpc_conn *conn;
	struct cox_list node;	  /* in conn->calls */
	struct cox_list run_node; /* in conn->runnable */
	struct cox_mux_stream *stream;
	bool is_caller;
	bool endless;
	bool paused, running, dead;
	unsigned n_received;
	enum cox_rpc_kind kind;
	const ProtobufCMessageDescriptor *sends, *receives;
	char *method;	       /* "package.Service/Method" */
	struct cox_list queue; /* events not delivered yet */
	struct cox_timer deadline;
	int64_t deadline_at_ms;		 /* 0: none */
	struct cox_rpc_message *current; /* being delivered */
	struct cox_rpc_message *open;	 /* callee: the Open, for its metadata */
	void *user;
	/* caller */
	const struct cox_rpc_call_events *events;
	void (*unary_done)(void *user, const struct cox_rpc_status *status,
			   const ProtobufCMessage *response);
	struct cox_rpc_message *response; /* of a unary call, until its status comes */
	/* callee */
	const struct cox_rpc_service *service;
	const struct cox_rpc_method *handler;
};

static void run(struct cox_rpc_call *call);

static void lock(struct cox_rpc_conn *conn)
{
	pthread_mutex_lock(&conn->lock);
}

/* Sends what the change made possible. */
static void pump_unlock(struct cox_rpc_conn *conn)
{
	cox_conn_pump(conn);
	pthread_mutex_unlock(&conn->lock);
}

void cox_status_pack(struct cox_buf *out, enum cox_code code, const char *message,
		     struct cox_str details)
{
	Coxswain__Rpc__V1__Status status = COXSWAIN__RPC__V1__STATUS__INIT;
	_cleanup_free_ char *text = message ? cox_strndup(message, 1024) : NULL;
	size_t n, bad;

	if (text && !cox_utf8_valid(cox_str(text), &bad))
		text[bad] = '\0'; /* cut in the middle of a character, or not text at all */
	status.code = (uint32_t)code;
	status.message = text ? text : (char *)"";
	if (details.len <= COX_MUX_MAX_STATUS / 2) {
		status.details.data = (uint8_t *)details.ptr;
		status.details.len = details.len;
	}
	n = coxswain__rpc__v1__status__get_packed_size(&status);
	cox_buf_reserve(out, n);
	out->len += coxswain__rpc__v1__status__pack(&status, (uint8_t *)out->ptr + out->len);
}

/* ---- life ---- */

static void expired(void *arg);

static struct cox_rpc_call *call_new(struct cox_rpc_conn *conn, bool is_caller)
{
	struct cox_rpc_call *call = cox_new(struct cox_rpc_call);

	call->conn = conn;
	call->is_caller = is_caller;
	cox_list_init(&call->run_node);
	cox_list_init(&call->queue);
	cox_list_append(&conn->calls, &call->node);
	cox_timer_init(&call->deadline, conn->loop, expired, call);
	return call;
}

static void free_events(struct cox_rpc_call *call)
{
	COX_LIST_EACH(&call->queue, n)
	cox_mux_event_free(COX_LIST_ENTRY(n, struct cox_mux_event, node));
	cox_list_init(&call->queue);
}

/* The user's pointer is dead from here on. */
static void drop(struct cox_rpc_call *call)
{
	struct cox_rpc_conn *conn = call->conn;

	if (call->dead)
		return;
	call->dead = true;
	cox_timer_stop(&call->deadline);
	cox_list_remove(&call->node);
	cox_list_remove(&call->run_node);
	lock(conn);
	free_events(call);
	if (call->stream) {
		call->stream->call = NULL;
		cox_mux_release(call->stream);
	}
	pump_unlock(conn);
	cox_conn_wake(conn); /* it may be idle now */
	if (call->running)
		return;
	cox_rpc_message_free(call->current);
	cox_rpc_message_free(call->response);
	cox_rpc_message_free(call->open);
	free(call->method);
	free(call);
}

/* Around every callback: false when the call died in it, and is freed. */
static void enter(struct cox_rpc_call *call)
{
	call->running = true;
}

static bool leave(struct cox_rpc_call *call)
{
	call->running = false;
	if (!call->dead)
		return true;
	cox_rpc_message_free(call->current);
	cox_rpc_message_free(call->response);
	cox_rpc_message_free(call->open);
	free(call->method);
	free(call);
	return false;
}

/* The last callback, and the end. */
static void end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	void (*on_end)(struct cox_rpc_call *, const struct cox_rpc_status *) =
		call->is_caller ? (call->events ? call->events->on_end : NULL)
				: (call->handler ? call->handler->on_end : NULL);

	enter(call);
	cox_timer_stop(&call->deadline);
	if (call->unary_done)
		call->unary_done(call->user, status,
				 status->code == COX_OK ? call->response->base : NULL);
	else if (on_end)
		on_end(call, status);
	drop(call);
	leave(call);
}

static void end_with(struct cox_rpc_call *call, enum cox_code code, const char *message)
{
	end(call, &(struct cox_rpc_status){.code = code, .message = message});
}

/* Tells the peer that the call is over, from whichever side. */
static void tell_peer(struct cox_rpc_call *call, enum cox_code code, const char *message)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf status = COX_BUF_INIT;
	struct cox_rpc_conn *conn = call->conn;
	struct cox_mux_item *item;

	cox_status_pack(&status, code, message, (struct cox_str){0});
	lock(conn);
	if (call->is_caller) {
		cox_mux_cancel(&conn->mux, call->stream, status.ptr, status.len);
	} else {
		item = cox_mux_item_new(COX_ITEM_STATUS, status.len);
		memcpy(item->bytes, status.ptr, status.len);
		cox_mux_finish(&conn->mux, call->stream, item, true);
	}
	pump_unlock(conn);
}

/* The call ends by a fault seen here: both sides are told. */
static void break_off(struct cox_rpc_call *call, enum cox_code code, const char *message)
{
	char text[sizeof(((struct cox_error *)0)->message)];

	snprintf(text, sizeof(text), "%s", message); /* it may live in what goes away */
	tell_peer(call, code, text);
	end_with(call, code, text);
}

static void expired(void *arg)
{
	break_off(arg, COX_DEADLINE_EXCEEDED, "the deadline of the call has passed");
}

static void set_deadline(struct cox_rpc_call *call, uint32_t deadline_ms)
{
	if (deadline_ms == 0)
		return;
	call->deadline_at_ms = cox_clock_ms() + deadline_ms;
	cox_timer_start(&call->deadline, deadline_ms);
}

/* ---- delivery ---- */

static bool takes_one(const struct cox_rpc_call *call)
{
	if (call->is_caller)
		return call->kind == COX_RPC_UNARY || call->kind == COX_RPC_CLIENT_STREAM;
	return call->kind == COX_RPC_UNARY || call->kind == COX_RPC_SERVER_STREAM;
}

/* False: the call is gone. */
static bool deliver_bytes(struct cox_rpc_call *call, const void *bytes, size_t len)
{
	struct cox_rpc_conn *conn = call->conn;
	void (*on_message)(struct cox_rpc_call *, const ProtobufCMessage *) =
		call->is_caller ? (call->events ? call->events->on_message : NULL)
				: call->handler->on_message;
	struct cox_error err;

	if (takes_one(call) && call->n_received > 0) {
		break_off(call, call->is_caller ? COX_INTERNAL : COX_INVALID_ARGUMENT,
			  "a second message where one is expected");
		return false;
	}
	/* The mux knows the method's own limit only once the loop has seen the call. */
	if (call->handler && call->handler->max_request_bytes &&
	    len > call->handler->max_request_bytes) {
		break_off(call, COX_RESOURCE_EXHAUSTED,
			  "a message is larger than its method allows");
		return false;
	}
	call->n_received++;
	if (cox_rpc_decode(call->receives, bytes, len, conn->settings.max_decode_bytes,
			   &call->current, &err) < 0) {
		break_off(call, call->is_caller ? COX_INTERNAL : (enum cox_code)err.code,
			  err.message);
		return false;
	}
	if (call->unary_done) {
		call->response = TAKE(call->current);
		return true;
	}
	enter(call);
	if (on_message)
		on_message(call, call->current->base);
	cox_rpc_message_free(call->current);
	call->current = NULL;
	return leave(call);
}

static bool deliver_message(struct cox_rpc_call *call, const struct cox_mux_event *event)
{
	struct cox_rpc_conn *conn = call->conn;
	bool alive = deliver_bytes(call, event->bytes, event->len);

	lock(conn);
	cox_mux_consumed(&conn->mux, event->stream, event->cost);
	pump_unlock(conn);
	return alive;
}

static bool deliver_half_close(struct cox_rpc_call *call)
{
	if (call->is_caller)
		return true; /* the callee's status is what counts */
	if (takes_one(call) && call->n_received == 0) {
		break_off(call, COX_INVALID_ARGUMENT, "the call ended without a message");
		return false;
	}
	if (!call->handler->on_half_close)
		return true;
	enter(call);
	call->handler->on_half_close(call);
	return leave(call);
}

static void deliver_status(struct cox_rpc_call *call, const struct cox_mux_event *event)
{
	struct cox_rpc_message *message = NULL;
	const Coxswain__Rpc__V1__Status *status;
	struct cox_rpc_status out;
	struct cox_error err;

	if (cox_rpc_decode(&coxswain__rpc__v1__status__descriptor, event->bytes, event->len,
			   call->conn->settings.max_decode_bytes, &message, &err) < 0) {
		end_with(call, COX_INTERNAL, err.message);
		return;
	}
	status = (const Coxswain__Rpc__V1__Status *)message->base;
	out.code = status->code <= COX_UNAUTHENTICATED ? (enum cox_code)status->code : COX_UNKNOWN;
	out.message = status->message ? status->message : "";
	out.details = cox_str_n((const char *)status->details.data, status->details.len);
	if (out.code == COX_OK && call->is_caller && takes_one(call) && call->n_received == 0) {
		out.code = COX_INTERNAL;
		out.message = "the call ended well without its response";
	}
	if (out.code == COX_OK && !call->is_caller)
		out.code = COX_CANCELLED; /* a cancel without a code */
	end(call, &out);
	cox_rpc_message_free(message);
}

/* Takes the event. False: the call is gone. */
static bool deliver(struct cox_rpc_call *call, struct cox_mux_event *event)
{
	struct cox_rpc_conn *conn = call->conn;
	bool alive = true;

	switch (event->kind) {
	case COX_MUX_MESSAGE:
		alive = deliver_message(call, event);
		break;
	case COX_MUX_HALF_CLOSE:
		alive = deliver_half_close(call);
		break;
	case COX_MUX_STATUS:
	case COX_MUX_CANCEL:
		deliver_status(call, event);
		alive = false;
		break;
	case COX_MUX_LOST:
		end_with(call, COX_UNAVAILABLE, "the peer goes away and did not take the call");
		alive = false;
		break;
	default:
		break;
	}
	lock(conn);
	cox_mux_event_free(event);
	pthread_mutex_unlock(&conn->lock);
	return alive;
}

static void run(struct cox_rpc_call *call)
{
	while (!call->paused && !cox_list_is_empty(&call->queue)) {
		struct cox_mux_event *event =
			COX_LIST_FIRST(&call->queue, struct cox_mux_event, node);

		cox_list_remove(&event->node);
		if (!deliver(call, event))
			return;
	}
}

static void deliver_writable(struct cox_rpc_call *call)
{
	void (*on_writable)(struct cox_rpc_call *) =
		call->is_caller ? (call->events ? call->events->on_writable : NULL)
				: call->handler->on_writable;

	if (!on_writable)
		return;
	enter(call);
	on_writable(call);
	leave(call);
}

void cox_call_event(struct cox_rpc_conn *conn, struct cox_mux_event *event)
{
	struct cox_rpc_call *call = event->stream->call;

	if (call && event->kind != COX_MUX_WRITABLE && event->kind != COX_MUX_CANCEL) {
		cox_list_append(&call->queue, &event->node);
		run(call);
		return;
	}
	if (call && event->kind == COX_MUX_CANCEL) { /* overtakes what was not delivered */
		deliver(call, event);
		return;
	}
	if (call)
		deliver_writable(call);
	lock(conn);
	cox_mux_event_free(event);
	pthread_mutex_unlock(&conn->lock);
}

void cox_call_run_pending(struct cox_rpc_conn *conn)
{
	struct cox_list now;

	/* A call that is paused and resumed again by its callbacks waits for the next turn. */
	cox_list_init(&now);
	while (!cox_list_is_empty(&conn->runnable)) {
		struct cox_list *n = conn->runnable.next;

		cox_list_remove(n);
		cox_list_append(&now, n);
	}
	while (!cox_list_is_empty(&now)) {
		struct cox_rpc_call *call = COX_LIST_FIRST(&now, struct cox_rpc_call, run_node);

		cox_list_remove(&call->run_node);
		run(call);
	}
}

void cox_call_end_all(struct cox_rpc_conn *conn, enum cox_code code, const char *message)
{
	while (!cox_list_is_empty(&conn->calls))
		end_with(COX_LIST_FIRST(&conn->calls, struct cox_rpc_call, node), code, message);
}

void cox_call_end_endless(struct cox_rpc_conn *conn, const char *message)
{
	struct cox_list now;

	cox_list_init(&now);
	COX_LIST_EACH(&conn->calls, n)
	{
		struct cox_rpc_call *call = COX_LIST_ENTRY(n, struct cox_rpc_call, node);

		if (call->endless && call->is_caller) {
			cox_list_remove(n);
			cox_list_append(&now, n);
		}
	}
	/* Each leaves the list by its end; a callback may end others of it. */
	while (!cox_list_is_empty(&now))
		break_off(COX_LIST_FIRST(&now, struct cox_rpc_call, node), COX_UNAVAILABLE,
			  message);
}

/* ---- the callee's beginning ---- */

/* "package.Service/Method" among the endpoint's. */
static bool find_method(const struct cox_rpc_endpoint *endpoint, const char *path,
			const struct cox_rpc_service **ret_service,
			const struct cox_rpc_method **ret_method,
			const ProtobufCMethodDescriptor **ret_descriptor)
{
	const char *slash = strchr(path, '/');

	for (size_t i = 0; slash && i < endpoint->n_services; i++) {
		const struct cox_rpc_service *service = endpoint->services[i];

		if (!cox_str_is(cox_str_n(path, (size_t)(slash - path)), service->descriptor->name))
			continue;
		for (size_t m = 0; m < service->n_methods; m++) {
			if (!cox_streq(service->methods[m].name, slash + 1))
				continue;
			*ret_service = service;
			*ret_method = &service->methods[m];
			*ret_descriptor = protobuf_c_service_descriptor_get_method_by_name(
				service->descriptor, slash + 1);
			return *ret_descriptor != NULL;
		}
	}
	return false;
}

static int check_metadata(const Coxswain__Rpc__V1__Open *open, struct cox_error *err)
{
	size_t n = strlen(open->method);

	for (size_t i = 0; i < open->n_metadata; i++)
		n += strlen(open->metadata[i]->key) + strlen(open->metadata[i]->value);
	if (open->n_metadata > MAX_METADATA || n > MAX_METADATA_BYTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "more than %d pairs or %d bytes of metadata", MAX_METADATA,
				 MAX_METADATA_BYTES);
	return 0;
}

/* Fills in what the OPEN says. */
static int accept_open(struct cox_rpc_call *call, const struct cox_mux_event *event,
		       const Coxswain__Rpc__V1__Open **ret_open, struct cox_error *err)
{
	struct cox_rpc_conn *conn = call->conn;
	const ProtobufCMethodDescriptor *descriptor;
	const Coxswain__Rpc__V1__Open *open;
	int r = cox_rpc_decode(&coxswain__rpc__v1__open__descriptor, event->bytes, event->len,
			       conn->settings.max_decode_bytes, &call->open, err);

	if (r < 0)
		return r;
	open = (const Coxswain__Rpc__V1__Open *)call->open->base;
	if (conn->state != COX_CONN_UP)
		return cox_error(err, COX_UNAVAILABLE, "the connection is closing");
	r = check_metadata(open, err);
	if (r < 0)
		return r;
	call->method = cox_strdup(open->method);
	if (!find_method(conn->endpoint, open->method, &call->service, &call->handler, &descriptor))
		return cox_error(err, COX_UNIMPLEMENTED, "no method '%.100s'", open->method);
	call->kind = call->handler->kind;
	call->receives = descriptor->input;
	call->sends = descriptor->output;
	*ret_open = open;
	return 0;
}

void cox_call_accept(struct cox_rpc_conn *conn, struct cox_mux_event *event)
{
	struct cox_rpc_call *call = call_new(conn, false);
	const Coxswain__Rpc__V1__Open *open = NULL;
	bool alive = true, over;
	struct cox_error err;
	int r;

	call->stream = event->stream;
	r = accept_open(call, event, &open, &err);
	lock(conn);
	over = call->stream->over;
	call->stream->call = call;
	if (r == 0 && call->handler->max_request_bytes)
		call->stream->max_message = call->handler->max_request_bytes;
	cox_mux_event_free(event);
	pthread_mutex_unlock(&conn->lock);
	if (over || r < 0) { /* cancelled already, or not acceptable: nobody above knows of it */
		call->handler = NULL;
		break_off(call, r < 0 ? (enum cox_code)err.code : COX_CANCELLED,
			  r < 0 ? err.message : "cancelled");
		return;
	}
	set_deadline(call, open->deadline_ms);
	if (call->handler->on_start) {
		enter(call);
		call->handler->on_start(call, call->service->ctx);
		alive = leave(call);
	}
	if (alive && open->has_message)
		deliver_bytes(call, open->message.data, open->message.len);
}

/* ---- the caller's beginning ---- */

static const ProtobufCMethodDescriptor *method_of(const ProtobufCServiceDescriptor *service,
						  const char *method)
{
	const ProtobufCMethodDescriptor *m =
		protobuf_c_service_descriptor_get_method_by_name(service, method);

	COX_ASSERT(m); /* the caller's table is wrong */
	return m;
}

static struct cox_mux_item *open_item(const char *path, const struct cox_rpc_call_options *options,
				      const ProtobufCMessage *request)
{
	Coxswain__Rpc__V1__Metadata pairs[MAX_METADATA], *pointers[MAX_METADATA];
	Coxswain__Rpc__V1__Open open = COXSWAIN__RPC__V1__OPEN__INIT;
	_cleanup_free_ uint8_t *bytes = NULL;
	struct cox_mux_item *item;
	size_t n;

	open.method = (char *)path;
	open.deadline_ms = options->deadline_ms;
	open.metadata = pointers;
	open.n_metadata = options->n_metadata;
	for (size_t i = 0; i < options->n_metadata; i++) {
		coxswain__rpc__v1__metadata__init(&pairs[i]);
		pairs[i].key = (char *)options->metadata[i].key;
		pairs[i].value = (char *)options->metadata[i].value;
		pointers[i] = &pairs[i];
	}
	if (request) {
		open.has_message = true;
		open.message.len = protobuf_c_message_get_packed_size(request);
		open.message.data = bytes = cox_malloc(open.message.len + 1);
		protobuf_c_message_pack(request, bytes);
	}
	n = coxswain__rpc__v1__open__get_packed_size(&open);
	item = cox_mux_item_new(COX_ITEM_OPEN, n);
	coxswain__rpc__v1__open__pack(&open, item->bytes);
	item->end = request != NULL;
	return item;
}

static int check_options(const struct cox_rpc_call_options *options, const char *path,
			 struct cox_error *err)
{
	size_t n = strlen(path);

	COX_ASSERT(options->lane <= COX_LANE_BULK);
	for (size_t i = 0; i < options->n_metadata && i < MAX_METADATA; i++)
		n += strlen(options->metadata[i].key) + strlen(options->metadata[i].value);
	if (options->n_metadata > MAX_METADATA || n > MAX_METADATA_BYTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "more than %d pairs or %d bytes of metadata", MAX_METADATA,
				 MAX_METADATA_BYTES);
	return 0;
}

/* request: to travel in the OPEN, or NULL. */
static int start(struct cox_rpc_conn *conn, const ProtobufCServiceDescriptor *service,
		 const char *method, const struct cox_rpc_call_options *options,
		 const ProtobufCMessage *request, struct cox_rpc_call **ret_call,
		 struct cox_error *err)
{
	const ProtobufCMethodDescriptor *m = method_of(service, method);
	_cleanup_free_ char *path = cox_asprintf("%s/%s", service->name, method);
	size_t max_message = conn->settings.max_message_bytes;
	struct cox_rpc_call *call;
	struct cox_mux_item *item;
	int r = check_options(options, path, err);

	if (r < 0)
		return r;
	if (!cox_rpc_conn_is_open(conn))
		return cox_error(err, COX_UNAVAILABLE,
				 "cannot call '%s': the connection is not open", path);
	if (options->max_response_bytes)
		max_message = options->max_response_bytes;
	item = open_item(path, options, request);
	call = call_new(conn, true);
	lock(conn);
	call->stream = cox_mux_open(&conn->mux, options->lane, item, max_message, call);
	pump_unlock(conn);
	if (!call->stream) {
		drop(call);
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "cannot call '%s': the peer allows no more calls at once", path);
	}
	call->method = TAKE(path);
	call->kind = options->kind;
	call->endless = options->endless;
	call->sends = m->input;
	call->receives = m->output;
	set_deadline(call, options->deadline_ms);
	*ret_call = call;
	return 0;
}

int cox_rpc_call_start(struct cox_rpc_conn *conn, const ProtobufCServiceDescriptor *service,
		       const char *method, const struct cox_rpc_call_options *options,
		       const struct cox_rpc_call_events *events, void *user,
		       struct cox_rpc_call **ret_call, struct cox_error *err)
{
	struct cox_rpc_call *call;
	int r = start(conn, service, method, options, NULL, &call, err);

	if (r < 0)
		return r;
	call->events = events;
	call->user = user;
	*ret_call = call;
	return 0;
}

int cox_rpc_call_unary(struct cox_rpc_conn *conn, const ProtobufCServiceDescriptor *service,
		       const char *method, const struct cox_rpc_call_options *options,
		       const ProtobufCMessage *request,
		       void (*done)(void *user, const struct cox_rpc_status *status,
				    const ProtobufCMessage *response),
		       void *user, struct cox_rpc_call **ret_call, struct cox_error *err)
{
	struct cox_rpc_call_options unary = *options;
	struct cox_rpc_call *call;
	bool inlined;
	int r;

	unary.kind = COX_RPC_UNARY;
	lock(conn);
	inlined = cox_mux_may_inline(&conn->mux) &&
		  protobuf_c_message_get_packed_size(request) <= COX_MUX_INLINE_BYTES;
	pthread_mutex_unlock(&conn->lock);
	r = start(conn, service, method, &unary, inlined ? request : NULL, &call, err);
	if (r < 0)
		return r;
	call->unary_done = done;
	call->user = user;
	if (!inlined) {
		r = cox_rpc_call_send_last(call, request, err);
		if (r < 0) {
			cox_rpc_call_cancel(call);
			return r;
		}
	}
	if (ret_call)
		*ret_call = call;
	return 0;
}

/* ---- what users call ---- */

int cox_rpc_call_send(struct cox_rpc_call *call, const ProtobufCMessage *msg, struct cox_error *err)
{
	struct cox_rpc_conn *conn = call->conn;
	size_t len = protobuf_c_message_get_packed_size(msg), unsent;
	struct cox_mux_item *item;
	bool ended, writable;

	COX_ASSERT(msg->descriptor == call->sends);
	if (len > conn->settings.max_message_bytes)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "a %s of %zu bytes is too large to send, at most %u are",
				 call->sends->short_name, len, conn->settings.max_message_bytes);
	lock(conn);
	ended = call->stream->ended;
	unsent = call->stream->unsent;
	pthread_mutex_unlock(&conn->lock);
	if (ended)
		return cox_error(err, COX_FAILED_PRECONDITION, "the call was half-closed before");
	if (unsent > 0 && unsent + len > conn->settings.send_queue_bytes)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "%zu bytes wait to be sent on '%s' already", unsent, call->method);
	item = cox_mux_item_new(COX_ITEM_MESSAGE, len);
	protobuf_c_message_pack(msg, item->bytes);
	lock(conn);
	cox_mux_send(&conn->mux, call->stream, item);
	cox_conn_pump(conn);
	writable = cox_mux_is_writable(&conn->mux, call->stream);
	pthread_mutex_unlock(&conn->lock);
	return writable ? 0 : COX_RPC_FULL;
}

int cox_rpc_call_send_last(struct cox_rpc_call *call, const ProtobufCMessage *msg,
			   struct cox_error *err)
{
	struct cox_rpc_conn *conn = call->conn;
	int r;

	cox_conn_cork(conn);
	r = cox_rpc_call_send(call, msg, err);
	if (r >= 0)
		cox_rpc_call_half_close(call);
	cox_conn_uncork(conn);
	return r;
}

void cox_rpc_call_half_close(struct cox_rpc_call *call)
{
	COX_ASSERT(call->is_caller); /* a callee finishes */
	lock(call->conn);
	cox_mux_end(&call->conn->mux, call->stream);
	pump_unlock(call->conn);
}

bool cox_rpc_call_is_writable(const struct cox_rpc_call *call)
{
	bool writable;

	lock(call->conn);
	writable = cox_mux_is_writable(&call->conn->mux, call->stream);
	pthread_mutex_unlock(&call->conn->lock);
	return writable;
}

size_t cox_rpc_call_unsent(const struct cox_rpc_call *call)
{
	size_t n;

	lock(call->conn);
	n = call->stream->unsent;
	pthread_mutex_unlock(&call->conn->lock);
	return n;
}

void cox_rpc_call_cancel(struct cox_rpc_call *call)
{
	tell_peer(call, COX_CANCELLED, "cancelled");
	drop(call);
}

void cox_rpc_call_finish_details(struct cox_rpc_call *call, enum cox_code code, const char *message,
				 struct cox_str details)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf status = COX_BUF_INIT;
	struct cox_rpc_conn *conn = call->conn;
	struct cox_mux_item *item;

	COX_ASSERT(!call->is_caller);
	cox_status_pack(&status, code, message, details);
	item = cox_mux_item_new(COX_ITEM_STATUS, status.len);
	if (status.len)
		memcpy(item->bytes, status.ptr, status.len);
	lock(conn);
	cox_mux_finish(&conn->mux, call->stream, item, false);
	pump_unlock(conn);
	drop(call);
}

void cox_rpc_call_finish(struct cox_rpc_call *call, enum cox_code code, const char *message)
{
	cox_rpc_call_finish_details(call, code, message, (struct cox_str){0});
}

void cox_rpc_call_fail(struct cox_rpc_call *call, const struct cox_error *error)
{
	cox_rpc_call_finish(call, error->code ? (enum cox_code)error->code : COX_UNKNOWN,
			    error->message);
}

void cox_rpc_call_reply(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct cox_rpc_conn *conn = call->conn;
	struct cox_error err;

	cox_conn_cork(conn);
	if (cox_rpc_call_send(call, msg, &err) < 0)
		cox_rpc_call_fail(call, &err);
	else
		cox_rpc_call_finish(call, COX_OK, NULL);
	cox_conn_uncork(conn);
}

void cox_rpc_call_pause(struct cox_rpc_call *call)
{
	call->paused = true;
	cox_list_remove(&call->run_node);
}

void cox_rpc_call_resume(struct cox_rpc_call *call)
{
	if (!call->paused)
		return;
	call->paused = false;
	if (cox_list_is_empty(&call->queue))
		return;
	cox_list_append(&call->conn->runnable, &call->run_node);
	cox_conn_wake(call->conn);
}

struct cox_rpc_message *cox_rpc_call_take_message(struct cox_rpc_call *call)
{
	COX_ASSERT(call->current);
	return TAKE(call->current);
}

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

void *cox_rpc_call_service_ctx(const struct cox_rpc_call *call)
{
	return call->service ? call->service->ctx : NULL;
}

const char *cox_rpc_call_method(const struct cox_rpc_call *call)
{
	return call->method;
}

const char *cox_rpc_call_metadata(const struct cox_rpc_call *call, const char *key)
{
	const Coxswain__Rpc__V1__Open *open =
		call->open ? (const Coxswain__Rpc__V1__Open *)call->open->base : NULL;

	for (size_t i = 0; open && i < open->n_metadata; i++)
		if (cox_streq(open->metadata[i]->key, key))
			return open->metadata[i]->value;
	return NULL;
}

int64_t cox_rpc_call_left_ms(const struct cox_rpc_call *call)
{
	int64_t left_ms;

	if (!call->deadline_at_ms)
		return INT64_MAX;
	left_ms = call->deadline_at_ms - cox_clock_ms();
	return left_ms > 0 ? left_ms : 0;
}
