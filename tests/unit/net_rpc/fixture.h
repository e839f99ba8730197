/* Two ends of the RPC runtime in one loop, over each kind of wire, with a service "test.Echo" on
 * both sides. Tests of the runtime share it. */
#ifndef TEST_NET_RPC_FIXTURE_H
#define TEST_NET_RPC_FIXTURE_H

#include "common/net/pipe.h"
#include "common/net/rpc.h"
#include "common/net/rpc_conn.h"
#include "proto/bundle.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum wire_kind { WIRE_PIPE, WIRE_PIECES, WIRE_TCP, WIRE_TLS };

/* The messages of test.Echo are coxswain.bundle.v1.Chunk: bytes and two numbers. */
typedef Coxswain__Bundle__V1__Chunk chunk;
extern const ProtobufCServiceDescriptor echo_descriptor;

/* One end and what it saw. */
struct end {
	struct fixture *fixture;
	struct cox_rpc_endpoint endpoint;
	struct cox_rpc_service service;
	struct cox_rpc_conn *conn; /* up */
	bool was_up, is_down;
	struct cox_rpc_down down;
	/* of the service */
	struct cox_rpc_call *held; /* by Hold and by Paused */
	unsigned n_started, n_ended;
	enum cox_code ended_code;
	char ended_message[256];
};

struct fixture {
	struct cox_loop *loop;
	enum wire_kind kind;
	struct end hub, agent;
	struct cox_rpc_server *server;
	bool server_stopped;
	struct cox_wire *pipe_hub, *pipe_agent;
	int (*authorize)(void *ctx, const struct cox_rpc_peer *peer, struct cox_error *err);
	struct cox_tls_context *hub_tls, *agent_tls;
};

/* settings: of both ends, may be NULL. */
void fixture_init(struct fixture *f, enum wire_kind kind, const struct cox_rpc_settings *settings);
/* Dials, without waiting. */
void fixture_dial(struct fixture *f);
/* Dials and waits until both are up. */
void fixture_connect(struct fixture *f);
/* Closes what is open, waits for the end of everything. */
void fixture_fini(struct fixture *f);
/* Runs the loop until done(arg); fails the test after ten seconds. */
void fixture_wait(struct fixture *f, bool (*done)(void *arg), void *arg);
bool both_down(void *arg);

/* What a caller saw. */
struct seen {
	struct cox_rpc_call *call;
	bool ended;
	enum cox_code code;
	char message[256];
	unsigned n_messages;
	size_t n_bytes;
	uint64_t last_number;
	uint32_t sum; /* of all bytes */
	bool writable;
};
extern const struct cox_rpc_call_events seen_events;
bool has_ended(void *seen);
struct cox_rpc_call *begin(struct end *from, struct seen *seen, const char *method,
			   const struct cox_rpc_call_options *options);
void send_chunk(struct cox_rpc_call *call, const void *data, size_t n, uint64_t number);

/* Ends the call that Hold keeps. */
void finish_held(struct end *end, enum cox_code code);

/* Certificates for the tests, made once. */
struct test_pki {
	struct cox_buf hub_chain, hub_key, hub_ca;
	struct cox_buf agent_chain, agent_key, agents_ca;
	struct cox_buf other_chain, other_key; /* an agent of a CA that nobody knows */
	struct cox_buf agents_ca_key;
	uint8_t pin[32];
};
const struct test_pki *test_pki(void);
void test_pki_free(void);
struct cox_tls_context *test_hub_tls(void);
struct cox_tls_context *test_agent_tls(void);

#endif
