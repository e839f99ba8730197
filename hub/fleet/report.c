/* Reports.Report: observed state on its way in. What counts is fenced by (epoch, generation); what
 * came is written before it is acknowledged, all of one turn of the loop together. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "hub/fleet/internal.h"

#include <stdio.h>

typedef Coxswain__Report__V1__ResourceStatus resource;
typedef Coxswain__Report__V1__ResourceKey resource_key;

#define TREE_BYTES (512 << 10)

/* ---- differences ---- */

static char *key_text(const resource_key *k)
{
	return k ? cox_asprintf("%s/%s/%s/%s", k->group, k->kind, k->namespace_, k->name)
		 : cox_strdup("");
}

/* Moves what next says nothing about from old into next: what a difference means. */
static void merge(hub_report *old, hub_report *next)
{
	_cleanup_map_ struct cox_map said = COX_MAP_INIT;
	resource **all = cox_new_n(resource *, old->n_resources + next->n_resources);
	size_t n = 0;

	if (next->tree.len == 0) {
		next->tree = old->tree;
		old->tree = (ProtobufCBinaryData){0};
	}
	for (size_t i = 0; i < next->n_resources; i++) {
		_cleanup_free_ char *key = key_text(next->resources[i]->key);

		cox_map_set(&said, key, next);
	}
	for (size_t i = 0; i < next->n_removed; i++) {
		_cleanup_free_ char *key = key_text(next->removed[i]);

		cox_map_set(&said, key, next);
	}
	for (size_t i = 0; i < old->n_resources; i++) {
		_cleanup_free_ char *key = key_text(old->resources[i]->key);

		if (cox_map_has(&said, key))
			continue;
		all[n++] = old->resources[i];
		old->resources[i] = NULL;
	}
	for (size_t i = 0; i < next->n_resources; i++)
		all[n++] = next->resources[i];
	/* What stays in old is freed with it: close the gaps first. */
	size_t kept = 0;
	for (size_t i = 0; i < old->n_resources; i++)
		if (old->resources[i])
			old->resources[kept++] = old->resources[i];
	old->n_resources = kept;
	free(next->resources);
	next->resources = all;
	next->n_resources = n;
}

static void drop_removed(hub_report *r)
{
	for (size_t i = 0; i < r->n_removed; i++)
		protobuf_c_message_free_unpacked(&r->removed[i]->base, NULL);
	free(r->removed);
	r->removed = NULL;
	r->n_removed = 0;
	r->full = true;
}

/* ---- writing and acknowledging ---- */

/* An acknowledgement that waits for the disk. */
struct ack {
	struct hub_fleet *fleet;
	uint64_t sequence;
	bool deleted;
	char *uid, *cluster;
};

static void ack_free(void *arg)
{
	struct ack *a = arg;

	free(a->uid);
	free(a->cluster);
	free(a);
}

static void respond(struct cox_rpc_call *call, const char *uid, uint64_t sequence, bool want_full)
{
	Coxswain__Report__V1__ReportResponse response = COXSWAIN__REPORT__V1__REPORT_RESPONSE__INIT;

	response.app_uid = (char *)uid;
	response.sequence = sequence;
	response.want_full = want_full;
	cox_rpc_call_send(call, &response.base, NULL);
}

static void on_durable(void *arg)
{
	struct ack *a = arg;
	struct fleet_member *m = fleet_member(a->fleet, a->cluster);

	if (m && m->reports)
		respond(m->reports, a->uid, a->sequence, false);
	if (a->deleted)
		a->fleet->events.on_deleted(a->fleet->ctx, a->cluster, a->uid);
}

static struct hub_batch *batch_of(struct hub_fleet *f)
{
	if (!f->reports) {
		f->reports = hub_batch_new();
		cox_loop_send(f->loop, &f->flush);
	}
	return f->reports;
}

void fleet_flush_reports(void *arg)
{
	struct hub_fleet *f = arg;

	if (f->reports)
		hub_store_commit(f->store, TAKE(f->reports));
}

