#include "common/doc/patch.h"
#include "common/base/limits.h"
#include "common/doc/internal.h"
#include "common/doc/pointer.h"

/* ---- JSON Patch ---- */

struct patcher {
	struct cox_doc *doc; /* the result */
	unsigned pointer_flags, flags;
	size_t n_copied;
	struct cox_error *err;
};

struct op {
	struct cox_str path, from;
	const struct cox_node *value;
};

static size_t steps_of(struct cox_str pointer)
{
	size_t n = 0;

	for (size_t i = 0; i < pointer.len; i++)
		n += pointer.ptr[i] == '/';
	return n;
}

/* Whether the value fits at the path: the result stays within the depth that readers allow. */
static int check_depth(const struct patcher *p, struct cox_str path, const struct cox_node *value)
{
	size_t steps = steps_of(path);

	if (steps <= COX_LIMIT_JSON_DEPTH &&
	    cox_node_height(value, COX_LIMIT_JSON_DEPTH) + steps <= COX_LIMIT_JSON_DEPTH)
		return 0;
	return cox_error(p->err, COX_INVALID_ARGUMENT, "'%.*s': nested deeper than %d",
			 path.len > 120 ? 120 : (int)path.len, path.ptr, COX_LIMIT_JSON_DEPTH);
}

static int op_add(struct patcher *p, const struct op *op)
{
	int r = check_depth(p, op->path, op->value);

	return r < 0 ? r : cox_pointer_add(p->doc, op->path, op->value, p->pointer_flags, p->err);
}

static int op_replace(struct patcher *p, const struct op *op)
{
	int r = check_depth(p, op->path, op->value);

	return r < 0 ? r
		     : cox_pointer_replace(p->doc, op->path, op->value, p->pointer_flags, p->err);
}

static int op_remove(struct patcher *p, const struct op *op)
{
	return cox_pointer_remove(p->doc, op->path, p->pointer_flags, p->err);
}

static int op_test(struct patcher *p, const struct op *op)
{
	const struct cox_node *there;
	int r = cox_pointer_get(cox_doc_root(p->doc), op->path, p->pointer_flags, &there, p->err);

	if (r == -COX_NOT_FOUND && (p->flags & COX_PATCH_LENIENT) && op->value->kind == COX_NULL)
		return 0;
	if (r < 0)
		return r;
	if (cox_node_equal(there, op->value))
		return 0;
	return cox_error(p->err, COX_FAILED_PRECONDITION, "'%.*s': the value is another",
			 op->path.len > 120 ? 120 : (int)op->path.len, op->path.ptr);
}

/* Counts node's values against what copies may add. */
static bool charge(struct patcher *p, const struct cox_node *node)
{
	if (++p->n_copied > COX_LIMIT_DOC_NODES)
		return false;
	for (size_t i = 0; i < cox_node_len(node); i++)
		if (!charge(p, cox_node_at(node, i)))
			return false;
	return true;
}

/* The node for a second place. What is the document's own may still be changed in place, so that is
 * copied; foreign nodes are shared. */
static const struct cox_node *duplicate(struct cox_doc *doc, const struct cox_node *node)
{
	struct cox_node *to;

	if (node->owner != doc->id || (node->kind != COX_MAP && node->kind != COX_LIST))
		return node;
	to = node->kind == COX_MAP ? cox_doc_map(doc) : cox_doc_list(doc);
	for (size_t i = 0; i < node->len; i++) {
		const struct cox_node *value = duplicate(doc, cox_node_at(node, i));

		if (node->kind == COX_MAP)
			cox_map_put_str(doc, to, cox_node_key(node, i), value);
		else
			cox_list_push(doc, to, value);
	}
	return to;
}

static int op_copy(struct patcher *p, const struct op *op)
{
	const struct cox_node *value;
	int r = cox_pointer_get(cox_doc_root(p->doc), op->from, p->pointer_flags, &value, p->err);

	if (r == 0)
		r = check_depth(p, op->path, value);
	if (r < 0)
		return r;
	if (!charge(p, value))
		return cox_error(p->err, COX_INVALID_ARGUMENT, "copies add more than %d values",
				 COX_LIMIT_DOC_NODES);
	return cox_pointer_add(p->doc, op->path, duplicate(p->doc, value), p->pointer_flags,
			       p->err);
}

static int op_move(struct patcher *p, const struct op *op)
{
	const struct cox_node *value;
	int r = cox_pointer_get(cox_doc_root(p->doc), op->from, p->pointer_flags, &value, p->err);

	if (r < 0)
		return r;
	if (cox_str_eq(op->from, op->path))
		return 0;
	if (op->path.len > op->from.len && op->path.ptr[op->from.len] == '/' &&
	    (!op->from.len || memcmp(op->path.ptr, op->from.ptr, op->from.len) == 0))
		return cox_error(p->err, COX_INVALID_ARGUMENT,
				 "'%.*s': a value cannot be moved into itself",
				 op->path.len > 120 ? 120 : (int)op->path.len, op->path.ptr);
	r = check_depth(p, op->path, value);
	if (r == 0)
		r = cox_pointer_remove(p->doc, op->from, p->pointer_flags, p->err);
	if (r == 0)
		r = cox_pointer_add(p->doc, op->path, value, p->pointer_flags, p->err);
	return r;
}

