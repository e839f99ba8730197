/* A local directory as a tree. The kernel holds the fence: openat2 with RESOLVE_BENEATH refuses
 * what leads out, RESOLVE_NO_SYMLINKS what leads anywhere else, also while it is being changed. */
#include "common/base/mem.h"
#include "common/base/vec.h"
#include "hub/source/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Immutable: no lock. */
struct dir_tree {
	struct hub_tree base;
	int root_fd;
};

static int open_beneath(struct dir_tree *t, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* EAGAIN: something was renamed on the way, and ".." could not be judged. */
	do
		fd = syscall(SYS_openat2, t->root_fd, *path ? path : ".", &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return (int)fd;
}

static bool is_link(struct dir_tree *t, const char *path)
{
	_cleanup_close_ int fd = open_beneath(t, path, O_PATH | O_NOFOLLOW);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

static int refuse_link(struct dir_tree *t, const char *path, struct cox_error *err)
{
	for (const char *end = strchrnul(path, '/');; end = strchrnul(end + 1, '/')) {
		_cleanup_free_ char *prefix = cox_strndup(path, (size_t)(end - path));

		if (is_link(t, prefix) || !*end)
			return cox_error(err, COX_FAILED_PRECONDITION,
					 "'%s' is a symbolic link, which is not followed", prefix);
	}
}

static int failed(struct dir_tree *t, const char *path, int sys, struct cox_error *err)
{
	if (sys == ELOOP)
		return refuse_link(t, path, err);
	if (sys == ENOENT || sys == ENOTDIR)
		return cox_error(err, COX_NOT_FOUND, "no '%s' in '%s'", path, t->base.name);
	if (sys == EXDEV)
		return cox_error(err, COX_PERMISSION_DENIED, "'%s' leads out of '%s'", path,
				 t->base.name);
	return cox_error_sys(err, sys, "cannot open '%s' in '%s'", path, t->base.name);
}

static enum hub_tree_kind kind_of_mode(mode_t mode)
{
	if (S_ISREG(mode))
		return HUB_TREE_FILE;
	if (S_ISDIR(mode))
		return HUB_TREE_DIR;
	return S_ISLNK(mode) ? HUB_TREE_LINK : HUB_TREE_OTHER;
}

static int dir_kind(struct hub_tree *base, const char *path, enum hub_tree_kind *ret_kind,
		    struct cox_error *err)
{
	struct dir_tree *t = (struct dir_tree *)base;
	_cleanup_close_ int fd = open_beneath(t, path, O_PATH | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return failed(t, path, errno, err);
	if (fstat(fd, &st) < 0)
		return cox_error_sys(err, errno, "cannot look at '%s'", path);
	*ret_kind = kind_of_mode(st.st_mode);
	return 0;
}

static int list_entries(DIR *dir, const char *path, struct hub_tree_list *list,
			struct cox_error *err)
{
	struct dirent *e;

	while ((errno = 0, e = readdir(dir))) {
		struct stat st;

		/* The repository around the files is not one of them. */
		if (cox_streq(e->d_name, ".") || cox_streq(e->d_name, "..") ||
		    cox_streq(e->d_name, ".git"))
			continue;
		if (list->n == HUB_LIMIT_DIR_ENTRIES)
			return cox_error(err, COX_RESOURCE_EXHAUSTED,
					 "'%s' has more than %d entries", path,
					 HUB_LIMIT_DIR_ENTRIES);
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue;
			return cox_error_sys(err, errno, "cannot look at '%s/%s'", path, e->d_name);
		}
		cox_vec_push(list, (struct hub_tree_entry){cox_strdup(e->d_name),
							   kind_of_mode(st.st_mode)});
	}
	if (errno)
		return cox_error_sys(err, errno, "cannot read directory '%s'", path);
	return 0;
}

static int dir_list(struct hub_tree *base, const char *path, struct hub_tree_list *ret_list,
		    struct cox_error *err)
{
	struct dir_tree *t = (struct dir_tree *)base;
	int fd = open_beneath(t, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	DIR *dir;
	int r;

	if (fd < 0)
		return failed(t, path, errno, err);
	dir = fdopendir(fd);
	if (!dir) {
		r = cox_error_sys(err, errno, "cannot read directory '%s'", path);
		close(fd);
		return r;
	}
	r = list_entries(dir, path, ret_list, err);
	closedir(dir);
	return r;
}

static int read_all(int fd, const char *path, size_t max_bytes, struct cox_buf *out,
		    struct cox_error *err)
{
	size_t before = out->len;

	for (;;) {
		ssize_t n;

		cox_buf_reserve(out, 65536);
		n = read(fd, out->ptr + out->len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cox_error_sys(err, errno, "cannot read '%s'", path);
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		out->ptr[out->len] = '\0';
		if (out->len - before > max_bytes)
			return cox_error(err, COX_RESOURCE_EXHAUSTED,
					 "'%s' is longer than %zu bytes", path, max_bytes);
	}
}

static int dir_read(struct hub_tree *base, const char *path, size_t max_bytes, struct cox_buf *out,
		    struct cox_error *err)
{
	struct dir_tree *t = (struct dir_tree *)base;
	/* O_NONBLOCK: a pipe that took the file's place does not hold us. */
	_cleanup_close_ int fd =
		open_beneath(t, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	size_t before = out->len;
	struct stat st;
	int r;

	if (fd < 0)
		return failed(t, path, errno, err);
	if (fstat(fd, &st) < 0)
		return cox_error_sys(err, errno, "cannot look at '%s'", path);
	if (!S_ISREG(st.st_mode))
		return cox_error(err, COX_FAILED_PRECONDITION, "'%s' is not a file", path);
	r = read_all(fd, path, max_bytes, out, err);
	if (r < 0) {
		out->len = before;
		out->ptr[before] = '\0';
	}
	return r;
}

static int dir_link(struct hub_tree *base, const char *path, struct cox_buf *out,
		    struct cox_error *err)
{
	struct dir_tree *t = (struct dir_tree *)base;
	_cleanup_close_ int fd = open_beneath(t, path, O_PATH | O_NOFOLLOW);
	char target[HUB_LIMIT_PATH_BYTES];
	ssize_t n;

	if (fd < 0)
		return failed(t, path, errno, err);
	n = readlinkat(fd, "", target, sizeof(target));
	if (n < 0)
		return cox_error_sys(err, errno, "cannot read link '%s'", path);
	cox_buf_add(out, target, (size_t)n);
	return 0;
}

static void dir_free(struct hub_tree *base)
{
	struct dir_tree *t = (struct dir_tree *)base;

	if (t->root_fd >= 0)
		close(t->root_fd);
	free(t);
}

static const struct hub_tree_ops dir_ops = {
	.list = dir_list,
	.read = dir_read,
	.kind = dir_kind,
	.link = dir_link,
	.free = dir_free,
};

int hub_tree_open_dir(const char *dir, struct hub_tree **ret_tree, struct cox_error *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dir_tree *t;

	if (fd < 0)
		return cox_error_sys(err, errno, "cannot open directory '%s'", dir);
	t = cox_new(struct dir_tree);
	t->base.ops = &dir_ops;
	atomic_init(&t->base.n_refs, 1);
	t->base.name = cox_strdup(dir);
	t->root_fd = fd;
	*ret_tree = &t->base;
	return 0;
}
