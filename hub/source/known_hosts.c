#include "hub/source/known_hosts.h"

#include "common/base/cleanup.h"
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/crypto/digest.h"

#include <strings.h>

#define SSH_PORT 22

struct line {
	struct cox_str marker, hosts, type, key; /* the key as base64 */
};

static struct cox_str take_field(struct cox_str *rest)
{
	struct cox_str field;

	*rest = cox_str_trim(*rest);
	field = cox_str_n(rest->ptr, 0);
	while (field.len < rest->len && field.ptr[field.len] != ' ' && field.ptr[field.len] != '\t')
		field.len++;
	*rest = cox_str_n(rest->ptr + field.len, rest->len - field.len);
	return field;
}

/* False for comments, empty and broken lines: one of these takes nothing from the others. */
static bool parse_line(struct cox_str text, struct line *ret_line)
{
	struct line line = {0};

	text = cox_str_trim(text);
	if (text.len == 0 || text.ptr[0] == '#')
		return false;
	if (text.ptr[0] == '@')
		line.marker = take_field(&text);
	line.hosts = take_field(&text);
	line.type = take_field(&text);
	line.key = take_field(&text);
	*ret_line = line;
	return line.key.len > 0;
}

/* '*' and '?' only; the case of letters does not matter. */
static bool matches(struct cox_str pattern, const char *name)
{
	size_t n = strlen(name), p = 0, i = 0, star = SIZE_MAX, after = 0;

	while (i < n) {
		if (p < pattern.len &&
		    (pattern.ptr[p] == '?' || strncasecmp(&pattern.ptr[p], &name[i], 1) == 0)) {
			p++;
			i++;
		} else if (p < pattern.len && pattern.ptr[p] == '*') {
			star = p++;
			after = i;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++after;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

/* "|1|salt|HMAC-SHA1(salt, name)" */
static bool matches_hashed(struct cox_str text, const char *name)
{
	_cleanup_buf_ struct cox_buf salt = COX_BUF_INIT, hash = COX_BUF_INIT;
	struct cox_str rest = cox_str_n(text.ptr + 3, text.len - 3), salt_text;
	uint8_t mac[COX_SHA1_BYTES];

	if (!cox_str_split(&rest, '|', &salt_text) || !rest.ptr ||
	    cox_base64_decode(&salt, salt_text, NULL) < 0 ||
	    cox_base64_decode(&hash, rest, NULL) < 0)
		return false;
	cox_hmac_sha1(cox_buf_str(&salt), cox_str(name), mac);
	return cox_str_eq(cox_buf_str(&hash), cox_str_n((const char *)mac, sizeof(mac)));
}

static bool names_host(struct cox_str patterns, const char *name)
{
	bool found = false;
	struct cox_str one;

	if (cox_str_starts(patterns, "|1|"))
		return matches_hashed(patterns, name);
	while (cox_str_split(&patterns, ',', &one)) {
		if (one.len && one.ptr[0] == '!') {
			if (matches(cox_str_n(one.ptr + 1, one.len - 1), name))
				return false;
		} else if (matches(one, name)) {
			found = true;
		}
	}
	return found;
}

static bool is_key(struct cox_str base64, struct cox_str key)
{
	_cleanup_buf_ struct cox_buf bytes = COX_BUF_INIT;

	return cox_base64_decode(&bytes, base64, NULL) == 0 && cox_str_eq(cox_buf_str(&bytes), key);
}

/* The name of the key's kind stands first in its wire form, with a length. */
static struct cox_str type_of(struct cox_str key)
{
	const uint8_t *p = (const uint8_t *)key.ptr;
	size_t n;

	if (key.len < 4)
		return COX_STR("unknown");
	n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (n > key.len - 4 || n > 64)
		return COX_STR("unknown");
	return cox_str_n(key.ptr + 4, n);
}

/* As ssh shows it: "SHA256:" and base64 without padding. */
static char *fingerprint(struct cox_str key)
{
	uint8_t digest[COX_SHA256_BYTES];
	struct cox_buf text = COX_BUF_INIT;

	cox_sha256(key, digest);
	cox_buf_puts(&text, "SHA256:");
	cox_base64_encode(&text, digest, sizeof(digest));
	while (text.len && text.ptr[text.len - 1] == '=')
		text.ptr[--text.len] = '\0';
	return cox_buf_take(&text);
}

static int verdict(bool host_known, bool type_known, const char *name, struct cox_str key,
		   struct cox_error *err)
{
	_cleanup_free_ char *print = fingerprint(key);
	struct cox_str type = type_of(key);

	if (!host_known)
		return cox_error(err, COX_PERMISSION_DENIED,
				 "host key of '%s' is not known: if its %.*s key (%s) is the right "
				 "one, add it to known_hosts in the hub's state directory",
				 name, COX_STR_ARG(type), print);
	if (!type_known)
		return cox_error(err, COX_PERMISSION_DENIED,
				 "'%s' shows a %.*s key (%s), and the known hosts have only other "
				 "kinds for it: add this one too",
				 name, COX_STR_ARG(type), print);
	return cox_error(err, COX_PERMISSION_DENIED,
			 "host key of '%s' has changed (now %.*s %s): somebody may be in between, "
			 "or the host has a new key",
			 name, COX_STR_ARG(type), print);
}

int hub_known_hosts_check(struct cox_str known_hosts, const char *host, int port,
			  struct cox_str key, struct cox_error *err)
{
	_cleanup_free_ char *name = port == 0 || port == SSH_PORT
					    ? cox_strdup(host)
					    : cox_asprintf("[%s]:%d", host, port);
	bool host_known = false, type_known = false, found = false;
	struct cox_str text;

	if (known_hosts.len > HUB_LIMIT_KNOWN_HOSTS_BYTES)
		return cox_error(err, COX_RESOURCE_EXHAUSTED,
				 "known hosts are longer than %d bytes",
				 HUB_LIMIT_KNOWN_HOSTS_BYTES);
	while (cox_str_split(&known_hosts, '\n', &text)) {
		struct line line;

		if (!parse_line(text, &line) || !names_host(line.hosts, name))
			continue;
		if (cox_str_is(line.marker, "@revoked")) {
			/* All of them are looked at: a revoked key stays revoked wherever it stands. */
			if (is_key(line.key, key))
				return cox_error(err, COX_PERMISSION_DENIED,
						 "host key of '%s' is revoked in the known hosts",
						 name);
			continue;
		}
		if (line.marker.len)
			continue;
		host_known = true;
		type_known = type_known || cox_str_eq(line.type, type_of(key));
		found = found || is_key(line.key, key);
	}
	return found ? 0 : verdict(host_known, type_known, name, key, err);
}
