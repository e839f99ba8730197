#include "common/base/mem.h"
#include "common/run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct outcome {
	bool done;
	struct cox_child_result result;
	char *out, *errors;
	struct cox_error error;
};

static struct cox_loop *loop;
static struct outcome o;

static int setup(void **state)
{
	(void)state;
	o = (struct outcome){0};
	return cox_loop_new(&loop, NULL);
}

static int teardown(void **state)
{
	(void)state;
	free(o.out);
	free(o.errors);
	cox_loop_free(loop);
	return 0;
}

static void ended(void *arg, const struct cox_child_result *result)
{
	(void)arg;
	o.done = true;
	o.result = *result;
	o.out = cox_str_dup(result->out);
	o.errors = cox_str_dup(result->errors);
	cox_child_check(result, "it", &o.error);
}

static bool is_done(void *arg)
{
	(void)arg;
	return o.done;
}

static void run(const struct cox_child_options *options)
{
	assert_int_equal(cox_child_start(loop, options, ended, NULL, NULL, NULL), 0);
	assert_int_equal(cox_loop_wait(loop, is_done, NULL, 20000, NULL), 0);
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void output_and_status_come_back(void **state)
{
	(void)state;
	run(&(struct cox_child_options){
		.argv = ARGV("sh", "-c", "echo out; echo first >&2; echo last >&2; exit 7")});
	assert_string_equal(o.out, "out\n");
	assert_string_equal(o.errors, "first\nlast\n");
	assert_int_equal(o.result.exit_status, 7);
	assert_int_equal(o.result.signal, 0);
	assert_string_equal(o.error.message, "'it' ended with status 7: last");
}

static void input_goes_in_and_nothing_else_does(void **state)
{
	struct cox_buf text = COX_BUF_INIT;

	(void)state;
	for (int i = 0; i < 40000; i++) /* more than a pipe holds */
		cox_buf_printf(&text, "line %d\n", i);
	run(&(struct cox_child_options){.argv = ARGV("cat"), .input = cox_buf_str(&text)});
	assert_int_equal(o.result.exit_status, 0);
	assert_int_equal(o.result.out.len, text.len);
	assert_string_equal(o.out, text.ptr);
	assert_false(o.result.cut);
	cox_buf_fini(&text);
}

static void unread_input_is_no_error(void **state)
{
	struct cox_buf text = COX_BUF_INIT;

	(void)state;
	cox_buf_reserve(&text, 1 << 20);
	memset(text.ptr, 'x', 1 << 20);
	text.len = 1 << 20;
	run(&(struct cox_child_options){.argv = ARGV("true"), .input = cox_buf_str(&text)});
	assert_int_equal(o.result.exit_status, 0);
	cox_buf_fini(&text);
}

static void output_is_bounded(void **state)
{
	static const char script[] = "printf 1234567";

	(void)state;
	for (size_t max = 6; max <= 8; max++) {
		setup(NULL);
		run(&(struct cox_child_options){.argv = ARGV("sh", "-c", script),
						.max_output = max});
		assert_int_equal(o.result.out.len, max < 7 ? max : 7);
		assert_int_equal(o.result.cut, max < 7);
		assert_int_equal(o.result.exit_status, 0);
		if (max < 8)
			teardown(NULL);
	}
}

static void deadline_kills_the_group(void **state)
{
	(void)state;
	/* The grandchild holds the output open; both must go. */
	run(&(struct cox_child_options){.argv = ARGV("sh", "-c", "sleep 600 & echo $!; wait"),
					.timeout_ms = 100});
	assert_true(o.result.timed_out);
	assert_int_equal(o.result.signal, SIGKILL);
	assert_int_equal(o.error.code, COX_DEADLINE_EXCEEDED);
	assert_true(strtol(o.out, NULL, 10) > 0);
}

static void environment_and_folder_are_given(void **state)
{
	(void)state;
	run(&(struct cox_child_options){.argv = ARGV("/bin/sh", "-c", "pwd; echo $A-$HOME"),
					.env = ARGV("A=b"),
					.cwd = "/usr"});
	assert_string_equal(o.out, "/usr\nb-\n");
}

static void descriptors_and_signals_are_not_inherited(void **state)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 200);

	(void)state;
	/* The loop ignores SIGPIPE; a child must not. */
	run(&(struct cox_child_options){
		.argv = ARGV("sh", "-c",
			     "test -e /proc/self/fd/2 && test ! -e /proc/self/fd/200 "
			     "&& echo closed; kill -PIPE $$; echo alive")});
	assert_int_equal(fd, 200);
	assert_string_equal(o.out, "closed\n");
	assert_int_equal(o.result.signal, SIGPIPE);
	close(fd);
}

static void missing_program_fails_at_once(void **state)
{
	struct cox_error err;

	(void)state;
	assert_int_equal(
		cox_child_start(loop, &(struct cox_child_options){.argv = ARGV("no-such-program")},
				ended, NULL, NULL, &err),
		-COX_NOT_FOUND);
	assert_non_null(strstr(err.message, "cannot start 'no-such-program'"));
}

static void cancel_leaves_nothing(void **state)
{
	struct cox_child *child;

	(void)state;
	assert_int_equal(cox_child_start(loop,
					 &(struct cox_child_options){.argv = ARGV("sleep", "600")},
					 ended, NULL, &child, NULL),
			 0);
	int pid = cox_child_pid(child);
	cox_child_cancel(child);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_false(o.done);
}

int main(void)
{
#define CHILD_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CHILD_TEST(output_and_status_come_back),
		CHILD_TEST(input_goes_in_and_nothing_else_does),
		CHILD_TEST(unread_input_is_no_error),
		cmocka_unit_test_teardown(output_is_bounded, teardown),
		CHILD_TEST(deadline_kills_the_group),
		CHILD_TEST(environment_and_folder_are_given),
		CHILD_TEST(descriptors_and_signals_are_not_inherited),
		CHILD_TEST(missing_program_fails_at_once),
		CHILD_TEST(cancel_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
