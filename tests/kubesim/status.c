#include "tests/kubesim/status.h"

#include <stdarg.h>

void ks_causes_fini(struct ks_causes *causes)
{
	COX_VEC_EACH (causes, c) {
		free(c->message);
		free(c->field);
	}
	cox_vec_fini(causes);
}

void ks_cause_add(struct ks_causes *causes, const char *reason, const char *field,
		  const char *format, ...)
{
	struct cox_buf text = COX_BUF_INIT;
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(&text, format, args);
	va_end(args);
	cox_vec_push(causes, (struct ks_cause){.reason = reason,
					       .message = cox_buf_take(&text),
					       .field = cox_strdup(field)});
}

static struct cox_node *status_new(struct cox_doc *doc, int code, const char *reason,
				   const char *message)
{
	struct cox_node *root = cox_doc_map(doc);

	cox_map_put_cstr(doc, root, "kind", "Status");
	cox_map_put_cstr(doc, root, "apiVersion", "v1");
	cox_map_put(doc, root, "metadata", cox_doc_map(doc));
	cox_map_put_cstr(doc, root, "status", "Failure");
	cox_map_put_cstr(doc, root, "message", message);
	cox_map_put_cstr(doc, root, "reason", reason);
	cox_map_put_int(doc, root, "code", code);
	cox_doc_set_root(doc, root);
	return root;
}

struct ks_reply ks_ok(int status, struct cox_doc *body)
{
	return (struct ks_reply){.status = status, .body = cox_doc_seal(body)};
}

struct ks_reply ks_fail(int code, const char *reason, const char *format, ...)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_doc *doc = cox_doc_new("status");
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(&text, format, args);
	va_end(args);
	status_new(doc, code, reason, cox_buf_cstr(&text));
	return ks_ok(code, doc);
}

struct ks_reply ks_fail_bare(int code, const char *reason, const char *message)
{
	struct cox_doc *doc = cox_doc_new("status");
	struct cox_node *root = status_new(doc, code, reason, message);

	cox_map_put(doc, root, "details", cox_doc_map(doc));
	return ks_ok(code, doc);
}

static struct ks_reply named(int code, const char *reason, const struct ks_names *names,
			     const char *kind, const char *name, const struct ks_causes *causes,
			     const char *message)
{
	struct cox_doc *doc = cox_doc_new("status");
	struct cox_node *root = status_new(doc, code, reason, message);
	struct cox_node *details = cox_doc_map(doc);

	if (name && *name)
		cox_map_put_cstr(doc, details, "name", name);
	if (names && *names->group)
		cox_map_put_cstr(doc, details, "group", names->group);
	cox_map_put_cstr(doc, details, "kind", kind);
	if (causes && causes->n) {
		struct cox_node *list = cox_doc_list(doc);
		for (size_t i = 0; i < causes->n; i++) {
			struct cox_node *entry = cox_doc_map(doc);
			cox_map_put_cstr(doc, entry, "reason", causes->items[i].reason);
			cox_map_put_cstr(doc, entry, "message", causes->items[i].message);
			cox_map_put_cstr(doc, entry, "field", causes->items[i].field);
			cox_list_push(doc, list, entry);
		}
		cox_map_put(doc, details, "causes", list);
	}
	cox_map_put(doc, root, "details", details);
	return ks_ok(code, doc);
}

struct ks_reply ks_fail_named(int code, const char *reason, const struct ks_names *names,
			      const char *kind, const char *name, const struct ks_causes *causes,
			      const char *format, ...)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	va_list args;

	va_start(args, format);
	cox_buf_vprintf(&text, format, args);
	va_end(args);
	return named(code, reason, names, kind, name, causes, cox_buf_cstr(&text));
}

/* "deployments.apps", "configmaps" */
static void qualified(struct cox_buf *out, const char *what, const struct ks_names *names)
{
	cox_buf_puts(out, what);
	if (*names->group)
		cox_buf_printf(out, ".%s", names->group);
}

struct ks_reply ks_fail_not_found(const struct ks_names *names, const char *name)
{
	_cleanup_buf_ struct cox_buf what = COX_BUF_INIT;

	qualified(&what, names->resource, names);
	return ks_fail_named(404, "NotFound", names, names->resource, name, NULL,
			     "%s \"%s\" not found", what.ptr, name);
}

struct ks_reply ks_fail_exists(const struct ks_names *names, const char *name)
{
	_cleanup_buf_ struct cox_buf what = COX_BUF_INIT;

	qualified(&what, names->resource, names);
	return ks_fail_named(409, "AlreadyExists", names, names->resource, name, NULL,
			     "%s \"%s\" already exists", what.ptr, name);
}

struct ks_reply ks_fail_conflict(const struct ks_names *names, const char *name,
				 const char *message)
{
	_cleanup_buf_ struct cox_buf what = COX_BUF_INIT;

	qualified(&what, names->resource, names);
	return ks_fail_named(409, "Conflict", names, names->resource, name, NULL,
			     "Operation cannot be fulfilled on %s \"%s\": %s", what.ptr, name,
			     message);
}

struct ks_reply ks_fail_invalid(const struct ks_names *names, const char *name,
				const struct ks_causes *causes)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_buf_ struct cox_buf list = COX_BUF_INIT;
	size_t n = 0;

	for (size_t i = 0; i < causes->n; i++) {
		bool seen = false;
		for (size_t j = 0; j < i && !seen; j++)
			seen = cox_streq(causes->items[i].message, causes->items[j].message) &&
			       cox_streq(causes->items[i].field, causes->items[j].field);
		if (seen)
			continue;
		cox_buf_printf(&list, "%s%s: %s", n++ ? ", " : "", causes->items[i].field,
			       causes->items[i].message);
	}
	qualified(&text, names->kind, names);
	cox_buf_printf(&text, " \"%s\" is invalid: %s%s%s", name, n > 1 ? "[" : "",
		       cox_buf_cstr(&list), n > 1 ? "]" : "");
	return named(422, "Invalid", names, names->kind, name, causes, cox_buf_cstr(&text));
}
