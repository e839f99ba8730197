/* The link against a hub of a few lines, over real TLS; the cluster's API is silent all the time,
 * so that nothing but the link works. */
#include "agent/link/link.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/crypto/pki.h"
#include "common/crypto/token.h"
#include "common/net/rpc.h"
#include "common/zip/zip.h"
#include "proto/agent.pb-c.h"
#include "proto/bundle.pb-c.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 30000
#define DOMAIN	    "test.coxswain"

typedef Coxswain__Assignment__V1__Change change_msg;

static struct world {
	char dir[64], state[96], token_file[96], pin[COX_SHA256_TEXT];
	struct cox_loop *loop;
	struct cox_pool *pool;
	struct cox_timer tick;
	unsigned ticks;
	/* the hub */
	struct cox_key *hub_key, *agents_key, *server_key;
	struct cox_cert *hub_ca, *agents_ca, *server_cert;
	char *hub_ca_pem;
	struct cox_tls_context *tls;
	struct cox_rpc_endpoint endpoint;
	struct cox_rpc_server *server;
	struct cox_rpc_conn *conn;
	struct cox_rpc_call *follow, *reports;
	char token[COX_TOKEN_TEXT], address[64];
	unsigned n_enrolled, n_refused, n_up, n_down, n_fetches, n_reports, n_full, n_cluster;
	unsigned n_bad_fetches; /* to be answered with another bundle */
	uint64_t resumed, acked, base, sequence, generation;
	uint8_t resume_digest[32];
	bool stopped;
	struct cox_buf bundle;
	uint8_t digest[32];
	/* the agent */
	struct cox_kube *kube;
	struct agent_store *store;
	struct agent_engine *engine;
	struct agent_link *link;
} w;

static bool has_ticked(void *arg)
{
	return w.ticks != *(unsigned *)arg;
}

static void turn(const char *what, int64_t deadline_ms)
{
	unsigned before = w.ticks;

	if (cox_loop_wait(w.loop, has_ticked, &before, PATIENCE_MS, NULL) < 0 ||
	    cox_loop_now_ms(w.loop) > deadline_ms)
		fail_msg("waited in vain for: %s", what);
}

#define WAIT(what, condition)                                                                      \
	for (int64_t _end = cox_loop_now_ms(w.loop) + PATIENCE_MS; !(condition);)                  \
	turn(what, _end)

static void tick(void *arg)
{
	(void)arg;
	w.ticks++;
	cox_timer_start(&w.tick, 5);
}

/* ---- the hub ---- */

static void follow_start(struct cox_rpc_call *call, void *ctx)
{
	(void)ctx;
	w.follow = call;
}

static void follow_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	const Coxswain__Assignment__V1__FollowRequest *q =
		(const Coxswain__Assignment__V1__FollowRequest *)msg;

	(void)call;
	if (q->body_case == COXSWAIN__ASSIGNMENT__V1__FOLLOW_REQUEST__BODY_RESUME) {
		w.resumed = q->resume->position;
		assert_int_equal(q->resume->digest.len, 32);
		memcpy(w.resume_digest, q->resume->digest.data, 32);
	} else {
		w.acked = q->ack->position;
	}
}

static void follow_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	(void)call;
	(void)status;
	w.follow = NULL;
}

static void fetch_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	const Coxswain__Bundle__V1__FetchRequest *q =
		(const Coxswain__Bundle__V1__FetchRequest *)msg;
	COX_CLEANUP(cox_buf_fini) struct cox_buf wrong = COX_BUF_INIT;
	struct cox_buf *body = &w.bundle;

	w.n_fetches++;
	if (q->digest.len != 32 || memcmp(q->digest.data, w.digest, 32) != 0) {
		cox_rpc_call_finish(call, COX_PERMISSION_DENIED, "not assigned");
		return;
	}
	if (w.n_bad_fetches) {
		w.n_bad_fetches--;
		cox_zip_compress(COX_STR("[\"another\"]"), 0, &wrong);
		body = &wrong;
	}
	/* in two pieces */
	for (size_t half = 0; half < 2; half++) {
		Coxswain__Bundle__V1__Chunk chunk = COXSWAIN__BUNDLE__V1__CHUNK__INIT;
		size_t middle = body->len / 2;

		chunk.data.data = (uint8_t *)body->ptr + (half ? middle : 0);
		chunk.data.len = half ? body->len - middle : middle;
		assert_true(cox_rpc_call_send(call, &chunk.base, NULL) >= 0);
	}
	cox_rpc_call_finish(call, COX_OK, NULL);
}

