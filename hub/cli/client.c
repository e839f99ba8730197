#include "hub/cli/client.h"

#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/doc/json.h"
#include "common/net/http_client.h"

#define MAX_TOKEN	   4096
#define MAX_ANSWER	   (256 << 20)
#define MAX_EVENT	   (128 << 20)
#define CONNECT_TIMEOUT_MS 10000
#define CALL_TIMEOUT_MS	   60000
#define FOREVER_MS	   (INT64_C(1) << 36) /* the call has its own limits */
#define STREAM_IDLE_MS	   60000	      /* the hub writes something every 15 s */

struct cli_hub {
	char *url; /* without '/' at its end */
	char *token;
	char *ca_file;
	struct cox_http_target target;
	struct cox_loop *loop;
	struct cox_http_client *client;
	struct call *following; /* NULL: none */
};

/* ---- opening ---- */

static int read_token_file(const char *path, char **ret_token, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	int r = cox_file_read(path, MAX_TOKEN, &text, err);

	if (r < 0)
		return r;
	*ret_token = cox_str_dup(cox_str_trim(cox_buf_str(&text)));
	if (text.ptr)
		explicit_bzero(text.ptr, text.len);
	return 0;
}

static int find_token(struct cli_hub *hub, const struct cli_flags *flags, struct cox_error *err)
{
	const char *env = getenv("COX_TOKEN");

	if (flags->token_file)
		return read_token_file(flags->token_file, &hub->token, err);
	if (env && *env) {
		hub->token = cox_strdup(env);
		return 0;
	}
	return cli_credentials_find(hub->url, &hub->token, err);
}

static int set_url(struct cli_hub *hub, const char *url, struct cox_error *err)
{
	struct cox_str s = cox_str(url);

	if (!cox_str_starts(s, "http://") && !cox_str_starts(s, "https://"))
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the hub's address '%s' must begin with http:// or https://", url);
	while (s.len && s.ptr[s.len - 1] == '/')
		s.len--;
	hub->url = cox_str_dup(s);
	return 0;
}

int cli_hub_open(const struct cli_flags *flags, struct cli_hub **ret_hub, struct cox_error *err)
{
	_cleanup_hub_ struct cli_hub *hub = cox_new(struct cli_hub);
	int r = set_url(hub, flags->hub, err);

	if (r == 0)
		r = find_token(hub, flags, err);
	if (r == 0)
		r = cox_loop_new(&hub->loop, err);
	if (r == 0)
		r = cox_http_client_new(hub->loop, NULL, &hub->client, err);
	if (r < 0)
		return r;
	hub->ca_file = cox_strdup(flags->ca_file);
	hub->target =
		(struct cox_http_target){.ca_path = hub->ca_file, .insecure = flags->insecure};
	*ret_hub = TAKE(hub);
	return 0;
}

void cli_hub_close(struct cli_hub *hub)
{
	if (!hub)
		return;
	cox_http_client_free(hub->client);
	cox_loop_free(hub->loop);
	if (hub->token)
		explicit_bzero(hub->token, strlen(hub->token));
	free(hub->token);
	free(hub->ca_file);
	free(hub->url);
	free(hub);
}

const char *cli_hub_url(const struct cli_hub *hub)
{
	return hub->url;
}

void cli_hub_set_token(struct cli_hub *hub, const char *token)
{
	free(hub->token);
	hub->token = cox_strdup(token);
}

/* ---- one call ---- */

/* a list of everything that a large hub has */
static const struct cox_json_options limits = {
	.max_nodes = 50 << 20, .max_scalar = 16 << 20, .max_bytes = MAX_ANSWER};

struct call {
	struct cli_hub *hub;
	struct cox_http_call *http; /* NULL once it is done */
	bool done;
	int status;
	struct cox_buf body;
	struct cox_error error;
	/* streams */
	struct cox_buf line, data;
	int (*on_event)(void *ctx, struct cox_doc *doc, struct cox_error *err);
	void *ctx;
	int result;
	struct cox_error event_error;
};

