/* A commit of a mirror as a tree. Blobs come out of the object database; nothing is checked out. */
#include "common/base/mem.h"
#include "common/base/vec.h"
#include "hub/source/private.h"

/* `repo` and `root` are under `lock`: libgit2's caches are shared between all who use one handle. */
struct commit_tree {
	struct hub_tree base;
	pthread_mutex_t lock;
	git_repository *repo;
	git_tree *root;
};

static enum hub_tree_kind kind_of(git_filemode_t mode)
{
	switch (mode) {
	case GIT_FILEMODE_TREE:
		return HUB_TREE_DIR;
	case GIT_FILEMODE_BLOB:
	case GIT_FILEMODE_BLOB_EXECUTABLE:
		return HUB_TREE_FILE;
	case GIT_FILEMODE_LINK:
		return HUB_TREE_LINK;
	case GIT_FILEMODE_COMMIT:
		return HUB_TREE_SUBMODULE;
	default:
		return HUB_TREE_OTHER;
	}
}

static int missing(struct commit_tree *t, const char *path, struct cox_error *err)
{
	return cox_error(err, COX_NOT_FOUND, "no '%s' in '%s' at %.12s", path, t->base.name,
			 t->base.commit);
}

/* Why a path led nowhere: a link or a submodule on the way, or nothing at all. */
static int explain(struct commit_tree *t, const char *path, struct cox_error *err)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		_cleanup_free_ char *prefix = cox_strndup(path, (size_t)(slash - path));
		git_tree_entry *entry;
		enum hub_tree_kind kind;

		if (git_tree_entry_bypath(&entry, t->root, prefix) < 0)
			break;
		kind = kind_of(git_tree_entry_filemode(entry));
		git_tree_entry_free(entry);
		if (kind == HUB_TREE_LINK)
			return cox_error(err, COX_FAILED_PRECONDITION,
					 "'%s' is a symbolic link, which is not followed", prefix);
		if (kind == HUB_TREE_SUBMODULE)
			return cox_error(err, COX_FAILED_PRECONDITION,
					 "'%s' is a submodule, which is not followed", prefix);
	}
	return missing(t, path, err);
}

static int find(struct commit_tree *t, const char *path, git_tree_entry **ret_entry,
		struct cox_error *err)
{
	int r = git_tree_entry_bypath(ret_entry, t->root, path);

	if (r == GIT_ENOTFOUND || r == GIT_EINVALIDSPEC)
		return explain(t, path, err);
	if (r < 0)
		return hub_git_error(err, COX_DATA_LOSS, "cannot look up '%s' in '%s'", path,
				     t->base.name);
	return 0;
}

static int list_tree(struct commit_tree *t, git_tree *dir, const char *path,
		     struct hub_tree_list *list, struct cox_error *err)
{
	size_t n = git_tree_entrycount(dir);

	if (n > HUB_LIMIT_DIR_ENTRIES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "'%s' in '%s' has more than %d entries", path, t->base.name,
				 HUB_LIMIT_DIR_ENTRIES);
	for (size_t i = 0; i < n; i++) {
		const git_tree_entry *e = git_tree_entry_byindex(dir, i);
		const char *name = git_tree_entry_name(e);

		/* Git itself refuses to check such trees out; somebody made this one by hand. */
		if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 ||
		    strcmp(name, "..") == 0)
			return cox_error(err, COX_INVALID_ARGUMENT,
					 "'%s' in '%s' has an entry with a forbidden name", path,
					 t->base.name);
		cox_vec_push(list, (struct hub_tree_entry){cox_strdup(name),
							   kind_of(git_tree_entry_filemode(e))});
	}
	return 0;
}

static int list_locked(struct commit_tree *t, const char *path, struct hub_tree_list *list,
		       struct cox_error *err)
{
	git_tree_entry *entry;
	git_tree *dir;
	int r;

	if (!*path)
		return list_tree(t, t->root, path, list, err);
	r = find(t, path, &entry, err);
	if (r < 0)
		return r;
	r = git_tree_lookup(&dir, t->repo, git_tree_entry_id(entry));
	git_tree_entry_free(entry);
	if (r < 0)
		return hub_git_error(err, COX_DATA_LOSS, "cannot read '%s' in '%s'", path,
				     t->base.name);
	r = list_tree(t, dir, path, list, err);
	git_tree_free(dir);
	return r;
}

static int commit_list(struct hub_tree *base, const char *path, struct hub_tree_list *ret_list,
		       struct cox_error *err)
{
	struct commit_tree *t = (struct commit_tree *)base;
	int r;

	pthread_mutex_lock(&t->lock);
	r = list_locked(t, path, ret_list, err);
	pthread_mutex_unlock(&t->lock);
	return r;
}

