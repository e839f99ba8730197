#include "common/base/limits.h"
#include "common/doc/internal.h"
#include "common/doc/json.h"
#include "common/doc/out.h"

#include <stdarg.h>
#include <stdio.h>

struct reader {
	const char *p, *end;
	const char *line_start;
	uint32_t line;
	size_t n_nodes;
	struct cox_json_options max;
	struct cox_doc *doc;
	struct cox_error *err;
	struct cox_buf text; /* a string whose escapes are being resolved */
	/* The open maps' entries and open lists' items, outer ones first. */
	COX_VEC(struct doc_entry) entries;
	COX_VEC(const struct cox_node *) items;
};

static void reader_fini(struct reader *r)
{
	cox_buf_fini(&r->text);
	cox_vec_fini(&r->entries);
	cox_vec_fini(&r->items);
	cox_doc_unref(r->doc);
}

static size_t column(const struct reader *r, const char *at)
{
	return (size_t)(at - r->line_start) + 1;
}

/* Always NULL, so that a reader of values fails in one line. */
static void *fail(struct reader *r, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));
static void *fail(struct reader *r, const char *at, const char *format, ...)
{
	char message[160];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	cox_error(r->err, COX_INVALID_ARGUMENT, "%s:%u:%zu: %s", cox_doc_name(r->doc), r->line,
		  column(r, at), message);
	return NULL;
}

/* "expected X, found Y". */
static void *unexpected(struct reader *r, const char *expected)
{
	unsigned char c = r->p < r->end ? (unsigned char)*r->p : 0;

	if (r->p == r->end)
		return fail(r, r->p, "expected %s, found the end of the text", expected);
	if (c < 0x20 || c >= 0x7F)
		return fail(r, r->p, "expected %s, found byte 0x%02x", expected, c);
	return fail(r, r->p, "expected %s, found '%c'", expected, c);
}

static inline void skip_space(struct reader *r)
{
	for (; r->p < r->end; r->p++) {
		if (*r->p == '\n') {
			r->line++;
			r->line_start = r->p + 1;
		} else if (*r->p != ' ' && *r->p != '\t' && *r->p != '\r') {
			return;
		}
	}
}

/* ---- strings ---- */

