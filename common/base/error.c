#include "common/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int http;
} codes[] = {
	[COX_OK] = {"ok", 200},
	[COX_CANCELLED] = {"cancelled", 499},
	[COX_UNKNOWN] = {"unknown", 500},
	[COX_INVALID_ARGUMENT] = {"invalid_argument", 400},
	[COX_DEADLINE_EXCEEDED] = {"deadline_exceeded", 504},
	[COX_NOT_FOUND] = {"not_found", 404},
	[COX_ALREADY_EXISTS] = {"already_exists", 409},
	[COX_PERMISSION_DENIED] = {"permission_denied", 403},
	[COX_RESOURCE_EXHAUSTED] = {"resource_exhausted", 429},
	[COX_FAILED_PRECONDITION] = {"failed_precondition", 412},
	[COX_ABORTED] = {"aborted", 409},
	[COX_OUT_OF_RANGE] = {"out_of_range", 416},
	[COX_UNIMPLEMENTED] = {"unimplemented", 501},
	[COX_INTERNAL] = {"internal", 500},
	[COX_UNAVAILABLE] = {"unavailable", 503},
	[COX_DATA_LOSS] = {"data_loss", 500},
	[COX_UNAUTHENTICATED] = {"unauthenticated", 401},
};
#define N_CODES ((int)(sizeof(codes) / sizeof(codes[0])))

static const struct {
	int sys;
	enum cox_code code;
} systems[] = {
	{ENOENT, COX_NOT_FOUND},
	{ENOTDIR, COX_NOT_FOUND},
	{EACCES, COX_PERMISSION_DENIED},
	{EPERM, COX_PERMISSION_DENIED},
	{EROFS, COX_PERMISSION_DENIED},
	{EEXIST, COX_ALREADY_EXISTS},
	{EINVAL, COX_INVALID_ARGUMENT},
	{ENAMETOOLONG, COX_INVALID_ARGUMENT},
	{ENOMEM, COX_RESOURCE_EXHAUSTED},
	{ENOSPC, COX_RESOURCE_EXHAUSTED},
	{EDQUOT, COX_RESOURCE_EXHAUSTED},
	{EMFILE, COX_RESOURCE_EXHAUSTED},
	{ENFILE, COX_RESOURCE_EXHAUSTED},
	{EFBIG, COX_RESOURCE_EXHAUSTED},
	{ETIMEDOUT, COX_DEADLINE_EXCEEDED},
	{ECANCELED, COX_CANCELLED},
	{EAGAIN, COX_UNAVAILABLE},
	{EBUSY, COX_UNAVAILABLE},
	{ECONNREFUSED, COX_UNAVAILABLE},
	{ECONNRESET, COX_UNAVAILABLE},
	{EPIPE, COX_UNAVAILABLE},
	{EHOSTUNREACH, COX_UNAVAILABLE},
	{ENETUNREACH, COX_UNAVAILABLE},
	{EADDRINUSE, COX_ALREADY_EXISTS},
	{EIO, COX_DATA_LOSS},
	{ELOOP, COX_FAILED_PRECONDITION},
	{ENOSYS, COX_UNIMPLEMENTED},
};

static void mark_cut(char *message, size_t size, int wanted)
{
	if (wanted >= (int)size)
		memcpy(message + size - 4, "...", 4);
}

__attribute__((format(printf, 4, 0))) static int fill(struct cox_error *err, enum cox_code code,
						      int sys, const char *format, va_list args)
{
	char text[sizeof(err->message)];
	int n;

	if (!err)
		return -(int)code;
	/* The arguments may point into err itself. */
	n = vsnprintf(text, sizeof(text), format, args);
	if (sys && n >= 0 && n < (int)sizeof(text))
		n += snprintf(text + n, sizeof(text) - (size_t)n, ": %s", strerror(sys));
	mark_cut(text, sizeof(text), n);
	memcpy(err->message, text, sizeof(text));
	err->code = code;
	err->sys = sys;
	return -(int)code;
}

int cox_error(struct cox_error *err, enum cox_code code, const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = fill(err, code, 0, format, args);
	va_end(args);
	return r;
}

int cox_error_sys(struct cox_error *err, int sys, const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = fill(err, cox_code_from_errno(sys), sys, format, args);
	va_end(args);
	return r;
}

int cox_error_wrap(struct cox_error *err, const char *format, ...)
{
	char text[sizeof(err->message)];
	va_list args;
	int n;

	if (!err)
		return -COX_UNKNOWN;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n >= 0 && n < (int)sizeof(text))
		n += snprintf(text + n, sizeof(text) - (size_t)n, ": %s", err->message);
	mark_cut(text, sizeof(text), n);
	memcpy(err->message, text, sizeof(text));
	return err->code ? -err->code : -COX_UNKNOWN;
}

const char *cox_code_name(int code)
{
	return code >= 0 && code < N_CODES ? codes[code].name : "unknown";
}

enum cox_code cox_code_parse(const char *name)
{
	for (int i = 0; i < N_CODES; i++)
		if (strcmp(codes[i].name, name) == 0)
			return (enum cox_code)i;
	return COX_UNKNOWN;
}

int cox_code_to_http(int code)
{
	return code >= 0 && code < N_CODES ? codes[code].http : 500;
}

enum cox_code cox_code_from_http(int status)
{
	switch (status) {
	case 400:
	case 415:
	case 422:
		return COX_INVALID_ARGUMENT;
	case 401:
		return COX_UNAUTHENTICATED;
	case 403:
		return COX_PERMISSION_DENIED;
	case 404:
	case 410:
		return COX_NOT_FOUND;
	case 408:
	case 504:
		return COX_DEADLINE_EXCEEDED;
	case 409:
		return COX_ABORTED;
	case 412:
		return COX_FAILED_PRECONDITION;
	case 413:
	case 429:
		return COX_RESOURCE_EXHAUSTED;
	case 501:
		return COX_UNIMPLEMENTED;
	case 502:
	case 503:
		return COX_UNAVAILABLE;
	default:
		break;
	}
	if (status >= 200 && status < 300)
		return COX_OK;
	return status >= 500 ? COX_INTERNAL : COX_UNKNOWN;
}

enum cox_code cox_code_from_errno(int sys)
{
	for (size_t i = 0; i < sizeof(systems) / sizeof(systems[0]); i++)
		if (systems[i].sys == sys)
			return systems[i].code;
	return COX_UNKNOWN;
}

bool cox_code_is_transient(int code)
{
	return code == COX_UNAVAILABLE || code == COX_DEADLINE_EXCEEDED || code == COX_ABORTED ||
	       code == COX_RESOURCE_EXHAUSTED;
}
