/* The agents' port: who gets in and who does not, joining, caps and deadlines before anybody is
 * known, peers that die, decoding within limits. */
#include "fixture.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/net/stream.h"
#include "proto/assignment.pb-c.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

static struct fixture f;

/* ---- helpers ---- */

static struct cox_rpc_server *server_new(struct cox_tls_context *tls,
					 const struct cox_rpc_server_options *wanted,
					 const struct cox_rpc_server_events *events)
{
	struct cox_rpc_server_options options =
		wanted ? *wanted : (struct cox_rpc_server_options){0};
	struct cox_error err = COX_ERROR_INIT;

	options.listen = "127.0.0.1:0";
	options.tls = tls;
	if (cox_rpc_server_new(&f.hub.endpoint, &options, events, &f, &f.server, &err) < 0)
		fail_msg("%s", err.message);
	return f.server;
}

static struct cox_rpc_server_stats stats_of(void)
{
	struct cox_rpc_server_stats stats;

	cox_rpc_server_stats(f.server, &stats);
	return stats;
}

static bool nothing_pending(void *arg)
{
	(void)arg;
	return stats_of().pending == 0 && stats_of().accepted > 0;
}

/* A TCP client that says nothing. */
static int silent_client(void)
{
	const char *colon = strrchr(cox_rpc_server_address(f.server), ':');
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(colon + 1)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* The other side has closed it. */
static bool is_closed(void *arg)
{
	char byte;
	ssize_t n = recv(*(int *)arg, &byte, 1, 0);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

static bool agent_down(void *arg)
{
	(void)arg;
	return f.agent.is_down;
}

/* Dials the server with this context, waits for the end, and gives the reason. */
static const struct cox_rpc_down *dial_and_fail(struct cox_tls_context *tls)
{
	cox_tls_context_unref(f.agent_tls);
	f.agent_tls = tls;
	f.agent.is_down = false;
	fixture_dial(&f);
	fixture_wait(&f, agent_down, NULL);
	assert_false(f.agent.was_up);
	return &f.agent.down;
}

static struct cox_tls_context *client_context(const struct cox_tls_client_options *options)
{
	struct cox_tls_context *tls = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (cox_tls_client_new(options, &tls, &err) < 0)
		fail_msg("%s", err.message);
	return tls;
}

static void begin_tls(void)
{
	fixture_init(&f, WIRE_TLS, NULL);
}

/* ---- who is let in ---- */

static void test_identity(void **state)
{
	const struct cox_rpc_peer *peer;

	(void)state;
	begin_tls();
	fixture_connect(&f);
	peer = cox_rpc_conn_peer(f.hub.conn);
	assert_string_equal(peer->tls.uri, "spiffe://test/cluster/dev");
	assert_int_equal(strlen(peer->tls.fingerprint), 64);
	assert_int_equal(strlen(peer->tls.spki), 64);
	assert_true(peer->tls.not_after_ms > cox_clock_wall_ms());
	assert_true(peer->tls.not_after_ms < cox_clock_wall_ms() + 2 * 3600 * 1000);
	assert_int_equal(strncmp(peer->address, "127.0.0.1:", 10), 0);
	fixture_fini(&f);
}

static void test_unknown_agents_ca(void **state)
{
	const struct test_pki *p = test_pki();
	const struct cox_rpc_down *down;

	(void)state;
	begin_tls();
	down = dial_and_fail(client_context(
		&(struct cox_tls_client_options){.alpn = COX_ALPN_RPC,
						 .ca_pem = cox_buf_str(&p->hub_ca),
						 .chain_pem = cox_buf_str(&p->other_chain),
						 .key_pem = cox_buf_str(&p->other_key)}));
	assert_int_not_equal(down->error.code, COX_OK);
	fixture_wait(&f, nothing_pending, NULL);
	assert_int_equal(stats_of().handshake_failed, 1);
	fixture_fini(&f);
}

static void test_no_certificate(void **state)
{
	(void)state;
	begin_tls();
	dial_and_fail(client_context(&(struct cox_tls_client_options){
		.alpn = COX_ALPN_RPC, .ca_pem = cox_buf_str(&test_pki()->hub_ca)}));
	fixture_wait(&f, nothing_pending, NULL);
	assert_int_equal(stats_of().handshake_failed, 1);
	fixture_fini(&f);
}

/* The hub's own certificate is of no use as an agent's, nor the other way round. */
static void test_wrong_purpose(void **state)
{
	const struct test_pki *p = test_pki();
	struct cox_tls_server_options server = {.chain_pem = cox_buf_str(&p->agent_chain),
						.key_pem = cox_buf_str(&p->agent_key),
						.client_ca_pem = cox_buf_str(&p->hub_ca)};
	const struct cox_rpc_down *down;

	(void)state;
	begin_tls();
	cox_tls_context_unref(f.hub_tls);
	assert_int_equal(cox_tls_server_new(&server, &f.hub_tls, NULL), 0);
	down = dial_and_fail(client_context(&(struct cox_tls_client_options){
		.alpn = COX_ALPN_RPC, /* trusting the agents' CA for the hub */
		.ca_pem = cox_buf_str(&p->agents_ca),
		.chain_pem = cox_buf_str(&p->hub_chain),
		.key_pem = cox_buf_str(&p->hub_key)}));
	assert_int_equal(down->error.code, COX_UNAUTHENTICATED);
	fixture_fini(&f);
}

static X509 *read_certificate(const struct cox_buf *pem)
{
	BIO *bio = BIO_new_mem_buf(pem->ptr, (int)pem->len);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	assert_non_null(cert);
	BIO_free(bio);
	return cert;
}

static EVP_PKEY *read_key(const struct cox_buf *pem)
{
	BIO *bio = BIO_new_mem_buf(pem->ptr, (int)pem->len);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	assert_non_null(key);
	BIO_free(bio);
	return key;
}

/* The agent's certificate made anew by the agents' CA, with these alternative names and, if wanted,
 * its extended key usage. */
static void issue(const char *names, bool with_usage, struct cox_buf *ret_pem)
{
	const struct test_pki *p = test_pki();
	X509 *ca = read_certificate(&p->agents_ca), *cert = read_certificate(&p->agent_chain);
	EVP_PKEY *key = read_key(&p->agents_ca_key);
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;
	int at;

	assert_non_null(san);
	while ((at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1)) >= 0)
		X509_EXTENSION_free(X509_delete_ext(cert, at));
	while (!with_usage && (at = X509_get_ext_by_NID(cert, NID_ext_key_usage, -1)) >= 0)
		X509_EXTENSION_free(X509_delete_ext(cert, at));
	X509_add_ext(cert, san, -1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	PEM_write_bio_X509(bio, cert);
	n = BIO_get_mem_data(bio, &text);
	cox_buf_add(ret_pem, text, (size_t)n);
	BIO_free(bio);
	X509_EXTENSION_free(san);
	EVP_PKEY_free(key);
	X509_free(cert);
	X509_free(ca);
}

/* Certificates that the right CA signed and that still let nobody in. */
static void test_odd_certificates(void **state)
{
	static const struct {
		const char *names;
		bool with_usage, welcome;
	} rows[] = {
		{"URI:spiffe://test/cluster/dev", true, true},
		{"URI:spiffe://test/cluster/dev", false, false},
		{"URI:spiffe://test/cluster/dev,URI:spiffe://test/cluster/prod", true, false},
		{"DNS:dev", true, false},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		_cleanup_buf_ struct cox_buf chain = COX_BUF_INIT;
		struct cox_tls_client_options options = {
			.alpn = COX_ALPN_RPC,
			.ca_pem = cox_buf_str(&test_pki()->hub_ca),
			.key_pem = cox_buf_str(&test_pki()->agent_key)};

		issue(rows[i].names, rows[i].with_usage, &chain);
		options.chain_pem = cox_buf_str(&chain);
		begin_tls();
		if (rows[i].welcome) {
			cox_tls_context_unref(f.agent_tls);
			f.agent_tls = client_context(&options);
			fixture_connect(&f);
		} else {
			dial_and_fail(client_context(&options));
			fixture_wait(&f, nothing_pending, NULL);
			assert_int_equal(stats_of().handshake_failed, 1);
		}
		fixture_fini(&f);
	}
}

static void test_wrong_server_name(void **state)
{
	const struct test_pki *p = test_pki();
	const struct cox_rpc_down *down;

	(void)state;
	begin_tls();
	down = dial_and_fail(client_context(
		&(struct cox_tls_client_options){.alpn = COX_ALPN_RPC,
						 .ca_pem = cox_buf_str(&p->hub_ca),
						 .chain_pem = cox_buf_str(&p->agent_chain),
						 .key_pem = cox_buf_str(&p->agent_key),
						 .server_name = "hub.example.com"}));
	assert_int_equal(down->error.code, COX_UNAUTHENTICATED);
	assert_non_null(strstr(down->error.message, "ostname"));
	fixture_fini(&f);
}

static void test_unknown_protocol(void **state)
{
	(void)state;
	begin_tls();
	dial_and_fail(client_context(&(struct cox_tls_client_options){
		.alpn = "h2", .ca_pem = cox_buf_str(&test_pki()->hub_ca)}));
	fixture_wait(&f, nothing_pending, NULL);
	assert_int_equal(stats_of().handshake_failed, 1);
	fixture_fini(&f);
}

/* Trusting needs exactly one of a CA and a pin, a key that fits, and text that is PEM. */
static void test_bad_contexts(void **state)
{
	const struct test_pki *p = test_pki();
	const struct cox_tls_client_options rows[] = {
		{.alpn = COX_ALPN_RPC},
		{.alpn = COX_ALPN_RPC, .ca_pem = cox_buf_str(&p->hub_ca), .ca_pin = p->pin},
		{.alpn = COX_ALPN_RPC, .ca_pem = COX_STR("rubbish")},
		{.alpn = COX_ALPN_RPC,
		 .ca_pem = cox_buf_str(&p->hub_ca),
		 .chain_pem = cox_buf_str(&p->agent_chain),
		 .key_pem = cox_buf_str(&p->other_key)},
		{.alpn = COX_ALPN_RPC,
		 .ca_pem = cox_buf_str(&p->hub_ca),
		 .chain_pem = COX_STR("rubbish"),
		 .key_pem = cox_buf_str(&p->other_key)},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		struct cox_tls_context *tls = NULL;
		struct cox_error err;

		assert_int_equal(cox_tls_client_new(&rows[i], &tls, &err), -COX_INVALID_ARGUMENT);
		assert_null(tls);
	}
}

/* ---- before anybody is known ---- */

static void test_handshake_deadline(void **state)
{
	const struct cox_rpc_settings settings = {.handshake_ms = 30};
	int fd;

	(void)state;
	fixture_init(&f, WIRE_TLS, &settings);
	server_new(f.hub_tls, NULL, NULL);
	fd = silent_client();
	fixture_wait(&f, is_closed, &fd);
	fixture_wait(&f, nothing_pending, NULL);
	assert_int_equal(stats_of().handshake_timeout, 1);
	close(fd);
	f.agent.is_down = true;
	fixture_fini(&f);
}

static bool four_came(void *arg)
{
	return stats_of().accepted >= *(uint64_t *)arg;
}

static void test_pending_caps(void **state)
{
	static const struct {
		struct cox_rpc_server_options options;
		bool by_address;
	} rows[] = {{{.max_pending_per_address = 3}, true}, {{.max_pending = 3}, false}};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		struct cox_rpc_server_stats stats;
		int fds[5];
		uint64_t n;

		begin_tls();
		server_new(f.hub_tls, &rows[i].options, NULL);
		for (n = 1; n <= 3; n++)
			fds[n] = silent_client();
		n = 3;
		fixture_wait(&f, four_came, &n);
		assert_int_equal(stats_of().pending, 3);
		fds[4] = silent_client();
		fixture_wait(&f, is_closed, &fds[4]);
		stats = stats_of();
		assert_int_equal(stats.pending, 3);
		assert_int_equal(rows[i].by_address ? stats.refused_address : stats.refused_full,
				 1);
		for (n = 1; n <= 4; n++)
			close(fds[n]);
		fixture_wait(&f, nothing_pending, NULL);
		fds[0] = silent_client(); /* the places are free again */
		n = 5;
		fixture_wait(&f, four_came, &n);
		assert_int_equal(stats_of().pending, 1);
		close(fds[0]);
		f.agent.is_down = true;
		fixture_fini(&f);
	}
}

static bool nobody_waits(void *arg)
{
	(void)arg;
	return stats_of().waiting == 0;
}

/* Over the cap of all, some wait for a place; stopping turns them away. */
static void test_waiting(void **state)
{
	const struct cox_rpc_server_options options = {
		.max_pending = 2, .max_pending_per_address = 5, .max_waiting = 2};
	struct cox_rpc_server_stats stats;
	int fds[6];
	uint64_t n;

	(void)state;
	begin_tls();
	server_new(f.hub_tls, &options, NULL);
	for (n = 1; n <= 4; n++)
		fds[n] = silent_client();
	n = 4;
	fixture_wait(&f, four_came, &n);
	stats = stats_of();
	assert_int_equal(stats.pending, 2);
	assert_int_equal(stats.waiting, 2);
	fds[5] = silent_client();
	fixture_wait(&f, is_closed, &fds[5]);
	assert_int_equal(stats_of().refused_full, 1);
	close(fds[5]);
	for (n = 1; n <= 2; n++)
		close(fds[n]);
	fixture_wait(&f, nobody_waits, NULL);
	assert_true(stats_of().pending <= 2);
	for (n = 3; n <= 4; n++)
		close(fds[n]);
	fixture_wait(&f, nothing_pending, NULL);
	for (n = 1; n <= 3; n++)
		fds[n] = silent_client();
	n = 8;
	fixture_wait(&f, four_came, &n);
	assert_int_equal(stats_of().waiting, 1);
	for (n = 1; n <= 3; n++)
		close(fds[n]);
	f.agent.is_down = true;
	fixture_fini(&f);
}

/* Who stops in the middle of the handshake, or speaks something else, costs a place for a moment. */
static void test_rubbish(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: hub\r\n\r\n";
	int fd;

	(void)state;
	begin_tls();
	server_new(f.hub_tls, NULL, NULL);
	fd = silent_client();
	assert_int_equal(write(fd, request, sizeof(request)), sizeof(request));
	fixture_wait(&f, nothing_pending, NULL);
	assert_int_equal(stats_of().handshake_failed, 1);
	close(fd);
	f.agent.is_down = true;
	fixture_fini(&f);
}

struct attempt {
	bool down;
	struct cox_error error;
};

static void attempt_down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	struct attempt *a = ctx;

	(void)conn;
	a->down = true;
	a->error = why->error;
}

