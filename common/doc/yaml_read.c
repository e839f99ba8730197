#include "common/base/encode.h"
#include "common/base/limits.h"
#include "common/base/map.h"
#include "common/doc/internal.h"
#include "common/doc/yaml_scalar.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

/* A node that aliases may name, and what each of them adds. Nodes are shared, not copied: what
 * counts is what a writer or a walk would meet. */
struct anchor {
	const struct cox_node *node;
	size_t n_nodes, n_bytes;
	size_t height; /* levels of maps and lists; 0 for a scalar */
};

struct reader {
	yaml_parser_t parser;
	struct cox_str text;
	const char *name;
	struct cox_yaml_options max;
	struct cox_error *err;
	/* Of the document being read: */
	struct cox_doc *doc;
	size_t n_nodes, n_bytes, n_aliases, n_alias_bytes;
	struct cox_map anchor_of; /* name: index into anchors + 1 */
	COX_VEC(struct anchor) anchors;
	/* The open maps' entries and open lists' items, outer ones first. An entry out of a merge
	 * has column 0 until its map is closed. */
	COX_VEC(struct doc_entry) entries;
	COX_VEC(const struct cox_node *) items;
};

static void reader_fini(struct reader *r)
{
	yaml_parser_delete(&r->parser);
	cox_doc_unref(r->doc);
	cox_map_fini(&r->anchor_of);
	cox_vec_fini(&r->anchors);
	cox_vec_fini(&r->entries);
	cox_vec_fini(&r->items);
}

static void event_fini(yaml_event_t *event)
{
	yaml_event_delete(event);
}
#define _cleanup_event_ COX_CLEANUP(event_fini)

/* ---- failing ---- */

/* Always NULL. */
static void *fail_at(struct reader *r, size_t line, size_t column, const char *format, va_list args)
	__attribute__((format(printf, 4, 0), cold));
static void *fail_at(struct reader *r, size_t line, size_t column, const char *format, va_list args)
{
	char message[200];

	vsnprintf(message, sizeof(message), format, args);
	cox_error(r->err, COX_INVALID_ARGUMENT, "%s:%zu:%zu: %s", r->name, line + 1, column + 1,
		  message);
	return NULL;
}

static void *fail(struct reader *r, const yaml_mark_t *at, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));
static void *fail(struct reader *r, const yaml_mark_t *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_at(r, at->line, at->column, format, args);
	va_end(args);
	return NULL;
}

/* The same for an offset into the text. */
static void *fail_offset(struct reader *r, size_t offset, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));
static void *fail_offset(struct reader *r, size_t offset, const char *format, ...)
{
	size_t line = 0, column = 0;
	va_list args;

	for (size_t i = 0; i < offset && i < r->text.len; i++) {
		char c = r->text.ptr[i];

		if (c == '\n' ||
		    (c == '\r' && (i + 1 == r->text.len || r->text.ptr[i + 1] != '\n'))) {
			line++;
			column = 0;
		} else if (((unsigned char)c & 0xC0) != 0x80 && c != '\r') {
			column++;
		}
	}
	va_start(args, format);
	fail_at(r, line, column, format, args);
	va_end(args);
	return NULL;
}

/* libyaml's sentences, and ours that say what to do. A context of NULL is any. */
static const struct {
	const char *problem, *context, *ours;
	bool at_start; /* the place that helps is where the thing began */
} sentences[] = {
	{"mapping values are not allowed in this context", NULL,
	 "':' is not expected here: check the indentation, or quote a text that has ': ' in it"},
	{"did not find expected key", NULL, "expected a key at the map's indentation, or its end"},
	{"could not find expected ':'", NULL, "expected ':' after a key"},
	{"did not find expected '-' indicator", NULL,
	 "expected '-' at the list's indentation, or its end"},
	{"block sequence entries are not allowed in this context", NULL,
	 "'-' is not expected here: a list starts on a line of its own"},
	{"mapping keys are not allowed in this context", NULL, "a key is not expected here"},
	{"did not find expected ',' or ']'", NULL, "expected ',' or ']' in a list"},
	{"did not find expected ',' or '}'", NULL, "expected ',' or '}' in a map"},
	{"did not find expected node content", NULL, "expected a value"},
	{"did not find expected <document start>", NULL,
	 "expected the end of the document or '---'"},
	{"found unexpected end of stream", "while scanning a quoted scalar",
	 "quoted text without its closing quote", true},
	{"found unexpected document indicator", "while scanning a quoted scalar",
	 "quoted text without its closing quote", true},
	{"found a tab character where an indentation space is expected", NULL,
	 "tab used as indentation, use spaces"},
	{"found a tab character that violates indentation", NULL,
	 "tab used as indentation, use spaces"},
	{"found undefined tag handle", NULL, "tag with an unknown handle"},
	{"exceeded maximum nesting depth", NULL, "nested too deep"},
};

