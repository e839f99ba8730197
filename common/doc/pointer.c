#include "common/doc/pointer.h"
#include "common/doc/internal.h"

struct walk {
	struct cox_str pointer, rest; /* rest: from the next slash on */
	struct cox_buf room;	      /* a step whose escapes were resolved */
	unsigned flags;
	struct cox_error *err;
};

static int fail(const struct walk *w, enum cox_code code, const char *why, struct cox_str what)
{
	return cox_error(w->err, code, "'%.*s': %s '%.*s'",
			 w->pointer.len > 120 ? 120 : (int)w->pointer.len, w->pointer.ptr, why,
			 what.len > 60 ? 60 : (int)what.len, what.ptr);
}

static int walk_begin(struct walk *w, struct cox_str pointer, unsigned flags, struct cox_error *err)
{
	*w = (struct walk){.pointer = pointer, .rest = pointer, .flags = flags, .err = err};
	if (!pointer.len || pointer.ptr[0] == '/')
		return 0;
	return cox_error(err, COX_INVALID_ARGUMENT, "'%.*s': a JSON pointer starts with '/'",
			 pointer.len > 120 ? 120 : (int)pointer.len, pointer.ptr);
}

static int unescape(struct walk *w, struct cox_str *step)
{
	cox_buf_clear(&w->room);
	for (size_t i = 0; i < step->len; i++) {
		char c = step->ptr[i];

		if (c == '~') {
			c = i + 1 < step->len ? step->ptr[++i] : '\0';
			if (c != '0' && c != '1')
				return fail(w, COX_INVALID_ARGUMENT,
					    "'~' must be '~0', and '/' in a key '~1', in", *step);
			c = c == '0' ? '~' : '/';
		}
		cox_buf_putc(&w->room, c);
	}
	*step = cox_str_n(cox_buf_cstr(&w->room), w->room.len);
	return 0;
}

/* 1 and the next step, valid until the next call; 0 at the end. */
static int next_step(struct walk *w, struct cox_str *ret_step)
{
	struct cox_str step;
	const char *slash;

	if (!w->rest.len)
		return 0;
	step = cox_str_n(w->rest.ptr + 1, w->rest.len - 1);
	slash = memchr(step.ptr, '/', step.len);
	if (slash)
		step.len = (size_t)(slash - step.ptr);
	w->rest = cox_str_n(step.ptr + step.len, w->rest.len - 1 - step.len);
	if (memchr(step.ptr, '~', step.len)) {
		int r = unescape(w, &step);

		if (r < 0)
			return r;
	}
	*ret_step = step;
	return 1;
}

/* RFC 6901, section 4: no leading zeros. 0 and an index below n. */
static int parse_index(const struct walk *w, struct cox_str step, size_t n, size_t *ret_index)
{
	bool negative = (w->flags & COX_POINTER_NEGATIVE) && step.len > 1 && step.ptr[0] == '-';
	struct cox_str digits = negative ? cox_str_n(step.ptr + 1, step.len - 1) : step;
	int64_t value;

	if (!digits.len || digits.ptr[0] < '0' || digits.ptr[0] > '9' ||
	    (digits.len > 1 && digits.ptr[0] == '0') || !doc_parse_int(digits, &value))
		return fail(w, COX_INVALID_ARGUMENT, "expected an index of a list, found", step);
	if (negative)
		value = (int64_t)n - value;
	if (value < 0 || (uint64_t)value >= n)
		return fail(w, COX_NOT_FOUND, "the list has no item", step);
	*ret_index = (size_t)value;
	return 0;
}

static int not_a_container(const struct walk *w, struct cox_str step)
{
	return fail(w, COX_INVALID_ARGUMENT, "neither a map nor a list has the step", step);
}

/* 0 and the index of the map's entry or list's item that the step names. */
static int locate(const struct walk *w, const struct cox_node *node, struct cox_str step,
		  size_t *ret_index)
{
	ptrdiff_t i;

	if (node->kind == COX_LIST)
		return parse_index(w, step, node->len, ret_index);
	if (node->kind != COX_MAP)
		return not_a_container(w, step);
	i = cox_node_find(node, step);
	if (i < 0)
		return fail(w, COX_NOT_FOUND, "no key", step);
	*ret_index = (size_t)i;
	return 0;
}

int cox_pointer_get(const struct cox_node *root, struct cox_str pointer, unsigned flags,
		    const struct cox_node **ret_node, struct cox_error *err)
{
	struct cox_str step;
	struct walk w;
	int r = walk_begin(&w, pointer, flags, err);
	size_t i;

	if (r < 0)
		return r;
	if (!root)
		return cox_error(err, COX_NOT_FOUND, "there is no document");
	while ((r = next_step(&w, &step)) > 0) {
		r = locate(&w, root, step, &i);
		if (r < 0)
			break;
		root = cox_node_at(root, i);
	}
	cox_buf_fini(&w.room);
	if (r == 0)
		*ret_node = root;
	return r;
}

/* One step down as doc's own node; NULL when it failed, the code in *r. */
static struct cox_node *descend(struct walk *w, struct cox_doc *doc, struct cox_node *node,
				struct cox_str step, int *r)
{
	size_t i;

