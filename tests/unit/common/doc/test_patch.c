/* JSON pointers, JSON Patch, merge patch, differences. */
#include "common/base/limits.h"
#include "common/doc/diff.h"
#include "common/doc/json.h"
#include "common/doc/patch.h"
#include "common/doc/pointer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct cox_doc *json(const char *text, const char *name)
{
	struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (cox_json_read(cox_str(text), name, &doc, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return doc;
}

static void assert_json(const struct cox_node *node, const char *want)
{
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	cox_json_write(&out, node);
	assert_string_equal(cox_buf_cstr(&out), want);
}

/* The examples of RFC 6901, section 5. */
static void pointers(void **state)
{
	static const char text[] =
		"{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
		"\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}";
	static const struct {
		const char *pointer, *want;
	} cases[] = {
		{"", text},
		{"/foo", "[\"bar\",\"baz\"]"},
		{"/foo/0", "\"bar\""},
		{"/", "0"},
		{"/a~1b", "1"},
		{"/c%d", "2"},
		{"/e^f", "3"},
		{"/g|h", "4"},
		{"/i\\j", "5"},
		{"/k\"l", "6"},
		{"/ ", "7"},
		{"/m~0n", "8"},
	};
	static const struct {
		const char *pointer, *message;
	} bad[] = {
		{"foo", "'foo': a JSON pointer starts with '/'"},
		{"/x", "'/x': no key 'x'"},
		{"/foo/2", "'/foo/2': the list has no item '2'"},
		{"/foo/01", "'/foo/01': expected an index of a list, found '01'"},
		{"/foo/-", "'/foo/-': expected an index of a list, found '-'"},
		{"/foo/-1", "'/foo/-1': expected an index of a list, found '-1'"},
		{"/foo/1e0", "'/foo/1e0': expected an index of a list, found '1e0'"},
		{"/foo/0/x", "'/foo/0/x': neither a map nor a list has the step 'x'"},
		{"/m~2n", "'/m~2n': '~' must be '~0', and '/' in a key '~1', in 'm~2n'"},
		{"/m~", "'/m~': '~' must be '~0', and '/' in a key '~1', in 'm~'"},
		{"/foo/99999999999999999999",
		 "'/foo/99999999999999999999': expected an index of a list, found "
		 "'99999999999999999999'"},
	};
	_cleanup_doc_ struct cox_doc *doc = json(text, "t");
	_cleanup_buf_ struct cox_buf built = COX_BUF_INIT;
	const struct cox_node *node = NULL;
	struct cox_error err;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		assert_int_equal(cox_pointer_get(cox_doc_root(doc), cox_str(cases[i].pointer), 0,
						 &node, &err),
				 0);
		assert_json(node, cases[i].want);
	}
	for (size_t i = 0; i < COX_ARRAY_LEN(bad); i++) {
		assert_true(cox_pointer_get(cox_doc_root(doc), cox_str(bad[i].pointer), 0, &node,
					    &err) < 0);
		assert_string_equal(err.message, bad[i].message);
	}
	assert_int_equal(cox_pointer_get(cox_doc_root(doc), COX_STR("/foo/-1"),
					 COX_POINTER_NEGATIVE, &node, &err),
			 0);
	assert_json(node, "\"baz\"");
	cox_pointer_push(&built, COX_STR("a/b~c"));
	assert_string_equal(cox_buf_cstr(&built), "/a~1b~0c");
}

static void creates_the_way(void **state)
{
	_cleanup_doc_ struct cox_doc *base = json("{\"a\":{\"x\":1}}", "t");
	_cleanup_doc_ struct cox_doc *doc = cox_doc_edit(base);
	struct cox_error err;

	(void)state;
	assert_int_equal(cox_pointer_add(doc, COX_STR("/a/b/c"), cox_doc_int(doc, 2), 0, &err),
			 -COX_NOT_FOUND);
	assert_int_equal(cox_pointer_add(doc, COX_STR("/a/b/c"), cox_doc_int(doc, 2),
					 COX_POINTER_CREATE, &err),
			 0);
	assert_json(cox_doc_root(doc), "{\"a\":{\"x\":1,\"b\":{\"c\":2}}}");
	assert_json(cox_doc_root(base), "{\"a\":{\"x\":1}}");
	assert_int_equal(cox_pointer_remove(doc, COX_STR("/q/r"), COX_POINTER_CREATE, &err),
			 -COX_NOT_FOUND);
	assert_int_equal(cox_pointer_remove(doc, COX_STR(""), 0, &err), -COX_INVALID_ARGUMENT);
}

struct patch_case {
	const char *base, *patch, *want; /* or the message */
	unsigned flags;
	int code;
};

static void run_patch(const struct patch_case *c)
{
	_cleanup_doc_ struct cox_doc *base = json(c->base, "b"), *patch = json(c->patch, "p"),
				     *result = NULL;
	struct cox_error err = COX_ERROR_INIT;
	int r = cox_json_patch(base, patch, NULL, c->flags, &result, &err);

	if (r != -c->code)
		fail_msg("%s with %s: %d, %s", c->base, c->patch, r, err.message);
	assert_json(cox_doc_root(base), c->base);
	if (r == 0)
		assert_json(cox_doc_root(result), c->want);
	else
		assert_string_equal(err.message, c->want);
}

static void json_patches(void **state)
{
	static const struct patch_case cases[] = {
		/* After RFC 6902, appendix A. */
		{"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
		 "{\"foo\":\"bar\",\"baz\":\"qux\"}", 0, 0},
		{"{\"foo\":[1,3]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":2}]",
		 "{\"foo\":[1,2,3]}", 0, 0},
		{"{\"foo\":[1]}", "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[2]}]",
		 "{\"foo\":[1,[2]]}", 0, 0},
		{"{\"foo\":[1]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":2}]",
		 "{\"foo\":[1,2]}", 0, 0},
		{"{\"a\":1,\"b\":2}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "{\"b\":2}", 0, 0},
		{"{\"a\":[1,2,3]}", "[{\"op\":\"remove\",\"path\":\"/a/1\"}]", "{\"a\":[1,3]}", 0,
		 0},
		{"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":null}]",
		 "{\"a\":null}", 0, 0},
		{"{\"a\":{\"b\":1},\"c\":{}}",
		 "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/c/d\"}]",
		 "{\"a\":{},\"c\":{\"d\":1}}", 0, 0},
		{"[1,2,3]", "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/2\"}]", "[2,3,1]", 0, 0},
		{"{\"a\":{\"b\":1}}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/c\"}]",
		 "{\"a\":{\"b\":1},\"c\":{\"b\":1}}", 0, 0},
		{"{\"a\":{\"b\":[1,{}]}}",
		 "[{\"op\":\"test\",\"path\":\"/a\",\"value\":{\"b\":[1,{}]}}]",
		 "{\"a\":{\"b\":[1,{}]}}", 0, 0},
		{"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":[]}]", "[]", 0, 0},
		{"{\"a\":1}",
		 "[{\"op\":\"add\",\"path\":\"\",\"value\":{\"x\":1}},"
		 "{\"op\":\"add\",\"path\":\"/y\",\"value\":2}]",
		 "{\"x\":1,\"y\":2}", 0, 0},
		/* A copy is another value: changing it leaves the first alone. */
		{"{\"a\":{\"b\":1}}",
		 "[{\"op\":\"add\",\"path\":\"/a/n\",\"value\":{}},"
		 "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/c\"},"
		 "{\"op\":\"add\",\"path\":\"/c/n/x\",\"value\":1},"
		 "{\"op\":\"remove\",\"path\":\"/c/b\"}]",
		 "{\"a\":{\"b\":1,\"n\":{}},\"c\":{\"n\":{\"x\":1}}}", 0, 0},
		/* What a patch brought may be changed by it. */
		{"{}",
		 "[{\"op\":\"add\",\"path\":\"/a\",\"value\":{\"l\":[]}},"
		 "{\"op\":\"add\",\"path\":\"/a/l/-\",\"value\":1},"
		 "{\"op\":\"move\",\"from\":\"/a/l\",\"path\":\"/l\"},"
		 "{\"op\":\"add\",\"path\":\"/l/0\",\"value\":0}]",
		 "{\"a\":{},\"l\":[0,1]}", 0, 0},
		/* Kustomize's reading. */
		{"{}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}]", "{\"a\":1}",
		 COX_PATCH_KUSTOMIZE, 0},
		{"[1,2]", "[{\"op\":\"remove\",\"path\":\"/-1\"}]", "[1]", COX_PATCH_KUSTOMIZE, 0},
		{"{}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":null}]", "{}",
		 COX_PATCH_KUSTOMIZE, 0},
		{"{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "p:1:2: remove: '/a': no key 'a'",
		 COX_PATCH_KUSTOMIZE, COX_NOT_FOUND},
		/* Failures. */
		{"{}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}]",
		 "p:1:2: replace: '/a': no key 'a'", 0, COX_NOT_FOUND},
		{"{\"a\":1}",
		 "[{\"op\":\"remove\",\"path\":\"/a\"},\n {\"op\":\"remove\",\"path\":\"/a\"}]",
		 "p:2:2: remove: '/a': no key 'a'", 0, COX_NOT_FOUND},
		{"{}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]",
		 "p:1:2: add: '/a/b': no key 'a'", 0, COX_NOT_FOUND},
		{"[1]", "[{\"op\":\"add\",\"path\":\"/2\",\"value\":1}]",
		 "p:1:2: add: '/2': the list has no item '2'", 0, COX_NOT_FOUND},
		{"[1]", "[{\"op\":\"add\",\"path\":\"/-1\",\"value\":1}]",
		 "p:1:2: add: '/-1': expected an index of a list, found '-1'", 0,
		 COX_INVALID_ARGUMENT},
		{"1", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}]",
		 "p:1:2: add: '/a': neither a map nor a list has the step 'a'", 0,
		 COX_INVALID_ARGUMENT},
		{"{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":\"1\"}]",
		 "p:1:2: test: '/a': the value is another", 0, COX_FAILED_PRECONDITION},
		{"{\"a\":{}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]",
		 "p:1:2: move: '/a/b': a value cannot be moved into itself", 0,
		 COX_INVALID_ARGUMENT},
		{"{}", "[{\"op\":\"add\",\"path\":\"/a\"}]", "p:1:2: 'add' needs 'value'", 0,
		 COX_INVALID_ARGUMENT},
		{"{}", "[{\"op\":\"add\",\"value\":1}]",
		 "p:1:2: an operation needs 'path', a JSON pointer", 0, COX_INVALID_ARGUMENT},
		{"{}", "[{\"op\":\"copy\",\"path\":\"/a\",\"from\":1}]",
		 "p:1:34: an operation needs 'from', a JSON pointer", 0, COX_INVALID_ARGUMENT},
		{"{}", "[{\"op\":\"spam\",\"path\":\"/a\"}]",
		 "p:1:2: 'op' must be add, remove, replace, move, copy or test", 0,
		 COX_INVALID_ARGUMENT},
		{"{}", "[1]", "p:1:2: an operation is a map with 'op' and 'path'", 0,
		 COX_INVALID_ARGUMENT},
		{"{}", "{}", "p:1:1: a JSON patch is a list of operations", 0,
		 COX_INVALID_ARGUMENT},
		{"{}", "[{\"op\":\"remove\",\"path\":\"\"}]",
		 "p:1:2: remove: '': the whole document cannot be removed", 0,
		 COX_INVALID_ARGUMENT},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++)
		run_patch(&cases[i]);
}

