/* The store in SQLite: one table a kind of row, one writing thread with group commit. */
#include "common/base/file.h"
#include "common/base/rand.h"
#include "common/crypto/aead.h"
#include "common/crypto/digest.h"
#include "common/db/db.h"
#include "hub/store/batch.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TABLE(name)                                                                                \
	"CREATE TABLE " name                                                                       \
	"(key TEXT PRIMARY KEY NOT NULL, body BLOB NOT NULL, sealed INTEGER NOT NULL) STRICT;"

static const struct cox_db_migration migrations[] = {
	{"tables", TABLE("meta") TABLE("object") TABLE("token") TABLE("binding") TABLE("bundle")
			   TABLE("assignment") TABLE("report") TABLE("rollout") TABLE("history")},
	{"guard", TABLE("guard")},
};

#define SQL(table)                                                                                 \
	{                                                                                          \
		table,                                                                             \
			"INSERT INTO " table "(key, body, sealed) VALUES(?,?,?) ON CONFLICT(key) " \
			"DO UPDATE SET body = excluded.body, "                                     \
			"sealed = excluded.sealed",                                                \
			"DELETE FROM " table " WHERE key = ?",                                     \
			"SELECT body, sealed FROM " table " WHERE key = ?",                        \
			"SELECT key, body, sealed FROM " table " ORDER BY key",                    \
			"SELECT key FROM " table                                                   \
	}

static const struct {
	const char *name, *put, *del, *get, *each, *keys;
} tables[HUB_N_TABLES] = {
	[HUB_TABLE_META] = SQL("meta"),	      [HUB_TABLE_OBJECT] = SQL("object"),
	[HUB_TABLE_TOKEN] = SQL("token"),     [HUB_TABLE_BINDING] = SQL("binding"),
	[HUB_TABLE_BUNDLE] = SQL("bundle"),   [HUB_TABLE_ASSIGNMENT] = SQL("assignment"),
	[HUB_TABLE_REPORT] = SQL("report"),   [HUB_TABLE_ROLLOUT] = SQL("rollout"),
	[HUB_TABLE_HISTORY] = SQL("history"), [HUB_TABLE_GUARD] = SQL("guard"),
};

/* What waits for the writing thread, in order: a batch, or a read. */
struct request {
	struct request *next;
	struct hub_store *store;
	struct hub_batch *batch;
	enum hub_table table;
	char *key;
	void (*done)(void *arg, struct cox_buf *body, const struct cox_error *err);
	void *arg;
	struct cox_buf body;
	struct cox_error error;
	bool lost; /* came after a failure: its batch is freed and nothing more */
};

struct hub_store {
	struct cox_loop *loop;
	struct hub_store_options options;
	char *dir, *path;
	char instance[COX_UUID_TEXT];
	uint64_t epoch;
	bool is_new;
	int lock_fd;
	struct cox_sealer *sealer; /* immutable */
	struct cox_db *reader;	   /* the loop's; for the start */
	struct hub_store_stats stats;
	pthread_t thread;
	bool has_thread;
	bool broken; /* the loop's view */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t wake;
	struct request *first, **last;
	bool stopping;
	/* finished requests for the loop, in order */
	struct request *finished, **finished_last;
	bool failed;
	struct cox_error failure;
	struct cox_task deliver;
};

/* ---- rows ---- */

static void associated(enum hub_table table, const char *key, struct cox_buf *out)
{
	cox_buf_printf(out, "%s/%s", tables[table].name, key);
}

static int body_out(const struct cox_sealer *sealer, enum hub_table table, const char *key,
		    struct cox_str stored, bool sealed, struct cox_buf *out, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf name = COX_BUF_INIT;

	if (!sealed) {
		cox_buf_puts_str(out, stored);
		return 0;
	}
	associated(table, key, &name);
	if (cox_unseal(sealer, stored, cox_buf_str(&name), out, err) < 0)
		return cox_error_wrap(err, "cannot decrypt '%s' of table '%s'", key,
				      tables[table].name);
	return 0;
}

