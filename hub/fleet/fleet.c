#include "hub/fleet/internal.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/log.h"

#include <inttypes.h>
#include <stdio.h>

/* Many clusters may stand behind one address, and be made at once. */
#define ENROL_BURST 32
/* Of connections that came while the most were shaking hands, when all come back at once. */
#define MAX_WAITING 4096

/* ---- members and entries ---- */

struct fleet_member *fleet_member(const struct hub_fleet *f, const char *cluster)
{
	return cluster ? cox_map_get(&f->members, cluster) : NULL;
}

struct fleet_entry *fleet_entry(const struct fleet_member *m, const char *uid)
{
	return m ? cox_map_get(&m->entries, uid) : NULL;
}

const hub_assignment *fleet_entry_assignment(const struct fleet_entry *e)
{
	return e && e->change->body_case == COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT
		       ? e->change->assignment
		       : NULL;
}

const hub_tombstone *fleet_entry_tombstone(const struct fleet_entry *e)
{
	return e && e->change->body_case == COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE
		       ? e->change->tombstone
		       : NULL;
}

void fleet_entry_order(const struct fleet_entry *e, uint64_t *ret_epoch, uint64_t *ret_generation)
{
	const hub_assignment *a = fleet_entry_assignment(e);
	const hub_tombstone *t = fleet_entry_tombstone(e);

	*ret_epoch = a ? a->epoch : t ? t->epoch : 0;
	*ret_generation = a ? a->generation : t ? t->generation : 0;
}

void fleet_path(char ret_path[FLEET_PATH_MAX], const char *cluster, const char *uid)
{
	snprintf(ret_path, FLEET_PATH_MAX, "%s/%s", cluster, uid);
}

void *fleet_copy(const ProtobufCMessage *message)
{
	_cleanup_buf_ struct cox_buf bytes = COX_BUF_INIT;
	void *copy;

	cox_buf_reserve(&bytes, protobuf_c_message_get_packed_size(message));
	bytes.len = protobuf_c_message_pack(message, (uint8_t *)bytes.ptr);
	copy = protobuf_c_message_unpack(message->descriptor, NULL, bytes.len,
					 (const uint8_t *)bytes.ptr);
	COX_ASSERT(copy);
	return copy;
}

static void message_free(void *message)
{
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
}

/* Keeps the index of who has the assignment of an application. */
static void index_entry(struct fleet_member *m, const struct fleet_entry *e, bool gone)
{
	struct hub_fleet *f = m->fleet;

	if (!gone && fleet_entry_assignment(e))
		cox_map_set(&f->assigned, e->uid, m);
	else if (cox_map_get(&f->assigned, e->uid) == m)
		cox_map_remove(&f->assigned, e->uid);
}

static void change_set(struct fleet_member *m, struct fleet_entry *e, fleet_change *change_taken)
{
	message_free(e->change);
	e->change = change_taken;
	index_entry(m, e, false);
	cox_list_remove(&e->node);
	cox_list_append(&m->order, &e->node);
}

static struct fleet_entry *entry_new(struct fleet_member *m, const char *uid)
{
	struct fleet_entry *e = cox_new(struct fleet_entry);

	e->uid = cox_strdup(uid);
	cox_list_init(&e->node);
	cox_map_set(&m->entries, uid, e);
	return e;
}

void fleet_entry_free(struct fleet_member *m, struct fleet_entry *e)
{
	index_entry(m, e, true);
	cox_map_remove(&m->entries, e->uid);
	cox_list_remove(&e->node);
	message_free(e->change);
	message_free(e->report);
	free(e->uid);
	free(e);
}

static void state_fini(struct hub_cluster_state *s)
{
	free(s->kubernetes_version);
	free(s->agent_version);
	free(s->platform);
	free(s->api_error);
	free(s->configuration_error);
}

static void member_free(void *p)
{
	struct fleet_member *m = p;

	COX_MAP_EACH (&m->entries, slot)
		fleet_entry_free(m, slot->value);
	cox_map_fini(&m->entries);
	state_fini(&m->state);
	free(m->name);
	free(m);
}

static struct fleet_member *member_make(struct hub_fleet *f, const char *cluster)
{
	struct fleet_member *m = fleet_member(f, cluster);

	if (m)
		return m;
	m = cox_new(struct fleet_member);
	m->fleet = f;
	m->name = cox_strdup(cluster);
	cox_list_init(&m->order);
	cox_map_set(&f->members, cluster, m);
	return m;
}

