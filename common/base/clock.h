/* Time. Durations and deadlines are milliseconds of the monotonic clock; the wall clock is for
 * certificates and for people. Pure rooms never call this: they take `now_ms` as a parameter. */
#ifndef COX_BASE_CLOCK_H
#define COX_BASE_CLOCK_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdint.h>

/* CLOCK_MONOTONIC. */
int64_t cox_clock_ms(void);
int64_t cox_clock_us(void);
/* Milliseconds since 1970-01-01 UTC. */
int64_t cox_clock_wall_ms(void);
int64_t cox_clock_wall_us(void);

#define COX_TIME_TEXT_MAX 32
/* RFC 3339 in UTC, to the second ("2026-01-02T03:04:05Z"), as Kubernetes writes it. */
void cox_time_format(int64_t wall_ms, char ret_text[COX_TIME_TEXT_MAX]);
/* The same with microseconds ("…05.678901Z"): MicroTime. */
void cox_time_format_micro(int64_t wall_us, char ret_text[COX_TIME_TEXT_MAX]);
/* RFC 3339 with any offset and fraction. */
int cox_time_parse(struct cox_str text, int64_t *ret_wall_ms, struct cox_error *err);

/* Go's duration syntax ("1h30m", "500ms", "-2s", "0"), https://pkg.go.dev/time#ParseDuration;
 * below a millisecond is cut off. */
int cox_duration_parse(struct cox_str text, int64_t *ret_ms, struct cox_error *err);
/* "1h30m0s"-like, as Go prints it. */
void cox_duration_format(int64_t ms, char ret_text[COX_TIME_TEXT_MAX]);
/* For people: "5s", "3m12s", "2h5m", "4d3h". */
void cox_duration_human(int64_t ms, char ret_text[COX_TIME_TEXT_MAX]);

#endif
