#include "common/kube/schema.h"

#include "common/base/map.h"
#include "common/kube/schema_table.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The registry: every struct of the table by name. Filled once, before any reader sees it. */
static struct {
	struct cox_arena arena;
	struct cox_map types; /* "core.v1.Container" -> struct cox_schema_type * */
	pthread_once_t once;
} registry = {.once = PTHREAD_ONCE_INIT};

static const struct cox_schema_type scalars[] = {
	[COX_SCHEMA_ANY] = {.kind = COX_SCHEMA_ANY},
	[COX_SCHEMA_STRING] = {.kind = COX_SCHEMA_STRING},
	[COX_SCHEMA_INT] = {.kind = COX_SCHEMA_INT},
	[COX_SCHEMA_NUMBER] = {.kind = COX_SCHEMA_NUMBER},
	[COX_SCHEMA_BOOL] = {.kind = COX_SCHEMA_BOOL},
	[COX_SCHEMA_TIME] = {.kind = COX_SCHEMA_TIME},
	[COX_SCHEMA_MICROTIME] = {.kind = COX_SCHEMA_MICROTIME},
	[COX_SCHEMA_QUANTITY] = {.kind = COX_SCHEMA_QUANTITY},
	[COX_SCHEMA_INT_OR_STRING] = {.kind = COX_SCHEMA_INT_OR_STRING},
	[COX_SCHEMA_BYTES] = {.kind = COX_SCHEMA_BYTES},
};

static const struct {
	char letter;
	enum cox_schema_kind kind;
} letters[] = {
	{'*', COX_SCHEMA_ANY},	     {'s', COX_SCHEMA_STRING},	 {'i', COX_SCHEMA_INT},
	{'n', COX_SCHEMA_NUMBER},    {'b', COX_SCHEMA_BOOL},	 {'t', COX_SCHEMA_TIME},
	{'u', COX_SCHEMA_MICROTIME}, {'q', COX_SCHEMA_QUANTITY}, {'x', COX_SCHEMA_INT_OR_STRING},
	{'d', COX_SCHEMA_BYTES},
};

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_';
}

static const char *scan_name(const char *p)
{
	while (is_name_char(*p))
		p++;
	return p;
}

/* The struct by that name; `package` ("core.v1") qualifies a bare one. */
static const struct cox_schema_type *named_in(const char *package, struct cox_str name)
{
	char full[128];

	if (memchr(name.ptr, '.', name.len))
		snprintf(full, sizeof(full), "%.*s", COX_STR_ARG(name));
	else
		snprintf(full, sizeof(full), "%s.%.*s", package, COX_STR_ARG(name));
	const struct cox_schema_type *type = cox_map_get(&registry.types, full);
	if (!type)
		cox_bug(__FILE__, __LINE__, full);
	return type;
}

static const char *copy_name(const char *from, const char *to)
{
	return cox_arena_strndup(&registry.arena, from, (size_t)(to - from));
}

/* After "]": "set", or keys "a,b", then "~…". */
static const char *read_list_tail(const char *p, struct cox_schema_type *list)
{
	const char *keys[8];
	size_t n = 0;

	if (strncmp(p, "set", 3) == 0 && !is_name_char(p[3])) {
		list->list = COX_SCHEMA_LIST_SET;
		p += 3;
	} else {
		while (is_name_char(*p)) {
			const char *end = scan_name(p);
			COX_ASSERT(n < COX_ARRAY_LEN(keys));
			keys[n++] = copy_name(p, end);
			p = *end == ',' ? end + 1 : end;
		}
	}
	if (n) {
		const char **copy = cox_arena_alloc(&registry.arena, n * sizeof(*copy));
		memcpy(copy, keys, n * sizeof(*copy));
		list->list = COX_SCHEMA_LIST_MAP;
		list->keys = copy;
		list->n_keys = n;
		list->merges = true;
		list->merge_key = keys[0];
	}
	if (*p != '~')
		return p;
	p++;
	if (*p == '-') {
		list->merges = false;
		list->merge_key = NULL;
		return p + 1;
	}
	const char *end = scan_name(p);
	list->merges = true;
	list->merge_key = end > p ? copy_name(p, end) : NULL;
	return end;
}

