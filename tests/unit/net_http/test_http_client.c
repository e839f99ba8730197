/* The client against our own server, in one loop: plain, TLS, streams, limits, deadlines. */
#include "certificates.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/net/http_client.h"
#include "common/net/http_server.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct cox_loop *loop;
static struct cox_http_server *server;
static struct cox_http_client *client;
static struct cox_http_request *kept;
static int n_gone, n_peers;
static char last_peer[64];

static void on_gone(void *arg)
{
	(void)arg;
	kept = NULL;
	n_gone++;
}

static void echo(struct cox_http_request *r)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	const char *authorization = cox_http_header(r, "authorization");
	const char *type = cox_http_header(r, "content-type");
	const char *name = cox_http_peer_name(r);

	cox_buf_printf(&out, "%s %s?%s auth=%s type=%s host=%s peer=%s body=", cox_http_method(r),
		       cox_http_path(r), cox_http_query_string(r),
		       authorization ? authorization : "-", type ? type : "-",
		       cox_http_header(r, "host"), name ? name : "-");
	cox_buf_puts_str(&out, cox_http_body(r));
	cox_http_set_header(r, "X-Twice", "1");
	cox_http_set_header(r, "X-Twice", "2");
	cox_http_reply_take(r, 200, "text/plain", &out);
}

static void fill(struct cox_http_request *r)
{
	struct cox_buf body = COX_BUF_INIT;
	size_t n = strtoul(cox_http_query(r, "n"), NULL, 10);

	cox_buf_reserve(&body, n);
	memset(body.ptr, 'x', n);
	body.len = n;
	cox_http_reply_take(r, 200, "text/plain", &body);
}

static void handle(void *arg, struct cox_http_request *r)
{
	const char *path = cox_http_path(r);

	(void)arg;
	if (strcmp(last_peer, cox_http_peer(r)) != 0) {
		snprintf(last_peer, sizeof(last_peer), "%s", cox_http_peer(r));
		n_peers++;
	}
	if (strcmp(path, "/keep") == 0) {
		kept = r;
		cox_http_on_gone(r, on_gone, NULL);
	} else if (strcmp(path, "/fill") == 0) {
		fill(r);
	} else if (strcmp(path, "/missing") == 0) {
		cox_http_reply(r, 404, "text/plain", COX_STR("there is no such thing\n"));
	} else if (strcmp(path, "/redirect") == 0) {
		cox_http_set_header(r, "Location", "/");
		cox_http_reply(r, 302, NULL, COX_STR(""));
	} else if (strcmp(path, "/abort") == 0) {
		cox_http_abort(r);
	} else {
		echo(r);
	}
}

static void start(struct cox_http_server_options o)
{
	struct cox_error err;

	o.listen = "127.0.0.1:0";
	o.handler = handle;
	if (cox_http_server_new(loop, &o, &server, &err) < 0)
		fail_msg("%s", err.message);
}

static int setup(void **state)
{
	(void)state;
	kept = NULL;
	n_gone = n_peers = 0;
	last_peer[0] = '\0';
	server = NULL;
	assert_int_equal(cox_loop_new(&loop, NULL), 0);
	return cox_http_client_new(loop, NULL, &client, NULL);
}

static int teardown(void **state)
{
	(void)state;
	cox_http_client_free(client);
	cox_http_server_free(server);
	cox_loop_free(loop);
	return 0;
}

/* ---- one call and its end ---- */

struct call {
	struct cox_http_call *call;
	int n_done, status, head_status;
	struct cox_buf body;
	char twice[8];
	struct cox_error error;
	int stop_after; /* pieces of a stream */
	int n_pieces;
	bool cancel_inside;
};

static void done(void *arg, const struct cox_http_answer *answer, const struct cox_error *error)
{
	struct call *c = arg;

	c->n_done++;
	c->status = answer->status;
	c->error = *error;
	cox_buf_puts_str(&c->body, answer->body);
	const char *twice = cox_http_answer_header(answer, "x-twice");
	snprintf(c->twice, sizeof(c->twice), "%s", twice ? twice : "-");
	COX_ASSERT(!cox_http_answer_header(answer, "x-never"));
}

