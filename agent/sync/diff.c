/* What an application's objects shall be, beside what they are, for people: each is read from the API
 * server, compared, and where it seems to differ tried by a dry run, which may know better. Values of
 * Secrets never leave here. */
#include "agent/compare/compare.h"
#include "agent/jq/jq.h"
#include "agent/sync/app.h"

#include "common/base/limits.h"
#include "common/ctl/stamp.h"
#include "common/doc/json.h"

#include <stdlib.h>

#define IN_FLIGHT_MAX 8
#define FIELDS_MAX    100
#define VALUE_MAX     (16 << 10)
#define RESPONSE_MAX  (COX_LIMIT_MESSAGE_BYTES - (256 << 10))

typedef Coxswain__Agent__V1__ObjectDifference object_difference;
typedef Coxswain__Agent__V1__FieldDifference field_difference;

struct agent_diff {
	struct agent_app *app;
	struct agent_holder *holder; /* of the bundle that is compared with; or */
	struct agent_desired own;    /* objects that were given */
	const struct agent_desired *desired;
	struct cox_doc *ignore_doc; /* NULL: nothing is ignored */
	struct cox_timer begin;
	bool waits;			  /* for the assignment, or the bundle */
	uint8_t digest[COX_SHA256_BYTES]; /* of it */
	size_t next, in_flight;
	COX_VEC(struct looking *) asking; /* what expressions name is being asked */
	agent_diff_done *done;
	void *arg;
	struct cox_arena arena;
	COX_VEC(object_difference *) found;
	size_t bytes, n_compared;
	bool truncated;
};

/* One object that is looked at. */
struct looking {
	struct agent_diff *diff;
	const struct agent_object *object;
	struct cox_doc *live;
	struct agent_ignore ignore;
	struct cox_doc *cuts; /* what its expressions name; NULL: there are none */
	struct agent_jq_call *question;
};

static void looking_free(struct looking *l)
{
	agent_jq_cancel(l->question);
	cox_doc_unref(l->live);
	cox_doc_unref(l->cuts);
	agent_ignore_fini(&l->ignore);
	free(l);
}

/* ---- life ---- */

static void diff_free(struct agent_diff *d)
{
	struct agent_engine *e = d->app->engine;

	for (size_t i = 0; i < e->diffs.n; i++)
		if (e->diffs.items[i] == d) {
			cox_vec_remove(&e->diffs, i);
			break;
		}
	cox_timer_stop(&d->begin);
	agent_holder_unref(d->holder);
	agent_desired_fini(&d->own);
	cox_doc_unref(d->ignore_doc);
	cox_vec_fini(&d->found);
	cox_vec_fini(&d->asking);
	cox_arena_fini(&d->arena);
	free(d);
}

/* Requests that are under way find nobody any more. */
static void stop(struct agent_diff *d)
{
	struct agent_engine *e = d->app->engine;

	for (size_t i = 0; i < e->calls.n; i++) {
		struct agent_call *call = e->calls.items[i];
		struct looking *l = call->arg;

		if (!call->is_diff || l->diff != d)
			continue;
		agent_calls_cancel_of(e, l);
		looking_free(l);
		i = (size_t)-1;
	}
	COX_VEC_EACH (&d->asking, l)
		looking_free(*l);
	cox_vec_clear(&d->asking);
}

void agent_diff_cancel(struct agent_diff *d)
{
	stop(d);
	diff_free(d);
}

static void answer(struct agent_diff *d, const struct cox_error *error)
{
	Coxswain__Agent__V1__DiffResponse response = COXSWAIN__AGENT__V1__DIFF_RESPONSE__INIT;

	response.objects = d->found.items;
	response.n_objects = d->found.n;
	response.n_compared = (uint32_t)d->n_compared;
	response.truncated = d->truncated;
	d->done(d->arg, &response, error);
	diff_free(d);
}

void agent_diffs_end(struct agent_app *app)
{
	struct agent_engine *e = app->engine;
	struct cox_error err;

	(void)cox_error(&err, COX_NOT_FOUND, "the application is gone");
	for (size_t i = 0; i < e->diffs.n; i++) {
		struct agent_diff *d = e->diffs.items[i];

		if (d->app != app)
			continue;
		stop(d);
		if (e->is_freed)
			diff_free(d);
		else
			answer(d, &err);
		i = (size_t)-1;
	}
}

/* ---- what was found ---- */

