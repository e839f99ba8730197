/* The server spoken to in raw bytes, on its own loop. */
#include "common/base/mem.h"
#include "common/net/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct cox_loop *loop;
static struct cox_http_server *server;
static struct cox_http_request *kept; /* by the handler, to be answered later */
static int n_gone, n_drained, n_handled;

static void on_gone(void *arg)
{
	(void)arg;
	kept = NULL;
	n_gone++;
}

static void on_drained(void *arg)
{
	(void)arg;
	n_drained++;
}

static void echo(struct cox_http_request *r)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	const char *segments[4] = {0};
	int n = cox_http_segments(r, segments, 4);

	cox_buf_printf(&out, "%s %s %d", cox_http_method(r), cox_http_path(r), n);
	for (int i = 0; i < n && i < 4; i++)
		cox_buf_printf(&out, " [%s]", segments[i]);
	const char *q = cox_http_query(r, "q");
	cox_buf_printf(&out, " q=%s body=%.*s\n", q ? q : "-", COX_STR_ARG(cox_http_body(r)));
	cox_http_set_header(r, "X-Good", "yes");
	cox_http_set_header(r, "X-Bad", "a\r\nSet-Cookie: b");
	cox_http_reply_take(r, 200, "text/plain", &out);
}

static void stream(struct cox_http_request *r)
{
	cox_http_start(r, 200, "text/plain");
	assert_int_equal(cox_http_write(r, COX_STR("one\n")), 0);
	assert_int_equal(cox_http_write(r, COX_STR("two\n")), 0);
	cox_http_end(r);
}

static void keep(struct cox_http_request *r)
{
	kept = r;
	cox_http_on_gone(r, on_gone, NULL);
	cox_http_on_drain(r, on_drained, NULL);
}

static void handle(void *arg, struct cox_http_request *r)
{
	const char *path = cox_http_path(r);

	(void)arg;
	n_handled++;
	if (strcmp(path, "/stream") == 0)
		stream(r);
	else if (strcmp(path, "/keep") == 0)
		keep(r);
	else if (strcmp(path, "/abort") == 0)
		cox_http_abort(r);
	else if (strcmp(path, "/none") == 0)
		cox_http_reply(r, 204, NULL, COX_STR(""));
	else
		echo(r);
}

static void start(const struct cox_http_server_options *more)
{
	struct cox_http_server_options o = *more;
	struct cox_error err;

	o.listen = "127.0.0.1:0";
	o.handler = handle;
	if (cox_http_server_new(loop, &o, &server, &err) < 0)
		fail_msg("%s", err.message);
}

static int setup(void **state)
{
	(void)state;
	n_gone = n_drained = n_handled = 0;
	kept = NULL;
	server = NULL;
	return cox_loop_new(&loop, NULL);
}

static int teardown(void **state)
{
	(void)state;
	cox_http_server_free(server);
	cox_loop_free(loop);
	return 0;
}

/* ---- a client of raw bytes ---- */

struct client {
	int fd;
	struct cox_io io;
	struct cox_buf got;
	bool eof;
	const char *wanted;
	size_t times;
};

static void on_bytes(void *arg, int events)
{
	struct client *c = arg;
	char bytes[65536];
	ssize_t n = read(c->fd, bytes, sizeof(bytes));

	(void)events;
	if (n > 0) {
		cox_buf_add(&c->got, bytes, (size_t)n);
		return;
	}
	c->eof = true;
	cox_io_watch(&c->io, 0, NULL);
}

