/* Strategic merge patch by a table: base, patch, result, as JSON with ' for ". */
#include "common/doc/json.h"
#include "common/kube/strategic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct cox_doc *parsed(const char *text)
{
	_cleanup_free_ char *json = cox_strdup(text);
	struct cox_doc *doc;

	for (char *p = json; *p; p++)
		if (*p == '\'')
			*p = '"';
	assert_int_equal(cox_json_read(cox_str(json), "test", &doc, NULL), 0);
	return doc;
}

#define POD(list) "{'spec':{'containers':" list "}}"
#define DEPLOY(x) "{'spec':{'strategy':" x "}}"
#define META(x)	  "{'metadata':" x "}"

static const struct {
	const char *kind, *base, *patch, *result; /* result NULL: refused */
} rows[] = {
	/* an item is merged by its key; what the patch names comes first */
	{"Pod", POD("[{'name':'a','image':'1'},{'name':'b'}]"), POD("[{'name':'b','image':'2'}]"),
	 POD("[{'name':'a','image':'1'},{'name':'b','image':'2'}]")},
	{"Pod", POD("[{'name':'a'},{'name':'b'}]"), POD("[{'name':'a','tty':true},{'name':'c'}]"),
	 POD("[{'name':'a','tty':true},{'name':'c'},{'name':'b'}]")},
	{"Pod", POD("[{'name':'a'},{'name':'b'}]"), POD("[{'$patch':'delete','name':'a'}]"),
	 POD("[{'name':'b'}]")},
	{"Pod", POD("[{'name':'a'},{'name':'b'}]"), POD("[{'name':'c'},{'$patch':'replace'}]"),
	 POD("[{'name':'c'}]")},
	{"Pod", POD("[{'name':'a'}]"), POD("[{'image':'2'}]"), NULL},
	/* an atomic list is replaced */
	{"Pod", POD("[{'name':'a','args':['x','y']}]"), POD("[{'name':'a','args':['z']}]"),
	 POD("[{'name':'a','args':['z']}]")},
	{"Pod", "{'spec':{'containers':[{'name':'a'},{'name':'b'},{'name':'c'}]}}",
	 "{'spec':{'$setElementOrder/containers':[{'name':'c'},{'name':'a'}],'containers':"
	 "[{'name':'c','tty':true}]}}",
	 POD("[{'name':'b'},{'name':'c','tty':true},{'name':'a'}]")},
	/* scalars that merge, and that go */
	{"Pod", META("{'finalizers':['a','b']}"), META("{'finalizers':['c']}"),
	 META("{'finalizers':['a','b','c']}")},
	{"Pod", META("{'finalizers':['a','b']}"),
	 META("{'$deleteFromPrimitiveList/finalizers':['a']}"), META("{'finalizers':['b']}")},
	/* maps */
	{"Deployment", DEPLOY("{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1}}"),
	 DEPLOY("{'$retainKeys':['type'],'type':'Recreate'}"), DEPLOY("{'type':'Recreate'}")},
	{"Pod", META("{'labels':{'a':'1','b':'2'}}"), META("{'labels':{'a':null,'c':'3'}}"),
	 META("{'labels':{'b':'2','c':'3'}}")},
	{"Pod", META("{'labels':{'a':'1'}}"), META("{'labels':{'$patch':'replace','c':'3'}}"),
	 META("{'labels':{'c':'3'}}")},
	/* of a kind that nobody knows, lists are replaced */
	{"Boat", POD("[{'name':'a'}]"), POD("[{'name':'b'}]"), POD("[{'name':'b'}]")},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(rows); i++) {
		_cleanup_doc_ struct cox_doc *base = parsed(rows[i].base);
		_cleanup_doc_ struct cox_doc *patch = parsed(rows[i].patch);
		_cleanup_doc_ struct cox_doc *before = parsed(rows[i].base);
		_cleanup_doc_ struct cox_doc *wanted = NULL, *got = NULL;
		const char *group = strcmp(rows[i].kind, "Deployment") == 0 ? "apps" : "";
		const struct cox_schema_type *type = cox_schema_find(group, "v1", rows[i].kind);
		struct cox_error err;
		int r = cox_strategic_patch(base, patch, NULL, type ? type : cox_schema_any(), &got,
					    &err);
		if (!rows[i].result) {
			assert_int_equal(r, -COX_INVALID_ARGUMENT);
			continue;
		}
		assert_int_equal(r, 0);
		wanted = parsed(rows[i].result);
		if (!cox_node_equal(cox_doc_root(got), cox_doc_root(wanted))) {
			_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
			cox_json_write(&text, cox_doc_root(got));
			fail_msg("row %zu: wanted %s, got %s", i, rows[i].result, text.ptr);
		}
		assert_true(cox_node_equal(cox_doc_root(base), cox_doc_root(before)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
