/* A request as http_server.c keeps it; private to the server's two files. Loop-owned. */
#ifndef COX_NET_HTTP_REQUEST_H
#define COX_NET_HTTP_REQUEST_H

#include "common/base/vec.h"
#include "common/net/http_parse.h"
#include "common/net/http_server.h"

struct cox_http_connection;

struct cox_http_request {
	struct cox_http_connection *connection;
	char *text; /* what head leads into */
	struct cox_http_head head;
	struct cox_buf body;
	struct cox_buf reply_headers; /* "Name: value\r\n"… */
	bool started;		      /* the head of the answer is out */
	bool chunked;		      /* the answer's body is */
	bool broken;		      /* bytes of the answer were lost: its reader is too slow */
	cox_loop_fn *gone, *drained;
	void *gone_arg, *drained_arg;
	bool query_read;
	COX_VEC(struct cox_http_field) query; /* decoded into decoded */
	COX_VEC(char *) decoded;	      /* the request's to free */
};

void cox_http_request_free(struct cox_http_request *request);

#endif
