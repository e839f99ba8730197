#include "common/doc/yaml_scalar.h"
#include "common/doc/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The words that are no strings, in the spellings that go-yaml takes. */
static const struct word {
	uint8_t len;
	const char *spellings[3];
	enum cox_kind kind;
	bool value;
	bool kubernetes_only;
} words[] = {
	{0, {"", "", ""}, COX_NULL, 0, 0},
	{1, {"~", "~", "~"}, COX_NULL, 0, 0},
	{4, {"null", "Null", "NULL"}, COX_NULL, 0, 0},
	{4, {"true", "True", "TRUE"}, COX_BOOL, 1, 0},
	{5, {"false", "False", "FALSE"}, COX_BOOL, 0, 0},
	{1, {"y", "Y", "Y"}, COX_BOOL, 1, 1},
	{3, {"yes", "Yes", "YES"}, COX_BOOL, 1, 1},
	{2, {"on", "On", "ON"}, COX_BOOL, 1, 1},
	{1, {"n", "N", "N"}, COX_BOOL, 0, 1},
	{2, {"no", "No", "NO"}, COX_BOOL, 0, 1},
	{3, {"off", "Off", "OFF"}, COX_BOOL, 0, 1},
	{4, {".inf", ".Inf", ".INF"}, COX_ABSENT, 0, 0},
	{5, {"+.inf", "+.Inf", "+.INF"}, COX_ABSENT, 0, 0},
	{5, {"-.inf", "-.Inf", "-.INF"}, COX_ABSENT, 0, 0},
	{4, {".nan", ".NaN", ".NAN"}, COX_ABSENT, 0, 0},
};

