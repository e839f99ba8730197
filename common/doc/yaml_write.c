#include "common/doc/internal.h"
#include "common/doc/yaml_go.h"
#include "common/doc/yaml_scalar.h"
#include "common/doc/yaml_text.h"

/* A key up to this long, quotes and escapes included, goes before its ':'; a longer one behind a
 * '?': YAML allows 1024 characters there (YAML 1.1, 7.8.1; libyaml's scanner). */
#define KEY_MAX 1000

struct writer {
	struct cox_buf *out;
	bool go;	  /* as Go's YAML writes: yaml_go.h */
	doc_sorted order; /* the open maps' entries, sorted; outer ones first */
};

/* ---- strings ---- */

enum style {
	STYLE_PLAIN,
	STYLE_SINGLE,
	STYLE_DOUBLE,
	STYLE_LITERAL,
};

/* What a text holds that decides on its style. */
struct traits {
	bool breaks;	 /* line feeds */
	bool unwritable; /* what only an escape can say */
	bool quotes;	 /* " or \, which double quotes would have to escape */
	bool special;	 /* an indicator where it would end or change a plain scalar */
};

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
		p += text_decode(p, &c);
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

static enum style style_of(struct cox_str text, bool is_key)
{
	struct traits t;

	if (text_is_simple(text))
		return doc_yaml_is_ambiguous(text) ? STYLE_DOUBLE : STYLE_PLAIN;
	t = look(text);
	if (t.unwritable)
		return STYLE_DOUBLE;
	if (t.breaks)
		return !is_key && suits_literal(text) ? STYLE_LITERAL : STYLE_DOUBLE;
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

size_t text_escape(struct cox_buf *out, uint32_t c)
{
	static const struct {
		uint16_t character;
		char letter;
	} shorts[] = {
		{0, '0'},     {'\a', 'a'}, {'\b', 'b'}, {'\t', 't'},   {'\n', 'n'},
		{'\v', 'v'},  {'\f', 'f'}, {'\r', 'r'}, {0x1B, 'e'},   {'"', '"'},
		{'\\', '\\'}, {0x85, 'N'}, {0xA0, '_'}, {0x2028, 'L'}, {0x2029, 'P'},
	};
	size_t before = out->len;

	for (size_t i = 0; i < COX_ARRAY_LEN(shorts); i++) {
		if (shorts[i].character == c) {
			out_put(out, (char[]){'\\', shorts[i].letter}, 2);
			return 2;
		}
	}
	if (c < 0x100)
		cox_buf_printf(out, "\\x%02X", c);
	else if (c < 0x10000)
		cox_buf_printf(out, "\\u%04X", c);
	else
		cox_buf_printf(out, "\\U%08X", c);
	return out->len - before;
}

static void write_double(struct cox_buf *out, struct cox_str text)
{
	const unsigned char *p = (const unsigned char *)text.ptr, *end = p + text.len;

	out_char(out, '"');
	while (p < end) {
		uint32_t c;
		size_t n = text_decode(p, &c);

		if (c == '"' || c == '\\' || c == '\t' || !is_printable(c))
			text_escape(out, c);
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
		text_indent(w->out, indent + 2);
		out_put(w->out, line.ptr, line.len);
	}
}

/* indent: the column of the map or list that the text is in. */
static void write_string(struct writer *w, struct cox_str text, size_t indent, bool is_key)
{
	if (w->go) {
		doc_go_string(w->out, text, indent, is_key);
		return;
	}
	switch (style_of(text, is_key)) {
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
	case COX_FLOAT:
		if (w->go) {
			doc_go_float(w->out, node);
			break;
		}
		/* fall through */
	default:
		text = cox_node_text(node);
		out_put(w->out, text.ptr, text.len);
		break;
	}
	out_char(w->out, '\n');
}

/* Behind "- ", or the ": " of a key that stands behind a '?'. */
static void write_behind(struct writer *w, const struct cox_node *value, size_t indent)
{
	if (!cox_node_len(value))
		write_scalar(w, value, indent);
	else if (value->kind == COX_MAP)
		write_map(w, value, indent + 2);
	else
		write_list(w, value, indent + 2);
}

/* false: nothing is written, the key is too long for a place before its ':'. */
static bool write_short_key(struct writer *w, struct cox_str key, size_t indent)
{
	size_t at = w->out->len;

	if (w->go && doc_go_is_long_key(key))
		return false;
	write_string(w, key, indent, true);
	if (w->out->len - at > KEY_MAX) {
		w->out->len = at;
		return false;
	}
	out_char(w->out, ':');
	return true;
}

static void write_entry(struct writer *w, const struct doc_entry *e, size_t indent)
{
	const struct cox_node *value = e->value;

	if (!write_short_key(w, doc_key_str(e->key), indent)) {
		out_put(w->out, "? ", 2);
		write_string(w, doc_key_str(e->key), indent, !w->go);
		out_char(w->out, '\n');
		text_indent(w->out, indent);
		out_put(w->out, ": ", 2);
		write_behind(w, value, indent);
		return;
	}
	if (!cox_node_len(value)) {
		out_char(w->out, ' ');
		write_scalar(w, value, indent);
		return;
	}
	out_char(w->out, '\n');
	if (value->kind == COX_MAP) {
		text_indent(w->out, indent + 2);
		write_map(w, value, indent + 2);
	} else {
		text_indent(w->out, indent);
		write_list(w, value, indent);
	}
}

/* The cursor is at the column `indent` of the first line; the last one ends with a line feed. */
static void write_map(struct writer *w, const struct cox_node *map, size_t indent)
{
	size_t first = w->go ? doc_go_sort_entries(map, &w->order) : 0;

	for (uint32_t i = 0; i < map->len; i++) {
		if (i)
			text_indent(w->out, indent);
		write_entry(w, w->go ? w->order.items[first + i] : &map->body.map.entries[i],
			    indent);
	}
	if (w->go)
		w->order.n = first;
}

static void write_list(struct writer *w, const struct cox_node *list, size_t indent)
{
	for (uint32_t i = 0; i < list->len; i++) {
		if (i)
			text_indent(w->out, indent);
		out_put(w->out, "- ", 2);
		write_behind(w, list->body.list.items[i], indent);
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
	write_all((struct writer){.out = out, .go = true}, node);
}
