#include "common/doc/internal.h"
#include "common/doc/out.h"
#include "common/doc/yaml_scalar.h"

/* A key up to this long, quotes and escapes included, goes before its ':'; a longer one behind a
 * '?': YAML allows 1024 characters there (YAML 1.1, 7.8.1; libyaml's scanner). */
#define KEY_MAX 1000

struct writer {
	struct cox_buf *out;
	bool sorted;
	doc_sorted order; /* the open maps' entries, sorted; outer ones first */
};

static void indent_by(struct writer *w, size_t n)
{
	static const char spaces[] = "                                                ";

	for (size_t part; n; n -= part) {
		part = n < sizeof(spaces) - 1 ? n : sizeof(spaces) - 1;
		out_put(w->out, spaces, part);
	}
}

/* ---- strings ---- */

enum style {
	STYLE_PLAIN,
	STYLE_SINGLE,
	STYLE_DOUBLE,
	STYLE_LITERAL,
};

/* Letters, digits, _ - . / : a text of these that starts with a letter or a slash is plain, unless it
 * is a word that resolves to something else. */
static bool is_simple(struct cox_str text)
{
	char c = text.len ? (char)(text.ptr[0] | 0x20) : '\0';

	if ((c < 'a' || c > 'z') && c != '/')
		return false;
	for (size_t i = 1; i < text.len; i++) {
		c = text.ptr[i];
		if ((c < 'a' || c > 'z') && (c < '-' || c > '9') && (c < 'A' || c > 'Z') &&
		    c != '_')
			return false;
	}
	return true;
}

/* What a text holds that decides on its style. */
struct traits {
	bool breaks;	 /* line feeds */
	bool unwritable; /* what only an escape can say */
	bool quotes;	 /* " or \, which double quotes would have to escape */
	bool special;	 /* an indicator where it would end or change a plain scalar */
};

/* The length of the UTF-8 sequence at p; *ret_character its code point. The text is valid. */
static size_t decode(const unsigned char *p, uint32_t *ret_character)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	uint32_t c = n == 1 ? p[0] : p[0] & (0xFFU >> (n + 1));

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3FU);
	*ret_character = c;
	return n;
}

/* YAML's printable characters (1.1, 5.1) without its line breaks and the byte order mark. */
static bool is_printable(uint32_t c)
{
	return c == '\t' || (c >= 0x20 && c <= 0x7E) ||
	       (c >= 0xA0 && c <= 0xFFFD && c != 0x2028 && c != 0x2029 && c != 0xFEFF) ||
	       c >= 0x10000;
}

static bool starts_special(struct cox_str text)
{
	char c = text.ptr[0];

	if (strchr("?:,[]{}#&*!|>'\"%@`= \t", c))
		return true;
	if (c == '-' || c == '.')
		return text.len == 1 || text.ptr[1] == ' ' || text.ptr[1] == '\t' ||
		       cox_str_starts(text, "---") || cox_str_starts(text, "...");
	return c == '<' && cox_str_is(text, "<<");
}

static struct traits look(struct cox_str text)
{
	const unsigned char *p = (const unsigned char *)text.ptr, *end = p + text.len;
	struct traits t = {.special = !text.len || starts_special(text) || end[-1] == ' ' ||
				      end[-1] == ':'};

	while (p < end) {
		uint32_t c;

		if (*p == '\n')
			t.breaks = true;
		else if (*p == '"' || *p == '\\')
			t.quotes = true;
		else if (*p == '\t' || (*p == '#' && (const char *)p > text.ptr && p[-1] == ' ') ||
			 (*p == ' ' && (const char *)p > text.ptr && p[-1] == ':'))
			t.special = true;
		if (*p >= 0x20 && *p <= 0x7E) {
			p++;
			continue;
		}
		p += decode(p, &c);
		if (c != '\n' && !is_printable(c))
			t.unwritable = true;
	}
	return t;
}