static void call_fini(struct call *c)
{
	cox_buf_fini(&c->body);
	cox_buf_fini(&c->line);
	cox_buf_fini(&c->data);
}

static void on_done(void *arg, const struct cox_http_answer *answer, const struct cox_error *error)
{
	struct call *c = arg;

	c->done = true;
	c->http = NULL;
	c->error = *error;
	c->status = answer ? answer->status : 0;
	if (answer)
		cox_buf_puts_str(&c->body, answer->body);
}

static bool is_done(void *arg)
{
	return ((struct call *)arg)->done;
}

/* Why there is no answer, and what a person can do about it. */
static int no_answer(const struct call *c, struct cox_error *err)
{
	return cox_error(
		err, (enum cox_code)c->error.code,
		"cannot reach the hub at '%s': %s (is it running? --hub or COX_HUB names it)",
		c->hub->url, c->error.message);
}

static int refused(const struct call *c, struct cox_error *err)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const char *message = "", *hint = "";
	enum cox_code code = cox_code_from_http(c->status);

	if (cox_json_read(cox_buf_str(&c->body), "the hub's answer", &doc, NULL) == 0) {
		const char *name = cox_node_cstr(COX_GET(cox_doc_root(doc), "code"), "");

		message = cox_node_cstr(COX_GET(cox_doc_root(doc), "message"), "");
		if (*name)
			code = cox_code_parse(name);
	}
	if (code == COX_UNAUTHENTICATED && !strstr(message, "cox login"))
		hint = c->hub->token ? " (the token is not the hub's: `cox login` or COX_TOKEN)"
				     : " (no token: `cox login` or COX_TOKEN)";
	if (code == COX_OK)
		code = COX_UNKNOWN;
	if (!*message)
		return cox_error(err, code, "the hub answered with HTTP status %d%s", c->status,
				 hint);
	return cox_error(err, code, "%s%s", message, hint);
}

static int run_call(struct call *c, struct cox_http_send *send, const char *path,
		    struct cox_error *err)
{
	static const char *const headers[] = {"Content-Type: application/json",
					      "Accept: application/json", NULL};
	static const char *const stream_headers[] = {"Content-Type: application/json",
						     "Accept: text/event-stream, application/json",
						     NULL};
	_cleanup_free_ char *url = cox_asprintf("%s%s", c->hub->url, path);
	int r;

	send->url = url;
	send->headers = send->on_bytes ? stream_headers : headers;
	send->bearer_token = c->hub->token;
	send->target = &c->hub->target;
	send->connect_timeout_ms = CONNECT_TIMEOUT_MS;
	send->done = on_done;
	send->arg = c;
	r = cox_http_send(c->hub->client, send, &c->http, err);
	if (r < 0)
		return r;
	return cox_loop_wait(c->hub->loop, is_done, c, FOREVER_MS, err);
}

int cli_hub_call(struct cli_hub *hub, const char *method, const char *path,
		 const struct cox_node *body, struct cox_doc **ret_doc, struct cox_error *err)
{
	COX_CLEANUP(call_fini) struct call c = {.hub = hub};
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;
	struct cox_http_send send = {
		.method = method, .total_timeout_ms = CALL_TIMEOUT_MS, .max_body = MAX_ANSWER};
	struct cox_doc *doc = NULL;
	int r;

	if (body)
		cox_json_write(&json, body);
	send.body = cox_buf_str(&json);
	r = run_call(&c, &send, path, err);
	if (r < 0)
		return r;
	if (c.error.code != COX_OK)
		return no_answer(&c, err);
	if (c.status < 200 || c.status > 299)
		return refused(&c, err);
	if (!ret_doc)
		return 0;
	r = cox_json_read_with(cox_buf_str(&c.body), "the hub's answer", &limits, &doc, err);
	if (r < 0)
		return r;
	*ret_doc = doc;
	return 0;
}

/* ---- event streams (https://html.spec.whatwg.org/multipage/server-sent-events.html) ---- */