static size_t offset_of(const struct reader *r, const yaml_mark_t *at)
{
	size_t i = 0, line = 0, column = 0;

	for (; i < r->text.len && line < at->line; i++)
		if (r->text.ptr[i] == '\n' ||
		    (r->text.ptr[i] == '\r' &&
		     (i + 1 == r->text.len || r->text.ptr[i + 1] != '\n')))
			line++;
	for (; i < r->text.len && column < at->column; column++)
		for (i++; i < r->text.len && ((unsigned char)r->text.ptr[i] & 0xC0) == 0x80;)
			i++;
	return i;
}

static void *fail_token(struct reader *r, const yaml_mark_t *at)
{
	size_t i = offset_of(r, at);
	char c = i < r->text.len ? r->text.ptr[i] : '\0';

	if (c == '\t')
		return fail(r, at, "tab used as indentation, use spaces");
	return fail(r, at, "a text that starts with '%c' must be quoted", c);
}

/* Where a list or map in brackets began, when that is on another line. */
static const char *started_at(const yaml_parser_t *p, const char *sentence, char ret_text[64])
{
	if (!strstr(sentence, "expected ','") || p->context_mark.line == p->problem_mark.line)
		return "";
	snprintf(ret_text, 64, " that starts at line %zu", p->context_mark.line + 1);
	return ret_text;
}

static void *fail_parser(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem ? p->problem : "not YAML";
	char where[64];

	if (p->error == YAML_READER_ERROR)
		return fail_offset(r, p->problem_offset, "%s", problem);
	if (strcmp(problem, "found character that cannot start any token") == 0)
		return fail_token(r, &p->problem_mark);
	for (size_t i = 0; i < COX_ARRAY_LEN(sentences); i++) {
		if (strcmp(problem, sentences[i].problem) != 0 ||
		    (sentences[i].context &&
		     (!p->context || strcmp(p->context, sentences[i].context) != 0)))
			continue;
		return fail(r, sentences[i].at_start ? &p->context_mark : &p->problem_mark, "%s%s",
			    sentences[i].ours, started_at(p, sentences[i].ours, where));
	}
	if (p->context)
		return fail(r, &p->problem_mark, "%s %s", problem, p->context);
	return fail(r, &p->problem_mark, "%s", problem);
}

static bool next_event(struct reader *r, yaml_event_t *ret_event)
{
	if (yaml_parser_parse(&r->parser, ret_event))
		return true;
	COX_ASSERT(r->parser.error != YAML_MEMORY_ERROR);
	return fail_parser(r);
}

/* ---- nodes ---- */

static bool count(struct reader *r, const yaml_mark_t *at, size_t n_nodes, size_t n_bytes)
{
	r->n_nodes += n_nodes;
	r->n_bytes += n_bytes;
	if (r->n_nodes > r->max.max_nodes)
		return fail(r, at, "more than %zu values in one document", r->max.max_nodes);
	return true;
}

static struct cox_node *new_node(struct reader *r, enum cox_kind kind, const yaml_mark_t *at)
{
	if (!count(r, at, 1, 0))
		return NULL;
	return doc_node_at(r->doc, kind, (uint32_t)at->line + 1, at->column + 1);
}

#define TAG "tag:yaml.org,2002:"

/* The name of one of YAML's own tags, "" without a tag, NULL for a foreign one. */
static const char *tag_name(const yaml_char_t *tag)
{
	const char *text = (const char *)tag;

	if (!text)
		return "";
	return strncmp(text, TAG, strlen(TAG)) == 0 ? text + strlen(TAG) : NULL;
}

static void *fail_tag(struct reader *r, const yaml_mark_t *at, const yaml_char_t *tag,
		      const char *expected)
{
	return fail(r, at, "tag '%.80s' is not expected here, only %s", (const char *)tag,
		    expected);
}

