/* The side that asks. */
#include "agent/jq/frame.h"
#include "agent/jq/jq.h"

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/doc/json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define IDLE_MS	      (60 * 1000)
#define PATIENCE_MS   (10 * 1000)
#define DEATHS_MAX    3		   /* by one expression, */
#define QUARANTINE_MS (300 * 1000) /* then it is left alone so long */
#define NAMED_MAX     160	   /* bytes of an expression in a message */

struct agent_jq_call {
	struct cox_list node;
	struct agent_jq *jq;
	cox_docs objects;
	cox_strings expressions;
	bool retried;	       /* a helper died at it, not by its own fault for sure */
	size_t next;	       /* the expression whose answer comes next */
	struct cox_doc *paths; /* being made */
	struct cox_error error;
	agent_jq_done *done; /* NULL: cancelled */
	void *arg;
};

struct deaths {
	unsigned n;
	int64_t last_ms;
};

struct agent_jq {
	struct agent_jq_options o;
	pid_t pid; /* 0: no helper */
	int fd;
	struct cox_io io;
	struct cox_buf in, out;
	struct cox_list waiting;
	struct agent_jq_call *current; /* with the helper */
	struct cox_timer idle, patience;
	struct cox_task turn;
	struct cox_map deaths; /* expression to struct deaths * */
};

static void turn(void *arg);

/* ---- the helper's process ---- */

static int spawn(const char *program, int theirs, pid_t *ret_pid)
{
	char *argv[] = {(char *)"cox-agent", (char *)AGENT_JQ_HELPER, NULL}, *env[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t defaults, none;
	int sys;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	sys = posix_spawn_file_actions_adddup2(&actions, theirs, STDIN_FILENO);
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO && !sys; fd++)
		sys = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
	sigfillset(&defaults);
	sigemptyset(&none);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETPGROUP);
	if (!sys)
		sys = posix_spawn(ret_pid, program, &actions, &attributes, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return sys;
}

/* Waits for the end, which a kill makes short, and gives the signal that it was: the helper's own
 * when it was dead already. */
static int drop_helper(struct agent_jq *jq)
{
	int status = 0;

	cox_timer_stop(&jq->idle);
	cox_timer_stop(&jq->patience);
	if (!jq->pid)
		return 0;
	cox_io_fini(&jq->io);
	close(jq->fd);
	kill(jq->pid, SIGKILL);
	while (waitpid(jq->pid, &status, 0) < 0 && errno == EINTR)
		;
	jq->pid = 0;
	cox_buf_clear(&jq->in);
	cox_buf_clear(&jq->out);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static const char *reason_of(int number)
{
	switch (number) {
	case SIGPROF:
	case SIGXCPU:
		return "it took more than a second";
	case SIGABRT:
	case SIGSEGV:
		return "it needs too much memory, or jq fails at it";
	case SIGKILL:
		return "it did not come to an end";
	default:
		return "jq ended at it";
	}
}

static void on_io(void *arg, int events);

static int start_helper(struct agent_jq *jq, struct cox_error *err)
{
	int fds[2], sys;

	if (jq->pid)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return cox_error_sys(err, errno, "cannot start jq");
	sys = fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0
		      ? errno
		      : spawn(jq->o.program ? jq->o.program : "/proc/self/exe", fds[1], &jq->pid);
	close(fds[1]);
	if (sys) {
		close(fds[0]);
		jq->pid = 0;
		return cox_error_sys(err, sys, "cannot start jq");
	}
	jq->fd = fds[0];
	cox_io_init(&jq->io, jq->o.loop, jq->fd, on_io, jq);
	return 0;
}

static void idle(void *arg)
{
	struct agent_jq *jq = arg;

	if (!jq->current)
		drop_helper(jq);
}

/* ---- questions ---- */

static void call_free(struct agent_jq_call *call)
{
	cox_list_remove(&call->node);
	cox_docs_fini(&call->objects);
	cox_strings_fini(&call->expressions);
	cox_doc_unref(call->paths);
	free(call);
}

/* The call is over, with its error or with its paths. */
static void finish(struct agent_jq_call *call)
{
	agent_jq_done *done = call->done;
	bool failed = call->error.code != COX_OK;

	if (call->jq->current == call)
		call->jq->current = NULL;
	cox_list_remove(&call->node);
	call->done = NULL; /* it can be cancelled no more */
	if (done)
		done(call->arg, failed ? NULL : cox_doc_seal(call->paths), &call->error);
	call_free(call);
}

static void fail(struct agent_jq_call *call, size_t i, enum cox_code code, struct cox_str why)
{
	struct cox_str expression = cox_str(call->expressions.items[i]);
	bool cut = expression.len > NAMED_MAX;

	if (call->error.code != COX_OK)
		return;
	if (cut)
		expression.len = NAMED_MAX;
	cox_error(&call->error, code, "jqPathExpression '%.*s%s': %.*s", COX_STR_ARG(expression),
		  cut ? "…" : "", COX_STR_ARG(why));
}

static void write_question(const struct agent_jq_call *call, struct cox_buf *out)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("expressions");
	struct cox_node *list = cox_doc_list(doc);

	for (size_t i = 0; i < call->expressions.n; i++)
		cox_list_push(doc, list, cox_doc_cstring(doc, call->expressions.items[i]));
	cox_buf_puts(&text, "{\"objects\":[");
	for (size_t i = 0; i < call->objects.n; i++) {
		if (i)
			cox_buf_putc(&text, ',');
		cox_json_write(&text, cox_doc_root(call->objects.items[i]));
	}
	cox_buf_puts(&text, "],\"expressions\":");
	cox_json_write(&text, list);
	cox_buf_putc(&text, '}');
	if (text.len <= AGENT_JQ_FRAME_MAX)
		agent_jq_frame_add(out, cox_buf_str(&text));
}

