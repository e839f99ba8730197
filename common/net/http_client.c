#include "common/net/http_client.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/vec.h"
#include "common/net/http_server.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
	DEFAULT_BODY = 16 << 20,
	REFUSED_BODY = 64 << 10, /* kept of an error's body when the call streams */
	MAX_HEADER_BYTES = 128 << 10,
	MAX_SPARE = 32,
	CONNECT_TIMEOUT_MS = 10000,
	TOTAL_TIMEOUT_MS = 60000,
};

struct cox_http_call {
	struct cox_list node; /* in the client's running, starting or ending */
	struct cox_http_client *client;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	char *what; /* "GET https://host/path", for messages */
	struct cox_buf body;
	bool streams, head_done, cancelled, refused;
	size_t max_body;
	int64_t idle_ms;
	struct cox_timer idle;
	int (*on_bytes)(void *arg, const void *bytes, size_t n);
	void (*on_head)(void *arg, const struct cox_http_answer *answer);
	void (*done)(void *arg, const struct cox_http_answer *answer,
		     const struct cox_error *error);
	void *arg;
	struct cox_buf answer_headers; /* name NUL value NUL … */
	struct cox_buf answer_body;
	struct cox_error error; /* ours; takes the place of curl's */
	char curl_text[CURL_ERROR_SIZE];
};

struct cox_http_client {
	struct cox_loop *loop;
	struct cox_http_client_options o;
	CURLM *multi;
	struct cox_timer timer;
	struct cox_list running, starting, ending; /* cox_http_call */
	struct cox_list sockets;
	COX_VEC(CURL *) spare;
	bool in_curl; /* curl is below on the stack, and takes no calls */
	bool in_done;
	bool freed; /* from inside a done */
	size_t n_running;
};

struct http_socket {
	struct cox_list node;
	struct cox_http_client *client;
	struct cox_io io;
};

static void settle(struct cox_http_client *client);

/* ---- curl's sockets and timer on the loop ---- */

static void drive(struct cox_http_client *client, curl_socket_t fd, int what)
{
	int n;

	client->in_curl = true;
	curl_multi_socket_action(client->multi, fd, what, &n);
	client->in_curl = false;
	settle(client);
}

static void on_timer(void *arg)
{
	drive(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct cox_http_client *client = arg;

	(void)multi;
	if (timeout_ms < 0)
		cox_timer_stop(&client->timer);
	else
		cox_timer_start(&client->timer, timeout_ms);
	return 0;
}

static void on_socket(void *arg, int events)
{
	struct http_socket *s = arg;

	/* s may be gone afterwards. */
	drive(s->client, s->io.fd,
	      (events & COX_IO_READ ? CURL_CSELECT_IN : 0) |
		      (events & COX_IO_WRITE ? CURL_CSELECT_OUT : 0));
}

static void free_socket(struct http_socket *s)
{
	cox_io_fini(&s->io);
	cox_list_remove(&s->node);
	free(s);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct cox_http_client *client = arg;
	struct http_socket *s = known;
	int events =
		(what & CURL_POLL_IN ? COX_IO_READ : 0) | (what & CURL_POLL_OUT ? COX_IO_WRITE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			free_socket(s);
		return 0;
	}
	if (!s) {
		s = cox_new(struct http_socket);
		s->client = client;
		cox_io_init(&s->io, client->loop, fd, on_socket, s);
		cox_list_append(&client->sockets, &s->node);
		curl_multi_assign(client->multi, fd, s);
	}
	return cox_io_watch(&s->io, events, NULL) < 0 ? -1 : 0;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct cox_http_call *call = arg;
	const struct cox_http_client_options *o = &call->client->o;

	(void)purpose;
	if (o->may_connect &&
	    !o->may_connect(o->may_connect_arg, &address->addr, address->addrlen)) {
		call->refused = true;
		return CURL_SOCKET_BAD;
	}
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	/* A peer that is gone without a word: noticed within a minute (curl sets the other half). */
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){3}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &(int){60000}, sizeof(int));
	return fd;
}

/* ---- answers ---- */

