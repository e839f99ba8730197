/* common/base/options: order of origins, spellings, and the errors a person gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/options.h"

#include <stdlib.h>

struct config {
	char *state, *file;
	bool quiet;
	int64_t count, wait_ms;
	cox_strings labels;
};

static const struct cox_option rows[] = {
	{"state", 's', COX_OPT_STRING, offsetof(struct config, state), "DIR", "a place", "/var"},
	{"config", 0, COX_OPT_STRING, offsetof(struct config, file), "FILE", "a file"},
	{"quiet", 'q', COX_OPT_BOOL, offsetof(struct config, quiet), NULL, "less"},
	{"count", 0, COX_OPT_INT, offsetof(struct config, count), "N", "how many", "3"},
	{"wait", 0, COX_OPT_DURATION, offsetof(struct config, wait_ms), "TIME", "how long"},
	{"label", 'l', COX_OPT_LIST, offsetof(struct config, labels), "K=V", "a label"},
	{0},
};

static int read_file(const char *path,
		     int (*emit)(void *, const char *, const char *, struct cox_error *), void *ctx,
		     struct cox_error *err)
{
	int r;

	assert_string_equal(path, "f");
	r = emit(ctx, "count", "7", err);
	return r < 0 ? r : emit(ctx, "state", "/from-file", err);
}

static const struct cox_options spec = {"prog", "COX_T_", "[flags]", "Does it.", rows, read_file};

#define PARSE(c, args, err, ...)                                                                   \
	({                                                                                         \
		char *argv[] = {(char *)"prog", __VA_ARGS__};                                      \
		cox_options_parse(&spec, (int)COX_ARRAY_LEN(argv), argv, (c), (args), (err));      \
	})

static void flags_beat_environment_beats_file_beats_default(void **state)
{
	struct config c = {0};
	struct cox_error err;
	cox_strings args = {0};

	(void)state;
	setenv("COX_T_STATE", "/from-env", 1);
	setenv("COX_T_LABEL", "x=1, y=2", 1);
	assert_int_equal(PARSE(&c, &args, &err, (char *)"--config=f", (char *)"--wait",
			       (char *)"90s", (char *)"one", (char *)"--", (char *)"-two"),
			 0);
	assert_string_equal(c.state, "/from-env");
	assert_int_equal(c.count, 7);
	assert_int_equal(c.wait_ms, 90000);
	assert_int_equal(c.labels.n, 2);
	assert_string_equal(c.labels.items[1], "y=2");
	assert_int_equal(args.n, 2);
	assert_string_equal(args.items[1], "-two");
	cox_vec_fini(&args);
	cox_options_fini(&spec, &c);

	c = (struct config){0};
	assert_int_equal(PARSE(&c, &args, &err, (char *)"-s", (char *)"/flag", (char *)"-l",
			       (char *)"z=3", (char *)"--count=9", (char *)"-q"),
			 0);
	assert_string_equal(c.state, "/flag");
	assert_int_equal(c.count, 9);
	assert_int_equal(c.labels.n, 1);
	assert_true(c.quiet);
	cox_vec_fini(&args);
	cox_options_fini(&spec, &c);
	unsetenv("COX_T_STATE");
	unsetenv("COX_T_LABEL");
}

static void booleans_can_be_turned_off(void **state)
{
	struct config c = {0};
	cox_strings args = {0};

	(void)state;
	assert_int_equal(PARSE(&c, &args, NULL, (char *)"--quiet", (char *)"--no-quiet"), 0);
	assert_false(c.quiet);
	assert_int_equal(c.count, 3);
	cox_options_fini(&spec, &c);
}

static void wrong_usage_is_explained(void **state)
{
	static const struct {
		const char *arg;
		const char *message;
	} cases[] = {
		{"--stat", "unknown flag '--stat'"},
		{"--state", "flag '--state' needs a value"},
		{"--count=x", "--count=x: 'x' is not an integer"},
		{"--wait=5", "--wait=5: '5' is not a duration like 90s or 1h30m"},
		{"--quiet=maybe", "--quiet=maybe: 'maybe' is neither true nor false"},
		{"--no-count", "unknown flag '--no-count'"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		struct config c = {0};
		struct cox_error err;
		cox_strings args = {0};

		assert_int_equal(PARSE(&c, &args, &err, (char *)cases[i].arg),
				 -COX_INVALID_ARGUMENT);
		assert_string_equal(err.message, cases[i].message);
		cox_options_fini(&spec, &c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_beat_environment_beats_file_beats_default),
		cmocka_unit_test(booleans_can_be_turned_off),
		cmocka_unit_test(wrong_usage_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
