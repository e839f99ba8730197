#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/text/glob.h"
#include "common/text/regex.h"
#include "common/text/semver.h"

#include <stdio.h>

/* ---- globs ---- */

static void test_glob(void **state)
{
	static const struct {
		const char *pattern, *text;
		char separator;
		bool wanted;
	} cases[] = {
		{"", "", 0, true},
		{"", "a", 0, false},
		{"abc", "abc", 0, true},
		{"abc", "abcd", 0, false},
		{"abc", "ab", 0, false},
		{"*", "", 0, true},
		{"*", "abc", 0, true},
		{"*.yaml", "x.yaml", 0, true},
		{"*.yaml", "a/b/x.yaml", 0, true},
		{"*.yaml", "a/b/x.yaml", '/', false},
		{"**.yaml", "a/b/x.yaml", '/', true},
		{"**/x.yaml", "a/b/x.yaml", '/', true},
		{"**/x.yaml", "x.yaml", '/', false},
		{"a/*/c", "a/b/c", '/', true},
		{"a/*/c", "a//c", '/', true},
		{"a/*/c", "a/b/b/c", '/', false},
		{"a/*/c", "a/b/b/c", 0, true},
		{"a/**/c", "a/b/b/c", '/', true},
		{"a*b*c", "aXbYc", 0, true},
		{"a*b*c", "acb", 0, false},
		{"***", "a/b", '/', true},
		{"?at", "cat", 0, true},
		{"?at", "at", 0, false},
		{"?at", "/at", '/', false},
		{"?at", "/at", 0, true},
		{"?", "\xc3\xa9", 0, true},
		{"??", "\xc3\xa9", 0, false},
		{"?", "\xff", 0, true},
		{"[abc]at", "bat", 0, true},
		{"[abc]at", "dat", 0, false},
		{"[!abc]at", "dat", 0, true},
		{"[!abc]at", "bat", 0, false},
		{"[a-c]at", "bat", 0, true},
		{"[!a-c]at", "bat", 0, false},
		{"[!a-c]at", "dat", 0, true},
		{"[a-cx-z]", "y", 0, true},
		{"[a-cx-z]", "m", 0, false},
		{"[a-]", "-", 0, true},
		{"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", 0, true},
		{"[\\]]", "]", 0, true},
		{"{cat,bat,[fr]at}", "cat", 0, true},
		{"{cat,bat,[fr]at}", "rat", 0, true},
		{"{cat,bat,[fr]at}", "at", 0, false},
		{"{cat,bat,[fr]at}", "zat", 0, false},
		{"{a,{b,c}d}e", "cde", 0, true},
		{"{a,{b,c}d}e", "ae", 0, true},
		{"{a,{b,c}d}e", "be", 0, false},
		{"{,a}b", "b", 0, true},
		{"{,a}b", "ab", 0, true},
		{"{a}", "a", 0, true},
		{"{}", "", 0, true},
		{"{*.yaml,*.json}", "dir/x.json", 0, true},
		{"{*.yaml,*.json}", "dir/x.txt", 0, false},
		{"{deploy,service}.yaml", "service.yaml", 0, true},
		{"a,b}", "a,b}", 0, true},
		{"\\*", "*", 0, true},
		{"\\*", "x", 0, false},
		{"\\{a\\,b\\}", "{a,b}", 0, true},
		{"]", "]", 0, true},
		/* sourceRepos, as Argo CD's users write them */
		{"https://github.com/org/*", "https://github.com/org/repo", '/', true},
		{"https://github.com/org/*", "https://github.com/org/a/b", '/', false},
		{"https://github.com/org/**", "https://github.com/org/a/b", '/', true},
		{"https://github.com/*/*", "https://github.com/org/repo", '/', true},
		{"*", "https://github.com/org/repo", '/', false},
		{"**", "https://github.com/org/repo", '/', true},
		{"prod-*", "prod-web", 0, true},
		{"*-prod", "prod-web", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		COX_CLEANUP(cox_glob_free_p) struct cox_glob *glob = NULL;
		struct cox_error err = COX_ERROR_INIT;

		if (cox_glob_compile(cox_str(cases[i].pattern), cases[i].separator, &glob, &err) <
		    0)
			fail_msg("%s", err.message);
		if (cox_glob_match(glob, cox_str(cases[i].text)) != cases[i].wanted)
			fail_msg("'%s' on '%s'", cases[i].pattern, cases[i].text);
	}
}

static void test_glob_errors(void **state)
{
	static const char *const bad[] = {
		"[",  "[a",  "[]",  "[!]",  "[z-a]", "{",
		"{a", "{a,", "a\\", "[a\\", "{{a}",  "{{{{{{{{{a}}}}}}}}}",
	};
	_cleanup_buf_ struct cox_buf pattern = COX_BUF_INIT;
	COX_CLEANUP(cox_glob_free_p) struct cox_glob *glob = NULL;
	struct cox_error err;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++) {
		assert_int_equal(cox_glob_compile(cox_str(bad[i]), 0, &glob, &err),
				 -COX_INVALID_ARGUMENT);
		assert_non_null(strstr(err.message, "at byte"));
		assert_false(cox_glob_matches(cox_str(bad[i]), 0, cox_str(bad[i])));
	}
	assert_null(glob);
	assert_true(cox_glob_matches(COX_STR("{{{{{{{{a}}}}}}}}"), 0, COX_STR("a")));
	for (int i = 0; i < COX_LIMIT_GLOB_BYTES; i++)
		cox_buf_putc(&pattern, 'a');
	assert_true(cox_glob_matches(cox_buf_str(&pattern), 0, cox_buf_str(&pattern)));
	cox_buf_putc(&pattern, 'a');
	assert_int_equal(cox_glob_compile(cox_buf_str(&pattern), 0, &glob, &err),
			 -COX_INVALID_ARGUMENT);
}

