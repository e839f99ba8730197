#include "hub/model/gate_secret.h"

#include "common/base/encode.h"
#include "hub/model/view.h"

#include <strings.h>

#define HTTPS_PORT "443"

bool hub_is_gate_secret(const struct cox_node *object)
{
	return cox_streq(hub_object_label(object, HUB_OUR_SECRET_TYPE_LABEL), HUB_GATE_CREDENTIALS);
}

/* ---- hosts ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_host_char(char c, bool bracketed)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
	       (c == '-' && !bracketed) || (c == ':' && bracketed);
}

/* 1 to 65535, without a leading zero: one spelling of a port. */
static bool is_port(struct cox_str text)
{
	long port = 0;

	if (text.len == 0 || text.len > 5 || text.ptr[0] == '0')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_digit(text.ptr[i]))
			return false;
		port = port * 10 + (text.ptr[i] - '0');
	}
	return port <= 65535;
}

int hub_gate_host(struct cox_str authority, char **ret_host, struct cox_error *err)
{
	bool bracketed = cox_str_starts(authority, "[");
	size_t n = bracketed ? 1 : 0;
	struct cox_str port = COX_STR(HTTPS_PORT);
	char *host;

	while (n < authority.len && is_host_char(authority.ptr[n], bracketed))
		n++;
	if (bracketed && n < authority.len && authority.ptr[n] == ']')
		n++;
	else if (bracketed)
		n = 0;
	if (n > 0 && n < authority.len && authority.ptr[n] == ':')
		port = cox_str_n(authority.ptr + n + 1, authority.len - n - 1);
	else if (n < authority.len)
		n = 0;
	if (n == 0 || !is_port(port))
		return cox_error(err, COX_INVALID_ARGUMENT, "is no HOST or HOST:PORT");
	host = cox_asprintf("%.*s:%.*s", (int)n, authority.ptr, COX_STR_ARG(port));
	for (char *c = host; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	*ret_host = host;
	return 0;
}

int hub_gate_secret_check_url(const struct hub_gate_secret *secret, const char *url,
			      struct cox_error *err)
{
	_cleanup_free_ char *host = NULL;
	const char *begin = url + strlen("https://");

	if (strncmp(url, "https://", strlen("https://")) != 0)
		return cox_error(err, COX_PERMISSION_DENIED, "secret '%s' is sent with https alone",
				 secret->name);
	if (hub_gate_host(cox_str_n(begin, strcspn(begin, "/?#")), &host, err) < 0)
		return cox_error_wrap(err, "the URL's host");
	for (size_t i = 0; i < secret->hosts.n; i++)
		if (strcmp(secret->hosts.items[i], host) == 0)
			return 0;
	return cox_error(err, COX_PERMISSION_DENIED,
			 "secret '%s' may not be sent to '%s': its `hosts` do not name it",
			 secret->name, host);
}

static int read_hosts(struct hub_gate_secret *s, const char *text, struct cox_error *err)
{
	static const char separators[] = " \t\r\n,";

	for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
		size_t n = strcspn(text, separators);
		char *host = NULL;

		if (hub_gate_host(cox_str_n(text, n), &host, err) < 0)
			return cox_error_wrap(err, "hosts: number %zu", s->hosts.n + 1);
		cox_vec_push(&s->hosts, host);
		text += n;
	}
	if (s->hosts.n == 0)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "hosts: must name where it may be sent to");
	if (s->hosts.n > HUB_MAX_GATE_HOSTS)
		return cox_error(err, COX_INVALID_ARGUMENT, "hosts: at most %d",
				 HUB_MAX_GATE_HOSTS);
	return 0;
}

/* ---- headers ---- */

bool hub_is_header_name(struct cox_str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c && strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return name.len > 0;
}

static bool is_printable(struct cox_str text)
{
	for (size_t i = 0; i < text.len; i++)
		if (((unsigned char)text.ptr[i] < ' ' && text.ptr[i] != '\t') ||
		    text.ptr[i] == 0x7f)
			return false;
	return true;
}

