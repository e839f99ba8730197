#include "common/kube/selector.h"

#include "common/base/limits.h"

struct term {
	char *path;
	char *value;
	bool negated;
};

struct cox_field_selector {
	COX_VEC(struct term) all;
};

void cox_field_selector_free(struct cox_field_selector *selector)
{
	if (!selector)
		return;
	COX_VEC_EACH (&selector->all, t) {
		free(t->path);
		free(t->value);
	}
	cox_vec_fini(&selector->all);
	free(selector);
}

/* The value up to an unescaped comma; false on a bad escape or a bare '='. */
static bool read_value(struct cox_str text, size_t *at, struct cox_buf *out)
{
	for (; *at < text.len && text.ptr[*at] != ','; (*at)++) {
		char c = text.ptr[*at];

		if (c == '=')
			return false;
		if (c == '\\') {
			if (++*at == text.len || !strchr("\\,=", text.ptr[*at]))
				return false;
			c = text.ptr[*at];
		}
		cox_buf_putc(out, c);
	}
	return true;
}

static int bad_term(struct cox_str text, struct cox_error *err)
{
	return cox_error(err, COX_INVALID_ARGUMENT,
			 "field selector '%.*s': expected 'path=value' or 'path!=value'",
			 COX_STR_ARG(text));
}

static int read_term(struct cox_str text, size_t *at, struct cox_field_selector *selector,
		     struct cox_error *err)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf value = COX_BUF_INIT;
	size_t begin = *at;

	while (*at < text.len && !strchr(",=!", text.ptr[*at]))
		(*at)++;
	struct cox_str path = cox_str_trim(cox_str_n(text.ptr + begin, *at - begin));
	struct cox_str rest = cox_str_n(text.ptr + *at, text.len - *at);
	bool negated = cox_str_starts(rest, "!=");

	if (!path.len || (!negated && !cox_str_starts(rest, "=")))
		return bad_term(text, err);
	*at += negated || cox_str_starts(rest, "==") ? 2 : 1;
	if (!read_value(text, at, &value))
		return bad_term(text, err);
	cox_vec_push(&selector->all, (struct term){.path = cox_str_dup(path),
						   .value = cox_buf_take(&value),
						   .negated = negated});
	return 0;
}

int cox_field_selector_parse(struct cox_str text, struct cox_field_selector **ret_selector,
			     struct cox_error *err)
{
	_cleanup_field_selector_ struct cox_field_selector *selector =
		cox_new(struct cox_field_selector);

	if (text.len > COX_LIMIT_SELECTOR_BYTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "field selector is longer than %d bytes",
				 COX_LIMIT_SELECTOR_BYTES);
	for (size_t at = 0; at < text.len; at++) {
		if (text.ptr[at] == ',')
			continue;
		int code = read_term(text, &at, selector, err);

		if (code < 0)
			return code;
	}
	*ret_selector = TAKE(selector);
	return 0;
}

static struct cox_str field_text(const struct cox_node *object, const char *path)
{
	struct cox_str rest = cox_str(path), part;
	const struct cox_node *node = object;

	while (cox_str_split(&rest, '.', &part))
		node = cox_node_get_str(node, part);
	return node && !cox_node_is(node, COX_NULL) ? cox_node_text(node) : COX_STR("");
}

bool cox_field_selector_matches(const struct cox_field_selector *selector,
				const struct cox_node *object)
{
	COX_VEC_EACH (&selector->all, t)
		if (cox_str_is(field_text(object, t->path), t->value) == t->negated)
			return false;
	return true;
}

size_t cox_field_selector_len(const struct cox_field_selector *selector)
{
	return selector->all.n;
}

struct cox_str cox_field_selector_path(const struct cox_field_selector *selector, size_t i)
{
	return i < selector->all.n ? cox_str(selector->all.items[i].path) : (struct cox_str){0};
}

struct cox_str cox_field_selector_wanted(const struct cox_field_selector *selector,
					 const char *path)
{
	COX_VEC_EACH (&selector->all, t)
		if (!t->negated && cox_streq(t->path, path))
			return cox_str(t->value);
	return (struct cox_str){0};
}