/* What takes a backtracking matcher longer than the universe has left. */
static void test_glob_is_linear(void **state)
{
	_cleanup_buf_ struct cox_buf pattern = COX_BUF_INIT, text = COX_BUF_INIT;
	int64_t start = cox_clock_ms();

	(void)state;
	for (int i = 0; i < 100; i++)
		cox_buf_puts(&pattern, "*{a,a*}");
	cox_buf_putc(&pattern, 'b');
	for (int i = 0; i < 4096; i++)
		cox_buf_putc(&text, 'a');
	assert_false(cox_glob_matches(cox_buf_str(&pattern), 0, cox_buf_str(&text)));
	assert_true(cox_clock_ms() - start < 20000);
}

/* ---- regular expressions ---- */

static void test_regex(void **state)
{
	static const struct {
		const char *pattern, *text;
		unsigned flags;
		int wanted;
	} cases[] = {
		{"b", "abc", 0, 1},
		{"b", "abc", COX_REGEX_ANCHORED, 0},
		{"abc|a", "abc", COX_REGEX_ANCHORED, 1},
		{"a|abc", "abc", COX_REGEX_ANCHORED, 1},
		{"^main$", "main", 0, 1},
		{"^main$", "main\n", 0, 0},
		{"(?m)^b$", "a\nb\nc", 0, 1},
		{"a.c", "a\nc", 0, 0},
		{"(?s)a.c", "a\nc", 0, 1},
		{"ABC", "abc", COX_REGEX_CASELESS, 1},
		{"(?i)ABC", "abc", 0, 1},
		{"^.$", "\xc3\xa9", 0, 1},
		{"\\d{2,4}", "x123", 0, 1},
		{"^v[0-9]+\\.[0-9]+$", "v1.22", 0, 1},
		{"[[:alpha:]]+", "abc", COX_REGEX_ANCHORED, 1},
		{"[]a]", "]", 0, 1},
		{"\\Qa.b*\\E+", "a.b**", COX_REGEX_ANCHORED, 1},
		{"x{,3}", "x{,3}", COX_REGEX_ANCHORED, 1},
		{"\\pL+", "\xc3\xa9t\xc3\xa9", COX_REGEX_ANCHORED, 1},
		{"a+?b", "aab", 0, 1},
		{"(?:a|b)*c", "ababc", COX_REGEX_ANCHORED, 1},
		{"\\bfoo\\b", "a foo b", 0, 1},
		{"", "", 0, 1},
		{"^$", "x", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		struct cox_error err = COX_ERROR_INIT;
		int r = cox_regex_matches(cox_str(cases[i].pattern), cases[i].flags,
					  cox_str(cases[i].text), &err);

		if (r != cases[i].wanted)
			fail_msg("'%s' on '%s': %d %s", cases[i].pattern, cases[i].text, r,
				 err.message);
	}
}

static void test_regex_groups(void **state)
{
	COX_CLEANUP(cox_regex_free_p) struct cox_regex *regex = NULL;
	struct cox_str groups[5];

	(void)state;
	assert_int_equal(
		cox_regex_compile(COX_STR("(?P<app>[a-z]+)-(x)?(?<env>dev|prod)"), 0, &regex, NULL),
		0);
	assert_int_equal(cox_regex_n_groups(regex), 4);
	assert_string_equal(cox_regex_group_name(regex, 1), "app");
	assert_null(cox_regex_group_name(regex, 2));
	assert_string_equal(cox_regex_group_name(regex, 3), "env");
	assert_null(cox_regex_group_name(regex, 99));
	assert_int_equal(cox_regex_match(regex, COX_STR("..web-prod.."), groups, 5, NULL), 1);
	assert_true(cox_str_is(groups[0], "web-prod"));
	assert_true(cox_str_is(groups[1], "web"));
	assert_null(groups[2].ptr);
	assert_true(cox_str_is(groups[3], "prod"));
	assert_null(groups[4].ptr);
}

static void test_regex_refused(void **state)
{
	static const char *const bad[] = {
		"(a)\\1",    "(?=a)",
		"(?!a)",     "(?<=a)",
		"(?<!a)",    "(?>a)",
		"(?R)",	     "(?1)",
		"(?&x)",     "(?P>x)",
		"(?P=x)",    "(?(1)a|b)",
		"(*ACCEPT)", "(*UTF)a",
		"a++",	     "a*+",
		"a?+",	     "a{2}+",
		"\\K",	     "\\G",
		"\\R",	     "\\X",
		"\\C",	     "\\k<x>",
		"\\g1",	     "\\Z",
		"(?|a|b)",   "(?x)a b",
		"(?C1)",     "(?#c)",
		"a{1001}",   "a{0,1001}",
		"a\\",	     "[a",
		"(a",	     "a)",
		"[a-\\K]",   "((a{1000}){1000}){1000}",
		"*a",	     "[z-a]",
		"\xff",
	};
	_cleanup_buf_ struct cox_buf pattern = COX_BUF_INIT;
	COX_CLEANUP(cox_regex_free_p) struct cox_regex *regex = NULL;
	struct cox_error err;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++)
		if (cox_regex_compile(cox_str(bad[i]), 0, &regex, &err) != -COX_INVALID_ARGUMENT)
			fail_msg("'%s' was taken", bad[i]);
	assert_null(regex);
	for (int i = 0; i < COX_LIMIT_REGEX_BYTES; i++)
		cox_buf_putc(&pattern, 'a');
	assert_int_equal(cox_regex_matches(cox_buf_str(&pattern), 0, cox_buf_str(&pattern), &err),
			 1);
	cox_buf_putc(&pattern, 'a');
	assert_int_equal(cox_regex_compile(cox_buf_str(&pattern), 0, &regex, &err),
			 -COX_INVALID_ARGUMENT);
}