static struct cox_node *set_scalar(struct reader *r, struct cox_node *node, struct cox_str text,
				   const struct doc_scalar *as)
{
	node->kind = (uint8_t)as->kind;
	switch (as->kind) {
	case COX_STRING:
		doc_set_text(r->doc, node, as->is_time ? cox_str_n(as->text, as->text_len) : text);
		break;
	case COX_INT:
		doc_set_int(r->doc, node, as->value);
		break;
	case COX_FLOAT:
		doc_set_number(r->doc, node, cox_str_n(as->text, as->text_len));
		break;
	default:
		node->body.number.value.i = as->value;
		break;
	}
	return node;
}

static struct cox_node *read_binary(struct reader *r, const yaml_event_t *event,
				    struct cox_node *node, struct cox_str text)
{
	_cleanup_buf_ struct cox_buf bytes = COX_BUF_INIT;

	if (cox_base64_decode(&bytes, text, NULL) < 0)
		return fail(r, &event->start_mark, "!!binary value is not base64");
	if (!cox_utf8_valid(cox_buf_str(&bytes), NULL))
		return fail(r, &event->start_mark,
			    "!!binary value is not UTF-8 text when decoded, JSON cannot hold it");
	node->kind = COX_STRING;
	doc_set_text(r->doc, node, cox_buf_str(&bytes));
	return node;
}

static struct cox_node *read_tagged(struct reader *r, const yaml_event_t *event,
				    struct cox_node *node, struct cox_str text)
{
	static const struct {
		const char *name;
		enum cox_kind kind, also;
	} tags[] = {
		{"int", COX_INT, COX_INT},
		{"float", COX_FLOAT, COX_INT},
		{"bool", COX_BOOL, COX_BOOL},
		{"null", COX_NULL, COX_NULL},
	};
	const char *name = tag_name(event->data.scalar.tag);
	struct doc_scalar as;

	if (name && strcmp(name, "binary") == 0)
		return read_binary(r, event, node, text);
	if (name && (strcmp(name, "str") == 0 || strcmp(name, "timestamp") == 0))
		return set_scalar(r, node, text, &(struct doc_scalar){.kind = COX_STRING});
	for (size_t i = 0; name && i < COX_ARRAY_LEN(tags); i++) {
		if (strcmp(name, tags[i].name) != 0)
			continue;
		doc_yaml_resolve(r->max.schema, text, &as);
		if (as.kind != tags[i].kind && as.kind != tags[i].also)
			return fail(r, &event->start_mark, "'%.*s' is not what its tag says, !!%s",
				    text.len > 60 ? 60 : (int)text.len, text.ptr, name);
		return set_scalar(r, node, text, &as);
	}
	return fail_tag(r, &event->start_mark, event->data.scalar.tag,
			"!!str, !!int, !!float, !!bool, !!null and !!binary");
}

static struct cox_node *read_scalar(struct reader *r, const yaml_event_t *event)
{
	struct cox_str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
	struct cox_node *node = new_node(r, COX_STRING, &event->start_mark);
	struct doc_scalar as = {.kind = COX_STRING};
	const char *tag = (const char *)event->data.scalar.tag;

	if (!node || !count(r, &event->start_mark, 0, text.len))
		return NULL;
	if (text.len > COX_LIMIT_SCALAR_BYTES)
		return fail(r, &event->start_mark, "text of %zu bytes, the limit is %d", text.len,
			    COX_LIMIT_SCALAR_BYTES);
	/* "!" alone: a string for go-yaml v2, as if it were not there for v3. */
	if (tag && strcmp(tag, "!") != 0)
		return read_tagged(r, event, node, text);
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    !(tag && r->max.schema == COX_YAML_KUBERNETES))
		doc_yaml_resolve(r->max.schema, text, &as);
	if (as.kind == COX_ABSENT)
		return fail(r, &event->start_mark,
			    "JSON has no number '%.*s', quote it if it is a text",
			    COX_STR_ARG(text));
	node = set_scalar(r, node, text, &as);
	if (r->max.keep_written && event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		node->style |= DOC_QUOTED;
	if (r->max.keep_written && (as.kind != COX_STRING || as.is_time) &&
	    !cox_str_eq(text, cox_node_text(node)))
		return doc_keep_written(r->doc, node, text);
	return node;
}

/* ---- anchors and aliases ---- */