static int read_header(struct hub_gate_secret *s, struct cox_str line, size_t number,
		       struct cox_error *err)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	struct cox_str name = cox_str_n(line.ptr, colon ? (size_t)(colon - line.ptr) : 0), value;

	if (!hub_is_header_name(name))
		return cox_error(err, COX_INVALID_ARGUMENT, "headers: line %zu is no 'Name: value'",
				 number);
	value = cox_str_trim(cox_str_n(colon + 1, line.len - name.len - 1));
	if (value.len == 0 || !is_printable(value) || line.len > HUB_MAX_GATE_VALUE)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "headers: the value of '%.*s' is empty, longer than %d bytes, or "
				 "not printable",
				 COX_STR_ARG(name), HUB_MAX_GATE_VALUE);
	if (strncasecmp(name.ptr, "Host", name.len) == 0 && name.len == 4)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "headers: 'Host' would send it to another one than `hosts` says");
	if (s->headers.n == HUB_MAX_GATE_HEADERS)
		return cox_error(err, COX_INVALID_ARGUMENT, "headers: at most %d",
				 HUB_MAX_GATE_HEADERS);
	cox_vec_push(&s->headers,
		     cox_asprintf("%.*s: %.*s", COX_STR_ARG(name), COX_STR_ARG(value)));
	return 0;
}

static int read_headers(struct hub_gate_secret *s, const char *text, struct cox_error *err)
{
	struct cox_str rest = cox_str(text), line;

	for (size_t n = 1; cox_str_split(&rest, '\n', &line); n++) {
		line = cox_str_trim(line);
		if (line.len > 0 && read_header(s, line, n, err) < 0)
			return -err->code;
	}
	return 0;
}

static bool gives_authorization(const struct hub_gate_secret *s)
{
	for (size_t i = 0; i < s->headers.n; i++)
		if (strncasecmp(s->headers.items[i], "Authorization:", 14) == 0)
			return true;
	return false;
}

/* ---- the whole ---- */

static int check_value(const char *key, const char *value, struct cox_error *err)
{
	if (strlen(value) > HUB_MAX_GATE_VALUE)
		return cox_error(err, COX_INVALID_ARGUMENT, "%s: longer than %d bytes", key,
				 HUB_MAX_GATE_VALUE);
	if (!is_printable(cox_str(value)))
		return cox_error(err, COX_INVALID_ARGUMENT, "%s: must be one printable line", key);
	return 0;
}

static int check_together(const struct hub_gate_secret *s, struct cox_error *err)
{
	int n = (*s->bearer_token != 0) + (*s->username != 0) + gives_authorization(s);
	int r = check_value("bearerToken", s->bearer_token, err);

	if (r == 0)
		r = check_value("username", s->username, err);
	if (r == 0)
		r = check_value("password", s->password, err);
	if (r < 0)
		return r;
	if (n > 1)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "one of bearerToken, username, and an Authorization among the "
				 "headers");
	if (!*s->username != !*s->password)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "username and password belong together");
	if (strchr(s->username, ':'))
		return cox_error(err, COX_INVALID_ARGUMENT, "username: has a ':'");
	if (n == 0 && s->headers.n == 0 && !*s->ca)
		return cox_error(err, COX_INVALID_ARGUMENT,
				 "needs a bearerToken, a username with its password, headers, or a "
				 "ca.crt");
	return 0;
}

/* White space around a value, as a file's last line end, is none of it. */
static char *value_of(const struct cox_node *object, const char *key)
{
	char *raw = hub_view_secret(object, key), *value = cox_str_dup(cox_str_trim(cox_str(raw)));

	explicit_bzero(raw, strlen(raw));
	free(raw);
	return value;
}

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

int hub_gate_secret_read(struct hub_gate_secret *secret, const struct cox_node *object,
			 struct cox_error *err)
{
	char *hosts = value_of(object, "hosts"), *headers = value_of(object, "headers");
	struct hub_gate_secret s = {
		.name = cox_strdup(hub_object_name(object)),
		.bearer_token = value_of(object, "bearerToken"),
		.username = value_of(object, "username"),
		.password = value_of(object, "password"),
		.ca = value_of(object, "ca.crt"),
	};
	int r = read_hosts(&s, hosts, err);

	if (r == 0)
		r = read_headers(&s, headers, err);
	if (r == 0)
		r = check_together(&s, err);
	free(hosts);
	wipe(headers);
	if (r < 0) {
		hub_gate_secret_fini(&s);
		return r;
	}
	*secret = s;
	return 0;
}

void hub_gate_secret_fini(struct hub_gate_secret *secret)
{
	for (size_t i = 0; i < secret->headers.n; i++)
		explicit_bzero(secret->headers.items[i], strlen(secret->headers.items[i]));
	cox_strings_fini(&secret->headers);
	cox_strings_fini(&secret->hosts);
	wipe(secret->bearer_token);
	wipe(secret->username);
	wipe(secret->password);
	wipe(secret->ca);
	free(secret->name);
	*secret = (struct hub_gate_secret){0};
}
