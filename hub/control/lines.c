/* Lines of rollouts: one for each owner, the newest rollout and those before it. Who moves with it, how
 * its rollouts are kept and read back, who watches, and what is asked about them. */
#include "common/doc/json.h"
#include "hub/control/internal.h"

/* ---- lines ---- */

struct control_line *control_line(struct hub_control *c, const char *owner)
{
	struct control_line *l = cox_map_get(&c->lines, owner);

	if (l)
		return l;
	l = cox_new(struct control_line);
	l->owner = cox_strdup(owner);
	cox_map_set(&c->lines, owner, l);
	return l;
}

static void line_free(void *p)
{
	struct control_line *l = p;

	cox_rollout_free(l->current);
	COX_VEC_EACH (&l->past, r)
		cox_rollout_free(*r);
	cox_vec_fini(&l->past);
	cox_map_fini(&l->members);
	cox_map_fini(&l->news);
	free(l->next);
	free(l->owner);
	free(l);
}

void control_rollouts_fini(struct hub_control *c)
{
	cox_map_fini_values(&c->lines, line_free);
}

void control_rollout_dirty(struct hub_control *c, const char *owner)
{
	control_line(c, owner)->dirty = true;
	cox_queue_add(c->rollouts, owner);
}

void control_rollout_news(struct control_app *a)
{
	cox_map_set(&control_line(a->control, a->owner)->news, a->key, a);
	cox_queue_add(a->control->rollouts, a->owner);
}

void control_line_join(struct control_app *a)
{
	cox_map_set(&control_line(a->control, a->owner)->members, a->key, a);
	control_rollout_dirty(a->control, a->owner);
}

void control_line_leave(struct control_app *a)
{
	struct control_line *l = a->owner ? cox_map_get(&a->control->lines, a->owner) : NULL;

	if (!l || a->control->stopping)
		return;
	cox_map_remove(&l->members, a->key);
	cox_map_remove(&l->news, a->key);
	control_rollout_dirty(a->control, a->owner);
}

/* ---- keeping and loading ---- */

struct keeping {
	struct hub_batch *batch;
	const char *id;
};

/* "ID" is the head, "ID/NAME" the other rows. */
static void keep_row(void *ctx, const char *name, const struct cox_node *node)
{
	const struct keeping *k = ctx;
	_cleanup_free_ char *key = cox_asprintf("%s%s%s", k->id, *name ? "/" : "", name);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	if (!node) {
		hub_batch_delete(k->batch, HUB_TABLE_ROLLOUT, key);
		return;
	}
	cox_json_write(&text, node);
	hub_batch_put(k->batch, HUB_TABLE_ROLLOUT, key, cox_buf_str(&text));
}

void control_rollout_keep(struct hub_batch *batch, struct cox_rollout *r)
{
	struct keeping k = {batch, r->id};

	cox_rollout_keep(r, false, keep_row, &k);
}

void control_rollout_forget(struct hub_batch *batch, const struct cox_rollout *r)
{
	struct keeping k = {batch, r->id};

	cox_rollout_forget(r, keep_row, &k);
}

static void reader_free(void *reader)
{
	cox_rollout_reader_free(reader);
}

static int load_row(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	struct cox_map *readers = ctx;
	struct cox_str name = cox_str(key), id;
	struct cox_rollout_reader *reader;
	_cleanup_doc_ struct cox_doc *doc = NULL;
	int r = cox_json_read(body, key, &doc, err);

	if (r < 0)
		return r;
	cox_str_split(&name, '/', &id);
	reader = cox_map_get_str(readers, id);
	if (!reader) {
		reader = cox_rollout_reader_new();
		cox_map_set_str(readers, id, reader);
	}
	return cox_rollout_read(reader, name.len ? name.ptr : "", cox_doc_root(doc), err);
}

