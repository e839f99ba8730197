/* Structured log lines on standard error: a constant message and fields, as logfmt text or JSON.
 *
 *	cox_log_info("assignment stored", COX_KV("app", name), COX_KV_INT("generation", g));
 *
 * Libraries return errors, shells log. Never pass a secret; a URL goes through COX_KV_URL, which
 * drops user information and query. Values are escaped, so no input can forge a line.
 * Threads: any; a line is one write(2). */
#ifndef COX_BASE_LOG_H
#define COX_BASE_LOG_H

#include "common/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum cox_log_level { COX_LOG_DEBUG, COX_LOG_INFO, COX_LOG_WARN, COX_LOG_ERROR };
enum cox_log_format { COX_LOG_TEXT, COX_LOG_JSON };

struct cox_log_field {
	const char *key;
	enum { COX_FIELD_STRING = 0, COX_FIELD_INT, COX_FIELD_URL } kind;
	const char *text;
	int64_t number;
};

#define COX_KV(k, v)	 ((struct cox_log_field){.key = (k), .text = (v)})
#define COX_KV_INT(k, v) ((struct cox_log_field){.key = (k), .kind = COX_FIELD_INT, .number = (v)})
#define COX_KV_URL(k, v) ((struct cox_log_field){.key = (k), .kind = COX_FIELD_URL, .text = (v)})
#define COX_KV_ERROR(e)	 ((struct cox_log_field){.key = "error", .text = (e)->message})

/* Before the first thread starts. program names the process in each line ("cox-hub"). */
void cox_log_init(const char *program, enum cox_log_level level, enum cox_log_format format);
int cox_log_level_parse(const char *name, enum cox_log_level *ret_level, struct cox_error *err);
int cox_log_format_parse(const char *name, enum cox_log_format *ret_format, struct cox_error *err);
bool cox_log_enabled(enum cox_log_level level);
void cox_log_write(enum cox_log_level level, const char *message,
		   const struct cox_log_field *fields);

#define cox_log(level, message, ...)                                                               \
	do {                                                                                       \
		if (cox_log_enabled(level))                                                        \
			cox_log_write(level, message,                                              \
				      (const struct cox_log_field[]){                              \
					      __VA_ARGS__ __VA_OPT__(, ){.key = NULL}});           \
	} while (0)
#define cox_log_debug(message, ...) cox_log(COX_LOG_DEBUG, message __VA_OPT__(, ) __VA_ARGS__)
#define cox_log_info(message, ...)  cox_log(COX_LOG_INFO, message __VA_OPT__(, ) __VA_ARGS__)
#define cox_log_warn(message, ...)  cox_log(COX_LOG_WARN, message __VA_OPT__(, ) __VA_ARGS__)
#define cox_log_error(message, ...) cox_log(COX_LOG_ERROR, message __VA_OPT__(, ) __VA_ARGS__)

/* A URL as it may be shown: without user information, query and fragment. The caller's. */
char *cox_url_redact(const char *url);

#endif
