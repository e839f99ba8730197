/* Assignments.Follow and Bundles.Fetch: desired state on its way to an agent. */
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/ctl/stamp.h"
#include "common/zip/zip.h"
#include "hub/fleet/internal.h"

#define CHUNK_BYTES	  (256 << 10)
#define CACHE_BYTES	  (64 << 20)
#define BUNDLE_SIZE_BYTES 8

/* ---- Follow ---- */

static int send_change(struct fleet_member *m, const fleet_change *change)
{
	struct cox_error err = COX_ERROR_INIT;
	int r = cox_rpc_call_send(m->follow, &change->base, &err);

	if (r < 0)
		cox_log_warn("cannot send an assignment", COX_KV("cluster", m->name),
			     COX_KV_ERROR(&err));
	else
		m->fleet->stats.changes_sent++;
	return r;
}

void fleet_push_configuration(struct fleet_member *m)
{
	const struct hub_fleet *f = m->fleet;
	fleet_change change = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT;
	Coxswain__Assignment__V1__Configuration body =
		COXSWAIN__ASSIGNMENT__V1__CONFIGURATION__INIT;

	if (!m->follow || !m->live || !m->takes_configuration ||
	    memcmp(m->configuration, f->configuration_digest, COX_SHA256_BYTES) == 0)
		return;
	body.digest.data = (uint8_t *)f->configuration_digest;
	body.digest.len = COX_SHA256_BYTES;
	body.body.data = (uint8_t *)f->configuration.ptr;
	body.body.len = f->configuration.len;
	change.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_CONFIGURATION;
	change.configuration = &body;
	if (send_change(m, &change) >= 0)
		memcpy(m->configuration, f->configuration_digest, COX_SHA256_BYTES);
}

/* The order list is by position, and a change moves its entry to the end, so what is not sent yet
 * is at the end: walk back to the first of it, then forward. */
void fleet_push(struct fleet_member *m)
{
	struct cox_list *node = m->order.prev;

	if (!m->follow || !m->live)
		return;
	/* First: what is assigned from here on is judged by it. */
	fleet_push_configuration(m);
	while (node != &m->order &&
	       COX_LIST_ENTRY(node, struct fleet_entry, node)->change->position > m->sent)
		node = node->prev;
	for (node = node->next; node != &m->order; node = node->next) {
		struct fleet_entry *e = COX_LIST_ENTRY(node, struct fleet_entry, node);
		int r;

		/* What is not on the disk yet, and all behind it, waits for its batch. */
		if (e->change->position > m->durable || !cox_rpc_call_is_writable(m->follow))
			return;
		r = send_change(m, e->change);
		if (r < 0)
			return;
		m->sent = e->change->position;
	}
}

static void stamps_digest(const struct fleet_member *m, uint8_t ret_digest[COX_SHA256_BYTES])
{
	COX_VEC(struct cox_stamp) stamps = {0};

	COX_MAP_EACH (&m->entries, slot) {
		const struct fleet_entry *e = slot->value;
		const hub_assignment *a = fleet_entry_assignment(e);
		struct cox_stamp stamp = {.app_uid = cox_str(e->uid), .tombstone = a == NULL};

		fleet_entry_order(e, &stamp.epoch, &stamp.generation);
		cox_stamp_set_digest(stamp.target_digest, a ? a->target_digest.data : NULL,
				     a ? a->target_digest.len : 0);
		cox_stamp_set_digest(stamp.sync_digest, a ? a->sync_digest.data : NULL,
				     a ? a->sync_digest.len : 0);
		cox_vec_push(&stamps, stamp);
	}
	cox_stamps_digest(stamps.items, stamps.n, ret_digest);
	cox_vec_fini(&stamps);
}

/* Everything, at once: position 0 inside, the real one at the end. A queue that is full ends the
 * call; the agent comes back with what it got. */
