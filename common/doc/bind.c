#include "common/doc/bind.h"
#include "common/base/clock.h"
#include "common/base/suggest.h"
#include "common/doc/internal.h"
#include "common/doc/path.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

struct binder {
	const struct cox_doc *doc;
	unsigned flags;
	const char *prefix;
	struct cox_arena *arena;
	struct cox_error *err;
};

static int fail(const struct binder *b, const struct doc_path *path, const struct cox_node *node,
		const char *format, ...) __attribute__((format(printf, 4, 5), cold));
static int fail(const struct binder *b, const struct doc_path *path, const struct cox_node *node,
		const char *format, ...)
{
	_cleanup_buf_ struct cox_buf where = COX_BUF_INIT;
	char message[160];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	doc_path_write(&where, path);
	if (b->prefix && where.len)
		return cox_node_error(b->err, b->doc, node, "%s%s%s: %s", b->prefix,
				      where.ptr[0] == '[' ? "" : ".", where.ptr, message);
	if (b->prefix || where.len)
		return cox_node_error(b->err, b->doc, node, "%s: %s",
				      where.len ? where.ptr : b->prefix, message);
	return cox_node_error(b->err, b->doc, node, "%s", message);
}

static const char *a_kind(const struct cox_node *node)
{
	static const char *const names[] = {
		[COX_NULL] = "null",	    [COX_BOOL] = "a boolean",  [COX_INT] = "an integer",
		[COX_FLOAT] = "a fraction", [COX_STRING] = "a string", [COX_MAP] = "a map",
		[COX_LIST] = "a list",
	};

	return node ? names[node->kind] : "nothing";
}

static int expected(const struct binder *b, const struct doc_path *path,
		    const struct cox_node *node, const char *what)
{
	return fail(b, path, node, "expected %s, found %s", what, a_kind(node));
}

static int bind_map(const struct binder *b, const struct doc_path *path,
		    const struct cox_node *node, const struct cox_bind_table *table, void *to);

/* ---- one function a type; to: the member ---- */

typedef int bind_func(const struct binder *b, const struct doc_path *path,
		      const struct cox_node *node, const struct cox_bind_field *field, void *to);

static int check_text(const struct binder *b, const struct doc_path *path,
		      const struct cox_node *node, const struct cox_bind_field *field)
{
	struct cox_str text = cox_node_str(node);

	if (node->kind != COX_STRING)
		return expected(b, path, node, "a string");
	if (!text.len && (field->flags & COX_BIND_REQUIRED))
		return fail(b, path, node, "must not be empty");
	return 0;
}

static int bind_string(const struct binder *b, const struct doc_path *path,
		       const struct cox_node *node, const struct cox_bind_field *field, void *to)
{
	int r = check_text(b, path, node, field);

	if (r < 0)
		return r;
	if (memchr(doc_text(node), '\0', node->len))
		return fail(b, path, node, "text with a NUL inside");
	*(const char **)to = doc_text(node);
	return 0;
}

static int bind_str(const struct binder *b, const struct doc_path *path,
		    const struct cox_node *node, const struct cox_bind_field *field, void *to)
{
	int r = check_text(b, path, node, field);

	if (r < 0)
		return r;
	*(struct cox_str *)to = cox_node_str(node);
	return 0;
}

static int bind_bool(const struct binder *b, const struct doc_path *path,
		     const struct cox_node *node, const struct cox_bind_field *field, void *to)
{
	(void)field;
	if (node->kind != COX_BOOL)
		return expected(b, path, node, "true or false");
	*(bool *)to = cox_node_bool(node, false);
	return 0;
}

static int bind_int(const struct binder *b, const struct doc_path *path,
		    const struct cox_node *node, const struct cox_bind_field *field, void *to)
{
	int64_t value = cox_node_int(node, 0);

	if (node->kind != COX_INT)
		return expected(b, path, node, "an integer");
	if ((field->min || field->max) && value < field->min)
		return fail(b, path, node, "expected at least %lld", (long long)field->min);
	if (field->max && value > field->max)
		return fail(b, path, node, "expected at most %lld", (long long)field->max);
	*(int64_t *)to = value;
	return 0;
}

static int bind_double(const struct binder *b, const struct doc_path *path,
		       const struct cox_node *node, const struct cox_bind_field *field, void *to)
{
	(void)field;
	if (node->kind != COX_INT && node->kind != COX_FLOAT)
		return expected(b, path, node, "a number");
	*(double *)to = cox_node_double(node, 0);
	return 0;
}

static int bind_duration(const struct binder *b, const struct doc_path *path,
			 const struct cox_node *node, const struct cox_bind_field *field, void *to)
{
	char least[COX_TIME_TEXT_MAX];
	struct cox_error why;
	int64_t value;

	if (node->kind != COX_STRING)
		return expected(b, path, node, "a duration like \"1m30s\"");
	if (cox_duration_parse(cox_node_str(node), &value, &why) < 0)
		return fail(b, path, node, "expected a duration like \"1m30s\", found '%.60s'",
			    doc_text(node));
	if ((field->min || field->max) && value < field->min) {
		cox_duration_format(field->min, least);
		return fail(b, path, node, "expected at least %s", least);
	}
	if (field->max && value > field->max) {
		cox_duration_format(field->max, least);
		return fail(b, path, node, "expected at most %s", least);
	}
	*(int64_t *)to = value;
	return 0;
}

