#include "common/doc/internal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static size_t digits(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] >= '0' && p[i] <= '9')
		i++;
	return i;
}

/* RFC 8259, section 6. */
int doc_number_form(struct cox_str text)
{
	const char *p = text.ptr, *end = p + text.len;
	int form = 1;
	size_t n;

	if (p < end && *p == '-')
		p++;
	n = digits(p, (size_t)(end - p));
	if (!n || (n > 1 && *p == '0'))
		return 0;
	p += n;
	if (p < end && *p == '.') {
		n = digits(p + 1, (size_t)(end - p - 1));
		if (!n)
			return 0;
		p += 1 + n;
		form = 2;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		n = digits(p, (size_t)(end - p));
		if (!n)
			return 0;
		p += n;
		form = 2;
	}
	return p == end ? form : 0;
}

bool doc_parse_int(struct cox_str text, int64_t *ret_value)
{
	bool negative = text.len && text.ptr[0] == '-';
	uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, value = 0;

	if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+')) {
		text.ptr++;
		text.len--;
	}
	if (!text.len || digits(text.ptr, text.len) != text.len)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint64_t digit = (uint64_t)(text.ptr[i] - '0');

		if (value > (limit - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret_value = (int64_t)(negative ? 0 - value : value);
	return true;
}

bool doc_parse_double(const char *text, double *ret_value)
{
	double value = strtod(text, NULL);

	if (!isfinite(value))
		return false;
	*ret_value = value;
	return true;
}

/* Writes digits (without a point) as 0.00ddd, ddd.ddd or ddd000; point: digits before the point. */
static size_t write_plain(char *out, const char *text, int n, int point)
{
	char *p = out;

	if (point <= 0) {
		*p++ = '0';
		*p++ = '.';
		for (; point < 0; point++)
			*p++ = '0';
		memcpy(p, text, (size_t)n);
		p += n;
	} else {
		for (int i = 0; i < n || i < point; i++) {
			if (i == point)
				*p++ = '.';
			*p++ = i < n ? text[i] : '0';
		}
	}
	*p = '\0';
	return (size_t)(p - out);
}

size_t doc_format_double(double value, char ret_text[DOC_DOUBLE_TEXT])
{
	char text[DOC_DOUBLE_TEXT], ds[DOC_DOUBLE_TEXT];
	char *out = ret_text, *e;
	int precision, n = 0, exponent;

	if (value == 0) {
		memcpy(ret_text, "0", 2);
		return 1;
	}
	/* A normal double that has a form of 15 digits or less shows it with 15. */
	for (precision = fabs(value) < DBL_MIN ? 0 : 14; precision < 17; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, value);
		if (strtod(text, NULL) == value)
			break;
	}
	e = strchr(text, 'e');
	exponent = (int)strtol(e + 1, NULL, 10);
	for (char *p = text; p < e; p++)
		if (*p >= '0' && *p <= '9')
			ds[n++] = *p;
	while (n > 1 && ds[n - 1] == '0')
		n--;
	if (value < 0)
		*out++ = '-';
	if (exponent >= -6 && exponent < 21)
		return (size_t)(out - ret_text) + write_plain(out, ds, n, exponent + 1);
	*out++ = ds[0];
	if (n > 1) {
		*out++ = '.';
		memcpy(out, ds + 1, (size_t)n - 1);
		out += n - 1;
	}
	out += snprintf(out, DOC_DOUBLE_TEXT - (size_t)(out - ret_text), "e%+d", exponent);
	return (size_t)(out - ret_text);
}