static int hex4(const char *p, const char *end)
{
	int value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

static void put_utf8(struct cox_buf *out, uint32_t c)
{
	char b[4];

	if (c < 0x80) {
		cox_buf_putc(out, (char)c);
	} else if (c < 0x800) {
		b[0] = (char)(0xC0 | c >> 6);
		b[1] = (char)(0x80 | (c & 0x3F));
		cox_buf_add(out, b, 2);
	} else if (c < 0x10000) {
		b[0] = (char)(0xE0 | c >> 12);
		b[1] = (char)(0x80 | (c >> 6 & 0x3F));
		b[2] = (char)(0x80 | (c & 0x3F));
		cox_buf_add(out, b, 3);
	} else {
		b[0] = (char)(0xF0 | c >> 18);
		b[1] = (char)(0x80 | (c >> 12 & 0x3F));
		b[2] = (char)(0x80 | (c >> 6 & 0x3F));
		b[3] = (char)(0x80 | (c & 0x3F));
		cox_buf_add(out, b, 4);
	}
}

/* r->p is behind "\u"; a pair of surrogates is one character. */
static bool read_unicode(struct reader *r)
{
	int c = hex4(r->p, r->end), low;

	if (c < 0)
		return fail(r, r->p, "expected four hexadecimal digits after \\u");
	r->p += 4;
	if (c < 0xD800 || c > 0xDFFF) {
		put_utf8(&r->text, (uint32_t)c);
		return true;
	}
	if (c < 0xDC00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
		low = hex4(r->p + 2, r->end);
		if (low >= 0xDC00 && low <= 0xDFFF) {
			r->p += 6;
			put_utf8(&r->text, 0x10000U + ((uint32_t)(c - 0xD800) << 10) +
						   (uint32_t)(low - 0xDC00));
			return true;
		}
	}
	put_utf8(&r->text, 0xFFFD);
	return true;
}

/* r->p is at the backslash. */
static bool read_escape(struct reader *r)
{
	static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
	const char *at = r->p++;
	char c = r->p < r->end ? *r->p : '\0';

	if (c == 'u') {
		r->p++;
		return read_unicode(r);
	}
	for (const char *e = escapes; *e && c; e += 2) {
		if (*e == c) {
			cox_buf_putc(&r->text, e[1]);
			r->p++;
			return true;
		}
	}
	return fail(r, at,
		    "unknown escape in a string, expected one of \\\" \\\\ \\/ \\b \\f \\n "
		    "\\r \\t \\u");
}

/* r->p is at the quote; the result lies in the input, or in r->text until the next call. */
static bool read_string(struct reader *r, struct cox_str *ret_text)
{
	const char *at = r->p, *from = ++r->p;
	bool escaped = false;

	for (;; from = r->p) {
		r->p = out_next_special(r->p, r->end);
		if (r->p == r->end)
			return fail(r, at, "string without its closing quote");
		if (*r->p == '"' && !escaped)
			break;
		if ((unsigned char)*r->p < 0x20)
			return fail(r, r->p,
				    "control character 0x%02x in a string, write it as "
				    "an escape",
				    (unsigned char)*r->p);
		if (!escaped)
			cox_buf_clear(&r->text);
		escaped = true;
		cox_buf_add(&r->text, from, (size_t)(r->p - from));
		if (*r->p == '"')
			break;
		if (!read_escape(r))
			return false;
	}
	*ret_text = escaped ? cox_buf_str(&r->text) : cox_str_n(from, (size_t)(r->p - from));
	r->p++;
	if (ret_text->len > r->max.max_scalar)
		return fail(r, at, "string of %zu bytes, the limit is %zu", ret_text->len,
			    r->max.max_scalar);
	return true;
}

/* ---- values ---- */

static struct cox_node *new_node(struct reader *r, enum cox_kind kind, const char *at)
{
	if (r->n_nodes++ == r->max.max_nodes)
		return fail(r, at, "more than %zu values", r->max.max_nodes);
	return doc_node_at(r->doc, kind, r->line, column(r, at));
}

static struct cox_node *read_word(struct reader *r, const char *word, enum cox_kind kind,
				  bool value)
{
	size_t n = strlen(word);
	struct cox_node *node;

	if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
		return unexpected(r, "a value");
	node = new_node(r, kind, r->p);
	if (node)
		node->body.number.value.i = value;
	r->p += n;
	return node;
}

static struct cox_node *read_number(struct reader *r)
{
	const char *at = r->p;
	struct cox_str text;
	struct cox_node *node;

	while (r->p < r->end && ((*r->p >= '0' && *r->p <= '9') || *r->p == '-' || *r->p == '+' ||
				 *r->p == '.' || *r->p == 'e' || *r->p == 'E'))
		r->p++;
	text = cox_str_n(at, (size_t)(r->p - at));
	if (!doc_number_form(text))
		return fail(r, at, "'%.*s' is not a number of JSON",
			    text.len > 40 ? 40 : (int)text.len, at);
	if (text.len > r->max.max_scalar)
		return fail(r, at, "number of %zu bytes, the limit is %zu", text.len,
			    r->max.max_scalar);
	node = new_node(r, COX_FLOAT, at);
	if (!node)
		return NULL;
	if (!doc_set_number(r->doc, node, text))
		return fail(r, at, "number '%.*s' is out of range",
			    text.len > 40 ? 40 : (int)text.len, at);
	return node;
}

static struct cox_node *read_value(struct reader *r, size_t depth);

static struct cox_node *read_list(struct reader *r, size_t depth)
{
	struct cox_node *list = new_node(r, COX_LIST, r->p);
	size_t first = r->items.n;

	if (!list)
		return NULL;
	r->p++;
	skip_space(r);
	if (r->p < r->end && *r->p == ']') {
		r->p++;
		return list;
	}
	for (;; r->p++) {
		const struct cox_node *item = read_value(r, depth + 1);

		if (!item)
			return NULL;
		cox_vec_push(&r->items, item);
		skip_space(r);
		if (r->p == r->end || *r->p != ',')
			break;
	}
	if (r->p == r->end || *r->p != ']')
		return unexpected(r, "',' or ']' in a list");
	r->p++;
	doc_list_fill(r->doc, list, r->items.items + first, r->items.n - first);
	r->items.n = first;
	return list;
}

static bool read_entry(struct reader *r, size_t depth)
{
	struct doc_entry entry;
	struct cox_str text;

	skip_space(r);
	if (r->p == r->end || *r->p != '"')
		return unexpected(r, "a key in double quotes");
	entry.line = r->line;
	entry.column = column(r, r->p) > UINT16_MAX ? UINT16_MAX : (uint16_t)column(r, r->p);
	if (!read_string(r, &text))
		return false;
	entry.key = doc_intern(r->doc, text);
	entry.len16 = (uint16_t)text.len;
	skip_space(r);
	if (r->p == r->end || *r->p != ':')
		return unexpected(r, "':' after a key");
	r->p++;
	entry.value = read_value(r, depth + 1);
	if (!entry.value)
		return false;
	cox_vec_push(&r->entries, entry);
	return true;
}

static struct cox_node *close_map(struct reader *r, struct cox_node *map, size_t first)
{
	ptrdiff_t twice = doc_map_fill(r->doc, map, r->entries.items + first, r->entries.n - first);

	if (twice >= 0) {
		const struct doc_entry *e = &r->entries.items[first + (size_t)twice];

		cox_error(r->err, COX_INVALID_ARGUMENT, "%s:%u:%u: duplicate key '%.*s'",
			  cox_doc_name(r->doc), e->line, e->column,
			  e->key->len > 80 ? 80 : (int)e->key->len, e->key->text);
		return NULL;
	}
	r->entries.n = first;
	return map;
}

static struct cox_node *read_map(struct reader *r, size_t depth)
{
	struct cox_node *map = new_node(r, COX_MAP, r->p);
	size_t first = r->entries.n;

	if (!map)
		return NULL;
	r->p++;
	skip_space(r);
	if (r->p < r->end && *r->p == '}') {
		r->p++;
		return map;
	}
	for (;; r->p++) {
		if (!read_entry(r, depth))
			return NULL;
		skip_space(r);
		if (r->p == r->end || *r->p != ',')
			break;
	}
	if (r->p == r->end || *r->p != '}')
		return unexpected(r, "',' or '}' in a map");
	r->p++;
	return close_map(r, map, first);
}

static struct cox_node *read_string_value(struct reader *r)
{
	struct cox_node *node = new_node(r, COX_STRING, r->p);
	struct cox_str text;

	if (!node || !read_string(r, &text))
		return NULL;
	doc_set_text(r->doc, node, text);
	return node;
}

static struct cox_node *read_value(struct reader *r, size_t depth)
{
	skip_space(r);
	if (r->p == r->end)
		return unexpected(r, "a value");
	switch (*r->p) {
	case '{':
	case '[':
		if (depth == r->max.max_depth)
			return fail(r, r->p, "nested deeper than %zu", r->max.max_depth);
		return *r->p == '{' ? read_map(r, depth) : read_list(r, depth);
	case '"':
		return read_string_value(r);
	case 't':
		return read_word(r, "true", COX_BOOL, true);
	case 'f':
		return read_word(r, "false", COX_BOOL, false);
	case 'n':
		return read_word(r, "null", COX_NULL, false);
	default:
		if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9'))
			return read_number(r);
		return unexpected(r, "a value");
	}
}

static bool read_text(struct reader *r)
{
	size_t bad;

	if (!cox_utf8_valid(cox_str_n(r->p, (size_t)(r->end - r->p)), &bad)) {
		for (const char *p = r->p; p < r->p + bad; p++) {
			if (*p == '\n') {
				r->line++;
				r->line_start = p + 1;
			}
		}
		return fail(r, r->p + bad, "byte 0x%02x is not valid UTF-8",
			    (unsigned char)r->p[bad]);
	}
	if (r->end - r->p >= 3 && memcmp(r->p, "\xEF\xBB\xBF", 3) == 0)
		r->line_start = r->p += 3;
	cox_doc_set_root(r->doc, read_value(r, 0));
	if (!cox_doc_root(r->doc))
		return false;
	skip_space(r);
	if (r->p != r->end)
		return unexpected(r, "the end of the text");
	return true;
}

static size_t or_default(size_t value, size_t otherwise)
{
	return value ? value : otherwise;
}

int cox_json_read_with(struct cox_str text, const char *name,
		       const struct cox_json_options *options, struct cox_doc **ret_doc,
		       struct cox_error *err)
{
	struct cox_json_options max = options ? *options : (struct cox_json_options){0};
	COX_CLEANUP(reader_fini)
	struct reader r = {
		.p = text.ptr ? text.ptr : "", .err = err, .line = max.line ? max.line : 1};

	r.line_start = r.p;
	r.end = r.p + text.len;
	r.doc = cox_doc_new(name);
	cox_vec_reserve(&r.entries, 32);
	cox_vec_reserve(&r.items, 32);
	r.max = (struct cox_json_options){
		.max_depth = or_default(max.max_depth, COX_LIMIT_JSON_DEPTH),
		.max_nodes = or_default(max.max_nodes, COX_LIMIT_DOC_NODES),
		.max_scalar = or_default(max.max_scalar, COX_LIMIT_SCALAR_BYTES),
		.max_bytes = or_default(max.max_bytes, COX_LIMIT_DOC_TEXT_BYTES),
	};
	if (r.max.max_depth > DOC_DEPTH_MAX)
		r.max.max_depth = DOC_DEPTH_MAX;
	if (text.len > r.max.max_bytes)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "%s: text of %zu bytes, the limit is %zu", cox_doc_name(r.doc),
				 text.len, r.max.max_bytes);
	if (!read_text(&r))
		return -COX_INVALID_ARGUMENT;
	*ret_doc = cox_doc_seal(TAKE(r.doc));
	return 0;
}

int cox_json_read(struct cox_str text, const char *name, struct cox_doc **ret_doc,
		  struct cox_error *err)
{
	return cox_json_read_with(text, name, NULL, ret_doc, err);
}
