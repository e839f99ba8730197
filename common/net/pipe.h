/* A wire of memory: two ends on one loop. What one sends the other gets in a later turn, in pieces
 * of a chosen size, so that frames are cut in the middle. An end can be frozen: it neither takes
 * nor answers anything, as a dead peer does. Loop-owned. */
#ifndef COX_NET_PIPE_H
#define COX_NET_PIPE_H

#include "common/net/wire.h"
#include "common/run/loop.h"

/* piece: bytes that arrive at once; 0: all. */
void cox_pipe_new(struct cox_loop *loop, size_t piece, struct cox_wire **ret_a,
		  struct cox_wire **ret_b);
/* From now on nothing that is sent to this end arrives. */
void cox_pipe_freeze(struct cox_wire *end);

#endif
