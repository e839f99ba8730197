/* ignoreDifferences: which entries are meant, and cutting out what they name. */
#include "agent/compare/walk.h"

#include "common/kube/meta.h"
#include "common/text/glob.h"

#include <stdlib.h>

#define POINTER_DEPTH_MAX 64
#define CUTS_MAX	  10000

void agent_ignore_fini(struct agent_ignore *ignore)
{
	cox_strings_fini(&ignore->pointers);
	cox_strings_fini(&ignore->expressions);
	cox_strings_fini(&ignore->managers);
}

static bool glob_is(const struct cox_node *pattern, struct cox_str text)
{
	struct cox_str p = cox_node_str(pattern);

	return cox_str_eq(p, text) || cox_glob_matches(p, '\0', text);
}

static bool entry_matches(const struct cox_node *entry, struct cox_object_key key)
{
	struct cox_str name = cox_node_str(cox_node_get(entry, "name"));
	struct cox_str namespace = cox_node_str(cox_node_get(entry, "namespace"));

	return glob_is(cox_node_get(entry, "group"), key.group) &&
	       glob_is(cox_node_get(entry, "kind"), key.kind) &&
	       (!name.len || cox_str_eq(name, key.name)) &&
	       (!namespace.len || cox_str_eq(namespace, key.namespace));
}

static void take(const struct cox_node *entry, const char *field, cox_strings *to)
{
	const struct cox_node *list = cox_node_get(entry, field);

	for (size_t i = 0; i < cox_node_len(list); i++)
		if (cox_node_is(cox_node_at(list, i), COX_STRING))
			cox_vec_push(to, cox_str_dup(cox_node_str(cox_node_at(list, i))));
}

void agent_ignore_for(const struct cox_node *entries, const struct cox_node *object,
		      struct agent_ignore *ret_ignore)
{
	struct cox_object_key key = cox_object_key_of(object);

	agent_ignore_fini(ret_ignore);
	for (size_t i = 0; i < cox_node_len(entries); i++) {
		const struct cox_node *entry = cox_node_at(entries, i);

		if (!entry_matches(entry, key))
			continue;
		take(entry, "jsonPointers", &ret_ignore->pointers);
		take(entry, "jqPathExpressions", &ret_ignore->expressions);
		take(entry, "managedFieldsManagers", &ret_ignore->managers);
	}
}

/* ---- JSON pointers ---- */

/* One reference token of RFC 6901 with ~1 and ~0 undone. */
static struct cox_str decode_token(struct cox_str token, struct cox_buf *out)
{
	cox_buf_clear(out);
	for (size_t i = 0; i < token.len; i++) {
		char c = token.ptr[i];

		if (c == '~' && i + 1 < token.len &&
		    (token.ptr[i + 1] == '0' || token.ptr[i + 1] == '1'))
			c = token.ptr[++i] == '0' ? '~' : '/';
		cox_buf_putc(out, c);
	}
	return cox_buf_str(out);
}

static bool parse_index(struct cox_str token, size_t n, size_t *ret)
{
	size_t value = 0;

	if (!token.len || token.len > 9)
		return false;
	for (size_t i = 0; i < token.len; i++) {
		if (token.ptr[i] < '0' || token.ptr[i] > '9')
			return false;
		value = value * 10 + (size_t)(token.ptr[i] - '0');
	}
	*ret = value;
	return value < n;
}

static const struct cox_node *child_of(const struct cox_node *node, struct cox_str token)
{
	size_t i;

	if (cox_node_is(node, COX_LIST))
		return parse_index(token, cox_node_len(node), &i) ? cox_node_at(node, i) : NULL;
	return cox_node_get_str(node, token);
}

static bool pointer_exists(const struct cox_node *node, struct cox_str pointer)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf token = COX_BUF_INIT;
	struct cox_str rest = pointer, part;

	if (!cox_str_starts(pointer, "/") || !cox_str_split(&rest, '/', &part))
		return false;
	for (size_t depth = 0; cox_str_split(&rest, '/', &part); depth++) {
		node = child_of(node, decode_token(part, &token));
		if (!node || depth > POINTER_DEPTH_MAX)
			return false;
	}
	return true;
}

