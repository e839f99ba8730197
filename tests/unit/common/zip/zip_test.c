#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "common/base/rand.h"
#include "common/zip/zip.h"

static void test_round_trip(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 65536, 3000000};
	struct cox_rng rng;

	(void)state;
	cox_rng_init(&rng, 1);
	for (size_t i = 0; i < COX_ARRAY_LEN(sizes); i++) {
		_cleanup_buf_ struct cox_buf plain = COX_BUF_INIT, packed = COX_BUF_INIT,
					     out = COX_BUF_INIT;

		while (plain.len < sizes[i])
			cox_buf_putc(&plain, (char)('a' + cox_rng_below(&rng, 4)));
		cox_buf_puts(&packed, "head");
		cox_zip_compress(cox_buf_str(&plain), 0, &packed);
		cox_buf_consume(&packed, 4);
		if (sizes[i] > 1000)
			assert_true(packed.len < sizes[i] / 2);
		cox_buf_puts(&out, "kept");
		assert_int_equal(cox_zip_decompress(cox_buf_str(&packed), sizes[i], &out, NULL), 0);
		assert_int_equal(out.len, sizes[i] + 4);
		assert_memory_equal(out.ptr, "kept", 4);
		if (sizes[i])
			assert_memory_equal(out.ptr + 4, plain.ptr, sizes[i]);
	}
}

static void test_limit(void **state)
{
	_cleanup_buf_ struct cox_buf packed = COX_BUF_INIT, out = COX_BUF_INIT;
	_cleanup_free_ char *zeros = cox_calloc(1, 1000);
	struct cox_error err;

	(void)state;
	cox_zip_compress(cox_str_n(zeros, 1000), 19, &packed);
	assert_int_equal(cox_zip_decompress(cox_buf_str(&packed), 999, &out, &err),
			 -COX_RESOURCE_EXHAUSTED);
	assert_int_equal(out.len, 0);
	assert_int_equal(cox_zip_decompress(cox_buf_str(&packed), 1000, &out, &err), 0);
	assert_int_equal(cox_zip_decompress(cox_buf_str(&packed), 1001, &out, &err), 0);
	assert_int_equal(out.len, 2000);
}

static void test_damage(void **state)
{
	static const char text[] = "the quick brown fox jumps over the lazy dog, twice: the quick "
				   "brown fox jumps over the lazy dog";
	_cleanup_buf_ struct cox_buf packed = COX_BUF_INIT, out = COX_BUF_INIT;
	struct cox_error err;

	(void)state;
	cox_zip_compress(cox_str(text), 0, &packed);
	for (size_t n = 0; n < packed.len; n++)
		assert_int_equal(cox_zip_decompress(cox_str_n(packed.ptr, n), 1000, &out, &err),
				 -COX_DATA_LOSS);
	/* Whatever bit falls over, what comes out is an error or what went in. */
	for (size_t i = 0; i < packed.len * 8; i++) {
		packed.ptr[i / 8] ^= (char)(1 << (i % 8));
		if (cox_zip_decompress(cox_buf_str(&packed), 1000, &out, &err) == 0)
			assert_memory_equal(out.ptr, text, sizeof(text) - 1);
		else
			assert_int_equal(out.len, 0);
		cox_buf_clear(&out);
		packed.ptr[i / 8] ^= (char)(1 << (i % 8));
	}
	cox_buf_putc(&packed, 'x');
	assert_int_equal(cox_zip_decompress(cox_buf_str(&packed), 1000, &out, &err),
			 -COX_DATA_LOSS);
	assert_int_equal(cox_zip_decompress(COX_STR("not packed at all"), 1000, &out, &err),
			 -COX_DATA_LOSS);
	assert_int_equal(cox_zip_decompress(cox_str(NULL), 1000, &out, &err), -COX_DATA_LOSS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
