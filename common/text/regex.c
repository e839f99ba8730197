#define PCRE2_CODE_UNIT_WIDTH 8
#include "common/text/regex.h"

#include "common/base/mem.h"

#include <pcre2.h>

#define MAX_REPEAT 1000 /* as in Go */

struct cox_regex {
	pcre2_code *code;
	pcre2_match_context *context;
	uint32_t n_groups;
	char *names[COX_LIMIT_REGEX_GROUPS]; /* by number */
};

/* ---- what RE2's language has no word for ---- */

static int refuse(struct cox_error *err, struct cox_str pattern, size_t at, const char *what)
{
	return cox_error(err, COX_INVALID_ARGUMENT, "bad regular expression '%.*s' at byte %zu: %s",
			 pattern.len > 100 ? 100 : (int)pattern.len, pattern.ptr, at, what);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The byte at i, or NUL past the end. */
static char at(struct cox_str s, size_t i)
{
	return i < s.len ? s.ptr[i] : '\0';
}

/* After a backslash, at i. */
static int check_escape(struct cox_str s, size_t i, bool in_class, struct cox_error *err)
{
	const char *letters = in_class ? "afnrtdDsSwWpPx" : "afnrtdDsSwWbBAzpPxQE";
	char c = at(s, i);

	if (i >= s.len)
		return refuse(err, s, i, "a '\\' at the end");
	if (is_digit(c) && c != '0')
		return refuse(err, s, i, "back references are not supported");
	if (is_alnum(c) && c != '0' && !strchr(letters, c))
		return refuse(err, s, i, "this escape is not supported");
	return 0;
}

/* After "(?", at i. */
static int check_group(struct cox_str s, size_t i, struct cox_error *err)
{
	if (at(s, i) == 'P' && at(s, i + 1) == '<')
		return 0;
	if (at(s, i) == '<' && at(s, i + 1) != '=' && at(s, i + 1) != '!')
		return 0;
	while (at(s, i) && strchr("imsU-", at(s, i)))
		i++;
	if (at(s, i) == ':' || at(s, i) == ')')
		return 0;
	return refuse(err, s, i, "this kind of group is not supported");
}

/* The length of "{n}", "{n,}" or "{n,m}" at i; 0 when it is just text. */
static size_t repeat_length(struct cox_str s, size_t i, unsigned *ret_count)
{
	size_t from = i++;
	unsigned low = 0, high = 0;

	if (!is_digit(at(s, i)))
		return 0;
	for (; is_digit(at(s, i)); i++)
		low = low < 100000 ? low * 10 + (unsigned)(at(s, i) - '0') : low;
	if (at(s, i) == ',')
		for (i++; is_digit(at(s, i)); i++)
			high = high < 100000 ? high * 10 + (unsigned)(at(s, i) - '0') : high;
	if (at(s, i) != '}')
		return 0;
	*ret_count = low > high ? low : high;
	return i + 1 - from;
}

/* The length of the quantifier at i, 0 when there is none. */
static int quantifier(struct cox_str s, size_t i, size_t *ret_length, struct cox_error *err)
{
	unsigned count = 0;
	size_t n = 0;

	if (at(s, i) == '*' || at(s, i) == '+' || at(s, i) == '?')
		n = 1;
	else if (at(s, i) == '{')
		n = repeat_length(s, i, &count);
	if (count > MAX_REPEAT)
		return refuse(err, s, i, "repeated more than 1000 times");
	if (n && at(s, i + n) == '+')
		return refuse(err, s, i + n, "possessive repetition is not supported");
	if (n && at(s, i + n) == '?')
		n++;
	*ret_length = n;
	return 0;
}

/* The end of the class whose '[' is at i. */
static int skip_class(struct cox_str s, size_t i, size_t *ret_end, struct cox_error *err)
{
	size_t from = i++;
	int r;

	if (at(s, i) == '^')
		i++;
	if (at(s, i) == ']')
		i++;
	for (; i < s.len; i++) {
		if (s.ptr[i] == ']') {
			*ret_end = i + 1;
			return 0;
		}
		if (s.ptr[i] == '[' && at(s, i + 1) == ':') {
			const char *end = memmem(s.ptr + i, s.len - i, ":]", 2);

			if (end)
				i = (size_t)(end - s.ptr) + 1;
		} else if (s.ptr[i] == '\\') {
			r = check_escape(s, ++i, true, err);
			if (r < 0)
				return r;
		}
	}
	return refuse(err, s, from, "'[' without ']'");
}

/* One element at i; *ret_end is behind it. */
static int check_element(struct cox_str s, size_t i, size_t *ret_end, struct cox_error *err)
{
	size_t n = 0;
	int r = 0;

	*ret_end = i + 1;
	if (s.ptr[i] == '\\' && at(s, i + 1) == 'Q') {
		const char *end = memmem(s.ptr + i, s.len - i, "\\E", 2);

		*ret_end = end ? (size_t)(end - s.ptr) + 2 : s.len;
		return 0;
	}
	if (s.ptr[i] == '\\') {
		*ret_end = i + 2;
		return check_escape(s, i + 1, false, err);
	}
	if (s.ptr[i] == '[')
		return skip_class(s, i, ret_end, err);
	if (s.ptr[i] == '(' && at(s, i + 1) == '*')
		return refuse(err, s, i, "verbs are not supported");
	if (s.ptr[i] == '(' && at(s, i + 1) == '?') {
		*ret_end = i + 2;
		return check_group(s, i + 2, err);
	}
	r = quantifier(s, i, &n, err);
	if (n)
		*ret_end = i + n;
	return r;
}

static int check_language(struct cox_str pattern, struct cox_error *err)
{
	for (size_t i = 0; i < pattern.len;) {
		int r = check_element(pattern, i, &i, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- PCRE2 ---- */

static pcre2_code *compile(struct cox_str pattern, unsigned flags, int *ret_error,
			   PCRE2_SIZE *ret_offset)
{
	uint32_t options =
		PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UCP;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	pcre2_code *code;

	COX_ASSERT(context);
	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	pcre2_set_parens_nest_limit(context, 64);
	if (flags & COX_REGEX_ANCHORED)
		options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
	if (flags & COX_REGEX_CASELESS)
		options |= PCRE2_CASELESS;
	code = pcre2_compile((PCRE2_SPTR)(pattern.len ? pattern.ptr : ""), pattern.len, options,
			     ret_error, ret_offset, context);
	pcre2_compile_context_free(context);
	return code;
}

static void take_names(struct cox_regex *regex)
{
	uint32_t n_names = 0, size = 0;
	PCRE2_SPTR entry = NULL;

	pcre2_pattern_info(regex->code, PCRE2_INFO_NAMECOUNT, &n_names);
	pcre2_pattern_info(regex->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
	pcre2_pattern_info(regex->code, PCRE2_INFO_NAMETABLE, &entry);
	for (uint32_t i = 0; i < n_names; i++, entry += size) {
		uint32_t group = (uint32_t)entry[0] << 8 | entry[1];

		if (group < COX_LIMIT_REGEX_GROUPS && !regex->names[group])
			regex->names[group] = cox_strdup((const char *)entry + 2);
	}
}

int cox_regex_compile(struct cox_str pattern, unsigned flags, struct cox_regex **ret_regex,
		      struct cox_error *err)
{
	COX_CLEANUP(cox_regex_free_p) struct cox_regex *regex = NULL;
	PCRE2_SIZE offset;
	int error, r;

	if (pattern.len > COX_LIMIT_REGEX_BYTES)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "the regular expression is longer than %d bytes; write a shorter "
				 "one, or several",
				 COX_LIMIT_REGEX_BYTES);
	r = check_language(pattern, err);
	if (r < 0)
		return r;
	regex = cox_new(struct cox_regex);
	regex->code = compile(pattern, flags, &error, &offset);
	if (!regex->code) {
		char text[128];

		pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof(text));
		return refuse(err, pattern, offset, text);
	}
	pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->n_groups);
	if (++regex->n_groups > COX_LIMIT_REGEX_GROUPS)
		return cox_error(
			err, COX_INVALID_ARGUMENT,
			"the regular expression has more than %d groups; write (?:...) for "
			"those that nobody asks for",
			COX_LIMIT_REGEX_GROUPS - 1);
	regex->context = pcre2_match_context_create(NULL);
	COX_ASSERT(regex->context);
	pcre2_set_match_limit(regex->context, COX_LIMIT_REGEX_STEPS);
	pcre2_set_depth_limit(regex->context, COX_LIMIT_REGEX_DEPTH);
	take_names(regex);
	*ret_regex = TAKE(regex);
	return 0;
}

static int match_error(int error, struct cox_error *err)
{
	char text[128];

	if (error == PCRE2_ERROR_MATCHLIMIT || error == PCRE2_ERROR_DEPTHLIMIT ||
	    error == PCRE2_ERROR_HEAPLIMIT)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "the regular expression takes more than %d steps on a text; write "
				 "a simpler one",
				 COX_LIMIT_REGEX_STEPS);
	pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof(text));
	return cox_error(err, COX_INVALID_ARGUMENT, "cannot match regular expression: %s", text);
}