static void report_start(struct cox_rpc_call *call, void *ctx)
{
	(void)ctx;
	w.reports = call;
}

static void report_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	const Coxswain__Report__V1__ReportRequest *q =
		(const Coxswain__Report__V1__ReportRequest *)msg;

	(void)call;
	if (q->body_case == COXSWAIN__REPORT__V1__REPORT_REQUEST__BODY_CLUSTER) {
		w.n_cluster++;
		return;
	}
	w.n_reports++;
	w.n_full += q->application->full;
	w.generation = q->application->generation;
	w.base = q->application->base_sequence;
	w.sequence = q->application->sequence;
}

static void report_end(struct cox_rpc_call *call, const struct cox_rpc_status *status)
{
	(void)call;
	(void)status;
	w.reports = NULL;
}

static const struct cox_rpc_method follow_methods[] = {{.name = "Follow",
							.kind = COX_RPC_BIDI,
							.on_start = follow_start,
							.on_message = follow_message,
							.on_end = follow_end}};
static const struct cox_rpc_method fetch_methods[] = {
	{.name = "Fetch", .kind = COX_RPC_SERVER_STREAM, .on_message = fetch_message}};
static const struct cox_rpc_method report_methods[] = {{.name = "Report",
							.kind = COX_RPC_BIDI,
							.on_start = report_start,
							.on_message = report_message,
							.on_end = report_end}};
static const struct cox_rpc_service follow_service = {
	.descriptor = &coxswain__assignment__v1__assignments__descriptor,
	.methods = follow_methods,
	.n_methods = 1};
static const struct cox_rpc_service fetch_service = {
	.descriptor = &coxswain__bundle__v1__bundles__descriptor,
	.methods = fetch_methods,
	.n_methods = 1};
static const struct cox_rpc_service report_service = {
	.descriptor = &coxswain__report__v1__reports__descriptor,
	.methods = report_methods,
	.n_methods = 1};
static const struct cox_rpc_service *const services[] = {&follow_service, &fetch_service,
							 &report_service};

static void on_up(void *ctx, struct cox_rpc_conn *conn)
{
	(void)ctx;
	w.conn = conn;
	w.n_up++;
	assert_string_equal(cox_rpc_conn_peer(conn)->tls.uri, "spiffe://" DOMAIN "/cluster/here");
}

static void on_down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	(void)ctx;
	(void)why;
	if (conn == w.conn)
		w.conn = NULL;
	w.n_down++;
}

static void on_enrol(void *ctx, struct cox_rpc_enrolment *enrolment,
		     const Coxswain__Enrol__V1__EnrolRequest *q, const char *peer)
{
	COX_CLEANUP(cox_csr_free_p) struct cox_csr *csr = NULL;
	COX_CLEANUP(cox_cert_free_p) struct cox_cert *cert = NULL;
	COX_CLEANUP(cox_buf_fini) struct cox_buf pem = COX_BUF_INIT;
	Coxswain__Enrol__V1__EnrolResponse response = COXSWAIN__ENROL__V1__ENROL_RESPONSE__INIT;
	struct cox_issuer issuer = {.ca = w.agents_ca,
				    .key = w.agents_key,
				    .now_ms = cox_clock_wall_ms(),
				    .lifetime_ms = COX_CLIENT_CERT_LIFETIME_MS};
	struct cox_str der =
		cox_str_n((const char *)q->certificate_request.data, q->certificate_request.len);

	(void)ctx;
	(void)peer;
	if (strcmp(q->token, w.token) != 0 || strcmp(q->cluster, "here") != 0) {
		w.n_refused++;
		cox_rpc_enrolment_refuse(enrolment, COX_PERMISSION_DENIED, "no such token");
		return;
	}
	assert_int_equal(cox_csr_parse(der, &csr, NULL), 0);
	assert_int_equal(cox_issue_client(&issuer, csr, DOMAIN, "here", &cert, NULL), 0);
	cox_cert_to_pem(cert, &pem);
	response.certificate_chain.data = (uint8_t *)pem.ptr;
	response.certificate_chain.len = pem.len;
	response.hub_ca.data = (uint8_t *)w.hub_ca_pem;
	response.hub_ca.len = strlen(w.hub_ca_pem);
	response.trust_domain = (char *)DOMAIN;
	w.n_enrolled++;
	cox_rpc_enrolment_reply(enrolment, &response);
}