static const struct verb {
	const char *name;
	int (*run)(struct patcher *p, const struct op *op);
	bool takes_value, takes_from;
} verbs[] = {
	{"add", op_add, true, false},	      {"remove", op_remove, false, false},
	{"replace", op_replace, true, false}, {"move", op_move, false, true},
	{"copy", op_copy, false, true},	      {"test", op_test, true, false},
};

static const struct verb *find_verb(const struct cox_node *op)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(verbs); i++)
		if (cox_str_is(cox_node_str(cox_node_get(op, "op")), verbs[i].name))
			return &verbs[i];
	return NULL;
}

static int take_pointer(const struct cox_doc *patch, const struct cox_node *node, const char *key,
			struct cox_str *ret_pointer, struct cox_error *err)
{
	const struct cox_node *pointer = cox_node_get(node, key);

	if (!cox_node_is(pointer, COX_STRING))
		return cox_node_error(err, patch, pointer ? pointer : node,
				      "an operation needs '%s', a JSON pointer", key);
	*ret_pointer = cox_node_str(pointer);
	return 0;
}

static int run_op(struct patcher *p, const struct cox_doc *patch, const struct cox_node *node)
{
	const struct verb *verb = find_verb(node);
	struct op op = {.value = cox_node_get(node, "value")};
	int r;

	if (!cox_node_is(node, COX_MAP))
		return cox_node_error(p->err, patch, node,
				      "an operation is a map with 'op' and 'path'");
	if (!verb)
		return cox_node_error(p->err, patch, node,
				      "'op' must be add, remove, replace, move, copy or test");
	r = take_pointer(patch, node, "path", &op.path, p->err);
	if (r == 0 && verb->takes_from)
		r = take_pointer(patch, node, "from", &op.from, p->err);
	if (r < 0)
		return r;
	if (verb->takes_value && !op.value)
		return cox_node_error(p->err, patch, node, "'%s' needs 'value'", verb->name);
	r = verb->run(p, &op);
	if (r == 0)
		return 0;
	if (!cox_node_line(node))
		return cox_error_wrap(p->err, "%s: %s", cox_doc_name(patch), verb->name);
	cox_error_wrap(p->err, "%s:%u:%u: %s", cox_doc_name(patch), cox_node_line(node),
		       cox_node_column(node), verb->name);
	return r;
}

int cox_json_patch(struct cox_doc *base, struct cox_doc *patch, const struct cox_node *ops,
		   unsigned flags, struct cox_doc **ret_doc, struct cox_error *err)
{
	struct cox_error unseen;
	struct patcher p = {.flags = flags, .err = err ? err : &unseen};
	_cleanup_doc_ struct cox_doc *doc = NULL;

	ops = ops ? ops : cox_doc_root(patch);
	if (!cox_node_is(ops, COX_LIST))
		return cox_node_error(err, patch, ops, "a JSON patch is a list of operations");
	if (flags & COX_PATCH_REPLACE_ADDS)
		p.pointer_flags |= COX_POINTER_UPSERT;
	if (flags & COX_PATCH_LENIENT)
		p.pointer_flags |= COX_POINTER_NEGATIVE;
	p.doc = doc = cox_doc_edit(base);
	cox_doc_use(doc, patch);
	for (size_t i = 0; i < cox_node_len(ops); i++) {
		int r = run_op(&p, patch, cox_node_at(ops, i));

		if (r < 0)
			return r;
	}
	*ret_doc = cox_doc_seal(TAKE(doc));
	return 0;
}

/* ---- merge patch ---- */

static bool has_null(const struct cox_node *node)
{
	if (node->kind != COX_MAP)
		return node->kind == COX_NULL;
	for (uint32_t i = 0; i < node->len; i++)
		if (has_null(node->body.map.entries[i].value))
			return true;
	return false;
}

/* RFC 7396, section 2: target is doc's own map. */
static void merge_map(struct cox_doc *doc, struct cox_node *target, const struct cox_node *merge)
{
	for (uint32_t i = 0; i < merge->len; i++) {
		const struct cox_node *value = merge->body.map.entries[i].value;
		struct cox_str key = doc_key_str(merge->body.map.entries[i].key);
		struct cox_node *there;

		if (value->kind == COX_NULL) {
			cox_map_drop(doc, target, key);
			continue;
		}
		/* A map that has no null inside is the same wherever it lands on nothing. */
		if (value->kind == COX_MAP && cox_node_is(cox_node_get_str(target, key), COX_MAP)) {
			merge_map(doc, cox_map_edit_str(doc, target, key), value);
		} else if (value->kind == COX_MAP && has_null(value)) {
			there = cox_doc_map(doc);
			cox_map_put_str(doc, target, key, there);
			merge_map(doc, there, value);
		} else {
			cox_map_put_str(doc, target, key, value);
		}
	}
}

struct cox_doc *cox_merge_patch(struct cox_doc *base, struct cox_doc *patch,
				const struct cox_node *merge)
{
	struct cox_doc *doc = cox_doc_edit(base);

	merge = merge ? merge : cox_doc_root(patch);
	cox_doc_use(doc, patch);
	if (!cox_node_is(merge, COX_MAP)) {
		cox_doc_set_root(doc, merge);
		return cox_doc_seal(doc);
	}
	if (!cox_node_is(cox_doc_root(doc), COX_MAP))
		cox_doc_set_root(doc, cox_doc_map(doc));
	merge_map(doc, cox_doc_root_edit(doc), merge);
	return cox_doc_seal(doc);
}
