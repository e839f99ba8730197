/* kubesim: a Kubernetes API server in one struct.
 *
 * It is a function over a store and a clock that the caller turns: kubesim_handle answers one
 * request, kubesim_run lets the controllers do what has become due. Nothing in here opens a socket,
 * reads a clock or starts a thread; main.c is the shell that puts it on HTTP, and benches and
 * simulators drive it in process.
 *
 * Threads: one. What a response holds is the caller's (kubesim_response_fini). */
#ifndef KUBESIM_KUBESIM_H
#define KUBESIM_KUBESIM_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct cox_node;
struct kubesim;
struct kubesim_watch;

struct kubesim_options {
	const char *name;    /* of the cluster, for nodes and messages; NULL: "kubesim" */
	const char *token;   /* the only bearer token that is let in; NULL: any, and none */
	size_t max_events;   /* window for watches; 0: 4096 */
	uint64_t seed;	     /* of names and uids; 0: from the kernel */
	int64_t step_ms;     /* a controller acts so long after it saw a change; 0: 5 */
	bool no_controllers; /* only namespaces, custom resources and garbage collection run */
	bool no_kubelet;     /* pods stay pending, as in a cluster without nodes */
	/* Called after every change of an object: "create", "update" or "delete"; may be NULL. */
	void (*on_change)(void *arg, const char *verb, const struct cox_node *object);
	void *on_change_arg;
};

struct kubesim *kubesim_new(const struct kubesim_options *options, int64_t wall_ms);
void kubesim_free(struct kubesim *sim);

struct kubesim_request {
	const char *method;
	const char *path;  /* as sent, percent-encoded, without the query */
	const char *query; /* "" or NULL: none */
	const char *accept, *content_type, *user_agent, *authorization; /* NULL: not sent */
	struct cox_str body;
};

struct kubesim_response {
	int status;
	const char *content_type; /* static storage; NULL: no body */
	struct cox_buf body;
	struct cox_buf warnings; /* values of Warning headers, one a line */
	/* A watch: the answer is a stream, see below; it is the caller's. */
	struct kubesim_watch *watch;
};

/* Never fails: what goes wrong is a response. */
void kubesim_handle(struct kubesim *sim, const struct kubesim_request *request,
		    struct kubesim_response *ret_response);
void kubesim_response_fini(struct kubesim_response *response);

/* Sets the clock and does what is due; then milliseconds until something else is, or -1. */
int64_t kubesim_run(struct kubesim *sim, int64_t wall_ms);

/* ---- watches ---- */

/* fn(arg) is called, once until the next pull, when there may be something to pull. It may not call
 * into the simulator. */
void kubesim_watch_on_ready(struct kubesim_watch *watch, void (*fn)(void *arg), void *arg);
/* Appends what has happened, one JSON text a line. 0: nothing more now; 1: the stream is over. */
int kubesim_watch_pull(struct kubesim_watch *watch, struct cox_buf *out);
/* Wall clock at which the stream ends by itself. */
int64_t kubesim_watch_deadline_ms(const struct kubesim_watch *watch);
void kubesim_watch_close(struct kubesim_watch *watch);

/* ---- state on disk ---- */

/* Every object, one JSON text a line. Appends. */
void kubesim_save(const struct kubesim *sim, struct cox_buf *out);
/* Into a simulator that holds nothing but what it was born with. */
int kubesim_load(struct kubesim *sim, struct cox_str text, struct cox_error *err);
/* Grows with every change. */
uint64_t kubesim_version(const struct kubesim *sim);
size_t kubesim_object_count(const struct kubesim *sim);

#endif
