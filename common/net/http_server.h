/* An HTTP/1.1 server (RFC 9112) on the loop: the hub's API and event streams, agents' metrics,
 * simulated API servers. One handler gets every request with its whole body and answers at once
 * or later, whole or as a stream. libevent's buffered sockets carry it, with OpenSSL under them
 * when TLS is asked for.
 *
 * What a stranger can make it hold is bounded: bytes of a head and of a body, time until a head and
 * a body are complete (counted as a whole, so a byte a second helps nobody), idle time, number of
 * connections, bytes that wait for a slow reader. What is ambiguous about where a request ends
 * (two lengths, a length and chunks, odd white space) is refused and the connection closed, so
 * nothing can be smuggled past a proxy.
 *
 * A request is the handler's from the call of the handler until cox_http_reply, cox_http_end, or
 * its gone function, whichever comes first; afterwards it must not be touched. Strings of a request
 * live as long as it does. Loop-owned, all of it.
 */
#ifndef COX_NET_HTTP_SERVER_H
#define COX_NET_HTTP_SERVER_H

#include "common/base/buf.h"
#include "common/run/loop.h"

struct cox_http_server;
struct cox_http_request;

/* It must reply or keep the request and set a gone function, sooner or later. */
typedef void cox_http_handler(void *arg, struct cox_http_request *request);

struct cox_http_server_options {
	const char *listen; /* "HOST:PORT", "[V6]:PORT"; port 0: any free one */
	cox_http_handler *handler;
	void *arg;
	const char *cert_path, *key_path; /* PEM; NULL: no TLS */
	const char *client_ca_path; /* PEM: clients may show a certificate, and it must be good */
	bool client_cert_required;
	size_t max_header_bytes;  /* 0: COX_LIMIT_HTTP_HEADER_BYTES; over it: 431 */
	size_t max_body_bytes;	  /* 0: COX_LIMIT_HTTP_BODY_BYTES; over it: 413 */
	size_t max_connections;	  /* 0: 4096; more wait in the kernel until one closes */
	size_t max_stream_bytes;  /* that may wait for a reader of a stream; 0: 8 MiB */
	int64_t head_timeout_ms;  /* TLS and head, from accept or the first byte; 0: 10 s */
	int64_t body_timeout_ms;  /* all of it; 0: 60 s */
	int64_t idle_timeout_ms;  /* between requests; 0: 75 s */
	int64_t write_timeout_ms; /* a reader that takes nothing; 0: 60 s */
};

int cox_http_server_new(struct cox_loop *loop, const struct cox_http_server_options *options,
			struct cox_http_server **ret_server, struct cox_error *err);
/* Closes everything; the gone functions of open requests run inside this call. */
void cox_http_server_free(struct cox_http_server *server);
DEFINE_CLEANUP(struct cox_http_server *, cox_http_server_free);
#define _cleanup_http_server_ COX_CLEANUP(cox_http_server_free_p)
/* Takes no new connection and no further request; answers that are being made go on. */
void cox_http_server_close_listener(struct cox_http_server *server);
/* "127.0.0.1:34567", as bound. */
const char *cox_http_server_address(const struct cox_http_server *server);
uint16_t cox_http_server_port(const struct cox_http_server *server);
size_t cox_http_server_connections(const struct cox_http_server *server);

/* ---- the request ---- */

/* "GET"; any token of the grammar may come. */
const char *cox_http_method(const struct cox_http_request *request);
/* As sent, percent-encoded, from the first "/" to before "?". */
const char *cox_http_path(const struct cox_http_request *request);
/* Its segments, each decoded, without empty ones; the number of them (of which at most max are
 * written), or -COX_INVALID_ARGUMENT for bad encoding. "/a/b%2Fc/" gives "a", "b/c". */
int cox_http_segments(struct cox_http_request *request, const char **ret_segments, size_t max);
/* As sent, without "?"; "" when there is none. */
const char *cox_http_query_string(const struct cox_http_request *request);
/* The first value of that name, decoded ("" for a bare name); NULL when absent. */
const char *cox_http_query(struct cox_http_request *request, const char *name);
/* Of any case; the first one. NULL when absent. */
const char *cox_http_header(const struct cox_http_request *request, const char *name);
struct cox_str cox_http_body(const struct cox_http_request *request);
/* "10.0.0.7:51234". */
const char *cox_http_peer(const struct cox_http_request *request);
/* The subject's common name of a verified client certificate, or NULL. */
const char *cox_http_peer_name(const struct cox_http_request *request);

/* ---- the answer ---- */

/* Before cox_http_reply or cox_http_start. Values with control characters are dropped. */
void cox_http_set_header(struct cox_http_request *request, const char *name, const char *value);
/* A whole answer; content_type NULL when there is no body. Bytes are copied. */
void cox_http_reply(struct cox_http_request *request, int status, const char *content_type,
		    struct cox_str body);
/* The same, and the bytes of *body are taken over, leaving it empty: for large ones. */
void cox_http_reply_take(struct cox_http_request *request, int status, const char *content_type,
			 struct cox_buf *body);
/* A stream (chunked): start, any number of writes, end. */
void cox_http_start(struct cox_http_request *request, int status, const char *content_type);
/* 0; 1: taken, and more than half of max_stream_bytes wait, so write again after on_drain;
 * -COX_RESOURCE_EXHAUSTED: over max_stream_bytes, nothing was taken, and the connection will be
 * closed in the next turn (gone is called). The bytes are copied. */
int cox_http_write(struct cox_http_request *request, struct cox_str bytes);
void cox_http_end(struct cox_http_request *request);
/* Breaks the connection off in the middle of whatever it is doing; gone is not called. For tests
 * that need a fault. */
void cox_http_abort(struct cox_http_request *request);

/* The client is gone, or the server is being freed, before the answer was complete; the request
 * must not be touched from inside or after it. Unset, such requests vanish silently, so whoever
 * answers later must set it. */
void cox_http_on_gone(struct cox_http_request *request, cox_loop_fn *fn, void *arg);
/* All that was written to the stream has left. */
void cox_http_on_drain(struct cox_http_request *request, cox_loop_fn *fn, void *arg);
/* Bytes that wait for the reader. */
size_t cox_http_pending(const struct cox_http_request *request);

/* "Not Found" for 404; "" for a number without a name. */
const char *cox_http_status_text(int status);

#endif