const char *cox_http_answer_header(const struct cox_http_answer *answer, const char *name)
{
	const struct cox_buf *all = &answer->call->answer_headers;
	const char *found = NULL;

	for (size_t at = 0; at < all->len;) {
		const char *key = all->ptr + at;
		const char *value = key + strlen(key) + 1;
		if (strcasecmp(key, name) == 0)
			found = value;
		at = (size_t)(value + strlen(value) + 1 - all->ptr);
	}
	return found;
}

static struct cox_http_answer answer_of(struct cox_http_call *call)
{
	long status = 0, version = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(call->easy, CURLINFO_HTTP_VERSION, &version);
	return (struct cox_http_answer){.status = (int)status,
					.is_http2 = version == CURL_HTTP_VERSION_2_0,
					.body = cox_buf_str(&call->answer_body),
					.call = call};
}

/* A byte came. */
static void live(struct cox_http_call *call)
{
	if (call->idle_ms)
		cox_timer_start(&call->idle, call->idle_ms);
}

static void end_of_head(struct cox_http_call *call)
{
	struct cox_http_answer answer = answer_of(call);

	if (answer.status < 200 || call->head_done)
		return;
	call->head_done = true;
	call->streams = call->on_bytes && answer.status < 300;
	if (call->streams && call->on_head)
		call->on_head(call->arg, &answer);
}

static size_t take_header(char *bytes, size_t one, size_t n, void *arg)
{
	struct cox_http_call *call = arg;
	struct cox_str line = cox_str_trim(cox_str_n(bytes, n));
	const char *colon;

	(void)one;
	live(call);
	if (call->cancelled)
		return 0;
	if (line.len == 0) {
		end_of_head(call);
		return n;
	}
	/* Each of several answers (1xx) begins with its own status line. */
	if (cox_str_starts(line, "HTTP/") && !call->head_done) {
		cox_buf_clear(&call->answer_headers);
		return n;
	}
	colon = memchr(line.ptr, ':', line.len);
	if (!colon || memchr(line.ptr, '\0', line.len))
		return n;
	if (call->answer_headers.len + n > MAX_HEADER_BYTES) {
		cox_error(&call->error, COX_RESOURCE_EXHAUSTED,
			  "%s: the headers of the answer are longer than %d bytes", call->what,
			  MAX_HEADER_BYTES);
		return 0;
	}
	size_t name_n = (size_t)(colon - line.ptr);
	struct cox_str value = cox_str_trim(cox_str_n(colon + 1, line.len - name_n - 1));
	cox_buf_add(&call->answer_headers, line.ptr, name_n);
	cox_buf_putc(&call->answer_headers, '\0');
	cox_buf_puts_str(&call->answer_headers, value);
	cox_buf_putc(&call->answer_headers, '\0');
	return n;
}

static size_t give_bytes(struct cox_http_call *call, const char *bytes, size_t n)
{
	call->max_body -= n;
	int r = call->on_bytes(call->arg, bytes, n);
	if (call->cancelled)
		return 0;
	if (r == 0)
		return n;
	cox_error(&call->error, COX_CANCELLED, "%s: given up by its reader", call->what);
	return 0;
}

static size_t take_body(char *bytes, size_t one, size_t n, void *arg)
{
	struct cox_http_call *call = arg;

	(void)one;
	live(call);
	if (call->cancelled)
		return 0;
	end_of_head(call);
	size_t room = call->max_body;
	bool keeps = !call->streams;
	if (keeps && call->on_bytes) { /* an error: a part of it will do */
		room = REFUSED_BODY - call->answer_body.len;
		cox_buf_add(&call->answer_body, bytes, n < room ? n : room);
		return n;
	}
	if (keeps)
		room -= call->answer_body.len;
	if (n > room) {
		cox_error(&call->error, COX_RESOURCE_EXHAUSTED,
			  "%s: the answer is longer than its limit", call->what);
		return 0;
	}
	if (!keeps)
		return give_bytes(call, bytes, n);
	cox_buf_add(&call->answer_body, bytes, n);
	return n;
}

/* ---- ends of calls ---- */