static void ack_later(struct fleet_member *m, const hub_report *r, bool deleted)
{
	struct ack *a = cox_new(struct ack);

	a->fleet = m->fleet;
	a->sequence = r->sequence;
	a->deleted = deleted;
	a->uid = cox_strdup(r->app_uid);
	a->cluster = cox_strdup(m->name);
	hub_batch_after(batch_of(m->fleet), on_durable, a, ack_free);
}

/* A row is the boot id of who reported, NUL, and the report. */
static void keep(struct fleet_member *m, const struct fleet_entry *e)
{
	_cleanup_buf_ struct cox_buf row = COX_BUF_INIT;
	char path[FLEET_PATH_MAX];

	fleet_path(path, m->name, e->uid);
	cox_buf_add(&row, e->boot, strlen(e->boot) + 1);
	cox_buf_reserve(&row, protobuf_c_message_get_packed_size(&e->report->base));
	row.len += protobuf_c_message_pack(&e->report->base, (uint8_t *)row.ptr + row.len);
	hub_batch_put(batch_of(m->fleet), HUB_TABLE_REPORT, path, cox_buf_str(&row));
}

static int load(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	struct hub_fleet *f = ctx;
	const char *slash = strchr(key, '/');
	_cleanup_free_ char *cluster = slash ? cox_strndup(key, (size_t)(slash - key)) : NULL;
	struct fleet_entry *e = slash ? fleet_entry(fleet_member(f, cluster), slash + 1) : NULL;
	size_t boot = strnlen(body.ptr, body.len);

	if (!e)
		return 0;
	if (boot < body.len && boot < sizeof(e->boot))
		e->report = coxswain__report__v1__application_report__unpack(
			NULL, body.len - boot - 1, (const uint8_t *)body.ptr + boot + 1);
	if (!e->report)
		return cox_error(err, COX_DATA_LOSS, "a kept report is damaged: '%s'", key);
	memcpy(e->boot, body.ptr, boot);
	return 0;
}

int fleet_reports_load(struct hub_fleet *f, struct cox_error *err)
{
	return hub_store_each(f->store, HUB_TABLE_REPORT, load, f, err);
}

/* ---- what a report does ---- */

static void tombstone_done(struct fleet_member *m, struct fleet_entry *e, const hub_report *r)
{
	struct hub_batch *batch = batch_of(m->fleet);
	char path[FLEET_PATH_MAX];

	fleet_path(path, m->name, e->uid);
	hub_batch_delete(batch, HUB_TABLE_ASSIGNMENT, path);
	hub_batch_delete(batch, HUB_TABLE_REPORT, path);
	fleet_keep_position(batch, m);
	ack_later(m, r, true);
	fleet_entry_free(m, e);
}

static bool is_current(const struct fleet_entry *e, const hub_report *r)
{
	uint64_t epoch, generation;

	fleet_entry_order(e, &epoch, &generation);
	return r->epoch == epoch && r->generation == generation;
}

static void application(struct fleet_member *m, struct cox_rpc_call *call, const hub_report *r)
{
	const char *boot = cox_rpc_conn_peer(m->conn)->boot_id;
	struct fleet_entry *e = fleet_entry(m, r->app_uid);
	bool same_boot = e && e->report && strcmp(e->boot, boot) == 0;
	hub_report *next;

	m->fleet->stats.reports++;
	if (e && r->deleted && fleet_entry_tombstone(e) && is_current(e, r)) {
		tombstone_done(m, e, r);
		return;
	}
	/* Unknown, or about something that is not assigned any more: heard, and without effect. */
	if (!e || r->deleted || !is_current(e, r) ||
	    (same_boot && r->sequence <= e->report->sequence)) {
		m->fleet->stats.reports_stale++;
		if (!e && !r->deleted)
			cox_log_warn("an agent has an application that this hub does not know",
				     COX_KV("cluster", m->name), COX_KV("uid", r->app_uid));
		respond(call, r->app_uid, r->sequence, false);
		return;
	}
	if (!r->full && (!same_boot || r->base_sequence != e->report->sequence)) {
		respond(call, r->app_uid, r->sequence, true);
		return;
	}
	next = fleet_copy(&r->base);
	if (next->tree.len > TREE_BYTES) { /* no agent of ours tells so much */
		free(next->tree.data);
		next->tree = (ProtobufCBinaryData){0};
	}
	if (!next->full)
		merge(e->report, next);
	drop_removed(next);
	if (e->report)
		protobuf_c_message_free_unpacked(&e->report->base, NULL);
	e->report = next;
	snprintf(e->boot, sizeof(e->boot), "%s", boot);
	keep(m, e);
	ack_later(m, next, false);
	m->fleet->events.on_report(m->fleet->ctx, m->name, e->uid);
}

