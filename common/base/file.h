/* Files. What is written is either wholly there or not at all; what is read has a limit. */
#ifndef COX_BASE_FILE_H
#define COX_BASE_FILE_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <sys/types.h>

/* The whole file, appended to out; COX_RESOURCE_EXHAUSTED when it is longer than max_bytes.
 * "-" reads standard input. */
int cox_file_read(const char *path, size_t max_bytes, struct cox_buf *out, struct cox_error *err);
/* To a temporary beside it, fsync, rename, fsync of the directory. */
int cox_file_write(const char *path, struct cox_str content, mode_t mode, struct cox_error *err);
/* mkdir -p; only the last part gets mode, the others 0755. An existing directory is fine. */
int cox_dir_make(const char *path, mode_t mode, struct cox_error *err);
/* Takes an exclusive lock on path (made when missing); the descriptor holds it until closed.
 * COX_UNAVAILABLE when another process has it. */
int cox_file_lock(const char *path, int *ret_fd, struct cox_error *err);
/* dir + "/" + name, the caller's. name must be one plain component in what comes from outside;
 * see cox_name_is_safe. */
char *cox_path_join(const char *dir, const char *name);
/* ^[a-z0-9]([-a-z0-9.]{0,252})$ without "..": may be used as a file name. */
bool cox_name_is_safe(const char *name);

#endif
