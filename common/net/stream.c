#include "common/net/stream.h"

#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/net/rpc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <nng/nng.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#define IDLE_BYTES     (4 << 10)
#define BUSY_BYTES     (64 << 10)
#define BACKLOG	       4096
#define N_ACCEPTORS    8
#define ACCEPT_REST_MS 100

struct stream {
	struct cox_wire wire;
	pthread_mutex_t lock;
	nng_stream *nng;
	nng_aio *recv, *send;
	struct cox_tls *tls; /* NULL: plain */
	uint8_t *in;
	size_t in_cap;
	struct cox_buf plain;	/* decrypted: of the receive callback alone */
	struct cox_buf waiting; /* plain streams: to be sent next */
	struct cox_buf flying;	/* in nng's hands */
	size_t flown;		/* of flying */
	bool started, ready;
	bool receiving, sending; /* an operation is under way, its callback not returned */
	bool owes_sent;		 /* on_sent is due when all has left */
	bool closing;		 /* closes when flying is drained */
	bool closed, told;
	struct cox_error why;
};

static struct stream *of(struct cox_wire *wire)
{
	return COX_CONTAINER_OF(wire, struct stream, wire);
}

static int fail_nng(struct cox_error *err, int e, const char *what)
{
	enum cox_code code = e == NNG_EADDRINUSE || e == NNG_EADDRINVAL ? COX_FAILED_PRECONDITION
									: COX_UNAVAILABLE;

	return cox_error(err, code, "%s: %s", what,
			 e == NNG_ECONNSHUT || e == NNG_ECLOSED ? "the connection is closed"
								: nng_strerror(e));
}

/* ---- one stream ---- */

/* Under the lock. The first reason stays. */
static void close_now(struct stream *s, const struct cox_error *why)
{
	if (s->closed)
		return;
	s->closed = true;
	if (s->why.code == COX_OK)
		s->why = *why;
	nng_stream_close(s->nng);
}

/* Under the lock: whether on_closed is to be made by the caller, after unlocking. */
static bool is_over(struct stream *s)
{
	if (!s->closed || s->receiving || s->sending || s->told)
		return false;
	s->told = true;
	return true;
}

static void unlock_and_tell(struct stream *s)
{
	bool over = is_over(s);
	struct cox_error why = s->why;

	pthread_mutex_unlock(&s->lock);
	if (over) /* s may be freed by the loop from here on */
		s->wire.events->on_closed(s->wire.ctx, &why);
}

static void post_recv(struct stream *s)
{
	nng_iov iov = {.iov_buf = s->in, .iov_len = s->in_cap};

	nng_aio_set_iov(s->recv, 1, &iov);
	nng_stream_recv(s->nng, s->recv);
}

static void post_send(struct stream *s)
{
	nng_iov iov = {.iov_buf = s->flying.ptr + s->flown, .iov_len = s->flying.len - s->flown};

	nng_aio_set_iov(s->send, 1, &iov);
	nng_stream_send(s->nng, s->send);
}

/* Under the lock: sends what waits, when nothing is under way. */
static void flush(struct stream *s)
{
	struct cox_buf *from = s->tls ? cox_tls_output(s->tls) : &s->waiting;

	if (s->sending || s->closed || from->len == 0)
		return;
	cox_buf_fini(&s->flying);
	s->flying = *from;
	*from = COX_BUF_INIT;
	s->flown = 0;
	s->sending = true;
	post_send(s);
}

/* A buffer that was filled doubles, up to 64 KiB; one that was not goes back to the idle size. */
static void fit_buffer(struct stream *s, size_t got)
{
	size_t want = s->in_cap;

	if (got == s->in_cap && s->in_cap < BUSY_BYTES)
		want = s->in_cap * 4 < BUSY_BYTES ? s->in_cap * 4 : BUSY_BYTES;
	else if (got < s->in_cap / 8 && s->in_cap > IDLE_BYTES)
		want = IDLE_BYTES;
	if (want == s->in_cap)
		return;
	free(s->in);
	s->in = cox_malloc(want);
	s->in_cap = want;
}

