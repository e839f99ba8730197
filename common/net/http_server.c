#include "common/net/http_server.h"

#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/net/http_parse.h"
#include "common/net/http_request.h"
#include "common/net/http_tls.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_LISTEN_TEXT = 256,
	BACKLOG = 1024,
	READ_AHEAD = 65536, /* bytes taken from a socket before they are wanted */
	LINGER_MS = 2000,   /* for a client that still sends what was refused */
	ACCEPT_PAUSE_MS = 100,
};

/* What a connection is doing. Moves: IDLE → HEAD → BODY → ANSWER → IDLE, and from anywhere to
 * FLUSH (write what there is, then close), LINGER (closed for writing; what comes is thrown away,
 * so that the answer is not lost to a reset) and DEAD (to be freed by whoever is highest on the
 * stack). */
enum state { IDLE, HEAD, BODY, ANSWER, FLUSH, LINGER, DEAD };

struct cox_http_connection {
	struct cox_list node;
	struct cox_http_server *server;
	struct bufferevent *bev;
	void *tls; /* the bev's */
	evutil_socket_t fd;
	enum state state;
	bool in_use;	/* a function of ours below on the stack will free it when DEAD */
	bool keep;	/* after this answer another request may come */
	bool linger;	/* after FLUSH */
	bool was_fed;	/* any byte came since the last request */
	size_t scanned; /* bytes of input that hold no end of a head */
	int64_t body_left;
	struct cox_http_chunks chunks;
	struct cox_timer timer;		  /* of the state */
	struct cox_http_request *request; /* in BODY and ANSWER */
	char peer[INET6_ADDRSTRLEN + 10], peer_name[256];
};

struct cox_http_server {
	struct cox_loop *loop;
	struct cox_http_server_options o;
	struct cox_http_tls *tls;
	struct evconnlistener *listener;
	struct cox_list connections;
	size_t n_connections;
	struct cox_timer accept_again;
	char address[INET6_ADDRSTRLEN + 10];
	uint16_t port;
	time_t date_at; /* what date says, made once a second */
	char date[40];
};

static void set_state(struct cox_http_connection *c, enum state state, int64_t timeout_ms)
{
	c->state = state;
	if (timeout_ms < 0)
		cox_timer_stop(&c->timer);
	else
		cox_timer_start(&c->timer, timeout_ms);
}

static struct evbuffer *output(const struct cox_http_connection *c)
{
	return bufferevent_get_output(c->bev);
}

static void accept_more(struct cox_http_server *server)
{
	if (server->listener && server->n_connections < server->o.max_connections)
		evconnlistener_enable(server->listener);
}

static void free_connection(struct cox_http_connection *c)
{
	struct cox_http_server *server = c->server;
	struct cox_http_request *request = TAKE(c->request);

	cox_timer_stop(&c->timer);
	cox_list_remove(&c->node);
	server->n_connections--;
	if (c->tls)
		cox_http_tls_goodbye(c->tls);
	bufferevent_free(c->bev);
	free(c);
	cox_http_request_free(request);
	accept_more(server);
}

/* Ends the connection now. The answer's maker hears of it, unless it is the one who ends it. */
static void drop(struct cox_http_connection *c)
{
	struct cox_http_request *request = c->request;
	bool tell = c->state == ANSWER && request && request->gone;

	set_state(c, DEAD, -1);
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	if (tell) {
		cox_loop_fn *gone = TAKE(request->gone);
		c->in_use = true;
		gone(request->gone_arg);
		c->in_use = false;
	}
	free_connection(c);
}

/* Writes what waits, then closes. linger: the client may still be sending. */
static void finish(struct cox_http_connection *c, bool linger)
{
	c->linger = linger;
	set_state(c, FLUSH, c->server->o.write_timeout_ms);
}

static void begin_linger(struct cox_http_connection *c)
{
	if (c->tls)
		cox_http_tls_goodbye(c->tls);
	shutdown(c->fd, SHUT_WR);
	set_state(c, LINGER, LINGER_MS);
	evbuffer_drain(bufferevent_get_input(c->bev), SIZE_MAX);
	bufferevent_setwatermark(c->bev, EV_READ, 0, READ_AHEAD);
	bufferevent_enable(c->bev, EV_READ);
}

