/* Many agents in one process, for tests/bench/fanout/run: the real protocol (joining, TLS with both
 * certificates, Follow and its acks, Fetch, Report, the real back-off), with a cluster behind each
 * that applies whatever it gets at once and is healthy. One application on each. A plan's questions
 * are answered at once: three objects, each changed in one field.
 *
 *	fanout_agents HUB CA-PIN FILE
 *
 * A line of FILE is CLUSTER TOKEN WAVE. Orders come line by line on standard input, each is answered
 * by one line when it is done; times are seconds of the monotonic clock.
 *
 *	join		joined COUNT REFUSED
 *	connect		heard COUNT TIME REFUSED: all are up, and the hub has taken what each of them has
 *			to report; the time is that of the last. REFUSED counts attempts.
 *	drop		dropped
 *	return		as connect, of agents that have lost the hub and dial again by themselves
 *	await REV	at REV ASSIGNED ACKED REPORTED ACCEPTED, then for each wave FIRST:LAST:ALL, the
 *			first assignment that came, the last report of health that went, and the last
 *			assignment that came: all clusters were assigned the commit and are healthy at
 *			it. The four times are those of the last.
 *	hold		the first agent says that it is well only after all others of its wave did; no answer
 *	quit
 *
 * All is loop-owned. */
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/rand.h"
#include "common/base/vec.h"
#include "common/crypto/pki.h"
#include "common/ctl/stamp.h"
#include "common/net/rpc.h"
#include "common/zip/zip.h"
#include "proto/agent.pb-c.h"
#include "proto/assignment.pb-c.h"
#include "proto/bundle.pb-c.h"
#include "proto/report.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { JOINS_AT_ONCE = 32, MAX_WAVES = 100, N_RESOURCES = 3, FILE_BYTES = 16 << 20 };

typedef Coxswain__Assignment__V1__Change change_msg;
typedef Coxswain__Assignment__V1__Assignment assignment_msg;
typedef Coxswain__Report__V1__ApplicationReport report_msg;

struct agent {
	char *cluster, *token;
	int wave;
	bool joined;
	struct cox_buf key, chain;
	char boot[COX_UUID_TEXT];
	struct cox_rpc_endpoint endpoint;
	struct cox_tls_context *tls;
	struct cox_rpc_backoff backoff;
	struct cox_timer redial;
	struct cox_rpc_conn *conn;
	struct cox_rpc_call *follow, *reports;
	bool up, heard;
	/* what it was assigned, what it has of that */
	uint64_t position;
	change_msg *assigned;
	uint8_t bundle[COX_SHA256_BYTES];
	bool has_bundle, fetching;
	struct cox_buf packed;
	char operation[COX_UUID_TEXT]; /* its own, where the hub gave none */
	/* reports */
	uint64_t sequence, final_sequence; /* 0: not healthy yet */
	/* of the newest assignment */
	int64_t assigned_us, acked_us, reported_us, accepted_us;
};

static struct {
	struct cox_loop *loop;
	struct cox_pool *pool;
	const char *hub;
	uint8_t pin[COX_SHA256_BYTES];
	struct cox_buf ca;
	COX_VEC(struct agent *) agents;
	size_t n_joining, next_to_join, n_joined, n_refused;
	bool hold;	      /* the first agent is the last of its wave */
	bool keep_up;	      /* dial again when the hub is lost */
	const char *awaiting; /* the order that is not answered yet; NULL: none */
	char revision[65];
	struct cox_io input;
	struct cox_buf orders;
	struct cox_task look; /* at whether the order is done */
} all;

static void die(const char *what, const struct cox_error *err)
{
	fprintf(stderr, "fanout_agents: %s: %s\n", what, err ? err->message : "failed");
	exit(1);
}

static double seconds(int64_t us)
{
	return (double)us / 1e6;
}

static void changed(void)
{
	if (all.awaiting)
		cox_loop_send(all.loop, &all.look);
}

static const assignment_msg *assignment(const struct agent *a)
{
	return a->assigned ? a->assigned->assignment : NULL;
}

static bool is_at(const struct agent *a, const char *revision)
{
	const assignment_msg *x = assignment(a);

	return x && strcmp(x->sync_revision, revision) == 0;
}

