#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/crypto/aead.h"
#include "common/crypto/digest.h"
#include "common/crypto/token.h"

#include <pthread.h>
#include <sys/stat.h>

#include "pki_test.h"

/* FIPS 180-4, and its examples by NIST. */
static void test_sha256(void **state)
{
	static const struct {
		const char *text, *digest;
	} vectors[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	char text[COX_SHA256_TEXT], block[1000];
	struct cox_sha256 s = COX_SHA256_INIT, given_up = COX_SHA256_INIT;

	(void)state;
	for (size_t i = 0; i < COX_ARRAY_LEN(vectors); i++) {
		cox_sha256_hex(cox_str(vectors[i].text), text);
		assert_string_equal(text, vectors[i].digest);
	}
	/* A million times 'a'. */
	memset(block, 'a', sizeof(block));
	cox_sha256_init(&s);
	for (int i = 0; i < 1000; i++)
		cox_sha256_update(&s, cox_str_n(block, sizeof(block)));
	cox_sha256_final_hex(&s, text);
	assert_string_equal(text,
			    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	cox_sha256_fini(&s);
	cox_sha256_init(&given_up);
	cox_sha256_fini(&given_up);
}

/* RFC 4231 cases 1, 2, 6; RFC 2202 case 2. */
static void test_hmac(void **state)
{
	uint8_t mac[COX_SHA256_BYTES];
	char text[COX_SHA256_TEXT], key[131];

	(void)state;
	memset(key, 0x0b, 20);
	cox_hmac_sha256(cox_str_n(key, 20), COX_STR("Hi There"), mac);
	cox_hex_encode(mac, 32, text);
	assert_string_equal(text,
			    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	cox_hmac_sha256(COX_STR("Jefe"), COX_STR("what do ya want for nothing?"), mac);
	cox_hex_encode(mac, 32, text);
	assert_string_equal(text,
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, 131);
	cox_hmac_sha256(cox_str_n(key, 131),
			COX_STR("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
	cox_hex_encode(mac, 32, text);
	assert_string_equal(text,
			    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	cox_hmac_sha1(COX_STR("Jefe"), COX_STR("what do ya want for nothing?"), mac);
	cox_hex_encode(mac, 20, text);
	assert_string_equal(text, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

static void test_equal_and_wipe(void **state)
{
	char secret[] = "secret";

	(void)state;
	assert_true(cox_equal_secret(COX_STR("abc"), COX_STR("abc")));
	assert_true(cox_equal_secret(COX_STR(""), cox_str(NULL)));
	assert_false(cox_equal_secret(COX_STR("abc"), COX_STR("abd")));
	assert_false(cox_equal_secret(COX_STR("abc"), COX_STR("ab")));
	cox_wipe(secret, sizeof(secret));
	for (size_t i = 0; i < sizeof(secret); i++)
		assert_int_equal(secret[i], 0);
}

static void test_token(void **state)
{
	char one[COX_TOKEN_TEXT], two[COX_TOKEN_TEXT];
	uint8_t hash[COX_SHA256_BYTES];

	(void)state;
	cox_token_new(one);
	cox_token_new(two);
	assert_int_equal(strlen(one), COX_TOKEN_TEXT - 1);
	assert_string_not_equal(one, two);
	assert_true(cox_token_is_shaped(cox_str(one)));
	assert_false(cox_token_is_shaped(cox_str_n(one, COX_TOKEN_TEXT - 2)));
	assert_false(cox_token_is_shaped(COX_STR("")));
	cox_token_hash(cox_str(one), hash);
	assert_true(cox_token_matches(cox_str(one), hash));
	assert_false(cox_token_matches(cox_str(two), hash));
	assert_false(cox_token_matches(cox_str_n(one, COX_TOKEN_TEXT - 2), hash));
	one[10] = '/';
	assert_false(cox_token_is_shaped(cox_str(one)));
	assert_false(cox_token_matches(cox_str(one), hash));
}

static void test_seal(void **state)
{
	uint8_t key[COX_SEAL_KEY_BYTES] = {1}, other[COX_SEAL_KEY_BYTES] = {2};
	COX_CLEANUP(cox_sealer_free_p) struct cox_sealer *s = cox_sealer_new(key);
	COX_CLEANUP(cox_sealer_free_p) struct cox_sealer *t = cox_sealer_new(other);
	static const size_t sizes[] = {0, 1, 15, 16, 17, 100000};
	_cleanup_free_ char *plain = cox_calloc(1, 100000);

	(void)state;
	for (size_t i = 0; i < 100000; i++)
		plain[i] = (char)(i * 31);
	for (size_t i = 0; i < COX_ARRAY_LEN(sizes); i++) {
		_cleanup_buf_ struct cox_buf sealed = COX_BUF_INIT, again = COX_BUF_INIT,
					     out = COX_BUF_INIT;
		struct cox_str in = cox_str_n(plain, sizes[i]);
		struct cox_error err;

		cox_buf_puts(&out, "before");
		cox_seal(s, in, COX_STR("bundle/1"), &sealed);
		cox_seal(s, in, COX_STR("bundle/1"), &again);
		assert_int_equal(sealed.len, sizes[i] + COX_SEAL_OVERHEAD);
		assert_false(cox_str_eq(cox_buf_str(&sealed), cox_buf_str(&again)));
		assert_int_equal(
			cox_unseal(s, cox_buf_str(&sealed), COX_STR("bundle/1"), &out, &err), 0);
		assert_int_equal(out.len, 6 + sizes[i]);
		assert_memory_equal(out.ptr, "before", 6);
		assert_memory_equal(out.ptr + 6, plain, sizes[i]);
		cox_buf_clear(&out);
		assert_int_equal(
			cox_unseal(s, cox_buf_str(&sealed), COX_STR("bundle/2"), &out, &err),
			-COX_DATA_LOSS);
		assert_int_equal(cox_unseal(s, cox_buf_str(&sealed), COX_STR(""), &out, &err),
				 -COX_DATA_LOSS);
		assert_int_equal(
			cox_unseal(t, cox_buf_str(&sealed), COX_STR("bundle/1"), &out, &err),
			-COX_DATA_LOSS);
		assert_int_equal(out.len, 0);
	}
}

/* Every bit and every length matters. */
static void test_seal_tampering(void **state)
{
	uint8_t key[COX_SEAL_KEY_BYTES] = {1};
	COX_CLEANUP(cox_sealer_free_p) struct cox_sealer *s = cox_sealer_new(key);
	_cleanup_buf_ struct cox_buf sealed = COX_BUF_INIT, out = COX_BUF_INIT;

	(void)state;
	cox_seal(s, COX_STR("twelve bytes"), COX_STR("row"), &sealed);
	for (size_t i = 0; i < sealed.len * 8; i++) {
		sealed.ptr[i / 8] ^= (char)(1 << (i % 8));
		assert_int_equal(cox_unseal(s, cox_buf_str(&sealed), COX_STR("row"), &out, NULL),
				 -COX_DATA_LOSS);
		sealed.ptr[i / 8] ^= (char)(1 << (i % 8));
	}
	for (size_t n = 0; n < sealed.len; n++)
		assert_int_equal(
			cox_unseal(s, cox_str_n(sealed.ptr, n), COX_STR("row"), &out, NULL),
			-COX_DATA_LOSS);
	assert_int_equal(out.len, 0);
	assert_int_equal(cox_unseal(s, cox_buf_str(&sealed), COX_STR("row"), &out, NULL), 0);
}

struct opener {
	const char *path;
	struct cox_sealer *sealer;
	int result;
};

static void *open_it(void *arg)
{
	struct opener *o = arg;

	o->result = cox_sealer_open(o->path, false, &o->sealer, NULL);
	return NULL;
}

static void test_key_file(void **state)
{
	char dir[] = "/tmp/cox-key-XXXXXX";
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct cox_buf first = COX_BUF_INIT;
	struct cox_sealer *none = NULL;
	struct opener openers[8];
	pthread_t threads[8];
	struct cox_error err;
	struct stat st;
	int n_made = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = cox_path_join(dir, "hub.key");
	assert_int_equal(cox_sealer_open(path, true, &none, &err), -COX_NOT_FOUND);
	assert_non_null(strstr(err.message, path));
	/* Many at once end up with one key. */
	for (int i = 0; i < 8; i++) {
		openers[i] = (struct opener){.path = path};
		assert_int_equal(pthread_create(&threads[i], NULL, open_it, &openers[i]), 0);
	}
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	cox_seal(openers[0].sealer, COX_STR("x"), COX_STR(""), &first);
	for (int i = 0; i < 8; i++) {
		_cleanup_buf_ struct cox_buf out = COX_BUF_INIT;

		assert_true(openers[i].result >= 0);
		n_made += openers[i].result;
		assert_int_equal(
			cox_unseal(openers[i].sealer, cox_buf_str(&first), COX_STR(""), &out, NULL),
			0);
		cox_sealer_free(openers[i].sealer);
	}
	assert_true(n_made >= 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(cox_sealer_open(path, true, &none, &err), 0);
	cox_sealer_free(TAKE(none));
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(cox_sealer_open(path, true, &none, &err), -COX_PERMISSION_DENIED);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, 40), 0);
	assert_int_equal(cox_sealer_open(path, false, &none, &err), -COX_DATA_LOSS);
	assert_null(none);
	assert_int_equal(unlink(path), 0);
	/* Nothing else was left behind. */
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_equal_and_wipe),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_seal),
		cmocka_unit_test(test_seal_tampering),
		cmocka_unit_test(test_key_file),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_authorities),
		cmocka_unit_test(test_server_certificate),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_lifetimes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