/* ---- answers ---- */

static struct cox_doc *empty_paths(size_t n_objects)
{
	struct cox_doc *doc = cox_doc_new("paths");
	struct cox_node *root = cox_doc_list(doc);

	for (size_t i = 0; i < n_objects; i++)
		cox_list_push(doc, root, cox_doc_list(doc));
	cox_doc_set_root(doc, root);
	return doc;
}

/* From the beginning, before the others. */
static void ask_again(struct agent_jq *jq, struct agent_jq_call *call)
{
	call->retried = true;
	call->next = 0;
	call->error = COX_ERROR_INIT;
	cox_doc_unref(call->paths);
	call->paths = empty_paths(call->objects.n);
	jq->current = NULL;
	cox_list_prepend(&jq->waiting, &call->node);
}

static void note_death(struct agent_jq *jq, const char *expression)
{
	struct deaths *d = cox_map_get(&jq->deaths, expression);

	if (!d) {
		d = cox_new(struct deaths);
		cox_map_set(&jq->deaths, expression, d);
	}
	d->n++;
	d->last_ms = cox_loop_now_ms(jq->o.loop);
}

/* The helper is gone, or has to go, while it was at an expression. Unless that has used up its
 * time, somebody else may have ended the helper: it gets a second one. */
static void died(struct agent_jq *jq, bool patience_ended)
{
	struct agent_jq_call *call = jq->current;
	int number = drop_helper(jq);

	if (!call)
		return;
	cox_loop_send(jq->o.loop, &jq->turn);
	if (!patience_ended && number != SIGPROF && number != SIGXCPU && !call->retried) {
		ask_again(jq, call);
		return;
	}
	note_death(jq, call->expressions.items[call->next]);
	fail(call, call->next, COX_RESOURCE_EXHAUSTED, cox_str(reason_of(number)));
	cox_log_warn("jq was ended", COX_KV("error", call->error.message));
	finish(call);
}

static void on_patience(void *arg)
{
	died(arg, true);
}

static void add_paths(struct agent_jq_call *call, const struct cox_node *paths)
{
	struct cox_node *root = cox_doc_root_edit(call->paths);

	for (size_t i = 0; i < cox_node_len(paths); i++) {
		struct cox_node *list = cox_list_edit(call->paths, root, i);
		const struct cox_node *more = cox_node_at(paths, i);

		for (size_t k = 0; k < cox_node_len(more); k++)
			cox_list_push(call->paths, list,
				      cox_doc_clone(call->paths, cox_node_at(more, k)));
	}
}

/* false: that was no answer. */
static bool take_answer(struct agent_jq *jq, struct cox_str text)
{
	struct agent_jq_call *call = jq->current;
	struct agent_jq_answer a;

	if (!call || agent_jq_answer_read(text, call->objects.n, &a, NULL) < 0)
		return false;
	_cleanup_doc_ struct cox_doc *doc = a.doc;

	if (a.index != call->next)
		return false;
	if (a.paths)
		add_paths(call, a.paths);
	else
		fail(call, call->next, COX_INVALID_ARGUMENT, a.error);
	call->next++;
	cox_timer_start(&jq->patience, jq->o.patience_ms);
	if (call->next == call->expressions.n) {
		cox_timer_stop(&jq->patience);
		cox_timer_start(&jq->idle, jq->o.idle_ms);
		cox_loop_send(jq->o.loop, &jq->turn);
		finish(call);
	}
	return true;
}