static void remember(struct reader *r, const yaml_char_t *name, struct anchor anchor)
{
	if (!name)
		return;
	cox_vec_push(&r->anchors, anchor);
	cox_map_set(&r->anchor_of, (const char *)name, (void *)(uintptr_t)r->anchors.n);
}

static const struct cox_node *read_alias(struct reader *r, const yaml_event_t *event, size_t depth,
					 size_t *ret_height)
{
	const yaml_mark_t *at = &event->start_mark;
	const char *name = (const char *)event->data.alias.anchor;
	uintptr_t index = (uintptr_t)cox_map_get(&r->anchor_of, name);
	const struct anchor *a;

	if (!index)
		return fail(r, at, "no anchor '&%.80s' before this alias", name);
	a = &r->anchors.items[index - 1];
	if (r->n_aliases++ == r->max.max_aliases)
		return fail(r, at, "more than %zu aliases in one document", r->max.max_aliases);
	if (depth + a->height > r->max.max_depth)
		return fail(r, at, "nested deeper than %zu by this alias", r->max.max_depth);
	r->n_alias_bytes += a->n_bytes;
	if (r->n_alias_bytes > COX_LIMIT_YAML_ALIAS_BYTES)
		return fail(r, at, "aliases add more than %d bytes of text",
			    COX_LIMIT_YAML_ALIAS_BYTES);
	if (!count(r, at, a->n_nodes, a->n_bytes))
		return NULL;
	*ret_height = a->height;
	return a->node;
}

/* ---- maps and lists ---- */

static const struct cox_node *read_node(struct reader *r, const yaml_event_t *event, size_t depth,
					size_t *ret_height);

static const struct cox_node *read_next(struct reader *r, size_t depth, size_t *ret_height)
{
	_cleanup_event_ yaml_event_t event = {0};

	return next_event(r, &event) ? read_node(r, &event, depth, ret_height) : NULL;
}

/* The text that stands for a key in JSON. KUBERNETES: its value's, so `on:` is "true" and 0x10 is
 * "16"; KUSTOMIZE: what was written. */
static bool key_text(struct reader *r, const yaml_event_t *event, struct doc_scalar *as,
		     struct cox_str *ret_text)
{
	struct cox_str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
	const char *tag = tag_name(event->data.scalar.tag);

	*ret_text = text;
	if (text.len > COX_LIMIT_SCALAR_BYTES)
		return fail(r, &event->start_mark, "key of %zu bytes, the limit is %d", text.len,
			    COX_LIMIT_SCALAR_BYTES);
	if (!tag || (*tag && strcmp(tag, "str") != 0 && strcmp(tag, "int") != 0 &&
		     strcmp(tag, "bool") != 0 && strcmp(tag, "merge") != 0))
		return fail_tag(r, &event->start_mark, event->data.scalar.tag, "!!str for a key");
	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || strcmp(tag, "str") == 0)
		return true;
	doc_yaml_resolve(r->max.schema, text, as);
	if (as->kind == COX_NULL && text.len == 0)
		return fail(r, &event->start_mark, "a map's key is missing before ':'");
	if (as->kind == COX_NULL)
		return fail(r, &event->start_mark, "a map's key is null, quote it if it is a text");
	if (r->max.schema != COX_YAML_KUBERNETES)
		return true;
	if (as->kind == COX_BOOL)
		*ret_text = as->value ? COX_STR("true") : COX_STR("false");
	if (as->kind == COX_INT)
		as->text_len =
			(size_t)snprintf(as->text, sizeof(as->text), "%lld", (long long)as->value);
	if (as->kind == COX_INT || as->kind == COX_FLOAT)
		*ret_text = cox_str_n(as->text, as->text_len);
	return true;
}

