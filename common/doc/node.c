#include "common/base/map.h"
#include "common/doc/internal.h"

#include <stdarg.h>
#include <stdio.h>

const char *cox_kind_name(enum cox_kind kind)
{
	static const char *const names[] = {
		[COX_ABSENT] = "absent", [COX_NULL] = "null",	 [COX_BOOL] = "boolean",
		[COX_INT] = "integer",	 [COX_FLOAT] = "number", [COX_STRING] = "string",
		[COX_MAP] = "map",	 [COX_LIST] = "list",
	};

	return (size_t)kind < COX_ARRAY_LEN(names) ? names[kind] : "absent";
}

enum cox_kind cox_node_kind(const struct cox_node *node)
{
	return node ? (enum cox_kind)node->kind : COX_ABSENT;
}

bool cox_node_bool(const struct cox_node *node, bool otherwise)
{
	return node && node->kind == COX_BOOL ? node->body.number.value.i != 0 : otherwise;
}

int64_t cox_node_int(const struct cox_node *node, int64_t otherwise)
{
	return node && node->kind == COX_INT ? node->body.number.value.i : otherwise;
}

double cox_node_double(const struct cox_node *node, double otherwise)
{
	if (node && node->kind == COX_INT)
		return (double)node->body.number.value.i;
	return node && node->kind == COX_FLOAT ? node->body.number.value.d : otherwise;
}

struct cox_str cox_node_str(const struct cox_node *node)
{
	if (!node || node->kind != COX_STRING)
		return COX_STR("");
	return (struct cox_str){doc_text(node), node->len};
}

const char *cox_node_cstr(const struct cox_node *node, const char *otherwise)
{
	return node && node->kind == COX_STRING ? doc_text(node) : otherwise;
}

struct cox_str cox_node_text(const struct cox_node *node)
{
	switch (cox_node_kind(node)) {
	case COX_NULL:
		return COX_STR("null");
	case COX_BOOL:
		return cox_node_bool(node, false) ? COX_STR("true") : COX_STR("false");
	case COX_INT:
	case COX_FLOAT:
	case COX_STRING:
		return (struct cox_str){doc_text(node), node->len};
	default:
		return COX_STR("");
	}
}

bool cox_node_quoted(const struct cox_node *node)
{
	return node && (node->style & DOC_QUOTED);
}

struct cox_str cox_node_written(const struct cox_node *node)
{
	const struct doc_written *w = (const struct doc_written *)node;

	return node && (node->style & DOC_WRITTEN) ? cox_str_n(w->text, w->len)
						   : cox_node_text(node);
}

size_t cox_node_len(const struct cox_node *node)
{
	return node && (node->kind == COX_MAP || node->kind == COX_LIST) ? node->len : 0;
}

const struct cox_node *cox_node_at(const struct cox_node *node, size_t i)
{
	if (i >= cox_node_len(node))
		return NULL;
	return node->kind == COX_MAP ? node->body.map.entries[i].value : node->body.list.items[i];
}

struct cox_str cox_node_key(const struct cox_node *map, size_t i)
{
	if (!map || map->kind != COX_MAP || i >= map->len)
		return COX_STR("");
	return doc_key_str(map->body.map.entries[i].key);
}

/* ---- finding a key ---- */

static inline uint32_t n_slots_of(size_t cap)
{
	size_t want = cap + cap / 2;

	return cap <= DOC_LINEAR ? 0 : 1U << (64 - __builtin_clzll(want));
}

size_t doc_map_bytes(size_t cap)
{
	return cap * sizeof(struct doc_entry) + n_slots_of(cap) * sizeof(uint32_t);
}

static ptrdiff_t find_linear(const struct cox_node *map, struct cox_str key)
{
	const struct doc_entry *e = map->body.map.entries;
	uint16_t len16 = (uint16_t)key.len;

	for (uint32_t i = 0; i < map->len; i++)
		if (e[i].len16 == len16 && e[i].key->len == key.len &&
		    memcmp(e[i].key->text, key.ptr, key.len) == 0)
			return i;
	return -1;
}

static ptrdiff_t find_indexed(const struct cox_node *map, struct cox_str key, uint32_t hash)
{
	const struct doc_entry *e = map->body.map.entries;
	const uint32_t *slots = (const uint32_t *)&e[map->body.map.cap];
	uint32_t mask = n_slots_of(map->body.map.cap) - 1;

	for (uint32_t s = hash & mask; slots[s]; s = (s + 1) & mask) {
		const struct doc_key *k = e[slots[s] - 1].key;

		if (k->hash == hash && k->len == key.len && memcmp(k->text, key.ptr, key.len) == 0)
			return slots[s] - 1;
	}
	return -1;
}

ptrdiff_t doc_map_find(const struct cox_node *map, const struct doc_key *key)
{
	if (map->body.map.cap > DOC_LINEAR)
		return find_indexed(map, doc_key_str(key), key->hash);
	return find_linear(map, doc_key_str(key));
}

ptrdiff_t cox_node_find(const struct cox_node *map, struct cox_str key)
{
	if (!map || map->kind != COX_MAP || !map->len)
		return -1;
	if (map->body.map.cap > DOC_LINEAR)
		return find_indexed(map, key, (uint32_t)cox_hash(key.ptr, key.len));
	return find_linear(map, key);
}