void hub_fleet_add(struct hub_fleet *f, const char *cluster)
{
	member_make(f, cluster);
}

void fleet_keep_position(struct hub_batch *batch, const struct fleet_member *m)
{
	_cleanup_free_ char *key = cox_asprintf("position/%s", m->name);
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, m->position);
	hub_batch_put(batch, HUB_TABLE_META, key, cox_str(number));
}

void hub_fleet_remove(struct hub_fleet *f, struct hub_batch *batch, const char *cluster)
{
	struct fleet_member *m = fleet_member(f, cluster);
	char path[FLEET_PATH_MAX];

	if (!m)
		return;
	COX_MAP_EACH (&m->entries, slot) {
		fleet_path(path, cluster, slot->key);
		hub_batch_delete(batch, HUB_TABLE_ASSIGNMENT, path);
		hub_batch_delete(batch, HUB_TABLE_REPORT, path);
	}
	/* The position stays: an agent of the old cluster must not take a new one's for its own. */
	fleet_keep_position(batch, m);
	hub_batch_delete(batch, HUB_TABLE_BINDING, cluster);
	hub_batch_delete(batch, HUB_TABLE_TOKEN, cluster);
	if (m->conn) {
		cox_rpc_conn_set_user(m->conn, NULL);
		cox_rpc_conn_close(m->conn, COX_GOAWAY_REFUSED, "the cluster was removed");
		f->n_connected--;
	}
	if (m->follow)
		cox_rpc_call_set_user(m->follow, NULL);
	cox_map_remove(&f->members, cluster);
	member_free(m);
}

const struct hub_cluster_state *hub_fleet_cluster(const struct hub_fleet *f, const char *cluster)
{
	struct fleet_member *m = fleet_member(f, cluster);

	if (!m)
		return NULL;
	m->state.enrolled = m->binding[0] != '\0';
	return &m->state;
}

size_t hub_fleet_assignments(const struct hub_fleet *f, const char *cluster)
{
	const struct fleet_member *m = fleet_member(f, cluster);
	size_t n = 0;

	if (m)
		COX_MAP_EACH (&m->entries, slot)
			n += fleet_entry_assignment(slot->value) != NULL;
	return n;
}

size_t hub_fleet_connected(const struct hub_fleet *f)
{
	return f->n_connected;
}

/* ---- desired state ---- */

const hub_assignment *hub_fleet_assignment(const struct hub_fleet *f, const char *cluster,
					   const char *app_uid)
{
	return fleet_entry_assignment(fleet_entry(fleet_member(f, cluster), app_uid));
}

const hub_tombstone *hub_fleet_tombstone(const struct hub_fleet *f, const char *cluster,
					 const char *app_uid)
{
	return fleet_entry_tombstone(fleet_entry(fleet_member(f, cluster), app_uid));
}

const char *hub_fleet_cluster_of(const struct hub_fleet *f, const char *app_uid)
{
	const struct fleet_member *m = cox_map_get(&f->assigned, app_uid);

	return m ? m->name : NULL;
}

void hub_fleet_each_of(const struct hub_fleet *f, const char *cluster,
		       void (*fn)(void *ctx, const char *cluster, const hub_assignment *a,
				  const hub_tombstone *t),
		       void *ctx)
{
	struct fleet_member *m = fleet_member(f, cluster);

	if (!m)
		return;
	COX_MAP_EACH (&m->entries, e)
		fn(ctx, m->name, fleet_entry_assignment(e->value), fleet_entry_tombstone(e->value));
}

void hub_fleet_each(const struct hub_fleet *f,
		    void (*fn)(void *ctx, const char *cluster, const hub_assignment *a,
			       const hub_tombstone *t),
		    void *ctx)
{
	COX_MAP_EACH (&f->members, slot)
		hub_fleet_each_of(f, slot->key, fn, ctx);
}

/* Once a batch with a change is on the disk, the change may go out. */
struct durable {
	struct hub_fleet *fleet;
	uint64_t position;
	char cluster[];
};

static void on_durable(void *arg)
{
	struct durable *d = arg;
	struct fleet_member *m = fleet_member(d->fleet, d->cluster);

	if (!m || d->position <= m->durable)
		return;
	m->durable = d->position;
	fleet_push(m);
}

