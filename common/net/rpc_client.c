#include "common/net/rpc_client.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/net/stream.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

#define MAX_ADDRESSES 8
/* For TCP to an address while there is another one to try. */
#define ADDRESS_MS   2000
#define ADDRESS_TEXT 80

/* From a name to a wire: the name is resolved in the pool, the addresses are tried in turn. It
 * wraps the owner of the connection until the wire is there, and frees itself with the connection.
 */
struct dialing {
	const struct cox_conn_owner *owner;
	void *owner_ctx;
	struct cox_rpc_conn *conn;
	struct cox_loop *loop;
	struct cox_tls_context *tls;
	struct cox_job job;
	struct cox_dial *dial;
	struct cox_timer patience; /* with this address */
	char host[256], port[8];
	char addresses[MAX_ADDRESSES][ADDRESS_TEXT];
	unsigned n_addresses, next;
	bool aborted;
	struct cox_error error;
};

static void try_next(struct dialing *d);

/* The job or dial that is under way comes back first. */
static void fail(struct dialing *d)
{
	cox_conn_fail(d->conn, &d->error);
}

static void connected(void *ctx, struct cox_wire *wire, const struct cox_error *why)
{
	struct dialing *d = ctx;

	d->dial = NULL;
	cox_timer_stop(&d->patience);
	if (d->aborted) {
		cox_wire_free(wire);
		fail(d);
	} else if (wire) {
		cox_conn_attach(d->conn, wire, d->tls);
	} else {
		d->error = *why;
		try_next(d);
	}
}

static void try_next(struct dialing *d)
{
	while (d->next < d->n_addresses) {
		const char *address = d->addresses[d->next++];

		if (cox_dial_start(d->loop, address, connected, d, &d->dial, &d->error) < 0)
			continue;
		if (d->next < d->n_addresses)
			cox_timer_start(&d->patience, ADDRESS_MS);
		return;
	}
	fail(d);
}

static void out_of_patience(void *arg)
{
	struct dialing *d = arg;

	if (d->dial)
		cox_dial_cancel(d->dial); /* connected() goes on with the next */
}

/* A worker's thread, or at once for a literal address. */
static int resolve(struct dialing *d, int flags)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *list;
	int e = getaddrinfo(d->host, d->port, &hints, &list);

	if (e != 0)
		return cox_error(&d->error, e == EAI_NONAME ? COX_NOT_FOUND : COX_UNAVAILABLE,
				 "cannot resolve '%s': %s", d->host, gai_strerror(e));
	for (struct addrinfo *a = list; a && d->n_addresses < MAX_ADDRESSES; a = a->ai_next) {
		char host[INET6_ADDRSTRLEN + 1 + 16];

		if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host), NULL, 0,
				NI_NUMERICHOST) != 0)
			continue;
		snprintf(d->addresses[d->n_addresses++], ADDRESS_TEXT,
			 a->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, d->port);
	}
	freeaddrinfo(list);
	return 0;
}

static void resolve_work(void *arg)
{
	resolve(arg, AI_ADDRCONFIG);
}

static void resolve_done(void *arg, enum cox_job_outcome outcome)
{
	struct dialing *d = arg;

	if (outcome == COX_JOB_CANCELLED && d->error.code == COX_OK)
		cox_error(&d->error, COX_CANCELLED, "cancelled before '%s' was resolved", d->host);
	if (d->aborted)
		fail(d);
	else
		try_next(d);
}

static void on_abort(void *ctx, struct cox_rpc_conn *conn)
{
	struct dialing *d = ctx;

	(void)conn;
	d->aborted = true;
	if (d->dial)
		cox_dial_cancel(d->dial);
	else if (cox_job_is_busy(&d->job))
		cox_job_cancel(&d->job);
	/* otherwise it has failed already, and is on its way */
}

static void on_up(void *ctx, struct cox_rpc_conn *conn)
{
	struct dialing *d = ctx;

	if (d->owner->on_up)
		d->owner->on_up(d->owner_ctx, conn);
}

static void on_enrol(void *ctx, struct cox_rpc_conn *conn)
{
	struct dialing *d = ctx;

	if (d->owner->on_enrol)
		d->owner->on_enrol(d->owner_ctx, conn);
	else
		cox_conn_shutdown(conn, COX_GOAWAY_PROTOCOL_ERROR, "not asked to join", 0);
}

static void on_down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	struct dialing *d = ctx;

	d->owner->on_down(d->owner_ctx, conn, why);
	cox_tls_context_unref(d->tls);
	free(d);
}

static const struct cox_conn_owner dialing_owner = {
	.on_up = on_up,
	.on_down = on_down,
	.on_enrol = on_enrol,
	.on_abort = on_abort,
};