static const struct {
	CURLcode curl;
	enum cox_code code;
} codes[] = {
	{CURLE_UNSUPPORTED_PROTOCOL, COX_INVALID_ARGUMENT},
	{CURLE_URL_MALFORMAT, COX_INVALID_ARGUMENT},
	{CURLE_COULDNT_RESOLVE_PROXY, COX_UNAVAILABLE},
	{CURLE_COULDNT_RESOLVE_HOST, COX_UNAVAILABLE},
	{CURLE_COULDNT_CONNECT, COX_UNAVAILABLE},
	{CURLE_OPERATION_TIMEDOUT, COX_DEADLINE_EXCEEDED},
	{CURLE_SSL_CONNECT_ERROR, COX_UNAVAILABLE},
	{CURLE_PEER_FAILED_VERIFICATION, COX_UNAUTHENTICATED},
	{CURLE_SSL_CERTPROBLEM, COX_FAILED_PRECONDITION},
	{CURLE_SSL_CACERT_BADFILE, COX_FAILED_PRECONDITION},
	{CURLE_SSL_ISSUER_ERROR, COX_UNAUTHENTICATED},
	{CURLE_GOT_NOTHING, COX_UNAVAILABLE},
	{CURLE_SEND_ERROR, COX_UNAVAILABLE},
	{CURLE_RECV_ERROR, COX_UNAVAILABLE},
	{CURLE_PARTIAL_FILE, COX_UNAVAILABLE},
	{CURLE_HTTP2, COX_UNAVAILABLE},
	{CURLE_HTTP2_STREAM, COX_UNAVAILABLE},
	{CURLE_PROXY, COX_UNAVAILABLE},
	{CURLE_WEIRD_SERVER_REPLY, COX_UNAVAILABLE},
	{CURLE_BAD_CONTENT_ENCODING, COX_DATA_LOSS},
};

static void translate(struct cox_http_call *call, CURLcode curl)
{
	enum cox_code code = COX_UNKNOWN;
	const char *text = call->curl_text[0] ? call->curl_text : curl_easy_strerror(curl);

	if (curl == CURLE_OK || call->error.code)
		return;
	if (call->refused) {
		cox_error(&call->error, COX_PERMISSION_DENIED,
			  "%s: connecting to this address is not allowed", call->what);
		return;
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(codes); i++)
		if (codes[i].curl == curl)
			code = codes[i].code;
	cox_error(&call->error, code, "%s: %s", call->what, text);
}

