#include "common/base/cleanup.h"
#include "common/doc/json.h"
#include "common/doc/pointer.h"
#include "hub/probe/question.h"

#include <stdlib.h>

static const char *const methods[] = {"GET", "HEAD", "POST"};

static int set_method(const struct cox_node *spec, struct hub_question *q, struct cox_error *err)
{
	const char *method = cox_node_cstr(cox_node_get(spec, "method"), "GET");

	for (size_t i = 0; i < COX_ARRAY_LEN(methods); i++) {
		if (!cox_streq(method, methods[i]))
			continue;
		q->method = cox_strdup(method);
		return 0;
	}
	return cox_error(err, COX_INVALID_ARGUMENT, "method: '%s' is none of GET, HEAD, POST",
			 method);
}

/* What would end the header and begin another one. */
static bool is_one_line(struct cox_str text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' && text.ptr[i] != '\t')
			return false;
	return true;
}

static int set_headers(const struct cox_node *headers, const struct hub_probe_names *names,
		       struct hub_question *q, struct cox_error *err)
{
	for (size_t i = 0; i < cox_node_len(headers); i++) {
		struct cox_str name = cox_node_key(headers, i);
		_cleanup_buf_ struct cox_buf line = COX_BUF_INIT;

		/* a name with a ':' in it would be another header */
		if (!hub_is_header_name(name))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "headers: '%.*s' is no header's name", COX_STR_ARG(name));
		cox_buf_printf(&line, "%.*s: ", COX_STR_ARG(name));
		if (probe_fill(cox_node_text(cox_node_at(headers, i)), names, HUB_AS_IT_IS, &line,
			       err) < 0)
			return cox_error_wrap(err, "headers.%.*s", COX_STR_ARG(name));
		if (!is_one_line(cox_buf_str(&line)))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "headers.%.*s: a header is one line", COX_STR_ARG(name));
		cox_vec_push(&q->headers, cox_buf_take(&line));
	}
	return 0;
}

static int check_condition(const struct cox_node *spec, struct cox_error *err)
{
	const struct cox_node *json = cox_node_get(spec, "json");
	struct cox_str pointer = cox_node_str(cox_node_get(json, "pointer"));

	if (!json)
		return 0;
	if (pointer.len && pointer.ptr[0] != '/')
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "json.pointer: '%.*s' does not begin with '/'",
				 COX_STR_ARG(pointer));
	if (cox_node_find(json, COX_STR("equals")) < 0)
		return cox_error(err, COX_INVALID_ARGUMENT, "json: needs `equals`");
	return 0;
}

int probe_http_make(const struct cox_node *spec, const struct hub_probe_names *names,
		    struct hub_question *q, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf url = COX_BUF_INIT, body = COX_BUF_INIT;
	const struct cox_node *text = cox_node_get(spec, "body");
	int r = set_method(spec, q, err);

	if (r == 0 &&
	    probe_fill(cox_node_str(cox_node_get(spec, "url")), names, HUB_IN_A_URL, &url, err) < 0)
		r = cox_error_wrap(err, "url");
	if (r == 0)
		r = set_headers(cox_node_get(spec, "headers"), names, q, err);
	if (r == 0)
		r = check_condition(spec, err);
	if (r == 0 && text && probe_fill(cox_node_str(text), names, HUB_AS_IT_IS, &body, err) < 0)
		r = cox_error_wrap(err, "body");
	if (r < 0)
		return r;
	q->url = cox_buf_take(&url);
	if (text)
		q->body = cox_buf_take(&body);
	return 0;
}

/* ---- the answer ---- */

static bool is_expected(const struct cox_node *expected, int status)
{
	if (!expected)
		return status >= 200 && status < 300;
	if (!cox_node_is(expected, COX_LIST))
		return cox_node_int(expected, 0) == status;
	for (size_t i = 0; i < cox_node_len(expected); i++)
		if (cox_node_int(cox_node_at(expected, i), 0) == status)
			return true;
	return false;
}

/* At most so much of what somebody else's server says goes into a message. */
#define EXCERPT 120

static void say_value(const struct cox_node *value, struct cox_buf *message)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	cox_json_write(&text, value);
	cox_buf_printf(message, "%.*s%s", (int)(text.len < EXCERPT ? text.len : EXCERPT),
		       cox_buf_cstr(&text), text.len > EXCERPT ? "…" : "");
}

static enum cox_rollout_answer judge_json(const struct cox_node *condition, struct cox_str body,
					  struct cox_buf *message)
{
	struct cox_str pointer = cox_node_str(cox_node_get(condition, "pointer"));
	const struct cox_node *wanted = cox_node_get(condition, "equals"), *found = NULL;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err;

	if (cox_json_read(body, "answer", &doc, &err) < 0) {
		cox_buf_printf(message, "the answer is no JSON: %s", err.message);
		return COX_ANSWER_BAD;
	}
	if (cox_pointer_get(cox_doc_root(doc), pointer, 0, &found, &err) < 0) {
		cox_buf_printf(message, "the answer has nothing at %s", err.message);
		return COX_ANSWER_BAD;
	}
	cox_buf_printf(message, "'%.*s' is ", COX_STR_ARG(pointer));
	say_value(found, message);
	if (cox_node_equal(found, wanted))
		return COX_ANSWER_GOOD;
	cox_buf_puts(message, ", wanted ");
	say_value(wanted, message);
	return COX_ANSWER_BAD;
}

enum cox_rollout_answer probe_http_judge(const struct cox_node *spec, int status,
					 struct cox_str body, struct cox_buf *message)
{
	const struct cox_node *condition = cox_node_get(spec, "json");

	if (!is_expected(cox_node_get(spec, "expectedStatus"), status)) {
		cox_buf_printf(message, "answered with status %d", status);
		return COX_ANSWER_BAD;
	}
	if (condition)
		return judge_json(condition, body, message);
	cox_buf_printf(message, "answered with status %d", status);
	return COX_ANSWER_GOOD;
}
