#include "common/net/rpc_enrol.h"

#include "common/base/mem.h"
#include "common/net/rpc_client.h"

#define MAX_REQUEST  (8 << 10)
#define MAX_RESPONSE (COX_FRAME_MAX_DATA - 4)
/* A certificate is a matter of a signature; who asked is not kept longer than this. */
#define ANSWER_MS 10000
#define WHOLE	  (COX_FLAG_BEGIN | COX_FLAG_END_MESSAGE | COX_FLAG_END_STREAM)

struct cox_rpc_enrolment {
	struct cox_rpc_conn *conn; /* NULL: gone */
	bool asked;		   /* the request was handed on: the user has the pointer */
};

/* Appends a message in one frame. */
static void add_message(struct cox_buf *out, const ProtobufCMessage *msg)
{
	size_t n = protobuf_c_message_get_packed_size(msg);
	_cleanup_free_ uint8_t *bytes = cox_malloc(4 + n);

	cox_put_u32(bytes, (uint32_t)n);
	protobuf_c_message_pack(msg, bytes + 4);
	cox_frame_add(out, COX_FRAME_DATA, WHOLE, 0, 1, bytes, 4 + n);
}

static void add_status(struct cox_buf *out, enum cox_code code, const char *message)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf status = COX_BUF_INIT;

	cox_status_pack(&status, code, message, (struct cox_str){0});
	cox_frame_add(out, COX_FRAME_STATUS, 0, 0, 1, status.ptr, status.len);
}

/* Takes the frames in out, and ends the connection after them. */
static void say_and_close(struct cox_rpc_conn *conn, struct cox_buf *out)
{
	pthread_mutex_lock(&conn->lock);
	cox_buf_add(&conn->enrol_out, out->ptr, out->len);
	pthread_mutex_unlock(&conn->lock);
	cox_conn_close_when_sent(conn);
}

void cox_enrol_turn_away(struct cox_rpc_conn *conn, enum cox_code code, const char *message)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;

	add_status(&out, code, message);
	say_and_close(conn, &out);
}

/* The whole request, or nothing yet. 1: *ret_message is it. */
static int parse_request(struct cox_rpc_conn *conn, struct cox_rpc_message **ret_message,
			 struct cox_error *err)
{
	struct cox_frame_reader reader = {0};
	struct cox_frame frame;
	int r;

	pthread_mutex_lock(&conn->lock);
	cox_frame_feed(&reader, conn->enrol_in.ptr, conn->enrol_in.len);
	r = cox_frame_next(&reader, &frame, err);
	if (r > 0 && (frame.type != COX_FRAME_DATA || frame.flags != WHOLE || frame.stream != 1 ||
		      frame.len < 4 || frame.len > MAX_REQUEST + 4 ||
		      cox_get_u32(frame.payload) != frame.len - 4))
		r = cox_error(err, COX_INVALID_ARGUMENT, "this is no request to join");
	if (r > 0)
		r = cox_rpc_decode(&coxswain__enrol__v1__enrol_request__descriptor,
				   frame.payload + 4, frame.len - 4,
				   conn->settings.max_decode_bytes, ret_message, err);
	else if (r == 0)
		r = 1; /* not whole */
	cox_frame_reader_fini(&reader);
	pthread_mutex_unlock(&conn->lock);
	return r < 0 ? r : !r;
}

void cox_enrol_serve(struct cox_rpc_conn *conn,
		     void (*on_request)(void *ctx, struct cox_rpc_enrolment *enrolment,
					const Coxswain__Enrol__V1__EnrolRequest *request,
					const char *peer_address),
		     void *ctx)
{
	struct cox_rpc_enrolment *e = conn->enrolment;
	struct cox_rpc_message *message = NULL;
	struct cox_error err;
	int r;

	if (e && e->asked)
		return; /* what comes behind the request is of no interest */
	r = parse_request(conn, &message, &err);
	if (r < 0)
		cox_enrol_turn_away(conn, (enum cox_code)err.code, err.message);
	if (r <= 0)
		return;
	if (!on_request) {
		cox_enrol_turn_away(conn, COX_UNIMPLEMENTED, "nobody can join here");
	} else {
		e = cox_new(struct cox_rpc_enrolment);
		e->conn = conn;
		e->asked = true;
		conn->enrolment = e;
		cox_timer_start(&conn->timer, ANSWER_MS);
		on_request(ctx, e, (const Coxswain__Enrol__V1__EnrolRequest *)message->base,
			   conn->peer.address);
	}
	cox_rpc_message_free(message);
}

void cox_enrol_conn_gone(struct cox_rpc_conn *conn)
{
	struct cox_rpc_enrolment *e = conn->enrolment;

	if (e)
		e->conn = NULL; /* the user still owes its answer, which frees it */
	conn->enrolment = NULL;
}

static void answer(struct cox_rpc_enrolment *e, struct cox_buf *out)
{
	if (e->conn) {
		e->conn->enrolment = NULL;
		if (e->conn->state == COX_CONN_HANDSHAKE)
			say_and_close(e->conn, out);
	}
	free(e);
}

void cox_rpc_enrolment_reply(struct cox_rpc_enrolment *enrolment,
			     const Coxswain__Enrol__V1__EnrolResponse *response)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;

	COX_ASSERT(protobuf_c_message_get_packed_size(&response->base) <= MAX_RESPONSE);
	add_message(&out, &response->base);
	add_status(&out, COX_OK, NULL);
	answer(enrolment, &out);
}