static int piece(void *arg, const void *bytes, size_t n)
{
	struct call *c = arg;

	cox_buf_add(&c->body, bytes, n);
	c->n_pieces++;
	if (c->cancel_inside)
		cox_http_cancel(c->call);
	return c->stop_after && c->n_pieces >= c->stop_after;
}

static void head(void *arg, const struct cox_http_answer *answer)
{
	((struct call *)arg)->head_status = answer->status;
}

static bool is_done(void *arg)
{
	return ((struct call *)arg)->n_done;
}

static bool has_piece(void *arg)
{
	return ((struct call *)arg)->n_pieces;
}

static bool is_kept(void *arg)
{
	(void)arg;
	return kept;
}

static bool is_gone(void *arg)
{
	(void)arg;
	return n_gone;
}

static char *url(const char *scheme, const char *path)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s://%s%s", scheme, cox_http_server_address(server), path);
	return text;
}

static void begin(struct call *c, struct cox_http_send send)
{
	struct cox_error err;

	send.done = done;
	send.arg = c;
	if (!send.method)
		send.method = "GET";
	if (cox_http_send(client, &send, &c->call, &err) < 0)
		fail_msg("%s", err.message);
}

static void finish(struct call *c)
{
	assert_int_equal(cox_loop_wait(loop, is_done, c, 20000, NULL), 0);
	assert_int_equal(c->n_done, 1);
}

static void expect(struct call *c, int status, const char *body)
{
	finish(c);
	if (c->error.code)
		fail_msg("%s", c->error.message);
	assert_int_equal(c->status, status);
	assert_string_equal(cox_buf_cstr(&c->body), body);
	cox_buf_fini(&c->body);
}

static void expect_error(struct call *c, enum cox_code code, const char *part)
{
	finish(c);
	assert_int_equal(c->status, 0);
	if (c->error.code != (int)code || !strstr(c->error.message, part))
		fail_msg("%s: %s", cox_code_name(c->error.code), c->error.message);
	cox_buf_fini(&c->body);
}

/* ---- tests ---- */

static void methods_bodies_and_headers(void **state)
{
	struct call a = {0}, b = {0}, c = {0}, d = {0}, e = {0};
	char wanted[512];

	(void)state;
	start((struct cox_http_server_options){0});
	begin(&a, (struct cox_http_send){.url = url("http", "/p?x=1"), .bearer_token = "t0k"});
	snprintf(wanted, sizeof(wanted), "GET /p?x=1 auth=Bearer t0k type=- host=%s peer=- body=",
		 cox_http_server_address(server));
	expect(&a, 200, wanted);
	assert_string_equal(a.twice, "2");
	begin(&b, (struct cox_http_send){.method = "PATCH",
					 .url = url("http", "/p"),
					 .body = COX_STR("{}"),
					 .headers = (const char *const[]){
						 "Content-Type: application/json", NULL}});
	snprintf(wanted, sizeof(wanted),
		 "PATCH /p? auth=- type=application/json host=%s peer=- body={}",
		 cox_http_server_address(server));
	expect(&b, 200, wanted);
	begin(&c, (struct cox_http_send){.method = "POST", .url = url("http", "/p")});
	snprintf(wanted, sizeof(wanted),
		 "POST /p? auth=- type=- host=%s peer=- body=", cox_http_server_address(server));
	expect(&c, 200, wanted);
	begin(&d, (struct cox_http_send){
			  .method = "DELETE", .url = url("http", "/p"), .body = COX_STR("why")});
	snprintf(wanted, sizeof(wanted), "DELETE /p? auth=- type=- host=%s peer=- body=why",
		 cox_http_server_address(server));
	expect(&d, 200, wanted);
	begin(&e, (struct cox_http_send){.method = "HEAD", .url = url("http", "/p")});
	expect(&e, 200, "");
	assert_int_equal(n_peers, 1); /* one connection for all */
}

