#include "fixture.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/crypto/pki.h"
#include "common/ctl/stamp.h"
#include "proto/agent.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_MS 20000

/* ---- the hub ---- */

static void on_broken(void *ctx, const struct cox_error *err)
{
	print_error("the store broke: %s\n", err->message);
	((struct site *)ctx)->broken = true;
}

void site_init(struct site *s)
{
	char dir[] = "/tmp/coxswain-test-XXXXXX";

	*s = (struct site){0};
	s->dir = cox_strdup(mkdtemp(dir));
	assert_int_equal(cox_loop_new(&s->loop, NULL), 0);
	assert_int_equal(cox_pool_new(s->loop, NULL, &s->pool, NULL), 0);
}

void site_start(struct site *s)
{
	struct cox_error err = COX_ERROR_INIT;
	struct hub_store_options store = {
		.dir = s->dir, .restored = s->restored, .on_broken = on_broken, .ctx = s};

	if (hub_store_open(s->loop, &store, &s->store, &err) < 0)
		fail_msg("%s", err.message);
	if (hub_control_new(&(struct hub_control_options){.loop = s->loop,
							  .store = s->store,
							  .in_cluster = s->in_cluster,
							  .allow_file_repos = true,
							  .poll_ms = 3600 * 1000,
							  .clock_skew_ms = s->clock_skew_ms,
							  .agents_grace_ms = s->agents_grace_ms,
							  .fleet = {.listen = "127.0.0.1:0",
								    .enrol_interval_ms = 1}},
			    &s->control, &err) < 0)
		fail_msg("%s", err.message);
}

static void stopped(void *arg)
{
	((struct site *)arg)->stopped = true;
}

static bool is_true(void *arg)
{
	return *(bool *)arg;
}

void site_wait(struct site *s, bool (*is)(void *arg), void *arg)
{
	struct cox_error err = COX_ERROR_INIT;

	if (!is(arg) && cox_loop_wait(s->loop, is, arg, PATIENCE_MS, &err) < 0)
		fail_msg("gave up waiting: %s", err.message);
}

void site_stop(struct site *s)
{
	s->stopped = false;
	hub_control_stop(s->control, stopped, s);
	site_wait(s, is_true, &s->stopped);
	hub_control_free(TAKE(s->control));
	hub_store_free(TAKE(s->store));
}

void site_fini(struct site *s)
{
	_cleanup_free_ char *command = cox_asprintf("rm -rf '%s'", s->dir);

	if (s->control)
		site_stop(s);
	cox_pool_free(s->pool);
	cox_loop_free(s->loop);
	assert_int_equal(system(command), 0);
	free(s->dir);
	repos_clear();
}

static void settled(void *arg)
{
	*(bool *)arg = true;
}

/* A batch goes through the store, twice: what was under way has been answered. */
void site_settle(struct site *s)
{
	for (int i = 0; i < 3; i++) {
		struct hub_batch *batch = hub_batch_new();
		bool done = false;

		hub_batch_after(batch, settled, &done, NULL);
		hub_store_commit(s->store, batch);
		site_wait(s, is_true, &done);
	}
}

int site_try_apply(struct site *s, const char *yaml, struct cox_error *err)
{
	_cleanup_docs_ cox_docs docs = {0};
	struct hub_batch *batch = hub_batch_new();
	int r = cox_yaml_read_all(cox_str(yaml), "test", NULL, &docs, err);

	for (size_t i = 0; r == 0 && i < docs.n; i++) {
		enum hub_applied applied;

		r = hub_control_apply(s->control, batch, docs.items[i], &applied, err);
	}
	hub_store_commit(s->store, batch);
	return r;
}

void site_apply(struct site *s, const char *yaml)
{
	struct cox_error err = COX_ERROR_INIT;

	if (site_try_apply(s, yaml, &err) < 0)
		fail_msg("%s", err.message);
}

