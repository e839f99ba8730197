/* The RPC runtime over TLS on loopback: a hub in this process, its agents in a child.
 *
 *	bench_rpc [CONNECTIONS]
 *
 * Prints: time and hub CPU to connect them all (full handshakes, both certificates verified, hellos),
 * hub memory for each idle connection (private dirty, smaps_rollup), unary calls a second (256 bytes
 * each way, 64 connections with 8 calls each), the round trip of one call at a time, bulk over one
 * connection, and the round trip of a lane-1 call on that same connection while the bulk flows. */
#include "../../unit/net_rpc/fixture.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ACTIVE = 64, DEPTH = 8, RUN_MS = 2000, SAMPLES = 20000, AT_ONCE = 200 };

static const ProtobufCMethodDescriptor bench_methods[] = {
	{"Bulk", &coxswain__bundle__v1__chunk__descriptor,
	 &coxswain__bundle__v1__chunk__descriptor},
	{"Echo", &coxswain__bundle__v1__chunk__descriptor,
	 &coxswain__bundle__v1__chunk__descriptor},
};
static const unsigned bench_by_name[] = {0, 1};
static const ProtobufCServiceDescriptor bench_descriptor = {
	.magic = PROTOBUF_C__SERVICE_DESCRIPTOR_MAGIC,
	.name = "bench.Bench",
	.short_name = "Bench",
	.c_name = "Bench",
	.package = "bench",
	.n_methods = 2,
	.methods = bench_methods,
	.method_indices_by_name = bench_by_name,
};

static struct cox_loop *loop;
static uint8_t block[64 << 10];

static void die(const char *what, const struct cox_error *err)
{
	fprintf(stderr, "%s: %s\n", what, err->message);
	exit(1);
}

static size_t private_kb(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char line[256];
	size_t kb = 0;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "Private_Dirty: %zu", &kb);
	if (f)
		fclose(f);
	return kb;
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* ---- the hub ---- */

static void echo_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	cox_rpc_call_reply(call, msg);
}

static void bulk(struct cox_rpc_call *call)
{
	chunk c = COXSWAIN__BUNDLE__V1__CHUNK__INIT;

	c.data.data = block;
	c.data.len = sizeof(block);
	while (cox_rpc_call_is_writable(call))
		cox_rpc_call_send(call, &c.base, NULL);
}

static void bulk_message(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	(void)msg;
	bulk(call);
}

static const struct cox_rpc_method hub_methods[] = {
	{.name = "Echo", .kind = COX_RPC_UNARY, .on_message = echo_message},
	{.name = "Bulk",
	 .kind = COX_RPC_SERVER_STREAM,
	 .on_message = bulk_message,
	 .on_writable = bulk},
};
static const struct cox_rpc_service hub_service = {&bench_descriptor, hub_methods, 2, NULL};
static const struct cox_rpc_service *const hub_services[] = {&hub_service};

struct hub {
	size_t n_up, wanted;
	int from_child;
};

static void hub_up(void *ctx, struct cox_rpc_conn *conn)
{
	(void)conn;
	((struct hub *)ctx)->n_up++;
}

static bool all_up(void *arg)
{
	struct hub *hub = arg;

	return hub->n_up == hub->wanted;
}

static bool child_is_done(void *arg)
{
	return waitpid(*(pid_t *)arg, NULL, WNOHANG) > 0;
}

static void stopped(void *arg)
{
	*(bool *)arg = true;
}

static bool is_set(void *arg)
{
	return *(bool *)arg;
}

static void tick(void *arg)
{
	cox_timer_start(arg, 20); /* so that the wait below is asked again */
}