/* ---- joining ---- */

static void join_next(void);

static void enrolled(void *ctx, const struct cox_rpc_status *status,
		     const Coxswain__Enrol__V1__EnrolResponse *response)
{
	struct agent *a = ctx;

	all.n_joining--;
	if (!response) {
		all.n_refused++;
		if (all.n_refused == 1)
			fprintf(stderr, "fanout_agents: refused: %s\n", status->message);
		cox_timer_start(&a->redial,
				cox_rpc_backoff_next_ms(&a->backoff, &(struct cox_rpc_down){0},
							cox_clock_ms()));
		join_next();
		return;
	}
	a->joined = true;
	all.n_joined++;
	cox_buf_add(&a->chain, response->certificate_chain.data, response->certificate_chain.len);
	if (!all.ca.len)
		cox_buf_add(&all.ca, response->hub_ca.data, response->hub_ca.len);
	join_next();
	changed();
}

static void join(struct agent *a)
{
	static struct cox_tls_context *tls;
	COX_CLEANUP(cox_key_free_p) struct cox_key *key = NULL;
	_cleanup_buf_ struct cox_buf csr = COX_BUF_INIT;
	Coxswain__Enrol__V1__EnrolRequest request = COXSWAIN__ENROL__V1__ENROL_REQUEST__INIT;
	struct cox_tls_client_options options = {.alpn = COX_ALPN_ENROL, .ca_pin = all.pin};
	struct cox_error err = COX_ERROR_INIT;

	if (!tls && cox_tls_client_new(&options, &tls, &err) < 0)
		die("tls", &err);
	if (!a->key.len && cox_key_generate(&key, &err) == 0)
		cox_key_to_pem(key, &a->key);
	if (!key && cox_key_from_pem(cox_buf_str(&a->key), &key, &err) < 0)
		die("key", &err);
	if (cox_csr_create(key, a->cluster, &csr, &err) < 0)
		die("signing request", &err);
	request.cluster = a->cluster;
	request.token = a->token;
	request.certificate_request.data = (uint8_t *)csr.ptr;
	request.certificate_request.len = csr.len;
	request.cluster_uid = (char *)"11111111-2222-3333-4444-555555555555";
	all.n_joining++;
	if (cox_rpc_enrol(all.loop,
			  &(struct cox_rpc_dial_options){
				  .address = all.hub, .tls = tls, .pool = all.pool},
			  &request, enrolled, a, &err) < 0)
		die("join", &err);
}

static void join_next(void)
{
	while (all.n_joining < JOINS_AT_ONCE && all.next_to_join < all.agents.n)
		join(all.agents.items[all.next_to_join++]);
}

/* ---- reports ---- */

static void begin_sync(struct agent *a);

static bool same_digest(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
	return a.len == b.len && a.len && memcmp(a.data, b.data, a.len) == 0;
}