static bool attempt_is_down(void *arg)
{
	return ((struct attempt *)arg)->down;
}

/* A port where nobody listens; a name without a pool to resolve it in; no address at all. */
static void test_dial_refused(void **state)
{
	static const struct cox_rpc_conn_events events = {.on_down = attempt_down};
	struct cox_rpc_dial_options options = {.address = "127.0.0.1:1"};
	struct attempt closed_port = {0}, name = {0};
	struct cox_rpc_conn *conn;

	(void)state;
	fixture_init(&f, WIRE_TCP, NULL);
	assert_int_equal(
		cox_rpc_dial(&f.agent.endpoint, &options, &events, &closed_port, &conn, NULL), 0);
	options.address = "localhost:1";
	assert_int_equal(cox_rpc_dial(&f.agent.endpoint, &options, &events, &name, &conn, NULL), 0);
	options.address = "nowhere";
	assert_int_equal(cox_rpc_dial(&f.agent.endpoint, &options, &events, &name, &conn, NULL),
			 -COX_INVALID_ARGUMENT);
	fixture_wait(&f, attempt_is_down, &closed_port);
	fixture_wait(&f, attempt_is_down, &name);
	assert_int_equal(closed_port.error.code, COX_UNAVAILABLE);
	assert_non_null(strstr(closed_port.error.message, "'127.0.0.1:1'"));
	assert_int_equal(name.error.code, COX_INVALID_ARGUMENT);
	f.agent.is_down = true;
	fixture_fini(&f);
}