static int dispatch(struct call *c)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	int r;

	if (c->data.len == 0)
		return 0;
	r = cox_json_read_with(cox_buf_str(&c->data), "event", &limits, &doc, &c->event_error);
	cox_buf_clear(&c->data);
	return r < 0 ? r : c->on_event(c->ctx, doc, &c->event_error);
}

static int take_line(struct call *c)
{
	struct cox_str line = cox_buf_str(&c->line);

	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (line.len == 0)
		return dispatch(c);
	if (!cox_str_starts(line, "data:"))
		return 0;
	line = (struct cox_str){line.ptr + 5, line.len - 5};
	if (cox_str_starts(line, " "))
		line = (struct cox_str){line.ptr + 1, line.len - 1};
	if (c->data.len)
		cox_buf_putc(&c->data, '\n');
	cox_buf_puts_str(&c->data, line);
	return 0;
}

static int on_bytes(void *arg, const void *bytes, size_t n)
{
	struct call *c = arg;
	const char *p = bytes;

	for (size_t i = 0; i < n && c->result == 0; i++) {
		if (p[i] != '\n') {
			cox_buf_putc(&c->line, p[i]);
			continue;
		}
		c->result = take_line(c);
		cox_buf_clear(&c->line);
	}
	if (c->line.len + c->data.len > MAX_EVENT)
		c->result = cox_error(&c->event_error, COX_RESOURCE_EXHAUSTED,
				      "an event of the hub is larger than %d bytes", MAX_EVENT);
	return c->result != 0;
}

int cli_hub_follow(struct cli_hub *hub, const char *path,
		   int (*on_event)(void *ctx, struct cox_doc *doc, struct cox_error *err),
		   void *ctx, struct cox_error *err)
{
	return cli_hub_stream(hub, "GET", path, NULL, on_event, ctx, err);
}

int cli_hub_stream(struct cli_hub *hub, const char *method, const char *path,
		   const struct cox_node *body,
		   int (*on_event)(void *ctx, struct cox_doc *doc, struct cox_error *err),
		   void *ctx, struct cox_error *err)
{
	COX_CLEANUP(call_fini) struct call c = {.hub = hub, .on_event = on_event, .ctx = ctx};
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;
	struct cox_http_send send = {.method = method,
				     .total_timeout_ms = -1,
				     .idle_timeout_ms = STREAM_IDLE_MS,
				     .on_bytes = on_bytes};
	int r;

	if (body)
		cox_json_write(&json, body);
	send.body = cox_buf_str(&json);
	hub->following = &c;
	r = run_call(&c, &send, path, err);
	hub->following = NULL;
	if (r < 0)
		return r;
	if (c.result < 0)
		return cox_error(err, (enum cox_code) - c.result, "%s", c.event_error.message);
	if (c.result > 0)
		return c.result;
	if (c.error.code != COX_OK)
		return no_answer(&c, err);
	return c.status < 200 || c.status > 299 ? refused(&c, err) : 0;
}

void cli_hub_leave(struct cli_hub *hub, int result)
{
	struct call *c = hub->following;

	if (!c || c->done)
		return;
	cox_http_cancel(c->http);
	c->http = NULL;
	c->result = result;
	c->done = true;
}

struct cox_loop *cli_hub_loop(struct cli_hub *hub)
{
	return hub->loop;
}

/* ---- paths ---- */

char *cli_object_path(const char *kind_plural, bool namespaced, const char *namespace,
		      const char *name, const char *tail)
{
	struct cox_buf path = COX_BUF_INIT;
	const char *slash = namespaced ? strchr(name, '/') : NULL;

	cox_buf_printf(&path, "/api/v1/%s/", kind_plural);
	if (slash) {
		cox_url_encode(&path, cox_str_n(name, (size_t)(slash - name)));
		cox_buf_putc(&path, '/');
		name = slash + 1;
	} else if (namespaced) {
		cox_url_encode(&path, cox_str(namespace && *namespace ? namespace : "-"));
		cox_buf_putc(&path, '/');
	}
	cox_url_encode(&path, cox_str(name));
	cox_buf_puts(&path, tail);
	return cox_buf_take(&path);
}