/* Copies that double each time end at the limit, in nodes or in depth. */
static void copies_are_limited(void **state)
{
	static const char wide[] = "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"}";
	static const char deep[] = "{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a\"}";

	(void)state;
	for (int is_deep = 0; is_deep < 2; is_deep++) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
		_cleanup_doc_ struct cox_doc *base = json("{\"a\":[1]}", "b"), *patch = NULL,
					     *result = NULL;

		for (int i = 0; i < 200; i++)
			cox_buf_printf(&text, "%c%s", i ? ',' : '[', is_deep ? deep : wide);
		cox_buf_putc(&text, ']');
		patch = json(cox_buf_cstr(&text), "p");
		assert_int_equal(cox_json_patch(base, patch, NULL, 0, &result, NULL),
				 -COX_INVALID_ARGUMENT);
		assert_null(result);
	}
}

/* RFC 7396, appendix A. */
static void merge_patches(void **state)
{
	static const struct {
		const char *base, *patch, *want;
	} cases[] = {
		{"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
		{"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
		{"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
		{"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
		{"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
		{"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
		{"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
		 "{\"a\":{\"b\":\"d\"}}"},
		{"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
		{"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
		{"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
		{"{\"a\":\"foo\"}", "null", "null"},
		{"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
		{"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
		{"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
		{"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
		{"{\"a\":1}", "{\"a\":{\"b\":{\"c\":1,\"d\":null}}}", "{\"a\":{\"b\":{\"c\":1}}}"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		_cleanup_doc_ struct cox_doc *base = json(cases[i].base, "b"),
					     *patch = json(cases[i].patch, "p");
		_cleanup_doc_ struct cox_doc *result = cox_merge_patch(base, patch, NULL);

		assert_json(cox_doc_root(result), cases[i].want);
		assert_json(cox_doc_root(base), cases[i].base);
		assert_json(cox_doc_root(patch), cases[i].patch);
	}
}

static void patches_share(void **state)
{
	_cleanup_doc_ struct cox_doc *base = json("{\"a\":{\"b\":1},\"keep\":{\"x\":[1]}}", "b");
	_cleanup_doc_ struct cox_doc *patch = json("{\"a\":{\"c\":{\"d\":2}}}", "p");
	_cleanup_doc_ struct cox_doc *result = cox_merge_patch(base, patch, NULL);

	(void)state;
	assert_ptr_equal(COX_GET(cox_doc_root(result), "keep"),
			 COX_GET(cox_doc_root(base), "keep"));
	assert_ptr_equal(COX_GET(cox_doc_root(result), "a", "c"),
			 COX_GET(cox_doc_root(patch), "a", "c"));
}

static void assert_diff(const char *from, const char *to, size_t max, const char *want, bool all)
{
	_cleanup_doc_ struct cox_doc *a = json(from, "a"), *b = json(to, "b");
	_cleanup_differences_ cox_differences d = {0};
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	assert_int_equal(cox_diff(cox_doc_root(a), cox_doc_root(b), max, &d), all);
	COX_VEC_EACH (&d, x)
		cox_buf_printf(&out, "%s%c%s", out.len ? " " : "", "+-~"[x->change], x -> path);
	assert_string_equal(cox_buf_cstr(&out), want);
}

static void differences(void **state)
{
	(void)state;
	assert_diff("{\"a\":1}", "{\"a\":1}", 10, "", true);
	assert_diff("{\"spec\":{\"c\":[{\"image\":\"a\"},1]}}",
		    "{\"spec\":{\"c\":[{\"image\":\"b\"}]}}", 10, "~spec.c[0].image -spec.c[1]",
		    true);
	assert_diff("{\"a\":1,\"b\":{},\"c\":3}", "{\"c\":3,\"b\":[],\"d\":4}", 10, "-a ~b +d",
		    true);
	assert_diff("{\"m\":{\"a.b/c\":1}}", "{\"m\":{\"a.b/c\":2,\"\":1}}", 10,
		    "~m[\"a.b/c\"] +m[\"\"]", true);
	assert_diff("{\"a b\":1}", "{\"a b\":2}", 10, "~[\"a b\"]", true);
	assert_diff("1", "2", 10, "~", true);
	assert_diff("[1,[2]]", "[1,[3,4]]", 10, "~[1][0] +[1][1]", true);
	assert_diff("[1,2,3]", "[4,5,6]", 2, "~[0] ~[1]", false);
	assert_diff("[1,2,3]", "[4,5,3]", 2, "~[0] ~[1]", true);
	assert_diff("[1]", "[2]", 0, "", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pointers),	 cmocka_unit_test(creates_the_way),
		cmocka_unit_test(json_patches),	 cmocka_unit_test(copies_are_limited),
		cmocka_unit_test(merge_patches), cmocka_unit_test(patches_share),
		cmocka_unit_test(differences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