static void test_regex_limits(void **state)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_error err;

	(void)state;
	for (int i = 0; i < 5000; i++)
		cox_buf_putc(&text, 'a');
	/* Exponential for whoever tries all ways. */
	assert_int_equal(cox_regex_matches(COX_STR("(a|a)*(a|a)*(a|a)*b|(aa|a)*c"), 0,
					   cox_buf_str(&text), &err),
			 -COX_RESOURCE_EXHAUSTED);
	assert_int_equal(cox_regex_matches(COX_STR("a"), 0, COX_STR("\xff"), &err),
			 -COX_INVALID_ARGUMENT);
	while (text.len < COX_LIMIT_REGEX_TEXT_BYTES)
		cox_buf_putc(&text, 'b');
	assert_int_equal(cox_regex_matches(COX_STR("ab"), 0, cox_buf_str(&text), &err), 1);
	cox_buf_putc(&text, 'b');
	assert_int_equal(cox_regex_matches(COX_STR("ab"), 0, cox_buf_str(&text), &err),
			 -COX_INVALID_ARGUMENT);
}

/* ---- versions ---- */

static void test_semver_parse(void **state)
{
	static const char *const strict[] = {
		"0.0.4",
		"1.2.3",
		"10.20.30",
		"1.1.2-prerelease+meta",
		"1.1.2+meta",
		"1.1.2+meta-valid",
		"1.0.0-alpha",
		"1.0.0-alpha.beta.1",
		"1.0.0-alpha0.valid",
		"1.0.0-alpha.0valid",
		"1.0.0-rc.1+build.1",
		"1.2.3----RC-SNAPSHOT.12.9.1--.12+788",
		"1.0.0+0.build.1-rc.10000aaa-kk-0.1",
		"1.0.0-0A.is.legal",
		"18446744073709551615.0.0",
	};
	static const char *const lenient[] = {"1",	"1.2",	 "v1.2.3",     "v1",
					      "01.2.3", "1-rc1", "1.2-beta.5", "1.2+x"};
	static const char *const bad[] = {
		"",
		"v",
		"a",
		"1.2.3-0123",
		"1.2.3-0123.0123",
		"1.1.2+.123",
		"+invalid",
		"-invalid",
		"-alpha",
		"alpha.beta",
		"1.0.0-alpha_beta",
		"1.0.0-a..",
		"1.0.0-a..b",
		"1.2.3.4",
		"1.2.",
		"1..3",
		"1.2.3-",
		"1.2.3+",
		"99999999999999999999.0.0",
		" 1.2.3",
		"1.2.3 ",
		"vv1.2.3",
		"V1.2.3",
		"1.2.3-\xc3\xa9",
		"9.8.7+meta+meta",
	};
	struct cox_semver v;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(strict); i++) {
		assert_int_equal(cox_semver_parse_strict(cox_str(strict[i]), &v, NULL), 0);
		assert_int_equal(cox_semver_parse(cox_str(strict[i]), &v, NULL), 0);
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(lenient); i++) {
		assert_int_equal(cox_semver_parse(cox_str(lenient[i]), &v, NULL), 0);
		assert_true(cox_semver_parse_strict(cox_str(lenient[i]), &v, NULL) < 0);
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++)
		if (cox_semver_parse(cox_str(bad[i]), &v, NULL) != -COX_INVALID_ARGUMENT)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(cox_semver_parse(COX_STR("v1.2-rc.1+b.7"), &v, NULL), 0);
	assert_true(v.major == 1 && v.minor == 2 && v.patch == 0);
	assert_true(cox_str_is(v.pre, "rc.1"));
	assert_true(cox_str_is(v.build, "b.7"));
}