static void keep(struct fleet_member *m, struct hub_batch *batch, struct fleet_entry *e)
{
	_cleanup_buf_ struct cox_buf bytes = COX_BUF_INIT;
	struct durable *d = cox_calloc(1, sizeof(*d) + strlen(m->name) + 1);
	char path[FLEET_PATH_MAX];

	fleet_path(path, m->name, e->uid);
	cox_buf_reserve(&bytes, coxswain__assignment__v1__change__get_packed_size(e->change));
	bytes.len = coxswain__assignment__v1__change__pack(e->change, (uint8_t *)bytes.ptr);
	hub_batch_put(batch, HUB_TABLE_ASSIGNMENT, path, cox_buf_str(&bytes));
	d->fleet = m->fleet;
	d->position = e->change->position;
	memcpy(d->cluster, m->name, strlen(m->name) + 1);
	hub_batch_after(batch, on_durable, d, free);
}

static bool says_the_same(const hub_assignment *have, const hub_assignment *want)
{
	_cleanup_buf_ struct cox_buf a = COX_BUF_INIT, b = COX_BUF_INIT;
	hub_assignment x = *have, y = *want;

	x.epoch = y.epoch = x.generation = y.generation = 0;
	cox_buf_reserve(&a, protobuf_c_message_get_packed_size(&x.base));
	a.len = protobuf_c_message_pack(&x.base, (uint8_t *)a.ptr);
	cox_buf_reserve(&b, protobuf_c_message_get_packed_size(&y.base));
	b.len = protobuf_c_message_pack(&y.base, (uint8_t *)b.ptr);
	return cox_str_eq(cox_buf_str(&a), cox_buf_str(&b));
}

int hub_fleet_assign(struct hub_fleet *f, struct hub_batch *batch, const char *cluster,
		     const hub_assignment *want)
{
	struct fleet_member *m = fleet_member(f, cluster);
	struct fleet_entry *e = fleet_entry(m, want->app_uid);
	const hub_assignment *have = fleet_entry_assignment(e);
	fleet_change change = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT;
	hub_assignment next = *want;
	uint64_t epoch = 0, generation = 0;

	COX_ASSERT(m);
	if (have && says_the_same(have, want))
		return 0;
	if (!e) {
		e = entry_new(m, want->app_uid);
		/* It may have been here before: no generation of that was above the position. */
		generation = m->position;
	} else {
		fleet_entry_order(e, &epoch, &generation);
	}
	next.epoch = hub_store_epoch(f->store);
	next.generation = generation + 1;
	change.position = ++m->position;
	change.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT;
	change.assignment = &next;
	change_set(m, e, fleet_copy(&change.base));
	keep(m, batch, e);
	return 1;
}

int hub_fleet_bury(struct hub_fleet *f, struct hub_batch *batch, const char *cluster,
		   const char *app_uid, bool cascade,
		   Coxswain__Assignment__V1__Propagation propagation, bool approved)
{
	struct fleet_member *m = fleet_member(f, cluster);
	struct fleet_entry *e = fleet_entry(m, app_uid);
	const hub_assignment *a = fleet_entry_assignment(e);
	const hub_tombstone *old = fleet_entry_tombstone(e);
	fleet_change change = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT;
	hub_tombstone t = COXSWAIN__ASSIGNMENT__V1__TOMBSTONE__INIT;

	if (!a && !old)
		return 0;
	if (old && old->cascade == cascade && old->propagation == propagation &&
	    old->deletion_approved == approved)
		return 1;
	t.app_uid = (char *)app_uid;
	t.app_name = a ? a->app_name : old->app_name;
	t.app_namespace = a ? a->app_namespace : old->app_namespace;
	t.epoch = hub_store_epoch(f->store);
	t.generation = (a ? a->generation : old->generation) + 1;
	t.cascade = cascade;
	t.propagation = propagation;
	t.hooks_digest = a ? a->sync_digest : old->hooks_digest;
	t.instance = a ? a->instance : old->instance;
	t.destination_namespace = a ? a->destination_namespace : old->destination_namespace;
	t.project_rules = a ? a->project_rules : old->project_rules;
	t.sync_revision = a ? a->sync_revision : old->sync_revision;
	t.deletion_approved = approved;
	t.sync_options = !a ? old->sync_options : a->policy ? a->policy->sync_options : NULL;
	t.n_sync_options = !a ? old->n_sync_options : a->policy ? a->policy->n_sync_options : 0;
	change.position = ++m->position;
	change.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE;
	change.tombstone = &t;
	change_set(m, e, fleet_copy(&change.base));
	keep(m, batch, e);
	return 1;
}

