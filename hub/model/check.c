#include "hub/model/check.h"

#include "common/base/clock.h"
#include "common/base/suggest.h"
#include "hub/model/gate_secret.h"
#include "hub/model/rules.h"
#include "hub/model/schema.h"

#include <stdarg.h>

/* ---- the path of the field that is looked at ---- */

size_t hub_path_push(struct hub_check *c, struct cox_str key)
{
	size_t mark = c->path.len;

	if (mark)
		cox_buf_putc(&c->path, '.');
	cox_buf_puts_str(&c->path, key);
	return mark;
}

size_t hub_path_push_index(struct hub_check *c, size_t i)
{
	size_t mark = c->path.len;

	cox_buf_printf(&c->path, "[%zu]", i);
	return mark;
}

void hub_path_pop(struct hub_check *c, size_t mark)
{
	c->path.len = mark;
	if (c->path.ptr)
		c->path.ptr[mark] = 0;
}

static void report(struct hub_check *c, enum hub_severity severity, uint32_t line, uint32_t column,
		   const char *format, va_list args)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	cox_buf_vprintf(&text, format, args);
	hub_problem_add_at(c->out, severity, cox_doc_name(c->doc), line, column, "%s%s%s",
			   cox_buf_cstr(&c->path), c->path.len ? ": " : "", cox_buf_cstr(&text));
}

void hub_check_error(struct hub_check *c, const struct cox_node *node, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(c, HUB_ERROR, cox_node_line(node), cox_node_column(node), format, args);
	va_end(args);
}

void hub_check_warning(struct hub_check *c, const struct cox_node *node, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(c, HUB_WARNING, cox_node_line(node), cox_node_column(node), format, args);
	va_end(args);
}

