/* The helper is this program, started again. */
#include "agent/jq/frame.h"
#include "agent/jq/jq.h"

#include "common/doc/json.h"
#include "common/doc/yaml.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 60000

static struct cox_loop *loop;
static struct agent_jq *jq;

struct answer {
	bool done;
	enum cox_code code;
	char message[248];
	char *paths;
};

static void answered(void *arg, struct cox_doc *paths, const struct cox_error *error)
{
	struct answer *a = arg;
	struct cox_buf text = COX_BUF_INIT;

	assert_false(a->done);
	a->done = true;
	a->code = error->code;
	snprintf(a->message, sizeof(a->message), "%s", error->message);
	if (paths)
		cox_json_write(&text, cox_doc_root(paths));
	free(a->paths);
	a->paths = cox_buf_take(&text);
}

static bool is_answered(void *arg)
{
	return ((struct answer *)arg)->done;
}

static struct agent_jq_call *begin(const char *objects, const char *expressions, struct answer *a)
{
	_cleanup_doc_ struct cox_doc *docs = NULL, *list = NULL;
	COX_CLEANUP(cox_docs_fini) cox_docs items = {0};
	cox_strings texts = {0};
	struct cox_error err;

	if (cox_yaml_read(cox_str(objects), "objects", NULL, &docs, &err) < 0 ||
	    cox_yaml_read(cox_str(expressions), "expressions", NULL, &list, &err) < 0)
		fail_msg("%s", err.message);
	for (size_t i = 0; i < cox_node_len(cox_doc_root(docs)); i++)
		cox_vec_push(&items, cox_doc_copy("object", cox_node_at(cox_doc_root(docs), i)));
	for (size_t i = 0; i < cox_node_len(cox_doc_root(list)); i++)
		cox_vec_push(&texts,
			     cox_strdup(cox_node_text(cox_node_at(cox_doc_root(list), i)).ptr));
	struct agent_jq_call *call = agent_jq_ask(jq, items.items, items.n, &texts, answered, a);

	cox_strings_fini(&texts);
	return call;
}

static void await(struct answer *a)
{
	if (cox_loop_wait(loop, is_answered, a, PATIENCE_MS, NULL) < 0)
		fail_msg("no answer");
}

static void ask(const char *objects, const char *expressions, struct answer *a)
{
	begin(objects, expressions, a);
	await(a);
}

static const struct {
	const char *what, *objects, *expressions, *paths, *error;
} rows[] = {
	{"a field", "[{a: {b: 1}}]", "['.a.b']", "[[[\"a\",\"b\"]]]", NULL},
	{"a field that is not there", "[{}, {a: 1}]", "[.a]", "[[[\"a\"]],[[\"a\"]]]", NULL},
	{"items by a condition", "[{c: [{k: x}, {k: z}, {k: x}]}]",
	 "['.c[] | select(.k == \"x\")']", "[[[\"c\",0],[\"c\",2]]]", NULL},
	{"several expressions and objects", "[{a: 1, b: [2]}, {a: 1}]", "[.a, '.b[]?']",
	 "[[[\"a\"],[\"b\",0]],[[\"a\"]]]", NULL},
	{"where it cannot go it names nothing, not a half", "[{a: [1, 2], b: 5}, {b: [1]}]",
	 "['.b[], .a[]']", "[[],[]]", NULL},
	{"two of them, and the good one", "[{a: 1}]", "['.x[]', .a]", "[[[\"a\"]]]", NULL},
	{"a slice", "[{a: [1, 2, 3]}]", "['.a[1:]']", "[[[\"a\",{\"start\":1,\"end\":null}]]]",
	 NULL},
	{"a function of its own", "[{a: {b: 1}}]", "['def f: .a; f | .b']", "[[[\"a\",\"b\"]]]",
	 NULL},
	{"a comment at the end", "[{a: 1}]", "['.a # the first']", "[[[\"a\"]]]", NULL},
	{"no path", "[{a: 1}]", "['1 + 1']", "[[]]", NULL},
	{"a syntax error", "[{a: 1}]", "['.a[']", NULL, "jqPathExpression '.a[': syntax error"},
	{"a function that there is not", "[{}]", "['nothing(.a)']", NULL,
	 "jqPathExpression 'nothing(.a)': nothing/1 is not defined"},
	{"the good one does not hide the bad one", "[{a: 1}]", "[.a, '.b[']", NULL,
	 "jqPathExpression '.b['"},
	{"out of the brackets", "[{a: 1}]", "['.a) | (.b']", "[[]]", NULL},
	{"an end", "[{a: 1}]", "['halt']", NULL, "jqPathExpression 'halt': it halts"},
	{"no more to read", "[{a: 1}]", "['input']", "[[]]", NULL},
	{"nothing is printed", "[{a: 1}]", "['.a | debug | stderr']", "[[[\"a\"]]]", NULL},
	{"no environment", "[{a: 1}]", "['if env == {} then .a else .b end']", "[[[\"a\"]]]", NULL},
	{"no modules", "[{a: 1}]", "['import \"a\" as a; .a']", NULL, "jqPathExpression 'import"},
	{"too many places", "[{a: 1}]", "['range(20000) as $i | .[$i | tostring]']", NULL,
	 "names too many places"},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct answer a = {0};

		ask(rows[i].objects, rows[i].expressions, &a);
		if (rows[i].error ? a.code == COX_OK || !strstr(a.message, rows[i].error)
				  : a.code != COX_OK || strcmp(a.paths, rows[i].paths) != 0)
			fail_msg("%s: got '%s' '%s', wanted '%s'", rows[i].what, a.paths, a.message,
				 rows[i].error ? rows[i].error : rows[i].paths);
		free(a.paths);
	}
}

