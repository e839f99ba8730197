/* Documents made comparable: stringData folded, ignored fields cut out. */
#include "agent/compare/compare.h"

#include "common/base/encode.h"
#include "common/kube/meta.h"
#include "common/text/glob.h"

#define POINTER_DEPTH_MAX 64

struct cox_doc *agent_compare_canonical(struct cox_doc *object)
{
	const struct cox_node *root = cox_doc_root(object);
	const struct cox_node *strings = cox_node_get(root, "stringData");

	if (!strings || !cox_str_is(cox_meta_kind(root), "Secret") || cox_meta_group(root).len)
		return cox_doc_ref(object);
	struct cox_doc *doc = cox_doc_edit(object);
	struct cox_node *edited = cox_doc_root_edit(doc);

	if (cox_node_is(strings, COX_MAP) && cox_node_len(strings) > 0) {
		struct cox_node *data = cox_map_edit_map(doc, edited, "data");

		for (size_t i = 0; i < cox_node_len(strings); i++) {
			COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
			struct cox_str plain = cox_node_str(cox_node_at(strings, i));

			cox_base64_encode(&text, plain.ptr, plain.len);
			cox_map_put_str(doc, data, cox_node_key(strings, i),
					cox_doc_string(doc, cox_buf_str(&text)));
		}
	}
	cox_map_drop(doc, edited, COX_STR("stringData"));
	return cox_doc_seal(doc);
}

/* ---- ignoreDifferences ---- */

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

struct cox_doc *agent_compare_without_ignored(struct cox_doc *object, const struct cox_node *ignore)
{
	struct cox_object_key key = cox_object_key_of(cox_doc_root(object));
	struct cox_doc *doc = NULL;

	for (size_t i = 0; i < cox_node_len(ignore); i++) {
		const struct cox_node *entry = cox_node_at(ignore, i);
		const struct cox_node *pointers = cox_node_get(entry, "jsonPointers");

		if (!entry_matches(entry, key))
			continue;
		for (size_t k = 0; k < cox_node_len(pointers); k++) {
			struct cox_str pointer = cox_node_str(cox_node_at(pointers, k));

			if (!pointer_exists(doc ? cox_doc_root(doc) : cox_doc_root(object),
					    pointer))
				continue;
			if (!doc)
				doc = cox_doc_edit(object);
			cut_pointer(doc, pointer);
		}
	}
	return doc ? cox_doc_seal(doc) : cox_doc_ref(object);
}