static void test_dial_by_name(void **state)
{
	static const struct cox_rpc_conn_events events = {.on_down = attempt_down};
	struct cox_rpc_dial_options options = {0};
	struct attempt a = {0};
	struct cox_rpc_conn *conn;
	struct cox_pool *pool;
	_cleanup_free_ char *address = NULL;

	(void)state;
	fixture_init(&f, WIRE_TCP, NULL);
	assert_int_equal(cox_pool_new(f.loop, NULL, &pool, NULL), 0);
	server_new(NULL, NULL, NULL);
	address = cox_asprintf("localhost%s", strrchr(cox_rpc_server_address(f.server), ':'));
	options.address = address;
	options.pool = pool;
	assert_int_equal(cox_rpc_dial(&f.agent.endpoint, &options, &events, &a, &conn, NULL), 0);
	cox_rpc_conn_close(conn, COX_GOAWAY_SHUTDOWN, "changed my mind"); /* while it resolves */
	assert_false(a.down);
	fixture_wait(&f, attempt_is_down, &a);
	assert_string_equal(a.error.message, "changed my mind");

	options.address = "no-such-host.invalid:1";
	a.down = false;
	assert_int_equal(cox_rpc_dial(&f.agent.endpoint, &options, &events, &a, &conn, NULL), 0);
	fixture_wait(&f, attempt_is_down, &a);
	assert_non_null(strstr(a.error.message, "cannot resolve 'no-such-host.invalid'"));
	cox_pool_free(pool);
	f.agent.is_down = true;
	fixture_fini(&f);
}

