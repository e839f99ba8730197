#include "common/text/semver.h"

#include "common/base/mem.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_identifier(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static bool take(struct cox_str *s, char c)
{
	if (s->len == 0 || s->ptr[0] != c)
		return false;
	s->ptr++;
	s->len--;
	return true;
}

/* Digits at the beginning of *s; false when there are none or they are too many. */
static bool take_number(struct cox_str *s, bool strict, uint64_t *ret_number)
{
	uint64_t number = 0;
	size_t n = 0;

	for (; n < s->len && is_digit(s->ptr[n]); n++)
		if (__builtin_mul_overflow(number, 10u, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(s->ptr[n] - '0'), &number))
			return false;
	if (n == 0 || (strict && n > 1 && s->ptr[0] == '0'))
		return false;
	s->ptr += n;
	s->len -= n;
	*ret_number = number;
	return true;
}

/* Identifiers divided by dots; a number among them has no leading zero when that matters. */
static bool are_identifiers(struct cox_str text, bool numbers_matter)
{
	struct cox_str rest = text, part;

	while (cox_str_split(&rest, '.', &part)) {
		bool number = true;

		if (part.len == 0)
			return false;
		for (size_t i = 0; i < part.len; i++) {
			if (!is_identifier(part.ptr[i]))
				return false;
			number = number && is_digit(part.ptr[i]);
		}
		if (numbers_matter && number && part.len > 1 && part.ptr[0] == '0')
			return false;
	}
	return true;
}

static bool take_suffixes(struct cox_str s, struct cox_semver *v)
{
	v->pre = v->build = (struct cox_str){0};
	if (take(&s, '-')) {
		const char *plus = s.len ? memchr(s.ptr, '+', s.len) : NULL;

		v->pre = cox_str_n(s.ptr, plus ? (size_t)(plus - s.ptr) : s.len);
		s.ptr += v->pre.len;
		s.len -= v->pre.len;
		if (!are_identifiers(v->pre, true))
			return false;
	}
	if (take(&s, '+')) {
		v->build = s;
		return are_identifiers(s, false);
	}
	return s.len == 0;
}

static int parse(struct cox_str text, bool strict, struct cox_semver *ret_version,
		 struct cox_error *err)
{
	struct cox_semver v = {0};
	struct cox_str s = text;
	uint64_t *const rest[] = {&v.minor, &v.patch};
	bool fine;

	if (text.len > COX_LIMIT_SEMVER_BYTES)
		return cox_error(err, COX_INVALID_ARGUMENT, "version is longer than %d bytes",
				 COX_LIMIT_SEMVER_BYTES);
	if (!strict)
		take(&s, 'v');
	fine = take_number(&s, strict, &v.major);
	for (size_t i = 0; i < 2 && fine; i++) {
		if (take(&s, '.'))
			fine = take_number(&s, strict, rest[i]);
		else if (strict)
			fine = false;
		else
			break;
	}
	if (!fine || !take_suffixes(s, &v))
		return cox_error(err, COX_INVALID_ARGUMENT, "'%.*s' is not a semantic version",
				 COX_STR_ARG(text));
	*ret_version = v;
	return 0;
}

int cox_semver_parse(struct cox_str text, struct cox_semver *ret_version, struct cox_error *err)
{
	return parse(text, false, ret_version, err);
}

int cox_semver_parse_strict(struct cox_str text, struct cox_semver *ret_version,
			    struct cox_error *err)
{
	return parse(text, true, ret_version, err);
}

static int compare_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static bool all_digits(struct cox_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_digit(s.ptr[i]))
			return false;
	return s.len > 0;
}

/* Rule 11.4: numbers by value, before words; words by bytes. Numbers may be of any length. */
static int compare_identifier(struct cox_str a, struct cox_str b)
{
	bool a_number = all_digits(a), b_number = all_digits(b);

	if (a_number != b_number)
		return a_number ? -1 : 1;
	if (a_number && a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return cox_str_compare(a, b);
}

static int compare_prerelease(struct cox_str a, struct cox_str b)
{
	struct cox_str x, y;

	if (a.len == 0 || b.len == 0)
		return (a.len == 0) - (b.len == 0);
	for (;;) {
		bool more_a = cox_str_split(&a, '.', &x), more_b = cox_str_split(&b, '.', &y);
		int r;

		if (!more_a || !more_b)
			return more_a - more_b;
		r = compare_identifier(x, y);
		if (r)
			return r < 0 ? -1 : 1;
	}
}

int cox_semver_compare(const struct cox_semver *a, const struct cox_semver *b)
{
	int r = compare_number(a->major, b->major);

	if (r == 0)
		r = compare_number(a->minor, b->minor);
	if (r == 0)
		r = compare_number(a->patch, b->patch);
	return r ? r : compare_prerelease(a->pre, b->pre);
}
