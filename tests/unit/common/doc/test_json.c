/* JSON: the reader's grammar, limits and messages, the writers, lines. */
#include "common/base/limits.h"
#include "common/base/rand.h"
#include "common/doc/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct cox_doc *read_str(struct cox_str text)
{
	struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	if (cox_json_read(text, "t", &doc, &err) < 0)
		fail_msg("%.*s: %s", COX_STR_ARG(text), err.message);
	return doc;
}

static void assert_read(const char *text, const char *want)
{
	_cleanup_doc_ struct cox_doc *doc = read_str(cox_str(text));
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	cox_json_write(&out, cox_doc_root(doc));
	assert_string_equal(cox_buf_cstr(&out), want);
}

static void assert_refused(struct cox_str text, const char *message)
{
	struct cox_doc *doc = NULL;
	struct cox_error err = COX_ERROR_INIT;

	assert_int_equal(cox_json_read(text, "t", &doc, &err), -COX_INVALID_ARGUMENT);
	assert_null(doc);
	assert_string_equal(err.message, message);
}

static void reads(void **state)
{
	(void)state;
	assert_read(" { \"a\" : [ ] , \"b\" : { } }\r\n", "{\"a\":[],\"b\":{}}");
	assert_read("\xEF\xBB\xBF[true,false,null]", "[true,false,null]");
	assert_read("[0,-0,-1,1.0,1e2,1E+2,0.5e-3,9223372036854775807,9223372036854775808]",
		    "[0,0,-1,1.0,1e2,1E+2,0.5e-3,9223372036854775807,9223372036854775808]");
	assert_read("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"",
		    "\"\\\"\\\\/\\b\\f\\n\\r\\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
	assert_read("[\"\\ud83d\",\"\\ude00x\",\"\\ud83d\\u0041\"]",
		    "[\"\xEF\xBF\xBD\",\"\xEF\xBF\xBDx\",\"\xEF\xBF\xBD"
		    "A\"]");
	assert_read("{\"\":1,\"\\u0000\":\"\\u0000\\u001f\x7f\"}",
		    "{\"\":1,\"\\u0000\":\"\\u0000\\u001f\x7f\"}");
	assert_read("\"sixteen bytes ab\"", "\"sixteen bytes ab\"");
}

static void keeps_kinds(void **state)
{
	_cleanup_doc_ struct cox_doc *doc =
		read_str(COX_STR("[1,1.0,9223372036854775808,\"a\\u0000b\"]"));
	const struct cox_node *root = cox_doc_root(doc);

	(void)state;
	assert_int_equal(cox_node_kind(cox_node_at(root, 0)), COX_INT);
	assert_int_equal(cox_node_kind(cox_node_at(root, 1)), COX_FLOAT);
	assert_int_equal(cox_node_kind(cox_node_at(root, 2)), COX_FLOAT);
	assert_int_equal(cox_node_str(cox_node_at(root, 3)).len, 3);
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "t:1:1: expected a value, found the end of the text"},
		{"  \n ", "t:2:2: expected a value, found the end of the text"},
		{"{\"a\":1,}", "t:1:8: expected a key in double quotes, found '}'"},
		{"{a:1}", "t:1:2: expected a key in double quotes, found 'a'"},
		{"{\"a\" 1}", "t:1:6: expected ':' after a key, found '1'"},
		{"{\"a\":1 \"b\":2}", "t:1:8: expected ',' or '}' in a map, found '\"'"},
		{"{\"a\":1", "t:1:7: expected ',' or '}' in a map, found the end of the text"},
		{"[1,]", "t:1:4: expected a value, found ']'"},
		{"[1 2]", "t:1:4: expected ',' or ']' in a list, found '2'"},
		{"[1}", "t:1:3: expected ',' or ']' in a list, found '}'"},
		{"[1] 2", "t:1:5: expected the end of the text, found '2'"},
		{"01", "t:1:1: '01' is not a number of JSON"},
		{"-", "t:1:1: '-' is not a number of JSON"},
		{"1.", "t:1:1: '1.' is not a number of JSON"},
		{".5", "t:1:1: expected a value, found '.'"},
		{"+1", "t:1:1: expected a value, found '+'"},
		{"1e", "t:1:1: '1e' is not a number of JSON"},
		{"1e400", "t:1:1: number '1e400' is out of range"},
		{"NaN", "t:1:1: expected a value, found 'N'"},
		{"tru", "t:1:1: expected a value, found 't'"},
		{"'a'", "t:1:1: expected a value, found '''"},
		{"\"a", "t:1:1: string without its closing quote"},
		{"\"a\\", "t:1:3: unknown escape in a string, expected one of \\\" \\\\ \\/ \\b "
			  "\\f \\n \\r \\t \\u"},
		{"\"\\x41\"",
		 "t:1:2: unknown escape in a string, expected one of \\\" \\\\ \\/ \\b "
		 "\\f \\n \\r \\t \\u"},
		{"\"\\u12g4\"", "t:1:4: expected four hexadecimal digits after \\u"},
		{"\"a\nb\"", "t:1:3: control character 0x0a in a string, write it as an escape"},
		{"\"a\tb\"", "t:1:3: control character 0x09 in a string, write it as an escape"},
		{"{\"a\":1,\n \"b\":{},\n \"a\":2}", "t:3:2: duplicate key 'a'"},
		{"[\n\"\xff\"]", "t:2:2: byte 0xff is not valid UTF-8"},
		{"[1]\x01", "t:1:4: expected the end of the text, found byte 0x01"},
		{"// x\n1", "t:1:1: expected a value, found '/'"},
	};

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(cases); i++)
		assert_refused(cox_str(cases[i].text), cases[i].message);
	assert_refused(cox_str_n("\0", 1), "t:1:1: expected a value, found byte 0x00");
	assert_refused(cox_str_n("1\0", 2), "t:1:2: expected the end of the text, found byte 0x00");
}