/* The pointer is known to exist. */
static void cut_pointer(struct cox_doc *doc, struct cox_str pointer)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf token = COX_BUF_INIT;
	struct cox_node *node = cox_doc_root_edit(doc);
	struct cox_str rest = pointer, part;
	size_t i;

	cox_str_split(&rest, '/', &part);
	while (cox_str_split(&rest, '/', &part)) {
		struct cox_str key = decode_token(part, &token);
		bool last = rest.ptr == NULL;

		if (cox_node_is(node, COX_LIST)) {
			if (!parse_index(key, cox_node_len(node), &i))
				return;
			if (last)
				cox_list_drop(doc, node, i);
			else
				node = cox_list_edit(doc, node, i);
		} else if (last) {
			cox_map_drop(doc, node, key);
		} else {
			node = cox_map_edit_str(doc, node, key);
		}
		if (!node)
			return;
	}
}

struct cox_doc *agent_pointers_as_paths(const struct cox_node *object, const cox_strings *pointers)
{
	struct cox_doc *doc = cox_doc_new("pointers");
	struct cox_node *list = cox_doc_list(doc);

	for (size_t i = 0; i < pointers->n; i++) {
		COX_CLEANUP(cox_buf_fini) struct cox_buf token = COX_BUF_INIT;
		struct cox_str rest = cox_str(pointers->items[i]), part;
		const struct cox_node *node = object;
		struct cox_node *path = cox_doc_list(doc);

		if (!pointer_exists(object, rest))
			continue;
		cox_str_split(&rest, '/', &part);
		while (cox_str_split(&rest, '/', &part)) {
			struct cox_str key = decode_token(part, &token);
			size_t at = 0;

			if (cox_node_is(node, COX_LIST) &&
			    parse_index(key, cox_node_len(node), &at))
				cox_list_push(doc, path, cox_doc_int(doc, (int64_t)at));
			else
				cox_list_push(doc, path, cox_doc_string(doc, key));
			node = child_of(node, key);
		}
		cox_list_push(doc, list, path);
	}
	cox_doc_set_root(doc, list);
	return cox_doc_seal(doc);
}

/* ---- paths of jq ---- */

typedef COX_VEC(const struct cox_node *) paths;

/* Maps before what is in them, items in their order: from last to first, no cut moves another. */
static int compare_steps(const struct cox_node *a, const struct cox_node *b)
{
	if (cox_node_is(a, COX_INT) && cox_node_is(b, COX_INT)) {
		int64_t x = cox_node_int(a, 0), y = cox_node_int(b, 0);

		return (x > y) - (x < y);
	}
	if (cox_node_is(a, COX_STRING) && cox_node_is(b, COX_STRING))
		return cox_str_compare(cox_node_str(a), cox_node_str(b));
	return (int)cox_node_kind(a) - (int)cox_node_kind(b);
}

static int compare_paths(const void *a, const void *b)
{
	const struct cox_node *x = *(const struct cox_node *const *)a;
	const struct cox_node *y = *(const struct cox_node *const *)b;
	size_t n = cox_node_len(x), m = cox_node_len(y);

	for (size_t i = 0; i < n && i < m; i++) {
		int order = compare_steps(cox_node_at(x, i), cox_node_at(y, i));

		if (order)
			return -order;
	}
	return (n < m) - (n > m);
}

/* The index that a step means in a list of n; negative ones count from the end. */
static bool index_of(const struct cox_node *step, size_t n, size_t *ret)
{
	int64_t i = cox_node_int(step, INT64_MAX);

	if (i < 0)
		i += (int64_t)n;
	if (i < 0 || i >= (int64_t)n)
		return false;
	*ret = (size_t)i;
	return true;
}

static size_t bound_of(const struct cox_node *slice, const char *key, size_t n, size_t otherwise)
{
	int64_t i = cox_node_int(cox_node_get(slice, key), (int64_t)otherwise);

	if (i < 0)
		i += (int64_t)n;
	return i < 0 ? 0 : i > (int64_t)n ? n : (size_t)i;
}