/* ---- peers that die ---- */

static void test_dead_peer(void **state)
{
	const struct cox_rpc_settings settings = {.keepalive_ms = 20, .keepalive_dead_ms = 20};
	const struct cox_rpc_call_options options = {.kind = COX_RPC_BIDI};
	struct seen seen;

	(void)state;
	fixture_init(&f, WIRE_PIPE, &settings);
	fixture_connect(&f);
	begin(&f.agent, &seen, "Hold", &options);
	cox_pipe_freeze(f.pipe_hub);
	cox_pipe_freeze(f.pipe_agent);
	fixture_wait(&f, both_down, &f);
	assert_non_null(strstr(f.agent.down.error.message, "silent for"));
	assert_non_null(strstr(f.hub.down.error.message, "silent for"));
	assert_int_equal(seen.code, COX_UNAVAILABLE);
	fixture_fini(&f);
}

/* It shook hands on TCP and says no hello. */
static void test_half_open(void **state)
{
	const struct cox_rpc_settings settings = {.handshake_ms = 30};

	(void)state;
	fixture_init(&f, WIRE_PIPE, &settings);
	cox_pipe_new(f.loop, 0, &f.pipe_hub, &f.pipe_agent);
	{
		static const struct cox_rpc_conn_events events = {.on_down = attempt_down};
		static const struct cox_conn_owner owner = {.on_down = attempt_down};
		struct attempt a = {0};

		(void)events;
		cox_conn_attach(cox_conn_new(&f.hub.endpoint, true, &owner, &a), f.pipe_hub, NULL);
		fixture_wait(&f, attempt_is_down, &a);
		assert_int_equal(a.error.code, COX_DEADLINE_EXCEEDED);
		cox_wire_free(f.pipe_agent);
	}
	cox_loop_free(f.loop);
}