static void free_headers(struct curl_slist *list)
{
	for (struct curl_slist *l = list; l; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(list);
}

/* The call is in no multi any more. */
static void free_call(struct cox_http_call *call)
{
	struct cox_http_client *client = call->client;

	if (call->easy && client->spare.n < MAX_SPARE) {
		curl_easy_reset(call->easy);
		cox_vec_push(&client->spare, call->easy);
	} else {
		curl_easy_cleanup(call->easy);
	}
	free_headers(call->headers);
	curl_slist_free_all(call->connect_to);
	cox_timer_stop(&call->idle);
	cox_buf_fini(&call->body);
	cox_buf_fini(&call->answer_headers);
	cox_buf_fini(&call->answer_body);
	free(call->what);
	free(call);
}

static void take_out(struct cox_http_call *call)
{
	struct cox_http_client *client = call->client;

	client->in_curl =
		true; /* it may call set_socket and set_timer, and nothing of the user's */
	curl_multi_remove_handle(client->multi, call->easy);
	client->in_curl = false;
	cox_list_remove(&call->node);
	client->n_running--;
}

static void complete(struct cox_http_call *call, CURLcode curl)
{
	struct cox_http_client *client = call->client;
	struct cox_http_answer answer = answer_of(call);

	translate(call, curl);
	if (call->error.code)
		answer.status = 0;
	take_out(call);
	cox_timer_stop(&call->idle);
	client->in_done = true;
	if (!call->cancelled) {
		call->cancelled = true; /* by itself, from inside: nothing is left to do */
		call->done(call->arg, &answer, &call->error);
	}
	client->in_done = false;
	free_call(call);
}

static void free_calls(struct cox_list *calls)
{
	struct cox_http_call *call;

	while ((call = COX_LIST_FIRST(calls, struct cox_http_call, node))) {
		take_out(call);
		free_call(call);
	}
}

static void really_free(struct cox_http_client *client)
{
	struct http_socket *s;

	free_calls(&client->running);
	free_calls(&client->starting);
	free_calls(&client->ending);
	COX_VEC_EACH (&client->spare, easy)
		curl_easy_cleanup(*easy);
	cox_vec_fini(&client->spare);
	client->in_curl = true;
	curl_multi_cleanup(client->multi);
	while ((s = COX_LIST_FIRST(&client->sockets, struct http_socket, node)))
		free_socket(s);
	cox_timer_stop(&client->timer);
	free(client);
}

static void begin(struct cox_http_call *call)
{
	struct cox_http_client *client = call->client;

	cox_list_append(&client->running, &call->node);
	client->in_curl = true;
	COX_ASSERT(curl_multi_add_handle(client->multi, call->easy) == CURLM_OK);
	client->in_curl = false;
	live(call);
}

/* What could not be done while curl was on the stack, and the calls that have ended. */
static void settle(struct cox_http_client *client)
{
	struct cox_http_call *call;
	CURLMsg *message;
	int left;

	free_calls(&client->ending);
	while (!client->freed && (message = curl_multi_info_read(client->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		complete(call, message->data.result);
	}
	if (client->freed) {
		really_free(client);
		return;
	}
	while ((call = COX_LIST_FIRST(&client->starting, struct cox_http_call, node))) {
		cox_list_remove(&call->node);
		begin(call);
	}
}

static void on_idle(void *arg)
{
	struct cox_http_call *call = arg;
	struct cox_http_client *client = call->client;

	cox_error(&call->error, COX_DEADLINE_EXCEEDED, "%s: nothing came for %lld ms", call->what,
		  (long long)call->idle_ms);
	complete(call, CURLE_OPERATION_TIMEDOUT);
	settle(client);
}

void cox_http_cancel(struct cox_http_call *call)
{
	if (!call || call->cancelled)
		return;
	struct cox_http_client *client = call->client;
	COX_ASSERT(cox_loop_is_owner(client->loop));
	call->cancelled = true;
	cox_timer_stop(&call->idle);
	cox_list_remove(&call->node);
	if (client->in_curl) {
		cox_list_append(&client->ending, &call->node);
		return;
	}
	take_out(call);
	free_call(call);
}

/* ---- beginnings ---- */

static void set_target(CURL *e, const struct cox_http_target *t)
{
	static const struct cox_http_target none;
	struct curl_blob blob = {.flags = CURL_BLOB_NOCOPY};

	t = t ? t : &none;
#define BLOB(option, text)                                                                         \
	if ((text).len) {                                                                          \
		blob.data = (void *)(text).ptr;                                                    \
		blob.len = (text).len;                                                             \
		curl_easy_setopt(e, option, &blob);                                                \
	}
	BLOB(CURLOPT_CAINFO_BLOB, t->ca_data);
	BLOB(CURLOPT_SSLCERT_BLOB, t->cert_data);
	BLOB(CURLOPT_SSLKEY_BLOB, t->key_data);
#undef BLOB
	if (t->ca_path)
		curl_easy_setopt(e, CURLOPT_CAINFO, t->ca_path);
	if (t->ca_path || t->ca_data.len) /* and no other authorities */
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	if (t->cert_path)
		curl_easy_setopt(e, CURLOPT_SSLCERT, t->cert_path);
	if (t->key_path)
		curl_easy_setopt(e, CURLOPT_SSLKEY, t->key_path);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, t->insecure ? 0L : 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, t->insecure ? 0L : 2L);
	/* "": none, also not the environment's. */
	curl_easy_setopt(e, CURLOPT_PROXY, t->proxy_url ? t->proxy_url : "");
	curl_easy_setopt(e, CURLOPT_NOPROXY, "");
}

static void set_body(struct cox_http_call *call, const struct cox_http_send *send)
{
	CURL *e = call->easy;
	bool is_post = strcmp(send->method, "POST") == 0 || strcmp(send->method, "PUT") == 0 ||
		       strcmp(send->method, "PATCH") == 0;

	if (strcmp(send->method, "HEAD") == 0) {
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
		return;
	}
	if (send->body.len || is_post) {
		cox_buf_add(&call->body, send->body.ptr, send->body.len);
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, cox_buf_cstr(&call->body));
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)send->body.len);
	}
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, send->method);
}