static int bind_enum(const struct binder *b, const struct doc_path *path,
		     const struct cox_node *node, const struct cox_bind_field *field, void *to)
{
	_cleanup_buf_ struct cox_buf all = COX_BUF_INIT;
	struct cox_str text = cox_node_str(node);

	for (int i = 0; node->kind == COX_STRING && field->values[i]; i++) {
		if (cox_str_is(text, field->values[i])) {
			*(int *)to = i;
			return 0;
		}
	}
	for (int i = 0; field->values[i]; i++)
		cox_buf_printf(&all, "%s%s",
			       i == 0		      ? ""
			       : field->values[i + 1] ? ", "
						      : " or ",
			       field->values[i]);
	if (node->kind != COX_STRING)
		return expected(b, path, node, cox_buf_cstr(&all));
	return fail(b, path, node, "expected %s, found '%.40s'", cox_buf_cstr(&all), text.ptr);
}

static int bind_strings(const struct binder *b, const struct doc_path *path,
			const struct cox_node *node, const struct cox_bind_field *field, void *to)
{
	struct cox_bind_field item = {.type = COX_BIND_STRING};
	const char **items;

	if (node->kind != COX_LIST)
		return expected(b, path, node, "a list of strings");
	if (!node->len && (field->flags & COX_BIND_REQUIRED))
		return fail(b, path, node, "must not be empty");
	COX_ASSERT(b->arena);
	items = cox_arena_alloc(b->arena, node->len * sizeof(*items));
	if (!items)
		return fail(b, path, node, "too many items");
	for (uint32_t i = 0; i < node->len; i++) {
		struct doc_path step = {.parent = path, .index = i};
		int r = bind_string(b, &step, node->body.list.items[i], &item, &items[i]);

		if (r < 0)
			return r;
	}
	*(struct cox_bind_strings *)to = (struct cox_bind_strings){items, node->len};
	return 0;
}

static int bind_string_map(const struct binder *b, const struct doc_path *path,
			   const struct cox_node *node, const struct cox_bind_field *field,
			   void *to)
{
	(void)field;
	if (node->kind != COX_MAP)
		return expected(b, path, node, "a map of strings");
	for (uint32_t i = 0; i < node->len; i++) {
		const struct doc_entry *e = &node->body.map.entries[i];
		struct doc_path step = {.parent = path, .key = doc_key_str(e->key)};

		if (e->value->kind != COX_STRING)
			return expected(b, &step, e->value, "a string");
	}
	*(const struct cox_node **)to = node;
	return 0;
}

static int bind_node(const struct binder *b, const struct doc_path *path,
		     const struct cox_node *node, const struct cox_bind_field *field, void *to)
{
	if (field->type == COX_BIND_MAP && node->kind != COX_MAP)
		return expected(b, path, node, "a map");
	if (field->type == COX_BIND_LIST && node->kind != COX_LIST)
		return expected(b, path, node, "a list");
	if (field->type == COX_BIND_LIST && !node->len && (field->flags & COX_BIND_REQUIRED))
		return fail(b, path, node, "must not be empty");
	*(const struct cox_node **)to = node;
	return 0;
}

static int bind_object(const struct binder *b, const struct doc_path *path,
		       const struct cox_node *node, const struct cox_bind_field *field, void *to)
{
	return bind_map(b, path, node, field->table, to);
}

static int bind_objects(const struct binder *b, const struct doc_path *path,
			const struct cox_node *node, const struct cox_bind_field *field, void *to)
{
	char *items;

	if (node->kind != COX_LIST)
		return expected(b, path, node, "a list");
	if (!node->len && (field->flags & COX_BIND_REQUIRED))
		return fail(b, path, node, "must not be empty");
	COX_ASSERT(b->arena);
	items = cox_arena_calloc(b->arena, node->len * field->table->size);
	if (!items)
		return fail(b, path, node, "too many items");
	for (uint32_t i = 0; i < node->len; i++) {
		struct doc_path step = {.parent = path, .index = i};
		int r = bind_map(b, &step, node->body.list.items[i], field->table,
				 items + i * field->table->size);

		if (r < 0)
			return r;
	}
	*(struct cox_bind_objects *)to = (struct cox_bind_objects){items, node->len};
	return 0;
}

