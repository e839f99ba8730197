/* What is wrong with a document: a list of problems, each with its place, so that a person sees all
 * of them at once. An error makes the object unusable; a warning (an unknown field, a value that
 * means nothing) does not. Job-local. */
#ifndef COX_HUB_MODEL_PROBLEM_H
#define COX_HUB_MODEL_PROBLEM_H

#include "common/base/error.h"
#include "common/base/vec.h"
#include "common/doc/doc.h"

#include <stdbool.h>
#include <stdint.h>

enum hub_severity { HUB_ERROR, HUB_WARNING };

struct hub_problem {
	enum hub_severity severity;
	char *file;
	uint32_t line, column; /* 0: not known */
	char *message;	       /* "spec.source.repoURL: must not be empty" */
};

struct hub_problems {
	COX_VEC(struct hub_problem) list;
	size_t n_errors;
};

void hub_problems_fini(struct hub_problems *p);
#define _cleanup_problems_ __attribute__((cleanup(hub_problems_fini)))

/* At node's position in doc; past 1,000 problems only the counter grows. */
void hub_problem_add(struct hub_problems *p, enum hub_severity severity, const struct cox_doc *doc,
		     const struct cox_node *node, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void hub_problem_add_at(struct hub_problems *p, enum hub_severity severity, const char *file,
			uint32_t line, uint32_t column, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* "file:line:column: message", appended. */
void hub_problem_print(struct cox_buf *out, const struct hub_problem *problem);

/* The first error as `err`, COX_INVALID_ARGUMENT, with "(and N more)"; 0 when there is none. */
int hub_problems_error(const struct hub_problems *p, struct cox_error *err);

#endif