static void add_header(struct cox_http_call *call, const char *line)
{
	struct curl_slist *longer = curl_slist_append(call->headers, line);

	COX_ASSERT(longer);
	call->headers = longer;
}

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
			return false;
	return true;
}

static int set_headers(struct cox_http_call *call, const struct cox_http_send *send,
		       struct cox_error *err)
{
	bool has_type = false;

	for (size_t i = 0; send->headers && send->headers[i]; i++) {
		const char *line = send->headers[i];
		if (!is_plain(line) || !strchr(line, ':'))
			return cox_error(err, COX_INVALID_ARGUMENT, "%s: malformed header %zu",
					 call->what, i + 1);
		has_type = has_type || strncasecmp(line, "content-type:", 13) == 0;
		add_header(call, line);
	}
	if (send->bearer_token) {
		if (!is_plain(send->bearer_token))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "%s: the bearer token holds control characters",
					 call->what);
		char *line = cox_asprintf("Authorization: Bearer %s", send->bearer_token);
		add_header(call, line);
		explicit_bzero(line, strlen(line));
		free(line);
	}
	add_header(call, "Expect:"); /* no round trip before a large body */
	if (!has_type)
		add_header(call, "Content-Type:");
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
	return 0;
}

/* Certificate and SNI follow the URL's host in curl: so the name goes there, and the connection to
 * where the URL led. */
static void set_server_name(struct cox_http_call *call, CURLU *url, const char *name)
{
	char *host = NULL, *port = NULL, *text = NULL;

	curl_url_get(url, CURLUPART_HOST, &host, 0);
	curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	_cleanup_free_ char *to = cox_asprintf("::%s:%s", host, port);
	_cleanup_free_ char *line = cox_asprintf("Host: %s:%s", host, port);
	call->connect_to = curl_slist_append(NULL, to);
	add_header(call, line);
	curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
	curl_url_set(url, CURLUPART_HOST, name, 0);
	curl_url_get(url, CURLUPART_URL, &text, 0);
	curl_easy_setopt(call->easy, CURLOPT_URL, text);
	curl_free(host);
	curl_free(port);
	curl_free(text);
}

static int set_url(struct cox_http_call *call, const struct cox_http_send *send,
		   struct cox_error *err)
{
	CURLU *url = curl_url();
	char *scheme = NULL;
	int r = 0;

	COX_ASSERT(url);
	CURLUcode bad = curl_url_set(url, CURLUPART_URL, send->url, CURLU_NON_SUPPORT_SCHEME);
	if (bad || curl_url_get(url, CURLUPART_SCHEME, &scheme, 0))
		r = cox_error(err, COX_INVALID_ARGUMENT, "%s: malformed URL: %s", call->what,
			      curl_url_strerror(bad));
	else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		r = cox_error(err, COX_INVALID_ARGUMENT, "%s: only http and https are spoken",
			      call->what);
	if (!r) {
		bool is_tls = strcmp(scheme, "https") == 0;
		bool two = is_tls && !call->client->o.http1_only;
		curl_easy_setopt(call->easy, CURLOPT_URL, send->url);
		curl_easy_setopt(call->easy, CURLOPT_HTTP_VERSION,
				 two ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
		/* Rather a stream of a connection that is being made than another connection. */
		curl_easy_setopt(call->easy, CURLOPT_PIPEWAIT, two ? 1L : 0L);
		if (is_tls && send->target && send->target->server_name)
			set_server_name(call, url, send->target->server_name);
	}
	curl_free(scheme);
	curl_url_cleanup(url);
	return r;
}

static void set_rest(struct cox_http_call *call, const struct cox_http_send *send)
{
	CURL *e = call->easy;
	int64_t connect_ms =
		send->connect_timeout_ms ? send->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	int64_t total_ms = send->total_timeout_ms ? send->total_timeout_ms : TOTAL_TIMEOUT_MS;

	curl_easy_setopt(e, CURLOPT_PRIVATE, call);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->curl_text);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, 30L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, 10L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, total_ms < 0 ? 0L : (long)total_ms);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, call);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "coxswain/" COX_VERSION);
	if (!send->on_bytes)
		curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip");
}