	if ((w->flags & COX_POINTER_CREATE) && node->kind == COX_MAP &&
	    cox_node_find(node, step) < 0) {
		struct cox_node *made = cox_doc_map(doc);

		cox_map_put_str(doc, node, step, made);
		return made;
	}
	*r = locate(w, node, step, &i);
	if (*r < 0)
		return NULL;
	return node->kind == COX_MAP ? cox_map_edit_str(doc, node, step)
				     : cox_list_edit(doc, node, i);
}

/* The map or list that holds what the pointer names, as doc's own, and the last step. */
static int walk_parent(struct walk *w, struct cox_doc *doc, struct cox_node **ret_parent,
		       struct cox_str *ret_step)
{
	const char *slash = memrchr(w->pointer.ptr, '/', w->pointer.len);
	struct cox_str last = cox_str_n(slash, w->pointer.len - (size_t)(slash - w->pointer.ptr));
	struct cox_node *node = cox_doc_root_edit(doc);
	struct cox_str step;
	int r;

	if (!node)
		return cox_error(w->err, COX_NOT_FOUND, "there is no document");
	w->rest.len -= last.len;
	while ((r = next_step(w, &step)) > 0) {
		node = descend(w, doc, node, step, &r);
		if (!node)
			return r;
	}
	if (r < 0)
		return r;
	w->rest = last;
	*ret_parent = node;
	r = next_step(w, ret_step);
	return r < 0 ? r : 0;
}

static int add_at(const struct walk *w, struct cox_doc *doc, struct cox_node *parent,
		  struct cox_str step, const struct cox_node *value)
{
	size_t i = 0;
	int r;

	if (parent->kind == COX_MAP) {
		cox_map_put_str(doc, parent, step, value);
		return 0;
	}
	if (parent->kind != COX_LIST)
		return not_a_container(w, step);
	if (cox_str_is(step, "-")) {
		cox_list_push(doc, parent, value);
		return 0;
	}
	r = parse_index(w, step, (size_t)parent->len + 1, &i);
	if (r == 0)
		cox_list_insert(doc, parent, i, value);
	return r;
}

static int replace_at(const struct walk *w, struct cox_doc *doc, struct cox_node *parent,
		      struct cox_str step, const struct cox_node *value)
{
	size_t i;
	int r;

	if (parent->kind == COX_MAP && (w->flags & (COX_POINTER_UPSERT | COX_POINTER_CREATE))) {
		cox_map_put_str(doc, parent, step, value);
		return 0;
	}
	r = locate(w, parent, step, &i);
	if (r < 0)
		return r;
	if (parent->kind == COX_MAP)
		cox_map_put_str(doc, parent, step, value);
	else
		cox_list_set(doc, parent, i, value);
	return 0;
}

static int remove_at(const struct walk *w, struct cox_doc *doc, struct cox_node *parent,
		     struct cox_str step, const struct cox_node *value)
{
	size_t i;
	int r = locate(w, parent, step, &i);

	(void)value;
	if (r < 0)
		return r;
	if (parent->kind == COX_MAP)
		cox_map_drop(doc, parent, step);
	else
		cox_list_drop(doc, parent, i);
	return 0;
}

typedef int change_func(const struct walk *w, struct cox_doc *doc, struct cox_node *parent,
			struct cox_str step, const struct cox_node *value);

static int change(struct cox_doc *doc, struct cox_str pointer, const struct cox_node *value,
		  unsigned flags, change_func *at, struct cox_error *err)
{
	struct cox_node *parent = NULL;
	struct cox_str step = COX_STR("");
	struct walk w;
	int r = walk_begin(&w, pointer, flags, err);

	if (r < 0)
		return r;
	if (!pointer.len) {
		if (!value)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "'': the whole document cannot be removed");
		cox_doc_set_root(doc, value);
		return 0;
	}
	r = walk_parent(&w, doc, &parent, &step);
	if (r == 0)
		r = at(&w, doc, parent, step, value);
	cox_buf_fini(&w.room);
	return r;
}

int cox_pointer_add(struct cox_doc *doc, struct cox_str pointer, const struct cox_node *value,
		    unsigned flags, struct cox_error *err)
{
	return change(doc, pointer, value, flags, add_at, err);
}

int cox_pointer_replace(struct cox_doc *doc, struct cox_str pointer, const struct cox_node *value,
			unsigned flags, struct cox_error *err)
{
	return change(doc, pointer, value, flags, replace_at, err);
}

int cox_pointer_remove(struct cox_doc *doc, struct cox_str pointer, unsigned flags,
		       struct cox_error *err)
{
	return change(doc, pointer, NULL, flags & ~(unsigned)COX_POINTER_CREATE, remove_at, err);
}

void cox_pointer_push(struct cox_buf *pointer, struct cox_str key)
{
	cox_buf_putc(pointer, '/');
	for (size_t i = 0; i < key.len; i++) {
		if (key.ptr[i] == '~')
			cox_buf_puts(pointer, "~0");
		else if (key.ptr[i] == '/')
			cox_buf_puts(pointer, "~1");
		else
			cox_buf_putc(pointer, key.ptr[i]);
	}
}