static int row_write(struct hub_store *s, struct cox_db *db, const struct hub_row *row,
		     struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf name = COX_BUF_INIT, sealed = COX_BUF_INIT;
	struct cox_str body = {row->body.ptr ? row->body.ptr : "", row->body.len};

	if (row->gone)
		return cox_db_run(db, err, tables[row->table].del, "s", row->key);
	if (row->sealed) {
		associated(row->table, row->key, &name);
		cox_seal(s->sealer, body, cox_buf_str(&name), &sealed);
		body = cox_buf_str(&sealed);
	}
	return cox_db_run(db, err, tables[row->table].put, "sbi", row->key, body,
			  (int64_t)row->sealed);
}

static int row_read(struct cox_db *db, const struct cox_sealer *sealer, enum hub_table table,
		    const char *key, struct cox_buf *out, struct cox_error *err)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	int r = cox_stmt_begin(&q, db, tables[table].get, err);

	if (r < 0)
		return r;
	cox_stmt_bind_text(&q, 1, cox_str(key));
	r = cox_stmt_step(&q, err);
	if (r < 0)
		return r;
	if (r == 0)
		return cox_error(err, COX_NOT_FOUND, "no row '%s' in table '%s'", key,
				 tables[table].name);
	return body_out(sealer, table, key, cox_stmt_blob(&q, 0), cox_stmt_int(&q, 1) != 0, out,
			err);
}

/* ---- the writing thread ---- */

static void request_free(struct request *q)
{
	hub_batch_free(q->batch);
	free(q->key);
	cox_wipe(q->body.ptr, q->body.len);
	cox_buf_fini(&q->body);
	free(q);
}

static int epoch_check(struct hub_store *s, struct cox_db *db, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	int r = row_read(db, s->sealer, HUB_TABLE_META, "epoch", &text, err);

	if (r < 0)
		return r;
	if (strtoull(cox_buf_cstr(&text), NULL, 10) != s->epoch)
		return cox_error(
			err, COX_ABORTED,
			"another hub took over the state in '%s': its epoch is %s, ours %" PRIu64,
			s->dir, cox_buf_cstr(&text), s->epoch);
	return 0;
}

/* All batches of the list in one transaction. */
static int write_all(struct hub_store *s, struct cox_db *db, struct request *list,
		     struct cox_error *err)
{
	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;
	int r = cox_tx_begin(&tx, db, err);

	if (r == 0)
		r = epoch_check(s, db, err);
	for (struct request *q = list; q && r == 0; q = q->next)
		for (size_t i = 0; q->batch && i < q->batch->rows.n && r == 0; i++)
			r = row_write(s, db, &q->batch->rows.items[i], err);
	return r < 0 ? r : cox_tx_commit(&tx, err);
}

static bool has_rows(const struct request *list)
{
	for (; list; list = list->next)
		if (list->batch && list->batch->rows.n > 0)
			return true;
	return false;
}

static void hand_over(struct hub_store *s, struct request *list, const struct cox_error *failure)
{
	pthread_mutex_lock(&s->mutex);
	if (failure) {
		s->failed = true;
		s->failure = *failure;
	}
	*s->finished_last = list;
	while (*s->finished_last)
		s->finished_last = &(*s->finished_last)->next;
	pthread_mutex_unlock(&s->mutex);
	cox_loop_send(s->loop, &s->deliver);
}

static void list_free(struct request *list)
{
	while (list) {
		struct request *next = list->next;

		request_free(list);
		list = next;
	}
}

static struct request *take(struct hub_store *s)
{
	struct request *list;

	pthread_mutex_lock(&s->mutex);
	while (!s->first && !s->stopping)
		pthread_cond_wait(&s->wake, &s->mutex);
	list = s->first;
	s->first = NULL;
	s->last = &s->first;
	pthread_mutex_unlock(&s->mutex);
	return list;
}

