/* When two values mean the same. */
#include "agent/compare/walk.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/kube/quantity.h"

bool agent_is_empty(const struct cox_node *node)
{
	enum cox_kind kind = cox_node_kind(node);

	return kind == COX_ABSENT || kind == COX_NULL ||
	       ((kind == COX_MAP || kind == COX_LIST) && cox_node_len(node) == 0);
}

bool agent_is_zero(const struct cox_node *node)
{
	switch (cox_node_kind(node)) {
	case COX_STRING:
		return cox_node_str(node).len == 0;
	case COX_BOOL:
		return !cox_node_bool(node, true);
	case COX_INT:
		return cox_node_int(node, 1) == 0;
	default:
		return false;
	}
}

static bool is_number(const struct cox_node *node)
{
	return cox_node_is(node, COX_INT) || cox_node_is(node, COX_FLOAT);
}

/* Integers exactly: a double cannot tell the large ones apart. */
static bool equal_number(const struct cox_node *a, const struct cox_node *b)
{
	if (cox_node_is(a, COX_INT) && cox_node_is(b, COX_INT))
		return cox_node_int(a, 0) == cox_node_int(b, 1);
	return cox_node_equal(a, b) || cox_node_double(a, 0) == cox_node_double(b, 1);
}

static bool equal_quantity(struct cox_str a, struct cox_str b)
{
	struct cox_quantity x, y;

	return cox_quantity_parse(a, &x, NULL) == 0 && cox_quantity_parse(b, &y, NULL) == 0 &&
	       cox_quantity_compare(x, y) == 0;
}

/* The digits of a time's fraction of a second, without zeros at the end: a parsed time has
 * milliseconds only. */
static struct cox_str fraction_of(struct cox_str time)
{
	const char *dot = time.len ? memchr(time.ptr, '.', time.len) : NULL;
	size_t n = 0;

	if (!dot)
		return COX_STR("");
	while (dot + 1 + n < time.ptr + time.len && dot[1 + n] >= '0' && dot[1 + n] <= '9')
		n++;
	while (n && dot[n] == '0')
		n--;
	return cox_str_n(dot + 1, n);
}

static bool equal_time(struct cox_str a, struct cox_str b)
{
	int64_t x, y;

	return cox_time_parse(a, &x, NULL) == 0 && cox_time_parse(b, &y, NULL) == 0 && x == y &&
	       cox_str_eq(fraction_of(a), fraction_of(b));
}

static bool equal_bytes(struct cox_str a, struct cox_str b)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf x = COX_BUF_INIT, y = COX_BUF_INIT;

	return cox_base64_decode(&x, a, NULL) == 0 && cox_base64_decode(&y, b, NULL) == 0 &&
	       cox_str_eq(cox_buf_str(&x), cox_buf_str(&y));
}

/* ---- durations, as Go writes them, to the nanosecond ---- */

static const struct {
	const char *name;
	int64_t nanoseconds;
} units[] = {
	{"ns", 1},	   {"us", 1000},	 {"\xc2\xb5s", 1000},
	{"ms", 1000000},   {"h", 3600000000000}, {"m", 60000000000},
	{"s", 1000000000},
};

/* "1h30m", "0.5s": one number and its unit. */
static bool parse_part(struct cox_str *rest, int64_t *sum)
{
	int64_t whole = 0, fraction = 0, scale = 1;
	size_t i = 0, digits = 0;

	for (; i < rest->len && rest->ptr[i] >= '0' && rest->ptr[i] <= '9'; i++, digits++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, rest->ptr[i] - '0', &whole))
			return false;
	if (i < rest->len && rest->ptr[i] == '.')
		for (i++; i < rest->len && rest->ptr[i] >= '0' && rest->ptr[i] <= '9';
		     i++, digits++) {
			if (scale >= 1000000000)
				return false; /* finer than anybody writes */
			fraction = fraction * 10 + (rest->ptr[i] - '0');
			scale *= 10;
		}
	if (!digits)
		return false;
	struct cox_str unit = cox_str_n(rest->ptr + i, rest->len - i);

	for (size_t k = 0; k < COX_ARRAY_LEN(units); k++) {
		__int128 value =
			((__int128)whole * scale + fraction) * units[k].nanoseconds / scale;

		if (!cox_str_starts(unit, units[k].name))
			continue;
		if (value > INT64_MAX || __builtin_add_overflow(*sum, (int64_t)value, sum))
			return false;
		size_t used = i + strlen(units[k].name);

		*rest = cox_str_n(rest->ptr + used, rest->len - used);
		return true;
	}
	return false;
}

static bool parse_duration(struct cox_str text, int64_t *ret)
{
	int64_t sum = 0;
	bool negative = cox_str_starts(text, "-");

	if (negative || cox_str_starts(text, "+"))
		text = cox_str_n(text.ptr + 1, text.len - 1);
	if (!cox_str_is(text, "0")) {
		if (!text.len)
			return false;
		while (text.len)
			if (!parse_part(&text, &sum))
				return false;
	}
	*ret = negative ? -sum : sum;
	return true;
}

/* Controllers write back "60m" as "1h0m0s". */
static bool equal_duration(struct cox_str a, struct cox_str b)
{
	int64_t x, y;

	return parse_duration(a, &x) && parse_duration(b, &y) && x == y;
}

bool agent_equal_scalar(const struct cox_schema_type *type, const struct cox_node *a,
			const struct cox_node *b)
{
	struct cox_str x = cox_node_text(a), y = cox_node_text(b);

	if (type->kind == COX_SCHEMA_QUANTITY && x.len && y.len)
		return cox_str_eq(x, y) || equal_quantity(x, y);
	if (is_number(a) && is_number(b))
		return equal_number(a, b);
	if (!cox_node_is(a, COX_STRING) || !cox_node_is(b, COX_STRING))
		return cox_node_equal(a, b);
	if (cox_str_eq(x, y))
		return true;
	switch (type->kind) {
	case COX_SCHEMA_TIME:
	case COX_SCHEMA_MICROTIME:
		return equal_time(x, y);
	case COX_SCHEMA_BYTES:
		return equal_bytes(x, y);
	case COX_SCHEMA_ANY:
		return equal_duration(x, y);
	default:
		return false;
	}
}