static struct client *dial(void)
{
	struct client *c = cox_new(struct client);
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(cox_http_server_port(server)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	cox_io_init(&c->io, loop, c->fd, on_bytes, c);
	assert_int_equal(cox_io_watch(&c->io, COX_IO_READ, NULL), 0);
	return c;
}

static void hang_up(struct client *c)
{
	cox_io_fini(&c->io);
	close(c->fd);
	cox_buf_fini(&c->got);
	free(c);
}

static void say(struct client *c, const char *text)
{
	assert_int_equal(write(c->fd, text, strlen(text)), strlen(text));
}

static bool has_got(void *arg)
{
	struct client *c = arg;
	const char *at = cox_buf_cstr(&c->got);

	for (size_t i = 0; i < c->times; i++) {
		at = strstr(at, c->wanted);
		if (!at)
			return false;
		at += strlen(c->wanted);
	}
	return true;
}

static bool has_eof(void *arg)
{
	return ((struct client *)arg)->eof;
}

static void wait_times(struct client *c, const char *wanted, size_t times)
{
	c->wanted = wanted;
	c->times = times;
	if (cox_loop_wait(loop, has_got, c, 10000, NULL) < 0)
		fail_msg("no %zu times '%s' in: %s", times, wanted, cox_buf_cstr(&c->got));
}

static void wait_for(struct client *c, const char *wanted)
{
	wait_times(c, wanted, 1);
}

static void wait_eof(struct client *c)
{
	if (cox_loop_wait(loop, has_eof, c, 10000, NULL) < 0)
		fail_msg("not closed after: %s", cox_buf_cstr(&c->got));
}

static bool is_kept(void *arg)
{
	(void)arg;
	return kept;
}

static bool is_gone(void *arg)
{
	(void)arg;
	return n_gone == 1;
}

static bool is_drained(void *arg)
{
	return n_drained >= *(int *)arg;
}

#define REQUEST(line, more) line " HTTP/1.1\r\nHost: h\r\n" more "\r\n"

/* ---- tests ---- */

static void answers_and_keeps_the_connection(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){0});
	struct client *c = dial();
	say(c, REQUEST("GET /a/b%2Fc//?q=x%20y+z", ""));
	wait_for(c, "GET /a/b%2Fc// 2 [a] [b/c] q=x y z body=\n");
	assert_non_null(strstr(c->got.ptr, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(c->got.ptr, "Content-Length: 41\r\n"));
	assert_non_null(strstr(c->got.ptr, "X-Good: yes\r\n"));
	assert_null(strstr(c->got.ptr, "Set-Cookie"));
	say(c, REQUEST("POST /p", "Content-Length: 5\r\n") "hel");
	say(c, "lo");
	wait_for(c, "POST /p 1 [p] q=- body=hello\n");
	say(c, REQUEST("POST /p", "Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n0\r\n\r\n");
	wait_for(c, "body=abc\n");
	say(c, REQUEST("GET /none", ""));
	wait_for(c, "204 No Content\r\n");
	say(c, REQUEST("HEAD /h", "Connection: close\r\n"));
	wait_eof(c);
	assert_null(strstr(c->got.ptr, "HEAD /h 1"));
	assert_int_equal(n_handled, 5);
	hang_up(c);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){0});
	struct client *c = dial();
	say(c, REQUEST("GET /keep", "") REQUEST("GET /2", "") REQUEST("GET /stream", "")
		       REQUEST("GET /4", ""));
	assert_int_equal(cox_loop_wait(loop, is_kept, NULL, 5000, NULL), 0);
	assert_int_equal(n_handled, 1);
	cox_http_reply(kept, 200, "text/plain", COX_STR("GET /keep\n"));
	assert_int_equal(n_handled, 1); /* never inside a reply */
	wait_for(c, "GET /4");
	const char *first = strstr(c->got.ptr, "GET /keep");
	const char *second = strstr(c->got.ptr, "GET /2");
	const char *third = strstr(c->got.ptr, "4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n");
	assert_true(first && second && third && first < second && second < third);
	hang_up(c);
}

static void old_clients_get_streams_to_the_end(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){0});
	struct client *c = dial();
	say(c, "GET /stream HTTP/1.0\r\n\r\n");
	wait_eof(c);
	assert_non_null(strstr(c->got.ptr, "\r\n\r\none\ntwo\n"));
	assert_null(strstr(c->got.ptr, "chunked"));
	hang_up(c);
}

static void head_is_bounded(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){.max_header_bytes = 300});
	for (size_t size = 299; size <= 301; size++) {
		_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
		cox_buf_puts(&b, "GET /x HTTP/1.1\r\nHost: h\r\nX: ");
		while (b.len < size - 4)
			cox_buf_putc(&b, 'x');
		cox_buf_puts(&b, "\r\n\r\n");
		assert_int_equal(b.len, size);
		struct client *c = dial();
		say(c, b.ptr);
		wait_for(c, size <= 300 ? "200 OK" : "431 ");
		if (size > 300)
			shutdown(c->fd, SHUT_WR), wait_eof(c);
		hang_up(c);
	}
	/* One that never ends. */
	struct client *c = dial();
	_cleanup_buf_ struct cox_buf endless = COX_BUF_INIT;
	while (endless.len < 400)
		cox_buf_puts(&endless, "GET /");
	say(c, endless.ptr);
	wait_for(c, "431 ");
	hang_up(c);
}

