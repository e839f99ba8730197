#include "common/doc/internal.h"
#include "common/doc/json.h"
#include "common/doc/out.h"

struct writer {
	struct cox_buf *out;
	bool sorted, pretty, go;
	doc_sorted order; /* the open maps' entries, sorted; outer ones first */
};

/* ---- strings ---- */

/* 0: as it is; 'u': \u00XX; another: a backslash and that. */
static const char escape_of[256] = {
	[0x00] = 'u', [0x01] = 'u', [0x02] = 'u', [0x03] = 'u',	 [0x04] = 'u', [0x05] = 'u',
	[0x06] = 'u', [0x07] = 'u', [0x08] = 'b', [0x09] = 't',	 [0x0A] = 'n', [0x0B] = 'u',
	[0x0C] = 'f', [0x0D] = 'r', [0x0E] = 'u', [0x0F] = 'u',	 [0x10] = 'u', [0x11] = 'u',
	[0x12] = 'u', [0x13] = 'u', [0x14] = 'u', [0x15] = 'u',	 [0x16] = 'u', [0x17] = 'u',
	[0x18] = 'u', [0x19] = 'u', [0x1A] = 'u', [0x1B] = 'u',	 [0x1C] = 'u', [0x1D] = 'u',
	[0x1E] = 'u', [0x1F] = 'u', ['"'] = '"',  ['\\'] = '\\',
};

static void put_escape(struct cox_buf *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char code = escape_of[c] ? escape_of[c] : 'u';
	char text[6] = {'\\', code, '0', '0', hex[c >> 4], hex[c & 15]};

	out_put(out, text, code == 'u' ? 6 : 2);
}

static void write_json_string(struct cox_buf *out, struct cox_str text)
{
	const char *from = text.ptr, *end = from + text.len, *p;
	char *to;

	for (; (p = out_next_special(from, end)) < end; from = p + 1) {
		if (from == text.ptr)
			out_char(out, '"');
		out_put(out, from, (size_t)(p - from));
		put_escape(out, (unsigned char)*p);
	}
	/* Mostly there is nothing to escape, and this is all: */
	to = out_room(out, (size_t)(end - from) + 2);
	if (from == text.ptr)
		*to++ = '"';
	memcpy(to, from, (size_t)(end - from));
	to += end - from;
	*to++ = '"';
	out->len = (size_t)(to - out->ptr);
}

void cox_json_write_string(struct cox_buf *out, struct cox_str text)
{
	write_json_string(out, text.ptr ? text : COX_STR(""));
	out_end(out);
}

/* Go escapes <, > and & for the sake of HTML, and the two separators that JavaScript takes for line
 * ends (https://pkg.go.dev/encoding/json#Marshal). */
static void write_go_string(struct cox_buf *out, struct cox_str text)
{
	const char *end = text.ptr + text.len;

	out_char(out, '"');
	for (const char *p = text.ptr; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		if (escape_of[c] || c == '<' || c == '>' || c == '&') {
			put_escape(out, c);
		} else if (c == 0xE2 && end - p >= 3 && (unsigned char)p[1] == 0x80 &&
			   ((unsigned char)p[2] & 0xFE) == 0xA8) {
			out_put(out, (unsigned char)p[2] & 1 ? "\\u2029" : "\\u2028", 6);
			p += 2;
		} else {
			out_char(out, *p);
		}
	}
	out_char(out, '"');
}

static void write_string(struct writer *w, struct cox_str text)
{
	if (w->go)
		write_go_string(w->out, text);
	else
		write_json_string(w->out, text);
}

/* ---- order ---- */

static int compare_entries(const void *a, const void *b)
{
	const struct doc_entry *x = *(const struct doc_entry *const *)a;
	const struct doc_entry *y = *(const struct doc_entry *const *)b;

	return cox_str_compare(doc_key_str(x->key), doc_key_str(y->key));
}