/* Everything at once, as the first report of a connection has it. */
static void report(struct agent *a, bool done)
{
	static const char *const kinds[N_RESOURCES] = {"Deployment", "Service", "ConfigMap"};
	const assignment_msg *x = assignment(a);
	Coxswain__Report__V1__ReportRequest request = COXSWAIN__REPORT__V1__REPORT_REQUEST__INIT;
	report_msg r = COXSWAIN__REPORT__V1__APPLICATION_REPORT__INIT;
	Coxswain__Report__V1__OperationState op = COXSWAIN__REPORT__V1__OPERATION_STATE__INIT;
	Coxswain__Report__V1__ResourceKey keys[N_RESOURCES];
	Coxswain__Report__V1__ResourceStatus states[N_RESOURCES], *list[N_RESOURCES];
	bool at_target = done && same_digest(x->target_digest, x->sync_digest);

	if (!a->reports)
		return;
	for (int i = 0; i < N_RESOURCES; i++) {
		coxswain__report__v1__resource_key__init(&keys[i]);
		coxswain__report__v1__resource_status__init(&states[i]);
		keys[i].group = (char *)(i == 0 ? "apps" : "");
		keys[i].version = (char *)"v1";
		keys[i].kind = (char *)kinds[i];
		keys[i].namespace_ = x->destination_namespace;
		keys[i].name = x->app_name;
		states[i].key = &keys[i];
		states[i].sync = at_target ? COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED
					   : COXSWAIN__REPORT__V1__SYNC_STATUS__OUT_OF_SYNC;
		states[i].health = i > 0  ? COXSWAIN__REPORT__V1__HEALTH__HEALTH_NONE
				   : done ? COXSWAIN__REPORT__V1__HEALTH__HEALTHY
					  : COXSWAIN__REPORT__V1__HEALTH__PROGRESSING;
		list[i] = &states[i];
	}
	r.app_uid = x->app_uid;
	r.epoch = x->epoch;
	r.generation = x->generation;
	r.target_digest = x->target_digest;
	r.sync_digest = x->sync_digest;
	r.sync = at_target ? COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED
			   : COXSWAIN__REPORT__V1__SYNC_STATUS__OUT_OF_SYNC;
	r.assigned_sync = done ? COXSWAIN__REPORT__V1__SYNC_STATUS__SYNCED
			       : COXSWAIN__REPORT__V1__SYNC_STATUS__OUT_OF_SYNC;
	r.health = states[0].health;
	r.full = true;
	r.sequence = ++a->sequence;
	r.resources = list;
	r.n_resources = N_RESOURCES;
	op.id = x->operation ? x->operation->id : a->operation;
	op.initiated_by = x->operation ? x->operation->initiated_by : (char *)"automated";
	op.phase = done ? COXSWAIN__REPORT__V1__PHASE__SUCCEEDED
			: COXSWAIN__REPORT__V1__PHASE__RUNNING;
	op.digest = x->sync_digest;
	op.started_ms = cox_clock_wall_ms();
	op.finished_ms = done ? op.started_ms : 0;
	r.operation = &op;
	if (done) {
		a->final_sequence = r.sequence;
		a->reported_us = cox_clock_us();
	}
	request.body_case = COXSWAIN__REPORT__V1__REPORT_REQUEST__BODY_APPLICATION;
	request.application = &r;
	cox_rpc_call_send(a->reports, &request.base, NULL);
}

static bool is_accepted(const struct agent *a, const char *revision)
{
	return is_at(a, revision) && a->final_sequence && a->accepted_us >= a->reported_us;
}

static bool is_held(const struct agent *a)
{
	if (!all.hold || a != all.agents.items[0])
		return false;
	COX_VEC_EACH (&all.agents, other)
		if (*other != a && (*other)->wave == a->wave &&
		    !is_accepted(*other, assignment(a)->sync_revision))
			return true;
	return false;
}

static void release_held(void)
{
	struct agent *a = all.agents.items[0];

	if (all.hold && a->up && assignment(a) && !a->final_sequence)
		begin_sync(a);
}

static void on_response(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent *a = cox_rpc_call_user(call);
	const Coxswain__Report__V1__ReportResponse *r =
		(const Coxswain__Report__V1__ReportResponse *)msg;

	if (!a->final_sequence || r->sequence < a->final_sequence)
		return;
	a->accepted_us = cox_clock_us();
	a->heard = true;
	release_held();
	changed();
}

/* ---- bundles ---- */

static void on_chunk(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent *a = cox_rpc_call_user(call);
	const Coxswain__Bundle__V1__Chunk *chunk = (const Coxswain__Bundle__V1__Chunk *)msg;

	cox_buf_add(&a->packed, chunk->data.data, chunk->data.len);
}

static void on_bundle(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct agent *a = cox_rpc_call_user(call);
	_cleanup_buf_ struct cox_buf plain = COX_BUF_INIT;
	struct cox_error err = COX_ERROR_INIT;

	a->fetching = false;
	if (!a->up)
		return;
	cox_error(&err, status->code, "%s", status->message);
	if (status->code != COX_OK ||
	    cox_zip_decompress(cox_buf_str(&a->packed), COX_LIMIT_BUNDLE_BYTES, &plain, &err) < 0)
		die("bundle", &err);
	cox_sha256(cox_buf_str(&plain), a->bundle);
	a->has_bundle = true;
	cox_buf_fini(&a->packed);
	begin_sync(a);
}