bool agent_step_range(const struct cox_node *step, size_t n, size_t *ret_begin, size_t *ret_end)
{
	if (cox_node_is(step, COX_MAP)) {
		*ret_begin = bound_of(step, "start", n, 0);
		*ret_end = bound_of(step, "end", n, n);
		return *ret_begin < *ret_end;
	}
	if (!index_of(step, n, ret_begin))
		return false;
	*ret_end = *ret_begin + 1;
	return true;
}

static bool path_exists(const struct cox_node *node, const struct cox_node *path)
{
	size_t i;

	for (size_t k = 0; k < cox_node_len(path); k++) {
		const struct cox_node *step = cox_node_at(path, k);

		if (cox_node_is(step, COX_MAP)) /* a slice: only as the last step */
			return cox_node_is(node, COX_LIST) && k + 1 == cox_node_len(path);
		if (cox_node_is(node, COX_LIST))
			node = index_of(step, cox_node_len(node), &i) ? cox_node_at(node, i) : NULL;
		else
			node = cox_node_is(step, COX_STRING)
				       ? cox_node_get_str(node, cox_node_str(step))
				       : NULL;
		if (!node)
			return false;
	}
	return cox_node_len(path) > 0;
}

static void cut_last(struct cox_doc *doc, struct cox_node *node, const struct cox_node *step)
{
	size_t begin, end;

	if (cox_node_is(node, COX_MAP))
		cox_map_drop(doc, node, cox_node_str(step));
	else if (agent_step_range(step, cox_node_len(node), &begin, &end))
		for (size_t i = end; i > begin; i--)
			cox_list_drop(doc, node, i - 1);
}

/* The path is known to exist. */
static void cut_path(struct cox_doc *doc, const struct cox_node *path)
{
	struct cox_node *node = cox_doc_root_edit(doc);
	size_t n = cox_node_len(path), i;

	for (size_t k = 0; node && k + 1 < n; k++) {
		const struct cox_node *step = cox_node_at(path, k);

		if (!cox_node_is(node, COX_LIST))
			node = cox_map_edit_str(doc, node, cox_node_str(step));
		else
			node = index_of(step, cox_node_len(node), &i) ? cox_list_edit(doc, node, i)
								      : NULL;
	}
	if (node)
		cut_last(doc, node, cox_node_at(path, n - 1));
}

/* ---- both ---- */

struct cut {
	struct cox_doc *object, *doc;
};

static const struct cox_node *root_of(const struct cut *c)
{
	return cox_doc_root(c->doc ? c->doc : c->object);
}

static void begin(struct cut *c)
{
	if (!c->doc)
		c->doc = cox_doc_edit(c->object);
}

struct cox_doc *agent_compare_cut(struct cox_doc *object, const struct agent_ignore *ignore,
				  const struct cox_node *cuts)
{
	struct cut c = {.object = object};
	paths sorted = {0};

	/* first, because their indexes are those of the whole object */
	for (size_t i = 0; i < cox_node_len(cuts) && i < CUTS_MAX; i++)
		cox_vec_push(&sorted, cox_node_at(cuts, i));
	if (sorted.n)
		qsort(sorted.items, sorted.n, sizeof(*sorted.items), compare_paths);
	for (size_t i = 0; i < sorted.n; i++) {
		if ((i && cox_node_equal(sorted.items[i], sorted.items[i - 1])) ||
		    !path_exists(root_of(&c), sorted.items[i]))
			continue;
		begin(&c);
		cut_path(c.doc, sorted.items[i]);
	}
	cox_vec_fini(&sorted);
	for (size_t i = 0; ignore && i < ignore->pointers.n; i++) {
		struct cox_str pointer = cox_str(ignore->pointers.items[i]);

		if (!pointer_exists(root_of(&c), pointer))
			continue;
		begin(&c);
		cut_pointer(c.doc, pointer);
	}
	return c.doc ? cox_doc_seal(c.doc) : cox_doc_ref(object);
}