/* 12:30:45 and the like: numbers to base 60 for other readers of YAML 1.1. */
static bool is_base60(struct cox_str text)
{
	bool colon = false;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == ':')
			colon = true;
		else if ((c < '0' || c > '9') && c != '.' && c != '_' && c != '-' && c != '+')
			return false;
	}
	return colon;
}

/* A literal block can say it, and reads better than quotes. */
static bool suits_literal(struct cox_str text)
{
	return text.ptr[0] != '\n' && text.ptr[0] != ' ' && text.ptr[0] != '\t' &&
	       text.ptr[text.len - 1] != ' ' && text.ptr[text.len - 1] != '\t';
}

/* The form that Go's YAML quotes: digits, then parts up to 59 behind colons, then perhaps a fraction. */
static bool is_strict_base60(struct cox_str text)
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

/* As Go's YAML chooses: double quotes for what would be read as something else, single ones for what
 * cannot stand plain. */
static enum style go_style(struct cox_str text, const struct traits *t)
{
	if (!text.len || doc_yaml_is_ambiguous(text) || is_strict_base60(text))
		return STYLE_DOUBLE;
	return t->special ? STYLE_SINGLE : STYLE_PLAIN;
}

static enum style style_of(struct cox_str text, bool is_key, bool go)
{
	struct traits t;

	if (is_simple(text))
		return doc_yaml_is_ambiguous(text) ? STYLE_DOUBLE : STYLE_PLAIN;
	t = look(text);
	if (t.unwritable)
		return STYLE_DOUBLE;
	if (t.breaks)
		return !is_key && suits_literal(text) ? STYLE_LITERAL : STYLE_DOUBLE;
	if (go && !memchr(text.ptr, '\t', text.len))
		return go_style(text, &t);
	if (!t.special && !doc_yaml_is_ambiguous(text) && !is_base60(text))
		return STYLE_PLAIN;
	return t.quotes ? STYLE_SINGLE : STYLE_DOUBLE;
}

static void write_single(struct cox_buf *out, struct cox_str text)
{
	out_char(out, '\'');
	for (size_t i = 0; i < text.len; i++) {
		out_char(out, text.ptr[i]);
		if (text.ptr[i] == '\'')
			out_char(out, '\'');
	}
	out_char(out, '\'');
}

static void write_escape(struct cox_buf *out, uint32_t c)
{
	static const char shorts[] = "\0000\aa\bb\tt\nn\vv\ff\rr\x1b"
				     "e\"\"\\\\";

	for (size_t i = 0; i < sizeof(shorts) - 1; i += 2) {
		if ((uint32_t)shorts[i] == c) {
			out_put(out, (char[]){'\\', shorts[i + 1]}, 2);
			return;
		}
	}
	if (c < 0x100)
		cox_buf_printf(out, "\\x%02x", c);
	else
		cox_buf_printf(out, "\\u%04x", c);
}

static void write_double(struct cox_buf *out, struct cox_str text)
{
	const unsigned char *p = (const unsigned char *)text.ptr, *end = p + text.len;

	out_char(out, '"');
	while (p < end) {
		uint32_t c;
		size_t n = decode(p, &c);

		if (c == '"' || c == '\\' || c == '\t' || !is_printable(c))
			write_escape(out, c);
		else
			out_put(out, (const char *)p, n);
		p += n;
	}
	out_char(out, '"');
}

static void write_literal(struct writer *w, struct cox_str text, size_t indent)
{
	bool ends = text.ptr[text.len - 1] == '\n';
	bool keeps = ends && text.len > 1 && text.ptr[text.len - 2] == '\n';
	struct cox_str rest = {text.ptr, text.len - ends}, line;

	cox_buf_puts(w->out, keeps ? "|+" : ends ? "|" : "|-");
	while (cox_str_split(&rest, '\n', &line)) {
		out_char(w->out, '\n');
		if (!line.len)
			continue;
		indent_by(w, indent + 2);
		out_put(w->out, line.ptr, line.len);
	}
}