char *site_status(struct site *s, const char *app, const char *first, const char *second)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	if (hub_control_get(s->control, HUB_APPLICATION, NULL, app, &doc, NULL) < 0)
		return cox_strdup("");
	return cox_str_dup(cox_node_text(COX_GET(cox_doc_root(doc), "status", first, second)));
}

char *site_condition(struct site *s, const char *app, const char *type)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *list;

	if (hub_control_get(s->control, HUB_APPLICATION, NULL, app, &doc, NULL) < 0)
		return NULL;
	list = COX_GET(cox_doc_root(doc), "status", "conditions");
	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_str_is(cox_node_str(cox_node_get(cox_node_at(list, i), "type")), type))
			return cox_str_dup(
				cox_node_str(cox_node_get(cox_node_at(list, i), "message")));
	return NULL;
}

struct wanted {
	struct site *site;
	const char *app, *sync, *health, *revision, *type, *word;
};

static bool status_is(void *arg)
{
	struct wanted *w = arg;
	_cleanup_free_ char *sync = site_status(w->site, w->app, "sync", "status");
	_cleanup_free_ char *health = site_status(w->site, w->app, "health", "status");
	_cleanup_free_ char *revision = site_status(w->site, w->app, "sync", "revision");

	return (!w->sync || strcmp(sync, w->sync) == 0) &&
	       (!w->health || strcmp(health, w->health) == 0) &&
	       (!w->revision || strcmp(revision, w->revision) == 0);
}

static bool condition_is(void *arg)
{
	struct wanted *w = arg;
	_cleanup_free_ char *text = site_condition(w->site, w->app, w->type);

	return w->word ? text && strstr(text, w->word) : text == NULL;
}

static void explain(struct site *s, const char *app)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (hub_control_get(s->control, HUB_APPLICATION, NULL, app, &doc, NULL) == 0)
		cox_yaml_write(&text, cox_node_get(cox_doc_root(doc), "status"));
	print_error("status of %s:\n%s\n", app, cox_buf_cstr(&text));
}

static void wait_or_explain(struct wanted *w, bool (*is)(void *arg))
{
	struct cox_error err = COX_ERROR_INIT;

	if (is(w) || cox_loop_wait(w->site->loop, is, w, PATIENCE_MS, &err) == 0)
		return;
	explain(w->site, w->app);
	fail_msg("gave up waiting for %s to be %s %s at %s, %s ~ %s", w->app, w->sync, w->health,
		 w->revision, w->type, w->word);
}

void site_wait_status(struct site *s, const char *app, const char *sync, const char *health,
		      const char *revision)
{
	wait_or_explain(&(struct wanted){.site = s,
					 .app = app,
					 .sync = sync,
					 .health = health,
					 .revision = revision},
			status_is);
}

void site_wait_condition(struct site *s, const char *app, const char *type, const char *word)
{
	wait_or_explain(&(struct wanted){.site = s, .app = app, .type = type, .word = word},
			condition_is);
}

struct token {
	char text[COX_TOKEN_TEXT];
	bool done;
};

static void token_durable(void *arg)
{
	((struct token *)arg)->done = true;
}

char *site_token(struct site *s, const char *cluster)
{
	struct token t = {0};
	struct hub_batch *batch = hub_batch_new();
	struct cox_error err = COX_ERROR_INIT;
	int64_t expires;

	if (hub_fleet_token(hub_control_fleet(s->control), batch, cluster, 60000, t.text, &expires,
			    &err) < 0)
		fail_msg("%s", err.message);
	hub_batch_after(batch, token_durable, &t, NULL);
	hub_store_commit(s->store, batch);
	site_wait(s, is_true, &t.done);
	return cox_strdup(t.text);
}

/* ---- agents ---- */

static void told_free(void *p)
{
	struct told *t = p;

	free(t->app);
	free(t->digest);
	coxswain__assignment__v1__change__free_unpacked(t->change, NULL);
	free(t);
}

void agent_init(struct agent *a, struct site *s, const char *cluster)
{
	*a = (struct agent){.site = s, .cluster = cox_strdup(cluster)};
	cox_uuid_new(a->boot);
}

