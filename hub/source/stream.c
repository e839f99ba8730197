/* The connections that libgit2 makes: our sockets, so that there are deadlines, cancellation and a
 * check of addresses, and our TLS, so that each repository has its own authorities. libgit2 names
 * no payload when it makes a stream; the fetch is found by its thread, which is libgit2's promise:
 * a fetch does all its work on the thread that called. */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/crypto/tls_client.h"
#include "hub/source/private.h"

#include <errno.h>
#include <fcntl.h>
#include <git2/sys/stream.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>

#if LIBGIT2_VER_MAJOR != 1 || LIBGIT2_VER_MINOR != 5
#error "look at libgit2's git_socket_stream again: its ssh transport takes the socket out of it"
#endif

_Thread_local struct hub_fetch *hub_fetch_now;

/* The first four members stand as in libgit2 1.5's own git_socket_stream, because its ssh transport
 * casts what we make to that, and hands the socket to libssh2. */
struct stream {
	git_stream parent;
	char *host;
	char *port;
	int fd;
	struct cox_tls_client *tls;
};

/* Keeps the first error for the caller of the fetch; libgit2 gets the same text. */
static int failed(const struct cox_error *err)
{
	struct hub_fetch *f = hub_fetch_now;

	if (f && !f->first.code)
		f->first = *err;
	git_error_set_str(GIT_ERROR_NET, err->message);
	return -1;
}

static int64_t min_ms(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* 0, or the errno of why not. */
static int connect_one(struct hub_fetch *f, int fd, const struct addrinfo *a)
{
	int64_t end_ms =
		min_ms(cox_clock_ms() + f->source->options.connect_timeout_ms, f->deadline_ms);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t n = sizeof(int);
	int sys = 0, ready;

	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	do {
		int64_t left_ms = end_ms - cox_clock_ms();

		ready = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
	} while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return ETIMEDOUT;
	if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &n) < 0)
		return errno;
	return sys;
}

static int try_address(struct hub_fetch *f, struct stream *s, const struct addrinfo *a,
		       struct cox_error *err)
{
	const struct hub_source_options *o = &f->source->options;
	int fd, one = 1, r = 0, sys;

	if (o->check_address)
		r = o->check_address(o->check_address_arg, s->host, a->ai_addr, err);
	if (r < 0)
		return r;
	fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	if (fd < 0)
		return cox_error_sys(err, errno, "cannot make a socket");
	if (hub_watch_socket(f, fd) < 0)
		sys = ECANCELED;
	else
		sys = connect_one(f, fd, a);
	if (sys == 0) {
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		s->fd = fd;
		return 0;
	}
	hub_watch_socket(f, -1);
	close(fd);
	if (hub_watch_check(f, err) < 0)
		return -err->code;
	cox_error_sys(err, sys, "cannot connect to '%s' port %s", s->host, s->port);
	err->code = sys == ETIMEDOUT ? COX_DEADLINE_EXCEEDED : COX_UNAVAILABLE;
	return -err->code;
}

static int connect_any(struct hub_fetch *f, struct stream *s, struct cox_error *err)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *all;
	int r = getaddrinfo(s->host, s->port, &hints, &all);

	if (r != 0)
		return cox_error(err, COX_UNAVAILABLE, "cannot find host '%s': %s", s->host,
				 gai_strerror(r));
	r = -COX_UNAVAILABLE;
	for (const struct addrinfo *a = all; a && r < 0; a = a->ai_next)
		r = try_address(f, s, a, err);
	freeaddrinfo(all);
	return r;
}

/* libgit2 1.5 follows redirects within a host whatever it is told. Credentials were given for this
 * host, port and scheme, and nothing leads us elsewhere; another path there is harmless. */
static int check_origin(struct hub_fetch *f, struct stream *s, struct cox_error *err)
{
	bool tls = f->url->scheme == HUB_URL_HTTPS;
	char port[16];

	snprintf(port, sizeof(port), "%d", f->url->port ? f->url->port : tls ? 443 : 22);
	if (strcasecmp(s->host, f->url->host ? f->url->host : "") == 0 &&
	    strcmp(s->port, port) == 0 && s->parent.encrypted == tls)
		return 0;
	return cox_error(err, COX_FAILED_PRECONDITION,
			 "the server redirects to '%s' port %s, which is not followed: use the "
			 "final URL",
			 s->host, s->port);
}

