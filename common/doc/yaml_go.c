#include "common/doc/yaml_go.h"
#include "common/doc/yaml_scalar.h"
#include "common/doc/yaml_text.h"

#include <stdio.h>

#define WIDTH	     80	 /* a line that is longer ends at its next space */
#define KEY_MAX	     128 /* bytes of a key before its ':' */
#define FLOAT_DIGITS 6	 /* before the point, of a number that is not written with an exponent */

enum style { PLAIN, SINGLE, DOUBLE, LITERAL };

/* ---- which style ---- */

/* What a text holds that decides on its style (libyaml's emitter, which go-yaml is a port of). */
struct traits {
	bool breaks, spaces;
	bool special;	  /* cannot stand plain: indicators, spaces at an end */
	bool unwritable;  /* only an escape can say it */
	bool not_literal; /* spaces at the end, or at that of a line */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

static bool starts_special(struct cox_str text)
{
	char c = text.ptr[0];

	if (strchr("#,[]{}&*!|>'\"%@` ", c))
		return true;
	if (c == '?' || c == ':')
		return text.len == 1 || is_blank(text.ptr[1]);
	if (c == '-' || c == '.')
		return (c == '-' && (text.len == 1 || is_blank(text.ptr[1]))) ||
		       cox_str_starts(text, "---") || cox_str_starts(text, "...");
	return false;
}

/* U+2028 and U+2029 are line breaks to some readers and none to others. */
static bool is_printable(uint32_t c)
{
	return (c >= 0x20 && c <= 0x7E) ||
	       (c >= 0xA0 && c <= 0xFFFD && c != 0xFEFF && c != 0x2028 && c != 0x2029);
}

static void look_at(const char *p, const char *begin, const char *end, struct traits *t)
{
	char before = p > begin ? p[-1] : '\n', after = p + 1 < end ? p[1] : '\n';

	switch (*p) {
	case ' ':
		t->spaces = true;
		t->not_literal = t->not_literal || after == '\n';
		break;
	case '\n':
		t->breaks = true;
		break;
	case ':':
		t->special = t->special || is_blank(after);
		break;
	case '#':
		t->special = t->special || is_blank(before);
		break;
	default:
		break;
	}
}

static struct traits look(struct cox_str text)
{
	const char *p = text.ptr, *end = p + text.len;
	struct traits t = {.special = starts_special(text) || end[-1] == ' '};

	while (p < end) {
		uint32_t c = (unsigned char)*p;

		look_at(p, text.ptr, end, &t);
		if (c >= 0x20 && c <= 0x7E) {
			p++;
			continue;
		}
		p += text_decode((const unsigned char *)p, &c);
		if (c != '\n' && !is_printable(c))
			t.unwritable = true;
	}
	return t;
}

/* Digits, then parts up to 59 behind colons, then perhaps a fraction: numbers to other readers. */
static bool is_base60(struct cox_str text)
{
	const char *p = text.ptr, *end = p + text.len;
	bool colon = false;

	if (p < end && (*p == '-' || *p == '+'))
		p++;
	if (p == end || *p < '0' || *p > '9')
		return false;
	while (p < end && ((*p >= '0' && *p <= '9') || *p == '_'))
		p++;
	while (p + 1 < end && *p == ':' && p[1] >= '0' && p[1] <= '9') {
		p += p + 2 < end && p[1] <= '5' && p[2] >= '0' && p[2] <= '9' ? 3 : 2;
		colon = true;
	}
	if (p < end && *p == '.')
		for (p++; p < end && ((*p >= '0' && *p <= '9') || *p == '_');)
			p++;
	return colon && p == end;
}

static enum style style_of(struct cox_str text, const struct traits *t, bool one_line)
{
	if (t->unwritable)
		return DOUBLE;
	if (t->breaks)
		return one_line || t->not_literal ? DOUBLE : LITERAL;
	if (doc_yaml_is_ambiguous(text) || is_base60(text) || (one_line && cox_str_is(text, "<<")))
		return DOUBLE;
	return t->special ? SINGLE : PLAIN;
}

/* ---- lines ---- */

struct line {
	struct cox_buf *out;
	size_t indent; /* of the lines that follow */
	size_t column; /* in characters */
	bool folds;
};

static size_t count_characters(const char *p, const char *end)
{
	size_t n = 0;

	for (; p < end; p++)
		n += ((unsigned char)*p & 0xC0) != 0x80;
	return n;
}

static struct line begin_line(struct cox_buf *out, size_t indent, bool folds)
{
	struct line l = {.out = out, .indent = indent + 2, .folds = folds};
	const char *start;