static void run_hub(size_t n, int to_child, int from_child, pid_t child)
{
	struct hub hub = {.wanted = n, .from_child = from_child};
	struct cox_rpc_endpoint endpoint = {
		.services = hub_services, .n_services = 1, .settings.max_opens_per_s = 1000000};
	struct cox_rpc_server_options options = {
		.listen = "127.0.0.1:0", .max_pending = 100000, .max_pending_per_address = 100000};
	struct cox_rpc_server_events events = {.on_up = hub_up};
	struct cox_rpc_server *server;
	struct cox_timer timer = {0};
	struct cox_error err;
	bool done = false;
	size_t before;
	double cpu;

	if (cox_loop_new(&loop, &err) < 0)
		die("loop", &err);
	endpoint.loop = loop;
	options.tls = test_hub_tls();
	if (cox_rpc_server_new(&endpoint, &options, &events, &hub, &server, &err) < 0)
		die("server", &err);
	before = private_kb();
	cpu = cpu_s();
	dprintf(to_child, "%s\n", cox_rpc_server_address(server));
	if (cox_loop_wait(loop, all_up, &hub, 120000, &err) < 0)
		die("connect", &err);
	printf("hub: %.2f ms CPU and %.1f KiB private memory a connection\n",
	       (cpu_s() - cpu) * 1000 / (double)n, (double)(private_kb() - before) / (double)n);
	fflush(stdout);
	dprintf(to_child, "go\n");
	cox_timer_init(&timer, loop, tick, &timer);
	cox_timer_start(&timer, 20);
	if (cox_loop_wait(loop, child_is_done, &child, 120000, &err) < 0)
		die("agents", &err);
	cox_timer_stop(&timer);
	cox_rpc_server_stop(server, 0, stopped, &done);
	if (cox_loop_wait(loop, is_set, &done, 20000, &err) < 0)
		die("stop", &err);
	cox_tls_context_unref(options.tls);
	cox_loop_free(loop);
	cox_net_fini();
}

/* ---- the agents ---- */

struct agents {
	struct cox_rpc_endpoint endpoint;
	struct cox_rpc_dial_options dial;
	struct cox_rpc_conn **conns;
	size_t n, n_up, n_begun;
	bool stop;
	uint64_t n_calls, n_bytes;
	int64_t began_us;
	size_t n_samples;
	int64_t samples[SAMPLES];
	unsigned in_flight;
};

static void dial_more(struct agents *a);

static void agent_up(void *ctx, struct cox_rpc_conn *conn)
{
	struct agents *a = ctx;

	a->conns[a->n_up++] = conn;
	dial_more(a);
}

static void agent_down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	(void)ctx;
	(void)conn;
	if (!why->was_up)
		die("dial", &why->error);
}

static void dial_more(struct agents *a)
{
	static const struct cox_rpc_conn_events events = {.on_up = agent_up, .on_down = agent_down};
	struct cox_rpc_conn *conn;
	struct cox_error err;

	while (a->n_begun < a->n && a->n_begun - a->n_up < AT_ONCE) {
		a->n_begun++;
		if (cox_rpc_dial(&a->endpoint, &a->dial, &events, a, &conn, &err) < 0)
			die("dial", &err);
	}
}

static bool agents_up(void *arg)
{
	struct agents *a = arg;

	return a->n_up == a->n;
}

struct caller {
	struct agents *agents;
	struct cox_rpc_conn *conn;
	int64_t began_us;
};

static void call_again(struct caller *c);

static void called(void *user, const struct cox_rpc_status *status,
		   const ProtobufCMessage *response)
{
	struct caller *c = user;
	struct agents *a = c->agents;

	(void)response;
	COX_ASSERT(status->code == COX_OK);
	a->n_calls++;
	a->in_flight--;
	if (a->n_samples < SAMPLES)
		a->samples[a->n_samples++] = cox_clock_us() - c->began_us;
	if (!a->stop)
		call_again(c);
}

static void call_again(struct caller *c)
{
	static const struct cox_rpc_call_options options = {.lane = COX_LANE_ASSIGNMENT};
	chunk request = COXSWAIN__BUNDLE__V1__CHUNK__INIT;
	struct cox_error err;

	request.data.data = block;
	request.data.len = 256;
	c->began_us = cox_clock_us();
	c->agents->in_flight++;
	if (cox_rpc_call_unary(c->conn, &bench_descriptor, "Echo", &options, &request.base, called,
			       c, NULL, &err) < 0)
		die("call", &err);
}

static void time_is_over(void *arg)
{
	((struct agents *)arg)->stop = true;
}