static void set_text(char **have, const char *text)
{
	free(*have);
	*have = text && *text ? cox_strdup(text) : NULL;
}

static void cluster(struct fleet_member *m, const Coxswain__Report__V1__ClusterReport *r)
{
	set_text(&m->state.kubernetes_version, r->kubernetes_version);
	set_text(&m->state.agent_version, r->agent_version);
	set_text(&m->state.platform, r->platform);
	set_text(&m->state.api_error, r->api_error);
	set_text(&m->state.configuration_error, r->configuration_error);
	m->state.configured =
		r->configuration_digest.len == COX_SHA256_BYTES
			? memcmp(r->configuration_digest.data, m->fleet->configuration_digest,
				 COX_SHA256_BYTES) == 0
			: m->fleet->configuration.len == 0;
	m->state.memory_bytes = r->memory_bytes;
	m->fleet->events.on_cluster(m->fleet->ctx, m->name);
}

/* ---- the service ---- */

static void report_start(struct cox_rpc_call *call, void *ctx)
{
	struct cox_rpc_conn *conn = cox_rpc_call_conn(call);
	struct fleet_member *m = cox_rpc_conn_user(conn);

	(void)ctx;
	if (!m || m->conn != conn) {
		cox_rpc_call_finish(call, COX_ABORTED, "a newer connection took over");
		return;
	}
	m->reports = call;
	cox_rpc_call_set_user(call, m);
}

static void report_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	const Coxswain__Report__V1__ReportRequest *q =
		(const Coxswain__Report__V1__ReportRequest *)msg;
	struct cox_rpc_conn *conn = cox_rpc_call_conn(call);
	struct fleet_member *m = cox_rpc_conn_user(conn);

	if (!m || m->conn != conn)
		return;
	m->state.last_seen_ms = cox_clock_wall_ms();
	if (q->body_case == COXSWAIN__REPORT__V1__REPORT_REQUEST__BODY_APPLICATION)
		application(m, call, q->application);
	else if (q->body_case == COXSWAIN__REPORT__V1__REPORT_REQUEST__BODY_CLUSTER)
		cluster(m, q->cluster);
}

static void report_forget(struct cox_rpc_call *call)
{
	struct fleet_member *m = cox_rpc_conn_user(cox_rpc_call_conn(call));

	if (m && m->reports == call)
		m->reports = NULL;
}

static void report_half_close(struct cox_rpc_call *call)
{
	report_forget(call);
	cox_rpc_call_finish(call, COX_OK, NULL);
}

static void report_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	(void)status;
	report_forget(call);
}

static const struct cox_rpc_method methods[] = {
	{.name = "Report",
	 .kind = COX_RPC_BIDI,
	 .on_start = report_start,
	 .on_message = report_message,
	 .on_half_close = report_half_close,
	 .on_end = report_end},
};

const struct cox_rpc_service fleet_reports_service = {
	.descriptor = &coxswain__report__v1__reports__descriptor,
	.methods = methods,
	.n_methods = COX_ARRAY_LEN(methods),
};
