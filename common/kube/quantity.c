#include "common/kube/quantity.h"

#include <stdbool.h>
#include <stdio.h>

#define NANO	     ((__int128)1000000000)
#define NANO_MAX     ((__int128)INT64_MAX * NANO)
#define EXPONENT_MAX 64

/* Suffix, its power of ten or of two. */
static const struct suffix {
	const char *text;
	int8_t power;
	enum cox_quantity_format format;
} suffixes[] = {
	{"", 0, COX_QUANTITY_DECIMAL},	 {"n", -9, COX_QUANTITY_DECIMAL},
	{"u", -6, COX_QUANTITY_DECIMAL}, {"m", -3, COX_QUANTITY_DECIMAL},
	{"k", 3, COX_QUANTITY_DECIMAL},	 {"M", 6, COX_QUANTITY_DECIMAL},
	{"G", 9, COX_QUANTITY_DECIMAL},	 {"T", 12, COX_QUANTITY_DECIMAL},
	{"P", 15, COX_QUANTITY_DECIMAL}, {"E", 18, COX_QUANTITY_DECIMAL},
	{"Ki", 10, COX_QUANTITY_BINARY}, {"Mi", 20, COX_QUANTITY_BINARY},
	{"Gi", 30, COX_QUANTITY_BINARY}, {"Ti", 40, COX_QUANTITY_BINARY},
	{"Pi", 50, COX_QUANTITY_BINARY}, {"Ei", 60, COX_QUANTITY_BINARY},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "e3", "E-6": true and its exponent, held within what can matter. */
static bool parse_exponent(struct cox_str s, int *ret_power)
{
	if (s.len < 2 || (s.ptr[0] != 'e' && s.ptr[0] != 'E'))
		return false;
	size_t i = 1;
	bool negative = s.ptr[i] == '-';

	if (s.ptr[i] == '-' || s.ptr[i] == '+')
		i++;
	if (i == s.len)
		return false;
	int power = 0;

	for (; i < s.len; i++) {
		if (!is_digit(s.ptr[i]))
			return false;
		if (power < 100000)
			power = power * 10 + (s.ptr[i] - '0');
	}
	*ret_power = negative ? -power : power;
	return true;
}

static bool parse_suffix(struct cox_str s, int *ret_power, enum cox_quantity_format *ret_format)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (cox_str_is(s, suffixes[i].text)) {
			*ret_power = suffixes[i].power;
			*ret_format = suffixes[i].format;
			return true;
		}
	}
	*ret_format = COX_QUANTITY_EXPONENT;
	return parse_exponent(s, ret_power);
}

/* digits (with `scale` of them after the point) times the suffix, in billionths. The number is
 * kept as value and a flag for what was lost below it, so that rounding away from zero is exact. */
static __int128 scale_decimal(struct cox_str whole, struct cox_str fraction, int power)
{
	__int128 value = 0;
	bool lost = false;
	/* place of the digit in billionths: its power of ten */
	int place = (int)whole.len - 1 + power + 9;
	struct cox_str parts[2] = {whole, fraction};

	for (size_t p = 0; p < 2; p++) {
		for (size_t i = 0; i < parts[p].len; i++, place--) {
			int digit = parts[p].ptr[i] - '0';

			if (place < 0) {
				lost = lost || digit != 0;
				continue;
			}
			value = value * 10 + digit;
			if (value > NANO_MAX)
				return NANO_MAX;
		}
	}
	/* value's last digit stands at place + 1 when that is above zero */
	for (; place >= 0 && value != 0; place--) {
		value *= 10;
		if (value > NANO_MAX)
			return NANO_MAX;
	}
	return value + (lost ? 1 : 0);
}

/* A binary suffix: (whole + fraction) * 2^power. The fraction's first 18 digits count exactly, the
 * rest only as "there was more". */
static __int128 scale_binary(struct cox_str whole, struct cox_str fraction, int power)
{
	__int128 units = 0;

	for (size_t i = 0; i < whole.len; i++) {
		units = units * 10 + (whole.ptr[i] - '0');
		if (units > INT64_MAX)
			return NANO_MAX;
	}
	if (units > ((__int128)INT64_MAX >> power))
		return NANO_MAX;
	__int128 value = (units << power) * NANO;
	__int128 part = 0, denominator = 1;
	bool lost = false;

	for (size_t i = 0; i < fraction.len; i++) {
		if (i < 18) {
			part = part * 10 + (fraction.ptr[i] - '0');
			denominator *= 10;
		} else {
			lost = lost || fraction.ptr[i] != '0';
		}
	}
	/* part * 2^power * 10^9 / denominator, without leaving 128 bits: whole units first */
	__int128 scaled = part << power; /* < 10^18 * 2^60 < 2^120 */
	__int128 rest = scaled % denominator;

	value += scaled / denominator * NANO + rest * NANO / denominator;
	if (rest * NANO % denominator || lost)
		value++;
	return value > NANO_MAX ? NANO_MAX : value;
}