static void warn_at(struct hub_check *c, uint32_t line, uint32_t column, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static void warn_at(struct hub_check *c, uint32_t line, uint32_t column, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(c, HUB_WARNING, line, column, format, args);
	va_end(args);
}

/* ---- types ---- */

static const char *article(const char *noun)
{
	return strchr("aeiou", noun[0]) ? "an" : "a";
}

static bool expect(struct hub_check *c, const struct cox_node *node, enum cox_kind kind,
		   const char *hint)
{
	const char *wanted = cox_kind_name(kind), *got = cox_kind_name(cox_node_kind(node));

	if (cox_node_is(node, kind))
		return true;
	hub_check_error(c, node, "expected %s %s, got %s %s%s", article(wanted), wanted,
			article(got), got, hint);
	return false;
}

static bool is_scalar(const struct cox_node *node)
{
	enum cox_kind kind = cox_node_kind(node);

	return kind == COX_BOOL || kind == COX_INT || kind == COX_FLOAT;
}

static bool expect_string(struct hub_check *c, const struct cox_node *node)
{
	struct cox_str s = cox_node_str(node);

	if (!expect(c, node, COX_STRING, is_scalar(node) ? " (put it in quotes)" : ""))
		return false;
	if (memchr(s.ptr, 0, s.len)) {
		hub_check_error(c, node, "must not hold a NUL character");
		return false;
	}
	return true;
}

static void check_strings(struct hub_check *c, const struct cox_node *list)
{
	if (!expect(c, list, COX_LIST, ""))
		return;
	for (size_t i = 0; i < cox_node_len(list); i++) {
		size_t mark = hub_path_push_index(c, i);

		expect_string(c, cox_node_at(list, i));
		hub_path_pop(c, mark);
	}
}

static void check_string_map(struct hub_check *c, const struct cox_node *map)
{
	if (!expect(c, map, COX_MAP, ""))
		return;
	for (size_t i = 0; i < cox_node_len(map); i++) {
		size_t mark = hub_path_push(c, cox_node_key(map, i));

		expect_string(c, cox_node_at(map, i));
		hub_path_pop(c, mark);
	}
}

static bool is_templated(const struct hub_check *c, const struct cox_node *node)
{
	return c->in_template && strstr(cox_node_cstr(node, ""), "{{");
}

static void check_values(struct hub_check *c, const struct cox_node *node, const char *values)
{
	struct cox_str rest = cox_str(values), part;
	_cleanup_buf_ struct cox_buf list = COX_BUF_INIT;

	while (rest.len && cox_str_split(&rest, ',', &part))
		if (cox_str_eq(part, cox_node_str(node)))
			return;
	rest = cox_str(values);
	while (rest.len && cox_str_split(&rest, ',', &part))
		cox_buf_printf(&list, "%s%.*s", list.len ? ", " : "", COX_STR_ARG(part));
	hub_check_error(c, node, "'%s' is not one of %s", cox_node_cstr(node, ""),
			cox_buf_cstr(&list));
}

static void check_duration(struct hub_check *c, const struct cox_node *node)
{
	struct cox_error err;
	int64_t ms;

	if (!expect_string(c, node) || is_templated(c, node) || cox_node_str(node).len == 0)
		return;
	if (cox_duration_parse(cox_node_str(node), &ms, &err) < 0)
		hub_check_error(c, node, "%s", err.message);
	else if (ms < 0)
		hub_check_error(c, node, "must not be negative");
}

static void check_int_or_string(struct hub_check *c, const struct cox_node *node)
{
	if (!cox_node_is(node, COX_INT) && !cox_node_is(node, COX_STRING))
		hub_check_error(c, node, "expected an integer or a string, got %s %s",
				article(cox_kind_name(cox_node_kind(node))),
				cox_kind_name(cox_node_kind(node)));
}

static void check_objects(struct hub_check *c, const struct cox_node *list,
			  const struct hub_field *fields)
{
	if (!expect(c, list, COX_LIST, ""))
		return;
	for (size_t i = 0; i < cox_node_len(list); i++) {
		size_t mark = hub_path_push_index(c, i);

		hub_check_fields(c, cox_node_at(list, i), fields);
		hub_path_pop(c, mark);
	}
}

static void check_value(struct hub_check *c, const struct cox_node *node, const struct hub_field *f)
{
	switch (f->type) {
	case HUB_ANY:
		return;
	case HUB_STRING:
		if (expect_string(c, node) && f->values && cox_node_str(node).len &&
		    !is_templated(c, node))
			check_values(c, node, f->values);
		return;
	case HUB_BOOL:
		expect(c, node, COX_BOOL, "");
		return;
	case HUB_INT:
		expect(c, node, COX_INT, "");
		return;
	case HUB_INT_OR_STRING:
		check_int_or_string(c, node);
		return;
	case HUB_DURATION:
		check_duration(c, node);
		return;
	case HUB_STRINGS:
		check_strings(c, node);
		return;
	case HUB_STRING_MAP:
		check_string_map(c, node);
		return;
	case HUB_ANY_LIST:
		expect(c, node, COX_LIST, "");
		return;
	case HUB_ANY_MAP:
		expect(c, node, COX_MAP, "");
		return;
	case HUB_OBJECT:
		hub_check_fields(c, node, f->fields);
		return;
	case HUB_OBJECTS:
		check_objects(c, node, f->fields);
		return;
	}
}

/* ---- fields ---- */

static void check_unknown(struct hub_check *c, const struct cox_node *map, size_t i,
			  const struct hub_field *fields)
{
	struct cox_str key = cox_node_key(map, i);
	struct cox_suggestion near = {0};
	uint32_t line, column;

	for (const struct hub_field *f = fields; f->name; f++)
		if (cox_str_is(key, f->name))
			return;
	/* Distances are dear, and most fields are known. */
	for (const struct hub_field *f = fields; f->name; f++)
		cox_suggest(&near, key, f->name);
	cox_node_key_position(map, i, &line, &column);
	if (near.best)
		warn_at(c, line, column, "unknown field '%.*s', did you mean '%s'?",
			COX_STR_ARG(key), near.best);
	else
		warn_at(c, line, column, "unknown field '%.*s'", COX_STR_ARG(key));
}

static bool is_missing(const struct cox_node *node)
{
	enum cox_kind kind = cox_node_kind(node);

	return kind == COX_ABSENT || kind == COX_NULL ||
	       (kind == COX_STRING && cox_node_str(node).len == 0) ||
	       (kind == COX_LIST && cox_node_len(node) == 0);
}

static void check_field(struct hub_check *c, const struct cox_node *map, const struct hub_field *f)
{
	const struct cox_node *value = cox_node_get(map, f->name);
	size_t mark = hub_path_push(c, cox_str(f->name));
	bool was = c->in_template;

	if (f->flags & HUB_TEMPLATED)
		c->in_template = true;
	if ((f->flags & HUB_REQUIRED) && !c->in_template && is_missing(value))
		hub_check_error(c, value ? value : map,
				value ? "must not be empty" : "is required");
	else if (value && !cox_node_is(value, COX_NULL))
		check_value(c, value, f);
	c->in_template = was;
	hub_path_pop(c, mark);
}

void hub_check_fields(struct hub_check *c, const struct cox_node *map,
		      const struct hub_field *fields)
{
	if (!expect(c, map, COX_MAP, ""))
		return;
	for (size_t i = 0; i < cox_node_len(map); i++)
		check_unknown(c, map, i, fields);
	for (const struct hub_field *f = fields; f->name; f++)
		check_field(c, map, f);
}

/* ---- any Kubernetes object ---- */

static const struct hub_field kind_fields[] = {
	{.name = "apiVersion", .type = HUB_STRING, .flags = HUB_REQUIRED},
	{.name = "kind", .type = HUB_STRING, .flags = HUB_REQUIRED},
	{.name = "metadata",
	 .type = HUB_OBJECT,
	 .flags = HUB_REQUIRED,
	 .fields = hub_metadata_fields},
	{0},
};

static void check_any_object(struct hub_check *c, const struct cox_node *root)
{
	const struct cox_node *metadata = COX_GET(root, "metadata");

	if (!expect(c, root, COX_MAP, ""))
		return;
	for (const struct hub_field *f = kind_fields; f->name; f++)
		check_field(c, root, f);
	if (cox_node_is(metadata, COX_MAP) && is_missing(COX_GET(metadata, "name")) &&
	    is_missing(COX_GET(metadata, "generateName")))
		hub_check_error(c, metadata, "metadata.name: is required");
}

/* A kind of ours by name under another group or version is most likely a slip. */
static void check_api_version(struct hub_check *c, const struct cox_node *root)
{
	const char *name = cox_node_cstr(COX_GET(root, "kind"), "");
	const char *version = cox_node_cstr(COX_GET(root, "apiVersion"), "");

	for (int k = HUB_KIND_NONE + 1; k < HUB_SECRET; k++) {
		const struct hub_kind_info *info = hub_kind_info((enum hub_kind)k);
		const char *slash = strchr(version, '/');

		if (strcmp(info->name, name) != 0 || !slash ||
		    (size_t)(slash - version) != strlen(info->group) ||
		    strncmp(version, info->group, strlen(info->group)) != 0 ||
		    strcmp(version, info->api_version) == 0)
			continue;
		hub_check_error(c, COX_GET(root, "apiVersion"),
				"apiVersion: '%s' has no kind '%s'; use '%s'", version, name,
				info->api_version);
	}
}

/* A Secret that its author meant for the hub. */
static void check_secret_type(struct hub_check *c, const struct cox_node *root)
{
	const struct cox_node *label =
		COX_GET(root, "metadata", "labels", HUB_OUR_SECRET_TYPE_LABEL);

	if (label && cox_streq(cox_node_cstr(COX_GET(root, "kind"), ""), "Secret"))
		hub_check_warning(c, label,
				  "metadata.labels: " HUB_OUR_SECRET_TYPE_LABEL
				  ": '%s' is not " HUB_GATE_CREDENTIALS,
				  cox_node_cstr(label, ""));
}

static void check_object(struct hub_check *c, const struct cox_node *object)
{
	enum hub_kind kind = hub_kind_of(object);

	if (kind != HUB_KIND_NONE) {
		hub_check_fields(c, object, hub_schema(kind));
		hub_check_rules(c, kind, object);
	} else {
		check_any_object(c, object);
		check_api_version(c, object);
		check_secret_type(c, object);
	}
}

static void check_list(struct hub_check *c, const struct cox_node *root)
{
	const struct cox_node *items = COX_GET(root, "items");

	for (size_t i = 0; i < cox_node_len(items); i++) {
		size_t mark = hub_path_push(c, COX_STR("items")), at = hub_path_push_index(c, i);

		check_object(c, cox_node_at(items, i));
		hub_path_pop(c, at);
		hub_path_pop(c, mark);
	}
}

static bool is_object_list(const struct cox_node *root)
{
	return cox_str_ends(cox_node_str(COX_GET(root, "kind")), "List") &&
	       cox_node_is(COX_GET(root, "items"), COX_LIST);
}

void hub_check_object(const struct cox_doc *doc, const struct cox_node *object,
		      struct hub_problems *ret)
{
	struct hub_check c = {.doc = doc, .out = ret};

	check_object(&c, object);
	cox_buf_fini(&c.path);
}

void hub_check(const struct cox_doc *doc, struct hub_problems *ret)
{
	const struct cox_node *root = cox_doc_root(doc);
	struct hub_check c = {.doc = doc, .out = ret};

	if (is_object_list(root))
		check_list(&c, root);
	else
		check_object(&c, root);
	cox_buf_fini(&c.path);
}

int hub_validate(const struct cox_doc *doc, struct cox_error *err)
{
	_cleanup_problems_ struct hub_problems problems = {0};

	hub_check(doc, &problems);
	return hub_problems_error(&problems, err);
}
