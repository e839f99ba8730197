/* Golden tests: a folder is a case. The runner walks the cases of a folder in order of their names,
 * calls `run` for each, and compares what it wrote with the case's file `want`. With
 * COX_GOLDEN_WRITE set the files are written anew instead; look at the difference before you commit
 * it. */
#ifndef COX_TESTS_GOLDEN_H
#define COX_TESTS_GOLDEN_H

#include "common/base/buf.h"

/* folder: from the top of the source tree. only: a case's name, or NULL for all. Gives the
 * process's exit status: 0 when every case is as wanted and there is at least one. */
int golden_run(const char *folder, const char *only,
	       void (*run)(const char *case_folder, struct cox_buf *ret_text));

#endif