/* Maps are small, or sorted already: by insertion, which costs least for both. */
static inline void sort_small(const struct doc_entry **items, size_t n, doc_compare compare)
{
	for (size_t i = 1; i < n; i++) {
		const struct doc_entry *e = items[i];
		size_t j = i;

		for (; j > 0 && compare(&items[j - 1], &e) > 0; j--)
			items[j] = items[j - 1];
		items[j] = e;
	}
}

static inline size_t sort_by(const struct cox_node *map, doc_sorted *scratch, doc_compare compare)
{
	size_t first = scratch->n;

	if (!map->len)
		return first;
	cox_vec_reserve(scratch, first + map->len);
	for (uint32_t i = 0; i < map->len; i++)
		scratch->items[first + i] = &map->body.map.entries[i];
	scratch->n += map->len;
	if (map->len <= DOC_LINEAR)
		sort_small(scratch->items + first, map->len, compare);
	else
		qsort(scratch->items + first, map->len, sizeof(*scratch->items), compare);
	return first;
}

size_t doc_sort_entries(const struct cox_node *map, doc_sorted *scratch)
{
	return sort_by(map, scratch, compare_entries);
}

size_t doc_sort_entries_by(const struct cox_node *map, doc_sorted *scratch, doc_compare compare)
{
	return sort_by(map, scratch, compare);
}

/* ---- values ---- */

static void line(struct writer *w, size_t depth)
{
	if (!w->pretty)
		return;
	out_char(w->out, '\n');
	for (; depth; depth--)
		out_put(w->out, "  ", 2);
}

static void write_value(struct writer *w, const struct cox_node *node, size_t depth);

static void write_entry(struct writer *w, const struct doc_entry *e, size_t depth)
{
	line(w, depth);
	write_string(w, doc_key_str(e->key));
	out_put(w->out, ": ", w->pretty ? 2 : 1);
	write_value(w, e->value, depth);
}

static void write_map(struct writer *w, const struct cox_node *map, size_t depth)
{
	size_t first = w->sorted ? doc_sort_entries(map, &w->order) : 0;

	out_char(w->out, '{');
	for (uint32_t i = 0; i < map->len; i++) {
		if (i)
			out_char(w->out, ',');
		write_entry(w, w->sorted ? w->order.items[first + i] : &map->body.map.entries[i],
			    depth + 1);
	}
	if (w->sorted)
		w->order.n = first;
	if (map->len)
		line(w, depth);
	out_char(w->out, '}');
}

static void write_list(struct writer *w, const struct cox_node *list, size_t depth)
{
	out_char(w->out, '[');
	for (uint32_t i = 0; i < list->len; i++) {
		if (i)
			out_char(w->out, ',');
		line(w, depth + 1);
		write_value(w, list->body.list.items[i], depth + 1);
	}
	if (list->len)
		line(w, depth);
	out_char(w->out, ']');
}

static void write_value(struct writer *w, const struct cox_node *node, size_t depth)
{
	struct cox_str text;

	switch (cox_node_kind(node)) {
	case COX_MAP:
		write_map(w, node, depth);
		break;
	case COX_LIST:
		write_list(w, node, depth);
		break;
	case COX_STRING:
		write_string(w, cox_node_str(node));
		break;
	case COX_ABSENT:
		out_put(w->out, "null", 4);
		break;
	default:
		text = cox_node_text(node);
		out_put(w->out, text.ptr, text.len);
		break;
	}
}

static void write_all(struct writer w, const struct cox_node *node)
{
	write_value(&w, node, 0);
	out_end(w.out);
	cox_vec_fini(&w.order);
}

void cox_json_write(struct cox_buf *out, const struct cox_node *node)
{
	write_all((struct writer){.out = out}, node);
}

void cox_json_write_canonical(struct cox_buf *out, const struct cox_node *node)
{
	write_all((struct writer){.out = out, .sorted = true}, node);
}

void cox_json_write_go(struct cox_buf *out, const struct cox_node *node)
{
	write_all((struct writer){.out = out, .sorted = true, .go = true}, node);
}

void cox_json_write_pretty(struct cox_buf *out, const struct cox_node *node)
{
	write_all((struct writer){.out = out, .pretty = true}, node);
}