static CURL *take_easy(struct cox_http_client *client)
{
	CURL *easy = client->spare.n ? client->spare.items[--client->spare.n] : curl_easy_init();

	COX_ASSERT(easy);
	return easy;
}

int cox_http_send(struct cox_http_client *client, const struct cox_http_send *send,
		  struct cox_http_call **ret_call, struct cox_error *err)
{
	COX_ASSERT(cox_loop_is_owner(client->loop));
	struct cox_http_call *call = cox_new(struct cox_http_call);
	_cleanup_free_ char *shown = cox_url_redact(send->url);
	size_t max_body = send->max_body ? send->max_body : DEFAULT_BODY;

	call->client = client;
	call->easy = take_easy(client);
	call->what = cox_asprintf("%s %s", send->method, shown);
	call->max_body = send->on_bytes && !send->max_body ? SIZE_MAX : max_body;
	call->idle_ms = send->idle_timeout_ms;
	call->on_bytes = send->on_bytes;
	call->on_head = send->on_head;
	call->done = send->done;
	call->arg = send->arg;
	cox_list_init(&call->node);
	cox_timer_init(&call->idle, client->loop, on_idle, call);
	set_rest(call, send);
	set_target(call->easy, send->target);
	set_body(call, send);
	int r = set_url(call, send, err);
	if (!r)
		r = set_headers(call, send, err);
	if (r < 0) {
		free_call(call);
		return r;
	}
	client->n_running++;
	if (client->in_curl)
		cox_list_append(&client->starting, &call->node);
	else
		begin(call);
	if (ret_call)
		*ret_call = call;
	return 0;
}

/* ---- the client ---- */

static void init_curl(void)
{
	COX_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

int cox_http_client_new(struct cox_loop *loop, const struct cox_http_client_options *options,
			struct cox_http_client **ret_client, struct cox_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct cox_http_client *client;
	CURLM *m;

	COX_ASSERT(cox_loop_is_owner(loop));
	pthread_once(&once, init_curl);
	m = curl_multi_init();
	if (!m)
		return cox_error(err, COX_INTERNAL, "cannot begin an HTTP client");
	client = cox_new(struct cox_http_client);
	client->loop = loop;
	client->multi = m;
	if (options)
		client->o = *options;
	cox_list_init(&client->running);
	cox_list_init(&client->starting);
	cox_list_init(&client->ending);
	cox_list_init(&client->sockets);
	cox_timer_init(&client->timer, loop, on_timer, client);
	unsigned per_host = client->o.max_per_host ? client->o.max_per_host : 6;
	unsigned total = client->o.max_total ? client->o.max_total : 256;
	unsigned streams = client->o.max_streams ? client->o.max_streams : 100;
	curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(m, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(m, CURLMOPT_TIMERDATA, client);
	curl_multi_setopt(m, CURLMOPT_MAX_HOST_CONNECTIONS, (long)per_host);
	curl_multi_setopt(m, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)total);
	curl_multi_setopt(m, CURLMOPT_MAXCONNECTS, (long)total);
	curl_multi_setopt(m, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)streams);
	*ret_client = client;
	return 0;
}

void cox_http_client_free(struct cox_http_client *client)
{
	if (!client)
		return;
	COX_ASSERT(cox_loop_is_owner(client->loop));
	COX_ASSERT(!client->in_curl);
	if (client->in_done)
		client->freed = true;
	else
		really_free(client);
}

size_t cox_http_client_running(const struct cox_http_client *client)
{
	return client->n_running;
}

int cox_http_check(const struct cox_http_answer *answer, const char *what, struct cox_error *err)
{
	struct cox_str body = cox_str_trim(answer->body);

	if (answer->status >= 200 && answer->status < 300)
		return 0;
	if (body.len > 120)
		body.len = 120;
	return cox_error(err, cox_code_from_http(answer->status), "%s: %d%s%s%s%.*s", what,
			 answer->status, *cox_http_status_text(answer->status) ? " " : "",
			 cox_http_status_text(answer->status), body.len ? ": " : "",
			 COX_STR_ARG(body));
}