int cox_quantity_parse(struct cox_str text, struct cox_quantity *ret_quantity,
		       struct cox_error *err)
{
	size_t i = 0;
	bool negative = text.len && text.ptr[0] == '-';

	if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+'))
		i++;
	size_t begin = i;

	while (i < text.len && is_digit(text.ptr[i]))
		i++;
	struct cox_str whole = cox_str_n(text.ptr + begin, i - begin);
	struct cox_str fraction = COX_STR("");

	if (i < text.len && text.ptr[i] == '.') {
		begin = ++i;
		while (i < text.len && is_digit(text.ptr[i]))
			i++;
		fraction = cox_str_n(text.ptr + begin, i - begin);
	}
	int power;
	enum cox_quantity_format format;

	if ((!whole.len && !fraction.len) || whole.len + fraction.len > 256 ||
	    !parse_suffix(cox_str_n(text.ptr + i, text.len - i), &power, &format))
		return cox_error(
			err, COX_INVALID_ARGUMENT,
			"'%.*s' is not a quantity: expected a number like '500m', '1.5' or "
			"'2Gi'",
			COX_STR_ARG(text));
	if (power > EXPONENT_MAX)
		power = EXPONENT_MAX;
	if (power < -EXPONENT_MAX - 256)
		power = -EXPONENT_MAX - 256;
	__int128 value = format == COX_QUANTITY_BINARY ? scale_binary(whole, fraction, power)
						       : scale_decimal(whole, fraction, power);

	*ret_quantity = (struct cox_quantity){negative ? -value : value, format};
	return 0;
}

int cox_quantity_compare(struct cox_quantity a, struct cox_quantity b)
{
	return (a.nano > b.nano) - (a.nano < b.nano);
}

int64_t cox_quantity_value(struct cox_quantity q)
{
	__int128 value = q.nano / NANO, rest = q.nano % NANO;

	return (int64_t)(value + (rest > 0) - (rest < 0));
}

static void write_suffixed(__int128 mantissa, const char *suffix,
			   char ret_text[COX_QUANTITY_TEXT_MAX])
{
	/* a mantissa in billionths may be wider than 64 bits: two halves of 18 digits */
	const __int128 half = (__int128)1000000000000000000;
	bool negative = mantissa < 0;

	if (negative)
		mantissa = -mantissa;
	long long high = (long long)(mantissa / half), low = (long long)(mantissa % half);

	if (high)
		snprintf(ret_text, COX_QUANTITY_TEXT_MAX, "%s%lld%018lld%s", negative ? "-" : "",
			 high, low, suffix);
	else
		snprintf(ret_text, COX_QUANTITY_TEXT_MAX, "%s%lld%s", negative ? "-" : "", low,
			 suffix);
}

static const char *suffix_of(int power, enum cox_quantity_format format)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (suffixes[i].power == power &&
		    (suffixes[i].format == format || suffixes[i].power == 0))
			return suffixes[i].text;
	return "";
}

static void write_binary(__int128 units, char ret_text[COX_QUANTITY_TEXT_MAX])
{
	int power = 0;

	while (power < 60 && units % 1024 == 0) {
		units /= 1024;
		power += 10;
	}
	write_suffixed(units, suffix_of(power, COX_QUANTITY_BINARY), ret_text);
}

void cox_quantity_write(struct cox_quantity q, char ret_text[COX_QUANTITY_TEXT_MAX])
{
	if (q.nano == 0) {
		write_suffixed(0, "", ret_text);
		return;
	}
	__int128 units = q.nano / NANO;

	if (q.format == COX_QUANTITY_BINARY && q.nano % NANO == 0 &&
	    (units >= 1024 || units <= -1024)) {
		write_binary(units, ret_text);
		return;
	}
	__int128 mantissa = q.nano;
	int power = -9;

	while (power < 18 && mantissa % 1000 == 0) {
		mantissa /= 1000;
		power += 3;
	}
	if (q.format == COX_QUANTITY_EXPONENT) {
		char exponent[16] = "";

		if (power != 0)
			snprintf(exponent, sizeof(exponent), "e%d", power);
		write_suffixed(mantissa, exponent, ret_text);
		return;
	}
	write_suffixed(mantissa, suffix_of(power, COX_QUANTITY_DECIMAL), ret_text);
}
