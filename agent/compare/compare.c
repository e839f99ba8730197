#include "agent/compare/compare.h"

#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/kube/meta.h"
#include "common/kube/quantity.h"
#include "common/kube/schema.h"

#include "agent/compare/walk.h"

/* What only the server writes, or what names the object itself. */
static const char *const server_metadata[] = {
	"name",
	"namespace",
	"uid",
	"resourceVersion",
	"generation",
	"creationTimestamp",
	"managedFields",
	"selfLink",
	"deletionTimestamp",
	"deletionGracePeriodSeconds",
	"generateName",
};

void agent_difference_fini(struct agent_difference *d)
{
	cox_strings_fini(&d->paths);
	d->n = 0;
}

/* ---- the path ---- */

static bool is_plain_key(struct cox_str key)
{
	for (size_t i = 0; i < key.len; i++)
		if (strchr(".[]\"/", key.ptr[i]) || (unsigned char)key.ptr[i] < 0x20)
			return false;
	return key.len > 0;
}

size_t agent_walk_key(struct agent_walk *w, struct cox_str key)
{
	size_t mark = w->path.len;

	if (is_plain_key(key)) {
		if (mark)
			cox_buf_putc(&w->path, '.');
		cox_buf_puts_str(&w->path, key);
	} else {
		cox_buf_puts(&w->path, "[\"");
		for (size_t i = 0; i < key.len; i++)
			cox_buf_putc(&w->path, (unsigned char)key.ptr[i] < 0x20 ? '?' : key.ptr[i]);
		cox_buf_puts(&w->path, "\"]");
	}
	return mark;
}

size_t agent_walk_index(struct agent_walk *w, size_t i)
{
	size_t mark = w->path.len;

	cox_buf_printf(&w->path, "[%zu]", i);
	return mark;
}

/* "[name=web]", by the keys of the item that are there. */
size_t agent_walk_item(struct agent_walk *w, const struct cox_schema_type *type,
		       const struct cox_node *item)
{
	size_t mark = w->path.len;
	bool first = true;

	cox_buf_putc(&w->path, '[');
	for (size_t i = 0; i < type->n_keys; i++) {
		const struct cox_node *value = cox_node_get(item, type->keys[i]);

		if (!value)
			continue;
		cox_buf_printf(&w->path, "%s%s=%.*s", first ? "" : ",", type->keys[i],
			       COX_STR_ARG(cox_node_text(value)));
		first = false;
	}
	cox_buf_putc(&w->path, ']');
	return mark;
}

void agent_walk_back(struct agent_walk *w, size_t mark)
{
	w->path.len = mark;
	if (w->path.ptr)
		w->path.ptr[mark] = '\0';
}

void agent_walk_differs(struct agent_walk *w)
{
	w->out->n++;
	if (w->out->paths.n >= AGENT_COMPARE_PATHS_MAX)
		return;
	COX_VEC_EACH (&w->out->paths, path)
		if (cox_streq(*path, cox_buf_cstr(&w->path))) {
			w->out->n--;
			return;
		}
	cox_vec_push(&w->out->paths, cox_strdup(cox_buf_cstr(&w->path)));
}

/* ---- values ---- */

/* Nothing is asked for: null, or an empty map or list. */
bool agent_walk_is_empty(const struct cox_node *node)
{
	enum cox_kind kind = cox_node_kind(node);

	return kind == COX_ABSENT || kind == COX_NULL ||
	       ((kind == COX_MAP || kind == COX_LIST) && cox_node_len(node) == 0);
}

/* "", 0 or false, which a built-in type doesn't write at all. */
static bool is_zero(const struct cox_node *node)
{
	switch (cox_node_kind(node)) {
	case COX_STRING:
		return cox_node_str(node).len == 0;
	case COX_BOOL:
		return !cox_node_bool(node, true);
	case COX_INT:
		return cox_node_int(node, 1) == 0;
	default:
		return false;
	}
}

static bool is_number(const struct cox_node *node)
{
	return cox_node_is(node, COX_INT) || cox_node_is(node, COX_FLOAT);
}

static bool equal_quantity(struct cox_str a, struct cox_str b)
{
	struct cox_quantity x, y;

	return cox_quantity_parse(a, &x, NULL) == 0 && cox_quantity_parse(b, &y, NULL) == 0 &&
	       cox_quantity_compare(x, y) == 0;
}

static bool equal_time(struct cox_str a, struct cox_str b)
{
	int64_t x, y;

	return cox_time_parse(a, &x, NULL) == 0 && cox_time_parse(b, &y, NULL) == 0 && x == y;
}

static bool equal_bytes(struct cox_str a, struct cox_str b)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf x = COX_BUF_INIT, y = COX_BUF_INIT;

	return cox_base64_decode(&x, a, NULL) == 0 && cox_base64_decode(&y, b, NULL) == 0 &&
	       cox_str_eq(cox_buf_str(&x), cox_buf_str(&y));
}

