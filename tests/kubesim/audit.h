/* What an API server saw, one JSON text a line: every change of an object, whoever made it
 * ({"time", "verb": create|update|delete, "object"}), and every request that may write ({"time",
 * "verb": "request", "method", "path", "query", "userAgent", "status", "body"}). Times are wall
 * clock microseconds, so that the files of several simulators can be put in one order.
 * Threads: one. */
#ifndef KUBESIM_AUDIT_H
#define KUBESIM_AUDIT_H

#include "tests/kubesim/kubesim.h"

struct cox_node;
struct ks_audit;

/* Appends to the file. */
int ks_audit_open(const char *path, struct ks_audit **ret_audit, struct cox_error *err);
/* NULL is fine here and below. */
void ks_audit_close(struct ks_audit *audit);
void ks_audit_change(struct ks_audit *audit, const char *verb, const struct cox_node *object);
void ks_audit_request(struct ks_audit *audit, const struct kubesim_request *request, int status);

#endif
