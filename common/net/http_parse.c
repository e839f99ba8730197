#include "common/net/http_parse.h"

#include "common/base/cleanup.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { MAX_METHOD = 32, MAX_EXTRA = 4096, MAX_CHUNK_DIGITS = 8 };

static int refuse(const char **ret_why, int status, const char *why)
{
	*ret_why = why;
	return status;
}

static bool is_token_char(unsigned char c)
{
	return isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (!is_token_char((unsigned char)*text))
			return false;
	return true;
}

/* Cuts the line at *at (before end) off its CR LF; NULL for a bare CR, LF or a NUL in it. */
static char *next_line(char **at, const char *end)
{
	char *line = *at;

	for (char *p = line; p + 1 < end; p++) {
		if (*p == '\r' && p[1] == '\n') {
			*p = '\0';
			*at = p + 2;
			return line;
		}
		if (*p == '\r' || *p == '\n' || *p == '\0')
			return NULL;
	}
	return NULL;
}

/* origin-form, absolute-form (of which the authority is dropped), or "*". */
static bool split_target(char *target, struct cox_http_head *head)
{
	for (const char *p = target; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || *p == '#')
			return false;
	if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
		char *slash = strchr(strstr(target, "//") + 2, '/');
		if (!slash)
			return false;
		target = slash;
	}
	if (*target != '/' && strcmp(target, "*") != 0)
		return false;
	head->path = target;
	head->query = strchr(target, '?');
	if (head->query)
		*head->query++ = '\0';
	else
		head->query = target + strlen(target);
	return true;
}

static int parse_request_line(char *line, struct cox_http_head *head, const char **ret_why)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;

	if (!version)
		return refuse(ret_why, 400, "malformed request line");
	*target++ = '\0';
	*version++ = '\0';
	if (!is_token(line) || strlen(line) > MAX_METHOD)
		return refuse(ret_why, 400, "malformed method");
	head->method = line;
	if (!split_target(target, head))
		return refuse(ret_why, 400, "malformed request target");
	if (strcmp(version, "HTTP/1.1") == 0)
		head->minor = 1;
	else if (strcmp(version, "HTTP/1.0") != 0)
		return refuse(ret_why, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	return 0;
}

static int parse_field(char *line, struct cox_http_head *head, const char **ret_why)
{
	char *colon = strchr(line, ':');

	if (!colon)
		return refuse(ret_why, 400, "header line without a colon");
	*colon = '\0';
	if (!is_token(line)) /* also an old-style continuation, and a space before the colon */
		return refuse(ret_why, 400, "malformed header name");
	char *value = colon + 1 + strspn(colon + 1, " \t");
	char *end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	for (const char *p = value; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return refuse(ret_why, 400, "control character in a header");
	if (head->n_fields == COX_HTTP_MAX_HEADERS)
		return refuse(ret_why, 431, "too many headers");
	head->fields[head->n_fields++] = (struct cox_http_field){line, value};
	return 0;
}

static size_t count(const struct cox_http_head *head, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < head->n_fields; i++)
		n += strcasecmp(head->fields[i].name, name) == 0;
	return n;
}

static int64_t parse_length(const char *text)
{
	int64_t value = 0;
	size_t n = strlen(text);

	if (n == 0 || n > 18 || strspn(text, "0123456789") != n)
		return -1;
	for (; *text; text++)
		value = value * 10 + (*text - '0');
	return value;
}

static int judge_length(struct cox_http_head *head, const char **ret_why)
{
	const char *length = cox_http_head_get(head, "content-length");
	const char *coding = cox_http_head_get(head, "transfer-encoding");

	head->content_length = -1;
	if (length && coding)
		return refuse(ret_why, 400, "both Content-Length and Transfer-Encoding");
	if (count(head, "content-length") > 1 || count(head, "transfer-encoding") > 1)
		return refuse(ret_why, 400, "the length of the body is given twice");
	if (length && (head->content_length = parse_length(length)) < 0)
		return refuse(ret_why, 400, "malformed Content-Length");
	if (!coding)
		return 0;
	if (head->minor == 0)
		return refuse(ret_why, 400, "Transfer-Encoding in HTTP/1.0");
	if (strcasecmp(coding, "chunked") != 0)
		return refuse(ret_why, 501, "only the chunked transfer coding is known");
	head->chunked = true;
	return 0;
}

static int judge_connection(struct cox_http_head *head, const char **ret_why)
{
	const char *connection = cox_http_head_get(head, "connection");
	const char *expect = cox_http_head_get(head, "expect");
	size_t n_hosts = count(head, "host");

	if (n_hosts > 1 || (n_hosts == 0 && head->minor == 1))
		return refuse(ret_why, 400, "exactly one Host header is needed");
	head->keep_alive = head->minor == 1 ? !cox_http_has_token(connection, "close")
					    : cox_http_has_token(connection, "keep-alive");
	if (expect && head->minor == 1) {
		if (strcasecmp(expect, "100-continue") != 0)
			return refuse(ret_why, 417, "unknown expectation");
		head->expects_continue = true;
	}
	return 0;
}

