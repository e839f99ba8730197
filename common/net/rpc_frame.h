/* Frames: a header of 12 bytes in network order, then at most 64 KiB of payload.
 *
 *	0        3      4       5      6       8        12
 *	| length | type | flags | zero | aux   | stream | payload …
 *
 * The reader takes bytes as they come and gives whole frames; it holds at most one. Pure.
 * docs/protocol.md says what each type means. Threads: whatever the owner's are. */
#ifndef COX_NET_RPC_FRAME_H
#define COX_NET_RPC_FRAME_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdint.h>

#define COX_FRAME_HEADER    12
#define COX_FRAME_MAX_DATA  16384
#define COX_FRAME_MAX_OTHER 65536
/* The highest stream id; a connection that gets there is replaced. */
#define COX_FRAME_MAX_STREAM 0x7fffffffu

enum cox_frame_type {
	COX_FRAME_HELLO = 1,
	COX_FRAME_HELLO_ACK = 2,
	COX_FRAME_OPEN = 3,
	COX_FRAME_DATA = 4,
	COX_FRAME_CREDIT = 5,
	COX_FRAME_STATUS = 6,
	COX_FRAME_CANCEL = 7,
	COX_FRAME_PING = 8,
	COX_FRAME_PONG = 9,
	COX_FRAME_GOAWAY = 10,
	COX_FRAME_EXTENSION = 128, /* and above: ignored by who does not know it */
};

enum cox_frame_flag {
	COX_FLAG_BEGIN = 1,	  /* DATA: a message begins; the payload starts with its length */
	COX_FLAG_END_MESSAGE = 2, /* DATA: a message ends */
	COX_FLAG_END_STREAM = 4,  /* DATA, OPEN: the sender's last message */
};

struct cox_frame {
	uint8_t type, flags;
	uint16_t aux;
	uint32_t stream;
	const uint8_t *payload; /* borrowed */
	uint32_t len;
};

void cox_frame_header(uint8_t ret_header[COX_FRAME_HEADER], uint8_t type, uint8_t flags,
		      uint16_t aux, uint32_t stream, uint32_t len);
/* Appends a whole frame. */
void cox_frame_add(struct cox_buf *out, uint8_t type, uint8_t flags, uint16_t aux, uint32_t stream,
		   const void *payload, size_t len);

static inline void cox_put_u32(uint8_t *to, uint32_t n)
{
	to[0] = (uint8_t)(n >> 24);
	to[1] = (uint8_t)(n >> 16);
	to[2] = (uint8_t)(n >> 8);
	to[3] = (uint8_t)n;
}

static inline uint32_t cox_get_u32(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

struct cox_frame_reader {
	struct cox_buf rest; /* the beginning of a frame that is not whole yet */
	const uint8_t *in;   /* what was fed and is not taken yet */
	size_t in_len;
	bool from_rest; /* the last frame given lies in rest */
};

void cox_frame_reader_fini(struct cox_frame_reader *r);
/* bytes stay the caller's and must live until cox_frame_next says 0. */
void cox_frame_feed(struct cox_frame_reader *r, const void *bytes, size_t n);
/* 1: a frame, good until the next call; 0: no whole frame is left, what remains is kept;
 * -COX_INVALID_ARGUMENT: this is no frame, the connection cannot go on. */
int cox_frame_next(struct cox_frame_reader *r, struct cox_frame *ret_frame, struct cox_error *err);

#endif
