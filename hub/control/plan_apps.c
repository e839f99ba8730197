/* Which Applications a plan is about: as controllers would have it, and nothing done. */
#include "hub/control/plan.h"

#include "hub/generate/generate.h"
#include "hub/model/appset.h"

static void problem(struct control_plan *p, char *text_taken)
{
	cox_vec_push(&p->problems, text_taken);
}

/* ---- what changes in one ---- */

static void put_from(struct cox_doc *doc, struct cox_node *map, const char *key,
		     const struct cox_node *from)
{
	const struct cox_node *value = cox_node_get(from, key);

	if (value)
		cox_map_put(doc, map, key, value);
}

/* What of an Application people write. */
static struct cox_doc *essence(struct cox_doc *object)
{
	static const char *const kept[] = {"labels", "annotations", "finalizers"};
	struct cox_doc *doc = cox_doc_new("essence");
	struct cox_node *map = cox_doc_map(doc), *metadata = cox_doc_map(doc);
	const struct cox_node *root = cox_doc_root(object);

	cox_doc_use(doc, object);
	for (size_t i = 0; i < COX_ARRAY_LEN(kept); i++)
		put_from(doc, metadata, kept[i], cox_node_get(root, "metadata"));
	cox_map_put(doc, map, "metadata", metadata);
	put_from(doc, map, "spec", root);
	cox_doc_set_root(doc, map);
	return cox_doc_seal(doc);
}

/* The differences borrow from the two objects, which the plan keeps. */
static void find_changes(struct plan_app *x)
{
	_cleanup_doc_ struct cox_doc *from = essence(x->old), *to = essence(x->doc);

	x->more_changes =
		!cox_diff(cox_doc_root(from), cox_doc_root(to), PLAN_CHANGES_MAX, &x->changes);
}

/* ---- what a set would make of its own ---- */

struct pass {
	struct control_plan *p;
	struct hub_appset set;
	struct cox_map wanted; /* keys */
};

static void add_new(struct pass *s, const char *key, struct cox_doc *generated,
		    struct cox_doc *going)
{
	struct plan_app *x = plan_app_add(s->p, key, PLAN_CREATE, NULL, generated);
	struct cox_error err = COX_ERROR_INIT;

	if (going)
		plan_app_say(x, "it is made when the one of that name is gone, which is being "
				"deleted");
	else if (hub_control_check(s->p->control, generated, &err) < 0) {
		x->action = PLAN_REFUSED;
		x->is_member = false;
		plan_app_say(x, "%s", err.message);
	}
}

static void add_known(struct pass *s, const char *key, struct cox_doc *old,
		      struct cox_doc *generated)
{
	_cleanup_doc_ struct cox_doc *next = NULL;
	struct plan_app *x;

	if (hub_generate_is_same(&s->set, old, generated)) {
		plan_app_add(s->p, key, PLAN_UNCHANGED, old, old);
		return;
	}
	if (!s->set.may_update) {
		x = plan_app_add(s->p, key, PLAN_UNCHANGED, old, old);
		plan_app_say(x, "syncPolicy.applicationsSync: the set changes none that is there");
		return;
	}
	next = hub_generate_update(&s->set, old, generated);
	x = plan_app_add(s->p, key, PLAN_UPDATE, old, next);
	find_changes(x);
}

static void add_generated(struct pass *s, struct cox_doc *generated)
{
	struct hub_control *c = s->p->control;
	_cleanup_free_ char *key = control_key(c, HUB_APPLICATION, s->set.namespace,
					       hub_object_name(cox_doc_root(generated)));
	const struct control_object *old = control_object(c, HUB_APPLICATION, key);
	struct plan_app *x;

	cox_map_set(&s->wanted, key, s);
	if (old && !control_owned_by(cox_doc_root(old->doc), s->set.uid)) {
		x = plan_app_add(s->p, key, PLAN_REFUSED, old->doc, generated);
		plan_app_say(x, "exists and does not belong to this ApplicationSet, but to %s",
			     old->app->owner);
	} else if (old && control_app_is_deleting(old->app)) {
		add_new(s, key, generated, old->doc);
	} else if (old) {
		add_known(s, key, old->doc, generated);
	} else {
		add_new(s, key, generated, NULL);
	}
}