static int load(struct hub_control *c, struct cox_map *readers, struct cox_error *err)
{
	int r = hub_store_each(c->store, HUB_TABLE_ROLLOUT, load_row, readers, err);

	if (r < 0)
		return r;
	COX_MAP_EACH (readers, slot) {
		struct cox_rollout *one = NULL;
		struct control_line *l;

		r = cox_rollout_read_end(slot->value, &one, err);
		if (r < 0)
			return cox_error_wrap(err, "rollout '%s'", slot->key);
		l = control_line(c, one->owner);
		cox_vec_push(&l->past, one);
	}
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct cox_rollout *x = *(struct cox_rollout *const *)a;
	const struct cox_rollout *y = *(struct cox_rollout *const *)b;

	/* One that is under way is the newest: the others are over. */
	if (x->phase != y->phase && x->phase == COX_ROLLOUT_PROGRESSING)
		return 1;
	if (x->phase != y->phase && y->phase == COX_ROLLOUT_PROGRESSING)
		return -1;
	return (x->started_ms > y->started_ms) - (x->started_ms < y->started_ms);
}

/* An older copy of the state was put in place, and everything was said again with new stamps: what was
 * healthy at the old ones has to be seen again. */
static void follow_stamps(struct hub_control *c, struct cox_rollout *r)
{
	COX_VEC_EACH (&r->targets, t) {
		const hub_assignment *have =
			t->cluster ? hub_fleet_assignment(c->fleet, t->cluster, t->uid) : NULL;

		if (have && t->generation && t->has_digest &&
		    have->sync_digest.len == sizeof(t->digest) &&
		    memcmp(have->sync_digest.data, t->digest, sizeof(t->digest)) == 0 &&
		    (have->epoch != t->epoch || have->generation != t->generation))
			cox_rollout_assigned(r, t->uid, have->epoch, have->generation, NULL,
					     control_now_ms(c));
	}
}

int control_rollouts_load(struct hub_control *c, struct cox_error *err)
{
	struct cox_map readers = COX_MAP_INIT;
	int r = load(c, &readers, err);

	cox_map_fini_values(&readers, reader_free);
	if (r < 0)
		return r;
	COX_MAP_EACH (&c->lines, slot) {
		struct control_line *l = slot->value;

		cox_vec_sort(&l->past, by_start);
		if (l->past.n > 0)
			l->current = l->past.items[--l->past.n];
		if (l->current)
			follow_stamps(c, l->current);
		l->dirty = true;
		cox_queue_add(c->rollouts, l->owner);
	}
	return 0;
}

/* ---- the end of a line ---- */

/* Neither the owner nor any Application of it is there: its rollouts go too. */
bool control_line_is_over(struct hub_control *c, const struct control_line *line)
{
	const char *slash = strchr(line->owner, '/');

	return line->members.n == 0 &&
	       !control_object(c,
			       strncmp(line->owner, "ApplicationSet/", 15) == 0
				       ? HUB_APPLICATION_SET
				       : HUB_APPLICATION,
			       slash + 1);
}

void control_line_drop(struct hub_control *c, struct control_line *line)
{
	struct hub_batch *batch = hub_batch_new();

	if (line->current)
		control_rollout_forget(batch, line->current);
	COX_VEC_EACH (&line->past, r)
		control_rollout_forget(batch, *r);
	hub_store_commit(c->store, batch);
	cox_map_remove(&c->lines, line->owner);
	line_free(line);
}

/* ---- watchers ---- */

struct notice {
	struct hub_control *control;
	char owner[];
};

static void notify(void *arg)
{
	struct notice *n = arg;

	COX_LIST_EACH(&n->control->watchers, node)
	{
		struct hub_watcher *w = COX_LIST_ENTRY(node, struct hub_watcher, node);

		w->fn(w->ctx, n->owner);
	}
}

void control_notify(struct hub_control *c, struct hub_batch *batch, const char *owner)
{
	struct notice *n = cox_calloc(1, sizeof(*n) + strlen(owner) + 1);

	n->control = c;
	memcpy(n->owner, owner, strlen(owner) + 1);
	hub_batch_after(batch, notify, n, free);
}

void hub_control_watch(struct hub_control *c, struct hub_watcher *w)
{
	cox_list_append(&c->watchers, &w->node);
}