static int read_deep(size_t depth, const struct cox_json_options *options)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;

	for (size_t i = 0; i < depth; i++)
		cox_buf_putc(&text, '[');
	for (size_t i = 0; i < depth; i++)
		cox_buf_putc(&text, ']');
	return cox_json_read_with(cox_buf_str(&text), "t", options, &doc, NULL);
}

static int read_items(size_t n, const struct cox_json_options *options)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;

	cox_buf_puts(&text, "[1");
	for (size_t i = 1; i < n; i++)
		cox_buf_puts(&text, ",1");
	cox_buf_putc(&text, ']');
	return cox_json_read_with(cox_buf_str(&text), "t", options, &doc, NULL);
}

static void limits(void **state)
{
	struct cox_json_options few = {
		.max_depth = 3, .max_nodes = 10, .max_scalar = 4, .max_bytes = 6};
	_cleanup_doc_ struct cox_doc *doc = NULL;

	(void)state;
	assert_int_equal(read_deep(COX_LIMIT_JSON_DEPTH - 1, NULL), 0);
	assert_int_equal(read_deep(COX_LIMIT_JSON_DEPTH, NULL), 0);
	assert_int_equal(read_deep(COX_LIMIT_JSON_DEPTH + 1, NULL), -COX_INVALID_ARGUMENT);
	assert_int_equal(read_deep(100000, NULL), -COX_INVALID_ARGUMENT);
	assert_int_equal(read_deep(3, &few), 0);
	assert_int_equal(read_deep(4, &few), -COX_INVALID_ARGUMENT);
	assert_int_equal(read_items(COX_LIMIT_DOC_NODES - 2, NULL), 0);
	assert_int_equal(read_items(COX_LIMIT_DOC_NODES - 1, NULL), 0);
	assert_int_equal(read_items(COX_LIMIT_DOC_NODES, NULL), -COX_INVALID_ARGUMENT);
	assert_int_equal(cox_json_read_with(COX_STR("\"1234\""), "t", &few, &doc, NULL), 0);
	few.max_bytes = 100;
	assert_int_equal(cox_json_read_with(COX_STR("\"12345\""), "t", &few, &doc, NULL),
			 -COX_INVALID_ARGUMENT);
	few.max_bytes = 5;
	assert_int_equal(cox_json_read_with(COX_STR("\"1234\""), "t", &few, &doc, NULL),
			 -COX_INVALID_ARGUMENT);
}

static void assert_written(void (*write)(struct cox_buf *, const struct cox_node *),
			   const char *text, const char *want)
{
	_cleanup_doc_ struct cox_doc *doc = read_str(cox_str(text));
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	write(&out, cox_doc_root(doc));
	assert_string_equal(cox_buf_cstr(&out), want);
}

static void writes(void **state)
{
	(void)state;
	assert_written(cox_json_write_canonical,
		       "{\"b\":1,\"a\":{\"z\":[{\"y\":1,\"x\":2}],\"\":0},\"aa\":1,\"B\":\"<\"}",
		       "{\"B\":\"<\",\"a\":{\"\":0,\"z\":[{\"x\":2,\"y\":1}]},\"aa\":1,\"b\":1}");
	assert_written(
		cox_json_write_go, "{\"b\":\"<&>\\u2028\\u2029\xE2\x82\xAC\\n\\\"\",\"a\":1}",
		"{\"a\":1,\"b\":\"\\u003c\\u0026\\u003e\\u2028\\u2029\xE2\x82\xAC\\n\\\"\"}");
	assert_written(cox_json_write_pretty, "{\"a\":[1,{}],\"b\":[],\"c\":{\"d\":null}}",
		       "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": [],\n  \"c\": {\n"
		       "    \"d\": null\n  }\n}");
}

