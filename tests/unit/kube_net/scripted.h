/* An API server whose every answer the test decides, in the test's own loop, and a client of it. */
#ifndef COX_TEST_SCRIPTED_H
#define COX_TEST_SCRIPTED_H

#include "common/kube/client.h"
#include "common/net/http_server.h"

extern struct cox_loop *loop;
extern struct cox_http_server *server;
extern struct cox_kube *kube;
/* Every request as "METHOD path?query" and a line feed, its content type and body where there are
 * any: "PATCH /x [type] body". */
extern struct cox_buf seen;

/* Starts all three; extra is added to the user of the kubeconfig ("token: x") or NULL. */
void scripted_start(cox_http_handler *handler, const char *extra,
		    const struct cox_kube_options *options);
void scripted_stop(void);
void reply_json(struct cox_http_request *request, int status, const char *json);
/* A Status of failure. */
void reply_status(struct cox_http_request *request, int code, const char *reason,
		  const char *message);
/* Turns the loop until it is true, or ends the test. */
void wait_until(bool (*is_true)(void *arg), void *arg);
bool is_set(void *arg);
bool path_is(const struct cox_http_request *request, const char *path);
/* How often text is in seen. */
size_t n_seen(const char *text);

#endif