const hub_report *hub_fleet_last_report(const struct hub_fleet *f, const char *cluster,
					const char *app_uid)
{
	struct fleet_entry *e = fleet_entry(fleet_member(f, cluster), app_uid);

	return e ? e->report : NULL;
}

const hub_report *hub_fleet_report(const struct hub_fleet *f, const char *cluster,
				   const char *app_uid)
{
	const hub_report *r = hub_fleet_last_report(f, cluster, app_uid);
	const hub_assignment *a = hub_fleet_assignment(f, cluster, app_uid);

	return r && a && r->epoch == a->epoch && r->generation == a->generation ? r : NULL;
}

/* ---- sessions ---- */

static void notice_copy(struct fleet_member *m, const struct cox_rpc_peer *peer)
{
	if (cox_streq(m->boot, peer->boot_id))
		return;
	if (m->boot[0] && cox_streq(m->other_boot, peer->boot_id))
		cox_log_warn("two agents take turns with this cluster's identity: one of them runs "
			     "on a copy of the other's state; stop it",
			     COX_KV("cluster", m->name), COX_KV("from", peer->address));
	snprintf(m->other_boot, sizeof(m->other_boot), "%s", m->boot);
	snprintf(m->boot, sizeof(m->boot), "%s", peer->boot_id);
}

static void on_up(void *ctx, struct cox_rpc_conn *conn)
{
	struct hub_fleet *f = ctx;
	const struct cox_rpc_peer *peer = cox_rpc_conn_peer(conn);
	struct fleet_member *m = fleet_identify(f, peer->tls.uri);

	if (!m) {
		cox_rpc_conn_close(conn, COX_GOAWAY_REFUSED, "the cluster was removed");
		return;
	}
	/* The newest session wins; what the old one still says is not listened to. */
	if (m->conn) {
		cox_rpc_conn_set_user(m->conn, NULL);
		cox_rpc_conn_close(m->conn, COX_GOAWAY_DUPLICATE,
				   "a newer connection of this cluster took over");
	} else {
		f->n_connected++;
	}
	if (m->follow)
		cox_rpc_call_set_user(m->follow, NULL);
	m->follow = m->reports = NULL;
	m->live = false;
	m->conn = conn;
	cox_rpc_conn_set_user(conn, m);
	m->state.connected = true;
	m->state.n_connections++;
	m->state.since_ms = m->state.last_seen_ms = cox_clock_wall_ms();
	m->state.higher_epoch =
		peer->highest_epoch > hub_store_epoch(f->store) ? peer->highest_epoch : 0;
	if (m->state.higher_epoch)
		cox_log_error("an agent has seen a higher epoch than this hub's: if this state was "
			      "restored from a copy, start the hub once with --restored",
			      COX_KV("cluster", m->name),
			      COX_KV_INT("agent", (int64_t)peer->highest_epoch),
			      COX_KV_INT("hub", (int64_t)hub_store_epoch(f->store)));
	notice_copy(m, peer);
	cox_log_info("agent connected", COX_KV("cluster", m->name), COX_KV("from", peer->address),
		     COX_KV("version", peer->software_version));
	f->events.on_cluster(f->ctx, m->name);
}

static void on_down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	struct hub_fleet *f = ctx;
	struct fleet_member *m = cox_rpc_conn_user(conn);

	if (!m || m->conn != conn)
		return;
	m->conn = NULL;
	m->follow = m->reports = NULL;
	m->live = false;
	f->n_connected--;
	m->state.connected = false;
	m->state.since_ms = m->state.last_seen_ms = cox_clock_wall_ms();
	cox_log_info("agent gone", COX_KV("cluster", m->name), COX_KV_ERROR(&why->error));
	f->events.on_cluster(f->ctx, m->name);
}

static void refreshed(void *user, const struct cox_rpc_status *status,
		      const ProtobufCMessage *response)
{
	(void)user;
	(void)status;
	(void)response;
}

