/* Child processes: an argument vector, never a shell; optional text on standard input, output
 * captured up to a limit, a deadline, the exit status to the loop. Each child is a process group of
 * its own, and all of the group is killed at the deadline. Loop-owned.
 */
#ifndef COX_RUN_CHILD_H
#define COX_RUN_CHILD_H

#include "common/base/buf.h"
#include "common/run/loop.h"

struct cox_child;

struct cox_child_options {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *const *env;	 /* NULL-terminated "NAME=value"; NULL: this process's own */
	const char *cwd;	 /* NULL: this process's own */
	struct cox_str input;	 /* for standard input, copied; then end of file */
	size_t max_output;	 /* bytes kept of each of the two outputs; 0: 1 MiB */
	int64_t timeout_ms;	 /* 0: 60 s; negative: none */
};

struct cox_child_result {
	int exit_status; /* 0 to 255; -1 when a signal ended it */
	int signal;	 /* that ended it, or 0 */
	bool timed_out;	 /* killed at the deadline */
	bool cut;	 /* an output was longer than max_output; the rest was read and dropped */
	struct cox_str out, errors; /* borrowed, valid during the callback */
};

/* done runs once, when the process has ended and its outputs are closed (or one second after its
 * end, when a grandchild keeps them open). *ret_child (may be NULL) is valid until done returns. */
int cox_child_start(struct cox_loop *loop, const struct cox_child_options *options,
		    void (*done)(void *arg, const struct cox_child_result *result), void *arg,
		    struct cox_child **ret_child, struct cox_error *err);
/* Kills the group, waits for the child to be gone, frees; done is not called. */
void cox_child_cancel(struct cox_child *child);
int cox_child_pid(const struct cox_child *child);

/* 0 when result is a plain exit with status 0; otherwise an error that says what happened, with the
 * last line of the error output. */
int cox_child_check(const struct cox_child_result *result, const char *program,
		    struct cox_error *err);

#endif
