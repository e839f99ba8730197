#include "hub/source/reads.h"

#include "common/base/mem.h"
#include "common/base/vec.h"
#include "common/crypto/digest.h"

#include <stdio.h>

#define MAX_BYTES SIZE_MAX /* what is not read again is not limited again */

void hub_reads_fini(struct hub_reads *r)
{
	COX_VEC_EACH (r, read)
		free(read->path);
	cox_vec_fini(r);
	cox_map_fini(&r->by_path);
}

/* What says more of a path takes the place of what said less. */
static void note(struct hub_reads *r, const char *path, enum hub_read_what what, const char *id)
{
	size_t at = (size_t)(uintptr_t)cox_map_get(&r->by_path, path);
	struct hub_read read = {.what = what};

	snprintf(read.id, sizeof(read.id), "%s", id);
	if (!at) {
		read.path = cox_strdup(path);
		cox_vec_push(r, read);
		cox_map_set(&r->by_path, path, (void *)(uintptr_t)r->n);
		return;
	}
	if (r->items[at - 1].what >= what)
		return;
	read.path = r->items[at - 1].path;
	r->items[at - 1] = read;
}

/* ---- what is the same when it is the same ---- */

static const char *kind_word(enum hub_tree_kind kind)
{
	static const char *const words[] = {
		[HUB_TREE_FILE] = "file",
		[HUB_TREE_DIR] = "directory",
		[HUB_TREE_LINK] = "link",
		[HUB_TREE_SUBMODULE] = "submodule",
		[HUB_TREE_OTHER] = "something else",
	};

	return words[kind];
}

static void names_id(const struct hub_tree_list *list, char ret_id[65])
{
	struct cox_sha256 s;

	cox_sha256_init(&s);
	for (size_t i = 0; i < list->n; i++) {
		const struct hub_tree_entry *e = &list->items[i];

		cox_sha256_update(&s, cox_str_n(e->name, strlen(e->name) + 1));
		cox_sha256_update(&s, cox_str(kind_word(e->kind)));
	}
	cox_sha256_final_hex(&s, ret_id);
}

static int content_id(struct hub_tree *t, const char *path, char ret_id[65], struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf content = COX_BUF_INIT;
	int r;

	if (t->ops->id && !t->follow_links)
		return t->ops->id(t, path, ret_id, err);
	r = hub_tree_read(t, path, MAX_BYTES, &content, err);
	if (r == 0)
		cox_sha256_hex(cox_buf_str(&content), ret_id);
	return r;
}

/* Appends where it leads. */
static int link_id(struct hub_tree *t, const char *path, struct cox_buf *out, char ret_id[65],
		   struct cox_error *err)
{
	size_t before = out->len;
	int r = t->ops->link(t, path, out, err);

	if (r == 0)
		cox_sha256_hex(cox_str_n(out->ptr ? out->ptr + before : "", out->len - before),
			       ret_id);
	return r;
}

/* ---- the recording tree ---- */

struct recording {
	struct hub_tree base;
	struct hub_tree *inner;
	struct hub_reads *reads;
};

static int recording_kind(struct hub_tree *base, const char *path, enum hub_tree_kind *ret_kind,
			  struct cox_error *err)
{
	struct recording *t = (struct recording *)base;
	int r = hub_tree_kind(t->inner, path, ret_kind, err);

	if (r == 0)
		note(t->reads, path, HUB_READ_KIND, kind_word(*ret_kind));
	else if (r == -COX_NOT_FOUND)
		note(t->reads, path, HUB_READ_KIND, "");
	return r;
}

static int recording_list(struct hub_tree *base, const char *path, struct hub_tree_list *ret_list,
			  struct cox_error *err)
{
	struct recording *t = (struct recording *)base;
	char id[65];
	int r = hub_tree_list(t->inner, path, ret_list, err);

	if (r < 0)
		return r;
	names_id(ret_list, id);
	note(t->reads, path, HUB_READ_NAMES, id);
	return 0;
}

static int recording_read(struct hub_tree *base, const char *path, size_t max_bytes,
			  struct cox_buf *out, struct cox_error *err)
{
	struct recording *t = (struct recording *)base;
	size_t before = out->len;
	char id[65];
	int r = hub_tree_read(t->inner, path, max_bytes, out, err);

	if (r == 0 && t->inner->ops->id && !t->inner->follow_links)
		r = t->inner->ops->id(t->inner, path, id, err);
	else if (r == 0)
		cox_sha256_hex(cox_str_n(out->ptr ? out->ptr + before : "", out->len - before), id);
	if (r < 0)
		return r;
	note(t->reads, path, HUB_READ_CONTENT, id);
	return 0;
}

static int recording_link(struct hub_tree *base, const char *path, struct cox_buf *out,
			  struct cox_error *err)
{
	struct recording *t = (struct recording *)base;
	char id[65];
	int r = link_id(t->inner, path, out, id, err);

	if (r == 0)
		note(t->reads, path, HUB_READ_LINK, id);
	return r;
}

static void recording_free(struct hub_tree *base)
{
	struct recording *t = (struct recording *)base;

	hub_tree_unref(t->inner);
	free(t);
}

static const struct hub_tree_ops recording_ops = {
	.list = recording_list,
	.read = recording_read,
	.kind = recording_kind,
	.link = recording_link,
	.free = recording_free,
};

struct hub_tree *hub_tree_recording(struct hub_tree *inner, struct hub_reads *reads)
{
	struct recording *t = cox_new(struct recording);

	t->base.ops = &recording_ops;
	atomic_init(&t->base.n_refs, 1);
	t->base.name = cox_strdup(inner->name);
	memcpy(t->base.commit, inner->commit, sizeof(t->base.commit));
	t->inner = hub_tree_ref(inner);
	t->reads = reads;
	return &t->base;
}

/* ---- checking ---- */

static int id_now(const struct hub_read *read, struct hub_tree *t, char ret_id[65],
		  struct cox_error *err)
{
	_cleanup_tree_list_ struct hub_tree_list list = HUB_TREE_LIST_INIT;
	_cleanup_buf_ struct cox_buf target = COX_BUF_INIT;
	enum hub_tree_kind kind;
	int r = 0;

	switch (read->what) {
	case HUB_READ_LINK:
		r = t->ops->kind(t, read->path, &kind, err);
		if (r == 0 && kind == HUB_TREE_LINK)
			r = link_id(t, read->path, &target, ret_id, err);
		return r;
	case HUB_READ_CONTENT:
		return content_id(t, read->path, ret_id, err);
	case HUB_READ_NAMES:
		r = hub_tree_list(t, read->path, &list, err);
		if (r == 0)
			names_id(&list, ret_id);
		return r;
	case HUB_READ_KIND:
		r = hub_tree_kind(t, read->path, &kind, err);
		if (r == 0)
			snprintf(ret_id, 65, "%s", kind_word(kind));
		return r;
	}
	return cox_error(err, COX_INTERNAL, "a read of unknown kind");
}

int hub_reads_hold(const struct hub_reads *reads, struct hub_tree *t, struct cox_error *err)
{
	COX_VEC_EACH (reads, read) {
		char id[65] = "";
		int r = id_now(read, t, id, err);

		/* what is something else now, or below something else, is not the same */
		if (r == -COX_NOT_FOUND || r == -COX_FAILED_PRECONDITION)
			id[0] = 0;
		else if (r < 0)
			return r;
		if (strcmp(id, read->id) != 0 || (r < 0 && r != -COX_NOT_FOUND))
			return 0;
	}
	return 1;
}