/* "HOST:PORT" or "[ADDRESS]:PORT". */
static int split_address(const char *address, struct dialing *d, struct cox_error *err)
{
	const char *colon = strrchr(address, ':');
	size_t n = colon ? (size_t)(colon - address) : 0;
	long port = colon ? strtol(colon + 1, NULL, 10) : 0;

	if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
		address++;
		n -= 2;
	}
	if (n == 0 || n >= sizeof(d->host) || port < 1 || port > 65535)
		return cox_error(err, COX_INVALID_ARGUMENT, "'%s' is not HOST:PORT", address);
	snprintf(d->host, sizeof(d->host), "%.*s", (int)n, address);
	snprintf(d->port, sizeof(d->port), "%ld", port);
	return 0;
}

static int begin(struct dialing *d, struct cox_pool *pool, struct cox_error *err)
{
	if (resolve(d, AI_NUMERICHOST) == 0) {
		d->error = COX_ERROR_INIT;
		try_next(d);
		return 0;
	}
	d->error = COX_ERROR_INIT;
	if (!pool)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "'%s' is no address, and there is no pool to resolve it in",
				 d->host);
	return cox_pool_submit(pool, &d->job, resolve_work, resolve_done, d, err);
}

int cox_client_dial(const struct cox_rpc_endpoint *endpoint,
		    const struct cox_rpc_dial_options *options, const struct cox_conn_owner *owner,
		    void *owner_ctx, struct cox_rpc_conn **ret_conn, struct cox_error *err)
{
	struct dialing *d = cox_new(struct dialing);
	int r = split_address(options->address, d, err);

	if (r < 0) {
		free(d);
		return r;
	}
	d->owner = owner;
	d->owner_ctx = owner_ctx;
	d->loop = endpoint->loop;
	d->tls = cox_tls_context_ref(options->tls);
	cox_timer_init(&d->patience, d->loop, out_of_patience, d);
	d->conn = cox_conn_new(endpoint, false, &dialing_owner, d);
	r = begin(d, options->pool, &d->error);
	if (r < 0)
		fail(d); /* told by on_down, like any other failure */
	*ret_conn = d->conn;
	return 0;
}

/* ---- the public ones ---- */

struct client {
	const struct cox_rpc_conn_events *events;
	void *ctx;
};

static void client_up(void *ctx, struct cox_rpc_conn *conn)
{
	struct client *c = ctx;

	if (c->events->on_up)
		c->events->on_up(c->ctx, conn);
}

static void client_down(void *ctx, struct cox_rpc_conn *conn, const struct cox_rpc_down *why)
{
	struct client *c = ctx;

	if (c->events->on_down)
		c->events->on_down(c->ctx, conn, why);
	free(c);
}

int cox_rpc_dial(const struct cox_rpc_endpoint *endpoint,
		 const struct cox_rpc_dial_options *options,
		 const struct cox_rpc_conn_events *events, void *ctx,
		 struct cox_rpc_conn **ret_conn, struct cox_error *err)
{
	static const struct cox_conn_owner owner = {.on_up = client_up, .on_down = client_down};
	struct client *c = cox_new(struct client);
	int r;

	c->events = events;
	c->ctx = ctx;
	r = cox_client_dial(endpoint, options, &owner, c, ret_conn, err);
	if (r < 0)
		free(c);
	return r;
}

#define BACKOFF_BASE_MS	 500
#define BACKOFF_MAX_MS	 60000
#define BACKOFF_RESET_MS 60000

void cox_rpc_backoff_init(struct cox_rpc_backoff *backoff)
{
	uint64_t seed;

	*backoff = (struct cox_rpc_backoff){0};
	cox_random_bytes(&seed, sizeof(seed));
	cox_rng_init(&backoff->rng, seed);
}

void cox_rpc_backoff_up(struct cox_rpc_backoff *backoff, int64_t now_ms)
{
	backoff->up_since_ms = now_ms;
}

int64_t cox_rpc_backoff_next_ms(struct cox_rpc_backoff *backoff, const struct cox_rpc_down *why,
				int64_t now_ms)
{
	int64_t wait_ms;

	if (backoff->up_since_ms && now_ms - backoff->up_since_ms >= BACKOFF_RESET_MS)
		backoff->attempt = 0;
	backoff->up_since_ms = 0;
	wait_ms = cox_backoff_ms(&backoff->rng, BACKOFF_BASE_MS, BACKOFF_MAX_MS, backoff->attempt);
	if (backoff->attempt < 16)
		backoff->attempt++;
	if (why && wait_ms < why->retry_after_ms) /* spread, or all come back at the same moment */
		wait_ms = why->retry_after_ms +
			  (int64_t)cox_rng_below(&backoff->rng, BACKOFF_BASE_MS * 2);
	return wait_ms;
}
