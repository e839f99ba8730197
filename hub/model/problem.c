#include "hub/model/problem.h"

#include "common/base/buf.h"

#include <stdarg.h>

#define MAX_PROBLEMS 1000

void hub_problems_fini(struct hub_problems *p)
{
	COX_VEC_EACH (&p->list, it) {
		free(it->file);
		free(it->message);
	}
	cox_vec_fini(&p->list);
	p->n_errors = 0;
}

static void add(struct hub_problems *p, struct hub_problem problem)
{
	if (problem.severity == HUB_ERROR)
		p->n_errors++;
	if (p->list.n < MAX_PROBLEMS) {
		cox_vec_push(&p->list, problem);
		return;
	}
	free(problem.file);
	free(problem.message);
}

static char *format_message(const char *format, va_list args)
{
	struct cox_buf text = COX_BUF_INIT;

	cox_buf_vprintf(&text, format, args);
	return cox_buf_take(&text);
}

void hub_problem_add(struct hub_problems *p, enum hub_severity severity, const struct cox_doc *doc,
		     const struct cox_node *node, const char *format, ...)
{
	struct hub_problem problem = {.severity = severity,
				      .file = cox_strdup(cox_doc_name(doc)),
				      .line = cox_node_line(node),
				      .column = cox_node_column(node)};
	va_list args;

	va_start(args, format);
	problem.message = format_message(format, args);
	va_end(args);
	add(p, problem);
}

void hub_problem_add_at(struct hub_problems *p, enum hub_severity severity, const char *file,
			uint32_t line, uint32_t column, const char *format, ...)
{
	struct hub_problem problem = {
		.severity = severity, .file = cox_strdup(file), .line = line, .column = column};
	va_list args;

	va_start(args, format);
	problem.message = format_message(format, args);
	va_end(args);
	add(p, problem);
}

void hub_problem_print(struct cox_buf *out, const struct hub_problem *problem)
{
	cox_buf_puts(out, problem->file);
	if (problem->line)
		cox_buf_printf(out, ":%u:%u", problem->line, problem->column);
	cox_buf_printf(out, ": %s", problem->message);
}

int hub_problems_error(const struct hub_problems *p, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (p->n_errors == 0)
		return 0;
	COX_VEC_EACH (&p->list, it) {
		if (it->severity != HUB_ERROR)
			continue;
		hub_problem_print(&text, it);
		break;
	}
	if (p->n_errors > 1)
		cox_buf_printf(&text, " (and %zu more)", p->n_errors - 1);
	return cox_error(err, COX_INVALID_ARGUMENT, "%s", cox_buf_cstr(&text));
}