/* Under the lock. 0 or 1: go on; 1: the stream got ready just now; negative: it is closing. */
static int decrypt(struct stream *s, size_t n)
{
	struct cox_error err;
	int r = cox_tls_input(s->tls, s->in, n, &s->plain, &err);

	flush(s);
	if (r != 0) {
		if (r > 0)
			cox_error(&err, COX_UNAVAILABLE, "the peer closed the connection");
		s->why = err;
		if (s->sending)
			s->closing = true; /* let the alert out */
		else
			close_now(s, &err);
	}
	if (!s->ready && cox_tls_is_ready(s->tls)) {
		s->ready = true;
		return 1;
	}
	return r != 0 ? -1 : 0;
}

static void recv_done(void *arg)
{
	struct stream *s = arg;
	size_t n = nng_aio_count(s->recv);
	int e = nng_aio_result(s->recv), r = 0;
	const uint8_t *bytes;
	struct cox_error err;

	pthread_mutex_lock(&s->lock);
	if (e != 0 || n == 0) {
		fail_nng(&err, e ? e : NNG_ECONNSHUT, "cannot receive");
		close_now(s, &err);
	}
	if (s->closed || s->closing) {
		s->receiving = false;
		unlock_and_tell(s);
		return;
	}
	if (s->tls)
		r = decrypt(s, n);
	bytes = s->tls ? (const uint8_t *)s->plain.ptr : s->in;
	pthread_mutex_unlock(&s->lock);

	if (r > 0)
		s->wire.events->on_ready(s->wire.ctx);
	if (s->tls ? s->plain.len > 0 : n > 0)
		s->wire.events->on_bytes(s->wire.ctx, bytes, s->tls ? s->plain.len : n);

	pthread_mutex_lock(&s->lock);
	cox_buf_fini(&s->plain);
	if (s->closed || s->closing) {
		s->receiving = false;
	} else {
		fit_buffer(s, n);
		post_recv(s);
	}
	unlock_and_tell(s);
}

/* Under the lock, after a send: the next one, or the end when nothing is left. */
static void settle(struct stream *s)
{
	flush(s);
	if (!s->sending && s->closing)
		close_now(s, &s->why);
}

static void send_done(void *arg)
{
	struct stream *s = arg;
	int e = nng_aio_result(s->send);
	struct cox_error err;
	bool sent = false;

	pthread_mutex_lock(&s->lock);
	s->flown += nng_aio_count(s->send);
	if (e != 0) {
		fail_nng(&err, e, "cannot send");
		close_now(s, &err);
	}
	if (!s->closed && s->flown < s->flying.len) {
		post_send(s);
		pthread_mutex_unlock(&s->lock);
		return;
	}
	s->sending = false;
	cox_buf_fini(&s->flying);
	settle(s);
	if (!s->sending && !s->closed && s->owes_sent) {
		s->owes_sent = false;
		sent = true;
		s->sending = true; /* on_closed waits for on_sent to return */
	}
	if (!sent) {
		unlock_and_tell(s);
		return;
	}
	pthread_mutex_unlock(&s->lock);
	s->wire.events->on_sent(s->wire.ctx);
	pthread_mutex_lock(&s->lock);
	s->sending = false;
	settle(s);
	unlock_and_tell(s);
}

static void stream_start(struct cox_wire *wire, struct cox_tls_context *tls)
{
	struct stream *s = of(wire);
	struct cox_error err;
	bool ready;
	int r = 0;

	pthread_mutex_lock(&s->lock);
	s->started = true;
	s->receiving = true; /* also keeps on_closed away until on_ready has returned */
	if (tls) {
		s->tls = cox_tls_new(tls);
		r = cox_tls_start(s->tls, &err);
		flush(s);
	}
	s->ready = ready = !tls;
	pthread_mutex_unlock(&s->lock);
	if (ready)
		s->wire.events->on_ready(s->wire.ctx);
	pthread_mutex_lock(&s->lock);
	if (r < 0)
		close_now(s, &err);
	/* A closed stream answers at once, from nng's thread: on_closed is never made in here. */
	post_recv(s);
	pthread_mutex_unlock(&s->lock);
}