void hub_fleet_refresh(struct hub_fleet *f, const char *cluster, const char *app_uid)
{
	struct fleet_member *m = fleet_member(f, cluster);
	Coxswain__Agent__V1__RefreshRequest request = COXSWAIN__AGENT__V1__REFRESH_REQUEST__INIT;
	struct cox_rpc_call_options options = {
		.kind = COX_RPC_UNARY, .lane = COX_LANE_CONTROL, .deadline_ms = 10000};

	if (!m || !m->conn || !cox_rpc_conn_is_open(m->conn))
		return;
	request.app_uid = (char *)app_uid;
	/* A hint: an agent that misses it compares at its next occasion. */
	cox_rpc_call_unary(m->conn, &coxswain__agent__v1__agent__descriptor, "Refresh", &options,
			   &request.base, refreshed, NULL, NULL, NULL);
}

/* ---- configuration ---- */

struct configuring {
	struct hub_fleet *fleet;
	struct cox_buf body;
};

static void configure(void *arg)
{
	struct configuring *q = arg;
	struct hub_fleet *f = q->fleet;
	uint8_t digest[COX_SHA256_BYTES];

	cox_sha256(cox_buf_str(&q->body), digest);
	if (memcmp(digest, f->configuration_digest, sizeof(digest)) == 0)
		return;
	memcpy(f->configuration_digest, digest, sizeof(digest));
	cox_buf_fini(&f->configuration);
	f->configuration = q->body;
	q->body = COX_BUF_INIT;
	COX_MAP_EACH (&f->members, slot) {
		struct fleet_member *m = slot->value;

		/* until it says so */
		m->state.configured = false;
		fleet_push_configuration(m);
	}
}

static void configuring_free(void *arg)
{
	struct configuring *q = arg;

	cox_buf_fini(&q->body);
	free(q);
}

void hub_fleet_configure(struct hub_fleet *f, struct hub_batch *batch, struct cox_str body)
{
	struct configuring *q = cox_new(struct configuring);

	q->fleet = f;
	cox_buf_puts_str(&q->body, body);
	if (batch) {
		hub_batch_after(batch, configure, q, configuring_free);
		return;
	}
	configure(q);
	configuring_free(q);
}

/* ---- questions to an agent ---- */

#define DIFF_MS	   (60 * 1000)
#define FRAME_ROOM (64 << 10) /* of a message, beside the objects */

struct question {
	hub_fleet_diff_done *done;
	void *arg;
	bool framed;
};

static int failure_of(const struct question *q, const struct cox_rpc_status *status,
		      const Coxswain__Agent__V1__DiffResponse *response, struct cox_error *err)
{
	bool old = status->code == COX_UNIMPLEMENTED ||
		   (status->code == COX_OK && q->framed && !response->framed);

	if (old)
		return cox_error(err, COX_UNIMPLEMENTED,
				 "the cluster's agent: it is older than this, and cannot say");
	if (status->code != COX_OK)
		return cox_error(err, status->code, "the cluster's agent: %s", status->message);
	return 0;
}

static void diff_done(void *user, const struct cox_rpc_status *status,
		      const ProtobufCMessage *message)
{
	const Coxswain__Agent__V1__DiffResponse *response =
		(const Coxswain__Agent__V1__DiffResponse *)message;
	struct question *q = user;
	struct cox_error err = COX_ERROR_INIT;

	q->done(q->arg, failure_of(q, status, response, &err) == 0 ? response : NULL, &err);
	free(q);
}

static ProtobufCBinaryData data_of(const void *data, size_t n)
{
	return (ProtobufCBinaryData){.data = (uint8_t *)data, .len = data ? n : 0};
}

int hub_fleet_diff(struct hub_fleet *f, const char *cluster,
		   const struct hub_fleet_question *question, hub_fleet_diff_done *done, void *arg,
		   struct cox_error *err)
{
	struct fleet_member *m = fleet_member(f, cluster);
	Coxswain__Agent__V1__DiffRequest request = COXSWAIN__AGENT__V1__DIFF_REQUEST__INIT;
	struct cox_rpc_call_options options = {
		.kind = COX_RPC_UNARY,
		.lane = COX_LANE_BULK,
		.deadline_ms = question->deadline_ms ? question->deadline_ms : DIFF_MS};
	struct question *q;
	int r;

