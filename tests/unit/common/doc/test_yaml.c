/* YAML: the reader's schemas, anchors, merges, limits and messages. */
#include "common/base/limits.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct cox_yaml_options kustomize = {.schema = COX_YAML_KUSTOMIZE, .keep_empty = true};

/* The documents of the text as JSON, one a line. */
static void assert_read_as(const char *text, const struct cox_yaml_options *options,
			   const char *want)
{
	_cleanup_docs_ cox_docs docs = {0};
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;
	struct cox_error err = COX_ERROR_INIT;

	if (cox_yaml_read_all(cox_str(text), "t", options, &docs, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	COX_VEC_EACH (&docs, doc) {
		if (out.len)
			cox_buf_putc(&out, '\n');
		cox_json_write(&out, cox_doc_root(*doc));
	}
	assert_string_equal(cox_buf_cstr(&out), want);
}

static void assert_read(const char *text, const char *want)
{
	assert_read_as(text, NULL, want);
}

static void assert_refused_with(const char *text, const struct cox_yaml_options *options,
				const char *message)
{
	cox_docs docs = {0};
	struct cox_error err = COX_ERROR_INIT;

	assert_int_equal(cox_yaml_read_all(cox_str(text), "t", options, &docs, &err),
			 -COX_INVALID_ARGUMENT);
	assert_int_equal(docs.n, 0);
	assert_string_equal(err.message, message);
}

static void assert_refused(const char *text, const char *message)
{
	assert_refused_with(text, NULL, message);
}

static void shapes(void **state)
{
	(void)state;
	assert_read("a: 1\nb:\n- x\n- w: [1, {z: 2}]\nc: {}\n",
		    "{\"a\":1,\"b\":[\"x\",{\"w\":[1,{\"z\":2}]}],\"c\":{}}");
	assert_read("\xEF\xBB\xBF"
		    "a: 1\r\nb: |\r\n  x\r\n  y\r\n",
		    "{\"a\":1,\"b\":\"x\\ny\\n\"}");
	assert_read("# only\n# comments\n", "");
	assert_read("a: 1 # one\n---\n# none\n---\nb: 2\n...\n---\n- c\n",
		    "{\"a\":1}\n{\"b\":2}\n[\"c\"]");
	assert_read_as("---\n---\na: 1\n", &(struct cox_yaml_options){.keep_empty = true},
		       "null\n{\"a\":1}");
	assert_read("lit: |-\n  a\n   b\nfold: >\n  a\n  b\n\n  c\nkeep: |+\n  x\n\n",
		    "{\"lit\":\"a\\n b\",\"fold\":\"a b\\nc\\n\",\"keep\":\"x\\n\\n\"}");
	assert_read("a: \"\\x41\\u00e9\\n\\0\"\nb: 'it''s'\nc: plain\n  goes on\n",
		    "{\"a\":\"A\xC3\xA9\\n\\u0000\",\"b\":\"it's\",\"c\":\"plain goes on\"}");
	assert_read("{\"json\": [true, null, -1.5], 'q': \"x\"}",
		    "{\"json\":[true,null,-1.5],\"q\":\"x\"}");
	assert_read("%YAML 1.1\n---\na:\n", "{\"a\":null}");
	assert_read("? a\n: b\n", "{\"a\":\"b\"}");
}

static void scalars(void **state)
{
	static const struct {
		const char *text, *kubernetes, *kustomize;
	} cases[] = {
		{"yes", "true", "\"yes\""},
		{"On", "true", "\"On\""},
		{"n", "false", "\"n\""},
		{"OFF", "false", "\"OFF\""},
		{"yEs", "\"yEs\"", "\"yEs\""},
		{"True", "true", "true"},
		{"FALSE", "false", "false"},
		{"tRue", "\"tRue\"", "\"tRue\""},
		{"~", "null", "null"},
		{"Null", "null", "null"},
		{"0", "0", "0"},
		{"-0", "0", "0"},
		{"+1", "1", "1"},
		{"0777", "511", "511"},
		{"0o17", "15", "15"},
		{"08", "8", "8"},
		{"0x1F", "31", "31"},
		{"-0x1F", "-31", "-31"},
		{"0b11", "3", "3"},
		{"1_000", "1000", "1000"},
		{"9223372036854775807", "9223372036854775807", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775808", "-9223372036854775808"},
		{"18446744073709551615", "18446744073709551615", "18446744073709551615"},
		{"18446744073709551617", "18446744073709552000", "18446744073709552000"},
		{"1.0", "1", "1"},
		{"1.50", "1.5", "1.5"},
		{"1.", "1", "1"},
		{".5", "0.5", "0.5"},
		{"-.5", "-0.5", "-0.5"},
		{"1e3", "1000", "1000"},
		{"1e21", "1e+21", "1e+21"},
		{"1e-7", "1e-7", "1e-7"},
		{"0.000001", "0.000001", "0.000001"},
		{"5_0.5", "50.5", "50.5"},
		{"5e-324", "5e-324", "5e-324"},
		{"1e400", "\"1e400\"", "\"1e400\""},
		{"._5", "\"._5\"", "\"._5\""},
		{"0x", "\"0x\"", "\"0x\""},
		{"1:30", "\"1:30\"", "\"1:30\""},
		{"1.2.3", "\"1.2.3\"", "\"1.2.3\""},
		{"-", "[null]", "[null]"},
		{"2020-01-01", "\"2020-01-01\"", "\"2020-01-01T00:00:00Z\""},
		{"2020-02-30", "\"2020-02-30\"", "\"2020-02-30\""},
		{"2020-01-02T03:04:05Z", "\"2020-01-02T03:04:05Z\"", "\"2020-01-02T03:04:05Z\""},
		{"2020-01-02 03:04:05.600", "\"2020-01-02 03:04:05.600\"",
		 "\"2020-01-02T03:04:05.6Z\""},
		{"\"yes\"", "\"yes\"", "\"yes\""},
		{"'1'", "\"1\"", "\"1\""},
		{"!!str 1", "\"1\"", "\"1\""},
		{"!!int '1'", "1", "1"},
		{"!!float 3", "3", "3"},
		{"!!bool yes", "true", NULL},
		{"!!null ''", "null", "null"},
		{"!!binary aGVsbG8=", "\"hello\"", "\"hello\""},
		{"! x", "\"x\"", "\"x\""},
		{"<<", "\"<<\"", "\"<<\""},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		assert_read_as(cases[i].text, &(struct cox_yaml_options){.keep_empty = true},
			       cases[i].kubernetes);
		if (cases[i].kustomize)
			assert_read_as(cases[i].text, &kustomize, cases[i].kustomize);
	}
}

static void keys(void **state)
{
	(void)state;
	assert_read("on: 1\n'on': 2\n1: a\n0x10: b\n1.50: c\n2020-01-01: d\n",
		    "{\"true\":1,\"on\":2,\"1\":\"a\",\"16\":\"b\",\"1.5\":\"c\",\"2020-01-01\":"
		    "\"d\"}");
	assert_read_as("on: 1\n0x10: b\n1.50: c\n", &kustomize,
		       "{\"on\":1,\"0x10\":\"b\",\"1.50\":\"c\"}");
	assert_refused("y: 1\ntrue: 2\n", "t:2:1: duplicate key 'true'");
	assert_refused("~: 1\n", "t:1:1: a map's key is null, quote it if it is a text");
	assert_refused(": 1\n", "t:1:1: expected a key at the map's indentation, or its end");
	assert_refused("[a]: 1\n",
		       "t:1:1: a map's key must be a text or a number, this one is a list");
}

static void anchors(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *root;

	(void)state;
	assert_read("a: &x {p: 1}\nb: *x\nc: [*x, &y z, *y]\n",
		    "{\"a\":{\"p\":1},\"b\":{\"p\":1},\"c\":[{\"p\":1},\"z\",\"z\"]}");
	assert_read("a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}");
	assert_read("&k name: *k\n", "{\"name\":\"name\"}");
	assert_read("a: &k key\nb:\n  *k : 1\n", "{\"a\":\"key\",\"b\":{\"key\":1}}");
	assert_read("a: &x 1\n---\nb: 2\n", "{\"a\":1}\n{\"b\":2}");
	assert_refused("a: &x 1\n---\nb: *x\n", "t:3:4: no anchor '&x' before this alias");
	assert_refused("a: &x [*x]\n", "t:1:8: no anchor '&x' before this alias");
	/* Shared, not copied. */
	assert_int_equal(cox_yaml_read(COX_STR("a: &x {p: 1}\nb: *x\n"), "t", NULL, &doc, NULL), 0);
	root = cox_doc_root(doc);
	assert_ptr_equal(COX_GET(root, "a"), COX_GET(root, "b"));
}

static void merges(void **state)
{
	static const char text[] = "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\n";
	_cleanup_buf_ struct cox_buf buf = COX_BUF_INIT;
	static const struct {
		const char *text, *kubernetes, *kustomize;
	} cases[] = {
		{"z: {<<: *x, b: 9}", "{\"a\":1,\"b\":9}", "{\"a\":1,\"b\":9}"},
		{"z: {b: 9, <<: *x}", "{\"b\":2,\"a\":1}", "{\"b\":9,\"a\":1}"},
		{"z: {<<: [*x, *y]}", "{\"b\":2,\"c\":4,\"a\":1}", "{\"b\":2,\"c\":4,\"a\":1}"},
		{"z: {<<: {q: 1}}", "{\"q\":1}", "{\"q\":1}"},
		{"z: {'<<': 1}", "{\"<<\":1}", "{\"<<\":1}"},
		{"z: {<<: []}", "{}", "{}"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++) {
		for (int schema = 0; schema < 2; schema++) {
			struct cox_yaml_options options = {.schema = (enum cox_yaml_schema)schema};
			_cleanup_doc_ struct cox_doc *doc = NULL;
			_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

			cox_buf_clear(&buf);
			cox_buf_printf(&buf, "%s%s\n", text, cases[i].text);
			assert_int_equal(
				cox_yaml_read(cox_buf_str(&buf), "t", &options, &doc, NULL), 0);
			cox_json_write(&out, COX_GET(cox_doc_root(doc), "z"));
			assert_string_equal(cox_buf_cstr(&out),
					    schema ? cases[i].kustomize : cases[i].kubernetes);
		}
	}
	assert_refused("z: {<<: 1}\n",
		       "t:1:5: '<<' merges a map or a list of maps, not a value of type integer");
	assert_refused("z: {a: 1, <<: {b: 1}, a: 2}\n", "t:1:23: duplicate key 'a'");
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"a: 1\nb: 2\na: 3\n", "t:3:1: duplicate key 'a'"},
		{"a:\n\tb: 1\n", "t:2:1: tab used as indentation, use spaces"},
		{"a: b: c\n", "t:1:5: ':' is not expected here: check the indentation, or quote a "
			      "text that has ': ' in it"},
		{"a: 1\n b: 2\n", "t:2:3: ':' is not expected here: check the indentation, or "
				  "quote a text that has ': ' in it"},
		{"a: @b\n", "t:1:4: a text that starts with '@' must be quoted"},
		{"a: `b`\n", "t:1:4: a text that starts with '`' must be quoted"},
		{"a: [1, 2\n", "t:2:1: expected ',' or ']' in a list that starts at line 1"},
		{"a: {b: 1\nc: 2\n", "t:2:2: expected ',' or '}' in a map that starts at line 1"},
		{"a: \"b\n", "t:1:4: quoted text without its closing quote"},
		{"a: !foo b\n", "t:1:4: tag '!foo' is not expected here, only !!str, !!int, "
				"!!float, !!bool, !!null and !!binary"},
		{"a: !!set {b}\n", "t:1:4: tag 'tag:yaml.org,2002:set' is not expected here, only "
				   "!!map"},
		{"a: !!int x\n", "t:1:4: 'x' is not what its tag says, !!int"},
		{"a: .inf\n", "t:1:4: JSON has no number '.inf', quote it if it is a text"},
		{"a: \xff\n", "t:1:4: byte 0xff is not valid UTF-8"},
		{"a: \xc3\xa9\xff\n", "t:1:5: byte 0xff is not valid UTF-8"},
		{"a: x\x01\n", "t:1:5: control character 0x01, write it as an escape in double "
			       "quotes"},
		{"a: !!binary =\n", "t:1:4: !!binary value is not base64"},
		{"a: *b\n", "t:1:4: no anchor '&b' before this alias"},
		{"- a\nb: 1\n", "t:2:1: expected '-' at the list's indentation, or its end"},
		{"a: - b\n", "t:1:4: '-' is not expected here: a list starts on a line of its own"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++)
		assert_refused(cases[i].text, cases[i].message);
}

static void one_document(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err;

	(void)state;
	assert_int_equal(cox_yaml_read(COX_STR("# x\n"), "f.yaml", NULL, &doc, &err),
			 -COX_INVALID_ARGUMENT);
	assert_string_equal(err.message, "f.yaml: empty, expected a document");
	assert_int_equal(cox_yaml_read(COX_STR("a: 1\n---\nb: 1\n"), "f.yaml", NULL, &doc, &err),
			 -COX_INVALID_ARGUMENT);
	assert_string_equal(err.message, "f.yaml:3:1: another document, expected only one");
	assert_null(doc);
}

static void positions(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *containers;
	uint32_t line, column;

	(void)state;
	assert_int_equal(cox_yaml_read(COX_STR("# c\nspec:\n  containers:\n  - name: x\n"), "t",
				       NULL, &doc, NULL),
			 0);
	containers = COX_GET(cox_doc_root(doc), "spec", "containers");
	assert_int_equal(cox_node_line(containers), 4);
	assert_int_equal(cox_node_column(containers), 3);
	cox_node_key_position(cox_node_at(containers, 0), 0, &line, &column);
	assert_int_equal(line, 4);
	assert_int_equal(column, 5);
	assert_int_equal(cox_node_column(COX_GET(cox_node_at(containers, 0), "name")), 11);
}

static int read_depth(size_t depth)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_docs_ cox_docs docs = {0};

	for (size_t i = 0; i < depth; i++)
		cox_buf_puts(&text, "- ");
	cox_buf_puts(&text, "x\n");
	return cox_yaml_read_all(cox_buf_str(&text), "t", NULL, &docs, NULL);
}

static int read_aliases(size_t n, const char *anchored)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_docs_ cox_docs docs = {0};

	cox_buf_printf(&text, "- &a %s\n", anchored);
	for (size_t i = 0; i < n; i++)
		cox_buf_puts(&text, "- *a\n");
	return cox_yaml_read_all(cox_buf_str(&text), "t", NULL, &docs, NULL);
}

static int read_documents(size_t n)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_docs_ cox_docs docs = {0};
	struct cox_yaml_options options = {.max_documents = 3};

	for (size_t i = 0; i < n; i++)
		cox_buf_puts(&text, "---\na: 1\n");
	return cox_yaml_read_all(cox_buf_str(&text), "t", &options, &docs, NULL);
}