static bool equal_scalar(const struct cox_schema_type *type, const struct cox_node *desired,
			 const struct cox_node *live)
{
	if (is_number(desired) && is_number(live))
		return cox_node_equal(desired, live) ||
		       cox_node_double(desired, 0) == cox_node_double(live, 1);
	struct cox_str a = cox_node_text(desired), b = cox_node_text(live);

	switch (type->kind) {
	case COX_SCHEMA_QUANTITY:
		return cox_str_eq(a, b) || equal_quantity(a, b);
	case COX_SCHEMA_TIME:
	case COX_SCHEMA_MICROTIME:
		return cox_str_eq(a, b) || equal_time(a, b);
	case COX_SCHEMA_BYTES:
		return cox_str_eq(a, b) || equal_bytes(a, b);
	default:
		return cox_node_equal(desired, live);
	}
}

/* ---- desired against live ---- */

static void compare_node(struct agent_walk *w, const struct cox_schema_type *type,
			 const struct cox_node *desired, const struct cox_node *live);

/* A field that live hasn't got. */
static void compare_absent(struct agent_walk *w, const struct cox_schema_type *parent,
			   const struct cox_node *desired)
{
	if (agent_walk_is_empty(desired))
		return;
	if (parent->kind == COX_SCHEMA_STRUCT && !parent->openapi && is_zero(desired))
		return;
	if (cox_node_is(desired, COX_MAP)) {
		/* a map of nothing but empty fields is empty too */
		for (size_t i = 0; i < cox_node_len(desired); i++)
			if (!agent_walk_is_empty(cox_node_at(desired, i)))
				goto differs;
		return;
	}
differs:
	agent_walk_differs(w);
}

static void compare_map(struct agent_walk *w, const struct cox_schema_type *type,
			const struct cox_node *desired, const struct cox_node *live)
{
	for (size_t i = 0; i < cox_node_len(desired); i++) {
		struct cox_str key = cox_node_key(desired, i);
		const struct cox_node *want = cox_node_at(desired, i);
		const struct cox_node *have = cox_node_get_str(live, key);
		size_t mark = agent_walk_key(w, key);

		if (!have || cox_node_is(have, COX_NULL))
			compare_absent(w, type, want);
		else if (!cox_node_is(want, COX_NULL))
			compare_node(w, cox_schema_child(type, key), want, have);
		agent_walk_back(w, mark);
	}
}

/* The value of a key field of a list item, or its default; both may be absent. */
static bool same_key(const struct cox_schema_type *type, const char *key, const struct cox_node *a,
		     const struct cox_node *b)
{
	const struct cox_schema_field *field = cox_schema_field(type->item, cox_str(key));
	const struct cox_node *x = cox_node_get(a, key), *y = cox_node_get(b, key);
	struct cox_str def = cox_str(field && field->def ? field->def : "");
	struct cox_str s = x ? cox_node_text(x) : def, t = y ? cox_node_text(y) : def;

	return cox_str_eq(s, t);
}

const struct cox_node *agent_walk_find_item(const struct cox_schema_type *type,
					    const struct cox_node *list,
					    const struct cox_node *like)
{
	for (size_t i = 0; i < cox_node_len(list); i++) {
		const struct cox_node *item = cox_node_at(list, i);
		size_t k = 0;

		while (k < type->n_keys && same_key(type, type->keys[k], item, like))
			k++;
		if (k == type->n_keys)
			return item;
	}
	return NULL;
}

static void compare_keyed_list(struct agent_walk *w, const struct cox_schema_type *type,
			       const struct cox_node *desired, const struct cox_node *live)
{
	for (size_t i = 0; i < cox_node_len(desired); i++) {
		const struct cox_node *want = cox_node_at(desired, i);
		const struct cox_node *have = agent_walk_find_item(type, live, want);
		size_t mark = agent_walk_item(w, type, want);

		if (have)
			compare_node(w, type->item, want, have);
		else
			agent_walk_differs(w);
		agent_walk_back(w, mark);
	}
}

static void compare_set(struct agent_walk *w, const struct cox_schema_type *type,
			const struct cox_node *desired, const struct cox_node *live)
{
	for (size_t i = 0; i < cox_node_len(desired); i++) {
		const struct cox_node *want = cox_node_at(desired, i);
		bool found = false;

		for (size_t k = 0; !found && k < cox_node_len(live); k++)
			found = equal_scalar(type->item, want, cox_node_at(live, k));
		if (!found) {
			agent_walk_differs(w);
			return;
		}
	}
}

