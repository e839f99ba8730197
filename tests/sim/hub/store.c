/* hub/store/store.h in memory, with what a crash does: batches are durable in the order of their
 * commits, each wholly or not at all; those that wait together become durable together, later on the
 * loop; their after functions run later still. A process that dies in between has neither, or the
 * rows without the functions. The rows outlive the process.
 *
 * The commits are the hub's durable steps: stats.effects counts them. */
#include "tests/sim/hub/world.h"

#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* What waits, in order: a batch, or a read. */
struct request {
	struct cox_list node;
	struct hub_batch *batch;
	char *key; /* "T/KEY" */
	void (*done)(void *arg, struct cox_buf *body, const struct cox_error *err);
	void *arg;
};

struct hub_store {
	struct cox_loop *loop;
	struct hub_store_options options;
	uint64_t epoch;
	char instance[COX_UUID_TEXT];
	bool is_new;
	struct cox_list waiting, durable; /* of requests */
	struct cox_timer write, tell;
	struct hub_store_stats stats;
};

/* The disk. */
static struct cox_map disk; /* "T/KEY" -> struct cox_buf */

static char *path_of(enum hub_table table, const char *key)
{
	return cox_asprintf("%d/%s", (int)table, key);
}

static void row_free(void *p)
{
	cox_buf_fini(p);
	free(p);
}

static void row_set(struct cox_map *map, const char *path, struct cox_str body)
{
	struct cox_buf *row = cox_new(struct cox_buf), *old;

	cox_buf_puts_str(row, body);
	old = cox_map_set(map, path, row);
	if (old)
		row_free(old);
}

static void row_drop(struct cox_map *map, const char *path)
{
	struct cox_buf *old = cox_map_remove(map, path);

	if (old)
		row_free(old);
}

static void copy(struct cox_map *to, const struct cox_map *from)
{
	cox_map_fini_values(to, row_free);
	*to = COX_MAP_INIT;
	COX_MAP_EACH (from, e)
		row_set(to, e->key, cox_buf_str(e->value));
}

struct cox_buf *sim_row(enum hub_table table, const char *key)
{
	_cleanup_free_ char *path = path_of(table, key);

	return cox_map_get(&disk, path);
}

void sim_store_backup(void)
{
	copy(&w.backup, &disk);
	w.has_backup = true;
}

void sim_store_restore(void)
{
	copy(&disk, &w.backup);
}

void sim_store_wipe(void)
{
	cox_map_fini_values(&disk, row_free);
	cox_map_fini_values(&w.backup, row_free);
	disk = w.backup = COX_MAP_INIT;
	w.has_backup = false;
}

/* ---- becoming durable ---- */

static void request_free(struct request *q)
{
	hub_batch_free(q->batch);
	free(q->key);
	free(q);
}

static void tell_one(struct request *q)
{
	_cleanup_buf_ struct cox_buf body = COX_BUF_INIT;
	struct cox_error err = COX_ERROR_INIT;
	const struct cox_buf *row;

	if (q->batch) {
		for (size_t i = 0; i < q->batch->after.n; i++)
			q->batch->after.items[i].fn(q->batch->after.items[i].arg);
		return;
	}
	row = cox_map_get(&disk, q->key);
	if (!row) {
		(void)cox_error(&err, COX_NOT_FOUND, "no such row");
		q->done(q->arg, NULL, &err);
		return;
	}
	cox_buf_puts_str(&body, cox_buf_str(row));
	q->done(q->arg, &body, NULL);
}

static void tell(void *arg)
{
	struct hub_store *s = arg;

	while (!cox_list_is_empty(&s->durable)) {
		struct request *q = COX_LIST_FIRST(&s->durable, struct request, node);

		cox_list_remove(&q->node);
		tell_one(q);
		request_free(q);
	}
	if (w.o.crash_after && w.o.late && w.stats.effects >= w.o.crash_after) {
		w.o.crash_after = 0;
		sim_hub_kill("after what waited for the commit");
	}
}

