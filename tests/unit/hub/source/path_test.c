#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "path_test.h"

#include "hub/source/tree.h"

struct escape {
	const char *text;
	size_t n; /* 0: up to the terminator */
};

/* CVE-2022-24348, -24730, -24731, CVE-2022-24877, CVE-2026-47680: everything that ever led out of a
 * repository, or may. */
static const struct escape escapes[] = {
	{"..", 0},
	{"../", 0},
	{"../x", 0},
	{"../../x", 0},
	{"../../../../../../../../../../etc/passwd", 0},
	{"a/../..", 0},
	{"a/../../x", 0},
	{"a/b/../../../x", 0},
	{"./..", 0},
	{"./../x", 0},
	{".//../x", 0},
	{"a//../../x", 0},
	{"a/./../../x", 0},
	{"../.git/config", 0},
	{"..//x", 0},
	{"x/../../../y", 0},
	{"/", 0},
	{"//", 0},
	{"/etc/passwd", 0},
	{"//etc/passwd", 0},
	{"/../etc/passwd", 0},
	{"/./etc/passwd", 0},
	{"/proc/self/environ", 0},
	{"/proc/self/root/etc/passwd", 0},
	{"/dev/stdin", 0},
	{"\\etc\\passwd", 0},
	{"..\\..\\x", 0},
	{"a\\..\\..\\x", 0},
	{"C:\\Windows\\win.ini", 0},
	{"\\\\server\\share", 0},
	{"a\\b", 0},
	{"file:///etc/passwd", 0},
	{"file://localhost/etc/passwd", 0},
	{"FILE:///etc/passwd", 0},
	{"http://169.254.169.254/latest/meta-data", 0},
	{"https://example.com/values.yaml", 0},
	{"ftp://example.com/x", 0},
	{"secrets://x", 0},
	{"helm-secrets+file:///etc/passwd", 0},
	{"git@example.com://x", 0},
	{"x://../../y", 0},
	{"a\0b", 3},
	{"\0", 1},
	{"a/../\0", 6},
	{"values.yaml\0.png", 16},
	{"a\nb", 0},
	{"a\rb", 0},
	{"a\tb", 0},
	{"a\x1b[31m", 0},
	{"a\x7f", 0},
	{"\xff\xfe", 0},
	{"\xc0\xae\xc0\xae/x", 0},
	{"\xe0\x80\xae\xe0\x80\xae/x", 0},
	{"\xed\xa0\x80", 0},
	{".git", 0},
	{".git/config", 0},
	{"a/.git/config", 0},
	{".GIT/config", 0},
	{".Git/hooks/post-checkout", 0},
	{"./.git", 0},
	{"x/../.git/config", 0},
	{".giT", 0},
};

void test_path_escapes(void **state)
{
	(void)state;
	assert_true(COX_ARRAY_LEN(escapes) >= 60);
	for (size_t i = 0; i < COX_ARRAY_LEN(escapes); i++) {
		struct cox_str text = cox_str_n(
			escapes[i].text, escapes[i].n ? escapes[i].n : strlen(escapes[i].text));
		struct cox_error err = COX_ERROR_INIT;
		char *path = NULL;

		if (hub_path_clean(text, &path, &err) >= 0)
			fail_msg("'%s' was taken as '%s'", escapes[i].text, path);
		assert_null(path);
		assert_true(err.code == COX_INVALID_ARGUMENT || err.code == COX_PERMISSION_DENIED);
		/* The message can be shown: nothing in it moves a terminal. */
		for (const char *p = err.message; *p; p++)
			assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
		if (hub_path_resolve("", text, &path, &err) >= 0)
			fail_msg("'%s' resolved to '%s'", escapes[i].text, path);
	}
}