void agent_forget(struct agent *a)
{
	cox_map_fini_values(&a->told, told_free);
}

void agent_fini(struct agent *a)
{
	cox_buf_fini(&a->configuration);
	cox_buf_fini(&a->tree);
	if (a->conn)
		agent_disconnect(a);
	cox_map_fini_values(&a->told, told_free);
	cox_buf_fini(&a->chain);
	cox_buf_fini(&a->key);
	cox_buf_fini(&a->hub_ca);
	cox_buf_fini(&a->log);
	cox_vec_fini(&a->asked);
	free(a->cluster);
}

static void enrolled(void *ctx, const struct cox_rpc_status *status,
		     const Coxswain__Enrol__V1__EnrolResponse *response)
{
	struct agent *a = ctx;

	a->joined = status->code == COX_OK;
	a->refused = !a->joined;
	if (!response)
		return;
	cox_buf_add(&a->chain, response->certificate_chain.data, response->certificate_chain.len);
	cox_buf_add(&a->hub_ca, response->hub_ca.data, response->hub_ca.len);
}

static bool has_answer(void *arg)
{
	struct agent *a = arg;

	return a->joined || a->refused;
}

void agent_join(struct agent *a, const char *token)
{
	struct hub_fleet *fleet = hub_control_fleet(a->site->control);
	COX_CLEANUP(cox_key_free_p) struct cox_key *key = NULL;
	COX_CLEANUP(cox_tls_context_unref_p) struct cox_tls_context *tls = NULL;
	_cleanup_buf_ struct cox_buf csr = COX_BUF_INIT;
	Coxswain__Enrol__V1__EnrolRequest request = COXSWAIN__ENROL__V1__ENROL_REQUEST__INIT;
	uint8_t pin[COX_SHA256_BYTES];
	struct cox_error err = COX_ERROR_INIT;

	a->joined = a->refused = false;
	cox_buf_clear(&a->chain);
	cox_buf_clear(&a->key);
	cox_buf_clear(&a->hub_ca);
	assert_int_equal(cox_key_generate(&key, NULL), 0);
	cox_key_to_pem(key, &a->key);
	assert_int_equal(cox_csr_create(key, a->cluster, &csr, NULL), 0);
	assert_int_equal(cox_hex_decode(cox_str(hub_fleet_ca_pin(fleet)), pin, sizeof(pin), NULL),
			 0);
	if (cox_tls_client_new(
		    &(struct cox_tls_client_options){.alpn = COX_ALPN_ENROL, .ca_pin = pin}, &tls,
		    &err) < 0)
		fail_msg("%s", err.message);
	request.cluster = a->cluster;
	request.token = (char *)token;
	request.certificate_request.data = (uint8_t *)csr.ptr;
	request.certificate_request.len = csr.len;
	request.cluster_uid = (char *)"11111111-2222-3333-4444-555555555555";
	if (cox_rpc_enrol(a->site->loop,
			  &(struct cox_rpc_dial_options){.address = hub_fleet_address(fleet),
							 .tls = tls,
							 .pool = a->site->pool},
			  &request, enrolled, a, &err) < 0)
		fail_msg("%s", err.message);
	site_wait(a->site, has_answer, a);
}

/* ---- what an agent was told, and what it says ---- */

struct told *agent_told(struct agent *a, const char *app)
{
	COX_MAP_EACH (&a->told, slot) {
		struct told *t = slot->value;

		if (strcmp(t->app, app) == 0)
			return t;
	}
	return NULL;
}

static int health_of(const char *name)
{
	return !name			       ? COXSWAIN__REPORT__V1__HEALTH__HEALTHY
	       : strcmp(name, "Degraded") == 0 ? COXSWAIN__REPORT__V1__HEALTH__DEGRADED
					       : COXSWAIN__REPORT__V1__HEALTH__PROGRESSING;
}