/* ---- joining ---- */

struct joined {
	bool done;
	enum cox_code code;
	char message[256];
	char chain[64];
};

static void join_done(void *ctx, const struct cox_rpc_status *status,
		      const Coxswain__Enrol__V1__EnrolResponse *response)
{
	struct joined *j = ctx;

	assert_false(j->done);
	j->done = true;
	j->code = status->code;
	snprintf(j->message, sizeof(j->message), "%s", status->message);
	assert_int_equal(response != NULL, status->code == COX_OK);
	if (response)
		snprintf(j->chain, sizeof(j->chain), "%.*s", (int)response->certificate_chain.len,
			 (const char *)response->certificate_chain.data);
}

static bool join_is_done(void *arg)
{
	return ((struct joined *)arg)->done;
}

static struct cox_rpc_enrolment *kept;

static void on_enrol(void *ctx, struct cox_rpc_enrolment *enrolment,
		     const Coxswain__Enrol__V1__EnrolRequest *request, const char *peer_address)
{
	Coxswain__Enrol__V1__EnrolResponse response = COXSWAIN__ENROL__V1__ENROL_RESPONSE__INIT;

	(void)ctx;
	assert_int_equal(strncmp(peer_address, "127.0.0.1:", 10), 0);
	assert_string_equal(request->cluster, "dev");
	if (strcmp(request->token, "later") == 0) {
		kept = enrolment;
		return;
	}
	if (strcmp(request->token, "good") != 0) {
		cox_rpc_enrolment_refuse(enrolment, COX_PERMISSION_DENIED, "no such token");
		return;
	}
	response.certificate_chain.data = (uint8_t *)"a chain";
	response.certificate_chain.len = 7;
	response.trust_domain = (char *)"test";
	cox_rpc_enrolment_reply(enrolment, &response);
}

