/* Tables: alignment by characters, colour by meaning, nothing that moves the cursor. */
#include "hub/cli/cli.h"
#include "hub/cli/client.h"
#include "hub/cli/output.h"
#include "hub/cli/width.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void columns_are_aligned_by_characters(void **state)
{
	_cleanup_table_ struct cli_table t = {0};
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	(void)state;
	cli_table_header(&t, "NAME", "STATE", "LAST", NULL);
	cli_cell(&t, "größe");
	cli_cell(&t, "ok");
	cli_cell(&t, "x");
	cli_cell(&t, "a");
	cli_cell(&t, "");
	cli_cellf(&t, "%d items", 3);
	cli_table_write(&out, &t, false);
	assert_string_equal(cox_buf_cstr(&out), "NAME    STATE   LAST\n"
						"größe   ok      x\n"
						"a       -       3 items\n");
}

static void words_of_state_are_coloured(void **state)
{
	_cleanup_table_ struct cli_table t = {0};
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	(void)state;
	cli_table_header(&t, "Synced", "B", NULL);
	cli_cell(&t, "Synced");
	cli_cell(&t, "Degraded");
	cli_cell(&t, "plain");
	cli_cell(&t, "not Synced");
	cli_table_write(&out, &t, true);
	/* the header is not, and the padding counts the text alone */
	assert_string_equal(cox_buf_cstr(&out), "Synced   B\n"
						"\033[32mSynced\033[0m   \033[31mDegraded\033[0m\n"
						"plain    not Synced\n");
}

static void control_characters_become_spaces(void **state)
{
	_cleanup_table_ struct cli_table t = {0};
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	(void)state;
	cli_table_header(&t, "A", NULL);
	cli_cell(&t, "x\033[2J\r\ny\x7f");
	cli_table_write(&out, &t, true);
	assert_string_equal(cox_buf_cstr(&out), "A\nx [2J  y \n");
}

static void revisions_are_shortened(void **state)
{
	char text[16];

	(void)state;
	assert_string_equal(cli_short_revision("0123456789abcdef0123456789abcdef01234567", text),
			    "0123456");
	assert_string_equal(cli_short_revision("0123456789ab", text), "0123456");
	assert_string_equal(cli_short_revision("0123456789a", text), "0123456789a");
	assert_string_equal(cli_short_revision("v1.2.3-long-enough", text), "v1.2.3-long-enough");
	assert_string_equal(cli_short_revision("", text), "");
}

static void formats_are_words(void **state)
{
	enum cli_format f;
	struct cox_error err;

	(void)state;
	assert_int_equal(cli_format_parse(NULL, &f, &err), 0);
	assert_int_equal(f, CLI_TABLE);
	assert_int_equal(cli_format_parse("yaml", &f, &err), 0);
	assert_int_equal(f, CLI_YAML);
	assert_int_equal(cli_format_parse("Json", &f, &err), CLI_USAGE);
}

static void paths_are_encoded(void **state)
{
	static const struct {
		bool namespaced;
		const char *namespace, *name, *want;
	} cases[] = {
		{true, NULL, "web", "/api/v1/x/-/web/t"},
		{true, "", "web", "/api/v1/x/-/web/t"},
		{true, "team", "web", "/api/v1/x/team/web/t"},
		{true, "team", "other/web", "/api/v1/x/other/web/t"},
		{true, "../..", "a?b", "/api/v1/x/..%2F../a%3Fb/t"},
		{false, "team", "a/b", "/api/v1/x/a%2Fb/t"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *path = cli_object_path(
			"x", cases[i].namespaced, cases[i].namespace, cases[i].name, "/t");

		assert_string_equal(path, cases[i].want);
	}
}

static void texts_are_cut_by_columns(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
		bool unicode;
		const char *want;
		size_t took;
	} cases[] = {
		{"abc", 4, true, "abc", 3},
		{"abc", 3, true, "abc", 3},
		{"abc", 2, true, "a…", 2},
		{"abc", 1, true, "…", 1},
		{"abc", 0, true, "", 0},
		{"", 0, true, "", 0},
		{"abcdef", 5, false, "abc..", 5},
		{"abcdef", 4, false, "abc.", 4},
		{"東京都", 6, true, "東京都", 6},
		{"東京都", 5, true, "東京…", 5},
		{"東京都", 4, true, "東…", 3},
		{"東京都", 3, false, "???", 3},
		{"e\u0301e\u0301", 2, true, "e\u0301e\u0301", 2},
		{"a\x1b[2Jb\xc2\x9b"
		 "c\u202e"
		 "d",
		 20, true, "a [2Jb c d", 10},
		{"a\xff\xc3", 9, true, "a\ufffd\ufffd", 3},
		{"a\xff\xc3", 9, false, "a??", 3},
		{"\xf4\x90\x80\x80", 9, true, "\ufffd\ufffd\ufffd\ufffd", 4},
		{"🚀🚀", 3, true, "🚀…", 3},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
		size_t took = cli_text_fit(&out, cases[i].text, cases[i].columns, cases[i].unicode);

		assert_string_equal(cox_buf_cstr(&out), cases[i].want);
		assert_int_equal(took, cases[i].took);
		assert_int_equal(cli_text_columns(cox_buf_cstr(&out), true), cases[i].took);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_aligned_by_characters),
		cmocka_unit_test(words_of_state_are_coloured),
		cmocka_unit_test(control_characters_become_spaces),
		cmocka_unit_test(revisions_are_shortened),
		cmocka_unit_test(formats_are_words),
		cmocka_unit_test(paths_are_encoded),
		cmocka_unit_test(texts_are_cut_by_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
