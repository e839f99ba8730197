/* Protobuf bytes of a stranger to a message, within limits: bytes that the decoded form may take
 * (an arena with a quota), entries of a repeated field, valid UTF-8. And back. Job-local. */
#ifndef COX_NET_RPC_DECODE_H
#define COX_NET_RPC_DECODE_H

#include "common/net/rpc.h"

/* The result goes back by cox_rpc_message_free. */
int cox_rpc_decode(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t len,
		   size_t max_decode_bytes, struct cox_rpc_message **ret_message,
		   struct cox_error *err);

#endif
