/* The ApplicationSet controller: what the generators say becomes Applications, and what they no
 * longer say goes. A generator that fails says nothing: everything stays as it is. */
#include "common/base/log.h"
#include "hub/control/internal.h"
#include "hub/generate/generate.h"
#include "hub/model/appset.h"
#include "hub/model/cluster.h"

struct clusters {
	COX_VEC(struct hub_cluster *) views;
	char *unread; /* name of one that is no valid Cluster; NULL: all are */
};

static void clusters_fini(struct clusters *v)
{
	COX_VEC_EACH (&v->views, c) {
		hub_cluster_fini(*c);
		free(*c);
	}
	cox_vec_fini(&v->views);
	free(v->unread);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct hub_cluster *const *)a)->name,
		      (*(struct hub_cluster *const *)b)->name);
}

static void clusters_init(struct hub_control *c, struct clusters *v)
{
	COX_MAP_EACH (&c->objects[HUB_CLUSTER], slot) {
		struct hub_cluster *view = cox_new(struct hub_cluster);

		if (hub_cluster_init(view, ((struct control_object *)slot->value)->doc, NULL) ==
		    0) {
			cox_vec_push(&v->views, view);
			continue;
		}
		free(view);
		if (!v->unread)
			v->unread = cox_strdup(slot->key);
	}
	cox_vec_sort(&v->views, by_name);
}

int control_set_generate(struct hub_control *c, const struct hub_appset *set,
			 struct hub_generated *ret, char **ret_unread, struct cox_error *err)
{
	COX_CLEANUP(clusters_fini) struct clusters clusters = {0};
	int r;

	clusters_init(c, &clusters);
	r = hub_generate(
		set,
		&(struct hub_generate_input){
			.clusters = (const struct hub_cluster *const *)clusters.views.items,
			.n_clusters = clusters.views.n,
			.home_namespace = c->options.namespace},
		ret, err);
	if (r == 0)
		*ret_unread = TAKE(clusters.unread);
	return r;
}

void control_set_owned(struct hub_control *c, const char *set_uid, cox_strings *ret_keys)
{
	COX_MAP_EACH (&c->objects[HUB_APPLICATION], slot) {
		const struct control_object *o = slot->value;

		if (control_owned_by(cox_doc_root(o->doc), set_uid))
			cox_vec_push(ret_keys, cox_strdup(slot->key));
	}
}

/* One look at one set. */
struct pass {
	struct hub_control *c;
	struct control_object *object;
	struct hub_appset set;
	struct hub_batch *batch;
	struct cox_map wanted; /* keys of the Applications that are produced */
	struct cox_buf trouble;
	size_t n_trouble;
	bool waits; /* for an Application that is still going */
};

static void trouble(struct pass *p, const char *text)
{
	if (p->n_trouble++ == 0)
		cox_buf_puts(&p->trouble, text);
}

static void produce(struct pass *p, struct cox_doc *generated)
{
	struct hub_control *c = p->c;
	const struct cox_node *root = cox_doc_root(generated);
	_cleanup_free_ char *key =
		control_key(c, HUB_APPLICATION, p->set.namespace, hub_object_name(root));
	const struct control_object *old = control_object(c, HUB_APPLICATION, key);
	_cleanup_doc_ struct cox_doc *next = NULL;
	_cleanup_free_ char *text = NULL;
	struct cox_error err = COX_ERROR_INIT;
	enum hub_applied applied;

	cox_map_set(&p->wanted, key, p);
	if (old && !control_owned_by(cox_doc_root(old->doc), p->set.uid)) {
		text = cox_asprintf("application '%s' exists and does not belong to this "
				    "ApplicationSet",
				    key);
		trouble(p, text);
		return;
	}
	if (old && control_app_is_deleting(old->app)) {
		p->waits = true;
		return;
	}
	if (old && (!p->set.may_update || hub_generate_is_same(&p->set, old->doc, generated)))
		return;
	next = old ? hub_generate_update(&p->set, old->doc, generated) : cox_doc_ref(generated);
	if (hub_control_apply(c, p->batch, next, &applied, &err) < 0) {
		text = cox_asprintf("application '%s': %s", key, err.message);
		trouble(p, text);
	}
}

