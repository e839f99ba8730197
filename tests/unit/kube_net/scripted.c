#include "scripted.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct cox_loop *loop;
struct cox_http_server *server;
struct cox_kube *kube;
struct cox_buf seen;
static cox_http_handler *handle;

static void note(void *arg, struct cox_http_request *r)
{
	const char *type = cox_http_header(r, "content-type");

	cox_buf_printf(&seen, "%s %s%s%s", cox_http_method(r), cox_http_path(r),
		       *cox_http_query_string(r) ? "?" : "", cox_http_query_string(r));
	if (type)
		cox_buf_printf(&seen, " [%s] %.*s", type, COX_STR_ARG(cox_http_body(r)));
	cox_buf_putc(&seen, '\n');
	handle(arg, r);
}

void scripted_start(cox_http_handler *handler, const char *extra,
		    const struct cox_kube_options *options)
{
	struct cox_error err;
	struct cox_kubeconfig *config;

	handle = handler;
	seen = COX_BUF_INIT;
	assert_int_equal(cox_loop_new(&loop, &err), 0);
	assert_int_equal(cox_http_server_new(loop,
					     &(struct cox_http_server_options){
						     .listen = "127.0.0.1:0", .handler = note},
					     &server, &err),
			 0);
	_cleanup_free_ char *text =
		cox_asprintf("current-context: a\n"
			     "contexts: [{name: a, context: {cluster: c, user: u}}]\n"
			     "clusters: [{name: c, cluster: {server: 'http://%s'}}]\n"
			     "users: [{name: u, user: {%s}}]\n",
			     cox_http_server_address(server), extra ? extra : "");
	if (cox_kubeconfig_parse(cox_str(text), "test", NULL, NULL, &config, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(cox_kube_new(loop, config, options, &kube, &err), 0);
}

void scripted_stop(void)
{
	cox_kube_free(kube);
	cox_http_server_free(server);
	cox_loop_free(loop);
	cox_buf_fini(&seen);
}

void reply_json(struct cox_http_request *request, int status, const char *json)
{
	cox_http_reply(request, status, "application/json", cox_str(json));
}

void reply_status(struct cox_http_request *request, int code, const char *reason,
		  const char *message)
{
	_cleanup_free_ char *json =
		cox_asprintf("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\","
			     "\"message\":\"%s\",\"reason\":\"%s\",\"code\":%d}",
			     message, reason, code);

	reply_json(request, code, json);
}

void wait_until(bool (*is_true)(void *arg), void *arg)
{
	if (cox_loop_wait(loop, is_true, arg, 20000, NULL) < 0)
		fail_msg("waited in vain; seen:\n%s", cox_buf_cstr(&seen));
}

bool is_set(void *arg)
{
	return *(int *)arg;
}

bool path_is(const struct cox_http_request *request, const char *path)
{
	return strcmp(cox_http_path(request), path) == 0;
}

size_t n_seen(const char *text)
{
	size_t n = 0;

	for (const char *at = cox_buf_cstr(&seen); (at = strstr(at, text)); at += strlen(text))
		n++;
	return n;
}
