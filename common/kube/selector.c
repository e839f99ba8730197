#include "common/kube/selector.h"

#include "common/base/limits.h"
#include "common/base/options.h"

#include <errno.h>
#include <stdlib.h>

#define REQUIREMENTS_MAX 256
#define VALUES_MAX	 1024

struct requirement {
	char *key;
	enum cox_selector_op op;
	cox_strings values;
};

struct cox_selector {
	COX_VEC(struct requirement) all;
	bool nothing;
};

/* The words of matchExpressions. */
static const char *const operators[] = {
	[COX_SELECT_IN] = "In",		[COX_SELECT_NOT_IN] = "NotIn",
	[COX_SELECT_EXISTS] = "Exists", [COX_SELECT_NOT_EXISTS] = "DoesNotExist",
	[COX_SELECT_GREATER] = "Gt",	[COX_SELECT_LESS] = "Lt",
};

static void requirement_fini(struct requirement *r)
{
	free(r->key);
	cox_strings_fini(&r->values);
}

void cox_selector_free(struct cox_selector *selector)
{
	if (!selector)
		return;
	COX_VEC_EACH (&selector->all, r)
		requirement_fini(r);
	cox_vec_fini(&selector->all);
	free(selector);
}

/* ---- validity ---- */

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* [A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?, at most 63 */
static bool is_label_word(struct cox_str s)
{
	if (!s.len || s.len > 63 || !is_alnum(s.ptr[0]) || !is_alnum(s.ptr[s.len - 1]))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_' && s.ptr[i] != '.')
			return false;
	return true;
}

/* A DNS subdomain of RFC 1123. */
static bool is_subdomain(struct cox_str s)
{
	struct cox_str rest = s, part;

	if (!s.len || s.len > 253)
		return false;
	while (cox_str_split(&rest, '.', &part)) {
		if (!part.len || !is_alnum(part.ptr[0]) || !is_alnum(part.ptr[part.len - 1]))
			return false;
		for (size_t i = 0; i < part.len; i++)
			if ((!is_alnum(part.ptr[i]) && part.ptr[i] != '-') ||
			    (part.ptr[i] >= 'A' && part.ptr[i] <= 'Z'))
				return false;
	}
	return true;
}

bool cox_label_key_valid(struct cox_str key)
{
	const char *slash = key.len ? memchr(key.ptr, '/', key.len) : NULL;

	if (!slash)
		return is_label_word(key);
	size_t n = (size_t)(slash - key.ptr);

	return is_subdomain(cox_str_n(key.ptr, n)) &&
	       is_label_word(cox_str_n(slash + 1, key.len - n - 1));
}

bool cox_label_value_valid(struct cox_str value)
{
	return value.len == 0 || is_label_word(value);
}

static bool parse_integer(const char *text, int64_t *ret)
{
	char *end;

	if (!*text || *text == ' ')
		return false;
	errno = 0;
	long long value = strtoll(text, &end, 10);

	if (errno || *end)
		return false;
	*ret = value;
	return true;
}

/* Takes r, whole or not. */
static int add(struct cox_selector *selector, struct requirement r, struct cox_error *err)
{
	int code = 0;
	int64_t number;

	if (selector->all.n >= REQUIREMENTS_MAX)
		code = cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "selector has more than %d requirements", REQUIREMENTS_MAX);
	else if (!cox_label_key_valid(cox_str(r.key)))
		code = cox_error(err, COX_INVALID_ARGUMENT, "'%s' is not a label key", r.key);
	else if ((r.op == COX_SELECT_IN || r.op == COX_SELECT_NOT_IN) && r.values.n == 0)
		code = cox_error(err, COX_INVALID_ARGUMENT, "operator %s on '%s' needs values",
				 operators[r.op], r.key);
	else if ((r.op == COX_SELECT_EXISTS || r.op == COX_SELECT_NOT_EXISTS) && r.values.n != 0)
		code = cox_error(err, COX_INVALID_ARGUMENT, "operator %s on '%s' takes no values",
				 operators[r.op], r.key);
	else if ((r.op == COX_SELECT_GREATER || r.op == COX_SELECT_LESS) &&
		 (r.values.n != 1 || !parse_integer(r.values.items[0], &number)))
		code = cox_error(err, COX_INVALID_ARGUMENT, "operator %s on '%s' needs one integer",
				 operators[r.op], r.key);
	if (code == 0)
		COX_VEC_EACH (&r.values, value)
			if (code == 0 && !cox_label_value_valid(cox_str(*value)))
				code = cox_error(err, COX_INVALID_ARGUMENT,
						 "'%s' is not a label value (key '%s')", *value,
						 r.key);
	if (code < 0) {
		requirement_fini(&r);
		return code;
	}
	cox_vec_push(&selector->all, r);
	return 0;
}