const struct cox_node *cox_node_get_str(const struct cox_node *map, struct cox_str key)
{
	ptrdiff_t i = cox_node_find(map, key);

	return i < 0 ? NULL : map->body.map.entries[i].value;
}

const struct cox_node *cox_node_get(const struct cox_node *map, const char *key)
{
	return cox_node_get_str(map, cox_str(key));
}

const struct cox_node *cox_node_walk(const struct cox_node *node, ...)
{
	const char *key;
	va_list keys;

	va_start(keys, node);
	while ((key = va_arg(keys, const char *)))
		node = cox_node_get(node, key);
	va_end(keys);
	return node;
}

ptrdiff_t doc_map_index(struct cox_node *map)
{
	struct doc_entry *e = map->body.map.entries;
	uint32_t n_slots = n_slots_of(map->body.map.cap), mask = n_slots - 1;
	uint32_t *slots = (uint32_t *)&e[map->body.map.cap];

	memset(slots, 0, n_slots * sizeof(*slots));
	for (uint32_t i = 0; i < map->len; i++) {
		uint32_t s = e[i].key->hash & mask;

		for (; slots[s]; s = (s + 1) & mask)
			if (doc_key_same(e[slots[s] - 1].key, e[i].key))
				return i;
		slots[s] = i + 1;
	}
	return -1;
}

void doc_map_index_last(struct cox_node *map)
{
	struct doc_entry *e = map->body.map.entries;
	uint32_t mask = n_slots_of(map->body.map.cap) - 1;
	uint32_t *slots = (uint32_t *)&e[map->body.map.cap];
	uint32_t s = e[map->len - 1].key->hash & mask;

	while (slots[s])
		s = (s + 1) & mask;
	slots[s] = map->len;
}

/* ---- positions ---- */

uint32_t cox_node_line(const struct cox_node *node)
{
	return node ? node->line : 0;
}

uint32_t cox_node_column(const struct cox_node *node)
{
	return node ? node->column : 0;
}

void cox_node_key_position(const struct cox_node *map, size_t i, uint32_t *ret_line,
			   uint32_t *ret_column)
{
	bool has = map && map->kind == COX_MAP && i < map->len;

	*ret_line = has ? map->body.map.entries[i].line : 0;
	*ret_column = has ? map->body.map.entries[i].column : 0;
}

int cox_node_error(struct cox_error *err, const struct cox_doc *doc, const struct cox_node *node,
		   const char *format, ...)
{
	char message[sizeof(err->message)];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (!cox_node_line(node))
		return cox_error(err, COX_INVALID_ARGUMENT, "%s: %s", cox_doc_name(doc), message);
	return cox_error(err, COX_INVALID_ARGUMENT, "%s:%u:%u: %s", cox_doc_name(doc), node->line,
			 node->column, message);
}

/* ---- equality ---- */

static bool equal_values(const struct cox_node *a, const struct cox_node *b)
{
	if (a->kind == COX_FLOAT)
		return a->body.number.value.d == b->body.number.value.d;
	return a->body.number.value.i == b->body.number.value.i;
}

static bool equal_lists(const struct cox_node *a, const struct cox_node *b)
{
	for (uint32_t i = 0; i < a->len; i++)
		if (!cox_node_equal(a->body.list.items[i], b->body.list.items[i]))
			return false;
	return true;
}

/* Mostly both have their keys in one order: each key is looked for in its own place first. */
static bool equal_maps(const struct cox_node *a, const struct cox_node *b)
{
	const struct doc_entry *ea = a->body.map.entries, *eb = b->body.map.entries;

	for (uint32_t i = 0; i < a->len; i++) {
		ptrdiff_t j = doc_key_same(ea[i].key, eb[i].key) ? (ptrdiff_t)i
								 : doc_map_find(b, ea[i].key);

		if (j < 0 || !cox_node_equal(ea[i].value, eb[j].value))
			return false;
	}
	return true;
}

size_t cox_node_height(const struct cox_node *node, size_t most)
{
	size_t deepest = 0;

	if (!cox_node_is(node, COX_MAP) && !cox_node_is(node, COX_LIST))
		return 0;
	for (size_t i = 0; i < node->len && deepest <= most; i++) {
		size_t h = most ? cox_node_height(cox_node_at(node, i), most - 1) : 1;

		deepest = h > deepest ? h : deepest;
	}
	return deepest + 1;
}

bool cox_node_equal(const struct cox_node *a, const struct cox_node *b)
{
	if (a == b)
		return true;
	if (!a || !b || a->kind != b->kind)
		return false;
	switch (a->kind) {
	case COX_NULL:
		return true;
	case COX_BOOL:
	case COX_INT:
	case COX_FLOAT:
		return equal_values(a, b);
	case COX_STRING:
		return a->len == b->len && memcmp(doc_text(a), doc_text(b), a->len) == 0;
	case COX_LIST:
		return a->len == b->len && equal_lists(a, b);
	default:
		return a->len == b->len && equal_maps(a, b);
	}
}