static void stream_send(struct cox_wire *wire, struct cox_buf *bytes)
{
	struct stream *s = of(wire);
	struct cox_error err;

	pthread_mutex_lock(&s->lock);
	if (s->ready && !s->closed && !s->closing) {
		if (!s->tls)
			cox_buf_add(&s->waiting, bytes->ptr, bytes->len);
		else if (cox_tls_write(s->tls, bytes->ptr, bytes->len, &err) < 0)
			close_now(s, &err);
		s->owes_sent = true;
		flush(s);
	}
	pthread_mutex_unlock(&s->lock);
	cox_buf_fini(bytes);
}

static void stream_close(struct cox_wire *wire)
{
	struct stream *s = of(wire);
	struct cox_error why;

	cox_error(&why, COX_CANCELLED, "the connection was closed on this side");
	pthread_mutex_lock(&s->lock);
	close_now(s, &why);
	pthread_mutex_unlock(&s->lock);
}

static void stream_free(struct cox_wire *wire)
{
	struct stream *s = of(wire);

	nng_stream_close(s->nng);
	nng_aio_stop(s->recv);
	nng_aio_stop(s->send);
	nng_stream_free(s->nng);
	nng_aio_free(s->recv);
	nng_aio_free(s->send);
	cox_tls_free(s->tls);
	cox_buf_fini(&s->plain);
	cox_buf_fini(&s->waiting);
	cox_buf_fini(&s->flying);
	free(s->in);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const char *stream_alpn(struct cox_wire *wire)
{
	struct stream *s = of(wire);
	const char *alpn;

	pthread_mutex_lock(&s->lock);
	alpn = s->tls ? cox_tls_alpn(s->tls) : "";
	pthread_mutex_unlock(&s->lock);
	return alpn;
}

static void stream_peer(struct cox_wire *wire, struct cox_tls_peer *ret_peer)
{
	struct stream *s = of(wire);

	memset(ret_peer, 0, sizeof(*ret_peer));
	pthread_mutex_lock(&s->lock);
	if (s->tls)
		cox_tls_peer(s->tls, ret_peer);
	pthread_mutex_unlock(&s->lock);
}

static const struct cox_wire_ops stream_ops = {
	.start = stream_start,
	.send = stream_send,
	.close = stream_close,
	.free = stream_free,
	.alpn = stream_alpn,
	.peer = stream_peer,
};

static void format_address(nng_stream *nng, char *ret_text, size_t size)
{
	nng_sockaddr sa;
	char host[INET6_ADDRSTRLEN];
	const uint8_t *v6;

	snprintf(ret_text, size, "unknown");
	if (nng_stream_get_addr(nng, NNG_OPT_REMADDR, &sa) != 0)
		return;
	v6 = sa.s_in6.sa_addr;
	if (sa.s_family == NNG_AF_INET && inet_ntop(AF_INET, &sa.s_in.sa_addr, host, sizeof(host)))
		snprintf(ret_text, size, "%s:%u", host, ntohs(sa.s_in.sa_port));
	else if (sa.s_family == NNG_AF_INET6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)v6) &&
		 inet_ntop(AF_INET, v6 + 12, host, sizeof(host)))
		snprintf(ret_text, size, "%s:%u", host, ntohs(sa.s_in6.sa_port));
	else if (sa.s_family == NNG_AF_INET6 && inet_ntop(AF_INET6, v6, host, sizeof(host)))
		snprintf(ret_text, size, "[%s]:%u", host, ntohs(sa.s_in6.sa_port));
}

static struct cox_wire *wire_new(nng_stream *nng)
{
	struct stream *s = cox_new(struct stream);

	s->wire.ops = &stream_ops;
	s->nng = nng;
	pthread_mutex_init(&s->lock, NULL);
	s->in_cap = IDLE_BYTES;
	s->in = cox_malloc(s->in_cap);
	COX_ASSERT(nng_aio_alloc(&s->recv, recv_done, s) == 0);
	COX_ASSERT(nng_aio_alloc(&s->send, send_done, s) == 0);
	format_address(nng, s->wire.address, sizeof(s->wire.address));
	return &s->wire;
}

/* ---- listening ---- */

struct acceptor {
	struct cox_listener *listener;
	nng_aio *aio;
	struct cox_task task;
	bool busy; /* accepting, or its task is on the way */
};

