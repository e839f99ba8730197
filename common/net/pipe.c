#include "common/net/pipe.h"

#include "common/base/mem.h"

struct pipe_end {
	struct cox_wire wire;
	struct cox_loop *loop;
	struct pipe_end *other; /* NULL: freed */
	struct cox_task task;
	size_t piece;
	struct cox_buf in;
	size_t taken; /* of in */
	bool started, ready, announced, closed, told, frozen;
	bool sent; /* on_sent is due */
};

static void run(void *arg);

static struct pipe_end *of(struct cox_wire *wire)
{
	return COX_CONTAINER_OF(wire, struct pipe_end, wire);
}

static void wake(struct pipe_end *end)
{
	cox_loop_send(end->loop, &end->task);
}

static void deliver(struct pipe_end *end)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf now = COX_BUF_INIT;
	size_t n = end->in.len - end->taken;

	if (end->piece && n > end->piece)
		n = end->piece;
	cox_buf_add(&now, end->in.ptr + end->taken, n);
	end->taken += n;
	if (end->taken == end->in.len) {
		cox_buf_fini(&end->in);
		end->taken = 0;
	} else {
		wake(end);
	}
	end->wire.events->on_bytes(end->wire.ctx, (const uint8_t *)now.ptr, n);
}

static void run(void *arg)
{
	struct pipe_end *end = arg;
	struct cox_error why;

	if (!end->started)
		return;
	if (!end->announced && !end->closed) {
		end->announced = true;
		end->wire.events->on_ready(end->wire.ctx);
	}
	if (end->in.len > 0 && !end->closed && !end->frozen)
		deliver(end);
	if (end->sent && !end->closed) {
		end->sent = false;
		end->wire.events->on_sent(end->wire.ctx);
	}
	if (!end->closed && !end->frozen && end->in.len == 0 && (!end->other || end->other->closed))
		end->closed = true;
	if (!end->closed || end->told)
		return;
	end->told = true;
	if (end->other)
		wake(end->other);
	cox_error(&why, COX_UNAVAILABLE, "the pipe is closed");
	end->wire.events->on_closed(end->wire.ctx, &why);
}

static void pipe_start(struct cox_wire *wire, struct cox_tls_context *tls)
{
	struct pipe_end *end = of(wire);

	(void)tls;
	end->started = true;
	wake(end);
}

static void pipe_send(struct cox_wire *wire, struct cox_buf *bytes)
{
	struct pipe_end *end = of(wire);

	if (!end->closed && end->other && !end->other->frozen) {
		cox_buf_add(&end->other->in, bytes->ptr, bytes->len);
		wake(end->other);
	}
	cox_buf_fini(bytes);
	if (!end->closed) {
		end->sent = true;
		wake(end);
	}
}

static void pipe_close(struct cox_wire *wire)
{
	struct pipe_end *end = of(wire);

	end->closed = true;
	wake(end);
}

static void pipe_free(struct cox_wire *wire)
{
	struct pipe_end *end = of(wire);

	cox_loop_unsend(end->loop, &end->task);
	if (end->other) {
		end->other->other = NULL;
		wake(end->other);
	}
	cox_buf_fini(&end->in);
	free(end);
}

static const char *pipe_alpn(struct cox_wire *wire)
{
	(void)wire;
	return "";
}

static void pipe_peer(struct cox_wire *wire, struct cox_tls_peer *ret_peer)
{
	(void)wire;
	memset(ret_peer, 0, sizeof(*ret_peer));
}

static const struct cox_wire_ops pipe_ops = {
	.start = pipe_start,
	.send = pipe_send,
	.close = pipe_close,
	.free = pipe_free,
	.alpn = pipe_alpn,
	.peer = pipe_peer,
};

static struct pipe_end *end_new(struct cox_loop *loop, size_t piece)
{
	struct pipe_end *end = cox_new(struct pipe_end);

	end->wire.ops = &pipe_ops;
	end->loop = loop;
	end->piece = piece;
	memcpy(end->wire.address, "pipe", sizeof("pipe"));
	cox_task_init(&end->task, run, end);
	return end;
}

void cox_pipe_new(struct cox_loop *loop, size_t piece, struct cox_wire **ret_a,
		  struct cox_wire **ret_b)
{
	struct pipe_end *a = end_new(loop, piece), *b = end_new(loop, piece);

	a->other = b;
	b->other = a;
	*ret_a = &a->wire;
	*ret_b = &b->wire;
}

void cox_pipe_freeze(struct cox_wire *end)
{
	of(end)->frozen = true;
	cox_buf_fini(&of(end)->in);
	of(end)->taken = 0;
}
