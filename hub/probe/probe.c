#include "hub/probe/probe.h"

#include "common/base/cleanup.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* One question that is under way. */
struct asked {
	struct hub_probes *probes;
	char *key;
	char *rollout;
	struct cox_rollout_probe at;
	struct cox_rollout_gate gate; /* kind and spec alone; spec in doc */
	struct cox_doc *doc;
	struct hub_question question;
	struct cox_http_target target;
	struct cox_http_call *call; /* NULL: it could not be sent */
	char *failure;		    /* why */
	struct cox_task tell;
};

struct hub_probes {
	struct hub_probes_options o;
	struct cox_http_client *secure, *open;
	struct cox_map asked; /* key -> struct asked */
};

static bool may_connect_secure(void *arg, const struct sockaddr *address, socklen_t len)
{
	struct hub_probes *p = arg;

	(void)len;
	return p->o.may_connect(p->o.ctx, address, false);
}

static bool may_connect_open(void *arg, const struct sockaddr *address, socklen_t len)
{
	struct hub_probes *p = arg;

	(void)len;
	return p->o.may_connect(p->o.ctx, address, true);
}

int hub_probes_new(const struct hub_probes_options *options, struct hub_probes **ret_probes,
		   struct cox_error *err)
{
	struct hub_probes *p = cox_new(struct hub_probes);
	int r;

	p->o = *options;
	r = cox_http_client_new(options->loop,
				&(struct cox_http_client_options){.may_connect = may_connect_secure,
								  .may_connect_arg = p},
				&p->secure, err);
	if (r == 0)
		r = cox_http_client_new(
			options->loop,
			&(struct cox_http_client_options){.may_connect = may_connect_open,
							  .may_connect_arg = p},
			&p->open, err);
	if (r < 0) {
		hub_probes_free(p);
		return r;
	}
	*ret_probes = p;
	return 0;
}

static void asked_free(void *arg)
{
	struct asked *a = arg;

	cox_loop_unsend(a->probes->o.loop, &a->tell);
	cox_http_cancel(a->call);
	hub_question_fini(&a->question);
	cox_doc_unref(a->doc);
	free(a->failure);
	free(a->rollout);
	free(a->key);
	free(a);
}

void hub_probes_free(struct hub_probes *p)
{
	if (!p)
		return;
	cox_map_fini_values(&p->asked, asked_free);
	cox_http_client_free(p->secure);
	cox_http_client_free(p->open);
	free(p);
}

static char *key_of(const char *rollout, const struct cox_rollout_probe *at)
{
	return cox_asprintf("%s/%zu/%d/%zu/%lld", rollout, at->wave, at->after, at->gate,
			    (long long)at->attempt);
}

/* It has been answered; a is gone afterwards. */
static void answer(struct asked *a, enum cox_rollout_answer what, const char *message)
{
	struct hub_probes *p = a->probes;

	cox_map_remove(&p->asked, a->key);
	p->o.answered(p->o.ctx, a->rollout, &a->at, what, message);
	asked_free(a);
}

static void tell_failure(void *arg)
{
	struct asked *a = arg;

	answer(a, COX_ANSWER_NONE, a->failure);
}

static void done(void *arg, const struct cox_http_answer *http, const struct cox_error *error)
{
	struct asked *a = arg;
	_cleanup_buf_ struct cox_buf message = COX_BUF_INIT;
	_cleanup_buf_ struct cox_buf body = COX_BUF_INIT;
	enum cox_rollout_answer what = COX_ANSWER_NONE;

	a->call = NULL;
	if (error->code != COX_OK) {
		cox_buf_printf(&message, "cannot be asked: %s", error->message);
	} else {
		hub_question_mask(&a->question, http->body, &body);
		what = hub_question_judge(&a->gate, http->status, cox_buf_str(&body), &message);
	}
	answer(a, what, cox_buf_cstr(&message));
}

static int add_secret(struct asked *a, struct cox_error *err)
{
	_cleanup_gate_secret_ struct hub_gate_secret secret = {0};
	const struct hub_probes_options *o = &a->probes->o;
	const char *name = hub_question_secret(&a->gate);

	a->target.ca_path = o->ca_path;
	/* `auth` without a name, which no check lets through, is not asked without it */
	if (!cox_node_get(a->gate.spec, "auth"))
		return 0;
	if (!name || !o->secret)
		return cox_error(err, COX_FAILED_PRECONDITION, "auth: no secret '%s'",
				 name ? name : "");
	if (o->secret(o->ctx, name, &secret, err) < 0 || probe_auth(&secret, &a->question, err) < 0)
		return cox_error_wrap(err, "auth");
	if (a->question.ca) {
		a->target.ca_data = cox_str(a->question.ca);
		a->target.ca_path = NULL;
	}
	return 0;
}

static int send_question(struct asked *a, struct cox_error *err)
{
	struct hub_probes *p = a->probes;
	const struct hub_question *q = &a->question;
	COX_VEC(const char *) headers = {0};
	bool open = strncmp(q->url, "http://", 7) == 0;
	int r = 0;

	if (!open && strncmp(q->url, "https://", 8) != 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the URL begins neither with https:// nor with http://");
	COX_VEC_EACH (&q->headers, h)
		cox_vec_push(&headers, *h);
	COX_VEC_EACH (&q->secret_headers, h)
		cox_vec_push(&headers, *h);
	cox_vec_push(&headers, NULL);
	r = cox_http_send(open ? p->open : p->secure,
			  &(struct cox_http_send){
				  .method = q->method,
				  .url = q->url,
				  .headers = headers.items,
				  .body = q->body ? cox_str(q->body) : COX_STR(""),
				  .target = &a->target,
				  .connect_timeout_ms = q->timeout_ms,
				  .total_timeout_ms = q->timeout_ms,
				  .max_body = HUB_PROBE_MAX_BODY,
				  .done = done,
				  .arg = a,
			  },
			  &a->call, err);
	cox_vec_fini(&headers);
	return r;
}

void hub_probe_ask(struct hub_probes *p, const struct cox_rollout_gate *gate,
		   const struct hub_probe_names *names, const struct cox_rollout_probe *at)
{
	_cleanup_free_ char *key = key_of(names->rollout, at);
	struct cox_error err;
	struct asked *a;

	if (cox_map_has(&p->asked, key))
		return;
	a = cox_new(struct asked);
	a->probes = p;
	a->key = TAKE(key);
	a->rollout = cox_strdup(names->rollout);
	a->at = *at;
	a->doc = cox_doc_new("gate");
	cox_doc_set_root(a->doc, cox_doc_clone(a->doc, gate->spec));
	cox_doc_seal(a->doc);
	a->gate = (struct cox_rollout_gate){.kind = gate->kind, .spec = cox_doc_root(a->doc)};
	cox_task_init(&a->tell, tell_failure, a);
	cox_map_set(&p->asked, a->key, a);
	if (hub_question_make(&a->gate, names, &a->question, &err) == 0 &&
	    add_secret(a, &err) == 0 && send_question(a, &err) == 0)
		return;
	a->failure = cox_asprintf("cannot be asked: %s", err.message);
	cox_loop_send(p->o.loop, &a->tell);
}

void hub_probe_cancel(struct hub_probes *p, const char *rollout, const struct cox_rollout_probe *at)
{
	_cleanup_free_ char *key = key_of(rollout, at);
	struct asked *a = cox_map_remove(&p->asked, key);

	if (a)
		asked_free(a);
}

size_t hub_probes_running(const struct hub_probes *p)
{
	return p->asked.n;
}
