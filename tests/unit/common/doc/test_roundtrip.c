/* What is written reads back equal: random documents, seeded, through every writer and reader. */
#include "common/base/rand.h"
#include "common/doc/json.h"
#include "common/doc/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Pieces that are trouble for a YAML writer, alone and side by side. */
static const char *const pieces[] = {
	"a",
	"b",
	" ",
	"\n",
	"\n\n",
	":",
	": ",
	"#",
	" #",
	"-",
	"- ",
	"?",
	"'",
	"\"",
	"\\",
	"\t",
	"\r",
	"[",
	"]",
	"{",
	"}",
	",",
	"&",
	"*",
	"!",
	"|",
	">",
	"%",
	"@",
	"`",
	"=",
	"<<",
	"yes",
	"no",
	"on",
	"y",
	"N",
	"true",
	"False",
	"null",
	"~",
	"0",
	"1",
	"0x1F",
	"0777",
	"1_000",
	"1e3",
	".5",
	".inf",
	".nan",
	"---",
	"...",
	"2020-01-01",
	"12:30",
	"\x01",
	"\x7f",
	"\xC2\x85",
	"\xC2\xA0",
	"\xE2\x80\xA8",
	"\xEF\xBB\xBF",
	"\xEF\xBF\xBE",
	"\xC3\xA9",
	"\xF0\x9F\x98\x80",
	"  ",
	"\n ",
	" \n",
	"word",
	"kubernetes.io/name",
	"0b1",
	"+1",
	"-1",
};

static struct cox_str random_text(struct cox_rng *rng, struct cox_buf *room)
{
	size_t n = cox_rng_below(rng, 4) ? cox_rng_below(rng, 4) : cox_rng_below(rng, 9);

	cox_buf_clear(room);
	for (size_t i = 0; i < n; i++)
		cox_buf_puts(room, pieces[cox_rng_below(rng, COX_ARRAY_LEN(pieces))]);
	if (cox_rng_below(rng, 20) == 0)
		for (int i = 0; i < 40; i++) { /* longer than a line */
			cox_buf_puts(room, cox_rng_below(rng, 3) ? " " : "");
			cox_buf_puts(room, pieces[cox_rng_below(rng, COX_ARRAY_LEN(pieces))]);
		}
	if (cox_rng_below(rng, 50) == 0)
		cox_buf_add(room, "\0", 1);
	if (cox_rng_below(rng, 200) == 0)
		for (int i = 0; i < 1200; i++)
			cox_buf_putc(room, 'k');
	return cox_str_n(cox_buf_cstr(room), room->len);
}

static struct cox_node *random_scalar(struct cox_rng *rng, struct cox_doc *doc,
				      struct cox_buf *room)
{
	static const char *const numbers[] = {"0.5",
					      "-1.25e-7",
					      "1e-300",
					      "18446744073709551616",
					      "123456789012345678901234567890",
					      "3.0000000001"};

	switch (cox_rng_below(rng, 10)) {
	case 0:
		return cox_doc_null(doc);
	case 1:
		return cox_doc_bool(doc, cox_rng_below(rng, 2));
	case 2:
		return cox_doc_int(doc, (int64_t)cox_rng_next(rng));
	case 3:
		return cox_doc_int(doc, (int64_t)cox_rng_below(rng, 1000) - 500);
	case 4:
		return cox_doc_number(doc,
				      cox_str(numbers[cox_rng_below(rng, COX_ARRAY_LEN(numbers))]));
	default:
		return cox_doc_string(doc, random_text(rng, room));
	}
}

static struct cox_node *random_node(struct cox_rng *rng, struct cox_doc *doc, struct cox_buf *room,
				    int depth)
{
	size_t n = cox_rng_below(rng, 20) ? cox_rng_below(rng, 5) : 30;
	uint64_t kind = cox_rng_below(rng, 6);
	struct cox_node *node;

	if (depth == 0 || kind < 2)
		return random_scalar(rng, doc, room);
	node = kind < 4 ? cox_doc_map(doc) : cox_doc_list(doc);
	for (size_t i = 0; i < n; i++) {
		struct cox_node *value = random_node(rng, doc, room, depth - 1);

		if (kind < 4)
			cox_map_put_str(doc, node, random_text(rng, room), value);
		else
			cox_list_push(doc, node, value);
	}
	return node;
}

static void assert_same(const struct cox_node *want, int r, const struct cox_doc *got,
			const struct cox_buf *text, const struct cox_error *err, uint64_t seed)
{
	_cleanup_buf_ struct cox_buf json = COX_BUF_INIT;

	if (r == 0 && cox_node_equal(want, cox_doc_root(got)))
		return;
	cox_json_write(&json, want);
	print_error("seed %llu: %s\nwant: %s\ntext:\n%s\n", (unsigned long long)seed,
		    r < 0 ? err->message : "read back different", cox_buf_cstr(&json),
		    cox_buf_cstr(text));
	if (r == 0) {
		cox_buf_clear(&json);
		cox_json_write(&json, cox_doc_root(got));
		print_error("got:  %s\n", cox_buf_cstr(&json));
	}
	fail();
}