static const struct cox_rpc_call_events fetch_events = {.on_message = on_chunk,
							.on_end = on_bundle};

static void fetch(struct agent *a, ProtobufCBinaryData digest)
{
	Coxswain__Bundle__V1__FetchRequest request = COXSWAIN__BUNDLE__V1__FETCH_REQUEST__INIT;
	struct cox_rpc_call_options options = {.kind = COX_RPC_SERVER_STREAM,
					       .lane = COX_LANE_BULK};
	struct cox_rpc_call *call;
	struct cox_error err = COX_ERROR_INIT;

	if (a->fetching)
		return;
	if (cox_rpc_call_start(a->conn, &coxswain__bundle__v1__bundles__descriptor, "Fetch",
			       &options, &fetch_events, a, &call, &err) < 0)
		die("fetch", &err);
	a->fetching = true;
	cox_buf_clear(&a->packed);
	request.digest = digest;
	cox_rpc_call_send_last(call, &request.base, NULL);
}

/* Says that it begins, gets what it lacks, says that it is done. */
static void begin_sync(struct agent *a)
{
	const assignment_msg *x = assignment(a);

	if (x->sync_digest.len != COX_SHA256_BYTES)
		return;
	if (a->has_bundle && memcmp(a->bundle, x->sync_digest.data, COX_SHA256_BYTES) == 0) {
		if (!is_held(a))
			report(a, true);
		return;
	}
	cox_uuid_new(a->operation);
	report(a, false);
	fetch(a, x->sync_digest);
}

/* ---- assignments ---- */

static void ack(struct agent *a)
{
	Coxswain__Assignment__V1__FollowRequest request =
		COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__INIT;
	Coxswain__Assignment__V1__Ack body = COXSWAIN__ASSIGNMENT__V1__ACK__INIT;

	body.position = a->position;
	request.body_case = COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__BODY_ACK;
	request.ack = &body;
	cox_rpc_call_send(a->follow, &request.base, NULL);
	a->acked_us = cox_clock_us();
}

static void keep(struct agent *a, const change_msg *change)
{
	_cleanup_buf_ struct cox_buf bytes = COX_BUF_INIT;
	_cleanup_free_ char *before =
		assignment(a) ? cox_strdup(assignment(a)->sync_revision) : NULL;

	cox_buf_reserve(&bytes, coxswain__assignment__v1__change__get_packed_size(change));
	bytes.len = coxswain__assignment__v1__change__pack(change, (uint8_t *)bytes.ptr);
	coxswain__assignment__v1__change__free_unpacked(a->assigned, NULL);
	a->assigned = coxswain__assignment__v1__change__unpack(NULL, bytes.len,
							       (const uint8_t *)bytes.ptr);
	a->final_sequence = 0;
	if (!before || !is_at(a, before))
		a->assigned_us = cox_clock_us();
}

static void on_change(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agent *a = cox_rpc_call_user(call);
	const change_msg *change = (const change_msg *)msg;

	if (change->position > a->position)
		a->position = change->position;
	switch (change->body_case) {
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT:
		keep(a, change);
		if (change->position)
			ack(a);
		begin_sync(a);
		break;
	case COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_SNAPSHOT_END:
		a->position = change->snapshot_end->position;
		ack(a);
		break;
	default:
		break;
	}
	changed();
}

static void resume(struct agent *a)
{
	const assignment_msg *x = assignment(a);
	Coxswain__Assignment__V1__FollowRequest request =
		COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__INIT;
	Coxswain__Assignment__V1__Resume body = COXSWAIN__ASSIGNMENT__V1__RESUME__INIT;
	uint8_t digest[COX_SHA256_BYTES];
	struct cox_stamp stamp = {0};

	if (x) {
		stamp.app_uid = cox_str(x->app_uid);
		stamp.epoch = x->epoch;
		stamp.generation = x->generation;
		cox_stamp_set_digest(stamp.target_digest, x->target_digest.data,
				     x->target_digest.len);
		cox_stamp_set_digest(stamp.sync_digest, x->sync_digest.data, x->sync_digest.len);
	}
	cox_stamps_digest(&stamp, x != NULL, digest);
	body.position = a->position;
	body.highest_epoch = stamp.epoch;
	body.digest.data = digest;
	body.digest.len = sizeof(digest);
	request.body_case = COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__BODY_RESUME;
	request.resume = &body;
	cox_rpc_call_send(a->follow, &request.base, NULL);
}

