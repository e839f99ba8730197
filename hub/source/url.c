#include "common/base/mem.h"
#include "hub/source/source.h"

#include <ctype.h>
#include <strings.h>

void hub_url_fini(struct hub_url *u)
{
	free(u->user);
	free(u->host);
	free(u->path);
	free(u->clean);
	*u = (struct hub_url){0};
}

/* The text is not shown when it may hold a password. */
static int bad(struct cox_error *err, const char *what)
{
	return cox_error(err, COX_INVALID_ARGUMENT, "repository URL %s", what);
}

static bool is_host_character(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

static int parse_port(struct cox_str text, int *ret_port, struct cox_error *err)
{
	int port = 0;

	if (text.len == 0 || text.len > 5)
		return bad(err, "has a bad port");
	for (size_t i = 0; i < text.len; i++) {
		if (!isdigit((unsigned char)text.ptr[i]))
			return bad(err, "has a bad port");
		port = port * 10 + (text.ptr[i] - '0');
	}
	if (port < 1 || port > 65535)
		return bad(err, "has a bad port");
	*ret_port = port;
	return 0;
}

static int take_host(struct hub_url *u, struct cox_str host, struct cox_error *err)
{
	bool six = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';

	if (six)
		host = cox_str_n(host.ptr + 1, host.len - 2);
	if (host.len == 0 || host.len > 253 || host.ptr[0] == '-' || host.ptr[0] == '.')
		return bad(err, "has no proper host");
	for (size_t i = 0; i < host.len; i++)
		if (!(six ? isxdigit((unsigned char)host.ptr[i]) || host.ptr[i] == ':' ||
				      host.ptr[i] == '.'
			  : is_host_character(host.ptr[i])))
			return bad(err, "has no proper host");
	u->host = cox_str_dup(host);
	for (char *p = u->host; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return 0;
}

static int take_user(struct hub_url *u, struct cox_str user, struct cox_error *err)
{
	if (u->scheme == HUB_URL_HTTPS)
		return bad(err, "must not hold a user or password: put them into the "
				"repository's credentials");
	if (user.len == 0 || user.ptr[0] == '-')
		return bad(err, "has no proper user");
	for (size_t i = 0; i < user.len; i++) {
		if (user.ptr[i] == ':')
			return bad(err, "must not hold a password: put it into the repository's "
					"credentials");
		if (!is_host_character(user.ptr[i]) && !strchr("+=@~", user.ptr[i]))
			return bad(err, "has no proper user");
	}
	u->user = cox_str_dup(user);
	return 0;
}

/* [user@]host[:port] */
static int take_authority(struct hub_url *u, struct cox_str text, struct cox_error *err)
{
	const char *at = text.len ? memrchr(text.ptr, '@', text.len) : NULL;
	const char *colon;
	int r;

	if (at) {
		r = take_user(u, cox_str_n(text.ptr, (size_t)(at - text.ptr)), err);
		if (r < 0)
			return r;
		text = cox_str_n(at + 1, text.len - (size_t)(at + 1 - text.ptr));
	}
	colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
	if (colon && !memchr(colon, ']', text.len - (size_t)(colon - text.ptr))) {
		r = parse_port(cox_str_n(colon + 1, text.len - (size_t)(colon + 1 - text.ptr)),
			       &u->port, err);
		if (r < 0)
			return r;
		text.len = (size_t)(colon - text.ptr);
	}
	return take_host(u, text, err);
}

static int take_path(struct hub_url *u, struct cox_str path, struct cox_error *err)
{
	while (path.len > 1 && path.ptr[path.len - 1] == '/')
		path.len--;
	if (path.len == 0 || (path.len == 1 && path.ptr[0] == '/'))
		return bad(err, "names no repository");
	/* A query may carry a token, and no Git server needs one. */
	if (u->scheme == HUB_URL_HTTPS &&
	    (memchr(path.ptr, '?', path.len) || memchr(path.ptr, '#', path.len)))
		return bad(err, "must not have a query or a fragment");
	u->path = cox_str_dup(path);
	return 0;
}

static char *compose(const struct hub_url *u)
{
	static const char *const schemes[] = {
		[HUB_URL_HTTPS] = "https", [HUB_URL_SSH] = "ssh", [HUB_URL_FILE] = "file"};
	struct cox_buf text = COX_BUF_INIT;
	bool six = u->host && strchr(u->host, ':');

	if (u->path[0] == '/')
		cox_buf_printf(&text, "%s://", schemes[u->scheme]);
	if (u->user)
		cox_buf_printf(&text, "%s@", u->user);
	if (u->host)
		cox_buf_printf(&text, "%s%s%s", six ? "[" : "", u->host, six ? "]" : "");
	if (u->port)
		cox_buf_printf(&text, ":%d", u->port);
	if (u->path[0] != '/')
		cox_buf_putc(&text, ':');
	cox_buf_puts(&text, u->path);
	return cox_buf_take(&text);
}

static int parse_with_scheme(struct hub_url *u, struct cox_str rest, struct cox_error *err)
{
	const char *slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
	struct cox_str authority =
		cox_str_n(rest.ptr, slash ? (size_t)(slash - rest.ptr) : rest.len);
	int r = 0;

	if (u->scheme == HUB_URL_FILE) {
		if (authority.len)
			return bad(err, "of a file must be 'file:///path'");
	} else {
		r = take_authority(u, authority, err);
	}
	if (r < 0)
		return r;
	return take_path(u, cox_str_n(slash ? slash : "", rest.len - authority.len), err);
}

/* user@host:path, as ssh's friends write it; a path without '/' in front is relative to the user's
 * home there, which only this form can say. */
static int parse_scp(struct hub_url *u, struct cox_str text, struct cox_error *err)
{
	const char *colon = memchr(text.ptr, ':', text.len);
	int r;

	u->scheme = HUB_URL_SSH;
	/* "helper::address" is Git's way to run a program. */
	if (cox_str_starts(cox_str_n(colon, text.len - (size_t)(colon - text.ptr)), "::"))
		return bad(err, "must not name a remote helper");
	r = take_authority(u, cox_str_n(text.ptr, (size_t)(colon - text.ptr)), err);
	if (r < 0)
		return r;
	return take_path(u, cox_str_n(colon + 1, text.len - (size_t)(colon + 1 - text.ptr)), err);
}

static bool looks_like_scp(struct cox_str text)
{
	const char *colon = memchr(text.ptr, ':', text.len);
	const char *slash = memchr(text.ptr, '/', text.len);

	return colon && (!slash || colon < slash);
}

static int parse(struct hub_url *u, struct cox_str text, struct cox_error *err)
{
	static const struct {
		const char *prefix;
		enum hub_url_scheme scheme;
	} schemes[] = {
		{"https://", HUB_URL_HTTPS},
		{"ssh://", HUB_URL_SSH},
		{"git+ssh://", HUB_URL_SSH},
		{"file://", HUB_URL_FILE},
	};

	for (size_t i = 0; i < COX_ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i].prefix);

		if (text.len < n || strncasecmp(text.ptr, schemes[i].prefix, n) != 0)
			continue;
		u->scheme = schemes[i].scheme;
		return parse_with_scheme(u, cox_str_n(text.ptr + n, text.len - n), err);
	}
	if (text.len && memmem(text.ptr, text.len, "://", 3))
		return bad(err,
			   "must begin with https://, ssh:// or (where that is allowed) file://");
	if (text.len && looks_like_scp(text))
		return parse_scp(u, text, err);
	return bad(err, "must begin with https:// or ssh://, or read user@host:path");
}