static void errors_are_answers_too(void **state)
{
	struct call a = {0}, b = {0};
	struct cox_error err;

	(void)state;
	start((struct cox_http_server_options){0});
	begin(&a, (struct cox_http_send){.url = url("http", "/missing")});
	expect(&a, 404, "there is no such thing\n");
	struct cox_http_answer answer = {.status = 404,
					 .body = COX_STR("there is no such thing\n")};
	assert_int_equal(cox_http_check(&answer, "GET /missing", &err), -COX_NOT_FOUND);
	assert_string_equal(err.message, "GET /missing: 404 Not Found: there is no such thing");
	begin(&b, (struct cox_http_send){.url = url("http", "/redirect")});
	expect(&b, 302, "");
}

static void answers_are_bounded(void **state)
{
	(void)state;
	start((struct cox_http_server_options){0});
	for (size_t max = 99999; max <= 100001; max++) {
		struct call c = {0};
		begin(&c, (struct cox_http_send){.url = url("http", "/fill?n=100000"),
						 .max_body = max});
		if (max < 100000) {
			expect_error(&c, COX_RESOURCE_EXHAUSTED, "longer than its limit");
			continue;
		}
		finish(&c);
		assert_int_equal(c.status, 200);
		assert_int_equal(c.body.len, 100000);
		cox_buf_fini(&c.body);
	}
}

static void streams_come_as_they_come(void **state)
{
	struct call c = {0};

	(void)state;
	start((struct cox_http_server_options){0});
	begin(&c, (struct cox_http_send){.url = url("http", "/keep"),
					 .on_bytes = piece,
					 .on_head = head,
					 .total_timeout_ms = -1});
	assert_int_equal(cox_loop_wait(loop, is_kept, NULL, 5000, NULL), 0);
	cox_http_start(kept, 200, "application/json");
	cox_http_write(kept, COX_STR("one\n"));
	assert_int_equal(cox_loop_wait(loop, has_piece, &c, 5000, NULL), 0);
	assert_int_equal(c.head_status, 200);
	assert_string_equal(c.body.ptr, "one\n");
	cox_http_write(kept, COX_STR("two\n"));
	cox_http_end(kept);
	expect(&c, 200, "one\ntwo\n");
}

static void a_broken_stream_is_an_error(void **state)
{
	struct call c = {0}, d = {0};

	(void)state;
	start((struct cox_http_server_options){0});
	begin(&c, (struct cox_http_send){.url = url("http", "/keep"), .on_bytes = piece});
	assert_int_equal(cox_loop_wait(loop, is_kept, NULL, 5000, NULL), 0);
	cox_http_start(kept, 200, "application/json");
	cox_http_write(kept, COX_STR("one\n"));
	assert_int_equal(cox_loop_wait(loop, has_piece, &c, 5000, NULL), 0);
	cox_http_abort(kept);
	expect_error(&c, COX_UNAVAILABLE, "GET http://127.0.0.1:");
	begin(&d, (struct cox_http_send){.url = url("http", "/abort?secret=1")});
	expect_error(&d, COX_UNAVAILABLE, "/abort: ");
	assert_null(strstr(d.error.message, "secret"));
}

static void a_streaming_call_keeps_an_errors_body(void **state)
{
	struct call c = {0};

	(void)state;
	start((struct cox_http_server_options){0});
	begin(&c, (struct cox_http_send){.url = url("http", "/missing"), .on_bytes = piece});
	expect(&c, 404, "there is no such thing\n");
	assert_int_equal(c.n_pieces, 0);
}

static void readers_and_owners_give_up(void **state)
{
	struct call a = {.stop_after = 1}, b = {.cancel_inside = true}, c = {0};

	(void)state;
	start((struct cox_http_server_options){0});
	begin(&a, (struct cox_http_send){.url = url("http", "/fill?n=1000000"), .on_bytes = piece});
	expect_error(&a, COX_CANCELLED, "given up");
	begin(&b, (struct cox_http_send){.url = url("http", "/fill?n=1000000"), .on_bytes = piece});
	assert_int_equal(cox_loop_wait(loop, has_piece, &b, 5000, NULL), 0);
	begin(&c, (struct cox_http_send){.url = url("http", "/keep")});
	assert_int_equal(cox_loop_wait(loop, is_kept, NULL, 5000, NULL), 0);
	cox_http_cancel(c.call);
	assert_int_equal(cox_loop_wait(loop, is_gone, NULL, 5000, NULL), 0);
	assert_int_equal(cox_http_client_running(client), 0);
	assert_int_equal(a.n_pieces, 1);
	assert_int_equal(b.n_done + c.n_done, 0);
	cox_buf_fini(&b.body);
}