static bool is_merge(const yaml_event_t *event)
{
	const yaml_char_t *tag = event->data.scalar.tag;

	if (event->type != YAML_SCALAR_EVENT || event->data.scalar.length != 2 ||
	    memcmp(event->data.scalar.value, "<<", 2) != 0)
		return false;
	return tag ? strcmp((const char *)tag, TAG "merge") == 0
		   : event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool merge_map(struct reader *r, const yaml_event_t *event, const struct cox_node *map)
{
	if (map->kind != COX_MAP)
		return fail(r, &event->start_mark,
			    "'<<' merges a map or a list of maps, not a value of type %s",
			    cox_kind_name((enum cox_kind)map->kind));
	for (uint32_t i = 0; i < map->len; i++) {
		struct doc_entry e = map->body.map.entries[i];

		e.column = 0;
		cox_vec_push(&r->entries, e);
	}
	return true;
}

/* Of several maps the earlier ones win, so they are put last. */
static bool read_merge(struct reader *r, const yaml_event_t *event, size_t depth,
		       size_t *ret_height)
{
	const struct cox_node *value = read_next(r, depth, ret_height);

	if (!value)
		return false;
	if (value->kind != COX_LIST)
		return merge_map(r, event, value);
	for (uint32_t i = value->len; i > 0; i--)
		if (!merge_map(r, event, value->body.list.items[i - 1]))
			return false;
	return true;
}

/* A map as the key of another, both by braces: "{{". */
static bool is_template(const struct reader *r, const yaml_event_t *event)
{
	size_t at;

	if (event->type != YAML_MAPPING_START_EVENT)
		return false;
	at = offset_of(r, &event->start_mark);
	return at > 0 && at < r->text.len && r->text.ptr[at] == '{' && r->text.ptr[at - 1] == '{';
}

static bool read_entry(struct reader *r, const yaml_event_t *event, size_t depth,
		       size_t *ret_height)
{
	const yaml_mark_t *at = &event->start_mark;
	struct doc_scalar as;
	struct doc_entry e = {.line = (uint32_t)at->line + 1,
			      .column = at->column + 1 > UINT16_MAX ? UINT16_MAX
								    : (uint16_t)(at->column + 1)};
	struct cox_str text;

	if (event->type == YAML_ALIAS_EVENT) {
		const struct cox_node *key = read_alias(r, event, depth, ret_height);

		if (!key)
			return false;
		if (key->kind == COX_MAP || key->kind == COX_LIST || key->kind == COX_NULL)
			return fail(r, at, "a map's key must be a text or a number");
		text = cox_node_text(key);
	} else if (is_template(r, event)) {
		return fail(r, at,
			    "'{{' begins a template that was not rendered, or a text that "
			    "must be quoted");
	} else if (event->type != YAML_SCALAR_EVENT) {
		return fail(r, at, "a map's key must be a text or a number, this one is a %s",
			    event->type == YAML_MAPPING_START_EVENT ? "map" : "list");
	} else if (!key_text(r, event, &as, &text)) {
		return false;
	}
	if (!count(r, at, 0, text.len))
		return false;
	e.key = doc_intern(r->doc, text);
	e.len16 = (uint16_t)text.len;
	if (event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor) {
		struct cox_node *key = new_node(r, COX_STRING, at);

		if (!key)
			return false;
		doc_set_text(r->doc, key, text);
		remember(r, event->data.scalar.anchor,
			 (struct anchor){.node = key, .n_nodes = 1, .n_bytes = text.len});
	}
	e.value = read_next(r, depth, ret_height);
	if (!e.value)
		return false;
	cox_vec_push(&r->entries, e);
	return true;
}

static void *fail_duplicate(struct reader *r, const struct doc_entry *e)
{
	yaml_mark_t at = {.line = e->line - 1, .column = e->column - 1};

	return fail(r, &at, "duplicate key '%.*s'", e->key->len > 80 ? 80 : (int)e->key->len,
		    e->key->text);
}

/* Resolves the open map's entries from `first` on when some came out of merges. go-yaml v2, and so
 * KUBERNETES, takes them in order, whatever comes last wins; v3, and so KUSTOMIZE, lets the map's
 * own keys win. A key that the map itself has twice is a duplicate in both. */
static bool settle_merges(struct reader *r, size_t first)
{
	COX_CLEANUP(cox_map_fini) struct cox_map at = COX_MAP_INIT;
	size_t n = first;

	for (size_t i = first; i < r->entries.n; i++) {
		struct doc_entry e = r->entries.items[i], *there;
		uintptr_t place = (uintptr_t)cox_map_get_str(&at, doc_key_str(e.key));

		if (!place) {
			r->entries.items[n++] = e;
			cox_map_set_str(&at, doc_key_str(e.key), (void *)(uintptr_t)n);
			continue;
		}
		there = &r->entries.items[place - 1];
		if (e.column && there->column && !r->max.last_key_wins)
			return fail_duplicate(r, &e);
		if (e.column)
			*there = e;
		else if (!there->column || r->max.schema == COX_YAML_KUBERNETES)
			there->value = e.value;
	}
	r->entries.n = n;
	return true;
}

static struct cox_node *close_map(struct reader *r, struct cox_node *map, size_t first, bool merged)
{
	ptrdiff_t twice;

	if ((merged || r->max.last_key_wins) && !settle_merges(r, first))
		return NULL;
	twice = doc_map_fill(r->doc, map, r->entries.items + first, r->entries.n - first);
	if (twice >= 0)
		return fail_duplicate(r, &r->entries.items[first + (size_t)twice]);
	r->entries.n = first;
	return map;
}

static struct cox_node *read_map(struct reader *r, const yaml_event_t *start, size_t depth,
				 size_t *ret_height)
{
	const char *tag = tag_name(start->data.mapping_start.tag);
	struct cox_node *map = new_node(r, COX_MAP, &start->start_mark);
	size_t first = r->entries.n, height = 0;
	bool merged = false;

	if (!map)
		return NULL;
	if (!tag || (*tag && strcmp(tag, "map") != 0))
		return fail_tag(r, &start->start_mark, start->data.mapping_start.tag, "!!map");
	for (;;) {
		_cleanup_event_ yaml_event_t event = {0};
		size_t h = 0;

		if (!next_event(r, &event))
			return NULL;
		if (event.type == YAML_MAPPING_END_EVENT)
			break;
		if (is_merge(&event)) {
			merged = true;
			if (!read_merge(r, &event, depth + 1, &h))
				return NULL;
		} else if (!read_entry(r, &event, depth + 1, &h)) {
			return NULL;
		}
		height = h > height ? h : height;
	}
	*ret_height = height + 1;
	return close_map(r, map, first, merged);
}

static struct cox_node *read_list(struct reader *r, const yaml_event_t *start, size_t depth,
				  size_t *ret_height)
{
	const char *tag = tag_name(start->data.sequence_start.tag);
	struct cox_node *list = new_node(r, COX_LIST, &start->start_mark);
	size_t first = r->items.n, height = 0;

	if (!list)
		return NULL;
	if (!tag || (*tag && strcmp(tag, "seq") != 0))
		return fail_tag(r, &start->start_mark, start->data.sequence_start.tag, "!!seq");
	for (;;) {
		_cleanup_event_ yaml_event_t event = {0};
		const struct cox_node *item;
		size_t h = 0;

		if (!next_event(r, &event))
			return NULL;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			break;
		item = read_node(r, &event, depth + 1, &h);
		if (!item)
			return NULL;
		cox_vec_push(&r->items, item);
		height = h > height ? h : height;
	}
	doc_list_fill(r->doc, list, r->items.items + first, r->items.n - first);
	r->items.n = first;
	*ret_height = height + 1;
	return list;
}

static const struct cox_node *read_node(struct reader *r, const yaml_event_t *event, size_t depth,
					size_t *ret_height)
{
	size_t n_nodes = r->n_nodes, n_bytes = r->n_bytes;
	const struct cox_node *node;
	const yaml_char_t *anchor;

	*ret_height = 0;
	if (event->type == YAML_ALIAS_EVENT)
		return read_alias(r, event, depth, ret_height);
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		node = read_scalar(r, event);
	} else if (depth == r->max.max_depth) {
		return fail(r, &event->start_mark, "nested deeper than %zu", r->max.max_depth);
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		node = read_map(r, event, depth, ret_height);
	} else {
		anchor = event->data.sequence_start.anchor;
		node = read_list(r, event, depth, ret_height);
	}
	if (node)
		remember(r, anchor,
			 (struct anchor){node, r->n_nodes - n_nodes, r->n_bytes - n_bytes,
					 *ret_height});
	return node;
}