/* false: the helper is of no more use. */
static bool read_answers(struct agent_jq *jq)
{
	static char chunk[16384];
	ssize_t n = read(jq->fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	cox_buf_add(&jq->in, chunk, (size_t)n);
	for (;;) {
		struct cox_str text;
		size_t used;
		int code = agent_jq_frame_next(cox_buf_str(&jq->in), &text, &used, NULL);

		if (code == 0)
			return true;
		if (code < 0 || !take_answer(jq, text))
			return false;
		cox_buf_consume(&jq->in, used);
	}
}

static bool write_question_on(struct agent_jq *jq)
{
	while (jq->out.len) {
		ssize_t n = send(jq->fd, jq->out.ptr, jq->out.len, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0)
			return false;
		cox_buf_consume(&jq->out, (size_t)n);
	}
	return cox_io_watch(&jq->io, COX_IO_READ, NULL) == 0;
}

static void on_io(void *arg, int events)
{
	struct agent_jq *jq = arg;

	if ((events & COX_IO_READ && !read_answers(jq)) ||
	    (jq->out.len && events & COX_IO_WRITE && !write_question_on(jq)))
		died(jq, false);
}

/* ---- whose turn it is ---- */

/* An expression that killed helpers lately. */
static bool is_quarantined(struct agent_jq *jq, struct agent_jq_call *call)
{
	for (size_t i = 0; i < call->expressions.n; i++) {
		struct deaths *d = cox_map_get(&jq->deaths, call->expressions.items[i]);

		if (!d || d->n < DEATHS_MAX)
			continue;
		if (cox_loop_now_ms(jq->o.loop) - d->last_ms < QUARANTINE_MS) {
			fail(call, i, COX_RESOURCE_EXHAUSTED,
			     COX_STR("it ended jq again and again, and is left alone for a while"));
			return true;
		}
		d->n = DEATHS_MAX - 1; /* one more try */
	}
	return false;
}

/* false: it is over at once. */
static bool begin(struct agent_jq *jq, struct agent_jq_call *call)
{
	if (is_quarantined(jq, call))
		return false;
	if (start_helper(jq, &call->error) < 0) {
		call->error.code = COX_UNAVAILABLE; /* whatever was short: it may be there later */
		return false;
	}
	write_question(call, &jq->out);
	if (!jq->out.len) {
		cox_error(&call->error, COX_RESOURCE_EXHAUSTED, "the object is too large for jq");
		return false;
	}
	if (cox_io_watch(&jq->io, COX_IO_READ | COX_IO_WRITE, &call->error) < 0) {
		drop_helper(jq);
		return false;
	}
	cox_timer_stop(&jq->idle);
	cox_timer_start(&jq->patience, jq->o.patience_ms);
	jq->current = call;
	return true;
}

static void turn(void *arg)
{
	struct agent_jq *jq = arg;

	while (!jq->current && !cox_list_is_empty(&jq->waiting)) {
		struct agent_jq_call *call =
			COX_CONTAINER_OF(jq->waiting.next, struct agent_jq_call, node);

		cox_list_remove(&call->node);
		if (!begin(jq, call))
			finish(call);
	}
}

/* ---- for everybody ---- */

struct agent_jq *agent_jq_new(const struct agent_jq_options *options)
{
	struct agent_jq *jq = cox_new(struct agent_jq);

	jq->o = *options;
	jq->o.idle_ms = options->idle_ms ? options->idle_ms : IDLE_MS;
	jq->o.patience_ms = options->patience_ms ? options->patience_ms : PATIENCE_MS;
	cox_list_init(&jq->waiting);
	cox_timer_init(&jq->idle, options->loop, idle, jq);
	cox_timer_init(&jq->patience, options->loop, on_patience, jq);
	cox_task_init(&jq->turn, turn, jq);
	return jq;
}

void agent_jq_free(struct agent_jq *jq)
{
	if (!jq)
		return;
	cox_loop_unsend(jq->o.loop, &jq->turn);
	drop_helper(jq);
	if (jq->current)
		call_free(jq->current);
	while (!cox_list_is_empty(&jq->waiting))
		call_free(COX_CONTAINER_OF(jq->waiting.next, struct agent_jq_call, node));
	cox_map_fini_values(&jq->deaths, free);
	cox_buf_fini(&jq->in);
	cox_buf_fini(&jq->out);
	free(jq);
}

int agent_jq_pid(const struct agent_jq *jq)
{
	return (int)jq->pid;
}

struct agent_jq_call *agent_jq_ask(struct agent_jq *jq, struct cox_doc *const objects[],
				   size_t n_objects, const cox_strings *expressions,
				   agent_jq_done *done, void *arg)
{
	struct agent_jq_call *call = cox_new(struct agent_jq_call);

	COX_ASSERT(n_objects > 0 && expressions->n > 0);
	call->jq = jq;
	call->done = done;
	call->arg = arg;
	call->paths = empty_paths(n_objects);
	for (size_t i = 0; i < n_objects; i++)
		cox_vec_push(&call->objects, cox_doc_ref(objects[i]));
	for (size_t i = 0; i < expressions->n; i++)
		cox_vec_push(&call->expressions, cox_strdup(expressions->items[i]));
	cox_list_append(&jq->waiting, &call->node);
	cox_loop_send(jq->o.loop, &jq->turn);
	return call;
}

void agent_jq_cancel(struct agent_jq_call *call)
{
	if (!call)
		return;
	call->done = NULL;
	if (call->jq->current != call)
		call_free(call);
}