/* ---- the query string ---- */

struct reader {
	struct cox_str text;
	size_t at;
};

static void skip_space(struct reader *in)
{
	while (in->at < in->text.len &&
	       (in->text.ptr[in->at] == ' ' || in->text.ptr[in->at] == '\t' ||
		in->text.ptr[in->at] == '\r' || in->text.ptr[in->at] == '\n'))
		in->at++;
}

static bool take(struct reader *in, const char *token)
{
	skip_space(in);
	struct cox_str rest = cox_str_n(in->text.ptr + in->at, in->text.len - in->at);

	if (!cox_str_starts(rest, token))
		return false;
	in->at += strlen(token);
	return true;
}

/* A run of what is neither space nor an operator's character; may be empty. */
static struct cox_str take_word(struct reader *in)
{
	skip_space(in);
	size_t begin = in->at;

	while (in->at < in->text.len && !strchr(" \t\r\n,()=!<>", in->text.ptr[in->at]))
		in->at++;
	return cox_str_n(in->text.ptr + begin, in->at - begin);
}

static bool at_end(struct reader *in)
{
	skip_space(in);
	return in->at == in->text.len;
}

static int unexpected(struct reader *in, const char *wanted, struct cox_error *err)
{
	return cox_error(err, COX_INVALID_ARGUMENT, "selector '%.*s': expected %s at column %zu",
			 COX_STR_ARG(in->text), wanted, in->at + 1);
}

static int read_values(struct reader *in, struct requirement *r, struct cox_error *err)
{
	if (!take(in, "("))
		return unexpected(in, "'('", err);
	do {
		if (r->values.n >= VALUES_MAX)
			return cox_error(err, COX_RESOURCE_EXHAUSTED,
					 "selector has more than %d values for '%s'", VALUES_MAX,
					 r->key);
		cox_vec_push(&r->values, cox_str_dup(take_word(in)));
	} while (take(in, ","));
	if (!take(in, ")"))
		return unexpected(in, "',' or ')'", err);
	return 0;
}

static int read_operator(struct reader *in, struct requirement *r, struct cox_error *err)
{
	static const struct {
		const char *token;
		enum cox_selector_op op;
	} symbols[] = {{"==", COX_SELECT_IN},
		       {"=", COX_SELECT_IN},
		       {"!=", COX_SELECT_NOT_IN},
		       {">", COX_SELECT_GREATER},
		       {"<", COX_SELECT_LESS}};

	skip_space(in);
	if (in->at == in->text.len || in->text.ptr[in->at] == ',') {
		r->op = COX_SELECT_EXISTS;
		return 0;
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(symbols); i++) {
		if (take(in, symbols[i].token)) {
			r->op = symbols[i].op;
			cox_vec_push(&r->values, cox_str_dup(take_word(in)));
			return 0;
		}
	}
	struct cox_str word = take_word(in);

	if (cox_str_is(word, "in"))
		r->op = COX_SELECT_IN;
	else if (cox_str_is(word, "notin"))
		r->op = COX_SELECT_NOT_IN;
	else
		return unexpected(in, "=, !=, <, >, in or notin", err);
	return read_values(in, r, err);
}

static int read_requirement(struct reader *in, struct cox_selector *selector, struct cox_error *err)
{
	struct requirement r = {0};
	bool negated = take(in, "!");
	struct cox_str key = take_word(in);
	int code = 0;

	if (!key.len)
		return unexpected(in, "a label key", err);
	r.key = cox_str_dup(key);
	if (negated)
		r.op = COX_SELECT_NOT_EXISTS;
	else
		code = read_operator(in, &r, err);
	if (code < 0) {
		requirement_fini(&r);
		return code;
	}
	return add(selector, r, err);
}

