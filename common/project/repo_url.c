#include "common/project/repo_url.h"

#include "common/base/buf.h"

#include <ctype.h>

static void put_lower(struct cox_buf *out, struct cox_str s)
{
	for (size_t i = 0; i < s.len; i++)
		cox_buf_putc(out, (char)tolower((unsigned char)s.ptr[i]));
}

static struct cox_str without_user(struct cox_str host)
{
	const char *at = host.len ? memrchr(host.ptr, '@', host.len) : NULL;

	if (!at)
		return host;
	return (struct cox_str){at + 1, host.len - (size_t)(at + 1 - host.ptr)};
}

static struct cox_str trim_path(struct cox_str path)
{
	while (path.len && path.ptr[path.len - 1] == '/')
		path.len--;
	if (cox_str_ends(path, ".git"))
		path.len -= 4;
	while (path.len && path.ptr[0] == '/') {
		path.ptr++;
		path.len--;
	}
	return path;
}

char *cox_repo_url_normal(const char *url)
{
	struct cox_str rest = cox_str_trim(cox_str(url)), host;
	const char *scheme_end = rest.len ? memmem(rest.ptr, rest.len, "://", 3) : NULL;
	struct cox_buf out = COX_BUF_INIT;

	if (scheme_end) {
		struct cox_str scheme = {rest.ptr, (size_t)(scheme_end - rest.ptr)};

		rest = (struct cox_str){scheme_end + 3, rest.len - scheme.len - 3};
		put_lower(&out, scheme);
		cox_buf_puts(&out, "://");
		cox_str_split(&rest, '/', &host);
	} else if (rest.len && memchr(rest.ptr, ':', rest.len) && rest.ptr[0] != '/') {
		cox_buf_puts(&out, "ssh://");
		cox_str_split(&rest, ':', &host);
	} else {
		cox_buf_puts_str(&out, rest);
		while (out.len > 1 && out.ptr[out.len - 1] == '/')
			out.ptr[--out.len] = 0;
		return cox_buf_take(&out);
	}
	put_lower(&out, without_user(host));
	cox_buf_putc(&out, '/');
	cox_buf_puts_str(&out, trim_path(rest));
	return cox_buf_take(&out);
}
