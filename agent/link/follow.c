/* Desired state in: Assignments.Follow and Bundles.Fetch. */
#include "agent/link/internal.h"

#include "common/base/encode.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/zip/zip.h"

#include <stdlib.h>

#define FETCHES_AT_ONCE 2
#define RETRY_BASE_MS	500
#define RETRY_MAX_MS	30000

typedef Coxswain__Assignment__V1__Change change_msg;
typedef Coxswain__Assignment__V1__FollowRequest request_msg;

/* ---- follow ---- */

static void drop_changes(struct agent_link *link)
{
	COX_VEC_EACH (&link->changes, m)
		cox_rpc_message_free(*m);
	cox_vec_clear(&link->changes);
}

static void ack(struct agent_link *link, uint64_t position)
{
	request_msg request = COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__INIT;
	Coxswain__Assignment__V1__Ack body = COXSWAIN__ASSIGNMENT__V1__ACK__INIT;

	if (!link->follow)
		return;
	body.position = position;
	request.body_case = COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__BODY_ACK;
	request.ack = &body;
	cox_rpc_call_send(link->follow, &request.base, NULL);
}

/* Everything that came in one turn becomes durable in one commit, and is acknowledged then. A
 * snapshot that is not complete yet moves no position. */
static void commit(void *arg)
{
	struct agent_link *link = arg;
	COX_VEC(const change_msg *) list = {0};
	struct cox_error err;
	uint64_t position = link->snapshot_position;

	COX_VEC_EACH (&link->changes, m) {
		const change_msg *c = (const change_msg *)(*m)->base;

		cox_vec_push(&list, c);
		if (!link->in_snapshot && c->position > position)
			position = c->position;
	}
	int code = agent_engine_accept(link->engine, list.items, list.n, position, &err);

	cox_vec_fini(&list);
	drop_changes(link);
	link->snapshot_position = 0;
	if (code < 0) {
		cox_log_error("cannot keep what was assigned", COX_KV_ERROR(&err));
		if (link->conn)
			cox_rpc_conn_close(link->conn, COX_GOAWAY_SHUTDOWN, "cannot keep state");
		return;
	}
	if (position)
		ack(link, position);
	agent_reports_configured(link);
}

static void follow_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent_link *link = cox_rpc_call_user(call);
	const change_msg *c = (const change_msg *)msg;

	switch (c->body_case) {
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_SNAPSHOT_BEGIN:
		link->in_snapshot = true;
		return;
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_SNAPSHOT_END:
		link->in_snapshot = false;
		link->snapshot_position = c->snapshot_end->position;
		break;
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_CONFIGURATION:
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT:
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE:
		cox_vec_push(&link->changes, cox_rpc_call_take_message(call));
		break;
	default:
		return;
	}
	cox_loop_send(link->o.loop, &link->commit);
}

static void follow_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct agent_link *link = cox_rpc_call_user(call);

	link->follow = NULL;
	if (link->up && !link->stopping) {
		cox_log_warn("the hub ended the assignments", COX_KV("error", status->message));
		cox_rpc_conn_close(link->conn, COX_GOAWAY_SHUTDOWN, "assignments ended");
	}
}

static const struct cox_rpc_call_events follow_events = {.on_message = follow_message,
							 .on_end = follow_end};

void agent_follow_init(struct agent_link *link)
{
	cox_task_init(&link->commit, commit, link);
}

int agent_follow_start(struct agent_link *link, struct cox_error *err)
{
	request_msg request = COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__INIT;
	Coxswain__Assignment__V1__Resume resume = COXSWAIN__ASSIGNMENT__V1__RESUME__INIT;
	struct cox_rpc_call_options options = {
		.kind = COX_RPC_BIDI, .lane = COX_LANE_ASSIGNMENT, .endless = true};
	int code =
		cox_rpc_call_start(link->conn, &coxswain__assignment__v1__assignments__descriptor,
				   "Follow", &options, &follow_events, link, &link->follow, err);

	if (code < 0)
		return code;
	agent_engine_digest(link->engine, link->digest);
	resume.position = agent_engine_position(link->engine);
	resume.digest.data = link->digest;
	resume.digest.len = sizeof(link->digest);
	struct agent_configuration configuration;

	agent_engine_configuration(link->engine, &configuration);
	resume.configuration_digest.data = (uint8_t *)configuration.kept;
	resume.configuration_digest.len = COX_SHA256_BYTES;
	resume.highest_epoch = agent_engine_highest_epoch(link->engine);
	request.body_case = COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__BODY_RESUME;
	request.resume = &resume;
	return cox_rpc_call_send(link->follow, &request.base, err);
}

void agent_follow_down(struct agent_link *link)
{
	link->follow = NULL;
	link->in_snapshot = false;
	link->snapshot_position = 0;
	cox_loop_unsend(link->o.loop, &link->commit);
	drop_changes(link);
	cox_vec_fini(&link->changes);
}

/* ---- bundles ---- */

static void fetch_free(struct agent_fetch *f)
{
	cox_timer_stop(&f->retry);
	cox_buf_fini(&f->packed);
	free(f);
}

static void digest_text(const uint8_t digest[COX_SHA256_BYTES], char ret[COX_SHA256_TEXT])
{
	cox_hex_encode(digest, COX_SHA256_BYTES, ret);
}

static void fetch_over(struct agent_fetch *f)
{
	struct agent_link *link = f->link;
	char text[COX_SHA256_TEXT];

	digest_text(f->digest, text);
	cox_map_remove(&link->fetches, text);
	fetch_free(f);
	agent_fetches_start(link);
}

