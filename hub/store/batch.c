#include "hub/store/batch.h"

struct hub_batch *hub_batch_new(void)
{
	return cox_new(struct hub_batch);
}

void hub_batch_free(struct hub_batch *b)
{
	if (!b)
		return;
	COX_VEC_EACH (&b->rows, r) {
		free(r->key);
		cox_buf_fini(&r->body);
	}
	cox_vec_fini(&b->rows);
	COX_VEC_EACH (&b->after, a)
		if (a->free_arg)
			a->free_arg(a->arg);
	cox_vec_fini(&b->after);
	free(b);
}

static void put(struct hub_batch *b, enum hub_table table, const char *key, struct cox_str body,
		bool sealed)
{
	struct hub_row row = {.table = table, .sealed = sealed, .key = cox_strdup(key)};

	cox_buf_puts_str(&row.body, body);
	cox_vec_push(&b->rows, row);
}

void hub_batch_put(struct hub_batch *b, enum hub_table table, const char *key, struct cox_str body)
{
	put(b, table, key, body, table == HUB_TABLE_BUNDLE);
}

void hub_batch_put_sealed(struct hub_batch *b, enum hub_table table, const char *key,
			  struct cox_str body)
{
	put(b, table, key, body, true);
}

void hub_batch_delete(struct hub_batch *b, enum hub_table table, const char *key)
{
	struct hub_row row = {.table = table, .gone = true, .key = cox_strdup(key)};

	cox_vec_push(&b->rows, row);
}

void hub_batch_after(struct hub_batch *b, void (*fn)(void *arg), void *arg,
		     void (*free_arg)(void *arg))
{
	cox_vec_push(&b->after, (struct hub_after){fn, arg, free_arg});
}

bool hub_batch_is_empty(const struct hub_batch *b)
{
	return b->rows.n == 0 && b->after.n == 0;
}
