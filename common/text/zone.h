/* Time zones by their IANA names ("Europe/Paris"), from the system's TZif files (RFC 8536), so that
 * a schedule keeps its local hour when clocks change. After the last change that a file lists, its
 * footer's rule ("CET-1CEST,M3.5.0,M10.5.0/3") goes on.
 * Threads: immutable once opened; opening reads a file. */
#ifndef COX_TEXT_ZONE_H
#define COX_TEXT_ZONE_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"

#include <stdint.h>

#define COX_LIMIT_ZONE_BYTES (64 * 1024)
#define COX_ZONE_FOLDER	     "/usr/share/zoneinfo"

struct cox_zone;

/* "" and "UTC" need no file. COX_NOT_FOUND when the system has no zone of that name;
 * COX_INVALID_ARGUMENT for a name that could be no zone's. */
int cox_zone_open(const char *name, struct cox_zone **ret_zone, struct cox_error *err);
/* The same from the bytes of a file. */
int cox_zone_read(struct cox_str bytes, struct cox_zone **ret_zone, struct cox_error *err);
void cox_zone_free(struct cox_zone *zone);
DEFINE_CLEANUP(struct cox_zone *, cox_zone_free);

/* Seconds east of UTC at that moment (seconds since 1970 UTC). *ret_until (may be NULL) is the first
 * moment after it at which that may be another number; INT64_MAX: never. NULL is UTC. */
int32_t cox_zone_offset(const struct cox_zone *zone, int64_t utc_s, int64_t *ret_until);

#endif
