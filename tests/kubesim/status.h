/* Answers, and the Status objects that say what went wrong, with the API server's own reasons and
 * words. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 * Threads: job-local. */
#ifndef KUBESIM_STATUS_H
#define KUBESIM_STATUS_H

#include "common/doc/doc.h"

/* status under 400: done, and body is the object, a reference of the reader's. Otherwise body is a
 * Status. */
struct ks_reply {
	int status;
	struct cox_doc *body;
};

/* What a message calls a kind: group "" for core. */
struct ks_names {
	const char *group, *kind, *resource;
};

struct ks_cause {
	const char *reason; /* "FieldValueInvalid" */
	char *message;
	char *field;
};

struct ks_causes {
	struct ks_cause *items;
	size_t n, cap;
};
void ks_causes_fini(struct ks_causes *causes);
#define _cleanup_causes_ COX_CLEANUP(ks_causes_fini)
void ks_cause_add(struct ks_causes *causes, const char *reason, const char *field,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

struct ks_reply ks_fail(int code, const char *reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with an empty `details`, as some refusals have it. */
struct ks_reply ks_fail_bare(int code, const char *reason, const char *message);
/* With details: name and kind. `kind` is the resource's name for most, the kind's for some. */
struct ks_reply ks_fail_named(int code, const char *reason, const struct ks_names *names,
			      const char *kind, const char *name, const struct ks_causes *causes,
			      const char *format, ...) __attribute__((format(printf, 7, 8)));
struct ks_reply ks_fail_not_found(const struct ks_names *names, const char *name);
struct ks_reply ks_fail_exists(const struct ks_names *names, const char *name);
struct ks_reply ks_fail_conflict(const struct ks_names *names, const char *name,
				 const char *message);
/* 422; message and causes from the list, which has at least one. */
struct ks_reply ks_fail_invalid(const struct ks_names *names, const char *name,
				const struct ks_causes *causes);
struct ks_reply ks_ok(int status, struct cox_doc *body);

#endif