/* ---- connections ---- */

static void call_ended(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	struct agent *a = cox_rpc_call_user(call);

	(void)status;
	if (a->follow == call)
		a->follow = NULL;
	if (a->reports == call)
		a->reports = NULL;
}

static const struct cox_rpc_call_events follow_events = {.on_message = on_change,
							 .on_end = call_ended};
static const struct cox_rpc_call_events report_events = {.on_message = on_response,
							 .on_end = call_ended};

static void start(struct agent *a, const ProtobufCServiceDescriptor *service, const char *method,
		  enum cox_rpc_lane lane, const struct cox_rpc_call_events *events,
		  struct cox_rpc_call **ret_call)
{
	struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI, .lane = lane, .endless = true};
	struct cox_error err = COX_ERROR_INIT;

	if (cox_rpc_call_start(a->conn, service, method, &options, events, a, ret_call, &err) < 0)
		die(method, &err);
}

static void on_up(void *ctx, struct cox_rpc_conn *conn)
{
	struct agent *a = ctx;
	Coxswain__Report__V1__ReportRequest request = COXSWAIN__REPORT__V1__REPORT_REQUEST__INIT;
	Coxswain__Report__V1__ClusterReport cluster = COXSWAIN__REPORT__V1__CLUSTER_REPORT__INIT;

	a->conn = conn;
	a->up = true;
	cox_rpc_backoff_up(&a->backoff, cox_clock_ms());
	start(a, &coxswain__assignment__v1__assignments__descriptor, "Follow", COX_LANE_ASSIGNMENT,
	      &follow_events, &a->follow);
	start(a, &coxswain__report__v1__reports__descriptor, "Report", COX_LANE_REPORT,
	      &report_events, &a->reports);
	resume(a);
	cluster.kubernetes_version = (char *)"v1.31.0";
	cluster.agent_version = (char *)COX_VERSION;
	cluster.platform = (char *)"linux/amd64";
	request.body_case = COXSWAIN__REPORT__V1__REPORT_REQUEST__BODY_CLUSTER;
	request.cluster = &cluster;
	cox_rpc_call_send(a->reports, &request.base, NULL);
	if (assignment(a)) {
		begin_sync(a);
	} else {
		a->heard = true; /* nothing to say; the hub's own count tells the rest */
		a->accepted_us = cox_clock_us();
	}
	changed();
}

static void on_down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	struct agent *a = ctx;

	(void)conn;
	if (!why->was_up)
		all.n_refused++;
	a->conn = NULL;
	a->follow = a->reports = NULL;
	a->up = a->heard = a->fetching = false;
	if (all.keep_up)
		cox_timer_start(&a->redial,
				cox_rpc_backoff_next_ms(&a->backoff, why, cox_clock_ms()));
	changed();
}

/* A plan's question: the three objects of the bundle are there, and the commit changes each. */
static void diff(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	static const char *const kinds[N_RESOURCES] = {"ConfigMap", "Deployment", "Service"};
	Coxswain__Agent__V1__DiffResponse response = COXSWAIN__AGENT__V1__DIFF_RESPONSE__INIT;
	Coxswain__Agent__V1__ObjectDifference objects[N_RESOURCES], *list[N_RESOURCES];
	Coxswain__Agent__V1__FieldDifference field = COXSWAIN__AGENT__V1__FIELD_DIFFERENCE__INIT;
	Coxswain__Agent__V1__FieldDifference *fields[] = {&field};

	(void)msg;
	field.path = (char *)"metadata.annotations[example.com/version]";
	field.desired = (char *)"\"2.0\"";
	field.live = (char *)"\"1.0\"";
	for (int i = 0; i < N_RESOURCES; i++) {
		coxswain__agent__v1__object_difference__init(&objects[i]);
		objects[i].version = (char *)"v1";
		objects[i].kind = (char *)kinds[i];
		objects[i].namespace_ = objects[i].name = (char *)"guestbook";
		objects[i].fields = fields;
		objects[i].n_fields = objects[i].n_differing = 1;
		list[i] = &objects[i];
	}
	response.objects = list;
	response.n_objects = response.n_compared = N_RESOURCES;
	response.framed = true;
	cox_rpc_call_reply(call, &response.base);
}