/* ---- heads of answers ---- */

static const char *date_now(struct cox_http_server *server)
{
	time_t now = time(NULL);
	struct tm tm;

	if (now != server->date_at) {
		server->date_at = now;
		gmtime_r(&now, &tm);
		strftime(server->date, sizeof(server->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return server->date;
}

static void write_head(struct cox_http_connection *c, int status, const char *content_type)
{
	struct evbuffer *out = output(c);

	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status,
			    cox_http_status_text(status), date_now(c->server));
	if (content_type)
		evbuffer_add_printf(out, "Content-Type: %s\r\n", content_type);
	if (!c->keep)
		evbuffer_add(out, "Connection: close\r\n", 19);
	else if (c->request && c->request->head.minor == 0)
		evbuffer_add(out, "Connection: keep-alive\r\n", 24);
	if (c->request && c->request->reply_headers.len)
		evbuffer_add(out, c->request->reply_headers.ptr, c->request->reply_headers.len);
}

/* Answers a request that no handler saw, and closes. */
static void refuse(struct cox_http_connection *c, int status, const char *why)
{
	c->keep = false;
	write_head(c, status, "text/plain; charset=utf-8");
	evbuffer_add_printf(output(c), "Content-Length: %zu\r\n\r\n%s\n", strlen(why) + 1, why);
	finish(c, true);
}

/* ---- requests in ---- */

static void begin_answer(struct cox_http_connection *c)
{
	set_state(c, ANSWER, -1);
	c->server->o.handler(c->server->o.arg, c->request);
}

static bool begin_body(struct cox_http_connection *c)
{
	struct cox_http_request *request = c->request;
	const struct cox_http_head *head = &request->head;

	if (head->content_length > (int64_t)c->server->o.max_body_bytes) {
		refuse(c, 413, "the body is too large");
		return true;
	}
	if (!head->chunked && head->content_length <= 0) {
		begin_answer(c);
		return true;
	}
	if (head->expects_continue && evbuffer_get_length(bufferevent_get_input(c->bev)) == 0)
		evbuffer_add_printf(output(c), "HTTP/1.1 100 Continue\r\n\r\n");
	c->body_left = head->content_length;
	c->chunks = (struct cox_http_chunks){0};
	set_state(c, BODY, c->server->o.body_timeout_ms);
	return true;
}

/* Whether there is more to do at once. */
static bool read_head(struct cox_http_connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer_ptr from, end;
	size_t max = c->server->o.max_header_bytes;
	const char *why;
	char two[2];

	/* RFC 9112, 2.2: an empty line before a request is skipped. */
	while (c->scanned == 0 && evbuffer_copyout(in, two, 2) == 2 && two[0] == '\r' &&
	       two[1] == '\n')
		evbuffer_drain(in, 2);
	size_t n = evbuffer_get_length(in);
	if (n == 0)
		return false;
	if (c->state == IDLE) {
		set_state(c, HEAD, c->server->o.head_timeout_ms);
	}
	evbuffer_ptr_set(in, &from, c->scanned, EVBUFFER_PTR_SET);
	end = evbuffer_search(in, "\r\n\r\n", 4, &from);
	size_t head_n = end.pos < 0 ? n : (size_t)end.pos + 4;
	if (head_n > max) {
		refuse(c, 431, "the head is too large");
		return false;
	}
	if (end.pos < 0) {
		c->scanned = n > 3 ? n - 3 : 0;
		return false;
	}
	c->scanned = 0;

	struct cox_http_request *request = cox_new(struct cox_http_request);
	request->connection = c;
	request->text = cox_malloc(head_n + 1);
	evbuffer_remove(in, request->text, head_n);
	request->text[head_n] = '\0';
	int status = cox_http_head_parse(request->text, head_n, &request->head, &why);
	if (status) {
		cox_http_request_free(request);
		refuse(c, status, why);
		return false;
	}
	c->request = request;
	c->keep = request->head.keep_alive && c->server->listener;
	return begin_body(c);
}

static bool read_sized_body(struct cox_http_connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct cox_buf *body = &c->request->body;
	size_t n = evbuffer_get_length(in);

	if ((int64_t)n > c->body_left)
		n = (size_t)c->body_left;
	cox_buf_reserve(body, n);
	evbuffer_remove(in, body->ptr + body->len, n);
	body->len += n;
	body->ptr[body->len] = '\0';
	c->body_left -= (int64_t)n;
	if (c->body_left > 0)
		return false;
	begin_answer(c);
	return true;
}

static bool read_chunked_body(struct cox_http_connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer_iovec piece;

	while (c->chunks.state != COX_CHUNK_DONE && evbuffer_peek(in, -1, NULL, &piece, 1) > 0) {
		ssize_t used = cox_http_chunks_feed(&c->chunks, piece.iov_base, piece.iov_len,
						    c->server->o.max_body_bytes, &c->request->body);
		if (used < 0) {
			refuse(c, (int)-used,
			       used == -413 ? "the body is too large" : "malformed chunk");
			return false;
		}
		evbuffer_drain(in, (size_t)used);
	}
	if (c->chunks.state != COX_CHUNK_DONE)
		return false;
	begin_answer(c);
	return true;
}

/* Everything that the input allows. Frees c when it has died meanwhile. */
static void process(struct cox_http_connection *c)
{
	bool more = true;

	if (c->in_use)
		return;
	c->in_use = true;
	while (more) {
		switch (c->state) {
		case IDLE:
		case HEAD:
			/* Whoever sends requests without reading answers waits. */
			more = evbuffer_get_length(output(c)) <=
				       c->server->o.max_stream_bytes / 2 &&
			       read_head(c);
			break;
		case BODY:
			more = c->request->head.chunked ? read_chunked_body(c) : read_sized_body(c);
			break;
		case FLUSH:
		case LINGER:
			evbuffer_drain(bufferevent_get_input(c->bev), SIZE_MAX);
			more = false;
			break;
		case ANSWER:
		case DEAD:
			more = false;
			break;
		}
	}
	c->in_use = false;
	if (c->state == DEAD)
		free_connection(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	process(arg);
}

/* The output is empty. */
static void on_written(struct bufferevent *bev, void *arg)
{
	struct cox_http_connection *c = arg;

	(void)bev;
	if (c->state == FLUSH) {
		if (c->linger)
			begin_linger(c);
		else
			drop(c);
	} else if (c->state == ANSWER && c->request->started && c->request->drained) {
		c->in_use = true;
		c->request->drained(c->request->drained_arg);
		c->in_use = false;
		if (c->state == DEAD)
			free_connection(c);
		else
			process(c);
	} else {
		process(c);
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct cox_http_connection *c = arg;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		if (c->tls && !cox_http_tls_peer_name(c->tls, c->peer_name, sizeof(c->peer_name)))
			c->peer_name[0] = '\0';
		return;
	}
	/* A client that has sent all it wants and closed its side still gets what is written. */
	if ((what & BEV_EVENT_EOF) && c->state != ANSWER && c->state != LINGER &&
	    evbuffer_get_length(output(c)) > 0) {
		finish(c, false);
		return;
	}
	drop(c);
}

static void on_timeout(void *arg)
{
	struct cox_http_connection *c = arg;

	if (c->state == HEAD || c->state == BODY)
		refuse(c, 408, "the request took too long");
	else
		drop(c);
}

/* ---- connections ---- */

static void name_peer(const struct sockaddr *address, socklen_t n, char *ret_text, size_t size)
{
	char host[INET6_ADDRSTRLEN], port[8];

	if (getnameinfo(address, n, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(ret_text, size, "?");
	else
		snprintf(ret_text, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static struct bufferevent *new_bufferevent(struct cox_http_server *server, evutil_socket_t fd,
					   void **ret_tls)
{
	struct event_base *base = cox_loop_base(server->loop);

	*ret_tls = NULL;
	if (!server->tls)
		return bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	*ret_tls = cox_http_tls_session(server->tls);
	struct bufferevent *bev = bufferevent_openssl_socket_new(
		base, fd, *ret_tls, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev)
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
		      int address_n, void *arg)
{
	struct cox_http_server *server = arg;
	struct cox_http_connection *c = cox_new(struct cox_http_connection);
	struct timeval write_timeout = {server->o.write_timeout_ms / 1000,
					server->o.write_timeout_ms % 1000 * 1000};
	size_t read_ahead = READ_AHEAD;
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* The reader of a quiet stream that is gone without a word. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){60}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){10}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){3}, sizeof(int));
	c->server = server;
	c->fd = fd;
	c->bev = new_bufferevent(server, fd, &c->tls);
	COX_ASSERT(c->bev);
	name_peer(address, (socklen_t)address_n, c->peer, sizeof(c->peer));
	cox_timer_init(&c->timer, server->loop, on_timeout, c);
	cox_list_append(&server->connections, &c->node);
	if (++server->n_connections >= server->o.max_connections)
		evconnlistener_disable(listener);
	if (read_ahead < server->o.max_header_bytes + 1)
		read_ahead = server->o.max_header_bytes + 1;
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, read_ahead);
	bufferevent_set_timeouts(c->bev, NULL, &write_timeout);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	set_state(c, HEAD, server->o.head_timeout_ms);
}

/* Out of descriptors, most likely: trying again at once would spin. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct cox_http_server *server = arg;

	evconnlistener_disable(listener);
	cox_timer_start(&server->accept_again, ACCEPT_PAUSE_MS);
}

static void on_accept_again(void *arg)
{
	accept_more(arg);
}

/* ---- answers ---- */

static void assert_answerable(const struct cox_http_request *request)
{
	COX_ASSERT(request->connection->state == ANSWER);
	COX_ASSERT(cox_loop_is_owner(request->connection->server->loop));
}

/* The answer is complete: the next request, or the end. */
static void end_answer(struct cox_http_connection *c)
{
	struct cox_http_request *request = TAKE(c->request);
	bool more = evbuffer_get_length(bufferevent_get_input(c->bev)) > 0;

	cox_http_request_free(request);
	if (!c->keep) {
		finish(c, more);
		if (evbuffer_get_length(output(c)) == 0)
			bufferevent_trigger(c->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
		return;
	}
	set_state(c, IDLE, c->server->o.idle_timeout_ms);
	/* Not from here: this is the handler's stack, and it does not expect itself. */
	if (more && !c->in_use)
		bufferevent_trigger(c->bev, EV_READ,
				    BEV_TRIG_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
}

void cox_http_set_header(struct cox_http_request *request, const char *name, const char *value)
{
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return;
	cox_buf_printf(&request->reply_headers, "%s: %s\r\n", name, value);
}

/* Whether the body may be sent: RFC 9110, 6.4.1. */
static bool has_body(const struct cox_http_request *request, int status)
{
	return strcmp(request->head.method, "HEAD") != 0 && status >= 200 && status != 204 &&
	       status != 304;
}

static struct evbuffer *begin_reply(struct cox_http_request *request, int status,
				    const char *content_type, size_t n)
{
	struct cox_http_connection *c = request->connection;

	assert_answerable(request);
	COX_ASSERT(!request->started);
	write_head(c, status, content_type);
	if (status == 204 || status == 304)
		evbuffer_add(output(c), "\r\n", 2);
	else
		evbuffer_add_printf(output(c), "Content-Length: %zu\r\n\r\n", n);
	return output(c);
}

void cox_http_reply(struct cox_http_request *request, int status, const char *content_type,
		    struct cox_str body)
{
	struct evbuffer *out = begin_reply(request, status, content_type, body.len);

	if (has_body(request, status) && body.len)
		evbuffer_add(out, body.ptr, body.len);
	end_answer(request->connection);
}

static void free_bytes(const void *data, size_t n, void *arg)
{
	(void)data;
	(void)n;
	free(arg);
}

void cox_http_reply_take(struct cox_http_request *request, int status, const char *content_type,
			 struct cox_buf *body)
{
	size_t n = body->len;
	struct evbuffer *out = begin_reply(request, status, content_type, n);
	char *bytes = cox_buf_take(body);

	if (has_body(request, status) && n)
		evbuffer_add_reference(out, bytes, n, free_bytes, bytes);
	else
		free(bytes);
	end_answer(request->connection);
}

void cox_http_start(struct cox_http_request *request, int status, const char *content_type)
{
	struct cox_http_connection *c = request->connection;

	assert_answerable(request);
	COX_ASSERT(!request->started);
	request->started = true;
	request->chunked = request->head.minor == 1;
	if (!request->chunked)
		c->keep = false; /* the end of the connection is the end of the body */
	write_head(c, status, content_type);
	if (request->chunked)
		evbuffer_add(output(c), "Transfer-Encoding: chunked\r\n", 28);
	evbuffer_add(output(c), "\r\n", 2);
}

int cox_http_write(struct cox_http_request *request, struct cox_str bytes)
{
	struct cox_http_connection *c = request->connection;
	struct evbuffer *out = output(c);
	size_t max = c->server->o.max_stream_bytes;

	assert_answerable(request);
	COX_ASSERT(request->started);
	if (request->broken || bytes.len > max || evbuffer_get_length(out) > max - bytes.len) {
		request->broken = true;
		cox_timer_start(&c->timer, 0); /* on_timeout drops it */
		return -COX_RESOURCE_EXHAUSTED;
	}
	if (bytes.len && strcmp(request->head.method, "HEAD") != 0) {
		if (request->chunked)
			evbuffer_add_printf(out, "%zx\r\n", bytes.len);
		evbuffer_add(out, bytes.ptr, bytes.len);
		if (request->chunked)
			evbuffer_add(out, "\r\n", 2);
	}
	return evbuffer_get_length(out) > max / 2;
}

void cox_http_end(struct cox_http_request *request)
{
	assert_answerable(request);
	COX_ASSERT(request->started);
	if (request->broken) { /* must not look complete */
		cox_http_abort(request);
		return;
	}
	if (request->chunked && strcmp(request->head.method, "HEAD") != 0)
		evbuffer_add(output(request->connection), "0\r\n\r\n", 5);
	end_answer(request->connection);
}

void cox_http_abort(struct cox_http_request *request)
{
	struct cox_http_connection *c = request->connection;

	assert_answerable(request);
	request->gone = NULL;
	set_state(c, DEAD, -1);
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	if (!c->in_use)
		free_connection(c);
}

void cox_http_on_gone(struct cox_http_request *request, cox_loop_fn *fn, void *arg)
{
	request->gone = fn;
	request->gone_arg = arg;
}

void cox_http_on_drain(struct cox_http_request *request, cox_loop_fn *fn, void *arg)
{
	request->drained = fn;
	request->drained_arg = arg;
}

size_t cox_http_pending(const struct cox_http_request *request)
{
	return evbuffer_get_length(output(request->connection));
}

const char *cox_http_peer(const struct cox_http_request *request)
{
	return request->connection->peer;
}

const char *cox_http_peer_name(const struct cox_http_request *request)
{
	return request->connection->peer_name[0] ? request->connection->peer_name : NULL;
}

/* ---- the server ---- */

/* "HOST:PORT" in place; an empty host is NULL: all addresses. */
static int split_address(char *text, char **ret_host, char **ret_port)
{
	char *colon = strrchr(text, ':');

	if (!colon || !colon[1])
		return -1;
	*colon = '\0';
	*ret_port = colon + 1;
	*ret_host = *text ? text : NULL;
	if (*text == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		*ret_host = text + 1;
	}
	return 0;
}

static int open_socket(const struct addrinfo *at)
{
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
		int sys = errno;
		close(fd);
		errno = sys;
		return -1;
	}
	return fd;
}

static int open_listener(const char *address, int *ret_fd, struct cox_error *err)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char text[MAX_LISTEN_TEXT];
	char *host, *port;
	int fd = -1;

	if ((size_t)snprintf(text, sizeof(text), "%s", address) >= sizeof(text) ||
	    split_address(text, &host, &port) < 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "cannot listen at '%s': HOST:PORT is needed", address);
	int r = getaddrinfo(host, port, &hints, &found);
	if (r != 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "cannot listen at '%s': %s", address,
				 gai_strerror(r));
	for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
		fd = open_socket(at);
	int sys = errno;
	freeaddrinfo(found);
	if (fd < 0)
		return cox_error_sys(err, sys, "cannot listen at '%s'", address);
	*ret_fd = fd;
	return 0;
}

static void note_address(struct cox_http_server *server, int fd)
{
	struct sockaddr_storage address;
	socklen_t n = sizeof(address);

	COX_ASSERT(getsockname(fd, (struct sockaddr *)&address, &n) == 0);
	name_peer((struct sockaddr *)&address, n, server->address, sizeof(server->address));
	server->port = (uint16_t)strtoul(strrchr(server->address, ':') + 1, NULL, 10);
}

static void set_defaults(struct cox_http_server_options *o)
{
#define DEFAULT(field, value) o->field = o->field ? o->field : (value)
	DEFAULT(max_header_bytes, COX_LIMIT_HTTP_HEADER_BYTES);
	DEFAULT(max_body_bytes, COX_LIMIT_HTTP_BODY_BYTES);
	DEFAULT(max_connections, 4096);
	DEFAULT(max_stream_bytes, 8 << 20);
	DEFAULT(head_timeout_ms, 10000);
	DEFAULT(body_timeout_ms, 60000);
	DEFAULT(idle_timeout_ms, 75000);
	DEFAULT(write_timeout_ms, 60000);
#undef DEFAULT
}

int cox_http_server_new(struct cox_loop *loop, const struct cox_http_server_options *options,
			struct cox_http_server **ret_server, struct cox_error *err)
{
	struct cox_http_tls *tls = NULL;
	int fd, r;

	COX_ASSERT(cox_loop_is_owner(loop));
	if (options->cert_path) {
		r = cox_http_tls_new(options->cert_path, options->key_path, options->client_ca_path,
				     options->client_cert_required, &tls, err);
		if (r < 0)
			return r;
	}
	r = open_listener(options->listen, &fd, err);
	if (r < 0) {
		cox_http_tls_free(tls);
		return r;
	}
	struct cox_http_server *server = cox_new(struct cox_http_server);
	server->loop = loop;
	server->o = *options;
	server->tls = tls;
	set_defaults(&server->o);
	cox_list_init(&server->connections);
	cox_timer_init(&server->accept_again, loop, on_accept_again, server);
	note_address(server, fd);
	/* Backlog 0: it listens already. */
	server->listener = evconnlistener_new(cox_loop_base(loop), on_accept, server,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	COX_ASSERT(server->listener);
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	*ret_server = server;
	return 0;
}

void cox_http_server_close_listener(struct cox_http_server *server)
{
	if (!server->listener)
		return;
	cox_timer_stop(&server->accept_again);
	evconnlistener_free(server->listener);
	server->listener = NULL;
	COX_LIST_EACH(&server->connections, node)
	{
		struct cox_http_connection *c =
			COX_LIST_ENTRY(node, struct cox_http_connection, node);
		c->keep = false;
		if (c->state != IDLE)
			continue;
		if (c->in_use || evbuffer_get_length(output(c)) > 0)
			finish(c, false);
		else
			drop(c);
	}
}

void cox_http_server_free(struct cox_http_server *server)
{
	struct cox_http_connection *c;

	if (!server)
		return;
	COX_ASSERT(cox_loop_is_owner(server->loop));
	cox_http_server_close_listener(server);
	while ((c = COX_LIST_FIRST(&server->connections, struct cox_http_connection, node))) {
		COX_ASSERT(!c->in_use);
		drop(c);
	}
	cox_http_tls_free(server->tls);
	free(server);
}

const char *cox_http_server_address(const struct cox_http_server *server)
{
	return server->address;
}

uint16_t cox_http_server_port(const struct cox_http_server *server)
{
	return server->port;
}

size_t cox_http_server_connections(const struct cox_http_server *server)
{
	return server->n_connections;
}
