/* The guard of deletions: an ApplicationSet that says less than it said before deletes no more than a
 * budget, unless a person confirmed exactly these deletions. A cluster that lost a label, an element that
 * slipped out of a list: each looks like a wish to delete. The budget is one over time: what went by it
 * within the last hour has used it up, so that a list that melts away bit by bit is held as well. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/crypto/digest.h"
#include "common/doc/json.h"
#include "hub/control/internal.h"
#include "hub/model/appset.h"

#include <inttypes.h>

#define BUDGET_ANNOTATION  "coxswain.dev/deletion-budget"
#define CONFIRM_ANNOTATION "coxswain.dev/confirm-deletion"
#define DEFAULT_PERCENT	   10
#define DEFAULT_AT_LEAST   10
#define BUDGET_MS	   (60 * 60 * 1000) /* a deletion has used up its share so long */
#define N_NAMES		   5 /* that the condition tells; status.heldDeletions has all */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int64_t default_budget(size_t n_owned)
{
	int64_t part = (int64_t)n_owned * DEFAULT_PERCENT / 100;

	return part > DEFAULT_AT_LEAST ? part : DEFAULT_AT_LEAST;
}

/* How many of n_owned may go. What cannot be read must not open the door: the default holds, and
 * *ret_problem (the caller's; NULL: none) says so. */
static int64_t budget_of(const struct cox_doc *set, size_t n_owned, char **ret_problem)
{
	const struct cox_node *said =
		COX_GET(cox_doc_root(set), "metadata", "annotations", BUDGET_ANNOTATION);
	struct hub_count count = {0};

	*ret_problem = NULL;
	if (hub_count_parse(set, said, &count, NULL) < 0 || (count.percent && count.value > 100)) {
		*ret_problem =
			cox_asprintf("annotation " BUDGET_ANNOTATION
				     ": '%s' is neither a number nor a percentage up to 100%%; "
				     "the default holds",
				     cox_node_cstr(said, ""));
		count = (struct hub_count){0};
	}
	return hub_count_of(&count, (int64_t)n_owned, default_budget(n_owned));
}

/* Of who would go, each by uid: one that is made anew under its old name is another one. */
static void digest_of(struct hub_control *c, const cox_strings *keys, char ret[COX_SHA256_TEXT])
{
	COX_CLEANUP(cox_strings_fini) cox_strings lines = {0};
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	COX_VEC_EACH (keys, key)
		cox_vec_push(&lines,
			     cox_asprintf("%s %s\n", control_app_uid(control_app(c, *key)), *key));
	cox_vec_sort(&lines, by_text);
	COX_VEC_EACH (&lines, line)
		cox_buf_puts(&text, *line);
	cox_sha256_hex(cox_buf_str(&text), ret);
}

/* ---- what went lately ---- */

void control_gones_fini(control_gones *v)
{
	COX_VEC_EACH (v, g)
		free(g->uid);
	cox_vec_fini(v);
}

static int64_t used_until(const struct control_gone *g)
{
	return g->at_ms + BUDGET_MS;
}

static void prune(struct control_object *set, int64_t now_ms)
{
	while (set->gone.n && used_until(&set->gone.items[0]) <= now_ms) {
		free(set->gone.items[0].uid);
		cox_vec_remove(&set->gone, 0);
	}
}

/* They go by the budget. */
static void spend(struct hub_control *c, struct hub_batch *batch, struct control_object *set,
		  const cox_strings *keys, int64_t now_ms)
{
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("gone");
	struct cox_node *list = cox_doc_list(doc);
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	COX_VEC_EACH (keys, key)
		cox_vec_push(&set->gone,
			     (struct control_gone){
				     now_ms, cox_strdup(control_app_uid(control_app(c, *key)))});
	COX_VEC_EACH (&set->gone, g) {
		struct cox_node *one = cox_doc_map(doc);

		cox_map_put_int(doc, one, "at", g->at_ms);
		cox_map_put_cstr(doc, one, "uid", g->uid);
		cox_list_push(doc, list, one);
	}
	cox_json_write(&text, list);
	hub_batch_put(batch, HUB_TABLE_GUARD, hub_object_uid(cox_doc_root(set->doc)),
		      cox_buf_str(&text));
}

static struct control_object *set_by_uid(struct hub_control *c, const char *uid)
{
	COX_MAP_EACH (&c->objects[HUB_APPLICATION_SET], slot) {
		struct control_object *o = slot->value;

		if (cox_streq(hub_object_uid(cox_doc_root(o->doc)), uid))
			return o;
	}
	return NULL;
}

static int load(void *ctx, const char *key, struct cox_str body, struct cox_error *err)
{
	struct control_object *set = set_by_uid(ctx, key);
	_cleanup_doc_ struct cox_doc *doc = NULL;
	const struct cox_node *list;
	int r = cox_json_read(body, key, &doc, err);

	if (r < 0)
		return r;
	list = cox_doc_root(doc);
	for (size_t i = 0; set && i < cox_node_len(list); i++) {
		const struct cox_node *one = cox_node_at(list, i);
		struct control_gone g = {
			.at_ms = cox_node_int(cox_node_get(one, "at"), 0),
			.uid = cox_strdup(cox_node_cstr(cox_node_get(one, "uid"), ""))};

		cox_vec_push(&set->gone, g);
	}
	return 0;
}

