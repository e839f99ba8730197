/* HTTP/2 against a foreign server (lighttpd over TLS): many calls share one connection. Skips, and
 * says so, where there is no lighttpd. */
#include "certificates.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/net/http_client.h"
#include "common/run/child.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { MANY = 300, BYTES = 20000 };

static struct cox_loop *loop;
static struct cox_http_client *client;
static struct certificates certs;
static struct cox_http_target target;
static char url[64];
static int n_done, n_good, n_connections;

static bool count_connection(void *arg, const struct sockaddr *address, socklen_t len)
{
	(void)arg;
	(void)address;
	(void)len;
	n_connections++;
	return true;
}

static void done(void *arg, const struct cox_http_answer *answer, const struct cox_error *error)
{
	(void)arg;
	n_done++;
	n_good += !error->code && answer->is_http2 && answer->status == 200 &&
		  answer->body.len == BYTES;
}

static bool n_are_done(void *arg)
{
	return n_done == *(int *)arg;
}

static void get(int n)
{
	n_done = n_good = 0;
	for (int i = 0; i < n; i++)
		assert_int_equal(cox_http_send(client,
					       &(struct cox_http_send){.method = "GET",
								       .url = url,
								       .target = &target,
								       .done = done},
					       NULL, NULL),
				 0);
	assert_int_equal(cox_loop_wait(loop, n_are_done, &n, 20000, NULL), 0);
}

/* Nobody else takes it, most likely: lighttpd cannot be told to find one. */
static int free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	COX_ASSERT(bind(fd, (struct sockaddr *)&at, n) == 0);
	COX_ASSERT(getsockname(fd, (struct sockaddr *)&at, &n) == 0);
	close(fd);
	return ntohs(at.sin_port);
}

static void on_exit_of_server(void *arg, const struct cox_child_result *result)
{
	(void)arg;
	print_message("lighttpd ended: %.*s\n", COX_STR_ARG(result->errors));
	exit(1);
}

static struct cox_child *start_server(const char *config)
{
	const char *const argv[] = {"lighttpd", "-D", "-f", config, NULL};
	struct cox_child_options o = {.argv = argv, .timeout_ms = -1};
	struct cox_child *child;
	struct cox_error err;

	if (cox_child_start(loop, &o, on_exit_of_server, NULL, &child, &err) < 0) {
		print_message("skipped: %s\n", err.message);
		exit(77);
	}
	return child;
}

static char *write_files(int port)
{
	_cleanup_buf_ struct cox_buf page = COX_BUF_INIT, config = COX_BUF_INIT;
	_cleanup_free_ char *page_path = cox_path_join(certs.dir, "page");
	char *config_path = cox_path_join(certs.dir, "lighttpd.conf");

	cox_buf_reserve(&page, BYTES);
	memset(page.ptr, 'x', BYTES);
	page.len = BYTES;
	cox_buf_printf(&config,
		       "server.document-root = \"%s\"\nserver.port = %d\n"
		       "server.bind = \"127.0.0.1\"\nserver.modules = ( \"mod_openssl\" )\n"
		       "ssl.engine = \"enable\"\nssl.pemfile = \"%s\"\nssl.privkey = \"%s\"\n"
		       "server.feature-flags = ( \"server.h2proto\" => \"enable\" )\n",
		       certs.dir, port, certs.server_cert_path, certs.server_key_path);
	assert_int_equal(cox_file_write(page_path, cox_buf_str(&page), 0600, NULL), 0);
	assert_int_equal(cox_file_write(config_path, cox_buf_str(&config), 0600, NULL), 0);
	return config_path;
}

static void many_calls_share_a_connection(void **state)
{
	int port = free_port();

	(void)state;
	certificates_init(&certs);
	target.ca_data = cox_buf_str(&certs.server_ca);
	char *config = write_files(port);
	struct cox_child *child = start_server(config);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/page", port);
	int64_t deadline_ms = cox_clock_ms() + 10000;
	do
		get(1);
	while (n_good == 0 && cox_clock_ms() < deadline_ms);
	assert_int_equal(n_good, 1);
	n_connections = 0;
	get(MANY);
	assert_int_equal(n_good, MANY);
	assert_in_range(n_connections, 0, 5); /* besides the one that is there */
	cox_child_cancel(child);
	unlink(config);
	free(config);
	_cleanup_free_ char *page = cox_path_join(certs.dir, "page");
	unlink(page);
	certificates_fini(&certs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(many_calls_share_a_connection)};
	struct cox_http_client_options o = {.may_connect = count_connection};

	COX_ASSERT(cox_loop_new(&loop, NULL) == 0);
	COX_ASSERT(cox_http_client_new(loop, &o, &client, NULL) == 0);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	cox_http_client_free(client);
	cox_loop_free(loop);
	return r;
}
