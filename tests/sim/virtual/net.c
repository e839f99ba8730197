/* common/net/http_client.h over a simulated cluster.
 *
 * A call is what the program holds; an exchange is the request on its way. Either may end before
 * the other: a call by its deadline or by being cancelled, an exchange by its fate. */
#include "tests/sim/virtual/private.h"

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/net/http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TOTAL_TIMEOUT_MS 60000

struct cox_http_client {
	struct cox_list calls;
	size_t n_running;
};

struct cox_http_call {
	struct cox_list node;
	struct cox_http_client *client;
	struct exchange *exchange; /* NULL: it is over */
	struct cox_http_send send; /* only its functions and arg */
	struct cox_timer deadline;
	char retry_after[16], warning[256];
	bool *freed; /* somebody on the stack wants to know */
};

enum stage { GOING, COMING, STREAMING };

struct exchange {
	struct cox_list node;
	struct cox_http_call *call; /* NULL: nobody waits any more */
	struct virtual_request request;
	struct virtual_fate fate;
	char *method, *path, *query, *accept, *content_type;
	struct cox_buf body;
	enum stage stage;
	struct cox_timer timer, cut;
	struct cox_task ready;
	struct kubesim_response response;
	int events_left;
};

static struct {
	struct virtual_net_options o;
	struct cox_list exchanges;
	struct cox_timer controllers;
	uint64_t n_requests;
	bool open;
} net;

static int64_t wall(void)
{
	return VIRTUAL_EPOCH_MS + virtual_now_ms();
}

/* ---- the cluster's own time ---- */

static void run_controllers(void *arg)
{
	(void)arg;
	virtual_net_changed();
}

void virtual_net_changed(void)
{
	int64_t next = kubesim_run(net.o.cluster, wall());

	if (next >= 0)
		cox_timer_start(&net.controllers, next ? next : 1);
	else
		cox_timer_stop(&net.controllers);
}

/* ---- ends ---- */

static void exchange_free(struct exchange *x)
{
	cox_list_remove(&x->node);
	cox_timer_stop(&x->timer);
	cox_timer_stop(&x->cut);
	cox_loop_unsend(net.o.loop, &x->ready);
	if (x->response.watch)
		kubesim_watch_close(TAKE(x->response.watch));
	kubesim_response_fini(&x->response);
	free(x->method);
	free(x->path);
	free(x->query);
	free(x->accept);
	free(x->content_type);
	cox_buf_fini(&x->body);
	free(x);
}

static void call_free(struct cox_http_call *call)
{
	if (call->freed)
		*call->freed = true;
	cox_list_remove(&call->node);
	cox_timer_stop(&call->deadline);
	call->client->n_running--;
	free(call);
}

/* Tells the program, and forgets both. */
static void finish(struct exchange *x, int status, struct cox_str body, const char *failure)
{
	struct cox_http_call *call = x->call;
	struct cox_error error = COX_ERROR_INIT;
	struct cox_http_answer answer = {.status = status, .body = body, .call = call};

	if (call) {
		if (failure)
			cox_error(&error, COX_UNAVAILABLE, "%s %s: %s", x->method, x->path,
				  failure);
		cox_list_remove(&call->node); /* no longer to be cancelled with its client */
		x->call = NULL;
		call->exchange = NULL;
		call->send.done(call->send.arg, &answer, &error);
		call_free(call);
	}
	exchange_free(x);
}

static void too_late(void *arg)
{
	struct cox_http_call *call = arg;
	struct exchange *x = call->exchange;
	struct cox_error error;
	struct cox_http_answer answer = {.call = call};

	x->call = NULL;
	call->exchange = NULL;
	cox_list_remove(&call->node);
	cox_error(&error, COX_DEADLINE_EXCEEDED, "%s %s: no answer in time", x->method, x->path);
	call->send.done(call->send.arg, &answer, &error);
	call_free(call);
	if (x->stage != GOING || x->fate.hangs)
		exchange_free(x);
}

/* ---- streams ---- */