static const char *read_type(const char *p, const char *package,
			     const struct cox_schema_type **ret_type)
{
	if (*p == '[' || *p == '{') {
		struct cox_schema_type *t = cox_arena_calloc(&registry.arena, sizeof(*t));
		char close = *p == '[' ? ']' : '}';
		t->kind = *p == '[' ? COX_SCHEMA_LIST : COX_SCHEMA_MAP;
		p = read_type(p + 1, package, &t->item);
		COX_ASSERT(*p == close);
		p++;
		if (t->kind == COX_SCHEMA_LIST) {
			p = read_list_tail(p, t);
		} else if (*p == '@') {
			t->atomic = true;
			p++;
		}
		*ret_type = t;
		return p;
	}
	if (!is_name_char(p[0]) || !is_name_char(p[1])) {
		for (size_t i = 0; i < COX_ARRAY_LEN(letters); i++)
			if (letters[i].letter == *p) {
				*ret_type = &scalars[letters[i].kind];
				return p + 1;
			}
		cox_bug(__FILE__, __LINE__, p);
	}
	const char *end = scan_name(p);
	*ret_type = named_in(package, cox_str_n(p, (size_t)(end - p)));
	return end;
}

static int compare_fields(const void *a, const void *b)
{
	return strcmp(((const struct cox_schema_field *)a)->name,
		      ((const struct cox_schema_field *)b)->name);
}

static void read_fields(struct cox_schema_type *type, const char *p, const char *package)
{
	size_t n = 0;

	for (const char *c = p; *c; c++)
		n += *c == ':';
	struct cox_schema_field *fields =
		cox_arena_calloc(&registry.arena, (n + 1) * sizeof(*fields));
	for (size_t i = 0; i < n; i++) {
		const char *colon = strchr(p, ':');
		fields[i].name = copy_name(p, colon);
		p = read_type(colon + 1, package, &fields[i].type);
		for (; *p && *p != ' '; p++) {
			const char *end = p;
			switch (*p) {
			case '!':
				fields[i].always = true;
				break;
			case '&':
				fields[i].retain_keys = true;
				break;
			case '%':
				fields[i].replace = true;
				break;
			case '=':
				end = p + 1 + strcspn(p + 1, " !&%");
				fields[i].def = copy_name(p + 1, end);
				p = end - 1;
				break;
			default:
				cox_bug(__FILE__, __LINE__, p);
			}
		}
		if (fields[i].retain_keys && fields[i].type->kind == COX_SCHEMA_LIST)
			((struct cox_schema_type *)fields[i].type)->retain_keys = true;
		while (*p == ' ')
			p++;
	}
	qsort(fields, n, sizeof(*fields), compare_fields);
	type->fields = fields;
	type->n_fields = n;
}

static const struct cox_schema_row *const tables[] = {cox_schema_rows_core, cox_schema_rows_groups};

static void registry_fill(void)
{
	for (size_t t = 0; t < COX_ARRAY_LEN(tables); t++)
		for (const struct cox_schema_row *row = tables[t]; row->name; row++) {
			size_t len = strlen(row->name);
			struct cox_schema_type *type =
				cox_arena_calloc(&registry.arena, sizeof(*type));
			type->kind = COX_SCHEMA_STRUCT;
			type->atomic = row->name[len - 1] == '@';
			type->name = copy_name(row->name, row->name + len - type->atomic);
			COX_ASSERT(!cox_map_set(&registry.types, type->name, type));
		}
	for (size_t t = 0; t < COX_ARRAY_LEN(tables); t++)
		for (const struct cox_schema_row *row = tables[t]; row->name; row++) {
			char package[64];
			size_t len = strcspn(row->name, "@");
			struct cox_schema_type *type =
				cox_map_get_str(&registry.types, cox_str_n(row->name, len));
			snprintf(package, sizeof(package), "%.*s",
				 (int)(strrchr(row->name, '.') - row->name), row->name);
			read_fields(type, row->fields, package);
		}
}