/* ---- documents ---- */

static bool read_document(struct reader *r, cox_docs *docs)
{
	_cleanup_event_ yaml_event_t end = {0};
	size_t height;

	r->doc = cox_doc_new(r->name);
	cox_doc_charge(r->doc, r->max.account);
	r->n_nodes = r->n_bytes = r->n_aliases = r->n_alias_bytes = 0;
	cox_map_clear(&r->anchor_of);
	cox_vec_clear(&r->anchors);
	cox_doc_set_root(r->doc, read_next(r, 0, &height));
	if (!cox_doc_root(r->doc) || !next_event(r, &end))
		return false;
	cox_doc_seal(r->doc);
	if (cox_node_is(cox_doc_root(r->doc), COX_NULL) && !r->max.keep_empty) {
		cox_doc_unref(TAKE(r->doc));
		return true;
	}
	cox_vec_push(docs, TAKE(r->doc));
	return true;
}

static bool read_stream(struct reader *r, cox_docs *docs)
{
	size_t n = 0;

	for (;;) {
		_cleanup_event_ yaml_event_t event = {0};

		if (!next_event(r, &event))
			return false;
		if (event.type == YAML_STREAM_END_EVENT)
			return true;
		if (event.type != YAML_DOCUMENT_START_EVENT)
			continue;
		if (n++ == r->max.max_documents)
			return fail(r, &event.start_mark, "more than %zu documents",
				    r->max.max_documents);
		if (!read_document(r, docs))
			return false;
	}
}