static void deadlines(void **state)
{
	struct call total = {0}, idle = {0};

	(void)state;
	start((struct cox_http_server_options){0});
	begin(&total, (struct cox_http_send){.url = url("http", "/keep"), .total_timeout_ms = 50});
	expect_error(&total, COX_DEADLINE_EXCEEDED, "/keep: ");
	begin(&idle, (struct cox_http_send){.url = url("http", "/keep"),
					    .total_timeout_ms = -1,
					    .idle_timeout_ms = 50});
	expect_error(&idle, COX_DEADLINE_EXCEEDED, "nothing came for 50 ms");
}

static void what_cannot_be_sent_fails_at_once(void **state)
{
	static const char *const urls[] = {"", "http://", "ftp://x/", "file:///etc/passwd", "x y"};
	struct cox_http_send send = {.method = "GET", .done = done};
	struct cox_error err;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(urls); i++) {
		send.url = urls[i];
		assert_int_equal(cox_http_send(client, &send, NULL, &err), -COX_INVALID_ARGUMENT);
	}
	send.url = "http://127.0.0.1/";
	send.headers = (const char *const[]){"A: b\r\nC: d", NULL};
	assert_int_equal(cox_http_send(client, &send, NULL, &err), -COX_INVALID_ARGUMENT);
	send.headers = NULL;
	send.bearer_token = "a\nb";
	assert_int_equal(cox_http_send(client, &send, NULL, &err), -COX_INVALID_ARGUMENT);
	assert_int_equal(cox_http_client_running(client), 0);
}

static void nobody_there(void **state)
{
	struct call c = {0};

	(void)state;
	start((struct cox_http_server_options){0});
	char *gone = cox_strdup(url("http", "/"));
	cox_http_server_free(server);
	server = NULL;
	begin(&c, (struct cox_http_send){.url = gone});
	expect_error(&c, COX_UNAVAILABLE, "onnect");
	free(gone);
}