void hub_control_unwatch(struct hub_watcher *w)
{
	cox_list_remove(&w->node);
}

/* ---- asking ---- */

const struct cox_rollout_target *control_target(struct hub_control *c, const struct control_app *a,
						struct cox_rollout **ret_rollout)
{
	struct control_line *l = cox_map_get(&c->lines, a->owner);

	if (!l || !l->current || l->current->phase != COX_ROLLOUT_PROGRESSING)
		return NULL;
	*ret_rollout = l->current;
	return cox_rollout_find(l->current, a->uid);
}

static const struct cox_rollout *newest(struct hub_control *c, const char *kind, const char *key)
{
	_cleanup_free_ char *owner = cox_asprintf("%s/%s", kind, key);
	const struct control_line *l = cox_map_get(&c->lines, owner);

	if (!l)
		return NULL;
	return l->current ? l->current : l->past.n ? l->past.items[l->past.n - 1] : NULL;
}

const struct cox_rollout *hub_control_rollout(struct hub_control *c, const char *namespace,
					      const char *name)
{
	_cleanup_free_ char *key = control_key(c, HUB_APPLICATION, namespace, name);
	const struct cox_rollout *r = newest(c, "ApplicationSet", key);
	const struct control_app *a = control_app(c, key);

	if (!r)
		r = newest(c, "Application", key);
	/* An Application of a set moves with the set. */
	if (!r && a) {
		const struct control_line *l = cox_map_get(&c->lines, a->owner);

		r = l ? l->current : NULL;
	}
	return r;
}

const struct cox_rollout *hub_control_rollout_by_id(struct hub_control *c, const char *id)
{
	COX_MAP_EACH (&c->lines, slot) {
		const struct control_line *l = slot->value;

		if (l->current && strcmp(l->current->id, id) == 0)
			return l->current;
		COX_VEC_EACH (&l->past, r)
			if (strcmp((*r)->id, id) == 0)
				return *r;
	}
	return NULL;
}

static int newest_first(const void *a, const void *b)
{
	return by_start(b, a);
}

void hub_control_each_rollout(struct hub_control *c,
			      void (*fn)(void *ctx, const struct cox_rollout *r), void *ctx)
{
	COX_VEC(struct cox_rollout *) all = {0};

	COX_MAP_EACH (&c->lines, slot) {
		const struct control_line *l = slot->value;

		if (l->current)
			cox_vec_push(&all, l->current);
		COX_VEC_EACH (&l->past, r)
			cox_vec_push(&all, *r);
	}
	cox_vec_sort(&all, newest_first);
	COX_VEC_EACH (&all, r)
		fn(ctx, *r);
	cox_vec_fini(&all);
}

/* It is over, and the next one cannot begin: nobody knows its waves. */
static void put_blocked(struct hub_control *c, const char *owner, struct cox_doc *doc,
			struct cox_node *map)
{
	COX_CLEANUP(cox_rollout_plan_fini) struct cox_rollout_plan plan = COX_ROLLOUT_PLAN_INIT;
	struct cox_node *why = cox_doc_map(doc);
	struct cox_error err;

	if (control_plan_check(c, owner, &plan, &err) >= 0 || err.code == COX_UNAVAILABLE)
		return;
	cox_map_put_cstr(doc, why, "message", err.message);
	cox_map_put_cstr(doc, why, "text", err.message);
	cox_map_put(doc, map, "why", why);
}

struct cox_node *hub_control_rollout_status(struct hub_control *c, const struct cox_rollout *r,
					    struct cox_doc *doc)
{
	const struct control_line *l = cox_map_get(&c->lines, r->owner);
	struct cox_node *map = cox_rollout_status(r, doc);

	if (!l || l->current != r)
		return map;
	cox_map_put_cstr(doc, map, "next", l->next);
	if (r->phase != COX_ROLLOUT_PROGRESSING && !cox_node_get(map, "why"))
		put_blocked(c, r->owner, doc, map);
	return map;
}