/* indent: the column of the map or list that the text is in. */
static void write_string(struct writer *w, struct cox_str text, size_t indent, bool is_key)
{
	switch (style_of(text, is_key, w->sorted)) {
	case STYLE_PLAIN:
		out_put(w->out, text.ptr, text.len);
		break;
	case STYLE_SINGLE:
		write_single(w->out, text);
		break;
	case STYLE_DOUBLE:
		write_double(w->out, text);
		break;
	case STYLE_LITERAL:
		write_literal(w, text, indent);
		break;
	}
}

/* ---- values ---- */

static void write_map(struct writer *w, const struct cox_node *map, size_t indent);
static void write_list(struct writer *w, const struct cox_node *list, size_t indent);

static void write_scalar(struct writer *w, const struct cox_node *node, size_t indent)
{
	struct cox_str text;

	switch (cox_node_kind(node)) {
	case COX_STRING:
		write_string(w, cox_node_str(node), indent, false);
		break;
	case COX_MAP:
		cox_buf_puts(w->out, "{}");
		break;
	case COX_LIST:
		cox_buf_puts(w->out, "[]");
		break;
	case COX_ABSENT:
		cox_buf_puts(w->out, "null");
		break;
	default:
		text = cox_node_text(node);
		out_put(w->out, text.ptr, text.len);
		break;
	}
	out_char(w->out, '\n');
}

static void write_key(struct writer *w, struct cox_str key, size_t indent)
{
	size_t at = w->out->len;

	write_string(w, key, indent, true);
	if (w->out->len - at > KEY_MAX) {
		w->out->len = at;
		cox_buf_puts(w->out, "? ");
		write_string(w, key, indent, true);
		out_char(w->out, '\n');
		indent_by(w, indent);
	}
	out_char(w->out, ':');
}

static void write_entry(struct writer *w, const struct doc_entry *e, size_t indent)
{
	const struct cox_node *value = e->value;

	write_key(w, doc_key_str(e->key), indent);
	if (!cox_node_len(value)) {
		out_char(w->out, ' ');
		write_scalar(w, value, indent);
		return;
	}
	out_char(w->out, '\n');
	if (value->kind == COX_MAP) {
		indent_by(w, indent + 2);
		write_map(w, value, indent + 2);
	} else {
		indent_by(w, indent);
		write_list(w, value, indent);
	}
}

/* The cursor is at the column `indent` of the first line; the last one ends with a line feed. */
static void write_map(struct writer *w, const struct cox_node *map, size_t indent)
{
	size_t first = w->sorted ? doc_sort_entries(map, &w->order) : 0;

	for (uint32_t i = 0; i < map->len; i++) {
		if (i)
			indent_by(w, indent);
		write_entry(w, w->sorted ? w->order.items[first + i] : &map->body.map.entries[i],
			    indent);
	}
	if (w->sorted)
		w->order.n = first;
}

static void write_list(struct writer *w, const struct cox_node *list, size_t indent)
{
	for (uint32_t i = 0; i < list->len; i++) {
		const struct cox_node *item = list->body.list.items[i];

		if (i)
			indent_by(w, indent);
		out_put(w->out, "- ", 2);
		if (!cox_node_len(item))
			write_scalar(w, item, indent);
		else if (item->kind == COX_MAP)
			write_map(w, item, indent + 2);
		else
			write_list(w, item, indent + 2);
	}
}

static void write_all(struct writer w, const struct cox_node *node)
{
	if (!cox_node_len(node))
		write_scalar(&w, node, 0);
	else if (node->kind == COX_MAP)
		write_map(&w, node, 0);
	else
		write_list(&w, node, 0);
	out_end(w.out);
	cox_vec_fini(&w.order);
}

void cox_yaml_write(struct cox_buf *out, const struct cox_node *node)
{
	write_all((struct writer){.out = out}, node);
}

void cox_yaml_write_sorted(struct cox_buf *out, const struct cox_node *node)
{
	write_all((struct writer){.out = out, .sorted = true}, node);
}