	if (!m || !m->conn || !cox_rpc_conn_is_open(m->conn))
		return cox_error(err, COX_UNAVAILABLE,
				 "the agent of cluster '%s' is not connected: nobody can say how "
				 "its objects are",
				 cluster);
	if (question->objects.len > COX_LIMIT_MESSAGE_BYTES - FRAME_ROOM)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "these manifests are too large to be sent to the agent: %zu bytes",
				 question->objects.len);
	q = cox_new(struct question);
	q->done = done;
	q->arg = arg;
	q->framed = question->frame != NULL;
	request.app_uid = (char *)question->app_uid;
	request.objects = data_of(question->objects.ptr, question->objects.len);
	request.digest = data_of(question->digest, HUB_DIGEST_BYTES);
	request.frame = (Coxswain__Agent__V1__Frame *)question->frame;
	r = cox_rpc_call_unary(m->conn, &coxswain__agent__v1__agent__descriptor, "Diff", &options,
			       &request.base, diff_done, q, NULL, err);
	if (r < 0)
		free(q);
	return r;
}

/* ---- start and end ---- */

static int load_change(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	struct hub_fleet *f = ctx;
	const char *slash = strchr(key, '/');
	_cleanup_free_ char *cluster = slash ? cox_strndup(key, (size_t)(slash - key)) : NULL;
	fleet_change *change =
		coxswain__assignment__v1__change__unpack(NULL, body.len, (const uint8_t *)body.ptr);
	struct fleet_member *m;

	if (!change || !cluster) {
		message_free(change);
		return cox_error(err, COX_DATA_LOSS, "a kept assignment is damaged: '%s'", key);
	}
	m = member_make(f, cluster);
	change_set(m, entry_new(m, slash + 1), change);
	if (change->position > m->position)
		m->position = change->position;
	return 0;
}

static int load_position(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	struct hub_fleet *f = ctx;
	_cleanup_free_ char *number = cox_str_dup(body);
	uint64_t position = strtoull(number, NULL, 10);
	struct fleet_member *m;

	(void)err;
	if (strncmp(key, "position/", 9) != 0)
		return 0;
	m = member_make(f, key + 9);
	if (position > m->position)
		m->position = position;
	return 0;
}

static int by_position(const void *a, const void *b)
{
	const struct fleet_entry *x = *(struct fleet_entry *const *)a;
	const struct fleet_entry *y = *(struct fleet_entry *const *)b;

	return (x->change->position > y->change->position) -
	       (x->change->position < y->change->position);
}

static void put_in_order(struct fleet_member *m)
{
	COX_VEC(struct fleet_entry *) all = {0};

	COX_MAP_EACH (&m->entries, slot)
		cox_vec_push(&all, (struct fleet_entry *)slot->value);
	cox_vec_sort(&all, by_position);
	COX_VEC_EACH (&all, e) {
		cox_list_remove(&(*e)->node);
		cox_list_append(&m->order, &(*e)->node);
	}
	cox_vec_fini(&all);
	m->durable = m->position;
}

static int load(struct hub_fleet *f, struct cox_error *err)
{
	int r = hub_store_each(f->store, HUB_TABLE_ASSIGNMENT, load_change, f, err);

	if (r == 0)
		r = hub_store_each(f->store, HUB_TABLE_META, load_position, f, err);
	if (r == 0)
		r = fleet_tokens_load(f, err);
	if (r == 0)
		r = fleet_reports_load(f, err);
	if (r < 0)
		return r;
	COX_MAP_EACH (&f->members, slot)
		put_in_order(slot->value);
	return 0;
}

/* An agent that was rid of the application since the copy was made counts its reports from 1 again. */
static void forget_report(struct fleet_member *m, struct hub_batch *batch, struct fleet_entry *e)
{
	char path[FLEET_PATH_MAX];

	fleet_path(path, m->name, e->uid);
	hub_batch_delete(batch, HUB_TABLE_REPORT, path);
	message_free(e->report);
	e->report = NULL;
	e->boot[0] = '\0';
}

/* An older copy of the state: agents may have seen later generations of this epoch. Everything is
 * said again in the new one, which wins over whatever they saw. A hub that died before that was durable
 * finds what it has still to say by the epoch. */
static void restamp(struct hub_fleet *f)
{
	struct hub_batch *batch = hub_batch_new();

	COX_MAP_EACH (&f->members, slot) {
		struct fleet_member *m = slot->value;

		COX_MAP_EACH (&m->entries, slot_of) {
			struct fleet_entry *e = slot_of->value;
			fleet_change *change;
			uint64_t epoch, generation;

			fleet_entry_order(e, &epoch, &generation);
			if (epoch == hub_store_epoch(f->store))
				continue;
			change = fleet_copy(&e->change->base);
			if (fleet_entry_assignment(e)) {
				change->assignment->epoch = hub_store_epoch(f->store);
				change->assignment->generation++;
			} else {
				change->tombstone->epoch = hub_store_epoch(f->store);
				change->tombstone->generation++;
			}
			change->position = ++m->position;
			change_set(m, e, change);
			keep(m, batch, e);
			forget_report(m, batch, e);
		}
	}
	hub_store_commit(f->store, batch);
}