static const struct cox_rpc_server_events enrol_events = {.on_enrol = on_enrol};

static void join(const char *token, const uint8_t *pin, size_t padding, struct joined *j)
{
	Coxswain__Enrol__V1__EnrolRequest request = COXSWAIN__ENROL__V1__ENROL_REQUEST__INIT;
	struct cox_tls_context *tls = client_context(
		&(struct cox_tls_client_options){.alpn = COX_ALPN_ENROL, .ca_pin = pin});
	struct cox_rpc_dial_options options = {.address = cox_rpc_server_address(f.server),
					       .tls = tls};
	_cleanup_free_ uint8_t *bytes = cox_malloc(padding + 1);
	struct cox_error err = COX_ERROR_INIT;
	int r;

	memset(bytes, 1, padding);
	request.cluster = (char *)"dev";
	request.token = (char *)token;
	request.certificate_request.data = bytes;
	request.certificate_request.len = padding;
	*j = (struct joined){0};
	r = cox_rpc_enrol(f.loop, &options, &request, join_done, j, &err);
	cox_tls_context_unref(tls);
	if (r < 0) {
		j->done = true;
		j->code = (enum cox_code)err.code;
	}
}

static void begin_enrol(uint32_t interval_ms)
{
	const struct cox_rpc_server_options options = {.enrol_interval_ms = interval_ms};

	begin_tls();
	server_new(f.hub_tls, &options, &enrol_events);
}

static void end_enrol(void)
{
	f.agent.is_down = true;
	fixture_wait(&f, nothing_pending, NULL);
	fixture_fini(&f);
}

static void wait_ms(int64_t ms);

static void test_join(void **state)
{
	struct joined j;

	(void)state;
	begin_enrol(1);
	join("good", test_pki()->pin, 300, &j);
	fixture_wait(&f, join_is_done, &j);
	assert_int_equal(j.code, COX_OK);
	assert_string_equal(j.chain, "a chain");
	wait_ms(2);
	join("bad", test_pki()->pin, 300, &j);
	fixture_wait(&f, join_is_done, &j);
	assert_int_equal(j.code, COX_PERMISSION_DENIED);
	assert_string_equal(j.message, "no such token");
	wait_ms(2);
	join("later", test_pki()->pin, 300, &j);
	while (!kept)
		wait_ms(1);
	assert_false(j.done);
	cox_rpc_enrolment_refuse(kept, COX_UNAVAILABLE, "no longer");
	kept = NULL;
	fixture_wait(&f, join_is_done, &j);
	assert_int_equal(j.code, COX_UNAVAILABLE);
	end_enrol();
}

static void timer_fired(void *arg)
{
	*(bool *)arg = true;
}

static bool flag_is_set(void *arg)
{
	return *(bool *)arg;
}

