#include "common/crypto/aead.h"

#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/rand.h"
#include "common/crypto/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#define VERSION	    1
#define NONCE_BYTES 12
#define TAG_BYTES   16
#define HEAD_BYTES  (1 + NONCE_BYTES)
/* What the key file says: one line, so that a person can copy it into a safe place. */
#define MAGIC	   "coxswain-key-v1 "
#define FILE_BYTES (sizeof(MAGIC) - 1 + 2 * COX_SEAL_KEY_BYTES + 1)

_Static_assert(COX_SEAL_OVERHEAD == HEAD_BYTES + TAG_BYTES, "the header states the overhead");

struct cox_sealer {
	uint8_t key[COX_SEAL_KEY_BYTES];
};

struct cox_sealer *cox_sealer_new(const uint8_t key[COX_SEAL_KEY_BYTES])
{
	struct cox_sealer *s = cox_new(struct cox_sealer);

	memcpy(s->key, key, COX_SEAL_KEY_BYTES);
	return s;
}

void cox_sealer_free(struct cox_sealer *s)
{
	if (!s)
		return;
	cox_wipe(s, sizeof(*s));
	free(s);
}

static int read_key(const char *path, uint8_t ret_key[COX_SEAL_KEY_BYTES], struct cox_error *err)
{
	char text[FILE_BYTES + 1];
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return cox_error_sys(err, errno, "cannot open key file '%s'", path);
	if (fstat(fd, &st) < 0)
		return cox_error_sys(err, errno, "cannot look at key file '%s'", path);
	if (st.st_mode & 077)
		return cox_error(err, COX_PERMISSION_DENIED,
				 "key file '%s' can be read by others (mode %04o): make it 0600",
				 path, st.st_mode & 07777);
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return cox_error_sys(err, errno, "cannot read key file '%s'", path);
	if (n != FILE_BYTES || memcmp(text, MAGIC, sizeof(MAGIC) - 1) != 0 ||
	    text[FILE_BYTES - 1] != '\n' ||
	    cox_hex_decode(cox_str_n(text + sizeof(MAGIC) - 1, 2 * COX_SEAL_KEY_BYTES), ret_key,
			   COX_SEAL_KEY_BYTES, NULL) < 0)
		r = cox_error(err, COX_DATA_LOSS,
			      "key file '%s' holds no key: restore it from a backup", path);
	cox_wipe(text, sizeof(text));
	return r;
}

/* Written whole under another name and then linked: whoever comes second finds the first one's. */
static int make_key(const char *path, struct cox_error *err)
{
	char uuid[COX_UUID_TEXT], text[FILE_BYTES + 1];
	_cleanup_free_ char *temporary = NULL;
	uint8_t key[COX_SEAL_KEY_BYTES];
	int r;

	cox_uuid_new(uuid);
	temporary = cox_asprintf("%s.%.8s.new", path, uuid);
	cox_random_bytes(key, sizeof(key));
	memcpy(text, MAGIC, sizeof(MAGIC) - 1);
	cox_hex_encode(key, sizeof(key), text + sizeof(MAGIC) - 1);
	text[FILE_BYTES - 1] = '\n';
	r = cox_file_write(temporary, cox_str_n(text, FILE_BYTES), 0600, err);
	cox_wipe(key, sizeof(key));
	cox_wipe(text, sizeof(text));
	if (r < 0)
		return r;
	if (link(temporary, path) < 0 && errno != EEXIST)
		r = cox_error_sys(err, errno, "cannot make key file '%s'", path);
	unlink(temporary);
	return r;
}

static int sync_directory_of(const char *path, struct cox_error *err)
{
	_cleanup_free_ char *dir = cox_strdup(path);
	char *slash = strrchr(dir, '/');
	_cleanup_close_ int fd = -1;

	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return cox_error_sys(err, errno, "cannot sync the directory of '%s'", path);
	return 0;
}

int cox_sealer_open(const char *path, bool must_exist, struct cox_sealer **ret_sealer,
		    struct cox_error *err)
{
	uint8_t key[COX_SEAL_KEY_BYTES];
	bool made = false;
	int r;