static void test_semver_order(void **state)
{
	/* semver.org, rule 11, and what is easily got wrong. */
	static const char *const rising[] = {
		"0.0.1",	 "0.1.0",
		"1.0.0-0",	 "1.0.0-9",
		"1.0.0-10",	 "1.0.0-99999999999999999999",
		"1.0.0-Z",	 "1.0.0-alpha",
		"1.0.0-alpha.1", "1.0.0-alpha.beta",
		"1.0.0-beta",	 "1.0.0-beta.2",
		"1.0.0-beta.11", "1.0.0-rc.1",
		"1.0.0",	 "1.0.1",
		"1.2.0",	 "1.10.0",
		"2.0.0",	 "10.0.0",
	};
	struct cox_semver a, b;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rising); i++) {
		for (size_t j = 0; j < COX_ARRAY_LEN(rising); j++) {
			int wanted = (i > j) - (i < j), got;

			assert_int_equal(cox_semver_parse(cox_str(rising[i]), &a, NULL), 0);
			assert_int_equal(cox_semver_parse(cox_str(rising[j]), &b, NULL), 0);
			got = cox_semver_compare(&a, &b);
			if ((got > 0) - (got < 0) != wanted)
				fail_msg("%s and %s: %d", rising[i], rising[j], got);
		}
	}
	assert_int_equal(cox_semver_parse(COX_STR("1.0.0+a"), &a, NULL), 0);
	assert_int_equal(cox_semver_parse(COX_STR("1.0.0+b"), &b, NULL), 0);
	assert_int_equal(cox_semver_compare(&a, &b), 0);
}

