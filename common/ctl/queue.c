#include "common/ctl/queue.h"

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/rand.h"

enum item_state { ITEM_IDLE, ITEM_READY, ITEM_BUSY };

struct item {
	struct cox_queue *queue;
	char *key;
	enum item_state state;
	bool again; /* added while busy */
	unsigned failures;
	struct cox_list node;	/* in ready, while READY */
	struct cox_timer timer; /* when to become READY by itself */
};

struct cox_queue {
	struct cox_loop *loop;
	struct cox_queue_options options;
	struct cox_map items;
	struct cox_list ready;
	struct cox_task turn;
	struct cox_rng rng;
	size_t n_ready, n_busy, n_delayed;
	uint64_t looks, retries;
};

static void item_free(void *p)
{
	struct item *it = p;

	cox_timer_stop(&it->timer);
	free(it->key);
	free(it);
}

static void make_ready(struct item *it)
{
	struct cox_queue *q = it->queue;

	if (cox_timer_is_running(&it->timer)) {
		cox_timer_stop(&it->timer);
		q->n_delayed--;
	}
	if (it->state == ITEM_BUSY)
		it->again = true;
	if (it->state != ITEM_IDLE)
		return;
	it->state = ITEM_READY;
	cox_list_append(&q->ready, &it->node);
	q->n_ready++;
	cox_loop_send(q->loop, &q->turn);
}

static void due(void *arg)
{
	struct item *it = arg;

	it->queue->n_delayed--;
	make_ready(it);
}

static struct item *item_of(struct cox_queue *q, const char *key)
{
	struct item *it = cox_map_get(&q->items, key);

	if (it)
		return it;
	it = cox_new(struct item);
	it->queue = q;
	it->key = cox_strdup(key);
	cox_list_init(&it->node);
	cox_timer_init(&it->timer, q->loop, due, it);
	cox_map_set(&q->items, key, it);
	return it;
}

/* An item that nobody waits for is not kept. */
static void drop_if_idle(struct item *it)
{
	if (it->state != ITEM_IDLE || it->failures > 0 || cox_timer_is_running(&it->timer))
		return;
	cox_map_remove(&it->queue->items, it->key);
	item_free(it);
}

static void delay(struct item *it, int64_t delay_ms)
{
	if (cox_timer_is_running(&it->timer)) {
		if (cox_timer_left_ms(&it->timer) <= delay_ms)
			return;
	} else {
		it->queue->n_delayed++;
	}
	cox_timer_start(&it->timer, delay_ms);
}

/* The one place where a look ends. */
static void ended(struct item *it, enum cox_queue_result result)
{
	struct cox_queue *q = it->queue;
	bool again = it->again;

	q->n_busy--;
	it->state = ITEM_IDLE;
	it->again = false;
	if (result == COX_QUEUE_RETRY) {
		q->retries++;
		delay(it, q->options.base_ms / 2 + cox_backoff_ms(&q->rng, q->options.base_ms,
								  q->options.max_ms, it->failures));
		if (it->failures < 30)
			it->failures++;
	} else {
		it->failures = 0;
	}
	if (again)
		make_ready(it);
	else
		drop_if_idle(it);
}

static void turn(void *arg)
{
	struct cox_queue *q = arg;

	for (int i = 0; i < COX_QUEUE_BURST && !cox_list_is_empty(&q->ready); i++) {
		struct item *it = COX_LIST_FIRST(&q->ready, struct item, node);
		enum cox_queue_result result;

		cox_list_remove(&it->node);
		q->n_ready--;
		q->n_busy++;
		it->state = ITEM_BUSY;
		it->again = false;
		q->looks++;
		result = q->options.look(q->options.ctx, it->key);
		if (result != COX_QUEUE_BUSY)
			ended(it, result);
	}
	if (!cox_list_is_empty(&q->ready))
		cox_loop_send(q->loop, &q->turn);
}

struct cox_queue *cox_queue_new(struct cox_loop *loop, const struct cox_queue_options *options)
{
	struct cox_queue *q = cox_new(struct cox_queue);
	uint64_t seed = options->seed;

	q->loop = loop;
	q->options = *options;
	if (q->options.base_ms == 0)
		q->options.base_ms = 1000;
	if (q->options.max_ms == 0)
		q->options.max_ms = 5 * 60 * 1000;
	if (seed == 0)
		cox_random_bytes(&seed, sizeof(seed));
	cox_rng_init(&q->rng, seed);
	cox_list_init(&q->ready);
	cox_task_init(&q->turn, turn, q);
	return q;
}

void cox_queue_free(struct cox_queue *q)
{
	if (!q)
		return;
	cox_loop_unsend(q->loop, &q->turn);
	cox_map_fini_values(&q->items, item_free);
	free(q);
}

void cox_queue_add(struct cox_queue *q, const char *key)
{
	make_ready(item_of(q, key));
}

void cox_queue_add_after(struct cox_queue *q, const char *key, int64_t delay_ms)
{
	struct item *it = item_of(q, key);

	if (delay_ms <= 0)
		make_ready(it);
	else if (it->state != ITEM_READY)
		delay(it, delay_ms);
}

void cox_queue_done(struct cox_queue *q, const char *key, enum cox_queue_result result)
{
	struct item *it = cox_map_get(&q->items, key);

	COX_ASSERT(it && it->state == ITEM_BUSY);
	ended(it, result);
}

void cox_queue_forget(struct cox_queue *q, const char *key)
{
	struct item *it = cox_map_get(&q->items, key);

	if (!it)
		return;
	it->failures = 0;
	if (cox_timer_is_running(&it->timer)) {
		cox_timer_stop(&it->timer);
		q->n_delayed--;
	}
	drop_if_idle(it);
}

void cox_queue_stats(const struct cox_queue *q, struct cox_queue_stats *ret_stats)
{
	*ret_stats = (struct cox_queue_stats){.ready = q->n_ready,
					      .busy = q->n_busy,
					      .delayed = q->n_delayed,
					      .looks = q->looks,
					      .retries = q->retries};
}
