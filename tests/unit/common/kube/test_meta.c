#include "common/kube/meta.h"

#include "common/doc/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char deployment[] =
	"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\","
	"\"namespace\":\"shop\",\"uid\":\"u\",\"resourceVersion\":\"7\",\"generation\":3,"
	"\"labels\":{\"a\":\"b\",\"n\":1},\"annotations\":{\"x\":\"\"},"
	"\"finalizers\":[\"f\"],\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"}}";

static void test_accessors(void **state)
{
	_cleanup_doc_ struct cox_doc *doc = NULL;

	(void)state;
	assert_int_equal(cox_json_read(cox_str(deployment), "t", &doc, NULL), 0);
	const struct cox_node *o = cox_doc_root(doc);

	assert_true(cox_str_is(cox_meta_group(o), "apps"));
	assert_true(cox_str_is(cox_meta_version(o), "v1"));
	assert_true(cox_str_is(cox_meta_kind(o), "Deployment"));
	assert_true(cox_str_is(cox_meta_name(o), "web"));
	assert_true(cox_str_is(cox_meta_namespace(o), "shop"));
	assert_true(cox_str_is(cox_meta_resource_version(o), "7"));
	assert_int_equal(cox_meta_generation(o), 3);
	assert_true(cox_meta_is_deleting(o));
	assert_true(cox_meta_has_finalizer(o, "f"));
	assert_false(cox_meta_has_finalizer(o, "g"));
	assert_true(cox_str_is(cox_meta_label(o, "a"), "b"));
	assert_null(cox_meta_label(o, "n").ptr);
	assert_non_null(cox_meta_annotation(o, "x").ptr);
	assert_null(cox_meta_annotation(o, "y").ptr);
}

static void test_malformed_is_absent(void **state)
{
	static const char *const rows[] = {"[]", "1", "{\"metadata\":[]}",
					   "{\"apiVersion\":1,\"kind\":{},\"metadata\":{\"name\":1,"
					   "\"labels\":[],\"finalizers\":{}}}"};

	(void)state;
	assert_int_equal(cox_meta_name(NULL).len, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_doc_ struct cox_doc *doc = NULL;

		assert_int_equal(cox_json_read(cox_str(rows[i]), "t", &doc, NULL), 0);
		const struct cox_node *o = cox_doc_root(doc);

		assert_int_equal(cox_meta_name(o).len, 0);
		assert_int_equal(cox_meta_kind(o).len, 0);
		assert_int_equal(cox_meta_group(o).len, 0);
		assert_null(cox_meta_labels(o));
		assert_null(cox_meta_finalizers(o));
		assert_false(cox_meta_is_deleting(o));
	}
}

static void test_keys(void **state)
{
	static const char *const order[] = {"/ConfigMap/a/x", "/ConfigMap/a/y", "/ConfigMap/b/x",
					    "/Namespace//a", "apps/Deployment/a/x"};
	struct cox_object_key keys[5], bad;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(cox_object_key_parse(cox_str(order[i]), &keys[i], NULL), 0);
		_cleanup_free_ char *text = cox_object_key_text(keys[i]);

		assert_string_equal(text, order[i]);
	}
	for (size_t i = 0; i < 5; i++)
		for (size_t k = 0; k < 5; k++) {
			int c = cox_object_key_compare(keys[i], keys[k]);

			assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
			assert_int_equal(cox_object_key_hash(keys[i]) ==
						 cox_object_key_hash(keys[k]),
					 i == k);
		}
	assert_true(cox_object_key_parse(cox_str("a/b/c"), &bad, NULL) < 0);
	assert_true(cox_object_key_parse(cox_str("a/b/c/d/e"), &bad, NULL) < 0);
	assert_true(cox_object_key_parse(cox_str("a//c/d"), &bad, NULL) < 0);
	assert_true(cox_object_key_parse(cox_str("a/b/c/"), &bad, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accessors),
		cmocka_unit_test(test_malformed_is_absent),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