static void send_snapshot(struct fleet_member *m)
{
	fleet_change begin = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT, end = begin;
	Coxswain__Assignment__V1__SnapshotBegin b = COXSWAIN__ASSIGNMENT__V1__SNAPSHOT_BEGIN__INIT;
	Coxswain__Assignment__V1__SnapshotEnd e = COXSWAIN__ASSIGNMENT__V1__SNAPSHOT_END__INIT;
	int r;

	begin.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_SNAPSHOT_BEGIN;
	begin.snapshot_begin = &b;
	e.position = m->durable;
	end.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_SNAPSHOT_END;
	end.snapshot_end = &e;
	r = send_change(m, &begin);
	COX_LIST_EACH(&m->order, node)
	{
		fleet_change item = *COX_LIST_ENTRY(node, struct fleet_entry, node)->change;

		if (item.position > m->durable)
			continue;
		item.position = 0;
		if (r >= 0)
			r = send_change(m, &item);
	}
	if (r >= 0)
		r = send_change(m, &end);
	if (r >= 0)
		m->sent = m->durable;
}

/* Equal digests: nothing to say. A position of ours, older than now: what changed since. Anything
 * else (new, another state, a restored one): a snapshot. Positions of before an older copy was put in
 * place were counted by a hub that this one knows nothing of: the agent has not seen our epoch. */
static void resume(struct fleet_member *m, const Coxswain__Assignment__V1__Resume *q)
{
	uint8_t digest[COX_SHA256_BYTES];
	bool agrees;

	stamps_digest(m, digest);
	agrees = q->digest.len == sizeof(digest) &&
		 memcmp(q->digest.data, digest, sizeof(digest)) == 0;
	m->live = true;
	m->takes_configuration = q->configuration_digest.len == COX_SHA256_BYTES;
	if (m->takes_configuration)
		memcpy(m->configuration, q->configuration_digest.data, COX_SHA256_BYTES);
	fleet_push_configuration(m);
	if (agrees && q->position <= m->durable)
		m->sent = m->durable;
	else if (q->position > 0 && q->position < m->durable &&
		 q->highest_epoch == hub_store_epoch(m->fleet->store))
		m->sent = q->position;
	else
		send_snapshot(m);
	fleet_push(m);
}

static void follow_start(struct cox_rpc_call *call, void *ctx)
{
	struct cox_rpc_conn *conn = cox_rpc_call_conn(call);
	struct fleet_member *m = cox_rpc_conn_user(conn);

	(void)ctx;
	if (!m || m->conn != conn) {
		cox_rpc_call_finish(call, COX_ABORTED, "a newer connection took over");
		return;
	}
	if (m->follow) {
		cox_rpc_call_set_user(m->follow, NULL);
		cox_rpc_call_finish(m->follow, COX_ABORTED, "a newer Follow took over");
	}
	m->follow = call;
	m->live = false;
	cox_rpc_call_set_user(call, m);
}

static void follow_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct fleet_member *m = cox_rpc_call_user(call);
	const Coxswain__Assignment__V1__FollowRequest *q =
		(const Coxswain__Assignment__V1__FollowRequest *)msg;

	if (!m)
		return;
	if (q->body_case == COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__BODY_RESUME && !m->live)
		resume(m, q->resume);
	else if (q->body_case == COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__BODY_ACK)
		m->fleet->stats.acks++;
}

static void follow_gone(struct fleet_member *m)
{
	if (!m)
		return;
	m->follow = NULL;
	m->live = false;
}

static void follow_half_close(struct cox_rpc_call *call)
{
	follow_gone(cox_rpc_call_user(call));
	cox_rpc_call_finish(call, COX_OK, NULL);
}

static void follow_writable(struct cox_rpc_call *call)
{
	struct fleet_member *m = cox_rpc_call_user(call);

	if (m)
		fleet_push(m);
}

static void follow_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	(void)status;
	follow_gone(cox_rpc_call_user(call));
}

static const struct cox_rpc_method assignments_methods[] = {
	{.name = "Follow",
	 .kind = COX_RPC_BIDI,
	 .max_request_bytes = 4096,
	 .on_start = follow_start,
	 .on_message = follow_message,
	 .on_half_close = follow_half_close,
	 .on_writable = follow_writable,
	 .on_end = follow_end},
};

const struct cox_rpc_service fleet_assignments_service = {
	.descriptor = &coxswain__assignment__v1__assignments__descriptor,
	.methods = assignments_methods,
	.n_methods = COX_ARRAY_LEN(assignments_methods),
};

/* ---- bundles ---- */

