#include "common/net/http_request.h"

#include "common/base/encode.h"
#include "common/base/mem.h"

#include <string.h>

void cox_http_request_free(struct cox_http_request *request)
{
	if (!request)
		return;
	COX_VEC_EACH (&request->decoded, text)
		free(*text);
	cox_vec_fini(&request->decoded);
	cox_vec_fini(&request->query);
	cox_buf_fini(&request->body);
	cox_buf_fini(&request->reply_headers);
	free(request->text);
	free(request);
}

const char *cox_http_method(const struct cox_http_request *request)
{
	return request->head.method;
}

const char *cox_http_path(const struct cox_http_request *request)
{
	return request->head.path;
}

const char *cox_http_query_string(const struct cox_http_request *request)
{
	return request->head.query;
}

const char *cox_http_header(const struct cox_http_request *request, const char *name)
{
	return cox_http_head_get(&request->head, name);
}

struct cox_str cox_http_body(const struct cox_http_request *request)
{
	return cox_buf_str(&request->body);
}

/* NULL for bad encoding. Lives as long as the request. */
static char *decode(struct cox_http_request *request, struct cox_str text, bool form)
{
	struct cox_buf out = COX_BUF_INIT;

	if (cox_url_decode(&out, text, form, NULL) < 0) {
		cox_buf_fini(&out);
		return NULL;
	}
	cox_vec_push(&request->decoded, cox_buf_take(&out));
	return request->decoded.items[request->decoded.n - 1];
}

int cox_http_segments(struct cox_http_request *request, const char **ret_segments, size_t max)
{
	struct cox_str rest = cox_str(request->head.path), part;
	int n = 0;

	while (cox_str_split(&rest, '/', &part)) {
		if (part.len == 0)
			continue;
		char *text = decode(request, part, false);
		if (!text)
			return -COX_INVALID_ARGUMENT;
		if ((size_t)n < max)
			ret_segments[n] = text;
		n++;
	}
	return n;
}

/* A name or value that is badly encoded is left out. */
static void read_query(struct cox_http_request *request)
{
	struct cox_str rest = cox_str(request->head.query), part;

	while (rest.len > 0 && cox_str_split(&rest, '&', &part)) {
		const char *equals = part.len ? memchr(part.ptr, '=', part.len) : NULL;
		size_t n = equals ? (size_t)(equals - part.ptr) : part.len;
		struct cox_str value =
			equals ? cox_str_n(equals + 1, part.len - n - 1) : COX_STR("");
		char *name = decode(request, cox_str_n(part.ptr, n), true);
		char *text = decode(request, value, true);
		if (name && text)
			cox_vec_push(&request->query, (struct cox_http_field){name, text});
	}
	request->query_read = true;
}

const char *cox_http_query(struct cox_http_request *request, const char *name)
{
	if (!request->query_read)
		read_query(request);
	COX_VEC_EACH (&request->query, field) {
		if (strcmp(field->name, name) == 0)
			return field->value;
	}
	return NULL;
}

static const struct {
	int status;
	const char *text;
} status_texts[] = {
	{100, "Continue"},
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{204, "No Content"},
	{206, "Partial Content"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{422, "Unprocessable Content"},
	{428, "Precondition Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{499, "Client Closed Request"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
};

const char *cox_http_status_text(int status)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(status_texts); i++)
		if (status_texts[i].status == status)
			return status_texts[i].text;
	return "";
}