int cox_regex_match(const struct cox_regex *regex, struct cox_str text, struct cox_str *groups,
		    size_t n_groups, struct cox_error *err)
{
	pcre2_match_data *data;
	PCRE2_SIZE *ends;
	int n;

	if (text.len > COX_LIMIT_REGEX_TEXT_BYTES)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "a text of more than %d bytes is not matched by regular "
				 "expressions",
				 COX_LIMIT_REGEX_TEXT_BYTES);
	data = pcre2_match_data_create_from_pattern(regex->code, NULL);
	COX_ASSERT(data);
	n = pcre2_match(regex->code, (PCRE2_SPTR)(text.len ? text.ptr : ""), text.len, 0, 0, data,
			regex->context);
	if (n < 0) {
		pcre2_match_data_free(data);
		return n == PCRE2_ERROR_NOMATCH ? 0 : match_error(n, err);
	}
	ends = pcre2_get_ovector_pointer(data);
	for (size_t i = 0; i < n_groups; i++) {
		bool there = i < (size_t)n && ends[2 * i] != PCRE2_UNSET;

		groups[i] = there ? cox_str_n((text.ptr ? text.ptr : "") + ends[2 * i],
					      ends[2 * i + 1] - ends[2 * i])
				  : (struct cox_str){0};
	}
	pcre2_match_data_free(data);
	return 1;
}

size_t cox_regex_n_groups(const struct cox_regex *regex)
{
	return regex->n_groups;
}

const char *cox_regex_group_name(const struct cox_regex *regex, size_t group)
{
	return group < COX_LIMIT_REGEX_GROUPS ? regex->names[group] : NULL;
}

void cox_regex_free(struct cox_regex *regex)
{
	if (!regex)
		return;
	for (size_t i = 0; i < COX_LIMIT_REGEX_GROUPS; i++)
		free(regex->names[i]);
	pcre2_match_context_free(regex->context);
	pcre2_code_free(regex->code);
	free(regex);
}

int cox_regex_matches(struct cox_str pattern, unsigned flags, struct cox_str text,
		      struct cox_error *err)
{
	COX_CLEANUP(cox_regex_free_p) struct cox_regex *regex = NULL;
	int r = cox_regex_compile(pattern, flags, &regex, err);

	return r < 0 ? r : cox_regex_match(regex, text, NULL, 0, err);
}