/* Applications of this set, of n_before, that it does not produce any more: all, or none. */
static void drop_others(struct pass *p, size_t n_before)
{
	COX_CLEANUP(cox_strings_fini) cox_strings keys = {0}, dropped = {0};
	struct hub_control *c = p->c;

	control_set_owned(c, p->set.uid, &keys);
	/* Who is on his way counts until he is gone, also when he is wanted again. */
	COX_VEC_EACH (&keys, key)
		if (!cox_map_has(&p->wanted, *key) || control_app_is_deleting(control_app(c, *key)))
			cox_vec_push(&dropped, cox_strdup(*key));
	if (!control_guard_deletions(c, p->batch, p->object, &dropped, n_before))
		return;
	COX_VEC_EACH (&dropped, key) {
		const struct control_object *o = control_object(c, HUB_APPLICATION, *key);
		const struct cox_node *root = cox_doc_root(o->doc);

		if (!control_app_is_deleting(o->app))
			cox_log_info("an ApplicationSet dropped an Application",
				     COX_KV("set", p->object->key), COX_KV("application", *key));
		hub_control_delete(c, p->batch, HUB_APPLICATION, hub_object_namespace(root),
				   hub_object_name(root), HUB_DELETE_DEFAULT, NULL);
	}
}

static void say(struct pass *p, const struct hub_generated *g)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;

	for (size_t i = 0; i < g->problems.list.n; i++)
		if (g->problems.list.items[i].severity == HUB_ERROR) {
			_cleanup_buf_ struct cox_buf one = COX_BUF_INIT;

			hub_problem_print(&one, &g->problems.list.items[i]);
			trouble(p, cox_buf_cstr(&one));
		}
	if (p->n_trouble > 1)
		cox_buf_printf(&p->trouble, " (and %zu more)", p->n_trouble - 1);
	control_condition_set(&p->object->conditions, "ErrorOccurred",
			      p->n_trouble ? cox_buf_cstr(&p->trouble) : NULL);
}

static int expand(struct pass *p, struct cox_error *err)
{
	COX_CLEANUP(cox_strings_fini) cox_strings before = {0};
	_cleanup_generated_ struct hub_generated g = {0};
	_cleanup_free_ char *unread = NULL;
	int r;

	control_set_owned(p->c, p->set.uid, &before);
	r = control_set_generate(p->c, &p->set, &g, &unread, err);
	if (r < 0)
		return r;
	COX_VEC_EACH (&g.applications, doc)
		produce(p, *doc);
	/* A set that could not say everything might have named what seems to be dropped. */
	if (g.problems.n_errors == 0 && !unread && p->set.may_delete)
		drop_others(p, before.n);
	else
		control_guard_clear(p->object);
	if (unread) {
		_cleanup_free_ char *text =
			cox_asprintf("cluster '%s' cannot be read: nothing is deleted", unread);

		trouble(p, text);
	}
	say(p, &g);
	return 0;
}

/* What is wrong with the strategy, and can be lived with. */
static void check_strategy(struct hub_control *c, struct control_object *o)
{
	struct cox_rollout_plan plan = COX_ROLLOUT_PLAN_INIT;
	cox_rollout_problems problems = {0};
	struct cox_error err = COX_ERROR_INIT;
	int r = control_plan_parse(c, cox_doc_root(o->doc), &plan, &problems, &err);
	_cleanup_free_ char *text = r < 0 ? cox_strdup(err.message) : NULL;

	if (r == 0 && problems.n == 1)
		text = cox_strdup(problems.items[0]);
	if (r == 0 && problems.n > 1)
		text = cox_asprintf("%s (and %zu more)", problems.items[0], problems.n - 1);
	control_condition_set(&o->conditions, "InvalidRolloutConfig", text);
	cox_rollout_plan_fini(&plan);
	COX_VEC_EACH (&problems, s)
		free(*s);
	cox_vec_fini(&problems);
}

enum cox_queue_result control_look_at_set(void *ctx, const char *key)
{
	struct hub_control *c = ctx;
	struct pass p = {.c = c, .object = control_object(c, HUB_APPLICATION_SET, key)};
	_cleanup_free_ char *owner = cox_asprintf("ApplicationSet/%s", key);
	struct cox_error err = COX_ERROR_INIT;
	struct cox_doc *doc;
	int r;

	/* Lines do not let go of who is deleted while the hub stops; it looks again when it starts. */
	if (!p.object || c->stopping)
		return COX_QUEUE_OK;
	p.batch = hub_batch_new();
	if (COX_GET(cox_doc_root(p.object->doc), "metadata", "deletionTimestamp")) {
		control_set_delete_step(c, p.batch, p.object);
		hub_store_commit(c->store, p.batch);
		return COX_QUEUE_OK;
	}
	doc = p.object->doc;
	check_strategy(c, p.object);
	r = hub_appset_init(&p.set, doc, &err);
	if (r == 0) {
		r = expand(&p, &err);
		p.object->looked =
			cox_node_int(COX_GET(cox_doc_root(doc), "metadata", "generation"), 0);
		hub_appset_fini(&p.set);
	}
	if (r < 0) {
		control_guard_clear(p.object);
		control_condition_set(&p.object->conditions, "ErrorOccurred", err.message);
	}
	hub_store_commit(c->store, p.batch);
	cox_map_fini(&p.wanted);
	cox_buf_fini(&p.trouble);
	control_rollout_dirty(c, owner);
	return COX_QUEUE_OK;
}