static void report_one(struct agent *a, struct told *t)
{
	Coxswain__Report__V1__ReportRequest request = COXSWAIN__REPORT__V1__REPORT_REQUEST__INIT;
	Coxswain__Report__V1__ApplicationReport r = COXSWAIN__REPORT__V1__APPLICATION_REPORT__INIT;
	Coxswain__Report__V1__OperationState op = COXSWAIN__REPORT__V1__OPERATION_STATE__INIT;
	Coxswain__Report__V1__ResourceKey keys[2] = {COXSWAIN__REPORT__V1__RESOURCE_KEY__INIT,
						     COXSWAIN__REPORT__V1__RESOURCE_KEY__INIT};
	Coxswain__Report__V1__ResourceStatus statuses[2] =
		{COXSWAIN__REPORT__V1__RESOURCE_STATUS__INIT,
		 COXSWAIN__REPORT__V1__RESOURCE_STATUS__INIT},
					     *resources[] = {&statuses[0], &statuses[1]};
	const Coxswain__Assignment__V1__Assignment *x = t->change->assignment;
	const Coxswain__Assignment__V1__Tombstone *dead = t->change->tombstone;

	request.body_case = COXSWAIN__REPORT__V1__REPORT_REQUEST__BODY_APPLICATION;
	request.application = &r;
	r.sequence = t->reported = ++a->sequence;
	r.full = true;
	if (t->tombstone) {
		r.app_uid = dead->app_uid;
		r.epoch = dead->epoch;
		r.generation = dead->generation;
		r.deleted = true;
	} else {
		r.app_uid = x->app_uid;
		r.epoch = x->epoch;
		r.generation = x->generation;
		r.target_digest = x->target_digest;
		r.sync_digest = x->sync_digest;
		r.sync = x->target_digest.len == x->sync_digest.len &&
					 memcmp(x->target_digest.data, x->sync_digest.data,
						x->sync_digest.len) == 0
				 ? COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED
				 : COXSWAIN__REPORT__V1__SYNC_STATUS__OUT_OF_SYNC;
		r.assigned_sync = COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED;
		r.health = health_of(a->health);
		r.well_ms = a->health ? 0 : a->well_ms;
		if (a->ill) {
			for (int i = 0; i < 2; i++) {
				keys[i].kind = (char *)(i ? "Deployment" : "ConfigMap");
				keys[i].namespace_ = (char *)"shop";
				keys[i].name = (char *)(i ? a->ill : "settings");
				statuses[i].key = &keys[i];
				statuses[i].sync = COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED;
			}
			statuses[1].health = health_of(a->health);
			r.resources = resources;
			r.n_resources = 2;
		}
		op.id = x->operation ? x->operation->id : (char *)"";
		op.initiated_by = (char *)(x->operation ? x->operation->initiated_by : "automated");
		op.phase = a->phase ? COXSWAIN__REPORT__V1__PHASE__FAILED
				    : COXSWAIN__REPORT__V1__PHASE__SUCCEEDED;
		op.message = (char *)(a->phase ? a->phase : "");
		op.digest = x->sync_digest;
		if (x->operation)
			r.operation = &op;
		r.tree.data = (uint8_t *)a->tree.ptr;
		r.tree.len = a->tree.len;
	}
	cox_rpc_call_send(a->reports, &request.base, NULL);
}

void agent_report(struct agent *a)
{
	COX_MAP_EACH (&a->told, slot) {
		struct told *t = slot->value;

		if (t->tombstone || t->change->assignment->sync_digest.len)
			report_one(a, t);
	}
}

static void ack(struct agent *a)
{
	Coxswain__Assignment__V1__FollowRequest request =
		COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__INIT;
	Coxswain__Assignment__V1__Ack body = COXSWAIN__ASSIGNMENT__V1__ACK__INIT;

	body.position = a->position;
	request.body_case = COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__BODY_ACK;
	request.ack = &body;
	cox_rpc_call_send(a->follow, &request.base, NULL);
}

