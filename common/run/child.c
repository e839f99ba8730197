#include "common/run/child.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEFAULT_OUTPUT = 1 << 20, DEFAULT_TIMEOUT_MS = 60000, LINGER_MS = 1000 };

/* One end of a pipe that the loop watches; fd is -1 when closed. */
struct pipe_end {
	struct cox_child *child;
	struct cox_io io;
	int fd;
	struct cox_buf text; /* captured, or still to be written */
};

struct cox_child {
	struct cox_loop *loop;
	pid_t pid;
	int pid_fd;
	struct cox_io pid_io;
	struct pipe_end in, out, errors;
	size_t max_output;
	struct cox_timer deadline, linger;
	struct cox_child_result result;
	bool ended; /* waited for */
	void (*done)(void *arg, const struct cox_child_result *result);
	void *arg;
};

static void close_end(struct pipe_end *end)
{
	cox_io_fini(&end->io);
	cox_close_p(&end->fd);
	end->fd = -1;
}

static void free_child(struct cox_child *child)
{
	close_end(&child->in);
	close_end(&child->out);
	close_end(&child->errors);
	cox_io_fini(&child->pid_io);
	cox_close_p(&child->pid_fd);
	cox_timer_stop(&child->deadline);
	cox_timer_stop(&child->linger);
	cox_buf_fini(&child->in.text);
	cox_buf_fini(&child->out.text);
	cox_buf_fini(&child->errors.text);
	free(child);
}

static void complete(struct cox_child *child)
{
	child->result.out = cox_str(cox_buf_cstr(&child->out.text));
	child->result.out.len = child->out.text.len;
	child->result.errors = cox_str(cox_buf_cstr(&child->errors.text));
	child->result.errors.len = child->errors.text.len;
	/* Nothing of it is watched any more, so that done may run a loop of its own. */
	cox_io_fini(&child->pid_io);
	close_end(&child->in);
	close_end(&child->out);
	close_end(&child->errors);
	cox_timer_stop(&child->deadline);
	cox_timer_stop(&child->linger);
	child->done(child->arg, &child->result);
	free_child(child);
}

static void complete_if_over(struct cox_child *child)
{
	if (child->ended && child->out.fd < 0 && child->errors.fd < 0)
		complete(child);
}

static void kill_group(struct cox_child *child)
{
	/* The group exists as long as the child was not waited for. */
	if (!child->ended)
		kill(-child->pid, SIGKILL);
}

static void reap(struct cox_child *child)
{
	siginfo_t info = {0};

	while (waitid(P_PIDFD, child->pid_fd, &info, WEXITED) < 0)
		COX_ASSERT(errno == EINTR);
	child->ended = true;
	bool exited = info.si_code == CLD_EXITED;
	child->result.exit_status = exited ? info.si_status : -1;
	child->result.signal = exited ? 0 : info.si_status;
}

static void on_ended(void *arg, int events)
{
	struct cox_child *child = arg;

	(void)events;
	/* A process that the child left behind would hold the outputs open for ever. */
	if (child->result.timed_out)
		kill_group(child);
	reap(child);
	cox_io_fini(&child->pid_io);
	cox_timer_stop(&child->deadline);
	cox_timer_start(&child->linger, LINGER_MS);
	complete_if_over(child);
}

static void on_linger(void *arg)
{
	complete(arg);
}

static void on_deadline(void *arg)
{
	struct cox_child *child = arg;

	child->result.timed_out = true;
	kill_group(child);
}

static void on_output(void *arg, int events)
{
	struct pipe_end *end = arg;
	struct cox_child *child = end->child;
	char bytes[16384];
	ssize_t n = read(end->fd, bytes, sizeof(bytes));

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_end(end);
		complete_if_over(child);
		return;
	}
	size_t room = child->max_output - end->text.len;
	if ((size_t)n > room)
		child->result.cut = true;
	cox_buf_add(&end->text, bytes, (size_t)n < room ? (size_t)n : room);
}

static void on_input(void *arg, int events)
{
	struct pipe_end *end = arg;
	ssize_t n = write(end->fd, end->text.ptr, end->text.len);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		cox_buf_consume(&end->text, (size_t)n);
	/* EPIPE: it does not want the rest, which is its right. */
	if (n < 0 || end->text.len == 0)
		close_end(end);
}

/* Our end does not block; theirs does, as programs expect. */
static int open_pipe(struct pipe_end *end, bool we_write, int *ret_theirs)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	end->fd = fds[we_write ? 1 : 0];
	*ret_theirs = fds[we_write ? 0 : 1];
	return fcntl(end->fd, F_SETFL, O_NONBLOCK);
}