static void make_durable(const struct hub_batch *b)
{
	COX_VEC_EACH (&b->rows, r) {
		_cleanup_free_ char *path = path_of(r->table, r->key);

		if (r->gone)
			row_drop(&disk, path);
		else
			row_set(&disk, path, cox_buf_str(&r->body));
	}
	w.stats.rows += b->rows.n;
}

/* true: the process dies of it. */
static bool count_effect(void)
{
	w.stats.effects++;
	if (w.o.crash_after && !w.o.late && w.stats.effects == w.o.crash_after) {
		w.o.crash_after = 0;
		sim_hub_kill("right after a commit");
		return true;
	}
	if (sim_strikes(w.rates.hub_crash)) {
		sim_hub_kill("right after a commit");
		return true;
	}
	return false;
}

static void write_all(void *arg)
{
	struct hub_store *s = arg;
	bool wrote = false;
	struct cox_list *node;

	while ((node = s->waiting.next) != &s->waiting) {
		struct request *q = COX_LIST_ENTRY(node, struct request, node);

		cox_list_remove(&q->node);
		cox_list_append(&s->durable, &q->node);
		if (!q->batch)
			continue;
		make_durable(q->batch);
		s->stats.batches++;
		wrote = wrote || q->batch->rows.n > 0;
	}
	s->stats.transactions++;
	w.stats.commits++;
	if (!wrote || !count_effect())
		cox_timer_start(&s->tell, sim_between(&w.step_rng, 0, 1));
}

static void enqueue(struct hub_store *s, struct request *q)
{
	cox_list_init(&q->node);
	cox_list_append(&s->waiting, &q->node);
	if (!cox_timer_is_running(&s->write))
		cox_timer_start(&s->write, sim_between(&w.step_rng, 0, w.rates.store_ms));
}

/* ---- the interface ---- */

static const char *meta(const char *key, const char *value)
{
	_cleanup_free_ char *path = path_of(HUB_TABLE_META, key);
	struct cox_buf *row;

	if (value)
		row_set(&disk, path, cox_str(value));
	row = cox_map_get(&disk, path);
	return row ? cox_buf_cstr(row) : NULL;
}

int hub_store_open(struct cox_loop *loop, const struct hub_store_options *options,
		   struct hub_store **ret_store, struct cox_error *err)
{
	struct hub_store *s = cox_new(struct hub_store);
	char number[24];

	(void)err;
	s->loop = loop;
	s->options = *options;
	cox_list_init(&s->waiting);
	cox_list_init(&s->durable);
	cox_timer_init(&s->write, loop, write_all, s);
	cox_timer_init(&s->tell, loop, tell, s);
	s->is_new = !meta("epoch", NULL);
	if (s->is_new) {
		cox_uuid_new(s->instance);
		meta("instance", s->instance);
	}
	snprintf(s->instance, sizeof(s->instance), "%.36s", meta("instance", NULL));
	s->epoch = s->is_new ? 1 : strtoull(meta("epoch", NULL), NULL, 10) + options->restored;
	snprintf(number, sizeof(number), "%llu", (unsigned long long)s->epoch);
	meta("epoch", number);
	*ret_store = s;
	return 0;
}

void sim_store_abandon(struct hub_store *s)
{
	struct cox_list *const lists[] = {&s->durable, &s->waiting};
	struct cox_error err = COX_ERROR_INIT;

	(void)cox_error(&err, COX_CANCELLED, "the store is closed");
	for (size_t i = 0; i < COX_ARRAY_LEN(lists); i++)
		COX_LIST_EACH(lists[i], node)
		{
			struct request *q = COX_LIST_ENTRY(node, struct request, node);

			if (q->batch)
				continue;
			cox_list_remove(&q->node);
			q->done(q->arg, NULL, &err);
			request_free(q);
		}
}