static void tell(struct agent *a, const Coxswain__Assignment__V1__Change *change)
{
	struct told *t = cox_new(struct told);
	_cleanup_buf_ struct cox_buf bytes = COX_BUF_INIT;
	char hex[65] = "";
	void *old;

	cox_buf_reserve(&bytes, coxswain__assignment__v1__change__get_packed_size(change));
	bytes.len = coxswain__assignment__v1__change__pack(change, (uint8_t *)bytes.ptr);
	t->change = coxswain__assignment__v1__change__unpack(NULL, bytes.len,
							     (const uint8_t *)bytes.ptr);
	t->tombstone = change->body_case == COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE;
	if (t->tombstone) {
		t->app = cox_strdup(change->tombstone->app_name);
		old = cox_map_set(&a->told, change->tombstone->app_uid, t);
	} else {
		if (change->assignment->sync_digest.len)
			cox_hex_encode(change->assignment->sync_digest.data, 32, hex);
		t->app = cox_strdup(change->assignment->app_name);
		old = cox_map_set(&a->told, change->assignment->app_uid, t);
	}
	t->digest = cox_strdup(hex);
	if (old)
		told_free(old);
	if (!a->hold && (t->tombstone || *hex))
		report_one(a, t);
}

static void on_change(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent *a = cox_rpc_call_user(call);
	const Coxswain__Assignment__V1__Change *change =
		(const Coxswain__Assignment__V1__Change *)msg;

	if (change->position) {
		assert_true(change->position > a->position);
		a->position = change->position;
	}
	switch (change->body_case) {
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_SNAPSHOT_BEGIN:
		a->n_snapshots++;
		break;
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_SNAPSHOT_END:
		a->position = change->snapshot_end->position;
		ack(a);
		break;
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_CONFIGURATION:
		a->n_configurations++;
		cox_buf_clear(&a->configuration);
		cox_buf_add(&a->configuration, change->configuration->body.data,
			    change->configuration->body.len);
		break;
	default:
		a->n_changes++;
		tell(a, change);
		if (change->position)
			ack(a);
	}
}

static void follow_ended(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct agent *a = cox_rpc_call_user(call);

	(void)status;
	a->follow = NULL;
}

static void on_response(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent *a = cox_rpc_call_user(call);
	const Coxswain__Report__V1__ReportResponse *r =
		(const Coxswain__Report__V1__ReportResponse *)msg;

	a->n_want_full += r->want_full;
	if (r->sequence > a->acked_sequence)
		a->acked_sequence = r->sequence;
	COX_MAP_EACH (&a->told, slot) {
		struct told *t = slot->value;

		if (!t->tombstone || strcmp(slot->key, r->app_uid) != 0 ||
		    r->sequence != t->reported)
			continue;
		cox_map_remove(&a->told, r->app_uid);
		told_free(t);
		break;
	}
}

static void reports_ended(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct agent *a = cox_rpc_call_user(call);

	(void)status;
	a->reports = NULL;
}

/* Gives the highest epoch among them. */
static uint64_t agent_digest(struct agent *a, uint8_t ret_digest[COX_SHA256_BYTES])
{
	uint64_t highest = 0;
	COX_VEC(struct cox_stamp) stamps = {0};

	COX_MAP_EACH (&a->told, slot) {
		const struct told *t = slot->value;
		const Coxswain__Assignment__V1__Assignment *x = t->change->assignment;
		struct cox_stamp stamp = {.app_uid = cox_str(slot->key), .tombstone = t->tombstone};

		if (t->tombstone) {
			stamp.epoch = t->change->tombstone->epoch;
			stamp.generation = t->change->tombstone->generation;
		} else {
			stamp.epoch = x->epoch;
			stamp.generation = x->generation;
			cox_stamp_set_digest(stamp.target_digest, x->target_digest.data,
					     x->target_digest.len);
			cox_stamp_set_digest(stamp.sync_digest, x->sync_digest.data,
					     x->sync_digest.len);
		}
		highest = stamp.epoch > highest ? stamp.epoch : highest;
		cox_vec_push(&stamps, stamp);
	}
	cox_stamps_digest(stamps.items, stamps.n, ret_digest);
	cox_vec_fini(&stamps);
	return highest;
}