	if (access(path, F_OK) < 0 && errno == ENOENT) {
		if (must_exist)
			return cox_error(err, COX_NOT_FOUND,
					 "key file '%s' is missing: what was encrypted with it "
					 "cannot be read, restore it from a backup",
					 path);
		r = make_key(path, err);
		if (r == 0)
			r = sync_directory_of(path, err);
		if (r < 0)
			return r;
		made = true;
	}
	r = read_key(path, key, err);
	if (r < 0)
		return r;
	*ret_sealer = cox_sealer_new(key);
	cox_wipe(key, sizeof(key));
	return made;
}

void cox_seal(const struct cox_sealer *s, struct cox_str plain, struct cox_str associated,
	      struct cox_buf *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t *to;
	int n;

	COX_ASSERT(c && plain.len <= INT32_MAX / 2 && associated.len <= INT32_MAX / 2);
	cox_buf_reserve(out, plain.len + COX_SEAL_OVERHEAD);
	to = (uint8_t *)out->ptr + out->len;
	to[0] = VERSION;
	cox_random_bytes(to + 1, NONCE_BYTES);
	/* The version is part of what is authenticated. */
	COX_ASSERT(EVP_EncryptInit_ex2(c, EVP_aes_256_gcm(), s->key, to + 1, NULL));
	COX_ASSERT(EVP_EncryptUpdate(c, NULL, &n, to, 1));
	if (associated.len)
		COX_ASSERT(EVP_EncryptUpdate(c, NULL, &n, (const uint8_t *)associated.ptr,
					     (int)associated.len));
	if (plain.len)
		COX_ASSERT(EVP_EncryptUpdate(c, to + HEAD_BYTES, &n, (const uint8_t *)plain.ptr,
					     (int)plain.len));
	COX_ASSERT(EVP_EncryptFinal_ex(c, to + HEAD_BYTES + plain.len, &n));
	COX_ASSERT(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES,
				       to + HEAD_BYTES + plain.len));
	EVP_CIPHER_CTX_free(c);
	out->len += plain.len + COX_SEAL_OVERHEAD;
	out->ptr[out->len] = '\0';
}

static bool decrypt(EVP_CIPHER_CTX *c, const struct cox_sealer *s, const uint8_t *from,
		    size_t n_from, struct cox_str associated, uint8_t *to)
{
	size_t n_plain = n_from - COX_SEAL_OVERHEAD;
	int n;

	return EVP_DecryptInit_ex2(c, EVP_aes_256_gcm(), s->key, from + 1, NULL) &&
	       EVP_DecryptUpdate(c, NULL, &n, from, 1) &&
	       (!associated.len || EVP_DecryptUpdate(c, NULL, &n, (const uint8_t *)associated.ptr,
						     (int)associated.len)) &&
	       (!n_plain || EVP_DecryptUpdate(c, to, &n, from + HEAD_BYTES, (int)n_plain)) &&
	       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES,
				   (void *)(from + n_from - TAG_BYTES)) &&
	       EVP_DecryptFinal_ex(c, to + n_plain, &n) > 0;
}

int cox_unseal(const struct cox_sealer *s, struct cox_str sealed, struct cox_str associated,
	       struct cox_buf *out, struct cox_error *err)
{
	size_t n_plain = sealed.len - COX_SEAL_OVERHEAD;
	EVP_CIPHER_CTX *c;
	bool fine;

	if (sealed.len < COX_SEAL_OVERHEAD || sealed.len > INT32_MAX / 2 ||
	    associated.len > INT32_MAX / 2)
		return cox_error(err, COX_DATA_LOSS,
				 "sealed text of %zu bytes is too short or long", sealed.len);
	if (sealed.ptr[0] != VERSION)
		return cox_error(err, COX_DATA_LOSS, "sealed text is of unknown version %d",
				 (uint8_t)sealed.ptr[0]);
	c = EVP_CIPHER_CTX_new();
	COX_ASSERT(c);
	cox_buf_reserve(out, n_plain);
	fine = decrypt(c, s, (const uint8_t *)sealed.ptr, sealed.len, associated,
		       (uint8_t *)out->ptr + out->len);
	EVP_CIPHER_CTX_free(c);
	if (!fine) {
		cox_wipe(out->ptr + out->len, n_plain);
		out->ptr[out->len] = '\0';
		return cox_error(err, COX_DATA_LOSS,
				 "sealed text was altered or belongs to another key");
	}
	out->len += n_plain;
	out->ptr[out->len] = '\0';
	return 0;
}