/* The first n lines and, torn, half of the next. */
static size_t cut_at(const struct cox_buf *text, int n, bool torn)
{
	size_t at = 0;

	for (int i = 0; i < n && at < text->len; i++)
		at += (size_t)((char *)memchr(text->ptr + at, '\n', text->len - at) - text->ptr) -
		      at + 1;
	if (torn && at < text->len)
		at += (size_t)((char *)memchr(text->ptr + at, '\n', text->len - at) - text->ptr -
			       at) /
		      2;
	return at;
}

static int count_lines(const struct cox_buf *text)
{
	int n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += text->ptr[i] == '\n';
	return n;
}

/* In two pieces, as TCP likes to. false: the call is gone. */
static bool deliver(struct exchange *x, const char *bytes, size_t n)
{
	size_t first = n ? cox_rng_below(net.o.rng, n + 1) : 0;
	struct cox_http_call *call = x->call;
	bool freed = false;
	const struct {
		const char *ptr;
		size_t len;
	} pieces[] = {{bytes, first}, {bytes + first, n - first}};

	call->freed = &freed;
	for (size_t i = 0; i < 2; i++) {
		if (!pieces[i].len)
			continue;
		if (call->send.on_bytes(call->send.arg, pieces[i].ptr, pieces[i].len) && !freed)
			cox_bug(__FILE__, __LINE__, "ending a stream from on_bytes is not here");
		if (freed)
			return false;
	}
	call->freed = NULL;
	return true;
}

static void stream_ready(void *arg)
{
	struct exchange *x = arg;

	if (!cox_timer_is_running(&x->timer))
		cox_timer_start(&x->timer, x->fate.watch_lag_ms);
}

static void expire(struct exchange *x)
{
	static const char gone[] =
		"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\","
		"\"metadata\":{},\"status\":\"Failure\",\"message\":\"too old resource version\","
		"\"reason\":\"Expired\",\"code\":410}}\n";

	if (deliver(x, gone, sizeof(gone) - 1))
		finish(x, 200, COX_STR(""), NULL);
}

static void stream_cut(void *arg)
{
	struct exchange *x = arg;

	if (!x->call)
		exchange_free(x);
	else if (x->fate.watch_expires)
		expire(x);
	else
		finish(x, 0, COX_STR(""), "the connection was cut");
}

static void stream_pump(struct exchange *x)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	if (!x->call) {
		exchange_free(x);
		return;
	}
	int over = kubesim_watch_pull(x->response.watch, &out);

	if (x->events_left >= 0) {
		int n = count_lines(&out);
		bool cut = n > x->events_left || (n == x->events_left && !x->fate.watch_torn);

		if (cut) {
			size_t keep = cut_at(&out, x->events_left, x->fate.watch_torn);

			if (deliver(x, out.ptr, keep))
				stream_cut(x);
			return;
		}
		x->events_left -= n;
	}
	if (out.len && !deliver(x, out.ptr, out.len))
		return; /* cancelled: x may be gone too */
	if (over) {
		finish(x, 200, COX_STR(""), NULL);
		return;
	}
	if (x->fate.watch_ms)
		return;
	/* it ends by itself */
	int64_t left = kubesim_watch_deadline_ms(x->response.watch) - wall();

	cox_timer_start(&x->cut, left > 1 ? left : 1);
}

/* ---- the way of a request ---- */

static void stream_over(void *arg)
{
	struct exchange *x = arg;

	if (x->fate.watch_ms)
		stream_cut(x);
	else
		stream_pump(x);
}

