#include "common/ctl/stamp.h"

#include "common/base/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void hex_of(struct cox_stamp *stamps, size_t n, char ret[COX_SHA256_TEXT])
{
	uint8_t digest[COX_SHA256_BYTES];

	cox_stamps_digest(stamps, n, digest);
	cox_hex_encode(digest, sizeof(digest), ret);
}

static void test_order(void **state)
{
	(void)state;
	assert_true(cox_stamp_order(1, 9, 2, 1) < 0);
	assert_true(cox_stamp_order(2, 1, 1, 9) > 0);
	assert_true(cox_stamp_order(1, 1, 1, 2) < 0);
	assert_int_equal(cox_stamp_order(3, 4, 3, 4), 0);
	assert_true(cox_stamp_order(0, UINT64_MAX, 0, 0) > 0);
}

/* The format is what two programs of different versions agree on: its bytes are fixed here. */
static void test_bytes(void **state)
{
	struct cox_stamp one = {.app_uid = COX_STR("a"), .epoch = 1, .generation = 2};
	char got[COX_SHA256_TEXT], wanted[COX_SHA256_TEXT];
	char bytes[4 + 1 + 1 + 8 + 8 + 64] = {0};

	(void)state;
	hex_of(NULL, 0, got);
	assert_string_equal(got,
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	bytes[3] = 1;
	bytes[4] = 'a';
	bytes[5] = 1;
	bytes[13] = 1;
	bytes[21] = 2;
	bytes[22] = bytes[54] = (char)0xab;
	one.target_digest[0] = one.sync_digest[0] = 0xab;
	hex_of(&one, 1, got);
	cox_sha256_hex(cox_str_n(bytes, sizeof(bytes)), wanted);
	assert_string_equal(got, wanted);
}

static void test_every_field_counts_and_order_does_not(void **state)
{
	struct cox_stamp a = {.app_uid = COX_STR("a"), .epoch = 1, .generation = 1};
	struct cox_stamp b = {.app_uid = COX_STR("b"), .epoch = 1, .generation = 1};
	struct cox_stamp ab[] = {a, b}, ba[] = {b, a}, other[] = {a, b};
	char first[COX_SHA256_TEXT], second[COX_SHA256_TEXT];

	(void)state;
	hex_of(ab, 2, first);
	hex_of(ba, 2, second);
	assert_string_equal(first, second);
	other[1].tombstone = true;
	hex_of(other, 2, second);
	assert_string_not_equal(first, second);
	other[1] = b;
	other[1].generation = 2;
	hex_of(other, 2, second);
	assert_string_not_equal(first, second);
	other[1] = b;
	other[1].epoch = 2;
	hex_of(other, 2, second);
	assert_string_not_equal(first, second);
	other[1] = b;
	other[1].sync_digest[31] = 1;
	hex_of(other, 2, second);
	assert_string_not_equal(first, second);
	hex_of(ab, 1, second);
	assert_string_not_equal(first, second);
}

static void test_digests_of_messages(void **state)
{
	uint8_t bytes[33] = {7}, got[COX_SHA256_BYTES];

	(void)state;
	cox_stamp_set_digest(got, bytes, 32);
	assert_int_equal(got[0], 7);
	cox_stamp_set_digest(got, bytes, 31);
	assert_int_equal(got[0], 0);
	cox_stamp_set_digest(got, bytes, 33);
	assert_int_equal(got[0], 0);
	cox_stamp_set_digest(got, NULL, 0);
	assert_int_equal(got[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_every_field_counts_and_order_does_not),
		cmocka_unit_test(test_digests_of_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