static void test_constraint(void **state)
{
	static const struct {
		const char *constraint, *version;
		bool wanted;
	} cases[] = {
		{"=2.0.0", "1.2.3", false},
		{"=2.0.0", "2.0.0", true},
		{"=2.0", "2.0.9", true},
		{"=2.0", "2.1.0", false},
		{"2.0.0", "v2.0.0", true},
		{"4.1", "4.1.7", true},
		{"4", "4.9.9", true},
		{"4.x", "4.2.0", true},
		{"4.X", "5.0.0", false},
		{"4.1.*", "4.1.3", true},
		{"4.1.x", "4.2.0", false},
		{"*", "0.0.0", true},
		{"*", "7.1.2", true},
		{"*", "7.1.2-rc.1", false},
		{"x", "1.0.0", true},
		{"!=4.1", "4.1.0", false},
		{"!=4.1", "4.2.0", true},
		{"!=4.1.0", "4.1.1", true},
		{"!=4.x", "5.0.0", true},
		{"!=4.x", "4.0.0", false},
		{">1.1", "1.1.1", false},
		{">1.1", "1.2.0", true},
		{">1.1.0", "1.1.1", true},
		{">11", "11.1.0", false},
		{">11", "12.0.0", true},
		{"> 1.2.3", "1.2.4", true},
		{">=11", "11.0.0", true},
		{">=1.1", "1.0.9", false},
		{"=>1.1", "1.1.0", true},
		{"<1.1", "1.1.0", false},
		{"<1.1", "1.0.9", true},
		{"<0.0.5", "0.1.0", false},
		{"<=11", "11.9.9", true},
		{"<=11", "12.0.0", false},
		{"<=1.1", "1.1.5", true},
		{"=<1.1.0", "1.1.1", false},
		{"~1.1.1", "1.1.9", true},
		{"~1.1.1", "1.1.0", false},
		{"~1.1.1", "1.2.0", false},
		{"~1.1", "1.1.0", true},
		{"~1", "1.9.0", true},
		{"~1", "2.0.0", false},
		{"~1.x", "1.5.0", true},
		{"~>1.2", "1.2.7", true},
		{"~0.0.0", "3.2.1", true},
		{"^1.2.3", "1.8.9", true},
		{"^1.2.3", "1.2.2", false},
		{"^1.2.3", "2.0.0", false},
		{"^1.2", "1.2.0", true},
		{"^1", "1.7.0", true},
		{"^0.2.3", "0.2.9", true},
		{"^0.2.3", "0.3.0", false},
		{"^0.2", "0.2.5", true},
		{"^0.0.3", "0.0.3", true},
		{"^0.0.3", "0.0.4", false},
		{"^0.0", "0.0.9", true},
		{"^0.0", "0.1.0", false},
		{"^0", "0.9.0", true},
		{"^0", "1.0.0", false},
		{"^*", "3.0.0", true},
		{">1.1, <2", "1.1.1", false},
		{">1.1, <2", "1.2.1", true},
		{">1.1 <2", "1.2.1", true},
		{">1.1,<2", "2.0.0", false},
		{"> 1.1 < 3", "2.0.0", true},
		{">=1.0.0, !=1.5.0, <2.0.0", "1.5.0", false},
		{">=1.0.0, !=1.5.0, <2.0.0", "1.5.1", true},
		{"1.1 - 2", "1.1.1", true},
		{"1.1 - 2", "2.9.0", true},
		{"1.1 - 2", "3.0.0", false},
		{"1.1.0 - 1.2.3", "1.2.4", false},
		{"1.1.0 - 1.2.3 || ^5", "5.5.0", true},
		{"^1.1 || ^3.0", "3.4.0", true},
		{"^1.1 || ^3.0", "2.0.0", false},
		{"<1.0.0||>=3", "0.5.0", true},
		{"<1.0.0||>=3", "2.0.0", false},
		/* prereleases */
		{">1.0.0", "1.5.0-rc.1", false},
		{">1.0.0-0", "1.5.0-rc.1", true},
		{"^1.2.0-0", "1.3.0-beta", true},
		{"~1.2.3-beta.2", "1.2.3-beta.3", true},
		{"~1.2.3-beta.2", "1.2.3-beta.1", false},
		{"=1.0.0-rc.1", "1.0.0-rc.1", true},
		{">=1.0.0-0, <2.0.0", "1.5.0-rc.1", true},
		{">=1.0.0-0, <2.0.0", "2.0.0-rc.1", true},
		{"^1.0.0 || >=2.0.0-0", "1.5.0-rc", false},
		{"^1.0.0 || >=2.0.0-0", "2.5.0-rc", true},
		{"1.1-3", "4.3.2", false},
		{">=1.0.0+build", "1.0.0", true},
	};
	struct cox_semver v;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		COX_CLEANUP(cox_constraint_free_p) struct cox_constraint *c = NULL;
		struct cox_error err = COX_ERROR_INIT;

		if (cox_constraint_parse(cox_str(cases[i].constraint), &c, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(cox_semver_parse(cox_str(cases[i].version), &v, NULL), 0);
		if (cox_constraint_check(c, &v) != cases[i].wanted)
			fail_msg("'%s' on '%s'", cases[i].constraint, cases[i].version);
	}
}

static void test_constraint_errors(void **state)
{
	static const char *const bad[] = {
		"",	  "  ",	       "||",   "1 ||",	    "|| 1",    "foo",
		"main",	  "release-1", ">",    "= >1",	    "1.2.3.4", "1.x.2",
		">1,",	  ",>1",       "^",    "~ ",	    "1..2",    "1.2.x-beta",
		"*-beta", ">=1 foo",   "HEAD", "feature/x", "1 | 2",
	};
	static const char *const names[] = {"main",	 "v1.2.3", "1.2.3",	 "1.2",	     "1",
					    "release-1", "v2",	   "1.0.0-rc.1", "deadbeef", ""};
	static const char *const ranges[] = {"*",     "1.x",	"^1",	     "~1.2",   ">=1",
					     ">1 <2", "1 || 2", "1.0 - 2.0", "=1.2.3", "1.*"};
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	struct cox_constraint *c = NULL;
	struct cox_error err;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++)
		if (cox_constraint_parse(cox_str(bad[i]), &c, &err) != -COX_INVALID_ARGUMENT)
			fail_msg("'%s' was taken", bad[i]);
	assert_null(c);
	for (size_t i = 0; i < COX_ARRAY_LEN(names); i++)
		if (cox_constraint_is(cox_str(names[i])))
			fail_msg("'%s' is not meant as a constraint", names[i]);
	for (size_t i = 0; i < COX_ARRAY_LEN(ranges); i++)
		if (!cox_constraint_is(cox_str(ranges[i])))
			fail_msg("'%s' is a constraint", ranges[i]);
	cox_buf_puts(&text, ">1");
	while (text.len < COX_LIMIT_CONSTRAINT_BYTES)
		cox_buf_putc(&text, ' ');
	assert_int_equal(cox_constraint_parse(cox_buf_str(&text), &c, &err), 0);
	cox_constraint_free(c);
	cox_buf_putc(&text, ' ');
	assert_int_equal(cox_constraint_parse(cox_buf_str(&text), &c, &err), -COX_INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob),
		cmocka_unit_test(test_glob_errors),
		cmocka_unit_test(test_glob_is_linear),
		cmocka_unit_test(test_regex),
		cmocka_unit_test(test_regex_groups),
		cmocka_unit_test(test_regex_refused),
		cmocka_unit_test(test_regex_limits),
		cmocka_unit_test(test_semver_parse),
		cmocka_unit_test(test_semver_order),
		cmocka_unit_test(test_constraint),
		cmocka_unit_test(test_constraint_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