static void *writer(void *arg)
{
	struct hub_store *s = arg;
	struct cox_error err = COX_ERROR_INIT;
	_cleanup_db_ struct cox_db *db = NULL;
	int r = cox_db_open(s->path, migrations, COX_ARRAY_LEN(migrations), &db, &err);
	struct request *list;

	if (r < 0)
		hand_over(s, NULL, &err);
	while ((list = take(s))) {
		if (r == 0 && has_rows(list))
			r = write_all(s, db, list, &err);
		if (r < 0) {
			/* Nothing after a failure is written: order is part of the promise. What
			 * the batches hold is the loop's, and so is its end. */
			for (struct request *q = list; q; q = q->next) {
				q->lost = true;
				q->error = err;
			}
			hand_over(s, list, &err);
			continue;
		}
		for (struct request *q = list; q; q = q->next)
			if (!q->batch)
				row_read(db, s->sealer, q->table, q->key, &q->body, &q->error);
		hand_over(s, list, NULL);
	}
	return NULL;
}

/* ---- back on the loop ---- */

static void finish(struct hub_store *s, struct request *q)
{
	if (!q->batch) {
		if (q->error.code)
			q->done(q->arg, NULL, &q->error);
		else
			q->done(q->arg, &q->body, NULL);
		return;
	}
	if (q->lost)
		return;
	s->stats.batches++;
	s->stats.rows += q->batch->rows.n;
	COX_VEC_EACH (&q->batch->after, a)
		a->fn(a->arg);
}

static void deliver(void *arg)
{
	struct hub_store *s = arg;
	struct request *list, *next;
	struct cox_error failure;
	bool failed;

	pthread_mutex_lock(&s->mutex);
	list = s->finished;
	s->finished = NULL;
	s->finished_last = &s->finished;
	failed = s->failed;
	failure = s->failure;
	pthread_mutex_unlock(&s->mutex);
	s->stats.transactions += list && !list->lost;
	for (; list; list = next) {
		next = list->next;
		finish(s, list);
		request_free(list);
	}
	if (failed && !s->broken) {
		s->broken = true;
		s->options.on_broken(s->options.ctx, &failure);
	}
}

static void enqueue(struct hub_store *s, struct request *q)
{
	pthread_mutex_lock(&s->mutex);
	*s->last = q;
	s->last = &q->next;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
}

void hub_store_commit(struct hub_store *s, struct hub_batch *batch_taken)
{
	struct request *q = cox_new(struct request);

	q->batch = batch_taken;
	enqueue(s, q);
}

void hub_store_read(struct hub_store *s, enum hub_table table, const char *key,
		    void (*done)(void *arg, struct cox_buf *body, const struct cox_error *err),
		    void *arg)
{
	struct request *q = cox_new(struct request);

	q->table = table;
	q->key = cox_strdup(key);
	q->done = done;
	q->arg = arg;
	enqueue(s, q);
}

/* ---- opening ---- */

static int meta_put(struct cox_db *db, const char *key, const char *value, struct cox_error *err)
{
	return cox_db_run(db, err, tables[HUB_TABLE_META].put, "sbi", key, cox_str(value),
			  (int64_t)0);
}

/* Epoch and instance: made when the state is new, read otherwise; --restored raises the epoch. */
static int identify(struct hub_store *s, struct cox_db *db, struct cox_error *err)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT, instance = COX_BUF_INIT;
	_cleanup_tx_ struct cox_tx tx = COX_TX_INIT;
	char number[24];
	int r = cox_tx_begin(&tx, db, err);

	if (r < 0)
		return r;
	r = row_read(db, s->sealer, HUB_TABLE_META, "epoch", &text, err);
	if (r == -COX_NOT_FOUND) {
		s->is_new = true;
		s->epoch = 1;
		cox_uuid_new(s->instance);
		r = meta_put(db, "instance", s->instance, err);
	} else if (r == 0) {
		s->epoch = strtoull(cox_buf_cstr(&text), NULL, 10) + (s->options.restored ? 1 : 0);
		r = row_read(db, s->sealer, HUB_TABLE_META, "instance", &instance, err);
		snprintf(s->instance, sizeof(s->instance), "%s", cox_buf_cstr(&instance));
	}
	snprintf(number, sizeof(number), "%" PRIu64, s->epoch);
	if (r == 0)
		r = meta_put(db, "epoch", number, err);
	return r < 0 ? r : cox_tx_commit(&tx, err);
}