void cox_rpc_enrolment_refuse(struct cox_rpc_enrolment *enrolment, enum cox_code code,
			      const char *message)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;

	add_status(&out, code, message);
	answer(enrolment, &out);
}

/* ---- the agent's side ---- */

struct join {
	struct cox_rpc_endpoint endpoint; /* a nameless one */
	void (*done)(void *ctx, const struct cox_rpc_status *status,
		     const Coxswain__Enrol__V1__EnrolResponse *response);
	void *ctx;
	struct cox_buf request; /* the frame */
	bool asked;
	struct cox_rpc_message *response;
	struct cox_rpc_message *status;
};

static void free_join(struct join *join)
{
	cox_buf_fini(&join->request);
	cox_rpc_message_free(join->response);
	cox_rpc_message_free(join->status);
	free(join);
}

static int take_answer(struct cox_rpc_conn *conn, struct join *join, const struct cox_frame *f,
		       struct cox_error *err)
{
	size_t max = conn->settings.max_decode_bytes;

	if (f->type == COX_FRAME_STATUS && f->stream == 1 && !join->status)
		return cox_rpc_decode(&coxswain__rpc__v1__status__descriptor, f->payload, f->len,
				      max, &join->status, err);
	if (f->type == COX_FRAME_DATA && f->flags == WHOLE && f->stream == 1 && !join->response &&
	    f->len >= 4 && cox_get_u32(f->payload) == f->len - 4)
		return cox_rpc_decode(&coxswain__enrol__v1__enrol_response__descriptor,
				      f->payload + 4, f->len - 4, max, &join->response, err);
	return cox_error(err, COX_INVALID_ARGUMENT, "the hub's answer is not one");
}

static void joining(void *ctx, struct cox_rpc_conn *conn)
{
	struct join *join = ctx;
	COX_CLEANUP(cox_buf_fini) struct cox_buf in = COX_BUF_INIT;
	struct cox_frame_reader reader = {0};
	struct cox_frame frame;
	struct cox_error err;
	size_t taken = 0;
	int r = 0;

	pthread_mutex_lock(&conn->lock);
	if (!join->asked) {
		join->asked = true;
		cox_buf_add(&conn->enrol_out, join->request.ptr, join->request.len);
		cox_conn_pump(conn);
	}
	cox_buf_add(&in, conn->enrol_in.ptr, conn->enrol_in.len);
	pthread_mutex_unlock(&conn->lock);

	cox_frame_feed(&reader, in.ptr, in.len);
	while (!join->status && (r = cox_frame_next(&reader, &frame, &err)) != 0) {
		if (r > 0)
			r = take_answer(conn, join, &frame, &err);
		if (r < 0)
			break;
		taken += COX_FRAME_HEADER + frame.len;
	}
	cox_frame_reader_fini(&reader);
	pthread_mutex_lock(&conn->lock);
	cox_buf_consume(&conn->enrol_in, taken);
	pthread_mutex_unlock(&conn->lock);
	if (join->status || r < 0)
		cox_conn_shutdown(conn, COX_GOAWAY_SHUTDOWN, r < 0 ? err.message : "joined", 0);
}

static void joined(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	struct join *join = ctx;
	struct cox_rpc_status status = {.code = (enum cox_code)why->error.code,
					.message = why->error.message};
	const Coxswain__Rpc__V1__Status *said;

	(void)conn;
	if (join->status) {
		said = (const Coxswain__Rpc__V1__Status *)join->status->base;
		status.code =
			said->code <= COX_UNAUTHENTICATED ? (enum cox_code)said->code : COX_UNKNOWN;
		status.message = said->message ? said->message : "";
		if (status.code == COX_OK && !join->response) {
			status.code = COX_INTERNAL;
			status.message = "the hub said yes and gave no certificate";
		}
	}
	join->done(join->ctx, &status,
		   status.code == COX_OK
			   ? (const Coxswain__Enrol__V1__EnrolResponse *)join->response->base
			   : NULL);
	free_join(join);
}

int cox_rpc_enrol(struct cox_loop *loop, const struct cox_rpc_dial_options *options,
		  const Coxswain__Enrol__V1__EnrolRequest *request,
		  void (*done)(void *ctx, const struct cox_rpc_status *status,
			       const Coxswain__Enrol__V1__EnrolResponse *response),
		  void *ctx, struct cox_error *err)
{
	static const struct cox_conn_owner owner = {.on_enrol = joining, .on_down = joined};
	struct join *join = cox_new(struct join);
	struct cox_rpc_conn *conn;
	int r;

	if (protobuf_c_message_get_packed_size(&request->base) > MAX_REQUEST) {
		free_join(join);
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the request to join is longer than %d bytes", MAX_REQUEST);
	}
	join->endpoint.loop = loop;
	join->endpoint.settings.handshake_ms = 15000; /* names, TCP, TLS and the hub's answer */
	join->done = done;
	join->ctx = ctx;
	add_message(&join->request, &request->base);
	r = cox_client_dial(&join->endpoint, options, &owner, join, &conn, err);
	if (r < 0)
		free_join(join);
	return r;
}
