#include "common/kube/quantity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_canonical(void **state)
{
	/* as k8s.io/apimachinery prints them */
	static const char *const rows[][2] = {
		{"0", "0"},
		{"-0", "0"},
		{"0Ki", "0"},
		{"1", "1"},
		{"+1", "1"},
		{"1.", "1"},
		{".5", "500m"},
		{"0.5", "500m"},
		{"100m", "100m"},
		{"1000m", "1"},
		{"1500m", "1500m"},
		{"1024Mi", "1Gi"},
		{"1000Mi", "1000Mi"},
		{"1.5Gi", "1536Mi"},
		{"0.5Ki", "512"},
		{"1Ki", "1Ki"},
		{"1023", "1023"},
		{"1.1Ki", "1126400m"},
		{"1000", "1k"},
		{"1000000", "1M"},
		{"12345", "12345"},
		{"1e3", "1e3"},
		{"1E3", "1e3"},
		{"1E", "1E"},
		{"1e-3", "1e-3"},
		{"1e4", "10e3"},
		{"-2Gi", "-2Gi"},
		{"0.1n", "1n"},
		{"-0.1n", "-1n"},
		{"1n", "1n"},
		{"9223372036854775807", "9223372036854775807"},
		{"9223372036854775808", "9223372036854775807"},
		{"100E", "9223372036854775807"},
		{"16Ei", "9223372036854775807"},
		{"9223372036854775806.5", "9223372036854775806500m"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cox_quantity q;
		char text[COX_QUANTITY_TEXT_MAX];

		assert_int_equal(cox_quantity_parse(cox_str(rows[i][0]), &q, NULL), 0);
		cox_quantity_write(q, text);
		assert_string_equal(text, rows[i][1]);
	}
}

static void test_equal(void **state)
{
	static const struct {
		const char *a, *b;
		int order;
	} rows[] = {
		{"1Gi", "1024Mi", 0}, {"0.5", "500m", 0}, {"1e3", "1k", 0},   {"1", "1001m", -1},
		{"2Gi", "2G", 1},     {"-1", "1", -1},	  {"1Ki", "1024", 0}, {"0", "-0", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cox_quantity a, b;

		assert_int_equal(cox_quantity_parse(cox_str(rows[i].a), &a, NULL), 0);
		assert_int_equal(cox_quantity_parse(cox_str(rows[i].b), &b, NULL), 0);
		assert_int_equal(cox_quantity_compare(a, b), rows[i].order);
	}
	struct cox_quantity q;

	assert_int_equal(cox_quantity_parse(cox_str("1500m"), &q, NULL), 0);
	assert_int_equal(cox_quantity_value(q), 2);
}

static void test_refused(void **state)
{
	static const char *const rows[] = {"",	  ".",	  "-",	 "Ki",	  "1 Gi", "1gi",
					   "1e",  "1ee3", "0x1", "1.2.3", "--1",  "1K",
					   "1mi", "NaN",  " 1",	 "1e3Ki"};
	struct cox_quantity q;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_true(cox_quantity_parse(cox_str(rows[i]), &q, NULL) < 0);
	/* the limit on digits: 256 pass, 257 do not */
	char digits[258];

	memset(digits, '1', sizeof(digits));
	assert_int_equal(cox_quantity_parse(cox_str_n(digits, 256), &q, NULL), 0);
	assert_true(cox_quantity_parse(cox_str_n(digits, 257), &q, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