/* The loop's own clock, for limits that are times. */
static void wait_ms(int64_t ms)
{
	struct cox_timer timer = {0};
	bool fired = false;

	cox_timer_init(&timer, f.loop, timer_fired, &fired);
	cox_timer_start(&timer, ms);
	fixture_wait(&f, flag_is_set, &fired);
}

/* Whoever meets the hub for the first time knows it by the pin, and by nothing else. */
static void test_join_wrong_pin(void **state)
{
	uint8_t pin[32];
	struct joined j;

	(void)state;
	memcpy(pin, test_pki()->pin, sizeof(pin));
	pin[31] ^= 1;
	begin_enrol(1);
	join("good", pin, 300, &j);
	fixture_wait(&f, join_is_done, &j);
	assert_int_equal(j.code, COX_UNAUTHENTICATED);
	end_enrol();
}

/* The pin is met by a CA in the chain, never by a leaf. */
static void test_join_leaf_pin(void **state)
{
	uint8_t pin[32];
	struct joined j;

	(void)state;
	assert_int_equal(cox_tls_spki_pin(cox_buf_str(&test_pki()->hub_chain), pin, NULL), 0);
	begin_enrol(1);
	join("good", pin, 300, &j);
	fixture_wait(&f, join_is_done, &j);
	assert_int_equal(j.code, COX_UNAUTHENTICATED);
	end_enrol();
}

static void test_join_too_often(void **state)
{
	struct joined j;

	(void)state;
	begin_enrol(60000);
	join("bad", test_pki()->pin, 300, &j);
	fixture_wait(&f, join_is_done, &j);
	assert_int_equal(j.code, COX_PERMISSION_DENIED);
	join("good", test_pki()->pin, 300, &j);
	fixture_wait(&f, join_is_done, &j);
	assert_int_equal(j.code, COX_RESOURCE_EXHAUSTED);
	assert_int_equal(stats_of().enrol_limited, 1);
	end_enrol();
}

static void test_join_too_long(void **state)
{
	Coxswain__Enrol__V1__EnrolRequest request = COXSWAIN__ENROL__V1__ENROL_REQUEST__INIT;
	size_t overhead, limit = 8 << 10;
	struct joined j;

	(void)state;
	request.cluster = (char *)"dev";
	request.token = (char *)"good";
	request.certificate_request.data = (uint8_t *)"x";
	request.certificate_request.len = 1;
	/* a length of over 127 takes a second byte */
	overhead = coxswain__enrol__v1__enrol_request__get_packed_size(&request) - 1 + 1;
	begin_enrol(1);
	for (size_t n = limit - 1; n <= limit + 1; n++) {
		join("good", test_pki()->pin, n - overhead, &j);
		fixture_wait(&f, join_is_done, &j);
		assert_int_equal(j.code, n > limit ? COX_INVALID_ARGUMENT : COX_OK);
		wait_ms(2);
	}
	end_enrol();
}

/* ---- decoding ---- */

static void decode_list(size_t n, size_t quota, int expected)
{
	Coxswain__Assignment__V1__Policy policy = COXSWAIN__ASSIGNMENT__V1__POLICY__INIT;
	char **options = cox_new_n(char *, n + 1);
	struct cox_rpc_message *message = NULL;
	struct cox_error err = COX_ERROR_INIT;
	uint8_t *bytes;
	size_t len;
	int r;

	for (size_t i = 0; i < n; i++)
		options[i] = (char *)"a";
	policy.n_sync_options = n;
	policy.sync_options = options;
	len = coxswain__assignment__v1__policy__get_packed_size(&policy);
	bytes = cox_malloc(len + 1);
	coxswain__assignment__v1__policy__pack(&policy, bytes);
	r = cox_rpc_decode(&coxswain__assignment__v1__policy__descriptor, bytes, len, quota,
			   &message, &err);
	if (r != expected)
		fail_msg("%zu entries: %d %s", n, r, err.message);
	if (r == 0)
		assert_int_equal(
			((const Coxswain__Assignment__V1__Policy *)message->base)->n_sync_options,
			n);
	cox_rpc_message_free(message);
	free(bytes);
	free(options);
}