	if (!folds || !out->len)
		return l;
	start = memrchr(out->ptr, '\n', out->len);
	l.column = count_characters(start ? start + 1 : out->ptr, out->ptr + out->len);
	return l;
}

static void put(struct line *l, const char *p, size_t n, size_t columns)
{
	out_put(l->out, p, n);
	l->column += columns;
}

static void break_line(struct line *l)
{
	out_char(l->out, '\n');
	text_indent(l->out, l->indent);
	l->column = l->indent;
}

/* Whether a line may end at the space p: it is too long already, and the space stands alone. */
static bool may_end(const struct line *l, struct cox_str text, const char *p)
{
	return l->folds && l->column > WIDTH && p > text.ptr && p[-1] != ' ' &&
	       p + 1 < text.ptr + text.len;
}

static void write_plain(struct line *l, struct cox_str text, char quote)
{
	const char *p = text.ptr, *end = p + text.len;

	while (p < end) {
		uint32_t c;
		size_t n = text_decode((const unsigned char *)p, &c);

		if (c == ' ' && may_end(l, text, p) && p[1] != ' ')
			break_line(l);
		else
			put(l, p, n, 1);
		if (quote && c == (unsigned char)quote)
			put(l, p, 1, 1);
		p += n;
	}
}

static void write_single(struct line *l, struct cox_str text)
{
	put(l, "'", 1, 1);
	write_plain(l, text, '\'');
	put(l, "'", 1, 1);
}

static void write_double(struct line *l, struct cox_str text)
{
	const char *p = text.ptr, *end = p + text.len;
	bool all = cox_str_starts(text, "\xef\xbb\xbf"); /* behind this mark nothing is trusted */

	put(l, "\"", 1, 1);
	while (p < end) {
		uint32_t c;
		size_t n = text_decode((const unsigned char *)p, &c);

		if (all || c == '"' || c == '\\' || !is_printable(c)) {
			l->column += text_escape(l->out, c);
		} else if (c == ' ' && may_end(l, text, p)) {
			break_line(l);
			if (p[1] == ' ')
				put(l, "\\", 1, 1);
		} else {
			put(l, p, n, 1);
		}
		p += n;
	}
	put(l, "\"", 1, 1);
}

static void write_literal(struct cox_buf *out, struct cox_str text, size_t indent)
{
	bool ends = text.ptr[text.len - 1] == '\n';
	bool keeps = ends && (text.len == 1 || text.ptr[text.len - 2] == '\n');
	const char *p = text.ptr, *end = p + text.len - ends;

	out_char(out, '|');
	if (*p == ' ' || *p == '\n')
		out_char(out, '2');
	if (keeps || !ends)
		out_char(out, keeps ? '+' : '-');
	for (;;) {
		const char *feed = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
		size_t n = (size_t)((feed ? feed : end) - p);

		out_char(out, '\n');
		if (n)
			text_indent(out, indent);
		out_put(out, p, n);
		if (!feed)
			return;
		p = feed + 1;
	}
}

void doc_go_string(struct cox_buf *out, struct cox_str text, size_t indent, bool one_line)
{
	struct traits t;
	enum style style;
	struct line l;

	if (text_is_simple(text) && !doc_yaml_is_ambiguous(text)) {
		out_put(out, text.ptr, text.len);
		return;
	}
	if (!text.len) {
		out_put(out, "\"\"", 2);
		return;
	}
	t = look(text);
	style = style_of(text, &t, one_line);
	if (style == LITERAL) {
		write_literal(out, text, indent + 2);
		return;
	}
	l = begin_line(out, indent, t.spaces && !one_line);
	if (style == PLAIN && !l.folds)
		out_put(out, text.ptr, text.len);
	else if (style == PLAIN)
		write_plain(&l, text, '\0');
	else if (style == SINGLE)
		write_single(&l, text);
	else
		write_double(&l, text);
}

bool doc_go_is_long_key(struct cox_str key)
{
	return key.len > KEY_MAX || memchr(key.ptr, '\n', key.len) ||
	       memchr(key.ptr, '\r', key.len);
}

/* ---- numbers ---- */

void doc_go_float(struct cox_buf *out, const struct cox_node *number)
{
	struct cox_str text = cox_node_text(number);
	char digits[DOC_DOUBLE_TEXT], *e, *point;
	double value = cox_node_double(number, 0);
	int exponent;

	/* an integer of 64 bits without a sign */
	if (doc_number_form(text) == 1 && *text.ptr != '-' &&
	    (text.len < 20 || (text.len == 20 && strcmp(text.ptr, "18446744073709551615") <= 0))) {
		out_put(out, text.ptr, text.len);
		return;
	}
	doc_format_double(value, digits);
	point = strchr(digits, '.');
	e = strchr(digits, 'e');
	exponent = (int)((point ? point : digits + strlen(digits)) - digits) - 1 - (*digits == '-');
	if (!e && exponent < FLOAT_DIGITS && (value >= 1e-4 || value <= -1e-4)) {
		cox_buf_puts(out, digits);
		return;
	}
	for (int precision = 0; precision < 17; precision++) {
		snprintf(digits, sizeof(digits), "%.*e", precision, value);
		if (strtod(digits, NULL) == value)
			break;
	}
	cox_buf_puts(out, digits);
}

/* ---- the order of keys ---- */

/* Of what is no ASCII: the blocks of punctuation, arrows, symbols and pictures are no letters. */
static bool is_letter(uint32_t c)
{
	if (c < 0x80)
		return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
	return c >= 0xAA && (c < 0x2000 || c >= 0x2C00) && (c < 0x1F000 || c >= 0x20000) &&
	       c != 0xD7 && c != 0xF7;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number at p, as Go counts it: 64 bits that wrap. Returns its digits. */
static size_t read_number(const char *p, const char *end, uint64_t first, int64_t *ret)
{
	size_t n = 0;

	for (; p + n < end && is_digit(p[n]); n++)
		first = first * 10 + (uint64_t)(p[n] - '0');
	*ret = (int64_t)first;
	return n;
}

/* Numbers that differ at the i-th byte of both keys. */
static int compare_numbers(struct cox_str a, struct cox_str b, size_t i)
{
	uint64_t first = 0;
	size_t n_a, n_b;
	int64_t x, y;

	/* a zero inside a number is not one in front */
	if (a.ptr[i] == '0' || b.ptr[i] == '0')
		for (size_t j = i; j > 0 && is_digit(a.ptr[j - 1]) && !first; j--)
			first = a.ptr[j - 1] != '0';
	n_a = read_number(a.ptr + i, a.ptr + a.len, first, &x);
	n_b = read_number(b.ptr + i, b.ptr + b.len, first, &y);
	if (x != y)
		return x < y ? -1 : 1;
	return n_a == n_b ? 0 : n_a < n_b ? -1 : 1;
}

static int compare_keys(struct cox_str a, struct cox_str b)
{
	size_t n = a.len < b.len ? a.len : b.len, i = 0;
	uint32_t x, y;
	int order;

	while (i < n && a.ptr[i] == b.ptr[i])
		i++;
	if (i == n)
		return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
	while (i > 0 && ((unsigned char)a.ptr[i] & 0xC0) == 0x80)
		i--;
	text_decode((const unsigned char *)a.ptr + i, &x);
	text_decode((const unsigned char *)b.ptr + i, &y);
	if (is_letter(x) != is_letter(y))
		return is_letter(y) ? -1 : 1;
	order = is_letter(x) ? 0 : compare_numbers(a, b, i);
	return order ? order : x < y ? -1 : 1;
}

static int compare_entries(const void *a, const void *b)
{
	const struct doc_entry *x = *(const struct doc_entry *const *)a;
	const struct doc_entry *y = *(const struct doc_entry *const *)b;

	return compare_keys(doc_key_str(x->key), doc_key_str(y->key));
}

size_t doc_go_sort_entries(const struct cox_node *map, doc_sorted *scratch)
{
	return doc_sort_entries_by(map, scratch, compare_entries);
}
