/* hub/probe: asks what the http and metrics gates of rollouts want to know.
 *
 * A question is one HTTP request; its answer comes back with the key that it was asked with. Who
 * asks again, how often, and what an answer means for the rollout, is hub/rollout's.
 *
 * Addresses: a policy's URLs are asked with https, of public addresses or those that the
 * administrator permits (--allow-net). With plain http only the latter: nothing says who answers.
 * Every address is checked when it is connected to, also after names were resolved. Redirects are
 * not followed, and an answer is at most a megabyte.
 *
 * A gate's Secret is read for each question anew, and lives until that is answered. What may not be sent,
 * or is not there, is no answer.
 *
 * Loop-owned. */
#ifndef HUB_PROBE_PROBE_H
#define HUB_PROBE_PROBE_H

#include "common/net/http_client.h"
#include "hub/probe/question.h"

struct hub_probes;

struct hub_probes_options {
	struct cox_loop *loop;
	/* Whether an address may be connected to; open: without TLS. Any turn of the loop. */
	bool (*may_connect)(void *ctx, const struct sockaddr *address, bool open);
	/* Not called for what was cancelled, and never inside hub_probe_ask. What could not be asked
	 * is COX_ANSWER_NONE. */
	void (*answered)(void *ctx, const char *rollout, const struct cox_rollout_probe *at,
			 enum cox_rollout_answer answer, const char *message);
	/* The Secret that a gate's auth names, filled in. NULL: there are none. */
	int (*secret)(void *ctx, const char *name, struct hub_gate_secret *ret_secret,
		      struct cox_error *err);
	void *ctx;
	/* For tests: authorities to trust beside the system's; NULL. */
	const char *ca_path;
};
int hub_probes_new(const struct hub_probes_options *options, struct hub_probes **ret_probes,
		   struct cox_error *err);
/* Cancels what is under way. */
void hub_probes_free(struct hub_probes *p);

/* gate and names are not kept but copied. A question with the same key that is under way stays as
 * it is. */
void hub_probe_ask(struct hub_probes *p, const struct cox_rollout_gate *gate,
		   const struct hub_probe_names *names, const struct cox_rollout_probe *at);
/* Nobody waits for it any more; nothing when it is not under way. */
void hub_probe_cancel(struct hub_probes *p, const char *rollout,
		      const struct cox_rollout_probe *at);
size_t hub_probes_running(const struct hub_probes *p);

#endif
