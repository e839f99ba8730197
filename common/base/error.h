/* One value for every failure: a code out of gRPC's list, the system's errno where there was one,
 * and a sentence. 256 bytes, no heap, so that it can live on any stack.
 *
 * A fallible function takes `struct cox_error *err` last (NULL: the caller does not care), returns
 * 0 when done, a positive named outcome where its header says so, and -code on failure; its other
 * outputs are untouched then. Fail in one line:
 *
 *	return cox_error(err, COX_NOT_FOUND, "no cluster '%s'", name);
 *
 * Messages: lower case, what failed first, no full stop, the subject in single quotes. A library
 * returns its error, a shell logs it: one failure, one line. Third-party errors are translated at
 * their door, on the thread that failed. The same code serves the wire, HTTP, metrics, conditions.
 */
#ifndef COX_BASE_ERROR_H
#define COX_BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/* gRPC's status codes (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
enum cox_code {
	COX_OK = 0,
	COX_CANCELLED = 1,
	COX_UNKNOWN = 2,
	COX_INVALID_ARGUMENT = 3,
	COX_DEADLINE_EXCEEDED = 4,
	COX_NOT_FOUND = 5,
	COX_ALREADY_EXISTS = 6,
	COX_PERMISSION_DENIED = 7,
	COX_RESOURCE_EXHAUSTED = 8,
	COX_FAILED_PRECONDITION = 9,
	COX_ABORTED = 10,
	COX_OUT_OF_RANGE = 11,
	COX_UNIMPLEMENTED = 12,
	COX_INTERNAL = 13,
	COX_UNAVAILABLE = 14,
	COX_DATA_LOSS = 15,
	COX_UNAUTHENTICATED = 16,
};

struct cox_error {
	int32_t code; /* enum cox_code */
	int32_t sys;  /* errno, or 0 */
	char message[248];
};

#define COX_ERROR_INIT ((struct cox_error){0})

/* Fills err (when not NULL) and returns -code. Too long a message ends in "...". */
int cox_error(struct cox_error *err, enum cox_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));

/* As cox_error, with ": " and the text of sys appended; the code comes from sys (ENOENT is
 * COX_NOT_FOUND, EACCES is COX_PERMISSION_DENIED, …). */
int cox_error_sys(struct cox_error *err, int sys, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));

/* Puts "context: " before the message that err holds; returns -err->code, for
 * `return cox_error_wrap(err, "cannot load '%s'", path);`. With err NULL returns -COX_UNKNOWN. */
int cox_error_wrap(struct cox_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3), cold));

/* "NotFound"-like lower-snake name of a code ("not_found"); "code_N" is never returned: unknown
 * codes are "unknown". Static storage. */
const char *cox_code_name(int code);

/* The code by that name, COX_UNKNOWN if there is none. */
enum cox_code cox_code_parse(const char *name);

/* The HTTP status that says the same (google.rpc.Code's mapping), and back. */
int cox_code_to_http(int code);
enum cox_code cox_code_from_http(int status);
enum cox_code cox_code_from_errno(int sys);

/* Whether trying the same again later may succeed. */
bool cox_code_is_transient(int code);

#endif
