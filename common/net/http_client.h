/* An HTTP client on the loop: many requests at a time over kept connections, HTTP/2 where TLS
 *offers it. libcurl ends here. Redirects are not followed, proxies of the environment not used, and
 *only http and https are spoken. Loop-owned.
 *
 *	struct cox_http_call *call;
 *	cox_http_send(client, &(struct cox_http_send){.method = "GET", .url = url, .done = done,
 *		      .arg = me}, &call, err);
 *
 * done runs exactly once a call, in a later turn of the loop, unless the call was cancelled.
 */
#ifndef COX_NET_HTTP_CLIENT_H
#define COX_NET_HTTP_CLIENT_H

#include "common/base/buf.h"
#include "common/run/loop.h"

#include <sys/socket.h>

struct cox_http_client;
struct cox_http_call;

/* How to reach and to trust a server; what a set of calls has in common. Every pointer may be NULL.
 * "data" is PEM text. */
struct cox_http_target {
	const char *ca_path;
	struct cox_str ca_data; /* instead of the system's authorities, as is ca_path */
	struct cox_str cert_data, key_data;
	const char *cert_path, *key_path;
	const char *proxy_url;	 /* http://, https:// or socks5:// */
	const char *server_name; /* for certificate and SNI, when not the URL's host: not by HTTP/2
				  * pooling, so use it for a target of its own */
	bool insecure;		 /* any certificate will do */
};

struct cox_http_client_options {
	unsigned max_per_host; /* connections to one host; 0: 6 */
	unsigned max_total;    /* connections; 0: 256 */
	unsigned max_streams;  /* HTTP/2 streams a connection; 0: 100 */
	bool http1_only;
	/* Asked for every address before it is connected to (also after names were resolved, so
	 * that a name cannot lead elsewhere): false refuses. NULL: all are fine. With a proxy the
	 * proxy's address is asked for. */
	bool (*may_connect)(void *arg, const struct sockaddr *address, socklen_t len);
	void *may_connect_arg;
};

/* options may be NULL. */
int cox_http_client_new(struct cox_loop *loop, const struct cox_http_client_options *options,
			struct cox_http_client **ret_client, struct cox_error *err);
/* Cancels what runs; no done is called. */
void cox_http_client_free(struct cox_http_client *client);
DEFINE_CLEANUP(struct cox_http_client *, cox_http_client_free);
#define _cleanup_http_client_ COX_CLEANUP(cox_http_client_free_p)

/* An answer, borrowed during done. */
struct cox_http_answer {
	int status;    /* 0: there was no answer, see the error */
	bool is_http2; /* what was spoken */
	struct cox_str body;
	const struct cox_http_call *call;
};
/* Of any case; the last one. Borrowed until done has returned; NULL when absent. */
const char *cox_http_answer_header(const struct cox_http_answer *answer, const char *name);

struct cox_http_send {
	const char *method, *url;
	const char *const *headers; /* NULL-terminated "Name: value", copied */
	const char *bearer_token;   /* Authorization: Bearer …; copied, wiped afterwards */
	struct cox_str body;	    /* copied */
	const struct cox_http_target
		*target;	    /* borrowed until the call has ended; NULL: defaults */
	int64_t connect_timeout_ms; /* 0: 10 s */
	int64_t total_timeout_ms;   /* 0: 60 s; negative: none */
	int64_t idle_timeout_ms;    /* no byte for so long; 0: none */
	size_t max_body;	    /* of the answer, counted as it comes, after decompression;
				     * 0: 16 MiB; with on_bytes: no limit unless set */
	/* Set: the body of a 2xx goes here as it comes instead of into answer->body. Nonzero ends
	 * the call with COX_CANCELLED. */
	int (*on_bytes)(void *arg, const void *bytes, size_t n);
	/* With on_bytes: a 2xx head has come. May be NULL. */
	void (*on_head)(void *arg, const struct cox_http_answer *answer);
	/* error->code is COX_OK when there is an answer, whatever its status. */
	void (*done)(void *arg, const struct cox_http_answer *answer,
		     const struct cox_error *error);
	void *arg;
};

/* *ret_call (may be NULL) is valid until done has returned or it was cancelled. A malformed URL or
 * header fails here. */
int cox_http_send(struct cox_http_client *client, const struct cox_http_send *send,
		  struct cox_http_call **ret_call, struct cox_error *err);
/* done is not called any more. Also from inside on_bytes and on_head; NULL is fine. */
void cox_http_cancel(struct cox_http_call *call);
/* Calls that run. */
size_t cox_http_client_running(const struct cox_http_client *client);

/* COX_OK for 2xx, otherwise an error "GET https://…: 404 Not Found: <start of the body>" without
 * the query; for callers that only want to know whether it worked. */
int cox_http_check(const struct cox_http_answer *answer, const char *what, struct cox_error *err);

#endif