static void limits(void **state)
{
	_cleanup_buf_ struct cox_buf big = COX_BUF_INIT;
	struct cox_yaml_options ten = {.max_nodes = 10};

	(void)state;
	assert_int_equal(read_depth(COX_LIMIT_YAML_DEPTH - 1), 0);
	assert_int_equal(read_depth(COX_LIMIT_YAML_DEPTH), 0);
	assert_int_equal(read_depth(COX_LIMIT_YAML_DEPTH + 1), -COX_INVALID_ARGUMENT);
	assert_int_equal(read_aliases(COX_LIMIT_YAML_ALIASES - 1, "1"), 0);
	assert_int_equal(read_aliases(COX_LIMIT_YAML_ALIASES, "1"), 0);
	assert_int_equal(read_aliases(COX_LIMIT_YAML_ALIASES + 1, "1"), -COX_INVALID_ARGUMENT);
	assert_int_equal(read_documents(2), 0);
	assert_int_equal(read_documents(3), 0);
	assert_int_equal(read_documents(4), -COX_INVALID_ARGUMENT);
	/* An alias counts what it stands for: 1 list, 1 + 3 nodes, 4 a time. */
	assert_read_as("[&a [1, 2, 3], *a, x]", &ten, "[[1,2,3],[1,2,3],\"x\"]");
	assert_refused_with("[&a [1, 2, 3], *a, x, y]", &ten,
			    "t:1:23: more than 10 values in one document");
	assert_refused_with("[&a [1, 2, 3], *a, *a]", &ten,
			    "t:1:20: more than 10 values in one document");
	/* The classic bomb. */
	assert_refused("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
		       "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
		       "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
		       "t:6:11: more than 200000 values in one document");
	/* Text that aliases add. */
	for (int i = 0; i < 100000; i++)
		cox_buf_puts(&big, "0123456789");
	assert_int_equal(read_aliases(5, cox_buf_cstr(&big)), 0);
	assert_int_equal(read_aliases(6, cox_buf_cstr(&big)), -COX_INVALID_ARGUMENT);
	/* Depth by alias. */
	assert_refused_with("a: &a [[x]]\nb: [*a]\n", &(struct cox_yaml_options){.max_depth = 3},
			    "t:2:5: nested deeper than 3 by this alias");
	assert_read_as("a: &a [[x]]\nb: *a\n", &(struct cox_yaml_options){.max_depth = 3},
		       "{\"a\":[[\"x\"]],\"b\":[[\"x\"]]}");
}

static void deep_input_is_cheap(void **state)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	(void)state;
	for (int i = 0; i < 200000; i++)
		cox_buf_puts(&text, "[\n");
	assert_refused(cox_buf_cstr(&text), "t:65:1: nested deeper than 64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),	cmocka_unit_test(scalars),
		cmocka_unit_test(keys),		cmocka_unit_test(anchors),
		cmocka_unit_test(merges),	cmocka_unit_test(refuses),
		cmocka_unit_test(one_document), cmocka_unit_test(positions),
		cmocka_unit_test(limits),	cmocka_unit_test(deep_input_is_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