void hub_bundle_pack(struct cox_str json, struct cox_buf *out_row)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		cox_buf_putc(out_row, (char)(uint8_t)(json.len >> shift));
	cox_zip_compress(json, 0, out_row);
}

static uint64_t row_size(struct cox_str row)
{
	uint64_t size = 0;

	for (size_t i = 0; i < BUNDLE_SIZE_BYTES && i < row.len; i++)
		size = size << 8 | (uint8_t)row.ptr[i];
	return size;
}

int hub_bundle_unpack(struct cox_str row, struct cox_buf *out_json, struct cox_error *err)
{
	if (row.len < BUNDLE_SIZE_BYTES)
		return cox_error(err, COX_DATA_LOSS, "a kept bundle is cut short");
	return cox_zip_decompress(
		cox_str_n(row.ptr + BUNDLE_SIZE_BYTES, row.len - BUNDLE_SIZE_BYTES),
		(size_t)row_size(row), out_json, err);
}

static void cached_free(struct fleet_cached *c)
{
	cox_list_remove(&c->node);
	cox_buf_fini(&c->row);
	free(c);
}

void fleet_cache_fini(struct hub_fleet *f)
{
	COX_MAP_EACH (&f->cached, slot)
		cached_free(slot->value);
	cox_map_fini(&f->cached);
}

static void cache_trim(struct hub_fleet *f)
{
	COX_LIST_EACH(&f->cache, node)
	{
		struct fleet_cached *c = COX_LIST_ENTRY(node, struct fleet_cached, node);

		if (f->cache_bytes <= CACHE_BYTES)
			return;
		if (c->users > 0)
			continue;
		f->cache_bytes -= c->row.len;
		cox_map_remove(&f->cached, c->digest);
		cached_free(c);
	}
}

static struct fleet_cached *cache_find(struct hub_fleet *f, const char *hex)
{
	struct fleet_cached *c = cox_map_get(&f->cached, hex);

	if (!c)
		return NULL;
	cox_list_remove(&c->node);
	cox_list_append(&f->cache, &c->node);
	return c;
}

static struct fleet_cached *cache_add(struct hub_fleet *f, const char *hex, struct cox_buf *row)
{
	struct fleet_cached *c = cache_find(f, hex);

	if (c)
		return c;
	c = cox_new(struct fleet_cached);
	memcpy(c->digest, hex, sizeof(c->digest));
	c->row = *row;
	*row = COX_BUF_INIT;
	f->cache_bytes += c->row.len;
	cox_list_init(&c->node);
	cox_list_append(&f->cache, &c->node);
	cox_map_set(&f->cached, hex, c);
	return c;
}

/* A fetch: waits for the row, then sends it piece by piece as the call takes it. The call may end
 * while the row is being read. */
struct fetch {
	struct hub_fleet *fleet;
	struct cox_rpc_call *call;   /* NULL: gone */
	struct fleet_cached *bundle; /* NULL: being read */
	uint64_t offset;
	bool first;
	char digest[2 * HUB_DIGEST_BYTES + 1];
};

static void fetch_free(struct fetch *q)
{
	if (q->bundle) {
		q->bundle->users--;
		cache_trim(q->fleet);
	}
	free(q);
}

static void fetch_finish(struct fetch *q, enum cox_code code, const char *message)
{
	struct cox_rpc_call *call = q->call;

	cox_rpc_call_set_user(call, NULL);
	fetch_free(q);
	cox_rpc_call_finish(call, code, message);
}

static void fetch_send(struct fetch *q)
{
	struct cox_str row = cox_buf_str(&q->bundle->row);
	uint64_t total = row.len - BUNDLE_SIZE_BYTES;

	while (q->first || q->offset < total) {
		Coxswain__Bundle__V1__Chunk chunk = COXSWAIN__BUNDLE__V1__CHUNK__INIT;
		uint64_t n = total - q->offset < CHUNK_BYTES ? total - q->offset : CHUNK_BYTES;
		int r;

		chunk.data.data = (uint8_t *)row.ptr + BUNDLE_SIZE_BYTES + q->offset;
		chunk.data.len = (size_t)n;
		if (q->first) {
			chunk.compressed_size = total;
			chunk.size = row_size(row);
		}
		r = cox_rpc_call_send(q->call, &chunk.base, NULL);
		if (r < 0) {
			fetch_finish(q, COX_RESOURCE_EXHAUSTED, "the bundle could not be queued");
			return;
		}
		q->first = false;
		q->offset += n;
		if (r == COX_RPC_FULL && q->offset < total)
			return;
	}
	q->fleet->stats.bundles_sent++;
	fetch_finish(q, COX_OK, NULL);
}