static char *keep(struct agent_diff *d, struct cox_str text)
{
	d->bytes += text.len + 16;
	return cox_arena_strndup(&d->arena, text.ptr ? text.ptr : "", text.len);
}

static object_difference *found(struct agent_diff *d, struct cox_object_key key,
				const char *version, Coxswain__Agent__V1__DiffState state)
{
	object_difference *o = cox_arena_calloc(&d->arena, sizeof(*o));

	coxswain__agent__v1__object_difference__init(o);
	o->group = keep(d, key.group);
	o->version = keep(d, cox_str(version));
	o->kind = keep(d, key.kind);
	o->namespace_ = keep(d, key.namespace);
	o->name = keep(d, key.name);
	o->state = state;
	cox_vec_push(&d->found, o);
	return o;
}

static size_t compare(const struct looking *l, struct cox_doc *predicted, agent_values *values)
{
	_cleanup_difference_ struct agent_difference difference = AGENT_DIFFERENCE_INIT;
	const struct cox_node *cuts = l->cuts ? cox_doc_root(l->cuts) : NULL;
	struct agent_compare_options options = {.manager = AGENT_MANAGER,
						.ignore = &l->ignore,
						.desired_cuts = cox_node_at(cuts, 0),
						.live_cuts = cox_node_at(cuts, 1),
						.predicted = predicted};

	agent_compare(l->object->doc, l->live, &options, &difference);
	if (values)
		agent_compare_values(l->object->doc, l->live, &options, values);
	return difference.n;
}

static char *keep_value(struct agent_diff *d, const char *json)
{
	size_t n = json ? strlen(json) : 0;
	_cleanup_free_ char *instead =
		n > VALUE_MAX ? cox_asprintf("\"(a value of %zu bytes)\"", n) : NULL;

	return keep(d, cox_str(instead ? instead : json ? json : ""));
}

static void add_fields(struct agent_diff *d, object_difference *o, const agent_values *values)
{
	o->fields = cox_arena_calloc(&d->arena, FIELDS_MAX * sizeof(*o->fields));
	COX_VEC_EACH (values, v) {
		field_difference *x;

		if (o->n_fields >= FIELDS_MAX || d->bytes > RESPONSE_MAX)
			return;
		x = cox_arena_calloc(&d->arena, sizeof(*x));
		coxswain__agent__v1__field_difference__init(x);
		x->path = keep(d, cox_str(v->path));
		x->desired = keep_value(d, v->desired);
		x->live = keep_value(d, v->live);
		o->fields[o->n_fields++] = x;
	}
}

static void take(struct looking *l, struct cox_doc *predicted)
{
	struct agent_diff *d = l->diff;
	_cleanup_values_ agent_values values = {0};
	size_t n = compare(l, predicted, &values);
	object_difference *o;

	if (n == 0)
		return;
	if (d->bytes > RESPONSE_MAX) {
		d->truncated = true;
		return;
	}
	o = found(d, l->object->key, l->object->version,
		  COXSWAIN__AGENT__V1__DIFF_STATE__DIFFERENT);
	o->n_differing = (uint32_t)n;
	add_fields(d, o, &values);
}

static void take_absent(struct agent_diff *d, const struct agent_object *object)
{
	_cleanup_buf_ struct cox_buf text = COX_BUF_INIT;
	object_difference *o;

	agent_object_write(&text, object->doc, NULL);
	if (d->bytes + text.len > RESPONSE_MAX) {
		d->truncated = true;
		return;
	}
	o = found(d, object->key, object->version, COXSWAIN__AGENT__V1__DIFF_STATE__ABSENT);
	o->desired.data = (uint8_t *)keep(d, cox_buf_str(&text));
	o->desired.len = text.len;
}

static void take_failure(struct agent_diff *d, const struct agent_object *object,
			 const char *message)
{
	object_difference *o =
		found(d, object->key, object->version, COXSWAIN__AGENT__V1__DIFF_STATE__FAILED);

	o->message = keep(d, cox_str(message));
}

/* What was applied once and is not wanted any more. */
static void take_extra(struct agent_diff *d)
{
	COX_MAP_EACH (&d->app->entries, slot) {
		const struct agent_entry *entry = slot->value;

		if (entry->owned && entry->live && !entry->terminating &&
		    !agent_desired_find(d->desired, entry->key_text))
			found(d, entry->key, entry->version,
			      COXSWAIN__AGENT__V1__DIFF_STATE__EXTRA);
	}
}