static const struct cox_rpc_call_events follow_events = {.on_message = on_change,
							 .on_end = follow_ended};
static const struct cox_rpc_call_events report_events = {.on_message = on_response,
							 .on_end = reports_ended};

static void on_up(void *ctx, struct cox_rpc_conn *conn)
{
	struct agent *a = ctx;
	Coxswain__Assignment__V1__FollowRequest request =
		COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__INIT;
	Coxswain__Assignment__V1__Resume body = COXSWAIN__ASSIGNMENT__V1__RESUME__INIT;
	uint8_t digest[COX_SHA256_BYTES];

	a->up = true;
	cox_rpc_call_start(
		conn, &coxswain__report__v1__reports__descriptor, "Report",
		&(struct cox_rpc_call_options){.kind = COX_RPC_BIDI, .lane = COX_LANE_REPORT},
		&report_events, a, &a->reports, NULL);
	cox_rpc_call_start(
		conn, &coxswain__assignment__v1__assignments__descriptor, "Follow",
		&(struct cox_rpc_call_options){.kind = COX_RPC_BIDI, .lane = COX_LANE_ASSIGNMENT},
		&follow_events, a, &a->follow, NULL);
	body.highest_epoch = agent_digest(a, digest);
	body.position = a->position;
	body.digest.data = digest;
	body.digest.len = sizeof(digest);
	body.configuration_digest.data = (uint8_t *)a->configuration_digest;
	body.configuration_digest.len = a->configuration_digest ? COX_SHA256_BYTES : 0;
	request.body_case = COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__BODY_RESUME;
	request.resume = &body;
	cox_rpc_call_send(a->follow, &request.base, NULL);
}

static void on_down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	struct agent *a = ctx;

	(void)conn;
	(void)why;
	a->conn = NULL;
	a->follow = a->reports = NULL;
	a->up = false;
	a->down = true;
}

/* ---- Agent/Diff ---- */

struct asked_diff {
	struct agent *agent;
	struct cox_rpc_call *call;
	size_t n_objects;
	bool deletion;
};

static void asked_free(struct asked_diff *q)
{
	struct agent *a = q->agent;

	for (size_t i = 0; i < a->asked.n; i++)
		if (a->asked.items[i] == q) {
			cox_vec_remove(&a->asked, i);
			break;
		}
	free(q);
}

static void answer_one(struct asked_diff *q)
{
	Coxswain__Agent__V1__DiffResponse response = COXSWAIN__AGENT__V1__DIFF_RESPONSE__INIT;
	Coxswain__Agent__V1__ObjectDifference items[16], *list[16];
	Coxswain__Agent__V1__FieldDifference field = COXSWAIN__AGENT__V1__FIELD_DIFFERENCE__INIT;
	Coxswain__Agent__V1__FieldDifference *fields[] = {&field};
	size_t n = q->deletion ? 0 : q->n_objects;
	_cleanup_free_ char *bulk = cox_calloc(1, q->agent->bulk + 1);

	memset(bulk, 'x', q->agent->bulk);
	assert_true(n + 3 <= COX_ARRAY_LEN(items));
	field.path = (char *)"data.k";
	field.desired = (char *)"\"two\"";
	field.live = (char *)"\"one\"";
	for (size_t i = 0; i < n + 3; i++) {
		coxswain__agent__v1__object_difference__init(&items[i]);
		items[i].kind = (char *)"ConfigMap";
		items[i].name = (char *)"some";
		items[i].state = i < n	  ? COXSWAIN__AGENT__V1__DIFF_STATE__ABSENT
				 : i == n ? COXSWAIN__AGENT__V1__DIFF_STATE__DIFFERENT
					  : COXSWAIN__AGENT__V1__DIFF_STATE__EXTRA;
		list[i] = &items[i];
	}
	items[0].desired.data = (uint8_t *)bulk;
	items[0].desired.len = q->agent->bulk;
	items[n].fields = fields;
	items[n].n_fields = items[n].n_differing = 1;
	items[n + 2].kept = !q->deletion;
	response.objects = q->deletion ? list + 1 : list;
	response.n_objects = q->deletion ? 2 : n + 3;
	response.n_compared = (uint32_t)q->n_objects;
	response.framed = !q->agent->old;
	cox_rpc_call_reply(q->call, &response.base);
	asked_free(q);
}