int hub_url_parse(const char *text, struct hub_url *ret_url, struct cox_error *err)
{
	struct cox_str s = cox_str(text);
	struct hub_url u = {0};
	int r;

	if (s.len == 0)
		return bad(err, "is empty");
	if (s.len > HUB_LIMIT_URL_BYTES)
		return bad(err, "is too long");
	if (s.ptr[0] == '-')
		return bad(err, "begins with '-'");
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] <= 0x20 || s.ptr[i] == 0x7f || s.ptr[i] == '\\')
			return bad(err, "has a space, a backslash or a control character");
	if (!cox_utf8_valid(s, NULL))
		return bad(err, "is not UTF-8");
	r = parse(&u, s, err);
	if (r < 0) {
		hub_url_fini(&u);
		return r;
	}
	u.clean = compose(&u);
	*ret_url = u;
	return 0;
}

/* The part of a path that counts: without '/' at either end and ".git" at the end. */
static struct cox_str core(const char *path)
{
	struct cox_str s = cox_str(path);

	while (s.len && s.ptr[0] == '/') {
		s.ptr++;
		s.len--;
	}
	if (cox_str_ends(s, ".git"))
		s.len -= 4;
	return s;
}

bool hub_url_same(const char *a, const char *b)
{
	struct hub_url x = {0}, y = {0};
	bool same = false;

	/* What cannot be parsed is equal to nothing but itself. */
	if (hub_url_parse(a, &x, NULL) < 0 || hub_url_parse(b, &y, NULL) < 0)
		same = strcmp(a, b) == 0;
	else
		same = x.scheme == y.scheme && x.port == y.port && cox_streq(x.host, y.host) &&
		       cox_streq(x.user, y.user) && cox_str_eq(core(x.path), core(y.path));
	hub_url_fini(&x);
	hub_url_fini(&y);
	return same;
}