const struct cox_schema_type *cox_schema_named(const char *name)
{
	pthread_once(&registry.once, registry_fill);
	return cox_map_get(&registry.types, name);
}

const struct cox_schema_type *cox_schema_any(void)
{
	return &scalars[COX_SCHEMA_ANY];
}

const char *cox_schema_name_at(size_t i)
{
	pthread_once(&registry.once, registry_fill);
	return i < registry.types.n_used ? registry.types.entries[i].key : NULL;
}

const struct cox_schema_type *cox_schema_find(const char *group, const char *version,
					      const char *kind)
{
	char name[160];
	/* "rbac.authorization.k8s.io" is the package "rbac" */
	int package_len = (int)strcspn(group, ".");
	const char *package = group;

	if (!package_len) {
		package = "core";
		package_len = 4;
	}
	if (strchr(group, '.') && !cox_str_ends(cox_str(group), ".k8s.io"))
		return NULL;
	snprintf(name, sizeof(name), "%.*s.%s.%s", package_len, package, version, kind);
	const struct cox_schema_type *type = cox_schema_named(name);
	if (type)
		return type;
	snprintf(name, sizeof(name), "%.*s.", package_len, package);
	COX_MAP_EACH (&registry.types, e) {
		const char *dot = strrchr(e->key, '.');
		if (strncmp(e->key, name, strlen(name)) == 0 && cox_streq(dot + 1, kind))
			return e->value;
	}
	return NULL;
}

