/* A hierarchical timer wheel without ticks: seven levels of 64 slots, 1 ms at the lowest, so that
 * it reaches 2^42 ms of uptime. Start and stop are O(1), advancing costs what expires plus at most
 * six moves a timer; bitmaps say when the next thing happens, so nobody wakes for an empty slot.
 * After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7.
 * Time is a parameter. Threads: whatever the owner's are. Private to this room. */
#ifndef COX_RUN_WHEEL_H
#define COX_RUN_WHEEL_H

#include "common/run/loop.h"

enum { COX_WHEEL_LEVELS = 7, COX_WHEEL_BITS = 6, COX_WHEEL_SLOTS = 1 << COX_WHEEL_BITS };

struct cox_wheel {
	int64_t now_ms; /* every timer due at or before it has been handed out */
	uint64_t used[COX_WHEEL_LEVELS];
	struct cox_list slots[COX_WHEEL_LEVELS][COX_WHEEL_SLOTS];
	struct cox_list due; /* expired, to be taken by cox_wheel_take */
};

void cox_wheel_init(struct cox_wheel *wheel, int64_t now_ms);
/* timer->due_ms is set; the timer is in no wheel. One that is due already
 * expires a millisecond after now_ms, so that a timer that restarts itself cannot starve others. */
void cox_wheel_add(struct cox_wheel *wheel, struct cox_timer *timer);
void cox_wheel_remove(struct cox_wheel *wheel, struct cox_timer *timer);
/* Moves what is due at now_ms to the due list, in order of time by the millisecond. A clock that
 * goes back is ignored. */
void cox_wheel_advance(struct cox_wheel *wheel, int64_t now_ms);
/* The first due timer, which is in no wheel afterwards; NULL when there is none. */
struct cox_timer *cox_wheel_take(struct cox_wheel *wheel);
/* When to advance next: never later than the first timer is due; INT64_MAX when there is none. */
int64_t cox_wheel_next_ms(const struct cox_wheel *wheel);

#endif
