#include "common/run/wheel.h"

#include "common/base/mem.h"

enum { LEVEL_DUE = 0xff }; /* of a timer in the due list */

static const int64_t REACH_MS = (INT64_C(1) << (COX_WHEEL_LEVELS * COX_WHEEL_BITS)) - 1;

void cox_wheel_init(struct cox_wheel *wheel, int64_t now_ms)
{
	*wheel = (struct cox_wheel){.now_ms = now_ms};
	cox_list_init(&wheel->due);
	for (int level = 0; level < COX_WHEEL_LEVELS; level++)
		for (int slot = 0; slot < COX_WHEEL_SLOTS; slot++)
			cox_list_init(&wheel->slots[level][slot]);
}

/* Level is the highest group of six bits in which the time differs from now; all groups above are
 * equal, so within a level every used slot is ahead of the current one and nothing wraps. */
static void place(struct cox_wheel *wheel, struct cox_timer *timer, int64_t at_ms)
{
	uint64_t differs = (uint64_t)(at_ms ^ wheel->now_ms);
	int level = (63 - __builtin_clzll(differs)) / COX_WHEEL_BITS;
	int slot = (at_ms >> (level * COX_WHEEL_BITS)) & (COX_WHEEL_SLOTS - 1);

	timer->level = level;
	timer->slot = slot;
	cox_list_append(&wheel->slots[level][slot], &timer->node);
	wheel->used[level] |= UINT64_C(1) << slot;
}

void cox_wheel_add(struct cox_wheel *wheel, struct cox_timer *timer)
{
	int64_t at_ms = timer->due_ms > REACH_MS ? REACH_MS : timer->due_ms;

	place(wheel, timer, at_ms > wheel->now_ms ? at_ms : wheel->now_ms + 1);
}

void cox_wheel_remove(struct cox_wheel *wheel, struct cox_timer *timer)
{
	cox_list_remove(&timer->node);
	if (timer->level != LEVEL_DUE &&
	    cox_list_is_empty(&wheel->slots[timer->level][timer->slot]))
		wheel->used[timer->level] &= ~(UINT64_C(1) << timer->slot);
}

static void make_due(struct cox_wheel *wheel, struct cox_timer *timer)
{
	timer->level = LEVEL_DUE;
	cox_list_append(&wheel->due, &timer->node);
}

/* The earliest used slot is the first one of the lowest level that has any: all of a level lies
 * within the current slot of the level above. */
static int64_t next_slot(const struct cox_wheel *wheel, int *ret_level, int *ret_slot)
{
	for (int level = 0; level < COX_WHEEL_LEVELS; level++) {
		if (!wheel->used[level])
			continue;
		int shift = level * COX_WHEEL_BITS;
		int slot = __builtin_ctzll(wheel->used[level]);
		int64_t above = wheel->now_ms >> (shift + COX_WHEEL_BITS);
		*ret_level = level;
		*ret_slot = slot;
		return ((above << COX_WHEEL_BITS) | slot) << shift;
	}
	return INT64_MAX;
}

void cox_wheel_advance(struct cox_wheel *wheel, int64_t now_ms)
{
	int level = 0, slot = 0;
	int64_t at_ms;

	while ((at_ms = next_slot(wheel, &level, &slot)) <= now_ms) {
		wheel->now_ms = at_ms;
		wheel->used[level] &= ~(UINT64_C(1) << slot);
		COX_LIST_EACH(&wheel->slots[level][slot], node)
		{
			struct cox_timer *timer = COX_LIST_ENTRY(node, struct cox_timer, node);
			cox_list_remove(node);
			if (level == 0 || timer->due_ms <= at_ms)
				make_due(wheel, timer);
			else
				cox_wheel_add(wheel, timer);
		}
	}
	if (now_ms > wheel->now_ms)
		wheel->now_ms = now_ms;
}

struct cox_timer *cox_wheel_take(struct cox_wheel *wheel)
{
	struct cox_timer *timer = COX_LIST_FIRST(&wheel->due, struct cox_timer, node);

	if (timer)
		cox_list_remove(&timer->node);
	return timer;
}

int64_t cox_wheel_next_ms(const struct cox_wheel *wheel)
{
	int level = 0, slot = 0;

	if (!cox_list_is_empty(&wheel->due))
		return wheel->now_ms;
	return next_slot(wheel, &level, &slot);
}
