#include "common/doc/diff.h"
#include "common/doc/internal.h"
#include "common/doc/path.h"

struct differ {
	cox_differences *out;
	size_t left;
};

void cox_differences_fini(cox_differences *d)
{
	COX_VEC_EACH (d, difference)
		free(difference->path);
	cox_vec_fini(d);
}

/* False when there is no room. */
static bool put(struct differ *d, const struct doc_path *path, const struct cox_node *from,
		const struct cox_node *to)
{
	struct cox_buf text = COX_BUF_INIT;

	if (!d->left)
		return false;
	d->left--;
	doc_path_write(&text, path);
	cox_vec_push(d->out, (struct cox_difference){
				     .change = !from ? COX_CHANGE_ADDED
					       : !to ? COX_CHANGE_REMOVED
						     : COX_CHANGE_VALUE,
				     .path = cox_buf_take(&text),
				     .from = from,
				     .to = to,
			     });
	return true;
}

static bool walk(struct differ *d, const struct doc_path *path, const struct cox_node *from,
		 const struct cox_node *to);

static bool walk_lists(struct differ *d, const struct doc_path *path, const struct cox_node *from,
		       const struct cox_node *to)
{
	for (uint32_t i = 0; i < from->len || i < to->len; i++) {
		struct doc_path step = {.parent = path, .index = i};

		if (!walk(d, &step, cox_node_at(from, i), cox_node_at(to, i)))
			return false;
	}
	return true;
}

static bool walk_maps(struct differ *d, const struct doc_path *path, const struct cox_node *from,
		      const struct cox_node *to)
{
	const struct doc_entry *e = from->body.map.entries, *f = to->body.map.entries;
	size_t n_common = 0;

	for (uint32_t i = 0; i < from->len; i++) {
		struct doc_path step = {.parent = path, .key = doc_key_str(e[i].key)};
		ptrdiff_t j = i < to->len && doc_key_same(e[i].key, f[i].key)
				      ? (ptrdiff_t)i
				      : doc_map_find(to, e[i].key);

		n_common += j >= 0;
		if (!walk(d, &step, e[i].value, j < 0 ? NULL : f[j].value))
			return false;
	}
	for (uint32_t j = 0; n_common < to->len && j < to->len; j++) {
		struct doc_path step = {.parent = path, .key = doc_key_str(f[j].key)};

		if (doc_map_find(from, f[j].key) < 0 && !put(d, &step, NULL, f[j].value))
			return false;
	}
	return true;
}

static bool walk(struct differ *d, const struct doc_path *path, const struct cox_node *from,
		 const struct cox_node *to)
{
	if (from == to)
		return true;
	if (from && to && from->kind == to->kind && from->kind == COX_MAP)
		return walk_maps(d, path, from, to);
	if (from && to && from->kind == to->kind && from->kind == COX_LIST)
		return walk_lists(d, path, from, to);
	return cox_node_equal(from, to) || put(d, path, from, to);
}

bool cox_diff(const struct cox_node *from, const struct cox_node *to, size_t max,
	      cox_differences *ret_differences)
{
	struct differ d = {.out = ret_differences, .left = max};
	struct doc_path root = {0};

	return walk(&d, &root, from, to);
}