void test_path_clean(void **state)
{
	static const char *const fine[][2] = {
		{"", ""},
		{".", ""},
		{"./", ""},
		{"a", "a"},
		{"a/", "a"},
		{"./a", "a"},
		{"a//b", "a/b"},
		{"a/./b/.", "a/b"},
		{"...", "..."},
		{"..a", "..a"},
		{"a..", "a.."},
		{"a/..b/c", "a/..b/c"},
		{".github/x", ".github/x"},
		{".gitignore", ".gitignore"},
		{"a b", "a b"},
		{"%2e%2e/x", "%2e%2e/x"},
		{"-rf", "-rf"},
		{"~root", "~root"},
		{"$HOME", "$HOME"},
		{"caf\xc3\xa9", "caf\xc3\xa9"},
		{"a:b", "a:b"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(fine); i++) {
		_cleanup_free_ char *path = NULL, *again = NULL;

		assert_int_equal(hub_path_clean(cox_str(fine[i][0]), &path, NULL), 0);
		assert_string_equal(path, fine[i][1]);
		assert_int_equal(hub_path_clean(cox_str(path), &again, NULL), 0);
		assert_string_equal(again, path);
	}
}

void test_path_resolve(void **state)
{
	static const char *const fine[][3] = {
		{"overlays/prod", "../../base", "base"},
		{"overlays/prod", "../base", "overlays/base"},
		{"overlays/prod", ".", "overlays/prod"},
		{"overlays/prod", "../..", ""},
		{"overlays/prod", "x/../y.yaml", "overlays/prod/y.yaml"},
		{"", "a/../b", "b"},
		{"a", "./b/", "a/b"},
	};
	static const char *const out[][2] = {
		{"overlays/prod", "../../.."}, {"a", "../../a/x"},    {"", ".."},
		{"a/b", "../../../a/b/x"},     {"a", "b/../../../x"}, {"a", "../.git/config"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(fine); i++) {
		_cleanup_free_ char *path = NULL;

		assert_int_equal(hub_path_resolve(fine[i][0], cox_str(fine[i][1]), &path, NULL), 0);
		assert_string_equal(path, fine[i][2]);
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(out); i++) {
		char *path = NULL;

		assert_int_equal(hub_path_resolve(out[i][0], cox_str(out[i][1]), &path, NULL),
				 -COX_PERMISSION_DENIED);
		assert_null(path);
	}
}

void test_path_limits(void **state)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	char *path = NULL;

	(void)state;
	for (int i = 0; i < HUB_LIMIT_PATH_PARTS - 1; i++)
		cox_buf_puts(&text, "a/");
	assert_int_equal(hub_path_clean(cox_buf_str(&text), &path, NULL), 0);
	free(TAKE(path));
	cox_buf_puts(&text, "a/");
	assert_int_equal(hub_path_clean(cox_buf_str(&text), &path, NULL), 0);
	free(TAKE(path));
	cox_buf_puts(&text, "a/");
	assert_int_equal(hub_path_clean(cox_buf_str(&text), &path, NULL), -COX_INVALID_ARGUMENT);
	/* In length: 4096 bytes pass, one more does not. */
	cox_buf_clear(&text);
	for (int i = 0; i < HUB_LIMIT_PATH_BYTES; i++)
		cox_buf_putc(&text, i % 200 == 199 ? '/' : 'a');
	assert_int_equal(hub_path_clean(cox_buf_str(&text), &path, NULL), 0);
	assert_int_equal(strlen(path), HUB_LIMIT_PATH_BYTES);
	free(TAKE(path));
	cox_buf_putc(&text, 'a');
	assert_int_equal(hub_path_clean(cox_buf_str(&text), &path, NULL), -COX_INVALID_ARGUMENT);
	/* A base that is long already does not lift it. */
	cox_buf_consume(&text, 1);
	{
		_cleanup_free_ char *base = cox_strdup(cox_buf_cstr(&text));

		assert_int_equal(hub_path_resolve(base, COX_STR("b"), &path, NULL),
				 -COX_INVALID_ARGUMENT);
	}
	cox_buf_clear(&text);
	for (int i = 0; i < 255; i++)
		cox_buf_putc(&text, 'a');
	assert_int_equal(hub_path_clean(cox_buf_str(&text), &path, NULL), 0);
	free(TAKE(path));
	cox_buf_putc(&text, 'a');
	assert_int_equal(hub_path_clean(cox_buf_str(&text), &path, NULL), -COX_INVALID_ARGUMENT);
}