static const struct cox_rpc_server_events server_events = {
	.on_up = on_up, .on_down = on_down, .on_enrol = on_enrol};

static void make_pki(void)
{
	const char *names[] = {"127.0.0.1"};
	COX_CLEANUP(cox_buf_fini)
	struct cox_buf chain = COX_BUF_INIT, key = COX_BUF_INIT, clients = COX_BUF_INIT,
		       ca = COX_BUF_INIT;
	int64_t now = cox_clock_wall_ms();
	uint8_t pin[COX_SHA256_BYTES];
	struct cox_error err;

	assert_int_equal(cox_ca_create(COX_CA_HUB, DOMAIN, now, &w.hub_key, &w.hub_ca, NULL), 0);
	assert_int_equal(
		cox_ca_create(COX_CA_AGENTS, DOMAIN, now, &w.agents_key, &w.agents_ca, NULL), 0);
	assert_int_equal(cox_key_generate(&w.server_key, NULL), 0);
	struct cox_issuer issuer = {.ca = w.hub_ca,
				    .key = w.hub_key,
				    .now_ms = now,
				    .lifetime_ms = COX_SERVER_CERT_LIFETIME_MS};

	assert_int_equal(cox_issue_server(&issuer, w.server_key, names, 1, &w.server_cert, NULL),
			 0);
	cox_cert_to_pem(w.server_cert, &chain);
	cox_cert_to_pem(w.hub_ca, &chain);
	cox_cert_to_pem(w.hub_ca, &ca);
	cox_cert_to_pem(w.agents_ca, &clients);
	cox_key_to_pem(w.server_key, &key);
	w.hub_ca_pem = cox_buf_take(&ca);
	cox_cert_pin(w.hub_ca, pin);
	cox_hex_encode(pin, sizeof(pin), w.pin);
	if (cox_tls_server_new(
		    &(struct cox_tls_server_options){.chain_pem = cox_buf_str(&chain),
						     .key_pem = cox_buf_str(&key),
						     .client_ca_pem = cox_buf_str(&clients)},
		    &w.tls, &err) < 0)
		fail_msg("%s", err.message);
}

static void start_hub(const char *listen, uint64_t epoch)
{
	struct cox_error err;

	w.endpoint = (struct cox_rpc_endpoint){.loop = w.loop,
					       .services = services,
					       .n_services = 3,
					       .software_version = "test",
					       .instance_uuid = "hub",
					       .boot_id = "boot",
					       .highest_epoch = epoch};
	w.stopped = false;
	if (cox_rpc_server_new(&w.endpoint,
			       &(struct cox_rpc_server_options){
				       .listen = listen, .tls = w.tls, .enrol_interval_ms = 1},
			       &server_events, NULL, &w.server, &err) < 0)
		fail_msg("%s", err.message);
	snprintf(w.address, sizeof(w.address), "%s", cox_rpc_server_address(w.server));
}

static void server_stopped(void *arg)
{
	(void)arg;
	w.stopped = true;
}

static void stop_hub(void)
{
	if (!w.server)
		return;
	cox_rpc_server_stop(TAKE(w.server), 1, server_stopped, NULL);
	WAIT("the hub to stop", w.stopped);
}

/* ---- the agent ---- */

static void want_bundle(void *ctx, const uint8_t digest[COX_SHA256_BYTES])
{
	(void)ctx;
	agent_link_want_bundle(w.link, digest);
}

static void changed(void *ctx, const char *uid)
{
	(void)ctx;
	agent_link_changed(w.link, uid);
}