static const struct cox_rpc_method agent_methods[] = {
	{.name = "Diff", .kind = COX_RPC_UNARY, .on_message = diff},
};
static const struct cox_rpc_service agent_service = {
	.descriptor = &coxswain__agent__v1__agent__descriptor,
	.methods = agent_methods,
	.n_methods = 1,
};
static const struct cox_rpc_service *const services[] = {&agent_service};

static void dial(struct agent *a)
{
	static const struct cox_rpc_conn_events events = {.on_up = on_up, .on_down = on_down};
	struct cox_error err = COX_ERROR_INIT;

	a->endpoint = (struct cox_rpc_endpoint){.loop = all.loop,
						.software_version = COX_VERSION,
						.instance_uuid = a->boot,
						.boot_id = a->boot,
						.services = services,
						.n_services = 1};
	if (!a->tls &&
	    cox_tls_client_new(&(struct cox_tls_client_options){.alpn = COX_ALPN_RPC,
								.ca_pem = cox_buf_str(&all.ca),
								.chain_pem = cox_buf_str(&a->chain),
								.key_pem = cox_buf_str(&a->key)},
			       &a->tls, &err) < 0)
		die("tls", &err);
	if (cox_rpc_dial(&a->endpoint,
			 &(struct cox_rpc_dial_options){
				 .address = all.hub, .tls = a->tls, .pool = all.pool},
			 &events, a, &a->conn, &err) < 0)
		die("dial", &err);
}

static void again(void *arg)
{
	struct agent *a = arg;

	if (!a->joined)
		join(a);
	else if (all.keep_up && !a->conn)
		dial(a);
}

/* ---- orders ---- */

static void answer(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
	all.awaiting = NULL;
}

static void later(int64_t *last_us, int64_t us)
{
	if (us > *last_us)
		*last_us = us;
}

static void answer_heard(void)
{
	char text[128];
	int64_t last_us = 0;

	COX_VEC_EACH (&all.agents, a) {
		if (!(*a)->up || !(*a)->heard)
			return;
		later(&last_us, (*a)->accepted_us);
	}
	snprintf(text, sizeof(text), "heard %zu %.6f %zu", all.agents.n, seconds(last_us),
		 all.n_refused);
	answer(text);
}

static void answer_at(void)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	int64_t first_us[MAX_WAVES] = {0}, last_us[MAX_WAVES] = {0}, all_us[MAX_WAVES] = {0};
	int64_t assigned_us = 0, acked_us = 0, reported_us = 0, accepted_us = 0;

	COX_VEC_EACH (&all.agents, p) {
		const struct agent *a = *p;

		if (!a->up || !is_accepted(a, all.revision))
			return;
		later(&assigned_us, a->assigned_us);
		later(&acked_us, a->acked_us);
		later(&reported_us, a->reported_us);
		later(&accepted_us, a->accepted_us);
		later(&last_us[a->wave], a->reported_us);
		later(&all_us[a->wave], a->assigned_us);
		if (!first_us[a->wave] || a->assigned_us < first_us[a->wave])
			first_us[a->wave] = a->assigned_us;
	}
	cox_buf_printf(&text, "at %s %.6f %.6f %.6f %.6f", all.revision, seconds(assigned_us),
		       seconds(acked_us), seconds(reported_us), seconds(accepted_us));
	for (int i = 0; i < MAX_WAVES && first_us[i]; i++)
		cox_buf_printf(&text, " %.6f:%.6f:%.6f", seconds(first_us[i]), seconds(last_us[i]),
			       seconds(all_us[i]));
	answer(cox_buf_cstr(&text));
}

