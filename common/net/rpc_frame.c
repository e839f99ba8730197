#include "common/net/rpc_frame.h"

void cox_frame_header(uint8_t ret_header[COX_FRAME_HEADER], uint8_t type, uint8_t flags,
		      uint16_t aux, uint32_t stream, uint32_t len)
{
	ret_header[0] = (uint8_t)(len >> 16);
	ret_header[1] = (uint8_t)(len >> 8);
	ret_header[2] = (uint8_t)len;
	ret_header[3] = type;
	ret_header[4] = flags;
	ret_header[5] = 0;
	ret_header[6] = (uint8_t)(aux >> 8);
	ret_header[7] = (uint8_t)aux;
	cox_put_u32(ret_header + 8, stream);
}

void cox_frame_add(struct cox_buf *out, uint8_t type, uint8_t flags, uint16_t aux, uint32_t stream,
		   const void *payload, size_t len)
{
	uint8_t header[COX_FRAME_HEADER];

	cox_frame_header(header, type, flags, aux, stream, (uint32_t)len);
	cox_buf_add(out, header, sizeof(header));
	cox_buf_add(out, payload, len);
}

void cox_frame_reader_fini(struct cox_frame_reader *r)
{
	cox_buf_fini(&r->rest);
}

void cox_frame_feed(struct cox_frame_reader *r, const void *bytes, size_t n)
{
	r->in = bytes;
	r->in_len = n;
}

static uint32_t frame_len(const uint8_t *header)
{
	return (uint32_t)header[0] << 16 | (uint32_t)header[1] << 8 | header[2];
}

static int check_header(const uint8_t *header, struct cox_error *err)
{
	uint32_t len = frame_len(header);
	uint32_t max = header[3] == COX_FRAME_DATA ? COX_FRAME_MAX_DATA : COX_FRAME_MAX_OTHER;

	if (header[3] == 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "a frame has type 0");
	if (header[5] != 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "a frame's reserved byte is not zero");
	if (header[8] & 0x80)
		return cox_error(err, COX_INVALID_ARGUMENT, "a frame's stream is out of range");
	if (len > max)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "a frame of type %u has %u bytes, at most %u are allowed",
				 header[3], len, max);
	return 0;
}

static void open_frame(const uint8_t *bytes, struct cox_frame *ret_frame)
{
	ret_frame->type = bytes[3];
	ret_frame->flags = bytes[4];
	ret_frame->aux = (uint16_t)(bytes[6] << 8 | bytes[7]);
	ret_frame->stream = cox_get_u32(bytes + 8);
	ret_frame->payload = bytes + COX_FRAME_HEADER;
	ret_frame->len = frame_len(bytes);
}

/* Moves up to what is missing to a whole of `want` bytes from the input to rest. */
static bool fill_rest(struct cox_frame_reader *r, size_t want)
{
	size_t missing = want > r->rest.len ? want - r->rest.len : 0;

	if (missing > r->in_len)
		missing = r->in_len;
	cox_buf_add(&r->rest, r->in, missing);
	r->in += missing;
	r->in_len -= missing;
	return r->rest.len >= want;
}

int cox_frame_next(struct cox_frame_reader *r, struct cox_frame *ret_frame, struct cox_error *err)
{
	size_t whole;
	int c;

	if (r->from_rest) {
		cox_buf_fini(&r->rest);
		r->from_rest = false;
	}
	if (r->rest.len == 0 && r->in_len >= COX_FRAME_HEADER) {
		c = check_header(r->in, err);
		if (c < 0)
			return c;
		whole = COX_FRAME_HEADER + frame_len(r->in);
		if (r->in_len >= whole) { /* the common case: nothing is copied */
			open_frame(r->in, ret_frame);
			r->in += whole;
			r->in_len -= whole;
			return 1;
		}
	}
	if (r->in_len == 0 || !fill_rest(r, COX_FRAME_HEADER))
		return 0;
	c = check_header((const uint8_t *)r->rest.ptr, err);
	if (c < 0)
		return c;
	if (!fill_rest(r, COX_FRAME_HEADER + frame_len((const uint8_t *)r->rest.ptr)))
		return 0;
	open_frame((const uint8_t *)r->rest.ptr, ret_frame);
	r->from_rest = true;
	return 1;
}