static int spawn(const struct cox_child_options *o, const int theirs[3], pid_t *ret_pid)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t defaults, none;
	int sys = 0;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	for (int fd = 0; fd < 3 && !sys; fd++)
		sys = posix_spawn_file_actions_adddup2(&actions, theirs[fd], fd);
	if (!sys && o->cwd)
		sys = posix_spawn_file_actions_addchdir_np(&actions, o->cwd);
	sigfillset(&defaults);
	sigemptyset(&none);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETPGROUP);
	if (!sys)
		sys = posix_spawnp(ret_pid, o->argv[0], &actions, &attributes,
				   (char *const *)o->argv,
				   o->env ? (char *const *)o->env : environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return sys;
}

static int start_process(struct cox_child *child, const struct cox_child_options *o)
{
	int theirs[3] = {-1, -1, -1};
	int sys = 0;

	if (open_pipe(&child->in, true, &theirs[0]) < 0 ||
	    open_pipe(&child->out, false, &theirs[1]) < 0 ||
	    open_pipe(&child->errors, false, &theirs[2]) < 0)
		sys = errno;
	if (!sys)
		sys = spawn(o, theirs, &child->pid);
	for (int i = 0; i < 3; i++)
		cox_close_p(&theirs[i]);
	if (sys)
		return sys;
	child->pid_fd = pidfd_open(child->pid, 0);
	if (child->pid_fd < 0) {
		sys = errno;
		kill(-child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
	}
	return sys;
}

static void watch(struct cox_io *io, struct cox_loop *loop, int fd, int events,
		  void (*fn)(void *arg, int events), void *arg)
{
	cox_io_init(io, loop, fd, fn, arg);
	/* epoll refuses only regular files and a machine out of memory. */
	COX_ASSERT(cox_io_watch(io, events, NULL) == 0);
}

int cox_child_start(struct cox_loop *loop, const struct cox_child_options *o,
		    void (*done)(void *arg, const struct cox_child_result *result), void *arg,
		    struct cox_child **ret_child, struct cox_error *err)
{
	COX_ASSERT(cox_loop_is_owner(loop));
	struct cox_child *child = cox_new(struct cox_child);

	child->loop = loop;
	child->done = done;
	child->arg = arg;
	child->max_output = o->max_output ? o->max_output : DEFAULT_OUTPUT;
	child->pid_fd = child->in.fd = child->out.fd = child->errors.fd = -1;
	child->in.child = child->out.child = child->errors.child = child;
	int sys = start_process(child, o);
	if (sys) {
		free_child(child);
		return cox_error_sys(err, sys, "cannot start '%s'", o->argv[0]);
	}
	cox_timer_init(&child->deadline, loop, on_deadline, child);
	cox_timer_init(&child->linger, loop, on_linger, child);
	watch(&child->pid_io, loop, child->pid_fd, COX_IO_READ, on_ended, child);
	watch(&child->out.io, loop, child->out.fd, COX_IO_READ, on_output, &child->out);
	watch(&child->errors.io, loop, child->errors.fd, COX_IO_READ, on_output, &child->errors);
	if (o->input.len > 0) {
		cox_buf_add(&child->in.text, o->input.ptr, o->input.len);
		watch(&child->in.io, loop, child->in.fd, COX_IO_WRITE, on_input, &child->in);
	} else {
		close_end(&child->in);
	}
	if (o->timeout_ms >= 0)
		cox_timer_start(&child->deadline,
				o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS);
	if (ret_child)
		*ret_child = child;
	return 0;
}

void cox_child_cancel(struct cox_child *child)
{
	COX_ASSERT(cox_loop_is_owner(child->loop));
	kill_group(child);
	if (!child->ended)
		reap(child);
	free_child(child);
}

int cox_child_pid(const struct cox_child *child)
{
	return child->pid;
}

static struct cox_str last_line(struct cox_str text)
{
	text = cox_str_trim(text);
	const char *feed = text.len ? memrchr(text.ptr, '\n', text.len) : NULL;
	if (!feed)
		return text;
	size_t skip = feed + 1 - text.ptr;
	return cox_str_n(text.ptr + skip, text.len - skip);
}

int cox_child_check(const struct cox_child_result *result, const char *program,
		    struct cox_error *err)
{
	struct cox_str why = last_line(result->errors);
	const char *colon = why.len ? ": " : "";

	if (result->timed_out)
		return cox_error(err, COX_DEADLINE_EXCEEDED,
				 "'%s' was killed at its deadline%s%.*s", program, colon,
				 COX_STR_ARG(why));
	if (result->signal)
		return cox_error(err, COX_INTERNAL, "'%s' was ended by signal %d (%s)%s%.*s",
				 program, result->signal, strsignal(result->signal), colon,
				 COX_STR_ARG(why));
	if (result->exit_status)
		return cox_error(err, COX_UNKNOWN, "'%s' ended with status %d%s%.*s", program,
				 result->exit_status, colon, COX_STR_ARG(why));
	return 0;
}