/* What waits is lost, as it is when a process is killed. */
void hub_store_free(struct hub_store *s)
{
	if (!s)
		return;
	cox_timer_stop(&s->write);
	cox_timer_stop(&s->tell);
	COX_LIST_EACH(&s->waiting, node)
	request_free(COX_LIST_ENTRY(node, struct request, node));
	COX_LIST_EACH(&s->durable, node)
	request_free(COX_LIST_ENTRY(node, struct request, node));
	free(s);
}

uint64_t hub_store_epoch(const struct hub_store *s)
{
	return s->epoch;
}

const char *hub_store_instance(const struct hub_store *s)
{
	return s->instance;
}

bool hub_store_is_new(const struct hub_store *s)
{
	return s->is_new;
}

const char *hub_store_dir(const struct hub_store *s)
{
	(void)s;
	return "/nonexistent";
}

static int by_key(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys of a table, sorted; each the caller's. */
static void keys_of(enum hub_table table, cox_strings *ret)
{
	char prefix[8];
	size_t n = (size_t)snprintf(prefix, sizeof(prefix), "%d/", (int)table);

	COX_MAP_EACH (&disk, e)
		if (strncmp(e->key, prefix, n) == 0)
			cox_vec_push(ret, cox_strdup(e->key + n));
	cox_vec_sort(ret, by_key);
}

void sim_rows_each(enum hub_table table,
		   void (*fn)(void *ctx, const char *key, struct cox_str body), void *ctx)
{
	COX_CLEANUP(cox_strings_fini) cox_strings keys = {0};

	keys_of(table, &keys);
	COX_VEC_EACH (&keys, key)
		fn(ctx, *key, cox_buf_str(sim_row(table, *key)));
}

int hub_store_each(struct hub_store *s, enum hub_table table,
		   int (*fn)(void *ctx, const char *key, struct cox_str body,
			     struct cox_error *err),
		   void *ctx, struct cox_error *err)
{
	COX_CLEANUP(cox_strings_fini) cox_strings keys = {0};

	(void)s;
	keys_of(table, &keys);
	COX_VEC_EACH (&keys, key) {
		struct cox_buf *row = sim_row(table, *key);
		int r = fn(ctx, *key, cox_str_n(cox_buf_cstr(row), row->len), err);

		if (r < 0)
			return r;
	}
	return 0;
}

int hub_store_keys(struct hub_store *s, enum hub_table table,
		   void (*fn)(void *ctx, const char *key), void *ctx, struct cox_error *err)
{
	COX_CLEANUP(cox_strings_fini) cox_strings keys = {0};

	(void)s;
	(void)err;
	keys_of(table, &keys);
	COX_VEC_EACH (&keys, key)
		fn(ctx, *key);
	return 0;
}

int hub_store_get(struct hub_store *s, enum hub_table table, const char *key, struct cox_buf *out,
		  struct cox_error *err)
{
	struct cox_buf *row = sim_row(table, key);

	(void)s;
	if (!row)
		return cox_error(err, COX_NOT_FOUND, "no row '%s'", key);
	cox_buf_puts_str(out, cox_buf_str(row));
	return 0;
}

void hub_store_commit(struct hub_store *s, struct hub_batch *batch_taken)
{
	struct request *q;

	if (w.dead) {
		hub_batch_free(batch_taken);
		return;
	}
	sim_check_commit(batch_taken);
	q = cox_new(struct request);
	q->batch = batch_taken;
	enqueue(s, q);
}

void hub_store_read(struct hub_store *s, enum hub_table table, const char *key,
		    void (*done)(void *arg, struct cox_buf *body, const struct cox_error *err),
		    void *arg)
{
	struct request *q = cox_new(struct request);

	q->key = path_of(table, key);
	q->done = done;
	q->arg = arg;
	enqueue(s, q);
}

void hub_store_stats(const struct hub_store *s, struct hub_store_stats *ret_stats)
{
	*ret_stats = s->stats;
}
