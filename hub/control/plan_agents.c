/* The part of a plan that only agents know: what would be created, updated and deleted in each cluster. */
#include "hub/control/plan.h"

#include "common/base/encode.h"

#define LOOK_AHEAD 256 /* past those whose agents are busy */

/* One question, until its answer; the plan may be gone by then. */
struct plan_question {
	struct plan_app *app; /* NULL: nobody waits */
};

void plan_question_drop(struct plan_question *q)
{
	if (q)
		q->app = NULL;
}

/* ---- which ---- */

static bool has_digest(const struct plan_app *x)
{
	const struct control_app *a = &x->app;
	const hub_assignment *have = hub_fleet_assignment(a->control->fleet, a->cluster, a->uid);

	return have && have->sync_digest.len == HUB_DIGEST_BYTES &&
	       memcmp(have->sync_digest.data, a->rendered.digest, HUB_DIGEST_BYTES) == 0;
}

static bool is_wanted(struct plan_app *x)
{
	const struct control_app *a = &x->app;

	if (x->action == PLAN_DELETE || x->action == PLAN_HELD) {
		if (a->has_view && a->view.cascade == HUB_CASCADE_NONE)
			plan_app_say(x, "its objects stay: it has no finalizer");
		return a->cluster && a->has_view && a->view.cascade != HUB_CASCADE_NONE;
	}
	if (!plan_app_stays(x) || !a->cluster || a->problem || !a->rendered.valid)
		return false;
	return x->action != PLAN_UNCHANGED || !has_digest(x);
}

/* The first waves first, those in none last. */
static int by_wave(const void *a, const void *b)
{
	const struct plan_app *x = *(struct plan_app *const *)a, *y = *(struct plan_app *const *)b;
	unsigned v = (unsigned)x->wave, w = (unsigned)y->wave; /* -1 is the largest */

	return v != w ? (v > w) - (v < w) : strcmp(x->app.key, y->app.key);
}

void plan_choose(struct control_plan *p)
{
	size_t n = 0;

	cox_vec_sort(&p->apps, by_wave);
	COX_VEC_EACH (&p->apps, slot) {
		struct plan_app *x = *slot;

		if (!is_wanted(x))
			continue;
		x->comparison = n < p->max_comparisons ? PLAN_WANTED : PLAN_LEFT_OUT;
		n++;
	}
	p->n_to_compare = n < p->max_comparisons ? n : p->max_comparisons;
	p->n_left_out = n - p->n_to_compare;
	p->next = 0;
}

/* ---- what comes back ---- */

static size_t busy_at(const struct control_plan *p, const char *cluster)
{
	return (size_t)(uintptr_t)cox_map_get(&p->busy, cluster);
}

static void set_busy(struct control_plan *p, const char *cluster, size_t n)
{
	cox_map_set(&p->busy, cluster, (void *)(uintptr_t)n);
}

static void end(struct plan_app *x, enum plan_comparison outcome)
{
	struct control_plan *p = x->plan;

	if (x->question) {
		x->question = NULL;
		p->n_comparing--;
		set_busy(p, x->app.cluster, busy_at(p, x->app.cluster) - 1);
	}
	x->comparison = outcome;
	p->n_compared++;
	p->n_unknown += outcome == PLAN_UNKNOWN;
}

static void end_unknown(struct plan_app *x, const char *why)
{
	free(x->why_unknown);
	x->why_unknown = cox_asprintf("%s: not computed", why);
	end(x, PLAN_UNKNOWN);
}

/* A rollout prunes where the Application's automated syncs would. */
static bool prunes(const struct plan_app *x)
{
	const struct hub_sync_policy *policy = &x->app.view.sync_policy;

	return !plan_app_stays(x) || (policy->automated && policy->prune);
}

static void count(struct plan_app *x, const Coxswain__Agent__V1__ObjectDifference *o)
{
	struct plan_counts *n = &x->counts;

	n->refused += o->refused;
	switch (o->state) {
	case COXSWAIN__AGENT__V1__DIFF_STATE__ABSENT:
		n->create++;
		break;
	case COXSWAIN__AGENT__V1__DIFF_STATE__DIFFERENT:
		n->update++;
		break;
	case COXSWAIN__AGENT__V1__DIFF_STATE__EXTRA:
		if (o->kept || !prunes(x))
			n->keep++;
		else
			n->remove++;
		break;
	default:
		n->unknown++;
	}
}

static size_t size_of(const Coxswain__Agent__V1__ObjectDifference *o)
{
	size_t n = 256 + o->desired.len + strlen(o->message);

	for (size_t i = 0; i < o->n_fields; i++)
		n += 128 + strlen(o->fields[i]->path) + strlen(o->fields[i]->desired) +
		     strlen(o->fields[i]->live);
	return n;
}

static struct cox_node *object_node(struct plan_app *x, struct cox_doc *doc,
				    const Coxswain__Agent__V1__ObjectDifference *o)
{
	struct cox_node *map = control_difference_node(doc, o);

	if (o->state == COXSWAIN__AGENT__V1__DIFF_STATE__EXTRA && !o->kept && !prunes(x))
		cox_map_put_bool(doc, map, "kept", true);
	return map;
}