static void test_decode_limits(void **state)
{
	static const char bad_text[] = {0x0a, 0x02, (char)0xc3, 0x28};
	static const char bad_wire[] = {0x0a, 0x7f, 'a'};
	struct cox_rpc_message *message = NULL;

	(void)state;
	decode_list(COX_LIMIT_REPEATED - 1, COX_LIMIT_DECODE_BYTES, 0);
	decode_list(COX_LIMIT_REPEATED, COX_LIMIT_DECODE_BYTES, 0);
	decode_list(COX_LIMIT_REPEATED + 1, COX_LIMIT_DECODE_BYTES, -COX_RESOURCE_EXHAUSTED);
	decode_list(5000, 16 << 10, -COX_RESOURCE_EXHAUSTED); /* 15 KB grow to more than 80 */
	assert_int_equal(cox_rpc_decode(&coxswain__assignment__v1__key_value__descriptor, bad_text,
					sizeof(bad_text), 1 << 20, &message, NULL),
			 -COX_INVALID_ARGUMENT);
	assert_int_equal(cox_rpc_decode(&coxswain__assignment__v1__key_value__descriptor, bad_wire,
					sizeof(bad_wire), 1 << 20, &message, NULL),
			 -COX_INVALID_ARGUMENT);
}

/* A message that is small on the wire and huge in memory: fields that nobody knows. */
static void test_decode_bomb(void **state)
{
	size_t n = 4 << 20;
	uint8_t *bytes = cox_malloc(n);
	struct cox_rpc_message *message = NULL;

	(void)state;
	for (size_t i = 0; i < n; i += 2) {
		bytes[i] = 15 << 3; /* field 15, a number */
		bytes[i + 1] = 0;
	}
	assert_int_equal(cox_rpc_decode(&coxswain__assignment__v1__key_value__descriptor, bytes, n,
					COX_LIMIT_DECODE_BYTES, &message, NULL),
			 -COX_RESOURCE_EXHAUSTED);
	free(bytes);
}

/* ---- coming back ---- */

static void test_backoff(void **state)
{
	struct cox_rpc_down down = {.retry_after_ms = 5000};
	struct cox_rpc_backoff backoff;
	int64_t limit = 500;

	(void)state;
	cox_rpc_backoff_init(&backoff);
	for (int i = 0; i < 20; i++) {
		assert_in_range(cox_rpc_backoff_next_ms(&backoff, NULL, 1), 0, limit);
		limit = limit * 2 < 60000 ? limit * 2 : 60000;
	}
	cox_rpc_backoff_up(&backoff, 1000);
	cox_rpc_backoff_next_ms(&backoff, NULL, 1000 + 59999);
	assert_int_not_equal(backoff.attempt, 1); /* up too shortly to begin anew */
	cox_rpc_backoff_up(&backoff, 1000);
	assert_in_range(cox_rpc_backoff_next_ms(&backoff, &down, 1000 + 60000), 5000, 6000);
	assert_int_equal(backoff.attempt, 1);
}

static int teardown(void **state)
{
	(void)state;
	test_pki_free();
	cox_net_fini();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_unknown_agents_ca),
		cmocka_unit_test(test_no_certificate),
		cmocka_unit_test(test_wrong_purpose),
		cmocka_unit_test(test_odd_certificates),
		cmocka_unit_test(test_wrong_server_name),
		cmocka_unit_test(test_unknown_protocol),
		cmocka_unit_test(test_bad_contexts),
		cmocka_unit_test(test_handshake_deadline),
		cmocka_unit_test(test_pending_caps),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_rubbish),
		cmocka_unit_test(test_dial_refused),
		cmocka_unit_test(test_dial_by_name),
		cmocka_unit_test(test_dead_peer),
		cmocka_unit_test(test_half_open),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_join_wrong_pin),
		cmocka_unit_test(test_join_leaf_pin),
		cmocka_unit_test(test_join_too_often),
		cmocka_unit_test(test_join_too_long),
		cmocka_unit_test(test_decode_limits),
		cmocka_unit_test(test_decode_bomb),
		cmocka_unit_test(test_backoff),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
