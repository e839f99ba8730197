#include "common/base/file.h"

#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "common/base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int cox_file_read(const char *path, size_t max_bytes, struct cox_buf *out, struct cox_error *err)
{
	bool standard = strcmp(path, "-") == 0;
	_cleanup_close_ int own = -1;
	size_t before = out->len;
	int fd = STDIN_FILENO;

	if (!standard) {
		fd = own = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return cox_error_sys(err, errno, "cannot open '%s'", path);
	}
	for (;;) {
		ssize_t n;

		cox_buf_reserve(out, 65536);
		n = read(fd, out->ptr + out->len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int sys = errno;

			out->len = before;
			return cox_error_sys(err, sys, "cannot read '%s'", path);
		}
		out->len += (size_t)n;
		out->ptr[out->len] = '\0';
		if (out->len - before > max_bytes) {
			out->len = before;
			return cox_error(err, COX_RESOURCE_EXHAUSTED,
					 "'%s' is longer than %zu bytes", path, max_bytes);
		}
		if (n == 0)
			return 0;
	}
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

static int sync_parent(const char *path)
{
	_cleanup_free_ char *dir = cox_strdup(path);
	char *slash = strrchr(dir, '/');
	_cleanup_close_ int fd = -1;

	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int cox_file_write(const char *path, struct cox_str content, mode_t mode, struct cox_error *err)
{
	char uuid[COX_UUID_TEXT];
	_cleanup_free_ char *temporary = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	cox_uuid_new(uuid);
	temporary = cox_asprintf("%s.%.8s.tmp", path, uuid);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return cox_error_sys(err, errno, "cannot create '%s'", temporary);
	r = write_all(fd, content.ptr, content.len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(temporary);
		return cox_error_sys(err, -r, "cannot write '%s'", path);
	}
	r = sync_parent(path);
	if (r < 0)
		return cox_error_sys(err, -r, "cannot sync the directory of '%s'", path);
	return 0;
}

int cox_dir_make(const char *path, mode_t mode, struct cox_error *err)
{
	_cleanup_free_ char *part = cox_strdup(path);
	struct stat st;

	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return cox_error_sys(err, errno, "cannot make directory '%s'", part);
		*p = '/';
	}
	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return cox_error_sys(err, errno, "cannot make directory '%s'", path);
	if (stat(path, &st) < 0)
		return cox_error_sys(err, errno, "cannot look at '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return cox_error(err, COX_ALREADY_EXISTS, "'%s' is not a directory", path);
	return 0;
}

int cox_file_lock(const char *path, int *ret_fd, struct cox_error *err)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return cox_error_sys(err, errno, "cannot open '%s'", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return cox_error(err, COX_UNAVAILABLE, "'%s' is locked by another process",
					 path);
		return cox_error_sys(err, errno, "cannot lock '%s'", path);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

char *cox_path_join(const char *dir, const char *name)
{
	size_t n = strlen(dir);

	return cox_asprintf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

bool cox_name_is_safe(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > 253 || name[0] == '-' || name[0] == '.' || strstr(name, ".."))
		return false;
	for (const char *p = name; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' ||
		      *p == '.'))
			return false;
	return true;
}