static void compare_list(struct agent_walk *w, const struct cox_schema_type *type,
			 const struct cox_node *desired, const struct cox_node *live)
{
	if (type->list == COX_SCHEMA_LIST_MAP && type->kind == COX_SCHEMA_LIST && type->n_keys) {
		compare_keyed_list(w, type, desired, live);
		return;
	}
	if (type->list == COX_SCHEMA_LIST_SET && type->kind == COX_SCHEMA_LIST) {
		compare_set(w, type, desired, live);
		return;
	}
	const struct cox_schema_type *item =
		type->kind == COX_SCHEMA_LIST ? type->item : cox_schema_any();

	if (cox_node_len(desired) != cox_node_len(live)) {
		agent_walk_differs(w);
		return;
	}
	for (size_t i = 0; i < cox_node_len(desired); i++) {
		size_t mark = agent_walk_index(w, i);

		compare_node(w, item, cox_node_at(desired, i), cox_node_at(live, i));
		agent_walk_back(w, mark);
	}
}

static void compare_node(struct agent_walk *w, const struct cox_schema_type *type,
			 const struct cox_node *desired, const struct cox_node *live)
{
	if (cox_node_is(desired, COX_MAP) && cox_node_is(live, COX_MAP))
		compare_map(w, type, desired, live);
	else if (cox_node_is(desired, COX_LIST) && cox_node_is(live, COX_LIST))
		compare_list(w, type, desired, live);
	else if (agent_walk_is_empty(desired) && agent_walk_is_empty(live))
		return;
	else if (!equal_scalar(type, desired, live))
		agent_walk_differs(w);
}

/* ---- whole objects ---- */

const struct cox_schema_type *agent_walk_type(const struct cox_node *object)
{
	_cleanup_free_ char *group = cox_str_dup(cox_meta_group(object));
	_cleanup_free_ char *version = cox_str_dup(cox_meta_version(object));
	_cleanup_free_ char *kind = cox_str_dup(cox_meta_kind(object));
	const struct cox_schema_type *type = cox_schema_find(group, version, kind);

	return type ? type : cox_schema_any();
}

bool agent_walk_is_server_metadata(struct cox_str key)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(server_metadata); i++)
		if (cox_str_is(key, server_metadata[i]))
			return true;
	return false;
}

static void compare_metadata(struct agent_walk *w, const struct cox_node *desired,
			     const struct cox_node *live)
{
	const struct cox_schema_type *type = cox_schema_named("meta.v1.ObjectMeta");
	size_t mark = agent_walk_key(w, COX_STR("metadata"));

	for (size_t i = 0; i < cox_node_len(desired); i++) {
		struct cox_str key = cox_node_key(desired, i);
		const struct cox_node *want = cox_node_at(desired, i);
		const struct cox_node *have = cox_node_get_str(live, key);

		if (agent_walk_is_server_metadata(key) || cox_node_is(want, COX_NULL))
			continue;
		size_t inner = agent_walk_key(w, key);

		if (have)
			compare_node(w, cox_schema_child(type, key), want, have);
		else
			compare_absent(w, type, want);
		agent_walk_back(w, inner);
	}
	agent_walk_back(w, mark);
}

/* rules of an aggregated ClusterRole are the controller's to write */
static bool is_controllers(const struct cox_node *object, struct cox_str key)
{
	return cox_str_is(key, "rules") && cox_str_is(cox_meta_kind(object), "ClusterRole") &&
	       cox_node_is(cox_node_get(object, "aggregationRule"), COX_MAP);
}

void agent_compare(struct cox_doc *desired_doc, struct cox_doc *live_doc,
		   const struct agent_compare_options *options, struct agent_difference *d)
{
	_cleanup_doc_ struct cox_doc *canonical = agent_compare_canonical(desired_doc);
	_cleanup_doc_ struct cox_doc *wanted =
		agent_compare_without_ignored(canonical, options->ignore);
	_cleanup_doc_ struct cox_doc *found =
		agent_compare_without_ignored(live_doc, options->ignore);
	const struct cox_node *desired = cox_doc_root(wanted), *live = cox_doc_root(found);
	const struct cox_schema_type *type = agent_walk_type(desired);
	struct agent_walk w = {.out = d};

	agent_difference_fini(d);
	for (size_t i = 0; i < cox_node_len(desired); i++) {
		struct cox_str key = cox_node_key(desired, i);
		const struct cox_node *want = cox_node_at(desired, i);
		const struct cox_node *have = cox_node_get_str(live, key);

		if (cox_str_is(key, "apiVersion") || cox_str_is(key, "kind") ||
		    cox_str_is(key, "status") || is_controllers(desired, key))
			continue;
		if (cox_str_is(key, "metadata")) {
			compare_metadata(&w, want, have);
			continue;
		}
		size_t mark = agent_walk_key(&w, key);

		if (have && !cox_node_is(have, COX_NULL))
			compare_node(&w, cox_schema_child(type, key), want, have);
		else
			compare_absent(&w, type, want);
		agent_walk_back(&w, mark);
	}
	agent_walk_owned(&w, options->manager, desired, live);
	cox_buf_fini(&w.path);
}