static void start_agent(const char *pin)
{
	struct cox_kubeconfig *config;
	struct cox_error err;
	static const char text[] =
		"{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: "
		"{server: 'http://127.0.0.1:1'}}], contexts: [{name: c, context: {cluster: c, "
		"user: "
		"u}}], users: [{name: u, user: {}}]}";

	if (cox_kubeconfig_parse(cox_str(text), "test", "/", NULL, &config, &err) < 0 ||
	    cox_kube_new(w.loop, config, NULL, &w.kube, &err) < 0 ||
	    agent_store_open(w.state, &w.store, &err) < 0 ||
	    agent_link_new(&(struct agent_link_options){.loop = w.loop,
							.pool = w.pool,
							.store = w.store,
							.kube = w.kube,
							.cluster = "here",
							.hub = w.address,
							.token_file = w.token_file,
							.ca_pin = pin},
			   &w.link, &err) < 0 ||
	    agent_engine_new(&(struct agent_engine_options){.loop = w.loop,
							    .store = w.store,
							    .kube = w.kube,
							    .want_bundle = want_bundle,
							    .changed = changed},
			     &w.engine, &err) < 0)
		fail_msg("%s", err.message);
	agent_link_start(w.link, w.engine);
}

static void link_stopped(void *arg)
{
	*(bool *)arg = true;
}

static void stop_agent(void)
{
	bool stopped = false;

	if (!w.link)
		return;
	agent_link_stop(w.link, link_stopped, &stopped);
	WAIT("the agent to stop", stopped);
	agent_link_free(w.link);
	agent_engine_free(w.engine);
	cox_kube_free(w.kube);
	agent_store_close(w.store);
	w.link = NULL;
}

static int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	snprintf(w.dir, sizeof(w.dir), "/tmp/cox-link-XXXXXX");
	if (!mkdtemp(w.dir))
		return -1;
	snprintf(w.state, sizeof(w.state), "%s/state", w.dir);
	snprintf(w.token_file, sizeof(w.token_file), "%s/token", w.dir);
	cox_token_new(w.token);
	assert_int_equal(cox_file_write(w.token_file, cox_str(w.token), 0600, NULL), 0);
	assert_int_equal(cox_loop_new(&w.loop, NULL), 0);
	assert_int_equal(cox_pool_new(w.loop, NULL, &w.pool, NULL), 0);
	cox_timer_init(&w.tick, w.loop, tick, NULL);
	tick(NULL);
	make_pki();
	cox_sha256(COX_STR("[]"), w.digest);
	cox_zip_compress(COX_STR("[]"), 0, &w.bundle);
	start_hub("127.0.0.1:0", 1);
	return 0;
}