/* All of them where that was asked for; else those alone that go wrong, and of them why. */
static void keep_objects(struct plan_app *x, const Coxswain__Agent__V1__DiffResponse *r)
{
	struct control_plan *p = x->plan;
	_cleanup_doc_ struct cox_doc *doc = cox_doc_new("objects");
	struct cox_node *list = cox_doc_list(doc);

	for (size_t i = 0; i < r->n_objects; i++) {
		Coxswain__Agent__V1__ObjectDifference o = *r->objects[i];

		if (!p->tells_objects) {
			o.n_fields = o.n_differing = 0;
			o.desired.len = 0;
			if (!*o.message)
				continue;
		}
		if (p->n_bytes + size_of(&o) > PLAN_OBJECTS_BYTES) {
			x->truncated = true;
			break;
		}
		p->n_bytes += size_of(&o);
		cox_list_push(doc, list, object_node(x, doc, &o));
	}
	cox_doc_set_root(doc, list);
	cox_doc_unref(x->objects);
	x->objects = cox_doc_seal(TAKE(doc));
}

static void answered(void *arg, const Coxswain__Agent__V1__DiffResponse *r,
		     const struct cox_error *err)
{
	struct plan_question *q = arg;
	struct plan_app *x = q->app;

	free(q);
	if (!x)
		return;
	if (!r) {
		end_unknown(x, err->message);
		plan_go(x->plan);
		return;
	}
	x->counts = (struct plan_counts){.compared = r->n_compared};
	x->truncated = r->truncated;
	for (size_t i = 0; i < r->n_objects; i++)
		count(x, r->objects[i]);
	keep_objects(x, r);
	end(x, PLAN_ANSWERED);
	plan_go(x->plan);
}

/* ---- asking ---- */

static void ask_agent(struct plan_app *x, struct plan_question *q, struct cox_str objects)
{
	struct cox_error err = COX_ERROR_INIT;

	if (control_ask_agent(&x->app, !plan_app_stays(x), objects, x->plan->comparison_ms,
			      answered, q, &err) == 0)
		return;
	free(q);
	end_unknown(x, err.message);
	plan_go(x->plan);
}

static void bundle_read(void *arg, struct cox_buf *row, const struct cox_error *error)
{
	struct plan_question *q = arg;
	struct plan_app *x = q->app;
	struct cox_error err = error ? *error : COX_ERROR_INIT;
	struct control_plan *p;

	if (!x) {
		free(q);
		return;
	}
	p = x->plan;
	p->has_bundle = false;
	cox_buf_clear(&p->bundle);
	if (error || hub_bundle_unpack(cox_buf_str(row), &p->bundle, &err) < 0) {
		free(q);
		end_unknown(x, err.message);
		plan_go(p);
		return;
	}
	p->has_bundle = true;
	memcpy(p->bundle_digest, x->app.rendered.digest, sizeof(p->bundle_digest));
	ask_agent(x, q, cox_buf_str(&p->bundle));
}

static void ask(struct plan_app *x)
{
	struct control_plan *p = x->plan;
	_cleanup_free_ char *away = control_away(p->control, x->app.cluster);
	char hex[2 * HUB_DIGEST_BYTES + 1];
	struct plan_question *q;

	if (away) {
		end_unknown(x, away);
		return;
	}
	q = cox_new(struct plan_question);
	q->app = x;
	x->question = q;
	x->comparison = PLAN_ASKED;
	p->n_comparing++;
	set_busy(p, x->app.cluster, busy_at(p, x->app.cluster) + 1);
	if (!plan_app_stays(x)) {
		ask_agent(x, q, COX_STR("[]"));
		return;
	}
	if (p->has_bundle &&
	    memcmp(p->bundle_digest, x->app.rendered.digest, sizeof(p->bundle_digest)) == 0) {
		ask_agent(x, q, cox_buf_str(&p->bundle));
		return;
	}
	cox_hex_encode(x->app.rendered.digest, HUB_DIGEST_BYTES, hex);
	hub_store_read(p->control->store, HUB_TABLE_BUNDLE, hex, bundle_read, q);
}

static void give_up(struct control_plan *p)
{
	COX_VEC_EACH (&p->apps, slot) {
		struct plan_app *x = *slot;

		if (x->comparison != PLAN_WANTED && x->comparison != PLAN_ASKED)
			continue;
		plan_question_drop(x->question);
		end_unknown(x, "the plan has taken too long");
	}
}

bool plan_compare(struct control_plan *p)
{
	if (p->late)
		give_up(p);
	while (p->next < p->apps.n && p->apps.items[p->next]->comparison != PLAN_WANTED)
		p->next++;
	for (size_t i = p->next;
	     i < p->apps.n && i < p->next + LOOK_AHEAD && p->n_comparing < PLAN_COMPARISONS; i++) {
		struct plan_app *x = p->apps.items[i];

		if (x->comparison == PLAN_WANTED && busy_at(p, x->app.cluster) < PLAN_PER_CLUSTER)
			ask(x);
	}
	return p->n_compared == p->n_to_compare;
}
