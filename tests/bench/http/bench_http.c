/* bench http: the HTTP server on a thread of its own against raw keep-alive clients in this one, over
 * loopback, 1 KiB of JSON a reply.
 *
 * Method: N connections, one request outstanding on each, for a fixed time; requests a second by the
 * wall clock, the server's own CPU a request by its thread's clock, and what an idle connection
 * adds to the resident memory of the process (both ends: a client's end here is a descriptor and
 * an event). Then the same number of calls by the HTTP client, as a user of it sees them. */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/net/http_client.h"
#include "common/net/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RUN_MS = 2000, BODY = 1024, MAX_IDLE = 2000 };

static const char request[] = "GET /api/v1/namespaces/default/configmaps/x?limit=50 HTTP/1.1\r\n"
			      "Host: 127.0.0.1\r\nAccept: application/json\r\n"
			      "User-Agent: bench\r\n\r\n";

static struct cox_loop *server_loop;
static struct cox_http_server *server;
static pthread_t server_thread;
static char body[BODY + 1];
static char address[64];
static uint16_t port;

static void handle(void *arg, struct cox_http_request *r)
{
	(void)arg;
	cox_http_reply(r, 200, "application/json", cox_str_n(body, BODY));
}

static void *serve(void *arg)
{
	(void)arg;
	cox_loop_run(server_loop);
	return NULL;
}

static double server_cpu(void)
{
	struct timespec t;
	clockid_t clock;

	pthread_getcpuclockid(server_thread, &clock);
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long resident_kb(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*s %ld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- raw clients ---- */

struct raw {
	struct cox_io io;
	int fd;
	size_t got, wanted; /* bytes of the reply; wanted 0: not known yet */
};

static long n_replies;

static void ask(struct raw *c)
{
	c->got = 0;
	COX_ASSERT(write(c->fd, request, sizeof(request) - 1) == sizeof(request) - 1);
}

static void on_reply(void *arg, int events)
{
	struct raw *c = arg;
	char bytes[8192];
	ssize_t n = read(c->fd, bytes, sizeof(bytes));

	(void)events;
	COX_ASSERT(n > 0);
	c->got += (size_t)n;
	if (c->wanted == 0) { /* all replies are as long as the first one's head and body */
		const char *end = memmem(bytes, (size_t)n, "\r\n\r\n", 4);
		COX_ASSERT(end);
		c->wanted = (size_t)(end + 4 - bytes) + BODY;
	}
	if (c->got == c->wanted) {
		n_replies++;
		ask(c);
	}
}

static void dial(struct raw *c, struct cox_loop *loop)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	COX_ASSERT(c->fd >= 0 && connect(c->fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	cox_io_init(&c->io, loop, c->fd, on_reply, c);
	COX_ASSERT(cox_io_watch(&c->io, COX_IO_READ, NULL) == 0);
}

static void hang_up(struct raw *c)
{
	cox_io_fini(&c->io);
	close(c->fd);
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void run_raw(struct cox_loop *loop, int n)
{
	struct raw *clients = cox_new_n(struct raw, (size_t)n);

	for (int i = 0; i < n; i++)
		dial(&clients[i], loop);
	n_replies = 0;
	double cpu = server_cpu();
	int64_t start_us = cox_clock_us();
	for (int i = 0; i < n; i++)
		ask(&clients[i]);
	cox_loop_wait(loop, never, NULL, RUN_MS, NULL);
	double seconds = (double)(cox_clock_us() - start_us) / 1e6;
	cpu = server_cpu() - cpu;
	printf("%-28s %8.0f requests/s, %.1f us of the server's CPU each\n",
	       n == 1	 ? "1 connection"
	       : n == 64 ? "64 connections"
			 : "512 connections",
	       (double)n_replies / seconds, cpu / (double)n_replies * 1e6);
	for (int i = 0; i < n; i++)
		hang_up(&clients[i]);
	free(clients);
}

static void run_idle(struct cox_loop *loop)
{
	struct raw *clients = cox_new_n(struct raw, MAX_IDLE);
	long before = resident_kb();

	for (int i = 0; i < MAX_IDLE; i++)
		dial(&clients[i], loop);
	cox_loop_wait(loop, never, NULL, 500, NULL);
	printf("%-28s %8.1f KiB each, both ends\n", "2000 idle connections",
	       (double)(resident_kb() - before) / MAX_IDLE);
	for (int i = 0; i < MAX_IDLE; i++)
		hang_up(&clients[i]);
	free(clients);
}

/* ---- the client ---- */

static struct cox_http_client *client;
static bool stopping;

static void call(void);

static void done(void *arg, const struct cox_http_answer *answer, const struct cox_error *error)
{
	(void)arg;
	COX_ASSERT(!error->code && answer->body.len == BODY);
	n_replies++;
	if (!stopping)
		call();
}

static void call(void)
{
	COX_ASSERT(cox_http_send(
			   client,
			   &(struct cox_http_send){.method = "GET", .url = address, .done = done},
			   NULL, NULL) == 0);
}

static void run_client(struct cox_loop *loop)
{
	struct cox_http_client_options o = {.max_per_host = 32};

	COX_ASSERT(cox_http_client_new(loop, &o, &client, NULL) == 0);
	n_replies = 0;
	int64_t start_us = cox_clock_us();
	for (int i = 0; i < 32; i++)
		call();
	cox_loop_wait(loop, never, NULL, RUN_MS, NULL);
	double seconds = (double)(cox_clock_us() - start_us) / 1e6;
	stopping = true;
	printf("%-28s %8.0f requests/s\n", "our client, 32 at a time", (double)n_replies / seconds);
	cox_http_client_free(client);
}

int main(void)
{
	struct cox_http_server_options o = {.listen = "127.0.0.1:0", .handler = handle};
	struct rlimit files = {8192, 8192};
	struct cox_loop *loop;

	setrlimit(RLIMIT_NOFILE, &files);
	memset(body, 'x', BODY);
	COX_ASSERT(cox_loop_new(&server_loop, NULL) == 0);
	COX_ASSERT(cox_http_server_new(server_loop, &o, &server, NULL) == 0);
	port = cox_http_server_port(server);
	snprintf(address, sizeof(address), "http://%s/x", cox_http_server_address(server));
	COX_ASSERT(cox_loop_new(&loop, NULL) == 0);
	pthread_create(&server_thread, NULL, serve, NULL);
	run_idle(loop);
	run_raw(loop, 1);
	run_raw(loop, 64);
	run_raw(loop, 512);
	run_client(loop);
	cox_loop_stop(server_loop);
	pthread_join(server_thread, NULL);
	cox_loop_adopt(server_loop);
	cox_http_server_free(server);
	cox_loop_free(server_loop);
	cox_loop_free(loop);
	return 0;
}