int cox_selector_parse(struct cox_str text, struct cox_selector **ret_selector,
		       struct cox_error *err)
{
	_cleanup_selector_ struct cox_selector *selector = cox_new(struct cox_selector);
	struct reader in = {.text = text};

	if (text.len > COX_LIMIT_SELECTOR_BYTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "selector is longer than %d bytes",
				 COX_LIMIT_SELECTOR_BYTES);
	while (!at_end(&in)) {
		int code = read_requirement(&in, selector, err);

		if (code < 0)
			return code;
		if (at_end(&in))
			break;
		if (!take(&in, ","))
			return unexpected(&in, "','", err);
		if (at_end(&in))
			return unexpected(&in, "a label key", err);
	}
	*ret_selector = TAKE(selector);
	return 0;
}

/* ---- the object ---- */

static int add_labels(struct cox_selector *selector, const struct cox_node *labels,
		      struct cox_error *err)
{
	if (labels && !cox_node_is(labels, COX_MAP) && !cox_node_is(labels, COX_NULL))
		return cox_error(err, COX_INVALID_ARGUMENT, "matchLabels: expected a map");
	for (size_t i = 0; cox_node_is(labels, COX_MAP) && i < cox_node_len(labels); i++) {
		struct requirement r = {.op = COX_SELECT_IN};
		const struct cox_node *value = cox_node_at(labels, i);

		if (!cox_node_is(value, COX_STRING))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "matchLabels: '%.*s' must be a string",
					 COX_STR_ARG(cox_node_key(labels, i)));
		r.key = cox_str_dup(cox_node_key(labels, i));
		cox_vec_push(&r.values, cox_str_dup(cox_node_str(value)));
		int code = add(selector, r, err);

		if (code < 0)
			return code;
	}
	return 0;
}

static int find_operator(struct cox_str word, enum cox_selector_op *ret_op)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(operators); i++) {
		if (cox_str_is(word, operators[i])) {
			*ret_op = (enum cox_selector_op)i;
			return 0;
		}
	}
	return -1;
}

static int add_expression(struct cox_selector *selector, const struct cox_node *expression,
			  struct cox_error *err)
{
	struct requirement r = {0};
	struct cox_str key = cox_node_str(cox_node_get(expression, "key"));
	struct cox_str word = cox_node_str(cox_node_get(expression, "operator"));
	const struct cox_node *values = cox_node_get(expression, "values");

	if (find_operator(word, &r.op) < 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "matchExpressions: '%.*s' is not an operator: expected In, NotIn, "
				 "Exists or DoesNotExist",
				 COX_STR_ARG(word));
	if (cox_node_len(values) > VALUES_MAX)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "matchExpressions: more than %d values", VALUES_MAX);
	for (size_t i = 0; i < cox_node_len(values); i++)
		if (!cox_node_is(cox_node_at(values, i), COX_STRING))
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "matchExpressions: values of '%.*s' must be strings",
					 COX_STR_ARG(key));
	r.key = cox_str_dup(key);
	for (size_t i = 0; i < cox_node_len(values); i++)
		cox_vec_push(&r.values, cox_str_dup(cox_node_str(cox_node_at(values, i))));
	return add(selector, r, err);
}

static int add_expressions(struct cox_selector *selector, const struct cox_node *list,
			   struct cox_error *err)
{
	if (list && !cox_node_is(list, COX_LIST) && !cox_node_is(list, COX_NULL))
		return cox_error(err, COX_INVALID_ARGUMENT, "matchExpressions: expected a list");
	for (size_t i = 0; cox_node_is(list, COX_LIST) && i < cox_node_len(list); i++) {
		int code = add_expression(selector, cox_node_at(list, i), err);

		if (code < 0)
			return code;
	}
	return 0;
}

int cox_selector_from_node(const struct cox_node *label_selector,
			   struct cox_selector **ret_selector, struct cox_error *err)
{
	_cleanup_selector_ struct cox_selector *selector = cox_new(struct cox_selector);
	int code;

	selector->nothing = !label_selector || cox_node_is(label_selector, COX_NULL);
	if (!selector->nothing && !cox_node_is(label_selector, COX_MAP))
		return cox_error(err, COX_INVALID_ARGUMENT, "selector: expected a map");
	code = add_labels(selector, cox_node_get(label_selector, "matchLabels"), err);
	if (code < 0)
		return code;
	code = add_expressions(selector, cox_node_get(label_selector, "matchExpressions"), err);
	if (code < 0)
		return code;
	*ret_selector = TAKE(selector);
	return 0;
}