int cox_http_head_parse(char *text, size_t n, struct cox_http_head *ret_head, const char **ret_why)
{
	char *at = text, *line;
	const char *end = text + n;
	int status;

	ret_head->n_fields = 0;
	ret_head->minor = 0;
	ret_head->chunked = ret_head->keep_alive = ret_head->expects_continue = false;
	line = next_line(&at, end);
	if (!line)
		return refuse(ret_why, 400, "malformed line end");
	status = parse_request_line(line, ret_head, ret_why);
	while (!status) {
		line = next_line(&at, end);
		if (!line)
			return refuse(ret_why, 400, "malformed line end");
		if (!*line)
			break;
		status = parse_field(line, ret_head, ret_why);
	}
	if (!status && at != end)
		return refuse(ret_why, 400, "text after the head");
	if (!status)
		status = judge_length(ret_head, ret_why);
	if (!status)
		status = judge_connection(ret_head, ret_why);
	return status;
}

const char *cox_http_head_get(const struct cox_http_head *head, const char *name)
{
	for (size_t i = 0; i < head->n_fields; i++)
		if (strcasecmp(head->fields[i].name, name) == 0)
			return head->fields[i].value;
	return NULL;
}

bool cox_http_has_token(const char *value, const char *token)
{
	struct cox_str rest = cox_str(value), part;

	while (value && cox_str_split(&rest, ',', &part)) {
		part = cox_str_trim(part);
		if (part.len == strlen(token) && strncasecmp(part.ptr, token, part.len) == 0)
			return true;
	}
	return false;
}

/* ---- chunks ---- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The line with a size is over. */
static int begin_data(struct cox_http_chunks *c, size_t max_body, size_t body_len)
{
	if (c->n_digits == 0)
		return -400;
	if (c->left > max_body - body_len)
		return -413;
	c->n_digits = 0;
	c->state = c->left ? COX_CHUNK_DATA : COX_CHUNK_TRAILER;
	return 0;
}

/* One byte of anything but data. */
static int step(struct cox_http_chunks *c, char byte, size_t max_body, size_t body_len)
{
	int digit;

	switch (c->state) {
	case COX_CHUNK_SIZE:
		digit = hex_value(byte);
		if (digit >= 0) {
			if (++c->n_digits > MAX_CHUNK_DIGITS)
				return -413;
			c->left = c->left * 16 + (unsigned)digit;
			return 0;
		}
		if (byte == '\r')
			c->state = COX_CHUNK_SIZE_LF;
		else if (byte == ';' && c->n_digits)
			c->state = COX_CHUNK_EXTENSION;
		else
			return -400;
		return 0;
	case COX_CHUNK_EXTENSION:
		if (byte == '\r')
			c->state = COX_CHUNK_SIZE_LF;
		else if ((unsigned char)byte < ' ' && byte != '\t')
			return -400;
		return ++c->n_extra > MAX_EXTRA ? -400 : 0;
	case COX_CHUNK_SIZE_LF:
		return byte == '\n' ? begin_data(c, max_body, body_len) : -400;
	case COX_CHUNK_DATA_CR:
		c->state = COX_CHUNK_DATA_LF;
		return byte == '\r' ? 0 : -400;
	case COX_CHUNK_DATA_LF:
		c->state = COX_CHUNK_SIZE;
		return byte == '\n' ? 0 : -400;
	case COX_CHUNK_TRAILER:
		c->state = byte == '\r' ? COX_CHUNK_END_LF : COX_CHUNK_TRAILER_TEXT;
		return byte == '\n' ? -400 : 0;
	case COX_CHUNK_TRAILER_TEXT:
		if (byte == '\r')
			c->state = COX_CHUNK_TRAILER_LF;
		else if ((unsigned char)byte < ' ' && byte != '\t')
			return -400;
		return ++c->n_extra > MAX_EXTRA ? -400 : 0;
	case COX_CHUNK_TRAILER_LF:
		c->state = COX_CHUNK_TRAILER;
		return byte == '\n' ? 0 : -400;
	case COX_CHUNK_END_LF:
		c->state = COX_CHUNK_DONE;
		return byte == '\n' ? 0 : -400;
	case COX_CHUNK_DATA:
	case COX_CHUNK_DONE:
		break;
	}
	return -400;
}

ssize_t cox_http_chunks_feed(struct cox_http_chunks *chunks, const char *bytes, size_t n,
			     size_t max_body, struct cox_buf *body)
{
	size_t i = 0;

	while (i < n && chunks->state != COX_CHUNK_DONE) {
		if (chunks->state == COX_CHUNK_DATA) {
			size_t take = n - i < chunks->left ? n - i : (size_t)chunks->left;
			cox_buf_add(body, bytes + i, take);
			i += take;
			chunks->left -= take;
			if (chunks->left == 0)
				chunks->state = COX_CHUNK_DATA_CR;
			continue;
		}
		int r = step(chunks, bytes[i++], max_body, body->len);
		if (r < 0)
			return r;
	}
	return (ssize_t)i;
}
