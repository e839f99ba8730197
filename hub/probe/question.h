/* The questions of http and metrics gates: what is sent, and what an answer means. Pure.
 *
 * http, in a RolloutPolicy's gate:
 *
 *	url             https://…, {{…}} filled in
 *	method          GET (unless given), HEAD, POST
 *	headers         {Name: value}, {{…}} filled in
 *	body            of a POST, {{…}} filled in
 *	expectedStatus  a number or a list of them; any 2xx unless given
 *	json            {pointer, equals}: the answer is JSON, and what the pointer (RFC 6901) names
 *	                is equal to the value
 *	timeout         of one try; 10s unless given, at most 60s
 *
 * metrics:
 *
 *	address         of a Prometheus (or what speaks its HTTP API), https://…
 *	query           PromQL, {{…}} filled in; asked as an instant query
 *	condition       "< 0.01": an operator (<, <=, >, >=, ==, !=) and a number, which every
 *	                sample of the answer has to satisfy. No sample at all is no answer.
 *	timeout         as above
 *
 * both:
 *
 *	auth            {secretRef: {name}}: what that Secret gives goes with the question
 *	                (hub/model/gate_secret.h), if it may be sent there, and with https alone
 *
 * {{rollout}}, {{revision}}, {{applicationSet}} and {{wave}} are filled in, percent-encoded in a
 * URL. */
#ifndef HUB_PROBE_QUESTION_H
#define HUB_PROBE_QUESTION_H

#include "common/base/options.h"
#include "hub/model/gate_secret.h"
#include "hub/rollout/rollout.h"

#define HUB_PROBE_TIMEOUT_MS	 10000
#define HUB_PROBE_MAX_TIMEOUT_MS 60000
#define HUB_PROBE_MAX_BODY	 (1 << 20) /* bytes of an answer */

/* What {{…}} stands for; borrowed. */
struct hub_probe_names {
	const char *rollout, *revision, *application_set, *wave;
};

struct hub_question {
	char *method, *url;
	cox_strings headers; /* "Name: value" */
	char *body;	     /* NULL: none */
	int64_t timeout_ms;
	/* from the Secret; wiped with the question, and never part of a message */
	cox_strings secret_headers;
	char *password; /* that is in one of them; NULL */
	char *ca;	/* PEM; NULL: the system's */
};
void hub_question_fini(struct hub_question *q);

/* Fails when the gate's spec is not as above; kinds other than HTTP and METRICS are an error. */
int hub_question_make(const struct cox_rollout_gate *gate, const struct hub_probe_names *names,
		      struct hub_question *ret_question, struct cox_error *err);
/* The Secret that the gate names; NULL: none. */
const char *hub_question_secret(const struct cox_rollout_gate *gate);
/* Adds what the Secret gives; fails when it may not be sent to where the question goes. */
int probe_auth(const struct hub_gate_secret *secret, struct hub_question *q, struct cox_error *err);
/* The answer as it may be shown: a server that says back what it was sent tells nobody. Appends. */
void hub_question_mask(const struct hub_question *q, struct cox_str answer, struct cox_buf *out);
/* The answer and a sentence about it (appended). */
enum cox_rollout_answer hub_question_judge(const struct cox_rollout_gate *gate, int status,
					   struct cox_str body, struct cox_buf *message);

/* ---- inside the room ---- */

enum hub_encoding { HUB_AS_IT_IS, HUB_IN_A_URL };
/* Fills {{…}} in. Appends. A name that is none of those above fails. */
int probe_fill(struct cox_str text, const struct hub_probe_names *names, enum hub_encoding encoding,
	       struct cox_buf *out, struct cox_error *err);
int probe_timeout(const struct cox_node *spec, int64_t *ret_ms, struct cox_error *err);
int probe_http_make(const struct cox_node *spec, const struct hub_probe_names *names,
		    struct hub_question *q, struct cox_error *err);
int probe_metrics_make(const struct cox_node *spec, const struct hub_probe_names *names,
		       struct hub_question *q, struct cox_error *err);
enum cox_rollout_answer probe_http_judge(const struct cox_node *spec, int status,
					 struct cox_str body, struct cox_buf *message);
enum cox_rollout_answer probe_metrics_judge(const struct cox_node *spec, int status,
					    struct cox_str body, struct cox_buf *message);

#endif