int cox_selector_from_labels(const struct cox_node *labels, struct cox_selector **ret_selector,
			     struct cox_error *err)
{
	_cleanup_selector_ struct cox_selector *selector = cox_new(struct cox_selector);
	int code = add_labels(selector, labels, err);

	if (code < 0)
		return code;
	*ret_selector = TAKE(selector);
	return 0;
}

int cox_selector_from_expressions(const struct cox_node *list, struct cox_selector **ret_selector,
				  struct cox_error *err)
{
	_cleanup_selector_ struct cox_selector *selector = cox_new(struct cox_selector);
	int code = add_expressions(selector, list, err);

	if (code < 0)
		return code;
	*ret_selector = TAKE(selector);
	return 0;
}

/* ---- matching ---- */

static bool holds(const struct requirement *r, struct cox_str value)
{
	int64_t have, want;

	switch (r->op) {
	case COX_SELECT_EXISTS:
		return value.ptr != NULL;
	case COX_SELECT_NOT_EXISTS:
		return value.ptr == NULL;
	case COX_SELECT_IN:
	case COX_SELECT_NOT_IN:
		if (!value.ptr)
			return r->op == COX_SELECT_NOT_IN;
		COX_VEC_EACH (&r->values, candidate)
			if (cox_str_is(value, *candidate))
				return r->op == COX_SELECT_IN;
		return r->op == COX_SELECT_NOT_IN;
	case COX_SELECT_GREATER:
	case COX_SELECT_LESS:
		break;
	}
	if (!value.ptr)
		return false;
	_cleanup_free_ char *text = cox_str_dup(value);

	if (!parse_integer(text, &have) || !parse_integer(r->values.items[0], &want))
		return false;
	return r->op == COX_SELECT_GREATER ? have > want : have < want;
}

bool cox_selector_matches_with(const struct cox_selector *selector,
			       struct cox_str (*get)(void *ctx, struct cox_str key), void *ctx)
{
	if (selector->nothing)
		return false;
	COX_VEC_EACH (&selector->all, r)
		if (!holds(r, get(ctx, cox_str(r->key))))
			return false;
	return true;
}

static struct cox_str get_label(void *ctx, struct cox_str key)
{
	const struct cox_node *value = cox_node_get_str(ctx, key);

	return cox_node_is(value, COX_STRING) ? cox_node_str(value) : (struct cox_str){0};
}

bool cox_selector_matches(const struct cox_selector *selector, const struct cox_node *labels)
{
	return cox_selector_matches_with(selector, get_label, (void *)labels);
}

bool cox_selector_is_empty(const struct cox_selector *selector)
{
	return !selector->nothing && selector->all.n == 0;
}

static void write_requirement(struct cox_buf *out, const struct requirement *r)
{
	bool single = r->values.n == 1;
	static const char *const symbols[] = {
		[COX_SELECT_IN] = "=",
		[COX_SELECT_NOT_IN] = "!=",
		[COX_SELECT_GREATER] = ">",
		[COX_SELECT_LESS] = "<",
	};

	if (r->op == COX_SELECT_NOT_EXISTS)
		cox_buf_putc(out, '!');
	cox_buf_puts(out, r->key);
	if (r->op == COX_SELECT_EXISTS || r->op == COX_SELECT_NOT_EXISTS)
		return;
	if (single) {
		cox_buf_puts(out, symbols[r->op]);
		cox_buf_puts(out, r->values.items[0]);
		return;
	}
	cox_buf_puts(out, r->op == COX_SELECT_IN ? " in (" : " notin (");
	for (size_t i = 0; i < r->values.n; i++) {
		if (i)
			cox_buf_putc(out, ',');
		cox_buf_puts(out, r->values.items[i]);
	}
	cox_buf_putc(out, ')');
}

void cox_selector_write(struct cox_buf *out, const struct cox_selector *selector)
{
	for (size_t i = 0; i < selector->all.n; i++) {
		if (i)
			cox_buf_putc(out, ',');
		write_requirement(out, &selector->all.items[i]);
	}
}