static bool is_quiet(void *arg)
{
	struct agents *a = arg;

	return a->stop && a->in_flight == 0;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* n_conns x depth callers for RUN_MS; prints calls and round trips. */
static void run_calls(struct agents *a, size_t n_conns, size_t depth, const char *what)
{
	struct caller *callers = cox_new_n(struct caller, n_conns * depth);
	struct cox_timer timer = {0};
	struct cox_error err;

	a->stop = false;
	a->n_calls = a->n_samples = 0;
	cox_timer_init(&timer, loop, time_is_over, a);
	cox_timer_start(&timer, RUN_MS);
	for (size_t i = 0; i < n_conns * depth; i++) {
		callers[i] = (struct caller){.agents = a, .conn = a->conns[i % n_conns]};
		call_again(&callers[i]);
	}
	if (cox_loop_wait(loop, is_quiet, a, 60000, &err) < 0)
		die(what, &err);
	qsort(a->samples, a->n_samples, sizeof(a->samples[0]), by_size);
	printf("%s: %.0f calls/s, round trip p50 %lld us, p99 %lld us\n", what,
	       (double)a->n_calls * 1000 / RUN_MS, (long long)a->samples[a->n_samples / 2],
	       (long long)a->samples[a->n_samples * 99 / 100]);
	fflush(stdout);
	free(callers);
}

static void bulk_came(struct cox_rpc_call *call, const ProtobufCMessage *msg)
{
	struct agents *a = cox_rpc_call_user(call);

	a->n_bytes += ((const chunk *)msg)->data.len;
}

static void run_bulk(struct agents *a)
{
	static const struct cox_rpc_call_events events = {.on_message = bulk_came};
	static const struct cox_rpc_call_options options = {.kind = COX_RPC_SERVER_STREAM,
							    .lane = COX_LANE_BULK};
	chunk request = COXSWAIN__BUNDLE__V1__CHUNK__INIT;
	struct cox_rpc_call *call;
	struct cox_error err;
	int64_t began_us = cox_clock_us();

	if (cox_rpc_call_start(a->conns[0], &bench_descriptor, "Bulk", &options, &events, a, &call,
			       &err) < 0)
		die("bulk", &err);
	cox_rpc_call_send_last(call, &request.base, NULL);
	run_calls(a, 1, 1, "one call at a time beside bulk on its connection");
	printf("bulk on one connection meanwhile: %.0f MB/s\n",
	       (double)a->n_bytes / (double)(cox_clock_us() - began_us));
	cox_rpc_call_cancel(call);
}

static void run_agents(size_t n, int from_hub)
{
	struct agents *a = cox_new(struct agents);
	char address[128];
	FILE *in = fdopen(from_hub, "r");
	struct cox_error err;
	int64_t began_us;

	if (!fgets(address, sizeof(address), in))
		exit(1);
	address[strcspn(address, "\n")] = '\0';
	if (cox_loop_new(&loop, &err) < 0)
		die("loop", &err);
	a->n = n;
	a->conns = cox_new_n(struct cox_rpc_conn *, n);
	a->endpoint.loop = loop;
	a->endpoint.settings.handshake_ms = 60000;
	a->dial = (struct cox_rpc_dial_options){.address = address, .tls = test_agent_tls()};
	began_us = cox_clock_us();
	dial_more(a);
	if (cox_loop_wait(loop, agents_up, a, 120000, &err) < 0)
		die("connect", &err);
	printf("%zu agents connected in %.2f s\n", n, (double)(cox_clock_us() - began_us) / 1e6);
	fflush(stdout);
	if (!fgets(address, sizeof(address), in))
		exit(1);
	run_calls(a, n < ACTIVE ? n : ACTIVE, DEPTH, "64 connections, 8 calls each, 256 bytes");
	run_calls(a, 1, 1, "one call at a time");
	run_bulk(a);
	fflush(stdout);
	_exit(0); /* as agents die */
}

int main(int argc, char *argv[])
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	int to_child[2], from_child[2];
	pid_t child;

	if (pipe(to_child) < 0 || pipe(from_child) < 0)
		return 1;
	test_pki(); /* before the fork: both sides know it */
	fflush(stdout);
	child = fork(); /* before the first word to nng */
	if (child == 0)
		run_agents(n, to_child[0]);
	run_hub(n, to_child[1], from_child[0], child);
	return 0;
}
