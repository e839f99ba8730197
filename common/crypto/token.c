#include "common/crypto/token.h"

#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/base/rand.h"

#define PREFIX "cox_"

void cox_token_new(char ret_text[COX_TOKEN_TEXT])
{
	struct cox_buf text = COX_BUF_INIT;
	uint8_t bytes[32];

	cox_random_bytes(bytes, sizeof(bytes));
	cox_buf_puts(&text, PREFIX);
	cox_base64url_encode(&text, bytes, sizeof(bytes));
	COX_ASSERT(text.len == COX_TOKEN_TEXT - 1);
	memcpy(ret_text, text.ptr, COX_TOKEN_TEXT);
	cox_wipe(bytes, sizeof(bytes));
	cox_wipe(text.ptr, text.len);
	cox_buf_fini(&text);
}

bool cox_token_is_shaped(struct cox_str text)
{
	if (text.len != COX_TOKEN_TEXT - 1 || !cox_str_starts(text, PREFIX))
		return false;
	for (size_t i = strlen(PREFIX); i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '_'))
			return false;
	}
	return true;
}

void cox_token_hash(struct cox_str text, uint8_t ret_hash[COX_SHA256_BYTES])
{
	cox_sha256(text, ret_hash);
}

bool cox_token_matches(struct cox_str text, const uint8_t hash[COX_SHA256_BYTES])
{
	uint8_t given[COX_SHA256_BYTES];

	cox_token_hash(text, given);
	return cox_equal_secret(cox_str_n((const char *)given, sizeof(given)),
				cox_str_n((const char *)hash, COX_SHA256_BYTES));
}
