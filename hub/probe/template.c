#include "common/base/clock.h"
#include "common/base/encode.h"
#include "hub/probe/question.h"

#include <stdlib.h>

void hub_question_fini(struct hub_question *q)
{
	free(q->method);
	free(q->url);
	free(q->body);
	cox_strings_fini(&q->headers);
	COX_VEC_EACH (&q->secret_headers, h)
		explicit_bzero(*h, strlen(*h));
	cox_strings_fini(&q->secret_headers);
	if (q->password)
		explicit_bzero(q->password, strlen(q->password));
	free(q->password);
	free(q->ca);
	*q = (struct hub_question){0};
}

static const char *value_of(struct cox_str name, const struct hub_probe_names *names)
{
	const struct {
		const char *name, *value;
	} known[] = {
		{"rollout", names->rollout},
		{"revision", names->revision},
		{"applicationSet", names->application_set},
		{"wave", names->wave},
	};

	for (size_t i = 0; i < COX_ARRAY_LEN(known); i++)
		if (cox_str_is(name, known[i].name))
			return known[i].value ? known[i].value : "";
	return NULL;
}

int probe_fill(struct cox_str text, const struct hub_probe_names *names, enum hub_encoding encoding,
	       struct cox_buf *out, struct cox_error *err)
{
	while (text.len) {
		const char *open = memmem(text.ptr, text.len, "{{", 2);
		size_t before = open ? (size_t)(open - text.ptr) : text.len;
		const char *close;
		struct cox_str name;
		const char *value;

		cox_buf_add(out, text.ptr, before);
		if (!open)
			return 0;
		close = memmem(open, text.len - before, "}}", 2);
		if (!close)
			return cox_error(err, COX_INVALID_ARGUMENT, "'{{' without '}}'");
		name = cox_str_trim(cox_str_n(open + 2, (size_t)(close - open) - 2));
		value = value_of(name, names);
		if (!value)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "'{{%.*s}}' is none of {{rollout}}, {{revision}}, "
					 "{{applicationSet}}, {{wave}}",
					 COX_STR_ARG(name));
		if (encoding == HUB_IN_A_URL)
			cox_url_encode(out, cox_str(value));
		else
			cox_buf_puts(out, value);
		text = cox_str_n(close + 2, text.len - (size_t)(close + 2 - text.ptr));
	}
	return 0;
}

int probe_timeout(const struct cox_node *spec, int64_t *ret_ms, struct cox_error *err)
{
	const struct cox_node *node = cox_node_get(spec, "timeout");

	*ret_ms = HUB_PROBE_TIMEOUT_MS;
	if (!node)
		return 0;
	if (cox_duration_parse(cox_node_text(node), ret_ms, err) < 0)
		return cox_error_wrap(err, "timeout");
	if (*ret_ms < 1 || *ret_ms > HUB_PROBE_MAX_TIMEOUT_MS)
		return cox_error(err, COX_INVALID_ARGUMENT, "timeout: expected 1ms to 60s");
	return 0;
}

int hub_question_make(const struct cox_rollout_gate *gate, const struct hub_probe_names *names,
		      struct hub_question *ret_question, struct cox_error *err)
{
	struct hub_question q = {0};
	int r;

	if (gate->kind == COX_GATE_HTTP)
		r = probe_http_make(gate->spec, names, &q, err);
	else if (gate->kind == COX_GATE_METRICS)
		r = probe_metrics_make(gate->spec, names, &q, err);
	else
		r = cox_error(err, COX_INVALID_ARGUMENT, "a gate '%s' asks no URL",
			      cox_gate_kind_name(gate->kind));
	if (r == 0)
		r = probe_timeout(gate->spec, &q.timeout_ms, err);
	if (r < 0) {
		hub_question_fini(&q);
		return r;
	}
	*ret_question = q;
	return 0;
}

const char *hub_question_secret(const struct cox_rollout_gate *gate)
{
	return cox_node_cstr(COX_GET(gate->spec, "auth", "secretRef", "name"), NULL);
}

enum cox_rollout_answer hub_question_judge(const struct cox_rollout_gate *gate, int status,
					   struct cox_str body, struct cox_buf *message)
{
	return gate->kind == COX_GATE_METRICS
		       ? probe_metrics_judge(gate->spec, status, body, message)
		       : probe_http_judge(gate->spec, status, body, message);
}