static void remove_tree(const char *path)
{
	DIR *d = opendir(path);

	for (struct dirent *e; d && (e = readdir(d));) {
		_cleanup_free_ char *name = cox_path_join(path, e->d_name);

		if (e->d_type == DT_REG)
			unlink(name);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static int teardown(void **state)
{
	(void)state;
	stop_agent();
	stop_hub();
	cox_timer_stop(&w.tick);
	cox_pool_free(w.pool);
	cox_loop_free(w.loop);
	cox_tls_context_unref(w.tls);
	cox_key_free(w.hub_key);
	cox_key_free(w.agents_key);
	cox_key_free(w.server_key);
	cox_cert_free(w.hub_ca);
	cox_cert_free(w.agents_ca);
	cox_cert_free(w.server_cert);
	free(w.hub_ca_pem);
	cox_buf_fini(&w.bundle);
	remove_tree(w.state);
	remove_tree(w.dir);
	return 0;
}

/* position 0: inside a snapshot. */
static void send_assignment(const char *uid, uint64_t generation, uint64_t position)
{
	change_msg change = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT;
	Coxswain__Assignment__V1__Assignment m = COXSWAIN__ASSIGNMENT__V1__ASSIGNMENT__INIT;

	m.app_uid = (char *)uid;
	m.app_name = (char *)uid;
	m.instance = (char *)uid;
	m.destination_namespace = (char *)"default";
	m.epoch = 1;
	m.generation = generation;
	m.target_digest.data = m.sync_digest.data = w.digest;
	m.target_digest.len = m.sync_digest.len = 32;
	change.position = position;
	change.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_ASSIGNMENT;
	change.assignment = &m;
	assert_true(cox_rpc_call_send(w.follow, &change.base, NULL) >= 0);
}

static void send_mark(bool begin, uint64_t position)
{
	change_msg change = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT;
	Coxswain__Assignment__V1__SnapshotBegin b = COXSWAIN__ASSIGNMENT__V1__SNAPSHOT_BEGIN__INIT;
	Coxswain__Assignment__V1__SnapshotEnd e = COXSWAIN__ASSIGNMENT__V1__SNAPSHOT_END__INIT;

	e.position = position;
	change.body_case = begin ? COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_SNAPSHOT_BEGIN
				 : COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_SNAPSHOT_END;
	if (begin)
		change.snapshot_begin = &b;
	else
		change.snapshot_end = &e;
	assert_true(cox_rpc_call_send(w.follow, &change.base, NULL) >= 0);
}

/* ---- tests ---- */

static void test_joins_once_and_keeps_its_identity(void **state)
{
	(void)state;
	start_agent(w.pin);
	WAIT("the connection", w.n_up == 1 && w.n_cluster == 1);
	assert_int_equal(w.n_enrolled, 1);
	stop_agent();
	assert_int_equal(unlink(w.token_file), 0);
	start_agent(NULL);
	WAIT("the second connection", w.n_up == 2);
	assert_int_equal(w.n_enrolled, 1);
	w.token_file[0] = '\0';
}

static void test_a_wrong_pin_gives_no_token_away(void **state)
{
	char pin[COX_SHA256_TEXT];

	(void)state;
	memset(pin, '0', sizeof(pin) - 1);
	pin[sizeof(pin) - 1] = '\0';
	start_agent(pin);
	struct cox_rpc_server_stats stats = {0};

	WAIT("the handshake to fail", (cox_rpc_server_stats(w.server, &stats),
				       stats.handshake_failed + stats.handshake_timeout > 0));
	assert_int_equal(w.n_enrolled, 0);
	assert_int_equal(w.n_refused, 0);
}

static void test_follows_from_where_it_was(void **state)
{
	uint8_t empty[32];

	(void)state;
	cox_sha256(COX_STR(""), empty);
	start_agent(w.pin);
	WAIT("the resume", w.follow && w.reports);
	WAIT("the digest", memcmp(w.resume_digest, empty, 32) == 0);
	assert_int_equal(w.resumed, 0);
	send_mark(true, 0);
	send_assignment("a", 1, 0);
	send_assignment("b", 1, 0);
	send_mark(false, 7);
	WAIT("the snapshot to be durable", w.acked == 7);
	WAIT("both to be reported", w.n_full >= 2);
	/* both want the same bundle: one fetch */
	WAIT("the bundle", agent_store_has_bundle(w.store, w.digest));
	assert_int_equal(w.n_fetches, 1);
	send_assignment("a", 2, 8);
	WAIT("the change to be durable", w.acked == 8);
	/* the connection breaks, and it comes back to where it was */
	cox_rpc_conn_close(w.conn, COX_GOAWAY_REBALANCE, "move");
	w.resumed = 0;
	WAIT("the resume", w.n_up == 2 && w.resumed == 8);
	assert_memory_not_equal(w.resume_digest, empty, 32);
	stop_agent();
	w.resumed = 0;
	start_agent(NULL);
	WAIT("the resume after a restart", w.resumed == 8);
	WAIT("everything to be reported anew", w.generation > 0);
}

static void test_half_a_snapshot_moves_nothing(void **state)
{
	(void)state;
	start_agent(w.pin);
	WAIT("the resume", w.follow && w.reports);
	send_mark(true, 0);
	send_assignment("a", 1, 0);
	WAIT("the first half to arrive", w.n_reports > 0);
	cox_rpc_conn_close(w.conn, COX_GOAWAY_REBALANCE, "move");
	w.resumed = 99;
	WAIT("the resume", w.n_up == 2 && w.resumed != 99);
	assert_int_equal(w.resumed, 0);
}

static void test_a_bundle_with_another_digest_is_fetched_again(void **state)
{
	(void)state;
	w.n_bad_fetches = 2;
	start_agent(w.pin);
	WAIT("the resume", w.follow && w.reports);
	send_assignment("a", 1, 1);
	WAIT("the right one", agent_store_has_bundle(w.store, w.digest));
	assert_int_equal(w.n_fetches, 3);
}

static void test_reports_are_differences_until_asked(void **state)
{
	Coxswain__Report__V1__ReportResponse r = COXSWAIN__REPORT__V1__REPORT_RESPONSE__INIT;

	(void)state;
	start_agent(w.pin);
	WAIT("the resume", w.follow && w.reports);
	send_assignment("a", 1, 1);
	WAIT("the first report", w.generation == 1);
	send_assignment("a", 2, 2);
	WAIT("the second report", w.generation == 2);
	assert_true(w.sequence > 1);
	unsigned full = w.n_full;

	r.app_uid = (char *)"a";
	r.want_full = true;
	assert_true(cox_rpc_call_send(w.reports, &r.base, NULL) >= 0);
	WAIT("everything", w.n_full > full);
	assert_int_equal(w.base, 0);
}

static struct {
	bool done;
	int code;
} asked;

static void answered(void *user, const struct cox_rpc_status *status,
		     const ProtobufCMessage *response)
{
	(void)user;
	(void)response;
	asked.done = true;
	asked.code = (int)status->code;
}

static int refresh(const char *uid)
{
	Coxswain__Agent__V1__RefreshRequest q = COXSWAIN__AGENT__V1__REFRESH_REQUEST__INIT;

	asked.done = false;
	q.app_uid = (char *)uid;
	assert_int_equal(cox_rpc_call_unary(w.conn, &coxswain__agent__v1__agent__descriptor,
					    "Refresh", &(struct cox_rpc_call_options){0}, &q.base,
					    answered, NULL, NULL, NULL),
			 0);
	WAIT("the answer", asked.done);
	return asked.code;
}

static void test_serves_the_hub(void **state)
{
	(void)state;
	start_agent(w.pin);
	WAIT("the resume", w.follow && w.reports);
	assert_int_equal(refresh("a"), COX_NOT_FOUND);
	send_assignment("a", 1, 1);
	WAIT("the assignment", w.acked == 1);
	assert_int_equal(refresh("a"), COX_OK);
}

static void test_a_hub_of_the_past_is_refused(void **state)
{
	char address[64];

	(void)state;
	start_agent(w.pin);
	WAIT("the resume", w.follow && w.reports);
	change_msg change = COXSWAIN__ASSIGNMENT__V1__CHANGE__INIT;
	Coxswain__Assignment__V1__Tombstone t = COXSWAIN__ASSIGNMENT__V1__TOMBSTONE__INIT;

	t.app_uid = (char *)"gone";
	t.app_name = (char *)"gone";
	t.epoch = 5;
	t.generation = 1;
	change.position = 1;
	change.body_case = COXSWAIN__ASSIGNMENT__V1__CHANGE__BODY_TOMBSTONE;
	change.tombstone = &t;
	assert_true(cox_rpc_call_send(w.follow, &change.base, NULL) >= 0);
	WAIT("the ack", w.acked == 1);
	snprintf(address, sizeof(address), "%s", w.address);
	stop_hub();
	/* the same hub, as it was before epoch 5 */
	unsigned down = w.n_down;

	w.follow = NULL;
	start_hub(address, 1);
	WAIT("the agent to hang up", w.n_down > down);
	assert_null(w.follow);
	stop_hub();
	start_hub(address, 5);
	WAIT("the agent to follow again", w.follow && w.resumed == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_joins_once_and_keeps_its_identity),
		TEST(test_a_wrong_pin_gives_no_token_away),
		TEST(test_follows_from_where_it_was),
		TEST(test_half_a_snapshot_moves_nothing),
		TEST(test_a_bundle_with_another_digest_is_fetched_again),
		TEST(test_reports_are_differences_until_asked),
		TEST(test_serves_the_hub),
		TEST(test_a_hub_of_the_past_is_refused),
	};

	cox_log_init("test", getenv("COX_TEST_LOG") ? COX_LOG_DEBUG : COX_LOG_ERROR, COX_LOG_TEXT);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	cox_net_fini();
	return failed;
}