/* What libyaml would refuse without a position, or not at all. */
static bool check_bytes(struct reader *r)
{
	size_t bad;

	if (cox_str_starts(r->text, "\xEF\xBB\xBF"))
		r->text = cox_str_n(r->text.ptr + 3, r->text.len - 3);
	if (r->text.len > COX_LIMIT_DOC_TEXT_BYTES)
		return fail_offset(r, 0, "text of %zu bytes, the limit is %d", r->text.len,
				   COX_LIMIT_DOC_TEXT_BYTES);
	if (!cox_utf8_valid(r->text, &bad))
		return fail_offset(r, bad, "byte 0x%02x is not valid UTF-8",
				   (unsigned char)r->text.ptr[bad]);
	for (size_t i = 0; i < r->text.len; i++) {
		unsigned char c = (unsigned char)r->text.ptr[i];

		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F)
			return fail_offset(r, i,
					   "control character 0x%02x, write it as an escape "
					   "in double quotes",
					   c);
	}
	return true;
}

static size_t or_default(size_t value, size_t otherwise)
{
	return value ? value : otherwise;
}

int cox_yaml_read_all(struct cox_str text, const char *name, const struct cox_yaml_options *options,
		      cox_docs *ret_docs, struct cox_error *err)
{
	struct cox_yaml_options max = options ? *options : (struct cox_yaml_options){0};
	COX_CLEANUP(cox_docs_fini) cox_docs docs = {0};
	COX_CLEANUP(reader_fini)
	struct reader r = {.text = text, .name = name ? name : "document", .max = max, .err = err};

	r.max.max_depth = or_default(max.max_depth, COX_LIMIT_YAML_DEPTH);
	r.max.max_nodes = or_default(max.max_nodes, COX_LIMIT_DOC_NODES);
	r.max.max_aliases = or_default(max.max_aliases, COX_LIMIT_YAML_ALIASES);
	r.max.max_documents = or_default(max.max_documents, COX_LIMIT_APP_DOCS);
	if (r.max.max_depth > DOC_DEPTH_MAX)
		r.max.max_depth = DOC_DEPTH_MAX;
	cox_vec_reserve(&r.entries, 32);
	cox_vec_reserve(&r.items, 32);
	COX_ASSERT(yaml_parser_initialize(&r.parser));
	if (!check_bytes(&r))
		return -COX_INVALID_ARGUMENT;
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&r.parser, (const unsigned char *)(r.text.ptr ? r.text.ptr : ""), r.text.len);
	if (!read_stream(&r, &docs))
		return -COX_INVALID_ARGUMENT;
	cox_vec_reserve(ret_docs, ret_docs->n + docs.n);
	COX_VEC_EACH (&docs, doc)
		ret_docs->items[ret_docs->n++] = TAKE(*doc);
	return 0;
}

int cox_yaml_read(struct cox_str text, const char *name, const struct cox_yaml_options *options,
		  struct cox_doc **ret_doc, struct cox_error *err)
{
	_cleanup_docs_ cox_docs docs = {0};
	int r = cox_yaml_read_all(text, name, options, &docs, err);

	if (r < 0)
		return r;
	if (!docs.n)
		return cox_error(err, COX_INVALID_ARGUMENT, "%s: empty, expected a document",
				 name ? name : "document");
	if (docs.n > 1)
		return cox_node_error(err, docs.items[1], cox_doc_root(docs.items[1]),
				      "another document, expected only one");
	*ret_doc = TAKE(docs.items[0]);
	return 0;
}