static void fetch_begin(struct fetch *q, struct fleet_cached *bundle)
{
	q->bundle = bundle;
	bundle->users++;
	if (bundle->row.len < BUNDLE_SIZE_BYTES)
		fetch_finish(q, COX_DATA_LOSS, "the kept bundle is damaged");
	else if (q->offset > bundle->row.len - BUNDLE_SIZE_BYTES)
		fetch_finish(q, COX_OUT_OF_RANGE, "the offset is behind the bundle's end");
	else
		fetch_send(q);
}

static void fetch_read(void *arg, struct cox_buf *body, const struct cox_error *err)
{
	struct fetch *q = arg;

	if (!q->call)
		fetch_free(q);
	else if (err)
		fetch_finish(q, err->code, err->message);
	else
		fetch_begin(q, cache_add(q->fleet, q->digest, body));
}

static bool is_digest(ProtobufCBinaryData have, ProtobufCBinaryData want)
{
	return have.len == want.len && memcmp(have.data, want.data, have.len) == 0;
}

/* An agent gets only what it was assigned. */
static bool may_fetch(const struct fleet_member *m, ProtobufCBinaryData digest)
{
	if (digest.len != HUB_DIGEST_BYTES)
		return false;
	COX_MAP_EACH (&m->entries, slot) {
		const hub_assignment *a = fleet_entry_assignment(slot->value);
		const hub_tombstone *t = fleet_entry_tombstone(slot->value);

		if (a &&
		    (is_digest(a->target_digest, digest) || is_digest(a->sync_digest, digest) ||
		     (a->operation && is_digest(a->operation->digest, digest))))
			return true;
		if (t && is_digest(t->hooks_digest, digest))
			return true;
	}
	return false;
}

static void fetch_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	const Coxswain__Bundle__V1__FetchRequest *request =
		(const Coxswain__Bundle__V1__FetchRequest *)msg;
	struct fleet_member *m = cox_rpc_conn_user(cox_rpc_call_conn(call));
	struct fleet_cached *cached;
	struct fetch *q;

	if (cox_rpc_call_user(call))
		return;
	if (!m || !may_fetch(m, request->digest)) {
		cox_rpc_call_finish(call, COX_PERMISSION_DENIED,
				    "this digest is not assigned to this cluster");
		return;
	}
	q = cox_new(struct fetch);
	q->fleet = m->fleet;
	q->call = call;
	q->offset = request->offset;
	q->first = true;
	cox_hex_encode(request->digest.data, HUB_DIGEST_BYTES, q->digest);
	cox_rpc_call_set_user(call, q);
	cached = cache_find(m->fleet, q->digest);
	if (cached)
		fetch_begin(q, cached);
	else
		hub_store_read(m->fleet->store, HUB_TABLE_BUNDLE, q->digest, fetch_read, q);
}

static void fetch_writable(struct cox_rpc_call *call)
{
	struct fetch *q = cox_rpc_call_user(call);

	if (q && q->bundle)
		fetch_send(q);
}

static void fetch_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct fetch *q = cox_rpc_call_user(call);

	(void)status;
	if (!q)
		return;
	q->call = NULL;
	if (q->bundle)
		fetch_free(q);
}

static const struct cox_rpc_method bundles_methods[] = {
	{.name = "Fetch",
	 .kind = COX_RPC_SERVER_STREAM,
	 .max_request_bytes = 4096,
	 .on_message = fetch_message,
	 .on_writable = fetch_writable,
	 .on_end = fetch_end},
};

const struct cox_rpc_service fleet_bundles_service = {
	.descriptor = &coxswain__bundle__v1__bundles__descriptor,
	.methods = bundles_methods,
	.n_methods = COX_ARRAY_LEN(bundles_methods),
};