static int prepare(struct hub_store *s, struct cox_error *err)
{
	_cleanup_free_ char *lock = cox_path_join(s->dir, "lock");
	_cleanup_free_ char *key = cox_path_join(s->dir, "key");
	_cleanup_db_ struct cox_db *db = NULL;
	int r = cox_dir_make(s->dir, 0700, err);

	if (r < 0)
		return r;
	r = cox_file_lock(lock, &s->lock_fd, err);
	if (r < 0)
		return r == -COX_UNAVAILABLE
			       ? cox_error(err, COX_UNAVAILABLE,
					   "another cox-hub uses the state in '%s'", s->dir)
			       : r;
	r = cox_sealer_open(key, access(s->path, F_OK) == 0, &s->sealer, err);
	if (r < 0)
		return r;
	r = cox_db_open(s->path, migrations, COX_ARRAY_LEN(migrations), &db, err);
	if (r < 0)
		return r;
	r = identify(s, db, err);
	if (r < 0)
		return r;
	return cox_db_open_read(s->path, &s->reader, err);
}

int hub_store_open(struct cox_loop *loop, const struct hub_store_options *options,
		   struct hub_store **ret_store, struct cox_error *err)
{
	COX_CLEANUP(hub_store_free_p) struct hub_store *s = cox_new(struct hub_store);
	int r;

	s->loop = loop;
	s->options = *options;
	s->dir = cox_strdup(options->dir);
	s->path = cox_path_join(s->dir, "hub.db");
	s->lock_fd = -1;
	s->last = &s->first;
	s->finished_last = &s->finished;
	cox_task_init(&s->deliver, deliver, s);
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->wake, NULL);
	r = prepare(s, err);
	if (r < 0)
		return r;
	r = pthread_create(&s->thread, NULL, writer, s);
	if (r != 0)
		return cox_error_sys(err, r, "cannot start the store's thread");
	s->has_thread = true;
	*ret_store = TAKE(s);
	return 0;
}

void hub_store_free(struct hub_store *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->mutex);
	s->stopping = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
	if (s->has_thread)
		pthread_join(s->thread, NULL);
	cox_loop_unsend(s->loop, &s->deliver);
	list_free(s->first);
	list_free(s->finished);
	cox_db_close(s->reader);
	cox_sealer_free(s->sealer);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->mutex);
	free(s->path);
	free(s->dir);
	free(s);
}

/* ---- reading ---- */

int hub_store_each(struct hub_store *s, enum hub_table table,
		   int (*fn)(void *ctx, const char *key, struct cox_str body,
			     struct cox_error *err),
		   void *ctx, struct cox_error *err)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	_cleanup_buf_ struct cox_buf body = COX_BUF_INIT;
	int r = cox_stmt_begin(&q, s->reader, tables[table].each, err), done = 0;

	while (r >= 0 && (r = cox_stmt_step(&q, err)) > 0) {
		const char *key = cox_stmt_text(&q, 0);

		cox_buf_clear(&body);
		done = body_out(s->sealer, table, key, cox_stmt_blob(&q, 1),
				cox_stmt_int(&q, 2) != 0, &body, err);
		if (done == 0)
			done = fn(ctx, key, cox_str_n(cox_buf_cstr(&body), body.len), err);
		if (done < 0)
			return done;
	}
	return r;
}

int hub_store_keys(struct hub_store *s, enum hub_table table,
		   void (*fn)(void *ctx, const char *key), void *ctx, struct cox_error *err)
{
	_cleanup_stmt_ struct cox_stmt q = COX_STMT_INIT;
	int r = cox_stmt_begin(&q, s->reader, tables[table].keys, err);

	while (r >= 0 && (r = cox_stmt_step(&q, err)) > 0)
		fn(ctx, cox_stmt_text(&q, 0));
	return r;
}

int hub_store_get(struct hub_store *s, enum hub_table table, const char *key, struct cox_buf *out,
		  struct cox_error *err)
{
	return row_read(s->reader, s->sealer, table, key, out, err);
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
	return s->dir;
}

void hub_store_stats(const struct hub_store *s, struct hub_store_stats *ret_stats)
{
	*ret_stats = s->stats;
}