static void come_back(struct exchange *x)
{
	struct cox_str body = cox_buf_str(&x->response.body);

	if (x->fate.answer_lost) {
		finish(x, 0, COX_STR(""), "the connection was cut");
		return;
	}
	if (x->fate.answer_hangs && x->call) {
		/* until its deadline */
		x->stage = COMING;
		return;
	}
	if (!x->call) {
		exchange_free(x);
		return;
	}
	if (x->response.watch) {
		struct cox_http_answer head = {.status = x->response.status, .call = x->call};

		x->stage = STREAMING;
		if (x->call->send.on_head)
			x->call->send.on_head(x->call->send.arg, &head);
		cox_timer_init(&x->cut, net.o.loop, stream_over, x);
		if (x->fate.watch_ms)
			cox_timer_start(&x->cut, x->fate.watch_ms);
		x->events_left = x->fate.watch_events;
		kubesim_watch_on_ready(x->response.watch, stream_ready, x);
		stream_ready(x);
		return;
	}
	if (x->response.warnings.len)
		snprintf(x->call->warning, sizeof(x->call->warning), "%s",
			 cox_buf_cstr(&x->response.warnings));
	if (x->fate.answer_torn && x->response.status < 300)
		body.len /= 2;
	finish(x, x->response.status, body, NULL);
}

static void refuse(struct exchange *x)
{
	x->response.status = x->fate.status;
	x->response.content_type = "application/json";
	cox_buf_printf(&x->response.body,
		       "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
		       "\"Failure\",\"message\":\"simulated %d\",\"reason\":\"%s\",\"code\":%d}",
		       x->fate.status, x->fate.reason ? x->fate.reason : "", x->fate.status);
	if (x->fate.retry_after_s && x->call)
		snprintf(x->call->retry_after, sizeof(x->call->retry_after), "%d",
			 x->fate.retry_after_s);
}

static void arrive(struct exchange *x)
{
	const struct kubesim_request request = {.method = x->method,
						.path = x->path,
						.query = x->query,
						.accept = x->accept,
						.content_type = x->content_type,
						.user_agent = "coxswain",
						.body = cox_buf_str(&x->body)};

	if (x->fate.lost) {
		finish(x, 0, COX_STR(""), "connection refused");
		return;
	}
	if (x->fate.hangs) {
		if (!x->call)
			exchange_free(x);
		return;
	}
	x->stage = COMING;
	if (x->fate.status) {
		refuse(x);
	} else {
		if (net.o.arrives)
			net.o.arrives(net.o.ctx, &x->request, !x->call);
		kubesim_run(net.o.cluster, wall());
		kubesim_handle(net.o.cluster, &request, &x->response);
		virtual_net_changed();
		if (net.o.done)
			net.o.done(net.o.ctx, &x->request, x->response.status);
	}
	cox_timer_start(&x->timer, x->fate.back_ms);
}

static void on_timer(void *arg)
{
	struct exchange *x = arg;

	switch (x->stage) {
	case GOING:
		arrive(x);
		return;
	case COMING:
		come_back(x);
		return;
	case STREAMING:
		stream_pump(x);
		return;
	}
}

/* ---- the client ---- */

int cox_http_client_new(struct cox_loop *loop, const struct cox_http_client_options *options,
			struct cox_http_client **ret_client, struct cox_error *err)
{
	(void)loop;
	(void)options;
	(void)err;
	*ret_client = cox_new(struct cox_http_client);
	cox_list_init(&(*ret_client)->calls);
	return 0;
}

void cox_http_client_free(struct cox_http_client *client)
{
	if (!client)
		return;
	while (!cox_list_is_empty(&client->calls))
		cox_http_cancel(COX_LIST_FIRST(&client->calls, struct cox_http_call, node));
	free(client);
}

static char *header(const char *const *headers, const char *name)
{
	size_t n = strlen(name);

	for (; headers && *headers; headers++)
		if (strncasecmp(*headers, name, n) == 0 && (*headers)[n] == ':')
			return cox_strdup(*headers + n + 1 + strspn(*headers + n + 1, " "));
	return NULL;
}

static void describe(struct exchange *x)
{
	x->request = (struct virtual_request){.id = ++net.n_requests,
					      .method = x->method,
					      .path = x->path,
					      .query = x->query,
					      .accept = x->accept,
					      .content_type = x->content_type,
					      .body = cox_buf_str(&x->body),
					      .streams = x->call->send.on_bytes != NULL};
}