static void test_one_helper_serves_many(void **state)
{
	struct answer a[50] = {0};
	int pid = 0;

	(void)state;
	assert_int_equal(agent_jq_pid(jq), 0);
	for (size_t i = 0; i < 50; i++)
		begin("[{a: 1}]", "[.a]", &a[i]);
	for (size_t i = 0; i < 50; i++) {
		await(&a[i]);
		assert_string_equal(a[i].paths, "[[[\"a\"]]]");
		free(a[i].paths);
		if (!pid)
			pid = agent_jq_pid(jq);
		assert_int_equal(agent_jq_pid(jq), pid);
	}
	assert_true(pid > 0);
}

static void test_a_killed_helper_comes_again(void **state)
{
	struct answer a = {0}, b = {0};

	(void)state;
	ask("[{a: 1}]", "[.a]", &a);
	int pid = agent_jq_pid(jq);

	kill(pid, SIGKILL);
	/* whether the question went to the dead one or not */
	ask("[{a: 1}]", "[.a]", &b);
	assert_int_equal(b.code, COX_OK);
	assert_int_not_equal(agent_jq_pid(jq), pid);
	free(a.paths);
	free(b.paths);
}

/* Endless and greedy ones end alone: what is asked beside them is answered. */
static void test_limits(void **state)
{
	static const struct {
		const char *expression, *why;
	} bad[] = {
		{"['last(range(1e18)) | empty']", "it took more than a second"},
		{"['def f: f; f']", "it took more than a second"},
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		{"['[range(1e9)] | .[0]']", "jqPathExpression '[range(1e9)]"},
		{"['reduce range(60) as $i (\"x\"; . + .) | .a']", "memory"},
#endif
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct answer a = {0}, b = {0};

		begin("[{a: 1}]", bad[i].expression, &a);
		begin("[{a: 1}]", "[.a]", &b);
		await(&a);
		await(&b);
		assert_int_equal(a.code, COX_RESOURCE_EXHAUSTED);
		if (!strstr(a.message, bad[i].why))
			fail_msg("%s: %s", bad[i].expression, a.message);
		assert_string_equal(b.paths, "[[[\"a\"]]]");
		free(a.paths);
		free(b.paths);
	}
}

static void test_who_kills_again_and_again_is_left_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct answer a = {0};

		ask("[{a: 1}]", "[.b, 'def g: g; g']", &a);
		assert_int_equal(a.code, COX_RESOURCE_EXHAUSTED);
		assert_non_null(strstr(a.message, "'def g: g; g'"));
		assert_true(!strstr(a.message, "again and again") == (i < 3));
		assert_int_equal(agent_jq_pid(jq), 0); /* the fourth starts none */
		free(a.paths);
	}
}

static void test_cancelled_ones_are_not_answered(void **state)
{
	struct answer a = {0}, b = {0}, c = {0};

	(void)state;
	struct agent_jq_call *waiting = begin("[{a: 1}]", "[.a]", &a);

	agent_jq_cancel(waiting);
	struct agent_jq_call *current = begin("[{a: 1}]", "['def f: f; f']", &b);

	begin("[{a: 1}]", "[.a]", &c);
	while (!agent_jq_pid(jq)) {
		struct answer none = {0};

		cox_loop_wait(loop, is_answered, &none, 1, NULL);
	}
	agent_jq_cancel(current);
	await(&c);
	assert_false(a.done);
	assert_false(b.done);
	free(c.paths);
}

static bool is_gone(void *arg)
{
	(void)arg;
	return agent_jq_pid(jq) == 0;
}