/* The size is asked for first, so that a huge blob costs nothing. */
static int read_blob(struct commit_tree *t, const git_oid *id, const char *path, size_t max_bytes,
		     struct cox_buf *out, struct cox_error *err)
{
	git_odb_object *object = NULL;
	git_object_t type;
	size_t size;
	git_odb *odb;
	int r;

	if (git_repository_odb(&odb, t->repo) < 0)
		return hub_git_error(err, COX_DATA_LOSS, "cannot read '%s'", t->base.name);
	r = git_odb_read_header(&size, &type, odb, id);
	if (r == 0 && size > max_bytes) {
		git_odb_free(odb);
		return cox_error(err, COX_RESOURCE_EXHAUSTED, "'%s' is longer than %zu bytes", path,
				 max_bytes);
	}
	if (r == 0)
		r = git_odb_read(&object, odb, id);
	git_odb_free(odb);
	if (r < 0 || type != GIT_OBJECT_BLOB) {
		git_odb_object_free(object);
		return hub_git_error(err, COX_DATA_LOSS, "cannot read '%s' in '%s'", path,
				     t->base.name);
	}
	cox_buf_add(out, git_odb_object_data(object), git_odb_object_size(object));
	git_odb_object_free(object);
	return 0;
}

static int commit_read(struct hub_tree *base, const char *path, size_t max_bytes,
		       struct cox_buf *out, struct cox_error *err)
{
	struct commit_tree *t = (struct commit_tree *)base;
	git_tree_entry *entry;
	int r;

	pthread_mutex_lock(&t->lock);
	r = find(t, path, &entry, err);
	if (r == 0) {
		r = read_blob(t, git_tree_entry_id(entry), path, max_bytes, out, err);
		git_tree_entry_free(entry);
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

static int commit_kind(struct hub_tree *base, const char *path, enum hub_tree_kind *ret_kind,
		       struct cox_error *err)
{
	struct commit_tree *t = (struct commit_tree *)base;
	git_tree_entry *entry;
	int r;

	if (!*path) {
		*ret_kind = HUB_TREE_DIR;
		return 0;
	}
	pthread_mutex_lock(&t->lock);
	r = find(t, path, &entry, err);
	if (r == 0) {
		*ret_kind = kind_of(git_tree_entry_filemode(entry));
		git_tree_entry_free(entry);
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

static int commit_id(struct hub_tree *base, const char *path, char ret_id[65],
		     struct cox_error *err)
{
	struct commit_tree *t = (struct commit_tree *)base;
	git_tree_entry *entry;
	int r;

	pthread_mutex_lock(&t->lock);
	r = find(t, path, &entry, err);
	if (r == 0) {
		if (kind_of(git_tree_entry_filemode(entry)) == HUB_TREE_FILE)
			git_oid_tostr(ret_id, 65, git_tree_entry_id(entry));
		else
			r = cox_error(err, COX_FAILED_PRECONDITION, "'%s' is no plain file", path);
		git_tree_entry_free(entry);
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

static int commit_link(struct hub_tree *base, const char *path, struct cox_buf *out,
		       struct cox_error *err)
{
	return commit_read(base, path, HUB_LIMIT_PATH_BYTES, out, err);
}

static void commit_free(struct hub_tree *base)
{
	struct commit_tree *t = (struct commit_tree *)base;

	git_tree_free(t->root);
	git_repository_free(t->repo);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static const struct hub_tree_ops commit_ops = {
	.list = commit_list,
	.read = commit_read,
	.kind = commit_kind,
	.id = commit_id,
	.link = commit_link,
	.free = commit_free,
};

int hub_tree_open_commit(git_repository *repo, const char *url, const git_oid *commit,
			 struct hub_tree **ret_tree, struct cox_error *err)
{
	struct commit_tree *t;
	git_commit *object;
	git_tree *root = NULL;
	int r;

	r = git_commit_lookup(&object, repo, commit);
	if (r == 0) {
		r = git_commit_tree(&root, object);
		git_commit_free(object);
	}
	if (r < 0) {
		char hex[41] = "";

		git_oid_tostr(hex, sizeof(hex), commit);
		git_repository_free(repo);
		return hub_git_error(err, COX_NOT_FOUND, "no commit %s in '%s'", hex, url);
	}
	t = cox_new(struct commit_tree);
	t->base.ops = &commit_ops;
	atomic_init(&t->base.n_refs, 1);
	t->base.name = cox_strdup(url);
	git_oid_tostr(t->base.commit, sizeof(t->base.commit), commit);
	pthread_mutex_init(&t->lock, NULL);
	t->repo = repo;
	t->root = root;
	*ret_tree = &t->base;
	return 0;
}