int cox_http_send(struct cox_http_client *client, const struct cox_http_send *send,
		  struct cox_http_call **ret_call, struct cox_error *err)
{
	struct cox_http_call *call = cox_new(struct cox_http_call);
	struct exchange *x = cox_new(struct exchange);
	const char *path = strstr(send->url, "://");
	int64_t total = send->total_timeout_ms ? send->total_timeout_ms : TOTAL_TIMEOUT_MS;

	(void)err;
	COX_ASSERT(net.open && path);
	path = strchr(path + 3, '/');
	COX_ASSERT(path);
	size_t n = strcspn(path, "?");

	call->client = client;
	call->exchange = x;
	call->send = *send;
	cox_list_init(&call->node);
	cox_list_append(&client->calls, &call->node);
	client->n_running++;
	cox_timer_init(&call->deadline, net.o.loop, too_late, call);
	if (total > 0)
		cox_timer_start(&call->deadline, total);
	x->call = call;
	x->method = cox_strdup(send->method);
	x->path = cox_strndup(path, n);
	x->query = cox_strdup(path[n] ? path + n + 1 : "");
	x->accept = header(send->headers, "accept");
	x->content_type = header(send->headers, "content-type");
	cox_buf_puts_str(&x->body, send->body);
	cox_list_init(&x->node);
	cox_list_append(&net.exchanges, &x->node);
	cox_timer_init(&x->timer, net.o.loop, on_timer, x);
	cox_timer_init(&x->cut, net.o.loop, stream_over, x);
	cox_task_init(&x->ready, stream_ready, x);
	x->fate.watch_events = -1;
	describe(x);
	if (net.o.fate)
		net.o.fate(net.o.ctx, &x->request, &x->fate);
	cox_timer_start(&x->timer, x->fate.there_ms);
	if (ret_call)
		*ret_call = call;
	return 0;
}

void cox_http_cancel(struct cox_http_call *call)
{
	if (!call)
		return;
	struct exchange *x = call->exchange;

	call_free(call);
	if (!x)
		return;
	x->call = NULL;
	if (x->stage != GOING || !x->fate.cut_arrives || x->request.streams)
		exchange_free(x);
}

size_t cox_http_client_running(const struct cox_http_client *client)
{
	return client->n_running;
}

const char *cox_http_answer_header(const struct cox_http_answer *answer, const char *name)
{
	const struct cox_http_call *call = answer->call;
	const char *text = !call				  ? ""
			   : strcasecmp(name, "retry-after") == 0 ? call->retry_after
			   : strcasecmp(name, "warning") == 0	  ? call->warning
								  : "";

	return *text ? text : NULL;
}

int cox_http_check(const struct cox_http_answer *answer, const char *what, struct cox_error *err)
{
	if (answer->status >= 200 && answer->status < 300)
		return 0;
	return cox_error(err, cox_code_from_http(answer->status), "%s: %d", what, answer->status);
}

/* ---- the network ---- */

void virtual_net_open(const struct virtual_net_options *options)
{
	COX_ASSERT(!net.open);
	net.o = *options;
	net.open = true;
	net.n_requests = 0;
	cox_list_init(&net.exchanges);
	cox_timer_init(&net.controllers, net.o.loop, run_controllers, NULL);
	virtual_net_changed();
}

void virtual_net_drop_cut(void)
{
	COX_LIST_EACH(&net.exchanges, node)
	{
		struct exchange *x = COX_LIST_ENTRY(node, struct exchange, node);

		if (!x->call)
			exchange_free(x);
	}
}

void virtual_net_land_cut(void)
{
	COX_LIST_EACH(&net.exchanges, node)
	{
		struct exchange *x = COX_LIST_ENTRY(node, struct exchange, node);

		if (!x->call && x->stage == GOING) {
			cox_timer_stop(&x->timer);
			arrive(x);
		}
	}
	virtual_net_drop_cut();
}

void virtual_net_close(void)
{
	while (!cox_list_is_empty(&net.exchanges))
		exchange_free(COX_LIST_FIRST(&net.exchanges, struct exchange, node));
	cox_timer_stop(&net.controllers);
	net.open = false;
}