void agent_answer(struct agent *a)
{
	while (a->asked.n)
		answer_one(a->asked.items[0]);
}

static size_t count_of(struct cox_str text, const char *word)
{
	_cleanup_free_ char *copy = cox_str_dup(text);
	size_t n = 0;

	for (const char *p = copy; (p = strstr(p, word)); p++)
		n++;
	return n;
}

static void on_diff(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent *a = cox_rpc_call_service_ctx(call);
	const Coxswain__Agent__V1__DiffRequest *r = (const Coxswain__Agent__V1__DiffRequest *)msg;
	struct asked_diff *q = cox_new(struct asked_diff);

	q->agent = a;
	q->call = call;
	q->n_objects =
		count_of(cox_str_n((const char *)r->objects.data, r->objects.len), "\"kind\"");
	q->deletion = r->frame && r->frame->deletion;
	if (r->frame)
		snprintf(a->frame, sizeof(a->frame), "%s %s%s %s", r->frame->instance,
			 r->frame->destination_namespace, q->deletion ? " deletion" : "",
			 r->frame->n_sync_options ? r->frame->sync_options[0] : "");
	cox_vec_push(&a->asked, q);
	cox_rpc_call_set_user(call, q);
	a->n_diffs++;
	if (a->asked.n > a->most_diffs)
		a->most_diffs = a->asked.n;
	if (!a->hold_diffs)
		answer_one(q);
}

static void diff_ended(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	(void)status;
	asked_free(cox_rpc_call_user(call));
}

static const struct cox_rpc_method agent_methods[] = {
	{.name = "Diff", .kind = COX_RPC_UNARY, .on_message = on_diff, .on_end = diff_ended},
};

static bool is_up_or_down(void *arg)
{
	struct agent *a = arg;

	return a->up || a->down;
}

void agent_connect(struct agent *a)
{
	static const struct cox_rpc_conn_events events = {.on_up = on_up, .on_down = on_down};
	COX_CLEANUP(cox_tls_context_unref_p) struct cox_tls_context *tls = NULL;
	struct cox_error err = COX_ERROR_INIT;

	a->up = a->down = false;
	a->endpoint = (struct cox_rpc_endpoint){.loop = a->site->loop,
						.software_version = "test",
						.instance_uuid = "test",
						.boot_id = a->boot,
						.services = a->services,
						.n_services = 1};
	a->service = (struct cox_rpc_service){.descriptor = &coxswain__agent__v1__agent__descriptor,
					      .methods = agent_methods,
					      .n_methods = COX_ARRAY_LEN(agent_methods),
					      .ctx = a};
	a->services[0] = &a->service;
	if (cox_tls_client_new(&(struct cox_tls_client_options){.alpn = COX_ALPN_RPC,
								.ca_pem = cox_buf_str(&a->hub_ca),
								.server_name = "127.0.0.1",
								.chain_pem = cox_buf_str(&a->chain),
								.key_pem = cox_buf_str(&a->key)},
			       &tls, &err) < 0)
		fail_msg("%s", err.message);
	if (cox_rpc_dial(&a->endpoint,
			 &(struct cox_rpc_dial_options){
				 .address = hub_fleet_address(hub_control_fleet(a->site->control)),
				 .tls = tls,
				 .pool = a->site->pool},
			 &events, a, &a->conn, &err) < 0)
		fail_msg("%s", err.message);
	site_wait(a->site, is_up_or_down, a);
}

static bool is_down(void *arg)
{
	return ((struct agent *)arg)->down;
}

void agent_disconnect(struct agent *a)
{
	if (!a->conn)
		return;
	cox_rpc_conn_close(a->conn, COX_GOAWAY_SHUTDOWN, "bye");
	site_wait(a->site, is_down, a);
}