/* Why nothing that is not produced any more would be deleted; NULL: it would. */
static const char *why_kept(const struct pass *s, const struct hub_generated *g, const char *unread)
{
	if (!s->set.may_delete)
		return "syncPolicy.applicationsSync: the set deletes nothing";
	if (g->problems.n_errors > 0)
		return "the set could not say everything: nothing is deleted";
	return unread ? "a cluster cannot be read: nothing is deleted" : NULL;
}

static void add_dropped(struct pass *s, const cox_strings *owned, const char *kept)
{
	struct control_plan *p = s->p;
	struct hub_control *c = p->control;
	COX_CLEANUP(cox_strings_fini) cox_strings dropped = {0};
	const struct control_object *set =
		control_object(c, HUB_APPLICATION_SET, strchr(p->owner, '/') + 1);

	COX_VEC_EACH (owned, key)
		if (!cox_map_has(&s->wanted, *key))
			cox_vec_push(&dropped, cox_strdup(*key));
	control_guard_judge(c, p->set, set, &dropped, owned->n, &p->deletions);
	p->deletions_known = true;
	if (p->deletions.problem)
		problem(p, cox_strdup(p->deletions.problem));
	COX_VEC_EACH (&p->deletions.fresh, key) {
		struct cox_doc *old = control_object(c, HUB_APPLICATION, *key)->doc;
		struct plan_app *x = plan_app_add(p, *key,
						  kept		      ? PLAN_KEPT
						  : p->deletions.held ? PLAN_HELD
								      : PLAN_DELETE,
						  old, kept ? old : NULL);

		if (kept)
			plan_app_say(x, "%s", kept);
		/* until somebody confirms that it goes, it moves with the others */
		if (x->action == PLAN_HELD)
			plan_app_add(p, *key, PLAN_UNCHANGED, old, old)->unlisted = true;
	}
	/* those are not looked at by the guard then */
	if (kept)
		p->deletions.held = false;
}

static void tell_problems(struct control_plan *p, const struct hub_generated *g, const char *unread)
{
	for (size_t i = 0; i < g->problems.list.n; i++) {
		_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

		hub_problem_print(&text, &g->problems.list.items[i]);
		problem(p, cox_strdup(cox_buf_cstr(&text)));
	}
	if (unread)
		problem(p, cox_asprintf("cluster '%s' cannot be read", unread));
}

static int expand(struct pass *s, struct cox_error *err)
{
	COX_CLEANUP(cox_strings_fini) cox_strings owned = {0};
	_cleanup_generated_ struct hub_generated g = {0};
	_cleanup_free_ char *unread = NULL;
	int r = control_set_generate(s->p->control, &s->set, &g, &unread, err);

	if (r < 0)
		return r;
	control_set_owned(s->p->control, s->set.uid, &owned);
	COX_VEC_EACH (&g.applications, doc)
		add_generated(s, *doc);
	add_dropped(s, &owned, why_kept(s, &g, unread));
	tell_problems(s->p, &g, unread);
	return 0;
}

static int collect_set(struct control_plan *p, struct cox_error *err)
{
	struct pass s = {.p = p};
	int r = hub_appset_init(&s.set, p->set, err);

	if (r < 0)
		return r;
	r = expand(&s, err);
	hub_appset_fini(&s.set);
	cox_map_fini(&s.wanted);
	return r;
}

/* ---- what a rollout is of ---- */

static void collect_owner(struct control_plan *p)
{
	struct hub_control *c = p->control;
	const struct control_line *line = cox_map_get(&c->lines, p->owner);

	if (!line)
		return;
	COX_MAP_EACH (&line->members, slot) {
		const struct control_app *a = slot->value;
		const struct control_object *o = control_object(c, HUB_APPLICATION, a->key);

		if (o && !control_app_is_deleting(a))
			plan_app_add(p, a->key, PLAN_UNCHANGED, o->doc, o->doc);
	}
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(struct plan_app *const *)a)->app.key,
		      (*(struct plan_app *const *)b)->app.key);
}

int plan_collect(struct control_plan *p, struct cox_error *err)
{
	int r = 0;

	if (p->from_set)
		r = collect_set(p, err);
	else
		collect_owner(p);
	cox_vec_sort(&p->apps, by_key);
	return r;
}
