#include "common/crypto/digest.h"

#include "common/base/encode.h"
#include "common/base/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>

/* Looking an algorithm up by name costs more than hashing a short text; it is done once. */
static EVP_MD *sha256;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	COX_ASSERT(sha256);
}

void cox_sha256(struct cox_str bytes, uint8_t ret_digest[COX_SHA256_BYTES])
{
	pthread_once(&fetched, fetch);
	COX_ASSERT(
		EVP_Digest(bytes.len ? bytes.ptr : "", bytes.len, ret_digest, NULL, sha256, NULL));
}

void cox_sha256_hex(struct cox_str bytes, char ret_text[COX_SHA256_TEXT])
{
	uint8_t digest[COX_SHA256_BYTES];

	cox_sha256(bytes, digest);
	cox_hex_encode(digest, sizeof(digest), ret_text);
}

void cox_sha256_init(struct cox_sha256 *s)
{
	pthread_once(&fetched, fetch);
	s->context = EVP_MD_CTX_new();
	COX_ASSERT(s->context && EVP_DigestInit_ex2(s->context, sha256, NULL));
}

void cox_sha256_update(struct cox_sha256 *s, struct cox_str bytes)
{
	COX_ASSERT(EVP_DigestUpdate(s->context, bytes.ptr, bytes.len));
}

void cox_sha256_final(struct cox_sha256 *s, uint8_t ret_digest[COX_SHA256_BYTES])
{
	COX_ASSERT(EVP_DigestFinal_ex(s->context, ret_digest, NULL));
	cox_sha256_fini(s);
}

void cox_sha256_final_hex(struct cox_sha256 *s, char ret_text[COX_SHA256_TEXT])
{
	uint8_t digest[COX_SHA256_BYTES];

	cox_sha256_final(s, digest);
	cox_hex_encode(digest, sizeof(digest), ret_text);
}

void cox_sha256_fini(struct cox_sha256 *s)
{
	EVP_MD_CTX_free(s->context);
	s->context = NULL;
}

static void hmac(const EVP_MD *md, struct cox_str key, struct cox_str bytes, uint8_t *ret_mac)
{
	unsigned n;

	COX_ASSERT(key.len <= INT32_MAX);
	COX_ASSERT(HMAC(md, key.len ? key.ptr : "", (int)key.len,
			(const uint8_t *)(bytes.len ? bytes.ptr : ""), bytes.len, ret_mac, &n));
}

void cox_hmac_sha256(struct cox_str key, struct cox_str bytes, uint8_t ret_mac[COX_SHA256_BYTES])
{
	hmac(EVP_sha256(), key, bytes, ret_mac);
}

void cox_hmac_sha1(struct cox_str key, struct cox_str bytes, uint8_t ret_mac[COX_SHA1_BYTES])
{
	hmac(EVP_sha1(), key, bytes, ret_mac);
}

bool cox_equal_secret(struct cox_str a, struct cox_str b)
{
	return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

void cox_wipe(void *bytes, size_t n)
{
	if (n)
		OPENSSL_cleanse(bytes, n);
}