static void sorts_large_maps(void **state)
{
	_cleanup_doc_ struct cox_doc *a = cox_doc_new("a"), *b = cox_doc_new("b");
	struct cox_node *map_a = cox_doc_map(a), *map_b = cox_doc_map(b);
	_cleanup_buf_ struct cox_buf out_a = COX_BUF_INIT, out_b = COX_BUF_INIT;

	(void)state;
	for (int i = 0; i < 100; i++) {
		char key[8];

		snprintf(key, sizeof(key), "%d", i);
		cox_map_put_int(a, map_a, key, i);
		snprintf(key, sizeof(key), "%d", 99 - i);
		cox_map_put_int(b, map_b, key, 99 - i);
	}
	assert_true(cox_node_equal(map_a, map_b));
	cox_json_write_canonical(&out_a, map_a);
	cox_json_write_canonical(&out_b, map_b);
	assert_string_equal(cox_buf_cstr(&out_a), cox_buf_cstr(&out_b));
	assert_memory_equal(cox_buf_cstr(&out_a), "{\"0\":0,\"1\":1,\"10\":10,\"11\"", 24);
}

/* However the stream is cut, the same documents come out. */
static void lines_in_pieces(void **state)
{
	static const char stream[] =
		"{\"a\":1}\n\r\n{\"b\":\"x\\n\"}\r\nnot json\n\n[1,\n[2]\n{\"c\":3";
	struct cox_rng rng;

	(void)state;
	cox_rng_init(&rng, 1);
	for (int round = 0; round < 200; round++) {
		struct cox_json_lines lines = {0};
		_cleanup_buf_ struct cox_buf got = COX_BUF_INIT;
		size_t at = 0, len = sizeof(stream) - 1;

		while (at < len) {
			size_t n = 1 + cox_rng_below(&rng, 12);
			struct cox_doc *doc;
			struct cox_error err;
			int r;

			n = n > len - at ? len - at : n;
			cox_json_lines_feed(&lines, stream + at, n);
			at += n;
			while ((r = cox_json_lines_next(&lines, &doc, &err))) {
				if (r < 0) {
					cox_buf_printf(&got, "<%s>", err.message);
					continue;
				}
				cox_json_write(&got, cox_doc_root(doc));
				cox_doc_unref(doc);
			}
		}
		assert_string_equal(cox_buf_cstr(&got),
				    "{\"a\":1}{\"b\":\"x\\n\"}<stream:4:1: expected a value, found "
				    "'n'><stream:6:4: expected a value, found the end of the text>"
				    "[2]");
		cox_json_lines_fini(&lines);
	}
}

static void long_lines(void **state)
{
	struct cox_json_lines lines = {.max_line = 5, .name = "watch"};
	struct cox_doc *doc;
	struct cox_error err;

	(void)state;
	cox_json_lines_feed(&lines, "12345\n", 6);
	assert_int_equal(cox_json_lines_next(&lines, &doc, &err), 1);
	cox_doc_unref(doc);
	cox_json_lines_feed(&lines, "123456\n1\n", 9);
	assert_int_equal(cox_json_lines_next(&lines, &doc, &err), -COX_INVALID_ARGUMENT);
	assert_string_equal(err.message, "watch:2: line of more than 5 bytes");
	assert_int_equal(cox_json_lines_next(&lines, &doc, &err), 1);
	cox_doc_unref(doc);
	/* Refused before its end is there, said once, and memory does not grow. */
	cox_json_lines_feed(&lines, "aaaaaa", 6);
	assert_int_equal(cox_json_lines_next(&lines, &doc, &err), -COX_INVALID_ARGUMENT);
	for (int i = 0; i < 100; i++) {
		cox_json_lines_feed(&lines, "aaaaaa", 6);
		assert_int_equal(cox_json_lines_next(&lines, &doc, &err), 0);
		assert_true(lines.pending.len <= 6);
	}
	cox_json_lines_feed(&lines, "a\n7\n", 4);
	assert_int_equal(cox_json_lines_next(&lines, &doc, &err), 1);
	assert_int_equal(cox_node_int(cox_doc_root(doc), 0), 7);
	assert_int_equal(cox_node_line(cox_doc_root(doc)), 5);
	cox_doc_unref(doc);
	cox_json_lines_fini(&lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),	   cmocka_unit_test(keeps_kinds),
		cmocka_unit_test(refuses),	   cmocka_unit_test(limits),
		cmocka_unit_test(writes),	   cmocka_unit_test(sorts_large_maps),
		cmocka_unit_test(lines_in_pieces), cmocka_unit_test(long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