static void proxies_are_the_targets_own(void **state)
{
	struct call direct = {0}, proxied = {0};
	char proxy[64];

	(void)state;
	start((struct cox_http_server_options){0});
	/* Of the environment nothing is taken. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	begin(&direct, (struct cox_http_send){.url = url("http", "/fill?n=3")});
	expect(&direct, 200, "xxx");
	unsetenv("http_proxy");
	snprintf(proxy, sizeof(proxy), "http://%s", cox_http_server_address(server));
	struct cox_http_target target = {.proxy_url = proxy};
	begin(&proxied,
	      (struct cox_http_send){.url = "http://nowhere.invalid/fill?n=4", .target = &target});
	expect(&proxied, 200, "xxxx");
}

static bool no_loopback(void *arg, const struct sockaddr *address, socklen_t len)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;

	(void)len;
	++*(int *)arg;
	return !(address->sa_family == AF_INET && ntohl(in->sin_addr.s_addr) >> 24 == 127);
}

static void a_policy_refuses_addresses(void **state)
{
	struct call c = {0};
	int n_asked = 0;

	(void)state;
	start((struct cox_http_server_options){0});
	cox_http_client_free(client);
	assert_int_equal(
		cox_http_client_new(loop,
				    &(struct cox_http_client_options){.may_connect = no_loopback,
								      .may_connect_arg = &n_asked},
				    &client, NULL),
		0);
	begin(&c, (struct cox_http_send){.url = url("http", "/")});
	expect_error(&c, COX_PERMISSION_DENIED, "not allowed");
	assert_int_equal(n_asked, 1);
}

static void tls_is_verified(void **state)
{
	struct certificates certs;
	struct call good = {0}, by_path = {0}, stranger = {0}, insecure = {0}, named = {0};
	struct call misnamed = {0}, bad = {0};
	char wanted[512];

	(void)state;
	certificates_init(&certs);
	start((struct cox_http_server_options){.cert_path = certs.server_cert_path,
					       .key_path = certs.server_key_path,
					       .client_ca_path = certs.client_ca_path});
	struct cox_http_target target = {.ca_data = cox_buf_str(&certs.server_ca)};
	begin(&good, (struct cox_http_send){.url = url("https", "/t"), .target = &target});
	snprintf(wanted, sizeof(wanted),
		 "GET /t? auth=- type=- host=%s peer=- body=", cox_http_server_address(server));
	expect(&good, 200, wanted);

	struct cox_http_target path = {.ca_path = certs.server_ca_path};
	begin(&by_path, (struct cox_http_send){.url = url("https", "/t"), .target = &path});
	expect(&by_path, 200, wanted);

	begin(&stranger, (struct cox_http_send){.url = url("https", "/t")});
	expect_error(&stranger, COX_UNAUTHENTICATED, "certificate");

	struct cox_http_target none = {.insecure = true};
	begin(&insecure, (struct cox_http_send){.url = url("https", "/t"), .target = &none});
	expect(&insecure, 200, wanted);

	struct cox_http_target other = {.ca_data = cox_buf_str(&certs.server_ca),
					.server_name = "kube.test"};
	begin(&named, (struct cox_http_send){.url = url("https", "/t"), .target = &other});
	expect(&named, 200, wanted);

	other.server_name = "kube.elsewhere";
	begin(&misnamed, (struct cox_http_send){.url = url("https", "/t"), .target = &other});
	expect_error(&misnamed, COX_UNAUTHENTICATED, "kube.elsewhere");

	struct cox_http_target nonsense = {.ca_data = COX_STR("no certificate")};
	begin(&bad, (struct cox_http_send){.url = url("https", "/t"), .target = &nonsense});
	finish(&bad);
	assert_int_not_equal(bad.error.code, 0);
	cox_buf_fini(&bad.body);
	certificates_fini(&certs);
}

static void streams_go_over_tls_too(void **state)
{
	struct certificates certs;
	struct call c = {0};
	_cleanup_buf_ struct cox_buf block = COX_BUF_INIT, all = COX_BUF_INIT;

	(void)state;
	certificates_init(&certs);
	start((struct cox_http_server_options){.cert_path = certs.server_cert_path,
					       .key_path = certs.server_key_path});
	struct cox_http_target target = {.ca_data = cox_buf_str(&certs.server_ca)};
	begin(&c, (struct cox_http_send){.url = url("https", "/keep"),
					 .target = &target,
					 .on_bytes = piece,
					 .total_timeout_ms = -1});
	assert_int_equal(cox_loop_wait(loop, is_kept, NULL, 5000, NULL), 0);
	cox_http_start(kept, 200, "application/json");
	cox_http_write(kept, COX_STR("one\n"));
	assert_int_equal(cox_loop_wait(loop, has_piece, &c, 5000, NULL), 0);
	while (block.len < 100000)
		cox_buf_printf(&block, "%zu\n", block.len);
	cox_buf_puts(&all, "one\n");
	for (int i = 0; i < 30; i++) {
		assert_true(cox_http_write(kept, cox_buf_str(&block)) >= 0);
		cox_buf_puts_str(&all, cox_buf_str(&block));
	}
	cox_http_end(kept);
	expect(&c, 200, all.ptr);

	struct call gone = {0};
	kept = NULL;
	begin(&gone, (struct cox_http_send){.url = url("https", "/keep"),
					    .target = &target,
					    .on_bytes = piece,
					    .total_timeout_ms = -1});
	assert_int_equal(cox_loop_wait(loop, is_kept, NULL, 5000, NULL), 0);
	cox_http_start(kept, 200, "application/json");
	cox_http_cancel(gone.call);
	assert_int_equal(cox_loop_wait(loop, is_gone, NULL, 5000, NULL), 0);
	certificates_fini(&certs);
}

static void clients_show_certificates(void **state)
{
	struct certificates certs;
	struct call with = {0}, without = {0};

	(void)state;
	certificates_init(&certs);
	start((struct cox_http_server_options){.cert_path = certs.server_cert_path,
					       .key_path = certs.server_key_path,
					       .client_ca_path = certs.client_ca_path,
					       .client_cert_required = true});
	struct cox_http_target target = {.ca_data = cox_buf_str(&certs.server_ca)};
	begin(&without, (struct cox_http_send){.url = url("https", "/t"), .target = &target});
	finish(&without);
	assert_int_not_equal(without.error.code, 0);
	cox_buf_fini(&without.body);
	target.cert_data = cox_buf_str(&certs.client_cert);
	target.key_data = cox_buf_str(&certs.client_key);
	begin(&with, (struct cox_http_send){.url = url("https", "/t"), .target = &target});
	finish(&with);
	if (with.error.code)
		fail_msg("%s", with.error.message);
	cox_buf_fini(&with.body);
	certificates_fini(&certs);
}

enum { MANY = 400 };

static int n_many;

static void many_done(void *arg, const struct cox_http_answer *answer,
		      const struct cox_error *error)
{
	if (error->code || answer->status != 200)
		fail_msg("%d: %s", answer->status, error->message);
	COX_ASSERT(answer->body.len == *(size_t *)arg);
	n_many++;
}

static bool all_many(void *arg)
{
	(void)arg;
	return n_many == MANY;
}

static void many_at_once_over_few_connections(void **state)
{
	size_t n = 5000;

	(void)state;
	start((struct cox_http_server_options){0});
	for (int i = 0; i < MANY; i++)
		assert_int_equal(
			cox_http_send(client,
				      &(struct cox_http_send){.method = "GET",
							      .url = url("http", "/fill?n=5000"),
							      .done = many_done,
							      .arg = &n},
				      NULL, NULL),
			0);
	assert_int_equal(cox_loop_wait(loop, all_many, NULL, 20000, NULL), 0);
	assert_true(cox_http_server_connections(server) <= 6);
}

static void free_inside(void *arg, const struct cox_http_answer *answer,
			const struct cox_error *error)
{
	(void)answer;
	(void)error;
	cox_http_client_free(client);
	client = NULL;
	*(int *)arg = 1;
}

static void the_client_may_go_inside_a_done(void **state)
{
	struct call other = {0}, end = {0};

	(void)state;
	start((struct cox_http_server_options){0});
	begin(&other, (struct cox_http_send){.url = url("http", "/keep")});
	assert_int_equal(cox_http_send(client,
				       &(struct cox_http_send){.method = "GET",
							       .url = url("http", "/"),
							       .done = free_inside,
							       .arg = &end.n_done},
				       NULL, NULL),
			 0);
	assert_int_equal(cox_loop_wait(loop, is_done, &end, 5000, NULL), 0);
	assert_null(client);
	assert_int_equal(other.n_done, 0);
}

int main(void)
{
#define CLIENT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CLIENT_TEST(methods_bodies_and_headers),
		CLIENT_TEST(errors_are_answers_too),
		CLIENT_TEST(answers_are_bounded),
		CLIENT_TEST(streams_come_as_they_come),
		CLIENT_TEST(a_broken_stream_is_an_error),
		CLIENT_TEST(a_streaming_call_keeps_an_errors_body),
		CLIENT_TEST(readers_and_owners_give_up),
		CLIENT_TEST(deadlines),
		CLIENT_TEST(what_cannot_be_sent_fails_at_once),
		CLIENT_TEST(nobody_there),
		CLIENT_TEST(proxies_are_the_targets_own),
		CLIENT_TEST(a_policy_refuses_addresses),
		CLIENT_TEST(tls_is_verified),
		CLIENT_TEST(streams_go_over_tls_too),
		CLIENT_TEST(clients_show_certificates),
		CLIENT_TEST(many_at_once_over_few_connections),
		CLIENT_TEST(the_client_may_go_inside_a_done),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
