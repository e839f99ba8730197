/* Prometheus' HTTP API, instant queries: https://prometheus.io/docs/prometheus/latest/querying/api */
#include "common/base/cleanup.h"
#include "common/base/encode.h"
#include "common/doc/json.h"
#include "hub/probe/question.h"

#include <math.h>
#include <stdlib.h>

struct condition {
	enum { LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL, EQUAL, NOT_EQUAL } op;
	double value;
};

/* The longer ones first. */
static const struct {
	const char *text;
	int op;
} operators[] = {
	{"<=", LESS_OR_EQUAL}, {">=", GREATER_OR_EQUAL}, {"==", EQUAL}, {"!=", NOT_EQUAL},
	{"<", LESS},	       {">", GREATER},
};

/* Go's forms of a number as Prometheus writes them: "0.5", "1e+06", "NaN", "+Inf". */
static bool parse_number(struct cox_str text, double *ret)
{
	_cleanup_free_ char *copy = cox_str_dup(cox_str_trim(text));
	char *end;

	if (!*copy)
		return false;
	*ret = strtod(copy, &end);
	return *end == '\0';
}

static int condition_parse(struct cox_str text, struct condition *ret, struct cox_error *err)
{
	text = cox_str_trim(text);
	for (size_t i = 0; i < COX_ARRAY_LEN(operators); i++) {
		size_t n = strlen(operators[i].text);

		if (text.len < n || memcmp(text.ptr, operators[i].text, n) != 0)
			continue;
		ret->op = operators[i].op;
		if (!parse_number(cox_str_n(text.ptr + n, text.len - n), &ret->value) ||
		    isnan(ret->value))
			break;
		return 0;
	}
	return cox_error(err, COX_INVALID_ARGUMENT,
			 "condition: '%.*s', expected an operator and a number, as '< 0.01'",
			 COX_STR_ARG(text));
}

/* A NaN satisfies nothing, not even !=: whoever divides by no requests has learnt nothing. */
static bool holds(const struct condition *c, double value)
{
	if (isnan(value))
		return false;
	switch (c->op) {
	case LESS:
		return value < c->value;
	case LESS_OR_EQUAL:
		return value <= c->value;
	case GREATER:
		return value > c->value;
	case GREATER_OR_EQUAL:
		return value >= c->value;
	case EQUAL:
		return value == c->value;
	case NOT_EQUAL:
		return value != c->value;
	}
	return false;
}

int probe_metrics_make(const struct cox_node *spec, const struct hub_probe_names *names,
		       struct hub_question *q, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf url = COX_BUF_INIT, query = COX_BUF_INIT;
	struct cox_str address = cox_node_str(cox_node_get(spec, "address"));
	struct condition condition;

	if (condition_parse(cox_node_str(cox_node_get(spec, "condition")), &condition, err) < 0)
		return -err->code;
	while (address.len && address.ptr[address.len - 1] == '/')
		address.len--;
	if (!address.len)
		return cox_error(err, COX_INVALID_ARGUMENT, "address: is empty");
	if (probe_fill(cox_node_str(cox_node_get(spec, "query")), names, HUB_AS_IT_IS, &query,
		       err) < 0)
		return cox_error_wrap(err, "query");
	if (!query.len)
		return cox_error(err, COX_INVALID_ARGUMENT, "query: is empty");
	cox_buf_puts_str(&url, address);
	cox_buf_puts(&url, "/api/v1/query?query=");
	cox_url_encode(&url, cox_buf_str(&query));
	q->method = cox_strdup("GET");
	q->url = cox_buf_take(&url);
	return 0;
}

/* ---- the answer ---- */

/* [time, "value"] */
static bool sample(const struct cox_node *pair, double *ret)
{
	return cox_node_len(pair) == 2 && parse_number(cox_node_str(cox_node_at(pair, 1)), ret);
}

static enum cox_rollout_answer judge_sample(const struct condition *c, const struct cox_node *pair,
					    struct cox_str wanted, struct cox_buf *message)
{
	double value = 0;

	cox_buf_clear(message);
	if (!sample(pair, &value)) {
		cox_buf_puts(message, "the answer has a sample without a number");
		return COX_ANSWER_NONE;
	}
	if (holds(c, value)) {
		cox_buf_printf(message, "%.*s, wanted %.*s",
			       COX_STR_ARG(cox_node_str(cox_node_at(pair, 1))),
			       COX_STR_ARG(wanted));
		return COX_ANSWER_GOOD;
	}
	cox_buf_printf(message, "%.*s, wanted %.*s",
		       COX_STR_ARG(cox_node_str(cox_node_at(pair, 1))), COX_STR_ARG(wanted));
	return COX_ANSWER_BAD;
}

static enum cox_rollout_answer judge_data(const struct cox_node *data, const struct cox_node *spec,
					  struct cox_buf *message)
{
	struct cox_str type = cox_node_str(cox_node_get(data, "resultType"));
	struct cox_str wanted = cox_str_trim(cox_node_str(cox_node_get(spec, "condition")));
	const struct cox_node *result = cox_node_get(data, "result");
	struct condition c;
	struct cox_error err;

	if (condition_parse(wanted, &c, &err) < 0) {
		cox_buf_puts(message, err.message);
		return COX_ANSWER_NONE;
	}
	if (cox_str_is(type, "scalar"))
		return judge_sample(&c, result, wanted, message);
	if (!cox_str_is(type, "vector")) {
		cox_buf_printf(message, "the query gives a %.*s, expected a scalar or a vector",
			       COX_STR_ARG(type));
		return COX_ANSWER_NONE;
	}
	if (cox_node_len(result) == 0) {
		cox_buf_puts(message, "the query has no result");
		return COX_ANSWER_NONE;
	}
	for (size_t i = 0; i < cox_node_len(result); i++) {
		const struct cox_node *pair = cox_node_get(cox_node_at(result, i), "value");
		enum cox_rollout_answer answer = judge_sample(&c, pair, wanted, message);

		if (answer != COX_ANSWER_GOOD)
			return answer;
	}
	return COX_ANSWER_GOOD;
}

enum cox_rollout_answer probe_metrics_judge(const struct cox_node *spec, int status,
					    struct cox_str body, struct cox_buf *message)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *root;

	/* errors of a query are 400, 422, 503 with a JSON body that says why */
	if (cox_json_read(body, "answer", &doc, NULL) < 0) {
		cox_buf_printf(message, "answered with status %d and no JSON", status);
		return COX_ANSWER_NONE;
	}
	root = cox_doc_root(doc);
	if (!cox_str_is(cox_node_str(cox_node_get(root, "status")), "success")) {
		cox_buf_printf(message, "the query fails (status %d): %.200s", status,
			       cox_node_cstr(cox_node_get(root, "error"), ""));
		return COX_ANSWER_NONE;
	}
	return judge_data(cox_node_get(root, "data"), spec, message);
}