static void body_is_bounded(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){.max_body_bytes = 10});
	for (int size = 9; size <= 11; size++) {
		for (int chunked = 0; chunked < 2; chunked++) {
			_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;
			cox_buf_puts(&b, "POST /x HTTP/1.1\r\nHost: h\r\n");
			if (chunked)
				cox_buf_printf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
					       size);
			else
				cox_buf_printf(&b, "Content-Length: %d\r\n\r\n", size);
			for (int i = 0; i < size; i++)
				cox_buf_putc(&b, 'x');
			if (chunked)
				cox_buf_puts(&b, "\r\n0\r\n\r\n");
			/* What is refused must not be read as a request. */
			cox_buf_puts(&b, REQUEST("GET /smuggled", ""));
			struct client *c = dial();
			say(c, b.ptr);
			wait_for(c, size <= 10 ? "[smuggled]" : "413 ");
			if (size > 10) {
				shutdown(c->fd, SHUT_WR);
				wait_eof(c);
				assert_null(strstr(c->got.ptr, "smuggled"));
			}
			hang_up(c);
		}
	}
}

static void deadlines_count_as_a_whole(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){
		.head_timeout_ms = 50, .body_timeout_ms = 50, .idle_timeout_ms = 50});
	struct client *silent = dial(), *slow = dial(), *body = dial(), *idle = dial();
	say(slow, "GET /");
	say(body, REQUEST("POST /b", "Content-Length: 5\r\n") "x");
	say(idle, REQUEST("GET /i", ""));
	wait_for(slow, "408 ");
	wait_for(body, "408 ");
	wait_eof(idle);
	assert_non_null(strstr(idle->got.ptr, "200 OK"));
	wait_for(silent, "408 ");
	hang_up(silent);
	hang_up(slow);
	hang_up(body);
	hang_up(idle);
}

static void expectation_is_answered(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){0});
	struct client *c = dial();
	say(c, REQUEST("POST /e", "Content-Length: 2\r\nExpect: 100-continue\r\n"));
	wait_for(c, "HTTP/1.1 100 Continue\r\n\r\n");
	say(c, "ok");
	wait_for(c, "body=ok\n");
	hang_up(c);
}

static void connections_are_capped(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){.max_connections = 2});
	struct client *a = dial(), *b = dial(), *c = dial();
	say(a, REQUEST("GET /a", ""));
	say(b, REQUEST("GET /b", ""));
	say(c, REQUEST("GET /c", ""));
	wait_for(a, "[a]");
	wait_for(b, "[b]");
	assert_int_equal(cox_http_server_connections(server), 2);
	assert_int_equal(c->got.len, 0);
	hang_up(a);
	wait_for(c, "[c]");
	hang_up(b);
	hang_up(c);
}

static void a_client_that_goes_is_told_of(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){0});
	struct client *c = dial();
	say(c, REQUEST("GET /keep", ""));
	assert_int_equal(cox_loop_wait(loop, is_kept, NULL, 5000, NULL), 0);
	cox_http_start(kept, 200, "text/plain");
	cox_http_write(kept, COX_STR("first\n"));
	wait_for(c, "first\n");
	hang_up(c);
	assert_int_equal(cox_loop_wait(loop, is_gone, NULL, 5000, NULL), 0);
	assert_int_equal(cox_http_server_connections(server), 0);
}

static void freeing_the_server_tells_too(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){0});
	struct client *c = dial();
	say(c, REQUEST("GET /keep", ""));
	assert_int_equal(cox_loop_wait(loop, is_kept, NULL, 5000, NULL), 0);
	cox_http_server_free(server);
	server = NULL;
	assert_int_equal(n_gone, 1);
	wait_eof(c);
	hang_up(c);
}

static void slow_readers_are_bounded(void **state)
{
	char block[4096];
	int r = 0, once = 1;

	(void)state;
	memset(block, 'x', sizeof(block));
	start(&(struct cox_http_server_options){.max_stream_bytes = 1 << 20});
	struct client *c = dial();
	say(c, REQUEST("GET /keep", ""));
	assert_int_equal(cox_loop_wait(loop, is_kept, NULL, 5000, NULL), 0);
	cox_http_start(kept, 200, "text/plain");
	cox_http_write(kept, COX_STR("x"));
	assert_int_equal(cox_loop_wait(loop, is_drained, &once, 5000, NULL), 0);
	/* Not a turn of the loop in between, so nothing leaves. */
	while ((r = cox_http_write(kept, cox_str_n(block, sizeof(block)))) == 0)
		;
	assert_int_equal(r, 1);
	assert_in_range(cox_http_pending(kept), 1 << 19, 1 << 20);
	while ((r = cox_http_write(kept, cox_str_n(block, sizeof(block)))) == 1)
		;
	assert_int_equal(r, -COX_RESOURCE_EXHAUSTED);
	assert_in_range(cox_http_pending(kept), (1 << 20) - 4200, (1 << 20) + 32);
	assert_int_equal(n_gone, 0);
	assert_int_equal(cox_loop_wait(loop, is_gone, NULL, 5000, NULL), 0);
	wait_eof(c);
	assert_null(strstr(c->got.ptr, "\r\n0\r\n\r\n")); /* cannot be taken for complete */
	hang_up(c);
}