struct cox_listener {
	struct cox_loop *loop;
	nng_stream_listener *nng;
	char address[80];
	void (*on_accept)(void *ctx, struct cox_wire *wire);
	void *ctx;
	struct acceptor acceptors[N_ACCEPTORS];
	struct cox_timer rest;
	struct cox_task gone;
	bool stopped;
	void (*on_stopped)(void *ctx);
	void *stopped_ctx;
};

static void accept_next(struct acceptor *a)
{
	a->busy = true;
	nng_stream_listener_accept(a->listener->nng, a->aio);
}

/* nng's thread. */
static void accept_done(void *arg)
{
	struct acceptor *a = arg;

	cox_loop_send(a->listener->loop, &a->task);
}

static void listener_gone(void *arg)
{
	struct cox_listener *l = arg;
	void (*on_stopped)(void *) = l->on_stopped;
	void *ctx = l->stopped_ctx;

	for (int i = 0; i < N_ACCEPTORS; i++)
		if (l->acceptors[i].busy)
			return; /* its task comes here again */
	cox_timer_stop(&l->rest);
	cox_loop_unsend(l->loop, &l->gone);
	for (int i = 0; i < N_ACCEPTORS; i++) {
		nng_aio_stop(l->acceptors[i].aio);
		nng_aio_free(l->acceptors[i].aio);
	}
	nng_stream_listener_free(l->nng);
	free(l);
	if (on_stopped)
		on_stopped(ctx);
}

static void accept_again(void *arg)
{
	struct cox_listener *l = arg;

	for (int i = 0; i < N_ACCEPTORS; i++)
		if (!l->acceptors[i].busy)
			accept_next(&l->acceptors[i]);
}

static void accepted(void *arg)
{
	struct acceptor *a = arg;
	struct cox_listener *l = a->listener;
	int e = nng_aio_result(a->aio);
	nng_stream *nng = e == 0 ? nng_aio_get_output(a->aio, 0) : NULL;

	a->busy = false;
	if (l->stopped) {
		if (nng)
			nng_stream_free(nng);
		listener_gone(l);
		return;
	}
	if (nng) {
		accept_next(a);
		l->on_accept(l->ctx, wire_new(nng));
	} else if (e == NNG_ECONNABORTED || e == NNG_ECONNRESET) {
		accept_next(a); /* the peer's own doing */
	} else if (!cox_timer_is_running(&l->rest)) {
		cox_timer_start(&l->rest, ACCEPT_REST_MS); /* NNG_ENOFILES comes at once */
	}
}

/* nng listens with a backlog of 128, too few for agents that come back together. The descriptor is
 * not given out, so it is looked for; Linux permits to listen again. */
static void deepen_backlog(int port)
{
	for (int fd = 3; fd < 4096; fd++) {
		struct sockaddr_storage sa;
		socklen_t n = sizeof(int);
		int listening = 0, bound;

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) < 0 || !listening)
			continue;
		n = sizeof(sa);
		if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
			continue;
		bound = sa.ss_family == AF_INET	   ? ((struct sockaddr_in *)&sa)->sin_port
			: sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
						   : 0;
		if (ntohs((uint16_t)bound) == port)
			listen(fd, BACKLOG);
	}
}

static int listen_on(struct cox_listener *l, const char *address, struct cox_error *err)
{
	_cleanup_free_ char *url =
		cox_asprintf("tcp://%s%s", address[0] == ':' ? "*" : "", address);
	const char *colon = strrchr(address, ':');
	int e, port = 0;

	if (!colon || colon[1] == '\0')
		return cox_error(err, COX_INVALID_ARGUMENT, "'%s' is not HOST:PORT", address);
	e = nng_stream_listener_alloc(&l->nng, url);
	if (e != 0)
		return fail_nng(err, e, "cannot listen");
	nng_stream_listener_set_bool(l->nng, NNG_OPT_TCP_NODELAY, true);
	e = nng_stream_listener_listen(l->nng);
	if (e == 0)
		e = nng_stream_listener_get_int(l->nng, NNG_OPT_TCP_BOUND_PORT, &port);
	if (e != 0) {
		nng_stream_listener_free(l->nng);
		fail_nng(err, e, "cannot listen");
		return cox_error_wrap(err, "'%s'", address);
	}
	deepen_backlog(port);
	snprintf(l->address, sizeof(l->address), "%.*s:%d", (int)(colon - address), address, port);
	return 0;
}