static const struct cox_rpc_service *const services[] = {
	&fleet_assignments_service, &fleet_bundles_service, &fleet_reports_service};

static int serve(struct hub_fleet *f, struct cox_error *err)
{
	static const struct cox_rpc_server_events events = {.authorize = fleet_authorize,
							    .on_up = on_up,
							    .on_down = on_down,
							    .on_enrol = fleet_enrol};
	COX_CLEANUP(cox_tls_context_unref_p) struct cox_tls_context *tls = NULL;
	int r = fleet_pki_tls(f, &tls, err);

	if (r < 0)
		return r;
	cox_uuid_new(f->boot);
	f->endpoint = (struct cox_rpc_endpoint){
		.loop = f->loop,
		.services = services,
		.n_services = COX_ARRAY_LEN(services),
		.software_version = COX_VERSION,
		.instance_uuid = hub_store_instance(f->store),
		.boot_id = f->boot,
		.highest_epoch = hub_store_epoch(f->store),
	};
	r = cox_rpc_server_new(
		&f->endpoint,
		&(struct cox_rpc_server_options){
			.listen = f->options.listen,
			.tls = tls,
			.max_pending_per_address = f->options.max_pending_per_address,
			.max_waiting = MAX_WAITING,
			.enrol_interval_ms = f->options.enrol_interval_ms,
			.enrol_burst =
				f->options.enrol_burst ? f->options.enrol_burst : ENROL_BURST},
		&events, f, &f->server, err);
	if (r < 0)
		return r;
	f->address = cox_strdup(cox_rpc_server_address(f->server));
	return 0;
}

int hub_fleet_new(const struct hub_fleet_options *options, const struct hub_fleet_events *events,
		  void *ctx, struct hub_fleet **ret_fleet, struct cox_error *err)
{
	struct hub_fleet *f = cox_new(struct hub_fleet);
	int r;

	f->options = *options;
	f->events = *events;
	f->ctx = ctx;
	f->loop = options->loop;
	f->store = options->store;
	cox_list_init(&f->cache);
	cox_task_init(&f->flush, fleet_flush_reports, f);
	cox_sha256(COX_STR(""), f->configuration_digest);
	r = load(f, err);
	if (r == 0)
		restamp(f);
	if (r == 0)
		r = fleet_pki_load(f, err);
	if (r == 0)
		r = serve(f, err);
	if (r < 0) {
		hub_fleet_free(f);
		return r;
	}
	*ret_fleet = f;
	return 0;
}

static void stopped(void *arg)
{
	struct hub_fleet *f = arg;

	f->server = NULL;
	f->on_stopped(f->stopped_arg);
}

void hub_fleet_stop(struct hub_fleet *f, void (*on_stopped)(void *arg), void *arg)
{
	f->on_stopped = on_stopped;
	f->stopped_arg = arg;
	if (f->reports)
		fleet_flush_reports(f);
	cox_rpc_server_stop(f->server, 0, stopped, f);
}

void hub_fleet_free(struct hub_fleet *f)
{
	if (!f)
		return;
	cox_loop_unsend(f->loop, &f->flush);
	hub_batch_free(f->reports);
	cox_map_fini_values(&f->members, member_free);
	cox_map_fini(&f->assigned);
	fleet_cache_fini(f);
	cox_buf_fini(&f->configuration);
	cox_key_free(f->hub_key);
	cox_key_free(f->agents_key);
	cox_cert_free(f->hub_ca);
	cox_cert_free(f->agents_ca);
	free(f->hub_ca_pem);
	free(f->trust_domain);
	free(f->address);
	free(f);
}

const char *hub_fleet_address(const struct hub_fleet *f)
{
	return f->address;
}

const char *hub_fleet_ca_pin(const struct hub_fleet *f)
{
	return f->pin;
}

const char *hub_fleet_ca(const struct hub_fleet *f)
{
	return f->hub_ca_pem;
}

void hub_fleet_stats(const struct hub_fleet *f, struct hub_fleet_stats *ret_stats)
{
	*ret_stats = f->stats;
}