static void test_an_idle_helper_is_dropped(void **state)
{
	struct answer a = {0};

	(void)state;
	ask("[{a: 1}]", "[.a]", &a);
	assert_true(agent_jq_pid(jq) > 0);
	assert_int_equal(cox_loop_wait(loop, is_gone, NULL, PATIENCE_MS, NULL), 0);
	a.done = false;
	ask("[{a: 1}]", "[.a]", &a);
	assert_string_equal(a.paths, "[[[\"a\"]]]");
	free(a.paths);
}

static void test_no_program(void **state)
{
	struct answer a = {0};

	(void)state;
	agent_jq_free(jq);
	jq = agent_jq_new(&(struct agent_jq_options){.loop = loop, .program = "/nowhere/at/all"});
	ask("[{a: 1}]", "[.a]", &a);
	assert_int_equal(a.code, COX_UNAVAILABLE);
	free(a.paths);
	/* one that answers nothing, and one that answers rubbish */
	a = (struct answer){0};
	agent_jq_free(jq);
	jq = agent_jq_new(&(struct agent_jq_options){.loop = loop, .program = "/bin/true"});
	ask("[{a: 1}]", "[.a]", &a);
	assert_int_equal(a.code, COX_RESOURCE_EXHAUSTED);
	free(a.paths);
}

static void test_frames(void **state)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf b = COX_BUF_INIT;
	struct cox_str text;
	struct cox_error err;
	size_t used;

	(void)state;
	agent_jq_frame_add(&b, COX_STR("one"));
	agent_jq_frame_add(&b, COX_STR(""));
	for (size_t n = 0; n < 7; n++)
		assert_int_equal(agent_jq_frame_next(cox_str_n(b.ptr, n), &text, &used, &err), 0);
	assert_int_equal(agent_jq_frame_next(cox_buf_str(&b), &text, &used, &err), 1);
	assert_true(cox_str_is(text, "one") && used == 7);
	cox_buf_consume(&b, used);
	assert_int_equal(agent_jq_frame_next(cox_buf_str(&b), &text, &used, &err), 1);
	assert_true(text.len == 0 && used == 4);
	/* at, and above the limit */
	assert_int_equal(agent_jq_frame_next(cox_str_n("\x01\x00\x00\x00", 4), &text, &used, &err),
			 0);
	assert_int_equal(agent_jq_frame_next(cox_str_n("\x01\x00\x00\x01", 4), &text, &used, &err),
			 -COX_RESOURCE_EXHAUSTED);
}

static void test_answers(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{\"i\":0}",
		"{\"paths\":[[]]}",
		"{\"i\":-1,\"paths\":[[]]}",
		"{\"i\":0,\"paths\":[]}",
		"{\"i\":0,\"paths\":[[],[]]}",
		"{\"i\":0,\"paths\":[{}]}",
		"{\"i\":0,\"paths\":[[\"a\"]]}",
		"{\"i\":0,\"paths\":[[[[]]]]}",
	};
	struct agent_jq_answer a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (agent_jq_answer_read(cox_str(bad[i]), 1, &a, NULL) == 0)
			fail_msg("taken for an answer: %s", bad[i]);
	assert_int_equal(
		agent_jq_answer_read(COX_STR("{\"i\":3,\"paths\":[[[\"a\",0]]]}"), 1, &a, NULL), 0);
	assert_int_equal(a.index, 3);
	cox_doc_unref(a.doc);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(cox_loop_new(&loop, NULL), 0);
	jq = agent_jq_new(&(struct agent_jq_options){.loop = loop});
	return 0;
}

static int setup_hasty(void **state)
{
	(void)state;
	assert_int_equal(cox_loop_new(&loop, NULL), 0);
	jq = agent_jq_new(&(struct agent_jq_options){.loop = loop, .idle_ms = 1});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	agent_jq_free(jq);
	cox_loop_free(loop);
	return 0;
}

int main(int argc, char **argv)
{
#define TEST(name, up) cmocka_unit_test_setup_teardown(name, up, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_rows, setup),
		TEST(test_one_helper_serves_many, setup),
		TEST(test_a_killed_helper_comes_again, setup),
		TEST(test_limits, setup),
		TEST(test_who_kills_again_and_again_is_left_alone, setup),
		TEST(test_cancelled_ones_are_not_answered, setup),
		TEST(test_an_idle_helper_is_dropped, setup_hasty),
		TEST(test_no_program, setup),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_answers),
	};

	if (argc == 2 && strcmp(argv[1], AGENT_JQ_HELPER) == 0)
		return agent_jq_main();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