/* ---- looking ---- */

static void go_on(struct agent_diff *d);

static void looked_at(struct looking *l)
{
	struct agent_diff *d = l->diff;

	looking_free(l);
	d->in_flight--;
	go_on(d);
}

static void tried(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct looking *l = call->arg;

	/* One that is refused leaves what the comparison said. */
	take(l, answer->error->code == COX_OK ? answer->doc : NULL);
	looked_at(l);
}

static struct agent_call *call_for(struct looking *l, void (*done)(struct agent_call *,
								   const struct cox_kube_answer *))
{
	struct agent_call *call = agent_call_new(l->diff->app, l->object->key_text, done);

	call->arg = l;
	call->is_diff = true;
	return call;
}

static void try_it(struct looking *l)
{
	struct agent_engine *e = l->diff->app->engine;
	const struct agent_object *o = l->object;
	_cleanup_free_ char *namespace = cox_str_dup(o->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(o->key.name);
	struct agent_call *call = call_for(l, tried);

	call->call = cox_kube_apply(e->o.kube, agent_engine_resource_of(e, o->key, o->version),
				    namespace, name, cox_doc_root(o->doc),
				    &(struct cox_kube_write_options){.field_manager = AGENT_MANAGER,
								     .force = true,
								     .dry_run = true},
				    agent_call_done, call);
}

static void judge(struct looking *l)
{
	if (compare(l, NULL, NULL) > 0 &&
	    agent_compare_is_managed(cox_doc_root(l->live), AGENT_MANAGER)) {
		try_it(l);
		return;
	}
	take(l, NULL);
	looked_at(l);
}

static void cuts_known(void *arg, struct cox_doc *paths, const struct cox_error *error)
{
	struct looking *l = arg;
	struct agent_diff *d = l->diff;

	l->question = NULL;
	for (size_t i = 0; i < d->asking.n; i++)
		if (d->asking.items[i] == l) {
			cox_vec_remove(&d->asking, i);
			break;
		}
	if (paths) {
		l->cuts = cox_doc_ref(paths);
		judge(l);
	} else {
		take_failure(d, l->object, error->message);
		looked_at(l);
	}
}

/* The live object is here; what its expressions name comes first. */
static void begin_to_judge(struct looking *l)
{
	struct agent_diff *d = l->diff;
	struct agent_jq *jq = d->app->engine->o.jq;
	struct cox_doc *const objects[] = {l->object->doc, l->live};

	if (d->ignore_doc)
		agent_ignore_for(cox_doc_root(d->ignore_doc), cox_doc_root(l->object->doc),
				 &l->ignore);
	if (!l->ignore.expressions.n || !jq) {
		judge(l);
		return;
	}
	cox_vec_push(&d->asking, l);
	l->question = agent_jq_ask(jq, objects, COX_ARRAY_LEN(objects), &l->ignore.expressions,
				   cuts_known, l);
}

static void looked(struct agent_call *call, const struct cox_kube_answer *answer)
{
	struct looking *l = call->arg;
	struct agent_diff *d = l->diff;

	if (answer->reason == COX_KUBE_NOT_FOUND) {
		take_absent(d, l->object);
	} else if (answer->error->code != COX_OK || !answer->doc) {
		take_failure(d, l->object, answer->error->message);
	} else {
		l->live = cox_doc_ref(answer->doc);
		begin_to_judge(l);
		return;
	}
	looked_at(l);
}

/* What the watches show to be as it shall be is not asked for. */
static bool is_known(const struct agent_diff *d, const struct agent_object *o)
{
	const struct agent_entry *entry = cox_map_get(&d->app->entries, o->key_text);

	return d->holder && memcmp(d->holder->digest, d->app->digest, COX_SHA256_BYTES) == 0 &&
	       entry && entry->evaluated && entry->sync == AGENT_SYNCED;
}

static void look_at(struct agent_diff *d, const struct agent_object *o)
{
	struct agent_engine *e = d->app->engine;
	const struct cox_kube_resource *resource = agent_engine_resource_of(e, o->key, o->version);
	_cleanup_free_ char *namespace = cox_str_dup(o->key.namespace);
	_cleanup_free_ char *name = cox_str_dup(o->key.name);
	struct agent_call *call;
	struct looking *l;

	if (o->is_hook || o->is_skipped)
		return;
	d->n_compared++;
	if (is_known(d, o))
		return;
	if (!resource) {
		take_absent(d, o);
		return;
	}
	l = cox_new(struct looking);
	l->diff = d;
	l->object = o;
	d->in_flight++;
	call = call_for(l, looked);
	call->call = cox_kube_get(e->o.kube, resource, namespace, name, agent_call_done, call);
}

static void go_on(struct agent_diff *d)
{
	struct cox_error ok = COX_ERROR_INIT;

	while (d->in_flight < IN_FLIGHT_MAX && d->next < d->desired->objects.n)
		look_at(d, &d->desired->objects.items[d->next++]);
	if (d->in_flight)
		return;
	take_extra(d);
	answer(d, &ok);
}

static int desire_given(struct agent_diff *d, struct cox_str objects, struct cox_error *err)
{
	_cleanup_docs_ cox_docs docs = {0};
	int code;

	if (!cox_discovery_is_ready(d->app->engine->discovery))
		return cox_error(err, COX_UNAVAILABLE, "the cluster's kinds are not known yet");
	code = agent_bundle_read(objects, &docs, err);
	if (code == 0)
		code = agent_app_desire(d->app, &docs, &d->own, err);
	d->desired = &d->own;
	return code;
}

/* 1: the assignment, or the bundle, is on its way. */
static int desire_assigned(struct agent_diff *d, struct cox_error *err)
{
	struct agent_app *app = d->app;
	int code;

	if ((memcmp(d->digest, app->target, COX_SHA256_BYTES) != 0 &&
	     memcmp(d->digest, app->digest, COX_SHA256_BYTES) != 0) ||
	    !agent_store_has_bundle(app->engine->o.store, d->digest))
		return 1;
	code = agent_app_hold(app, d->digest, &d->holder, err);
	if (code == 0)
		d->desired = &d->holder->desired;
	return code;
}

void agent_diffs_look(struct agent_engine *e, const uint8_t failed[COX_SHA256_BYTES],
		      const struct cox_error *why)
{
	COX_VEC(struct agent_diff *) waiting = {0};
	struct cox_error err;

	COX_VEC_EACH (&e->diffs, d)
		if ((*d)->waits)
			cox_vec_push(&waiting, *d);
	COX_VEC_EACH (&waiting, slot) {
		struct agent_diff *d = *slot;
		int code = desire_assigned(d, &err);

		if (code == 0) {
			d->waits = false;
			cox_timer_start(&d->begin, 0);
		} else if (code < 0) {
			answer(d, &err);
		} else if (failed && memcmp(d->digest, failed, COX_SHA256_BYTES) == 0) {
			answer(d, why);
		}
	}
	cox_vec_fini(&waiting);
}

static void begin(void *arg)
{
	go_on(arg);
}

int agent_engine_diff(struct agent_engine *e, const char *app_uid, struct cox_str digest,
		      struct cox_str objects, agent_diff_done *done, void *arg,
		      struct agent_diff **ret_diff, struct cox_error *err)
{
	struct agent_app *app = agent_engine_find(e, app_uid);
	const Coxswain__Assignment__V1__Policy *policy;
	struct agent_diff *d;
	int code;

	if (!app || !app->assignment || app->tombstone)
		return cox_error(err, COX_NOT_FOUND, "no application with uid '%s'", app_uid);
	if (e->api_error)
		return cox_error(err, COX_UNAVAILABLE, "%s", e->api_error);
	d = cox_new(struct agent_diff);
	d->app = app;
	d->done = done;
	d->arg = arg;
	d->arena = COX_ARENA_INIT(0);
	cox_timer_init(&d->begin, e->o.loop, begin, d);
	cox_vec_push(&e->diffs, d);
	cox_stamp_set_digest(d->digest, (const uint8_t *)digest.ptr, digest.len);
	code = objects.len ? desire_given(d, objects, err) : desire_assigned(d, err);
	d->waits = code > 0;
	if (code < 0) {
		diff_free(d);
		return code;
	}
	policy = app->assignment->policy;
	if (policy && policy->ignore_differences.len)
		cox_json_read(cox_str_n((const char *)policy->ignore_differences.data,
					policy->ignore_differences.len),
			      "ignoreDifferences", &d->ignore_doc, NULL);
	*ret_diff = d;
	/* done comes later, never from inside */
	if (!d->waits)
		cox_timer_start(&d->begin, 0);
	return 0;
}