static int stream_connect(git_stream *base)
{
	struct stream *s = (struct stream *)base;
	struct hub_fetch *f = hub_fetch_now;
	struct cox_error err = COX_ERROR_INIT;
	const char *ca;

	if (!f)
		return -1;
	if (check_origin(f, s, &err) < 0)
		return failed(&err);
	if (connect_any(f, s, &err) < 0)
		return failed(&err);
	f->connected = true;
	if (!base->encrypted)
		return 0;
	ca = f->credentials ? f->credentials->tls_ca : NULL;
	if (cox_tls_client_open(s->fd, s->host, cox_str(ca ? ca : ""), &s->tls, &err) < 0)
		return failed(&err);
	return 0;
}

static ssize_t stream_read(git_stream *base, void *buffer, size_t n)
{
	struct stream *s = (struct stream *)base;
	struct cox_error err = COX_ERROR_INIT;
	ssize_t got;

	if (s->tls) {
		got = cox_tls_client_read(s->tls, buffer, n, &err);
		return got < 0 ? failed(&err) : got;
	}
	do
		got = recv(s->fd, buffer, n, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		cox_error_sys(&err, errno, "cannot read from '%s'", s->host);
		return failed(&err);
	}
	return got;
}

static ssize_t stream_write(git_stream *base, const char *bytes, size_t n, int flags)
{
	struct stream *s = (struct stream *)base;
	struct cox_error err = COX_ERROR_INIT;
	ssize_t put;

	(void)flags;
	if (s->tls) {
		put = cox_tls_client_write(s->tls, bytes, n, &err);
		return put < 0 ? failed(&err) : put;
	}
	do
		put = send(s->fd, bytes, n, MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put < 0) {
		cox_error_sys(&err, errno, "cannot write to '%s'", s->host);
		return failed(&err);
	}
	return put;
}

static int stream_close(git_stream *base)
{
	struct stream *s = (struct stream *)base;

	cox_tls_client_free(TAKE(s->tls));
	if (s->fd < 0)
		return 0;
	/* First out of the watchdog's hands: the number may be somebody else's soon. */
	if (hub_fetch_now)
		hub_watch_socket(hub_fetch_now, -1);
	close(TAKE_FD(s->fd));
	return 0;
}

static void stream_free(git_stream *base)
{
	struct stream *s = (struct stream *)base;

	stream_close(base);
	free(s->host);
	free(s->port);
	free(s);
}

static int make(git_stream **out, const char *host, const char *port, bool encrypted)
{
	struct stream *s = cox_new(struct stream);

	s->parent = (git_stream){
		.version = GIT_STREAM_VERSION,
		.encrypted = encrypted,
		.connect = stream_connect,
		.read = stream_read,
		.write = stream_write,
		.close = stream_close,
		.free = stream_free,
	};
	s->host = cox_strdup(host);
	s->port = cox_strdup(port);
	s->fd = -1;
	/* Some callers leave the brackets around an address. */
	if (s->host[0] == '[' && s->host[strlen(s->host) - 1] == ']') {
		s->host[strlen(s->host) - 1] = '\0';
		memmove(s->host, s->host + 1, strlen(s->host));
	}
	*out = &s->parent;
	return 0;
}

static int make_plain(git_stream **out, const char *host, const char *port)
{
	return make(out, host, port, false);
}

static int make_tls(git_stream **out, const char *host, const char *port)
{
	return make(out, host, port, true);
}

int hub_streams_register(struct cox_error *err)
{
	git_stream_registration plain = {.version = GIT_STREAM_VERSION, .init = make_plain};
	git_stream_registration tls = {.version = GIT_STREAM_VERSION, .init = make_tls};

	if (git_stream_register(GIT_STREAM_STANDARD, &plain) < 0 ||
	    git_stream_register(GIT_STREAM_TLS, &tls) < 0)
		return hub_git_error(err, COX_INTERNAL, "cannot set up connections");
	return 0;
}