static void fetch_failed(struct agent_fetch *f, const struct cox_error *why)
{
	struct agent_link *link = f->link;
	char text[COX_SHA256_TEXT];
	struct cox_rng rng;

	digest_text(f->digest, text);
	cox_log_warn("cannot fetch a bundle", COX_KV("digest", text), COX_KV_ERROR(why));
	cox_buf_fini(&f->packed);
	agent_engine_bundle_failed(link->engine, f->digest, why);
	cox_rng_init(&rng, (uint64_t)cox_loop_now_ms(link->o.loop));
	cox_timer_start(&f->retry, cox_backoff_ms(&rng, RETRY_BASE_MS, RETRY_MAX_MS, f->tries++));
}

/* What came must be what was asked for. */
static int keep_bundle(struct agent_fetch *f, struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf plain = COX_BUF_INIT;
	uint8_t found[COX_SHA256_BYTES];
	int code = cox_zip_decompress(cox_buf_str(&f->packed), COX_LIMIT_BUNDLE_BYTES, &plain, err);

	if (code < 0)
		return code;
	cox_sha256(cox_buf_str(&plain), found);
	if (memcmp(found, f->digest, sizeof(found)) != 0)
		return cox_error(err, COX_DATA_LOSS, "the bundle has another digest");
	return agent_store_put_bundle(f->link->o.store, f->digest, cox_buf_str(&f->packed), err);
}

static void fetch_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent_fetch *f = cox_rpc_call_user(call);
	const Coxswain__Bundle__V1__Chunk *chunk = (const Coxswain__Bundle__V1__Chunk *)msg;

	if (f->packed.len + chunk->data.len > COX_LIMIT_BUNDLE_BYTES) {
		struct cox_error err;

		cox_error(&err, COX_RESOURCE_EXHAUSTED, "the bundle is larger than %d bytes",
			  COX_LIMIT_BUNDLE_BYTES);
		cox_rpc_call_cancel(call);
		f->call = NULL;
		f->link->n_fetching--;
		fetch_failed(f, &err);
		return;
	}
	cox_buf_add(&f->packed, chunk->data.data, chunk->data.len);
}

static void fetch_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct agent_fetch *f = cox_rpc_call_user(call);
	struct agent_link *link = f->link;
	struct cox_error err = COX_ERROR_INIT;
	uint8_t digest[COX_SHA256_BYTES];

	f->call = NULL;
	link->n_fetching--;
	if (!link->up) {
		cox_buf_fini(&f->packed);
		return; /* the next connection asks again */
	}
	if (status->code != COX_OK) {
		cox_error(&err, status->code, "%s", status->message);
		fetch_failed(f, &err);
		agent_fetches_start(link);
		return;
	}
	if (keep_bundle(f, &err) < 0) {
		fetch_failed(f, &err);
		agent_fetches_start(link);
		return;
	}
	memcpy(digest, f->digest, sizeof(digest));
	fetch_over(f);
	agent_engine_bundle_arrived(link->engine, digest);
}

static const struct cox_rpc_call_events fetch_events = {.on_message = fetch_message,
							.on_end = fetch_end};

static void fetch_start(struct agent_fetch *f)
{
	struct agent_link *link = f->link;
	Coxswain__Bundle__V1__FetchRequest request = COXSWAIN__BUNDLE__V1__FETCH_REQUEST__INIT;
	struct cox_rpc_call_options options = {.kind = COX_RPC_SERVER_STREAM,
					       .lane = COX_LANE_BULK};
	struct cox_error err;

	cox_buf_clear(&f->packed);
	if (cox_rpc_call_start(link->conn, &coxswain__bundle__v1__bundles__descriptor, "Fetch",
			       &options, &fetch_events, f, &f->call, &err) < 0) {
		f->call = NULL;
		fetch_failed(f, &err);
		return;
	}
	link->n_fetching++;
	request.digest.data = f->digest;
	request.digest.len = sizeof(f->digest);
	cox_rpc_call_send_last(f->call, &request.base, NULL);
}

void agent_fetches_start(struct agent_link *link)
{
	if (!link->up || link->stopping)
		return;
	COX_MAP_EACH (&link->fetches, slot) {
		struct agent_fetch *f = slot->value;

		if (link->n_fetching >= FETCHES_AT_ONCE)
			return;
		if (!f->call && !cox_timer_is_running(&f->retry))
			fetch_start(f);
	}
}

static void retry(void *arg)
{
	struct agent_fetch *f = arg;

	/* nobody may need it any more */
	agent_fetches_start(f->link);
}

void agent_link_want_bundle(struct agent_link *link, const uint8_t digest[COX_SHA256_BYTES])
{
	char text[COX_SHA256_TEXT];
	struct agent_fetch *f;

	digest_text(digest, text);
	if (cox_map_has(&link->fetches, text))
		return;
	f = cox_new(struct agent_fetch);
	f->link = link;
	memcpy(f->digest, digest, sizeof(f->digest));
	cox_timer_init(&f->retry, link->o.loop, retry, f);
	cox_map_set(&link->fetches, text, f);
	if (link->engine)
		agent_fetches_start(link);
}

/* The calls are gone with the connection; what is still wanted is asked for by the next one. */
void agent_fetches_down(struct agent_link *link)
{
	COX_MAP_EACH (&link->fetches, slot)
		fetch_free(slot->value);
	cox_map_fini(&link->fetches);
	link->n_fetching = 0;
}

void agent_fetches_fini(struct agent_link *link)
{
	agent_fetches_down(link);
}