int control_guard_load(struct hub_control *c, struct cox_error *err)
{
	return hub_store_each(c->store, HUB_TABLE_GUARD, load, c, err);
}

void control_guard_forget(struct hub_batch *batch, const struct control_object *set)
{
	hub_batch_delete(batch, HUB_TABLE_GUARD, hub_object_uid(cox_doc_root(set->doc)));
}

/* ---- what is held ---- */

static void held_clear(struct control_held *h)
{
	h->digest[0] = 0;
	cox_strings_fini(&h->keys);
	h->keys = (cox_strings){0};
}

/* One look at what a set would delete. */
struct account {
	cox_strings fresh;	 /* keys of those that are not on their way yet, sorted */
	size_t n_owned, n_going; /* of how many; on their way */
	size_t n_gone; /* gone by themselves within the hour, and not on their way any more */
	int64_t budget, now_ms;
	char digest[COX_SHA256_TEXT]; /* of fresh */
};

static bool is_on_its_way(struct hub_control *c, const char *uid)
{
	const struct control_app *a = control_app_by_uid(c, uid);

	return a && control_app_is_deleting(a);
}

/* doc: the set as it is, or would be; set: what is known of it, NULL: nothing. *ret_problem as of budget_of. */
static void account_init(struct account *a, struct hub_control *c, const struct cox_doc *doc,
			 const struct control_object *set, const cox_strings *dropped,
			 size_t n_owned, char **ret_problem)
{
	*a = (struct account){.n_owned = n_owned, .now_ms = control_now_ms(c)};
	/* What was made anew since they are held must not raise a percentage. */
	if (set && set->held.keys.n && set->held.n_owned < n_owned)
		a->n_owned = set->held.n_owned;
	for (size_t i = 0; set && i < set->gone.n; i++)
		a->n_gone += used_until(&set->gone.items[i]) > a->now_ms &&
			     !is_on_its_way(c, set->gone.items[i].uid);
	COX_VEC_EACH (dropped, key)
		if (!control_app_is_deleting(control_app(c, *key)))
			cox_vec_push(&a->fresh, cox_strdup(*key));
	cox_vec_sort(&a->fresh, by_text);
	a->n_going = dropped->n - a->fresh.n;
	/* A percentage is one of what there was when the hour began. */
	a->budget = budget_of(doc, a->n_owned + a->n_gone, ret_problem);
	digest_of(c, &a->fresh, a->digest);
}

static bool has_room(const struct account *a, size_t n_gone)
{
	return (int64_t)(a->fresh.n + a->n_going + n_gone) <= a->budget;
}

/* When time alone makes room; 0: never. */
static int64_t room_at(const struct account *a, struct hub_control *c,
		       const struct control_object *set)
{
	size_t n_gone = a->n_gone;

	COX_VEC_EACH (&set->gone, g) {
		if (used_until(g) <= a->now_ms || is_on_its_way(c, g->uid))
			continue;
		n_gone--;
		if (has_room(a, n_gone))
			return used_until(g);
	}
	return 0;
}

static char *held_text(const struct account *a, struct control_object *set, int64_t room_ms)
{
	const cox_strings *keys = &set->held.keys;
	const struct cox_node *root = cox_doc_root(set->doc);
	struct cox_buf text = COX_BUF_INIT;
	char at[COX_TIME_TEXT_MAX];

	cox_buf_printf(&text, "%zu of %zu applications would be deleted", keys->n, a->n_owned);
	if (a->n_going)
		cox_buf_printf(&text, " while %zu are on their way", a->n_going);
	cox_buf_printf(&text, ", the budget is %" PRId64 " in an hour", a->budget);
	if (a->n_gone)
		cox_buf_printf(&text, ", of which %zu are used up", a->n_gone);
	cox_buf_puts(&text, ": none is");
	if (room_ms) {
		cox_time_format(room_ms, at);
		cox_buf_printf(&text, " before %s", at);
	}
	cox_buf_puts(&text, ". It is about ");
	for (size_t i = 0; i < keys->n && i < N_NAMES; i++)
		cox_buf_printf(&text, "%s%s", i ? ", " : "", keys->items[i]);
	if (keys->n > N_NAMES)
		cox_buf_printf(&text, " and %zu more", keys->n - N_NAMES);
	cox_buf_printf(&text, "; to delete exactly these: cox appset confirm -n %s %s --digest %s",
		       hub_object_namespace(root), hub_object_name(root), set->held.digest);
	return cox_buf_take(&text);
}