static const struct {
	bind_func *bind;
	size_t size; /* of the member; 0: the table's */
} types[] = {
	[COX_BIND_STRING] = {bind_string, sizeof(const char *)},
	[COX_BIND_STR] = {bind_str, sizeof(struct cox_str)},
	[COX_BIND_BOOL] = {bind_bool, sizeof(bool)},
	[COX_BIND_INT] = {bind_int, sizeof(int64_t)},
	[COX_BIND_DOUBLE] = {bind_double, sizeof(double)},
	[COX_BIND_DURATION] = {bind_duration, sizeof(int64_t)},
	[COX_BIND_ENUM] = {bind_enum, sizeof(int)},
	[COX_BIND_STRINGS] = {bind_strings, sizeof(struct cox_bind_strings)},
	[COX_BIND_STRING_MAP] = {bind_string_map, sizeof(void *)},
	[COX_BIND_NODE] = {bind_node, sizeof(void *)},
	[COX_BIND_MAP] = {bind_node, sizeof(void *)},
	[COX_BIND_LIST] = {bind_node, sizeof(void *)},
	[COX_BIND_OBJECT] = {bind_object, 0},
	[COX_BIND_OBJECTS] = {bind_objects, sizeof(struct cox_bind_objects)},
};

/* ---- keys ---- */

static bool same_without_case(struct cox_str a, const char *b)
{
	return a.len == strlen(b) && strncasecmp(a.ptr, b, a.len) == 0;
}

static const struct cox_node *find(const struct binder *b, const struct cox_node *map,
				   const char *name)
{
	const struct cox_node *value = cox_node_get(map, name);

	if (value || !(b->flags & COX_BIND_ANY_CASE))
		return value;
	for (uint32_t i = 0; i < map->len; i++)
		if (same_without_case(cox_node_key(map, i), name))
			return map->body.map.entries[i].value;
	return NULL;
}

static bool is_known(const struct binder *b, const struct cox_bind_table *table, struct cox_str key)
{
	for (size_t i = 0; i < table->n_fields; i++)
		if (cox_str_is(key, table->fields[i].name) ||
		    ((b->flags & COX_BIND_ANY_CASE) &&
		     same_without_case(key, table->fields[i].name)))
			return true;
	return false;
}

/* The field that was probably meant, or NULL. */
static const char *guess(const struct cox_bind_table *table, struct cox_str key)
{
	struct cox_suggestion near = {0};

	for (size_t i = 0; i < table->n_fields; i++)
		cox_suggest(&near, key, table->fields[i].name);
	return near.best;
}

static int refuse_unknown(const struct binder *b, const struct doc_path *path,
			  const struct cox_node *map, const struct cox_bind_table *table)
{
	for (uint32_t i = 0; i < map->len; i++) {
		const struct doc_entry *e = &map->body.map.entries[i];
		struct cox_str key = doc_key_str(e->key);
		struct doc_path step = {.parent = path, .key = key};
		struct cox_node at = {.line = e->line, .column = e->column};
		const char *meant;

		if (is_known(b, table, key))
			continue;
		meant = guess(table, key);
		if (meant)
			return fail(b, &step, &at, "unknown field, did you mean '%s'?", meant);
		return fail(b, &step, &at, "unknown field");
	}
	return 0;
}

/* ---- maps ---- */

static int bind_map(const struct binder *b, const struct doc_path *path,
		    const struct cox_node *node, const struct cox_bind_table *table, void *to)
{
	if (node->kind != COX_MAP)
		return expected(b, path, node, "a map");
	for (size_t i = 0; i < table->n_fields; i++) {
		const struct cox_bind_field *field = &table->fields[i];
		const struct cox_node *value;
		struct doc_path step = {.parent = path, .key = cox_str(field->name)};
		int r;

		if (field->flags & COX_BIND_IGNORED)
			continue;
		COX_ASSERT(field->size == (types[field->type].size ? types[field->type].size
								   : field->table->size));
		value = find(b, node, field->name);
		if (!value || value->kind == COX_NULL) {
			if (field->flags & COX_BIND_REQUIRED)
				return fail(b, &step, value ? value : node, "is required");
			continue;
		}
		r = types[field->type].bind(b, &step, value, field, (char *)to + field->offset);
		if (r < 0)
			return r;
		if (field->has)
			*(bool *)((char *)to + field->has) = true;
	}
	return b->flags & COX_BIND_STRICT ? refuse_unknown(b, path, node, table) : 0;
}

int cox_bind(const struct cox_doc *doc, const struct cox_node *node,
	     const struct cox_bind_table *table, unsigned flags, const char *path,
	     struct cox_arena *arena, void *ret_struct, struct cox_error *err)
{
	struct binder b = {.doc = doc, .flags = flags, .prefix = path, .arena = arena, .err = err};
	struct doc_path root = {0};
	_cleanup_free_ void *copy = NULL;
	int r;

	if (!node)
		return fail(&b, &root, NULL, "expected a map, found nothing");
	copy = cox_malloc(table->size);
	memcpy(copy, ret_struct, table->size);
	r = bind_map(&b, &root, node, table, copy);
	if (r == 0)
		memcpy(ret_struct, copy, table->size);
	return r;
}
