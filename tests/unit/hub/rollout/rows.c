#include "tests/unit/hub/rollout/rows.h"

#include "common/doc/json.h"

static void put(void *ctx, const char *name, const struct cox_node *node)
{
	struct rows *k = ctx;
	struct cox_buf text = COX_BUF_INIT;

	if (!node) {
		free(cox_map_remove(&k->text, name));
		k->n_gone++;
		return;
	}
	cox_json_write(&text, node);
	k->n_written++;
	k->n_bytes += text.len;
	free(cox_map_set(&k->text, name, cox_buf_take(&text)));
}

static void keep(struct rows *k, struct cox_rollout *r, bool all)
{
	k->n_written = k->n_bytes = k->n_gone = 0;
	cox_rollout_keep(r, all, put, k);
}

void rows_write(struct rows *k, struct cox_rollout *r)
{
	keep(k, r, false);
}

void rows_write_all(struct rows *k, struct cox_rollout *r)
{
	keep(k, r, true);
}

int rows_read(const struct rows *k, struct cox_rollout **ret_rollout, struct cox_error *err)
{
	COX_CLEANUP(cox_rollout_reader_free_p)
	struct cox_rollout_reader *reader = cox_rollout_reader_new();

	COX_MAP_EACH (&k->text, slot) {
		_cleanup_doc_ struct cox_doc *doc = NULL;
		int e = cox_json_read(cox_str(slot->value), slot->key, &doc, err);

		if (e == 0)
			e = cox_rollout_read(reader, slot->key, cox_doc_root(doc), err);
		if (e < 0)
			return e;
	}
	return cox_rollout_read_end(reader, ret_rollout, err);
}

/* The first row of one that is not the same in the other; NULL: none. */
static char *missing(const struct rows *a, const struct rows *b, const char *what)
{
	COX_MAP_EACH (&a->text, slot) {
		const char *other = cox_map_get(&b->text, slot->key);

		/* Nobody was ever barred: there is no row of it, or an empty one. */
		if (!other && strcmp(slot->value, "[]") == 0)
			continue;
		if (!cox_streq(slot->value, other))
			return cox_asprintf("row '%s' %s: %s instead of %s", slot->key, what,
					    other ? other : "nothing", (char *)slot->value);
	}
	return NULL;
}

char *rows_differ(const struct rows *k, struct cox_rollout *r)
{
	struct rows all = {0};
	char *text;

	rows_write_all(&all, r);
	text = missing(&all, k, "was not written");
	if (!text)
		text = missing(k, &all, "was left");
	rows_fini(&all);
	return text;
}

char *rows_reload(struct rows *k, struct cox_rollout **r)
{
	struct cox_error err = COX_ERROR_INIT;
	struct cox_rollout *copy = NULL;
	char *text;

	rows_write(k, *r);
	text = rows_differ(k, *r);
	if (text)
		return text;
	if (rows_read(k, &copy, &err) < 0)
		return cox_strdup(err.message);
	text = rows_differ(k, copy);
	cox_rollout_go_on(copy, *r);
	cox_rollout_free(*r);
	*r = copy;
	return text;
}

int rows_restart(struct rows *k, struct cox_rollout **r, struct cox_error *err)
{
	struct cox_rollout *copy = NULL;
	int e = rows_read(k, &copy, err);

	if (e < 0)
		return e;
	cox_rollout_free(*r);
	*r = copy;
	return 0;
}

void rows_fini(struct rows *k)
{
	cox_map_fini_values(&k->text, free);
	*k = (struct rows){0};
}
