#include "common/kube/selector.h"

#include "common/base/limits.h"
#include "common/doc/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct cox_doc *parse(const char *json)
{
	struct cox_doc *doc;
	struct cox_error err;

	if (cox_json_read(cox_str(json), "test", &doc, &err) < 0)
		fail_msg("%s", err.message);
	return doc;
}

static void test_query(void **state)
{
	static const char labels[] = "{\"env\":\"dev\",\"tier\":\"\",\"a.b/c\":\"7\"}";
	static const struct {
		const char *selector;
		int matches; /* -1: refused */
	} rows[] = {
		{"", 1},
		{"env=dev", 1},
		{"env==dev", 1},
		{" env = dev ", 1},
		{"env=prod", 0},
		{"env!=prod", 1},
		{"nothere!=x", 1},
		{"nothere=x", 0},
		{"env in (dev,prod)", 1},
		{"env in (prod)", 0},
		{"env notin (dev)", 0},
		{"x notin (dev)", 1},
		{"env", 1},
		{"!env", 0},
		{"!x", 1},
		{"tier=", 1},
		{"tier in ()", 1},
		{"a.b/c>6", 1},
		{"a.b/c<7", 0},
		{"env>1", 0},
		{"env=dev,tier,a.b/c=7", 1},
		{"env=dev,!tier", 0},
		{"env=", 0},
		{"env in dev", -1},
		{"env in (dev", -1},
		{"env=dev,", -1},
		{",env", -1},
		{"env like dev", -1},
		{"-env", -1},
		{"env=-x", -1},
		{"env>x", -1},
		{"a/b/c=1", -1},
	};
	_cleanup_doc_ struct cox_doc *doc = parse(labels);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_selector_ struct cox_selector *s = NULL;
		int code = cox_selector_parse(cox_str(rows[i].selector), &s, NULL);

		if ((code < 0) != (rows[i].matches < 0))
			fail_msg("'%s'", rows[i].selector);
		if (code == 0 && cox_selector_matches(s, cox_doc_root(doc)) != rows[i].matches)
			fail_msg("'%s' matches wrongly", rows[i].selector);
	}
}

static void test_written_reads_back(void **state)
{
	static const char *const rows[][2] = {
		{"a=b,c!=d,!e,f,g>1,h<2", "a=b,c!=d,!e,f,g>1,h<2"},
		{"a in (x, y),b notin (z,w)", "a in (x,y),b notin (z,w)"},
		{"a in (x)", "a=x"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_selector_ struct cox_selector *s = NULL;
		COX_CLEANUP(cox_buf_fini) struct cox_buf out = COX_BUF_INIT;

		assert_int_equal(cox_selector_parse(cox_str(rows[i][0]), &s, NULL), 0);
		cox_selector_write(&out, s);
		assert_string_equal(cox_buf_cstr(&out), rows[i][1]);
	}
}

static bool object_selects(const char *selector, const char *labels)
{
	_cleanup_doc_ struct cox_doc *s = parse(selector), *l = parse(labels);
	_cleanup_selector_ struct cox_selector *made = NULL;
	struct cox_error err;

	if (cox_selector_from_node(cox_doc_root(s), &made, &err) < 0)
		fail_msg("%s", err.message);
	return cox_selector_matches(made, cox_doc_root(l));
}

static void test_object(void **state)
{
	_cleanup_selector_ struct cox_selector *s = NULL;

	(void)state;
	assert_true(object_selects("{}", "{}"));
	assert_false(object_selects("null", "{}"));
	assert_true(object_selects("{\"matchLabels\":{\"a\":\"b\"}}", "{\"a\":\"b\",\"c\":\"d\"}"));
	assert_false(object_selects("{\"matchLabels\":{\"a\":\"b\"}}", "{\"a\":\"c\"}"));
	assert_true(object_selects("{\"matchExpressions\":[{\"key\":\"e\",\"operator\":\"In\","
				   "\"values\":[\"x\",\"y\"]}]}",
				   "{\"e\":\"y\"}"));
	assert_false(object_selects("{\"matchExpressions\":[{\"key\":\"e\",\"operator\":"
				    "\"DoesNotExist\"}]}",
				    "{\"e\":\"y\"}"));
	static const char *const refused[] = {
		"{\"matchExpressions\":[{\"key\":\"e\",\"operator\":\"Is\"}]}",
		"{\"matchExpressions\":[{\"key\":\"e\",\"operator\":\"In\"}]}",
		"{\"matchExpressions\":[{\"key\":\"e\",\"operator\":\"Exists\",\"values\":[\"x\"]}]"
		"}",
		"{\"matchLabels\":{\"a\":1}}",
		"{\"matchLabels\":[]}",
		"[]",
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		_cleanup_doc_ struct cox_doc *doc = parse(refused[i]);

		assert_true(cox_selector_from_node(cox_doc_root(doc), &s, NULL) < 0);
	}
	assert_null(s);
}

static void test_fields(void **state)
{
	static const struct {
		const char *selector;
		int matches;
	} rows[] = {
		{"", 1},
		{"metadata.name=web", 1},
		{"metadata.name==web", 1},
		{"metadata.name!=web", 0},
		{"metadata.name=web,status.phase=Running", 1},
		{"spec.nodeName=", 1},
		{"spec.nodeName!=", 0},
		{"status.note=a\\,b\\=c", 1},
		{"metadata.name", -1},
		{"=x", -1},
		{"a=b=c", -1},
		{"a=\\x", -1},
	};
	_cleanup_doc_ struct cox_doc *doc =
		parse("{\"metadata\":{\"name\":\"web\"},\"status\":{\"phase\":\"Running\","
		      "\"note\":\"a,b=c\"}}");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_field_selector_ struct cox_field_selector *s = NULL;
		int code = cox_field_selector_parse(cox_str(rows[i].selector), &s, NULL);

		if ((code < 0) != (rows[i].matches < 0))
			fail_msg("'%s'", rows[i].selector);
		if (code == 0)
			assert_int_equal(cox_field_selector_matches(s, cox_doc_root(doc)),
					 rows[i].matches);
	}
}

static void test_limits(void **state)
{
	COX_CLEANUP(cox_buf_fini) struct cox_buf text = COX_BUF_INIT;
	_cleanup_selector_ struct cox_selector *at = NULL, *over = NULL;

	(void)state;
	while (text.len < COX_LIMIT_SELECTOR_BYTES)
		cox_buf_putc(&text, ' ');
	assert_int_equal(cox_selector_parse(cox_buf_str(&text), &at, NULL), 0);
	cox_buf_putc(&text, ' ');
	assert_int_equal(cox_selector_parse(cox_buf_str(&text), &over, NULL),
			 -COX_RESOURCE_EXHAUSTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),  cmocka_unit_test(test_written_reads_back),
		cmocka_unit_test(test_object), cmocka_unit_test(test_fields),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