int cox_listener_new(struct cox_loop *loop, const char *address,
		     void (*on_accept)(void *ctx, struct cox_wire *wire), void *ctx,
		     struct cox_listener **ret_listener, struct cox_error *err)
{
	struct cox_listener *l = cox_new(struct cox_listener);
	int r = listen_on(l, address, err);

	if (r < 0) {
		free(l);
		return r;
	}
	l->loop = loop;
	l->on_accept = on_accept;
	l->ctx = ctx;
	cox_timer_init(&l->rest, loop, accept_again, l);
	cox_task_init(&l->gone, listener_gone, l);
	for (int i = 0; i < N_ACCEPTORS; i++) {
		struct acceptor *a = &l->acceptors[i];

		a->listener = l;
		cox_task_init(&a->task, accepted, a);
		COX_ASSERT(nng_aio_alloc(&a->aio, accept_done, a) == 0);
		accept_next(a);
	}
	*ret_listener = l;
	return 0;
}

const char *cox_listener_address(const struct cox_listener *listener)
{
	return listener->address;
}

void cox_listener_stop(struct cox_listener *listener, void (*on_stopped)(void *ctx), void *ctx)
{
	COX_ASSERT(!listener->stopped);
	listener->stopped = true;
	listener->on_stopped = on_stopped;
	listener->stopped_ctx = ctx;
	cox_timer_stop(&listener->rest);
	nng_stream_listener_close(listener->nng);
	cox_loop_send(listener->loop, &listener->gone);
}

/* ---- dialing ---- */

struct cox_dial {
	struct cox_loop *loop;
	nng_stream_dialer *nng;
	nng_aio *aio;
	struct cox_task task;
	char address[80];
	void (*done)(void *ctx, struct cox_wire *wire, const struct cox_error *why);
	void *ctx;
};

/* nng's thread. */
static void dial_done(void *arg)
{
	struct cox_dial *d = arg;

	cox_loop_send(d->loop, &d->task);
}

static void dialed(void *arg)
{
	struct cox_dial *d = arg;
	int e = nng_aio_result(d->aio);
	nng_stream *nng = e == 0 ? nng_aio_get_output(d->aio, 0) : NULL;
	struct cox_error why = COX_ERROR_INIT;

	if (!nng) {
		fail_nng(&why, e, "cannot connect");
		cox_error_wrap(&why, "'%s'", d->address);
	}
	nng_aio_stop(d->aio); /* its callback has returned */
	nng_aio_free(d->aio);
	nng_stream_dialer_free(d->nng);
	d->done(d->ctx, nng ? wire_new(nng) : NULL, &why);
	free(d);
}

int cox_dial_start(struct cox_loop *loop, const char *address,
		   void (*done)(void *ctx, struct cox_wire *wire, const struct cox_error *why),
		   void *ctx, struct cox_dial **ret_dial, struct cox_error *err)
{
	_cleanup_free_ char *url = cox_asprintf("tcp://%s", address);
	struct cox_dial *d = cox_new(struct cox_dial);
	int e = nng_stream_dialer_alloc(&d->nng, url);

	if (e != 0) {
		free(d);
		fail_nng(err, e, "cannot dial");
		return cox_error_wrap(err, "'%s'", address);
	}
	nng_stream_dialer_set_bool(d->nng, NNG_OPT_TCP_NODELAY, true);
	d->loop = loop;
	d->done = done;
	d->ctx = ctx;
	snprintf(d->address, sizeof(d->address), "%s", address);
	cox_task_init(&d->task, dialed, d);
	COX_ASSERT(nng_aio_alloc(&d->aio, dial_done, d) == 0);
	nng_stream_dialer_dial(d->nng, d->aio);
	*ret_dial = d;
	return 0;
}

void cox_dial_cancel(struct cox_dial *dial)
{
	nng_stream_dialer_close(dial->nng);
}

void cox_net_fini(void)
{
	nng_fini();
}
