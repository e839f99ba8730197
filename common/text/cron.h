/* Schedules in the five fields of cron (minute, hour, day of the month, month, day of the week), as
 * sync windows and gates write them: `*`, `?`, `a`, `a-b`, `a,b`, steps (`*` + `/n`, `a-b/n`, `a/n`: from a to
 * the end), names of months and days; @hourly, @daily, @midnight, @weekly, @monthly, @yearly,
 * @annually. A day counts when both its fields match; when neither is `*` or `?`, one is enough.
 *
 * A local time that a change of clocks skips has no tick; one that comes twice has two.
 * Pure. Threads: immutable once parsed. */
#ifndef COX_TEXT_CRON_H
#define COX_TEXT_CRON_H

#include "common/text/zone.h"

#include <stdbool.h>

#define COX_LIMIT_CRON_BYTES 256

struct cox_cron {
	uint64_t minute, hour, day, month, weekday; /* a bit for each value that matches */
	bool any_day, any_weekday;		    /* written as a star */
};

int cox_cron_parse(struct cox_str text, struct cox_cron *ret_cron, struct cox_error *err);
/* The first tick after that moment, in seconds since 1970 UTC; INT64_MAX when there is none within
 * eight years (30 February). zone NULL: UTC. */
int64_t cox_cron_next(const struct cox_cron *cron, const struct cox_zone *zone, int64_t after_s);

/* Whether the moment is within duration_s of a tick: from the tick on, the end excluded. *ret_edge_s
 * (may be NULL) is a later moment until which the answer stays as it is; there it may be another. */
bool cox_cron_is_within(const struct cox_cron *cron, const struct cox_zone *zone,
			int64_t duration_s, int64_t now_s, int64_t *ret_edge_s);

#endif