static void look(void *arg)
{
	char text[64];
	size_t n_open = 0;

	(void)arg;
	if (!all.awaiting)
		return;
	if (strcmp(all.awaiting, "join") == 0 && all.n_joined == all.agents.n) {
		snprintf(text, sizeof(text), "joined %zu %zu", all.n_joined, all.n_refused);
		answer(text);
	} else if (strcmp(all.awaiting, "connect") == 0) {
		answer_heard();
	} else if (strcmp(all.awaiting, "await") == 0) {
		answer_at();
	} else if (strcmp(all.awaiting, "drop") == 0) {
		COX_VEC_EACH (&all.agents, a)
			n_open += (*a)->conn != NULL;
		if (n_open == 0)
			answer("dropped");
	}
}

static void obey(const char *order)
{
	if (strcmp(order, "join") == 0) {
		all.n_refused = 0;
		all.awaiting = "join";
		join_next();
	} else if (strcmp(order, "connect") == 0) {
		all.n_refused = 0;
		all.awaiting = "connect";
		all.keep_up = true;
		COX_VEC_EACH (&all.agents, a)
			dial(*a);
	} else if (strcmp(order, "return") == 0) {
		all.n_refused = 0;
		all.awaiting = "connect";
	} else if (strcmp(order, "drop") == 0) {
		all.keep_up = false;
		all.awaiting = "drop";
		COX_VEC_EACH (&all.agents, a) {
			cox_timer_stop(&(*a)->redial);
			if ((*a)->conn)
				cox_rpc_conn_close((*a)->conn, COX_GOAWAY_SHUTDOWN, "bye");
			cox_rpc_backoff_init(&(*a)->backoff);
		}
	} else if (strncmp(order, "await ", 6) == 0) {
		snprintf(all.revision, sizeof(all.revision), "%s", order + 6);
		all.awaiting = "await";
	} else if (strcmp(order, "hold") == 0) {
		all.hold = true;
	} else if (strcmp(order, "quit") == 0) {
		exit(0);
	} else {
		die(order, NULL);
	}
	changed();
}

static void on_input(void *arg, int events)
{
	char bytes[4096];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
	char *end;

	(void)arg;
	(void)events;
	if (n <= 0)
		exit(0);
	cox_buf_add(&all.orders, bytes, (size_t)n);
	while ((end = memchr(all.orders.ptr, '\n', all.orders.len))) {
		_cleanup_free_ char *line =
			cox_strndup(all.orders.ptr, (size_t)(end - all.orders.ptr));

		all.orders.len -= strlen(line) + 1;
		memmove(all.orders.ptr, end + 1, all.orders.len);
		obey(line);
		if (all.orders.len == 0)
			break;
	}
}

/* ---- the beginning ---- */

static void read_agents(char *text)
{
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		struct agent *a = cox_new(struct agent);
		char cluster[256], token[256];

		if (sscanf(line, "%255s %255s %d", cluster, token, &a->wave) != 3 || a->wave < 0 ||
		    a->wave >= MAX_WAVES)
			die(line, NULL);
		a->cluster = cox_strdup(cluster);
		a->token = cox_strdup(token);
		cox_uuid_new(a->boot);
		cox_rpc_backoff_init(&a->backoff);
		cox_timer_init(&a->redial, all.loop, again, a);
		cox_vec_push(&all.agents, a);
	}
}

int main(int argc, char **argv)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_error err = COX_ERROR_INIT;

	if (argc != 4) {
		fprintf(stderr, "usage: fanout_agents HUB CA-PIN FILE\n");
		return 2;
	}
	all.hub = argv[1];
	if (cox_hex_decode(cox_str(argv[2]), all.pin, sizeof(all.pin), &err) < 0 ||
	    cox_file_read(argv[3], FILE_BYTES, &text, &err) < 0 ||
	    cox_loop_new(&all.loop, &err) < 0 ||
	    cox_pool_new(all.loop, &(struct cox_pool_options){.name = "dial", .max_queue = 65536},
			 &all.pool, &err) < 0)
		die("start", &err);
	cox_task_init(&all.look, look, NULL);
	read_agents(text.ptr);
	cox_io_init(&all.input, all.loop, STDIN_FILENO, on_input, NULL);
	if (cox_io_watch(&all.input, COX_IO_READ, &err) < 0)
		die("input", &err);
	cox_loop_run(all.loop);
	return 0;
}