/* The first characters that a scalar has when it is no string: of the words, and of numbers. */
static bool may_resolve(struct cox_str text)
{
	static const bool first[256] = {
		['~'] = 1, ['n'] = 1, ['N'] = 1, ['t'] = 1, ['T'] = 1, ['f'] = 1,
		['F'] = 1, ['y'] = 1, ['Y'] = 1, ['o'] = 1, ['O'] = 1, ['.'] = 1,
		['+'] = 1, ['-'] = 1, ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1,
		['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1,
	};

	return !text.len || first[(unsigned char)text.ptr[0]];
}

static const struct word *find_word(struct cox_str text)
{
	if (text.len > 5)
		return NULL;
	if (!text.len)
		return &words[0];
	for (size_t i = 1; i < COX_ARRAY_LEN(words); i++)
		for (size_t j = 0; j < 3; j++)
			if (text.len == words[i].len &&
			    memcmp(text.ptr, words[i].spellings[j], text.len) == 0)
				return &words[i];
	return NULL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* [-+]?(0[xX]hex | 0[oO]octal | 0[bB]binary | 0octal | decimal), magnitude under 2^64. */
static bool parse_magnitude(const char *p, bool *ret_negative, uint64_t *ret_value)
{
	unsigned base = 10, digit;
	uint64_t value = 0;

	*ret_negative = *p == '-';
	if (*p == '-' || *p == '+')
		p++;
	if (p[0] == '0' && p[1]) {
		char c = (char)(p[1] | 0x20);

		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		p += c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
	}
	if (!*p)
		return false;
	for (; *p; p++) {
		char c = (char)(*p | 0x20);

		digit = is_digit(*p)	       ? (unsigned)(*p - '0')
			: c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
					       : 16;
		if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	*ret_value = value;
	return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?, after go-yaml's resolver. */
static bool has_float_form(const char *p)
{
	const char *first;

	if (*p == '-' || *p == '+')
		p++;
	for (first = p; is_digit(*p); p++)
		;
	if (p == first && (p[0] != '.' || !is_digit(p[1])))
		return false;
	if (*p == '.')
		for (p++; is_digit(*p); p++)
			;
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '-' || *p == '+')
			p++;
		for (first = p; is_digit(*p); p++)
			;
		if (p == first)
			return false;
	}
	return !*p;
}

static bool resolve_integer(const char *plain, struct doc_scalar *ret)
{
	uint64_t magnitude;
	bool negative;

	if (!parse_magnitude(plain, &negative, &magnitude))
		return false;
	if (magnitude <= (uint64_t)INT64_MAX + negative) {
		ret->kind = COX_INT;
		ret->value = (int64_t)(negative ? 0 - magnitude : magnitude);
		return true;
	}
	if (negative)
		return false;
	ret->kind = COX_FLOAT;
	ret->text_len = (size_t)snprintf(ret->text, sizeof(ret->text), "%llu",
					 (unsigned long long)magnitude);
	return true;
}

/* As Go's JSON has it: a number without a fraction is an integer. */
static bool resolve_float(const char *plain, struct doc_scalar *ret)
{
	double value;

	if (!has_float_form(plain) || !doc_parse_double(plain, &value))
		return false;
	ret->text_len = doc_format_double(value, ret->text);
	ret->kind = doc_parse_int(cox_str_n(ret->text, ret->text_len), &ret->value) ? COX_INT
										    : COX_FLOAT;
	return true;
}

/* A number of at most `width` digits. */
static bool take_number(const char **p, int width, int *ret_value)
{
	const char *first = *p;

	for (*ret_value = 0; is_digit(**p) && *p - first < width; (*p)++)
		*ret_value = *ret_value * 10 + **p - '0';
	return *p > first;
}

static bool take(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static bool take_date(const char **p, struct tm *tm)
{
	const char *year = *p;

	if (!take_number(p, 4, &tm->tm_year) || *p - year < 4 || !take(p, '-') ||
	    !take_number(p, 2, &tm->tm_mon) || !take(p, '-') || !take_number(p, 2, &tm->tm_mday))
		return false;
	return tm->tm_mon >= 1 && tm->tm_mon <= 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31;
}

static bool take_clock(const char **p, struct tm *tm)
{
	if (!take_number(p, 2, &tm->tm_hour) || !take(p, ':') || !take_number(p, 2, &tm->tm_min) ||
	    !take(p, ':') || !take_number(p, 2, &tm->tm_sec))
		return false;
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60;
}

/* go-yaml v3 decodes these into times, which JSON then writes as RFC 3339: a date; a date and a
 * clock with T or t and a zone; a date and a clock with a space and none. */
static bool resolve_time(struct cox_str text, struct doc_scalar *ret)
{
	char plain[40], fraction[12] = "";
	const char *p = plain, *dot, *zone = "Z";
	struct tm tm = {0};

	if (text.len < 8 || text.len >= sizeof(plain) || !is_digit(text.ptr[0]))
		return false;
	memcpy(plain, text.ptr, text.len);
	plain[text.len] = '\0';
	if (!take_date(&p, &tm))
		return false;
	if (*p) {
		bool zoned = *p == 'T' || *p == 't';

		if ((!zoned && *p != ' ') || (p++, !take_clock(&p, &tm)))
			return false;
		if (*p == '.') {
			size_t n;

			for (dot = p++; is_digit(*p); p++)
				;
			for (n = (size_t)(p - dot); n > 1 && dot[n - 1] == '0';)
				n--;
			if (n >= sizeof(fraction) || p == dot + 1)
				return false;
			snprintf(fraction, sizeof(fraction), "%.*s", n > 1 ? (int)n : 0, dot);
		}
		if (zoned && *p != 'Z') {
			int h, m;

			zone = p;
			if ((*p != '+' && *p != '-') || (p++, !take_number(&p, 2, &h)) ||
			    !take(&p, ':') || !take_number(&p, 2, &m) || p - zone != 6)
				return false;
		} else if (zoned) {
			p++;
		}
		if (*p)
			return false;
	}
	{
		struct tm check = tm;

		check.tm_year -= 1900;
		check.tm_mon -= 1;
		timegm(&check);
		if (check.tm_mday != tm.tm_mday)
			return false; /* the 31st of a short month */
	}
	ret->kind = COX_STRING;
	ret->is_time = true;
	ret->text_len = (size_t)snprintf(
		ret->text, sizeof(ret->text), "%04d-%02d-%02dT%02d:%02d:%02d%s%s", tm.tm_year,
		tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction, zone);
	return true;
}

void doc_yaml_resolve(enum cox_yaml_schema schema, struct cox_str text, struct doc_scalar *ret)
{
	const struct word *word;
	char plain[400];
	size_t n = 0;
	char c = text.len ? text.ptr[0] : '\0';

	ret->kind = COX_STRING;
	ret->is_time = false;
	if (!may_resolve(text))
		return;
	word = find_word(text);
	if (word && !(word->kubernetes_only && schema != COX_YAML_KUBERNETES)) {
		ret->kind = word->kind;
		ret->value = word->value;
		return;
	}
	if ((!is_digit(c) && c != '-' && c != '+' && c != '.') || text.len >= sizeof(plain))
		return;
	if (schema == COX_YAML_KUSTOMIZE && resolve_time(text, ret))
		return;
	for (size_t i = 0; i < text.len; i++) {
		if (!text.ptr[i])
			return;
		/* Behind a leading point go-yaml keeps the underscores, and it is a string then. */
		if (text.ptr[i] != '_' || c == '.')
			plain[n++] = text.ptr[i];
	}
	plain[n] = '\0';
	if (c != '.' && resolve_integer(plain, ret))
		return;
	resolve_float(plain, ret);
}

bool doc_yaml_is_ambiguous(struct cox_str text)
{
	struct doc_scalar as;

	if (!may_resolve(text))
		return false;
	for (int schema = COX_YAML_KUBERNETES; schema <= COX_YAML_KUSTOMIZE; schema++) {
		doc_yaml_resolve((enum cox_yaml_schema)schema, text, &as);
		if (as.kind != COX_STRING || as.is_time)
			return true;
	}
	return false;
}
