#include "common/base/log.h"
#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <stdio.h>
#include <unistd.h>

static struct {
	const char *program;
	enum cox_log_level level;
	enum cox_log_format format;
} settings = {"cox", COX_LOG_INFO, COX_LOG_TEXT};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"text", "json"};

void cox_log_init(const char *program, enum cox_log_level level, enum cox_log_format format)
{
	settings.program = program;
	settings.level = level;
	settings.format = format;
}

int cox_log_level_parse(const char *name, enum cox_log_level *ret_level, struct cox_error *err)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(level_names); i++) {
		if (strcmp(level_names[i], name) == 0) {
			*ret_level = (enum cox_log_level)i;
			return 0;
		}
	}
	return cox_error(err, COX_INVALID_ARGUMENT,
			 "no log level '%s': expected debug, info, warn or error", name);
}

int cox_log_format_parse(const char *name, enum cox_log_format *ret_format, struct cox_error *err)
{
	for (size_t i = 0; i < COX_ARRAY_LEN(format_names); i++) {
		if (strcmp(format_names[i], name) == 0) {
			*ret_format = (enum cox_log_format)i;
			return 0;
		}
	}
	return cox_error(err, COX_INVALID_ARGUMENT, "no log format '%s': expected text or json",
			 name);
}

bool cox_log_enabled(enum cox_log_level level)
{
	return level >= settings.level;
}

static void put_quoted(struct cox_buf *b, const char *s)
{
	cox_buf_putc(b, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			cox_buf_printf(b, "\\%c", c);
		else if (c == '\n')
			cox_buf_puts(b, "\\n");
		else if (c == '\t')
			cox_buf_puts(b, "\\t");
		else if (c < 0x20 || c == 0x7f)
			cox_buf_printf(b, "\\u%04x", c);
		else
			cox_buf_putc(b, (char)c);
	}
	cox_buf_putc(b, '"');
}

static void put_plain_or_quoted(struct cox_buf *b, const char *s)
{
	if (*s && !strpbrk(s, " \"=\\") && cox_utf8_valid(cox_str(s), NULL)) {
		const char *p = s;

		while ((unsigned char)*p > 0x20 && *p != 0x7f)
			p++;
		if (!*p) {
			cox_buf_puts(b, s);
			return;
		}
	}
	put_quoted(b, s);
}

static void put_field(struct cox_buf *b, const struct cox_log_field *f)
{
	_cleanup_free_ char *shown = NULL;
	const char *text = f->text ? f->text : "";

	if (settings.format == COX_LOG_JSON) {
		cox_buf_putc(b, ',');
		put_quoted(b, f->key);
		cox_buf_putc(b, ':');
	} else {
		cox_buf_printf(b, " %s=", f->key);
	}
	if (f->kind == COX_FIELD_INT) {
		cox_buf_printf(b, "%lld", (long long)f->number);
		return;
	}
	if (f->kind == COX_FIELD_URL)
		text = shown = cox_url_redact(text);
	if (settings.format == COX_LOG_JSON)
		put_quoted(b, text);
	else
		put_plain_or_quoted(b, text);
}

void cox_log_write(enum cox_log_level level, const char *message,
		   const struct cox_log_field *fields)
{
	_cleanup_buf_ struct cox_buf line = COX_BUF_INIT;
	char now[COX_TIME_TEXT_MAX];

	cox_time_format_micro(cox_clock_wall_ms() * 1000, now);
	if (settings.format == COX_LOG_JSON) {
		cox_buf_printf(&line,
			       "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"message\":",
			       now, level_names[level], settings.program);
		put_quoted(&line, message);
	} else {
		cox_buf_printf(&line, "%s %-5s %s: %s", now, level_names[level], settings.program,
			       message);
	}
	for (; fields && fields->key; fields++)
		put_field(&line, fields);
	cox_buf_puts(&line, settings.format == COX_LOG_JSON ? "}\n" : "\n");
	/* A log that cannot be written has nowhere to say so. */
	(void)!write(STDERR_FILENO, line.ptr, line.len);
}

char *cox_url_redact(const char *url)
{
	const char *host = strstr(url, "://"), *end, *at = NULL;
	_cleanup_buf_ struct cox_buf b = COX_BUF_INIT;

	host = host ? host + 3 : url;
	end = host + strcspn(host, "/?#");
	for (const char *p = host; p < end; p++)
		if (*p == '@')
			at = p;
	/* git@host:path has a user that is no secret, and no scheme. */
	if (host == url)
		at = NULL;
	cox_buf_add(&b, url, (size_t)(host - url));
	if (at)
		host = at + 1;
	cox_buf_add(&b, host, strcspn(host, "?#"));
	return cox_buf_take(&b);
}