const struct cox_schema_field *cox_schema_field(const struct cox_schema_type *type,
						struct cox_str name)
{
	if (!type || type->kind != COX_SCHEMA_STRUCT)
		return NULL;
	size_t low = 0, high = type->n_fields;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = cox_str_compare(cox_str(type->fields[mid].name), name);
		if (order == 0)
			return &type->fields[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct cox_schema_type *cox_schema_child(const struct cox_schema_type *type,
					       struct cox_str name)
{
	const struct cox_schema_field *field = cox_schema_field(type, name);

	if (field)
		return field->type;
	if (type && type->item && (type->kind == COX_SCHEMA_MAP || type->kind == COX_SCHEMA_STRUCT))
		return type->item;
	return cox_schema_any();
}

/* ---- custom resources ---- */

static const struct cox_schema_type *of_openapi(struct cox_arena *arena, const struct cox_node *s);

static void openapi_list(struct cox_arena *arena, struct cox_schema_type *type,
			 const struct cox_node *s)
{
	const char *list_type = cox_node_cstr(COX_GET(s, "x-kubernetes-list-type"), "atomic");
	const struct cox_node *keys = COX_GET(s, "x-kubernetes-list-map-keys");

	type->kind = COX_SCHEMA_LIST;
	type->item = of_openapi(arena, COX_GET(s, "items"));
	if (cox_streq(list_type, "set")) {
		type->list = COX_SCHEMA_LIST_SET;
	} else if (cox_streq(list_type, "map") && cox_node_len(keys)) {
		const char **copy = cox_arena_alloc(arena, cox_node_len(keys) * sizeof(*copy));
		for (size_t i = 0; i < cox_node_len(keys); i++)
			copy[i] = cox_node_cstr(cox_node_at(keys, i), "");
		type->list = COX_SCHEMA_LIST_MAP;
		type->keys = copy;
		type->n_keys = cox_node_len(keys);
	}
}

static void openapi_struct(struct cox_arena *arena, struct cox_schema_type *type,
			   const struct cox_node *s)
{
	const struct cox_node *properties = COX_GET(s, "properties");
	const struct cox_node *required = COX_GET(s, "required");
	size_t n = cox_node_len(properties);
	struct cox_schema_field *fields = cox_arena_calloc(arena, (n + 1) * sizeof(*fields));

	type->kind = COX_SCHEMA_STRUCT;
	for (size_t i = 0; i < n; i++) {
		struct cox_str key = cox_node_key(properties, i);
		const struct cox_node *property = cox_node_at(properties, i);
		fields[i].name = cox_arena_strndup(arena, key.ptr, key.len);
		fields[i].type = of_openapi(arena, property);
		fields[i].def_node = cox_node_get(property, "default");
		for (size_t r = 0; r < cox_node_len(required); r++)
			if (cox_str_eq(cox_node_str(cox_node_at(required, r)), key))
				fields[i].required = true;
	}
	qsort(fields, n, sizeof(*fields), compare_fields);
	type->fields = fields;
	type->n_fields = n;
}

static const struct cox_schema_type *of_openapi(struct cox_arena *arena, const struct cox_node *s)
{
	static const struct {
		const char *name;
		enum cox_schema_kind kind;
	} kinds[] = {{"string", COX_SCHEMA_STRING},
		     {"integer", COX_SCHEMA_INT},
		     {"number", COX_SCHEMA_NUMBER},
		     {"boolean", COX_SCHEMA_BOOL}};
	struct cox_schema_type *type = cox_arena_calloc(arena, sizeof(*type));
	const char *name = cox_node_cstr(COX_GET(s, "type"), "");
	const struct cox_node *values = COX_GET(s, "additionalProperties");

	type->openapi = s;
	type->nullable = cox_node_bool(COX_GET(s, "nullable"), false);
	type->open = cox_node_bool(COX_GET(s, "x-kubernetes-preserve-unknown-fields"), false);
	type->atomic = cox_streq(cox_node_cstr(COX_GET(s, "x-kubernetes-map-type"), ""), "atomic");
	if (cox_node_bool(COX_GET(s, "x-kubernetes-int-or-string"), false))
		type->kind = COX_SCHEMA_INT_OR_STRING;
	for (size_t i = 0; i < COX_ARRAY_LEN(kinds); i++)
		if (cox_streq(name, kinds[i].name))
			type->kind = kinds[i].kind;
	if (cox_streq(name, "array")) {
		openapi_list(arena, type, s);
	} else if (cox_streq(name, "object") && cox_node_is(values, COX_MAP)) {
		type->kind = COX_SCHEMA_MAP;
		type->item = of_openapi(arena, values);
	} else if (cox_streq(name, "object") && cox_node_bool(values, false)) {
		type->kind = COX_SCHEMA_MAP;
		type->item = cox_schema_any();
	} else if (cox_streq(name, "object")) {
		openapi_struct(arena, type, s);
	}
	return type;
}

const struct cox_schema_type *cox_schema_of_openapi(struct cox_arena *arena,
						    const struct cox_node *schema)
{
	static const char *const names[] = {"apiVersion", "kind", "metadata"};
	const struct cox_schema_type *base = of_openapi(arena, schema);
	struct cox_schema_type *type = cox_arena_calloc(arena, sizeof(*type));
	struct cox_schema_field *fields;
	size_t n = 0;

	*type = *base;
	type->open = base->kind != COX_SCHEMA_STRUCT || base->open;
	type->kind = COX_SCHEMA_STRUCT;
	type->item = NULL;
	fields = cox_arena_calloc(arena, (base->n_fields + 3) * sizeof(*fields));
	for (size_t i = 0; i < base->n_fields; i++)
		if (!cox_streq(base->fields[i].name, names[0]) &&
		    !cox_streq(base->fields[i].name, names[1]) &&
		    !cox_streq(base->fields[i].name, names[2]))
			fields[n++] = base->fields[i];
	fields[n++] =
		(struct cox_schema_field){.name = names[0], .type = &scalars[COX_SCHEMA_STRING]};
	fields[n++] =
		(struct cox_schema_field){.name = names[1], .type = &scalars[COX_SCHEMA_STRING]};
	fields[n++] = (struct cox_schema_field){
		.name = names[2], .type = cox_schema_named("meta.v1.ObjectMeta"), .always = true};
	qsort(fields, n, sizeof(*fields), compare_fields);
	type->fields = fields;
	type->n_fields = n;
	return type;
}