/* Without a descriptor to spare the server pauses, and goes on when there is one. */
static void running_out_of_descriptors_is_survived(void **state)
{
	struct rlimit before, tight;

	(void)state;
	start(&(struct cox_http_server_options){0});
	struct client *c = dial();
	say(c, REQUEST("GET /a", ""));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)c->fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	assert_int_equal(cox_loop_wait(loop, has_eof, c, 30, NULL), -COX_DEADLINE_EXCEEDED);
	assert_int_equal(cox_http_server_connections(server), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	wait_for(c, "[a]");
	hang_up(c);
}

static void abort_breaks_off(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){0});
	struct client *c = dial();
	say(c, REQUEST("GET /abort", ""));
	wait_eof(c);
	assert_int_equal(c->got.len, 0);
	hang_up(c);
}

static void closing_the_listener_lets_answers_end(void **state)
{
	(void)state;
	start(&(struct cox_http_server_options){0});
	struct client *idle = dial(), *busy = dial();
	say(idle, REQUEST("GET /a", ""));
	wait_for(idle, "[a]");
	say(busy, REQUEST("GET /keep", "") REQUEST("GET /after", ""));
	assert_int_equal(cox_loop_wait(loop, is_kept, NULL, 5000, NULL), 0);
	cox_http_server_close_listener(server);
	wait_eof(idle);
	cox_http_reply(kept, 200, "text/plain", COX_STR("late\n"));
	wait_for(busy, "late\n");
	shutdown(busy->fd, SHUT_WR);
	wait_eof(busy);
	assert_null(strstr(busy->got.ptr, "after"));
	hang_up(idle);
	hang_up(busy);
}

static void large_answers_arrive_whole(void **state)
{
	struct cox_buf body = COX_BUF_INIT;

	(void)state;
	start(&(struct cox_http_server_options){0});
	struct client *c = dial();
	say(c, REQUEST("GET /keep", ""));
	assert_int_equal(cox_loop_wait(loop, is_kept, NULL, 5000, NULL), 0);
	for (int i = 0; body.len < 6 << 20; i++)
		cox_buf_printf(&body, "%d\n", i);
	cox_buf_puts(&body, "the end");
	cox_http_reply_take(kept, 200, "text/plain", &body);
	assert_int_equal(body.len, 0);
	wait_for(c, "the end");
	hang_up(c);
}

static void bad_addresses_are_errors(void **state)
{
	static const char *const bad[] = {"", "x", "127.0.0.1:", "127.0.0.1:99999x",
					  "203.0.113.1:0"};
	struct cox_http_server_options o = {.handler = handle};
	struct cox_error err;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++) {
		o.listen = bad[i];
		assert_true(cox_http_server_new(loop, &o, &server, &err) < 0);
		assert_non_null(strstr(err.message, "cannot listen at"));
	}
	o.listen = "[::1]:0";
	if (cox_http_server_new(loop, &o, &server, &err) == 0)
		assert_memory_equal(cox_http_server_address(server), "[::1]:", 6);
}

int main(void)
{
#define HTTP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		HTTP_TEST(answers_and_keeps_the_connection),
		HTTP_TEST(pipelined_requests_are_answered_in_order),
		HTTP_TEST(old_clients_get_streams_to_the_end),
		HTTP_TEST(head_is_bounded),
		HTTP_TEST(body_is_bounded),
		HTTP_TEST(deadlines_count_as_a_whole),
		HTTP_TEST(expectation_is_answered),
		HTTP_TEST(connections_are_capped),
		HTTP_TEST(a_client_that_goes_is_told_of),
		HTTP_TEST(freeing_the_server_tells_too),
		HTTP_TEST(slow_readers_are_bounded),
		HTTP_TEST(running_out_of_descriptors_is_survived),
		HTTP_TEST(abort_breaks_off),
		HTTP_TEST(closing_the_listener_lets_answers_end),
		HTTP_TEST(large_answers_arrive_whole),
		HTTP_TEST(bad_addresses_are_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