static void hold(struct hub_control *c, struct control_object *set, struct account *a)
{
	bool news = strcmp(set->held.digest, a->digest) != 0;
	int64_t room_ms = room_at(a, c, set);
	_cleanup_free_ char *text = NULL;

	held_clear(&set->held);
	memcpy(set->held.digest, a->digest, sizeof(set->held.digest));
	set->held.keys = a->fresh;
	a->fresh = (cox_strings){0};
	set->held.n_owned = a->n_owned;
	text = held_text(a, set, room_ms);
	control_condition_set(&set->conditions, "DeletionHeld", text);
	if (room_ms)
		cox_queue_add_after(c->sets, set->key, room_ms - a->now_ms);
	if (news)
		cox_log_warn("deletions beyond an ApplicationSet's budget wait for a confirmation",
			     COX_KV("set", set->key), COX_KV("digest", set->held.digest),
			     COX_KV("message", text));
}

void control_verdict_fini(struct control_verdict *v)
{
	cox_strings_fini(&v->fresh);
	free(v->problem);
}

void control_guard_judge(struct hub_control *c, const struct cox_doc *doc,
			 const struct control_object *set, const cox_strings *dropped,
			 size_t n_owned, struct control_verdict *ret)
{
	const char *said = hub_object_annotation(cox_doc_root(doc), CONFIRM_ANNOTATION);
	struct account a;

	*ret = (struct control_verdict){0};
	account_init(&a, c, doc, set, dropped, n_owned, &ret->problem);
	ret->held = a.fresh.n && !cox_streq(said, a.digest) && !has_room(&a, a.n_gone);
	ret->room_ms = ret->held && set ? room_at(&a, c, set) : 0;
	ret->n_going = a.n_going;
	ret->n_gone = a.n_gone;
	ret->n_owned = a.n_owned;
	ret->budget = a.budget;
	memcpy(ret->digest, a.digest, sizeof(ret->digest));
	ret->fresh = a.fresh;
}

bool control_guard_deletions(struct hub_control *c, struct hub_batch *batch,
			     struct control_object *set, const cox_strings *dropped, size_t n_owned)
{
	const char *said = hub_object_annotation(cox_doc_root(set->doc), CONFIRM_ANNOTATION);
	_cleanup_free_ char *problem = NULL;
	struct account a;
	bool confirmed, may;

	prune(set, control_now_ms(c));
	account_init(&a, c, set->doc, set, dropped, n_owned, &problem);
	control_condition_set(&set->conditions, "InvalidDeletionBudget", problem);
	confirmed = cox_streq(said, a.digest);
	may = a.fresh.n == 0 || confirmed || has_room(&a, a.n_gone);
	if (!may)
		hold(c, set, &a);
	else
		control_guard_clear(set);
	/* What a person confirmed uses up nothing. */
	if (may && a.fresh.n && !confirmed)
		spend(c, batch, set, &a.fresh, a.now_ms);
	cox_strings_fini(&a.fresh);
	return may;
}

void control_guard_clear(struct control_object *set)
{
	held_clear(&set->held);
	control_condition_set(&set->conditions, "DeletionHeld", NULL);
}

void control_held_fini(struct control_held *h)
{
	held_clear(h);
}

struct cox_node *control_held_status(const struct control_held *h, struct cox_doc *doc)
{
	struct cox_node *map, *list;

	if (!h->keys.n)
		return NULL;
	map = cox_doc_map(doc);
	list = cox_doc_list(doc);
	COX_VEC_EACH (&h->keys, key)
		cox_list_push(doc, list, cox_doc_cstring(doc, *key));
	cox_map_put_cstr(doc, map, "digest", h->digest);
	cox_map_put_int(doc, map, "count", (int64_t)h->keys.n);
	cox_map_put(doc, map, "applications", list);
	return map;
}

int hub_control_confirm_set(struct hub_control *c, struct hub_batch *batch, const char *namespace,
			    const char *name, const char *digest, const char *by,
			    struct cox_error *err)
{
	_cleanup_free_ char *key = control_key(c, HUB_APPLICATION_SET, namespace, name);
	struct control_object *set = control_object(c, HUB_APPLICATION_SET, key);

	if (!set)
		return cox_error(err, COX_NOT_FOUND, "no applicationset '%s'", key);
	if (COX_GET(cox_doc_root(set->doc), "metadata", "deletionTimestamp"))
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "applicationset '%s' is being deleted", key);
	if (!set->held.keys.n)
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "applicationset '%s' holds no deletions back", key);
	if (!cox_streq(digest, set->held.digest))
		return cox_error(err, COX_FAILED_PRECONDITION,
				 "what would be deleted is not what digest '%.12s' names: it is "
				 "%zu applications, digest %s",
				 digest ? digest : "", set->held.keys.n, set->held.digest);
	cox_log_warn("deletions beyond an ApplicationSet's budget are confirmed",
		     COX_KV("set", key), COX_KV("digest", digest), COX_KV("by", by));
	control_object_store(c, batch, HUB_APPLICATION_SET, key,
			     hub_object_with_annotation(set->doc, CONFIRM_ANNOTATION, digest));
	return 0;
}
