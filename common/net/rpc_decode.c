#include "common/net/rpc_decode.h"

#include "common/base/arena.h"
#include "common/base/limits.h"
#include "common/base/mem.h"

struct message {
	struct cox_rpc_message public; /* first: what the user holds */
	struct cox_arena arena;
	bool over_quota;
};

static void *arena_alloc(void *data, size_t size)
{
	struct message *m = data;
	void *p = cox_arena_alloc(&m->arena, size ? size : 1);

	m->over_quota |= !p;
	return p;
}

static void arena_free(void *data, void *p)
{
	(void)data; /* all at once, with the message */
	(void)p;
}

void cox_rpc_message_free(struct cox_rpc_message *message)
{
	struct message *m = (struct message *)message;

	if (!m)
		return;
	cox_arena_fini(&m->arena);
	free(m);
}

static int check(const ProtobufCMessage *msg, struct cox_error *err);

static int check_value(const ProtobufCFieldDescriptor *field, const void *value,
		       struct cox_error *err)
{
	if (field->type == PROTOBUF_C_TYPE_STRING) {
		const char *text = *(char *const *)value;

		if (text && !cox_utf8_valid(cox_str(text), NULL))
			return cox_error(err, COX_INVALID_ARGUMENT, "field '%s' is not UTF-8",
					 field->name);
	}
	if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
		const ProtobufCMessage *inner = *(ProtobufCMessage *const *)value;

		if (inner)
			return check(inner, err);
	}
	return 0;
}

static int check_repeated(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field,
			  struct cox_error *err)
{
	size_t n = *(const size_t *)((const char *)msg + field->quantifier_offset);
	/* Of strings and messages, the only ones looked into: pointers. */
	void *const *values = *(void *const *const *)((const char *)msg + field->offset);
	int r = 0;

	if (n > COX_LIMIT_REPEATED)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "field '%s' has %zu entries, at most %d are allowed", field->name,
				 n, COX_LIMIT_REPEATED);
	if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
		return 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_value(field, &values[i], err);
	return r;
}

/* Depth is the schema's: no message contains itself (proto/README.md). */
static int check(const ProtobufCMessage *msg, struct cox_error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < msg->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &msg->descriptor->fields[i];

		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			r = check_repeated(msg, field, err);
		else if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
			 *(const uint32_t *)((const char *)msg + field->quantifier_offset) ==
				 field->id)
			r = check_value(field, (const char *)msg + field->offset, err);
	}
	return r;
}

int cox_rpc_decode(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t len,
		   size_t max_decode_bytes, struct cox_rpc_message **ret_message,
		   struct cox_error *err)
{
	struct message *m = cox_new(struct message);
	ProtobufCAllocator allocator = {arena_alloc, arena_free, m};
	int r = 0;

	m->arena = COX_ARENA_INIT(max_decode_bytes);
	m->public.base = protobuf_c_message_unpack(descriptor, &allocator, len, bytes);
	if (!m->public.base)
		r = m->over_quota
			    ? cox_error(err, COX_RESOURCE_EXHAUSTED,
					"a %s takes more than %zu bytes when decoded",
					descriptor->short_name, max_decode_bytes)
			    : cox_error(err, COX_INVALID_ARGUMENT, "%zu bytes are no valid %s", len,
					descriptor->short_name);
	else
		r = check(m->public.base, err);
	if (r < 0) {
		cox_rpc_message_free(&m->public);
		return r;
	}
	*ret_message = &m->public;
	return 0;
}
