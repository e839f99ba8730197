/* The guard of deletions: an ApplicationSet that says less than it said before deletes no more than a
 * budget, unless a person confirmed exactly these deletions. A cluster that lost a label, an element that
 * slipped out of a list: each looks like a wish to delete. */
#include "common/base/log.h"
#include "common/crypto/digest.h"
#include "hub/control/internal.h"
#include "hub/model/appset.h"

#include <inttypes.h>

#define BUDGET_ANNOTATION  "coxswain.dev/deletion-budget"
#define CONFIRM_ANNOTATION "coxswain.dev/confirm-deletion"
#define DEFAULT_PERCENT	   10
#define DEFAULT_AT_LEAST   10
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

static void held_clear(struct control_held *h)
{
	h->digest[0] = 0;
	cox_strings_fini(&h->keys);
	h->keys = (cox_strings){0};
}

static char *held_text(struct control_object *set, size_t n_owned, size_t n_going, int64_t budget)
{
	const cox_strings *keys = &set->held.keys;
	const struct cox_node *root = cox_doc_root(set->doc);
	struct cox_buf text = COX_BUF_INIT;

	cox_buf_printf(&text, "%zu of %zu applications would be deleted", keys->n, n_owned);
	if (n_going)
		cox_buf_printf(&text, " while %zu are on their way", n_going);
	cox_buf_printf(&text, ", the budget is %" PRId64 ": none is. It is about ", budget);
	for (size_t i = 0; i < keys->n && i < N_NAMES; i++)
		cox_buf_printf(&text, "%s%s", i ? ", " : "", keys->items[i]);
	if (keys->n > N_NAMES)
		cox_buf_printf(&text, " and %zu more", keys->n - N_NAMES);
	cox_buf_printf(&text, "; to delete exactly these: cox appset confirm -n %s %s --digest %s",
		       hub_object_namespace(root), hub_object_name(root), set->held.digest);
	return cox_buf_take(&text);
}

static void hold(struct control_object *set, cox_strings *fresh, const char *digest, size_t n_owned,
		 size_t n_going, int64_t budget)
{
	bool news = strcmp(set->held.digest, digest) != 0;
	_cleanup_free_ char *text = NULL;

	held_clear(&set->held);
	memcpy(set->held.digest, digest, sizeof(set->held.digest));
	set->held.keys = *fresh;
	*fresh = (cox_strings){0};
	set->held.n_owned = n_owned;
	text = held_text(set, n_owned, n_going, budget);
	control_condition_set(&set->conditions, "DeletionHeld", text);
	if (news)
		cox_log_warn("deletions beyond an ApplicationSet's budget wait for a confirmation",
			     COX_KV("set", set->key), COX_KV("digest", digest),
			     COX_KV("message", text));
}

void control_verdict_fini(struct control_verdict *v)
{
	cox_strings_fini(&v->fresh);
	free(v->problem);
}

void control_guard_judge(struct hub_control *c, const struct cox_doc *set,
			 const struct control_held *held, const cox_strings *dropped,
			 size_t n_owned, struct control_verdict *ret)
{
	const char *confirmed = hub_object_annotation(cox_doc_root(set), CONFIRM_ANNOTATION);

	/* What was made anew since they are held must not raise a percentage. */
	if (held && held->keys.n && held->n_owned < n_owned)
		n_owned = held->n_owned;
	*ret = (struct control_verdict){.n_owned = n_owned};
	ret->budget = budget_of(set, n_owned, &ret->problem);
	COX_VEC_EACH (dropped, key)
		if (!control_app_is_deleting(control_app(c, *key)))
			cox_vec_push(&ret->fresh, cox_strdup(*key));
	cox_vec_sort(&ret->fresh, by_text);
	ret->n_going = dropped->n - ret->fresh.n;
	digest_of(c, &ret->fresh, ret->digest);
	/* Who goes already counts: a budget that is used up is one until they are gone. */
	ret->held = ret->fresh.n && (int64_t)dropped->n > ret->budget &&
		    !cox_streq(confirmed, ret->digest);
}

bool control_guard_deletions(struct hub_control *c, struct control_object *set,
			     const cox_strings *dropped, size_t n_owned)
{
	COX_CLEANUP(control_verdict_fini) struct control_verdict v = {0};

	control_guard_judge(c, set->doc, &set->held, dropped, n_owned, &v);
	control_condition_set(&set->conditions, "InvalidDeletionBudget", v.problem);
	if (v.held) {
		hold(set, &v.fresh, v.digest, v.n_owned, v.n_going, v.budget);
		return false;
	}
	control_guard_clear(set);
	return true;
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