static void check_yaml(const struct cox_node *root, bool sorted, uint64_t seed)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (sorted)
		cox_yaml_write_sorted(&text, root);
	else
		cox_yaml_write(&text, root);
	assert_int_equal(text.ptr[text.len - 1], '\n');
	for (int schema = 0; schema < 2; schema++) {
		struct cox_yaml_options options = {.schema = (enum cox_yaml_schema)schema,
						   .keep_empty = true};
		_cleanup_doc_ struct cox_doc *doc = NULL;
		struct cox_error err;
		int r = cox_yaml_read(cox_buf_str(&text), "t", &options, &doc, &err);

		assert_same(root, r, doc, &text, &err, seed);
	}
}

static void check_json(const struct cox_node *root,
		       void (*write)(struct cox_buf *, const struct cox_node *), uint64_t seed)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	struct cox_error err;
	int r;

	write(&text, root);
	r = cox_json_read(cox_buf_str(&text), "t", &doc, &err);
	assert_same(root, r, doc, &text, &err, seed);
}

static void random_documents(void **state)
{
	const char *from = getenv("COX_TEST_SEED");
	uint64_t first = from ? strtoull(from, NULL, 10) : 1, n = from ? 1 : 3000;

	(void)state;
	for (uint64_t seed = first; seed < first + n; seed++) {
		_cleanup_doc_ struct cox_doc *doc = cox_doc_new("random"), *copy = NULL;
		_cleanup_buf_ struct cox_buf room = COX_BUF_INIT;
		struct cox_rng rng;
		struct cox_node *root;

		cox_rng_init(&rng, seed);
		root = random_node(&rng, doc, &room, 5);
		cox_doc_set_root(doc, root);
		check_yaml(root, false, seed);
		check_yaml(root, true, seed);
		check_json(root, cox_json_write, seed);
		check_json(root, cox_json_write_canonical, seed);
		check_json(root, cox_json_write_pretty, seed);
		check_json(root, cox_json_write_go, seed);
		copy = cox_doc_copy("copy", root);
		assert_true(cox_node_equal(root, cox_doc_root(copy)));
	}
}

/* Reading and writing a canonical text gives it again. */
static void canonical_is_a_fixed_point(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 500; seed++) {
		_cleanup_doc_ struct cox_doc *doc = cox_doc_new("random"), *again = NULL;
		_cleanup_buf_ struct cox_buf room = COX_BUF_INIT, one = COX_BUF_INIT,
					     two = COX_BUF_INIT;
		struct cox_rng rng;

		cox_rng_init(&rng, seed);
		cox_json_write_canonical(&one, random_node(&rng, doc, &room, 4));
		assert_int_equal(cox_json_read(cox_buf_str(&one), "t", &again, NULL), 0);
		cox_json_write_canonical(&two, cox_doc_root(again));
		assert_string_equal(cox_buf_cstr(&one), cox_buf_cstr(&two));
	}
}

static void assert_yaml(const char *json, const char *want)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;
	_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

	assert_int_equal(cox_json_read(cox_str(json), "t", &doc, NULL), 0);
	cox_yaml_write(&out, cox_doc_root(doc));
	assert_string_equal(cox_buf_cstr(&out), want);
}

static void people_can_read_it(void **state)
{
	(void)state;
	assert_yaml("{\"a\":{\"b\":[1,\"x\",{\"c\":[],\"d\":{}},[[2],3]]},\"e\":null}",
		    "a:\n  b:\n  - 1\n  - x\n  - c: []\n    d: {}\n  - - - 2\n    - 3\ne: null\n");
	assert_yaml(
		"{\"t\":\"line\\n  two\\n\",\"u\":\"a\\nb\",\"v\":\"a\\n\\n\",\"w\":[\"x\\ny\"]}",
		"t: |\n  line\n    two\nu: |-\n  a\n  b\nv: |+\n  a\n\nw:\n- |-\n  x\n  y\n");
	assert_yaml("[\"yes\",\"0777\",\"1.0\",\"\",\"null\",\"8080:80\",\"2020-01-01\",\"--flag\","
		    "\"a: b\",\"a #b\",\"nginx:1.25\",\"say \\\"x: y\\\"\",\"*.example.com\","
		    "\"a\\tb\"]",
		    "- \"yes\"\n- \"0777\"\n- \"1.0\"\n- \"\"\n- \"null\"\n- \"8080:80\"\n"
		    "- \"2020-01-01\"\n- --flag\n- \"a: b\"\n- \"a #b\"\n- nginx:1.25\n"
		    "- 'say \"x: y\"'\n- \"*.example.com\"\n- \"a\\tb\"\n");
	assert_yaml("{\"on\":1,\"1\":2,\"a b\":3}", "\"on\": 1\n\"1\": 2\na b: 3\n");
	assert_yaml("\"x\"", "x\n");
	assert_yaml("{}", "{}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_documents),
		cmocka_unit_test(canonical_is_a_fixed_point),
		cmocka_unit_test(people_can_read_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
